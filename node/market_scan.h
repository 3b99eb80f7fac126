/* The regulator's queries on a running node: order events, trades and fees out of stored blocks and
 * receipts, page by page (docs/spec/api.md, "Market data"; D5.5 2.2.4).
 *
 * A page is bounded work whatever the chain holds: so many blocks, so many bytes of them, so many
 * records read. What it did not reach its cursor names. A block never changes, so neither do pages,
 * however the chain grows in between. NULL is never valid, except where it says so. */
#ifndef FLEX_NODE_MARKET_SCAN_H
#define FLEX_NODE_MARKET_SCAN_H

#include "contracts/market_events.h"
#include "contracts/statement.h"
#include "storage/store.h"

enum {
    MARKET_SCAN_BLOCKS_MAX = 256,
    /* Bodies and receipts; the block that passes it is still finished, at most 50 MiB. */
    MARKET_SCAN_BYTES_MAX = 8 * 1024 * 1024,
    /* State records looked up and transactions decoded; what begins below it is finished, at most a
     * transaction's replacements. */
    MARKET_SCAN_READS_MAX = 4096,
    MARKET_CURSOR_TEXT_SIZE = 32
};

enum market_scan_what {
    MARKET_SCAN_ORDERS,
    MARKET_SCAN_TRADES,
    MARKET_SCAN_FEES,
    MARKET_SCAN_MOVEMENTS
};

/* Row `row` of block `height`, counted over all rows of what is scanned, wanted or not: a cursor
 * does not depend on the filter. */
struct market_cursor {
    uint64_t height;
    uint32_t row;
};
/* "HEIGHT-ROW" in decimal, canonical; false if the text is not one. */
bool market_cursor_from_text(struct market_cursor *out, const char *text);
void market_cursor_to_text(char out[MARKET_CURSOR_TEXT_SIZE], const struct market_cursor *cursor);

/* Where blocks and the state of the last one come from. */
struct market_scan_source {
    /* Header, body and receipts of a block; false if it can't be had. */
    bool (*block)(void *context, uint64_t height, struct store_block *out);
    void *context;
    const struct state_base *state;
};

struct market_row {
    uint64_t height;
    struct timestamp time;
    uint32_t position; /* of the transaction; the block's end stands behind the last */
    uint32_t event;    /* in its receipt */
    struct hash tx_id; /* zero at the block's end */
    uint8_t kind;      /* enum order_event_kind or market_fee_kind; else 0 */
    uint64_t order;    /* of an order event */
    uint64_t other;    /* as surveillance.md 2 has it: a deal, an order, or 0 */
    uint64_t against;  /* of a trade in an order event: the order of the other side */
    struct energy quantity;
    struct energy_price price;
    const struct order_record *placed; /* of an order event; its status and open are of today */
    uint64_t deal_id;                  /* of a trade, and of a deal's fee */
    const struct deal_record *deal;    /* of a trade, as matched */
    struct name who; /* of a fee: who paid it, or got it out of the pool; empty for a deal's */
    struct public_key key; /* of a transaction's fee */
    struct money amount;
    const struct statement_line *line; /* of a movement */
};

struct market_scan {
    enum market_scan_what what;
    struct market_cursor from;
    uint64_t to; /* the last block to look at: at most the tip's height */
    uint32_t limit;
    struct name market;      /* empty: all */
    struct name participant; /* empty: all */
    uint64_t order;          /* 0: all; of a trade either side */
    /* NULL: all. Else whether a row may be told; others are as if they weren't wanted. */
    bool (*may)(void *context, const struct market_row *row);
    /* Is called for each row; the row and what it points to live until it returns. */
    void (*tell)(void *context, const struct market_row *row);
    void *context;
};

/* One page. *more: *next is where the following page begins; else all up to scan->to has been told.
 * False if a block or a record can't be read or isn't what it should be: then nothing that was told
 * counts. */
bool market_scan_run(const struct market_scan *scan, const struct market_scan_source *source,
                     struct market_cursor *next, bool *more);

#endif
