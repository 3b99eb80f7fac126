/* The transaction envelope and the block body (docs/spec/encoding.md; fault scenario 67): the parts
 * of what decodes, written again by hand, are the same bytes, so one transaction has one encoding.
 * The first byte chooses: an envelope, or a body of envelopes. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/actions.h"
#include "contracts/body.h"
#include "contracts/witness.h"
#include "tests/fuzz/lib/fuzz.h"

/* The envelope again from the decoded parts, by the layout that transaction.h names. */
static void must_rebuild(const struct transaction *tx, struct bytes_view envelope)
{
    static uint8_t body_bytes[LIMIT_TX_BYTES];
    uint8_t *bytes = malloc(envelope.size);
    MUST(bytes != NULL);
    struct byte_writer body, writer;
    byte_writer_init(&body, body_bytes, sizeof body_bytes);
    byte_write_u16(&body, TRANSACTION_VERSION);
    byte_write_raw(&body, tx->genesis.bytes, HASH_SIZE);
    byte_write_raw(&body, tx->sender.bytes, PUBLIC_KEY_SIZE);
    byte_write_u64(&body, tx->nonce);
    byte_write_i64(&body, timestamp_ms(tx->valid_until));
    byte_write_i64(&body, money_ueur(tx->fee_limit));
    byte_write_raw(&body, tx->witness_hash.bytes, HASH_SIZE);
    byte_write_u8(&body, (uint8_t)tx->action_count);
    size_t cursor = 0;
    uint32_t count = 0;
    uint8_t type;
    struct bytes_view record;
    while (transaction_next_action(tx, &cursor, &type, &record)) {
        MUST(action_codec(type) != NULL && ++count <= LIMIT_ACTIONS_PER_TX);
        fuzz_record_bytes(action_codec(type), record);
        byte_write_u8(&body, type);
        byte_write_u16(&body, (uint16_t)record.size);
        byte_write_raw(&body, record.data, record.size);
    }
    MUST(count == tx->action_count && count > 0 && !body.failed);
    byte_writer_init(&writer, bytes, envelope.size);
    byte_write_sized(&writer, body.data, body.size);
    byte_write_raw(&writer, tx->signature.bytes, SIGNATURE_SIZE);
    byte_write_sized(&writer, tx->witness.data, tx->witness.size);
    MUST(!writer.failed && bytes_view_equal(bytes_view_of(bytes, writer.size), envelope));
    free(bytes);
}

/* What may be kept of a finished block decodes wherever the whole did, and is written again the same. */
static void one_kept(struct bytes_view envelope, enum contract_error whole)
{
    struct transaction tx;
    struct stand_in_outcome outcome;
    const enum contract_error error = transaction_decode_kept(&tx, envelope);
    MUST(whole != CONTRACT_OK || (error == CONTRACT_OK && tx.stand_in.size == 0));
    if (error != CONTRACT_OK || tx.stand_in.size == 0)
        return;
    uint8_t *bytes = malloc(envelope.size);
    struct byte_writer writer;
    MUST(bytes != NULL && tx.witness.size == 0 && whole != CONTRACT_OK);
    byte_writer_init(&writer, bytes, envelope.size);
    transaction_write_stripped(&writer, &tx, tx.stand_in);
    MUST(!writer.failed && bytes_view_equal(bytes_view_of(bytes, writer.size), envelope));
    free(bytes);
    if (stand_in_outcome(&outcome, tx.stand_in))
        MUST(outcome.measured == (outcome.status == CONTRACT_OK));
}

static enum contract_error one_envelope(struct bytes_view envelope)
{
    struct transaction tx;
    const enum contract_error error = transaction_decode(&tx, envelope);
    MUST(error == CONTRACT_OK || error == CONTRACT_TX_MALFORMED || error == CONTRACT_TX_OVERSIZED ||
         error == CONTRACT_TX_BAD_WITNESS);
    if (error == CONTRACT_OK) {
        struct hash leaf;
        must_rebuild(&tx, envelope);
        transaction_leaf(&leaf, &tx);
    }
    one_kept(envelope, error);
    return error;
}

static void one_body(struct bytes_view body)
{
    static struct hash leaves[LIMIT_TX_PER_BLOCK];
    struct body_reader reader;
    struct bytes_view envelope;
    struct hash root;
    const bool good = body_tx_root(&root, body, leaves);
    struct hash kept_root;
    struct body_witnesses witnesses;
    const struct hash no_receipts = {{0}};
    const bool kept = body_kept_root(&kept_root, &witnesses, body, &no_receipts, leaves);
    MUST(good == (kept && witnesses.deleted == 0) && (!good || hash_equal(&root, &kept_root)));
    bool every = true;
    size_t size = 4;
    const bool opened = body_open(&reader, body);
    while (opened && body_next(&reader, &envelope)) {
        every = one_envelope(envelope) == CONTRACT_OK && every;
        size += 4 + envelope.size;
    }
    if (good)
        MUST(opened && every && body_is_whole(&reader) && size == body.size);
    else
        MUST(!opened || !every || !body_is_whole(&reader));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const bool body = fuzz_take_u8(&source) % 2 == 1;
    const struct bytes_view rest = fuzz_take_rest(&source);
    if (body)
        one_body(rest);
    else
        (void)one_envelope(rest);
    return 0;
}
