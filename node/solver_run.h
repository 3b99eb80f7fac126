/* One coupled auction with a solver at work on it (docs/spec/coupled.md 15; docs/adr/0051).
 *
 * The solver is a process that may die, hang, talk nonsense or want too much memory; the run takes from it
 * what the contract's checker passes and nothing else, starts it again a few times if it ends badly, and
 * counts and logs all of that. It knows nothing of blocks and transactions. One thread. */
#ifndef FLEX_NODE_SOLVER_RUN_H
#define FLEX_NODE_SOLVER_RUN_H

#include "node/metrics.h"
#include "solver/solver.h"

enum {
    SOLVER_RUN_STARTS_MAX =
        4, /* of one run: a problem that kills its solver four times is left to others */
    SOLVER_RUN_PAUSE_MS = 500,  /* before it is started again */
    SOLVER_RUN_ANSWERS_MAX = 16 /* taken in one step, each of which costs a check */
};

struct solver_run;

struct solver_run_options {
    struct solver_options solver;
    const char *label; /* for the log: which auction; copied */
    struct node_metrics *metrics;
};

/* Takes over `problem`, which was malloc'ed with all it points to as one block, `memory`, which it frees.
 * NULL, with `memory` freed: coupled_prepare refuses it, or memory ran out (logged). */
struct solver_run *solver_run_create(const struct coupled_problem *problem, void *memory,
                                     const struct solver_run_options *options);
/* Kills its solver. NULL is allowed. */
void solver_run_free(struct solver_run *run);

/* Starts the solver if it is due and takes what it has said by now; never waits. `now_ms` is monotonic. True:
 * there is a better solution than when it was last true. */
bool solver_run_step(struct solver_run *run, uint64_t now_ms);
/* Nothing more will come: it is optimal, its time is over, or it failed too often. */
bool solver_run_is_over(const struct solver_run *run);
/* The best so far and what it is worth; false if there is none. Valid until the next step. */
bool solver_run_best(const struct solver_run *run, struct coupled_solution *solution,
                     struct coupled_claim *claim);
/* The solver's process, for tests; 0 if none runs. */
int solver_run_process(const struct solver_run *run);

#endif
