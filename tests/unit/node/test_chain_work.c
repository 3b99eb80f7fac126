/* Blocks whose work is far larger than their bytes: offers of hundred-hour periods, each of which books
 * 400 quarter hours. An honest leader stops in time, and a dishonest leader's block is invalid on every
 * node; nobody runs out of memory over it. */
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

enum {
    HEAVY_TX = 30,
    PERIOD_HOURS = 100,
    PERIODS = 4 * 366 * 24 / PERIOD_HOURS - 1,
    ENVELOPE_BYTES = 32 * 1024
};
static const int64_t period_ms = PERIOD_HOURS * MS_PER_HOUR;

static struct genesis genesis;
static struct memory_backend memory[2];
static struct chain *chains[2];
static struct mempool *mempool;
static uint64_t view;
static uint64_t nonces; /* of agg */

static int setup(void **state)
{
    const struct mempool_limits limits = {0, 0};
    char problem[160];
    (void)state;
    world_genesis(&genesis);
    for (int i = 0; i < 2; i++) {
        memory_backend_init(&memory[i]);
        const struct chain_backend backend = memory_backend_face(&memory[i]);
        chains[i] = chain_open(&genesis, &backend, problem);
        assert_non_null(chains[i]);
    }
    mempool = mempool_create(&limits);
    view = 0;
    nonces = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        chain_close(chains[i]);
        memory_backend_free(&memory[i]);
    }
    mempool_destroy(mempool);
    return 0;
}

static struct bytes_view body_of(const struct block_header *header)
{
    struct block_header found;
    struct bytes_view body;
    const struct hash id = world_id(header);
    assert_true(chain_body(chains[0], &id, &found, &body));
    return body;
}

/* Builds on one node, checks on the other. */
static struct block_header build_and_follow(void)
{
    const struct block_header header = world_build(chains[0], mempool, NULL, ++view);
    const struct hash id = world_id(&header);
    assert_true(chain_add_body(chains[1], &header, body_of(&header), true));
    assert_int_equal(chain_execute(chains[1], &id), BFT_VERDICT_VALID);
    return header;
}

static void commit(const struct block_header *header)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(chain_commit(chains[i], header, NULL), STORE_OK);
    }
    chain_tell_mempool(chains[0], mempool);
}

/* One action in a block of its own, which it must pass. */
static void act(const char *sender, uint64_t nonce, uint8_t type, const void *record)
{
    static struct world_tx tx;
    world_sign(&tx, sender, nonce, type, record);
    assert_int_equal(mempool_add(mempool, &tx.transaction), CONTRACT_OK);
    const struct block_header header = build_and_follow();
    commit(&header);
    assert_int_equal(mempool_count(mempool), 0);
}

/* A market whose periods are a hundred hours, and a device of agg's that may offer there. */
static void open_market(void)
{
    struct world_tx mint;
    static const char *const payers[] = {"operator", "dso", "agg"};
    for (uint64_t i = 0; i < 3; i++) {
        world_mint(&mint, i + 1, payers[i], INT64_C(1000000000));
        assert_int_equal(mempool_add(mempool, &mint.transaction), CONTRACT_OK);
    }
    const struct block_header funded = build_and_follow();
    commit(&funded);
    const struct energy step = energy_of(PERIOD_HOURS);
    const struct market_create terms = {.id = world_name("long"),
                                        .zone = world_name("z1"),
                                        .times = {.mtu = duration_of(MS_PER_HOUR),
                                                  .mtus_per_period = PERIOD_HOURS,
                                                  .closes = timestamp_of(INT64_MAX),
                                                  .proof_deadline = duration_of(MS_PER_DAY)},
                                        .limits = {.quantity_step = step,
                                                   .quantity_min = step,
                                                   .quantity_max = step,
                                                   .price_step = energy_price_of(1),
                                                   .price_max = energy_price_of(1000),
                                                   .orders_per_participant = 1000},
                                        .delivery = {.tolerance_permille = 950}};
    act("operator", 1, ACTION_MARKET_CREATE, &terms);
    const struct device_register device = {.id = world_name("dev"),
                                           .type = DEVICE_LOAD,
                                           .max_power = power_of(1000),
                                           .connection = power_of(1000),
                                           .node = world_name("n1"),
                                           .feeder = world_name("f1"),
                                           .zone = world_name("z1"),
                                           .meter_key = world_key("meter")};
    act("agg", ++nonces, ACTION_DEVICE_REGISTER, &device);
    const struct device_status status = {.device = device.id, .status = STATUS_ACTIVE};
    act("dso", 1, ACTION_DEVICE_STATUS, &status);
    const struct device_enrol enrol = {.device = device.id, .market = terms.id, .enrolled = 1};
    act("agg", ++nonces, ACTION_DEVICE_ENROL, &enrol);
}

struct heavy_tx {
    uint8_t bytes[ENVELOPE_BYTES];
    struct transaction transaction;
};

/* As many offers as fit a transaction, each for another period of those that are not too far ahead. */
static void sign_heavy(struct heavy_tx *out, int64_t first_period)
{
    struct offer_place offers[LIMIT_ACTIONS_PER_TX];
    static struct transaction_draft draft;
    const struct secret_key secret = world_secret("agg");
    const int64_t now = WORLD_TIME_MS / period_ms + 1;
    struct byte_writer writer;
    memset(&draft, 0, sizeof draft);
    draft.genesis = world_genesis_id();
    draft.nonce = ++nonces;
    draft.valid_until = timestamp_of(WORLD_TIME_MS + MS_PER_HOUR);
    draft.fee_limit = money_of(1000000);
    draft.action_count = LIMIT_ACTIONS_PER_TX;
    for (int64_t i = 0; i < LIMIT_ACTIONS_PER_TX; i++) {
        offers[i] = (struct offer_place){
            .market = world_name("long"),
            .period_start = timestamp_of((now + (first_period + i) % PERIODS) * period_ms),
            .quantity = energy_of(PERIOD_HOURS),
            .device = world_name("dev")};
        draft.actions[i].type = ACTION_OFFER_PLACE;
        draft.actions[i].record = &offers[i];
    }
    byte_writer_init(&writer, out->bytes, sizeof out->bytes);
    assert_true(transaction_sign(&writer, &draft, &secret));
    assert_int_equal(transaction_decode(&out->transaction, bytes_view_of(out->bytes, writer.size)),
                     CONTRACT_OK);
}

static size_t make_body(uint8_t *out, const struct heavy_tx *txs, uint32_t count, struct hash *root)
{
    struct byte_writer writer;
    struct hash leaves[HEAVY_TX];
    byte_writer_init(&writer, out, LIMIT_BLOCK_BODY_BYTES);
    byte_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        byte_write_sized(&writer, txs[i].transaction.envelope.data,
                         txs[i].transaction.envelope.size);
    }
    assert_true(body_tx_root(root, bytes_view_of(out, writer.size), leaves));
    return writer.size;
}

static void test_a_block_is_full_of_work_before_it_is_full_of_bytes(void **state)
{
    static struct heavy_tx txs[HEAVY_TX];
    static uint8_t body[LIMIT_BLOCK_BODY_BYTES];
    char line[512] = "";
    (void)state;
    open_market();
    for (int64_t i = 0; i < HEAVY_TX; i++) {
        sign_heavy(&txs[i], i * LIMIT_ACTIONS_PER_TX);
        assert_int_equal(mempool_add(mempool, &txs[i].transaction), CONTRACT_OK);
    }
    /* Three of 51,840 units and something: the third goes over, the fourth may not follow. */
    const struct block_header good = build_and_follow();
    struct body_reader reader;
    assert_true(body_open(&reader, body_of(&good)));
    assert_int_equal(reader.count, 3);

    /* A leader that does not stop: each of its transactions is good, the block is not. */
    struct block_header hostile = good;
    const size_t size = make_body(body, txs, HEAVY_TX, &hostile.tx_root);
    assert_true(size < LIMIT_BLOCK_BODY_BYTES / 2);
    const struct hash id = world_id(&hostile);
    assert_true(chain_add_body(chains[1], &hostile, bytes_view_of(body, size), true));
    FILE *log = tmpfile();
    assert_non_null(log);
    log_open(log, "test", LOG_UNUSUAL, false);
    assert_int_equal(chain_execute(chains[1], &id), BFT_VERDICT_INVALID);
    log_open(stderr, "test", LOG_UNUSUAL, false);
    rewind(log);
    assert_non_null(fgets(line, sizeof line, log));
    assert_non_null(strstr(line, "work over the limit"));
    (void)fclose(log);

    /* The rest goes into the blocks that follow. */
    commit(&good);
    assert_int_equal(mempool_count(mempool), HEAVY_TX - 3);
    const struct block_header next = build_and_follow();
    commit(&next);
    assert_int_equal(mempool_count(mempool), HEAVY_TX - 6);
    struct counters_record counters;
    const struct state_key key = state_key_single(STATE_COUNTERS);
    assert_true(
        ledger_read(chain_committed_view(chains[1]), &key, &counters_record_codec, &counters));
    assert_int_equal(counters.orders, 6 * LIMIT_ACTIONS_PER_TX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_block_is_full_of_work_before_it_is_full_of_bytes,
                                        setup, teardown),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
