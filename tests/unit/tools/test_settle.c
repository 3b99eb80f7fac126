/* What flexsettle reads and refuses: one good problem per method, and rows that change one thing in
 * it, each with the place and the words of the refusal, or with the result that it must not disturb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/settle/problem.h"

enum { TEXT_SIZE = 64 * 1024 };

#define MONEY                                                                                      \
    "\"price\":\"123457\",\"penalty_price\":\"33333\",\"deposit_ueur\":\"1000\","                  \
    "\"escrow_ueur\":\"2470\",\"tolerance_permille\":950,\"floor_permille\":0,"
#define WINDOW "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\"]"

static const char schedule[] =
    "{\"format\":\"flexsettle/1\",\"method\":\"schedule\",\"direction\":\"up\"," MONEY
    "\"contracted_wh\":[\"10\",\"10\"],\"actual_wh\":[\"-5\",\"13\"],"
    "\"reference_wh\":[\"7\",\"21\"]}";
static const char schedule_result[] =
    "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[\"7\",\"21\"],"
    "\"delivered_wh\":[\"12\",\"8\"],\"credited_wh\":[\"10\",\"8\"],\"paid_ueur\":\"2222\","
    "\"refunded_ueur\":\"248\",\"penalty_ueur\":\"67\"}\n";

static const char cap[] =
    "{\"format\":\"flexsettle/1\",\"method\":\"capacity_cap\"," MONEY
    "\"contracted_wh\":[\"10\",\"10\"],\"actual_wh\":[\"-5\",\"13\"],\"limit_wh\":[\"7\",\"11\"]}";
static const char cap_result[] =
    "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[],\"delivered_wh\":[\"10\",\"8\"],"
    "\"credited_wh\":[\"10\",\"8\"],\"paid_ueur\":\"2222\",\"refunded_ueur\":\"248\","
    "\"penalty_ueur\":\"67\"}\n";

static const char baseline[] =
    "{\"format\":\"flexsettle/1\",\"method\":\"baseline\",\"direction\":\"down\"," MONEY
    "\"contracted_wh\":[\"10\",\"10\"],\"actual_wh\":[\"12\",\"29\"],"
    "\"baseline\":{\"days\":2,\"highest\":1,\"adjustment_permille\":200,"
    "\"candidates\":[{\"day\":4,\"wh\":[\"9\",\"99\"]},{\"day\":6,\"wh\":[\"3\",\"20\"]},"
    "{\"day\":9,\"wh\":[\"2\",\"21\"]}],"
    "\"candidate_window_wh\":[" WINDOW "," WINDOW "," WINDOW "],\"actual_window_wh\":" WINDOW "}}";
static const char baseline_result[] =
    "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[\"2\",\"21\"],"
    "\"delivered_wh\":[\"10\",\"8\"],\"credited_wh\":[\"10\",\"8\"],\"paid_ueur\":\"2222\","
    "\"refunded_ueur\":\"248\",\"penalty_ueur\":\"67\"}\n";

/* `text` with the first `from` replaced by `to`; a `from` that is not there would make a row idle. */
static void change(char out[TEXT_SIZE], const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (at == NULL)
        fail_msg("'%s' is not in the problem", from);
    int length =
        snprintf(out, TEXT_SIZE, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_in_range(length, 1, TEXT_SIZE - 1);
}

static void expect_result(const char *text, const char *want)
{
    struct settle_fault fault = {"", ""};
    char *line = settle_text(&fault, text, strlen(text));
    if (line == NULL)
        fail_msg("%s: %s\n%s", fault.where, fault.what, text);
    assert_string_equal(line, want);
    free(line);
}

static void expect_fault(const char *text, const char *want)
{
    struct settle_fault fault = {"", ""};
    char *line = settle_text(&fault, text, strlen(text));
    if (line != NULL)
        fail_msg("accepted, instead of '%s':\n%s", want, text);
    char got[SETTLE_WHERE_SIZE + SETTLE_WHAT_SIZE + 3];
    snprintf(got, sizeof got, "%s: %s", fault.where, fault.what);
    /* The JSON reader's words are its own tests' to fix; here they only must be there. */
    size_t length = strlen(want);
    if (want[length - 1] == ' ') {
        assert_in_range(strlen(got), length + 1, sizeof got);
        got[length] = '\0';
    }
    assert_string_equal(got, want);
}

struct row {
    const char *base, *from, *to;
    const char *want; /* a fault, or a result if it opens with a brace */
};

static void run(const struct row *rows, size_t count)
{
    static char text[TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        change(text, rows[i].base, rows[i].from, rows[i].to);
        if (rows[i].want[0] == '{')
            expect_result(text, rows[i].want);
        else
            expect_fault(text, rows[i].want);
    }
}

#define RUN(rows) run(rows, sizeof(rows) / sizeof(rows)[0])

static void test_good_problems(void **state)
{
    (void)state;
    expect_result(schedule, schedule_result);
    expect_result(cap, cap_result);
    expect_result(baseline, baseline_result);
    static const struct row rows[] = {
        {schedule, "schedule", "submeter", schedule_result},
        {schedule, "}", ",\"limit_wh\":[\"1\"],\"baseline\":{\"x\":[\"\\u2026\"]}}",
         schedule_result},
        {schedule, "\"tolerance_permille\":950,\"floor_permille\":0,", "", schedule_result},
        {schedule, "\"floor_permille\":0", "\"floor_permille\":800", schedule_result},
        {schedule, "\"method\"", " \n \"method\"", schedule_result},
        {cap, "\"price\"", "\"direction\":\"down\",\"price\"", cap_result},
        {cap, "}", ",\"reference_wh\":null}", cap_result},
        {cap, "\"limit_wh\":[\"7\",\"11\"]", "\"limit_wh\":[\"-5\",\"11\"]", cap_result},
        /* The penalty has a price and a deposit, or it is nothing. */
        {cap, "\"penalty_price\":\"33333\",", "",
         "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[],\"delivered_wh\":[\"10\",\"8\"],"
         "\"credited_wh\":[\"10\",\"8\"],\"paid_ueur\":\"2222\",\"refunded_ueur\":\"248\","
         "\"penalty_ueur\":\"0\"}\n"},
        {cap, "\"deposit_ueur\":\"1000\",", "",
         "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[],\"delivered_wh\":[\"10\",\"8\"],"
         "\"credited_wh\":[\"10\",\"8\"],\"paid_ueur\":\"2222\",\"refunded_ueur\":\"248\","
         "\"penalty_ueur\":\"0\"}\n"},
        {cap, "\"capacity_cap\"", "\"capacity_floor\"",
         "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[],\"delivered_wh\":[\"-2\",\"10\"],"
         "\"credited_wh\":[\"0\",\"10\"],\"paid_ueur\":\"1234\",\"refunded_ueur\":\"1236\","
         "\"penalty_ueur\":\"334\"}\n"},
        {baseline, "\"days\":2,", "\"days\":2,", baseline_result},
        {baseline, "\"adjustment_permille\":200,", "", baseline_result},
        {baseline, "\"adjustment_permille\":200", "\"adjustment_permille\":0", baseline_result},
        {baseline, "\"day\":6", "\"day\":8", baseline_result},
        {baseline, "\"day\":4", "\"day\":0", baseline_result},
        {baseline, "\"day\":9", "\"day\":4294967295", baseline_result},
    };
    RUN(rows);
}

static void test_defaults_of_a_baseline(void **state)
{
    (void)state;
    static char text[TEXT_SIZE], other[TEXT_SIZE];
    change(text, baseline, "\"days\":2,\"highest\":1,", "");
    expect_fault(text, "baseline.candidates: has 3 days, fewer than highest, which is 5");
    change(other, text, "{\"day\":9,\"wh\":[\"2\",\"21\"]}",
           "{\"day\":9,\"wh\":[\"2\",\"21\"]},{\"day\":10,\"wh\":[\"0\",\"0\"]},"
           "{\"day\":11,\"wh\":[\"1\",\"1\"]}");
    change(text, other, "\"candidate_window_wh\":[",
           "\"candidate_window_wh\":[" WINDOW "," WINDOW ",");
    /* Five of five: (9 + 3 + 2 + 0 + 1) / 5 and (99 + 20 + 21 + 0 + 1) / 5. */
    expect_result(text, "{\"format\":\"flexsettle-result/1\",\"reference_wh\":[\"3\",\"28\"],"
                        "\"delivered_wh\":[\"9\",\"1\"],\"credited_wh\":[\"9\",\"1\"],"
                        "\"paid_ueur\":\"1234\",\"refunded_ueur\":\"1236\","
                        "\"penalty_ueur\":\"334\"}\n");
    /* Without an adjustment the windows may stay away. */
    change(text, baseline, "\"adjustment_permille\":200", "\"adjustment_permille\":0");
    *strstr(text, ",\"candidate_window_wh\"") = '\0';
    strcat(text, "}}");
    expect_result(text, baseline_result);
    change(other, text, "\"adjustment_permille\":0", "\"adjustment_permille\":1");
    expect_fault(other, "baseline.candidate_window_wh: missing");
    change(other, text, "\"adjustment_permille\":0",
           "\"adjustment_permille\":0,\"actual_window_wh\":" WINDOW);
    expect_fault(other, "baseline.candidate_window_wh: missing");
}

static void test_faults_of_the_text(void **state)
{
    (void)state;
    expect_fault("", "line 1 column 1: ");
    expect_fault("[]", "problem: must be an object");
    expect_fault("\"flexsettle/1\"", "problem: must be an object");
    expect_fault("{}", "format: missing");
    static const struct row rows[] = {
        {schedule, "{", "{{", "line 1 column 2: "},
        {schedule, "\"tolerance_permille\":950", "\"tolerance_permille\":950.0",
         "line 1 column 168: "},
        {schedule, "}", "}x", "line 1 column 269: "},
        {schedule, "\"price\"", "\"method\":1,\"price\"", "line 1 column 64: "},
        {schedule, "\"price\"", "\"Price\"", "Price: unknown key"},
        {schedule, "\"price\"", "\"\":0,\"price\"", "\"\": unknown key"},
        {baseline, "\"days\"", "\"\"", "baseline.\"\": unknown key"},
        {schedule, "\"price\"", "\"a\\u0007\\u00e4\\nb\":0,\"price\"", "a????b: unknown key"},
        {baseline, "\"days\"", "\"day\"", "baseline.day: unknown key"},
        {baseline, "\"wh\"", "\"why\"", "baseline.candidates[0].why: unknown key"},
    };
    RUN(rows);
}

#define NOT_A_NUMBER "must be a 64-bit integer as a decimal string"

static void test_faults_of_the_deal(void **state)
{
    (void)state;
    static const char methods[] =
        "method: must be schedule, baseline, capacity_cap, capacity_floor or submeter";
    static const struct row rows[] = {
        {schedule, "flexsettle/1", "flexsettle/2", "format: must be flexsettle/1"},
        {schedule, "\"flexsettle/1\"", "1", "format: must be flexsettle/1"},
        {schedule, "\"method\":\"schedule\",", "", "method: missing"},
        {schedule, "\"schedule\"", "\"Schedule\"", methods},
        {schedule, "\"schedule\"", "null", methods},
        {schedule, "\"direction\":\"up\",", "", "direction: missing"},
        {schedule, "\"up\"", "\"sideways\"", "direction: must be up or down"},
        {cap, "\"price\"", "\"direction\":1,\"price\"", "direction: must be up or down"},
        {schedule, "\"price\":\"123457\",", "", "price: missing"},
        {schedule, "\"123457\"", "123457", "price: " NOT_A_NUMBER},
        {schedule, "\"123457\"", "\"0123\"", "price: " NOT_A_NUMBER},
        {schedule, "\"123457\"", "\"+1\"", "price: " NOT_A_NUMBER},
        {schedule, "\"123457\"", "\"\"", "price: " NOT_A_NUMBER},
        {schedule, "\"123457\"", "\"9223372036854775808\"", "price: " NOT_A_NUMBER},
        {schedule, "\"123457\"", "\"-1\"", "price: must not be negative"},
        {schedule, "\"33333\"", "\"-1\"", "penalty_price: must not be negative"},
        {schedule, "\"33333\"", "null", "penalty_price: " NOT_A_NUMBER},
        {schedule, "\"1000\"", "\"-1\"", "deposit_ueur: must not be negative"},
        {schedule, "\"1000\"", "[]", "deposit_ueur: " NOT_A_NUMBER},
        {schedule, "\"escrow_ueur\":\"2470\",", "", "escrow_ueur: missing"},
        {schedule, "\"2470\"", "\"-2470\"", "escrow_ueur: must not be negative"},
        {schedule, "\"2470\"", "\"2221\"",
         "escrow_ueur: is less than price x credited: an escrow holds price x contracted"},
        {schedule, "950", "1001", "tolerance_permille: must be a number from 0 to 1000"},
        {schedule, "950", "\"950\"", "tolerance_permille: must be a number from 0 to 1000"},
        {schedule, "950", "-1", "tolerance_permille: must be a number from 0 to 1000"},
        {schedule, "_permille\":0", "_permille\":1001",
         "floor_permille: must be a number from 0 to 1000"},
        {schedule, "_permille\":0", "_permille\":true",
         "floor_permille: must be a number from 0 to 1000"},
    };
    RUN(rows);
}

static void test_faults_of_series(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {schedule, "\"contracted_wh\":[\"10\",\"10\"],", "", "contracted_wh: missing"},
        {schedule, "[\"10\",\"10\"]", "\"10\"", "contracted_wh: must be an array"},
        {schedule, "[\"10\",\"10\"]", "[]", "contracted_wh: has 0 values, must have 1 to 100"},
        {schedule, "\"10\",\"10\"", "\"10\",\"0\"", "contracted_wh[1]: must be above zero"},
        {schedule, "\"10\",\"10\"", "\"-10\",\"10\"", "contracted_wh[0]: must be above zero"},
        {schedule, "\"10\",\"10\"", "\"10\",10", "contracted_wh[1]: " NOT_A_NUMBER},
        {schedule, "\"10\",\"10\"", "\"10\",[\"10\"]", "contracted_wh[1]: " NOT_A_NUMBER},
        {schedule, "\"actual_wh\":[\"-5\",\"13\"],", "", "actual_wh: missing"},
        {schedule, "\"-5\",\"13\"", "\"-5\"",
         "actual_wh: has 1 values, must have 2, as many as contracted_wh"},
        {schedule, "\"-5\",\"13\"", "\"-05\",\"13\"", "actual_wh[0]: " NOT_A_NUMBER},
        {schedule, "[\"-5\",\"13\"]", "{\"0\":\"-5\"}", "actual_wh: must be an array"},
        {schedule, ",\"reference_wh\":[\"7\",\"21\"]", "", "reference_wh: missing"},
        {schedule, "\"7\",\"21\"", "\"7\",\"21\",\"1\"",
         "reference_wh: has 3 values, must have 2, as many as contracted_wh"},
        {schedule, "\"7\",\"21\"", "\"7\",\"-9223372036854775809\"",
         "reference_wh[1]: " NOT_A_NUMBER},
        {schedule, "\"7\",\"21\"", "\"7\",\"-9223372036854775808\"",
         "actual_wh[1]: what was delivered does not fit 64 bits"},
        {cap, ",\"limit_wh\":[\"7\",\"11\"]", ",\"reference_wh\":[\"7\",\"11\"]",
         "limit_wh: missing"},
        {cap, "\"7\",\"11\"", "\"7\"",
         "limit_wh: has 1 values, must have 2, as many as contracted_wh"},
        {cap, "\"7\",\"11\"", "\"7\",\"-9223372036854775808\"",
         "actual_wh[1]: what was delivered does not fit 64 bits"},
    };
    RUN(rows);
}

static void test_faults_of_a_baseline(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {baseline, "\"baseline\":{", "\"limit_wh\":{", "baseline: missing"},
        {schedule, "schedule\"", "baseline\",\"baseline\":[]", "baseline: must be an object"},
        {baseline, "\"days\":2", "\"days\":0", "baseline.days: must be a number from 1 to 366"},
        {baseline, "\"days\":2", "\"days\":367", "baseline.days: must be a number from 1 to 366"},
        {baseline, "\"days\":2", "\"days\":\"2\"", "baseline.days: must be a number from 1 to 366"},
        {baseline, "\"highest\":1", "\"highest\":0",
         "baseline.highest: must be a number from 1 to 366"},
        {baseline, "\"highest\":1", "\"highest\":3", "baseline.highest: is more than days"},
        {baseline, "\"adjustment_permille\":200", "\"adjustment_permille\":1001",
         "baseline.adjustment_permille: must be a number from 0 to 1000"},
        {baseline, "\"days\":2,\"highest\":1", "\"days\":9,\"highest\":4",
         "baseline.candidates: has 3 days, fewer than highest, which is 4"},
        {schedule, "schedule\"", "baseline\",\"baseline\":{\"candidates\":7}",
         "baseline.candidates: must be an array"},
        {schedule, "schedule\"", "baseline\",\"baseline\":{\"days\":7}",
         "baseline.candidates: missing"},
        {baseline, "{\"day\":4,", "{", "baseline.candidates[0].day: missing"},
        {baseline, "\"day\":4", "\"day\":\"4\"",
         "baseline.candidates[0].day: must be a number from 0 to 4294967295"},
        {baseline, "\"day\":4", "\"day\":4294967296",
         "baseline.candidates[0].day: must be a number from 0 to 4294967295"},
        {baseline, "\"day\":6", "\"day\":4",
         "baseline.candidates[1].day: must be later than the day before it: oldest first"},
        {baseline, "\"day\":6", "\"day\":10",
         "baseline.candidates[2].day: must be later than the day before it: oldest first"},
        {baseline, "{\"day\":4,\"wh\":[\"9\",\"99\"]}", "7",
         "baseline.candidates[0]: must be an object"},
        {baseline, ",\"wh\":[\"3\",\"20\"]", "", "baseline.candidates[1].wh: missing"},
        {baseline, "\"3\",\"20\"", "\"3\"",
         "baseline.candidates[1].wh: has 1 values, must have 2, as many as contracted_wh"},
        {baseline, "\"3\",\"20\"", "\"3\",20", "baseline.candidates[1].wh[1]: " NOT_A_NUMBER},
        {baseline, "\"candidate_window_wh\":[" WINDOW ",", "\"candidate_window_wh\":[",
         "baseline.candidate_window_wh: has 2 days, must have 3, as many as candidates"},
        {baseline, "\"candidate_window_wh\":[" WINDOW, "\"candidate_window_wh\":[0",
         "baseline.candidate_window_wh[0]: must be an array"},
        {baseline, "\"candidate_window_wh\":[" WINDOW, "\"candidate_window_wh\":[[\"1\"]",
         "baseline.candidate_window_wh[0]: has 1 values, must have 8, the intervals of the "
         "adjustment window"},
        {baseline, "\"7\",\"8\"]", "\"7\",8]", "baseline.candidate_window_wh[0][7]: " NOT_A_NUMBER},
        {baseline, ",\"actual_window_wh\":" WINDOW, "", "baseline.actual_window_wh: missing"},
        {baseline, "\"actual_window_wh\":[", "\"actual_window_wh\":[\"0\",",
         "baseline.actual_window_wh: has 9 values, must have 8, the intervals of the adjustment "
         "window"},
        {baseline, "\"actual_window_wh\":[\"1\"", "\"actual_window_wh\":[\"x\"",
         "baseline.actual_window_wh[0]: " NOT_A_NUMBER},
    };
    RUN(rows);
}

/* Counts one beyond every limit, and on it. */
static void test_counts_at_their_limits(void **state)
{
    (void)state;
    static char series[TEXT_SIZE], text[TEXT_SIZE], other[TEXT_SIZE];
    for (int count = 100; count <= 101; count++) {
        size_t at = 0;
        for (int i = 0; i < count; i++)
            at += (size_t)snprintf(series + at, sizeof series - at, "%s\"1\"", i > 0 ? "," : "");
        change(text, schedule, "\"10\",\"10\"", series);
        change(other, text, "\"-5\",\"13\"", series);
        change(text, other, "\"7\",\"21\"", series);
        if (count == 101) {
            expect_fault(text, "contracted_wh: has 101 values, must have 1 to 100");
            continue;
        }
        struct settle_fault fault;
        char *line = settle_text(&fault, text, strlen(text));
        assert_non_null(line);
        assert_non_null(strstr(line, "\"paid_ueur\":\"0\",\"refunded_ueur\":\"2470\","
                                     "\"penalty_ueur\":\"1000\"}\n"));
        free(line);
    }
    size_t at = 0;
    for (int i = 0; i < LIMIT_BASELINE_DAYS + 1 - 3; i++)
        at += (size_t)snprintf(series + at, sizeof series - at,
                               ",{\"day\":%d,\"wh\":[\"1\",\"1\"]}", 10 + i);
    strcpy(other, "{\"day\":9,\"wh\":[\"2\",\"21\"]}");
    strcat(other, series);
    change(text, baseline, "{\"day\":9,\"wh\":[\"2\",\"21\"]}", other);
    expect_fault(text, "baseline.candidates: has 367 days, at most 366");
}

/* Places and keys longer than the fault's own text are cut and stay text. */
static void test_long_keys_are_cut(void **state)
{
    (void)state;
    static char key[2000], text[TEXT_SIZE];
    memset(key, 'k', sizeof key - 1);
    snprintf(text, sizeof text, "{\"%s\":1}", key);
    struct settle_fault fault;
    assert_null(settle_text(&fault, text, strlen(text)));
    assert_int_equal(strlen(fault.where), SETTLE_WHERE_SIZE - 1);
    assert_string_equal(fault.what, "unknown key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_problems),
        cmocka_unit_test(test_defaults_of_a_baseline),
        cmocka_unit_test(test_faults_of_the_text),
        cmocka_unit_test(test_faults_of_the_deal),
        cmocka_unit_test(test_faults_of_series),
        cmocka_unit_test(test_faults_of_a_baseline),
        cmocka_unit_test(test_counts_at_their_limits),
        cmocka_unit_test(test_long_keys_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
