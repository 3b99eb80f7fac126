/* Removing old bodies and receipts, and the floor that says where they begin (storage/store.h, D8).
 *
 * Invariants:
 *  1. The floor and the removal are one transaction: no reader ever finds a body missing above the
 *     floor that its own snapshot shows.
 *  2. The floor rises only, and stays at or below the tip.
 *
 * Pages that are freed are used again by later commits; the file does not shrink.
 *
 * Deliberately absent: the decision what may go, which is the node's (node/retention.h); and removal
 * of headers, certificates and ids: proofs of recent things lead through them. */
#include <string.h>

#include "base/fatal.h"
#include "storage/store_internal.h"

struct prune {
    struct store_floor floor; /* afterwards */
};

int store_put_floor(struct store *store, MDB_txn *txn, const struct store_floor *floor)
{
    uint8_t bytes[24];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u64(&writer, floor->headers);
    byte_write_u64(&writer, floor->bodies);
    byte_write_u64(&writer, floor->witnesses);
    MUST(!writer.failed);
    return store_put(txn, store->tables[TABLE_META], store_floor_key,
                     bytes_view_of(bytes, writer.size), bytes_view_of(NULL, 0), 0);
}

static int write_prune(struct store *store, MDB_txn *txn, void *context)
{
    const struct prune *prune = context;
    static const enum store_table tables[] = {TABLE_BODIES, TABLE_RECEIPTS};
    for (uint64_t height = store->floor.bodies; height < prune->floor.bodies; height++) {
        uint8_t bytes[STORE_HEIGHT_KEY_SIZE];
        MDB_val key = store_val(store_height_key(bytes, height));
        for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
            /* NOTFOUND is as good as corrupt: it must have been there. */
            const int code = mdb_del(txn, store->tables[tables[i]], &key, NULL);
            if (code != MDB_SUCCESS) {
                return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
            }
        }
    }
    return store_put_floor(store, txn, &prune->floor);
}

enum store_result store_prune(struct store *store, uint64_t bodies_from, bool *more)
{
    struct prune prune = {.floor = store->floor};
    *more = false;
    if (!store->tip.has_genesis || store->tip.height == 0) {
        return STORE_OK;
    }
    if (bodies_from > store->tip.height) {
        bodies_from = store->tip.height;
    }
    if (bodies_from <= store->floor.bodies) {
        return STORE_OK;
    }
    prune.floor.bodies = bodies_from;
    if (bodies_from - store->floor.bodies > STORE_PRUNE_BLOCKS_MAX) {
        prune.floor.bodies = store->floor.bodies + STORE_PRUNE_BLOCKS_MAX;
        *more = true;
    }
    const enum store_result result = store_write(store, "pruning", write_prune, &prune);
    if (result == STORE_OK) {
        store->floor = prune.floor;
    }
    return result;
}
