/* Coupled auctions on the ledger: what wallets and solvers send (contracts/coupled.h).
 *
 * As yet no market has this mechanism (contracts/terms.c), so that neither action has anything to be for.
 *
 * Deliberately absent: the pure part (clear_coupled*.c), bytes (coupled_problem.c). */
#include "contracts/coupled.h"

static enum contract_error portfolio_apply(struct contract_call *call, const void *record)
{
    (void)call;
    (void)record;
    return CONTRACT_UNSUPPORTED_MECHANISM;
}

static enum contract_error solution_apply(struct contract_call *call, const void *record)
{
    (void)call;
    (void)record;
    return CONTRACT_UNSUPPORTED_MECHANISM;
}

static const struct contract_method_entry methods[] = {
    {ACTION_PORTFOLIO_PLACE, portfolio_apply},
    {ACTION_SOLUTION_PROPOSE, solution_apply},
};

const struct contract_module coupled_module = {
    .name = "coupled",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
