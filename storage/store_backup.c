/* See store_backup.h: LMDB's compacting copy.
 *
 * 1. It takes no lock that a writer waits for: the plain copy would hold the writer's for two pages, and
 *    for as long as a slow medium takes them. A copy that is killed leaves a reader's slot behind, which
 *    the node's next start, or its next check of readers, frees.
 * 2. The node may have grown its map since this process looked: then it looks again.
 *
 * Deliberately absent: the store's own lock (D5). It keeps two writers apart, and this only reads. */
#include "storage/store_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/store_internal.h"

enum { ATTEMPTS_MAX = 8 };

static enum store_result result_of(int code, const char *what, char problem[160])
{
    (void)snprintf(problem, 160, "%s: %s", what, mdb_strerror(code));
    if (code == ENOSPC || code == EDQUOT)
        return STORE_FULL;
    const enum store_result result = store_result_of(code);
    return code == MDB_INCOMPATIBLE ? STORE_CORRUPT : result;
}

static enum store_result copy(MDB_env *env, int fd, char problem[160])
{
    int code = MDB_MAP_RESIZED;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && code == MDB_MAP_RESIZED; attempt++) {
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            return result_of(errno, "the copy", problem);
        code = mdb_env_set_mapsize(env, 0);
        if (code == MDB_SUCCESS)
            code = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    }
    if (code != MDB_SUCCESS)
        return result_of(code, "copying", problem);
    return fsync(fd) == 0 ? STORE_OK : result_of(errno, "syncing the copy", problem);
}

enum store_result store_backup(const char *directory, const char *out, char problem[160])
{
    char file[1024];
    struct stat found;
    MDB_env *env = NULL;
    problem[0] = '\0';
    if (snprintf(file, sizeof file, "%s/data.mdb", directory) >= (int)sizeof file) {
        (void)snprintf(problem, 160, "the directory's name is too long");
        return STORE_FAULT;
    }
    if (stat(file, &found) != 0)
        return errno == ENOENT ? STORE_ABSENT : result_of(errno, "the database", problem);
    const int fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return result_of(errno, "the copy", problem);
    int code = mdb_env_create(&env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(env, STORE_TABLES);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600);
    enum store_result result =
        code == MDB_SUCCESS ? copy(env, fd, problem) : result_of(code, "opening", problem);
    if (env != NULL)
        mdb_env_close(env);
    if (close(fd) != 0 && result == STORE_OK)
        result = result_of(errno, "closing the copy", problem);
    return result;
}
