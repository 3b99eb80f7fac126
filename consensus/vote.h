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
/* How nodes store what makes a block final [C-EPOCH.PROOF]: the certificate; and behind it, for the
 * last block of an epoch, the set of the next one, then the headers from the block's child up to the
 * one that the certificate names, if that is a descendant. */
struct finality {
    struct certificate certificate;
    bool ends_epoch;
    struct validator_set next_set; /* if ends_epoch */
    struct bytes_view headers;     /* whole headers, at most LIMIT_VIEW_WINDOW; into the input */
};
enum {
    FINALITY_BYTES_MAX =
        CERTIFICATE_BYTES_MAX + VALIDATOR_SET_BYTES_MAX + LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE
};
/* Strict, like all decoders. Whether the headers link up is the caller's to check. */
bool finality_decode(struct finality *out, struct bytes_view bytes);
/* The set may be NULL, then there are no headers either. writer->failed if it does not fit. */
void finality_encode(struct byte_writer *writer, const struct certificate *certificate,
                     const struct validator_set *next_set, struct bytes_view headers);
/* Follows the headers from the block `header` to the last of them; false if one is not the successor
 * of the one before, in chain, epoch, height and parent id. */
bool finality_follow(struct block_header *header, struct bytes_view headers);

#endif
