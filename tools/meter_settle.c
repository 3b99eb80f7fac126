/* The arithmetic of traded against metered (meter_settle.h): integers, each sum exact.
 *
 * Rounding: who takes more than it bought pays price x difference rounded up, who takes less gets it
 * rounded down; the difference of less than 1 ueur per row stays with whoever settles.
 *
 * Deliberately absent: who pays whom. A balance group's rules are not the ledger's. */
#include "tools/meter_settle.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { ROWS_FIRST = 256 };

const char *settle_result_text(enum settle_result result)
{
    switch (result) {
    case SETTLE_OK:
        return "fine";
    case SETTLE_MIXED_UNITS:
        return "the trades are of markets with different time units";
    case SETTLE_UNEVEN:
        return "a quantity is not a multiple of its units, or an interval lies across two units";
    case SETTLE_TWICE:
        return "two readings are of the same meter and interval";
    case SETTLE_TOO_LARGE:
        return "too many rows, or an amount too large";
    }
    return "";
}

void settle_init(struct settle *settle)
{
    memset(settle, 0, sizeof *settle);
    settle->meters = calloc(SETTLE_METERS_MAX, sizeof *settle->meters);
    MUST(settle->meters != NULL);
}

void settle_release(struct settle *settle)
{
    free(settle->rows);
    free(settle->meters);
    free(settle->readings);
    memset(settle, 0, sizeof *settle);
}

static struct settle_row *add_row(struct settle *settle, const struct name *participant,
                                  struct timestamp start)
{
    if (settle->row_count == settle->row_room) {
        if (settle->row_room >= SETTLE_ROWS_MAX) {
            return NULL;
        }
        settle->row_room = settle->row_room == 0 ? ROWS_FIRST : 2 * settle->row_room;
        settle->rows = realloc(settle->rows, (size_t)settle->row_room * sizeof *settle->rows);
        MUST(settle->rows != NULL);
    }
    struct settle_row *row = &settle->rows[settle->row_count++];
    memset(row, 0, sizeof *row);
    row->participant = *participant;
    row->start = start;
    return row;
}

enum settle_result settle_trade(struct settle *settle, const struct deal_record *deal,
                                const struct market_create *terms)
{
    const int64_t units = terms->times.mtus_per_period;
    const int64_t unit_ms = duration_ms(terms->times.mtu);
    if (duration_ms(settle->unit) != 0 && duration_ms(settle->unit) != unit_ms) {
        return SETTLE_MIXED_UNITS;
    }
    settle->unit = terms->times.mtu;
    if (units <= 0 || energy_wh(deal->contracted) % units != 0) {
        return SETTLE_UNEVEN;
    }
    const struct energy each = energy_of(energy_wh(deal->contracted) / units);
    for (int64_t i = 0; i < units; i++) {
        struct timestamp start;
        if (!timestamp_add(&start, deal->period_start, duration_of(i * unit_ms))) {
            return SETTLE_TOO_LARGE;
        }
        struct settle_row *buyer = add_row(settle, &deal->buyer, start);
        if (buyer == NULL) {
            return SETTLE_TOO_LARGE;
        }
        buyer->bought = each;
        struct settle_row *seller = add_row(settle, &deal->seller, start);
        if (seller == NULL) {
            return SETTLE_TOO_LARGE;
        }
        seller->sold = each;
    }
    return SETTLE_OK;
}

/* The meter's number; SETTLE_METERS_MAX if there are too many. */
static uint32_t meter_number(struct settle *settle, const struct name *device,
                             const struct name *participant)
{
    for (uint32_t i = 0; i < settle->meter_count; i++) {
        if (name_compare(&settle->meters[i].device, device) == 0) {
            return i;
        }
    }
    if (settle->meter_count == SETTLE_METERS_MAX) {
        return SETTLE_METERS_MAX;
    }
    settle->meters[settle->meter_count] = (struct settle_meter){*device, *participant};
    return settle->meter_count++;
}

static bool note_reading(struct settle *settle, uint32_t meter, struct timestamp start)
{
    if (settle->reading_count == settle->reading_room) {
        if (settle->reading_room >= SETTLE_ROWS_MAX) {
            return false;
        }
        settle->reading_room = settle->reading_room == 0 ? ROWS_FIRST : 2 * settle->reading_room;
        settle->readings =
            realloc(settle->readings, (size_t)settle->reading_room * sizeof *settle->readings);
        MUST(settle->readings != NULL);
    }
    settle->readings[settle->reading_count++] = (struct settle_seen){meter, start};
    return true;
}

static int compare_readings(const void *a, const void *b)
{
    const struct settle_seen *left = a, *right = b;
    return left->meter != right->meter ? (left->meter > right->meter) - (left->meter < right->meter)
                                       : timestamp_compare(left->start, right->start);
}

static bool any_twice(struct settle *settle)
{
    if (settle->reading_count > 0) {
        qsort(settle->readings, settle->reading_count, sizeof *settle->readings, compare_readings);
    }
    for (uint32_t i = 1; i < settle->reading_count; i++) {
        if (compare_readings(&settle->readings[i - 1], &settle->readings[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum settle_result settle_reading(struct settle *settle, const struct meter_reading *reading,
                                  const struct name *participant)
{
    const int64_t unit_ms = duration_ms(settle->unit);
    const int64_t start_ms = timestamp_ms(reading->interval_start);
    if (reading->meter != METER_CERTIFIED) {
        return SETTLE_OK;
    }
    if (unit_ms <= 0 || start_ms < 0 ||
        start_ms % unit_ms + duration_ms(reading->interval) > unit_ms) {
        return SETTLE_UNEVEN;
    }
    const uint32_t meter = meter_number(settle, &reading->device, participant);
    if (meter == SETTLE_METERS_MAX || !note_reading(settle, meter, reading->interval_start)) {
        return SETTLE_TOO_LARGE;
    }
    struct settle_row *row =
        add_row(settle, participant, timestamp_of(start_ms - start_ms % unit_ms));
    if (row == NULL) {
        return SETTLE_TOO_LARGE;
    }
    row->metered = reading->net;
    row->covered = reading->interval;
    return SETTLE_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const struct settle_row *left = a, *right = b;
    const int order = name_compare(&left->participant, &right->participant);
    return order != 0 ? order : timestamp_compare(left->start, right->start);
}

static uint32_t meters_of(const struct settle *settle, const struct name *participant)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < settle->meter_count; i++) {
        count += name_compare(&settle->meters[i].participant, participant) == 0;
    }
    return count;
}

/* Adds up the rows of one participant and unit into the first of them. */
static bool merge_rows(struct settle *settle)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < settle->row_count; i++) {
        const struct settle_row *row = &settle->rows[i];
        struct settle_row *into = kept > 0 ? &settle->rows[kept - 1] : NULL;
        int64_t covered;
        if (into == NULL || compare_rows(into, row) != 0) {
            settle->rows[kept++] = *row;
            continue;
        }
        if (!energy_add(&into->bought, into->bought, row->bought) ||
            !energy_add(&into->sold, into->sold, row->sold) ||
            !energy_add(&into->metered, into->metered, row->metered) ||
            !checked_add_i64(&covered, duration_ms(into->covered), duration_ms(row->covered))) {
            return false;
        }
        into->covered = duration_of(covered);
    }
    settle->row_count = kept;
    return true;
}

static bool value_row(struct settle_row *row, const struct energy_price *price)
{
    struct energy position;
    if (!energy_sub(&position, row->bought, row->sold) ||
        !energy_sub(&row->difference, row->metered, position)) {
        return false;
    }
    /* Towards whoever settles: a payment rounds up, and what is paid out (below zero) rounds its size
     * down, which is up as well. */
    return price == NULL ||
           money_from_neur_ceil(&row->amount, energy_price_times_neur(*price, row->difference));
}

enum settle_result settle_finish(struct settle *settle, const struct energy_price *price)
{
    if (settle->row_count > 0) {
        qsort(settle->rows, settle->row_count, sizeof *settle->rows, compare_rows);
    }
    if (any_twice(settle)) {
        return SETTLE_TWICE;
    }
    if (!merge_rows(settle)) {
        return SETTLE_TOO_LARGE;
    }
    uint32_t meters = 0;
    for (uint32_t i = 0; i < settle->row_count; i++) {
        struct settle_row *row = &settle->rows[i];
        int64_t whole;
        if (i == 0 || name_compare(&row->participant, &row[-1].participant) != 0) {
            meters = meters_of(settle, &row->participant);
        }
        if (!checked_mul_i64(&whole, duration_ms(settle->unit), meters)) {
            return SETTLE_TOO_LARGE;
        }
        row->complete = meters > 0 && duration_ms(row->covered) == whole;
        if (row->complete && !value_row(row, price)) {
            return SETTLE_TOO_LARGE;
        }
    }
    return SETTLE_OK;
}
