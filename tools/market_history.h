/* What happened on the markets, collected from the receipts of re-executed blocks: every order's
 * events with height, time and place in the block, deals, fees, and at each gate closure the
 * capacity that could have been offered (docs/spec/surveillance.md 2).
 *
 * Filled by history_watch as an audit goes (tools/audit_verify.h), from genesis: orders and deals
 * are numbered from 1 without gaps, so entry i of an array is number i + 1. Read-only afterwards.
 * Memory running out stops the program. NULL is never valid. */
#ifndef FLEX_TOOLS_MARKET_HISTORY_H
#define FLEX_TOOLS_MARKET_HISTORY_H

#include "contracts/market_events.h"
#include "tools/audit_verify.h"

struct history_place {
    uint64_t height;
    struct timestamp time;
    uint32_t position; /* of the transaction in the block; the block's end stands behind the last */
    uint32_t event;    /* in its receipt */
};

struct history_event {
    struct history_place at;
    uint8_t kind;
    uint64_t order;
    uint64_t
        other; /* trade: the deal; replace: the new order, or itself; new: the one it replaces; or 0 */
    struct energy quantity;    /* new: placed; trade: traded; else what was open and no longer is */
    struct energy open;        /* of the order afterwards */
    struct energy_price price; /* trade: the deal's; else the order's limit */
};

struct history_order {
    struct order_record placed; /* as the event told it */
    struct timestamp time;
    uint32_t book;
    struct energy open; /* now */
    struct energy traded;
    struct energy withdrawn; /* cancelled or replaced */
    struct energy reduced;   /* of that, by replacing it with less of itself */
    struct energy expired;
    struct timestamp ended;        /* zero while it is open; of the last trade if it was filled */
    struct timestamp last_reduced; /* zero: never */
    uint8_t status;                /* enum order_status */
    uint64_t replaced_by;          /* 0: none */
};

struct history_deal {
    struct deal_record deal; /* as the latest event told it */
    struct history_place matched;
    struct timestamp ended; /* zero while it runs */
    uint32_t book;
    struct name device_owner; /* when it was matched */
};

struct history_fee {
    struct history_place at;
    uint8_t kind;    /* enum market_fee_kind */
    struct name who; /* empty for a deal */
    uint64_t deal;
    struct money amount;
};

/* One market, direction and delivery period that has had an order. */
struct history_book {
    struct name market;
    struct timestamp start;
    struct timestamp end;
    struct timestamp gate;
    struct duration unit;
    uint8_t direction;
    struct energy_price price_max; /* the market's cap */
    bool sells_capacity;           /* of the grid: no device could have offered anything there */
    bool closed;                   /* a block at or after the gate has been seen */
    uint32_t first_share;          /* if closed: what could have been offered, by participant */
    uint32_t share_count;
};

/* One participant's devices in a book at its gate closure. */
struct history_share {
    uint32_t book;
    struct name who; /* who had the right to offer: the manager, else the owner */
    uint32_t devices;
    struct energy potential; /* power over the period, or the store's capacity if that is less */
    struct energy free;      /* of it what was neither offered nor sold anywhere */
};

struct market_history {
    struct history_event *events;
    size_t event_count, event_room;
    struct history_order *orders;
    size_t order_count, order_room;
    struct history_deal *deals;
    size_t deal_count, deal_room;
    struct history_fee *fees;
    size_t fee_count, fee_room;
    struct history_book *books;
    size_t book_count, book_room;
    struct history_share *shares;
    size_t share_count, share_room;
    uint32_t *book_slots; /* hash of a book's key -> index + 1 */
    size_t book_slot_count;
    struct timestamp next_gate; /* the earliest of an open book */
    bool any_gate;
    struct timestamp last; /* time of the last block */
};

struct market_history *history_create(void);
void history_destroy(struct market_history *history);
/* An audit_watch_fn; `context` is the history. */
void history_watch(void *context, const struct audit_seen *seen);

/* Room for one more item of `size` bytes behind `count`; doubles as needed (tools/market_history.c). */
void *history_room(void *items, size_t *room, size_t count, size_t size);
/* Capacity of the books whose gate the block is the first to reach (tools/market_capacity.c). */
void history_close_books(struct market_history *history, const struct state_base *before,
                         struct timestamp now);
/* The record at `key`; false if there is none. Stops if the state can't be read. */
bool history_read(const struct state_base *state, const struct state_key *key,
                  const struct codec_record *codec, void *record);

#endif
