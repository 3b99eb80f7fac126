/* Names: which texts are names, and that each has one encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/name.h"

static void test_good_names(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "0", "dso", "a-b_c.d", "9lives", "z--__..", "abcdefghijklmnopqrstuvwx"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct name name;
        char text[NAME_SIZE + 1];
        assert_true(name_from_text(&name, good[i], strlen(good[i])));
        assert_true(name_is_valid(&name));
        assert_false(name_is_empty(&name));
        assert_string_equal(name_to_text(text, &name), good[i]);
    }
}

static void test_bad_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-a",
                                      "_a",
                                      ".a",
                                      "A",
                                      "aB",
                                      "a b",
                                      "a/b",
                                      "a:b",
                                      "\xc3\xa9",
                                      "a\n",
                                      "a@",
                                      "abcdefghijklmnopqrstuvwxy",
                                      "a`",
                                      "a{"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct name name;
        memset(&name, 7, sizeof name);
        assert_false(name_from_text(&name, bad[i], strlen(bad[i])));
        assert_int_equal(name.text[0], 7);
    }
    struct name name;
    assert_false(name_from_text(&name, "a\0b", 3));
    assert_true(name_from_text(&name, "abc", 2)); /* the length counts, not a NUL */
    assert_int_equal(name.text[2], 0);
}

static void test_every_byte_value(void **state)
{
    (void)state;
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char later[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    for (int byte = 1; byte < 256; byte++) {
        struct name name;
        char text[2] = {(char)byte, 'a'};
        assert_int_equal(name_from_text(&name, text, 2), strchr(first, byte) != NULL);
        text[0] = 'a';
        text[1] = (char)byte;
        assert_int_equal(name_from_text(&name, text, 2), strchr(later, byte) != NULL);
    }
}

static void test_only_canonical_padding(void **state)
{
    (void)state;
    struct name name;
    assert_true(name_from_text(&name, "dso", 3));
    for (size_t i = 4; i < NAME_SIZE; i++) {
        struct name bad = name;
        bad.text[i] = 'x'; /* something after the first zero byte */
        assert_false(name_is_valid(&bad));
        bad = name;
        bad.text[i] = 1;
        assert_false(name_is_valid(&bad));
    }
    struct name empty = {{0}};
    assert_true(name_is_empty(&empty));
    assert_false(name_is_valid(&empty));
    empty.text[23] = 'a';
    assert_false(name_is_empty(&empty));
    assert_false(name_is_valid(&empty));
}

static void test_order_is_text_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"0", "a", "a-", "a.", "a0", "a_", "aa", "b"};
    size_t count = sizeof sorted / sizeof sorted[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct name a, b;
            assert_true(name_from_text(&a, sorted[i], strlen(sorted[i])));
            assert_true(name_from_text(&b, sorted[j], strlen(sorted[j])));
            assert_int_equal(name_compare(&a, &b), (i > j) - (i < j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_names),          cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_every_byte_value),    cmocka_unit_test(test_only_canonical_padding),
        cmocka_unit_test(test_order_is_text_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
