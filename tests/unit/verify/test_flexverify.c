/* The library as others see it: through its one header alone, on the frozen files and on spoilt ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/verify/digest_world.h"
#include "verify/flexverify.h"

static struct flexverify_trust *trust;
static char problem[FLEXVERIFY_PROBLEM_SIZE];

static int set_up(void **state)
{
    (void)state;
    if (!crypto_init()) {
        return 1;
    }
    struct cJSON *object = genesis_to_json(&digest_world()->genesis);
    char *text = cJSON_PrintUnformatted(object);
    enum flexverify_result result = flexverify_open(&trust, text, strlen(text), problem);
    cJSON_free(text);
    cJSON_Delete(object);
    return result != FLEXVERIFY_OK;
}

static int tear_down(void **state)
{
    (void)state;
    flexverify_close(trust);
    return 0;
}

static struct flexverify_proof *read_proof(const char *text)
{
    struct flexverify_proof *proof = NULL;
    assert_int_equal(flexverify_proof_read(&proof, trust, text, strlen(text), problem),
                     FLEXVERIFY_OK);
    return proof;
}

static void test_the_chain_is_the_one_of_the_genesis(void **state)
{
    (void)state;
    uint8_t hash[FLEXVERIFY_HASH_SIZE];
    char name[FLEXVERIFY_NAME_SIZE];
    flexverify_chain(trust, hash, name);
    assert_string_equal(name, "digest-world");
    assert_memory_equal(hash, digest_world()->trust.genesis.bytes, sizeof hash);
}

static void test_each_kind_of_proof_says_what_is_proven(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    size_t size;
    struct flexverify_proof *proof = read_proof(world->balance);
    assert_string_equal(flexverify_proof_kind(proof), "pot");
    assert_string_equal(flexverify_proof_id(proof), "balance/dso");
    assert_true(flexverify_proof_present(proof));
    assert_non_null(flexverify_proof_value(proof, &size));
    assert_int_equal(size, 8);
    assert_int_equal(flexverify_proof_height(proof), DIGEST_WORLD_BLOCKS);
    assert_non_null(strstr(flexverify_proof_json(proof), "\"amount_ueur\":\"1250000\""));
    flexverify_proof_close(proof);

    proof = read_proof(world->absent);
    assert_false(flexverify_proof_present(proof));
    assert_null(flexverify_proof_value(proof, &size));
    flexverify_proof_close(proof);

    proof = read_proof(world->block);
    assert_string_equal(flexverify_proof_kind(proof), "block");
    assert_non_null(strstr(flexverify_proof_json(proof), "\"earlier_header\":{\"version\":1"));
    flexverify_proof_close(proof);

    proof = read_proof(world->log);
    assert_non_null(strstr(flexverify_proof_json(proof), "\"old_size\":\"3\""));
    flexverify_proof_close(proof);
}

static void spoil(const char *text)
{
    size_t size = strlen(text);
    char *copy = strdup(text);
    struct flexverify_proof *proof;
    for (size_t i = 0; i < size; i++) {
        copy[i] = (char)(text[i] ^ (1 << i % 7));
        problem[0] = '\0';
        assert_int_equal(flexverify_proof_read(&proof, trust, copy, size, problem),
                         FLEXVERIFY_UNPROVEN);
        assert_null(proof);
        assert_true(problem[0] != '\0');
        copy[i] = text[i];
        assert_int_equal(flexverify_proof_read(&proof, trust, copy, i, problem),
                         FLEXVERIFY_UNPROVEN);
    }
    free(copy);
}

static void test_no_spoilt_proof_is_believed(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    spoil(world->balance);
    spoil(world->absent);
    spoil(world->block);
    spoil(world->log);
}

static enum flexverify_result read_digest(struct flexverify_digest *out, const char *text)
{
    char vkey[NOTE_VKEY_MAX];
    note_witness_to_text(vkey, &digest_world()->witness);
    const char *witnesses[] = {vkey};
    return flexverify_digest_read(out, trust, text, strlen(text), witnesses, 1, false, problem);
}

static void test_digests_are_read_and_compared(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    struct flexverify_digest first, second;
    assert_int_equal(read_digest(&first, world->plain), FLEXVERIFY_OK);
    assert_int_equal(read_digest(&second, world->cosigned), FLEXVERIFY_OK);
    assert_int_equal(second.cosignatures, 1);
    assert_string_equal(second.date, "2025-01-16");
    assert_int_equal(flexverify_digest_continues(&first, &first, NULL, problem), FLEXVERIFY_OK);
    assert_int_equal(flexverify_digest_continues(&first, &second, NULL, problem),
                     FLEXVERIFY_UNPROVEN);
    /* The proof is from size 3 to 8, so a digest of size 8 is what it is about. */
    struct flexverify_proof *proof = read_proof(world->log);
    struct flexverify_digest last = second;
    last.size = 8;
    memcpy(last.root, world->headers[8].log_root.bytes, sizeof last.root);
    assert_int_equal(flexverify_digest_continues(&first, &last, proof, problem), FLEXVERIFY_OK);
    assert_int_equal(flexverify_digest_continues(&first, &second, proof, problem),
                     FLEXVERIFY_UNPROVEN);
    first.root[0] ^= 1;
    assert_int_equal(flexverify_digest_continues(&first, &last, proof, problem),
                     FLEXVERIFY_TWO_HISTORIES);
    flexverify_proof_close(proof);
    last = first;
    last.root[5] ^= 1;
    assert_int_equal(flexverify_digest_continues(&first, &last, NULL, problem),
                     FLEXVERIFY_TWO_HISTORIES);
    const char *bad[] = {"no key"};
    assert_int_equal(flexverify_digest_read(&first, trust, world->plain, strlen(world->plain), bad,
                                            1, false, problem),
                     FLEXVERIFY_BAD_INPUT);
}

static void test_what_is_no_genesis_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{}", "[]", "{\"chain\":\"x\"}", "nonsense"};
    struct flexverify_trust *other;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(flexverify_open(&other, bad[i], strlen(bad[i]), problem),
                         FLEXVERIFY_BAD_INPUT);
        assert_null(other);
        assert_true(problem[0] != '\0');
    }
    flexverify_close(NULL);
    flexverify_proof_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_chain_is_the_one_of_the_genesis),
        cmocka_unit_test(test_each_kind_of_proof_says_what_is_proven),
        cmocka_unit_test(test_no_spoilt_proof_is_believed),
        cmocka_unit_test(test_digests_are_read_and_compared),
        cmocka_unit_test(test_what_is_no_genesis_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
