/* The vote journal: opening, appending, syncing, pruning.
 *
 * Files in the directory (integers big-endian; checksums CRC-64, storage/checksum.h):
 *
 *   lock            held by flock while the journal is open
 *   sign-state      two slots, sign_state.c
 *   journal-N       segment N, twenty digits, from 1 on without gaps:
 *     header        "FLEXJRNL" | u32 version | genesis hash | u64 epoch | u64 N | u64 floor view |
 *                   u64 checksum of the header
 *     record        u32 payload size | u8 type | u32 turn start | payload |
 *                   u64 checksum over u64 N, u64 offset of the record, and all before the checksum
 *
 *   record type     payload
 *   VOTE, PEER_VOTE vote (consensus/vote.h)
 *   CERTIFICATE     certificate
 *   CERTIFIED       u64 view | block id
 *   BLOCK           header | sized body
 *
 * Durability invariants:
 *  J1 When journal_sync returns, all that was appended before is on disk: one fdatasync per turn.
 *  J2 A failed sync aborts the process, and so does a failed write. After such a failure the kernel may
 *     have dropped the pages and call them clean; a second try would report a success that isn't one.
 *     Only a write that finds no room is tried again once there may be some: it has taken nothing into
 *     the cache that a later sync could miss, and the same bytes go to the same place.
 *  J3 A segment's header and its directory entry are synced before the first record is written, and
 *     a segment is complete and synced before the next one is made.
 *  J4 What was read at opening is synced before it is believed to be durable: a record may have been
 *     written, but not synced, by a process that was killed.
 *  J5 The latest own vote is never deleted, and sign-state is written only after the journal's sync;
 *     so sign-state never knows a vote that the journal doesn't, unless the journal was rolled back.
 *  J6 Before a segment is deleted, sign-state says durably that it may be missing.
 *  J7 Nothing is deleted or cut, save a torn tail, in a journal that was opened with a finding.
 *  J8 A segment is deleted only once the newest one holds every validator's highest vote that is known:
 *     whoever's disk was rolled back is told of its votes, however old the segment that had them.
 *
 * Deliberately absent: repair, compaction, and any second try after an error. */
#include "storage/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/file_io.h"
#include "storage/journal_internal.h"

static const uint8_t segment_magic[8] = {'F', 'L', 'E', 'X', 'J', 'R', 'N', 'L'};
static const char segment_prefix[] = "journal-";
static const size_t segment_bytes_default = (size_t)16 << 20;
enum { SEGMENT_DIGITS = 20 };

static const struct file_io real_io = {.pwrite = pwrite, .fdatasync = fdatasync, .fsync = fsync};
const struct file_io *storage_file_io = &real_io;

/* --- small things ---------------------------------------------------------------------------- */

void journal_segment_name(char out[JOURNAL_NAME_SIZE], uint64_t number)
{
    (void)snprintf(out, JOURNAL_NAME_SIZE, "%s%020llu", segment_prefix, (unsigned long long)number);
}

void journal_segment_header(uint8_t out[SEGMENT_HEADER_SIZE], const struct journal_config *config,
                            uint64_t number, uint64_t floor_view)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, SEGMENT_HEADER_SIZE);
    byte_write_raw(&writer, segment_magic, sizeof segment_magic);
    byte_write_u32(&writer, JOURNAL_VERSION);
    byte_write_raw(&writer, config->genesis.bytes, HASH_SIZE);
    byte_write_u64(&writer, config->epoch);
    byte_write_u64(&writer, number);
    byte_write_u64(&writer, floor_view);
    byte_write_u64(&writer, journal_checksum(0, 0, out, writer.size));
    MUST(!writer.failed && writer.size == SEGMENT_HEADER_SIZE);
}

bool journal_vote_is_later(const struct vote *a, const struct vote *b)
{
    return a->view > b->view || (a->view == b->view && a->kind > b->kind);
}

void journal_peers_note(struct journal_peers *peers, const struct vote *vote)
{
    if (vote->signer >= LIMIT_VALIDATORS) {
        return;
    }
    const uint32_t bit = UINT32_C(1) << vote->signer;
    if ((peers->known & bit) == 0 || journal_vote_is_later(vote, &peers->high[vote->signer])) {
        peers->high[vote->signer] = *vote;
        peers->known |= bit;
    }
}

static struct segment *newest(struct journal *journal)
{
    MUST(journal->segment_count > 0);
    return &journal->segments[journal->segment_count - 1];
}

/* Is the write to be tried again? False: no, never; aborts if the failure is of another kind. */
static bool wait_for_room(struct journal *journal, const char *what, int code)
{
    if (journal->on_full == NULL || (code != ENOSPC && code != EDQUOT)) {
        fatal_system(what, code);
    }
    journal->waited = true;
    journal->given_up = !journal->on_full(journal->full_context, true);
    return !journal->given_up;
}

/* After a write that had to wait. */
static void tell_room(struct journal *journal)
{
    if (journal->waited) {
        journal->waited = false;
        (void)journal->on_full(journal->full_context, false);
    }
}

void journal_on_full(struct journal *journal, journal_full_fn on_full, void *context)
{
    journal->on_full = on_full;
    journal->full_context = context;
}

/* False if the wait for room was given up. */
static bool write_all(struct journal *journal, const uint8_t *data, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t wrote =
            storage_file_io->pwrite(journal->fd, data + done, size - done, (off_t)(offset + done));
        if (wrote > 0) {
            done += (size_t)wrote;
            continue;
        }
        /* A write of nothing is how some file systems say that there is no room. */
        if (!wait_for_room(journal, "journal: a write failed", wrote < 0 ? errno : ENOSPC)) {
            return false;
        }
    }
    tell_room(journal);
    return true;
}

static bool write_sign_state(struct journal *journal)
{
    for (;;) {
        const int code = sign_state_write(&journal->sign, &journal->sign_fd, journal->directory_fd,
                                          &journal->config.genesis);
        if (code == 0) {
            tell_room(journal);
            return true;
        }
        if (!wait_for_room(journal, "journal: sign-state cannot be written", code)) {
            return false;
        }
    }
}

static void sync_data(int fd)
{
    if (storage_file_io->fdatasync(fd) != 0) {
        fatal_system("journal: fdatasync failed", errno);
    }
}

static void sync_directory(const struct journal *journal)
{
    if (storage_file_io->fsync(journal->directory_fd) != 0) {
        fatal_system("journal: syncing the directory failed", errno);
    }
}

/* --- records --------------------------------------------------------------------------------- */

/* Hands the buffer to the operating system; the sync comes later. */
static bool flush(struct journal *journal)
{
    struct segment *segment = newest(journal);
    if (!journal->given_up &&
        write_all(journal, journal->buffer, journal->buffered, segment->size)) {
        segment->size += journal->buffered;
    }
    journal->buffered = 0; /* also of a journal that was given up: nothing of it will count */
    return !journal->given_up;
}

/* Starts a record of `size` payload bytes; close_record ends it. */
static struct byte_writer open_record(struct journal *journal, enum journal_record type,
                                      size_t size, uint64_t view)
{
    struct byte_writer writer;
    MUST(size <= RECORD_PAYLOAD_MAX);
    if (JOURNAL_BUFFER_BYTES - journal->buffered < RECORD_EXTRA_SIZE + size) {
        (void)flush(journal); /* journal_sync tells */
    }
    struct segment *segment = newest(journal);
    MUST(segment->size + journal->buffered + RECORD_EXTRA_SIZE + size <= UINT32_MAX);
    if (view > segment->view_max) {
        segment->view_max = view;
    }
    byte_writer_init(&writer, journal->buffer + journal->buffered, RECORD_EXTRA_SIZE + size);
    byte_write_u32(&writer, (uint32_t)size);
    byte_write_u8(&writer, (uint8_t)type);
    byte_write_u32(&writer, journal->turn_start);
    return writer;
}

static void close_record(struct journal *journal, struct byte_writer *writer)
{
    const struct segment *segment = newest(journal);
    byte_write_u64(writer, journal_checksum(segment->number, segment->size + journal->buffered,
                                            writer->data, writer->size));
    MUST(!writer->failed && writer->size == writer->capacity);
    journal->buffered += writer->size;
    journal->unsynced = true;
}

static void append_vote(struct journal *journal, enum journal_record type, const struct vote *vote)
{
    struct byte_writer writer = open_record(journal, type, VOTE_BYTES, vote->view);
    codec_encode(&vote_record, vote, &writer);
    close_record(journal, &writer);
}

/* J8. Their views are not the segment's: the next one has these votes, too. */
static void carry_peers(struct journal *journal)
{
    const uint64_t view_max = newest(journal)->view_max;
    for (uint32_t i = 0; i < LIMIT_VALIDATORS; i++) {
        if ((journal->peers.known >> i & 1) != 0) {
            append_vote(journal, JOURNAL_PEER_VOTE, &journal->peers.high[i]);
        }
    }
    newest(journal)->view_max = view_max;
    journal->carry = false;
}

/* Makes segment `number`, durably, and appends to it from now on. False if the wait for room was given
 * up. */
static bool segment_create(struct journal *journal, uint64_t number)
{
    char name[JOURNAL_NAME_SIZE];
    uint8_t header[SEGMENT_HEADER_SIZE];
    if (journal->segment_count == JOURNAL_SEGMENTS_MAX) {
        fatal_environment("journal: too many segments; finality has not moved for too long");
    }
    if (journal->fd >= 0) {
        (void)close(journal->fd);
    }
    journal_segment_name(name, number);
    do {
        journal->fd =
            openat(journal->directory_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (journal->fd < 0 &&
            !wait_for_room(journal, "journal: a segment cannot be made", errno)) {
            return false;
        }
    } while (journal->fd < 0);
    journal_segment_header(header, &journal->config, number, journal->floor_view);
    if (!write_all(journal, header, sizeof header, 0)) {
        return false;
    }
    journal->segments[journal->segment_count++] =
        (struct segment){.number = number, .size = sizeof header};
    journal->turn_start = sizeof header;
    carry_peers(journal);
    if (!flush(journal)) {
        return false;
    }
    sync_data(journal->fd);
    sync_directory(journal);
    journal->unsynced = false;
    journal->turn_start = (uint32_t)newest(journal)->size;
    return true;
}

/* --- opening --------------------------------------------------------------------------------- */

static int compare_segments(const void *a, const void *b)
{
    const struct segment *x = a;
    const struct segment *y = b;
    return x->number < y->number ? -1 : x->number > y->number ? 1 : 0;
}

/* The number in a segment's file name; 0 if it is none. */
static uint64_t segment_number_of(const char *name)
{
    const size_t prefix = sizeof segment_prefix - 1;
    uint64_t number = 0;
    if (strncmp(name, segment_prefix, prefix) != 0 || strlen(name) != prefix + SEGMENT_DIGITS) {
        return 0;
    }
    for (const char *digit = name + prefix; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return 0;
        }
        number = number * 10 + (uint64_t)(*digit - '0');
    }
    return number;
}

static bool list_segments(struct journal *journal)
{
    const int fd = openat(journal->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    bool fits = true;
    if (directory == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        const uint64_t number = segment_number_of(entry->d_name);
        if (number == 0) {
            continue;
        }
        if (journal->segment_count == JOURNAL_SEGMENTS_MAX) {
            fits = false;
            break;
        }
        journal->segments[journal->segment_count++] = (struct segment){.number = number};
    }
    (void)closedir(directory);
    qsort(journal->segments, journal->segment_count, sizeof *journal->segments, compare_segments);
    return fits;
}

/* Deletes what a prune had given up but a crash left behind. */
static void drop_pruned_leftovers(struct journal *journal)
{
    uint32_t dropped = 0;
    while (dropped < journal->segment_count &&
           journal->segments[dropped].number < journal->sign.first_segment) {
        char name[JOURNAL_NAME_SIZE];
        journal_segment_name(name, journal->segments[dropped].number);
        if (!journal->read_only) {
            (void)unlinkat(journal->directory_fd, name, 0);
        }
        dropped++;
    }
    journal->segment_count -= dropped;
    memmove(journal->segments, journal->segments + dropped,
            journal->segment_count * sizeof *journal->segments);
}

/* A reader shares the lock with other readers, and does without one where none was ever made. */
static bool take_lock(struct journal *journal)
{
    const int flags = journal->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    journal->lock_fd = openat(journal->directory_fd, "lock", flags | O_CLOEXEC, 0600);
    if (journal->lock_fd < 0) {
        return journal->read_only && errno == ENOENT;
    }
    return flock(journal->lock_fd, (journal->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0;
}

static enum journal_result prepare(struct journal *journal, char problem[160])
{
    const char *path = journal->config.directory;
    const bool made = !journal->read_only && mkdir(path, 0700) == 0;
    if (!made && !journal->read_only && errno != EEXIST) {
        (void)snprintf(problem, 160, "the directory cannot be made: %s", strerror(errno));
        return JOURNAL_FAULT;
    }
    journal->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->directory_fd < 0) {
        (void)snprintf(problem, 160, "the directory cannot be opened: %s", strerror(errno));
        return JOURNAL_FAULT;
    }
    if (made) {
        const int parent = openat(journal->directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || storage_file_io->fsync(parent) != 0) {
            fatal_system("journal: syncing the directory's parent failed", errno);
        }
        (void)close(parent);
    }
    if (!take_lock(journal)) {
        (void)snprintf(problem, 160, "another process has the journal open, or no lock: %s",
                       strerror(errno));
        return JOURNAL_FAULT;
    }
    const enum journal_result result =
        sign_state_load(&journal->sign, journal->directory_fd, &journal->config.genesis,
                        journal->read_only, &journal->sign_fd);
    if (result != JOURNAL_OK) {
        (void)snprintf(problem, 160, "sign-state is %s",
                       result == JOURNAL_MISMATCH  ? "another chain's"
                       : result == JOURNAL_DAMAGED ? "damaged"
                                                   : "unreadable");
    }
    return result;
}

/* Numbers from the first on without gaps, the first being the one that sign-state names. */
static enum journal_result check_sequence(const struct journal *journal, char problem[160])
{
    const uint64_t first = journal->sign.first_segment > 0 ? journal->sign.first_segment : 1;
    if (journal->segment_count == 0) {
        if (!journal->sign.exists) {
            return JOURNAL_OK;
        }
        (void)snprintf(problem, 160, "sign-state is there, but no journal");
        return JOURNAL_MISSING;
    }
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        if (journal->segments[i].number != first + i) {
            (void)snprintf(problem, 160, "segment %llu is missing",
                           (unsigned long long)(first + i));
            return JOURNAL_MISSING;
        }
    }
    return JOURNAL_OK;
}

/* The whole of a segment's file; NULL if it can't be read. */
static uint8_t *read_segment(int fd, size_t *size)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size < 0 || status.st_size > (off_t)UINT32_MAX) {
        return NULL;
    }
    *size = (size_t)status.st_size;
    uint8_t *bytes = malloc(*size + 1);
    size_t done = 0;
    while (bytes != NULL && done < *size) {
        const ssize_t got = pread(fd, bytes + done, *size - done, (off_t)done);
        if (got <= 0) {
            free(bytes);
            return NULL;
        }
        done += (size_t)got;
    }
    return bytes;
}

/* Cuts a torn tail off the newest segment, or does away with one whose making was torn. */
static void cut_tail(struct journal *journal, int fd, uint64_t good_bytes)
{
    char name[JOURNAL_NAME_SIZE];
    const uint64_t number = newest(journal)->number;
    log_line(LOG_INFO, "journal: torn tail of segment %llu from byte %llu on -> cut",
             (unsigned long long)number, (unsigned long long)good_bytes);
    if (good_bytes > 0) {
        if (ftruncate(fd, (off_t)good_bytes) != 0) {
            fatal_system("journal: a torn tail cannot be cut", errno);
        }
        return;
    }
    journal_segment_name(name, number);
    if (unlinkat(journal->directory_fd, name, 0) != 0) {
        fatal_system("journal: a torn segment cannot be deleted", errno);
    }
    sync_directory(journal);
    journal->segment_count--;
}

static enum journal_result replay_segment(struct journal *journal, uint32_t index,
                                          struct segment_scan *scan, char problem[160])
{
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    scan->number = journal->segments[index].number;
    scan->is_last = index + 1 == journal->segment_count;
    scan->good_bytes = 0;
    scan->view_max = 0;
    journal_segment_name(name, scan->number);
    const int fd =
        openat(journal->directory_fd, name, (journal->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    uint8_t *bytes = fd >= 0 ? read_segment(fd, &size) : NULL;
    if (bytes == NULL) {
        (void)snprintf(problem, 160, "%s cannot be read: %s", name, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return JOURNAL_FAULT;
    }
    const struct vote before = scan->own_vote;
    const bool had_vote = scan->has_own_vote;
    const enum journal_result result =
        journal_scan_segment(scan, bytes_view_of(bytes, size), problem);
    free(bytes);
    journal->segments[index].size = scan->good_bytes;
    journal->segments[index].view_max = scan->view_max;
    if (scan->has_own_vote && (!had_vote || journal_vote_is_later(&scan->own_vote, &before))) {
        journal->vote_segment = scan->number;
    }
    journal->torn = scan->torn;
    if (result == JOURNAL_OK && scan->is_last && !journal->read_only) {
        if (scan->torn) {
            cut_tail(journal, fd, scan->good_bytes);
        }
        sync_data(fd); /* J4 */
    }
    (void)close(fd);
    return result;
}

static enum journal_result replay_all(struct journal *journal, journal_replay_fn replay,
                                      void *context, char problem[160])
{
    struct segment_scan scan = {.config = &journal->config, .replay = replay, .context = context};
    const uint32_t count = journal->segment_count;
    for (uint32_t i = 0; i < count; i++) {
        const enum journal_result result = replay_segment(journal, i, &scan, problem);
        if (result != JOURNAL_OK) {
            return result;
        }
    }
    if (journal->sign.has_vote &&
        (!scan.has_own_vote || journal_vote_is_later(&journal->sign.vote, &scan.own_vote))) {
        (void)snprintf(problem, 160, "sign-state knows an own vote of view %llu, the journal none",
                       (unsigned long long)journal->sign.vote.view);
        return JOURNAL_ROLLED_BACK;
    }
    if (scan.has_own_vote) {
        journal->sign.has_vote = true;
        journal->sign.vote = scan.own_vote;
    }
    journal->peers = scan.peers;
    journal->carry = (scan.peers.known & ~scan.peers_here) != 0;
    return JOURNAL_OK;
}

/* Where appending goes on: in the newest segment if the journal is sound, else in a new one. */
static enum journal_result open_newest(struct journal *journal, char problem[160])
{
    const uint64_t first = journal->sign.first_segment > 0 ? journal->sign.first_segment : 1;
    char name[JOURNAL_NAME_SIZE];
    if (journal->segment_count == 0) {
        MUST(segment_create(journal, first)); /* nobody waits yet */
        return JOURNAL_OK;
    }
    const struct segment *last = newest(journal);
    if (journal->refused || last->size >= journal->segment_bytes) {
        MUST(segment_create(journal, last->number + 1));
        return JOURNAL_OK;
    }
    journal_segment_name(name, last->number);
    journal->fd = openat(journal->directory_fd, name, O_RDWR | O_CLOEXEC);
    if (journal->fd < 0) {
        (void)snprintf(problem, 160, "%s cannot be opened: %s", name, strerror(errno));
        return JOURNAL_FAULT;
    }
    journal->turn_start = (uint32_t)last->size;
    return JOURNAL_OK;
}

static struct journal *journal_create(const struct journal_config *config)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        return NULL;
    }
    journal->config = *config;
    journal->segment_bytes =
        config->segment_bytes != 0 ? config->segment_bytes : segment_bytes_default;
    journal->directory_fd = journal->lock_fd = journal->fd = journal->sign_fd = -1;
    journal->segments = calloc(JOURNAL_SEGMENTS_MAX, sizeof *journal->segments);
    journal->buffer = malloc(JOURNAL_BUFFER_BYTES);
    if (journal->segments == NULL || journal->buffer == NULL) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

/* All that is read before anything is appended. */
static enum journal_result read_all(struct journal *journal, journal_replay_fn replay,
                                    void *context, char problem[160])
{
    enum journal_result result = prepare(journal, problem);
    if ((result == JOURNAL_OK || result == JOURNAL_DAMAGED) && !list_segments(journal)) {
        (void)snprintf(problem, 160, "the directory cannot be read, or has too many segments");
        result = JOURNAL_FAULT;
    }
    if (result == JOURNAL_OK) {
        drop_pruned_leftovers(journal);
        result = check_sequence(journal, problem);
    }
    if (result == JOURNAL_OK) {
        result = replay_all(journal, replay, context, problem);
    }
    return result;
}

enum journal_result journal_open(struct journal **out, const struct journal_config *config,
                                 journal_replay_fn replay, void *context, char problem[160])
{
    struct journal *journal = journal_create(config);
    *out = NULL;
    problem[0] = '\0';
    if (journal == NULL) {
        return JOURNAL_FAULT;
    }
    enum journal_result result = read_all(journal, replay, context, problem);
    if (result != JOURNAL_MISMATCH && result != JOURNAL_FAULT) {
        journal->refused = result != JOURNAL_OK;
        const enum journal_result opened = open_newest(journal, problem);
        result = opened != JOURNAL_OK ? opened : result;
    }
    if (result == JOURNAL_MISMATCH || result == JOURNAL_FAULT) {
        journal_close(journal);
        return result;
    }
    *out = journal;
    return result;
}

static bool count_record(void *context, const struct journal_entry *entry)
{
    (void)entry;
    ((struct journal_report *)context)->records++;
    return true;
}

enum journal_result journal_check(struct journal_report *report,
                                  const struct journal_config *config, char problem[160])
{
    memset(report, 0, sizeof *report);
    problem[0] = '\0';
    if (access(config->directory, F_OK) != 0 && errno == ENOENT) {
        (void)snprintf(problem, 160, "there is no journal");
        return JOURNAL_MISSING;
    }
    struct journal *journal = journal_create(config);
    if (journal == NULL) {
        return JOURNAL_FAULT;
    }
    journal->read_only = true;
    const enum journal_result result = read_all(journal, count_record, report, problem);
    report->segments = journal->segment_count;
    report->bytes = journal_bytes(journal);
    report->torn = journal->torn;
    journal_close(journal);
    return result;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    const int files[] = {journal->fd, journal->sign_fd, journal->lock_fd, journal->directory_fd};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] >= 0) {
            (void)close(files[i]);
        }
    }
    free(journal->segments);
    free(journal->buffer);
    free(journal);
}

/* --- appending ------------------------------------------------------------------------------- */

void journal_append_vote(struct journal *journal, const struct vote *vote)
{
    MUST(!journal->refused);
    append_vote(journal, JOURNAL_VOTE, vote);
    if (!journal->sign.has_vote || journal_vote_is_later(vote, &journal->sign.vote)) {
        journal->sign.has_vote = true;
        journal->sign.vote = *vote;
        journal->vote_segment = newest(journal)->number;
        journal->vote_pending = true;
    }
}

void journal_append_peer_vote(struct journal *journal, const struct vote *vote)
{
    append_vote(journal, JOURNAL_PEER_VOTE, vote);
    journal_peers_note(&journal->peers, vote);
}

void journal_append_certificate(struct journal *journal, const struct certificate *certificate)
{
    uint8_t bytes[CERTIFICATE_BYTES_MAX];
    const size_t size = certificate_encode(bytes, certificate);
    struct byte_writer writer = open_record(journal, JOURNAL_CERTIFICATE, size, certificate->view);
    byte_write_raw(&writer, bytes, size);
    close_record(journal, &writer);
}

void journal_append_certified(struct journal *journal, uint64_t view, const struct hash *block_id)
{
    struct byte_writer writer = open_record(journal, JOURNAL_CERTIFIED, CERTIFIED_BYTES, view);
    byte_write_u64(&writer, view);
    byte_write_raw(&writer, block_id->bytes, HASH_SIZE);
    close_record(journal, &writer);
}

void journal_append_block(struct journal *journal, const struct block_header *header,
                          struct bytes_view body)
{
    uint8_t bytes[BLOCK_HEADER_SIZE];
    block_header_encode(bytes, header);
    struct byte_writer writer =
        open_record(journal, JOURNAL_BLOCK, BLOCK_HEADER_SIZE + 4 + body.size, header->view);
    byte_write_raw(&writer, bytes, sizeof bytes);
    byte_write_sized(&writer, body.data, body.size);
    close_record(journal, &writer);
}

bool journal_sync(struct journal *journal)
{
    if (!journal->unsynced) {
        return !journal->given_up;
    }
    if (journal->carry) {
        carry_peers(journal);
    }
    if (!flush(journal)) {
        return false;
    }
    sync_data(journal->fd);
    journal->unsynced = false;
    if (journal->vote_pending) {
        if (!write_sign_state(journal)) {
            return false;
        }
        journal->vote_pending = false;
    }
    const struct segment *segment = newest(journal);
    journal->turn_start = (uint32_t)segment->size;
    return segment->size < journal->segment_bytes || segment_create(journal, segment->number + 1);
}

/* --- pruning --------------------------------------------------------------------------------- */

void journal_prune(struct journal *journal, uint64_t floor_view)
{
    uint32_t count = 0;
    MUST(!journal->unsynced);
    if (floor_view > journal->floor_view) {
        journal->floor_view = floor_view;
    }
    /* The newest stays: it is being written. */
    while (!journal->refused && !journal->carry && count + 1 < journal->segment_count &&
           journal->segments[count].view_max <= journal->floor_view &&
           journal->segments[count].number != journal->vote_segment) {
        count++;
    }
    if (count == 0) {
        return;
    }
    journal->sign.first_segment = journal->segments[count].number;
    if (!write_sign_state(journal)) {
        return; /* the next sync tells */
    }
    sync_data(journal->sign_fd);
    drop_pruned_leftovers(journal);
}

uint64_t journal_bytes(const struct journal *journal)
{
    uint64_t bytes = journal->buffered;
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        bytes += journal->segments[i].size;
    }
    return bytes;
}
