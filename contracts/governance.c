/* Governance: who validates, what transactions cost, whose rules hold, and evidence against validators
 * (docs/adr/0014-epochs.md; consensus.md 10, 11).
 *
 *            propose            n - f approvals
 *   (none) -----------> open ------------------> passed: takes effect in this very block
 *                        | more than f against   -> rejected
 *                        | its proposer makes another one, or leaves -> withdrawn
 *                        | PROPOSAL_LIFETIME_MS  -> expired, noticed when somebody proposes
 *
 * 1. Voters are the operators of the current validators, one vote per validator.
 * 2. A block changes the set at most once, by one validator: f is at least 1, so never more than f
 *    leave at once. Such a block is a boundary: the governance record counts the next epoch.
 * 3. The set stays sorted, of 4 to 31 different keys, each with an operator that was active when it
 *    came; a new key proves that somebody holds its secret.
 * 4. A key that has left does not come back: its records say in which epochs it was responsible.
 * 5. One evidence record per validator, epoch and view; at most EVIDENCE_MAX per validator.
 * 6. At most one open proposal per operator; when the set changes, votes stay with their validators.
 *
 * Evidence removes nobody by itself: it is the ground on which operators vote. Deliberately absent:
 * stakes, and penalties in money. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/deal.h"
#include "contracts/genesis.h"
#include "contracts/market.h"
#include "contracts/module.h"
#include "contracts/rules.h"

enum { EVIDENCE_MAX = 64 };
#define PROPOSAL_LIFETIME_MS INT64_C(604800000)

/* --- records -------------------------------------------------------------------------------- */

static bool read_params(const struct contract_call *call, struct params_record *out)
{
    struct state_key key = state_key_single(STATE_PARAMS);
    return contract_read(call, &key, &params_record_codec, out);
}

static void write_params(const struct contract_call *call, const struct params_record *params)
{
    struct state_key key = state_key_single(STATE_PARAMS);
    MUST(genesis_params_problem(params) == NULL);
    contract_write(call, &key, &params_record_codec, params);
}

static void read_governance(const struct contract_call *call, struct governance_record *out)
{
    struct state_key key = state_key_single(STATE_GOVERNANCE);
    if (!contract_read(call, &key, &governance_record_codec, out))
        memset(out, 0, sizeof *out);
}

static void write_governance(const struct contract_call *call,
                             const struct governance_record *governance)
{
    struct state_key key = state_key_single(STATE_GOVERNANCE);
    contract_write(call, &key, &governance_record_codec, governance);
}

static bool read_proposal(const struct contract_call *call, uint64_t id,
                          struct proposal_record *out)
{
    struct state_key key = state_key_u64(STATE_PROPOSAL, id);
    return contract_read(call, &key, &proposal_record_codec, out);
}

static void write_proposal(const struct contract_call *call, uint64_t id,
                           const struct proposal_record *proposal)
{
    struct state_key key = state_key_u64(STATE_PROPOSAL, id);
    contract_write(call, &key, &proposal_record_codec, proposal);
}

static bool read_validator(const struct contract_call *call, const struct public_key *key,
                           struct validator_record *out)
{
    struct state_key at = state_key_hash(STATE_VALIDATOR, key->bytes);
    return contract_read(call, &at, &validator_record_codec, out);
}

static void write_validator(const struct contract_call *call, const struct public_key *key,
                            const struct validator_record *record)
{
    struct state_key at = state_key_hash(STATE_VALIDATOR, key->bytes);
    contract_write(call, &at, &validator_record_codec, record);
}

static void tell(const struct contract_call *call, uint64_t id,
                 const struct proposal_record *proposal)
{
    struct event_proposal event = {
        .id = id, .kind = proposal->terms.kind, .status = proposal->status};
    contract_event(call, EVENT_PROPOSAL, &event);
}

/* --- the set -------------------------------------------------------------------------------- */

/* -1 if it is not in the set. */
static int index_of(const struct params_record *params, const struct public_key *key)
{
    for (uint32_t i = 0; i < params->validator_count; i++)
        if (public_key_equal(&params->validators[i].key, key))
            return (int)i;
    return -1;
}

/* The validators that `id` operates, as bits. */
static uint32_t operated_by(const struct params_record *params, const struct name *id)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < params->validator_count; i++)
        if (name_compare(&params->validators[i].operator_name, id) == 0)
            mask |= UINT32_C(1) << i;
    return mask;
}

static uint32_t faults_of(const struct params_record *params)
{
    return (params->validator_count - 1) / 3;
}

static void set_remove(struct params_record *params, uint32_t index)
{
    MUST(index < params->validator_count);
    params->validator_count--;
    memmove(&params->validators[index], &params->validators[index + 1],
            (params->validator_count - index) * sizeof params->validators[0]);
    memset(&params->validators[params->validator_count], 0, sizeof params->validators[0]);
}

static void set_insert(struct params_record *params, const struct public_key *key,
                       const struct name *operator_name)
{
    MUST(params->validator_count < LIMIT_VALIDATORS);
    uint32_t at = params->validator_count;
    for (; at > 0 && public_key_compare(&params->validators[at - 1].key, key) > 0; at--)
        params->validators[at] = params->validators[at - 1];
    params->validators[at].key = *key;
    params->validators[at].operator_name = *operator_name;
    params->validator_count++;
}

static bool key_is_zero(const struct public_key *key)
{
    static const struct public_key zero;
    return public_key_equal(key, &zero);
}

/* Fields that the kind does not use are zero, so that what voters read is all there is. */
static bool is_canonical(const struct governance_propose *terms)
{
    static const struct signature no_proof;
    bool leaves = !key_is_zero(&terms->old_key);
    bool comes = !key_is_zero(&terms->new_key);
    bool named = !name_is_empty(&terms->operator_name);
    bool proven = memcmp(terms->proof.bytes, no_proof.bytes, SIGNATURE_SIZE) != 0;
    bool fees = money_ueur(terms->fee_per_tx) != 0 || money_ueur(terms->fee_per_action) != 0 ||
                money_ueur(terms->fee_per_deal) != 0;
    bool market = !name_is_empty(&terms->market) || !hash_is_zero(&terms->draft);
    bool dispute = terms->deal != 0;
    bool upgrade = terms->rules != 0;
    if (market != (terms->kind == PROPOSAL_SET_MARKET) ||
        upgrade != (terms->kind == PROPOSAL_UPGRADE) ||
        (!market && !upgrade && terms->height != 0) ||
        dispute != (terms->kind == PROPOSAL_DECIDE_DISPUTE) ||
        (!dispute && energy_wh(terms->credited) != 0))
        return false;
    switch ((enum proposal_kind)terms->kind) {
    case PROPOSAL_ADD_VALIDATOR:
        return !leaves && comes && named && proven && !fees;
    case PROPOSAL_REMOVE_VALIDATOR:
        return leaves && !comes && !named && !proven && !fees;
    case PROPOSAL_REPLACE_VALIDATOR:
        return leaves && comes && named && proven && !fees;
    case PROPOSAL_SET_FEES:
        return !leaves && !comes && !named && !proven;
    case PROPOSAL_SET_MARKET:
        return !leaves && !comes && !named && !proven && !fees && !name_is_empty(&terms->market);
    case PROPOSAL_DECIDE_DISPUTE:
    case PROPOSAL_UPGRADE:
        return !leaves && !comes && !named && !proven && !fees;
    }
    return false;
}

static enum contract_error check_newcomer(const struct contract_call *call,
                                          const struct params_record *params,
                                          const struct governance_propose *terms)
{
    struct participant_record operator_record;
    struct validator_record known;
    enum contract_error error =
        membership_require_active(call, &terms->operator_name, &operator_record);
    if (error != CONTRACT_OK)
        return error;
    if (index_of(params, &terms->new_key) >= 0 || read_validator(call, &terms->new_key, &known))
        return CONTRACT_EXISTS_ALREADY;
    struct hash message;
    membership_key_proof_message(&message, &call->context->genesis, &terms->operator_name,
                                 &terms->new_key);
    return ed25519_verify(&terms->proof, &terms->new_key, &message) ? CONTRACT_OK
                                                                    : CONTRACT_BAD_KEY;
}

/* Which versions this program has does not come into it: programs of different age must agree. The
 * version in force takes back the one that waits. */
static enum contract_error check_upgrade(const struct contract_call *call,
                                         const struct governance_propose *terms)
{
    struct governance_record governance;
    const uint64_t height = call->context->height;
    read_governance(call, &governance);
    const uint32_t in_force = ledger_rules_of(&governance, height);
    const bool pending = governance.next_rules != 0 && governance.rules_height > height;
    bool good = terms->rules > in_force && terms->rules <= LEDGER_RULES_LIMIT &&
                terms->height > height && terms->height - height >= LEDGER_RULES_NOTICE_BLOCKS;
    if (terms->rules == in_force)
        good = pending && terms->height == 0;
    return good ? CONTRACT_OK : CONTRACT_BAD_PARAMETER;
}

static void schedule_upgrade(const struct contract_call *call, struct governance_record *governance,
                             const struct governance_propose *terms)
{
    const uint32_t in_force = ledger_rules_of(governance, call->context->height);
    const bool takes_back = terms->rules == in_force;
    governance->rules = in_force;
    governance->next_rules = takes_back ? 0 : terms->rules;
    governance->rules_height = takes_back ? 0 : terms->height;
}

/* What `params` would be; an error if the proposal can't take effect as things stand. */
static enum contract_error work_out(const struct contract_call *call,
                                    const struct governance_propose *terms,
                                    struct params_record *params)
{
    bool comes = terms->kind == PROPOSAL_ADD_VALIDATOR || terms->kind == PROPOSAL_REPLACE_VALIDATOR;
    bool leaves =
        terms->kind == PROPOSAL_REMOVE_VALIDATOR || terms->kind == PROPOSAL_REPLACE_VALIDATOR;
    int old = leaves ? index_of(params, &terms->old_key) : -1;
    if (leaves && old < 0)
        return CONTRACT_UNKNOWN_VALIDATOR;
    if (comes) {
        enum contract_error error = check_newcomer(call, params, terms);
        if (error != CONTRACT_OK)
            return error;
    }
    if (terms->kind == PROPOSAL_ADD_VALIDATOR && params->validator_count == LIMIT_VALIDATORS)
        return CONTRACT_BAD_PARAMETER;
    if (leaves)
        set_remove(params, (uint32_t)old);
    if (comes)
        set_insert(params, &terms->new_key, &terms->operator_name);
    if (terms->kind == PROPOSAL_SET_MARKET)
        return market_draft_check(call, &terms->market, &terms->draft, terms->height);
    if (terms->kind == PROPOSAL_UPGRADE)
        return check_upgrade(call, terms);
    if (terms->kind == PROPOSAL_DECIDE_DISPUTE)
        return dispute_decision_check(call, terms->deal, terms->credited);
    if (terms->kind == PROPOSAL_SET_FEES) {
        params->fee_per_tx = terms->fee_per_tx;
        params->fee_per_action = terms->fee_per_action;
        params->fee_per_deal = terms->fee_per_deal;
    }
    return genesis_params_problem(params) == NULL ? CONTRACT_OK : CONTRACT_BAD_PARAMETER;
}

/* --- proposals ------------------------------------------------------------------------------ */

static void close_proposal(const struct contract_call *call, struct governance_record *governance,
                           uint32_t at, struct proposal_record *proposal,
                           enum proposal_status status)
{
    uint64_t id = governance->open[at].id;
    MUST(at < governance->open_count && proposal->status == PROPOSAL_OPEN);
    proposal->status = (uint8_t)status;
    proposal->decided_height = call->context->height;
    write_proposal(call, id, proposal);
    tell(call, id, proposal);
    governance->open_count--;
    memmove(&governance->open[at], &governance->open[at + 1],
            (governance->open_count - at) * sizeof governance->open[0]);
    memset(&governance->open[governance->open_count], 0, sizeof governance->open[0]);
}

/* The votes of `mask` move to where their validators stand in the new set. */
static uint32_t move_votes(uint32_t mask, const struct params_record *before,
                           const struct params_record *after)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < before->validator_count; i++) {
        int at = (mask >> i & 1) != 0 ? index_of(after, &before->validators[i].key) : -1;
        if (at >= 0)
            moved |= UINT32_C(1) << at;
    }
    return moved;
}

/* Closes what nobody stands for any more, and carries the rest over into the new set. */
static void carry_over(const struct contract_call *call, struct governance_record *governance,
                       const struct params_record *before, const struct params_record *after)
{
    for (uint32_t i = 0; i < governance->open_count;) {
        struct proposal_record proposal;
        uint64_t id = governance->open[i].id;
        MUST(read_proposal(call, id, &proposal) || call->view->fault);
        if (call->view->fault)
            return;
        proposal.approvals = move_votes(proposal.approvals, before, after);
        proposal.rejections = move_votes(proposal.rejections, before, after);
        if (operated_by(after, &proposal.proposer) == 0) {
            close_proposal(call, governance, i, &proposal, PROPOSAL_WITHDRAWN);
        } else {
            write_proposal(call, id, &proposal);
            i++;
        }
    }
}

/* The epoch ends with this block: who left and who came. */
static void begin_epoch(const struct contract_call *call, struct governance_record *governance,
                        const struct governance_propose *terms, const struct params_record *before,
                        const struct params_record *after)
{
    struct validator_record record;
    governance->epoch++;
    governance->epoch_height = call->context->height;
    int old = index_of(before, &terms->old_key);
    if (old >= 0) {
        if (!read_validator(call, &terms->old_key, &record))
            memset(&record, 0, sizeof record);
        record.operator_name = before->validators[old].operator_name;
        record.until_epoch = governance->epoch;
        write_validator(call, &terms->old_key, &record);
    }
    if (!key_is_zero(&terms->new_key)) {
        memset(&record, 0, sizeof record);
        record.operator_name = terms->operator_name;
        record.from_epoch = governance->epoch;
        write_validator(call, &terms->new_key, &record);
    }
    carry_over(call, governance, before, after);
    struct event_epoch event = {.epoch = governance->epoch, .validators = after->validator_count};
    contract_event(call, EVENT_EPOCH, &event);
}

/* What a passed proposal does besides the new parameters. */
static void take_effect(struct contract_call *call, struct governance_record *governance,
                        const struct governance_propose *terms, const struct params_record *before,
                        const struct params_record *after)
{
    switch ((enum proposal_kind)terms->kind) {
    case PROPOSAL_ADD_VALIDATOR:
    case PROPOSAL_REMOVE_VALIDATOR:
    case PROPOSAL_REPLACE_VALIDATOR:
        begin_epoch(call, governance, terms, before, after);
        return;
    case PROPOSAL_SET_FEES:
        return;
    case PROPOSAL_SET_MARKET:
        market_draft_schedule(call, &terms->market, terms->height);
        return;
    case PROPOSAL_DECIDE_DISPUTE:
        dispute_decide(call, terms->deal, terms->credited);
        return;
    case PROPOSAL_UPGRADE:
        schedule_upgrade(call, governance, terms);
        return;
    }
}

/* Counts the votes; what has passed takes effect. `at` is the proposal's place among the open ones. */
static enum contract_error decide(struct contract_call *call, struct governance_record *governance,
                                  uint32_t at, struct proposal_record *proposal,
                                  const struct params_record *params)
{
    uint64_t id = governance->open[at].id;
    uint32_t faults = faults_of(params);
    if ((uint32_t)__builtin_popcount(proposal->rejections) > faults) {
        close_proposal(call, governance, at, proposal, PROPOSAL_REJECTED);
    } else if ((uint32_t)__builtin_popcount(proposal->approvals) >=
               params->validator_count - faults) {
        struct params_record after = *params;
        enum contract_error error = work_out(call, &proposal->terms, &after);
        if (error != CONTRACT_OK)
            return error;
        close_proposal(call, governance, at, proposal, PROPOSAL_PASSED);
        write_params(call, &after);
        take_effect(call, governance, &proposal->terms, params, &after);
    } else {
        write_proposal(call, id, proposal);
    }
    write_governance(call, governance);
    return CONTRACT_OK;
}

/* What a proposal needs room for: its proposer's earlier one is withdrawn, late ones expire. */
static void close_stale(const struct contract_call *call, struct governance_record *governance)
{
    for (uint32_t i = 0; i < governance->open_count;) {
        struct proposal_record proposal;
        MUST(read_proposal(call, governance->open[i].id, &proposal) || call->view->fault);
        if (call->view->fault)
            return;
        if (timestamp_compare(call->context->time, proposal.expires) > 0)
            close_proposal(call, governance, i, &proposal, PROPOSAL_EXPIRED);
        else if (name_compare(&proposal.proposer, &call->sender) == 0)
            close_proposal(call, governance, i, &proposal, PROPOSAL_WITHDRAWN);
        else
            i++;
    }
}

/* Who may act on governance, and whether this block still can. */
static enum contract_error open_session(const struct contract_call *call,
                                        struct params_record *params,
                                        struct governance_record *governance, uint32_t *voters)
{
    if (!read_params(call, params)) {
        MUST(call->view->fault);
        return CONTRACT_NOT_PERMITTED;
    }
    read_governance(call, governance);
    if (governance->epoch > 0 && governance->epoch_height == call->context->height)
        return CONTRACT_TOO_EARLY; /* this block has changed the set: the new one decides later */
    *voters = operated_by(params, &call->sender);
    return *voters != 0 ? CONTRACT_OK : CONTRACT_NOT_PERMITTED;
}

static enum contract_error propose_apply(struct contract_call *call, const void *record)
{
    const struct governance_propose *action = record;
    struct params_record params, after;
    struct governance_record governance;
    struct proposal_record proposal;
    uint32_t voters = 0;
    enum contract_error error = open_session(call, &params, &governance, &voters);
    if (error != CONTRACT_OK)
        return error;
    if (!is_canonical(action))
        return CONTRACT_BAD_PARAMETER;
    after = params;
    error = work_out(call, action, &after);
    if (error != CONTRACT_OK)
        return error;
    memset(&proposal, 0, sizeof proposal);
    proposal.terms = *action;
    proposal.proposer = call->sender;
    proposal.status = PROPOSAL_OPEN;
    proposal.height = call->context->height;
    proposal.approvals = voters;
    if (!timestamp_add(&proposal.expires, call->context->time, duration_of(PROPOSAL_LIFETIME_MS)))
        return CONTRACT_OVERFLOW;
    close_stale(call, &governance);
    MUST(governance.open_count < LIMIT_VALIDATORS || call->view->fault);
    if (call->view->fault)
        return CONTRACT_NOT_PERMITTED;
    governance.proposals++;
    governance.open[governance.open_count++].id = governance.proposals;
    tell(call, governance.proposals, &proposal);
    return decide(call, &governance, governance.open_count - 1, &proposal, &params);
}

static enum contract_error vote_apply(struct contract_call *call, const void *record)
{
    const struct governance_vote *action = record;
    struct params_record params;
    struct governance_record governance;
    struct proposal_record proposal;
    uint32_t voters = 0;
    enum contract_error error = open_session(call, &params, &governance, &voters);
    if (error != CONTRACT_OK)
        return error;
    if (!read_proposal(call, action->proposal, &proposal))
        return CONTRACT_UNKNOWN_PROPOSAL;
    if (proposal.status != PROPOSAL_OPEN ||
        timestamp_compare(call->context->time, proposal.expires) > 0)
        return CONTRACT_PROPOSAL_NOT_OPEN;
    uint32_t at = 0;
    while (at < governance.open_count && governance.open[at].id != action->proposal)
        at++;
    MUST(at < governance.open_count || call->view->fault);
    if (call->view->fault)
        return CONTRACT_UNKNOWN_PROPOSAL;
    proposal.approvals &= ~voters;
    proposal.rejections &= ~voters;
    if (action->approve != 0)
        proposal.approvals |= voters;
    else
        proposal.rejections |= voters;
    return decide(call, &governance, at, &proposal, &params);
}

/* --- evidence (consensus.md 10) ------------------------------------------------------------- */

/* One order for each pair, so that no pair is two pieces of evidence. */
static bool votes_exclude_each_other(const struct governance_evidence *action)
{
    const struct evidence_vote *first = &action->first;
    const struct evidence_vote *second = &action->second;
    if (first->kind == VOTE_NULLIFY)
        return hash_is_zero(&first->block_id) && second->kind == VOTE_FINALIZE &&
               !hash_is_zero(&second->block_id);
    return first->kind == second->kind && !hash_is_zero(&first->block_id) &&
           hash_compare(&first->block_id, &second->block_id) < 0;
}

static bool vote_is_signed(const struct contract_call *call,
                           const struct governance_evidence *action,
                           const struct evidence_vote *vote)
{
    struct hash message;
    vote_message(&message, &call->context->genesis, vote->kind, action->epoch, action->view,
                 &vote->block_id);
    return ed25519_verify(&vote->signature, &action->key, &message);
}

/* The validator's record, made up for one of the genesis set; false if it was none in that epoch. */
static bool find_validator(const struct contract_call *call,
                           const struct governance_evidence *action,
                           const struct params_record *params,
                           const struct governance_record *governance, struct validator_record *out)
{
    int index = index_of(params, &action->key);
    if (!read_validator(call, &action->key, out)) {
        memset(out, 0, sizeof *out);
        if (index < 0)
            return false;
        out->operator_name = params->validators[index].operator_name;
    }
    MUST((index >= 0) == (out->until_epoch == 0));
    uint64_t last = out->until_epoch == 0 ? governance->epoch : out->until_epoch - 1;
    return action->epoch >= out->from_epoch && action->epoch <= last;
}

static enum contract_error evidence_apply(struct contract_call *call, const void *record)
{
    const struct governance_evidence *action = record;
    struct params_record params;
    struct governance_record governance;
    struct validator_record validator;
    if (!read_params(call, &params)) {
        MUST(call->view->fault);
        return CONTRACT_NOT_PERMITTED;
    }
    read_governance(call, &governance);
    if (operated_by(&params, &call->sender) == 0 && !contract_has_role(call, ROLE_REGULATOR))
        return CONTRACT_NOT_PERMITTED;
    if (!find_validator(call, action, &params, &governance, &validator))
        return CONTRACT_UNKNOWN_VALIDATOR;
    struct state_key key = state_key_evidence(&action->key, action->epoch, action->view);
    if (contract_exists(call, &key) || validator.evidence == EVIDENCE_MAX)
        return CONTRACT_EXISTS_ALREADY;
    if (action->view == 0 || !votes_exclude_each_other(action) ||
        !vote_is_signed(call, action, &action->first) ||
        !vote_is_signed(call, action, &action->second))
        return CONTRACT_BAD_EVIDENCE;
    struct evidence_record evidence = {.operator_name = validator.operator_name,
                                       .reporter = call->sender,
                                       .first = action->first,
                                       .second = action->second,
                                       .height = call->context->height};
    contract_write(call, &key, &evidence_record_codec, &evidence);
    validator.evidence++;
    write_validator(call, &action->key, &validator);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_GOVERNANCE_PROPOSE, propose_apply},
    {ACTION_GOVERNANCE_VOTE, vote_apply},
    {ACTION_GOVERNANCE_EVIDENCE, evidence_apply},
};

const struct contract_module governance_module = {
    .name = "governance",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
