/* Genesis: every reason to refuse one, the JSON form there and back, the hash; and block bodies. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/body.h"
#include "crypto/merkle.h"
#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    fixture_fund(&fixture, "alice", 1000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

/* --- what makes no sense -------------------------------------------------------------------- */

static void no_chain(struct genesis *g)
{
    memset(&g->chain, 0, sizeof g->chain);
}
static void no_time(struct genesis *g)
{
    g->time = timestamp_of(0);
}
static void odd_clock(struct genesis *g)
{
    g->simulated_time = 2;
}
static void no_delta(struct genesis *g)
{
    g->delta_ms = 0;
}
static void long_cap(struct genesis *g)
{
    g->timeout_cap_ms = 600001;
}
static void idle_below_interval(struct genesis *g)
{
    g->max_idle_ms = g->block_interval_ms - 1;
}
static void cap_below_delta(struct genesis *g)
{
    g->timeout_cap_ms = g->delta_ms - 1;
}
static void shrinking_timeouts(struct genesis *g)
{
    g->backoff_permille = 999;
}
static void negative_fee(struct genesis *g)
{
    g->params.fee_per_action = money_of(-1);
}
static void huge_fee(struct genesis *g)
{
    g->params.fee_per_deal = money_of(1000000001);
}
static void no_fee_period(struct genesis *g)
{
    g->params.fee_period = duration_of(0);
}
static void no_lifetime(struct genesis *g)
{
    g->params.tx_lifetime = duration_of(0);
}
static void long_lifetime(struct genesis *g)
{
    g->params.tx_lifetime = duration_of(7 * (int64_t)MS_PER_DAY + 1);
}
static void three_validators(struct genesis *g)
{
    g->params.validator_count = 3;
}
static void too_many_validators(struct genesis *g)
{
    g->params.validator_count = LIMIT_VALIDATORS + 1;
}
static void unsorted_validators(struct genesis *g)
{
    struct params_validator first = g->params.validators[0];
    g->params.validators[0] = g->params.validators[1];
    g->params.validators[1] = first;
}
static void twin_validators(struct genesis *g)
{
    g->params.validators[1].key = g->params.validators[0].key;
}
static void stranger_operates(struct genesis *g)
{
    g->params.validators[2].operator_name = fixture_name("stranger");
}
static void too_many_participants(struct genesis *g)
{
    g->participant_count = GENESIS_PARTICIPANTS_MAX + 1;
}
static void bad_name(struct genesis *g)
{
    g->participants[3].id.text[0] = 'A';
}
static void bad_key(struct genesis *g)
{
    memset(g->participants[3].key.bytes, 0xff, PUBLIC_KEY_SIZE);
}
static void no_role(struct genesis *g)
{
    g->participants[3].roles = 0;
}
static void unknown_role(struct genesis *g)
{
    g->participants[3].roles = 1u << ROLE_COUNT;
}
static void twin_ids(struct genesis *g)
{
    g->participants[4].id = g->participants[3].id;
}
static void twin_keys(struct genesis *g)
{
    g->participants[4].key = g->participants[3].key;
}
static void no_market_operator(struct genesis *g)
{
    g->participants[0].roles = ROLE_PROSUMER;
}
static void no_treasurer(struct genesis *g)
{
    g->participants[1].roles = ROLE_PROSUMER;
}

static void test_problems(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct genesis *);
        const char *problem;
    } rows[] = {
        {no_chain, "chain is not a name"},
        {no_time, "time_ms must be after 1970"},
        {odd_clock, "simulated_time must be true or false"},
        {no_delta, "a consensus time is zero or over ten minutes"},
        {long_cap, "a consensus time is zero or over ten minutes"},
        {idle_below_interval, "max_idle_ms must be at least block_interval_ms"},
        {cap_below_delta, "timeout_cap_ms must be at least delta_ms"},
        {shrinking_timeouts, "backoff_permille must be 1000 to 10000"},
        {negative_fee, "a fee is negative or over 1000 euro"},
        {huge_fee, "a fee is negative or over 1000 euro"},
        {no_fee_period, "fee_period_ms must be above zero"},
        {no_lifetime, "tx_lifetime_ms must be above zero and at most seven days"},
        {long_lifetime, "tx_lifetime_ms must be above zero and at most seven days"},
        {three_validators, "there must be 4 to 31 validators"},
        {too_many_validators, "there must be 4 to 31 validators"},
        {unsorted_validators, "validators must be sorted by key, each key once"},
        {twin_validators, "validators must be sorted by key, each key once"},
        {stranger_operates, "a validator's operator is not a participant"},
        {too_many_participants, "too many participants"},
        {bad_name, "a participant's id is not a name"},
        {bad_key, "a participant's key is not a public key"},
        {no_role, "a participant has no role"},
        {unknown_role, "a participant has no role"},
        {twin_ids, "two participants have the same id"},
        {twin_keys, "two participants have the same key"},
        {no_market_operator, "there must be a market operator"},
        {no_treasurer, "there must be a treasurer"},
    };
    assert_null(genesis_problem(&fixture.genesis));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct genesis genesis = fixture.genesis;
        rows[i].change(&genesis);
        const char *problem = genesis_problem(&genesis);
        assert_non_null(problem);
        assert_string_equal(rows[i].problem, problem);
    }
}

/* --- JSON and hash -------------------------------------------------------------------------- */

static void test_json(void **state)
{
    (void)state;
    struct genesis read;
    struct hash hash;
    char problem[160];
    cJSON *object = genesis_to_json(&fixture.genesis);
    assert_non_null(object);
    char *text = cJSON_Print(object);
    assert_non_null(text);
    assert_true(genesis_from_json(&read, text, strlen(text), problem));
    assert_true(genesis_hash(&hash, &read));
    assert_true(hash_equal(&fixture.genesis_id, &hash));
    for (size_t size = 0; size < strlen(text) - 1; size += 7)
        assert_false(genesis_from_json(&read, text, size, problem));
    /* Legal JSON, all fields there, no sense. */
    char *time = strstr(text, "\"delta_ms\":");
    assert_non_null(time);
    time = strpbrk(time + strlen("\"delta_ms\":"), "123456789");
    assert_non_null(time);
    memcpy(time, "0  ", 3);
    assert_false(genesis_from_json(&read, text, strlen(text), problem));
    assert_string_equal("a consensus time is zero or over ten minutes", problem);
    free(text);
    cJSON_DeleteItemFromObject(object, "participants");
    text = cJSON_Print(object);
    assert_false(genesis_from_json(&read, text, strlen(text), problem));
    assert_non_null(strstr(problem, "participants"));
    free(text);
    cJSON_AddStringToObject(object, "participants", "none");
    text = cJSON_Print(object);
    assert_false(genesis_from_json(&read, text, strlen(text), problem));
    free(text);
    cJSON_Delete(object);
}

static void test_every_field_counts_for_the_hash(void **state)
{
    (void)state;
    struct genesis other = fixture.genesis;
    struct hash hash;
    other.backoff_permille++;
    assert_true(genesis_hash(&hash, &other));
    assert_false(hash_equal(&fixture.genesis_id, &hash));
    other = fixture.genesis;
    other.participants[11].key.bytes[31] ^= 1;
    assert_true(genesis_hash(&hash, &other));
    assert_false(hash_equal(&fixture.genesis_id, &hash));
    other.participant_count = GENESIS_PARTICIPANTS_MAX + 1;
    assert_false(genesis_hash(&hash, &other));
}

/* --- bodies --------------------------------------------------------------------------------- */

static size_t make_body(uint8_t *out, size_t capacity, uint32_t count)
{
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    struct byte_writer writer;
    byte_writer_init(&writer, out, capacity);
    byte_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_status(CONTRACT_OK,
                      fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
        byte_write_sized(&writer, fixture.envelope, fixture.envelope_size);
    }
    assert_false(writer.failed);
    return writer.size;
}

static void test_body(void **state)
{
    (void)state;
    uint8_t body[4096];
    struct hash leaves[16];
    struct hash root;
    struct hash expected;
    struct body_reader reader;
    struct bytes_view envelope;
    size_t size = make_body(body, sizeof body, 5);
    assert_true(body_tx_root(&root, bytes_view_of(body, size), leaves));
    merkle_root(&expected, leaves, 5);
    assert_true(hash_equal(&expected, &root));
    assert_true(body_open(&reader, bytes_view_of(body, size)));
    assert_int_equal(5, reader.count);
    for (int i = 0; i < 5; i++) {
        struct transaction transaction;
        struct hash leaf;
        assert_false(body_is_whole(&reader));
        assert_true(body_next(&reader, &envelope));
        assert_status(CONTRACT_OK, transaction_decode(&transaction, envelope));
        assert_int_equal(i + 1, transaction.nonce);
        transaction_leaf(&leaf, &transaction);
        assert_true(hash_equal(&leaf, &leaves[i]));
    }
    assert_true(body_is_whole(&reader));
    assert_false(body_next(&reader, &envelope));
    for (size_t cut = 0; cut < size; cut++)
        assert_false(body_tx_root(&root, bytes_view_of(body, cut), leaves));
    body[size] = 0;
    assert_false(body_tx_root(&root, bytes_view_of(body, size + 1), leaves));
    body[3] = 4; /* announces one less */
    assert_false(body_tx_root(&root, bytes_view_of(body, size), leaves));
    body[3] = 5;
    body[size - 1] ^= 1; /* the last transaction's witness size */
    assert_false(body_tx_root(&root, bytes_view_of(body, size), leaves));
}

static void test_empty_and_oversized_bodies(void **state)
{
    (void)state;
    static uint8_t large[LIMIT_BLOCK_BODY_BYTES + 1];
    struct hash root;
    struct hash leaves[1];
    struct body_reader reader;
    struct bytes_view envelope;
    assert_true(body_tx_root(&root, bytes_view_of(large, 4), leaves));
    assert_true(hash_is_zero(&root));
    assert_false(body_open(&reader, bytes_view_of(large, sizeof large)));
    assert_false(body_is_whole(&reader));
    assert_false(body_next(&reader, &envelope));
    struct byte_writer writer;
    byte_writer_init(&writer, large, sizeof large);
    byte_write_u32(&writer, LIMIT_TX_PER_BLOCK + 1);
    assert_false(body_open(&reader, bytes_view_of(large, 4)));
    byte_writer_init(&writer, large, sizeof large);
    byte_write_u32(&writer, 1);
    byte_write_u32(&writer, LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES + 1);
    assert_true(body_open(&reader, bytes_view_of(large, LIMIT_BLOCK_BODY_BYTES)));
    assert_false(body_next(&reader, &envelope));
    assert_false(body_is_whole(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_problems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_field_counts_for_the_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_and_oversized_bodies, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
