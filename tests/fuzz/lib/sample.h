/* A legal value of any table of base/codec.h, out of a seed: what the first corpora are made of. */
#ifndef FLEX_TESTS_FUZZ_SAMPLE_H
#define FLEX_TESTS_FUZZ_SAMPLE_H

#include "base/codec.h"

/* Fills `value` (record->struct_size bytes). Views point to constants. */
void sample_fill(const struct codec_record *record, void *value, uint32_t seed);
/* Canonical bytes of such a value; out holds `capacity`. Returns the size. */
size_t sample_encode(const struct codec_record *record, uint8_t *out, size_t capacity,
                     uint32_t seed);

#endif
