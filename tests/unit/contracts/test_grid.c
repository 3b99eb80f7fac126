/* Networks, publications, and the grid check of books: tables, and random books held against a model that
 * adds up every deal along every path (docs/spec/capacity.md 1 and 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/grid.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/grid_fixture.h"

static struct fixture fixture;

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    market_audit(&fixture, false);
    grid_audit(&fixture);
}

static void close_day(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, false);
    grid_audit(&fixture);
    fixture_close(&fixture);
}

/* --- networks and publications -------------------------------------------------------------- */

static void test_network(void **state)
{
    (void)state;
    market_open(&fixture);
    struct network_create network = {.id = fixture_name("net")};
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "alice", ACTION_NETWORK_CREATE, &network));
    assert_error(CONTRACT_UNKNOWN_NETWORK, grid_node(&fixture, "dso", "net", "trafo", ""));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_NETWORK_CREATE, &network));
    assert_error(CONTRACT_EXISTS_ALREADY,
                 fixture_act(&fixture, "dso", ACTION_NETWORK_CREATE, &network));
    fixture_register(&fixture, "grid2", ROLE_DSO);
    fixture_fund(&fixture, "grid2", 1000000000);
    assert_error(CONTRACT_NOT_PERMITTED, grid_node(&fixture, "grid2", "net", "trafo", ""));
    assert_error(CONTRACT_NOT_PERMITTED, grid_node(&fixture, "alice", "net", "trafo", ""));
    assert_error(CONTRACT_UNKNOWN_NODE, grid_node(&fixture, "dso", "net", "f1", "trafo"));
    assert_error(CONTRACT_OK, grid_node(&fixture, "dso", "net", "trafo", ""));
    assert_error(CONTRACT_UNKNOWN_NODE, grid_node(&fixture, "dso", "net", "f1", "f1"));
    assert_error(CONTRACT_OK, grid_node(&fixture, "dso", "net", "f1", "trafo"));
    assert_error(CONTRACT_EXISTS_ALREADY, grid_node(&fixture, "dso", "net", "f1", ""));
    char id[NAME_SIZE], parent[NAME_SIZE] = "f1";
    for (int depth = 3; depth <= LIMIT_NETWORK_DEPTH + 1; depth++) {
        snprintf(id, sizeof id, "deep-%d", depth);
        assert_error(depth <= LIMIT_NETWORK_DEPTH ? CONTRACT_OK : CONTRACT_NETWORK_FULL,
                     grid_node(&fixture, "dso", "net", id, parent));
        snprintf(parent, sizeof parent, "%s", id);
    }
    for (int i = LIMIT_NETWORK_DEPTH; i < LIMIT_NETWORK_NODES; i++) {
        snprintf(id, sizeof id, "n-%d", i);
        assert_error(CONTRACT_OK, grid_node(&fixture, "dso", "net", id, "trafo"));
    }
    assert_error(CONTRACT_NETWORK_FULL, grid_node(&fixture, "dso", "net", "over", "trafo"));
    close_day();
}

static void test_publication(void **state)
{
    (void)state;
    market_open(&fixture);
    grid_small_network(&fixture);
    struct capacity_publish good = {.network = fixture_name("net"),
                                    .node = fixture_name("f1"),
                                    .start = market_period(4),
                                    .interval = duration_of(2 * (int64_t)COMMITMENT_SLOT_MS),
                                    .limit_count = 2};
    good.limits[0] = (struct capacity_limit){power_of(4000), power_of(3000)};
    good.limits[1] = (struct capacity_limit){power_of(0), power_of(limit_capacity_w)};
    struct capacity_publish bad = good;
#define REFUSED(expected)                                                                          \
    assert_error(expected, fixture_act(&fixture, "dso", ACTION_CAPACITY_PUBLISH, &bad));           \
    bad = good
    bad.network = fixture_name("nowhere");
    REFUSED(CONTRACT_UNKNOWN_NETWORK);
    bad.node = fixture_name("nowhere");
    REFUSED(CONTRACT_UNKNOWN_NODE);
    bad.limit_count = 0;
    REFUSED(CONTRACT_BAD_PARAMETER);
    bad.interval = duration_of(COMMITMENT_SLOT_MS / 3);
    REFUSED(CONTRACT_BAD_PARAMETER);
    bad.start = timestamp_of(timestamp_ms(good.start) + COMMITMENT_SLOT_MS);
    REFUSED(CONTRACT_BAD_PERIOD);
    bad.start = timestamp_of(timestamp_ms(fixture.context.time) + 400 * (int64_t)MS_PER_DAY);
    REFUSED(CONTRACT_BAD_PERIOD);
    bad.start = market_period(0);
    REFUSED(CONTRACT_TOO_LATE);
    bad.limits[1].import = power_of(-1);
    REFUSED(CONTRACT_OUT_OF_RANGE);
    bad.limits[1].export = power_of(limit_capacity_w + 1);
    REFUSED(CONTRACT_OUT_OF_RANGE);
#undef REFUSED
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "alice", ACTION_CAPACITY_PUBLISH, &good));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_CAPACITY_PUBLISH, &good));
    for (int slot = 0; slot < 4; slot++) {
        struct capacity_record record = grid_record(&fixture, "f1", 4, slot);
        assert_int_equal(power_w(record.import_limit), slot < 2 ? 4000 : 0);
        assert_int_equal(power_w(record.export_limit), slot < 2 ? 3000 : limit_capacity_w);
        assert_int_equal(record.revision, 1);
    }
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_CAPACITY_PUBLISH, &good));
    assert_int_equal(grid_record(&fixture, "f1", 4, 0).revision, 2);
    close_day();
}

/* --- markets -------------------------------------------------------------------------------- */

static void test_terms(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("held");
    terms.network = fixture_name("net");
    assert_error(CONTRACT_UNKNOWN_NETWORK,
                 fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    grid_small_network(&fixture);
    terms.times.mtus_per_period = LIMIT_INTERVALS_PER_PERIOD;
    terms.times.mtu = duration_of(2 * (int64_t)COMMITMENT_SLOT_MS);
    terms.limits.quantity_step = energy_of(100);
    terms.limits.quantity_min = energy_of(100);
    assert_error(CONTRACT_BAD_TERM_NETWORK,
                 fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    terms.times.mtu = duration_of(COMMITMENT_SLOT_MS);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    /* A reservation and what activates it are of one network. */
    struct market_create parent;
    market_terms(&parent);
    parent.id = fixture_name("avail");
    parent.product = PRODUCT_RESERVATION;
    parent.links.activation_lead = duration_of(2 * (int64_t)MARKET_GATE_MS);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &parent));
    market_terms(&terms);
    terms.id = fixture_name("short");
    terms.links.parent = parent.id;
    terms.network = fixture_name("net");
    assert_error(CONTRACT_BAD_TERM_NETWORK,
                 fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    /* A device at no node of the network cannot be held to it. */
    struct market_create held;
    market_terms(&held);
    grid_market(&fixture, "grid", &held);
    struct device_register stray = {.id = fixture_name("stray"),
                                    .max_power = power_of(1000),
                                    .connection = power_of(1000),
                                    .node = fixture_name("home-x"),
                                    .feeder = fixture_name("f9"),
                                    .zone = fixture_name("z1"),
                                    .meter_key = fixture_key("stray")};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_REGISTER, &stray));
    struct device_status status = {.device = stray.id, .status = STATUS_ACTIVE};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &status));
    struct device_enrol enrol = {.device = stray.id, .market = held.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    struct offer_place offer = {.market = held.id,
                                .period_start = market_period(4),
                                .quantity = energy_of(20),
                                .device = stray.id};
    assert_error(CONTRACT_UNKNOWN_NODE, fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &offer));
    close_day();
}

/* docs/spec/capacity.md 3, "Two offers behind one feeder". */
static void test_worked_example(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    grid_market(&fixture, "grid", &terms);
    grid_publish(&fixture, "f1", 4, 100000, 1200);
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "alice", 4, DIRECTION_UP, 400, 100000));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "bob", 4, DIRECTION_UP, 400, 200000));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "carol", 4, DIRECTION_UP, 400, 290000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "grid", 4, DIRECTION_UP, 1000, 300000));
    end_block();
    /* 1200 W are 600 Wh in half an hour: alice has 400 of them, bob 200, and carol, behind f2, the rest. */
    assert_int_equal(market_counters(&fixture).deals, 3);
    assert_int_equal(energy_wh(market_order(&fixture, 1).open), 0);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 200);
    assert_int_equal(energy_wh(market_order(&fixture, 3).open), 0);
    assert_int_equal(power_w(grid_record(&fixture, "f1", 4, 0).export_sold), 1200);
    assert_int_equal(power_w(grid_record(&fixture, "f1", 4, 1).export_sold), 1200);
    assert_int_equal(power_w(grid_record(&fixture, "trafo", 4, 0).export_sold), 2000);
    assert_int_equal(grid_events(&fixture, EVENT_GRID_LIMITED), 1);
    /* Less than is sold is refused, or taken with everybody seeing it. */
    assert_error(CONTRACT_CAPACITY_SOLD, grid_try_publish(&fixture, "f1", 4, 100000, 1199, false));
    assert_error(CONTRACT_OK, grid_try_publish(&fixture, "f1", 4, 100000, 1000, true));
    assert_error(CONTRACT_OK, grid_request(&fixture, "grid", 4, DIRECTION_UP, 20, 300000));
    end_block();
    assert_int_equal(market_counters(&fixture).deals, 3);
    assert_int_equal(power_w(grid_record(&fixture, "f1", 4, 0).export_limit), 1000);
    close_day();
}

/* Import, sub-meter or not, is held apart from export; a cap loads nothing; nobody can do more than the
 * transformer, whatever the feeders leave. */
static void test_directions_and_the_root(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    grid_market(&fixture, "grid", &terms);
    grid_publish(&fixture, "trafo", 4, 800, 0);
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "alice", 4, DIRECTION_UP, 400, 100000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "grid", 4, DIRECTION_UP, 400, 300000));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "bob", 4, DIRECTION_DOWN, 300, 100000));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "carol", 4, DIRECTION_DOWN, 300, 1));
    assert_error(CONTRACT_OK, grid_request(&fixture, "grid", 4, DIRECTION_DOWN, 600, 300000));
    end_block();
    assert_int_equal(energy_wh(market_order(&fixture, 1).open), 400);
    assert_int_equal(energy_wh(market_order(&fixture, 3).open), 200);
    assert_int_equal(energy_wh(market_order(&fixture, 4).open), 0);
    assert_int_equal(grid_events(&fixture, EVENT_GRID_LIMITED), 2);

    market_terms(&terms);
    terms.product = PRODUCT_CAPACITY_CAP;
    terms.directions = DIRECTIONS_UP;
    terms.delivery.method = DELIVERY_CAPACITY_CAP;
    grid_market(&fixture, "caps", &terms);
    assert_error(CONTRACT_OK, grid_offer(&fixture, "caps", "agg", 4, DIRECTION_UP, 400, 100000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "caps", 4, DIRECTION_UP, 400, 300000));
    end_block();
    assert_int_equal(energy_wh(market_order(&fixture, 6).open), 0);
    close_day();
}

/* What was reserved has its room: the answer to its call needs no more, and nobody else gets it. */
static void test_reservation(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    terms.product = PRODUCT_RESERVATION;
    terms.links.activation_lead = duration_of(2 * (int64_t)MARKET_GATE_MS);
    terms.times.proof_deadline = duration_of(2 * (int64_t)MARKET_PROOF_MS);
    grid_market(&fixture, "avail", &terms);
    market_terms(&terms);
    terms.links.parent = fixture_name("avail");
    grid_market(&fixture, "short", &terms);
    grid_publish(&fixture, "trafo", 4, 0, 1000);
    assert_error(CONTRACT_OK, grid_offer(&fixture, "avail", "alice", 4, DIRECTION_UP, 400, 1000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "avail", 4, DIRECTION_UP, 400, 1000));
    end_block();
    assert_int_equal(power_w(grid_record(&fixture, "trafo", 4, 0).export_sold), 800);
    struct reservation_call_place call = {.deal = 1,
                                          .market = fixture_name("short"),
                                          .period_start = market_period(4),
                                          .quantity = energy_of(400),
                                          .price = energy_price_of(2000)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_RESERVATION_CALL, &call));
    struct offer_place answer = {.market = call.market,
                                 .direction = DIRECTION_UP,
                                 .period_start = call.period_start,
                                 .quantity = call.quantity,
                                 .price = call.price,
                                 .device = fixture_name("at-alice"),
                                 .reservation = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &answer));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "short", "bob", 4, DIRECTION_UP, 400, 2000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "short", 4, DIRECTION_UP, 400, 2000));
    end_block();
    assert_int_equal(energy_wh(market_order(&fixture, 4).open), 0);   /* alice's, called */
    assert_int_equal(energy_wh(market_order(&fixture, 5).open), 300); /* bob has the other 200 W */
    assert_int_equal(power_w(grid_record(&fixture, "trafo", 4, 0).export_sold), 1000);
    close_day();
}

/* An offer that trades whole is passed over where part of it would fit, and the next one has the room. */
static void test_indivisible(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    grid_market(&fixture, "grid", &terms);
    grid_publish(&fixture, "trafo", 4, 0, 600);
    struct offer_place whole = {.market = fixture_name("grid"),
                                .direction = DIRECTION_UP,
                                .period_start = market_period(4),
                                .quantity = energy_of(400),
                                .price = energy_price_of(100000),
                                .device = fixture_name("at-alice"),
                                .options = {.indivisible = 1}};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &whole));
    assert_error(CONTRACT_OK, grid_offer(&fixture, "grid", "bob", 4, DIRECTION_UP, 400, 200000));
    assert_error(CONTRACT_OK, grid_request(&fixture, "grid", 4, DIRECTION_UP, 400, 300000));
    end_block();
    assert_int_equal(energy_wh(market_order(&fixture, 1).open), 400);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 100);
    close_day();
}

/* --- random books against a model ----------------------------------------------------------- */

/* The model of grid_audit adds up the deals along every path; here also: whoever was left out was so for
 * the grid's sake, since each node that an open crossing offer passes has too little room for a step, or
 * nobody is left to buy. */
static void test_random_books(void **state)
{
    (void)state;
    static const char *const owners[] = {"alice", "bob", "carol", "agg", "agg2", "retail"};
    static const char *const nodes[] = {"trafo", "f1", "f2", "leaf"};
    struct dice dice = {1};
    for (int round = 0; round < 40; round++) {
        struct market_create terms;
        market_open(&fixture);
        grid_small_network(&fixture);
        bool sequential = round % 2 == 1;
        market_terms(&terms);
        if (sequential) {
            terms.clearing.mechanism = MECHANISM_BOOK_SEQUENTIAL;
        }
        fixture_register(&fixture, "buyer", ROLE_DSO);
        fixture_fund(&fixture, "buyer", 1000000000);
        grid_market(&fixture, "grid", &terms);
        for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
            if (dice_between(&dice, 0, 4 - 1) != 0) {
                grid_publish(&fixture, nodes[i], 4, dice_between(&dice, 0, 3000),
                             dice_between(&dice, 0, 3000));
            }
        }
        for (int i = 0; i < 24; i++) {
            const char *owner =
                owners[dice_between(&dice, 0, sizeof owners / sizeof owners[0] - 1)];
            enum direction direction = (enum direction)dice_between(&dice, 0, 1);
            int64_t quantity = 20 * dice_between(&dice, 1, 20);
            int64_t price = 1000 * dice_between(&dice, 0, 50);
            bool validator = sequential && (owner[0] == 'a' && owner[1] == 'g');
            if (dice_between(&dice, 0, 3 - 1) == 0) {
                assert_error(CONTRACT_OK, grid_request_by(&fixture, "grid", "buyer", 4, direction,
                                                          quantity, price));
            } else if (!validator) {
                enum contract_error error =
                    grid_offer(&fixture, "grid", owner, 4, direction, quantity, price);
                assert_true(error == CONTRACT_OK || error == CONTRACT_OVER_DEVICE_POWER);
            }
            if (dice_between(&dice, 0, 3 - 1) == 0) {
                end_block();
                grid_check_fair(&fixture, "grid", 4);
            }
        }
        end_block();
        close_day();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_publication),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_directions_and_the_root),
        cmocka_unit_test(test_indivisible),
        cmocka_unit_test(test_reservation),
        cmocka_unit_test(test_random_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
