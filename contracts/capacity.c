/* Requests for grid capacity: who may ask, and what a device holds (contracts/capacity.h; market-rules 2
 * and 8; docs/spec/capacity.md 2).
 *
 * Invariants:
 * 1. What a device has been granted and asks for, over all capacity markets, never exceeds its connection
 *    in any quarter hour and direction; nor does what it may import, with what it has promised to leave
 *    unused under caps.
 * 2. A holding is given back where its order is taken back or refused, to the last watt.
 * 3. A book with a request in it is in the index of clearings until its gate has closed and it is cleared.
 *
 * Deliberately absent: the clearing (capacity_clear.c), and any duty to use what was granted. */
#include "contracts/capacity.h"

#include "base/fatal.h"
#include "contracts/book_internal.h"

bool capacity_is_sold(const struct market_create *terms)
{
    return terms->product == PRODUCT_CAPACITY_ALLOCATION &&
           terms->clearing.mechanism == MECHANISM_CAPACITY;
}

static uint32_t slots_of(const struct market_create *terms)
{
    return (uint32_t)(duration_ms(terms->times.mtu) / COMMITMENT_SLOT_MS) *
           terms->times.mtus_per_period;
}

uint32_t capacity_requests_max(const struct market_create *terms)
{
    uint32_t slots = slots_of(terms);
    MUST(slots >= 1 && slots <= LIMIT_INTERVALS_PER_PERIOD);
    return (LIMIT_WORK_OF_CLEARINGS - LIMIT_NETWORK_NODES * slots) /
           (CAPACITY_WORK_PER_REQUEST + slots);
}

/* --- holdings ------------------------------------------------------------------------------- */

/* The device's holding in one quarter hour, `watts` more; OVER_CONNECTION if it is too much. Who has
 * promised to stay under its connection has that much less to import. */
static enum contract_error holding_after(const struct contract_call *call,
                                         const struct name *device,
                                         const struct device_record *record,
                                         const struct state_key *key, struct timestamp slot,
                                         int64_t watts, bool import, int64_t *out)
{
    struct holding_record holding = {0};
    struct commitment_record caps = {0};
    struct state_key caps_key =
        state_key_unit(STATE_COMMITMENT, device, slot, (uint8_t)DIRECTION_UP);
    (void)contract_read(call, key, &holding_record_codec, &holding);
    if (!checked_add_i64(out, power_w(holding.power), watts)) {
        return CONTRACT_OVER_CONNECTION;
    }
    int64_t taken = *out;
    if (import && contract_read(call, &caps_key, &commitment_record_codec, &caps) &&
        !checked_add_i64(&taken, taken, power_w(caps.limited))) {
        return CONTRACT_OVER_CONNECTION;
    }
    return watts <= 0 || taken <= power_w(record->connection) ? CONTRACT_OK
                                                              : CONTRACT_OVER_CONNECTION;
}

static enum contract_error hold(const struct contract_call *call, const struct name *device,
                                const struct device_record *record, uint8_t direction,
                                struct timestamp start, const struct market_create *terms,
                                struct energy quantity)
{
    int64_t watts;
    MUST(energy_wh(quantity) % terms->times.mtus_per_period == 0);
    if (!checked_mul_i64(&watts, energy_wh(quantity) / terms->times.mtus_per_period,
                         MS_PER_HOUR / duration_ms(terms->times.mtu))) {
        return CONTRACT_OVER_CONNECTION;
    }
    for (uint32_t i = 0; i < slots_of(terms); i++) {
        struct timestamp slot;
        MUST(timestamp_add(&slot, start, duration_of((int64_t)i * COMMITMENT_SLOT_MS)));
        struct state_key key = state_key_unit(STATE_HOLDING, device, slot, direction);
        int64_t after;
        enum contract_error error = holding_after(call, device, record, &key, slot, watts,
                                                  direction == DIRECTION_DOWN, &after);
        if (error != CONTRACT_OK) {
            return error; /* the ledger rolls back what was written before */
        }
        MUST(after >= 0 || call->view->fault);
        struct holding_record holding = {.power = power_of(after)};
        if (after > 0) {
            contract_write(call, &key, &holding_record_codec, &holding);
        } else {
            contract_remove(call, &key);
        }
    }
    return CONTRACT_OK;
}

void capacity_release(struct contract_call *call, const struct order_record *order,
                      const struct market_create *terms, struct energy quantity)
{
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &order->device);
    if (energy_wh(quantity) == 0 || !book_read(call, &key, &device_record_codec, &device)) {
        return;
    }
    enum contract_error error = hold(call, &order->device, &device, order->direction,
                                     order->period_start, terms, energy_of(-energy_wh(quantity)));
    MUST(error == CONTRACT_OK || call->view->fault);
}

/* --- entering ------------------------------------------------------------------------------- */

static bool book_has_room(const struct contract_call *call, const struct request_place *request,
                          const struct market_create *terms)
{
    struct book_id book = {request->market, request->direction, request->period_start};
    struct state_key key = book_key(STATE_BOOK_SIZE, &book);
    struct book_size_record size = {0};
    return !contract_read(call, &key, &book_size_record_codec, &size) ||
           size.open < capacity_requests_max(terms);
}

enum contract_error capacity_admit(struct contract_call *call, const struct request_place *request,
                                   const struct market_create *terms)
{
    struct book_times times;
    struct device_record device;
    MUST(book_times_of(&times, terms, request->period_start));
    if (name_is_empty(&request->device)) {
        return CONTRACT_UNSUPPORTED_ORDER;
    }
    enum contract_error error = assets_right_to_offer(call, &request->device, terms,
                                                      request->period_start, times.end, &device);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!grid_has_device(call, &terms->network, &device)) {
        return CONTRACT_UNKNOWN_NODE;
    }
    if (!book_has_room(call, request, terms)) {
        return CONTRACT_BOOK_FULL;
    }
    return hold(call, &request->device, &device, request->direction, request->period_start, terms,
                request->quantity);
}

static struct state_key clearing_key(const struct book_id *book, const struct market_create *terms)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, book->period_start));
    return state_key_due(STATE_CLEARING, times.gate, &book->market, book->period_start,
                         book->direction);
}

void capacity_entered(struct contract_call *call, const struct order_record *order,
                      const struct market_create *terms)
{
    const struct book_id book = {order->market, order->direction, order->period_start};
    struct state_key key = clearing_key(&book, terms);
    contract_write_index(call, &key);
}

bool capacity_waits(const struct contract_call *call, const struct book_id *book,
                    const struct market_create *terms)
{
    struct state_key key = clearing_key(book, terms);
    return capacity_is_sold(terms) && contract_exists(call, &key);
}
