/* Says everything a view late ("outdated", scenario 41): its votes, proposals and proofs arrive when
 * the others have moved on. */
#include "tools/sim/persona.h"

static bool delay(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    uint64_t late = 150 + sim_below(sim, 400);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *peer = &sim->nodes[i];
        bool meant = send->to == BFT_PEER_ALL || (send->to >= 0 && peer->validator == send->to) ||
                     (send->to == BFT_PEER_NONE && (int)i == send->reply_to);
        if (meant && peer->validator != node->validator)
            sim_network_send(sim, node->slot, (int)i, send->frame, late);
    }
    return true;
}

const struct sim_persona sim_persona_latecomer = {
    .name = "latecomer", .text = "says everything a view late", .send = delay};
