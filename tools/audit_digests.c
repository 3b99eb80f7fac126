/* The daily digests of an export (tools/audit_digests.h).
 *
 * Invariants: each midnight that the executed history crosses has its note, of the very two blocks
 * around it, signed by a quorum; every file in the folder is one of those, or of a day before the
 * first block that was executed; so no byte of the folder goes unchecked in a whole verification.
 *
 * Absent on purpose: verification when fetching. `flex audit verify` does it. */
#include "tools/audit_digests.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/digest.h"

enum { SUFFIX_SIZE = 5, DATE_SIZE = 10 };

bool audit_digests_path(char out[FILES_PATH_SIZE], const char *directory, const char *date)
{
    int length = snprintf(out, FILES_PATH_SIZE, "%s/digests/%s.note", directory, date);
    return length > 0 && length < FILES_PATH_SIZE;
}

/* --- fetching -------------------------------------------------------------------------------- */

static int fetch_one(struct session *session, const char *directory, int64_t day)
{
    char path[FILES_PATH_SIZE], date[DIGEST_DATE_SIZE];
    char *text = NULL;
    size_t size = 0;
    digest_date_text(date, day);
    if (!audit_digests_path(path, directory, date)) {
        return cli_fail(session->cli, CLI_USAGE, "bad_path", "the directory's path is too long");
    }
    if (files_exists(path)) {
        return CLI_DONE;
    }
    int status = digest_fetch(session, date, &text, &size);
    if (status == CLI_DONE && !files_write(path, text, size, 0644)) {
        status = cli_fail(session->cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    free(text);
    return status;
}

int audit_digests_fetch(struct session *session, const char *directory, uint64_t height)
{
    char folder[FILES_PATH_SIZE];
    struct cJSON *items = NULL;
    const struct cJSON *item;
    int status = session_list(session, &items, "digests");
    if (status == CLI_DONE &&
        (!files_join(folder, directory, "digests") || !files_make_directory(folder))) {
        status =
            cli_fail(session->cli, CLI_USAGE, "unwritable", "%s: %s", directory, strerror(errno));
    }
    cJSON_ArrayForEach(item, items)
    {
        int64_t day;
        uint64_t last;
        if (status != CLI_DONE) {
            break;
        }
        if (!json_i64(&day, item, "id") || !json_u64(&last, item, "height") || day < 0 ||
            day > DIGEST_DAY_MAX) {
            status = cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                              "the node's list of digests is not one");
        } else if (last < height) {
            status = fetch_one(session, directory, day);
        }
    }
    cJSON_Delete(items);
    return status;
}

/* --- checking -------------------------------------------------------------------------------- */

void audit_digests_begin(struct audit_digests *digests, const char *directory,
                         const struct genesis *genesis, struct timestamp from)
{
    *digests = (struct audit_digests){.directory = directory, .from = digest_day_of(from)};
    MUST(proof_trust_from_genesis(&digests->trust, genesis));
}

/* The note of a day, verified. */
static bool read_note(const struct audit_digests *digests, struct digest *out, const char *date,
                      char problem[AUDIT_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE], why[DIGEST_PROBLEM_SIZE] = "";
    const struct digest_rules rules = {0};
    size_t size = 0;
    char *text = audit_digests_path(path, digests->directory, date)
                     ? files_read(path, NOTE_BYTES_MAX, &size)
                     : NULL;
    bool good = text != NULL && digest_verify(out, &digests->trust, &rules, text, size, why);
    if (!good) {
        snprintf(problem, AUDIT_PROBLEM_SIZE, "digests/%s.note: %s", date,
                 text == NULL ? "it is not there or can't be read" : why);
    }
    free(text);
    return good;
}

bool audit_digests_take(struct audit_digests *digests, struct timestamp before,
                        const struct block_header *next, char problem[AUDIT_PROBLEM_SIZE])
{
    char date[DIGEST_DATE_SIZE];
    struct digest digest;
    struct hash id, noted;
    int64_t day = digest_day_of(before);
    /* The genesis is no block, and has no digest. */
    if (next->height == 1 || digest_day_of(next->time) <= day) {
        return true;
    }
    if (day < 0 || day > DIGEST_DAY_MAX) {
        snprintf(problem, AUDIT_PROBLEM_SIZE, "the time is of no year from 1970 to 9999");
        return false;
    }
    digest_date_text(date, day);
    if (!read_note(digests, &digest, date, problem)) {
        return false;
    }
    block_header_id(&id, next);
    block_header_id(&noted, &digest.next);
    if (!hash_equal(&id, &noted)) {
        snprintf(problem, AUDIT_PROBLEM_SIZE, "digests/%s.note is of another history", date);
        return false;
    }
    digests->count++;
    return true;
}

/* "2025-01-15.note" */
static bool day_of_file(int64_t *day, const char *name)
{
    char date[DATE_SIZE + 1];
    if (strlen(name) != DATE_SIZE + SUFFIX_SIZE || strcmp(name + DATE_SIZE, ".note") != 0) {
        return false;
    }
    memcpy(date, name, DATE_SIZE);
    date[DATE_SIZE] = '\0';
    return digest_day_of_text(day, date);
}

bool audit_digests_finish(const struct audit_digests *digests, char problem[AUDIT_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    uint64_t found = 0;
    int64_t day;
    DIR *folder = files_join(path, digests->directory, "digests") ? opendir(path) : NULL;
    const struct dirent *entry;
    bool good = true;
    while (folder != NULL && good && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        good = day_of_file(&day, entry->d_name);
        found += good && day >= digests->from;
        if (!good) {
            snprintf(problem, AUDIT_PROBLEM_SIZE, "digests/%.100s is no day's digest",
                     entry->d_name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    if (good && found != digests->count) {
        good = false;
        snprintf(problem, AUDIT_PROBLEM_SIZE, "digests/ has a note of a day that is not over");
    }
    return good;
}
