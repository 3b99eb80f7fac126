/* Readings with the way to their fingerprints (disclose.h).
 *
 * Invariants: only what is final on the ledger is disclosed, so nobody gets a path that leads nowhere; a
 * path is built from the leaves that were committed, which erasing leaves alone: that of a neighbour
 * stays as good as it was. */
#include "tools/meterd/disclose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "crypto/merkle.h"

static bool fail(char problem[ARCHIVE_PROBLEM_SIZE], const char *what)
{
    snprintf(problem, ARCHIVE_PROBLEM_SIZE, "%s", what);
    return false;
}

/* The newest final revision that was posted before `before` (0: whenever). */
static bool final_batch(struct meter_txn *txn, struct sealed_batch *out, struct batch_place *place,
                        struct timestamp before)
{
    if (!archive_newest_batch(txn, out, place)) {
        return false;
    }
    for (;;) {
        const bool early = timestamp_ms(before) == 0 || timestamp_compare(out->posted, before) < 0;
        if (out->state == BATCH_FINAL && early) {
            return true;
        }
        if (place->revision == 0) {
            return false;
        }
        place->revision--;
        MUST(archive_batch(txn, out, place));
    }
}

struct opened_batch {
    struct batch_place place;
    struct sealed_batch batch;
    struct bytes_view leaves;
};

static bool open_batch(struct meter_txn *txn, struct opened_batch *out, uint32_t group,
                       struct timestamp start, struct timestamp before)
{
    out->place = (struct batch_place){group, start, 0};
    if (!final_batch(txn, &out->batch, &out->place, before)) {
        return false;
    }
    MUST(archive_leaves(txn, &out->leaves, &out->place) &&
         out->leaves.size == (size_t)out->batch.count * ARCHIVE_LEAF_BYTES);
    return true;
}

/* Reading and salt of one leaf. */
static enum archive_result open_leaf(const struct meter_archive *archive, struct meter_txn *txn,
                                     struct meter_reading *out, uint8_t salt[READING_SALT_SIZE],
                                     const struct opened_batch *batch, struct batch_leaf leaf)
{
    const struct reading_place place = {batch->place.group, leaf.index, batch->place.start};
    struct stored_reading stored;
    struct meter_place meter;
    MUST(archive_place(txn, &meter, leaf.index));
    enum archive_result result =
        archive_salt(archive, salt, leaf.index, batch->place.start, batch->place.revision);
    if (result == ARCHIVE_OK) {
        result = archive_reading(archive, txn, &stored, &place, &leaf.version);
    }
    if (result != ARCHIVE_OK) {
        return result;
    }
    *out = (struct meter_reading){.device = meter.device,
                                  .meter = meter.meter,
                                  .interval_start = batch->place.start,
                                  .interval = archive->settings.interval,
                                  .net = stored.net,
                                  .signature = stored.signature};
    return ARCHIVE_OK;
}

static void add_path(struct revealed_reading *out, const struct opened_batch *batch,
                     uint32_t position)
{
    struct hash *hashes = calloc(batch->batch.count, sizeof *hashes);
    struct merkle_proof proof;
    MUST(hashes != NULL);
    for (uint32_t i = 0; i < batch->batch.count; i++) {
        hashes[i] = archive_leaf_at(batch->leaves, i).leaf;
    }
    merkle_prove(&proof, hashes, batch->batch.count, position);
    free(hashes);
    MUST(proof.count <= LIMIT_MERKLE_PATH);
    out->index = position;
    out->path_count = proof.count;
    memcpy(out->path, proof.siblings, proof.count * sizeof proof.siblings[0]);
}

/* One interval of one device; *taken if there was something to disclose. */
static bool disclose_one(const struct meter_archive *archive, struct meter_txn *txn,
                         struct disclosed *out, const struct disclosure *wanted,
                         const struct meter_device *device, struct timestamp start)
{
    struct opened_batch batch;
    struct stored_reading stored;
    const struct reading_place place = {device->group, device->index, start};
    uint32_t position = 0;
    if (!open_batch(txn, &batch, device->group, start, wanted->before)) {
        out->pending += archive_reading(archive, txn, &stored, &place, NULL) == ARCHIVE_OK;
        return true;
    }
    while (position < batch.batch.count &&
           archive_leaf_at(batch.leaves, position).index != device->index) {
        position++;
    }
    if (position == batch.batch.count) {
        out->pending += archive_reading(archive, txn, &stored, &place, NULL) == ARCHIVE_OK;
        return true;
    }
    MUST(out->count < DISCLOSE_READINGS_MAX);
    struct revealed_reading *revealed = &out->readings[out->count];
    memset(revealed, 0, sizeof *revealed);
    const enum archive_result result = open_leaf(archive, txn, &revealed->reading, revealed->salt,
                                                 &batch, archive_leaf_at(batch.leaves, position));
    if (result == ARCHIVE_ERASED) {
        out->erased++;
        return true;
    }
    if (result != ARCHIVE_OK) {
        return false;
    }
    revealed->meter_operator = archive->settings.meter_operator;
    revealed->batch = archive_batch_name(archive, device->group, wanted->meter);
    add_path(revealed, &batch, position);
    out->count++;
    return true;
}

bool disclose_readings(const struct meter_archive *archive, struct disclosed *out,
                       const struct disclosure *wanted, char problem[ARCHIVE_PROBLEM_SIZE])
{
    const int64_t interval_ms = duration_ms(archive->settings.interval);
    const int64_t from = timestamp_ms(wanted->from), until = timestamp_ms(wanted->until);
    struct meter_device device;
    out->count = 0;
    out->erased = 0;
    out->pending = 0;
    if (from < 0 || until < from || (until - from) / interval_ms > DISCLOSE_READINGS_MAX) {
        return fail(problem, "the period is none, or too long for one answer");
    }
    struct meter_txn *txn = meter_txn_begin(archive->db, false);
    if (txn == NULL) {
        return fail(problem, "too many readers");
    }
    bool ok = true;
    if (archive_device(txn, &device, &wanted->device, wanted->meter) &&
        device.index != DEVICE_UNNUMBERED) {
        const int64_t first = (from + interval_ms - 1) / interval_ms * interval_ms;
        for (int64_t at = first; ok && at <= until - interval_ms; at += interval_ms) {
            ok = disclose_one(archive, txn, out, wanted, &device, timestamp_of(at));
        }
    }
    meter_txn_abort(txn);
    return ok || fail(problem, "a stored reading is damaged");
}

/* --- copies -------------------------------------------------------------------------------- */

struct copy {
    const struct meter_archive *archive;
    struct meter_txn *txn;
    FILE *out;
    struct timestamp from;
    struct timestamp until;
    bool leaf;
    bool damaged;
    uint64_t lines;
    uint32_t group; /* of the batch before this one */
    struct timestamp start;
    bool any;
};

static bool copy_line(struct copy *copy, const struct opened_batch *batch, uint32_t position)
{
    char operator_text[NAME_SIZE + 1], batch_text[NAME_SIZE + 1], device_text[NAME_SIZE + 1];
    char signature[2 * SIGNATURE_SIZE + 1], salt_text[2 * READING_SALT_SIZE + 1];
    char leaf_text[2 * HASH_SIZE + 2] = "";
    uint8_t salt[READING_SALT_SIZE];
    struct meter_reading reading;
    const struct batch_leaf leaf = archive_leaf_at(batch->leaves, position);
    const enum archive_result result =
        open_leaf(copy->archive, copy->txn, &reading, salt, batch, leaf);
    /* Without its reading a leaf is a line of its own kind: the tree needs it, and it proves nothing. */
    const bool erased = result == ARCHIVE_ERASED;
    if (result != ARCHIVE_OK && !erased) {
        return false;
    }
    struct meter_place place;
    MUST(archive_place(copy->txn, &place, leaf.index));
    const struct name id = archive_batch_name(copy->archive, batch->place.group, place.meter);
    name_to_text(operator_text, &copy->archive->settings.meter_operator);
    name_to_text(batch_text, &id);
    if (copy->leaf || erased) {
        hex_encode(leaf_text, leaf.leaf.bytes, HASH_SIZE);
    }
    if (erased) {
        fprintf(copy->out, "%s,%s,%" PRIu32 ",,,%" PRId64 ",%" PRId64 ",,,,%s\n", operator_text,
                batch_text, position, timestamp_ms(batch->place.start),
                duration_ms(copy->archive->settings.interval), leaf_text);
    } else {
        hex_encode(signature, reading.signature.bytes, SIGNATURE_SIZE);
        hex_encode(salt_text, salt, READING_SALT_SIZE);
        fprintf(copy->out, "%s,%s,%" PRIu32 ",%s,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%s,%s,%s\n",
                operator_text, batch_text, position, name_to_text(device_text, &reading.device),
                meter_kind_names[reading.meter], timestamp_ms(reading.interval_start),
                duration_ms(reading.interval), energy_wh(reading.net), signature, salt_text,
                leaf_text);
    }
    copy->lines++;
    return true;
}

static bool copy_batch(void *context, struct bytes_view key, struct bytes_view value)
{
    struct copy *copy = context;
    struct opened_batch batch;
    struct byte_reader reader;
    (void)value;
    byte_reader_init(&reader, key.data, key.size);
    const uint32_t group = byte_read_u32(&reader);
    const struct timestamp start = timestamp_of(byte_read_i64(&reader));
    const bool again =
        copy->any && copy->group == group && timestamp_compare(copy->start, start) == 0;
    copy->any = true;
    copy->group = group;
    copy->start = start;
    if (again || timestamp_compare(start, copy->from) < 0 ||
        timestamp_compare(start, copy->until) >= 0 ||
        !open_batch(copy->txn, &batch, group, start, timestamp_of(0))) {
        return true;
    }
    for (uint32_t i = 0; i < batch.batch.count; i++) {
        if (!copy_line(copy, &batch, i)) {
            copy->damaged = true;
            return false;
        }
    }
    return ferror(copy->out) == 0;
}

bool disclose_copy(const struct meter_archive *archive, FILE *out, struct timestamp from,
                   struct timestamp until, bool leaf, uint64_t *lines,
                   char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct copy copy = {.archive = archive,
                        .txn = meter_txn_begin(archive->db, false),
                        .out = out,
                        .from = from,
                        .until = until,
                        .leaf = leaf};
    if (copy.txn == NULL) {
        return fail(problem, "too many readers");
    }
    fputs("meter_operator,batch,index,device,meter,interval_start_ms,interval_ms,net_wh,signature,"
          "salt,leaf\n",
          out);
    meter_walk(copy.txn, METER_TABLE_BATCHES, bytes_view_of(NULL, 0), copy_batch, &copy);
    meter_txn_abort(copy.txn);
    *lines = copy.lines;
    if (copy.damaged) {
        return fail(problem, "a stored reading is damaged");
    }
    return (fflush(out) == 0 && ferror(out) == 0) || fail(problem, "the copy can't be written");
}
