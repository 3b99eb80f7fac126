/* BLAKE2b after RFC 7693, sections 2 and 3 (tests/lib/crypto/slow_blake2b.h).
 *
 * Written to be compared with the RFC by eye, not to be fast: the message is copied and padded whole,
 * words are put together from bytes. */
#include "tests/lib/crypto/slow_blake2b.h"

#include <stdlib.h>
#include <string.h>

/* 2.6: the first 64 bits of the fractional parts of the square roots of the first eight primes. */
static const uint64_t iv[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                               0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                               0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

/* 2.7 */
static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static uint64_t rotate_right(uint64_t word, unsigned by)
{
    return word >> by | word << (64 - by);
}

/* 3.1: the mixing function G. */
static void mix(uint64_t v[16], int a, int b, int c, int d, uint64_t x, uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 63);
}

/* 3.2: the compression function F. */
static void compress(uint64_t h[8], const uint8_t block[128], uint64_t offset, int last)
{
    uint64_t v[16];
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = iv[i];
    }
    v[12] ^= offset;
    if (last) {
        v[14] = ~v[14];
    }
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = sigma[round % 10];
        for (int i = 0; i < 8; i++) {
            /* Four columns, then four diagonals. */
            int turn = i < 4 ? 0 : 1, at = i % 4;
            mix(v, at, 4 + (at + turn) % 4, 8 + (at + 2 * turn) % 4, 12 + (at + 3 * turn) % 4,
                word_at(block + 8 * s[2 * i]), word_at(block + 8 * s[2 * i + 1]));
        }
    }
    for (int i = 0; i < 8; i++) {
        h[i] ^= v[i] ^ v[i + 8];
    }
}

void slow_blake2b(uint8_t *out, size_t out_size, const char *tag, const uint8_t *data, size_t size)
{
    /* 2.5: digest length, no key, fanout 1, depth 1, ..., personalisation in the last 16 bytes. */
    uint8_t parameters[64] = {(uint8_t)out_size, 0, 1, 1};
    memcpy(parameters + 48, tag, strnlen(tag, 16));
    uint64_t h[8];
    for (int i = 0; i < 8; i++) {
        h[i] = iv[i] ^ word_at(parameters + 8 * i);
    }
    /* Even an empty message is one block. */
    size_t blocks = size == 0 ? 1 : (size + 127) / 128;
    uint8_t *padded = calloc(blocks, 128);
    if (padded == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(padded, data, size);
    }
    for (size_t i = 0; i < blocks; i++) {
        int last = i + 1 == blocks;
        compress(h, padded + 128 * i, last ? size : 128 * (i + 1), last);
    }
    for (size_t i = 0; i < out_size; i++) {
        out[i] = (uint8_t)(h[i / 8] >> (8 * (i % 8)));
    }
    free(padded);
}
