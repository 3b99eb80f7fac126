/* Token buckets: against a model that counts, at their edges, and with more ids than they have room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "node/rate.h"
#include "tests/lib/random.h"

static bool take(struct rate_table *table, uint64_t id, uint64_t now_us)
{
    uint32_t retry = 0;
    const bool given = rate_table_take(table, &retry, &id, sizeof id, now_us);
    assert_true(given == (retry == 0));
    return given;
}

static void a_burst_and_then_the_rate(void **state)
{
    (void)state;
    struct rate_table *table = rate_table_create(10, 5);
    uint64_t now = 1;
    for (int i = 0; i < 5; i++)
        assert_true(take(table, 1, now));
    assert_false(take(table, 1, now));
    assert_true(take(table, 2, now)); /* another's bucket is another's */
    assert_false(take(table, 1, now + 99999));
    assert_true(take(table, 1, now + 100000));
    assert_false(take(table, 1, now + 100000));
    now += 60000000;
    for (int i = 0; i < 5; i++) /* it holds no more than its burst */
        assert_true(take(table, 1, now));
    assert_false(take(table, 1, now));
    rate_table_destroy(table);
}

static void it_says_when_to_come_back(void **state)
{
    (void)state;
    struct rate_table *table = rate_table_create(2, 1);
    uint32_t retry = 9;
    assert_true(rate_table_take(table, &retry, "a", 1, 0));
    assert_int_equal(retry, 0);
    assert_false(rate_table_take(table, &retry, "a", 1, 0));
    assert_int_equal(retry, 1);
    assert_false(rate_table_take(table, &retry, "a", 1, 0)); /* a refusal costs nothing */
    assert_int_equal(retry, 1);
    assert_true(rate_table_take(table, &retry, "a", 1, 1000000));
    rate_table_destroy(table);
}

static void no_rate_is_no_limit(void **state)
{
    (void)state;
    struct rate_table *table = rate_table_create(0, 1);
    for (int i = 0; i < 100000; i++)
        assert_true(take(table, 1, 7));
    rate_table_destroy(table);
}

/* The bucket in the units of the books: tokens that come by and by, up to the burst. */
static void as_the_model_that_counts(void **state)
{
    (void)state;
    enum { IDS = 3, PER_SECOND = 250, BURST = 40, STEPS = 200000 };
    struct rate_table *table = rate_table_create(PER_SECOND, BURST);
    struct test_random random = {55};
    int64_t tokens_us[IDS]; /* in microseconds of filling */
    uint64_t then[IDS] = {0};
    for (int i = 0; i < IDS; i++)
        tokens_us[i] = (int64_t)BURST * 4000;
    uint64_t now = 0;
    int given = 0;
    for (int step = 0; step < STEPS; step++) {
        now += test_random_below(&random, 2000);
        const int id = (int)test_random_below(&random, IDS);
        tokens_us[id] += (int64_t)(now - then[id]);
        if (tokens_us[id] > (int64_t)BURST * 4000)
            tokens_us[id] = (int64_t)BURST * 4000;
        then[id] = now;
        const bool wanted = tokens_us[id] >= 4000;
        if (wanted)
            tokens_us[id] -= 4000;
        given += wanted;
        assert_true(take(table, (uint64_t)id + 1, now) == wanted);
    }
    assert_in_range(given, STEPS / 10, STEPS - STEPS / 10); /* both answers were tried */
    rate_table_destroy(table);
}

/* Ever new ids get no more than the places of the table have, and leave alone whoever is known. */
static void new_ids_gain_nothing(void **state)
{
    (void)state;
    enum { PER_SECOND = 1, BURST = 4, IDS = 400000 };
    struct rate_table *table = rate_table_create(PER_SECOND, BURST);
    uint64_t given = 0;
    for (uint64_t id = 1; id <= IDS; id++)
        given += take(table, id, 0);
    assert_true(given <= (uint64_t)RATE_ENTRIES_MAX * BURST);
    assert_true(given > (uint64_t)RATE_ENTRIES_MAX * BURST * 9 / 10); /* and the memory is used */
    for (uint64_t id = IDS; id <= 2 * IDS; id++)
        given += take(table, id, 2000000);
    assert_true(given <= (uint64_t)RATE_ENTRIES_MAX * (BURST + 2 * PER_SECOND));
    rate_table_destroy(table);
}

/* Whoever has spent its bucket does not get a new one by waiting for others to push it out. */
static void who_owes_is_not_forgotten(void **state)
{
    (void)state;
    struct rate_table *table = rate_table_create(1, 100);
    for (int i = 0; i < 100; i++)
        assert_true(take(table, 1, 0));
    for (uint64_t id = 2; id < 100000; id++)
        (void)take(table, id, 0);
    assert_false(take(table, 1, 0));
    rate_table_destroy(table);
}

static int start(void **state)
{
    (void)state;
    return crypto_init() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate), cmocka_unit_test(it_says_when_to_come_back),
        cmocka_unit_test(no_rate_is_no_limit),       cmocka_unit_test(as_the_model_that_counts),
        cmocka_unit_test(new_ids_gain_nothing),      cmocka_unit_test(who_owes_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
