/* HELLO and AUTH: how two nodes prove their node keys to each other inside TLS.
 *
 * Invariants:
 * 1. What a node signs names its own role, both keys and both nonces, so a signature serves one
 *    exchange only, in one direction (the argument is in docs/spec/wire.md 3.3).
 * 2. Both records are declared as codec tables; the decoder takes canonical bytes only.
 *
 * Deliberately absent: any secret beyond the node's seed, and any negotiation. There is one
 * version, and a node that speaks another is told nothing. */
#include "p2p/handshake.h"

#include <string.h>

#include "base/fatal.h"

static const char *const role_names[] = {NULL, "dialler", "listener"};

enum { ROLE_NAME_COUNT = sizeof(role_names) / sizeof(role_names[0]) };

static const struct codec_field hello_fields[] = {
    {.name = "magic", .type = CODEC_U32, .offset = offsetof(struct handshake_hello, magic)},
    {.name = "version", .type = CODEC_U16, .offset = offsetof(struct handshake_hello, version)},
    {.name = "role",
     .type = CODEC_ENUM,
     .offset = offsetof(struct handshake_hello, role),
     .limit = ROLE_NAME_COUNT,
     .names = role_names},
    {.name = "genesis",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_hello, genesis),
     .limit = HASH_SIZE},
    {.name = "key",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_hello, key),
     .limit = PUBLIC_KEY_SIZE},
    {.name = "target",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_hello, target),
     .limit = PUBLIC_KEY_SIZE},
    {.name = "nonce",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_hello, nonce),
     .limit = HANDSHAKE_NONCE_SIZE},
};

const struct codec_record handshake_hello_record = {
    .name = "handshake_hello",
    .struct_size = sizeof(struct handshake_hello),
    .fields = hello_fields,
    .field_count = sizeof(hello_fields) / sizeof(hello_fields[0]),
};

/* What a signature covers. */
struct handshake_proof {
    uint8_t role;
    struct hash genesis;
    struct public_key key;
    struct public_key peer_key;
    uint8_t nonce[HANDSHAKE_NONCE_SIZE];
    uint8_t peer_nonce[HANDSHAKE_NONCE_SIZE];
};

enum {
    PROOF_SIZE = 1 + HASH_SIZE + 2 * PUBLIC_KEY_SIZE + 2 * HANDSHAKE_NONCE_SIZE,
};

static const struct codec_field proof_fields[] = {
    {.name = "role",
     .type = CODEC_ENUM,
     .offset = offsetof(struct handshake_proof, role),
     .limit = ROLE_NAME_COUNT,
     .names = role_names},
    {.name = "genesis",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_proof, genesis),
     .limit = HASH_SIZE},
    {.name = "key",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_proof, key),
     .limit = PUBLIC_KEY_SIZE},
    {.name = "peer_key",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_proof, peer_key),
     .limit = PUBLIC_KEY_SIZE},
    {.name = "nonce",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_proof, nonce),
     .limit = HANDSHAKE_NONCE_SIZE},
    {.name = "peer_nonce",
     .type = CODEC_FIXED,
     .offset = offsetof(struct handshake_proof, peer_nonce),
     .limit = HANDSHAKE_NONCE_SIZE},
};

static const struct codec_record proof_record = {
    .name = "handshake_proof",
    .struct_size = sizeof(struct handshake_proof),
    .fields = proof_fields,
    .field_count = sizeof(proof_fields) / sizeof(proof_fields[0]),
};

const char *handshake_result_text(enum handshake_result result)
{
    switch (result) {
    case HANDSHAKE_OK:
        return "ok";
    case HANDSHAKE_MALFORMED:
        return "malformed handshake";
    case HANDSHAKE_WRONG_VERSION:
        return "another protocol version";
    case HANDSHAKE_WRONG_ROLE:
        return "wrong role";
    case HANDSHAKE_WRONG_GENESIS:
        return "another ledger's genesis";
    case HANDSHAKE_WRONG_TARGET:
        return "wants another node";
    case HANDSHAKE_WRONG_KEY:
        return "not the node that was dialled";
    case HANDSHAKE_WRONG_PROOF:
        return "failed proof of the node key";
    }
    MUST(!"a handshake_result outside its enum");
    return "";
}

void handshake_hello_make(struct handshake_hello *out, enum handshake_role role,
                          const struct hash *genesis, const struct public_key *key,
                          const struct public_key *target)
{
    *out = (struct handshake_hello){.magic = HANDSHAKE_MAGIC,
                                    .version = HANDSHAKE_VERSION,
                                    .role = (uint8_t)role,
                                    .genesis = *genesis,
                                    .key = *key,
                                    .target = *target};
    random_bytes(out->nonce, sizeof(out->nonce));
}

void handshake_hello_encode(uint8_t out[HANDSHAKE_HELLO_SIZE], const struct handshake_hello *hello)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, HANDSHAKE_HELLO_SIZE);
    codec_encode(&handshake_hello_record, hello, &writer);
    MUST(!writer.failed && writer.size == HANDSHAKE_HELLO_SIZE);
}

enum handshake_result handshake_hello_check(struct handshake_hello *theirs,
                                            const struct handshake_hello *ours,
                                            struct bytes_view bytes)
{
    if (!codec_decode_all(&handshake_hello_record, theirs, bytes) ||
        theirs->magic != HANDSHAKE_MAGIC) {
        return HANDSHAKE_MALFORMED;
    }
    if (theirs->version != HANDSHAKE_VERSION) {
        return HANDSHAKE_WRONG_VERSION;
    }
    if (theirs->role == ours->role) {
        return HANDSHAKE_WRONG_ROLE;
    }
    if (!hash_equal(&theirs->genesis, &ours->genesis)) {
        return HANDSHAKE_WRONG_GENESIS;
    }
    if (!public_key_equal(&theirs->target, &ours->key)) {
        return HANDSHAKE_WRONG_TARGET;
    }
    if (public_key_equal(&theirs->key, &ours->key)) {
        return HANDSHAKE_WRONG_KEY;
    }
    if (ours->role == HANDSHAKE_DIALLER && !public_key_equal(&theirs->key, &ours->target)) {
        return HANDSHAKE_WRONG_KEY;
    }
    return HANDSHAKE_OK;
}

void handshake_proof_hash(struct hash *out, const struct handshake_hello *speaker,
                          const struct handshake_hello *hearer)
{
    struct handshake_proof proof = {.role = speaker->role,
                                    .genesis = speaker->genesis,
                                    .key = speaker->key,
                                    .peer_key = hearer->key};
    memcpy(proof.nonce, speaker->nonce, sizeof(proof.nonce));
    memcpy(proof.peer_nonce, hearer->nonce, sizeof(proof.peer_nonce));
    uint8_t bytes[PROOF_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof(bytes));
    codec_encode(&proof_record, &proof, &writer);
    MUST(!writer.failed && writer.size == PROOF_SIZE);
    hash_bytes(out, HASH_DOMAIN_HANDSHAKE, bytes, writer.size);
}

void handshake_auth_make(uint8_t out[HANDSHAKE_AUTH_SIZE], const struct secret_key *seed,
                         const struct handshake_hello *ours, const struct handshake_hello *theirs)
{
    struct hash hash;
    struct signature signature;
    handshake_proof_hash(&hash, ours, theirs);
    ed25519_sign(&signature, seed, &hash);
    memcpy(out, signature.bytes, HANDSHAKE_AUTH_SIZE);
}

enum handshake_result handshake_auth_check(const struct handshake_hello *theirs,
                                           const struct handshake_hello *ours,
                                           struct bytes_view bytes)
{
    struct signature signature;
    if (bytes.size != sizeof(signature.bytes)) {
        return HANDSHAKE_MALFORMED;
    }
    memcpy(signature.bytes, bytes.data, sizeof(signature.bytes));
    struct hash hash;
    handshake_proof_hash(&hash, theirs, ours);
    return ed25519_verify(&signature, &theirs->key, &hash) ? HANDSHAKE_OK : HANDSHAKE_WRONG_PROOF;
}
