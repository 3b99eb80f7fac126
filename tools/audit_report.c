/* Sums over a state that has been re-executed (tools/audit_verify.h): what was minted and burned, and
 * where all of it is now.
 *
 * Invariant: the sums are made from the pots themselves, by code that has no part in moving money,
 * and must add up to minted less burned (market-rules 3). */
#include <string.h>

#include "tools/audit_verify.h"

bool audit_each(const struct state_base *state, enum state_kind kind, audit_visit_fn visit,
                void *context)
{
    uint8_t prefix_byte = (uint8_t)kind;
    struct bytes_view prefix = bytes_view_of(&prefix_byte, 1);
    uint8_t keys[2][LIMIT_STATE_KEY_BYTES];
    struct bytes_view after = {0};
    for (unsigned turn = 0;; turn ^= 1) {
        bool found;
        size_t size;
        struct bytes_view value;
        char id[2 * LIMIT_STATE_KEY_BYTES];
        if (!state->next(state->context, prefix, after, &found, keys[turn], &size, &value)) {
            return false;
        }
        if (!found) {
            return true;
        }
        after = bytes_view_of(keys[turn], size);
        if (!state_key_to_text(id, sizeof id, kind, after) || !visit(context, id, after, value)) {
            return false;
        }
    }
}

struct sum {
    struct audit_totals *totals;
    const char *problem;
};

static bool add_pot(void *context, const char *id, struct bytes_view key, struct bytes_view value)
{
    struct sum *sum = context;
    struct pot_record pot;
    (void)id;
    if (key.size < 2 || !codec_decode_all(state_kind_info(STATE_POT)->codec, &pot, value) ||
        money_compare(pot.amount, money_of(0)) < 0) {
        sum->problem = "a pot is malformed or negative";
        return false;
    }
    struct money *into = key.data[1] == POT_BALANCE ? &sum->totals->balances
                         : key.data[1] == POT_FEES  ? &sum->totals->fees
                                                    : &sum->totals->escrow;
    if (!money_add(into, *into, pot.amount)) {
        sum->problem = "the pots hold more than can be counted";
        return false;
    }
    return true;
}

static bool take_supply(void *context, const char *id, struct bytes_view key,
                        struct bytes_view value)
{
    struct sum *sum = context;
    struct supply_record supply;
    (void)id;
    (void)key;
    if (!codec_decode_all(state_kind_info(STATE_SUPPLY)->codec, &supply, value)) {
        sum->problem = "the supply record is malformed";
        return false;
    }
    sum->totals->minted = supply.minted;
    sum->totals->burned = supply.burned;
    return true;
}

bool audit_totals(struct audit_totals *out, const struct state_base *state,
                  char reason[AUDIT_PROBLEM_SIZE])
{
    struct sum sum = {out, "the state can't be read"};
    struct money held, issued;
    memset(out, 0, sizeof *out);
    bool ok = audit_each(state, STATE_POT, add_pot, &sum) &&
              audit_each(state, STATE_SUPPLY, take_supply, &sum);
    if (ok) {
        sum.problem = "value is not conserved: the pots are not what was minted less burned";
        ok = money_add(&held, out->balances, out->escrow) && money_add(&held, held, out->fees) &&
             money_sub(&issued, out->minted, out->burned) && money_compare(held, issued) == 0;
    }
    if (!ok) {
        snprintf(reason, AUDIT_PROBLEM_SIZE, "%s", sum.problem);
    }
    return ok;
}
