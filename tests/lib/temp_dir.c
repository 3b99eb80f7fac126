/* Directories and forked children for tests of storage. Anything unexpected aborts the test. */
#include "tests/lib/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fatal.h"

void temp_dir_make(char out[TEMP_PATH_SIZE])
{
    const char *root = getenv("TMPDIR");
    (void)snprintf(out, TEMP_PATH_SIZE, "%s/flex-storage-XXXXXX", root != NULL ? root : "/tmp");
    MUST(mkdtemp(out) != NULL);
}

static void path_of(char out[TEMP_PATH_SIZE * 2], const char *directory, const char *name)
{
    MUST(snprintf(out, TEMP_PATH_SIZE * 2, "%s/%s", directory, name) < TEMP_PATH_SIZE * 2);
}

void temp_dir_empty(const char *path)
{
    DIR *directory = opendir(path);
    MUST(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            MUST(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
        }
    }
    (void)closedir(directory);
}

void temp_dir_remove(const char *path)
{
    temp_dir_empty(path);
    MUST(rmdir(path) == 0);
}

unsigned char *temp_file_read(const char *directory, const char *name, size_t *size)
{
    char path[TEMP_PATH_SIZE * 2];
    struct stat status;
    path_of(path, directory, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && fstat(fd, &status) == 0);
    *size = (size_t)status.st_size;
    unsigned char *data = malloc(*size + 1);
    MUST(data != NULL && read(fd, data, *size) == (ssize_t)*size);
    (void)close(fd);
    return data;
}

void temp_file_write(const char *directory, const char *name, const void *data, size_t size)
{
    char path[TEMP_PATH_SIZE * 2];
    path_of(path, directory, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    MUST(size == 0 || write(fd, data, size) == (ssize_t)size);
    (void)close(fd);
}

void temp_dir_copy(const char *from, const char *to)
{
    temp_dir_empty(to);
    DIR *directory = opendir(from);
    MUST(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            size_t size;
            unsigned char *data = temp_file_read(from, entry->d_name, &size);
            temp_file_write(to, entry->d_name, data, size);
            free(data);
        }
    }
    (void)closedir(directory);
}

int temp_fork(void (*body)(void *context), void *context)
{
    int status = 0;
    (void)fflush(NULL);
    const pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        /* cmocka's handlers would go on with the test in the child. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        (void)close(STDERR_FILENO); /* the reason of an expected abort is no news */
        body(context);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
