/* The retention rule and its application (retention.h).
 *
 * Invariant: a body goes only if the node could tell anybody who needs it where to go on from: a
 * snapshot above it is here.
 *
 * Deliberately absent: a clock of its own. Age is block time against the tip's block time, so a node
 * that is behind prunes nothing too early, and a simulated clock prunes as a real one. */
#include "node/retention.h"

#include "base/log.h"
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
