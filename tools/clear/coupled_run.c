/* Clears a coupled problem (tools/clear/coupled_text.h): the floor first, then whatever better a
 * solver sends within the window. Every solution goes through the contract's checker; a solver that
 * is missing, dies or talks nonsense leaves the floor, with the reason in the result. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "solver/solver.h"
#include "tools/clear/coupled_text.h"

enum { WAIT_MS = 1000, SOLUTIONS_MAX = 100000 };

struct run {
    const struct clear_text *text;
    const struct coupled_plan *plan;
    struct clear_arena *arena;
    struct coupled_draft best;
    struct coupled_claim claim;
    bool found;
    struct coupled_origin origin;
};

static void copy_draft(struct coupled_draft *to, const struct coupled_draft *from,
                       const struct coupled_problem *problem)
{
    size_t slots = problem->slot_count;
    to->den = from->den;
    memcpy(to->accepted, from->accepted, problem->bid_count * sizeof *to->accepted);
    memcpy(to->flow, from->flow, slots * problem->line_count * sizeof *to->flow);
    memcpy(to->node, from->node, slots * problem->place_count * sizeof *to->node);
    memcpy(to->row, from->row, slots * problem->row_count * sizeof *to->row);
    memcpy(to->sum, from->sum, problem->link_count * sizeof *to->sum);
}

/* Takes a solution if it passes the check and is worth more, or as much with a better bound. */
static bool offer(struct run *run, const struct coupled_draft *draft, const char *from)
{
    struct coupled_claim claim;
    struct coupled_break broken;
    struct coupled_solution solution = coupled_draft_view(draft);
    if (!coupled_check(&claim, &broken, run->plan, &solution, run->arena)) {
        return false;
    }
    if (!run->found || claim.welfare > run->claim.welfare ||
        (claim.welfare == run->claim.welfare && claim.gap < run->claim.gap)) {
        copy_draft(&run->best, draft, &run->text->coupled->problem);
        run->claim = claim;
        run->found = true;
        run->origin.from = from;
    }
    return true;
}

/* Why a solver ended, if that is worth telling. */
static const char *ending(enum solver_event event)
{
    switch (event) {
    case SOLVER_NOTHING:
    case SOLVER_SOLUTION:
    case SOLVER_DONE:
        return NULL;
    case SOLVER_INFEASIBLE:
        return "the solver finds no quantities that keep all rules";
    case SOLVER_TIMED_OUT:
        return "the window ended before the solver did";
    case SOLVER_DIED:
        return "the solver ended without a word";
    case SOLVER_BROKEN:
        return "the solver sent what is no solution";
    }
    MUST(false);
    return NULL;
}

static void ask_solver(struct run *run, struct coupled_draft *draft, uint32_t window_ms)
{
    struct solver_options options = {.window_ms = window_ms};
    const char *why = NULL;
    struct solver *solver = solver_start(&run->text->coupled->problem, &options, &why);
    enum solver_event event = SOLVER_NOTHING;
    for (int taken = 0; solver != NULL && taken < SOLUTIONS_MAX;) {
        event = solver_wait(solver, draft, WAIT_MS);
        if (event == SOLVER_SOLUTION) {
            taken++;
            if (!offer(run, draft, "solver")) {
                event = SOLVER_BROKEN;
                break;
            }
        } else if (event != SOLVER_NOTHING) {
            break;
        }
        if (run->found && run->claim.gap == 0) {
            break;
        }
    }
    run->origin.why = solver != NULL ? ending(event) : why;
    solver_stop(solver);
}

static bool clear_problem(struct run *run, uint32_t window_ms, struct clear_text_fault *fault)
{
    const struct coupled_problem *problem = &run->text->coupled->problem;
    struct coupled_fault refused;
    struct coupled_break broken;
    struct coupled_draft draft;
    run->plan = coupled_prepare(problem, &refused, run->arena);
    if (run->plan == NULL) {
        return coupled_text_refused(&refused, fault);
    }
    coupled_draft_take(&run->best, problem, run->arena);
    coupled_draft_take(&draft, problem, run->arena);
    bool floor = coupled_floor(&draft, &broken, run->plan, 0, run->arena);
    if (floor && !offer(run, &draft, "floor")) {
        struct coupled_solution solution = coupled_draft_view(&draft);
        MUST(!coupled_check(&run->claim, &broken, run->plan, &solution, run->arena));
        MUST(broken.rule == COUPLED_OVERFLOW);
        return coupled_text_broken(run->text, &broken, fault);
    }
    bool closed = run->found && run->claim.gap == 0;
    if (!closed && window_ms > 0) {
        ask_solver(run, &draft, window_ms);
    } else if (!closed) {
        run->origin.why = "no solver was asked";
    }
    if (run->found) {
        return true;
    }
    char what[CLEAR_WHAT_SIZE];
    (void)snprintf(what, sizeof what, "taking nothing breaks a rule (%s), and %s",
                   coupled_rule_words(broken.rule),
                   run->origin.why != NULL ? run->origin.why : "the solver found nothing better");
    return clear_text_fail(fault, what,
                           broken.rule == COUPLED_BROKEN_ROW ? "network.rows[%u]" : "links[%u]",
                           (unsigned)broken.item);
}

char *coupled_text_run(const struct clear_text *text, uint32_t window_ms, size_t *size,
                       struct clear_text_fault *fault)
{
    const struct coupled_problem *problem = &text->coupled->problem;
    struct clear_arena arena = {0};
    struct run run = {.text = text, .arena = &arena};
    char *json = NULL;
    arena.size = coupled_arena_bytes(problem);
    arena.bytes = malloc(arena.size);
    FILE *out = open_memstream(&json, size);
    bool good = arena.bytes != NULL && out != NULL;
    if (!good) {
        clear_text_fail(fault, "out of memory", "problem");
    }
    good = good && clear_problem(&run, window_ms, fault);
    if (good) {
        struct coupled_solution solution = coupled_draft_view(&run.best);
        good = coupled_text_print(out, text, run.plan, &solution, &run.claim, &run.origin, &arena,
                                  fault);
    }
    if (out != NULL) {
        bool written = ferror(out) == 0;
        written = fclose(out) == 0 && written;
        good = good && (written || clear_text_fail(fault, "out of memory", "result"));
    }
    free(arena.bytes);
    if (!good) {
        free(json);
        return NULL;
    }
    return json;
}
