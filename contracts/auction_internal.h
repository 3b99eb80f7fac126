/* What the files of the auctions share, and nobody else sees. */
#ifndef FLEX_CONTRACTS_AUCTION_INTERNAL_H
#define FLEX_CONTRACTS_AUCTION_INTERNAL_H

#include "contracts/auction.h"
#include "contracts/book_internal.h"
#include "contracts/grid.h"

/* One bid, in the order of time. */
struct auction_bid {
    uint64_t id;
    struct name participant;
    uint64_t height;
    uint64_t tie;
    uint32_t agent;
    uint16_t rank;
    bool buys;
    bool whole; /* indivisible */
    int64_t price;
    int64_t quantity; /* Wh; what the grid leaves of what is open */
    int64_t least;    /* Wh; 0: no minimum */
    int64_t open;
    int32_t place;   /* in the market's network; GRID_PLACE_NONE: it loads nothing */
    int32_t limiter; /* the node that left less than was open */
    /* Of a coupled auction, whose `place` is the problem's. */
    uint32_t slot;
    uint64_t portfolio;
};

/* What one agent trades and pays, over its deals. */
struct auction_agent {
    uint32_t bid; /* its first one: who it is */
    bool buys;
    bool sells;       /* has a deal as the seller */
    int64_t receives; /* ueur; below 0: pays */
    /* Running sums: of its worth, and of a split over its deals (auction_deal.c). */
    int64_t weight;
    int64_t weight_done;
    int128 neur_done;
};

struct auction_deal {
    uint32_t buy; /* bids */
    uint32_t sell;
    int64_t quantity; /* Wh */
    int64_t sold;     /* ueur: what the seller gets for all of it */
    int64_t bought;   /* what the buyer pays */
    int64_t kept;     /* of the buyer's, held with it until it ends */
    int64_t price;    /* what a kilowatt-hour brings the seller: for people and statistics */
};

struct auction_scratch {
    uint32_t count;
    uint32_t agent_count;
    uint32_t deal_count;
    struct auction_bid bids[AUCTION_BIDS_MAX];
    struct auction_agent agents[AUCTION_BIDS_MAX];
    struct auction_deal deals[AUCTION_BIDS_MAX];
    uint32_t index[AUCTION_BIDS_MAX];
    uint32_t buys[AUCTION_BIDS_MAX]; /* accepted ones, best first */
    uint32_t sells[AUCTION_BIDS_MAX];
    uint32_t buy_count;
    uint32_t sell_count;
    struct clear_bid problem_bids[AUCTION_BIDS_MAX];
    int64_t accepted[AUCTION_BIDS_MAX]; /* Wh, per bid */
    struct clear_slot_price price;
    int128 agent_ueur[AUCTION_BIDS_MAX];
    uint8_t *arena;
    size_t arena_size;
};

/* --- auction_clear.c ------------------------------------------------------------------------ */

/* Reads the bids of the book that may trade, in the order of time, and numbers their agents. What the
 * market's network cannot carry of the offers is left out; the ledger's grid is open. */
void auction_load(struct contract_call *call, struct auction_scratch *scratch,
                  const struct book_id *book, const struct market_create *terms);
/* Who trades how much, and what each agent pays or gets: fills scratch and the result's part of the
 * record. Changes nothing but work spent. */
/* Into the order of time; and agents by number, as they first appear. */
void auction_sort_bids(struct auction_scratch *scratch);
void auction_number_agents(struct auction_scratch *scratch);
void auction_compute(const struct contract_call *call, struct auction_scratch *scratch,
                     struct auction_record *record, const struct market_create *terms);

/* --- auction_deal.c ------------------------------------------------------------------------- */

/* Who has a deal with whom, and how the agents' amounts are split over them. */
void auction_plan(struct auction_scratch *scratch, struct auction_record *record);
/* Of `net` that is over: how much of it stays with deals whose buyers paid more than their sellers get, in
 * proportion (`kept`). The rest is fractions, and is the answer. */
struct money auction_keep_surplus(struct auction_scratch *scratch, int128 net);
/* For people and statistics: sold over quantity, floored. */
int64_t auction_average_price(const struct auction_deal *plan);
/* Whether the block has room for the events of what is planned. */
bool auction_events_fit(const struct contract_call *call, const struct auction_scratch *scratch);
/* Parts of carrying it out, in this order: every accepted buy's escrow is free; what buyers pay beyond their
 * own deals goes to the pool; deals are made, with what they lack from there; the rest of buys expires. */
void auction_end_request(struct contract_call *call, const struct auction_scratch *scratch,
                         uint32_t at, const struct market_create *terms);
void auction_collect(struct contract_call *call, const struct auction_scratch *scratch);
void auction_make_deal(struct contract_call *call, const struct auction_scratch *scratch,
                       const struct auction_deal *plan, const struct market_record *market);
void auction_tell_expired(struct contract_call *call, const struct auction_scratch *scratch);
/* Carries out the plan: orders, deals, money. */
void auction_settle(struct contract_call *call, struct auction_scratch *scratch,
                    struct auction_record *record, const struct market_record *market);

#endif
