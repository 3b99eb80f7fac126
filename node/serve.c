/* Answers to peers that lack blocks (consensus.md R11, 8).
 *
 * One answer per request, of at most one frame and LIMIT_RANGE_BLOCKS bodies, from the cache of
 * blocks that are not final yet or from a snapshot of the store. A range always ends in a
 * certificate that the asker can check without trusting us: where the last body that fits has none
 * of its own, headers follow up to the next block that has one. If there is none, blocks at the end
 * are left out until the last one sent has its certificate. A range ends with its first block's epoch:
 * the asker has the set of that one only, and learns the next from its last block [C-EPOCH.RANGE].
 *
 * What cannot be answered is not answered: the asker's timer asks somebody else. The same goes for
 * who asks for more than its budget (serve_budget.h), before anything is read for it.
 *
 * Blocks whose bodies have been pruned get the answer PRUNED, which names the first that is here.
 *
 * Deliberately absent: streaming. Snapshots of the state have a thread of their own (snapshots.c). */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/witness.h"
#include "node/shell.h"
#include "node/snapshot_message.h"

static size_t send_block(struct node *node, uint32_t peer, const struct message_block *block)
{
    size_t capacity = 1 + BLOCK_HEADER_SIZE + 4 + block->body.size;
    uint8_t *frame = malloc(capacity);
    if (frame == NULL)
        return 0;
    struct byte_writer writer;
    byte_writer_init(&writer, frame, capacity);
    message_encode_block(&writer, block);
    MUST(!writer.failed);
    node_send(node, peer, P2P_BLOCK, bytes_view_of(frame, writer.size));
    free(frame);
    return writer.size;
}

/* Bytes sent. */
static size_t send_pruned(struct node *node, uint32_t peer)
{
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_pruned(&writer, store_floor(node->store).bodies);
    MUST(!writer.failed);
    node_send(node, peer, P2P_TRANSACTION, bytes_view_of(bytes, writer.size));
    return writer.size;
}

/* Bytes sent. */
static size_t answer_block(struct node *node, uint32_t peer, const struct hash *block_id)
{
    struct message_block block;
    if (chain_body(node->chain, block_id, &block.header, &block.body))
        return send_block(node, peer, &block);
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (snapshot == NULL)
        return 0;
    size_t size = 0;
    uint64_t height = 0;
    struct store_block stored;
    if (store_snapshot_height_of(snapshot, block_id, &height) == STORE_OK && height > 0 &&
        height < store_floor(node->store).bodies) {
        size = send_pruned(node, peer);
    } else if (height > 0 && store_snapshot_block(snapshot, height, &stored) == STORE_OK &&
               block_header_decode(&block.header, stored.header)) {
        block.body = stored.body;
        /* Who asks by id takes no block without its witnesses, and will ask for a range. */
        if (!body_has_stand_in(block.body))
            size = send_block(node, peer, &block);
    }
    store_snapshot_end(snapshot);
    return size;
}

void node_serve_block(struct node *node, uint32_t peer, const struct hash *block_id)
{
    MUST(peer < P2P_PEERS_MAX);
    struct serve_budget *budget = &node->serve[peer];
    if (serve_budget_allows(budget, node_clock_monotonic_ms()))
        serve_budget_charge(budget, answer_block(node, peer, block_id));
    else
        metric_add(&node->metrics.frames_dropped, 1);
}

/* What the core takes in one answer is a window of headers, bodies' included. */
enum { PLAN_HEADERS_MAX = LIMIT_VIEW_WINDOW - LIMIT_RANGE_BLOCKS };

struct range_plan {
    struct message_range message;
    /* Of the last block up to which the answer is certified; 0: none. */
    uint32_t certified_blocks;
    struct finality certified_by;
    uint8_t *headers; /* LIMIT_VIEW_WINDOW headers */
};

/* Takes bodies in height order as long as they fit. False on a fault of the store. */
static bool plan_bodies(struct range_plan *plan, struct store_snapshot *snapshot, uint64_t height,
                        uint32_t count)
{
    /* Room for a window of headers and the certificate stays free (limits.h asserts that it does).
     */
    size_t room = LIMIT_FRAME_BYTES - (size_t)LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE -
                  CERTIFICATE_BYTES_MAX - 16;
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    for (uint32_t i = 0; i < count && height + i <= tip; i++) {
        struct store_block stored;
        struct message_block *block = &plan->message.blocks[i];
        if (store_snapshot_block(snapshot, height + i, &stored) != STORE_OK ||
            !block_header_decode(&block->header, stored.header))
            return false;
        if (block->header.epoch != plan->message.blocks[0].header.epoch)
            break;
        size_t size = BLOCK_HEADER_SIZE + 4 + stored.body.size;
        if (size > room)
            break;
        room -= size;
        block->body = stored.body;
        plan->message.block_count = i + 1;
        if (stored.certificate.size > 0) {
            if (!finality_decode(&plan->certified_by, stored.certificate))
                return false;
            plan->certified_blocks = i + 1;
        }
    }
    return true;
}

/* Headers of a boundary block's own proof, behind those that are in the plan already. */
static void plan_behind(struct range_plan *plan, struct bytes_view headers)
{
    uint32_t count = (uint32_t)(headers.size / BLOCK_HEADER_SIZE);
    if (count == 0 || plan->message.header_count + count > PLAN_HEADERS_MAX)
        return;
    memcpy(plan->headers + (size_t)plan->message.header_count * BLOCK_HEADER_SIZE, headers.data,
           headers.size);
    plan->message.header_count += count;
}

/* Headers behind the last body up to the first block with a certificate; else gives up what lies
 * behind the last certified body. False if nothing is left to say. */
static bool plan_proof(struct range_plan *plan, struct store_snapshot *snapshot, uint64_t height)
{
    struct message_range *message = &plan->message;
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    uint64_t next = height + message->block_count;
    bool proven = message->block_count > 0 && plan->certified_blocks == message->block_count;
    for (uint32_t i = 0; !proven && i < PLAN_HEADERS_MAX && next + i <= tip; i++) {
        struct store_block stored;
        struct block_header header;
        struct finality finality;
        if (store_snapshot_header(snapshot, next + i, &stored) != STORE_OK ||
            !block_header_decode(&header, stored.header))
            return false;
        MUST(header.epoch == message->blocks[0].header.epoch); /* a boundary is certified */
        memcpy(plan->headers + (size_t)i * BLOCK_HEADER_SIZE, stored.header.data,
               BLOCK_HEADER_SIZE);
        message->header_count = i + 1;
        proven = stored.certificate.size > 0 && finality_decode(&finality, stored.certificate);
        if (proven) {
            message->finalization = finality.certificate;
            plan_behind(plan, finality.headers);
        }
    }
    if (message->header_count == 0 || !proven) {
        message->header_count = 0;
        message->block_count = plan->certified_blocks;
        message->finalization = plan->certified_by.certificate;
        plan_behind(plan, plan->certified_by.headers);
    }
    message->headers =
        bytes_view_of(plan->headers, (size_t)message->header_count * BLOCK_HEADER_SIZE);
    return message->block_count > 0;
}

static size_t send_range(struct node *node, uint32_t peer, const struct message_range *message)
{
    uint8_t *frame = malloc(LIMIT_FRAME_BYTES);
    if (frame == NULL)
        return 0;
    struct byte_writer writer;
    byte_writer_init(&writer, frame, LIMIT_FRAME_BYTES);
    message_encode_range(&writer, message);
    MUST(!writer.failed);
    node_send(node, peer, P2P_SYNC, bytes_view_of(frame, writer.size));
    free(frame);
    return writer.size;
}

/* Bytes sent. */
static size_t answer_range(struct node *node, uint32_t peer,
                           const struct message_get_range *question)
{
    const uint64_t height = question->height;
    uint32_t count = question->count;
    if (height == 0 || count == 0 || height > chain_tip(node->chain)->height)
        return 0;
    retention_note(&node->holds[peer], question->lacks, node_clock_monotonic_ms());
    if (height < store_floor(node->store).bodies)
        return send_pruned(node, peer);
    if (count > LIMIT_RANGE_BLOCKS)
        count = LIMIT_RANGE_BLOCKS;
    size_t size = 0;
    struct range_plan *plan = calloc(1, sizeof *plan);
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (plan != NULL)
        plan->headers = malloc((size_t)LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE);
    if (plan != NULL && plan->headers != NULL && snapshot != NULL) {
        if (plan_bodies(plan, snapshot, height, count) && plan_proof(plan, snapshot, height))
            size = send_range(node, peer, &plan->message);
    }
    if (snapshot != NULL)
        store_snapshot_end(snapshot);
    if (plan != NULL)
        free(plan->headers);
    free(plan);
    return size;
}

void node_serve_range(struct node *node, uint32_t peer, const struct message_get_range *question)
{
    MUST(peer < P2P_PEERS_MAX);
    struct serve_budget *budget = &node->serve[peer];
    if (serve_budget_allows(budget, node_clock_monotonic_ms()))
        serve_budget_charge(budget, answer_range(node, peer, question));
    else
        metric_add(&node->metrics.frames_dropped, 1);
}
