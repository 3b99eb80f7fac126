/* Who may ask a meter-data service for what, as a table; requests that are forged, stale or played again;
 * and the same over HTTP. The registry is a table too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/lib/tools/meter_world.h"
#include "tools/client.h"
#include "tools/meterd/server.h"

static struct meter_world world;
static struct meter_service service;
static bool registry_answers;
static struct timestamp clock_now;

static struct timestamp now(void)
{
    return clock_now;
}

/* --- the registry ---------------------------------------------------------------------------- */

static void key_of(struct secret_key *secret, struct public_key *key, const char *participant)
{
    meter_world_key(secret, key, participant, METER_SUB);
}

static bool find_participant(void *context, struct participant_record *out, bool *absent,
                             const struct name *name)
{
    char text[NAME_SIZE + 1];
    struct secret_key secret;
    (void)context;
    memset(out, 0, sizeof *out);
    name_to_text(text, name);
    *absent = strcmp(text, "stranger") == 0;
    out->status = strcmp(text, "suspended") == 0 ? STATUS_SUSPENDED : STATUS_ACTIVE;
    out->roles = strcmp(text, "regulator") == 0 ? ROLE_REGULATOR : ROLE_DSO;
    key_of(&secret, &out->key, text);
    return registry_answers;
}

/* Of dev-000: owned by "owner", managed by "manager" from 10:00 to 14:00; of al-1, an alias that "dso" issued
 * to the same manager for that time. */
static bool find_device(void *context, struct device_record *out, bool *absent,
                        const struct name *name)
{
    const struct name known = world_name("dev-000");
    (void)context;
    memset(out, 0, sizeof *out);
    const struct name alias = world_name("al-1");
    const bool is_alias = name_compare(name, &alias) == 0;
    *absent = !is_alias && name_compare(name, &known) != 0;
    out->owner = world_name(is_alias ? "dso" : "owner");
    out->manager = world_name("manager");
    out->managed_from = world_time("2025-01-15T10:00:00Z");
    out->managed_until = world_time("2025-01-15T14:00:00Z");
    return registry_answers;
}

/* Deal 1: dev-000 from 11:00 to 12:00, by a schedule; deal 2: the same by its sub-meter; deal 3: its power
 * reserved for that hour. */
static bool find_deal(void *context, struct deal_record *out, struct market_create *terms,
                      bool *absent, uint64_t id)
{
    (void)context;
    memset(out, 0, sizeof *out);
    memset(terms, 0, sizeof *terms);
    *absent = id < 1 || id > 3;
    out->buyer = world_name("buyer");
    out->seller = world_name("seller");
    out->device = world_name("dev-000");
    out->period_start = world_time("2025-01-15T11:00:00Z");
    terms->times.mtu = duration_of(900000);
    terms->times.mtus_per_period = 4;
    terms->delivery.method = id == 2 ? DELIVERY_SUBMETER : DELIVERY_SCHEDULE;
    terms->product = id == 3 ? PRODUCT_RESERVATION : PRODUCT_ENERGY;
    return registry_answers;
}

/* --- requests -------------------------------------------------------------------------------- */

struct wish {
    const char *asker;
    const char *from, *until;
    uint64_t deal;
    uint8_t meter;
    uint8_t purpose;
    const char *device;
};

static struct access_request request_of(const struct wish *wish)
{
    struct access_request request = {
        .purpose = wish->purpose,
        .genesis = service.genesis,
        .service = world_name("meters"),
        .asker = world_name(wish->asker),
        .device = world_name(wish->device != NULL ? wish->device : "dev-000"),
        .meter = wish->meter,
        .from = world_time(wish->from),
        .until = world_time(wish->until),
        .deal = wish->deal,
        .time = clock_now};
    return request;
}

static size_t encode(uint8_t bytes[ACCESS_REQUEST_BYTES_MAX], struct access_request *request,
                     bool sign)
{
    struct secret_key secret;
    struct public_key key;
    struct byte_writer writer;
    char text[NAME_SIZE + 1];
    key_of(&secret, &key, name_to_text(text, &request->asker));
    if (sign) {
        assert_true(access_request_sign(request, &secret));
    }
    byte_writer_init(&writer, bytes, ACCESS_REQUEST_BYTES_MAX);
    codec_encode(&access_request_record, request, &writer);
    assert_false(writer.failed);
    return writer.size;
}

static enum access_verdict ask(struct access_request *request, bool sign)
{
    uint8_t bytes[ACCESS_REQUEST_BYTES_MAX];
    struct access_request out;
    const size_t size = encode(bytes, request, sign);
    return access_check(&world.archive, &service.registry, &service.genesis,
                        bytes_view_of(bytes, size), clock_now, &out);
}

static int set_up(void **state)
{
    struct ingest_report report;
    struct commit_report committed;
    (void)state;
    meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    meter_world_device(&world, "dev-000", true);
    FILE *out = fopen(world.file, "w");
    assert_non_null(out);
    meter_world_header(out);
    for (int i = 0; i < 96; i++) {
        meter_world_row(out, "dev-000", METER_CERTIFIED,
                        timestamp_of(timestamp_ms(world_time("2025-01-15")) + i * 900000LL), i);
    }
    assert_int_equal(fclose(out), 0);
    meter_world_ingest(&world, &report, NULL);
    assert_int_equal(report.counts[INGEST_STORED], 96);
    meter_world_post(&world, &committed);
    registry_answers = true;
    clock_now = world_time("2025-01-18T12:00:00Z");
    memset(&service, 0, sizeof service);
    service.archive = &world.archive;
    service.registry = (struct meter_registry){NULL, find_participant, find_device, find_deal};
    service.genesis.bytes[0] = 9;
    service.now = now;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    meter_world_remove(&world);
    return 0;
}

static void test_rights(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        enum access_verdict verdict;
    } rows[] = {
        {{"owner", "2025-01-01", "2025-02-01", 0, 0, 0, NULL}, ACCESS_GRANTED},
        {{"owner", "2025-01-15", "2025-01-16", 0, METER_SUB, 0, NULL}, ACCESS_GRANTED},
        {{"regulator", "2025-01-01", "2025-02-01", 0, 0, 0, NULL}, ACCESS_GRANTED},
        {{"manager", "2025-01-15T10:00Z", "2025-01-15T14:00Z", 0, 0, 0, NULL}, ACCESS_GRANTED},
        {{"manager", "2025-01-15T09:45Z", "2025-01-15T14:00Z", 0, 0, 0, NULL},
         ACCESS_NOT_PERMITTED},
        {{"manager", "2025-01-15T10:00Z", "2025-01-15T14:15Z", 0, 0, 0, NULL},
         ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 1, 0, 0, NULL}, ACCESS_GRANTED},
        {{"seller", "2025-01-15T11:15Z", "2025-01-15T11:30Z", 1, 0, 0, NULL}, ACCESS_GRANTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 0, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T10:45Z", "2025-01-15T12:00Z", 1, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:15Z", 1, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        /* Nothing of a reservation is metered, so no reading settles it. */
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 3, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"seller", "2025-01-15T11:00Z", "2025-01-15T11:15Z", 3, METER_DELIVERED, 0, NULL},
         ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 4, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 1, METER_SUB, 0, NULL},
         ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 2, METER_SUB, 0, NULL},
         ACCESS_GRANTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 2, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 1, 0, 0, "dev-001"},
         ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 1, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15", "2025-01-16", 0, 0, 0, NULL}, ACCESS_NOT_PERMITTED},
        {{"owner", "2025-01-15", "2025-01-16", 0, 0, 0, "dev-001"}, ACCESS_NOT_PERMITTED},
        {{"suspended", "2025-01-15", "2025-01-16", 0, 0, 0, NULL}, ACCESS_UNKNOWN_ASKER},
        {{"stranger", "2025-01-15", "2025-01-16", 0, 0, 0, NULL}, ACCESS_BAD_SIGNATURE},
        {{"owner", "2025-01-16", "2025-01-16", 0, 0, 0, NULL}, ACCESS_BAD_PERIOD},
        {{"owner", "2025-01-14", "2025-01-15", 0, 0, ACCESS_ERASE, NULL}, ACCESS_GRANTED},
        {{"owner", "2025-01-14T01:00Z", "2025-01-15", 0, 0, ACCESS_ERASE, NULL}, ACCESS_BAD_PERIOD},
        {{"owner", "2025-01-14", "2025-01-19", 0, 0, ACCESS_ERASE, NULL}, ACCESS_BAD_PERIOD},
        {{"owner", "2023-01-14", "2025-01-15", 0, 0, ACCESS_ERASE, NULL}, ACCESS_BAD_PERIOD},
        {{"manager", "2025-01-15", "2025-01-16", 0, 0, ACCESS_ERASE, NULL}, ACCESS_NOT_PERMITTED},
        {{"regulator", "2025-01-15", "2025-01-16", 0, 0, ACCESS_ERASE, NULL}, ACCESS_NOT_PERMITTED},
        {{"buyer", "2025-01-15", "2025-01-16", 1, 0, ACCESS_ERASE, NULL}, ACCESS_NOT_PERMITTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct access_request request = request_of(&rows[i].wish);
        const enum access_verdict verdict = ask(&request, true);
        if (verdict != rows[i].verdict) {
            print_error("row %zu: %d\n", i, (int)verdict);
        }
        assert_int_equal(verdict, rows[i].verdict);
    }
    struct access_request request = request_of(&rows[0].wish);
    registry_answers = false;
    assert_int_equal(ask(&request, true), ACCESS_UNAVAILABLE);
}

static const struct wish owners = {.asker = "owner", .from = "2025-01-15", .until = "2025-01-16"};

static void test_forged_stale_and_replayed(void **state)
{
    (void)state;
    uint8_t bytes[ACCESS_REQUEST_BYTES_MAX];
    struct access_request request = request_of(&owners), out;
    assert_int_equal(ask(&request, true), ACCESS_GRANTED);
    assert_int_equal(ask(&request, false), ACCESS_REPLAYED);
    /* Restarted, the service remembers. */
    char problem[ARCHIVE_PROBLEM_SIZE];
    archive_close(&world.archive);
    assert_true(archive_open(&world.archive, world.home, NULL, problem));
    assert_int_equal(ask(&request, false), ACCESS_REPLAYED);
    /* The same wish again, signed again, is another request. */
    assert_int_equal(ask(&request, true), ACCESS_GRANTED);

    /* Who can't sign for a name does not learn what the ledger has of it. */
    static const char *const names[] = {"owner", "suspended", "stranger"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        request = request_of(&owners);
        request.asker = world_name(names[i]);
        assert_int_equal(ask(&request, false), ACCESS_BAD_SIGNATURE);
    }

    request = request_of(&owners);
    request.genesis.bytes[0] ^= 1;
    assert_int_equal(ask(&request, true), ACCESS_OTHER_LEDGER);
    request = request_of(&owners);
    request.service = world_name("others");
    assert_int_equal(ask(&request, true), ACCESS_OTHER_SERVICE);
    for (int64_t off = -60001; off <= 60001; off += 120002) {
        request = request_of(&owners);
        request.time = timestamp_of(timestamp_ms(clock_now) + off);
        assert_int_equal(ask(&request, true), ACCESS_STALE);
        request.time = timestamp_of(timestamp_ms(clock_now) + off / 60001 * 60000);
        assert_int_equal(ask(&request, true), ACCESS_GRANTED);
        assert_int_equal(ask(&request, false), ACCESS_REPLAYED);
    }
    /* After the window, when it is forgotten, it is stale. */
    request = request_of(&owners);
    assert_int_equal(ask(&request, true), ACCESS_GRANTED);
    clock_now = timestamp_of(timestamp_ms(clock_now) + 60001);
    assert_int_equal(ask(&request, false), ACCESS_STALE);

    /* Every bit of what is signed, and of the signature, matters. */
    request = request_of(&owners);
    const size_t size = encode(bytes, &request, true);
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 1;
        assert_int_not_equal(access_check(&world.archive, &service.registry, &service.genesis,
                                          bytes_view_of(bytes, size), clock_now, &out),
                             ACCESS_GRANTED);
        bytes[at] ^= 1;
    }
    assert_int_equal(access_check(&world.archive, &service.registry, &service.genesis,
                                  bytes_view_of(bytes, size - 1), clock_now, &out),
                     ACCESS_MALFORMED);
    assert_int_equal(access_check(&world.archive, &service.registry, &service.genesis,
                                  bytes_view_of(bytes, size), clock_now, &out),
                     ACCESS_GRANTED);
}

static void test_a_new_owner_does_not_see_the_old_ones_load(void **state)
{
    (void)state;
    struct registry_report report = {0};
    struct device_record record;
    char problem[ARCHIVE_PROBLEM_SIZE];
    bool absent;
    const struct name device = world_name("dev-000");
    assert_true(find_device(NULL, &record, &absent, &device));
    /* Until now it was somebody else's; the registry says "owner" from here on. */
    struct secret_key secret;
    meter_world_key(&secret, &record.meter_key, "dev-000", METER_CERTIFIED);
    record.connection = power_of(11000);
    for (int turn = 0; turn < 2; turn++) {
        struct meter_txn *txn = meter_txn_begin(world.archive.db, true);
        record.owner = world_name(turn == 0 ? "former" : "owner");
        registry_take(txn, &device, &record, false,
                      world_time(turn == 0 ? "2025-01-10" : "2025-01-15T12:00Z"), &report);
        assert_true(meter_txn_commit(txn, problem));
    }
    struct wish wish = {
        .asker = "owner", .from = "2025-01-15T12:00Z", .until = "2025-01-15T13:00Z"};
    struct access_request request = request_of(&wish);
    assert_int_equal(ask(&request, true), ACCESS_GRANTED);
    wish.from = "2025-01-15T11:45Z";
    request = request_of(&wish);
    assert_int_equal(ask(&request, true), ACCESS_NOT_PERMITTED);
    const struct wish erase = {
        .asker = "owner", .from = "2025-01-15", .until = "2025-01-16", .purpose = ACCESS_ERASE};
    request = request_of(&erase);
    assert_int_equal(ask(&request, true), ACCESS_NOT_PERMITTED);
}

/* On the ledger an alias is its DSO's. The readings under it are a household's, which the DSO is told nothing
 * of, and the proof of a deal whose buyer it may be: it can neither read nor erase them. */
static void test_an_alias_is_not_its_issuers_to_read(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        enum access_verdict verdict;
    } rows[] = {
        {{"dso", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 0, 0, 0, "al-1"}, ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 0, METER_SUB, 0, "al-1"},
         ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 0, METER_DELIVERED, 0, "al-1"},
         ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15", "2025-01-16", 0, 0, ACCESS_ERASE, "al-1"}, ACCESS_NOT_PERMITTED},
        {{"dso", "2025-01-15", "2025-01-16", 0, METER_DELIVERED, ACCESS_ERASE, "al-1"},
         ACCESS_NOT_PERMITTED},
        {{"manager", "2025-01-15T11:00Z", "2025-01-15T12:00Z", 0, 0, 0, "al-1"}, ACCESS_GRANTED},
    };
    struct registry_report report = {0};
    struct device_record record;
    struct secret_key secret;
    char problem[ARCHIVE_PROBLEM_SIZE];
    bool absent;
    const struct name alias = world_name("al-1");
    assert_true(find_device(NULL, &record, &absent, &alias) && !absent);
    meter_world_key(&secret, &record.meter_key, "al-1", METER_CERTIFIED);
    record.connection = power_of(11000);
    struct meter_txn *txn = meter_txn_begin(world.archive.db, true);
    registry_take(txn, &alias, &record, true, world_time("2025-01-10"), &report);
    assert_true(meter_txn_commit(txn, problem));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct access_request request = request_of(&rows[i].wish);
        const enum access_verdict verdict = ask(&request, true);
        if (verdict != rows[i].verdict) {
            print_error("row %zu: %d\n", i, (int)verdict);
        }
        assert_int_equal(verdict, rows[i].verdict);
    }
}

/* --- over HTTP -------------------------------------------------------------------------------- */

static int post(struct client *client, const char *path, const void *body, size_t size,
                struct cJSON **out)
{
    struct client_answer answer;
    char problem[JSON_PROBLEM_SIZE];
    client_post(client, &answer, path, bytes_view_of(body, size));
    *out = answer.body != NULL ? json_parse_strict(answer.body, answer.size, problem) : NULL;
    const int status = answer.status;
    client_answer_release(&answer);
    return status;
}

static void assert_code(struct cJSON *answer, const char *code)
{
    assert_non_null(answer);
    assert_string_equal(json_string(json_object(answer, "error"), "code"), code);
    cJSON_Delete(answer);
}

static void test_over_http(void **state)
{
    (void)state;
    char problem[ARCHIVE_PROBLEM_SIZE], url[64];
    uint8_t bytes[2 * ACCESS_REQUEST_BYTES_MAX];
    struct cJSON *answer;
    struct client_answer got;
    assert_null(meter_server_start(&service, "localhost", 0, problem));
    struct meter_server *server = meter_server_start(&service, "127.0.0.1", 0, problem);
    assert_non_null(server);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", meter_server_port(server));
    struct client *client = client_open(url, 20000);
    assert_non_null(client);

    struct access_request request = request_of(&owners);
    size_t size = encode(bytes, &request, true);
    assert_int_equal(post(client, "/v1/readings", bytes, size, &answer), 200);
    assert_string_equal(json_string(answer, "format"), "flexreveal/1");
    assert_int_equal(cJSON_GetArraySize(json_array(answer, "readings")), 96);
    cJSON_Delete(answer);
    assert_int_equal(post(client, "/v1/readings", bytes, size, &answer), 409);
    assert_code(answer, "replayed");
    /* What was signed to read does not erase, and the other way round. */
    request = request_of(&owners);
    size = encode(bytes, &request, true);
    assert_int_equal(post(client, "/v1/erase", bytes, size, &answer), 400);
    assert_code(answer, "malformed");
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(post(client, "/v1/readings", bytes, 10, &answer), 400);
    assert_code(answer, "malformed");
    assert_int_equal(post(client, "/v1/readings", bytes, sizeof bytes, &answer), 413);
    assert_code(answer, "oversized");
    assert_int_equal(post(client, "/v1/other", bytes, 10, &answer), 404);
    assert_code(answer, "not_found");
    const struct wish long_wish = {.asker = "owner", .from = "2024-01-15", .until = "2025-01-16"};
    request = request_of(&long_wish);
    size = encode(bytes, &request, true);
    assert_int_equal(post(client, "/v1/readings", bytes, size, &answer), 400);
    assert_code(answer, "bad_period");
    client_get(client, &got, "/health");
    assert_int_equal(got.status, 200);
    client_answer_release(&got);
    client_get(client, &got, "/v1/readings");
    assert_int_equal(got.status, 405);
    client_answer_release(&got);

    struct wish erase = owners;
    erase.purpose = ACCESS_ERASE;
    request = request_of(&erase);
    size = encode(bytes, &request, true);
    assert_int_equal(post(client, "/v1/erase", bytes, size, &answer), 200);
    assert_string_equal(json_string(answer, "erased_readings"), "96");
    cJSON_Delete(answer);
    request = request_of(&owners);
    size = encode(bytes, &request, true);
    assert_int_equal(post(client, "/v1/readings", bytes, size, &answer), 200);
    assert_int_equal(cJSON_GetArraySize(json_array(answer, "readings")), 0);
    uint32_t erased;
    assert_true(json_u32(&erased, answer, "erased"));
    assert_int_equal(erased, 96);
    cJSON_Delete(answer);
    client_close(client);
    meter_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forged_stale_and_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_owner_does_not_see_the_old_ones_load, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_alias_is_not_its_issuers_to_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_over_http, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
