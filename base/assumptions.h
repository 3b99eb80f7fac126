/* What every file here takes for granted about the platform, checked when it compiles. */
#ifndef FLEX_BASE_ASSUMPTIONS_H
#define FLEX_BASE_ASSUMPTIONS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(CHAR_BIT == 8, "bytes have eight bits");
_Static_assert(sizeof(size_t) == 8, "64-bit address space: LMDB maps and block sizes need it");
_Static_assert(sizeof(int) == 4, "int has 32 bits");
_Static_assert((-1 >> 1) == -1, "right shift of a negative number is arithmetic");
_Static_assert((int64_t)-1 == ~(int64_t)0, "two's complement");
__extension__ _Static_assert(sizeof(__int128) == 16, "128-bit intermediates exist");

#endif
