/* The sample record (tests/lib/base/sample_record.h). Its table is what a module's table looks like. */
#include "tests/lib/base/sample_record.h"

#include <string.h>

static const char *const colour_names[] = {"red", NULL, "blue"};
static const char *const flag_names[] = {"sun", NULL, "wind"};

static const struct codec_field item_fields[] = {
    {.name = "small", .type = CODEC_U8, .offset = offsetof(struct sample_item, small)},
    {.name = "number", .type = CODEC_I64, .offset = offsetof(struct sample_item, number)},
};

static const struct codec_record item_record = {"sample_item", sizeof(struct sample_item),
                                                item_fields, 2};

static const struct codec_field sample_fields[] = {
    {.name = "u8", .type = CODEC_U8, .offset = offsetof(struct sample, u8)},
    {.name = "u16", .type = CODEC_U16, .offset = offsetof(struct sample, u16)},
    {.name = "u32", .type = CODEC_U32, .offset = offsetof(struct sample, u32)},
    {.name = "u64", .type = CODEC_U64, .offset = offsetof(struct sample, u64)},
    {.name = "i64", .type = CODEC_I64, .offset = offsetof(struct sample, i64)},
    {.name = "price_ueur", .type = CODEC_I64, .offset = offsetof(struct sample, price)},
    {.name = "yes", .type = CODEC_BOOL, .offset = offsetof(struct sample, yes)},
    {.name = "colour",
     .type = CODEC_ENUM,
     .offset = offsetof(struct sample, colour),
     .limit = 3,
     .names = colour_names},
    {.name = "flags",
     .type = CODEC_FLAGS,
     .offset = offsetof(struct sample, flags),
     .limit = 3,
     .names = flag_names},
    {.name = "id", .type = CODEC_NAME, .offset = offsetof(struct sample, id)},
    {.name = "other", .type = CODEC_NAME_EMPTY, .offset = offsetof(struct sample, other)},
    {.name = "fixed", .type = CODEC_FIXED, .offset = offsetof(struct sample, fixed), .limit = 4},
    {.name = "bytes",
     .type = CODEC_BYTES,
     .offset = offsetof(struct sample, bytes),
     .limit = SAMPLE_BYTES_MAX},
    {.name = "text",
     .type = CODEC_TEXT,
     .offset = offsetof(struct sample, text),
     .limit = SAMPLE_TEXT_MAX},
    {.name = "one",
     .type = CODEC_RECORD,
     .offset = offsetof(struct sample, one),
     .record = &item_record},
    {.name = "items",
     .type = CODEC_ARRAY,
     .offset = offsetof(struct sample, items),
     .limit = SAMPLE_ITEMS_MAX,
     .count_offset = offsetof(struct sample, item_count),
     .record = &item_record},
};

const struct codec_record sample_record = {"sample", sizeof(struct sample), sample_fields,
                                           sizeof sample_fields / sizeof sample_fields[0]};

struct sample sample_make(void)
{
    struct sample sample;
    memset(&sample, 0, sizeof sample);
    sample.u8 = 255;
    sample.u16 = 0x0102;
    sample.u32 = UINT32_MAX;
    sample.u64 = UINT64_MAX;
    sample.i64 = INT64_MIN;
    sample.price = money_of(-150000);
    sample.yes = 1;
    sample.colour = 2;
    sample.flags = 5;
    memcpy(sample.id.text, "dso-1", 5);
    memcpy(sample.other.text, "west", 4);
    memcpy(sample.fixed, "\x00\x7f\x80\xff", 4);
    sample.bytes = bytes_view_of("\x01\x02\x03", 3);
    sample.text = bytes_view_of("Z\xc3\xbcrich \"5\"", 11);
    sample.one = (struct sample_item){7, INT64_MAX};
    sample.item_count = 2;
    sample.items[0] = (struct sample_item){1, -1};
    sample.items[1] = (struct sample_item){2, 0};
    return sample;
}

bool sample_equal(const struct sample *a, const struct sample *b)
{
    struct sample x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (!bytes_view_equal(x.bytes, y.bytes) || !bytes_view_equal(x.text, y.text)) {
        return false;
    }
    memset(&x.bytes, 0, sizeof x.bytes);
    memset(&y.bytes, 0, sizeof y.bytes);
    memset(&x.text, 0, sizeof x.text);
    memset(&y.text, 0, sizeof y.text);
    return memcmp(&x, &y, sizeof x) == 0;
}
