/* The relaxation of a coupled auction that the floor's network method solves to the end, in
 * milliseconds where simplex takes minutes (docs/spec/coupled.md 7): a source of multipliers and of
 * quantities to round. Like everything here it is trusted with nothing. */
#ifndef FLEX_SOLVER_RELAX_H
#define FLEX_SOLVER_RELAX_H

#include "contracts/clear_coupled.h"

struct relax;

/* NULL if memory runs out. `problem` and `plan` must outlive it. */
struct relax *relax_create(const struct coupled_problem *problem, const struct coupled_plan *plan);
/* NULL is allowed. */
void relax_free(struct relax *relax);

/* Fills `out`: multipliers of the nodes that are best for the relaxation around the multipliers
 * that `out` comes with (those of rows and sums stay as they are, over the new denominator), and
 * quantities and flows in balance that may break links, steps, minima, rows and sums. False if
 * numbers get too large; then `out` is of no use. */
bool relax_solve(struct relax *relax, struct coupled_draft *out);

#endif
