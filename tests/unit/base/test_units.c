/* Quantities: rows at the edges of int64, and who gains each remainder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct sum_row {
    int64_t a, b;
    bool sum_fits, difference_fits;
} sum_rows[] = {
    {1, 2, true, true},
    {0, INT64_MIN, true, false},
    {-1, INT64_MIN, false, true},
    {INT64_MAX, 0, true, true},
    {INT64_MAX, 1, false, true},
    {INT64_MAX, -1, true, false},
    {INT64_MIN, -1, false, true},
    {INT64_MIN, 1, true, false},
    {INT64_MIN, INT64_MIN, false, true},
    {INT64_MAX, INT64_MAX, false, true},
    {INT64_MAX, INT64_MIN, true, false},
};

static void test_money_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sum_rows); i++) {
        const struct sum_row *row = &sum_rows[i];
        struct money out = money_of(4711);
        assert_int_equal(money_add(&out, money_of(row->a), money_of(row->b)), row->sum_fits);
        assert_true(money_ueur(out) ==
                    (row->sum_fits ? (int64_t)((uint64_t)row->a + (uint64_t)row->b) : 4711));
        out = money_of(4711);
        assert_int_equal(money_sub(&out, money_of(row->a), money_of(row->b)), row->difference_fits);
        assert_true(money_ueur(out) ==
                    (row->difference_fits ? (int64_t)((uint64_t)row->a - (uint64_t)row->b) : 4711));
    }
}

static void test_energy_and_time_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sum_rows); i++) {
        const struct sum_row *row = &sum_rows[i];
        struct energy energy = energy_of(1);
        struct timestamp time = timestamp_of(1);
        struct duration span = duration_of(1);
        assert_int_equal(energy_add(&energy, energy_of(row->a), energy_of(row->b)), row->sum_fits);
        assert_int_equal(energy_sub(&energy, energy_of(row->a), energy_of(row->b)),
                         row->difference_fits);
        assert_int_equal(timestamp_add(&time, timestamp_of(row->a), duration_of(row->b)),
                         row->sum_fits);
        assert_int_equal(timestamp_sub(&time, timestamp_of(row->a), duration_of(row->b)),
                         row->difference_fits);
        assert_int_equal(timestamp_until(&span, timestamp_of(row->b), timestamp_of(row->a)),
                         row->difference_fits);
    }
    struct duration span;
    assert_true(timestamp_until(&span, timestamp_of(1000), timestamp_of(1250)));
    assert_int_equal(duration_ms(span), 250);
    struct timestamp time;
    assert_true(timestamp_sub(&time, timestamp_of(1000), duration_of(1)));
    assert_int_equal(timestamp_ms(time), 999);
    struct energy energy;
    assert_true(energy_sub(&energy, energy_of(3), energy_of(5)));
    assert_int_equal(energy_wh(energy), -2);
}

/* Out may be one of the operands: balances are changed in place. */
static void test_sums_in_place(void **state)
{
    (void)state;
    struct money balance = money_of(10);
    assert_true(money_add(&balance, balance, money_of(5)));
    assert_true(money_sub(&balance, money_of(20), balance));
    assert_int_equal(money_ueur(balance), 5);
}

static void test_comparisons(void **state)
{
    (void)state;
    static const int64_t values[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        for (size_t j = 0; j < COUNT_OF(values); j++) {
            int expected = (i > j) - (i < j);
            int64_t a = values[i], b = values[j], least = i < j ? a : b;
            assert_int_equal(money_compare(money_of(a), money_of(b)), expected);
            assert_int_equal(energy_compare(energy_of(a), energy_of(b)), expected);
            assert_int_equal(energy_price_compare(energy_price_of(a), energy_price_of(b)),
                             expected);
            assert_int_equal(timestamp_compare(timestamp_of(a), timestamp_of(b)), expected);
            assert_true(money_ueur(money_min(money_of(a), money_of(b))) == least);
            assert_true(energy_wh(energy_min(energy_of(a), energy_of(b))) == least);
        }
    }
}

static void test_power_times_duration(void **state)
{
    (void)state;
    const struct {
        int64_t w, ms;
        bool fits;
        int64_t wh;
    } rows[] = {
        {1000, MS_PER_HOUR, true, 1000},
        {1000, MTU_MS_DEFAULT, true, 250},
        {1001, MTU_MS_DEFAULT, true, 250}, /* 250.25 */
        {3, MTU_MS_DEFAULT, true, 0},      /* 0.75 */
        {4, MTU_MS_DEFAULT, true, 1},
        {-3, MTU_MS_DEFAULT, true, -1}, /* floor, not towards zero */
        {-4, MTU_MS_DEFAULT, true, -1},
        {0, INT64_MAX, true, 0},
        {INT64_MAX, MS_PER_HOUR, true, INT64_MAX},
        {INT64_MIN, MS_PER_HOUR, true, INT64_MIN},
        {INT64_MAX, MS_PER_HOUR + 1, false, 0},
        {INT64_MAX, INT64_MAX, false, 0},
        {INT64_MIN, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct energy out = energy_of(4711);
        assert_int_equal(
            power_times_duration_floor(&out, power_of(rows[i].w), duration_of(rows[i].ms)),
            rows[i].fits);
        assert_true(energy_wh(out) == (rows[i].fits ? rows[i].wh : 4711));
    }
    assert_int_equal(power_w(power_of(-5)), -5);
}

static void test_price_times_energy(void **state)
{
    (void)state;
    const struct {
        int64_t ueur_per_kwh, wh, ceil_ueur, floor_ueur;
        bool fits;
    } rows[] = {
        {150000, 1000, 150000, 150000, true}, /* 0.15 EUR/kWh x 1 kWh */
        {150001, 1, 151, 150, true},          /* 150.001: payer up, payee down */
        {-150001, 1, -150, -151, true},       /* up and down keep their sense below zero */
        {1, 1, 1, 0, true},
        {999, 1, 1, 0, true},
        {1000, 1, 1, 1, true},
        {0, INT64_MAX, 0, 0, true},
        {1000, INT64_MAX, INT64_MAX, INT64_MAX, true},
        {1000, INT64_MIN, INT64_MIN, INT64_MIN, true},
        {1001, INT64_MAX, 0, 0, false},
        {INT64_MAX, INT64_MAX, 0, 0, false},
        {INT64_MIN, INT64_MIN, 0, 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int128 neur =
            energy_price_times_neur(energy_price_of(rows[i].ueur_per_kwh), energy_of(rows[i].wh));
        assert_true(neur == (int128)rows[i].ueur_per_kwh * rows[i].wh);
        struct money up = money_of(4711), down = money_of(4711);
        assert_int_equal(money_from_neur_ceil(&up, neur), rows[i].fits);
        assert_int_equal(money_from_neur_floor(&down, neur), rows[i].fits);
        assert_true(money_ueur(up) == (rows[i].fits ? rows[i].ceil_ueur : 4711));
        assert_true(money_ueur(down) == (rows[i].fits ? rows[i].floor_ueur : 4711));
    }
    assert_int_equal(energy_price_ueur_per_kwh(energy_price_of(-7)), -7);
}

/* One nano-euro decides at the very edge. */
static void test_neur_edges(void **state)
{
    (void)state;
    int128 most = (int128)INT64_MAX * 1000, least = (int128)INT64_MIN * 1000;
    struct money out = money_of(0);
    assert_true(money_from_neur_ceil(&out, most));
    assert_false(money_from_neur_ceil(&out, most + 1));
    assert_true(money_from_neur_floor(&out, most + 999));
    assert_false(money_from_neur_floor(&out, most + 1000));
    assert_true(money_from_neur_floor(&out, least));
    assert_false(money_from_neur_floor(&out, least - 1));
    assert_true(money_from_neur_ceil(&out, least - 999));
    assert_false(money_from_neur_ceil(&out, least - 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money_sums),           cmocka_unit_test(test_energy_and_time_sums),
        cmocka_unit_test(test_sums_in_place),        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_power_times_duration), cmocka_unit_test(test_price_times_energy),
        cmocka_unit_test(test_neur_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
