/* Euro-backed tokens: mint, burn, transfer, and the pots that hold every micro-euro (D2.3 4.2.3).
 *
 * 1. No other file writes a pot, or what an order or a deal holds. Every move takes from one pot what it
 *    gives to another, so the sum over all pots changes by mints and burns alone, together with the
 *    supply record.
 * 2. No pot is ever below zero. A participant's pot stays when it is empty; any other record goes away.
 * 3. A receipt reference is used once, for one mint or one burn.
 * 4. Every change of a pot is counted under its kind, for the totals in the supply record.
 *
 * Deliberately absent: who may be paid from an escrow and when; the market's modules know. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/module.h"

struct pot_id pot_balance(const struct name *participant)
{
    struct pot_id pot = {.kind = POT_BALANCE, .participant = *participant};
    return pot;
}

struct pot_id pot_dispute_bond(uint64_t deal)
{
    struct pot_id pot = {.kind = POT_DISPUTE_BOND, .id = deal};
    return pot;
}

struct pot_id pot_market_reserve(const struct name *market)
{
    struct pot_id pot = {.kind = POT_MARKET_RESERVE, .participant = *market};
    return pot;
}

struct pot_id pot_fees(void)
{
    struct pot_id pot = {.kind = POT_FEES};
    return pot;
}

struct purse purse_of_pot(struct pot_id pot)
{
    struct purse purse = {.pot = pot};
    MUST(pot_kind_has_record((enum pot_kind)pot.kind));
    return purse;
}

struct purse purse_of_balance(const struct name *participant)
{
    return purse_of_pot(pot_balance(participant));
}

struct purse purse_of_order(uint64_t id, struct order_record *order)
{
    struct purse purse = {.pot = {.kind = POT_ORDER_ESCROW, .id = id}, .held = &order->held};
    return purse;
}

struct purse purse_of_deal(uint64_t id, struct deal_record *deal)
{
    struct purse purse = {.pot = {.kind = POT_DEAL_ESCROW, .id = id}, .held = &deal->held_escrow};
    return purse;
}

struct purse purse_of_deposit(uint64_t id, struct deal_record *deal)
{
    struct purse purse = {.pot = {.kind = POT_DEAL_DEPOSIT, .id = id}, .held = &deal->held_deposit};
    return purse;
}

static struct pot_id outside(void)
{
    struct pot_id pot = {.kind = POT_OUTSIDE};
    return pot;
}

static struct state_key pot_key(const struct pot_id *pot)
{
    MUST(pot->kind < POT_OUTSIDE);
    return state_key_pot((enum pot_kind)pot->kind, &pot->participant, pot->id);
}

static struct money read_pot(const struct contract_call *call, const struct state_key *key)
{
    struct pot_record record;
    if (!contract_read(call, key, &pot_record_codec, &record))
        return money_of(0);
    MUST(money_compare(record.amount, money_of(0)) >= 0);
    return record.amount;
}

static void write_pot(const struct contract_call *call, const struct pot_id *pot,
                      const struct state_key *key, struct money before, struct money amount)
{
    MUST(money_compare(amount, money_of(0)) >= 0);
    ledger_pot_changed(call, pot->kind, before, amount);
    if (pot->kind != POT_BALANCE && money_compare(amount, money_of(0)) == 0) {
        contract_remove(call, key);
        return;
    }
    struct pot_record record = {.amount = amount};
    contract_write(call, key, &pot_record_codec, &record);
}

struct money token_amount(const struct contract_call *call, struct pot_id pot)
{
    struct state_key key = pot_key(&pot);
    return read_pot(call, &key);
}

static struct money read_purse(const struct contract_call *call, const struct purse *purse,
                               struct state_key *key)
{
    if (purse->held != NULL) {
        MUST(money_compare(*purse->held, money_of(0)) >= 0);
        return *purse->held;
    }
    *key = pot_key(&purse->pot);
    return read_pot(call, key);
}

static void write_purse(const struct contract_call *call, const struct purse *purse,
                        const struct state_key *key, struct money before, struct money amount)
{
    if (purse->held == NULL) {
        write_pot(call, &purse->pot, key, before, amount);
        return;
    }
    MUST(money_compare(amount, money_of(0)) >= 0);
    ledger_pot_changed(call, purse->pot.kind, before, amount);
    *purse->held = amount;
}

static bool is_same_purse(const struct purse *a, const struct state_key *a_key,
                          const struct purse *b, const struct state_key *b_key)
{
    return a->held == b->held && (a->held != NULL || state_key_compare(a_key, b_key) == 0);
}

static enum contract_error move_quiet(const struct contract_call *call, struct purse from,
                                      struct purse to, struct money amount)
{
    struct state_key from_key = {.size = 0};
    struct state_key to_key = {.size = 0};
    struct money left;
    struct money grown;
    if (money_compare(amount, money_of(0)) <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    struct money has = read_purse(call, &from, &from_key);
    if (money_compare(has, amount) < 0)
        return CONTRACT_INSUFFICIENT_FUNDS;
    MUST(money_sub(&left, has, amount));
    struct money had = read_purse(call, &to, &to_key);
    /* Into itself: the money is there, and stays. */
    if (is_same_purse(&from, &from_key, &to, &to_key))
        return CONTRACT_OK;
    if (!money_add(&grown, had, amount))
        return CONTRACT_OVERFLOW;
    write_purse(call, &from, &from_key, has, left);
    write_purse(call, &to, &to_key, had, grown);
    return CONTRACT_OK;
}

enum contract_error token_move_quiet(const struct contract_call *call, struct pot_id from,
                                     struct pot_id to, struct money amount)
{
    return move_quiet(call, purse_of_pot(from), purse_of_pot(to), amount);
}

static void moved(const struct contract_call *call, struct pot_id from, struct pot_id to,
                  struct money amount)
{
    struct event_token_moved event;
    memset(&event, 0, sizeof event);
    event.from = from;
    event.to = to;
    event.amount = amount;
    contract_event(call, EVENT_TOKEN_MOVED, &event);
}

enum contract_error token_move_purse(const struct contract_call *call, struct purse from,
                                     struct purse to, struct money amount)
{
    enum contract_error error = move_quiet(call, from, to, amount);
    if (error == CONTRACT_OK)
        moved(call, from.pot, to.pot, amount);
    return error;
}

enum contract_error token_move(const struct contract_call *call, struct pot_id from,
                               struct pot_id to, struct money amount)
{
    return token_move_purse(call, purse_of_pot(from), purse_of_pot(to), amount);
}

/* Uses up a fiat receipt or redemption reference. */
static enum contract_error use_receipt(const struct contract_call *call, const struct hash *receipt,
                                       struct money amount)
{
    if (hash_is_zero(receipt))
        return CONTRACT_BAD_PARAMETER;
    struct state_key key = state_key_hash(STATE_RECEIPT, receipt->bytes);
    if (contract_exists(call, &key))
        return CONTRACT_EXISTS_ALREADY;
    struct receipt_reference reference = {.treasurer = call->sender, .amount = amount};
    contract_write(call, &key, &receipt_reference_codec, &reference);
    return CONTRACT_OK;
}

static void read_supply(const struct contract_call *call, struct state_key *key,
                        struct supply_record *supply)
{
    *key = state_key_single(STATE_SUPPLY);
    if (!contract_read(call, key, &supply_record_codec, supply)) {
        MUST(call->view->fault);
        memset(supply, 0, sizeof *supply);
    }
}

static enum contract_error token_mint_apply(struct contract_call *call, const void *record)
{
    const struct token_mint *mint = record;
    struct participant_record receiver;
    struct supply_record supply;
    struct state_key supply_key;
    struct money grown;
    if (!contract_has_role(call, ROLE_TREASURER))
        return CONTRACT_NOT_PERMITTED;
    if (money_compare(mint->amount, money_of(0)) <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    enum contract_error error = membership_require_active(call, &mint->to, &receiver);
    if (error == CONTRACT_OK)
        error = use_receipt(call, &mint->receipt, mint->amount);
    if (error != CONTRACT_OK)
        return error;
    read_supply(call, &supply_key, &supply);
    if (!money_add(&supply.minted, supply.minted, mint->amount))
        return CONTRACT_OVERFLOW;
    contract_write(call, &supply_key, &supply_record_codec, &supply);
    struct pot_id pot = pot_balance(&mint->to);
    struct state_key key = pot_key(&pot);
    struct money had = read_pot(call, &key);
    /* No balance is above all that was ever minted. */
    MUST(money_add(&grown, had, mint->amount));
    write_pot(call, &pot, &key, had, grown);
    moved(call, outside(), pot, mint->amount);
    return CONTRACT_OK;
}

static enum contract_error token_burn_apply(struct contract_call *call, const void *record)
{
    const struct token_burn *burn = record;
    struct supply_record supply;
    struct state_key supply_key;
    struct money negative;
    struct money left;
    if (!contract_has_role(call, ROLE_TREASURER))
        return CONTRACT_NOT_PERMITTED;
    if (money_compare(burn->amount, money_of(0)) <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    struct pot_id pot = pot_balance(&call->sender);
    struct state_key key = pot_key(&pot);
    struct money has = read_pot(call, &key);
    if (money_compare(has, burn->amount) < 0)
        return CONTRACT_INSUFFICIENT_FUNDS;
    MUST(money_sub(&negative, money_of(0), burn->amount));
    enum contract_error error = use_receipt(call, &burn->receipt, negative);
    if (error != CONTRACT_OK)
        return error;
    read_supply(call, &supply_key, &supply);
    /* Nobody holds, so nobody burns, more than was ever minted. */
    MUST(money_add(&supply.burned, supply.burned, burn->amount));
    contract_write(call, &supply_key, &supply_record_codec, &supply);
    MUST(money_sub(&left, has, burn->amount));
    write_pot(call, &pot, &key, has, left);
    moved(call, pot, outside(), burn->amount);
    return CONTRACT_OK;
}

static enum contract_error token_transfer_apply(struct contract_call *call, const void *record)
{
    const struct token_transfer *transfer = record;
    struct participant_record receiver;
    if (money_compare(transfer->amount, money_of(0)) <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    if (name_compare(&transfer->to, &call->sender) == 0)
        return CONTRACT_BAD_PARAMETER;
    enum contract_error error = membership_require_active(call, &transfer->to, &receiver);
    if (error != CONTRACT_OK)
        return error;
    return token_move(call, pot_balance(&call->sender), pot_balance(&transfer->to),
                      transfer->amount);
}

static const struct contract_method_entry methods[] = {
    {ACTION_TOKEN_MINT, token_mint_apply},
    {ACTION_TOKEN_BURN, token_burn_apply},
    {ACTION_TOKEN_TRANSFER, token_transfer_apply},
};

const struct contract_module token_module = {
    .name = "token",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
