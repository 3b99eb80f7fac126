/* Asking a solver for solutions of a coupled auction (market-rules 7; docs/spec/coupled.md 7).
 *
 * The solver is a process of its own, `flexsolve`: GLPK and all that it may do wrong (abort, leak,
 * run on) stay in there. It is bounded in time, memory and processor time, can be killed at any
 * moment, and is trusted with nothing: whoever takes a solution from it checks it with
 * coupled_check. This side knows no GLPK; only flexsolve links it.
 *
 * One problem per process. The caller owns all memory; a handle belongs to one thread. */
#ifndef FLEX_SOLVER_SOLVER_H
#define FLEX_SOLVER_SOLVER_H

#include "contracts/clear_coupled.h"

enum {
    SOLVER_WINDOW_MS_MAX = 3600 * 1000,
    SOLVER_MEMORY_MB_MIN = 64,
    SOLVER_MEMORY_MB_DEFAULT = 2048,
    SOLVER_GRACE_MS = 500 /* after the window, for a solution that is on its way */
};

struct solver_options {
    const char *program; /* path of flexsolve; NULL: beside the program that asks */
    uint32_t window_ms;  /* 1 to SOLVER_WINDOW_MS_MAX: how long it may go on improving */
    uint32_t memory_mb;  /* at least SOLVER_MEMORY_MB_MIN; 0: SOLVER_MEMORY_MB_DEFAULT */
};

enum solver_event {
    SOLVER_NOTHING,    /* the timeout passed */
    SOLVER_SOLUTION,   /* `out` has one, unchecked */
    SOLVER_DONE,       /* it has no more to say: it is optimal, or can't do better */
    SOLVER_INFEASIBLE, /* it believes that no quantities keep all rules */
    SOLVER_TIMED_OUT,  /* the window is over; it has been killed */
    SOLVER_DIED,       /* it ended without a word */
    SOLVER_BROKEN      /* it sent what is no answer; it has been killed */
};

struct solver;

/* Starts a worker on a problem that coupled_prepare has passed. NULL with the reason in `why`, a
 * static text: no such program, no memory, no process. The problem is copied. */
struct solver *solver_start(const struct coupled_problem *problem,
                            const struct solver_options *options, const char **why);
/* Waits up to `timeout_ms` for one event. After any event from SOLVER_DONE on there are no more.
 * `out` is room as coupled_draft_take gives it, filled on SOLVER_SOLUTION only. */
enum solver_event solver_wait(struct solver *solver, struct coupled_draft *out,
                              uint32_t timeout_ms);
/* A descriptor that is readable when solver_wait has something to do. */
int solver_descriptor(const struct solver *solver);
/* The worker's process, for a test that kills it; 0 once it has been reaped. */
int solver_process(const struct solver *solver);
/* Kills the worker if it still runs, and frees the handle. NULL is allowed. */
void solver_stop(struct solver *solver);

#endif
