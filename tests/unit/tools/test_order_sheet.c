/* Tables of orders: columns, fields, faults by line, digests; and what a row locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/order_check.h"

static char path[] = "/tmp/flex-test-sheet-XXXXXX";
static struct order_sheet sheet;
static struct order_faults faults;
static char problem[CSV_PROBLEM_SIZE];

static int set_up(void **state)
{
    (void)state;
    int file = mkstemp(path);
    assert_true(file >= 0 && crypto_init());
    close(file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static bool read_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    order_sheet_release(&sheet);
    problem[0] = '\0';
    return order_sheet_read(&sheet, path, false, &faults, problem);
}

#define HEAD "side,market,direction,start,quantity_wh,price"

static void test_reads_rows(void **state)
{
    (void)state;
    assert_true(read_text(
        HEAD ",device,schedule,kind,indivisible,min_quantity_wh,rank,reservation\n"
             "request,west,up,2025-01-15T11:00Z,4000,0.30,,,,,,,\n"
             "offer,east,down,1736938800000,5000,1.25,bat,plan,all_or_none,yes,1000,3,12\n"));
    assert_int_equal(sheet.count, 2);
    const struct order_row *row = &sheet.rows[0];
    assert_false(row->offers);
    assert_int_equal(row->line, 2);
    assert_int_equal(timestamp_ms(row->request.period_start), 1736938800000);
    assert_int_equal(energy_price_ueur_per_kwh(row->request.price), 300000);
    assert_null(row->schedule);
    row = &sheet.rows[1];
    assert_true(row->offers);
    assert_int_equal(row->offer.direction, DIRECTION_DOWN);
    assert_int_equal(energy_wh(row->offer.quantity), 5000);
    assert_int_equal(energy_price_ueur_per_kwh(row->offer.price), 1250000);
    assert_string_equal(row->schedule, "plan");
    assert_int_equal(row->offer.options.kind, ORDER_ALL_OR_NONE);
    assert_int_equal(row->offer.options.indivisible, 1);
    assert_int_equal(row->offer.options.rank, 3);
    assert_int_equal(row->offer.reservation, 12);
    order_sheet_release(&sheet);
}

/* One field wrong at a time: one fault, of that line, that begins with the column's name. */
static void test_names_each_wrong_field(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        const char *column;
    } rows[] = {
        {"buy,west,up,2025-01-15T11:00Z,4000,0.30", "side:"},
        {",west,up,2025-01-15T11:00Z,4000,0.30", "side:"},
        {"request,We st,up,2025-01-15T11:00Z,4000,0.30", "market:"},
        {"request,west,UP,2025-01-15T11:00Z,4000,0.30", "direction:"},
        {"request,west,up,2025-01-15T11:00,4000,0.30", "start:"},
        {"request,west,up,2025-01-15T11:00Z,-4000,0.30", "quantity_wh:"},
        {"request,west,up,2025-01-15T11:00Z,4e3,0.30", "quantity_wh:"},
        {"request,west,up,2025-01-15T11:00Z,99999999999999999999,0.30", "quantity_wh:"},
        {"request,west,up,2025-01-15T11:00Z,4000,-0.30", "price:"},
        {"request,west,up,2025-01-15T11:00Z,4000,0.1234567", "price:"},
        {"offer,west,up,2025-01-15T11:00Z,4000,0.30", "device:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s\nrequest,west,up,2025-01-15T11:00Z,4000,0.30\n%s\n", HEAD,
                 rows[i].row);
        assert_false(read_text(text));
        assert_int_equal(faults.count, 1);
        assert_int_equal(faults.first[0].line, 3);
        assert_int_equal(strncmp(faults.first[0].text, rows[i].column, strlen(rows[i].column)), 0);
    }
}

static void test_refuses_tables(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "",
        HEAD "\n",
        HEAD ",side\nrequest,west,up,2025-01-15T11:00Z,4000,0.30,request\n",
        HEAD ",colour\nrequest,west,up,2025-01-15T11:00Z,4000,0.30,red\n",
        "side,market,direction,start,quantity_wh\nrequest,west,up,2025-01-15T11:00Z,4000\n",
        HEAD "\nrequest,west,up,2025-01-15T11:00Z,4000\n",
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        assert_false(read_text(tables[i]));
        assert_int_equal(faults.count, 0);
        assert_true(problem[0] != '\0');
    }
}

static void digest_of(uint8_t out[32], const char *text)
{
    assert_true(read_text(text));
    order_sheet_digest(out, &sheet, 0, sheet.count);
}

static void test_digest_is_of_what_is_said(void **state)
{
    (void)state;
    static const char row[] = "request,west,up,2025-01-15T11:00Z,4000,0.30";
    char text[512];
    uint8_t first[32], other[32];
    snprintf(text, sizeof text, HEAD "\n%s\n", row);
    digest_of(first, text);
    /* Columns elsewhere, one more that is empty, other line ends: the same. */
    digest_of(other, "price;device;side;market;direction;start;quantity_wh\r\n"
                     "0.30;;request;west;up;2025-01-15T11:00Z;4000\r\n");
    assert_memory_equal(first, other, 32);
    /* Every field that says something else: another. */
    static const char *const others[] = {"offer,west,up,2025-01-15T11:00Z,4000,0.30,b",
                                         "request,wes,up,2025-01-15T11:00Z,4000,0.30,",
                                         "request,west,down,2025-01-15T11:00Z,4000,0.30,",
                                         "request,west,up,2025-01-15T12:00Z,4000,0.30,",
                                         "request,west,up,2025-01-15T11:00Z,4001,0.30,",
                                         "request,west,up,2025-01-15T11:00Z,4000,0.31,",
                                         "request,west,up,2025-01-15T11:00Z,4000,0.30,b"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(text, sizeof text, HEAD ",device\n%s\n", others[i]);
        digest_of(other, text);
        assert_memory_not_equal(first, other, 32);
    }
    order_sheet_release(&sheet);
}

/* Rounded up, per order, whatever the numbers; and no silent overflow. */
static void test_locks(void **state)
{
    (void)state;
    static struct market_record market;
    struct order_row row = {.offers = false};
    struct money locked;
    row.offer.quantity = energy_of(1);
    row.offer.price = energy_price_of(1);
    assert_true(order_locks(&locked, &row, &market));
    assert_int_equal(money_ueur(locked), 1);
    row.offer.quantity = energy_of(4001);
    row.offer.price = energy_price_of(333333);
    assert_true(order_locks(&locked, &row, &market));
    assert_int_equal(money_ueur(locked), (4001LL * 333333 + 999) / 1000);
    row.offers = true; /* in a market that takes no deposit */
    assert_true(order_locks(&locked, &row, &market));
    assert_int_equal(money_ueur(locked), 0);
    row.offers = false;
    row.offer.quantity = energy_of(INT64_MAX);
    assert_false(order_locks(&locked, &row, &market));
}

/* What a node says of a market is not proven under --no-verify, and may be anything. */
static void test_terms_that_no_ledger_takes(void **state)
{
    (void)state;
    static const int64_t extremes[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    struct order_row row = {.offers = false};
    row.offer.quantity = energy_of(1000);
    row.offer.price = energy_price_of(1000);
    for (size_t i = 0; i < 5 * 5 * 5; i++) {
        static struct market_record market;
        const int64_t mtu = extremes[i % 5], step = extremes[i / 5 % 5], now = extremes[i / 25];
        memset(&market, 0, sizeof market);
        market.state = MARKET_OPEN;
        market.terms.times.opens = timestamp_of(INT64_MIN);
        market.terms.times.closes = timestamp_of(INT64_MAX);
        market.terms.times.mtu = duration_of(mtu);
        market.terms.times.mtus_per_period = i % 2 == 0 ? UINT16_MAX : 0;
        market.terms.limits.quantity_step = energy_of(step);
        market.terms.limits.price_step = energy_price_of(step);
        for (size_t start = 0; start < 5; start++) {
            row.offer.period_start = timestamp_of(extremes[start]);
            assert_int_not_equal(order_check(&row, &market, timestamp_of(now)), CONTRACT_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_rows),     cmocka_unit_test(test_names_each_wrong_field),
        cmocka_unit_test(test_refuses_tables), cmocka_unit_test(test_digest_is_of_what_is_said),
        cmocka_unit_test(test_locks),          cmocka_unit_test(test_terms_that_no_ledger_takes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
