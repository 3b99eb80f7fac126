/* The handshake (docs/spec/wire.md 3): no HELLO is taken that is not for us, on this ledger, in the
 * other role, and no proof is taken but the one over this very exchange. First byte: our role; then
 * up to HANDSHAKE_HELLO_SIZE bytes of HELLO, then the proof. A HELLO that is right but for its
 * unknowable parts (our key, the ledger) is completed if the second byte says so. */
#include <string.h>

#include "base/fatal.h"
#include "p2p/handshake.h"
#include "tests/fuzz/lib/fuzz.h"

static struct handshake_hello ours;
static struct secret_key peer_seed;

static void prepare(enum handshake_role role)
{
    const struct secret_key seed = {.bytes = {1}};
    peer_seed = (struct secret_key){.bytes = {2}};
    memset(&ours, 0, sizeof ours);
    ours.magic = HANDSHAKE_MAGIC;
    ours.version = HANDSHAKE_VERSION;
    ours.role = (uint8_t)role;
    ours.genesis.bytes[0] = 7;
    ed25519_public_key(&ours.key, &seed);
    ed25519_public_key(&ours.target, &peer_seed);
    memset(ours.nonce, 9, sizeof ours.nonce);
}

/* Puts the peer's right answer over the bytes that `mask` names. */
static void complete(uint8_t bytes[HANDSHAKE_HELLO_SIZE], uint8_t mask)
{
    struct handshake_hello right = ours;
    uint8_t good[HANDSHAKE_HELLO_SIZE];
    const size_t edges[] = {0, 4, 6, 7, 39, 71, 103, HANDSHAKE_HELLO_SIZE};
    right.role = ours.role == HANDSHAKE_DIALLER ? HANDSHAKE_LISTENER : HANDSHAKE_DIALLER;
    right.key = ours.target;
    right.target = ours.key;
    handshake_hello_encode(good, &right);
    for (size_t i = 0; i + 1 < sizeof edges / sizeof edges[0]; i++)
        if ((mask >> i & 1) != 0)
            memcpy(bytes + edges[i], good + edges[i], edges[i + 1] - edges[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    prepare(fuzz_take_u8(&source) % 2 == 0 ? HANDSHAKE_DIALLER : HANDSHAKE_LISTENER);
    const uint8_t mask = fuzz_take_u8(&source);
    const size_t hello_size = mask == 0 ? fuzz_take_u8(&source) : HANDSHAKE_HELLO_SIZE;
    uint8_t bytes[HANDSHAKE_HELLO_SIZE + UINT8_MAX];
    fuzz_take_bytes(&source, bytes, hello_size);
    if (hello_size == HANDSHAKE_HELLO_SIZE)
        complete(bytes, mask);
    struct handshake_hello theirs;
    const enum handshake_result result =
        handshake_hello_check(&theirs, &ours, bytes_view_of(bytes, hello_size));
    MUST(handshake_result_text(result)[0] != '\0');
    if (result != HANDSHAKE_OK)
        return 0;
    uint8_t again[HANDSHAKE_HELLO_SIZE];
    handshake_hello_encode(again, &theirs);
    MUST(hello_size == sizeof again && memcmp(again, bytes, sizeof again) == 0);
    MUST(theirs.role != ours.role && public_key_equal(&theirs.target, &ours.key) &&
         !public_key_equal(&theirs.key, &ours.key) && hash_equal(&theirs.genesis, &ours.genesis));
    MUST(ours.role == HANDSHAKE_LISTENER || public_key_equal(&theirs.key, &ours.target));
    /* Nobody forges an Ed25519 signature here: only the peer's own is taken. */
    uint8_t auth[HANDSHAKE_AUTH_SIZE];
    handshake_auth_make(auth, &peer_seed, &theirs, &ours);
    const bool is_peer = public_key_equal(&theirs.key, &ours.target);
    MUST((handshake_auth_check(&theirs, &ours, bytes_view_of(auth, sizeof auth)) == HANDSHAKE_OK) ==
         is_peer);
    const struct bytes_view proof = fuzz_take_rest(&source);
    if (handshake_auth_check(&theirs, &ours, proof) == HANDSHAKE_OK)
        MUST(is_peer && bytes_view_equal(proof, bytes_view_of(auth, sizeof auth)));
    return 0;
}
