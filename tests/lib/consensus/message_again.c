/* One reading of a message and one writing of it (message_again.h), for every type there is.
 *
 * Deliberately absent: the inside of transactions, which consensus carries unread. */
#include "tests/lib/consensus/message_again.h"

#include "consensus/message.h"

bool message_again(uint8_t type, struct bytes_view payload, struct byte_writer *writer)
{
    static struct message_proposal proposal;
    static struct message_range range;
    static struct bytes_view envelopes[MESSAGE_TRANSACTIONS_MAX];
    struct message_block block;
    struct message_status status;
    struct vote vote;
    struct certificate certificate;
    struct public_key key;
    struct hash id;
    uint64_t number, question;
    uint32_t count;
    struct message_get_range get_range;
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
        if ((good = message_decode_get_range(&get_range, payload)))
            message_encode_get_range(writer, &get_range);
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
    case MESSAGE_TRANSACTIONS: /* their inside: fuzz_transaction */
        good = message_decode_transactions(envelopes, &count, payload);
        for (uint32_t i = 0; good && i < count; i++)
            message_append_transaction(writer, envelopes[i]);
        break;
    }
    return good;
}
