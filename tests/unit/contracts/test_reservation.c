/* Reservations and their activation (docs/spec/deal.md 4): what is refused, each way to fail and to be
 * paid, the power that is booked once, and a year of weekly reservations to the last micro-euro. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/contracts/deal_fixture.h"

enum {
    RESERVED_UNITS = 4, /* two periods of the market below */
    LEAD_MS = 3600000,
    /* 4000 Wh in four units: 4 kW for an hour. */
    RESERVED_WH = 4000,
    FEE_UEUR = 1000000,
    RESERVED_PERIOD = 8, /* in periods of the market below */
    CALLED_WH = 1000
};

static struct fixture fixture;
static struct delivery_witness witness;

static void open_markets(uint8_t must_offer)
{
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("long");
    terms.product = PRODUCT_RESERVATION;
    terms.times.mtus_per_period = RESERVED_UNITS;
    terms.times.closes = timestamp_of(FIXTURE_TIME_MS + 400 * (int64_t)MS_PER_DAY);
    terms.times.proof_deadline = duration_of(2 * (int64_t)MARKET_PROOF_MS);
    terms.delivery.penalty_price = energy_price_of(20000);
    terms.delivery.deposit_permille = 100;
    terms.links.activation_lead = duration_of(LEAD_MS);
    terms.links.must_offer = must_offer;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    market_terms(&terms);
    terms.id = fixture_name("short");
    terms.times.closes = timestamp_of(FIXTURE_TIME_MS + 400 * (int64_t)MS_PER_DAY);
    terms.links.parent = fixture_name("long");
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    enrol.market = terms.id;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
}

/* Reserves four kilowatts of dev-alice for the hour that starts with that period. */
static void reserve(int period)
{
    deal_trade(&fixture, "long", period, RESERVED_WH, 0);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

static enum contract_error call_up(const char *sender, uint64_t deal, int period, int64_t quantity)
{
    struct reservation_call_place action = {.deal = deal,
                                            .market = fixture_name("short"),
                                            .period_start = market_period(period),
                                            .quantity = energy_of(quantity),
                                            .price = energy_price_of(300000)};
    return fixture_act(&fixture, sender, ACTION_RESERVATION_CALL, &action);
}

static enum contract_error answer(const char *device, uint64_t deal, int period, int64_t quantity,
                                  int64_t price)
{
    struct offer_place offer = {.market = fixture_name("short"),
                                .period_start = market_period(period),
                                .quantity = energy_of(quantity),
                                .price = energy_price_of(price),
                                .device = fixture_name(device),
                                .reservation = deal};
    struct energy units[MARKET_UNITS];
    uint8_t salt[SCHEDULE_SALT_SIZE];
    memset(salt, 0x5a, sizeof salt);
    for (int i = 0; i < MARKET_UNITS; i++)
        units[i] = energy_of(MARKET_DECLARED_WH);
    schedule_hash(&offer.schedule_hash, salt, &offer.device, offer.period_start, units,
                  MARKET_UNITS);
    return fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &offer);
}

static void go_to(struct timestamp time)
{
    fixture_next_block(&fixture, timestamp_ms(time) - timestamp_ms(fixture.context.time));
}

static struct commitment_record committed(int period)
{
    struct name device = fixture_name("dev-alice");
    struct commitment_record record;
    struct state_key key =
        state_key_unit(STATE_COMMITMENT, &device, market_period(period), DIRECTION_UP);
    assert_true(ledger_read(fixture.view, &key, &commitment_record_codec, &record));
    return record;
}

static void done(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

static void test_markets_that_fit(void **state)
{
    (void)state;
    open_markets(1);
    const struct {
        const char *name;
        int64_t mtu_ms, gate_ms;
        uint16_t units;
        const char *zone, *parent;
        enum contract_error error;
    } rows[] = {
        {"it fits", 900000, 900000, 2, "z1", "long", CONTRACT_OK},
        {"another time unit", 1800000, 900000, 2, "z1", "long", CONTRACT_BAD_TERM_LINKS},
        {"periods that do not divide", 900000, 900000, 3, "z1", "long", CONTRACT_BAD_TERM_LINKS},
        {"no time to answer", 900000, LEAD_MS, 2, "z1", "long", CONTRACT_BAD_TERM_LINKS},
        {"another zone", 900000, 900000, 2, "z2", "long", CONTRACT_BAD_TERM_LINKS},
        {"no reservation market", 900000, 900000, 2, "z1", "flex", CONTRACT_BAD_TERM_LINKS},
        {"no market", 900000, 900000, 2, "z1", "none", CONTRACT_BAD_TERM_LINKS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct market_create terms;
        print_message("          %s\n", rows[i].name);
        market_terms(&terms);
        terms.id = fixture_name("another");
        terms.zone = fixture_name(rows[i].zone);
        terms.times.mtu = duration_of(rows[i].mtu_ms);
        terms.times.mtus_per_period = rows[i].units;
        terms.times.gate_closure = duration_of(rows[i].gate_ms);
        terms.limits.quantity_step = energy_of(6);
        terms.limits.quantity_min = energy_of(6);
        terms.limits.quantity_max = energy_of(6000);
        terms.links.parent = fixture_name(rows[i].parent);
        assert_error(rows[i].error,
                     fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
        if (rows[i].error == CONTRACT_OK) {
            fixture_close(&fixture);
            open_markets(1);
        }
    }
    done();
}

static void test_calls_and_answers_that_are_refused(void **state)
{
    (void)state;
    const int first = RESERVED_PERIOD, second = RESERVED_PERIOD + 1;
    open_markets(1);
    reserve(first);
    assert_error(CONTRACT_UNKNOWN_DEAL, call_up("dso", 9, first, CALLED_WH));
    assert_error(CONTRACT_NOT_PERMITTED, call_up("alice", 1, first, CALLED_WH));
    assert_error(CONTRACT_BAD_PERIOD, call_up("dso", 1, first - 1, CALLED_WH));
    assert_error(CONTRACT_BAD_PERIOD, call_up("dso", 1, first + 2, CALLED_WH));
    assert_error(CONTRACT_OVER_RESERVATION, call_up("dso", 1, first, RESERVED_WH / 2 + 20));
    assert_error(CONTRACT_BAD_GRANULARITY, call_up("dso", 1, first, 30));
    assert_error(CONTRACT_UNKNOWN_CALL, answer("dev-alice", 1, first, CALLED_WH, 250000));
    assert_error(CONTRACT_OK, call_up("dso", 1, first, CALLED_WH));
    assert_error(CONTRACT_EXISTS_ALREADY, call_up("dso", 1, first, 20));
    assert_error(CONTRACT_OK, call_up("dso", 1, second, RESERVED_WH / 2));
    assert_error(CONTRACT_UNKNOWN_DEAL, answer("dev-alice", 9, first, CALLED_WH, 250000));
    assert_error(CONTRACT_OUT_OF_RANGE, answer("dev-alice", 1, first, CALLED_WH, 1000001));
    assert_error(CONTRACT_OVER_RESERVATION, answer("dev-alice", 1, first, CALLED_WH + 20, 250000));
    assert_error(CONTRACT_NOT_METERED, market_prove(&fixture, "alice", 1, &witness));
    go_to(timestamp_of(timestamp_ms(market_period(second)) - LEAD_MS + 1));
    assert_error(CONTRACT_TOO_LATE, call_up("dso", 1, second, 20));
    done();
}

/* Four kilowatts are reserved; two of them are called: the device can sell no more than before. */
static void test_power_is_booked_once(void **state)
{
    (void)state;
    open_markets(1);
    reserve(RESERVED_PERIOD);
    assert_int_equal(power_w(committed(RESERVED_PERIOD).power), 4000);
    assert_int_equal(power_w(committed(RESERVED_PERIOD).reserved), 4000);
    assert_error(CONTRACT_OK, call_up("dso", 1, RESERVED_PERIOD, CALLED_WH));
    assert_error(CONTRACT_OK, answer("dev-alice", 1, RESERVED_PERIOD, CALLED_WH, 310000 - 10000));
    assert_int_equal(power_w(committed(RESERVED_PERIOD).power), 4000);
    assert_int_equal(power_w(committed(RESERVED_PERIOD).reserved), 2000);
    assert_int_equal(power_w(committed(RESERVED_PERIOD + 1).reserved), 4000);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 4));
    assert_int_equal(power_w(committed(RESERVED_PERIOD).reserved), 4000);
    assert_error(CONTRACT_OK, answer("dev-alice", 1, RESERVED_PERIOD, CALLED_WH, 250000));
    /* Six of ten kilowatts are left to the open market. */
    assert_error(CONTRACT_OVER_DEVICE_POWER, market_offer(&fixture, "alice", "dev-alice",
                                                          RESERVED_PERIOD, DIRECTION_UP, 3020, 9));
    assert_error(CONTRACT_OK, market_offer(&fixture, "alice", "dev-alice", RESERVED_PERIOD,
                                           DIRECTION_UP, 3000, 9));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_deal(&fixture, 2).reservation, 1);
    market_audit(&fixture, false);
    done();
}

enum ending {
    NOT_CALLED,
    DELIVERED,      /* and proven */
    HALF_DELIVERED, /* the market below knows what to do */
    NOTHING_DELIVERED,
    NOT_PROVEN,
    NOT_ANSWERED,
    ANSWER_TOO_SMALL,
    ANSWER_CANCELLED,
    UNDERBID, /* a cheaper offer was taken */
    ENDING_COUNT
};

static const struct {
    const char *name;
    bool paid, paid_without_duty;
} endings[ENDING_COUNT] = {
    [NOT_CALLED] = {"not called", true, true},
    [DELIVERED] = {"delivered", true, true},
    [HALF_DELIVERED] = {"half delivered", true, true},
    [NOTHING_DELIVERED] = {"nothing delivered", false, false},
    [NOT_PROVEN] = {"not proven", false, false},
    [NOT_ANSWERED] = {"not answered", false, true},
    [ANSWER_TOO_SMALL] = {"the answer was too small", false, true},
    [ANSWER_CANCELLED] = {"the answer was cancelled", false, true},
    [UNDERBID] = {"underbid", true, true},
};

/* Plays one reserved hour from its call to the day on which it is paid; `deal` is the reservation. */
static void play(enum ending ending, uint64_t deal, int period)
{
    go_to(timestamp_of(timestamp_ms(market_period(period)) - LEAD_MS));
    if (ending != NOT_CALLED)
        assert_error(CONTRACT_OK, call_up("dso", deal, period, CALLED_WH));
    if (ending == UNDERBID) {
        struct device_enrol enrol = {
            .device = fixture_name("dev-bob"), .market = fixture_name("short"), .enrolled = 1};
        (void)fixture_act(&fixture, "bob", ACTION_DEVICE_ENROL, &enrol);
        struct offer_place offer = {.market = fixture_name("short"),
                                    .period_start = market_period(period),
                                    .quantity = energy_of(CALLED_WH),
                                    .price = energy_price_of(100000),
                                    .device = enrol.device};
        assert_error(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &offer));
    }
    bool answers = ending != NOT_CALLED && ending != NOT_ANSWERED;
    if (answers)
        assert_error(CONTRACT_OK,
                     answer("dev-alice", deal, period,
                            ending == ANSWER_TOO_SMALL ? CALLED_WH / 2 : CALLED_WH, 250000));
    if (ending == ANSWER_CANCELLED)
        assert_error(CONTRACT_OK,
                     market_cancel(&fixture, "alice", market_counters(&fixture).orders));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    uint64_t below = market_counters(&fixture).deals;
    go_to(market_period(period + 1));
    if (ending == DELIVERED || ending == HALF_DELIVERED || ending == NOTHING_DELIVERED ||
        ending == ANSWER_TOO_SMALL) {
        int64_t each = ending == DELIVERED ? 500 : ending == NOTHING_DELIVERED ? 0 : 250;
        assert_int_equal(market_deal(&fixture, below).reservation, deal);
        assert_error(CONTRACT_OK, deal_measure(&fixture, below, 0, each, each, &witness));
        assert_error(CONTRACT_OK, market_prove(&fixture, "alice", below, &witness));
    }
    go_to(timestamp_of(timestamp_ms(market_period(period + 2)) + 2 * (int64_t)MARKET_PROOF_MS));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

static void check_reservation(uint64_t id, bool paid)
{
    struct deal_record deal = market_deal(&fixture, id);
    assert_int_equal(deal.state, paid ? DEAL_SETTLED : DEAL_REFUNDED);
    assert_int_equal(money_ueur(deal.paid), paid ? FEE_UEUR : 0);
    assert_int_equal(money_ueur(deal.refunded), paid ? 0 : FEE_UEUR);
    assert_int_equal(money_ueur(deal.penalty), paid ? 0 : 80000);
    assert_int_equal(market_pot(&fixture, POT_DEAL_ESCROW, id), 0);
    assert_int_equal(market_pot(&fixture, POT_DEAL_DEPOSIT, id), 0);
}

static void test_each_ending(void **state)
{
    (void)state;
    for (int duty = 0; duty < 2; duty++)
        for (int i = 0; i < ENDING_COUNT; i++) {
            print_message("          %s, %s\n", endings[i].name,
                          duty != 0 ? "with the duty to offer" : "without it");
            open_markets((uint8_t)duty);
            reserve(RESERVED_PERIOD);
            play((enum ending)i, 1, RESERVED_PERIOD);
            bool paid = duty != 0 ? endings[i].paid : endings[i].paid_without_duty;
            check_reservation(1, paid);
            assert_int_equal(deal_reliability(&fixture, "alice").calls_missed, !paid);
            done();
        }
}

/* Called, and then kept from answering by somebody else, right up to the gate. */
static void test_who_could_not_answer(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        open_markets(1);
        reserve(RESERVED_PERIOD);
        assert_error(CONTRACT_OK, call_up("dso", 1, RESERVED_PERIOD, CALLED_WH));
        struct market_set_state closed = {.id = fixture_name("short"),
                                          .state = way == 0 ? MARKET_SUSPENDED : MARKET_CLOSED};
        struct device_status unfit = {.device = fixture_name("dev-alice"),
                                      .status = STATUS_SUSPENDED};
        if (way < 2)
            assert_error(CONTRACT_OK,
                         fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &closed));
        else
            assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &unfit));
        assert_int_not_equal(answer("dev-alice", 1, RESERVED_PERIOD, CALLED_WH, 250000),
                             CONTRACT_OK);
        go_to(market_period(RESERVED_PERIOD));
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
        assert_int_equal(market_deal(&fixture, 1).state, DEAL_MATCHED);
        go_to(timestamp_of(timestamp_ms(market_period(RESERVED_PERIOD + 2)) +
                           2 * (int64_t)MARKET_PROOF_MS));
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
        check_reservation(1, true);
        done();
    }
}

/* Reserved one hour a week for a year, all of it up front; each week is called, or not, and ends in one
 * of the ways above. At the end every micro-euro is where it belongs. */
static void test_a_year(void **state)
{
    (void)state;
    enum { WEEKS = 52, PERIODS_PER_WEEK = 7 * 48 };
    int64_t missed = 0;
    open_markets(1);
    for (int week = 0; week < WEEKS; week++)
        deal_trade(&fixture, "long", RESERVED_PERIOD + week * PERIODS_PER_WEEK, RESERVED_WH, 0);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_counters(&fixture).deals, WEEKS);
    market_audit(&fixture, true);
    for (int week = 0; week < WEEKS; week++) {
        enum ending ending = (enum ending)(week % ENDING_COUNT);
        int period = RESERVED_PERIOD + week * PERIODS_PER_WEEK;
        struct name device = fixture_name("dev-alice");
        /* Deals were made in the order of their books, that is of their periods. */
        uint64_t id = (uint64_t)week + 1;
        assert_int_equal(timestamp_ms(market_deal(&fixture, id).period_start),
                         timestamp_ms(market_period(period)));
        struct deal_record reserved = market_deal(&fixture, id);
        assert_int_equal(name_compare(&reserved.device, &device), 0);
        play(ending, id, period);
        check_reservation(id, endings[ending].paid);
        missed += !endings[ending].paid;
        if (week % 13 == 0)
            market_audit(&fixture, false);
    }
    struct reliability_record record = deal_reliability(&fixture, "alice");
    assert_int_equal(record.calls_missed, missed);
    assert_true(missed > 20 && missed < WEEKS);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markets_that_fit),
        cmocka_unit_test(test_calls_and_answers_that_are_refused),
        cmocka_unit_test(test_power_is_booked_once),
        cmocka_unit_test(test_each_ending),
        cmocka_unit_test(test_who_could_not_answer),
        cmocka_unit_test(test_a_year),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
