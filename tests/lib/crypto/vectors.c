/* The reader of vector files (tests/lib/crypto/vectors.h): no quoting, no empty lines, one heading.
 * It is as strict as it is small, so that a damaged file fails and does not shrink the test. */
#include "tests/lib/crypto/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

size_t vectors_each(const char *path, vector_row_fn row)
{
    static char line[VECTOR_LINE_SIZE];
    FILE *file = fopen(path, "r");
    size_t rows = 0;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file) != NULL) {
        char *fields[VECTOR_FIELDS_MAX] = {0};
        size_t count = 0;
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        for (char *at = line; at != NULL;) {
            assert_true(count < VECTOR_FIELDS_MAX);
            fields[count++] = strsep(&at, ",");
        }
        row(fields, count);
        rows++;
    }
    fclose(file);
    return rows;
}

static unsigned hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = strchr(digits, digit);
    assert_true(digit != '\0' && found != NULL);
    return (unsigned)(found - digits) % 16;
}

size_t vector_hex(uint8_t *out, size_t capacity, const char *text)
{
    size_t length = strlen(text);
    assert_true(length % 2 == 0 && length / 2 <= capacity);
    for (size_t i = 0; i < length / 2; i++) {
        out[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    return length / 2;
}
