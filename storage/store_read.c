/* Reading the chain database: the owner's base, and snapshots for everyone else.
 *
 * Invariants:
 *  1. A snapshot sees one commit, whole, however long it lives; it delays the re-use of pages and
 *     the growth of the map, so its holders keep it short.
 *  2. No byte leaves here unchecked: every value has passed its checksum, and a block's header
 *     hashes to the id under which the block is indexed.
 *
 * Deliberately absent: caching. LMDB's map is the page cache. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/checksum.h"
#include "storage/store_internal.h"
#include "storage/tree_node.h"

/* True for what a base reports as an answer; anything else is a fault, said once in the log. */
static bool is_answer(enum store_result result, const char *what)
{
    if (result == STORE_OK || result == STORE_ABSENT) {
        return true;
    }
    log_line(LOG_UNUSUAL, "store: reading %s failed (%s) -> fault", what,
             store_result_text(result));
    return false;
}

static bool base_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    const struct store_reader *reader = context;
    const enum store_result result =
        store_get(reader->txn, reader->store->tables[TABLE_STATE], key, value);
    *found = result == STORE_OK;
    return is_answer(result, "state");
}

static bool base_next(void *context, struct bytes_view prefix, struct bytes_view after, bool *found,
                      uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    struct store_reader *reader = context;
    const bool from_prefix = after.size == 0 || bytes_view_order(after, prefix) < 0;
    const struct bytes_view from = from_prefix ? prefix : after;
    MDB_val key = store_val(from);
    MDB_val stored;
    int code = MDB_SUCCESS;
    *found = false;
    if (reader->cursor == NULL) {
        code = mdb_cursor_open(reader->txn, reader->store->tables[TABLE_STATE], &reader->cursor);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_cursor_get(reader->cursor, &key, &stored,
                              from.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    }
    if (code == MDB_SUCCESS && !from_prefix &&
        bytes_view_equal(bytes_view_of(key.mv_data, key.mv_size), after)) {
        code = mdb_cursor_get(reader->cursor, &key, &stored, MDB_NEXT);
    }
    if (code == MDB_NOTFOUND) {
        return true;
    }
    if (code != MDB_SUCCESS) {
        return is_answer(store_result_of(code), "state");
    }
    const struct bytes_view at = bytes_view_of(key.mv_data, key.mv_size);
    if (!bytes_view_starts_with(at, prefix)) {
        return true;
    }
    if (at.size > LIMIT_STATE_KEY_BYTES || stored.mv_size < CHECKSUM_SIZE) {
        return is_answer(STORE_CORRUPT, "state");
    }
    *value = bytes_view_of(stored.mv_data, stored.mv_size - CHECKSUM_SIZE);
    if (checksum_read(value->data + value->size) != checksum_record(at, *value)) {
        return is_answer(STORE_CORRUPT, "state");
    }
    memcpy(key_out, at.data, at.size);
    *key_size = at.size;
    *found = true;
    return true;
}

static bool base_node_get(void *context, struct state_tree_node *out,
                          const struct state_tree_path *path)
{
    const struct store_reader *reader = context;
    struct bytes_view bytes;
    enum store_result result = store_get(reader->txn, reader->store->tables[TABLE_NODES],
                                         bytes_view_of(path->bytes, path->size), &bytes);
    memset(out, 0, sizeof *out);
    out->kind = STATE_TREE_EMPTY;
    if (result == STORE_OK && !tree_node_decode(out, bytes)) {
        result = STORE_CORRUPT;
    }
    return is_answer(result, "tree");
}

int store_reader_begin(struct store_reader *reader, struct store *store)
{
    memset(reader, 0, sizeof *reader);
    reader->store = store;
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
        store_get(reader->txn, reader->store->tables[TABLE_META], store_tip_key, &bytes);
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
    const enum store_result result =
        store_get(reader->txn, reader->store->tables[TABLE_IDS], hash_view(block_id), &bytes);
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
        store_get(reader->txn, reader->store->tables[TABLE_META], store_floor_key, &bytes);
    *out = (struct store_floor){.headers = 1, .bodies = 1};
    if (result != STORE_OK) {
        return result == STORE_ABSENT ? STORE_OK : result;
    }
    byte_reader_init(&cursor, bytes.data, bytes.size);
    out->headers = byte_read_u64(&cursor);
    out->bodies = byte_read_u64(&cursor);
    return byte_reader_done(&cursor) && out->headers >= 1 && out->bodies >= 1 ? STORE_OK
                                                                              : STORE_CORRUPT;
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
        return result != STORE_OK ? result : height < floor.headers ? STORE_PRUNED : STORE_ABSENT;
    }
    if (result != STORE_OK) {
        return result;
    }
    if (block.size < header_size) {
        return STORE_CORRUPT;
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
    result = store_get(reader->txn, tables[TABLE_BODIES], key, &out->body);
    if (result == STORE_OK) {
        result = store_get(reader->txn, tables[TABLE_RECEIPTS], key, &out->receipts);
    }
    if (result != STORE_ABSENT) {
        return result;
    }
    /* A block has all its parts, unless they have been pruned: else it is damaged, not absent. */
    result = store_reader_floor(reader, &floor);
    return result != STORE_OK ? result : height < floor.bodies ? STORE_PRUNED : STORE_CORRUPT;
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

    const int code = store_reader_begin(&snapshot->reader, store);
    const enum store_result result = code != MDB_SUCCESS
                                         ? store_result_of(code)
                                         : store_reader_tip(&snapshot->reader, &snapshot->tip);
    if (result != STORE_OK && result != STORE_ABSENT) {
        log_line(LOG_UNUSUAL, "store: no snapshot (%s) -> the request fails",
                 code != MDB_SUCCESS ? mdb_strerror(code) : store_result_text(result));
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
        store_get(reader->txn, reader->store->tables[TABLE_TRANSACTIONS], hash_view(tx_id), &bytes);
    if (result != STORE_OK) {
        return result;
    }
    byte_reader_init(&cursor, bytes.data, bytes.size);
    *height = byte_read_u64(&cursor);
    *index = byte_read_u32(&cursor);
    return byte_reader_done(&cursor) ? STORE_OK : STORE_CORRUPT;
}
