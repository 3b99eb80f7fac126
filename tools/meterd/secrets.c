/* Files of secrets, mapped (secrets.h).
 *
 * Invariants: a file has its whole size on disk before it is mapped, so a full disk is an error here
 * and no signal later; a secret never leaves but as a copy that the caller wipes; a map that was
 * written is synced before it is given up. At most MAPS_MAX files are mapped at a time.
 *
 * Deliberately absent: a directory of what exists. A file's name says it. */
#include "tools/meterd/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"

enum { MAPS_MAX = 256, FILE_BYTES = METER_SECRETS_PER_FILE * METER_SECRET_BYTES };

struct map {
    uint8_t *bytes; /* NULL: free */
    int64_t day;
    uint32_t part;
    bool dirty;
    uint64_t used;
};

struct meter_secrets {
    pthread_mutex_t lock;
    char directory[FILES_PATH_SIZE];
    uint64_t uses;
    struct map maps[MAPS_MAX];
};

struct meter_secrets *meter_secrets_open(const char *directory)
{
    struct meter_secrets *secrets = calloc(1, sizeof *secrets);
    MUST(secrets != NULL);
    if (strlen(directory) + 64 > FILES_PATH_SIZE) {
        free(secrets);
        errno = ENAMETOOLONG;
        return NULL;
    }
    snprintf(secrets->directory, sizeof secrets->directory, "%s", directory);
    if (!files_make_directory(directory)) {
        free(secrets);
        return NULL;
    }
    MUST(pthread_mutex_init(&secrets->lock, NULL) == 0);
    return secrets;
}

static bool give_up(struct map *map)
{
    bool ok = !map->dirty || msync(map->bytes, FILE_BYTES, MS_SYNC) == 0;
    MUST(munmap(map->bytes, FILE_BYTES) == 0);
    map->bytes = NULL;
    map->dirty = false;
    return ok;
}

void meter_secrets_close(struct meter_secrets *secrets)
{
    for (size_t i = 0; i < MAPS_MAX; i++) {
        if (secrets->maps[i].bytes != NULL) {
            (void)give_up(&secrets->maps[i]);
        }
    }
    MUST(pthread_mutex_destroy(&secrets->lock) == 0);
    free(secrets);
}

static bool sync_directory(const char *directory)
{
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    bool ok = fsync(descriptor) == 0;
    return close(descriptor) == 0 && ok;
}

/* The file, mapped; NULL with errno 0 if it is not there and is not to be made. */
static uint8_t *map_file(const struct meter_secrets *secrets, int64_t day, uint32_t part, bool make)
{
    char path[FILES_PATH_SIZE];
    struct stat status;
    int length =
        snprintf(path, sizeof path, "%s/%" PRId64 "-%05" PRIu32, secrets->directory, day, part);
    MUST(length > 0 && length < FILES_PATH_SIZE);
    int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    if (descriptor < 0) {
        errno = errno == ENOENT && !make ? 0 : errno;
        return NULL;
    }
    bool ok = fstat(descriptor, &status) == 0;
    if (ok && status.st_size < FILE_BYTES) {
        /* New, or a crash came between making it and giving it its size. */
        int code = posix_fallocate(descriptor, 0, FILE_BYTES);
        errno = code;
        ok = code == 0 && fsync(descriptor) == 0 && sync_directory(secrets->directory);
    }
    void *bytes = MAP_FAILED;
    if (ok) {
        bytes = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    }
    int fault = bytes == MAP_FAILED ? errno : 0;
    (void)close(descriptor);
    errno = fault;
    return bytes == MAP_FAILED ? NULL : bytes;
}

/* With the lock held. NULL: errno 0 if there is no such file. */
static struct map *find_map(struct meter_secrets *secrets, int64_t day, uint32_t part, bool make)
{
    struct map *oldest = &secrets->maps[0];
    for (size_t i = 0; i < MAPS_MAX; i++) {
        struct map *map = &secrets->maps[i];
        if (map->bytes != NULL && map->day == day && map->part == part) {
            map->used = ++secrets->uses;
            return map;
        }
        if (oldest->bytes != NULL && (map->bytes == NULL || map->used < oldest->used)) {
            oldest = map;
        }
    }
    uint8_t *bytes = map_file(secrets, day, part, make);
    if (bytes == NULL) {
        return NULL;
    }
    if (oldest->bytes != NULL && !give_up(oldest)) {
        int fault = errno;
        MUST(munmap(bytes, FILE_BYTES) == 0);
        errno = fault;
        return NULL;
    }
    *oldest = (struct map){.bytes = bytes, .day = day, .part = part, .used = ++secrets->uses};
    return oldest;
}

static bool is_all(const uint8_t *secret, uint8_t byte)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < METER_SECRET_BYTES; i++) {
        differs |= secret[i] ^ byte;
    }
    return differs == 0;
}

static enum secret_state access_secret(struct meter_secrets *secrets,
                                       uint8_t out[METER_SECRET_BYTES], int64_t day,
                                       uint32_t device, bool make)
{
    enum secret_state state = SECRET_PRESENT;
    MUST(pthread_mutex_lock(&secrets->lock) == 0);
    struct map *map = find_map(secrets, day, device / METER_SECRETS_PER_FILE, make);
    if (map == NULL) {
        state = errno == 0 ? SECRET_ABSENT : SECRET_FAULT;
    } else {
        uint8_t *place =
            map->bytes + (size_t)(device % METER_SECRETS_PER_FILE) * METER_SECRET_BYTES;
        if (is_all(place, 0xff)) {
            state = SECRET_ERASED;
        } else if (is_all(place, 0) && !make) {
            state = SECRET_ABSENT;
        } else {
            /* Neither pattern is ever drawn: each has a chance of 2^-256. */
            if (is_all(place, 0)) {
                randombytes_buf(place, METER_SECRET_BYTES);
                map->dirty = true;
            }
            memcpy(out, place, METER_SECRET_BYTES);
        }
    }
    MUST(pthread_mutex_unlock(&secrets->lock) == 0);
    return state;
}

enum secret_state meter_secret_read(struct meter_secrets *secrets, uint8_t out[METER_SECRET_BYTES],
                                    int64_t day, uint32_t device)
{
    return access_secret(secrets, out, day, device, false);
}

enum secret_state meter_secret_make(struct meter_secrets *secrets, uint8_t out[METER_SECRET_BYTES],
                                    int64_t day, uint32_t device)
{
    return access_secret(secrets, out, day, device, true);
}

bool meter_secrets_sync(struct meter_secrets *secrets)
{
    bool ok = true;
    MUST(pthread_mutex_lock(&secrets->lock) == 0);
    for (size_t i = 0; i < MAPS_MAX; i++) {
        struct map *map = &secrets->maps[i];
        if (map->bytes != NULL && map->dirty) {
            bool synced = msync(map->bytes, FILE_BYTES, MS_SYNC) == 0;
            map->dirty = !synced;
            ok = ok && synced;
        }
    }
    MUST(pthread_mutex_unlock(&secrets->lock) == 0);
    return ok;
}

bool meter_secret_erase(struct meter_secrets *secrets, int64_t day, uint32_t device)
{
    MUST(pthread_mutex_lock(&secrets->lock) == 0);
    /* Made if it is not there: what is erased before it came must not come. */
    struct map *map = find_map(secrets, day, device / METER_SECRETS_PER_FILE, true);
    bool ok = map != NULL;
    if (ok) {
        memset(map->bytes + (size_t)(device % METER_SECRETS_PER_FILE) * METER_SECRET_BYTES, 0xff,
               METER_SECRET_BYTES);
        map->dirty = true;
        ok = msync(map->bytes, FILE_BYTES, MS_SYNC) == 0;
    }
    MUST(pthread_mutex_unlock(&secrets->lock) == 0);
    return ok;
}
