/* Bills: what reconciles and what does not, whose fee stands on whose bill, which readings count, and files
 * that another program reads. (Receipts, proofs and exports: tests/e2e/test_wallet.sh; every kind of
 * movement: tests/unit/contracts/test_statement.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "tests/lib/temp_dir.h"
#include "tools/bill.h"
#include "tools/csv_write.h"
#include "tools/reveal.h"

enum { FROM_MS = 1000000, UNTIL_MS = 2800000, UNIT_MS = 900000 };

static struct cli cli;
static struct bill bill;
static char *said;
static size_t said_size;

static struct name name_of(const char *text)
{
    struct name name;
    assert_true(name_from_text(&name, text, strlen(text)));
    return name;
}

/* A meter's key, out of its device's name. */
static void secret_of(struct secret_key *out, const char *text)
{
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_SHEET, text, strlen(text));
    memcpy(out->bytes, hash.bytes, sizeof out->bytes);
}

static struct public_key key_of(const char *text)
{
    struct secret_key secret;
    struct public_key key;
    secret_of(&secret, text);
    assert_true(schnorr_public_key(&key, &secret));
    return key;
}

static int set_up(void **state)
{
    (void)state;
    assert_true(crypto_init());
    FILE *stream = open_memstream(&said, &said_size);
    cli_init(&cli, stream, stream);
    cli.json = true;
    cli.result = cJSON_CreateObject();
    struct name who = name_of("alice");
    bill_open(&bill, &cli, &who, FROM_MS, UNTIL_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bill_close(&bill);
    cJSON_Delete(cli.result);
    fclose(cli.out);
    free(said);
    said = NULL;
    return 0;
}

/* --- reconciliation ------------------------------------------------------------------------- */

static void put_line(int64_t time_ms, int64_t amount)
{
    bill.lines = realloc(bill.lines, (bill.line_count + 1) * sizeof *bill.lines);
    bill.lines[bill.line_count++] =
        (struct bill_line){.at = {.height = bill.line_count + 1, .time = timestamp_of(time_ms)},
                           .kind = STATEMENT_TRANSFER_RECEIVED,
                           .amount = money_of(amount)};
}

static void test_reconciliation(void **state)
{
    static const struct {
        const char *name;
        uint64_t first;
        int64_t balance;
        struct {
            int64_t time_ms, amount;
        } lines[4];
        bool good;
        int64_t opening, closing;
        size_t inside;
    } rows[] = {
        {"nothing at all", 1, 0, {{0}}, true, 0, 0, 0},
        {"nothing in the period", 5, 70, {{0}}, true, 70, 70, 0},
        {"all inside", 5, 70, {{FROM_MS, 50}, {UNTIL_MS - 1, -10}}, true, 30, 70, 2},
        {"all after it", 5, 70, {{UNTIL_MS, 50}, {UNTIL_MS + 9, -10}}, true, 30, 30, 0},
        {"both", 5, 70, {{FROM_MS, 5}, {FROM_MS + 1, -7}, {UNTIL_MS, 50}}, true, 22, 20, 2},
        {"from the first block", 1, 43, {{FROM_MS, 50}, {FROM_MS, -7}}, true, 0, 43, 2},
        {"one is missing", 1, 43, {{FROM_MS, 50}}, false, 0, 0, 0},
        {"one too many", 1, 43, {{FROM_MS, 50}, {FROM_MS, -7}, {FROM_MS, -1}}, false, 0, 0, 0},
        {"before the period", 5, 43, {{FROM_MS - 1, 1}}, false, 0, 0, 0},
        {"below zero in between",
         5,
         43,
         {{FROM_MS, -50}, {FROM_MS, 50}, {FROM_MS, 43}},
         false,
         0,
         0,
         0},
        {"the opening below zero", 5, 43, {{FROM_MS, 44}}, false, 0, 0, 0},
        {"more than can be counted", 5, INT64_MAX, {{FROM_MS, -1}}, false, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("          %s\n", rows[i].name);
        bill.line_count = 0;
        bill.first = rows[i].first;
        bill.balance = money_of(rows[i].balance);
        for (size_t j = 0; j < 4 && rows[i].lines[j].time_ms != 0; j++)
            put_line(rows[i].lines[j].time_ms, rows[i].lines[j].amount);
        int status = bill_reconcile(&bill);
        assert_int_equal(status, rows[i].good ? CLI_DONE : CLI_UNPROVEN);
        if (status == CLI_DONE) {
            assert_int_equal(money_ueur(bill.opening), rows[i].opening);
            assert_int_equal(money_ueur(bill.closing), rows[i].closing);
            assert_int_equal(bill.period_lines, rows[i].inside);
        }
    }
    (void)state;
}

/* --- deals ---------------------------------------------------------------------------------- */

static const struct cJSON *deal_at(int index)
{
    return cJSON_GetArrayItem(bill.deals, index);
}

/* The seller pays the deal's fee: it must not stand on the buyer's bill. */
static void test_a_fee_stands_on_the_sellers_bill(void **state)
{
    (void)state;
    struct market_create terms = {.times = {.mtu = duration_of(UNIT_MS), .mtus_per_period = 2}};
    struct deal_record deal = {.market = name_of("flex"),
                               .state = DEAL_PARTIAL,
                               .buyer = name_of("alice"),
                               .seller = name_of("bob"),
                               .device = name_of("dev"),
                               .period_start = timestamp_of(FROM_MS),
                               .contracted = energy_of(1000),
                               .delivered = energy_of(900),
                               .credited = energy_of(800),
                               .escrow = money_of(100),
                               .paid = money_of(80),
                               .refunded = money_of(20),
                               .fee = money_of(5),
                               .penalty = money_of(3)};
    assert_int_equal(bill_add_deal(&bill, "7", &deal, &terms), CLI_DONE);
    assert_string_equal(json_string(deal_at(0), "role"), "buyer");
    assert_string_equal(json_string(deal_at(0), "fee_ueur"), "0");
    assert_int_equal(bill.totals.fees_ueur, 0);
    assert_int_equal(bill.totals.penalty_received_ueur, 3);
    assert_int_equal(bill.totals.bought_wh, 800);
    deal.buyer = name_of("bob");
    deal.seller = name_of("alice");
    assert_int_equal(bill_add_deal(&bill, "8", &deal, &terms), CLI_DONE);
    assert_string_equal(json_string(deal_at(1), "role"), "seller");
    assert_string_equal(json_string(deal_at(1), "fee_ueur"), "5");
    assert_int_equal(bill.totals.fees_ueur, 5);
    assert_int_equal(bill.totals.penalty_paid_ueur, 3);
    assert_int_equal(bill.totals.received_ueur, 80);
    /* An open one has paid nothing yet, whatever it would pay. */
    deal.state = DEAL_DISPUTED;
    deal.buyer = name_of("alice");
    deal.seller = name_of("bob");
    assert_int_equal(bill_add_deal(&bill, "9", &deal, &terms), CLI_DONE);
    assert_int_equal(bill.totals.paid_ueur, 80);
    assert_int_equal(bill.totals.escrow_ueur, 100);
    deal.contracted = energy_of(INT64_MAX);
    assert_int_equal(bill_add_deal(&bill, "10", &deal, &terms), CLI_UNPROVEN);
}

/* --- readings ------------------------------------------------------------------------------- */

static struct meter_reading reading(const char *device, int64_t start_ms, int64_t net_wh)
{
    struct meter_reading out = {.device = name_of(device),
                                .interval_start = timestamp_of(start_ms),
                                .interval = duration_of(UNIT_MS),
                                .net = energy_of(net_wh)};
    struct secret_key secret;
    struct hash message;
    secret_of(&secret, device);
    meter_reading_message(&message, &out);
    assert_true(schnorr_sign(&out.signature, &secret, &message));
    return out;
}

static int read_all(const struct meter_reading *readings, uint32_t count)
{
    char directory[TEMP_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    temp_dir_make(directory);
    assert_true(files_join(path, directory, "readings.json"));
    assert_int_equal(reveal_append_readings(&cli, path, readings, count), CLI_DONE);
    const char *const files[] = {path};
    int status = bill_read_readings(&bill, files, 1);
    temp_dir_remove(directory);
    return status;
}

static void forget_readings(void)
{
    bill.reading_count = 0;
    bill.meter_count = 0;
}

static void test_readings_count_once_and_inside(void **state)
{
    (void)state;
    const struct meter_reading all[] = {
        reading("dev", FROM_MS + UNIT_MS, -250),
        reading("dev", FROM_MS, 1000),
        reading("dev", FROM_MS, 1000),
        reading("dev", FROM_MS - UNIT_MS, 77),
        reading("dev", UNTIL_MS - 1, 77),
        reading("house", FROM_MS, 30),
        reading("dev", UNTIL_MS, 77),
    };
    assert_int_equal(read_all(all, sizeof all / sizeof all[0]), CLI_DONE);
    assert_int_equal(bill.reading_count, 3);
    struct device_record device = {.meter_key = key_of("dev")};
    assert_int_equal(bill_check_readings(&bill, &all[0].device, &device), CLI_DONE);
    device.meter_key = key_of("house");
    assert_int_equal(bill_check_readings(&bill, &all[0].device, &device), CLI_UNPROVEN);
    assert_int_equal(bill_sum_readings(&bill), CLI_DONE);
    assert_int_equal(bill.meter_count, 2);
    assert_int_equal(bill.meters[0].imported_wh, 1000);
    assert_int_equal(bill.meters[0].exported_wh, 250);
    assert_int_equal(bill.meters[0].readings, 2);
    assert_int_equal(bill.meters[1].imported_wh, 30);
    /* They cover a deal of both units, and not one that begins a unit later. */
    struct market_create terms = {.times = {.mtu = duration_of(UNIT_MS), .mtus_per_period = 2}};
    struct deal_record deal = {.buyer = bill.who,
                               .seller = name_of("bob"),
                               .device = all[0].device,
                               .period_start = timestamp_of(FROM_MS)};
    assert_int_equal(bill_add_deal(&bill, "1", &deal, &terms), CLI_DONE);
    deal.period_start = timestamp_of(FROM_MS + UNIT_MS);
    assert_int_equal(bill_add_deal(&bill, "2", &deal, &terms), CLI_DONE);
    assert_string_equal(json_string(deal_at(0), "metered_net_wh"), "750");
    assert_null(json_string(deal_at(1), "metered_net_wh"));
}

static void test_readings_that_contradict(void **state)
{
    (void)state;
    struct meter_reading two[] = {reading("dev", FROM_MS, 1), reading("dev", FROM_MS, 2)};
    assert_int_equal(read_all(two, 2), CLI_UNPROVEN);
    forget_readings();
    two[1] = reading("dev", FROM_MS + 1, 1);
    assert_int_equal(read_all(two, 2), CLI_UNPROVEN);
    forget_readings();
    two[1] = reading("dev", FROM_MS + UNIT_MS, 1);
    two[1].interval = duration_of(UNIT_MS / 3);
    assert_int_equal(read_all(two, 2), CLI_UNPROVEN);
    forget_readings();
    two[1].interval = duration_of(0);
    assert_int_equal(read_all(two, 2), CLI_UNPROVEN);
    forget_readings();
    /* A meter at the device is not the connection's. */
    two[1] = reading("dev", FROM_MS, 5);
    two[1].meter = METER_SUB;
    assert_int_equal(read_all(two, 2), CLI_DONE);
    assert_int_equal(bill_sum_readings(&bill), CLI_DONE);
    assert_int_equal(bill.meter_count, 1);
    assert_int_equal(bill.meters[0].imported_wh, 1);
    forget_readings();
    two[0] = reading("dev", FROM_MS, INT64_MAX);
    two[1] = reading("dev", FROM_MS + UNIT_MS, 1);
    assert_int_equal(read_all(two, 2), CLI_DONE);
    assert_int_equal(bill_sum_readings(&bill), CLI_UNPROVEN);
}

/* --- files ---------------------------------------------------------------------------------- */

static void test_csv(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    char problem[JSON_PROBLEM_SIZE];
    static const char text[] =
        "[{\"a\":\"x,y\",\"b\":\"say \\\"no\\\"\",\"c\":7},{\"c\":true,\"a\":\"two\\nlines\"},"
        "{\"b\":null,\"d\":\"of no column\"},"
        "{\"a\":\"=1+1\",\"b\":\"-500\",\"c\":\"-5+1\"},{\"a\":\"@x\",\"b\":\"+1\",\"c\":\"a=b\"}]";
    struct cJSON *rows = json_parse_strict(text, strlen(text), problem);
    assert_non_null(rows);
    temp_dir_make(directory);
    assert_int_equal(csv_write_in(&cli, directory, "table", "a b c", rows), CLI_DONE);
    assert_true(files_join(path, directory, "table.csv"));
    size_t size;
    char *written = files_read(path, 4096, &size);
    assert_string_equal(written,
                        "a,b,c\r\n\"x,y\",\"say \"\"no\"\"\",7\r\n\"two\nlines\",,true\r\n,,\r\n"
                        "\"'=1+1\",-500,\"'-5+1\"\r\n\"'@x\",\"'+1\",a=b\r\n");
    free(written);
    assert_int_equal(csv_write(&cli, "/nowhere/at/all.csv", "a", rows), CLI_USAGE);
    cJSON_Delete(rows);
    temp_dir_remove(directory);
}

/* An empty period is a bill too: five files, each with its header. */
static void test_an_empty_bill(void **state)
{
    (void)state;
    static const char *const names[] = {"bill.csv", "deals.csv", "orders.csv", "lines.csv",
                                        "meters.csv"};
    char directory[TEMP_PATH_SIZE];
    bill.first = 5;
    bill.last = 9;
    bill.balance = money_of(12);
    assert_int_equal(bill_reconcile(&bill), CLI_DONE);
    temp_dir_make(directory);
    assert_int_equal(bill_print(&bill, NULL, directory), CLI_DONE);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[FILES_PATH_SIZE];
        size_t size;
        assert_true(files_join(path, directory, names[i]));
        char *text = files_read(path, 65536, &size);
        assert_non_null(text);
        size_t lines = 0;
        for (size_t at = 0; at < size; at++)
            lines += text[at] == '\n';
        assert_int_equal(lines, i == 0 ? 2 : 1);
        free(text);
    }
    temp_dir_remove(directory);
    const struct cJSON *statement = json_object(cli.result, "statement");
    assert_string_equal(json_string(statement, "opening_ueur"), "12");
    assert_string_equal(json_string(statement, "closing_ueur"), "12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reconciliation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_fee_stands_on_the_sellers_bill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readings_count_once_and_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readings_that_contradict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_csv, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_bill, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
