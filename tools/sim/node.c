/* Life and death of a node: start as the daemon starts (node/start.c), clocks, events, crashes.
 *
 * What dies with a node: core, chain cache, mempool, shell. What survives: journal (disk.c) and chain
 * database (store.c). Cores' memory is kept from run to run, for a core touches little of it. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

bool sim_node_is_honest(const struct sim_node *node)
{
    return node->persona == NULL;
}

/* --- clocks -------------------------------------------------------------------------------------- */

static uint64_t mono_at(const struct sim_node *node, uint64_t sim_ms)
{
    int64_t drift = (int64_t)sim_ms * node->drift_ppm / 1000000;
    return (uint64_t)((int64_t)sim_ms + 1000 + node->slot + drift);
}

uint64_t sim_node_mono(const struct sim *sim, const struct sim_node *node)
{
    return mono_at(node, sim->now_ms);
}

/* The first moment of the simulation at which the node's clock shows `mono_ms`. */
static uint64_t moment_of(const struct sim *sim, const struct sim_node *node, uint64_t mono_ms)
{
    uint64_t now = sim_node_mono(sim, node);
    if (mono_ms <= now)
        return sim->now_ms;
    uint64_t span = mono_ms - now;
    uint64_t at = sim->now_ms + span - span / 1000;
    while (mono_at(node, at) < mono_ms)
        at++;
    return at;
}

struct timestamp sim_node_wall(const struct sim *sim, const struct sim_node *node)
{
    int64_t jump = sim_is_calm(sim) ? 0 : node->jump_ms;
    return timestamp_of(SIM_GENESIS_MS + 1000 + (int64_t)sim->now_ms + sim->leap_ms +
                        node->skew_ms + jump);
}

/* --- start and stop ------------------------------------------------------------------------------ */

static void *core_memory(int slot, uint32_t validators)
{
    static void *memory[SIM_NODES_MAX];
    static uint32_t sized[SIM_NODES_MAX];
    if (sized[slot] < validators) {
        free(memory[slot]);
        memory[slot] = malloc(bft_size(validators));
        sized[slot] = validators;
        MUST(memory[slot] != NULL);
    }
    return memory[slot];
}

static void create_core(struct sim *sim, struct sim_node *node)
{
    const struct genesis *genesis = sim->genesis;
    const struct store_tip *tip = chain_tip(node->chain);
    struct bft_config config = {.genesis = sim->genesis_id,
                                .set = *sim_set_of(sim, node),
                                .epoch = node->epoch,
                                .observer = node->place < 0,
                                .timing = {.delta_ms = genesis->delta_ms,
                                           .block_interval_ms = genesis->block_interval_ms,
                                           .max_idle_ms = genesis->max_idle_ms,
                                           .exec_budget_ms = genesis->exec_budget_ms,
                                           .timeout_cap_ms = genesis->timeout_cap_ms,
                                           .backoff_permille = genesis->backoff_permille},
                                .jitter_seed = sim_random_u64(&sim->random),
                                .final_height = tip->height,
                                .final_view = tip->view,
                                .final_id = tip->block_id,
                                .final_time = tip->time};
    if (node->place >= 0)
        config.seed = sim->seeds[node->validator];
    node->core = bft_create(core_memory(node->slot, config.set.count), &config);
    MUST(node->core != NULL);
    node->core->signing = sim->signing;
    if (sim_node_is_honest(node))
        sim_mutate_core(sim, node);
}

static const char *refusal_of(enum journal_result result)
{
    switch (result) {
    case JOURNAL_OK:
        return NULL;
    case JOURNAL_DAMAGED:
        return "the vote journal is damaged";
    case JOURNAL_ROLLED_BACK:
        return "the vote journal is older than votes made from it";
    case JOURNAL_MISSING:
        return "the vote journal is missing";
    case JOURNAL_MISMATCH:
    case JOURNAL_FAULT:
        return "the vote journal cannot be used";
    }
    return NULL;
}

static void link_up(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *peer = &sim->nodes[i];
        if (peer == node || !peer->up)
            continue;
        sim_node_at(sim, node, SIM_EVENT_PEER_UP, 1 + sim_below(sim, 40), (uint64_t)peer->slot);
        sim_node_at(sim, peer, SIM_EVENT_PEER_UP, 1 + sim_below(sim, 40), (uint64_t)node->slot);
    }
}

static void watch_deadline(struct sim *sim, struct sim_node *node)
{
    uint64_t deadline = bft_deadline_ms(node->core);
    if (deadline == UINT64_MAX)
        return;
    uint64_t at = moment_of(sim, node, deadline);
    if (node->tick_ms > sim->now_ms && at >= node->tick_ms)
        return;
    node->tick_ms = at;
    sim_node_at(sim, node, SIM_EVENT_TICK, at - sim->now_ms, 0);
}

/* What a start and a new epoch share: the journal read back, then the core's first step. */
static void run_core(struct sim *sim, struct sim_node *node)
{
    enum journal_result result = sim_disk_open(sim, node);
    const char *refusal = refusal_of(result);
    sim_story(sim, node, "starts at height %llu in epoch %llu%s%s%s",
              (unsigned long long)chain_tip(node->chain)->height, (unsigned long long)node->epoch,
              node->validator >= 0 && node->place < 0 ? ", not in the set" : "",
              refusal != NULL ? ": " : "", refusal != NULL ? refusal : "");
    if (refusal != NULL) {
        if (!node->faulty)
            sim_fail(sim, SIM_SAFETY, "node %d finds its own journal unsound: %s", node->slot,
                     refusal);
        bft_refuse_to_vote(node->core, refusal);
    } else if (node->follower && !node->core->refusal) {
        sim_fail(sim, SIM_SAFETY, "node %d would vote with a journal that was damaged", node->slot);
    }
    if (node->persona != NULL && node->persona->restarted != NULL)
        node->persona->restarted(sim, node);
    struct bft_input start = sim_input(BFT_INPUT_START);
    sim_feed(sim, node, &start);
}

void sim_node_switch(struct sim *sim, struct sim_node *node)
{
    bft_destroy(node->core);
    sim_node_enter(sim, node);
    create_core(sim, node);
    node->tick_ms = 0;
    run_core(sim, node);
    for (uint32_t i = 0; i < sim->node_count && node->up; i++) {
        if ((int)i == node->slot || !sim->nodes[i].up)
            continue;
        struct bft_input up = sim_input_from(sim, node, BFT_INPUT_PEER_UP, (int)i);
        sim_feed(sim, node, &up);
    }
}

void sim_node_start(struct sim *sim, struct sim_node *node)
{
    const struct mempool_limits limits = {.bytes_max = 0, .bytes_per_sender_max = 0};
    char problem[160];
    struct chain_backend backend = sim_store_face(&node->store);
    MUST(!node->up);
    node->chain = chain_open(sim->genesis, &backend, problem);
    node->mempool = mempool_create(&limits);
    node->shell = sim_shell_new();
    MUST(node->chain != NULL && node->mempool != NULL);
    if (!sim_upgrade_opens(sim, node)) {
        sim_story(sim, node, "does not start: the next height's rules are not here");
        sim_node_free(node);
        return;
    }
    sim_node_enter(sim, node);
    create_core(sim, node);
    node->up = true;
    node->tick_ms = 0;
    node->shell->pending_changed = true;
    run_core(sim, node);
    sim_settle(sim, node);
    if (!node->up)
        return;
    watch_deadline(sim, node);
    link_up(sim, node);
    if (node->persona != NULL && node->persona->act != NULL)
        sim_node_at(sim, node, SIM_EVENT_ACT, 50 + sim_below(sim, 200), 0);
}

void sim_node_free(struct sim_node *node)
{
    sim_shell_free(node->shell);
    chain_close(node->chain);
    mempool_destroy(node->mempool);
    if (node->core != NULL)
        bft_destroy(node->core);
    node->shell = NULL;
    node->chain = NULL;
    node->mempool = NULL;
    node->core = NULL;
}

void sim_node_stop(struct sim *sim, struct sim_node *node, uint64_t down_ms)
{
    MUST(node->up);
    sim_story(sim, node, "dies");
    node->up = false;
    node->generation++;
    node->busy_until_ms = 0;
    node->sync_fails = false;
    sim->result->crashes++;
    sim_disk_crash(sim, node);
    sim_node_free(node);
    struct sim_event event = {.kind = SIM_EVENT_START, .node = node->slot, .peer = -1};
    if (!node->gone)
        sim_at(sim, sim->now_ms + down_ms, &event);
}

bool sim_node_dies(struct sim *sim, struct sim_node *node, const char *where)
{
    if (sim->weather.healed || sim->weather.crash_permille == 0 || node->persona != NULL ||
        !sim_chance(sim, sim->weather.crash_permille))
        return false;
    sim_story(sim, node, "power lost %s", where);
    /* Now and then at once again: a crash loop. */
    sim_node_stop(sim, node, sim_chance(sim, 200) ? 1 : 30 + sim_below(sim, 1500));
    return true;
}

/* --- events ------------------------------------------------------------------------------------- */

static void on_peer_up(struct sim *sim, struct sim_node *node, uint64_t peer)
{
    if (!sim->nodes[peer].up)
        return;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_PEER_UP, (int)peer);
    sim_feed(sim, node, &input);
}

static void handle(struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
    struct bft_input tick = sim_input(BFT_INPUT_TICK);
    switch (event->kind) {
    case SIM_EVENT_FRAME:
        sim_intake(sim, node, event->peer, bytes_view_of(event->frame->bytes, event->frame->size));
        break;
    case SIM_EVENT_TICK:
        node->tick_ms = 0;
        sim_feed(sim, node, &tick);
        break;
    case SIM_EVENT_PEER_UP:
        on_peer_up(sim, node, event->number);
        break;
    case SIM_EVENT_ACT:
        if (node->persona != NULL && node->persona->act != NULL) {
            node->persona->act(sim, node);
            if (node->up)
                sim_node_at(sim, node, SIM_EVENT_ACT, 50 + sim_below(sim, 300), 0);
        }
        break;
    case SIM_EVENT_SETTLE:
        break;
    case SIM_EVENT_START:
    case SIM_EVENT_KILL:
    case SIM_EVENT_WALLET:
    case SIM_EVENT_GOVERN:
    case SIM_EVENT_WEATHER:
    case SIM_EVENT_POWER:
    case SIM_EVENT_CALAMITY:
    case SIM_EVENT_LEAP:
    case SIM_EVENT_HEAL:
        MUST(!"an event of a node");
    }
}

void sim_node_event(struct sim *sim, const struct sim_event *event)
{
    struct sim_node *node = &sim->nodes[event->node];
    if (!node->up || (event->kind != SIM_EVENT_FRAME && event->generation != node->generation))
        return;
    if (event->kind == SIM_EVENT_TICK && event->at_ms != node->tick_ms && node->tick_ms != 0)
        return;
    if (node->busy_until_ms > sim->now_ms) {
        struct sim_event again = *event;
        if (again.frame != NULL)
            again.frame->references++;
        if (again.kind == SIM_EVENT_TICK)
            node->tick_ms = node->busy_until_ms;
        sim_at(sim, node->busy_until_ms, &again);
        return;
    }
    handle(sim, node, event);
    if (node->up)
        sim_settle(sim, node);
    if (node->up)
        sim_feed_pending(sim, node);
    if (node->up)
        watch_deadline(sim, node);
}
