/* Rounded quantities made to keep the rules that are not the network's (docs/spec/coupled.md 7). */
#ifndef FLEX_SOLVER_ROUNDING_H
#define FLEX_SOLVER_ROUNDING_H

#include "contracts/clear_coupled.h"

/* Turns off, step by step, what keeps links and buyers' steps from holding: later steps after one
 * that is not full, all but the largest of an xor, what is left of an and, a first of an or without
 * the others, blocks and conversions that don't fit. Flows, sums and rows are not looked at. */
void rounding_keep_links(struct coupled_draft *draft, const struct coupled_plan *plan);

/* Takes what is under its bid's minimum, or a part of what is indivisible, to nothing. */
void rounding_drop_fractions(struct coupled_draft *draft, const struct coupled_problem *problem);

#endif
