/* Order books: how an order enters one and leaves it, and what it locks meanwhile (market-rules 4; D5.5
 * 2.2.4; docs/spec/market.md).
 *
 * A book is the set of open orders of one market, direction and delivery period. Its index holds one
 * key per open order, best first:
 *   market | period start | direction | side | price key | height | tie | id
 * where the price key counts up for sells and down for buys. What happens between entering and leaving
 * is the call's affair (book_call.c).
 *
 * Invariants:
 * 1. An order is in the index and in its book's size if and only if it is open; a book has an entry in the
 *    index of gates as book_gate.c says.
 * 2. The pot of an open order holds exactly ceil(rate x open), the rate being a request's price and an
 *    offer's deposit; no other order has one. A participant's share of a book counts its open orders
 *    and adds up their pots.
 * 3. In a market of batches, an order that does not outlive its first call is in the index of immediate
 *    orders if and only if it is open.
 * A fault of the view answers "absent" to everything; code here then gives up quietly, and whoever
 * runs the block throws it away.
 *
 * Deliberately absent: who may place what (market.c), who trades with whom (book_call.c,
 * book_sequential.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/auction.h"
#include "contracts/book_gate.h"
#include "contracts/book_internal.h"
#include "contracts/capacity.h"
#include "contracts/coupled.h"
#include "contracts/deal.h"

/* --- keys --------------------------------------------------------------------------------- */

/* A book's own parts, and with them side, price key, height, tie and order: see records.h. */
enum { BOOK_KEY_SIZE = 1 + NAME_SIZE + 8 + 1, BOOK_INDEX_KEY_SIZE = BOOK_KEY_SIZE + 1 + 4 * 8 };

struct state_key book_key(enum state_kind kind, const struct book_id *book)
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

static struct book_id rest_of_key(struct byte_reader *reader)
{
    struct book_id book;
    byte_read_raw(reader, book.market.text, NAME_SIZE);
    book.period_start = timestamp_of(byte_read_i64(reader));
    book.direction = byte_read_u8(reader);
    MUST(byte_reader_done(reader));
    return book;
}

struct book_id book_of_key(const struct state_key *key)
{
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes, key->size);
    (void)byte_read_u8(&reader);
    return rest_of_key(&reader);
}

struct book_id book_of_due(const struct state_key *key, struct timestamp *gate)
{
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes, key->size);
    (void)byte_read_u8(&reader);
    *gate = timestamp_of(byte_read_i64(&reader));
    return rest_of_key(&reader);
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

/* Where a batch finds the orders that end with it. */
static struct state_key immediate_key(uint64_t id, const struct order_record *order)
{
    struct book_id book = book_of_order(order);
    struct state_key key = book_key(STATE_IMMEDIATE, &book);
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    writer.size = key.size;
    byte_write_u64(&writer, id);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}

uint64_t book_index_order(const struct state_key *key)
{
    MUST(key->size == BOOK_INDEX_KEY_SIZE || key->size == BOOK_KEY_SIZE + 8);
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes + key->size - 8, 8);
    return byte_read_u64(&reader);
}

bool book_side_next(const struct contract_call *call, const struct book_id *book, uint8_t side,
                    struct state_key *at)
{
    struct state_key prefix = book_key(STATE_BOOK, book);
    struct bytes_view value;
    MUST(prefix.size < sizeof prefix.bytes);
    prefix.bytes[prefix.size++] = side;
    return contract_next(call, book_key_view(&prefix), book_key_view(at), at, &value);
}

struct bytes_view book_key_view(const struct state_key *key)
{
    return bytes_view_of(key->bytes, key->size);
}

bool book_is_sequential(const struct market_create *terms)
{
    return terms->clearing.mechanism == MECHANISM_BOOK_SEQUENTIAL;
}

/* Whether its orders have one call at the end of each block that brings some; else they trade as they
 * arrive, or wait for their auction. */
static bool book_is_called(const struct market_create *terms)
{
    return terms->clearing.mechanism == MECHANISM_BOOK_BATCH;
}

/* Whether it is in the index of immediate orders while it is open. */
static bool ends_with_its_batch(const struct order_record *order, const struct market_create *terms)
{
    return order->options.kind != ORDER_LIMIT && !book_is_sequential(terms);
}

struct energy book_least(const struct order_record *order)
{
    if (order->options.indivisible != 0 || order->options.kind == ORDER_ALL_OR_NONE) {
        return order->open;
    }
    bool untouched = energy_compare(order->open, order->quantity) == 0;
    return untouched ? order->options.min_quantity : energy_of(0);
}

/* --- times and money ---------------------------------------------------------------------- */

bool book_times_of(struct book_times *out, const struct market_create *terms,
                   struct timestamp start)
{
    struct duration length =
        duration_of(duration_ms(terms->times.mtu) * terms->times.mtus_per_period);
    struct timestamp gated = coupled_start_of(terms, start);
    out->opening = terms->times.opens;
    if (duration_ms(terms->times.gate_opening) != 0 &&
        !timestamp_sub(&out->opening, gated, terms->times.gate_opening)) {
        return false;
    }
    return timestamp_sub(&out->gate, gated, terms->times.gate_closure) &&
           timestamp_add(&out->end, start, length) &&
           timestamp_add(&out->proof, out->end, terms->times.proof_deadline);
}

struct energy_price book_rate(const struct order_record *order)
{
    return order->side == SIDE_BUY ? order->price : order->deposit_price;
}

struct money book_escrow(struct energy_price price, struct energy quantity)
{
    struct money amount;
    /* Admission has computed it for the whole order, and no part of it costs more. */
    MUST(money_from_neur_ceil(&amount, energy_price_times_neur(price, quantity)));
    return amount;
}

void book_move(const struct contract_call *call, struct purse from, struct purse to,
               struct money amount)
{
    if (money_ueur(amount) != 0) {
        enum contract_error error = token_move_purse(call, from, to, amount);
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

static void one_less(const struct contract_call *call, const struct book_id *book,
                     const struct market_create *terms)
{
    struct state_key key = book_key(STATE_BOOK_SIZE, book);
    struct book_size_record size;
    if (!book_read(call, &key, &book_size_record_codec, &size)) {
        return;
    }
    MUST(size.open > 0);
    size.open--;
    if (size.open == 0) {
        contract_remove(call, &key);
        book_gate_remove(call, book, terms);
    } else {
        contract_write(call, &key, &book_size_record_codec, &size);
    }
}

/* --- what a participant has in a book ------------------------------------------------------- */

static struct state_key share_key(const struct order_record *order)
{
    struct book_id book = book_of_order(order);
    struct state_key key = book_key(STATE_BOOK_SHARE, &book);
    MUST(key.size + NAME_SIZE <= sizeof key.bytes);
    memcpy(key.bytes + key.size, order->participant.text, NAME_SIZE);
    key.size += NAME_SIZE;
    return key;
}

/* Of an order that goes from `before` open to `after`; either may be nothing. */
void book_share_moves(const struct contract_call *call, const struct order_record *order,
                      struct energy before, struct energy after)
{
    struct state_key key = share_key(order);
    struct book_share_record share = {0};
    struct money was = book_escrow(book_rate(order), before);
    struct money is = book_escrow(book_rate(order), after);
    (void)contract_read(call, &key, &book_share_record_codec, &share);
    if (call->view->fault) {
        return;
    }
    MUST(share.open > 0 || energy_wh(before) == 0);
    share.open += energy_wh(before) == 0;
    share.open -= energy_wh(after) == 0;
    MUST(money_sub(&share.locked, share.locked, was));
    MUST(money_ueur(share.locked) >= 0 && money_add(&share.locked, share.locked, is));
    if (share.open == 0) {
        MUST(money_ueur(share.locked) == 0);
        contract_remove(call, &key);
    } else {
        contract_write(call, &key, &book_share_record_codec, &share);
    }
}

/* What one more order of its participant makes of its book: both records as they will be. */
struct entrance {
    struct state_key size_key;
    struct state_key share_key;
    struct book_size_record size;
    struct book_share_record share;
};

/* BOOK_FULL, TOO_MANY_ORDERS, OVERFLOW or OVER_BUDGET. */
static enum contract_error look_for_room(const struct contract_call *call, struct entrance *out,
                                         const struct book_id *book,
                                         const struct order_record *order,
                                         const struct market_create *terms)
{
    *out = (struct entrance){.size_key = book_key(STATE_BOOK_SIZE, book),
                             .share_key = share_key(order)};
    (void)contract_read(call, &out->size_key, &book_size_record_codec, &out->size);
    if (out->size.open >= LIMIT_OPEN_ORDERS_PER_BOOK) {
        return CONTRACT_BOOK_FULL;
    }
    (void)contract_read(call, &out->share_key, &book_share_record_codec, &out->share);
    if (out->share.open >= terms->limits.orders_per_participant) {
        return CONTRACT_TOO_MANY_ORDERS;
    }
    if (!money_add(&out->share.locked, out->share.locked,
                   book_escrow(book_rate(order), order->quantity))) {
        return CONTRACT_OVERFLOW;
    }
    out->size.open++;
    out->share.open++;
    bool over = money_ueur(terms->limits.budget) != 0 &&
                money_compare(out->share.locked, terms->limits.budget) > 0;
    return over ? CONTRACT_OVER_BUDGET : CONTRACT_OK;
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
    struct entrance entrance;
    enum contract_error error = look_for_room(call, &entrance, &book, order, terms);
    if (error == CONTRACT_OK) {
        error = auction_admit(call, order, terms);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    if (book_is_called(terms) && !ledger_touch_book(call->ledger, &prefix)) {
        return CONTRACT_TOO_MANY_EVENTS;
    }
    struct counters_record counters = {0};
    struct state_key counters_key = state_key_single(STATE_COUNTERS);
    (void)book_read(call, &counters_key, &counters_record_codec, &counters);
    counters.orders++;
    contract_write(call, &counters_key, &counters_record_codec, &counters);
    *id = counters.orders;

    struct money held = book_escrow(book_rate(order), order->quantity);
    if (money_ueur(held) != 0) {
        error = token_move_purse(call, purse_of_balance(&order->participant),
                                 purse_of_order(*id, order), held);
        if (error != CONTRACT_OK) {
            return error;
        }
    }
    order->height = call->context->height;
    order->tie = book_is_sequential(terms) ? 0 : order_tie(call);
    order->status = ORDER_OPEN;
    order->open = order->quantity;
    struct state_key key = state_key_u64(STATE_ORDER, *id);
    contract_write(call, &key, &order_record_codec, order);
    struct state_key index = index_key(*id, order);
    contract_write_index(call, &index);
    if (ends_with_its_batch(order, terms)) {
        struct state_key immediate = immediate_key(*id, order);
        contract_write_index(call, &immediate);
    }
    if (market_is_auction(terms)) {
        auction_entered(call, order, terms);
    } else if (!market_is_gated(terms) && entrance.size.open == 1) {
        book_gate_add(call, &book, terms);
    }
    contract_write(call, &entrance.size_key, &book_size_record_codec, &entrance.size);
    contract_write(call, &entrance.share_key, &book_share_record_codec, &entrance.share);
    return CONTRACT_OK;
}

/* Takes the order out of index and size, and stores it with its new status. */
void book_leave(struct contract_call *call, uint64_t id, struct order_record *order,
                const struct market_create *terms, enum order_status status)
{
    MUST(order->status == ORDER_OPEN && status != ORDER_OPEN);
    MUST(money_ueur(order->held) == 0);
    struct state_key index = index_key(id, order);
    contract_remove(call, &index);
    if (ends_with_its_batch(order, terms)) {
        struct state_key immediate = immediate_key(id, order);
        contract_remove(call, &immediate);
    }
    struct book_id book = book_of_order(order);
    one_less(call, &book, terms);
    order->status = (uint8_t)status;
    struct state_key key = state_key_u64(STATE_ORDER, id);
    contract_write(call, &key, &order_record_codec, order);
    if (market_is_auction(terms)) {
        auction_left(call, order, terms);
    }
}

/* What is taken back of an offer, its device is free to offer elsewhere. */
static void release_commitment(struct contract_call *call, const struct order_record *order,
                               const struct market_create *terms, struct energy quantity)
{
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &order->device);
    if (!book_read(call, &key, &device_record_codec, &device)) {
        return;
    }
    struct energy per_unit = energy_of(-(energy_wh(quantity) / terms->times.mtus_per_period));
    enum contract_error error =
        assets_commit_for(call, reservation_purpose(terms, order->reservation), &order->device,
                          &device, (enum direction)order->direction, order->period_start,
                          terms->times.mtu, terms->times.mtus_per_period, per_unit);
    MUST(error == CONTRACT_OK || call->view->fault);
}

void book_end_order(struct contract_call *call, uint64_t id, struct order_record *order,
                    const struct market_create *terms, enum order_status status)
{
    MUST(status == ORDER_CANCELLED || status == ORDER_EXPIRED);
    MUST(money_compare(order->held, book_escrow(book_rate(order), order->open)) == 0);
    book_move(call, purse_of_order(id, order), purse_of_balance(&order->participant), order->held);
    book_leave(call, id, order, terms, status);
    book_share_moves(call, order, order->open, energy_of(0));
    if (order->side == SIDE_SELL) {
        release_commitment(call, order, terms, order->open);
    } else if (capacity_is_sold(terms)) {
        capacity_release(call, order, terms, order->open);
    }
    /* One that expires has stood to the gate, and that is what a call asks for. */
    if (order->reservation != 0 && status == ORDER_CANCELLED) {
        reservation_answer_withdrawn(call, order, order->open);
    }
    struct event_order_ended event = {.id = id};
    contract_event(call, status == ORDER_CANCELLED ? EVENT_ORDER_CANCELLED : EVENT_ORDER_EXPIRED,
                   &event);
}

enum contract_error book_reduce_order(struct contract_call *call, uint64_t id,
                                      struct order_record *order, const struct market_create *terms,
                                      struct energy quantity)
{
    struct energy less;
    struct energy open;
    MUST(order->status == ORDER_OPEN && energy_sub(&less, order->quantity, quantity));
    MUST(energy_wh(less) > 0 && energy_sub(&open, order->open, less) && energy_wh(open) > 0);
    /* One that trades whole may fit now. */
    struct book_id book = book_of_order(order);
    struct state_key prefix = book_key(STATE_BOOK, &book);
    if (book_is_called(terms) && !ledger_touch_book(call->ledger, &prefix)) {
        return CONTRACT_TOO_MANY_EVENTS;
    }
    struct money freed;
    MUST(money_sub(&freed, book_escrow(book_rate(order), order->open),
                   book_escrow(book_rate(order), open)));
    book_move(call, purse_of_order(id, order), purse_of_balance(&order->participant), freed);
    book_share_moves(call, order, order->open, open);
    if (order->side == SIDE_SELL) {
        release_commitment(call, order, terms, less);
    } else if (capacity_is_sold(terms)) {
        capacity_release(call, order, terms, less);
    }
    if (order->reservation != 0) {
        reservation_answer_withdrawn(call, order, less);
    }
    order->quantity = quantity;
    order->open = open;
    struct state_key key = state_key_u64(STATE_ORDER, id);
    contract_write(call, &key, &order_record_codec, order);
    struct event_order_reduced event = {.id = id, .withdrawn = less, .open = open};
    contract_event(call, EVENT_ORDER_REDUCED, &event);
    return CONTRACT_OK;
}
