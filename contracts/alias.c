/* Issuing aliases of devices (market-rules 2 and 9, Privacy; MFX III.A; docs/spec/privacy.md 2).
 *
 * An alias is a device record of its own beside an alias record: the DSO that issued it owns it, the manager
 * manages it for exactly its validity, and it stands prequalified and enrolled. So the right to offer, what
 * is booked of its power, deals and proofs work on it as on any device, and know nothing of the device.
 *
 * 1. An alias can be offered by its manager within its validity alone, which no later action changes:
 *    an alias is neither delegated nor transferred (assets.c asks alias_is).
 * 2. A name is an alias or a device from the start and never becomes the other.
 *
 * Deliberately absent: whether the device exists, is the manager's, and has the power left. Whoever checked
 * that here would have to know the device; the DSO's tool checks it, and whoever is shown the openings can
 * check the DSO (tools/alias_audit.c). */
#include "contracts/alias.h"

#include "contracts/market.h"

bool alias_is(const struct contract_call *call, const struct name *device)
{
    struct state_key key = state_key_name(STATE_ALIAS, device);
    return contract_exists(call, &key);
}

static enum contract_error check_figures(const struct alias_issue *issue)
{
    static const struct public_key none;
    if (power_w(issue->max_power) <= 0 || power_w(issue->connection) <= 0) {
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    }
    /* As for a device (assets.c): from full export to full import is twice the connection. */
    if (energy_wh(issue->capacity) < 0 || hash_is_zero(&issue->commitment) ||
        power_w(issue->max_power) > product_i128(power_w(issue->connection), 2)) {
        return CONTRACT_BAD_PARAMETER;
    }
    bool submetered = !public_key_equal(&issue->submeter_key, &none);
    if (!schnorr_key_is_valid(&issue->meter_key) ||
        (submetered && (!schnorr_key_is_valid(&issue->submeter_key) ||
                        public_key_equal(&issue->submeter_key, &issue->meter_key)))) {
        return CONTRACT_BAD_KEY;
    }
    return CONTRACT_OK;
}

/* A validity that is long enough to hold many deals would be a pseudonym that links them. */
static enum contract_error check_validity(const struct contract_call *call,
                                          const struct alias_issue *issue)
{
    struct duration length;
    if (timestamp_ms(issue->from) < 0 || timestamp_compare(issue->from, issue->until) >= 0 ||
        !timestamp_until(&length, issue->from, issue->until) ||
        duration_ms(length) > limit_alias_ms) {
        return CONTRACT_BAD_PARAMETER;
    }
    return timestamp_compare(issue->until, call->context->time) > 0 ? CONTRACT_OK
                                                                    : CONTRACT_TOO_LATE;
}

static enum contract_error check_market(const struct contract_call *call,
                                        const struct alias_issue *issue)
{
    struct market_record market;
    struct state_key key = state_key_name(STATE_MARKET, &issue->market);
    if (!contract_read(call, &key, &market_record_codec, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (market.state == MARKET_CLOSED) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    return market_covers(&market.terms, &issue->zone) ? CONTRACT_OK : CONTRACT_WRONG_ZONE;
}

static void write_alias(const struct contract_call *call, const struct alias_issue *issue)
{
    const struct device_record device = {.owner = call->sender,
                                         .manager = issue->manager,
                                         .managed_from = issue->from,
                                         .managed_until = issue->until,
                                         .type = issue->type,
                                         .max_power = issue->max_power,
                                         .capacity = issue->capacity,
                                         .connection = issue->connection,
                                         .node = issue->node,
                                         .feeder = issue->feeder,
                                         .zone = issue->zone,
                                         .meter_key = issue->meter_key,
                                         .submeter_key = issue->submeter_key,
                                         .status = STATUS_ACTIVE};
    const struct alias_record alias = {.issuer = call->sender,
                                       .manager = issue->manager,
                                       .market = issue->market,
                                       .from = issue->from,
                                       .until = issue->until,
                                       .commitment = issue->commitment};
    const struct enrolment_record enrolment = {.participant = call->sender};
    struct state_key key = state_key_name(STATE_DEVICE, &issue->id);
    contract_write(call, &key, &device_record_codec, &device);
    key = state_key_name(STATE_ALIAS, &issue->id);
    contract_write(call, &key, &alias_record_codec, &alias);
    key = state_key_pair(STATE_ENROLMENT, &issue->id, &issue->market);
    contract_write(call, &key, &enrolment_record_codec, &enrolment);
}

static enum contract_error issue_apply(struct contract_call *call, const void *record)
{
    const struct alias_issue *issue = record;
    struct participant_record manager;
    if (!contract_has_role(call, ROLE_DSO)) {
        return CONTRACT_NOT_PERMITTED;
    }
    enum contract_error error = check_figures(issue);
    if (error == CONTRACT_OK) {
        error = check_validity(call, issue);
    }
    struct state_key key = state_key_name(STATE_DEVICE, &issue->id);
    if (error == CONTRACT_OK && contract_exists(call, &key)) {
        error = CONTRACT_EXISTS_ALREADY;
    }
    if (error == CONTRACT_OK) {
        error = membership_require_active(call, &issue->manager, &manager);
    }
    if (error == CONTRACT_OK) {
        error = check_market(call, issue);
    }
    if (error == CONTRACT_OK) {
        write_alias(call, issue);
    }
    return error;
}

static const struct contract_method_entry methods[] = {
    {ACTION_ALIAS_ISSUE, issue_apply},
};

const struct contract_module alias_module = {
    .name = "alias",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
