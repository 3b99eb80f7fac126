/* Files of forecasts and set-points (tools/plan_file.h; docs/spec/plans.md 1 and 2).
 *
 * Invariants: a file is on disk before the transaction that names its hash is sent; what is read back hashes
 * to what it says, or is refused; a salt is never overwritten.
 *
 * Deliberately absent: sending files. They go the way that their two ends have agreed on. */
#include "tools/plan_file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "contracts/records.h"
#include "tools/csv.h"
#include "tools/submit.h"

enum { VALUES_TEXT_MAX = 4 * 1024 * 1024, PROBLEM_SIZE = 160 };

static const struct {
    const char *format, *who, *action, *values, *kind;
} words[] = {
    [PLAN_FORECAST] = {"flexforecast/1", "publisher", "forecast", "values_wh", "forecast"},
    [PLAN_DISPATCH] = {"flexdispatch/1", "sender", "dispatch", "setpoints_wh", "dispatch"},
};

static const struct codec_record *codec_of(enum plan_kind kind)
{
    return kind == PLAN_FORECAST ? &forecast_publish_codec : &dispatch_send_codec;
}

static void *action_of(struct plan *plan)
{
    return plan->kind == PLAN_FORECAST ? (void *)&plan->forecast : (void *)&plan->dispatch;
}

static uint32_t count_of(const struct plan *plan)
{
    return plan->kind == PLAN_FORECAST ? plan->forecast.count : plan->dispatch.count;
}

static uint32_t count_max(enum plan_kind kind)
{
    return kind == PLAN_FORECAST ? FORECAST_VALUES_MAX : LIMIT_INTERVALS_PER_PERIOD;
}

/* --- values ----------------------------------------------------------------------------------- */

static int bad_values(struct cli *cli, const char *path, const char *why)
{
    return cli_fail(cli, CLI_USAGE, "bad_values", "%s: %s", path, why);
}

static int values_of_column(struct cli *cli, struct energy *values, uint32_t *count,
                            const char *path, const char *column, uint32_t most)
{
    struct csv_table table;
    char problem[CSV_PROBLEM_SIZE];
    uint32_t at;
    if (!csv_read(&table, path, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_values", "%s", problem);
    }
    bool good = csv_column(&at, &table, column, problem);
    if (good && table.rows > most) {
        good = false;
        snprintf(problem, sizeof problem, "%s: over %u values", table.name, most);
    }
    for (uint32_t row = 0; good && row < table.rows; row++) {
        int64_t value;
        good = csv_scaled(&value, &table, row, at, 0, problem);
        values[*count] = energy_of(good ? value : 0);
        (*count)++;
    }
    csv_free(&table);
    return good ? CLI_DONE : cli_fail(cli, CLI_USAGE, "bad_values", "%s", problem);
}

static int values_of_text(struct cli *cli, struct energy *values, uint32_t *count, const char *path,
                          uint32_t most)
{
    size_t size;
    char *text = files_read(path, VALUES_TEXT_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    char *at = text;
    int status = CLI_DONE;
    while (status == CLI_DONE) {
        at += strspn(at, " \t\r\n,;");
        if (*at == '#') {
            at += strcspn(at, "\n");
            continue;
        }
        if (*at == '\0') {
            break;
        }
        int64_t value;
        char *word = at;
        at += strcspn(at, " \t\r\n,;#");
        char end = *at;
        *at = '\0';
        if (*count == most) {
            status = bad_values(cli, path, "more numbers than may be");
        } else if (!int64_from_text(&value, word)) {
            status = cli_fail(cli, CLI_USAGE, "bad_values", "%s: '%.40s' is not a whole number",
                              path, word);
        } else {
            values[(*count)++] = energy_of(value);
        }
        *at = end;
    }
    free(text);
    return status;
}

static int read_values(struct cli *cli, struct energy **values, uint32_t *count, const char *path,
                       const char *column, uint32_t most)
{
    *count = 0;
    *values = calloc(most, sizeof **values);
    MUST(*values != NULL);
    int status = column != NULL ? values_of_column(cli, *values, count, path, column, most)
                                : values_of_text(cli, *values, count, path, most);
    if (status == CLI_DONE && *count == 0) {
        status = bad_values(cli, path, "it holds no numbers");
    }
    if (status != CLI_DONE) {
        free(*values);
        *values = NULL;
    }
    return status;
}

/* --- files ------------------------------------------------------------------------------------ */

static void compute_hash(struct hash *out, const struct plan *plan)
{
    if (plan->kind == PLAN_FORECAST) {
        forecast_hash(out, plan->salt, &plan->who, &plan->forecast, plan->values);
    } else {
        dispatch_hash(out, plan->salt, &plan->who, &plan->dispatch, plan->values);
    }
}

static void seal(struct plan *plan)
{
    randombytes_buf(plan->salt, sizeof plan->salt);
    compute_hash(plan->kind == PLAN_FORECAST ? &plan->forecast.values : &plan->dispatch.setpoints,
                 plan);
}

void plan_release(struct plan *plan)
{
    free(plan->values);
    plan->values = NULL;
}

static int write_file(struct cli *cli, const struct plan *plan, const char *path)
{
    struct plan copy = *plan;
    char hex[2 * HASH_SIZE + 1];
    char name[NAME_SIZE + 1];
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", words[plan->kind].format);
    hex_encode(hex, plan->chain.bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, "chain", hex);
    cJSON_AddStringToObject(object, words[plan->kind].who, name_to_text(name, &plan->who));
    cJSON_AddItemToObject(object, words[plan->kind].action,
                          codec_to_json(codec_of(plan->kind), action_of(&copy)));
    hex_encode(hex, plan->salt, PLAN_SALT_SIZE);
    cJSON_AddStringToObject(object, "salt", hex);
    struct cJSON *values = cJSON_AddArrayToObject(object, words[plan->kind].values);
    for (uint32_t i = 0; i < count_of(plan); i++) {
        char text[INT128_TEXT_SIZE];
        int128_to_text(text, energy_wh(plan->values[i]));
        cJSON_AddItemToArray(values, cJSON_CreateString(text));
    }
    char *text = cJSON_PrintUnformatted(object);
    MUST(text != NULL);
    cJSON_Delete(object);
    bool ok = files_create(path, text, strlen(text), 0600);
    int fault = errno;
    cJSON_free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

static int send_action(struct cli *cli, uint8_t action, const void *record, const char *path)
{
    int status = submit_one(cli, action, record);
    if (status == CLI_REFUSED && !cli->dry_run) {
        (void)remove(path);
    }
    return status;
}

static bool take_values(struct plan *plan, const struct cJSON *list)
{
    const struct cJSON *item;
    uint32_t count = 0;
    if (list == NULL || count_of(plan) == 0 || count_of(plan) > count_max(plan->kind) ||
        cJSON_GetArraySize(list) != (int)count_of(plan)) {
        return false;
    }
    plan->values = calloc(count_of(plan), sizeof *plan->values);
    MUST(plan->values != NULL);
    cJSON_ArrayForEach(item, list)
    {
        int64_t value;
        if (!cJSON_IsString(item) || !int64_from_text(&value, item->valuestring)) {
            return false;
        }
        plan->values[count++] = energy_of(value);
    }
    return true;
}

static const char *parse(struct plan *plan, const struct cJSON *object, char problem[PROBLEM_SIZE])
{
    const char *format = json_string(object, "format");
    const char *chain = json_string(object, "chain");
    const char *who = json_string(object, words[plan->kind].who);
    const char *salt = json_string(object, "salt");
    const struct cJSON *action = json_object(object, words[plan->kind].action);
    uint8_t nothing[1];
    struct byte_writer scratch;
    struct hash computed;
    byte_writer_init(&scratch, nothing, sizeof nothing);
    if (format == NULL || strcmp(format, words[plan->kind].format) != 0) {
        return "it is a file of another kind";
    }
    if (chain == NULL || !hex_decode(plan->chain.bytes, HASH_SIZE, chain) || who == NULL ||
        !name_from_text(&plan->who, who, strlen(who)) || salt == NULL ||
        !hex_decode(plan->salt, PLAN_SALT_SIZE, salt) || action == NULL) {
        return "a part is missing or malformed";
    }
    if (!codec_from_json(codec_of(plan->kind), action_of(plan), action, &scratch, problem,
                         PROBLEM_SIZE)) {
        return problem;
    }
    if (!take_values(plan, json_array(object, words[plan->kind].values))) {
        return "there are not as many whole numbers as it says";
    }
    compute_hash(&computed, plan);
    return hash_equal(&computed, plan->kind == PLAN_FORECAST ? &plan->forecast.values
                                                             : &plan->dispatch.setpoints)
               ? NULL
               : "its contents do not have the hash that it names";
}

int plan_read(struct cli *cli, struct plan *out, enum plan_kind kind, const char *path)
{
    char problem[PROBLEM_SIZE];
    *out = (struct plan){.kind = kind};
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    const char *why = parse(out, object, problem);
    cJSON_Delete(object);
    if (why != NULL) {
        plan_release(out);
        return cli_fail(cli, CLI_UNPROVEN, "bad_file", "%s: %s", path, why);
    }
    return CLI_DONE;
}

/* --- the ledger ------------------------------------------------------------------------------- */

void plan_id(char out[PLAN_ID_SIZE], const struct plan *plan, uint32_t number)
{
    char who[NAME_SIZE + 1];
    char what[NAME_SIZE + 1];
    int size;
    if (plan->kind == PLAN_FORECAST) {
        size = snprintf(out, PLAN_ID_SIZE, "%s/%s/%" PRId64 "/%" PRIu32,
                        name_to_text(who, &plan->who), name_to_text(what, &plan->forecast.series),
                        timestamp_ms(plan->forecast.start), number);
    } else {
        size = snprintf(out, PLAN_ID_SIZE, "%s/%" PRId64 "/%" PRIu32,
                        name_to_text(what, &plan->dispatch.device),
                        timestamp_ms(plan->dispatch.start), number);
    }
    MUST(size > 0 && size < PLAN_ID_SIZE);
}

/* Either record fits. */
union plan_record {
    struct forecast_record forecast;
    struct dispatch_record dispatch;
};

static int read_record(struct session *session, union plan_record *record, bool *absent,
                       const struct plan *plan, uint32_t number)
{
    struct proof proof = {0};
    char id[PLAN_ID_SIZE];
    plan_id(id, plan, number);
    int status = session_record(session, words[plan->kind].kind, id, record, absent, &proof);
    proof_release(&proof);
    return status;
}

/* They are numbered without gaps, so the first absent one is found by halving. */
static int next_number(struct session *session, uint32_t *number, const struct plan *plan)
{
    uint32_t low = 0;
    uint32_t high =
        plan->kind == PLAN_FORECAST ? (uint32_t)FORECAST_VERSIONS_MAX : DISPATCH_REVISIONS_MAX;
    const uint32_t end = high;
    while (low < high) {
        union plan_record record;
        bool absent;
        uint32_t middle = low + (high - low) / 2;
        int status = read_record(session, &record, &absent, plan, middle);
        if (status != CLI_DONE) {
            return status;
        }
        if (absent) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *number = low;
    return low < end ? CLI_DONE
                     : cli_fail(session->cli, CLI_REFUSED, "too_many",
                                "there are %u of it already, and no more may be", end);
}

static bool same_forecast(const struct plan *plan, const struct forecast_record *record)
{
    const struct forecast_publish *file = &plan->forecast;
    return hash_equal(&file->values, &record->values) && file->count == record->count &&
           file->kind == record->kind && name_compare(&file->place, &record->place) == 0 &&
           duration_ms(file->interval) == duration_ms(record->interval);
}

static bool same_dispatch(const struct plan *plan, const struct dispatch_record *record)
{
    const struct dispatch_send *file = &plan->dispatch;
    return hash_equal(&file->setpoints, &record->setpoints) && file->count == record->count &&
           file->deal == record->deal && name_compare(&plan->who, &record->sender) == 0 &&
           duration_ms(file->interval) == duration_ms(record->interval) &&
           timestamp_compare(file->deadline, record->deadline) == 0;
}

int plan_check(struct session *session, void *record, bool *superseded, const struct plan *plan)
{
    struct cli *cli = session->cli;
    union plan_record found;
    union plan_record newer;
    bool absent;
    char id[PLAN_ID_SIZE];
    bool forecast = plan->kind == PLAN_FORECAST;
    uint32_t number = forecast ? plan->forecast.version : plan->dispatch.revision;
    int status = session_trust(session);
    plan_id(id, plan, number);
    if (status == CLI_DONE && !hash_equal(&session->trust.genesis, &plan->chain)) {
        status = cli_fail(cli, CLI_UNPROVEN, "not_the_plan", "the file is of another ledger");
    }
    if (status == CLI_DONE) {
        status = read_record(session, &found, &absent, plan, number);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        return cli_fail(cli, CLI_REFUSED, "unknown_plan", "the ledger has no %s %s",
                        words[plan->kind].kind, id);
    }
    if (!(forecast ? same_forecast(plan, &found.forecast) : same_dispatch(plan, &found.dispatch))) {
        return cli_fail(cli, CLI_UNPROVEN, "not_the_plan",
                        "%s %s on the ledger is not what the file holds", words[plan->kind].kind,
                        id);
    }
    if (forecast) {
        *(struct forecast_record *)record = found.forecast;
    } else {
        *(struct dispatch_record *)record = found.dispatch;
    }
    status = read_record(session, &newer, &absent, plan, number + 1);
    *superseded = !absent;
    return status;
}

int plan_publish(struct cli *cli, struct plan *plan, const char *values, const char *column,
                 const char *out)
{
    const bool forecast = plan->kind == PLAN_FORECAST;
    uint32_t *number = forecast ? &plan->forecast.version : &plan->dispatch.revision;
    uint32_t *count = forecast ? &plan->forecast.count : &plan->dispatch.count;
    struct session session;
    char id[PLAN_ID_SIZE];
    int status = read_values(cli, &plan->values, count, values, column, count_max(plan->kind));
    if (status != CLI_DONE) {
        return status;
    }
    status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&session, &plan->who, NULL);
    }
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        plan->chain = session.trust.genesis;
        status = next_number(&session, number, plan);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        seal(plan);
        status = cli->dry_run ? CLI_DONE : write_file(cli, plan, out);
    }
    if (status == CLI_DONE) {
        plan_id(id, plan, *number);
        cJSON_AddStringToObject(cli->result, words[plan->kind].kind, id);
        cJSON_AddStringToObject(cli->result, "file", out);
        cli_say(cli, "%s %s, file %s\n", words[plan->kind].kind, id, out);
        status = forecast ? send_action(cli, ACTION_FORECAST_PUBLISH, &plan->forecast, out)
                          : send_action(cli, ACTION_DISPATCH_SEND, &plan->dispatch, out);
    }
    plan_release(plan);
    return status;
}
