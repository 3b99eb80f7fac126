/* Versions of the rules: which proposals are taken, which version each block is under, what a version
 * changes, adds and leaves alone, and a transaction with an action that has not come yet. This program
 * brings a table of its own: version 1 lacks network_create, version 2 has all of today's, version 3
 * refuses every transfer. */
#include <string.h>

#include "contracts/deal.h"
#include "contracts/grid.h"
#include "contracts/ledger_internal.h"
#include "contracts/rules.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

static enum contract_error no_transfer(struct contract_call *call, const void *record)
{
    (void)record;
    assert_int_equal(contract_rules(call), 3);
    return CONTRACT_NOT_PERMITTED;
}

static const struct contract_module *const all[] = {
    &membership_module, &assets_module,     &token_module,       &market_module,  &delivery_module,
    &digest_module,     &governance_module, &reservation_module, &alias_module,   &forecast_module,
    &dispatch_module,   &network_module,    &auction_module,     &coupled_module,
};
static const struct contract_module *const no_networks[] = {
    &membership_module, &assets_module,   &token_module,      &market_module,
    &delivery_module,   &digest_module,   &governance_module, &reservation_module,
    &alias_module,      &forecast_module, &dispatch_module,   &auction_module,
};
static const struct contract_method_entry changes_3[] = {{ACTION_TOKEN_TRANSFER, no_transfer}};
const struct ledger_rules ledger_rules_table[] = {
    {.modules = no_networks, .module_count = sizeof no_networks / sizeof no_networks[0]},
    {.modules = all, .module_count = sizeof all / sizeof all[0]},
    {.modules = all,
     .module_count = sizeof all / sizeof all[0],
     .changes = changes_3,
     .change_count = 1},
};
const uint32_t ledger_rules_count = 3;

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    static const char *const funded[] = {"operator", "alice", "agg", "agg2", "dso"};
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof funded / sizeof funded[0]; i++)
        fixture_fund(&fixture, funded[i], 1000000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static struct governance_propose terms_of(uint32_t rules, uint64_t height)
{
    struct governance_propose terms;
    memset(&terms, 0, sizeof terms);
    terms.kind = PROPOSAL_UPGRADE;
    terms.rules = rules;
    terms.height = height;
    return terms;
}

static enum contract_error propose(uint32_t rules, uint64_t height)
{
    struct governance_propose terms = terms_of(rules, height);
    return fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms);
}

static enum contract_error approve(const char *who, uint64_t proposal)
{
    struct governance_vote action = {.proposal = proposal, .approve = 1};
    return fixture_act(&fixture, who, ACTION_GOVERNANCE_VOTE, &action);
}

static struct governance_record governance(void)
{
    struct state_key key = state_key_single(STATE_GOVERNANCE);
    struct governance_record record;
    if (!ledger_read(fixture.view, &key, &governance_record_codec, &record))
        memset(&record, 0, sizeof record);
    return record;
}

static uint64_t here(void)
{
    return fixture.context.height;
}

/* Proposed and passed in this block; the result of the vote that decides. */
static enum contract_error pass(uint32_t rules, uint64_t height)
{
    enum contract_error error = propose(rules, height);
    if (error != CONTRACT_OK)
        return error;
    const uint64_t id = governance().proposals;
    assert_status(CONTRACT_OK, approve("agg", id));
    return approve("agg2", id);
}

static void go_to(uint64_t height)
{
    assert_true(height >= here());
    while (here() < height)
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

static enum contract_error transfer(void)
{
    struct token_transfer action = {.to = fixture_name("bob"), .amount = money_of(5)};
    return fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &action);
}

static enum contract_error make_network(const char *id)
{
    struct network_create action = {.id = fixture_name(id)};
    return fixture_act(&fixture, "dso", ACTION_NETWORK_CREATE, &action);
}

static void test_proposals(void **state)
{
    (void)state;
    enum { NOTICE = LEDGER_RULES_NOTICE_BLOCKS };
    /* In force: 1, and nothing waits. */
    const struct {
        uint32_t rules;
        int64_t ahead; /* of this block; -1: height 0 */
        enum contract_error expected;
    } rows[] = {
        {0, NOTICE, CONTRACT_BAD_PARAMETER},
        {1, NOTICE, CONTRACT_BAD_PARAMETER},
        {1, -1, CONTRACT_BAD_PARAMETER},
        {2, -1, CONTRACT_BAD_PARAMETER},
        {2, 0, CONTRACT_BAD_PARAMETER},
        {2, NOTICE - 1, CONTRACT_BAD_PARAMETER},
        {2, NOTICE, CONTRACT_OK},
        {3, NOTICE, CONTRACT_OK},
        {65535, NOTICE, CONTRACT_OK},
        {65536, NOTICE, CONTRACT_BAD_PARAMETER},
        {UINT32_MAX, 99, CONTRACT_BAD_PARAMETER},
        {2, 1000000, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t height = rows[i].ahead < 0 ? 0 : here() + (uint64_t)rows[i].ahead;
        assert_status(rows[i].expected, propose(rows[i].rules, height));
    }
    assert_status(CONTRACT_OK, propose(2, UINT64_MAX));
    struct governance_propose terms = terms_of(2, here() + 100);
    terms.deal = 1;
    assert_status(CONTRACT_BAD_PARAMETER,
                  fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms));
    terms = terms_of(2, here() + 100);
    terms.market = fixture_name("flex");
    assert_status(CONTRACT_BAD_PARAMETER,
                  fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms));
    terms = terms_of(2, here() + 100);
    terms.fee_per_tx = money_of(1);
    assert_status(CONTRACT_BAD_PARAMETER,
                  fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms));
    terms = terms_of(2, here() + 100);
    terms.kind = PROPOSAL_SET_FEES;
    assert_status(CONTRACT_BAD_PARAMETER,
                  fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms));
    terms = terms_of(0, 100);
    terms.kind = PROPOSAL_SET_FEES;
    assert_status(CONTRACT_BAD_PARAMETER,
                  fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &terms));
    terms = terms_of(2, here() + 100);
    assert_status(CONTRACT_NOT_PERMITTED,
                  fixture_act(&fixture, "alice", ACTION_GOVERNANCE_PROPOSE, &terms));
}

static void test_votes_that_come_too_late(void **state)
{
    (void)state;
    const uint64_t height = here() + 20;
    assert_status(CONTRACT_OK, propose(2, height));
    assert_status(CONTRACT_OK, approve("agg", 1));
    go_to(height - LEDGER_RULES_NOTICE_BLOCKS + 1);
    assert_status(CONTRACT_BAD_PARAMETER, approve("agg2", 1));
    assert_int_equal(governance().next_rules, 0);
    go_to(height + 1);
    assert_int_equal(ledger_rules_at(fixture.view, here()), 1);
}

static void test_a_version_holds_from_its_height(void **state)
{
    (void)state;
    const uint64_t height = here() + 20;
    assert_status(CONTRACT_OK, pass(3, height));
    go_to(height - 1);
    assert_int_equal(fixture.ledger->rules, 1);
    assert_status(CONTRACT_OK, transfer());
    go_to(height);
    assert_int_equal(fixture.ledger->rules, 3);
    assert_status(CONTRACT_NOT_PERMITTED, transfer());
    assert_status(CONTRACT_OK, make_network("north"));
    go_to(height + 3);
    assert_status(CONTRACT_NOT_PERMITTED, transfer());
    /* Never back. */
    assert_status(CONTRACT_BAD_PARAMETER, propose(2, here() + 50));
    assert_status(CONTRACT_BAD_PARAMETER, propose(3, here() + 50));
    assert_status(CONTRACT_BAD_PARAMETER, propose(3, 0));
}

static void test_taken_back_and_replaced(void **state)
{
    (void)state;
    const uint64_t height = here() + 30;
    assert_status(CONTRACT_OK, pass(3, height));
    assert_int_equal(governance().next_rules, 3);
    assert_status(CONTRACT_BAD_PARAMETER, propose(1, height));
    assert_status(CONTRACT_OK, pass(1, 0));
    assert_int_equal(governance().next_rules, 0);
    assert_int_equal(governance().rules_height, 0);
    assert_status(CONTRACT_OK, pass(3, height));
    assert_status(CONTRACT_OK, pass(2, height + 2));
    go_to(height + 1);
    assert_int_equal(fixture.ledger->rules, 1);
    go_to(height + 2);
    assert_int_equal(fixture.ledger->rules, 2);
    assert_status(CONTRACT_OK, transfer());
    /* The next one keeps what is in force below its height. */
    assert_status(CONTRACT_OK, pass(3, here() + 16));
    assert_int_equal(governance().rules, 2);
    assert_int_equal(fixture.ledger->rules, 2);
    go_to(here() + 15);
    assert_int_equal(fixture.ledger->rules, 2);
    go_to(here() + 1);
    assert_int_equal(fixture.ledger->rules, 3);
}

/* What an old program can't decode, a new one must not execute under the old rules. */
static void test_an_action_before_its_time(void **state)
{
    (void)state;
    const int64_t before = fixture_balance(&fixture, "dso");
    assert_status(CONTRACT_TX_MALFORMED, make_network("north"));
    assert_int_equal(fixture_balance(&fixture, "dso"), before);
    struct fixture_signer *signer = fixture_signer(&fixture, "dso");
    const uint64_t nonce = signer->nonce;
    const uint64_t height = here() + 16;
    assert_status(CONTRACT_OK, pass(2, height));
    assert_int_equal(signer->nonce, nonce + 1);
    go_to(height - 1);
    assert_status(CONTRACT_TX_MALFORMED, make_network("north"));
    go_to(height);
    assert_status(CONTRACT_OK, make_network("north"));
}

/* --- beside a slow model: a list of (from height, version), searched from the front ------------------- */

enum { MODEL_MAX = 64, TURNS = 400 };

static struct {
    unsigned count;
    struct {
        uint64_t from;
        uint32_t version;
    } steps[MODEL_MAX];
} model;

static uint32_t model_at(uint64_t height)
{
    uint32_t version = 1;
    for (unsigned i = 0; i < model.count; i++)
        if (model.steps[i].from <= height)
            version = model.steps[i].version;
    return version;
}

static enum contract_error model_pass(uint32_t version, uint64_t height, uint64_t now)
{
    const bool waits = model.count > 0 && model.steps[model.count - 1].from > now;
    const uint32_t in_force = model_at(now);
    if (version == in_force && (!waits || height != 0))
        return CONTRACT_BAD_PARAMETER;
    if (version != in_force && (version < in_force || version == 0 || height < now + 16))
        return CONTRACT_BAD_PARAMETER;
    if (waits)
        model.count--;
    if (version == in_force)
        return CONTRACT_OK;
    assert_true(model.count < MODEL_MAX);
    model.steps[model.count].from = height;
    model.steps[model.count++].version = version;
    return CONTRACT_OK;
}

static void test_random(void **state)
{
    (void)state;
    unsigned taken = 0, refused = 0;
    struct dice dice = {.state = 59};
    memset(&model, 0, sizeof model);
    for (int turn = 0; turn < TURNS; turn++) {
        const uint32_t version = (uint32_t)dice_between(&dice, 0, 3);
        const uint64_t height =
            dice_between(&dice, 0, 3) == 0 ? 0 : here() + (uint64_t)dice_between(&dice, 10, 33);
        const enum contract_error expected = model_pass(version, height, here());
        assert_status(expected, pass(version, height));
        taken += expected == CONTRACT_OK;
        refused += expected != CONTRACT_OK;
        for (uint64_t ahead = 0; ahead < 40; ahead++) {
            const struct governance_record record = governance();
            assert_int_equal(ledger_rules_of(&record, here() + ahead), model_at(here() + ahead));
        }
        go_to(here() + (uint64_t)dice_between(&dice, 1, 5));
        assert_int_equal(fixture.ledger->rules, model_at(here()));
        if (model_at(here()) == 3 && model.steps[model.count - 1].from + 20 < here()) {
            /* Begin again: there is nothing above 3. */
            tear_down(NULL);
            set_up(NULL);
            memset(&model, 0, sizeof model);
        }
    }
    assert_true(taken > 20 && refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_proposals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_votes_that_come_too_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_version_holds_from_its_height, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken_back_and_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_action_before_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
