/* New rules at a voted height, with old and new programs side by side (contracts/rules.h; ADR 59).
 *
 * The governors vote the newest version in, by the contracts and mempools that everybody uses. Each honest
 * node runs the first version until its operator installs the new program: before the vote, at some moment
 * of the run, or once it has stopped. At most f nodes that vote, those that are faulty included, stay old
 * until all others have reached the goal: then they get the new program too, and must get there.
 *
 * What must hold, beside all that holds anyway: an old program stops, and does so with the last block of
 * the old rules committed and none above; until then it takes part. It has no verdict on a block above:
 * it never votes for one, and never alarms over one. Who comes back with the new program goes on from its
 * own home.
 *
 * Only a flexsim that is linked with a second version can play this (tests/lib/preview). */
#include "base/fatal.h"
#include "contracts/module.h"
#include "contracts/rules.h"
#include "tools/sim/sim_internal.h"

enum {
    GST_MS_UPGRADE = 3000,     /* later: most upgrades are to be over by then */
    HEIGHTS_AHEAD = 12,        /* proposed up to so many above the notice */
    INSTALL_MS_MAX = 2000,     /* after healing */
    FIRST = LEDGER_RULES_FIRST /* what an old program has */
};

static const uint64_t never_ms = UINT64_MAX;

static uint32_t newest(void)
{
    return ledger_rules_count;
}

static bool upgrades(const struct sim *sim)
{
    return sim->config.upgrade;
}

static void read_governance(const struct sim *sim, struct governance_record *out)
{
    const struct state_key key = state_key_single(STATE_GOVERNANCE);
    *out = (struct governance_record){.epoch = 0};
    (void)ledger_read(chain_committed_view(sim->audit), &key, &governance_record_codec, out);
}

void sim_upgrade_plan(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim->nodes[i].rules = newest();
    if (!upgrades(sim))
        return;
    MUST(newest() > FIRST); /* asked for before the run */
    sim->gst_ms += GST_MS_UPGRADE;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!sim_node_is_honest(node) || sim_chance(sim, 150))
            continue;
        node->rules = FIRST;
        node->installs_ms = sim_chance(sim, 500) ? never_ms : sim_below(sim, sim->gst_ms);
        if (node->installs_ms == never_ms)
            continue;
        struct sim_event event = {.kind = SIM_EVENT_KILL, .node = node->slot, .peer = -1};
        event.number = 30 + sim_below(sim, 200);
        sim_at(sim, node->installs_ms, &event);
        event.kind = SIM_EVENT_START; /* of one that has stopped by then */
        sim_at(sim, node->installs_ms + 300, &event);
    }
}

/* --- the vote -------------------------------------------------------------------------------------- */

/* From the height that is voted for on; 0: none is. */
static uint64_t voted_height(const struct sim *sim)
{
    struct governance_record governance;
    read_governance(sim, &governance);
    return governance.next_rules == newest() ? governance.rules_height : 0;
}

bool sim_upgrade_is_done(const struct sim *sim)
{
    if (!upgrades(sim))
        return true;
    const uint64_t height = voted_height(sim);
    return height != 0 && sim->final_count >= height;
}

uint64_t sim_upgrade_proposal(const struct sim *sim, struct proposal_record *out)
{
    struct governance_record governance;
    read_governance(sim, &governance);
    for (uint32_t i = 0; i < governance.open_count; i++) {
        const uint64_t id = governance.open[i].id;
        const struct state_key key = state_key_u64(STATE_PROPOSAL, id);
        MUST(ledger_read(chain_committed_view(sim->audit), &key, &proposal_record_codec, out));
        /* One that can't pass any more is left alone; another takes its place. */
        if (out->terms.kind == PROPOSAL_UPGRADE &&
            out->terms.height > sim->final_count + LEDGER_RULES_NOTICE_BLOCKS)
            return id;
    }
    return 0;
}

bool sim_upgrade_is_voted(const struct sim *sim)
{
    return !upgrades(sim) || voted_height(sim) != 0;
}

uint64_t sim_upgrade_height(struct sim *sim)
{
    return sim->final_count + LEDGER_RULES_NOTICE_BLOCKS + 3 + sim_below(sim, HEIGHTS_AHEAD);
}

/* --- old programs ---------------------------------------------------------------------------------- */

bool sim_upgrade_opens(struct sim *sim, struct sim_node *node)
{
    if (!upgrades(sim))
        return true;
    if (node->rules < newest() && sim->now_ms >= node->installs_ms) {
        sim_story(sim, node, "has the new program");
        node->rules = newest();
    }
    chain_limit_rules(node->chain, node->rules);
    return chain_rules_missing(node->chain) == 0;
}

/* The program of this node has come to the end of its rules; it was not killed, so all that it said is on
 * its disk. */
void sim_upgrade_halt(struct sim *sim, struct sim_node *node)
{
    const uint64_t height = voted_height(sim);
    if (!upgrades(sim) || node->rules >= newest() || height == 0 ||
        node->store.tip.height + 1 != height) {
        sim_fail(sim, SIM_SAFETY, "node %d stops for new rules at height %llu, voted for %llu",
                 node->slot, (unsigned long long)node->store.tip.height,
                 (unsigned long long)height);
        return;
    }
    sim_story(sim, node, "stops in front of height %llu: its rules are not here",
              (unsigned long long)height);
    sim->result->halts++;
    const uint64_t in_ms = node->installs_ms > sim->now_ms && node->installs_ms != never_ms
                               ? node->installs_ms - sim->now_ms
                               : 100 + sim_below(sim, 400);
    if (node->installs_ms == never_ms && !sim->weather.healed && sim_chance(sim, 500))
        node->installs_ms = sim->now_ms + in_ms; /* its operator reads the message */
    sim_node_stop(sim, node, in_ms);
}

void sim_upgrade_commits(struct sim *sim, const struct sim_node *node, uint64_t height)
{
    const uint64_t from = upgrades(sim) ? voted_height(sim) : 0;
    if (from != 0 && height >= from && node->rules < newest())
        sim_fail(sim, SIM_SAFETY, "node %d commits height %llu by a program without its rules",
                 node->slot, (unsigned long long)height);
}

void sim_upgrade_votes(struct sim *sim, const struct sim_node *node, const struct vote *vote)
{
    struct block_header header;
    struct bytes_view body;
    const uint64_t from = upgrades(sim) ? voted_height(sim) : 0;
    if (from != 0 && vote->kind != VOTE_NULLIFY && node->rules < newest() &&
        chain_body(node->chain, &vote->block_id, &header, &body) && header.height >= from)
        sim_fail(sim, SIM_SAFETY, "node %d votes for height %llu by a program without its rules",
                 node->slot, (unsigned long long)header.height);
}

/* --- healing --------------------------------------------------------------------------------------- */

static void install(struct sim *sim, struct sim_node *node)
{
    struct sim_event event = {.kind = SIM_EVENT_KILL, .node = node->slot, .peer = -1};
    node->lags = false;
    node->installs_ms = sim->now_ms + sim_below(sim, INSTALL_MS_MAX);
    event.number = 50;
    sim_at(sim, node->installs_ms, &event);
    event.kind = SIM_EVENT_START;
    sim_at(sim, node->installs_ms + 100, &event);
}

static bool is_missed(const struct sim_node *node)
{
    return !sim_node_is_honest(node) || node->faulty || node->follower || node->differs ||
           node->gone || node->doomed;
}

void sim_upgrade_heals(struct sim *sim)
{
    uint32_t spare = sim->faults_max;
    for (uint32_t i = 0; upgrades(sim) && i < sim->keyed; i++)
        spare -= is_missed(&sim->nodes[i]) && spare > 0;
    for (uint32_t i = 0; upgrades(sim) && i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        const bool counts = i < sim->keyed;
        if (node->rules == newest() || node->gone)
            continue;
        if ((counts && spare == 0) || is_missed(node) || sim_chance(sim, 300)) {
            install(sim, node);
            continue;
        }
        node->lags = true;
        node->installs_ms = never_ms;
        sim->result->laggards++;
        spare -= counts;
    }
}

/* All others are there. Those that stayed old have stopped where they had to, and now come. */
bool sim_upgrade_releases(struct sim *sim)
{
    bool any = false;
    for (uint32_t i = 0; upgrades(sim) && i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!node->lags)
            continue;
        if (node->store.tip.height >= voted_height(sim))
            sim_fail(sim, SIM_SAFETY, "node %d is above height %llu without its rules", node->slot,
                     (unsigned long long)voted_height(sim));
        install(sim, node);
        any = true;
    }
    return any;
}

uint64_t sim_upgrade_bound_ms(const struct sim *sim)
{
    const uint64_t calm_view_ms = 1000;
    const uint64_t heights = 2 * (LEDGER_RULES_NOTICE_BLOCKS + HEIGHTS_AHEAD);
    return upgrades(sim)
               ? (uint64_t)(sim->faults_max + 1) * heights * calm_view_ms + 4 * INSTALL_MS_MAX
               : 0;
}

uint64_t sim_upgrade_goal(const struct sim *sim)
{
    return upgrades(sim) ? voted_height(sim) + SIM_GOAL : 0;
}
