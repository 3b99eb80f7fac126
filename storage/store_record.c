/* Records of the chain database: checksummed values, keys, and the tip.
 *
 * Every value in every table ends in eight bytes of checksum over key and value. LMDB has none of
 * its own: a flipped bit in a data page would come back silently. Headers, bodies and the state as
 * a whole have hashes too, but those are seen to be wrong only once a block has been executed on
 * them; the checksum stops a node at the record itself, before it votes.
 *
 * Deliberately absent: any write that is not part of a commit. */
#include <errno.h>
#include <string.h>

#include "base/fatal.h"
#include "storage/checksum.h"
#include "storage/key_order.h"
#include "storage/store_internal.h"

static const uint8_t tip_name[] = {'t', 'i', 'p'};
static const uint8_t format_name[] = {'f', 'o', 'r', 'm', 'a', 't'};
static const uint8_t floor_name[] = {'f', 'l', 'o', 'o', 'r'};
static const uint8_t frontier_name[] = {'f', 'r', 'o', 'n', 't', 'i', 'e', 'r'};
const struct bytes_view store_frontier_key = {frontier_name, sizeof frontier_name};
const struct bytes_view store_floor_key = {floor_name, sizeof floor_name};
const struct bytes_view store_tip_key = {tip_name, sizeof tip_name};
const struct bytes_view store_format_key = {format_name, sizeof format_name};

static const char *const table_names[STORE_TABLES] = {
    [TABLE_META] = "meta",     [TABLE_STATE] = "state",       [TABLE_BLOCKS] = "blocks",
    [TABLE_BODIES] = "bodies", [TABLE_RECEIPTS] = "receipts", [TABLE_TRANSACTIONS] = "transactions",
    [TABLE_IDS] = "ids",
};

const char *store_table_name(enum store_table table)
{
    MUST(table < STORE_TABLES);
    return table_names[table];
}

void store_format_encode(uint8_t out[STORE_FORMAT_BYTES], const struct hash *genesis)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, STORE_FORMAT_BYTES);
    byte_write_u32(&writer, STORE_VERSION);
    byte_write_raw(&writer, genesis->bytes, HASH_SIZE);
    MUST(!writer.failed && writer.size == STORE_FORMAT_BYTES);
}

const char *store_result_text(enum store_result result)
{
    switch (result) {
    case STORE_OK:
        return "ok";
    case STORE_ABSENT:
        return "absent";
    case STORE_PRUNED:
        return "pruned";
    case STORE_FULL:
        return "disk or map full";
    case STORE_CORRUPT:
        return "a record does not match its checksum or hash";
    case STORE_MISMATCH:
        return "made for another chain or by another version";
    case STORE_LOCKED:
        return "in use by another process";
    case STORE_FAULT:
        return "the environment failed";
    }
    return "unknown";
}

enum store_result store_result_of(int code)
{
    if (code == MDB_SUCCESS) {
        return STORE_OK;
    }
    if (code == MDB_NOTFOUND) {
        return STORE_ABSENT;
    }
    /* EFBIG: the process's limit of file size; like a quota, it can be lifted. */
    if (code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT || code == EFBIG) {
        return STORE_FULL;
    }
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND) {
        return STORE_CORRUPT;
    }
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_INCOMPATIBLE) {
        return STORE_MISMATCH;
    }
    return STORE_FAULT;
}

MDB_val store_val(struct bytes_view bytes)
{
    /* LMDB's type has no const; it does not write through keys. */
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)(uintptr_t)bytes.data};
}

struct bytes_view store_height_key(uint8_t out[STORE_HEIGHT_KEY_SIZE], uint64_t height)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, STORE_HEIGHT_KEY_SIZE);
    byte_write_u64(&writer, height);
    MUST(!writer.failed);
    return bytes_view_of(out, STORE_HEIGHT_KEY_SIZE);
}

int store_put(MDB_txn *txn, MDB_dbi table, struct bytes_view key, struct bytes_view a,
              struct bytes_view b, unsigned flags)
{
    MDB_val mdb_key = store_val(key);
    MDB_val room = {.mv_size = a.size + b.size + CHECKSUM_SIZE, .mv_data = NULL};
    const int code = mdb_put(txn, table, &mdb_key, &room, flags | MDB_RESERVE);
    if (code != MDB_SUCCESS) {
        return code;
    }
    uint8_t *out = room.mv_data;
    if (a.size > 0) {
        memcpy(out, a.data, a.size);
    }
    if (b.size > 0) {
        memcpy(out + a.size, b.data, b.size);
    }
    checksum_write(out + a.size + b.size,
                   checksum_record(key, bytes_view_of(out, a.size + b.size)));
    return MDB_SUCCESS;
}

bool store_value_is_whole(struct bytes_view key, MDB_val stored)
{
    if (stored.mv_size < CHECKSUM_SIZE) {
        return false;
    }
    const struct bytes_view value = bytes_view_of(stored.mv_data, stored.mv_size - CHECKSUM_SIZE);
    return checksum_read(value.data + value.size) == checksum_record(key, value);
}

enum store_result store_get(MDB_txn *txn, MDB_dbi table, struct bytes_view key,
                            struct bytes_view *value)
{
    MDB_val mdb_key = store_val(key);
    MDB_val found;
    const int code = mdb_get(txn, table, &mdb_key, &found);
    if (code != MDB_SUCCESS) {
        return store_result_of(code);
    }
    if (!store_value_is_whole(key, found)) {
        return STORE_CORRUPT;
    }
    *value = bytes_view_of(found.mv_data, found.mv_size - CHECKSUM_SIZE);
    return STORE_OK;
}

/* Is the cursor's record whole, and on that side of `key`: 1 above, -1 below? NOTFOUND: there is none
 * on that side, which is as good. */
static bool neighbour_agrees(int code, MDB_val at, MDB_val stored, struct bytes_view key, int side)
{
    const struct bytes_view found = bytes_view_of(at.mv_data, at.mv_size);
    return code == MDB_NOTFOUND ||
           (code == MDB_SUCCESS && store_value_is_whole(found, stored) &&
            (bytes_view_order(found, key) > 0) == (side > 0) && !bytes_view_equal(found, key));
}

enum store_result store_find_at(MDB_cursor *cursor, struct bytes_view key, struct bytes_view *value)
{
    MDB_val at = store_val(key);
    MDB_val stored = {0};
    int code = mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE);
    if (code == MDB_SUCCESS && bytes_view_equal(bytes_view_of(at.mv_data, at.mv_size), key)) {
        if (!store_value_is_whole(key, stored)) {
            return STORE_CORRUPT;
        }
        *value = bytes_view_of(stored.mv_data, stored.mv_size - CHECKSUM_SIZE);
        return STORE_OK;
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) {
        return store_result_of(code);
    }
    if (!neighbour_agrees(code, at, stored, key, 1)) {
        return STORE_CORRUPT;
    }
    code = mdb_cursor_get(cursor, &at, &stored, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    return neighbour_agrees(code, at, stored, key, -1) ? STORE_ABSENT : STORE_CORRUPT;
}

enum store_result store_find(MDB_txn *txn, MDB_dbi table, struct bytes_view key,
                             struct bytes_view *value)
{
    MDB_cursor *cursor = NULL;
    enum store_result result = store_get(txn, table, key, value);
    if (result == STORE_ABSENT) { /* what is there needs no memory to be found */
        const int code = mdb_cursor_open(txn, table, &cursor);
        result = code == MDB_SUCCESS ? store_find_at(cursor, key, value) : store_result_of(code);
        mdb_cursor_close(cursor);
    }
    return result;
}

/* One peak per complete subtree of the log: as many as `count` has one bits. */
static uint32_t peak_count(uint64_t count)
{
    return (uint32_t)__builtin_popcountll(count);
}

void store_frontier_write(struct byte_writer *writer, const struct merkle_frontier *log)
{
    byte_write_u64(writer, log->count);
    for (uint32_t i = 0; i < peak_count(log->count); i++) {
        byte_write_raw(writer, log->peaks[i].bytes, HASH_SIZE);
    }
}

void store_frontier_read(struct byte_reader *reader, struct merkle_frontier *out)
{
    merkle_frontier_init(out);
    out->count = byte_read_u64(reader);
    for (uint32_t i = 0; i < peak_count(out->count); i++) {
        byte_read_raw(reader, out->peaks[i].bytes, HASH_SIZE);
    }
}

size_t store_tip_encode(uint8_t out[STORE_TIP_BYTES_MAX], const struct store_tip *tip)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, STORE_TIP_BYTES_MAX);
    byte_write_u64(&writer, tip->height);
    byte_write_u64(&writer, tip->view);
    byte_write_raw(&writer, tip->block_id.bytes, HASH_SIZE);
    byte_write_raw(&writer, tip->state_root.bytes, HASH_SIZE);
    byte_write_i64(&writer, timestamp_ms(tip->time));
    byte_write_u64(&writer, tip->transactions);
    store_frontier_write(&writer, &tip->log);
    MUST(!writer.failed);
    return writer.size;
}

bool store_tip_decode(struct store_tip *out, struct bytes_view bytes)
{
    struct byte_reader reader;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    out->height = byte_read_u64(&reader);
    out->view = byte_read_u64(&reader);
    byte_read_raw(&reader, out->block_id.bytes, HASH_SIZE);
    byte_read_raw(&reader, out->state_root.bytes, HASH_SIZE);
    out->time = timestamp_of(byte_read_i64(&reader));
    out->transactions = byte_read_u64(&reader);
    store_frontier_read(&reader, &out->log);
    out->has_genesis = true;
    return byte_reader_done(&reader) && out->log.count == out->height + 1;
}
