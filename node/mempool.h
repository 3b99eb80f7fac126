/* Transactions that wait for a block: per sender in nonce order, fair among senders, bounded in
 * bytes over all and per sender. Pure: no threads, no clock of its own. */
#ifndef FLEX_NODE_MEMPOOL_H
#define FLEX_NODE_MEMPOOL_H

#include "contracts/ledger.h"

struct mempool;

struct mempool_limits {
    size_t bytes_max;            /* over all senders; 0 = 64 MiB */
    size_t bytes_per_sender_max; /* 0 = 8 MiB */
};

struct mempool *mempool_create(const struct mempool_limits *limits);
void mempool_destroy(struct mempool *mempool);
/* Copies the envelope. The caller has decoded it, verified its signature and checked it against the
 * committed state (a nonce gap is fine here: it waits, to a depth). CONTRACT_OK, CONTRACT_MEMPOOL_FULL,
 * CONTRACT_TX_NONCE_USED (another transaction waits with that nonce), CONTRACT_EXISTS_ALREADY. */
enum contract_error mempool_add(struct mempool *mempool, const struct transaction *transaction);
bool mempool_has(const struct mempool *mempool, const struct hash *tx_id);
/* Number of transactions that wait, and their bytes. */
size_t mempool_count(const struct mempool *mempool);
size_t mempool_bytes(const struct mempool *mempool);
/* A block was committed: drops its transactions and all that its nonces made stale. */
void mempool_forget(struct mempool *mempool, const struct public_key *sender, uint64_t up_to_nonce);
void mempool_expire(struct mempool *mempool, struct timestamp block_time);
/* Walks candidates for a block: one transaction per sender and round, senders in the order of their
 * oldest transaction, each sender's in nonce order. Start with mempool_walk_begin; a candidate that
 * the block can't take now is passed over with its sender's later ones (mempool_walk_skip_sender). */
void mempool_walk_begin(struct mempool *mempool);
bool mempool_walk_next(struct mempool *mempool, struct bytes_view *envelope);
void mempool_walk_skip_sender(struct mempool *mempool);

#endif
