/* A solver at work on one auction (node/solver_run.h).
 *
 *   due --start--> working --done, infeasible, time over--> over
 *    ^                |
 *    +-- pause <------+ died, nonsense         (SOLVER_RUN_STARTS_MAX times, then over)
 *
 * Invariants: 1. what solver_run_best gives has passed here all that the ledger asks of a solution: its
 * rules, and that it can be paid out. 2. At most one process runs.
 * 3. The window counts from the first start: one that is started again gets what is left of it.
 *
 * Deliberately absent: waiting. Who calls has other things to do. */
#include "node/solver_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"

enum { RUN_LABEL_SIZE = 96 };

struct solver_run {
    struct coupled_problem problem;
    void *memory;
    struct solver_run_options options;
    char label[RUN_LABEL_SIZE];
    struct clear_arena arena;
    const struct coupled_plan *plan;
    struct coupled_draft heard;
    struct coupled_draft best;
    struct coupled_claim claim;
    bool has_best;
    struct solver *solver; /* NULL: none runs */
    uint32_t starts;
    uint64_t due_ms; /* no start before it */
    uint64_t end_ms; /* of the window; 0 before the first start */
    bool over;
};

static bool take_room(struct solver_run *run)
{
    const struct coupled_problem *problem = &run->problem;
    size_t numbers = problem->bid_count + problem->link_count +
                     (size_t)problem->slot_count *
                         (problem->line_count + problem->place_count + problem->row_count);
    run->arena.size = coupled_arena_bytes(problem) + 2 * (numbers * sizeof(int64_t) + 1024);
    run->arena.bytes = malloc(run->arena.size);
    return run->arena.bytes != NULL;
}

struct solver_run *solver_run_create(const struct coupled_problem *problem, void *memory,
                                     const struct solver_run_options *options)
{
    struct coupled_fault fault = {0};
    struct solver_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        free(memory);
        return NULL;
    }
    run->problem = *problem;
    run->memory = memory;
    run->options = *options;
    (void)snprintf(run->label, sizeof run->label, "%s", options->label);
    run->options.label = run->label;
    if (!take_room(run)) {
        log_line(LOG_UNUSUAL, "solver of %s: no memory -> not solved here", run->label);
        solver_run_free(run);
        return NULL;
    }
    run->plan = coupled_prepare(&run->problem, &fault, &run->arena);
    if (run->plan == NULL) {
        log_line(LOG_UNUSUAL, "solver of %s: the problem is none: %s %s", run->label, fault.field,
                 fault.what);
        solver_run_free(run);
        return NULL;
    }
    coupled_draft_take(&run->heard, &run->problem, &run->arena);
    coupled_draft_take(&run->best, &run->problem, &run->arena);
    return run;
}

void solver_run_free(struct solver_run *run)
{
    if (run == NULL) {
        return;
    }
    solver_stop(run->solver);
    free(run->arena.bytes);
    free(run->memory);
    free(run);
}

/* It ended badly, or would not start. */
static void fail(struct solver_run *run, uint64_t now_ms, const char *what)
{
    solver_stop(run->solver);
    run->solver = NULL;
    run->due_ms = now_ms + SOLVER_RUN_PAUSE_MS;
    run->over = run->starts >= SOLVER_RUN_STARTS_MAX;
    log_line(LOG_UNUSUAL, "solver of %s: %s -> %s", run->label, what,
             run->over ? "left to the others and the floor" : "started again");
}

static void start(struct solver_run *run, uint64_t now_ms)
{
    struct solver_options options = run->options.solver;
    const char *why = NULL;
    run->end_ms = run->end_ms != 0 ? run->end_ms : now_ms + options.window_ms;
    if (now_ms >= run->end_ms) {
        run->over = true;
        return;
    }
    options.window_ms = (uint32_t)(run->end_ms - now_ms);
    run->starts++;
    run->solver = solver_start(&run->problem, &options, &why);
    if (run->solver == NULL) {
        metric_add(&run->options.metrics->solver_failures, 1);
        fail(run, now_ms, why);
        return;
    }
    metric_add(&run->options.metrics->solver_starts, 1);
    log_line(LOG_INFO, "solver of %s: process %d on %u bids", run->label,
             solver_process(run->solver), run->problem.bid_count);
}

static void copy_table(int64_t *to, const int64_t *from, size_t count)
{
    if (count > 0) {
        memcpy(to, from, count * sizeof *to);
    }
}

static void keep(struct solver_run *run, const struct coupled_claim *claim)
{
    const struct coupled_problem *problem = &run->problem;
    size_t slots = problem->slot_count;
    copy_table(run->best.accepted, run->heard.accepted, problem->bid_count);
    copy_table(run->best.flow, run->heard.flow, slots * problem->line_count);
    copy_table(run->best.node, run->heard.node, slots * problem->place_count);
    copy_table(run->best.row, run->heard.row, slots * problem->row_count);
    copy_table(run->best.sum, run->heard.sum, problem->link_count);
    run->best.den = run->heard.den;
    run->claim = *claim;
    run->has_best = true;
}

/* All that the contract looks at before it calls a solution right (contracts/coupled_propose.c). */
static bool is_right(struct coupled_claim *claim, enum coupled_rule *broken_rule,
                     struct solver_run *run)
{
    struct coupled_settlement paid;
    struct coupled_break broken;
    struct coupled_solution solution = coupled_draft_view(&run->heard);
    const size_t mark = run->arena.used;
    if (!coupled_check(claim, &broken, run->plan, &solution, &run->arena)) {
        *broken_rule = broken.rule;
        return false;
    }
    bool settles = coupled_settle(&paid, run->plan, &solution, &run->arena);
    run->arena.used = mark;
    *broken_rule = settles ? COUPLED_KEPT : COUPLED_OVERFLOW;
    return settles;
}

/* True if what was heard is better than what is kept. */
static bool judge(struct solver_run *run)
{
    struct coupled_claim claim;
    enum coupled_rule broken;
    if (!is_right(&claim, &broken, run)) {
        metric_add(&run->options.metrics->solver_wrong, 1);
        log_line(LOG_UNUSUAL, "solver of %s: a wrong solution, %s does not hold -> dropped",
                 run->label, coupled_rule_words(broken));
        return false;
    }
    if (run->has_best && (claim.welfare < run->claim.welfare ||
                          (claim.welfare == run->claim.welfare && claim.gap >= run->claim.gap))) {
        return false;
    }
    keep(run, &claim);
    return true;
}

bool solver_run_step(struct solver_run *run, uint64_t now_ms)
{
    bool better = false;
    if (!run->over && run->solver == NULL && now_ms >= run->due_ms) {
        start(run, now_ms);
    }
    for (int i = 0; i < SOLVER_RUN_ANSWERS_MAX && run->solver != NULL; i++) {
        switch (solver_wait(run->solver, &run->heard, 0)) {
        case SOLVER_NOTHING:
            return better;
        case SOLVER_SOLUTION:
            better = judge(run) || better;
            break;
        case SOLVER_DONE:
        case SOLVER_INFEASIBLE:
            solver_stop(run->solver);
            run->solver = NULL;
            run->over = true;
            break;
        case SOLVER_TIMED_OUT:
            metric_add(&run->options.metrics->solver_timeouts, run->has_best ? 0 : 1);
            log_line(run->has_best ? LOG_INFO : LOG_UNUSUAL, "solver of %s: its time is over%s",
                     run->label, run->has_best ? "" : ", and it has said nothing");
            solver_stop(run->solver);
            run->solver = NULL;
            run->over = true;
            break;
        case SOLVER_DIED:
            metric_add(&run->options.metrics->solver_failures, 1);
            fail(run, now_ms, "it died");
            break;
        case SOLVER_BROKEN:
            metric_add(&run->options.metrics->solver_failures, 1);
            fail(run, now_ms, "it talks nonsense, and was killed");
            break;
        }
    }
    return better;
}

bool solver_run_is_over(const struct solver_run *run)
{
    return run->over;
}

bool solver_run_best(const struct solver_run *run, struct coupled_solution *solution,
                     struct coupled_claim *claim)
{
    if (!run->has_best) {
        return false;
    }
    *solution = coupled_draft_view(&run->best);
    *claim = run->claim;
    return true;
}

int solver_run_process(const struct solver_run *run)
{
    return run->solver != NULL ? solver_process(run->solver) : 0;
}
