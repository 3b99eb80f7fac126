/* Checked integer arithmetic (base/checked.h).
 *
 * Additions use the compilers' overflow built-ins. The 128-bit product does not: clang turns that
 * one into a call of __muloti4, which libgcc lacks, so it is done on magnitudes here and is the
 * same code under both compilers. Absent on purpose: saturating and wrapping forms. */
#include "base/checked.h"

#include <stddef.h>
#include <string.h>

#include "base/assumptions.h"
#include "base/fatal.h"

#define INT128_MIN_MAGNITUDE ((uint128)1 << 127)

bool checked_add_i64(int64_t *out, int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

bool checked_sub_i64(int64_t *out, int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference)) {
        return false;
    }
    *out = difference;
    return true;
}

bool checked_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    return checked_narrow_i64(out, product_i128(a, b));
}

bool checked_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

bool checked_add_i128(int128 *out, int128 a, int128 b)
{
    int128 sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

bool checked_sub_i128(int128 *out, int128 a, int128 b)
{
    int128 difference;
    if (__builtin_sub_overflow(a, b, &difference)) {
        return false;
    }
    *out = difference;
    return true;
}

/* Well defined for the smallest value too, whose negation does not exist. */
static uint128 magnitude(int128 value)
{
    return value < 0 ? (uint128)0 - (uint128)value : (uint128)value;
}

bool checked_mul_i128(int128 *out, int128 a, int128 b)
{
    uint128 x = magnitude(a), y = magnitude(b);
    bool negative = (a < 0) != (b < 0);
    if (x != 0 && y > ~(uint128)0 / x) {
        return false;
    }
    uint128 product = x * y;
    if (product > (negative ? INT128_MIN_MAGNITUDE : INT128_MIN_MAGNITUDE - 1)) {
        return false;
    }
    *out = (int128)(negative ? (uint128)0 - product : product);
    return true;
}

bool checked_narrow_i64(int64_t *out, int128 value)
{
    if (value < INT64_MIN || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

int128 div_floor_i128(int128 dividend, int128 divisor)
{
    MUST(divisor > 0);
    int128 quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

int128 div_ceil_i128(int128 dividend, int128 divisor)
{
    MUST(divisor > 0);
    int128 quotient = dividend / divisor;
    return dividend % divisor > 0 ? quotient + 1 : quotient;
}

int128 product_i128(int64_t a, int64_t b)
{
    /* At most 2^126 in size, so it can't overflow. */
    return (int128)a * b;
}

void int128_to_text(char out[INT128_TEXT_SIZE], int128 value)
{
    /* 39 digits, a sign and a NUL are what the largest magnitude needs. */
    char digits[INT128_TEXT_SIZE];
    size_t at = sizeof digits;
    uint128 rest = magnitude(value);
    digits[--at] = '\0';
    do {
        MUST(at > 1);
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    memcpy(out, digits + at, sizeof digits - at);
}

bool uint64_from_text(uint64_t *out, const char *text)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
        return false;
    }
    uint64_t value = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool int64_from_text(int64_t *out, const char *text)
{
    bool negative = text[0] == '-';
    uint64_t size;
    if (!uint64_from_text(&size, text + (negative ? 1 : 0))) {
        return false;
    }
    if (negative) {
        if (size == 0 || size > (uint64_t)INT64_MAX + 1) {
            return false;
        }
        *out = (int64_t)(0 - size);
        return true;
    }
    if (size > INT64_MAX) {
        return false;
    }
    *out = (int64_t)size;
    return true;
}
