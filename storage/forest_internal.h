/* What the forest's two files share: where nodes are. Not for anyone outside storage/. */
#ifndef FLEX_STORAGE_FOREST_INTERNAL_H
#define FLEX_STORAGE_FOREST_INTERNAL_H

#include <pthread.h>

#include "storage/forest.h"

/* A leaf has key hash and value hash, and LEAF on both sides; a branch the hashes and places of its
 * children, FOREST_NONE and zero where there is none. */
struct forest_node {
    struct hash a;
    struct hash b;
    uint32_t left;
    uint32_t right;
};

enum {
    FOREST_NONE = 0,
    /* 4.5 MiB of nodes at a time. */
    FOREST_SEGMENT_NODES = 1 << 16,
    FOREST_SEGMENTS_MAX = 1 << 15,
    /* Trees that can still be pinned: who begins to read meets one of the last two, unless it sleeps over
     * several commits in between; then it looks for the latest anew. */
    FOREST_RECENT = 8,
    FOREST_PINS_MAX = 512,
    /* Commits whose dead nodes wait for a pin to go. Beyond that they are lost until the next start. */
    FOREST_WAITING_MAX = 1 << 20
};
static const uint32_t forest_leaf_mark = UINT32_MAX;

struct forest_known {
    uint64_t height;
    struct forest_tree tree;
};

/* Dead nodes of one commit: free once no pin is below its height. */
struct forest_waiting {
    uint64_t height;
    uint32_t *items;
    size_t count;
};

struct forest {
    uint32_t holders;
    int file; /* -1: none */
    struct forest_node *segments[FOREST_SEGMENTS_MAX];
    uint32_t segment_count;
    uint32_t used;                  /* places given out so far, FOREST_NONE among them */
    uint32_t freed;                 /* the first free place; each names the next in `left` */
    size_t count;                   /* in use */
    uint64_t height;                /* of the last tree that was published */
    struct forest_waiting *waiting; /* a ring */
    size_t waiting_head;
    size_t waiting_count;
    size_t waiting_room;
    pthread_mutex_t mutex; /* of what follows */
    struct forest_known known[FOREST_RECENT];
    uint32_t known_count; /* the oldest first */
    uint64_t pins[FOREST_PINS_MAX];
    uint32_t pin_count;
};

static inline struct forest_node *forest_at(const struct forest *forest, uint32_t place)
{
    return &forest->segments[place / FOREST_SEGMENT_NODES][place % FOREST_SEGMENT_NODES];
}

static inline bool forest_is_leaf(const struct forest_node *node)
{
    return node->left == forest_leaf_mark;
}

/* A free place, FOREST_NONE if memory ran out; and one given back. */
uint32_t forest_take(struct forest *forest);
void forest_give(struct forest *forest, uint32_t place);
MUST_USE bool forest_list_add(struct forest_list *list, uint32_t place);

#endif
