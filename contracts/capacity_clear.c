/* The clearing of a capacity market's book, once, in the first block at or after its gate (MFX II.A;
 * market-rules 8; docs/spec/capacity.md 2; docs/spec/clearing.md 6).
 *
 * All requests for one market, delivery period and direction are one problem of contracts/clear_capacity.c:
 * the nodes of the network with what they have left over the period, the requests in the order of time.
 * Quantities are steps of the market, so that what is granted splits into whole watts.
 *
 * Invariants:
 * 1. A book is cleared whole or, if the block has no room, later whole; the first one of a block has its
 *    room but for what auctions took of the events. Until then its requests stay.
 * 2. Every request of a cleared book has an allocation, which says what it got and which node, if any,
 *    kept it from more. No money stays in its pot.
 * 3. What a participant pays is its exact total over the clearing rounded up once; the network's operator
 *    gets the exact total of all, rounded down; the difference, less than a micro-euro for each payer and
 *    one, goes to the fee pool.
 *
 * Deliberately absent: allocation itself, and constraint prices (clear_capacity.c, clear_pay.c). */
#include <stdlib.h>

#include "base/fatal.h"
#include "contracts/book_internal.h"
#include "contracts/capacity.h"
#include "contracts/clear_pay.h"

struct capacity_scratch {
    struct clear_bid bids[CAPACITY_REQUESTS_MAX];
    struct clear_node nodes[LIMIT_NETWORK_NODES];
    uint32_t by_time[CAPACITY_REQUESTS_MAX];  /* loaded requests, the earliest first */
    uint32_t by_owner[CAPACITY_REQUESTS_MAX]; /* by participant, then time */
    uint32_t bid_of[CAPACITY_REQUESTS_MAX]; /* of a loaded request; no_bid: has no right any more */
    size_t arena_size;
    uint8_t arena[];
};
static const uint32_t no_bid = UINT32_MAX;

/* A problem of that many bids, agents and nodes, without the payments that play games. */
static size_t arena_bytes(void)
{
    struct clear_problem largest = {.mechanism = CLEAR_CAPACITY,
                                    .bid_count = CAPACITY_REQUESTS_MAX,
                                    .agent_count = CAPACITY_REQUESTS_MAX,
                                    .slot_count = 1,
                                    .node_count = LIMIT_NETWORK_NODES};
    return clear_arena_bytes(&largest);
}

struct capacity_scratch *capacity_scratch_create(void)
{
    size_t bytes = arena_bytes();
    struct capacity_scratch *scratch = calloc(1, sizeof *scratch + bytes);
    if (scratch != NULL) {
        scratch->arena_size = bytes;
    }
    return scratch;
}

void capacity_scratch_destroy(struct capacity_scratch *scratch)
{
    free(scratch);
}

/* --- the problem ---------------------------------------------------------------------------- */

/* One clearing. */
struct clearing {
    struct contract_call *call;
    struct capacity_scratch *scratch;
    struct book_scratch *book; /* the loaded requests */
    struct grid *grid;
    struct market_record market;
    struct name payee;
    struct clear_problem problem;
    struct clear_result result;
};

static bool is_earlier(const struct book_entry *a, const struct book_entry *b)
{
    if (a->height != b->height) {
        return a->height < b->height;
    }
    return a->tie != b->tie ? a->tie < b->tie : a->id < b->id;
}

static bool time_before(const void *context, uint32_t a, uint32_t b)
{
    const struct book_entry *entries = context;
    return is_earlier(&entries[a], &entries[b]);
}

static bool owner_before(const void *context, uint32_t a, uint32_t b)
{
    const struct book_entry *entries = context;
    int compared = name_compare(&entries[a].participant, &entries[b].participant);
    return compared != 0 ? compared < 0 : is_earlier(&entries[a], &entries[b]);
}

/* Loads all requests of the book; those without their right sit out. */
static void load(struct clearing *clearing, const struct book_id *book)
{
    struct contract_call *call = clearing->call;
    struct state_key at = {.size = 0};
    clearing->book->count = 0;
    while (book_side_next(call, book, SIDE_BUY, &at)) {
        struct order_record order;
        struct device_record device;
        uint64_t id = book_index_order(&at);
        struct state_key key;
        if (!book_read_order(call, id, &order)) {
            return;
        }
        key = state_key_name(STATE_DEVICE, &order.device);
        if (!book_read(call, &key, &device_record_codec, &device)) {
            return;
        }
        MUST(clearing->book->count < CAPACITY_REQUESTS_MAX);
        struct book_entry *entry = &clearing->book->entries[clearing->book->count++];
        *entry = (struct book_entry){.id = id,
                                     .participant = order.participant,
                                     .place = grid_place(clearing->grid, &device),
                                     .height = order.height,
                                     .tie = order.tie,
                                     .price = order.price,
                                     .open = order.open,
                                     .least = book_least(&order)};
        entry->sits_out = !book_may_trade(call, &order, &clearing->market.terms);
        MUST(entry->place != GRID_PLACE_NONE || call->view->fault);
    }
}

static void sort(struct clearing *clearing)
{
    struct capacity_scratch *scratch = clearing->scratch;
    for (uint32_t i = 0; i < clearing->book->count; i++) {
        scratch->by_time[i] = i;
        scratch->by_owner[i] = i;
    }
    call_sort(scratch->by_time, clearing->book->count, time_before, clearing->book->entries);
    call_sort(scratch->by_owner, clearing->book->count, owner_before, clearing->book->entries);
}

/* The whole tree, with what is left where some request's path leads. */
static void set_nodes(struct clearing *clearing, int64_t step)
{
    struct grid *grid = clearing->grid;
    struct clear_node *nodes = clearing->scratch->nodes;
    for (uint32_t i = 0; i < grid_count(grid); i++) {
        nodes[i] = (struct clear_node){.capacity = -1, .parent = grid_parent(grid, (int32_t)i)};
    }
    for (uint32_t i = 0; i < clearing->book->count; i++) {
        int32_t at = clearing->book->entries[i].place;
        for (; at != GRID_PLACE_NONE && nodes[at].capacity < 0; at = nodes[at].parent) {
            struct energy left = grid_left(clearing->call, grid, at, energy_of(INT64_MAX));
            nodes[at].capacity = energy_wh(left) / step;
        }
    }
    for (uint32_t i = 0; i < grid_count(grid); i++) {
        nodes[i].capacity = nodes[i].capacity < 0 ? 0 : nodes[i].capacity;
    }
}

static enum clear_rule rule_of(const struct market_create *terms)
{
    switch ((enum market_sharing)terms->clearing.sharing) {
    case SHARING_PREMIUM:
        return CLEAR_PREMIUM;
    case SHARING_FIRST_COME:
        return CLEAR_FIRST_COME;
    case SHARING_HIGHEST_DEMAND:
        return CLEAR_HIGHEST_DEMAND;
    }
    MUST(false);
    return CLEAR_PREMIUM;
}

static void set_bids(struct clearing *clearing, int64_t step)
{
    struct capacity_scratch *scratch = clearing->scratch;
    const struct book_entry *entries = clearing->book->entries;
    uint32_t count = 0;
    for (uint32_t i = 0; i < clearing->book->count; i++) {
        const struct book_entry *entry = &entries[scratch->by_time[i]];
        if (entry->sits_out) {
            scratch->bid_of[scratch->by_time[i]] = no_bid;
            continue;
        }
        MUST(energy_wh(entry->open) % step == 0 && energy_wh(entry->least) % step == 0);
        scratch->bid_of[scratch->by_time[i]] = count;
        scratch->bids[count++] =
            (struct clear_bid){.quantity = energy_wh(entry->open) / step,
                               .price = energy_price_ueur_per_kwh(entry->price),
                               .min_quantity = energy_wh(entry->least) / step,
                               .node = entry->place,
                               .kind = CLEAR_LIMIT,
                               .buy = true};
    }
    clearing->problem = (struct clear_problem){.mechanism = CLEAR_CAPACITY,
                                               .rule = rule_of(&clearing->market.terms),
                                               .bid_count = count,
                                               .agent_count = 1, /* paid for order by order */
                                               .slot_count = 1,
                                               .node_count = grid_count(clearing->grid),
                                               .bids = scratch->bids,
                                               .nodes = scratch->nodes};
}

static void solve(struct clearing *clearing)
{
    int64_t step = energy_wh(clearing->market.terms.limits.quantity_step);
    struct clear_arena arena = {clearing->scratch->arena, clearing->scratch->arena_size, 0};
    struct clear_fault fault;
    sort(clearing);
    set_nodes(clearing, step);
    set_bids(clearing, step);
    /* Admission has bounded prices and quantities, the network its depth. */
    MUST(clear_check(&clearing->problem, &fault, &arena));
    MUST(clear_run(&clearing->result, &clearing->problem, &arena));
}

/* --- what becomes of it --------------------------------------------------------------------- */

static int128 ceil_ueur(int128 neur)
{
    MUST(neur >= 0);
    return (neur + 999) / 1000;
}

static int64_t price_of(const struct clearing *clearing, const struct clear_bid *bid)
{
    const struct market_create *terms = &clearing->market.terms;
    if (terms->clearing.sharing != SHARING_PREMIUM) {
        return 0;
    }
    return terms->clearing.payment == PAYMENT_PAY_AS_BID
               ? bid->price
               : clear_path_price(&clearing->problem, &clearing->result, bid);
}

/* What was granted to a loaded request, at what price, and who kept it from more. */
static void describe(const struct clearing *clearing, uint32_t at, struct allocation_record *out)
{
    const struct book_entry *entry = &clearing->book->entries[at];
    const uint32_t bid = clearing->scratch->bid_of[at];
    int64_t step = energy_wh(clearing->market.terms.limits.quantity_step);
    *out = (struct allocation_record){.market = clearing->market.terms.id,
                                      .participant = entry->participant,
                                      .network = grid_network(clearing->grid),
                                      .node = grid_name(clearing->grid, entry->place),
                                      .payee = clearing->payee,
                                      .asked = entry->open,
                                      .version = clearing->market.version,
                                      .height = clearing->call->context->height};
    if (bid == no_bid) {
        return;
    }
    int32_t limiter = clearing->result.limiter[bid];
    out->granted = energy_of(clearing->result.accepted[bid] * step);
    if (energy_wh(out->granted) > 0) {
        out->price = energy_price_of(price_of(clearing, &clearing->problem.bids[bid]));
    }
    if (limiter != CLEAR_NODE_NONE) {
        out->limited_by = grid_name(clearing->grid, limiter);
    }
}

/* Ends a request: its pot goes back, and what it pays to the operator. */
static void end_request(struct clearing *clearing, uint32_t at,
                        struct allocation_record *allocation)
{
    struct contract_call *call = clearing->call;
    const struct market_create *terms = &clearing->market.terms;
    const struct book_entry *entry = &clearing->book->entries[at];
    struct order_record order;
    struct energy rest;
    if (!book_read_order(call, entry->id, &order)) {
        return;
    }
    struct money held = book_escrow(order.price, order.open);
    MUST(energy_sub(&rest, order.open, allocation->granted));
    MUST(money_compare(allocation->paid, held) <= 0);
    MUST(money_compare(order.held, held) == 0);
    book_share_moves(call, &order, order.open, energy_of(0));
    order.open = rest;
    bool filled = energy_wh(rest) == 0;
    /* Back to who locked it, and from there to the operator, so that statements show a payment. */
    book_move(call, purse_of_order(entry->id, &order), purse_of_balance(&order.participant), held);
    book_leave(call, entry->id, &order, terms, filled ? ORDER_FILLED : ORDER_EXPIRED);
    if (name_compare(&order.participant, &clearing->payee) != 0) {
        book_move(call, purse_of_balance(&order.participant), purse_of_balance(&clearing->payee),
                  allocation->paid);
    }
    capacity_release(call, &order, terms, rest);
    grid_sell(clearing->grid, entry->place, allocation->granted);

    allocation->device = order.device;
    allocation->direction = order.direction;
    allocation->period_start = order.period_start;
    struct state_key key = state_key_u64(STATE_ALLOCATION, entry->id);
    contract_write(call, &key, &allocation_record_codec, allocation);
    struct event_allocated event = {.id = entry->id, .allocation = *allocation};
    contract_event(call, EVENT_ALLOCATED, &event);
    if (!filled) {
        struct event_order_ended ended = {.id = entry->id};
        contract_event(call, EVENT_ORDER_EXPIRED, &ended);
    }
}

/* Participant by participant, each with one rounding up; its parts are what that rounding leaves them. */
static void settle(struct clearing *clearing)
{
    struct contract_call *call = clearing->call;
    const struct name *owner = NULL;
    int128 owed = 0; /* by the participant, neur */
    int128 total = 0;
    int128 paid = 0;
    for (uint32_t i = 0; i < clearing->book->count; i++) {
        uint32_t at = clearing->scratch->by_owner[i];
        const struct name *participant = &clearing->book->entries[at].participant;
        struct allocation_record allocation;
        int64_t part;
        if (owner == NULL || name_compare(owner, participant) != 0) {
            owner = participant;
            owed = 0;
        }
        describe(clearing, at, &allocation);
        int128 neur = product_i128(energy_price_ueur_per_kwh(allocation.price),
                                   energy_wh(allocation.granted));
        MUST(checked_narrow_i64(&part, ceil_ueur(owed + neur) - ceil_ueur(owed)));
        owed += neur;
        total += neur;
        paid += part;
        allocation.paid = money_of(part);
        end_request(clearing, at, &allocation);
    }
    int64_t fees;
    MUST(checked_narrow_i64(&fees, paid - total / 1000) && fees >= 0);
    book_move(call, purse_of_balance(&clearing->payee), purse_of_pot(pot_fees()), money_of(fees));
}

/* --- at the block's end --------------------------------------------------------------------- */

/* A clearing that comes too late, or in a market that is not open, grants nothing: its requests expire. */
static bool is_void(const struct contract_call *call, const struct market_record *market,
                    struct timestamp period_start)
{
    return market->state != MARKET_OPEN ||
           timestamp_compare(call->context->time, period_start) >= 0;
}

static void clear_book(struct contract_call *call, const struct book_id *book,
                       const struct market_record *market)
{
    struct network_record network;
    struct state_key key = state_key_name(STATE_NETWORK, &market->terms.network);
    if (is_void(call, market, book->period_start) ||
        !book_read(call, &key, &network_record_codec, &network)) {
        return;
    }
    struct clearing clearing = {.call = call,
                                .scratch = ledger_capacity_scratch(call->ledger),
                                .book = ledger_book_scratch(call->ledger),
                                .grid = ledger_grid(call->ledger),
                                .market = *market,
                                .payee = network.operator_name};
    grid_open(call, clearing.grid, &market->terms, book->period_start,
              (enum direction)book->direction, GRID_UNPUBLISHED_IS_CLOSED);
    load(&clearing, book);
    if (!call->view->fault && clearing.book->count > 0) {
        solve(&clearing);
        settle(&clearing);
    }
    grid_close(call, clearing.grid);
}

/* Whether the block has room for a book of that many requests: for its events, which auctions may have
 * taken, and, but for the first one, in the clearings' share of work. */
static bool has_room(const struct contract_call *call, const struct book_id *book,
                     const struct market_create *terms, uint64_t done)
{
    struct state_key key = book_key(STATE_BOOK_SIZE, book);
    struct book_size_record size = {0};
    (void)contract_read(call, &key, &book_size_record_codec, &size);
    MUST(size.open <= capacity_requests_max(terms));
    uint64_t slots = (uint64_t)(duration_ms(terms->times.mtu) / COMMITMENT_SLOT_MS) *
                     terms->times.mtus_per_period;
    uint64_t work = size.open * (CAPACITY_WORK_PER_REQUEST + slots) + LIMIT_NETWORK_NODES * slots;
    size_t events = (size_t)size.open * CAPACITY_EVENT_BYTES + BOOK_EVENTS_RESERVE;
    return contract_event_room(call) >= events &&
           (done == 0 || done + work <= LIMIT_WORK_OF_CLEARINGS);
}

void capacity_clear_due(struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_CLEARING);
    const uint64_t work_before = contract_work(call);
    for (uint32_t i = 0; i < LEDGER_BOOKS_PER_BLOCK_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        struct timestamp gate;
        struct market_record market;
        if (!contract_next(call, book_key_view(&prefix), bytes_view_of(NULL, 0), &key, &value)) {
            return;
        }
        struct book_id book = book_of_due(&key, &gate);
        struct state_key market_key = state_key_name(STATE_MARKET, &book.market);
        if (timestamp_compare(gate, call->context->time) > 0 ||
            !book_read(call, &market_key, &market_record_codec, &market) ||
            !has_room(call, &book, &market.terms, i == 0 ? 0 : contract_work(call) - work_before)) {
            return;
        }
        clear_book(call, &book, &market);
        contract_remove(call, &key);
    }
}
