/* The bound on answers that wait for readers who don't read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/api_internal.h"

static void large_answers_have_a_bound_and_small_ones_none(void **state)
{
    (void)state;
    struct api_budget budget = {0};
    size_t charged[API_CONNECTIONS_MAX];
    size_t taken = 0;
    while (taken < API_CONNECTIONS_MAX &&
           api_budget_take(&budget, API_EXPORT_BYTES_MAX, &charged[taken]))
        taken++;
    assert_int_equal(taken, API_ANSWERS_BYTES_MAX / API_EXPORT_BYTES_MAX);
    assert_int_equal(charged[taken], 0); /* a refusal owes nothing */
    size_t small = 1;
    assert_true(api_budget_take(&budget, API_ANSWER_BYTES_SMALL, &small));
    assert_int_equal(small, 0);
    api_budget_give(&budget, charged[--taken]);
    assert_true(api_budget_take(&budget, API_EXPORT_BYTES_MAX, &charged[taken++]));
    assert_false(api_budget_take(&budget, API_ANSWER_BYTES_SMALL + 1, &small));
    while (taken > 0)
        api_budget_give(&budget, charged[--taken]);
    assert_int_equal(budget.bytes, 0);
}

static void no_size_gets_past_it(void **state)
{
    (void)state;
    struct api_budget budget = {0};
    size_t charged = 1;
    assert_false(api_budget_take(&budget, (size_t)API_ANSWERS_BYTES_MAX + 1, &charged));
    assert_int_equal(charged, 0);
    assert_false(api_budget_take(&budget, SIZE_MAX, &charged));
    assert_int_equal(budget.bytes, 0);
    assert_true(api_budget_take(&budget, API_ANSWERS_BYTES_MAX, &charged));
    assert_false(api_budget_take(&budget, SIZE_MAX, &charged));
    assert_int_equal(budget.bytes, API_ANSWERS_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_answers_have_a_bound_and_small_ones_none),
        cmocka_unit_test(no_size_gets_past_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
