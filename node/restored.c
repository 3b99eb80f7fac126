/* The mark `restored` of a home (restored.h).
 *
 *   restore writes it first --> every start: tip's time <= votes_after_ms  -> no votes
 *                                            tip's time >  votes_after_ms  -> mark removed, votes
 *
 * Why that is enough, given that the former node was off for good when the restore began: it was then in
 * some view V at most, and the views below V were over for a quorum. A final block that was made later
 * has a view of V or more, for a quorum that had left a view makes no block final in it; and the core
 * votes in no view up to its final one.
 *
 * Deliberately absent: any look at journals. What they know is older than this mark. */
#include "node/restored.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"

static const char mark_name[] = "restored";

static bool mark_path(char path[NODE_PATH_MAX], const struct node_config *config,
                      char problem[NODE_PROBLEM_SIZE])
{
    if (node_config_path(path, config, mark_name))
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
    return false;
}

bool restored_mark(const struct node_config *config, struct timestamp now,
                   char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    struct timestamp after;
    if (!mark_path(path, config, problem))
        return false;
    if (!timestamp_add(&after, now, duration_of(RESTORED_MARGIN_MS))) {
        snprintf(problem, NODE_PROBLEM_SIZE, "this machine's clock is out of range");
        return false;
    }
    cJSON *root = cJSON_CreateObject();
    json_add_i64(root, "restored_ms", timestamp_ms(now));
    json_add_i64(root, "votes_after_ms", timestamp_ms(after));
    const bool good = files_write_json(path, root, 0600);
    if (!good)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    cJSON_Delete(root);
    return good;
}

enum restored_state restored_look(const struct node_config *config, struct timestamp tip,
                                  char text[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    char problem[160] = "";
    int64_t after = 0;
    text[0] = '\0';
    if (!mark_path(path, config, text))
        return RESTORED_FAULT;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return RESTORED_NO;
    cJSON *root = files_read_json(path, problem);
    const bool good = root != NULL && json_i64(&after, root, "votes_after_ms");
    cJSON_Delete(root);
    if (!good) {
        snprintf(text, NODE_PROBLEM_SIZE,
                 "HOME/restored cannot be read: flexd restore wrote it, and only a "
                 "new key or home does without it");
        return RESTORED_FAULT;
    }
    if (timestamp_compare(tip, timestamp_of(after)) > 0)
        return RESTORED_PASSED;
    char when[32] = "";
    const time_t seconds = (time_t)(after / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        snprintf(when, sizeof when, "%" PRId64 " ms", after);
    snprintf(text, NODE_PROBLEM_SIZE,
             "restored from a backup: start it again once it has blocks of after %s, a minute "
             "after the restore",
             when);
    return RESTORED_WAITS;
}

bool restored_forget(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (!mark_path(path, config, problem))
        return false;
    const int home = open(config->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = home >= 0 && unlink(path) == 0 && fsync(home) == 0;
    if (!good)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    if (home >= 0)
        (void)close(home);
    return good;
}
