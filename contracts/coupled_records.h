/* The records of coupled auctions and of portfolios; a part of contracts/records.h, which includes it
 * (docs/spec/coupled.md 10 to 12). */
#ifndef FLEX_CONTRACTS_COUPLED_RECORDS_H
#define FLEX_CONTRACTS_COUPLED_RECORDS_H

#include "contracts/actions.h"

/* One coupled auction (docs/spec/coupled.md 10): all intervals from its start, in one direction. */
enum coupled_state {
    COUPLED_OPEN = 0,    /* takes bids */
    COUPLED_SOLVING = 1, /* the problem is fixed, solutions are taken */
    COUPLED_CLEARED = 2,
    COUPLED_VOID = 3, /* no deals; the record says why */
    COUPLED_BOUND = 4 /* cleared by an earlier auction: links tied it to what bound there */
};
enum { COUPLED_STATE_COUNT = 5 };
extern const char *const coupled_state_names[COUPLED_STATE_COUNT];
enum coupled_reason {
    COUPLED_REASON_NONE = 0,
    COUPLED_REASON_MARKET = 1, /* the market was not open */
    COUPLED_REASON_LATE = 2,   /* delivery had begun */
    COUPLED_REASON_LIMITS =
        3, /* bids, network and intervals together are over coupled.h's limits */
    COUPLED_REASON_PROBLEM =
        4 /* the network's figures make no problem: a row's product overflows */
};
enum { COUPLED_REASON_COUNT = 5 };
extern const char *const coupled_reason_names[COUPLED_REASON_COUNT];

/* What is known of the best solution so far, and at the end of the one that cleared. */
struct coupled_best {
    struct name proposer; /* empty: the floor, which every node makes itself */
    uint64_t height;      /* of the block that took it */
    struct hash solution; /* coupled_solution_hash with the auction's seed: decides ties */
    uint32_t bytes;       /* of its encoding, which stands in pages */
    struct energy quantity;
    struct money welfare;  /* rounded down, and the neur above that */
    uint16_t welfare_neur; /* 0 to 999 */
    struct money bound;    /* rounded up; the largest number where it is over that */
    int64_t gap_neur;      /* bound - welfare, exact; the largest number where it is over that */
    uint32_t relaxed_sets; /* as struct coupled_claim */
};

struct coupled_record {
    uint8_t state;
    uint8_t reason;
    uint32_t bids; /* that stand, or took part */
    uint32_t links;
    uint32_t members; /* bids named in links */
    /* From the gate on. */
    uint64_t fixed_height;  /* of the block that fixed the problem */
    uint64_t closes_height; /* the last block that takes solutions; its end clears */
    uint32_t version;       /* of the market's terms, for all that follows */
    struct hash problem;    /* of its canonical bytes, which stand in pages */
    uint32_t problem_bytes;
    uint32_t agents;
    uint32_t places;
    uint32_t lines;
    uint32_t rows;
    struct hash seed; /* id of the block before fixed_height */
    struct money floor_welfare;
    uint32_t solutions; /* judged */
    uint32_t wrong;     /* of those, strikes */
    struct coupled_best best;
    /* From the clearing on. */
    uint64_t height;
    struct money bought;  /* what buys pay at once */
    struct money sold;    /* what sells get for full delivery */
    struct money given;   /* to buys at a price below zero, at once */
    struct money surplus; /* to the market's account at once; what deals hold of it follows */
    uint64_t first_deal;
    uint32_t deals;
    struct timestamp bound_by; /* the start of the auction that bound it; else 0 */
};

enum coupled_page_of { COUPLED_PAGE_PROBLEM = 0, COUPLED_PAGE_SOLUTION = 1 };
enum { COUPLED_PAGE_OF_COUNT = 2, COUPLED_PAGE_BYTES = 4000 };
extern const char *const coupled_page_names[COUPLED_PAGE_OF_COUNT];
struct coupled_page_record {
    struct bytes_view bytes; /* COUPLED_PAGE_BYTES, but in the last page */
};

/* What one participant has proposed in one auction. */
struct coupled_solver_record {
    uint32_t solutions;
    uint32_t strikes; /* provably wrong ones */
    struct money fees;
};

/* What an order of a coupled market has beside its own record. */
struct coupled_bid_record {
    uint64_t portfolio;     /* its first order */
    struct timestamp start; /* its portfolio's auction */
    struct timestamp last;  /* the last period that the portfolio had a bid for */
    struct name node;
    struct name carrier;
};
struct coupled_side_record {
    uint8_t side; /* enum order_side; nobody trades with itself, so all its bids there are on one */
    uint32_t bids;
};
struct portfolio_record {
    struct name market;
    struct name participant;
    uint8_t direction;
    struct timestamp start;
    uint32_t bids; /* orders, numbered from the first one on */
    uint32_t link_count;
    struct portfolio_link links[LIMIT_PORTFOLIO_LINKS];
};

extern const struct codec_record coupled_record_codec;
extern const struct codec_record coupled_page_record_codec;
extern const struct codec_record coupled_solver_record_codec;
extern const struct codec_record coupled_bid_record_codec;
extern const struct codec_record coupled_side_record_codec;
extern const struct codec_record portfolio_record_codec;

/* The parts of their keys, for the table of kinds. */
extern const struct codec_record coupled_due_key_codec;
extern const struct codec_record coupled_page_key_codec;
extern const struct codec_record coupled_side_key_codec;
extern const struct codec_record network_line_key_codec;

#endif
