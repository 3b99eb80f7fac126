/* The batch call of a book at the end of a block (market-rules 4 and 5; D5.5 2.2.4;
 * docs/spec/market.md 4 to 7).
 *
 * All orders of one block are one batch: nobody trades until the block ends, and then every touched
 * book has one call over what rests and what is new, so that the place inside a block is worth nothing.
 *
 * Not every order takes any part: some trade whole or not at all, some ask for a first fill that is large
 * enough. Where the call gives such an order too little, it sits the call out, the last in priority first,
 * and the rest is called again. Who sat out, for that or because it crosses an order of its owner's, has a
 * second chance on what still crosses afterwards, as in a continuous book.
 *
 * Invariants:
 * 1. No participant's buy meets its own sell. After a call, orders of different participants cross only if
 *    one of them trades whole or asks, or asked, for a least first fill; the next call sees them again.
 * 2. No order gets less than it takes.
 * 3. The result of a block's calls does not depend on the order of its transactions.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: entering and leaving a book (book.c), deals (book_deal.c), the arithmetic of a call
 * (call.c), a search for the best set of orders that trade whole: auctions have that. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/book_internal.h"
#include "contracts/call.h"

struct book_scratch *book_scratch_create(void)
{
    return calloc(1, sizeof(struct book_scratch));
}

void book_scratch_destroy(struct book_scratch *scratch)
{
    free(scratch);
}

/* --- loading ------------------------------------------------------------------------------ */

static bool best_price(struct contract_call *call, const struct book_id *book, uint8_t side,
                       struct energy_price *price)
{
    struct state_key key = {.size = 0};
    struct order_record order;
    if (!book_side_next(call, book, side, &key) ||
        !book_read_order(call, book_index_order(&key), &order)) {
        return false;
    }
    *price = order.price;
    return true;
}

/* Loads the orders of one side that may trade and cross `limit`, the other side's best price: no other
 * order can trade or bear on the price. */
static void load_side(struct contract_call *call, struct book_scratch *scratch,
                      const struct book_id *book, const struct market_create *terms, uint8_t side,
                      struct energy_price limit)
{
    struct state_key key = {.size = 0};
    while (book_side_next(call, book, side, &key)) {
        uint64_t id = book_index_order(&key);
        struct order_record order;
        if (!book_read_order(call, id, &order)) {
            return;
        }
        int compared = energy_price_compare(order.price, limit);
        if (side == SIDE_BUY ? compared < 0 : compared > 0) {
            return;
        }
        if (!book_may_trade(call, &order, terms)) {
            continue;
        }
        MUST(scratch->count < BOOK_ENTRIES_MAX);
        struct book_entry *entry = &scratch->entries[scratch->count++];
        entry->id = id;
        entry->participant = order.participant;
        entry->place = book_grid_place(call, ledger_grid(call->ledger), terms, &order);
        entry->height = order.height;
        entry->tie = order.tie;
        entry->price = order.price;
        entry->open = order.open;
        entry->least = book_least(&order);
        entry->side = side;
        entry->sits_out = false;
    }
}

/* False if nothing crosses. */
static bool load_crossing(struct contract_call *call, struct book_scratch *scratch,
                          const struct book_id *book, const struct market_create *terms)
{
    scratch->count = 0;
    struct energy_price bid;
    struct energy_price ask;
    if (!best_price(call, book, SIDE_BUY, &bid) || !best_price(call, book, SIDE_SELL, &ask) ||
        energy_price_compare(bid, ask) < 0) {
        return false;
    }
    load_side(call, scratch, book, terms, SIDE_BUY, ask);
    uint32_t buys = scratch->count;
    load_side(call, scratch, book, terms, SIDE_SELL, bid);
    return buys > 0 && scratch->count > buys;
}

/* --- self-trade --------------------------------------------------------------------------- */

static bool entry_is_earlier(const struct book_entry *a, const struct book_entry *b)
{
    if (a->height != b->height) {
        return a->height < b->height;
    }
    return a->tie != b->tie ? a->tie < b->tie : a->id < b->id;
}

static bool owner_before(const void *context, uint32_t a, uint32_t b)
{
    const struct book_entry *entries = context;
    const struct book_entry *x = &entries[a];
    const struct book_entry *y = &entries[b];
    int compared = name_compare(&x->participant, &y->participant);
    return compared != 0 ? compared < 0 : entry_is_earlier(x, y);
}

/* Marks who sits the call out, so that no two orders of one participant that are left in cross
 * (market-rules 4): each participant's orders are let in one by one, the earliest first, and one that
 * crosses an own order already in is not. True if any sits out. */
static bool sit_out_own(struct book_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->count; i++) {
        scratch->index[i] = i;
    }
    call_sort(scratch->index, scratch->count, owner_before, scratch->entries);
    bool any = false;
    const struct book_entry *best[2] = {NULL, NULL};
    const struct book_entry *previous = NULL;
    for (uint32_t i = 0; i < scratch->count; i++) {
        struct book_entry *entry = &scratch->entries[scratch->index[i]];
        if (previous == NULL || name_compare(&previous->participant, &entry->participant) != 0) {
            best[SIDE_BUY] = NULL;
            best[SIDE_SELL] = NULL;
        }
        previous = entry;
        bool buys = entry->side == SIDE_BUY;
        const struct book_entry *other = best[buys ? SIDE_SELL : SIDE_BUY];
        int gap = other == NULL ? 0 : energy_price_compare(entry->price, other->price);
        entry->sits_out = other != NULL && (buys ? gap >= 0 : gap <= 0);
        any = any || entry->sits_out;
        const struct book_entry *same = best[entry->side];
        int lead = same == NULL ? 0 : energy_price_compare(entry->price, same->price);
        if (!entry->sits_out && (same == NULL || (buys ? lead > 0 : lead < 0))) {
            best[entry->side] = entry;
        }
    }
    return any;
}

/* --- the call ----------------------------------------------------------------------------- */

static struct call_side fill_side(struct book_scratch *scratch, uint8_t which, int64_t step,
                                  uint64_t batch_from)
{
    struct book_side *side = &scratch->sides[which];
    side->count = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct book_entry *entry = &scratch->entries[i];
        if (entry->side != which || entry->sits_out) {
            continue;
        }
        MUST(energy_wh(entry->open) % step == 0);
        /* Entries were loaded in the index's order, so their places are their ranks in time. */
        side->orders[side->count] = (struct call_order){
            .price = energy_price_ueur_per_kwh(entry->price),
            .quantity = energy_wh(entry->open) / step,
            .rank = i,
            .resting = entry->height < batch_from,
        };
        side->entry[side->count++] = i;
    }
    struct call_side out = {side->count, side->orders, side->accepted, side->priority};
    return out;
}

/* Calls of one book in one block that take out one order each, before all that might be taken out are. */
enum { BOOK_CALLS_AGAIN_MAX = 64 };
/* Orders that one of them looks at for a unit of work. */
enum { BOOK_ENTRIES_PER_WORK = 16 };

/* Both sides as the call sees them. */
struct book_sides {
    struct call_side buys;
    struct call_side sells;
    int64_t step;
};

static void take_out(struct book_scratch *scratch, uint8_t which, uint32_t at)
{
    struct book_side *side = &scratch->sides[which];
    side->orders[at].quantity = 0;
    scratch->entries[side->entry[at]].sits_out = true;
}

/* Takes out the last order in priority that the call gives less than it takes. False if there is none. */
static bool take_out_misfit(struct book_scratch *scratch, uint8_t which, int64_t step)
{
    struct book_side *side = &scratch->sides[which];
    for (uint32_t place = side->count; place > 0; place--) {
        uint32_t at = side->priority[place - 1];
        const struct book_entry *entry = &scratch->entries[side->entry[at]];
        if (side->accepted[at] > 0 && side->accepted[at] * step < energy_wh(entry->least)) {
            take_out(scratch, which, at);
            return true;
        }
    }
    return false;
}

static void take_out_all_that_ask(struct book_scratch *scratch, uint8_t which)
{
    struct book_side *side = &scratch->sides[which];
    for (uint32_t at = 0; at < side->count; at++) {
        if (energy_wh(scratch->entries[side->entry[at]].least) > 0) {
            take_out(scratch, which, at);
        }
    }
}

/* One call over the loaded orders that do not sit out, and again until every order gets as much as it
 * takes. True if orders were taken out for it. */
static bool call_until_all_fit(struct contract_call *call, struct book_scratch *scratch,
                               const struct book_sides *sides, enum call_tie tie,
                               struct call_result *result)
{
    struct call_scratch working = {scratch->index, scratch->remainder};
    MUST(call_clear(result, &sides->buys, &sides->sells, tie, &working));
    uint32_t again = 0;
    while (take_out_misfit(scratch, SIDE_BUY, sides->step) ||
           take_out_misfit(scratch, SIDE_SELL, sides->step)) {
        MUST(again <= BOOK_CALLS_AGAIN_MAX);
        if (again == BOOK_CALLS_AGAIN_MAX) {
            take_out_all_that_ask(scratch, SIDE_BUY);
            take_out_all_that_ask(scratch, SIDE_SELL);
        }
        again++;
        contract_spend(call, scratch->count / BOOK_ENTRIES_PER_WORK + 1);
        call_clear_again(result, &sides->buys, &sides->sells, tie, &working);
    }
    return again > 0;
}

/* Calls and makes the deals. True if somebody was taken out of the call. */
static bool clear_loaded(struct contract_call *call, struct book_scratch *scratch,
                         const struct market_record *market, uint64_t batch_from)
{
    int64_t step = energy_wh(market->terms.limits.quantity_step);
    enum call_tie tie = market->terms.clearing.tie == TIE_TIME ? CALL_TIE_TIME : CALL_TIE_PRO_RATA;
    struct book_sides sides = {fill_side(scratch, SIDE_BUY, step, batch_from),
                               fill_side(scratch, SIDE_SELL, step, batch_from), step};
    struct call_result result;
    bool taken_out = call_until_all_fit(call, scratch, &sides, tie, &result);
    struct call_pairing pairing = {0};
    struct call_trade trade;
    while (call_next_trade(&pairing, &trade, &sides.buys, &sides.sells)) {
        const struct book_entry *buy = &scratch->entries[scratch->sides[SIDE_BUY].entry[trade.buy]];
        const struct book_entry *sell =
            &scratch->entries[scratch->sides[SIDE_SELL].entry[trade.sell]];
        book_make_deal(call, market, buy->id, sell->id, energy_of(trade.quantity * step),
                       energy_price_of(result.price));
        grid_sell(ledger_grid(call->ledger), sell->place, energy_of(trade.quantity * step));
    }
    return taken_out;
}

/* --- what still crosses after the call ------------------------------------------------------ */

/* As in a continuous book: each buy in priority takes the best sells that are not its own, at the price of
 * the earlier of the two. */
struct rest {
    struct contract_call *call;
    const struct market_record *market;
    struct book_scratch *scratch;
    uint32_t buys;  /* entries below are buys, the others sells, each in priority */
    uint32_t steps; /* what is left of BOOK_REST_STEPS */
};

/* Sells that buys may look at where orders can pass each other over. */
enum { BOOK_REST_STEPS = 1 << 20, BOOK_REST_STEPS_PER_WORK = 64 };

static void trade_rest(const struct rest *rest, struct book_entry *buy, struct book_entry *sell,
                       struct energy traded)
{
    struct energy_price price = entry_is_earlier(buy, sell) ? buy->price : sell->price;
    book_make_deal(rest->call, rest->market, buy->id, sell->id, traded, price);
    grid_sell(ledger_grid(rest->call->ledger), sell->place, traded);
    MUST(energy_sub(&buy->open, buy->open, traded));
    MUST(energy_sub(&sell->open, sell->open, traded));
    /* Whoever asks for a first fill has had it; whoever trades whole has nothing left. */
    buy->least = energy_of(0);
    sell->least = energy_of(0);
}

static bool same_owner(const struct book_entry *a, const struct book_entry *b)
{
    return name_compare(&a->participant, &b->participant) == 0;
}

/* How much a buy would get from the sells in priority: whom, in `index`, and how much, in `remainder`.
 * False if the steps did not suffice. */
static bool plan_buy(struct rest *rest, const struct book_entry *buy, uint32_t *planned,
                     struct energy *wanted)
{
    struct book_scratch *scratch = rest->scratch;
    *planned = 0;
    *wanted = buy->open;
    for (uint32_t i = rest->buys; i < scratch->count && energy_wh(*wanted) > 0; i++) {
        const struct book_entry *sell = &scratch->entries[i];
        if (energy_price_compare(sell->price, buy->price) > 0) {
            break;
        }
        if (rest->steps == 0) {
            return false;
        }
        rest->steps--;
        struct energy take = energy_min(*wanted, sell->open);
        if (energy_wh(take) == 0 || same_owner(sell, buy) ||
            energy_compare(take, sell->least) < 0) {
            continue;
        }
        scratch->index[*planned] = i;
        scratch->remainder[*planned] = energy_wh(take);
        (*planned)++;
        MUST(energy_sub(wanted, *wanted, take));
    }
    return true;
}

/* The buys in priority, whatever they and the sells ask for. Returns the first one that the steps did not
 * suffice for. */
static uint32_t match_all_kinds(struct rest *rest)
{
    struct book_scratch *scratch = rest->scratch;
    for (uint32_t b = 0; b < rest->buys; b++) {
        struct book_entry *buy = &scratch->entries[b];
        uint32_t planned;
        struct energy left;
        struct energy got;
        if (!plan_buy(rest, buy, &planned, &left)) {
            return b;
        }
        MUST(energy_sub(&got, buy->open, left));
        if (energy_compare(got, buy->least) < 0) {
            continue;
        }
        for (uint32_t i = 0; i < planned; i++) {
            trade_rest(rest, buy, &scratch->entries[scratch->index[i]],
                       energy_of(scratch->remainder[i]));
        }
    }
    return rest->buys;
}

/* The sells of a book in priority that take any part, and the best ones that still have something:
 * `head`, and `other`, the best one of anybody else. Both only ever move on. */
struct sell_walk {
    struct book_entry *entries;
    uint32_t count;
    uint32_t head;
    uint32_t other;
};

static bool sell_is_out(const struct book_entry *sell)
{
    return energy_wh(sell->open) == 0 || energy_wh(sell->least) > 0;
}

/* The best sell that is not `buy`'s own; NULL if there is none. */
static struct book_entry *best_sell(struct sell_walk *walk, const struct book_entry *buy)
{
    while (walk->head < walk->count && sell_is_out(&walk->entries[walk->head])) {
        walk->head++;
    }
    if (walk->head == walk->count) {
        return NULL;
    }
    struct book_entry *head = &walk->entries[walk->head];
    if (!same_owner(head, buy)) {
        return head;
    }
    if (walk->other <= walk->head) {
        walk->other = walk->head + 1;
    }
    while (walk->other < walk->count && (sell_is_out(&walk->entries[walk->other]) ||
                                         same_owner(&walk->entries[walk->other], head))) {
        walk->other++;
    }
    return walk->other < walk->count ? &walk->entries[walk->other] : NULL;
}

/* The same for the buys from `from` on that take any part, with the sells that do, in time that grows with
 * their number alone. */
static void match_divisible(struct rest *rest, uint32_t from)
{
    struct sell_walk walk = {
        .entries = rest->scratch->entries, .count = rest->scratch->count, .head = rest->buys};
    for (uint32_t i = from; i < rest->buys; i++) {
        struct book_entry *buy = &rest->scratch->entries[i];
        while (energy_wh(buy->open) > 0 && energy_wh(buy->least) == 0) {
            struct book_entry *sell = best_sell(&walk, buy);
            if (sell == NULL || energy_price_compare(sell->price, buy->price) > 0) {
                break;
            }
            trade_rest(rest, buy, sell, energy_min(buy->open, sell->open));
        }
    }
}

static void match_rest(struct contract_call *call, struct book_scratch *scratch,
                       const struct market_record *market)
{
    struct rest rest = {.call = call, .market = market, .scratch = scratch};
    rest.steps = BOOK_REST_STEPS;
    bool any_asks = false;
    for (uint32_t i = 0; i < scratch->count; i++) {
        rest.buys += scratch->entries[i].side == SIDE_BUY;
        any_asks = any_asks || energy_wh(scratch->entries[i].least) > 0;
    }
    uint32_t from = any_asks ? match_all_kinds(&rest) : 0;
    contract_spend(call, (BOOK_REST_STEPS - rest.steps) / BOOK_REST_STEPS_PER_WORK);
    match_divisible(&rest, from);
}

/* --- the block's end ------------------------------------------------------------------------ */

/* Walks the book's immediate orders; the first one with an empty `at`. */
static bool next_immediate(const struct contract_call *call, const struct book_id *book,
                           struct state_key *at)
{
    struct state_key prefix = book_key(STATE_IMMEDIATE, book);
    struct bytes_view value;
    return contract_next(call, book_key_view(&prefix), book_key_view(at), at, &value);
}

static uint32_t count_immediates(const struct contract_call *call, const struct book_id *book)
{
    struct state_key at = {.size = 0};
    uint32_t count = 0;
    while (next_immediate(call, book, &at)) {
        MUST(count < LIMIT_OPEN_ORDERS_PER_BOOK);
        count++;
    }
    return count;
}

static bool events_fit(const struct contract_call *call, uint32_t trades_max, uint32_t ends_max)
{
    size_t need = (size_t)trades_max * BOOK_TRADE_EVENT_BYTES +
                  (size_t)ends_max * BOOK_END_EVENT_BYTES +
                  BOOK_GRID_EVENTS_MAX * BOOK_GRID_EVENT_BYTES + BOOK_EVENTS_RESERVE;
    return contract_event_room(call) >= need;
}

_Static_assert((int)LIMIT_OPEN_ORDERS_PER_BOOK *(int)(BOOK_TRADE_EVENT_BYTES +
                                                      BOOK_END_EVENT_BYTES) +
                       (int)BOOK_GRID_EVENTS_MAX * (int)BOOK_GRID_EVENT_BYTES +
                       (int)BOOK_EVENTS_RESERVE <=
                   (int)LEDGER_BLOCK_EVENTS_BYTES_MAX,
               "the first book that a block calls has room for its deals and what the grid cut");

/* Cancels what its call has left of the orders below height `before` that do not outlive it. False if the
 * ends of this block have done their share of work. */
static bool end_immediates(struct contract_call *call, const struct book_id *book,
                           const struct market_create *terms, uint64_t before)
{
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    struct state_key at = {.size = 0};
    while (next_immediate(call, book, &at)) {
        struct order_record order;
        uint64_t id = book_index_order(&at);
        uint64_t work = contract_work(call);
        if (!book_read_order(call, id, &order) || order.height >= before) {
            return true;
        }
        if (scratch->work_of_ends > LIMIT_WORK_OF_ENDS || !events_fit(call, 0, 1)) {
            return false;
        }
        book_end_order(call, id, &order, terms, ORDER_CANCELLED);
        scratch->work_of_ends += contract_work(call) - work;
    }
    return true;
}

/* Trades what crosses. False if there was no room for the events of what sat out and still crosses. */
static bool trade_loaded(struct contract_call *call, const struct book_id *book,
                         const struct market_record *market, uint64_t batch_from,
                         uint32_t immediates)
{
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    bool sat_out = sit_out_own(scratch);
    bool cut = book_grid_admit(call, scratch, true);
    bool taken_out = clear_loaded(call, scratch, market, batch_from);
    grid_forget(ledger_grid(call->ledger));
    if ((!sat_out && !taken_out && !cut) || !load_crossing(call, scratch, book, &market->terms)) {
        return true;
    }
    if (!events_fit(call, scratch->count, immediates)) {
        return false;
    }
    (void)book_grid_admit(call, scratch, false);
    match_rest(call, scratch, market);
    return true;
}

enum outcome {
    BOOK_CALLED,
    BOOK_PUT_OFF, /* as it was, or called and not yet matched further */
    BOOK_ENDING   /* called, and orders that do not rest are still to end */
};

/* Calls one book, whose batch is what arrived at or after height `batch_from`. Puts it off if the calls of
 * this block have done their share of work, there is no room left for the events, or its market is
 * suspended. */
static enum outcome call_book(struct contract_call *call, const struct book_id *book,
                              const struct market_record *market, uint64_t batch_from)
{
    struct book_times times;
    MUST(book_times_of(&times, &market->terms, book->period_start));
    uint64_t next = call->context->height + 1;
    if (timestamp_compare(call->context->time, times.gate) >= 0) {
        return BOOK_CALLED;
    }
    /* Whoever stops a market means trade, also of orders that meet in the block in which it stops. */
    if (market->state == MARKET_CLOSED) {
        return end_immediates(call, book, &market->terms, next) ? BOOK_CALLED : BOOK_ENDING;
    }
    if (market->state == MARKET_SUSPENDED || contract_work(call) > LIMIT_WORK_OF_CALLS) {
        return BOOK_PUT_OFF;
    }
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    struct grid *grid = ledger_grid(call->ledger);
    grid_open(call, grid, &market->terms, book->period_start, (enum direction)book->direction,
              GRID_UNPUBLISHED_IS_FREE);
    bool crossing = load_crossing(call, scratch, book, &market->terms);
    uint32_t immediates = count_immediates(call, book);
    if (!events_fit(call, scratch->count, immediates)) {
        return BOOK_PUT_OFF;
    }
    bool done = !crossing || trade_loaded(call, book, market, batch_from, immediates);
    grid_close(call, grid);
    if (!done) {
        return BOOK_PUT_OFF;
    }
    return end_immediates(call, book, &market->terms, next) ? BOOK_CALLED : BOOK_ENDING;
}

/* Calls a book and remembers what the block has left to do of it. */
static void call_and_remember(struct contract_call *call, const struct book_id *book,
                              const struct market_record *market, uint64_t batch_from)
{
    struct state_key key = book_key(STATE_BOOK_LATE, book);
    struct book_late_record late = {.since = batch_from};
    switch (call_book(call, book, market, batch_from)) {
    case BOOK_CALLED:
        if (contract_exists(call, &key)) {
            contract_remove(call, &key);
        }
        return;
    case BOOK_PUT_OFF:
        break;
    case BOOK_ENDING:
        late.since = call->context->height + 1;
        late.ended = late.since;
        break;
    }
    contract_write(call, &key, &book_late_record_codec, &late);
}

static bool read_market(const struct contract_call *call, const struct book_id *book,
                        struct market_record *market)
{
    struct state_key key = state_key_name(STATE_MARKET, &book->market);
    return book_read(call, &key, &market_record_codec, market);
}

static uint32_t load_late(struct contract_call *call, struct book_scratch *scratch)
{
    struct state_key prefix = state_key_single(STATE_BOOK_LATE);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    uint32_t count = 0;
    while (count < LEDGER_BOOKS_PER_BLOCK_MAX &&
           contract_next(call, book_key_view(&prefix), book_key_view(&at), &at, &value)) {
        struct late_book *book = &scratch->late[count];
        if (!book_read(call, &at, &book_late_record_codec, &book->late)) {
            break;
        }
        book->key = at;
        scratch->late_order[count] = count;
        count++;
    }
    return count;
}

static bool late_before(const void *context, uint32_t a, uint32_t b)
{
    const struct late_book *late = context;
    return late[a].late.since != late[b].late.since ? late[a].late.since < late[b].late.since
                                                    : a < b;
}

/* Books that earlier blocks have left something of, each with the batch that it had then. The one that has
 * waited longest is first, or books with low keys, touched in every block, could put it off for ever.
 * Returns how many there were. */
static uint32_t call_late(struct contract_call *call)
{
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    const uint32_t count = load_late(call, scratch);
    call_sort(scratch->late_order, count, late_before, scratch->late);
    for (uint32_t i = 0; i < count; i++) {
        const struct late_book *at = &scratch->late[scratch->late_order[i]];
        const struct book_id book = book_of_key(&at->key);
        struct market_record market;
        if (read_market(call, &book, &market) &&
            end_immediates(call, &book, &market.terms, at->late.ended)) {
            call_and_remember(call, &book, &market, at->late.since);
        }
    }
    return count;
}

void book_call_touched(struct contract_call *call)
{
    struct market_record market;
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    scratch->work_of_ends = 0;
    const uint32_t late_count = call_late(call);
    const uint32_t count = ledger_touched_count(call->ledger);
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct book_id book = book_of_key(ledger_touched_book(call->ledger, i));
        const struct state_key key = book_key(STATE_BOOK_LATE, &book);
        /* Both lists are sorted by key. Who was late has had its turn, with what is new in it. */
        while (at < late_count && state_key_compare(&scratch->late[at].key, &key) < 0) {
            at++;
        }
        bool was_late = at < late_count && state_key_compare(&scratch->late[at].key, &key) == 0;
        if (!was_late && !contract_exists(call, &key) && read_market(call, &book, &market)) {
            call_and_remember(call, &book, &market, call->context->height);
        }
    }
}
