/* What stands in for a witness, and bodies that have lost some (contracts/witness.h; docs/spec/privacy.md 8).
 *
 *   body with witnesses, stored receipts -> body_strip -> body with stand-ins, the same transactions root
 *   such a body, a header's receipt root -> body_kept_root -> what execution may rely on
 *
 * Invariants:
 * 1. A stand-in holds only at its own transaction's place: the path's index is the transaction's, and the
 *    receipt names its id.
 * 2. body_strip writes what body_kept_root accepts, and nothing of a witness.
 *
 * Deliberately absent: when a witness may go, which is the node's (node/retention.c), and until when one must
 * be there, which is the caller's of body_kept_root (last_final). */
#include "contracts/witness.h"

#include <string.h>

#include "base/fatal.h"
#include "crypto/merkle.h"

/* A proof is alone in its transaction: its events are those of one deal, some 2 KB at most. */
enum { STAND_IN_RECEIPT_MAX = 16 * 1024 };
enum { STAND_IN_BYTES_MAX = STAND_IN_RECEIPT_MAX + 8 + LIMIT_RECEIPT_PATH * HASH_SIZE };
_Static_assert((int)STAND_IN_BYTES_MAX <= (int)LIMIT_WITNESS_BYTES,
               "a stand-in fits where the witness stood");

static const struct codec_field path_hash_fields[] = {
    {.name = "hash",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct hash, bytes)},
};
static const struct codec_record path_hash_record = {
    .name = "path_hash",
    .struct_size = sizeof(struct hash),
    .fields = path_hash_fields,
    .field_count = sizeof path_hash_fields / sizeof path_hash_fields[0],
};

static const struct codec_field stand_in_record_fields[] = {
    {.name = "receipt",
     .type = CODEC_BYTES,
     .limit = STAND_IN_RECEIPT_MAX,
     .offset = offsetof(struct stand_in, receipt)},
    {.name = "path",
     .type = CODEC_ARRAY,
     .limit = LIMIT_RECEIPT_PATH,
     .record = &path_hash_record,
     .offset = offsetof(struct stand_in, path),
     .count_offset = offsetof(struct stand_in, path_count)},
};
const struct codec_record stand_in_record = {
    .name = "stand_in",
    .struct_size = sizeof(struct stand_in),
    .fields = stand_in_record_fields,
    .field_count = sizeof stand_in_record_fields / sizeof stand_in_record_fields[0],
};

static bool decode(struct stand_in *out, struct receipt *receipt, struct bytes_view bytes)
{
    return codec_decode_all(&stand_in_record, out, bytes) &&
           codec_decode_all(&receipt_record, receipt, out->receipt);
}

/* The one event of its kind; false if there is none, or more of them, or a fault before the end. */
static bool find_measured(struct event_measured *out, struct bytes_view events)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    uint32_t found = 0;
    while (event_next(events, &cursor, &type, &record)) {
        if (type == EVENT_MEASURED) {
            if (found > 0 || !codec_decode_all(event_codec(type), out, record)) {
                return false;
            }
            found++;
        }
    }
    return cursor == events.size && found == 1;
}

static bool outcome_of(struct stand_in_outcome *out, const struct receipt *receipt)
{
    out->status = receipt->status;
    out->measured = receipt->status == CONTRACT_OK;
    return !out->measured || find_measured(&out->event, receipt->events);
}

bool stand_in_outcome(struct stand_in_outcome *out, struct bytes_view stand_in)
{
    struct stand_in decoded;
    struct receipt receipt;
    return decode(&decoded, &receipt, stand_in) && outcome_of(out, &receipt);
}

/* --- checking ------------------------------------------------------------------------------ */

bool stand_in_holds(const struct transaction *transaction, uint32_t index, uint32_t count,
                    const struct hash *receipt_root, struct timestamp *final)
{
    struct stand_in stand_in;
    struct receipt receipt;
    struct stand_in_outcome outcome;
    struct hash leaf;
    if (!decode(&stand_in, &receipt, transaction->stand_in) || !outcome_of(&outcome, &receipt) ||
        !hash_equal(&receipt.tx_id, &transaction->id)) {
        return false;
    }
    struct merkle_proof path = {.count = stand_in.path_count};
    memcpy(path.siblings, stand_in.path, stand_in.path_count * sizeof stand_in.path[0]);
    hash_bytes(&leaf, HASH_DOMAIN_RECEIPT, stand_in.receipt.data, stand_in.receipt.size);
    /* What failed could be tried again at once, and needs nobody to dispute it. */
    *final = outcome.measured ? outcome.event.final : timestamp_of(0);
    return merkle_verify(&path, &leaf, index, (uint64_t)count + 1, receipt_root);
}

bool body_kept_root(struct hash *out, struct body_witnesses *witnesses, struct bytes_view body,
                    const struct hash *receipt_root, struct hash *leaves)
{
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    *witnesses = (struct body_witnesses){.last_final = timestamp_of(0)};
    if (!body_open(&reader, body)) {
        return false;
    }
    while (body_next(&reader, &envelope)) {
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK) {
            return false;
        }
        if (transaction.stand_in.size > 0) {
            struct timestamp final;
            if (!stand_in_holds(&transaction, reader.at - 1, reader.count, receipt_root, &final)) {
                return false;
            }
            if (timestamp_compare(final, witnesses->last_final) > 0) {
                witnesses->last_final = final;
            }
            witnesses->deleted++;
        }
        witnesses->whole += transaction.witness.size > 0;
        transaction_leaf(&leaves[reader.at - 1], &transaction);
    }
    if (!body_is_whole(&reader)) {
        return false;
    }
    merkle_root(out, leaves, reader.count);
    return true;
}

/* Looks at the sizes alone, so that the many blocks without any cost next to nothing. */
static bool body_has(struct bytes_view body, bool stand_in)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (!body_open(&reader, body)) {
        return false;
    }
    while (body_next(&reader, &envelope)) {
        struct byte_reader parts;
        byte_reader_init(&parts, envelope.data, envelope.size);
        (void)byte_read_sized(&parts, LIMIT_TX_BYTES);
        (void)byte_read_view(&parts, SIGNATURE_SIZE);
        const uint32_t size = byte_read_u32(&parts);
        if (!parts.failed && size != 0 &&
            (size & transaction_stand_in_flag) == (stand_in ? transaction_stand_in_flag : 0)) {
            return true;
        }
    }
    return false;
}

bool body_has_stand_in(struct bytes_view body)
{
    return body_has(body, true);
}

bool body_has_witness(struct bytes_view body)
{
    return body_has(body, false);
}

/* --- deleting ------------------------------------------------------------------------------ */

/* The leaf of each receipt; their number, 0 if they are not whole. */
static uint32_t receipt_leaves(struct bytes_view receipts, struct hash *leaves)
{
    struct byte_reader reader;
    byte_reader_init(&reader, receipts.data, receipts.size);
    const uint32_t count = byte_read_u32(&reader);
    if (reader.failed || count == 0 || count > LIMIT_TX_PER_BLOCK + 1) {
        return 0;
    }
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        struct bytes_view receipt =
            byte_read_sized(&reader, LEDGER_BLOCK_EVENTS_BYTES_MAX + LIMIT_EVENTS_BYTES_PER_TX);
        if (!reader.failed) {
            hash_bytes(&leaves[i], HASH_DOMAIN_RECEIPT, receipt.data, receipt.size);
        }
    }
    return byte_reader_done(&reader) ? count : 0;
}

static bool write_stand_in(struct byte_writer *out, const struct transaction *transaction,
                           struct bytes_view receipt, const struct hash *leaves, uint32_t count,
                           uint32_t index)
{
    uint8_t bytes[STAND_IN_BYTES_MAX];
    struct byte_writer writer;
    struct merkle_proof path;
    struct stand_in stand_in = {.receipt = receipt};
    merkle_prove(&path, leaves, count, index);
    MUST(path.count <= LIMIT_RECEIPT_PATH);
    stand_in.path_count = path.count;
    memcpy(stand_in.path, path.siblings, path.count * sizeof path.siblings[0]);
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&stand_in_record, &stand_in, &writer);
    if (writer.failed) {
        return false;
    }
    transaction_write_stripped(out, transaction, bytes_view_of(bytes, writer.size));
    return !out->failed;
}

/* Where the size of the envelope goes, known once it is written. */
static bool write_envelope(struct byte_writer *out, const struct transaction *transaction,
                           struct bytes_view receipt, const struct hash *leaves, uint32_t count,
                           uint32_t index)
{
    struct byte_writer size;
    const size_t at = out->size;
    if (transaction->witness.size == 0) {
        byte_write_sized(out, transaction->envelope.data, transaction->envelope.size);
        return !out->failed;
    }
    byte_write_u32(out, 0);
    if (out->failed || !write_stand_in(out, transaction, receipt, leaves, count, index)) {
        return false;
    }
    byte_writer_init(&size, out->data + at, sizeof(uint32_t));
    byte_write_u32(&size, (uint32_t)(out->size - at - sizeof(uint32_t)));
    return true;
}

bool body_last_final(struct timestamp *out, struct bytes_view body, struct bytes_view receipts)
{
    struct body_reader reader;
    struct byte_reader receipt_reader;
    struct bytes_view envelope;
    *out = timestamp_of(0);
    byte_reader_init(&receipt_reader, receipts.data, receipts.size);
    if (!body_open(&reader, body) || byte_read_u32(&receipt_reader) != reader.count + 1) {
        return false;
    }
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        struct receipt receipt;
        struct stand_in_outcome outcome;
        const struct bytes_view bytes = byte_read_sized(
            &receipt_reader, LEDGER_BLOCK_EVENTS_BYTES_MAX + LIMIT_EVENTS_BYTES_PER_TX);
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK ||
            !codec_decode_all(&receipt_record, &receipt, bytes)) {
            return false;
        }
        if (transaction.witness.size == 0) {
            continue;
        }
        if (!outcome_of(&outcome, &receipt)) {
            return false;
        }
        if (outcome.measured && timestamp_compare(outcome.event.final, *out) > 0) {
            *out = outcome.event.final;
        }
    }
    return body_is_whole(&reader);
}

bool body_strip(struct byte_writer *out, struct bytes_view body, struct bytes_view receipts,
                struct hash *leaves)
{
    struct body_reader reader;
    struct byte_reader receipt_reader;
    struct bytes_view envelope;
    const uint32_t count = receipt_leaves(receipts, leaves);
    byte_reader_init(&receipt_reader, receipts.data, receipts.size);
    (void)byte_read_u32(&receipt_reader);
    if (!body_open(&reader, body) || count != reader.count + 1) {
        return false;
    }
    byte_write_u32(out, reader.count);
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        const struct bytes_view receipt = byte_read_sized(
            &receipt_reader, LEDGER_BLOCK_EVENTS_BYTES_MAX + LIMIT_EVENTS_BYTES_PER_TX);
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK ||
            !write_envelope(out, &transaction, receipt, leaves, count, reader.at - 1)) {
            return false;
        }
    }
    return body_is_whole(&reader) && !out->failed;
}
