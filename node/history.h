/* Proofs in the history log, whose leaf i is block i (docs/spec/encoding.md 4; LOG_LEAF).
 *
 * A log may have a floor F: of the leaves below it only the roots of the complete subtrees that make up
 * the log of size F are here, its peaks. They are enough for every block from F on and every size from
 * F on: a subtree to the left of such a leaf ends below F, and then it is one of the peaks; or F lies in
 * it, and then it is made of peaks and of leaves from F on (docs/spec/snapshot.md, "Joining").
 *
 * The roots of the log's complete subtrees of 256 leaves and more are kept in memory, 64 bytes per 256
 * blocks; what lies below is read when it is wanted, at most HISTORY_TILE leaves per subtree. They are
 * read again after a start, a bounded number per call. */
#ifndef FLEX_NODE_HISTORY_H
#define FLEX_NODE_HISTORY_H

#include <pthread.h>

#include "crypto/merkle.h"

enum {
    HISTORY_TILE = 256,
    HISTORY_LEVELS = 48,
    /* Leaves that one call reads into memory at most: about half a second's work. */
    HISTORY_TILES_PER_CALL = 1024
};

enum history_result {
    HISTORY_OK,
    HISTORY_BUSY,   /* more leaves have to be read first: ask again */
    HISTORY_ABSENT, /* a leaf is not here */
    HISTORY_BELOW   /* the block or the size is below the floor */
};

/* Leaf hash of block `height`; false if it is not here. */
typedef bool (*history_leaf_fn)(void *context, struct hash *out, uint64_t height);
struct history_source {
    history_leaf_fn leaf;
    void *context;
};

struct node_history {
    pthread_mutex_t lock;
    struct merkle_frontier floor; /* count 0: all leaves are here */
    /* Level k: roots of the complete subtrees of 256 * 2^k leaves that end above the floor, from the
     * left; `first` ones are to the left of these. */
    struct history_level {
        uint64_t first;
        struct hash *roots;
        uint64_t count;
        uint64_t capacity;
    } levels[HISTORY_LEVELS];
};

/* All leaves are here. */
void node_history_open(struct node_history *history);
/* Before the first proof: leaves from floor->count on are here, and below it *floor. */
void node_history_set_floor(struct node_history *history, const struct merkle_frontier *floor);
void node_history_close(struct node_history *history);

/* From any thread. That leaf `index` is in the log of `count` leaves. */
enum history_result node_history_prove_block(struct node_history *history,
                                             const struct history_source *source,
                                             struct merkle_proof *out, uint64_t count,
                                             uint64_t index);
/* That the log of `old_count` leaves, whose root is *old_root, is a prefix of that of `count`. */
enum history_result node_history_prove_prefix(struct node_history *history,
                                              const struct history_source *source,
                                              struct merkle_proof *out, struct hash *old_root,
                                              uint64_t count, uint64_t old_count);

#endif
