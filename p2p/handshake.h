/* The proof of identity that opens a link, as values: what is said, what is signed, what is wrong
 * with what was heard. Nothing here does input or output, so that tests and fuzzers can hold any
 * bytes against it. Implements docs/spec/wire.md 3. */
#ifndef FLEX_P2P_HANDSHAKE_H
#define FLEX_P2P_HANDSHAKE_H

#include "base/codec.h"
#include "crypto/sign.h"

enum {
    HANDSHAKE_MAGIC = 0x464c5850, /* "FLXP" */
    HANDSHAKE_VERSION = 1,
    HANDSHAKE_NONCE_SIZE = 32,
    HANDSHAKE_HELLO_SIZE = 4 + 2 + 1 + HASH_SIZE + 2 * PUBLIC_KEY_SIZE + HANDSHAKE_NONCE_SIZE,
    HANDSHAKE_AUTH_SIZE = SIGNATURE_SIZE
};

enum handshake_role { HANDSHAKE_DIALLER = 1, HANDSHAKE_LISTENER = 2 };

/* What each side says first. */
struct handshake_hello {
    uint32_t magic;
    uint16_t version;
    uint8_t role; /* enum handshake_role of the speaker */
    struct hash genesis;
    struct public_key key;    /* the speaker's node key */
    struct public_key target; /* whom it believes to speak to */
    uint8_t nonce[HANDSHAKE_NONCE_SIZE];
};

enum handshake_result {
    HANDSHAKE_OK,
    HANDSHAKE_MALFORMED,     /* not a HELLO at all */
    HANDSHAKE_WRONG_VERSION, /* another version of this protocol */
    HANDSHAKE_WRONG_ROLE,    /* both claim to have dialled, or neither */
    HANDSHAKE_WRONG_GENESIS, /* a node of another ledger */
    HANDSHAKE_WRONG_TARGET,  /* it wants somebody else */
    HANDSHAKE_WRONG_KEY,     /* not the node that we dialled, or ourselves */
    HANDSHAKE_WRONG_PROOF    /* the signature is not that key's over this exchange */
};

extern const struct codec_record handshake_hello_record;

/* Readable name of a result. */
const char *handshake_result_text(enum handshake_result result);

/* Fills a HELLO with a fresh nonce. */
void handshake_hello_make(struct handshake_hello *out, enum handshake_role role,
                          const struct hash *genesis, const struct public_key *key,
                          const struct public_key *target);
/* Exactly HANDSHAKE_HELLO_SIZE bytes. */
void handshake_hello_encode(uint8_t out[HANDSHAKE_HELLO_SIZE], const struct handshake_hello *hello);
/* Decodes the peer's HELLO and checks it against ours. As a listener, `ours->target` is not looked
 * at: the dialler says who it is, and the caller looks the key up among its peers. */
enum handshake_result handshake_hello_check(struct handshake_hello *theirs,
                                            const struct handshake_hello *ours,
                                            struct bytes_view bytes);

/* The hash that `speaker` signs: its role, both keys, both nonces, the ledger. */
void handshake_proof_hash(struct hash *out, const struct handshake_hello *speaker,
                          const struct handshake_hello *hearer);
void handshake_auth_make(uint8_t out[HANDSHAKE_AUTH_SIZE], const struct secret_key *seed,
                         const struct handshake_hello *ours, const struct handshake_hello *theirs);
/* HANDSHAKE_OK, MALFORMED (not 64 bytes) or WRONG_PROOF. */
enum handshake_result handshake_auth_check(const struct handshake_hello *theirs,
                                           const struct handshake_hello *ours,
                                           struct bytes_view bytes);

#endif
