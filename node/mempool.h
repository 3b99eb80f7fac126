/* Transactions that wait for a block: per sender in nonce order, blocks shared fairly, bounded in
 * bytes over all and per sender. Pure: no threads, no clock of its own. */
#ifndef FLEX_NODE_MEMPOOL_H
#define FLEX_NODE_MEMPOOL_H

#include "contracts/ledger.h"

struct mempool;

struct mempool_limits {
    size_t bytes_max;            /* over all senders; 0 = 64 MiB */
    size_t bytes_per_sender_max; /* 0 = 8 MiB */
};

/* How far above its sender's lowest waiting nonce a transaction may wait. Bounds the search for its
 * place, too. */
enum { MEMPOOL_NONCE_DEPTH = 4096 };
/* How far a sender can be behind in its share of blocks: by the largest transaction. */
enum { MEMPOOL_LAG_BYTES = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES };
/* One that replaces another of its nonce offers to pay the other's fee limit and a fourth of it more. */
enum { MEMPOOL_OUTBID_SHARE = 4 };

/* NULL if memory ran out. */
struct mempool *mempool_create(const struct mempool_limits *limits);
void mempool_destroy(struct mempool *mempool);
/* Copies the envelope. The caller has decoded it, verified its signature and checked it against the
 * committed state (a nonce gap is fine here: it waits, to a depth). CONTRACT_OK;
 * CONTRACT_EXISTS_ALREADY (this very transaction waits); CONTRACT_TX_NONCE_USED (another one waits
 * with that nonce, and this one's fee limit is not a fourth above it: else it takes the other's place);
 * CONTRACT_MEMPOOL_FULL (no room for this sender, or over all and nobody holds more
 * than this sender would, or the nonce is more than MEMPOOL_NONCE_DEPTH ahead of the sender's lowest
 * that waits). A full pool drops the last nonces of the sender that holds most to make room. */
enum contract_error mempool_add(struct mempool *mempool, const struct transaction *transaction);
bool mempool_has(const struct mempool *mempool, const struct hash *tx_id);
/* Number of transactions that wait, and the bytes that they take, bookkeeping included. */
size_t mempool_count(const struct mempool *mempool);
size_t mempool_bytes(const struct mempool *mempool);
/* A block was committed: drops its transactions and all that its nonces made stale. */
void mempool_forget(struct mempool *mempool, const struct public_key *sender, uint64_t up_to_nonce);
/* Drops what may not stand in a block of that time or later. */
void mempool_expire(struct mempool *mempool, struct timestamp block_time);
/* Walks candidates for a block: each sender's in nonce order, and senders so that all get the same bytes
 * of blocks, those of earlier blocks counted while they have something waiting; of equals, whose next one
 * came first. A sender that comes anew waits for one transaction of each other at most. Start with
 * mempool_walk_begin; a candidate that the block can't take now is passed over with its sender's later
 * ones (mempool_walk_skip_sender). Nothing may be added or dropped between begin and the last next. */
void mempool_walk_begin(struct mempool *mempool);
bool mempool_walk_next(struct mempool *mempool, struct bytes_view *envelope);
void mempool_walk_skip_sender(struct mempool *mempool);

#endif
