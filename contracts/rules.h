/* Versions of the ledger's rules (docs/spec/state.md, "Versions of the rules"; ADR 59).
 *
 * A version is a list of contract modules. Validators vote the next one in from a height on; the state
 * says which one each block is under. A program keeps the old ones, so that it re-executes a chain from
 * its genesis, and stops in front of a block whose version it does not have. A rule that changes inside
 * a method asks contract_rules; a method or a module that changes as a whole stands in the version's
 * table. */
#ifndef FLEX_CONTRACTS_RULES_H
#define FLEX_CONTRACTS_RULES_H

#include "contracts/records.h"
#include "contracts/state.h"
#include "contracts/transaction.h"

struct contract_call;
struct contract_method_entry;
struct contract_module;

enum {
    LEDGER_RULES_FIRST = 1,
    LEDGER_RULES_LIMIT = 65535, /* of what may be voted for */
    LEDGER_RULES_KEPT_MAX = 16, /* that one program has */
    /* An upgrade is voted in at least so many blocks ahead: twice what may be built with transactions on
     * top of a block that is not final (CHAIN_FULL_DEPTH_MAX). */
    LEDGER_RULES_NOTICE_BLOCKS = 16
};

struct ledger_rules {
    const struct contract_module *const *modules; /* in the order in which block_end runs */
    size_t module_count;
    /* Methods that stand in place of the modules' own, or beside them. */
    const struct contract_method_entry *changes;
    size_t change_count;
};
/* Version 1 first, without gaps. In a file of their own (rules_table.c), so that a test can link others. */
extern const struct ledger_rules ledger_rules_table[];
extern const uint32_t ledger_rules_count;

/* Whether this program has that version. */
bool ledger_rules_is_known(uint32_t version);
/* Whether all of the transaction's actions are ones of that version, which is known. One that a later
 * version adds is none yet: programs of this one can't decode it. */
bool ledger_rules_have_actions(uint32_t version, const struct transaction *transaction);
/* The version of the block of that height on a state with that record. */
uint32_t ledger_rules_of(const struct governance_record *governance, uint64_t height);
/* The same out of a state. The first version on a fault of the view. */
uint32_t ledger_rules_at(struct state_view *view, uint64_t height);
/* The version of the running block, for a rule that differs. */
uint32_t contract_rules(const struct contract_call *call);

#endif
