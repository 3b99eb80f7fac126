/* Blocks that have lost their witnesses, in a node: the database replaces them and stays whole, a chain that
 * never saw the readings executes what is left to the same roots, a peer that shows too little is not
 * believed, and nothing but a final block may lack any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/witness.h"
#include "crypto/merkle.h"
#include "node/chain_internal.h"
#include "storage/store_check.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/temp_dir.h"

enum { HEIGHTS = 6 };

static struct genesis genesis;
static struct hash leaves[LIMIT_TX_PER_BLOCK + 1];
static char readings[] = "what the meters of a house said";

/* A proof of a deal that does not exist: it fails, is in the block all the same, and has a witness. */
static void prove(struct world_tx *out, const char *sender, uint64_t nonce)
{
    const struct delivery_prove action = {.deal = 4711};
    const struct secret_key secret = world_secret(sender);
    struct transaction_draft draft;
    struct byte_writer writer;
    memset(&draft, 0, sizeof draft);
    draft.genesis = world_genesis_id();
    draft.nonce = nonce;
    draft.valid_until = timestamp_of(WORLD_TIME_MS + MS_PER_HOUR);
    draft.fee_limit = money_of(1000000);
    draft.action_count = 1;
    draft.actions[0].type = ACTION_DELIVERY_PROVE;
    draft.actions[0].record = &action;
    draft.witness = bytes_view_of(readings, sizeof readings);
    byte_writer_init(&writer, out->bytes, sizeof out->bytes);
    assert_true(transaction_sign(&writer, &draft, &secret));
    assert_int_equal(transaction_decode(&out->transaction, bytes_view_of(out->bytes, writer.size)),
                     CONTRACT_OK);
}

static struct store *open_store(const char *directory)
{
    struct store *store;
    const struct store_config config = {.directory = directory, .genesis = world_genesis_id()};
    assert_int_equal(store_open(&store, &config), STORE_OK);
    return store;
}

static struct chain *open_chain(const struct chain_backend *backend)
{
    char problem[160];
    struct chain *chain = chain_open(&genesis, backend, problem);
    assert_non_null(chain);
    return chain;
}

/* Block 1 funds alice, in each later one she proves. */
static void build(struct store *store)
{
    const struct mempool_limits limits = {0, 0};
    const struct chain_backend backend = chain_backend_of_store(store);
    struct chain *chain = open_chain(&backend);
    struct mempool *mempool = mempool_create(&limits);
    for (uint64_t height = 1; height <= HEIGHTS; height++) {
        struct world_tx tx;
        if (height == 1)
            world_mint(&tx, 1, "alice", 1000000);
        else
            prove(&tx, "alice", height - 1);
        assert_int_equal(mempool_add(mempool, &tx.transaction), CONTRACT_OK);
        const struct block_header header = world_build(chain, mempool, NULL, height);
        assert_int_equal(chain_commit(chain, &header, NULL), STORE_OK);
        chain_tell_mempool(chain, mempool);
    }
    assert_int_equal(chain_tip(chain)->transactions, HEIGHTS);
    mempool_destroy(mempool);
    chain_close(chain);
}

static void read_block(struct store *store, uint64_t height, struct block_header *header,
                       struct bytes_view *body)
{
    static uint8_t bytes[64 * 1024];
    struct store_block block;
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    assert_non_null(snapshot);
    assert_int_equal(store_snapshot_block(snapshot, height, &block), STORE_OK);
    assert_true(block_header_decode(header, block.header));
    assert_true(block.body.size <= sizeof bytes);
    memcpy(bytes, block.body.data, block.body.size);
    *body = bytes_view_of(bytes, block.body.size);
    store_snapshot_end(snapshot);
}

static void check_at_rest(const char *directory)
{
    struct validator_set set = {.count = genesis.params.validator_count};
    struct store_check_report report;
    for (uint32_t i = 0; i < set.count; i++)
        set.validators[i] =
            (struct validator){.key = genesis.params.validators[i].key,
                               .operator_name = genesis.params.validators[i].operator_name};
    const struct store_check_config config = {
        .directory = directory, .genesis = world_genesis_id(), .set = &set};
    assert_int_equal(store_check(&report, &config), STORE_OK);
    for (uint32_t i = 0; i < report.kept; i++)
        print_error("%s\n", report.finding[i]);
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.stage, STORE_CHECK_STATE);
    assert_int_equal(report.transactions, HEIGHTS);
}

static void test_witnesses_go(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE];
    struct block_header header;
    struct bytes_view body;
    temp_dir_make(directory);
    world_genesis(&genesis);
    struct store *store = open_store(directory);
    build(store);
    assert_int_equal(store_floor(store).witnesses, 1);
    assert_int_equal(store_strip(store, 4), STORE_OK);
    assert_int_equal(store_strip(store, 3), STORE_OK); /* the floor only rises */
    assert_int_equal(store_floor(store).witnesses, 4);
    for (uint64_t height = 1; height <= HEIGHTS; height++) {
        read_block(store, height, &header, &body);
        assert_int_equal(body_has_stand_in(body), height > 1 && height < 4);
        assert_int_equal(body_has_witness(body), height >= 4);
        assert_int_equal(memmem(body.data, body.size, readings, sizeof readings) != NULL,
                         height >= 4);
    }
    store_close(store);
    check_at_rest(directory);
    store = open_store(directory);
    assert_int_equal(store_floor(store).witnesses, 4);
    /* Bodies go from below, and take their floor with them. */
    bool more;
    assert_int_equal(store_prune(store, 6, &more), STORE_OK);
    assert_int_equal(store_strip(store, HEIGHTS), STORE_OK);
    assert_int_equal(store_floor(store).witnesses, HEIGHTS);
    read_block(store, HEIGHTS, &header, &body);
    assert_true(body_has_witness(body)); /* never the tip's */
    store_close(store);
    temp_dir_remove(directory);
}

/* From what another node kept, on a chain of one's own. */
static void test_executes_without_them(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE];
    struct memory_backend memory;
    temp_dir_make(directory);
    world_genesis(&genesis);
    struct store *store = open_store(directory);
    build(store);
    assert_int_equal(store_strip(store, HEIGHTS), STORE_OK);
    memory_backend_init(&memory);
    const struct chain_backend backend = memory_backend_face(&memory);
    struct chain *chain = open_chain(&backend);
    for (uint64_t height = 1; height <= HEIGHTS; height++) {
        struct block_header header;
        struct bytes_view body;
        read_block(store, height, &header, &body);
        const struct hash id = world_id(&header);
        const bool gone = body_has_stand_in(body);
        assert_int_equal(gone, height > 1 && height < HEIGHTS);
        /* A proposal, or a block by its id, that shows no witness is refused; so is one with another
         * receipt, and one with its readings spoilt. */
        if (gone) {
            assert_false(chain_add_body(chain, &header, body, false));
            uint8_t *spoilt = malloc(body.size);
            assert_non_null(spoilt);
            memcpy(spoilt, body.data, body.size);
            spoilt[body.size - 1] ^= 1;
            assert_false(chain_add_final_body(chain, &header, bytes_view_of(spoilt, body.size),
                                              false, timestamp_of(INT64_MAX)));
            free(spoilt);
        }
        assert_false(chain_has_body(chain, &id));
        assert_true(chain_add_final_body(chain, &header, body, false, header.time));
        assert_int_equal(chain_execute(chain, &id), BFT_VERDICT_VALID);
        assert_int_equal(chain_commit(chain, &header, NULL), STORE_OK);
        assert_memory_equal(&chain_tip(chain)->state_root, &header.state_root, HASH_SIZE);
    }
    assert_memory_equal(&chain_tip(chain)->block_id, &store_tip(store)->block_id, HASH_SIZE);
    chain_close(chain);
    memory_backend_free(&memory);
    store_close(store);
    temp_dir_remove(directory);
}

/* The receipt says until when the deal can be disputed: before that time its readings must be there. */
static void test_inside_the_window(void **state)
{
    (void)state;
    enum { FINAL_MS = 5000 };
    uint8_t receipts_bytes[8192], body_bytes[8192], kept_bytes[8192], event_bytes[1024];
    uint8_t receipt_bytes[2048];
    struct byte_writer receipts, body, kept, events, one;
    struct world_tx tx;
    struct hash two[2];
    struct memory_backend memory;
    world_genesis(&genesis);
    prove(&tx, "alice", 1);
    const struct event_measured measured = {
        .id = 4711, .final = timestamp_of(WORLD_TIME_MS + FINAL_MS), .unit_count = 1};
    byte_writer_init(&events, event_bytes, sizeof event_bytes);
    byte_writer_init(&one, receipt_bytes, sizeof receipt_bytes);
    codec_encode(event_codec(EVENT_MEASURED), &measured, &one);
    byte_write_u8(&events, EVENT_MEASURED);
    byte_write_u16(&events, (uint16_t)one.size);
    byte_write_raw(&events, one.data, one.size);
    struct receipt list[2] = {
        {.tx_id = tx.transaction.id, .events = bytes_view_of(event_bytes, events.size)}};
    byte_writer_init(&receipts, receipts_bytes, sizeof receipts_bytes);
    byte_write_u32(&receipts, 2);
    for (int i = 0; i < 2; i++) {
        byte_writer_init(&one, receipt_bytes, sizeof receipt_bytes);
        codec_encode(&receipt_record, &list[i], &one);
        byte_write_sized(&receipts, one.data, one.size);
        receipt_leaf(&two[i], &list[i]);
    }
    byte_writer_init(&body, body_bytes, sizeof body_bytes);
    byte_write_u32(&body, 1);
    byte_write_sized(&body, tx.transaction.envelope.data, tx.transaction.envelope.size);
    byte_writer_init(&kept, kept_bytes, sizeof kept_bytes);
    assert_false(receipts.failed || body.failed || events.failed);
    assert_true(body_strip(&kept, bytes_view_of(body_bytes, body.size),
                           bytes_view_of(receipts_bytes, receipts.size), leaves));
    struct block_header header = {.height = 1};
    merkle_root(&header.receipt_root, two, 2);
    assert_true(body_tx_root(&header.tx_root, bytes_view_of(body_bytes, body.size), leaves));
    memory_backend_init(&memory);
    const struct chain_backend backend = memory_backend_face(&memory);
    struct chain *chain = open_chain(&backend);
    const struct bytes_view left = bytes_view_of(kept_bytes, kept.size);
    assert_false(chain_add_final_body(chain, &header, left, false,
                                      timestamp_of(WORLD_TIME_MS + FINAL_MS - 1)));
    assert_true(
        chain_add_final_body(chain, &header, left, false, timestamp_of(WORLD_TIME_MS + FINAL_MS)));
    chain_close(chain);
    memory_backend_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_witnesses_go),
        cmocka_unit_test(test_executes_without_them),
        cmocka_unit_test(test_inside_the_window),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
