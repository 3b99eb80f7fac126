/* Participants: who may act, in which roles, under which key (MFX III.A; D2.3 4.2.4-4.2.5).
 *
 *            register              suspended
 *   (none) ------------> active <------------> suspended
 *                           |      active          |
 *                           +------> retired <-----+        for good
 *
 * 1. The participant records and the key index agree: every key that is in use leads to the one
 *    participant whose record holds it.
 * 2. A key is used by one participant, once. Rotated away or its owner retired, it stays in the
 *    index as nobody's, so that no later owner's lower nonce lets old transactions be replayed.
 * 3. A new key proves that somebody holds its secret, before it may sign.
 * 4. Names and nonces are never given out again either: records stay.
 * 5. Nobody changes their own status, so there always is an active market operator.
 *
 * A suspended participant's transactions are taken, pay, and fail (ledger.c): their nonces go on. A
 * retired one's are refused at the door, since its key is nobody's. Deliberately absent: approval by
 * vote (governance), and anything about money: a retired participant's balance stays where it is. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/module.h"

static bool read_participant(const struct contract_call *call, const struct name *id,
                             struct participant_record *out)
{
    struct state_key key = state_key_name(STATE_PARTICIPANT, id);
    return contract_read(call, &key, &participant_record_codec, out);
}

static void write_participant(const struct contract_call *call, const struct name *id,
                              const struct participant_record *record)
{
    struct state_key key = state_key_name(STATE_PARTICIPANT, id);
    contract_write(call, &key, &participant_record_codec, record);
}

/* `signs` false: it was `owner`'s, and is nobody's any more. */
static void write_key(const struct contract_call *call, const struct public_key *key,
                      const struct name *owner, bool signs)
{
    struct state_key index = state_key_hash(STATE_KEY, key->bytes);
    struct key_record record;
    memset(&record, 0, sizeof record);
    if (signs)
        record.participant = *owner;
    else
        record.former = *owner;
    contract_write(call, &index, &key_record_codec, &record);
}

static bool key_was_used(const struct contract_call *call, const struct public_key *key)
{
    struct state_key index = state_key_hash(STATE_KEY, key->bytes);
    return contract_exists(call, &index);
}

enum contract_error membership_require_active(const struct contract_call *call,
                                              const struct name *id, struct participant_record *out)
{
    if (!read_participant(call, id, out))
        return CONTRACT_UNKNOWN_PARTICIPANT;
    return out->status == STATUS_ACTIVE ? CONTRACT_OK : CONTRACT_SUSPENDED;
}

static enum contract_error register_apply(struct contract_call *call, const void *record)
{
    const struct participant_register *action = record;
    struct participant_record participant;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR))
        return CONTRACT_NOT_PERMITTED;
    if (action->roles == 0)
        return CONTRACT_BAD_PARAMETER;
    if (read_participant(call, &action->id, &participant) || key_was_used(call, &action->key))
        return CONTRACT_EXISTS_ALREADY;
    if (!schnorr_key_is_valid(&action->key))
        return CONTRACT_BAD_KEY;
    memset(&participant, 0, sizeof participant);
    participant.key = action->key;
    participant.roles = action->roles;
    participant.status = STATUS_ACTIVE;
    write_participant(call, &action->id, &participant);
    write_key(call, &action->key, &action->id, true);
    struct state_key key = state_key_pot(POT_BALANCE, &action->id, 0);
    struct pot_record pot = {.amount = money_of(0)};
    MUST(!contract_exists(call, &key));
    contract_write(call, &key, &pot_record_codec, &pot);
    return CONTRACT_OK;
}

static enum contract_error status_apply(struct contract_call *call, const void *record)
{
    const struct participant_status *action = record;
    struct participant_record participant;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR) ||
        name_compare(&action->id, &call->sender) == 0)
        return CONTRACT_NOT_PERMITTED;
    if (!read_participant(call, &action->id, &participant))
        return CONTRACT_UNKNOWN_PARTICIPANT;
    if (participant.status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (action->status == STATUS_REGISTERED || action->status == participant.status)
        return CONTRACT_BAD_PARAMETER;
    participant.status = action->status;
    write_participant(call, &action->id, &participant);
    if (action->status == STATUS_RETIRED)
        write_key(call, &participant.key, &action->id, false);
    return CONTRACT_OK;
}

void membership_key_proof_message(struct hash *out, const struct hash *genesis,
                                  const struct name *id, const struct public_key *new_key)
{
    struct hash_state state;
    hash_begin(&state, HASH_DOMAIN_KEY_PROOF);
    hash_update(&state, genesis->bytes, HASH_SIZE);
    hash_update(&state, id->text, NAME_SIZE);
    hash_update(&state, new_key->bytes, PUBLIC_KEY_SIZE);
    hash_end(&state, out);
}

static enum contract_error rotate_key_apply(struct contract_call *call, const void *record)
{
    const struct participant_rotate_key *action = record;
    struct participant_record participant;
    struct hash message;
    if (key_was_used(call, &action->new_key))
        return CONTRACT_EXISTS_ALREADY;
    membership_key_proof_message(&message, &call->context->genesis, &call->sender,
                                 &action->new_key);
    if (!schnorr_verify(&action->proof, &action->new_key, &message))
        return CONTRACT_BAD_KEY;
    enum contract_error error = membership_require_active(call, &call->sender, &participant);
    if (error != CONTRACT_OK)
        return error;
    write_key(call, &participant.key, &call->sender, false);
    write_key(call, &action->new_key, &call->sender, true);
    participant.key = action->new_key;
    write_participant(call, &call->sender, &participant);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_PARTICIPANT_REGISTER, register_apply},
    {ACTION_PARTICIPANT_STATUS, status_apply},
    {ACTION_PARTICIPANT_ROTATE_KEY, rotate_key_apply},
};

const struct contract_module membership_module = {
    .name = "membership",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
