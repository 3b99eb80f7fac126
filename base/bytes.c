/* Byte views, bounded cursors and hex (base/bytes.h).
 *
 * Both cursors are sticky and never move past their buffer: `size` (writer) and `at` (reader) only
 * grow, and only after the check that what follows is there. A caller may so chain any number of
 * calls over hostile bytes and look at `failed` once. Absent on purpose: growing buffers, varints,
 * and any form of "peek" that would let two decoders disagree about where they stand. */
#include "base/bytes.h"

#include <string.h>

#include "base/assumptions.h"
#include "base/fatal.h"

struct bytes_view bytes_view_of(const void *data, size_t size)
{
    return (struct bytes_view){.data = data, .size = size};
}

bool bytes_view_equal(struct bytes_view a, struct bytes_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void byte_writer_init(struct byte_writer *writer, uint8_t *data, size_t capacity)
{
    *writer = (struct byte_writer){.data = data, .capacity = capacity};
}

/* Where `size` more bytes may be written, or NULL after a failure. */
static uint8_t *writer_take(struct byte_writer *writer, size_t size)
{
    MUST(writer->size <= writer->capacity);
    if (writer->failed || size > writer->capacity - writer->size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *at = writer->data + writer->size;
    writer->size += size;
    return at;
}

/* Written out for each width, which compilers make one instruction of; a loop they do not. */
static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void put_u64(uint8_t *at, uint64_t value)
{
    at[0] = (uint8_t)(value >> 56);
    at[1] = (uint8_t)(value >> 48);
    at[2] = (uint8_t)(value >> 40);
    at[3] = (uint8_t)(value >> 32);
    at[4] = (uint8_t)(value >> 24);
    at[5] = (uint8_t)(value >> 16);
    at[6] = (uint8_t)(value >> 8);
    at[7] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 |
           (uint64_t)at[3] << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 |
           (uint64_t)at[6] << 8 | (uint64_t)at[7];
}

void byte_write_u8(struct byte_writer *writer, uint8_t value)
{
    uint8_t *at = writer_take(writer, sizeof value);
    if (at != NULL) {
        *at = value;
    }
}

void byte_write_u16(struct byte_writer *writer, uint16_t value)
{
    uint8_t *at = writer_take(writer, sizeof value);
    if (at != NULL) {
        put_u16(at, value);
    }
}

void byte_write_u32(struct byte_writer *writer, uint32_t value)
{
    uint8_t *at = writer_take(writer, sizeof value);
    if (at != NULL) {
        put_u32(at, value);
    }
}

void byte_write_u64(struct byte_writer *writer, uint64_t value)
{
    uint8_t *at = writer_take(writer, sizeof value);
    if (at != NULL) {
        put_u64(at, value);
    }
}

void byte_write_i64(struct byte_writer *writer, int64_t value)
{
    byte_write_u64(writer, (uint64_t)value);
}

void byte_write_raw(struct byte_writer *writer, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *at = writer_take(writer, size);
    if (at != NULL) {
        memcpy(at, data, size);
    }
}

void byte_write_sized(struct byte_writer *writer, const void *data, size_t size)
{
    if (size > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    byte_write_u32(writer, (uint32_t)size);
    byte_write_raw(writer, data, size);
}

void byte_reader_init(struct byte_reader *reader, const uint8_t *data, size_t size)
{
    *reader = (struct byte_reader){.data = data, .size = size};
}

/* The next `size` bytes, or NULL after a failure. */
static const uint8_t *reader_take(struct byte_reader *reader, size_t size)
{
    MUST(reader->at <= reader->size);
    if (reader->failed || size > reader->size - reader->at) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->data + reader->at;
    reader->at += size;
    return at;
}

static uint64_t read_big_endian(struct byte_reader *reader, size_t width)
{
    const uint8_t *at = reader_take(reader, width);
    if (at == NULL) {
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = (value << 8) | at[i];
    }
    return value;
}

uint8_t byte_read_u8(struct byte_reader *reader)
{
    return (uint8_t)read_big_endian(reader, 1);
}

uint16_t byte_read_u16(struct byte_reader *reader)
{
    return (uint16_t)read_big_endian(reader, 2);
}

uint32_t byte_read_u32(struct byte_reader *reader)
{
    return (uint32_t)read_big_endian(reader, 4);
}

uint64_t byte_read_u64(struct byte_reader *reader)
{
    const uint8_t *at = reader_take(reader, sizeof(uint64_t));
    return at == NULL ? 0 : get_u64(at);
}

int64_t byte_read_i64(struct byte_reader *reader)
{
    return (int64_t)byte_read_u64(reader);
}

void byte_read_raw(struct byte_reader *reader, void *out, size_t size)
{
    if (size == 0) {
        return;
    }
    const uint8_t *at = reader_take(reader, size);
    if (at != NULL) {
        memcpy(out, at, size);
    } else {
        memset(out, 0, size);
    }
}

struct bytes_view byte_read_view(struct byte_reader *reader, size_t size)
{
    if (size == 0) {
        return (struct bytes_view){0};
    }
    const uint8_t *at = reader_take(reader, size);
    return (struct bytes_view){.data = at, .size = at == NULL ? 0 : size};
}

struct bytes_view byte_read_sized(struct byte_reader *reader, size_t limit)
{
    uint32_t size = byte_read_u32(reader);
    if (size > limit) {
        reader->failed = true;
    }
    return reader->failed ? (struct bytes_view){0} : byte_read_view(reader, size);
}

bool byte_reader_done(const struct byte_reader *reader)
{
    return !reader->failed && reader->at == reader->size;
}

/* Without a table and without a branch: key files hold secrets in hex, and an address made from a
 * secret shows in the cache. */
static char hex_digit(unsigned value)
{
    return (char)('0' + value + ((9 - value) >> 31) * ('a' - '0' - 10));
}

void hex_encode(char *out, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = hex_digit(data[i] >> 4);
        out[2 * i + 1] = hex_digit(data[i] & 15u);
    }
    out[2 * size] = '\0';
}

/* The digit's value, or 16 if it is none; only lower case is canonical. */
static unsigned hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (unsigned)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (unsigned)(digit - 'a') + 10;
    }
    return 16;
}

bool hex_decode(uint8_t *out, size_t size, const char *text)
{
    /* Digit by digit, so that a short text is never read past its end. */
    for (size_t i = 0; i < 2 * size; i++) {
        if (hex_value(text[i]) > 15) {
            return false;
        }
    }
    if (text[2 * size] != '\0') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    }
    return true;
}
