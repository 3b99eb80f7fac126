/* Batches of readings: salting, fingerprints, corrections, revealing (tools/meter_batch.h).
 *
 *   readings files -> sorted by interval and device -> meter signatures checked against the registry
 *   -> revision as the ledger says -> salts, root -> batch file -> one action per interval
 *
 * Invariants: the batch file is on disk before its root is sent; a reading whose signature doesn't
 * fit the registered meter key never gets into a batch; what is revealed has been checked to lead to
 * the root that the ledger holds, proven. A correction carries the other readings of its interval
 * over, since it supersedes the whole batch. */
#include "tools/meter_batch.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/nouns.h"
#include "tools/value.h"

enum { BATCH_ID_SIZE = 2 * NAME_SIZE + INT128_TEXT_SIZE + 4, STARTS_MAX = 100000 };

void meter_salt(uint8_t out[READING_SALT_SIZE], const uint8_t master[METER_SECRET_SIZE],
                const struct name *device, struct timestamp interval_start, uint32_t revision)
{
    uint8_t secret[METER_SECRET_SIZE];
    uint8_t text[NAME_SIZE + 8 + 4];
    struct byte_writer writer;
    byte_writer_init(&writer, text, sizeof text);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(interval_start) / MS_PER_DAY);
    crypto_generichash(secret, sizeof secret, text, writer.size, master, METER_SECRET_SIZE);
    byte_writer_init(&writer, text, sizeof text);
    byte_write_i64(&writer, timestamp_ms(interval_start));
    byte_write_u32(&writer, revision);
    crypto_generichash(out, READING_SALT_SIZE, text, writer.size, secret, sizeof secret);
    sodium_memzero(secret, sizeof secret);
}

int meter_master(struct cli *cli, uint8_t out[METER_SECRET_SIZE])
{
    char path[FILES_PATH_SIZE];
    char hex[2 * METER_SECRET_SIZE + 1];
    size_t size;
    if (!files_join(path, cli->home, "meter-master.key") || !files_make_directory(cli->home)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home, strerror(errno));
    }
    if (!files_exists(path)) {
        randombytes_buf(out, METER_SECRET_SIZE);
        hex_encode(hex, out, METER_SECRET_SIZE);
        bool made = files_create(path, hex, sizeof hex - 1, 0600);
        sodium_memzero(hex, sizeof hex);
        return made ? CLI_DONE
                    : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    char *text = files_read(path, sizeof hex, &size);
    bool ok = text != NULL && hex_decode(out, METER_SECRET_SIZE, text);
    if (text != NULL) {
        sodium_memzero(text, size);
    }
    free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "bad_file", "%s is damaged", path);
}

static int batch_path(struct cli *cli, char out[FILES_PATH_SIZE], const struct name *id,
                      struct timestamp start, uint32_t revision, bool make)
{
    char name[NAME_SIZE + 1];
    char folder[FILES_PATH_SIZE];
    name_to_text(name, id);
    int length = snprintf(folder, sizeof folder, "%s/batches/%s", cli->home, name);
    if (length < 0 || length > FILES_PATH_SIZE - 64 || (make && !files_make_directory(folder))) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home, strerror(errno));
    }
    length = snprintf(out, FILES_PATH_SIZE, "%s/%" PRId64 ".%u.json", folder, timestamp_ms(start),
                      revision);
    return length < FILES_PATH_SIZE ? CLI_DONE
                                    : cli_fail(cli, CLI_USAGE, "bad_path", "the path is too long");
}

static void batch_id_text(char out[BATCH_ID_SIZE], const struct name *meter_operator,
                          const struct name *id, struct timestamp start)
{
    char operator_text[NAME_SIZE + 1];
    char id_text[NAME_SIZE + 1];
    snprintf(out, BATCH_ID_SIZE, "%s/%s/%" PRId64, name_to_text(operator_text, meter_operator),
             name_to_text(id_text, id), timestamp_ms(start));
}

/* What the ledger holds for that interval; *absent if nothing. */
static int ledger_batch(struct session *session, const struct name *meter_operator,
                        const struct name *id, struct timestamp start, struct batch_record *record,
                        bool *absent)
{
    char text[BATCH_ID_SIZE];
    struct proof proof;
    batch_id_text(text, meter_operator, id, start);
    int status = session_record(session, "batch", text, record, absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    return status;
}

/* --- readings into batches ----------------------------------------------------------------- */

static int compare_readings(const void *a, const void *b)
{
    const struct meter_reading *left = a, *right = b;
    int order = timestamp_compare(left->interval_start, right->interval_start);
    return order != 0 ? order : name_compare(&left->device, &right->device);
}

static const struct cJSON *find_device(const struct cJSON *assets, const struct name *device)
{
    char name[NAME_SIZE + 1];
    name_to_text(name, device);
    const struct cJSON *item;
    cJSON_ArrayForEach(item, assets)
    {
        const char *id = json_string(item, "id");
        if (id != NULL && strcmp(id, name) == 0) {
            return item;
        }
    }
    return NULL;
}

/* No reading twice, every device known, every signature its meter's. */
static int check_readings(struct cli *cli, const struct cJSON *assets,
                          const struct meter_reading *readings, uint32_t count)
{
    const struct cJSON *device = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct public_key key;
        struct hash message;
        char name[NAME_SIZE + 1];
        char time[VALUE_TEXT_SIZE];
        name_to_text(name, &readings[i].device);
        value_time_text(time, timestamp_ms(readings[i].interval_start));
        if (i > 0 && compare_readings(&readings[i - 1], &readings[i]) == 0) {
            return cli_fail(cli, CLI_USAGE, "reading_twice", "%s at %s is there twice", name, time);
        }
        device = find_device(assets, &readings[i].device);
        const char *hex =
            json_string(device, readings[i].meter == METER_SUB ? "submeter_key" : "meter_key");
        if (hex == NULL || !hex_decode(key.bytes, PUBLIC_KEY_SIZE, hex)) {
            return cli_fail(cli, CLI_USAGE, "unknown_device", "no device is called %s", name);
        }
        meter_reading_message(&message, &readings[i]);
        if (!schnorr_verify(&readings[i].signature, &key, &message)) {
            return cli_fail(cli, CLI_USAGE, "bad_meter_signature",
                            "%s at %s is not signed by the device's meter", name, time);
        }
    }
    return CLI_DONE;
}

/* The batch of readings [0, count), all of one interval, merged over `before` (count 0 if none). */
static bool merge_entries(struct meter_batch_file *out, const struct meter_batch_file *before,
                          const struct meter_reading *readings, uint32_t count)
{
    out->entries = calloc((size_t)before->count + count, sizeof *out->entries);
    MUST(out->entries != NULL);
    uint32_t old = 0, fresh = 0;
    while (old < before->count || fresh < count) {
        int order = old == before->count ? 1
                    : fresh == count     ? -1
                                         : name_compare(&before->entries[old].reading.device,
                                                        &readings[fresh].device);
        out->entries[out->count++].reading =
            order < 0 ? before->entries[old].reading : readings[fresh];
        old += order <= 0;
        fresh += order >= 0;
    }
    return out->count <= REVEAL_BATCH_READINGS_MAX;
}

struct posting {
    struct cli *cli;
    struct session session;
    const struct meter_post *post;
    struct name meter_operator;
    uint8_t master[METER_SECRET_SIZE];
    struct meter_batch actions[METER_BATCHES_PER_TX];
    uint32_t action_count;
    uint64_t readings;
    uint64_t batches;
};

/* The previous revision's file, or an empty batch at revision 0. */
static int load_before(struct posting *posting, struct meter_batch_file *before,
                       struct timestamp start, uint32_t *revision)
{
    struct cli *cli = posting->cli;
    struct batch_record record;
    bool absent;
    char path[FILES_PATH_SIZE];
    memset(before, 0, sizeof *before);
    int status = ledger_batch(&posting->session, &posting->meter_operator, &posting->post->id,
                              start, &record, &absent);
    *revision = 0;
    if (status != CLI_DONE || absent) {
        return status;
    }
    if (posting->post->reason == NULL) {
        char time[VALUE_TEXT_SIZE];
        return cli_fail(cli, CLI_USAGE, "reason_missing",
                        "the batch of %s is posted already; a correction needs --reason",
                        value_time_text(time, timestamp_ms(start)));
    }
    *revision = record.revision + 1;
    status = batch_path(cli, path, &posting->post->id, start, record.revision, false);
    return status == CLI_DONE ? reveal_read_batch(cli, before, path) : status;
}

static int make_batch(struct posting *posting, const struct meter_reading *readings, uint32_t count)
{
    struct cli *cli = posting->cli;
    struct meter_batch_file before;
    struct meter_batch_file batch = {.meter_operator = posting->meter_operator,
                                     .id = posting->post->id,
                                     .interval_start = readings[0].interval_start,
                                     .interval = readings[0].interval};
    char path[FILES_PATH_SIZE];
    for (uint32_t i = 1; i < count; i++) {
        if (duration_ms(readings[i].interval) != duration_ms(batch.interval)) {
            return cli_fail(cli, CLI_USAGE, "bad_reading", "one interval has two lengths");
        }
    }
    int status = load_before(posting, &before, batch.interval_start, &batch.revision);
    if (status != CLI_DONE) {
        return status;
    }
    bool fits = merge_entries(&batch, &before, readings, count);
    reveal_batch_release(&before);
    for (uint32_t i = 0; i < batch.count; i++) {
        meter_salt(batch.entries[i].salt, posting->master, &batch.entries[i].reading.device,
                   batch.interval_start, batch.revision);
    }
    if (!fits || !reveal_batch_root(&batch.root, &batch)) {
        status = cli_fail(cli, CLI_USAGE, "bad_reading", "too many readings for one batch");
    }
    status = status == CLI_DONE
                 ? batch_path(cli, path, &batch.id, batch.interval_start, batch.revision, true)
                 : status;
    status = status == CLI_DONE && !cli->dry_run ? reveal_write_batch(cli, path, &batch) : status;
    if (status == CLI_DONE) {
        const char *reason = batch.revision > 0 ? posting->post->reason : "";
        posting->actions[posting->action_count++] = (struct meter_batch){
            .id = batch.id,
            .interval_start = batch.interval_start,
            .interval = batch.interval,
            .count = batch.count,
            .root = batch.root,
            .revision = batch.revision,
            .reason = bytes_view_of(reason, strlen(reason)),
        };
        posting->readings += batch.count;
        posting->batches++;
    }
    reveal_batch_release(&batch);
    return status;
}

static int send_actions(struct posting *posting)
{
    static struct submit submit;
    memset(&submit, 0, sizeof submit);
    submit.count = posting->action_count;
    for (uint32_t i = 0; i < submit.count; i++) {
        submit.actions[i].type = ACTION_METER_BATCH;
        submit.actions[i].record = &posting->actions[i];
    }
    posting->action_count = 0;
    /* Several transactions, one result: what the last one says about itself stays. */
    while (posting->cli->result->child != NULL) {
        cJSON_Delete(cJSON_DetachItemViaPointer(posting->cli->result, posting->cli->result->child));
    }
    return submit_run(posting->cli, &submit);
}

static int post_all(struct posting *posting, const struct meter_reading *readings, uint32_t count)
{
    int status = CLI_DONE;
    for (uint32_t first = 0; first < count && status == CLI_DONE;) {
        uint32_t end = first;
        while (end < count && timestamp_compare(readings[end].interval_start,
                                                readings[first].interval_start) == 0) {
            end++;
        }
        status = make_batch(posting, readings + first, end - first);
        first = end;
        if (status == CLI_DONE &&
            (posting->action_count == METER_BATCHES_PER_TX || first == count)) {
            status = send_actions(posting);
        }
    }
    return status;
}

static int prepare(struct posting *posting, const struct meter_reading *readings, uint32_t count)
{
    struct cJSON *assets = NULL;
    int status = session_open(&posting->session, posting->cli);
    if (status == CLI_DONE) {
        status = session_participant(&posting->session, &posting->meter_operator, NULL);
    }
    if (status == CLI_DONE) {
        status = session_list(&posting->session, &assets, "assets");
    }
    if (status == CLI_DONE) {
        status = check_readings(posting->cli, assets, readings, count);
    }
    cJSON_Delete(assets);
    return status == CLI_DONE ? meter_master(posting->cli, posting->master) : status;
}

int meter_batch_post(struct cli *cli, const struct meter_post *post)
{
    static struct posting posting;
    struct meter_reading *readings = NULL;
    uint32_t count = 0;
    int status = CLI_DONE;
    memset(&posting, 0, sizeof posting);
    posting.cli = cli;
    posting.post = post;
    for (size_t i = 0; i < post->file_count && status == CLI_DONE; i++) {
        status = reveal_read_readings(cli, &readings, &count, post->files[i]);
    }
    if (status == CLI_DONE && count == 0) {
        status = cli_fail(cli, CLI_USAGE, "no_readings", "there are no readings to post");
    }
    if (status == CLI_DONE) {
        qsort(readings, count, sizeof *readings, compare_readings);
        status = prepare(&posting, readings, count);
    }
    if (status == CLI_DONE) {
        status = post_all(&posting, readings, count);
    }
    session_close(&posting.session);
    sodium_memzero(posting.master, sizeof posting.master);
    free(readings);
    if (status == CLI_DONE) {
        json_add_u64(cli->result, "batches", posting.batches);
        json_add_u64(cli->result, "readings", posting.readings);
        cli_say(cli, "%" PRIu64 " batches with %" PRIu64 " readings\n", posting.batches,
                posting.readings);
    }
    return status;
}

/* --- revealing ----------------------------------------------------------------------------- */

static int compare_i64(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The starts of all intervals in [from, until) that have a batch file, sorted, each once. */
static int list_starts(struct cli *cli, const struct meter_reveal *reveal, int64_t **out,
                       size_t *count)
{
    char name[NAME_SIZE + 1];
    char folder[FILES_PATH_SIZE];
    int64_t *starts = calloc(STARTS_MAX, sizeof *starts);
    MUST(starts != NULL);
    snprintf(folder, sizeof folder, "%s/batches/%s", cli->home, name_to_text(name, &reveal->id));
    DIR *directory = opendir(folder);
    *out = starts;
    *count = 0;
    if (directory == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_batches", "%s: %s", folder, strerror(errno));
    }
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL && *count < STARTS_MAX) {
        char text[NAME_MAX + 1];
        int64_t start;
        snprintf(text, sizeof text, "%s", entry->d_name);
        text[strcspn(text, ".")] = '\0';
        if (int64_from_text(&start, text) && start >= reveal->from_ms && start < reveal->until_ms) {
            starts[(*count)++] = start;
        }
    }
    closedir(directory);
    qsort(starts, *count, sizeof *starts, compare_i64);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (kept == 0 || starts[kept - 1] != starts[i]) {
            starts[kept++] = starts[i];
        }
    }
    *count = kept;
    return CLI_DONE;
}

/* The device's reading of one interval; *found false if the batch doesn't hold it. */
static int reveal_one(struct session *session, struct revealed_reading *out, bool *found,
                      const struct meter_reveal *reveal, const struct name *meter_operator,
                      struct timestamp start)
{
    struct cli *cli = session->cli;
    struct batch_record record;
    struct meter_batch_file batch;
    char path[FILES_PATH_SIZE];
    bool absent;
    *found = false;
    int status = ledger_batch(session, meter_operator, &reveal->id, start, &record, &absent);
    if (status != CLI_DONE || absent) {
        return status;
    }
    status = batch_path(cli, path, &reveal->id, start, record.revision, false);
    status = status == CLI_DONE ? reveal_read_batch(cli, &batch, path) : status;
    if (status != CLI_DONE) {
        return status;
    }
    if (!hash_equal(&batch.root, &record.root)) {
        status = cli_fail(cli, CLI_UNPROVEN, "wrong_root",
                          "%s is not the batch whose root the ledger holds", path);
    }
    for (uint32_t i = 0; i < batch.count && status == CLI_DONE && !*found; i++) {
        if (name_compare(&batch.entries[i].reading.device, &reveal->device) == 0) {
            *found = true;
            if (!reveal_entry(out, &batch, i)) {
                status = cli_fail(cli, CLI_USAGE, "bad_file", "%s: the tree is too deep", path);
            }
        }
    }
    reveal_batch_release(&batch);
    return status;
}

int meter_batch_reveal(struct cli *cli, const struct meter_reveal *reveal)
{
    struct session session;
    struct name meter_operator;
    int64_t *starts = NULL;
    size_t start_count = 0;
    uint32_t count = 0;
    int status = list_starts(cli, reveal, &starts, &start_count);
    struct revealed_reading *readings = calloc(start_count + 1, sizeof *readings);
    MUST(readings != NULL);
    memset(&session, 0, sizeof session);
    if (status == CLI_DONE) {
        status = session_open(&session, cli);
    }
    if (status == CLI_DONE) {
        status = session_participant(&session, &meter_operator, NULL);
    }
    for (size_t i = 0; i < start_count && status == CLI_DONE; i++) {
        bool found;
        status = reveal_one(&session, &readings[count], &found, reveal, &meter_operator,
                            timestamp_of(starts[i]));
        count += status == CLI_DONE && found;
    }
    session_close(&session);
    if (status == CLI_DONE && count == 0) {
        status = cli_fail(cli, CLI_USAGE, "no_readings",
                          "no posted batch holds a reading of that device in that time");
    }
    if (status == CLI_DONE) {
        status = reveal_write(cli, reveal->out, &reveal->device, readings, count);
    }
    if (status == CLI_DONE) {
        json_add_u64(cli->result, "readings", count);
        cJSON_AddStringToObject(cli->result, "file", reveal->out);
        noun_say_result(cli);
    }
    free(readings);
    free(starts);
    return status;
}
