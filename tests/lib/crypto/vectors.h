/* Reads the comma-separated files under tests/vectors/, which hold no quotes. */
#ifndef FLEX_TESTS_LIB_CRYPTO_VECTORS_H
#define FLEX_TESTS_LIB_CRYPTO_VECTORS_H

#include <stddef.h>
#include <stdint.h>

enum { VECTOR_FIELDS_MAX = 8, VECTOR_LINE_SIZE = 16384 };

/* Called per row after the heading; `fields` end in NUL. */
typedef void (*vector_row_fn)(char *const fields[VECTOR_FIELDS_MAX], size_t field_count);

/* Rows read. Fails the test if the file is missing (tests run in the repository's root). */
size_t vectors_each(const char *path, vector_row_fn row);
/* Hex of either case, all of it; returns the number of bytes. Fails the test if it is not hex or
 * longer than `capacity`. */
size_t vector_hex(uint8_t *out, size_t capacity, const char *text);

#endif
