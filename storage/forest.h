/* The state trees of a node (docs/spec/state.md): the committed one, those of blocks that are not final,
 * and those that snapshots still read. They share all nodes that they have in common: an update makes new
 * nodes along its paths and leaves the old ones as they are (adr/0052).
 *
 * Nodes are a cache of what the state's records say. They are computed anew at every start, so nothing
 * here is synced, and nothing here can lose a thing.
 *
 * One thread, the owner, updates, commits and discards; any thread may pin a committed tree and read it.
 * No argument may be NULL. */
#ifndef FLEX_STORAGE_FOREST_H
#define FLEX_STORAGE_FOREST_H

#include "crypto/state_tree.h"

struct forest;

/* One tree: its root node, and the hash of it. All zero: the empty tree. */
struct forest_tree {
    uint32_t root;
    struct hash hash;
};

/* Places of nodes. */
struct forest_list {
    uint32_t *items;
    size_t count;
    size_t room;
};

/* An update: the tree that it made out of another one, and what the two do not share. All zero: none. */
struct forest_batch {
    struct forest_tree before;
    struct forest_tree tree;
    struct forest_list born;
    struct forest_list dead; /* of `before`, once no one reads that any more */
};

/* Nodes in a file of `directory_fd` that has no name, so that the kernel may write them out when memory is
 * short; -1, or where that file can't be made or finds no room: in memory. NULL if memory ran out. */
struct forest *forest_create(int directory_fd);
/* Each holder of batches keeps the forest alive. The last release frees it. Owner thread. */
void forest_share(struct forest *forest);
void forest_release(struct forest *forest);

/* The tree that `changes`, sorted in place, make out of `before`; `batch` is empty before. Says of each
 * whether it is idle. False: memory ran out; the batch is empty then. */
MUST_USE bool forest_update(struct forest *forest, struct forest_batch *batch,
                            const struct forest_tree *before, struct state_tree_change *changes,
                            size_t count);
/* The batch came to nothing: its nodes are free again. It is empty afterwards and keeps its memory. */
void forest_discard(struct forest *forest, struct forest_batch *batch);
/* The batch's tree takes the place of what it was made of; batch->tree stays readable, for its children.
 * What it replaced is freed when no pin is on a tree before it. */
void forest_commit(struct forest *forest, struct forest_batch *batch);
void forest_batch_free(struct forest_batch *batch);

/* Makes a tree known under a height before it is committed, and takes that back. Heights rise. */
void forest_publish(struct forest *forest, uint64_t height, const struct forest_tree *tree);
void forest_withdraw(struct forest *forest, uint64_t height);
/* Keeps the tree of that height readable until it is unpinned. False: it isn't one of the latest, or too
 * many are pinned. */
MUST_USE bool forest_pin(struct forest *forest, uint64_t height, struct forest_tree *out);
void forest_unpin(struct forest *forest, uint64_t height);

/* The node of the tree at that path; kind EMPTY if none stands there. */
void forest_node(const struct forest *forest, const struct forest_tree *tree,
                 struct state_tree_node *out, const struct state_tree_path *path);
/* Nodes in use, dead ones that wait included: for tests. */
size_t forest_count(const struct forest *forest);

#endif
