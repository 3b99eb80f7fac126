/* flexmeterd serve (service.h): requests over HTTP, and every so often the inbox, the registry, what is
 * due and what is to be posted.
 *
 *   HOME/meterd/inbox/NAME.csv, NAME.json  --taken whole--> deleted: its readings are in the archive, where
 *                                                         erasing reaches them
 *                       --refused whole or in part-->  refused/, with NAME.csv.report.json
 *                       --the archive or its disk fails-->  where it is, until that is mended
 *
 * Invariants: a step that fails is told and taken again next time, and stops no other; a file goes
 * once it has been read, so a crash means reading it again, which changes nothing; a file counts once it
 * has its name, so whoever writes one writes beside it and renames. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "tools/meterd/service.h"

enum { INBOX_FILES_MAX = 4096, FILE_NAME_MAX = 200 };

static struct timestamp own_time(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return timestamp_of((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* --- the inbox ----------------------------------------------------------------------------- */

static bool is_meter_file(const char *name)
{
    const size_t length = strlen(name);
    return length > 5 && length < FILE_NAME_MAX && name[0] != '.' &&
           (strcmp(name + length - 4, ".csv") == 0 || (strcmp(name + length - 5, ".json") == 0));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the files in order; the caller frees each and the list. */
static char **list_inbox(const char *inbox, size_t *count)
{
    char **names = calloc(INBOX_FILES_MAX, sizeof *names);
    DIR *directory = opendir(inbox);
    const struct dirent *entry;
    MUST(names != NULL);
    *count = 0;
    while (directory != NULL && *count < INBOX_FILES_MAX && (entry = readdir(directory)) != NULL) {
        if (is_meter_file(entry->d_name)) {
            names[*count] = strdup(entry->d_name);
            MUST(names[*count] != NULL);
            (*count)++;
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    qsort(names, *count, sizeof *names, compare_names);
    return names;
}

static bool move_file(const char *place, const char *name, const char *to)
{
    char from_path[FILES_PATH_SIZE], to_path[FILES_PATH_SIZE];
    const int from = snprintf(from_path, sizeof from_path, "%s/inbox/%s", place, name);
    const int into = snprintf(to_path, sizeof to_path, "%s/%s/%s", place, to, name);
    return from > 0 && from < FILES_PATH_SIZE && into > 0 && into < FILES_PATH_SIZE &&
           rename(from_path, to_path) == 0;
}

static bool delete_file(const char *place, const char *name)
{
    char path[FILES_PATH_SIZE];
    const int size = snprintf(path, sizeof path, "%s/inbox/%s", place, name);
    return size > 0 && size < FILES_PATH_SIZE && unlink(path) == 0;
}

static void take_file(struct cli *cli, struct meter_archive *archive, const char *place,
                      const char *name, const struct ingest_options *options)
{
    char path[FILES_PATH_SIZE];
    struct ingest_sum sum = {0};
    const int length = snprintf(path, sizeof path, "%s/inbox/%s", place, name);
    if (length < 0 || length >= FILES_PATH_SIZE) {
        return;
    }
    const bool read = service_ingest(cli, archive, path, options, &sum) == CLI_DONE;
    const bool clean = read && sum.refused == 0;
    if (sum.archive_fault) {
        fprintf(cli->err, "flexmeterd: %s stays in the inbox and is taken again\n", name);
        return;
    }
    if (!clean) {
        const int size = snprintf(path, sizeof path, "%s/refused/%s.report.json", place, name);
        if (size < 0 || size >= FILES_PATH_SIZE || !files_write_json(path, cli->result, 0600)) {
            fprintf(cli->err, "flexmeterd: %s: the report can't be written\n", name);
        }
    }
    if (clean ? !delete_file(place, name) : !move_file(place, name, "refused")) {
        fprintf(cli->err, "flexmeterd: %s stays in the inbox: %s\n", name, strerror(errno));
    }
}

static void take_inbox(struct cli *cli, struct meter_archive *archive,
                       const struct ingest_options *options)
{
    static const char *const folders[] = {"inbox", "refused"};
    char place[FILES_PATH_SIZE], path[FILES_PATH_SIZE];
    size_t count;
    if (!files_join(place, cli->home, "meterd")) {
        return;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (!files_join(path, place, folders[i]) || !files_make_directory(path)) {
            fprintf(cli->err, "flexmeterd: %s: %s\n", folders[i], strerror(errno));
            return;
        }
    }
    MUST(files_join(path, place, "inbox"));
    char **names = list_inbox(path, &count);
    for (size_t i = 0; i < count; i++) {
        struct cJSON *kept = cli->result;
        cli->result = cJSON_CreateObject();
        MUST(cli->result != NULL);
        take_file(cli, archive, place, names[i], options);
        cJSON_Delete(cli->result);
        cli->result = kept;
        free(names[i]);
    }
    free(names);
}

/* --- the loop ------------------------------------------------------------------------------ */

static void take_turn(struct cli *cli, struct meter_archive *archive,
                      const struct service_options *options, const struct secret_key *secret)
{
    struct ingest_options ingest = {.keys = options->keys, .threads = options->threads};
    struct cJSON *kept = cli->result;
    cli->result = cJSON_CreateObject();
    MUST(cli->result != NULL);
    /* Without a node there is no time to judge readings by, and nobody to post to. */
    if (service_ledger_time(cli, &ingest.now) == CLI_DONE) {
        (void)service_registry(cli, archive);
        take_inbox(cli, archive, &ingest);
        if (service_commit(cli, archive, ingest.now, false) == CLI_DONE) {
            (void)service_post(cli, archive, secret);
        }
    }
    cJSON_Delete(cli->result);
    cli->result = kept;
    fflush(cli->err);
    fflush(cli->out);
}

static int start(struct cli *cli, struct meter_archive *archive, struct session *session,
                 struct secret_key *secret)
{
    struct public_key key;
    int status = session_open(session, cli);
    if (status == CLI_DONE) {
        status = session_trust(session);
    }
    if (status == CLI_DONE && cli->no_verify) {
        status = cli_fail(cli, CLI_USAGE, "bad_usage",
                          "rights are given on proofs: serve takes no --no-verify");
    }
    if (status == CLI_DONE) {
        status = session_secret_key(cli, secret, &key);
    }
    (void)archive;
    return status;
}

static void loop(struct cli *cli, struct meter_archive *archive,
                 const struct service_options *options, const struct secret_key *secret,
                 const sigset_t *signals)
{
    const struct timespec pause = {.tv_sec = (time_t)(options->every_ms / 1000),
                                   .tv_nsec = (long)(options->every_ms % 1000) * 1000000};
    do {
        take_turn(cli, archive, options, secret);
    } while (sigtimedwait(signals, NULL, &pause) < 0);
}

int service_run(struct cli *cli, struct meter_archive *archive,
                const struct service_options *options)
{
    struct session session;
    struct secret_key secret;
    char problem[ARCHIVE_PROBLEM_SIZE];
    sigset_t signals;
    /* Requests are proven over a session of their own, with their own words for failures. */
    struct cli requests = *cli;
    requests.result = NULL;
    int status = start(&requests, archive, &session, &secret);
    if (status != CLI_DONE) {
        session_close(&session);
        return status;
    }
    /* Blocked before any thread starts, so that the loop alone gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    MUST(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    struct meter_service service = {.archive = archive,
                                    .registry = registry_of_session(&session),
                                    .genesis = session.trust.genesis,
                                    .now = own_time};
    struct meter_server *server =
        meter_server_start(&service, options->address, options->port, problem);
    if (server == NULL) {
        status = cli_fail(cli, CLI_USAGE, "not_listening", "%s", problem);
    } else {
        cli_say(cli, "listening on %s port %u\n", options->address, meter_server_port(server));
        fflush(cli->json ? cli->err : cli->out);
        loop(cli, archive, options, &secret, &signals);
        meter_server_stop(server);
    }
    secret_key_wipe(&secret);
    session_close(&session);
    return status;
}
