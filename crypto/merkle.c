/* Merkle trees over leaf hashes (crypto/merkle.h): RFC 6962 2.1, with BLAKE2b and domain tags in
 * the place of its 0x00 and 0x01 prefixes.
 *
 * The shape of a tree of n leaves is fixed by n: left of the top stand the largest power of two
 * below n. A frontier holds the roots of the complete subtrees that the binary digits of n name;
 * all roots are computed by it, so there is one piece of code to get right, and a proof's
 * verification (RFC 9162 2.1.3.2 and 2.1.4.2) is written independently of it. */
#include "crypto/merkle.h"

#include "base/assumptions.h"
#include "base/fatal.h"

static void merkle_node(struct hash *out, const struct hash *left, const struct hash *right)
{
    hash_pair(out, HASH_DOMAIN_MERKLE_NODE, hash_view(left), hash_view(right));
}

/* How many complete subtrees make up a tree of `count` leaves. */
static unsigned peak_count(uint64_t count)
{
    return (unsigned)__builtin_popcountll(count);
}

void merkle_frontier_init(struct merkle_frontier *frontier)
{
    *frontier = (struct merkle_frontier){0};
}

void merkle_frontier_append(struct merkle_frontier *frontier, const struct hash *leaf)
{
    MUST(frontier->count < UINT64_MAX);
    unsigned peaks = peak_count(frontier->count);
    struct hash root = *leaf;
    /* Each trailing one digit of the count is a subtree as large as the one at hand. */
    for (uint64_t rest = frontier->count; (rest & 1) != 0; rest >>= 1) {
        MUST(peaks > 0);
        merkle_node(&root, &frontier->peaks[--peaks], &root);
    }
    frontier->count++;
    MUST(peaks + 1 == peak_count(frontier->count));
    frontier->peaks[peaks] = root;
}

void merkle_frontier_root(struct hash *out, const struct merkle_frontier *frontier)
{
    unsigned peaks = peak_count(frontier->count);
    if (peaks == 0) {
        *out = (struct hash){0};
        return;
    }
    struct hash root = frontier->peaks[peaks - 1];
    for (unsigned i = peaks - 1; i-- > 0;) {
        merkle_node(&root, &frontier->peaks[i], &root);
    }
    *out = root;
}

void merkle_root(struct hash *out, const struct hash *leaves, size_t count)
{
    struct merkle_frontier frontier;
    merkle_frontier_init(&frontier);
    for (size_t i = 0; i < count; i++) {
        merkle_frontier_append(&frontier, &leaves[i]);
    }
    merkle_frontier_root(out, &frontier);
}

/* The largest power of two below `count`, which is at least 2. */
static uint64_t left_count(uint64_t count)
{
    MUST(count >= 2);
    return (uint64_t)1 << (63 - __builtin_clzll(count - 1));
}

/* Where the subtrees' roots come from, and what has been collected. */
struct prover {
    struct merkle_proof *out;
    merkle_range_fn root;
    void *context;
};

static bool proof_push(const struct prover *prover, uint64_t from, uint64_t count)
{
    MUST(prover->out->count < MERKLE_DEPTH_MAX);
    return prover->root(prover->context, &prover->out->siblings[prover->out->count++], from, count);
}

static bool range_of_leaves(void *context, struct hash *out, uint64_t from, uint64_t count)
{
    const struct hash *leaves = context;
    merkle_root(out, leaves + from, count);
    return true;
}

/* Siblings are found from the root downwards and wanted from the leaf upwards. */
static void proof_reverse(struct merkle_proof *proof)
{
    for (uint32_t i = 0; i < proof->count / 2; i++) {
        struct hash held = proof->siblings[i];
        proof->siblings[i] = proof->siblings[proof->count - 1 - i];
        proof->siblings[proof->count - 1 - i] = held;
    }
}

bool merkle_prove_ranges(struct merkle_proof *out, merkle_range_fn root, void *context,
                         uint64_t count, uint64_t index)
{
    const struct prover prover = {out, root, context};
    uint64_t from = 0;
    MUST(index < count);
    out->count = 0;
    while (count > 1) {
        uint64_t left = left_count(count);
        bool in_left = index - from < left;
        if (!(in_left ? proof_push(&prover, from + left, count - left)
                      : proof_push(&prover, from, left))) {
            return false;
        }
        from += in_left ? 0 : left;
        count = in_left ? left : count - left;
    }
    proof_reverse(out);
    return true;
}

void merkle_prove(struct merkle_proof *out, const struct hash *leaves, size_t count, size_t index)
{
    bool made = merkle_prove_ranges(out, range_of_leaves, (void *)(uintptr_t)leaves, count, index);
    MUST(made);
}

/* Walks up from a leaf as RFC 9162 2.1.3.2 says: `index` and `last` are the positions of the node
 * and of the level's last one. True while there is a level above. */
static bool climb_past_lone_nodes(uint64_t *index, uint64_t *last)
{
    while ((*index & 1) == 0 && *index != 0) {
        *index >>= 1;
        *last >>= 1;
    }
    return *last != 0;
}

bool merkle_verify(const struct merkle_proof *proof, const struct hash *leaf, uint64_t index,
                   uint64_t count, const struct hash *root)
{
    if (index >= count || proof->count > MERKLE_DEPTH_MAX) {
        return false;
    }
    uint64_t last = count - 1;
    struct hash node = *leaf;
    for (uint32_t i = 0; i < proof->count; i++) {
        const struct hash *sibling = &proof->siblings[i];
        if (last == 0) {
            return false;
        }
        if ((index & 1) != 0) {
            merkle_node(&node, sibling, &node);
        } else if (index == last) {
            /* The last node of its level without a sibling: it goes up unchanged to where it is a
             * right child. */
            climb_past_lone_nodes(&index, &last);
            merkle_node(&node, sibling, &node);
        } else {
            merkle_node(&node, &node, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    return last == 0 && hash_equal(&node, root);
}

bool merkle_prove_consistency_ranges(struct merkle_proof *out, merkle_range_fn root, void *context,
                                     uint64_t count, uint64_t old_count)
{
    const struct prover prover = {out, root, context};
    uint64_t from = 0;
    MUST(old_count <= count);
    out->count = 0;
    if (old_count == 0 || old_count == count) {
        return true;
    }
    /* RFC 6962 2.1.2, SUBPROOF(m, D[n], b) as a loop: `whole` is its b. */
    bool whole = true;
    while (old_count != count) {
        uint64_t left = left_count(count);
        bool in_left = old_count <= left;
        if (!(in_left ? proof_push(&prover, from + left, count - left)
                      : proof_push(&prover, from, left))) {
            return false;
        }
        whole = whole && in_left;
        from += in_left ? 0 : left;
        old_count -= in_left ? 0 : left;
        count = in_left ? left : count - left;
    }
    if (!whole && !proof_push(&prover, from, count)) {
        return false;
    }
    proof_reverse(out);
    return true;
}

void merkle_prove_consistency(struct merkle_proof *out, const struct hash *leaves, size_t count,
                              size_t old_count)
{
    bool made = merkle_prove_consistency_ranges(out, range_of_leaves, (void *)(uintptr_t)leaves,
                                                count, old_count);
    MUST(made);
}

/* RFC 9162 2.1.4.2 for 0 < old_count < count: rebuilds both roots from the same hashes. */
static bool verify_prefix(const struct merkle_proof *proof, uint64_t old_count,
                          const struct hash *old_root, uint64_t count, const struct hash *root)
{
    bool complete = (old_count & (old_count - 1)) == 0;
    uint64_t index = old_count - 1, last = count - 1;
    uint32_t next = complete ? 0 : 1;
    if (proof->count < next) {
        return false;
    }
    struct hash old_node = complete ? *old_root : proof->siblings[0], new_node = old_node;
    while ((index & 1) != 0) {
        index >>= 1;
        last >>= 1;
    }
    for (; next < proof->count; next++) {
        const struct hash *sibling = &proof->siblings[next];
        if (last == 0) {
            return false;
        }
        if ((index & 1) != 0 || index == last) {
            merkle_node(&old_node, sibling, &old_node);
            merkle_node(&new_node, sibling, &new_node);
            if ((index & 1) == 0) {
                climb_past_lone_nodes(&index, &last);
            }
        } else {
            merkle_node(&new_node, &new_node, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    return last == 0 && hash_equal(&old_node, old_root) && hash_equal(&new_node, root);
}

bool merkle_verify_consistency(const struct merkle_proof *proof, uint64_t old_count,
                               const struct hash *old_root, uint64_t count, const struct hash *root)
{
    if (old_count > count || proof->count > MERKLE_DEPTH_MAX) {
        return false;
    }
    if (old_count == count) {
        return proof->count == 0 && hash_equal(old_root, root);
    }
    if (old_count == 0) {
        return proof->count == 0 && hash_is_zero(old_root);
    }
    return verify_prefix(proof, old_count, old_root, count, root);
}
