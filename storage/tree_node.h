/* The stored form of a state tree node: one byte of kind, then its two hashes
 * (crypto/state_tree.h). Overlays and the database keep nodes in these bytes. */
#ifndef FLEX_STORAGE_TREE_NODE_H
#define FLEX_STORAGE_TREE_NODE_H

#include "crypto/state_tree.h"

void tree_node_encode(uint8_t out[STATE_TREE_NODE_SIZE], const struct state_tree_node *node);
/* False if `bytes` are not a node. */
bool tree_node_decode(struct state_tree_node *out, struct bytes_view bytes);
/* The order of keys everywhere in storage: memcmp, the shorter first on a tie. */
int bytes_view_order(struct bytes_view a, struct bytes_view b);
bool bytes_view_starts_with(struct bytes_view bytes, struct bytes_view prefix);

#endif
