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
    /* Bids of one auction: each makes at most one deal's events and one movement more, and the first
     * auction of a block must find room for all of them. */
    AUCTION_BIDS_MAX = 16384,
    /* VCG asks for each agent what the others could have reached: 4096^2 steps are a fifth of a
     * second. */
    AUCTION_BIDS_MAX_VCG = 4096,
    /* Shapley asks for each of 2^20 sets of agents, or 4096 orders of arrival of all of them. */
    AUCTION_BIDS_MAX_SHAPLEY = 160,
    /* Steps of pure arithmetic that count as one unit of work (limits.h), a write to the state. */
    AUCTION_STEPS_PER_WORK = 256
};
/* Steps of one auction's branch and bound, and of one that its payment asks for: a quarter of a second. */
static const uint64_t auction_search_steps_max = 40000000;

/* Whether the market's orders gather for an auction; else they trade in the block that takes them. */
bool market_is_auction(const struct market_create *terms);

/* --- entering and leaving (auction.c) ------------------------------------------------------- */

struct auction_bid {
    const struct name *participant;
    enum order_side side;
    uint8_t direction;
    struct timestamp period_start;
    struct energy quantity;
    struct energy_price price;
    const struct order_options *options;
};
/* Whether the auction takes this bid's options: UNSUPPORTED_ORDER, BAD_GRANULARITY, OUT_OF_RANGE. */
enum contract_error auction_check_options(const struct market_create *terms, enum order_side side,
                                          struct energy quantity,
                                          const struct order_options *options);
/* Whether there is a place for it among the bids that stand: BOTH_SIDES, ONE_BUYER, BAD_RANK, BOOK_FULL. */
enum contract_error auction_admit(const struct contract_call *call,
                                  const struct order_record *order,
                                  const struct market_create *terms);
/* Counts a bid that entered, or left: placed, cancelled, cleared or expired. */
void auction_entered(const struct contract_call *call, const struct order_record *order,
                     const struct market_create *terms);
void auction_left(const struct contract_call *call, const struct order_record *order,
                  const struct market_create *terms);

/* Clears what is due, the longest due first, as far as the block's share of work reaches. */
void auction_clear_due(struct contract_call *call);

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
