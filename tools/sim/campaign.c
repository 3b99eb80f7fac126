/* One scenario of the twins campaign in a cluster (twins.h): who is twinned, and which frames a round
 * lets through.
 *
 * A round is a view. A proposal, a vote or a certificate belongs to the round of its own view, anything
 * else to that of its sender's, and reaches only hosts of the sender's side. A host that has been in
 * one view for long is heard by all until it leaves it: else a round in which neither side has a
 * quorum would be the last one. When every host has left the last round, or time is up, everything
 * heals, and the oracles demand progress as after any fault.
 *
 * Deliberately absent: all other faults. The seed picks delays and clocks, and they differ from
 * scenario to scenario. */
#include "base/fatal.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

enum { PATIENCE_MS = 2500, ROUND_MS_MAX = 4000, WARM_UP_MS = 2000 };

bool sim_campaign_is_on(const struct sim *sim)
{
    return sim->config.twins_rounds > 0;
}

static void place(struct sim *sim, const struct sim_twins_scenario *scenario)
{
    for (uint32_t i = 0; i < sim->config.validators; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->sides = scenario->sides[i];
        if (!scenario->is_twinned[i])
            continue;
        struct sim_node *twin = &sim->nodes[sim->node_count];
        node->persona = twin->persona = &sim_persona_twin;
        node->faulty = twin->faulty = true;
        node->side_mask = twin->side_mask = UINT32_MAX;
        twin->slot = (int)sim->node_count;
        twin->validator = node->validator;
        twin->sides = scenario->sides[sim->node_count++];
    }
}

void sim_campaign_plan(struct sim *sim)
{
    const struct sim_config *config = &sim->config;
    struct sim_event event = {.kind = SIM_EVENT_HEAL, .node = -1, .peer = -1};
    struct sim_twins_scenario scenario;
    struct sim_twins twins = {.validators = config->validators,
                              .twinned = (uint32_t)config->byzantine,
                              .rounds = config->twins_rounds};
    sim_twins_scenario(&twins, config->twins_index, &scenario);
    place(sim, &scenario);
    sim->weather.slow_node = -1;
    sim->weather.future_node = -1;
    sim->weather.delay_ms_max = SIM_DELTA_MS / 2;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].skew_ms = (int64_t)sim_below(sim, 301) - 150;
        sim->nodes[i].drift_ppm = (int64_t)sim_below(sim, 1001) - 500;
    }
    sim->gst_ms = WARM_UP_MS + (uint64_t)config->twins_rounds * ROUND_MS_MAX;
    sim_at(sim, sim->gst_ms, &event);
}

static uint64_t round_view(const struct sim_node *from, const struct sim_frame *frame)
{
    static struct message_proposal proposal;
    static struct certificate certificate;
    struct vote vote;
    if (frame->size > 0) {
        struct bytes_view payload = bytes_view_of(frame->bytes + 1, frame->size - 1);
        if (frame->bytes[0] == MESSAGE_VOTE && message_decode_vote(&vote, payload))
            return vote.view;
        if (frame->bytes[0] == MESSAGE_CERTIFICATE &&
            message_decode_certificate(&certificate, payload))
            return certificate.view;
        if (frame->bytes[0] == MESSAGE_PROPOSAL && message_decode_proposal(&proposal, payload))
            return proposal.header.view;
    }
    return from->core->view;
}

bool sim_campaign_cuts(struct sim *sim, int from, int to, const struct sim_frame *frame)
{
    struct sim_node *sender = &sim->nodes[from];
    uint8_t apart = sender->sides ^ sim->nodes[to].sides;
    if (!sim_campaign_is_on(sim) || apart == 0)
        return false;
    if (sender->seen_view != sender->core->view) {
        sender->seen_view = sender->core->view;
        sender->seen_view_ms = sim->now_ms;
    }
    uint64_t view = round_view(sender, frame);
    if (sim->now_ms - sender->seen_view_ms > PATIENCE_MS || view < SIM_TWINS_FIRST_VIEW ||
        view >= SIM_TWINS_FIRST_VIEW + sim->config.twins_rounds)
        return false;
    return (apart >> (view - SIM_TWINS_FIRST_VIEW) & 1) != 0;
}

void sim_campaign_watch(struct sim *sim)
{
    if (!sim_campaign_is_on(sim) || sim->weather.healed)
        return;
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (!sim->nodes[i].up ||
            sim->nodes[i].core->view < SIM_TWINS_FIRST_VIEW + sim->config.twins_rounds)
            return;
    sim->gst_ms = sim->now_ms;
    sim_weather_heal(sim);
}
