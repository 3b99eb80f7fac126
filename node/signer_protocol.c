/* The records between a node and its signer (signer_protocol.h).
 *
 * A signer never signs bytes that the node chose: a request names the parts of a vote or of a link's proof,
 * and the signer hashes them itself under their own domains. So no request of one kind can be had signed
 * as another, and nothing else can be had signed at all.
 *
 * Deliberately absent: lengths and optional parts. Each packet is one record of fixed size. */
#include "node/signer_protocol.h"

#include <string.h>

const char *const signer_result_names[SIGNER_RESULT_COUNT] = {"done", "contradicts", "too_old",
                                                              "other_chain", "malformed"};

static const char *const kind_names[] = {NULL, "state", "vote", "link"};
static const char *const link_role_names[] = {"none", "dialler", "listener"};

enum {
    KIND_COUNT = sizeof kind_names / sizeof kind_names[0],
    LINK_ROLE_COUNT = sizeof link_role_names / sizeof link_role_names[0]
};

static const struct codec_field request_fields[] = {
    {"magic", CODEC_U32, offsetof(struct signer_request, magic), 0, 0, NULL, NULL},
    {"version", CODEC_U16, offsetof(struct signer_request, version), 0, 0, NULL, NULL},
    {"kind", CODEC_ENUM, offsetof(struct signer_request, kind), KIND_COUNT, 0, kind_names, NULL},
    {"number", CODEC_U64, offsetof(struct signer_request, number), 0, 0, NULL, NULL},
    {"genesis", CODEC_FIXED, offsetof(struct signer_request, genesis), HASH_SIZE, 0, NULL, NULL},
    {"vote_kind", CODEC_ENUM, offsetof(struct signer_request, vote_kind), VOTE_KIND_COUNT, 0,
     vote_kind_names, NULL},
    {"signer", CODEC_U8, offsetof(struct signer_request, signer), 0, 0, NULL, NULL},
    {"epoch", CODEC_U64, offsetof(struct signer_request, epoch), 0, 0, NULL, NULL},
    {"view", CODEC_U64, offsetof(struct signer_request, view), 0, 0, NULL, NULL},
    {"block_id", CODEC_FIXED, offsetof(struct signer_request, block_id), HASH_SIZE, 0, NULL, NULL},
    {"link_role", CODEC_ENUM, offsetof(struct signer_request, link_role), LINK_ROLE_COUNT, 0,
     link_role_names, NULL},
    {"peer_key", CODEC_FIXED, offsetof(struct signer_request, peer_key), PUBLIC_KEY_SIZE, 0, NULL,
     NULL},
    {"nonce", CODEC_FIXED, offsetof(struct signer_request, nonce), HANDSHAKE_NONCE_SIZE, 0, NULL,
     NULL},
    {"peer_nonce", CODEC_FIXED, offsetof(struct signer_request, peer_nonce), HANDSHAKE_NONCE_SIZE,
     0, NULL, NULL},
};

const struct codec_record signer_request_record = {
    .name = "signer_request",
    .struct_size = sizeof(struct signer_request),
    .fields = request_fields,
    .field_count = sizeof request_fields / sizeof request_fields[0],
};

static const struct codec_field answer_fields[] = {
    {"magic", CODEC_U32, offsetof(struct signer_answer, magic), 0, 0, NULL, NULL},
    {"number", CODEC_U64, offsetof(struct signer_answer, number), 0, 0, NULL, NULL},
    {"result", CODEC_ENUM, offsetof(struct signer_answer, result), SIGNER_RESULT_COUNT, 0,
     signer_result_names, NULL},
    {"key", CODEC_FIXED, offsetof(struct signer_answer, key), PUBLIC_KEY_SIZE, 0, NULL, NULL},
    {"signature", CODEC_FIXED, offsetof(struct signer_answer, signature), SIGNATURE_SIZE, 0, NULL,
     NULL},
    {"epoch", CODEC_U64, offsetof(struct signer_answer, epoch), 0, 0, NULL, NULL},
    {"view", CODEC_U64, offsetof(struct signer_answer, view), 0, 0, NULL, NULL},
};

const struct codec_record signer_answer_record = {
    .name = "signer_answer",
    .struct_size = sizeof(struct signer_answer),
    .fields = answer_fields,
    .field_count = sizeof answer_fields / sizeof answer_fields[0],
};

void signer_link_hash(struct hash *out, const struct signer_request *request,
                      const struct public_key *own)
{
    struct handshake_hello ours = {
        .role = request->link_role, .genesis = request->genesis, .key = *own};
    struct handshake_hello theirs = {.key = request->peer_key};
    memcpy(ours.nonce, request->nonce, sizeof ours.nonce);
    memcpy(theirs.nonce, request->peer_nonce, sizeof theirs.nonce);
    handshake_proof_hash(out, &ours, &theirs);
}
