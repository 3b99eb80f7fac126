/* What the files of the chain database share: tables, one read transaction, the tip's bytes. Not
 * for anyone outside storage/ (and its tests). */
#ifndef FLEX_STORAGE_STORE_INTERNAL_H
#define FLEX_STORAGE_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>

#include "storage/store.h"

enum store_table {
    TABLE_META,
    TABLE_STATE,
    TABLE_BLOCKS,
    TABLE_BODIES,
    TABLE_RECEIPTS,
    TABLE_TRANSACTIONS,
    TABLE_IDS,
    STORE_TABLES
};

enum { STORE_VERSION = 2, STORE_HEIGHT_KEY_SIZE = 8 };
enum { STORE_FRONTIER_BYTES_MAX = 8 + MERKLE_DEPTH_MAX * HASH_SIZE };
enum { STORE_TIP_BYTES_MAX = 8 + 8 + 32 + 32 + 8 + 8 + STORE_FRONTIER_BYTES_MAX };

/* One read transaction and the face of its state. */
struct store_reader {
    struct store *store;
    MDB_txn *txn;
    MDB_cursor *cursor;          /* over TABLE_STATE, opened by the first walk */
    const struct store_tip *tip; /* of this reader's commit; NULL while that is not known */
    bool proves_absence;         /* of state records, by the tree: snapshots, which can afford it */
    bool pinned;                 /* the tree of `tip`, by a snapshot */
    struct state_base base;
};

/* What reading has found to be damaged, by any thread. */
struct store_damage_log {
    pthread_mutex_t mutex;
    struct store_damage found;
};

struct store {
    MDB_env *env;
    MDB_dbi tables[STORE_TABLES];
    int directory_fd;
    int lock_fd;
    size_t map_bytes;
    size_t map_bytes_max;
    size_t map_bytes_step; /* 0: doubling */
    uint64_t disk_reserve;
    struct hash genesis;
    struct store_tip tip;
    struct store_floor floor;
    struct forest *forest;      /* the trees of the last commits, and of overlays on them */
    struct store_reader reader; /* the owner thread's, always at the last commit */
    bool faulted;
    struct store_damage_log damage;
    /* Growing the map needs that no transaction is live. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t snapshots;
    bool growing;
};

struct store_snapshot {
    struct store_reader reader;
    struct store_tip tip;
};

MDB_val store_val(struct bytes_view bytes);
/* What an LMDB return code means to our callers. */
enum store_result store_result_of(int code);
struct bytes_view store_height_key(uint8_t out[STORE_HEIGHT_KEY_SIZE], uint64_t height);
extern const struct bytes_view store_tip_key;
extern const struct bytes_view store_format_key;
extern const struct bytes_view store_floor_key;
extern const struct bytes_view store_frontier_key;
const char *store_table_name(enum store_table table);
/* The value under store_format_key. */
enum { STORE_FORMAT_BYTES = 4 + HASH_SIZE };
void store_format_encode(uint8_t out[STORE_FORMAT_BYTES], const struct hash *genesis);

/* Puts parts `a` then `b` and their checksum under `key`. Returns LMDB's code. */
int store_put(MDB_txn *txn, MDB_dbi table, struct bytes_view key, struct bytes_view a,
              struct bytes_view b, unsigned flags);
/* The record without its checksum, which is checked. OK, ABSENT, CORRUPT or FAULT. */
enum store_result store_get(MDB_txn *txn, MDB_dbi table, struct bytes_view key,
                            struct bytes_view *value);

/* The same for a record whose absence nothing else could contradict: ABSENT only if the records on both
 * sides of where it would stand match their checksums and lie on their sides. */
enum store_result store_find(MDB_txn *txn, MDB_dbi table, struct bytes_view key,
                             struct bytes_view *value);
/* The same with a cursor of the caller's, which it moves. */
enum store_result store_find_at(MDB_cursor *cursor, struct bytes_view key,
                                struct bytes_view *value);
/* A value with its checksum behind it. */
bool store_value_is_whole(struct bytes_view key, MDB_val stored);
/* Counts a record that is not what was written, and says so in the log; the first one stays known. */
void store_note_damage(struct store *store, enum store_table table, struct bytes_view key,
                       const char *what);

/* Begins a read transaction and sets up its base; LMDB's code. */
int store_reader_begin(struct store_reader *reader, struct store *store,
                       const struct store_tip *tip);
void store_reader_end(struct store_reader *reader);
/* The owner's reader again at the newest commit. */
int store_reader_renew(struct store_reader *reader);
enum store_result store_reader_tip(const struct store_reader *reader, struct store_tip *out);
/* All from 1 on if the store never said otherwise. */
enum store_result store_reader_floor(const struct store_reader *reader, struct store_floor *out);
enum store_result store_reader_frontier(const struct store_reader *reader,
                                        struct merkle_frontier *out);
enum store_result store_reader_header(const struct store_reader *reader, uint64_t height,
                                      struct store_block *out);
enum store_result store_reader_block(const struct store_reader *reader, uint64_t height,
                                     struct store_block *out);

/* A write of the owner thread that is not a block's: all of `write` in one synced transaction, or
 * nothing. It may run again on a grown map. `write` returns LMDB's code. */
typedef int (*store_write_fn)(struct store *store, MDB_txn *txn, void *context);
enum store_result store_write(struct store *store, const char *what, store_write_fn write,
                              void *context);
int store_put_floor(struct store *store, MDB_txn *txn, const struct store_floor *floor);

/* store_tree.c: the tree over all state records of the owner's reader, in the store's forest. */
enum store_result store_tree_build(struct store *store, struct forest_tree *out);

/* A history log: u64 count, one peak per one bit of it. */
void store_frontier_write(struct byte_writer *writer, const struct merkle_frontier *log);
void store_frontier_read(struct byte_reader *reader, struct merkle_frontier *out);
size_t store_tip_encode(uint8_t out[STORE_TIP_BYTES_MAX], const struct store_tip *tip);
bool store_tip_decode(struct store_tip *out, struct bytes_view bytes);

#endif
