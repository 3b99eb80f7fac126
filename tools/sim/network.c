/* Frames under way. A link may be blocked (frames vanish), clogged (they wait, then come all at
 * once), narrow (they queue), lossy, slow; all of that ends at GST, after which every frame arrives
 * within the D that the cores assume. Frames overtake each other at any time, which TCP would not
 * do to us: a harsher world.
 *
 * Deliberately absent: connections. A restart, and the end of a split by chance, is told to both
 * sides as a link that came up. */
#include <stdlib.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

bool sim_is_calm(const struct sim *sim)
{
    return sim->now_ms >= sim->gst_ms;
}

static void deliver_at(struct sim *sim, int from, int to, struct sim_frame *frame, uint64_t at_ms)
{
    struct sim_event event = {.kind = SIM_EVENT_FRAME, .node = to, .peer = from, .frame = frame};
    frame->references++;
    sim_at(sim, at_ms, &event);
}

/* The highest view that an honest node is in leads whom? */
static int leader_now(const struct sim *sim)
{
    uint64_t view = 0, epoch = 0;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (!node->up || !sim_node_is_honest(node) || node->epoch < epoch)
            continue;
        if (node->epoch > epoch || node->core->view > view)
            view = node->core->view;
        epoch = node->epoch;
    }
    return sim_key_at(sim, epoch, validator_set_leader(&sim->epochs[epoch].set, epoch, view));
}

/* Scenario 12: notarizations reach one half only, nullifications the other. */
static bool proof_goes_astray(const struct sim *sim, int to, const struct sim_frame *frame)
{
    if (!sim->weather.splitting_proofs || frame->size < 2 || frame->bytes[0] != MESSAGE_CERTIFICATE)
        return false;
    bool nullification = frame->bytes[1] == VOTE_NULLIFY;
    return nullification == (to % 2 == 0);
}

/* Blocks are notarized, one on the other, and none is known to be final: what ends an epoch is proven
 * final by descendants then, if at all. */
static bool is_of_finality(const struct sim_frame *frame)
{
    return frame->size >= 2 && frame->bytes[1] == VOTE_FINALIZE &&
           (frame->bytes[0] == MESSAGE_VOTE || frame->bytes[0] == MESSAGE_CERTIFICATE);
}

/* Scenario 13: one node hears of views above its own only, never how the others got there. */
static bool is_of_the_past(const struct sim *sim, int to, const struct sim_frame *frame)
{
    static struct message_proposal proposal;
    static struct certificate certificate;
    struct vote vote;
    const struct sim_node *node = &sim->nodes[to];
    if (to != sim->weather.future_node || !node->up || frame->size == 0)
        return false;
    struct bytes_view payload = bytes_view_of(frame->bytes + 1, frame->size - 1);
    if (frame->bytes[0] == MESSAGE_VOTE && message_decode_vote(&vote, payload))
        return vote.view <= node->core->view;
    if (frame->bytes[0] == MESSAGE_CERTIFICATE && message_decode_certificate(&certificate, payload))
        return certificate.view <= node->core->view;
    return frame->bytes[0] == MESSAGE_PROPOSAL && message_decode_proposal(&proposal, payload) &&
           proposal.header.view <= node->core->view;
}

static bool is_lost(struct sim *sim, int from, int to, const struct sim_frame *frame)
{
    const struct sim_weather *weather = &sim->weather;
    uint8_t type = frame->size > 0 ? frame->bytes[0] : 0;
    if (weather->isolated || sim->blocked[from][to] || proof_goes_astray(sim, to, frame) ||
        is_of_the_past(sim, to, frame) || sim_campaign_cuts(sim, from, to, frame))
        return true;
    if (weather->isolating_leader) {
        int leader = leader_now(sim);
        if (sim->nodes[from].validator == leader || sim->nodes[to].validator == leader)
            return true;
    }
    if (weather->finalize_loss > 0 && is_of_finality(frame) &&
        sim_chance(sim, weather->finalize_loss))
        return true;
    if (type <= MESSAGE_TRANSACTIONS && weather->kind_loss[type] > 0 &&
        sim_chance(sim, weather->kind_loss[type]))
        return true;
    return weather->loss_permille > 0 && sim_chance(sim, weather->loss_permille);
}

static uint64_t stormy_delay(struct sim *sim, int from, int to, const struct sim_frame *frame)
{
    const struct sim_weather *weather = &sim->weather;
    uint64_t delay = sim_between(sim, 1, weather->delay_ms_max);
    if (weather->tail_permille > 0 && sim_chance(sim, weather->tail_permille))
        delay += sim_below(sim, 1500);
    if (from == weather->slow_node || to == weather->slow_node)
        delay += 400 + sim_below(sim, 400);
    if (weather->bytes_per_ms > 0) {
        uint64_t *free_ms = &sim->link_free_ms[from][to];
        uint64_t start = *free_ms > sim->now_ms ? *free_ms : sim->now_ms;
        *free_ms = start + 1 + frame->size / weather->bytes_per_ms;
        delay += *free_ms - sim->now_ms;
    }
    return delay;
}

void sim_network_send(struct sim *sim, int from, int to, struct sim_frame *frame, uint64_t extra_ms)
{
    enum { LINK_BACKLOG_MS_MAX = 4000 };
    MUST(from != to);
    if (sim->weather.healed) {
        deliver_at(sim, from, to, frame,
                   sim->now_ms + extra_ms + sim_between(sim, 1, SIM_DELTA_MS / 2));
        return;
    }
    if (is_lost(sim, from, to, frame))
        return;
    if (sim->clogged[from][to]) {
        uint32_t *count = &sim->clog_count[from][to];
        if (*count < SIM_CLOG_MAX) {
            frame->references++;
            sim->clog[from][to][(*count)++] = frame;
        }
        return;
    }
    uint64_t delay = extra_ms + stormy_delay(sim, from, to, frame);
    if (delay > LINK_BACKLOG_MS_MAX)
        return; /* a bounded queue of a narrow link is full */
    deliver_at(sim, from, to, frame, sim->now_ms + delay);
    if (sim_chance(sim, sim->weather.duplicate_permille)) {
        uint64_t again = sim->weather.late_duplicates ? sim_below(sim, 20000) : sim_below(sim, 500);
        deliver_at(sim, from, to, frame, sim->now_ms + delay + again);
    }
}

void sim_network_unclog(struct sim *sim, int from, int to)
{
    sim->clogged[from][to] = false;
    for (uint32_t i = 0; i < sim->clog_count[from][to]; i++) {
        struct sim_frame *frame = sim->clog[from][to][i];
        deliver_at(sim, from, to, frame, sim->now_ms + 1);
        sim_frame_release(frame);
    }
    sim->clog_count[from][to] = 0;
}

void sim_network_open(struct sim *sim)
{
    for (uint32_t from = 0; from < sim->node_count; from++) {
        for (uint32_t to = 0; to < sim->node_count; to++) {
            sim->blocked[from][to] = false;
            sim_network_unclog(sim, (int)from, (int)to);
        }
    }
    sim->weather.isolating_leader = false;
    sim->weather.splitting_proofs = false;
    sim->weather.isolated = false;
}

void sim_network_free(struct sim *sim)
{
    for (uint32_t from = 0; from < sim->node_count; from++)
        for (uint32_t to = 0; to < sim->node_count; to++)
            for (uint32_t i = 0; i < sim->clog_count[from][to]; i++)
                sim_frame_release(sim->clog[from][to][i]);
}
