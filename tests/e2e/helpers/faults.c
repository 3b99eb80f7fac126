/* Faults of disk and clock inside a real flexd, by LD_PRELOAD: the process dies, fails or lies at
 * system calls that a test chooses, while it runs.
 *
 * The test and the process share a page, the file that FAULTS_CONTROL names: an array of 64-bit
 * words (enum control_word; tests/e2e/cluster.py writes them by the same numbers). All zero means no
 * fault. Kills count boundaries of the vote journal: a write to a segment, its fdatasync, and the
 * first bytes sent after one.
 *
 * Invariants: without FAULTS_CONTROL every call goes straight through; a kill is SIGKILL to
 * ourselves, so nothing is flushed, closed or said; a torn append writes half and dies.
 *
 * Deliberately absent: anything that undoes what a power cut undoes. Bytes that were written and not
 * synced survive a SIGKILL in the page cache; losing them is the simulator's part. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum control_word {
    KILL_KIND,       /* enum kill_kind; 0: none */
    KILL_COUNTDOWN,  /* boundaries of that kind still to be crossed */
    EIO_SYNCS,       /* so many syncs of the journal fail with EIO */
    SLOW_SYNC_MS,    /* every sync takes that much longer */
    ENOSPC_JOURNAL,  /* writes to the journal fail */
    ENOSPC_STORE,    /* writes to the chain database fail */
    NO_DISK_LEFT,    /* fstatvfs says that nothing is free */
    CLOCK_OFFSET_MS, /* added to the wall clock, signed */
    INJECTED,        /* faults so far, counted by us */
    CONTROL_WORDS = 64
};

enum kill_kind {
    KILL_BEFORE_APPEND = 1,
    KILL_TORN_APPEND = 2,
    KILL_AFTER_APPEND = 3,
    KILL_AFTER_SYNC = 4,
    KILL_AFTER_SEND = 5
};

enum file_kind { FILE_OTHER, FILE_SEGMENT, FILE_JOURNAL_OTHER, FILE_STORE };

static _Atomic int64_t *control;
static atomic_bool synced_since_send;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("FAULTS_CONTROL");
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *page =
        mmap(NULL, CONTROL_WORDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page != MAP_FAILED) {
        control = page;
    }
}

static int64_t word(enum control_word which)
{
    return control != NULL ? atomic_load(&control[which]) : 0;
}

static void count_fault(void)
{
    atomic_fetch_add(&control[INJECTED], 1);
}

/* Looks the real function up once. Two threads may both do so: they store the same pointer. */
static void find_real(void *pointer, size_t size, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL || size != sizeof found) {
        abort();
    }
    memcpy(pointer, &found, sizeof found);
}

static enum file_kind kind_of(int fd)
{
    char link[64];
    char path[1024];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (control == NULL || size <= 0) {
        return FILE_OTHER;
    }
    path[size] = '\0';
    if (strstr(path, "/journal/journal-") != NULL) {
        return FILE_SEGMENT;
    }
    if (strstr(path, "/journal/") != NULL) {
        return FILE_JOURNAL_OTHER;
    }
    return strstr(path, "/data/data.mdb") != NULL ? FILE_STORE : FILE_OTHER;
}

/* True once: when the last of the boundaries that were to be crossed is reached. */
static bool kill_is_due(enum kill_kind kind)
{
    return word(KILL_KIND) == (int64_t)kind && atomic_fetch_sub(&control[KILL_COUNTDOWN], 1) == 1;
}

_Noreturn static void die(void)
{
    count_fault();
    (void)kill(getpid(), SIGKILL);
    for (;;) {
        (void)pause();
    }
}

/* Sets errno and counts; for `return fail(...)`. */
static int fail(int code)
{
    count_fault();
    errno = code;
    return -1;
}

static bool has_no_room(enum file_kind kind)
{
    return ((kind == FILE_SEGMENT || kind == FILE_JOURNAL_OTHER) && word(ENOSPC_JOURNAL) != 0) ||
           (kind == FILE_STORE && word(ENOSPC_STORE) != 0);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) {
        find_real(&real, sizeof real, "pwrite");
    }
    const enum file_kind kind = kind_of(fd);
    if (has_no_room(kind)) {
        return fail(ENOSPC);
    }
    if (kind == FILE_SEGMENT && kill_is_due(KILL_BEFORE_APPEND)) {
        die();
    }
    if (kind == FILE_SEGMENT && kill_is_due(KILL_TORN_APPEND)) {
        (void)!real(fd, data, size / 2, offset);
        die();
    }
    const ssize_t result = real(fd, data, size, offset);
    if (kind == FILE_SEGMENT && kill_is_due(KILL_AFTER_APPEND)) {
        die();
    }
    return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (real == NULL) {
        find_real(&real, sizeof real, "writev");
    }
    return has_no_room(kind_of(fd)) ? fail(ENOSPC) : real(fd, parts, count);
}

static void be_slow(void)
{
    const int64_t delay_ms = word(SLOW_SYNC_MS);
    if (delay_ms > 0) {
        const struct timespec pause_for = {.tv_sec = delay_ms / 1000,
                                           .tv_nsec = (delay_ms % 1000) * 1000000};
        count_fault();
        (void)nanosleep(&pause_for, NULL);
    }
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL) {
        find_real(&real, sizeof real, "fdatasync");
    }
    const enum file_kind kind = kind_of(fd);
    if (kind == FILE_OTHER) {
        return real(fd);
    }
    be_slow();
    if (kind != FILE_SEGMENT) {
        return real(fd);
    }
    if (word(EIO_SYNCS) > 0) {
        atomic_fetch_sub(&control[EIO_SYNCS], 1);
        return fail(EIO);
    }
    const int result = real(fd);
    if (kill_is_due(KILL_AFTER_SYNC)) {
        die();
    }
    atomic_store(&synced_since_send, true);
    return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, const struct msghdr *, int);
    if (real == NULL) {
        find_real(&real, sizeof real, "sendmsg");
    }
    const ssize_t result = real(fd, message, flags);
    if (result > 0 && atomic_exchange(&synced_since_send, false) && kill_is_due(KILL_AFTER_SEND)) {
        die();
    }
    return result;
}

int fstatvfs(int fd, struct statvfs *out)
{
    static int (*real)(int, struct statvfs *);
    if (real == NULL) {
        find_real(&real, sizeof real, "fstatvfs");
    }
    const int result = real(fd, out);
    if (result == 0 && word(NO_DISK_LEFT) != 0) {
        count_fault();
        out->f_bavail = 0;
        out->f_bfree = 0;
    }
    return result;
}

/* --- the wall clock; the monotonic one stays true, as it does on a real machine ---------------- */

static void shift(struct timespec *time, int64_t by_ms)
{
    int64_t nanoseconds = time->tv_nsec + (by_ms % 1000) * 1000000;
    time->tv_sec += by_ms / 1000;
    if (nanoseconds < 0) {
        nanoseconds += 1000000000;
        time->tv_sec--;
    } else if (nanoseconds >= 1000000000) {
        nanoseconds -= 1000000000;
        time->tv_sec++;
    }
    time->tv_nsec = (long)nanoseconds;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) {
        find_real(&real, sizeof real, "clock_gettime");
    }
    const int result = real(clock, out);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        shift(out, word(CLOCK_OFFSET_MS));
    }
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

/* A deadline on the wall clock was computed from the shifted one, and the kernel counts on the true
 * one. No machine has been up for the 16 years at which a monotonic deadline would look like it. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    struct timespec deadline = *until;
    if (deadline.tv_sec < 500000000) {
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &deadline);
    }
    shift(&deadline, -word(CLOCK_OFFSET_MS));
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &deadline);
}
