/* The meter-data service's tables on LMDB: the only file of tools/ that knows it (database.c).
 *
 * Keys and values are bytes; archive.h gives them meaning. One writer at a time, over all processes;
 * readers never wait. A write that fails makes its transaction fail: committing it says so, and why.
 * NULL is never valid. */
#ifndef FLEX_TOOLS_METERD_DATABASE_H
#define FLEX_TOOLS_METERD_DATABASE_H

#include "base/bytes.h"

enum meter_table {
    METER_TABLE_META,     /* text -> configuration, counters */
    METER_TABLE_DEVICES,  /* device name | u8 meter -> meter_device */
    METER_TABLE_NAMES,    /* u32 device index -> device name | u8 meter | u32 group */
    METER_TABLE_GROUPS,   /* u32 group -> u8 meter | u32 members */
    METER_TABLE_READINGS, /* u32 group | i64 start | u32 device index | u16 version -> sealed */
    METER_TABLE_BATCHES,  /* u32 group | i64 start | u32 revision -> meter_sealed_batch */
    METER_TABLE_LEAVES,   /* the same -> (u32 device index | u16 version | leaf) x count */
    METER_TABLE_DIRTY,    /* u32 group | i64 start -> u8 why | text: readings not in any batch */
    METER_TABLE_QUEUE,    /* u32 group | i64 start | u32 revision -> u8 alone: not yet sent */
    METER_TABLE_OUTBOX, /* u64 number -> envelope and what it holds: sent, not known to be final */
    METER_TABLE_SEEN,   /* i64 time | nonce (16) -> nothing: requests that were answered */
    METER_TABLE_COUNT
};

enum { METER_KEY_MAX = 64 };

struct meter_db;
struct meter_txn;

/* The directory must be there. NULL with the reason in `problem` (of 160 bytes). */
struct meter_db *meter_db_open(const char *directory, uint64_t map_bytes, char problem[160]);
void meter_db_close(struct meter_db *db);

/* NULL if there are too many readers, or the disk fails. */
struct meter_txn *meter_txn_begin(struct meter_db *db, bool write);
/* True if all that was written is on disk; false with the reason, and nothing is. Ends it either way. */
bool meter_txn_commit(struct meter_txn *txn, char problem[160]);
void meter_txn_abort(struct meter_txn *txn);

/* The value, until the next write or the end; false if there is none (or the database is broken, which
 * the commit then says). */
bool meter_get(struct meter_txn *txn, struct bytes_view *out, enum meter_table table,
               struct bytes_view key);
void meter_put(struct meter_txn *txn, enum meter_table table, struct bytes_view key,
               struct bytes_view value);
void meter_delete(struct meter_txn *txn, enum meter_table table, struct bytes_view key);
/* The first entry whose key is at least `from`; false at the end. */
bool meter_seek(struct meter_txn *txn, struct bytes_view *key, struct bytes_view *value,
                enum meter_table table, struct bytes_view from);
/* The last entry whose key is below `until`. */
bool meter_before(struct meter_txn *txn, struct bytes_view *key, struct bytes_view *value,
                  enum meter_table table, struct bytes_view until);
/* From `from` on in key order until `visit` returns false; nothing may be written meanwhile. */
typedef bool (*meter_visit_fn)(void *context, struct bytes_view key, struct bytes_view value);
void meter_walk(struct meter_txn *txn, enum meter_table table, struct bytes_view from,
                meter_visit_fn visit, void *context);
uint64_t meter_count(struct meter_txn *txn, enum meter_table table);

#endif
