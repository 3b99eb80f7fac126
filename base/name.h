/* Names of participants, devices, markets, zones: readable, of fixed width, sortable.
 *
 * 1 to 24 characters out of a-z 0-9 '-' '_' '.', first one a letter or digit, padded with zero
 * bytes. There is one encoding per name, and memcmp sorts names as text. */
#ifndef FLEX_BASE_NAME_H
#define FLEX_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_SIZE = 24 };

struct name {
    char text[NAME_SIZE];
};

/* False (out untouched) if `text` of `length` bytes is not a name. */
bool name_from_text(struct name *out, const char *text, size_t length);
/* out holds NAME_SIZE + 1 bytes; the result ends in NUL. Returns out. */
const char *name_to_text(char out[NAME_SIZE + 1], const struct name *name);
/* Canonical form: legal characters, nothing after the first zero byte but zero bytes. */
bool name_is_valid(const struct name *name);
/* All zero bytes: "no name", legal only where a record's field says so. */
bool name_is_empty(const struct name *name);
int name_compare(const struct name *a, const struct name *b);

#endif
