/* A leader that shows its block to as few as can notarize it, and to nobody else; it answers no
 * question about blocks (scenario 42). The others must fetch it from those few. */
#include "tools/sim/persona.h"

static bool withhold(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    if (sim_send_type(send) != MESSAGE_PROPOSAL)
        return false;
    uint32_t enough = validator_set_quorum(&sim->set) - 1; /* and its own vote */
    uint32_t from = (uint32_t)sim_below(sim, sim->config.validators);
    for (uint32_t i = 0; i < sim->config.validators && enough > 0; i++) {
        uint32_t to = (from + i) % sim->config.validators;
        if (sim->nodes[to].validator == node->validator)
            continue;
        sim_network_send(sim, node->slot, (int)to, send->frame, 0);
        enough--;
    }
    return true;
}

static bool be_deaf(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame)
{
    (void)sim;
    (void)node;
    (void)from;
    return frame.size > 0 &&
           (frame.data[0] == MESSAGE_GET_BLOCK || frame.data[0] == MESSAGE_GET_RANGE);
}

const struct sim_persona sim_persona_withholder = {
    .name = "withholder",
    .text = "shows its block to a bare quorum, answers nobody",
    .send = withhold,
    .hear = be_deaf};
