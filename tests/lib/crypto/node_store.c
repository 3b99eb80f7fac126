/* The nosy node store (tests/lib/crypto/node_store.h): an array of entries and a hash table
 * of their indexes, made anew for each batch, so that neither ever deletes. */
#include "tests/lib/crypto/node_store.h"

#include <stdlib.h>
#include <string.h>

struct node_store *node_store_create(void)
{
    struct node_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        abort();
    }
    store->batch = 1;
    return store;
}

static bool path_equal(const struct state_tree_path *a, const struct state_tree_path *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* The slot that leads to the path's entry, or the free one where it would be (FNV-1a, linear). */
static uint32_t *slot_of(struct node_store *store, const struct state_tree_path *path)
{
    uint32_t at = 2166136261u;
    for (size_t i = 0; i < path->size; i++) {
        at = (at ^ path->bytes[i]) * 16777619u;
    }
    for (at %= NODE_STORE_SLOTS; store->slots[at] != 0; at = (at + 1) % NODE_STORE_SLOTS) {
        if (path_equal(&store->entries[store->slots[at] - 1].path, path)) {
            break;
        }
    }
    return &store->slots[at];
}

static struct node_store_entry *entry_at(struct node_store *store,
                                         const struct state_tree_path *path)
{
    uint32_t *slot = slot_of(store, path);
    if (*slot == 0) {
        if (store->count == NODE_STORE_MAX) {
            abort();
        }
        store->entries[store->count] = (struct node_store_entry){.path = *path};
        *slot = (uint32_t)++store->count;
    }
    struct node_store_entry *entry = &store->entries[*slot - 1];
    if (entry->batch != store->batch) {
        entry->batch = store->batch;
        entry->reads = 0;
        entry->writes = 0;
    }
    return entry;
}

static bool store_get(void *context, struct state_tree_node *out,
                      const struct state_tree_path *path)
{
    struct node_store *store = context;
    if (++store->calls == store->fail_at) {
        return false;
    }
    struct node_store_entry *entry = entry_at(store, path);
    entry->reads++;
    store->reads_max = entry->reads > store->reads_max ? entry->reads : store->reads_max;
    *out = entry->node;
    return true;
}

static bool store_put(void *context, const struct state_tree_path *path,
                      const struct state_tree_node *node)
{
    struct node_store *store = context;
    if (++store->calls == store->fail_at) {
        return false;
    }
    struct node_store_entry *entry = entry_at(store, path);
    entry->writes++;
    store->writes_max = entry->writes > store->writes_max ? entry->writes : store->writes_max;
    entry->node = *node;
    return true;
}

struct state_tree_store node_store_face(struct node_store *store)
{
    return (struct state_tree_store){.context = store, .get = store_get, .put = store_put};
}

void node_store_next_batch(struct node_store *store)
{
    size_t before = store->count;
    store->count = 0;
    memset(store->slots, 0, sizeof store->slots);
    for (size_t i = 0; i < before; i++) {
        if (store->entries[i].node.kind != STATE_TREE_EMPTY) {
            store->entries[store->count] = store->entries[i];
            *slot_of(store, &store->entries[store->count].path) = (uint32_t)store->count + 1;
            store->count++;
        }
    }
    store->batch++;
}

size_t node_store_node_count(const struct node_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++) {
        count += store->entries[i].node.kind != STATE_TREE_EMPTY;
    }
    return count;
}

struct state_tree_node *node_store_find(struct node_store *store,
                                        const struct state_tree_path *path)
{
    uint32_t slot = *slot_of(store, path);
    bool found = slot != 0 && store->entries[slot - 1].node.kind != STATE_TREE_EMPTY;
    return found ? &store->entries[slot - 1].node : NULL;
}
