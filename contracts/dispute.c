/* Disputes over what was delivered (market-rules 9; docs/spec/deal.md 3; docs/adr/0036-disputes.md).
 *
 *   none ---- buyer or seller, within the window, with a bond ----> open
 *                                                                    |--- proof by newer readings --> corrected
 *                                                                    |--- the validators' vote -----> voted
 *                                                                    '--- nobody, for 30 days ------> lapsed
 *
 * Invariants:
 * 1. While a deal is proven or disputed, its escrow and deposit stay where they are; the bond of a dispute
 *    stands in its own pot from its opening to its outcome, and never longer.
 * 2. A deal is disputed once: every outcome of a dispute ends the deal.
 * 3. The opener gets its bond back if the outcome is better for it than what it disputed; else the other
 *    side does, whose money it held up.
 *
 * Deliberately absent: the evidence itself. Its hash says later on that a document was there then. */
#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/deal.h"
#include "contracts/delivery_internal.h"

static bool read_deal(const struct contract_call *call, uint64_t id, struct event_deal *out)
{
    struct state_key key = state_key_u64(STATE_DEAL, id);
    out->id = id;
    return contract_read(call, &key, &deal_record_codec, &out->deal);
}

static bool read_dispute(const struct contract_call *call, uint64_t id, struct dispute_record *out)
{
    struct state_key key = state_key_u64(STATE_DISPUTE, id);
    return book_read(call, &key, &dispute_record_codec, out);
}

/* Stores it, and tells about it if somebody has opened it. */
static void write_dispute(const struct contract_call *call, const struct event_deal *deal,
                          const struct dispute_record *dispute)
{
    struct state_key key = state_key_u64(STATE_DISPUTE, deal->id);
    contract_write(call, &key, &dispute_record_codec, dispute);
    if (dispute->outcome != DISPUTE_NONE) {
        struct event_dispute event = {.id = deal->id,
                                      .outcome = dispute->outcome,
                                      .opener = dispute->opener,
                                      .evidence = dispute->evidence,
                                      .bond = dispute->bond,
                                      .deadline = deal->deal.dispute_deadline};
        contract_event(call, EVENT_DEAL_DISPUTED, &event);
    }
}

static struct timestamp later(const struct contract_call *call, struct duration span)
{
    struct timestamp end;
    /* Block times stay far below the end of the scale, and every span below a year. */
    MUST(timestamp_add(&end, call->context->time, span));
    return end;
}

/* --- opening -------------------------------------------------------------------------------- */

static struct money bond_of(const struct deal_record *deal)
{
    int128 product = product_i128(money_ueur(deal->escrow), DISPUTE_BOND_PERMILLE);
    int64_t ueur;
    /* Up: who disputes bears the rounding. */
    MUST(checked_narrow_i64(&ueur, div_floor_i128(product + 999, 1000)));
    return money_of(ueur);
}

enum contract_error dispute_apply(struct contract_call *call, const void *record)
{
    const struct deal_dispute *action = record;
    struct event_deal deal;
    struct dispute_record dispute;
    if (!read_deal(call, action->deal, &deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (name_compare(&call->sender, &deal.deal.buyer) != 0 &&
        name_compare(&call->sender, &deal.deal.seller) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (deal.deal.state != DEAL_PROVEN) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    if (timestamp_compare(call->context->time, deal.deal.dispute_deadline) >= 0) {
        return CONTRACT_TOO_LATE;
    }
    if (hash_is_zero(&action->evidence)) {
        return CONTRACT_BAD_PARAMETER;
    }
    if (!read_dispute(call, action->deal, &dispute)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    MUST(dispute.outcome == DISPUTE_NONE);
    dispute.outcome = DISPUTE_OPEN;
    dispute.opener = call->sender;
    dispute.evidence = action->evidence;
    dispute.bond = bond_of(&deal.deal);
    dispute.paid_before = deal.deal.paid;
    dispute.opened = call->context->time;
    if (money_ueur(dispute.bond) > 0) {
        enum contract_error error =
            token_move(call, pot_balance(&call->sender), pot_dispute_bond(deal.id), dispute.bond);
        if (error != CONTRACT_OK) {
            return error;
        }
    }
    deal_move(call, &deal, DEAL_DISPUTED, later(call, duration_of(limit_dispute_ms)));
    write_dispute(call, &deal, &dispute);
    return CONTRACT_OK;
}

/* --- outcomes ------------------------------------------------------------------------------- */

/* Who gets the bond, what the provider's record says, and the end of the deal by the numbers in it. */
static void conclude(struct contract_call *call, struct event_deal *deal,
                     struct dispute_record *dispute, enum dispute_outcome outcome)
{
    MUST(dispute->outcome == DISPUTE_OPEN && deal->deal.state == DEAL_DISPUTED);
    bool by_seller = name_compare(&dispute->opener, &deal->deal.seller) == 0;
    int moved = money_compare(deal->deal.paid, dispute->paid_before);
    bool opener_won = by_seller ? moved > 0 : moved < 0;
    const struct name *other = by_seller ? &deal->deal.buyer : &deal->deal.seller;
    const struct name *bond_to = opener_won ? &dispute->opener : other;
    if (money_ueur(dispute->bond) > 0) {
        enum contract_error error =
            token_move(call, pot_dispute_bond(deal->id), pot_balance(bond_to), dispute->bond);
        MUST(error == CONTRACT_OK || call->view->fault);
    }
    if (by_seller != opener_won) {
        deal_count_lost_dispute(call, &deal->deal.seller);
    }
    dispute->outcome = (uint8_t)outcome;
    dispute->unit_count = 0;
    write_dispute(call, deal, dispute);
    deal_pay_out(call, deal);
}

void dispute_after_proof(struct contract_call *call, struct event_deal *deal,
                         struct dispute_record *dispute, struct duration window)
{
    if (deal->deal.state == DEAL_DISPUTED) {
        conclude(call, deal, dispute, DISPUTE_CORRECTED);
        return;
    }
    deal_move(call, deal, DEAL_PROVEN, later(call, window));
    write_dispute(call, deal, dispute);
    contract_event(call, EVENT_DEAL_PROVEN, deal);
}

void dispute_is_due(struct contract_call *call, uint64_t id)
{
    struct event_deal deal;
    struct dispute_record dispute;
    if (!read_deal(call, id, &deal) || !read_dispute(call, id, &dispute)) {
        MUST(call->view->fault);
        return;
    }
    if (deal.deal.state == DEAL_DISPUTED) {
        conclude(call, &deal, &dispute, DISPUTE_LAPSED);
    } else {
        /* Nobody will prove it again, or ask what for. */
        struct state_key key = state_key_u64(STATE_DISPUTE, id);
        contract_remove(call, &key);
        deal_pay_out(call, &deal);
    }
}

enum contract_error dispute_decision_check(const struct contract_call *call, uint64_t id,
                                           struct energy credited)
{
    struct event_deal deal;
    if (!read_deal(call, id, &deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (deal.deal.state != DEAL_DISPUTED) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    if (timestamp_compare(call->context->time, deal.deal.dispute_deadline) >= 0) {
        return CONTRACT_TOO_LATE;
    }
    bool in_range = energy_wh(credited) >= 0 && energy_compare(credited, deal.deal.contracted) <= 0;
    return in_range ? CONTRACT_OK : CONTRACT_OUT_OF_RANGE;
}

/* The vote says what is credited of the whole; what that is worth follows from the deal as it would from
 * any proof: as one unit, with nothing added for a tolerance. */
void dispute_decide(struct contract_call *call, uint64_t id, struct energy credited)
{
    struct event_deal deal;
    struct dispute_record dispute;
    struct market_create market;
    struct settlement_terms terms;
    struct settlement_result result;
    if (!read_deal(call, id, &deal) || !read_dispute(call, id, &dispute) ||
        !market_terms_read(call, &deal.deal.market, deal.deal.version, &market)) {
        MUST(call->view->fault);
        return;
    }
    deal_begin_settlement(&terms, &deal.deal, &market);
    terms.count = 1;
    terms.contracted[0] = deal.deal.contracted;
    terms.delivered[0] = credited;
    terms.tolerance_permille = 1000;
    terms.floor_permille = 0;
    MUST(settlement_compute(&result, &terms) == SETTLEMENT_OK);
    deal_set_result(&deal.deal, &result, credited);
    conclude(call, &deal, &dispute, DISPUTE_VOTED);
}
