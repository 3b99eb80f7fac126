/* UTF-8, one code point at a time; used by the codec and the JSON reader alone. */
#ifndef FLEX_BASE_UTF8_H
#define FLEX_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_HIGH_SURROGATE = 0xd800, UTF8_LOW_SURROGATE = 0xdc00, UTF8_SURROGATE_END = 0xe000 };

/* Decodes the sequence at `text` and returns its length, 1 to 4. 0 if it is none: cut off by `size`,
 * not in its shortest form, a surrogate, or over U+10FFFF (RFC 3629, section 3). */
size_t utf8_decode(uint32_t *code, const uint8_t *text, size_t size);

#endif
