/* Checked integer arithmetic: no result is ever wrapped, rounded unawares or lost.
 *
 * Every function that can fail returns false and leaves *out untouched. Divisions name their
 * rounding; floor goes towards minus infinity (market-rules 1). */
#ifndef FLEX_BASE_CHECKED_H
#define FLEX_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

#define MUST_USE __attribute__((warn_unused_result))

MUST_USE bool checked_add_i64(int64_t *out, int64_t a, int64_t b);
MUST_USE bool checked_sub_i64(int64_t *out, int64_t a, int64_t b);
MUST_USE bool checked_mul_i64(int64_t *out, int64_t a, int64_t b);
MUST_USE bool checked_add_u64(uint64_t *out, uint64_t a, uint64_t b);
MUST_USE bool checked_add_i128(int128 *out, int128 a, int128 b);
MUST_USE bool checked_sub_i128(int128 *out, int128 a, int128 b);
MUST_USE bool checked_mul_i128(int128 *out, int128 a, int128 b);
MUST_USE bool checked_narrow_i64(int64_t *out, int128 value);
/* `divisor` must be positive: anything else is our own bug and asserts. */
int128 div_floor_i128(int128 dividend, int128 divisor);
int128 div_ceil_i128(int128 dividend, int128 divisor);
/* Exact product of two int64 values. */
int128 product_i128(int64_t a, int64_t b);

/* Decimal text of an int128 with its sign; out holds at least INT128_TEXT_SIZE bytes. */
enum { INT128_TEXT_SIZE = 41 };
void int128_to_text(char out[INT128_TEXT_SIZE], int128 value);
/* Canonical decimal: optional '-', no leading zeros, no "-0", nothing else; false otherwise. */
MUST_USE bool int64_from_text(int64_t *out, const char *text);
MUST_USE bool uint64_from_text(uint64_t *out, const char *text);

#endif
