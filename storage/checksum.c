/* CRC-64/XZ, eight bytes at a time (the "slicing" arrangement of the table method).
 *
 * Invariant: the tables are a function of the polynomial alone; they are filled once, before the
 * first use, by whichever thread comes first. */
#include "storage/checksum.h"

#include <pthread.h>

static const uint64_t polynomial_reflected = UINT64_C(0xC96C5795D7870F42);

static uint64_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

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
}

uint64_t checksum_begin(void)
{
    return UINT64_MAX;
}

uint64_t checksum_update(uint64_t state, const void *data, size_t size)
{
    const uint8_t *at = data;
    (void)pthread_once(&tables_once, tables_fill);
    while (size >= 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) {
            word |= (uint64_t)at[i] << (8 * i);
        }
        word ^= state;
        state = 0;
        for (int i = 0; i < 8; i++) {
            state ^= tables[7 - i][(word >> (8 * i)) & 0xff];
        }
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

uint64_t checksum_end(uint64_t state)
{
    return ~state;
}

uint64_t checksum_record(struct bytes_view key, struct bytes_view value)
{
    const uint8_t size[2] = {(uint8_t)(key.size >> 8), (uint8_t)key.size};
    uint64_t state = checksum_update(checksum_begin(), size, sizeof size);
    state = checksum_update(state, key.data, key.size);
    state = checksum_update(state, value.data, value.size);
    return checksum_end(state);
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
