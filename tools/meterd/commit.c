/* Sealing batches (commit.h).
 *
 * Invariants: a batch, its leaves, its place in the queue and the end of its interval's dirtiness are one
 * transaction, so a crash leaves an interval to be committed or a batch to be posted and never half of
 * it; a revision is made only of a batch whose revision before is final, so revisions reach the ledger
 * in their order; what is due is looked at again by the transaction that seals it, since commits of
 * several processes and ingests run beside each other. */
#include "tools/meterd/commit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "crypto/merkle.h"

enum { DUE_MAX = 4096 };

struct due {
    uint32_t group;
    struct timestamp start;
    char reason[METER_BATCH_REASON_MAX + 1];
};

struct collect {
    struct due *due;
    uint32_t count;
    struct meter_key after; /* the last key looked at */
};

static void take_reason(struct due *due, struct bytes_view value)
{
    MUST(value.size >= 1 && value.size <= 1 + METER_BATCH_REASON_MAX);
    memcpy(due->reason, value.data + 1, value.size - 1);
    due->reason[value.size - 1] = '\0';
}

static bool collect_dirty(void *context, struct bytes_view key, struct bytes_view value)
{
    struct collect *collect = context;
    struct byte_reader reader;
    struct due *due = &collect->due[collect->count++];
    byte_reader_init(&reader, key.data, key.size);
    due->group = byte_read_u32(&reader);
    due->start = timestamp_of(byte_read_i64(&reader));
    MUST(byte_reader_done(&reader));
    take_reason(due, value);
    memcpy(collect->after.bytes, key.data, key.size);
    collect->after.size = key.size;
    return collect->count < DUE_MAX;
}

/* --- one batch ----------------------------------------------------------------------------- */

struct tree {
    const struct meter_archive *archive;
    struct meter_txn *txn;
    struct batch_place place;
    struct batch_leaf *leaves;
    uint32_t count;
    uint32_t room;
    uint64_t seen; /* readings, erased ones too */
    enum archive_result result;
};

static bool add_leaf(void *context, uint32_t index, uint16_t version, struct bytes_view sealed)
{
    struct tree *tree = context;
    const struct reading_place place = {tree->place.group, index, tree->place.start};
    struct stored_reading stored;
    struct meter_place meter;
    uint8_t salt[READING_SALT_SIZE];
    enum archive_result result =
        archive_open_sealed(tree->archive, &stored, &place, version, sealed);
    if (result == ARCHIVE_OK) {
        result = archive_salt(tree->archive, salt, index, tree->place.start, tree->place.revision);
    }
    if (result == ARCHIVE_OK && !archive_place(tree->txn, &meter, index)) {
        result = ARCHIVE_FAULT;
    }
    tree->seen++;
    if (result == ARCHIVE_ERASED) {
        return true;
    }
    if (result != ARCHIVE_OK || tree->count == tree->room) {
        tree->result = ARCHIVE_FAULT;
        return false;
    }
    const struct meter_reading reading = {.device = meter.device,
                                          .meter = meter.meter,
                                          .interval_start = tree->place.start,
                                          .interval = tree->archive->settings.interval,
                                          .net = stored.net,
                                          .signature = stored.signature};
    struct batch_leaf *leaf = &tree->leaves[tree->count++];
    leaf->index = index;
    leaf->version = version;
    meter_reading_leaf(&leaf->leaf, salt, &reading);
    return true;
}

static int compare_leaves(const void *a, const void *b)
{
    const struct batch_leaf *left = a, *right = b;
    return hash_compare(&left->leaf, &right->leaf);
}

static void put_leaves(const struct tree *tree, struct hash *root)
{
    const struct meter_key key = archive_key_batch(&tree->place);
    const size_t size = (size_t)tree->count * ARCHIVE_LEAF_BYTES;
    struct hash *hashes = calloc(tree->count, sizeof *hashes);
    uint8_t *bytes = malloc(size);
    MUST(hashes != NULL && bytes != NULL);
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, size);
    for (uint32_t i = 0; i < tree->count; i++) {
        hashes[i] = tree->leaves[i].leaf;
        byte_write_u32(&writer, tree->leaves[i].index);
        byte_write_u16(&writer, tree->leaves[i].version);
        byte_write_raw(&writer, hashes[i].bytes, HASH_SIZE);
    }
    MUST(!writer.failed && writer.size == size);
    merkle_root(root, hashes, tree->count);
    meter_put(tree->txn, METER_TABLE_LEAVES, archive_key_view(&key), bytes_view_of(bytes, size));
    free(bytes);
    free(hashes);
}

/* Seals the revision that `tree` names out of the readings that are there. False: the disk fails. */
static bool seal(struct tree *tree, const struct due *due, struct commit_report *report)
{
    archive_walk_interval(tree->txn, due->group, due->start, add_leaf, tree);
    if (tree->result != ARCHIVE_OK) {
        return false;
    }
    const struct meter_key dirty = archive_key_interval(due->group, due->start);
    meter_delete(tree->txn, METER_TABLE_DIRTY, archive_key_view(&dirty));
    if (tree->count == 0) {
        report->emptied++;
        return true;
    }
    qsort(tree->leaves, tree->count, sizeof *tree->leaves, compare_leaves);
    struct sealed_batch batch = {.state = BATCH_SEALED, .count = tree->count};
    put_leaves(tree, &batch.root);
    if (tree->place.revision > 0) {
        batch.reason_size = (uint32_t)strlen(due->reason);
        memcpy(batch.reason, due->reason, batch.reason_size);
        report->corrections++;
    }
    archive_put_batch(tree->txn, &tree->place, &batch);
    const struct meter_key key = archive_key_batch(&tree->place);
    const uint8_t alone = 0;
    meter_put(tree->txn, METER_TABLE_QUEUE, archive_key_view(&key), bytes_view_of(&alone, 1));
    report->batches++;
    report->readings += tree->count;
    return true;
}

/* Another process may have sealed it since it was found, or an ingest given it a reason that weighs more. */
static bool is_still_dirty(struct meter_txn *txn, struct due *due)
{
    const struct meter_key key = archive_key_interval(due->group, due->start);
    struct bytes_view value;
    if (!meter_get(txn, &value, METER_TABLE_DIRTY, archive_key_view(&key))) {
        return false;
    }
    take_reason(due, value);
    return true;
}

static bool count_reading(void *context, uint32_t index, uint16_t version, struct bytes_view sealed)
{
    uint32_t *count = context;
    (void)index;
    (void)version;
    (void)sealed;
    (*count)++;
    return true;
}

/* Whether the interval is due, and the revision that it gets. */
static bool is_due(const struct meter_archive *archive, struct meter_txn *txn,
                   const struct due *due, struct batch_place *place, struct timestamp now, bool all,
                   struct commit_report *report)
{
    struct timestamp limit;
    struct meter_group group;
    struct sealed_batch newest;
    *place = (struct batch_place){due->group, due->start, 0};
    if (archive_newest_batch(txn, &newest, place)) {
        if (newest.state != BATCH_FINAL) {
            report->unsettled++;
            return false;
        }
        if (place->revision + 1 >= LIMIT_BATCH_REVISIONS) {
            report->exhausted++;
            return false;
        }
        place->revision++;
    }
    MUST(archive_group(txn, &group, due->group));
    MUST(timestamp_add(&limit, due->start, archive->settings.interval));
    if (timestamp_compare(now, limit) < 0) {
        report->waiting++;
        return false;
    }
    uint32_t present = 0;
    if (!all && place->revision == 0) {
        archive_walk_interval(txn, due->group, due->start, count_reading, &present);
    }
    MUST(timestamp_add(&limit, limit, archive->settings.grace));
    if (!all && present < group.members && timestamp_compare(now, limit) < 0) {
        report->waiting++;
        return false;
    }
    return true;
}

static bool commit_some(struct meter_archive *archive, struct commit_report *report,
                        struct due *due, uint32_t count, struct timestamp now, bool all,
                        char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct meter_txn *txn = meter_txn_begin(archive->db, true);
    if (txn == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database does not open a transaction");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct tree tree = {.archive = archive, .txn = txn, .room = archive->settings.group_size};
        if (!is_still_dirty(txn, &due[i]) ||
            !is_due(archive, txn, &due[i], &tree.place, now, all, report)) {
            continue;
        }
        tree.leaves = calloc(tree.room, sizeof *tree.leaves);
        MUST(tree.leaves != NULL);
        const bool sealed = seal(&tree, &due[i], report);
        free(tree.leaves);
        if (!sealed) {
            char name[NAME_SIZE + 1];
            struct name id = archive_batch_name(archive, due[i].group, METER_CERTIFIED);
            meter_txn_abort(txn);
            snprintf(problem, ARCHIVE_PROBLEM_SIZE,
                     "group %s at %lld: a reading or a secret is damaged", name_to_text(name, &id),
                     (long long)timestamp_ms(due[i].start));
            return false;
        }
    }
    return meter_txn_commit(txn, problem);
}

bool commit_due(struct meter_archive *archive, struct commit_report *report, struct timestamp now,
                bool all, char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct collect collect = {.due = calloc(DUE_MAX, sizeof *collect.due)};
    MUST(collect.due != NULL);
    memset(report, 0, sizeof *report);
    bool ok = true;
    do {
        struct meter_txn *txn = meter_txn_begin(archive->db, false);
        if (txn == NULL) {
            snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database does not open a transaction");
            ok = false;
            break;
        }
        collect.count = 0;
        /* Behind the last one: what is not due stays where it is. */
        if (collect.after.size > 0 && collect.after.size < METER_KEY_MAX) {
            collect.after.bytes[collect.after.size++] = 0;
        }
        meter_walk(txn, METER_TABLE_DIRTY, archive_key_view(&collect.after), collect_dirty,
                   &collect);
        meter_txn_abort(txn);
        for (uint32_t first = 0; first < collect.count && ok; first += COMMIT_BATCHES_PER_TXN) {
            const uint32_t left = collect.count - first;
            ok = commit_some(archive, report, collect.due + first,
                             left < COMMIT_BATCHES_PER_TXN ? left : COMMIT_BATCHES_PER_TXN, now,
                             all, problem);
        }
    } while (ok && collect.count == DUE_MAX);
    free(collect.due);
    return ok;
}
