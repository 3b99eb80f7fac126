/* Order books and their batch call (market-rules 4; D5.5 2.2.4; docs/spec/market.md).
 *
 * A book is the set of open orders of one market, direction and delivery period. Its index holds one
 * key per open order, best first:
 *   market | period start | direction | side | price key | height | tie | id
 * where the price key counts up for sells and down for buys. All orders of one block are one batch:
 * nobody trades until the block ends, and then every touched book has one call over what rests and
 * what is new, so that the place inside a block is worth nothing.
 *
 * Invariants:
 * 1. An order is in the index, in the deadline index and in its book's size if and only if it is
 *    open.
 * 2. The escrow pot of an open request holds exactly ceil(price x open), and no other order has one.
 * 3. No participant's buy meets its own sell. After a call no orders of different participants cross.
 * 4. The result of a block's calls does not depend on the order of its transactions.
 * A fault of the view answers "absent" to everything; code here then gives up quietly, and whoever
 * runs the block throws it away.
 *
 * Deliberately absent: who may place what (market.c), order kinds other than limit, indivisible
 * orders, sequential matching. */
#include "contracts/book.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
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

/* --- keys --------------------------------------------------------------------------------- */

struct book_id {
    struct name market;
    uint8_t direction;
    struct timestamp period_start;
};

/* A book's own parts, and with them side, price key, height, tie and order: see records.h. */
enum { BOOK_KEY_SIZE = 1 + NAME_SIZE + 8 + 1, BOOK_INDEX_KEY_SIZE = BOOK_KEY_SIZE + 1 + 4 * 8 };

static struct state_key book_key(enum state_kind kind, const struct book_id *book)
{
    struct state_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    byte_write_raw(&writer, book->market.text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(book->period_start));
    byte_write_u8(&writer, book->direction);
    MUST(!writer.failed && writer.size == BOOK_KEY_SIZE);
    key.size = writer.size;
    return key;
}

static struct book_id book_of_key(const struct state_key *key)
{
    struct book_id book;
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes, key->size);
    (void)byte_read_u8(&reader);
    byte_read_raw(&reader, book.market.text, NAME_SIZE);
    book.period_start = timestamp_of(byte_read_i64(&reader));
    book.direction = byte_read_u8(&reader);
    MUST(byte_reader_done(&reader));
    return book;
}

static struct book_id book_of_order(const struct order_record *order)
{
    struct book_id book = {order->market, order->direction, order->period_start};
    return book;
}

/* Maps prices to unsigned numbers that sort best first. */
static uint64_t price_key(uint8_t side, struct energy_price price)
{
    uint64_t ascending = (uint64_t)energy_price_ueur_per_kwh(price) ^ (UINT64_C(1) << 63);
    return side == SIDE_BUY ? ~ascending : ascending;
}

static struct state_key index_key(uint64_t id, const struct order_record *order)
{
    struct book_id book = book_of_order(order);
    struct state_key key = book_key(STATE_BOOK, &book);
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    writer.size = key.size;
    byte_write_u8(&writer, order->side);
    byte_write_u64(&writer, price_key(order->side, order->price));
    byte_write_u64(&writer, order->height);
    byte_write_u64(&writer, order->tie);
    byte_write_u64(&writer, id);
    MUST(!writer.failed && writer.size == BOOK_INDEX_KEY_SIZE);
    key.size = writer.size;
    return key;
}

static uint64_t order_of_index_key(const struct state_key *key)
{
    MUST(key->size == BOOK_INDEX_KEY_SIZE);
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes + key->size - 8, 8);
    return byte_read_u64(&reader);
}

static struct bytes_view key_view(const struct state_key *key)
{
    return bytes_view_of(key->bytes, key->size);
}

/* --- times and money ---------------------------------------------------------------------- */

bool book_times_of(struct book_times *out, const struct market_create *terms,
                   struct timestamp start)
{
    struct duration length = duration_of(duration_ms(terms->mtu) * terms->mtus_per_period);
    return timestamp_sub(&out->gate, start, terms->gate_closure) &&
           timestamp_add(&out->end, start, length) &&
           timestamp_add(&out->proof, out->end, terms->proof_deadline);
}

struct money book_escrow(struct energy_price price, struct energy quantity)
{
    struct money amount;
    /* Admission has computed it for the whole order, and no part of it costs more. */
    MUST(money_from_neur_ceil(&amount, energy_price_times_neur(price, quantity)));
    return amount;
}

static void move(const struct contract_call *call, struct pot_id from, struct pot_id to,
                 struct money amount)
{
    if (money_ueur(amount) != 0) {
        enum contract_error error = token_move(call, from, to, amount);
        MUST(error == CONTRACT_OK || call->view->fault);
    }
}

bool book_read(const struct contract_call *call, const struct state_key *key,
               const struct codec_record *codec, void *record)
{
    bool present = contract_read(call, key, codec, record);
    MUST(present || call->view->fault);
    return present;
}

/* --- entering and leaving ----------------------------------------------------------------- */

static void resize(const struct contract_call *call, const struct book_id *book, bool grow)
{
    struct state_key key = book_key(STATE_BOOK_SIZE, book);
    struct book_size_record size = {0};
    bool present = contract_read(call, &key, &book_size_record_codec, &size);
    MUST(present ? size.open > 0 : grow || call->view->fault);
    if (!grow && !present) {
        return;
    }
    size.open = grow ? size.open + 1 : size.open - 1;
    if (size.open == 0) {
        contract_remove(call, &key);
    } else {
        contract_write(call, &key, &book_size_record_codec, &size);
    }
}

static bool book_is_full(const struct contract_call *call, const struct book_id *book)
{
    struct state_key key = book_key(STATE_BOOK_SIZE, book);
    struct book_size_record size = {0};
    return contract_read(call, &key, &book_size_record_codec, &size) &&
           size.open >= LIMIT_OPEN_ORDERS_PER_BOOK;
}

/* The order of equals inside a batch: a lot that is drawn for each participant and block. It must not
 * take in anything that whoever makes a transaction, or a block, can vary until it suits: neither the
 * transaction nor where it stands. Orders of one participant follow each other as it numbered them. */
static uint64_t order_tie(const struct contract_call *call)
{
    uint8_t bytes[HASH_SIZE + NAME_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, call->context->parent_id.bytes, HASH_SIZE);
    byte_write_raw(&writer, call->sender.text, NAME_SIZE);
    MUST(!writer.failed);
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_ORDER_TIE, bytes, writer.size);
    struct byte_reader reader;
    byte_reader_init(&reader, hash.bytes, sizeof hash.bytes);
    return byte_read_u64(&reader);
}

enum contract_error book_insert(struct contract_call *call, uint64_t *id,
                                struct order_record *order, const struct market_create *terms)
{
    struct book_id book = book_of_order(order);
    struct state_key prefix = book_key(STATE_BOOK, &book);
    if (book_is_full(call, &book)) {
        return CONTRACT_BOOK_FULL;
    }
    if (!ledger_touch_book(call->ledger, &prefix)) {
        return CONTRACT_TOO_MANY_EVENTS;
    }
    struct counters_record counters = {0};
    struct state_key counters_key = state_key_single(STATE_COUNTERS);
    (void)book_read(call, &counters_key, &counters_record_codec, &counters);
    counters.orders++;
    contract_write(call, &counters_key, &counters_record_codec, &counters);
    *id = counters.orders;

    order->height = call->context->height;
    order->tie = order_tie(call);
    order->status = ORDER_OPEN;
    order->open = order->quantity;
    struct state_key key = state_key_u64(STATE_ORDER, *id);
    contract_write(call, &key, &order_record_codec, order);
    struct state_key index = index_key(*id, order);
    contract_write_index(call, &index);
    struct book_times times;
    MUST(book_times_of(&times, terms, order->period_start));
    struct state_key deadline = state_key_deadline(times.gate, DEADLINE_ORDER, *id);
    contract_write_index(call, &deadline);
    resize(call, &book, true);
    return CONTRACT_OK;
}

/* Takes the order out of index, deadlines and size, and stores it with its new status. */
static void leave_book(struct contract_call *call, uint64_t id, struct order_record *order,
                       const struct market_create *terms, enum order_status status)
{
    MUST(order->status == ORDER_OPEN && status != ORDER_OPEN);
    struct state_key index = index_key(id, order);
    contract_remove(call, &index);
    struct book_times times;
    MUST(book_times_of(&times, terms, order->period_start));
    struct state_key deadline = state_key_deadline(times.gate, DEADLINE_ORDER, id);
    contract_remove(call, &deadline);
    struct book_id book = book_of_order(order);
    resize(call, &book, false);
    order->status = (uint8_t)status;
    struct state_key key = state_key_u64(STATE_ORDER, id);
    contract_write(call, &key, &order_record_codec, order);
}

static void release_commitment(struct contract_call *call, const struct order_record *order,
                               const struct market_create *terms)
{
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &order->device);
    if (!book_read(call, &key, &device_record_codec, &device)) {
        return;
    }
    struct energy per_unit = energy_of(-(energy_wh(order->open) / terms->mtus_per_period));
    enum contract_error error =
        assets_commit(call, &order->device, &device, (enum direction)order->direction,
                      order->period_start, terms->mtu, terms->mtus_per_period, per_unit);
    MUST(error == CONTRACT_OK || call->view->fault);
}

void book_end_order(struct contract_call *call, uint64_t id, struct order_record *order,
                    const struct market_create *terms, enum order_status status)
{
    MUST(status == ORDER_CANCELLED || status == ORDER_EXPIRED);
    leave_book(call, id, order, terms, status);
    if (order->side == SIDE_BUY) {
        move(call, pot_order_escrow(id), pot_balance(&order->participant),
             book_escrow(order->price, order->open));
        MUST(money_ueur(token_amount(call, pot_order_escrow(id))) == 0 || call->view->fault);
    } else {
        release_commitment(call, order, terms);
    }
    struct event_order_ended event = {.id = id};
    contract_event(call, status == ORDER_CANCELLED ? EVENT_ORDER_CANCELLED : EVENT_ORDER_EXPIRED,
                   &event);
}

/* --- loading ------------------------------------------------------------------------------ */

static bool side_next(struct contract_call *call, const struct book_id *book, uint8_t side,
                      struct state_key *at, bool first)
{
    struct state_key prefix = book_key(STATE_BOOK, book);
    MUST(prefix.size < sizeof prefix.bytes);
    prefix.bytes[prefix.size++] = side;
    struct bytes_view after = first ? bytes_view_of(NULL, 0) : key_view(at);
    struct bytes_view value;
    return contract_next(call, key_view(&prefix), after, at, &value);
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
        !read_order(call, order_of_index_key(&key), &order)) {
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
        uint64_t id = order_of_index_key(&key);
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
    move(call, pot_order_escrow(order_id), pot_deal_escrow(deal_id), escrow);
    move(call, pot_order_escrow(order_id), pot_balance(&order->participant), trimmed);
    return escrow;
}

/* Stores what is left of an order after a trade. */
static void reduce_order(struct contract_call *call, uint64_t id, struct order_record *order,
                         const struct market_create *terms, struct energy rest)
{
    MUST(energy_wh(rest) >= 0);
    order->open = rest;
    if (energy_wh(rest) == 0) {
        leave_book(call, id, order, terms, ORDER_FILLED);
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

static void make_deal(struct contract_call *call, const struct market_create *terms,
                      uint64_t buy_id, uint64_t sell_id, struct energy traded,
                      struct energy_price price)
{
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
                 .proof_deadline = times.proof},
    };
    event.deal.escrow = fund_deal(call, buy_id, id, &buy, buy_rest, traded, price);
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
                         const struct market_create *terms, uint64_t batch_from)
{
    int64_t step = energy_wh(terms->quantity_step);
    struct call_side buys = fill_side(scratch, SIDE_BUY, step, batch_from);
    struct call_side sells = fill_side(scratch, SIDE_SELL, step, batch_from);
    struct call_scratch working = {scratch->index, scratch->remainder};
    struct call_result result;
    MUST(call_clear(&result, &buys, &sells, CALL_TIE_PRO_RATA, &working));
    struct call_pairing pairing = {0};
    struct call_trade trade;
    while (call_next_trade(&pairing, &trade, &buys, &sells)) {
        const struct book_entry *buy = &scratch->entries[scratch->sides[SIDE_BUY].entry[trade.buy]];
        const struct book_entry *sell =
            &scratch->entries[scratch->sides[SIDE_SELL].entry[trade.sell]];
        make_deal(call, terms, buy->id, sell->id, energy_of(trade.quantity * step),
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
                       const struct market_create *terms)
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
            make_deal(call, terms, buy->id, sell->id, traded, price);
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
    clear_loaded(call, scratch, &market.terms, batch_from);
    if (sat_out && load_crossing(call, scratch, book)) {
        if (!events_fit(call, scratch->count)) {
            return false;
        }
        match_rest(call, scratch, &market.terms);
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
        if (!contract_next(call, key_view(&prefix), key_view(&at), &at, &value) ||
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
