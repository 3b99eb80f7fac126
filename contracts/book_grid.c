/* Books and the grid: offers are cut to what the network of their market can carry before they meet a
 * request (market-rules 8; docs/spec/capacity.md 3; contracts/grid.h).
 *
 * Offers are admitted in their priority, so where a feeder does not carry all of them, the best have it.
 * Each gets what every node on its path has left, in whole steps; what its owner takes only whole, or from
 * a least first fill on, and gets less than that, is passed over. All that is admitted can be delivered
 * together, so whatever part of it the call accepts can be too.
 *
 * Deliberately absent: requests, which are for the zone and load no node; netting of up against down. */
#include "base/fatal.h"
#include "contracts/book_internal.h"

int32_t book_grid_place(const struct contract_call *call, const struct grid *grid,
                        const struct market_create *terms, const struct order_record *order)
{
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &order->device);
    if (order->side != SIDE_SELL || !grid_is_loaded_by(terms, order) ||
        !book_read(call, &key, &device_record_codec, &device)) {
        return GRID_PLACE_NONE;
    }
    int32_t place = grid_place(grid, &device);
    MUST(place != GRID_PLACE_NONE ||
         call->view->fault); /* it was there when the order was placed */
    return place;
}

void book_grid_tell(struct contract_call *call, const struct grid *grid, uint64_t id,
                    int32_t limiter, struct energy open, struct energy admitted)
{
    struct event_grid_limited event = {.id = id,
                                       .network = grid_network(grid),
                                       .node = grid_name(grid, limiter),
                                       .open = open,
                                       .admitted = admitted};
    contract_event(call, EVENT_GRID_LIMITED, &event);
}

bool book_grid_admit(struct contract_call *call, struct book_scratch *scratch, bool tell)
{
    struct grid *grid = ledger_grid(call->ledger);
    uint32_t told = 0;
    bool any = false;
    for (uint32_t i = 0; i < scratch->count; i++) {
        struct book_entry *entry = &scratch->entries[i];
        int32_t limiter;
        if (entry->side != SIDE_SELL || entry->sits_out || entry->place == GRID_PLACE_NONE) {
            continue;
        }
        struct energy got =
            grid_admit(call, grid, entry->place, entry->open, entry->least, &limiter);
        if (energy_compare(got, entry->open) == 0) {
            continue;
        }
        any = true;
        if (tell && told < BOOK_GRID_EVENTS_MAX) {
            book_grid_tell(call, grid, entry->id, limiter, entry->open, got);
            told++;
        }
        entry->open = got;
        entry->sits_out = energy_wh(got) == 0;
    }
    return any;
}
