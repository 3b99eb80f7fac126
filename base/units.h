/* Physical and monetary quantities, each a type of its own (market-rules 1).
 *
 * The raw_ fields are for base/ and for codec tables (offsetof) only; `make check-source` fails on
 * any other use. Everybody else goes through these functions, so a price can't be added to an
 * energy and no sum can overflow unseen. Functions that return false leave *out untouched. */
#ifndef FLEX_BASE_UNITS_H
#define FLEX_BASE_UNITS_H

#include "base/checked.h"

/* Money in micro-euro. */
struct money {
    int64_t raw_ueur;
};
/* Energy in watt-hours; import from the grid is positive where it has a direction. */
struct energy {
    int64_t raw_wh;
};
/* Power in watts; consumption from the grid is positive where it has a direction. */
struct power {
    int64_t raw_w;
};
/* Energy price in micro-euro per kilowatt-hour; may be negative within a market's limits. */
struct energy_price {
    int64_t raw_ueur_per_kwh;
};
/* Unix time in milliseconds. */
struct timestamp {
    int64_t raw_ms;
};
/* A span of time in milliseconds. */
struct duration {
    int64_t raw_ms;
};

enum { MS_PER_HOUR = 3600000, MS_PER_DAY = 86400000, MTU_MS_DEFAULT = 900000 };

struct money money_of(int64_t ueur);
int64_t money_ueur(struct money amount);
MUST_USE bool money_add(struct money *out, struct money a, struct money b);
MUST_USE bool money_sub(struct money *out, struct money a, struct money b);
/* -1, 0 or 1. */
int money_compare(struct money a, struct money b);
struct money money_min(struct money a, struct money b);

struct energy energy_of(int64_t wh);
int64_t energy_wh(struct energy energy);
MUST_USE bool energy_add(struct energy *out, struct energy a, struct energy b);
MUST_USE bool energy_sub(struct energy *out, struct energy a, struct energy b);
int energy_compare(struct energy a, struct energy b);
struct energy energy_min(struct energy a, struct energy b);

struct power power_of(int64_t w);
int64_t power_w(struct power power);
/* Energy that `power` makes in `span`, rounded down: who is limited by it never gets more. */
MUST_USE bool power_times_duration_floor(struct energy *out, struct power power,
                                         struct duration span);

struct energy_price energy_price_of(int64_t ueur_per_kwh);
int64_t energy_price_ueur_per_kwh(struct energy_price price);
int energy_price_compare(struct energy_price a, struct energy_price b);
/* Exact: ueur/kWh x Wh = nano-euro. */
int128 energy_price_times_neur(struct energy_price price, struct energy energy);
/* A payer's total, rounded up to whole ueur: escrow always covers what it is for. */
MUST_USE bool money_from_neur_ceil(struct money *out, int128 neur);
/* A payee's total, rounded down; the difference stays in the market's fee pool. */
MUST_USE bool money_from_neur_floor(struct money *out, int128 neur);

struct timestamp timestamp_of(int64_t ms);
int64_t timestamp_ms(struct timestamp time);
int timestamp_compare(struct timestamp a, struct timestamp b);
MUST_USE bool timestamp_add(struct timestamp *out, struct timestamp time, struct duration span);
MUST_USE bool timestamp_sub(struct timestamp *out, struct timestamp time, struct duration span);
struct duration duration_of(int64_t ms);
int64_t duration_ms(struct duration span);
/* b - a. */
MUST_USE bool timestamp_until(struct duration *out, struct timestamp a, struct timestamp b);

#endif
