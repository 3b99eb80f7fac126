/* The retention rule: rows of what a node has and what it may drop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/retention.h"

static const struct row {
    uint64_t keep_blocks, tip, snapshot, held, limit;
} rows[] = {
    {100, 1000, 0, UINT64_MAX, 0},     /* no snapshot: a new node could not begin */
    {100, 1000, 500, UINT64_MAX, 501}, /* the oldest snapshot needs what is above it */
    {100, 1000, 950, UINT64_MAX, 901}, /* the last hundred stay */
    {100, 1000, 950, 700, 700},        /* somebody is fetching there */
    {100, 1000, 950, 0, 0},            /* or from the beginning */
    {1000, 1000, 950, UINT64_MAX, 0},  /* younger than what is to be kept */
    {999, 1000, 950, UINT64_MAX, 2},   /* 2 to 1000 are 999 */
    {0, 1000, 1000, UINT64_MAX, 1001}, /* the store itself keeps the tip's */
    {UINT64_MAX, UINT64_MAX, 5, UINT64_MAX, 0},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct retention retention = {rows[i].keep_blocks, rows[i].tip, rows[i].snapshot,
                                            rows[i].held};
        assert_int_equal(retention_limit(&retention), rows[i].limit);
    }
}

static void test_holds_end(void **state)
{
    (void)state;
    struct retention_hold hold = {0};
    uint64_t now = 5000;
    assert_true(retention_held(&hold, now) == UINT64_MAX);
    retention_note(&hold, 10, now);
    assert_int_equal(retention_held(&hold, now), 10);
    assert_int_equal(retention_held(&hold, now + RETENTION_HOLD_MS), 10);
    assert_true(retention_held(&hold, now + RETENTION_HOLD_MS + 1) == UINT64_MAX);
    /* Who moves on holds what it needs next. */
    retention_note(&hold, 74, now + 1000);
    assert_int_equal(retention_held(&hold, now + 1000), 74);
    /* Who asks for the same for ever holds nothing after a while, */
    const uint64_t began = now;
    for (; now < began + 2ull * RETENTION_HOLD_MS_MAX; now += RETENTION_HOLD_MS / 2) {
        retention_note(&hold, 74, now);
        assert_int_equal(retention_held(&hold, now) == 74, now <= began + RETENTION_HOLD_MS_MAX);
    }
    /* until it has been silent for as long as a hold lasts. */
    now += RETENTION_HOLD_MS;
    retention_note(&hold, 90, now);
    assert_int_equal(retention_held(&hold, now), 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_holds_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
