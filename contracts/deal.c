/* The end of every deal, and a provider's record of them (contracts/deal.h; docs/spec/deal.md).
 *
 *   matched --- proof ------------------------------> settled, partial or refunded, if that is final
 *      |          '--- in a market with a dispute window ---> proven --- window over ---> the same
 *      |                                                        '--- disputed --- decided --> the same
 *      '--- no proof in time; a call that failed ------------> refunded
 *
 * Invariants:
 * 1. An open deal (matched, proven, disputed) has exactly one deadline in the index, and no other deal
 *    has one; so every escrow ends, at the latest in the sweep of deadlines.
 * 2. When a deal ends, its whole escrow and deposit leave their pots in the same step, and a bond has
 *    left before.
 * 3. paid + refunded + what the fee pool gets as a rounding = escrow; penalty <= deposit.
 *
 * Deliberately absent: what was delivered (delivery.c), who may dispute what (dispute.c). */
#include "contracts/deal.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/market.h"

static void pay_from(const struct contract_call *call, struct purse from, struct pot_id to,
                     struct money amount)
{
    if (money_ueur(amount) > 0) {
        enum contract_error error = token_move_purse(call, from, purse_of_pot(to), amount);
        MUST(error == CONTRACT_OK || call->view->fault);
    }
}

static bool pot_is_empty(const struct contract_call *call, struct pot_id pot)
{
    return money_ueur(token_amount(call, pot)) == 0 || call->view->fault;
}

/* --- states and deadlines ------------------------------------------------------------------- */

bool deal_is_open(const struct deal_record *deal)
{
    switch ((enum deal_state)deal->state) {
    case DEAL_MATCHED:
    case DEAL_PROVEN:
    case DEAL_DISPUTED:
        return true;
    case DEAL_SETTLED:
    case DEAL_PARTIAL:
    case DEAL_REFUNDED:
        return false;
    }
    return false;
}

struct deadline deal_deadline(const struct event_deal *deal)
{
    MUST(deal_is_open(&deal->deal));
    bool matched = deal->deal.state == DEAL_MATCHED;
    return (struct deadline){.time =
                                 matched ? deal->deal.proof_deadline : deal->deal.dispute_deadline,
                             .what = matched ? DEADLINE_PROOF : DEADLINE_DISPUTE,
                             .id = deal->id};
}

static void write_deal(const struct contract_call *call, const struct event_deal *deal)
{
    struct state_key key = state_key_u64(STATE_DEAL, deal->id);
    contract_write(call, &key, &deal_record_codec, &deal->deal);
}

void deal_move(struct contract_call *call, struct event_deal *deal, enum deal_state state,
               struct timestamp deadline)
{
    MUST(state == DEAL_PROVEN || state == DEAL_DISPUTED);
    struct deadline before = deal_deadline(deal);
    deadline_remove(call, &before);
    deal->deal.state = (uint8_t)state;
    deal->deal.dispute_deadline = deadline;
    struct deadline after = deal_deadline(deal);
    deadline_add(call, &after);
    write_deal(call, deal);
}

/* --- the provider's record ------------------------------------------------------------------ */

static void add_energy(struct energy *sum, struct energy more)
{
    if (!energy_add(sum, *sum, more)) {
        *sum = energy_of(INT64_MAX);
    }
}

static void read_reliability(const struct contract_call *call, struct state_key *key,
                             struct reliability_record *out, const struct name *provider)
{
    *key = state_key_name(STATE_RELIABILITY, provider);
    if (!contract_read(call, key, &reliability_record_codec, out)) {
        memset(out, 0, sizeof *out);
    }
}

static void count_end(const struct contract_call *call, const struct deal_record *deal)
{
    struct state_key key;
    struct reliability_record record;
    read_reliability(call, &key, &record, &deal->seller);
    record.deals++;
    record.settled += deal->state == DEAL_SETTLED;
    record.partial += deal->state == DEAL_PARTIAL;
    record.refunded += deal->state == DEAL_REFUNDED;
    add_energy(&record.contracted, deal->contracted);
    add_energy(&record.credited, deal->credited);
    if (!money_add(&record.penalties, record.penalties, deal->penalty)) {
        record.penalties = money_of(INT64_MAX);
    }
    contract_write(call, &key, &reliability_record_codec, &record);
}

static void count_failure(const struct contract_call *call, const struct name *provider,
                          enum deal_failure failure)
{
    struct state_key key;
    struct reliability_record record;
    read_reliability(call, &key, &record, provider);
    switch (failure) {
    case DEAL_UNPROVEN:
        record.unproven++;
        break;
    case DEAL_CALL_MISSED:
        record.calls_missed++;
        break;
    }
    contract_write(call, &key, &reliability_record_codec, &record);
}

void deal_count_lost_dispute(struct contract_call *call, const struct name *provider)
{
    struct state_key key;
    struct reliability_record record;
    read_reliability(call, &key, &record, provider);
    record.disputes_lost++;
    contract_write(call, &key, &reliability_record_codec, &record);
}

/* --- the end -------------------------------------------------------------------------------- */

void deal_begin_settlement(struct settlement_terms *out, const struct deal_record *deal,
                           const struct market_create *market)
{
    int64_t per_unit = energy_wh(deal->contracted) / market->times.mtus_per_period;
    *out = (struct settlement_terms){.price = deal->price,
                                     .penalty_price = market->delivery.penalty_price,
                                     .deposit = deal->deposit,
                                     .escrow = deal->escrow,
                                     .basis = deal->basis,
                                     .payment = deal->payment,
                                     .added = deal->added,
                                     .tolerance_permille = market->delivery.tolerance_permille,
                                     .floor_permille = market->delivery.floor_permille,
                                     .count = market->times.mtus_per_period};
    for (uint32_t i = 0; i < out->count; i++) {
        out->contracted[i] = energy_of(per_unit);
    }
}

void deal_set_result(struct deal_record *deal, const struct settlement_result *result,
                     struct energy credited)
{
    deal->credited = credited;
    deal->paid = result->paid;
    deal->refunded = result->refunded;
    deal->returned = result->returned;
    deal->penalty = result->penalty;
}

static struct money deal_fee(const struct contract_call *call, struct money paid)
{
    struct params_record params;
    struct state_key key = state_key_single(STATE_PARAMS);
    if (!book_read(call, &key, &params_record_codec, &params)) {
        return money_of(0);
    }
    return money_min(params.fee_per_deal, paid);
}

static enum deal_state end_state(const struct deal_record *deal)
{
    if (energy_compare(deal->credited, deal->contracted) == 0) {
        return DEAL_SETTLED;
    }
    return energy_wh(deal->credited) > 0 ? DEAL_PARTIAL : DEAL_REFUNDED;
}

/* Stores the deal's end once its money has been paid out. */
static void end_deal(struct contract_call *call, struct event_deal *ended)
{
    MUST(money_ueur(ended->deal.held_escrow) == 0 || call->view->fault);
    MUST(money_ueur(ended->deal.held_deposit) == 0 || call->view->fault);
    MUST(pot_is_empty(call, pot_dispute_bond(ended->id)));
    struct deadline deadline = deal_deadline(ended);
    deadline_remove(call, &deadline);
    ended->deal.state = (uint8_t)end_state(&ended->deal);
    ended->deal.settled_height = call->context->height;
    write_deal(call, ended);
    count_end(call, &ended->deal);
    contract_event(call, EVENT_DEAL_ENDED, ended);
    if (ended->deal.state == DEAL_REFUNDED && ended->deal.reservation != 0) {
        reservation_call_failed(call, ended->deal.reservation);
    }
}

/* Where money goes back to that others than the buyer put into an escrow: the account that the market's
 * reserve is from, or the fee pool, which the market's other buyers filled; also if terms name an account
 * that nobody has, whose money nobody could ever move. */
static struct pot_id adder_of(const struct contract_call *call, const struct deal_record *deal)
{
    struct market_create terms;
    if (!market_terms_read(call, &deal->market, deal->version, &terms) ||
        name_is_empty(&terms.clearing.reserve_account)) {
        return pot_fees();
    }
    struct state_key key = state_key_name(STATE_PARTICIPANT, &terms.clearing.reserve_account);
    return contract_exists(call, &key) ? pot_balance(&terms.clearing.reserve_account) : pot_fees();
}

/* The most that the pool may gain over the fee: a rounding, or what the deal's auction put on top. */
static bool pool_share_is_sound(const struct deal_record *deal, struct money pool)
{
    struct money gain;
    struct money over;
    MUST(money_sub(&gain, pool, deal->fee) && money_sub(&over, deal->escrow, deal->payment));
    return money_ueur(gain) >= 0 &&
           (deal->basis == DEAL_BY_AMOUNT ? money_compare(gain, over) <= 0 : money_ueur(gain) <= 1);
}

/* Of what the pool would gain: in a coupled market all but the fee is what the network earned on the deal,
 * and goes to the account that the terms name. */
static struct money earned_by_market(const struct contract_call *call,
                                     const struct deal_record *deal, struct money pool)
{
    struct market_create terms;
    struct money earned;
    if (deal->basis != DEAL_BY_AMOUNT ||
        !market_terms_read(call, &deal->market, deal->version, &terms) ||
        terms.clearing.mechanism != MECHANISM_COUPLED) {
        return money_of(0);
    }
    MUST(money_sub(&earned, pool, deal->fee) && money_ueur(earned) >= 0);
    return earned;
}

/* The seller gets what it earned less the deal's fee, the fee pool the fee and the rounding, the
 * buyer the rest and the penalty; what is left of the deposit goes back to the seller. */
void deal_pay_out(struct contract_call *call, struct event_deal *ended)
{
    struct deal_record *deal = &ended->deal;
    struct money net;
    struct money pool;
    struct money rest;
    MUST(deal_is_open(deal));
    deal->fee = deal_fee(call, deal->paid);
    MUST(money_sub(&net, deal->paid, deal->fee));
    MUST(money_sub(&pool, deal->escrow, net) && money_sub(&pool, pool, deal->refunded) &&
         money_sub(&pool, pool, deal->returned));
    MUST(pool_share_is_sound(deal, pool));
    struct money earned = earned_by_market(call, deal, pool);
    MUST(money_sub(&pool, pool, earned));
    MUST(money_sub(&rest, deal->deposit, deal->penalty) && money_ueur(rest) >= 0);
    pay_from(call, purse_of_deal(ended->id, deal), pot_balance(&deal->seller), net);
    pay_from(call, purse_of_deal(ended->id, deal), pot_fees(), pool);
    pay_from(call, purse_of_deal(ended->id, deal), pot_balance(&deal->buyer), deal->refunded);
    if (money_ueur(deal->returned) > 0) {
        pay_from(call, purse_of_deal(ended->id, deal), adder_of(call, deal), deal->returned);
    }
    if (money_ueur(earned) > 0) {
        pay_from(call, purse_of_deal(ended->id, deal), adder_of(call, deal), earned);
    }
    pay_from(call, purse_of_deposit(ended->id, deal), pot_balance(&deal->buyer), deal->penalty);
    pay_from(call, purse_of_deposit(ended->id, deal), pot_balance(&deal->seller), rest);
    end_deal(call, ended);
}

static bool read_matched(const struct contract_call *call, uint64_t id, struct event_deal *out,
                         struct market_create *market)
{
    out->id = id;
    struct state_key key = state_key_u64(STATE_DEAL, id);
    if (!book_read(call, &key, &deal_record_codec, &out->deal) ||
        !market_terms_read(call, &out->deal.market, out->deal.version, market)) {
        return false;
    }
    MUST(out->deal.state == DEAL_MATCHED);
    return true;
}

/* Without readings: all of it was delivered, or nothing. The same arithmetic as for any other proof. */
static void settle_unmeasured(struct contract_call *call, struct event_deal *ended,
                              const struct market_create *market, bool all)
{
    struct settlement_terms terms;
    struct settlement_result result;
    deal_begin_settlement(&terms, &ended->deal, market);
    for (uint32_t i = 0; i < terms.count; i++) {
        terms.delivered[i] = all ? terms.contracted[i] : energy_of(0);
    }
    MUST(settlement_compute(&result, &terms) == SETTLEMENT_OK);
    struct money back;
    MUST(money_add(&back, result.refunded, result.returned));
    MUST(all || money_compare(back, ended->deal.escrow) == 0);
    deal_set_result(&ended->deal, &result, all ? ended->deal.contracted : energy_of(0));
    deal_pay_out(call, ended);
}

void deal_fail(struct contract_call *call, uint64_t id, enum deal_failure failure)
{
    struct event_deal ended;
    struct market_create market;
    if (read_matched(call, id, &ended, &market)) {
        count_failure(call, &ended.deal.seller, failure);
        settle_unmeasured(call, &ended, &market, false);
    }
}

void deal_proof_is_due(struct contract_call *call, uint64_t id)
{
    struct event_deal ended;
    struct market_create market;
    if (!read_matched(call, id, &ended, &market)) {
        return;
    }
    if (market.product == PRODUCT_RESERVATION) {
        ended.deal.delivered = ended.deal.contracted;
        settle_unmeasured(call, &ended, &market, true);
    } else {
        deal_fail(call, id, DEAL_UNPROVEN);
    }
}
