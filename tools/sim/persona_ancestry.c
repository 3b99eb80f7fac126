/* A leader whose blocks stand on the wrong parent (scenarios 43, 44): a view skipped that nobody
 * nullified, a parent below the final one, a parent view that is not below its own, views at the end
 * of the numbers. What its parent's state must be is worked out right wherever that can be. */
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

static bool misplace(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    static struct message_proposal proposal;
    if (!sim_persona_proposal(send, &proposal))
        return false;
    struct block_header *header = &proposal.header;
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

const struct sim_persona sim_persona_ancestry = {
    .name = "bad-ancestry", .text = "as a leader builds on the wrong parents", .send = misplace};
