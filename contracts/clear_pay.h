/* Who pays and who gets what, after a clearing (market-rules 6; D2.3 3.4.3, eq. 3-11 to 3-15;
 * docs/spec/clearing.md). Positive = receives.
 *
 * Sums are exact in neur, or for Shapley in neur over one denominator; each agent's total over the
 * whole problem is rounded once, towards minus infinity: a payer's up, a payee's down. */
#ifndef FLEX_CONTRACTS_CLEAR_PAY_H
#define FLEX_CONTRACTS_CLEAR_PAY_H

#include "contracts/clear.h"

enum {
    CLEAR_SHAPLEY_AGENTS_EXACT = 20,
    CLEAR_EXCESS_AGENTS_MAX = 12,
    /* By Hoeffding, the mean of 4096 draws out of a range R is off by R/16 or more with a
     * probability of at most 2 exp(-2 x 4096 / 256) = 2 exp(-32). */
    CLEAR_PERMUTATIONS = 4096,
    CLEAR_ERROR_DIVISOR = 16,
    CLEAR_SEED_BYTES = 32
};
/* Shapley sums are over a denominator of up to lcm(1..20) and over 2^19 coalitions. */
#define CLEAR_SHAPLEY_VALUE_MAX ((int128)1 << 90)

enum clear_payment {
    CLEAR_PAY_AS_BID,
    CLEAR_PAY_UNIFORM,
    CLEAR_PAY_VCG,
    CLEAR_PAY_VCG_SELLERS,
    CLEAR_PAY_SHAPLEY,
    CLEAR_PAYMENT_COUNT
};

struct clear_payment_result {
    int128 *agent_ueur;  /* per agent, rounded */
    int128 balance_ueur; /* their sum: positive = deficit */
    /* Shapley only: values in neur, rounded down; else NULL. */
    int128 *value_neur;
    bool estimated;    /* Shapley from permutations */
    int128 error_neur; /* of each estimated value */
    /* Seller-side VCG cost more than the buyers' utility, and this was paid instead. */
    bool fell_back;
    enum clear_payment paid;
};

/* Excess of the coalition of those agents whose bits are set in its place in the table (eq. 3-14),
 * rounded down. Place 0 is nobody. */
struct clear_excess {
    uint32_t agent_count;
    int128 *excess_neur; /* 2^agent_count entries */
};

/* Capacity under premium, uniform: the highest price of a constraint on the bid's path. */
int64_t clear_path_price(const struct clear_problem *problem, const struct clear_result *result,
                         const struct clear_bid *bid);
/* Which payments the mechanism has, and whether the problem is small enough for this one; `field`
 * is "payments". */
MUST_USE bool clear_pay_check(const struct clear_problem *problem, enum clear_payment payment,
                              bool seeded, struct clear_fault *fault, struct clear_arena *arena);
MUST_USE bool clear_excess_check(const struct clear_problem *problem, struct clear_fault *fault);

/* `seed` of CLEAR_SEED_BYTES is read where Shapley has to be estimated; may be NULL elsewhere.
 * False if a search of what some agents could reach without others ended with its budget: there is
 * no such payment then. */
MUST_USE bool clear_pay(struct clear_payment_result *out, const struct clear_problem *problem,
                        const struct clear_result *result, enum clear_payment payment,
                        const uint8_t *seed, struct clear_arena *arena);
MUST_USE bool clear_excess_run(struct clear_excess *out, const struct clear_problem *problem,
                               struct clear_arena *arena);

#endif
