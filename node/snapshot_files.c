/* Directories and files of snapshots (node/snapshot_files.h).
 *
 * Invariants: a part's file appears whole or not at all; a snapshot's directory has its final name
 * only if all of its parts are on disk; nothing here follows a name that it has not made up itself.
 *
 * Deliberately absent: any look into the parts. */
#include "node/snapshot_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "storage/checksum.h"

enum {
    HEIGHT_DIGITS = 20,
    /* Files in one directory: all parts, and as many that are being written. */
    FILES_MAX = 2 * (SNAPSHOT_CHUNKS_MAX + SNAPSHOT_EPOCHS_MAX) + 1024,
    /* Entries of the parent directory that are looked at. */
    DIRECTORIES_MAX = 1024
};

static const char *const kind_names[SNAPSHOT_PART_KINDS] = {
    [SNAPSHOT_MANIFEST] = "manifest", [SNAPSHOT_EPOCH] = "epoch-", [SNAPSHOT_CHUNK] = "chunk-"};

static bool fault(char problem[SNAPSHOT_PROBLEM_SIZE], const char *path)
{
    (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "%.100s: %.40s", path, strerror(errno));
    return false;
}

void snapshot_part_name(char out[SNAPSHOT_NAME_SIZE], enum snapshot_part_kind kind, uint32_t index)
{
    if (kind == SNAPSHOT_MANIFEST)
        (void)snprintf(out, SNAPSHOT_NAME_SIZE, "%s", kind_names[kind]);
    else
        (void)snprintf(out, SNAPSHOT_NAME_SIZE, "%s%05u", kind_names[kind], index);
}

bool snapshot_part_of_name(const char *name, enum snapshot_part_kind *kind, uint32_t *index)
{
    *index = 0;
    for (int i = 0; i < SNAPSHOT_PART_KINDS; i++) {
        const size_t size = strlen(kind_names[i]);
        char same[SNAPSHOT_NAME_SIZE];
        if (strncmp(name, kind_names[i], size) != 0)
            continue;
        *kind = (enum snapshot_part_kind)i;
        const size_t digits = strspn(name + size, "0123456789");
        if (digits > 5)
            return false;
        for (size_t at = 0; at < digits; at++)
            *index = *index * 10 + (uint32_t)(name[size + at] - '0');
        snapshot_part_name(same, *kind, *index);
        return strcmp(same, name) == 0;
    }
    return false;
}

bool snapshot_path(char out[SNAPSHOT_PATH_SIZE], const char *parent, const char *name)
{
    const int size = snprintf(out, SNAPSHOT_PATH_SIZE, "%s/%s", parent, name);
    return size > 0 && size < SNAPSHOT_PATH_SIZE;
}

bool snapshot_height_path(char out[SNAPSHOT_PATH_SIZE], const char *directory, uint64_t height)
{
    char name[SNAPSHOT_NAME_SIZE];
    (void)snprintf(name, sizeof name, "%0*llu", HEIGHT_DIGITS, (unsigned long long)height);
    return snapshot_path(out, directory, name);
}

static bool part_path(char out[SNAPSHOT_PATH_SIZE], const char *directory,
                      enum snapshot_part_kind kind, uint32_t index)
{
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_part_name(name, kind, index);
    return snapshot_path(out, directory, name);
}

/* --- parts ------------------------------------------------------------------------------------ */

static uint64_t checksum_of(struct bytes_view bytes)
{
    return checksum_end(checksum_update(checksum_begin(), bytes.data, bytes.size));
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t wrote = write(fd, data + done, size - done);
        if (wrote < 0 && errno != EINTR)
            return false;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool snapshot_part_write(const char *directory, enum snapshot_part_kind kind, uint32_t index,
                         struct bytes_view bytes, bool durable, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    char path[SNAPSHOT_PATH_SIZE];
    char beside[SNAPSHOT_PATH_SIZE];
    uint8_t checksum[CHECKSUM_SIZE];
    if (!part_path(path, directory, kind, index) || !snapshot_path(beside, directory, "new-part")) {
        errno = ENAMETOOLONG;
        return fault(problem, directory);
    }
    const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return fault(problem, beside);
    checksum_write(checksum, checksum_of(bytes));
    bool good = write_all(fd, bytes.data, bytes.size) && write_all(fd, checksum, sizeof checksum) &&
                (!durable || fdatasync(fd) == 0);
    if (!good)
        (void)fault(problem, beside);
    (void)close(fd);
    if (good && rename(beside, path) != 0)
        good = fault(problem, path);
    return good;
}

static bool read_whole(int fd, uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = read(fd, data + done, size - done);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

enum snapshot_read snapshot_part_read(const char *directory, enum snapshot_part_kind kind,
                                      uint32_t index, struct bytes_view *bytes)
{
    char path[SNAPSHOT_PATH_SIZE];
    struct stat status;
    *bytes = bytes_view_of(NULL, 0);
    if (!part_path(path, directory, kind, index))
        return SNAPSHOT_READ_ABSENT;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SNAPSHOT_READ_ABSENT : SNAPSHOT_READ_DAMAGED;
    bool good = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_size >= CHECKSUM_SIZE &&
                status.st_size <= SNAPSHOT_PART_BYTES_MAX + CHECKSUM_SIZE;
    const size_t size = good ? (size_t)status.st_size : 0;
    uint8_t *data = good ? malloc(size) : NULL;
    good = data != NULL && read_whole(fd, data, size);
    (void)close(fd);
    if (good)
        *bytes = bytes_view_of(data, size - CHECKSUM_SIZE);
    if (!good || checksum_read(data + size - CHECKSUM_SIZE) != checksum_of(*bytes)) {
        free(data);
        *bytes = bytes_view_of(NULL, 0);
        return SNAPSHOT_READ_DAMAGED;
    }
    return SNAPSHOT_READ_OK;
}

void snapshot_bytes_free(struct bytes_view bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* --- directories ------------------------------------------------------------------------------ */

static bool height_of_name(const char *name, uint64_t *height)
{
    *height = 0;
    if (strlen(name) != HEIGHT_DIGITS || strspn(name, "0123456789") != HEIGHT_DIGITS ||
        strcmp(name, "18446744073709551615") > 0)
        return false;
    for (int i = 0; i < HEIGHT_DIGITS; i++)
        *height = *height * 10 + (uint64_t)(name[i] - '0');
    return true;
}

uint32_t snapshot_heights(const char *directory, uint64_t heights[SNAPSHOT_KEPT_MAX])
{
    uint32_t count = 0;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return 0;
    for (int seen = 0; seen < DIRECTORIES_MAX; seen++) {
        const struct dirent *entry = readdir(listing);
        uint64_t height = 0;
        if (entry == NULL)
            break;
        if (!height_of_name(entry->d_name, &height))
            continue;
        if (count == SNAPSHOT_KEPT_MAX) { /* the lowest gives way */
            if (height < heights[0])
                continue;
            memmove(heights, heights + 1, (SNAPSHOT_KEPT_MAX - 1) * sizeof heights[0]);
            count--;
        }
        uint32_t at = count++;
        for (; at > 0 && heights[at - 1] > height; at--)
            heights[at] = heights[at - 1];
        heights[at] = height;
    }
    (void)closedir(listing);
    return count;
}

bool snapshot_remove(const char *path)
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return errno == ENOENT;
    for (int seen = 0; seen < FILES_MAX; seen++) {
        const struct dirent *entry = readdir(listing);
        if (entry == NULL)
            break;
        (void)unlinkat(dirfd(listing), entry->d_name, 0); /* fails on "." and ".." */
    }
    (void)closedir(listing);
    return rmdir(path) == 0;
}

bool snapshot_retire(const char *directory, uint64_t height)
{
    char path[SNAPSHOT_PATH_SIZE];
    char going[SNAPSHOT_PATH_SIZE];
    return snapshot_height_path(path, directory, height) &&
           snapshot_path(going, directory, "going") && snapshot_remove(going) &&
           rename(path, going) == 0 && snapshot_remove(going);
}

bool snapshot_make_directory(const char *path, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    if (!snapshot_remove(path) || mkdir(path, 0755) != 0)
        return fault(problem, path);
    return true;
}

static bool sync_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool good = fsync(fd) == 0;
    (void)close(fd);
    return good;
}

bool snapshot_publish(const char *directory, const char *unfinished, uint64_t height,
                      char problem[SNAPSHOT_PROBLEM_SIZE])
{
    char path[SNAPSHOT_PATH_SIZE];
    if (!snapshot_height_path(path, directory, height)) {
        errno = ENAMETOOLONG;
        return fault(problem, directory);
    }
    if (!sync_directory(unfinished) || rename(unfinished, path) != 0 || !sync_directory(directory))
        return fault(problem, path);
    return true;
}
