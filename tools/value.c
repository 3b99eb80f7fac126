/* Money, times and durations as people write them (tools/value.h).
 *
 * Invariants: no floating point; no time zone and no locale of the machine has a say; what a
 * *_text function prints, the parser of the same kind reads back as the same integer.
 *
 * Absent on purpose: thousands separators, decimal commas, time zones other than UTC, leap seconds
 * (Unix time has none). */
#include "tools/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EUR_DECIMALS = 6, UEUR_PER_EUR = 1000000, DIGITS_MAX = 19 };
enum { MS_PER_SECOND = 1000, MS_PER_MINUTE = 60000, YEAR_FIRST = 1970, YEAR_LAST = 9999 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads exactly `count` digits and moves *at behind them. */
static bool read_digits(const char **at, int count, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit((*at)[i])) {
            return false;
        }
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += count;
    *out = value;
    return true;
}

bool value_eur(int64_t *out, const char *text, bool ueur)
{
    if (ueur) {
        return int64_from_text(out, text);
    }
    const char *at = text;
    bool negative = *at == '-';
    at += negative;
    const char *point = strchr(at, '.');
    size_t whole = point != NULL ? (size_t)(point - at) : strlen(at);
    size_t decimals = point != NULL ? strlen(point + 1) : 0;
    if (whole == 0 || whole > DIGITS_MAX || decimals > EUR_DECIMALS ||
        (point != NULL && decimals == 0) || (whole > 1 && at[0] == '0')) {
        return false;
    }
    int128 value = 0;
    for (size_t i = 0; i < whole + (point != NULL) + decimals; i++) {
        if (at + i == point) {
            continue;
        }
        if (!is_digit(at[i])) {
            return false;
        }
        value = value * 10 + (at[i] - '0');
    }
    for (size_t i = decimals; i < EUR_DECIMALS; i++) {
        value *= 10;
    }
    return checked_narrow_i64(out, negative ? -value : value);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. Years are counted from March, so that
 * the leap day is a year's last one; 400 years have 146097 days. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = shifted / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    *month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool read_date(const char **at, int64_t *days)
{
    int64_t year, month, day;
    if (!read_digits(at, 4, &year) || *(*at)++ != '-' || !read_digits(at, 2, &month) ||
        *(*at)++ != '-' || !read_digits(at, 2, &day)) {
        return false;
    }
    if (year < YEAR_FIRST || month < 1 || month > 12 || day < 1) {
        return false;
    }
    *days = days_of_date(year, month, day);
    int64_t year_back, month_back, day_back;
    date_of_days(*days, &year_back, &month_back, &day_back);
    /* The 31st of April is the 1st of May by arithmetic and a slip of the pen by intent. */
    return year_back == year && month_back == month && day_back == day;
}

/* hh:mm[:ss[.mmm]]Z */
static bool read_time_of_day(const char *at, int64_t *ms)
{
    int64_t hour, minute, second = 0, milli = 0;
    if (!read_digits(&at, 2, &hour) || *at++ != ':' || !read_digits(&at, 2, &minute)) {
        return false;
    }
    if (*at == ':') {
        at++;
        if (!read_digits(&at, 2, &second)) {
            return false;
        }
        if (*at == '.') {
            at++;
            if (!read_digits(&at, 3, &milli)) {
                return false;
            }
        }
    }
    if (strcmp(at, "Z") != 0 || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *ms = hour * MS_PER_HOUR + minute * MS_PER_MINUTE + second * MS_PER_SECOND + milli;
    return true;
}

bool value_time(int64_t *out_ms, const char *text)
{
    int64_t ms = 0;
    if (int64_from_text(&ms, text)) {
        if (ms < 0) {
            return false;
        }
        *out_ms = ms;
        return true;
    }
    /* The shortest date has ten characters; behind a shorter text read_digits would stop at its
     * end, but the separators in between are only looked at where they exist. */
    if (strlen(text) < 10) {
        return false;
    }
    const char *at = text;
    int64_t days;
    if (!read_date(&at, &days)) {
        return false;
    }
    if (*at == 'T') {
        if (!read_time_of_day(at + 1, &ms)) {
            return false;
        }
    } else if (*at != '\0') {
        return false;
    }
    *out_ms = days * MS_PER_DAY + ms;
    return true;
}

bool value_duration(int64_t *out_ms, const char *text)
{
    size_t length = strlen(text);
    char digits[DIGITS_MAX + 1];
    int64_t unit = 1;
    if (length > 2 && strcmp(text + length - 2, "ms") == 0) {
        length -= 2;
    } else if (length > 0 && !is_digit(text[length - 1])) {
        switch (text[length - 1]) {
        case 's':
            unit = MS_PER_SECOND;
            break;
        case 'm':
            unit = MS_PER_MINUTE;
            break;
        case 'h':
            unit = MS_PER_HOUR;
            break;
        case 'd':
            unit = MS_PER_DAY;
            break;
        }
        if (unit == 1) {
            return false;
        }
        length--;
    }
    if (length == 0 || length >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    int64_t count;
    if (!int64_from_text(&count, digits) || count < 0) {
        return false;
    }
    return checked_mul_i64(out_ms, count, unit);
}

const char *value_eur_text(char out[VALUE_TEXT_SIZE], int64_t ueur)
{
    int128 amount = ueur;
    bool negative = amount < 0;
    amount = negative ? -amount : amount;
    uint64_t whole = (uint64_t)(amount / UEUR_PER_EUR);
    uint32_t part = (uint32_t)(amount % UEUR_PER_EUR);
    int decimals = EUR_DECIMALS;
    while (decimals > 2 && part % 10 == 0) {
        part /= 10;
        decimals--;
    }
    snprintf(out, VALUE_TEXT_SIZE, "%s%" PRIu64 ".%0*" PRIu32, negative ? "-" : "", whole, decimals,
             part);
    return out;
}

const char *value_time_text(char out[VALUE_TEXT_SIZE], int64_t ms)
{
    int64_t last_ms = (days_of_date(YEAR_LAST, 12, 31) + 1) * MS_PER_DAY - 1;
    if (ms < 0 || ms > last_ms) {
        snprintf(out, VALUE_TEXT_SIZE, "%" PRId64, ms);
        return out;
    }
    int64_t year, month, day;
    date_of_days(ms / MS_PER_DAY, &year, &month, &day);
    int64_t rest = ms % MS_PER_DAY;
    int64_t milli = rest % MS_PER_SECOND;
    char fraction[8] = "";
    if (milli != 0) {
        snprintf(fraction, sizeof fraction, ".%03u", (unsigned)milli % 1000u);
    }
    snprintf(out, VALUE_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)year,
             (unsigned)month, (unsigned)day, (unsigned)(rest / MS_PER_HOUR),
             (unsigned)(rest / MS_PER_MINUTE % 60), (unsigned)(rest / MS_PER_SECOND % 60),
             fraction);
    return out;
}

const char *value_duration_text(char out[VALUE_TEXT_SIZE], int64_t ms)
{
    static const struct {
        int64_t unit;
        const char *suffix;
    } units[] = {{MS_PER_DAY, "d"}, {MS_PER_HOUR, "h"}, {MS_PER_MINUTE, "m"}, {MS_PER_SECOND, "s"}};
    for (size_t i = 0; ms != 0 && i < sizeof units / sizeof units[0]; i++) {
        if (ms % units[i].unit == 0) {
            snprintf(out, VALUE_TEXT_SIZE, "%" PRId64 "%s", ms / units[i].unit, units[i].suffix);
            return out;
        }
    }
    snprintf(out, VALUE_TEXT_SIZE, "%" PRId64 "%s", ms, ms == 0 ? "s" : "ms");
    return out;
}
