/* Collecting what happened on the markets (tools/market_history.h; docs/spec/surveillance.md 2).
 *
 *   block -> each receipt in order -> events -> orders, deals, fees
 *         -> books whose gate it reaches -> tools/market_capacity.c, on the state before the block
 *
 * Invariants:
 *  1. Nothing is taken from the state that a receipt's event tells: events are bound by the receipt
 *     root, which the audit has re-computed.
 *  2. order.open = quantity - traded - withdrawn - expired, at every moment.
 *  3. An event's number is its index plus one; numbers rise with (height, position, event).
 *
 * Deliberately absent: judgements (tools/surveillance.c), and printing. */
#include "tools/market_history.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "contracts/book.h"
#include "contracts/events.h"
#include "contracts/ledger.h"

enum { ITEMS_FIRST = 256, BOOK_SLOTS_FIRST = 1024 };

void *history_room(void *items, size_t *room, size_t count, size_t size)
{
    if (count < *room) {
        return items;
    }
    size_t wanted = *room == 0 ? ITEMS_FIRST : *room * 2;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(items, wanted * size);
    if (grown == NULL) {
        fatal_environment("out of memory for the markets' history");
    }
    *room = wanted;
    return grown;
}

struct market_history *history_create(void)
{
    struct market_history *history = calloc(1, sizeof *history);
    if (history != NULL) {
        history->book_slot_count = BOOK_SLOTS_FIRST;
        history->book_slots = calloc(BOOK_SLOTS_FIRST, sizeof *history->book_slots);
    }
    if (history == NULL || history->book_slots == NULL) {
        fatal_environment("out of memory for the markets' history");
    }
    return history;
}

void history_destroy(struct market_history *history)
{
    free(history->events);
    free(history->orders);
    free(history->deals);
    free(history->fees);
    free(history->books);
    free(history->shares);
    free(history->book_slots);
    free(history);
}

bool history_read(const struct state_base *state, const struct state_key *key,
                  const struct codec_record *codec, void *record)
{
    struct bytes_view value;
    bool found = false;
    if (!state->get(state->context, bytes_view_of(key->bytes, key->size), &found, &value)) {
        fatal_environment("the audited state can't be read");
    }
    if (!found) {
        return false;
    }
    MUST(codec_decode_all(codec, record, value));
    return true;
}

/* --- books --------------------------------------------------------------------------------- */

static size_t book_home(const struct market_history *history, const struct order_record *order)
{
    /* FNV-1a over the name, then period and direction; only speed depends on it. */
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < NAME_SIZE; i++) {
        hash = (hash ^ (uint8_t)order->market.text[i]) * 0x100000001b3u;
    }
    hash = (hash ^ (uint64_t)timestamp_ms(order->period_start)) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (hash >> 29) ^ order->direction) * 0xbf58476d1ce4e5b9u;
    return (size_t)(hash ^ (hash >> 32)) & (history->book_slot_count - 1);
}

static bool is_book_of(const struct history_book *book, const struct order_record *order)
{
    return book->direction == order->direction &&
           timestamp_compare(book->start, order->period_start) == 0 &&
           name_compare(&book->market, &order->market) == 0;
}

static void grow_slots(struct market_history *history)
{
    history->book_slot_count *= 2;
    free(history->book_slots);
    history->book_slots = calloc(history->book_slot_count, sizeof *history->book_slots);
    if (history->book_slots == NULL) {
        fatal_environment("out of memory for the markets' history");
    }
    for (size_t i = 0; i < history->book_count; i++) {
        const struct history_book *book = &history->books[i];
        struct order_record key = {
            .market = book->market, .period_start = book->start, .direction = book->direction};
        size_t at = book_home(history, &key);
        while (history->book_slots[at] != 0) {
            at = (at + 1) & (history->book_slot_count - 1);
        }
        history->book_slots[at] = (uint32_t)i + 1;
    }
}

/* The terms as the block left them: a market may take its first order in the block that made it. */
static struct history_book book_made(struct state_view *after, const struct order_record *order)
{
    struct state_key key = state_key_name(STATE_MARKET, &order->market);
    struct market_record market;
    struct history_book book = {
        .market = order->market, .start = order->period_start, .direction = order->direction};
    MUST(ledger_read(after, &key, &market_record_codec, &market));
    struct book_times times;
    MUST(book_times_of(&times, &market.terms, book.start));
    book.end = times.end;
    book.gate = times.gate;
    book.unit = market.terms.times.mtu;
    book.price_max = market.terms.limits.price_max;
    book.sells_capacity = market.terms.product == PRODUCT_CAPACITY_ALLOCATION;
    return book;
}

static uint32_t book_of(struct market_history *history, struct state_view *after,
                        const struct order_record *order)
{
    if (history->book_count >= history->book_slot_count / 2) {
        grow_slots(history);
    }
    size_t at = book_home(history, order);
    while (history->book_slots[at] != 0) {
        uint32_t index = history->book_slots[at] - 1;
        if (is_book_of(&history->books[index], order)) {
            return index;
        }
        at = (at + 1) & (history->book_slot_count - 1);
    }
    history->books = history_room(history->books, &history->book_room, history->book_count,
                                  sizeof *history->books);
    struct history_book *book = &history->books[history->book_count++];
    *book = book_made(after, order);
    history->book_slots[at] = (uint32_t)history->book_count;
    if (!history->any_gate || timestamp_compare(book->gate, history->next_gate) < 0) {
        history->next_gate = book->gate;
        history->any_gate = true;
    }
    return (uint32_t)(history->book_count - 1);
}

/* --- events -------------------------------------------------------------------------------- */

/* One block while it is walked. */
struct walk {
    struct market_history *history;
    const struct audit_seen *seen;
    struct history_place at;
};

static struct history_event *add_event(struct walk *walk, enum order_event_kind kind,
                                       uint64_t order)
{
    struct market_history *history = walk->history;
    history->events = history_room(history->events, &history->event_room, history->event_count,
                                   sizeof *history->events);
    struct history_event *event = &history->events[history->event_count++];
    *event = (struct history_event){.at = walk->at, .kind = (uint8_t)kind, .order = order};
    return event;
}

static struct history_order *order_of(struct market_history *history, uint64_t id)
{
    MUST(id >= 1 && id <= history->order_count);
    return &history->orders[id - 1];
}

static void take_placed(struct walk *walk, const struct event_order_placed *placed)
{
    struct market_history *history = walk->history;
    MUST(placed->id == history->order_count + 1);
    uint32_t book = book_of(history, walk->seen->after, &placed->order);
    history->orders = history_room(history->orders, &history->order_room, history->order_count,
                                   sizeof *history->orders);
    struct history_order *order = &history->orders[history->order_count++];
    *order = (struct history_order){.placed = placed->order,
                                    .time = walk->at.time,
                                    .book = book,
                                    .open = placed->order.quantity,
                                    .status = ORDER_OPEN};
    struct history_event *event = add_event(walk, ORDER_EVENT_NEW, placed->id);
    event->quantity = placed->order.quantity;
    event->open = placed->order.quantity;
    event->price = placed->order.price;
}

static void take_ended(struct walk *walk, uint64_t id, bool expired)
{
    struct history_order *order = order_of(walk->history, id);
    struct history_event *event =
        add_event(walk, expired ? ORDER_EVENT_EXPIRE : ORDER_EVENT_CANCEL, id);
    event->quantity = order->open;
    event->price = order->placed.price;
    struct energy *into = expired ? &order->expired : &order->withdrawn;
    MUST(energy_add(into, *into, order->open));
    order->open = energy_of(0);
    order->status = expired ? ORDER_EXPIRED : ORDER_CANCELLED;
    order->ended = walk->at.time;
}

static void take_reduced(struct walk *walk, const struct event_order_reduced *reduced)
{
    struct history_order *order = order_of(walk->history, reduced->id);
    struct history_event *event = add_event(walk, ORDER_EVENT_REPLACE, reduced->id);
    MUST(energy_add(&order->withdrawn, order->withdrawn, reduced->withdrawn));
    MUST(energy_add(&order->reduced, order->reduced, reduced->withdrawn));
    order->open = reduced->open;
    order->last_reduced = walk->at.time;
    event->other = reduced->id;
    event->quantity = reduced->withdrawn;
    event->open = reduced->open;
    event->price = order->placed.price;
}

static void take_trade(struct walk *walk, uint64_t id, const struct event_deal *deal)
{
    struct history_order *order = order_of(walk->history, id);
    MUST(energy_sub(&order->open, order->open, deal->deal.contracted));
    MUST(energy_add(&order->traded, order->traded, deal->deal.contracted));
    if (energy_wh(order->open) == 0) {
        order->status = ORDER_FILLED;
        order->ended = walk->at.time;
    }
    struct history_event *event = add_event(walk, ORDER_EVENT_TRADE, id);
    event->other = deal->id;
    event->quantity = deal->deal.contracted;
    event->open = order->open;
    event->price = deal->deal.price;
}

/* A request that is given nothing only expires, which the next event tells. */
static void take_allocated(struct walk *walk, const struct event_allocated *allocated)
{
    struct history_order *order = order_of(walk->history, allocated->id);
    struct energy granted = allocated->allocation.granted;
    if (energy_wh(granted) == 0) {
        return;
    }
    MUST(energy_sub(&order->open, order->open, granted));
    MUST(energy_add(&order->traded, order->traded, granted));
    if (energy_wh(order->open) == 0) {
        order->status = ORDER_FILLED;
        order->ended = walk->at.time;
    }
    struct history_event *event = add_event(walk, ORDER_EVENT_GRANT, allocated->id);
    event->quantity = granted;
    event->open = order->open;
    event->price = allocated->allocation.price;
}

static void take_matched(struct walk *walk, const struct event_deal *matched)
{
    struct market_history *history = walk->history;
    struct state_key key = state_key_name(STATE_DEVICE, &matched->deal.device);
    struct device_record device;
    MUST(matched->id == history->deal_count + 1);
    MUST(ledger_read(walk->seen->after, &key, &device_record_codec, &device));
    history->deals = history_room(history->deals, &history->deal_room, history->deal_count,
                                  sizeof *history->deals);
    history->deals[history->deal_count++] =
        (struct history_deal){.deal = matched->deal,
                              .matched = walk->at,
                              .book = order_of(history, matched->deal.sell_order)->book,
                              .device_owner = device.owner};
    take_trade(walk, matched->deal.buy_order, matched);
    take_trade(walk, matched->deal.sell_order, matched);
}

static void add_fee(struct walk *walk, enum market_fee_kind kind, const struct name *who,
                    uint64_t deal, struct money amount)
{
    struct market_history *history = walk->history;
    history->fees =
        history_room(history->fees, &history->fee_room, history->fee_count, sizeof *history->fees);
    history->fees[history->fee_count++] = (struct history_fee){
        .at = walk->at, .kind = (uint8_t)kind, .who = *who, .deal = deal, .amount = amount};
}

static void take_event(struct walk *walk, uint8_t type, struct bytes_view bytes)
{
    static const struct name nobody;
    union market_event record;
    enum market_fee_kind fee_kind;
    uint64_t deal_id;
    bool broken;
    bool known = market_event_decode(&record, &broken, type, bytes);
    MUST(!broken);
    if (!known) {
        return;
    }
    if (type == EVENT_ORDER_PLACED) {
        take_placed(walk, &record.placed);
    } else if (type == EVENT_ORDER_CANCELLED || type == EVENT_ORDER_EXPIRED) {
        take_ended(walk, record.ended.id, type == EVENT_ORDER_EXPIRED);
    } else if (type == EVENT_ORDER_REDUCED) {
        take_reduced(walk, &record.reduced);
    } else if (type == EVENT_ALLOCATED) {
        take_allocated(walk, &record.allocated);
    } else if (type == EVENT_DEAL_MATCHED) {
        take_matched(walk, &record.deal);
    } else if (type == EVENT_DEAL_ENDED) {
        MUST(record.deal.id >= 1 && record.deal.id <= walk->history->deal_count);
        struct history_deal *deal = &walk->history->deals[record.deal.id - 1];
        deal->deal = record.deal.deal;
        deal->ended = walk->at.time;
    } else if (type == EVENT_TOKEN_MOVED &&
               market_event_is_fee(&record.moved, &fee_kind, &deal_id)) {
        add_fee(walk, fee_kind, &nobody, deal_id, record.moved.amount);
    } else if (type == EVENT_FEES_SPLIT) {
        add_fee(walk, MARKET_FEE_SPLIT, &record.split.operator_name, 0, record.split.amount);
    }
}

static bool is_change(const struct market_history *history, const struct history_event *event)
{
    return (event->kind == ORDER_EVENT_NEW || event->kind == ORDER_EVENT_CANCEL) &&
           order_may_rest(&history->orders[event->order - 1].placed);
}

/* Pairs what one transaction cancelled with what it placed: events `first` to the last. */
static void pair_replacements(struct market_history *history, size_t first)
{
    struct order_change changes[MARKET_CHANGES_MAX];
    size_t count = 0;
    for (size_t i = first; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];
        if (is_change(history, event)) {
            MUST(count < MARKET_CHANGES_MAX);
            changes[count++] =
                (struct order_change){.kind = event->kind,
                                      .order = event->order,
                                      .placed = &order_of(history, event->order)->placed};
        }
    }
    order_changes_pair(changes, count);
    for (size_t i = first, at = 0; i < history->event_count; i++) {
        struct history_event *event = &history->events[i];
        if (!is_change(history, event)) {
            continue;
        }
        event->kind = changes[at].kind;
        event->other = changes[at].other;
        if (event->kind == ORDER_EVENT_REPLACE) {
            order_of(history, event->order)->replaced_by = event->other;
        }
        at++;
    }
}

/* Who signs with that key: by the state after the block, or, if the block rotated the key away, by
 * the state before. */
static struct name sender_of(const struct audit_seen *seen, const struct public_key *sender)
{
    struct state_key key = state_key_hash(STATE_KEY, sender->bytes);
    struct key_record record = {0};
    if (!ledger_read(seen->after, &key, &key_record_codec, &record) ||
        name_is_empty(&record.participant)) {
        (void)history_read(seen->before, &key, &key_record_codec, &record);
    }
    return record.participant;
}

static void take_receipt(struct walk *walk, const struct receipt *receipt,
                         const struct transaction *transaction_or_null)
{
    struct bytes_view record;
    size_t cursor = 0;
    uint8_t type;
    size_t first = walk->history->event_count;
    walk->at.event = 0;
    if (transaction_or_null != NULL && money_ueur(receipt->fee) != 0) {
        struct name who = sender_of(walk->seen, &transaction_or_null->sender);
        add_fee(walk, MARKET_FEE_TRANSACTION, &who, 0, receipt->fee);
    }
    while (event_next(receipt->events, &cursor, &type, &record)) {
        take_event(walk, type, record);
        walk->at.event++;
    }
    MUST(cursor == receipt->events.size);
    if (transaction_or_null != NULL) {
        pair_replacements(walk->history, first);
    }
}

void history_watch(void *context, const struct audit_seen *seen)
{
    struct market_history *history = context;
    struct walk walk = {.history = history,
                        .seen = seen,
                        .at = {.height = seen->header->height, .time = seen->header->time}};
    struct byte_reader receipts;
    struct body_reader body;
    history_close_books(history, seen->before, seen->header->time);
    byte_reader_init(&receipts, seen->block->receipts.data, seen->block->receipts.size);
    MUST(body_open(&body, seen->block->body));
    uint32_t count = byte_read_u32(&receipts);
    MUST(count == seen->block->tx_count + 1);
    for (walk.at.position = 0; walk.at.position < count; walk.at.position++) {
        struct receipt receipt;
        struct transaction transaction;
        struct bytes_view envelope;
        bool is_end = walk.at.position + 1 == count;
        MUST(codec_decode_all(&receipt_record, &receipt,
                              byte_read_sized(&receipts, seen->block->receipts.size)));
        if (!is_end) {
            MUST(body_next(&body, &envelope));
            MUST(transaction_decode_kept(&transaction, envelope) == CONTRACT_OK);
        }
        take_receipt(&walk, &receipt, is_end ? NULL : &transaction);
    }
    history->last = seen->header->time;
}
