/* Cursors and hex: layout of every integer, stickiness after each kind of failure, edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static void test_layout_is_big_endian(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct byte_writer writer;
    byte_writer_init(&writer, buffer, sizeof buffer);
    byte_write_u8(&writer, 0x01);
    byte_write_u16(&writer, 0x0203);
    byte_write_u32(&writer, 0x04050607);
    byte_write_u64(&writer, 0x08090a0b0c0d0e0f);
    byte_write_i64(&writer, -2);
    byte_write_raw(&writer, "ab", 2);
    byte_write_sized(&writer, "cde", 3);
    assert_false(writer.failed);
    static const char expected[] =
        "0102030405060708090a0b0c0d0e0ffffffffffffffffe616200000003636465";
    char text[2 * sizeof buffer + 1];
    hex_encode(text, buffer, writer.size);
    assert_string_equal(text, expected);

    struct byte_reader reader;
    char two[2];
    byte_reader_init(&reader, buffer, writer.size);
    assert_int_equal(byte_read_u8(&reader), 0x01);
    assert_int_equal(byte_read_u16(&reader), 0x0203);
    assert_int_equal(byte_read_u32(&reader), 0x04050607);
    assert_int_equal(byte_read_u64(&reader), 0x08090a0b0c0d0e0f);
    assert_int_equal(byte_read_i64(&reader), -2);
    byte_read_raw(&reader, two, 2);
    assert_memory_equal(two, "ab", 2);
    assert_false(byte_reader_done(&reader));
    struct bytes_view view = byte_read_sized(&reader, 3);
    assert_true(bytes_view_equal(view, bytes_view_of("cde", 3)));
    assert_true(byte_reader_done(&reader));
}

static void test_i64_edges(void **state)
{
    (void)state;
    static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t buffer[8];
        struct byte_writer writer;
        struct byte_reader reader;
        byte_writer_init(&writer, buffer, sizeof buffer);
        byte_write_i64(&writer, values[i]);
        byte_reader_init(&reader, buffer, sizeof buffer);
        assert_true(byte_read_i64(&reader) == values[i]);
    }
}

/* A writer that failed stays failed and writes nothing more, not even what would fit. */
static void test_writer_is_sticky(void **state)
{
    (void)state;
    uint8_t buffer[8];
    memset(buffer, 0xee, sizeof buffer);
    struct byte_writer writer;
    byte_writer_init(&writer, buffer, 3);
    byte_write_u16(&writer, 1);
    byte_write_u16(&writer, 2);
    assert_true(writer.failed);
    byte_write_u8(&writer, 3);
    byte_write_sized(&writer, "", 0);
    byte_write_raw(&writer, "x", 1);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 2);
    static const uint8_t expected[] = {0, 1, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    assert_memory_equal(buffer, expected, sizeof expected);
}

static void test_writer_refuses_giant_sizes(void **state)
{
    (void)state;
    uint8_t buffer[8];
    struct byte_writer writer;
    byte_writer_init(&writer, buffer, sizeof buffer);
    byte_write_raw(&writer, buffer, SIZE_MAX);
    assert_true(writer.failed);
    byte_writer_init(&writer, buffer, sizeof buffer);
    byte_write_sized(&writer, buffer, (size_t)UINT32_MAX + 1);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 0);
}

static void test_reader_is_sticky(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct byte_reader reader;
    byte_reader_init(&reader, bytes, sizeof bytes);
    assert_int_equal(byte_read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(byte_read_u8(&reader), 0);
    uint8_t out[2] = {9, 9};
    byte_read_raw(&reader, out, sizeof out);
    assert_int_equal(out[0], 0);
    assert_int_equal(byte_read_view(&reader, 1).size, 0);
    assert_int_equal(byte_read_sized(&reader, 1).size, 0);
    assert_int_equal(reader.at, 0);
    assert_false(byte_reader_done(&reader));
}

static void test_sized_limits(void **state)
{
    (void)state;
    static const uint8_t three[] = {0, 0, 0, 3, 'a', 'b', 'c'}, huge[] = {0xff, 0xff, 0xff, 0xff};
    struct byte_reader reader;
    byte_reader_init(&reader, three, sizeof three);
    assert_int_equal(byte_read_sized(&reader, 3).size, 3);
    byte_reader_init(&reader, three, sizeof three);
    assert_int_equal(byte_read_sized(&reader, 2).size, 0);
    assert_true(reader.failed);
    byte_reader_init(&reader, three, sizeof three - 1);
    assert_int_equal(byte_read_sized(&reader, 3).size, 0);
    assert_true(reader.failed);
    byte_reader_init(&reader, huge, sizeof huge);
    assert_int_equal(byte_read_sized(&reader, SIZE_MAX).size, 0);
    assert_true(reader.failed);
}

static void test_empty_views(void **state)
{
    (void)state;
    struct byte_reader reader;
    byte_reader_init(&reader, NULL, 0);
    assert_int_equal(byte_read_view(&reader, 0).size, 0);
    assert_true(byte_reader_done(&reader));
    assert_true(bytes_view_equal(bytes_view_of(NULL, 0), bytes_view_of("x", 0)));
    assert_false(bytes_view_equal(bytes_view_of("x", 1), bytes_view_of("xy", 2)));
    assert_false(bytes_view_equal(bytes_view_of("x", 1), bytes_view_of("y", 1)));
}

static void test_hex(void **state)
{
    (void)state;
    uint8_t out[2] = {7, 7};
    char text[5];
    assert_true(hex_decode(out, 2, "00ff"));
    hex_encode(text, out, 2);
    assert_string_equal(text, "00ff");
    static const char *const bad[] = {"",     "0",    "00f",  "00ff0", "00ff00",
                                      "00FF", "0x00", "00f ", " 0ff",  "00fg",
                                      "00f`", "00f/", "00f:", "-0ff",  "00f@"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        out[0] = 7;
        assert_false(hex_decode(out, 2, bad[i]));
        assert_int_equal(out[0], 7);
    }
    assert_true(hex_decode(out, 0, ""));
    assert_false(hex_decode(out, 0, "0"));
    hex_encode(text, out, 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_is_big_endian),
        cmocka_unit_test(test_i64_edges),
        cmocka_unit_test(test_writer_is_sticky),
        cmocka_unit_test(test_writer_refuses_giant_sizes),
        cmocka_unit_test(test_reader_is_sticky),
        cmocka_unit_test(test_sized_limits),
        cmocka_unit_test(test_empty_views),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
