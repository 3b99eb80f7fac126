/* The bound on what a peer may have us serve: an asker that floods gets its rate and no more, one
 * that catches up gets all it needs, and time gives everything back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/serve_budget.h"

static uint32_t served(struct serve_budget *budget, uint64_t from_ms, uint64_t until_ms,
                       uint32_t per_ms, size_t size)
{
    uint32_t count = 0;
    for (uint64_t now_ms = from_ms; now_ms < until_ms; now_ms++) {
        for (uint32_t i = 0; i < per_ms; i++) {
            if (serve_budget_allows(budget, now_ms)) {
                serve_budget_charge(budget, size);
                count++;
            }
        }
    }
    return count;
}

static void a_flood_of_requests_gets_its_rate_only(void **state)
{
    (void)state;
    struct serve_budget budget = {0};
    /* Ten seconds of a hundred requests a millisecond, each for a full frame: what was in the bucket,
     * two a second, and one that took it below zero. */
    uint32_t count = served(&budget, 1000, 11000, 100, LIMIT_FRAME_BYTES);
    assert_in_range(count, 20, 4 + 20 + 1);
    /* Requests without an answer aren't free either. */
    struct serve_budget other = {0};
    count = served(&other, 1000, 11000, 100, 0);
    assert_in_range(count, 10 * 500, 10 * 512 + SERVE_BYTES_MAX / SERVE_COST_MIN + 1);
}

static void who_asks_now_and_then_is_always_served(void **state)
{
    (void)state;
    struct serve_budget budget = {0};
    /* One full answer each half second: a node that catches up from this peer alone. */
    for (uint64_t now_ms = 5; now_ms < 60000; now_ms += 501) {
        assert_true(serve_budget_allows(&budget, now_ms));
        serve_budget_charge(&budget, LIMIT_FRAME_BYTES);
    }
}

static void time_fills_it_and_never_beyond_its_size(void **state)
{
    (void)state;
    struct serve_budget budget = {0};
    (void)served(&budget, 0, 1, 1000, LIMIT_FRAME_BYTES);
    assert_false(serve_budget_allows(&budget, 0));
    assert_true(serve_budget_allows(&budget, UINT64_MAX));
    assert_int_equal(budget.bytes, SERVE_BYTES_MAX);
    /* A clock that stands still or goes back takes nothing and gives nothing. */
    assert_true(serve_budget_allows(&budget, 7));
    assert_int_equal(budget.bytes, SERVE_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_requests_gets_its_rate_only),
        cmocka_unit_test(who_asks_now_and_then_is_always_served),
        cmocka_unit_test(time_fills_it_and_never_beyond_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
