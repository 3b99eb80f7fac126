/* Sums over a state that has been re-executed (tools/audit_verify.h): what was minted and burned, and
 * where all of it is now.
 *
 * Invariant: the sums are made from the pots and receipts themselves, by code that has no part in moving
 * money (tools/reserves.h), and must be what the supply record says (market-rules 3). */
#include <string.h>

#include "base/fatal.h"
#include "tools/audit_verify.h"
#include "tools/reserves.h"

_Static_assert((int)AUDIT_PROBLEM_SIZE >= (int)RESERVES_PROBLEM_SIZE, "a reason fits");

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
    struct reserves reserves;
    char *reason;
};

static bool take(void *context, const char *id, struct bytes_view key, struct bytes_view value)
{
    struct sum *sum = context;
    (void)id;
    return reserves_take(&sum->reserves, key, value, sum->reason);
}

bool audit_totals(struct audit_totals *out, const struct state_base *state,
                  char reason[AUDIT_PROBLEM_SIZE])
{
    struct sum sum = {.reason = reason};
    memset(out, 0, sizeof *out);
    snprintf(reason, AUDIT_PROBLEM_SIZE, "the state can't be read");
    static const enum state_kind kinds[] = {STATE_POT, STATE_ORDER, STATE_DEAL, STATE_SUPPLY,
                                            STATE_RECEIPT};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!audit_each(state, kinds[i], take, &sum)) {
            return false;
        }
    }
    if (!reserves_check(&sum.reserves, reason)) {
        return false;
    }
    const struct supply_record *supply = &sum.reserves.supply;
    out->minted = supply->minted;
    out->burned = supply->burned;
    out->balances = supply->held[POT_BALANCE];
    out->fees = supply->held[POT_FEES];
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        if (kind != POT_BALANCE && kind != POT_FEES) {
            MUST(money_add(&out->escrow, out->escrow, supply->held[kind]));
        }
    }
    return true;
}
