/* The batch call of a book at the end of a block (market-rules 4 and 5; D5.5 2.2.4;
 * docs/spec/market.md 4 to 7).
 *
 * All orders of one block are one batch: nobody trades until the block ends, and then every touched
 * book has one call over what rests and what is new, so that the place inside a block is worth nothing.
 *
 * Invariants:
 * 1. No participant's buy meets its own sell. After a call no orders of different participants cross.
 * 2. The result of a block's calls does not depend on the order of its transactions.
 * 3. What a trade frees of an order's pot goes to the deal, as much as the deal can need, and back to
 *    its owner; nothing else takes from it.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: entering and leaving a book (book.c), the arithmetic of a call (call.c). */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/book_internal.h"
#include "contracts/call.h"

/* One loaded order. */
struct book_entry {
    uint64_t id;
    struct name participant;
    uint64_t height;
    uint64_t tie;
    struct energy_price price;
    struct energy open;
    uint8_t side;
    bool sits_out;
};

enum { BOOK_ENTRIES_MAX = LIMIT_OPEN_ORDERS_PER_BOOK };

/* The arrays that call.c works on, for one side. */
struct book_side {
    uint32_t count;
    uint32_t entry[BOOK_ENTRIES_MAX]; /* which loaded order stands here */
    struct call_order orders[BOOK_ENTRIES_MAX];
    int64_t accepted[BOOK_ENTRIES_MAX];
    uint32_t priority[BOOK_ENTRIES_MAX];
};

struct book_scratch {
    uint32_t count;
    struct book_entry entries[BOOK_ENTRIES_MAX];
    struct book_side sides[2];
    uint32_t index[BOOK_ENTRIES_MAX];
    int64_t remainder[BOOK_ENTRIES_MAX];
};

struct book_scratch *book_scratch_create(void)
{
    return calloc(1, sizeof(struct book_scratch));
}

void book_scratch_destroy(struct book_scratch *scratch)
{
    free(scratch);
}

/* --- loading ------------------------------------------------------------------------------ */

static bool side_next(struct contract_call *call, const struct book_id *book, uint8_t side,
                      struct state_key *at, bool first)
{
    struct state_key prefix = book_key(STATE_BOOK, book);
    MUST(prefix.size < sizeof prefix.bytes);
    prefix.bytes[prefix.size++] = side;
    struct bytes_view after = first ? bytes_view_of(NULL, 0) : book_key_view(at);
    struct bytes_view value;
    return contract_next(call, book_key_view(&prefix), after, at, &value);
}

static bool read_order(struct contract_call *call, uint64_t id, struct order_record *order)
{
    struct state_key key = state_key_u64(STATE_ORDER, id);
    if (!book_read(call, &key, &order_record_codec, order)) {
        return false;
    }
    MUST(order->status == ORDER_OPEN && energy_wh(order->open) > 0);
    return true;
}

static bool best_price(struct contract_call *call, const struct book_id *book, uint8_t side,
                       struct energy_price *price)
{
    struct state_key key;
    struct order_record order;
    if (!side_next(call, book, side, &key, true) ||
        !read_order(call, book_index_order(&key), &order)) {
        return false;
    }
    *price = order.price;
    return true;
}

/* Loads the orders of one side that cross `limit`, the other side's best price: no other order can
 * trade or bear on the price. */
static void load_side(struct contract_call *call, struct book_scratch *scratch,
                      const struct book_id *book, uint8_t side, struct energy_price limit)
{
    struct state_key key;
    for (bool first = true; side_next(call, book, side, &key, first); first = false) {
        uint64_t id = book_index_order(&key);
        struct order_record order;
        if (!read_order(call, id, &order)) {
            return;
        }
        int compared = energy_price_compare(order.price, limit);
        if (side == SIDE_BUY ? compared < 0 : compared > 0) {
            return;
        }
        MUST(scratch->count < BOOK_ENTRIES_MAX);
        struct book_entry *entry = &scratch->entries[scratch->count++];
        entry->id = id;
        entry->participant = order.participant;
        entry->height = order.height;
        entry->tie = order.tie;
        entry->price = order.price;
        entry->open = order.open;
        entry->side = side;
        entry->sits_out = false;
    }
}

/* False if nothing crosses. */
static bool load_crossing(struct contract_call *call, struct book_scratch *scratch,
                          const struct book_id *book)
{
    scratch->count = 0;
    struct energy_price bid;
    struct energy_price ask;
    if (!best_price(call, book, SIDE_BUY, &bid) || !best_price(call, book, SIDE_SELL, &ask) ||
        energy_price_compare(bid, ask) < 0) {
        return false;
    }
    load_side(call, scratch, book, SIDE_BUY, ask);
    load_side(call, scratch, book, SIDE_SELL, bid);
    return true;
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

/* Moves a request's escrow to its deal. The order's pot goes from ceil(p x open) to ceil(p x rest),
 * which frees at least floor(p x traded), so the deal can always be paid at a price not above p.
 * What the price leaves over goes back to the buyer at once. Where the order's one rounding-up is
 * used up, the deal's escrow is rounded down. */
static struct money fund_deal(struct contract_call *call, uint64_t order_id, uint64_t deal_id,
                              const struct order_record *order, struct energy rest,
                              struct energy traded, struct energy_price price)
{
    struct money held = token_amount(call, pot_order_escrow(order_id));
    struct money freed;
    if (call->view->fault) {
        return money_of(0);
    }
    MUST(money_compare(held, book_escrow(order->price, order->open)) == 0);
    MUST(money_sub(&freed, held, book_escrow(order->price, rest)));
    struct money escrow = money_min(book_escrow(price, traded), freed);
    struct money payable;
    struct money trimmed;
    MUST(money_from_neur_floor(&payable, energy_price_times_neur(price, traded)));
    MUST(money_compare(escrow, payable) >= 0);
    MUST(money_sub(&trimmed, freed, escrow));
    book_move(call, pot_order_escrow(order_id), pot_deal_escrow(deal_id), escrow);
    book_move(call, pot_order_escrow(order_id), pot_balance(&order->participant), trimmed);
    return escrow;
}

/* Moves an offer's deposit to its deal, as much of it as the traded part frees. A pot that was rounded
 * up as a whole frees at least the floor, and what the parts' own rounding leaves goes back at once. */
static struct money fund_deposit(struct contract_call *call, uint64_t order_id, uint64_t deal_id,
                                 const struct order_record *order, struct energy rest,
                                 struct energy traded)
{
    struct money freed;
    struct money trimmed;
    MUST(money_sub(&freed, book_escrow(order->deposit_price, order->open),
                   book_escrow(order->deposit_price, rest)));
    struct money deposit = money_min(book_escrow(order->deposit_price, traded), freed);
    MUST(money_sub(&trimmed, freed, deposit));
    book_move(call, pot_order_escrow(order_id), pot_deal_deposit(deal_id), deposit);
    book_move(call, pot_order_escrow(order_id), pot_balance(&order->participant), trimmed);
    return deposit;
}

/* Stores what is left of an order after a trade. */
static void reduce_order(struct contract_call *call, uint64_t id, struct order_record *order,
                         const struct market_create *terms, struct energy rest)
{
    MUST(energy_wh(rest) >= 0);
    book_share_moves(call, order, order->open, rest);
    order->open = rest;
    if (energy_wh(rest) == 0) {
        book_leave(call, id, order, terms, ORDER_FILLED);
        return;
    }
    struct state_key key = state_key_u64(STATE_ORDER, id);
    contract_write(call, &key, &order_record_codec, order);
}

static uint64_t next_deal_id(struct contract_call *call)
{
    struct counters_record counters = {0};
    struct state_key key = state_key_single(STATE_COUNTERS);
    (void)book_read(call, &key, &counters_record_codec, &counters);
    counters.deals++;
    contract_write(call, &key, &counters_record_codec, &counters);
    return counters.deals;
}

static void make_deal(struct contract_call *call, const struct market_record *market,
                      uint64_t buy_id, uint64_t sell_id, struct energy traded,
                      struct energy_price price)
{
    const struct market_create *terms = &market->terms;
    struct order_record buy;
    struct order_record sell;
    if (!read_order(call, buy_id, &buy) || !read_order(call, sell_id, &sell)) {
        return;
    }
    MUST(name_compare(&buy.participant, &sell.participant) != 0);
    MUST(energy_price_compare(sell.price, price) <= 0);
    MUST(energy_price_compare(price, buy.price) <= 0);
    struct energy buy_rest;
    struct energy sell_rest;
    MUST(energy_sub(&buy_rest, buy.open, traded));
    MUST(energy_sub(&sell_rest, sell.open, traded));
    struct book_times times;
    MUST(book_times_of(&times, terms, buy.period_start));

    uint64_t id = next_deal_id(call);
    struct event_deal event = {
        .id = id,
        .deal = {.market = buy.market,
                 .direction = buy.direction,
                 .state = DEAL_MATCHED,
                 .buyer = buy.participant,
                 .seller = sell.participant,
                 .device = sell.device,
                 .buy_order = buy_id,
                 .sell_order = sell_id,
                 .period_start = buy.period_start,
                 .contracted = traded,
                 .price = price,
                 .schedule_hash = sell.schedule_hash,
                 .matched_height = call->context->height,
                 .proof_deadline = times.proof,
                 .version = market->version,
                 .reservation = sell.reservation},
    };
    event.deal.escrow = fund_deal(call, buy_id, id, &buy, buy_rest, traded, price);
    event.deal.deposit = fund_deposit(call, sell_id, id, &sell, sell_rest, traded);
    reduce_order(call, buy_id, &buy, terms, buy_rest);
    reduce_order(call, sell_id, &sell, terms, sell_rest);
    struct state_key key = state_key_u64(STATE_DEAL, id);
    contract_write(call, &key, &deal_record_codec, &event.deal);
    struct state_key deadline = state_key_deadline(times.proof, DEADLINE_PROOF, id);
    contract_write_index(call, &deadline);
    contract_event(call, EVENT_DEAL_MATCHED, &event);
}

/* One call over the loaded orders that do not sit out. */
static void clear_loaded(struct contract_call *call, struct book_scratch *scratch,
                         const struct market_record *market, uint64_t batch_from)
{
    int64_t step = energy_wh(market->terms.limits.quantity_step);
    enum call_tie tie = market->terms.clearing.tie == TIE_TIME ? CALL_TIE_TIME : CALL_TIE_PRO_RATA;
    struct call_side buys = fill_side(scratch, SIDE_BUY, step, batch_from);
    struct call_side sells = fill_side(scratch, SIDE_SELL, step, batch_from);
    struct call_scratch working = {scratch->index, scratch->remainder};
    struct call_result result;
    MUST(call_clear(&result, &buys, &sells, tie, &working));
    struct call_pairing pairing = {0};
    struct call_trade trade;
    while (call_next_trade(&pairing, &trade, &buys, &sells)) {
        const struct book_entry *buy = &scratch->entries[scratch->sides[SIDE_BUY].entry[trade.buy]];
        const struct book_entry *sell =
            &scratch->entries[scratch->sides[SIDE_SELL].entry[trade.sell]];
        make_deal(call, market, buy->id, sell->id, energy_of(trade.quantity * step),
                  energy_price_of(result.price));
    }
}

/* The sells of a book in priority, and the best ones that still have something: `head`, and `other`,
 * the best one of anybody else. Both only ever move on. */
struct sell_walk {
    struct book_entry *entries;
    uint32_t count;
    uint32_t head;
    uint32_t other;
};

static bool same_owner(const struct book_entry *a, const struct book_entry *b)
{
    return name_compare(&a->participant, &b->participant) == 0;
}

/* The best sell that is not `buy`'s own; NULL if there is none. */
static struct book_entry *best_sell(struct sell_walk *walk, const struct book_entry *buy)
{
    while (walk->head < walk->count && energy_wh(walk->entries[walk->head].open) == 0) {
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
    while (walk->other < walk->count && (energy_wh(walk->entries[walk->other].open) == 0 ||
                                         same_owner(&walk->entries[walk->other], head))) {
        walk->other++;
    }
    return walk->other < walk->count ? &walk->entries[walk->other] : NULL;
}

/* What still crosses after a call that somebody sat out: as in a continuous book, each buy in
 * priority takes the best sells that are not its own, at the price of the earlier of the two. After
 * that, no orders of different participants cross. */
static void match_rest(struct contract_call *call, struct book_scratch *scratch,
                       const struct market_record *market)
{
    uint32_t buys = 0;
    while (buys < scratch->count && scratch->entries[buys].side == SIDE_BUY) {
        buys++;
    }
    struct sell_walk walk = {.entries = scratch->entries, .count = scratch->count, .head = buys};
    for (uint32_t i = 0; i < buys; i++) {
        struct book_entry *buy = &scratch->entries[i];
        while (energy_wh(buy->open) > 0) {
            struct book_entry *sell = best_sell(&walk, buy);
            if (sell == NULL || energy_price_compare(sell->price, buy->price) > 0) {
                break;
            }
            struct energy traded = energy_min(buy->open, sell->open);
            struct energy_price price = entry_is_earlier(buy, sell) ? buy->price : sell->price;
            make_deal(call, market, buy->id, sell->id, traded, price);
            MUST(energy_sub(&buy->open, buy->open, traded));
            MUST(energy_sub(&sell->open, sell->open, traded));
        }
    }
}

static bool events_fit(const struct contract_call *call, uint32_t trades_max)
{
    size_t need = (size_t)trades_max * BOOK_TRADE_EVENT_BYTES + BOOK_EVENTS_RESERVE;
    return contract_event_room(call) >= need;
}

/* Calls one book, whose batch is what arrived at or after height `batch_from`. False if the calls of
 * this block have done their share of work, or there is no room left for the events: then the book is
 * as it was, or called and not yet matched further. */
static bool call_book(struct contract_call *call, const struct book_id *book, uint64_t batch_from)
{
    if (contract_work(call) > LIMIT_WORK_OF_CALLS) {
        return false;
    }
    struct market_record market;
    struct state_key key = state_key_name(STATE_MARKET, &book->market);
    if (!book_read(call, &key, &market_record_codec, &market)) {
        return true;
    }
    struct book_times times;
    MUST(book_times_of(&times, &market.terms, book->period_start));
    if (timestamp_compare(call->context->time, times.gate) >= 0) {
        return true;
    }
    struct book_scratch *scratch = ledger_book_scratch(call->ledger);
    if (!load_crossing(call, scratch, book)) {
        return true;
    }
    if (!events_fit(call, scratch->count)) {
        return false;
    }
    bool sat_out = sit_out_own(scratch);
    clear_loaded(call, scratch, &market, batch_from);
    if (sat_out && load_crossing(call, scratch, book)) {
        if (!events_fit(call, scratch->count)) {
            return false;
        }
        match_rest(call, scratch, &market);
    }
    return true;
}

/* Books put off by earlier blocks, each with the batch that it had then. */
static void call_late(struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_BOOK_LATE);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    for (uint32_t i = 0; i < LEDGER_BOOKS_PER_BLOCK_MAX; i++) {
        struct book_late_record late;
        if (!contract_next(call, book_key_view(&prefix), book_key_view(&at), &at, &value) ||
            !book_read(call, &at, &book_late_record_codec, &late)) {
            return;
        }
        struct book_id book = book_of_key(&at);
        if (call_book(call, &book, late.since)) {
            contract_remove(call, &at);
        }
    }
}

void book_call_touched(struct contract_call *call)
{
    call_late(call);
    uint32_t count = ledger_touched_count(call->ledger);
    for (uint32_t i = 0; i < count; i++) {
        struct book_id book = book_of_key(ledger_touched_book(call->ledger, i));
        struct state_key key = book_key(STATE_BOOK_LATE, &book);
        if (contract_exists(call, &key) || call_book(call, &book, call->context->height)) {
            continue;
        }
        struct book_late_record late = {.since = call->context->height};
        contract_write(call, &key, &book_late_record_codec, &late);
    }
}
