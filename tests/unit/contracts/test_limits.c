/* What a device has sold in one market is not there for another: over all products that sell its power, and
 * over the capacity that it asks for; and caps and floors that stand on one another, proven in any order
 * (docs/spec/market.md 2; docs/spec/delivery.md 7.1; docs/spec/capacity.md 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/contracts/grid_fixture.h"

static struct fixture fixture;
static struct delivery_witness witness;

/* Markets "flex" and "flex2" sell regulation, "avail" reserves, "cap", "cap2" and "floor" limit, "room"
 * sells capacity; at-NAME of all owners are in each but "flex". */
static void open_day(void)
{
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    static const struct {
        const char *id;
        uint8_t product, directions, mechanism, method;
    } markets[] = {
        {"flex2", PRODUCT_ENERGY, DIRECTIONS_BOTH, MECHANISM_BOOK_BATCH, DELIVERY_SCHEDULE},
        {"avail", PRODUCT_RESERVATION, DIRECTIONS_BOTH, MECHANISM_BOOK_BATCH, DELIVERY_SCHEDULE},
        {"cap", PRODUCT_CAPACITY_CAP, DIRECTIONS_UP, MECHANISM_BOOK_BATCH, DELIVERY_CAPACITY_CAP},
        {"cap2", PRODUCT_CAPACITY_CAP, DIRECTIONS_UP, MECHANISM_BOOK_BATCH, DELIVERY_CAPACITY_CAP},
        {"floor", PRODUCT_CAPACITY_FLOOR, DIRECTIONS_DOWN, MECHANISM_BOOK_BATCH,
         DELIVERY_CAPACITY_FLOOR},
        {"room", PRODUCT_CAPACITY_ALLOCATION, DIRECTIONS_BOTH, MECHANISM_CAPACITY,
         DELIVERY_SCHEDULE},
    };
    for (size_t i = 0; i < sizeof markets / sizeof markets[0]; i++) {
        market_terms(&terms);
        terms.product = markets[i].product;
        terms.directions = markets[i].directions;
        terms.clearing.mechanism = markets[i].mechanism;
        terms.delivery.method = markets[i].method;
        terms.limits.quantity_max = energy_of(10000);
        grid_market(&fixture, markets[i].id, &terms);
    }
}

static void close_day(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, false);
    grid_audit(&fixture);
    grid_audit_holdings(&fixture);
    fixture_close(&fixture);
}

static enum contract_error sell(const char *market, enum direction direction, int64_t quantity)
{
    return grid_offer(&fixture, market, "alice", 4, direction, quantity, 100000);
}

static enum contract_error hold(int64_t quantity)
{
    return grid_ask(&fixture, "room", "alice", 4, DIRECTION_DOWN, quantity, 100,
                    (struct order_options){0});
}

/* 10 kW are 5000 Wh in half an hour. */
static void test_power_is_sold_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
    } rows[] = {{"flex2", "flex2"}, {"flex2", "avail"}, {"avail", "flex2"}, {"avail", "avail"},
                {"cap", "cap2"},    {"cap", "avail"},   {"avail", "cap"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_day();
        assert_error(CONTRACT_OK, sell(rows[i].first, DIRECTION_UP, 3000));
        assert_error(CONTRACT_OVER_DEVICE_POWER, sell(rows[i].second, DIRECTION_UP, 2020));
        assert_error(CONTRACT_OK, sell(rows[i].second, DIRECTION_UP, 2000));
        assert_error(CONTRACT_OVER_DEVICE_POWER, sell(rows[i].first, DIRECTION_UP, 20));
        /* Taken back here, it is there again. */
        assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
        assert_error(CONTRACT_OK, sell(rows[i].second, DIRECTION_UP, 3000));
        close_day();
    }
}

/* A device that changes hands is as sold as it was: its new owner has what is left of it. */
static void test_a_transfer_sells_nothing_twice(void **state)
{
    (void)state;
    open_day();
    assert_error(CONTRACT_OK, sell("flex2", DIRECTION_UP, 4000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "flex2", 4, DIRECTION_UP, 1000, 300000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    struct device_transfer give = {fixture_name("at-alice"), fixture_name("bob")};
    struct device_transfer_accept take = {fixture_name("at-alice")};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_TRANSFER, &give));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_DEVICE_TRANSFER_ACCEPT, &take));
    struct offer_place offer = {.market = fixture_name("flex2"),
                                .period_start = market_period(4),
                                .quantity = energy_of(1020),
                                .device = take.device};
    assert_error(CONTRACT_OVER_DEVICE_POWER,
                 fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &offer));
    offer.quantity = energy_of(1000);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &offer));
    /* What alice had open no longer trades, and is bob's to sell once she takes it back. */
    assert_error(CONTRACT_OK, grid_request(&fixture, "flex2", 4, DIRECTION_UP, 4000, 300000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_counters(&fixture).deals, 2);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
    offer.quantity = energy_of(3000);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &offer));
    close_day();
}

static void test_limits_and_regulation_apart(void **state)
{
    (void)state;
    open_day();
    assert_error(CONTRACT_OK, sell("cap", DIRECTION_UP, 20));
    assert_error(CONTRACT_OVER_DEVICE_POWER, sell("flex2", DIRECTION_UP, 20));
    assert_error(CONTRACT_OVER_DEVICE_POWER, sell("flex2", DIRECTION_DOWN, 20));
    assert_error(CONTRACT_OK, sell("floor", DIRECTION_DOWN, 20));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
    assert_error(CONTRACT_OVER_DEVICE_POWER, sell("flex2", DIRECTION_UP, 20));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 2));
    assert_error(CONTRACT_OK, sell("flex2", DIRECTION_UP, 20));
    assert_error(CONTRACT_OVER_DEVICE_POWER, sell("cap", DIRECTION_UP, 20));
    assert_error(CONTRACT_OVER_DEVICE_POWER, sell("floor", DIRECTION_DOWN, 20));
    close_day();
}

/* A connection of 12 kW: 6000 Wh in half an hour, for all limits and for what it asks to import. */
static void test_limits_within_the_connection(void **state)
{
    (void)state;
    open_day();
    assert_error(CONTRACT_OK, sell("cap", DIRECTION_UP, 4000));
    assert_error(CONTRACT_OVER_CONNECTION, sell("floor", DIRECTION_DOWN, 2020));
    assert_error(CONTRACT_OK, sell("floor", DIRECTION_DOWN, 2000));
    assert_error(CONTRACT_OVER_CONNECTION, sell("cap2", DIRECTION_UP, 20));
    assert_error(CONTRACT_OVER_CONNECTION, hold(2020));
    assert_error(CONTRACT_OK, hold(2000));
    assert_error(CONTRACT_OVER_CONNECTION, hold(20));
    close_day();

    open_day();
    assert_error(CONTRACT_OK, hold(5000));
    assert_error(CONTRACT_OVER_CONNECTION, sell("cap", DIRECTION_UP, 1020));
    assert_error(CONTRACT_OK, sell("cap", DIRECTION_UP, 1000));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
    assert_error(CONTRACT_OK, sell("cap2", DIRECTION_UP, 4000));
    close_day();
}

/* Two limits of one device on one connection, proven one after the other: kWh that it kept to are credited
 * once, and all of them. In Wh per unit; 3000 Wh is the connection. */
static void test_stacked_limits(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        enum direction direction_1, direction_2;
        int64_t sold_1, sold_2, import, credited_1, credited_2;
    } rows[] = {
        {"cap", "cap2", DIRECTION_UP, DIRECTION_UP, 1000, 500, 1500, 1000, 500},
        {"cap", "cap2", DIRECTION_UP, DIRECTION_UP, 1000, 500, 1700, 1000, 300},
        {"cap2", "cap", DIRECTION_UP, DIRECTION_UP, 500, 1000, 1700, 500, 800},
        {"cap", "cap2", DIRECTION_UP, DIRECTION_UP, 1000, 500, 2000, 1000, 0},
        {"cap", "cap2", DIRECTION_UP, DIRECTION_UP, 1000, 500, 2400, 600, 0},
        {"cap", "cap", DIRECTION_UP, DIRECTION_UP, 1000, 500, 1500, 1000, 500},
        {"floor", "floor", DIRECTION_DOWN, DIRECTION_DOWN, 500, 300, 800, 500, 300},
        {"floor", "floor", DIRECTION_DOWN, DIRECTION_DOWN, 500, 300, 600, 500, 100},
        {"cap", "floor", DIRECTION_UP, DIRECTION_DOWN, 1000, 500, 2000, 1000, 500},
        {"cap", "floor", DIRECTION_UP, DIRECTION_DOWN, 1000, 500, 400, 1000, 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_day();
        const int64_t readings[MARKET_UNITS] = {rows[i].import, rows[i].import};
        assert_error(CONTRACT_OK, sell(rows[i].first, rows[i].direction_1, 2 * rows[i].sold_1));
        assert_error(CONTRACT_OK, grid_request(&fixture, rows[i].first, 4, rows[i].direction_1,
                                               2 * rows[i].sold_1, 100000));
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
        assert_error(CONTRACT_OK, sell(rows[i].second, rows[i].direction_2, 2 * rows[i].sold_2));
        assert_error(CONTRACT_OK, grid_request(&fixture, rows[i].second, 4, rows[i].direction_2,
                                               2 * rows[i].sold_2, 100000));
        fixture_next_block(&fixture, 6 * (int64_t)MARKET_PERIOD_MS);
        for (uint64_t deal = 1; deal <= 2; deal++) {
            market_measure(&fixture, deal, readings, &witness);
            assert_error(CONTRACT_OK, market_prove(&fixture, "alice", deal, &witness));
        }
        assert_int_equal(energy_wh(market_deal(&fixture, 1).credited), 2 * rows[i].credited_1);
        assert_int_equal(energy_wh(market_deal(&fixture, 2).credited), 2 * rows[i].credited_2);
        close_day();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_is_sold_once),
        cmocka_unit_test(test_a_transfer_sells_nothing_twice),
        cmocka_unit_test(test_limits_and_regulation_apart),
        cmocka_unit_test(test_limits_within_the_connection),
        cmocka_unit_test(test_stacked_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
