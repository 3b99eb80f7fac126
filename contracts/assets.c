/* The device registry: ownership, management, prequalification, enrolment, and what a device has
 * sold already (MFX III.A; market-rules 2).
 *
 * 1. A device has one owner, and at most one manager, for one stretch of time; both took part in
 *    each change of either.
 * 2. A manager whose time is not over is replaced by nobody else. A transfer ends every delegation.
 * 3. A device's commitments of any quarter hour and direction never exceed its power, whatever the
 *    markets' time units: E Wh in a unit of 15, 30 or 60 minutes are E x 4, E x 2 or E x 1 watt in
 *    each quarter hour of it, exactly.
 * 4. All commitments of a device in one quarter hour are of units of one length, so that no energy can
 *    be proven once in an hour and once more in its quarters.
 * 5. Retired is for good.
 *
 * Deliberately absent: what happens to orders and deals of a device that changes hands. They belong
 * to whoever placed them, and their commitments stay until they end. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/alias.h"

/* --- looking devices up --------------------------------------------------------------------- */

static bool read_device(const struct contract_call *call, const struct name *id,
                        struct device_record *out)
{
    struct state_key key = state_key_name(STATE_DEVICE, id);
    return contract_read(call, &key, &device_record_codec, out);
}

static void write_device(const struct contract_call *call, const struct name *id,
                         const struct device_record *record)
{
    struct state_key key = state_key_name(STATE_DEVICE, id);
    contract_write(call, &key, &device_record_codec, record);
}

/* UNKNOWN_DEVICE, or SUSPENDED if it is retired. */
static enum contract_error require_device(const struct contract_call *call, const struct name *id,
                                          struct device_record *out)
{
    if (!read_device(call, id, out))
        return CONTRACT_UNKNOWN_DEVICE;
    return out->status == STATUS_RETIRED ? CONTRACT_SUSPENDED : CONTRACT_OK;
}

static enum contract_error require_own_device(const struct contract_call *call,
                                              const struct name *id, struct device_record *out)
{
    if (!read_device(call, id, out))
        return CONTRACT_UNKNOWN_DEVICE;
    if (name_compare(&out->owner, &call->sender) != 0)
        return CONTRACT_NOT_OWNER;
    return out->status == STATUS_RETIRED ? CONTRACT_SUSPENDED : CONTRACT_OK;
}

static bool is_after_now(const struct contract_call *call, struct timestamp time)
{
    return timestamp_compare(time, call->context->time) > 0;
}

/* Manager for all of [from, until). */
static bool is_managed_by(const struct name *participant, const struct device_record *device,
                          struct timestamp from, struct timestamp until)
{
    return name_compare(&device->manager, participant) == 0 &&
           timestamp_compare(device->managed_from, from) <= 0 &&
           timestamp_compare(until, device->managed_until) <= 0;
}

/* Owner, or that. */
static bool may_use(const struct name *participant, const struct device_record *device,
                    struct timestamp from, struct timestamp until)
{
    return name_compare(&device->owner, participant) == 0 ||
           is_managed_by(participant, device, from, until);
}

/* Without a manager over all of that time, the owner. */
static bool runs(const struct contract_call *call, const struct device_record *device,
                 struct timestamp from, struct timestamp until)
{
    bool managed =
        !name_is_empty(&device->manager) && is_managed_by(&device->manager, device, from, until);
    return name_compare(managed ? &device->manager : &device->owner, &call->sender) == 0;
}

enum contract_error assets_may_use_device(const struct contract_call *call,
                                          const struct name *device, struct timestamp from,
                                          struct timestamp until)
{
    struct device_record record;
    if (!read_device(call, device, &record))
        return CONTRACT_UNKNOWN_DEVICE;
    return may_use(&call->sender, &record, from, until) ? CONTRACT_OK : CONTRACT_NOT_YOURS_TO_OFFER;
}

enum contract_error assets_runs_device(const struct contract_call *call, const struct name *device,
                                       struct timestamp from, struct timestamp until)
{
    struct device_record record;
    if (!read_device(call, device, &record))
        return CONTRACT_UNKNOWN_DEVICE;
    return runs(call, &record, from, until) ? CONTRACT_OK : CONTRACT_NOT_YOURS_TO_OFFER;
}

/* --- registration --------------------------------------------------------------------------- */

static bool is_positive(struct power power)
{
    return power_w(power) > 0;
}

static enum contract_error register_apply(struct contract_call *call, const void *record)
{
    const struct device_register *action = record;
    struct device_record device;
    if (!is_positive(action->max_power) || !is_positive(action->connection))
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    /* From full export to full import is twice the connection: no device regulates by more. */
    if (energy_wh(action->capacity) < 0 ||
        power_w(action->max_power) > product_i128(power_w(action->connection), 2))
        return CONTRACT_BAD_PARAMETER;
    if (read_device(call, &action->id, &device))
        return CONTRACT_EXISTS_ALREADY;
    static const struct public_key none;
    bool submetered = !public_key_equal(&action->submeter_key, &none);
    if (!schnorr_key_is_valid(&action->meter_key) ||
        (submetered && (!schnorr_key_is_valid(&action->submeter_key) ||
                        public_key_equal(&action->submeter_key, &action->meter_key))))
        return CONTRACT_BAD_KEY;
    memset(&device, 0, sizeof device);
    device.owner = call->sender;
    device.type = action->type;
    device.max_power = action->max_power;
    device.capacity = action->capacity;
    device.connection = action->connection;
    device.node = action->node;
    device.feeder = action->feeder;
    device.zone = action->zone;
    device.meter_key = action->meter_key;
    device.submeter_key = action->submeter_key;
    device.address_hash = action->address_hash;
    device.status = STATUS_REGISTERED;
    write_device(call, &action->id, &device);
    return CONTRACT_OK;
}

static enum contract_error status_apply(struct contract_call *call, const void *record)
{
    const struct device_status *action = record;
    struct device_record device;
    if (action->status == STATUS_REGISTERED)
        return CONTRACT_BAD_PARAMETER;
    enum contract_error error;
    if (action->status == STATUS_RETIRED) {
        error = require_own_device(call, &action->device, &device);
    } else {
        if (!contract_has_role(call, ROLE_DSO))
            return CONTRACT_NOT_PERMITTED;
        error = require_device(call, &action->device, &device);
    }
    if (error != CONTRACT_OK)
        return error;
    if (action->status == device.status)
        return CONTRACT_BAD_PARAMETER;
    device.status = action->status;
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

/* --- management and ownership --------------------------------------------------------------- */

static void clear_pending_manager(struct device_record *device)
{
    memset(&device->pending_manager, 0, sizeof device->pending_manager);
    device->pending_from = timestamp_of(0);
    device->pending_until = timestamp_of(0);
}

static enum contract_error delegate_apply(struct contract_call *call, const void *record)
{
    const struct device_delegate *action = record;
    struct device_record device;
    struct participant_record manager;
    enum contract_error error = require_own_device(call, &action->device, &device);
    if (error != CONTRACT_OK)
        return error;
    if (alias_is(call, &action->device))
        return CONTRACT_NOT_PERMITTED;
    if (timestamp_compare(action->from, action->until) >= 0 ||
        name_compare(&action->manager, &call->sender) == 0)
        return CONTRACT_BAD_PARAMETER;
    if (!is_after_now(call, action->until))
        return CONTRACT_TOO_LATE;
    error = membership_require_active(call, &action->manager, &manager);
    if (error != CONTRACT_OK)
        return error;
    device.pending_manager = action->manager;
    device.pending_from = action->from;
    device.pending_until = action->until;
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

static enum contract_error delegate_accept_apply(struct contract_call *call, const void *record)
{
    const struct device_delegate_accept *action = record;
    struct device_record device;
    enum contract_error error = require_device(call, &action->device, &device);
    if (error != CONTRACT_OK)
        return error;
    if (name_compare(&device.pending_manager, &call->sender) != 0)
        return CONTRACT_NO_PENDING_REQUEST;
    if (!is_after_now(call, device.pending_until))
        return CONTRACT_TOO_LATE;
    if (!name_is_empty(&device.manager) && name_compare(&device.manager, &call->sender) != 0 &&
        is_after_now(call, device.managed_until))
        return CONTRACT_EXISTS_ALREADY;
    device.manager = device.pending_manager;
    device.managed_from = device.pending_from;
    device.managed_until = device.pending_until;
    clear_pending_manager(&device);
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

static enum contract_error transfer_apply(struct contract_call *call, const void *record)
{
    const struct device_transfer *action = record;
    struct device_record device;
    struct participant_record owner;
    enum contract_error error = require_own_device(call, &action->device, &device);
    if (error != CONTRACT_OK)
        return error;
    if (alias_is(call, &action->device))
        return CONTRACT_NOT_PERMITTED;
    if (name_compare(&action->new_owner, &call->sender) == 0)
        return CONTRACT_BAD_PARAMETER;
    error = membership_require_active(call, &action->new_owner, &owner);
    if (error != CONTRACT_OK)
        return error;
    device.pending_owner = action->new_owner;
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

static enum contract_error transfer_accept_apply(struct contract_call *call, const void *record)
{
    const struct device_transfer_accept *action = record;
    struct device_record device;
    enum contract_error error = require_device(call, &action->device, &device);
    if (error != CONTRACT_OK)
        return error;
    if (name_compare(&device.pending_owner, &call->sender) != 0)
        return CONTRACT_NO_PENDING_REQUEST;
    device.owner = device.pending_owner;
    memset(&device.pending_owner, 0, sizeof device.pending_owner);
    memset(&device.manager, 0, sizeof device.manager);
    device.managed_from = timestamp_of(0);
    device.managed_until = timestamp_of(0);
    clear_pending_manager(&device);
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

/* --- enrolment and the right to offer ------------------------------------------------------- */

static enum contract_error enrol_apply(struct contract_call *call, const void *record)
{
    const struct device_enrol *action = record;
    struct device_record device;
    struct market_record market;
    if (!read_device(call, &action->device, &device))
        return CONTRACT_UNKNOWN_DEVICE;
    struct timestamp now = call->context->time;
    struct timestamp next;
    if (!timestamp_add(&next, now, duration_of(1)) || !may_use(&call->sender, &device, now, next))
        return CONTRACT_NOT_YOURS_TO_OFFER;
    struct state_key market_key = state_key_name(STATE_MARKET, &action->market);
    if (!contract_read(call, &market_key, &market_record_codec, &market))
        return CONTRACT_UNKNOWN_MARKET;
    struct state_key key = state_key_pair(STATE_ENROLMENT, &action->device, &action->market);
    bool enrolled = contract_exists(call, &key);
    if (!action->enrolled) {
        if (!enrolled)
            return CONTRACT_NOT_ENROLLED;
        contract_remove(call, &key);
        return CONTRACT_OK;
    }
    if (device.status == STATUS_SUSPENDED || device.status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (market.state == MARKET_CLOSED)
        return CONTRACT_MARKET_NOT_OPEN;
    if (!market_covers(&market.terms, &device.zone))
        return CONTRACT_WRONG_ZONE;
    if (enrolled)
        return CONTRACT_EXISTS_ALREADY;
    struct enrolment_record enrolment = {.participant = call->sender};
    contract_write(call, &key, &enrolment_record_codec, &enrolment);
    return CONTRACT_OK;
}

static enum contract_error sheet_apply(struct contract_call *call, const void *record)
{
    const struct device_sheet *action = record;
    struct device_record device;
    if (!read_device(call, &action->device, &device))
        return CONTRACT_UNKNOWN_DEVICE;
    if (name_compare(&device.owner, &call->sender) != 0)
        return CONTRACT_NOT_OWNER;
    if (hash_is_zero(&action->address_hash))
        return CONTRACT_BAD_PARAMETER;
    if (device.status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    device.address_hash = action->address_hash;
    write_device(call, &action->device, &device);
    return CONTRACT_OK;
}

enum contract_error assets_right_to_offer(const struct contract_call *call,
                                          const struct name *device,
                                          const struct market_create *terms, struct timestamp from,
                                          struct timestamp until, struct device_record *out)
{
    return assets_right_of(call, &call->sender, device, terms, from, until, out);
}

enum contract_error assets_right_of(const struct contract_call *call,
                                    const struct name *participant, const struct name *device,
                                    const struct market_create *terms, struct timestamp from,
                                    struct timestamp until, struct device_record *out)
{
    MUST(timestamp_compare(from, until) < 0);
    if (!read_device(call, device, out))
        return CONTRACT_UNKNOWN_DEVICE;
    if (!may_use(participant, out, from, until))
        return CONTRACT_NOT_YOURS_TO_OFFER;
    /* An alias is its DSO's to keep and its manager's to offer. */
    if (!is_managed_by(participant, out, from, until) && !name_is_empty(&out->manager) &&
        alias_is(call, device))
        return CONTRACT_NOT_YOURS_TO_OFFER;
    if (out->status == STATUS_SUSPENDED || out->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (out->status != STATUS_ACTIVE)
        return CONTRACT_NOT_PREQUALIFIED;
    if (!market_covers(terms, &out->zone))
        return CONTRACT_WRONG_ZONE;
    struct enrolment_record enrolment;
    struct state_key key = state_key_pair(STATE_ENROLMENT, device, &terms->id);
    return contract_read(call, &key, &enrolment_record_codec, &enrolment) ? CONTRACT_OK
                                                                          : CONTRACT_NOT_ENROLLED;
}

/* --- commitments ---------------------------------------------------------------------------- */

/* The loop below is bounded by a period of the longest units. */
enum { SLOTS_PER_MTU_MAX = MS_PER_HOUR / COMMITMENT_SLOT_MS };

bool assets_mtu_is_supported(struct duration mtu)
{
    const int64_t slot = COMMITMENT_SLOT_MS;
    int64_t ms = duration_ms(mtu);
    return ms == slot || ms == 2 * slot || ms == 4 * slot;
}

/* What is about to be booked in every quarter hour of a period. */
struct booking {
    enum commitment_for purpose;
    const struct name *device;
    const struct device_record *record;
    enum direction direction;
    struct duration mtu;
    int64_t watts; /* more, or less, than stands there */
};

static bool is_limit(const struct booking *booking)
{
    return booking->purpose == COMMITMENT_LIMIT || booking->purpose == COMMITMENT_LIMIT_CALL;
}

/* Whether it takes what was reserved. */
static bool is_call(const struct booking *booking)
{
    return booking->purpose == COMMITMENT_CALL || booking->purpose == COMMITMENT_LIMIT_CALL;
}

/* Sold as regulation, which is measured against what the device would have done. */
static int64_t regulation_w(const struct commitment_record *commitment)
{
    return power_w(commitment->power) - power_w(commitment->reserved) -
           power_w(commitment->limited);
}

/* A limit speaks of the device's whole connection: beside one, nobody could tell what was regulated. And
 * all limits of a quarter hour lie within the connection, with the import that the device has asked for
 * in capacity markets. */
static enum contract_error limits_fit(const struct contract_call *call,
                                      const struct booking *booking, struct timestamp slot,
                                      const struct commitment_record *own,
                                      const struct commitment_record *opposite)
{
    int64_t limited;
    struct holding_record holding = {0};
    const struct state_key key =
        state_key_unit(STATE_HOLDING, booking->device, slot, (uint8_t)DIRECTION_DOWN);
    if (booking->watts <= 0 || booking->purpose == COMMITMENT_RESERVATION)
        return CONTRACT_OK;
    if (!checked_add_i64(&limited, power_w(own->limited), power_w(opposite->limited)))
        return CONTRACT_OVER_CONNECTION;
    if (limited > 0 && regulation_w(own) + regulation_w(opposite) > 0)
        return CONTRACT_OVER_DEVICE_POWER;
    if (!is_limit(booking))
        return CONTRACT_OK;
    if (limited > power_w(booking->record->connection))
        return CONTRACT_OVER_CONNECTION;
    bool holds = booking->direction == DIRECTION_UP &&
                 contract_read(call, &key, &holding_record_codec, &holding);
    return holds && power_w(own->limited) >
                        power_w(booking->record->connection) - power_w(holding.power)
               ? CONTRACT_OVER_CONNECTION
               : CONTRACT_OK;
}

/* What stands in the quarter hour afterwards. OVER_DEVICE_POWER if it is over the device's power, or
 * promised already in units of another length, in either direction: a proof reads units of one length,
 * and could not tell which of its watt-hours another length's proof has been paid for. */
static enum contract_error committed_after(const struct contract_call *call,
                                           const struct booking *booking, struct timestamp slot,
                                           const struct state_key *key,
                                           struct commitment_record *out)
{
    struct commitment_record other = {.mtu = booking->mtu};
    int64_t watts;
    const struct state_key opposite = state_key_unit(
        STATE_COMMITMENT, booking->device, slot,
        (uint8_t)(booking->direction == DIRECTION_UP ? DIRECTION_DOWN : DIRECTION_UP));
    if (booking->watts > 0 && contract_read(call, &opposite, &commitment_record_codec, &other) &&
        duration_ms(other.mtu) != duration_ms(booking->mtu))
        return CONTRACT_OVER_DEVICE_POWER;
    if (!contract_read(call, key, &commitment_record_codec, out))
        *out = (struct commitment_record){.mtu = booking->mtu};
    if (duration_ms(out->mtu) != duration_ms(booking->mtu))
        return CONTRACT_OVER_DEVICE_POWER;
    bool sells = !is_call(booking);
    if (!checked_add_i64(&watts, power_w(out->power), sells ? booking->watts : 0))
        return CONTRACT_OVER_DEVICE_POWER;
    out->power = power_of(watts);
    int64_t reserved = power_w(out->reserved);
    if (booking->purpose == COMMITMENT_RESERVATION)
        reserved += booking->watts;
    if (is_call(booking))
        reserved -= booking->watts;
    if (reserved < 0 && is_call(booking) && booking->watts > 0)
        return CONTRACT_OVER_RESERVATION;
    int64_t limited = power_w(out->limited) + (is_limit(booking) ? booking->watts : 0);
    if (sells && booking->watts > 0 && watts > power_w(booking->record->max_power))
        return CONTRACT_OVER_DEVICE_POWER;
    MUST((reserved >= 0 && limited >= 0 && reserved <= watts - limited) || call->view->fault);
    out->reserved = power_of(reserved);
    out->limited = power_of(limited);
    return limits_fit(call, booking, slot, out, &other);
}

/* What a quarter hour will hold. */
struct planned {
    struct timestamp start;
    struct commitment_record after;
};

enum contract_error assets_commit_for(const struct contract_call *call, enum commitment_for purpose,
                                      const struct name *device, const struct device_record *record,
                                      enum direction direction, struct timestamp from,
                                      struct duration mtu, uint32_t count, struct energy per_unit)
{
    MUST(assets_mtu_is_supported(mtu));
    MUST(count >= 1 && count <= LIMIT_INTERVALS_PER_PERIOD);
    MUST(timestamp_ms(from) >= 0 && timestamp_ms(from) % duration_ms(mtu) == 0);
    struct booking booking = {
        .purpose = purpose, .device = device, .record = record, .direction = direction, .mtu = mtu};
    if (!checked_mul_i64(&booking.watts, energy_wh(per_unit), MS_PER_HOUR / duration_ms(mtu)))
        return CONTRACT_OVER_DEVICE_POWER;
    uint32_t slots = count * (uint32_t)(duration_ms(mtu) / COMMITMENT_SLOT_MS);
    struct planned plan[LIMIT_INTERVALS_PER_PERIOD * SLOTS_PER_MTU_MAX];
    MUST(slots <= sizeof plan / sizeof plan[0]);
    /* First whether it fits everywhere, then the writes. */
    for (uint32_t i = 0; i < slots; i++) {
        if (!timestamp_add(&plan[i].start, from, duration_of((int64_t)i * COMMITMENT_SLOT_MS)))
            return CONTRACT_OVER_DEVICE_POWER;
        const struct state_key key =
            state_key_unit(STATE_COMMITMENT, device, plan[i].start, (uint8_t)direction);
        enum contract_error error =
            committed_after(call, &booking, plan[i].start, &key, &plan[i].after);
        if (error != CONTRACT_OK)
            return error;
        MUST(power_w(plan[i].after.power) >= 0 || call->view->fault);
    }
    for (uint32_t i = 0; i < slots; i++) {
        const struct state_key key =
            state_key_unit(STATE_COMMITMENT, device, plan[i].start, (uint8_t)direction);
        if (power_w(plan[i].after.power) > 0)
            contract_write(call, &key, &commitment_record_codec, &plan[i].after);
        else
            contract_remove(call, &key);
    }
    return CONTRACT_OK;
}

enum contract_error assets_commit(const struct contract_call *call, const struct name *device,
                                  const struct device_record *record, enum direction direction,
                                  struct timestamp from, struct duration mtu, uint32_t count,
                                  struct energy per_unit)
{
    return assets_commit_for(call, COMMITMENT_SALE, device, record, direction, from, mtu, count,
                             per_unit);
}

bool assets_was_activated(const struct contract_call *call, const struct name *device,
                          struct timestamp from, struct timestamp until)
{
    /* One entry per quarter hour and direction. */
    enum { ENTRIES_MAX = 7 * 96 * 2 };
    MUST(timestamp_ms(from) > 0 && timestamp_ms(from) % COMMITMENT_SLOT_MS == 0);
    struct state_key prefix = state_key_name(STATE_COMMITMENT, device);
    struct state_key end = state_key_unit(STATE_COMMITMENT, device, until, 0);
    struct state_key at =
        state_key_unit(STATE_COMMITMENT, device, timestamp_of(timestamp_ms(from) - 1), UINT8_MAX);
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        struct commitment_record commitment;
        struct bytes_view value;
        if (!contract_next(call, bytes_view_of(prefix.bytes, prefix.size),
                           bytes_view_of(at.bytes, at.size), &at, &value) ||
            memcmp(at.bytes, end.bytes, end.size) >= 0)
            return false;
        if (contract_read(call, &at, &commitment_record_codec, &commitment) &&
            power_w(commitment.power) > power_w(commitment.reserved))
            return true;
    }
    return false;
}

static const struct contract_method_entry methods[] = {
    {ACTION_DEVICE_REGISTER, register_apply},
    {ACTION_DEVICE_DELEGATE, delegate_apply},
    {ACTION_DEVICE_DELEGATE_ACCEPT, delegate_accept_apply},
    {ACTION_DEVICE_TRANSFER, transfer_apply},
    {ACTION_DEVICE_TRANSFER_ACCEPT, transfer_accept_apply},
    {ACTION_DEVICE_STATUS, status_apply},
    {ACTION_DEVICE_ENROL, enrol_apply},
    {ACTION_DEVICE_SHEET, sheet_apply},
};

const struct contract_module assets_module = {
    .name = "assets",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
