/* What validators say to each other (consensus/message.h; fault scenario 65): the first byte is the
 * message's type, as in a frame; what decodes encodes to the same frame. */
#include <stdlib.h>

#include "base/fatal.h"
#include "consensus/message.h"
#include "tests/fuzz/lib/fuzz.h"

/* Decodes and, if that went well, encodes again. */
static bool again(uint8_t type, struct bytes_view payload, struct byte_writer *writer)
{
    static struct message_proposal proposal;
    static struct message_range range;
    struct message_block block;
    struct message_status status;
    struct vote vote;
    struct certificate certificate;
    struct public_key key;
    struct hash id;
    uint64_t number, question;
    uint32_t count;
    bool has_vote, good = false;
    switch ((enum message_type)type) {
    case MESSAGE_PROPOSAL:
        if ((good = message_decode_proposal(&proposal, payload)))
            message_encode_proposal(writer, &proposal);
        break;
    case MESSAGE_VOTE:
        if ((good = message_decode_vote(&vote, payload)))
            message_encode_vote(writer, &vote);
        break;
    case MESSAGE_CERTIFICATE:
        if ((good = message_decode_certificate(&certificate, payload)))
            message_encode_certificate(writer, &certificate);
        break;
    case MESSAGE_GET_CERT:
        if ((good = message_decode_get_cert(&number, payload)))
            message_encode_get_cert(writer, number);
        break;
    case MESSAGE_GET_BLOCK:
        if ((good = message_decode_get_block(&id, payload)))
            message_encode_get_block(writer, &id);
        break;
    case MESSAGE_BLOCK:
        if ((good = message_decode_block(&block, payload)))
            message_encode_block(writer, &block);
        break;
    case MESSAGE_GET_RANGE:
        if ((good = message_decode_get_range(&number, &count, payload)))
            message_encode_get_range(writer, number, count);
        break;
    case MESSAGE_RANGE:
        if ((good = message_decode_range(&range, payload)))
            message_encode_range(writer, &range);
        break;
    case MESSAGE_STATUS:
        if ((good = message_decode_status(&status, payload)))
            message_encode_status(writer, &status);
        break;
    case MESSAGE_GET_HIGH_VOTE:
        if ((good = message_decode_get_high_vote(&key, &number, payload)))
            message_encode_get_high_vote(writer, &key, number);
        break;
    case MESSAGE_HIGH_VOTE:
        if ((good = message_decode_high_vote(&key, &question, &number, &has_vote, &vote, payload)))
            message_encode_high_vote(writer, &key, question, number, has_vote ? &vote : NULL);
        break;
    case MESSAGE_TRANSACTION:
        break; /* opaque here: fuzz_transaction */
    }
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *frame = malloc(size);
    MUST(frame != NULL);
    struct byte_writer writer;
    byte_writer_init(&writer, frame, size);
    if (again(data[0], bytes_view_of(data + 1, size - 1), &writer))
        MUST(!writer.failed &&
             bytes_view_equal(bytes_view_of(frame, writer.size), bytes_view_of(data, size)));
    free(frame);
    return 0;
}
