/* The commands of flexmeterd: init, registry, ingest, commit, gaps, export, reveal, erase, status, serve.
 *
 * Each opens the archive, does one thing and ends; `serve` does all of them in turn, and answers over
 * HTTP meanwhile (serve.c). Several may run at once: the database has one writer at a time, and posting
 * holds a lock of its own. */
#include "tools/meterd/commands.h"

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
#include "tools/meterd/disclose.h"
#include "tools/meterd/service.h"
#include "tools/nouns.h"
#include "tools/reveal.h"

static int fault(struct cli *cli, const char *problem)
{
    return cli_fail(cli, CLI_USAGE, "archive", "%s", problem);
}

static int open_archive(struct cli *cli, struct meter_archive *archive)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    return archive_open(archive, cli->home, NULL, problem) ? CLI_DONE : fault(cli, problem);
}

/* --- init ---------------------------------------------------------------------------------- */

struct init {
    struct name prefix;
    int64_t interval_ms;
    uint32_t group_size;
    uint8_t zone;
    int64_t register_modulus_wh;
    int64_t grace_ms;
    struct name meter_operator;
};

static const struct cli_option init_options[] = {
    {"prefix", CLI_NAME, offsetof(struct init, prefix),
     "how batch ids begin, at most 16 characters", CLI_REQUIRED, "m", NULL, 0},
    {"operator", CLI_NAME, offsetof(struct init, meter_operator),
     "the meter operator's name, if not that of the wallet's key", CLI_OPTIONAL, NULL, NULL, 0},
    {"interval", CLI_DURATION, offsetof(struct init, interval_ms), "length of all intervals",
     CLI_REQUIRED, "15m", NULL, 0},
    {"group-size", CLI_U32, offsetof(struct init, group_size), "meters per batch, 2 to 65536",
     CLI_REQUIRED, "1024", NULL, 0},
    {"zone", CLI_CHOICE, offsetof(struct init, zone), "of times in files that name none",
     CLI_REQUIRED, "utc", meter_zone_names, ZONE_COUNT},
    {"register-modulus-wh", CLI_I64, offsetof(struct init, register_modulus_wh),
     "where registers begin again at zero (0: nowhere)", CLI_REQUIRED, "0", NULL, 0},
    {"grace", CLI_DURATION, offsetof(struct init, grace_ms),
     "how long an interval waits for its last meters", CLI_REQUIRED, "1h", NULL, 0},
};

static int check_init(struct cli *cli, const struct init *wanted)
{
    char prefix[NAME_SIZE + 1];
    if (strlen(name_to_text(prefix, &wanted->prefix)) > ARCHIVE_PREFIX_MAX) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--prefix has at most %d characters",
                        ARCHIVE_PREFIX_MAX);
    }
    if (wanted->group_size < 2 || wanted->group_size > 65536) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--group-size is 2 to 65536");
    }
    if (wanted->interval_ms < 60000 || MS_PER_DAY % wanted->interval_ms != 0) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--interval is a part of a day, 1m at least");
    }
    if (wanted->register_modulus_wh < 0 || wanted->grace_ms > limit_meter_batch_ms / 2) {
        return cli_fail(cli, CLI_USAGE, "bad_value",
                        "--register-modulus-wh is not negative, --grace at most 30 days");
    }
    return CLI_DONE;
}

static int run_init(struct cli *cli, void *arguments)
{
    const struct init *wanted = arguments;
    struct meter_settings settings = {.meter_operator = wanted->meter_operator,
                                      .prefix = wanted->prefix,
                                      .interval = duration_of(wanted->interval_ms),
                                      .group_size = wanted->group_size,
                                      .zone = (enum meter_zone)wanted->zone,
                                      .register_modulus = energy_of(wanted->register_modulus_wh),
                                      .grace = duration_of(wanted->grace_ms)};
    struct meter_archive archive;
    struct session session;
    char problem[ARCHIVE_PROBLEM_SIZE], name[NAME_SIZE + 1];
    int status = check_init(cli, wanted);
    if (status != CLI_DONE) {
        return status;
    }
    if (name_is_empty(&settings.meter_operator)) {
        status = session_open(&session, cli);
        status = status == CLI_DONE ? session_participant(&session, &settings.meter_operator, NULL)
                                    : status;
        session_close(&session);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (!archive_open(&archive, cli->home, &settings, problem)) {
        return fault(cli, problem);
    }
    archive_close(&archive);
    cJSON_AddStringToObject(cli->result, "meter_operator",
                            name_to_text(name, &settings.meter_operator));
    noun_say_result(cli);
    return CLI_DONE;
}

/* --- registry ------------------------------------------------------------------------------ */

static int run_registry(struct cli *cli, void *arguments)
{
    struct meter_archive archive;
    (void)arguments;
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE) {
        status = service_registry(cli, &archive);
        archive_close(&archive);
    }
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

/* --- ingest -------------------------------------------------------------------------------- */

struct ingest {
    const char *correction;
    const char *keys;
    int64_t now_ms;
    uint32_t threads;
    bool new_group;
};

static const struct cli_option ingest_options[] = {
    {"correction", CLI_TEXT, offsetof(struct ingest, correction),
     "readings that differ from those that are there replace them, for this reason", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"keys", CLI_DIR, offsetof(struct ingest, keys),
     "sign what has no signature with DEVICE.meter or DEVICE.sub.meter of this directory",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"now", CLI_TIME, offsetof(struct ingest, now_ms),
     "take this for the time (else the node is asked)", CLI_OPTIONAL, NULL, NULL, 0},
    {"threads", CLI_U32, offsetof(struct ingest, threads), "that verify signatures", CLI_REQUIRED,
     "2", NULL, 0},
    {"new-group", CLI_SWITCH, offsetof(struct ingest, new_group),
     "meters that are new begin a group of their own", CLI_OPTIONAL, NULL, NULL, 0},
};

static int run_ingest(struct cli *cli, void *arguments)
{
    const struct ingest *wanted = arguments;
    struct meter_archive archive;
    struct ingest_options options = {.correction = wanted->correction,
                                     .keys = wanted->keys,
                                     .now = timestamp_of(wanted->now_ms),
                                     .threads = wanted->threads,
                                     .new_group = wanted->new_group};
    if (options.threads < 1 || options.threads > INGEST_THREADS_MAX) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--threads is 1 to %d", INGEST_THREADS_MAX);
    }
    if (options.correction != NULL && strlen(options.correction) > METER_BATCH_REASON_MAX) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--correction has at most %d characters",
                        METER_BATCH_REASON_MAX);
    }
    int status = open_archive(cli, &archive);
    if (status != CLI_DONE) {
        return status;
    }
    if (wanted->now_ms == 0) {
        status = service_ledger_time(cli, &options.now);
    }
    struct ingest_sum sum = {0};
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        status = service_ingest(cli, &archive, cli->words[i], &options, &sum);
    }
    archive_close(&archive);
    if (status == CLI_DONE && sum.refused > 0) {
        status = cli_fail(cli, CLI_REFUSED, "rows_refused", "%" PRIu64 " rows were refused",
                          sum.refused);
    }
    return status;
}

/* --- commit -------------------------------------------------------------------------------- */

struct commit {
    bool all;
    bool keep;
    int64_t now_ms;
};

static const struct cli_option commit_options[] = {
    {"all", CLI_SWITCH, offsetof(struct commit, all), "do not wait for missing meters",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"keep", CLI_SWITCH, offsetof(struct commit, keep), "commit here, and post nothing",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"now", CLI_TIME, offsetof(struct commit, now_ms),
     "take this for the time (else the node is asked)", CLI_OPTIONAL, NULL, NULL, 0},
};

static int run_commit(struct cli *cli, void *arguments)
{
    const struct commit *wanted = arguments;
    struct meter_archive archive;
    struct timestamp now = timestamp_of(wanted->now_ms);
    int status = open_archive(cli, &archive);
    if (status != CLI_DONE) {
        return status;
    }
    if (wanted->now_ms == 0) {
        status = service_ledger_time(cli, &now);
    }
    if (status == CLI_DONE) {
        status = service_commit(cli, &archive, now, wanted->all);
    }
    if (status == CLI_DONE && !wanted->keep) {
        status = service_post(cli, &archive, NULL);
    }
    archive_close(&archive);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

/* --- what is there ------------------------------------------------------------------------- */

static int run_status(struct cli *cli, void *arguments)
{
    struct meter_archive archive;
    (void)arguments;
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE) {
        status = service_status(cli, &archive);
        archive_close(&archive);
    }
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

struct gaps {
    int64_t day_ms;
    struct name device;
    uint8_t meter;
};

static const struct cli_option gaps_options[] = {
    {"day", CLI_TIME, offsetof(struct gaps, day_ms), "the day, in the zone of the settings",
     CLI_REQUIRED, NULL, NULL, 0},
    {"device", CLI_NAME, offsetof(struct gaps, device), "of this device only", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"meter", CLI_CHOICE, offsetof(struct gaps, meter), "which of its meters", CLI_REQUIRED,
     "certified", meter_kind_names, METER_KIND_COUNT},
};

static int run_gaps(struct cli *cli, void *arguments)
{
    const struct gaps *wanted = arguments;
    struct meter_archive archive;
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE) {
        status =
            service_gaps(cli, &archive, wanted->day_ms / MS_PER_DAY,
                         name_is_empty(&wanted->device) ? NULL : &wanted->device, wanted->meter);
        archive_close(&archive);
    }
    return status;
}

/* --- what goes out ------------------------------------------------------------------------- */

struct reveal {
    struct name device;
    uint8_t meter;
    int64_t from_ms;
    int64_t until_ms;
    int64_t before_ms;
    const char *out;
};

static const struct cli_option reveal_options[] = {
    {"device", CLI_NAME, offsetof(struct reveal, device), "whose readings", CLI_REQUIRED, NULL,
     NULL, 0},
    {"meter", CLI_CHOICE, offsetof(struct reveal, meter), "which of its meters", CLI_REQUIRED,
     "certified", meter_kind_names, METER_KIND_COUNT},
    {"from", CLI_TIME, offsetof(struct reveal, from_ms), "the first interval's start", CLI_REQUIRED,
     NULL, NULL, 0},
    {"until", CLI_TIME, offsetof(struct reveal, until_ms), "the end (not included)", CLI_REQUIRED,
     NULL, NULL, 0},
    {"before", CLI_TIME, offsetof(struct reveal, before_ms),
     "only fingerprints posted before that: a market's correction deadline", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct reveal, out), "the file to write", CLI_REQUIRED, NULL, NULL,
     0},
};

static int run_reveal(struct cli *cli, void *arguments)
{
    const struct reveal *wanted = arguments;
    const struct disclosure disclosure = {.device = wanted->device,
                                          .meter = wanted->meter,
                                          .from = timestamp_of(wanted->from_ms),
                                          .until = timestamp_of(wanted->until_ms),
                                          .before = timestamp_of(wanted->before_ms)};
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    struct meter_archive archive;
    char problem[ARCHIVE_PROBLEM_SIZE];
    MUST(found.readings != NULL);
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE) {
        status = disclose_readings(&archive, &found, &disclosure, problem) ? CLI_DONE
                                                                           : fault(cli, problem);
        archive_close(&archive);
    }
    if (status == CLI_DONE && found.count == 0) {
        status = cli_fail(cli, CLI_REFUSED, "no_readings",
                          "no final batch has a reading of it then; %u erased, %u not final",
                          found.erased, found.pending);
    }
    if (status == CLI_DONE) {
        status = reveal_write(cli, wanted->out, &wanted->device, found.readings, found.count);
    }
    if (status == CLI_DONE) {
        json_add_u32(cli->result, "readings", found.count);
        json_add_u32(cli->result, "erased", found.erased);
        json_add_u32(cli->result, "pending", found.pending);
        noun_say_result(cli);
    }
    free(found.readings);
    return status;
}

struct export
{
    int64_t from_ms;
    int64_t until_ms;
    bool leaves;
    const char *out;
};

static const struct cli_option export_options[] = {
    {"from", CLI_TIME, offsetof(struct export, from_ms), "intervals that start at or after",
     CLI_REQUIRED, NULL, NULL, 0},
    {"until", CLI_TIME, offsetof(struct export, until_ms), "and before", CLI_REQUIRED, NULL, NULL,
     0},
    {"leaves", CLI_SWITCH, offsetof(struct export, leaves),
     "add each line's leaf, so that any wrong line can be named", CLI_OPTIONAL, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct export, out), "the file to write", CLI_REQUIRED, NULL, NULL,
     0},
};

static int run_export(struct cli *cli, void *arguments)
{
    const struct export *wanted = arguments;
    struct meter_archive archive;
    char problem[ARCHIVE_PROBLEM_SIZE] = "";
    uint64_t lines = 0;
    int status = open_archive(cli, &archive);
    if (status != CLI_DONE) {
        return status;
    }
    int descriptor = open(wanted->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (out == NULL) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->out, strerror(errno));
    } else {
        bool ok = disclose_copy(&archive, out, timestamp_of(wanted->from_ms),
                                timestamp_of(wanted->until_ms), wanted->leaves, &lines, problem);
        status = fclose(out) == 0 && ok ? CLI_DONE : fault(cli, ok ? strerror(errno) : problem);
    }
    archive_close(&archive);
    if (status == CLI_DONE) {
        json_add_u64(cli->result, "readings", lines);
        noun_say_result(cli);
    }
    return status;
}

struct erase {
    struct name device;
    uint8_t meter;
    int64_t from_ms;
    int64_t until_ms;
};

static const struct cli_option erase_options[] = {
    {"device", CLI_NAME, offsetof(struct erase, device), "whose readings", CLI_REQUIRED, NULL, NULL,
     0},
    {"meter", CLI_CHOICE, offsetof(struct erase, meter), "which of its meters", CLI_REQUIRED,
     "certified", meter_kind_names, METER_KIND_COUNT},
    {"from", CLI_TIME, offsetof(struct erase, from_ms), "the first day (UTC)", CLI_REQUIRED, NULL,
     NULL, 0},
    {"until", CLI_TIME, offsetof(struct erase, until_ms), "the day behind the last", CLI_REQUIRED,
     NULL, NULL, 0},
};

static int run_erase(struct cli *cli, void *arguments)
{
    const struct erase *wanted = arguments;
    struct meter_archive archive;
    char problem[ARCHIVE_PROBLEM_SIZE];
    uint64_t readings = 0;
    if (wanted->from_ms < 0 || wanted->from_ms % MS_PER_DAY != 0 ||
        wanted->until_ms % MS_PER_DAY != 0 || wanted->until_ms <= wanted->from_ms ||
        (wanted->until_ms - wanted->from_ms) / MS_PER_DAY > ACCESS_ERASE_DAYS_MAX) {
        return cli_fail(cli, CLI_USAGE, "bad_period",
                        "write --from and --until as days, at most %d", ACCESS_ERASE_DAYS_MAX);
    }
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE && !archive_has_meter(&archive, &wanted->device, wanted->meter)) {
        archive_close(&archive);
        /* Whoever mistypes a name must not go home with readings that are still there. */
        status = cli_fail(cli, CLI_REFUSED, "unknown_device",
                          "no such meter is in the registry; nothing was erased");
    }
    if (status == CLI_DONE) {
        status =
            archive_erase(&archive, &wanted->device, wanted->meter, wanted->from_ms / MS_PER_DAY,
                          wanted->until_ms / MS_PER_DAY, &readings, problem)
                ? CLI_DONE
                : fault(cli, problem);
        archive_close(&archive);
    }
    if (status == CLI_DONE) {
        json_add_u64(cli->result, "erased_readings", readings);
        noun_say_result(cli);
    }
    return status;
}

/* --- serve --------------------------------------------------------------------------------- */

static const struct cli_option serve_options[] = {
    {"listen", CLI_TEXT, offsetof(struct service_options, address), "numeric address to answer on",
     CLI_REQUIRED, "127.0.0.1", NULL, 0},
    {"port", CLI_U16, offsetof(struct service_options, port), "and its port (0: a free one)",
     CLI_REQUIRED, "8480", NULL, 0},
    {"every", CLI_DURATION, offsetof(struct service_options, every_ms),
     "how often the inbox, the registry and what is due are looked after", CLI_REQUIRED, "1m", NULL,
     0},
    {"keys", CLI_DIR, offsetof(struct service_options, keys), "as for ingest", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"threads", CLI_U32, offsetof(struct service_options, threads), "that verify signatures",
     CLI_REQUIRED, "2", NULL, 0},
};

static int run_serve(struct cli *cli, void *arguments)
{
    struct meter_archive archive;
    const struct service_options *options = arguments;
    if (options->threads < 1 || options->threads > INGEST_THREADS_MAX || options->every_ms < 100) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--threads is 1 to %d, --every 100ms at least",
                        INGEST_THREADS_MAX);
    }
    int status = open_archive(cli, &archive);
    if (status == CLI_DONE) {
        status = service_run(cli, &archive, options);
        archive_close(&archive);
    }
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "init",
     .summary = "make an archive in HOME/meterd",
     .teach = "  flexmeterd init --prefix west --zone cet --register-modulus-wh 1000000000",
     .options = init_options,
     .option_count = sizeof init_options / sizeof init_options[0],
     .arguments_size = sizeof(struct init),
     .run = run_init},
    {.verb = "registry",
     .summary = "take meters' keys and owners over from the ledger",
     .run = run_registry},
    {.verb = "ingest",
     .summary = "read files of intervals or registers",
     .teach =
         "CSV with a header: device, start, net_wh (or import_kwh and export_kwh), signature; or\n"
         "device, time, register_kwh. Rows that are refused are told; the others are in.\n"
         "  flexmeterd ingest 2025-03-30.csv",
     .options = ingest_options,
     .option_count = sizeof ingest_options / sizeof ingest_options[0],
     .arguments_size = sizeof(struct ingest),
     .more_words = "FILE...",
     .run = run_ingest},
    {.verb = "commit",
     .summary = "fingerprint what is due, and post it",
     .teach = "  flexmeterd commit",
     .options = commit_options,
     .option_count = sizeof commit_options / sizeof commit_options[0],
     .arguments_size = sizeof(struct commit),
     .sends = true,
     .run = run_commit},
    {.verb = "status", .summary = "what there is, and what waits", .run = run_status},
    {.verb = "gaps",
     .summary = "which intervals of a day have no reading",
     .teach = "  flexmeterd gaps --day 2025-03-30",
     .options = gaps_options,
     .option_count = sizeof gaps_options / sizeof gaps_options[0],
     .arguments_size = sizeof(struct gaps),
     .run = run_gaps},
    {.verb = "reveal",
     .summary = "give a party one device's readings of one period",
     .options = reveal_options,
     .option_count = sizeof reveal_options / sizeof reveal_options[0],
     .arguments_size = sizeof(struct reveal),
     .run = run_reveal},
    {.verb = "export",
     .summary = "write a whole copy with salts, for flex meter verify",
     .options = export_options,
     .option_count = sizeof export_options / sizeof export_options[0],
     .arguments_size = sizeof(struct export),
     .run = run_export},
    {.verb = "erase",
     .summary = "destroy the secrets and readings of whole days, for ever",
     .teach = "The fingerprints stay on the ledger and prove nothing any more.\n"
              "  flexmeterd erase --device battery-7 --from 2025-01-01 --until 2025-02-01",
     .options = erase_options,
     .option_count = sizeof erase_options / sizeof erase_options[0],
     .arguments_size = sizeof(struct erase),
     .run = run_erase},
    {.verb = "serve",
     .summary = "answer requests, read HOME/meterd/inbox, commit and post",
     .teach = "  flexmeterd serve --port 8480",
     .options = serve_options,
     .option_count = sizeof serve_options / sizeof serve_options[0],
     .arguments_size = sizeof(struct service_options),
     .sends = true,
     .run = run_serve},
};

const struct cli_noun meterd_noun = {"flexmeterd", "a meter operator's data service", commands,
                                     sizeof commands / sizeof commands[0]};

static const char man_head[] =
    ".SH NAME\nflexmeterd \\- a meter operator's data service\n"
    ".SH SYNOPSIS\n.B flexmeterd\n\\fIVERB\\fR [\\fIWORD\\fR or \\fIOPTION\\fR]...\n"
    ".SH DESCRIPTION\n"
    "Takes readings from files, checks the meters' signatures, fingerprints them on a Flexledger\n"
    "without publishing any of them, and gives each party what the ledger entitles it to.\n"
    ".SH OPTIONS\n";
static const char man_tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n.TP\n1\nrefused by the ledger, or rows were refused\n"
    ".TP\n2\nbad usage, bad input, or the archive or its disk fails\n"
    ".TP\n3\nno node answered in time; what is not posted waits\n"
    ".TP\n4\na proof did not verify\n"
    ".SH FILES\n"
    ".TP\n~/.flex/meterd/database/\nreadings, sealed; batches; what waits to be posted\n"
    ".TP\n~/.flex/meterd/secrets/\nthe secret of each device and day\n"
    ".TP\n~/.flex/meterd/inbox/\nfiles for serve, which moves them to done or refused\n"
    ".SH SEE ALSO\n.BR flex (1),\nthe guide meter-operator.md\n";

void meterd_man_page(FILE *out)
{
    cli_man_program(out, &meterd_noun, man_head, man_tail);
}
