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

/* Unfinal blocks in the cache: two per view of the window would be LIMIT_VIEW_WINDOW * 2; their
 * bodies together stay below 256 full ones. A chain of unfinal blocks deeper than
 * CHAIN_FULL_DEPTH_MAX is continued with empty blocks, so that their state stays small. */
enum {
    CHAIN_BLOCKS_MAX = LIMIT_VIEW_WINDOW * 2,
    CHAIN_BODY_BYTES_MAX = 256 * LIMIT_BLOCK_BODY_BYTES,
    CHAIN_FULL_DEPTH_MAX = 8,
    /* What this node puts into a block of its own; blocks of others may hold all that the limits allow.
     * Under load a block is run once to build it and once on each validator, one after the other; one of
     * 8192 transactions takes long enough on a busy machine that the view is given up and all of it was
     * for nothing. A thousand take a tenth of a second, against the few milliseconds of syncs and
     * messages that a block costs whatever is in it. */
    CHAIN_BUILD_TX_MAX = 1024,
    CHAIN_BUILD_ACTIONS_MAX = 2048
};

/* Writes the genesis state if the store is new. NULL with the reason in `problem`. The backend's
 * struct is copied; what it points to must outlive the chain. */
struct chain *chain_open(const struct genesis *genesis, const struct chain_backend *backend,
                         char problem[160]);
void chain_close(struct chain *chain);

/* Takes a block's body into the cache after checking it against header.tx_root, decoding every
 * transaction, and verifying each signature unless `verified` says that the caller has done so (the
 * daemon's workers have: node/verify_cache.h). False:
 * the body is not the header's, or malformed; or the cache is full of other unfinal blocks. A block
 * at or below the committed height is checked but not kept. */
bool chain_add_body(struct chain *chain, const struct block_header *header, struct bytes_view body,
                    bool verified);
/* The same for a block that is final: its witnesses may have been deleted (contracts/witness.h). What
 * stands in for one must be bound by the header, and its deal over at `now`: a peer that shows no witness of
 * what could still be disputed is not believed. */
bool chain_add_final_body(struct chain *chain, const struct block_header *header,
                          struct bytes_view body, bool verified, struct timestamp now);
/* The same for a body that the caller has found to be the header's and whose every transaction and
 * signature it has found good: the offline audit does that on many threads, ahead of this call. */
bool chain_add_checked_body(struct chain *chain, const struct block_header *header,
                            struct bytes_view body);
/* Would a body of that size, not known yet, find room? If not, chain_add_body's refusal says nothing
 * against whoever sent it. */
bool chain_has_room(const struct chain *chain, size_t body_size);
bool chain_has_body(const struct chain *chain, const struct hash *block_id);
/* The body of a cached block, valid until the next commit; false if it isn't cached. */
bool chain_body(const struct chain *chain, const struct hash *block_id, struct block_header *header,
                struct bytes_view *body);
/* Runs the block, which is cached, on its parent's state and compares every root; ancestors that have
 * not been run are run first. INVALID, but not for ever, if an ancestor is not here: such a block
 * stands beside the final chain, for the core asks for parents first. NOT_YET if it or an ancestor is
 * under rules that this program lacks. The process stops if the state cannot be read, or if value is
 * not conserved. */
enum bft_verdict chain_execute(struct chain *chain, const struct hash *block_id);
/* The version of the rules that the block on the committed tip is under and this program lacks; 0 if it
 * has it. Set by a commit or a start: from then on nothing more can be executed, built or voted for, and
 * the node has to stop until a program comes that knows the version. While the block before that one is
 * not final, this is 0: the node still helps to finalize it. */
uint32_t chain_rules_missing(const struct chain *chain);
/* The version that the next block is under, and the one that is voted in for a later height (0: none). */
void chain_next_rules(const struct chain *chain, uint32_t *in_force, uint32_t *waiting,
                      uint64_t *height);
/* For simulations and tests: a program that has the versions up to `last` only. */
void chain_limit_rules(struct chain *chain, uint32_t last);
/* Builds a block from the mempool on the given parent and fills the header; its body and overlay are
 * cached. False if it can't. */
bool chain_build(struct chain *chain, struct mempool *mempool, struct block_header *header,
                 uint64_t epoch, uint64_t view, uint64_t parent_view, const struct hash *parent_id,
                 struct timestamp now);
/* Commits a decided block and drops what it makes obsolete. A height that is committed already is
 * OK. STORE_FULL: nothing changed, try again. STORE_CORRUPT also if the block does not execute to
 * the roots of its own header: this node's state or code is wrong, it must stop voting. */
enum store_result chain_commit(struct chain *chain, const struct block_header *header,
                               const struct certificate *certificate_or_null);
/* The same for the last block of an epoch, which a descendant made final: `proof_headers` leads from
 * its child to the header that the certificate names. They are stored with the block. */
enum store_result chain_commit_boundary(struct chain *chain, const struct block_header *header,
                                        const struct certificate *certificate,
                                        struct bytes_view proof_headers);
/* From now on `watch` sees the state view of each block that was committed, with what it changed, before
 * the view is gone. NULL: nobody. */
void chain_watch(struct chain *chain, void (*watch)(void *context, struct state_view *view),
                 void *context);
/* The last block that this chain_commit committed since the start, with ids and receipts, for those
 * who wait for events: valid until the next commit. Its `state` is NULL. NULL if there was none. */
const struct store_block *chain_last_commit(const struct chain *chain);
/* Drops from `mempool` what the last commit took or made stale, and what has expired. */
void chain_tell_mempool(const struct chain *chain, struct mempool *mempool);

const struct store_tip *chain_tip(const struct chain *chain);
/* The committed state, read-only (a write to it asserts), for checks at the door. */
struct state_view *chain_committed_view(struct chain *chain);
/* Epoch and validator set of the next block, as the committed state has them. */
uint64_t chain_next_epoch(const struct chain *chain);
void chain_next_validators(const struct chain *chain, struct validator_set *out);
/* The context that a transaction is checked against at the door: the next block's, were it made at
 * `now`. */
void chain_next_context(const struct chain *chain, struct timestamp now,
                        struct block_context *context);

#endif
