/* The codec's bytes: the layout, frozen; round trips; and every way in which bytes or structs can
 * fail to be canonical. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/base/sample_record.h"
#include "tests/lib/random.h"

enum { BUFFER_SIZE = 512 };

/* Where each field of the encoded sample begins. */
enum {
    AT_U8 = 0,
    AT_U16 = 1,
    AT_U32 = 3,
    AT_U64 = 7,
    AT_I64 = 15,
    AT_PRICE = 23,
    AT_YES = 31,
    AT_COLOUR = 32,
    AT_FLAGS = 33,
    AT_ID = 37,
    AT_OTHER = 61,
    AT_FIXED = 85,
    AT_BYTES = 89,
    AT_TEXT = 96,
    AT_ONE = 111,
    AT_ITEMS = 120,
    SAMPLE_SIZE = 142
};

static const char frozen[] = "ff"
                             "0102"
                             "ffffffff"
                             "ffffffffffffffff"
                             "8000000000000000"
                             "fffffffffffdb610"
                             "01"
                             "02"
                             "00000005"
                             "64736f2d3100000000000000000000000000000000000000"
                             "776573740000000000000000000000000000000000000000"
                             "007f80ff"
                             "00000003"
                             "010203"
                             "0000000b"
                             "5ac3bc72696368202235"
                             "22"
                             "07"
                             "7fffffffffffffff"
                             "00000002"
                             "01ffffffffffffffff"
                             "020000000000000000";

static size_t encode(uint8_t out[BUFFER_SIZE], const struct sample *sample)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, BUFFER_SIZE);
    codec_encode(&sample_record, sample, &writer);
    return writer.failed ? 0 : writer.size;
}

static void test_layout_is_frozen(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE];
    char text[2 * BUFFER_SIZE + 1];
    struct sample sample = sample_make(), back;
    size_t size = encode(buffer, &sample);
    assert_int_equal(size, SAMPLE_SIZE);
    hex_encode(text, buffer, size);
    assert_string_equal(text, frozen);
    memset(&back, 0xaa, sizeof back);
    assert_true(codec_decode_all(&sample_record, &back, bytes_view_of(buffer, size)));
    assert_true(sample_equal(&sample, &back));
    assert_true(size <= codec_size_max(&sample_record));
}

static void test_largest_and_smallest(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE];
    struct sample sample = sample_make(), back;
    sample.bytes = bytes_view_of("123456", SAMPLE_BYTES_MAX);
    sample.text = bytes_view_of("123456789012", SAMPLE_TEXT_MAX);
    sample.item_count = SAMPLE_ITEMS_MAX;
    sample.items[2] = (struct sample_item){3, 3};
    size_t size = encode(buffer, &sample);
    assert_int_equal(size, codec_size_max(&sample_record));
    assert_true(codec_decode_all(&sample_record, &back, bytes_view_of(buffer, size)));
    assert_true(sample_equal(&sample, &back));

    memset(&sample, 0, sizeof sample);
    sample.id.text[0] = 'a'; /* the only field that must not be empty */
    size = encode(buffer, &sample);
    assert_true(size > 0);
    assert_true(codec_decode_all(&sample_record, &back, bytes_view_of(buffer, size)));
    assert_true(sample_equal(&sample, &back));
    assert_memory_equal(&sample, &back, sizeof sample);
}

static void test_every_cut_fails(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE] = {0};
    struct sample sample = sample_make(), back;
    size_t size = encode(buffer, &sample);
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(codec_decode_all(&sample_record, &back, bytes_view_of(buffer, cut)));
        struct byte_writer writer;
        uint8_t small[BUFFER_SIZE];
        byte_writer_init(&writer, small, cut);
        codec_encode(&sample_record, &sample, &writer);
        assert_true(writer.failed);
    }
    assert_false(codec_decode_all(&sample_record, &back, bytes_view_of(buffer, size + 1)));
}

static void test_views_point_into_input(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE];
    struct sample sample = sample_make();
    size_t size = encode(buffer, &sample);
    assert_true(codec_decode_all(&sample_record, &sample, bytes_view_of(buffer, size)));
    assert_ptr_equal(sample.bytes.data, buffer + AT_BYTES + 4);
    assert_ptr_equal(sample.text.data, buffer + AT_TEXT + 4);
}

/* One byte of the good encoding replaced. */
static const struct bad_byte_row {
    size_t at;
    uint8_t value;
    const char *what;
} bad_bytes[] = {
    {AT_YES, 2, "neither true nor false"},
    {AT_COLOUR, 1, "a hole in the enum"},
    {AT_COLOUR, 3, "beyond the enum"},
    {AT_COLOUR, 255, "far beyond the enum"},
    {AT_FLAGS + 3, 2, "a hole in the flags"},
    {AT_FLAGS + 3, 8, "beyond the flags"},
    {AT_FLAGS, 0x80, "the highest flag"},
    {AT_ID, 0, "no name where one must be"},
    {AT_ID, 'D', "upper case in a name"},
    {AT_ID, '-', "a name starts with a hyphen"},
    {AT_ID + 23, 'x', "something after a name's end"},
    {AT_OTHER, 0, "half an empty name"},
    {AT_OTHER + 4, ' ', "a blank in a name"},
    {AT_BYTES, 1, "a length beyond all bounds"},
    {AT_BYTES + 3, SAMPLE_BYTES_MAX + 1, "a length over the limit"},
    {AT_TEXT + 3, SAMPLE_TEXT_MAX + 1, "a text over the limit"},
    {AT_TEXT + 4, '\n', "a control character"},
    {AT_TEXT + 4, 0x7f, "DEL"},
    {AT_TEXT + 4, 0, "NUL"},
    {AT_TEXT + 5, 0xc2, "half a C1 control: c2 bc is fine, see below"},
    {AT_TEXT + 5, 0xc1, "an overlong lead byte"},
    {AT_TEXT + 6, 'x', "a cut sequence"},
    {AT_TEXT + 14, 0xc3, "a sequence over the end"},
    {AT_ITEMS, 1, "a count beyond all bounds"},
    {AT_ITEMS + 3, SAMPLE_ITEMS_MAX + 1, "a count over the limit"},
};

static void test_bad_bytes(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE] = {0};
    struct sample sample = sample_make(), back;
    size_t size = encode(buffer, &sample);
    for (size_t i = 0; i < sizeof bad_bytes / sizeof bad_bytes[0]; i++) {
        const struct bad_byte_row *row = &bad_bytes[i];
        uint8_t good = buffer[row->at];
        buffer[row->at] = row->value;
        bool fine = strstr(row->what, "is fine") != NULL;
        if (codec_decode_all(&sample_record, &back, bytes_view_of(buffer, size)) != fine) {
            fail_msg("%s", row->what);
        }
        buffer[row->at] = good;
    }
}

/* One element more than the array has room for, with all its bytes there. */
static void test_array_over_the_limit(void **state)
{
    (void)state;
    uint8_t buffer[BUFFER_SIZE] = {0};
    struct sample sample = sample_make(), back[2];
    encode(buffer, &sample);
    buffer[AT_ITEMS + 3] = SAMPLE_ITEMS_MAX;
    assert_true(codec_decode_all(&sample_record, back, bytes_view_of(buffer, SAMPLE_SIZE + 9)));
    buffer[AT_ITEMS + 3] = SAMPLE_ITEMS_MAX + 1;
    assert_false(codec_decode_all(&sample_record, back, bytes_view_of(buffer, SAMPLE_SIZE + 18)));
}

static void check_refused(struct sample sample)
{
    uint8_t buffer[BUFFER_SIZE];
    assert_int_equal(encode(buffer, &sample), 0);
}

/* The encoder refuses what the decoder would: nobody can sign what nobody can read. */
static void test_bad_structs(void **state)
{
    (void)state;
    struct sample bad;
    bad = sample_make(), bad.yes = 2, check_refused(bad);
    bad = sample_make(), bad.colour = 1, check_refused(bad);
    bad = sample_make(), bad.colour = 3, check_refused(bad);
    bad = sample_make(), bad.flags = 2, check_refused(bad);
    bad = sample_make(), bad.flags = 8, check_refused(bad);
    bad = sample_make(), bad.flags = 1u << 31, check_refused(bad);
    bad = sample_make(), memset(&bad.id, 0, sizeof bad.id), check_refused(bad);
    bad = sample_make(), bad.id.text[0] = 'X', check_refused(bad);
    bad = sample_make(), bad.other.text[0] = 0, check_refused(bad);
    bad = sample_make(), bad.bytes.size = SAMPLE_BYTES_MAX + 1, check_refused(bad);
    bad = sample_make(), bad.text = bytes_view_of("1234567890123", 13), check_refused(bad);
    bad = sample_make(), bad.text = bytes_view_of("a\tb", 3), check_refused(bad);
    bad = sample_make(), bad.text = bytes_view_of("\xff", 1), check_refused(bad);
    bad = sample_make(), bad.item_count = SAMPLE_ITEMS_MAX + 1, check_refused(bad);
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool legal;
    } rows[] = {
        {"", true},
        {"plain", true},
        {"\xc2\xa0", true},          /* first after the C1 controls */
        {"\xc2\x80", false},         /* first of them */
        {"\xc2\x9f", false},         /* last of them */
        {"\xdf\xbf", true},          /* last of two bytes */
        {"\xe0\xa0\x80", true},      /* first of three */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xed\x9f\xbf", true},      /* last before the surrogates */
        {"\xed\xa0\x80", false},     /* first surrogate */
        {"\xed\xbf\xbf", false},     /* last surrogate */
        {"\xee\x80\x80", true},      /* first after them */
        {"\xf0\x90\x80\x80", true},  /* first of four */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xf4\x8f\xbf\xbf", true},  /* the last code point */
        {"\xf4\x90\x80\x80", false}, /* beyond it */
        {"\xf5\x80\x80\x80", false},
        {"\xc0\x80", false}, /* NUL in disguise */
        {"\x80", false},
        {"\xe2\x82", false},
        {"\xe2\x28\xa1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t buffer[BUFFER_SIZE];
        struct sample sample = sample_make();
        sample.text = bytes_view_of(rows[i].text, strlen(rows[i].text));
        assert_int_equal(encode(buffer, &sample) > 0, rows[i].legal);
    }
}

/* Whatever mutated bytes the decoder accepts, the encoder gives back to the byte. */
static void test_accepted_bytes_are_canonical(void **state)
{
    (void)state;
    struct test_random random = {1};
    uint8_t good[BUFFER_SIZE], mutated[BUFFER_SIZE], again[BUFFER_SIZE];
    struct sample sample = sample_make(), back;
    size_t size = encode(good, &sample), accepted = 0;
    for (int turn = 0; turn < 50000; turn++) {
        memcpy(mutated, good, size);
        size_t changes = 1 + test_random_below(&random, 3);
        for (size_t i = 0; i < changes; i++) {
            mutated[test_random_below(&random, size)] ^=
                (uint8_t)(1 << test_random_below(&random, 8));
        }
        if (codec_decode_all(&sample_record, &back, bytes_view_of(mutated, size))) {
            accepted++;
            assert_int_equal(encode(again, &back), size);
            assert_memory_equal(again, mutated, size);
        }
    }
    assert_true(accepted > 5000 && accepted < 45000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_is_frozen),
        cmocka_unit_test(test_largest_and_smallest),
        cmocka_unit_test(test_every_cut_fails),
        cmocka_unit_test(test_views_point_into_input),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_array_over_the_limit),
        cmocka_unit_test(test_bad_structs),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_accepted_bytes_are_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
