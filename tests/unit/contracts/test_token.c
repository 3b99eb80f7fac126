/* Tokens: every error of mint, burn and transfer, what a success does, and that a failure does
 * nothing but cost its fee. */
#include <string.h>

#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

enum { FEE = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION };

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    fixture_fund(&fixture, "alice", 1000000);
    fixture_fund(&fixture, "operator", 1000000);
    fixture_register(&fixture, "dora", ROLE_PROSUMER);
    fixture_register(&fixture, "gone", ROLE_PROSUMER);
    struct participant_status status = {.id = fixture_name("dora"), .status = STATUS_SUSPENDED};
    assert_status(CONTRACT_OK,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_STATUS, &status));
    status.id = fixture_name("gone");
    status.status = STATUS_RETIRED;
    assert_status(CONTRACT_OK,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_STATUS, &status));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static void test_transfer(void **state)
{
    (void)state;
    static const struct {
        const char *to;
        int64_t amount;
        enum contract_error expected;
    } rows[] = {
        {"bob", 1, CONTRACT_OK},
        {"bob", 250000, CONTRACT_OK},
        {"bob", 0, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"bob", -1, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"bob", INT64_MIN, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"bob", INT64_MAX, CONTRACT_INSUFFICIENT_FUNDS},
        {"bob", 1000000, CONTRACT_INSUFFICIENT_FUNDS},
        {"alice", 1, CONTRACT_BAD_PARAMETER},
        {"nobody", 1, CONTRACT_UNKNOWN_PARTICIPANT},
        {"dora", 1, CONTRACT_SUSPENDED},
        {"gone", 1, CONTRACT_SUSPENDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t alice = fixture_balance(&fixture, "alice");
        int64_t to = fixture_balance(&fixture, rows[i].to);
        struct token_transfer action = {.to = fixture_name(rows[i].to),
                                        .amount = money_of(rows[i].amount)};
        assert_status(rows[i].expected,
                      fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &action));
        int64_t moved = rows[i].expected == CONTRACT_OK ? rows[i].amount : 0;
        assert_int_equal(alice - FEE - moved, fixture_balance(&fixture, "alice"));
        if (strcmp(rows[i].to, "alice") != 0)
            assert_int_equal(to + moved, fixture_balance(&fixture, rows[i].to));
    }
}

static void test_transfer_of_all(void **state)
{
    (void)state;
    struct token_transfer action = {.to = fixture_name("bob")};
    action.amount = money_of(fixture_balance(&fixture, "alice") - FEE + 1);
    assert_status(CONTRACT_INSUFFICIENT_FUNDS,
                  fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &action));
    action.amount = money_of(fixture_balance(&fixture, "alice") - FEE);
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &action));
    assert_int_equal(0, fixture_balance(&fixture, "alice"));
    /* The empty pot of a participant stays in the state, provable. */
    struct name alice = fixture_name("alice");
    struct state_key key = state_key_pot(POT_BALANCE, &alice, 0);
    struct pot_record pot;
    assert_true(ledger_read(fixture.view, &key, &pot_record_codec, &pot));
}

static struct hash reference(unsigned n)
{
    struct hash hash;
    memset(hash.bytes, (int)n, sizeof hash.bytes);
    return hash;
}

static void test_mint(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *to;
        int64_t amount;
        unsigned receipt;
        enum contract_error expected;
    } rows[] = {
        {"treasurer", "bob", 5000, 1, CONTRACT_OK},
        {"treasurer", "bob", 5000, 1, CONTRACT_EXISTS_ALREADY},
        {"treasurer", "alice", 1, 1, CONTRACT_EXISTS_ALREADY},
        {"treasurer", "treasurer", 7, 2, CONTRACT_OK},
        {"treasurer", "bob", 0, 3, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", "bob", -5, 3, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", "bob", INT64_MIN, 3, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", "nobody", 5, 3, CONTRACT_UNKNOWN_PARTICIPANT},
        {"treasurer", "dora", 5, 3, CONTRACT_SUSPENDED},
        {"treasurer", "gone", 5, 3, CONTRACT_SUSPENDED},
        {"treasurer", "bob", 5, 0, CONTRACT_BAD_PARAMETER},
        {"treasurer", "bob", INT64_MAX, 3, CONTRACT_OVERFLOW},
        {"alice", "alice", 5, 3, CONTRACT_NOT_PERMITTED},
        {"operator", "alice", 5, 3, CONTRACT_NOT_PERMITTED},
        /* What failed did not use up its reference. */
        {"treasurer", "bob", 5, 3, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t to = fixture_balance(&fixture, rows[i].to);
        struct token_mint action = {.to = fixture_name(rows[i].to),
                                    .amount = money_of(rows[i].amount),
                                    .receipt = reference(rows[i].receipt)};
        assert_status(rows[i].expected,
                      fixture_act(&fixture, rows[i].sender, ACTION_TOKEN_MINT, &action));
        int64_t fee =
            strcmp(rows[i].to, rows[i].sender) == 0 && strcmp(rows[i].sender, "treasurer") != 0
                ? FEE
                : 0;
        int64_t minted = rows[i].expected == CONTRACT_OK ? rows[i].amount : 0;
        assert_int_equal(to + minted - fee, fixture_balance(&fixture, rows[i].to));
    }
}

static void test_burn(void **state)
{
    (void)state;
    fixture_fund(&fixture, "treasurer", 1000);
    static const struct {
        const char *sender;
        int64_t amount;
        unsigned receipt;
        enum contract_error expected;
    } rows[] = {
        {"treasurer", 400, 1, CONTRACT_OK},
        {"treasurer", 400, 1, CONTRACT_EXISTS_ALREADY},
        {"treasurer", 0, 2, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", -400, 2, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", INT64_MIN, 2, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"treasurer", 601, 2, CONTRACT_INSUFFICIENT_FUNDS},
        {"treasurer", INT64_MAX, 2, CONTRACT_INSUFFICIENT_FUNDS},
        {"treasurer", 600, 0, CONTRACT_BAD_PARAMETER},
        {"alice", 400, 2, CONTRACT_NOT_PERMITTED},
        {"treasurer", 600, 2, CONTRACT_OK},
        {"treasurer", 1, 3, CONTRACT_INSUFFICIENT_FUNDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t before = fixture_balance(&fixture, "treasurer");
        struct token_burn action = {.amount = money_of(rows[i].amount),
                                    .receipt = reference(rows[i].receipt)};
        assert_status(rows[i].expected,
                      fixture_act(&fixture, rows[i].sender, ACTION_TOKEN_BURN, &action));
        int64_t burned = rows[i].expected == CONTRACT_OK ? rows[i].amount : 0;
        assert_int_equal(before - burned, fixture_balance(&fixture, "treasurer"));
    }
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    assert_true(ledger_read(fixture.view, &key, &supply_record_codec, &supply));
    assert_int_equal(1000, money_ueur(supply.burned));
    /* A burn's reference is as used as a mint's. */
    struct token_mint mint = {
        .to = fixture_name("bob"), .amount = money_of(1), .receipt = reference(1)};
    assert_status(CONTRACT_EXISTS_ALREADY,
                  fixture_act(&fixture, "treasurer", ACTION_TOKEN_MINT, &mint));
}

static void test_minting_up_to_the_range(void **state)
{
    (void)state;
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    assert_true(ledger_read(fixture.view, &key, &supply_record_codec, &supply));
    struct token_mint mint = {.to = fixture_name("bob"), .receipt = reference(9)};
    mint.amount = money_of(INT64_MAX - money_ueur(supply.minted));
    assert_status(CONTRACT_OK, fixture_act(&fixture, "treasurer", ACTION_TOKEN_MINT, &mint));
    mint.amount = money_of(1);
    mint.receipt = reference(10);
    assert_status(CONTRACT_OVERFLOW, fixture_act(&fixture, "treasurer", ACTION_TOKEN_MINT, &mint));
    struct token_transfer all = {.to = fixture_name("bob")};
    all.amount = money_of(fixture_balance(&fixture, "alice") - FEE);
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &all));
}

static void test_treasury_is_free_but_nothing_else_is(void **state)
{
    (void)state;
    struct transaction_draft draft;
    struct token_mint mint = {
        .to = fixture_name("treasurer"), .amount = money_of(5000), .receipt = reference(1)};
    struct token_burn burn = {.amount = money_of(1000), .receipt = reference(2)};
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    fixture_draft(&fixture, &draft, "treasurer");
    fixture_draft_add(&draft, ACTION_TOKEN_MINT, &mint);
    fixture_draft_add(&draft, ACTION_TOKEN_BURN, &burn);
    draft.fee_limit = money_of(0);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "treasurer", &draft));
    assert_int_equal(0, money_ueur(fixture.receipt.fee));
    assert_int_equal(4000, fixture_balance(&fixture, "treasurer"));
    mint.receipt = reference(3);
    fixture_draft(&fixture, &draft, "treasurer");
    fixture_draft_add(&draft, ACTION_TOKEN_MINT, &mint);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &transfer);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "treasurer", &draft));
    assert_int_equal(FEE + FIXTURE_FEE_PER_ACTION, money_ueur(fixture.receipt.fee));
}

static void test_a_suspended_treasurer_pays(void **state)
{
    (void)state;
    struct token_mint mint = {
        .to = fixture_name("bob"), .amount = money_of(1), .receipt = reference(1)};
    struct participant_status status = {.id = fixture_name("treasurer"),
                                        .status = STATUS_SUSPENDED};
    fixture_fund(&fixture, "treasurer", FEE);
    assert_status(CONTRACT_OK,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_STATUS, &status));
    assert_status(CONTRACT_SUSPENDED, fixture_act(&fixture, "treasurer", ACTION_TOKEN_MINT, &mint));
    assert_int_equal(0, fixture_balance(&fixture, "treasurer"));
    assert_status(CONTRACT_TX_FEE_UNAFFORDABLE,
                  fixture_act(&fixture, "treasurer", ACTION_TOKEN_MINT, &mint));
}

/* What the market's modules call: pots of every kind, with records and in those of orders and deals. */
static void test_move_between_pots(void **state)
{
    (void)state;
    struct transaction transaction = {.action_count = 1};
    struct contract_call call = {.ledger = fixture.ledger,
                                 .view = fixture.view,
                                 .context = &fixture.context,
                                 .transaction = &transaction};
    struct name alice_id = fixture_name("alice");
    struct name bob_id = fixture_name("bob");
    struct order_record order = {.held = money_of(0)};
    struct order_record empty = {.held = money_of(0)};
    struct deal_record deal = {.held_escrow = money_of(0)};
    struct purse alice = purse_of_balance(&alice_id);
    struct purse bob = purse_of_balance(&bob_id);
    struct purse fees = purse_of_pot(pot_fees());
    struct purse of_order = purse_of_order(1, &order);
    struct purse of_deal = purse_of_deal(1, &deal);
    struct purse deposit = purse_of_deposit(1, &deal);
    struct purse bond = purse_of_pot(pot_dispute_bond(1));
    const struct {
        struct purse from;
        struct purse to;
        int64_t amount;
        enum contract_error expected;
    } rows[] = {
        {alice, of_order, 0, CONTRACT_AMOUNT_NOT_POSITIVE},
        {alice, of_order, -1, CONTRACT_AMOUNT_NOT_POSITIVE},
        {alice, of_order, INT64_MIN, CONTRACT_AMOUNT_NOT_POSITIVE},
        {alice, of_order, 600000, CONTRACT_OK},
        {alice, of_order, 400001, CONTRACT_INSUFFICIENT_FUNDS},
        {purse_of_order(2, &empty), bob, 1, CONTRACT_INSUFFICIENT_FUNDS},
        {of_deal, bob, 1, CONTRACT_INSUFFICIENT_FUNDS},
        {bond, bob, 1, CONTRACT_INSUFFICIENT_FUNDS},
        {of_order, of_deal, 250000, CONTRACT_OK},
        {of_order, alice, 350001, CONTRACT_INSUFFICIENT_FUNDS},
        {of_order, alice, 350000, CONTRACT_OK},
        {of_deal, of_deal, 250000, CONTRACT_OK},
        {of_deal, of_deal, 250001, CONTRACT_INSUFFICIENT_FUNDS},
        {of_deal, deposit, 7, CONTRACT_OK},
        {of_deal, bond, 250000, CONTRACT_INSUFFICIENT_FUNDS},
        {of_deal, bond, 100000, CONTRACT_OK},
        {bond, bond, 100000, CONTRACT_OK},
        {deposit, of_deal, 8, CONTRACT_INSUFFICIENT_FUNDS},
        {deposit, of_deal, 7, CONTRACT_OK},
        {bond, of_deal, 100000, CONTRACT_OK},
        {of_deal, fees, 5, CONTRACT_OK},
        {of_deal, bob, 249995, CONTRACT_OK},
    };
    int64_t pool = money_ueur(token_amount(&call, pot_fees()));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_status(rows[i].expected,
                      token_move_purse(&call, rows[i].from, rows[i].to, money_of(rows[i].amount)));
    assert_int_equal(0, money_ueur(order.held));
    assert_int_equal(0, money_ueur(deal.held_escrow));
    assert_int_equal(0, money_ueur(deal.held_deposit));
    assert_int_equal(750000, fixture_balance(&fixture, "alice"));
    assert_int_equal(249995, fixture_balance(&fixture, "bob"));
    assert_int_equal(pool + 5, money_ueur(token_amount(&call, pot_fees())));
    /* An emptied bond leaves nothing behind. */
    static const uint8_t pots[] = {STATE_POT};
    assert_int_equal(fixture.genesis.participant_count + 2 + 1,
                     memory_state_count(fixture.state, bytes_view_of(pots, sizeof pots)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transfer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transfer_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_burn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_minting_up_to_the_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_suspended_treasurer_pays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_move_between_pots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_treasury_is_free_but_nothing_else_is, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
