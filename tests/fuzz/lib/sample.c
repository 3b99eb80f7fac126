/* Legal values out of a table and a seed (tests/fuzz/lib/sample.h). Legal means legal to the codec:
 * ranges, names, enums; whether a contract would take it is not asked. */
#include "tests/fuzz/lib/sample.h"

#include <string.h>

#include "base/codec_internal.h"
#include "base/fatal.h"

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static uint64_t pick_enum(const struct codec_field *field, uint32_t *seed)
{
    for (size_t tries = 0; tries < 64; tries++) {
        const size_t value = next(seed) % field->limit;
        if (field->names[value] != NULL)
            return value;
    }
    MUST(!"an enum with a legal value");
    return 0;
}

static uint64_t pick_flags(const struct codec_field *field, uint32_t *seed)
{
    uint64_t flags = 0;
    for (size_t bit = 0; bit < field->limit; bit++)
        if (field->names[bit] != NULL && next(seed) % 2 == 0)
            flags |= UINT64_C(1) << bit;
    return flags;
}

static void fill_field(const struct codec_field *field, uint8_t *value, uint32_t *seed)
{
    static const char *const names[] = {"dso", "agg-2", "a", "house.17_b"};
    static const char text[] = "wrong meter \xc3\xa9";
    uint8_t *member = value + field->offset;
    const uint32_t roll = next(seed);
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_U64:
    case CODEC_I64:
        codec_scalar_set(field->type, member, roll % 3 == 0 ? roll % 128 : roll % 7);
        break;
    case CODEC_BOOL:
        codec_scalar_set(field->type, member, roll % 2);
        break;
    case CODEC_ENUM:
        codec_scalar_set(field->type, member, pick_enum(field, seed));
        break;
    case CODEC_FLAGS:
        codec_scalar_set(field->type, member, pick_flags(field, seed));
        break;
    case CODEC_NAME:
    case CODEC_NAME_EMPTY: {
        const char *name = names[roll % 4];
        MUST(name_from_text((struct name *)(void *)member, name, strlen(name)));
        break;
    }
    case CODEC_FIXED:
        memset(member, (int)(roll % 256), field->limit);
        break;
    case CODEC_BYTES:
    case CODEC_TEXT: {
        size_t size = roll % 2 == 0 ? 0 : sizeof text - 1;
        if (size > field->limit)
            size = 0;
        *(struct bytes_view *)(void *)member = bytes_view_of(text, size);
        break;
    }
    case CODEC_RECORD:
        sample_fill(field->record, member, roll);
        break;
    case CODEC_ARRAY: {
        const uint32_t count = 1 + roll % (field->limit < 3 ? (uint32_t)field->limit : 3);
        *codec_array_count(field, value) = count;
        for (uint32_t i = 0; i < count; i++)
            sample_fill(field->record, member + i * field->record->struct_size, roll + i);
        break;
    }
    }
}

void sample_fill(const struct codec_record *record, void *value, uint32_t seed)
{
    memset(value, 0, record->struct_size);
    seed += 77;
    for (size_t i = 0; i < record->field_count; i++)
        fill_field(&record->fields[i], value, &seed);
}

size_t sample_encode(const struct codec_record *record, uint8_t *out, size_t capacity,
                     uint32_t seed)
{
    static _Alignas(64) uint8_t value[256 * 1024];
    struct byte_writer writer;
    MUST(record->struct_size <= sizeof value);
    sample_fill(record, value, seed);
    byte_writer_init(&writer, out, capacity);
    codec_encode(record, value, &writer);
    MUST(!writer.failed);
    return writer.size;
}
