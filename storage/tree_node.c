/* The stored form of tree nodes, and the order of keys.
 *
 * Invariant: bytes_view_order is the order of LMDB's default comparison and of ordered_map, so that
 * a walk over overlays and database merges without sorting. */
#include "storage/tree_node.h"

#include <string.h>

#include "base/fatal.h"

void tree_node_encode(uint8_t out[STATE_TREE_NODE_SIZE], const struct state_tree_node *node)
{
    MUST(node->kind == STATE_TREE_EMPTY || node->kind == STATE_TREE_LEAF ||
         node->kind == STATE_TREE_BRANCH);
    out[0] = (uint8_t)node->kind;
    memcpy(out + 1, node->a.bytes, HASH_SIZE);
    memcpy(out + 1 + HASH_SIZE, node->b.bytes, HASH_SIZE);
}

bool tree_node_decode(struct state_tree_node *out, struct bytes_view bytes)
{
    if (bytes.size != STATE_TREE_NODE_SIZE || bytes.data[0] > STATE_TREE_BRANCH) {
        return false;
    }
    out->kind = (enum state_tree_kind)bytes.data[0];
    memcpy(out->a.bytes, bytes.data + 1, HASH_SIZE);
    memcpy(out->b.bytes, bytes.data + 1 + HASH_SIZE, HASH_SIZE);
    return true;
}

int bytes_view_order(struct bytes_view a, struct bytes_view b)
{
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

bool bytes_view_starts_with(struct bytes_view bytes, struct bytes_view prefix)
{
    return bytes.size >= prefix.size &&
           (prefix.size == 0 || memcmp(bytes.data, prefix.data, prefix.size) == 0);
}
