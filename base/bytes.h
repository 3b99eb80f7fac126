/* Byte views and the bounded cursors that every encoder and decoder is built from.
 *
 * Integers are big-endian on the wire and on disk, so that encoded keys sort as their numbers do.
 * Both cursors are sticky: after the first failure every further call does nothing and returns
 * zero, so a caller checks `failed` once at the end. No function here allocates.
 * NULL is never a valid argument, except data of a view whose size is 0. */
#ifndef FLEX_BASE_BYTES_H
#define FLEX_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns; valid as long as their owner says. */
struct bytes_view {
    const uint8_t *data;
    size_t size;
};

/* Appends to a caller's buffer of `capacity` bytes; `failed` once something did not fit. */
struct byte_writer {
    uint8_t *data;
    size_t capacity;
    size_t size;
    bool failed;
};

/* Reads from a caller's buffer of `size` bytes; `failed` once something was not there. */
struct byte_reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

struct bytes_view bytes_view_of(const void *data, size_t size);
bool bytes_view_equal(struct bytes_view a, struct bytes_view b);

void byte_writer_init(struct byte_writer *writer, uint8_t *data, size_t capacity);
void byte_write_u8(struct byte_writer *writer, uint8_t value);
void byte_write_u16(struct byte_writer *writer, uint16_t value);
void byte_write_u32(struct byte_writer *writer, uint32_t value);
void byte_write_u64(struct byte_writer *writer, uint64_t value);
/* Two's complement, big-endian. */
void byte_write_i64(struct byte_writer *writer, int64_t value);
void byte_write_raw(struct byte_writer *writer, const void *data, size_t size);
/* A u32 length, then the bytes. Fails if size is over UINT32_MAX. */
void byte_write_sized(struct byte_writer *writer, const void *data, size_t size);

void byte_reader_init(struct byte_reader *reader, const uint8_t *data, size_t size);
uint8_t byte_read_u8(struct byte_reader *reader);
uint16_t byte_read_u16(struct byte_reader *reader);
uint32_t byte_read_u32(struct byte_reader *reader);
uint64_t byte_read_u64(struct byte_reader *reader);
int64_t byte_read_i64(struct byte_reader *reader);
void byte_read_raw(struct byte_reader *reader, void *out, size_t size);
/* A view into the reader's own buffer; empty after a failure. */
struct bytes_view byte_read_view(struct byte_reader *reader, size_t size);
/* A u32 length up to `limit`, then that many bytes, as a view into the reader's buffer. */
struct bytes_view byte_read_sized(struct byte_reader *reader, size_t limit);
/* True if nothing failed and nothing is left over. */
bool byte_reader_done(const struct byte_reader *reader);

/* Lower-case hex. `out` holds 2*size+1 bytes and ends in NUL. */
void hex_encode(char *out, const uint8_t *data, size_t size);
/* Exactly 2*size lower-case digits and a NUL after them; false (out untouched) otherwise. */
bool hex_decode(uint8_t *out, size_t size, const char *text);

#endif
