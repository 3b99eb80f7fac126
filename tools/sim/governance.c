/* Who validates next: a plan of changes by the seed, and the operators who vote for it.
 *
 * Four governors operate all validators. Each looks at the final chain now and then: if the change that
 * is due is not proposed, it may propose it; if it is open and its own vote is missing, it votes. Until
 * GST one now and then votes against what it wants, or proposes something else beside. All of this
 * goes through the contracts and mempools that everybody uses; a change takes effect when the votes
 * of n - f validators are final, and not otherwise. The plan is kept strictly in its order, so the sets
 * that will be are known beforehand, and at most f of each are made faulty (weather.c).
 *
 * A newcomer is a node of its own with a key of its own, as an operator would start it: it follows, or
 * starts from nothing later on, or is down when its time comes. One that has left goes on following,
 * or is switched off once every honest node has crossed the boundary: before that, the epoch that it
 * leaves may still need it.
 *
 * Transactions are signed on demand and kept for as long as the process lives, because runs repeat
 * themselves more often than not. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/module.h"
#include "contracts/rules.h"
#include "tools/sim/sim_internal.h"

enum { CHANGES_RANDOM = 3, GENESIS_OF_TOUR = 4, SIGNED_MAX = 2048, PERSON = SIM_WALLETS + 1 };

/* --- the plan --------------------------------------------------------------------------------------- */

struct planner {
    uint64_t members;
    uint64_t used; /* keys that are or were in a set: they never come back */
    uint32_t operator_of[SIM_KEYS];
};

static int some_key(struct sim *sim, uint64_t among)
{
    MUST(among != 0);
    uint64_t skip = sim_below(sim, (uint64_t)__builtin_popcountll(among));
    while (skip-- > 0)
        among &= among - 1;
    return __builtin_ctzll(among);
}

static void plan_change(struct sim *sim, struct planner *planner, enum proposal_kind kind)
{
    MUST(sim->change_count < SIM_CHANGES_MAX);
    struct sim_change *change = &sim->changes[sim->change_count++];
    *change = (struct sim_change){.kind = (uint8_t)kind, .leaves = -1, .comes = -1};
    if (kind != PROPOSAL_ADD_VALIDATOR)
        change->leaves = some_key(sim, planner->members);
    if (kind != PROPOSAL_REMOVE_VALIDATOR) {
        change->comes = some_key(sim, ~planner->used);
        planner->used |= UINT64_C(1) << change->comes;
        change->governor = (uint32_t)sim_below(sim, SIM_GOVERNORS);
        if (kind == PROPOSAL_REPLACE_VALIDATOR && sim_chance(sim, 500)) /* a new key, no more */
            change->governor = planner->operator_of[change->leaves];
        planner->operator_of[change->comes] = change->governor;
        MUST(sim->keyed < SIM_NODES_MAX);
        sim->nodes[sim->keyed++].validator = change->comes;
    }
    planner->members = sim_members_after(planner->members, change);
    if (sim_faults_of(planner->members) > sim->faults_max)
        sim->faults_max = sim_faults_of(planner->members);
}

static enum proposal_kind some_kind(struct sim *sim, uint64_t members)
{
    uint32_t count = (uint32_t)__builtin_popcountll(members);
    uint64_t way = sim_below(sim, 3);
    if (way == 0 && count < LIMIT_VALIDATORS)
        return PROPOSAL_ADD_VALIDATOR;
    return way == 1 && count > LIMIT_VALIDATORS_MIN ? PROPOSAL_REMOVE_VALIDATOR
                                                    : PROPOSAL_REPLACE_VALIDATOR;
}

void sim_governance_plan(struct sim *sim)
{
    static const uint32_t stops[] = {7, LIMIT_VALIDATORS, 7, GENESIS_OF_TOUR};
    struct planner planner = {.members = sim->epochs[0].members, .used = sim->epochs[0].members};
    for (uint32_t i = 0; i < sim->keyed; i++)
        planner.operator_of[sim->nodes[i].validator] = i % SIM_GOVERNORS;
    if (sim->config.epochs != SIM_EPOCHS_TOUR) {
        uint64_t count = 1 + sim_below(sim, CHANGES_RANDOM);
        while (count-- > 0)
            plan_change(sim, &planner, some_kind(sim, planner.members));
        return;
    }
    for (size_t stop = 0; stop < sizeof stops / sizeof stops[0]; stop++) {
        uint32_t count;
        while ((count = (uint32_t)__builtin_popcountll(planner.members)) != stops[stop])
            plan_change(sim, &planner,
                        count < stops[stop] ? PROPOSAL_ADD_VALIDATOR : PROPOSAL_REMOVE_VALIDATOR);
    }
}

static void wake(struct sim *sim, uint32_t governor)
{
    struct sim_event event = {.kind = SIM_EVENT_GOVERN, .node = -1, .peer = -1, .number = governor};
    sim_at(sim, sim->now_ms + 30 + sim_below(sim, 170), &event);
}

void sim_governance_begin(struct sim *sim)
{
    uint64_t from = 0;
    for (uint32_t i = 0; i < sim->change_count; i++) {
        if (sim->config.epochs != SIM_EPOCHS_TOUR)
            from += sim_below(sim, (sim->gst_ms - from) / 3);
        sim->changes[i].from_ms = from;
    }
    for (uint32_t i = sim->config.validators; i < sim->keyed; i++)
        sim->nodes[i].starts_ms = sim_chance(sim, 500) ? 0 : sim_below(sim, sim->gst_ms);
    for (uint32_t g = 0; g < SIM_GOVERNORS; g++)
        wake(sim, g);
}

bool sim_governance_is_done(const struct sim *sim)
{
    return sim->epoch_count == sim->change_count + 1 && sim_upgrade_is_done(sim);
}

/* --- signed once ---------------------------------------------------------------------------------------- */

/* What a governor says, and nothing that is left open. */
struct saying {
    uint32_t governor;
    uint8_t type;
    uint8_t kind;
    uint8_t approve;
    int leaves, comes;
    uint32_t newcomers;
    uint64_t proposal;
    uint64_t height; /* of new rules */
    uint64_t nonce;
};

static struct {
    struct hash genesis;
    uint32_t count;
    struct saying sayings[SIGNED_MAX];
    struct signed_transaction signed_once[SIGNED_MAX];
    uint16_t by_saying[2 * SIGNED_MAX]; /* index + 1 */
    uint16_t by_id[2 * SIGNED_MAX];
} archive;

static bool same_saying(const struct saying *a, const struct saying *b)
{
    return a->governor == b->governor && a->type == b->type && a->kind == b->kind &&
           a->approve == b->approve && a->leaves == b->leaves && a->comes == b->comes &&
           a->newcomers == b->newcomers && a->proposal == b->proposal && a->height == b->height &&
           a->nonce == b->nonce;
}

static uint16_t *place_of_saying(const struct saying *saying)
{
    uint64_t mixed = saying->nonce * 31 + saying->governor;
    mixed = mixed * 31 + saying->proposal * 2 + saying->approve;
    mixed = mixed * 67 + (uint64_t)(saying->leaves + 1);
    mixed = mixed * 67 + (uint64_t)(saying->comes + 1);
    uint32_t at = (uint32_t)(mixed % (2 * SIGNED_MAX));
    while (archive.by_saying[at] != 0 &&
           !same_saying(&archive.sayings[archive.by_saying[at] - 1], saying))
        at = (at + 1) % (2 * SIGNED_MAX);
    return &archive.by_saying[at];
}

static uint16_t *place_of_id(const struct hash *id)
{
    uint32_t at = ((uint32_t)id->bytes[0] << 8 | id->bytes[1]) % (2 * SIGNED_MAX);
    while (archive.by_id[at] != 0 &&
           !hash_equal(&archive.signed_once[archive.by_id[at] - 1].id, id))
        at = (at + 1) % (2 * SIGNED_MAX);
    return &archive.by_id[at];
}

static void fill_terms(struct sim *sim, struct governance_propose *terms,
                       const struct saying *saying)
{
    struct secret_key other;
    struct hash message;
    terms->kind = saying->kind;
    if (saying->kind == PROPOSAL_SET_FEES) {
        terms->fee_per_tx = sim->genesis->params.fee_per_tx;
        terms->fee_per_action = sim->genesis->params.fee_per_action;
        terms->fee_per_deal = sim->genesis->params.fee_per_deal;
    }
    if (saying->kind == PROPOSAL_UPGRADE) {
        terms->rules = ledger_rules_count;
        terms->height = saying->height;
    }
    if (saying->leaves >= 0)
        terms->old_key = *sim_key(saying->leaves);
    if (saying->comes < 0)
        return;
    terms->new_key = *sim_key(saying->comes);
    sim_person(PERSON + saying->newcomers, &terms->operator_name, &other);
    membership_key_proof_message(&message, &sim->genesis_id, &terms->operator_name,
                                 &terms->new_key);
    ed25519_sign(&terms->proof, &sim->seeds[saying->comes], &message);
}

static struct bytes_view signed_saying(struct sim *sim, const struct saying *saying)
{
    struct transaction_draft draft;
    struct governance_propose terms;
    struct governance_vote vote = {.proposal = saying->proposal, .approve = saying->approve};
    if (!hash_equal(&archive.genesis, &sim->genesis_id) || archive.count == SIGNED_MAX) {
        memset(&archive, 0, sizeof archive);
        archive.genesis = sim->genesis_id;
    }
    uint16_t *place = place_of_saying(saying);
    if (*place == 0) {
        memset(&draft, 0, sizeof draft);
        memset(&terms, 0, sizeof terms);
        draft.action_count = 1;
        draft.actions[0].type = saying->type;
        draft.actions[0].record = &vote;
        if (saying->type == ACTION_GOVERNANCE_PROPOSE) {
            fill_terms(sim, &terms, saying);
            draft.actions[0].record = &terms;
        }
        struct signed_transaction *made = &archive.signed_once[archive.count];
        sim_sign(sim, made, &draft, PERSON + saying->governor, saying->nonce);
        archive.sayings[archive.count++] = *saying;
        *place = (uint16_t)archive.count;
        *place_of_id(&made->id) = (uint16_t)archive.count;
    }
    const struct signed_transaction *found = &archive.signed_once[*place - 1];
    return bytes_view_of(found->bytes, found->size);
}

bool sim_governance_knows(const struct transaction *transaction)
{
    uint16_t index = *place_of_id(&transaction->id);
    if (index == 0)
        return false;
    const struct signed_transaction *found = &archive.signed_once[index - 1];
    return bytes_view_equal(bytes_view_of(found->bytes, found->size), transaction->envelope);
}

/* --- what the final chain says --------------------------------------------------------------------------- */

struct outlook {
    struct state_view *view;
    struct params_record params;
    struct governance_record governance;
    struct participant_record self;
    struct name name;
    uint32_t votes; /* bits: the governor's validators */
};

static bool look(struct sim *sim, struct outlook *outlook, uint32_t governor)
{
    struct secret_key secret;
    memset(outlook, 0, sizeof *outlook);
    outlook->view = chain_committed_view(sim->audit);
    sim_person(PERSON + governor, &outlook->name, &secret);
    struct state_key params = state_key_single(STATE_PARAMS);
    struct state_key governance = state_key_single(STATE_GOVERNANCE);
    struct state_key self = state_key_name(STATE_PARTICIPANT, &outlook->name);
    MUST(ledger_read(outlook->view, &params, &params_record_codec, &outlook->params) &&
         ledger_read(outlook->view, &self, &participant_record_codec, &outlook->self));
    (void)ledger_read(outlook->view, &governance, &governance_record_codec, &outlook->governance);
    for (uint32_t i = 0; i < outlook->params.validator_count; i++)
        if (name_compare(&outlook->params.validators[i].operator_name, &outlook->name) == 0)
            outlook->votes |= UINT32_C(1) << i;
    return outlook->votes != 0;
}

static bool is_about(const struct governance_propose *terms, const struct sim_change *change)
{
    return terms->kind == change->kind &&
           (change->leaves < 0 || public_key_equal(&terms->old_key, sim_key(change->leaves))) &&
           (change->comes < 0 || public_key_equal(&terms->new_key, sim_key(change->comes)));
}

/* The first open proposal of that change; 0 if there is none. */
static uint64_t find_proposal(const struct outlook *outlook, const struct sim_change *change,
                              struct proposal_record *out)
{
    for (uint32_t i = 0; i < outlook->governance.open_count; i++) {
        uint64_t id = outlook->governance.open[i].id;
        struct state_key key = state_key_u64(STATE_PROPOSAL, id);
        MUST(ledger_read(outlook->view, &key, &proposal_record_codec, out));
        if (is_about(&out->terms, change))
            return id;
    }
    return 0;
}

/* --- the governors ------------------------------------------------------------------------------------------ */

static void retire(struct sim *sim)
{
    uint64_t newest = sim->epochs[sim->epoch_count - 1].height;
    for (uint32_t i = 0; i < sim->keyed; i++)
        if (sim_node_is_honest(&sim->nodes[i]) && !sim->nodes[i].differs && !sim->nodes[i].gone &&
            sim->nodes[i].store.tip.height < newest)
            return;
    for (uint32_t i = 0; i < sim->epoch_count - 1; i++) {
        struct sim_node *node = sim_node_of_key(sim, sim->changes[i].leaves);
        if (node == NULL || node->gone || !sim_node_is_honest(node) || !node->up ||
            !sim_chance(sim, 150))
            continue;
        sim_story(sim, node, "is switched off for good");
        node->gone = true;
        sim_node_stop(sim, node, 0);
    }
}

/* Not always the same one proposes, and not everybody agrees at once. */
static bool decide_upgrade(struct sim *sim, struct saying *saying, const struct outlook *outlook)
{
    struct proposal_record proposal;
    const bool calm = sim->weather.healed;
    saying->leaves = saying->comes = -1;
    saying->proposal = sim_upgrade_proposal(sim, &proposal);
    if (sim_upgrade_is_voted(sim))
        return false;
    if (saying->proposal == 0) {
        saying->type = ACTION_GOVERNANCE_PROPOSE;
        saying->kind = PROPOSAL_UPGRADE;
        saying->height = sim_upgrade_height(sim);
        return sim_chance(sim, 500);
    }
    saying->type = ACTION_GOVERNANCE_VOTE;
    saying->approve = calm || !sim_chance(sim, 60);
    return saying->approve == 0 || (proposal.approvals & outlook->votes) != outlook->votes;
}

static bool decide(struct sim *sim, struct saying *saying, const struct outlook *outlook)
{
    if (sim->config.upgrade)
        return decide_upgrade(sim, saying, outlook);
    const struct sim_change *change = &sim->changes[sim->epoch_count - 1];
    struct proposal_record proposal;
    const bool calm = sim->weather.healed;
    if (sim->now_ms < change->from_ms)
        return false;
    saying->leaves = saying->comes = -1;
    saying->proposal = find_proposal(outlook, change, &proposal);
    if (saying->proposal == 0 || (!calm && sim_chance(sim, 40))) {
        saying->type = ACTION_GOVERNANCE_PROPOSE;
        saying->kind = saying->proposal == 0 ? change->kind : PROPOSAL_SET_FEES;
        saying->proposal = 0;
        if (saying->kind == PROPOSAL_SET_FEES)
            return true;
        saying->leaves = change->leaves;
        saying->comes = change->comes;
        saying->newcomers = change->comes >= 0 ? change->governor : 0;
        return sim_chance(sim, 500); /* or somebody else will */
    }
    saying->type = ACTION_GOVERNANCE_VOTE;
    saying->approve = calm || !sim_chance(sim, 60);
    return saying->approve == 0 || (proposal.approvals & outlook->votes) != outlook->votes;
}

/* A validator's mostly; some operators ask their standby. */
static struct sim_node *some_door(struct sim *sim)
{
    int key = sim_key_at(sim, sim->epoch_count - 1, (uint32_t)sim_below(sim, sim->set.count));
    struct sim_node *member = sim_node_of_key(sim, key);
    struct sim_node *any = &sim->nodes[sim_below(sim, sim->keyed)];
    MUST(member != NULL);
    return sim_chance(sim, 750) ? member : any;
}

void sim_governance_act(struct sim *sim, uint32_t governor)
{
    struct outlook outlook;
    struct saying saying = {.governor = governor};
    if (sim->epoch_count > 1)
        retire(sim);
    wake(sim, governor);
    if (sim_governance_is_done(sim) || sim_failed(sim))
        return;
    struct sim_node *node = some_door(sim);
    if (!node->up || node->busy_until_ms > sim->now_ms || !look(sim, &outlook, governor) ||
        !decide(sim, &saying, &outlook))
        return;
    saying.nonce = outlook.self.nonce + 1;
    sim_story(sim, node, "governor %u: %s", governor,
              saying.type == ACTION_GOVERNANCE_VOTE ? saying.approve != 0 ? "yes" : "no"
              : saying.kind == PROPOSAL_SET_FEES    ? "proposes something else"
                                                    : "proposes the change that is due");
    (void)sim_take_transaction(sim, node, -1, signed_saying(sim, &saying));
    sim_feed_pending(sim, node);
}
