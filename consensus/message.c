/* The frames that nodes exchange about blocks and votes: encoders and strict decoders
 * (consensus/message.h lists them; docs/spec/wire.md).
 *
 * Invariants
 *   1. A decoder reads a peer's bytes: every count is bounded by a named limit before it is used,
 *      and a payload with a byte missing or a byte left over is refused.
 *   2. What a decoder accepts, the encoder gives back byte for byte.
 * Absent on purpose: signatures and meaning (consensus/bft.h); transactions, whose payload is
 * opaque here. */
#include "consensus/message.h"

#include "base/fatal.h"

void message_encode_proposal(struct byte_writer *writer, const struct message_proposal *message)
{
    MUST(message->nullification_count <= MESSAGE_NULLIFICATIONS_MAX);
    byte_write_u8(writer, MESSAGE_PROPOSAL);
    codec_encode(&block_header_record, &message->header, writer);
    codec_encode(&vote_record, &message->vote, writer);
    byte_write_sized(writer, message->body.data, message->body.size);
    byte_write_u8(writer, message->has_parent_certificate ? 1 : 0);
    if (message->has_parent_certificate)
        codec_encode(&certificate_record, &message->parent_certificate, writer);
    byte_write_u32(writer, message->nullification_count);
    for (uint32_t i = 0; i < message->nullification_count; i++)
        codec_encode(&certificate_record, &message->nullifications[i], writer);
}

void message_encode_vote(struct byte_writer *writer, const struct vote *vote)
{
    byte_write_u8(writer, MESSAGE_VOTE);
    codec_encode(&vote_record, vote, writer);
}

void message_encode_certificate(struct byte_writer *writer, const struct certificate *certificate)
{
    byte_write_u8(writer, MESSAGE_CERTIFICATE);
    codec_encode(&certificate_record, certificate, writer);
}

void message_encode_get_cert(struct byte_writer *writer, uint64_t view)
{
    byte_write_u8(writer, MESSAGE_GET_CERT);
    byte_write_u64(writer, view);
}

void message_encode_get_block(struct byte_writer *writer, const struct hash *id)
{
    byte_write_u8(writer, MESSAGE_GET_BLOCK);
    byte_write_raw(writer, id->bytes, HASH_SIZE);
}

static void message_write_block(struct byte_writer *writer, const struct message_block *message)
{
    codec_encode(&block_header_record, &message->header, writer);
    byte_write_sized(writer, message->body.data, message->body.size);
}

void message_encode_block(struct byte_writer *writer, const struct message_block *message)
{
    byte_write_u8(writer, MESSAGE_BLOCK);
    message_write_block(writer, message);
}

void message_encode_get_range(struct byte_writer *writer, const struct message_get_range *message)
{
    MUST(message->lacks <= message->height);
    byte_write_u8(writer, MESSAGE_GET_RANGE);
    byte_write_u64(writer, message->height);
    byte_write_u32(writer, message->count);
    byte_write_u64(writer, message->lacks);
}

void message_encode_range(struct byte_writer *writer, const struct message_range *message)
{
    MUST(message->block_count <= LIMIT_RANGE_BLOCKS);
    MUST(message->header_count <= LIMIT_VIEW_WINDOW);
    MUST(message->headers.size == (size_t)message->header_count * BLOCK_HEADER_SIZE);
    byte_write_u8(writer, MESSAGE_RANGE);
    byte_write_u32(writer, message->block_count);
    for (uint32_t i = 0; i < message->block_count; i++)
        message_write_block(writer, &message->blocks[i]);
    byte_write_u32(writer, message->header_count);
    if (message->header_count > 0)
        byte_write_raw(writer, message->headers.data, message->headers.size);
    codec_encode(&certificate_record, &message->finalization, writer);
}

void message_encode_status(struct byte_writer *writer, const struct message_status *status)
{
    byte_write_u8(writer, MESSAGE_STATUS);
    byte_write_u64(writer, status->epoch);
    byte_write_u64(writer, status->view);
    byte_write_u64(writer, status->final_view);
    byte_write_u64(writer, status->final_height);
}

void message_encode_get_high_vote(struct byte_writer *writer, const struct public_key *key,
                                  uint64_t question)
{
    byte_write_u8(writer, MESSAGE_GET_HIGH_VOTE);
    byte_write_raw(writer, key->bytes, PUBLIC_KEY_SIZE);
    byte_write_u64(writer, question);
}

void message_encode_high_vote(struct byte_writer *writer, const struct public_key *key,
                              uint64_t question, uint64_t epoch, const struct vote *vote_or_null)
{
    byte_write_u8(writer, MESSAGE_HIGH_VOTE);
    byte_write_raw(writer, key->bytes, PUBLIC_KEY_SIZE);
    byte_write_u64(writer, question);
    byte_write_u64(writer, epoch);
    byte_write_u8(writer, vote_or_null != NULL ? 1 : 0);
    if (vote_or_null != NULL)
        codec_encode(&vote_record, vote_or_null, writer);
}

/* The flag before an optional part: 0 or 1, anything else fails the reader. */
static bool message_read_flag(struct byte_reader *reader)
{
    uint8_t flag = byte_read_u8(reader);
    if (flag > 1)
        reader->failed = true;
    return flag == 1 && !reader->failed;
}

/* A count that a fixed array has room for. */
static uint32_t message_read_count(struct byte_reader *reader, uint32_t limit)
{
    uint32_t count = byte_read_u32(reader);
    if (count > limit)
        reader->failed = true;
    return reader->failed ? 0 : count;
}

static void message_read_header(struct byte_reader *reader, struct block_header *out)
{
    codec_decode(&block_header_record, out, reader);
    if (!reader->failed && out->version != BLOCK_HEADER_VERSION)
        reader->failed = true;
}

static void message_read_block(struct byte_reader *reader, struct message_block *out)
{
    message_read_header(reader, &out->header);
    out->body = byte_read_sized(reader, LIMIT_BLOCK_BODY_BYTES);
}

bool message_decode_proposal(struct message_proposal *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    message_read_header(&reader, &out->header);
    codec_decode(&vote_record, &out->vote, &reader);
    out->body = byte_read_sized(&reader, LIMIT_BLOCK_BODY_BYTES);
    out->has_parent_certificate = message_read_flag(&reader);
    if (out->has_parent_certificate)
        codec_decode(&certificate_record, &out->parent_certificate, &reader);
    out->nullification_count = message_read_count(&reader, MESSAGE_NULLIFICATIONS_MAX);
    for (uint32_t i = 0; i < out->nullification_count && !reader.failed; i++)
        codec_decode(&certificate_record, &out->nullifications[i], &reader);
    return byte_reader_done(&reader);
}

bool message_decode_vote(struct vote *out, struct bytes_view payload)
{
    return codec_decode_all(&vote_record, out, payload);
}

bool message_decode_certificate(struct certificate *out, struct bytes_view payload)
{
    return certificate_decode(out, payload);
}

bool message_decode_get_cert(uint64_t *view, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    *view = byte_read_u64(&reader);
    return byte_reader_done(&reader);
}

bool message_decode_get_block(struct hash *id, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    byte_read_raw(&reader, id->bytes, HASH_SIZE);
    return byte_reader_done(&reader);
}

bool message_decode_block(struct message_block *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    message_read_block(&reader, out);
    return byte_reader_done(&reader);
}

bool message_decode_get_range(struct message_get_range *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    out->height = byte_read_u64(&reader);
    out->count = message_read_count(&reader, LIMIT_RANGE_BLOCKS);
    out->lacks = byte_read_u64(&reader);
    return byte_reader_done(&reader) && out->lacks <= out->height;
}

bool message_decode_range(struct message_range *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    out->block_count = message_read_count(&reader, LIMIT_RANGE_BLOCKS);
    for (uint32_t i = 0; i < out->block_count && !reader.failed; i++)
        message_read_block(&reader, &out->blocks[i]);
    out->header_count = message_read_count(&reader, LIMIT_VIEW_WINDOW);
    out->headers = byte_read_view(&reader, (size_t)out->header_count * BLOCK_HEADER_SIZE);
    codec_decode(&certificate_record, &out->finalization, &reader);
    return byte_reader_done(&reader);
}

bool message_decode_status(struct message_status *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    out->epoch = byte_read_u64(&reader);
    out->view = byte_read_u64(&reader);
    out->final_view = byte_read_u64(&reader);
    out->final_height = byte_read_u64(&reader);
    return byte_reader_done(&reader);
}

bool message_decode_get_high_vote(struct public_key *key, uint64_t *question,
                                  struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    byte_read_raw(&reader, key->bytes, PUBLIC_KEY_SIZE);
    *question = byte_read_u64(&reader);
    return byte_reader_done(&reader);
}

bool message_decode_high_vote(struct public_key *key, uint64_t *question, uint64_t *epoch,
                              bool *has_vote, struct vote *out, struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    byte_read_raw(&reader, key->bytes, PUBLIC_KEY_SIZE);
    *question = byte_read_u64(&reader);
    *epoch = byte_read_u64(&reader);
    *has_vote = message_read_flag(&reader);
    if (*has_vote)
        codec_decode(&vote_record, out, &reader);
    return byte_reader_done(&reader);
}

void message_append_transaction(struct byte_writer *writer, struct bytes_view envelope)
{
    if (writer->size == 0)
        byte_write_u8(writer, MESSAGE_TRANSACTIONS);
    byte_write_sized(writer, envelope.data, envelope.size);
}

bool message_decode_transactions(struct bytes_view out[MESSAGE_TRANSACTIONS_MAX], uint32_t *count,
                                 struct bytes_view payload)
{
    struct byte_reader reader;
    byte_reader_init(&reader, payload.data, payload.size);
    *count = 0;
    while (!reader.failed && reader.at < reader.size) {
        if (*count == MESSAGE_TRANSACTIONS_MAX)
            return false;
        const struct bytes_view envelope = byte_read_sized(&reader, payload.size);
        if (envelope.size == 0)
            return false;
        out[(*count)++] = envelope;
    }
    return byte_reader_done(&reader) && *count > 0;
}
