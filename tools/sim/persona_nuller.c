/* Nullifies every view, also those that it votes to finalize (scenario 39, 41). */
#include "base/fatal.h"
#include "tools/sim/persona.h"

static bool nullify_too(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    struct vote vote;
    static const struct hash no_block;
    if (sim_send_type(send) == MESSAGE_VOTE) {
        MUST(message_decode_vote(&vote,
                                 bytes_view_of(send->frame->bytes + 1, send->frame->size - 1)));
        sim_persona_send_vote(sim, node, VOTE_NULLIFY, vote.view, &no_block, 1000);
    } else if (sim_send_type(send) == MESSAGE_PROPOSAL) {
        sim_persona_send_vote(sim, node, VOTE_NULLIFY, node->core->view, &no_block, 1000);
    }
    return false;
}

const struct sim_persona sim_persona_nuller = {
    .name = "nuller", .text = "nullifies every view, whatever else it votes", .send = nullify_too};
