/* What the files of coupled auctions share: the structure that coupled_prepare works out of a
 * problem, and small sums that remember an overflow. */
#ifndef FLEX_CONTRACTS_CLEAR_COUPLED_INTERNAL_H
#define FLEX_CONTRACTS_CLEAR_COUPLED_INTERNAL_H

#include "contracts/clear_coupled.h"

#define COUPLED_NONE UINT32_MAX
/* Classes of bids in one tree of conversions. */
enum { COUPLED_TREE_CLASSES_MAX = 16 };
/* A sum over at most so many bids, some of them in lumps, is searched beside being priced. All patterns of 12
 * bids fit the steps of a set, each with its pass over the bids; of more, those that bounds leave over. */
enum { COUPLED_SUM_SEARCHED_MAX = 16 };

/* A list of numbers per item: those of item i are list[start[i]] up to list[start[i + 1]]. */
struct coupled_lists {
    uint32_t *start;
    uint32_t *list;
};

/* Bids whose rules can't be kept apart: a component of links (of sums, only those that are searched)
 * and of buyers' steps. */
struct coupled_set {
    uint32_t first; /* in set_bid */
    uint32_t count;
    bool steps_only; /* nothing but one buyer's steps */
};

struct coupled_plan {
    const struct coupled_problem *problem;
    size_t cells; /* slots x places */
    /* Buyers with more than one step: bids by (agent, slot, order, time). */
    uint32_t sequence_count;
    uint32_t *sequence_start;
    uint32_t *sequence_bid;
    uint32_t *sequence_of; /* per bid */
    /* Bids of blocks share one quantity: a class, named by its first bid. Per bid: its class; per
     * class: the least and the most that all its bids take, and the conversion that makes it. */
    uint32_t *class_of;
    int64_t *least;
    int64_t *most;
    uint32_t *made_from; /* class, or COUPLED_NONE */
    int64_t *made_num;   /* in lowest terms */
    int64_t *made_den;
    uint32_t *driver_of; /* per bid: the class at the root of its tree of conversions */
    uint32_t set_count;
    struct coupled_set *sets;
    uint32_t *set_bid;  /* of one set: by step, driver, time */
    uint32_t set_most;  /* bids of the largest set */
    uint32_t *set_of;   /* per bid, or COUPLED_NONE */
    bool *sum_searched; /* per link: a sum that makes its bids a set */
    uint32_t
        *unit_of; /* per bid: the first bid of its set with sums counted in; who is made whole */
    struct coupled_lists links;    /* per bid */
    struct coupled_lists arcs;     /* per place: 2 x line, + 1 where the line ends there */
    struct coupled_lists row_coef; /* per place: coefs with it */
    uint32_t *coef_row;            /* per coef */
    /* Bids of one cell (slot x places + place), cheapest first and dearest first; equals by time. */
    uint32_t *cell_start;
    uint32_t *rising;
    uint32_t *falling;
};

/* What binds has a welfare of its own, which is not below 0: contracts/clear_coupled_bind.c. */
bool coupled_binding_is_worth(const struct coupled_problem *problem, const int64_t *accepted,
                              struct clear_arena *arena);

/* A sum in 128 bits that says when it isn't one any more. */
struct coupled_sum {
    int128 value;
    bool overflow;
};
static inline void coupled_add(struct coupled_sum *sum, int128 value)
{
    sum->overflow = !checked_add_i128(&sum->value, sum->value, value) || sum->overflow;
}
static inline void coupled_add_product(struct coupled_sum *sum, int128 a, int128 b)
{
    int128 product;
    if (a == 0 || b == 0) {
        return;
    }
    if (a >= INT64_MIN && a <= INT64_MAX && b >= INT64_MIN && b <= INT64_MAX) {
        product = a * b;
    } else if (!checked_mul_i128(&product, a, b)) {
        sum->overflow = true;
        return;
    }
    coupled_add(sum, product);
}

static inline size_t coupled_cell(const struct coupled_problem *problem,
                                  const struct coupled_bid *bid)
{
    return (size_t)bid->slot * problem->place_count + bid->place;
}
/* The least that is more than nothing. */
static inline int64_t coupled_least(const struct coupled_bid *bid)
{
    if (bid->indivisible) {
        return bid->quantity;
    }
    return bid->min_quantity > 1 ? bid->min_quantity : 1;
}
/* Quantity of a class if the root of its tree has `root`; held under INT64_MAX, over every limit. */
int64_t coupled_class_quantity(const struct coupled_plan *plan, uint32_t class, int64_t root);

/* What an injection of one unit earns at each place, over den: node multiplier less what the rows
 * take. `price` has a place for every cell. False: overflow. */
MUST_USE bool coupled_prices(int128 *price, const struct coupled_plan *plan,
                             const struct coupled_solution *solution);
/* What one unit more of each bid adds to the welfare at these multipliers, over den. */
MUST_USE bool coupled_reduced(int128 *reduced, const struct coupled_plan *plan,
                              const struct coupled_solution *solution, const int128 *price);

/* The best reduced surplus of one set over its own rules, 0 or more, or a bound of it (`relaxed`).
 * Takes its steps from *steps. False: overflow. */
struct coupled_search;
struct coupled_search *coupled_search_create(const struct coupled_plan *plan,
                                             struct clear_arena *arena);
MUST_USE bool coupled_set_best(int128 *best, bool *relaxed, struct coupled_search *search,
                               const struct coupled_set *set, const int128 *reduced,
                               uint64_t *steps);
/* The same, with quantities that have that surplus, or what was found by then where it is relaxed:
 * into `choice`, a place for each bid of the problem, of which only the set's are written. */
MUST_USE bool coupled_set_choose(int128 *best, bool *relaxed, int64_t *choice,
                                 struct coupled_search *search, const struct coupled_set *set,
                                 const int128 *reduced, uint64_t *steps);

/* The multipliers of the floor, from quantities that no trade between movable bids betters. */
void coupled_floor_prices(struct coupled_draft *draft, const struct coupled_plan *plan,
                          const int64_t *low, const int64_t *high, struct clear_arena *arena);

#endif
