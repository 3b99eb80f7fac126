/* A table of rules with a second version, linked into test programs in place of contracts/rules_table.c:
 * what a program of the next release is to the one of today. Version 1 is the production one. Version 2
 * changes one harmless rule: a transfer of less than a tenth of a cent is refused.
 *
 * Deliberately absent: any way to choose a version at run time. The chain says which one holds. */
#include "base/fatal.h"
#include "contracts/deal.h"
#include "contracts/grid.h"
#include "contracts/module.h"
#include "contracts/rules.h"

enum { LEAST_TRANSFER_UEUR = 1000 };

static const struct contract_module *const modules_1[] = {
    &membership_module, &assets_module,     &token_module,       &market_module,  &delivery_module,
    &digest_module,     &governance_module, &reservation_module, &alias_module,   &forecast_module,
    &dispatch_module,   &network_module,    &auction_module,     &coupled_module,
};

static contract_method method_of(const struct contract_module *module, uint8_t type)
{
    for (size_t i = 0; i < module->method_count; i++)
        if (module->methods[i].type == type)
            return module->methods[i].apply;
    MUST(!"the module has that method");
    return NULL;
}

static enum contract_error transfer_2(struct contract_call *call, const void *record)
{
    const struct token_transfer *action = record;
    MUST(contract_rules(call) == 2);
    if (money_ueur(action->amount) < LEAST_TRANSFER_UEUR)
        return CONTRACT_BAD_PARAMETER;
    return method_of(&token_module, ACTION_TOKEN_TRANSFER)(call, record);
}

static const struct contract_method_entry changes_2[] = {{ACTION_TOKEN_TRANSFER, transfer_2}};

const struct ledger_rules ledger_rules_table[] = {
    {.modules = modules_1, .module_count = sizeof modules_1 / sizeof modules_1[0]},
    {.modules = modules_1,
     .module_count = sizeof modules_1 / sizeof modules_1[0],
     .changes = changes_2,
     .change_count = sizeof changes_2 / sizeof changes_2[0]},
};
const uint32_t ledger_rules_count = sizeof ledger_rules_table / sizeof ledger_rules_table[0];
