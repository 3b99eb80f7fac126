/* The baseline of a delivery (market-rules 9, "Baseline (rule)"; contracts/baseline.h).
 *
 *     candidates -> the last `days` -> the `highest` of them by consumption over the delivery
 *                -> floor of their mean, per interval -> same-day adjustment, held within its cap
 *
 * Invariants:
 * 1. The same candidates give the same choice: of two days with equal sums the later one ranks
 *    higher, so no two candidates ever rank alike.
 * 2. Every rounding is a floor towards minus infinity, also where consumption is net export.
 * 3. All arithmetic is exact in 128 bits: no more than LIMIT_BASELINE_DAYS or
 *    LIMIT_INTERVALS_PER_PERIOD values of 64 bits are ever added, and the one wide product is
 *    divided in two digits. The only thing that may not fit is a reference itself.
 *
 * Deliberately absent: calendars and holidays, and which days had an activation. Who asks knows. */
#include "contracts/baseline.h"

#include <string.h>

#include "base/fatal.h"

enum { PERMILLE = 1000 };

_Static_assert(LIMIT_BASELINE_DAYS < 1 << 16 && LIMIT_INTERVALS_PER_PERIOD < 1 << 16,
               "sums of these many 64-bit values stay under 2^80");

static int128 sum_of(const struct energy *values, uint32_t count)
{
    int128 sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += energy_wh(values[i]);
    }
    return sum;
}

/* Marks the `highest` days. A day is in if fewer than that many rank above it: quadratic, but of
 * at most LIMIT_BASELINE_DAYS days, and plainly independent of any sorting. */
static void choose(struct baseline_result *out, const struct baseline_terms *terms,
                   const struct baseline_days *days)
{
    int128 sums[LIMIT_BASELINE_DAYS];
    uint32_t last = days->candidate_count;
    uint32_t first = last > terms->days ? last - terms->days : 0;
    uint32_t chosen = 0;
    for (uint32_t i = first; i < last; i++) {
        sums[i] = sum_of(days->candidates[i].delivery, days->interval_count);
    }
    for (uint32_t i = first; i < last; i++) {
        uint32_t above = 0;
        for (uint32_t j = first; j < last; j++) {
            above += sums[j] > sums[i] || (sums[j] == sums[i] && j > i) ? 1 : 0;
        }
        out->chosen[i] = above < terms->highest;
        chosen += out->chosen[i] ? 1 : 0;
    }
    MUST(chosen == terms->highest);
}

/* Floor: a provider of up-regulation bears under 1 Wh per interval, one of down-regulation gains
 * it. The mean lies between two 64-bit values, so it is one. */
static struct energy mean_floor(int128 sum, uint32_t highest)
{
    int64_t mean;
    MUST(checked_narrow_i64(&mean, div_floor_i128(sum, highest)));
    return energy_of(mean);
}

static struct energy mean_of_delivery(const struct baseline_result *out,
                                      const struct baseline_terms *terms,
                                      const struct baseline_days *days, uint32_t interval)
{
    int128 sum = 0;
    for (uint32_t i = 0; i < days->candidate_count; i++) {
        sum += out->chosen[i] ? energy_wh(days->candidates[i].delivery[interval]) : 0;
    }
    return mean_floor(sum, terms->highest);
}

static struct energy mean_of_window(const struct baseline_result *out,
                                    const struct baseline_terms *terms,
                                    const struct baseline_days *days, uint32_t interval)
{
    int128 sum = 0;
    for (uint32_t i = 0; i < days->candidate_count; i++) {
        sum += out->chosen[i] ? energy_wh(days->candidates[i].window[interval]) : 0;
    }
    return mean_floor(sum, terms->highest);
}

/* numerator / denominator = actual / baseline over the window, held within the cap; 1 / 1 unless
 * both are positive. */
static void adjust(struct baseline_result *out, const struct baseline_terms *terms,
                   const struct baseline_days *days)
{
    struct energy means[BASELINE_WINDOW_INTERVALS];
    for (uint32_t i = 0; i < BASELINE_WINDOW_INTERVALS; i++) {
        means[i] = mean_of_window(out, terms, days, i);
    }
    int128 actual = sum_of(days->actual_window, BASELINE_WINDOW_INTERVALS);
    int128 baseline = sum_of(means, BASELINE_WINDOW_INTERVALS);
    out->numerator = 1;
    out->denominator = 1;
    if (actual <= 0 || baseline <= 0) {
        return;
    }
    int128 least = PERMILLE - terms->adjustment_permille;
    int128 most = PERMILLE + terms->adjustment_permille;
    out->numerator = actual;
    out->denominator = baseline;
    if (actual * PERMILLE < baseline * least) {
        out->numerator = least;
        out->denominator = PERMILLE;
    } else if (actual * PERMILLE > baseline * most) {
        out->numerator = most;
        out->denominator = PERMILLE;
    }
}

/* floor(r x numerator / denominator). The product of a 64-bit value and a sum of eight may need 130
 * bits, so it is divided in two digits of base 2^32: with n = h x 2^32 + l, r x n / d = q x 2^32 +
 * (rest x 2^32 + r x l) / d, where r x h = q x d + rest. */
static bool adjusted(struct energy *out, struct energy mean, int128 numerator, int128 denominator)
{
    MUST(numerator >= 0 && numerator < (int128)1 << 67);
    MUST(denominator > 0 && denominator < (int128)1 << 67);
    const int128 base = (int128)1 << 32;
    int128 high = energy_wh(mean) * (numerator / base);
    int128 low = energy_wh(mean) * (numerator % base);
    int128 quotient = div_floor_i128(high, denominator);
    int128 rest = high - quotient * denominator;
    int128 reference = quotient * base + div_floor_i128(rest * base + low, denominator);
    int64_t narrow;
    if (!checked_narrow_i64(&narrow, reference)) {
        return false;
    }
    *out = energy_of(narrow);
    return true;
}

static enum baseline_error check(const struct baseline_terms *terms,
                                 const struct baseline_days *days)
{
    if (terms->highest < 1 || terms->days < terms->highest || terms->days > LIMIT_BASELINE_DAYS ||
        terms->adjustment_permille > PERMILLE || days->interval_count < 1 ||
        days->interval_count > LIMIT_INTERVALS_PER_PERIOD) {
        return BASELINE_BAD_TERMS;
    }
    if (days->candidate_count > LIMIT_BASELINE_DAYS) {
        return BASELINE_TOO_MANY_CANDIDATES;
    }
    return days->candidate_count < terms->highest ? BASELINE_TOO_FEW_CANDIDATES : BASELINE_OK;
}

enum baseline_error baseline_compute(struct baseline_result *out,
                                     const struct baseline_terms *terms,
                                     const struct baseline_days *days)
{
    memset(out, 0, sizeof *out);
    enum baseline_error error = check(terms, days);
    if (error != BASELINE_OK) {
        return error;
    }
    choose(out, terms, days);
    adjust(out, terms, days);
    for (uint32_t i = 0; i < days->interval_count; i++) {
        struct energy mean = mean_of_delivery(out, terms, days, i);
        if (!adjusted(&out->reference[i], mean, out->numerator, out->denominator)) {
            out->fault_interval = i;
            return BASELINE_OVERFLOW;
        }
    }
    return BASELINE_OK;
}
