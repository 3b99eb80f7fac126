/* The baseline by hand: which days are chosen, how the mean is rounded, what the adjustment does at
 * each of its edges, and what is refused. Random problems against a model with fractions are
 * tests/models/settle_check.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "contracts/baseline.h"

static struct baseline_candidate store[LIMIT_BASELINE_DAYS];

/* Days of one delivery interval with these readings, windows all zero. */
static struct baseline_days days_of(const int64_t *readings, uint32_t count)
{
    memset(store, 0, sizeof store);
    for (uint32_t i = 0; i < count; i++)
        store[i].delivery[0] = energy_of(readings[i]);
    return (struct baseline_days){
        .interval_count = 1, .candidate_count = count, .candidates = store};
}

static void test_which_days_are_chosen(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint32_t days, highest, count;
        int64_t readings[12];
        const char *chosen; /* one letter per day */
        int64_t reference;
    } rows[] = {
        {"the highest", 10, 2, 4, {5, 9, 7, 1}, ".xx.", 8},
        {"all of them", 4, 4, 4, {5, 9, 7, 1}, "xxxx", 5},
        {"a tie: the later day", 10, 1, 3, {9, 9, 1}, ".x.", 9},
        {"all alike: the latest days", 10, 2, 5, {3, 3, 3, 3, 3}, "...xx", 3},
        {"a tie within", 10, 3, 5, {9, 4, 4, 4, 8}, "x..xx", 7},
        {"more than days: the last count", 3, 2, 5, {100, 90, 1, 2, 3}, "...xx", 2},
        {"exactly days", 5, 1, 5, {100, 90, 1, 2, 3}, "x....", 100},
        {"fewer than days, no fewer than highest", 10, 3, 3, {1, 2, 4}, "xxx", 2},
        {"net export: the nearest to import", 10, 2, 3, {-10, -3, -4}, ".xx", -4},
        {"floor of a negative mean", 2, 2, 2, {-1, 0}, "xx", -1},
        {"floor of a positive mean", 2, 2, 2, {1, 0}, "xx", 0},
        {"sums of zero", 10, 1, 2, {0, 0}, ".x", 0},
        {"largest readings", 2, 2, 2, {INT64_MAX, INT64_MAX}, "xx", INT64_MAX},
        {"smallest readings", 2, 2, 2, {INT64_MIN, INT64_MIN}, "xx", INT64_MIN},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct baseline_terms terms = {
            .days = rows[r].days, .highest = rows[r].highest, .adjustment_permille = 200};
        struct baseline_days days = days_of(rows[r].readings, rows[r].count);
        struct baseline_result result;
        print_message("          %s\n", rows[r].name);
        assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
        for (uint32_t i = 0; i < rows[r].count; i++)
            assert_int_equal(result.chosen[i], rows[r].chosen[i] == 'x');
        assert_int_equal(energy_wh(result.reference[0]), rows[r].reference);
        assert_true(result.numerator == 1 && result.denominator == 1);
    }
}

/* The sum over the whole delivery ranks a day, not a single interval; the mean is per interval. */
static void test_the_sum_ranks_and_the_interval_is_averaged(void **state)
{
    (void)state;
    memset(store, 0, sizeof store);
    static const int64_t readings[3][3] = {{100, 0, 0}, {30, 30, 41}, {10, 50, 42}};
    for (int day = 0; day < 3; day++)
        for (int i = 0; i < 3; i++)
            store[day].delivery[i] = energy_of(readings[day][i]);
    struct baseline_terms terms = {.days = 10, .highest = 2, .adjustment_permille = 0};
    struct baseline_days days = {.interval_count = 3, .candidate_count = 3, .candidates = store};
    struct baseline_result result;
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    assert_false(result.chosen[0]);
    assert_int_equal(energy_wh(result.reference[0]), 20);
    assert_int_equal(energy_wh(result.reference[1]), 40);
    assert_int_equal(energy_wh(result.reference[2]), 41);
}

static void test_adjustment(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int64_t mean, actual, baseline; /* the latter two in one interval of the window */
        uint16_t cap;
        int64_t numerator, denominator, reference;
    } rows[] = {
        {"none: the same", 1000, 50, 50, 200, 50, 50, 1000},
        {"in between, floored", 1000, 7, 6, 200, 7, 6, 1166},
        {"upper edge", 1000, 120, 100, 200, 120, 100, 1200},
        {"over the upper edge", 1000, 1201, 1000, 200, 1200, 1000, 1200},
        {"just under the upper edge", 1000, 1199, 1000, 200, 1199, 1000, 1199},
        {"lower edge", 1000, 80, 100, 200, 80, 100, 800},
        {"under the lower edge", 1000, 799, 1000, 200, 800, 1000, 800},
        {"just over the lower edge", 1000, 801, 1000, 200, 801, 1000, 801},
        {"far over", 1001, INT64_MAX, 1, 200, 1200, 1000, 1201},
        {"far under", 1001, 1, INT64_MAX, 200, 800, 1000, 800},
        {"actual zero", 1000, 0, 100, 200, 1, 1, 1000},
        {"actual below zero", 1000, -5, 100, 200, 1, 1, 1000},
        {"baseline zero", 1000, 100, 0, 200, 1, 1, 1000},
        {"baseline below zero", 1000, 100, -1, 200, 1, 1, 1000},
        {"both below zero", 1000, -100, -100, 200, 1, 1, 1000},
        {"cap of zero", 1001, 150, 100, 0, 1000, 1000, 1001},
        {"cap of one permille", 1001, 150, 100, 1, 1001, 1000, 1002},
        {"cap of all, down", 1000, 1, 1000, 1000, 1, 1000, 1},
        {"cap of all, up", 1000, 5000, 1000, 1000, 2000, 1000, 2000},
        {"mean below zero, more export", -1001, 7, 6, 200, 7, 6, -1168},
        {"mean below zero, less export", -1001, 800, 1000, 200, 800, 1000, -801},
        {"wide numbers", INT64_MAX / 2, INT64_MAX, INT64_MAX, 200, INT64_MAX, INT64_MAX,
         INT64_MAX / 2},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct baseline_terms terms = {
            .days = 10, .highest = 1, .adjustment_permille = rows[r].cap};
        struct baseline_days days = days_of(&rows[r].mean, 1);
        store[0].window[3] = energy_of(rows[r].baseline);
        days.actual_window[6] = energy_of(rows[r].actual);
        struct baseline_result result;
        print_message("          %s\n", rows[r].name);
        assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
        assert_true(result.numerator == rows[r].numerator);
        assert_true(result.denominator == rows[r].denominator);
        assert_int_equal(energy_wh(result.reference[0]), rows[r].reference);
    }
}

/* The mean of each interval of the window is floored before they are added up: eight times
 * floor(1 / 2) are 0 and not 4, and then there is nothing to compare with. */
static void test_window_means_are_floored_one_by_one(void **state)
{
    (void)state;
    static const int64_t readings[] = {1000, 1000};
    struct baseline_days days = days_of(readings, 2);
    struct baseline_terms terms = {.days = 2, .highest = 2, .adjustment_permille = 200};
    struct baseline_result result;
    for (int i = 0; i < BASELINE_WINDOW_INTERVALS; i++) {
        store[0].window[i] = energy_of(1);
        days.actual_window[i] = energy_of(1);
    }
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    assert_int_equal(energy_wh(result.reference[0]), 1000);
    store[1].window[0] = energy_of(1);
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    assert_int_equal(energy_wh(result.reference[0]), 1200);
}

/* Only the chosen days count in the window too. */
static void test_the_window_looks_at_the_chosen_days(void **state)
{
    (void)state;
    static const int64_t readings[] = {2000, 10, 1000};
    struct baseline_days days = days_of(readings, 3);
    struct baseline_terms terms = {.days = 2, .highest = 1, .adjustment_permille = 200};
    struct baseline_result result;
    store[0].window[0] = energy_of(100000); /* not among the last two */
    store[1].window[0] = energy_of(1);      /* not the highest */
    store[2].window[0] = energy_of(100);
    days.actual_window[7] = energy_of(110);
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    assert_int_equal(energy_wh(result.reference[0]), 1100);
}

/* The product needs more than 128 bits here, the result fits; and where it doesn't, it is said. */
static void test_widest_numbers(void **state)
{
    (void)state;
    static const int64_t readings[] = {1, INT64_MAX};
    struct baseline_days days = days_of(readings, 2);
    struct baseline_terms terms = {.days = 10, .highest = 1, .adjustment_permille = 1000};
    struct baseline_result result;
    days.interval_count = 2;
    store[1].delivery[1] = energy_of(INT64_MIN);
    for (int i = 0; i < BASELINE_WINDOW_INTERVALS; i++) {
        store[1].window[i] = energy_of(INT64_MAX);
        days.actual_window[i] = energy_of(INT64_MAX - 1);
    }
    store[1].delivery[0] = energy_of(INT64_MAX);
    store[1].delivery[1] = energy_of(-5);
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    assert_int_equal(energy_wh(result.reference[0]), INT64_MAX - 1);
    assert_int_equal(energy_wh(result.reference[1]), -5);

    for (int i = 0; i < BASELINE_WINDOW_INTERVALS; i++) {
        store[1].window[i] = energy_of(INT64_MAX - 1);
        days.actual_window[i] = energy_of(INT64_MAX);
    }
    store[1].delivery[0] = energy_of(7);
    store[1].delivery[1] = energy_of(INT64_MAX);
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OVERFLOW);
    assert_int_equal(result.fault_interval, 1);
}

static void test_limits_of_a_period_and_of_a_year(void **state)
{
    (void)state;
    static int64_t readings[LIMIT_BASELINE_DAYS];
    for (int i = 0; i < LIMIT_BASELINE_DAYS; i++)
        readings[i] = i * 7 % LIMIT_BASELINE_DAYS;
    struct baseline_days days = days_of(readings, LIMIT_BASELINE_DAYS);
    days.interval_count = LIMIT_INTERVALS_PER_PERIOD;
    for (int i = 0; i < LIMIT_BASELINE_DAYS; i++)
        store[i].delivery[LIMIT_INTERVALS_PER_PERIOD - 1] = energy_of(i);
    struct baseline_terms terms = {.days = LIMIT_BASELINE_DAYS, .highest = LIMIT_BASELINE_DAYS};
    struct baseline_result result;
    assert_int_equal(baseline_compute(&result, &terms, &days), BASELINE_OK);
    /* 7 and 366 have no common divisor: both rows hold each of 0 to 365 once, 182.5 on average. */
    assert_int_equal(energy_wh(result.reference[0]), 182);
    assert_int_equal(energy_wh(result.reference[1]), 0);
    assert_int_equal(energy_wh(result.reference[LIMIT_INTERVALS_PER_PERIOD - 1]), 182);
}

static void test_refusals(void **state)
{
    (void)state;
    static const int64_t readings[] = {1, 2, 3, 4, 5};
    const struct {
        uint32_t days, highest;
        uint16_t cap;
        uint32_t intervals, candidates;
        enum baseline_error error;
    } rows[] = {
        {10, 5, 200, 1, 5, BASELINE_OK},
        {10, 0, 200, 1, 5, BASELINE_BAD_TERMS},
        {4, 5, 200, 1, 5, BASELINE_BAD_TERMS},
        {5, 5, 1000, 1, 5, BASELINE_OK},
        {5, 5, 1001, 1, 5, BASELINE_BAD_TERMS},
        {LIMIT_BASELINE_DAYS, 5, 200, 1, 5, BASELINE_OK},
        {LIMIT_BASELINE_DAYS + 1, 5, 200, 1, 5, BASELINE_BAD_TERMS},
        {10, 5, 200, 0, 5, BASELINE_BAD_TERMS},
        {10, 5, 200, LIMIT_INTERVALS_PER_PERIOD, 5, BASELINE_OK},
        {10, 5, 200, LIMIT_INTERVALS_PER_PERIOD + 1, 5, BASELINE_BAD_TERMS},
        {10, 5, 200, 1, 4, BASELINE_TOO_FEW_CANDIDATES},
        {10, 5, 200, 1, 0, BASELINE_TOO_FEW_CANDIDATES},
        {10, 5, 200, 1, LIMIT_BASELINE_DAYS, BASELINE_OK},
        {10, 5, 200, 1, LIMIT_BASELINE_DAYS + 1, BASELINE_TOO_MANY_CANDIDATES},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct baseline_terms terms = {
            .days = rows[r].days, .highest = rows[r].highest, .adjustment_permille = rows[r].cap};
        struct baseline_days days = days_of(readings, 5);
        days.interval_count = rows[r].intervals;
        days.candidate_count = rows[r].candidates;
        struct baseline_result result;
        assert_int_equal(baseline_compute(&result, &terms, &days), rows[r].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_days_are_chosen),
        cmocka_unit_test(test_the_sum_ranks_and_the_interval_is_averaged),
        cmocka_unit_test(test_adjustment),
        cmocka_unit_test(test_window_means_are_floored_one_by_one),
        cmocka_unit_test(test_the_window_looks_at_the_chosen_days),
        cmocka_unit_test(test_widest_numbers),
        cmocka_unit_test(test_limits_of_a_period_and_of_a_year),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
