/* Signatures: BIP340 Schnorr for transactions and meters, Ed25519 for validators (docs/adr/0001).
 *
 * Both are deterministic: the same key and message give the same signature (consensus.md 2; for
 * BIP340 the auxiliary randomness is all zero bytes). Secrets are wiped by *_wipe; callers own
 * them. No function allocates; all are safe to call from any thread after crypto_init. */
#ifndef FLEX_CRYPTO_SIGN_H
#define FLEX_CRYPTO_SIGN_H

#include "crypto/hash.h"

enum { PUBLIC_KEY_SIZE = 32, SECRET_KEY_SIZE = 32, SIGNATURE_SIZE = 64 };

/* An x-only BIP340 key or an Ed25519 key: which one, the context says. */
struct public_key {
    uint8_t bytes[PUBLIC_KEY_SIZE];
};
struct signature {
    uint8_t bytes[SIGNATURE_SIZE];
};
/* The 32-byte BIP340 secret or Ed25519 seed. */
struct secret_key {
    uint8_t bytes[SECRET_KEY_SIZE];
};

void secret_key_random(struct secret_key *out);
void secret_key_wipe(struct secret_key *key);
bool public_key_equal(const struct public_key *a, const struct public_key *b);
int public_key_compare(const struct public_key *a, const struct public_key *b);

/* False if the secret is zero or not below the group order. */
bool schnorr_public_key(struct public_key *out, const struct secret_key *secret);
bool schnorr_sign(struct signature *out, const struct secret_key *secret,
                  const struct hash *message);
bool schnorr_verify(const struct signature *signature, const struct public_key *key,
                    const struct hash *message);
/* BIP340 itself, for messages of any length and given auxiliary randomness: the published vectors. */
bool schnorr_sign_raw(struct signature *out, const struct secret_key *secret, const uint8_t aux[32],
                      const void *message, size_t size);
bool schnorr_verify_raw(const struct signature *signature, const struct public_key *key,
                        const void *message, size_t size);
/* True if the 32 bytes are the x coordinate of a point on the curve. */
bool schnorr_key_is_valid(const struct public_key *key);

void ed25519_public_key(struct public_key *out, const struct secret_key *seed);
void ed25519_sign(struct signature *out, const struct secret_key *seed, const struct hash *message);
bool ed25519_verify(const struct signature *signature, const struct public_key *key,
                    const struct hash *message);
/* RFC 8032 itself, for messages of any length: the published vectors. */
void ed25519_sign_raw(struct signature *out, const struct secret_key *seed, const void *message,
                      size_t size);
bool ed25519_verify_raw(const struct signature *signature, const struct public_key *key,
                        const void *message, size_t size);

/* Uniform random bytes from the operating system. Never for anything that a block depends on. */
void random_bytes(void *out, size_t size);

#endif
