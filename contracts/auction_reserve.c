/* A market's reserve: what its auctions' deficits are paid from (market-rules 6; D2.3 3.4.3;
 * docs/spec/auctions.md 7).
 *
 * VCG promises truth and gain, and may pay the sellers more than the buyers give. The account that the
 * market's terms name locks money for that; while an auction that could be paid from it waits to be
 * cleared, nobody takes it back.
 *
 * Invariants:
 * 1. A reserve holds one account's money, and the market's total names it; an empty one is nobody's.
 * 2. It is paid out to sellers by a cleared auction, or back to its owner, and to nobody else.
 *
 * Deliberately absent: what a deficit is, and what happens if it is too large (auction_pay.c). */
#include "base/fatal.h"
#include "contracts/auction.h"

void auction_total_read(const struct contract_call *call, const struct name *market,
                        struct auction_total_record *out)
{
    struct state_key key = state_key_name(STATE_AUCTION_TOTAL, market);
    if (!contract_read(call, &key, &auction_total_record_codec, out)) {
        *out = (struct auction_total_record){0};
    }
}

void auction_total_write(const struct contract_call *call, const struct name *market,
                         const struct auction_total_record *total)
{
    struct state_key key = state_key_name(STATE_AUCTION_TOTAL, market);
    contract_write(call, &key, &auction_total_record_codec, total);
}

struct money auction_reserve_of(const struct contract_call *call, const struct market_create *terms)
{
    struct auction_total_record total;
    auction_total_read(call, &terms->id, &total);
    bool theirs = !name_is_empty(&total.reserve_owner) &&
                  name_compare(&total.reserve_owner, &terms->clearing.reserve_account) == 0;
    return theirs ? token_amount(call, pot_market_reserve(&terms->id)) : money_of(0);
}

static enum contract_error lock_more(struct contract_call *call, const struct market_record *market,
                                     struct auction_total_record *total, struct money amount)
{
    const struct market_create *terms = &market->terms;
    struct money held;
    if (name_compare(&call->sender, &terms->clearing.reserve_account) != 0 ||
        (!name_is_empty(&total->reserve_owner) &&
         name_compare(&call->sender, &total->reserve_owner) != 0)) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (market->state == MARKET_CLOSED) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    if (!money_add(&held, token_amount(call, pot_market_reserve(&terms->id)), amount)) {
        return CONTRACT_OVERFLOW;
    }
    if (money_compare(held, terms->clearing.reserve) > 0) {
        return CONTRACT_OVER_RESERVE;
    }
    total->reserve_owner = call->sender;
    return token_move(call, pot_balance(&call->sender), pot_market_reserve(&terms->id), amount);
}

/* Whether bids stand whose deficit it may come to pay. Whoever could bid in a market that stays closed, or
 * whose terms name another account, would else lock it for as long as it likes. */
static bool is_in_use(const struct market_record *market, const struct auction_total_record *total)
{
    return total->pending > 0 && market->state != MARKET_CLOSED &&
           name_compare(&total->reserve_owner, &market->terms.clearing.reserve_account) == 0;
}

static enum contract_error take_back(struct contract_call *call, const struct market_record *record,
                                     struct auction_total_record *total, struct money amount)
{
    const struct name *market = &record->terms.id;
    if (name_compare(&call->sender, &total->reserve_owner) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (is_in_use(record, total)) {
        return CONTRACT_RESERVE_IN_USE;
    }
    enum contract_error error =
        token_move(call, pot_market_reserve(market), pot_balance(&call->sender), amount);
    if (money_ueur(token_amount(call, pot_market_reserve(market))) == 0) {
        total->reserve_owner = (struct name){{0}};
    }
    return error;
}

static enum contract_error market_reserve_apply(struct contract_call *call, const void *record)
{
    const struct market_reserve *action = record;
    struct market_record market;
    struct auction_total_record total;
    struct money amount;
    struct state_key key = state_key_name(STATE_MARKET, &action->market);
    if (!contract_read(call, &key, &market_record_codec, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (money_ueur(action->amount) == 0) {
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    }
    if (!money_sub(&amount, money_of(0), action->amount)) {
        return CONTRACT_OVERFLOW;
    }
    auction_total_read(call, &action->market, &total);
    enum contract_error error = money_ueur(action->amount) > 0
                                    ? lock_more(call, &market, &total, action->amount)
                                    : take_back(call, &market, &total, amount);
    if (error == CONTRACT_OK) {
        auction_total_write(call, &action->market, &total);
    }
    return error;
}

static const struct contract_method_entry auction_methods[] = {
    {ACTION_MARKET_RESERVE, market_reserve_apply},
};

const struct contract_module auction_module = {
    .name = "auction",
    .methods = auction_methods,
    .method_count = sizeof auction_methods / sizeof auction_methods[0],
};
