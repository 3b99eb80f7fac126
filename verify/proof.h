/* Verification of proof files with nothing but a genesis file (docs/spec/state.md, api.md).
 *
 * What is checked, in this order: the file is strict, canonical JSON; the header belongs to this
 * chain; a quorum of the genesis validators has finalized it; and either the state tree's path leads
 * from the header's state root to the record (or to its absence), or the receipt is under the
 * header's receipt root. Pure: no files, no network, no clock. */
#ifndef FLEX_VERIFY_PROOF_H
#define FLEX_VERIFY_PROOF_H

#include "consensus/vote.h"
#include "contracts/ledger.h"
#include "crypto/state_tree.h"

enum { PROOF_PROBLEM_SIZE = 160, PROOF_ID_SIZE = 160, PROOF_FILE_BYTES_MAX = 8 * 1024 * 1024 };

/* What a verifier trusts: derived from a genesis file that it has from elsewhere. */
struct proof_trust {
    struct hash genesis;
    struct validator_set set;
};
/* False if the genesis has a problem. */
bool proof_trust_from_genesis(struct proof_trust *out, const struct genesis *genesis);

/* A statement that has been verified. */
struct proof {
    const struct state_kind_info *kind; /* NULL for a transaction's receipt */
    char id[PROOF_ID_SIZE];
    struct block_header header;
    struct hash block_id;
    bool present;            /* state proofs: the record exists */
    struct bytes_view value; /* its canonical bytes, in `storage` */
    struct hash transaction; /* receipts */
    struct receipt receipt;  /* its events point into `storage` */
    uint8_t *storage;
};

/* False with the reason in `problem`; then *out holds nothing to release. */
bool proof_verify(struct proof *out, const struct proof_trust *trust, const char *text, size_t size,
                  char problem[PROOF_PROBLEM_SIZE]);
void proof_release(struct proof *proof);

/* A header and what finalizes it, for others that verify blocks: the certificate is a finalization
 * by a quorum of `trust` for exactly this header. NULL if it is, else what is wrong. */
const char *proof_certificate_problem(const struct proof_trust *trust,
                                      const struct block_header *header,
                                      const struct certificate *certificate);

/* Makes a node's answer a file to keep: one line of canonical JSON that ends in a checksum, so that
 * a copy that was damaged is never taken for whole. The caller frees; NULL if `text` is not an
 * object or memory ran out. */
char *proof_seal(const char *text, size_t size);

#endif
