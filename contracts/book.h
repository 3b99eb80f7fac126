/* Order books on the ledger: the open orders of one market, direction and delivery period, and how they
 * trade: in one call at the end of a block, or each as it arrives (market-rules 4 and 5; D5.5 2.2.4).
 *
 * Used by market.c (what may enter a book), order_change.c (what its owner changes) and book_gate.c
 * (what leaves it at gate closure). */
#ifndef FLEX_CONTRACTS_BOOK_H
#define FLEX_CONTRACTS_BOOK_H

#include "contracts/module.h"

/* Bytes of events that the calls leave for whatever ends the block after them. */
enum { BOOK_EVENTS_RESERVE = 64 * 1024 };

/* Most bytes that one deal adds to the block's events: the deal, and four movements of money; and that
 * one order does which ends with its batch. */
enum { BOOK_TRADE_EVENT_BYTES = 416 + 4 * 80, BOOK_END_EVENT_BYTES = 96 };

_Static_assert((int)LIMIT_OPEN_ORDERS_PER_BOOK *(int)(BOOK_TRADE_EVENT_BYTES +
                                                      BOOK_END_EVENT_BYTES) +
                       (int)BOOK_EVENTS_RESERVE <=
                   (int)LEDGER_BLOCK_EVENTS_BYTES_MAX,
               "the first book that a block calls always has room for its deals");

/* Length of a delivery period, and when orders for one that starts at `start` are no longer taken,
 * when it ends, and until when its deals can be proven. False if a time does not exist. */
struct book_times {
    struct timestamp opening; /* orders for the period are taken from then on */
    struct timestamp gate;
    struct timestamp end;
    struct timestamp proof;
};
MUST_USE bool book_times_of(struct book_times *out, const struct market_create *terms,
                            struct timestamp start);

/* Gives the order its id, puts it into its book, and remembers to call that.
 * Fills height and tie. BOOK_FULL; TOO_MANY_EVENTS if the block touches too many books. */
enum contract_error book_insert(struct contract_call *call, uint64_t *id,
                                struct order_record *order, const struct market_create *terms);

/* Takes an open order out of its book for good with `status` cancelled or expired: its
 * place in the index goes, the escrow of what is still open goes back, or the device's commitment is
 * released. */
void book_end_order(struct contract_call *call, uint64_t id, struct order_record *order,
                    const struct market_create *terms, enum order_status status);

/* Lowers an open order's quantity, as placed, to one that leaves something open; it keeps its time. What
 * it locks and books no longer is free at once. TOO_MANY_EVENTS as book_insert. */
enum contract_error book_reduce_order(struct contract_call *call, uint64_t id,
                                      struct order_record *order, const struct market_create *terms,
                                      struct energy quantity);

/* Whether its orders trade as they arrive. */
bool book_is_sequential(const struct market_create *terms);
/* An order that was just inserted into a sequential book trades (contracts/book_sequential.c); what is
 * left of one that may not rest is cancelled. Does nothing in a batch. TOO_MANY_EVENTS if it meets more
 * orders than one transaction may trade with. */
enum contract_error book_order_arrived(struct contract_call *call, uint64_t id,
                                       const struct market_record *market);

/* Whether whoever placed the order may still trade it: is active, and if it names a device, could offer
 * that device now. Whoever matches passes over an order that may not (contracts/book_right.c). */
bool book_may_trade(const struct contract_call *call, const struct order_record *order,
                    const struct market_create *terms);

/* Calls every book that this block touched, or an earlier one put off, and makes the deals. */
void book_call_touched(struct contract_call *call);

/* Reads a record that must be there: false only under a fault of the view, else its absence is our
 * bug. */
bool book_read(const struct contract_call *call, const struct state_key *key,
               const struct codec_record *codec, void *record);

/* What an order locks per kWh: a request its price, an offer its deposit. */
struct energy_price book_rate(const struct order_record *order);
/* Exactly what the pot of an open order holds: rate x open quantity, rounded up. */
struct money book_escrow(struct energy_price price, struct energy quantity);

/* Working memory of one call, sized for LIMIT_OPEN_ORDERS_PER_BOOK; the ledger owns it. NULL if
 * memory ran out. */
struct book_scratch;
struct book_scratch *book_scratch_create(void);
void book_scratch_destroy(struct book_scratch *scratch);
struct book_scratch *ledger_book_scratch(struct ledger *ledger);

#endif
