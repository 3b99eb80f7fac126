/* Forecasts on the ledger: publishing a version of a series (contracts/forecast.h; docs/spec/plans.md 1;
 * D5.5 2.2, feature 36).
 *
 * Invariants:
 * 1. The versions of a series that starts at one time are numbered from 0 without gaps, and all are of the
 *    same place, kind and interval.
 * 2. None is ever changed or removed: what was forecast stays forecast.
 *
 * Deliberately absent: the values; whether the place exists; any look at how good a forecast was. */
#include "contracts/book.h"
#include "contracts/module.h"

static enum contract_error check_series(const struct contract_call *call,
                                        const struct forecast_publish *action)
{
    int64_t length;
    struct timestamp end;
    if (timestamp_ms(action->start) < 0 || duration_ms(action->interval) <= 0 ||
        duration_ms(action->interval) > MS_PER_DAY ||
        timestamp_ms(action->start) % duration_ms(action->interval) != 0 || action->count == 0 ||
        action->count > FORECAST_VALUES_MAX || hash_is_zero(&action->values) ||
        !checked_mul_i64(&length, duration_ms(action->interval), action->count) ||
        !timestamp_add(&end, action->start, duration_of(length))) {
        return CONTRACT_BAD_PARAMETER;
    }
    /* What is over cannot be forecast. */
    return timestamp_compare(call->context->time, end) < 0 ? CONTRACT_OK : CONTRACT_TOO_LATE;
}

static enum contract_error check_version(const struct contract_call *call,
                                         const struct forecast_publish *action)
{
    struct forecast_record before;
    if (action->version >= FORECAST_VERSIONS_MAX) {
        return CONTRACT_BAD_REVISION;
    }
    if (action->version == 0) {
        return CONTRACT_OK;
    }
    struct state_key key =
        state_key_forecast(&call->sender, &action->series, action->start, action->version - 1);
    if (!contract_read(call, &key, &forecast_record_codec, &before)) {
        return CONTRACT_BAD_REVISION;
    }
    bool same = name_compare(&before.place, &action->place) == 0 && before.kind == action->kind &&
                duration_ms(before.interval) == duration_ms(action->interval);
    return same ? CONTRACT_OK : CONTRACT_BAD_PARAMETER;
}

static enum contract_error publish_apply(struct contract_call *call, const void *record)
{
    const struct forecast_publish *action = record;
    enum contract_error error = check_series(call, action);
    if (error == CONTRACT_OK) {
        error = check_version(call, action);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct state_key key =
        state_key_forecast(&call->sender, &action->series, action->start, action->version);
    if (contract_exists(call, &key)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    struct forecast_record published = {.place = action->place,
                                        .kind = action->kind,
                                        .interval = action->interval,
                                        .count = action->count,
                                        .values = action->values,
                                        .published = call->context->time};
    contract_write(call, &key, &forecast_record_codec, &published);
    struct event_forecast event = {.publisher = call->sender,
                                   .series = action->series,
                                   .start = action->start,
                                   .version = action->version};
    contract_event(call, EVENT_FORECAST, &event);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_FORECAST_PUBLISH, publish_apply},
};

const struct contract_module forecast_module = {
    .name = "forecast",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
