/* Reservations and their activation (D2.3 3.4; market-rules 5 and 9; docs/spec/deal.md 4).
 *
 * A deal of a reservation market pays for availability: its escrow is the fee of one period. The buyer
 * calls it by a signed instruction, its lead time ahead: a request in a market that names the
 * reservation's its parent, whose escrow is the activation fee. The provider has until that market's gate
 * to answer with an offer, and delivers like any other seller.
 *
 * Invariants:
 * 1. A call never asks for more power, with the other calls of its reservation, than was reserved, and an
 *    offer never answers with more than was called: so the device's power was booked once, when it was
 *    reserved.
 * 2. A reservation fails at most once, and is paid at its proof deadline if it has not failed by then.
 *
 * Deliberately absent: what the answer earns; the market below clears and settles it like any other. */
#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/deal.h"
#include "contracts/market.h"

static bool read_deal(const struct contract_call *call, uint64_t id, struct deal_record *out)
{
    struct state_key key = state_key_u64(STATE_DEAL, id);
    return contract_read(call, &key, &deal_record_codec, out);
}

static void read_reservation(const struct contract_call *call, uint64_t id, struct state_key *key,
                             struct reservation_record *out)
{
    *key = state_key_u64(STATE_RESERVATION, id);
    if (!contract_read(call, key, &reservation_record_codec, out)) {
        *out = (struct reservation_record){0};
    }
}

enum commitment_for reservation_purpose(const struct market_create *terms, uint64_t reservation)
{
    if (terms->product == PRODUCT_RESERVATION) {
        return COMMITMENT_RESERVATION;
    }
    bool limit = terms->product == PRODUCT_CAPACITY_CAP || terms->product == PRODUCT_CAPACITY_FLOOR;
    if (reservation != 0) {
        return limit ? COMMITMENT_LIMIT_CALL : COMMITMENT_CALL;
    }
    return limit ? COMMITMENT_LIMIT : COMMITMENT_SALE;
}

/* --- a call --------------------------------------------------------------------------------- */

/* The markets on both ends of a call, and the times of what is called. */
struct calling {
    struct deal_record deal;
    struct market_create reserved; /* the terms that the reservation was made under */
    struct market_record below;
    struct book_times outer;
    struct book_times inner;
};

static enum contract_error open_call(const struct contract_call *call,
                                     const struct reservation_call_place *action,
                                     struct calling *out)
{
    struct state_key key = state_key_name(STATE_MARKET, &action->market);
    if (!read_deal(call, action->deal, &out->deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (name_compare(&call->sender, &out->deal.buyer) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (out->deal.state != DEAL_MATCHED) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    if (!contract_read(call, &key, &market_record_codec, &out->below) ||
        name_compare(&out->below.terms.links.parent, &out->deal.market) != 0 ||
        !market_terms_read(call, &out->deal.market, out->deal.version, &out->reserved)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    return CONTRACT_OK;
}

/* Within the reserved period, its lead time ahead, and settled before the reservation is. */
static enum contract_error check_times(const struct contract_call *call, struct calling *calling,
                                       struct timestamp start)
{
    struct timestamp latest;
    MUST(book_times_of(&calling->outer, &calling->reserved, calling->deal.period_start));
    if (!book_times_of(&calling->inner, &calling->below.terms, start) ||
        timestamp_compare(start, calling->deal.period_start) < 0 ||
        timestamp_compare(calling->inner.end, calling->outer.end) > 0 ||
        timestamp_compare(calling->inner.proof, calling->deal.proof_deadline) >= 0) {
        return CONTRACT_BAD_PERIOD;
    }
    bool exists = timestamp_sub(&latest, start, calling->reserved.links.activation_lead);
    return exists && timestamp_compare(call->context->time, latest) <= 0 ? CONTRACT_OK
                                                                         : CONTRACT_TOO_LATE;
}

static bool overlaps(const struct book_times *a, struct timestamp a_start,
                     const struct book_times *b, struct timestamp b_start)
{
    return timestamp_compare(a_start, b->end) < 0 && timestamp_compare(b_start, a->end) < 0;
}

/* Adds up what is called of the power that is reserved, as if all calls that overlap the new one did so
 * in one and the same unit: at times less than could be had, never more. */
static enum contract_error check_quantity(const struct contract_call *call,
                                          const struct calling *calling,
                                          const struct reservation_call_place *action,
                                          const struct reservation_record *before)
{
    int64_t reserved =
        energy_wh(calling->deal.contracted) / calling->reserved.times.mtus_per_period;
    int64_t called = energy_wh(action->quantity) / calling->below.terms.times.mtus_per_period;
    if (before->call_count == LIMIT_CALLS_PER_RESERVATION) {
        return CONTRACT_TOO_MANY_ORDERS;
    }
    for (uint32_t i = 0; i < before->call_count; i++) {
        const struct reservation_call *other = &before->calls[i];
        struct market_record market;
        struct book_times times;
        struct state_key key = state_key_name(STATE_MARKET, &other->market);
        if (!book_read(call, &key, &market_record_codec, &market)) {
            return CONTRACT_UNKNOWN_MARKET;
        }
        MUST(book_times_of(&times, &market.terms, other->period_start));
        if (!overlaps(&times, other->period_start, &calling->inner, action->period_start)) {
            continue;
        }
        if (name_compare(&other->market, &action->market) == 0) {
            return CONTRACT_EXISTS_ALREADY;
        }
        /* Each of them is at most what is reserved, and there are few of them. */
        called += energy_wh(other->quantity) / market.terms.times.mtus_per_period;
    }
    return called <= reserved ? CONTRACT_OK : CONTRACT_OVER_RESERVATION;
}

static enum contract_error call_apply(struct contract_call *call, const void *record)
{
    const struct reservation_call_place *action = record;
    struct calling calling;
    struct state_key key;
    struct reservation_record reservation;
    enum contract_error error = open_call(call, action, &calling);
    if (error == CONTRACT_OK) {
        error = check_times(call, &calling, action->period_start);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    read_reservation(call, action->deal, &key, &reservation);
    error = check_quantity(call, &calling, action, &reservation);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct reservation_call *called = &reservation.calls[reservation.call_count++];
    *called = (struct reservation_call){.market = action->market,
                                        .period_start = action->period_start,
                                        .quantity = action->quantity,
                                        .price = action->price};
    struct request_place request = {.market = action->market,
                                    .direction = calling.deal.direction,
                                    .period_start = action->period_start,
                                    .quantity = action->quantity,
                                    .price = action->price};
    error = market_place_request(call, &called->request, &request);
    if (error != CONTRACT_OK) {
        return error;
    }
    contract_write(call, &key, &reservation_record_codec, &reservation);
    struct deadline deadline = {calling.inner.gate, DEADLINE_CALL, action->deal};
    deadline_add(call, &deadline);
    struct event_called event = {.id = action->deal, .call = *called};
    contract_event(call, EVENT_CALLED, &event);
    return CONTRACT_OK;
}

/* --- its answer ----------------------------------------------------------------------------- */

/* NULL if nobody has called for it. */
static struct reservation_call *find_call(struct reservation_record *reservation,
                                          const struct name *market, struct timestamp start)
{
    for (uint32_t i = 0; i < reservation->call_count; i++) {
        struct reservation_call *called = &reservation->calls[i];
        if (name_compare(&called->market, market) == 0 &&
            timestamp_compare(called->period_start, start) == 0) {
            return called;
        }
    }
    return NULL;
}

enum contract_error reservation_answer(struct contract_call *call, const struct offer_place *offer)
{
    struct deal_record deal;
    struct state_key key;
    struct reservation_record reservation;
    struct energy offered;
    if (!read_deal(call, offer->reservation, &deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (name_compare(&call->sender, &deal.seller) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (deal.state != DEAL_MATCHED) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    if (deal.direction != offer->direction) {
        return CONTRACT_WRONG_DIRECTION;
    }
    read_reservation(call, offer->reservation, &key, &reservation);
    struct reservation_call *called = find_call(&reservation, &offer->market, offer->period_start);
    if (called == NULL || name_compare(&deal.device, &offer->device) != 0) {
        return CONTRACT_UNKNOWN_CALL;
    }
    if (!energy_add(&offered, called->offered, offer->quantity) ||
        energy_compare(offered, called->quantity) > 0) {
        return CONTRACT_OVER_RESERVATION;
    }
    called->offered = offered;
    contract_write(call, &key, &reservation_record_codec, &reservation);
    return CONTRACT_OK;
}

void reservation_answer_withdrawn(struct contract_call *call, const struct order_record *order,
                                  struct energy quantity)
{
    struct state_key key;
    struct reservation_record reservation;
    read_reservation(call, order->reservation, &key, &reservation);
    struct reservation_call *called = find_call(&reservation, &order->market, order->period_start);
    MUST(called != NULL || call->view->fault);
    if (called == NULL) {
        return;
    }
    MUST(energy_sub(&called->offered, called->offered, quantity));
    MUST(energy_wh(called->offered) >= 0);
    contract_write(call, &key, &reservation_record_codec, &reservation);
}

/* --- failure -------------------------------------------------------------------------------- */

void reservation_call_failed(struct contract_call *call, uint64_t id)
{
    struct deal_record deal;
    if (read_deal(call, id, &deal) && deal.state == DEAL_MATCHED) {
        deal_fail(call, id, DEAL_CALL_MISSED);
    }
}

/* Whether the provider could answer: neither a market that was closed to it nor a device that its buyer,
 * a DSO, has suspended in the meantime may cost it the fee. */
static bool could_answer(const struct contract_call *call, const struct deal_record *deal,
                         const struct market_record *below, const struct book_times *times)
{
    struct device_record device;
    struct state_key key = state_key_name(STATE_DEVICE, &deal->device);
    return below->state == MARKET_OPEN &&
           timestamp_compare(times->gate, below->terms.times.closes) <= 0 &&
           book_read(call, &key, &device_record_codec, &device) && device.status == STATUS_ACTIVE;
}

void reservation_call_is_due(struct contract_call *call, uint64_t id)
{
    struct deal_record deal;
    struct market_create terms;
    struct state_key key;
    struct reservation_record reservation;
    if (!read_deal(call, id, &deal) ||
        !market_terms_read(call, &deal.market, deal.version, &terms)) {
        MUST(call->view->fault);
        return;
    }
    if (terms.links.must_offer == 0 || deal.state != DEAL_MATCHED) {
        return;
    }
    read_reservation(call, id, &key, &reservation);
    for (uint32_t i = 0; i < reservation.call_count; i++) {
        const struct reservation_call *called = &reservation.calls[i];
        struct market_record below;
        struct book_times times;
        struct state_key market = state_key_name(STATE_MARKET, &called->market);
        if (!book_read(call, &market, &market_record_codec, &below)) {
            return;
        }
        MUST(book_times_of(&times, &below.terms, called->period_start));
        if (timestamp_compare(times.gate, call->context->time) <= 0 &&
            energy_compare(called->offered, called->quantity) < 0 &&
            could_answer(call, &deal, &below, &times)) {
            reservation_call_failed(call, id);
            return;
        }
    }
}

static const struct contract_method_entry methods[] = {
    {ACTION_RESERVATION_CALL, call_apply},
};

const struct contract_module reservation_module = {
    .name = "reservation",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
