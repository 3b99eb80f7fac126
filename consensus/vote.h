/* Votes and quorum certificates (consensus.md 2). */
#ifndef FLEX_CONSENSUS_VOTE_H
#define FLEX_CONSENSUS_VOTE_H

#include "consensus/header.h"
#include "crypto/vote_message.h"

struct vote {
    uint8_t kind; /* enum vote_kind */
    uint64_t epoch;
    uint64_t view;
    struct hash block_id; /* zero for VOTE_NULLIFY */
    uint8_t signer;       /* index in the epoch's set */
    struct signature signature;
};

extern const struct codec_record vote_record;

/* At least a quorum of votes of one kind, view and block; signers strictly ascending. */
struct certificate {
    uint8_t kind;
    uint64_t epoch;
    uint64_t view;
    struct hash block_id;
    uint32_t count;
    struct certificate_entry {
        uint8_t signer;
        struct signature signature;
    } entries[LIMIT_VALIDATORS];
};

extern const struct codec_record certificate_record;

enum { CERTIFICATE_BYTES_MAX = 1 + 8 + 8 + 32 + 4 + LIMIT_VALIDATORS * 65 };

bool vote_verify(const struct vote *vote, const struct hash *genesis,
                 const struct validator_set *set);
/* All of certificate_verify but the signatures: kind and block id agree, a quorum at least, signers
 * strictly ascending and inside the set. */
bool certificate_is_well_formed(const struct certificate *certificate,
                                const struct validator_set *set);
/* Structure, quorum, order, every single signature. */
bool certificate_verify(const struct certificate *certificate, const struct hash *genesis,
                        const struct validator_set *set);
/* Canonical bytes; out holds CERTIFICATE_BYTES_MAX. Returns the size. */
size_t certificate_encode(uint8_t *out, const struct certificate *certificate);
bool certificate_decode(struct certificate *out, struct bytes_view bytes);
/* How nodes store what makes a block final [C-EPOCH.PROOF]: the certificate, and behind it, for a
 * boundary block that a descendant made final, the headers from its child up to the one that the
 * certificate names; at most LIMIT_VIEW_WINDOW, *headers is empty otherwise. Strict, like all
 * decoders. Whether the headers link up is the caller's to check. */
bool finality_decode(struct certificate *out, struct bytes_view *headers, struct bytes_view bytes);

#endif
