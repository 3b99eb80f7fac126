/* Copies of readings and trades against the ledger: every single digit of a copy changed in turn must be
 * named by its line; and traded against metered, by hand and against sums that are taken another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "tests/lib/random.h"
#include "tests/lib/tools/meter_world.h"
#include "tools/meter_settle.h"
#include "tools/trade_copy.h"

static struct meter_world world;

enum { DEVICES = 5, INTERVALS = 3 };

static void make_copy(bool leaf)
{
    struct ingest_report report;
    struct commit_report committed;
    char problem[ARCHIVE_PROBLEM_SIZE];
    uint64_t lines;
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    FILE *out = fopen(world.file, "w");
    assert_non_null(out);
    meter_world_header(out);
    for (uint32_t device = 0; device < DEVICES; device++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "dev-%03u", device);
        meter_world_device(&world, name, false);
        for (uint32_t i = 0; i < INTERVALS; i++) {
            meter_world_row(out, name, METER_CERTIFIED,
                            timestamp_of(timestamp_ms(world_time("2025-01-15")) + i * 900000LL),
                            (int64_t)device * 10 + i);
        }
    }
    assert_int_equal(fclose(out), 0);
    meter_world_ingest(&world, &report, NULL);
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 2 * INTERVALS);
    out = fopen(world.file, "w");
    assert_true(disclose_copy(&world.archive, out, world_time("2025-01-15"),
                              world_time("2025-01-16"), leaf, &lines, problem));
    assert_int_equal(fclose(out), 0);
    assert_int_equal(lines, DEVICES * INTERVALS);
}

static struct copy_verdict verdict_of(const void *text, size_t size)
{
    struct copy_verdict verdict;
    const struct copy_ledger ledger = meter_world_ledger(&world);
    FILE *in = fmemopen((void *)(uintptr_t)text, size, "rb");
    assert_non_null(in);
    assert_int_equal(copy_verify_batches(&verdict, &ledger, in), CLI_DONE);
    assert_int_equal(fclose(in), 0);
    return verdict;
}

static void test_every_changed_digit_is_named(void **state)
{
    (void)state;
    for (int leaf = 0; leaf < 2; leaf++) {
        size_t size;
        uint64_t line = 1, tried = 0, in_salt = 0;
        make_copy(leaf == 1);
        char *text = files_read(world.file, 1 << 20, &size);
        assert_non_null(text);
        struct copy_verdict verdict = verdict_of(text, size);
        assert_null(verdict.code);
        assert_int_equal(verdict.readings, DEVICES * INTERVALS);
        assert_int_equal(verdict.batches, 2 * INTERVALS);
        unsigned column = 0;
        for (size_t at = 0; at < size; at++) {
            const char kept = text[at];
            line += kept == '\n';
            column = kept == '\n' ? 0 : column + (kept == ',');
            if (line == 1 || kept < '0' || kept > '9') {
                continue;
            }
            text[at] = kept == '9' ? '0' : (char)(kept + 1);
            verdict = verdict_of(text, size);
            assert_non_null(verdict.code);
            /* Without leaves a line with a wrong salt is as good as its neighbours in all that can be
             * checked line by line: the batch is named, by its first line. */
            if (leaf == 0 && column == 9) {
                assert_string_equal(verdict.code, "wrong_batch");
                assert_true(verdict.line <= line && line < verdict.line + 4);
                in_salt++;
            } else {
                if (verdict.line != line) {
                    print_error("line %d named %d: %s\n", (int)line, (int)verdict.line,
                                verdict.reason);
                }
                assert_int_equal(verdict.line, line);
            }
            text[at] = kept;
            tried++;
        }
        assert_true(tried > 1500);
        assert_true((in_salt > 0) == (leaf == 0));
        free(text);
        meter_world_remove(&world);
    }
}

/* Lines swapped, taken out, put in twice; and a file that ends too soon. */
static void test_lines_that_are_not_where_they_were(void **state)
{
    (void)state;
    size_t size, starts[DEVICES * INTERVALS + 2], count = 0;
    char copy[1 << 14];
    make_copy(true);
    char *text = files_read(world.file, 1 << 20, &size);
    assert_true(size < sizeof copy);
    for (size_t at = 0; at < size; at++) {
        if (at == 0 || text[at - 1] == '\n') {
            starts[count++] = at;
        }
    }
    starts[count] = size;
    assert_int_equal(count, DEVICES * INTERVALS + 1);
    for (size_t i = 1; i < count; i++) {
        const size_t length = starts[i + 1] - starts[i];
        /* Taken out: what is in its place, or the line behind the last of its batch. */
        memcpy(copy, text, starts[i]);
        memcpy(copy + starts[i], text + starts[i + 1], size - starts[i + 1]);
        struct copy_verdict verdict = verdict_of(copy, size - length);
        /* The groups are of four meters and of one: without its only line a batch is not in the copy, and
         * nothing says that it should be. */
        const bool only = strstr(text + starts[i], "w-c-00001") != NULL &&
                          strstr(text + starts[i], "w-c-00001") < text + starts[i + 1];
        if (only) {
            assert_null(verdict.code);
            assert_int_equal(verdict.readings, DEVICES * INTERVALS - 1);
        } else {
            assert_non_null(verdict.code);
            assert_string_equal(verdict.code, "missing_line");
            assert_int_equal(verdict.line, i + 1);
        }
        /* Put in twice. */
        memcpy(copy, text, starts[i + 1]);
        memcpy(copy + starts[i + 1], text + starts[i], size - starts[i]);
        verdict = verdict_of(copy, size + length);
        assert_string_equal(verdict.code, "missing_line");
        assert_int_equal(verdict.line, i + 2);
    }
    free(text);
    meter_world_remove(&world);
}

static void test_superseded_and_unknown(void **state)
{
    (void)state;
    struct ingest_report report;
    struct commit_report committed;
    size_t size;
    make_copy(false);
    char *text = files_read(world.file, 1 << 20, &size);
    struct disclosed before =
        meter_world_disclose(&world, "dev-000", METER_CERTIFIED, "2025-01-15", "2025-01-16");
    FILE *out = fopen(world.file, "w");
    meter_world_header(out);
    meter_world_row(out, "dev-000", METER_CERTIFIED, world_time("2025-01-15"), 999);
    assert_int_equal(fclose(out), 0);
    meter_world_ingest(&world, &report, "corrected");
    meter_world_post(&world, &committed);
    assert_int_equal(committed.corrections, 1);
    struct copy_verdict verdict = verdict_of(text, size);
    assert_string_equal(verdict.code, "superseded");
    assert_int_equal(verdict.line, 2);
    const struct copy_ledger ledger = meter_world_ledger(&world);
    assert_int_equal(copy_verify_revealed(&verdict, &ledger, before.readings, before.count),
                     CLI_DONE);
    assert_string_equal(verdict.code, "superseded");
    assert_int_equal(verdict.line, 1);
    before.readings[0] = before.readings[1];
    before.readings[1].reading.net = energy_of(12345);
    assert_int_equal(copy_verify_revealed(&verdict, &ledger, before.readings, before.count),
                     CLI_DONE);
    assert_string_equal(verdict.code, "wrong_reading");
    assert_int_equal(verdict.line, 2);
    assert_int_equal(verdict.readings, 1);
    world.fingerprint_count = 0;
    verdict = verdict_of(text, size);
    assert_string_equal(verdict.code, "unknown_batch");
    assert_int_equal(verdict.line, 2);
    verdict = verdict_of("device,start,net_wh\n", 20);
    assert_string_equal(verdict.code, "bad_row");
    free(before.readings);
    free(text);
    meter_world_remove(&world);
}

/* --- trades ------------------------------------------------------------------------------------ */

static struct deal_record deal_of(uint64_t id)
{
    struct deal_record deal;
    memset(&deal, 0, sizeof deal);
    deal.market = world_name("west");
    deal.buyer = world_name("buyer");
    deal.seller = world_name("seller");
    deal.device = world_name("dev-000");
    deal.period_start = world_time("2025-01-15T11:00:00Z");
    deal.contracted = energy_of((int64_t)id * 1000);
    deal.price = energy_price_of(300000);
    deal.escrow = money_of((int64_t)id * 300000);
    deal.matched_height = 40 + id;
    deal.version = 1;
    return deal;
}

static int find_deal(void *context, struct deal_record *out, bool *absent, uint64_t id)
{
    (void)context;
    *absent = id == 0 || id > 9;
    *out = deal_of(id);
    return CLI_DONE;
}

static const struct trade_ledger trade_ledger = {NULL, find_deal, NULL};

static struct trade_verdict trades(const char *text)
{
    struct trade_verdict verdict;
    FILE *out = fopen(world.file, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    memset(&verdict, 0, sizeof verdict);
    if (trade_copy_verify(&world.cli, &verdict, &trade_ledger, world.file, NULL, NULL) !=
        CLI_DONE) {
        verdict.code = "unreadable";
    }
    return verdict;
}

static void test_trades(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        uint64_t line;
    } rows[] = {
        {"deal,buyer,quantity_wh,height\n1,buyer,1000,41\n2,buyer,2000,42\n", NULL, 0},
        {"deal,buyer,quantity_wh,height\n1,buyer,1000,41\n2,buyer,2001,42\n", "wrong_trade", 3},
        {"deal,buyer,quantity_wh,height\n1,buyer,1000,42\n2,buyer,2001,42\n", "wrong_trade", 2},
        {"deal,price_ueur_per_kwh\n3,300000\n3,300000\n", "twice", 3},
        {"deal,price_ueur_per_kwh\n10,300000\n", "unknown_deal", 2},
        {"deal,state\n1,settled\n", "outdated", 2},
        {"deal,state\n1,matched\n", NULL, 0},
        {"deal,colour\n1,red\n", "bad_row", 2},
        {"buyer\nbuyer\n", "bad_row", 2},
        {"deal,time_ms,position\n1,5,6\n", NULL, 0},
        {"deal\n01\n", "bad_row", 2},
        {"{\"items\":[{\"id\":\"1\",\"version\":1},{\"id\":\"2\",\"escrow_ueur\":\"600000\"}]}",
         NULL, 0},
        {"[{\"id\":\"1\",\"version\":2}]", "wrong_trade", 1},
        {"[{\"id\":\"1\"},{\"id\":\"2\",\"escrow_ueur\":\"600001\"}]", "wrong_trade", 2},
        {"[{\"id\":\"1\",\"seller\":true}]", "bad_row", 1},
        {"{\"deals\":[]}", "unreadable", 0},
        {"", "unreadable", 0},
    };
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct trade_verdict verdict = trades(rows[i].text);
        if (rows[i].code == NULL) {
            assert_null(verdict.code);
        } else {
            assert_non_null(verdict.code);
            assert_string_equal(verdict.code, rows[i].code);
            assert_int_equal(verdict.line, rows[i].line);
        }
    }
    assert_string_equal(trades("deal,time_ms,position\n1,5,6\n").not_checked, "time_ms position");
    meter_world_remove(&world);
}

/* --- traded against metered ---------------------------------------------------------------------- */

static struct market_create terms_of(int64_t unit_ms, uint16_t units)
{
    struct market_create terms;
    memset(&terms, 0, sizeof terms);
    terms.times.mtu = duration_of(unit_ms);
    terms.times.mtus_per_period = units;
    return terms;
}

static struct meter_reading reading_of(const char *device, int64_t start_ms, int64_t wh)
{
    return (struct meter_reading){.device = world_name(device),
                                  .interval_start = timestamp_of(start_ms),
                                  .interval = duration_of(900000),
                                  .net = energy_of(wh)};
}

static void test_settle_by_hand(void **state)
{
    (void)state;
    struct settle settle;
    struct deal_record deal = deal_of(2);
    const struct market_create terms = terms_of(900000, 4);
    const int64_t start = timestamp_ms(deal.period_start);
    const struct name buyer = world_name("buyer"), seller = world_name("seller");
    const struct energy_price price = energy_price_of(123457);
    settle_init(&settle);
    assert_int_equal(settle_trade(&settle, &deal, &terms), SETTLE_OK);
    for (int i = 0; i < 4; i++) {
        struct meter_reading at_buyer = reading_of("house", start + i * 900000LL, 500 + i);
        struct meter_reading at_seller = reading_of("roof", start + i * 900000LL, -500 + i);
        assert_int_equal(settle_reading(&settle, &at_buyer, &buyer), SETTLE_OK);
        /* The seller's last quarter hour is missing. */
        if (i < 3) {
            assert_int_equal(settle_reading(&settle, &at_seller, &seller), SETTLE_OK);
        }
        at_buyer.meter = METER_SUB; /* counts for nothing: it is in the connection's */
        assert_int_equal(settle_reading(&settle, &at_buyer, &buyer), SETTLE_OK);
    }
    assert_int_equal(settle_finish(&settle, &price), SETTLE_OK);
    assert_int_equal(settle.row_count, 8);
    /* 2000 Wh bought, 500 a unit; took 500 to 503. 0.123457 EUR/kWh: 123.457 ueur a watt-hour. */
    static const int64_t amounts[] = {0, 124, 247, 371};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(energy_wh(settle.rows[i].bought), 500);
        assert_true(settle.rows[i].complete);
        assert_int_equal(energy_wh(settle.rows[i].difference), i);
        assert_int_equal(money_ueur(settle.rows[i].amount), amounts[i]);
        assert_int_equal(energy_wh(settle.rows[4 + i].sold), 500);
        assert_int_equal(settle.rows[4 + i].complete, i < 3);
    }
    settle_release(&settle);

    settle_init(&settle);
    assert_int_equal(settle_trade(&settle, &deal, &terms), SETTLE_OK);
    struct meter_reading twice = reading_of("house", start, 490);
    assert_int_equal(settle_reading(&settle, &twice, &buyer), SETTLE_OK);
    assert_int_equal(settle_finish(&settle, &price), SETTLE_OK);
    /* Ten too few: what is paid out, 1234.57 ueur, is rounded down. */
    assert_int_equal(money_ueur(settle.rows[0].amount), -1234);
    settle_release(&settle);
    settle_init(&settle);
    assert_int_equal(settle_trade(&settle, &deal, &terms), SETTLE_OK);
    assert_int_equal(settle_reading(&settle, &twice, &buyer), SETTLE_OK);
    assert_int_equal(settle_reading(&settle, &twice, &buyer), SETTLE_OK);
    assert_int_equal(settle_finish(&settle, &price), SETTLE_TWICE);
    settle_release(&settle);
    settle_init(&settle);
    const struct market_create hourly = terms_of(3600000, 1), odd = terms_of(900000, 3);
    assert_int_equal(settle_trade(&settle, &deal, &odd), SETTLE_UNEVEN);
    assert_int_equal(settle_trade(&settle, &deal, &terms), SETTLE_OK);
    assert_int_equal(settle_trade(&settle, &deal, &hourly), SETTLE_MIXED_UNITS);
    settle_release(&settle);
}

/* Random trades of hours between four participants with two meters each; each sum is taken here by
 * looking at everything once more for each participant and hour. */
static void test_settle_against_slow_sums(void **state)
{
    (void)state;
    enum { PARTIES = 4, TRADES = 60, HOURS = 5, METERS = 2 * PARTIES };
    static const char *const names[PARTIES] = {"a", "b", "c", "d"};
    const int64_t from = timestamp_ms(world_time("2025-01-15"));
    const struct market_create terms = terms_of(3600000, 1);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct test_random random = {seed};
        struct settle settle;
        struct deal_record deals[TRADES];
        int64_t wh[METERS][4 * HOURS];
        settle_init(&settle);
        for (int i = 0; i < TRADES; i++) {
            deals[i] = deal_of(1);
            deals[i].buyer = world_name(names[test_random_below(&random, PARTIES)]);
            deals[i].seller = world_name(names[test_random_below(&random, PARTIES)]);
            deals[i].contracted = energy_of((int64_t)test_random_below(&random, 5000) + 1);
            deals[i].period_start =
                timestamp_of(from + (int64_t)test_random_below(&random, HOURS) * 3600000);
            assert_int_equal(settle_trade(&settle, &deals[i], &terms), SETTLE_OK);
        }
        for (int meter = 0; meter < METERS; meter++) {
            char device[NAME_SIZE];
            const struct name participant = world_name(names[meter / 2]);
            snprintf(device, sizeof device, "meter-%d", meter);
            for (int i = 0; i < 4 * HOURS; i++) {
                wh[meter][i] = (int64_t)test_random_below(&random, 4000) - 2000;
                const struct meter_reading reading =
                    reading_of(device, from + i * 900000LL, wh[meter][i]);
                assert_int_equal(settle_reading(&settle, &reading, &participant), SETTLE_OK);
            }
        }
        assert_int_equal(settle_finish(&settle, NULL), SETTLE_OK);
        assert_int_equal(settle.row_count, PARTIES * HOURS);
        int64_t total = 0, metered_total = 0;
        for (uint32_t row = 0; row < settle.row_count; row++) {
            const uint32_t party = row / HOURS, hour = row % HOURS;
            const struct name participant = world_name(names[party]);
            int64_t position = 0, metered = 0;
            for (int i = 0; i < TRADES; i++) {
                if (timestamp_ms(deals[i].period_start) == from + (int64_t)hour * 3600000) {
                    position += name_compare(&deals[i].buyer, &participant) == 0
                                    ? energy_wh(deals[i].contracted)
                                    : 0;
                    position -= name_compare(&deals[i].seller, &participant) == 0
                                    ? energy_wh(deals[i].contracted)
                                    : 0;
                }
            }
            for (uint32_t i = 4 * hour; i < 4 * hour + 4; i++) {
                metered += wh[2 * party][i] + wh[2 * party + 1][i];
            }
            assert_true(settle.rows[row].complete);
            assert_int_equal(energy_wh(settle.rows[row].difference), metered - position);
            total += energy_wh(settle.rows[row].difference);
            metered_total += metered;
        }
        /* Every watt-hour that was bought was sold: the differences are what all meters read. */
        assert_int_equal(total, metered_total);
        settle_release(&settle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_changed_digit_is_named),
        cmocka_unit_test(test_lines_that_are_not_where_they_were),
        cmocka_unit_test(test_superseded_and_unknown),
        cmocka_unit_test(test_trades),
        cmocka_unit_test(test_settle_by_hand),
        cmocka_unit_test(test_settle_against_slow_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
