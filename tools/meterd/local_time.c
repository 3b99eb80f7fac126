/* Summer time by rule, in whole milliseconds (local_time.h).
 *
 * Invariant: for every instant, zone_instants of the time that zone_offset_ms makes of it gives it back.
 *
 * Deliberately absent: the system's time zone tables, whose content differs between machines, and years
 * before the common rule (1996). */
#include "tools/meterd/local_time.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/units.h"
#include "tools/value.h"

const char *const meter_zone_names[ZONE_COUNT] = {"utc", "wet", "cet", "eet"};

enum { MARCH = 3, OCTOBER = 10, DAYS_PER_400_YEARS = 146097, TIME_TEXT_MAX = 40 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Days since 1970-01-01 of a day in March or later: years counted from March make leap days last. */
static int64_t day_of(int64_t year, int64_t month, int64_t day_of_month)
{
    const int64_t era = floor_div(year, 400);
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month - 3) + 2) / 5 + day_of_month - 1;
    return era * DAYS_PER_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - 719468;
}

static int64_t year_of(int64_t day)
{
    int64_t year = 1970 + floor_div(day * 400, DAYS_PER_400_YEARS);
    /* The quotient is off by at most one; the first of March cannot decide January and February. */
    const int64_t january = day_of(year - 1, 13, 1);
    if (day < january) {
        return year - 1;
    }
    return day >= day_of(year, 13, 1) ? year + 1 : year;
}

/* 01:00 UTC of the last Sunday of a month that has 31 days. */
static int64_t change_ms(int64_t year, int64_t month)
{
    const int64_t last = day_of(year, month, 31);
    const int64_t weekday = (last + 4) % 7; /* 1970-01-01 was a Thursday; Sunday is 0 */
    return (last - weekday) * MS_PER_DAY + MS_PER_HOUR;
}

static int64_t standard_ms(enum meter_zone zone)
{
    switch (zone) {
    case ZONE_UTC:
    case ZONE_WET:
        return 0;
    case ZONE_CET:
        return MS_PER_HOUR;
    case ZONE_EET:
        return 2 * (int64_t)MS_PER_HOUR;
    }
    return 0;
}

int64_t zone_offset_ms(enum meter_zone zone, int64_t utc_ms)
{
    if (zone == ZONE_UTC) {
        return 0;
    }
    const int64_t year = year_of(floor_div(utc_ms, MS_PER_DAY));
    const bool summer = utc_ms >= change_ms(year, MARCH) && utc_ms < change_ms(year, OCTOBER);
    return standard_ms(zone) + (summer ? MS_PER_HOUR : 0);
}

unsigned zone_instants(int64_t out_utc_ms[2], enum meter_zone zone, int64_t local_ms)
{
    const int64_t summer = local_ms - standard_ms(zone) - MS_PER_HOUR;
    const int64_t winter = local_ms - standard_ms(zone);
    unsigned count = 0;
    if (zone != ZONE_UTC && zone_offset_ms(zone, summer) == standard_ms(zone) + MS_PER_HOUR) {
        out_utc_ms[count++] = summer;
    }
    if (zone_offset_ms(zone, winter) == standard_ms(zone)) {
        out_utc_ms[count++] = winter;
    }
    return count;
}

void zone_day(int64_t *start_utc_ms, int64_t *length_ms, enum meter_zone zone, int64_t day)
{
    int64_t start[2];
    int64_t end[2];
    /* Clocks change at 01:00 UTC, which is no midnight in any of the zones. */
    (void)zone_instants(start, zone, day * MS_PER_DAY);
    (void)zone_instants(end, zone, (day + 1) * MS_PER_DAY);
    *start_utc_ms = start[0];
    *length_ms = end[0] - start[0];
}

/* The offset at the end of the text ("+01:00"), which is cut off; false if it has none. */
static bool take_offset(char *text, int64_t *offset_ms)
{
    const size_t length = strlen(text);
    const size_t size = strlen("+01:00");
    if (length < 16 + size) {
        return false;
    }
    char *at = text + length - size;
    uint64_t hours, minutes;
    if ((at[0] != '+' && at[0] != '-') || at[3] != ':') {
        return false;
    }
    const char hour_text[3] = {at[1] == '0' ? at[2] : at[1], at[1] == '0' ? '\0' : at[2], '\0'};
    const char minute_text[3] = {at[4] == '0' ? at[5] : at[4], at[4] == '0' ? '\0' : at[5], '\0'};
    if (!uint64_from_text(&hours, hour_text) || !uint64_from_text(&minutes, minute_text) ||
        hours > 14 || minutes > 59) {
        return false;
    }
    const int64_t size_ms = (int64_t)hours * MS_PER_HOUR + (int64_t)minutes * 60000;
    *offset_ms = at[0] == '-' ? -size_ms : size_ms;
    *at = '\0';
    return true;
}

unsigned zone_parse(int64_t out_utc_ms[2], bool *skipped, enum meter_zone zone, const char *text)
{
    char copy[TIME_TEXT_MAX];
    int64_t offset_ms = 0;
    int64_t ms;
    *skipped = false;
    if (value_time(&out_utc_ms[0], text)) {
        return 1;
    }
    const int length = snprintf(copy, sizeof copy - 1, "%s", text);
    if (length < 16 || (size_t)length >= sizeof copy - 1) {
        return 0;
    }
    if (copy[10] == ' ') {
        copy[10] = 'T';
    }
    const bool has_offset = take_offset(copy, &offset_ms);
    const size_t end = strlen(copy);
    copy[end] = 'Z';
    copy[end + 1] = '\0';
    if (!value_time(&ms, copy)) {
        return 0;
    }
    if (has_offset) {
        out_utc_ms[0] = ms - offset_ms;
        return 1;
    }
    const unsigned count = zone_instants(out_utc_ms, zone, ms);
    *skipped = count == 0;
    return count;
}
