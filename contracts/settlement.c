/* What a delivery is worth: the pure arithmetic of settlement (market-rules 9; D2.3 4.2.2 to 4.2.6;
 * GOFLEX 1.5.4; docs/spec/delivery.md).
 *
 * Per market time unit the delivered energy is credited whole within the tolerance, not at all
 * under the floor, and as delivered in between; over-delivery is not paid. Sums are exact in
 * nano-euro and rounded once at the end: what is paid out down, a penalty up.
 *
 * Invariant: paid + refunded + remainder = escrow, all of them at least 0; the remainder is at most
 * one micro-euro, and there is one only if everything was credited.
 *
 * Deliberately absent: state, deadlines, proofs, who pays whom. */
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
           money_ueur(terms->deposit) >= 0 && money_ueur(terms->escrow) >= 0;
}

/* Splits the escrow between provider, buyer and fee pool. */
static bool split_escrow(struct settlement_result *out, const struct settlement_terms *terms,
                         int128 earned_neur)
{
    /* Down: the provider loses under 1 ueur over the whole deal. */
    if (!money_from_neur_floor(&out->paid, earned_neur) ||
        money_compare(out->paid, terms->escrow) > 0) {
        return false;
    }
    struct money rest;
    if (!money_sub(&rest, terms->escrow, out->paid)) {
        return false;
    }
    out->remainder = money_of(0);
    if (out->full) {
        struct money cost;
        struct money rounding;
        if (!money_from_neur_ceil(&cost, earned_neur) || !money_sub(&rounding, cost, out->paid)) {
            return false;
        }
        out->remainder = money_min(rounding, rest);
    }
    return money_sub(&out->refunded, rest, out->remainder);
}

bool settlement_compute(struct settlement_result *out, const struct settlement_terms *terms)
{
    memset(out, 0, sizeof *out);
    if (!terms_make_sense(terms)) {
        return false;
    }
    int128 earned = 0;
    int128 penalty = 0;
    out->full = true;
    /* No product is over 2^126 and there are at most 100 of them, so the sums are checked. */
    for (uint32_t i = 0; i < terms->count; i++) {
        struct energy credited =
            delivery_credited(terms->contracted[i], terms->delivered[i], terms->tolerance_permille,
                              terms->floor_permille);
        struct energy missing;
        MUST(energy_sub(&missing, terms->contracted[i], credited));
        MUST(energy_wh(credited) >= 0 && energy_wh(missing) >= 0);
        out->credited[i] = credited;
        out->full = out->full && energy_wh(missing) == 0;
        if (!checked_add_i128(&earned, earned, energy_price_times_neur(terms->price, credited)) ||
            !checked_add_i128(&penalty, penalty,
                              energy_price_times_neur(terms->penalty_price, missing))) {
            return false;
        }
    }
    if (!split_escrow(out, terms, earned)) {
        return false;
    }
    struct money owed;
    /* Up: the buyer gains the fraction; never more than the deposit, so an overflow means all. */
    out->penalty =
        money_from_neur_ceil(&owed, penalty) ? money_min(owed, terms->deposit) : terms->deposit;
    return true;
}
