/* Signatures (crypto/sign.h): BIP340 by libsecp256k1, Ed25519 by libsodium.
 *
 * One libsecp256k1 context serves all threads: it is made and blinded once, and only read after.
 * Key pairs live on the stack and are wiped before return. The illegal-argument callback is our
 * own assertion: it can only fire on a call that breaks that library's contract.
 *
 * Each thread keeps the public keys that it parsed last (4 us of a verification's 35): a market's
 * few hundred keys sign again and again. The slot follows from the key's bytes, so a peer can at
 * worst evict others. Absent on purpose: batch verification, whose verdict may differ from one by
 * one, and signing with a key kept elsewhere. */
#include "crypto/sign.h"

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_schnorrsig.h>
#include <sodium.h>
#include <string.h>

#include "base/fatal.h"
#include "crypto/sign_internal.h"

/* 256 keys are 25 KiB per thread. The slot is taken from one byte of the x coordinate. */
enum { KEY_CACHE_SLOTS = 256 };

struct key_cache_slot {
    struct public_key key;
    secp256k1_xonly_pubkey parsed;
    bool filled;
};

static _Thread_local struct key_cache_slot key_cache[KEY_CACHE_SLOTS];
static secp256k1_context *shared_context;

static void on_illegal_argument(const char *message, void *data)
{
    (void)data;
    fatal_assertion(message, "libsecp256k1", 0, "illegal argument");
}

bool sign_init(void)
{
    uint8_t seed[32];
    /* NOLINTNEXTLINE(misc-redundant-expression): the two flags share their bits in this version. */
    unsigned flags = SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY;
    secp256k1_context *context = secp256k1_context_create(flags);
    if (context == NULL) {
        return false;
    }
    secp256k1_context_set_illegal_callback(context, on_illegal_argument, NULL);
    randombytes_buf(seed, sizeof seed);
    bool blinded = secp256k1_context_randomize(context, seed) == 1;
    sodium_memzero(seed, sizeof seed);
    if (!blinded) {
        secp256k1_context_destroy(context);
        return false;
    }
    shared_context = context;
    return true;
}

static const secp256k1_context *sign_context(void)
{
    MUST(shared_context != NULL);
    return shared_context;
}

void random_bytes(void *out, size_t size)
{
    randombytes_buf(out, size);
}

void secret_key_random(struct secret_key *out)
{
    /* Any 32 bytes are an Ed25519 seed; a BIP340 secret must also be below the group order, which
     * random bytes miss once in 2^128 tries. */
    do {
        random_bytes(out->bytes, SECRET_KEY_SIZE);
    } while (secp256k1_ec_seckey_verify(sign_context(), out->bytes) != 1);
}

void secret_key_wipe(struct secret_key *key)
{
    sodium_memzero(key, sizeof *key);
}

bool public_key_equal(const struct public_key *a, const struct public_key *b)
{
    return memcmp(a->bytes, b->bytes, PUBLIC_KEY_SIZE) == 0;
}

int public_key_compare(const struct public_key *a, const struct public_key *b)
{
    int order = memcmp(a->bytes, b->bytes, PUBLIC_KEY_SIZE);
    return (order > 0) - (order < 0);
}

/* NULL if the bytes are no key; else valid until this thread's next call. */
static const secp256k1_xonly_pubkey *parsed_key(const struct public_key *key)
{
    struct key_cache_slot *slot = &key_cache[key->bytes[PUBLIC_KEY_SIZE - 1] % KEY_CACHE_SLOTS];
    if (slot->filled && public_key_equal(&slot->key, key)) {
        return &slot->parsed;
    }
    secp256k1_xonly_pubkey parsed;
    if (secp256k1_xonly_pubkey_parse(sign_context(), &parsed, key->bytes) != 1) {
        return NULL;
    }
    *slot = (struct key_cache_slot){.key = *key, .parsed = parsed, .filled = true};
    return &slot->parsed;
}

bool schnorr_key_is_valid(const struct public_key *key)
{
    return parsed_key(key) != NULL;
}

bool schnorr_public_key(struct public_key *out, const struct secret_key *secret)
{
    secp256k1_keypair pair;
    secp256k1_xonly_pubkey key;
    if (secp256k1_keypair_create(sign_context(), &pair, secret->bytes) != 1) {
        return false;
    }
    int good = secp256k1_keypair_xonly_pub(sign_context(), &key, NULL, &pair);
    sodium_memzero(&pair, sizeof pair);
    MUST(good == 1);
    good = secp256k1_xonly_pubkey_serialize(sign_context(), out->bytes, &key);
    MUST(good == 1);
    return true;
}

bool schnorr_sign_raw(struct signature *out, const struct secret_key *secret, const uint8_t aux[32],
                      const void *message, size_t size)
{
    secp256k1_keypair pair;
    secp256k1_schnorrsig_extraparams extra = SECP256K1_SCHNORRSIG_EXTRAPARAMS_INIT;
    uint8_t nonce_input[32];
    if (secp256k1_keypair_create(sign_context(), &pair, secret->bytes) != 1) {
        return false;
    }
    memcpy(nonce_input, aux, sizeof nonce_input);
    extra.ndata = nonce_input;
    int good =
        secp256k1_schnorrsig_sign_custom(sign_context(), out->bytes, message, size, &pair, &extra);
    sodium_memzero(&pair, sizeof pair);
    sodium_memzero(nonce_input, sizeof nonce_input);
    return good == 1;
}

bool schnorr_verify_raw(const struct signature *signature, const struct public_key *key,
                        const void *message, size_t size)
{
    const secp256k1_xonly_pubkey *parsed = parsed_key(key);
    return parsed != NULL && secp256k1_schnorrsig_verify(sign_context(), signature->bytes, message,
                                                         size, parsed) == 1;
}

bool schnorr_sign(struct signature *out, const struct secret_key *secret,
                  const struct hash *message)
{
    static const uint8_t no_aux[32];
    return schnorr_sign_raw(out, secret, no_aux, message->bytes, HASH_SIZE);
}

bool schnorr_verify(const struct signature *signature, const struct public_key *key,
                    const struct hash *message)
{
    return schnorr_verify_raw(signature, key, message->bytes, HASH_SIZE);
}

void ed25519_public_key(struct public_key *out, const struct secret_key *seed)
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    int fault = crypto_sign_seed_keypair(out->bytes, expanded, seed->bytes);
    sodium_memzero(expanded, sizeof expanded);
    MUST(fault == 0);
}

void ed25519_sign_raw(struct signature *out, const struct secret_key *seed, const void *message,
                      size_t size)
{
    uint8_t expanded[crypto_sign_SECRETKEYBYTES];
    struct public_key key;
    int fault = crypto_sign_seed_keypair(key.bytes, expanded, seed->bytes);
    MUST(fault == 0);
    fault = crypto_sign_detached(out->bytes, NULL, message, size, expanded);
    sodium_memzero(expanded, sizeof expanded);
    MUST(fault == 0);
}

bool ed25519_verify_raw(const struct signature *signature, const struct public_key *key,
                        const void *message, size_t size)
{
    return crypto_sign_verify_detached(signature->bytes, message, size, key->bytes) == 0;
}

void ed25519_sign(struct signature *out, const struct secret_key *seed, const struct hash *message)
{
    ed25519_sign_raw(out, seed, message->bytes, HASH_SIZE);
}

bool ed25519_verify(const struct signature *signature, const struct public_key *key,
                    const struct hash *message)
{
    return ed25519_verify_raw(signature, key, message->bytes, HASH_SIZE);
}
