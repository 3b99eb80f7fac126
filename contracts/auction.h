/* Call auctions on the ledger (market-rules 5 and 6; D2.3 3.4; GOFLEX FMAR1-3; docs/spec/auctions.md).
 *
 * An auction is the book of a market whose mechanism is merit_order, ordered_demand or one_sided: bids
 * gather until gate closure, and the first block at or after it clears them all at once, by the very code
 * that flexclear runs (contracts/clear.h, contracts/clear_pay.h). NULL is never a valid argument. */
#ifndef FLEX_CONTRACTS_AUCTION_H
#define FLEX_CONTRACTS_AUCTION_H

#include "contracts/book.h"
#include "contracts/clear_pay.h"

enum {
    /* Bids of one auction. Each makes one deal and ends one order at most, and the first auction of a
     * block must find room for all their events. */
    AUCTION_BIDS_MAX = 16384,
    /* VCG asks, for each agent, what the others could have reached: 4096^2 steps are a fifth of a
     * second. */
    AUCTION_BIDS_MAX_VCG = 4096,
    /* Shapley asks that for each of 2^20 sets of agents, or along 4096 orders of arrival of all. */
    AUCTION_BIDS_MAX_SHAPLEY = 160,
    /* Steps of arithmetic that count as one unit of work (limits.h): a write takes as long. */
    AUCTION_STEPS_PER_WORK = 256,
    /* No auction is begun in a block that has spent so much on auctions: the other half is for books. */
    AUCTION_WORK_MAX = LIMIT_WORK_OF_CALLS / 2,
    AUCTIONS_PER_BLOCK_MAX = 4096
};
/* Steps of one auction's branch and bound, and as many of its payment's: a quarter of a second. */
static const uint64_t auction_search_steps_max = 40000000;

_Static_assert((int)AUCTION_BIDS_MAX *(int)(BOOK_TRADE_EVENT_BYTES + 2 * BOOK_END_EVENT_BYTES) +
                       2 * (int)BOOK_EVENTS_RESERVE <=
                   (int)LEDGER_BLOCK_EVENTS_BYTES_MAX,
               "the first auction of a block always has room for its deals");
_Static_assert((int)AUCTION_BIDS_MAX <= (int)LIMIT_OPEN_ORDERS_PER_BOOK,
               "an auction's bids are a book");

/* --- entering and leaving (auction.c) ------------------------------------------------------- */

/* Whether the market's orders gather for an auction; else they trade in the block that takes them. */
bool market_is_auction(const struct market_create *terms);
/* The same of a coupled auction too: bids stand until their gate, and then are nobody's to change. */
bool market_is_gated(const struct market_create *terms);
/* Whether the mechanism carries out what an order asks for beyond quantity and price. */
bool auction_takes_options(const struct market_create *terms, const struct order_options *options);
/* Whether there is a place for the order among the bids that stand: BOTH_SIDES, ONE_BUYER, BAD_RANK,
 * BOOK_FULL. OK in a market without auctions. */
enum contract_error auction_admit(const struct contract_call *call,
                                  const struct order_record *order,
                                  const struct market_create *terms);
/* Counts a bid that entered, or left: cancelled, cleared or expired. */
void auction_entered(const struct contract_call *call, const struct order_record *order,
                     const struct market_create *terms);
void auction_left(const struct contract_call *call, const struct order_record *order,
                  const struct market_create *terms);
/* Whether it is an auction of either kind, and its bids are no longer anybody's to change. */
bool auction_gate_has_closed(const struct contract_call *call, const struct market_create *terms,
                             struct timestamp period_start);

/* Clears what is due, the longest due first, as far as the block's share of work and room reach. */
void auction_clear_due(struct contract_call *call);

/* Working memory of one auction; the ledger owns it. NULL if memory ran out. */
struct auction_scratch;
struct auction_scratch *auction_scratch_create(void);
void auction_scratch_destroy(struct auction_scratch *scratch);
struct auction_scratch *ledger_auction_scratch(struct ledger *ledger);

/* --- the reserve (auction_reserve.c) -------------------------------------------------------- */

void auction_total_read(const struct contract_call *call, const struct name *market,
                        struct auction_total_record *out);
void auction_total_write(const struct contract_call *call, const struct name *market,
                         const struct auction_total_record *total);
/* What may be spent on a deficit: nothing if the terms name another account than the one whose money it
 * is. */
struct money auction_reserve_of(const struct contract_call *call,
                                const struct market_create *terms);

#endif
