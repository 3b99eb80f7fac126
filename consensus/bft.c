/* The core's life: memory, replay of the journal, one step per input (consensus/bft.h).
 *
 * A step records what its input says, then runs passes of the view machine and the chain driver
 * until nothing changes: a fixpoint, so that no rule depends on the order in which its premises
 * became true.
 *
 * Invariants
 *   1. A step depends on the state and the input alone; equal runs give equal effects.
 *   2. The clock of the core never runs backwards, whatever the inputs say.
 * Absent on purpose: every rule of the protocol (view.c, tally.c, chain.c). */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

static size_t bft_head_size(void)
{
    return (sizeof(struct bft) + 63) / 64 * 64;
}

size_t bft_size(uint32_t validators)
{
    MUST(validators >= LIMIT_VALIDATORS_MIN && validators <= LIMIT_VALIDATORS);
    return bft_head_size() + (size_t)LIMIT_VIEW_WINDOW * bft_slot_stride(validators) +
           (size_t)LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE;
}

static bool bft_timing_is_legal(const struct bft_timing *timing)
{
    return timing->delta_ms > 0 && timing->block_interval_ms > 0 && timing->max_idle_ms > 0 &&
           timing->exec_budget_ms > 0 && timing->timeout_cap_ms > 0 &&
           timing->backoff_permille >= 1000;
}

struct bft *bft_create(void *memory, const struct bft_config *config)
{
    if (!validator_set_is_valid(&config->set) || !bft_timing_is_legal(&config->timing) ||
        config->final_view >= BFT_VIEW_MAX)
        return NULL;
    int self = -1;
    if (!config->observer) {
        struct public_key key = config->key;
        if (config->sign == NULL)
            ed25519_public_key(&key, &config->seed);
        self = validator_set_index(&config->set, &key);
        if (self < 0)
            return NULL;
    }
    struct bft *core = memory;
    memset(core, 0, sizeof *core);
    core->config = *config;
    core->signing = (struct bft_signing){.sign = ed25519_sign, .verify = ed25519_verify};
    core->count = config->set.count;
    core->quorum = validator_set_quorum(&config->set);
    core->self = self;
    core->signer_away = config->sign != NULL;
    core->stride = bft_slot_stride(core->count);
    core->ring = (uint8_t *)memory + bft_head_size();
    core->proof_headers = core->ring + (size_t)LIMIT_VIEW_WINDOW * core->stride;
    validator_set_hash(&core->set_hash, &config->set);
    core->final_view = core->decided_view = config->final_view;
    core->final_id = core->decided_id = config->final_id;
    core->decided_height = core->committed_height = config->final_height;
    core->decided_time = config->final_time;
    core->floor_view = config->final_view > 0 ? config->final_view - 1 : 0;
    core->random = config->jitter_seed != 0 ? config->jitter_seed : UINT64_C(0x9E3779B97F4A7C15);
    core->view = 0;
    view_enter(core, config->final_view + 1);
    MUST(core->view == config->final_view + 1);
    return core;
}

void bft_destroy(struct bft *core)
{
    secret_key_wipe(&core->config.seed);
}

/* --- replay (consensus.md 9) ------------------------------------------------------------------ */

bool bft_replay_vote(struct bft *core, const struct vote *vote)
{
    MUST(!core->started);
    if (core->self < 0 || vote->kind >= VOTE_KIND_COUNT || vote->signer != core->self ||
        vote->epoch > core->config.epoch || vote->view == 0)
        return false;
    if (vote->epoch < core->config.epoch)
        return true;
    if (vote->view > core->own_high_view)
        core->own_high_view = vote->view;
    if (vote->view <= core->final_view)
        return true;
    struct bft_slot *slot = bft_slot_claim(core, vote->view);
    if (slot == NULL)
        return false;
    /* [C-RESTART.CONTRADICTION] */
    if (slot->own[vote->kind] != BFT_OWN_NONE)
        return hash_equal(&slot->own_ballot[vote->kind].block_id, &vote->block_id);
    if ((vote->kind == VOTE_FINALIZE && slot->own[VOTE_NULLIFY] != BFT_OWN_NONE) ||
        (vote->kind == VOTE_NULLIFY && slot->own[VOTE_FINALIZE] != BFT_OWN_NONE) ||
        (vote->kind == VOTE_NOTARIZE && slot->own[VOTE_NULLIFY] != BFT_OWN_NONE))
        return (core->mutants & BFT_MUTANT_FINALIZE_AFTER_NULLIFY) != 0;
    slot->own[vote->kind] = BFT_OWN_DURABLE;
    slot->own_ballot[vote->kind] =
        (struct bft_ballot){.block_id = vote->block_id, .signature = vote->signature};
    if (vote->kind == VOTE_NOTARIZE && !slot->has_proposal) {
        slot->has_proposal = true;
        slot->proposal_id = vote->block_id;
    }
    if ((core->mutants & BFT_MUTANT_NO_REFEED) == 0)
        tally_own_expect(core, vote->view); /* [C-RESTART.REFEED] */
    return true;
}

bool bft_replay_peer_vote(struct bft *core, const struct vote *vote)
{
    MUST(!core->started);
    if (vote->signer >= core->count || vote->kind >= VOTE_KIND_COUNT)
        return false;
    if (vote->epoch == core->config.epoch && (int)vote->signer != core->self)
        rollback_note(core, vote);
    core->high_unsaved = 0;
    return true;
}

bool bft_replay_certificate(struct bft *core, const struct certificate *certificate)
{
    MUST(!core->started);
    if (!certificate_is_well_formed(certificate, &core->config.set) ||
        certificate->view >= BFT_VIEW_MAX)
        return false;
    const char *refusal = core->refusal;
    if (certificate->epoch == core->config.epoch)
        tally_take(core, certificate); /* [C-RESTART] */
    return core->refusal == refusal;   /* an earlier refusal says nothing about this certificate */
}

bool bft_replay_certified(struct bft *core, uint64_t view, const struct hash *block_id)
{
    MUST(!core->started);
    if (view <= core->final_view)
        return true;
    struct bft_slot *slot = bft_slot_find(core, view);
    if (slot == NULL || !slot->certificates[VOTE_NOTARIZE].held ||
        !hash_equal(&slot->certificates[VOTE_NOTARIZE].block_id, block_id))
        return false;
    slot->certified = true;
    view_enter(core, view + 1); /* [C-RESTART] */
    return true;
}

bool bft_replay_block(struct bft *core, const struct block_header *header)
{
    MUST(!core->started);
    if (!chain_header_is_ours(core, header))
        return header->epoch < core->config.epoch;
    struct hash id;
    block_header_id(&id, header);
    struct bft_block *block =
        header->view > core->decided_view ? chain_store(core, header, &id) : NULL;
    if (block != NULL)
        block->journaled = true;
    return true;
}

void bft_refuse_to_vote(struct bft *core, const char *reason)
{
    MUST(reason != NULL);
    if (core->refusal == NULL)
        core->refusal = reason;
}

/* --- one step --------------------------------------------------------------------------------- */

static void bft_on_vote(struct bft *core, const struct bft_input *input)
{
    if (input->vote->epoch != core->config.epoch)
        return; /* [C-EPOCH.OTHER] */
    /* Nobody relays others' votes; certificates do that. */
    if (input->from != (int)input->vote->signer || !tally_vote(core, input->vote))
        bft_strike(core, input, "vote that is not its sender's, or false");
}

static void bft_on_start(struct bft *core)
{
    MUST(!core->started);
    core->started = true;
    /* What a contradiction found in the journal was must be heard once. */
    if (core->refusal != NULL)
        bft_emit(core, BFT_ALARM, BFT_PEER_NONE)->text = core->refusal;
    view_on_start(core);
    rollback_on_start(core);
}

static void bft_on_pending(struct bft *core, bool pending)
{
    if (pending && !core->pending)
        core->pending_ms = core->now_ms;
    core->pending = pending;
}

/* [C-EPOCH.END] What a core still hears that has decided its boundary block. */
static bool bft_is_deaf_to(const struct bft *core, enum bft_input_kind kind)
{
    return core->ended && kind != BFT_INPUT_COMMITTED && kind != BFT_INPUT_STATUS &&
           kind != BFT_INPUT_GET_CERT && kind != BFT_INPUT_PEER_UP &&
           kind != BFT_INPUT_GET_HIGH_VOTE;
}

static void bft_dispatch(struct bft *core, const struct bft_input *input)
{
    if (bft_is_deaf_to(core, input->kind))
        return;
    switch (input->kind) {
    case BFT_INPUT_START:
        bft_on_start(core);
        break;
    case BFT_INPUT_TICK:
        break;
    case BFT_INPUT_PROPOSAL:
        view_on_proposal(core, input);
        break;
    case BFT_INPUT_VOTE:
        bft_on_vote(core, input);
        break;
    case BFT_INPUT_CERTIFICATE:
        if (!tally_certificate(core, input->certificate))
            bft_strike(core, input, "false certificate");
        break;
    case BFT_INPUT_GET_CERT:
        fetch_on_get_certificate(core, input);
        break;
    case BFT_INPUT_BLOCK:
        chain_on_block(core, input);
        break;
    case BFT_INPUT_RANGE:
        chain_on_range(core, input);
        break;
    case BFT_INPUT_STATUS:
        fetch_on_status(core, input);
        break;
    case BFT_INPUT_PEER_UP:
        fetch_send_status(core, BFT_PEER_NONE, input->reply_to);
        rollback_on_peer_up(core, input);
        break;
    case BFT_INPUT_GET_HIGH_VOTE:
        rollback_on_get(core, input);
        break;
    case BFT_INPUT_HIGH_VOTE:
        rollback_on_answer(core, input);
        break;
    case BFT_INPUT_PENDING:
        bft_on_pending(core, input->pending);
        break;
    case BFT_INPUT_BUILT:
        view_on_built(core, input);
        break;
    case BFT_INPUT_EXECUTED:
        chain_on_executed(core, input);
        break;
    case BFT_INPUT_COMMITTED:
        chain_on_committed(core, input->height);
        break;
    case BFT_INPUT_PERSISTED:
        tally_own_persisted(core);
        break;
    case BFT_INPUT_SIGNER: /* [C-SIGNER] */
        core->signer_away = core->config.sign != NULL && !input->available;
        core->dirty = true;
        break;
    }
}

void bft_step(struct bft *core, const struct bft_input *input, struct bft_effects *effects)
{
    MUST(core->started == (input->kind != BFT_INPUT_START));
    effects->count = 0;
    core->effects = effects;
    core->persist_count = 0;
    core->own_vote_emitted = false;
    core->pool_used = 0;
    if (input->now_ms > core->now_ms)
        core->now_ms = input->now_ms;
    core->wall = input->wall;
    bft_dispatch(core, input);
    view_progress(core);
    rollback_timers(core);
    fetch_sweep(core);
    rollback_flush(core);
    core->effects = NULL;
}

uint64_t bft_deadline_ms(const struct bft *core)
{
    if (!core->started || core->ended)
        return UINT64_MAX;
    if (core->more)
        return core->now_ms;
    uint64_t deadline = view_deadline_ms(core);
    uint64_t others[] = {fetch_deadline_ms(core), rollback_deadline_ms(core)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i] < deadline)
            deadline = others[i];
    return deadline;
}

void bft_status(const struct bft *core, struct bft_view_status *out)
{
    *out = (struct bft_view_status){.view = core->view,
                                    .final_view = core->final_view,
                                    .final_height = core->decided_height,
                                    .committed_height = core->committed_height,
                                    .voting = view_may_vote(core),
                                    .refusal = core->refusal,
                                    .epoch = core->config.epoch,
                                    .epoch_ended = core->ended,
                                    .floor_view = core->floor_view};
}
