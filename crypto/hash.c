/* Domain-tagged BLAKE2b-256 (crypto/hash.h) on libsodium, and the start of both crypto libraries.
 *
 * The tags are part of every id, root and signature of every chain: changing one is a new protocol
 * version (docs/spec/encoding.md, frozen digests in tests/vectors/hash_domains.csv). */
#include "crypto/hash.h"

#include <sodium.h>
#include <string.h>

#include "base/assumptions.h"
#include "base/fatal.h"
#include "crypto/sign_internal.h"

enum { TAG_SIZE = crypto_generichash_blake2b_PERSONALBYTES };

/* Zero-padded to TAG_SIZE; one of exactly that length has no NUL, which BLAKE2 does not need. */
static const char domain_tags[HASH_DOMAIN_COUNT][TAG_SIZE] = {
    [HASH_DOMAIN_BLOCK_ID] = "flex/block-id/1",
    [HASH_DOMAIN_TX_ID] = "flex/tx-id/1",
    [HASH_DOMAIN_TX_LEAF] = "flex/tx-leaf/1",
    [HASH_DOMAIN_WITNESS] = "flex/witness/1",
    [HASH_DOMAIN_RECEIPT] = "flex/receipt/1",
    [HASH_DOMAIN_LOG_LEAF] = "flex/log-leaf/1",
    [HASH_DOMAIN_MERKLE_NODE] = "flex/merkle/1",
    [HASH_DOMAIN_STATE_KEY] = "flex/st-key/1",
    [HASH_DOMAIN_STATE_VALUE] = "flex/st-value/1",
    [HASH_DOMAIN_STATE_LEAF] = "flex/st-leaf/1",
    [HASH_DOMAIN_STATE_NODE] = "flex/st-node/1",
    [HASH_DOMAIN_GENESIS] = "flex/genesis/1",
    [HASH_DOMAIN_VALIDATOR_SET] = "flex/val-set/1",
    [HASH_DOMAIN_VOTE] = "flex/vote/1",
    [HASH_DOMAIN_TX_SIGN] = "flex/tx-sign/1",
    [HASH_DOMAIN_HANDSHAKE] = "flex/handshake/1",
    [HASH_DOMAIN_READING] = "flex/reading/1",
    [HASH_DOMAIN_READING_SIGN] = "flex/read-sign/1",
    [HASH_DOMAIN_SCHEDULE] = "flex/schedule/1",
    [HASH_DOMAIN_ORDER_TIE] = "flex/ord-tie/1",
    [HASH_DOMAIN_KEY_PROOF] = "flex/key-proof/1",
    [HASH_DOMAIN_SNAPSHOT] = "flex/snapshot/1",
    [HASH_DOMAIN_METER_REQUEST] = "flex/meter-req/1",
    [HASH_DOMAIN_ALIAS] = "flex/alias/1",
    [HASH_DOMAIN_ALIAS_REQUEST] = "flex/alias-req/1",
    [HASH_DOMAIN_COUPLED] = "flex/coupled/1",
    [HASH_DOMAIN_COUPLED_PROBLEM] = "flex/problem/1",
    [HASH_DOMAIN_SERIES] = "flex/series/1",
    [HASH_DOMAIN_SHEET] = "flex/sheet/1",
    [HASH_DOMAIN_FILE_SIGN] = "flex/file-sign/1",
    [HASH_DOMAIN_READ_REQUEST] = "flex/read-req/1",
};

_Static_assert(sizeof(crypto_generichash_blake2b_state) <= sizeof(struct hash_state),
               "libsodium's state fits ours");
_Static_assert(_Alignof(crypto_generichash_blake2b_state) <= _Alignof(struct hash_state),
               "and is aligned in it");

bool crypto_init(void)
{
    /* A second call is harmless; the first one must be over before threads start. */
    static bool started;
    if (!started) {
        /* libsodium must come first: its random bytes blind the other's context. */
        started = sodium_init() >= 0 && sign_init();
    }
    return started;
}

static crypto_generichash_blake2b_state *sodium_state(struct hash_state *state)
{
    return (crypto_generichash_blake2b_state *)(void *)state->opaque;
}

void hash_begin(struct hash_state *state, enum hash_domain domain)
{
    MUST(domain < HASH_DOMAIN_COUNT && domain_tags[domain][0] != '\0');
    int fault = crypto_generichash_blake2b_init_salt_personal(
        sodium_state(state), NULL, 0, HASH_SIZE, NULL, (const uint8_t *)domain_tags[domain]);
    MUST(fault == 0);
}

void hash_update(struct hash_state *state, const void *data, size_t size)
{
    int fault = crypto_generichash_blake2b_update(sodium_state(state), data, size);
    MUST(fault == 0);
}

void hash_end(struct hash_state *state, struct hash *out)
{
    int fault = crypto_generichash_blake2b_final(sodium_state(state), out->bytes, HASH_SIZE);
    MUST(fault == 0);
}

void hash_bytes(struct hash *out, enum hash_domain domain, const void *data, size_t size)
{
    MUST(domain < HASH_DOMAIN_COUNT && domain_tags[domain][0] != '\0');
    int fault = crypto_generichash_blake2b_salt_personal(
        out->bytes, HASH_SIZE, data, size, NULL, 0, NULL, (const uint8_t *)domain_tags[domain]);
    MUST(fault == 0);
}

void hash_pair(struct hash *out, enum hash_domain domain, struct bytes_view a, struct bytes_view b)
{
    struct hash_state state;
    hash_begin(&state, domain);
    hash_update(&state, a.data, a.size);
    hash_update(&state, b.data, b.size);
    hash_end(&state, out);
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_SIZE) == 0;
}

int hash_compare(const struct hash *a, const struct hash *b)
{
    int order = memcmp(a->bytes, b->bytes, HASH_SIZE);
    return (order > 0) - (order < 0);
}

bool hash_is_zero(const struct hash *hash)
{
    static const struct hash zero;
    return hash_equal(hash, &zero);
}

struct bytes_view hash_view(const struct hash *hash)
{
    return bytes_view_of(hash->bytes, HASH_SIZE);
}
