/* The index of deadlines against a plain list: whatever is added and taken away, in whatever order, the index
 * has those numbers and no others, in the order of time, kind and number, and no record without one.
 *
 * Deliberately absent: the sweep, which test_delivery.c, test_deal.c and test_capacity.c look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the above. */
#include <cmocka.h>
#include <string.h>

#include "contracts/deadline.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

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

enum { TIMES = 3, WHATS = 3, IDS = 200, STEPS = 20000 };

/* All numbers that the index has, against `list`; it walks keys as bytes. */
static void check(const bool list[TIMES][WHATS][IDS])
{
    uint8_t key[LIMIT_STATE_KEY_BYTES] = {STATE_DEADLINE};
    const struct bytes_view prefix = bytes_view_of(key, 1);
    uint8_t at[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    struct bytes_view value;
    uint32_t count = 0;
    uint32_t expected = 0;
    while (
        fixture.view->ops->next(fixture.view, prefix, bytes_view_of(at, size), at, &size, &value)) {
        struct byte_reader reader;
        byte_reader_init(&reader, at + 1, size - 1);
        int64_t time = byte_read_i64(&reader);
        uint8_t what = byte_read_u8(&reader);
        uint64_t group = byte_read_u64(&reader);
        assert_true(byte_reader_done(&reader));
        byte_reader_init(&reader, value.data, value.size);
        uint64_t bits = byte_read_u64(&reader);
        assert_true(byte_reader_done(&reader) && bits != 0);
        for (uint64_t i = 0; i < 64; i++) {
            if ((bits >> i & 1) != 0) {
                assert_true(group * 64 + i < IDS);
                assert_true(list[time][what - DEADLINE_PROOF][group * 64 + i]);
                count++;
            }
        }
    }
    for (uint32_t i = 0; i < TIMES * WHATS * IDS; i++)
        expected += (&list[0][0][0])[i];
    assert_int_equal(count, expected);
}

static void test_index_is_the_list(void **state)
{
    (void)state;
    static bool list[TIMES][WHATS][IDS];
    const struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    uint64_t random = 88172645463325252;
    for (uint32_t i = 0; i < STEPS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        /* Fills up, and empties again. */
        bool *entry = &list[random % TIMES][random / 3 % WHATS][random / 9 % IDS];
        const struct deadline deadline = {timestamp_of((int64_t)(random % TIMES)),
                                          (uint8_t)(DEADLINE_PROOF + random / 3 % WHATS),
                                          random / 9 % IDS};
        bool adds = i < STEPS / 2 ? random >> 40 & 3 : !(random >> 40 & 3);
        if (adds)
            deadline_add(&call, &deadline);
        else if (*entry)
            deadline_remove(&call, &deadline);
        *entry = adds;
        if (i % 1000 == 0)
            check((const bool(*)[WHATS][IDS])list);
    }
    for (uint32_t i = 0; i < TIMES * WHATS * IDS; i++) {
        const struct deadline deadline = {timestamp_of(i / (WHATS * IDS)),
                                          (uint8_t)(DEADLINE_PROOF + i / IDS % WHATS), i % IDS};
        if (list[i / (WHATS * IDS)][i / IDS % WHATS][i % IDS])
            deadline_remove(&call, &deadline);
        list[i / (WHATS * IDS)][i / IDS % WHATS][i % IDS] = false;
    }
    check((const bool(*)[WHATS][IDS])list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_is_the_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
