/* Settlement on the ledger by each method that it carries out, with the provider's deposit and the buyer's
 * penalty: by proof, and by the deadline. Connection 17,250 W: 4312 Wh in a unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/contracts/market_fixture.h"

enum { FEES = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION };

static struct fixture fixture;
static struct delivery_witness witness;

static enum contract_error offer(uint8_t direction, int64_t quantity, bool scheduled)
{
    struct offer_place action = {.market = fixture_name("limit"),
                                 .direction = direction,
                                 .period_start = market_period(4),
                                 .quantity = energy_of(quantity),
                                 .price = energy_price_of(250000),
                                 .device = fixture_name("dev-alice")};
    struct energy units[MARKET_UNITS];
    uint8_t salt[SCHEDULE_SALT_SIZE];
    for (int i = 0; i < MARKET_UNITS; i++)
        units[i] = energy_of(MARKET_DECLARED_WH);
    for (int i = 0; i < SCHEDULE_SALT_SIZE; i++)
        salt[i] = 0x5a;
    if (scheduled)
        schedule_hash(&action.schedule_hash, salt, &action.device, action.period_start, units,
                      MARKET_UNITS);
    return fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &action);
}

/* A deal of 500 Wh in each of two units at 250,000 ueur/kWh: an escrow of 250,000, a deposit of 200
 * permille of that, a penalty of 40,000 ueur/kWh. */
static void make_deal(uint8_t product, uint8_t directions, uint8_t method, uint8_t direction)
{
    struct market_create terms;
    bool scheduled = method == DELIVERY_SCHEDULE || method == DELIVERY_SUBMETER;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("limit");
    terms.product = product;
    terms.directions = directions;
    terms.delivery.method = method;
    terms.delivery.penalty_price = energy_price_of(40000);
    terms.delivery.deposit_permille = 200;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    assert_error(CONTRACT_OK, offer(direction, 1000, scheduled));
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 50000);
    struct request_place request = {.market = terms.id,
                                    .direction = direction,
                                    .period_start = market_period(4),
                                    .quantity = energy_of(1000),
                                    .price = energy_price_of(250000)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_pot(&fixture, POT_DEAL_DEPOSIT, 1), 50000);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 0);
}

static void close_day(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

static const struct {
    const char *name;
    uint8_t product, directions, method, direction;
    int64_t measured[MARKET_UNITS];
    uint8_t state;
    int64_t paid, refunded, penalty;
} rows[] = {
    {"cap kept",
     PRODUCT_CAPACITY_CAP,
     DIRECTIONS_UP,
     DELIVERY_CAPACITY_CAP,
     DIRECTION_UP,
     {3812, -200},
     DEAL_SETTLED,
     250000,
     0,
     0},
    {"cap passed by 188 Wh in one unit",
     PRODUCT_CAPACITY_CAP,
     DIRECTIONS_UP,
     DELIVERY_CAPACITY_CAP,
     DIRECTION_UP,
     {3812, 4000},
     DEAL_PARTIAL,
     203000,
     47000,
     7520},
    {"cap not kept at all",
     PRODUCT_CAPACITY_CAP,
     DIRECTIONS_UP,
     DELIVERY_CAPACITY_CAP,
     DIRECTION_UP,
     {4312, 9000},
     DEAL_REFUNDED,
     0,
     250000,
     40000},
    {"floor kept",
     PRODUCT_CAPACITY_FLOOR,
     DIRECTIONS_DOWN,
     DELIVERY_CAPACITY_FLOOR,
     DIRECTION_DOWN,
     {500, 4000},
     DEAL_SETTLED,
     250000,
     0,
     0},
    {"floor missed by 200 Wh in one unit",
     PRODUCT_CAPACITY_FLOOR,
     DIRECTIONS_DOWN,
     DELIVERY_CAPACITY_FLOOR,
     DIRECTION_DOWN,
     {500, 300},
     DEAL_PARTIAL,
     200000,
     50000,
     8000},
    {"sub-meter",
     PRODUCT_ENERGY,
     DIRECTIONS_BOTH,
     DELIVERY_SUBMETER,
     DIRECTION_UP,
     {500, 400},
     DEAL_PARTIAL,
     225000,
     25000,
     4000},
    {"schedule with a deposit",
     PRODUCT_ENERGY,
     DIRECTIONS_BOTH,
     DELIVERY_SCHEDULE,
     DIRECTION_DOWN,
     {475, 474},
     DEAL_PARTIAL,
     243500,
     6500,
     1040},
};

static void test_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("          %s\n", rows[i].name);
        make_deal(rows[i].product, rows[i].directions, rows[i].method, rows[i].direction);
        fixture_next_block(&fixture, 6 * (int64_t)MARKET_PERIOD_MS);
        market_measure(&fixture, 1, rows[i].measured, &witness);
        int64_t buyer = fixture_balance(&fixture, "dso");
        struct delivery_witness forged = witness;
        forged.readings[0].reading.meter ^= 1;
        market_sign_reading(&forged.readings[0].reading);
        assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &forged));
        int64_t seller = fixture_balance(&fixture, "alice");
        assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
        struct deal_record deal = market_deal(&fixture, 1);
        assert_int_equal(deal.state, rows[i].state);
        assert_int_equal(money_ueur(deal.paid), rows[i].paid);
        assert_int_equal(money_ueur(deal.refunded), rows[i].refunded);
        assert_int_equal(money_ueur(deal.penalty), rows[i].penalty);
        assert_int_equal(fixture_balance(&fixture, "dso"),
                         buyer + rows[i].refunded + rows[i].penalty);
        assert_int_equal(fixture_balance(&fixture, "alice"), seller + rows[i].paid -
                                                                 money_ueur(deal.fee) + 50000 -
                                                                 rows[i].penalty - FEES);
        close_day();
    }
}

static void test_no_proof_costs_the_deposit(void **state)
{
    (void)state;
    make_deal(PRODUCT_CAPACITY_CAP, DIRECTIONS_UP, DELIVERY_CAPACITY_CAP, DIRECTION_UP);
    int64_t buyer = fixture_balance(&fixture, "dso");
    int64_t seller = fixture_balance(&fixture, "alice");
    fixture_next_block(&fixture, 6 * (int64_t)MARKET_PERIOD_MS + MARKET_PROOF_MS);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_deal(&fixture, 1).state, DEAL_REFUNDED);
    assert_int_equal(money_ueur(market_deal(&fixture, 1).penalty), 40000);
    /* The buyer operates a validator and has its share of the fees too. */
    assert_true(fixture_balance(&fixture, "dso") >= buyer + 250000 + 40000);
    assert_int_equal(fixture_balance(&fixture, "alice"), seller + 10000);
    close_day();
}

static void test_offers(void **state)
{
    (void)state;
    make_deal(PRODUCT_CAPACITY_CAP, DIRECTIONS_UP, DELIVERY_CAPACITY_CAP, DIRECTION_UP);
    assert_error(CONTRACT_WRONG_DIRECTION, offer(DIRECTION_DOWN, 20, false));
    assert_error(CONTRACT_BAD_SCHEDULE, offer(DIRECTION_UP, 20, true));
    int64_t before = fixture_balance(&fixture, "alice");
    assert_error(CONTRACT_OK, offer(DIRECTION_UP, 20, false));
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 3), 1000);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 3));
    assert_int_equal(fixture_balance(&fixture, "alice"), before - 2 * FEES);
    close_day();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_no_proof_costs_the_deposit),
        cmocka_unit_test(test_offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
