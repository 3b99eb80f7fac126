/* A slow model of coupled auctions, written apart from contracts/: it reads the rules of
 * docs/spec/coupled.md 2 off a problem by trying all quantities and all flows. For problems of a
 * few bids only. Also random small problems, and problems of any size for benches. */
#ifndef FLEX_TESTS_LIB_CONTRACTS_COUPLED_MODEL_H
#define FLEX_TESTS_LIB_CONTRACTS_COUPLED_MODEL_H

#include "contracts/clear_coupled.h"
#include "tests/lib/random.h"

enum {
    MODEL_BIDS = 8,
    MODEL_PLACES = 4,
    MODEL_SLOTS = 3,
    MODEL_LINES = 4,
    MODEL_ROWS = 2,
    MODEL_COEFS = 8,
    MODEL_LINKS = 5,
    MODEL_MEMBERS = 20
};

/* A small problem with its tables. */
struct small_problem {
    struct coupled_problem problem;
    struct coupled_bid bids[MODEL_BIDS];
    struct coupled_line lines[MODEL_LINES];
    struct coupled_row rows[MODEL_ROWS];
    struct coupled_coef coefs[MODEL_COEFS];
    struct coupled_link links[MODEL_LINKS];
    uint32_t members[MODEL_MEMBERS];
};

/* What a random problem may have. */
struct small_kinds {
    bool lines;
    bool meshed;
    bool rows;
    bool links;
    bool sums;
    bool converts;
    bool lumps; /* indivisible bids and minima */
    bool steps;
};
void small_problem_draw(struct small_problem *out, struct test_random *random,
                        const struct small_kinds *kinds);

/* Do these quantities keep all rules that are not about the network? */
bool model_rules_hold(const struct coupled_problem *problem, const int64_t *accepted);
/* And do they with these flows keep those of the network? */
bool model_network_holds(const struct coupled_problem *problem, const int64_t *accepted,
                         const int64_t *flow);
/* Is there any flow with which they do? */
bool model_can_flow(const struct coupled_problem *problem, const int64_t *accepted, int64_t *flow);
int128 model_welfare(const struct coupled_problem *problem, const int64_t *accepted);
/* The best welfare of all quantities that keep all rules, with one of its solutions; false if no
 * quantities do. */
bool model_solve(const struct coupled_problem *problem, int128 *welfare, int64_t *accepted,
                 int64_t *flow);
/* The most that reduced x quantity can be over a set of bids, under all rules but the network's and,
 * without `sums`, sums; other bids rest. 0 if it would be less. */
int128 model_set_best(const struct coupled_problem *problem, const uint32_t *set, uint32_t count,
                      const int128 *reduced, bool sums);

#endif
