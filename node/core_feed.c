/* See core_feed.h: frames of effects, replay of the journal, and whether there is work for a leader.
 *
 * Deliberately absent: queues, classes of traffic, oracles and metrics; those are the callers', and
 * differ between a daemon and a simulated node. */
#include "node/core_feed.h"
#include "base/fatal.h"
#include "consensus/message.h"

enum {
    /* Senders that are looked at for one that could go into the next block. */
    PENDING_SENDERS_MAX = 64
};

static void encode_proposal(struct byte_writer *writer, const struct chain *chain,
                            const struct message_proposal *from_core)
{
    struct message_proposal proposal = *from_core;
    struct block_header header;
    struct hash id;
    block_header_id(&id, &proposal.header);
    if (chain_body(chain, &id, &header, &proposal.body))
        message_encode_proposal(writer, &proposal);
}

void core_encode_send(struct byte_writer *writer, const struct chain *chain,
                      const struct bft_effect *effect)
{
    if (effect->kind == BFT_SEND_PROPOSAL) {
        encode_proposal(writer, chain, effect->proposal);
    } else if (effect->kind == BFT_SEND_VOTE) {
        message_encode_vote(writer, &effect->vote);
    } else if (effect->kind == BFT_SEND_CERTIFICATE) {
        message_encode_certificate(writer, effect->certificate);
    } else if (effect->kind == BFT_SEND_GET_CERT) {
        message_encode_get_cert(writer, effect->view);
    } else if (effect->kind == BFT_SEND_GET_BLOCK) {
        message_encode_get_block(writer, &effect->block_id);
    } else if (effect->kind == BFT_SEND_GET_RANGE) {
        message_encode_get_range(
            writer, &(struct message_get_range){effect->height, effect->count, effect->height});
    } else if (effect->kind == BFT_SEND_STATUS) {
        message_encode_status(writer, &effect->status);
    } else if (effect->kind == BFT_SEND_GET_HIGH_VOTE) {
        message_encode_get_high_vote(writer, &effect->key, effect->question);
    } else {
        MUST(effect->kind == BFT_SEND_HIGH_VOTE);
        message_encode_high_vote(writer, &effect->key, effect->question, effect->epoch,
                                 effect->has_vote ? &effect->vote : NULL);
    }
}

struct timestamp core_range_time(const struct message_range *range, struct timestamp wall)
{
    if (range->block_count == 0)
        return wall;
    const struct timestamp last = range->blocks[range->block_count - 1].header.time;
    return timestamp_compare(last, wall) > 0 ? last : wall;
}

bool core_replay(struct bft *core, struct chain *chain, const struct journal_entry *entry)
{
    bool good = true;
    switch (entry->type) {
    case JOURNAL_VOTE:
        good = bft_replay_vote(core, &entry->vote);
        break;
    case JOURNAL_PEER_VOTE:
        good = bft_replay_peer_vote(core, &entry->vote);
        break;
    case JOURNAL_CERTIFICATE:
        good = bft_replay_certificate(core, &entry->certificate);
        break;
    case JOURNAL_CERTIFIED:
        good = bft_replay_certified(core, entry->view, &entry->block_id);
        break;
    case JOURNAL_BLOCK:
        /* Checked before it was written, and the journal's checksum says that it is the same. */
        if (entry->header.height > chain_tip(chain)->height)
            good = chain_add_final_body(chain, &entry->header, entry->body, true,
                                        timestamp_of(INT64_MAX)) &&
                   bft_replay_block(core, &entry->header);
        break;
    }
    if (!good)
        bft_refuse_to_vote(core, "the vote journal contradicts itself");
    return good;
}

bool core_has_pending(struct mempool *mempool, const struct chain *chain, struct state_view *view,
                      struct timestamp now)
{
    if (mempool_count(mempool) == 0)
        return false;
    struct block_context context;
    struct bytes_view envelope;
    chain_next_context(chain, now, &context);
    mempool_walk_begin(mempool);
    for (int i = 0; i < PENDING_SENDERS_MAX && mempool_walk_next(mempool, &envelope); i++) {
        struct transaction transaction;
        MUST(transaction_decode(&transaction, envelope) == CONTRACT_OK);
        if (ledger_transaction_check(view, &context, &transaction) == CONTRACT_OK)
            return true;
        mempool_walk_skip_sender(mempool);
    }
    return false;
}
