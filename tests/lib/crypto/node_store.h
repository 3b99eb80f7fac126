/* A node store for the state tree that is nosy: it counts, per path, what one batch reads and
 * writes, and fails on demand. */
#ifndef FLEX_TESTS_LIB_CRYPTO_NODE_STORE_H
#define FLEX_TESTS_LIB_CRYPTO_NODE_STORE_H

#include "crypto/state_tree.h"

enum { NODE_STORE_MAX = 16384, NODE_STORE_SLOTS = 4 * NODE_STORE_MAX };

struct node_store_entry {
    struct state_tree_path path;
    struct state_tree_node node; /* EMPTY: only counted */
    uint64_t batch;              /* that the two counts belong to */
    unsigned reads;
    unsigned writes;
};

struct node_store {
    struct node_store_entry entries[NODE_STORE_MAX];
    size_t count;
    uint32_t slots[NODE_STORE_SLOTS]; /* hash table: index of an entry plus 1, 0 where free */
    uint64_t batch;
    unsigned reads_max; /* of one path in one batch, ever */
    unsigned writes_max;
    uint64_t calls;
    uint64_t fail_at; /* the call of this number fails; 0: none */
};

/* On the heap: it is large. The test frees it. */
struct node_store *node_store_create(void);
struct state_tree_store node_store_face(struct node_store *store);
/* Starts counting afresh; drops empty entries. */
void node_store_next_batch(struct node_store *store);
/* Nodes that are not empty. */
size_t node_store_node_count(const struct node_store *store);
/* NULL if there is none. */
struct state_tree_node *node_store_find(struct node_store *store,
                                        const struct state_tree_path *path);

#endif
