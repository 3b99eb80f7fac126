/* A small history around three midnights for the tests of digests and of the library: headers alone,
 * with a change of the validator set in between, and their notes. The same bytes on every run. */
#ifndef FLEX_TESTS_DIGEST_WORLD_H
#define FLEX_TESTS_DIGEST_WORLD_H

#include "verify/digest.h"

enum { DIGEST_WORLD_BLOCKS = 8, DIGEST_WORLD_NOTE_MAX = 32768 };

struct digest_world {
    struct genesis genesis;
    struct proof_trust trust;
    struct validator_set sets[2]; /* of the epochs */
    struct secret_key seeds[2][4];
    struct block_header headers[DIGEST_WORLD_BLOCKS + 1]; /* from 1 */
    struct note_witness witness;
    struct secret_key witness_seed;
    /* Of the first day: two blocks of epoch 0, three votes. Of the second: epoch 1, and the votes are
     * for a descendant. The third is the second with a witness's signature. */
    char plain[DIGEST_WORLD_NOTE_MAX];
    char walked[DIGEST_WORLD_NOTE_MAX];
    char cosigned[DIGEST_WORLD_NOTE_MAX];
    /* Sealed proof files under the last header, over the change of the set: the one record of the state,
     * balance/dso of 1.25 EUR; that there is no balance/agg-a; block 2; the log of size 3. */
    char balance[DIGEST_WORLD_NOTE_MAX];
    char absent[DIGEST_WORLD_NOTE_MAX];
    char block[DIGEST_WORLD_NOTE_MAX];
    char log[DIGEST_WORLD_NOTE_MAX];
};
enum { DIGEST_WORLD_TIME_S = 1736985600 };

const struct digest_world *digest_world(void);
/* A finalization of that header by the first `signers` validators of its epoch. */
void digest_world_certify(struct certificate *out, const struct block_header *header,
                          uint32_t signers);

/* A long history's note, over that many changes of the set, to and fro; the caller frees. */
char *digest_world_long_note(uint32_t epochs);

#endif
