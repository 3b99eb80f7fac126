/* Tables of forecasts and dispatch (contracts/forecast.h, contracts/dispatch.h; docs/spec/plans.md), and
 * what their hashes cover.
 *
 * 1. A hash covers a salt and everything that the chain says about the series, so no two series, versions
 *    or senders can share one, and nobody finds values by guessing.
 * 2. The first byte under the domain tells forecasts and set-points apart.
 *
 * Deliberately absent: the values' file (tools/plan_file.h), and who may publish, send and answer
 * (forecast.c, dispatch.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/dispatch.h"
#include "contracts/records.h"

const char *const forecast_kind_names[FORECAST_KIND_COUNT] = {"net", "consumption", "generation"};
const char *const dispatch_answer_names[DISPATCH_ANSWER_COUNT] = {"unanswered", "accepted",
                                                                  "refused"};

enum { SERIES_OF_FORECAST = 0, SERIES_OF_SETPOINTS = 1 };

/* --- forecasts ------------------------------------------------------------------------------ */

/* The hash is last: what stands before it is what it covers. */
static const struct codec_field forecast_publish_fields[] = {
    {.name = "series", .type = CODEC_NAME, .offset = offsetof(struct forecast_publish, series)},
    {.name = "place", .type = CODEC_NAME, .offset = offsetof(struct forecast_publish, place)},
    {.name = "kind",
     .type = CODEC_ENUM,
     .limit = FORECAST_KIND_COUNT,
     .names = forecast_kind_names,
     .offset = offsetof(struct forecast_publish, kind)},
    {.name = "start_ms", .type = CODEC_I64, .offset = offsetof(struct forecast_publish, start)},
    {.name = "interval_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct forecast_publish, interval)},
    {.name = "count", .type = CODEC_U32, .offset = offsetof(struct forecast_publish, count)},
    {.name = "version", .type = CODEC_U32, .offset = offsetof(struct forecast_publish, version)},
    {.name = "values",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct forecast_publish, values)},
};
const struct codec_record forecast_publish_codec = {
    .name = "forecast_publish",
    .struct_size = sizeof(struct forecast_publish),
    .fields = forecast_publish_fields,
    .field_count = sizeof forecast_publish_fields / sizeof forecast_publish_fields[0],
};

static const struct codec_field forecast_record_fields[] = {
    {.name = "place", .type = CODEC_NAME, .offset = offsetof(struct forecast_record, place)},
    {.name = "kind",
     .type = CODEC_ENUM,
     .limit = FORECAST_KIND_COUNT,
     .names = forecast_kind_names,
     .offset = offsetof(struct forecast_record, kind)},
    {.name = "interval_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct forecast_record, interval)},
    {.name = "count", .type = CODEC_U32, .offset = offsetof(struct forecast_record, count)},
    {.name = "values",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct forecast_record, values)},
    {.name = "published_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct forecast_record, published)},
};
const struct codec_record forecast_record_codec = {
    .name = "forecast",
    .struct_size = sizeof(struct forecast_record),
    .fields = forecast_record_fields,
    .field_count = sizeof forecast_record_fields / sizeof forecast_record_fields[0],
};

static const struct codec_field event_forecast_fields[] = {
    {.name = "publisher", .type = CODEC_NAME, .offset = offsetof(struct event_forecast, publisher)},
    {.name = "series", .type = CODEC_NAME, .offset = offsetof(struct event_forecast, series)},
    {.name = "start_ms", .type = CODEC_I64, .offset = offsetof(struct event_forecast, start)},
    {.name = "version", .type = CODEC_U32, .offset = offsetof(struct event_forecast, version)},
};
const struct codec_record event_forecast_codec = {
    .name = "forecast_published",
    .struct_size = sizeof(struct event_forecast),
    .fields = event_forecast_fields,
    .field_count = sizeof event_forecast_fields / sizeof event_forecast_fields[0],
};

/* The event's fields are the key's parts. */
const struct codec_record forecast_key_codec = {
    .name = "forecast_key",
    .struct_size = sizeof(struct event_forecast),
    .fields = event_forecast_fields,
    .field_count = sizeof event_forecast_fields / sizeof event_forecast_fields[0],
};

/* --- dispatch ------------------------------------------------------------------------------- */

static const struct codec_field dispatch_send_fields[] = {
    {.name = "device", .type = CODEC_NAME, .offset = offsetof(struct dispatch_send, device)},
    {.name = "start_ms", .type = CODEC_I64, .offset = offsetof(struct dispatch_send, start)},
    {.name = "interval_ms", .type = CODEC_I64, .offset = offsetof(struct dispatch_send, interval)},
    {.name = "count", .type = CODEC_U32, .offset = offsetof(struct dispatch_send, count)},
    {.name = "revision", .type = CODEC_U32, .offset = offsetof(struct dispatch_send, revision)},
    {.name = "deal", .type = CODEC_U64, .offset = offsetof(struct dispatch_send, deal)},
    {.name = "deadline_ms", .type = CODEC_I64, .offset = offsetof(struct dispatch_send, deadline)},
    {.name = "setpoints",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct dispatch_send, setpoints)},
};
const struct codec_record dispatch_send_codec = {
    .name = "dispatch_send",
    .struct_size = sizeof(struct dispatch_send),
    .fields = dispatch_send_fields,
    .field_count = sizeof dispatch_send_fields / sizeof dispatch_send_fields[0],
};

static const struct codec_field dispatch_ack_fields[] = {
    {.name = "device", .type = CODEC_NAME, .offset = offsetof(struct dispatch_ack, device)},
    {.name = "start_ms", .type = CODEC_I64, .offset = offsetof(struct dispatch_ack, start)},
    {.name = "revision", .type = CODEC_U32, .offset = offsetof(struct dispatch_ack, revision)},
    {.name = "accepted", .type = CODEC_BOOL, .offset = offsetof(struct dispatch_ack, accepted)},
};
const struct codec_record dispatch_ack_codec = {
    .name = "dispatch_ack",
    .struct_size = sizeof(struct dispatch_ack),
    .fields = dispatch_ack_fields,
    .field_count = sizeof dispatch_ack_fields / sizeof dispatch_ack_fields[0],
};

static const struct codec_field dispatch_record_fields[] = {
    {.name = "sender", .type = CODEC_NAME, .offset = offsetof(struct dispatch_record, sender)},
    {.name = "deal", .type = CODEC_U64, .offset = offsetof(struct dispatch_record, deal)},
    {.name = "interval_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct dispatch_record, interval)},
    {.name = "count", .type = CODEC_U32, .offset = offsetof(struct dispatch_record, count)},
    {.name = "setpoints",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct dispatch_record, setpoints)},
    {.name = "sent_ms", .type = CODEC_I64, .offset = offsetof(struct dispatch_record, sent)},
    {.name = "deadline_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct dispatch_record, deadline)},
    {.name = "answer",
     .type = CODEC_ENUM,
     .limit = DISPATCH_ANSWER_COUNT,
     .names = dispatch_answer_names,
     .offset = offsetof(struct dispatch_record, answer)},
    {.name = "answered_by",
     .type = CODEC_NAME_EMPTY,
     .offset = offsetof(struct dispatch_record, answered_by)},
    {.name = "answered_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct dispatch_record, answered)},
};
const struct codec_record dispatch_record_codec = {
    .name = "dispatch",
    .struct_size = sizeof(struct dispatch_record),
    .fields = dispatch_record_fields,
    .field_count = sizeof dispatch_record_fields / sizeof dispatch_record_fields[0],
};

static const struct codec_field event_dispatch_fields[] = {
    {.name = "device", .type = CODEC_NAME, .offset = offsetof(struct event_dispatch, device)},
    {.name = "start_ms", .type = CODEC_I64, .offset = offsetof(struct event_dispatch, start)},
    {.name = "revision", .type = CODEC_U32, .offset = offsetof(struct event_dispatch, revision)},
    {.name = "answer",
     .type = CODEC_ENUM,
     .limit = DISPATCH_ANSWER_COUNT,
     .names = dispatch_answer_names,
     .offset = offsetof(struct event_dispatch, answer)},
    {.name = "by", .type = CODEC_NAME, .offset = offsetof(struct event_dispatch, by)},
};
const struct codec_record event_dispatch_codec = {
    .name = "dispatched",
    .struct_size = sizeof(struct event_dispatch),
    .fields = event_dispatch_fields,
    .field_count = sizeof event_dispatch_fields / sizeof event_dispatch_fields[0],
};

/* The first three of the event's fields are the key's parts. */
const struct codec_record dispatch_key_codec = {
    .name = "dispatch_key",
    .struct_size = sizeof(struct event_dispatch),
    .fields = event_dispatch_fields,
    .field_count = 3,
};

/* --- keys ----------------------------------------------------------------------------------- */

static struct state_key key_of(enum state_kind kind, const struct codec_record *codec,
                               const void *parts)
{
    struct state_key key = {.size = 0};
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    codec_encode(codec, parts, &writer);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}

struct state_key state_key_forecast(const struct name *publisher, const struct name *series,
                                    struct timestamp start, uint32_t version)
{
    struct event_forecast parts = {
        .publisher = *publisher, .series = *series, .start = start, .version = version};
    return key_of(STATE_FORECAST, &forecast_key_codec, &parts);
}

struct state_key state_key_dispatch(const struct name *device, struct timestamp start,
                                    uint32_t revision)
{
    struct event_dispatch parts = {.device = *device, .start = start, .revision = revision};
    return key_of(STATE_DISPATCH, &dispatch_key_codec, &parts);
}

/* --- what the hashes cover ------------------------------------------------------------------ */

enum { SERIES_HEAD_BYTES = 256 };

static void hash_series(struct hash *out, uint8_t kind, const uint8_t salt[PLAN_SALT_SIZE],
                        const struct name *who, const struct codec_record *codec,
                        const void *action, const struct energy *values, uint32_t count)
{
    /* The action as it is encoded, without its last field, the hash itself. */
    const struct codec_record covered = {.name = codec->name,
                                         .struct_size = codec->struct_size,
                                         .fields = codec->fields,
                                         .field_count = codec->field_count - 1};
    uint8_t head[SERIES_HEAD_BYTES];
    struct byte_writer writer;
    struct hash_state state;
    byte_writer_init(&writer, head, sizeof head);
    byte_write_u8(&writer, kind);
    byte_write_raw(&writer, salt, PLAN_SALT_SIZE);
    byte_write_raw(&writer, who->text, NAME_SIZE);
    codec_encode(&covered, action, &writer);
    MUST(!writer.failed);
    hash_begin(&state, HASH_DOMAIN_SERIES);
    hash_update(&state, head, writer.size);
    for (uint32_t i = 0; i < count; i++) {
        byte_writer_init(&writer, head, sizeof head);
        byte_write_i64(&writer, energy_wh(values[i]));
        hash_update(&state, head, writer.size);
    }
    hash_end(&state, out);
}

void forecast_hash(struct hash *out, const uint8_t salt[PLAN_SALT_SIZE],
                   const struct name *publisher, const struct forecast_publish *published,
                   const struct energy *values)
{
    MUST(published->count <= FORECAST_VALUES_MAX);
    hash_series(out, SERIES_OF_FORECAST, salt, publisher, &forecast_publish_codec, published,
                values, published->count);
}

void dispatch_hash(struct hash *out, const uint8_t salt[PLAN_SALT_SIZE], const struct name *sender,
                   const struct dispatch_send *sent, const struct energy *setpoints)
{
    MUST(sent->count <= LIMIT_INTERVALS_PER_PERIOD);
    hash_series(out, SERIES_OF_SETPOINTS, salt, sender, &dispatch_send_codec, sent, setpoints,
                sent->count);
}
