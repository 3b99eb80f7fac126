/* Forecasts as signed, versioned series (features 36; D5.5 2.2; D2.3 4.2.4; docs/spec/plans.md 1).
 *
 * The chain holds who forecast what for when, in which version, and a salted hash of the values; the
 * values travel beside it in a file (tools/plan_file.h). Whoever has the file checks it against the
 * chain, and nobody can say later that he had forecast something else. NULL is never valid. */
#ifndef FLEX_CONTRACTS_FORECAST_H
#define FLEX_CONTRACTS_FORECAST_H

#include "base/codec.h"
#include "base/name.h"
#include "base/units.h"
#include "crypto/hash.h"

/* Of what: power sign as everywhere, import is positive. */
enum forecast_kind {
    FORECAST_NET = 0, /* consumption less generation */
    FORECAST_CONSUMPTION = 1,
    FORECAST_GENERATION = 2 /* what is generated, as a positive number */
};
enum { FORECAST_KIND_COUNT = 3 };
extern const char *const forecast_kind_names[FORECAST_KIND_COUNT];

enum {
    PLAN_SALT_SIZE = 16,
    /* A leap year of quarter hours. */
    FORECAST_VALUES_MAX = 366 * 96,
    /* A new version every quarter hour for a week. */
    FORECAST_VERSIONS_MAX = 672
};

/* By any participant. Version 0 begins a series that starts then; the next one repeats place, kind and
 * interval. values = forecast_hash. */
struct forecast_publish {
    struct name series; /* the publisher's own name for it */
    struct name place;  /* a device, feeder or zone; the ledger does not look for it */
    uint8_t kind;
    struct timestamp start;
    struct duration interval;
    uint32_t count;
    uint32_t version;
    struct hash values;
};
/* Key: publisher, series, start, version. Every version stays. */
struct forecast_record {
    struct name place;
    uint8_t kind;
    struct duration interval;
    uint32_t count;
    struct hash values;
    struct timestamp published;
};
struct event_forecast {
    struct name publisher;
    struct name series;
    struct timestamp start;
    uint32_t version;
};

extern const struct codec_record forecast_publish_codec;
extern const struct codec_record forecast_record_codec;
extern const struct codec_record forecast_key_codec;
extern const struct codec_record event_forecast_codec;

/* H(SERIES, 0, salt, publisher, the action without its hash, each value in Wh): whoever knows the hash
 * and guesses values learns nothing without the salt. `values` has published->count. */
void forecast_hash(struct hash *out, const uint8_t salt[PLAN_SALT_SIZE],
                   const struct name *publisher, const struct forecast_publish *published,
                   const struct energy *values);

#endif
