/* Money, times and spans as people write them: tables of what is read, refused and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tools/value.h"

struct row {
    const char *text;
    bool ok;
    int64_t value;
    const char *printed; /* NULL: as it was written */
};

static const int64_t untouched = -77777;

typedef bool (*reader)(int64_t *, const char *);
typedef const char *(*printer)(char *, int64_t);

static void check(const struct row *rows, size_t count, reader read, printer print)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = untouched;
        char text[VALUE_TEXT_SIZE];
        bool ok = read(&value, rows[i].text);
        if (ok != rows[i].ok || value != (ok ? rows[i].value : untouched)) {
            fail_msg("'%s' gives %d, %lld", rows[i].text, ok, (long long)value);
        }
        if (ok && print != NULL) {
            assert_string_equal(print(text, value),
                                rows[i].printed != NULL ? rows[i].printed : rows[i].text);
            int64_t back = untouched;
            assert_true(read(&back, text));
            assert_int_equal(back, value);
        }
    }
}

static bool read_eur(int64_t *out, const char *text)
{
    return value_eur(out, text, false);
}

static void test_eur(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1.25", true, 1250000, NULL},
        {"0.00", true, 0, NULL},
        {"0", true, 0, "0.00"},
        {"7", true, 7000000, "7.00"},
        {"0.000001", true, 1, NULL},
        {"-0.05", true, -50000, NULL},
        {"-12.3456", true, -12345600, NULL},
        {"0.1", true, 100000, "0.10"},
        {"9223372036854.775807", true, INT64_MAX, NULL},
        {"-9223372036854.775808", true, INT64_MIN, NULL},
        {"9223372036854.775808", false, 0, NULL},
        {"9223372036855", false, 0, NULL},
        {"99999999999999999999", false, 0, NULL},
        {"0.0000001", false, 0, NULL},
        {"1.", false, 0, NULL},
        {".5", false, 0, NULL},
        {"01", false, 0, NULL},
        {"1,25", false, 0, NULL},
        {"1e3", false, 0, NULL},
        {"+1", false, 0, NULL},
        {" 1", false, 0, NULL},
        {"1 ", false, 0, NULL},
        {"1.2.3", false, 0, NULL},
        {"--1", false, 0, NULL},
        {"-", false, 0, NULL},
        {"", false, 0, NULL},
        {"nan", false, 0, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0], read_eur, value_eur_text);
    int64_t value;
    assert_true(value_eur(&value, "1250000", true));
    assert_int_equal(value, 1250000);
    assert_false(value_eur(&value, "1.25", true));
}

static void test_time(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1970-01-01T00:00:00Z", true, 0, NULL},
        {"2025-01-15", true, 1736899200000, "2025-01-15T00:00:00Z"},
        {"2025-01-15T10:00Z", true, 1736935200000, "2025-01-15T10:00:00Z"},
        {"2025-01-15T10:00:30Z", true, 1736935230000, NULL},
        {"2025-01-15T10:00:30.250Z", true, 1736935230250, NULL},
        {"1736935200000", true, 1736935200000, "2025-01-15T10:00:00Z"},
        {"2024-02-29", true, 1709164800000, "2024-02-29T00:00:00Z"},
        {"2000-02-29", true, 951782400000, "2000-02-29T00:00:00Z"},
        {"9999-12-31T23:59:59.999Z", true, 253402300799999, NULL},
        {"2025-02-29", false, 0, NULL},
        {"2100-02-29", false, 0, NULL},
        {"2025-04-31", false, 0, NULL},
        {"2025-13-01", false, 0, NULL},
        {"2025-00-01", false, 0, NULL},
        {"2025-01-00", false, 0, NULL},
        {"1969-12-31", false, 0, NULL},
        {"2025-01-15T24:00Z", false, 0, NULL},
        {"2025-01-15T10:60Z", false, 0, NULL},
        {"2025-01-15T10:00:60Z", false, 0, NULL},
        {"2025-01-15T10:00", false, 0, NULL},
        {"2025-01-15T10:00+01:00", false, 0, NULL},
        {"2025-01-15T10:00:30.25Z", false, 0, NULL},
        {"2025-01-15T10:00ZZ", false, 0, NULL},
        {"2025-01-15 10:00Z", false, 0, NULL},
        {"2025-1-15", false, 0, NULL},
        {"2025-01-1", false, 0, NULL},
        {"2025-01-15T", false, 0, NULL},
        {"2025-01-15T1", false, 0, NULL},
        {"2025-01-15T10:", false, 0, NULL},
        {"-1", false, 0, NULL},
        {"", false, 0, NULL},
        {"now", false, 0, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0], value_time, value_time_text);
    char text[VALUE_TEXT_SIZE];
    assert_string_equal(value_time_text(text, -5), "-5");
    assert_string_equal(value_time_text(text, INT64_MAX), "9223372036854775807");
}

/* Each day of four centuries is the one after the day before it. */
static void test_calendar(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = 0;
    for (int year = 1970; year < 2370; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (leap && month == 2);
            for (int date = 1; date <= length; date++, day++) {
                char text[32];
                int64_t ms = untouched;
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, date);
                assert_true(value_time(&ms, text));
                assert_int_equal(ms, day * MS_PER_DAY);
            }
        }
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"15m", true, 900000, NULL},
        {"900000", true, 900000, "15m"},
        {"900000ms", true, 900000, "15m"},
        {"1500ms", true, 1500, NULL},
        {"36h", true, 129600000, NULL},
        {"2d", true, 172800000, NULL},
        {"90s", true, 90000, NULL},
        {"0s", true, 0, NULL},
        {"0", true, 0, "0s"},
        {"106751991167d", true, 106751991167 * INT64_C(86400000), NULL},
        {"106751991168d", false, 0, NULL},
        {"-1s", false, 0, NULL},
        {"1.5h", false, 0, NULL},
        {"m", false, 0, NULL},
        {"ms", false, 0, NULL},
        {"1w", false, 0, NULL},
        {"1 h", false, 0, NULL},
        {"", false, 0, NULL},
        {"99999999999999999999s", false, 0, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0], value_duration, value_duration_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eur),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_duration),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
