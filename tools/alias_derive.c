/* What may be known of an alias by whoever has its opening, and what stands for the device's readings
 * (tools/alias.h; docs/spec/privacy.md 3).
 *
 * Under a baseline the readings of ten earlier days would be revealed again and again, and join every deal
 * of a device to the next. So the meter operator computes what the ledger would have computed, by the same
 * function, and shows the outcome of each unit alone. Whoever has the readings can compute it again.
 *
 * Invariants: a reading that is used is signed by the device's meter; nothing but the deal's own units is
 * ever written, whatever the readings at hand are. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/baseline.h"
#include "tools/alias.h"

/* --- openings --------------------------------------------------------------------------------- */

static bool is_managers(const struct alias_issue *issue, const struct device_record *device)
{
    if (name_compare(&device->owner, &issue->manager) == 0) {
        return true;
    }
    return name_compare(&device->manager, &issue->manager) == 0 &&
           timestamp_compare(device->managed_from, issue->from) <= 0 &&
           timestamp_compare(issue->until, device->managed_until) <= 0;
}

const char *alias_problem(const struct alias_opening *opening, const struct hash *genesis,
                          const struct public_key *manager_key, const struct device_record *device)
{
    const struct alias_issue *issue = &opening->issue;
    struct hash hash;
    alias_commitment(&hash, opening->nonce, &opening->device, &issue->id);
    if (!hash_equal(&hash, &issue->commitment)) {
        return "wrong_commitment";
    }
    alias_request_message(&hash, genesis, opening);
    if (!schnorr_verify(&opening->signature, manager_key, &hash)) {
        return "bad_signature";
    }
    if (name_compare(&issue->zone, &device->zone) != 0 ||
        name_compare(&issue->feeder, &device->feeder) != 0 || issue->type != device->type) {
        return "wrong_place";
    }
    if (power_w(issue->max_power) > power_w(device->max_power) ||
        energy_wh(issue->capacity) > energy_wh(device->capacity) ||
        power_w(issue->connection) > power_w(device->connection)) {
        return "too_large";
    }
    return is_managers(issue, device) ? NULL : "not_managers";
}

bool alias_carves_twice(const struct alias_opening *a, const struct alias_opening *b)
{
    return name_compare(&a->issue.id, &b->issue.id) != 0 &&
           name_compare(&a->device, &b->device) == 0 &&
           timestamp_compare(a->issue.from, b->issue.until) < 0 &&
           timestamp_compare(b->issue.from, a->issue.until) < 0;
}

/* --- readings --------------------------------------------------------------------------------- */

static bool is_weekend(int64_t day)
{
    int64_t weekday = (day + 4) % 7; /* 1970-01-01 was a Thursday */
    return weekday == 0 || weekday == 6;
}

static bool was_activated(const struct alias_task *task, int64_t day)
{
    for (uint32_t i = 0; i < task->activated_count; i++) {
        if (task->activated[i] == day) {
            return true;
        }
    }
    return false;
}

/* The device's own reading of one interval; NULL if there is none. */
static const struct meter_reading *find(const struct alias_task *task, uint8_t meter,
                                        struct timestamp start)
{
    for (uint32_t i = 0; i < task->reading_count; i++) {
        const struct meter_reading *reading = &task->readings[i];
        if (timestamp_compare(reading->interval_start, start) == 0 && reading->meter == meter &&
            duration_ms(reading->interval) == duration_ms(task->terms->times.mtu) &&
            name_compare(&reading->device, &task->opening->device) == 0) {
            return reading;
        }
    }
    return NULL;
}

/* What was read over `count` units from `unit` on, so many days before the delivery. */
static const char *take(const struct alias_task *task, uint8_t meter, int32_t unit, uint32_t count,
                        uint32_t days_back, struct energy *out)
{
    const struct public_key *key =
        meter == METER_SUB ? &task->device->submeter_key : &task->device->meter_key;
    for (uint32_t i = 0; i < count; i++) {
        struct timestamp start;
        struct hash message;
        int64_t offset = duration_ms(task->terms->times.mtu) * (unit + (int64_t)i) -
                         (int64_t)days_back * MS_PER_DAY;
        if (!timestamp_add(&start, task->deal->period_start, duration_of(offset))) {
            return "reading_missing";
        }
        const struct meter_reading *reading = find(task, meter, start);
        if (reading == NULL) {
            return "reading_missing";
        }
        meter_reading_message(&message, reading);
        if (!schnorr_verify(&reading->signature, key, &message)) {
            return "bad_meter_signature";
        }
        out[i] = reading->net;
    }
    return NULL;
}

/* The comparable days, the earliest first: those that docs/spec/delivery.md 7.2 names, over all of the
 * device's aliases. A day with a reading missing is an error and never left out: or else whoever computes
 * could choose the days. */
static const char *take_days(const struct alias_task *task, struct baseline_days *days,
                             struct baseline_candidate candidates[LIMIT_PROOF_DAYS])
{
    const struct market_delivery *delivery = &task->terms->delivery;
    const int32_t window_from = -(int32_t)delivery->baseline_window - delivery->baseline_gap;
    const int64_t today = timestamp_ms(task->deal->period_start) / MS_PER_DAY;
    uint32_t back[LIMIT_PROOF_DAYS];
    uint32_t count = 0;
    for (uint32_t i = 1; i <= LIMIT_PROOF_DAYS && count < delivery->baseline_days; i++) {
        const int64_t day = today - (int64_t)i;
        if (day > 0 && is_weekend(day) == is_weekend(today) && !was_activated(task, day)) {
            back[count++] = i;
        }
    }
    if (count < delivery->baseline_highest) {
        return "no_baseline";
    }
    days->candidates = candidates;
    days->candidate_count = count;
    const char *problem =
        take(task, METER_CERTIFIED, window_from, delivery->baseline_window, 0, days->actual_window);
    for (uint32_t i = 0; i < count && problem == NULL; i++) {
        struct baseline_candidate *candidate = &candidates[count - 1 - i];
        problem =
            take(task, METER_CERTIFIED, 0, days->interval_count, back[i], candidate->delivery);
        if (problem == NULL) {
            problem = take(task, METER_CERTIFIED, window_from, delivery->baseline_window, back[i],
                           candidate->window);
        }
    }
    return problem;
}

/* What was delivered in place of what was read. */
static const char *against_baseline(const struct alias_task *task, struct energy *units,
                                    uint32_t count)
{
    static const struct baseline_candidate none;
    struct baseline_candidate candidates[LIMIT_PROOF_DAYS];
    struct baseline_days days = {.interval_count = count};
    struct baseline_result result;
    for (uint32_t i = 0; i < LIMIT_PROOF_DAYS; i++) {
        candidates[i] = none;
    }
    const char *problem = take_days(task, &days, candidates);
    if (problem != NULL) {
        return problem;
    }
    const struct market_delivery *delivery = &task->terms->delivery;
    const struct baseline_terms terms = {.days = delivery->baseline_days,
                                         .highest = delivery->baseline_highest,
                                         .adjustment_permille =
                                             delivery->baseline_adjustment_permille};
    if (baseline_compute(&result, &terms, &days) != BASELINE_OK) {
        return "bad_reading";
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!delivery_against_reference(&units[i], (enum direction)task->deal->direction,
                                        result.reference[i], units[i])) {
            return "bad_reading";
        }
    }
    return NULL;
}

const char *alias_derive(struct meter_reading out[LIMIT_INTERVALS_PER_PERIOD], uint32_t *count,
                         const struct alias_task *task)
{
    struct energy units[LIMIT_INTERVALS_PER_PERIOD];
    const struct name *alias = &task->opening->issue.id;
    const bool baseline = task->terms->delivery.method == DELIVERY_BASELINE;
    const uint8_t read =
        task->terms->delivery.method == DELIVERY_SUBMETER ? METER_SUB : METER_CERTIFIED;
    *count = task->terms->times.mtus_per_period;
    MUST(*count <= LIMIT_INTERVALS_PER_PERIOD);
    if (name_compare(&task->deal->device, alias) != 0) {
        return "not_its_deal";
    }
    const char *problem = take(task, read, 0, *count, 0, units);
    if (problem == NULL && baseline) {
        problem = against_baseline(task, units, *count);
    }
    for (uint32_t i = 0; i < *count && problem == NULL; i++) {
        struct duration offset = duration_of(duration_ms(task->terms->times.mtu) * (int64_t)i);
        out[i] = (struct meter_reading){.device = *alias,
                                        .meter = baseline ? METER_DELIVERED : read,
                                        .interval = task->terms->times.mtu,
                                        .net = units[i]};
        MUST(timestamp_add(&out[i].interval_start, task->deal->period_start, offset));
    }
    return problem;
}
