/* The state tree of a chain database: computed from its records, at the opening and after a load
 * (storage/forest.h; adr/0052).
 *
 * Invariant: the tree is over the very records of the reader's commit, each of which has matched its
 * checksum. Whether its root is the tip's is for the callers to see: chain_open, store_load_finish.
 *
 * Memory: one chunk of changes, 65 bytes a record. Deliberately absent: a tree on disk. It would have to
 * be synced with each block, some sixty records for a transaction at random places, to save this walk. */
#include <stdlib.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/checksum.h"
#include "storage/store_internal.h"

enum { CHUNK_RECORDS = 1 << 16 };

struct build {
    struct store *store;
    struct forest_tree tree;
    struct state_tree_change *changes; /* CHUNK_RECORDS */
    size_t count;
};

static enum store_result flush(struct build *build)
{
    struct forest *forest = build->store->forest;
    struct forest_batch batch = {0};
    if (!forest_update(forest, &batch, &build->tree, build->changes, build->count)) {
        log_line(LOG_BROKEN, "store: no memory for the state tree -> stop");
        forest_batch_free(&batch);
        return STORE_FAULT;
    }
    build->tree = batch.tree;
    forest_commit(forest, &batch);
    forest_batch_free(&batch);
    build->count = 0;
    return STORE_OK;
}

static enum store_result add(struct build *build, MDB_val key, MDB_val stored)
{
    const struct bytes_view at = bytes_view_of(key.mv_data, key.mv_size);
    if (!store_value_is_whole(at, stored)) {
        store_note_damage(build->store, TABLE_STATE, at, "does not match its checksum");
        return STORE_CORRUPT;
    }
    struct state_tree_change *change = &build->changes[build->count++];
    change->absent = false;
    hash_bytes(&change->key, HASH_DOMAIN_STATE_KEY, at.data, at.size);
    hash_bytes(&change->value, HASH_DOMAIN_STATE_VALUE, stored.mv_data,
               stored.mv_size - CHECKSUM_SIZE);
    return build->count == CHUNK_RECORDS ? flush(build) : STORE_OK;
}

static enum store_result build_all(struct build *build, MDB_cursor *cursor)
{
    MDB_val key;
    MDB_val stored;
    enum store_result result = STORE_OK;
    int code = mdb_cursor_get(cursor, &key, &stored, MDB_FIRST);
    while (code == MDB_SUCCESS && result == STORE_OK) {
        result = add(build, key, stored);
        code = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT);
    }
    if (result == STORE_OK && code != MDB_NOTFOUND) {
        return store_result_of(code);
    }
    return result == STORE_OK ? flush(build) : result;
}

enum store_result store_tree_build(struct store *store, struct forest_tree *out)
{
    struct build build = {.store = store};
    MDB_cursor *cursor = NULL;
    const int code = mdb_cursor_open(store->reader.txn, store->tables[TABLE_STATE], &cursor);
    if (code != MDB_SUCCESS) {
        return store_result_of(code);
    }
    build.changes = malloc(CHUNK_RECORDS * sizeof build.changes[0]);
    const enum store_result result =
        build.changes != NULL ? build_all(&build, cursor) : STORE_FAULT;
    free(build.changes);
    mdb_cursor_close(cursor);
    *out = build.tree;
    return result;
}
