/* A process that dies, or whose disk fails, at the n-th step that changes names or makes them durable, by
 * LD_PRELOAD: mkdir, rename, link, unlink, rmdir, fsync, fdatasync, and opening a file that is made by it.
 *
 * STEP_KILL=n is SIGKILL to ourselves before the n-th such call; STEP_FAIL=n lets it fail with EIO. Without them
 * every call goes straight through. Programs with one thread only.
 *
 * Deliberately absent: what a power cut undoes (helpers/faults.c says why). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long steps;

static long wanted(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* True if this call fails; it may also be the last one. */
static bool step_fails(void)
{
    steps++;
    if (steps == wanted("STEP_KILL")) {
        (void)kill(getpid(), SIGKILL);
    }
    if (steps != wanted("STEP_FAIL")) {
        return false;
    }
    errno = EIO;
    return true;
}

static void find_real(void *pointer, size_t size, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL || size != sizeof found) {
        abort();
    }
    memcpy(pointer, &found, sizeof found);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = NULL;
    find_real(&real, sizeof real, "mkdir");
    return step_fails() ? -1 : real(path, mode);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = NULL;
    find_real(&real, sizeof real, "rename");
    return step_fails() ? -1 : real(from, to);
}

int link(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = NULL;
    find_real(&real, sizeof real, "link");
    return step_fails() ? -1 : real(from, to);
}

int unlink(const char *path)
{
    int (*real)(const char *) = NULL;
    find_real(&real, sizeof real, "unlink");
    return step_fails() ? -1 : real(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    int (*real)(int, const char *, int) = NULL;
    find_real(&real, sizeof real, "unlinkat");
    return step_fails() ? -1 : real(directory, path, flags);
}

int rmdir(const char *path)
{
    int (*real)(const char *) = NULL;
    find_real(&real, sizeof real, "rmdir");
    return step_fails() ? -1 : real(path);
}

int fsync(int fd)
{
    int (*real)(int) = NULL;
    find_real(&real, sizeof real, "fsync");
    return step_fails() ? -1 : real(fd);
}

int fdatasync(int fd)
{
    int (*real)(int) = NULL;
    find_real(&real, sizeof real, "fdatasync");
    return step_fails() ? -1 : real(fd);
}

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = NULL;
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    find_real(&real, sizeof real, "open");
    return (flags & O_CREAT) != 0 && step_fails() ? -1 : real(path, flags, mode);
}
