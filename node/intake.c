/* Frames from peers: sorted in p2p's callback, decoded and handed to the core on the loop thread.
 *
 * In the callback (nng's threads): bodies and transactions go to the workers, everything else to
 * the inbox; a peer over its share is told to wait. On the loop: strict decoding, and a strike for
 * what no honest peer sends. Whatever a body says was checked by the workers before it comes here.
 *
 * Transactions that find no room are dropped and counted, not held back: a link that waits for the
 * mempool would hold up the votes behind it, and the node that took the transaction keeps it.
 *
 * Deliberately absent: any judgement about consensus. Decoded means well-formed, nothing more. */
#include "base/fatal.h"
#include "base/log.h"
#include "node/core_feed.h"
#include "node/shell.h"
#include "node/snapshots.h"

static bool admit_frame(struct node *node, enum node_event_kind kind, uint32_t peer,
                        struct bytes_view frame)
{
    struct node_event *event = inbox_admit_frame(&node->inbox, kind, (int)peer, frame);
    if (event == NULL)
        return false;
    metric_add(&node->metrics.frames_received, 1);
    if (kind == NODE_EVENT_BODIES)
        workers_bodies(node->workers, event);
    else
        inbox_push(&node->inbox, event);
    return true;
}

static bool accept_transactions(struct node *node, uint32_t peer, struct bytes_view frame)
{
    /* Observers send none; audit nodes have no mempool worth filling. */
    if (node->peer_validator[peer] == NODE_NO_VALIDATOR || !node_is_validator(node))
        return true;
    struct bytes_view envelopes[MESSAGE_TRANSACTIONS_MAX];
    uint32_t count = 0;
    if (!message_decode_transactions(envelopes, &count,
                                     bytes_view_of(frame.data + 1, frame.size - 1)))
        return admit_frame(node, NODE_EVENT_FRAME, peer, frame); /* the loop strikes its sender */
    metric_add(&node->metrics.transactions_received, count);
    struct node_event *taken = NULL;
    struct node_event **end = &taken;
    for (uint32_t i = 0; i < count; i++) {
        *end = inbox_admit_transaction(&node->inbox, (int)peer, NULL, envelopes[i]);
        if (*end == NULL)
            metric_add(&node->metrics.transactions_overload, 1);
        else
            end = &(*end)->next;
    }
    if (taken != NULL)
        workers_transactions(node->workers, taken);
    return true;
}

static bool accept_frame(struct node *node, uint32_t peer, struct bytes_view frame)
{
    MUST(frame.size <= LIMIT_FRAME_BYTES); /* p2p refuses longer ones */
    /* An empty frame is the loop's to judge: strikes are its business alone. */
    uint8_t type = frame.size > 0 ? frame.data[0] : 0;
    if (type == MESSAGE_TRANSACTIONS)
        return accept_transactions(node, peer, frame);
    bool bodies = type == MESSAGE_PROPOSAL || type == MESSAGE_BLOCK || type == MESSAGE_RANGE;
    return admit_frame(node, bodies ? NODE_EVENT_BODIES : NODE_EVENT_FRAME, peer, frame);
}

bool node_on_p2p(void *context, const struct p2p_event *event)
{
    struct node *node = context;
    bool room = true;
    MUST(event->peer < P2P_PEERS_MAX);
    /* The loop hears of links in any case: it may begin in the middle. */
    const bool taken = sync_inbox_take(&node->sync_inbox, event, &room);
    if (taken && event->kind == P2P_FRAME)
        return room;
    switch (event->kind) {
    case P2P_PEER_UP:
        inbox_push_link(&node->inbox, event->peer, true);
        return true;
    case P2P_PEER_DOWN:
        inbox_push_link(&node->inbox, event->peer, false);
        return true;
    case P2P_FRAME:
        return accept_frame(node, event->peer, event->frame);
    }
    return true;
}

void node_strike(struct node *node, int peer, const char *why)
{
    metric_add(&node->metrics.strikes, 1);
    p2p_strike(node->p2p, (uint32_t)peer, why);
}

bool node_take_body(struct node *node, const struct block_header *header, struct bytes_view body,
                    const struct timestamp *final_or_null, bool *at_fault)
{
    if (final_or_null != NULL
            ? chain_add_final_body(node->chain, header, body, true, *final_or_null)
            : chain_add_body(node->chain, header, body, true))
        return true;
    *at_fault = chain_has_room(node->chain, body.size);
    return false;
}

static bool take_proposal(struct node *node, int peer, struct bytes_view payload)
{
    struct message_proposal proposal;
    struct hash id;
    if (!message_decode_proposal(&proposal, payload))
        return false;
    block_header_id(&id, &proposal.header);
    if (!chain_has_body(node->chain, &id) &&
        !shell_wants_proposal(node->shell, peer, &proposal.header))
        return true;
    bool at_fault = false;
    if (!node_take_body(node, &proposal.header, proposal.body, NULL, &at_fault))
        return !at_fault;
    struct bft_input input = shell_input_from(node, BFT_INPUT_PROPOSAL, peer);
    input.header = &proposal.header;
    input.vote = &proposal.vote;
    input.proposal = &proposal;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_block(struct node *node, int peer, struct bytes_view payload)
{
    struct message_block block;
    struct hash id;
    if (!message_decode_block(&block, payload) || !shell_takes_answer(node->shell, peer))
        return false;
    block_header_id(&id, &block.header);
    if (!shell_wants_block(node->shell, &id))
        return true;
    bool at_fault = false;
    if (!node_take_body(node, &block.header, block.body, NULL, &at_fault))
        return !at_fault;
    struct bft_input input = shell_input_from(node, BFT_INPUT_BLOCK, peer);
    input.header = &block.header;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_vote(struct node *node, int peer, struct bytes_view payload)
{
    struct vote vote;
    if (!message_decode_vote(&vote, payload))
        return false;
    /* Its signature is the core's to check; the link says who sent it. */
    if (vote.epoch == node->epoch && node->peer_validator[peer] == vote.signer)
        figures_vote(&node->figures, vote.signer, vote.view);
    struct bft_input input = shell_input_from(node, BFT_INPUT_VOTE, peer);
    input.vote = &vote;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_certificate(struct node *node, int peer, struct bytes_view payload)
{
    struct certificate certificate;
    if (!message_decode_certificate(&certificate, payload))
        return false;
    struct bft_input input = shell_input_from(node, BFT_INPUT_CERTIFICATE, peer);
    input.certificate = &certificate;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_get_cert(struct node *node, int peer, struct bytes_view payload)
{
    struct bft_input input = shell_input_from(node, BFT_INPUT_GET_CERT, peer);
    if (!message_decode_get_cert(&input.view, payload))
        return false;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_status(struct node *node, int peer, struct bytes_view payload)
{
    struct message_status status;
    if (!message_decode_status(&status, payload))
        return false;
    range_ahead_claim(&node->ranges.ahead, (uint32_t)peer, status.final_height);
    struct bft_input input = shell_input_from(node, BFT_INPUT_STATUS, peer);
    input.status = &status;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_get_high_vote(struct node *node, int peer, struct bytes_view payload)
{
    struct bft_input input = shell_input_from(node, BFT_INPUT_GET_HIGH_VOTE, peer);
    if (!message_decode_get_high_vote(&input.key, &input.question, payload))
        return false;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_high_vote(struct node *node, int peer, struct bytes_view payload)
{
    struct vote vote;
    bool has_vote = false;
    struct bft_input input = shell_input_from(node, BFT_INPUT_HIGH_VOTE, peer);
    if (!message_decode_high_vote(&input.key, &input.question, &input.epoch, &has_vote, &vote,
                                  payload))
        return false;
    input.vote = has_vote ? &vote : NULL;
    shell_feed(node->shell, &input);
    return true;
}

static bool take_get_block(struct node *node, int peer, struct bytes_view payload)
{
    struct hash id;
    if (!message_decode_get_block(&id, payload))
        return false;
    node_serve_block(node, (uint32_t)peer, &id);
    return true;
}

static bool take_get_range(struct node *node, int peer, struct bytes_view payload)
{
    struct message_get_range question;
    if (!message_decode_get_range(&question, payload))
        return false;
    node_serve_range(node, (uint32_t)peer, &question);
    return true;
}

static bool take_get_snapshots(struct node *node, int peer, struct bytes_view payload)
{
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    struct snapshot_offers offers;
    if (payload.size != 0)
        return false;
    snapshots_offers(node->snapshots, &offers);
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_offers(&writer, &offers);
    MUST(!writer.failed);
    node_send(node, (uint32_t)peer, P2P_TRANSACTION, bytes_view_of(bytes, writer.size));
    return true;
}

static bool take_get_snapshot_part(struct node *node, int peer, struct bytes_view payload)
{
    struct snapshot_wanted wanted;
    if (!snapshot_decode_wanted(&wanted, payload))
        return false;
    const uint64_t oldest = snapshots_oldest(node->snapshots);
    if (oldest != 0)
        retention_note(&node->holds[peer], oldest + 1, node_clock_monotonic_ms());
    snapshots_ask(node->snapshots, (uint32_t)peer, &wanted);
    return true;
}

/* Late answers to a sync that is over. */
static bool take_snapshot_answer(struct node *node, int peer, struct bytes_view payload)
{
    (void)node;
    (void)peer;
    (void)payload;
    return true;
}

static bool take_pruned(struct node *node, int peer, struct bytes_view payload)
{
    uint64_t first = 0;
    char key[2 * PUBLIC_KEY_SIZE + 1];
    if (!snapshot_decode_pruned(&first, payload))
        return false;
    range_ahead_pruned(&node->ranges.ahead, (uint32_t)peer, first);
    if (node->told_pruned[peer] != first) {
        node->told_pruned[peer] = first;
        hex_encode(key, node->config.peers[peer].key.bytes, PUBLIC_KEY_SIZE);
        log_line(
            LOG_UNUSUAL,
            "peer %.12s has blocks from %llu on only -> asks others; if nobody has them, start "
            "from an empty home with \"sync\": \"snapshot\"",
            key, (unsigned long long)first);
    }
    return true;
}

/* Well-formed ones never come here: they have gone to the workers. */
static bool take_transactions(struct node *node, int peer, struct bytes_view payload)
{
    (void)node;
    (void)peer;
    (void)payload;
    return false;
}

typedef bool (*take_fn)(struct node *node, int peer, struct bytes_view payload);

static const struct {
    take_fn take;
    const char *fault;
} takers[] = {
    [MESSAGE_PROPOSAL] = {take_proposal, "malformed proposal, or a body that is not its header's"},
    [MESSAGE_VOTE] = {take_vote, "malformed vote"},
    [MESSAGE_CERTIFICATE] = {take_certificate, "malformed certificate"},
    [MESSAGE_GET_CERT] = {take_get_cert, "malformed request for a certificate"},
    [MESSAGE_GET_BLOCK] = {take_get_block, "malformed request for a block"},
    [MESSAGE_BLOCK] = {take_block,
                       "malformed or unasked block, or a body that is not its header's"},
    [MESSAGE_GET_RANGE] = {take_get_range, "malformed request for a range"},
    [MESSAGE_RANGE] = {node_take_range,
                       "malformed or unasked range, or a body that is not its header's"},
    [MESSAGE_STATUS] = {take_status, "malformed status"},
    [MESSAGE_GET_HIGH_VOTE] = {take_get_high_vote, "malformed request for a high vote"},
    [MESSAGE_HIGH_VOTE] = {take_high_vote, "malformed high vote"},
    [MESSAGE_TRANSACTIONS] = {take_transactions, "malformed bundle of transactions"},
    [MESSAGE_GET_SNAPSHOTS] = {take_get_snapshots, "malformed question for snapshots"},
    [MESSAGE_SNAPSHOTS] = {take_snapshot_answer, NULL},
    [MESSAGE_GET_SNAPSHOT_PART] = {take_get_snapshot_part,
                                   "malformed request for a part of a snapshot"},
    [MESSAGE_SNAPSHOT_PART] = {take_snapshot_answer, NULL},
    [MESSAGE_PRUNED] = {take_pruned, "malformed word about pruned blocks"},
};

static void take_frame(struct node *node, const struct node_event *event)
{
    if (event->size == 0) {
        node_strike(node, event->peer, "empty frame");
        return;
    }
    uint8_t type = event->bytes[0];
    struct bytes_view payload = bytes_view_of(event->bytes + 1, event->size - 1);
    if (event->bad) {
        node_strike(node, event->peer, "a block with a malformed or badly signed transaction");
        return;
    }
    if (type >= sizeof takers / sizeof takers[0] || takers[type].take == NULL) {
        node_strike(node, event->peer, "unknown message type");
        return;
    }
    if (!takers[type].take(node, event->peer, payload))
        node_strike(node, event->peer, takers[type].fault);
}

static void take_link(struct node *node, const struct node_event *event)
{
    bool up = false;
    uint32_t changes = 0;
    inbox_link(&node->inbox, (uint32_t)event->peer, &up, &changes);
    char key[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(key, node->config.peers[event->peer].key.bytes, PUBLIC_KEY_SIZE);
    log_line(LOG_INFO, "peer %.12s %s", key, up ? "connected" : "disconnected");
    range_ahead_link(&node->ranges.ahead, (uint32_t)event->peer, up);
    if (!up)
        return;
    struct bft_input input = shell_input_from(node, BFT_INPUT_PEER_UP, event->peer);
    shell_feed(node->shell, &input);
}

void node_intake(struct node *node, struct node_event *event)
{
    switch (event->kind) {
    case NODE_EVENT_FRAME:
    case NODE_EVENT_BODIES:
        if (!shell_has_failed(node->shell)) /* else there may be no core to ask */
            take_frame(node, event);
        break;
    case NODE_EVENT_LINK:
        take_link(node, event);
        break;
    case NODE_EVENT_TRANSACTION:
        node_take_transaction(node, event);
        break;
    case NODE_EVENT_LOOKUP:
        event->call->pending =
            node->mempool != NULL && mempool_has(node->mempool, &event->call->tx_id);
        event->call->done(event->call);
        event->call = NULL;
        break;
    case NODE_EVENT_NEWS:
        inbox_news(&node->inbox);
        node_take_peers(node);
        if (!shell_has_failed(node->shell))
            shell_feed_signer(node->shell);
        break;
    }
}
