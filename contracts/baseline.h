/* The baseline: what a device would have consumed, from what it consumed on comparable days
 * (market-rules 9; D2.3 4.2.2; docs/spec/delivery.md 5).
 *
 * The caller chooses which days are comparable (same class of day, no activation of the device) and
 * hands them over oldest first; everything from there on is here, in exact integers. Pointers are
 * never NULL. */
#ifndef FLEX_CONTRACTS_BASELINE_H
#define FLEX_CONTRACTS_BASELINE_H

#include "base/limits.h"
#include "base/units.h"

enum {
    /* The adjustment looks at the 8 intervals that end 4 intervals before delivery starts. */
    BASELINE_WINDOW_INTERVALS = 8,
    BASELINE_WINDOW_GAP_INTERVALS = 4,

    BASELINE_DAYS_DEFAULT = 10,
    BASELINE_HIGHEST_DEFAULT = 5,
    BASELINE_ADJUSTMENT_PERMILLE_DEFAULT = 200
};

/* Parameters of a market. */
struct baseline_terms {
    uint32_t days;                /* the last of the candidates that count, at least `highest` */
    uint32_t highest;             /* how many of those make the mean, at least 1 */
    uint16_t adjustment_permille; /* the mean moves by at most this, 0 to 1000 */
};

/* One comparable day. */
struct baseline_candidate {
    struct energy delivery[LIMIT_INTERVALS_PER_PERIOD]; /* over the delivery intervals */
    struct energy window[BASELINE_WINDOW_INTERVALS];    /* over the adjustment window */
};

struct baseline_days {
    uint32_t interval_count; /* of delivery, 1 to LIMIT_INTERVALS_PER_PERIOD */
    uint32_t candidate_count;
    const struct baseline_candidate *candidates;            /* the caller's; oldest first */
    struct energy actual_window[BASELINE_WINDOW_INTERVALS]; /* on the day of delivery */
};

struct baseline_result {
    bool chosen[LIMIT_BASELINE_DAYS]; /* by the candidate's place */
    /* r becomes floor(r x numerator / denominator); 1/1 if there is no adjustment. */
    int128 numerator;
    int128 denominator;
    struct energy reference[LIMIT_INTERVALS_PER_PERIOD];
    uint32_t fault_interval; /* where a BASELINE_OVERFLOW happened, else 0 */
};

enum baseline_error {
    BASELINE_OK,
    BASELINE_BAD_TERMS,           /* a parameter or a count is outside its range */
    BASELINE_TOO_FEW_CANDIDATES,  /* fewer than `highest` */
    BASELINE_TOO_MANY_CANDIDATES, /* more than LIMIT_BASELINE_DAYS */
    BASELINE_OVERFLOW             /* an adjusted reference does not fit 64 bits */
};

/* The reference of each delivery interval. On an error *out says nothing but fault_interval. */
enum baseline_error baseline_compute(struct baseline_result *out,
                                     const struct baseline_terms *terms,
                                     const struct baseline_days *days);

#endif
