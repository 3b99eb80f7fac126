/* Schedules on disk (tools/schedule.h).
 *
 *   {"format":"flexschedule/1","device","period_start_ms","salt":HEX,"units_wh":["-500",...],
 *    "schedule_hash":HEX}
 *
 * Invariants: the file is written and synced before the offer that names its hash is sent; what is
 * read back hashes to what the ledger holds, or is refused. */
#include "tools/schedule.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"

enum { UNITS_TEXT_MAX = 64 * 1024, HEX_HASH_SIZE = 2 * HASH_SIZE + 1 };

/* Cuts the next number out of *at; false at the end. */
static bool next_word(char **at, char **word)
{
    for (;;) {
        *at += strspn(*at, " \t\r\n,;");
        if (**at != '#') {
            break;
        }
        *at += strcspn(*at, "\n");
    }
    if (**at == '\0') {
        return false;
    }
    *word = *at;
    *at += strcspn(*at, " \t\r\n,;#");
    return true;
}

int schedule_read_units(struct cli *cli, struct schedule *out, const char *path)
{
    size_t size;
    char *text = files_read(path, UNITS_TEXT_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    int status = CLI_DONE;
    char *at = text;
    char *word;
    out->count = 0;
    while (status == CLI_DONE && next_word(&at, &word)) {
        int64_t value;
        char end = *at;
        *at = '\0';
        if (out->count == LIMIT_INTERVALS_PER_PERIOD) {
            status = cli_fail(cli, CLI_USAGE, "bad_schedule", "%s: more than %d numbers", path,
                              LIMIT_INTERVALS_PER_PERIOD);
        } else if (!int64_from_text(&value, word)) {
            status = cli_fail(cli, CLI_USAGE, "bad_schedule", "%s: '%.40s' is not a whole number",
                              path, word);
        } else {
            out->units[out->count++] = energy_of(value);
        }
        *at = end;
    }
    if (status == CLI_DONE && out->count == 0) {
        status = cli_fail(cli, CLI_USAGE, "bad_schedule", "%s holds no numbers", path);
    }
    free(text);
    return status;
}

void schedule_compute_hash(struct hash *out, const struct schedule *schedule)
{
    schedule_hash(out, schedule->salt, &schedule->device, schedule->period_start, schedule->units,
                  schedule->count);
}

static int schedule_path(struct cli *cli, char out[FILES_PATH_SIZE], const char *hash, bool make)
{
    int length = snprintf(out, FILES_PATH_SIZE, "%s/schedules", cli->home);
    if (length < 0 || length >= FILES_PATH_SIZE - HEX_HASH_SIZE - 8 ||
        (make && !files_make_directory(out))) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s/schedules: %s", cli->home, strerror(errno));
    }
    snprintf(out + length, FILES_PATH_SIZE - (size_t)length, "/%s.json", hash);
    return CLI_DONE;
}

int schedule_keep(struct cli *cli, const struct schedule *schedule)
{
    char path[FILES_PATH_SIZE];
    char hex[HEX_HASH_SIZE];
    char name[NAME_SIZE + 1];
    struct hash hash;
    schedule_compute_hash(&hash, schedule);
    hex_encode(hex, hash.bytes, HASH_SIZE);
    int status = schedule_path(cli, path, hex, true);
    if (status != CLI_DONE) {
        return status;
    }
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", "flexschedule/1");
    cJSON_AddStringToObject(object, "device", name_to_text(name, &schedule->device));
    json_add_i64(object, "period_start_ms", timestamp_ms(schedule->period_start));
    cJSON_AddStringToObject(object, "schedule_hash", hex);
    hex_encode(hex, schedule->salt, SCHEDULE_SALT_SIZE);
    cJSON_AddStringToObject(object, "salt", hex);
    struct cJSON *units = cJSON_AddArrayToObject(object, "units_wh");
    for (uint32_t i = 0; i < schedule->count; i++) {
        char text[INT128_TEXT_SIZE];
        int128_to_text(text, energy_wh(schedule->units[i]));
        cJSON_AddItemToArray(units, cJSON_CreateString(text));
    }
    bool ok = files_write_json(path, object, 0600);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

static bool parse_schedule(struct schedule *out, const struct cJSON *object)
{
    const char *format = json_string(object, "format");
    const char *device = json_string(object, "device");
    const char *salt = json_string(object, "salt");
    const struct cJSON *units = json_array(object, "units_wh");
    int64_t start;
    if (format == NULL || strcmp(format, "flexschedule/1") != 0 || device == NULL || salt == NULL ||
        units == NULL || !name_from_text(&out->device, device, strlen(device)) ||
        !hex_decode(out->salt, SCHEDULE_SALT_SIZE, salt) ||
        !json_i64(&start, object, "period_start_ms")) {
        return false;
    }
    out->period_start = timestamp_of(start);
    out->count = 0;
    const struct cJSON *unit;
    cJSON_ArrayForEach(unit, units)
    {
        int64_t value;
        if (out->count == LIMIT_INTERVALS_PER_PERIOD || !cJSON_IsString(unit) ||
            !int64_from_text(&value, unit->valuestring)) {
            return false;
        }
        out->units[out->count++] = energy_of(value);
    }
    return true;
}

int schedule_find(struct cli *cli, struct schedule *out, const struct hash *hash, const char *path)
{
    char found[FILES_PATH_SIZE];
    char hex[HEX_HASH_SIZE];
    char problem[160];
    hex_encode(hex, hash->bytes, HASH_SIZE);
    if (path == NULL) {
        int status = schedule_path(cli, found, hex, false);
        if (status != CLI_DONE) {
            return status;
        }
        path = found;
    }
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL && path == found) {
        return cli_fail(cli, CLI_USAGE, "no_schedule",
                        "%s is not there or no JSON: the declared schedule and its salt are kept "
                        "by whoever offered; --schedule FILE takes theirs",
                        path);
    }
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_schedule", "%s", problem);
    }
    bool ok = parse_schedule(out, object);
    cJSON_Delete(object);
    struct hash computed = {{0}};
    if (ok) {
        schedule_compute_hash(&computed, out);
    }
    if (!ok || !hash_equal(&computed, hash)) {
        return cli_fail(cli, CLI_USAGE, "bad_schedule", "%s is not the schedule with the hash %s",
                        path, hex);
    }
    return CLI_DONE;
}
