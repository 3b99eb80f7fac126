/* Checking ahead of execution on many threads: a block of many parts is blamed for the first thing
 * that is wrong in it, whichever thread comes first, and a flipped byte anywhere in it is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/body.h"
#include "tests/lib/tools/audit_world.h"
#include "tools/audit_ahead.h"

enum { TRANSACTIONS = 300, ROUNDS = 20 };

struct suite {
    char directory[64];
    struct audit_world *world;
    struct audit_tile tile;
    struct audit_block large; /* block 2: all transactions; some eight parts */
    struct proof_trust trust;
};

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    struct byte_reader reader;
    char id[16];
    assert_true(crypto_init());
    snprintf(suite->directory, sizeof suite->directory, "/tmp/flex-test-ahead-XXXXXX");
    assert_non_null(mkdtemp(suite->directory));
    suite->world = audit_world_create(suite->directory);
    audit_world_mint(suite->world, "operator", 1000000000);
    audit_world_turn(suite->world, 1000);
    for (int i = 0; i < TRANSACTIONS; i++) {
        snprintf(id, sizeof id, "p-%d", i);
        audit_world_add(suite->world, id, ROLE_PROSUMER);
    }
    audit_world_turn(suite->world, 1000);
    audit_world_finish(suite->world);
    assert_true(audit_tile_open(&suite->tile, suite->directory, 0));
    byte_reader_init(&reader, suite->tile.data, suite->tile.size);
    assert_true(audit_block_read(&suite->large, &reader));
    assert_true(audit_block_read(&suite->large, &reader));
    assert_true(proof_trust_from_genesis(&suite->trust, audit_world_genesis(suite->world)));
    *state = suite;
    return 0;
}

static int tear_down(void **state)
{
    struct suite *suite = *state;
    char command[128];
    audit_tile_close(&suite->tile);
    audit_world_destroy(suite->world);
    snprintf(command, sizeof command, "rm -rf '%s'", suite->directory);
    assert_int_equal(system(command), 0);
    free(suite);
    return 0;
}

/* Pushes a good block, the given one, and a good one again; what is said of the one in the middle. */
static const char *check(const struct suite *suite, const struct audit_block *block)
{
    struct audit_ahead *ahead = audit_ahead_start(&suite->trust, 0);
    struct audit_block taken;
    assert_non_null(ahead);
    audit_ahead_push(ahead, &suite->large);
    audit_ahead_push(ahead, block);
    audit_ahead_push(ahead, &suite->large);
    assert_int_equal(audit_ahead_count(ahead), 3);
    assert_null(audit_ahead_take(ahead, &taken));
    const char *why = audit_ahead_take(ahead, &taken);
    assert_ptr_equal(taken.body.data, block->body.data);
    assert_null(audit_ahead_take(ahead, &taken));
    audit_ahead_stop(ahead);
    return why;
}

/* Where the signature of the transaction with that number ends in the body. */
static size_t signature_end(const struct suite *suite, uint32_t number)
{
    struct body_reader reader;
    struct bytes_view envelope;
    assert_true(body_open(&reader, suite->large.body));
    for (uint32_t i = 0; i <= number; i++) {
        assert_true(body_next(&reader, &envelope));
    }
    /* The envelope ends in the size of its witness, four zero bytes. */
    return (size_t)(envelope.data - suite->large.body.data) + envelope.size - 4;
}

static void test_blame_does_not_depend_on_threads(void **state)
{
    struct suite *suite = *state;
    struct audit_block bad = suite->large;
    uint8_t *body = malloc(bad.body.size);
    assert_non_null(body);
    assert_null(check(suite, &suite->large));
    for (int round = 0; round < ROUNDS; round++) {
        /* A late transaction is malformed, an earlier one badly signed: the earlier counts. */
        memcpy(body, suite->large.body.data, bad.body.size);
        body[signature_end(suite, 250)] = 1; /* a witness that is not there */
        body[signature_end(suite, 200) - 1] ^= 1;
        bad.body = bytes_view_of(body, suite->large.body.size);
        const char *why = check(suite, &bad);
        assert_non_null(why);
        assert_string_equal(why, "a transaction's signature is not valid");
    }
    free(body);
}

static void test_a_body_of_another_header_is_found(void **state)
{
    struct suite *suite = *state;
    struct audit_block bad = suite->large;
    uint8_t header[BLOCK_HEADER_SIZE];
    struct block_header changed;
    assert_true(block_header_decode(&changed, suite->large.header));
    changed.tx_root.bytes[0] ^= 1;
    block_header_encode(header, &changed);
    bad.header = bytes_view_of(header, sizeof header);
    bad.certificate = (struct bytes_view){0};
    const char *why = check(suite, &bad);
    assert_non_null(why);
    assert_string_equal(why, "the body is not the one that the header names");
    /* With its certificate it is the certificate that counts first: it is for another header. */
    bad.certificate = suite->large.certificate;
    assert_string_not_equal(check(suite, &bad), why);
}

static void test_any_flipped_byte_is_found(void **state)
{
    struct suite *suite = *state;
    struct audit_block bad = suite->large;
    uint8_t *body = malloc(bad.body.size);
    assert_non_null(body);
    memcpy(body, suite->large.body.data, bad.body.size);
    bad.body = bytes_view_of(body, suite->large.body.size);
    for (size_t at = 0; at < bad.body.size; at += 4999) {
        body[at] ^= (uint8_t)(1u << (at % 8));
        assert_non_null(check(suite, &bad));
        body[at] ^= (uint8_t)(1u << (at % 8));
    }
    assert_null(check(suite, &bad));
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blame_does_not_depend_on_threads),
        cmocka_unit_test(test_a_body_of_another_header_is_found),
        cmocka_unit_test(test_any_flipped_byte_is_found),
    };
    return cmocka_run_group_tests_name("audit ahead", tests, set_up, tear_down);
}
