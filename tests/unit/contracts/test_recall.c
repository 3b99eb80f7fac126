/* What a block remembers of its state (contracts/ledger_recall.c) against the state itself: after each of many
 * random writes, removals, rollbacks and new blocks, every record that is read is the one that stands there,
 * field by field, and none is where none is.
 *
 * Deliberately absent: what is remembered, and how much faster it is; tests/bench/bench_block.c measures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the above. */
#include <cmocka.h>
#include <string.h>

#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;
static uint64_t random_state = 88172645463325252;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

/* Orders share a place in memory with every RECALL_ORDERS-th other; shares and deadlines by their hash. */
static struct state_key draw_key(const struct codec_record **codec)
{
    static const char *const names[] = {"alice", "bob", "carol", "dora", "eve"};
    struct name name = fixture_name(names[draw(5)]);
    switch (draw(4)) {
    case 0:
        *codec = &order_record_codec;
        return state_key_u64(STATE_ORDER, 1000 + draw(3) * RECALL_ORDERS + draw(20));
    case 1:
        *codec = &deadline_record_codec;
        return state_key_deadline(timestamp_of((int64_t)draw(50)), 2, draw(50));
    case 2:
        *codec = &commitment_record_codec;
        return state_key_unit(STATE_COMMITMENT, &name, timestamp_of((int64_t)draw(500)), 0);
    default:
        *codec = &enrolment_record_codec;
        return state_key_pair(STATE_ENROLMENT, &name, &name);
    }
}

union any_record {
    struct order_record order;
    struct deadline_record deadline;
    struct commitment_record commitment;
    struct enrolment_record enrolment;
};

static void write_one(const struct contract_call *call, const struct state_key *key,
                      const struct codec_record *codec)
{
    union any_record record;
    memset(&record, 0, sizeof record);
    if (codec == &order_record_codec) {
        record.order.market = fixture_name("west");
        record.order.participant = fixture_name("alice");
        record.order.open = energy_of((int64_t)draw(1000));
        record.order.held = money_of((int64_t)draw(3));
    } else if (codec == &deadline_record_codec) {
        record.deadline.ids = draw(UINT64_MAX) | 1;
    } else if (codec == &commitment_record_codec) {
        record.commitment.power = power_of((int64_t)draw(100));
    } else {
        record.enrolment.participant = fixture_name(draw(2) == 0 ? "alice" : "bob");
    }
    contract_write(call, key, codec, &record);
}

static void check_one(const struct contract_call *call, const struct state_key *key,
                      const struct codec_record *codec)
{
    union any_record seen;
    union any_record stands;
    uint8_t seen_bytes[LIMIT_STATE_VALUE_BYTES];
    uint8_t stands_bytes[LIMIT_STATE_VALUE_BYTES];
    struct byte_writer a;
    struct byte_writer b;
    bool is_there = ledger_read(fixture.view, key, codec, &stands);
    assert_int_equal(contract_read(call, key, codec, &seen), is_there);
    if (!is_there)
        return;
    byte_writer_init(&a, seen_bytes, sizeof seen_bytes);
    byte_writer_init(&b, stands_bytes, sizeof stands_bytes);
    codec_encode(codec, &seen, &a);
    codec_encode(codec, &stands, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(seen_bytes, stands_bytes, a.size);
}

static void test_what_is_recalled_stands_there(void **state)
{
    (void)state;
    enum { TRANSACTIONS = 3000, STEPS = 12 };
    struct recall *recall = &fixture.ledger->recall;
    const struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        fixture.view->ops->savepoint(fixture.view);
        recall_begin_transaction(recall);
        for (uint32_t step = 0; step < STEPS; step++) {
            const struct codec_record *codec;
            const struct state_key key = draw_key(&codec);
            const uint64_t what = draw(8);
            if (what < 3)
                write_one(&call, &key, codec);
            else if (what == 3)
                contract_remove(&call, &key);
            check_one(&call, &key, codec);
        }
        if (draw(4) == 0) {
            fixture.view->ops->rollback(fixture.view);
            recall_rolled_back(recall);
        } else {
            fixture.view->ops->keep(fixture.view);
        }
        if (draw(100) == 0)
            recall_forget_all(recall);
    }
}

/* Nothing is remembered of a view that has failed. */
static void test_a_fault_tells_nothing(void **state)
{
    (void)state;
    const struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    struct state_key key = state_key_u64(STATE_ORDER, 7);
    union any_record record;
    write_one(&call, &key, &order_record_codec);
    assert_true(contract_read(&call, &key, &order_record_codec, &record));
    fixture.view->fault = true;
    assert_false(contract_read(&call, &key, &order_record_codec, &record));
    fixture.view->fault = false;
    contract_remove(&call, &key);
    assert_false(contract_read(&call, &key, &order_record_codec, &record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_recalled_stands_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_fault_tells_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
