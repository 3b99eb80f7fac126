/* Block headers and validator sets: what consensus signs and what every proof ends in
 * (consensus.md 2; docs/spec/consensus.md). The body is opaque here; header.tx_root binds it. */
#ifndef FLEX_CONSENSUS_HEADER_H
#define FLEX_CONSENSUS_HEADER_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/name.h"
#include "base/units.h"
#include "crypto/sign.h"

enum { BLOCK_HEADER_VERSION = 1, BLOCK_HEADER_SIZE = 4 + 32 + 8 * 4 + 32 + 8 + 32 * 5 };

struct block_header {
    uint32_t version;
    struct hash genesis; /* hash of the genesis record: the chain's identity */
    uint64_t epoch;
    uint64_t height; /* parent's + 1; genesis is height 0, view 0 */
    uint64_t view;
    uint64_t parent_view;
    struct hash parent_id;
    struct timestamp time; /* above the parent's */
    struct hash tx_root;
    struct hash receipt_root;
    struct hash state_root; /* after this block */
    struct hash log_root;   /* history log over the ids of all blocks before this one */
    struct hash next_set;   /* hash of the validator set of the next height */
};

extern const struct codec_record block_header_record;

void block_header_encode(uint8_t out[BLOCK_HEADER_SIZE], const struct block_header *header);
bool block_header_decode(struct block_header *out, struct bytes_view bytes);
void block_header_id(struct hash *out, const struct block_header *header);

struct validator {
    struct public_key key;     /* Ed25519 */
    struct name operator_name; /* the participant that runs it and earns its fees */
};

/* Sorted by key, no two equal, LIMIT_VALIDATORS_MIN to LIMIT_VALIDATORS of them. */
struct validator_set {
    uint32_t count;
    struct validator validators[LIMIT_VALIDATORS];
};

extern const struct codec_record validator_set_record;
enum { VALIDATOR_SET_BYTES_MAX = 4 + LIMIT_VALIDATORS * (PUBLIC_KEY_SIZE + NAME_SIZE) };

bool validator_set_is_valid(const struct validator_set *set);
void validator_set_hash(struct hash *out, const struct validator_set *set);
/* f = floor((n-1)/3). */
uint32_t validator_set_faults(const struct validator_set *set);
/* q = n - f; never 2f+1 (consensus.md 1). */
uint32_t validator_set_quorum(const struct validator_set *set);
/* set[(view + epoch) mod n]. */
uint32_t validator_set_leader(const struct validator_set *set, uint64_t epoch, uint64_t view);
/* -1 if it is not in the set. */
int validator_set_index(const struct validator_set *set, const struct public_key *key);

#endif
