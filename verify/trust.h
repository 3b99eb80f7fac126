/* From the genesis file to a header: what every proof and digest begins with (docs/spec/consensus.md,
 * "Epochs"; docs/spec/state.md, "Proofs").
 *
 * A verifier starts with the genesis set and walks over the boundary block of each epoch to the set
 * that signed the header it was given. Functions that return a text return NULL if all is well, else
 * what is wrong. Nothing here allocates. NULL is never a valid argument except where it says so. */
#ifndef FLEX_VERIFY_TRUST_H
#define FLEX_VERIFY_TRUST_H

#include "consensus/vote.h"
#include "contracts/genesis.h"

/* What a verifier trusts: derived from a genesis file that it has from elsewhere. */
struct proof_trust {
    struct hash genesis;
    struct name chain;
    struct validator_set set;
};
/* False if the genesis has a problem. */
bool proof_trust_from_genesis(struct proof_trust *out, const struct genesis *genesis);

/* A header and what finalizes it, for others that verify blocks: the certificate is a finalization
 * by a quorum of `trust` for exactly this header. */
const char *proof_certificate_problem(const struct proof_trust *trust,
                                      const struct block_header *header,
                                      const struct certificate *certificate);

/* More epochs than any proof or digest may walk: one a day for almost three years. */
enum { TRUST_EPOCHS_MAX = 1024 };

/* Where a verifier stands: the set of `epoch`, whose blocks are above the height `boundary`. */
struct trust_walk {
    struct proof_trust current;
    uint64_t epoch;
    uint64_t boundary;
    uint32_t steps;
};
void trust_walk_begin(struct trust_walk *walk, const struct proof_trust *trust);
/* Decodes a header and checks that it is of this chain, and of the epoch that has been reached. */
const char *trust_walk_header(const struct trust_walk *walk, struct block_header *out,
                              struct bytes_view bytes);
/* One more header behind `last`, its successor; *last becomes it. */
const char *trust_walk_descend(struct block_header *last, struct bytes_view bytes);
/* `last` (the header itself or a descendant of it) is finalized by the set of the epoch. */
const char *trust_walk_final(const struct trust_walk *walk, const struct block_header *last,
                             const struct certificate *certificate);
/* Steps over `boundary`, a final header, to the set that it names, whose canonical bytes are given. */
const char *trust_walk_step(struct trust_walk *walk, const struct block_header *boundary,
                            struct bytes_view set);
/* A final header is on the chain, and not above a boundary block in its epoch: those are not of the
 * chain although they are finalized, and only the parent tells the two apart. The parent may be NULL
 * where trust_walk_needs_parent says no. */
bool trust_walk_needs_parent(const struct trust_walk *walk, const struct block_header *header);
const char *trust_walk_on_chain(const struct trust_walk *walk, const struct block_header *header,
                                const struct block_header *parent);

#endif
