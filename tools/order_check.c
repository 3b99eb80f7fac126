/* A row against its market (tools/order_check.h). Written from docs/spec/market.md 2 and 3, not from
 * contracts/market.c: tests/e2e/test_batch.sh compares the two refusal by refusal.
 *
 * Invariant: terms that no ledger takes, which a node may say where nothing is proven, are refused like any
 * others; no number of theirs is divided by or added to unchecked.
 *
 * Deliberately absent: everything that depends on other records than the market's. */
#include "tools/order_check.h"

#include "base/checked.h"
#include "contracts/auction.h"
#include "contracts/book.h"
#include "contracts/capacity.h"

static bool is_multiple(int64_t value, int64_t step)
{
    return step > 0 && value % step == 0;
}

static bool direction_fits(const struct market_create *terms, uint8_t direction)
{
    switch ((enum market_directions)terms->directions) {
    case DIRECTIONS_BOTH:
        return true;
    case DIRECTIONS_UP:
        return direction == DIRECTION_UP;
    case DIRECTIONS_DOWN:
        return direction == DIRECTION_DOWN;
    }
    return false;
}

static bool options_fit(const struct market_create *terms, const struct order_options *options)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
        return options->rank == 0;
    case MECHANISM_CAPACITY:
        return options->rank == 0 && options->kind == ORDER_LIMIT;
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_ORDERED_DEMAND:
    case MECHANISM_ONE_SIDED:
        return auction_takes_options(terms, options);
    case MECHANISM_COUPLED:
        return true; /* its own rules are the ledger's to say */
    }
    return false;
}

static enum contract_error check_amounts(const struct market_limits *limits,
                                         const struct offer_place *order)
{
    const int64_t wh = energy_wh(order->quantity);
    const int64_t least = energy_wh(order->options.min_quantity);
    const int64_t price = energy_price_ueur_per_kwh(order->price);
    if (wh <= 0) {
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    }
    if (!is_multiple(wh, energy_wh(limits->quantity_step)) ||
        !is_multiple(least, energy_wh(limits->quantity_step)) ||
        !is_multiple(price, energy_price_ueur_per_kwh(limits->price_step))) {
        return CONTRACT_BAD_GRANULARITY;
    }
    const bool within = wh >= energy_wh(limits->quantity_min) &&
                        wh <= energy_wh(limits->quantity_max) && least <= wh &&
                        price >= energy_price_ueur_per_kwh(limits->price_min) &&
                        price <= energy_price_ueur_per_kwh(limits->price_max);
    return within ? CONTRACT_OK : CONTRACT_OUT_OF_RANGE;
}

static enum contract_error check_times(const struct market_create *terms,
                                       const struct offer_place *order, struct timestamp now,
                                       struct book_times *times)
{
    const int64_t start_ms = timestamp_ms(order->period_start);
    int64_t period_ms, ahead_ms;
    const bool fits =
        start_ms >= 0 &&
        checked_mul_i64(&period_ms, duration_ms(terms->times.mtu), terms->times.mtus_per_period) &&
        is_multiple(start_ms, period_ms) &&
        checked_sub_i64(&ahead_ms, start_ms, timestamp_ms(now)) &&
        ahead_ms <= limit_period_ahead_ms && book_times_of(times, terms, order->period_start);
    return fits ? CONTRACT_OK : CONTRACT_BAD_PERIOD;
}

enum contract_error order_check(const struct order_row *row, const struct market_record *market,
                                struct timestamp now)
{
    const struct market_create *terms = &market->terms;
    const struct offer_place *order = &row->offer;
    struct book_times times = {0};
    if (market->state != MARKET_OPEN || timestamp_compare(now, terms->times.opens) < 0 ||
        timestamp_compare(now, terms->times.closes) >= 0) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    if (check_times(terms, order, now, &times) != CONTRACT_OK) {
        return CONTRACT_BAD_PERIOD;
    }
    if (!direction_fits(terms, order->direction)) {
        return CONTRACT_WRONG_DIRECTION;
    }
    if (!options_fit(terms, &order->options)) {
        return CONTRACT_UNSUPPORTED_ORDER;
    }
    if (timestamp_compare(now, times.opening) < 0) {
        return CONTRACT_GATE_NOT_OPEN;
    }
    if (timestamp_compare(now, times.gate) >= 0) {
        return CONTRACT_GATE_CLOSED;
    }
    const enum contract_error error = check_amounts(&terms->limits, order);
    const bool sells_capacity = capacity_is_sold(terms);
    const bool of_a_device = !name_is_empty(&order->device);
    /* Capacity is asked for, for a device, and offered by nobody; elsewhere a request has no device. */
    return error != CONTRACT_OK ? error
           : sells_capacity ? row->offers || !of_a_device ? CONTRACT_UNSUPPORTED_ORDER : CONTRACT_OK
           : !row->offers && of_a_device ? CONTRACT_UNSUPPORTED_ORDER
                                         : CONTRACT_OK;
}

bool order_locks(struct money *out, const struct order_row *row, const struct market_record *market)
{
    const struct energy_price rate =
        row->offers ? market_deposit_rate(&market->terms, row->offer.price) : row->offer.price;
    int64_t whole;
    /* The market's terms bound what it takes; a row that it doesn't take may be anything. */
    if (!checked_mul_i64(&whole, energy_price_ueur_per_kwh(rate), energy_wh(row->offer.quantity))) {
        return false;
    }
    *out = book_escrow(rate, row->offer.quantity);
    return true;
}

bool order_needs_schedule(const struct market_create *terms)
{
    return terms->product != PRODUCT_RESERVATION && (terms->delivery.method == DELIVERY_SCHEDULE ||
                                                     terms->delivery.method == DELIVERY_SUBMETER);
}
