/* The right to offer, when orders meet and over all markets: an order whose right has gone since it was
 * placed does not trade, in a batch and in a sequential book, and what is sold in one market is not there
 * for another (MFX III.A; docs/spec/market.md 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/book.h"
#include "tests/lib/contracts/market_fixture.h"

static struct fixture fixture;

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    market_audit(&fixture, false);
}

static void act(const char *sender, uint8_t type, const void *record)
{
    assert_error(CONTRACT_OK, fixture_act(&fixture, sender, type, record));
}

/* --- how a right goes, and comes back ------------------------------------------------------- */

static void transfer(const char *from, const char *to)
{
    struct device_transfer offer = {.device = fixture_name("dev-alice"),
                                    .new_owner = fixture_name(to)};
    struct device_transfer_accept accept = {.device = fixture_name("dev-alice")};
    act(from, ACTION_DEVICE_TRANSFER, &offer);
    act(to, ACTION_DEVICE_TRANSFER_ACCEPT, &accept);
}
static void transferred(void)
{
    transfer("alice", "bob");
}
static void transferred_back(void)
{
    transfer("bob", "alice");
}

static void set_device(const char *sender, uint8_t status)
{
    struct device_status action = {.device = fixture_name("dev-alice"), .status = status};
    act(sender, ACTION_DEVICE_STATUS, &action);
}
static void suspended(void)
{
    set_device("dso", STATUS_SUSPENDED);
}
static void reinstated(void)
{
    set_device("dso", STATUS_ACTIVE);
}
static void retired(void)
{
    set_device("alice", STATUS_RETIRED);
}

static void enrolled(uint8_t yes)
{
    struct device_enrol action = {
        .device = fixture_name("dev-alice"), .market = fixture_name("flex"), .enrolled = yes};
    act("alice", ACTION_DEVICE_ENROL, &action);
}
static void taken_out(void)
{
    enrolled(0);
}
static void enrolled_again(void)
{
    enrolled(1);
}

static void set_alice(uint8_t status)
{
    struct participant_status action = {.id = fixture_name("alice"), .status = status};
    act("operator", ACTION_PARTICIPANT_STATUS, &action);
}
static void participant_suspended(void)
{
    set_alice(STATUS_SUSPENDED);
}
static void participant_reinstated(void)
{
    set_alice(STATUS_ACTIVE);
}

static const struct {
    const char *name;
    void (*goes)(void);
    void (*returns)(void);
} rows[] = {
    {"transferred", transferred, transferred_back},
    {"suspended", suspended, reinstated},
    {"retired", retired, NULL},
    {"taken out of the market", taken_out, enrolled_again},
    {"participant suspended", participant_suspended, participant_reinstated},
};

/* alice's is the better offer; while she has no right, bob's trades in its stead. */
static void test_an_offer_without_its_right_is_passed_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        market_open(&fixture);
        assert_error(CONTRACT_OK,
                     market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 200, 100000));
        assert_error(CONTRACT_OK,
                     market_offer(&fixture, "bob", "dev-bob", 4, DIRECTION_UP, 200, 200000));
        end_block();
        rows[i].goes();
        assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 200, 300000));
        end_block();
        assert_int_equal(market_counters(&fixture).deals, 1);
        assert_int_equal(market_deal(&fixture, 1).sell_order, 2);
        assert_int_equal(market_order(&fixture, 1).status, ORDER_OPEN);
        assert_int_equal(energy_wh(market_order(&fixture, 1).open), 200);
        /* Nobody else is there to sell. */
        assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 200, 300000));
        end_block();
        assert_int_equal(market_counters(&fixture).deals, 1);
        if (rows[i].returns != NULL) {
            rows[i].returns();
            assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 20, 300000));
            end_block();
            assert_int_equal(energy_wh(market_order(&fixture, 1).open), 0);
        }
        fixture_next_block(&fixture, 5 * (int64_t)MARKET_PERIOD_MS);
        end_block();
        assert_int_not_equal(market_order(&fixture, 1).status, ORDER_OPEN);
        market_audit(&fixture, true);
        fixture_end_block(&fixture);
        fixture_close(&fixture);
    }
}

/* The manager of the moment may offer; once another one is, its offer rests in vain. */
static void test_a_delegation_that_was_replaced(void **state)
{
    (void)state;
    market_open(&fixture);
    struct timestamp until = market_period(48);
    struct device_delegate delegate = {.device = fixture_name("dev-alice"),
                                       .manager = fixture_name("agg"),
                                       .from = fixture.context.time,
                                       .until = until};
    struct device_delegate_accept accept = {.device = delegate.device};
    act("alice", ACTION_DEVICE_DELEGATE, &delegate);
    act("agg", ACTION_DEVICE_DELEGATE_ACCEPT, &accept);
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "agg", "dev-alice", 4, DIRECTION_UP, 200, 100000));
    transfer("alice", "bob"); /* ends it */
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 200, 300000));
    end_block();
    assert_int_equal(market_counters(&fixture).deals, 0);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* A buyer that is suspended meanwhile buys nothing either. */
static void test_a_suspended_buyer(void **state)
{
    (void)state;
    market_open(&fixture);
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 200, 300000));
    struct participant_status action = {.id = fixture_name("dso"), .status = STATUS_SUSPENDED};
    act("operator", ACTION_PARTICIPANT_STATUS, &action);
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 200, 100000));
    end_block();
    assert_int_equal(market_counters(&fixture).deals, 0);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_in_a_sequential_book(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("seq");
    terms.clearing.mechanism = MECHANISM_BOOK_SEQUENTIAL;
    fixture_register(&fixture, "grid", ROLE_DSO); /* operates no validator, so it may trade there */
    fixture_fund(&fixture, "grid", 1000000000);
    act("operator", ACTION_MARKET_CREATE, &terms);
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    act("alice", ACTION_DEVICE_ENROL, &enrol);
    struct offer_place offer = {.market = terms.id,
                                .direction = DIRECTION_UP,
                                .period_start = market_period(4),
                                .quantity = energy_of(200),
                                .price = energy_price_of(100000),
                                .device = enrol.device};
    act("alice", ACTION_OFFER_PLACE, &offer);
    suspended();
    struct request_place request = {.market = terms.id,
                                    .direction = DIRECTION_UP,
                                    .period_start = market_period(4),
                                    .quantity = energy_of(200),
                                    .price = energy_price_of(300000)};
    act("grid", ACTION_REQUEST_PLACE, &request);
    assert_int_equal(market_counters(&fixture).deals, 0);
    reinstated();
    act("grid", ACTION_REQUEST_PLACE, &request);
    assert_int_equal(market_counters(&fixture).deals, 1);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_offer_without_its_right_is_passed_over),
        cmocka_unit_test(test_a_delegation_that_was_replaced),
        cmocka_unit_test(test_a_suspended_buyer),
        cmocka_unit_test(test_in_a_sequential_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
