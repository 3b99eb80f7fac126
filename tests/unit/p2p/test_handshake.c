/* HELLO and AUTH as values: what is accepted, and that a signature serves one exchange only. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "p2p/handshake.h"

struct party {
    struct secret_key seed;
    struct public_key key;
};

static struct party anna, bert, mallory;
static struct hash genesis;

static void party_make(struct party *party, uint8_t mark)
{
    memset(party->seed.bytes, mark, sizeof(party->seed.bytes));
    ed25519_public_key(&party->key, &party->seed);
}

static int set_up(void **state)
{
    (void)state;
    assert_true(crypto_init());
    party_make(&anna, 1);
    party_make(&bert, 2);
    party_make(&mallory, 3);
    memset(genesis.bytes, 7, sizeof(genesis.bytes));
    return 0;
}

static enum handshake_result check(const struct handshake_hello *theirs,
                                   const struct handshake_hello *ours)
{
    uint8_t bytes[HANDSHAKE_HELLO_SIZE];
    struct handshake_hello decoded;
    handshake_hello_encode(bytes, theirs);
    return handshake_hello_check(&decoded, ours, bytes_view_of(bytes, sizeof(bytes)));
}

/* Anna dials Bert. */
static void make_pair(struct handshake_hello *dialler, struct handshake_hello *listener)
{
    handshake_hello_make(dialler, HANDSHAKE_DIALLER, &genesis, &anna.key, &bert.key);
    handshake_hello_make(listener, HANDSHAKE_LISTENER, &genesis, &bert.key, &anna.key);
}

static void a_right_hello_is_taken_on_both_sides(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener, again;
    uint8_t bytes[HANDSHAKE_HELLO_SIZE], twice[HANDSHAKE_HELLO_SIZE];
    make_pair(&dialler, &listener);
    assert_int_equal(check(&dialler, &listener), HANDSHAKE_OK);
    assert_int_equal(check(&listener, &dialler), HANDSHAKE_OK);
    assert_memory_not_equal(dialler.nonce, listener.nonce, HANDSHAKE_NONCE_SIZE);
    assert_int_equal(codec_size_max(&handshake_hello_record), HANDSHAKE_HELLO_SIZE);
    handshake_hello_encode(bytes, &dialler);
    assert_memory_equal(bytes, "FLXP\0\1\1", 7);
    assert_int_equal(handshake_hello_check(&again, &listener, bytes_view_of(bytes, sizeof(bytes))),
                     HANDSHAKE_OK);
    handshake_hello_encode(twice, &again);
    assert_memory_equal(bytes, twice, sizeof(bytes));
}

static void every_wrong_field_has_its_verdict(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener, wrong;
    make_pair(&dialler, &listener);
    wrong = dialler;
    wrong.magic++;
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_MALFORMED);
    wrong = dialler;
    wrong.version++;
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_WRONG_VERSION);
    wrong = dialler;
    wrong.role = HANDSHAKE_LISTENER;
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_WRONG_ROLE);
    wrong = dialler;
    wrong.genesis.bytes[31] ^= 1;
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_WRONG_GENESIS);
    wrong = dialler;
    wrong.target = mallory.key;
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_WRONG_TARGET);
    wrong = dialler;
    wrong.key = bert.key; /* our own words come back */
    assert_int_equal(check(&wrong, &listener), HANDSHAKE_WRONG_KEY);
    wrong = listener;
    wrong.key = mallory.key; /* not the one that was dialled */
    assert_int_equal(check(&wrong, &dialler), HANDSHAKE_WRONG_KEY);
}

static void only_a_whole_canonical_hello_is_one(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener, decoded;
    uint8_t bytes[HANDSHAKE_HELLO_SIZE + 1] = {0};
    make_pair(&dialler, &listener);
    handshake_hello_encode(bytes, &dialler);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        enum handshake_result result =
            handshake_hello_check(&decoded, &listener, bytes_view_of(bytes, size));
        assert_int_equal(result, size == HANDSHAKE_HELLO_SIZE ? HANDSHAKE_OK : HANDSHAKE_MALFORMED);
    }
    for (int role = 0; role < 256; role++) {
        bytes[6] = (uint8_t)role;
        enum handshake_result result =
            handshake_hello_check(&decoded, &listener, bytes_view_of(bytes, HANDSHAKE_HELLO_SIZE));
        assert_int_equal(result, role == HANDSHAKE_DIALLER    ? HANDSHAKE_OK
                                 : role == HANDSHAKE_LISTENER ? HANDSHAKE_WRONG_ROLE
                                                              : HANDSHAKE_MALFORMED);
    }
}

static enum handshake_result check_auth(const struct party *signer,
                                        const struct handshake_hello *signed_as,
                                        const struct handshake_hello *signed_to,
                                        const struct handshake_hello *theirs,
                                        const struct handshake_hello *ours)
{
    uint8_t auth[HANDSHAKE_AUTH_SIZE];
    handshake_auth_make(auth, &signer->seed, signed_as, signed_to);
    return handshake_auth_check(theirs, ours, bytes_view_of(auth, sizeof(auth)));
}

static void a_proof_serves_one_exchange_only(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener, other;
    make_pair(&dialler, &listener);
    assert_int_equal(check_auth(&anna, &dialler, &listener, &dialler, &listener), HANDSHAKE_OK);
    assert_int_equal(check_auth(&bert, &listener, &dialler, &listener, &dialler), HANDSHAKE_OK);
    /* Another signer; our own proof sent back to us. */
    assert_int_equal(check_auth(&mallory, &dialler, &listener, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    assert_int_equal(check_auth(&bert, &listener, &dialler, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    /* Anna signed for Mallory, who has put Bert's nonce in a HELLO of its own. */
    other = listener;
    other.key = mallory.key;
    assert_int_equal(check_auth(&anna, &dialler, &other, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    /* Anna signed as listener; with another nonce on either side; for another ledger. */
    other = dialler;
    other.role = HANDSHAKE_LISTENER;
    assert_int_equal(check_auth(&anna, &other, &listener, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    other = dialler;
    other.nonce[0] ^= 1;
    assert_int_equal(check_auth(&anna, &other, &listener, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    other = listener;
    other.nonce[31] ^= 0x80;
    assert_int_equal(check_auth(&anna, &dialler, &other, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
    other = dialler;
    other.genesis.bytes[0] ^= 1;
    assert_int_equal(check_auth(&anna, &other, &listener, &dialler, &listener),
                     HANDSHAKE_WRONG_PROOF);
}

static void every_bit_of_a_proof_counts(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener;
    uint8_t auth[HANDSHAKE_AUTH_SIZE + 1] = {0};
    make_pair(&dialler, &listener);
    handshake_auth_make(auth, &anna.seed, &dialler, &listener);
    for (size_t size = 0; size <= sizeof(auth); size++) {
        assert_int_equal(handshake_auth_check(&dialler, &listener, bytes_view_of(auth, size)),
                         size == HANDSHAKE_AUTH_SIZE ? HANDSHAKE_OK : HANDSHAKE_MALFORMED);
    }
    for (size_t bit = 0; bit < 8 * HANDSHAKE_AUTH_SIZE; bit++) {
        auth[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(
            handshake_auth_check(&dialler, &listener, bytes_view_of(auth, HANDSHAKE_AUTH_SIZE)),
            HANDSHAKE_WRONG_PROOF);
        auth[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Random bytes, and a right HELLO with a few random bytes in it: a verdict always, and OK only if
 * nothing but the nonce has changed. */
static void random_bytes_are_never_taken_for_a_hello(void **state)
{
    (void)state;
    struct handshake_hello dialler, listener, decoded;
    uint8_t right[HANDSHAKE_HELLO_SIZE], bytes[2 * HANDSHAKE_HELLO_SIZE];
    make_pair(&dialler, &listener);
    handshake_hello_encode(right, &dialler);
    uint64_t random = 4711;
    for (int run = 0; run < 20000; run++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (run % 2 == 0) {
            for (size_t i = 0; i < sizeof(bytes); i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                bytes[i] = (uint8_t)(random >> 56);
            }
            size_t size = random >> 40 & 0xff;
            assert_int_equal(handshake_hello_check(&decoded, &listener, bytes_view_of(bytes, size)),
                             HANDSHAKE_MALFORMED);
            continue;
        }
        memcpy(bytes, right, sizeof(right));
        size_t at = (random >> 33) % sizeof(right);
        bytes[at] ^= (uint8_t)(1 + (random >> 20) % 255);
        bool in_nonce = at >= HANDSHAKE_HELLO_SIZE - HANDSHAKE_NONCE_SIZE;
        bool in_key = at >= 39 && at < 71; /* another key: known or not is the caller's question */
        enum handshake_result result =
            handshake_hello_check(&decoded, &listener, bytes_view_of(bytes, sizeof(right)));
        assert_int_equal(result == HANDSHAKE_OK, in_nonce || in_key);
    }
}

static void every_result_has_a_text(void **state)
{
    (void)state;
    for (int i = HANDSHAKE_OK; i <= HANDSHAKE_WRONG_PROOF; i++) {
        assert_true(strlen(handshake_result_text((enum handshake_result)i)) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_hello_is_taken_on_both_sides),
        cmocka_unit_test(every_wrong_field_has_its_verdict),
        cmocka_unit_test(only_a_whole_canonical_hello_is_one),
        cmocka_unit_test(a_proof_serves_one_exchange_only),
        cmocka_unit_test(every_bit_of_a_proof_counts),
        cmocka_unit_test(random_bytes_are_never_taken_for_a_hello),
        cmocka_unit_test(every_result_has_a_text),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
