/* What is missing and whom to ask for it (consensus.md R11, 8), and answers to those who ask.
 *
 * Each pass of a step says anew what it wants; a request goes out at once, then again to another
 * peer after 0.5 s, growing by half up to 30 s, for as long as it is wanted. A request that no pass
 * of a step wanted is forgotten.
 *
 * Invariants
 *   1. At most BFT_FETCHES requests are under way, one per thing wanted.
 *   2. What a peer claims about itself (STATUS) only chooses whom to ask; it proves nothing.
 * Absent on purpose: blocks and ranges for others, which the shell serves from its store. */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

enum { FETCH_CLAIM_ATTEMPTS = 6 }; /* ranges asked for in vain before claims are forgotten */

/* xorshift64*: which peer is asked, nothing else. */
static uint64_t fetch_random(struct bft *core)
{
    core->random ^= core->random >> 12;
    core->random ^= core->random << 25;
    core->random ^= core->random >> 27;
    return core->random * UINT64_C(0x2545F4914F6CDD1D);
}

/* A random bit of `candidates`, other than one peer if there is a choice; -1 if there is none. */
static int fetch_pick(struct bft *core, uint32_t candidates, int other_than)
{
    if (core->self >= 0)
        candidates &= ~(UINT32_C(1) << core->self);
    uint32_t others = other_than >= 0 ? candidates & ~(UINT32_C(1) << other_than) : candidates;
    if (others != 0)
        candidates = others;
    uint32_t left = (uint32_t)__builtin_popcount(candidates);
    if (left == 0)
        return -1;
    uint32_t skip = (uint32_t)((fetch_random(core) >> 32) % left);
    for (uint32_t peer = 0; peer < core->count; peer++) {
        if ((candidates >> peer & 1) == 0)
            continue;
        if (skip-- == 0)
            return (int)peer;
    }
    return -1;
}

static uint32_t fetch_everybody(const struct bft *core)
{
    return (uint32_t)((UINT64_C(1) << core->count) - 1);
}

int fetch_random_peer(struct bft *core, int other_than)
{
    return fetch_pick(core, fetch_everybody(core), other_than);
}

static bool fetch_is(const struct bft_fetch *fetch, enum bft_fetch_kind kind, uint64_t view,
                     const struct hash *id)
{
    return fetch->in_use && fetch->kind == kind && fetch->view == view &&
           hash_equal(&fetch->id, id);
}

/* NULL if the table is full: the want comes back with the next step. */
static struct bft_fetch *fetch_find(struct bft *core, enum bft_fetch_kind kind, uint64_t view,
                                    const struct hash *id)
{
    struct bft_fetch *room = NULL;
    for (int i = 0; i < BFT_FETCHES; i++) {
        struct bft_fetch *fetch = &core->fetches[i];
        if (fetch_is(fetch, kind, view, id))
            return fetch;
        if (room == NULL && !fetch->in_use)
            room = fetch;
    }
    if (room != NULL)
        *room = (struct bft_fetch){.in_use = true,
                                   .kind = kind,
                                   .view = view,
                                   .id = *id,
                                   .next_ms = core->now_ms,
                                   .wait_ms = BFT_RETRY_MS,
                                   .last_peer = -1};
    return room;
}

/* The peer to ask now; -1 if the last answer may still come. [C-FETCH] */
static int fetch_due(struct bft *core, struct bft_fetch *fetch, uint32_t candidates)
{
    if (fetch == NULL)
        return -1;
    fetch->wanted = true;
    if (core->now_ms < fetch->next_ms || !bft_has_room(core) || !core->started ||
        (core->mutants & BFT_MUTANT_NO_FETCH_NO_STANDSTILL) != 0)
        return -1;
    /* Every second time anybody at all, in case those who should have it don't. */
    if (candidates == 0 || fetch->attempts % 2 == 1)
        candidates = fetch_everybody(core);
    int peer = fetch_pick(core, candidates, fetch->last_peer);
    fetch->attempts++;
    fetch->last_peer = peer;
    fetch->next_ms = core->now_ms + fetch->wait_ms;
    fetch->wait_ms += fetch->wait_ms / 2;
    if (fetch->wait_ms > BFT_RETRY_CAP_MS)
        fetch->wait_ms = BFT_RETRY_CAP_MS;
    return peer;
}

static const struct hash fetch_no_id;

void fetch_certificate(struct bft *core, uint64_t view, int first_peer)
{
    struct bft_fetch *fetch = fetch_find(core, BFT_FETCH_CERTIFICATE, view, &fetch_no_id);
    int peer = fetch_due(core, fetch, first_peer >= 0 ? UINT32_C(1) << first_peer : 0);
    if (peer >= 0)
        bft_emit(core, BFT_SEND_GET_CERT, peer)->view = view;
}

void fetch_block(struct bft *core, const struct hash *id, uint32_t holders)
{
    struct bft_fetch *fetch = fetch_find(core, BFT_FETCH_BLOCK, 0, id);
    int peer = fetch_due(core, fetch, holders);
    if (peer >= 0)
        bft_emit(core, BFT_SEND_GET_BLOCK, peer)->block_id = *id;
}

uint64_t fetch_claimed_height(const struct bft *core)
{
    uint64_t highest = 0;
    for (uint32_t peer = 0; peer < core->count; peer++)
        if (core->peer_height[peer] > highest)
            highest = core->peer_height[peer];
    return highest;
}

void fetch_range(struct bft *core)
{
    /* [C-RANGE.FLOW] Not before there is room to decide the whole answer. */
    if (core->decided_height - core->committed_height + LIMIT_RANGE_BLOCKS > BFT_IN_FLIGHT)
        return;
    uint64_t height = core->decided_height + 1;
    uint32_t claimants = 0;
    for (uint32_t peer = 0; peer < core->count; peer++)
        if (core->peer_height[peer] >= height)
            claimants |= UINT32_C(1) << peer;
    struct bft_fetch *fetch = fetch_find(core, BFT_FETCH_RANGE, height, &fetch_no_id);
    int peer = fetch_due(core, fetch, claimants);
    if (peer < 0)
        return;
    struct bft_effect *effect = bft_emit(core, BFT_SEND_GET_RANGE, peer);
    effect->height = height;
    effect->count = LIMIT_RANGE_BLOCKS;
    if (fetch->attempts >= FETCH_CLAIM_ATTEMPTS) /* [C-STATUS] nobody could prove it */
        memset(core->peer_height, 0, sizeof core->peer_height);
}

uint32_t fetch_attempts(const struct bft *core, const struct hash *id)
{
    for (int i = 0; i < BFT_FETCHES; i++)
        if (fetch_is(&core->fetches[i], BFT_FETCH_BLOCK, 0, id))
            return core->fetches[i].attempts;
    return 0;
}

void fetch_sweep(struct bft *core)
{
    for (int i = 0; i < BFT_FETCHES; i++) {
        struct bft_fetch *fetch = &core->fetches[i];
        if (fetch->in_use && !fetch->wanted && !core->more)
            fetch->in_use = false;
        fetch->wanted = false;
    }
}

uint64_t fetch_deadline_ms(const struct bft *core)
{
    uint64_t deadline = UINT64_MAX;
    if ((core->mutants & BFT_MUTANT_NO_FETCH_NO_STANDSTILL) != 0)
        return deadline;
    for (int i = 0; i < BFT_FETCHES; i++)
        if (core->fetches[i].in_use && core->fetches[i].next_ms < deadline)
            deadline = core->fetches[i].next_ms;
    return deadline;
}

void fetch_send_status(struct bft *core, int to, int reply_to)
{
    struct bft_effect *effect = bft_emit(core, BFT_SEND_STATUS, to);
    effect->reply_to = reply_to;
    effect->status = (struct message_status){.epoch = core->config.epoch,
                                             .view = core->view,
                                             .final_view = core->final_view,
                                             .final_height = core->decided_height};
}

void fetch_send_entry(struct bft *core, int to, int reply_to)
{
    struct bft_slot *slot = bft_slot_find(core, core->view - 1);
    if (slot == NULL)
        return;
    static const uint8_t best[] = {VOTE_FINALIZE, VOTE_NULLIFY, VOTE_NOTARIZE};
    for (size_t i = 0; i < sizeof best; i++) {
        if (!slot->certificates[best[i]].held)
            continue;
        bft_send_held(core, slot, best[i], to, reply_to);
        return;
    }
}

void fetch_send_top(struct bft *core, int to, int reply_to)
{
    struct certificate *copy = core->has_top ? bft_pool_take(core) : NULL;
    if (copy == NULL)
        return;
    *copy = core->top;
    struct bft_effect *effect = bft_emit(core, BFT_SEND_CERTIFICATE, to);
    effect->reply_to = reply_to;
    effect->certificate = copy;
}

void fetch_on_status(struct bft *core, const struct bft_input *input)
{
    const struct message_status *status = input->status;
    if (status->epoch < core->config.epoch) {
        fetch_send_status(core, BFT_PEER_NONE, input->reply_to); /* [C-EPOCH.STRAGGLER] */
        return;
    }
    if (input->from >= 0 && input->from < (int)core->count)
        core->peer_height[input->from] = status->final_height;
    if (status->epoch > core->config.epoch)
        return; /* [C-EPOCH.STRAGGLER] its claim leads to a range, which ends at the boundary */
    /* [C-STATUS] Who is ahead pushes what proves it. */
    if (status->final_view < core->final_view)
        fetch_send_top(core, BFT_PEER_NONE, input->reply_to);
    if (status->view < core->view)
        fetch_send_entry(core, BFT_PEER_NONE, input->reply_to);
}

void fetch_on_get_certificate(struct bft *core, const struct bft_input *input)
{
    /* [C-FETCH.ANSWER] */
    if (core->final_view >= input->view)
        fetch_send_top(core, BFT_PEER_NONE, input->reply_to);
    if (core->final_view > input->view)
        return;
    struct bft_slot *slot = bft_slot_find(core, input->view);
    if (slot == NULL)
        return;
    if (slot->certified && slot->certificates[VOTE_NOTARIZE].held)
        bft_send_held(core, slot, VOTE_NOTARIZE, BFT_PEER_NONE, input->reply_to);
    if (slot->certificates[VOTE_NULLIFY].held)
        bft_send_held(core, slot, VOTE_NULLIFY, BFT_PEER_NONE, input->reply_to);
}
