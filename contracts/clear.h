/* Clearing, pure: a problem in, accepted quantities, prices and trades out (market-rules 4, 5 and 8;
 * D2.3 eq. 3-4 to 3-10; MFX II.A; docs/spec/clearing.md).
 *
 * Prices and quantities are plain integers, as in contracts/call.h: one code clears energy (ueur
 * per kWh, Wh) and power (ueur per kW, W). price x quantity is in neur. Nothing here allocates: all
 * room comes from the caller's arena, and clear_arena_bytes says how much is enough. Every search
 * is bounded by a budget of elementary steps, so the answer depends on the problem alone, never on
 * how fast the machine is. The place of a bid in its array is its place in time. NULL is never a
 * valid argument unless the function says so. */
#ifndef FLEX_CONTRACTS_CLEAR_H
#define FLEX_CONTRACTS_CLEAR_H

#include <stddef.h>

#include "base/checked.h"
#include "contracts/call.h"

enum {
    /* 10^6 bids of 100 bytes are 100 MB of text: as much as one market of a large city sends. */
    CLEAR_BIDS_MAX = 1000000,
    CLEAR_NODES_MAX = 100000,
    CLEAR_NODE_SLOTS_MAX = 10000000, /* a feeder's thousand nodes over a year of hours */
    /* From a household's fuse to the transmission grid there are less than ten levels. */
    CLEAR_TREE_DEPTH_MAX = 64,
    CLEAR_NODE_NONE = -1
};
/* Steps of all branch and bound of one problem: a few seconds at most. */
static const uint64_t clear_search_steps_max = 1000000000;
/* Steps of everything else whose cost isn't n log n. */
static const uint64_t clear_scan_steps_max = 20000000000;
/* The sum of |price| x quantity over all bids stays under this, so that no sum of welfare, payment
 * or marginal contribution can overflow. */
#define CLEAR_VALUE_MAX ((int128)1 << 120)

enum clear_mechanism {
    CLEAR_MERIT_ORDER,
    CLEAR_ORDERED_DEMAND,
    CLEAR_ONE_SIDED,
    CLEAR_CONTINUOUS,
    CLEAR_CAPACITY
};
enum clear_kind { CLEAR_LIMIT, CLEAR_ALL_OR_NONE, CLEAR_FILL_AND_KILL };
enum clear_trade_price {
    CLEAR_PRICE_RESTING,
    CLEAR_PRICE_BID,
    CLEAR_PRICE_ASK,
    CLEAR_PRICE_MIDPOINT /* floored: the buyer gains the half unit */
};
enum clear_rule { CLEAR_PREMIUM, CLEAR_FIRST_COME, CLEAR_HIGHEST_DEMAND };

struct clear_bid {
    int64_t quantity;     /* 0 or more; 0 never trades */
    int64_t price;        /* may be negative, but not in a capacity market */
    int64_t min_quantity; /* 0 to quantity */
    uint32_t agent;       /* under agent_count */
    uint32_t slot;        /* its interval's place among the intervals in use, under slot_count */
    uint32_t order;       /* step of ordered demand; equal steps are open together */
    int32_t node;         /* capacity: place in `nodes`, or CLEAR_NODE_NONE: nothing limits it */
    enum clear_kind kind;
    bool buy;
    bool indivisible;
};

/* A constraint of the capacity market. Parents form a forest (clear_check). */
struct clear_node {
    int64_t capacity; /* 0 or more; in each direction and interval */
    int32_t parent;   /* place in `nodes` or CLEAR_NODE_NONE */
};

struct clear_problem {
    enum clear_mechanism mechanism;
    enum call_tie tie;                  /* merit order and ordered demand */
    enum clear_trade_price trade_price; /* continuous */
    enum clear_rule rule;               /* capacity */
    uint64_t search_steps;              /* budget of branch and bound; 0: clear_search_steps_max */
    uint32_t bid_count;
    uint32_t agent_count;
    uint32_t slot_count;
    uint32_t node_count;
    const struct clear_bid *bids;
    const struct clear_node *nodes;
};

/* What is wrong with a problem. `bid` is UINT32_MAX if it's none of a single bid; `field` is a name
 * as in the problem's text. */
struct clear_fault {
    uint32_t bid;
    const char *field;
    const char *what;
};

/* A bump arena over the caller's memory. */
struct clear_arena {
    uint8_t *bytes;
    size_t size;
    size_t used;
};
/* Zeroed room for `count` items of `size` bytes; asking for more than is left is our own bug, since
 * clear_arena_bytes comes first. */
void *clear_take(struct clear_arena *arena, size_t count, size_t size);
/* Bytes that clear_run needs for this problem, together with all payments (clear_pay.h). */
size_t clear_arena_bytes(const struct clear_problem *problem);

/* False, with the fault, unless the problem is one that its mechanism takes. Leaves the arena as it
 * was. */
MUST_USE bool clear_check(const struct clear_problem *problem, struct clear_fault *fault,
                          struct clear_arena *arena);

struct clear_slot_price {
    bool traded; /* false: the rest is 0 */
    int64_t lower;
    int64_t upper;
    int64_t price;
};
struct clear_trade {
    uint32_t bid;
    uint32_t ask;
    int64_t quantity;
    int64_t price;
};

struct clear_result {
    int64_t *accepted;               /* per bid */
    int128 welfare;                  /* neur */
    int128 quantity;                 /* what changed hands; in a capacity market what was granted */
    struct clear_slot_price *prices; /* per slot; merit order only, else NULL */
    struct clear_trade *trades;      /* continuous only, in order of execution */
    uint32_t trade_count;
    int64_t *resting; /* continuous only: what each bid has left in the book */
    /* Capacity under premium only: [slot][buy first, then sell][node]. */
    int64_t *constraint_price;
    int32_t
        *limiter; /* capacity only: per bid, the node that refused or cut it, or CLEAR_NODE_NONE */
    /* One-sided only. False: the budget ended before the proof; accepted is the best found. */
    bool proven;
    int128 bound_welfare;
    int128 bound_quantity;
};

/* False if the budget of steps ended where no useful answer stands without them (continuous). The
 * problem must have passed clear_check; the result lives in the arena. */
MUST_USE bool clear_run(struct clear_result *out, const struct clear_problem *problem,
                        struct clear_arena *arena);

#endif
