/* Frames and transactions into a node: strict decoding by the production decoders, bodies into the
 * chain, the rest into the core (as node/intake.c and node/gossip.c do on the daemon's loop). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "node/core_feed.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

enum { NONCE_AHEAD_MAX = 64 };

void sim_strike(struct sim *sim, struct sim_node *node, int slot, const char *why)
{
    if (slot < 0 || slot >= (int)sim->node_count || !sim_node_is_honest(node))
        return;
    sim_story(sim, node, "strikes node %d: %s", slot, why != NULL ? why : "?");
    if (!sim->nodes[slot].faulty)
        sim_fail(sim, SIM_SAFETY, "node %d strikes honest node %d: %s", node->slot, slot,
                 why != NULL ? why : "?");
}

/* The workers' part: is every signature in this body good? */
static bool body_is_signed(struct bytes_view body)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (!body_open(&reader, body))
        return false;
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        if (transaction_decode(&transaction, envelope) != CONTRACT_OK ||
            !sim_signature_is_good(&transaction))
            return false;
    }
    return body_is_whole(&reader);
}

static bool add_body(struct sim_node *node, const struct message_block *block)
{
    return body_is_signed(block->body) &&
           chain_add_body(node->chain, &block->header, block->body, true);
}

static bool take_proposal(struct sim *sim, struct sim_node *node, int from,
                          struct bytes_view payload)
{
    static struct message_proposal proposal;
    if (!message_decode_proposal(&proposal, payload))
        return false;
    if (!sim_wants_proposal(sim, node, from, &proposal.header))
        return true;
    struct message_block block = {.header = proposal.header, .body = proposal.body};
    if (!add_body(node, &block))
        return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_PROPOSAL, from);
    input.header = &proposal.header;
    input.vote = &proposal.vote;
    input.proposal = &proposal;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_block(struct sim *sim, struct sim_node *node, int from, struct bytes_view payload)
{
    struct message_block block;
    struct hash id;
    if (!message_decode_block(&block, payload))
        return false;
    block_header_id(&id, &block.header);
    if (!sim_wants_block(node, &id))
        return true;
    if (!add_body(node, &block))
        return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_BLOCK, from);
    input.header = &block.header;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_range(struct sim *sim, struct sim_node *node, int from, struct bytes_view payload)
{
    static struct message_range range;
    if (!message_decode_range(&range, payload))
        return false;
    if (!sim_wants_range(node, from))
        return true;
    for (uint32_t i = 0; i < range.block_count; i++)
        if (!add_body(node, &range.blocks[i]))
            return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_RANGE, from);
    input.range = &range;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_vote(struct sim *sim, struct sim_node *node, int from, struct bytes_view payload)
{
    struct vote vote;
    if (!message_decode_vote(&vote, payload))
        return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_VOTE, from);
    input.vote = &vote;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_certificate(struct sim *sim, struct sim_node *node, int from,
                             struct bytes_view payload)
{
    struct certificate certificate;
    if (!message_decode_certificate(&certificate, payload))
        return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_CERTIFICATE, from);
    input.certificate = &certificate;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_get_cert(struct sim *sim, struct sim_node *node, int from,
                          struct bytes_view payload)
{
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_GET_CERT, from);
    if (!message_decode_get_cert(&input.view, payload))
        return false;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_status(struct sim *sim, struct sim_node *node, int from, struct bytes_view payload)
{
    struct message_status status;
    if (!message_decode_status(&status, payload))
        return false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_STATUS, from);
    input.status = &status;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_get_high_vote(struct sim *sim, struct sim_node *node, int from,
                               struct bytes_view payload)
{
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_GET_HIGH_VOTE, from);
    if (!message_decode_get_high_vote(&input.key, &input.question, payload))
        return false;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_high_vote(struct sim *sim, struct sim_node *node, int from,
                           struct bytes_view payload)
{
    struct vote vote;
    bool has_vote = false;
    struct bft_input input = sim_input_from(sim, node, BFT_INPUT_HIGH_VOTE, from);
    if (!message_decode_high_vote(&input.key, &input.question, &input.epoch, &has_vote, &vote,
                                  payload))
        return false;
    input.vote = has_vote ? &vote : NULL;
    sim_feed(sim, node, &input);
    return true;
}

static bool take_get_block(struct sim *sim, struct sim_node *node, int from,
                           struct bytes_view payload)
{
    struct hash id;
    if (!message_decode_get_block(&id, payload))
        return false;
    sim_serve_block(sim, node, from, &id);
    return true;
}

static bool take_get_range(struct sim *sim, struct sim_node *node, int from,
                           struct bytes_view payload)
{
    struct message_get_range question;
    if (!message_decode_get_range(&question, payload))
        return false;
    sim_serve_range(sim, node, from, question.height, question.count);
    return true;
}

static bool take_gossip(struct sim *sim, struct sim_node *node, int from, struct bytes_view payload)
{
    /* Observers send none; an observer has no mempool worth filling. */
    if (node->validator < 0 || sim->nodes[from].validator < 0)
        return true;
    struct bytes_view envelopes[MESSAGE_TRANSACTIONS_MAX];
    uint32_t count = 0;
    if (!message_decode_transactions(envelopes, &count, payload))
        return false;
    bool honest = true;
    for (uint32_t i = 0; i < count; i++) {
        enum contract_error error = sim_take_transaction(sim, node, from, envelopes[i]);
        honest = honest && error != CONTRACT_TX_MALFORMED && error != CONTRACT_TX_OVERSIZED &&
                 error != CONTRACT_TX_BAD_WITNESS && error != CONTRACT_TX_BAD_SIGNATURE;
    }
    return honest;
}

typedef bool (*take_fn)(struct sim *sim, struct sim_node *node, int from,
                        struct bytes_view payload);

static const take_fn takers[] = {
    [MESSAGE_PROPOSAL] = take_proposal,       [MESSAGE_VOTE] = take_vote,
    [MESSAGE_CERTIFICATE] = take_certificate, [MESSAGE_GET_CERT] = take_get_cert,
    [MESSAGE_GET_BLOCK] = take_get_block,     [MESSAGE_BLOCK] = take_block,
    [MESSAGE_GET_RANGE] = take_get_range,     [MESSAGE_RANGE] = take_range,
    [MESSAGE_STATUS] = take_status,           [MESSAGE_GET_HIGH_VOTE] = take_get_high_vote,
    [MESSAGE_HIGH_VOTE] = take_high_vote,     [MESSAGE_TRANSACTIONS] = take_gossip,
};

void sim_intake(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame)
{
    if (node->persona != NULL && node->persona->hear != NULL &&
        node->persona->hear(sim, node, from, frame))
        return;
    uint8_t type = frame.size > 0 ? frame.data[0] : 0;
    if (type == 0 || type >= sizeof takers / sizeof takers[0] || takers[type] == NULL) {
        sim_strike(sim, node, from, "unknown message type");
        return;
    }
    if (!takers[type](sim, node, from, bytes_view_of(frame.data + 1, frame.size - 1)) && node->up)
        sim_strike(sim, node, from, "a frame that no honest peer sends");
}

/* --- transactions ----------------------------------------------------------------------------------- */

static enum contract_error check_at_door(struct sim *sim, struct sim_node *node,
                                         const struct transaction *transaction)
{
    struct state_view *view = chain_committed_view(node->chain);
    struct block_context context;
    chain_next_context(node->chain, sim_node_wall(sim, node), &context);
    enum contract_error error = ledger_transaction_check(view, &context, transaction);
    if (error == CONTRACT_TX_NONCE_GAP) {
        struct participant_record record;
        struct name id;
        if (ledger_participant_by_key(view, &transaction->sender, &id, &record) &&
            transaction->nonce - record.nonce <= NONCE_AHEAD_MAX)
            error = CONTRACT_OK;
    }
    MUST(!view->fault);
    return error;
}

enum contract_error sim_take_transaction(struct sim *sim, struct sim_node *node, int from,
                                         struct bytes_view envelope)
{
    struct transaction transaction;
    enum contract_error error = transaction_decode(&transaction, envelope);
    if (error != CONTRACT_OK)
        return error;
    if (!sim_signature_is_good(&transaction))
        return CONTRACT_TX_BAD_SIGNATURE;
    if (node->shell->store_full)
        return CONTRACT_MEMPOOL_FULL;
    if (mempool_has(node->mempool, &transaction.id))
        return CONTRACT_OK;
    error = check_at_door(sim, node, &transaction);
    if (error == CONTRACT_OK)
        error = mempool_add(node->mempool, &transaction);
    if (error != CONTRACT_OK)
        return error;
    node->shell->pending_changed = true;
    if (from >= 0)
        return CONTRACT_OK;
    uint8_t frame[1 + 4 + SIM_ENVELOPE_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, frame, sizeof frame);
    message_append_transaction(&writer, envelope);
    MUST(!writer.failed);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].validator != node->validator &&
            sim_place(sim, node->epoch, sim->nodes[i].validator) >= 0)
            sim_send_now(sim, node, (int)i, bytes_view_of(frame, writer.size));
    return CONTRACT_OK;
}

void sim_feed_pending(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    if (!shell->pending_changed || node->place < 0)
        return;
    shell->pending_changed = false;
    bool pending = !shell->store_full &&
                   core_has_pending(node->mempool, node->chain, chain_committed_view(node->chain),
                                    sim_node_wall(sim, node));
    if (pending == shell->pending)
        return;
    shell->pending = pending;
    struct bft_input input = sim_input(BFT_INPUT_PENDING);
    input.pending = pending;
    sim_feed(sim, node, &input);
    sim_settle(sim, node);
}
