/* The daily digest: which block writes it, for which day, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

enum { DAY_OF_GENESIS = FIXTURE_TIME_MS / MS_PER_DAY };

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (fixture.block_open)
        fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static bool digest_of(int64_t day, struct digest_record *record)
{
    struct state_key key = state_key_day(day);
    return ledger_read(fixture.view, &key, &digest_record_codec, record);
}

static size_t digests(void)
{
    static const uint8_t prefix = STATE_DIGEST;
    return memory_state_count(fixture.state, bytes_view_of(&prefix, 1));
}

/* The open block's time becomes that of the given day and millisecond. */
static void next_block_at(int64_t day, int64_t ms)
{
    int64_t to = (DAY_OF_GENESIS + day) * (int64_t)MS_PER_DAY + ms;
    fixture_next_block(&fixture, to - timestamp_ms(fixture.context.time));
}

static void test_first_block_of_a_day_closes_the_day_before(void **state)
{
    (void)state;
    fixture_fund(&fixture, "alice", 1000);
    next_block_at(0, MS_PER_DAY - 1);
    fixture_fund(&fixture, "alice", 1000);
    fixture_fund(&fixture, "alice", 1000);
    next_block_at(1, 0);
    uint64_t height = fixture.context.height;
    struct hash log_root = fixture.context.log_root;
    fixture_fund(&fixture, "alice", 1000);
    assert_int_equal(digests(), 0);
    next_block_at(1, 1);
    struct digest_record digest;
    assert_int_equal(digests(), 1);
    assert_true(digest_of(DAY_OF_GENESIS, &digest));
    assert_int_equal(digest.height, height - 1);
    assert_true(hash_equal(&digest.log_root, &log_root));
    /* Three before midnight; the fourth belongs to the new day. */
    assert_int_equal(digest.transactions, 3);
}

static void test_event_says_the_same(void **state)
{
    (void)state;
    next_block_at(1, 5);
    fixture_end_block(&fixture);
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    int seen = 0;
    while (event_next(fixture.end_receipt.events, &cursor, &type, &bytes)) {
        if (type != EVENT_DIGEST)
            continue;
        struct event_digest event;
        struct digest_record stored;
        assert_true(codec_decode_all(event_codec(type), &event, bytes));
        assert_int_equal(event.day, DAY_OF_GENESIS);
        assert_true(digest_of(event.day, &stored));
        assert_int_equal(event.digest.height, stored.height);
        assert_true(hash_equal(&event.digest.log_root, &stored.log_root));
        seen++;
    }
    assert_int_equal(cursor, fixture.end_receipt.events.size);
    assert_int_equal(seen, 1);
}

static void test_days_without_blocks_have_none(void **state)
{
    (void)state;
    next_block_at(0, 7000);
    next_block_at(4, 0);
    next_block_at(4, 50000);
    next_block_at(6, 1);
    fixture_end_block(&fixture);
    struct digest_record digest;
    assert_int_equal(digests(), 2);
    assert_true(digest_of(DAY_OF_GENESIS, &digest));
    assert_int_equal(digest.height, 2);
    assert_true(digest_of(DAY_OF_GENESIS + 4, &digest));
    assert_int_equal(digest.height, 4);
}

/* Genesis is no block: a chain whose first block comes days later has no digest for its day. */
static void test_genesis_is_no_day(void **state)
{
    (void)state;
    fixture_close(&fixture);
    fixture_open(&fixture);
    fixture.context.time = timestamp_of((DAY_OF_GENESIS + 3) * (int64_t)MS_PER_DAY);
    fixture.block_open = false;
    fixture.context.height = 0;
    fixture_begin_block(&fixture, 1);
    fixture_end_block(&fixture);
    assert_int_equal(fixture.context.height, 1);
    assert_int_equal(digests(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_block_of_a_day_closes_the_day_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_event_says_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_days_without_blocks_have_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_genesis_is_no_day, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
