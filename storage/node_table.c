/* Tree nodes in memory (storage/node_table.h): open addressing over a dense array of entries.
 *
 * Invariants:
 *  1. `entries` 0 to count - 1 are the nodes, without gaps; each has one slot that names it. A slot
 *     holds the entry's index plus one; zero is free.
 *  2. Slots are a power of two, at most half of them taken. An entry stands at its home slot or
 *     behind it, with no free slot between (linear probing; removal moves what follows back).
 *  3. The home slot follows from the path and a number that this process drew: keys are hashes that
 *     people can vary, and nobody outside can choose them so that they meet in one place.
 *  4. No result depends on the order of anything here.
 *
 * Deliberately absent: walks, threads, giving memory back before the end. */
#include "storage/node_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "crypto/sign.h"
#include "storage/tree_node.h"

enum { SLOTS_FIRST = 1024 };

struct entry {
    uint8_t path[STATE_TREE_PATH_SIZE];
    uint8_t path_size;
    uint8_t node[STATE_TREE_NODE_SIZE];
};

struct node_table {
    struct entry *entries;
    size_t count;
    uint32_t *slots;
    size_t slot_count;
    uint64_t seed;
};

struct node_table *node_table_create(void)
{
    struct node_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->slot_count = SLOTS_FIRST;
    table->slots = calloc(SLOTS_FIRST, sizeof *table->slots);
    table->entries = malloc(SLOTS_FIRST / 2 * sizeof *table->entries);
    random_bytes(&table->seed, sizeof table->seed);
    if (table->slots == NULL || table->entries == NULL) {
        node_table_destroy(table);
        return NULL;
    }
    return table;
}

void node_table_destroy(struct node_table *table)
{
    if (table != NULL) {
        free(table->entries);
        free(table->slots);
        free(table);
    }
}

size_t node_table_count(const struct node_table *table)
{
    return table->count;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t home_of(const struct node_table *table, const uint8_t *path, size_t size)
{
    uint64_t hash = table->seed + size;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t part = 0;
        size_t left = size - at;
        memcpy(&part, path + at, left < sizeof part ? left : sizeof part);
        hash = mix(hash ^ part);
    }
    return (size_t)hash & (table->slot_count - 1);
}

static size_t home_of_entry(const struct node_table *table, const struct entry *entry)
{
    return home_of(table, entry->path, entry->path_size);
}

/* The slot that names the path's entry, or the free one where it would stand. */
static size_t find(const struct node_table *table, const struct state_tree_path *path)
{
    size_t at = home_of(table, path->bytes, path->size);
    while (table->slots[at] != 0) {
        const struct entry *entry = &table->entries[table->slots[at] - 1];
        if (entry->path_size == path->size && memcmp(entry->path, path->bytes, path->size) == 0) {
            break;
        }
        at = (at + 1) & (table->slot_count - 1);
    }
    return at;
}

bool node_table_get(const struct node_table *table, struct state_tree_node *out,
                    const struct state_tree_path *path)
{
    uint32_t number = table->slots[find(table, path)];
    if (number == 0) {
        memset(out, 0, sizeof *out);
        out->kind = STATE_TREE_EMPTY;
        return true;
    }
    const uint8_t *node = table->entries[number - 1].node;
    return tree_node_decode(out, bytes_view_of(node, STATE_TREE_NODE_SIZE));
}

/* Twice the slots, and the entries to go with them. */
static bool grow(struct node_table *table)
{
    size_t wanted = table->slot_count * 2;
    uint32_t *slots = wanted > UINT32_MAX ? NULL : calloc(wanted, sizeof *slots);
    struct entry *entries = realloc(table->entries, wanted / 2 * sizeof *entries);
    table->entries = entries != NULL ? entries : table->entries;
    if (slots == NULL || entries == NULL) {
        free(slots);
        return false;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = wanted;
    for (size_t i = 0; i < table->count; i++) {
        size_t at = home_of_entry(table, &table->entries[i]);
        while (slots[at] != 0) {
            at = (at + 1) & (wanted - 1);
        }
        slots[at] = (uint32_t)i + 1;
    }
    return true;
}

/* Frees the slot and moves what stood behind it on its account. */
static void free_slot(struct node_table *table, size_t hole)
{
    size_t mask = table->slot_count - 1;
    for (size_t at = (hole + 1) & mask; table->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = home_of_entry(table, &table->entries[table->slots[at] - 1]);
        /* It may move back unless its home lies behind the hole, in (hole, at]. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = 0;
}

static void drop(struct node_table *table, const struct state_tree_path *path)
{
    size_t at = find(table, path);
    uint32_t number = table->slots[at];
    if (number == 0) {
        return;
    }
    free_slot(table, at);
    struct entry *last = &table->entries[--table->count];
    if (number - 1 != table->count) {
        size_t slot = home_of_entry(table, last);
        while (table->slots[slot] != table->count + 1) {
            MUST(table->slots[slot] != 0);
            slot = (slot + 1) & (table->slot_count - 1);
        }
        table->slots[slot] = number;
        table->entries[number - 1] = *last;
    }
}

bool node_table_put(struct node_table *table, const struct state_tree_path *path,
                    const struct state_tree_node *node)
{
    MUST(path->size <= sizeof table->entries[0].path);
    if (node->kind == STATE_TREE_EMPTY) {
        drop(table, path);
        return true;
    }
    if (table->count == table->slot_count / 2 && !grow(table)) {
        return false;
    }
    size_t at = find(table, path);
    if (table->slots[at] == 0) {
        struct entry *entry = &table->entries[table->count++];
        table->slots[at] = (uint32_t)table->count;
        memcpy(entry->path, path->bytes, path->size);
        entry->path_size = (uint8_t)path->size;
    }
    tree_node_encode(table->entries[table->slots[at] - 1].node, node);
    return true;
}
