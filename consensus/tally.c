/* Votes and certificates of the views in the window (consensus.md 4, 7, 8).
 *
 * Invariants
 *   1. A signer has at most one vote of a kind in a view; a second, different one is evidence.
 *   2. A certificate is built or taken once per kind and view, and journaled before it is relayed.
 *   3. Nothing unverified is stored; each signature is verified once.
 *   4. An own vote is counted only when it is durable.
 * Absent on purpose: what follows from a certificate beyond the view it leads to (view.c). */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

static size_t slot_ballots_offset(void)
{
    return (sizeof(struct bft_slot) + 15) / 16 * 16;
}

static size_t slot_signatures_offset(uint32_t validators)
{
    return slot_ballots_offset() + (size_t)VOTE_KIND_COUNT * validators * sizeof(struct bft_ballot);
}

size_t bft_slot_stride(uint32_t validators)
{
    uint32_t quorum = validators - (validators - 1) / 3;
    return (slot_signatures_offset(validators) +
            (size_t)VOTE_KIND_COUNT * quorum * sizeof(struct signature) + 15) /
           16 * 16;
}

uint64_t bft_window_base(const struct bft *core)
{
    /* Behind the last decided view, unless that lags so far that the live end would not fit. */
    uint64_t by_decided =
        core->decided_view > BFT_RETENTION ? core->decided_view - BFT_RETENTION : 0;
    uint64_t by_final =
        core->final_view > LIMIT_VIEW_WINDOW / 2 ? core->final_view - LIMIT_VIEW_WINDOW / 2 : 0;
    return by_decided > by_final ? by_decided : by_final;
}

static struct bft_slot *slot_at(const struct bft *core, uint64_t view)
{
    return (struct bft_slot *)(void *)(core->ring + (view % LIMIT_VIEW_WINDOW) * core->stride);
}

struct bft_slot *bft_slot_find(const struct bft *core, uint64_t view)
{
    uint64_t base = bft_window_base(core);
    if (view < base || view - base >= LIMIT_VIEW_WINDOW)
        return NULL;
    struct bft_slot *slot = slot_at(core, view);
    return core->slot_used[view % LIMIT_VIEW_WINDOW] && slot->view == view ? slot : NULL;
}

struct bft_slot *bft_slot_claim(struct bft *core, uint64_t view)
{
    uint64_t base = bft_window_base(core);
    if (view < base || view - base >= LIMIT_VIEW_WINDOW)
        return NULL;
    struct bft_slot *slot = slot_at(core, view);
    bool *used = &core->slot_used[view % LIMIT_VIEW_WINDOW];
    if (!*used || slot->view != view) {
        memset(slot, 0, sizeof *slot);
        *used = true;
        slot->view = view;
    }
    return slot;
}

struct bft_ballot *bft_slot_ballot(const struct bft *core, struct bft_slot *slot, uint8_t kind,
                                   uint32_t signer)
{
    MUST(kind < VOTE_KIND_COUNT && signer < core->count);
    struct bft_ballot *ballots =
        (struct bft_ballot *)(void *)((uint8_t *)slot + slot_ballots_offset());
    return &ballots[kind * core->count + signer];
}

static struct signature *slot_signatures(const struct bft *core, struct bft_slot *slot,
                                         uint8_t kind)
{
    struct signature *all =
        (struct signature *)(void *)((uint8_t *)slot + slot_signatures_offset(core->count));
    return &all[(size_t)kind * core->quorum];
}

void bft_slot_certificate(const struct bft *core, struct bft_slot *slot, uint8_t kind,
                          struct certificate *out)
{
    const struct bft_held *held = &slot->certificates[kind];
    const struct signature *signatures = slot_signatures(core, slot, kind);
    MUST(held->held);
    memset(out, 0, sizeof *out);
    out->kind = kind;
    out->epoch = core->config.epoch;
    out->view = slot->view;
    out->block_id = held->block_id;
    for (uint32_t signer = 0; signer < core->count; signer++) {
        if ((held->signers >> signer & 1) == 0)
            continue;
        MUST(out->count < core->quorum);
        out->entries[out->count].signer = (uint8_t)signer;
        out->entries[out->count].signature = signatures[out->count];
        out->count++;
    }
    MUST(out->count == core->quorum);
}

void bft_send_held(struct bft *core, struct bft_slot *slot, uint8_t kind, int to, int reply_to)
{
    struct certificate *copy = bft_pool_take(core);
    if (copy == NULL)
        return;
    bft_slot_certificate(core, slot, kind, copy);
    struct bft_effect *effect = bft_emit(core, BFT_SEND_CERTIFICATE, to);
    effect->reply_to = reply_to;
    effect->certificate = copy;
}

static void ballot_to_vote(const struct bft *core, struct vote *out, const struct bft_slot *slot,
                           uint8_t kind, uint32_t signer, const struct bft_ballot *ballot)
{
    *out = (struct vote){.kind = kind,
                         .epoch = core->config.epoch,
                         .view = slot->view,
                         .block_id = ballot->block_id,
                         .signer = (uint8_t)signer,
                         .signature = ballot->signature};
}

static bool tally_verify(const struct bft *core, uint8_t kind, uint64_t view,
                         const struct hash *block_id, uint32_t signer,
                         const struct signature *signature)
{
    struct hash message;
    vote_message(&message, &core->config.genesis, kind, core->config.epoch, view, block_id);
    return core->signing.verify(signature, &core->config.set.validators[signer].key, &message);
}

/* [C-CERT.BUILD] The lowest quorum of signers of `block_id`, once there is one. */
static void tally_threshold(struct bft *core, struct bft_slot *slot, uint8_t kind,
                            const struct hash *block_id)
{
    if (slot->certificates[kind].held || slot->view <= core->final_view)
        return;
    struct certificate built;
    memset(&built, 0, sizeof built);
    built.kind = kind;
    built.epoch = core->config.epoch;
    built.view = slot->view;
    built.block_id = *block_id;
    for (uint32_t signer = 0; signer < core->count && built.count < core->quorum; signer++) {
        const struct bft_ballot *ballot = bft_slot_ballot(core, slot, kind, signer);
        if ((slot->seen[kind] >> signer & 1) == 0 || !hash_equal(&ballot->block_id, block_id))
            continue;
        built.entries[built.count].signer = (uint8_t)signer;
        built.entries[built.count].signature = ballot->signature;
        built.count++;
    }
    if (built.count == core->quorum)
        tally_take(core, &built);
}

static void tally_evidence(struct bft *core, struct bft_slot *slot, uint8_t mark,
                           const struct vote *first, const struct vote *second)
{
    MUST(first->signer == second->signer && first->view == second->view);
    if ((slot->evidence[mark] >> second->signer & 1) != 0)
        return;
    slot->evidence[mark] |= UINT32_C(1) << second->signer;
    struct bft_effect *effect = bft_emit(core, BFT_EVIDENCE, BFT_PEER_NONE);
    effect->vote = *first;
    effect->vote2 = *second;
}

static void tally_count(struct bft *core, struct bft_slot *slot, const struct vote *vote)
{
    struct bft_ballot *ballot = bft_slot_ballot(core, slot, vote->kind, vote->signer);
    ballot->block_id = vote->block_id;
    ballot->signature = vote->signature;
    slot->seen[vote->kind] |= UINT32_C(1) << vote->signer;
    core->dirty = true;
    /* [C-EVIDENCE] U and F of one view exclude each other. */
    uint8_t other = vote->kind == VOTE_FINALIZE ? VOTE_NULLIFY : VOTE_FINALIZE;
    if (vote->kind != VOTE_NOTARIZE && (slot->seen[other] >> vote->signer & 1) != 0) {
        struct vote first;
        ballot_to_vote(core, &first, slot, other, vote->signer,
                       bft_slot_ballot(core, slot, other, vote->signer));
        tally_evidence(core, slot, VOTE_NULLIFY, &first, vote);
    }
    tally_threshold(core, slot, vote->kind, &vote->block_id);
}

bool tally_vote(struct bft *core, const struct vote *vote)
{
    if (vote->epoch != core->config.epoch)
        return true; /* [C-EPOCH.OTHER] */
    if (vote->signer >= core->count || vote->kind >= VOTE_KIND_COUNT ||
        (vote->kind == VOTE_NULLIFY) != hash_is_zero(&vote->block_id))
        return false;
    if ((int)vote->signer == core->self)
        return true; /* own votes come from the journal only [C-WRITE] */
    if (vote->view == 0 || vote->view > core->view + 1)
        return true; /* [C-ADMIT] not yet; retransmission brings it back */
    struct bft_slot *slot = bft_slot_claim(core, vote->view);
    if (slot == NULL)
        return true; /* [C-ADMIT] long past */
    bool seen = (slot->seen[vote->kind] >> vote->signer & 1) != 0;
    const struct bft_ballot *held = bft_slot_ballot(core, slot, vote->kind, vote->signer);
    if (seen && (hash_equal(&held->block_id, &vote->block_id) ||
                 (slot->evidence[vote->kind] >> vote->signer & 1) != 0))
        return true; /* known, or already reported */
    if (!tally_verify(core, vote->kind, vote->view, &vote->block_id, vote->signer,
                      &vote->signature))
        return false;
    rollback_note(core, vote);
    if (!seen) {
        tally_count(core, slot, vote);
        return true;
    }
    /* [C-EVIDENCE] Two votes of one kind for two blocks. */
    struct vote first;
    ballot_to_vote(core, &first, slot, vote->kind, vote->signer, held);
    tally_evidence(core, slot, vote->kind, &first, vote);
    if (vote->kind == VOTE_NOTARIZE &&
        vote->signer == validator_set_leader(&core->config.set, core->config.epoch, vote->view))
        slot->equivocal = true; /* [C-EQUIVOCAL] two blocks of one leader */
    return true;
}

/* A finalization may carry the window past an own vote that still waits, and however far: what is
 * under the window has no slot any more, so a walk over own votes starts within it. */
static uint64_t window_from(const struct bft *core, uint64_t view)
{
    uint64_t base = bft_window_base(core);
    return view > base ? view : base;
}

void tally_own_expect(struct bft *core, uint64_t view)
{
    if (!core->uncounted || view < core->uncounted_low)
        core->uncounted_low = view;
    if (!core->uncounted || view > core->uncounted_high)
        core->uncounted_high = view;
    core->uncounted = true;
    core->dirty = true;
}

void tally_own_persisted(struct bft *core)
{
    if (!core->unsynced)
        return;
    core->unsynced = false;
    uint64_t view = window_from(core, core->unsynced_low);
    for (; view <= core->unsynced_high; view++) {
        struct bft_slot *slot = bft_slot_find(core, view);
        for (uint8_t kind = 0; slot != NULL && kind < VOTE_KIND_COUNT; kind++) {
            if (slot->own[kind] != BFT_OWN_UNSYNCED)
                continue;
            slot->own[kind] = BFT_OWN_DURABLE; /* [C-WRITE] only now it counts */
            tally_own_expect(core, view);
        }
    }
}

void tally_own_count(struct bft *core)
{
    while (core->uncounted && bft_has_room(core)) {
        uint64_t view = window_from(core, core->uncounted_low);
        core->uncounted = view < core->uncounted_high;
        core->uncounted_low = view + 1;
        struct bft_slot *slot = bft_slot_find(core, view);
        for (uint8_t kind = 0; slot != NULL && kind < VOTE_KIND_COUNT; kind++) {
            if (slot->own[kind] != BFT_OWN_DURABLE || (slot->seen[kind] >> core->self & 1) != 0)
                continue;
            struct vote vote;
            ballot_to_vote(core, &vote, slot, kind, (uint32_t)core->self, &slot->own_ballot[kind]);
            tally_count(core, slot, &vote);
        }
    }
}

void tally_pin(struct bft *core, struct bft_slot *slot, const struct hash *id)
{
    if (slot->pinned && !hash_equal(&slot->pinned_id, id)) {
        bft_alarm(core, "two blocks of one view are notarized: more validators than f lie");
        return;
    }
    slot->pinned = true;
    slot->pinned_id = *id;
}

/* [C-CERT.CONFLICT] True if the certificate cannot stand beside what is held. */
static bool tally_conflicts(const struct bft_slot *slot, const struct certificate *certificate)
{
    const struct bft_held *held = slot->certificates;
    bool block = certificate->kind != VOTE_NULLIFY;
    if (block && held[VOTE_NOTARIZE].held &&
        !hash_equal(&held[VOTE_NOTARIZE].block_id, &certificate->block_id))
        return true;
    if (block && held[VOTE_FINALIZE].held &&
        !hash_equal(&held[VOTE_FINALIZE].block_id, &certificate->block_id))
        return true;
    return (certificate->kind == VOTE_FINALIZE && held[VOTE_NULLIFY].held) ||
           (certificate->kind == VOTE_NULLIFY && held[VOTE_FINALIZE].held);
}

/* Keeps the first quorum of signatures: enough for any proof, and of fixed size. */
static void tally_hold(struct bft *core, struct bft_slot *slot,
                       const struct certificate *certificate)
{
    struct bft_held *held = &slot->certificates[certificate->kind];
    struct signature *signatures = slot_signatures(core, slot, certificate->kind);
    held->held = true;
    held->block_id = certificate->block_id;
    held->signers = 0;
    for (uint32_t i = 0; i < core->quorum; i++) {
        held->signers |= UINT32_C(1) << certificate->entries[i].signer;
        signatures[i] = certificate->entries[i].signature;
    }
}

static void tally_relay(struct bft *core, const struct certificate *certificate)
{
    if (core->self < 0 || core->effects == NULL)
        return; /* [C-OBSERVER] */
    struct certificate *copy = bft_pool_take(core);
    MUST(copy != NULL);
    *copy = *certificate;
    bft_emit(core, BFT_PERSIST_CERTIFICATE, BFT_PEER_NONE)->certificate = copy; /* [C-WRITE] */
    bft_emit(core, BFT_SEND_CERTIFICATE, BFT_PEER_ALL)->certificate = copy;
}

static void tally_finalized(struct bft *core, const struct certificate *certificate)
{
    MUST(certificate->view > core->final_view);
    core->final_view = certificate->view; /* [C-FINAL] */
    core->final_id = certificate->block_id;
    core->top = *certificate;
    core->has_top = true;
    core->standstill_ms = 0;
    core->standstill_view = 0;
}

void tally_take(struct bft *core, const struct certificate *certificate)
{
    uint64_t view = certificate->view;
    bool finalization = certificate->kind == VOTE_FINALIZE;
    if (view <= core->final_view) {
        /* After a restart the journal brings back the finalization of the committed tip. */
        if (finalization && view == core->final_view && !core->has_top &&
            hash_equal(&certificate->block_id, &core->final_id)) {
            core->top = *certificate;
            core->has_top = true;
        }
        return;
    }
    struct bft_slot *slot = bft_slot_claim(core, view);
    if (slot == NULL && !finalization)
        return; /* [C-ADMIT] */
    if (slot != NULL && slot->certificates[certificate->kind].held &&
        hash_equal(&slot->certificates[certificate->kind].block_id, &certificate->block_id))
        return; /* [C-CERT] first time only */
    if (slot != NULL && tally_conflicts(slot, certificate)) {
        if (core->refusal == NULL)
            tally_relay(core, certificate); /* [C-CERT.CONFLICT] both are kept */
        bft_alarm(core, "certificates of one view contradict each other: more than f lie");
        return;
    }
    if (finalization)
        tally_finalized(core, certificate);
    slot = bft_slot_claim(core, view); /* the window may have moved */
    MUST(slot != NULL);
    tally_hold(core, slot, certificate);
    tally_relay(core, certificate);
    if (certificate->kind != VOTE_NULLIFY) {
        tally_pin(core, slot, &certificate->block_id);
        if (slot->has_proposal && !hash_equal(&slot->proposal_id, &certificate->block_id))
            slot->equivocal = true; /* [C-EQUIVOCAL] */
        if (!slot->has_proposal)
            slot->proposal_ms = core->now_ms;
        slot->has_proposal = true;
        slot->proposal_id = certificate->block_id;
    }
    core->dirty = true;
    if (certificate->kind != VOTE_NOTARIZE)
        view_enter(core, view + 1); /* [C-ENTER] */
}

/* [C-CERT.VERIFY] A signature that the tally has already verified is not verified again. */
bool tally_check(struct bft *core, const struct certificate *certificate)
{
    if (!certificate_is_well_formed(certificate, &core->config.set))
        return false;
    struct bft_slot *slot = bft_slot_find(core, certificate->view);
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct certificate_entry *entry = &certificate->entries[i];
        if (slot != NULL && (slot->seen[certificate->kind] >> entry->signer & 1) != 0) {
            const struct bft_ballot *held =
                bft_slot_ballot(core, slot, certificate->kind, entry->signer);
            if (hash_equal(&held->block_id, &certificate->block_id) &&
                memcmp(held->signature.bytes, entry->signature.bytes, SIGNATURE_SIZE) == 0)
                continue;
        }
        if (!tally_verify(core, certificate->kind, certificate->view, &certificate->block_id,
                          entry->signer, &entry->signature))
            return false;
    }
    return true;
}

bool tally_certificate(struct bft *core, const struct certificate *certificate)
{
    if (certificate->epoch != core->config.epoch)
        return true; /* [C-EPOCH.OTHER] */
    if (certificate->kind >= VOTE_KIND_COUNT || certificate->view == 0 ||
        certificate->view >= BFT_VIEW_MAX)
        return false;
    if (certificate->view <= core->final_view)
        return true; /* [C-ADMIT] nothing new */
    struct bft_slot *slot = bft_slot_find(core, certificate->view);
    if (slot != NULL && slot->certificates[certificate->kind].held &&
        hash_equal(&slot->certificates[certificate->kind].block_id, &certificate->block_id))
        return true; /* [C-CERT] first time only */
    bool beyond = certificate->view - bft_window_base(core) >= LIMIT_VIEW_WINDOW;
    if (beyond && certificate->kind != VOTE_FINALIZE)
        return true; /* [C-ADMIT] a finalization moves the window, nothing else does */
    if (!tally_check(core, certificate))
        return false;
    tally_take(core, certificate);
    return true;
}
