/* One small finalized chain for the proof target and its seeds: a genesis of four validators with
 * known keys, one finalized block with two records under its state root and one receipt under its
 * receipt root, and the proofs of them as a node would answer. */
#ifndef FLEX_TESTS_FUZZ_PROOF_WORLD_H
#define FLEX_TESTS_FUZZ_PROOF_WORLD_H

#include "verify/proof.h"

enum { PROOF_WORLD_PROOFS = 4, PROOF_WORLD_TEXT_MAX = 16384 };

struct proof_world {
    struct proof_trust trust;
    struct block_header header;
    struct hash block_id;
    struct bytes_view value; /* of the record that is present */
    const char *present_kind;
    const char *present_id;
    struct receipt receipt;
    /* Sealed texts: a record, a record's absence, a receipt, a record through a descendant. */
    char *texts[PROOF_WORLD_PROOFS];
};

const struct proof_world *proof_world(void);

#endif
