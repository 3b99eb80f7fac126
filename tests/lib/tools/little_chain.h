/* A chain in memory for the tools' tests: the daemon's own chain code, four validators that sign
 * whatever is built, and proof files and exports made from it as a node makes them. Anything
 * unexpected aborts the test. */
#ifndef FLEX_TESTS_LITTLE_CHAIN_H
#define FLEX_TESTS_LITTLE_CHAIN_H

#include "consensus/vote.h"
#include "contracts/genesis.h"
#include "contracts/ledger.h"
#include "storage/overlay.h"

enum { LITTLE_BLOCKS_MAX = 600, LITTLE_TX_PER_BLOCK_MAX = 16 };

struct little_block {
    struct block_header header;
    struct hash id;
    uint8_t *body;
    size_t body_size;
    uint8_t *receipts; /* u32 count x sized canonical receipt, as in storage/store.h */
    size_t receipts_size;
    uint32_t tx_count;
    struct hash tx_ids[LITTLE_TX_PER_BLOCK_MAX];
    uint8_t certificate[CERTIFICATE_BYTES_MAX];
    size_t certificate_size;
};

struct little_chain;

struct little_chain *little_chain_create(void);
void little_chain_destroy(struct little_chain *chain);
const struct genesis *little_chain_genesis(const struct little_chain *chain);
uint64_t little_chain_height(const struct little_chain *chain);
const struct little_block *little_chain_block(const struct little_chain *chain, uint64_t height);

/* Queues a mint by the treasurer to `dso`. */
void little_chain_mint(struct little_chain *chain, int64_t ueur);
/* Queues a transfer by `dso`. */
void little_chain_transfer(struct little_chain *chain, const char *to, int64_t ueur);
/* Builds, executes and commits one block of what is queued; `certified` false leaves it to a later
 * block's certificate. */
void little_chain_turn(struct little_chain *chain, bool certified);

/* The next block is that much later; else it is a second. */
void little_chain_pause(struct little_chain *chain, int64_t ms);

/* Proof files as the API describes them; the caller frees. Of the state at the tip. */
char *little_chain_state_proof(struct little_chain *chain, const char *kind, const char *id);
/* Of the index-th transaction of a block, the one behind the last being the block's end; with
 * `descendants` if the block has no certificate. */
char *little_chain_receipt_proof(struct little_chain *chain, uint64_t height, uint32_t index);
/* Of an earlier block, and of two sizes of the log, under the header of height `at`. */
char *little_chain_block_proof(struct little_chain *chain, uint64_t height, uint64_t at);
char *little_chain_log_proof(struct little_chain *chain, uint64_t old_size, uint64_t at);
/* The digest's note whose day's last block is that one; the caller frees. */
char *little_chain_note(struct little_chain *chain, uint64_t last);
/* Signs a finalization of that header with validators [0, signers). */
void little_chain_certify(const struct little_chain *chain, struct certificate *out,
                          const struct block_header *header, uint32_t signers);
/* Writes the export of the whole chain, with the digests of the days that are over. */
void little_chain_export(struct little_chain *chain, const char *directory);

#endif
