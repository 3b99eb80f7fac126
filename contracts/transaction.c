/* Signed transactions: strict decoding, signing, ids and leaves (docs/spec/encoding.md).
 *
 *   envelope  u32 size, body | signature (64) | u32 size, witness
 *   body      u16 version | genesis (32) | sender (32) | u64 nonce | i64 valid_until_ms |
 *             i64 fee_limit | witness hash (32) | u8 count | count x (u8 type | u16 size | record)
 *
 * 1. What transaction_decode accepts has one encoding only: each action's record is decoded once
 *    against its strict table. So one id stands for one transaction.
 * 2. Envelope without witness: at most LIMIT_TX_BYTES; witness: at most LIMIT_WITNESS_BYTES. Sizes
 *    are judged by what they announce, before anything is read.
 * 3. A witness is there exactly if its hash is not zero, and only where an action reads one: nobody
 *    fills blocks with bytes that no rule looks at.
 *    A stand-in for one that was deleted passes transaction_decode_kept alone.
 * 4. The signature covers the body, which holds the chain's identity: no replay elsewhere.
 *
 * Deliberately absent: everything that needs state; ledger.c. */
#include "contracts/transaction.h"

#include "base/fatal.h"
#include "contracts/actions.h"

/* Two sizes and the signature. */
enum { ENVELOPE_OVERHEAD_BYTES = 4 + SIGNATURE_SIZE + 4 };
enum { BODY_BYTES_MAX = LIMIT_TX_BYTES - ENVELOPE_OVERHEAD_BYTES };

_Static_assert(LIMIT_ACTIONS_PER_TX <= UINT8_MAX, "the count of actions is one byte");
_Static_assert(LIMIT_SOLUTION_ACTION_BYTES <= UINT16_MAX, "an action's size is two bytes");

static enum contract_error split_envelope(struct transaction *out, struct bytes_view envelope,
                                          bool kept)
{
    struct byte_reader reader;
    byte_reader_init(&reader, envelope.data, envelope.size);
    uint32_t body_size = byte_read_u32(&reader);
    if (!reader.failed && body_size > BODY_BYTES_MAX)
        return CONTRACT_TX_OVERSIZED;
    out->body = byte_read_view(&reader, body_size);
    byte_read_raw(&reader, out->signature.bytes, SIGNATURE_SIZE);
    uint32_t witness_size = byte_read_u32(&reader);
    const bool replaced = kept && (witness_size & transaction_stand_in_flag) != 0;
    if (replaced)
        witness_size &= ~transaction_stand_in_flag;
    if (!reader.failed && witness_size > LIMIT_WITNESS_BYTES)
        return CONTRACT_TX_OVERSIZED;
    const struct bytes_view rest = byte_read_view(&reader, witness_size);
    out->witness = replaced ? bytes_view_of(NULL, 0) : rest;
    out->stand_in = replaced ? rest : bytes_view_of(NULL, 0);
    if (replaced && rest.size == 0)
        return CONTRACT_TX_MALFORMED;
    return byte_reader_done(&reader) ? CONTRACT_OK : CONTRACT_TX_MALFORMED;
}

static bool decode_body(struct transaction *out)
{
    struct byte_reader reader;
    byte_reader_init(&reader, out->body.data, out->body.size);
    uint16_t version = byte_read_u16(&reader);
    byte_read_raw(&reader, out->genesis.bytes, HASH_SIZE);
    byte_read_raw(&reader, out->sender.bytes, PUBLIC_KEY_SIZE);
    out->nonce = byte_read_u64(&reader);
    out->valid_until = timestamp_of(byte_read_i64(&reader));
    out->fee_limit = money_of(byte_read_i64(&reader));
    byte_read_raw(&reader, out->witness_hash.bytes, HASH_SIZE);
    out->action_count = byte_read_u8(&reader);
    if (reader.failed || version != TRANSACTION_VERSION)
        return false;
    out->actions = byte_read_view(&reader, reader.size - reader.at);
    return !reader.failed;
}

/* Every action canonical, as many as announced. *reads_witness: one of them looks at a witness. */
static bool check_actions(const struct transaction *transaction, bool *reads_witness)
{
    if (transaction->action_count == 0 || transaction->action_count > LIMIT_ACTIONS_PER_TX)
        return false;
    *reads_witness = false;
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    union action_record decoded;
    for (uint32_t i = 0; i < transaction->action_count; i++) {
        if (!transaction_next_action(transaction, &cursor, &type, &record))
            return false;
        const struct codec_record *codec = action_codec(type);
        if (codec == NULL || record.size > action_bytes_max(type))
            return false;
        MUST(codec->struct_size <= sizeof decoded);
        if (!codec_decode_all(codec, &decoded, record))
            return false;
        if (type == ACTION_DELIVERY_PROVE)
            *reads_witness = true;
    }
    return cursor == transaction->actions.size;
}

static enum contract_error decode(struct transaction *out, struct bytes_view envelope, bool kept)
{
    out->envelope = envelope;
    enum contract_error error = split_envelope(out, envelope, kept);
    if (error != CONTRACT_OK)
        return error;
    bool reads_witness;
    if (!decode_body(out) || !check_actions(out, &reads_witness))
        return CONTRACT_TX_MALFORMED;
    if (out->stand_in.size > 0) {
        /* There was one, and an action that reads it. */
        if (!reads_witness || hash_is_zero(&out->witness_hash))
            return CONTRACT_TX_BAD_WITNESS;
    } else if (out->witness.size == 0) {
        if (!hash_is_zero(&out->witness_hash))
            return CONTRACT_TX_BAD_WITNESS;
    } else {
        struct hash hash;
        hash_bytes(&hash, HASH_DOMAIN_WITNESS, out->witness.data, out->witness.size);
        if (!reads_witness || !hash_equal(&hash, &out->witness_hash))
            return CONTRACT_TX_BAD_WITNESS;
    }
    hash_bytes(&out->id, HASH_DOMAIN_TX_ID, out->body.data, out->body.size);
    return CONTRACT_OK;
}

enum contract_error transaction_decode(struct transaction *out, struct bytes_view envelope)
{
    return decode(out, envelope, false);
}

enum contract_error transaction_decode_kept(struct transaction *out, struct bytes_view envelope)
{
    return decode(out, envelope, true);
}

void transaction_write_stripped(struct byte_writer *writer, const struct transaction *transaction,
                                struct bytes_view stand_in)
{
    MUST(stand_in.size > 0 && stand_in.size <= LIMIT_WITNESS_BYTES);
    byte_write_sized(writer, transaction->body.data, transaction->body.size);
    byte_write_raw(writer, transaction->signature.bytes, SIGNATURE_SIZE);
    byte_write_u32(writer, (uint32_t)stand_in.size | transaction_stand_in_flag);
    byte_write_raw(writer, stand_in.data, stand_in.size);
}

bool transaction_signature_is_valid(const struct transaction *transaction)
{
    struct hash message;
    hash_bytes(&message, HASH_DOMAIN_TX_SIGN, transaction->body.data, transaction->body.size);
    return schnorr_verify(&transaction->signature, &transaction->sender, &message);
}

void transaction_leaf(struct hash *out, const struct transaction *transaction)
{
    hash_pair(out, HASH_DOMAIN_TX_LEAF, transaction->body,
              bytes_view_of(transaction->signature.bytes, SIGNATURE_SIZE));
}

bool transaction_next_action(const struct transaction *transaction, size_t *cursor, uint8_t *type,
                             struct bytes_view *record)
{
    MUST(*cursor <= transaction->actions.size);
    if (*cursor == transaction->actions.size)
        return false;
    struct byte_reader reader;
    byte_reader_init(&reader, transaction->actions.data, transaction->actions.size);
    reader.at = *cursor;
    uint8_t found = byte_read_u8(&reader);
    uint16_t size = byte_read_u16(&reader);
    struct bytes_view bytes = byte_read_view(&reader, size);
    if (reader.failed)
        return false;
    *type = found;
    *record = bytes;
    *cursor = reader.at;
    return true;
}

/* Room for a size that is known only afterwards. */
static size_t reserve(struct byte_writer *writer, size_t bytes)
{
    static const uint8_t zeros[4];
    size_t at = writer->size;
    MUST(bytes <= sizeof zeros);
    byte_write_raw(writer, zeros, bytes);
    return at;
}

static void write_action(struct byte_writer *writer, const struct transaction_draft_action *action)
{
    const struct codec_record *codec = action_codec(action->type);
    if (codec == NULL) {
        writer->failed = true;
        return;
    }
    byte_write_u8(writer, action->type);
    size_t size_at = reserve(writer, sizeof(uint16_t));
    size_t start = writer->size;
    codec_encode(codec, action->record, writer);
    if (writer->failed)
        return;
    size_t size = writer->size - start;
    MUST(size <= action_bytes_max(action->type));
    writer->data[size_at] = (uint8_t)(size >> 8);
    writer->data[size_at + 1] = (uint8_t)size;
}

static void write_body(struct byte_writer *writer, const struct transaction_draft *draft,
                       const struct public_key *sender)
{
    struct hash witness_hash = {{0}};
    if (draft->witness.size != 0)
        hash_bytes(&witness_hash, HASH_DOMAIN_WITNESS, draft->witness.data, draft->witness.size);
    byte_write_u16(writer, TRANSACTION_VERSION);
    byte_write_raw(writer, draft->genesis.bytes, HASH_SIZE);
    byte_write_raw(writer, sender->bytes, PUBLIC_KEY_SIZE);
    byte_write_u64(writer, draft->nonce);
    byte_write_i64(writer, timestamp_ms(draft->valid_until));
    byte_write_i64(writer, money_ueur(draft->fee_limit));
    byte_write_raw(writer, witness_hash.bytes, HASH_SIZE);
    byte_write_u8(writer, (uint8_t)draft->action_count);
    for (uint32_t i = 0; i < draft->action_count && !writer->failed; i++)
        write_action(writer, &draft->actions[i]);
}

bool transaction_sign(struct byte_writer *writer, const struct transaction_draft *draft,
                      const struct secret_key *secret)
{
    struct public_key sender;
    if (draft->action_count == 0 || draft->action_count > LIMIT_ACTIONS_PER_TX ||
        draft->witness.size > LIMIT_WITNESS_BYTES || !schnorr_public_key(&sender, secret))
        return false;
    size_t size_at = reserve(writer, sizeof(uint32_t));
    size_t start = writer->size;
    write_body(writer, draft, &sender);
    if (writer->failed || writer->size - start > BODY_BYTES_MAX)
        return false;
    size_t size = writer->size - start;
    struct byte_writer size_writer;
    byte_writer_init(&size_writer, writer->data + size_at, sizeof(uint32_t));
    byte_write_u32(&size_writer, (uint32_t)size);
    struct hash message;
    struct signature signature;
    hash_bytes(&message, HASH_DOMAIN_TX_SIGN, writer->data + start, size);
    if (!schnorr_sign(&signature, secret, &message))
        return false;
    byte_write_raw(writer, signature.bytes, SIGNATURE_SIZE);
    byte_write_sized(writer, draft->witness.data, draft->witness.size);
    return !writer->failed;
}
