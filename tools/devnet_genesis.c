/* The demonstration consortium: who takes part, what it costs, how fast the chain turns.
 *
 * A DSO, two competing aggregators and a market operator run the first four validators; more are run
 * by further operators. A regulator, a treasurer and a meter operator have wallets of their own.
 *
 * A spec file changes the draft; every key is optional:
 *   {"chain","time_ms","fee_per_tx_ueur","fee_per_action_ueur","fee_per_deal_ueur","fee_period_ms",
 *    "tx_lifetime_ms" (decimal strings), "delta_ms","block_interval_ms","max_idle_ms",
 *    "exec_budget_ms","timeout_cap_ms","backoff_permille" (numbers),
 *    "participants":[{"id","roles":["prosumer",...]}]}   further participants */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/json.h"
#include "tools/devnet.h"

struct founder {
    const char *id;
    uint32_t roles;
};

static const struct founder founders[] = {
    {"dso", ROLE_DSO},
    {"agg-a", ROLE_AGGREGATOR},
    {"agg-b", ROLE_AGGREGATOR},
    {"operator", ROLE_MARKET_OPERATOR},
};
static const struct founder others[] = {
    {"regulator", ROLE_REGULATOR},
    {"treasurer", ROLE_TREASURER},
    {"meters", ROLE_METER_OPERATOR},
};
enum { FOUNDERS = sizeof founders / sizeof founders[0] };

void devnet_operator_name(struct name *out, uint32_t index)
{
    char text[NAME_SIZE + 1];
    if (index < FOUNDERS) {
        snprintf(text, sizeof text, "%s", founders[index].id);
    } else {
        snprintf(text, sizeof text, "op-%u", index + 1);
    }
    memset(out, 0, sizeof *out);
    memcpy(out->text, text, strlen(text));
}

static bool add_participant(struct genesis *genesis, const char *id, uint32_t roles)
{
    if (genesis->participant_count == GENESIS_PARTICIPANTS_MAX) {
        return false;
    }
    struct genesis_participant *participant = &genesis->participants[genesis->participant_count];
    if (!name_from_text(&participant->id, id, strlen(id))) {
        return false;
    }
    participant->roles = roles;
    genesis->participant_count++;
    return true;
}

static bool read_roles(uint32_t *out, const struct cJSON *list)
{
    const struct cJSON *item;
    *out = 0;
    cJSON_ArrayForEach(item, list)
    {
        uint32_t i = 0;
        while (i < ROLE_COUNT &&
               (!cJSON_IsString(item) || strcmp(role_names[i], item->valuestring) != 0)) {
            i++;
        }
        if (i == ROLE_COUNT) {
            return false;
        }
        *out |= 1u << i;
    }
    return *out != 0;
}

static const char *spec_participants(struct genesis *genesis, const struct cJSON *object)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, json_array(object, "participants"))
    {
        const char *id = json_string(item, "id");
        uint32_t roles;
        if (id == NULL || !read_roles(&roles, json_array(item, "roles")) ||
            !add_participant(genesis, id, roles)) {
            return "a participant needs an id and roles, and there is room for 64";
        }
    }
    return NULL;
}

/* Absent is fine; of another type or out of range is not. */
static bool spec_i64(int64_t *out, const struct cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key) == NULL || json_i64(out, object, key);
}

static bool spec_u32(uint32_t *out, const struct cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key) == NULL || json_u32(out, object, key);
}

static const char *spec_numbers(struct genesis *genesis, const struct cJSON *object)
{
    struct params_record *params = &genesis->params;
    int64_t time = timestamp_ms(genesis->time);
    int64_t per_tx = money_ueur(params->fee_per_tx);
    int64_t per_action = money_ueur(params->fee_per_action);
    int64_t per_deal = money_ueur(params->fee_per_deal);
    int64_t period = duration_ms(params->fee_period);
    int64_t lifetime = duration_ms(params->tx_lifetime);
    if (!spec_i64(&time, object, "time_ms") || !spec_i64(&per_tx, object, "fee_per_tx_ueur") ||
        !spec_i64(&per_action, object, "fee_per_action_ueur") ||
        !spec_i64(&per_deal, object, "fee_per_deal_ueur") ||
        !spec_i64(&period, object, "fee_period_ms") ||
        !spec_i64(&lifetime, object, "tx_lifetime_ms")) {
        return "fees, times and spans are decimal strings";
    }
    genesis->time = timestamp_of(time);
    params->fee_per_tx = money_of(per_tx);
    params->fee_per_action = money_of(per_action);
    params->fee_per_deal = money_of(per_deal);
    params->fee_period = duration_of(period);
    params->tx_lifetime = duration_of(lifetime);
    bool ok = spec_u32(&genesis->delta_ms, object, "delta_ms") &&
              spec_u32(&genesis->block_interval_ms, object, "block_interval_ms") &&
              spec_u32(&genesis->max_idle_ms, object, "max_idle_ms") &&
              spec_u32(&genesis->exec_budget_ms, object, "exec_budget_ms") &&
              spec_u32(&genesis->timeout_cap_ms, object, "timeout_cap_ms") &&
              spec_u32(&genesis->backoff_permille, object, "backoff_permille");
    return ok ? NULL : "the consensus times are numbers";
}

static int apply_spec(struct cli *cli, struct genesis *genesis, const char *path)
{
    static const char *const keys[] = {"chain",
                                       "time_ms",
                                       "fee_per_tx_ueur",
                                       "fee_per_action_ueur",
                                       "fee_per_deal_ueur",
                                       "fee_period_ms",
                                       "tx_lifetime_ms",
                                       "delta_ms",
                                       "block_interval_ms",
                                       "max_idle_ms",
                                       "exec_budget_ms",
                                       "timeout_cap_ms",
                                       "backoff_permille",
                                       "participants",
                                       NULL};
    char problem[160];
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_spec", "%s", problem);
    }
    const char *why = NULL;
    const char *unknown = json_unknown_key(object, keys);
    const char *chain = json_string(object, "chain");
    if (unknown != NULL) {
        snprintf(problem, sizeof problem, "'%.60s' is no key of a spec", unknown);
        why = problem;
    } else if (chain != NULL && !name_from_text(&genesis->chain, chain, strlen(chain))) {
        why = "chain is not a name";
    }
    why = why != NULL ? why : spec_numbers(genesis, object);
    why = why != NULL ? why : spec_participants(genesis, object);
    int status = why == NULL ? CLI_DONE : cli_fail(cli, CLI_USAGE, "bad_spec", "%s: %s", path, why);
    cJSON_Delete(object);
    return status;
}

int devnet_genesis_draft(struct cli *cli, struct genesis *out, uint32_t validators,
                         const char *spec)
{
    memset(out, 0, sizeof *out);
    memcpy(out->chain.text, "devnet", sizeof "devnet" - 1);
    out->time = timestamp_of(devnet_real_ms());
    out->delta_ms = 200;
    out->block_interval_ms = 20;
    out->max_idle_ms = 1000;
    out->exec_budget_ms = 200;
    out->timeout_cap_ms = 5000;
    out->backoff_permille = 1300;
    out->params.fee_per_tx = money_of(1000);
    out->params.fee_per_action = money_of(1000);
    out->params.fee_per_deal = money_of(10000);
    out->params.fee_period = duration_of(MS_PER_DAY);
    out->params.tx_lifetime = duration_of(MS_PER_DAY);
    for (uint32_t i = 0; i < validators || i < FOUNDERS; i++) {
        struct name name;
        char text[NAME_SIZE + 1];
        devnet_operator_name(&name, i);
        add_participant(out, name_to_text(text, &name),
                        i < FOUNDERS ? founders[i].roles : ROLE_MARKET_OPERATOR);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        add_participant(out, others[i].id, others[i].roles);
    }
    return spec != NULL ? apply_spec(cli, out, spec) : CLI_DONE;
}
