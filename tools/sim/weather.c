/* What goes wrong, and when. The seed picks which faults there are at all (each run has a few of
 * many: swarm testing finds more than all faults at once), how hard they are, and whom they hit.
 *
 * At most f validators (unless --byzantine asks for more) are Byzantine or lose their disk for good;
 * network, power, clocks and the rest
 * may hit anybody until GST. Clocks far off hit at most f nodes, because a quorum of them could make
 * a block of the future final, which no protocol can take back. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

enum {
    GST_MS_MIN = 1500,
    GST_MS_MORE = 4500,
    GST_MS_CHANGE = 1500,
    GST_MS_TOUR = 15000,
    LEAP_MS_LATE = 1000,
    REWIND_MS = 10
};

/* --- planning ------------------------------------------------------------------------------------ */

/* A tour is long: the set has to change while all this goes on, not only after it. */
static void calm_down(struct sim_weather *weather)
{
    weather->loss_permille = weather->loss_permille > 30 ? 30 : weather->loss_permille;
    weather->crash_permille = weather->crash_permille > 1 ? 1 : weather->crash_permille;
    weather->delay_ms_max = weather->delay_ms_max > 120 ? 120 : weather->delay_ms_max;
    weather->bytes_per_ms = 0;
    memset(weather->kind_loss, 0, sizeof weather->kind_loss);
}

static void plan_network(struct sim *sim)
{
    static const uint32_t losses[] = {0, 0, 30, 100, 300};
    static const uint32_t crashes[] = {0, 0, 1, 4, 12};
    static const uint64_t delays[] = {10, 60, 120};
    struct sim_weather *weather = &sim->weather;
    weather->loss_permille = losses[sim_below(sim, 5)];
    weather->crash_permille = crashes[sim_below(sim, 5)];
    weather->delay_ms_max = delays[sim_below(sim, 3)];
    weather->duplicate_permille = sim_chance(sim, 500) ? 50 : 0;
    weather->late_duplicates = sim_chance(sim, 300);
    weather->tail_permille = sim_chance(sim, 400) ? 50 : 0;
    weather->splits = sim_chance(sim, 500);
    weather->one_way = sim_chance(sim, 300);
    weather->leaders = sim_chance(sim, 200);
    weather->swizzles = sim_chance(sim, 200);
    weather->clogs = sim_chance(sim, 250);
    weather->proofs_split = sim_chance(sim, 200);
    weather->bytes_per_ms = sim_chance(sim, 150) ? 10 + sim_below(sim, 100) : 0;
    weather->slow_node = sim_chance(sim, 200) ? (int)sim_below(sim, sim->node_count) : -1;
    if (sim_chance(sim, 150)) /* real delay over the configured one */
        weather->delay_ms_max = 300 + sim_below(sim, 1200);
    if (sim_chance(sim, 250)) {
        uint64_t kind = 1 + sim_below(sim, MESSAGE_TRANSACTIONS);
        weather->kind_loss[kind] = (uint32_t)sim_between(sim, 300, 1000);
    }
    if (sim->changes_set && sim_chance(sim, 350))
        weather->finalize_loss = (uint32_t)sim_between(sim, 500, 950);
    if (sim->config.epochs == SIM_EPOCHS_TOUR)
        calm_down(weather);
}

static void plan_at(struct sim *sim, uint64_t at_ms, enum sim_calamity_kind kind, int node,
                    uint64_t value)
{
    if (sim->calamity_count == SIM_CALAMITIES_MAX || at_ms >= sim->gst_ms)
        return;
    struct sim_event event = {
        .kind = SIM_EVENT_CALAMITY, .node = node, .peer = -1, .number = sim->calamity_count};
    sim->calamities[sim->calamity_count++] =
        (struct sim_calamity){.kind = kind, .node = node, .value = value};
    sim_at(sim, at_ms, &event);
}

/* The worst moment to be set back to is just before the node proposed: it leads the view again, and would
 * propose another block. */
void sim_weather_proposes(struct sim *sim, struct sim_node *node)
{
    if (node->rewinds_ms == 0 || sim->now_ms < node->rewinds_ms)
        return;
    node->rewinds_ms = 0;
    sim_disk_free(node->backup);
    node->backup = sim_disk_copy(node->disk);
    plan_at(sim, sim->now_ms + REWIND_MS, SIM_CALAMITY_REWIND, node->slot, 0);
}

static void plan_disk_of(struct sim *sim, struct sim_node *node)
{
    static const enum sim_calamity_kind damages[] = {
        SIM_CALAMITY_FLIP_JOURNAL, SIM_CALAMITY_DELETE_JOURNAL, SIM_CALAMITY_RESTORE_JOURNAL,
        SIM_CALAMITY_RESTORE_ALL,  SIM_CALAMITY_RESTORE_ALL,    SIM_CALAMITY_LOST_WRITE,
        SIM_CALAMITY_DIFFERS};
    enum sim_calamity_kind kind = damages[sim_below(sim, sizeof damages / sizeof damages[0])];
    uint64_t at = sim->gst_ms / 2 + sim_below(sim, sim->gst_ms / 2);
    node->faulty = true;
    if (kind == SIM_CALAMITY_RESTORE_ALL && sim_chance(sim, 700)) {
        node->rewinds_ms = at / 2;
        return;
    }
    plan_at(sim, at / 2, SIM_CALAMITY_BACKUP, node->slot, 0);
    plan_at(sim, at, kind, node->slot, sim_below(sim, 20));
}

static void plan_clock_of(struct sim *sim, struct sim_node *node)
{
    static const int64_t jumps[] = {3600000, -3600000, 315360000000, -315360000000, 5000, -5000};
    uint64_t at = sim_below(sim, sim->gst_ms);
    plan_at(sim, at, SIM_CALAMITY_CLOCK_JUMP, node->slot, (uint64_t)jumps[sim_below(sim, 6)]);
    plan_at(sim, at + sim_below(sim, 2000), SIM_CALAMITY_CLOCK_JUMP, node->slot, 0);
}

/* Would at most f of each set that is planned be faulty, if this one were, too? */
static bool fits(struct sim *sim, const struct sim_node *node)
{
    uint64_t faulty = UINT64_C(1) << node->validator;
    uint64_t members = sim->epochs[0].members;
    for (uint32_t i = 0; i < sim->keyed; i++)
        if (sim->nodes[i].faulty || sim->nodes[i].doomed)
            faulty |= UINT64_C(1) << sim->nodes[i].validator;
    for (uint32_t i = 0;; i++) {
        if ((uint32_t)__builtin_popcountll(faulty & members) > sim_faults_of(members))
            return false;
        if (i == sim->change_count)
            return true;
        members = sim_members_after(members, &sim->changes[i]);
    }
}

/* f of the smallest set that is planned. */
static uint32_t faults_least(const struct sim *sim)
{
    uint64_t members = sim->epochs[0].members;
    uint32_t least = sim_faults_of(members);
    for (uint32_t i = 0; i < sim->change_count; i++) {
        members = sim_members_after(members, &sim->changes[i]);
        least = sim_faults_of(members) < least ? sim_faults_of(members) : least;
    }
    return least;
}

static void plan_calamities(struct sim *sim)
{
    uint32_t n = sim->keyed;
    uint32_t faults = faults_least(sim);
    uint32_t first_clock = (uint32_t)sim_below(sim, n);
    if (sim_chance(sim, 250))
        for (uint32_t i = 0; i < faults; i++)
            plan_clock_of(sim, &sim->nodes[(first_clock + i) % n]);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        uint64_t at = sim_below(sim, sim->gst_ms);
        if (node->persona != NULL)
            continue;
        if (sim_chance(sim, 60))
            plan_at(sim, at, SIM_CALAMITY_SYNC_FAILS, node->slot, 0);
        if (sim_chance(sim, 80)) {
            plan_at(sim, at, SIM_CALAMITY_STORE_FULL, node->slot, 0);
            plan_at(sim, at + sim_below(sim, 3000), SIM_CALAMITY_STORE_ROOM, node->slot, 0);
        }
        if (sim_chance(sim, 80))
            plan_at(sim, at, SIM_CALAMITY_PAUSE, node->slot, 200 + sim_below(sim, 4000));
        if (sim_chance(sim, 60))
            node->sync_ms_max = (uint32_t)sim_between(sim, 20, 2000);
    }
    if (sim_chance(sim, 250)) { /* n - f..n restarts, faster than any timeout */
        uint64_t at = sim_below(sim, sim->gst_ms);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t later = i * sim_below(sim, 120);
            plan_at(sim, at + later, SIM_CALAMITY_HAILSTORM, (int)i, sim_below(sim, 200));
        }
    }
}

/* As many as may still fail for good never come back from the power cut: then every one of the others
 * is needed, each with the votes that it has in its journal and nowhere else. */
static void plan_losses(struct sim *sim)
{
    uint32_t at = (uint32_t)sim_below(sim, sim->keyed);
    for (uint32_t i = 0; i < sim->keyed; i++) {
        struct sim_node *node = &sim->nodes[(at + i) % sim->keyed];
        node->doomed = !node->faulty && fits(sim, node);
    }
}

static void plan_power(struct sim *sim)
{
    struct sim_event event = {.kind = SIM_EVENT_POWER, .node = -1, .peer = -1};
    uint64_t at = sim_between(sim, sim->gst_ms / 2, sim->gst_ms - 1);
    if (sim_chance(sim, 500)) { /* every vote durable, none delivered */
        for (uint64_t before = 1500; before > 0; before -= 100) {
            event.number = 1;
            if (at > before)
                sim_at(sim, at - before, &event);
        }
        plan_losses(sim);
    }
    event.number = 0;
    sim_at(sim, at, &event);
}

static int pick_persona(struct sim *sim)
{
    if (sim->config.persona >= 0)
        return sim->config.persona;
    return (int)sim_below(sim, (uint64_t)sim_persona_count());
}

/* From `at` on; NULL if one more would be too many for some epoch. */
static struct sim_node *next_faulty(struct sim *sim, uint32_t at)
{
    for (uint32_t i = 0; i < sim->keyed; i++) {
        struct sim_node *node = &sim->nodes[(at + i) % sim->keyed];
        if (!node->faulty && (sim->config.byzantine >= 0 || fits(sim, node)))
            return node;
    }
    return NULL;
}

/* A validator who will be voted out; or `at`. */
static uint32_t some_leaver(struct sim *sim, uint32_t at)
{
    const struct sim_change *change = &sim->changes[sim_below(sim, sim->change_count)];
    const struct sim_node *node = sim_node_of_key(sim, change->leaves);
    return node != NULL ? (uint32_t)node->slot : at;
}

static void plan_faulty(struct sim *sim)
{
    uint32_t n = sim->keyed;
    uint32_t faults = sim->faults_max;
    uint64_t byzantine = sim_below(sim, faults + 1);
    if (sim->config.persona >= 0)
        byzantine = faults;
    if (sim->config.persona == SIM_PERSONA_NONE)
        byzantine = 0;
    if (sim->config.byzantine >= 0)
        byzantine = (uint64_t)sim->config.byzantine;
    uint32_t at = (uint32_t)sim_below(sim, n);
    if (sim->change_count > 0 && sim_chance(sim, 500))
        at = some_leaver(sim, at);
    for (uint64_t i = 0; i < byzantine; i++) {
        struct sim_node *node = next_faulty(sim, at);
        if (node == NULL)
            return;
        node->persona = sim_persona_at(pick_persona(sim));
        node->faulty = true;
        if (!node->persona->twins)
            continue;
        struct sim_node *twin = &sim->nodes[sim->node_count];
        MUST(sim->node_count < SIM_NODES_MAX);
        twin->slot = (int)sim->node_count++;
        twin->validator = node->validator;
        twin->persona = node->persona;
        twin->faulty = true;
        twin->side_mask = (uint32_t)sim_random_u64(&sim->random);
        node->side_mask = ~twin->side_mask;
    }
    if (sim->config.calm)
        return;
    for (uint64_t i = byzantine; i < faults; i++) {
        struct sim_node *node = next_faulty(sim, at);
        if (node != NULL && sim_chance(sim, 350))
            plan_disk_of(sim, node);
    }
}

void sim_weather_plan(struct sim *sim)
{
    struct sim_event event = {.node = -1, .peer = -1};
    sim->weather.slow_node = -1;
    sim->weather.future_node = -1;
    if (!sim->config.calm && sim->config.seed % 8 == 5)
        sim->weather.future_node = (int)(sim->config.seed / 8 % sim->config.validators);
    sim->weather.delay_ms_max = SIM_DELTA_MS / 2;
    sim->gst_ms = GST_MS_MIN + sim_below(sim, GST_MS_MORE);
    /* Boundaries are to be crossed before it, too. */
    if (sim->config.epochs == SIM_EPOCHS_TOUR)
        sim->gst_ms += GST_MS_TOUR;
    else
        sim->gst_ms += (uint64_t)GST_MS_CHANGE * sim->change_count;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].skew_ms = (int64_t)sim_below(sim, 301) - 150;
        sim->nodes[i].drift_ppm = (int64_t)sim_below(sim, 1001) - 500;
    }
    plan_faulty(sim);
    if (!sim->config.calm) {
        plan_network(sim);
        plan_calamities(sim);
        if (sim_chance(sim, 250))
            plan_power(sim);
        event.kind = SIM_EVENT_WEATHER;
        sim_at(sim, 100 + sim_below(sim, 800), &event);
    }
    if (sim_chance(sim, 500)) { /* the first deliveries are over, and the time for their proofs */
        event.kind = SIM_EVENT_LEAP;
        event.number = sim_between(sim, 1810000, 2900000);
        sim_at(sim, sim_between(sim, sim->gst_ms * 3 / 4, sim->gst_ms + LEAP_MS_LATE), &event);
        event.number = 0;
    }
    event.kind = SIM_EVENT_HEAL;
    sim_at(sim, sim->gst_ms, &event);
}

/* --- the network's changes --------------------------------------------------------------------- */

static void split(struct sim *sim, bool one_way)
{
    uint64_t sides = sim_random_u64(&sim->random);
    for (uint32_t from = 0; from < sim->node_count; from++)
        for (uint32_t to = 0; to < sim->node_count; to++) {
            bool apart = (sides >> from & 1) != (sides >> to & 1);
            sim->blocked[from][to] = apart && (!one_way || (sides >> from & 1) != 0);
        }
}

/* Links are cut one by one; some come back, in any order. */
static void swizzle(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->node_count; i++) {
        uint64_t from = sim_below(sim, sim->node_count);
        uint64_t to = sim_below(sim, sim->node_count);
        if (sim_chance(sim, 500))
            sim->clogged[from][to] = from != to;
        else
            sim_network_unclog(sim, (int)from, (int)to);
    }
}

static void clog_one(struct sim *sim)
{
    uint64_t node = sim_below(sim, sim->node_count);
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim->clogged[node][i] = i != node;
}

void sim_weather_change(struct sim *sim)
{
    struct sim_weather *weather = &sim->weather;
    if (weather->healed)
        return;
    if (sim_chance(sim, 600))
        sim_network_open(sim);
    if (weather->splits && sim_chance(sim, 500))
        split(sim, false);
    if (weather->one_way && sim_chance(sim, 400))
        split(sim, true);
    if (weather->swizzles && sim_chance(sim, 500))
        swizzle(sim);
    if (weather->clogs && sim_chance(sim, 400))
        clog_one(sim);
    weather->isolating_leader = weather->leaders && sim_chance(sim, 500);
    weather->splitting_proofs = weather->proofs_split && sim_chance(sim, 700);
    sim_story(sim, NULL, "weather changes%s%s", weather->isolating_leader ? ", no leader" : "",
              weather->splitting_proofs ? ", proofs split" : "");
    struct sim_event event = {.kind = SIM_EVENT_WEATHER, .node = -1, .peer = -1};
    sim_at(sim, sim->now_ms + 100 + sim_below(sim, 1400), &event);
}

/* --- calamities ------------------------------------------------------------------------------------ */

/* A bit of a segment that was closed by a sync; false if there is none yet. */
static bool flip_journal(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    if (disk->count == 0 || !disk->sign_reached)
        return false;
    bool closed = disk->count > 1;
    struct sim_segment *segment = &disk->segments[closed ? sim_below(sim, disk->count - 1) : 0];
    /* Of the only segment its header, which a sync made safe before the first record. */
    size_t size = closed ? segment->size : SEGMENT_HEADER_SIZE;
    if (!closed && segment->size == SEGMENT_HEADER_SIZE)
        return false;
    size_t at = (size_t)sim_below(sim, size);
    segment->bytes[at] ^= (uint8_t)(1U << sim_below(sim, 8));
    return true;
}

static void restore_journal(struct sim *sim, struct sim_node *node, bool all)
{
    if (node->backup == NULL)
        return;
    if (node->backup->epoch != node->disk->epoch) {
        /* It holds no journal of this epoch: put back as a whole, none is left of it. */
        if (!all)
            return;
        sim_disk_free(node->backup);
        node->backup = sim_disk_new();
        node->backup->epoch = node->disk->epoch;
    }
    struct sim_disk *restored = node->backup;
    node->backup = NULL;
    if (all) {
        sim_oracle_rolled_back(sim, node);
    } else {
        const struct sign_state *known = &node->disk->sign_truth;
        const struct sign_state *old = &restored->sign_cached;
        node->follower =
            node->follower || (known->has_vote &&
                               (!old->has_vote || journal_vote_is_later(&known->vote, &old->vote)));
        restored->sign = node->disk->sign;
        restored->sign_reached = node->disk->sign_reached;
    }
    sim_disk_free(node->disk);
    node->disk = restored;
}

/* The disk said that it had written the last turns, and had not. */
static void lose_write(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    if (disk->count == 0)
        return;
    struct sim_segment *segment = &disk->segments[disk->count - 1];
    size_t lost = sim_below(sim, segment->size - SEGMENT_HEADER_SIZE + 1);
    segment->size = segment->synced = segment->size - lost;
}

/* Once its peers have seen the block; and it hears from nobody, for a while, that they have. */
static void rewind_node(struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
    if (!node->up || !sim_oracle_is_known(sim, node)) {
        sim_at(sim, sim->now_ms + REWIND_MS, event);
        return;
    }
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim->blocked[i][node->slot] = true;
    sim_node_stop(sim, node, 1 + sim_below(sim, 20));
    restore_journal(sim, node, true);
}

static void damage(struct sim *sim, struct sim_node *node, const struct sim_calamity *calamity)
{
    if (node->up)
        sim_node_stop(sim, node, 100 + sim_below(sim, 800));
    switch (calamity->kind) {
    case SIM_CALAMITY_FLIP_JOURNAL:
        node->follower = flip_journal(sim, node) || node->follower;
        break;
    case SIM_CALAMITY_DELETE_JOURNAL:
        node->follower = (node->disk->sign_reached && node->disk->count > 0) || node->follower;
        while (node->disk->count > 0)
            free(node->disk->segments[--node->disk->count].bytes);
        break;
    case SIM_CALAMITY_RESTORE_JOURNAL:
        restore_journal(sim, node, false);
        break;
    case SIM_CALAMITY_RESTORE_ALL:
        restore_journal(sim, node, true);
        break;
    case SIM_CALAMITY_LOST_WRITE:
        lose_write(sim, node);
        break;
    case SIM_CALAMITY_REWIND:
    case SIM_CALAMITY_DIFFERS:
    case SIM_CALAMITY_SYNC_FAILS:
    case SIM_CALAMITY_STORE_FULL:
    case SIM_CALAMITY_STORE_ROOM:
    case SIM_CALAMITY_CLOCK_JUMP:
    case SIM_CALAMITY_PAUSE:
    case SIM_CALAMITY_HAILSTORM:
    case SIM_CALAMITY_BACKUP:
        MUST(!"a damage of the disk");
    }
}

void sim_weather_calamity(struct sim *sim, const struct sim_event *event)
{
    static const char *const names[] = {
        [SIM_CALAMITY_FLIP_JOURNAL] = "a bit of the journal flips",
        [SIM_CALAMITY_DELETE_JOURNAL] = "the journal is deleted",
        [SIM_CALAMITY_RESTORE_JOURNAL] = "an old journal is put back",
        [SIM_CALAMITY_RESTORE_ALL] = "an old journal is put back, and sign-state with it",
        [SIM_CALAMITY_REWIND] = "is to be set back to before its proposal",
        [SIM_CALAMITY_LOST_WRITE] = "the disk loses what it had synced",
        [SIM_CALAMITY_DIFFERS] = "executes differently from now on",
        [SIM_CALAMITY_SYNC_FAILS] = "the next sync will fail",
        [SIM_CALAMITY_STORE_FULL] = "the chain database is full",
        [SIM_CALAMITY_STORE_ROOM] = "the chain database has room",
        [SIM_CALAMITY_CLOCK_JUMP] = "the wall clock jumps",
        [SIM_CALAMITY_PAUSE] = "is stopped for a while",
        [SIM_CALAMITY_HAILSTORM] = "is killed",
        [SIM_CALAMITY_BACKUP] = "the journal is copied",
    };
    const struct sim_calamity *calamity = &sim->calamities[event->number];
    struct sim_node *node = &sim->nodes[calamity->node];
    if (sim->weather.healed)
        return;
    sim_story(sim, node, "%s", names[calamity->kind]);
    switch (calamity->kind) {
    case SIM_CALAMITY_FLIP_JOURNAL:
    case SIM_CALAMITY_DELETE_JOURNAL:
    case SIM_CALAMITY_RESTORE_JOURNAL:
    case SIM_CALAMITY_RESTORE_ALL:
    case SIM_CALAMITY_LOST_WRITE:
        damage(sim, node, calamity);
        break;
    case SIM_CALAMITY_REWIND:
        rewind_node(sim, node, event);
        break;
    case SIM_CALAMITY_DIFFERS:
        node->differs = true;
        node->differs_from = node->store.tip.height + 1 + calamity->value / 4;
        break;
    case SIM_CALAMITY_SYNC_FAILS:
        node->sync_fails = true;
        break;
    case SIM_CALAMITY_STORE_FULL:
        node->store.full = true;
        break;
    case SIM_CALAMITY_STORE_ROOM:
        node->store.full = false;
        break;
    case SIM_CALAMITY_CLOCK_JUMP:
        node->jump_ms = (int64_t)calamity->value;
        break;
    case SIM_CALAMITY_PAUSE:
        node->busy_until_ms = sim->now_ms + calamity->value;
        if (node->busy_until_ms > sim->gst_ms)
            node->busy_until_ms = sim->gst_ms;
        break;
    case SIM_CALAMITY_HAILSTORM:
        if (node->up)
            sim_node_stop(sim, node, calamity->value);
        break;
    case SIM_CALAMITY_BACKUP:
        sim_disk_free(node->backup);
        node->backup = sim_disk_copy(node->disk);
        break;
    }
}

void sim_weather_power(struct sim *sim, uint64_t number)
{
    if (sim->weather.healed)
        return;
    if (number == 1) {
        sim->weather.isolated = true;
        return;
    }
    sim_story(sim, NULL, "power cut everywhere");
    sim->weather.isolated = false;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->gone = node->gone || node->doomed;
        node->faulty = node->faulty || node->doomed;
        if (node->up && sim_node_is_honest(node))
            sim_node_stop(sim, node, 20 + sim_below(sim, 1000));
    }
}

void sim_weather_heal(struct sim *sim)
{
    sim_story(sim, NULL, "everything heals");
    sim_network_open(sim);
    sim->weather.healed = true;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->store.full = false;
        node->sync_fails = false;
        node->jump_ms = 0;
        if (node->gone || (node->up && !sim_chance(sim, 500)))
            continue;
        /* A link that came back, or a node. */
        struct sim_event event = {.kind = SIM_EVENT_START, .node = node->slot, .peer = -1};
        if (!node->up)
            sim_at(sim, sim->now_ms + sim_below(sim, 500), &event);
        for (uint32_t peer = 0; node->up && peer < sim->node_count; peer++)
            if (peer != i && sim->nodes[peer].up)
                sim_node_at(sim, node, SIM_EVENT_PEER_UP, 1 + sim_below(sim, 100), peer);
    }
    sim->goal = sim->final_count + SIM_GOAL;
    sim_upgrade_heals(sim);
}
