/* Verified transactions: checked against the committed state, put into the mempool, passed on.
 *
 * The check at the door gives a wallet its answer at once: a replay, another chain's transaction,
 * an expired one. It is against the last commit, so it is a service and not a rule; the block
 * builder checks again. A gap in the nonces waits in the mempool, up to NODE_NONCE_AHEAD_MAX,
 * because a wallet that signs ten transactions in a row may have them arrive in any order.
 *
 * Passing on: the node whose API took a transaction sends it to every validator that it is linked
 * to, in one frame with all that this turn of the loop took (ADR 54); those that receive it do not
 * send it on. Validators are a full mesh, so a relay would send
 * each transaction n times to everybody and cost more than its verification; where a link is
 * missing, the transaction waits for a leader that has it, the taker itself at the latest
 * (docs/adr).
 *
 * Deliberately absent: fetching transactions by id, and priorities: fairness is the mempool's. */
#include "base/fatal.h"
#include "base/log.h"
#include "consensus/message.h"
#include "node/api.h"
#include "node/core_feed.h"
#include "node/shell.h"

static struct state_view *committed_view(struct node *node)
{
    struct state_view *view = chain_committed_view(node->chain);
    if (view == NULL || view->fault)
        fatal_environment("the committed state cannot be read");
    return view;
}

/* A gap that may wait, or the error itself. */
static enum contract_error check_at_door(struct node *node, const struct transaction *transaction)
{
    struct state_view *view = committed_view(node);
    struct block_context context;
    chain_next_context(node->chain, node_clock_wall(&node->clock), &context);
    enum contract_error error = ledger_transaction_check(view, &context, transaction);
    if (error == CONTRACT_TX_NONCE_GAP) {
        struct participant_record record;
        struct name id;
        if (ledger_participant_by_key(view, &transaction->sender, &id, &record) &&
            transaction->nonce - record.nonce <= NODE_NONCE_AHEAD_MAX)
            error = CONTRACT_OK;
    }
    if (view->fault)
        fatal_environment("the committed state cannot be read");
    return error;
}

void node_gossip_flush(struct node *node)
{
    struct node_gossip *gossip = &node->gossip;
    if (gossip->count == 0)
        return;
    struct bytes_view frame = bytes_view_of(gossip->bytes, gossip->size);
    gossip->count = 0;
    gossip->size = 0;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        if (node->peer_validator[peer] != NODE_NO_VALIDATOR && p2p_peer_is_up(node->p2p, peer))
            node_send(node, peer, P2P_TRANSACTION, frame);
    }
}

/* Puts it into the frame that goes out at the end of the loop's turn. */
static void pass_on(struct node *node, const struct transaction *transaction)
{
    struct node_gossip *gossip = &node->gossip;
    if (gossip->count == MESSAGE_TRANSACTIONS_MAX ||
        gossip->size + sizeof(uint32_t) + transaction->envelope.size > NODE_GOSSIP_BYTES)
        node_gossip_flush(node);
    struct byte_writer writer;
    byte_writer_init(&writer, gossip->bytes, NODE_GOSSIP_BYTES);
    writer.size = gossip->size;
    message_append_transaction(&writer, transaction->envelope);
    MUST(!writer.failed);
    gossip->size = writer.size;
    gossip->count++;
}

static enum contract_error admit(struct node *node, struct node_event *event)
{
    MUST(node->mempool != NULL); /* an audit node refuses at its doors: API and frames */
    if (event->error != CONTRACT_OK)
        return event->error;
    if (mempool_has(node->mempool, &event->transaction.id))
        return CONTRACT_OK;
    enum contract_error error = check_at_door(node, &event->transaction);
    /* What would be taken is its sender's; what is refused may be anybody's copy. */
    if (error == CONTRACT_OK && event->call != NULL &&
        !api_key_may(node->api, &event->transaction.sender, &event->call->retry_seconds)) {
        metric_add(&node->metrics.http_limited, 1);
        event->call->limited = true;
        return CONTRACT_MEMPOOL_FULL;
    }
    if (error == CONTRACT_OK)
        error = mempool_add(node->mempool, &event->transaction);
    if (error == CONTRACT_EXISTS_ALREADY)
        return CONTRACT_OK;
    if (error == CONTRACT_OK && event->call != NULL)
        pass_on(node, &event->transaction);
    return error;
}

void node_take_transaction(struct node *node, struct node_event *event)
{
    const uint64_t from_ns = stage_now_ns();
    bool full = shell_store_is_full(node->shell);
    enum contract_error error = full ? CONTRACT_MEMPOOL_FULL : admit(node, event);
    if (error != CONTRACT_OK) {
        metric_add(&node->metrics.transactions_refused, 1);
        /* Another copy of a well-formed one may be welcome later on. */
        if (event->error == CONTRACT_OK)
            verify_cache_unsubmit(&node->cache, &event->leaf);
    }
    /* An honest peer has verified what it passes on. */
    bool peers_fault = event->call == NULL && event->error != CONTRACT_OK;
    if (peers_fault) {
        metric_add(&node->metrics.strikes, 1);
        p2p_strike(node->p2p, (uint32_t)event->peer, contract_error_name(event->error));
    }
    if (event->call != NULL) {
        event->call->error = error;
        event->call->unavailable = full;
        event->call->tx_id = event->transaction.id;
        event->call->done(event->call);
        event->call = NULL;
    }
    stage_add(&node->metrics.stages, STAGE_ADMIT, from_ns);
}

bool node_has_pending(struct node *node)
{
    return node->mempool != NULL &&
           core_has_pending(node->mempool, node->chain, committed_view(node),
                            node_clock_wall(&node->clock));
}
