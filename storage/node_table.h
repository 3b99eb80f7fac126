/* Tree nodes in memory, by path: what the in-memory base keeps them in. A hash table, since nobody
 * walks nodes in order and re-execution spends most of its time looking them up. */
#ifndef FLEX_STORAGE_NODE_TABLE_H
#define FLEX_STORAGE_NODE_TABLE_H

#include "crypto/state_tree.h"

struct node_table;

/* NULL if memory ran out. */
struct node_table *node_table_create(void);
void node_table_destroy(struct node_table *table);
/* The node at `path`; kind EMPTY if there is none. False if what is stored is no node: our bug or
 * broken memory. */
bool node_table_get(const struct node_table *table, struct state_tree_node *out,
                    const struct state_tree_path *path);
/* Inserts or replaces; kind EMPTY removes. False if memory ran out: nothing changed. */
bool node_table_put(struct node_table *table, const struct state_tree_path *path,
                    const struct state_tree_node *node);
size_t node_table_count(const struct node_table *table);

#endif
