/* Small files: read whole within a limit, written so that a crash leaves the old or the new one. */
#ifndef FLEX_BASE_FILES_H
#define FLEX_BASE_FILES_H

#include "base/bytes.h"

enum { FILES_PATH_SIZE = 1024, FILES_TEXT_BYTES_MAX = 64 * 1024 * 1024 };

/* The whole file, with a NUL behind its last byte; the caller frees. NULL with errno set if it
 * can't be read, EFBIG if it is over `limit`. A pipe can be read like a file. */
char *files_read(const char *path, size_t limit, size_t *size);
/* The same from an open descriptor, to its end; it stays open. */
char *files_read_descriptor(int descriptor, size_t limit, size_t *size);
/* All of it, however often the system writes a part. False with errno set. */
bool files_write_all(int descriptor, const void *data, size_t size);
/* Writes beside the file, syncs, renames. `mode` as for open(2). False with errno set. */
bool files_write(const char *path, const void *data, size_t size, unsigned mode);
/* The same, but never replaces: false with EEXIST if something of that name is there. */
bool files_create(const char *path, const void *data, size_t size, unsigned mode);
/* A rename is safe only once the directory that holds the name has been synced too. False with errno. */
bool files_sync_directory_of(const char *path);
/* Makes the directory and those above it, mode 0700; true if it is there afterwards. */
bool files_make_directory(const char *path);
bool files_exists(const char *path);
/* Holds a directory for this process, until the descriptor that it returns is closed or the process ends. -1 with
 * errno; EWOULDBLOCK: another process holds it. What is in the directory may come and go meanwhile. */
int files_hold_directory(const char *path);
/* "a/b" into out; false if it does not fit FILES_PATH_SIZE. */
bool files_join(char out[FILES_PATH_SIZE], const char *directory, const char *name);

struct cJSON;
/* A JSON file through the strict reader; NULL with the reason in `problem` (of 160 bytes). */
struct cJSON *files_read_json(const char *path, char problem[160]);
/* Prints the object in one line with a newline behind it, and writes it atomically. */
bool files_write_json(const char *path, const struct cJSON *object, unsigned mode);

#endif
