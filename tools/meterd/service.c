/* The steps of the service (service.h): each opens what it needs and closes it again.
 *
 * Invariant: one process posts at a time (a lock on HOME/meterd/post.lock), since nonces are one
 * sequence; everything else may run beside it. */
#include "tools/meterd/service.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/reveal.h"

enum { GAPS_TOLD_MAX = 1000 };

static int fault(struct cli *cli, const char *problem)
{
    return cli_fail(cli, CLI_USAGE, "archive", "%s", problem);
}

/* A step that is taken again says what it did last. */
static void set_u64(struct cli *cli, const char *key, uint64_t value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(cli->result, key);
    json_add_u64(cli->result, key, value);
}

int service_ledger_time(struct cli *cli, struct timestamp *out)
{
    struct session session;
    struct cJSON *answer = NULL;
    int64_t now_ms;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/status");
    }
    if (status == CLI_DONE && !json_i64(&now_ms, answer, "time_ms")) {
        status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "the node's status has no time");
    }
    if (status == CLI_DONE) {
        *out = timestamp_of(now_ms);
    }
    cJSON_Delete(answer);
    session_close(&session);
    return status;
}

int service_registry(struct cli *cli, struct meter_archive *archive)
{
    struct session session;
    struct registry_report report;
    struct timestamp now;
    int status = service_ledger_time(cli, &now);
    if (status != CLI_DONE) {
        return status;
    }
    status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = registry_sync(archive, &session, now, &report);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        set_u64(cli, "devices", report.devices);
        set_u64(cli, "meters", report.meters);
        set_u64(cli, "changed", report.changed);
    }
    return status;
}

/* CSV, or a flexreadings/1 file, which is an object. */
static int ingest_any(struct cli *cli, struct meter_archive *archive, struct ingest_report *report,
                      const char *path, const struct ingest_options *options)
{
    struct meter_reading *readings = NULL;
    uint32_t count = 0;
    char problem[ARCHIVE_PROBLEM_SIZE];
    FILE *in = fopen(path, "rb");
    const int first = in != NULL ? fgetc(in) : EOF;
    if (in != NULL) {
        (void)fclose(in);
    }
    int status = CLI_DONE;
    bool ok = true;
    if (first == '{') {
        status = reveal_read_readings(cli, &readings, &count, path);
        ok =
            status != CLI_DONE || ingest_signed(archive, report, readings, count, options, problem);
        free(readings);
    } else {
        ok = ingest_file(archive, report, path, options, problem);
    }
    return ok ? status
              : cli_fail(cli, CLI_USAGE, report->archive_fault ? "archive" : "bad_file", "%s",
                         problem);
}

int service_ingest(struct cli *cli, struct meter_archive *archive, const char *path,
                   const struct ingest_options *options, struct ingest_sum *sum)
{
    static struct ingest_report report;
    report.archive_fault = false;
    int status = ingest_any(cli, archive, &report, path, options);
    sum->archive_fault = report.archive_fault;
    if (status != CLI_DONE) {
        return status;
    }
    struct cJSON *files = cJSON_GetObjectItemCaseSensitive(cli->result, "files");
    files = files != NULL ? files : cJSON_AddArrayToObject(cli->result, "files");
    struct cJSON *file = cJSON_CreateObject();
    MUST(files != NULL && file != NULL);
    cJSON_AddItemToArray(files, file);
    cJSON_AddStringToObject(file, "file", path);
    json_add_u64(file, "rows", report.rows);
    json_add_u64(file, "rolled_over", report.rolled_over);
    cli_say(cli, "%s: %" PRIu64 " rows\n", path, report.rows);
    for (int i = 0; i < INGEST_OUTCOME_COUNT; i++) {
        if (report.counts[i] > 0) {
            json_add_u64(file, ingest_outcome_names[i], report.counts[i]);
            cli_say(cli, "  %-20s %" PRIu64 "\n", ingest_outcome_names[i], report.counts[i]);
        }
        sum->refused += ingest_is_refusal((enum ingest_outcome)i) ? report.counts[i] : 0;
    }
    struct cJSON *problems = cJSON_AddArrayToObject(file, "refused");
    for (uint32_t i = 0; i < report.problem_count; i++) {
        struct cJSON *item = cJSON_CreateObject();
        json_add_u64(item, "line", report.problems[i].line);
        cJSON_AddStringToObject(item, "code", ingest_outcome_names[report.problems[i].outcome]);
        cJSON_AddItemToArray(problems, item);
        cli_say(cli, "  line %" PRIu64 ": %s\n", report.problems[i].line,
                ingest_outcome_names[report.problems[i].outcome]);
    }
    return CLI_DONE;
}

int service_commit(struct cli *cli, struct meter_archive *archive, struct timestamp now, bool all)
{
    struct commit_report report;
    char problem[ARCHIVE_PROBLEM_SIZE];
    if (!commit_due(archive, &report, now, all, problem)) {
        return fault(cli, problem);
    }
    set_u64(cli, "committed_batches", report.batches);
    set_u64(cli, "committed_readings", report.readings);
    set_u64(cli, "corrections", report.corrections);
    set_u64(cli, "waiting", report.waiting);
    set_u64(cli, "unsettled", report.unsettled);
    set_u64(cli, "revisions_exhausted", report.exhausted);
    return CLI_DONE;
}

/* The lock's descriptor; -1: another process has it. */
static int lock_posting(struct cli *cli, int *descriptor)
{
    char path[FILES_PATH_SIZE];
    if (!files_join(path, cli->home, "meterd/post.lock")) {
        return fault(cli, "the home directory's path is too long");
    }
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*descriptor < 0) {
        return fault(cli, strerror(errno));
    }
    if (flock(*descriptor, LOCK_EX | LOCK_NB) != 0) {
        close(*descriptor);
        *descriptor = -1;
    }
    return CLI_DONE;
}

/* What is posted under another's name would be looked for in vain. */
static int check_operator(struct cli *cli, const struct meter_archive *archive)
{
    struct session session;
    struct name sender;
    char wanted[NAME_SIZE + 1], found[NAME_SIZE + 1];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&session, &sender, NULL);
    }
    session_close(&session);
    if (status == CLI_DONE && name_compare(&sender, &archive->settings.meter_operator) != 0) {
        status = cli_fail(
            cli, CLI_USAGE, "other_operator", "the archive is %s's, the wallet's key is %s's",
            name_to_text(wanted, &archive->settings.meter_operator), name_to_text(found, &sender));
    }
    return status;
}

int service_post(struct cli *cli, struct meter_archive *archive, const struct secret_key *secret)
{
    struct poster poster = {.cli = cli, .archive = archive};
    int descriptor = -1;
    int status = lock_posting(cli, &descriptor);
    if (status == CLI_DONE && descriptor < 0) {
        cJSON_DeleteItemFromObjectCaseSensitive(cli->result, "posting_elsewhere");
        cJSON_AddBoolToObject(cli->result, "posting_elsewhere", true);
        return CLI_DONE;
    }
    if (status == CLI_DONE) {
        status = check_operator(cli, archive);
    }
    if (status == CLI_DONE && secret == NULL) {
        status = session_secret_key(cli, &poster.secret, &poster.key);
    } else if (status == CLI_DONE) {
        poster.secret = *secret;
        MUST(schnorr_public_key(&poster.key, secret));
    }
    if (status == CLI_DONE) {
        status = post_all(&poster);
    }
    secret_key_wipe(&poster.secret);
    if (descriptor >= 0) {
        close(descriptor);
    }
    set_u64(cli, "transactions", poster.report.transactions);
    set_u64(cli, "posted_batches", poster.report.final);
    set_u64(cli, "queued_again", poster.report.again);
    set_u64(cli, "refused_batches", poster.report.refused);
    set_u64(cli, "posted_bytes", poster.report.bytes);
    return status;
}

/* --- what is there ------------------------------------------------------------------------- */

struct census {
    uint64_t states[BATCH_STATE_COUNT];
};

static bool count_batch(void *context, struct bytes_view key, struct bytes_view value)
{
    struct census *census = context;
    (void)key;
    MUST(value.size > 0 && value.data[0] < BATCH_STATE_COUNT);
    census->states[value.data[0]]++;
    return true;
}

int service_status(struct cli *cli, struct meter_archive *archive)
{
    struct census census = {{0}};
    char name[NAME_SIZE + 1];
    struct meter_txn *txn = meter_txn_begin(archive->db, false);
    if (txn == NULL) {
        return fault(cli, "too many readers");
    }
    meter_walk(txn, METER_TABLE_BATCHES, bytes_view_of(NULL, 0), count_batch, &census);
    cJSON_AddStringToObject(cli->result, "meter_operator",
                            name_to_text(name, &archive->settings.meter_operator));
    cJSON_AddStringToObject(cli->result, "zone", meter_zone_names[archive->settings.zone]);
    set_u64(cli, "meters", meter_count(txn, METER_TABLE_NAMES));
    set_u64(cli, "groups", meter_count(txn, METER_TABLE_GROUPS));
    set_u64(cli, "readings", meter_count(txn, METER_TABLE_READINGS));
    set_u64(cli, "uncommitted_intervals", meter_count(txn, METER_TABLE_DIRTY));
    set_u64(cli, "queued_batches", meter_count(txn, METER_TABLE_QUEUE));
    set_u64(cli, "transactions_out", meter_count(txn, METER_TABLE_OUTBOX));
    for (int i = 0; i < BATCH_STATE_COUNT; i++) {
        char key[40];
        snprintf(key, sizeof key, "batches_%s", batch_state_names[i]);
        set_u64(cli, key, census.states[i]);
    }
    meter_txn_abort(txn);
    return CLI_DONE;
}

/* --- gaps ---------------------------------------------------------------------------------- */

struct gaps {
    const struct meter_archive *archive;
    struct meter_txn *txn;
    struct cJSON *items;
    const struct name *device;
    uint8_t meter;
    int64_t start_ms;
    int64_t length_ms;
    uint64_t meters;
    uint64_t missing;
    uint64_t erased;
    bool damaged;
};

static void tell_gap(struct gaps *gaps, const struct name *device, uint64_t missing, int64_t first)
{
    char name[NAME_SIZE + 1];
    if (cJSON_GetArraySize(gaps->items) < GAPS_TOLD_MAX) {
        struct cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "device", name_to_text(name, device));
        json_add_u64(item, "missing", missing);
        json_add_i64(item, "first_missing_ms", first);
        cJSON_AddItemToArray(gaps->items, item);
    }
}

static bool look_for_gaps(void *context, struct bytes_view key, struct bytes_view value)
{
    struct gaps *gaps = context;
    const int64_t interval_ms = duration_ms(gaps->archive->settings.interval);
    struct byte_reader reader;
    struct meter_place meter;
    uint64_t missing = 0;
    int64_t first = 0;
    (void)value;
    byte_reader_init(&reader, key.data, key.size);
    const uint32_t index = byte_read_u32(&reader);
    MUST(archive_place(gaps->txn, &meter, index));
    if (meter.meter != gaps->meter ||
        (gaps->device != NULL && name_compare(gaps->device, &meter.device) != 0)) {
        return true;
    }
    gaps->meters++;
    for (int64_t at = gaps->start_ms; at < gaps->start_ms + gaps->length_ms; at += interval_ms) {
        const struct reading_place place = {meter.group, index, timestamp_of(at)};
        struct stored_reading stored;
        switch (archive_reading(gaps->archive, gaps->txn, &stored, &place, NULL)) {
        case ARCHIVE_OK:
            break;
        case ARCHIVE_ABSENT:
            first = missing == 0 ? at : first;
            missing++;
            break;
        case ARCHIVE_ERASED:
            gaps->erased++;
            break;
        case ARCHIVE_FAULT:
            gaps->damaged = true;
            return false;
        }
    }
    if (missing > 0) {
        tell_gap(gaps, &meter.device, missing, first);
    }
    gaps->missing += missing;
    return true;
}

int service_gaps(struct cli *cli, struct meter_archive *archive, int64_t day,
                 const struct name *device, uint8_t meter)
{
    struct gaps gaps = {.archive = archive, .device = device, .meter = meter};
    zone_day(&gaps.start_ms, &gaps.length_ms, archive->settings.zone, day);
    gaps.txn = meter_txn_begin(archive->db, false);
    if (gaps.txn == NULL) {
        return fault(cli, "too many readers");
    }
    json_add_i64(cli->result, "start_ms", gaps.start_ms);
    json_add_i64(cli->result, "intervals",
                 gaps.length_ms / duration_ms(archive->settings.interval));
    gaps.items = cJSON_AddArrayToObject(cli->result, "items");
    meter_walk(gaps.txn, METER_TABLE_NAMES, bytes_view_of(NULL, 0), look_for_gaps, &gaps);
    meter_txn_abort(gaps.txn);
    if (gaps.damaged) {
        return fault(cli, "a stored reading is damaged");
    }
    json_add_u64(cli->result, "meters", gaps.meters);
    json_add_u64(cli->result, "missing", gaps.missing);
    cli_say(cli, "%" PRId64 " intervals, %" PRIu64 " meters, %" PRIu64 " readings missing\n",
            gaps.length_ms / duration_ms(archive->settings.interval), gaps.meters, gaps.missing);
    if (gaps.items->child != NULL) {
        cli_say_table(cli, gaps.items, "device missing first_missing_ms");
    }
    return CLI_DONE;
}
