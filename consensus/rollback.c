/* The rolled-back-disk rule (consensus.md, "Rolled-back disk"): after every start a validator votes
 * only when n - f validators, itself included, have shown the highest vote of its key that they
 * know, and its own journal holds each of them.
 *
 * Invariants
 *   1. No own vote is said before a quorum has answered [C-ROLLBACK].
 *   2. A vote shown counts only with this key's signature, so nobody can talk a node into silence.
 *   3. A vote at or below the own last decided view is harmless: no vote follows there any more.
 *   4. Who is in a later epoch has forgotten the votes of this one, and does not count.
 *   5. Nor does an answer to a question of an earlier life: the answerer may have learned since.
 *   6. Peers' highest votes are journaled only beside an own vote: they cost no sync.
 * Absent on purpose: what the journal itself notices about its damage (storage/journal.h). */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

static void rollback_ask(struct bft *core, int to)
{
    struct bft_effect *effect = bft_emit(core, BFT_SEND_GET_HIGH_VOTE, to);
    effect->key = core->config.set.validators[core->self].key;
    effect->question = core->config.jitter_seed;
}

static bool rollback_is_asking(const struct bft *core)
{
    return core->self >= 0 && core->started && !core->trusted && core->refusal == NULL &&
           !core->ended;
}

static void rollback_count(struct bft *core, int validator)
{
    core->answered |= UINT32_C(1) << validator;
    if (core->trusted || (uint32_t)__builtin_popcount(core->answered) < core->quorum)
        return;
    core->trusted = true; /* [C-ROLLBACK] */
    core->dirty = true;
}

void rollback_on_start(struct bft *core)
{
    if (!rollback_is_asking(core))
        return;
    rollback_count(core, core->self);
    core->ask_ms = core->now_ms + view_retry_interval_ms(core);
    rollback_ask(core, BFT_PEER_ALL);
}

void rollback_on_peer_up(struct bft *core, const struct bft_input *input)
{
    if (rollback_is_asking(core) && input->from >= 0 && input->from < (int)core->count &&
        (core->answered >> input->from & 1) == 0)
        rollback_ask(core, input->from);
}

uint64_t rollback_deadline_ms(const struct bft *core)
{
    return rollback_is_asking(core) ? core->ask_ms : UINT64_MAX;
}

void rollback_timers(struct bft *core)
{
    if (core->now_ms < rollback_deadline_ms(core))
        return;
    core->ask_ms = core->now_ms + view_retry_interval_ms(core);
    rollback_ask(core, BFT_PEER_ALL); /* [C-ROLLBACK.ASK] */
}

void rollback_on_get(struct bft *core, const struct bft_input *input)
{
    int index = validator_set_index(&core->config.set, &input->key);
    if (index < 0)
        return;
    struct bft_effect *effect = bft_emit(core, BFT_SEND_HIGH_VOTE, BFT_PEER_NONE);
    effect->reply_to = input->reply_to;
    effect->key = input->key;
    effect->question = input->question;
    effect->epoch = core->config.epoch;
    effect->has_vote = core->has_high[index]; /* [C-ROLLBACK.ANSWER] */
    effect->vote = core->high[index];
}

/* True if the own journal holds this very vote, or may forget it. */
static bool rollback_is_known(const struct bft *core, const struct vote *vote)
{
    if (vote->epoch < core->config.epoch ||
        (vote->epoch == core->config.epoch && vote->view <= core->config.final_view))
        return true;
    if (vote->epoch > core->config.epoch || vote->view > core->own_high_view)
        return false;
    struct bft_slot *slot = bft_slot_find(core, vote->view);
    return slot != NULL ? slot->own[vote->kind] != BFT_OWN_NONE &&
                              hash_equal(&slot->own_ballot[vote->kind].block_id, &vote->block_id)
                        : vote->view <= core->decided_view;
}

void rollback_on_answer(struct bft *core, const struct bft_input *input)
{
    if (!rollback_is_asking(core) || input->from < 0 || input->from >= (int)core->count ||
        input->from == core->self)
        return;
    const struct public_key *key = &core->config.set.validators[core->self].key;
    if (!public_key_equal(&input->key, key))
        return;
    const struct vote *vote = input->vote;
    if (vote != NULL) {
        struct hash message;
        vote_message(&message, &core->config.genesis, vote->kind, vote->epoch, vote->view,
                     &vote->block_id);
        if (vote->kind >= VOTE_KIND_COUNT ||
            !core->signing.verify(&vote->signature, key, &message)) {
            bft_strike(core, input, "highest vote without its signer's signature");
            return;
        }
        if (!rollback_is_known(core, vote)) { /* [C-ROLLBACK.REFUSE] */
            bft_alarm(core,
                      "a peer holds a vote of this key that the own journal lacks: the disk was "
                      "rolled back, or the key runs on two hosts. Replace the validator key");
            return;
        }
    }
    if (input->epoch > core->config.epoch) /* [C-ROLLBACK.LATER] */
        return;
    if (input->question == core->config.jitter_seed) /* [C-ROLLBACK.STALE] */
        rollback_count(core, input->from);
}

void rollback_note(struct bft *core, const struct vote *vote)
{
    MUST(vote->signer < core->count);
    struct vote *high = &core->high[vote->signer];
    bool higher = !core->has_high[vote->signer] || vote->view > high->view ||
                  (vote->view == high->view && vote->kind > high->kind);
    if (!higher)
        return;
    *high = *vote;
    core->has_high[vote->signer] = true;
    core->high_unsaved |= UINT32_C(1) << vote->signer;
}

void rollback_flush(struct bft *core)
{
    if (!core->own_vote_emitted)
        return;
    for (uint32_t signer = 0; signer < core->count; signer++)
        if ((core->high_unsaved >> signer & 1) != 0) /* [C-ROLLBACK.KEEP] */
            bft_emit(core, BFT_PERSIST_PEER_VOTE, BFT_PEER_NONE)->vote = core->high[signer];
    core->high_unsaved = 0;
}
