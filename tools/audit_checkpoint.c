/* Verified checkpoints (tools/audit_checkpoint.h).
 *
 * Invariants: a file has one legal form; what is read back is the state that its header's root
 * names, or nothing; memory for loading is bounded by LOAD_RECORDS records of changes at a time.
 *
 * Deliberately absent: signatures. A checkpoint is the auditor's own note to itself. */
#include "tools/audit_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger.h"
#include "storage/checksum.h"

static const char magic[8] = {'F', 'L', 'E', 'X', 'C', 'K', 'P', 'T'};

enum {
    VERSION = 1,
    LOAD_RECORDS = 65536,
    /* Changes of LOAD_RECORDS records of the largest size, and their tree nodes. */
    LOAD_BYTES = 512 * 1024 * 1024,
    PEAKS_MAX = MERKLE_DEPTH_MAX,
    HEAD_BYTES_MAX = 1024 + PEAKS_MAX * HASH_SIZE
};
static const size_t file_bytes_max = (size_t)64 << 30;

static bool refuse(char problem[AUDIT_PROBLEM_SIZE], const char *path, const char *why)
{
    snprintf(problem, AUDIT_PROBLEM_SIZE, "checkpoint %.120s: %.100s", path, why);
    return false;
}

/* --- writing ------------------------------------------------------------------------------- */

struct image {
    uint8_t *bytes;
    size_t size, room;
};

static void append(struct image *image, const void *data, size_t size)
{
    if (image->room - image->size < size) {
        size_t wanted = (image->size + size) * 2;
        uint8_t *grown = realloc(image->bytes, wanted);
        if (grown == NULL) {
            fatal_environment("out of memory for a checkpoint");
        }
        image->bytes = grown;
        image->room = wanted;
    }
    memcpy(image->bytes + image->size, data, size);
    image->size += size;
}

static void append_record(struct image *image, struct bytes_view key, struct bytes_view value)
{
    uint8_t bytes[8 + LIMIT_STATE_KEY_BYTES + LIMIT_STATE_VALUE_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_sized(&writer, key.data, key.size);
    byte_write_sized(&writer, value.data, value.size);
    MUST(!writer.failed);
    append(image, bytes, writer.size);
}

static void append_head(struct image *image, const struct hash *genesis,
                        const struct block_header *header, const struct merkle_frontier *before)
{
    uint8_t bytes[HEAD_BYTES_MAX];
    uint8_t encoded[BLOCK_HEADER_SIZE];
    struct byte_writer writer;
    uint32_t peaks = (uint32_t)__builtin_popcountll(before->count);
    MUST(before->count == header->height);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, magic, sizeof magic);
    byte_write_u32(&writer, VERSION);
    byte_write_raw(&writer, genesis->bytes, HASH_SIZE);
    block_header_encode(encoded, header);
    byte_write_raw(&writer, encoded, sizeof encoded);
    byte_write_u32(&writer, peaks);
    byte_write_raw(&writer, before->peaks, peaks * sizeof before->peaks[0]);
    MUST(!writer.failed);
    append(image, bytes, writer.size);
}

bool audit_checkpoint_write(const char *path, const struct hash *genesis,
                            const struct block_header *header, const struct merkle_frontier *before,
                            const struct state_base *state, char problem[AUDIT_PROBLEM_SIZE])
{
    struct image image = {0};
    uint8_t keys[2][LIMIT_STATE_KEY_BYTES];
    uint8_t count_bytes[8];
    uint8_t checksum[CHECKSUM_SIZE];
    struct byte_writer writer;
    struct bytes_view after = {0};
    uint64_t count = 0;
    append_head(&image, genesis, header, before);
    size_t count_at = image.size;
    append(&image, (uint8_t[8]){0}, 8);
    for (unsigned turn = 0;; turn ^= 1) {
        struct bytes_view value;
        size_t size;
        bool found;
        MUST(state->next(state->context, (struct bytes_view){0}, after, &found, keys[turn], &size,
                         &value));
        if (!found) {
            break;
        }
        after = bytes_view_of(keys[turn], size);
        append_record(&image, after, value);
        count++;
    }
    byte_writer_init(&writer, count_bytes, sizeof count_bytes);
    byte_write_u64(&writer, count);
    memcpy(image.bytes + count_at, count_bytes, sizeof count_bytes);
    checksum_write(checksum,
                   checksum_end(checksum_update(checksum_begin(), image.bytes, image.size)));
    append(&image, checksum, sizeof checksum);
    bool ok = files_write(path, image.bytes, image.size, 0600);
    free(image.bytes);
    return ok || refuse(problem, path, strerror(errno));
}

/* --- reading ------------------------------------------------------------------------------- */

static const char *read_head(struct byte_reader *reader, const struct hash *genesis,
                             struct block_header *header, struct merkle_frontier *before)
{
    uint8_t found[sizeof magic];
    struct hash chain, root;
    byte_read_raw(reader, found, sizeof found);
    if (reader->failed || memcmp(found, magic, sizeof magic) != 0 ||
        byte_read_u32(reader) != VERSION) {
        return "it is no checkpoint of a version that is known here";
    }
    byte_read_raw(reader, chain.bytes, HASH_SIZE);
    struct bytes_view encoded = byte_read_view(reader, BLOCK_HEADER_SIZE);
    uint32_t peaks = byte_read_u32(reader);
    if (reader->failed || !block_header_decode(header, encoded) || peaks > PEAKS_MAX) {
        return "its header is malformed";
    }
    if (!hash_equal(&chain, genesis) || !hash_equal(&header->genesis, genesis)) {
        return "it belongs to another chain";
    }
    memset(before, 0, sizeof *before);
    before->count = header->height;
    byte_read_raw(reader, before->peaks, peaks * sizeof before->peaks[0]);
    if (reader->failed || peaks != (uint32_t)__builtin_popcountll(before->count)) {
        return "its history log is malformed";
    }
    merkle_frontier_root(&root, before);
    return hash_equal(&root, &header->log_root) ? NULL
                                                : "its history log is not the one of its header";
}

/* Up to LOAD_RECORDS records into the state. */
static const char *load_some(struct byte_reader *reader, struct overlay *overlay,
                             struct memory_base *memory, uint64_t *left, struct hash *root)
{
    overlay_reset(overlay, NULL, memory_base_face(memory));
    struct state_view *view = overlay_view(overlay);
    for (uint32_t i = 0; i<LOAD_RECORDS && * left> 0; i++, (*left)--) {
        struct bytes_view key = byte_read_sized(reader, LIMIT_STATE_KEY_BYTES);
        struct bytes_view value = byte_read_sized(reader, LIMIT_STATE_VALUE_BYTES);
        if (reader->failed || key.size == 0) {
            return "a record is malformed";
        }
        view->ops->put(view, key, value);
    }
    if (!overlay_seal(overlay, root) || !memory_base_commit(memory, overlay)) {
        return "memory ran out";
    }
    return NULL;
}

static const char *load_state(struct byte_reader *reader, struct memory_base *memory,
                              const struct block_header *header)
{
    struct overlay *overlay = overlay_create(LOAD_BYTES);
    struct hash root = {{0}};
    uint64_t left = byte_read_u64(reader);
    const char *why = overlay == NULL ? "memory ran out" : NULL;
    while (why == NULL && left > 0) {
        why = load_some(reader, overlay, memory, &left, &root);
    }
    if (why == NULL && !byte_reader_done(reader)) {
        why = "there are bytes behind its last record";
    }
    if (why == NULL && !hash_equal(&root, &header->state_root)) {
        why = "its records do not make the state root of its header";
    }
    if (overlay != NULL) {
        overlay_destroy(overlay);
    }
    return why;
}

/* NULL, or why not: the root binds the records to the header, but nothing has executed them here. */
static const char *fill_tip(struct store_tip *tip, const struct block_header *header,
                            const struct merkle_frontier *before, const struct state_base *state)
{
    struct state_key key = state_key_single(STATE_COUNTERS);
    struct counters_record counters = {0};
    struct bytes_view value;
    struct hash leaf;
    bool found = false;
    MUST(state->get(state->context, bytes_view_of(key.bytes, key.size), &found, &value));
    if (found && !codec_decode_all(&counters_record_codec, &counters, value)) {
        return "its counters are malformed";
    }
    memset(tip, 0, sizeof *tip);
    tip->height = header->height;
    tip->view = header->view;
    block_header_id(&tip->block_id, header);
    tip->state_root = header->state_root;
    tip->time = header->time;
    tip->transactions = counters.transactions;
    tip->log = *before;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, tip->block_id.bytes, HASH_SIZE);
    merkle_frontier_append(&tip->log, &leaf);
    tip->has_genesis = true;
    return NULL;
}

bool audit_checkpoint_read(const char *path, const struct hash *genesis, struct memory_base *memory,
                           struct store_tip *tip, struct block_header *header,
                           struct merkle_frontier *before, char problem[AUDIT_PROBLEM_SIZE])
{
    struct byte_reader reader;
    size_t size = 0;
    char *bytes = files_read(path, file_bytes_max, &size);
    if (bytes == NULL) {
        return refuse(problem, path, strerror(errno));
    }
    const uint8_t *data = (const uint8_t *)bytes;
    const char *why = "it is damaged";
    if (size > CHECKSUM_SIZE &&
        checksum_end(checksum_update(checksum_begin(), data, size - CHECKSUM_SIZE)) ==
            checksum_read(data + size - CHECKSUM_SIZE)) {
        byte_reader_init(&reader, data, size - CHECKSUM_SIZE);
        why = read_head(&reader, genesis, header, before);
        why = why != NULL ? why : load_state(&reader, memory, header);
        why = why != NULL ? why : fill_tip(tip, header, before, memory_base_face(memory));
    }
    free(bytes);
    return why == NULL || refuse(problem, path, why);
}
