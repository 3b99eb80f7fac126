/* Double voters that act as one: whoever of them leads shows one block to one half of the others and
 * a second block to the other half, and both halves get N and F of every colluder for theirs. Each
 * half alone holds q votes as soon as colluders outnumber f, which is how a run shows that the safety
 * oracles see the chain break when more than f lie (--byzantine). */
#include "tools/sim/persona.h"

static void send_to_half(struct sim *sim, struct sim_node *node, struct bytes_view frame, int half)
{
    struct sim_frame *shared = sim_frame_new(frame);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim_node_is_honest(&sim->nodes[i]) && (int)(i & 1) == half)
            sim_network_send(sim, node->slot, (int)i, shared, 0);
    sim_frame_release(shared);
}

static void vote_as(struct sim *sim, struct sim_node *node, uint8_t kind, uint64_t view,
                    const struct hash *id, int half)
{
    struct vote vote;
    uint8_t bytes[512];
    struct byte_writer writer;
    sim_persona_vote(sim, node, &vote, kind, view, id);
    byte_writer_init(&writer, bytes, sizeof bytes);
    message_encode_vote(&writer, &vote);
    send_to_half(sim, node, bytes_view_of(bytes, writer.size), half);
}

/* All who are in it vote, each over its own links, for only a vote's signer may hand it in. */
static void vote_as_one(struct sim *sim, uint64_t view, const struct hash *id, int half)
{
    for (uint32_t i = 0; i < sim->config.validators; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node->persona != &sim_persona_colluder || !node->up)
            continue;
        vote_as(sim, node, VOTE_NOTARIZE, view, id, half);
        vote_as(sim, node, VOTE_FINALIZE, view, id, half);
    }
}

static bool divide(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    static struct message_proposal proposal;
    if (!sim_persona_proposal(send, &proposal))
        return false;
    struct hash first = proposal.vote.block_id;
    if (!sim_persona_rebuild(sim, node, &proposal, false, 1))
        return false;
    struct bytes_view other = sim_persona_encode(sim, &proposal);
    send_to_half(sim, node, bytes_view_of(send->frame->bytes, send->frame->size), 0);
    send_to_half(sim, node, other, 1);
    vote_as_one(sim, proposal.header.view, &first, 0);
    vote_as_one(sim, proposal.header.view, &proposal.vote.block_id, 1);
    return true;
}

const struct sim_persona sim_persona_colluder = {
    .name = "colluder",
    .text = "as a leader shows two blocks to two halves, and votes for both with all its like",
    .send = divide};
