/* The table-driven codec (base/codec.h): canonical bytes. Its JSON half is codec_json.c.
 *
 * Invariants:
 *  1 Encoder and decoder refuse the same values, so a struct that encodes also decodes, and bytes
 *    that decode encode back to themselves (docs/spec/encoding.md).
 *  2 A decoded struct is zero wherever no field wrote, padding included.
 *  3 Recursion follows the tables alone, never the input, so its depth is a constant. */
#include "base/codec.h"

#include <string.h>

#include "base/codec_internal.h"
#include "base/fatal.h"
#include "base/name.h"
#include "base/utf8.h"

/* The width on the wire of the types that have one. */
static size_t scalar_width(enum codec_type type)
{
    switch (type) {
    case CODEC_U8:
    case CODEC_BOOL:
    case CODEC_ENUM:
        return 1;
    case CODEC_U16:
        return 2;
    case CODEC_U32:
    case CODEC_FLAGS:
        return 4;
    case CODEC_U64:
    case CODEC_I64:
        return 8;
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
    case CODEC_FIXED:
    case CODEC_BYTES:
    case CODEC_TEXT:
    case CODEC_RECORD:
    case CODEC_ARRAY:
        break;
    }
    return 0;
}

uint64_t codec_scalar_get(enum codec_type type, const void *member)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (scalar_width(type)) {
    case 1:
        return *(const uint8_t *)member;
    case 2:
        memcpy(&u16, member, sizeof u16);
        return u16;
    case 4:
        memcpy(&u32, member, sizeof u32);
        return u32;
    default:
        MUST(scalar_width(type) == 8);
        memcpy(&u64, member, sizeof u64);
        return u64;
    }
}

void codec_scalar_set(enum codec_type type, void *member, uint64_t value)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    switch (scalar_width(type)) {
    case 1:
        memcpy(member, &u8, sizeof u8);
        break;
    case 2:
        memcpy(member, &u16, sizeof u16);
        break;
    case 4:
        memcpy(member, &u32, sizeof u32);
        break;
    default:
        MUST(scalar_width(type) == 8);
        memcpy(member, &value, sizeof value);
        break;
    }
}

/* True if a field of that type may hold the value. */
static bool scalar_is_legal(const struct codec_field *field, uint64_t value)
{
    if (field->type == CODEC_BOOL) {
        return value <= 1;
    }
    if (field->type == CODEC_ENUM) {
        return value < field->limit && field->names[value] != NULL;
    }
    if (field->type == CODEC_FLAGS) {
        for (unsigned bit = 0; bit < 32; bit++) {
            bool named = bit < field->limit && field->names[bit] != NULL;
            if ((value >> bit & 1) != 0 && !named) {
                return false;
            }
        }
    }
    return true;
}

bool codec_text_is_legal(struct bytes_view text)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t code = 0;
        size_t length = utf8_decode(&code, text.data + at, text.size - at);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (length == 0 || control) {
            return false;
        }
        at += length;
    }
    return true;
}

bool codec_name_is_legal(enum codec_type type, const struct name *name)
{
    return name_is_valid(name) || (type == CODEC_NAME_EMPTY && name_is_empty(name));
}

uint32_t *codec_array_count(const struct codec_field *field, const void *value)
{
    return (uint32_t *)((const uint8_t *)value + field->count_offset);
}

static void encode_scalar(const struct codec_field *field, const void *member,
                          struct byte_writer *writer)
{
    uint64_t value = codec_scalar_get(field->type, member);
    if (!scalar_is_legal(field, value)) {
        writer->failed = true;
        return;
    }
    switch (scalar_width(field->type)) {
    case 1:
        byte_write_u8(writer, (uint8_t)value);
        break;
    case 2:
        byte_write_u16(writer, (uint16_t)value);
        break;
    default:
        byte_write_u32(writer, (uint32_t)value);
        break;
    }
}

/* Most fields of most records, and each of their values is legal. */
static void encode_u64(const void *member, struct byte_writer *writer)
{
    uint64_t value;
    memcpy(&value, member, sizeof value);
    byte_write_u64(writer, value);
}

static void encode_view(const struct codec_field *field, const struct bytes_view *view,
                        struct byte_writer *writer)
{
    bool legal = field->type == CODEC_BYTES || codec_text_is_legal(*view);
    if (view->size > field->limit || !legal) {
        writer->failed = true;
        return;
    }
    byte_write_sized(writer, view->data, view->size);
}

static void encode_array(const struct codec_field *field, const void *value,
                         struct byte_writer *writer)
{
    uint32_t count = *codec_array_count(field, value);
    if (count > field->limit) {
        writer->failed = true;
        return;
    }
    byte_write_u32(writer, count);
    const uint8_t *element = (const uint8_t *)value + field->offset;
    for (uint32_t i = 0; i < count && !writer->failed; i++) {
        codec_encode(field->record, element + i * field->record->struct_size, writer);
    }
}

static void encode_field(const struct codec_field *field, const void *value,
                         struct byte_writer *writer)
{
    const void *member = (const uint8_t *)value + field->offset;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_BOOL:
    case CODEC_ENUM:
    case CODEC_FLAGS:
        encode_scalar(field, member, writer);
        break;
    case CODEC_U64:
    case CODEC_I64:
        encode_u64(member, writer);
        break;
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
        if (codec_name_is_legal(field->type, member)) {
            byte_write_raw(writer, member, NAME_SIZE);
        } else {
            writer->failed = true;
        }
        break;
    case CODEC_FIXED:
        byte_write_raw(writer, member, field->limit);
        break;
    case CODEC_BYTES:
    case CODEC_TEXT:
        encode_view(field, member, writer);
        break;
    case CODEC_RECORD:
        codec_encode(field->record, member, writer);
        break;
    case CODEC_ARRAY:
        encode_array(field, value, writer);
        break;
    }
}

void codec_encode(const struct codec_record *record, const void *value, struct byte_writer *writer)
{
    for (size_t i = 0; i < record->field_count && !writer->failed; i++) {
        encode_field(&record->fields[i], value, writer);
    }
}

static void decode_scalar(const struct codec_field *field, void *member, struct byte_reader *reader)
{
    uint64_t value = 0;
    switch (scalar_width(field->type)) {
    case 1:
        value = byte_read_u8(reader);
        break;
    case 2:
        value = byte_read_u16(reader);
        break;
    default:
        value = byte_read_u32(reader);
        break;
    }
    if (reader->failed || !scalar_is_legal(field, value)) {
        reader->failed = true;
        return;
    }
    codec_scalar_set(field->type, member, value);
}

/* After a failure it is zero, as every field that is not read. */
static void decode_u64(void *member, struct byte_reader *reader)
{
    const uint64_t value = byte_read_u64(reader);
    memcpy(member, &value, sizeof value);
}

static void decode_fields(const struct codec_record *record, void *value,
                          struct byte_reader *reader);

static void decode_array(const struct codec_field *field, void *value, struct byte_reader *reader)
{
    uint32_t count = byte_read_u32(reader);
    if (reader->failed || count > field->limit) {
        reader->failed = true;
        return;
    }
    *codec_array_count(field, value) = count;
    uint8_t *element = (uint8_t *)value + field->offset;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        decode_fields(field->record, element + i * field->record->struct_size, reader);
    }
}

static void decode_field(const struct codec_field *field, void *value, struct byte_reader *reader)
{
    void *member = (uint8_t *)value + field->offset;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_BOOL:
    case CODEC_ENUM:
    case CODEC_FLAGS:
        decode_scalar(field, member, reader);
        break;
    case CODEC_U64:
    case CODEC_I64:
        decode_u64(member, reader);
        break;
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
        byte_read_raw(reader, member, NAME_SIZE);
        if (!codec_name_is_legal(field->type, member)) {
            reader->failed = true;
        }
        break;
    case CODEC_FIXED:
        byte_read_raw(reader, member, field->limit);
        break;
    case CODEC_BYTES:
    case CODEC_TEXT: {
        struct bytes_view view = byte_read_sized(reader, field->limit);
        if (field->type == CODEC_TEXT && !codec_text_is_legal(view)) {
            reader->failed = true;
        }
        memcpy(member, &view, sizeof view);
        break;
    }
    case CODEC_RECORD:
        decode_fields(field->record, member, reader);
        break;
    case CODEC_ARRAY:
        decode_array(field, value, reader);
        break;
    }
}

static void decode_fields(const struct codec_record *record, void *value,
                          struct byte_reader *reader)
{
    for (size_t i = 0; i < record->field_count && !reader->failed; i++) {
        decode_field(&record->fields[i], value, reader);
    }
}

void codec_decode(const struct codec_record *record, void *value, struct byte_reader *reader)
{
    memset(value, 0, record->struct_size);
    decode_fields(record, value, reader);
}

bool codec_decode_all(const struct codec_record *record, void *value, struct bytes_view bytes)
{
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data, bytes.size);
    codec_decode(record, value, &reader);
    return byte_reader_done(&reader);
}

size_t codec_size_max(const struct codec_record *record)
{
    size_t total = 0;
    for (size_t i = 0; i < record->field_count; i++) {
        const struct codec_field *field = &record->fields[i];
        switch (field->type) {
        case CODEC_U8:
        case CODEC_U16:
        case CODEC_U32:
        case CODEC_U64:
        case CODEC_I64:
        case CODEC_BOOL:
        case CODEC_ENUM:
        case CODEC_FLAGS:
            total += scalar_width(field->type);
            break;
        case CODEC_NAME:
        case CODEC_NAME_EMPTY:
            total += NAME_SIZE;
            break;
        case CODEC_FIXED:
            total += field->limit;
            break;
        case CODEC_BYTES:
        case CODEC_TEXT:
            total += 4 + field->limit;
            break;
        case CODEC_RECORD:
            total += codec_size_max(field->record);
            break;
        case CODEC_ARRAY:
            total += 4 + field->limit * codec_size_max(field->record);
            break;
        }
    }
    return total;
}
