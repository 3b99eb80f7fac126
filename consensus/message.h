/* What nodes say to each other about blocks and votes, and its canonical encoding.
 *
 * One frame = u8 message type, then the payload as below. Bodies are opaque bytes here. Decoders
 * are strict and bounded; a false return means: count a strike against the sender and drop it.
 *
 *   type            payload                                       sent by
 *   PROPOSAL        header, leader's N vote, sized body,          leader of a view
 *                   u8 flag + parent certificate, u32 count +
 *                   nullifications of skipped views (<= 16)
 *   VOTE            vote                                          every validator
 *   CERTIFICATE     certificate                                   whoever sees it first
 *   GET_CERT        u64 view                                      R11
 *   GET_BLOCK       block id                                      R11
 *   BLOCK           header, sized body                            answer to GET_BLOCK
 *   GET_RANGE       u64 first height, u32 count, u64 lacks        lagging node (consensus.md 8)
 *   RANGE           u32 count x (header, sized body), u32 count   answer: blocks in height order,
 *                   x header, certificate                         headers up to the finalized one,
 *                                                                 its finalization
 *                                                                 (bodies of finished deals may have
 *                                                                 lost their witnesses)
 *   STATUS          u64 epoch, current view, last final view,     on every (re)connect and at a
 *                   last final height                             standstill; to all peers
 *   GET_HIGH_VOTE   validator key, u64 question                   after every start (rolled-back
 *   HIGH_VOTE       validator key, u64 question, u64 own epoch,   disk rule), and its answer
 *                   u8 flag + vote
 *   TRANSACTIONS    1 to 128 x sized signed envelope (opaque      gossip
 *                   here, none empty) */
#ifndef FLEX_CONSENSUS_MESSAGE_H
#define FLEX_CONSENSUS_MESSAGE_H

#include "consensus/vote.h"

enum message_type {
    MESSAGE_PROPOSAL = 1,
    MESSAGE_VOTE = 2,
    MESSAGE_CERTIFICATE = 3,
    MESSAGE_GET_CERT = 4,
    MESSAGE_GET_BLOCK = 5,
    MESSAGE_BLOCK = 6,
    MESSAGE_GET_RANGE = 7,
    MESSAGE_RANGE = 8,
    MESSAGE_STATUS = 9,
    MESSAGE_GET_HIGH_VOTE = 10,
    MESSAGE_HIGH_VOTE = 11,
    MESSAGE_TRANSACTIONS = 12
};

enum { MESSAGE_NULLIFICATIONS_MAX = 16 };
/* In one frame: some 6 ms of one core's verification, so that two workers share a frame evenly enough. */
enum { MESSAGE_TRANSACTIONS_MAX = 128 };

struct message_proposal {
    struct block_header header;
    struct vote vote;
    bool has_parent_certificate; /* finalization or notarization of header.parent_view */
    struct certificate parent_certificate;
    uint32_t nullification_count; /* of skipped views, ascending */
    struct certificate nullifications[MESSAGE_NULLIFICATIONS_MAX];
    struct bytes_view body; /* points into the frame */
};

struct message_block {
    struct block_header header;
    struct bytes_view body; /* points into the frame */
};

struct message_status {
    uint64_t epoch;
    uint64_t view;
    uint64_t final_view;
    uint64_t final_height;
};

struct message_range {
    uint32_t block_count;
    struct message_block blocks[LIMIT_RANGE_BLOCKS];
    uint32_t header_count;
    struct bytes_view headers; /* header_count x BLOCK_HEADER_SIZE bytes, in the frame */
    struct certificate finalization;
};

struct message_get_range {
    uint64_t height;
    uint32_t count;
    /* The first block that the asker has not decided; below `height` if it asks ahead. Whoever prunes keeps
     * what lies from there on for a while (docs/spec/snapshot.md): what was asked ahead is lost with the
     * asker's process. */
    uint64_t lacks;
};

/* Encoders write type and payload; writer->failed if it does not fit. */
void message_encode_proposal(struct byte_writer *writer, const struct message_proposal *message);
void message_encode_vote(struct byte_writer *writer, const struct vote *vote);
void message_encode_certificate(struct byte_writer *writer, const struct certificate *certificate);
void message_encode_get_cert(struct byte_writer *writer, uint64_t view);
void message_encode_get_block(struct byte_writer *writer, const struct hash *id);
void message_encode_block(struct byte_writer *writer, const struct message_block *message);
void message_encode_get_range(struct byte_writer *writer, const struct message_get_range *message);
void message_encode_range(struct byte_writer *writer, const struct message_range *message);
void message_encode_status(struct byte_writer *writer, const struct message_status *status);
/* `question` comes back with the answer, so that those to an earlier life's questions are told apart. */
void message_encode_get_high_vote(struct byte_writer *writer, const struct public_key *key,
                                  uint64_t question);
/* `epoch` is the sender's: of earlier ones it remembers nothing [C-ROLLBACK.ANSWER]. */
void message_encode_high_vote(struct byte_writer *writer, const struct public_key *key,
                              uint64_t question, uint64_t epoch, const struct vote *vote_or_null);
/* Appends one envelope; the first one after the type byte, which it writes too. The caller counts. */
void message_append_transaction(struct byte_writer *writer, struct bytes_view envelope);

/* `frame` without its type byte. All bytes must be used. */
bool message_decode_proposal(struct message_proposal *out, struct bytes_view payload);
bool message_decode_vote(struct vote *out, struct bytes_view payload);
bool message_decode_certificate(struct certificate *out, struct bytes_view payload);
bool message_decode_get_cert(uint64_t *view, struct bytes_view payload);
bool message_decode_get_block(struct hash *id, struct bytes_view payload);
bool message_decode_block(struct message_block *out, struct bytes_view payload);
bool message_decode_get_range(struct message_get_range *out, struct bytes_view payload);
bool message_decode_range(struct message_range *out, struct bytes_view payload);
bool message_decode_status(struct message_status *out, struct bytes_view payload);
bool message_decode_get_high_vote(struct public_key *key, uint64_t *question,
                                  struct bytes_view payload);
bool message_decode_high_vote(struct public_key *key, uint64_t *question, uint64_t *epoch,
                              bool *has_vote, struct vote *out, struct bytes_view payload);
/* The views point into the payload. */
bool message_decode_transactions(struct bytes_view out[MESSAGE_TRANSACTIONS_MAX], uint32_t *count,
                                 struct bytes_view payload);

#endif
