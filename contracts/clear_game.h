/* What the payments ask of a cleared problem: what each agent pays at its bid, what it adds to the
 * others, and Shapley's average of that (market-rules 6; D2.3 eq. 3-11 to 3-14). */
#ifndef FLEX_CONTRACTS_CLEAR_GAME_H
#define FLEX_CONTRACTS_CLEAR_GAME_H

#include "contracts/clear_internal.h"
#include "contracts/clear_pay.h"

/* An average over orders of arrival: numerator of each agent over one denominator. */
struct game_shares {
    int128 *numerator;
    int128 denominator;
    int128 *value; /* v of each set of agents, by bits; NULL if estimated */
};

/* w_i: utility positive, cost negative. */
void game_worth(int128 *worth, const struct clear_problem *problem,
                const struct clear_result *result);
/* v(N) - v(N without i) per agent. False if a search ended with its budget. */
bool game_marginals(int128 *marginal, struct clear_index *index, const struct clear_result *result,
                    struct clear_arena *arena);
/* Exact, up to CLEAR_SHAPLEY_AGENTS_EXACT agents. False if a search ended with its budget. */
bool game_shapley(struct game_shares *out, struct clear_index *index, struct clear_arena *arena);
/* From CLEAR_PERMUTATIONS orders of arrival drawn from the seed; *whole is v(N). */
void game_estimate(struct game_shares *out, int128 *whole, struct clear_index *index,
                   const uint8_t seed[CLEAR_SEED_BYTES], struct clear_arena *arena);

#endif
