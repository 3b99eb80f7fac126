/* Meter files into the archive: each outcome of a row is a row of a table here; days of 92, 96 and 100
 * quarter hours; registers; and that the same file twice changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tools/meter_world.h"
#include "tools/csv.h"
#include "tools/wallet.h"

static struct meter_world world;
static struct ingest_report report;

static FILE *begin(const char *header)
{
    FILE *out = fopen(world.file, "w");
    assert_non_null(out);
    fputs(header, out);
    return out;
}

static void end(FILE *out)
{
    assert_int_equal(fclose(out), 0);
}

/* Signs whatever the file says with keys that the head-end holds. */
static void make_keys(const char *device, bool sub)
{
    char path[TEMP_PATH_SIZE * 3];
    const struct wallet_cost cost = {0};
    for (uint8_t meter = METER_CERTIFIED; meter <= (sub ? METER_SUB : METER_CERTIFIED); meter++) {
        struct secret_key secret;
        struct public_key key;
        meter_world_key(&secret, &key, device, meter);
        snprintf(path, sizeof path, "%s/%s%s.meter", world.home, device,
                 meter == METER_SUB ? ".sub" : "");
        assert_int_equal(wallet_create(path, &secret, NULL, cost), WALLET_OK);
    }
}

static bool ingest_with_keys(const char *correction)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    const struct ingest_options options = {
        .correction = correction, .keys = world.home, .now = world.now, .threads = 3};
    return ingest_file(&world.archive, &report, world.file, &options, problem);
}

static int64_t net_of(const char *device, uint8_t meter, const char *start)
{
    struct meter_device record;
    struct stored_reading stored;
    const struct name name = world_name(device);
    struct meter_txn *txn = meter_txn_begin(world.archive.db, false);
    assert_non_null(txn);
    assert_true(archive_device(txn, &record, &name, meter));
    const struct reading_place place = {record.group, record.index, world_time(start)};
    assert_int_equal(archive_reading(&world.archive, txn, &stored, &place, NULL), ARCHIVE_OK);
    meter_txn_abort(txn);
    return energy_wh(stored.net);
}

/* --- one row, one outcome ------------------------------------------------------------------- */

static const struct {
    const char *header;
    const char *row;
    enum ingest_outcome outcome;
} rows[] = {
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z,-120", INGEST_STORED},
    {"device,start,net_wh", "a,1736935200000,5", INGEST_STORED},
    {"device;start;net_kwh", "a;2025-01-15 10:00;0.125", INGEST_STORED},
    {"device,start,net_kwh", "a,2025-01-15T12:00:00+02:00,1", INGEST_STORED},
    {"device,meter,start,net_wh", "a,sub,2025-01-15T10:00:00Z,1", INGEST_STORED},
    {"device,start,import_kwh,export_kwh", "a,2025-01-15T10:00:00Z,0.5,0.25", INGEST_STORED},
    {"device,start,interval_ms,net_wh", "a,2025-01-15T10:00:00Z,900000,1", INGEST_STORED},
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z", INGEST_BAD_ROW},
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z,1,2", INGEST_BAD_ROW},
    {"device,start,net_wh", "A b,2025-01-15T10:00:00Z,1", INGEST_BAD_DEVICE},
    {"device,meter,start,net_wh", "a,main,2025-01-15T10:00:00Z,1", INGEST_BAD_METER},
    {"device,start,net_wh", "a,15.01.2025 10:00,1", INGEST_BAD_TIME},
    {"device,start,net_wh", "a,2025-01-15T10:00:00+25:00,1", INGEST_BAD_TIME},
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z,1.5", INGEST_BAD_NUMBER},
    {"device,start,net_kwh", "a,2025-01-15T10:00:00Z,0.0001", INGEST_BAD_NUMBER},
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z,1e3", INGEST_BAD_NUMBER},
    {"device,start,net_wh", "a,2025-01-15T10:00:00Z,9223372036854775808", INGEST_BAD_NUMBER},
    {"device,start,import_wh,export_wh", "a,2025-01-15T10:00:00Z,-1,0", INGEST_NEGATIVE_ENERGY},
    {"device,start,import_wh,export_wh", "a,2025-01-15T10:00:00Z,0,-1", INGEST_NEGATIVE_ENERGY},
    {"device,start,net_wh", "z,2025-01-15T10:00:00Z,1", INGEST_UNKNOWN_DEVICE},
    {"device,meter,start,net_wh", "b,sub,2025-01-15T10:00:00Z,1", INGEST_NO_SUCH_METER},
    {"device,meter,start,net_wh", "z,sub,2025-01-15T10:00:00Z,1", INGEST_UNKNOWN_DEVICE},
    {"device,start,net_wh", "a,2025-01-15T10:01:00Z,1", INGEST_NOT_ALIGNED},
    {"device,start,interval_ms,net_wh", "a,2025-01-15T10:00:00Z,3600000,1", INGEST_BAD_INTERVAL},
    {"device,start,net_wh", "a,2025-04-01T11:45:00Z,1", INGEST_STORED},
    {"device,start,net_wh", "a,2025-04-01T12:00:00Z,1", INGEST_NOT_OVER},
    {"device,start,net_wh", "a,2024-11-15T23:45:00Z,1", INGEST_TOO_LATE},
    {"device,start,net_wh", "c,2025-03-15T10:00:00Z,1", INGEST_SIGNATURE_MISSING},
    {"device,start,net_wh,signature", "c,2025-03-15T10:00:00Z,1,", INGEST_SIGNATURE_MISSING},
    {"device,start,net_wh,signature", "c,2025-03-15T10:00:00Z,1,00", INGEST_BAD_METER_SIGNATURE},
    {"device,start,net_wh", "d,2025-03-15T10:00:00Z,1", INGEST_BAD_METER_SIGNATURE},
};

static void test_each_outcome_of_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool march = strstr(rows[i].row, "2025-03") != NULL;
        meter_world_make(&world, 8, ZONE_UTC, 0,
                         strstr(rows[i].row, "2025-04") != NULL || march ? "2025-04-01T12:00:00Z"
                                                                         : "2025-01-15T12:00:00Z");
        meter_world_device(&world, "a", true);
        meter_world_device(&world, "b", false);
        meter_world_device(&world, "c", false); /* nobody holds its key */
        meter_world_device(&world, "d", false);
        make_keys("a", true);
        make_keys("b", false);
        /* d's file holds another's key. */
        char from[TEMP_PATH_SIZE * 2], to[TEMP_PATH_SIZE * 2];
        snprintf(from, sizeof from, "%s/b.meter", world.home);
        snprintf(to, sizeof to, "%s/d.meter", world.home);
        assert_int_equal(rename(from, to), 0);
        FILE *out = begin("");
        fprintf(out, "%s\r\n%s\r\n", rows[i].header, rows[i].row);
        end(out);
        assert_true(ingest_with_keys(NULL));
        if (report.counts[rows[i].outcome] != 1) {
            for (int k = 0; k < INGEST_OUTCOME_COUNT; k++) {
                if (report.counts[k] != 0) {
                    print_error("%s: %s, not %s\n", rows[i].row, ingest_outcome_names[k],
                                ingest_outcome_names[rows[i].outcome]);
                }
            }
        }
        assert_int_equal(report.rows, 1);
        assert_int_equal(report.counts[rows[i].outcome], 1);
        assert_int_equal(report.problem_count, ingest_is_refusal(rows[i].outcome));
        meter_world_remove(&world);
    }
}

static void test_headers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "device,start\n",
        "device,net_wh\n",
        "start,net_wh\n",
        "device,start,net_wh,net_kwh\n",
        "device,start,net_wh,price\n",
        "device,device,start,net_wh\n",
        "device,start,import_wh\n",
        "device,start,net_wh,import_wh,export_wh\n",
        "device,start,register_wh\n",
        "device,time,net_wh\n",
        "device,time,register_wh,net_wh\n",
        "device,time,import_register_wh\n",
    };
    meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-15T12:00:00Z");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        end(begin(bad[i]));
        assert_false(ingest_with_keys(NULL));
    }
    end(begin("device,start,net_wh\n"));
    assert_true(ingest_with_keys(NULL));
    assert_int_equal(report.rows, 0);
    meter_world_remove(&world);
}

/* --- order, duplicates, corrections --------------------------------------------------------- */

static void test_order_means_nothing_and_twice_is_once(void **state)
{
    (void)state;
    struct commit_report committed;
    struct hash roots[2];
    for (int turn = 0; turn < 2; turn++) {
        meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-15T12:00:00Z");
        meter_world_device(&world, "a", true);
        meter_world_device(&world, "b", false);
        FILE *out = begin("");
        meter_world_header(out);
        for (int i = 0; i < 8; i++) {
            const int at = turn == 0 ? i : 7 - i;
            const struct timestamp start = timestamp_of(1736935200000 + (int64_t)at * 900000);
            meter_world_row(out, at % 2 == 0 ? "a" : "b", METER_CERTIFIED, start, at);
            meter_world_row(out, "a", METER_SUB, start, 100 + at);
        }
        end(out);
        meter_world_ingest(&world, &report, NULL);
        assert_int_equal(report.counts[INGEST_STORED], 16);
        meter_world_ingest(&world, &report, NULL);
        assert_int_equal(report.counts[INGEST_DUPLICATE], 16);
        meter_world_post(&world, &committed);
        /* Certified and sub-meters are never in one batch. */
        assert_int_equal(committed.batches, 16);
        assert_int_equal(committed.readings, 16);
        meter_world_ingest(&world, &report, NULL);
        assert_int_equal(report.counts[INGEST_DUPLICATE], 16);
        meter_world_post(&world, &committed);
        assert_int_equal(committed.batches, 0);
        assert_int_equal(net_of("a", METER_SUB, "2025-01-15T10:15:00Z"), 101);
        assert_int_equal(net_of("b", METER_CERTIFIED, "2025-01-15T10:15:00Z"), 1);
        roots[turn] = world.fingerprints[0].record.root;
        meter_world_remove(&world);
    }
    /* Secrets are drawn anew, so no two operators' roots are alike. */
    assert_false(hash_equal(&roots[0], &roots[1]));
}

/* Parsing, signatures and storing refuse in turns; what is told follows the file, and is its top. */
static void test_refused_rows_are_told_in_the_files_order(void **state)
{
    (void)state;
    static struct ingest_report told;
    memset(&told, 0, sizeof told);
    for (uint64_t line = 2 * INGEST_PROBLEMS_MAX; line > 0; line -= 2) {
        ingest_count(&told, line, INGEST_BAD_NUMBER);
        ingest_count(&told, line, INGEST_STORED);
    }
    assert_int_equal(told.problem_count, INGEST_PROBLEMS_MAX);
    for (uint64_t line = 1; line <= INGEST_PROBLEMS_MAX; line += 2) {
        ingest_count(&told, line, INGEST_UNKNOWN_DEVICE);
    }
    ingest_count(&told, 5000, INGEST_ERASED);
    assert_int_equal(told.counts[INGEST_BAD_NUMBER], INGEST_PROBLEMS_MAX);
    assert_int_equal(told.problem_count, INGEST_PROBLEMS_MAX);
    for (uint32_t i = 0; i < INGEST_PROBLEMS_MAX; i++) {
        assert_int_equal(told.problems[i].line, i + 1);
        assert_int_equal(told.problems[i].outcome,
                         i % 2 == 0 ? INGEST_UNKNOWN_DEVICE : INGEST_BAD_NUMBER);
    }
}

static void test_conflicts_corrections_and_late_ones(void **state)
{
    (void)state;
    struct commit_report committed;
    const struct timestamp start = world_time("2025-01-15T10:00:00Z");
    meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-15T12:00:00Z");
    meter_world_device(&world, "a", false);
    meter_world_device(&world, "b", false);
    FILE *out = begin("");
    meter_world_header(out);
    meter_world_row(out, "a", METER_CERTIFIED, start, 100);
    meter_world_row(out, "a", METER_CERTIFIED, start, 101); /* the second is refused */
    end(out);
    meter_world_ingest(&world, &report, NULL);
    assert_int_equal(report.counts[INGEST_STORED], 1);
    assert_int_equal(report.counts[INGEST_READING_CONFLICT], 1);
    assert_int_equal(report.problems[0].line, 3);
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 1);

    out = begin("");
    meter_world_header(out);
    meter_world_row(out, "b", METER_CERTIFIED, start, 7);
    end(out);
    meter_world_ingest(&world, &report, NULL);
    assert_int_equal(report.counts[INGEST_LATE], 1);
    out = begin("");
    meter_world_header(out);
    meter_world_row(out, "a", METER_CERTIFIED, start, 101);
    end(out);
    meter_world_ingest(&world, &report, "swapped meter");
    assert_int_equal(report.counts[INGEST_CORRECTED], 1);
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 1);
    assert_int_equal(committed.corrections, 1);
    assert_int_equal(world.fingerprint_count, 2);
    assert_int_equal(world.fingerprints[1].record.revision, 1);
    assert_int_equal(world.fingerprints[1].record.count, 2);
    /* The correction's reason stays, though the late one came first. */
    struct sealed_batch batch;
    struct batch_place place = {0, start, 0};
    struct meter_txn *txn = meter_txn_begin(world.archive.db, false);
    assert_true(archive_newest_batch(txn, &batch, &place));
    meter_txn_abort(txn);
    assert_string_equal(batch.reason, "swapped meter");
    assert_int_equal(place.revision, 1);
    meter_world_remove(&world);
}

/* --- signed readings as JSON ------------------------------------------------------------------ */

static void test_signed_readings_of_every_kind(void **state)
{
    (void)state;
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct registry_report registry = {0};
    struct meter_reading readings[6];
    struct secret_key secret;
    struct hash message;
    meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-15T12:00:00Z");
    /* An alias has derived readings, by its certified meter's key; a device that is none has not. */
    const struct name alias = world_name("alias"), device = world_name("a");
    struct device_record record;
    memset(&record, 0, sizeof record);
    record.owner = world_name("dso");
    meter_world_key(&secret, &record.meter_key, "alias", METER_CERTIFIED);
    struct meter_txn *txn = meter_txn_begin(world.archive.db, true);
    registry_take(txn, &alias, &record, true, world.now, &registry);
    assert_true(meter_txn_commit(txn, problem));
    assert_int_equal(registry.meters, 2);
    meter_world_device(&world, "a", false);
    for (int i = 0; i < 6; i++) {
        readings[i] = (struct meter_reading){.device = i == 4   ? world_name("z")
                                                       : i == 3 ? device
                                                                : alias,
                                             .meter = METER_DELIVERED,
                                             .interval_start = world_time("2025-01-15T10:00:00Z"),
                                             .interval = duration_of(i == 5 ? 3600000 : 900000),
                                             .net = energy_of(500)};
        readings[i].meter = i == 1 ? METER_CERTIFIED : METER_DELIVERED;
        meter_reading_message(&message, &readings[i]);
        assert_true(schnorr_sign(&readings[i].signature, &secret, &message));
    }
    readings[2].interval_start = world_time("2025-01-15T10:15:00Z"); /* signed for another time */
    const struct ingest_options options = {.now = world.now, .threads = 1};
    assert_true(ingest_signed(&world.archive, &report, readings, 6, &options, problem));
    assert_int_equal(report.rows, 6);
    assert_int_equal(report.counts[INGEST_STORED], 2);
    assert_int_equal(report.counts[INGEST_BAD_METER_SIGNATURE], 1);
    assert_int_equal(report.counts[INGEST_NO_SUCH_METER], 1);
    assert_int_equal(report.counts[INGEST_UNKNOWN_DEVICE], 1);
    assert_int_equal(report.counts[INGEST_BAD_INTERVAL], 1);
    struct commit_report committed;
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 2); /* one of each kind */
    assert_int_equal(net_of("alias", METER_DELIVERED, "2025-01-15T10:00:00Z"), 500);
    meter_world_remove(&world);
}

/* --- clock changes --------------------------------------------------------------------------- */

/* A local day's rows, as a meter's clock shows them, the double hour in order; returns their number. */
static unsigned write_local_day(FILE *out, const char *device, int64_t day, bool skipped_too)
{
    int64_t start, length;
    unsigned count = 0;
    zone_day(&start, &length, ZONE_CET, day);
    for (int64_t at = start; at < start + length; at += 900000) {
        const int64_t local = at + zone_offset_ms(ZONE_CET, at);
        const int64_t in_day = local - day * MS_PER_DAY;
        char date[16];
        /* Only the days of the test below. */
        snprintf(date, sizeof date, "%s",
                 day == 20177   ? "2025-03-30"
                 : day == 20387 ? "2025-10-26"
                                : "2025-03-29");
        fprintf(out, "%s,%s %02d:%02d,%u\n", device, date, (int)(in_day / MS_PER_HOUR),
                (int)(in_day / 60000 % 60), count);
        count++;
    }
    if (skipped_too) {
        fprintf(out, "%s,2025-03-30T02:30,1\n", device);
    }
    return count;
}

static void test_days_of_92_96_and_100_intervals(void **state)
{
    (void)state;
    static const struct {
        int64_t day;
        const char *now;
        unsigned intervals;
    } days[] = {{20177, "2025-04-01T00:00:00Z", 92},
                {20176, "2025-04-01T00:00:00Z", 96},
                {20387, "2025-10-28T00:00:00Z", 100}};
    for (size_t i = 0; i < 3; i++) {
        meter_world_make(&world, 8, ZONE_CET, 0, days[i].now);
        meter_world_device(&world, "a", false);
        make_keys("a", false);
        FILE *out = begin("device,start,net_wh\n");
        assert_int_equal(write_local_day(out, "a", days[i].day, i == 0), days[i].intervals);
        end(out);
        assert_true(ingest_with_keys(NULL));
        assert_int_equal(report.counts[INGEST_STORED], days[i].intervals);
        assert_int_equal(report.counts[INGEST_SKIPPED_TIME], i == 0);
        if (i == 2) {
            /* 02:00 is there twice: the 9th and the 13th quarter hour. */
            assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T00:00:00Z"), 8);
            assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T01:00:00Z"), 12);
            assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T22:45:00Z"), 99);
        }
        meter_world_remove(&world);
    }
}

static void test_a_third_double_hour_needs_an_offset(void **state)
{
    (void)state;
    meter_world_make(&world, 8, ZONE_CET, 0, "2025-10-28T00:00:00Z");
    meter_world_device(&world, "a", false);
    make_keys("a", false);
    FILE *out = begin("device,start,net_wh\n");
    fputs("a,2025-10-26T02:00,1\na,2025-10-26T02:00,2\na,2025-10-26T02:00,3\n"
          "a,2025-10-26T02:15+01:00,4\na,2025-10-26T02:15+02:00,5\n",
          out);
    end(out);
    assert_true(ingest_with_keys(NULL));
    assert_int_equal(report.counts[INGEST_STORED], 4);
    assert_int_equal(report.counts[INGEST_AMBIGUOUS_TIME], 1);
    assert_int_equal(report.problems[0].line, 4);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T00:00:00Z"), 1);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T01:00:00Z"), 2);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T01:15:00Z"), 4);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-10-26T00:15:00Z"), 5);
    meter_world_remove(&world);
}

/* --- registers ------------------------------------------------------------------------------- */

static void test_register_steps(void **state)
{
    (void)state;
    static const struct {
        int64_t last, next, modulus, most;
        enum ingest_outcome outcome;
        int64_t wh;
        bool rolled;
    } steps[] = {
        {0, 0, 0, 2750, INGEST_STORED, 0, false},
        {100, 250, 0, 2750, INGEST_STORED, 150, false},
        {100, 99, 0, 2750, INGEST_REGISTER_BACKWARDS, 0, false},
        {999900, 50, 1000000, 2750, INGEST_STORED, 150, true},
        {999999, 0, 1000000, 2750, INGEST_STORED, 1, true},
        {999900, 2650, 1000000, 2750, INGEST_STORED, 2750, true},
        {999900, 2651, 1000000, 2750, INGEST_REGISTER_BACKWARDS, 0, false}, /* a swapped meter */
        {500000, 10, 1000000, 2750, INGEST_REGISTER_BACKWARDS, 0, false},
        {1000000, 10, 1000000, 2750, INGEST_REGISTER_BACKWARDS, 0, false},
        {INT64_MAX - 1, 5, INT64_MAX, 2750, INGEST_STORED, 6, true},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int64_t wh = 0;
        bool rolled = true;
        assert_int_equal(ingest_register_step(&wh, &rolled, steps[i].last, steps[i].next,
                                              steps[i].modulus, steps[i].most),
                         steps[i].outcome);
        assert_int_equal(wh, steps[i].wh);
        assert_int_equal(rolled, steps[i].rolled);
    }
}

static void test_registers_with_every_fault(void **state)
{
    (void)state;
    meter_world_make(&world, 8, ZONE_UTC, 1000000, "2025-01-15T12:00:00Z");
    meter_world_device(&world, "a", false);
    meter_world_device(&world, "b", false);
    make_keys("a", false);
    make_keys("b", false);
    FILE *out = begin("device,time,register_kwh\n");
    fputs("a,2025-01-15T08:15:00Z,999.950\n" /* out of order: the second */
          "a,2025-01-15T08:00:00Z,999.900\n"
          "a,2025-01-15T08:30:00Z,0.100\n" /* rolls over: 150 Wh */
          "a,2025-01-15T08:30:00Z,0.100\n" /* the same again */
          "a,2025-01-15T08:30:00Z,0.200\n" /* and another */
          "a,2025-01-15T09:00:00Z,5.000\n" /* behind a hole */
          "a,2025-01-15T09:15:00Z,5.250\n"
          "a,2025-01-15T09:30:00Z,4.000\n" /* backwards */
          "a,2025-01-15T09:45:00Z,4.001\n" /* goes on from there */
          "a,2025-01-15T10:00:00Z,-1\n"
          "a,2025-01-15T10:00:00Z,1000\n" /* the modulus itself */
          "a,2025-01-15T10:05:00Z,4.5\n"
          "b,2025-01-15T08:00:00Z,7\n",
          out);
    end(out);
    assert_true(ingest_with_keys(NULL));
    assert_int_equal(report.rows, 13);
    assert_int_equal(report.counts[INGEST_STORED], 4);
    assert_int_equal(report.rolled_over, 1);
    assert_int_equal(report.counts[INGEST_DUPLICATE], 1);
    assert_int_equal(report.counts[INGEST_REGISTER_CONFLICT], 1);
    assert_int_equal(report.counts[INGEST_GAP], 1);
    assert_int_equal(report.counts[INGEST_REGISTER_BACKWARDS], 1);
    assert_int_equal(report.counts[INGEST_NEGATIVE_REGISTER], 1);
    assert_int_equal(report.counts[INGEST_REGISTER_TOO_LARGE], 1);
    assert_int_equal(report.counts[INGEST_NOT_ALIGNED], 1);
    assert_int_equal(report.counts[INGEST_FIRST_REGISTER], 2);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-01-15T08:00:00Z"), 50);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-01-15T08:15:00Z"), 150);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-01-15T09:00:00Z"), 250);
    assert_int_equal(net_of("a", METER_CERTIFIED, "2025-01-15T09:30:00Z"), 1);
    meter_world_remove(&world);
}

static void register_row(FILE *out, const struct csv_table *table, uint32_t row)
{
    fprintf(out, "house,%s,%s,%s\n", csv_field(table, row, 0), csv_field(table, row, 2),
            csv_field(table, row, 1));
}

/* The bundled day of a real household: what the intervals add up to is what the registers say. */
static void test_a_real_day_of_registers(void **state)
{
    (void)state;
    struct csv_table table;
    char problem[CSV_PROBLEM_SIZE];
    int64_t first[2], last[2], sum = 0;
    assert_true(csv_read(&table, "examples/day/data/registers.csv", problem));
    assert_string_equal(table.header[0], "utc_timestamp");
    assert_string_equal(table.header[1], "grid_export_kwh");
    assert_string_equal(table.header[2], "grid_import_kwh");
    for (uint32_t column = 1; column <= 2; column++) {
        assert_true(csv_scaled(&first[column - 1], &table, 0, column, 3, problem));
        assert_true(csv_scaled(&last[column - 1], &table, table.rows - 1, column, 3, problem));
    }
    int64_t start, now;
    bool skipped;
    int64_t instants[2];
    assert_int_equal(zone_parse(instants, &skipped, ZONE_UTC, csv_field(&table, 0, 0)), 1);
    start = instants[0];
    now = start + (int64_t)(table.rows + 4) * 900000;
    meter_world_make(&world, 8, ZONE_UTC, 0, "2025-01-15T12:00:00Z");
    world.now = timestamp_of(now);
    meter_world_device(&world, "house", false);
    make_keys("house", false);
    FILE *out = begin("device,time,import_register_kwh,export_register_kwh\n");
    for (uint32_t row = 0; row < table.rows; row++) {
        register_row(out, &table, row);
    }
    end(out);
    assert_true(ingest_with_keys(NULL));
    assert_int_equal(report.counts[INGEST_STORED], table.rows - 1);
    struct meter_txn *txn = meter_txn_begin(world.archive.db, false);
    for (uint32_t i = 0; i + 1 < table.rows; i++) {
        struct stored_reading stored;
        const struct reading_place place = {0, 0, timestamp_of(start + (int64_t)i * 900000)};
        assert_int_equal(archive_reading(&world.archive, txn, &stored, &place, NULL), ARCHIVE_OK);
        sum += energy_wh(stored.net);
    }
    meter_txn_abort(txn);
    assert_int_equal(sum, (last[1] - first[1]) - (last[0] - first[0]));
    csv_free(&table);
    meter_world_remove(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_outcome_of_a_row),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_order_means_nothing_and_twice_is_once),
        cmocka_unit_test(test_conflicts_corrections_and_late_ones),
        cmocka_unit_test(test_refused_rows_are_told_in_the_files_order),
        cmocka_unit_test(test_signed_readings_of_every_kind),
        cmocka_unit_test(test_days_of_92_96_and_100_intervals),
        cmocka_unit_test(test_a_third_double_hour_needs_an_offset),
        cmocka_unit_test(test_register_steps),
        cmocka_unit_test(test_registers_with_every_fault),
        cmocka_unit_test(test_a_real_day_of_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
