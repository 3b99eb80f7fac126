/* Capacity markets: room in a DSO's grid, asked for by whoever has a device there, and shared out at gate
 * closure (MFX II.A; market-rules 8; docs/spec/capacity.md 2).
 *
 * A request is an order of its book like any other: a buy, down for import and up for export, with a
 * device. It is cleared by contracts/clear_capacity.c, the very code of flexclear. NULL is never valid. */
#ifndef FLEX_CONTRACTS_CAPACITY_H
#define FLEX_CONTRACTS_CAPACITY_H

#include "contracts/book.h"
#include "contracts/grid.h"

enum {
    /* Units of work of one request at its clearing, beside one for each quarter hour of its device. */
    CAPACITY_WORK_PER_REQUEST = 16,
    /* Requests of one book whose period is a quarter hour; longer ones hold fewer. */
    CAPACITY_REQUESTS_MAX =
        (LIMIT_WORK_OF_CLEARINGS - LIMIT_NETWORK_NODES) / (CAPACITY_WORK_PER_REQUEST + 1),
    /* The allocation, its order's end, and movements of money there, on, and once the remainder's. */
    CAPACITY_EVENT_BYTES = 256 + 16 + 3 * 96
};
_Static_assert((int)CAPACITY_REQUESTS_MAX *(int)CAPACITY_EVENT_BYTES + (int)BOOK_EVENTS_RESERVE <=
                   (int)LEDGER_BLOCK_EVENTS_BYTES_MAX,
               "the first clearing of a block always has room for its events");

struct book_id;

/* Whether the market sells room in the grid. */
bool capacity_is_sold(const struct market_create *terms);
/* Most requests of one of its books: all of them are cleared in one block. */
uint32_t capacity_requests_max(const struct market_create *terms);

/* Whether the sender may ask for that much for its device: UNSUPPORTED_ORDER without one, the errors of
 * the right to offer, UNKNOWN_NODE, OVER_CONNECTION with what the device has and asks for already,
 * BOOK_FULL. If so, the device holds it. */
enum contract_error capacity_admit(struct contract_call *call, const struct request_place *request,
                                   const struct market_create *terms);
/* A request that was admitted stands in its book, which clears at its gate. */
void capacity_entered(struct contract_call *call, const struct order_record *order,
                      const struct market_create *terms);
/* Its device no longer asks for that much of it. */
void capacity_release(struct contract_call *call, const struct order_record *order,
                      const struct market_create *terms, struct energy quantity);

/* Clears the books whose gates have closed, the longest closed first, as far as the block's share of work
 * and its room for events reach. */
void capacity_clear_due(struct contract_call *call);
/* Whether the book's orders wait for a clearing that was put off. */
bool capacity_waits(const struct contract_call *call, const struct book_id *book,
                    const struct market_create *terms);

/* Working memory of one clearing; the ledger owns it. NULL if memory ran out. */
struct capacity_scratch;
struct capacity_scratch *capacity_scratch_create(void);
void capacity_scratch_destroy(struct capacity_scratch *scratch);
struct capacity_scratch *ledger_capacity_scratch(struct ledger *ledger);

#endif
