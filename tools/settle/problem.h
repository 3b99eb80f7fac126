/* One delivery to settle, read from a flexsettle/1 problem (docs/spec/delivery.md 10), and what the
 * contracts' code makes of it. NULL is never valid. */
#ifndef FLEX_TOOLS_SETTLE_PROBLEM_H
#define FLEX_TOOLS_SETTLE_PROBLEM_H

#include "contracts/baseline.h"
#include "contracts/delivery.h"

struct cJSON;

enum { SETTLE_WHERE_SIZE = 128, SETTLE_WHAT_SIZE = 192 };

/* What is wrong with the input, and at which key ("baseline.candidates[2].wh[0]"). Only printable
 * ASCII, whatever the input held. */
struct settle_fault {
    char where[SETTLE_WHERE_SIZE];
    char what[SETTLE_WHAT_SIZE];
};

struct settle_problem {
    enum delivery_method method;
    enum direction direction;
    struct settlement_terms terms; /* `delivered` is settle_solve's to fill */
    struct energy actual[LIMIT_INTERVALS_PER_PERIOD];
    /* The reference of schedule and submeter, the limit of capacity limits. */
    struct energy against[LIMIT_INTERVALS_PER_PERIOD];
    struct baseline_terms baseline;
    uint32_t candidate_count;
    struct baseline_candidate candidates[LIMIT_BASELINE_DAYS];
    struct energy actual_window[BASELINE_WINDOW_INTERVALS];
};

struct settle_solution {
    uint32_t count;
    uint32_t reference_count; /* 0 for capacity limits, else count */
    struct energy reference[LIMIT_INTERVALS_PER_PERIOD];
    struct energy delivered[LIMIT_INTERVALS_PER_PERIOD];
    struct settlement_result result;
};

/* False with the first fault, in the order of docs/spec/delivery.md 10. */
bool settle_problem_read(struct settle_problem *out, struct settle_fault *fault,
                         const struct cJSON *root);
/* False if a number leaves 64 bits or the escrow is too small for what was earned. */
bool settle_solve(struct settle_solution *out, struct settle_fault *fault,
                  struct settle_problem *problem);
/* The flexsettle-result/1 object, the caller's to delete; NULL if memory ran out. */
struct cJSON *settle_solution_json(const struct settle_solution *solution);

/* Text in, text out: one line with a newline at its end, the caller's to free. NULL with the fault.
 */
char *settle_text(struct settle_fault *fault, const char *text, size_t size);

#endif
