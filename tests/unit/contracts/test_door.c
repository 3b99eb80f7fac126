/* The ledger's door: every TX_ error at its boundary, in the order of the checks; and bytes that are
 * cut, padded, flipped or meant for somebody else. What is refused changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

enum { FEE = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION, PURSE = 10 * FEE };

static struct fixture fixture;
static struct token_transfer transfer;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    fixture_fund(&fixture, "alice", PURSE);
    transfer.to = fixture_name("bob");
    transfer.amount = money_of(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static void draft_one(struct transaction_draft *draft, const char *sender)
{
    fixture_draft(&fixture, draft, sender);
    fixture_draft_add(draft, ACTION_TOKEN_TRANSFER, &transfer);
}

/* --- checks against the state --------------------------------------------------------------- */

struct change {
    int64_t nonce;       /* added to the right one */
    int64_t valid_until; /* ms from the block's time */
    int64_t fee_limit;
    bool other_chain;
    const char *sender;
    enum contract_error expected;
};

static void test_refusals(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    static const struct change rows[] = {
        {0, 0, FEE, true, "alice", CONTRACT_TX_WRONG_CHAIN},
        {0, 0, FEE, false, "stranger", CONTRACT_TX_UNKNOWN_KEY},
        {-1, 0, FEE, false, "alice", CONTRACT_TX_NONCE_USED},
        {-2, 0, FEE, false, "alice", CONTRACT_TX_NONCE_USED},
        {0, -1, FEE, false, "alice", CONTRACT_TX_EXPIRED},
        {1, 0, FEE, false, "alice", CONTRACT_TX_NONCE_GAP},
        {INT64_MAX, 0, FEE, false, "alice", CONTRACT_TX_NONCE_GAP},
        {0, 0, FEE, false, "carol", CONTRACT_TX_FEE_UNAFFORDABLE},
        {0, 0, FEE - 1, false, "alice", CONTRACT_TX_FEE_LIMIT},
        {0, 0, -1, false, "alice", CONTRACT_TX_FEE_LIMIT},
        {0, MS_PER_DAY + 1, FEE, false, "alice", CONTRACT_TX_EXPIRY_TOO_FAR},
        {0, INT64_MAX - FIXTURE_TIME_MS - FIXTURE_BLOCK_MS, FEE, false, "alice",
         CONTRACT_TX_EXPIRY_TOO_FAR},
        /* Two faults: the earlier check speaks. */
        {-1, -1, 0, true, "stranger", CONTRACT_TX_WRONG_CHAIN},
        {-1, -1, 0, false, "alice", CONTRACT_TX_NONCE_USED},
        {1, -1, 0, false, "alice", CONTRACT_TX_EXPIRED},
        {1, MS_PER_DAY + 1, 0, false, "carol", CONTRACT_TX_NONCE_GAP},
        {0, MS_PER_DAY + 1, 0, false, "carol", CONTRACT_TX_FEE_UNAFFORDABLE},
        {0, MS_PER_DAY + 1, 0, false, "alice", CONTRACT_TX_FEE_LIMIT},
        /* The last moments that still do. */
        {0, 0, FEE, false, "alice", CONTRACT_OK},
        {0, MS_PER_DAY, FEE, false, "alice", CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hash before;
        struct hash after;
        struct transaction_draft draft;
        draft_one(&draft, rows[i].sender);
        draft.nonce += (uint64_t)rows[i].nonce;
        assert_true(timestamp_add(&draft.valid_until, fixture.context.time,
                                  duration_of(rows[i].valid_until)));
        draft.fee_limit = money_of(rows[i].fee_limit);
        if (rows[i].other_chain)
            draft.genesis.bytes[31] ^= 1;
        memory_state_digest(fixture.state, &before);
        assert_status(rows[i].expected, fixture_send(&fixture, rows[i].sender, &draft));
        memory_state_digest(fixture.state, &after);
        assert_int_equal(rows[i].expected != CONTRACT_OK, hash_equal(&before, &after));
    }
}

static void test_replay(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    struct bytes_view envelope = bytes_view_of(fixture.envelope, fixture.envelope_size);
    assert_status(CONTRACT_TX_NONCE_USED, fixture_apply_bytes(&fixture, envelope));
    fixture_next_block(&fixture, 1000);
    assert_status(CONTRACT_TX_NONCE_USED, fixture_apply_bytes(&fixture, envelope));
    assert_int_equal(1, fixture_balance(&fixture, "bob"));
}

static void test_last_cent_pays_the_fee(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        transfer.amount = money_of(INT64_MAX); /* fails, and pays all the same */
        assert_status(CONTRACT_INSUFFICIENT_FUNDS,
                      fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
        assert_int_equal(PURSE - (i + 1) * FEE, fixture_balance(&fixture, "alice"));
    }
    assert_status(CONTRACT_INSUFFICIENT_FUNDS,
                  fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    assert_int_equal(0, fixture_balance(&fixture, "alice"));
    assert_status(CONTRACT_TX_FEE_UNAFFORDABLE,
                  fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
}

/* --- bytes ---------------------------------------------------------------------------------- */

static struct bytes_view signed_transfer(void)
{
    static uint8_t bytes[4096];
    struct transaction_draft draft;
    struct byte_writer writer;
    draft_one(&draft, "alice");
    byte_writer_init(&writer, bytes, sizeof bytes);
    assert_true(transaction_sign(&writer, &draft, &fixture_signer(&fixture, "alice")->secret));
    return bytes_view_of(bytes, writer.size);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    struct bytes_view whole = signed_transfer();
    for (size_t size = 0; size < whole.size; size++) {
        /* A copy of exactly that size: reading past its end is caught by the sanitizer. */
        uint8_t *copy = malloc(size + (size == 0));
        assert_non_null(copy);
        memcpy(copy, whole.data, size);
        assert_status(CONTRACT_TX_MALFORMED,
                      fixture_apply_bytes(&fixture, bytes_view_of(copy, size)));
        free(copy);
    }
    uint8_t longer[4096 + 1];
    memcpy(longer, whole.data, whole.size);
    longer[whole.size] = 0;
    assert_status(CONTRACT_TX_MALFORMED,
                  fixture_apply_bytes(&fixture, bytes_view_of(longer, whole.size + 1)));
    assert_status(CONTRACT_OK, fixture_apply_bytes(&fixture, whole));
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    struct bytes_view whole = signed_transfer();
    uint8_t *copy = malloc(whole.size);
    assert_non_null(copy);
    for (size_t at = 0; at < whole.size; at++) {
        memcpy(copy, whole.data, whole.size);
        copy[at] ^= (uint8_t)(1u << (at % 8));
        enum contract_error error = fixture_apply_bytes(&fixture, bytes_view_of(copy, whole.size));
        assert_true(error == CONTRACT_TX_MALFORMED || error == CONTRACT_TX_OVERSIZED ||
                    error == CONTRACT_TX_BAD_WITNESS || error == CONTRACT_TX_BAD_SIGNATURE);
    }
    free(copy);
    assert_int_equal(PURSE, fixture_balance(&fixture, "alice"));
}

static void test_malformed(void **state)
{
    (void)state;
    /* Places in the envelope: size 4, version 2, genesis 32, sender 32, nonce 8, valid_until 8,
     * fee_limit 8, witness hash 32, count, then the action's type, size and record. */
    enum { BODY = 4, COUNT = BODY + 122, TYPE = COUNT + 1, SIZE = TYPE + 1, NAME_AT = SIZE + 2 };
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {
        {BODY, 1},      {BODY + 1, 0}, {BODY + 1, 2},  {COUNT, 0},         {COUNT, 2},
        {COUNT, 129},   {COUNT, 255},  {TYPE, 0},      {TYPE, 4},          {TYPE, 63},
        {TYPE, 64},     {TYPE, 255},   {SIZE, 1},      {SIZE + 1, 31},     {SIZE + 1, 33},
        {NAME_AT, 'B'}, {NAME_AT, 0},  {NAME_AT, '-'}, {NAME_AT + 5, 'x'}, {NAME_AT + 1, ' '},
    };
    struct bytes_view whole = signed_transfer();
    uint8_t copy[4096];
    struct transaction transaction;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(copy, whole.data, whole.size);
        assert_int_not_equal(rows[i].value, copy[rows[i].at]);
        copy[rows[i].at] = rows[i].value;
        assert_status(CONTRACT_TX_MALFORMED,
                      transaction_decode(&transaction, bytes_view_of(copy, whole.size)));
    }
}

static void test_more_actions_than_announced(void **state)
{
    (void)state;
    enum { COUNT = 4 + 122 };
    struct transaction_draft draft;
    struct transaction transaction;
    struct byte_writer writer;
    draft_one(&draft, "alice");
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &transfer);
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    assert_true(transaction_sign(&writer, &draft, &fixture_signer(&fixture, "alice")->secret));
    struct bytes_view envelope = bytes_view_of(fixture.envelope, writer.size);
    assert_status(CONTRACT_OK, transaction_decode(&transaction, envelope));
    assert_int_equal(2, fixture.envelope[COUNT]);
    fixture.envelope[COUNT] = 1;
    assert_status(CONTRACT_TX_MALFORMED, transaction_decode(&transaction, envelope));
    fixture.envelope[COUNT] = 3;
    assert_status(CONTRACT_TX_MALFORMED, transaction_decode(&transaction, envelope));
}

static void test_oversized(void **state)
{
    (void)state;
    struct byte_writer writer;
    struct transaction transaction;
    struct bytes_view whole = signed_transfer();
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    byte_write_u32(&writer, LIMIT_TX_BYTES);
    assert_status(CONTRACT_TX_OVERSIZED,
                  transaction_decode(&transaction, bytes_view_of(fixture.envelope, writer.size)));
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    byte_write_raw(&writer, whole.data, whole.size - 4);
    byte_write_u32(&writer, LIMIT_WITNESS_BYTES + 1);
    assert_status(CONTRACT_TX_OVERSIZED,
                  transaction_decode(&transaction, bytes_view_of(fixture.envelope, writer.size)));
}

static void test_largest(void **state)
{
    (void)state;
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "alice");
    for (int i = 0; i < LIMIT_ACTIONS_PER_TX; i++)
        fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &transfer);
    fixture_fund(&fixture, "alice", 1000000);
    int64_t before = fixture_balance(&fixture, "alice");
    assert_status(CONTRACT_OK, fixture_send(&fixture, "alice", &draft));
    int64_t fee = FIXTURE_FEE_PER_TX + LIMIT_ACTIONS_PER_TX * FIXTURE_FEE_PER_ACTION;
    assert_int_equal(fee, money_ueur(fixture.receipt.fee));
    assert_int_equal(before - fee - LIMIT_ACTIONS_PER_TX, fixture_balance(&fixture, "alice"));
    assert_int_equal(LIMIT_ACTIONS_PER_TX, fixture_balance(&fixture, "bob"));
    /* One more can't even be signed. */
    struct byte_writer writer;
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    draft.action_count++;
    assert_false(transaction_sign(&writer, &draft, &fixture_signer(&fixture, "alice")->secret));
    draft.action_count = 0;
    assert_false(transaction_sign(&writer, &draft, &fixture_signer(&fixture, "alice")->secret));
}

static void test_witness(void **state)
{
    (void)state;
    static const uint8_t witness[] = "readings";
    struct delivery_prove prove = {.deal = 1};
    struct transaction_draft draft;
    struct transaction transaction;
    struct byte_writer writer;
    const struct secret_key *secret = &fixture_signer(&fixture, "alice")->secret;
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &prove);
    draft.witness = bytes_view_of(witness, sizeof witness);
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    assert_true(transaction_sign(&writer, &draft, secret));
    struct bytes_view envelope = bytes_view_of(fixture.envelope, writer.size);
    assert_status(CONTRACT_OK, transaction_decode(&transaction, envelope));
    assert_true(bytes_view_equal(draft.witness, transaction.witness));
    fixture.envelope[writer.size - 1] ^= 1;
    assert_status(CONTRACT_TX_BAD_WITNESS, transaction_decode(&transaction, envelope));
    /* Taken out: the hash asks for it. */
    size_t without = writer.size - sizeof witness;
    memset(fixture.envelope + without - 4, 0, 4);
    assert_status(CONTRACT_TX_BAD_WITNESS,
                  transaction_decode(&transaction, bytes_view_of(fixture.envelope, without)));
    /* Nobody reads it. */
    draft.actions[0].type = ACTION_TOKEN_TRANSFER;
    draft.actions[0].record = &transfer;
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    assert_true(transaction_sign(&writer, &draft, secret));
    assert_status(CONTRACT_TX_BAD_WITNESS,
                  transaction_decode(&transaction, bytes_view_of(fixture.envelope, writer.size)));
}

static void test_identity(void **state)
{
    (void)state;
    struct transaction a;
    struct transaction b;
    uint8_t copy[4096];
    struct bytes_view whole = signed_transfer();
    memcpy(copy, whole.data, whole.size);
    copy[whole.size - 5] ^= 1; /* the last byte of the signature */
    assert_status(CONTRACT_OK, transaction_decode(&a, whole));
    assert_status(CONTRACT_OK, transaction_decode(&b, bytes_view_of(copy, whole.size)));
    struct hash leaf_a;
    struct hash leaf_b;
    transaction_leaf(&leaf_a, &a);
    transaction_leaf(&leaf_b, &b);
    /* No third party can give it another id; the block's root still tells the bytes apart. */
    assert_true(hash_equal(&a.id, &b.id));
    assert_false(hash_equal(&leaf_a, &leaf_b));
    assert_true(transaction_signature_is_valid(&a));
    assert_false(transaction_signature_is_valid(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_cent_pays_the_fee, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_at_every_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_bit_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_actions_than_announced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_oversized, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_largest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_witness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
