/* A leader whose blocks stand on the wrong parent (scenarios 43, 44): a view skipped that nobody
 * nullified, a parent below the final one, a parent view that is not below its own, views at the end
 * of the numbers; or the block of the next view stands beside the one that is being voted on, before
 * its time. What its parent's state must be is worked out right wherever that can be. */
#include <string.h>

#include "tools/sim/persona.h"

/* Any final block as the parent, as if all views since had been nullified. */
static bool stand_on_old(struct sim *sim, struct sim_node *node, struct message_proposal *proposal)
{
    uint64_t back = sim_below(sim, 4);
    uint64_t tip = node->store.tip.height;
    uint64_t height = tip > back ? tip - back : 0;
    const struct sim_final *parent = &sim->finals[height];
    proposal->header.parent_view = parent->header.view;
    proposal->header.parent_id = parent->id;
    proposal->header.height = height + 1;
    return height == tip && sim_persona_rebuild(sim, node, proposal, false, 1);
}

/* A block that could have been the parent one or more views ago: valid in all but that the views since
 * then were never nullified. What an unwary validator would build a fork on. */
static bool skip_views(struct sim *sim, struct sim_node *node, struct message_proposal *proposal)
{
    const struct bft *core = node->core;
    uint64_t view = proposal->header.parent_view;
    uint64_t back = 1 + sim_below(sim, 2);
    while (view > core->final_view && back > 0) {
        const struct bft_slot *slot = bft_slot_find(core, --view);
        bool certified = view > core->final_view && slot != NULL && slot->certified;
        if (certified)
            proposal->header.parent_id = slot->certificates[VOTE_NOTARIZE].block_id;
        else if (view == core->final_view)
            proposal->header.parent_id = core->final_id;
        back -= certified || view == core->final_view;
    }
    proposal->header.parent_view = view;
    return sim_persona_rebuild(sim, node, proposal, false, 1);
}

/* The block of a view has come: before the others can finish with it they get one for the next view
 * that stands beside it, on the same parent, and a finalizing vote for that. Who does not ask for the
 * nullification in between notarizes both, and whichever reaches more validators first is final. */
static bool stand_beside(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame)
{
    static struct message_proposal proposal;
    (void)from;
    if (frame.size == 0 || frame.data[0] != MESSAGE_PROPOSAL ||
        !message_decode_proposal(&proposal, bytes_view_of(frame.data + 1, frame.size - 1)))
        return false;
    uint64_t view = proposal.header.view + 1;
    uint64_t epoch = node->epoch;
    uint32_t leader = validator_set_leader(&sim->epochs[epoch].set, epoch, view);
    bool mine = proposal.header.epoch == epoch && sim_key_at(sim, epoch, leader) == node->validator;
    if (!mine || view <= node->ahead_view || view <= node->core->view || sim_chance(sim, 300))
        return false;
    proposal.header.view = view;
    if (!sim_persona_rebuild(sim, node, &proposal, false, 1))
        return false;
    node->ahead_view = view;
    sim_persona_scatter(sim, node, sim_persona_encode(sim, &proposal), 1000);
    sim_persona_send_vote(sim, node, VOTE_FINALIZE, view, &proposal.vote.block_id, 1000);
    return false;
}

/* It keeps its finalizing vote for the block that the other one is to replace. */
static bool is_against_its_plan(const struct sim_node *node, const struct sim_send *send)
{
    struct vote vote;
    struct bytes_view payload = bytes_view_of(send->frame->bytes + 1, send->frame->size - 1);
    return sim_send_type(send) == MESSAGE_VOTE && message_decode_vote(&vote, payload) &&
           (vote.view == node->ahead_view ||
            (vote.kind == VOTE_FINALIZE && vote.view + 1 == node->ahead_view));
}

static bool misplace(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    static struct message_proposal proposal;
    if (!sim_persona_proposal(send, &proposal))
        return is_against_its_plan(node, send);
    struct block_header *header = &proposal.header;
    if (header->view == node->ahead_view)
        return true;
    switch (sim_below(sim, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        (void)skip_views(sim, node, &proposal);
        break;
    case 4:
        (void)stand_on_old(sim, node, &proposal);
        break;
    case 5:
        header->parent_view = header->view + sim_below(sim, 2);
        break;
    case 6:
        header->parent_view = UINT64_MAX;
        break;
    default:
        header->view = UINT64_MAX - sim_below(sim, 2) * (uint64_t)sim->set.count;
        break;
    }
    proposal.has_parent_certificate = sim_chance(sim, 500) && proposal.has_parent_certificate;
    proposal.nullification_count = 0;
    sim_persona_resign(sim, node, &proposal);
    sim_persona_scatter(sim, node, sim_persona_encode(sim, &proposal), 800);
    return true;
}

const struct sim_persona sim_persona_ancestry = {.name = "bad-ancestry",
                                                 .text = "as a leader builds on the wrong parents",
                                                 .send = misplace,
                                                 .hear = stand_beside};
