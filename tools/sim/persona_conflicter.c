/* A leader that shows different blocks to different validators (scenarios 37, 38, 40). Three variants,
 * by view: two valid blocks of other times; one with and one without transactions; a block, then its
 * own U. It votes for both. */
#include <string.h>

#include "tools/sim/persona.h"

static void vote_for_both(struct sim *sim, struct sim_node *node, uint64_t view,
                          const struct hash *first, const struct hash *second)
{
    sim_persona_send_vote(sim, node, VOTE_NOTARIZE, view, first, 500);
    sim_persona_send_vote(sim, node, VOTE_NOTARIZE, view, second, 500);
}

static bool divide(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    static struct message_proposal proposal;
    static const struct hash no_block;
    if (!sim_persona_proposal(send, &proposal))
        return false;
    struct hash first = proposal.vote.block_id;
    uint64_t view = proposal.header.view;
    uint64_t variant = sim_below(sim, 3);
    if (variant == 2) {
        sim_persona_send_vote(sim, node, VOTE_NULLIFY, view, &no_block, 600);
        return false;
    }
    if (!sim_persona_rebuild(sim, node, &proposal, variant == 1, 1))
        return false;
    struct sim_frame *other = sim_frame_new(sim_persona_encode(sim, &proposal));
    uint64_t sides = sim_random_u64(&sim->random);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].validator == node->validator)
            continue;
        sim_network_send(sim, node->slot, (int)i, (sides >> i & 1) != 0 ? other : send->frame, 0);
        if (sim_chance(sim, 150)) /* some see both */
            sim_network_send(sim, node->slot, (int)i, (sides >> i & 1) != 0 ? send->frame : other,
                             5);
    }
    sim_frame_release(other);
    vote_for_both(sim, node, view, &first, &proposal.vote.block_id);
    return true;
}

const struct sim_persona sim_persona_conflicter = {
    .name = "conflicter", .text = "as a leader shows different blocks to halves", .send = divide};
