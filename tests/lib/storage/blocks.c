/* Blocks for tests of the chain database. */
#include "tests/lib/storage/blocks.h"

#include <stdio.h>
#include <string.h>

#include "base/fatal.h"

void blocks_init(struct blocks *blocks)
{
    memset(blocks, 0, sizeof *blocks);
    blocks->overlay = overlay_create((size_t)8 << 20);
    MUST(blocks->overlay != NULL);
}

void blocks_free(struct blocks *blocks)
{
    overlay_destroy(blocks->overlay);
}

struct hash blocks_genesis(void)
{
    struct hash genesis;
    memset(genesis.bytes, 0x11, HASH_SIZE);
    return genesis;
}

struct hash blocks_tx_id(uint64_t height, uint32_t index)
{
    struct hash id;
    char text[48];
    const int size = snprintf(text, sizeof text, "%llu/%u", (unsigned long long)height, index);
    hash_bytes(&id, HASH_DOMAIN_TX_ID, text, (size_t)size);
    return id;
}

static struct bytes_view key_of(char out[48], const char *stem, uint64_t number)
{
    const int size = snprintf(out, 48, "%s/%llu", stem, (unsigned long long)number);
    return bytes_view_of(out, (size_t)size);
}

/* The k-th byte of a block's part: no two parts share a run of bytes, so that a test can find one in
 * the file. */
static uint8_t pattern(uint64_t height, size_t part, size_t k)
{
    uint64_t mixed = (height * 16 + part) * UINT64_C(0x9E3779B97F4A7C15) + k;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint8_t)(mixed >> 56);
}

static void fill(uint8_t *out, size_t size, uint64_t height, size_t part)
{
    for (size_t k = 0; k < size; k++) {
        out[k] = pattern(height, part, k);
    }
}

static void write_state(struct overlay *overlay, uint64_t height, size_t padding)
{
    struct state_view *view = overlay_view(overlay);
    static uint8_t value[LIMIT_STATE_VALUE_BYTES];
    char key[48];
    char text[48];
    MUST(padding <= sizeof value);
    view->ops->put(view, key_of(key, "key", height), key_of(text, "value", height));
    view->ops->put(view, bytes_view_of("last", 4), key_of(text, "value", height));
    if (height >= 2) {
        view->ops->remove(view, key_of(key, "key", height - 2));
    }
    fill(value, padding, height, 9);
    for (uint64_t i = 0; i < 16 && padding > 0; i++) {
        view->ops->put(view, key_of(key, "padding", height * 16 + i),
                       bytes_view_of(value, padding));
    }
    MUST(!view->fault);
}

const struct store_block *blocks_next(struct blocks *blocks, const struct store_tip *tip,
                                      const struct state_base *base, size_t padding)
{
    struct store_block *block = &blocks->block;
    const uint64_t height = tip->has_genesis ? tip->height + 1 : 0;
    struct hash leaf;
    memset(block, 0, sizeof *block);
    overlay_reset(blocks->overlay, NULL, base);
    write_state(blocks->overlay, height, padding);
    MUST(overlay_seal(blocks->overlay, &block->tip.state_root));
    block->height = height;
    block->state = blocks->overlay;
    fill(blocks->body, sizeof blocks->body, height, 1);
    fill(blocks->receipts, sizeof blocks->receipts, height, 2);
    fill(blocks->certificate, sizeof blocks->certificate, height, 3);
    block->body = bytes_view_of(blocks->body, height % 7 == 0 ? 0 : sizeof blocks->body);
    block->receipts = bytes_view_of(blocks->receipts, sizeof blocks->receipts);
    if (height % 2 == 1) {
        block->certificate = bytes_view_of(blocks->certificate, sizeof blocks->certificate);
    }
    block->tip.block_id = blocks_genesis();
    if (height > 0) {
        memset(&blocks->header, 0, sizeof blocks->header);
        blocks->header.version = BLOCK_HEADER_VERSION;
        blocks->header.genesis = blocks_genesis();
        blocks->header.height = height;
        blocks->header.view = 2 * height;
        blocks->header.parent_id = tip->block_id;
        blocks->header.time = timestamp_of((int64_t)height * 1000);
        blocks->header.state_root = block->tip.state_root;
        merkle_frontier_root(&blocks->header.log_root, &tip->log);
        block_header_encode(blocks->header_bytes, &blocks->header);
        block->header = bytes_view_of(blocks->header_bytes, BLOCK_HEADER_SIZE);
        block_header_id(&block->tip.block_id, &blocks->header);
        block->tx_count = BLOCKS_TX;
        for (uint32_t i = 0; i < BLOCKS_TX; i++) {
            blocks->tx_ids[i] = blocks_tx_id(height, i);
        }
        block->tx_ids = blocks->tx_ids;
        block->tip.view = 2 * height;
    }
    block->tip.height = height;
    block->tip.time = timestamp_of((int64_t)height * 1000);
    block->tip.transactions = tip->transactions + block->tx_count;
    block->tip.has_genesis = true;
    block->tip.log = tip->log;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, block->tip.block_id.bytes, HASH_SIZE);
    merkle_frontier_append(&block->tip.log, &leaf);
    return block;
}

static void check_bytes(struct bytes_view bytes, size_t size, uint64_t height, size_t part)
{
    MUST(bytes.size == size);
    for (size_t k = 0; k < size; k++) {
        MUST(bytes.data[k] == pattern(height, part, k));
    }
}

static void check_block(struct store_snapshot *snapshot, uint64_t height, struct hash *parent_id)
{
    struct store_block block;
    struct block_header header;
    struct hash id = blocks_genesis();
    uint64_t found = 0;
    uint32_t index = 0;
    MUST(store_snapshot_block(snapshot, height, &block) == STORE_OK);
    MUST(block.height == height);
    check_bytes(block.body, height % 7 == 0 ? 0 : 4096, height, 1);
    check_bytes(block.receipts, 256, height, 2);
    check_bytes(block.certificate, height % 2 == 1 ? 100 : 0, height, 3);
    if (height > 0) {
        MUST(block_header_decode(&header, block.header));
        MUST(hash_equal(&header.parent_id, parent_id));
        block_header_id(&id, &header);
        for (uint32_t i = 0; i < BLOCKS_TX; i++) {
            const struct hash tx_id = blocks_tx_id(height, i);
            MUST(store_snapshot_transaction(snapshot, &tx_id, &found, &index) == STORE_OK);
            MUST(found == height && index == i);
        }
    }
    MUST(store_snapshot_height_of(snapshot, &id, &found) == STORE_OK && found == height);
    *parent_id = id;
}

static void check_state(struct store_snapshot *snapshot, uint64_t height)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    char key[48];
    char text[48];
    struct bytes_view value;
    bool found = false;
    for (uint64_t i = 0; i <= height; i++) {
        MUST(base->get(base->context, key_of(key, "key", i), &found, &value));
        MUST(found == (i + 2 > height));
        MUST(!found || bytes_view_equal(value, key_of(text, "value", i)));
    }
    MUST(base->get(base->context, bytes_view_of("last", 4), &found, &value) && found);
    MUST(bytes_view_equal(value, key_of(text, "value", height)));
}

void blocks_check_all(struct store *store)
{
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    struct hash id = {{0}};
    struct hash none;
    uint64_t height = 0;
    uint32_t index = 0;
    MUST(snapshot != NULL);
    const struct store_tip *tip = store_snapshot_tip(snapshot);
    MUST(tip->has_genesis && tip->height == store_tip(store)->height);
    MUST(tip->transactions == tip->height * BLOCKS_TX && tip->log.count == tip->height + 1);
    for (uint64_t h = 0; h <= tip->height; h++) {
        check_block(snapshot, h, &id);
    }
    MUST(hash_equal(&id, &tip->block_id));
    memset(none.bytes, 0xee, HASH_SIZE);
    MUST(store_snapshot_height_of(snapshot, &none, &height) == STORE_ABSENT);
    MUST(store_snapshot_transaction(snapshot, &none, &height, &index) == STORE_ABSENT);
    struct store_block block;
    MUST(store_snapshot_block(snapshot, tip->height + 1, &block) == STORE_ABSENT);
    check_state(snapshot, tip->height);
    /* The tree has the root that the tip says. */
    const struct state_base *base = store_snapshot_base(snapshot);
    const struct state_tree_path top = {.size = 2};
    struct state_tree_node node;
    struct hash root;
    MUST(base->node_get(base->context, &node, &top));
    state_tree_node_hash(&root, &node);
    MUST(hash_equal(&root, &tip->state_root));
    store_snapshot_end(snapshot);
}
