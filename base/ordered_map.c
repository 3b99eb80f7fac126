/* The ordered map (base/ordered_map.h): a B+ tree in one arena.
 *
 * A node holds up to NODE_SLOTS keys. Beside each stands its head: the eight bytes behind what all keys of
 * the node begin with, as a number. State keys begin alike for dozens of bytes (kind, market, period), so a
 * search in a node compares the common part once and then numbers that lie side by side; it goes to the
 * keys themselves, each somewhere else in memory, only where heads are equal.
 *
 * Invariants:
 *  1 In-order traversal gives strictly ascending keys. Keys below slot i > 0 of an inner node are at or
 *    above its key, those below slot i - 1 under it; slot 0's key bounds nothing, but is
 *    under slot 1's.
 *  2 Each node's keys begin with its `prefix`, and heads[i] is what key_head says of key i.
 *  3 No node is empty, all leaves have the same depth, and that depth is below HEIGHT_MAX whatever keys an
 *    adversary picks: the reason why this is no plain hash table. A split leaves two nodes at most about
 *    half full, except at the right edge, where what is full stays and a node of one begins, for keys
 *    that ascend. So two splits take at least 16 insertions at their level, each level has had at most an
 *    eighth of the nodes of the one below, and 8^11 > 2^32.
 *  4 The arena only grows until the next clear: bytes of replaced and removed entries stay as they
 *    are, because rollback logs, prefixes and inner nodes point at them.
 *
 *  5 Pages that fills have not needed for long go back to the kernel at a clear: `lately` is the largest
 *    fill, an eighth less for each clear since, and no more than twice that is held. A map that is filled
 *    alike each time keeps its pages, and one that had a single large fill gives them back.
 *
 * The arena is reserved address space; the kernel gives a page when it is first written. Absent on
 * purpose: merging of nodes that lost most of their keys (one that lost all goes away), reuse of room,
 * iterators that survive a change (callers seek again by key), locks. */
#include "base/ordered_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assumptions.h"
#include "base/fatal.h"

enum { NODE_SLOTS = 32, HEIGHT_MAX = 13, ARENA_ALIGNMENT = 8, HEAD_BYTES = 8 };
enum { HELD_ANYWAY = 1024 * 1024 }; /* not worth a system call */

struct map_slot {
    const uint8_t *key;
    union {
        const uint8_t *value;   /* in a leaf */
        struct map_node *child; /* in an inner node */
    } to;
    uint32_t key_size;
    uint32_t value_size;
};

struct map_node {
    uint32_t count;
    uint32_t prefix_size;
    const uint8_t *prefix;
    uint64_t heads[NODE_SLOTS];
    struct map_slot slots[NODE_SLOTS];
};

struct ordered_map {
    uint8_t *arena;
    size_t capacity;
    size_t used;
    size_t touched; /* the most that was used since pages last went back */
    size_t lately;
    size_t count;
    struct map_node *root; /* NULL if the map is empty */
    uint32_t height;       /* levels, leaves included */
};

/* The way from the root to a place in a leaf. */
struct map_path {
    struct map_node *nodes[HEIGHT_MAX];
    uint32_t at[HEIGHT_MAX]; /* slot on the way; in the leaf, the first one at or above the key */
    uint32_t depth;
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

/* Invariant 5. Should the kernel refuse, the pages stay, and nothing else is different. */
static void give_back(struct ordered_map *map)
{
    map->touched = map->used > map->touched ? map->used : map->touched;
    map->lately -= map->lately / 8;
    map->lately = map->used > map->lately ? map->used : map->lately;
    const size_t held = map->lately > HELD_ANYWAY ? map->lately : HELD_ANYWAY;
    if (map->touched / 2 <= held) {
        return;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t from = (held + page - 1) / page * page;
    (void)madvise(map->arena + from, map->touched - from, MADV_DONTNEED);
    map->touched = from;
}

void ordered_map_clear(struct ordered_map *map)
{
    give_back(map);
    map->used = 0;
    map->count = 0;
    map->root = NULL;
    map->height = 0;
}

/* --- the arena ------------------------------------------------------------------------------ */

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

static bool map_has_room(const struct ordered_map *map, size_t size)
{
    return size <= map->capacity - map->used;
}

static struct map_node *node_new(struct ordered_map *map)
{
    struct map_node *node = arena_take(map, sizeof *node);
    node->count = 0;
    node->prefix_size = 0;
    node->prefix = NULL;
    return node;
}

/* --- inside a node -------------------------------------------------------------------------- */

/* The HEAD_BYTES behind the first `skip`, big-endian, zeros where the key ends. Of keys that agree in
 * those, the one with the smaller head is the smaller one; equal heads say nothing. */
static uint64_t key_head(const uint8_t *key, size_t size, size_t skip)
{
    MUST(size >= skip);
    uint8_t head[HEAD_BYTES] = {0};
    if (size - skip >= HEAD_BYTES) {
        memcpy(head, key + skip, HEAD_BYTES);
    } else {
        for (size_t i = 0; i < size - skip; i++) { /* of an empty key there is no address */
            head[i] = key[skip + i];
        }
    }
    return (uint64_t)head[0] << 56 | (uint64_t)head[1] << 48 | (uint64_t)head[2] << 40 |
           (uint64_t)head[3] << 32 | (uint64_t)head[4] << 24 | (uint64_t)head[5] << 16 |
           (uint64_t)head[6] << 8 | (uint64_t)head[7];
}

/* How many bytes both begin with, `most` at most. */
static uint32_t common_size(const uint8_t *a, const uint8_t *b, uint32_t most)
{
    uint32_t size = 0;
    while (size < most && a[size] == b[size]) {
        size++;
    }
    return size;
}

static int order_behind(struct bytes_view key, const struct map_slot *slot, size_t skip)
{
    const size_t shorter = key.size < slot->key_size ? key.size : slot->key_size;
    const int order =
        shorter == skip ? 0 : memcmp(key.data + skip, slot->key + skip, shorter - skip);
    return order != 0 ? order : (key.size > slot->key_size) - (key.size < slot->key_size);
}

/* The first slot whose key is not below `key`, `count` if all are; *equal says whether it is the key. */
static uint32_t node_rank(const struct map_node *node, struct bytes_view key, bool *equal)
{
    const uint32_t skip = node->prefix_size;
    *equal = false;
    if (skip > 0) {
        const int order =
            key.size == 0 ? 0 : memcmp(key.data, node->prefix, key.size < skip ? key.size : skip);
        if (order != 0 || key.size < skip) {
            return order > 0 ? node->count : 0;
        }
    }
    const uint64_t head = key_head(key.data, key.size, skip);
    uint32_t low = 0;
    for (uint32_t left = node->count; left > 0;) {
        const uint32_t half = (left + 1) / 2;
        low += node->heads[low + half - 1] < head ? half : 0;
        left -= half;
    }
    for (uint32_t high = node->count; low < high && node->heads[low] == head;) {
        const uint32_t middle = low + (high - low) / 2;
        const int order =
            node->heads[middle] > head ? -1 : order_behind(key, &node->slots[middle], skip);
        if (order == 0) {
            *equal = true;
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Makes heads out of the keys, which agree in the first `skip` bytes. */
static void node_set_prefix(struct map_node *node, uint32_t skip)
{
    node->prefix = node->slots[0].key;
    node->prefix_size = skip;
    for (uint32_t i = 0; i < node->count; i++) {
        node->heads[i] = key_head(node->slots[i].key, node->slots[i].key_size, skip);
    }
}

/* Keys ascend, so what the first and the last begin with, all do. */
static void node_find_prefix(struct map_node *node)
{
    const struct map_slot *first = &node->slots[0];
    const struct map_slot *last = &node->slots[node->count - 1];
    const uint32_t shorter = first->key_size < last->key_size ? first->key_size : last->key_size;
    node_set_prefix(node, common_size(first->key, last->key, shorter));
}

static void node_insert(struct map_node *node, uint32_t at, const struct map_slot *slot)
{
    MUST(node->count < NODE_SLOTS && at <= node->count);
    memmove(&node->slots[at + 1], &node->slots[at], (node->count - at) * sizeof node->slots[0]);
    memmove(&node->heads[at + 1], &node->heads[at], (node->count - at) * sizeof node->heads[0]);
    node->slots[at] = *slot;
    node->count++;
    const uint32_t most = slot->key_size < node->prefix_size ? slot->key_size : node->prefix_size;
    const uint32_t skip =
        node->count == 1 ? slot->key_size : common_size(slot->key, node->prefix, most);
    if (skip != node->prefix_size || node->count == 1) {
        node_set_prefix(node, skip);
    } else {
        node->heads[at] = key_head(slot->key, slot->key_size, skip);
    }
}

static void node_remove(struct map_node *node, uint32_t at)
{
    MUST(at < node->count);
    node->count--;
    memmove(&node->slots[at], &node->slots[at + 1], (node->count - at) * sizeof node->slots[0]);
    memmove(&node->heads[at], &node->heads[at + 1], (node->count - at) * sizeof node->heads[0]);
}

/* --- finding -------------------------------------------------------------------------------- */

/* The slot of an inner node below which the key belongs. */
static uint32_t node_branch(const struct map_node *node, struct bytes_view key)
{
    bool equal;
    const uint32_t rank = node_rank(node, key, &equal);
    return equal || rank == 0 ? rank : rank - 1;
}

/* Fills `path` down to the key's place in a leaf; whether it is there. The map isn't empty. */
static bool path_find(struct map_path *path, const struct ordered_map *map, struct bytes_view key)
{
    bool equal;
    struct map_node *node = map->root;
    MUST(map->height > 0 && map->height <= HEIGHT_MAX);
    path->depth = map->height;
    for (uint32_t i = 0; i + 1 < path->depth; i++) {
        path->nodes[i] = node;
        path->at[i] = node_branch(node, key);
        node = node->slots[path->at[i]].to.child;
    }
    path->nodes[path->depth - 1] = node;
    path->at[path->depth - 1] = node_rank(node, key, &equal);
    return equal;
}

static struct map_slot *path_slot(const struct map_path *path)
{
    return &path->nodes[path->depth - 1]->slots[path->at[path->depth - 1]];
}

/* From behind the last slot of a leaf to the first one of the next; false if there is none. */
static bool path_step_over(struct map_path *path)
{
    uint32_t level = path->depth;
    while (level > 0 &&
           path->at[level - 1] + (level < path->depth) >= path->nodes[level - 1]->count) {
        level--;
    }
    if (level == 0) {
        return false;
    }
    for (path->at[level - 1] += level < path->depth; level < path->depth; level++) {
        path->nodes[level] = path->nodes[level - 1]->slots[path->at[level - 1]].to.child;
        path->at[level] = 0;
    }
    return true;
}

bool ordered_map_get(const struct ordered_map *map, struct bytes_view key, struct bytes_view *value)
{
    const struct map_node *node = map->root;
    if (node == NULL) {
        return false;
    }
    for (uint32_t i = 1; i < map->height; i++) {
        node = node->slots[node_branch(node, key)].to.child;
    }
    bool equal;
    const struct map_slot *slot = &node->slots[node_rank(node, key, &equal)];
    if (equal) {
        *value = bytes_view_of(slot->to.value, slot->value_size);
    }
    return equal;
}

bool ordered_map_seek(const struct ordered_map *map, struct bytes_view from, bool inclusive,
                      struct bytes_view *key, struct bytes_view *value)
{
    struct map_path path;
    if (map->root == NULL) {
        return false;
    }
    const bool equal = path_find(&path, map, from);
    path.at[path.depth - 1] += equal && !inclusive;
    if (!path_step_over(&path)) {
        return false;
    }
    const struct map_slot *slot = path_slot(&path);
    *key = bytes_view_of(slot->key, slot->key_size);
    *value = bytes_view_of(slot->to.value, slot->value_size);
    return true;
}

bool ordered_map_each(const struct ordered_map *map, void *context,
                      bool (*visit)(void *context, struct bytes_view key, struct bytes_view value))
{
    struct map_path path;
    if (map->root == NULL) {
        return true;
    }
    (void)path_find(&path, map, bytes_view_of(NULL, 0)); /* the first place there is */
    while (path_step_over(&path)) {
        const struct map_node *leaf = path.nodes[path.depth - 1];
        for (uint32_t i = path.at[path.depth - 1]; i < leaf->count; i++) {
            const struct map_slot *slot = &leaf->slots[i];
            if (!visit(context, bytes_view_of(slot->key, slot->key_size),
                       bytes_view_of(slot->to.value, slot->value_size))) {
                return false;
            }
        }
        path.at[path.depth - 1] = leaf->count;
    }
    return true;
}

/* --- changing ------------------------------------------------------------------------------- */

/* Whether the path's place is behind everything in the map. */
static bool path_is_at_end(const struct map_path *path)
{
    for (uint32_t i = 0; i < path->depth; i++) {
        if (path->at[i] + (i + 1 < path->depth) != path->nodes[i]->count) {
            return false;
        }
    }
    return true;
}

/* How many nodes an insertion there takes. */
static size_t nodes_needed(const struct map_path *path)
{
    size_t needed = 0;
    while (needed < path->depth && path->nodes[path->depth - 1 - needed]->count == NODE_SLOTS) {
        needed++;
    }
    return needed < path->depth ? needed : needed + 1;
}

/* Puts the slot into a full node; returns the new node on its right. */
static struct map_node *node_split(struct ordered_map *map, struct map_node *node, uint32_t at,
                                   const struct map_slot *slot, bool at_end)
{
    struct map_node *right = node_new(map);
    const uint32_t keep = at_end ? NODE_SLOTS : NODE_SLOTS / 2;
    right->count = NODE_SLOTS - keep;
    memcpy(right->slots, &node->slots[keep], right->count * sizeof right->slots[0]);
    node->count = keep;
    if (right->count > 0) {
        node_find_prefix(node);
        node_find_prefix(right);
    }
    if (at_end || at > keep) {
        node_insert(right, at - keep, slot);
    } else {
        node_insert(node, at, slot);
    }
    return right;
}

/* A slot that leads to the node, under its first key. */
static struct map_slot slot_to(struct map_node *node)
{
    return (struct map_slot){
        .key = node->slots[0].key, .key_size = node->slots[0].key_size, .to.child = node};
}

static void map_add_root(struct ordered_map *map, const struct map_slot *left,
                         const struct map_slot *right)
{
    struct map_node *root = node_new(map);
    if (left != NULL) {
        node_insert(root, 0, left);
    }
    node_insert(root, root->count, right);
    map->root = root;
    map->height++;
    MUST(map->height <= HEIGHT_MAX);
}

/* There is room. */
static void map_insert(struct ordered_map *map, const struct map_path *path, struct map_slot slot)
{
    const bool at_end = path_is_at_end(path);
    map->count++;
    for (uint32_t level = path->depth; level-- > 0;) {
        struct map_node *node = path->nodes[level];
        const uint32_t at = path->at[level] + (level + 1 < path->depth);
        if (level + 1 < path->depth && at == 1) {
            /* What went below slot 0 may lie under its key. */
            const struct map_slot first = slot_to(path->nodes[level + 1]);
            node_remove(node, 0);
            node_insert(node, 0, &first);
        }
        if (node->count < NODE_SLOTS) {
            node_insert(node, at, &slot);
            return;
        }
        slot = slot_to(node_split(map, node, at, &slot, at_end));
    }
    if (path->depth == 0) {
        map_add_root(map, NULL, &slot);
    } else {
        const struct map_slot left = slot_to(map->root);
        map_add_root(map, &left, &slot);
    }
}

bool ordered_map_exchange(struct ordered_map *map, struct bytes_view key, struct bytes_view value,
                          struct bytes_view *kept_key, struct bytes_view *before)
{
    if (key.size > map->capacity || value.size > map->capacity || key.size > UINT32_MAX ||
        value.size > UINT32_MAX) {
        return false;
    }
    struct map_path path = {.depth = 0};
    if (map->root != NULL && path_find(&path, map, key)) {
        if (!map_has_room(map, aligned(value.size))) {
            return false;
        }
        struct map_slot *slot = path_slot(&path);
        *kept_key = bytes_view_of(slot->key, slot->key_size);
        *before = bytes_view_of(slot->to.value, slot->value_size);
        slot->to.value = arena_copy(map, value);
        slot->value_size = (uint32_t)value.size;
        return true;
    }
    if (!map_has_room(map, nodes_needed(&path) * sizeof(struct map_node) + aligned(key.size) +
                               aligned(value.size))) {
        return false;
    }
    *kept_key = bytes_view_of(arena_copy(map, key), key.size);
    *before = bytes_view_of(NULL, 0);
    map_insert(map, &path,
               (struct map_slot){.key = kept_key->data,
                                 .to.value = arena_copy(map, value),
                                 .key_size = (uint32_t)key.size,
                                 .value_size = (uint32_t)value.size});
    return true;
}

bool ordered_map_put(struct ordered_map *map, struct bytes_view key, struct bytes_view value)
{
    struct bytes_view kept_key;
    struct bytes_view before;
    return ordered_map_exchange(map, key, value, &kept_key, &before);
}

bool ordered_map_remove(struct ordered_map *map, struct bytes_view key)
{
    struct map_path path;
    if (map->root == NULL || !path_find(&path, map, key)) {
        return false;
    }
    MUST(map->count > 0);
    map->count--;
    for (uint32_t level = path.depth; level-- > 0;) {
        node_remove(path.nodes[level], path.at[level]);
        if (path.nodes[level]->count > 0) {
            break;
        }
    }
    if (map->root->count == 0) {
        MUST(map->count == 0);
        map->root = NULL;
        map->height = 0;
    }
    while (map->height > 1 && map->root->count == 1) {
        map->root = map->root->slots[0].to.child;
        map->height--;
    }
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
