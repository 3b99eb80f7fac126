/* Readings that have been read, into the archive (ingest.h): signatures in parallel, then one
 * transaction for the whole chunk.
 *
 * Invariants: nothing is stored whose signature doesn't fit the meter's registered key; secrets are on
 * disk before the readings that they seal; the same chunk stored twice changes nothing the second time.
 * A value is replaced only for a reason, and its interval is marked, so that the next commit corrects the
 * batch. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "tools/meterd/ingest.h"
#include "tools/wallet.h"

/* --- signatures ---------------------------------------------------------------------------- */

struct slice {
    struct ingest_row *rows;
    uint32_t count;
};

static void *verify_slice(void *context)
{
    const struct slice *slice = context;
    for (uint32_t i = 0; i < slice->count; i++) {
        struct ingest_row *row = &slice->rows[i];
        struct hash message;
        if (row->outcome != INGEST_STORED) {
            continue;
        }
        meter_reading_message(&message, &row->reading);
        if (!schnorr_verify(&row->reading.signature, &row->device.key, &message)) {
            row->outcome = INGEST_BAD_METER_SIGNATURE;
        }
    }
    return NULL;
}

static void verify_all(struct ingest_row *rows, uint32_t count, uint32_t threads)
{
    pthread_t workers[INGEST_THREADS_MAX];
    struct slice slices[INGEST_THREADS_MAX];
    MUST(threads >= 1 && threads <= INGEST_THREADS_MAX);
    const uint32_t each = (count + threads - 1) / threads;
    uint32_t started = 0;
    for (uint32_t first = 0; first < count; first += each) {
        slices[started] = (struct slice){rows + first, count - first < each ? count - first : each};
        /* The last slice is this thread's own, and so is every one that gets no thread. */
        if (first + each >= count ||
            pthread_create(&workers[started], NULL, verify_slice, &slices[started]) != 0) {
            (void)verify_slice(&slices[started]);
        } else {
            started++;
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        MUST(pthread_join(workers[i], NULL) == 0);
    }
}

/* Where meters don't sign, the head-end that reads them does, with keys that it holds for them. */
static void sign_row(struct ingest_row *row, const char *keys)
{
    char name[NAME_SIZE + 1];
    char path[FILES_PATH_SIZE];
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    int length =
        snprintf(path, sizeof path, "%s/%s%s.meter", keys, name_to_text(name, &row->reading.device),
                 row->reading.meter == METER_SUB ? ".sub" : "");
    if (length < 0 || length >= FILES_PATH_SIZE ||
        wallet_open(&secret, &key, path, NULL) != WALLET_OK) {
        return;
    }
    meter_reading_message(&message, &row->reading);
    row->has_signature = schnorr_sign(&row->reading.signature, &secret, &message);
    secret_key_wipe(&secret);
}

/* --- storing ------------------------------------------------------------------------------- */

struct storing {
    struct meter_archive *archive;
    struct meter_txn *txn;
    const struct ingest_options *options;
    /* Of the interval that the last row was of: files are mostly sorted by it. */
    struct batch_place place;
    bool place_known;
    bool committed;
};

static bool is_committed(struct storing *storing, const struct ingest_row *row)
{
    const struct timestamp start = row->reading.interval_start;
    if (!storing->place_known || storing->place.group != row->device.group ||
        timestamp_compare(storing->place.start, start) != 0) {
        struct sealed_batch batch;
        storing->place = (struct batch_place){row->device.group, start, 0};
        storing->committed = archive_newest_batch(storing->txn, &batch, &storing->place);
        storing->place_known = true;
    }
    return storing->committed;
}

static enum ingest_outcome replace(const struct storing *storing, const struct ingest_row *row,
                                   const struct stored_reading *before, uint16_t *version)
{
    if (energy_compare(before->net, row->reading.net) == 0) {
        return INGEST_DUPLICATE;
    }
    if (storing->options->correction == NULL || before->version >= UINT16_MAX - 1) {
        return INGEST_READING_CONFLICT;
    }
    *version = (uint16_t)(before->version + 1);
    return INGEST_CORRECTED;
}

static void mark(struct storing *storing, const struct ingest_row *row)
{
    enum dirty_why why = DIRTY_FRESH;
    const char *reason = "";
    if (is_committed(storing, row)) {
        why = row->outcome == INGEST_CORRECTED ? DIRTY_CORRECTED : DIRTY_LATE;
        reason = why == DIRTY_CORRECTED ? storing->options->correction : "late readings";
    }
    archive_mark_dirty(storing->txn, row->device.group, row->reading.interval_start, why, reason);
}

/* False: the disk fails. */
static bool store_row(struct storing *storing, struct ingest_row *row)
{
    struct meter_archive *archive = storing->archive;
    const struct name *name = &row->reading.device;
    struct stored_reading before;
    uint16_t version = 0;
    /* Rows before this one may have numbered the device. */
    MUST(archive_device(storing->txn, &row->device, name, row->reading.meter));
    if (row->device.index == DEVICE_UNNUMBERED &&
        !archive_number_device(archive, storing->txn, name, row->reading.meter, &row->device,
                               storing->options->new_group)) {
        return false;
    }
    const struct reading_place place = {row->device.group, row->device.index,
                                        row->reading.interval_start};
    switch (archive_reading(archive, storing->txn, &before, &place, NULL)) {
    case ARCHIVE_OK:
        row->outcome = replace(storing, row, &before, &version);
        break;
    case ARCHIVE_ABSENT:
        row->outcome = is_committed(storing, row) ? INGEST_LATE : INGEST_STORED;
        break;
    case ARCHIVE_ERASED:
        row->outcome = INGEST_ERASED;
        break;
    case ARCHIVE_FAULT:
        return false;
    }
    if (ingest_is_refusal(row->outcome) || row->outcome == INGEST_DUPLICATE) {
        return true;
    }
    const struct stored_reading reading = {row->reading.net, row->reading.signature, version};
    switch (archive_put_reading(archive, storing->txn, &place, &reading)) {
    case ARCHIVE_OK:
        mark(storing, row);
        return true;
    case ARCHIVE_ERASED:
        row->outcome = INGEST_ERASED;
        return true;
    case ARCHIVE_ABSENT:
    case ARCHIVE_FAULT:
        return false;
    }
    return false;
}

static void prepare(const struct meter_archive *archive, struct ingest_row *row,
                    const struct ingest_options *options)
{
    if (row->outcome == INGEST_STORED) {
        row->outcome = ingest_check_time(archive, row->reading.interval_start, options->now);
    }
    if (row->outcome == INGEST_STORED && !row->has_signature && options->keys != NULL) {
        sign_row(row, options->keys);
    }
    if (row->outcome == INGEST_STORED && !row->has_signature) {
        row->outcome = INGEST_SIGNATURE_MISSING;
    }
}

bool ingest_store(struct meter_archive *archive, struct ingest_row *rows, uint32_t count,
                  const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE])
{
    for (uint32_t i = 0; i < count; i++) {
        prepare(archive, &rows[i], options);
    }
    verify_all(rows, count, options->threads);
    struct storing storing = {
        .archive = archive, .txn = meter_txn_begin(archive->db, true), .options = options};
    if (storing.txn == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database does not open a transaction");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].outcome == INGEST_STORED && !store_row(&storing, &rows[i])) {
            meter_txn_abort(storing.txn);
            snprintf(problem, ARCHIVE_PROBLEM_SIZE,
                     "line %llu: the archive is damaged, out of groups, or the disk fails",
                     (unsigned long long)rows[i].line);
            return false;
        }
    }
    if (!meter_secrets_sync(archive->secrets)) {
        meter_txn_abort(storing.txn);
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "secrets can't be written");
        return false;
    }
    return meter_txn_commit(storing.txn, problem);
}

enum ingest_outcome ingest_check_time(const struct meter_archive *archive, struct timestamp start,
                                      struct timestamp now)
{
    const int64_t interval_ms = duration_ms(archive->settings.interval);
    struct timestamp end, last;
    if (timestamp_ms(start) < 0 || timestamp_ms(start) % interval_ms != 0) {
        return INGEST_NOT_ALIGNED;
    }
    if (!timestamp_add(&end, start, archive->settings.interval) ||
        !timestamp_add(&last, end, duration_of(limit_meter_batch_ms)) ||
        timestamp_compare(now, end) < 0) {
        return INGEST_NOT_OVER;
    }
    return timestamp_compare(now, last) < 0 ? INGEST_STORED : INGEST_TOO_LATE;
}
