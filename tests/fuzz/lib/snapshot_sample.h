/* A small true snapshot, made by the encoders alone: what the fuzz target holds its inputs to, and what
 * the first corpus is. */
#ifndef FLEX_TESTS_FUZZ_SNAPSHOT_SAMPLE_H
#define FLEX_TESTS_FUZZ_SNAPSHOT_SAMPLE_H

#include "node/snapshot_message.h"

enum { SNAPSHOT_SAMPLE_ENTRIES = 12, SNAPSHOT_SAMPLE_CHUNKS = 3, SNAPSHOT_SAMPLE_BYTES = 4096 };

struct snapshot_sample {
    struct hash root;
    struct state_part_prefix prefixes[SNAPSHOT_SAMPLE_CHUNKS];
    uint8_t chunks[SNAPSHOT_SAMPLE_CHUNKS][SNAPSHOT_SAMPLE_BYTES];
    size_t chunk_sizes[SNAPSHOT_SAMPLE_CHUNKS];
    size_t entry_sizes[SNAPSHOT_SAMPLE_CHUNKS]; /* of head and entries, without the path */
    uint8_t manifest[SNAPSHOT_SAMPLE_BYTES];
    size_t manifest_size;
    uint8_t epoch[SNAPSHOT_SAMPLE_BYTES]; /* well-formed; nobody has signed it */
    size_t epoch_size;
};

void snapshot_sample_make(struct snapshot_sample *out);

#endif
