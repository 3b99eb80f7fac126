/* Votes for anything: N twice, U and F of one view, F without N, votes for blocks that do not exist,
 * each to a part of the others only (scenarios 39, 40). */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"

static bool scramble(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    struct vote vote;
    struct hash other;
    static const struct hash no_block;
    if (sim_send_type(send) != MESSAGE_VOTE)
        return false;
    MUST(message_decode_vote(&vote, bytes_view_of(send->frame->bytes + 1, send->frame->size - 1)));
    uint64_t salt = sim_random_u64(&sim->random);
    hash_bytes(&other, HASH_DOMAIN_BLOCK_ID, &salt, sizeof salt);
    sim_persona_scatter(sim, node, bytes_view_of(send->frame->bytes, send->frame->size), 600);
    if (sim_chance(sim, 500))
        sim_persona_send_vote(sim, node, VOTE_NOTARIZE, vote.view, &other, 500);
    if (sim_chance(sim, 500))
        sim_persona_send_vote(sim, node, VOTE_NULLIFY, vote.view, &no_block, 500);
    if (sim_chance(sim, 500))
        sim_persona_send_vote(sim, node, VOTE_FINALIZE, vote.view,
                              vote.kind == VOTE_NULLIFY ? &other : &vote.block_id, 500);
    return true;
}

/* F and N for what the others have, in views near its own. */
static void act(struct sim *sim, struct sim_node *node)
{
    uint64_t view = node->core->view;
    struct bft_slot *slot = bft_slot_find(node->core, view);
    if (slot == NULL || !slot->has_proposal)
        return;
    sim_persona_send_vote(sim, node, (uint8_t)sim_below(sim, VOTE_KIND_COUNT), view,
                          &slot->proposal_id, 600);
}

const struct sim_persona sim_persona_equivocator = {.name = "equivocator",
                                                    .text = "votes for everything and against it",
                                                    .send = scramble,
                                                    .act = act};
