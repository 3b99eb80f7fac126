/* Making a snapshot of one height, in the background (docs/spec/snapshot.md, "Making one").
 *
 * Reads the state once, in key order, through a snapshot of the store, and lets go of that before the
 * long part of the work: entries go into 256 files by the first byte of their hash, and out of these
 * come the chunks. Memory is bounded by one such file, disk by twice the state. */
#ifndef FLEX_NODE_SNAPSHOT_MAKE_H
#define FLEX_NODE_SNAPSHOT_MAKE_H

#include <stdatomic.h>

#include "node/snapshot_files.h"

struct snapshot_making {
    const char *directory; /* where snapshots are; "making" below it is this call's */
    struct store *store;
    struct hash genesis;
    /* Over the ids of all blocks before the one whose state it is. */
    struct merkle_frontier log;
    const _Atomic bool *stop; /* gives up soon after this is set */
};

/* Of the height of `at`, which this call ends as early as it can, in any case. That block must not
 * end its epoch. Waits for the block's certificate. False with the reason: nothing is left behind that
 * has a snapshot's name. */
bool snapshot_make(const struct snapshot_making *making, struct store_snapshot *at,
                   uint64_t *height, char problem[SNAPSHOT_PROBLEM_SIZE]);

#endif
