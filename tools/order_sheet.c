/* Reading tables of orders (tools/order_sheet.h): what a row can be wrong in by itself. Whether the ledger
 * would take it is order_batch.c's affair.
 *
 * Invariants: a row is an order only if each of its fields is wholly understood; the same fields give the
 * same digest, whatever the order of the columns and however the file ends its lines. */
#include "tools/order_sheet.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fatal.h"
#include "contracts/records.h"
#include "tools/text_width.h"
#include "tools/value.h"

enum column {
    COLUMN_SIDE,
    COLUMN_MARKET,
    COLUMN_DIRECTION,
    COLUMN_START,
    COLUMN_QUANTITY,
    COLUMN_PRICE,
    COLUMN_DEVICE, /* from here on they may be missing */
    COLUMN_SCHEDULE,
    COLUMN_RESERVATION,
    COLUMN_KIND,
    COLUMN_MIN_QUANTITY,
    COLUMN_INDIVISIBLE,
    COLUMN_RANK,
    COLUMN_COUNT
};
static const char *const column_names[COLUMN_COUNT] = {
    "side",     "market",      "direction", "start",           "quantity_wh", "price", "device",
    "schedule", "reservation", "kind",      "min_quantity_wh", "indivisible", "rank"};

/* One file while it is read. */
struct reading {
    struct order_sheet *sheet;
    struct order_faults *faults;
    bool ueur;
    uint32_t places[COLUMN_COUNT]; /* of the columns; CSV_COLUMNS_MAX: not there */
    uint32_t row;
};

void order_fault(struct order_faults *faults, uint32_t line, const char *format, ...)
{
    if (faults->count < ORDER_FAULTS_MAX) {
        va_list list;
        va_start(list, format);
        faults->first[faults->count].line = line;
        vsnprintf(faults->first[faults->count].text, ORDER_FAULT_SIZE, format, list);
        va_end(list);
        text_clean(faults->first[faults->count].text); /* a table may come from a stranger */
    }
    faults->count++;
}

static bool find_columns(struct reading *reading, char problem[CSV_PROBLEM_SIZE])
{
    const struct csv_table *table = &reading->sheet->table;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        reading->places[i] = CSV_COLUMNS_MAX;
    }
    for (uint32_t at = 0; at < table->columns; at++) {
        int found = 0;
        while (found < COLUMN_COUNT && strcmp(column_names[found], table->header[at]) != 0) {
            found++;
        }
        if (found == COLUMN_COUNT || reading->places[found] != CSV_COLUMNS_MAX) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.150s:1: column '%.40s' %s", table->name,
                     table->header[at],
                     found == COLUMN_COUNT ? "is none of orders" : "is there twice");
            return false;
        }
        reading->places[found] = at;
    }
    for (int i = 0; i < COLUMN_DEVICE; i++) {
        if (reading->places[i] == CSV_COLUMNS_MAX) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.150s:1: there is no column '%s'", table->name,
                     column_names[i]);
            return false;
        }
    }
    return true;
}

/* "" if the column is not there. */
static const char *field(const struct reading *reading, enum column column)
{
    const uint32_t place = reading->places[column];
    return place == CSV_COLUMNS_MAX ? "" : csv_field(&reading->sheet->table, reading->row, place);
}

static void wrong(const struct reading *reading, enum column column, const char *wanted)
{
    order_fault(reading->faults, reading->row + 2, "%s: '%.60s' is not %s", column_names[column],
                field(reading, column), wanted);
}

static uint8_t read_choice(const struct reading *reading, enum column column,
                           const char *const *names, uint8_t count, const char *wanted)
{
    for (uint8_t i = 0; i < count; i++) {
        if (names[i] != NULL && strcmp(names[i], field(reading, column)) == 0) {
            return i;
        }
    }
    wrong(reading, column, wanted);
    return 0;
}

static void read_name(const struct reading *reading, enum column column, struct name *out)
{
    const char *text = field(reading, column);
    if (!name_from_text(out, text, strlen(text))) {
        wrong(reading, column, "a name");
    }
}

static struct energy read_energy(const struct reading *reading, enum column column)
{
    int64_t value = 0;
    if (!int64_from_text(&value, field(reading, column)) || value < 0) {
        wrong(reading, column, "a whole number of Wh");
        value = 0;
    }
    return energy_of(value);
}

static uint64_t read_number(const struct reading *reading, enum column column, uint64_t most)
{
    uint64_t value = 0;
    const char *text = field(reading, column);
    if (text[0] != '\0' && (!uint64_from_text(&value, text) || value > most)) {
        wrong(reading, column, "a whole number in range");
        value = 0;
    }
    return value;
}

static void read_options(const struct reading *reading, struct order_options *out)
{
    static const char *const yes_or_no[] = {"no", "yes"};
    *out = (struct order_options){0};
    if (field(reading, COLUMN_KIND)[0] != '\0') {
        out->kind = read_choice(reading, COLUMN_KIND, order_kind_names, ORDER_KIND_COUNT,
                                "a kind of order (limit, all_or_none, fill_and_kill)");
    }
    if (field(reading, COLUMN_INDIVISIBLE)[0] != '\0') {
        out->indivisible =
            read_choice(reading, COLUMN_INDIVISIBLE, yes_or_no, 2, "yes or no (or empty)");
    }
    if (field(reading, COLUMN_MIN_QUANTITY)[0] != '\0') {
        out->min_quantity = read_energy(reading, COLUMN_MIN_QUANTITY);
    }
    out->rank = (uint16_t)read_number(reading, COLUMN_RANK, UINT16_MAX);
}

/* Fields only of the other side would be dropped without a word. */
static void read_sides_own(const struct reading *reading, struct order_row *row)
{
    const bool has_device = field(reading, COLUMN_DEVICE)[0] != '\0';
    const char *schedule = field(reading, COLUMN_SCHEDULE);
    row->schedule = schedule[0] != '\0' ? schedule : NULL;
    row->offer.reservation = read_number(reading, COLUMN_RESERVATION, UINT64_MAX);
    if (row->offers || has_device) {
        read_name(reading, COLUMN_DEVICE, &row->offer.device);
    }
    if (!row->offers && row->schedule != NULL) {
        order_fault(reading->faults, row->line, "schedule: a request declares none");
    }
    if (!row->offers && row->offer.reservation != 0) {
        order_fault(reading->faults, row->line, "reservation: a request answers none");
    }
}

static void digest_row(const struct reading *reading, uint8_t out[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        const char *text = field(reading, (enum column)i);
        /* With its NUL, so that no two rows run together alike. */
        crypto_generichash_update(&state, (const uint8_t *)text, strlen(text) + 1);
    }
    /* What an amount means. */
    const uint8_t ueur = reading->ueur;
    crypto_generichash_update(&state, &ueur, 1);
    crypto_generichash_final(&state, out, 32);
}

static void read_row(const struct reading *reading, struct order_row *row)
{
    static const char *const sides[] = {"request", "offer"};
    struct offer_place *offer = &row->offer;
    int64_t start_ms = 0, price = 0;
    memset(row, 0, sizeof *row);
    row->line = reading->row + 2;
    row->offers = read_choice(reading, COLUMN_SIDE, sides, 2, "request or offer") == 1;
    read_name(reading, COLUMN_MARKET, &offer->market);
    offer->direction = read_choice(reading, COLUMN_DIRECTION, direction_names, 2, "up or down");
    if (!value_time(&start_ms, field(reading, COLUMN_START))) {
        wrong(reading, COLUMN_START, "a UTC time like 2025-01-15T10:00Z");
    }
    offer->quantity = read_energy(reading, COLUMN_QUANTITY);
    if (!value_eur(&price, field(reading, COLUMN_PRICE), reading->ueur) || price < 0) {
        wrong(reading, COLUMN_PRICE, "a price per kWh");
        price = 0;
    }
    offer->period_start = timestamp_of(start_ms);
    offer->price = energy_price_of(price);
    read_options(reading, &offer->options);
    read_sides_own(reading, row);
    row->request = (struct request_place){.market = offer->market,
                                          .direction = offer->direction,
                                          .period_start = offer->period_start,
                                          .quantity = offer->quantity,
                                          .price = offer->price,
                                          .device = offer->device,
                                          .options = offer->options};
    digest_row(reading, row->digest);
}

bool order_sheet_read(struct order_sheet *out, const char *path, bool ueur,
                      struct order_faults *faults, char problem[CSV_PROBLEM_SIZE])
{
    struct reading reading = {.sheet = out, .faults = faults, .ueur = ueur};
    memset(out, 0, sizeof *out);
    memset(faults, 0, sizeof *faults);
    if (!csv_read(&out->table, path, problem) || !find_columns(&reading, problem)) {
        return false;
    }
    if (out->table.rows == 0 || out->table.rows > ORDER_ROWS_MAX) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.150s: %u rows; 1 to %d are taken", out->table.name,
                 out->table.rows, ORDER_ROWS_MAX);
        return false;
    }
    out->rows = calloc(out->table.rows, sizeof *out->rows);
    if (out->rows == NULL) {
        snprintf(problem, CSV_PROBLEM_SIZE, "memory ran out");
        return false;
    }
    out->count = out->table.rows;
    for (reading.row = 0; reading.row < out->count; reading.row++) {
        read_row(&reading, &out->rows[reading.row]);
    }
    return faults->count == 0;
}

void order_sheet_release(struct order_sheet *sheet)
{
    free(sheet->rows);
    csv_free(&sheet->table);
    memset(sheet, 0, sizeof *sheet);
}

void order_sheet_digest(uint8_t out[32], const struct order_sheet *sheet, uint32_t from,
                        uint32_t count)
{
    crypto_generichash_state state;
    MUST(from <= sheet->count && count <= sheet->count - from);
    crypto_generichash_init(&state, NULL, 0, 32);
    for (uint32_t i = from; i < from + count; i++) {
        crypto_generichash_update(&state, sheet->rows[i].digest, 32);
    }
    crypto_generichash_final(&state, out, 32);
}
