/* Order events, trades and fees out of stored blocks (node/market_scan.h).
 *
 *   block -> each receipt in order -> its events -> rows, counted from 0 in each block
 *         -> passed over (told on an earlier page) | told | not wanted | where the page ends
 *
 * Invariants:
 *  1. A row's number in its block depends on the block alone, not on filter, limit or tip.
 *  2. What changes with time is never told: of an order's record only what it was placed with, and,
 *     once it has ended, what was open then (the record keeps that for ever).
 *  3. Each page gets on by a row or a block, whatever its bounds.
 *
 * Deliberately absent: an index. A node that followed each order would write more for every block in
 * order to answer what an audit of an export answers whole (tools/market_history.h). */
#include "node/market_scan.h"

#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "consensus/header.h"
#include "contracts/body.h"
#include "contracts/ledger.h"

/* One page while it is made. */
struct walk {
    const struct market_scan *scan;
    const struct market_scan_source *source;
    struct market_row at; /* place and time; the rest is zero */
    struct bytes_view events;
    uint32_t passed; /* rows of this block that came before */
    uint32_t skip;   /* rows of this block that earlier pages told */
    uint32_t told;
    uint32_t reads;
    bool full;   /* the page ends before the row `passed` */
    bool broken; /* so does everything */
    size_t change_count;
    struct order_change changes[MARKET_CHANGES_MAX];
    struct order_record placed[MARKET_CHANGES_MAX];
};

/* --- cursors ------------------------------------------------------------------------------- */

static bool take_number(uint64_t *out, const char **text, uint64_t max)
{
    const char *at = *text;
    *out = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*out > (max - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    bool good = at != *text && (**text != '0' || at == *text + 1);
    *text = at;
    return good;
}

bool market_cursor_from_text(struct market_cursor *out, const char *text)
{
    uint64_t row;
    if (!take_number(&out->height, &text, UINT64_MAX) || out->height == 0 || *text++ != '-' ||
        !take_number(&row, &text, UINT32_MAX) || *text != '\0')
        return false;
    out->row = (uint32_t)row;
    return true;
}

void market_cursor_to_text(char out[MARKET_CURSOR_TEXT_SIZE], const struct market_cursor *cursor)
{
    int size = snprintf(out, MARKET_CURSOR_TEXT_SIZE, "%llu-%u", (unsigned long long)cursor->height,
                        cursor->row);
    MUST(size > 0 && size < MARKET_CURSOR_TEXT_SIZE);
}

/* --- rows ---------------------------------------------------------------------------------- */

/* A record that must be there. */
static bool read_record(struct walk *walk, void *out, const struct state_key *key,
                        const struct codec_record *codec)
{
    const struct state_base *state = walk->source->state;
    struct bytes_view value;
    bool found = false;
    walk->reads++;
    if (!state->get(state->context, bytes_view_of(key->bytes, key->size), &found, &value) ||
        !found || !codec_decode_all(codec, out, value))
        walk->broken = true;
    return !walk->broken;
}

static bool read_order(struct walk *walk, struct order_record *out, uint64_t id)
{
    struct state_key key = state_key_u64(STATE_ORDER, id);
    return read_record(walk, out, &key, &order_record_codec);
}

/* Counts one row. True if it is to be looked at on this page. */
static bool row_begin(struct walk *walk)
{
    if (walk->full || walk->broken)
        return false;
    /* Of rows that not everybody may see, tell() finds out whether one more is to be told. */
    const bool last = walk->scan->may == NULL && walk->told == walk->scan->limit;
    if (walk->passed >= walk->skip && (last || walk->reads >= MARKET_SCAN_READS_MAX)) {
        walk->full = true;
        return false;
    }
    return walk->passed++ >= walk->skip;
}

static void tell(struct walk *walk, const struct market_row *row)
{
    enum { READS_OF_MAY = 2 };
    const struct market_scan *scan = walk->scan;
    MUST(!walk->full && !walk->broken);
    if (scan->may != NULL) {
        walk->reads += READS_OF_MAY;
        if (!scan->may(scan->context, row))
            return;
        if (walk->told == scan->limit) {
            walk->full = true;
            walk->passed--;
            return;
        }
    }
    MUST(walk->told < scan->limit);
    walk->told++;
    walk->scan->tell(walk->scan->context, row);
}

static bool fits(const struct name *wanted, const struct name *name)
{
    return name_is_empty(wanted) || name_compare(wanted, name) == 0;
}

/* --- order events -------------------------------------------------------------------------- */

static void tell_order(struct walk *walk, struct market_row *row, const struct order_record *order)
{
    const struct market_scan *scan = walk->scan;
    row->placed = order;
    if (fits(&scan->market, &order->market) && fits(&scan->participant, &order->participant))
        tell(walk, row);
}

static uint64_t other_of(const struct walk *walk, uint64_t order)
{
    for (size_t i = 0; i < walk->change_count; i++) {
        if (walk->changes[i].order == order)
            return walk->changes[i].other;
    }
    return 0;
}

static bool wants_order(const struct walk *walk, uint64_t order)
{
    return walk->scan->order == 0 || walk->scan->order == order;
}

static void take_placed(struct walk *walk, const struct event_order_placed *placed)
{
    struct market_row row = walk->at;
    if (!row_begin(walk) || !wants_order(walk, placed->id))
        return;
    row.kind = ORDER_EVENT_NEW;
    row.order = placed->id;
    row.other = other_of(walk, placed->id);
    row.quantity = placed->order.quantity;
    row.price = placed->order.price;
    tell_order(walk, &row, &placed->order);
}

static void take_ended(struct walk *walk, uint64_t id, bool expired)
{
    struct market_row row = walk->at;
    struct order_record order;
    if (!row_begin(walk) || !wants_order(walk, id) || !read_order(walk, &order, id))
        return;
    row.order = id;
    row.other = expired ? 0 : other_of(walk, id);
    if (expired)
        row.kind = ORDER_EVENT_EXPIRE;
    else
        row.kind = row.other != 0 ? ORDER_EVENT_REPLACE : ORDER_EVENT_CANCEL;
    row.quantity = order.open;
    row.price = order.price;
    tell_order(walk, &row, &order);
}

static void take_reduced(struct walk *walk, const struct event_order_reduced *reduced)
{
    struct market_row row = walk->at;
    struct order_record order;
    if (!row_begin(walk) || !wants_order(walk, reduced->id) ||
        !read_order(walk, &order, reduced->id))
        return;
    row.kind = ORDER_EVENT_REPLACE;
    row.order = reduced->id;
    row.other = reduced->id;
    row.quantity = reduced->withdrawn;
    row.price = order.price;
    tell_order(walk, &row, &order);
}

static void take_side(struct walk *walk, const struct event_deal *matched, uint64_t id,
                      uint64_t against)
{
    struct market_row row = walk->at;
    struct order_record order;
    if (!row_begin(walk) || !wants_order(walk, id) || !read_order(walk, &order, id))
        return;
    row.kind = ORDER_EVENT_TRADE;
    row.order = id;
    row.other = matched->id;
    row.against = against;
    row.quantity = matched->deal.contracted;
    row.price = matched->deal.price;
    tell_order(walk, &row, &order);
}

static void take_allocated(struct walk *walk, const struct event_allocated *allocated)
{
    const struct allocation_record *allocation = &allocated->allocation;
    struct market_row row = walk->at;
    struct order_record order;
    if (energy_wh(allocation->granted) == 0 || !row_begin(walk) ||
        !wants_order(walk, allocated->id) || !read_order(walk, &order, allocated->id))
        return;
    row.kind = ORDER_EVENT_GRANT;
    row.order = allocated->id;
    row.quantity = allocation->granted;
    row.price = allocation->price;
    tell_order(walk, &row, &order);
}

static void order_rows(struct walk *walk, uint8_t type, const union market_event *event)
{
    if (type == EVENT_ORDER_PLACED) {
        take_placed(walk, &event->placed);
    } else if (type == EVENT_ORDER_CANCELLED || type == EVENT_ORDER_EXPIRED) {
        take_ended(walk, event->ended.id, type == EVENT_ORDER_EXPIRED);
    } else if (type == EVENT_ORDER_REDUCED) {
        take_reduced(walk, &event->reduced);
    } else if (type == EVENT_ALLOCATED) {
        take_allocated(walk, &event->allocated);
    } else if (type == EVENT_DEAL_MATCHED) {
        const struct deal_record *deal = &event->deal.deal;
        take_side(walk, &event->deal, deal->buy_order, deal->sell_order);
        take_side(walk, &event->deal, deal->sell_order, deal->buy_order);
    }
}

/* Adds what the event placed or cancelled to the transaction's changes. */
static bool note_change(struct walk *walk, uint8_t type, struct bytes_view bytes)
{
    union market_event event;
    bool broken;
    if (type != EVENT_ORDER_PLACED && type != EVENT_ORDER_CANCELLED)
        return true;
    if (!market_event_decode(&event, &broken, type, bytes))
        return false;
    bool is_new = type == EVENT_ORDER_PLACED;
    struct order_change change = {.kind = is_new ? ORDER_EVENT_NEW : ORDER_EVENT_CANCEL,
                                  .order = is_new ? event.placed.id : event.ended.id};
    struct order_record placed;
    if (is_new)
        placed = event.placed.order;
    else if (!read_order(walk, &placed, change.order))
        return false;
    if (!order_may_rest(&placed))
        return true;
    if (walk->change_count == MARKET_CHANGES_MAX)
        return false;
    walk->placed[walk->change_count] = placed;
    change.placed = &walk->placed[walk->change_count];
    walk->changes[walk->change_count++] = change;
    return true;
}

/* Which cancellations of a transaction are replacements. A transaction that cancels nothing or places
 * nothing needs no look at the state for it, nor one whose rows earlier pages have told: those are
 * passed over here. */
static void pair_transaction(struct walk *walk)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    uint32_t rows = 0;
    bool places = false, cancels = false;
    walk->change_count = 0;
    while (event_next(walk->events, &cursor, &type, &bytes)) {
        places = places || type == EVENT_ORDER_PLACED;
        cancels = cancels || type == EVENT_ORDER_CANCELLED;
        rows += type >= EVENT_ORDER_PLACED && type <= EVENT_ORDER_EXPIRED;
        rows += type == EVENT_ORDER_REDUCED;
        rows += type == EVENT_DEAL_MATCHED ? 2 : 0;
    }
    if (!places || !cancels || walk->passed + rows <= walk->skip)
        return;
    cursor = 0;
    while (!walk->broken && event_next(walk->events, &cursor, &type, &bytes))
        walk->broken = !note_change(walk, type, bytes);
    if (!walk->broken)
        order_changes_pair(walk->changes, walk->change_count);
}

/* --- trades -------------------------------------------------------------------------------- */

static void trade_rows(struct walk *walk, uint8_t type, const union market_event *event)
{
    const struct market_scan *scan = walk->scan;
    const struct deal_record *deal = &event->deal.deal;
    struct market_row row = walk->at;
    if (type != EVENT_DEAL_MATCHED || !row_begin(walk))
        return;
    row.deal_id = event->deal.id;
    row.deal = deal;
    row.quantity = deal->contracted;
    row.price = deal->price;
    if (fits(&scan->market, &deal->market) &&
        (fits(&scan->participant, &deal->buyer) || fits(&scan->participant, &deal->seller)) &&
        (wants_order(walk, deal->buy_order) || wants_order(walk, deal->sell_order)))
        tell(walk, &row);
}

/* --- fees ---------------------------------------------------------------------------------- */

static void tell_fee(struct walk *walk, struct market_row *row)
{
    const struct market_scan *scan = walk->scan;
    struct name market = {0};
    if (row->deal_id != 0 && !name_is_empty(&scan->market)) {
        struct state_key key = state_key_u64(STATE_DEAL, row->deal_id);
        struct deal_record deal;
        if (!read_record(walk, &deal, &key, &deal_record_codec))
            return;
        market = deal.market;
    }
    if (fits(&scan->market, &market) && fits(&scan->participant, &row->who))
        tell(walk, row);
}

/* Who signed a transaction, and with which key: keys never change hands. */
static bool read_sender(struct walk *walk, struct name *who, struct public_key *key,
                        struct bytes_view envelope)
{
    struct transaction transaction;
    struct key_record owner;
    if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK) {
        walk->broken = true;
        return false;
    }
    *key = transaction.sender;
    struct state_key index = state_key_hash(STATE_KEY, key->bytes);
    if (!read_record(walk, &owner, &index, &key_record_codec))
        return false;
    *who = name_is_empty(&owner.participant) ? owner.former : owner.participant;
    return true;
}

static void take_transaction_fee(struct walk *walk, struct bytes_view envelope, struct money fee)
{
    struct market_row row = walk->at;
    if (money_ueur(fee) == 0 || !row_begin(walk) ||
        !read_sender(walk, &row.who, &row.key, envelope))
        return;
    row.kind = MARKET_FEE_TRANSACTION;
    row.amount = fee;
    tell_fee(walk, &row);
}

static void fee_rows(struct walk *walk, uint8_t type, const union market_event *event)
{
    struct market_row row = walk->at;
    enum market_fee_kind kind;
    if (type == EVENT_TOKEN_MOVED && market_event_is_fee(&event->moved, &kind, &row.deal_id)) {
        row.kind = (uint8_t)kind;
        row.amount = event->moved.amount;
    } else if (type == EVENT_FEES_SPLIT) {
        row.kind = MARKET_FEE_SPLIT;
        row.who = event->split.operator_name;
        row.amount = event->split.amount;
    } else {
        return;
    }
    if (row_begin(walk))
        tell_fee(walk, &row);
}

/* --- movements ----------------------------------------------------------------------------- */

static void tell_movement(struct walk *walk, struct statement_line *line)
{
    struct market_row row = walk->at;
    if (!fits(&walk->scan->participant, &line->who))
        return;
    if (statement_needs_deal(line)) {
        struct deal_record deal;
        struct state_key key = state_key_u64(STATE_DEAL, line->other.id);
        if (!read_record(walk, &deal, &key, &deal_record_codec))
            return;
        statement_know_deal(line, &deal);
    }
    row.line = line;
    tell(walk, &row);
}

static void movement_rows(struct walk *walk, uint8_t type, struct bytes_view bytes)
{
    struct statement_line lines[STATEMENT_LINES_PER_EVENT];
    uint32_t count = statement_of_event(lines, &walk->broken, type, bytes);
    for (uint32_t i = 0; i < count; i++) {
        if (row_begin(walk))
            tell_movement(walk, &lines[i]);
    }
}

static void take_fee_movement(struct walk *walk, struct bytes_view envelope, struct money fee)
{
    struct name who;
    struct public_key key;
    if (money_ueur(fee) == 0 || !row_begin(walk) || !read_sender(walk, &who, &key, envelope))
        return;
    struct statement_line line = statement_of_fee(&who, fee);
    tell_movement(walk, &line);
}

/* --- blocks -------------------------------------------------------------------------------- */

static void take_event(struct walk *walk, uint8_t type, struct bytes_view bytes)
{
    union market_event event;
    bool broken;
    if (walk->scan->what == MARKET_SCAN_MOVEMENTS) {
        movement_rows(walk, type, bytes);
        return;
    }
    if (!market_event_decode(&event, &broken, type, bytes)) {
        walk->broken = broken;
        return;
    }
    switch (walk->scan->what) {
    case MARKET_SCAN_ORDERS:
        order_rows(walk, type, &event);
        break;
    case MARKET_SCAN_TRADES:
        trade_rows(walk, type, &event);
        break;
    case MARKET_SCAN_FEES:
        fee_rows(walk, type, &event);
        break;
    case MARKET_SCAN_MOVEMENTS:
        break;
    }
}

/* `envelope` is empty at the end of the block. */
static void take_receipt(struct walk *walk, const struct receipt *receipt,
                         struct bytes_view envelope)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    bool is_end = envelope.size == 0;
    walk->at.tx_id = receipt->tx_id;
    walk->at.event = 0;
    walk->events = receipt->events;
    walk->change_count = 0;
    if (walk->scan->what == MARKET_SCAN_ORDERS && !is_end)
        pair_transaction(walk);
    if (walk->scan->what == MARKET_SCAN_FEES && !is_end)
        take_transaction_fee(walk, envelope, receipt->fee);
    if (walk->scan->what == MARKET_SCAN_MOVEMENTS && !is_end)
        take_fee_movement(walk, envelope, receipt->fee);
    while (!walk->full && !walk->broken && event_next(receipt->events, &cursor, &type, &bytes)) {
        take_event(walk, type, bytes);
        walk->at.event++;
    }
    walk->broken = walk->broken || (!walk->full && cursor != receipt->events.size);
}

static void take_block(struct walk *walk, const struct store_block *block)
{
    struct block_header header;
    struct byte_reader receipts;
    struct body_reader body;
    walk->passed = 0;
    if (!block_header_decode(&header, block->header) || !body_open(&body, block->body)) {
        walk->broken = true;
        return;
    }
    walk->at = (struct market_row){.height = header.height, .time = header.time};
    byte_reader_init(&receipts, block->receipts.data, block->receipts.size);
    const uint32_t count = byte_read_u32(&receipts);
    walk->broken = receipts.failed || count != body.count + 1;
    for (uint32_t i = 0; i < count && !walk->full && !walk->broken; i++) {
        struct receipt receipt;
        struct bytes_view envelope = {0};
        struct bytes_view bytes = byte_read_sized(&receipts, block->receipts.size);
        walk->at.position = i;
        walk->broken = receipts.failed || !codec_decode_all(&receipt_record, &receipt, bytes) ||
                       (i + 1 < count && !body_next(&body, &envelope));
        if (!walk->broken)
            take_receipt(walk, &receipt, envelope);
    }
    if (!walk->full && !walk->broken)
        walk->broken = !byte_reader_done(&receipts) || !body_is_whole(&body);
}

bool market_scan_run(const struct market_scan *scan, const struct market_scan_source *source,
                     struct market_cursor *next, bool *more)
{
    struct walk walk = {.scan = scan, .source = source, .skip = scan->from.row};
    uint64_t height = scan->from.height;
    size_t bytes = 0;
    MUST(scan->limit > 0 && height > 0);
    for (uint32_t i = 0; i < MARKET_SCAN_BLOCKS_MAX && bytes < MARKET_SCAN_BYTES_MAX &&
                         (walk.told < scan->limit || scan->may != NULL) && height <= scan->to;
         i++) {
        struct store_block block;
        if (!source->block(source->context, height, &block))
            return false;
        take_block(&walk, &block);
        if (walk.broken)
            return false;
        if (walk.full)
            break;
        bytes += block.body.size + block.receipts.size;
        walk.skip = 0;
        height++;
    }
    *more = height <= scan->to;
    *next = (struct market_cursor){height, walk.full ? walk.passed : 0};
    return true;
}
