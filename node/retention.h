/* Which block bodies a node may drop (docs/spec/snapshot.md, "Pruning").
 *
 * Bodies and receipts go only if all of these let them: the configured days by block time, the
 * configured number of last blocks, the oldest snapshot that is kept (what a node that joins from it
 * needs next), and the peers that are in the middle of fetching. */
#ifndef FLEX_NODE_RETENTION_H
#define FLEX_NODE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct node;

enum {
    /* Whoever has asked that lately is still at it: between two questions lies at most the loading of
     * what it has fetched. */
    RETENTION_HOLD_MS = 600 * 1000,
    /* But nobody keeps a node from pruning for longer than this at a time. */
    RETENTION_HOLD_MS_MAX = 3600 * 1000
};

/* One peer's progress through the blocks. All zero: it never asked. */
struct retention_hold {
    uint64_t height;
    uint64_t since_ms;
    uint64_t asked_ms;
};

/* The peer lacks blocks from `height` on and is fetching, or for a snapshot of the block below. */
void retention_note(struct retention_hold *hold, uint64_t height, uint64_t now_ms);
/* The lowest height that the hold protects; UINT64_MAX if none. */
uint64_t retention_held(const struct retention_hold *hold, uint64_t now_ms);

struct retention {
    uint64_t keep_blocks;
    uint64_t tip_height;
    uint64_t oldest_snapshot; /* height; 0: none, then nothing goes */
    uint64_t held;            /* lowest over all peers */
};
/* Bodies from this height on stay, whatever their age. */
uint64_t retention_limit(const struct retention *retention);

/* One bite of deleting witnesses, at most STORE_STRIP_BLOCKS_MAX blocks: those of a validator whose deals are
 * over for `witness_days` (docs/spec/privacy.md 8). Loop thread. False if the store failed for good. */
bool node_strip(struct node *node);
/* One bite of pruning, at most STORE_PRUNE_BLOCKS_MAX blocks, if the configuration says so. Loop
 * thread. False if the store failed for good. */
bool node_prune(struct node *node);

#endif
