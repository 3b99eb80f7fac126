/* Replay of one segment of the vote journal (storage/journal_scan.c; consensus.md 9). The first byte
 * chooses: the rest as it is, or as a script of records, which are framed and given their checksums,
 * some of them damaged. Raw bytes alone would never pass a checksum.
 *
 * Whatever the bytes: what is replayed, written again, is what stood there; and the part that was
 * found good is found good again, with the same records. */
#include <string.h>

#include "base/fatal.h"
#include "storage/checksum.h"
#include "storage/journal_internal.h"
#include "tests/fuzz/lib/fuzz.h"

enum { NUMBER = 3, SEGMENT_BYTES = 64 * 1024, PIECE_MAX = 4096 };

static const struct journal_config config = {.directory = "", .genesis = {{5}}, .epoch = 2};

struct replayed {
    struct bytes_view segment;
    size_t at;
    uint32_t count;
    uint64_t view_max;
};

/* Each record is at its place in the segment, byte for byte. */
static bool replay(void *context, const struct journal_entry *entry)
{
    static uint8_t payload[SEGMENT_BYTES];
    struct replayed *seen = context;
    struct byte_writer writer;
    byte_writer_init(&writer, payload, sizeof payload);
    switch (entry->type) {
    case JOURNAL_VOTE:
    case JOURNAL_PEER_VOTE:
        codec_encode(&vote_record, &entry->vote, &writer);
        break;
    case JOURNAL_CERTIFICATE:
        codec_encode(&certificate_record, &entry->certificate, &writer);
        break;
    case JOURNAL_CERTIFIED:
        byte_write_u64(&writer, entry->view);
        byte_write_raw(&writer, entry->block_id.bytes, HASH_SIZE);
        break;
    case JOURNAL_BLOCK:
        codec_encode(&block_header_record, &entry->header, &writer);
        byte_write_sized(&writer, entry->body.data, entry->body.size);
        break;
    }
    MUST(!writer.failed && writer.size + RECORD_EXTRA_SIZE <= seen->segment.size - seen->at);
    MUST(seen->segment.data[seen->at + 4] == (uint8_t)entry->type);
    MUST(memcmp(seen->segment.data + seen->at + RECORD_HEAD_SIZE, payload, writer.size) == 0);
    seen->at += RECORD_EXTRA_SIZE + writer.size;
    seen->count++;
    if (entry->view > seen->view_max)
        seen->view_max = entry->view;
    return true;
}

static enum journal_result scan(struct segment_scan *out, struct replayed *seen,
                                struct bytes_view bytes, bool is_last)
{
    char problem[160] = "";
    *seen = (struct replayed){.segment = bytes, .at = SEGMENT_HEADER_SIZE};
    *out = (struct segment_scan){
        .config = &config, .number = NUMBER, .is_last = is_last, .replay = replay, .context = seen};
    const enum journal_result result = journal_scan_segment(out, bytes, problem);
    MUST((result == JOURNAL_OK) == (problem[0] == '\0'));
    return result;
}

static size_t payload_size(uint8_t type, uint16_t wish)
{
    switch ((enum journal_record)type) {
    case JOURNAL_VOTE:
    case JOURNAL_PEER_VOTE:
        return VOTE_BYTES;
    case JOURNAL_CERTIFIED:
        return CERTIFIED_BYTES;
    case JOURNAL_CERTIFICATE:
    case JOURNAL_BLOCK:
        break;
    }
    return wish % PIECE_MAX;
}

/* Per record: type, flags, wished size, payload. Flag bit 0 ends a turn, 1 spoils the checksum,
 * 2 makes the payload a canonical one of its type where bytes alone seldom are. */
static size_t write_script(uint8_t out[SEGMENT_BYTES], struct fuzz_source *source)
{
    struct byte_writer writer;
    uint32_t turn = SEGMENT_HEADER_SIZE;
    byte_writer_init(&writer, out, SEGMENT_BYTES);
    journal_segment_header(out, &config, NUMBER, 0);
    writer.size = SEGMENT_HEADER_SIZE;
    while (!fuzz_source_is_empty(source)) {
        static uint8_t payload[PIECE_MAX];
        const uint8_t type = fuzz_take_u8(source) % 7;
        const uint8_t flags = fuzz_take_u8(source);
        uint16_t wish = fuzz_take_u8(source);
        wish = (uint16_t)(wish << 8 | fuzz_take_u8(source));
        const size_t size = payload_size(type, wish);
        if (writer.capacity - writer.size < size + RECORD_EXTRA_SIZE)
            break;
        fuzz_take_bytes(source, payload, size);
        if ((flags & 4) != 0 && size == VOTE_BYTES)
            payload[0] %= VOTE_KIND_COUNT;
        const size_t at = writer.size;
        byte_write_u32(&writer, (uint32_t)size);
        byte_write_u8(&writer, type);
        byte_write_u32(&writer, turn);
        byte_write_raw(&writer, payload, size);
        const uint64_t sum = journal_checksum(NUMBER, at, out + at, RECORD_HEAD_SIZE + size);
        byte_write_u64(&writer, sum ^ ((flags & 2) != 0));
        if ((flags & 1) != 0)
            turn = (uint32_t)writer.size;
        MUST(!writer.failed);
    }
    return writer.size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t segment[SEGMENT_BYTES];
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint8_t mode = fuzz_take_u8(&source);
    struct bytes_view bytes;
    if ((mode & 1) != 0)
        bytes = bytes_view_of(segment, write_script(segment, &source));
    else
        bytes = fuzz_take_rest(&source);
    struct segment_scan found, again;
    struct replayed seen, seen_again;
    const enum journal_result result = scan(&found, &seen, bytes, (mode & 2) != 0);
    MUST(found.good_bytes <= bytes.size && found.view_max == seen.view_max);
    MUST(!found.torn || (mode & 2) != 0);
    MUST(found.good_bytes == 0 || found.good_bytes == seen.at);
    if (result == JOURNAL_OK && found.good_bytes > 0) {
        MUST(found.torn == (found.good_bytes < bytes.size));
        MUST(scan(&again, &seen_again, bytes_view_of(bytes.data, found.good_bytes), true) ==
             JOURNAL_OK);
        MUST(!again.torn && seen_again.count == seen.count &&
             again.good_bytes == found.good_bytes && again.has_own_vote == found.has_own_vote);
    }
    return 0;
}
