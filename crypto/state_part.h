/* A part of the state tree: all leaves under one prefix of the key hash, and the way from there to
 * the root (docs/spec/snapshot.md).
 *
 * Whoever holds the root can check a part alone: that these are all the leaves under the prefix, no
 * more and no fewer. Parts whose prefixes divide the key space are the whole state. */
#ifndef FLEX_CRYPTO_STATE_PART_H
#define FLEX_CRYPTO_STATE_PART_H

#include "crypto/state_tree.h"

/* A prefix is the first `depth` bits of `bits`, most significant bit first; the rest is zero. */
enum { STATE_PART_DEPTH_MAX = 56 };

struct state_part_prefix {
    uint8_t depth; /* 0 to STATE_PART_DEPTH_MAX */
    uint64_t bits;
};

struct state_part_path {
    uint32_t count; /* the prefix's depth */
    /* From the root downwards. Of a branch, `a` is its own hash, and `b` zero. */
    struct state_tree_node siblings[STATE_PART_DEPTH_MAX];
};

bool state_part_prefix_is_valid(const struct state_part_prefix *prefix);
bool state_part_holds(const struct state_part_prefix *prefix, const struct hash *key);
/* The prefix behind this one in a division of the key space, at depth `depth`: where this one ends.
 * *end: it ends with the key space. False if no prefix of that depth begins there. */
bool state_part_next(struct state_part_prefix *next, bool *end,
                     const struct state_part_prefix *prefix, uint8_t depth);

/* What stands at `depth` above these leaves: keys ascending, no two equal (our bug else), all the
 * same in their first `depth` bits. */
void state_part_node(struct state_tree_node *out, const struct state_tree_change *leaves,
                     size_t count, unsigned depth);
/* What stands above two neighbours: a leaf beside nothing moves up. */
void state_part_join(struct state_tree_node *out, const struct state_tree_node *left,
                     const struct state_tree_node *right);
/* Does this node at the prefix, with that path, lead to the root? A sibling that is a leaf shows
 * its key, so that nobody passes a branch off as one: what is alone below an empty neighbour moves
 * up, and a branch that did would hide its other half. */
bool state_part_leads_to(const struct hash *root, const struct state_part_prefix *prefix,
                         const struct state_tree_node *node, const struct state_part_path *path);

/* Per sibling: u8 kind, then nothing (empty), key and value hash (leaf) or its own hash (branch). */
void state_part_path_encode(struct byte_writer *writer, const struct state_part_path *path);
void state_part_path_decode(struct state_part_path *out, uint8_t depth, struct byte_reader *reader);

/* The tree above the parts that divide the key space, built from left to right. */
struct state_part_tree;
/* For up to `parts_max` parts; NULL if memory ran out. */
struct state_part_tree *state_part_tree_create(size_t parts_max);
void state_part_tree_destroy(struct state_part_tree *tree);
/* The next part to the right. False if it isn't the next, or one too many. */
bool state_part_tree_add(struct state_part_tree *tree, const struct state_part_prefix *prefix,
                         const struct state_tree_node *node);
/* False while the parts don't fill the key space. */
bool state_part_tree_root(const struct state_part_tree *tree, struct hash *root);
/* The path of part `index`, in the order of adding; the tree is whole. */
void state_part_tree_path(const struct state_part_tree *tree, struct state_part_path *out,
                          size_t index);

#endif
