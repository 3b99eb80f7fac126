/* The mark of an init that has not ended (unfinished.h).
 *
 *   mark -> votes -> node.key becomes node.key.moved -> key.json -> no mark
 *
 * Invariants: each arrow is durable before the next begins. node.key.moved was not there when the mark was
 * made, so beside a mark, and without a node.key, it is what this init has moved. Taking back goes the other
 * way, key.json first: at no moment is there a key.json that works beside a node.key that works.
 *
 * Deliberately absent: going on where it stopped. What was made is a second's work to make again, and a key.json
 * of another passphrase would be a riddle. */
#include "tools/signd/unfinished.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "tools/signd/guard.h"

static const char format_name[] = "flexsign-init/1";

static bool refuse(char problem[NODE_PROBLEM_SIZE], const char *what, const char *why)
{
    snprintf(problem, NODE_PROBLEM_SIZE, "%.120s: %.80s", what, why);
    return false;
}

bool unfinished_names(char from[FILES_PATH_SIZE], char to[FILES_PATH_SIZE], const char *node_home)
{
    return files_join(from, node_home, "node.key") && files_join(to, node_home, "node.key.moved");
}

bool unfinished_begin(const char *home, const char *node_home, char problem[NODE_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    cJSON *mark = cJSON_CreateObject();
    const bool good = files_join(path, home, "unfinished") && mark != NULL &&
                      cJSON_AddStringToObject(mark, "format", format_name) != NULL &&
                      cJSON_AddStringToObject(mark, "node_home", node_home) != NULL &&
                      files_write_json(path, mark, 0600);
    const int fault = errno;
    cJSON_Delete(mark);
    return good || refuse(problem, home, strerror(fault));
}

/* Removes a file durably; true also if it is not there. */
static bool drop(const char *path)
{
    return unlink(path) == 0 ? files_sync_directory_of(path) : errno == ENOENT;
}

bool unfinished_end(const char *home)
{
    char path[FILES_PATH_SIZE];
    return files_join(path, home, "unfinished") && drop(path);
}

enum unfinished_result unfinished_read(const char *home, char node_home[FILES_PATH_SIZE],
                                       char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {"format", "node_home", NULL};
    char path[FILES_PATH_SIZE], why[160] = "";
    if (!files_join(path, home, "unfinished") || !files_exists(path))
        return UNFINISHED_NONE;
    cJSON *mark = files_read_json(path, why);
    const char *format = json_string(mark, "format");
    const char *text = json_string(mark, "node_home");
    const bool good = mark != NULL && json_unknown_key(mark, known) == NULL && format != NULL &&
                      strcmp(format, format_name) == 0 && text != NULL &&
                      snprintf(node_home, FILES_PATH_SIZE, "%s", text) < FILES_PATH_SIZE;
    cJSON_Delete(mark);
    if (!good)
        (void)refuse(problem, path, "is damaged: look at the disk, and take another --home");
    return good ? UNFINISHED_FOUND : UNFINISHED_FAULT;
}

static bool put_key_back(const char *node_home, char problem[NODE_PROBLEM_SIZE])
{
    char from[FILES_PATH_SIZE], to[FILES_PATH_SIZE];
    if (node_home[0] == '\0')
        return true;
    if (!unfinished_names(from, to, node_home))
        return refuse(problem, node_home, "the name is too long");
    if (!files_exists(to) || files_exists(from))
        return true;
    return (rename(to, from) == 0 && files_sync_directory_of(from)) ||
           refuse(problem, to, strerror(errno));
}

bool unfinished_take_back(const char *home, const char *node_home, char problem[NODE_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    if (!files_join(path, home, "key.json") || !drop(path))
        return refuse(problem, home, strerror(errno));
    guard_discard(home);
    if (!files_join(path, home, "votes"))
        return refuse(problem, home, "the name is too long");
    if (files_exists(path))
        return refuse(problem, path, "can't be removed");
    return put_key_back(node_home, problem) &&
           (unfinished_end(home) || refuse(problem, home, strerror(errno)));
}
