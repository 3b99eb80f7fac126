/* A record with a field of every codec type, for the tests of both halves of the codec. */
#ifndef FLEX_TESTS_LIB_BASE_SAMPLE_RECORD_H
#define FLEX_TESTS_LIB_BASE_SAMPLE_RECORD_H

#include "base/codec.h"
#include "base/name.h"
#include "base/units.h"

enum { SAMPLE_ITEMS_MAX = 3, SAMPLE_BYTES_MAX = 6, SAMPLE_TEXT_MAX = 12 };

struct sample_item {
    uint8_t small;
    int64_t number;
};

struct sample {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    struct money price;
    uint8_t yes;
    uint8_t colour; /* red, (1 is not legal), blue */
    uint32_t flags; /* sun, (bit 1 is not legal), wind */
    struct name id;
    struct name other; /* may be empty */
    uint8_t fixed[4];
    struct bytes_view bytes;
    struct bytes_view text;
    struct sample_item one;
    uint32_t item_count;
    struct sample_item items[SAMPLE_ITEMS_MAX];
};

extern const struct codec_record sample_record;

/* Every field set to something that is not zero. */
struct sample sample_make(void);
/* Fields, texts and bytes the same, wherever the views point. */
bool sample_equal(const struct sample *a, const struct sample *b);

#endif
