/* From the genesis file to a header (verify/trust.h).
 *
 * Invariants: a set is believed only if a final header of the epoch before names its hash; a header
 * only if a quorum of a believed set has finalized it or a descendant of it, of the same epoch;
 * epochs are walked one by one, upwards.
 *
 * Absent on purpose: reading of any file format. Proof files (verify/proof.c) and digests
 * (verify/digest.c) both come here with decoded parts. */
#include "verify/trust.h"

#include <string.h>

#include "base/fatal.h"

bool proof_trust_from_genesis(struct proof_trust *out, const struct genesis *genesis)
{
    memset(out, 0, sizeof *out);
    if (genesis_problem(genesis) != NULL || !genesis_hash(&out->genesis, genesis)) {
        return false;
    }
    out->chain = genesis->chain;
    out->set.count = genesis->params.validator_count;
    for (uint32_t i = 0; i < out->set.count; i++) {
        out->set.validators[i].key = genesis->params.validators[i].key;
        out->set.validators[i].operator_name = genesis->params.validators[i].operator_name;
    }
    return validator_set_is_valid(&out->set);
}

const char *proof_certificate_problem(const struct proof_trust *trust,
                                      const struct block_header *header,
                                      const struct certificate *certificate)
{
    struct hash id;
    block_header_id(&id, header);
    if (certificate->kind != VOTE_FINALIZE) {
        return "the certificate is not a finalization";
    }
    if (certificate->epoch != header->epoch || certificate->view != header->view ||
        !hash_equal(&certificate->block_id, &id)) {
        return "the certificate is for another block";
    }
    if (!certificate_verify(certificate, &trust->genesis, &trust->set)) {
        return "the certificate is not signed by a quorum of the validators of its epoch";
    }
    return NULL;
}

void trust_walk_begin(struct trust_walk *walk, const struct proof_trust *trust)
{
    *walk = (struct trust_walk){.current = *trust};
}

const char *trust_walk_header(const struct trust_walk *walk, struct block_header *out,
                              struct bytes_view bytes)
{
    if (!block_header_decode(out, bytes)) {
        return "the header is malformed";
    }
    if (!hash_equal(&out->genesis, &walk->current.genesis)) {
        return "the header belongs to another chain";
    }
    if (out->epoch != walk->epoch || out->height <= walk->boundary) {
        return "the header has an epoch that is not known here";
    }
    return NULL;
}

const char *trust_walk_descend(struct block_header *last, struct bytes_view bytes)
{
    if (bytes.size != BLOCK_HEADER_SIZE) {
        return "a header behind the proven one is malformed";
    }
    return finality_follow(last, bytes) ? NULL
                                        : "a header behind the proven one is not its successor";
}

const char *trust_walk_final(const struct trust_walk *walk, const struct block_header *last,
                             const struct certificate *certificate)
{
    return proof_certificate_problem(&walk->current, last, certificate);
}

static bool names_own_set(const struct trust_walk *walk, const struct block_header *header)
{
    struct hash set;
    validator_set_hash(&set, &walk->current.set);
    return hash_equal(&header->next_set, &set);
}

const char *trust_walk_step(struct trust_walk *walk, const struct block_header *boundary,
                            struct bytes_view set)
{
    struct hash hash;
    struct validator_set next;
    MUST(boundary->epoch == walk->epoch);
    if (walk->steps >= TRUST_EPOCHS_MAX) {
        return "there are more epochs than any proof may have";
    }
    if (names_own_set(walk, boundary)) {
        return "a block that ends no epoch stands where one should";
    }
    if (!codec_decode_all(&validator_set_record, &next, set) || !validator_set_is_valid(&next)) {
        return "a validator set is malformed";
    }
    validator_set_hash(&hash, &next);
    if (!hash_equal(&hash, &boundary->next_set)) {
        return "a validator set is not the one that its header names";
    }
    walk->current.set = next;
    walk->epoch++;
    walk->boundary = boundary->height;
    walk->steps++;
    return NULL;
}

bool trust_walk_needs_parent(const struct trust_walk *walk, const struct block_header *header)
{
    return !names_own_set(walk, header) && header->height > 1;
}

const char *trust_walk_on_chain(const struct trust_walk *walk, const struct block_header *header,
                                const struct block_header *parent)
{
    struct hash id;
    if (!trust_walk_needs_parent(walk, header)) {
        return NULL;
    }
    if (parent == NULL) {
        return "the block ends an epoch, and its parent's header is not there";
    }
    block_header_id(&id, parent);
    if (!hash_equal(&id, &header->parent_id)) {
        return "the parent's header is another block's";
    }
    return parent->epoch < header->epoch || names_own_set(walk, parent)
               ? NULL
               : "the block stands above the end of its epoch";
}
