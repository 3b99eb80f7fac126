/* The chain database: opening, and the one way to write, store_commit.
 *
 * Tables (one LMDB environment; integers big-endian; every value ends in an 8-byte CRC-64 over key
 * and value, store_record.c):
 *
 *   table         key                    value
 *   meta          "format"               u32 version | genesis hash
 *   meta          "tip"                  height, view, block id, state root, time, log (store_record.c)
 *   state         state key              state value (contracts/records.h)
 *   blocks        u64 height             header (none at height 0) | finalization certificate
 *   bodies        u64 height             body (contracts/body.h)
 *   receipts      u64 height             u32 count x sized receipt
 *   transactions  transaction id         u64 height | u32 index
 *   ids           block id               u64 height
 *
 * The state tree stands in no table: it is computed from the records at every opening (store_tree.c).
 *
 * Durability invariants: D1 to D4 of storage/store.h, and
 *  D5 the lock file is held (flock) for as long as the environment is open: two processes, or one
 *     process twice, never have it open at once.
 *  D6 a commit begins only with disk_reserve bytes free: LMDB reports a write that was cut off by a
 *     full disk as an input/output error, which could not be told from a dying disk.
 *  D7 the map grows only while no transaction is live in the process: snapshots are counted, new
 *     ones wait, and one that stays open for longer than GROW_WAIT_SECONDS makes the commit FULL.
 *
 *  D8 bodies and receipts begin at the floor (meta "floor": u64 headers from, u64 bodies from), which
 *     the same transaction moves that removes them (store_prune.c). A store without a tip is empty:
 *     what an unfinished load (store_load.c) left behind is thrown away at the opening.
 *
 * Deliberately absent: MDB_NOSYNC, MDB_WRITEMAP, and any second writer. */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/store_internal.h"

static const size_t map_bytes_default = (size_t)64 << 30;
static const size_t map_bytes_max_default = (size_t)1 << 40;
static const uint64_t disk_reserve_default = (uint64_t)64 << 20;

/* LMDB's own default of 126 readers, doubled: one per API connection and worker is far below it. */
enum { READERS_MAX = 252 };
enum { GROW_WAIT_SECONDS = 2 };

/* Says what failed, with LMDB's reason, and gives our name for it. */
static enum store_result complain(const char *what, int code)
{
    const enum store_result result = store_result_of(code);
    log_line(LOG_UNUSUAL, "store: %s failed: %s -> %s", what, mdb_strerror(code),
             store_result_text(result));
    return result;
}

/* --- opening --------------------------------------------------------------------------------- */

static enum store_result take_lock(struct store *store, const char *directory)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return complain("making the directory", errno);
    }
    store->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0) {
        return complain("opening the directory", errno);
    }
    store->lock_fd = openat(store->directory_fd, "in-use", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        return complain("opening the lock file", errno);
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? STORE_LOCKED : complain("locking", errno);
    }
    return STORE_OK;
}

/* A process that read this database and was killed leaves its slot behind, and no page that was in use
 * then is ever used again: the file would grow with each block. Slots of our own process and of
 * living ones stay; a few system calls, beside two syncs. */
static void free_dead_readers(struct store *store)
{
    int dead = 0;
    const int code = mdb_reader_check(store->env, &dead);
    if (code != MDB_SUCCESS) {
        log_line(LOG_UNUSUAL, "store: readers cannot be checked: %s -> the file may grow",
                 mdb_strerror(code));
    } else if (dead > 0) {
        log_line(LOG_INFO, "store: %d reader slots of dead processes -> freed", dead);
    }
}

static enum store_result open_environment(struct store *store, const char *directory)
{
    int code = mdb_env_create(&store->env);
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_maxdbs(store->env, STORE_TABLES);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_mapsize(store->env, store->map_bytes);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_open(store->env, directory, MDB_NOTLS, 0600);
    }
    if (code != MDB_SUCCESS) {
        return complain("opening", code);
    }
    free_dead_readers(store);
    /* A new file's directory entry is not durable before its directory is. */
    if (fsync(store->directory_fd) != 0) {
        return complain("syncing the directory", errno);
    }
    return STORE_OK;
}

static enum store_result check_format(struct store *store, MDB_txn *txn)
{
    uint8_t expected[STORE_FORMAT_BYTES];
    struct bytes_view found;
    store_format_encode(expected, &store->genesis);
    const struct bytes_view mine = bytes_view_of(expected, sizeof expected);
    const enum store_result result =
        store_find(txn, store->tables[TABLE_META], store_format_key, &found);
    if (result == STORE_ABSENT) {
        const int code = store_put(txn, store->tables[TABLE_META], store_format_key, mine,
                                   (struct bytes_view){NULL, 0}, MDB_NOOVERWRITE);
        return code == MDB_SUCCESS ? STORE_OK : complain("writing the format", code);
    }
    if (result == STORE_OK && !bytes_view_equal(found, mine)) {
        return STORE_MISMATCH;
    }
    return result;
}

static enum store_result open_tables(struct store *store)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) {
        return complain("beginning", code);
    }
    for (int i = 0; i < STORE_TABLES && code == MDB_SUCCESS; i++) {
        code =
            mdb_dbi_open(txn, store_table_name((enum store_table)i), MDB_CREATE, &store->tables[i]);
    }
    enum store_result result =
        code == MDB_SUCCESS ? check_format(store, txn) : complain("opening a table", code);
    if (result != STORE_OK) {
        mdb_txn_abort(txn);
        return result;
    }
    code = mdb_txn_commit(txn);
    return code == MDB_SUCCESS ? STORE_OK : complain("making the tables", code);
}

/* The tip, and that the block it names is really there. */
static enum store_result load_tip(struct store *store)
{
    struct store_block block;
    struct block_header header;
    struct hash id;
    const int code = store_reader_begin(&store->reader, store, &store->tip);
    if (code != MDB_SUCCESS) {
        return complain("beginning to read", code);
    }
    enum store_result result = store_reader_tip(&store->reader, &store->tip);
    if (result == STORE_ABSENT) {
        return store_load_discard(store);
    }
    if (result == STORE_OK) {
        result = store_reader_floor(&store->reader, &store->floor);
    }
    if (result == STORE_OK) {
        result = store_reader_block(&store->reader, store->tip.height, &block);
    }
    /* The tip of a store that was loaded has no body until the next block is the tip. */
    if (result == STORE_PRUNED && block.header.size > 0) {
        result = STORE_OK;
    }
    if (result == STORE_OK && store->tip.height > 0) {
        MUST(block_header_decode(&header, block.header));
        block_header_id(&id, &header);
        if (!hash_equal(&id, &store->tip.block_id) ||
            !hash_equal(&header.state_root, &store->tip.state_root)) {
            result = STORE_CORRUPT;
        }
    }
    return result == STORE_ABSENT ? STORE_CORRUPT : result;
}

static enum store_result grow_tree(struct store *store)
{
    store->forest = forest_create(store->directory_fd);
    if (store->forest == NULL) {
        return STORE_FAULT;
    }
    store->reader.base.forest = store->forest;
    const enum store_result result = store_tree_build(store, &store->reader.base.tree);
    if (result == STORE_OK && store->tip.has_genesis) {
        forest_publish(store->forest, store->tip.height, &store->reader.base.tree);
    }
    return result;
}

enum store_result store_open(struct store **out, const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    *out = NULL;
    if (store == NULL) {
        return STORE_FAULT;
    }
    store->directory_fd = -1;
    store->lock_fd = -1;
    store->genesis = config->genesis;
    store->floor = (struct store_floor){.headers = 1, .bodies = 1, .witnesses = 1};
    store->map_bytes = config->map_bytes != 0 ? config->map_bytes : map_bytes_default;
    store->map_bytes_step = config->map_bytes_step;
    store->map_bytes_max =
        config->map_bytes_max != 0 ? config->map_bytes_max : map_bytes_max_default;
    store->disk_reserve = config->disk_reserve != 0 ? config->disk_reserve : disk_reserve_default;
    MUST(pthread_mutex_init(&store->mutex, NULL) == 0);
    MUST(pthread_cond_init(&store->changed, NULL) == 0);
    MUST(pthread_mutex_init(&store->damage.mutex, NULL) == 0);

    enum store_result result = take_lock(store, config->directory);
    if (result == STORE_OK) {
        result = open_environment(store, config->directory);
    }
    if (result == STORE_OK) {
        result = open_tables(store);
    }
    if (result == STORE_OK) {
        result = load_tip(store);
    }
    if (result == STORE_OK) {
        result = grow_tree(store);
    }
    if (result != STORE_OK) {
        store_close(store);
        return result;
    }
    *out = store;
    return STORE_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    MUST(store->snapshots == 0);
    store_reader_end(&store->reader);
    if (store->forest != NULL) {
        forest_release(store->forest);
    }
    if (store->env != NULL) {
        mdb_env_close(store->env);
    }
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd);
    }
    if (store->directory_fd >= 0) {
        (void)close(store->directory_fd);
    }
    (void)pthread_cond_destroy(&store->changed);
    (void)pthread_mutex_destroy(&store->mutex);
    (void)pthread_mutex_destroy(&store->damage.mutex);
    free(store);
}

const struct store_tip *store_tip(const struct store *store)
{
    return &store->tip;
}

struct store_floor store_floor(const struct store *store)
{
    return store->floor;
}

const struct state_base *store_state_base(struct store *store)
{
    return &store->reader.base;
}

/* --- committing ------------------------------------------------------------------------------ */

struct commit {
    struct store *store;
    MDB_txn *txn;
    int code; /* LMDB's, of the first call that failed */
};

static const struct bytes_view nothing = {NULL, 0};

static bool commit_change(void *context, struct bytes_view key, struct bytes_view value)
{
    struct commit *commit = context;
    const MDB_dbi table = commit->store->tables[TABLE_STATE];
    if (value.data != NULL) {
        commit->code = store_put(commit->txn, table, key, value, nothing, 0);
    } else {
        /* A sealed overlay only removes what is there: NOTFOUND means that the base is not the one
         * it was sealed on, and must not pass. */
        MDB_val mdb_key = store_val(key);
        commit->code = mdb_del(commit->txn, table, &mdb_key, NULL);
    }
    return commit->code == MDB_SUCCESS;
}

static bool commit_put(struct commit *commit, enum store_table table, struct bytes_view key,
                       struct bytes_view a, struct bytes_view b, unsigned flags)
{
    commit->code = store_put(commit->txn, commit->store->tables[table], key, a, b, flags);
    return commit->code == MDB_SUCCESS;
}

static bool commit_indexes(struct commit *commit, const struct store_block *block,
                           struct bytes_view height)
{
    for (uint32_t i = 0; i < block->tx_count; i++) {
        uint8_t index_bytes[4];
        struct byte_writer writer;
        byte_writer_init(&writer, index_bytes, sizeof index_bytes);
        byte_write_u32(&writer, i);
        /* No transaction is in the chain twice: its nonce is used up. */
        if (!commit_put(commit, TABLE_TRANSACTIONS, hash_view(&block->tx_ids[i]), height,
                        bytes_view_of(index_bytes, sizeof index_bytes), MDB_NOOVERWRITE)) {
            return false;
        }
    }
    return commit_put(commit, TABLE_IDS, hash_view(&block->tip.block_id), height, nothing,
                      MDB_NOOVERWRITE);
}

static bool commit_everything(struct commit *commit, const struct store_block *block)
{
    uint8_t height_bytes[STORE_HEIGHT_KEY_SIZE];
    uint8_t tip[STORE_TIP_BYTES_MAX];
    const struct bytes_view height = store_height_key(height_bytes, block->height);
    const size_t tip_size = store_tip_encode(tip, &block->tip);
    return overlay_each_change(block->state, commit, commit_change) &&
           commit_put(commit, TABLE_BLOCKS, height, block->header, block->certificate,
                      MDB_APPEND) &&
           commit_put(commit, TABLE_BODIES, height, block->body, nothing, MDB_APPEND) &&
           commit_put(commit, TABLE_RECEIPTS, height, block->receipts, nothing, MDB_APPEND) &&
           commit_indexes(commit, block, height) &&
           commit_put(commit, TABLE_META, store_tip_key, bytes_view_of(tip, tip_size), nothing, 0);
}

/* One try: all of it, synced, or nothing. LMDB's code. */
static int write_once(struct store *store, store_write_fn write, void *context)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) {
        return code;
    }
    code = write(store, txn, context);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

static int write_block(struct store *store, MDB_txn *txn, void *context)
{
    struct commit commit = {.store = store, .txn = txn};
    return commit_everything(&commit, context) ? MDB_SUCCESS : commit.code;
}

/* With the mutex held. False if snapshots are still open when the time is up. */
static bool wait_for_snapshots(struct store *store)
{
    struct timespec until;
    MUST(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += GROW_WAIT_SECONDS;
    while (store->snapshots > 0) {
        if (pthread_cond_timedwait(&store->changed, &store->mutex, &until) == ETIMEDOUT) {
            return store->snapshots == 0;
        }
    }
    return true;
}

/* Grows the map by its step. False if it may not, or if a snapshot is in the way. */
static bool grow_map(struct store *store)
{
    const size_t step = store->map_bytes_step != 0 ? store->map_bytes_step : store->map_bytes;
    const bool fits =
        step <= store->map_bytes_max && store->map_bytes <= store->map_bytes_max - step;
    const size_t wanted = fits ? store->map_bytes + step : store->map_bytes_max;
    if (wanted <= store->map_bytes) {
        return false;
    }
    (void)pthread_mutex_lock(&store->mutex);
    store->growing = true;
    const bool idle = wait_for_snapshots(store);
    const struct state_base base = store->reader.base; /* with the tree, which stays */
    int code = MDB_SUCCESS;
    if (idle) {
        store_reader_end(&store->reader);
        code = mdb_env_set_mapsize(store->env, wanted);
        if (code == MDB_SUCCESS) {
            code = store_reader_begin(&store->reader, store, &store->tip);
        }
        store->reader.base = base;
    }
    store->growing = false;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->mutex);
    if (!idle) {
        log_line(LOG_UNUSUAL, "store: map full, a snapshot stays open -> not grown");
        return false;
    }
    if (code != MDB_SUCCESS) {
        (void)complain("growing the map", code);
        store->faulted = true;
        return false;
    }
    store->map_bytes = wanted;
    log_line(LOG_INFO, "store: map full -> %zu MiB", wanted >> 20);
    return true;
}

static bool disk_has_room(const struct store *store)
{
    struct statvfs disk;
    if (fstatvfs(store->directory_fd, &disk) != 0) {
        return true; /* no answer is no reason to stop: the write itself will tell */
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize >= store->disk_reserve;
}

static void check_block(const struct store *store, const struct store_block *block)
{
    const struct store_tip *tip = &store->tip;
    MUST(overlay_is_sealed(block->state));
    MUST(hash_equal(overlay_root(block->state), &block->tip.state_root));
    MUST(overlay_stands_on(block->state, &store->reader.base));
    MUST(block->tip.height == block->height && block->tip.has_genesis);
    MUST(block->tip.log.count == block->height + 1);
    if (tip->has_genesis) {
        MUST(block->height == tip->height + 1 && block->header.size == BLOCK_HEADER_SIZE);
    } else {
        MUST(block->height == 0 && block->header.size == 0);
    }
}

enum store_result store_write(struct store *store, const char *what, store_write_fn write,
                              void *context)
{
    if (store->faulted) {
        return STORE_FAULT;
    }
    free_dead_readers(store);
    if (!disk_has_room(store)) {
        log_line(LOG_UNUSUAL, "store: less than %llu MiB free on the disk -> %s waits",
                 (unsigned long long)(store->disk_reserve >> 20), what);
        return STORE_FULL;
    }
    int code = write_once(store, write, context);
    /* Ends: each round grows the map, up to its largest. */
    while (code == MDB_MAP_FULL && grow_map(store)) {
        code = write_once(store, write, context);
    }
    const int renewed = store->faulted ? EIO : store_reader_renew(&store->reader);
    if (renewed != MDB_SUCCESS || (code != MDB_SUCCESS && store_result_of(code) != STORE_FULL)) {
        (void)complain(what, code != MDB_SUCCESS ? code : renewed);
        store->faulted = true;
        return STORE_FAULT;
    }
    return code != MDB_SUCCESS ? complain(what, code) : STORE_OK;
}

enum store_result store_commit(struct store *store, const struct store_block *block)
{
    union {
        const struct store_block *block;
        void *context;
    } given = {.block = block}; /* write_block only reads it */
    if (store->faulted) {
        return STORE_FAULT;
    }
    check_block(store, block);
    /* Before its height can be seen: whoever sees it finds its tree. */
    forest_publish(store->forest, block->height, overlay_tree(block->state));
    const enum store_result result = store_write(store, "a commit", write_block, given.context);
    if (result == STORE_OK) {
        store->tip = block->tip;
        MUST(overlay_commit_tree(block->state, &store->reader.base));
    } else {
        forest_withdraw(store->forest, block->height);
    }
    return result;
}
