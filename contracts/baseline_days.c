/* Which days a baseline on the ledger is computed from, and what a witness must show of them
 * (market-rules 9, "Baseline (rule)"; docs/spec/delivery.md 5.1 and 5.2).
 *
 * Candidates are the last days before the delivery day, at most LIMIT_PROOF_DAYS back, of its class
 * (Monday to Friday, or the weekend, in UTC) on which the ledger knows of no activation of the device.
 * They follow from the state alone, so neither side of a deal can choose them, and a prover who leaves a
 * day out is refused.
 *
 * Invariants:
 * 1. A day on which anything of the device was sold, or called of what it had reserved, is no candidate.
 * 2. No reading of a candidate day is one of the delivery itself: a period is at most a day long.
 *
 * Deliberately absent: holidays, which no rule here knows; a market whose device rests on them has them
 * as weekdays like any other. */
#include "base/fatal.h"
#include "contracts/baseline.h"
#include "contracts/delivery_internal.h"

static bool is_weekend(int64_t day)
{
    /* Day 0, 1970-01-01, was a Thursday. */
    int64_t weekday = (day + 4) % 7;
    return weekday == 0 || weekday == 6;
}

/* How many days before the delivery each candidate lies, the nearest first; their number. */
static uint32_t find_days(const struct contract_call *call, const struct proof *proof,
                          uint32_t back[LIMIT_PROOF_DAYS])
{
    int64_t delivery_day = timestamp_ms(proof->ended.deal.period_start) / MS_PER_DAY;
    uint32_t count = 0;
    for (uint32_t i = 1; i <= LIMIT_PROOF_DAYS && count < proof->terms.delivery.baseline_days;
         i++) {
        int64_t day = delivery_day - (int64_t)i;
        if (day <= 0) {
            break;
        }
        struct timestamp from = timestamp_of(day * MS_PER_DAY);
        struct timestamp until = timestamp_of((day + 1) * MS_PER_DAY);
        if (is_weekend(day) == is_weekend(delivery_day) &&
            !assets_was_activated(call, &proof->ended.deal.device, from, until)) {
            back[count++] = i;
        }
    }
    return count;
}

/* `count` readings from `unit` on, moved back by whole days. */
static enum contract_error take_readings(const struct contract_call *call, struct proof *proof,
                                         const struct revealed_reading *revealed, int32_t unit,
                                         uint32_t count, uint32_t days_back, struct energy *out)
{
    for (uint32_t i = 0; i < count; i++) {
        struct timestamp start = proof_unit_start(proof, unit + (int32_t)i);
        MUST(timestamp_sub(&start, start, duration_of((int64_t)days_back * MS_PER_DAY)));
        enum contract_error error = proof_check_reading(call, proof, start, &revealed[i]);
        if (error != CONTRACT_OK) {
            return error;
        }
        out[i] = revealed[i].reading.net;
    }
    return CONTRACT_OK;
}

static enum contract_error compute(const struct proof *proof, const struct baseline_days *days,
                                   struct energy reference[LIMIT_INTERVALS_PER_PERIOD])
{
    const struct baseline_terms terms = {.days = proof->terms.delivery.baseline_days,
                                         .highest = proof->terms.delivery.baseline_highest,
                                         .adjustment_permille =
                                             proof->terms.delivery.baseline_adjustment_permille};
    struct baseline_result result;
    switch (baseline_compute(&result, &terms, days)) {
    case BASELINE_OK:
        break;
    case BASELINE_OVERFLOW:
        return CONTRACT_BAD_READING;
    case BASELINE_BAD_TERMS:
    case BASELINE_TOO_FEW_CANDIDATES:
    case BASELINE_TOO_MANY_CANDIDATES:
        MUST(false);
    }
    for (uint32_t i = 0; i < days->interval_count; i++) {
        reference[i] = result.reference[i];
    }
    return CONTRACT_OK;
}

enum contract_error baseline_of_witness(const struct contract_call *call, struct proof *proof,
                                        const struct delivery_witness *witness,
                                        struct energy reference[LIMIT_INTERVALS_PER_PERIOD])
{
    const uint32_t units = proof->terms.times.mtus_per_period;
    const uint32_t window = proof->terms.delivery.baseline_window;
    const int32_t window_from = -(int32_t)window - (int32_t)proof->terms.delivery.baseline_gap;
    uint32_t back[LIMIT_PROOF_DAYS];
    struct baseline_candidate candidates[LIMIT_PROOF_DAYS] = {0};
    struct baseline_days days = {.interval_count = units, .candidates = candidates};
    days.candidate_count = find_days(call, proof, back);
    if (days.candidate_count < proof->terms.delivery.baseline_highest) {
        return CONTRACT_NO_BASELINE;
    }
    if (witness->reading_count != (1 + days.candidate_count) * (units + window)) {
        return CONTRACT_BAD_READING;
    }
    const struct revealed_reading *at = witness->readings + units;
    enum contract_error error =
        take_readings(call, proof, at, window_from, window, 0, days.actual_window);
    at += window;
    /* Earliest first. */
    for (uint32_t i = 0; i < days.candidate_count && error == CONTRACT_OK; i++) {
        uint32_t days_back = back[days.candidate_count - 1 - i];
        error = take_readings(call, proof, at, 0, units, days_back, candidates[i].delivery);
        at += units;
        if (error == CONTRACT_OK) {
            error = take_readings(call, proof, at, window_from, window, days_back,
                                  candidates[i].window);
        }
        at += window;
    }
    return error == CONTRACT_OK ? compute(proof, &days, reference) : error;
}
