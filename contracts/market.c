/* Markets, zonal requests and offers: what may enter a book (D5.5 2.2.4; D2.3 4.2.3; MFX III.A;
 * market-rules 2 to 4; docs/spec/market.md).
 *
 * A DSO requests regulation in the market's zone and locks the most that it would pay; who owns or
 * manages a device offers it, and commits its power for the period. Each is a limit order for one
 * whole delivery period, good until gate closure. What happens to it then is book.c's affair.
 *
 * Invariants:
 * 1. Every quantity is a multiple of the market's step and so of the units of a period: it splits
 *    into equal whole watt-hours per unit.
 * 2. Every price is at least 0, so only buyers pay and only buyers hold escrow.
 * 3. No price x quantity of an admitted order overflows: market_create bounds both.
 * 4. A refused action is refused for the first reason in the order of docs/spec/market.md.
 *
 * Deliberately absent: auctions with a gate of their own, order kinds, fees (settlement takes them),
 * negative prices, which would make sellers the payers. */
#include "base/fatal.h"
#include "contracts/book.h"

static bool price_fits_steps(const struct market_create *terms, struct energy_price price)
{
    return energy_price_ueur_per_kwh(price) % energy_price_ueur_per_kwh(terms->price_step) == 0;
}

static bool quantity_fits_steps(const struct market_create *terms, struct energy quantity)
{
    return energy_wh(quantity) % energy_wh(terms->quantity_step) == 0;
}

static bool duration_within(struct duration span, int64_t least, int64_t most)
{
    return duration_ms(span) >= least && duration_ms(span) <= most;
}

static bool times_make_sense(const struct market_create *terms)
{
    return assets_mtu_is_supported(terms->mtu) && terms->mtus_per_period >= 1 &&
           terms->mtus_per_period <= LIMIT_INTERVALS_PER_PERIOD &&
           timestamp_ms(terms->opens) >= 0 && timestamp_compare(terms->opens, terms->closes) < 0 &&
           duration_within(terms->gate_closure, 0, limit_gate_closure_ms) &&
           duration_within(terms->proof_deadline, 1, limit_proof_deadline_ms);
}

static bool quantities_make_sense(const struct market_create *terms)
{
    int64_t step = energy_wh(terms->quantity_step);
    int64_t least = energy_wh(terms->quantity_min);
    int64_t most = energy_wh(terms->quantity_max);
    return step > 0 && step % terms->mtus_per_period == 0 && least > 0 && least <= most &&
           most <= limit_order_wh && quantity_fits_steps(terms, terms->quantity_min) &&
           quantity_fits_steps(terms, terms->quantity_max);
}

static bool prices_make_sense(const struct market_create *terms)
{
    int64_t step = energy_price_ueur_per_kwh(terms->price_step);
    int64_t least = energy_price_ueur_per_kwh(terms->price_min);
    int64_t most = energy_price_ueur_per_kwh(terms->price_max);
    return step > 0 && least >= 0 && least <= most && most <= limit_price_ueur_per_kwh &&
           price_fits_steps(terms, terms->price_min) && price_fits_steps(terms, terms->price_max);
}

static bool too_many_markets(const struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_MARKET);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    for (uint32_t count = 0; count < LIMIT_MARKETS; count++) {
        if (!contract_next(call, bytes_view_of(prefix.bytes, prefix.size),
                           bytes_view_of(at.bytes, at.size), &at, &value)) {
            return false;
        }
    }
    return true;
}

static enum contract_error market_create(struct contract_call *call, const void *record)
{
    const struct market_create *terms = record;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct state_key key = state_key_name(STATE_MARKET, &terms->id);
    if (contract_exists(call, &key)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    if (!times_make_sense(terms) || !quantities_make_sense(terms) || !prices_make_sense(terms) ||
        terms->tolerance_permille < 1 || terms->tolerance_permille > 1000 ||
        terms->floor_permille > terms->tolerance_permille || too_many_markets(call)) {
        return CONTRACT_BAD_PARAMETER;
    }
    struct market_record market = {
        .terms = *terms, .state = MARKET_OPEN, .operator_name = call->sender};
    contract_write(call, &key, &market_record_codec, &market);
    return CONTRACT_OK;
}

/* Open and suspended follow each other at will; closed is for good. Orders stay in their books and
 * can be cancelled, and deals go on to settlement, whatever the state. */
static enum contract_error market_set_state(struct contract_call *call, const void *record)
{
    const struct market_set_state *wanted = record;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct state_key key = state_key_name(STATE_MARKET, &wanted->id);
    struct market_record market;
    if (!contract_read(call, &key, &market_record_codec, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (market.state == MARKET_CLOSED) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    market.state = wanted->state;
    contract_write(call, &key, &market_record_codec, &market);
    return CONTRACT_OK;
}

/* What requests and offers have in common. */
struct order_terms {
    struct energy quantity;
    struct energy_price price;
    struct timestamp period_start;
};

static enum contract_error open_market(const struct contract_call *call, const struct name *id,
                                       struct market_create *terms)
{
    struct state_key key = state_key_name(STATE_MARKET, id);
    struct market_record market;
    if (!contract_read(call, &key, &market_record_codec, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    *terms = market.terms;
    bool opened = timestamp_compare(call->context->time, terms->opens) >= 0;
    bool closed = timestamp_compare(call->context->time, terms->closes) >= 0;
    return market.state == MARKET_OPEN && opened && !closed ? CONTRACT_OK
                                                            : CONTRACT_MARKET_NOT_OPEN;
}

static enum contract_error check_order(const struct contract_call *call,
                                       const struct market_create *terms,
                                       const struct order_terms *order)
{
    int64_t length_ms = duration_ms(terms->mtu) * terms->mtus_per_period;
    int64_t start_ms = timestamp_ms(order->period_start);
    struct book_times times;
    if (start_ms < 0 || start_ms % length_ms != 0 ||
        !book_times_of(&times, terms, order->period_start)) {
        return CONTRACT_BAD_PERIOD;
    }
    if (timestamp_compare(call->context->time, times.gate) >= 0) {
        return CONTRACT_GATE_CLOSED;
    }
    if (energy_wh(order->quantity) <= 0) {
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    }
    if (!quantity_fits_steps(terms, order->quantity) || !price_fits_steps(terms, order->price)) {
        return CONTRACT_BAD_GRANULARITY;
    }
    if (energy_compare(order->quantity, terms->quantity_min) < 0 ||
        energy_compare(order->quantity, terms->quantity_max) > 0 ||
        energy_price_compare(order->price, terms->price_min) < 0 ||
        energy_price_compare(order->price, terms->price_max) > 0) {
        return CONTRACT_OUT_OF_RANGE;
    }
    return CONTRACT_OK;
}

static void report_order(const struct contract_call *call, uint64_t id,
                         const struct order_record *order)
{
    struct event_order_placed event = {.id = id, .order = *order};
    contract_event(call, EVENT_ORDER_PLACED, &event);
}

static enum contract_error request_place(struct contract_call *call, const void *record)
{
    const struct request_place *request = record;
    if (!contract_has_role(call, ROLE_DSO)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct market_create terms;
    enum contract_error error = open_market(call, &request->market, &terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct order_terms asked = {request->quantity, request->price, request->period_start};
    error = check_order(call, &terms, &asked);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct order_record order = {.market = request->market,
                                 .participant = call->sender,
                                 .side = SIDE_BUY,
                                 .direction = request->direction,
                                 .period_start = request->period_start,
                                 .quantity = request->quantity,
                                 .price = request->price};
    uint64_t id;
    error = book_insert(call, &id, &order, &terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct money escrow = book_escrow(request->price, request->quantity);
    if (money_ueur(escrow) > 0) {
        error = token_move(call, pot_balance(&call->sender), pot_order_escrow(id), escrow);
    }
    if (error == CONTRACT_OK) {
        report_order(call, id, &order);
    }
    return error;
}

/* The device must be free for the whole period, units and all. */
static enum contract_error commit_device(const struct contract_call *call,
                                         const struct offer_place *offer,
                                         const struct market_create *terms)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, offer->period_start));
    struct device_record device;
    enum contract_error error =
        assets_right_to_offer(call, &offer->device, &offer->market, &terms->zone,
                              offer->period_start, times.end, &device);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct energy per_unit = energy_of(energy_wh(offer->quantity) / terms->mtus_per_period);
    return assets_commit(call, &offer->device, &device, (enum direction)offer->direction,
                         offer->period_start, terms->mtu, terms->mtus_per_period, per_unit);
}

static enum contract_error offer_place(struct contract_call *call, const void *record)
{
    const struct offer_place *offer = record;
    struct market_create terms;
    enum contract_error error = open_market(call, &offer->market, &terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct order_terms asked = {offer->quantity, offer->price, offer->period_start};
    error = check_order(call, &terms, &asked);
    if (error == CONTRACT_OK) {
        error = commit_device(call, offer, &terms);
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
                                 .schedule_hash = offer->schedule_hash};
    uint64_t id;
    error = book_insert(call, &id, &order, &terms);
    if (error == CONTRACT_OK) {
        report_order(call, id, &order);
    }
    return error;
}

/* Also in a suspended or closed market, and up to the block that expires the order. */
static enum contract_error order_cancel(struct contract_call *call, const void *record)
{
    const struct order_cancel *cancel = record;
    struct order_record order;
    struct state_key key = state_key_u64(STATE_ORDER, cancel->order);
    if (!contract_read(call, &key, &order_record_codec, &order)) {
        return CONTRACT_UNKNOWN_ORDER;
    }
    if (name_compare(&order.participant, &call->sender) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (order.status != ORDER_OPEN) {
        return CONTRACT_ORDER_NOT_OPEN;
    }
    struct market_record market;
    struct state_key market_key = state_key_name(STATE_MARKET, &order.market);
    if (!book_read(call, &market_key, &market_record_codec, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    book_end_order(call, cancel->order, &order, &market.terms, ORDER_CANCELLED);
    return CONTRACT_OK;
}

static const struct contract_method_entry market_methods[] = {
    {ACTION_MARKET_CREATE, market_create}, {ACTION_MARKET_STATE, market_set_state},
    {ACTION_REQUEST_PLACE, request_place}, {ACTION_OFFER_PLACE, offer_place},
    {ACTION_ORDER_CANCEL, order_cancel},
};

const struct contract_module market_module = {
    .name = "market",
    .methods = market_methods,
    .method_count = sizeof market_methods / sizeof market_methods[0],
    .block_end = book_call_touched,
};
