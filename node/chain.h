/* The chain: bodies, overlays, execution, commits. Everything between the consensus core and the
 * store, without threads, sockets or clocks, so that the simulator and the auditor run the very code
 * that the daemon runs.
 *
 * It caches the bodies and executed overlays of blocks that are not final, keyed by block id. */
#ifndef FLEX_NODE_CHAIN_H
#define FLEX_NODE_CHAIN_H

#include "consensus/bft.h"
#include "contracts/ledger.h"
#include "node/mempool.h"
#include "storage/store.h"

struct chain;

/* Where finalized blocks go: the LMDB store in the daemon, memory in the simulator. */
struct chain_backend {
    void *context;
    const struct state_base *base;
    enum store_result (*commit)(void *context, const struct store_block *block);
    const struct store_tip *(*tip)(void *context);
};
/* The backend over a store. */
struct chain_backend chain_backend_of_store(struct store *store);

/* Writes the genesis state if the store is new. NULL with the reason in `problem`. */
struct chain *chain_open(const struct genesis *genesis, const struct chain_backend *backend,
                         char problem[160]);
void chain_close(struct chain *chain);

/* Takes a block's body into the cache after checking it against header.tx_root (and decoding every
 * transaction, verifying each signature once: `verified` says that the caller has done so). False:
 * the body is not the header's, or malformed. */
bool chain_add_body(struct chain *chain, const struct block_header *header, struct bytes_view body,
                    bool verified);
bool chain_has_body(const struct chain *chain, const struct hash *block_id);
/* The body of a cached block; false if it isn't cached. */
bool chain_body(const struct chain *chain, const struct hash *block_id,
                struct block_header *header, struct bytes_view *body);
/* Runs the block on its parent's state and compares every root. */
enum bft_verdict chain_execute(struct chain *chain, const struct hash *block_id);
/* Builds a block from the mempool on the given parent and fills the header; its body and overlay are
 * cached. False if it can't. */
bool chain_build(struct chain *chain, struct mempool *mempool, struct block_header *header,
                 uint64_t epoch, uint64_t view, uint64_t parent_view, const struct hash *parent_id,
                 struct timestamp now);
/* Commits a decided block and drops what it makes obsolete. */
enum store_result chain_commit(struct chain *chain, const struct block_header *header,
                               const struct certificate *certificate_or_null);
/* Adds the transaction ids of a committed block to `mempool`'s knowledge. */
const struct store_tip *chain_tip(const struct chain *chain);
/* The committed state, read-only, for checks at the door. */
struct state_view *chain_committed_view(struct chain *chain);

#endif
