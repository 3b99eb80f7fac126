/* What an order's owner may do with it while it is open: take it back, or replace it (D5.5 2.2.4;
 * market-rules 4; docs/spec/market.md 8).
 *
 * Invariants:
 * 1. Only the participant that placed an order changes it, and only what is open of it: what has traded
 *    stays traded.
 * 2. An order keeps its time if it is replaced by less of itself, and by nothing else. Any other
 *    replacement is a cancellation and an order placed in its stead, by all the rules of both; the two
 *    succeed together or not at all, since a transaction does.
 *
 * Deliberately absent: changes after gate closure other than taking back; what the market operator does
 * with a market does not touch orders. */
#include "base/fatal.h"
#include "contracts/auction.h"
#include "contracts/coupled.h"
#include "contracts/market.h"

/* The open order of the sender's with that number, and its market; in whatever state that is. */
static enum contract_error find_order(const struct contract_call *call, uint64_t id,
                                      struct order_record *order, struct market_record *market)
{
    struct state_key key = state_key_u64(STATE_ORDER, id);
    if (!contract_read(call, &key, &order_record_codec, order)) {
        return CONTRACT_UNKNOWN_ORDER;
    }
    if (name_compare(&order->participant, &call->sender) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (order->status != ORDER_OPEN) {
        return CONTRACT_ORDER_NOT_OPEN;
    }
    struct state_key market_key = state_key_name(STATE_MARKET, &order->market);
    if (!book_read(call, &market_key, &market_record_codec, market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    /* What stood at the gate is one batch, also if the auction is late. */
    return auction_gate_has_closed(call, &market->terms, order->period_start) ? CONTRACT_GATE_CLOSED
                                                                              : CONTRACT_OK;
}

/* Also in a suspended or closed market, and up to the block that expires the order. */
enum contract_error order_cancel_apply(struct contract_call *call, const void *record)
{
    const struct order_cancel *cancel = record;
    struct order_record order;
    struct market_record market;
    enum contract_error error = find_order(call, cancel->order, &order, &market);
    if (error == CONTRACT_OK && market_is_coupled(&market.terms)) {
        error = coupled_take_back(call, cancel->order, &market.terms);
    } else if (error == CONTRACT_OK) {
        book_end_order(call, cancel->order, &order, &market.terms, ORDER_CANCELLED);
    }
    return error;
}

static bool same_but_quantity(const struct order_record *order, const struct order_replace *to)
{
    const struct order_options *options = &order->options;
    return energy_price_compare(order->price, to->price) == 0 &&
           hash_equal(&order->schedule_hash, &to->schedule_hash) &&
           options->kind == to->options.kind && options->indivisible == to->options.indivisible &&
           options->rank == to->options.rank &&
           energy_compare(options->min_quantity, to->options.min_quantity) == 0;
}

/* Less of itself is a part taken back, so it is taken wherever a cancellation is. */
static enum contract_error reduce(struct contract_call *call, const struct order_replace *to,
                                  struct order_record *order, const struct market_create *terms)
{
    if (energy_wh(to->quantity) % energy_wh(terms->limits.quantity_step) != 0) {
        return CONTRACT_BAD_GRANULARITY;
    }
    if (energy_compare(to->quantity, terms->limits.quantity_min) < 0 ||
        energy_compare(to->quantity, order->options.min_quantity) < 0) {
        return CONTRACT_OUT_OF_RANGE;
    }
    return book_reduce_order(call, to->order, order, terms, to->quantity);
}

/* The order that stands in its stead asks for what the old one has not traded. */
static enum contract_error place_anew(struct contract_call *call, const struct order_replace *to,
                                      const struct order_record *old, struct energy quantity)
{
    uint64_t id;
    if (old->side == SIDE_BUY) {
        struct request_place request = {.market = old->market,
                                        .direction = old->direction,
                                        .period_start = old->period_start,
                                        .quantity = quantity,
                                        .price = to->price,
                                        .device = old->device,
                                        .options = to->options};
        /* A request declares no schedule. */
        return hash_is_zero(&to->schedule_hash) ? market_place_request(call, &id, &request)
                                                : CONTRACT_BAD_SCHEDULE;
    }
    struct offer_place offer = {.market = old->market,
                                .direction = old->direction,
                                .period_start = old->period_start,
                                .quantity = quantity,
                                .price = to->price,
                                .device = old->device,
                                .schedule_hash = to->schedule_hash,
                                .reservation = old->reservation,
                                .options = to->options};
    return market_place_offer(call, &id, &offer);
}

enum contract_error order_replace_apply(struct contract_call *call, const void *record)
{
    const struct order_replace *to = record;
    struct order_record order;
    struct market_record market;
    enum contract_error error = find_order(call, to->order, &order, &market);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (market_is_coupled(&market.terms)) {
        return CONTRACT_UNSUPPORTED_ORDER; /* what it is linked to stands as it was placed */
    }
    struct energy traded;
    struct energy open;
    MUST(energy_sub(&traded, order.quantity, order.open));
    if (!energy_sub(&open, to->quantity, traded) || energy_wh(open) <= 0) {
        return CONTRACT_OUT_OF_RANGE; /* as much has traded already */
    }
    int more = energy_compare(to->quantity, order.quantity);
    if (same_but_quantity(&order, to) && more <= 0) {
        return more == 0 ? CONTRACT_NOTHING_TO_CHANGE : reduce(call, to, &order, &market.terms);
    }
    book_end_order(call, to->order, &order, &market.terms, ORDER_CANCELLED);
    return place_anew(call, to, &order, open);
}
