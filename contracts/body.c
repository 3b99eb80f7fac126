/* Block bodies: walking them, and the root over their transactions.
 *
 * 1. body_next yields exactly the envelopes that the body's count promises, each within the limits.
 * 2. body_tx_root accepts only bodies whose every transaction decodes strictly, so equal roots mean
 *    equal transactions and equal signatures; a witness hangs on its transaction's body.
 *
 * Deliberately absent: execution (ledger.c) and signatures, which the worker threads check. */
#include "contracts/body.h"

#include "crypto/merkle.h"

/* An envelope is two parts with their sizes and a signature. */
enum { ENVELOPE_BYTES_MAX = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES };

bool body_open(struct body_reader *out, struct bytes_view body)
{
    out->at = 0;
    out->count = 0;
    byte_reader_init(&out->reader, body.data, body.size);
    if (body.size > LIMIT_BLOCK_BODY_BYTES) {
        out->reader.failed = true;
        return false;
    }
    uint32_t count = byte_read_u32(&out->reader);
    if (out->reader.failed || count > LIMIT_TX_PER_BLOCK) {
        out->reader.failed = true;
        return false;
    }
    out->count = count;
    return true;
}

bool body_next(struct body_reader *reader, struct bytes_view *envelope)
{
    if (reader->at == reader->count || reader->reader.failed)
        return false;
    struct bytes_view found = byte_read_sized(&reader->reader, ENVELOPE_BYTES_MAX);
    if (reader->reader.failed)
        return false;
    reader->at++;
    *envelope = found;
    return true;
}

bool body_is_whole(const struct body_reader *reader)
{
    return reader->at == reader->count && byte_reader_done(&reader->reader);
}

bool body_tx_root(struct hash *out, struct bytes_view body, struct hash *leaves)
{
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    if (!body_open(&reader, body))
        return false;
    while (body_next(&reader, &envelope)) {
        if (transaction_decode(&transaction, envelope) != CONTRACT_OK)
            return false;
        transaction_leaf(&leaves[reader.at - 1], &transaction);
    }
    if (!body_is_whole(&reader))
        return false;
    merkle_root(out, leaves, reader.count);
    return true;
}
