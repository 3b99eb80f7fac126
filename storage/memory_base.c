/* A base in memory: what the simulator, tests and the offline audit commit blocks into.
 *
 * An ordered map of state entries, and their tree in a forest of its own. The map's arena gives no room back
 * until it is cleared, so a full one is copied into a larger one; what was replaced or removed
 * stays behind. Copying at a doubling of the live bytes costs each byte a constant number of
 * copies.
 *
 * Deliberately absent: durability, snapshots, threads. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/ordered_map.h"
#include "storage/key_order.h"
#include "storage/overlay.h"

enum { ARENA_BYTES_FIRST = 256 * 1024 };

struct growing_map {
    struct ordered_map *map;
    size_t capacity;
};

struct memory_base {
    struct state_base face;
    struct growing_map state;
};

static bool growing_init(struct growing_map *growing)
{
    growing->capacity = ARENA_BYTES_FIRST;
    growing->map = ordered_map_create(growing->capacity);
    return growing->map != NULL;
}

static bool copy_all(struct ordered_map *to, const struct ordered_map *from)
{
    struct bytes_view at = {NULL, 0};
    struct bytes_view key;
    struct bytes_view value;
    bool inclusive = true;
    while (ordered_map_seek(from, at, inclusive, &key, &value)) {
        if (!ordered_map_put(to, key, value)) {
            return false;
        }
        at = key;
        inclusive = false;
    }
    return true;
}

/* Moves everything into an arena with at least as much free room as live bytes. */
static bool growing_grow(struct growing_map *growing)
{
    /* The first copy has the room of the old one, which held it all. */
    struct ordered_map *copy = ordered_map_create(growing->capacity);
    if (copy == NULL || !copy_all(copy, growing->map)) {
        if (copy != NULL) {
            ordered_map_destroy(copy);
        }
        return false;
    }
    ordered_map_destroy(growing->map);
    growing->map = copy;
    if (ordered_map_bytes(copy) <= growing->capacity / 2) {
        return true;
    }
    struct ordered_map *larger = ordered_map_create(growing->capacity * 2);
    if (larger == NULL || !copy_all(larger, copy)) {
        if (larger != NULL) {
            ordered_map_destroy(larger);
        }
        return false;
    }
    ordered_map_destroy(copy);
    growing->map = larger;
    growing->capacity *= 2;
    return true;
}

static bool growing_put(struct growing_map *growing, struct bytes_view key, struct bytes_view value)
{
    /* Two tries: after growing there is as much free room as live bytes, and an entry is far below
     * the first arena's half. */
    for (int i = 0; i < 2; i++) {
        if (ordered_map_put(growing->map, key, value)) {
            return true;
        }
        if (!growing_grow(growing)) {
            return false;
        }
    }
    return ordered_map_put(growing->map, key, value);
}

static bool memory_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    const struct memory_base *memory = context;
    *found = ordered_map_get(memory->state.map, key, value);
    return true;
}

static bool memory_next(void *context, struct bytes_view prefix, struct bytes_view after,
                        bool *found, uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    const struct memory_base *memory = context;
    const bool from_prefix = after.size == 0 || bytes_view_order(after, prefix) < 0;
    struct bytes_view key;
    *found = ordered_map_seek(memory->state.map, from_prefix ? prefix : after, from_prefix, &key,
                              value) &&
             bytes_view_starts_with(key, prefix);
    if (*found) {
        MUST(key.size <= LIMIT_STATE_KEY_BYTES);
        memcpy(key_out, key.data, key.size);
        *key_size = key.size;
    }
    return true;
}

static bool memory_node_get(void *context, struct state_tree_node *out,
                            const struct state_tree_path *path)
{
    const struct memory_base *memory = context;
    forest_node(memory->face.forest, &memory->face.tree, out, path);
    return true;
}

struct memory_base *memory_base_create(void)
{
    struct memory_base *memory = calloc(1, sizeof *memory);
    if (memory == NULL) {
        return NULL;
    }
    memory->face = (struct state_base){
        .context = memory, .get = memory_get, .next = memory_next, .node_get = memory_node_get};
    memory->face.forest = forest_create(-1);
    if (!growing_init(&memory->state) || memory->face.forest == NULL) {
        memory_base_destroy(memory);
        return NULL;
    }
    return memory;
}

void memory_base_destroy(struct memory_base *memory)
{
    if (memory == NULL) {
        return;
    }
    if (memory->state.map != NULL) {
        ordered_map_destroy(memory->state.map);
    }
    if (memory->face.forest != NULL) {
        forest_release(memory->face.forest);
    }
    free(memory);
}

const struct state_base *memory_base_face(struct memory_base *memory)
{
    return &memory->face;
}

static bool commit_change(void *context, struct bytes_view key, struct bytes_view value)
{
    struct memory_base *memory = context;
    if (value.data == NULL) {
        MUST(ordered_map_remove(memory->state.map, key));
        return true;
    }
    return growing_put(&memory->state, key, value);
}

bool memory_base_commit(struct memory_base *memory, struct overlay *overlay)
{
    MUST(overlay_is_sealed(overlay));
    return overlay_each_change(overlay, memory, commit_change) &&
           overlay_commit_tree(overlay, &memory->face);
}
