/* Quantities with their units (base/units.h, market-rules 1).
 *
 * The one place that looks inside the unit structs. Each type gets only the operations that mean
 * something for it: a price has no sum, a time stamp is moved by a span. Every rounding is named
 * and says who gains the remainder. Absent on purpose: products of money, averages, anything that
 * would need a fraction of a micro-euro or of a watt-hour to exist. */
#include "base/units.h"

#include "base/assumptions.h"

enum { NEUR_PER_UEUR = 1000 };

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

struct money money_of(int64_t ueur)
{
    return (struct money){ueur};
}

int64_t money_ueur(struct money amount)
{
    return amount.raw_ueur;
}

bool money_add(struct money *out, struct money a, struct money b)
{
    return checked_add_i64(&out->raw_ueur, a.raw_ueur, b.raw_ueur);
}

bool money_sub(struct money *out, struct money a, struct money b)
{
    return checked_sub_i64(&out->raw_ueur, a.raw_ueur, b.raw_ueur);
}

int money_compare(struct money a, struct money b)
{
    return compare_i64(a.raw_ueur, b.raw_ueur);
}

struct money money_min(struct money a, struct money b)
{
    return money_compare(a, b) <= 0 ? a : b;
}

struct energy energy_of(int64_t wh)
{
    return (struct energy){wh};
}

int64_t energy_wh(struct energy energy)
{
    return energy.raw_wh;
}

bool energy_add(struct energy *out, struct energy a, struct energy b)
{
    return checked_add_i64(&out->raw_wh, a.raw_wh, b.raw_wh);
}

bool energy_sub(struct energy *out, struct energy a, struct energy b)
{
    return checked_sub_i64(&out->raw_wh, a.raw_wh, b.raw_wh);
}

int energy_compare(struct energy a, struct energy b)
{
    return compare_i64(a.raw_wh, b.raw_wh);
}

struct energy energy_min(struct energy a, struct energy b)
{
    return energy_compare(a, b) <= 0 ? a : b;
}

struct power power_of(int64_t w)
{
    return (struct power){w};
}

int64_t power_w(struct power power)
{
    return power.raw_w;
}

bool power_times_duration_floor(struct energy *out, struct power power, struct duration span)
{
    int128 watt_ms = product_i128(power.raw_w, span.raw_ms);
    return checked_narrow_i64(&out->raw_wh, div_floor_i128(watt_ms, MS_PER_HOUR));
}

struct energy_price energy_price_of(int64_t ueur_per_kwh)
{
    return (struct energy_price){ueur_per_kwh};
}

int64_t energy_price_ueur_per_kwh(struct energy_price price)
{
    return price.raw_ueur_per_kwh;
}

int energy_price_compare(struct energy_price a, struct energy_price b)
{
    return compare_i64(a.raw_ueur_per_kwh, b.raw_ueur_per_kwh);
}

int128 energy_price_times_neur(struct energy_price price, struct energy energy)
{
    return product_i128(price.raw_ueur_per_kwh, energy.raw_wh);
}

bool money_from_neur_ceil(struct money *out, int128 neur)
{
    return checked_narrow_i64(&out->raw_ueur, div_ceil_i128(neur, NEUR_PER_UEUR));
}

bool money_from_neur_floor(struct money *out, int128 neur)
{
    return checked_narrow_i64(&out->raw_ueur, div_floor_i128(neur, NEUR_PER_UEUR));
}

struct timestamp timestamp_of(int64_t ms)
{
    return (struct timestamp){ms};
}

int64_t timestamp_ms(struct timestamp time)
{
    return time.raw_ms;
}

int timestamp_compare(struct timestamp a, struct timestamp b)
{
    return compare_i64(a.raw_ms, b.raw_ms);
}

bool timestamp_add(struct timestamp *out, struct timestamp time, struct duration span)
{
    return checked_add_i64(&out->raw_ms, time.raw_ms, span.raw_ms);
}

bool timestamp_sub(struct timestamp *out, struct timestamp time, struct duration span)
{
    return checked_sub_i64(&out->raw_ms, time.raw_ms, span.raw_ms);
}

struct duration duration_of(int64_t ms)
{
    return (struct duration){ms};
}

int64_t duration_ms(struct duration span)
{
    return span.raw_ms;
}

bool timestamp_until(struct duration *out, struct timestamp a, struct timestamp b)
{
    return checked_sub_i64(&out->raw_ms, b.raw_ms, a.raw_ms);
}
