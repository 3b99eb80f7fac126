/* Loading a state into an empty store (storage/store.h; docs/spec/snapshot.md).
 *
 * The entries come in parts, each part one synced transaction; the tip comes last, after the tree over
 * all of them has been computed and its root compared. So:
 *
 * Invariants:
 *  1. A store has a tip only if the tree over what it holds has the tip's state root.
 *     Its history log before the tip has the log root of the tip's header.
 *  2. Without a tip, nothing that is in the tables counts: opening the store throws it away.
 *
 * Deliberately absent: any trust in the caller's hashes. The tree is built here from the entries. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/store_internal.h"

static const struct bytes_view nothing = {NULL, 0};
/* A body of no transactions, and no receipts: a count of zero, as genesis has them. */
static const uint8_t no_records[4];

/* --- entries ------------------------------------------------------------------------------- */

struct load_entries {
    const struct store_entry *entries;
    size_t count;
};

static int write_entries(struct store *store, MDB_txn *txn, void *context)
{
    const struct load_entries *load = context;
    for (size_t i = 0; i < load->count; i++) {
        const struct store_entry *entry = &load->entries[i];
        const int code = store_put(txn, store->tables[TABLE_STATE], entry->key, entry->value,
                                   nothing, MDB_NOOVERWRITE);
        if (code != MDB_SUCCESS) {
            MUST(code != MDB_KEYEXIST);
            return code;
        }
    }
    return MDB_SUCCESS;
}

enum store_result store_load_entries(struct store *store, const struct store_entry *entries,
                                     size_t count)
{
    MUST(!store->tip.has_genesis);
    if (count == 0) {
        return STORE_OK;
    }
    struct load_entries load = {.entries = entries, .count = count};
    return store_write(store, "loading entries", write_entries, &load);
}

/* --- headers and the tip --------------------------------------------------------------------- */

struct load_header {
    uint64_t height;
    struct hash id;
    struct bytes_view header;
    struct bytes_view certificate;
    const struct store_tip *tip;         /* NULL: a header below it */
    const struct merkle_frontier *below; /* with the tip: the history log before it */
    struct hash log_root;
};

static int put_header(struct store *store, MDB_txn *txn, const struct load_header *load)
{
    uint8_t height_bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view height = store_height_key(height_bytes, load->height);
    int code =
        store_put(txn, store->tables[TABLE_BLOCKS], height, load->header, load->certificate, 0);
    if (code == MDB_SUCCESS) {
        code = store_put(txn, store->tables[TABLE_IDS], hash_view(&load->id), height, nothing, 0);
    }
    return code;
}

static int write_header(struct store *store, MDB_txn *txn, void *context)
{
    return put_header(store, txn, context);
}

static bool header_of(struct load_header *load, struct bytes_view bytes)
{
    struct block_header header;
    if (!block_header_decode(&header, bytes)) {
        return false;
    }
    load->height = header.height;
    load->header = bytes;
    load->log_root = header.log_root;
    block_header_id(&load->id, &header);
    return true;
}

enum store_result store_load_header(struct store *store, struct bytes_view header,
                                    struct bytes_view certificate)
{
    struct load_header load = {.certificate = certificate};
    MUST(!store->tip.has_genesis && header_of(&load, header));
    return store_write(store, "loading a header", write_header, &load);
}

/* Genesis as every store has it, but for its state, which has gone on. */
static int put_genesis(struct store *store, MDB_txn *txn)
{
    uint8_t height_bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view height = store_height_key(height_bytes, 0);
    const struct bytes_view records = bytes_view_of(no_records, sizeof no_records);
    const struct load_header genesis = {.height = 0, .id = store->genesis};
    int code = put_header(store, txn, &genesis);
    if (code == MDB_SUCCESS) {
        code = store_put(txn, store->tables[TABLE_BODIES], height, records, nothing, 0);
    }
    if (code == MDB_SUCCESS) {
        code = store_put(txn, store->tables[TABLE_RECEIPTS], height, records, nothing, 0);
    }
    return code;
}

static int put_frontier(struct store *store, MDB_txn *txn, const struct merkle_frontier *log)
{
    uint8_t bytes[STORE_FRONTIER_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    store_frontier_write(&writer, log);
    MUST(!writer.failed);
    return store_put(txn, store->tables[TABLE_META], store_frontier_key,
                     bytes_view_of(bytes, writer.size), nothing, 0);
}

static int write_tip(struct store *store, MDB_txn *txn, void *context)
{
    const struct load_header *load = context;
    const struct store_floor floor = {
        .headers = load->height, .bodies = load->height + 1, .witnesses = load->height + 1};
    uint8_t bytes[STORE_TIP_BYTES_MAX];
    int code = put_genesis(store, txn);
    if (code == MDB_SUCCESS) {
        code = put_header(store, txn, load);
    }
    if (code == MDB_SUCCESS) {
        code = store_put_floor(store, txn, &floor);
    }
    if (code == MDB_SUCCESS) {
        code = put_frontier(store, txn, load->below);
    }
    if (code == MDB_SUCCESS) {
        const size_t size = store_tip_encode(bytes, load->tip);
        code = store_put(txn, store->tables[TABLE_META], store_tip_key, bytes_view_of(bytes, size),
                         nothing, 0);
    }
    return code;
}

enum store_result store_load_finish(struct store *store, const struct store_tip *tip,
                                    const struct merkle_frontier *below, struct bytes_view header,
                                    struct bytes_view certificate)
{
    struct load_header load = {.certificate = certificate, .tip = tip, .below = below};
    struct hash log_root;
    MUST(!store->tip.has_genesis && header_of(&load, header));
    MUST(load.height == tip->height && hash_equal(&load.id, &tip->block_id) && tip->has_genesis &&
         tip->log.count == tip->height + 1 && below->count == tip->height);
    const enum store_result built = store_tree_build(store, &store->reader.base.tree);
    if (built != STORE_OK) {
        return built;
    }
    merkle_frontier_root(&log_root, below);
    if (!hash_equal(&store->reader.base.tree.hash, &tip->state_root) ||
        !hash_equal(&log_root, &load.log_root)) {
        store->reader.base.tree = (struct forest_tree){0}; /* what was loaded is thrown away */
        return STORE_CORRUPT;
    }
    const enum store_result result = store_write(store, "finishing a load", write_tip, &load);
    if (result == STORE_OK) {
        store->tip = *tip;
        forest_publish(store->forest, tip->height, &store->reader.base.tree);
        store->floor = (struct store_floor){
            .headers = load.height, .bodies = load.height + 1, .witnesses = load.height + 1};
    }
    return result;
}

/* --- throwing away --------------------------------------------------------------------------- */

static int write_empty(struct store *store, MDB_txn *txn, void *context)
{
    (void)context;
    for (int table = 0; table < STORE_TABLES; table++) {
        const int code = table == TABLE_META ? MDB_SUCCESS : mdb_drop(txn, store->tables[table], 0);
        if (code != MDB_SUCCESS) {
            return code;
        }
    }
    return MDB_SUCCESS;
}

enum store_result store_load_discard(struct store *store)
{
    MUST(!store->tip.has_genesis);
    for (int table = 0; table < STORE_TABLES; table++) {
        MDB_stat stat;
        const int code = mdb_stat(store->reader.txn, store->tables[table], &stat);
        if (code != MDB_SUCCESS) {
            return store_result_of(code);
        }
        if (table != TABLE_META && stat.ms_entries > 0) {
            log_line(LOG_INFO, "store: a load was not finished -> thrown away");
            return store_write(store, "throwing a load away", write_empty, NULL);
        }
    }
    return STORE_OK;
}
