/* Signatures: the published vectors of BIP340 and RFC 8032, and what those leave open - determinism,
 * the key cache, threads, and that every changed bit is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "crypto/sign.h"
#include "tests/lib/aborts.h"
#include "tests/lib/crypto/vectors.h"
#include "tests/lib/random.h"

static void check_bip340_row(char *const fields[VECTOR_FIELDS_MAX], size_t count)
{
    struct public_key key;
    struct signature expected;
    uint8_t message[256];
    assert_int_equal(count, 8);
    assert_int_equal(vector_hex(key.bytes, sizeof key.bytes, fields[2]), PUBLIC_KEY_SIZE);
    size_t size = vector_hex(message, sizeof message, fields[4]);
    assert_int_equal(vector_hex(expected.bytes, sizeof expected.bytes, fields[5]), SIGNATURE_SIZE);
    bool good = strcmp(fields[6], "TRUE") == 0;
    assert_true(good || strcmp(fields[6], "FALSE") == 0);

    if (fields[1][0] != '\0') {
        struct secret_key secret;
        struct public_key own_key;
        struct signature own;
        uint8_t aux[32];
        assert_int_equal(vector_hex(secret.bytes, sizeof secret.bytes, fields[1]), 32);
        assert_int_equal(vector_hex(aux, sizeof aux, fields[3]), 32);
        assert_true(schnorr_public_key(&own_key, &secret));
        assert_true(public_key_equal(&own_key, &key));
        assert_true(schnorr_sign_raw(&own, &secret, aux, message, size));
        assert_memory_equal(own.bytes, expected.bytes, SIGNATURE_SIZE);
    }
    /* Twice: parsed afresh, then from the cache. */
    assert_int_equal(schnorr_verify_raw(&expected, &key, message, size), good);
    assert_int_equal(schnorr_verify_raw(&expected, &key, message, size), good);
    if (strstr(fields[7], "public key") != NULL) {
        assert_false(schnorr_key_is_valid(&key));
    } else {
        assert_true(schnorr_key_is_valid(&key));
    }
}

static void test_bip340_vectors(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/bip340.csv", check_bip340_row), 19);
}

static void check_ed25519_row(char *const fields[VECTOR_FIELDS_MAX], size_t count)
{
    struct secret_key seed;
    struct public_key key, own_key;
    struct signature expected, own;
    static uint8_t message[2048];
    assert_int_equal(count, 5);
    assert_int_equal(vector_hex(seed.bytes, sizeof seed.bytes, fields[1]), SECRET_KEY_SIZE);
    assert_int_equal(vector_hex(key.bytes, sizeof key.bytes, fields[2]), PUBLIC_KEY_SIZE);
    size_t size = vector_hex(message, sizeof message, fields[3]);
    assert_int_equal(vector_hex(expected.bytes, sizeof expected.bytes, fields[4]), SIGNATURE_SIZE);

    ed25519_public_key(&own_key, &seed);
    assert_true(public_key_equal(&own_key, &key));
    ed25519_sign_raw(&own, &seed, message, size);
    assert_memory_equal(own.bytes, expected.bytes, SIGNATURE_SIZE);
    assert_true(ed25519_verify_raw(&expected, &key, message, size));
    message[size] = 0;
    assert_false(ed25519_verify_raw(&expected, &key, message, size + 1));
}

static void test_rfc8032_vectors(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/ed25519.csv", check_ed25519_row), 5);
}

/* Adds the group order to S: the same point equation holds, so only the range check of RFC 8032
 * 5.1.7 stands between one vote and two of its kind with different bytes. */
static void test_ed25519_refuses_second_form(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct secret_key seed = {{7}};
    struct public_key key;
    struct signature signature;
    struct hash message = {{9}};
    ed25519_public_key(&key, &seed);
    ed25519_sign(&signature, &seed, &message);
    assert_true(ed25519_verify(&signature, &key, &message));
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature.bytes[32 + i] + order[i];
        signature.bytes[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_false(ed25519_verify(&signature, &key, &message));
}

static void test_ed25519_refuses_small_order_key(void **state)
{
    (void)state;
    /* The neutral element as key and as R, S = 0: the equation holds for every message. */
    struct public_key key = {{1}};
    struct signature signature = {{1}};
    struct hash message = {{3}};
    assert_false(ed25519_verify(&signature, &key, &message));
}

static void test_signing_is_deterministic(void **state)
{
    (void)state;
    struct test_random random = {3};
    for (int turn = 0; turn < 20; turn++) {
        struct secret_key secret;
        struct hash message;
        struct signature one, two;
        test_random_bytes(&random, secret.bytes, sizeof secret.bytes);
        test_random_bytes(&random, message.bytes, sizeof message.bytes);
        assert_true(schnorr_sign(&one, &secret, &message));
        assert_true(schnorr_sign(&two, &secret, &message));
        assert_memory_equal(one.bytes, two.bytes, SIGNATURE_SIZE);
        ed25519_sign(&one, &secret, &message);
        ed25519_sign(&two, &secret, &message);
        assert_memory_equal(one.bytes, two.bytes, SIGNATURE_SIZE);
    }
}

typedef bool (*verify_fn)(const struct signature *, const struct public_key *, const struct hash *);

static void check_every_bit_counts(verify_fn verify, struct signature signature,
                                   struct public_key key, struct hash message)
{
    assert_true(verify(&signature, &key, &message));
    for (size_t bit = 0; bit < 8 * SIGNATURE_SIZE; bit++) {
        signature.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(verify(&signature, &key, &message));
        signature.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        message.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(verify(&signature, &key, &message));
        message.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(verify(&signature, &key, &message));
        key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(verify(&signature, &key, &message));
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    struct secret_key secret = {{5}};
    struct hash message = {{6}};
    struct public_key key;
    struct signature signature;
    assert_true(schnorr_public_key(&key, &secret));
    assert_true(schnorr_sign(&signature, &secret, &message));
    check_every_bit_counts(schnorr_verify, signature, key, message);
    ed25519_public_key(&key, &secret);
    ed25519_sign(&signature, &secret, &message);
    check_every_bit_counts(ed25519_verify, signature, key, message);
}

static void test_secret_out_of_range(void **state)
{
    (void)state;
    static const char order[] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    struct secret_key secret = {{0}};
    struct public_key key;
    struct signature signature;
    struct hash message = {{1}};
    assert_false(schnorr_public_key(&key, &secret));
    assert_false(schnorr_sign(&signature, &secret, &message));
    assert_true(hex_decode(secret.bytes, sizeof secret.bytes, order));
    assert_false(schnorr_public_key(&key, &secret));
    secret.bytes[31]--;
    assert_true(schnorr_public_key(&key, &secret));
}

/* More keys than the cache has slots, in random order, good and bad signatures mixed. */
static void test_key_cache_never_lies(void **state)
{
    (void)state;
    enum { KEYS = 600 };
    static struct public_key keys[KEYS];
    static struct signature signatures[KEYS];
    struct test_random random = {4};
    struct hash message = {{2}};
    for (size_t i = 0; i < KEYS; i++) {
        struct secret_key secret;
        test_random_bytes(&random, secret.bytes, sizeof secret.bytes);
        assert_true(schnorr_public_key(&keys[i], &secret));
        assert_true(schnorr_sign(&signatures[i], &secret, &message));
    }
    for (int turn = 0; turn < 4000; turn++) {
        size_t key = test_random_below(&random, KEYS);
        size_t other = test_random_below(&random, 4) == 0 ? test_random_below(&random, KEYS) : key;
        assert_int_equal(schnorr_verify(&signatures[other], &keys[key], &message), key == other);
    }
}

static void *sign_and_verify(void *context)
{
    struct test_random random = {(uint64_t)(uintptr_t)context};
    size_t faults = 0;
    for (int turn = 0; turn < 300; turn++) {
        struct secret_key secret;
        struct public_key key;
        struct signature signature;
        struct hash message;
        test_random_bytes(&random, secret.bytes, sizeof secret.bytes);
        test_random_bytes(&random, message.bytes, sizeof message.bytes);
        bool good = schnorr_public_key(&key, &secret) &&
                    schnorr_sign(&signature, &secret, &message) &&
                    schnorr_verify(&signature, &key, &message);
        faults += good ? 0 : 1;
    }
    return (void *)(uintptr_t)faults;
}

static void test_threads_share_the_context(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sign_and_verify, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *faults = NULL;
        assert_int_equal(pthread_join(threads[i], &faults), 0);
        assert_null(faults);
    }
}

static void test_secrets_come_and_go(void **state)
{
    (void)state;
    struct secret_key one, two;
    static const struct secret_key none;
    struct public_key key;
    secret_key_random(&one);
    secret_key_random(&two);
    assert_memory_not_equal(one.bytes, two.bytes, SECRET_KEY_SIZE);
    assert_true(schnorr_public_key(&key, &one));
    secret_key_wipe(&one);
    assert_memory_equal(one.bytes, none.bytes, SECRET_KEY_SIZE);
    assert_true(crypto_init()); /* a second start is harmless */
}

static void test_keys_compare_as_bytes(void **state)
{
    (void)state;
    struct public_key low = {{1}}, high = {{0x80}};
    assert_int_equal(public_key_compare(&low, &high), -1);
    assert_int_equal(public_key_compare(&high, &low), 1);
    assert_int_equal(public_key_compare(&low, &low), 0);
    assert_false(public_key_equal(&low, &high));
}

static void verify_no_message(void *key)
{
    struct signature signature = {{0}};
    schnorr_verify_raw(&signature, key, NULL, 1);
}

/* The library's own complaint about a broken contract stops us like any other of our bugs. */
static void test_broken_contract_is_our_bug(void **state)
{
    (void)state;
    struct secret_key secret = {{8}};
    struct public_key key;
    assert_true(schnorr_public_key(&key, &secret));
    assert_true(test_aborts(verify_no_message, &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bip340_vectors),
        cmocka_unit_test(test_rfc8032_vectors),
        cmocka_unit_test(test_ed25519_refuses_second_form),
        cmocka_unit_test(test_ed25519_refuses_small_order_key),
        cmocka_unit_test(test_signing_is_deterministic),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_secret_out_of_range),
        cmocka_unit_test(test_key_cache_never_lies),
        cmocka_unit_test(test_threads_share_the_context),
        cmocka_unit_test(test_secrets_come_and_go),
        cmocka_unit_test(test_keys_compare_as_bytes),
        cmocka_unit_test(test_broken_contract_is_our_bug),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
