/* Strict UTF-8 (base/utf8.h): a code point has exactly one spelling, so equal texts are equal bytes.
 * Absent on purpose: normalisation; texts are compared as bytes and nothing is keyed by one. */
#include "base/utf8.h"

size_t utf8_decode(uint32_t *code, const uint8_t *text, size_t size)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (size == 0) {
        return 0;
    }
    uint8_t lead = text[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (more >= size) {
        return 0;
    }
    uint32_t value = lead & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3fu);
    }
    if (value < least[more] || value > 0x10ffff ||
        (value >= UTF8_HIGH_SURROGATE && value < UTF8_SURROGATE_END)) {
        return 0;
    }
    *code = value;
    return more + 1;
}
