/* Whole small files, read and replaced atomically, and the genesis file among them (config.h).
 *
 * A file is replaced by writing beside it, syncing, renaming, and syncing the directory, so that
 * after a power cut the old or the new content is there and nothing in between.
 *
 * Deliberately absent: anything that grows. Chain and journal have their own modules. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/config.h"

static void problem_errno(char problem[NODE_PROBLEM_SIZE], const char *path)
{
    snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
}

enum { READ_STEP = 16 * 1024 };

/* Up to `limit` + 1 bytes with room for a NUL behind them, in memory that grows with what is there: a
 * limit of 64 MiB is for the one large file, not for every small one. NULL if memory ran out. */
static char *read_all(FILE *file, size_t limit, size_t *size)
{
    size_t room = READ_STEP;
    char *text = malloc(room + 1);
    *size = 0;
    while (text != NULL) {
        const size_t most = room < limit + 1 ? room : limit + 1;
        *size += fread(text + *size, 1, most - *size, file);
        if (*size < most || most == limit + 1)
            return text;
        room *= 2;
        char *grown = realloc(text, room + 1);
        if (grown == NULL)
            free(text);
        text = grown;
    }
    return NULL;
}

char *node_file_read(const char *path, size_t limit, size_t *size, char problem[NODE_PROBLEM_SIZE])
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        problem_errno(problem, path);
        return NULL;
    }
    char *text = read_all(file, limit, size);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (text == NULL) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: out of memory", path);
        return NULL;
    }
    if (failed || *size > limit) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.160s: %s", path,
                 failed ? "cannot be read" : "larger than such a file can be");
        free(text);
        return NULL;
    }
    text[*size] = '\0';
    return text;
}

static bool directory_sync(const char *path)
{
    char copy[2 * NODE_PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return false;
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fsync(fd) == 0;
    (void)close(fd);
    return good;
}

bool node_file_write(const char *path, const void *data, size_t size, unsigned mode,
                     char problem[NODE_PROBLEM_SIZE])
{
    char beside[2 * NODE_PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: name too long", path);
        return false;
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        problem_errno(problem, beside);
        return false;
    }
    const uint8_t *bytes = data;
    size_t at = 0;
    while (at < size) {
        ssize_t done = write(fd, bytes + at, size - at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    bool good = at == size && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    good = good && rename(beside, path) == 0 && directory_sync(path);
    if (!good) {
        problem_errno(problem, path);
        (void)unlink(beside);
    }
    return good;
}

bool node_genesis_load(struct genesis *genesis, struct hash *hash, char **text, size_t *size,
                       const char *path, char problem[NODE_PROBLEM_SIZE])
{
    size_t bytes = 0;
    char *content = node_file_read(path, GENESIS_JSON_BYTES_MAX, &bytes, problem);
    if (content == NULL)
        return false;
    char fault[160] = "";
    const char *why = NULL;
    if (!genesis_from_json(genesis, content, bytes, fault))
        why = fault;
    else
        why = genesis_problem(genesis);
    if (why == NULL && !genesis_hash(hash, genesis))
        why = "cannot be encoded";
    if (why != NULL) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.90s: %s", path, why);
        free(content);
        return false;
    }
    if (text != NULL) {
        *text = content;
        *size = bytes;
    } else {
        free(content);
    }
    return true;
}
