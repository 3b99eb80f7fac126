/* What the fuzz targets share: bytes as a source of choices, and the properties that every table of
 * base/codec.h must have. A property that does not hold aborts (MUST), which libFuzzer reports with
 * the input that did it. */
#ifndef FLEX_TESTS_FUZZ_H
#define FLEX_TESTS_FUZZ_H

#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { FUZZ_RECORD_BYTES = 256 * 1024 };

/* Choices out of the input; zero once it is used up. */
struct fuzz_source {
    const uint8_t *data;
    size_t size;
    size_t at;
};
struct fuzz_source fuzz_source_of(const uint8_t *data, size_t size);
bool fuzz_source_is_empty(const struct fuzz_source *source);
uint8_t fuzz_take_u8(struct fuzz_source *source);
uint64_t fuzz_take_u64(struct fuzz_source *source);
/* Up to `size` bytes, the rest zero. */
void fuzz_take_bytes(struct fuzz_source *source, void *out, size_t size);
struct bytes_view fuzz_take_rest(struct fuzz_source *source);

/* Every table that is signed, stored, hashed or sent. The order is part of the corpora: new tables
 * go to the end. NULL beyond the last. */
const struct codec_record *fuzz_table(size_t index);
size_t fuzz_table_count(void);
/* -1 if the table is not among them. */
int fuzz_table_index(const struct codec_record *record);

/* What decodes encodes to the same bytes, and survives the way through JSON text. */
void fuzz_record_bytes(const struct codec_record *record, struct bytes_view bytes);
/* What from_json accepts, to_json gives back, and its encoding decodes. */
void fuzz_record_json(const struct codec_record *record, struct bytes_view text);

/* A copy of `bytes` as a file in memory; its name stays valid until the next call. */
const char *fuzz_file(struct bytes_view bytes);

#endif
