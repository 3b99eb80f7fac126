/* The compact sparse Merkle tree over the state (crypto/state_tree.h).
 *
 * Invariants:
 *  1 The store holds exactly the nodes of the tree: a leaf at the shallowest depth at which it is
 *    alone, a branch wherever two keys or more are below. One child of a branch may be empty.
 *  2 A batch is one descent over the sorted changes. What lies under a node is written by the call
 *    for that node; the node itself by the call for its parent, which alone knows whether it stays
 *    where it is. So each path is read at most once and written at most once.
 *  3 A node that was read matches the hash that its parent holds, else the store is at fault.
 *  4 Recursion goes one bit deeper per call: at most STATE_TREE_DEPTH_MAX, since keys differ. A store
 *    that claims a deeper tree is at fault.
 *
 * A leaf in the way of a new key moves down; when deletes leave one leaf alone under a branch it
 * moves up, which may need a sibling that no change touched: that one is read then. Absent on
 * purpose: versions of nodes (overlays keep those), iteration (LMDB has the ordered keys). */
#include "crypto/state_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

static unsigned key_bit(const struct hash *key, unsigned depth)
{
    MUST(depth < STATE_TREE_DEPTH_MAX);
    return key->bytes[depth / 8] >> (7 - depth % 8) & 1u;
}

/* True if the first `depth` bits of both are equal. */
static bool key_shares_prefix(const struct hash *a, const struct hash *b, unsigned depth)
{
    unsigned whole = depth / 8, rest = depth % 8;
    if (memcmp(a->bytes, b->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

struct state_tree_path state_tree_path_of(const struct hash *key, unsigned depth)
{
    struct state_tree_path path = {0};
    unsigned whole = depth / 8, rest = depth % 8;
    path.bytes[0] = (uint8_t)(depth >> 8);
    path.bytes[1] = (uint8_t)depth;
    memcpy(path.bytes + 2, key->bytes, whole);
    path.size = 2 + whole;
    if (rest != 0) {
        path.bytes[path.size++] = (uint8_t)(key->bytes[whole] & (0xff00u >> rest));
    }
    return path;
}

/* A key under the other child of the node at `depth`: only its first depth + 1 bits mean anything.
 */
static struct hash key_across(const struct hash *key, unsigned depth)
{
    struct hash other = *key;
    other.bytes[depth / 8] ^= (uint8_t)(0x80u >> depth % 8);
    return other;
}

void state_tree_node_hash(struct hash *out, const struct state_tree_node *node)
{
    switch (node->kind) {
    case STATE_TREE_EMPTY:
        *out = (struct hash){0};
        return;
    case STATE_TREE_LEAF:
        hash_pair(out, HASH_DOMAIN_STATE_LEAF, hash_view(&node->a), hash_view(&node->b));
        return;
    case STATE_TREE_BRANCH:
        hash_pair(out, HASH_DOMAIN_STATE_NODE, hash_view(&node->a), hash_view(&node->b));
        return;
    }
}

static bool node_equal(const struct state_tree_node *a, const struct state_tree_node *b)
{
    return a->kind == b->kind &&
           (a->kind == STATE_TREE_EMPTY || (hash_equal(&a->a, &b->a) && hash_equal(&a->b, &b->b)));
}

/* Reads the node whose hash its parent says is `expected`. */
static bool node_read(const struct state_tree_store *store, struct state_tree_node *out,
                      const struct hash *key, unsigned depth, const struct hash *expected)
{
    struct state_tree_path path = state_tree_path_of(key, depth);
    struct hash found;
    if (!store->get(store->context, out, &path)) {
        return false;
    }
    state_tree_node_hash(&found, out);
    return hash_equal(&found, expected);
}

/* One child of the node at hand while a batch goes through it. */
struct child {
    struct hash key; /* any key below it */
    struct state_tree_change *changes;
    size_t count;
    bool stored; /* it has a record in the store, `before` if `known` */
    bool known;
    struct state_tree_node before;
    struct hash before_hash;
    struct state_tree_node after;
};

static bool child_read(const struct state_tree_store *store, struct child *child, unsigned depth)
{
    if (!child->known) {
        if (!node_read(store, &child->before, &child->key, depth, &child->before_hash)) {
            return false;
        }
        child->known = true;
        child->after = child->before;
    }
    return true;
}

static bool child_write(const struct state_tree_store *store, const struct child *child,
                        unsigned depth, const struct state_tree_node *node)
{
    bool same = child->stored ? node_equal(&child->before, node) : node->kind == STATE_TREE_EMPTY;
    if (same) {
        return true;
    }
    struct state_tree_path path = state_tree_path_of(&child->key, depth);
    return store->put(store->context, &path, node);
}

/* Splits the changes and the node at `depth` between its two children. */
static void children_of(struct child children[2], const struct state_tree_node *node,
                        struct state_tree_change *changes, size_t count, unsigned depth)
{
    size_t left = 0;
    while (left < count && key_bit(&changes[left].key, depth) == 0) {
        left++;
    }
    unsigned side = key_bit(&changes[0].key, depth);
    memset(children, 0, 2 * sizeof children[0]);
    children[side].key = changes[0].key;
    children[1 - side].key = key_across(&changes[0].key, depth);
    children[0].changes = changes;
    children[0].count = left;
    children[1].changes = changes + left;
    children[1].count = count - left;
    for (unsigned i = 0; i < 2; i++) {
        /* What is empty, and a leaf on its way down, has no record here and needs no reading. */
        children[i].known = true;
        if (node->kind == STATE_TREE_BRANCH) {
            children[i].before_hash = i == 0 ? node->a : node->b;
            children[i].stored = !hash_is_zero(&children[i].before_hash);
            children[i].known = !children[i].stored;
        } else if (node->kind == STATE_TREE_LEAF && key_bit(&node->a, depth) == i) {
            children[i].before = *node;
            children[i].after = *node;
        }
    }
}

static bool update_below(const struct state_tree_store *store, struct state_tree_node *out,
                         const struct state_tree_node *node, struct state_tree_change *changes,
                         size_t count, unsigned depth);

/* Makes the node at `depth` out of its children as they are now, and writes those. */
static bool join_children(const struct state_tree_store *store, struct state_tree_node *out,
                          struct child children[2], unsigned depth)
{
    static const struct state_tree_node empty = {.kind = STATE_TREE_EMPTY};
    for (unsigned i = 0; i < 2; i++) {
        struct child *child = &children[i], *other = &children[1 - i];
        if (!child->known || child->after.kind != STATE_TREE_EMPTY) {
            continue;
        }
        /* One side is empty: if a single leaf is the rest, it moves up in this node's place. */
        if (!child_read(store, other, depth + 1)) {
            return false;
        }
        if (other->after.kind != STATE_TREE_BRANCH) {
            *out = other->after;
            return child_write(store, child, depth + 1, &empty) &&
                   child_write(store, other, depth + 1, &empty);
        }
    }
    struct hash hashes[2];
    for (unsigned i = 0; i < 2; i++) {
        if (!children[i].known) {
            hashes[i] = children[i].before_hash;
            continue;
        }
        state_tree_node_hash(&hashes[i], &children[i].after);
        if (!child_write(store, &children[i], depth + 1, &children[i].after)) {
            return false;
        }
    }
    *out = (struct state_tree_node){STATE_TREE_BRANCH, hashes[0], hashes[1]};
    return true;
}

/* Applies changes under `node`, which stands at `depth`, and says what stands there afterwards. */
static bool update_below(const struct state_tree_store *store, struct state_tree_node *out,
                         const struct state_tree_node *node, struct state_tree_change *changes,
                         size_t count, unsigned depth)
{
    MUST(count > 0);
    const struct state_tree_change *first = &changes[0];
    bool alone = node->kind == STATE_TREE_EMPTY ||
                 (node->kind == STATE_TREE_LEAF && hash_equal(&node->a, &first->key));
    if (count == 1 && alone) {
        *out = (struct state_tree_node){.kind = STATE_TREE_EMPTY};
        if (!first->absent) {
            *out = (struct state_tree_node){STATE_TREE_LEAF, first->key, first->value};
        }
        return true;
    }
    if (count == 1 && node->kind == STATE_TREE_LEAF && first->absent) {
        *out = *node;
        return true;
    }
    if (depth == STATE_TREE_DEPTH_MAX) {
        return false; /* no tree is that deep: the store made it up */
    }
    struct child children[2];
    children_of(children, node, changes, count, depth);
    for (unsigned i = 0; i < 2; i++) {
        struct child *child = &children[i];
        if (child->count == 0) {
            continue;
        }
        if (!child_read(store, child, depth + 1) ||
            !update_below(store, &child->after, &child->before, child->changes, child->count,
                          depth + 1)) {
            return false;
        }
    }
    return join_children(store, out, children, depth);
}

static int compare_changes(const void *a, const void *b)
{
    return hash_compare(&((const struct state_tree_change *)a)->key,
                        &((const struct state_tree_change *)b)->key);
}

bool state_tree_update(const struct state_tree_store *store, struct hash *root_out,
                       struct state_tree_change *changes, size_t count)
{
    static const struct hash any_key;
    struct state_tree_path root_path = state_tree_path_of(&any_key, 0);
    struct state_tree_node before, after;
    if (!store->get(store->context, &before, &root_path)) {
        return false;
    }
    after = before;
    if (count > 0) {
        qsort(changes, count, sizeof *changes, compare_changes);
        for (size_t i = 1; i < count; i++) {
            MUST(!hash_equal(&changes[i - 1].key, &changes[i].key));
        }
        if (!update_below(store, &after, &before, changes, count, 0)) {
            return false;
        }
    }
    if (!node_equal(&before, &after) && !store->put(store->context, &root_path, &after)) {
        return false;
    }
    state_tree_node_hash(root_out, &after);
    return true;
}

bool state_tree_prove(const struct state_tree_store *store, struct state_tree_proof *out,
                      const struct hash *key)
{
    struct state_tree_node node;
    struct state_tree_path root_path = state_tree_path_of(key, 0);
    out->count = 0;
    if (!store->get(store->context, &node, &root_path)) {
        return false;
    }
    while (node.kind == STATE_TREE_BRANCH) {
        if (out->count == STATE_TREE_DEPTH_MAX) {
            return false; /* no tree is that deep: the store made it up */
        }
        unsigned side = key_bit(key, out->count);
        struct hash child = side == 0 ? node.a : node.b;
        out->siblings[out->count++] = side == 0 ? node.b : node.a;
        if (hash_is_zero(&child)) {
            node = (struct state_tree_node){.kind = STATE_TREE_EMPTY};
        } else if (!node_read(store, &node, key, out->count, &child)) {
            return false;
        }
    }
    out->end = node.kind;
    out->end_key = node.kind == STATE_TREE_LEAF ? node.a : (struct hash){0};
    out->end_value = node.kind == STATE_TREE_LEAF ? node.b : (struct hash){0};
    return true;
}

/* What the proof's end says about the key: true if it shows that value, or absence for NULL. */
static bool end_shows(const struct state_tree_proof *proof, const struct hash *key,
                      const struct hash *value)
{
    switch (proof->end) {
    case STATE_TREE_EMPTY:
        return value == NULL;
    case STATE_TREE_LEAF:
        if (value == NULL) {
            /* Another leaf stands where the key's own would: it must be one of this very place. */
            return !hash_equal(&proof->end_key, key) &&
                   key_shares_prefix(&proof->end_key, key, proof->count);
        }
        return hash_equal(&proof->end_key, key) && hash_equal(&proof->end_value, value);
    case STATE_TREE_BRANCH:
        return false;
    }
    return false;
}

bool state_tree_verify(const struct state_tree_proof *proof, const struct hash *root,
                       const struct hash *key, const struct hash *value)
{
    if (proof->count > STATE_TREE_DEPTH_MAX || !end_shows(proof, key, value)) {
        return false;
    }
    struct state_tree_node node = {proof->end, proof->end_key, proof->end_value};
    struct hash hash;
    state_tree_node_hash(&hash, &node);
    for (unsigned depth = proof->count; depth-- > 0;) {
        const struct hash *sibling = &proof->siblings[depth];
        bool right = key_bit(key, depth) == 1;
        node = (struct state_tree_node){STATE_TREE_BRANCH, right ? *sibling : hash,
                                        right ? hash : *sibling};
        state_tree_node_hash(&hash, &node);
    }
    return hash_equal(&hash, root);
}

void state_tree_proof_encode(const struct state_tree_proof *proof, struct byte_writer *writer)
{
    MUST(proof->count <= STATE_TREE_DEPTH_MAX && proof->end != STATE_TREE_BRANCH);
    byte_write_u16(writer, (uint16_t)proof->count);
    byte_write_raw(writer, proof->siblings, proof->count * sizeof proof->siblings[0]);
    byte_write_u8(writer, (uint8_t)proof->end);
    if (proof->end == STATE_TREE_LEAF) {
        byte_write_raw(writer, proof->end_key.bytes, HASH_SIZE);
        byte_write_raw(writer, proof->end_value.bytes, HASH_SIZE);
    }
}

void state_tree_proof_decode(struct state_tree_proof *proof, struct byte_reader *reader)
{
    memset(proof, 0, sizeof *proof);
    uint16_t count = byte_read_u16(reader);
    if (count > STATE_TREE_DEPTH_MAX) {
        reader->failed = true;
        return;
    }
    byte_read_raw(reader, proof->siblings, count * sizeof proof->siblings[0]);
    uint8_t end = byte_read_u8(reader);
    if (end != STATE_TREE_EMPTY && end != STATE_TREE_LEAF) {
        reader->failed = true;
        return;
    }
    proof->count = count;
    proof->end = (enum state_tree_kind)end;
    if (end == STATE_TREE_LEAF) {
        byte_read_raw(reader, proof->end_key.bytes, HASH_SIZE);
        byte_read_raw(reader, proof->end_value.bytes, HASH_SIZE);
    }
}
