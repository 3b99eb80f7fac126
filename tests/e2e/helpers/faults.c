/* Faults of disk and clock inside a real flexd, by LD_PRELOAD: the process dies, fails or lies at
 * system calls that a test chooses, while it runs.
 *
 * The test and the process share a page, the file that FAULTS_CONTROL names: an array of 64-bit
 * words (enum control_word; tests/e2e/cluster.py writes them by the same numbers). All zero means no
 * fault. Kills count boundaries: of the vote journal a write to a segment, its fdatasync, and the first
 * bytes sent after one; of the chain database the sync of its pages and the write of its meta page.
 *
 * Invariants: without FAULTS_CONTROL every call goes straight through; a kill is SIGKILL to
 * ourselves, so nothing is flushed, closed or said; a torn append writes half and dies.
 *
 * Deliberately absent: anything that undoes what a power cut undoes. Bytes that were written and not
 * synced survive a SIGKILL in the page cache; losing them is the simulator's part. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
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
    KILL_KIND,        /* enum kill_kind; 0: none */
    KILL_COUNTDOWN,   /* boundaries of that kind still to be crossed */
    EIO_SYNCS,        /* so many syncs of the journal fail with EIO */
    SLOW_SYNC_MS,     /* every sync takes that much longer */
    JOURNAL_ERRNO,    /* writes to the journal fail with it */
    STORE_ERRNO,      /* writes to the chain database fail with it */
    NO_DISK_LEFT,     /* fstatvfs says that nothing is free */
    CLOCK_OFFSET_MS,  /* added to the wall clock, signed */
    INJECTED,         /* faults so far, counted by us */
    MONOTONIC_LAG_MS, /* how far the monotonic clock has fallen behind; the test lets it only grow */
    MAP_FULL_PUTS,    /* so many mdb_put say MDB_MAP_FULL */
    MAP_FULL_COMMITS, /* so many mdb_txn_commit say so and undo */
    CONTROL_WORDS = 64
};

enum kill_kind {
    KILL_BEFORE_APPEND = 1,
    KILL_TORN_APPEND = 2,
    KILL_AFTER_APPEND = 3,
    KILL_AFTER_SYNC = 4,
    KILL_AFTER_SEND = 5,
    KILL_BEFORE_COMMIT = 6, /* the database's pages are written and not synced */
    KILL_IN_COMMIT = 7,     /* synced, and the page that makes them count is not written */
    KILL_AFTER_COMMIT = 8   /* that page is written */
};

enum file_kind { FILE_OTHER, FILE_SEGMENT, FILE_JOURNAL_OTHER, FILE_STORE };

static _Atomic int64_t *control;
static atomic_bool synced_since_send;
static bool store_synced; /* and its meta page not written yet; one thread commits */

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

/* The error that writes to such a file end with; 0: none. */
static int write_error(enum file_kind kind)
{
    switch (kind) {
    case FILE_SEGMENT:
    case FILE_JOURNAL_OTHER:
        return (int)word(JOURNAL_ERRNO);
    case FILE_STORE:
        return (int)word(STORE_ERRNO);
    case FILE_OTHER:
        break;
    }
    return 0;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) {
        find_real(&real, sizeof real, "pwrite");
    }
    const enum file_kind kind = kind_of(fd);
    if (write_error(kind) != 0) {
        return fail(write_error(kind));
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
    if (kind == FILE_STORE && store_synced) {
        store_synced = false;
        if (kill_is_due(KILL_AFTER_COMMIT)) {
            die();
        }
    }
    return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (real == NULL) {
        find_real(&real, sizeof real, "writev");
    }
    const int code = write_error(kind_of(fd));
    return code != 0 ? fail(code) : real(fd, parts, count);
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

/* LMDB syncs its pages and then writes one of two meta pages, through a descriptor that syncs itself. */
static int sync_store(int fd, int (*real)(int))
{
    if (kill_is_due(KILL_BEFORE_COMMIT)) {
        die();
    }
    const int result = real(fd);
    if (kill_is_due(KILL_IN_COMMIT)) {
        die();
    }
    store_synced = true;
    return result;
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
    if (kind == FILE_STORE) {
        return sync_store(fd, real);
    }
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

/* --- a full map, at the calls that LMDB documents it for ------------------------------------------ */

/* True as often as the word says. */
static bool take_one(enum control_word which)
{
    int64_t left = word(which);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&control[which], &left, left - 1)) {
            count_fault();
            return true;
        }
    }
    return false;
}

int mdb_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags)
{
    static int (*real)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned);
    if (real == NULL) {
        find_real(&real, sizeof real, "mdb_put");
    }
    return take_one(MAP_FULL_PUTS) ? MDB_MAP_FULL : real(txn, table, key, value, flags);
}

/* As in LMDB, a commit that fails has undone and freed the transaction. */
int mdb_txn_commit(MDB_txn *txn)
{
    static int (*real)(MDB_txn *);
    static void (*undo)(MDB_txn *);
    if (real == NULL) {
        find_real(&undo, sizeof undo, "mdb_txn_abort");
        find_real(&real, sizeof real, "mdb_txn_commit");
    }
    if (take_one(MAP_FULL_COMMITS)) {
        undo(txn);
        return MDB_MAP_FULL;
    }
    return real(txn);
}

/* --- the clocks: the wall clock jumps; the monotonic one only ever falls behind, as it does when a
 * virtual machine moves ------------------------------------------------------------------------- */

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

/* The lag grows in steps while time flows: what was shown before is the least that is shown. */
static void fall_behind(struct timespec *time)
{
    static _Atomic int64_t shown_ns;
    static _Atomic int64_t lag_seen_ns;
    const int64_t lag_ns = word(MONOTONIC_LAG_MS) * 1000000;
    if (lag_ns == 0) {
        return;
    }
    if (atomic_exchange(&lag_seen_ns, lag_ns) != lag_ns) {
        count_fault();
    }
    const int64_t now_ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec - lag_ns;
    int64_t before_ns = atomic_load(&shown_ns);
    while (before_ns < now_ns && !atomic_compare_exchange_weak(&shown_ns, &before_ns, now_ns)) {
    }
    const int64_t show_ns = before_ns < now_ns ? now_ns : before_ns;
    time->tv_sec = show_ns / 1000000000;
    time->tv_nsec = show_ns % 1000000000;
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
    if (result == 0 && clock == CLOCK_MONOTONIC) {
        fall_behind(out);
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
        shift(&deadline, word(MONOTONIC_LAG_MS));
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &deadline);
    }
    shift(&deadline, -word(CLOCK_OFFSET_MS));
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &deadline);
}
