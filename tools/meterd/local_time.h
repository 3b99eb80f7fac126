/* The clocks that meter files are written in: UTC, or a zone that follows the European Union's rule of
 * summer time (Directive 2000/84/EC: from the last Sunday of March, 01:00 UTC, to the last Sunday of
 * October, 01:00 UTC). A local day has 23, 24 or 25 hours, so 92, 96 or 100 quarter hours. */
#ifndef FLEX_TOOLS_METERD_LOCAL_TIME_H
#define FLEX_TOOLS_METERD_LOCAL_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum meter_zone { ZONE_UTC = 0, ZONE_WET = 1, ZONE_CET = 2, ZONE_EET = 3 };
enum { ZONE_COUNT = 4 };
extern const char *const meter_zone_names[ZONE_COUNT];

/* What a clock in the zone is ahead of UTC by, at that instant. */
int64_t zone_offset_ms(enum meter_zone zone, int64_t utc_ms);
/* The instants at which a clock in the zone shows `local_ms` (written as if it were UTC): none in the
 * hour that spring leaves out, two in the one that autumn has twice, the earlier first. */
unsigned zone_instants(int64_t out_utc_ms[2], enum meter_zone zone, int64_t local_ms);
/* Start and length of the local day with that number (days since 1970-01-01). */
void zone_day(int64_t *start_utc_ms, int64_t *length_ms, enum meter_zone zone, int64_t day);

/* A time as meter files have it: Unix milliseconds, ISO 8601 with Z or an offset such as +01:00, or
 * with neither, which the zone then gives a meaning ("2025-03-30 02:15" or with a T). The instants go to
 * `out`; 0 if it is no time, or one that the zone's clocks never show (then *skipped). */
unsigned zone_parse(int64_t out_utc_ms[2], bool *skipped, enum meter_zone zone, const char *text);

#endif
