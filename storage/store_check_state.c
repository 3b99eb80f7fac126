/* The state stage of a check: every state record against the tip's root (store_check.h;
 * docs/spec/state.md, "Proofs").
 *
 * The records' hashes are sorted by where they stand in the tree; then the tree is computed from them,
 * bottom up. A record that is missing, too many or changed shows in its root. Which one it is the root
 * can't say; a record that was not written as it stands is named by its checksum, in the pages stage.
 *
 * Memory: 64 bytes per state record. The recursion is as deep as the tree, at most
 * STATE_TREE_DEPTH_MAX: two different hashes part at some bit.
 *
 * Deliberately absent: what records mean. A record under the right root is what the validators agreed
 * on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "storage/checksum.h"
#include "storage/store_check_internal.h"

enum { PROGRESS_RECORDS = 8192 };

struct entry {
    struct hash key;
    struct hash value;
};

struct state_walk {
    struct check *check;
    struct entry *entries;
    uint64_t count;
    uint64_t done;
    uint64_t nodes;
};

static int compare_entries(const void *a, const void *b)
{
    return hash_compare(&((const struct entry *)a)->key, &((const struct entry *)b)->key);
}

/* Takes the hashes of all records, in the order of the tree. False if it can't; said. */
static bool collect(struct state_walk *walk)
{
    struct check *check = walk->check;
    const MDB_dbi table = check->store.tables[TABLE_STATE];
    MDB_cursor *cursor = NULL;
    MDB_stat stat;
    MDB_val key;
    MDB_val value;
    if (mdb_stat(check->store.reader.txn, table, &stat) != MDB_SUCCESS ||
        mdb_cursor_open(check->store.reader.txn, table, &cursor) != MDB_SUCCESS) {
        check->fault = true;
        return false;
    }
    walk->entries = calloc(stat.ms_entries + 1, sizeof *walk->entries);
    int code = walk->entries == NULL ? ENOMEM : mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (code == MDB_SUCCESS && walk->count < stat.ms_entries) {
        struct entry *entry = &walk->entries[walk->count++];
        MUST(value.mv_size >= CHECKSUM_SIZE); /* the pages stage has seen it */
        hash_bytes(&entry->key, HASH_DOMAIN_STATE_KEY, key.mv_data, key.mv_size);
        hash_bytes(&entry->value, HASH_DOMAIN_STATE_VALUE, value.mv_data,
                   value.mv_size - CHECKSUM_SIZE);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != MDB_NOTFOUND) {
        check->fault = true;
        return false;
    }
    qsort(walk->entries, walk->count, sizeof *walk->entries, compare_entries);
    check->report->state_records = walk->count;
    return true;
}

static unsigned bit_at(const struct hash *key, unsigned depth)
{
    return key->bytes[depth / 8] >> (7 - depth % 8) & 1u;
}

/* The hash of the subtree at `depth` over entries [from, to), of which there is one at least. */
static void check_subtree(struct state_walk *walk, struct hash *out, uint64_t from, uint64_t to,
                          unsigned depth)
{
    struct state_tree_node node = {.kind = STATE_TREE_LEAF};
    const struct hash *first = &walk->entries[from].key;
    if (to - from == 1) {
        node.a = *first;
        node.b = walk->entries[from].value;
        if (++walk->done % PROGRESS_RECORDS == 0) {
            check_progress(walk->check, walk->done, walk->count);
        }
    } else {
        MUST(depth < STATE_TREE_DEPTH_MAX);
        uint64_t low = from;
        uint64_t high = to;
        while (low < high) { /* the first entry whose bit is set */
            const uint64_t middle = low + (high - low) / 2;
            if (bit_at(&walk->entries[middle].key, depth) == 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        node.kind = STATE_TREE_BRANCH;
        if (low > from) {
            check_subtree(walk, &node.a, from, low, depth + 1);
        }
        if (to > low) {
            check_subtree(walk, &node.b, low, to, depth + 1);
        }
    }
    walk->nodes++;
    state_tree_node_hash(out, &node);
}

void check_state(struct check *check)
{
    struct state_walk walk = {.check = check};
    struct hash root = {{0}};
    if (!collect(&walk)) {
        free(walk.entries);
        return;
    }
    for (uint64_t i = 1; i < walk.count; i++) {
        MUST(!hash_equal(&walk.entries[i - 1].key, &walk.entries[i].key));
    }
    if (walk.count > 0) {
        check_subtree(&walk, &root, 0, walk.count, 0);
    }
    check->report->tree_nodes = walk.nodes;
    if (!hash_equal(&root, &check->report->tip.state_root)) {
        check_find(check, "the state records do not make the state root of block %llu",
                   (unsigned long long)check->report->tip.height);
    }
    free(walk.entries);
}
