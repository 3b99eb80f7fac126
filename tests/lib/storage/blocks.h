/* Blocks for tests of the chain database: made from their height alone, so that a test can tell what
 * must be there. Each block of height h puts key/h, overwrites "last", and removes key/(h-2). */
#ifndef FLEX_TESTS_BLOCKS_H
#define FLEX_TESTS_BLOCKS_H

#include "storage/store.h"

enum { BLOCKS_TX = 3 };

struct blocks {
    struct overlay *overlay;
    struct block_header header;
    uint8_t header_bytes[BLOCK_HEADER_SIZE];
    uint8_t body[4096];
    uint8_t receipts[256];
    uint8_t certificate[100];
    struct hash tx_ids[BLOCKS_TX];
    struct store_block block;
};

void blocks_init(struct blocks *blocks);
void blocks_free(struct blocks *blocks);
struct hash blocks_genesis(void);
struct hash blocks_tx_id(uint64_t height, uint32_t index);
/* The block after `tip`, on `base`; `padding` bytes more in each of 16 further state values. */
const struct store_block *blocks_next(struct blocks *blocks, const struct store_tip *tip,
                                      const struct state_base *base, size_t padding);
/* Everything of heights 0 to the tip's reads back as blocks_next made it; aborts otherwise. */
void blocks_check_all(struct store *store);

#endif
