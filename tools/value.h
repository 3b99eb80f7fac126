/* What people write on a command line, as exact integers, and the way back.
 *
 * Nothing here goes through floating point: '1.25' is 1250000 ueur because its digits say so. Every
 * parser takes the whole text or nothing; false leaves *out untouched. NULL is never valid. */
#ifndef FLEX_TOOLS_VALUE_H
#define FLEX_TOOLS_VALUE_H

#include "base/units.h"
#include "crypto/hash.h"

enum { VALUE_TEXT_SIZE = 48 };

/* EUR with at most six decimals ("1.25", "-0.05"), in micro-euro; with `ueur` a whole number of
 * micro-euro instead. */
MUST_USE bool value_eur(int64_t *out, const char *text, bool ueur);
/* Unix milliseconds, or ISO 8601 in UTC: 2025-01-15, 2025-01-15T10:00Z, ...T10:00:30Z,
 * ...T10:00:30.250Z. Years 1970 to 9999; a time of day without the Z is refused, because nobody
 * could tell which clock was meant. */
MUST_USE bool value_time(int64_t *out_ms, const char *text);
/* Milliseconds, or a whole number with the unit ms, s, m, h or d; not negative. */
MUST_USE bool value_duration(int64_t *out_ms, const char *text);

/* "1.25", "0.000001", "-3.00": at least two decimals, at most six. Returns out. */
const char *value_eur_text(char out[VALUE_TEXT_SIZE], int64_t ueur);
/* "2025-01-15T10:00:00Z", with milliseconds only where they are not zero; a number that stands for
 * no year from 1970 to 9999 is printed as it is. Returns out. */
const char *value_time_text(char out[VALUE_TEXT_SIZE], int64_t ms);
/* "15m", "36h", "1500ms". Returns out. */
const char *value_duration_text(char out[VALUE_TEXT_SIZE], int64_t ms);

#endif
