/* Parts of the state tree (crypto/state_part.h).
 *
 * Invariants:
 *  1 A node is told by its kind. Empty and leaf nodes move up past an empty neighbour, branches
 *    don't; so the kind of a sibling is part of a proof, and a leaf is shown with its key.
 *  2 A sibling that is a branch is known by its own hash alone, in `a`; it is never hashed again.
 *  3 state_part_tree keeps every node that two parts or more have in common, at most one fewer than
 *    there are parts, each with its parent; so a path costs its depth alone.
 *
 * Deliberately absent: any reading of a stored tree. Parts are made of the entries themselves, so
 * what goes out has been hashed anew, and a tree that disagrees with its entries is noticed. */
#include "crypto/state_part.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { PREFIX_BITS = 64 };

static uint64_t first_bits(const struct hash *key)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits = bits << 8 | key->bytes[i];
    }
    return bits;
}

/* How much of the key space lies under a prefix of that depth; 0 stands for all of it. */
static uint64_t span_of(uint8_t depth)
{
    return depth == 0 ? 0 : (uint64_t)1 << (PREFIX_BITS - depth);
}

bool state_part_prefix_is_valid(const struct state_part_prefix *prefix)
{
    return prefix->depth <= STATE_PART_DEPTH_MAX &&
           (prefix->bits & (span_of(prefix->depth) - 1)) == 0;
}

bool state_part_holds(const struct state_part_prefix *prefix, const struct hash *key)
{
    const uint64_t differ = first_bits(key) ^ prefix->bits;
    return prefix->depth == 0 || differ >> (PREFIX_BITS - prefix->depth) == 0;
}

bool state_part_next(struct state_part_prefix *next, bool *end,
                     const struct state_part_prefix *prefix, uint8_t depth)
{
    const uint64_t bits = prefix->bits + span_of(prefix->depth);
    *end = bits == 0; /* it wraps exactly at the end of the key space */
    *next = (struct state_part_prefix){depth, bits};
    return !*end && state_part_prefix_is_valid(next) && depth > 0;
}

void state_part_join(struct state_tree_node *out, const struct state_tree_node *left,
                     const struct state_tree_node *right)
{
    if (right->kind == STATE_TREE_EMPTY && left->kind != STATE_TREE_BRANCH) {
        *out = *left;
        return;
    }
    if (left->kind == STATE_TREE_EMPTY && right->kind != STATE_TREE_BRANCH) {
        *out = *right;
        return;
    }
    struct state_tree_node branch = {.kind = STATE_TREE_BRANCH};
    state_tree_node_hash(&branch.a, left);
    state_tree_node_hash(&branch.b, right);
    *out = branch;
}

void state_part_node(struct state_tree_node *out, const struct state_tree_change *leaves,
                     size_t count, unsigned depth)
{
    if (count == 0) {
        *out = (struct state_tree_node){.kind = STATE_TREE_EMPTY};
        return;
    }
    if (count == 1) {
        *out = (struct state_tree_node){STATE_TREE_LEAF, leaves[0].key, leaves[0].value};
        return;
    }
    MUST(depth < STATE_TREE_DEPTH_MAX); /* else two keys were equal */
    struct state_tree_node left, right;
    const uint8_t mask = (uint8_t)(0x80u >> depth % 8);
    size_t low = 0;
    size_t high = count;
    while (low < high) { /* the first key with a one in this place */
        const size_t middle = low + (high - low) / 2;
        if ((leaves[middle].key.bytes[depth / 8] & mask) != 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    state_part_node(&left, leaves, low, depth + 1);
    state_part_node(&right, leaves + low, count - low, depth + 1);
    state_part_join(out, &left, &right);
}

/* --- paths ----------------------------------------------------------------------------------- */

/* A leaf may stand as the sibling at `level` only if its key belongs there. */
static bool sibling_fits(const struct state_tree_node *sibling,
                         const struct state_part_prefix *prefix, unsigned level)
{
    switch (sibling->kind) {
    case STATE_TREE_EMPTY:
        return true;
    case STATE_TREE_LEAF:
        return (first_bits(&sibling->a) ^ prefix->bits) >> (PREFIX_BITS - 1 - level) == 1;
    case STATE_TREE_BRANCH:
        return !hash_is_zero(&sibling->a);
    }
    return false;
}

bool state_part_leads_to(const struct hash *root, const struct state_part_prefix *prefix,
                         const struct state_tree_node *node, const struct state_part_path *path)
{
    struct state_tree_node at = *node;
    struct hash reached;
    if (!state_part_prefix_is_valid(prefix) || path->count != prefix->depth) {
        return false;
    }
    for (unsigned level = path->count; level-- > 0;) {
        const struct state_tree_node *sibling = &path->siblings[level];
        const bool right = (prefix->bits >> (PREFIX_BITS - 1 - level) & 1u) != 0;
        if (!sibling_fits(sibling, prefix, level)) {
            return false;
        }
        if (sibling->kind == STATE_TREE_BRANCH) {
            struct state_tree_node branch = {.kind = STATE_TREE_BRANCH};
            *(right ? &branch.a : &branch.b) = sibling->a;
            state_tree_node_hash(right ? &branch.b : &branch.a, &at);
            at = branch;
        } else if (right) {
            state_part_join(&at, sibling, &at);
        } else {
            state_part_join(&at, &at, sibling);
        }
    }
    state_tree_node_hash(&reached, &at);
    return hash_equal(&reached, root);
}

void state_part_path_encode(struct byte_writer *writer, const struct state_part_path *path)
{
    for (uint32_t i = 0; i < path->count; i++) {
        const struct state_tree_node *sibling = &path->siblings[i];
        byte_write_u8(writer, (uint8_t)sibling->kind);
        if (sibling->kind != STATE_TREE_EMPTY) {
            byte_write_raw(writer, sibling->a.bytes, HASH_SIZE);
        }
        if (sibling->kind == STATE_TREE_LEAF) {
            byte_write_raw(writer, sibling->b.bytes, HASH_SIZE);
        }
    }
}

void state_part_path_decode(struct state_part_path *out, uint8_t depth, struct byte_reader *reader)
{
    memset(out, 0, sizeof *out);
    if (depth > STATE_PART_DEPTH_MAX) {
        reader->failed = true;
        return;
    }
    out->count = depth;
    for (uint32_t i = 0; i < depth; i++) {
        const uint8_t kind = byte_read_u8(reader);
        if (kind > STATE_TREE_BRANCH) {
            reader->failed = true;
            return;
        }
        out->siblings[i].kind = (enum state_tree_kind)kind;
        if (kind != STATE_TREE_EMPTY) {
            byte_read_raw(reader, out->siblings[i].a.bytes, HASH_SIZE);
        }
        if (kind == STATE_TREE_LEAF) {
            byte_read_raw(reader, out->siblings[i].b.bytes, HASH_SIZE);
        }
    }
}

/* --- the tree above all parts ---------------------------------------------------------------- */

enum { NO_PLACE = -1 };

struct place {
    struct state_tree_node node;
    int64_t parent;  /* NO_PLACE: none yet */
    int64_t sibling; /* the parent's other child */
};

struct open_place {
    int64_t place;
    uint8_t depth;
};

struct state_part_tree {
    size_t parts_max;
    size_t parts;
    size_t places_used;
    struct state_part_prefix last;
    uint32_t open_count; /* subtrees that wait for their right neighbour, depths ascending */
    struct open_place open[STATE_PART_DEPTH_MAX + 2];
    struct place *places; /* parts and inner nodes as they came: 2 x parts_max */
    size_t *part_places;  /* parts_max */
};

struct state_part_tree *state_part_tree_create(size_t parts_max)
{
    MUST(parts_max > 0);
    struct state_part_tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL) {
        return NULL;
    }
    tree->parts_max = parts_max;
    tree->places = calloc(2 * parts_max, sizeof *tree->places);
    tree->part_places = calloc(parts_max, sizeof *tree->part_places);
    if (tree->places == NULL || tree->part_places == NULL) {
        state_part_tree_destroy(tree);
        return NULL;
    }
    return tree;
}

void state_part_tree_destroy(struct state_part_tree *tree)
{
    if (tree != NULL) {
        free(tree->places);
        free(tree->part_places);
        free(tree);
    }
}

static int64_t take_place(struct state_part_tree *tree)
{
    MUST(tree->places_used < 2 * tree->parts_max);
    struct place *place = &tree->places[tree->places_used];
    place->parent = NO_PLACE;
    place->sibling = NO_PLACE;
    return (int64_t)tree->places_used++;
}

/* Two open neighbours of one depth become their parent. */
static void close_pair(struct state_part_tree *tree)
{
    const struct open_place left = tree->open[tree->open_count - 2];
    const struct open_place right = tree->open[tree->open_count - 1];
    const int64_t parent = take_place(tree);
    state_part_join(&tree->places[parent].node, &tree->places[left.place].node,
                    &tree->places[right.place].node);
    tree->places[left.place].parent = parent;
    tree->places[left.place].sibling = right.place;
    tree->places[right.place].parent = parent;
    tree->places[right.place].sibling = left.place;
    tree->open_count--;
    tree->open[tree->open_count - 1] = (struct open_place){parent, (uint8_t)(left.depth - 1)};
}

bool state_part_tree_add(struct state_part_tree *tree, const struct state_part_prefix *prefix,
                         const struct state_tree_node *node)
{
    struct state_part_prefix expected = {prefix->depth, 0};
    bool end = false;
    if (tree->parts == tree->parts_max || !state_part_prefix_is_valid(prefix) ||
        (tree->parts > 0 && !state_part_next(&expected, &end, &tree->last, prefix->depth)) ||
        expected.bits != prefix->bits) {
        return false;
    }
    const int64_t place = take_place(tree);
    tree->places[place].node = *node;
    tree->part_places[tree->parts++] = (size_t)place;
    tree->last = *prefix;
    MUST(tree->open_count < sizeof tree->open / sizeof tree->open[0]);
    tree->open[tree->open_count++] = (struct open_place){place, prefix->depth};
    while (tree->open_count >= 2 &&
           tree->open[tree->open_count - 2].depth == tree->open[tree->open_count - 1].depth) {
        close_pair(tree);
    }
    return true;
}

bool state_part_tree_root(const struct state_part_tree *tree, struct hash *root)
{
    if (tree->open_count != 1 || tree->open[0].depth != 0) {
        return false;
    }
    state_tree_node_hash(root, &tree->places[tree->open[0].place].node);
    return true;
}

void state_part_tree_path(const struct state_part_tree *tree, struct state_part_path *out,
                          size_t index)
{
    struct state_tree_node upwards[STATE_PART_DEPTH_MAX];
    MUST(index < tree->parts);
    memset(out, 0, sizeof *out);
    const struct place *at = &tree->places[tree->part_places[index]];
    while (at->parent != NO_PLACE) {
        MUST(out->count < STATE_PART_DEPTH_MAX);
        upwards[out->count++] = tree->places[at->sibling].node;
        at = &tree->places[at->parent];
    }
    for (uint32_t i = 0; i < out->count; i++) {
        struct state_tree_node *sibling = &out->siblings[i];
        *sibling = upwards[out->count - 1 - i];
        if (sibling->kind == STATE_TREE_BRANCH) {
            state_tree_node_hash(&sibling->a, &upwards[out->count - 1 - i]);
            memset(&sibling->b, 0, sizeof sibling->b);
        }
    }
}
