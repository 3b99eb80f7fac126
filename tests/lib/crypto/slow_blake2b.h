/* BLAKE2b as RFC 7693 tells it, byte by byte, with the personalisation parameter: a second opinion
 * on libsodium's and on our use of it. */
#ifndef FLEX_TESTS_LIB_CRYPTO_SLOW_BLAKE2B_H
#define FLEX_TESTS_LIB_CRYPTO_SLOW_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

/* `out_size` 1 to 64; `tag` up to 16 characters, zero-padded. No key, no salt. */
void slow_blake2b(uint8_t *out, size_t out_size, const char *tag, const uint8_t *data, size_t size);

#endif
