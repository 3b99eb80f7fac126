/* The genesis record: its encoding, its JSON form, and what makes sense in one.
 *
 * 1. The hash is over the canonical encoding; JSON is for people and never hashed (house rule 12).
 * 2. genesis_problem is the only judge: a genesis that passes it can be started, and ledger_genesis
 *    takes no other.
 *
 * Deliberately absent: writing the first state; that is ledger_genesis in ledger.c. */
#include "contracts/genesis.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/fatal.h"
#include "base/json.h"

static const struct codec_field genesis_participant_record_fields[] = {
    {.name = "id", .offset = offsetof(struct genesis_participant, id), .type = CODEC_NAME},
    {.name = "key",
     .offset = offsetof(struct genesis_participant, key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "roles",
     .offset = offsetof(struct genesis_participant, roles),
     .type = CODEC_FLAGS,
     .limit = ROLE_COUNT,
     .names = role_names},
};
static const struct codec_record genesis_participant_record = {
    .name = "participant",
    .struct_size = sizeof(struct genesis_participant),
    .fields = genesis_participant_record_fields,
    .field_count =
        sizeof genesis_participant_record_fields / sizeof genesis_participant_record_fields[0],
};

static const struct codec_field genesis_record_fields[] = {
    {.name = "chain", .offset = offsetof(struct genesis, chain), .type = CODEC_NAME},
    {.name = "time_ms", .offset = offsetof(struct genesis, time), .type = CODEC_I64},
    {.name = "simulated_time",
     .offset = offsetof(struct genesis, simulated_time),
     .type = CODEC_BOOL},
    {.name = "delta_ms", .offset = offsetof(struct genesis, delta_ms), .type = CODEC_U32},
    {.name = "block_interval_ms",
     .offset = offsetof(struct genesis, block_interval_ms),
     .type = CODEC_U32},
    {.name = "max_idle_ms", .offset = offsetof(struct genesis, max_idle_ms), .type = CODEC_U32},
    {.name = "exec_budget_ms",
     .offset = offsetof(struct genesis, exec_budget_ms),
     .type = CODEC_U32},
    {.name = "timeout_cap_ms",
     .offset = offsetof(struct genesis, timeout_cap_ms),
     .type = CODEC_U32},
    {.name = "backoff_permille",
     .offset = offsetof(struct genesis, backoff_permille),
     .type = CODEC_U32},
    {.name = "params",
     .offset = offsetof(struct genesis, params),
     .type = CODEC_RECORD,
     .record = &params_record_codec},
    {.name = "participants",
     .offset = offsetof(struct genesis, participants),
     .type = CODEC_ARRAY,
     .limit = GENESIS_PARTICIPANTS_MAX,
     .count_offset = offsetof(struct genesis, participant_count),
     .record = &genesis_participant_record},
};
const struct codec_record genesis_record = {
    .name = "genesis",
    .struct_size = sizeof(struct genesis),
    .fields = genesis_record_fields,
    .field_count = sizeof genesis_record_fields / sizeof genesis_record_fields[0],
};

enum {
    /* A fee of 1000 euro is a typing error; and 129 such fees stay far inside an int64. */
    FEE_UEUR_MAX = 1000000000,
    /* No network that this is made for needs a minute for one message. */
    TIMING_MS_MAX = 600000,
    BACKOFF_PERMILLE_MIN = 1000,
    BACKOFF_PERMILLE_MAX = 10000,
    TX_LIFETIME_MS_MAX = 7 * MS_PER_DAY
};

bool genesis_hash(struct hash *out, const struct genesis *genesis)
{
    uint8_t bytes[GENESIS_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&genesis_record, genesis, &writer);
    if (writer.failed)
        return false;
    hash_bytes(out, HASH_DOMAIN_GENESIS, bytes, writer.size);
    return true;
}

static bool fee_is_sane(struct money fee)
{
    return money_ueur(fee) >= 0 && money_ueur(fee) <= FEE_UEUR_MAX;
}

const char *genesis_params_problem(const struct params_record *params)
{
    if (!fee_is_sane(params->fee_per_tx) || !fee_is_sane(params->fee_per_action) ||
        !fee_is_sane(params->fee_per_deal))
        return "a fee is negative or over 1000 euro";
    if (duration_ms(params->fee_period) <= 0)
        return "fee_period_ms must be above zero";
    if (duration_ms(params->tx_lifetime) <= 0 ||
        duration_ms(params->tx_lifetime) > TX_LIFETIME_MS_MAX)
        return "tx_lifetime_ms must be above zero and at most seven days";
    if (params->validator_count < LIMIT_VALIDATORS_MIN ||
        params->validator_count > LIMIT_VALIDATORS)
        return "there must be 4 to 31 validators";
    for (uint32_t i = 1; i < params->validator_count; i++)
        if (public_key_compare(&params->validators[i - 1].key, &params->validators[i].key) >= 0)
            return "validators must be sorted by key, each key once";
    return NULL;
}

static const char *timing_problem(const struct genesis *genesis)
{
    const uint32_t spans[] = {genesis->delta_ms, genesis->block_interval_ms, genesis->max_idle_ms,
                              genesis->exec_budget_ms, genesis->timeout_cap_ms};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
        if (spans[i] == 0 || spans[i] > TIMING_MS_MAX)
            return "a consensus time is zero or over ten minutes";
    if (genesis->max_idle_ms < genesis->block_interval_ms)
        return "max_idle_ms must be at least block_interval_ms";
    if (genesis->timeout_cap_ms < genesis->delta_ms)
        return "timeout_cap_ms must be at least delta_ms";
    if (genesis->backoff_permille < BACKOFF_PERMILLE_MIN ||
        genesis->backoff_permille > BACKOFF_PERMILLE_MAX)
        return "backoff_permille must be 1000 to 10000";
    return NULL;
}

static bool knows_participant(const struct genesis *genesis, const struct name *id)
{
    for (uint32_t i = 0; i < genesis->participant_count; i++)
        if (name_compare(&genesis->participants[i].id, id) == 0)
            return true;
    return false;
}

static const char *participants_problem(const struct genesis *genesis)
{
    uint32_t roles = 0;
    if (genesis->participant_count > GENESIS_PARTICIPANTS_MAX)
        return "too many participants";
    for (uint32_t i = 0; i < genesis->participant_count; i++) {
        const struct genesis_participant *one = &genesis->participants[i];
        if (!name_is_valid(&one->id) || name_is_empty(&one->id))
            return "a participant's id is not a name";
        if (!schnorr_key_is_valid(&one->key))
            return "a participant's key is not a public key";
        if (one->roles == 0 || one->roles >= 1u << ROLE_COUNT)
            return "a participant has no role";
        for (uint32_t j = 0; j < i; j++) {
            if (name_compare(&genesis->participants[j].id, &one->id) == 0)
                return "two participants have the same id";
            if (public_key_equal(&genesis->participants[j].key, &one->key))
                return "two participants have the same key";
        }
        roles |= one->roles;
    }
    if ((roles & ROLE_MARKET_OPERATOR) == 0)
        return "there must be a market operator";
    if ((roles & ROLE_TREASURER) == 0)
        return "there must be a treasurer";
    for (uint32_t i = 0; i < genesis->params.validator_count; i++)
        if (!knows_participant(genesis, &genesis->params.validators[i].operator_name))
            return "a validator's operator is not a participant";
    return NULL;
}

const char *genesis_problem(const struct genesis *genesis)
{
    if (!name_is_valid(&genesis->chain) || name_is_empty(&genesis->chain))
        return "chain is not a name";
    if (timestamp_ms(genesis->time) <= 0)
        return "time_ms must be after 1970";
    if (genesis->simulated_time > 1)
        return "simulated_time must be true or false";
    const char *problem = timing_problem(genesis);
    if (problem == NULL)
        problem = genesis_params_problem(&genesis->params);
    if (problem == NULL)
        problem = participants_problem(genesis);
    return problem;
}

bool genesis_from_json(struct genesis *out, const char *text, size_t size, char problem[160])
{
    _Static_assert(JSON_PROBLEM_SIZE == 160, "the reader's reason fits the caller's buffer");
    struct cJSON *object = json_parse_strict(text, size, problem);
    if (object == NULL)
        return false;
    struct byte_writer scratch;
    uint8_t nothing[1];
    byte_writer_init(&scratch, nothing, 0);
    bool read = codec_from_json(&genesis_record, out, object, &scratch, problem, 160);
    cJSON_Delete(object);
    if (!read)
        return false;
    const char *fault = genesis_problem(out);
    if (fault != NULL)
        snprintf(problem, 160, "%s", fault);
    return fault == NULL;
}

struct cJSON *genesis_to_json(const struct genesis *genesis)
{
    return codec_to_json(&genesis_record, genesis);
}
