/* A world for tests of the chain: one genesis with four validators, two people with money, blocks
 * committed into memory or LMDB. Anything unexpected aborts the test. */
#ifndef FLEX_TESTS_CHAIN_WORLD_H
#define FLEX_TESTS_CHAIN_WORLD_H

#include "node/chain.h"

#define WORLD_TIME_MS INT64_C(1767571200000)
enum { WORLD_ENVELOPE_BYTES = 2048 };

struct memory_backend {
    struct memory_base *base;
    struct store_tip tip;
    enum store_result answer; /* what the next commits say; STORE_OK commits */
    uint64_t commits;
};

void memory_backend_init(struct memory_backend *memory);
void memory_backend_free(struct memory_backend *memory);
struct chain_backend memory_backend_face(struct memory_backend *memory);

void world_genesis(struct genesis *out);
struct hash world_genesis_id(void);
struct public_key world_key(const char *person);
struct secret_key world_secret(const char *person);
struct name world_name(const char *text);

/* One signed transaction with one action, its bytes in `bytes`. */
struct world_tx {
    uint8_t bytes[WORLD_ENVELOPE_BYTES];
    struct transaction transaction;
};
void world_sign(struct world_tx *out, const char *sender, uint64_t nonce, uint8_t type,
                const void *record);
/* By the treasurer; `nonce` makes the receipt reference, too. */
void world_mint(struct world_tx *out, uint64_t nonce, const char *to, int64_t ueur);
void world_transfer(struct world_tx *out, const char *from, uint64_t nonce, const char *to,
                    int64_t ueur);

/* Builds on the given parent (NULL: the tip) out of `mempool` (NULL: an empty one); the time is that of
 * genesis and a second for each view. */
struct block_header world_build(struct chain *chain, struct mempool *mempool,
                                const struct block_header *parent, uint64_t view);
struct hash world_id(const struct block_header *header);
int64_t world_balance(struct chain *chain, const char *person);

#endif
