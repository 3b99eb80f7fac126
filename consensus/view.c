/* View machine: entering, proposing, notarizing, nullifying, finalizing, and the timers
 * (consensus.md R1-R7, R10, 6).
 *
 * One view, as an honest validator lives it:
 *
 *   entered -> [proposal] -> N -> [notarization, executed] -> certified -> next view, F
 *           -> [nothing, invalid, late] -> U -> [nullification] -> next view
 *
 * Invariants, across restarts (bft.c replays own votes before anything else happens)
 *   1. At most one N per view; none after U.            3. At most one F per view; never U and F.
 *   2. N only on a proven ancestry.                     4. The current view only grows.
 * Absent on purpose: what a certificate does (tally.c), what certified means (chain.c). */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

bool view_may_vote(const struct bft *core)
{
    return core->self >= 0 && core->started && core->trusted && core->refusal == NULL &&
           !core->ended && !core->signer_away;
}

/* --- timeouts (consensus.md 6) ---------------------------------------------------------------- */

static uint64_t view_count_since_final(const struct bft *core)
{
    return core->view > core->final_view + 1 ? core->view - core->final_view - 1 : 0;
}

/* [C-TIMEOUT] base * a^k, k = views since the last final one, up to the cap but never under base; doubled
 * again and again where the window runs short. */
static uint64_t view_scaled(const struct bft *core, uint64_t base_ms)
{
    const struct bft_timing *timing = &core->config.timing;
    uint64_t views = view_count_since_final(core);
    uint64_t scaled = base_ms;
    for (uint64_t k = 0; k < views && k < 64 && scaled < timing->timeout_cap_ms; k++)
        scaled = scaled * timing->backoff_permille / 1000;
    if (scaled > timing->timeout_cap_ms)
        scaled = timing->timeout_cap_ms;
    scaled = scaled > base_ms ? scaled : base_ms;
    /* [C-TIMEOUT.WINDOW] */
    uint64_t scarce = views > BFT_VIEWS_PLENTY ? views - BFT_VIEWS_PLENTY : 0;
    MUST(scarce < LIMIT_VIEW_WINDOW);
    return scaled << (scarce / BFT_VIEWS_DOUBLING);
}

static uint64_t view_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t view_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t view_lead_deadline_ms(const struct bft *core)
{
    const struct bft_timing *t = &core->config.timing;
    /* [C-TIMEOUT.LEAD] */
    uint64_t idle = core->entry_ms + view_scaled(core, 2 * (uint64_t)t->delta_ms + t->max_idle_ms);
    if (!core->pending)
        return idle;
    uint64_t busy = view_later(core->entry_ms, core->pending_ms) +
                    view_scaled(core, 2 * (uint64_t)t->delta_ms + t->block_interval_ms);
    return view_earlier(idle, busy);
}

static uint64_t view_certify_timeout_ms(const struct bft *core)
{
    const struct bft_timing *t = &core->config.timing; /* [C-TIMEOUT.CERT] */
    return view_scaled(core, 3 * (uint64_t)t->delta_ms + t->block_interval_ms + t->exec_budget_ms);
}

uint64_t view_retry_interval_ms(const struct bft *core)
{
    return 3 * (uint64_t)core->config.timing.delta_ms;
}

static uint64_t view_standstill_interval_ms(const struct bft *core)
{
    const struct bft_timing *t = &core->config.timing;
    return 10 * (uint64_t)t->delta_ms + t->max_idle_ms + t->block_interval_ms;
}

/* --- votes ------------------------------------------------------------------------------------ */

static bool view_is_barred(const struct bft_slot *slot, enum vote_kind kind)
{
    return (slot->barred >> kind & 1) != 0;
}

/* False if there is no signature for this vote, now or ever. */
static bool view_sign(struct bft *core, struct bft_slot *slot, struct vote *vote)
{
    if (core->config.sign == NULL) {
        struct hash message;
        vote_message(&message, &core->config.genesis, vote->kind, vote->epoch, vote->view,
                     &vote->block_id);
        core->signing.sign(&vote->signature, &core->config.seed, &message);
        return true;
    }
    switch (core->config.sign(core->config.sign_context, vote)) {
    case BFT_SIGNED:
        return true;
    case BFT_SIGN_REFUSED: /* [C-SIGNER.REFUSED] */
        slot->barred |= (uint8_t)(1U << vote->kind);
        break;
    case BFT_SIGN_AWAY: /* [C-SIGNER] */
        core->signer_away = true;
        break;
    }
    core->dirty = true;
    return false;
}

/* Journals an own vote and says it once it is journaled; a leader's N goes with its proposal. False if
 * the signer has not signed it. */
static bool view_cast(struct bft *core, struct bft_slot *slot, uint8_t kind, const struct hash *id,
                      bool send)
{
    MUST(view_may_vote(core) && slot->own[kind] == BFT_OWN_NONE);
    MUST(slot->view > core->final_view);
    if (kind == VOTE_NULLIFY) /* [C-NULLIFY] */
        MUST(slot->own[VOTE_FINALIZE] == BFT_OWN_NONE);
    if (kind == VOTE_NOTARIZE) /* [C-NOTARIZE] */
        MUST(slot->own[VOTE_NULLIFY] == BFT_OWN_NONE);
    if (kind == VOTE_FINALIZE && (core->mutants & BFT_MUTANT_FINALIZE_AFTER_NULLIFY) == 0)
        MUST(slot->own[VOTE_NULLIFY] == BFT_OWN_NONE); /* [C-FINALIZE] */
    struct vote vote = {.kind = kind,
                        .epoch = core->config.epoch,
                        .view = slot->view,
                        .block_id = *id,
                        .signer = (uint8_t)core->self};
    if (!view_sign(core, slot, &vote))
        return false;
    slot->own[kind] = BFT_OWN_UNSYNCED;
    slot->own_ballot[kind] = (struct bft_ballot){.block_id = *id, .signature = vote.signature};
    core->unsynced_low = core->unsynced ? view_earlier(core->unsynced_low, vote.view) : vote.view;
    core->unsynced_high = core->unsynced ? view_later(core->unsynced_high, vote.view) : vote.view;
    core->unsynced = true;
    core->own_vote_emitted = true;
    core->dirty = true;
    bft_emit(core, BFT_PERSIST_VOTE, BFT_PEER_NONE)->vote = vote; /* [C-WRITE] */
    if (send)
        bft_emit(core, BFT_SEND_VOTE, BFT_PEER_ALL)->vote = vote;
    return true;
}

static void view_own_vote(const struct bft *core, const struct bft_slot *slot, uint8_t kind,
                          struct vote *out)
{
    *out = (struct vote){.kind = kind,
                         .epoch = core->config.epoch,
                         .view = slot->view,
                         .block_id = slot->own_ballot[kind].block_id,
                         .signer = (uint8_t)core->self,
                         .signature = slot->own_ballot[kind].signature};
}

static void view_journal_block(struct bft *core, struct bft_block *block)
{
    if (!block->journaled) /* [C-WRITE] the body before the vote for it */
        bft_emit(core, BFT_PERSIST_BLOCK, BFT_PEER_NONE)->header = block->header;
    block->journaled = true;
}

void view_enter(struct bft *core, uint64_t view)
{
    if (view <= core->view || bft_slot_claim(core, view) == NULL)
        return; /* [C-ENTER] monotone; [C-WINDOW] a full window waits for a finalization */
    core->view = view;
    core->entry_ms = core->now_ms;
    core->retry_ms = core->now_ms + view_retry_interval_ms(core);
    core->building = false;
    core->parent_ready = false;
    core->dirty = true;
}

/* --- proposing (R2) --------------------------------------------------------------------------- */

static bool view_leads(const struct bft *core, uint64_t view)
{
    return core->self >= 0 &&
           (int)validator_set_leader(&core->config.set, core->config.epoch, view) == core->self;
}

/* [C-PROPOSE.PARENT] The highest certified view below this one, each view between nullified. */
static bool view_find_parent(struct bft *core)
{
    uint64_t view = core->view - 1;
    core->parent_view = core->final_view;
    core->parent_id = core->final_id;
    for (; view > core->final_view; view--) {
        struct bft_slot *slot = bft_slot_find(core, view);
        if (slot != NULL && slot->certified) {
            core->parent_view = view;
            core->parent_id = slot->certificates[VOTE_NOTARIZE].block_id;
            break;
        }
        if (slot == NULL || !slot->certificates[VOTE_NULLIFY].held) {
            fetch_certificate(core, view, -1);
            return false;
        }
    }
    if (chain_height(core, core->parent_view, &core->parent_id, &core->parent_height))
        return true;
    bft_chain_execute(core, core->parent_view, &core->parent_id);
    return false;
}

static bool view_wants_to_build(const struct bft *core, const struct bft_slot *slot)
{
    return view_may_vote(core) && view_leads(core, core->view) && !core->building &&
           !slot->build_failed && !slot->has_proposal && slot->own[VOTE_NOTARIZE] == BFT_OWN_NONE &&
           slot->own[VOTE_NULLIFY] == BFT_OWN_NONE;
}

/* [C-PROPOSE.WHEN] */
static uint64_t view_build_ms(const struct bft *core)
{
    const struct bft_slot *slot = bft_slot_find(core, core->view);
    if (slot == NULL || !view_wants_to_build(core, slot) || !core->parent_ready)
        return UINT64_MAX;
    const struct bft_timing *t = &core->config.timing;
    uint64_t idle = core->entry_ms + t->max_idle_ms;
    if (!core->pending)
        return idle;
    return view_earlier(idle, view_later(core->entry_ms, core->pending_ms) + t->block_interval_ms);
}

static void view_send_proposal(struct bft *core, struct bft_slot *slot, struct bft_block *block)
{
    struct message_proposal *out = &core->proposal_out;
    memset(out, 0, sizeof *out);
    out->header = block->header;
    view_own_vote(core, slot, VOTE_NOTARIZE, &out->vote);
    uint64_t parent_view = block->header.parent_view;
    struct bft_slot *parent = bft_slot_find(core, parent_view);
    if (core->has_top && parent_view == core->final_view) {
        out->parent_certificate = core->top;
        out->has_parent_certificate = true;
    } else if (parent != NULL && parent->certificates[VOTE_NOTARIZE].held) {
        bft_slot_certificate(core, parent, VOTE_NOTARIZE, &out->parent_certificate);
        out->has_parent_certificate = true;
    }
    /* [C-PROPOSE.PROOF] The latest skipped views; who lacks older ones fetches them. */
    uint64_t view = parent_view + 1;
    if (slot->view - view > MESSAGE_NULLIFICATIONS_MAX)
        view = slot->view - MESSAGE_NULLIFICATIONS_MAX;
    for (; view < slot->view; view++) {
        struct bft_slot *skipped = bft_slot_find(core, view);
        if (skipped != NULL && skipped->certificates[VOTE_NULLIFY].held)
            bft_slot_certificate(core, skipped, VOTE_NULLIFY,
                                 &out->nullifications[out->nullification_count++]);
    }
    struct bft_effect *effect = bft_emit(core, BFT_SEND_PROPOSAL, BFT_PEER_ALL);
    effect->header = block->header;
    effect->block_id = block->id;
    effect->vote = out->vote;
    effect->proposal = out;
}

static void view_build(struct bft *core)
{
    core->building = true;
    struct bft_effect *effect = bft_emit(core, BFT_BUILD, BFT_PEER_NONE);
    effect->view = core->view;
    effect->parent_view = core->parent_view;
    effect->block_id = core->parent_id;
    effect->height = core->parent_height + 1;
}

void view_on_built(struct bft *core, const struct bft_input *input)
{
    struct bft_slot *slot = bft_slot_claim(core, core->view);
    MUST(slot != NULL);
    const struct block_header *header = input->header;
    bool failed = input->failed || header == NULL; /* a failure says its view, a header holds it */
    uint64_t view = failed ? input->view : header->view;
    if (!core->building || view != core->view)
        return; /* too late: the view has moved on */
    core->building = false;
    if (!view_wants_to_build(core, slot))
        return;
    if (failed) {
        slot->build_failed = true; /* [C-NULLIFY.BUILD] */
        core->dirty = true;
        return;
    }
    MUST(chain_header_is_ours(core, header) && header->parent_view == core->parent_view);
    MUST(hash_equal(&header->parent_id, &core->parent_id));
    MUST(header->height == core->parent_height + 1);
    struct hash id;
    block_header_id(&id, header);
    struct bft_block *block = chain_store(core, header, &id);
    MUST(block != NULL);
    block->execution = BFT_EXECUTION_VALID;
    slot->has_proposal = true;
    slot->proposal_id = id;
    slot->proposal_ms = core->now_ms;
    view_journal_block(core, block);
    if (view_cast(core, slot, VOTE_NOTARIZE, &id, false)) /* [C-PROPOSE] */
        view_send_proposal(core, slot, block);
    else
        slot->build_failed = true; /* [C-NULLIFY.BUILD] */
}

/* --- receiving and notarizing (R3, R4) -------------------------------------------------------- */

/* Certificates that came with a proposal, before anything is judged by them. False: a false one. */
static bool view_take_proofs(struct bft *core, const struct message_proposal *proposal)
{
    if (proposal->has_parent_certificate && !tally_certificate(core, &proposal->parent_certificate))
        return false;
    for (uint32_t i = 0; i < proposal->nullification_count; i++)
        if (!tally_certificate(core, &proposal->nullifications[i]))
            return false;
    return true;
}

/* The block of a proposal whose leader has signed it. */
static void view_fill_slot(struct bft *core, const struct block_header *header,
                           const struct hash *id)
{
    struct bft_slot *slot = bft_slot_claim(core, header->view);
    MUST(slot != NULL);
    core->dirty = true;
    if (!slot->has_proposal) {
        slot->has_proposal = true; /* [C-RECEIVE] */
        slot->proposal_id = *id;
        slot->proposal_ms = core->now_ms;
    } else if (!hash_equal(&slot->proposal_id, id)) {
        slot->equivocal = true; /* [C-EQUIVOCAL] */
    }
    if (chain_header_is_ours(core, header))
        chain_store(core, header, id);
    else if (hash_equal(&slot->proposal_id, id))
        slot->invalid = true; /* [C-NULLIFY.INVALID] */
}

void view_on_proposal(struct bft *core, const struct bft_input *input)
{
    const struct message_proposal *proposal = input->proposal;
    const struct block_header *header = &proposal->header;
    const struct vote *vote = &proposal->vote;
    struct hash id;
    if (header->epoch != core->config.epoch)
        return; /* [C-EPOCH.OTHER] */
    block_header_id(&id, header);
    uint32_t leader = validator_set_leader(&core->config.set, core->config.epoch, header->view);
    /* [C-RECEIVE.LEADER] */
    if (input->from != (int)leader || vote->signer != leader || vote->kind != VOTE_NOTARIZE ||
        vote->view != header->view || !hash_equal(&vote->block_id, &id) ||
        proposal->nullification_count > MESSAGE_NULLIFICATIONS_MAX ||
        !view_take_proofs(core, proposal)) {
        bft_strike(core, input, "proposal that is not its leader's, or with a false certificate");
        return;
    }
    if (header->view <= core->final_view || header->view > core->view + 1)
        return; /* [C-RECEIVE.VIEW] */
    struct bft_slot *slot = bft_slot_claim(core, header->view);
    if (slot == NULL)
        return;
    bool reported = (slot->evidence[VOTE_NOTARIZE] >> leader & 1) != 0;
    if (!tally_vote(core, vote)) {
        bft_strike(core, input, "proposal without its leader's signature");
        return;
    }
    /* The vote may have completed a finalization and so moved the window. */
    slot = bft_slot_find(core, header->view);
    if (slot == NULL || header->view <= core->final_view)
        return;
    bool first = (slot->seen[VOTE_NOTARIZE] >> leader & 1) != 0 &&
                 hash_equal(&bft_slot_ballot(core, slot, VOTE_NOTARIZE, leader)->block_id, &id);
    bool second = !reported && (slot->evidence[VOTE_NOTARIZE] >> leader & 1) != 0;
    if (first || second) /* a third one was not even verified */
        view_fill_slot(core, header, &id);
}

/* [C-NOTARIZE.ANCESTRY] */
static enum chain_state view_ancestry(struct bft *core, const struct block_header *header)
{
    uint64_t parent_view = header->parent_view;
    int leader = (int)validator_set_leader(&core->config.set, core->config.epoch, header->view);
    if (parent_view >= header->view || parent_view < core->final_view)
        return CHAIN_BAD;
    uint32_t missing = 0;
    for (uint64_t view = parent_view + 1; view < header->view; view++) {
        const struct bft_slot *skipped = bft_slot_find(core, view);
        if (skipped != NULL && skipped->certificates[VOTE_NULLIFY].held)
            continue;
        if ((core->mutants & BFT_MUTANT_SKIP_ANCESTRY) != 0)
            continue;
        fetch_certificate(core, view, leader); /* [C-NOTARIZE.WAIT] */
        if (++missing >= BFT_WANTS_PER_PASS)
            return CHAIN_WAIT;
    }
    if (missing > 0)
        return CHAIN_WAIT;
    if (parent_view == core->final_view)
        return hash_equal(&header->parent_id, &core->final_id) ? CHAIN_READY : CHAIN_BAD;
    const struct bft_slot *parent = bft_slot_find(core, parent_view);
    if (parent == NULL || !parent->certificates[VOTE_NOTARIZE].held) {
        fetch_certificate(core, parent_view, leader); /* [C-NOTARIZE.WAIT] */
        return CHAIN_WAIT;
    }
    if (!hash_equal(&parent->certificates[VOTE_NOTARIZE].block_id, &header->parent_id))
        return CHAIN_BAD; /* there is one notarized block in a view, and this is not it */
    return parent->certified ? CHAIN_READY : CHAIN_WAIT;
}

/* [C-NOTARIZE.TIME] The only rule that looks at the wall clock. */
static bool view_time_is_right(const struct bft *core, const struct block_header *header)
{
    int64_t slack = BFT_CLOCK_SLACK_MS;
    int64_t behind = (int64_t)view_certify_timeout_ms(core) + slack;
    struct timestamp latest, earliest;
    if (!timestamp_add(&latest, core->wall, duration_of(slack)) ||
        !timestamp_sub(&earliest, core->wall, duration_of(behind)))
        return false;
    return timestamp_compare(header->time, latest) <= 0 &&
           timestamp_compare(header->time, earliest) >= 0;
}

static void view_notarize(struct bft *core, struct bft_slot *slot)
{
    /* [C-NOTARIZE] */
    if (!view_may_vote(core) || !slot->has_proposal || slot->equivocal || slot->invalid ||
        slot->own[VOTE_NOTARIZE] != BFT_OWN_NONE || slot->own[VOTE_NULLIFY] != BFT_OWN_NONE ||
        view_is_barred(slot, VOTE_NOTARIZE) || slot->build_failed)
        return;
    struct bft_block *block = bft_chain_find(core, slot->view, &slot->proposal_id);
    if (block == NULL)
        return; /* known by its certificate only: certification fetches it */
    enum chain_state state = view_ancestry(core, &block->header);
    if (state == CHAIN_READY)
        state = bft_chain_execute(core, slot->view, &block->id);
    if (state == CHAIN_WAIT)
        return;
    if (state == CHAIN_BAD || !view_time_is_right(core, &block->header)) {
        slot->invalid = true; /* [C-NULLIFY.INVALID] */
        core->dirty = true;
        return;
    }
    view_journal_block(core, block);
    (void)view_cast(core, slot, VOTE_NOTARIZE, &block->id, true);
}

/* --- nullifying and finalizing (R6, R7) ------------------------------------------------------- */

/* f + 1 validators have given the view up, so an honest one has. */
static bool view_is_given_up(const struct bft *core, const struct bft_slot *slot)
{
    uint32_t signers = (uint32_t)__builtin_popcount(slot->seen[VOTE_NULLIFY]);
    return signers >= core->count - core->quorum + 1;
}

/* [C-NULLIFY.PACE] What is refused without waiting costs a round trip. If that goes on, by clocks that are
 * hours apart or stores that are full, it would use up the window of views within minutes. */
static uint64_t view_refusal_ms(const struct bft *core)
{
    if (view_count_since_final(core) <= core->count - core->quorum)
        return 0; /* f liars may lead in a row */
    return core->entry_ms + view_scaled(core, core->config.timing.delta_ms) -
           core->config.timing.delta_ms;
}

/* When the current view is to be given up: 0 at once, UINT64_MAX never. */
static uint64_t view_nullify_ms(const struct bft *core)
{
    struct bft_slot *slot = bft_slot_find(core, core->view);
    if (slot == NULL || !view_may_vote(core) || slot->own[VOTE_NULLIFY] != BFT_OWN_NONE ||
        slot->own[VOTE_FINALIZE] != BFT_OWN_NONE || slot->certified ||
        view_is_barred(slot, VOTE_NULLIFY))
        return UINT64_MAX; /* [C-NULLIFY] */
    uint32_t leader = validator_set_leader(&core->config.set, core->config.epoch, core->view);
    if (slot->invalid || slot->build_failed || (slot->seen[VOTE_NULLIFY] >> leader & 1) != 0)
        return view_refusal_ms(core); /* [C-NULLIFY.INVALID] [C-NULLIFY.BUILD] [C-NULLIFY.LEADER] */
    if (!slot->has_proposal && view_is_given_up(core, slot))
        return 0; /* [C-NULLIFY.JOIN] */
    if (!slot->has_proposal)
        return view_lead_deadline_ms(core); /* [C-NULLIFY.LEAD] */
    return view_later(core->entry_ms, slot->proposal_ms) +
           view_certify_timeout_ms(core); /* [C-NULLIFY.CERT] */
}

/* [C-FINALIZE] Any certified view above the last finalization, also one that was left. */
static void view_finalize(struct bft *core)
{
    if (!view_may_vote(core))
        return;
    for (uint64_t view = core->final_view + 1; view <= core->view + 1; view++) {
        struct bft_slot *slot = bft_slot_find(core, view);
        if (slot == NULL || !slot->certified || slot->equivocal ||
            slot->own[VOTE_FINALIZE] != BFT_OWN_NONE || view_is_barred(slot, VOTE_FINALIZE))
            continue;
        if (slot->own[VOTE_NULLIFY] != BFT_OWN_NONE &&
            (core->mutants & BFT_MUTANT_FINALIZE_AFTER_NULLIFY) == 0)
            continue;
        if (!bft_has_room(core)) {
            core->more = true;
            return;
        }
        if (!view_cast(core, slot, VOTE_FINALIZE, &slot->certificates[VOTE_NOTARIZE].block_id,
                       true) &&
            core->signer_away)
            return;
    }
}

/* --- retransmission (R10) --------------------------------------------------------------------- */

/* [C-RETRY] Only who has given the view up, or waits without a vote, needs to ask again. */
static uint64_t view_retry_ms(const struct bft *core)
{
    const struct bft_slot *slot = bft_slot_find(core, core->view);
    if (slot != NULL && slot->own[VOTE_NULLIFY] == BFT_OWN_DURABLE)
        return core->retry_ms;
    return view_later(core->retry_ms, view_lead_deadline_ms(core));
}

static void view_retry(struct bft *core)
{
    core->retry_ms = core->now_ms + view_retry_interval_ms(core);
    struct bft_slot *slot = bft_slot_find(core, core->view);
    if (slot != NULL && slot->own[VOTE_NULLIFY] == BFT_OWN_DURABLE) {
        view_own_vote(core, slot, VOTE_NULLIFY, &bft_emit(core, BFT_SEND_VOTE, BFT_PEER_ALL)->vote);
        fetch_send_entry(core, BFT_PEER_ALL, 0);
    }
    if ((core->mutants & BFT_MUTANT_NO_FETCH_NO_STANDSTILL) != 0)
        return;
    int peer = fetch_random_peer(core, -1);
    if (peer >= 0)
        bft_emit(core, BFT_SEND_GET_CERT, peer)->view = core->view;
}

/* [C-STANDSTILL] Everything above the last finalization, a budget at a time, in turn. */
static void view_standstill(struct bft *core)
{
    core->standstill_ms = core->now_ms + view_standstill_interval_ms(core);
    if ((core->mutants & BFT_MUTANT_NO_FETCH_NO_STANDSTILL) != 0)
        return;
    fetch_send_status(core, BFT_PEER_ALL, 0);
    if (core->self < 0)
        return; /* [C-OBSERVER] */
    fetch_send_top(core, BFT_PEER_ALL, 0);
    uint64_t view = view_later(core->standstill_view, core->final_view + 1);
    int budget = BFT_STANDSTILL_BUDGET;
    for (; view <= core->view + 1 && budget > 0 && bft_has_room(core); view++) {
        struct bft_slot *slot = bft_slot_find(core, view);
        for (uint8_t kind = 0; slot != NULL && kind < VOTE_KIND_COUNT; kind++) {
            if (slot->certificates[kind].held && (kind != VOTE_NOTARIZE || slot->certified)) {
                bft_send_held(core, slot, kind, BFT_PEER_ALL, 0);
                budget--;
            }
            if (slot->own[kind] == BFT_OWN_DURABLE)
                view_own_vote(core, slot, kind, &bft_emit(core, BFT_SEND_VOTE, BFT_PEER_ALL)->vote);
        }
    }
    core->standstill_view = view > core->view + 1 ? 0 : view;
}

void view_timers(struct bft *core)
{
    if (!bft_has_room(core)) {
        core->more = true;
        return;
    }
    if (core->now_ms >= view_build_ms(core))
        view_build(core); /* [C-PROPOSE.WHEN] */
    if (core->now_ms >= view_nullify_ms(core)) {
        static const struct hash no_block;
        (void)view_cast(core, bft_slot_find(core, core->view), VOTE_NULLIFY, &no_block, true);
    }
    if (core->now_ms >= view_retry_ms(core))
        view_retry(core);
    if (core->standstill_ms == 0) /* armed anew by every finalization */
        core->standstill_ms = core->now_ms + view_standstill_interval_ms(core);
    if (core->now_ms >= core->standstill_ms)
        view_standstill(core);
}

uint64_t view_deadline_ms(const struct bft *core)
{
    uint64_t deadline = view_earlier(view_build_ms(core), view_nullify_ms(core));
    deadline = view_earlier(deadline, view_retry_ms(core));
    return core->standstill_ms == 0 ? deadline : view_earlier(deadline, core->standstill_ms);
}

void view_on_start(struct bft *core)
{
    core->entry_ms = core->now_ms;
    core->retry_ms = core->now_ms + view_retry_interval_ms(core);
    core->dirty = true;
    struct bft_slot *slot = bft_slot_find(core, core->view);
    if (slot == NULL || !view_leads(core, core->view) || slot->own[VOTE_NOTARIZE] == BFT_OWN_NONE)
        return;
    /* [C-RESTART.PROPOSAL] The stored block again, never another. */
    struct bft_block *block =
        bft_chain_find(core, slot->view, &slot->own_ballot[VOTE_NOTARIZE].block_id);
    if (block != NULL)
        view_send_proposal(core, slot, block);
}

void view_progress(struct bft *core)
{
    core->more = false;
    for (int pass = 0; !core->ended && (pass == 0 || core->dirty); pass++) { /* [C-EPOCH.END] */
        if (pass == BFT_PASSES || !bft_has_room(core)) {
            core->more = true;
            return;
        }
        core->dirty = false;
        tally_own_count(core);
        if (core->self >= 0) /* [C-OBSERVER] */
            chain_certify(core);
        view_finalize(core);
        struct bft_slot *slot = bft_slot_claim(core, core->view);
        MUST(slot != NULL);
        core->parent_ready = view_wants_to_build(core, slot) && view_find_parent(core);
        view_notarize(core, slot);
        chain_decide(core);
        if (!core->ended)
            view_timers(core);
    }
    core->more = (core->more || core->uncounted) && !core->ended;
}
