/* Witnesses that have been deleted, and what stands in for them (market-rules 9, Privacy;
 * docs/spec/privacy.md 8; docs/adr/0043).
 *
 * A transaction's id, its leaf and a block's roots don't cover its witness. When a deal is over, a node may
 * put a stand-in there: the transaction's receipt with its path to the header's receipt root. It says what
 * the readings said, measured unit by unit, and no reading; execution takes it from there, and leads to the
 * same roots. Nobody can make another one that holds. Pointers are never NULL. */
#ifndef FLEX_CONTRACTS_WITNESS_H
#define FLEX_CONTRACTS_WITNESS_H

#include "contracts/body.h"
#include "contracts/events.h"
#include "contracts/ledger.h"

struct stand_in {
    struct bytes_view receipt; /* canonical */
    uint32_t path_count;
    struct hash path[LIMIT_RECEIPT_PATH]; /* from the receipt's leaf to the receipt root */
};
extern const struct codec_record stand_in_record;

/* What a receipt says of the proof that its transaction made: the event, or none if it failed. */
struct stand_in_outcome {
    uint16_t status; /* enum contract_error */
    bool measured;   /* `event` is filled: status is OK */
    struct event_measured event;
};
/* False if the stand-in's bytes are not canonical, or say that a proof succeeded and not how. */
bool stand_in_outcome(struct stand_in_outcome *out, struct bytes_view stand_in);

/* Whether the stand-in of the transaction at `index` of `count` is the one of its own receipt under the
 * header's receipt root. *final: when its deal could no longer be disputed; 0 if the proof failed. */
bool stand_in_holds(const struct transaction *transaction, uint32_t index, uint32_t count,
                    const struct hash *receipt_root, struct timestamp *final);

/* --- bodies ------------------------------------------------------------------------------- */

struct body_witnesses {
    uint32_t whole;   /* transactions with a witness */
    uint32_t deleted; /* with a stand-in */
    /* When the last of the deals whose witnesses are gone could no longer be disputed. */
    struct timestamp last_final;
};

/* body_tx_root for a body that may have lost witnesses: each stand-in is held against `receipt_root`, as the
 * one of its own transaction. False if anything is malformed or does not hold. `leaves` is scratch for
 * LIMIT_TX_PER_BLOCK hashes. */
bool body_kept_root(struct hash *out, struct body_witnesses *witnesses, struct bytes_view body,
                    const struct hash *receipt_root, struct hash *leaves);

/* Whether a sound body has lost a witness, or has one left. */
bool body_has_stand_in(struct bytes_view body);
bool body_has_witness(struct bytes_view body);

/* When the last of the deals that the body's witnesses prove can no longer be disputed, by what its receipts
 * say; 0 if none succeeded. False if body and receipts don't belong together. */
bool body_last_final(struct timestamp *out, struct bytes_view body, struct bytes_view receipts);

/* Writes the body with a stand-in for every witness. `receipts` is what the store keeps of the block: u32
 * count, count x sized receipt, the block end's last. False, and *out says nothing, if it does not fit the
 * writer, or body and receipts don't belong together. `leaves` is scratch for LIMIT_TX_PER_BLOCK + 1. */
bool body_strip(struct byte_writer *out, struct bytes_view body, struct bytes_view receipts,
                struct hash *leaves);

#endif
