/* Multipliers and quantities of a coupled auction by columns (docs/spec/coupled.md 7): each linked
 * set is replaced by some of its own best quantities, the columns, of which a linear program takes a
 * mixture; its multipliers ask every set for a better column, until no set has one. Then they are the
 * ones with the least bound of coupled.md 4, and the columns good choices to search over. Floating
 * point, and trusted with nothing. Only flexsolve may use this. */
#ifndef FLEX_SOLVER_COLUMNS_H
#define FLEX_SOLVER_COLUMNS_H

#include "contracts/clear_coupled.h"

struct columns;

/* NULL if memory runs out, or the problem is too large for this to pay. `problem` and `plan` must
 * outlive it. */
struct columns *columns_create(const struct coupled_problem *problem,
                               const struct coupled_plan *plan);
/* NULL is allowed. */
void columns_free(struct columns *columns);

/* Each set's part of these quantities as a column; they must keep all rules. */
void columns_add_quantities(struct columns *columns, const struct coupled_draft *draft);
/* The best mixture of the columns so far. False if the time or GLPK did not allow it. */
bool columns_relax(struct columns *columns, int time_ms);
/* Multipliers between those of the last mixture (weight 0) and those of columns_keep (weight 1),
 * over `den`. False if one leaves 62 bits. */
bool columns_point(struct columns *columns, struct coupled_draft *out, double weight, int64_t den);
/* Keeps the last point as the best so far. */
void columns_keep(struct columns *columns);
/* The best column of every set at the multipliers of `draft`, of those that may better the mixture.
 * How many are new. */
uint32_t columns_add_best(struct columns *columns, const struct coupled_draft *draft);
/* Branch and bound over the columns: one of each set or none. `better` may read columns_quantities
 * and say that it is enough. False if there is nothing to read. */
bool columns_search(struct columns *columns, int time_ms, bool (*better)(void *context),
                    void *context);
/* Nearest whole quantities and flows of the last search or, before one, the column of each set with
 * the largest part of the mixture; whatever rules of the network that breaks. */
void columns_quantities(struct columns *columns, struct coupled_draft *out);

#endif
