/* The slow model of a state. Written without any of the code under test, except for the tree's own
 * hashing, which tests/unit/crypto holds against a model of its own. */
#include "tests/lib/storage/slow_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

static int order(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    for (size_t i = 0; i < a_size && i < b_size; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return a_size == b_size ? 0 : a_size < b_size ? -1 : 1;
}

const struct slow_entry *slow_get(const struct slow_state *state, struct bytes_view key)
{
    for (size_t i = 0; i < state->count; i++) {
        const struct slow_entry *entry = &state->entries[i];
        if (order(entry->key, entry->key_size, key.data, key.size) == 0) {
            return entry;
        }
    }
    return NULL;
}

void slow_remove(struct slow_state *state, struct bytes_view key)
{
    struct slow_entry *entry = (struct slow_entry *)(uintptr_t)slow_get(state, key);
    if (entry != NULL) {
        *entry = state->entries[--state->count];
    }
}

void slow_put(struct slow_state *state, struct bytes_view key, struct bytes_view value)
{
    slow_remove(state, key);
    MUST(state->count < SLOW_ENTRIES_MAX && key.size <= SLOW_KEY_MAX &&
         value.size <= SLOW_VALUE_MAX);
    struct slow_entry *entry = &state->entries[state->count++];
    memcpy(entry->key, key.data, key.size);
    entry->key_size = key.size;
    if (value.size > 0) {
        memcpy(entry->value, value.data, value.size);
    }
    entry->value_size = value.size;
}

const struct slow_entry *slow_next(const struct slow_state *state, struct bytes_view prefix,
                                   struct bytes_view after)
{
    const struct slow_entry *best = NULL;
    for (size_t i = 0; i < state->count; i++) {
        const struct slow_entry *entry = &state->entries[i];
        const bool has_prefix =
            entry->key_size >= prefix.size &&
            (prefix.size == 0 || memcmp(entry->key, prefix.data, prefix.size) == 0);
        if (has_prefix &&
            (after.size == 0 || order(entry->key, entry->key_size, after.data, after.size) > 0) &&
            (best == NULL || order(entry->key, entry->key_size, best->key, best->key_size) < 0)) {
            best = entry;
        }
    }
    return best;
}

struct slow_nodes {
    size_t count;
    struct {
        struct state_tree_path path;
        struct state_tree_node node;
    } items[16 * SLOW_ENTRIES_MAX];
};

static bool nodes_get(void *context, struct state_tree_node *out,
                      const struct state_tree_path *path)
{
    const struct slow_nodes *nodes = context;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < nodes->count; i++) {
        if (nodes->items[i].path.size == path->size &&
            memcmp(nodes->items[i].path.bytes, path->bytes, path->size) == 0) {
            *out = nodes->items[i].node;
        }
    }
    return true;
}

static bool nodes_put(void *context, const struct state_tree_path *path,
                      const struct state_tree_node *node)
{
    struct slow_nodes *nodes = context;
    if (nodes->count == sizeof nodes->items / sizeof nodes->items[0]) {
        return false;
    }
    nodes->items[nodes->count].path = *path;
    nodes->items[nodes->count++].node = *node;
    return true;
}

void slow_root(struct hash *out, const struct slow_state *state)
{
    struct slow_nodes *nodes = calloc(1, sizeof *nodes);
    struct state_tree_change *changes = calloc(state->count + 1, sizeof *changes);
    MUST(nodes != NULL && changes != NULL);
    for (size_t i = 0; i < state->count; i++) {
        const struct slow_entry *entry = &state->entries[i];
        hash_bytes(&changes[i].key, HASH_DOMAIN_STATE_KEY, entry->key, entry->key_size);
        hash_bytes(&changes[i].value, HASH_DOMAIN_STATE_VALUE, entry->value, entry->value_size);
    }
    const struct state_tree_store store = {.context = nodes, .get = nodes_get, .put = nodes_put};
    MUST(state_tree_update(&store, out, changes, state->count));
    free(changes);
    free(nodes);
}

uint32_t slow_random(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % limit;
}
