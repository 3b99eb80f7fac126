/* Whether the user that runs flexd may read and write what a start needs, and whose the home is (config.h).
 *
 * A look before anything is opened, so that one sentence names the file and the cause, instead of
 * the third call below a database library that happens to need it first. What is missing is no fault
 * here: a start makes data/ and journal/, and whoever needs another file says so.
 *
 * A home is one process's by a lock on its directory, and not only on data/in-use: data/ can be moved away
 * while a node runs, and another one would begin anew beside it, with the same key and the same journal's name.
 *
 * Invariants: nothing is changed; at most HOME_ENTRIES_MAX names are looked at in a directory.
 *
 * Deliberately absent: owners and modes by number. Access lists, capabilities and read-only mounts
 * decide too, and access(2) knows them all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/files.h"
#include "node/config.h"

enum { HOME_ENTRIES_MAX = 8192 }; /* twice the segments that a journal may have */

static bool may(const char *path, int mode, char problem[NODE_PROBLEM_SIZE])
{
    if (access(path, mode) == 0 || errno == ENOENT)
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE,
             "%.110s: %.40s; it must be readable and writable for the user that runs flexd, on a "
             "file system mounted writable",
             path, strerror(errno));
    return false;
}

/* The directory, and each file in it. */
static bool may_use_directory(const char *path, char problem[NODE_PROBLEM_SIZE])
{
    if (!may(path, R_OK | W_OK | X_OK, problem))
        return false;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return true; /* not made yet */
    bool good = true;
    for (int i = 0; i < HOME_ENTRIES_MAX && good; i++) {
        char file[2 * NODE_PATH_MAX];
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
            good = may(file, R_OK | W_OK, problem);
    }
    (void)closedir(directory);
    return good;
}

bool node_home_check(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    static const char *const parts[] = {"data", "journal"};
    if (!may(config->home, R_OK | W_OK | X_OK, problem))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[NODE_PATH_MAX];
        if (node_config_path(path, config, parts[i]) && !may_use_directory(path, problem))
            return false;
    }
    return true;
}

/* Whether somebody holds the file or directory alone. */
static bool is_held(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return held;
}

static bool database_is_held(const struct node_config *config)
{
    char path[NODE_PATH_MAX];
    return node_config_path(path, config, "data/in-use") && is_held(path);
}

bool node_home_runs(const struct node_config *config)
{
    return is_held(config->home) || database_is_held(config);
}

int node_home_take(const struct node_config *config, bool *runs, char problem[NODE_PROBLEM_SIZE])
{
    const int fd = files_hold_directory(config->home);
    *runs = fd < 0 && errno == EWOULDBLOCK;
    if (fd < 0 && !*runs) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.110s: can't be locked: %.60s", config->home,
                 strerror(errno));
        return -1;
    }
    if (fd >= 0 && database_is_held(config)) {
        *runs = true;
        (void)close(fd);
    }
    if (*runs)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.110s: another process runs this home",
                 config->home);
    return *runs ? -1 : fd;
}
