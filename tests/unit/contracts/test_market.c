/* What may enter a book: every refusal of market_create, request_place, offer_place and
 * order_cancel, and that a refusal changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

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

/* One parameter of a good market gone wrong. */
struct spoiled {
    const char *what;
    void (*spoil)(struct market_create *terms);
    enum contract_error expected;
};
static void spoil_mtu(struct market_create *terms)
{
    terms->times.mtu = duration_of(1200000);
}
static void spoil_units(struct market_create *terms)
{
    terms->times.mtus_per_period = 0;
}
static void spoil_many_units(struct market_create *terms)
{
    terms->times.mtus_per_period = LIMIT_INTERVALS_PER_PERIOD + 1;
    terms->limits.quantity_step = energy_of(LIMIT_INTERVALS_PER_PERIOD + 1);
    terms->limits.quantity_min = terms->limits.quantity_step;
    terms->limits.quantity_max = terms->limits.quantity_step;
}
static void spoil_hours(struct market_create *terms)
{
    terms->times.closes = terms->times.opens;
}
static void spoil_gate(struct market_create *terms)
{
    terms->times.gate_closure = duration_of(-1);
}
static void spoil_far_gate(struct market_create *terms)
{
    terms->times.gate_closure = duration_of(limit_gate_closure_ms + 1);
}
static void spoil_deadline(struct market_create *terms)
{
    terms->times.proof_deadline = duration_of(0);
}
static void spoil_far_deadline(struct market_create *terms)
{
    terms->times.proof_deadline = duration_of(limit_proof_deadline_ms + 1);
}
static void spoil_step(struct market_create *terms)
{
    terms->limits.quantity_step = energy_of(MARKET_UNITS * 10 + 1);
    terms->limits.quantity_min = terms->limits.quantity_step;
    terms->limits.quantity_max = terms->limits.quantity_step;
}
static void spoil_zero_step(struct market_create *terms)
{
    terms->limits.quantity_step = energy_of(0);
}
static void spoil_min(struct market_create *terms)
{
    terms->limits.quantity_min = energy_of(0);
}
static void spoil_max(struct market_create *terms)
{
    terms->limits.quantity_max = energy_of(0);
}
static void spoil_max_step(struct market_create *terms)
{
    terms->limits.quantity_max = energy_of(MARKET_STEP_WH + 1);
}
static void spoil_huge(struct market_create *terms)
{
    terms->limits.quantity_max = energy_of(limit_order_wh + MARKET_STEP_WH);
}
static void spoil_price_step(struct market_create *terms)
{
    terms->limits.price_step = energy_price_of(0);
}
static void spoil_price_min(struct market_create *terms)
{
    terms->limits.price_min = energy_price_of(-1);
}
static void spoil_price_max(struct market_create *terms)
{
    terms->limits.price_min = energy_price_of(2);
    terms->limits.price_max = energy_price_of(1);
}
static void spoil_dear(struct market_create *terms)
{
    terms->limits.price_max = energy_price_of(limit_price_ueur_per_kwh + 1);
}
static void spoil_tolerance(struct market_create *terms)
{
    terms->delivery.tolerance_permille = 0;
}
static void spoil_high_tolerance(struct market_create *terms)
{
    terms->delivery.tolerance_permille = 1001;
}
static void spoil_floor(struct market_create *terms)
{
    terms->delivery.floor_permille = 951;
}
static void spoil_nothing(struct market_create *terms)
{
    (void)terms;
}

static const struct spoiled spoiled[] = {
    {"unit that commitments can't count", spoil_mtu, CONTRACT_BAD_TERM_MTU},
    {"period without units", spoil_units, CONTRACT_BAD_TERM_MTU},
    {"period of too many units", spoil_many_units, CONTRACT_BAD_TERM_MTU},
    {"closes when it opens", spoil_hours, CONTRACT_BAD_TERM_HOURS},
    {"gate after delivery starts", spoil_gate, CONTRACT_BAD_TERM_GATE},
    {"gate years ahead", spoil_far_gate, CONTRACT_BAD_TERM_GATE},
    {"no time for proofs", spoil_deadline, CONTRACT_BAD_TERM_DEADLINE},
    {"proofs after readings are closed", spoil_far_deadline, CONTRACT_BAD_TERM_DEADLINE},
    {"step that units can't share", spoil_step, CONTRACT_BAD_TERM_QUANTITY},
    {"no step", spoil_zero_step, CONTRACT_BAD_TERM_QUANTITY},
    {"least quantity of nothing", spoil_min, CONTRACT_BAD_TERM_QUANTITY},
    {"most below least", spoil_max, CONTRACT_BAD_TERM_QUANTITY},
    {"most off the step", spoil_max_step, CONTRACT_BAD_TERM_QUANTITY},
    {"over a terawatt-hour", spoil_huge, CONTRACT_BAD_TERM_QUANTITY},
    {"no price step", spoil_price_step, CONTRACT_BAD_TERM_PRICE},
    {"negative prices", spoil_price_min, CONTRACT_BAD_TERM_PRICE},
    {"highest price below lowest", spoil_price_max, CONTRACT_BAD_TERM_PRICE},
    {"over 1,000 euro per kWh", spoil_dear, CONTRACT_BAD_TERM_PRICE},
    {"no tolerance", spoil_tolerance, CONTRACT_BAD_TERM_CREDIT},
    {"tolerance over one", spoil_high_tolerance, CONTRACT_BAD_TERM_CREDIT},
    {"floor over tolerance", spoil_floor, CONTRACT_BAD_TERM_CREDIT},
    {"a good one", spoil_nothing, CONTRACT_OK},
    {"the same again", spoil_nothing, CONTRACT_EXISTS_ALREADY},
};

static void test_create(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        struct market_create terms;
        market_terms(&terms);
        terms.id = fixture_name("other");
        spoiled[i].spoil(&terms);
        print_message("          %s\n", spoiled[i].what);
        assert_error(spoiled[i].expected,
                     fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    }
    struct market_create terms;
    market_terms(&terms);
    terms.id = fixture_name("third");
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "dso", ACTION_MARKET_CREATE, &terms));
}

static void test_number_of_markets_is_limited(void **state)
{
    (void)state;
    struct market_create terms;
    market_terms(&terms);
    for (int i = 1; i <= LIMIT_MARKETS; i++) {
        char text[NAME_SIZE];
        int length = snprintf(text, sizeof text, "m%d", i);
        assert_true(name_from_text(&terms.id, text, (size_t)length));
        assert_error(i < LIMIT_MARKETS ? CONTRACT_OK : CONTRACT_BAD_PARAMETER,
                     fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    }
}

static enum contract_error set_state(const char *sender, const char *market, enum market_state to)
{
    struct market_set_state action = {.id = fixture_name(market), .state = (uint8_t)to};
    return fixture_act(&fixture, sender, ACTION_MARKET_STATE, &action);
}

static void test_states_of_a_market(void **state)
{
    (void)state;
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_NOT_PERMITTED, set_state("dso", "flex", MARKET_SUSPENDED));
    assert_error(CONTRACT_UNKNOWN_MARKET, set_state("operator", "none", MARKET_SUSPENDED));
    assert_error(CONTRACT_OK, set_state("operator", "flex", MARKET_SUSPENDED));
    assert_error(CONTRACT_MARKET_NOT_OPEN,
                 market_request(&fixture, "dso", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_MARKET_NOT_OPEN,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_OK, set_state("operator", "flex", MARKET_OPEN));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_OK, set_state("operator", "flex", MARKET_CLOSED));
    assert_error(CONTRACT_MARKET_NOT_OPEN, set_state("operator", "flex", MARKET_OPEN));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 1));
}

static void test_request_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        int period;
        int64_t quantity, price;
        enum contract_error expected;
    } rows[] = {
        {"alice", 4, 100, 1000, CONTRACT_NOT_PERMITTED},
        {"dso", 0, 100, 1000, CONTRACT_GATE_CLOSED},
        {"dso", 4, 0, 1000, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"dso", 4, -20, 1000, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"dso", 4, INT64_MIN, 1000, CONTRACT_AMOUNT_NOT_POSITIVE},
        {"dso", 4, 101, 1000, CONTRACT_BAD_GRANULARITY},
        {"dso", 4, 4020, 1000, CONTRACT_OUT_OF_RANGE},
        {"dso", 4, INT64_MAX / 20 * 20, 1000, CONTRACT_OUT_OF_RANGE},
        {"dso", 4, 100, 1000001, CONTRACT_OUT_OF_RANGE},
        {"dso", 4, 100, -1, CONTRACT_OUT_OF_RANGE},
        {"dso", 4, 100, INT64_MIN, CONTRACT_OUT_OF_RANGE},
        {"dso", 4, 4000, 1000000, CONTRACT_OK},
        {"dso", 4, 20, 0, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_error(rows[i].expected,
                     market_request(&fixture, rows[i].sender, rows[i].period, DIRECTION_DOWN,
                                    rows[i].quantity, rows[i].price));
    assert_int_equal(market_counters(&fixture).orders, 2);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 4000000);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 2), 0);
}

static void test_period_must_be_whole(void **state)
{
    (void)state;
    const int64_t far = 4 * 366LL * 86400000; /* whole periods; the latest that an order is for */
    const int64_t starts[] = {FIXTURE_TIME_MS + MARKET_PERIOD_MS * 3 + MARKET_MTU_MS,
                              FIXTURE_TIME_MS + MARKET_PERIOD_MS * 3 + 1,
                              -MARKET_PERIOD_MS,
                              FIXTURE_TIME_MS + far + MARKET_PERIOD_MS,
                              INT64_MAX / MARKET_PERIOD_MS * MARKET_PERIOD_MS,
                              INT64_MIN};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct request_place request = {.market = fixture_name("flex"),
                                        .period_start = timestamp_of(starts[i]),
                                        .quantity = energy_of(100),
                                        .price = energy_price_of(1)};
        assert_error(CONTRACT_BAD_PERIOD,
                     fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request));
    }
    struct request_place last = {.market = fixture_name("flex"),
                                 .period_start = timestamp_of(FIXTURE_TIME_MS + far),
                                 .quantity = energy_of(100),
                                 .price = energy_price_of(1)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &last));
}

static void test_escrow_must_be_covered(void **state)
{
    (void)state;
    fixture_register(&fixture, "poor", ROLE_DSO);
    /* 100 Wh at 10,001 ueur/kWh: 1000.1 ueur, rounded up; and the fee of two transactions. */
    int64_t fees = 2 * (FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION);
    fixture_fund(&fixture, "poor", fees + 1000);
    assert_error(CONTRACT_INSUFFICIENT_FUNDS,
                 market_request(&fixture, "poor", 4, DIRECTION_UP, 100, 30000));
    assert_int_equal(market_counters(&fixture).orders, 0);
    assert_error(CONTRACT_INSUFFICIENT_FUNDS,
                 market_request(&fixture, "poor", 4, DIRECTION_UP, 100, 10001));
    fixture_fund(&fixture, "poor", FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION + 1);
    assert_error(CONTRACT_OK, market_request(&fixture, "poor", 4, DIRECTION_UP, 100, 10001));
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 1001);
    assert_int_equal(fixture_balance(&fixture, "poor"), 0);
}

static void test_offer_refusals(void **state)
{
    (void)state;
    fixture_device(&fixture, "elsewhere", "alice", "z2");
    fixture_device(&fixture, "stranger", "alice", "z1");
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER,
                 market_offer(&fixture, "bob", "dev-alice", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_UNKNOWN_DEVICE,
                 market_offer(&fixture, "bob", "dev-none", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_WRONG_ZONE,
                 market_offer(&fixture, "alice", "elsewhere", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_NOT_ENROLLED,
                 market_offer(&fixture, "alice", "stranger", 4, DIRECTION_UP, 100, 1000));
    assert_error(CONTRACT_GATE_CLOSED,
                 market_offer(&fixture, "alice", "dev-alice", 0, DIRECTION_UP, 100, 1000));
    struct device_status status = {.device = fixture_name("dev-bob"), .status = STATUS_SUSPENDED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &status));
    assert_error(CONTRACT_SUSPENDED,
                 market_offer(&fixture, "bob", "dev-bob", 4, DIRECTION_UP, 100, 1000));

    /* 10 kW for two quarter hours are 5000 Wh; each way on its own. */
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 4000, 1000));
    assert_error(CONTRACT_OVER_DEVICE_POWER,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 1020, 1000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 1000, 1000));
    assert_error(CONTRACT_OVER_DEVICE_POWER,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 20, 1000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_DOWN, 4000, 1000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 5, DIRECTION_UP, 4000, 1000));
    /* A cancelled offer makes room again. */
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 4000, 1000));
}

static void test_cancel(void **state)
{
    (void)state;
    int64_t before = fixture_balance(&fixture, "dso");
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 100, 10001));
    assert_error(CONTRACT_UNKNOWN_ORDER, market_cancel(&fixture, "dso", 2));
    assert_error(CONTRACT_NOT_PERMITTED, market_cancel(&fixture, "alice", 1));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 1));
    assert_error(CONTRACT_ORDER_NOT_OPEN, market_cancel(&fixture, "dso", 1));
    assert_int_equal(fixture_balance(&fixture, "dso"),
                     before - 4 * (FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION));
    assert_int_equal(market_order(&fixture, 1).status, ORDER_CANCELLED);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 0);
}

static void test_gate_and_hours(void **state)
{
    (void)state;
    /* Period 1 starts 30 minutes after genesis, so its gate closes 15 minutes after genesis. */
    int64_t now = timestamp_ms(fixture.context.time) - FIXTURE_TIME_MS;
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 1, DIRECTION_UP, 100, 1000));
    fixture_next_block(&fixture, MARKET_PERIOD_MS - MARKET_GATE_MS - 1 - now);
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 1, DIRECTION_UP, 100, 1000));
    fixture_next_block(&fixture, 1);
    assert_error(CONTRACT_GATE_CLOSED, market_request(&fixture, "dso", 1, DIRECTION_UP, 100, 1000));
    assert_int_equal(market_order(&fixture, 2).status, ORDER_OPEN);
    fixture_next_block(&fixture, 1);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_EXPIRED);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_EXPIRED);

    int64_t left = FIXTURE_TIME_MS + 30 * (int64_t)MS_PER_DAY - timestamp_ms(fixture.context.time);
    fixture_next_block(&fixture, left - 1);
    int far = 48 * 31;
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", far, DIRECTION_UP, 100, 1000));
    fixture_next_block(&fixture, 1);
    assert_error(CONTRACT_MARKET_NOT_OPEN,
                 market_request(&fixture, "dso", far, DIRECTION_UP, 100, 1000));
}

static void test_unknown_market(void **state)
{
    (void)state;
    struct request_place request = {.market = fixture_name("none")};
    struct offer_place offer = {.market = fixture_name("none"), .device = fixture_name("dev-bob")};
    assert_error(CONTRACT_UNKNOWN_MARKET,
                 fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request));
    assert_error(CONTRACT_UNKNOWN_MARKET, fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &offer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_number_of_markets_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_states_of_a_market, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_period_must_be_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_escrow_must_be_covered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offer_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate_and_hours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_market, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
