/* A node's chain database in memory: what was committed survives every crash, and nothing else does
 * (durability invariant D1 of storage/store.h; the store's own tests hold LMDB to it).
 *
 * Blocks themselves are kept once for the whole run (oracle.c): a commit that is not byte for byte
 * the final block of its height ends the run. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

enum { AUDITOR = -1 };

/* What a straggler needs besides the boundary block's certificate. */
static void keep_proof(struct sim_store *store, const struct finality *finality)
{
    uint64_t epoch = finality->certificate.epoch;
    MUST(epoch < SIM_EPOCHS_MAX && store->proof_headers[epoch] == NULL);
    store->proof_count[epoch] = (uint32_t)(finality->headers.size / BLOCK_HEADER_SIZE);
    if (finality->headers.size == 0)
        return;
    store->proof_headers[epoch] = malloc(finality->headers.size);
    MUST(store->proof_headers[epoch] != NULL);
    memcpy(store->proof_headers[epoch], finality->headers.data, finality->headers.size);
}

static enum store_result store_commit_block(void *context, const struct store_block *block)
{
    struct sim_store *store = context;
    struct sim *sim = store->sim;
    if (store->full && block->height > 0)
        return STORE_FULL;
    MUST(block->height == (store->tip.has_genesis ? store->tip.height + 1 : 0));
    MUST(hash_equal(overlay_root(block->state), &block->tip.state_root));
    if (block->height >= SIM_HEIGHTS_MAX) {
        sim_fail(sim, SIM_CRASH, "more heights than a run has room for");
        return STORE_FAULT;
    }
    if (store->node != AUDITOR && block->height > 0) {
        sim_oracle_commit(sim, &sim->nodes[store->node], block);
        if (sim_failed(sim))
            return STORE_FAULT;
    }
    MUST(memory_base_commit(store->base, block->state));
    if (block->certificate.size > 0) {
        struct finality finality;
        struct certificate *kept = malloc(sizeof *kept);
        MUST(kept != NULL && finality_decode(&finality, block->certificate));
        *kept = finality.certificate;
        store->certificates[block->height] = kept;
        if (finality.ends_epoch)
            keep_proof(store, &finality);
    }
    store->tip = block->tip;
    return STORE_OK;
}

static const struct store_tip *store_tip_of(void *context)
{
    return &((struct sim_store *)context)->tip;
}

void sim_store_open(struct sim *sim, struct sim_store *store, int node)
{
    memset(store, 0, sizeof *store);
    store->sim = sim;
    store->node = node;
    store->base = memory_base_create();
    MUST(store->base != NULL);
}

void sim_store_free(struct sim_store *store)
{
    for (uint64_t h = 0; h <= store->tip.height; h++)
        free(store->certificates[h]);
    for (uint32_t e = 0; e < SIM_EPOCHS_MAX; e++)
        free(store->proof_headers[e]);
    memory_base_destroy(store->base);
}

struct chain_backend sim_store_face(struct sim_store *store)
{
    return (struct chain_backend){.context = store,
                                  .base = memory_base_face(store->base),
                                  .commit = store_commit_block,
                                  .tip = store_tip_of};
}
