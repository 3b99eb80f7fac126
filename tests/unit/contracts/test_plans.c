/* Forecasts, dispatch and data sheets on the ledger (docs/spec/plans.md): what is refused, each under its
 * name, versions and revisions without gaps, answers in time and late, hashes that cover what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/dispatch.h"
#include "tests/lib/contracts/deal_fixture.h"

static struct fixture fixture;

static struct hash some_hash(uint8_t byte)
{
    struct hash hash;
    memset(hash.bytes, byte, sizeof hash.bytes);
    return hash;
}

static int64_t now(void)
{
    return timestamp_ms(fixture.context.time);
}

/* --- forecasts ------------------------------------------------------------------------------ */

static struct forecast_publish forecast(uint32_t version)
{
    return (struct forecast_publish){.series = fixture_name("pv"),
                                     .place = fixture_name("z1"),
                                     .kind = FORECAST_GENERATION,
                                     .start = market_period(4),
                                     .interval = duration_of(MARKET_MTU_MS),
                                     .count = 96,
                                     .version = version,
                                     .values = some_hash(7)};
}

static enum contract_error publish(const char *who, const struct forecast_publish *action)
{
    return fixture_act(&fixture, who, ACTION_FORECAST_PUBLISH, action);
}

static struct forecast_record forecast_at(const char *who, uint32_t version)
{
    struct name publisher = fixture_name(who);
    struct name series = fixture_name("pv");
    struct forecast_record record;
    struct state_key key = state_key_forecast(&publisher, &series, market_period(4), version);
    assert_true(ledger_read(fixture.view, &key, &forecast_record_codec, &record));
    return record;
}

static void test_forecast_versions(void **state)
{
    (void)state;
    market_open(&fixture);
    struct forecast_publish action = forecast(0);
    assert_error(CONTRACT_OK, publish("agg", &action));
    struct timestamp first = fixture.context.time;
    assert_error(CONTRACT_EXISTS_ALREADY, publish("agg", &action));
    /* Another publisher's series of that name is another series. */
    assert_error(CONTRACT_OK, publish("dso", &action));
    action.version = 2;
    assert_error(CONTRACT_BAD_REVISION, publish("agg", &action));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    action.version = 1;
    action.values = some_hash(8);
    action.count = 48;
    assert_error(CONTRACT_OK, publish("agg", &action));
    assert_int_equal(forecast_at("agg", 0).count, 96);
    assert_int_equal(timestamp_ms(forecast_at("agg", 0).published), timestamp_ms(first));
    assert_int_equal(forecast_at("agg", 1).count, 48);
    assert_int_equal(timestamp_ms(forecast_at("agg", 1).published), now());
    action = forecast(2);
    action.place = fixture_name("z2");
    assert_error(CONTRACT_BAD_PARAMETER, publish("agg", &action));
    action = forecast(2);
    action.kind = FORECAST_NET;
    assert_error(CONTRACT_BAD_PARAMETER, publish("agg", &action));
    action = forecast(2);
    action.interval = duration_of(MARKET_MTU_MS / 3);
    assert_error(CONTRACT_BAD_PARAMETER, publish("agg", &action));
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_forecast_refused(void **state)
{
    (void)state;
    market_open(&fixture);
    const int64_t start = timestamp_ms(market_period(4));
    const struct {
        const char *name;
        int64_t start, interval;
        uint32_t count;
        uint8_t hash;
        enum contract_error error;
    } rows[] = {
        {"before 1970", -MARKET_MTU_MS, MARKET_MTU_MS, 96, 7, CONTRACT_BAD_PARAMETER},
        {"beside the grid", start + 1, MARKET_MTU_MS, 96, 7, CONTRACT_BAD_PARAMETER},
        {"no interval", start, 0, 96, 7, CONTRACT_BAD_PARAMETER},
        {"over a day", start, MS_PER_DAY + 1, 1, 7, CONTRACT_BAD_PARAMETER},
        {"no values", start, MARKET_MTU_MS, 0, 7, CONTRACT_BAD_PARAMETER},
        {"too many", start, MARKET_MTU_MS, FORECAST_VALUES_MAX + 1, 7, CONTRACT_BAD_PARAMETER},
        {"no hash", start, MARKET_MTU_MS, 96, 0, CONTRACT_BAD_PARAMETER},
        {"end beyond time", INT64_MAX - INT64_MAX % MS_PER_DAY, MS_PER_DAY, 2, 7,
         CONTRACT_BAD_PARAMETER},
        {"over", now() - MARKET_MTU_MS - now() % MARKET_MTU_MS, MARKET_MTU_MS, 1, 7,
         CONTRACT_TOO_LATE},
        {"its last interval runs", now() - MARKET_MTU_MS - now() % MARKET_MTU_MS, MARKET_MTU_MS, 2,
         7, CONTRACT_OK},
        {"a year", start, MARKET_MTU_MS, FORECAST_VALUES_MAX, 7, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct forecast_publish action = forecast(0);
        action.start = timestamp_of(rows[i].start);
        action.interval = duration_of(rows[i].interval);
        action.count = rows[i].count;
        action.values = some_hash(rows[i].hash);
        print_message("%s\n", rows[i].name);
        assert_error(rows[i].error, publish("agg", &action));
    }
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_forecast_versions_are_bounded(void **state)
{
    (void)state;
    market_open(&fixture);
    fixture_fund(&fixture, "agg", 10000000);
    for (uint32_t version = 0; version < FORECAST_VERSIONS_MAX; version++) {
        struct forecast_publish action = forecast(version);
        assert_error(CONTRACT_OK, publish("agg", &action));
    }
    struct forecast_publish action = forecast(FORECAST_VERSIONS_MAX);
    assert_error(CONTRACT_BAD_REVISION, publish("agg", &action));
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* --- dispatch ------------------------------------------------------------------------------- */

static struct dispatch_send instruction(uint64_t deal, uint32_t revision)
{
    struct timestamp start = market_period(4);
    return (struct dispatch_send){.device = fixture_name("dev-alice"),
                                  .start = start,
                                  .interval = duration_of(MARKET_MTU_MS),
                                  .count = MARKET_UNITS,
                                  .revision = revision,
                                  .deal = deal,
                                  .deadline = start,
                                  .setpoints = some_hash(9)};
}

static enum contract_error send(const char *who, const struct dispatch_send *action)
{
    return fixture_act(&fixture, who, ACTION_DISPATCH_SEND, action);
}

static enum contract_error answer(const char *who, uint32_t revision, bool accepted)
{
    struct dispatch_ack action = {.device = fixture_name("dev-alice"),
                                  .start = market_period(4),
                                  .revision = revision,
                                  .accepted = accepted};
    return fixture_act(&fixture, who, ACTION_DISPATCH_ACK, &action);
}

static struct dispatch_record dispatch_at(uint32_t revision)
{
    struct name device = fixture_name("dev-alice");
    struct dispatch_record record;
    struct state_key key = state_key_dispatch(&device, market_period(4), revision);
    assert_true(ledger_read(fixture.view, &key, &dispatch_record_codec, &record));
    return record;
}

static void delegate(const char *manager, struct timestamp from, struct timestamp until)
{
    struct device_delegate offer = {.device = fixture_name("dev-alice"),
                                    .manager = fixture_name(manager),
                                    .from = from,
                                    .until = until};
    struct device_delegate_accept accept = {.device = offer.device};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_DELEGATE, &offer));
    assert_error(CONTRACT_OK,
                 fixture_act(&fixture, manager, ACTION_DEVICE_DELEGATE_ACCEPT, &accept));
}

static void as_it_is(struct market_create *terms)
{
    (void)terms;
}

static void test_dispatch_for_a_deal(void **state)
{
    (void)state;
    deal_open(&fixture, as_it_is);
    int128 before = fixture_pots(&fixture);
    struct dispatch_send action = instruction(1, 0);
    assert_error(CONTRACT_NOT_PERMITTED, send("agg", &action));
    assert_error(CONTRACT_OK, send("dso", &action));
    assert_error(CONTRACT_EXISTS_ALREADY, send("dso", &action));
    struct dispatch_record sent = dispatch_at(0);
    assert_int_equal(sent.answer, DISPATCH_UNANSWERED);
    assert_int_equal(timestamp_ms(sent.sent), now());
    assert_error(CONTRACT_NO_PENDING_REQUEST, answer("alice", 1, true));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, answer("dso", 0, true));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_error(CONTRACT_OK, answer("alice", 0, true));
    assert_error(CONTRACT_EXISTS_ALREADY, answer("alice", 0, false));
    sent = dispatch_at(0);
    assert_int_equal(sent.answer, DISPATCH_ACCEPTED);
    assert_int_equal(timestamp_ms(sent.answered), now());
    /* The seller sends the next one; two ahead is a gap. */
    action = instruction(1, 2);
    assert_error(CONTRACT_BAD_REVISION, send("alice", &action));
    action = instruction(1, 1);
    assert_error(CONTRACT_OK, send("alice", &action));
    assert_error(CONTRACT_OK, answer("alice", 1, false));
    assert_int_equal(dispatch_at(1).answer, DISPATCH_REFUSED);
    assert_int_equal(dispatch_at(0).answer, DISPATCH_ACCEPTED);
    assert_true(fixture_pots(&fixture) == before);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_dispatch_refused(void **state)
{
    (void)state;
    deal_open(&fixture, as_it_is);
    const int64_t start = timestamp_ms(market_period(4));
    const struct {
        const char *name, *device;
        int64_t start, interval, deadline;
        uint32_t count;
        uint64_t deal;
        uint8_t hash;
        enum contract_error error;
    } rows[] = {
        {"no such deal", "dev-alice", start, MARKET_MTU_MS, start, 2, 99, 9, CONTRACT_UNKNOWN_DEAL},
        {"another device", "dev-bob", start, MARKET_MTU_MS, start, 2, 1, 9,
         CONTRACT_UNKNOWN_DEVICE},
        {"before the period", "dev-alice", start - MARKET_MTU_MS, MARKET_MTU_MS,
         start - MARKET_MTU_MS, 2, 1, 9, CONTRACT_BAD_PERIOD},
        {"beyond it", "dev-alice", start, MARKET_MTU_MS, start, 3, 1, 9, CONTRACT_BAD_PERIOD},
        {"no set-points", "dev-alice", start, MARKET_MTU_MS, start, 0, 1, 9,
         CONTRACT_BAD_PARAMETER},
        {"too many", "dev-alice", start, 1, start, LIMIT_INTERVALS_PER_PERIOD + 1, 1, 9,
         CONTRACT_BAD_PARAMETER},
        {"no interval", "dev-alice", start, 0, start, 2, 1, 9, CONTRACT_BAD_PARAMETER},
        {"no hash", "dev-alice", start, MARKET_MTU_MS, start, 2, 1, 0, CONTRACT_BAD_PARAMETER},
        {"a deadline after the start", "dev-alice", start, MARKET_MTU_MS, start + 1, 2, 1, 9,
         CONTRACT_BAD_PARAMETER},
        {"its deadline is now", "dev-alice", start, MARKET_MTU_MS, now(), 2, 1, 9,
         CONTRACT_TOO_LATE},
        {"a part of the period", "dev-alice", start + MARKET_MTU_MS, MARKET_MTU_MS, now() + 1, 1, 1,
         9, CONTRACT_OK},
        {"without a deal, of a stranger", "dev-alice", start, MARKET_MTU_MS, start, 2, 0, 9,
         CONTRACT_NOT_YOURS_TO_OFFER},
        {"without a deal, no device", "none", start, MARKET_MTU_MS, start, 2, 0, 9,
         CONTRACT_UNKNOWN_DEVICE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dispatch_send action = instruction(rows[i].deal, 0);
        action.device = fixture_name(rows[i].device);
        action.start = timestamp_of(rows[i].start);
        action.interval = duration_of(rows[i].interval);
        action.deadline = timestamp_of(rows[i].deadline);
        action.count = rows[i].count;
        action.setpoints = some_hash(rows[i].hash);
        print_message("%s\n", rows[i].name);
        assert_error(rows[i].error, send("dso", &action));
    }
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_dispatch_without_a_deal(void **state)
{
    (void)state;
    market_open(&fixture);
    const int64_t start = timestamp_ms(market_period(4));
    struct dispatch_send action = instruction(0, 0);
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, send("agg", &action));
    /* A manager for half of it neither sends nor answers; the owner still does both. */
    delegate("agg", timestamp_of(start), timestamp_of(start + MARKET_MTU_MS));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, send("agg", &action));
    assert_error(CONTRACT_OK, send("alice", &action));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, answer("agg", 0, true));
    assert_error(CONTRACT_OK, answer("alice", 0, true));
    fixture_end_block(&fixture);
    fixture_close(&fixture);

    market_open(&fixture);
    delegate("agg", timestamp_of(start), timestamp_of(start + MARKET_PERIOD_MS));
    assert_error(CONTRACT_OK, send("alice", &action));
    assert_error(CONTRACT_NOT_YOURS_TO_OFFER, answer("alice", 0, true));
    /* One millisecond before the deadline is in time, the deadline itself is not. */
    fixture_next_block(&fixture, start - now() - 1);
    assert_error(CONTRACT_OK, answer("agg", 0, true));
    fixture_end_block(&fixture);
    fixture_close(&fixture);

    market_open(&fixture);
    assert_error(CONTRACT_OK, send("alice", &action));
    fixture_next_block(&fixture, start - now());
    assert_error(CONTRACT_TOO_LATE, answer("alice", 0, true));
    assert_int_equal(dispatch_at(0).answer, DISPATCH_UNANSWERED);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

static void test_dispatch_revisions_are_bounded(void **state)
{
    (void)state;
    market_open(&fixture);
    for (uint32_t revision = 0; revision < DISPATCH_REVISIONS_MAX; revision++) {
        struct dispatch_send action = instruction(0, revision);
        assert_error(CONTRACT_OK, send("alice", &action));
    }
    struct dispatch_send action = instruction(0, DISPATCH_REVISIONS_MAX);
    assert_error(CONTRACT_BAD_REVISION, send("alice", &action));
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* --- hashes, sheets ------------------------------------------------------------------------- */

/* Each part that a hash covers changes it, and nothing else does. */
static void test_hashes_cover_everything(void **state)
{
    (void)state;
    struct energy values[2] = {energy_of(5), energy_of(-5)};
    uint8_t salt[PLAN_SALT_SIZE] = {1};
    struct hash seen[16];
    size_t count = 0;
    struct forecast_publish plan = forecast(0);
    plan.count = 2;
    struct name publisher = fixture_name("agg");
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    plan.values = some_hash(1);
    forecast_hash(&seen[count], salt, &publisher, &plan, values);
    assert_true(hash_equal(&seen[0], &seen[count]));
    plan.version = 1;
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    plan.version = 0;
    plan.start = timestamp_of(0);
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    plan = forecast(0);
    plan.count = 2;
    values[1] = energy_of(-6);
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    values[1] = energy_of(-5);
    publisher = fixture_name("dso");
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    publisher = fixture_name("agg");
    salt[15] = 1;
    forecast_hash(&seen[count++], salt, &publisher, &plan, values);
    struct dispatch_send sent = instruction(0, 0);
    dispatch_hash(&seen[count++], salt, &publisher, &sent, values);
    sent.deal = 1;
    dispatch_hash(&seen[count++], salt, &publisher, &sent, values);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(hash_equal(&seen[i], &seen[j]));
}

static void test_sheet(void **state)
{
    (void)state;
    market_open(&fixture);
    struct device_sheet action = {.device = fixture_name("dev-alice"),
                                  .address_hash = some_hash(3)};
    assert_error(CONTRACT_NOT_OWNER, fixture_act(&fixture, "bob", ACTION_DEVICE_SHEET, &action));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_SHEET, &action));
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &action.device);
    assert_true(ledger_read(fixture.view, &key, &device_record_codec, &device));
    assert_true(hash_equal(&device.address_hash, &action.address_hash));
    action.address_hash = some_hash(0);
    assert_error(CONTRACT_BAD_PARAMETER,
                 fixture_act(&fixture, "alice", ACTION_DEVICE_SHEET, &action));
    action.device = fixture_name("none");
    assert_error(CONTRACT_UNKNOWN_DEVICE,
                 fixture_act(&fixture, "alice", ACTION_DEVICE_SHEET, &action));
    struct device_status retire = {.device = fixture_name("dev-alice"), .status = STATUS_RETIRED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_STATUS, &retire));
    action = (struct device_sheet){.device = retire.device, .address_hash = some_hash(4)};
    assert_error(CONTRACT_SUSPENDED, fixture_act(&fixture, "alice", ACTION_DEVICE_SHEET, &action));
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecast_versions),
        cmocka_unit_test(test_forecast_refused),
        cmocka_unit_test(test_forecast_versions_are_bounded),
        cmocka_unit_test(test_dispatch_for_a_deal),
        cmocka_unit_test(test_dispatch_refused),
        cmocka_unit_test(test_dispatch_without_a_deal),
        cmocka_unit_test(test_dispatch_revisions_are_bounded),
        cmocka_unit_test(test_hashes_cover_everything),
        cmocka_unit_test(test_sheet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
