/* Signed transactions (docs/spec/encoding.md).
 *
 * Envelope on the wire: sized body | signature (64) | sized witness. Of a finished deal what is kept may be
 * a stand-in for the witness: the highest bit of its size is set.
 * Body: u16 version | genesis hash | sender key | u64 nonce | i64 valid_until_ms | i64 fee_limit |
 *       witness hash (zero if none) | u8 count of actions | count x (u8 type | u16 size | record).
 * The signature (BIP340) is over H(TX_SIGN, body). The id is H(TX_ID, body), so no third party can
 * give one transaction two ids. The witness (revealed readings) hangs on its hash alone: a validator
 * may delete it after the dispute deadline without breaking any root (market-rules 9). */
#ifndef FLEX_CONTRACTS_TRANSACTION_H
#define FLEX_CONTRACTS_TRANSACTION_H

#include "base/limits.h"
#include "base/units.h"
#include "contracts/errors.h"
#include "crypto/sign.h"

enum { TRANSACTION_VERSION = 1 };
/* In the size of a witness: a stand-in stands there. */
static const uint32_t transaction_stand_in_flag = 1u << 31;

/* All views point into the envelope's bytes. */
struct transaction {
    struct bytes_view envelope;
    struct bytes_view body;
    struct bytes_view witness;  /* empty if none */
    struct bytes_view stand_in; /* in place of a witness that was deleted; else empty */
    struct signature signature;
    struct hash id;
    struct hash genesis;
    struct public_key sender;
    uint64_t nonce; /* first is 1, then one more each time */
    struct timestamp valid_until;
    struct money fee_limit;
    struct hash witness_hash;
    uint32_t action_count; /* 1 to LIMIT_ACTIONS_PER_TX */
    struct bytes_view actions;
};

/* Decodes and checks everything that needs no state and no signature: limits, canonical form,
 * every action's record, the witness against its hash. CONTRACT_OK, TX_MALFORMED, TX_OVERSIZED or
 * TX_BAD_WITNESS. */
enum contract_error transaction_decode(struct transaction *out, struct bytes_view envelope);
/* The same for what is kept of a block whose deals are over: where the witness stood, a stand-in may stand
 * (contracts/witness.h), which is not looked into. Never for a transaction or block that is not final. */
enum contract_error transaction_decode_kept(struct transaction *out, struct bytes_view envelope);
/* Writes the envelope with a stand-in of at most LIMIT_WITNESS_BYTES in place of its witness. */
void transaction_write_stripped(struct byte_writer *writer, const struct transaction *transaction,
                                struct bytes_view stand_in);
/* Pure and thread-safe: for the worker threads. */
bool transaction_signature_is_valid(const struct transaction *transaction);
/* Leaf of the block's tx_root: H(TX_LEAF, body, signature). */
void transaction_leaf(struct hash *out, const struct transaction *transaction);

/* Making one (wallets, tests). */
struct transaction_draft {
    struct hash genesis;
    uint64_t nonce;
    struct timestamp valid_until;
    struct money fee_limit;
    uint32_t action_count;
    struct transaction_draft_action {
        uint8_t type;       /* enum action_type */
        const void *record; /* the struct that action_codec(type) describes */
    } actions[LIMIT_ACTIONS_PER_TX];
    struct bytes_view witness;
};
/* Writes the envelope; false if it does not fit, an action is not encodable, or the key is bad. */
bool transaction_sign(struct byte_writer *writer, const struct transaction_draft *draft,
                      const struct secret_key *secret);

/* Walks the actions of a decoded transaction: *cursor starts at 0. False at the end. */
bool transaction_next_action(const struct transaction *transaction, size_t *cursor, uint8_t *type,
                             struct bytes_view *record);

#endif
