/* LMDB behind bytes (database.h).
 *
 * Invariants: every commit is durable before it returns (no MDB_NOSYNC, no MDB_WRITEMAP); an error of a
 * write stays with its transaction, so nobody has to ask after each one; a broken database is never
 * taken for an empty one: such a transaction doesn't commit.
 *
 * Deliberately absent: knowledge of what is stored. */
#include "tools/meterd/database.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { READERS_MAX = 64 };

static const char *const table_names[METER_TABLE_COUNT] = {
    "meta",   "devices", "names", "groups", "readings", "batches",
    "leaves", "dirty",   "queue", "outbox", "seen",
};

struct meter_db {
    MDB_env *env;
    MDB_dbi tables[METER_TABLE_COUNT];
};

struct meter_txn {
    struct meter_db *db;
    MDB_txn *txn;
    int code;                               /* the first error */
    MDB_cursor *cursors[METER_TABLE_COUNT]; /* of point look-ups, opened when first used */
};

static void *refuse(char problem[160], const char *what, int code)
{
    snprintf(problem, 160, "%s: %s", what, mdb_strerror(code));
    return NULL;
}

static int open_tables(struct meter_db *db)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) {
        return code;
    }
    for (int i = 0; i < METER_TABLE_COUNT && code == MDB_SUCCESS; i++) {
        code = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &db->tables[i]);
    }
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

struct meter_db *meter_db_open(const char *directory, uint64_t map_bytes, char problem[160])
{
    struct meter_db *db = calloc(1, sizeof *db);
    MUST(db != NULL);
    int code = mdb_env_create(&db->env);
    if (code != MDB_SUCCESS) {
        free(db);
        return refuse(problem, "the database", code);
    }
    code = mdb_env_set_maxdbs(db->env, METER_TABLE_COUNT);
    code = code == MDB_SUCCESS ? mdb_env_set_maxreaders(db->env, READERS_MAX) : code;
    code = code == MDB_SUCCESS ? mdb_env_set_mapsize(db->env, map_bytes) : code;
    code = code == MDB_SUCCESS ? mdb_env_open(db->env, directory, MDB_NOTLS, 0600) : code;
    if (code == MDB_SUCCESS) {
        int dead;
        (void)mdb_reader_check(db->env, &dead);
        code = open_tables(db);
    }
    if (code != MDB_SUCCESS) {
        mdb_env_close(db->env);
        free(db);
        return refuse(problem, directory, code);
    }
    return db;
}

void meter_db_close(struct meter_db *db)
{
    mdb_env_close(db->env);
    free(db);
}

struct meter_txn *meter_txn_begin(struct meter_db *db, bool write)
{
    struct meter_txn *txn = calloc(1, sizeof *txn);
    MUST(txn != NULL);
    txn->db = db;
    if (mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn) != MDB_SUCCESS) {
        free(txn);
        return NULL;
    }
    return txn;
}

static void close_cursors(struct meter_txn *txn)
{
    for (int i = 0; i < METER_TABLE_COUNT; i++) {
        if (txn->cursors[i] != NULL) {
            mdb_cursor_close(txn->cursors[i]);
        }
    }
}

bool meter_txn_commit(struct meter_txn *txn, char problem[160])
{
    int code = txn->code;
    close_cursors(txn);
    if (code == MDB_SUCCESS) {
        code = mdb_txn_commit(txn->txn);
    } else {
        mdb_txn_abort(txn->txn);
    }
    free(txn);
    if (code != MDB_SUCCESS) {
        (void)refuse(problem, code == MDB_MAP_FULL ? "the database is full" : "the database", code);
    }
    return code == MDB_SUCCESS;
}

void meter_txn_abort(struct meter_txn *txn)
{
    close_cursors(txn);
    mdb_txn_abort(txn->txn);
    free(txn);
}

static MDB_val val_of(struct bytes_view view)
{
    /* LMDB's struct wants a pointer that could write; it doesn't. */
    return (MDB_val){view.size, (void *)(uintptr_t)view.data};
}

static struct bytes_view view_of(MDB_val val)
{
    return bytes_view_of(val.mv_data, val.mv_size);
}

/* True for success; "not found" is no error, everything else stays with the transaction. */
static bool keep(struct meter_txn *txn, int code)
{
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND && txn->code == MDB_SUCCESS) {
        txn->code = code;
    }
    return code == MDB_SUCCESS;
}

static bool cursor_of(struct meter_txn *txn, enum meter_table table)
{
    return txn->cursors[table] != NULL ||
           keep(txn, mdb_cursor_open(txn->txn, txn->db->tables[table], &txn->cursors[table]));
}

bool meter_get(struct meter_txn *txn, struct bytes_view *out, enum meter_table table,
               struct bytes_view key)
{
    MDB_val mdb_key = val_of(key), value;
    if (!keep(txn, mdb_get(txn->txn, txn->db->tables[table], &mdb_key, &value))) {
        return false;
    }
    *out = view_of(value);
    return true;
}

void meter_put(struct meter_txn *txn, enum meter_table table, struct bytes_view key,
               struct bytes_view value)
{
    MDB_val mdb_key = val_of(key), mdb_value = val_of(value);
    MUST(key.size <= METER_KEY_MAX);
    if (txn->code == MDB_SUCCESS) {
        (void)keep(txn, mdb_put(txn->txn, txn->db->tables[table], &mdb_key, &mdb_value, 0));
    }
}

void meter_delete(struct meter_txn *txn, enum meter_table table, struct bytes_view key)
{
    MDB_val mdb_key = val_of(key);
    if (txn->code == MDB_SUCCESS) {
        (void)keep(txn, mdb_del(txn->txn, txn->db->tables[table], &mdb_key, NULL));
    }
}

bool meter_seek(struct meter_txn *txn, struct bytes_view *key, struct bytes_view *value,
                enum meter_table table, struct bytes_view from)
{
    MDB_val mdb_key = val_of(from), mdb_value;
    if (!cursor_of(txn, table) ||
        !keep(txn, mdb_cursor_get(txn->cursors[table], &mdb_key, &mdb_value, MDB_SET_RANGE))) {
        return false;
    }
    *key = view_of(mdb_key);
    *value = view_of(mdb_value);
    return true;
}

bool meter_before(struct meter_txn *txn, struct bytes_view *key, struct bytes_view *value,
                  enum meter_table table, struct bytes_view until)
{
    MDB_val mdb_key = val_of(until), mdb_value;
    if (!cursor_of(txn, table)) {
        return false;
    }
    MDB_cursor *cursor = txn->cursors[table];
    const bool found = keep(txn, mdb_cursor_get(cursor, &mdb_key, &mdb_value, MDB_SET_RANGE));
    if (!keep(txn, mdb_cursor_get(cursor, &mdb_key, &mdb_value, found ? MDB_PREV : MDB_LAST))) {
        return false;
    }
    *key = view_of(mdb_key);
    *value = view_of(mdb_value);
    return true;
}

void meter_walk(struct meter_txn *txn, enum meter_table table, struct bytes_view from,
                meter_visit_fn visit, void *context)
{
    MDB_cursor *cursor;
    MDB_val key = val_of(from), value;
    if (!keep(txn, mdb_cursor_open(txn->txn, txn->db->tables[table], &cursor))) {
        return;
    }
    bool more =
        keep(txn, mdb_cursor_get(cursor, &key, &value, from.size > 0 ? MDB_SET_RANGE : MDB_FIRST));
    while (more && visit(context, view_of(key), view_of(value))) {
        more = keep(txn, mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
}

uint64_t meter_count(struct meter_txn *txn, enum meter_table table)
{
    MDB_stat stat;
    return keep(txn, mdb_stat(txn->txn, txn->db->tables[table], &stat)) ? stat.ms_entries : 0;
}
