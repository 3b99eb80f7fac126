/* The versions of the rules that this program has (rules.h).
 *
 * 1. A version that a chain may have run under is never changed and never removed: an auditor's
 *    re-execution from genesis needs it.
 * 2. Nothing else is in this file: a test program that links a table of its own leaves this one out.
 *
 * Deliberately absent: what the modules do. A changed module is another struct contract_module, which
 * shares what did not change. */
#include "contracts/deal.h"
#include "contracts/grid.h"
#include "contracts/module.h"
#include "contracts/rules.h"

static const struct contract_module *const modules_1[] = {
    &membership_module, &assets_module,     &token_module,       &market_module,  &delivery_module,
    &digest_module,     &governance_module, &reservation_module, &alias_module,   &forecast_module,
    &dispatch_module,   &network_module,    &auction_module,     &coupled_module,
};

const struct ledger_rules ledger_rules_table[] = {
    {.modules = modules_1, .module_count = sizeof modules_1 / sizeof modules_1[0]},
};
const uint32_t ledger_rules_count = sizeof ledger_rules_table / sizeof ledger_rules_table[0];
