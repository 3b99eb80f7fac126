/* Merkle trees as RFC 6962 2.1 defines them, over leaf hashes, with our tagged hash inside: over
 * transactions, receipts, meter readings, and block headers (the append-only history log). */
#ifndef FLEX_CRYPTO_MERKLE_H
#define FLEX_CRYPTO_MERKLE_H

#include "base/checked.h"
#include "crypto/hash.h"

enum { MERKLE_DEPTH_MAX = 64 };

struct merkle_proof {
    uint32_t count;
    struct hash siblings[MERKLE_DEPTH_MAX]; /* from the leaf's own level upwards */
};

/* Root of `count` leaf hashes. The empty tree's root is 32 zero bytes. */
void merkle_root(struct hash *out, const struct hash *leaves, size_t count);
/* index < count, else our bug. */
void merkle_prove(struct merkle_proof *out, const struct hash *leaves, size_t count, size_t index);
/* Also false if the proof's length is not the one that (index, count) demands. */
bool merkle_verify(const struct merkle_proof *proof, const struct hash *leaf, uint64_t index,
                   uint64_t count, const struct hash *root);

/* The same for a tree whose leaves are not at hand: `root` gives the root over leaves [from, from +
 * count), each of which is a subtree of the tree, complete or its right edge; a false of it ends the
 * call with false. At most 2 * MERKLE_DEPTH_MAX calls. */
typedef bool (*merkle_range_fn)(void *context, struct hash *out, uint64_t from, uint64_t count);
MUST_USE bool merkle_prove_ranges(struct merkle_proof *out, merkle_range_fn root, void *context,
                                  uint64_t count, uint64_t index);
MUST_USE bool merkle_prove_consistency_ranges(struct merkle_proof *out, merkle_range_fn root,
                                              void *context, uint64_t count, uint64_t old_count);

/* The append-only log's right edge: roots of its complete subtrees, largest first. Its size is
 * logarithmic, so it is part of a block's own context. */
struct merkle_frontier {
    uint64_t count;
    struct hash peaks[MERKLE_DEPTH_MAX];
};
void merkle_frontier_init(struct merkle_frontier *frontier);
void merkle_frontier_append(struct merkle_frontier *frontier, const struct hash *leaf);
void merkle_frontier_root(struct hash *out, const struct merkle_frontier *frontier);

/* Proof that the tree of `old_count` leaves is a prefix of the one over all `count` leaves. */
void merkle_prove_consistency(struct merkle_proof *out, const struct hash *leaves, size_t count,
                              size_t old_count);
bool merkle_verify_consistency(const struct merkle_proof *proof, uint64_t old_count,
                               const struct hash *old_root, uint64_t count,
                               const struct hash *root);

#endif
