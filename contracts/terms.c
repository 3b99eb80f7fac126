/* Which terms a market may have (contracts/terms.h; docs/spec/market.md 1).
 *
 * Two tables, walked in order. The first holds what no market can mean: values out of range, terms that
 * contradict each other, terms that the market's product, mechanism or method has no use for. The second
 * holds what a market can mean and this engine does not carry out: to build it is to delete its line.
 *
 * Invariants:
 * 1. No price x quantity of an order that a market admits overflows, for price, penalty and deposit.
 * 2. The readings that a proof under the market's method takes fit a witness.
 * 3. What has been let in stays what it was: the length of a period, the gate, the step and the method
 *    never change, and whatever else a deal is worth by is looked up under the version that it was made
 *    under.
 *
 * Deliberately absent: whether names of other records exist, and who may create a market (market.c). */
#include "contracts/terms.h"

#include <string.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "contracts/auction.h"
#include "contracts/baseline.h"
#include "contracts/coupled.h"
#include "contracts/module.h"

enum { PERMILLE = 1000 };

static bool within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

static bool duration_within(struct duration span, int64_t least, int64_t most)
{
    return within(duration_ms(span), least, most);
}

/* --- what no market can mean ---------------------------------------------------------------- */

static bool mtu_holds(const struct market_create *terms)
{
    return assets_mtu_is_supported(terms->times.mtu) &&
           within(terms->times.mtus_per_period, 1, LIMIT_INTERVALS_PER_PERIOD);
}

static bool hours_hold(const struct market_create *terms)
{
    return timestamp_ms(terms->times.opens) >= 0 &&
           timestamp_compare(terms->times.opens, terms->times.closes) < 0;
}

static bool gate_holds(const struct market_create *terms)
{
    int64_t closure = duration_ms(terms->times.gate_closure);
    int64_t opening = duration_ms(terms->times.gate_opening);
    /* An auction clears at its gate, and those who sold must still be able to prepare. */
    return within(closure, market_is_gated(terms) ? 1 : 0, limit_gate_closure_ms) &&
           (opening == 0 || (opening > closure && opening <= limit_gate_closure_ms));
}

static bool deadlines_hold(const struct market_create *terms)
{
    return duration_within(terms->times.proof_deadline, 1, limit_proof_deadline_ms) &&
           duration_within(terms->times.correction_deadline, 0,
                           duration_ms(terms->times.proof_deadline)) &&
           duration_within(terms->times.dispute_window, 0, limit_proof_deadline_ms);
}

static bool quantities_hold(const struct market_create *terms)
{
    int64_t step = energy_wh(terms->limits.quantity_step);
    int64_t least = energy_wh(terms->limits.quantity_min);
    int64_t most = energy_wh(terms->limits.quantity_max);
    return step > 0 && step % terms->times.mtus_per_period == 0 && least > 0 && least <= most &&
           most <= limit_order_wh && least % step == 0 && most % step == 0;
}

static bool prices_hold(const struct market_create *terms)
{
    int64_t step = energy_price_ueur_per_kwh(terms->limits.price_step);
    int64_t least = energy_price_ueur_per_kwh(terms->limits.price_min);
    int64_t most = energy_price_ueur_per_kwh(terms->limits.price_max);
    return step > 0 && least >= 0 && least <= most && most <= limit_price_ueur_per_kwh &&
           least % step == 0 && most % step == 0;
}

static bool order_limits_hold(const struct market_create *terms)
{
    return within(terms->limits.orders_per_participant, 1, LIMIT_OPEN_ORDERS_PER_BOOK) &&
           money_ueur(terms->limits.budget) >= 0;
}

static bool directions_hold(const struct market_create *terms)
{
    switch ((enum market_product)terms->product) {
    case PRODUCT_CAPACITY_CAP:
        return terms->directions == DIRECTIONS_UP;
    case PRODUCT_CAPACITY_FLOOR:
        return terms->directions == DIRECTIONS_DOWN;
    case PRODUCT_ENERGY:
    case PRODUCT_RESERVATION:
    case PRODUCT_CAPACITY_ALLOCATION:
    case PRODUCT_LOCAL_ENERGY:
        return true;
    }
    return false;
}

/* Room in the grid is shared out down its tree, and nothing else is; what is coupled is energy. */
static bool mechanism_holds(const struct market_create *terms)
{
    bool shares = terms->clearing.mechanism == MECHANISM_CAPACITY;
    return market_is_coupled(terms) ? terms->product == PRODUCT_ENERGY
                                    : shares == (terms->product == PRODUCT_CAPACITY_ALLOCATION);
}

static bool tie_holds(const struct market_create *terms)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_ORDERED_DEMAND:
        return true;
    case MECHANISM_BOOK_SEQUENTIAL:
    case MECHANISM_ONE_SIDED:
    case MECHANISM_CAPACITY:
    case MECHANISM_COUPLED:
        return terms->clearing.tie == TIE_PRO_RATA;
    }
    return false;
}

static bool trade_price_holds(const struct market_create *terms)
{
    return terms->clearing.mechanism == MECHANISM_BOOK_SEQUENTIAL ||
           terms->clearing.trade_price == TRADE_PRICE_RESTING;
}

static bool payment_holds(const struct market_create *terms)
{
    uint8_t payment = terms->clearing.payment;
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_ORDERED_DEMAND:
        return true;
    case MECHANISM_ONE_SIDED:
        return payment != PAYMENT_UNIFORM; /* its cheapest choice need not have a price */
    case MECHANISM_CAPACITY:
        return payment == PAYMENT_UNIFORM ||
               (payment == PAYMENT_PAY_AS_BID && terms->clearing.sharing == SHARING_PREMIUM);
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
    case MECHANISM_COUPLED:
        return payment == PAYMENT_UNIFORM;
    }
    return false;
}

/* What is shared out by need or by time has no price. */
static bool sharing_holds(const struct market_create *terms)
{
    return terms->clearing.sharing == SHARING_PREMIUM ||
           (terms->clearing.mechanism == MECHANISM_CAPACITY &&
            energy_price_ueur_per_kwh(terms->limits.price_max) == 0);
}

/* Only the two-sided VCG rule may end in a deficit (D2.3 3.4.3); a coupled auction ends in a surplus, and
 * never asks its account for anything. */
static bool reserve_holds(const struct market_create *terms)
{
    bool named = !name_is_empty(&terms->clearing.reserve_account);
    int64_t reserve = money_ueur(terms->clearing.reserve);
    if (terms->clearing.payment == PAYMENT_VCG) {
        return named && reserve >= 0;
    }
    return named == market_is_coupled(terms) && reserve == 0;
}

static bool method_holds(const struct market_create *terms)
{
    uint8_t method = terms->delivery.method;
    switch ((enum market_product)terms->product) {
    case PRODUCT_ENERGY:
    case PRODUCT_LOCAL_ENERGY:
        return method == DELIVERY_SCHEDULE || method == DELIVERY_BASELINE ||
               method == DELIVERY_SUBMETER;
    case PRODUCT_CAPACITY_CAP:
        return method == DELIVERY_CAPACITY_CAP;
    case PRODUCT_CAPACITY_FLOOR:
        return method == DELIVERY_CAPACITY_FLOOR;
    case PRODUCT_RESERVATION:
    case PRODUCT_CAPACITY_ALLOCATION:
        return method == DELIVERY_SCHEDULE; /* nothing of it is metered */
    }
    return false;
}

static bool credit_holds(const struct market_create *terms)
{
    return within(terms->delivery.tolerance_permille, 1, PERMILLE) &&
           terms->delivery.floor_permille <= terms->delivery.tolerance_permille;
}

static bool has_deposit(const struct market_create *terms)
{
    return energy_price_ueur_per_kwh(terms->delivery.deposit_price) != 0 ||
           terms->delivery.deposit_permille != 0;
}

/* A penalty comes out of the deposit, so each is idle without the other. */
static bool penalty_holds(const struct market_create *terms)
{
    int64_t price = energy_price_ueur_per_kwh(terms->delivery.penalty_price);
    return within(price, 0, limit_price_ueur_per_kwh) && (price > 0 || !has_deposit(terms));
}

static bool deposit_holds(const struct market_create *terms)
{
    int64_t price = energy_price_ueur_per_kwh(terms->delivery.deposit_price);
    int64_t penalty = energy_price_ueur_per_kwh(terms->delivery.penalty_price);
    return within(price, 0, limit_price_ueur_per_kwh) &&
           terms->delivery.deposit_permille <= PERMILLE &&
           (!has_deposit(terms) || terms->product != PRODUCT_CAPACITY_ALLOCATION) &&
           (price == 0 || terms->delivery.deposit_permille == 0) &&
           (penalty == 0 || has_deposit(terms));
}

/* The day of delivery and each candidate day show the period and the window of the adjustment. */
static bool baseline_holds(const struct market_create *terms)
{
    const struct market_delivery *delivery = &terms->delivery;
    if (delivery->method != DELIVERY_BASELINE) {
        return delivery->baseline_days == 0 && delivery->baseline_highest == 0 &&
               delivery->baseline_adjustment_permille == 0 && delivery->baseline_window == 0 &&
               delivery->baseline_gap == 0;
    }
    bool adjusts = delivery->baseline_adjustment_permille > 0;
    uint32_t per_day = (uint32_t)terms->times.mtus_per_period + delivery->baseline_window;
    int64_t period_ms = duration_ms(terms->times.mtu) * terms->times.mtus_per_period;
    return period_ms <= MS_PER_DAY &&
           within(delivery->baseline_highest, 1, delivery->baseline_days) &&
           delivery->baseline_days <= LIMIT_PROOF_DAYS &&
           delivery->baseline_adjustment_permille <= PERMILLE &&
           delivery->baseline_window == (adjusts ? BASELINE_WINDOW_INTERVALS : 0) &&
           delivery->baseline_gap == (adjusts ? BASELINE_WINDOW_GAP_INTERVALS : 0) &&
           (1 + (uint32_t)delivery->baseline_days) * per_day <= LIMIT_READINGS_PER_PROOF;
}

static bool links_hold(const struct market_create *terms)
{
    bool reserves = terms->product == PRODUCT_RESERVATION;
    bool activates = terms->product == PRODUCT_ENERGY || terms->product == PRODUCT_CAPACITY_CAP ||
                     terms->product == PRODUCT_CAPACITY_FLOOR;
    return duration_within(terms->links.activation_lead, 0, limit_gate_closure_ms) &&
           (reserves ||
            (duration_ms(terms->links.activation_lead) == 0 && terms->links.must_offer == 0)) &&
           (activates || name_is_empty(&terms->links.parent));
}

static bool sealing_holds(const struct market_create *terms)
{
    return duration_within(terms->sealing.gate, 0, limit_gate_closure_ms) &&
           (terms->sealing.bids == BIDS_SEALED || duration_ms(terms->sealing.gate) == 0);
}

/* The grid is held for every quarter hour of a period, so these are bounded where it is. */
static bool network_holds(const struct market_create *terms)
{
    int64_t period_ms = duration_ms(terms->times.mtu) * terms->times.mtus_per_period;
    return name_is_empty(&terms->network)
               ? terms->product != PRODUCT_CAPACITY_ALLOCATION && !market_is_coupled(terms)
               : period_ms <= LIMIT_INTERVALS_PER_PERIOD * (int64_t)COMMITMENT_SLOT_MS;
}

/* A coupled market's own, and nothing of it elsewhere. One unit in steps of 1 Wh: what an optimum comes to
 * is never rounded. One direction: lines are not used by two auctions at a time. */
static bool coupling_holds(const struct market_create *terms)
{
    const struct market_coupling *coupling = &terms->coupling;
    if (!market_is_coupled(terms)) {
        return coupling->intervals == 0 && coupling->forecast == 0 &&
               coupling->later == LATER_KEPT && coupling->zones == ZONES_COUPLED &&
               coupling->window == 0 && money_ueur(coupling->fee) == 0;
    }
    return within(coupling->intervals, 1, COUPLED_AUCTION_SLOTS_MAX) &&
           coupling->intervals * (1 + (int64_t)coupling->forecast) <= COUPLED_AUCTION_SLOTS_MAX &&
           (coupling->later == LATER_KEPT || coupling->forecast > 0) &&
           coupling->window <= COUPLED_WINDOW_MAX && money_ueur(coupling->fee) >= 0 &&
           terms->times.mtus_per_period == 1 && energy_wh(terms->limits.quantity_step) == 1 &&
           terms->directions != DIRECTIONS_BOTH && name_is_empty(&terms->links.parent);
}

/* What couples zones is a network, of which they are parts. */
static bool zones_hold(const struct market_create *terms)
{
    bool good = terms->zone_count == 0 || !name_is_empty(&terms->network);
    for (uint32_t i = 0; i < terms->zone_count; i++) {
        const struct name *zone = &terms->zones[i].name;
        good = good && name_compare(zone, &terms->zone) != 0 &&
               (i == 0 || name_compare(&terms->zones[i - 1].name, zone) < 0);
    }
    return good;
}

bool market_covers(const struct market_create *terms, const struct name *zone)
{
    bool covers = name_compare(&terms->zone, zone) == 0;
    for (uint32_t i = 0; i < terms->zone_count; i++) {
        covers = covers || name_compare(&terms->zones[i].name, zone) == 0;
    }
    return covers;
}

/* --- what this engine does not carry out yet ------------------------------------------------ */

static bool product_is_there(const struct market_create *terms)
{
    switch ((enum market_product)terms->product) {
    case PRODUCT_ENERGY:
    case PRODUCT_RESERVATION:
    case PRODUCT_CAPACITY_CAP:
    case PRODUCT_CAPACITY_FLOOR:
    case PRODUCT_CAPACITY_ALLOCATION:
        return true;
    case PRODUCT_LOCAL_ENERGY:
        return false;
    }
    return false;
}

static bool sealing_is_there(const struct market_create *terms)
{
    return terms->sealing.bids == BIDS_OPEN;
}

struct term_rule {
    enum contract_error error;
    bool (*holds)(const struct market_create *terms);
};

static const struct term_rule rules[] = {
    {CONTRACT_BAD_TERM_MTU, mtu_holds},
    {CONTRACT_BAD_TERM_HOURS, hours_hold},
    {CONTRACT_BAD_TERM_GATE, gate_holds},
    {CONTRACT_BAD_TERM_DEADLINE, deadlines_hold},
    {CONTRACT_BAD_TERM_QUANTITY, quantities_hold},
    {CONTRACT_BAD_TERM_PRICE, prices_hold},
    {CONTRACT_BAD_TERM_ORDER_LIMIT, order_limits_hold},
    {CONTRACT_BAD_TERM_DIRECTIONS, directions_hold},
    {CONTRACT_BAD_TERM_MECHANISM, mechanism_holds},
    {CONTRACT_BAD_TERM_TIE, tie_holds},
    {CONTRACT_BAD_TERM_TRADE_PRICE, trade_price_holds},
    {CONTRACT_BAD_TERM_SHARING, sharing_holds},
    {CONTRACT_BAD_TERM_PAYMENT, payment_holds},
    {CONTRACT_BAD_TERM_RESERVE, reserve_holds},
    {CONTRACT_BAD_TERM_METHOD, method_holds},
    {CONTRACT_BAD_TERM_CREDIT, credit_holds},
    {CONTRACT_BAD_TERM_PENALTY, penalty_holds},
    {CONTRACT_BAD_TERM_DEPOSIT, deposit_holds},
    {CONTRACT_BAD_TERM_BASELINE, baseline_holds},
    {CONTRACT_BAD_TERM_LINKS, links_hold},
    {CONTRACT_BAD_TERM_SEALING, sealing_holds},
    {CONTRACT_BAD_TERM_NETWORK, network_holds},
    {CONTRACT_BAD_TERM_COUPLING, coupling_holds},
    {CONTRACT_BAD_TERM_ZONES, zones_hold},
    {CONTRACT_UNSUPPORTED_PRODUCT, product_is_there},
    {CONTRACT_UNSUPPORTED_SEALING, sealing_is_there},
};

enum contract_error market_terms_check(const struct market_create *terms)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!rules[i].holds(terms)) {
            return rules[i].error;
        }
    }
    return CONTRACT_OK;
}

/* --- changes -------------------------------------------------------------------------------- */

/* By their bytes, so that a term that is added to the table is compared without anybody's thinking
 * of it, and falls under MARKET_CHANGE_NEVER until it is given to somebody below. */
static bool terms_equal(const struct market_create *a, const struct market_create *b)
{
    uint8_t bytes[2][LIMIT_TERMS_BYTES];
    struct byte_writer writers[2];
    byte_writer_init(&writers[0], bytes[0], sizeof bytes[0]);
    byte_writer_init(&writers[1], bytes[1], sizeof bytes[1]);
    codec_encode(&market_create_record, a, &writers[0]);
    codec_encode(&market_create_record, b, &writers[1]);
    MUST(!writers[0].failed && !writers[1].failed);
    return writers[0].size == writers[1].size && memcmp(bytes[0], bytes[1], writers[0].size) == 0;
}

static void give_to_operator(struct market_create *terms, const struct market_create *after)
{
    terms->times.opens = after->times.opens;
    terms->times.closes = after->times.closes;
    terms->times.gate_opening = after->times.gate_opening;
    terms->limits.quantity_min = after->limits.quantity_min;
    terms->limits.quantity_max = after->limits.quantity_max;
    terms->limits.price_min = after->limits.price_min;
    terms->limits.price_max = after->limits.price_max;
    terms->limits.orders_per_participant = after->limits.orders_per_participant;
    terms->limits.budget = after->limits.budget;
}

static void give_to_vote(struct market_create *terms, const struct market_create *after)
{
    uint8_t mechanism = terms->clearing.mechanism;
    uint8_t method = terms->delivery.method;
    terms->times.proof_deadline = after->times.proof_deadline;
    terms->times.correction_deadline = after->times.correction_deadline;
    terms->times.dispute_window = after->times.dispute_window;
    terms->limits.price_step = after->limits.price_step;
    terms->clearing = after->clearing;
    terms->clearing.mechanism = mechanism;
    terms->delivery = after->delivery;
    terms->delivery.method = method;
    terms->coupling.later = after->coupling.later;
    terms->coupling.window = after->coupling.window;
    terms->coupling.fee = after->coupling.fee;
    terms->links.activation_lead = after->links.activation_lead;
    terms->links.must_offer = after->links.must_offer;
}

enum market_change market_terms_change(const struct market_create *before,
                                       const struct market_create *after)
{
    struct market_create reached = *before;
    if (terms_equal(&reached, after)) {
        return MARKET_CHANGE_NONE;
    }
    give_to_operator(&reached, after);
    if (terms_equal(&reached, after)) {
        return MARKET_CHANGE_OPERATOR;
    }
    give_to_vote(&reached, after);
    return terms_equal(&reached, after) ? MARKET_CHANGE_VOTE : MARKET_CHANGE_NEVER;
}

struct energy_price market_deposit_rate(const struct market_create *terms,
                                        struct energy_price price)
{
    if (terms->delivery.deposit_permille == 0) {
        return terms->delivery.deposit_price;
    }
    int64_t ueur = energy_price_ueur_per_kwh(price);
    MUST(within(ueur, 0, limit_price_ueur_per_kwh));
    return energy_price_of((ueur * terms->delivery.deposit_permille + PERMILLE - 1) / PERMILLE);
}
