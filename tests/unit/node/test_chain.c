/* The chain with the real ledger: building, executing what another node built, forks, commits, restarts
 * from LMDB, and blocks that are wrong in every field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "contracts/body.h"
#include "node/chain_internal.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/temp_dir.h"

/* Two nodes on memory: what one builds the other executes. */
struct setting {
    struct genesis genesis;
    struct memory_backend memory[2];
    struct chain *chain[2];
    struct mempool *mempool;
};

static struct chain *open_chain(const struct genesis *genesis, const struct chain_backend *backend)
{
    char problem[160];
    struct chain *chain = chain_open(genesis, backend, problem);
    if (chain == NULL) {
        print_error("%s\n", problem);
    }
    assert_non_null(chain);
    return chain;
}

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    const struct mempool_limits limits = {0, 0};
    world_genesis(&setting->genesis);
    for (int i = 0; i < 2; i++) {
        memory_backend_init(&setting->memory[i]);
        const struct chain_backend backend = memory_backend_face(&setting->memory[i]);
        setting->chain[i] = open_chain(&setting->genesis, &backend);
    }
    setting->mempool = mempool_create(&limits);
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    for (int i = 0; i < 2; i++) {
        chain_close(setting->chain[i]);
        memory_backend_free(&setting->memory[i]);
    }
    mempool_destroy(setting->mempool);
    free(setting);
    return 0;
}

static void submit(struct setting *setting, const struct world_tx *tx)
{
    assert_int_equal(mempool_add(setting->mempool, &tx->transaction), CONTRACT_OK);
}

static struct bytes_view body_of(const struct chain *chain, const struct block_header *header)
{
    struct block_header found;
    struct bytes_view body;
    const struct hash id = world_id(header);
    assert_true(chain_body(chain, &id, &found, &body));
    assert_memory_equal(&found, header, sizeof found);
    return body;
}

/* The second node takes the block from the first and finds it valid. */
static void follow(struct setting *setting, const struct block_header *header)
{
    const struct hash id = world_id(header);
    assert_true(
        chain_add_body(setting->chain[1], header, body_of(setting->chain[0], header), false));
    assert_true(chain_has_body(setting->chain[1], &id));
    assert_int_equal(chain_execute(setting->chain[1], &id), BFT_VERDICT_VALID);
}

static void commit_both(struct setting *setting, const struct block_header *header)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(chain_commit(setting->chain[i], header, NULL), STORE_OK);
        assert_int_equal(chain_tip(setting->chain[i])->height, header->height);
    }
    assert_memory_equal(&chain_tip(setting->chain[0])->state_root,
                        &chain_tip(setting->chain[1])->state_root, HASH_SIZE);
    chain_tell_mempool(setting->chain[0], setting->mempool);
}

/* Mints for alice and bob: one block, final on both. */
static struct block_header fund(struct setting *setting)
{
    struct world_tx tx;
    world_mint(&tx, 1, "alice", 1000000);
    submit(setting, &tx);
    world_mint(&tx, 2, "bob", 500000);
    submit(setting, &tx);
    const struct block_header header = world_build(setting->chain[0], setting->mempool, NULL, 1);
    follow(setting, &header);
    commit_both(setting, &header);
    return header;
}

/* --- the good way --------------------------------------------------------------------------------- */

static void test_what_one_builds_another_executes(void **state)
{
    struct setting *setting = *state;
    struct world_tx tx;
    assert_int_equal(chain_tip(setting->chain[0])->height, 0);
    fund(setting);
    assert_int_equal(mempool_count(setting->mempool), 0);
    assert_int_equal(world_balance(setting->chain[1], "alice"), 1000000);
    uint64_t nonce = 1;
    for (uint64_t view = 2; view <= 6; view++) {
        for (int i = 0; i < 10; i++) {
            world_transfer(&tx, "alice", nonce++, "bob", 1000);
            submit(setting, &tx);
        }
        const struct block_header header =
            world_build(setting->chain[0], setting->mempool, NULL, view);
        assert_int_equal(header.height, view);
        follow(setting, &header);
        commit_both(setting, &header);
    }
    assert_int_equal(world_balance(setting->chain[1], "bob"), 500000 + 50 * 1000);
    assert_int_equal(world_balance(setting->chain[1], "alice"), 1000000 - 50 * (1000 + 1100));
    assert_int_equal(chain_tip(setting->chain[1])->transactions, 52);
    assert_int_equal(setting->memory[0].commits, 7);
    assert_false(chain_committed_view(setting->chain[0])->fault);
}

static void test_receipts_of_the_last_commit(void **state)
{
    struct setting *setting = *state;
    struct world_tx good;
    struct world_tx bad;
    fund(setting);
    world_transfer(&good, "alice", 1, "bob", 5);
    world_transfer(&bad, "bob", 1, "alice", 900000000);
    submit(setting, &good);
    submit(setting, &bad);
    const struct block_header header = world_build(setting->chain[0], setting->mempool, NULL, 2);
    follow(setting, &header);
    commit_both(setting, &header);
    for (int i = 0; i < 2; i++) {
        const struct store_block *block = chain_last_commit(setting->chain[i]);
        struct hash leaves[3];
        struct hash root;
        struct byte_reader reader;
        assert_non_null(block);
        assert_int_equal(block->height, 2);
        assert_int_equal(block->tx_count, 2);
        assert_memory_equal(&block->tx_ids[0], &good.transaction.id, HASH_SIZE);
        assert_memory_equal(&block->tx_ids[1], &bad.transaction.id, HASH_SIZE);
        byte_reader_init(&reader, block->receipts.data, block->receipts.size);
        assert_int_equal(byte_read_u32(&reader), 3);
        for (int r = 0; r < 3; r++) {
            struct receipt receipt;
            assert_true(codec_decode_all(&receipt_record, &receipt,
                                         byte_read_sized(&reader, LIMIT_BLOCK_BODY_BYTES)));
            receipt_leaf(&leaves[r], &receipt);
            assert_int_equal(receipt.status, r == 1 ? CONTRACT_INSUFFICIENT_FUNDS : CONTRACT_OK);
        }
        assert_true(byte_reader_done(&reader));
        merkle_root(&root, leaves, 3);
        assert_memory_equal(&root, &header.receipt_root, HASH_SIZE);
    }
}

static void test_the_history_log_grows_by_each_block(void **state)
{
    struct setting *setting = *state;
    struct hash leaves[6];
    struct hash root;
    struct hash id = world_genesis_id();
    for (uint64_t height = 1; height <= 5; height++) {
        hash_bytes(&leaves[height - 1], HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
        const struct block_header header = world_build(setting->chain[0], NULL, NULL, height);
        merkle_root(&root, leaves, height);
        assert_memory_equal(&header.log_root, &root, HASH_SIZE);
        follow(setting, &header);
        commit_both(setting, &header);
        id = world_id(&header);
    }
    struct block_context context;
    hash_bytes(&leaves[5], HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
    merkle_root(&root, leaves, 6);
    chain_next_context(setting->chain[0], timestamp_of(0), &context);
    assert_memory_equal(&context.log_root, &root, HASH_SIZE);
    assert_int_equal(context.height, 6);
    assert_memory_equal(&context.parent_id, &id, HASH_SIZE);
}

/* --- unfinal chains and forks ----------------------------------------------------------------------- */

static void test_a_chain_of_unfinal_blocks_commits_in_order(void **state)
{
    struct setting *setting = *state;
    struct block_header headers[5];
    struct world_tx tx;
    struct block_header parent = fund(setting);
    for (uint64_t i = 0; i < 5; i++) {
        world_transfer(&tx, "alice", i + 1, "bob", 100);
        submit(setting, &tx);
        headers[i] = world_build(setting->chain[0], setting->mempool, &parent, i + 2);
        parent = headers[i];
    }
    /* The other node gets all bodies first, and runs only the last: its ancestors run before it. */
    for (int i = 4; i >= 0; i--) {
        assert_true(chain_add_body(setting->chain[1], &headers[i],
                                   body_of(setting->chain[0], &headers[i]), false));
    }
    const struct hash last = world_id(&headers[4]);
    assert_int_equal(chain_execute(setting->chain[1], &last), BFT_VERDICT_VALID);
    for (int i = 0; i < 5; i++) {
        commit_both(setting, &headers[i]);
        /* Those above still stand on a sound state. */
        const struct block_header next =
            world_build(setting->chain[1], setting->mempool, &headers[4], 20 + (uint64_t)i);
        assert_int_equal(next.height, headers[4].height + 1);
    }
    assert_int_equal(world_balance(setting->chain[1], "bob"), 500000 + 500);
    /* A height that is committed is OK again, and what was committed is no longer cached. */
    assert_int_equal(chain_commit(setting->chain[0], &headers[2], NULL), STORE_OK);
    const struct hash id = world_id(&headers[2]);
    assert_false(chain_has_body(setting->chain[0], &id));
    assert_int_equal(setting->memory[0].commits, 7);
}

static void test_a_fork_is_dropped_with_its_descendants(void **state)
{
    struct setting *setting = *state;
    struct world_tx tx;
    struct world_tx rival;
    fund(setting);
    struct block_header left;
    struct block_header right;
    /* Two children of one parent that spend the same nonce, and a child of each. */
    world_transfer(&tx, "alice", 1, "bob", 111);
    submit(setting, &tx);
    left = world_build(setting->chain[0], setting->mempool, NULL, 2);
    mempool_forget(setting->mempool, &tx.transaction.sender, 1);
    world_transfer(&rival, "alice", 1, "bob", 222);
    submit(setting, &rival);
    right = world_build(setting->chain[0], setting->mempool, NULL, 3);
    const struct block_header left_child = world_build(setting->chain[0], NULL, &left, 4);
    const struct block_header right_child = world_build(setting->chain[0], NULL, &right, 5);
    follow(setting, &right);
    follow(setting, &left);
    follow(setting, &right_child);
    follow(setting, &left_child);
    assert_memory_not_equal(&left.state_root, &right.state_root, HASH_SIZE);
    commit_both(setting, &right);
    const struct hash gone[] = {world_id(&left), world_id(&left_child), world_id(&right)};
    for (int i = 0; i < 3; i++) {
        assert_false(chain_has_body(setting->chain[0], &gone[i]));
        assert_false(chain_has_body(setting->chain[1], &gone[i]));
    }
    commit_both(setting, &right_child);
    assert_int_equal(world_balance(setting->chain[0], "bob"), 500222);
    assert_int_equal(setting->chain[0]->block_count, 0);
    assert_int_equal(setting->chain[0]->body_bytes, 0);
}

/* A leader may sign any header. What is not on the final chain goes once its view has passed, whatever
 * height and parent it claims: else such blocks fill the cache for good. */
static void test_a_passed_view_takes_its_junk_along(void **state)
{
    struct setting *setting = *state;
    static const uint8_t empty[4];
    const struct bytes_view body = bytes_view_of(empty, sizeof empty);
    fund(setting);
    struct block_header junk = world_build(setting->chain[0], NULL, NULL, 2);
    struct block_header coming = world_build(setting->chain[0], NULL, NULL, 4);
    const struct block_header good = world_build(setting->chain[0], NULL, NULL, 3);
    junk.height = UINT64_MAX;
    memset(junk.parent_id.bytes, 0x77, HASH_SIZE);
    coming.height = UINT64_MAX;
    memset(coming.parent_id.bytes, 0x77, HASH_SIZE);
    const struct hash junk_id = world_id(&junk);
    const struct hash coming_id = world_id(&coming);
    for (int i = 0; i < 2; i++) {
        assert_true(chain_add_body(setting->chain[i], &junk, body, false));
        assert_true(chain_add_body(setting->chain[i], &coming, body, false));
    }
    follow(setting, &good);
    commit_both(setting, &good);
    for (int i = 0; i < 2; i++) {
        assert_false(chain_has_body(setting->chain[i], &junk_id));
        assert_true(chain_has_body(setting->chain[i], &coming_id)); /* its view is still to come */
    }
}

static void test_a_deep_unfinal_chain_goes_on_with_empty_blocks(void **state)
{
    struct setting *setting = *state;
    struct world_tx tx;
    struct block_header parent = fund(setting);
    for (uint64_t i = 1; i <= CHAIN_FULL_DEPTH_MAX + 3; i++) {
        struct body_reader reader;
        world_transfer(&tx, "alice", i, "bob", 1);
        submit(setting, &tx);
        parent = world_build(setting->chain[0], setting->mempool, &parent, i + 1);
        assert_true(body_open(&reader, body_of(setting->chain[0], &parent)));
        assert_int_equal(reader.count > 0, i <= CHAIN_FULL_DEPTH_MAX);
    }
}

/* --- what is wrong ------------------------------------------------------------------------------------ */

/* The block of `header` with one field changed; the verdict of the second node. */
static enum bft_verdict verdict_of(struct setting *setting, const struct block_header *header,
                                   struct bytes_view body)
{
    const struct hash id = world_id(header);
    assert_true(chain_add_body(setting->chain[1], header, body, false));
    const enum bft_verdict verdict = chain_execute(setting->chain[1], &id);
    assert_int_equal(chain_execute(setting->chain[1], &id), verdict);
    return verdict;
}

static void test_every_wrong_field_makes_a_block_invalid(void **state)
{
    struct setting *setting = *state;
    struct world_tx tx;
    const struct block_header parent = fund(setting);
    world_transfer(&tx, "alice", 1, "bob", 5);
    submit(setting, &tx);
    const struct block_header good = world_build(setting->chain[0], setting->mempool, NULL, 2);
    const struct bytes_view body = body_of(setting->chain[0], &good);
    struct block_header wrong[11];
    for (int i = 0; i < 11; i++) {
        wrong[i] = good;
    }
    wrong[0].version++;
    wrong[1].genesis.bytes[0] ^= 1;
    wrong[2].height++;
    wrong[3].view = wrong[3].parent_view;
    wrong[4].parent_view++;
    wrong[4].view = 9;
    wrong[5].time = parent.time;
    wrong[6].state_root.bytes[5] ^= 1;
    wrong[7].receipt_root.bytes[5] ^= 1;
    wrong[8].log_root.bytes[5] ^= 1;
    wrong[9].next_set.bytes[5] ^= 1;
    wrong[10].time = timestamp_of(timestamp_ms(good.time) + 1); /* the clock record: another root */
    for (int i = 0; i < 11; i++) {
        assert_int_equal(verdict_of(setting, &wrong[i], body), BFT_VERDICT_INVALID);
    }
    /* A child of an invalid block is invalid too. */
    struct block_header child = good;
    child.height = good.height + 1;
    child.view = 12;
    child.parent_view = wrong[6].view;
    child.parent_id = world_id(&wrong[6]);
    assert_int_equal(verdict_of(setting, &child, body), BFT_VERDICT_INVALID);
    /* One whose parent is not here is not run, and not condemned for ever. */
    child.parent_id.bytes[0] ^= 1;
    assert_int_equal(verdict_of(setting, &child, body), BFT_VERDICT_INVALID);
    const struct hash child_id = world_id(&child);
    assert_int_equal(chain_find(setting->chain[1], &child_id)->state, CACHED_UNKNOWN);
    assert_int_equal(verdict_of(setting, &good, body), BFT_VERDICT_VALID);
    /* A final block that this node cannot agree with. */
    log_open(stderr, "test", LOG_BROKEN, false);
    FILE *nowhere = fopen("/dev/null", "w");
    log_open(nowhere, "test", LOG_BROKEN, false);
    assert_int_equal(chain_commit(setting->chain[1], &wrong[6], NULL), STORE_CORRUPT);
    log_open(stderr, "test", LOG_BROKEN, false);
    (void)fclose(nowhere);
    commit_both(setting, &good);
}

/* An empty block on the tip at any time, its roots computed here and not by the chain. */
static struct block_header empty_block_at(struct setting *setting, struct timestamp time)
{
    struct chain *chain = setting->chain[1];
    const struct store_tip *tip = chain_tip(chain);
    struct block_header header = world_build(setting->chain[0], NULL, NULL, tip->view + 1);
    const struct block_context context = {.genesis = header.genesis,
                                          .height = header.height,
                                          .time = time,
                                          .parent_id = tip->block_id,
                                          .log_root = header.log_root};
    struct overlay *overlay = overlay_create(1 << 20);
    struct ledger *ledger = ledger_create();
    struct receipt receipt;
    overlay_reset(overlay, NULL, chain->backend.base);
    ledger_block_begin(ledger, overlay_view(overlay), &context);
    ledger_block_end(ledger, &receipt);
    assert_true(overlay_seal(overlay, &header.state_root));
    receipt_leaf(&header.receipt_root, &receipt); /* a tree of one leaf is that leaf */
    header.time = time;
    ledger_destroy(ledger);
    overlay_destroy(overlay);
    return header;
}

static void test_the_time_must_rise_even_if_all_roots_fit(void **state)
{
    struct setting *setting = *state;
    static const uint8_t empty[4];
    const struct bytes_view body = bytes_view_of(empty, sizeof empty);
    fund(setting);
    const struct timestamp before = chain_tip(setting->chain[1])->time;
    const struct block_header same = empty_block_at(setting, before);
    assert_int_equal(verdict_of(setting, &same, body), BFT_VERDICT_INVALID);
    const struct block_header later =
        empty_block_at(setting, timestamp_of(timestamp_ms(before) + 1));
    assert_int_equal(verdict_of(setting, &later, body), BFT_VERDICT_VALID);
}

static size_t make_body(uint8_t *out, const struct world_tx *txs, uint32_t count, struct hash *root)
{
    struct byte_writer writer;
    struct hash leaves[4];
    byte_writer_init(&writer, out, 16384);
    byte_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct bytes_view envelope = txs[i].transaction.envelope;
        byte_write_sized(&writer, envelope.data, envelope.size);
    }
    assert_true(body_tx_root(root, bytes_view_of(out, writer.size), leaves));
    return writer.size;
}

static void test_transactions_that_may_not_stand_there_are_invalid(void **state)
{
    struct setting *setting = *state;
    static struct world_tx txs[2];
    static uint8_t body[16384];
    fund(setting);
    const struct block_header base = world_build(setting->chain[0], NULL, NULL, 2);
    struct block_header header = base;
    /* A replay of a mint; a nonce gap; the same transaction twice. */
    world_mint(&txs[0], 1, "alice", 1000000);
    size_t size = make_body(body, txs, 1, &header.tx_root);
    assert_int_equal(verdict_of(setting, &header, bytes_view_of(body, size)), BFT_VERDICT_INVALID);
    world_transfer(&txs[0], "alice", 2, "bob", 1);
    size = make_body(body, txs, 1, &header.tx_root);
    assert_int_equal(verdict_of(setting, &header, bytes_view_of(body, size)), BFT_VERDICT_INVALID);
    world_transfer(&txs[0], "alice", 1, "bob", 1);
    txs[1] = txs[0];
    size = make_body(body, txs, 2, &header.tx_root);
    assert_int_equal(verdict_of(setting, &header, bytes_view_of(body, size)), BFT_VERDICT_INVALID);
}

static void test_bodies_that_are_not_the_headers_are_refused(void **state)
{
    struct setting *setting = *state;
    static struct world_tx tx;
    static uint8_t body[16384];
    struct hash root;
    fund(setting);
    world_transfer(&tx, "alice", 1, "bob", 5);
    submit(setting, &tx);
    const struct block_header good = world_build(setting->chain[0], setting->mempool, NULL, 2);
    const struct bytes_view right = body_of(setting->chain[0], &good);
    struct chain *chain = setting->chain[1];
    memcpy(body, right.data, right.size);
    for (size_t cut = 0; cut < right.size; cut++) {
        assert_false(chain_add_body(chain, &good, bytes_view_of(body, cut), false));
    }
    assert_false(chain_add_body(chain, &good, bytes_view_of(body, right.size + 1), false));
    for (size_t at = 0; at < right.size; at += 3) {
        body[at] ^= 1;
        assert_false(chain_add_body(chain, &good, bytes_view_of(body, right.size), false));
        body[at] ^= 1;
    }
    /* A forged signature under a root that fits it: refused, unless the caller vouches for it. */
    struct block_header forged = good;
    tx.bytes[tx.transaction.body.size + 4 + 10] ^= 1;
    const size_t size = make_body(body, &tx, 1, &root);
    forged.tx_root = root;
    assert_memory_not_equal(&root, &good.tx_root, HASH_SIZE);
    assert_false(chain_add_body(chain, &forged, bytes_view_of(body, size), false));
    assert_int_equal(chain->block_count, 0);
    assert_true(chain_add_body(chain, &good, right, false));
    assert_true(chain_add_body(chain, &good, right, false));
    assert_int_equal(chain->block_count, 1);
}

/* Whoever sends a good block to a full cache is told apart from whoever sends a bad one. */
static void test_a_full_cache_is_nobodys_fault(void **state)
{
    struct setting *setting = *state;
    static const uint8_t empty[4];
    const struct bytes_view body = bytes_view_of(empty, sizeof empty);
    struct chain *chain = setting->chain[1];
    fund(setting);
    struct block_header header = world_build(setting->chain[0], NULL, NULL, 2);
    header.height = UINT64_MAX;
    const uint64_t first = header.view;
    while (chain_add_body(chain, &header, body, true)) {
        assert_int_equal(chain_has_room(chain, body.size),
                         header.view - first + 1 < CHAIN_BLOCKS_MAX);
        header.view++;
    }
    assert_int_equal(header.view - first, CHAIN_BLOCKS_MAX);
    assert_false(chain_has_room(chain, body.size));
    header.view = first;
    assert_true(chain_add_body(chain, &header, body, true)); /* known: needs no room */
    /* What is known to be invalid would give way. */
    chain->blocks[0]->state = CACHED_INVALID;
    assert_true(chain_has_room(chain, body.size));
    header.view = first + CHAIN_BLOCKS_MAX;
    assert_true(chain_add_body(chain, &header, body, true));
    assert_false(chain_has_room(chain, body.size));
}

static void test_a_full_store_changes_nothing(void **state)
{
    struct setting *setting = *state;
    fund(setting);
    const struct block_header header = world_build(setting->chain[0], NULL, NULL, 2);
    const struct block_header child = world_build(setting->chain[0], NULL, &header, 3);
    setting->memory[0].answer = STORE_FULL;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(chain_commit(setting->chain[0], &header, NULL), STORE_FULL);
        assert_int_equal(chain_tip(setting->chain[0])->height, 1);
        assert_int_equal(chain_last_commit(setting->chain[0])->height, 1);
    }
    setting->memory[0].answer = STORE_OK;
    assert_int_equal(chain_commit(setting->chain[0], &header, NULL), STORE_OK);
    assert_int_equal(chain_commit(setting->chain[0], &child, NULL), STORE_OK);
}

static void test_the_mempool_is_told(void **state)
{
    struct setting *setting = *state;
    struct world_tx tx;
    fund(setting);
    for (uint64_t nonce = 1; nonce <= 4; nonce++) {
        world_transfer(&tx, "alice", nonce, "bob", 1);
        submit(setting, &tx);
    }
    world_transfer(&tx, "bob", 3, "alice", 1); /* behind a gap: stays */
    submit(setting, &tx);
    const struct block_header header = world_build(setting->chain[0], setting->mempool, NULL, 2);
    follow(setting, &header);
    commit_both(setting, &header);
    assert_int_equal(chain_last_commit(setting->chain[0])->tx_count, 4);
    assert_int_equal(mempool_count(setting->mempool), 1);
    assert_true(mempool_has(setting->mempool, &tx.transaction.id));
}

/* --- restarts from disk --------------------------------------------------------------------------------- */

static struct store *open_store(const char *directory, const struct genesis *genesis)
{
    struct store_config config = {.directory = directory, .map_bytes = (size_t)64 << 20};
    struct store *store = NULL;
    assert_true(genesis_hash(&config.genesis, genesis));
    assert_int_equal(store_open(&store, &config), STORE_OK);
    return store;
}

static void test_restarts_and_memory_agree_with_disk(void **state)
{
    struct setting *setting = *state;
    char directory[TEMP_PATH_SIZE];
    struct world_tx tx;
    struct chain *follower = setting->chain[1];
    uint64_t mints = 1;
    temp_dir_make(directory);
    for (uint64_t height = 1; height <= 8; height++) {
        /* A new process for each height. */
        struct store *store = open_store(directory, &setting->genesis);
        const struct chain_backend backend = chain_backend_of_store(store);
        struct chain *chain = open_chain(&setting->genesis, &backend);
        assert_int_equal(chain_tip(chain)->height, height - 1);
        assert_memory_equal(&chain_tip(chain)->state_root, &chain_tip(follower)->state_root,
                            HASH_SIZE);
        world_mint(&tx, mints++, "alice", 100000);
        submit(setting, &tx);
        if (height > 1) {
            world_transfer(&tx, "alice", height - 1, "bob", 1000);
            submit(setting, &tx);
        }
        const struct block_header header = world_build(chain, setting->mempool, NULL, height * 2);
        assert_true(chain_add_body(follower, &header, body_of(chain, &header), false));
        assert_int_equal(chain_commit(follower, &header, NULL), STORE_OK);
        assert_int_equal(chain_commit(chain, &header, NULL), STORE_OK);
        chain_tell_mempool(chain, setting->mempool);
        assert_int_equal(mempool_count(setting->mempool), 0);
        assert_int_equal(world_balance(chain, "bob"), world_balance(follower, "bob"));
        chain_close(chain);
        store_close(store);
    }
    struct store *store = open_store(directory, &setting->genesis);
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    struct store_block block;
    uint64_t height = 0;
    uint32_t index = 0;
    assert_int_equal(store_snapshot_transaction(snapshot, &tx.transaction.id, &height, &index),
                     STORE_OK);
    assert_int_equal(height, 8);
    assert_int_equal(store_snapshot_block(snapshot, height, &block), STORE_OK);
    assert_true(bytes_view_equal(block.body, chain_last_commit(follower)->body));
    assert_true(bytes_view_equal(block.receipts, chain_last_commit(follower)->receipts));
    store_snapshot_end(snapshot);
    store_close(store);
    temp_dir_remove(directory);
}

static void test_an_unsound_genesis_is_refused(void **state)
{
    struct setting *setting = *state;
    struct memory_backend memory;
    char problem[160] = "";
    memory_backend_init(&memory);
    const struct chain_backend backend = memory_backend_face(&memory);
    setting->genesis.params.validator_count = 0;
    assert_null(chain_open(&setting->genesis, &backend, problem));
    assert_true(problem[0] != '\0');
    assert_false(memory.tip.has_genesis);
    memory_backend_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_one_builds_another_executes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receipts_of_the_last_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_history_log_grows_by_each_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_chain_of_unfinal_blocks_commits_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_fork_is_dropped_with_its_descendants, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_passed_view_takes_its_junk_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_deep_unfinal_chain_goes_on_with_empty_blocks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_wrong_field_makes_a_block_invalid, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_time_must_rise_even_if_all_roots_fit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_transactions_that_may_not_stand_there_are_invalid,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies_that_are_not_the_headers_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_full_cache_is_nobodys_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_store_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_mempool_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restarts_and_memory_agree_with_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unsound_genesis_is_refused, setup, teardown),
    };
    log_open(stderr, "test", LOG_BROKEN, false);
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
