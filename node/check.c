/* The verdict on a home's data (check.h).
 *
 * The database and the journals are judged apart, because what to do differs: a database can be made
 * anew from good blocks and from the others (flexd check --repair), a journal never can; a validator
 * whose journal is damaged follows without a vote until it has another key.
 *
 * Deliberately absent: opinions on the configuration, which are commands.c's. */
#include "node/check.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "node/commands.h"
#include "storage/journal.h"

enum { PROGRESS_EVERY_MS = 500 };

struct progress {
    bool wanted;
    bool told;
    uint64_t begun_ms;
    uint64_t told_ms;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_progress(void *context, enum store_check_stage stage, uint64_t done, uint64_t all)
{
    static const char *const units[] = {"pages", "blocks", "state records"};
    struct progress *progress = context;
    const uint64_t now = now_ms();
    if (!progress->wanted || now - progress->told_ms < PROGRESS_EVERY_MS)
        return;
    fprintf(stderr, "\rchecking %s: %" PRIu64 " of %" PRIu64 " %s, %" PRIu64 " s   ",
            store_check_stage_name(stage), done, all, units[stage],
            (now - progress->begun_ms) / 1000);
    progress->told_ms = now;
    progress->told = true;
}

static void genesis_set(struct validator_set *out, const struct genesis *genesis)
{
    memset(out, 0, sizeof *out);
    out->count = genesis->params.validator_count;
    for (uint32_t i = 0; i < out->count; i++) {
        out->validators[i].key = genesis->params.validators[i].key;
        out->validators[i].operator_name = genesis->params.validators[i].operator_name;
    }
}

/* --- the database ---------------------------------------------------------------------------- */

static const char *store_verdict(const struct node_check *check)
{
    if (check->result == STORE_ABSENT)
        return "absent";
    if (check->result != STORE_OK)
        return "unknown";
    return check->store.findings == 0 ? "good" : "damaged";
}

static cJSON *store_json(const struct node_check *check)
{
    const struct store_check_report *report = &check->store;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "result", store_verdict(check));
    if (check->result != STORE_OK)
        return root;
    cJSON_AddStringToObject(root, "stage", store_check_stage_name(report->stage));
    if (report->has_tip)
        json_add_u64(root, "height", report->tip.height);
    json_add_u64(root, "pages", report->pages);
    json_add_u64(root, "bytes", report->bytes);
    json_add_u64(root, "records", report->records);
    json_add_u64(root, "blocks", report->blocks);
    json_add_u64(root, "transactions", report->transactions);
    json_add_u64(root, "certificates", report->certificates);
    json_add_u64(root, "state_records", report->state_records);
    json_add_u64(root, "tree_nodes", report->tree_nodes);
    json_add_u64(root, "milliseconds", check->milliseconds);
    json_add_u64(root, "findings", report->findings);
    cJSON *list = cJSON_AddArrayToObject(root, "first_findings");
    for (uint32_t i = 0; i < report->kept; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(report->finding[i]));
    return root;
}

static int check_store(struct node_check *check, bool quick, bool progress_wanted)
{
    char path[NODE_PATH_MAX];
    struct validator_set set;
    struct progress progress = {.wanted = progress_wanted, .begun_ms = now_ms()};
    genesis_set(&set, check->genesis);
    if (!node_config_path(path, check->config, "data")) {
        snprintf(check->problem, sizeof check->problem, "the home's name is too long");
        return FLEXD_BAD_USAGE;
    }
    const struct store_check_config config = {.directory = path,
                                              .genesis = check->genesis_hash,
                                              .set = &set,
                                              .quick = quick,
                                              .progress = on_progress,
                                              .context = &progress};
    check->result = store_check(&check->store, &config);
    check->milliseconds = now_ms() - progress.begun_ms;
    if (progress.told)
        fputs("\n", stderr);
    if (check->result == STORE_OK && check->store.findings > 0) {
        snprintf(check->problem, sizeof check->problem, "data: %.230s", check->store.finding[0]);
        return FLEXD_DAMAGED;
    }
    if (check->result == STORE_OK || check->result == STORE_ABSENT)
        return FLEXD_DONE;
    snprintf(check->problem, sizeof check->problem, "data: %s",
             check->result == STORE_LOCKED ? "another process runs this home; stop it first"
                                           : store_result_text(check->result));
    return check->result == STORE_LOCKED ? FLEXD_ALREADY_RUNS : FLEXD_FAILED;
}

/* --- the journals ---------------------------------------------------------------------------- */

/* The epoch in a journal directory's name; false if it is none. */
static bool journal_epoch(const char *name, uint64_t *epoch)
{
    static const char stem[] = "journal";
    const size_t size = sizeof stem - 1;
    *epoch = 0;
    if (strncmp(name, stem, size) != 0)
        return false;
    return name[size] == '\0' ||
           (name[size] == '-' && uint64_from_text(epoch, name + size + 1) && *epoch > 0);
}

static const char *journal_verdict(enum journal_result result)
{
    switch (result) {
    case JOURNAL_OK:
        return "good";
    case JOURNAL_DAMAGED:
        return "damaged";
    case JOURNAL_ROLLED_BACK:
        return "rolled_back";
    case JOURNAL_MISSING:
        return "missing";
    case JOURNAL_MISMATCH:
        return "mismatch";
    case JOURNAL_FAULT:
        return "unknown";
    }
    return "unknown";
}

static int check_journal(struct node_check *check, struct cJSON *list, const char *name,
                         uint64_t epoch)
{
    char path[NODE_PATH_MAX];
    char problem[160];
    struct journal_report report;
    if (!node_config_path(path, check->config, name))
        return FLEXD_BAD_USAGE;
    const struct journal_config config = {
        .directory = path, .genesis = check->genesis_hash, .epoch = epoch};
    const enum journal_result result = journal_check(&report, &config, problem);
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "directory", name);
    cJSON_AddStringToObject(item, "result", journal_verdict(result));
    cJSON_AddNumberToObject(item, "segments", report.segments);
    json_add_u64(item, "records", report.records);
    json_add_u64(item, "bytes", report.bytes);
    cJSON_AddBoolToObject(item, "torn_tail", report.torn);
    if (result != JOURNAL_OK)
        cJSON_AddStringToObject(item, "finding", problem);
    cJSON_AddItemToArray(list, item);
    check->torn_journals += report.torn ? 1 : 0;
    if (result == JOURNAL_OK)
        return FLEXD_DONE;
    if (check->problem[0] == '\0')
        snprintf(check->problem, sizeof check->problem, "%.40s: %.150s", name, problem);
    check->journal_findings++;
    return result == JOURNAL_FAULT ? FLEXD_FAILED : FLEXD_DAMAGED;
}

static int check_journals(struct node_check *check, struct cJSON *list)
{
    int code = FLEXD_DONE;
    DIR *home = opendir(check->config->home);
    if (home == NULL) {
        snprintf(check->problem, sizeof check->problem, "the home cannot be listed");
        return FLEXD_FAILED;
    }
    for (struct dirent *entry = readdir(home); entry != NULL; entry = readdir(home)) {
        uint64_t epoch = 0;
        if (!journal_epoch(entry->d_name, &epoch))
            continue;
        const int found = check_journal(check, list, entry->d_name, epoch);
        code = found != FLEXD_DONE && code != FLEXD_DAMAGED ? found : code;
    }
    closedir(home);
    return code;
}

int node_check_data(struct node_check *check, struct cJSON *out, bool quick, bool progress)
{
    check->problem[0] = '\0';
    check->journal_findings = 0;
    check->torn_journals = 0;
    int code = check_store(check, quick, progress);
    if (out != NULL)
        cJSON_AddItemToObject(out, "store", store_json(check));
    if (quick || code == FLEXD_ALREADY_RUNS)
        return code;
    cJSON *journals = cJSON_CreateArray();
    const int found = check_journals(check, journals);
    if (out != NULL)
        cJSON_AddItemToObject(out, "journals", journals);
    else
        cJSON_Delete(journals);
    return code != FLEXD_DONE ? code : found;
}

void node_check_print(const struct node_check *check)
{
    const struct store_check_report *report = &check->store;
    printf("store     %s\n", store_verdict(check));
    if (check->result == STORE_OK) {
        const uint64_t span = check->milliseconds > 0 ? check->milliseconds : 1;
        printf("          %" PRIu64 " pages, %" PRIu64 " records, %" PRIu64 " blocks, %" PRIu64
               " transactions, %" PRIu64 " certificates, %" PRIu64 " state records, %" PRIu64
               " tree nodes in %" PRIu64 " ms: %" PRIu64 " records/s\n",
               report->pages, report->records, report->blocks, report->transactions,
               report->certificates, report->state_records, report->tree_nodes, check->milliseconds,
               report->records * 1000 / span);
        for (uint32_t i = 0; i < report->kept; i++)
            printf("finding   %s\n", report->finding[i]);
        if (report->findings > report->kept)
            printf("finding   and %" PRIu64 " more\n", report->findings - report->kept);
    }
    printf("journals  %s\n", check->journal_findings == 0 ? "good" : "damaged");
    if (check->torn_journals > 0)
        printf("          a torn tail, as after a power cut: the next start cuts it\n");
}
