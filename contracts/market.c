/* Markets, zonal requests and offers: what may enter a book (D5.5 2.2.4; D2.3 4.2.3; MFX III.A;
 * market-rules 2 to 4; docs/spec/market.md).
 *
 * A DSO requests regulation in the market's zone and locks the most that it would pay; who owns or
 * manages a device offers it, and commits its power for the period. Each is an order for one whole
 * delivery period, good until gate closure at most. What happens to it then is book.c's affair.
 *
 * Invariants:
 * 1. Every quantity is a multiple of the market's step and so of the units of a period: it splits
 *    into equal whole watt-hours per unit.
 * 2. Every price is at least 0: a buyer locks the most that it would pay, a seller its deposit.
 * 3. No price x quantity of an admitted order overflows: the market's terms bound both.
 * 4. A refused action is refused for the first reason in the order of docs/spec/market.md.
 *
 * Deliberately absent: terms and states (market_terms.c), changes of an order (order_change.c),
 * auctions with a gate of their own, fees (settlement takes them), negative prices, which would make sellers the payers. */
#include "contracts/market.h"
#include "base/fatal.h"
#include "contracts/auction.h"
#include "contracts/book.h"
#include "contracts/capacity.h"
#include "contracts/coupled.h"
#include "contracts/deal.h"

static bool price_fits_steps(const struct market_create *terms, struct energy_price price)
{
    return energy_price_ueur_per_kwh(price) % energy_price_ueur_per_kwh(terms->limits.price_step) ==
           0;
}

static bool quantity_fits_steps(const struct market_create *terms, struct energy quantity)
{
    return energy_wh(quantity) % energy_wh(terms->limits.quantity_step) == 0;
}

/* In a sequential book the place inside a block is worth something, and validators choose it
 * (market-rules 4): VALIDATOR_TRADES. */
enum contract_error market_require_open(const struct contract_call *call, const struct name *id,
                                        struct market_record *market)
{
    struct state_key key = state_key_name(STATE_MARKET, id);
    if (!contract_read(call, &key, &market_record_codec, market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    const struct market_times *times = &market->terms.times;
    bool opened = timestamp_compare(call->context->time, times->opens) >= 0;
    bool closed = timestamp_compare(call->context->time, times->closes) >= 0;
    if (market->state != MARKET_OPEN || !opened || closed) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    return book_is_sequential(&market->terms) && contract_operates_validator(call)
               ? CONTRACT_VALIDATOR_TRADES
               : CONTRACT_OK;
}

static bool takes_direction(const struct market_create *terms, uint8_t direction)
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

/* Books take every kind of order, at no place among its owner's: that is for auctions. */
static bool options_fit(const struct market_create *terms, const struct order_options *options)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
        return options->rank == 0;
    case MECHANISM_CAPACITY: /* nothing arrives there that could be cancelled on arrival */
        return options->kind == ORDER_LIMIT && options->rank == 0;
    case MECHANISM_COUPLED:
        return options->kind == ORDER_LIMIT;
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_ORDERED_DEMAND:
    case MECHANISM_ONE_SIDED:
        return auction_takes_options(terms, options);
    }
    return false;
}

/* Quantity, least first fill and price, against the market's steps and ranges. */
static enum contract_error check_amounts(const struct market_create *terms,
                                         const struct market_order *order)
{
    struct energy least = order->options->min_quantity;
    if (energy_wh(order->quantity) <= 0) {
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    }
    if (!quantity_fits_steps(terms, order->quantity) || !quantity_fits_steps(terms, least) ||
        !price_fits_steps(terms, order->price)) {
        return CONTRACT_BAD_GRANULARITY;
    }
    bool good = energy_compare(order->quantity, terms->limits.quantity_min) >= 0 &&
                energy_compare(order->quantity, terms->limits.quantity_max) <= 0 &&
                energy_wh(least) >= 0 && energy_compare(least, order->quantity) <= 0 &&
                energy_price_compare(order->price, terms->limits.price_min) >= 0 &&
                energy_price_compare(order->price, terms->limits.price_max) <= 0;
    return good ? CONTRACT_OK : CONTRACT_OUT_OF_RANGE;
}

enum contract_error market_check_order(const struct contract_call *call,
                                       const struct market_create *terms,
                                       const struct market_order *order)
{
    int64_t length_ms = duration_ms(terms->times.mtu) * terms->times.mtus_per_period;
    int64_t start_ms = timestamp_ms(order->period_start);
    struct book_times times;
    if (start_ms < 0 || start_ms % length_ms != 0 ||
        start_ms - timestamp_ms(call->context->time) > limit_period_ahead_ms ||
        !book_times_of(&times, terms, order->period_start)) {
        return CONTRACT_BAD_PERIOD;
    }
    if (!takes_direction(terms, order->direction)) {
        return CONTRACT_WRONG_DIRECTION;
    }
    if (!options_fit(terms, order->options)) {
        return CONTRACT_UNSUPPORTED_ORDER;
    }
    if (timestamp_compare(call->context->time, times.opening) < 0) {
        return CONTRACT_GATE_NOT_OPEN;
    }
    if (timestamp_compare(call->context->time, times.gate) >= 0) {
        return CONTRACT_GATE_CLOSED;
    }
    return check_amounts(terms, order);
}

/* Into its book, and, in a sequential one, through it. */
enum contract_error market_enter_order(struct contract_call *call, uint64_t *id,
                                       struct order_record *order,
                                       const struct market_record *market)
{
    enum contract_error error = book_insert(call, id, order, &market->terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct event_order_placed event = {.id = *id, .order = *order};
    contract_event(call, EVENT_ORDER_PLACED, &event);
    return book_order_arrived(call, *id, market);
}

/* A DSO buys for its grid and not for a device of its own; who buys grid capacity does. */
static enum contract_error check_device(struct contract_call *call,
                                        const struct request_place *request,
                                        const struct market_create *terms)
{
    if (capacity_is_sold(terms)) {
        return capacity_admit(call, request, terms);
    }
    return name_is_empty(&request->device) ? CONTRACT_OK : CONTRACT_UNSUPPORTED_ORDER;
}

static bool sells_capacity(const struct contract_call *call, const struct name *id)
{
    struct market_record market;
    struct state_key key = state_key_name(STATE_MARKET, id);
    return contract_read(call, &key, &market_record_codec, &market) &&
           capacity_is_sold(&market.terms);
}

enum contract_error market_place_request(struct contract_call *call, uint64_t *id,
                                         const struct request_place *request)
{
    if (!contract_has_role(call, ROLE_DSO) && !sells_capacity(call, &request->market)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct market_record market;
    enum contract_error error = market_require_open(call, &request->market, &market);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (market_is_coupled(&market.terms)) {
        return CONTRACT_UNSUPPORTED_ORDER; /* it takes portfolios */
    }
    struct market_order asked = {request->quantity, request->price, request->period_start,
                                 request->direction, &request->options};
    error = market_check_order(call, &market.terms, &asked);
    if (error == CONTRACT_OK) {
        error = check_device(call, request, &market.terms);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct order_record order = {.market = request->market,
                                 .participant = call->sender,
                                 .side = SIDE_BUY,
                                 .direction = request->direction,
                                 .period_start = request->period_start,
                                 .quantity = request->quantity,
                                 .price = request->price,
                                 .device = request->device,
                                 .options = request->options};
    error = market_enter_order(call, id, &order, &market);
    if (error == CONTRACT_OK && capacity_is_sold(&market.terms)) {
        capacity_entered(call, &order, &market.terms);
    }
    return error;
}

static enum contract_error request_place(struct contract_call *call, const void *record)
{
    uint64_t id;
    return market_place_request(call, &id, record);
}

struct energy market_connection_unit(const struct market_create *terms,
                                     const struct device_record *device)
{
    int128 mwms = product_i128(power_w(device->connection), duration_ms(terms->times.mtu));
    int64_t wh;
    MUST(checked_narrow_i64(&wh, mwms / (3600 * 1000)));
    return energy_of(wh);
}

/* What the market's method asks of a device beyond the right to offer: a limit lies between nothing and
 * its connection's capacity, and a sub-meter must be there. */
static enum contract_error device_fits_method(const struct market_create *terms,
                                              const struct device_record *device,
                                              struct energy per_unit)
{
    static const struct public_key none;
    switch ((enum delivery_method)terms->delivery.method) {
    case DELIVERY_SCHEDULE:
    case DELIVERY_BASELINE:
        return CONTRACT_OK;
    case DELIVERY_SUBMETER:
        return public_key_equal(&device->submeter_key, &none) ? CONTRACT_BAD_KEY : CONTRACT_OK;
    case DELIVERY_CAPACITY_CAP:
    case DELIVERY_CAPACITY_FLOOR:
        return energy_compare(per_unit, market_connection_unit(terms, device)) > 0
                   ? CONTRACT_OVER_CONNECTION
                   : CONTRACT_OK;
    }
    return CONTRACT_BAD_PARAMETER;
}

/* The device must be free for the whole period, units and all. */
enum contract_error market_commit_offer(const struct contract_call *call,
                                        const struct offer_place *offer,
                                        const struct market_create *terms)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, offer->period_start));
    struct device_record device;
    enum contract_error error =
        assets_right_to_offer(call, &offer->device, terms, offer->period_start, times.end, &device);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!name_is_empty(&terms->network) && !grid_has_device(call, &terms->network, &device)) {
        return CONTRACT_UNKNOWN_NODE;
    }
    struct energy per_unit = energy_of(energy_wh(offer->quantity) / terms->times.mtus_per_period);
    error = device_fits_method(terms, &device, per_unit);
    if (error != CONTRACT_OK) {
        return error;
    }
    return assets_commit_for(call, reservation_purpose(terms, offer->reservation), &offer->device,
                             &device, (enum direction)offer->direction, offer->period_start,
                             terms->times.mtu, terms->times.mtus_per_period, per_unit);
}

/* Who offers against a schedule declares one, and nobody else does. */
bool market_schedule_fits(const struct market_create *terms, const struct hash *schedule)
{
    if (terms->product == PRODUCT_RESERVATION) {
        return hash_is_zero(schedule);
    }
    switch ((enum delivery_method)terms->delivery.method) {
    case DELIVERY_SCHEDULE:
    case DELIVERY_SUBMETER:
        return true; /* a hash that nothing opens harms nobody but its sender */
    case DELIVERY_BASELINE:
    case DELIVERY_CAPACITY_CAP:
    case DELIVERY_CAPACITY_FLOOR:
        return hash_is_zero(schedule);
    }
    return false;
}

enum contract_error market_place_offer(struct contract_call *call, uint64_t *id,
                                       const struct offer_place *offer)
{
    struct market_record market;
    enum contract_error error = market_require_open(call, &offer->market, &market);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (market_is_coupled(&market.terms)) {
        return CONTRACT_UNSUPPORTED_ORDER;
    }
    struct market_order asked = {offer->quantity, offer->price, offer->period_start,
                                 offer->direction, &offer->options};
    error = market_check_order(call, &market.terms, &asked);
    if (error == CONTRACT_OK && capacity_is_sold(&market.terms)) {
        error = CONTRACT_UNSUPPORTED_ORDER; /* its operator publishes what there is */
    }
    if (error == CONTRACT_OK && !market_schedule_fits(&market.terms, &offer->schedule_hash)) {
        error = CONTRACT_BAD_SCHEDULE;
    }
    if (error == CONTRACT_OK) {
        error = market_commit_offer(call, offer, &market.terms);
    }
    if (error == CONTRACT_OK && offer->reservation != 0) {
        error = reservation_answer(call, offer);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct order_record order = {.market = offer->market,
                                 .participant = call->sender,
                                 .side = SIDE_SELL,
                                 .direction = offer->direction,
                                 .period_start = offer->period_start,
                                 .quantity = offer->quantity,
                                 .price = offer->price,
                                 .device = offer->device,
                                 .schedule_hash = offer->schedule_hash,
                                 .deposit_price = market_deposit_rate(&market.terms, offer->price),
                                 .reservation = offer->reservation,
                                 .options = offer->options};
    return market_enter_order(call, id, &order, &market);
}

static enum contract_error offer_place(struct contract_call *call, const void *record)
{
    uint64_t id;
    return market_place_offer(call, &id, record);
}

static const struct contract_method_entry market_methods[] = {
    {ACTION_MARKET_CREATE, market_create_apply}, {ACTION_MARKET_UPDATE, market_update_apply},
    {ACTION_MARKET_STATE, market_state_apply},   {ACTION_REQUEST_PLACE, request_place},
    {ACTION_OFFER_PLACE, offer_place},           {ACTION_ORDER_CANCEL, order_cancel_apply},
    {ACTION_ORDER_REPLACE, order_replace_apply},
};

/* Terms change after the calls of the last block before the height that was voted for. */
static void market_block_end(struct contract_call *call)
{
    auction_clear_due(call);
    coupled_block_end(call);
    capacity_clear_due(call);
    book_call_touched(call);
    market_apply_changes(call);
}

const struct contract_module market_module = {
    .name = "market",
    .methods = market_methods,
    .method_count = sizeof market_methods / sizeof market_methods[0],
    .block_end = market_block_end,
};
