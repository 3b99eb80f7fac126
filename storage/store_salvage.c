/* Reading what can be read (store_salvage.h).
 *
 * Only blocks and bodies are read, by their keys: state, tree, receipts and indexes follow from them.
 * The id under which a block is indexed is not asked for, since the index may be what is damaged.
 *
 * Deliberately absent: any judgement. Whoever takes the blocks executes them. */
#include "storage/store_salvage.h"

#include "storage/store_internal.h"

static bool salvage_block(const struct store *store, uint64_t height, struct salvaged_block *out)
{
    uint8_t bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view key = store_height_key(bytes, height);
    struct bytes_view block;
    if (store_get(store->reader.txn, store->tables[TABLE_BLOCKS], key, &block) != STORE_OK ||
        block.size < BLOCK_HEADER_SIZE) {
        return false;
    }
    out->header = bytes_view_of(block.data, BLOCK_HEADER_SIZE);
    out->certificate =
        bytes_view_of(block.data + BLOCK_HEADER_SIZE, block.size - BLOCK_HEADER_SIZE);
    return store_get(store->reader.txn, store->tables[TABLE_BODIES], key, &out->body) == STORE_OK;
}

void store_salvage(const char *directory,
                   bool (*take)(void *context, const struct salvaged_block *block), void *context)
{
    struct store store = {.env = NULL};
    struct salvaged_block block;
    int code = mdb_env_create(&store.env);
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_maxdbs(store.env, STORE_TABLES);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_open(store.env, directory, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
    }
    if (code == MDB_SUCCESS) {
        code = store_reader_begin(&store.reader, &store, NULL);
    }
    for (int i = 0; i < STORE_TABLES && code == MDB_SUCCESS; i++) {
        if (i == TABLE_BLOCKS || i == TABLE_BODIES) {
            code = mdb_dbi_open(store.reader.txn, store_table_name((enum store_table)i), 0,
                                &store.tables[i]);
        }
    }
    for (uint64_t height = 1;
         code == MDB_SUCCESS && salvage_block(&store, height, &block) && take(context, &block);
         height++) {
    }
    store_reader_end(&store.reader);
    if (store.env != NULL) {
        mdb_env_close(store.env);
    }
}
