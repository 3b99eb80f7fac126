/* Importing a registry of devices (tools/asset_import.h; docs/spec/plans.md 4).
 *
 * Invariants: nothing is sent before every row has been found good, the signature has been checked and the
 * ledger has been asked, with proofs, what it has already; a device that it has exactly so is skipped, so an
 * interrupted import goes on by the same command; one that it has otherwise is a fault.
 *
 * Deliberately absent: other people's devices. Who imports owns them; ownership moves by flex asset
 * transfer. */
#include "tools/asset_import.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/csv.h"
#include "tools/nouns.h"

enum column {
    COLUMN_ID,
    COLUMN_TYPE,
    COLUMN_MAX_POWER,
    COLUMN_CONNECTION,
    COLUMN_NODE,
    COLUMN_FEEDER,
    COLUMN_ZONE,
    COLUMN_METER_KEY,
    COLUMN_CAPACITY, /* from here on they may be missing */
    COLUMN_SUBMETER_KEY,
    COLUMN_ADDRESS_HASH
};
enum { COLUMN_COUNT = COLUMN_ADDRESS_HASH + 1 };
static const char *const column_names[COLUMN_COUNT] = {
    "id",   "type",      "max_power_w", "connection_w", "node",        "feeder",
    "zone", "meter_key", "capacity_wh", "submeter_key", "address_hash"};

struct reading {
    struct cli *cli;
    struct csv_table table;
    uint32_t at[COLUMN_COUNT];
    bool has[COLUMN_COUNT];
    uint32_t faults;
    struct cJSON *list;
};

static void fault(struct reading *reading, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fault(struct reading *reading, uint32_t line, const char *format, ...)
{
    char why[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (reading->faults++ >= IMPORT_FAULTS_SHOWN) {
        return;
    }
    fprintf(reading->cli->err, "%s:%u: %s\n", reading->table.name, line, why);
    struct cJSON *item = cJSON_CreateObject();
    json_add_u32(item, "line", line);
    cJSON_AddStringToObject(item, "reason", why);
    cJSON_AddItemToArray(reading->list, item);
}

/* --- columns ---------------------------------------------------------------------------------- */

static void find_columns(struct reading *reading)
{
    for (uint32_t i = 0; i < reading->table.columns; i++) {
        uint32_t c = 0;
        while (c < COLUMN_COUNT && strcmp(column_names[c], reading->table.header[i]) != 0) {
            c++;
        }
        if (c == COLUMN_COUNT) {
            fault(reading, 1, "there is no column '%.40s'", reading->table.header[i]);
        } else if (reading->has[c]) {
            fault(reading, 1, "column %s is there twice", column_names[c]);
        } else {
            reading->has[c] = true;
            reading->at[c] = i;
        }
    }
    for (uint32_t c = 0; c < COLUMN_CAPACITY; c++) {
        if (!reading->has[c]) {
            fault(reading, 1, "column %s is missing", column_names[c]);
        }
    }
}

/* The field, or "" where the column isn't there. */
static const char *field(const struct reading *reading, uint32_t row, enum column column)
{
    return reading->has[column] ? csv_field(&reading->table, row, reading->at[column]) : "";
}

static void take_name(struct reading *reading, struct name *out, uint32_t row, enum column column)
{
    const char *text = field(reading, row, column);
    if (!name_from_text(out, text, strlen(text))) {
        fault(reading, row + 2, "%s: '%.40s' is no name", column_names[column], text);
    }
}

static int64_t take_number(struct reading *reading, uint32_t row, enum column column, int64_t least)
{
    const char *text = field(reading, row, column);
    int64_t value = 0;
    if (text[0] == '\0' && column >= COLUMN_CAPACITY) {
        return 0;
    }
    if (!int64_from_text(&value, text) || value < least) {
        fault(reading, row + 2, "%s: '%.40s' is no whole number from %lld on", column_names[column],
              text, (long long)least);
    }
    return value;
}

static void take_hex(struct reading *reading, uint8_t out[32], uint32_t row, enum column column)
{
    const char *text = field(reading, row, column);
    memset(out, 0, 32);
    if ((text[0] != '\0' || column < COLUMN_CAPACITY) && !hex_decode(out, 32, text)) {
        fault(reading, row + 2, "%s: '%.20s' is not 64 lower-case hex digits", column_names[column],
              text);
    }
}

static void take_key(struct reading *reading, struct public_key *out, uint32_t row,
                     enum column column)
{
    static const struct public_key none;
    uint32_t before = reading->faults;
    take_hex(reading, out->bytes, row, column);
    bool absent = column >= COLUMN_CAPACITY && memcmp(out, &none, sizeof none) == 0;
    if (reading->faults == before && !absent && !schnorr_key_is_valid(out)) {
        fault(reading, row + 2, "%s: not a key", column_names[column]);
    }
}

static void take_row(struct reading *reading, struct import_row *out, uint32_t row)
{
    struct device_register *device = &out->device;
    const char *type = field(reading, row, COLUMN_TYPE);
    uint8_t index = 0;
    *out = (struct import_row){.line = row + 2};
    take_name(reading, &device->id, row, COLUMN_ID);
    while (index < 5 && strcmp(device_type_names[index], type) != 0) {
        index++;
    }
    if (index == 5) {
        fault(reading, out->line, "type: '%.40s' is none", type);
    }
    device->type = index;
    device->max_power = power_of(take_number(reading, row, COLUMN_MAX_POWER, 1));
    device->connection = power_of(take_number(reading, row, COLUMN_CONNECTION, 1));
    device->capacity = energy_of(take_number(reading, row, COLUMN_CAPACITY, 0));
    take_name(reading, &device->node, row, COLUMN_NODE);
    take_name(reading, &device->feeder, row, COLUMN_FEEDER);
    take_name(reading, &device->zone, row, COLUMN_ZONE);
    take_key(reading, &device->meter_key, row, COLUMN_METER_KEY);
    take_key(reading, &device->submeter_key, row, COLUMN_SUBMETER_KEY);
    take_hex(reading, device->address_hash.bytes, row, COLUMN_ADDRESS_HASH);
}

static int by_id(const void *a, const void *b)
{
    const struct import_row *const *left = a;
    const struct import_row *const *right = b;
    int order = name_compare(&(*left)->device.id, &(*right)->device.id);
    return order != 0 ? order : ((*left)->line > (*right)->line) - ((*left)->line < (*right)->line);
}

static void find_twice(struct reading *reading, const struct import_row *rows, uint32_t count)
{
    const struct import_row **sorted = calloc((size_t)count + 1, sizeof *sorted);
    MUST(sorted != NULL);
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = &rows[i];
    }
    qsort(sorted, count, sizeof *sorted, by_id);
    for (uint32_t i = 1; i < count; i++) {
        char name[NAME_SIZE + 1];
        if (name_compare(&sorted[i]->device.id, &sorted[i - 1]->device.id) == 0) {
            fault(reading, sorted[i]->line, "id: %s stands in line %u already",
                  name_to_text(name, &sorted[i]->device.id), sorted[i - 1]->line);
        }
    }
    free(sorted);
}

int asset_import_read(struct cli *cli, struct import_row **rows, uint32_t *count, const char *path)
{
    static struct reading reading;
    char problem[CSV_PROBLEM_SIZE];
    memset(&reading, 0, sizeof reading);
    reading.cli = cli;
    *rows = NULL;
    *count = 0;
    if (!csv_read(&reading.table, path, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_registry", "%s", problem);
    }
    reading.list = cJSON_AddArrayToObject(cli->result, "faults");
    find_columns(&reading);
    if (reading.table.rows == 0 || reading.table.rows > IMPORT_ROWS_MAX) {
        fault(&reading, 1, "1 to %d devices, not %u", IMPORT_ROWS_MAX, reading.table.rows);
    }
    if (reading.faults == 0) {
        *rows = calloc(reading.table.rows, sizeof **rows);
        MUST(*rows != NULL);
        for (; *count < reading.table.rows; (*count)++) {
            take_row(&reading, &(*rows)[*count], *count);
        }
        find_twice(&reading, *rows, *count);
    }
    csv_free(&reading.table);
    if (reading.faults == 0) {
        return CLI_DONE;
    }
    free(*rows);
    *rows = NULL;
    return cli_fail(cli, CLI_USAGE, "bad_registry", "%s: %u faults, nothing was sent", path,
                    reading.faults);
}

/* --- signatures ------------------------------------------------------------------------------- */

static int file_message(struct cli *cli, struct hash *out, const struct hash *genesis,
                        const char *path)
{
    struct hash_state state;
    size_t size;
    char *text = files_read(path, CSV_BYTES_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    hash_begin(&state, HASH_DOMAIN_FILE_SIGN);
    hash_update(&state, genesis->bytes, HASH_SIZE);
    hash_update(&state, text, size);
    hash_end(&state, out);
    free(text);
    return CLI_DONE;
}

int asset_sign_run(struct cli *cli, void *arguments)
{
    const struct asset_sign *wanted = arguments;
    struct session session;
    struct secret_key secret;
    struct public_key key;
    struct name who;
    struct hash message;
    struct signature signature;
    char hex[2 * SIGNATURE_SIZE + 1];
    char name[NAME_SIZE + 1];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&session, &who, NULL);
    }
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = file_message(cli, &message, &session.trust.genesis, wanted->file);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        status = session_secret_key(cli, &secret, &key);
    }
    if (status != CLI_DONE) {
        return status;
    }
    MUST(schnorr_sign(&signature, &secret, &message));
    secret_key_wipe(&secret);
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", "flexsignature/1");
    cJSON_AddStringToObject(object, "signer", name_to_text(name, &who));
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(object, "key", hex);
    hex_encode(hex, signature.bytes, SIGNATURE_SIZE);
    cJSON_AddStringToObject(object, "signature", hex);
    bool ok = files_write_json(wanted->out, object, 0644);
    int error = errno;
    noun_merge(cli->result, object);
    if (!ok) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->out, strerror(error));
    }
    noun_say_result(cli);
    return CLI_DONE;
}

/* By the named participant's key on the ledger, whatever the file says of itself. */
static int check_signature(struct session *session, const struct asset_import *wanted)
{
    struct cli *cli = session->cli;
    char problem[160];
    char name[NAME_SIZE + 1];
    struct participant_record signer;
    struct proof proof = {0};
    struct hash message;
    struct signature signature;
    bool absent = false;
    if (name_is_empty(&wanted->signer)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "--signature takes --signer");
    }
    struct cJSON *object = files_read_json(wanted->signature, problem);
    const char *format = object != NULL ? json_string(object, "format") : NULL;
    const char *hex = object != NULL ? json_string(object, "signature") : NULL;
    bool good = format != NULL && strcmp(format, "flexsignature/1") == 0 && hex != NULL &&
                hex_decode(signature.bytes, SIGNATURE_SIZE, hex);
    cJSON_Delete(object);
    if (!good) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s is not a signature", wanted->signature);
    }
    int status = session_record(session, "participant", name_to_text(name, &wanted->signer),
                                &signer, &absent, &proof);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        status = cli_fail(cli, CLI_REFUSED, "unknown_participant", "there is no %s", name);
    }
    if (status == CLI_DONE) {
        status = session_trust(session);
    }
    if (status == CLI_DONE) {
        status = file_message(cli, &message, &session->trust.genesis, wanted->file);
    }
    if (status == CLI_DONE && !schnorr_verify(&signature, &signer.key, &message)) {
        status = cli_fail(cli, CLI_UNPROVEN, "bad_signature",
                          "%s has not signed this file for this ledger", name);
    }
    return status;
}

/* --- the ledger ------------------------------------------------------------------------------- */

static bool is_registered_so(const struct device_record *record, const struct device_register *row,
                             const struct name *owner)
{
    return name_compare(&record->owner, owner) == 0 && record->type == row->type &&
           power_w(record->max_power) == power_w(row->max_power) &&
           energy_compare(record->capacity, row->capacity) == 0 &&
           power_w(record->connection) == power_w(row->connection) &&
           name_compare(&record->node, &row->node) == 0 &&
           name_compare(&record->feeder, &row->feeder) == 0 &&
           name_compare(&record->zone, &row->zone) == 0 &&
           public_key_compare(&record->meter_key, &row->meter_key) == 0 &&
           public_key_compare(&record->submeter_key, &row->submeter_key) == 0 &&
           hash_equal(&record->address_hash, &row->address_hash);
}

/* Leaves the rows that the ledger does not have yet, in their order. */
static int drop_registered(struct session *session, struct import_row *rows, uint32_t *count,
                           const char *path)
{
    struct cli *cli = session->cli;
    struct name owner;
    uint32_t kept = 0;
    uint32_t faults = 0;
    int status = session_participant(session, &owner, NULL);
    for (uint32_t i = 0; i < *count && status == CLI_DONE; i++) {
        struct device_record record;
        struct proof proof = {0};
        bool absent = false;
        char name[NAME_SIZE + 1];
        status = session_record(session, "asset", name_to_text(name, &rows[i].device.id), &record,
                                &absent, &proof);
        proof_release(&proof);
        if (status == CLI_DONE && absent) {
            rows[kept++] = rows[i];
        } else if (status == CLI_DONE && !is_registered_so(&record, &rows[i].device, &owner)) {
            faults++;
            fprintf(cli->err, "%s:%u: %s is on the ledger, otherwise than here\n", path,
                    rows[i].line, name);
        }
    }
    json_add_u32(cli->result, "skipped", *count - kept - faults);
    *count = kept;
    return status == CLI_DONE && faults > 0
               ? cli_fail(cli, CLI_REFUSED, "exists_already",
                          "%s: %u devices are on the ledger with other data; nothing was sent",
                          path, faults)
               : status;
}

/* One transaction: all of these rows, or none. Its outcome is one entry of `transactions`. */
static int send_rows(struct cli *cli, struct cJSON *transactions, const struct import_row *rows,
                     uint32_t count)
{
    static struct submit submit;
    struct cJSON *all = cli->result;
    memset(&submit, 0, sizeof submit);
    submit.count = count;
    for (uint32_t i = 0; i < count; i++) {
        submit.actions[i].type = ACTION_DEVICE_REGISTER;
        submit.actions[i].record = &rows[i].device;
    }
    cli->result = cJSON_CreateObject();
    json_add_u32(cli->result, "first_line", rows[0].line);
    json_add_u32(cli->result, "devices", count);
    int status = submit_run(cli, &submit);
    if (status != CLI_DONE) {
        /* What went wrong is the command's outcome. */
        noun_merge(all, cli->result);
    } else {
        cJSON_AddItemToArray(transactions, cli->result);
    }
    cli->result = all;
    return status;
}

int asset_import_run(struct cli *cli, void *arguments)
{
    const struct asset_import *wanted = arguments;
    struct session session;
    struct import_row *rows;
    uint32_t count, sent = 0;
    int status = asset_import_read(cli, &rows, &count, wanted->file);
    if (status != CLI_DONE) {
        return status;
    }
    json_add_u32(cli->result, "devices", count);
    status = session_open(&session, cli);
    if (status == CLI_DONE && (wanted->signature != NULL || !name_is_empty(&wanted->signer))) {
        status = wanted->signature != NULL
                     ? check_signature(&session, wanted)
                     : cli_fail(cli, CLI_USAGE, "bad_usage", "--signer takes --signature");
    }
    if (status == CLI_DONE) {
        status = drop_registered(&session, rows, &count, wanted->file);
    }
    session_close(&session);
    struct cJSON *transactions = cJSON_AddArrayToObject(cli->result, "transactions");
    while (status == CLI_DONE && !cli->dry_run && sent < count) {
        uint32_t now = count - sent < LIMIT_ACTIONS_PER_TX ? count - sent : LIMIT_ACTIONS_PER_TX;
        status = send_rows(cli, transactions, rows + sent, now);
        sent += status == CLI_DONE ? now : 0;
    }
    free(rows);
    json_add_u32(cli->result, "registered", sent);
    json_add_u32(cli->result, "to_register", count - sent);
    if (status == CLI_DONE) {
        cli_say(cli, cli->dry_run ? "%u devices would be registered\n" : "%u devices registered\n",
                cli->dry_run ? count : sent);
    } else if (sent > 0) {
        fprintf(cli->err, "flex: %u devices are registered; the same command goes on behind them\n",
                sent);
    }
    return status;
}
