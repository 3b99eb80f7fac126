/* What a delivery is worth: the pure arithmetic of settlement (market-rules 9; D2.3 4.2.2 to 4.2.6;
 * GOFLEX 1.5.4; docs/spec/delivery.md).
 *
 * Per market time unit the delivered energy is credited whole within the tolerance, not at all
 * under the floor, and as delivered in between; over-delivery is not paid. Sums are exact in
 * nano-euro and rounded once at the end: what is paid out down, a penalty up.
 *
 * Invariants:
 * 1. paid + refunded + returned + remainder = escrow, all of them at least 0.
 * 2. By price, at most one of refunded and remainder is above 0: the buyer gets back what a broken
 *    promise leaves, the fee pool what a kept one does (docs/adr/0022). An escrow of price x
 *    contracted, rounded either way, so leaves the pool at most one micro-euro.
 * 3. Sums that no int64 holds change nothing: more than the escrow was earned, or the whole deposit
 *    is owed.
 *
 * Deliberately absent: state, deadlines, proofs, who pays whom; where a reference comes from
 * (contracts/baseline.c for one computed from earlier days). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/delivery.h"

bool delivery_against_reference(struct energy *out, enum direction direction,
                                struct energy reference, struct energy actual)
{
    MUST(direction == DIRECTION_UP || direction == DIRECTION_DOWN);
    return direction == DIRECTION_UP ? energy_sub(out, reference, actual)
                                     : energy_sub(out, actual, reference);
}

/* c - max(0, higher - lower), exact: only the result has to fit. */
static bool contracted_less_excess(struct energy *out, struct energy contracted,
                                   struct energy higher, struct energy lower)
{
    int128 excess = (int128)energy_wh(higher) - energy_wh(lower);
    int64_t delivered;
    if (!checked_narrow_i64(&delivered,
                            energy_wh(contracted) - (excess > 0 ? excess : (int128)0))) {
        return false;
    }
    *out = energy_of(delivered);
    return true;
}

bool delivery_against_cap(struct energy *out, struct energy contracted, struct energy limit,
                          struct energy actual)
{
    return contracted_less_excess(out, contracted, actual, limit);
}

bool delivery_against_floor(struct energy *out, struct energy contracted, struct energy limit,
                            struct energy actual)
{
    return contracted_less_excess(out, contracted, limit, actual);
}

bool delivery_measured(struct energy *out, enum delivery_method method, enum direction direction,
                       struct energy contracted, struct energy against, struct energy actual)
{
    MUST(energy_wh(contracted) > 0);
    switch (method) {
    case DELIVERY_SCHEDULE:
    case DELIVERY_BASELINE:
    case DELIVERY_SUBMETER:
        return delivery_against_reference(out, direction, against, actual);
    case DELIVERY_CAPACITY_CAP:
        return delivery_against_cap(out, contracted, against, actual);
    case DELIVERY_CAPACITY_FLOOR:
        return delivery_against_floor(out, contracted, against, actual);
    }
    MUST(false);
    return false;
}

struct energy delivery_credited(struct energy contracted, struct energy delivered,
                                uint16_t tolerance_permille, uint16_t floor_permille)
{
    int64_t c = energy_wh(contracted);
    int64_t d = energy_wh(delivered);
    MUST(c > 0);
    int128 thousandfold = product_i128(d, 1000);
    if (thousandfold >= product_i128(c, tolerance_permille)) {
        return contracted;
    }
    if (thousandfold < product_i128(c, floor_permille)) {
        return energy_of(0);
    }
    if (d <= 0) {
        return energy_of(0);
    }
    return energy_min(delivered, contracted);
}

static bool terms_make_sense(const struct settlement_terms *terms)
{
    if (terms->count == 0 || terms->count > LIMIT_INTERVALS_PER_PERIOD) {
        return false;
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        if (energy_wh(terms->contracted[i]) <= 0) {
            return false;
        }
    }
    return energy_price_ueur_per_kwh(terms->price) >= 0 &&
           energy_price_ueur_per_kwh(terms->penalty_price) >= 0 &&
           money_ueur(terms->deposit) >= 0 && money_ueur(terms->escrow) >= 0 &&
           money_ueur(terms->added) >= 0 && money_compare(terms->added, terms->payment) <= 0;
}

/* Splits the escrow between provider, buyer and fee pool. */
static enum settlement_error split_escrow(struct settlement_result *out,
                                          const struct settlement_terms *terms, int128 earned_neur)
{
    /* Down: the provider loses under 1 ueur over the whole deal. */
    if (!money_from_neur_floor(&out->paid, earned_neur) ||
        money_compare(out->paid, terms->escrow) > 0) {
        return SETTLEMENT_ESCROW_SHORT;
    }
    struct money rest;
    MUST(money_sub(&rest, terms->escrow, out->paid));
    out->remainder = out->full ? rest : money_of(0);
    out->refunded = out->full ? money_of(0) : rest;
    return SETTLEMENT_OK;
}

/* Up: the buyer gains the fraction; never more than the deposit, so what doesn't fit means all. */
static struct money penalty_of(const struct settlement_terms *terms,
                               const struct settlement_result *result)
{
    int128 owed_neur = 0;
    for (uint32_t i = 0; i < terms->count; i++) {
        struct energy missing;
        MUST(energy_sub(&missing, terms->contracted[i], result->credited[i]));
        MUST(energy_wh(missing) >= 0);
        if (!checked_add_i128(&owed_neur, owed_neur,
                              energy_price_times_neur(terms->penalty_price, missing))) {
            return terms->deposit;
        }
    }
    struct money owed;
    return money_from_neur_ceil(&owed, owed_neur) ? money_min(owed, terms->deposit)
                                                  : terms->deposit;
}

/* An amount of the whole deal, as far as it was credited: down, so who gets it bears the fraction. */
static struct money share_of(struct money amount, int64_t credited, int64_t contracted)
{
    int64_t ueur;
    MUST(credited >= 0 && credited <= contracted && money_ueur(amount) >= 0);
    MUST(checked_narrow_i64(
        &ueur, div_floor_i128(product_i128(money_ueur(amount), credited), contracted)));
    return money_of(ueur);
}

/* The same of a deal that is worth an amount and not a price (docs/spec/auctions.md 8): what it pays, what
 * goes to the fee pool and what goes back to whoever added to it, each in proportion to what was
 * credited; the buyer has the rest. */
static enum settlement_error split_amount(struct settlement_result *out,
                                          const struct settlement_terms *terms)
{
    int64_t contracted = 0;
    int64_t credited = 0;
    for (uint32_t i = 0; i < terms->count; i++) {
        if (!checked_add_i64(&contracted, contracted, energy_wh(terms->contracted[i]))) {
            return SETTLEMENT_BAD_TERMS;
        }
        credited += energy_wh(out->credited[i]);
    }
    struct money over;
    struct money rest;
    if (money_compare(terms->payment, terms->escrow) > 0) {
        return SETTLEMENT_ESCROW_SHORT;
    }
    MUST(money_sub(&over, terms->escrow, terms->payment));
    out->paid = share_of(terms->payment, credited, contracted);
    out->remainder = share_of(over, credited, contracted);
    out->returned = share_of(terms->added, contracted - credited, contracted);
    MUST(money_sub(&rest, terms->escrow, out->paid) && money_sub(&rest, rest, out->remainder) &&
         money_sub(&rest, rest, out->returned));
    MUST(money_ueur(rest) >= 0 && (!out->full || money_ueur(rest) == 0));
    out->refunded = rest;
    return SETTLEMENT_OK;
}

enum settlement_error settlement_compute(struct settlement_result *out,
                                         const struct settlement_terms *terms)
{
    memset(out, 0, sizeof *out);
    if (!terms_make_sense(terms)) {
        return SETTLEMENT_BAD_TERMS;
    }
    int128 earned_neur = 0;
    out->full = true;
    for (uint32_t i = 0; i < terms->count; i++) {
        struct energy credited =
            delivery_credited(terms->contracted[i], terms->delivered[i], terms->tolerance_permille,
                              terms->floor_permille);
        MUST(energy_wh(credited) >= 0 && energy_compare(credited, terms->contracted[i]) <= 0);
        out->credited[i] = credited;
        out->full = out->full && energy_compare(credited, terms->contracted[i]) == 0;
        /* A product is at most 2^126, and a sum that overflows is more than any escrow holds. */
        if (!checked_add_i128(&earned_neur, earned_neur,
                              energy_price_times_neur(terms->price, credited))) {
            return SETTLEMENT_ESCROW_SHORT;
        }
    }
    out->penalty = penalty_of(terms, out);
    return terms->basis == DEAL_BY_AMOUNT ? split_amount(out, terms)
                                          : split_escrow(out, terms, earned_neur);
}
