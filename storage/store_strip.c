/* Deleting the witnesses of finished deals from stored bodies (storage/store.h, D10; docs/spec/privacy.md 8).
 *
 * Invariants:
 *  1. A body is replaced by the same transactions with stand-ins, which its own receipts make: the header's
 *     transactions root stays, and the header's receipt root binds what stands in.
 *  2. Replacement and floor are one transaction; the floor rises only, and stays above no block whose body
 *     would have outgrown the limit of bodies: such a one is passed over whole, and stays as it is.
 *
 * LMDB uses freed pages again; until then a deleted witness's bytes may still be in one.
 *
 * Deliberately absent: when a deal is finished, which is the node's to know (node/retention.h). */
#include <stdlib.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/witness.h"
#include "storage/store_internal.h"

struct strip {
    struct store_floor floor; /* afterwards */
    uint8_t *body;            /* LIMIT_BLOCK_BODY_BYTES */
    struct hash *leaves;      /* LIMIT_TX_PER_BLOCK + 1 */
};

/* LMDB's code. The block is read within the write, so that nothing is replaced that has changed. */
static int strip_block(struct store *store, MDB_txn *txn, struct strip *strip, uint64_t height)
{
    uint8_t key_bytes[STORE_HEIGHT_KEY_SIZE];
    const struct bytes_view key = store_height_key(key_bytes, height);
    struct bytes_view body, receipts;
    struct byte_writer writer;
    if (store_get(txn, store->tables[TABLE_BODIES], key, &body) != STORE_OK ||
        store_get(txn, store->tables[TABLE_RECEIPTS], key, &receipts) != STORE_OK) {
        /* Above the floor of bodies: they must have been there. */
        return MDB_CORRUPTED;
    }
    if (!body_has_witness(body)) {
        return MDB_SUCCESS;
    }
    byte_writer_init(&writer, strip->body, LIMIT_BLOCK_BODY_BYTES);
    if (!body_strip(&writer, body, receipts, strip->leaves)) {
        log_line(LOG_UNUSUAL, "block %llu would outgrow its limit without its witnesses -> kept",
                 (unsigned long long)height);
        return MDB_SUCCESS;
    }
    return store_put(txn, store->tables[TABLE_BODIES], key, bytes_view_of(strip->body, writer.size),
                     bytes_view_of(NULL, 0), 0);
}

static int write_strip(struct store *store, MDB_txn *txn, void *context)
{
    struct strip *strip = context;
    uint64_t height = store->floor.witnesses;
    if (height < store->floor.bodies) {
        height = store->floor.bodies;
    }
    for (; height < strip->floor.witnesses; height++) {
        const int code = strip_block(store, txn, strip, height);
        if (code != MDB_SUCCESS) {
            return code;
        }
    }
    return store_put_floor(store, txn, &strip->floor);
}

enum store_result store_strip(struct store *store, uint64_t witnesses_from)
{
    struct strip strip = {.floor = store->floor};
    if (!store->tip.has_genesis || witnesses_from <= store->floor.witnesses) {
        return STORE_OK;
    }
    const uint64_t from =
        store->floor.witnesses > store->floor.bodies ? store->floor.witnesses : store->floor.bodies;
    MUST(witnesses_from <= store->tip.height);
    MUST(witnesses_from <= from + STORE_STRIP_BLOCKS_MAX);
    strip.floor.witnesses = witnesses_from;
    strip.body = malloc(LIMIT_BLOCK_BODY_BYTES);
    strip.leaves = calloc(LIMIT_TX_PER_BLOCK + 1, sizeof *strip.leaves);
    const bool room = strip.body != NULL && strip.leaves != NULL;
    const enum store_result result =
        room ? store_write(store, "deleting witnesses", write_strip, &strip) : STORE_FULL;
    if (result == STORE_OK) {
        store->floor = strip.floor;
    }
    free(strip.body);
    free(strip.leaves);
    return result;
}
