/* Proof files: true ones verify, and nothing else does, down to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/lib/tools/little_chain.h"
#include "verify/proof.h"

struct suite {
    struct little_chain *chain;
    struct proof_trust trust;
    char *state;   /* sealed proof of dso's balance */
    char *absent;  /* of an account that there is none of */
    char *receipt; /* of the second transaction of block 2, finalized through block 3 */
};

static char *sealed(char *text)
{
    char *result = proof_seal(text, strlen(text));
    assert_non_null(result);
    free(text);
    return result;
}

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    assert_true(crypto_init());
    suite->chain = little_chain_create();
    assert_true(proof_trust_from_genesis(&suite->trust, little_chain_genesis(suite->chain)));
    little_chain_mint(suite->chain, 5000000);
    little_chain_turn(suite->chain, true);
    for (int i = 0; i < 4; i++) {
        little_chain_transfer(suite->chain, "agg", 1000 + i);
    }
    little_chain_turn(suite->chain, false);
    little_chain_turn(suite->chain, true);
    suite->state = sealed(little_chain_state_proof(suite->chain, "pot", "balance/dso"));
    suite->absent = sealed(little_chain_state_proof(suite->chain, "pot", "balance/nobody"));
    suite->receipt = sealed(little_chain_receipt_proof(suite->chain, 2, 1));
    *state = suite;
    return 0;
}

static int tear_down(void **state)
{
    struct suite *suite = *state;
    free(suite->state);
    free(suite->absent);
    free(suite->receipt);
    little_chain_destroy(suite->chain);
    free(suite);
    return 0;
}

static bool verifies(const struct suite *suite, const char *text, size_t size)
{
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE] = "";
    bool ok = proof_verify(&proof, &suite->trust, text, size, problem);
    if (ok) {
        proof_release(&proof);
    } else {
        assert_true(problem[0] != '\0');
    }
    return ok;
}

static void test_balance_is_proven(void **state)
{
    struct suite *suite = *state;
    struct proof proof;
    struct pot_record pot;
    char problem[PROOF_PROBLEM_SIZE];
    assert_true(proof_verify(&proof, &suite->trust, suite->state, strlen(suite->state), problem));
    assert_true(proof.present);
    assert_true(codec_decode_all(proof.kind->codec, &pot, proof.value));
    /* 5 EUR less 4 x 0.002 in fees less 1000 + 1001 + 1002 + 1003. */
    assert_int_equal(money_ueur(pot.amount), 5000000 - 8000 - 4006);
    assert_int_equal(proof.header.height, 3);
    proof_release(&proof);
}

static void test_absence_is_proven(void **state)
{
    struct suite *suite = *state;
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE];
    assert_true(proof_verify(&proof, &suite->trust, suite->absent, strlen(suite->absent), problem));
    assert_false(proof.present);
    proof_release(&proof);
}

static void test_receipt_is_proven_through_a_descendant(void **state)
{
    struct suite *suite = *state;
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE];
    assert_non_null(strstr(suite->receipt, "descendants"));
    assert_true(
        proof_verify(&proof, &suite->trust, suite->receipt, strlen(suite->receipt), problem));
    assert_null(proof.kind);
    assert_int_equal(proof.header.height, 2);
    assert_int_equal(proof.receipt.status, CONTRACT_OK);
    assert_int_equal(money_ueur(proof.receipt.fee), 2000);
    proof_release(&proof);
}

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    return out;
}

/* The receipt of a block's end: under its height alone, as the last of its block, and never as a
 * transaction's. */
static void test_the_end_of_a_block_is_proven(void **state)
{
    struct suite *suite = *state;
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE];
    char *plain = little_chain_receipt_proof(suite->chain, 2, 4);
    assert_true(proof_verify(&proof, &suite->trust, plain, strlen(plain), problem));
    assert_string_equal(proof_kind_name(&proof), "block_end");
    assert_int_equal(proof.header.height, 2);
    assert_true(hash_is_zero(&proof.receipt.tx_id));
    proof_release(&proof);
    static const struct {
        const char *from, *to;
    } lies[] = {{"\"id\":\"2\"", "\"id\":\"3\""},
                {"\"id\":\"2\"", "\"id\":\"02\""},
                {"\"kind\":\"block_end\"", "\"kind\":\"transaction\""},
                {"\"kind\":\"block_end\"", "\"kind\":\"block\""},
                {"\"index\":4", "\"index\":3"}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        char *lie = replaced(plain, lies[i].from, lies[i].to);
        assert_false(proof_verify(&proof, &suite->trust, lie, strlen(lie), problem));
        free(lie);
    }
    char *other = little_chain_receipt_proof(suite->chain, 2, 1);
    char *lie = replaced(other, "\"kind\":\"transaction\"", "\"kind\":\"block_end\"");
    assert_false(proof_verify(&proof, &suite->trust, lie, strlen(lie), problem));
    free(lie);
    free(other);
    free(plain);
}

/* Every bit of some positions and one bit of every position: signatures are costly to check. */
static void flip_everything(const struct suite *suite, const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 2);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = i % 8; bit < 8; bit += i % 16 == 0 ? 1 : 8) {
            memcpy(copy, text, size + 1);
            copy[i] = (char)((uint8_t)copy[i] ^ (1u << bit));
            assert_false(verifies(suite, copy, size));
        }
    }
    memcpy(copy, text, size + 1);
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(verifies(suite, copy, cut));
    }
    for (unsigned c = 0; c < 256; c++) {
        copy[size] = (char)c;
        assert_false(verifies(suite, copy, size + 1));
    }
    free(copy);
}

static void test_every_changed_byte_is_found(void **state)
{
    struct suite *suite = *state;
    flip_everything(suite, suite->state);
    flip_everything(suite, suite->absent);
    flip_everything(suite, suite->receipt);
}

/* What a forger would do: changes a field and makes a new checksum. */
static bool forged_verifies(const struct suite *suite, const char *text, const char *key,
                            struct cJSON *value)
{
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(text, strlen(text), problem);
    assert_non_null(object);
    cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    char *printed = cJSON_PrintUnformatted(object);
    char *resealed = proof_seal(printed, strlen(printed));
    bool ok = verifies(suite, resealed, strlen(resealed));
    free(resealed);
    cJSON_free(printed);
    cJSON_Delete(object);
    return ok;
}

/* One hex digit of a field changed. */
static struct cJSON *with_digit(const char *text, const char *key, size_t at)
{
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(text, strlen(text), problem);
    char *value = strdup(json_string(object, key));
    at %= strlen(value);
    value[at] = value[at] == '0' ? '1' : '0';
    struct cJSON *changed = cJSON_CreateString(value);
    free(value);
    cJSON_Delete(object);
    return changed;
}

static void test_no_resealed_forgery_passes(void **state)
{
    struct suite *suite = *state;
    static const char *const fields[] = {"header", "certificate", "key", "value", "proof"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t at = 0; at < 120; at += 7) {
            assert_false(forged_verifies(suite, suite->state, fields[i],
                                         with_digit(suite->state, fields[i], at)));
        }
    }
    static const char *const receipt_fields[] = {"header", "certificate", "receipt", "proof"};
    for (size_t i = 0; i < sizeof receipt_fields / sizeof receipt_fields[0]; i++) {
        for (size_t at = 0; at < 120; at += 7) {
            assert_false(forged_verifies(suite, suite->receipt, receipt_fields[i],
                                         with_digit(suite->receipt, receipt_fields[i], at)));
        }
    }
    assert_false(forged_verifies(suite, suite->state, "id", cJSON_CreateString("balance/agg")));
    assert_false(forged_verifies(suite, suite->state, "height", cJSON_CreateString("2")));
    assert_false(forged_verifies(suite, suite->state, "value", cJSON_CreateNull()));
    assert_false(forged_verifies(suite, suite->receipt, "index", cJSON_CreateNumber(0)));
    assert_false(forged_verifies(suite, suite->receipt, "descendants", cJSON_CreateArray()));
    /* An unchanged field, resealed, shows that the forging itself breaks nothing. */
    assert_true(forged_verifies(suite, suite->state, "height", cJSON_CreateString("3")));
}

static void test_too_few_signatures_do_not_finalize(void **state)
{
    struct suite *suite = *state;
    const struct little_block *block = little_chain_block(suite->chain, 3);
    for (uint32_t signers = 0; signers <= 4; signers++) {
        struct certificate certificate;
        uint8_t bytes[CERTIFICATE_BYTES_MAX];
        char hex[2 * CERTIFICATE_BYTES_MAX + 1];
        little_chain_certify(suite->chain, &certificate, &block->header, signers);
        hex_encode(hex, bytes, certificate_encode(bytes, &certificate));
        assert_int_equal(
            forged_verifies(suite, suite->state, "certificate", cJSON_CreateString(hex)),
            signers >= 3);
    }
    struct certificate notarization;
    little_chain_certify(suite->chain, &notarization, &block->header, 4);
    notarization.kind = VOTE_NOTARIZE;
    assert_non_null(proof_certificate_problem(&suite->trust, &block->header, &notarization));
}

static void test_another_genesis_refuses(void **state)
{
    struct suite *suite = *state;
    struct genesis other = *little_chain_genesis(suite->chain);
    struct suite stranger = *suite;
    other.max_idle_ms++;
    assert_true(proof_trust_from_genesis(&stranger.trust, &other));
    assert_true(verifies(suite, suite->state, strlen(suite->state)));
    assert_false(verifies(&stranger, suite->state, strlen(suite->state)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance_is_proven),
        cmocka_unit_test(test_absence_is_proven),
        cmocka_unit_test(test_receipt_is_proven_through_a_descendant),
        cmocka_unit_test(test_the_end_of_a_block_is_proven),
        cmocka_unit_test(test_every_changed_byte_is_found),
        cmocka_unit_test(test_no_resealed_forgery_passes),
        cmocka_unit_test(test_too_few_signatures_do_not_finalize),
        cmocka_unit_test(test_another_genesis_refuses),
    };
    return cmocka_run_group_tests_name("proof", tests, set_up, tear_down);
}
