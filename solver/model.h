/* A coupled auction as a GLPK model (docs/spec/coupled.md 7). Floating point, and trusted with
 * nothing: what comes out is a draft that coupled_check has the last word on. Only flexsolve may
 * use this: GLPK aborts the process on faults of its own. */
#ifndef FLEX_SOLVER_MODEL_H
#define FLEX_SOLVER_MODEL_H

#include "contracts/clear_coupled.h"

struct model;

enum model_result {
    MODEL_OPTIMAL,
    MODEL_FEASIBLE,  /* a solution, without the proof that it is the best */
    MODEL_NOTHING,   /* none within the time */
    MODEL_INFEASIBLE /* GLPK finds that there is none */
};

/* NULL if memory runs out. Every number of the model is a double, so beyond 2^53 it is a near one. */
struct model *model_create(const struct coupled_problem *problem, const struct coupled_plan *plan);
void model_free(struct model *model);

/* The relaxation without whole numbers, by simplex from where the last call ended. */
enum model_result model_relax(struct model *model, int time_ms);
/* The same basis once more in exact rationals, where the model is small enough for that to pay. */
void model_refine(struct model *model);
/* Branch and bound after model_relax. `better` is called for every better solution, which
 * model_quantities then reads; it may say that it is enough. `all_whole`: every quantity is a
 * whole number, not only what the rules decide by yes or no. */
enum model_result model_search(struct model *model, bool all_whole, int time_ms,
                               bool (*better)(void *context), void *context);
/* Holds every yes-or-no of the last search where it is, for a relaxation with prices around it, or
 * lets all go again. */
void model_hold(struct model *model, bool hold);
/* Makes all rows tighter by `units` times their coefficients, so that rounding can't break them. */
void model_tighten(struct model *model, int units);

/* Nearest whole numbers of the last relaxation or search, whatever rules that breaks. */
void model_quantities(struct model *model, struct coupled_draft *out, bool down);
/* Nearest multiples of 1 / den of the multipliers of the last relaxation, with the signs that rules
 * ask for. False if one leaves 62 bits. */
bool model_multipliers(struct model *model, struct coupled_draft *out, int64_t den);
/* The nearest multiple of 1 / den of one of them, with the sign of its rule. */
bool model_multiple(int64_t *out, double value, int64_t den, enum coupled_op op);
/* A denominator that the multipliers seem to have, at most `most`; 1 if none shows. */
int64_t model_denominator(struct model *model, int64_t most);
double model_objective(struct model *model);

#endif
