/* Checks of openings against the ledger (tools/alias_ledger.h).
 *
 *   opening -> commitment, signature -> device and manager, proven -> other openings of the device
 *           -> what the device has sold under its own name, proven quarter hour by quarter hour
 *
 * Invariants: a registry's rule that an alias could get round is checked here on the device itself; a check
 * that could not be made is a failure and never a pass. */
#include "tools/alias_ledger.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"

enum { UNIT_ID_SIZE = NAME_SIZE + 2 * INT128_TEXT_SIZE };

static int read_named(struct session *session, const char *kind, const struct name *id,
                      void *record, bool *absent)
{
    char text[NAME_SIZE + 1];
    struct proof proof = {0};
    int status = session_record(session, kind, name_to_text(text, id), record, absent, &proof);
    proof_release(&proof);
    return status;
}

/* --- what stands on the ledger ---------------------------------------------------------------- */

/* Whether the device has anything booked under its own name in one quarter hour, either way. */
static int sold_at(struct session *session, const struct name *device, int64_t start_ms, bool *sold)
{
    for (int direction = 0; direction < 2; direction++) {
        struct commitment_record commitment;
        struct proof proof = {0};
        char name[NAME_SIZE + 1], id[UNIT_ID_SIZE];
        bool absent;
        snprintf(id, sizeof id, "%s/%" PRId64 "/%s", name_to_text(name, device), start_ms,
                 direction_names[direction]);
        int status = session_record(session, "commitment", id, &commitment, &absent, &proof);
        proof_release(&proof);
        if (status != CLI_DONE) {
            return status;
        }
        *sold = *sold || !absent;
    }
    return CLI_DONE;
}

static int sold_within(struct session *session, const struct alias_opening *opening, bool *sold)
{
    const int64_t slot = COMMITMENT_SLOT_MS;
    int64_t from = timestamp_ms(opening->issue.from);
    int64_t until = timestamp_ms(opening->issue.until);
    *sold = false;
    for (int64_t at = from - from % slot; at < until && !*sold; at += slot) {
        int status = sold_at(session, &opening->device, at, sold);
        if (status != CLI_DONE) {
            return status;
        }
    }
    return CLI_DONE;
}

/* The alias on the ledger is the one that the opening is of, figure by figure. */
static bool is_issued_as(const struct alias_issue *issue, const struct alias_record *alias,
                         const struct device_record *device)
{
    return name_compare(&alias->manager, &issue->manager) == 0 &&
           name_compare(&alias->market, &issue->market) == 0 &&
           timestamp_compare(alias->from, issue->from) == 0 &&
           timestamp_compare(alias->until, issue->until) == 0 &&
           hash_equal(&alias->commitment, &issue->commitment) &&
           name_compare(&device->manager, &issue->manager) == 0 &&
           power_w(device->max_power) == power_w(issue->max_power) &&
           energy_wh(device->capacity) == energy_wh(issue->capacity) &&
           power_w(device->connection) == power_w(issue->connection) &&
           name_compare(&device->feeder, &issue->feeder) == 0 &&
           name_compare(&device->zone, &issue->zone) == 0 &&
           public_key_equal(&device->meter_key, &issue->meter_key) &&
           public_key_equal(&device->submeter_key, &issue->submeter_key);
}

static int check_issued(struct session *session, const struct alias_issue *issue,
                        const char **problem)
{
    struct alias_record alias;
    struct device_record device;
    bool no_alias = false, no_device = false;
    int status = read_named(session, "alias", &issue->id, &alias, &no_alias);
    if (status == CLI_DONE && !no_alias) {
        status = read_named(session, "asset", &issue->id, &device, &no_device);
    }
    if (status == CLI_DONE) {
        *problem = no_alias || no_device                  ? "not_issued"
                   : is_issued_as(issue, &alias, &device) ? NULL
                                                          : "differs";
    }
    return status;
}

int alias_check(struct session *session, const struct alias_list *all,
                const struct alias_opening *opening, bool issued, const char **problem)
{
    struct device_record device;
    struct participant_record manager;
    struct alias_record itself;
    bool no_device, no_manager = false, is_device = true, sold = false;
    *problem = NULL;
    int status = read_named(session, "asset", &opening->device, &device, &no_device);
    if (status == CLI_DONE) {
        status = read_named(session, "alias", &opening->device, &itself, &is_device);
    }
    if (status == CLI_DONE) {
        status = read_named(session, "participant", &opening->issue.manager, &manager, &no_manager);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (no_device || !is_device || no_manager) {
        *problem = no_manager ? "unknown_manager" : "unknown_device";
        return CLI_DONE;
    }
    *problem = alias_problem(opening, &session->trust.genesis, &manager.key, &device);
    if (*problem == NULL && !issued &&
        (device.status == STATUS_SUSPENDED || device.status == STATUS_RETIRED)) {
        *problem = "not_usable";
    }
    for (uint32_t i = 0; i < all->count && *problem == NULL; i++) {
        *problem = alias_carves_twice(opening, &all->items[i]) ? "carved_twice" : NULL;
    }
    if (*problem == NULL && issued) {
        status = check_issued(session, &opening->issue, problem);
    }
    if (status == CLI_DONE && *problem == NULL) {
        status = sold_within(session, opening, &sold);
        *problem = sold ? "sold_twice" : NULL;
    }
    return status;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool is_name(const struct cJSON *item, const char *key, const struct name *name)
{
    char text[NAME_SIZE + 1];
    const char *found = json_string(item, key);
    return found != NULL && strcmp(found, name_to_text(text, name)) == 0;
}

int alias_crowd(struct session *session, const struct cJSON *assets,
                const struct alias_opening *opening, uint32_t *out)
{
    const struct alias_issue *issue = &opening->issue;
    const struct cJSON *item;
    *out = 0;
    cJSON_ArrayForEach(item, assets)
    {
        struct name id;
        struct alias_record alias;
        const char *text = json_string(item, "id");
        const char *type = json_string(item, "device_type");
        int64_t power;
        bool fits = text != NULL && name_from_text(&id, text, strlen(text)) && type != NULL &&
                    strcmp(type, device_type_names[issue->type]) == 0 &&
                    (is_name(item, "owner", &issue->manager) ||
                     is_name(item, "manager", &issue->manager)) &&
                    is_name(item, "zone", &issue->zone) &&
                    is_name(item, "feeder", &issue->feeder) &&
                    json_i64(&power, item, "max_power_w") && power >= power_w(issue->max_power);
        bool absent = true;
        int status = fits ? read_named(session, "alias", &id, &alias, &absent) : (int)CLI_DONE;
        if (status != CLI_DONE) {
            return status;
        }
        *out += fits && absent;
    }
    return CLI_DONE;
}

static bool is_of_device(const struct alias_list *all, const struct name *device,
                         const struct name *found)
{
    const struct alias_opening *opening = alias_find(all, found);
    return name_compare(found, device) == 0 ||
           (opening != NULL && name_compare(&opening->device, device) == 0);
}

int alias_activated_days(struct session *session, const struct alias_list *all,
                         const struct name *device, int64_t **days, uint32_t *count)
{
    struct cJSON *commitments = NULL;
    const struct cJSON *item;
    *days = NULL;
    *count = 0;
    int status = session_list(session, &commitments, "commitments");
    if (status != CLI_DONE) {
        return status;
    }
    *days = calloc((size_t)cJSON_GetArraySize(commitments) + 1, sizeof **days);
    MUST(*days != NULL);
    cJSON_ArrayForEach(item, commitments)
    {
        struct state_key key;
        struct name found;
        const char *id = json_string(item, "id");
        int64_t power, reserved;
        if (id == NULL || !state_key_from_text(&key, STATE_COMMITMENT, id) ||
            !json_i64(&power, item, "power_w") || !json_i64(&reserved, item, "reserved_w")) {
            status = cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                              "the node's list of commitments is not one");
            break;
        }
        memcpy(found.text, key.bytes + 1, NAME_SIZE);
        if (power > reserved && is_of_device(all, device, &found)) {
            struct byte_reader reader;
            byte_reader_init(&reader, key.bytes + 1 + NAME_SIZE, key.size - 1 - NAME_SIZE);
            (*days)[(*count)++] = byte_read_i64(&reader) / MS_PER_DAY;
        }
    }
    cJSON_Delete(commitments);
    return status;
}
