/* Which version of the rules a block is under (rules.h).
 *
 * 1. It follows from the state before the block and the block's height: every node that has the state
 *    has the same answer, whatever versions its program has.
 * 2. The record is not touched when a height is reached. The pair (next_rules, rules_height) says it for
 *    all heights from then on, until another upgrade is voted in (governance.c).
 *
 * Deliberately absent: going back to an older version. */
#include "contracts/rules.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger_internal.h"

bool ledger_rules_is_known(uint32_t version)
{
    return version >= LEDGER_RULES_FIRST && version <= ledger_rules_count;
}

static bool has_action(const struct ledger_rules *rules, uint8_t type)
{
    for (size_t i = 0; i < rules->change_count; i++)
        if (rules->changes[i].type == type)
            return true;
    for (size_t m = 0; m < rules->module_count; m++)
        for (size_t i = 0; i < rules->modules[m]->method_count; i++)
            if (rules->modules[m]->methods[i].type == type)
                return true;
    return false;
}

bool ledger_rules_have_actions(uint32_t version, const struct transaction *transaction)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    MUST(ledger_rules_is_known(version));
    while (transaction_next_action(transaction, &cursor, &type, &record))
        if (!has_action(&ledger_rules_table[version - 1], type))
            return false;
    return true;
}

uint32_t ledger_rules_of(const struct governance_record *governance, uint64_t height)
{
    if (governance->next_rules != 0 && height >= governance->rules_height)
        return governance->next_rules;
    return governance->rules != 0 ? governance->rules : LEDGER_RULES_FIRST;
}

uint32_t ledger_rules_at(struct state_view *view, uint64_t height)
{
    const struct state_key key = state_key_single(STATE_GOVERNANCE);
    struct governance_record governance;
    if (!ledger_read(view, &key, &governance_record_codec, &governance))
        memset(&governance, 0, sizeof governance);
    return ledger_rules_of(&governance, height);
}

uint32_t contract_rules(const struct contract_call *call)
{
    return call->ledger->rules;
}
