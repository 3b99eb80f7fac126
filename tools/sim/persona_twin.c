/* Two hosts run the same key (scenarios 25, 47): each is an honest core of its own, each talks with a
 * part of the others, and the parts change; in a campaign the rounds say who hears whom (campaign.c). */
#include "tools/sim/persona.h"

static bool is_mine(const struct sim_node *node, const struct sim_node *peer)
{
    return (node->side_mask >> (peer->slot & 31) & 1) != 0;
}

static bool to_my_side(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *peer = &sim->nodes[i];
        bool meant = send->to == BFT_PEER_ALL || (send->to >= 0 && peer->validator == send->to) ||
                     (send->to == BFT_PEER_NONE && (int)i == send->reply_to);
        if (meant && peer->validator != node->validator && is_mine(node, peer))
            sim_network_send(sim, node->slot, (int)i, send->frame, 0);
    }
    return true;
}

static bool from_my_side(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame)
{
    (void)frame;
    return !is_mine(node, &sim->nodes[from]);
}

static void change_sides(struct sim *sim, struct sim_node *node)
{
    if (!sim_campaign_is_on(sim) && sim_chance(sim, 200))
        node->side_mask = (uint32_t)sim_random_u64(&sim->random);
}

static void trust(struct sim *sim, struct sim_node *node)
{
    (void)sim;
    node->core->trusted = true;
    node->core->refusal = NULL;
}

const struct sim_persona sim_persona_twin = {.name = "twin",
                                             .text = "two hosts run the same key",
                                             .twins = true,
                                             .send = to_my_side,
                                             .hear = from_my_side,
                                             .act = change_sides,
                                             .restarted = trust};
