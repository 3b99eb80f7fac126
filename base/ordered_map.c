/* The ordered map (base/ordered_map.h): an AA tree in one arena.
 *
 * Invariants:
 *  1 In-order traversal gives strictly ascending keys.
 *  2 AA levels (Andersson 1993): a leaf has level 1; a left child stands one level below its parent;
 *    a right child at the same level or one below; a right grandchild strictly below. So the height
 *    is at most 2 log2(n + 1), whatever keys an adversary picks: the reason why this is no treap
 *    with a public hash as its priority, nor a plain hash table.
 *  3 The arena only grows until the next clear: bytes of replaced and removed entries stay as they
 *    are, because rollback logs point at them.
 *
 * The arena is reserved address space; the kernel gives a page when it is first written. Absent on
 * purpose: reuse of room, iterators that survive a change (callers seek again by key), locks. */
#include "base/ordered_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assumptions.h"
#include "base/fatal.h"

/* 2 log2(n + 1) with n < 2^32, plus the root's own step. */
enum { PATH_MAX_DEPTH = 66, ARENA_ALIGNMENT = 8 };

struct map_node {
    struct map_node *left;
    struct map_node *right;
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t level;
};

struct ordered_map {
    uint8_t *arena;
    size_t capacity;
    size_t used;
    size_t count;
    struct map_node *root;
};

/* The links that lead from the root to a place in the tree. */
struct map_path {
    struct map_node **links[PATH_MAX_DEPTH];
    size_t depth;
};

struct ordered_map *ordered_map_create(size_t bytes_max)
{
    struct ordered_map *map = calloc(1, sizeof *map);
    if (map == NULL || bytes_max == 0) {
        free(map);
        return NULL;
    }
    void *arena = mmap(NULL, bytes_max, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        free(map);
        return NULL;
    }
    map->arena = arena;
    map->capacity = bytes_max;
    return map;
}

void ordered_map_destroy(struct ordered_map *map)
{
    if (map != NULL) {
        munmap(map->arena, map->capacity);
        free(map);
    }
}

void ordered_map_clear(struct ordered_map *map)
{
    map->used = 0;
    map->count = 0;
    map->root = NULL;
}

static size_t aligned(size_t size)
{
    return (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
}

/* The caller has checked that there is room. */
static void *arena_take(struct ordered_map *map, size_t size)
{
    MUST(map->used + aligned(size) <= map->capacity);
    void *at = map->arena + map->used;
    map->used += aligned(size);
    return at;
}

static const uint8_t *arena_copy(struct ordered_map *map, struct bytes_view bytes)
{
    uint8_t *at = arena_take(map, bytes.size);
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at;
}

static int compare_key(struct bytes_view key, const struct map_node *node)
{
    size_t shorter = key.size < node->key_size ? key.size : node->key_size;
    int order = shorter == 0 ? 0 : memcmp(key.data, node->key, shorter);
    return order != 0 ? order : (key.size > node->key_size) - (key.size < node->key_size);
}

static void path_push(struct map_path *path, struct map_node **link)
{
    MUST(path->depth < PATH_MAX_DEPTH);
    path->links[path->depth++] = link;
}

/* Fills `path` down to the key's place; returns its node, or NULL with the free link last. */
static struct map_node *path_find(struct map_path *path, struct ordered_map *map,
                                  struct bytes_view key)
{
    path->depth = 0;
    path_push(path, &map->root);
    for (struct map_node *node = map->root; node != NULL;) {
        int order = compare_key(key, node);
        if (order == 0) {
            return node;
        }
        struct map_node **link = order < 0 ? &node->left : &node->right;
        path_push(path, link);
        node = *link;
    }
    return NULL;
}

static uint32_t level_of(const struct map_node *node)
{
    return node == NULL ? 0 : node->level;
}

/* A left child at its parent's level becomes the parent. */
static void skew(struct map_node **link)
{
    struct map_node *node = *link;
    if (node == NULL || node->left == NULL || node->left->level != node->level) {
        return;
    }
    struct map_node *up = node->left;
    node->left = up->right;
    up->right = node;
    *link = up;
}

/* Of three in a row at one level the middle one rises. */
static void split(struct map_node **link)
{
    struct map_node *node = *link;
    if (node == NULL || node->right == NULL || node->right->right == NULL ||
        node->right->right->level != node->level) {
        return;
    }
    struct map_node *up = node->right;
    node->right = up->left;
    up->left = node;
    up->level++;
    *link = up;
}

static bool map_has_room(const struct ordered_map *map, size_t size)
{
    return size <= map->capacity - map->used;
}

static void map_insert(struct ordered_map *map, struct map_path *path, struct bytes_view key,
                       struct bytes_view value)
{
    struct map_node *node = arena_take(map, sizeof *node);
    *node = (struct map_node){.key = arena_copy(map, key),
                              .value = arena_copy(map, value),
                              .key_size = (uint32_t)key.size,
                              .value_size = (uint32_t)value.size,
                              .level = 1};
    *path->links[path->depth - 1] = node;
    map->count++;
    for (size_t i = path->depth; i-- > 0;) {
        skew(path->links[i]);
        split(path->links[i]);
    }
}

bool ordered_map_put(struct ordered_map *map, struct bytes_view key, struct bytes_view value)
{
    if (key.size > map->capacity || value.size > map->capacity || key.size > UINT32_MAX ||
        value.size > UINT32_MAX) {
        return false;
    }
    struct map_path path;
    struct map_node *node = path_find(&path, map, key);
    if (node == NULL) {
        if (!map_has_room(map, aligned(sizeof *node) + aligned(key.size) + aligned(value.size))) {
            return false;
        }
        map_insert(map, &path, key, value);
        return true;
    }
    if (!map_has_room(map, aligned(value.size))) {
        return false;
    }
    node->value = arena_copy(map, value);
    node->value_size = (uint32_t)value.size;
    return true;
}

bool ordered_map_get(const struct ordered_map *map, struct bytes_view key, struct bytes_view *value)
{
    for (const struct map_node *node = map->root; node != NULL;) {
        int order = compare_key(key, node);
        if (order == 0) {
            *value = bytes_view_of(node->value, node->value_size);
            return true;
        }
        node = order < 0 ? node->left : node->right;
    }
    return false;
}

/* Restores invariant 2 at `link` after something below it went away. */
static void rebalance_after_remove(struct map_node **link)
{
    struct map_node *node = *link;
    if (node == NULL) {
        return;
    }
    uint32_t left = level_of(node->left), right = level_of(node->right);
    uint32_t should = (left < right ? left : right) + 1;
    if (should >= node->level) {
        return;
    }
    node->level = should;
    if (right > should) {
        node->right->level = should;
    }
    skew(link);
    skew(&(*link)->right);
    if ((*link)->right != NULL) {
        skew(&(*link)->right->right);
    }
    split(link);
    split(&(*link)->right);
}

bool ordered_map_remove(struct ordered_map *map, struct bytes_view key)
{
    struct map_path path;
    struct map_node *node = path_find(&path, map, key);
    if (node == NULL) {
        return false;
    }
    struct map_node *gone = node;
    if (node->left != NULL && node->right != NULL) {
        /* The next key up has no left child: it takes this node's place, its own goes away. */
        path_push(&path, &node->right);
        for (gone = node->right; gone->left != NULL; gone = gone->left) {
            path_push(&path, &gone->left);
        }
        node->key = gone->key;
        node->key_size = gone->key_size;
        node->value = gone->value;
        node->value_size = gone->value_size;
    }
    MUST(gone->left == NULL || gone->right == NULL);
    *path.links[path.depth - 1] = gone->left != NULL ? gone->left : gone->right;
    MUST(map->count > 0);
    map->count--;
    for (size_t i = path.depth; i-- > 0;) {
        rebalance_after_remove(path.links[i]);
    }
    return true;
}

bool ordered_map_seek(const struct ordered_map *map, struct bytes_view from, bool inclusive,
                      struct bytes_view *key, struct bytes_view *value)
{
    const struct map_node *best = NULL;
    for (const struct map_node *node = map->root; node != NULL;) {
        int order = compare_key(from, node);
        if (order < 0 || (order == 0 && inclusive)) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    if (best == NULL) {
        return false;
    }
    *key = bytes_view_of(best->key, best->key_size);
    *value = bytes_view_of(best->value, best->value_size);
    return true;
}

size_t ordered_map_count(const struct ordered_map *map)
{
    return map->count;
}

size_t ordered_map_bytes(const struct ordered_map *map)
{
    return map->used;
}
