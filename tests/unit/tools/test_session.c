/* What a wallet makes of a node's clock and of old proofs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/session.h"

static const int64_t now_ms = 1764000000000;
static const int64_t minute_ms = 60000;

static void an_expiry_is_not_computed_from_a_false_clock(void **state)
{
    (void)state;
    static struct genesis genesis;
    genesis.simulated_time = 0;
    assert_true(session_time_is_plausible(&genesis, now_ms, now_ms));
    assert_true(session_time_is_plausible(&genesis, now_ms + 5 * minute_ms, now_ms));
    assert_true(session_time_is_plausible(&genesis, now_ms - 5 * minute_ms, now_ms));
    assert_false(session_time_is_plausible(&genesis, now_ms + 5 * minute_ms + 1, now_ms));
    assert_false(session_time_is_plausible(&genesis, now_ms - 5 * minute_ms - 1, now_ms));
    assert_false(session_time_is_plausible(&genesis, INT64_MAX, now_ms));
    assert_false(session_time_is_plausible(&genesis, INT64_MIN, now_ms));
    genesis.simulated_time = 1;
    assert_true(session_time_is_plausible(&genesis, INT64_MAX, now_ms));
}

static void the_age_of_a_proof_is_told_where_time_is_real(void **state)
{
    (void)state;
    static struct genesis genesis;
    genesis.simulated_time = 0;
    assert_int_equal(session_age_ms(&genesis, timestamp_of(now_ms - 90000), now_ms), 90000);
    assert_int_equal(session_age_ms(&genesis, timestamp_of(now_ms + 400), now_ms), -400);
    genesis.simulated_time = 1;
    assert_int_equal(session_age_ms(&genesis, timestamp_of(0), now_ms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expiry_is_not_computed_from_a_false_clock),
        cmocka_unit_test(the_age_of_a_proof_is_told_where_time_is_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
