/* The codec's JSON: the form, frozen; the round trip; and every refusal with the place it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/json.h"
#include "tests/lib/base/sample_record.h"

static const char good_json[] =
    "{\"u8\":255,\"u16\":258,\"u32\":4294967295,\"u64\":\"18446744073709551615\","
    "\"i64\":\"-9223372036854775808\",\"price_ueur\":\"-150000\",\"yes\":true,"
    "\"colour\":\"blue\",\"flags\":[\"sun\",\"wind\"],\"id\":\"dso-1\",\"other\":\"west\","
    "\"fixed\":\"007f80ff\",\"bytes\":\"010203\",\"text\":\"Z\xc3\xbcrich \\\"5\\\"\","
    "\"one\":{\"small\":7,\"number\":\"9223372036854775807\"},"
    "\"items\":[{\"small\":1,\"number\":\"-1\"},{\"small\":2,\"number\":\"0\"}]}";

struct reading {
    struct sample sample;
    uint8_t scratch[64];
    char problem[160];
    bool good;
};

static void read_text(struct reading *reading, const char *text, size_t scratch_size)
{
    char problem[JSON_PROBLEM_SIZE];
    struct byte_writer scratch;
    struct cJSON *object = json_parse_strict(text, strlen(text), problem);
    if (object == NULL) {
        fail_msg("not JSON: %s: %s", problem, text);
    }
    reading->problem[0] = '\0';
    byte_writer_init(&scratch, reading->scratch, scratch_size);
    reading->good = codec_from_json(&sample_record, &reading->sample, object, &scratch,
                                    reading->problem, sizeof reading->problem);
    cJSON_Delete(object);
}

static void test_form_is_frozen(void **state)
{
    (void)state;
    struct sample sample = sample_make();
    struct cJSON *object = codec_to_json(&sample_record, &sample);
    assert_non_null(object);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, good_json);
    free(text);

    /* The tree reads back as it stands, too, without going through text. */
    struct reading reading;
    struct byte_writer scratch;
    byte_writer_init(&scratch, reading.scratch, sizeof reading.scratch);
    assert_true(codec_from_json(&sample_record, &reading.sample, object, &scratch, reading.problem,
                                sizeof reading.problem));
    assert_true(sample_equal(&sample, &reading.sample));
    cJSON_Delete(object);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct sample sample = sample_make();
    struct reading reading;
    read_text(&reading, good_json, sizeof reading.scratch);
    assert_true(reading.good);
    assert_true(sample_equal(&sample, &reading.sample));
}

static void test_empty_values(void **state)
{
    (void)state;
    struct sample sample;
    memset(&sample, 0, sizeof sample);
    sample.id.text[0] = 'a';
    struct cJSON *object = codec_to_json(&sample_record, &sample);
    char *text = cJSON_PrintUnformatted(object);
    struct reading reading;
    read_text(&reading, text, 0);
    assert_true(reading.good);
    assert_true(sample_equal(&sample, &reading.sample));
    free(text);
    cJSON_Delete(object);
}

static void test_members_in_any_order(void **state)
{
    (void)state;
    struct sample sample = sample_make();
    struct cJSON *object = cJSON_Parse(good_json), *moved = cJSON_CreateObject();
    assert_non_null(object);
    while (object->child != NULL) {
        struct cJSON *last = object->child->prev; /* cJSON keeps the last child there */
        char *key = strdup(last->string);
        cJSON_AddItemToObject(moved, key, cJSON_DetachItemViaPointer(object, last));
        free(key);
    }
    struct reading reading;
    struct byte_writer scratch;
    byte_writer_init(&scratch, reading.scratch, sizeof reading.scratch);
    assert_true(codec_from_json(&sample_record, &reading.sample, moved, &scratch, reading.problem,
                                sizeof reading.problem));
    assert_true(sample_equal(&sample, &reading.sample));
    cJSON_Delete(object);
    cJSON_Delete(moved);
}

/* `from` in the good text becomes `to`; the problem must begin with `where`. */
static const struct bad_row {
    const char *from;
    const char *to;
    const char *where;
} bad_rows[] = {
    {"\"u8\":255", "\"u8\":256", "u8: a number from 0 to 255"},
    {"\"u8\":255", "\"u8\":-1", "u8:"},
    {"\"u8\":255", "\"u8\":\"255\"", "u8:"},
    {"\"u8\":255", "\"u8\":null", "u8:"},
    {"\"u8\":255,", "", "u8: is missing"},
    {"\"u8\":255", "\"U8\":255", "u8: is missing"},
    {"\"u8\":255", "\"u8\":255,\"more\":1", "unknown key \"more\""},
    {"\"u16\":258", "\"u16\":65536", "u16:"},
    {"4294967295", "4294967296", "u32: a number from 0 to 4294967295"},
    {"\"18446744073709551615\"", "\"18446744073709551616\"", "u64:"},
    {"\"18446744073709551615\"", "1", "u64: a decimal string"},
    {"\"18446744073709551615\"", "\"-1\"", "u64:"},
    {"\"-9223372036854775808\"", "\"-9223372036854775809\"", "i64:"},
    {"\"-9223372036854775808\"", "\"\"", "i64:"},
    {"\"-150000\"", "\"-0150000\"", "price_ueur:"},
    {"\"-150000\"", "\"-1.5\"", "price_ueur:"},
    {"\"yes\":true", "\"yes\":1", "yes: true or false"},
    {"\"yes\":true", "\"yes\":\"true\"", "yes:"},
    {"\"blue\"", "\"green\"", "colour:"},
    {"\"blue\"", "\"Blue\"", "colour:"},
    {"\"blue\"", "2", "colour:"},
    {"[\"sun\",\"wind\"]", "[\"sun\",\"sun\"]", "flags:"},
    {"[\"sun\",\"wind\"]", "[\"rain\"]", "flags:"},
    {"[\"sun\",\"wind\"]", "[1]", "flags:"},
    {"[\"sun\",\"wind\"]", "5", "flags: an array"},
    {"\"dso-1\"", "\"DSO-1\"", "id: a name"},
    {"\"dso-1\"", "\"\"", "id:"},
    {"\"west\"", "\"we st\"", "other:"},
    {"\"007f80ff\"", "\"007f80\"", "fixed: 8 lower-case hex digits"},
    {"\"007f80ff\"", "\"007f80ff00\"", "fixed:"},
    {"\"007f80ff\"", "\"007F80FF\"", "fixed:"},
    {"\"010203\"", "\"01020\"", "bytes:"},
    {"\"010203\"", "\"01020g\"", "bytes:"},
    {"\"010203\"", "\"01020304050607\"", "bytes: longer than 6"},
    {"\"010203\"", "[]", "bytes: a string"},
    {"rich", "rich is too long", "text: longer than 12"},
    {"rich", "\\n", "text: control"},
    {"rich", "\\u0085", "text: control"},
    {"\"one\":{", "\"one\":[{", "one: an object"},
    {"\"number\":\"9223372036854775807\"", "\"number\":7", "one.number:"},
    {"\"small\":7,", "", "one.small: is missing"},
    {"\"small\":2", "\"small\":300", "items[1].small:"},
    {"\"small\":2", "\"small\":2,\"x\":0", "items[1]: unknown key \"x\""},
    {"{\"small\":2,\"number\":\"0\"}", "3", "items[1]: an object"},
    {"\"items\":", "\"items\":7,\"more\":", "items: an array"},
};

/* Replaces the first `from`; closes the bracket that one row opens. */
static void edited_json(char *out, size_t size, const struct bad_row *row)
{
    const char *at = strstr(good_json, row->from);
    assert_non_null(at);
    snprintf(out, size, "%.*s%s%s", (int)(at - good_json), good_json, row->to,
             at + strlen(row->from));
    if (strstr(row->to, "[{") != NULL) {
        char rest[512];
        char *close = strchr(strstr(out, row->to), '}');
        snprintf(rest, sizeof rest, "}]%s", close + 1);
        strcpy(close, rest);
    }
}

static void test_refusals_name_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof bad_rows[0]; i++) {
        char text[1024];
        struct reading reading;
        edited_json(text, sizeof text, &bad_rows[i]);
        read_text(&reading, text, sizeof reading.scratch);
        if (reading.good ||
            strncmp(reading.problem, bad_rows[i].where, strlen(bad_rows[i].where)) != 0) {
            fail_msg("row %zu: %s: \"%s\"", i, bad_rows[i].to, reading.problem);
        }
    }
}

static void test_too_many_elements(void **state)
{
    (void)state;
    static const struct bad_row row = {
        "{\"small\":2,\"number\":\"0\"}",
        "{\"small\":2,\"number\":\"0\"},{\"small\":2,\"number\":\"0\"},"
        "{\"small\":2,\"number\":\"0\"}",
        "items: more than 3 elements"};
    char text[1024];
    struct reading reading;
    edited_json(text, sizeof text, &row);
    read_text(&reading, text, sizeof reading.scratch);
    assert_false(reading.good);
    assert_string_equal(reading.problem, row.where);
}

static void test_scratch_too_small(void **state)
{
    (void)state;
    struct reading reading;
    for (size_t size = 0; size < 14; size++) {
        read_text(&reading, good_json, size);
        assert_false(reading.good);
        assert_non_null(strstr(reading.problem, "no room"));
    }
    read_text(&reading, good_json, 14); /* 3 bytes and 11 of text */
    assert_true(reading.good);
}

static void test_not_an_object(void **state)
{
    (void)state;
    struct reading reading;
    read_text(&reading, "[]", sizeof reading.scratch);
    assert_false(reading.good);
    assert_string_equal(reading.problem, "an object must stand here");
    /* A tiny buffer for the problem is filled as far as it goes. */
    struct cJSON *object = cJSON_Parse("{}");
    struct byte_writer scratch;
    char problem[4];
    byte_writer_init(&scratch, reading.scratch, sizeof reading.scratch);
    assert_false(codec_from_json(&sample_record, &reading.sample, object, &scratch, problem,
                                 sizeof problem));
    assert_string_equal(problem, "u8:");
    cJSON_Delete(object);
}

/* Fails the n-th allocation, for every n: no crash, no leak (the sanitizers watch), NULL. */
static size_t allocations_left;

static void *failing_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct sample sample = sample_make();
    cJSON_Hooks failing = {failing_malloc, free};
    size_t n = 0;
    for (bool done = false; !done && n < 1000; n++) {
        allocations_left = n;
        cJSON_InitHooks(&failing);
        struct cJSON *object = codec_to_json(&sample_record, &sample);
        cJSON_InitHooks(NULL);
        done = object != NULL;
        cJSON_Delete(object);
    }
    assert_in_range(n, 30, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form_is_frozen),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_values),
        cmocka_unit_test(test_members_in_any_order),
        cmocka_unit_test(test_refusals_name_the_place),
        cmocka_unit_test(test_too_many_elements),
        cmocka_unit_test(test_scratch_too_small),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
