/* The terms of a market: every refusal by the name of the term, who may change which, the vote that puts
 * a draft in force at its height and no earlier, and the bounds on one participant's orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contracts/market.h"
#include "tests/lib/contracts/market_fixture.h"

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    market_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
    return 0;
}

/* --- what terms may be ---------------------------------------------------------------------- */

#define ROW(error, ...)                                                                            \
    do {                                                                                           \
        struct market_create t;                                                                    \
        market_terms(&t);                                                                          \
        __VA_ARGS__;                                                                               \
        assert_error(CONTRACT_##error, market_terms_check(&t));                                    \
    } while (0)

static void test_contradictions(void **state)
{
    (void)state;
    ROW(OK, (void)t);
    ROW(OK, t.clearing.tie = TIE_TIME);
    ROW(OK, t.times.gate_opening = duration_of(MARKET_GATE_MS + 1));
    ROW(BAD_TERM_GATE, t.times.gate_opening = duration_of(MARKET_GATE_MS));
    ROW(BAD_TERM_DEADLINE, t.times.correction_deadline = duration_of(MARKET_PROOF_MS + 1));
    ROW(BAD_TERM_DEADLINE, t.times.dispute_window = duration_of(-1));
    ROW(BAD_TERM_ORDER_LIMIT, t.limits.orders_per_participant = 0);
    ROW(BAD_TERM_ORDER_LIMIT, t.limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK + 1);
    ROW(BAD_TERM_ORDER_LIMIT, t.limits.budget = money_of(-1));
    ROW(BAD_TERM_DIRECTIONS, t.product = PRODUCT_CAPACITY_CAP);
    ROW(BAD_TERM_DIRECTIONS, t.product = PRODUCT_CAPACITY_FLOOR; t.directions = DIRECTIONS_UP);
    ROW(BAD_TERM_MECHANISM, t.product = PRODUCT_CAPACITY_ALLOCATION);
    ROW(BAD_TERM_MECHANISM, t.clearing.mechanism = MECHANISM_CAPACITY);
    ROW(BAD_TERM_TIE, t.clearing.mechanism = MECHANISM_ONE_SIDED; t.clearing.tie = TIE_TIME);
    ROW(BAD_TERM_TRADE_PRICE, t.clearing.trade_price = TRADE_PRICE_ASK);
    ROW(BAD_TERM_SHARING, t.clearing.sharing = SHARING_FIRST_COME);
    ROW(BAD_TERM_PAYMENT, t.clearing.payment = PAYMENT_VCG);
    ROW(BAD_TERM_PAYMENT, t.clearing.mechanism = MECHANISM_ONE_SIDED);
    ROW(BAD_TERM_RESERVE, t.clearing.reserve = money_of(1));
    ROW(BAD_TERM_RESERVE, t.clearing.mechanism = MECHANISM_MERIT_ORDER;
        t.clearing.payment = PAYMENT_VCG);
    ROW(OK, t.clearing.mechanism = MECHANISM_MERIT_ORDER);
    ROW(OK, t.clearing.mechanism = MECHANISM_ORDERED_DEMAND; t.clearing.tie = TIE_TIME;
        t.clearing.payment = PAYMENT_SHAPLEY);
    ROW(OK, t.clearing.mechanism = MECHANISM_ONE_SIDED; t.clearing.payment = PAYMENT_SELLER_VCG);
    ROW(OK, t.clearing.mechanism = MECHANISM_MERIT_ORDER; t.clearing.payment = PAYMENT_VCG;
        t.clearing.reserve_account = fixture_name("dso"); t.clearing.reserve = money_of(1));
    ROW(BAD_TERM_GATE, t.clearing.mechanism = MECHANISM_MERIT_ORDER;
        t.times.gate_closure = duration_of(0));
    ROW(BAD_TERM_METHOD, t.delivery.method = DELIVERY_CAPACITY_CAP);
    ROW(BAD_TERM_PENALTY, t.delivery.deposit_permille = 100);
    ROW(BAD_TERM_DEPOSIT, t.delivery.penalty_price = energy_price_of(1));
    ROW(BAD_TERM_DEPOSIT, t.delivery.penalty_price = energy_price_of(1);
        t.delivery.deposit_permille = 1; t.delivery.deposit_price = energy_price_of(1));
    ROW(BAD_TERM_DEPOSIT, t.delivery.penalty_price = energy_price_of(1);
        t.delivery.deposit_permille = 1001);
    ROW(BAD_TERM_BASELINE, t.delivery.baseline_days = 1);
    ROW(BAD_TERM_BASELINE, t.delivery.method = DELIVERY_BASELINE);
    ROW(BAD_TERM_LINKS, t.links.must_offer = 1);
    ROW(BAD_TERM_SEALING, t.sealing.gate = duration_of(1));
    ROW(OK, t.network = fixture_name("lv1"));
    ROW(BAD_TERM_NETWORK, t.network = fixture_name("lv1"); t.times.mtus_per_period = 51;
        t.times.mtu = duration_of(1800000); t.limits.quantity_step = energy_of(51);
        t.limits.quantity_min = energy_of(51); t.limits.quantity_max = energy_of(51););
    ROW(OK, t.network = fixture_name("lv1"); t.zone_count = 2; t.zones[0].name = fixture_name("a");
        t.zones[1].name = fixture_name("z2"));
    ROW(BAD_TERM_ZONES, t.zone_count = 1; t.zones[0].name = fixture_name("z2"));
    ROW(BAD_TERM_ZONES, t.network = fixture_name("lv1"); t.zone_count = 1;
        t.zones[0].name = fixture_name("z1"));
    ROW(BAD_TERM_ZONES, t.network = fixture_name("lv1"); t.zone_count = 2;
        t.zones[0].name = fixture_name("z3"); t.zones[1].name = fixture_name("z2"));
    ROW(BAD_TERM_ZONES, t.network = fixture_name("lv1"); t.zone_count = 2;
        t.zones[0].name = fixture_name("z2"); t.zones[1].name = fixture_name("z2"));
    ROW(OK, t.product = PRODUCT_RESERVATION);
    ROW(OK, t.clearing.mechanism = MECHANISM_BOOK_SEQUENTIAL;
        t.clearing.trade_price = TRADE_PRICE_MIDPOINT);
    ROW(OK, t.times.dispute_window = duration_of(1); t.times.correction_deadline = duration_of(1));
    ROW(OK, t.delivery.method = DELIVERY_BASELINE; t.delivery.baseline_days = 10;
        t.delivery.baseline_highest = 5);
    ROW(BAD_TERM_BASELINE, t.delivery.method = DELIVERY_BASELINE; t.delivery.baseline_days = 1;
        t.delivery.baseline_highest = 1; t.times.mtus_per_period = 100;
        t.limits.quantity_step = energy_of(100); t.limits.quantity_min = energy_of(100););
    ROW(BAD_TERM_LINKS, t.links.parent = fixture_name("flex"); t.product = PRODUCT_RESERVATION);
}

static void test_unsupported(void **state)
{
    (void)state;
    ROW(UNSUPPORTED_PRODUCT, t.product = PRODUCT_LOCAL_ENERGY);
    ROW(UNSUPPORTED_SEALING, t.sealing.bids = BIDS_SEALED);
}

/* --- one participant's orders --------------------------------------------------------------- */

static struct market_create in_force(void)
{
    struct state_key key = state_key_name(STATE_MARKET, &(struct name){.text = "flex"});
    struct market_record market;
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    return market.terms;
}

static enum contract_error update(const struct market_create *terms)
{
    struct market_update action = {.terms = *terms};
    return fixture_act(&fixture, "operator", ACTION_MARKET_UPDATE, &action);
}

static enum contract_error ask(const char *sender, int64_t price)
{
    return market_request(&fixture, sender, 4, DIRECTION_UP, 20, price);
}

/* Two open orders each: a third is refused whichever side it is on, in this book only, and a
 * cancellation or a deal makes room again. */
static void test_orders_per_participant(void **state)
{
    (void)state;
    struct market_create terms = in_force();
    terms.limits.orders_per_participant = 2;
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_OK, ask("dso", 1000));
    assert_error(CONTRACT_OK, ask("dso", 1001));
    assert_error(CONTRACT_TOO_MANY_ORDERS, ask("dso", 1002));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 5, DIRECTION_UP, 20, 1000));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_DOWN, 20, 1000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 20, 1001));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 1));
    assert_error(CONTRACT_OK, ask("dso", 900));
    assert_error(CONTRACT_TOO_MANY_ORDERS, ask("dso", 901));
    fixture_next_block(&fixture, 1000); /* alice's offer takes the request at 1001 */
    assert_int_equal(market_counters(&fixture).deals, 1);
    assert_error(CONTRACT_OK, ask("dso", 901));
    assert_error(CONTRACT_TOO_MANY_ORDERS, ask("dso", 902));
}

/* 20 Wh at 1000 ueur/kWh lock 20 ueur. */
static void test_budget(void **state)
{
    (void)state;
    struct market_create terms = in_force();
    terms.limits.budget = money_of(50);
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_OK, ask("dso", 1000));
    assert_error(CONTRACT_OK, ask("dso", 1000));
    assert_error(CONTRACT_OVER_BUDGET, ask("dso", 501));
    assert_error(CONTRACT_OK, ask("dso", 500));
    assert_error(CONTRACT_OVER_BUDGET, ask("dso", 1));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 3));
    assert_error(CONTRACT_OK, ask("dso", 499));
}

static void test_gate_opening_and_directions(void **state)
{
    (void)state;
    struct market_create terms = in_force();
    terms.times.gate_opening = duration_of(2 * (int64_t)MARKET_PERIOD_MS);
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_GATE_NOT_OPEN, ask("dso", 1000));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 2, DIRECTION_UP, 20, 1000));
    struct request_place odd = {.market = fixture_name("flex"),
                                .period_start = market_period(2),
                                .quantity = energy_of(20),
                                .price = energy_price_of(1),
                                .options = {.rank = 1}};
    assert_error(CONTRACT_UNSUPPORTED_ORDER,
                 fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &odd));
}

/* --- changes -------------------------------------------------------------------------------- */

static uint32_t version(void)
{
    struct state_key key = state_key_name(STATE_MARKET, &(struct name){.text = "flex"});
    struct market_record market;
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    return market.version;
}

static void test_who_may_change_what(void **state)
{
    (void)state;
    struct market_create terms = in_force();
    struct market_update action = {.terms = terms};
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "dso", ACTION_MARKET_UPDATE, &action));
    assert_error(CONTRACT_NOTHING_TO_CHANGE, update(&terms));
    terms.id = fixture_name("other");
    assert_error(CONTRACT_UNKNOWN_MARKET, update(&terms));
    terms = in_force();
    terms.limits.price_max = energy_price_of(2000000);
    assert_error(CONTRACT_OK, update(&terms));
    assert_int_equal(version(), 2);
    terms.times.gate_closure = duration_of(0);
    assert_error(CONTRACT_TERM_IS_FIXED, update(&terms));
    terms = in_force();
    terms.zone = fixture_name("z2");
    assert_error(CONTRACT_TERM_IS_FIXED, update(&terms));
    terms = in_force();
    terms.limits.quantity_max = energy_of(1);
    assert_error(CONTRACT_BAD_TERM_QUANTITY, update(&terms));
    /* A draft changes nothing, and the terms in force take it back. */
    terms = in_force();
    terms.delivery.floor_permille = 750;
    assert_error(CONTRACT_OK, update(&terms));
    assert_int_equal(in_force().delivery.floor_permille, 0);
    terms.delivery.floor_permille = 0;
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_NOTHING_TO_CHANGE, update(&terms));
    assert_int_equal(version(), 2);
}

static enum contract_error propose(uint64_t height)
{
    struct governance_propose action = {
        .kind = PROPOSAL_SET_MARKET, .market = fixture_name("flex"), .height = height};
    struct state_key key = state_key_name(STATE_DRAFT, &action.market);
    struct draft_record draft;
    if (ledger_read(fixture.view, &key, &draft_record_codec, &draft)) {
        market_draft_hash(&action.draft, &draft);
    } else {
        action.draft.bytes[0] = 1;
    }
    return fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &action);
}

static enum contract_error approve(const char *sender, uint64_t proposal)
{
    struct governance_vote action = {.proposal = proposal, .approve = 1};
    return fixture_act(&fixture, sender, ACTION_GOVERNANCE_VOTE, &action);
}

static void test_vote_at_a_height(void **state)
{
    (void)state;
    struct market_create terms = in_force();
    fixture_fund(&fixture, "agg", 1000000);
    assert_error(CONTRACT_BAD_DRAFT, propose(100));
    terms.delivery.floor_permille = 750;
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_BAD_PARAMETER, propose(fixture.context.height));
    uint64_t height = fixture.context.height + 3;
    assert_error(CONTRACT_OK, propose(height));
    /* Another draft is not what was voted on. */
    terms.delivery.floor_permille = 700;
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_OK, approve("agg", 1));
    assert_error(CONTRACT_BAD_DRAFT, approve("agg2", 1));
    terms.delivery.floor_permille = 750;
    assert_error(CONTRACT_OK, update(&terms));
    assert_error(CONTRACT_OK, approve("agg2", 1));
    assert_error(CONTRACT_CHANGE_PENDING, update(&terms));
    while (fixture.context.height < height) {
        assert_int_equal(in_force().delivery.floor_permille, 0);
        assert_int_equal(version(), 1);
        fixture_next_block(&fixture, 1000);
    }
    assert_int_equal(in_force().delivery.floor_permille, 750);
    assert_int_equal(version(), 2);
    assert_error(CONTRACT_BAD_DRAFT, propose(height + 10));
}

static void test_states(void **state)
{
    (void)state;
    static const struct {
        enum market_state to;
        enum contract_error expected;
        enum contract_error order;
    } rows[] = {
        {MARKET_OPEN, CONTRACT_NOTHING_TO_CHANGE, CONTRACT_OK},
        {MARKET_SUSPENDED, CONTRACT_OK, CONTRACT_MARKET_NOT_OPEN},
        {MARKET_SUSPENDED, CONTRACT_NOTHING_TO_CHANGE, CONTRACT_MARKET_NOT_OPEN},
        {MARKET_OPEN, CONTRACT_OK, CONTRACT_OK},
        {MARKET_CLOSED, CONTRACT_OK, CONTRACT_MARKET_NOT_OPEN},
        {MARKET_OPEN, CONTRACT_MARKET_NOT_OPEN, CONTRACT_MARKET_NOT_OPEN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct market_set_state action = {.id = fixture_name("flex"), .state = (uint8_t)rows[i].to};
        assert_error(rows[i].expected,
                     fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &action));
        assert_error(rows[i].order, ask("dso", 1000));
    }
    struct market_create terms = in_force();
    terms.limits.budget = money_of(1);
    assert_error(CONTRACT_MARKET_NOT_OPEN, update(&terms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_contradictions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unsupported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orders_per_participant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate_opening_and_directions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_may_change_what, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vote_at_a_height, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_states, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
