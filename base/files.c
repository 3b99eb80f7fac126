/* Reading and writing of small files (base/files.h).
 *
 * Invariants: a file that is replaced is whole at every moment, and what was reported as written has
 * been synced with its directory entry; nothing over its limit is ever read into memory. */
#include "base/files.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

enum { READ_STEP = 64 * 1024 };

char *files_read_descriptor(int descriptor, size_t limit, size_t *size)
{
    char *data = NULL;
    size_t used = 0;
    size_t room = 0;
    for (;;) {
        if (room - used < 2) {
            room = room == 0 ? READ_STEP : room * 2;
            char *grown = realloc(data, room);
            if (grown == NULL) {
                free(data);
                errno = ENOMEM;
                return NULL;
            }
            data = grown;
        }
        ssize_t got = read(descriptor, data + used, room - used - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || used + (size_t)got > limit) {
            int fault = got < 0 ? errno : EFBIG;
            free(data);
            errno = fault;
            return NULL;
        }
        if (got == 0) {
            data[used] = '\0';
            *size = used;
            return data;
        }
        used += (size_t)got;
    }
}

char *files_read(const char *path, size_t limit, size_t *size)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    char *data = files_read_descriptor(descriptor, limit, size);
    int fault = errno;
    close(descriptor);
    errno = fault;
    return data;
}

bool files_write_all(int descriptor, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write(descriptor, data + done, size - done);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool files_sync_directory_of(const char *path)
{
    char directory[FILES_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) : 0;
    snprintf(directory, sizeof directory, "%.*s", length > 0 ? (int)length : 1,
             length > 0 ? path : (slash != NULL ? "/" : "."));
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    bool synced = fsync(descriptor) == 0;
    close(descriptor);
    return synced;
}

static bool write_new(const char *path, const void *data, size_t size, unsigned mode)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (descriptor < 0) {
        return false;
    }
    bool ok = files_write_all(descriptor, data, size) && fsync(descriptor) == 0;
    int fault = errno;
    ok = close(descriptor) == 0 && ok;
    if (!ok) {
        unlink(path);
        errno = fault;
    }
    return ok;
}

bool files_write(const char *path, const void *data, size_t size, unsigned mode)
{
    char beside[FILES_PATH_SIZE];
    int length = snprintf(beside, sizeof beside, "%s.%ld.new", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof beside) {
        errno = ENAMETOOLONG;
        return false;
    }
    unlink(beside);
    if (!write_new(beside, data, size, mode)) {
        return false;
    }
    if (rename(beside, path) != 0) {
        int fault = errno;
        unlink(beside);
        errno = fault;
        return false;
    }
    return files_sync_directory_of(path);
}

bool files_create(const char *path, const void *data, size_t size, unsigned mode)
{
    return write_new(path, data, size, mode) && files_sync_directory_of(path);
}

bool files_make_directory(const char *path)
{
    char part[FILES_PATH_SIZE];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return false;
        }
    }
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int files_hold_directory(const char *path)
{
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
        return descriptor;
    }
    const int fault = errno;
    close(descriptor);
    errno = fault;
    return -1;
}

bool files_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool files_join(char out[FILES_PATH_SIZE], const char *directory, const char *name)
{
    int length = snprintf(out, FILES_PATH_SIZE, "%s/%s", directory, name);
    return length > 0 && length < FILES_PATH_SIZE;
}

struct cJSON *files_read_json(const char *path, char problem[160])
{
    size_t size;
    char *text = files_read(path, FILES_TEXT_BYTES_MAX, &size);
    if (text == NULL) {
        snprintf(problem, 160, "%.100s: %.50s", path, strerror(errno));
        return NULL;
    }
    char reason[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(text, size, reason);
    free(text);
    if (object == NULL) {
        snprintf(problem, 160, "%.60s: %.95s", path, reason);
    }
    return object;
}

bool files_write_json(const char *path, const struct cJSON *object, unsigned mode)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text == NULL) {
        errno = ENOMEM;
        return false;
    }
    size_t size = strlen(text);
    text[size] = '\n'; /* In place of the NUL: the length is known. */
    bool ok = files_write(path, text, size + 1, mode);
    cJSON_free(text);
    return ok;
}
