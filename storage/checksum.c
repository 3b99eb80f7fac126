/* CRC-64/XZ, eight bytes at a time (the "slicing" arrangement of the table method), and where the
 * processor can multiply polynomials, sixteen at a time: what is left of the message so far is multiplied
 * by x^128 modulo the polynomial and added to the next sixteen bytes; the last sixteen go through
 * the tables.
 *
 * Invariants: both ways give the same (tests/unit/storage/test_checksum.c). Tables and multipliers are a
 * function of the polynomial alone; they are filled once, before the first use, by whichever thread
 * comes first. */
#include "storage/checksum.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static const uint64_t polynomial_reflected = UINT64_C(0xC96C5795D7870F42);

/* Sixteen bytes at a time from that many on. */
enum { FOLD_BYTES = 16, FOLD_WORTH = 2 * FOLD_BYTES };
/* A key and its value are laid side by side for one pass, if they are no longer than that together. */
enum { TOGETHER_BYTES_MAX = 512 };

static uint64_t tables[8][256];
static uint64_t fold_low;  /* x^191: the product of reflected words lacks a factor x */
static uint64_t fold_high; /* x^127 */
static bool can_fold;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/* x to that power modulo the polynomial; the lowest bit is the highest power. */
static uint64_t power_of_x(unsigned power)
{
    uint64_t value = UINT64_C(1) << 63;
    for (unsigned i = 0; i < power; i++) {
        value = (value & 1) != 0 ? (value >> 1) ^ polynomial_reflected : value >> 1;
    }
    return value;
}

static void tables_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint64_t value = byte;
        for (int bit = 0; bit < 8; bit++) {
            value = (value & 1) != 0 ? (value >> 1) ^ polynomial_reflected : value >> 1;
        }
        tables[0][byte] = value;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int slice = 1; slice < 8; slice++) {
            const uint64_t before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
    fold_low = power_of_x(191);
    fold_high = power_of_x(127);
#if defined(__x86_64__)
    can_fold = __builtin_cpu_supports("pclmul") != 0;
#endif
}

uint64_t checksum_begin(void)
{
    return UINT64_MAX;
}

static uint64_t word_of(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

static uint64_t update_by_tables(uint64_t state, const uint8_t *at, size_t size)
{
    while (size >= 8) {
        const uint64_t word = word_of(at) ^ state;
        state = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^
                tables[5][word >> 16 & 0xff] ^ tables[4][word >> 24 & 0xff] ^
                tables[3][word >> 32 & 0xff] ^ tables[2][word >> 40 & 0xff] ^
                tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
        at += 8;
        size -= 8;
    }
    while (size > 0) {
        state = (state >> 8) ^ tables[0][(state ^ *at) & 0xff];
        at++;
        size--;
    }
    return state;
}

#if defined(__x86_64__)
/* The state after the first `size` bytes, a multiple of FOLD_BYTES. */
__attribute__((target("pclmul"))) static uint64_t update_by_folding(uint64_t state,
                                                                    const uint8_t *at, size_t size)
{
    const __m128i multipliers = _mm_set_epi64x((int64_t)fold_high, (int64_t)fold_low);
    __m128i left = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)at),
                                 _mm_set_epi64x(0, (int64_t)state));
    uint8_t last[FOLD_BYTES];
    for (size_t done = FOLD_BYTES; done < size; done += FOLD_BYTES) {
        const __m128i low = _mm_clmulepi64_si128(left, multipliers, 0x00);
        const __m128i high = _mm_clmulepi64_si128(left, multipliers, 0x11);
        const __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(at + done));
        left = _mm_xor_si128(_mm_xor_si128(low, high), next);
    }
    _mm_storeu_si128((__m128i *)(void *)last, left);
    return update_by_tables(0, last, sizeof last);
}
#else
static uint64_t update_by_folding(uint64_t state, const uint8_t *at, size_t size)
{
    return update_by_tables(state, at, size);
}
#endif

uint64_t checksum_update(uint64_t state, const void *data, size_t size)
{
    const uint8_t *at = data;
    (void)pthread_once(&tables_once, tables_fill);
    if (can_fold && size >= FOLD_WORTH) {
        const size_t whole = size - size % FOLD_BYTES;
        state = update_by_folding(state, at, whole);
        at += whole;
        size -= whole;
    }
    return update_by_tables(state, at, size);
}

uint64_t checksum_end(uint64_t state)
{
    return ~state;
}

uint64_t checksum_record(struct bytes_view key, struct bytes_view value)
{
    const uint8_t size[2] = {(uint8_t)(key.size >> 8), (uint8_t)key.size};
    uint8_t together[TOGETHER_BYTES_MAX];
    const size_t whole = sizeof size + key.size + value.size;
    if (key.size == 0 || value.size == 0 || whole > sizeof together) {
        uint64_t state = checksum_update(checksum_begin(), size, sizeof size);
        state = checksum_update(state, key.data, key.size);
        return checksum_end(checksum_update(state, value.data, value.size));
    }
    memcpy(together, size, sizeof size);
    memcpy(together + sizeof size, key.data, key.size);
    memcpy(together + sizeof size + key.size, value.data, value.size);
    return checksum_end(checksum_update(checksum_begin(), together, whole));
}

void checksum_write(uint8_t out[CHECKSUM_SIZE], uint64_t checksum)
{
    for (int i = 0; i < CHECKSUM_SIZE; i++) {
        out[i] = (uint8_t)(checksum >> (8 * (CHECKSUM_SIZE - 1 - i)));
    }
}

uint64_t checksum_read(const uint8_t in[CHECKSUM_SIZE])
{
    uint64_t value = 0;
    for (int i = 0; i < CHECKSUM_SIZE; i++) {
        value = value << 8 | in[i];
    }
    return value;
}
