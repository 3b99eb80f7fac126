/* CRC-64/XZ against a model of one bit at a time, whatever way the processor takes: each size, each
 * alignment, each cut of a message into two, and the check value that the algorithm is known by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "storage/checksum.h"

enum { BYTES = 1200, OFFSETS = 17 };

static uint8_t bytes[BYTES + OFFSETS];

static int fill(void **state)
{
    uint64_t random = 1;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(random >> 56);
    }
    return 0;
}

static uint64_t model_update(uint64_t state, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        state ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            state = (state & 1) != 0 ? state >> 1 ^ UINT64_C(0xC96C5795D7870F42) : state >> 1;
        }
    }
    return state;
}

static void test_has_the_known_check_value(void **state)
{
    (void)state;
    const uint64_t found = checksum_end(checksum_update(checksum_begin(), "123456789", 9));
    assert_int_equal(found, UINT64_C(0x995DC9BBDF1939FA));
}

static void test_equals_the_model_at_each_size_and_alignment(void **state)
{
    (void)state;
    for (size_t size = 0; size <= BYTES; size += size < 300 ? 1 : 37) {
        const size_t offset = size % OFFSETS;
        assert_int_equal(checksum_update(checksum_begin(), bytes + offset, size),
                         model_update(UINT64_MAX, bytes + offset, size));
    }
}

static void test_does_not_depend_on_where_a_message_is_cut(void **state)
{
    enum { WHOLE = 131 };
    (void)state;
    const uint64_t expected = model_update(UINT64_MAX, bytes, WHOLE);
    for (size_t cut = 0; cut <= WHOLE; cut++) {
        uint64_t found = checksum_update(checksum_begin(), bytes, cut);
        found = checksum_update(found, bytes + cut, WHOLE - cut);
        assert_int_equal(found, expected);
    }
}

/* Short ones take one pass over a copy of both, long ones one pass each. */
static void test_record_is_size_key_and_value_in_a_row(void **state)
{
    (void)state;
    for (size_t key_size = 0; key_size <= 100; key_size += 9) {
        for (size_t size = 0; size <= 1000; size += 31) {
            const uint8_t head[2] = {0, (uint8_t)key_size};
            uint64_t expected = model_update(UINT64_MAX, head, 2);
            expected = model_update(expected, bytes, key_size);
            expected = ~model_update(expected, bytes + key_size, size);
            const struct bytes_view key = bytes_view_of(key_size == 0 ? NULL : bytes, key_size);
            const struct bytes_view value =
                bytes_view_of(size == 0 ? NULL : bytes + key_size, size);
            assert_int_equal(checksum_record(key, value), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has_the_known_check_value),
        cmocka_unit_test(test_equals_the_model_at_each_size_and_alignment),
        cmocka_unit_test(test_does_not_depend_on_where_a_message_is_cut),
        cmocka_unit_test(test_record_is_size_key_and_value_in_a_row),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
