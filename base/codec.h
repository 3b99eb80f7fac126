/* Records declared once: encode, decode, print and parse all follow from one table.
 *
 * A codec_record lists the fields of a C struct in their order on the wire. The encoding is
 * canonical: fixed widths, big-endian, no padding, no optional parts. The decoder is strict: each
 * value in range, each name and text canonical, nothing left over. What it accepts, the encoder
 * gives back byte for byte; the tests and the fuzz targets check that for every table.
 *
 * Nothing here allocates; views in a decoded record point into the decoder's input. */
#ifndef FLEX_BASE_CODEC_H
#define FLEX_BASE_CODEC_H

#include "base/bytes.h"

enum codec_type {
    CODEC_U8,
    CODEC_U16,
    CODEC_U32,
    CODEC_U64,
    CODEC_I64,        /* also every one-field unit struct */
    CODEC_BOOL,       /* uint8_t, 0 or 1 */
    CODEC_ENUM,       /* uint8_t; `names` lists the values, NULL entries are not legal values */
    CODEC_FLAGS,      /* uint32_t; bit i is names[i], other bits are not legal */
    CODEC_NAME,       /* struct name, never empty */
    CODEC_NAME_EMPTY, /* struct name, may be empty */
    CODEC_FIXED,      /* `limit` raw bytes; hex in JSON */
    CODEC_BYTES,      /* struct bytes_view, u32 length up to `limit`; hex in JSON */
    CODEC_TEXT,       /* struct bytes_view, u32 length up to `limit`, UTF-8 without controls */
    CODEC_RECORD,     /* a nested struct of type `record` */
    CODEC_ARRAY       /* inline array of `record` structs, at most `limit`, a uint32_t count at
                         `count_offset`; on the wire a u32 count, then the elements */
};

struct codec_record;

struct codec_field {
    const char *name; /* snake_case, the unit last; this is its JSON key too */
    enum codec_type type;
    size_t offset;
    size_t limit;             /* CODEC_FIXED, _BYTES, _TEXT, _ARRAY; for _ENUM and _FLAGS the
                                number of entries in `names` */
    size_t count_offset;      /* CODEC_ARRAY */
    const char *const *names; /* CODEC_ENUM, CODEC_FLAGS */
    const struct codec_record *record; /* CODEC_RECORD, CODEC_ARRAY */
};

struct codec_record {
    const char *name;
    size_t struct_size;
    const struct codec_field *fields;
    size_t field_count;
};

/* Fails (writer->failed) if it does not fit or the struct holds what the table forbids. */
void codec_encode(const struct codec_record *record, const void *value, struct byte_writer *writer);
/* Reads one record; reader->failed if it is not canonical. `value` has record->struct_size bytes
 * and is zeroed first; what it holds after a failure means nothing. */
void codec_decode(const struct codec_record *record, void *value, struct byte_reader *reader);
/* The whole of `bytes` and nothing more. */
bool codec_decode_all(const struct codec_record *record, void *value, struct bytes_view bytes);
/* Upper bound of the encoded size in bytes. */
size_t codec_size_max(const struct codec_record *record);

/* JSON both ways: 64-bit integers are decimal strings, smaller ones numbers, raw bytes hex, enums
 * their names, flags an array of names. cJSON objects are the caller's to delete. */
struct cJSON;
/* NULL if memory ran out. */
struct cJSON *codec_to_json(const struct codec_record *record, const void *value);
/* Every field is required, any other key is an error. Views in the result (BYTES, TEXT) point into
 * `scratch`, which must be large enough for them. On failure false, and `problem` (of
 * `problem_size` bytes) says which field and why. */
bool codec_from_json(const struct codec_record *record, void *value, const struct cJSON *object,
                     struct byte_writer *scratch, char *problem, size_t problem_size);

#endif
