/* Checked arithmetic: tables at the edges of int64 and int128, and every operation on 64 bits against
 * the exact result in 128. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "tests/lib/aborts.h"
#include "tests/lib/random.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t edges[] = {
    INT64_MIN,
    INT64_MIN + 1,
    INT64_MIN / 2,
    INT64_MIN / 2 - 1,
    -3037000500,
    -3037000499,
    -1001,
    -1000,
    -999,
    -2,
    -1,
    0,
    1,
    2,
    999,
    1000,
    1001,
    3037000499,
    3037000500,
    INT64_MAX / 2,
    INT64_MAX / 2 + 1,
    INT64_MAX - 1,
    INT64_MAX,
};

static const int128 int128_max = (int128)(((uint128)1 << 127) - 1);

typedef bool (*operation_fn)(int64_t *, int64_t, int64_t);

static void check_operation(operation_fn operation, int64_t a, int64_t b, int128 exact)
{
    int64_t out = 4711;
    bool fits = exact >= INT64_MIN && exact <= INT64_MAX;
    assert_int_equal(operation(&out, a, b), fits);
    assert_true(out == (fits ? (int64_t)exact : 4711));
}

static void check_pair(int64_t a, int64_t b)
{
    check_operation(checked_add_i64, a, b, (int128)a + b);
    check_operation(checked_sub_i64, a, b, (int128)a - b);
    check_operation(checked_mul_i64, a, b, (int128)a * b);
    assert_true(product_i128(a, b) == (int128)a * b);
}

static void test_i64_operations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(edges); i++) {
        for (size_t j = 0; j < COUNT_OF(edges); j++) {
            check_pair(edges[i], edges[j]);
        }
    }
    struct test_random random = {1};
    for (int turn = 0; turn < 20000; turn++) {
        /* All magnitudes alike. */
        int64_t a = (int64_t)test_random_u64(&random) >> test_random_below(&random, 64);
        int64_t b = (int64_t)test_random_u64(&random) >> test_random_below(&random, 64);
        check_pair(a, b);
    }
}

static void test_u64_addition(void **state)
{
    (void)state;
    uint64_t out = 5;
    assert_true(checked_add_u64(&out, UINT64_MAX - 1, 1));
    assert_true(out == UINT64_MAX);
    assert_false(checked_add_u64(&out, UINT64_MAX, 1));
    assert_true(out == UINT64_MAX);
    assert_true(checked_add_u64(&out, 0, 0));
    assert_true(out == 0);
}

static void test_i128_sums(void **state)
{
    (void)state;
    int128 min = -int128_max - 1, out = 5;
    assert_true(checked_add_i128(&out, int128_max, min) && out == -1);
    assert_false(checked_add_i128(&out, int128_max, 1));
    assert_false(checked_add_i128(&out, min, -1));
    assert_true(out == -1);
    assert_true(checked_sub_i128(&out, min, -1) && out == min + 1);
    assert_true(checked_sub_i128(&out, -1, min) && out == int128_max);
    assert_false(checked_sub_i128(&out, 0, min));
    assert_false(checked_sub_i128(&out, min, 1));
    assert_true(out == int128_max);
}

static void test_i128_products(void **state)
{
    (void)state;
    int128 min = -int128_max - 1, root = (int128)1 << 63;
    const struct {
        int128 a, b;
        bool fits;
    } rows[] = {
        {min, 1, true},
        {min, -1, false},
        {int128_max, -1, true},
        {int128_max, 2, false},
        {min, 0, true},
        {min, 2, false},
        {min / 2, 2, true},
        {min / 2, -2, false},
        {min / 2, 3, false},
        {root, root, true},
        {root, 2 * root, false},
        {-root, 2 * root, true},
        {-root, -2 * root, false},
        {int128_max, int128_max, false},
        {int128_max / 3, 3, true},
        {int128_max / 3 + 1, 3, false},
        {min, min, false},
        {7, -6, true},
        {(int128)1 << 126, 2, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int swap = 0; swap < 2; swap++) {
            int128 a = swap ? rows[i].b : rows[i].a, b = swap ? rows[i].a : rows[i].b, out = 5;
            assert_int_equal(checked_mul_i128(&out, a, b), rows[i].fits);
            /* The wrapped product is the right one exactly if it fits. */
            assert_true(out == (rows[i].fits ? (int128)((uint128)a * (uint128)b) : 5));
        }
    }
}

static void test_narrowing(void **state)
{
    (void)state;
    int64_t out = 5;
    assert_true(checked_narrow_i64(&out, INT64_MIN) && out == INT64_MIN);
    assert_true(checked_narrow_i64(&out, INT64_MAX) && out == INT64_MAX);
    assert_false(checked_narrow_i64(&out, (int128)INT64_MAX + 1));
    assert_false(checked_narrow_i64(&out, (int128)INT64_MIN - 1));
    assert_false(checked_narrow_i64(&out, (int128)1 << 64)); /* its low half is 0 */
    assert_true(out == INT64_MAX);
}

static void test_divisions_round_as_named(void **state)
{
    (void)state;
    const struct {
        int128 dividend, divisor, floor, ceil;
    } rows[] = {
        {7, 2, 3, 4},
        {-7, 2, -4, -3},
        {6, 2, 3, 3},
        {-6, 2, -3, -3},
        {0, 5, 0, 0},
        {1, 5, 0, 1},
        {-1, 5, -1, 0},
        {4, 5, 0, 1},
        {-4, 5, -1, 0},
        {5, 5, 1, 1},
        {-5, 5, -1, -1},
        {int128_max, 1, int128_max, int128_max},
        {-int128_max - 1, 1, -int128_max - 1, -int128_max - 1},
        {-int128_max - 1, int128_max, -2, -1},
        {int128_max - 1, int128_max, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(div_floor_i128(rows[i].dividend, rows[i].divisor) == rows[i].floor);
        assert_true(div_ceil_i128(rows[i].dividend, rows[i].divisor) == rows[i].ceil);
    }
}

static void divide_floor(void *divisor)
{
    div_floor_i128(1, *(int *)divisor);
}

static void divide_ceil(void *divisor)
{
    div_ceil_i128(1, *(int *)divisor);
}

static void test_bad_divisor_is_our_bug(void **state)
{
    (void)state;
    int zero = 0, negative = -1, good = 1;
    assert_true(test_aborts(divide_floor, &zero));
    assert_true(test_aborts(divide_floor, &negative));
    assert_true(test_aborts(divide_ceil, &zero));
    assert_true(test_aborts(divide_ceil, &negative));
    assert_false(test_aborts(divide_floor, &good));
}

static void test_int128_text(void **state)
{
    (void)state;
    const struct {
        int128 value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-1, "-1"},
        {1000, "1000"},
        {INT64_MIN, "-9223372036854775808"},
        {(int128)UINT64_MAX, "18446744073709551615"},
        {int128_max, "170141183460469231731687303715884105727"},
        {-int128_max - 1, "-170141183460469231731687303715884105728"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[INT128_TEXT_SIZE];
        int128_to_text(text, rows[i].value);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_text_to_integers(void **state)
{
    (void)state;
    const struct {
        const char *text;
        bool is_i64, is_u64;
        int64_t i64;
        uint64_t u64;
    } rows[] = {
        {"0", true, true, 0, 0},
        {"10", true, true, 10, 10},
        {"-1", true, false, -1, 0},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", false, true, 0, (uint64_t)INT64_MAX + 1},
        {"-9223372036854775808", true, false, INT64_MIN, 0},
        {"-9223372036854775809", false, false, 0, 0},
        {"18446744073709551615", false, true, 0, UINT64_MAX},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999999", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"-0", false, false, 0, 0},
        {"00", false, false, 0, 0},
        {"01", false, false, 0, 0},
        {"-01", false, false, 0, 0},
        {"+1", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1 ", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"1e3", false, false, 0, 0},
        {"0x10", false, false, 0, 0},
        {"--1", false, false, 0, 0},
        {"1_000", false, false, 0, 0},
        {"\xd9\xa1", false, false, 0, 0}, /* an Arabic digit */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t i64 = 4711;
        uint64_t u64 = 4711;
        assert_int_equal(int64_from_text(&i64, rows[i].text), rows[i].is_i64);
        assert_true(i64 == (rows[i].is_i64 ? rows[i].i64 : 4711));
        assert_int_equal(uint64_from_text(&u64, rows[i].text), rows[i].is_u64);
        assert_true(u64 == (rows[i].is_u64 ? rows[i].u64 : 4711));
    }
}

static void test_text_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(edges); i++) {
        char text[INT128_TEXT_SIZE];
        int64_t back;
        int128_to_text(text, edges[i]);
        assert_true(int64_from_text(&back, text) && back == edges[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_i64_operations),
        cmocka_unit_test(test_u64_addition),
        cmocka_unit_test(test_i128_sums),
        cmocka_unit_test(test_i128_products),
        cmocka_unit_test(test_narrowing),
        cmocka_unit_test(test_divisions_round_as_named),
        cmocka_unit_test(test_bad_divisor_is_our_bug),
        cmocka_unit_test(test_int128_text),
        cmocka_unit_test(test_text_to_integers),
        cmocka_unit_test(test_text_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
