/* The device registry: every error of its actions, both parties' part in delegation and transfer, the
 * right to offer, and commitments that no mix of market time units can oversell. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

/* The registry only reads a market's zone and state, so a record put there by hand will do. */
static void put_market(const char *id, const char *zone, uint8_t market_state)
{
    struct market_record market;
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    struct byte_writer writer;
    memset(&market, 0, sizeof market);
    market.terms.id = fixture_name(id);
    market.terms.zone = fixture_name(zone);
    market.state = market_state;
    market.operator_name = fixture_name("operator");
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&market_record_codec, &market, &writer);
    assert_false(writer.failed);
    struct state_key key = state_key_name(STATE_MARKET, &market.terms.id);
    fixture.view->ops->put(fixture.view, bytes_view_of(key.bytes, key.size),
                           bytes_view_of(bytes, writer.size));
}

static int set_up(void **state)
{
    static const char *const funded[] = {"operator", "alice", "bob", "dso", "agg", "agg2", "carol"};
    (void)state;
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof funded / sizeof funded[0]; i++)
        fixture_fund(&fixture, funded[i], 1000000);
    fixture_device(&fixture, "battery", "alice", "west");
    fixture_register(&fixture, "dora", ROLE_AGGREGATOR);
    struct participant_status status = {.id = fixture_name("dora"), .status = STATUS_SUSPENDED};
    assert_status(CONTRACT_OK,
                  fixture_act(&fixture, "operator", ACTION_PARTICIPANT_STATUS, &status));
    put_market("local", "west", MARKET_OPEN);
    put_market("far", "east", MARKET_OPEN);
    put_market("over", "west", MARKET_CLOSED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

static struct device_record device(const char *id)
{
    struct name name = fixture_name(id);
    struct state_key key = state_key_name(STATE_DEVICE, &name);
    struct device_record record;
    assert_true(ledger_read(fixture.view, &key, &device_record_codec, &record));
    return record;
}

static void assert_name(const char *expected, const struct name *actual)
{
    char text[NAME_SIZE + 1];
    assert_string_equal(expected, name_to_text(text, actual));
}

static struct timestamp at(int64_t ms_after_now)
{
    struct timestamp time;
    assert_true(timestamp_add(&time, fixture.context.time, duration_of(ms_after_now)));
    return time;
}

/* --- registration and status ---------------------------------------------------------------- */

static void test_register(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int64_t max_power;
        int64_t capacity;
        int64_t connection;
        const char *meter; /* NULL: not a key */
        enum contract_error expected;
    } rows[] = {
        {"pv", 5000, 0, 5000, "m1", CONTRACT_OK},
        {"pv", 5000, 0, 5000, "m2", CONTRACT_EXISTS_ALREADY},
        {"battery", 5000, 0, 5000, "m2", CONTRACT_EXISTS_ALREADY},
        {"ev", 0, 0, 5000, "m2", CONTRACT_AMOUNT_NOT_POSITIVE},
        {"ev", -1, 0, 5000, "m2", CONTRACT_AMOUNT_NOT_POSITIVE},
        {"ev", INT64_MIN, 0, 5000, "m2", CONTRACT_AMOUNT_NOT_POSITIVE},
        {"ev", 5000, 0, 0, "m2", CONTRACT_AMOUNT_NOT_POSITIVE},
        {"ev", 5000, 0, -5000, "m2", CONTRACT_AMOUNT_NOT_POSITIVE},
        {"ev", 5000, -1, 5000, "m2", CONTRACT_BAD_PARAMETER},
        {"ev", 10001, 0, 5000, "m2", CONTRACT_BAD_PARAMETER},
        {"ev", INT64_MAX, 0, INT64_MAX / 2, "m2", CONTRACT_BAD_PARAMETER},
        {"ev", 5000, 0, 5000, NULL, CONTRACT_BAD_KEY},
        {"ev", 10000, INT64_MAX, 5000, "m2", CONTRACT_OK},
        {"huge", INT64_MAX, 0, INT64_MAX, "m2", CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct device_register action = {
            .id = fixture_name(rows[i].id),
            .type = DEVICE_EV,
            .max_power = power_of(rows[i].max_power),
            .capacity = energy_of(rows[i].capacity),
            .connection = power_of(rows[i].connection),
            .node = fixture_name("n1"),
            .feeder = fixture_name("f1"),
            .zone = fixture_name("west"),
        };
        memset(action.meter_key.bytes, 0xff, sizeof action.meter_key.bytes);
        if (rows[i].meter != NULL)
            action.meter_key = fixture_key(rows[i].meter);
        assert_status(rows[i].expected,
                      fixture_act(&fixture, "bob", ACTION_DEVICE_REGISTER, &action));
        if (rows[i].expected == CONTRACT_OK) {
            struct device_record record = device(rows[i].id);
            assert_name("bob", &record.owner);
            assert_int_equal(STATUS_REGISTERED, record.status);
            assert_true(name_is_empty(&record.manager));
        }
    }
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *id;
        uint8_t status;
        enum contract_error expected;
    } rows[] = {
        {"dso", "nothing", STATUS_SUSPENDED, CONTRACT_UNKNOWN_DEVICE},
        {"alice", "nothing", STATUS_RETIRED, CONTRACT_UNKNOWN_DEVICE},
        {"alice", "battery", STATUS_SUSPENDED, CONTRACT_NOT_PERMITTED},
        {"operator", "battery", STATUS_ACTIVE, CONTRACT_NOT_PERMITTED},
        {"dso", "battery", STATUS_REGISTERED, CONTRACT_BAD_PARAMETER},
        {"dso", "battery", STATUS_ACTIVE, CONTRACT_BAD_PARAMETER},
        {"dso", "battery", STATUS_SUSPENDED, CONTRACT_OK},
        {"dso", "battery", STATUS_SUSPENDED, CONTRACT_BAD_PARAMETER},
        {"dso", "battery", STATUS_ACTIVE, CONTRACT_OK},
        {"dso", "battery", STATUS_RETIRED, CONTRACT_NOT_OWNER},
        {"bob", "battery", STATUS_RETIRED, CONTRACT_NOT_OWNER},
        {"alice", "battery", STATUS_RETIRED, CONTRACT_OK},
        {"alice", "battery", STATUS_RETIRED, CONTRACT_SUSPENDED},
        {"dso", "battery", STATUS_ACTIVE, CONTRACT_SUSPENDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct device_status action = {.device = fixture_name(rows[i].id),
                                       .status = rows[i].status};
        assert_status(rows[i].expected,
                      fixture_act(&fixture, rows[i].sender, ACTION_DEVICE_STATUS, &action));
        if (rows[i].expected == CONTRACT_OK)
            assert_int_equal(rows[i].status, device(rows[i].id).status);
    }
}

/* --- delegation and transfer ---------------------------------------------------------------- */

static enum contract_error delegate(const char *sender, const char *id, const char *manager,
                                    int64_t from, int64_t until)
{
    struct device_delegate action = {.device = fixture_name(id),
                                     .manager = fixture_name(manager),
                                     .from = at(from),
                                     .until = at(until)};
    return fixture_act(&fixture, sender, ACTION_DEVICE_DELEGATE, &action);
}

static enum contract_error accept_delegation(const char *sender, const char *id)
{
    struct device_delegate_accept action = {.device = fixture_name(id)};
    return fixture_act(&fixture, sender, ACTION_DEVICE_DELEGATE_ACCEPT, &action);
}

static enum contract_error transfer(const char *sender, const char *id, const char *to)
{
    struct device_transfer action = {.device = fixture_name(id), .new_owner = fixture_name(to)};
    return fixture_act(&fixture, sender, ACTION_DEVICE_TRANSFER, &action);
}

static enum contract_error accept_transfer(const char *sender, const char *id)
{
    struct device_transfer_accept action = {.device = fixture_name(id)};
    return fixture_act(&fixture, sender, ACTION_DEVICE_TRANSFER_ACCEPT, &action);
}

static enum contract_error retire(const char *owner, const char *id)
{
    struct device_status action = {.device = fixture_name(id), .status = STATUS_RETIRED};
    return fixture_act(&fixture, owner, ACTION_DEVICE_STATUS, &action);
}

static void test_delegate(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *device;
        const char *manager;
        int64_t from;
        int64_t until;
        enum contract_error expected;
    } rows[] = {
        {"alice", "nothing", "agg", 0, MS_PER_DAY, CONTRACT_UNKNOWN_DEVICE},
        {"bob", "battery", "agg", 0, MS_PER_DAY, CONTRACT_NOT_OWNER},
        {"agg", "battery", "agg", 0, MS_PER_DAY, CONTRACT_NOT_OWNER},
        {"alice", "battery", "alice", 0, MS_PER_DAY, CONTRACT_BAD_PARAMETER},
        {"alice", "battery", "agg", 5, 5, CONTRACT_BAD_PARAMETER},
        {"alice", "battery", "agg", 6, 5, CONTRACT_BAD_PARAMETER},
        {"alice", "battery", "agg", -10, 0, CONTRACT_TOO_LATE},
        {"alice", "battery", "nobody", 0, MS_PER_DAY, CONTRACT_UNKNOWN_PARTICIPANT},
        {"alice", "battery", "dora", 0, MS_PER_DAY, CONTRACT_SUSPENDED},
        {"alice", "battery", "agg", -10, 1, CONTRACT_OK},
        {"alice", "battery", "agg2", 0, MS_PER_DAY, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_status(rows[i].expected, delegate(rows[i].sender, rows[i].device, rows[i].manager,
                                                 rows[i].from, rows[i].until));
    struct device_record record = device("battery");
    assert_name("agg2", &record.pending_manager);
    assert_true(name_is_empty(&record.manager));
    assert_status(CONTRACT_OK, retire("alice", "battery"));
    assert_status(CONTRACT_SUSPENDED, delegate("alice", "battery", "agg", 0, MS_PER_DAY));
    assert_status(CONTRACT_SUSPENDED, accept_delegation("agg2", "battery"));
}

static void test_delegation_needs_both(void **state)
{
    (void)state;
    assert_status(CONTRACT_UNKNOWN_DEVICE, accept_delegation("agg", "nothing"));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_delegation("agg", "battery"));
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", 0, MS_PER_HOUR));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_delegation("agg2", "battery"));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_delegation("alice", "battery"));
    assert_status(CONTRACT_OK, accept_delegation("agg", "battery"));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_delegation("agg", "battery"));
    struct device_record record = device("battery");
    assert_name("agg", &record.manager);
    assert_true(name_is_empty(&record.pending_manager));
    /* Another manager has to wait; the same one may be given more time. */
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg2", 0, MS_PER_DAY));
    assert_status(CONTRACT_EXISTS_ALREADY, accept_delegation("agg2", "battery"));
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", 0, 2 * MS_PER_HOUR));
    assert_status(CONTRACT_OK, accept_delegation("agg", "battery"));
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg2", 0, MS_PER_DAY));
    fixture_next_block(&fixture, 2 * MS_PER_HOUR - 1);
    assert_status(CONTRACT_EXISTS_ALREADY, accept_delegation("agg2", "battery"));
    fixture_next_block(&fixture, 1);
    assert_status(CONTRACT_OK, accept_delegation("agg2", "battery"));
    /* An offer whose time has passed binds nobody. */
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg2", 0, 1000));
    fixture_next_block(&fixture, 1000);
    assert_status(CONTRACT_TOO_LATE, accept_delegation("agg2", "battery"));
}

static void test_transfer_needs_both(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", 0, MS_PER_DAY));
    assert_status(CONTRACT_OK, accept_delegation("agg", "battery"));
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", 0, 2 * MS_PER_DAY));
    assert_status(CONTRACT_UNKNOWN_DEVICE, transfer("alice", "nothing", "bob"));
    assert_status(CONTRACT_NOT_OWNER, transfer("bob", "battery", "bob"));
    assert_status(CONTRACT_NOT_OWNER, transfer("agg", "battery", "agg"));
    assert_status(CONTRACT_BAD_PARAMETER, transfer("alice", "battery", "alice"));
    assert_status(CONTRACT_UNKNOWN_PARTICIPANT, transfer("alice", "battery", "nobody"));
    assert_status(CONTRACT_SUSPENDED, transfer("alice", "battery", "dora"));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_transfer("bob", "battery"));
    assert_status(CONTRACT_OK, transfer("alice", "battery", "bob"));
    assert_status(CONTRACT_UNKNOWN_DEVICE, accept_transfer("bob", "nothing"));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_transfer("alice", "battery"));
    assert_status(CONTRACT_OK, accept_transfer("bob", "battery"));
    struct device_record record = device("battery");
    assert_name("bob", &record.owner);
    assert_true(name_is_empty(&record.manager));
    assert_true(name_is_empty(&record.pending_manager));
    assert_true(name_is_empty(&record.pending_owner));
    assert_status(CONTRACT_NO_PENDING_REQUEST, accept_transfer("bob", "battery"));
    assert_status(CONTRACT_NOT_OWNER, transfer("alice", "battery", "carol"));
    assert_status(CONTRACT_OK, transfer("bob", "battery", "carol"));
    assert_status(CONTRACT_OK, retire("bob", "battery"));
    assert_status(CONTRACT_SUSPENDED, accept_transfer("carol", "battery"));
    assert_status(CONTRACT_SUSPENDED, transfer("bob", "battery", "carol"));
}

/* --- enrolment and the right to offer ------------------------------------------------------- */

static enum contract_error enrol(const char *sender, const char *id, const char *market,
                                 uint8_t enrolled)
{
    struct device_enrol action = {
        .device = fixture_name(id), .market = fixture_name(market), .enrolled = enrolled};
    return fixture_act(&fixture, sender, ACTION_DEVICE_ENROL, &action);
}

static void test_enrol(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        const char *device;
        const char *market;
        uint8_t enrolled;
        enum contract_error expected;
    } rows[] = {
        {"alice", "nothing", "local", 1, CONTRACT_UNKNOWN_DEVICE},
        {"alice", "battery", "nowhere", 1, CONTRACT_UNKNOWN_MARKET},
        {"bob", "battery", "local", 1, CONTRACT_NOT_YOURS_TO_OFFER},
        {"alice", "battery", "far", 1, CONTRACT_WRONG_ZONE},
        {"alice", "battery", "over", 1, CONTRACT_MARKET_NOT_OPEN},
        {"alice", "battery", "local", 0, CONTRACT_NOT_ENROLLED},
        {"alice", "battery", "local", 1, CONTRACT_OK},
        {"alice", "battery", "local", 1, CONTRACT_EXISTS_ALREADY},
        {"bob", "battery", "local", 0, CONTRACT_NOT_YOURS_TO_OFFER},
        {"alice", "battery", "local", 0, CONTRACT_OK},
        {"alice", "battery", "local", 0, CONTRACT_NOT_ENROLLED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_status(rows[i].expected,
                      enrol(rows[i].sender, rows[i].device, rows[i].market, rows[i].enrolled));
    /* A manager may, while its time runs and not before or after. */
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", 1000, 2000));
    assert_status(CONTRACT_OK, accept_delegation("agg", "battery"));
    assert_status(CONTRACT_NOT_YOURS_TO_OFFER, enrol("agg", "battery", "local", 1));
    fixture_next_block(&fixture, 1000);
    assert_status(CONTRACT_OK, enrol("agg", "battery", "local", 1));
    fixture_next_block(&fixture, 1000);
    assert_status(CONTRACT_NOT_YOURS_TO_OFFER, enrol("agg", "battery", "local", 0));
    struct device_status status = {.device = fixture_name("battery"), .status = STATUS_SUSPENDED};
    assert_status(CONTRACT_OK, enrol("alice", "battery", "local", 0));
    assert_status(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &status));
    assert_status(CONTRACT_SUSPENDED, enrol("alice", "battery", "local", 1));
    assert_status(CONTRACT_OK, retire("alice", "battery"));
    assert_status(CONTRACT_SUSPENDED, enrol("alice", "battery", "local", 1));
}

static struct contract_call call_by(const char *sender)
{
    struct contract_call call = {.ledger = fixture.ledger,
                                 .view = fixture.view,
                                 .context = &fixture.context,
                                 .sender = fixture_name(sender)};
    return call;
}

static enum contract_error right(const char *sender, const char *id, const char *market,
                                 const char *zone, int64_t from, int64_t until)
{
    struct contract_call call = call_by(sender);
    struct name device_id = fixture_name(id);
    const struct market_create terms = {.id = fixture_name(market), .zone = fixture_name(zone)};
    struct device_record record;
    return assets_right_to_offer(&call, &device_id, &terms, at(from), at(until), &record);
}

static void test_right_to_offer(void **state)
{
    (void)state;
    enum { HOUR = MS_PER_HOUR };
    assert_status(CONTRACT_NOT_ENROLLED, right("alice", "battery", "local", "west", 0, HOUR));
    assert_status(CONTRACT_OK, enrol("alice", "battery", "local", 1));
    assert_status(CONTRACT_OK, delegate("alice", "battery", "agg", HOUR, 3 * HOUR));
    assert_status(CONTRACT_OK, accept_delegation("agg", "battery"));
    static const struct {
        const char *sender;
        const char *device;
        const char *market;
        const char *zone;
        int64_t from;
        int64_t until;
        enum contract_error expected;
    } rows[] = {
        {"alice", "nothing", "local", "west", 0, HOUR, CONTRACT_UNKNOWN_DEVICE},
        {"alice", "battery", "local", "west", 0, HOUR, CONTRACT_OK},
        {"alice", "battery", "local", "east", 0, HOUR, CONTRACT_WRONG_ZONE},
        {"alice", "battery", "over", "west", 0, HOUR, CONTRACT_NOT_ENROLLED},
        {"bob", "battery", "local", "west", HOUR, 2 * HOUR, CONTRACT_NOT_YOURS_TO_OFFER},
        {"agg", "battery", "local", "west", HOUR, 3 * HOUR, CONTRACT_OK},
        {"agg", "battery", "local", "west", HOUR - 1, 2 * HOUR, CONTRACT_NOT_YOURS_TO_OFFER},
        {"agg", "battery", "local", "west", 2 * HOUR, 3 * HOUR + 1, CONTRACT_NOT_YOURS_TO_OFFER},
        {"agg", "battery", "local", "west", 0, 4 * HOUR, CONTRACT_NOT_YOURS_TO_OFFER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_status(rows[i].expected, right(rows[i].sender, rows[i].device, rows[i].market,
                                              rows[i].zone, rows[i].from, rows[i].until));
    struct device_status status = {.device = fixture_name("battery"), .status = STATUS_SUSPENDED};
    assert_status(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &status));
    assert_status(CONTRACT_SUSPENDED, right("alice", "battery", "local", "west", 0, HOUR));
    struct device_register fresh = {.id = fixture_name("fresh"),
                                    .max_power = power_of(1),
                                    .connection = power_of(1),
                                    .node = fixture_name("n1"),
                                    .feeder = fixture_name("f1"),
                                    .zone = fixture_name("west"),
                                    .meter_key = fixture_key("fresh")};
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_REGISTER, &fresh));
    assert_status(CONTRACT_NOT_PREQUALIFIED, right("alice", "fresh", "local", "west", 0, HOUR));
}

/* --- commitments ---------------------------------------------------------------------------- */

static enum contract_error commit(int64_t from_minutes, int64_t mtu_minutes, uint32_t count,
                                  int64_t wh)
{
    struct contract_call call = call_by("alice");
    struct name id = fixture_name("battery");
    struct device_record record = device("battery");
    /* Genesis is at midnight. */
    struct timestamp from = timestamp_of(FIXTURE_TIME_MS + from_minutes * 60000);
    return assets_commit(&call, &id, &record, DIRECTION_UP, from, duration_of(mtu_minutes * 60000),
                         count, energy_of(wh));
}

static size_t commitments(void)
{
    static const uint8_t prefix[] = {STATE_COMMITMENT};
    return memory_state_count(fixture.state, bytes_view_of(prefix, sizeof prefix));
}

static void test_commitments_add_up(void **state)
{
    (void)state;
    /* The battery gives 10 kW: 2500 Wh a quarter, 5000 a half, 10000 an hour. */
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(0, 15, 1, 2501));
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(0, 60, 1, 10001));
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(0, 15, 1, INT64_MAX));
    assert_int_equal(0, commitments());
    assert_status(CONTRACT_OK, commit(0, 30, 2, 4000));
    assert_int_equal(4, commitments());
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(30, 30, 1, 1001));
    assert_status(CONTRACT_OK, commit(30, 30, 1, 1000));
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(30, 30, 1, 1));
    /* It fits into the first three quarters and not into the fourth: nothing is booked at all. */
    assert_status(CONTRACT_OK, commit(105, 15, 1, 2500));
    assert_int_equal(5, commitments());
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(60, 15, 4, 1));
    assert_int_equal(5, commitments());
    /* What is taken back in other portions leaves nothing behind. */
    assert_status(CONTRACT_OK, commit(0, 30, 1, -1));
    assert_status(CONTRACT_OK, commit(0, 30, 1, -3999));
    assert_status(CONTRACT_OK, commit(30, 30, 1, -2));
    assert_status(CONTRACT_OK, commit(30, 30, 1, -4998));
    assert_int_equal(1, commitments());
    assert_status(CONTRACT_OK, commit(105, 15, 1, -2500));
    assert_int_equal(0, commitments());
}

/* A quarter hour that is promised in units of one length is not promised in those of another, in no
 * direction: the same energy could be proven once in the hour and once in its quarters. */
static void test_a_quarter_hour_has_one_unit(void **state)
{
    (void)state;
    struct contract_call call = call_by("alice");
    struct name id = fixture_name("battery");
    struct device_record record = device("battery");
    assert_status(CONTRACT_OK, commit(0, 60, 1, 1000));
    for (int64_t quarter = 0; quarter < 4; quarter++)
        assert_status(CONTRACT_OVER_DEVICE_POWER, commit(15 * quarter, 15, 1, 1));
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(30, 30, 1, 1));
    assert_status(CONTRACT_OVER_DEVICE_POWER,
                  assets_commit(&call, &id, &record, DIRECTION_DOWN, timestamp_of(FIXTURE_TIME_MS),
                                duration_of(COMMITMENT_SLOT_MS), 1, energy_of(1)));
    assert_status(CONTRACT_OK, commit(60, 15, 1, 1)); /* the next hour is free */
    assert_status(CONTRACT_OVER_DEVICE_POWER, commit(60, 60, 1, 1));
    /* What is taken back makes room for any unit. */
    assert_status(CONTRACT_OK, commit(0, 60, 1, -1000));
    assert_status(CONTRACT_OK, commit(45, 15, 1, 1));
    assert_int_equal(2, commitments());
}

static void test_releasing_more_than_booked_is_our_bug(void **state)
{
    (void)state;
    assert_status(CONTRACT_OK, commit(0, 15, 1, 100));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        (void)commit(0, 15, 1, -101);
        _exit(0);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_supported_time_units(void **state)
{
    (void)state;
    static const struct {
        int64_t minutes;
        bool supported;
    } rows[] = {{5, false}, {15, true}, {30, true},   {45, false},
                {60, true}, {0, false}, {-15, false}, {120, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(rows[i].supported,
                         assets_mtu_is_supported(duration_of(rows[i].minutes * 60000)));
    assert_false(assets_mtu_is_supported(duration_of(900001)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delegate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delegation_needs_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transfer_needs_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_enrol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_right_to_offer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commitments_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_quarter_hour_has_one_unit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_releasing_more_than_booked_is_our_bug, set_up,
                                        tear_down),
        cmocka_unit_test(test_supported_time_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
