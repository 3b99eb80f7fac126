/* The tagged hash: against frozen digests, against a second BLAKE2b written from the RFC, and one
 * way of calling it against the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "tests/lib/aborts.h"
#include "tests/lib/crypto/slow_blake2b.h"
#include "tests/lib/crypto/vectors.h"
#include "tests/lib/random.h"

static void assert_digest(const struct hash *found, const uint8_t *expected)
{
    assert_memory_equal(found->bytes, expected, HASH_SIZE);
}

/* RFC 7693 appendix A: the model itself must be right before it may judge. */
static void test_model_gives_rfc_digest(void **state)
{
    (void)state;
    static const char expected[] =
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923";
    uint8_t digest[64];
    char text[2 * sizeof digest + 1];
    slow_blake2b(digest, sizeof digest, "", (const uint8_t *)"abc", 3);
    hex_encode(text, digest, sizeof digest);
    assert_string_equal(text, expected);
}

static bool seen[HASH_DOMAIN_COUNT];

static void check_frozen_row(char *const fields[VECTOR_FIELDS_MAX], size_t count)
{
    uint8_t message[512], expected[HASH_SIZE], model[HASH_SIZE];
    assert_int_equal(count, 4);
    unsigned long domain = strtoul(fields[0], NULL, 10);
    assert_true(domain < HASH_DOMAIN_COUNT);
    seen[domain] = true;
    size_t size = vector_hex(message, sizeof message, fields[2]);
    assert_int_equal(vector_hex(expected, sizeof expected, fields[3]), HASH_SIZE);

    struct hash found;
    hash_bytes(&found, (enum hash_domain)domain, message, size);
    assert_digest(&found, expected);
    slow_blake2b(model, sizeof model, fields[1], message, size);
    assert_memory_equal(model, expected, HASH_SIZE);
}

static void test_digests_are_frozen(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/hash_domains.csv", check_frozen_row),
                     3 * HASH_DOMAIN_COUNT);
    for (size_t i = 0; i < HASH_DOMAIN_COUNT; i++) {
        assert_true(seen[i]);
    }
}

static void test_random_messages_match_model(void **state)
{
    (void)state;
    struct test_random random = {1};
    uint8_t message[700], expected[HASH_SIZE];
    for (size_t size = 0; size <= sizeof message; size++) {
        struct hash found;
        test_random_bytes(&random, message, size);
        hash_bytes(&found, HASH_DOMAIN_TX_ID, message, size);
        slow_blake2b(expected, HASH_SIZE, "flex/tx-id/1", message, size);
        assert_digest(&found, expected);
    }
}

static void test_parts_equal_the_whole(void **state)
{
    (void)state;
    struct test_random random = {2};
    uint8_t message[600];
    test_random_bytes(&random, message, sizeof message);
    for (int turn = 0; turn < 2000; turn++) {
        size_t size = test_random_below(&random, sizeof message + 1);
        size_t cut = test_random_below(&random, size + 1);
        struct hash whole, pair, parts;
        hash_bytes(&whole, HASH_DOMAIN_RECEIPT, message, size);
        hash_pair(&pair, HASH_DOMAIN_RECEIPT, bytes_view_of(message, cut),
                  bytes_view_of(message + cut, size - cut));
        assert_true(hash_equal(&whole, &pair));
        struct hash_state stream;
        hash_begin(&stream, HASH_DOMAIN_RECEIPT);
        for (size_t at = 0; at < size;) {
            size_t step = 1 + test_random_below(&random, size - at);
            hash_update(&stream, message + at, step);
            at += step;
        }
        hash_end(&stream, &parts);
        assert_true(hash_equal(&whole, &parts));
    }
}

static void test_domains_differ(void **state)
{
    (void)state;
    struct hash digests[HASH_DOMAIN_COUNT];
    for (size_t i = 0; i < HASH_DOMAIN_COUNT; i++) {
        hash_bytes(&digests[i], (enum hash_domain)i, "x", 1);
        for (size_t j = 0; j < i; j++) {
            assert_false(hash_equal(&digests[i], &digests[j]));
        }
    }
}

static void test_comparisons(void **state)
{
    (void)state;
    struct hash low = {{0}}, high = {{0}};
    assert_true(hash_is_zero(&low));
    high.bytes[31] = 1;
    assert_false(hash_is_zero(&high));
    assert_int_equal(hash_compare(&low, &high), -1);
    assert_int_equal(hash_compare(&high, &low), 1);
    assert_int_equal(hash_compare(&low, &low), 0);
    low.bytes[0] = 0x80; /* bytes are unsigned */
    assert_int_equal(hash_compare(&low, &high), 1);
    assert_int_equal(hash_view(&high).size, HASH_SIZE);
    assert_ptr_equal(hash_view(&high).data, high.bytes);
}

static void hash_with_bad_domain(void *context)
{
    struct hash out;
    hash_bytes(&out, *(enum hash_domain *)context, "", 0);
}

static void test_unknown_domain_is_our_bug(void **state)
{
    (void)state;
    enum hash_domain domain = HASH_DOMAIN_COUNT;
    assert_true(test_aborts(hash_with_bad_domain, &domain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_gives_rfc_digest),
        cmocka_unit_test(test_digests_are_frozen),
        cmocka_unit_test(test_random_messages_match_model),
        cmocka_unit_test(test_parts_equal_the_whole),
        cmocka_unit_test(test_domains_differ),
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_unknown_domain_is_our_bug),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
