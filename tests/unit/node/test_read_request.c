/* Signed requests: one text per request, every field of it under the signature, nothing served twice,
 * whatever the clock does; and the guard's memory against a slow model of it.
 *
 * Deliberately absent: HTTP. tests/e2e/access.py asks real nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the above. */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "node/read_guard.h"
#include "tests/lib/random.h"

static struct secret_key secret;
static struct hash genesis;
static struct public_key node;

static struct read_target target_of(const char *method, const char *path)
{
    return (struct read_target){&genesis, &node, method, path, bytes_view_of(NULL, 0)};
}

static struct read_request signed_request(int64_t time_ms, uint64_t nonce)
{
    struct read_request request;
    const struct read_target target = target_of("GET", "/v1/deals?limit=3");
    memset(&request, 0, sizeof request);
    assert_true(schnorr_public_key(&request.key, &secret));
    request.time_ms = time_ms;
    memcpy(request.nonce, &nonce, sizeof nonce);
    assert_true(read_request_sign(&request, &secret, &target));
    return request;
}

/* --- texts ---------------------------------------------------------------------------------- */

static void test_text_and_request_are_one(void **state)
{
    char text[READ_REQUEST_TEXT_SIZE];
    char again[READ_REQUEST_TEXT_SIZE];
    struct read_request parsed;
    (void)state;
    static const int64_t times[] = {0, 1, 1735689600000, INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const struct read_request request = signed_request(times[i], 77);
        read_request_print(text, &request);
        assert_true(read_request_parse(&parsed, text));
        read_request_print(again, &parsed);
        assert_string_equal(text, again);
        /* No byte of it can be left out, and none can be put in. */
        for (size_t at = 0; at < strlen(text); at++) {
            char cut[READ_REQUEST_TEXT_SIZE + 1];
            snprintf(cut, sizeof cut, "%.*s%s", (int)at, text, text + at + 1);
            if (read_request_parse(&parsed, cut)) {
                /* A digit of the time: then it is another time, which the signature does not cover. */
                assert_int_not_equal(parsed.time_ms, request.time_ms);
            }
            snprintf(cut, sizeof cut, "%.*s %s", (int)at, text, text + at);
            assert_false(read_request_parse(&parsed, cut));
        }
        snprintf(again, sizeof again, "%.300s ", text);
        assert_false(read_request_parse(&parsed, again));
    }
}

static void test_refused_texts(void **state)
{
    struct read_request request;
    struct read_challenge challenge;
    static const char *const texts[] = {
        "",
        "Flexledger",
        "Flexledger ",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "flexledger key=\"00\"",
        "Flexledger key=\"\", time=\"1\", nonce=\"\", signature=\"\"",
        "Flexledger time=\"1\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(read_request_parse(&request, texts[i]));
        assert_false(read_challenge_parse(&challenge, texts[i]));
    }
    char text[READ_REQUEST_TEXT_SIZE];
    char other[READ_REQUEST_TEXT_SIZE];
    request = signed_request(5, 5);
    read_request_print(text, &request);
    char *time = strstr(text, "time=\"5\"");
    assert_non_null(time);
    static const char *const times[] = {
        "05", "-5", "+5", "5 ", "", "9223372036854775808", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(other, sizeof other, "%.*stime=\"%s\"%s", (int)(time - text), text, times[i],
                 time + 8);
        assert_false(read_request_parse(&request, other));
    }
    /* Upper case is another text for the same bytes. */
    snprintf(other, sizeof other, "%s", text);
    for (char *at = strstr(other, "signature=") + 10; *at != '\0'; at++)
        *at = (char)(*at >= 'a' && *at <= 'f' ? *at - 'a' + 'A' : *at);
    assert_string_not_equal(text, other);
    assert_false(read_request_parse(&request, other));
}

static void test_challenge_text(void **state)
{
    char text[READ_REQUEST_TEXT_SIZE];
    struct read_challenge parsed;
    (void)state;
    const struct read_challenge challenge = {genesis, node, 1735689600000};
    read_challenge_print(text, &challenge);
    assert_true(read_challenge_parse(&parsed, text));
    assert_true(hash_equal(&parsed.genesis, &genesis) && public_key_equal(&parsed.node, &node));
    assert_int_equal(parsed.time_ms, challenge.time_ms);
    text[strlen(text) - 1] = '\0';
    assert_false(read_challenge_parse(&parsed, text));
}

/* --- signatures ------------------------------------------------------------------------------ */

static void test_every_part_is_signed(void **state)
{
    (void)state;
    const struct read_target right = target_of("GET", "/v1/deals?limit=3");
    const struct read_request good = signed_request(1000, 9);
    assert_true(read_request_verify(&good, &right));
    /* A reading of one request as another. */
    static const char *const paths[] = {"/v1/deals?limit=4", "/v1/deals", "/v1/deals?limit=3&", "",
                                        "/v1/orders?limit=3"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct read_target other = target_of("GET", paths[i]);
        assert_false(read_request_verify(&good, &other));
    }
    struct read_target other = target_of("HEAD", "/v1/deals?limit=3");
    assert_false(read_request_verify(&good, &other));
    /* Method and path shifted against each other. */
    other = target_of("GET/", "v1/deals?limit=3");
    assert_false(read_request_verify(&good, &other));
    other = right;
    other.body = bytes_view_of("x", 1);
    assert_false(read_request_verify(&good, &other));
    struct hash chain = genesis;
    chain.bytes[31] ^= 1;
    other = right;
    other.genesis = &chain;
    assert_false(read_request_verify(&good, &other));
    struct public_key neighbour = node;
    neighbour.bytes[0] ^= 1;
    other = right;
    other.node = &neighbour;
    assert_false(read_request_verify(&good, &other));

    struct read_request changed = good;
    changed.time_ms++;
    assert_false(read_request_verify(&changed, &right));
    for (size_t i = 0; i < READ_REQUEST_NONCE_SIZE; i++) {
        changed = good;
        changed.nonce[i] ^= 0x80;
        assert_false(read_request_verify(&changed, &right));
    }
    for (size_t i = 0; i < SIGNATURE_SIZE; i++) {
        changed = good;
        changed.signature.bytes[i] ^= 1;
        assert_false(read_request_verify(&changed, &right));
    }
    changed = good;
    changed.key.bytes[5] ^= 1;
    assert_false(read_request_verify(&changed, &right));
}

static void test_what_is_too_long(void **state)
{
    char path[READ_REQUEST_TARGET_MAX + 2];
    struct hash message;
    (void)state;
    const struct read_request request = signed_request(1, 1);
    memset(path, '/', sizeof path);
    path[READ_REQUEST_TARGET_MAX] = '\0';
    struct read_target target = target_of("GET", path);
    assert_true(read_request_message(&message, &request, &target));
    path[READ_REQUEST_TARGET_MAX] = '/';
    path[READ_REQUEST_TARGET_MAX + 1] = '\0';
    assert_false(read_request_message(&message, &request, &target));
    assert_false(read_request_verify(&request, &target));
    target = target_of("PROPPATCHPROPPATCH", "/");
    assert_false(read_request_message(&message, &request, &target));
}

/* --- the guard ------------------------------------------------------------------------------- */

/* A request that nobody signed: the guard looks at key, time and nonce alone. */
static struct read_request plain(uint8_t key, int64_t time_ms, uint64_t nonce)
{
    struct read_request request;
    memset(&request, 0, sizeof request);
    request.key.bytes[0] = key;
    request.time_ms = time_ms;
    memcpy(request.nonce, &nonce, sizeof nonce);
    return request;
}

static enum read_guard_result take(struct read_guard *guard, uint8_t key, int64_t time_ms,
                                   uint64_t nonce, int64_t now_ms)
{
    const struct read_request request = plain(key, time_ms, nonce);
    return read_guard_take(guard, &request, now_ms);
}

static void test_nothing_is_served_twice(void **state)
{
    const int64_t start = 1735689600000;
    (void)state;
    struct read_guard *guard = read_guard_create(start);
    assert_int_equal(take(guard, 1, start, 1, start), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start, 1, start), READ_GUARD_REPLAYED);
    /* The nonce is the key's own; the time is not part of what makes it new. */
    assert_int_equal(take(guard, 2, start, 1, start), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start, 2, start), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start + 1, 1, start), READ_GUARD_REPLAYED);
    /* For as long as its time is near, and not a millisecond shorter. */
    for (int64_t later = 0; later <= READ_REQUEST_SKEW_MS; later += 500)
        assert_int_equal(take(guard, 1, start, 1, start + later), READ_GUARD_REPLAYED);
    assert_int_equal(take(guard, 1, start, 1, start + READ_REQUEST_SKEW_MS + 1), READ_GUARD_CLOCK);
    /* The clock goes back: what was forgotten stays refused. */
    assert_int_equal(take(guard, 1, start + 70000, 3, start + 70000), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start, 1, start), READ_GUARD_CLOCK);
    assert_int_equal(take(guard, 1, start + 5, 4, start + 10), READ_GUARD_CLOCK);
    read_guard_destroy(guard);
}

static void test_clocks(void **state)
{
    const int64_t start = 1735689600500;
    (void)state;
    struct read_guard *guard = read_guard_create(start);
    assert_int_equal(take(guard, 1, start + READ_REQUEST_SKEW_MS, 1, start), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start + READ_REQUEST_SKEW_MS + 1, 2, start), READ_GUARD_CLOCK);
    /* Before the node's start nothing counts: an earlier run may have served it. */
    assert_int_equal(take(guard, 1, start - 1000, 3, start), READ_GUARD_CLOCK);
    assert_int_equal(take(guard, 1, INT64_MAX, 4, start), READ_GUARD_CLOCK);
    assert_int_equal(take(guard, 1, -1, 5, start), READ_GUARD_CLOCK);
    /* A clock that jumps by a year loses nothing and keeps nothing. */
    const int64_t year = start + INT64_C(31536000000);
    assert_int_equal(take(guard, 1, year, 1, year), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, year, 1, year), READ_GUARD_REPLAYED);
    read_guard_destroy(guard);
}

static void test_memory_is_bounded(void **state)
{
    const int64_t start = 1735689600000;
    uint64_t nonce = 0;
    (void)state;
    struct read_guard *guard = read_guard_create(start);
    /* One key alone fills its part, and leaves the rest to others. */
    for (uint32_t i = 0; i < READ_GUARD_ENTRIES_PER_KEY; i++)
        assert_int_equal(take(guard, 1, start, ++nonce, start), READ_GUARD_NEW);
    assert_int_equal(take(guard, 1, start, ++nonce, start), READ_GUARD_FULL);
    for (uint8_t key = 2; key <= READ_GUARD_ENTRIES_MAX / READ_GUARD_ENTRIES_PER_KEY; key++) {
        for (uint32_t i = 0; i < READ_GUARD_ENTRIES_PER_KEY; i++) {
            enum read_guard_result result = take(guard, key, start, ++nonce, start);
            /* Two keys may share a slot of counters; then the second has less. */
            assert_true(result == READ_GUARD_NEW || result == READ_GUARD_FULL);
        }
    }
    /* What is known is still known when there is no more room. */
    assert_int_equal(take(guard, 1, start, 1, start), READ_GUARD_REPLAYED);
    const int64_t later = start + READ_REQUEST_SKEW_MS + 1000;
    assert_int_equal(take(guard, 1, later, 1, later), READ_GUARD_NEW);
    read_guard_destroy(guard);
}

/* The model remembers everything for ever; the guard may only refuse more. */
static void test_against_a_model(void **state)
{
    enum { STEPS = 20000, KEYS = 3, NONCES = 400 };
    static bool served[KEYS][NONCES];
    static int64_t served_at[KEYS][NONCES];
    struct test_random random = {7};
    int64_t now = 1735689600000;
    uint32_t taken = 0;
    (void)state;
    struct read_guard *guard = read_guard_create(now);
    memset(served, 0, sizeof served);
    for (int i = 0; i < STEPS; i++) {
        now += (int64_t)(test_random_u64(&random) % 400) -
               (test_random_u64(&random) % 50 == 0 ? 5000 : 0);
        const uint8_t key = (uint8_t)(test_random_u64(&random) % KEYS);
        const uint64_t nonce = test_random_u64(&random) % NONCES;
        const int64_t time = served[key][nonce] && test_random_u64(&random) % 2 == 0
                                 ? served_at[key][nonce]
                                 : now + (int64_t)(test_random_u64(&random) % 70000) - 35000;
        enum read_guard_result result = take(guard, key, time, nonce, now);
        /* The very same request, ever again. */
        if (served[key][nonce] && served_at[key][nonce] == time)
            assert_int_not_equal(result, READ_GUARD_NEW);
        if (!read_guard_is_near(time, now))
            assert_int_equal(result, READ_GUARD_CLOCK);
        if (result == READ_GUARD_NEW) {
            served[key][nonce] = true;
            served_at[key][nonce] = time;
            taken++;
        }
    }
    assert_in_range(taken, STEPS / 100, STEPS);
    read_guard_destroy(guard);
}

static int set_up(void **state)
{
    (void)state;
    memset(secret.bytes, 7, sizeof secret.bytes);
    memset(genesis.bytes, 1, sizeof genesis.bytes);
    memset(node.bytes, 2, sizeof node.bytes);
    return crypto_init() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_request_are_one),
        cmocka_unit_test(test_refused_texts),
        cmocka_unit_test(test_challenge_text),
        cmocka_unit_test(test_every_part_is_signed),
        cmocka_unit_test(test_what_is_too_long),
        cmocka_unit_test(test_nothing_is_served_twice),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_against_a_model),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
