/* The retention rule and its application (retention.h).
 *
 * Invariant: a body goes only if the node could tell anybody who needs it where to go on from: a
 * snapshot above it is here.
 *
 * Witnesses go from bodies that stay, block by block: when every deal that they prove is closed and could
 * not be disputed any more, for as long as is configured. The first block of which that is not true ends the
 * walk, so what is deleted is always a beginning of the chain.
 *
 * Deliberately absent: a clock of its own. Age is block time against the tip's block time, so a node
 * that is behind prunes nothing too early, and a simulated clock prunes as a real one. */
#include "node/retention.h"

#include "base/log.h"
#include "contracts/deal.h"
#include "contracts/witness.h"
#include "node/node.h"
#include "node/snapshots.h"

void retention_note(struct retention_hold *hold, uint64_t height, uint64_t now_ms)
{
    if (hold->asked_ms == 0 || now_ms > hold->asked_ms + RETENTION_HOLD_MS) {
        hold->since_ms = now_ms;
    }
    hold->height = height;
    hold->asked_ms = now_ms;
}

uint64_t retention_held(const struct retention_hold *hold, uint64_t now_ms)
{
    if (hold->asked_ms == 0 || now_ms > hold->asked_ms + RETENTION_HOLD_MS ||
        now_ms > hold->since_ms + RETENTION_HOLD_MS_MAX) {
        return UINT64_MAX;
    }
    return hold->height;
}

uint64_t retention_limit(const struct retention *retention)
{
    if (retention->oldest_snapshot == 0 || retention->tip_height <= retention->keep_blocks) {
        return 0;
    }
    uint64_t limit = retention->tip_height - retention->keep_blocks + 1;
    if (limit > retention->oldest_snapshot + 1) {
        limit = retention->oldest_snapshot + 1;
    }
    return limit < retention->held ? limit : retention->held;
}

/* The highest height up to `high` of which all below are older than the configured days. */
static uint64_t old_enough(struct node *node, uint64_t low, uint64_t high)
{
    const int64_t youngest_ms =
        timestamp_ms(store_tip(node->store)->time) - (int64_t)node->config.keep_days * MS_PER_DAY;
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (snapshot == NULL) {
        return low;
    }
    while (low < high) { /* halves the distance: times rise with heights */
        const uint64_t middle = low + (high - low) / 2;
        struct store_block block;
        struct block_header header;
        if (store_snapshot_header(snapshot, middle, &block) != STORE_OK ||
            !block_header_decode(&header, block.header)) {
            break;
        }
        if (timestamp_ms(header.time) < youngest_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    store_snapshot_end(snapshot);
    return low;
}

static uint64_t lowest_held(const struct node *node, uint64_t now_ms)
{
    uint64_t lowest = UINT64_MAX;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        const uint64_t held = retention_held(&node->holds[peer], now_ms);
        lowest = held < lowest ? held : lowest;
    }
    return lowest;
}

bool node_prune(struct node *node)
{
    const uint64_t floor = store_floor(node->store).bodies;
    if (node->config.keep_days == 0) {
        return true;
    }
    const struct retention retention = {.keep_blocks = node->config.keep_blocks,
                                        .tip_height = store_tip(node->store)->height,
                                        .oldest_snapshot = snapshots_oldest(node->snapshots),
                                        .held = lowest_held(node, node_clock_monotonic_ms())};
    uint64_t limit = retention_limit(&retention);
    if (limit > floor + STORE_PRUNE_BLOCKS_MAX) {
        limit = floor + STORE_PRUNE_BLOCKS_MAX;
    }
    if (limit <= floor) {
        return true;
    }
    limit = old_enough(node, floor, limit);
    bool more = false;
    if (limit <= floor) {
        return true;
    }
    const enum store_result result = store_prune(node->store, limit, &more);
    if (result == STORE_OK) {
        log_line(LOG_INFO, "bodies below block %llu pruned", (unsigned long long)limit);
        return true;
    }
    log_line(LOG_UNUSUAL, "pruning: %s", store_result_text(result));
    return result == STORE_FULL;
}

/* --- witnesses ------------------------------------------------------------------------------- */

/* Whether a proof's deal is closed, as the newest state has it. One that never existed is. */
static bool deal_is_closed(const struct state_base *base, uint64_t id)
{
    const struct state_key key = state_key_u64(STATE_DEAL, id);
    struct bytes_view value;
    struct deal_record deal;
    bool found = false;
    if (!base->get(base->context, bytes_view_of(key.bytes, key.size), &found, &value)) {
        return false;
    }
    return !found || (codec_decode_all(&deal_record_codec, &deal, value) && !deal_is_open(&deal));
}

static bool proofs_are_closed(const struct state_base *base, const struct transaction *transaction)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    while (transaction_next_action(transaction, &cursor, &type, &record)) {
        struct delivery_prove prove;
        if (type == ACTION_DELIVERY_PROVE && codec_decode_all(action_codec(type), &prove, record) &&
            !deal_is_closed(base, prove.deal)) {
            return false;
        }
    }
    return true;
}

static bool block_is_over(const struct state_base *base, const struct store_block *block,
                          struct timestamp youngest)
{
    struct body_reader reader;
    struct bytes_view envelope;
    struct timestamp final;
    struct block_header header;
    if (!block_header_decode(&header, block->header) ||
        timestamp_compare(header.time, youngest) > 0) {
        return false;
    }
    if (!body_has_witness(block->body)) {
        return true;
    }
    if (!body_last_final(&final, block->body, block->receipts) ||
        timestamp_compare(final, youngest) > 0 || !body_open(&reader, block->body)) {
        return false;
    }
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK ||
            (transaction.witness.size > 0 && !proofs_are_closed(base, &transaction))) {
            return false;
        }
    }
    return true;
}

/* The height from which on witnesses are still needed, so far as one bite reaches. *any: there is one to
 * delete below it. */
static uint64_t strip_limit(struct node *node, uint64_t from, bool *any)
{
    const struct store_tip *tip = store_tip(node->store);
    const struct timestamp youngest =
        timestamp_of(timestamp_ms(tip->time) - (int64_t)node->config.witness_days * MS_PER_DAY);
    const struct state_base *base = store_state_base(node->store);
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    uint64_t height = from;
    *any = false;
    if (height < node->strip_scanned) {
        height = node->strip_scanned;
    }
    while (snapshot != NULL && height < tip->height && height < from + STORE_STRIP_BLOCKS_MAX) {
        struct store_block block;
        if (store_snapshot_block(snapshot, height, &block) != STORE_OK ||
            !block_is_over(base, &block, youngest)) {
            break;
        }
        *any = *any || body_has_witness(block.body);
        height++;
    }
    if (snapshot != NULL) {
        store_snapshot_end(snapshot);
    }
    return height;
}

bool node_strip(struct node *node)
{
    const struct store_floor floor = store_floor(node->store);
    uint64_t from = floor.witnesses > floor.bodies ? floor.witnesses : floor.bodies;
    if (node->config.role == NODE_AUDIT || from >= store_tip(node->store)->height) {
        return true;
    }
    bool any;
    const uint64_t limit = strip_limit(node, from, &any);
    /* Where nothing is to delete, the floor need not be written for each block. */
    if (!any && limit < from + STORE_STRIP_BLOCKS_MAX) {
        node->strip_scanned = limit;
        return true;
    }
    const enum store_result result = store_strip(node->store, limit);
    if (result != STORE_OK) {
        log_line(LOG_UNUSUAL, "deleting witnesses: %s", store_result_text(result));
    }
    return result == STORE_OK || result == STORE_FULL;
}
