/* Verification of proof files with nothing but a genesis file (docs/spec/state.md, api.md).
 *
 * What is checked, in this order: the file is strict, canonical JSON; the header belongs to this
 * chain; a quorum of its epoch's validators has finalized it (verify/trust.h); and then what the kind
 * of proof says: a record or its absence under the state root, a receipt under the receipt root, an
 * earlier block under the log root, or an earlier log as a prefix of the one under the log root.
 * Pure: no files, no network, no clock. */
#ifndef FLEX_VERIFY_PROOF_H
#define FLEX_VERIFY_PROOF_H

#include "contracts/ledger.h"
#include "crypto/state_tree.h"
#include "verify/trust.h"

enum { PROOF_PROBLEM_SIZE = 160, PROOF_ID_SIZE = 160, PROOF_FILE_BYTES_MAX = 8 * 1024 * 1024 };

enum proof_type {
    PROOF_STATE,    /* a record of the state, or its absence */
    PROOF_RECEIPT,  /* "transaction": a receipt */
    PROOF_BLOCK,    /* "block": an earlier block's header is in the log */
    PROOF_LOG,      /* "log": the log of an earlier size is a prefix of this one */
    PROOF_BLOCK_END /* "block_end": the receipt of a block's end; the id is its height */
};

/* A statement that has been verified. */
struct proof {
    enum proof_type type;
    const struct state_kind_info *kind; /* PROOF_STATE, else NULL */
    char id[PROOF_ID_SIZE];
    struct block_header header; /* the finalized one that all the rest hangs on */
    struct hash block_id;
    bool present;                /* PROOF_STATE: the record exists */
    struct bytes_view value;     /* its canonical bytes, in `storage` */
    struct hash transaction;     /* PROOF_RECEIPT; zero of PROOF_BLOCK_END */
    struct receipt receipt;      /* its events point into `storage` */
    struct block_header earlier; /* PROOF_BLOCK: the block that is in the log */
    struct hash earlier_id;
    uint64_t old_size; /* PROOF_LOG: leaves, of blocks 0 to old_size - 1 */
    struct hash old_root;
    uint8_t *storage;
};

/* "pot", "transaction", "block", "log": the word in the file. */
const char *proof_kind_name(const struct proof *proof);

/* False with the reason in `problem`; then *out holds nothing to release. Allocates `storage`, half
 * the text's size, and while it runs the parsed JSON, some 30 times the text's size at worst. */
bool proof_verify(struct proof *out, const struct proof_trust *trust, const char *text, size_t size,
                  char problem[PROOF_PROBLEM_SIZE]);
void proof_release(struct proof *proof);

/* Makes a node's answer a file to keep: one line of canonical JSON that ends in a checksum, so that
 * a copy that was damaged is never taken for whole. The caller frees; NULL if `text` is not an
 * object or memory ran out. */
char *proof_seal(const char *text, size_t size);

struct cJSON;
/* What a verified proof states, for people and programs; the caller deletes it. NULL if memory ran
 * out, or if the record has a form that this version does not know. */
struct cJSON *proof_to_json(const struct proof *proof);

#endif
