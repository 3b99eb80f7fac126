/* Coupled auctions, pure: the problem in integers, and the exact check of anybody's solution
 * (market-rules 7; D2.3 3.3.1 to 3.3.3; docs/spec/coupled.md, with the proof that the bound is one).
 *
 * Somebody, trusted by nobody, proposes accepted quantities, flows and multipliers. coupled_check
 * says in exact integers whether the quantities keep every rule, what welfare they have, and what
 * welfare no other quantities can pass; coupled_floor makes a solution of its own, so that a
 * clearing exists without any solver; coupled_settle says who pays what.
 *
 * Units as in contracts/clear.h: price x quantity is in neur. Multipliers are rationals over one
 * denominator, `den`. Nothing here allocates or does I/O: all room comes from the caller's arena,
 * coupled_arena_bytes says how much is enough. Every search is bounded by counted steps, so the
 * answer depends on the problem and the solution alone. A number that leaves 128 bits on the way is
 * a refusal by name, never a wrapped result. The place of a bid in its array is its place in time.
 * NULL is never a valid argument unless the function says so. */
#ifndef FLEX_CONTRACTS_CLEAR_COUPLED_H
#define FLEX_CONTRACTS_CLEAR_COUPLED_H

#include "contracts/clear.h"
#include "crypto/hash.h"

enum {
    /* Ten times the largest auction of the design (10,000 bids on 100 nodes over 4 intervals). */
    COUPLED_BIDS_MAX = 100000,
    /* A place is a node of one carrier. */
    COUPLED_PLACES_MAX = 20000,
    COUPLED_SLOTS_MAX = 1000, /* ten days of quarter hours */
    COUPLED_LINES_MAX = 40000,
    COUPLED_ROWS_MAX = 20000,
    COUPLED_COEFS_MAX = 1000000,
    COUPLED_LINKS_MAX = 100000,
    COUPLED_MEMBERS_MAX = 400000, /* bids named in links, all links together */
    /* Places, lines, rows and coefficients, each times intervals: 16 MiB of sums per table. */
    COUPLED_CELLS_MAX = 1000000,
    COUPLED_CONVERT_DEPTH_MAX = 8, /* gas to power to heat to cold has three conversions */
    /* All rooms of the checker and the floor together for the largest problem of these limits. */
    COUPLED_ARENA_BYTES_MAX = 1024 * 1024 * 1024
};
/* Steps of the search for the best reduced surplus of one linked set, and of all sets of a check.
 * A step costs some 10 ns, in sums up to 40. */
static const uint64_t coupled_set_steps_max = 100000;
static const uint64_t coupled_check_steps_max = 2000000;
/* Steps of the floor: visits of a node or line, some 30 ns each on a large network. */
static const uint64_t coupled_floor_steps_max = 1000000000;

enum coupled_op { COUPLED_AT_MOST, COUPLED_AT_LEAST, COUPLED_EQUAL };

/* Accepted means: a quantity above zero. All bids of a link are one agent's. */
enum coupled_link_type {
    COUPLED_AND,    /* all of them or none */
    COUPLED_OR,     /* the first only if at least one of the others */
    COUPLED_XOR,    /* at most one */
    COUPLED_SUM,    /* the sum of accepted quantities, `op`, `quantity` */
    COUPLED_BLOCK,  /* the same quantity in all */
    COUPLED_CONVERT /* two members, in and out: out = floor(in x num / den) */
};

struct coupled_bid {
    int64_t quantity; /* 0 or more; 0 never trades */
    int64_t price;
    int64_t min_quantity; /* 0 to quantity: accepted is 0 or at least this */
    uint32_t agent;
    uint32_t slot;
    uint32_t place;
    uint32_t order; /* buys only: a later step of the agent's buys of that slot trades only if all
                       earlier ones are full (D2.3 eq. 3-8); equal steps are open together */
    bool buy;
    bool indivisible;
};

struct coupled_line {
    uint32_t from;
    uint32_t to;
    int64_t capacity; /* 0 or more; in both directions, in every slot */
};

/* sum of coefficient x injection of the place, in every slot; injection = accepted sells - buys. The right
 * side may differ by slot: coupled_right. */
struct coupled_row {
    uint32_t first; /* place in `coefs` */
    uint32_t count;
    enum coupled_op op;
    int64_t rhs;
};
struct coupled_coef {
    uint32_t place; /* rising within a row */
    int64_t value;
};

struct coupled_link {
    enum coupled_link_type type;
    uint32_t first; /* place in `members` */
    uint32_t count;
    enum coupled_op op; /* sum */
    int64_t quantity;   /* sum */
    int64_t num;        /* convert: 0 or more */
    int64_t den;        /* convert: 1 or more */
};

struct coupled_problem {
    uint32_t bid_count;
    uint32_t agent_count;
    uint32_t slot_count;
    uint32_t place_count;
    uint32_t line_count;
    uint32_t row_count;
    uint32_t coef_count;
    uint32_t link_count;
    uint32_t member_count;
    const struct coupled_bid *bids;
    const struct coupled_line *lines;
    const struct coupled_row *rows;
    const struct coupled_coef *coefs;
    const struct coupled_link *links;
    const uint32_t *members; /* places of bids */
    /* Per slot: its auction. That of number 0 binds, and what is tied to it; the others are what comes
     * after. NULL: all slots are of auction 0. */
    const uint32_t *auction;
    const int64_t *right; /* [slot][row]: right sides; NULL: the rows' own in every slot */
};
static inline int64_t coupled_right(const struct coupled_problem *problem, uint32_t slot,
                                    uint32_t row)
{
    return problem->right == NULL ? problem->rows[row].rhs
                                  : problem->right[(size_t)slot * problem->row_count + row];
}

/* What somebody proposes. Tables by slot: [slot x count + item]. */
struct coupled_solution {
    const int64_t *accepted; /* per bid */
    const int64_t *flow;     /* [slot][line], positive from `from` to `to` */
    int64_t den;             /* 1 or more */
    const int64_t *node;     /* [slot][place]: multiplier of the balance of the place */
    const int64_t *row;      /* [slot][row] */
    const int64_t *sum;      /* [link]; 0 where the link is no sum */
};

/* The rules, in the order in which they are looked at; the first broken one is the answer. */
enum coupled_rule {
    COUPLED_KEPT,
    COUPLED_BROKEN_BOUNDS,      /* a quantity below 0 or over the bid's */
    COUPLED_BROKEN_MINIMUM,     /* above 0 and under the minimum */
    COUPLED_BROKEN_INDIVISIBLE, /* neither 0 nor whole */
    COUPLED_BROKEN_ORDER,       /* a later step of a buyer before an earlier one is full */
    COUPLED_BROKEN_LINK,        /* and, or, xor, block, convert */
    COUPLED_BROKEN_SUM,
    COUPLED_BROKEN_CAPACITY,
    COUPLED_BROKEN_BALANCE, /* sells - buys + inflow - outflow is not 0 */
    COUPLED_BROKEN_ROW,
    COUPLED_BROKEN_DENOMINATOR, /* below 1 */
    COUPLED_BROKEN_SIGN,        /* of the multiplier of a row or sum */
    COUPLED_OVERFLOW,           /* bound or welfare leave 128 bits: nothing is claimed */
    COUPLED_BROKEN_BINDING,     /* what binds is worth less than nothing */
    COUPLED_RULE_COUNT
};
/* Which rule, and where: `item` is the place of the bid, link, line, place or row. */
struct coupled_break {
    enum coupled_rule rule;
    uint32_t item;
    uint32_t slot; /* lines, places, rows and their multipliers; else 0 */
};

/* What a solution is worth. */
struct coupled_claim {
    int128 welfare;  /* neur */
    int128 quantity; /* what changed hands */
    int128 bound;    /* neur, rounded up: no quantities that keep the rules have more welfare */
    int128 gap;      /* bound - welfare, 0 or more */
    /* Linked sets whose best reduced surplus could not be searched through within the steps: a
     * weaker bound stands in for it, so `bound` is still one. */
    uint32_t relaxed_sets;
};

struct coupled_plan;

/* What is wrong with a problem: like struct clear_fault, with the kind of item. */
enum coupled_item { COUPLED_NO_ITEM, COUPLED_BID, COUPLED_LINE, COUPLED_ROW, COUPLED_LINK };
struct coupled_fault {
    enum coupled_item item;
    uint32_t at;
    const char *field; /* a key of the item as in the problem's text */
    const char *what;
};

/* Bytes that coupled_prepare, one coupled_check, one coupled_floor and one coupled_settle need at
 * once; at most COUPLED_ARENA_BYTES_MAX for what coupled_prepare takes. */
size_t coupled_arena_bytes(const struct coupled_problem *problem);

/* Checks a problem and works out its structure once, for any number of checks: linked sets, steps
 * of buyers, conversions. NULL with the fault. The plan lives in the arena and keeps a pointer to
 * the problem. */
const struct coupled_plan *coupled_prepare(const struct coupled_problem *problem,
                                           struct coupled_fault *fault, struct clear_arena *arena);

/* Is it a solution of all rules that takes nothing at all? Then a clearing always exists. False
 * with the rule that 0 breaks. A ledger lets in only what keeps this true. */
MUST_USE bool coupled_rest_is_solution(const struct coupled_plan *plan, struct coupled_break *out);

/* Does the solution keep all rules, and what is it worth? False with the first rule broken. Linear
 * in bids, cells and coefficients, but for the sets (coupled_check_steps_max). Leaves the arena as
 * it was. */
MUST_USE bool coupled_check(struct coupled_claim *out, struct coupled_break *broken,
                            const struct coupled_plan *plan,
                            const struct coupled_solution *solution, struct clear_arena *arena);
/* The quantities alone: welfare and quantity of `out`, without any bound. */
MUST_USE bool coupled_check_quantities(struct coupled_claim *out, struct coupled_break *broken,
                                       const struct coupled_plan *plan,
                                       const struct coupled_solution *solution,
                                       struct clear_arena *arena);
/* The multipliers alone: bound and relaxed_sets of `out`. */
MUST_USE bool coupled_check_bound(struct coupled_claim *out, struct coupled_break *broken,
                                  const struct coupled_plan *plan,
                                  const struct coupled_solution *solution,
                                  struct clear_arena *arena);

/* Which slots of a solution's quantities bind (docs/spec/coupled.md 17): those of auction 0, and of every
 * auction that accepted bids of a link `and`, `or`, `block` or `convert` tie to one that binds. */
void coupled_bound_slots(bool *bound, const struct coupled_problem *problem,
                         const int64_t *accepted, struct clear_arena *arena);

/* One hash for one solution, whoever encodes it: over all numbers of the solution in their order
 * after `salt` (the previous block, so that ties can't be ground in advance). */
void coupled_solution_hash(struct hash *out, const struct coupled_plan *plan,
                           const struct coupled_solution *solution, const struct hash *salt);

/* Room for a solution that is being made. */
struct coupled_draft {
    int64_t *accepted;
    int64_t *flow;
    int64_t den;
    int64_t *node;
    int64_t *row;
    int64_t *sum;
};
void coupled_draft_take(struct coupled_draft *out, const struct coupled_problem *problem,
                        struct clear_arena *arena);
/* Takes nothing any more where `bound` says so, or elsewhere. What binds, and what does not, keep all rules
 * of 1 to 9 each by itself if both together do, and taking nothing does. */
void coupled_draft_clear(struct coupled_draft *draft, const struct coupled_problem *problem,
                         const bool *bound, bool where);
struct coupled_solution coupled_draft_view(const struct coupled_draft *draft);

/* The floor: a solution by augmenting paths in integers, best pair first, with its multipliers. It
 * is optimal, with gap 0, where all bids are divisible and unlinked and there are no rows. Bids in
 * links `and`, `block` and `convert` stay out; the rest of the rules it keeps as it goes. False with
 * the rule if taking nothing is no solution: then there is no floor. At most `steps` steps (0:
 * coupled_floor_steps_max); where they end early the solution is as good as it is by then. */
MUST_USE bool coupled_floor(struct coupled_draft *out, struct coupled_break *broken,
                            const struct coupled_plan *plan, uint64_t steps,
                            struct clear_arena *arena);
/* Betters quantities that already keep all rules, by trades between bids that may move without
 * anything going on or off. Welfare never falls, and all rules stay kept. */
void coupled_polish(struct coupled_draft *draft, const struct coupled_plan *plan,
                    struct clear_arena *arena);
/* Makes the flows fit the quantities again, moving quantities where flows alone can't do it: the
 * way from a rounded solution of a solver's to one in integers. False if it gave up; then the draft
 * is of no use. True says that balance and capacity hold, no more. */
MUST_USE bool coupled_repair(struct coupled_draft *draft, const struct coupled_plan *plan,
                             struct clear_arena *arena);

/* Who pays what at the price of each place, in neur over `den`; positive = receives. */
struct coupled_settlement {
    int64_t den;
    int128 *price; /* [slot][place]: what one unit more is worth there, over den */
    int128 *bid;   /* per bid, exact, over den: its part of what its agent gets. Where welfare is
                           not negative no bid is worse off than by its own price */
    int128 *agent; /* per agent, exact, over den */
    int128 *agent_ueur; /* per agent, rounded down once */
    int128 balance_ueur;
    int128 surplus;    /* what the network earns at these prices, over den; may be below 0 */
    int128 make_whole; /* what losing bids and sets got, over den */
    int128 charged;    /* what gainers gave towards that, over den */
    int128 left;       /* of the surplus, for the account of the market, over den; below 0 only if
                          welfare is: then prices alone pay, and nobody is made whole */
    int128 short_of;   /* the losses that then stay, over den; else 0 */
};
/* A solution that coupled_check has passed. Where welfare is not negative, no bid by itself and no
 * linked set loses. False: a number left 128 bits. */
MUST_USE bool coupled_settle(struct coupled_settlement *out, const struct coupled_plan *plan,
                             const struct coupled_solution *solution, struct clear_arena *arena);
/* Each pays or gets its own prices, per agent, rounded; for comparison. */
void coupled_pay_as_bid(int128 *agent_ueur, int128 *balance_ueur, const struct coupled_plan *plan,
                        const struct coupled_solution *solution, struct clear_arena *arena);

/* Words for a rule; a static text. */
const char *coupled_rule_words(enum coupled_rule rule);

#endif
