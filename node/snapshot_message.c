/* Frames about snapshots (node/snapshot_message.h).
 *
 * Invariant: what a decoder accepts, the encoder gives back byte for byte.
 *
 * Deliberately absent: any look into a part's bytes (node/snapshot.h). */
#include "node/snapshot_message.h"

#include <string.h>

#include "base/fatal.h"

void snapshot_encode_get(struct byte_writer *writer)
{
    byte_write_u8(writer, MESSAGE_GET_SNAPSHOTS);
}

void snapshot_encode_offers(struct byte_writer *writer, const struct snapshot_offers *offers)
{
    MUST(offers->count <= SNAPSHOT_KEPT_MAX);
    byte_write_u8(writer, MESSAGE_SNAPSHOTS);
    byte_write_u32(writer, offers->count);
    for (uint32_t i = 0; i < offers->count; i++) {
        byte_write_u64(writer, offers->offers[i].height);
        byte_write_raw(writer, offers->offers[i].id.bytes, HASH_SIZE);
    }
}

static void encode_of(struct byte_writer *writer, const struct snapshot_wanted *wanted)
{
    byte_write_raw(writer, wanted->id.bytes, HASH_SIZE);
    byte_write_u8(writer, (uint8_t)wanted->kind);
    byte_write_u32(writer, wanted->index);
}

void snapshot_encode_wanted(struct byte_writer *writer, const struct snapshot_wanted *wanted)
{
    byte_write_u8(writer, MESSAGE_GET_SNAPSHOT_PART);
    encode_of(writer, wanted);
}

void snapshot_encode_part(struct byte_writer *writer, const struct snapshot_part *part)
{
    MUST(part->answer == SNAPSHOT_HERE || part->bytes.size == 0);
    byte_write_u8(writer, MESSAGE_SNAPSHOT_PART);
    encode_of(writer, &part->of);
    byte_write_u8(writer, (uint8_t)part->answer);
    if (part->bytes.size > 0)
        byte_write_raw(writer, part->bytes.data, part->bytes.size);
}

void snapshot_encode_pruned(struct byte_writer *writer, uint64_t height)
{
    byte_write_u8(writer, MESSAGE_PRUNED);
    byte_write_u64(writer, height);
}

bool snapshot_decode_offers(struct snapshot_offers *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    memset(out, 0, sizeof *out);
    out->count = byte_read_u32(&reader);
    if (out->count > SNAPSHOT_KEPT_MAX)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        out->offers[i].height = byte_read_u64(&reader);
        byte_read_raw(&reader, out->offers[i].id.bytes, HASH_SIZE);
        if (out->offers[i].height == 0 ||
            (i > 0 && out->offers[i].height <= out->offers[i - 1].height))
            return false;
    }
    return byte_reader_done(&reader);
}

static bool decode_of(struct snapshot_wanted *out, struct byte_reader *reader)
{
    byte_read_raw(reader, out->id.bytes, HASH_SIZE);
    const uint8_t kind = byte_read_u8(reader);
    out->index = byte_read_u32(reader);
    if (reader->failed || kind >= SNAPSHOT_PART_KINDS)
        return false;
    out->kind = (enum snapshot_part_kind)kind;
    switch (out->kind) {
    case SNAPSHOT_MANIFEST:
        return out->index == 0;
    case SNAPSHOT_EPOCH:
        return out->index < SNAPSHOT_EPOCHS_MAX;
    case SNAPSHOT_CHUNK:
        return out->index < SNAPSHOT_CHUNKS_MAX;
    }
    return false;
}

bool snapshot_decode_wanted(struct snapshot_wanted *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    memset(out, 0, sizeof *out);
    return decode_of(out, &reader) && byte_reader_done(&reader);
}

bool snapshot_decode_part(struct snapshot_part *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    memset(out, 0, sizeof *out);
    if (!decode_of(&out->of, &reader))
        return false;
    const uint8_t answer = byte_read_u8(&reader);
    if (reader.failed || answer > SNAPSHOT_BUSY)
        return false;
    out->answer = (enum snapshot_answer)answer;
    out->bytes = byte_read_view(&reader, reader.size - reader.at);
    return out->bytes.size <= SNAPSHOT_PART_BYTES_MAX &&
           (out->bytes.size > 0) == (out->answer == SNAPSHOT_HERE);
}

bool snapshot_decode_pruned(uint64_t *height, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    *height = byte_read_u64(&reader);
    return byte_reader_done(&reader);
}
