/* The compact sparse Merkle tree over the state (docs/spec/state.md).
 *
 * Positions are the 256 bits of a key's hash, most significant bit first. An empty subtree is 32
 * zero bytes; a subtree that holds one key only IS that key's leaf, H(leaf, key hash, value hash),
 * at whatever depth; any other is H(node, left, right). So the root depends on the set of entries
 * alone and not on the order in which they came, and a tree of n entries is some log2(n) deep.
 *
 * Nodes live in a store of the caller's, addressed by their path. Updates come in batches; each node is
 * read, hashed and written at most once per batch. The node's own trees, which share nodes, are made in
 * storage/forest.h; this is the plain form, for whoever keeps one tree: tests and models hold the forest
 * against it. Proofs are made and verified here alone. */
#ifndef FLEX_CRYPTO_STATE_TREE_H
#define FLEX_CRYPTO_STATE_TREE_H

#include "base/checked.h"
#include "crypto/hash.h"

enum { STATE_TREE_DEPTH_MAX = 256, STATE_TREE_PATH_SIZE = 2 + 32 };

/* Where a node stands: u16 depth (big-endian), then the key hash's first `depth` bits, the rest
 * zero, in as many whole bytes as `depth` needs. Encoded path sizes are 2 + ceil(depth/8). */
struct state_tree_path {
    uint8_t bytes[STATE_TREE_PATH_SIZE];
    size_t size;
};

enum state_tree_kind { STATE_TREE_EMPTY = 0, STATE_TREE_LEAF = 1, STATE_TREE_BRANCH = 2 };

/* A node: its kind, then for a leaf (key hash, value hash), for a branch (left child's hash,
 * right child's hash). Empty nodes are not stored. */
struct state_tree_node {
    enum state_tree_kind kind;
    struct hash a;
    struct hash b;
};

/* The hash by which a parent knows the node; 32 zero bytes for an empty one. */
void state_tree_node_hash(struct hash *out, const struct state_tree_node *node);

/* The caller's node store. `get` returns false on a fault of the store (an absent node is kind
 * EMPTY and true); put with kind EMPTY deletes. A false from either ends the call with false. */
struct state_tree_store {
    void *context;
    bool (*get)(void *context, struct state_tree_node *out, const struct state_tree_path *path);
    bool (*put)(void *context, const struct state_tree_path *path,
                const struct state_tree_node *node);
};

struct state_tree_change {
    struct hash key;   /* hash of the state key */
    struct hash value; /* hash of the value; ignored when absent is set */
    bool absent;       /* the key goes away */
    bool idle;         /* what forest_update (storage/forest.h) says: it was so before */
    uint32_t tag;      /* the caller's own */
};

/* Applies `count` changes, which this call sorts by key in place; equal keys are our bug. */
MUST_USE bool state_tree_update(const struct state_tree_store *store, struct hash *root_out,
                                struct state_tree_change *changes, size_t count);

/* Where the node of depth `depth`, at most STATE_TREE_DEPTH_MAX, above a key stands: for those who walk
 * a store node by node. */
struct state_tree_path state_tree_path_of(const struct hash *key, unsigned depth);

/* Proof of presence or absence of one key. */
struct state_tree_proof {
    uint32_t count; /* siblings, from the root downwards */
    struct hash siblings[STATE_TREE_DEPTH_MAX];
    enum state_tree_kind end; /* what stands where the path ends */
    struct hash end_key;      /* for LEAF: the leaf's key hash */
    struct hash end_value;    /* for LEAF: the leaf's value hash */
};

MUST_USE bool state_tree_prove(const struct state_tree_store *store, struct state_tree_proof *out,
                               const struct hash *key);
/* Presence with that value hash (`value` not NULL) or absence (`value` NULL) under `root`. */
bool state_tree_verify(const struct state_tree_proof *proof, const struct hash *root,
                       const struct hash *key, const struct hash *value);

/* Canonical bytes of a proof: u16 count, siblings, u8 end, end_key and end_value if it is a leaf. */
void state_tree_proof_encode(const struct state_tree_proof *proof, struct byte_writer *writer);
void state_tree_proof_decode(struct state_tree_proof *proof, struct byte_reader *reader);

#endif
