/* What a node and its signer say to each other (docs/spec/signer.md 2): one request, one answer, each a
 * packet of its own on a Unix socket of type SOCK_SEQPACKET. Records are declared as codec tables. */
#ifndef FLEX_NODE_SIGNER_PROTOCOL_H
#define FLEX_NODE_SIGNER_PROTOCOL_H

#include "base/codec.h"
#include "consensus/vote.h"
#include "p2p/handshake.h"

enum {
    SIGNER_MAGIC = 0x464c5853, /* "FLXS" */
    SIGNER_VERSION = 1,
    SIGNER_PACKET_MAX = 256 /* no record below is as long; the codec checks each size exactly */
};

enum signer_request_kind { SIGNER_ASK_STATE = 1, SIGNER_ASK_VOTE = 2, SIGNER_ASK_LINK = 3 };

/* All three in one record: fields that a kind does not use are zero. */
struct signer_request {
    uint32_t magic;
    uint16_t version;
    uint8_t kind;
    uint64_t number; /* the answer repeats it */
    struct hash genesis;
    /* VOTE */
    uint8_t vote_kind;
    uint8_t signer;
    uint64_t epoch;
    uint64_t view;
    struct hash block_id;
    /* LINK: what handshake_proof_hash hashes, but for the signer's own key */
    uint8_t link_role;
    struct public_key peer_key;
    uint8_t nonce[HANDSHAKE_NONCE_SIZE];
    uint8_t peer_nonce[HANDSHAKE_NONCE_SIZE];
};

enum signer_result {
    SIGNER_DONE = 0,
    SIGNER_CONTRADICTS = 1, /* what was signed in that view before excludes it */
    SIGNER_TOO_OLD = 2,     /* its epoch is over, or its view is below the window */
    SIGNER_OTHER_CHAIN = 3, /* this key signs for another genesis */
    SIGNER_MALFORMED = 4,   /* not a request of this protocol and version */
    SIGNER_RESULT_COUNT = 5
};
extern const char *const signer_result_names[SIGNER_RESULT_COUNT];

struct signer_answer {
    uint32_t magic;
    uint64_t number;
    uint8_t result;
    struct public_key key;
    struct signature signature; /* VOTE and LINK that are DONE */
    /* The watermark: the epoch and the highest view in which it has signed; zero before the first. */
    uint64_t epoch;
    uint64_t view;
};

extern const struct codec_record signer_request_record;
extern const struct codec_record signer_answer_record;

/* What the signature of a LINK request covers, with `own` as the speaker's key. */
void signer_link_hash(struct hash *out, const struct signer_request *request,
                      const struct public_key *own);

#endif
