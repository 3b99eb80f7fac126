/* The strict JSON reader: tables of texts that it takes and of texts that it refuses, with the place
 * of the fault; and that it never differs from cJSON on what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/json.h"
#include "tests/lib/random.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const good_texts[] = {
    "0",
    "-1",
    "10",
    "999999999999999",
    "-999999999999999",
    "true",
    "false",
    "null",
    "\"\"",
    "[]",
    "{}",
    " \t\r\n1 \t\r\n",
    "[1,2,[3]]",
    "{\"a\":1,\"b\":{\"a\":1}}",
    "{\"\":0}",
    "{\"a\":1,\"A\":2}",
    "[{\"a\":1},{\"a\":1}]",
    "{\"a\":{\"a\":{\"a\":[]}}}",
    "\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t\"",
    "\"\\u00e9\\u20AC\\uD83D\\ude00\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\x7f\"",
    "{\"\\u0061\":1,\"b\":2}",
    "[true,false,null,-5,\"x\",{},[]]",
};

static void test_good_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_texts); i++) {
        char problem[JSON_PROBLEM_SIZE] = "";
        struct cJSON *item = json_parse_strict(good_texts[i], strlen(good_texts[i]), problem);
        if (item == NULL) {
            fail_msg("%s: %s", good_texts[i], problem);
        }
        struct cJSON *expected = cJSON_Parse(good_texts[i]);
        assert_true(cJSON_Compare(item, expected, 1));
        cJSON_Delete(item);
        cJSON_Delete(expected);
    }
}

static const struct bad_row {
    const char *text;
    size_t size; /* 0: strlen */
    const char *problem;
} bad_rows[] = {
    {"", 0, "line 1 column 1: a value"},
    {"\xef\xbb\xbf{}", 0, "line 1 column 1: a value"},
    /* Numbers. */
    {"1e400", 0, "line 1 column 1: only integers"},
    {"1E2", 0, "line 1 column 1: only integers"},
    {"1.", 0, "line 1 column 1: only integers"},
    {"1.0", 0, "line 1 column 1: only integers"},
    {".5", 0, "line 1 column 1: a value"},
    {"01", 0, "line 1 column 1: number with a leading zero"},
    {"00", 0, "line 1 column 1: number with a leading zero"},
    {"-0", 0, "line 1 column 1: number with a leading zero"},
    {"-01", 0, "line 1 column 1: number with a leading zero"},
    {"-", 0, "line 1 column 1: a digit"},
    {"+1", 0, "line 1 column 1: a value"},
    {"--1", 0, "line 1 column 1: a digit"},
    {"1000000000000000", 0, "line 1 column 1: number over 999999999999999"},
    {"-1000000000000000", 0, "line 1 column 1: number over 999999999999999"},
    {"9000038700347971", 0, "line 1 column 1: number over 999999999999999"},
    {"9007199254740992", 0, "line 1 column 1: number over 999999999999999"},
    {"9007199254740993", 0, "line 1 column 1: number over 999999999999999"},
    {"-9007199254740992", 0, "line 1 column 1: number over 999999999999999"},
    {"123456789012345678901234567890", 0, "line 1 column 1: number over 999999999999999"},
    {"0x10", 0, "line 1 column 2: something follows"},
    {"1_000", 0, "line 1 column 2: something follows"},
    {"NaN", 0, "line 1 column 1: a value"},
    {"Infinity", 0, "line 1 column 1: a value"},
    /* Words. */
    {"nul", 0, "line 1 column 1: unknown word"},
    {"True", 0, "line 1 column 1: a value"},
    {"truee", 0, "line 1 column 5: something follows"},
    /* Strings. */
    {"\"abc", 0, "line 1 column 5: the string does not end"},
    {"\"a\tb\"", 0, "line 1 column 3: raw control"},
    {"\"a\nb\"", 0, "line 1 column 3: raw control"},
    {"\"a\0b\"", 5, "line 1 column 3: raw control"},
    {"\"\x1f\"", 0, "line 1 column 2: raw control"},
    {"\"\\u0000\"", 0, "line 1 column 4: the escape of NUL"},
    {"\"\\x41\"", 0, "line 1 column 3: unknown escape"},
    {"\"\\'\"", 0, "line 1 column 3: unknown escape"},
    {"\"\\", 0, "line 1 column 3: unknown escape"},
    {"\"\\u12\"", 0, "line 1 column 6: \\u needs four"},
    {"\"\\u12g4\"", 0, "line 1 column 6: \\u needs four"},
    {"\"\\ud800\"", 0, "line 1 column 4: half of a surrogate"},
    {"\"\\ud800x\"", 0, "line 1 column 4: half of a surrogate"},
    {"\"\\ud800\\n\"", 0, "line 1 column 9: half of a surrogate"},
    {"\"\\ud800\\ud800\"", 0, "line 1 column 4: half of a surrogate"},
    {"\"\\ud800\\u0041\"", 0, "line 1 column 4: half of a surrogate"},
    {"\"\\udc00\"", 0, "line 1 column 4: half of a surrogate"},
    {"'a'", 0, "line 1 column 1: a value"},
    /* UTF-8. */
    {"\"\xff\"", 0, "line 1 column 2: bad UTF-8"},
    {"\"\xc0\x80\"", 0, "line 1 column 2: bad UTF-8"},
    {"\"\xc3\"", 0, "line 1 column 2: bad UTF-8"},
    {"\"\xed\xa0\x80\"", 0, "line 1 column 2: bad UTF-8"},
    {"\"\xf4\x90\x80\x80\"", 0, "line 1 column 2: bad UTF-8"},
    {"\"\xe2\x82", 0, "line 1 column 2: bad UTF-8"},
    {"{\"\x80\":1}", 0, "line 1 column 3: bad UTF-8"},
    /* Structure. */
    {"{", 0, "line 1 column 2: a string"},
    {"[", 0, "line 1 column 2: a value"},
    {"[1,]", 0, "line 1 column 4: a value"},
    {"[,1]", 0, "line 1 column 2: a value"},
    {"[1 2]", 0, "line 1 column 4: ','"},
    {"[1}", 0, "line 1 column 3: ','"},
    {"[1", 0, "line 1 column 3: ','"},
    {"{\"a\"}", 0, "line 1 column 5: ':'"},
    {"{\"a\":}", 0, "line 1 column 6: a value"},
    {"{\"a\":1,}", 0, "line 1 column 8: a string"},
    {"{a:1}", 0, "line 1 column 2: a string"},
    {"{1:1}", 0, "line 1 column 2: a string"},
    {"{\"a\":1]", 0, "line 1 column 7: ','"},
    {"1 // comment", 0, "line 1 column 3: something follows"},
    {"/* c */ 1", 0, "line 1 column 1: a value"},
    {"{} {}", 0, "line 1 column 4: something follows"},
    {"{}x", 0, "line 1 column 3: something follows"},
    {"1\0", 2, "line 1 column 2: something follows"},
    {"\0", 1, "line 1 column 1: a value"},
    {"1\v", 0, "line 1 column 2: something follows"},
    {"1\xc2\xa0", 0, "line 1 column 2: something follows"},
    /* Equal keys, however spelled; the second one is named. */
    {"{\"a\":1,\"a\":2}", 0, "line 1 column 9: the object has this key twice"},
    {"{\"a\":1,\n \"b\":2,\n  \"a\":3}", 0, "line 3 column 4: the object has this key twice"},
    {"{\"a\":1,\"\\u0061\":2}", 0, "line 1 column 9: the object has this key twice"},
    {"{\"\xc3\xa9\":1,\"\\u00E9\":2}", 0, "line 1 column 10: the object has this key twice"},
    {"{\"\":1,\"\":2}", 0, "line 1 column 8: the object has this key twice"},
    {"[0,{\"x\":{\"k\":1,\"j\":2,\"k\":3}}]", 0, "line 1 column 23: the object has this key"},
    {"{\"a\":{\"a\":1},\"a\":2}", 0, "line 1 column 15: the object has this key twice"},
};

static void test_bad_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
        const struct bad_row *row = &bad_rows[i];
        char problem[JSON_PROBLEM_SIZE] = "";
        size_t size = row->size > 0 ? row->size : strlen(row->text);
        /* A copy of the exact size, so that the sanitizer sees a read beyond it. */
        char *copy = malloc(size > 0 ? size : 1);
        memcpy(copy, row->text, size);
        struct cJSON *item = json_parse_strict(copy, size, problem);
        free(copy);
        if (item != NULL || strncmp(problem, row->problem, strlen(row->problem)) != 0) {
            fail_msg("row %zu: %s: \"%s\"", i, row->text, problem);
        }
    }
}

static void nest(char *text, size_t depth, const char *open, const char *close)
{
    text[0] = '\0';
    for (size_t i = 0; i < depth; i++) {
        strcat(text, open);
    }
    strcat(text, "1");
    for (size_t i = 0; i < depth; i++) {
        strcat(text, close);
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[8 * (JSON_DEPTH_MAX + 2)], problem[JSON_PROBLEM_SIZE];
    static const char *const brackets[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    for (size_t i = 0; i < 2; i++) {
        nest(text, JSON_DEPTH_MAX, brackets[i][0], brackets[i][1]);
        struct cJSON *item = json_parse_strict(text, strlen(text), problem);
        assert_non_null(item);
        cJSON_Delete(item);
        nest(text, JSON_DEPTH_MAX + 1, brackets[i][0], brackets[i][1]);
        assert_null(json_parse_strict(text, strlen(text), problem));
        assert_non_null(strstr(problem, "nested too deep"));
    }
}

static void test_size_limit(void **state)
{
    (void)state;
    size_t size = (size_t)JSON_SIZE_MAX + 1;
    char problem[JSON_PROBLEM_SIZE], *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '1';
    struct cJSON *item = json_parse_strict(text, size - 1, problem);
    assert_non_null(item);
    cJSON_Delete(item);
    assert_null(json_parse_strict(text, size, problem));
    assert_non_null(strstr(problem, "text too long"));
    free(text);
}

/* Many keys in one object take n log n, not n squared; the one that comes twice is found. */
static void test_many_keys(void **state)
{
    (void)state;
    enum { KEYS = 50000, ROOM = KEYS * 16 };
    char problem[JSON_PROBLEM_SIZE], *text = malloc(ROOM);
    size_t size = 0;
    assert_non_null(text);
    for (unsigned i = 0; i < KEYS; i++) {
        size += (size_t)snprintf(text + size, ROOM - size, "%c\"k%u\":0", i == 0 ? '{' : ',', i);
    }
    size_t closed = size + (size_t)snprintf(text + size, ROOM - size, "}");
    struct cJSON *item = json_parse_strict(text, closed, problem);
    assert_non_null(item);
    assert_int_equal(cJSON_GetArraySize(item), KEYS);
    cJSON_Delete(item);
    size += (size_t)snprintf(text + size, ROOM - size, ",\"k777\":0}");
    assert_null(json_parse_strict(text, size, problem));
    assert_non_null(strstr(problem, "twice"));
    free(text);
}

/* Random mutations: whatever the reader takes, cJSON reads too, prints, and the reader takes again
 * with the same meaning. (From 10^15 on cJSON prints numbers with an exponent; amounts are strings.) */
static void test_mutations(void **state)
{
    (void)state;
    static const char seed_text[] = "{\"a\":[1,-20,\"x\\u00e9\\n\"],\"b\":{\"c\":true,\"d\":null},"
                                    "\"\xc3\xa9\":\"\xe2\x82\xac\",\"e\":123456789012345}";
    struct test_random random = {1};
    size_t taken = 0;
    for (int turn = 0; turn < 60000; turn++) {
        char text[sizeof seed_text], problem[JSON_PROBLEM_SIZE], again[JSON_PROBLEM_SIZE];
        memcpy(text, seed_text, sizeof text);
        size_t size = sizeof seed_text - 1;
        for (size_t i = 0; i <= test_random_below(&random, 3); i++) {
            text[test_random_below(&random, size)] =
                test_random_below(&random, 2) == 0 ? (char)test_random_u64(&random)
                                                   : seed_text[test_random_below(&random, size)];
        }
        struct cJSON *item = json_parse_strict(text, size, problem);
        if (item != NULL) {
            taken++;
            char *printed = cJSON_PrintUnformatted(item);
            struct cJSON *second = json_parse_strict(printed, strlen(printed), again);
            assert_non_null(second);
            assert_true(cJSON_Compare(item, second, 1));
            cJSON_Delete(second);
            free(printed);
        }
        cJSON_Delete(item);
    }
    assert_true(taken > 1000);
}

static struct cJSON *parsed(const char *text)
{
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *item = json_parse_strict(text, strlen(text), problem);
    assert_non_null(item);
    return item;
}

static void test_access(void **state)
{
    (void)state;
    struct cJSON *object =
        parsed("{\"s\":\"x\",\"a\":[1],\"o\":{\"k\":1},\"t\":true,\"f\":false,\"i\":\"-5\","
               "\"u\":\"18446744073709551615\",\"n\":4294967295,\"big\":4294967296,\"neg\":-1,"
               "\"bad\":\"05\",\"z\":null}");
    bool truth = false;
    int64_t i64 = 7;
    uint64_t u64 = 7;
    uint32_t u32 = 7;
    assert_string_equal(json_string(object, "s"), "x");
    assert_null(json_string(object, "S"));
    assert_null(json_string(object, "a"));
    assert_null(json_string(object, "z"));
    assert_non_null(json_array(object, "a"));
    assert_null(json_array(object, "o"));
    assert_non_null(json_object(object, "o"));
    assert_null(json_object(object, "a"));
    assert_true(json_bool(&truth, object, "t") && truth);
    assert_true(json_bool(&truth, object, "f") && !truth);
    assert_false(json_bool(&truth, object, "n"));
    assert_true(json_i64(&i64, object, "i") && i64 == -5);
    assert_false(json_i64(&i64, object, "u"));
    assert_false(json_i64(&i64, object, "n"));
    assert_false(json_i64(&i64, object, "bad"));
    assert_true(json_u64(&u64, object, "u") && u64 == UINT64_MAX);
    assert_false(json_u64(&u64, object, "i"));
    assert_true(json_u32(&u32, object, "n") && u32 == UINT32_MAX);
    assert_false(json_u32(&u32, object, "big"));
    assert_false(json_u32(&u32, object, "neg"));
    assert_false(json_u32(&u32, object, "i"));
    assert_false(json_u32(&u32, object, "none"));
    assert_true(u32 == UINT32_MAX && i64 == -5);
    cJSON_Delete(object);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    static const char *const known[] = {"a", "b", NULL};
    struct cJSON *good = parsed("{\"b\":1,\"a\":2}"), *bad = parsed("{\"a\":1,\"B\":2,\"c\":3}"),
                 *array = parsed("[1]");
    assert_null(json_unknown_key(good, known));
    assert_string_equal(json_unknown_key(bad, known), "B");
    assert_null(json_unknown_key(array, known));
    cJSON_Delete(good);
    cJSON_Delete(bad);
    cJSON_Delete(array);
}

static void test_adding(void **state)
{
    (void)state;
    struct cJSON *object = cJSON_CreateObject();
    json_add_i64(object, "i", INT64_MIN);
    json_add_u64(object, "u", UINT64_MAX);
    json_add_u32(object, "n", UINT32_MAX);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, "{\"i\":\"-9223372036854775808\",\"u\":\"18446744073709551615\","
                              "\"n\":4294967295}");
    uint32_t u32;
    assert_true(json_u32(&u32, object, "n") && u32 == UINT32_MAX);
    free(text);
    cJSON_Delete(object);
}

/* The allocation after that many fails, and no other. */
static size_t allocations_left;

static void *failing_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Fails the n-th allocation of cJSON, for every n. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,\"x\",{\"b\":true}]}";
    cJSON_Hooks failing = {failing_malloc, free};
    size_t n = 0;
    for (bool done = false; !done && n < 100; n++) {
        char problem[JSON_PROBLEM_SIZE] = "";
        allocations_left = n;
        cJSON_InitHooks(&failing);
        struct cJSON *item = json_parse_strict(text, sizeof text - 1, problem);
        cJSON_InitHooks(NULL);
        done = item != NULL;
        assert_true(done || strstr(problem, "out of memory") != NULL);
        cJSON_Delete(item);
    }
    assert_in_range(n, 5, 99);
    struct cJSON *object = cJSON_CreateObject();
    allocations_left = 0;
    cJSON_InitHooks(&failing);
    json_add_u32(object, "n", 1);
    allocations_left = 0;
    json_add_u64(object, "u", 1);
    cJSON_InitHooks(NULL);
    assert_int_equal(cJSON_GetArraySize(object), 0);
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_texts), cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_depth),      cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_many_keys),  cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_access),     cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_adding),     cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
