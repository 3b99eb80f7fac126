/* Participants: every error of register, status and rotate_key, what a success does, and what a
 * suspended or retired participant can still do. */
#include <string.h>

#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    static const char *const funded[] = {"operator", "alice", "bob", "dso"};
    for (size_t i = 0; i < sizeof funded / sizeof funded[0]; i++)
        fixture_fund(&fixture, funded[i], 1000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static enum contract_error set_status(const char *sender, const char *id, uint8_t status)
{
    struct participant_status action = {.id = fixture_name(id), .status = status};
    return fixture_act(&fixture, sender, ACTION_PARTICIPANT_STATUS, &action);
}

static struct participant_record participant(const char *id)
{
    struct name name = fixture_name(id);
    struct state_key key = state_key_name(STATE_PARTICIPANT, &name);
    struct participant_record record;
    assert_true(ledger_read(fixture.view, &key, &participant_record_codec, &record));
    return record;
}

/* Who signs with it; "" if nobody does any more, NULL if nobody ever did. */
static const char *key_owner(const struct public_key *key)
{
    static char text[NAME_SIZE + 1];
    struct state_key index = state_key_hash(STATE_KEY, key->bytes);
    struct key_record record;
    if (!ledger_read(fixture.view, &index, &key_record_codec, &record))
        return NULL;
    return name_to_text(text, &record.participant);
}

static void test_register(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *id;
        const char *key;
        uint32_t roles;
        enum contract_error expected;
    } rows[] = {
        {"operator", "dora", "dora", ROLE_PROSUMER, CONTRACT_OK},
        {"operator", "dora", "dora", ROLE_PROSUMER, CONTRACT_EXISTS_ALREADY},
        {"operator", "dora", "other", ROLE_PROSUMER, CONTRACT_EXISTS_ALREADY},
        {"operator", "other", "dora", ROLE_PROSUMER, CONTRACT_EXISTS_ALREADY},
        {"operator", "other", "operator", ROLE_PROSUMER, CONTRACT_EXISTS_ALREADY},
        {"operator", "alice", "other", ROLE_PROSUMER, CONTRACT_EXISTS_ALREADY},
        {"operator", "other", "other", 0, CONTRACT_BAD_PARAMETER},
        {"operator", "other", NULL, ROLE_PROSUMER, CONTRACT_BAD_KEY},
        {"alice", "other", "other", ROLE_PROSUMER, CONTRACT_NOT_PERMITTED},
        {"dso", "other", "other", ROLE_PROSUMER, CONTRACT_NOT_PERMITTED},
        {"operator", "other", "other", (1u << ROLE_COUNT) - 1, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct participant_register action = {.id = fixture_name(rows[i].id),
                                              .roles = rows[i].roles};
        if (rows[i].key != NULL)
            action.key = fixture_key(rows[i].key);
        else
            memset(action.key.bytes, 0xff, sizeof action.key.bytes); /* above the field's prime */
        assert_status(rows[i].expected,
                      fixture_act(&fixture, rows[i].sender, ACTION_PARTICIPANT_REGISTER, &action));
        if (rows[i].expected != CONTRACT_OK)
            continue;
        struct participant_record record = participant(rows[i].id);
        assert_int_equal(STATUS_ACTIVE, record.status);
        assert_int_equal(rows[i].roles, record.roles);
        assert_int_equal(0, record.nonce);
        assert_string_equal(rows[i].id, key_owner(&action.key));
        assert_int_equal(0, fixture_balance(&fixture, rows[i].id));
    }
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *id;
        uint8_t status;
        enum contract_error expected;
    } rows[] = {
        {"alice", "bob", STATUS_SUSPENDED, CONTRACT_NOT_PERMITTED},
        {"operator", "operator", STATUS_SUSPENDED, CONTRACT_NOT_PERMITTED},
        {"operator", "nobody", STATUS_SUSPENDED, CONTRACT_UNKNOWN_PARTICIPANT},
        {"operator", "bob", STATUS_REGISTERED, CONTRACT_BAD_PARAMETER},
        {"operator", "bob", STATUS_ACTIVE, CONTRACT_BAD_PARAMETER},
        {"operator", "bob", STATUS_SUSPENDED, CONTRACT_OK},
        {"operator", "bob", STATUS_SUSPENDED, CONTRACT_BAD_PARAMETER},
        {"operator", "bob", STATUS_ACTIVE, CONTRACT_OK},
        {"operator", "bob", STATUS_RETIRED, CONTRACT_OK},
        {"operator", "bob", STATUS_ACTIVE, CONTRACT_SUSPENDED},
        {"operator", "bob", STATUS_SUSPENDED, CONTRACT_SUSPENDED},
        {"operator", "bob", STATUS_RETIRED, CONTRACT_SUSPENDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_status(rows[i].expected, set_status(rows[i].sender, rows[i].id, rows[i].status));
        if (rows[i].expected == CONTRACT_OK)
            assert_int_equal(rows[i].status, participant(rows[i].id).status);
    }
}

static void test_suspended_sender_pays_and_fails(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, set_status("operator", "bob", STATUS_SUSPENDED));
    int64_t before = fixture_balance(&fixture, "bob");
    struct token_transfer transfer = {.to = fixture_name("alice"), .amount = money_of(1)};
    assert_status(CONTRACT_SUSPENDED,
                  fixture_act(&fixture, "bob", ACTION_TOKEN_TRANSFER, &transfer));
    assert_int_equal(before - FIXTURE_FEE_PER_TX - FIXTURE_FEE_PER_ACTION,
                     fixture_balance(&fixture, "bob"));
    assert_int_equal(1, participant("bob").nonce);
    assert_int_equal(0, fixture.receipt.events.size);
    assert_status(CONTRACT_OK, set_status("operator", "bob", STATUS_ACTIVE));
    assert_status(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_TOKEN_TRANSFER, &transfer));
}

static void test_retired_sender_is_unknown(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, set_status("operator", "bob", STATUS_RETIRED));
    int64_t before = fixture_balance(&fixture, "bob");
    struct token_transfer transfer = {.to = fixture_name("alice"), .amount = money_of(1)};
    assert_status(CONTRACT_TX_UNKNOWN_KEY,
                  fixture_act(&fixture, "bob", ACTION_TOKEN_TRANSFER, &transfer));
    assert_int_equal(before, fixture_balance(&fixture, "bob"));
    /* Neither name nor key is ever given out again. */
    struct participant_register action = {
        .id = fixture_name("bob"), .key = fixture_key("fresh"), .roles = ROLE_PROSUMER};
    assert_status(CONTRACT_EXISTS_ALREADY,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_REGISTER, &action));
    action.id = fixture_name("fresh");
    action.key = fixture_key("bob");
    assert_status(CONTRACT_EXISTS_ALREADY,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_REGISTER, &action));
}

static struct participant_rotate_key rotation(const char *id, const char *new_key,
                                              const struct hash *genesis)
{
    struct participant_rotate_key action;
    struct secret_key secret;
    struct hash message;
    struct name name = fixture_name(id);
    memset(&action, 0, sizeof action);
    fixture_secret(&secret, new_key);
    action.new_key = fixture_key(new_key);
    membership_key_proof_message(&message, genesis, &name, &action.new_key);
    assert_true(schnorr_sign(&action.proof, &secret, &message));
    return action;
}

static void test_rotate_key(void **state)
{
    (void)state;
    struct public_key old_key = fixture_key("alice");
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    struct participant_rotate_key action = rotation("alice", "alice-2", &fixture.genesis_id);
    assert_status(CONTRACT_OK,
                  fixture_act(&fixture, "alice", ACTION_PARTICIPANT_ROTATE_KEY, &action));
    assert_string_equal("", key_owner(&old_key));
    assert_string_equal("alice", key_owner(&action.new_key));
    struct participant_record alice = participant("alice");
    assert_true(public_key_equal(&action.new_key, &alice.key));
    /* The old key is nobody's; the new one goes on with the same nonces. */
    assert_status(CONTRACT_TX_UNKNOWN_KEY,
                  fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    fixture_secret(&fixture_signer(&fixture, "alice")->secret, "alice-2");
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    assert_int_equal(2, participant("alice").nonce);
    /* No way back, and nobody else gets it. */
    action = rotation("alice", "alice", &fixture.genesis_id);
    assert_status(CONTRACT_EXISTS_ALREADY,
                  fixture_act(&fixture, "alice", ACTION_PARTICIPANT_ROTATE_KEY, &action));
    action = rotation("bob", "alice", &fixture.genesis_id);
    assert_status(CONTRACT_EXISTS_ALREADY,
                  fixture_act(&fixture, "bob", ACTION_PARTICIPANT_ROTATE_KEY, &action));
}

static void test_rotate_key_refused(void **state)
{
    (void)state;
    struct hash other_chain = fixture.genesis_id;
    other_chain.bytes[0] ^= 1;
    struct participant_rotate_key bad_signature = rotation("alice", "a2", &fixture.genesis_id);
    bad_signature.proof.bytes[5] ^= 1;
    struct participant_rotate_key bad_key = rotation("alice", "a2", &fixture.genesis_id);
    memset(bad_key.new_key.bytes, 0xff, sizeof bad_key.new_key.bytes);
    const struct {
        struct participant_rotate_key action;
        enum contract_error expected;
    } rows[] = {
        {rotation("alice", "alice", &fixture.genesis_id), CONTRACT_EXISTS_ALREADY},
        {rotation("alice", "bob", &fixture.genesis_id), CONTRACT_EXISTS_ALREADY},
        {rotation("bob", "a2", &fixture.genesis_id), CONTRACT_BAD_KEY},
        {rotation("alice", "a2", &other_chain), CONTRACT_BAD_KEY},
        {bad_signature, CONTRACT_BAD_KEY},
        {bad_key, CONTRACT_BAD_KEY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_status(
            rows[i].expected,
            fixture_act(&fixture, "alice", ACTION_PARTICIPANT_ROTATE_KEY, &rows[i].action));
        struct public_key key = fixture_key("alice");
        assert_string_equal("alice", key_owner(&key));
    }
    struct public_key never = fixture_key("a2");
    assert_null(key_owner(&never));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_suspended_sender_pays_and_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retired_sender_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotate_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotate_key_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
