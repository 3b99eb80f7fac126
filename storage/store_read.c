/* Reading the chain database: the owner's base, and snapshots for everyone else.
 *
 * Invariants:
 *  1. A snapshot sees one commit, whole, however long it lives; it delays the re-use of pages and
 *     the growth of the map, so its holders keep it short.
 *  2. No byte leaves here unchecked: every value has passed its checksum, and a block's header
 *     hashes to the id under which the block is indexed.
 *  3. No absence does either, nor a step of a walk: both neighbours must be whole and on their sides
 *     (adr/0031); and to a snapshot a state record is absent only if the state tree says so under the
 *     tip's root.
 *
 * Deliberately absent: caching. LMDB's map is the page cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/checksum.h"
#include "storage/key_order.h"
#include "storage/record_name.h"
#include "storage/store_internal.h"

/* --- damage ---------------------------------------------------------------------------------- */

enum { DAMAGE_LINES_MAX = 64 };
/* Each lost try means that several blocks were committed between two calls of this thread. */
enum { PIN_TRIES_MAX = 64 };

void store_note_damage(struct store *store, enum store_table table, struct bytes_view key,
                       const char *what)
{
    char name[RECORD_NAME_SIZE];
    record_name(name, store_table_name(table), key);
    (void)pthread_mutex_lock(&store->damage.mutex);
    const uint64_t count = ++store->damage.found.count;
    if (count == 1) {
        (void)snprintf(store->damage.found.first, sizeof store->damage.found.first, "%s %s", name,
                       what);
    }
    (void)pthread_mutex_unlock(&store->damage.mutex);
    if (count <= DAMAGE_LINES_MAX) {
        log_line(LOG_BROKEN, "store: %s %s -> stop the node, then flexd check (docs/operator.md)",
                 name, what);
    }
}

void store_damage(struct store *store, struct store_damage *out)
{
    (void)pthread_mutex_lock(&store->damage.mutex);
    *out = store->damage.found;
    (void)pthread_mutex_unlock(&store->damage.mutex);
}

/* Passes a result on, and tells of a damaged record. */
static enum store_result tell(const struct store_reader *reader, enum store_table table,
                              struct bytes_view key, enum store_result result)
{
    if (result == STORE_CORRUPT) {
        store_note_damage(reader->store, table, key, "is damaged, or a record beside it");
    }
    return result;
}

/* True for what a base reports as an answer; anything else is a fault, said in the log. */
static bool is_answer(const struct store_reader *reader, enum store_table table,
                      struct bytes_view key, enum store_result result)
{
    if (result == STORE_OK || result == STORE_ABSENT) {
        return true;
    }
    if (tell(reader, table, key, result) != STORE_CORRUPT) {
        log_line(LOG_UNUSUAL, "store: reading %s failed (%s) -> fault", store_table_name(table),
                 store_result_text(result));
    }
    return false;
}

/* --- the state ------------------------------------------------------------------------------- */

static bool base_node_get(void *context, struct state_tree_node *out,
                          const struct state_tree_path *path)
{
    const struct store_reader *reader = context;
    MUST(reader->store->forest != NULL);
    forest_node(reader->store->forest, &reader->base.tree, out, path);
    return true;
}

/* The tree, whose root is the tip's, has no leaf for that key; else the record was lost. */
static enum store_result prove_absence(struct store_reader *reader, struct bytes_view key)
{
    const struct state_tree_store tree = {.context = reader, .get = base_node_get};
    struct state_tree_proof proof;
    struct hash hash;
    if (reader->tip == NULL || !reader->tip->has_genesis) {
        return STORE_ABSENT; /* nothing is committed yet */
    }
    hash_bytes(&hash, HASH_DOMAIN_STATE_KEY, key.data, key.size);
    return state_tree_prove(&tree, &proof, &hash) &&
                   state_tree_verify(&proof, &reader->tip->state_root, &hash, NULL)
               ? STORE_ABSENT
               : STORE_CORRUPT;
}

static int reader_cursor(struct store_reader *reader)
{
    return reader->cursor != NULL
               ? MDB_SUCCESS
               : mdb_cursor_open(reader->txn, reader->store->tables[TABLE_STATE], &reader->cursor);
}

/* A record of the state, with the reader's cursor: a block asks for many that lie side by side, and then the
 * page at hand spares the way from the root. Without memory for a cursor what is there is found all the same. */
static enum store_result find_state(struct store_reader *reader, struct bytes_view key,
                                    struct bytes_view *value)
{
    return reader_cursor(reader) == MDB_SUCCESS
               ? store_find_at(reader->cursor, key, value)
               : store_find(reader->txn, reader->store->tables[TABLE_STATE], key, value);
}

/* Both neighbours agree on each absence. The proof costs twenty times as much; it is for those who are
 * given the answer, while a block that was executed on a wrong one shows by its roots. */
static bool base_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    struct store_reader *reader = context;
    enum store_result result = find_state(reader, key, value);
    if (result == STORE_ABSENT && reader->proves_absence) {
        result = prove_absence(reader, key);
    }
    *found = result == STORE_OK;
    return is_answer(reader, TABLE_STATE, key, result);
}

/* The cursor stands on the first record above `from`, or behind the last (`code`). The step is believed
 * if that record is whole and above, and the one before it whole and not above; a flipped key or branch
 * shows as one of the two. `strict`: `from` itself is not above `from`. */
static bool step_is_believed(struct store_reader *reader, int code, MDB_val key, MDB_val stored,
                             struct bytes_view from, bool strict)
{
    if (code == MDB_SUCCESS) {
        const struct bytes_view at = bytes_view_of(key.mv_data, key.mv_size);
        const int order = bytes_view_order(at, from);
        if (order < 0 || (strict && order == 0) || !store_value_is_whole(at, stored)) {
            return false;
        }
    }
    code = mdb_cursor_get(reader->cursor, &key, &stored, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    if (code != MDB_SUCCESS) {
        return code == MDB_NOTFOUND; /* there is none before it */
    }
    const struct bytes_view before = bytes_view_of(key.mv_data, key.mv_size);
    const int order = bytes_view_order(before, from);
    return (order < 0 || (strict && order == 0)) && store_value_is_whole(before, stored);
}

static bool base_next(void *context, struct bytes_view prefix, struct bytes_view after, bool *found,
                      uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    struct store_reader *reader = context;
    const bool from_prefix = after.size == 0 || bytes_view_order(after, prefix) < 0;
    const struct bytes_view from = from_prefix ? prefix : after;
    MDB_val key = store_val(from);
    MDB_val stored = {0};
    int code = reader_cursor(reader);
    *found = false;
    if (code == MDB_SUCCESS) {
        code = mdb_cursor_get(reader->cursor, &key, &stored,
                              from.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    }
    if (code == MDB_SUCCESS && !from_prefix &&
        bytes_view_equal(bytes_view_of(key.mv_data, key.mv_size), after)) {
        code = mdb_cursor_get(reader->cursor, &key, &stored, MDB_NEXT);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) {
        return is_answer(reader, TABLE_STATE, from, store_result_of(code));
    }
    if (!step_is_believed(reader, code, key, stored, from, !from_prefix)) {
        return is_answer(reader, TABLE_STATE, from, STORE_CORRUPT);
    }
    if (code == MDB_NOTFOUND) {
        return true;
    }
    const struct bytes_view at = bytes_view_of(key.mv_data, key.mv_size);
    if (!bytes_view_starts_with(at, prefix)) {
        return true;
    }
    if (at.size > LIMIT_STATE_KEY_BYTES) {
        return is_answer(reader, TABLE_STATE, from, STORE_CORRUPT);
    }
    *value = bytes_view_of(stored.mv_data, stored.mv_size - CHECKSUM_SIZE);
    memcpy(key_out, at.data, at.size);
    *key_size = at.size;
    *found = true;
    return true;
}

int store_reader_begin(struct store_reader *reader, struct store *store,
                       const struct store_tip *tip)
{
    memset(reader, 0, sizeof *reader);
    reader->store = store;
    reader->tip = tip;
    reader->base = (struct state_base){
        .context = reader, .get = base_get, .next = base_next, .node_get = base_node_get};
    return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
}

static void reader_close_cursor(struct store_reader *reader)
{
    if (reader->cursor != NULL) {
        mdb_cursor_close(reader->cursor);
        reader->cursor = NULL;
    }
}

void store_reader_end(struct store_reader *reader)
{
    reader_close_cursor(reader);
    if (reader->txn != NULL) {
        mdb_txn_abort(reader->txn);
        reader->txn = NULL;
    }
}

int store_reader_renew(struct store_reader *reader)
{
    reader_close_cursor(reader);
    mdb_txn_reset(reader->txn);
    return mdb_txn_renew(reader->txn);
}

enum store_result store_reader_tip(const struct store_reader *reader, struct store_tip *out)
{
    struct bytes_view bytes;
    const enum store_result result =
        tell(reader, TABLE_META, store_tip_key,
             store_find(reader->txn, reader->store->tables[TABLE_META], store_tip_key, &bytes));
    memset(out, 0, sizeof *out);
    if (result != STORE_OK) {
        return result;
    }
    return store_tip_decode(out, bytes) ? STORE_OK : STORE_CORRUPT;
}

static enum store_result reader_height_of(const struct store_reader *reader,
                                          const struct hash *block_id, uint64_t *height)
{
    struct bytes_view bytes;
    struct byte_reader cursor;
    const enum store_result result = tell(
        reader, TABLE_IDS, hash_view(block_id),
        store_find(reader->txn, reader->store->tables[TABLE_IDS], hash_view(block_id), &bytes));
    if (result != STORE_OK) {
        return result;
    }
    byte_reader_init(&cursor, bytes.data, bytes.size);
    *height = byte_read_u64(&cursor);
    return byte_reader_done(&cursor) ? STORE_OK : STORE_CORRUPT;
}

/* The header must hash to an id that is indexed under this very height. */
static enum store_result check_header(const struct store_reader *reader, uint64_t height,
                                      struct bytes_view bytes)
{
    struct block_header header;
    struct hash id;
    uint64_t indexed = 0;
    if (!block_header_decode(&header, bytes) || header.height != height) {
        return STORE_CORRUPT;
    }
    block_header_id(&id, &header);
    const enum store_result result = reader_height_of(reader, &id, &indexed);
    if (result == STORE_ABSENT || (result == STORE_OK && indexed != height)) {
        return STORE_CORRUPT;
    }
    return result;
}

enum store_result store_reader_floor(const struct store_reader *reader, struct store_floor *out)
{
    struct bytes_view bytes;
    struct byte_reader cursor;
    const enum store_result result =
        tell(reader, TABLE_META, store_floor_key,
             store_find(reader->txn, reader->store->tables[TABLE_META], store_floor_key, &bytes));
    *out = (struct store_floor){.headers = 1, .bodies = 1, .witnesses = 1};
    if (result != STORE_OK) {
        return result == STORE_ABSENT ? STORE_OK : result;
    }
    byte_reader_init(&cursor, bytes.data, bytes.size);
    out->headers = byte_read_u64(&cursor);
    out->bodies = byte_read_u64(&cursor);
    out->witnesses = byte_read_u64(&cursor);
    const bool sound =
        byte_reader_done(&cursor) && out->headers >= 1 && out->bodies >= 1 && out->witnesses >= 1;
    return sound ? STORE_OK : STORE_CORRUPT;
}

enum store_result store_reader_frontier(const struct store_reader *reader,
                                        struct merkle_frontier *out)
{
    struct store_floor floor;
    struct bytes_view bytes;
    struct byte_reader cursor;
    merkle_frontier_init(out);
    enum store_result result = store_reader_floor(reader, &floor);
    if (result != STORE_OK || floor.headers <= 1) {
        return result;
    }
    result = store_get(reader->txn, reader->store->tables[TABLE_META], store_frontier_key, &bytes);
    if (result == STORE_OK) {
        byte_reader_init(&cursor, bytes.data, bytes.size);
        store_frontier_read(&cursor, out);
        result =
            byte_reader_done(&cursor) && out->count == floor.headers ? STORE_OK : STORE_CORRUPT;
    }
    /* It came with the floor, so it cannot be absent. */
    return tell(reader, TABLE_META, store_frontier_key,
                result == STORE_ABSENT ? STORE_CORRUPT : result);
}

enum store_result store_reader_header(const struct store_reader *reader, uint64_t height,
                                      struct store_block *out)
{
    uint8_t key_bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view key = store_height_key(key_bytes, height);
    const size_t header_size = height == 0 ? 0 : BLOCK_HEADER_SIZE;
    struct bytes_view block;
    struct store_floor floor;
    memset(out, 0, sizeof *out);
    out->height = height;
    enum store_result result =
        store_get(reader->txn, reader->store->tables[TABLE_BLOCKS], key, &block);
    if (result == STORE_ABSENT && height > 0) {
        result = store_reader_floor(reader, &floor);
        if (result != STORE_OK || height < floor.headers) {
            return result != STORE_OK ? result : STORE_PRUNED;
        }
        const bool must_be_there =
            reader->tip != NULL && reader->tip->has_genesis && height <= reader->tip->height;
        return must_be_there ? tell(reader, TABLE_BLOCKS, key, STORE_CORRUPT) : STORE_ABSENT;
    }
    if (result == STORE_OK && block.size < header_size) {
        result = STORE_CORRUPT;
    }
    if (result != STORE_OK) {
        return tell(reader, TABLE_BLOCKS, key, result);
    }
    out->header = bytes_view_of(block.data, header_size);
    out->certificate = bytes_view_of(block.data + header_size, block.size - header_size);
    result = height > 0 ? check_header(reader, height, out->header) : STORE_OK;
    return result == STORE_ABSENT ? STORE_CORRUPT : result;
}

enum store_result store_reader_block(const struct store_reader *reader, uint64_t height,
                                     struct store_block *out)
{
    const MDB_dbi *tables = reader->store->tables;
    uint8_t key_bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view key = store_height_key(key_bytes, height);
    struct store_floor floor;
    enum store_result result = store_reader_header(reader, height, out);
    if (result != STORE_OK) {
        return result;
    }
    enum store_table table = TABLE_BODIES;
    result = store_get(reader->txn, tables[TABLE_BODIES], key, &out->body);
    if (result == STORE_OK) {
        table = TABLE_RECEIPTS;
        result = store_get(reader->txn, tables[TABLE_RECEIPTS], key, &out->receipts);
    }
    if (result != STORE_ABSENT) {
        return tell(reader, table, key, result);
    }
    /* A block has all its parts, unless they have been pruned: else it is damaged, not absent. */
    result = store_reader_floor(reader, &floor);
    if (result != STORE_OK || height < floor.bodies) {
        return result != STORE_OK ? result : STORE_PRUNED;
    }
    return tell(reader, table, key, STORE_CORRUPT);
}

/* --- snapshots ------------------------------------------------------------------------------- */

static void snapshot_leave(struct store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    MUST(store->snapshots > 0);
    store->snapshots--;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->mutex);
}

/* The tip and its tree. FULL: the tree has gone since the reader began, so there is a later tip; or more
 * snapshots are open than can be. */
static enum store_result snapshot_pin(struct store_snapshot *snapshot)
{
    struct store_reader *reader = &snapshot->reader;
    const enum store_result result = store_reader_tip(reader, &snapshot->tip);
    if (result != STORE_OK) {
        return result;
    }
    reader->pinned = forest_pin(reader->store->forest, snapshot->tip.height, &reader->base.tree);
    return reader->pinned ? STORE_OK : STORE_FULL;
}

static void snapshot_unpin(struct store_snapshot *snapshot)
{
    if (snapshot->reader.pinned) {
        forest_unpin(snapshot->reader.store->forest, snapshot->tip.height);
    }
}

struct store_snapshot *store_snapshot_begin(struct store *store)
{
    struct store_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&store->mutex);
    while (store->growing) {
        (void)pthread_cond_wait(&store->changed, &store->mutex);
    }
    store->snapshots++;
    (void)pthread_mutex_unlock(&store->mutex);

    int code = store_reader_begin(&snapshot->reader, store, NULL);
    enum store_result result = STORE_FULL;
    for (int i = 0; code == MDB_SUCCESS && result == STORE_FULL && i < PIN_TRIES_MAX; i++) {
        code = i == 0 ? MDB_SUCCESS : store_reader_renew(&snapshot->reader);
        result = code == MDB_SUCCESS ? snapshot_pin(snapshot) : STORE_FULL;
    }
    result = code != MDB_SUCCESS ? store_result_of(code) : result;
    snapshot->reader.tip = &snapshot->tip;
    snapshot->reader.proves_absence = true;
    if (result != STORE_OK && result != STORE_ABSENT) {
        log_line(LOG_UNUSUAL, "store: no snapshot (%s) -> the request fails",
                 code != MDB_SUCCESS ? mdb_strerror(code) : store_result_text(result));
        snapshot_unpin(snapshot);
        store_reader_end(&snapshot->reader);
        free(snapshot);
        snapshot_leave(store);
        return NULL;
    }
    return snapshot;
}

void store_snapshot_end(struct store_snapshot *snapshot)
{
    struct store *store = snapshot->reader.store;
    snapshot_unpin(snapshot);
    store_reader_end(&snapshot->reader);
    free(snapshot);
    snapshot_leave(store);
}

const struct store_tip *store_snapshot_tip(const struct store_snapshot *snapshot)
{
    return &snapshot->tip;
}

const struct state_base *store_snapshot_base(struct store_snapshot *snapshot)
{
    return &snapshot->reader.base;
}

enum store_result store_snapshot_block(struct store_snapshot *snapshot, uint64_t height,
                                       struct store_block *out)
{
    return store_reader_block(&snapshot->reader, height, out);
}

enum store_result store_snapshot_header(struct store_snapshot *snapshot, uint64_t height,
                                        struct store_block *out)
{
    return store_reader_header(&snapshot->reader, height, out);
}

struct store_floor store_snapshot_floor(struct store_snapshot *snapshot)
{
    struct store_floor floor;
    if (store_reader_floor(&snapshot->reader, &floor) != STORE_OK) {
        log_line(LOG_UNUSUAL, "store: the floor cannot be read -> taken for the beginning");
    }
    return floor;
}

enum store_result store_snapshot_frontier(struct store_snapshot *snapshot,
                                          struct merkle_frontier *out)
{
    return store_reader_frontier(&snapshot->reader, out);
}

bool store_snapshot_is_in_the_way(struct store_snapshot *snapshot)
{
    struct store *store = snapshot->reader.store;
    (void)pthread_mutex_lock(&store->mutex);
    const bool growing = store->growing;
    (void)pthread_mutex_unlock(&store->mutex);
    return growing;
}

enum store_result store_snapshot_height_of(struct store_snapshot *snapshot,
                                           const struct hash *block_id, uint64_t *height)
{
    return reader_height_of(&snapshot->reader, block_id, height);
}

enum store_result store_snapshot_transaction(struct store_snapshot *snapshot,
                                             const struct hash *tx_id, uint64_t *height,
                                             uint32_t *index)
{
    const struct store_reader *reader = &snapshot->reader;
    struct bytes_view bytes;
    struct byte_reader cursor;
    const enum store_result result =
        tell(reader, TABLE_TRANSACTIONS, hash_view(tx_id),
             store_find(reader->txn, reader->store->tables[TABLE_TRANSACTIONS], hash_view(tx_id),
                        &bytes));
    if (result != STORE_OK) {
        return result;
    }
    byte_reader_init(&cursor, bytes.data, bytes.size);
    *height = byte_read_u64(&cursor);
    *index = byte_read_u32(&cursor);
    return byte_reader_done(&cursor) ? STORE_OK : STORE_CORRUPT;
}
