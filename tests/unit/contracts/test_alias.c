/* Aliases of devices on the ledger: who may issue them for what, that the right to offer works on them
 * within their validity and nowhere else, that they change neither hands nor managers, and that a baseline
 * under an alias is settled by what the meter operator derived, without a single reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/alias.h"
#include "crypto/merkle.h"
#include "tests/lib/contracts/market_fixture.h"

static struct fixture fixture;
static struct delivery_witness witness;

/* For alice, in market "flex", over the market's fifth period. */
static struct alias_issue good_issue(const char *id)
{
    struct alias_issue issue = {.id = fixture_name(id),
                                .manager = fixture_name("agg"),
                                .market = fixture_name("flex"),
                                .from = market_period(4),
                                .until = market_period(5),
                                .type = DEVICE_STORAGE,
                                .max_power = power_of(4000),
                                .capacity = energy_of(8000),
                                .connection = power_of(17250),
                                .node = fixture_name("f1"),
                                .feeder = fixture_name("f1"),
                                .zone = fixture_name("z1"),
                                .meter_key = fixture_key(id)};
    static const uint8_t nonce[ALIAS_NONCE_SIZE] = {7};
    const struct name device = fixture_name("dev-alice");
    alias_commitment(&issue.commitment, nonce, &device, &issue.id);
    return issue;
}

static enum contract_error issue_alias(const struct alias_issue *issue)
{
    return fixture_act(&fixture, "dso", ACTION_ALIAS_ISSUE, issue);
}

enum spoilt {
    POWER,
    CONNECTION,
    CAPACITY,
    TOO_STRONG,
    UNCOMMITTED,
    NO_KEY,
    ONE_KEY,
    NO_TIME,
    HABIT,
    OVER,
    TAKEN,
    NOBODY,
    NOWHERE,
    ELSEWHERE,
    SPOILT_COUNT
};

static void spoil(struct alias_issue *issue, enum spoilt spoilt)
{
    switch (spoilt) {
    case POWER:
        issue->max_power = power_of(0);
        return;
    case CONNECTION:
        issue->connection = power_of(0);
        return;
    case CAPACITY:
        issue->capacity = energy_of(-1);
        return;
    case TOO_STRONG:
        issue->max_power = power_of(2 * 17250 + 1);
        return;
    case UNCOMMITTED:
        memset(&issue->commitment, 0, sizeof issue->commitment);
        return;
    case NO_KEY:
        memset(&issue->meter_key, 0, sizeof issue->meter_key);
        return;
    case ONE_KEY:
        issue->submeter_key = issue->meter_key;
        return;
    case NO_TIME:
        issue->until = issue->from;
        return;
    case HABIT:
        assert_true(timestamp_add(&issue->until, issue->from, duration_of(limit_alias_ms + 1)));
        return;
    case OVER:
        issue->from = timestamp_of(0);
        issue->until = timestamp_of(limit_alias_ms);
        return;
    case TAKEN:
        issue->id = fixture_name("dev-bob");
        return;
    case NOBODY:
        issue->manager = fixture_name("nobody");
        return;
    case NOWHERE:
        issue->market = fixture_name("none");
        return;
    case ELSEWHERE:
        issue->zone = fixture_name("z2");
        return;
    case SPOILT_COUNT:
        fail();
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const enum contract_error errors[SPOILT_COUNT] = {
        [POWER] = CONTRACT_AMOUNT_NOT_POSITIVE, [CONNECTION] = CONTRACT_AMOUNT_NOT_POSITIVE,
        [CAPACITY] = CONTRACT_BAD_PARAMETER,    [TOO_STRONG] = CONTRACT_BAD_PARAMETER,
        [UNCOMMITTED] = CONTRACT_BAD_PARAMETER, [NO_KEY] = CONTRACT_BAD_KEY,
        [ONE_KEY] = CONTRACT_BAD_KEY,           [NO_TIME] = CONTRACT_BAD_PARAMETER,
        [HABIT] = CONTRACT_BAD_PARAMETER,       [OVER] = CONTRACT_TOO_LATE,
        [TAKEN] = CONTRACT_EXISTS_ALREADY,      [NOBODY] = CONTRACT_UNKNOWN_PARTICIPANT,
        [NOWHERE] = CONTRACT_UNKNOWN_MARKET,    [ELSEWHERE] = CONTRACT_WRONG_ZONE,
    };
    market_open(&fixture);
    for (int i = 0; i < SPOILT_COUNT; i++) {
        struct alias_issue issue = good_issue("a-1");
        spoil(&issue, (enum spoilt)i);
        assert_error(errors[i], issue_alias(&issue));
    }
    struct alias_issue issue = good_issue("a-1");
    assert_error(CONTRACT_NOT_PERMITTED, fixture_act(&fixture, "agg", ACTION_ALIAS_ISSUE, &issue));
    assert_error(CONTRACT_OK, issue_alias(&issue));
    assert_error(CONTRACT_EXISTS_ALREADY, issue_alias(&issue));
    fixture_close(&fixture);
}

static enum contract_error offer(const char *sender, const char *alias, int period, int64_t wh)
{
    return market_offer(&fixture, sender, alias, period, DIRECTION_UP, wh, 250000);
}

static void test_right_to_offer(void **state)
{
    (void)state;
    market_open(&fixture);
    const struct alias_issue issue = good_issue("a-1");
    assert_error(CONTRACT_OK, issue_alias(&issue));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("alice", "a-1", 4, 1000));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("agg2", "a-1", 4, 1000));
    /* Nor the DSO, whose it is on the ledger, within its validity or without. */
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("dso", "a-1", 4, 1000));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("dso", "a-1", 5, 1000));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("agg", "a-1", 3, 1000));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, offer("agg", "a-1", 5, 1000));
    /* 4000 W over half an hour are 2000 Wh. */
    assert_error(CONTRACT_OVER_DEVICE_POWER, offer("agg", "a-1", 4, 2040));
    assert_error(CONTRACT_OK, offer("agg", "a-1", 4, 2000));
    assert_error(CONTRACT_OVER_DEVICE_POWER, offer("agg", "a-1", 4, 40));
    struct device_status suspend = {.device = issue.id, .status = STATUS_SUSPENDED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &suspend));
    assert_error(CONTRACT_SUSPENDED, offer("agg", "a-1", 4, 40));
    fixture_close(&fixture);
}

static void test_never_changes_hands(void **state)
{
    (void)state;
    market_open(&fixture);
    const struct alias_issue issue = good_issue("a-1");
    assert_error(CONTRACT_OK, issue_alias(&issue));
    struct device_delegate delegate = {.device = issue.id,
                                       .manager = fixture_name("agg2"),
                                       .from = issue.from,
                                       .until = market_period(100)};
    struct device_transfer transfer = {.device = issue.id, .new_owner = fixture_name("alice")};
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "dso", ACTION_DEVICE_DELEGATE, &delegate));
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "dso", ACTION_DEVICE_TRANSFER, &transfer));
    assert_error(CONTRACT_NOT_OWNER,
                 fixture_act(&fixture, "agg", ACTION_DEVICE_TRANSFER, &transfer));
    fixture_close(&fixture);
}

/* --- a baseline under an alias ----------------------------------------------------------------- */

static void show(uint64_t deal, uint8_t meter, const int64_t values[MARKET_UNITS],
                 uint32_t revision)
{
    const struct deal_record record = market_deal(&fixture, deal);
    memset(&witness, 0, sizeof witness);
    witness.reading_count = MARKET_UNITS;
    for (int i = 0; i < MARKET_UNITS; i++) {
        struct revealed_reading *out = &witness.readings[i];
        struct hash leaf;
        out->meter_operator = fixture_name("meters");
        out->batch = fixture_name("aliases");
        memset(out->salt, 0x33 + i, sizeof out->salt);
        out->reading = (struct meter_reading){.device = record.device,
                                              .meter = meter,
                                              .interval = duration_of(MARKET_MTU_MS),
                                              .net = energy_of(values[i])};
        assert_true(timestamp_add(&out->reading.interval_start, record.period_start,
                                  duration_of(i * (int64_t)MARKET_MTU_MS)));
        struct hash message;
        struct secret_key secret;
        char name[NAME_SIZE + 1];
        meter_reading_message(&message, &out->reading);
        fixture_secret(&secret, name_to_text(name, &record.device));
        assert_true(schnorr_sign(&out->reading.signature, &secret, &message));
        meter_reading_leaf(&leaf, out->salt, &out->reading);
        struct meter_batch batch = {.id = out->batch,
                                    .interval_start = out->reading.interval_start,
                                    .interval = out->reading.interval,
                                    .count = 1,
                                    .revision = revision};
        if (revision > 0)
            batch.reason = bytes_view_of("again", 5);
        merkle_root(&batch.root, &leaf, 1);
        assert_error(CONTRACT_OK, fixture_act(&fixture, "meters", ACTION_METER_BATCH, &batch));
    }
}

static void open_deal_by_baseline(void)
{
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("base");
    terms.delivery.method = DELIVERY_BASELINE;
    terms.delivery.baseline_days = 10;
    terms.delivery.baseline_highest = 5;
    terms.delivery.baseline_adjustment_permille = 200;
    terms.delivery.baseline_window = 8;
    terms.delivery.baseline_gap = 4;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct alias_issue issue = good_issue("a-1");
    issue.market = terms.id;
    assert_error(CONTRACT_OK, issue_alias(&issue));
    struct offer_place place = {.market = terms.id,
                                .period_start = market_period(4),
                                .quantity = energy_of(1000),
                                .price = energy_price_of(250000),
                                .device = issue.id};
    struct request_place request = {.market = terms.id,
                                    .period_start = place.period_start,
                                    .quantity = place.quantity,
                                    .price = place.price};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "agg", ACTION_OFFER_PLACE, &place));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    fixture_next_block(&fixture,
                       timestamp_ms(market_period(5)) - timestamp_ms(fixture.context.time));
}

static void test_baseline_is_derived(void **state)
{
    (void)state;
    open_deal_by_baseline();
    /* Readings instead of what was delivered prove nothing, and no day has to be shown. */
    show(1, METER_CERTIFIED, (const int64_t[]){5000, 5000}, 0);
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "agg", 1, &witness));
    show(1, METER_DELIVERED, (const int64_t[]){580, 300}, 1);
    witness.reading_count = 1;
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "agg", 1, &witness));
    witness.reading_count = 2;
    assert_error(CONTRACT_OK, market_prove(&fixture, "agg", 1, &witness));
    const struct deal_record deal = market_deal(&fixture, 1);
    assert_int_equal(energy_wh(deal.delivered), 880);
    assert_int_equal(energy_wh(deal.credited), 800);
    assert_int_equal(money_ueur(deal.paid), 200000);
    assert_int_equal(deal.state, DEAL_PARTIAL);
    fixture_close(&fixture);
}

/* What is derived serves aliases alone: a device's own readings are there to be shown. */
static void test_nothing_derived_for_a_device(void **state)
{
    (void)state;
    market_open(&fixture);
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_UP, 1000, 250000));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 4, DIRECTION_UP, 1000, 250000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    fixture_next_block(&fixture,
                       timestamp_ms(market_period(5)) - timestamp_ms(fixture.context.time));
    market_measure(&fixture, 1, (const int64_t[]){500, 500}, &witness);
    for (int i = 0; i < MARKET_UNITS; i++)
        witness.readings[i].reading.meter = METER_DELIVERED;
    assert_error(CONTRACT_BAD_READING, market_prove(&fixture, "alice", 1, &witness));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_right_to_offer),
        cmocka_unit_test(test_never_changes_hands),
        cmocka_unit_test(test_baseline_is_derived),
        cmocka_unit_test(test_nothing_derived_for_a_device),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
