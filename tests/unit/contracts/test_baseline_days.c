/* Settlement by baseline on the ledger: which days are candidates, what a witness must show, and that
 * the reference is the model's. The model here is written differently on purpose: it sorts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/merkle.h"
#include "tests/lib/contracts/market_fixture.h"

enum { HIGHEST = 3, DAYS = 4, WINDOW = 8, GAP = 4, PER_DAY = MARKET_UNITS + WINDOW };
#define DAY_MS INT64_C(86400000)
/* The delivery: two weeks after genesis, a Monday, 12:00 UTC. */
#define DELIVERY_DAY INT64_C(14)
#define DELIVERY_MS (FIXTURE_TIME_MS + DELIVERY_DAY * DAY_MS + DAY_MS / 2)

static struct fixture fixture;
static struct delivery_witness witness;

/* What dev-alice consumed in the unit that starts then, by a rule that differs from day to day. */
static int64_t consumed(int64_t start_ms)
{
    int64_t day = (start_ms - FIXTURE_TIME_MS) / DAY_MS;
    int64_t unit = start_ms / MARKET_MTU_MS % 96;
    return 1000 + day * 37 % 211 + unit * 3 + (day == DELIVERY_DAY && unit >= 48 ? -400 : 0);
}

static struct revealed_reading reveal(int64_t start_ms)
{
    struct revealed_reading out;
    struct hash leaf;
    memset(&out, 0, sizeof out);
    out.meter_operator = fixture_name("meters");
    out.batch = fixture_name("all");
    memset(out.salt, 0x77, sizeof out.salt);
    out.reading = (struct meter_reading){.device = fixture_name("dev-alice"),
                                         .interval_start = timestamp_of(start_ms),
                                         .interval = duration_of(MARKET_MTU_MS),
                                         .net = energy_of(consumed(start_ms))};
    market_sign_reading(&out.reading);
    meter_reading_leaf(&leaf, out.salt, &out.reading);
    struct state_key key = state_key_batch(&out.meter_operator, &out.batch, timestamp_of(start_ms));
    struct batch_record before;
    if (ledger_read(fixture.view, &key, &batch_record_codec, &before))
        return out;
    struct meter_batch batch = {.id = out.batch,
                                .interval_start = timestamp_of(start_ms),
                                .interval = duration_of(MARKET_MTU_MS),
                                .count = 1};
    merkle_root(&batch.root, &leaf, 1);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "meters", ACTION_METER_BATCH, &batch));
    return out;
}

static void add_day(int64_t start_ms, bool delivery)
{
    for (int i = 0; i < MARKET_UNITS && !delivery; i++)
        witness.readings[witness.reading_count++] = reveal(start_ms + i * (int64_t)MARKET_MTU_MS);
    for (int i = 0; i < WINDOW; i++)
        witness.readings[witness.reading_count++] =
            reveal(start_ms + (i - WINDOW - GAP) * (int64_t)MARKET_MTU_MS);
}

/* Shows the delivery and the days that lie so many days before it, the earliest first. */
static void show(const int *back, int count)
{
    memset(&witness, 0, sizeof witness);
    for (int i = 0; i < MARKET_UNITS; i++)
        witness.readings[witness.reading_count++] =
            reveal(DELIVERY_MS + i * (int64_t)MARKET_MTU_MS);
    add_day(DELIVERY_MS, true);
    for (int i = 0; i < count; i++)
        add_day(DELIVERY_MS - back[i] * DAY_MS, false);
}

static enum contract_error trade(int64_t start_ms, enum direction direction)
{
    struct offer_place offer = {.market = fixture_name("base"),
                                .direction = (uint8_t)direction,
                                .period_start = timestamp_of(start_ms),
                                .quantity = energy_of(800),
                                .price = energy_price_of(250000),
                                .device = fixture_name("dev-alice")};
    struct request_place request = {.market = offer.market,
                                    .direction = offer.direction,
                                    .period_start = offer.period_start,
                                    .quantity = offer.quantity,
                                    .price = offer.price};
    enum contract_error error = fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &offer);
    return error != CONTRACT_OK ? error
                                : fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request);
}

static void open_market_by_baseline(void)
{
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("base");
    terms.delivery.method = DELIVERY_BASELINE;
    terms.delivery.baseline_days = DAYS;
    terms.delivery.baseline_highest = HIGHEST;
    terms.delivery.baseline_adjustment_permille = 200;
    terms.delivery.baseline_window = WINDOW;
    terms.delivery.baseline_gap = GAP;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    assert_error(CONTRACT_OK, trade(DELIVERY_MS, DIRECTION_UP));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

static void go_to(int64_t ms)
{
    fixture_next_block(&fixture, ms - timestamp_ms(fixture.context.time));
}

static int descending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    if (x[0] != y[0])
        return x[0] < y[0] ? 1 : -1;
    return x[1] < y[1] ? -1 : 1; /* of equal sums the day nearer to the delivery */
}

/* The reference of each unit by sorting days, with the adjustment as a fraction held in its cap. */
static void model(int64_t reference[MARKET_UNITS], const int *back, int count)
{
    int64_t ranked[DAYS][2];
    for (int d = 0; d < count; d++) {
        ranked[d][0] = 0;
        ranked[d][1] = back[d];
        for (int i = 0; i < MARKET_UNITS; i++)
            ranked[d][0] += consumed(DELIVERY_MS - back[d] * DAY_MS + i * (int64_t)MARKET_MTU_MS);
    }
    qsort(ranked, (size_t)count, sizeof ranked[0], descending);
    int64_t actual = 0, mean = 0;
    for (int i = 0; i < WINDOW; i++) {
        int64_t offset = (i - WINDOW - GAP) * (int64_t)MARKET_MTU_MS, sum = 0;
        actual += consumed(DELIVERY_MS + offset);
        for (int d = 0; d < HIGHEST; d++)
            sum += consumed(DELIVERY_MS - ranked[d][1] * DAY_MS + offset);
        mean += sum / HIGHEST;
    }
    for (int i = 0; i < MARKET_UNITS; i++) {
        int64_t sum = 0;
        for (int d = 0; d < HIGHEST; d++)
            sum += consumed(DELIVERY_MS - ranked[d][1] * DAY_MS + i * (int64_t)MARKET_MTU_MS);
        int64_t value = sum / HIGHEST;
        if (actual * 10 > mean * 12)
            reference[i] = value * 12 / 10;
        else if (actual * 10 < mean * 8)
            reference[i] = value * 8 / 10;
        else
            reference[i] = value * actual / mean;
    }
}

static void test_reference_and_credit(void **state)
{
    (void)state;
    static const int back[] = {6, 5, 4, 3};
    int64_t reference[MARKET_UNITS], sum = 0;
    open_market_by_baseline();
    go_to(DELIVERY_MS + MARKET_PERIOD_MS);
    /* Monday looks back over the weekend to Friday, Thursday, Wednesday, Tuesday. */
    show(back, 4);
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    model(reference, back, 4);
    for (int i = 0; i < MARKET_UNITS; i++)
        sum += reference[i] - consumed(DELIVERY_MS + i * (int64_t)MARKET_MTU_MS);
    assert_int_equal(energy_wh(market_deal(&fixture, 1).delivered), sum);
    assert_true(sum > 100 && sum < 1200);
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

/* A day on which the device was sold is passed over, whichever the direction and the market. */
static void test_activated_days_are_no_candidates(void **state)
{
    (void)state;
    static const int all[] = {6, 5, 4, 3}, right[] = {7, 6, 4, 3};
    open_market_by_baseline();
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 9 * 48 + 47, DIRECTION_DOWN, 100, 9));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 9 * 48 + 47, DIRECTION_DOWN, 100, 9));
    go_to(DELIVERY_MS + MARKET_PERIOD_MS);
    show(all, 4);
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    show(right, 4);
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    fixture_close(&fixture);
}

static void test_forged_witnesses(void **state)
{
    (void)state;
    static const int later[] = {5, 4, 3, 2}, other_order[] = {3, 4, 5, 6}, right[] = {6, 5, 4, 3};
    open_market_by_baseline();
    go_to(DELIVERY_MS + MARKET_PERIOD_MS);
    show(later, 4);
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    show(other_order, 4);
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    show(right, 3);
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    show(right, 4);
    witness.reading_count = MARKET_UNITS;
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    show(right, 4);
    witness.readings[MARKET_UNITS + WINDOW].reading.net = energy_of(99999);
    assert_error(CONTRACT_BAD_PROOF, market_prove(&fixture, "alice", 1, &witness));
    show(right, 4);
    witness.unit_count = 1;
    assert_error(CONTRACT_BAD_SCHEDULE, market_prove(&fixture, "alice", 1, &witness));
    show(right, 4);
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 1, &witness));
    fixture_close(&fixture);
}

static void test_too_few_days(void **state)
{
    (void)state;
    static const int back[] = {6, 5, 4, 3};
    open_market_by_baseline();
    /* Every day from the tenth week before on is sold, but the two before the weekend. */
    for (int day = 1; day < 10; day++) {
        assert_error(CONTRACT_OK,
                     trade(FIXTURE_TIME_MS + day * DAY_MS + DAY_MS / 4, DIRECTION_DOWN));
        go_to(FIXTURE_TIME_MS + day * DAY_MS);
    }
    go_to(DELIVERY_MS + MARKET_PERIOD_MS);
    show(back, 4);
    /* Candidates before genesis are days as well; nobody has readings of them. */
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_and_credit),
        cmocka_unit_test(test_activated_days_are_no_candidates),
        cmocka_unit_test(test_forged_witnesses),
        cmocka_unit_test(test_too_few_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
