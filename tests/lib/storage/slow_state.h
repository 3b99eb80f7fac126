/* A state as slow and plain as can be: an unsorted array. The model that overlays are held against. */
#ifndef FLEX_TESTS_SLOW_STATE_H
#define FLEX_TESTS_SLOW_STATE_H

#include "crypto/state_tree.h"

enum { SLOW_ENTRIES_MAX = 512, SLOW_KEY_MAX = 16, SLOW_VALUE_MAX = 16 };

struct slow_state {
    size_t count;
    struct slow_entry {
        uint8_t key[SLOW_KEY_MAX];
        size_t key_size;
        uint8_t value[SLOW_VALUE_MAX];
        size_t value_size;
    } entries[SLOW_ENTRIES_MAX];
};

const struct slow_entry *slow_get(const struct slow_state *state, struct bytes_view key);
void slow_put(struct slow_state *state, struct bytes_view key, struct bytes_view value);
void slow_remove(struct slow_state *state, struct bytes_view key);
/* The least key with the prefix above `after` (any, if that is empty); NULL if there is none. */
const struct slow_entry *slow_next(const struct slow_state *state, struct bytes_view prefix,
                                   struct bytes_view after);
/* The root of a tree that is built from nothing. */
void slow_root(struct hash *out, const struct slow_state *state);

/* A small generator of our own, so that a seed gives the same test everywhere. */
uint32_t slow_random(uint64_t *seed, uint32_t limit);

#endif
