/* Chain driver: which headers are known, in what order they are executed, which notarized blocks
 * are certified, and the heights that are decided, one after another (consensus.md R5, R9, 8).
 *
 * Invariants
 *   1. A block is executed only on its parent's state, and only once the parent has been found
 * valid or is the last decided block.
 *   2. Heights are decided in order, each on the block decided before it.
 *   3. A header is believed to be final only if hashes lead to it from a verified finalization.
 * Absent on purpose: bodies (the shell's), and any vote (view.c). */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

bool chain_header_is_ours(const struct bft *core, const struct block_header *header)
{
    return header->version == BLOCK_HEADER_VERSION && header->epoch == core->config.epoch &&
           hash_equal(&header->genesis, &core->config.genesis) && header->view > 0 &&
           header->view < BFT_VIEW_MAX && header->parent_view < header->view && header->height > 0;
}

struct bft_block *bft_chain_find(const struct bft *core, uint64_t view, const struct hash *id)
{
    struct bft_slot *slot = bft_slot_find(core, view);
    for (int i = 0; slot != NULL && i < BFT_BLOCKS_PER_VIEW; i++)
        if (slot->blocks[i].known && hash_equal(&slot->blocks[i].id, id))
            return &slot->blocks[i];
    return NULL;
}

/* [C-BODIES] Room is made by dropping a block that is neither notarized nor voted for. */
static bool chain_is_needed(const struct bft_slot *slot, const struct bft_block *block)
{
    if (slot->pinned && hash_equal(&slot->pinned_id, &block->id))
        return true;
    return slot->own[VOTE_NOTARIZE] != BFT_OWN_NONE &&
           hash_equal(&slot->own_ballot[VOTE_NOTARIZE].block_id, &block->id);
}

struct bft_block *chain_store(struct bft *core, const struct block_header *header,
                              const struct hash *id)
{
    struct bft_slot *slot = bft_slot_claim(core, header->view);
    if (slot == NULL)
        return NULL;
    struct bft_block *room = NULL;
    for (int i = 0; i < BFT_BLOCKS_PER_VIEW; i++) {
        struct bft_block *block = &slot->blocks[i];
        if (block->known && hash_equal(&block->id, id))
            return block;
        if (room == NULL && !block->known)
            room = block;
    }
    bool wanted = slot->pinned && hash_equal(&slot->pinned_id, id);
    for (int i = 0; room == NULL && wanted && i < BFT_BLOCKS_PER_VIEW; i++)
        if (!chain_is_needed(slot, &slot->blocks[i]))
            room = &slot->blocks[i];
    if (room == NULL)
        return NULL;
    *room = (struct bft_block){.known = true, .id = *id, .header = *header};
    core->dirty = true;
    return room;
}

/* [C-LINK] What a header must have in common with its parent, whatever else it says. */
static bool chain_links(const struct block_header *header, uint64_t parent_view,
                        uint64_t parent_height, struct timestamp parent_time)
{
    return header->parent_view == parent_view && header->height == parent_height + 1 &&
           timestamp_compare(header->time, parent_time) > 0;
}

static bool chain_parent_is_decided(const struct bft *core, const struct block_header *header)
{
    return hash_equal(&header->parent_id, &core->decided_id);
}

static bool chain_is_asked(const struct bft *core, uint64_t view, const struct hash *id)
{
    for (int i = 0; i < BFT_EXECUTIONS; i++)
        if (core->asked[i].in_use && core->asked[i].view == view &&
            hash_equal(&core->asked[i].id, id))
            return true;
    return false;
}

static void chain_ask_execute(struct bft *core, struct bft_block *block)
{
    if (chain_is_asked(core, block->header.view, &block->id)) {
        block->execution = BFT_EXECUTION_ASKED; /* dropped and stored again meanwhile */
        return;
    }
    for (int i = 0; i < BFT_EXECUTIONS; i++) {
        struct bft_asked *asked = &core->asked[i];
        if (asked->in_use)
            continue;
        *asked = (struct bft_asked){.in_use = true, .view = block->header.view, .id = block->id};
        block->execution = BFT_EXECUTION_ASKED;
        struct bft_effect *effect = bft_emit(core, BFT_EXECUTE, BFT_PEER_NONE);
        effect->block_id = block->id;
        effect->view = block->header.view;
        effect->header = block->header;
        return;
    }
}

enum chain_state bft_chain_execute(struct bft *core, uint64_t view, const struct hash *id)
{
    /* [C-EXECUTE.ORDER] Walks towards the decided tip to the first block whose parent is ready. */
    for (uint32_t steps = 0; steps < LIMIT_VIEW_WINDOW; steps++) {
        struct bft_block *block = bft_chain_find(core, view, id);
        if (block == NULL) {
            struct bft_slot *slot = bft_slot_find(core, view);
            uint32_t holders = slot == NULL ? 0 : slot->seen[VOTE_NOTARIZE];
            if (slot != NULL && slot->certificates[VOTE_NOTARIZE].held)
                holders = slot->certificates[VOTE_NOTARIZE].signers;
            fetch_block(core, id, holders);
            return CHAIN_WAIT;
        }
        if (block->execution == BFT_EXECUTION_VALID)
            return steps == 0 ? CHAIN_READY : CHAIN_WAIT;
        if (block->execution == BFT_EXECUTION_INVALID)
            return CHAIN_BAD;
        /* [C-EXECUTE.LACKS] No verdict is not a bad one: no vote for it, and no alarm over it. */
        if (block->execution == BFT_EXECUTION_ASKED || block->execution == BFT_EXECUTION_LACKING)
            return CHAIN_WAIT;
        const struct block_header *header = &block->header;
        if (chain_parent_is_decided(core, header)) {
            if (!chain_links(header, core->decided_view, core->decided_height, core->decided_time))
                block->execution = BFT_EXECUTION_INVALID; /* [C-LINK] */
            else
                chain_ask_execute(core, block);
            return block->execution == BFT_EXECUTION_INVALID ? CHAIN_BAD : CHAIN_WAIT;
        }
        if (header->parent_view <= core->decided_view)
            return CHAIN_WAIT; /* beside the decided chain: a finalization settles it */
        struct bft_block *parent = bft_chain_find(core, header->parent_view, &header->parent_id);
        if (parent != NULL && parent->execution == BFT_EXECUTION_VALID) {
            if (!chain_links(header, parent->header.view, parent->header.height,
                             parent->header.time))
                block->execution = BFT_EXECUTION_INVALID; /* [C-LINK] */
            else
                chain_ask_execute(core, block);
            return block->execution == BFT_EXECUTION_INVALID ? CHAIN_BAD : CHAIN_WAIT;
        }
        struct bft_slot *own = bft_slot_find(core, view);
        struct bft_slot *above = bft_slot_claim(core, header->parent_view);
        if (own != NULL && own->pinned && hash_equal(&own->pinned_id, &block->id) && above != NULL)
            tally_pin(core, above, &header->parent_id); /* ancestors of notarized blocks are */
        view = header->parent_view;
        id = &header->parent_id;
    }
    return CHAIN_WAIT;
}

bool chain_height(const struct bft *core, uint64_t view, const struct hash *id, uint64_t *height)
{
    if (view == core->decided_view && hash_equal(id, &core->decided_id)) {
        *height = core->decided_height;
        return true;
    }
    const struct bft_block *block = bft_chain_find(core, view, id);
    if (block == NULL || block->execution != BFT_EXECUTION_VALID)
        return false;
    *height = block->header.height;
    return true;
}

static void chain_certified(struct bft *core, struct bft_slot *slot, struct bft_block *block)
{
    slot->certified = true;
    core->dirty = true;
    if (core->self >= 0) {
        if (!block->journaled)
            bft_emit(core, BFT_PERSIST_BLOCK, BFT_PEER_NONE)->header = block->header;
        block->journaled = true;
        struct bft_effect *effect = bft_emit(core, BFT_PERSIST_CERTIFIED, BFT_PEER_NONE);
        effect->view = slot->view;
        effect->block_id = block->id;
    }
    view_enter(core, slot->view + 1); /* [C-ENTER] */
}

/* [C-CERTIFY] Every notarized view above the last finalization, whatever else happened in it. */
void chain_certify(struct bft *core)
{
    for (uint64_t view = core->final_view + 1; view <= core->view + 1; view++) {
        struct bft_slot *slot = bft_slot_find(core, view);
        if (slot == NULL || slot->certified || !slot->certificates[VOTE_NOTARIZE].held)
            continue;
        if (!bft_has_room(core)) {
            core->more = true;
            return;
        }
        const struct hash *id = &slot->certificates[VOTE_NOTARIZE].block_id;
        switch (bft_chain_execute(core, view, id)) {
        case CHAIN_READY:
            chain_certified(core, slot, bft_chain_find(core, view, id));
            break;
        case CHAIN_WAIT:
            break;
        case CHAIN_BAD: /* [C-CERTIFY.CONTRADICTION] */
            bft_alarm(core, "a notarized block is invalid here: this node's execution or state "
                            "differs from its peers'");
            break;
        }
    }
}

/* [C-EPOCH.BOUNDARY] The first decided block after which another set is responsible. */
static bool chain_ends_epoch(const struct bft *core, const struct block_header *header)
{
    return !hash_equal(&header->next_set, &core->set_hash) &&
           (core->mutants & BFT_MUTANT_PAST_BOUNDARY) == 0;
}

/* Everything that deciding one height changes. */
static struct bft_effect *chain_decide_block(struct bft *core, const struct block_header *header,
                                             const struct hash *id,
                                             const struct certificate *certificate)
{
    MUST(!core->ended);
    MUST(header->height == core->decided_height + 1);
    MUST(hash_equal(&header->parent_id, &core->decided_id));
    MUST(header->view > core->decided_view);
    struct bft_effect *effect = bft_emit(core, BFT_DECIDE, BFT_PEER_NONE);
    effect->header = *header;
    effect->block_id = *id;
    effect->height = header->height;
    effect->view = header->view;
    effect->certificate = certificate;
    core->decided_height = header->height;
    core->decided_view = header->view;
    core->decided_id = *id;
    core->decided_time = header->time;
    core->in_flight[header->height % BFT_IN_FLIGHT] = header->view;
    core->dirty = true;
    for (int i = 0; i < BFT_EXECUTIONS; i++)
        if (core->asked[i].in_use && core->asked[i].view <= header->view)
            core->asked[i].in_use = false;
    core->ended = chain_ends_epoch(core, header); /* [C-EPOCH.END] */
    effect->epoch_ends = core->ended;
    return effect;
}

/* [C-EPOCH.PROOF] A boundary block that has no finalization of its own is proven by one of a
 * descendant: `count` headers in core->proof_headers lead there. */
static void chain_prove_boundary(struct bft *core, struct bft_effect *effect, uint32_t count,
                                 const struct certificate *finalization)
{
    MUST(effect->epoch_ends && effect->certificate == NULL && count > 0);
    struct certificate *copy = bft_pool_take(core);
    MUST(copy != NULL); /* the callers ask for room */
    *copy = *finalization;
    effect->certificate = copy;
    effect->proof_headers = bytes_view_of(core->proof_headers, (size_t)count * BLOCK_HEADER_SIZE);
}

/* The headers on the path from `view` up to the final block, into core->proof_headers. */
static uint32_t chain_copy_path(struct bft *core, uint64_t view)
{
    uint32_t count = 0;
    while (view != 0) {
        struct bft_slot *slot = bft_slot_find(core, view);
        MUST(slot != NULL && slot->pinned && count < LIMIT_VIEW_WINDOW);
        const struct bft_block *block = bft_chain_find(core, view, &slot->pinned_id);
        MUST(block != NULL);
        block_header_encode(core->proof_headers + (size_t)count * BLOCK_HEADER_SIZE,
                            &block->header);
        count++;
        view = slot->path_next;
    }
    return count;
}

static const struct certificate *chain_finalization_of(struct bft *core, uint64_t view,
                                                       const struct hash *id)
{
    struct bft_slot *slot = bft_slot_find(core, view);
    if (slot == NULL || !slot->certificates[VOTE_FINALIZE].held ||
        !hash_equal(&slot->certificates[VOTE_FINALIZE].block_id, id))
        return NULL;
    struct certificate *copy = bft_pool_take(core);
    if (copy != NULL)
        bft_slot_certificate(core, slot, VOTE_FINALIZE, copy);
    return copy;
}

/* [C-FETCH.GAP] A block on the way down to the decided tip is not here. `height` is its height, or
 * 0 if nobody knows. */
static void chain_fetch_gap(struct bft *core, uint64_t view, const struct hash *id, uint64_t height)
{
    struct bft_slot *slot = bft_slot_find(core, view);
    uint32_t holders = slot == NULL ? 0
                       : slot->certificates[VOTE_FINALIZE].held
                           ? slot->certificates[VOTE_FINALIZE].signers
                           : slot->certificates[VOTE_NOTARIZE].signers;
    bool far = height > core->decided_height + BFT_RANGE_GAP ||
               fetch_claimed_height(core) > core->decided_height + BFT_RANGE_GAP;
    if (slot == NULL || far || fetch_attempts(core, id) > 1)
        fetch_range(core);
    if (slot != NULL && (!far || height == 0))
        fetch_block(core, id, holders);
}

/* Walks from the final block to the decided tip and leaves the way back in path_next. Returns the
 * lowest view to decide; 0 if a block is missing or the walk met a contradiction. */
static uint64_t chain_path(struct bft *core)
{
    uint64_t view = core->final_view, next = 0, height = 0;
    struct hash id = core->final_id;
    while (!hash_equal(&id, &core->decided_id)) {
        if (view <= core->decided_view) {
            bft_alarm(core, "a finalized block does not extend the decided chain: more than f lie");
            return 0;
        }
        struct bft_slot *slot = bft_slot_claim(core, view);
        if (slot != NULL) {
            tally_pin(core, slot, &id);
            if (!hash_equal(&slot->pinned_id, &id))
                return 0; /* the alarm is raised: nothing can be decided through this view */
        }
        struct bft_block *block = bft_chain_find(core, view, &id);
        if (block == NULL) {
            chain_fetch_gap(core, view, &id, height);
            return 0;
        }
        if (height != 0 && block->header.height != height) {
            bft_alarm(core, "heights of finalized blocks are not contiguous: more than f lie");
            return 0;
        }
        MUST(slot != NULL && block->header.parent_view < view);
        slot->path_next = next;
        next = view;
        height = block->header.height - 1;
        view = block->header.parent_view;
        id = block->header.parent_id;
    }
    if (next != 0 && height != core->decided_height) {
        bft_alarm(core, "a finalized block has the wrong height: more than f lie");
        return 0;
    }
    return next;
}

void chain_decide(struct bft *core)
{
    if (core->final_view <= core->decided_view) {
        if (fetch_claimed_height(core) > core->decided_height)
            fetch_range(core); /* [C-STATUS] a peer that lost its proof still has the blocks */
        return;
    }
    uint64_t view = chain_path(core); /* [C-DECIDE] */
    for (int i = 0; view != 0 && !core->ended && i < BFT_DECIDES_PER_STEP; i++) {
        if (!bft_has_room(core) || core->decided_height - core->committed_height >= BFT_IN_FLIGHT) {
            core->more = core->more || !bft_has_room(core);
            return;
        }
        struct bft_slot *slot = bft_slot_find(core, view);
        MUST(slot != NULL && slot->pinned);
        struct bft_block *block = bft_chain_find(core, view, &slot->pinned_id);
        MUST(block != NULL);
        view = slot->path_next;
        struct bft_effect *effect = chain_decide_block(
            core, &block->header, &block->id, chain_finalization_of(core, slot->view, &block->id));
        if (core->ended && effect->certificate == NULL) {
            MUST(core->has_top && core->top.view == core->final_view);
            chain_prove_boundary(core, effect, chain_copy_path(core, view), &core->top);
        }
    }
}

void chain_on_block(struct bft *core, const struct bft_input *input)
{
    if (input->header->epoch != core->config.epoch)
        return; /* [C-EPOCH.OTHER] */
    if (!chain_header_is_ours(core, input->header)) {
        bft_strike(core, input, "block of another chain or epoch");
        return;
    }
    struct hash id;
    block_header_id(&id, input->header);
    struct bft_slot *slot = bft_slot_find(core, input->header->view);
    bool wanted = slot != NULL && ((slot->pinned && hash_equal(&slot->pinned_id, &id)) ||
                                   (slot->has_proposal && hash_equal(&slot->proposal_id, &id)));
    if (wanted) /* [C-BODIES] anything else is dropped, not punished */
        chain_store(core, input->header, &id);
}

/* [C-RANGE] The hashes must lead from the decided tip through every block and header to the
 * finalized one. Returns the index of the first block above the tip; -1 if they don't. */
static int chain_range_check(const struct bft *core, const struct message_range *range)
{
    if (range->block_count == 0 || range->block_count > LIMIT_RANGE_BLOCKS ||
        range->block_count + range->header_count > LIMIT_VIEW_WINDOW ||
        range->headers.size != (size_t)range->header_count * BLOCK_HEADER_SIZE)
        return -1;
    struct hash id = {{0}};
    uint64_t height = 0, view = 0;
    struct timestamp time = timestamp_of(0);
    int first = -1;
    for (uint32_t i = 0; i < range->block_count + range->header_count; i++) {
        struct block_header header;
        if (i < range->block_count)
            header = range->blocks[i].header;
        else if (!block_header_decode(
                     &header, bytes_view_of(range->headers.data + (size_t)(i - range->block_count) *
                                                                      BLOCK_HEADER_SIZE,
                                            BLOCK_HEADER_SIZE)))
            return -1;
        if (!chain_header_is_ours(core, &header))
            return -1;
        if (i > 0 &&
            (!hash_equal(&header.parent_id, &id) || !chain_links(&header, view, height, time)))
            return -1;
        if (i < range->block_count && header.height == core->decided_height + 1)
            first = (int)i;
        block_header_id(&id, &header);
        height = header.height;
        view = header.view;
        time = header.time;
    }
    if (view != range->finalization.view || !hash_equal(&id, &range->finalization.block_id))
        return -1;
    return first < 0 ? (int)range->block_count : first;
}

/* The headers of a range answer from its block `first` on, into core->proof_headers. */
static uint32_t chain_copy_range(struct bft *core, const struct message_range *range,
                                 uint32_t first)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < range->block_count; i++, count++)
        block_header_encode(core->proof_headers + (size_t)count * BLOCK_HEADER_SIZE,
                            &range->blocks[i].header);
    MUST(count + range->header_count <= LIMIT_VIEW_WINDOW);
    memcpy(core->proof_headers + (size_t)count * BLOCK_HEADER_SIZE, range->headers.data,
           range->headers.size);
    return count + range->header_count;
}

bool bft_takes_range(struct bft *core, const struct message_range *range)
{
    const struct certificate *finalization = &range->finalization;
    if (range->block_count == 0 || finalization->kind != VOTE_FINALIZE ||
        finalization->view <= core->decided_view || finalization->epoch != core->config.epoch ||
        chain_range_check(core, range) < 0)
        return false;
    bool known = finalization->view == core->final_view &&
                 hash_equal(&finalization->block_id, &core->final_id);
    return known || tally_check(core, finalization);
}

/* The range's finalization, verified: what is decided with it is kept and shown to others. NULL if it
 * is false or contradicts what is held; then that has been said. */
static const struct certificate *chain_range_proof(struct bft *core, const struct bft_input *input)
{
    const struct certificate *finalization = &input->range->finalization;
    /* Of a finalization that is held, the answer's copy may carry any signatures: ours is used. */
    if (core->has_top && core->top.view == finalization->view &&
        hash_equal(&core->top.block_id, &finalization->block_id))
        return &core->top;
    /* One at or below the highest known is not taken in, so it is checked here. */
    const bool higher = finalization->view > core->final_view;
    if (higher ? !tally_certificate(core, finalization) : !tally_check(core, finalization)) {
        bft_strike(core, input, "range answer with a false finalization");
        return NULL;
    }
    return finalization->view > core->final_view ? NULL : finalization;
}

void chain_on_range(struct bft *core, const struct bft_input *input)
{
    const struct message_range *range = input->range;
    if (range->block_count == 0 || range->finalization.view <= core->decided_view ||
        range->finalization.epoch != core->config.epoch)
        return; /* late or empty: nothing new, no fault; [C-EPOCH.OTHER] */
    int first = chain_range_check(core, range);
    if (first < 0 || range->finalization.kind != VOTE_FINALIZE) {
        bft_strike(core, input, "range answer whose hashes do not lead to its finalization");
        return;
    }
    const struct certificate *proof = chain_range_proof(core, input);
    if (proof == NULL)
        return;
    /* [C-EPOCH.RANGE] What lies above a boundary block was at most its proof. */
    for (uint32_t i = (uint32_t)first; i < range->block_count && !core->ended; i++) {
        const struct block_header *header = &range->blocks[i].header;
        if (core->decided_height - core->committed_height >= BFT_IN_FLIGHT)
            return;
        if (!hash_equal(&header->parent_id, &core->decided_id) ||
            header->view <= core->decided_view) {
            bft_alarm(core, "a finalized range does not extend the decided chain: more than f lie");
            return;
        }
        struct hash id;
        block_header_id(&id, header);
        bool own = hash_equal(&id, &range->finalization.block_id);
        struct certificate *copy = own ? bft_pool_take(core) : NULL;
        if (copy != NULL)
            *copy = *proof;
        struct bft_effect *effect = chain_decide_block(core, header, &id, copy); /* [C-DECIDE] */
        if (core->ended && effect->certificate == NULL)
            chain_prove_boundary(core, effect, chain_copy_range(core, range, i + 1), proof);
    }
}

static enum bft_execution execution_of(enum bft_verdict verdict)
{
    MUST(verdict <= BFT_VERDICT_NOT_YET);
    switch (verdict) {
    case BFT_VERDICT_VALID:
        return BFT_EXECUTION_VALID;
    case BFT_VERDICT_INVALID:
        return BFT_EXECUTION_INVALID;
    case BFT_VERDICT_NOT_YET:
        return BFT_EXECUTION_LACKING;
    }
    return BFT_EXECUTION_INVALID;
}

void chain_on_executed(struct bft *core, const struct bft_input *input)
{
    for (int i = 0; i < BFT_EXECUTIONS; i++) {
        struct bft_asked *asked = &core->asked[i];
        if (!asked->in_use || !hash_equal(&asked->id, &input->block_id))
            continue;
        asked->in_use = false;
        struct bft_block *block = bft_chain_find(core, asked->view, &asked->id);
        if (block != NULL && block->execution == BFT_EXECUTION_ASKED) {
            block->execution = execution_of(input->verdict);
            core->dirty = true;
        }
    }
}

void chain_on_committed(struct bft *core, uint64_t height)
{
    MUST(height <= core->decided_height); /* the shell answers what it was told */
    if (height <= core->committed_height)
        return;
    core->committed_height = height;
    /* [C-FLOOR] One view less, so that the journal keeps the finalization that a restarted node
     * shows to stragglers. */
    uint64_t view = core->in_flight[height % BFT_IN_FLIGHT];
    if (view > 0 && view - 1 > core->floor_view)
        core->floor_view = view - 1;
    core->dirty = true;
}
