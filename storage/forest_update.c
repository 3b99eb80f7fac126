/* Updates of the state tree that leave the tree before as it is (storage/forest.h; docs/spec/state.md).
 *
 * Invariants:
 *  1 The shape is that of crypto/state_tree.h: a leaf at the shallowest depth at which it is alone, a
 *    branch wherever two keys or more are below. So the root depends on the set of entries alone.
 *  2 A batch is one descent over the sorted changes; each node that changes is made and hashed once.
 *    What does not change is not even read, save a leaf's neighbour.
 *  3 A node is never written again once its batch is done: whoever reads a tree needs no lock.
 *  4 Recursion goes one bit deeper per call, at most STATE_TREE_DEPTH_MAX: keys differ.
 *
 * A leaf knows its whole key, not its depth. So one that moves up or down stays the node that it is.
 * Deliberately absent: checking old nodes against their hashes. They come from memory, or a scratch file
 * that this process wrote; a bit that flips there shows in the next root, and every proof is checked
 * against the tip's before it leaves the node. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "storage/forest_internal.h"

struct run {
    struct forest *forest;
    struct forest_batch *batch;
};

static unsigned key_bit(const struct hash *key, unsigned depth)
{
    MUST(depth < STATE_TREE_DEPTH_MAX);
    return key->bytes[depth / 8] >> (7 - depth % 8) & 1u;
}

static bool bury(struct run *run, uint32_t place)
{
    return forest_list_add(&run->batch->dead, place);
}

/* Makes a node and stands it in *spot. */
static bool make(struct run *run, struct forest_tree *spot, const struct forest_node *node)
{
    const bool leaf = forest_is_leaf(node);
    const uint32_t place = forest_take(run->forest);
    if (place == FOREST_NONE) {
        return false;
    }
    if (!forest_list_add(&run->batch->born, place)) {
        forest_give(run->forest, place);
        return false;
    }
    *forest_at(run->forest, place) = *node;
    const struct state_tree_node hashed = {leaf ? STATE_TREE_LEAF : STATE_TREE_BRANCH, node->a,
                                           node->b};
    spot->root = place;
    state_tree_node_hash(&spot->hash, &hashed);
    return true;
}

/* The one change there is, where nothing or its own leaf stands. */
static bool settle(struct run *run, struct forest_tree *spot, struct state_tree_change *change)
{
    const uint32_t before = spot->root;
    if (before != FOREST_NONE && !change->absent &&
        hash_equal(&forest_at(run->forest, before)->b, &change->value)) {
        change->idle = true;
        return true;
    }
    change->idle = before == FOREST_NONE && change->absent;
    if (before != FOREST_NONE && !bury(run, before)) {
        return false;
    }
    if (change->absent) {
        *spot = (struct forest_tree){0};
        return true;
    }
    const struct forest_node leaf = {change->key, change->value, forest_leaf_mark,
                                     forest_leaf_mark};
    return make(run, spot, &leaf);
}

/* What stands above two children; `branch` is the one that stood there, FOREST_NONE for none. */
static bool join(struct run *run, struct forest_tree *spot, uint32_t branch,
                 const struct forest_tree children[2])
{
    if (branch != FOREST_NONE) {
        const struct forest_node *old = forest_at(run->forest, branch);
        if (old->left == children[0].root && old->right == children[1].root) {
            return true;
        }
        if (!bury(run, branch)) {
            return false;
        }
    }
    for (unsigned side = 0; side < 2; side++) {
        const struct forest_tree *other = &children[1 - side];
        if (children[side].root == FOREST_NONE &&
            (other->root == FOREST_NONE || forest_is_leaf(forest_at(run->forest, other->root)))) {
            *spot = *other; /* a leaf alone, or nothing, moves up */
            return true;
        }
    }
    const struct forest_node node = {children[0].hash, children[1].hash, children[0].root,
                                     children[1].root};
    return make(run, spot, &node);
}

/* How many of the sorted changes belong to the left. */
static size_t split(const struct state_tree_change *changes, size_t count, unsigned depth)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (key_bit(&changes[middle].key, depth) == 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Applies changes to what stands in *spot, at `depth`. False if memory ran out. */
static bool update(struct run *run, struct forest_tree *spot, struct state_tree_change *changes,
                   size_t count, unsigned depth)
{
    if (count == 0) {
        return true;
    }
    const struct forest_node *node =
        spot->root == FOREST_NONE ? NULL : forest_at(run->forest, spot->root);
    const bool leaf = node != NULL && forest_is_leaf(node);
    if (count == 1 && (node == NULL || (leaf && hash_equal(&node->a, &changes->key)))) {
        return settle(run, spot, changes);
    }
    if (count == 1 && leaf && changes->absent) {
        changes->idle = true;
        return true;
    }
    struct forest_tree children[2] = {{0}};
    uint32_t branch = FOREST_NONE;
    if (leaf) {
        children[key_bit(&node->a, depth)] = *spot;
    } else if (node != NULL) {
        branch = spot->root;
        children[0] = (struct forest_tree){node->left, node->a};
        children[1] = (struct forest_tree){node->right, node->b};
    }
    const size_t left = split(changes, count, depth);
    return update(run, &children[0], changes, left, depth + 1) &&
           update(run, &children[1], changes + left, count - left, depth + 1) &&
           join(run, spot, branch, children);
}

/* --- sorting ---------------------------------------------------------------------------------- */

/* Fewer than that are sorted by moving each to its place. */
enum { SORT_FEW = 12, SORT_BUCKETS = 256 };

static void sort_few(struct state_tree_change *changes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct state_tree_change moved = changes[i];
        size_t at = i;
        while (at > 0 && hash_compare(&changes[at - 1].key, &moved.key) > 0) {
            changes[at] = changes[at - 1];
            at--;
        }
        changes[at] = moved;
    }
}

/* By the keys' bytes from `byte` on, in place: keys are hashes, so that two or three bytes part them, and
 * no comparison of whole keys is needed for that. Ends: one byte further with each call. */
static void sort_changes(struct state_tree_change *changes, size_t count, size_t byte)
{
    if (count <= SORT_FEW || byte == HASH_SIZE) {
        sort_few(changes, count);
        return;
    }
    size_t next[SORT_BUCKETS] = {0};
    size_t end[SORT_BUCKETS];
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        next[changes[i].key.bytes[byte]]++;
    }
    for (size_t bucket = 0; bucket < SORT_BUCKETS; bucket++) {
        const size_t size = next[bucket];
        next[bucket] = sum;
        sum += size;
        end[bucket] = sum;
    }
    for (size_t bucket = 0; bucket < SORT_BUCKETS; bucket++) {
        while (next[bucket] < end[bucket]) {
            struct state_tree_change *here = &changes[next[bucket]];
            const size_t home = here->key.bytes[byte];
            struct state_tree_change *there = &changes[next[home]++];
            if (home != bucket) {
                const struct state_tree_change moved = *there;
                *there = *here;
                *here = moved;
            }
        }
    }
    for (size_t bucket = 0, from = 0; bucket < SORT_BUCKETS; from = end[bucket++]) {
        sort_changes(changes + from, end[bucket] - from, byte + 1);
    }
}

bool forest_update(struct forest *forest, struct forest_batch *batch,
                   const struct forest_tree *before, struct state_tree_change *changes,
                   size_t count)
{
    struct run run = {.forest = forest, .batch = batch};
    MUST(batch->born.count == 0 && batch->dead.count == 0);
    batch->before = *before;
    batch->tree = *before;
    sort_changes(changes, count, 0);
    for (size_t i = 1; i < count; i++) {
        MUST(!hash_equal(&changes[i - 1].key, &changes[i].key));
    }
    if (update(&run, &batch->tree, changes, count, 0)) {
        return true;
    }
    forest_discard(forest, batch);
    return false;
}
