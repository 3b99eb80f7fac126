/* The outbox (post.h).
 *
 * Invariants:
 * 1. What is sent has been committed to the outbox first, in the transaction that took its batches from
 *    the queue: a batch is in one of the two or final, never in both and never in neither.
 * 2. An entry leaves the outbox only after each of its batches was compared with a proven record of the
 *    ledger.
 * 3. One entry at a time: nonces are in order, and a failed one holds nobody up but itself.
 *
 * A transaction fails whole. Its batches are then sent one by one, so that one that the ledger refuses
 * does not keep back the others. */
#include "tools/meterd/post.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/errors.h"
#include "tools/submit.h"

enum {
    ID_TEXT_SIZE = 2 * HASH_SIZE + 1,
    BATCH_TEXT_SIZE = 2 * NAME_SIZE + 2 * INT128_TEXT_SIZE + 8,
    PLACE_BYTES = 4 + 8 + 4,
    ENTRY_BYTES_MAX = 8 + 8 + 1 + HASH_SIZE + 4 + POST_BATCHES_PER_TX * PLACE_BYTES + 4 +
                      SUBMIT_ENVELOPE_BYTES_MAX
};

struct entry {
    uint64_t number;
    uint64_t nonce;
    struct timestamp valid_until;
    bool alone; /* one batch that was in a transaction that failed */
    struct hash id;
    uint32_t count;
    struct batch_place places[POST_BATCHES_PER_TX];
    size_t size;
    uint8_t *bytes; /* SUBMIT_ENVELOPE_BYTES_MAX, the poster's */
};

static int database_fault(struct poster *poster, const char *problem)
{
    return cli_fail(poster->cli, CLI_USAGE, "database", "%s", problem);
}

static void crash_point(const struct poster *poster, const char *where)
{
    if (poster->crash_point != NULL) {
        poster->crash_point(where);
    }
}

/* --- entries ------------------------------------------------------------------------------- */

static void put_entry(struct meter_txn *txn, const struct entry *entry)
{
    uint8_t *bytes = malloc(ENTRY_BYTES_MAX);
    struct byte_writer writer;
    MUST(bytes != NULL);
    byte_writer_init(&writer, bytes, ENTRY_BYTES_MAX);
    byte_write_u64(&writer, entry->nonce);
    byte_write_i64(&writer, timestamp_ms(entry->valid_until));
    byte_write_u8(&writer, entry->alone);
    byte_write_raw(&writer, entry->id.bytes, HASH_SIZE);
    byte_write_u32(&writer, entry->count);
    for (uint32_t i = 0; i < entry->count; i++) {
        byte_write_u32(&writer, entry->places[i].group);
        byte_write_i64(&writer, timestamp_ms(entry->places[i].start));
        byte_write_u32(&writer, entry->places[i].revision);
    }
    byte_write_sized(&writer, entry->bytes, entry->size);
    MUST(!writer.failed);
    const struct meter_key key = archive_key_u64(entry->number);
    meter_put(txn, METER_TABLE_OUTBOX, archive_key_view(&key), bytes_view_of(bytes, writer.size));
    free(bytes);
}

/* The oldest one; false if the outbox is empty. */
static bool oldest_entry(struct meter_txn *txn, struct entry *out)
{
    const struct meter_key from = archive_key_u64(0);
    struct bytes_view key, value;
    struct byte_reader reader;
    if (!meter_seek(txn, &key, &value, METER_TABLE_OUTBOX, archive_key_view(&from))) {
        return false;
    }
    byte_reader_init(&reader, key.data, key.size);
    out->number = byte_read_u64(&reader);
    byte_reader_init(&reader, value.data, value.size);
    out->nonce = byte_read_u64(&reader);
    out->valid_until = timestamp_of(byte_read_i64(&reader));
    out->alone = byte_read_u8(&reader) != 0;
    byte_read_raw(&reader, out->id.bytes, HASH_SIZE);
    out->count = byte_read_u32(&reader);
    MUST(out->count <= POST_BATCHES_PER_TX);
    for (uint32_t i = 0; i < out->count; i++) {
        out->places[i].group = byte_read_u32(&reader);
        out->places[i].start = timestamp_of(byte_read_i64(&reader));
        out->places[i].revision = byte_read_u32(&reader);
    }
    const struct bytes_view envelope = byte_read_sized(&reader, SUBMIT_ENVELOPE_BYTES_MAX);
    MUST(byte_reader_done(&reader));
    out->size = envelope.size;
    memcpy(out->bytes, envelope.data, envelope.size);
    return true;
}

/* --- what the ledger has ------------------------------------------------------------------- */

static uint8_t meter_of(struct meter_txn *txn, uint32_t group)
{
    struct meter_group record;
    MUST(archive_group(txn, &record, group));
    return record.meter;
}

/* What became of one batch: BATCH_FINAL, BATCH_REFUSED (another root is there), or BATCH_SEALED (the
 * ledger doesn't have it). */
static int look_up(struct poster *poster, struct session *session, const struct batch_place *place,
                   uint8_t meter, const struct sealed_batch *batch, enum batch_state *state,
                   struct timestamp *posted)
{
    char text[BATCH_TEXT_SIZE], operator_text[NAME_SIZE + 1], id_text[NAME_SIZE + 1];
    struct batch_record record;
    struct proof proof;
    bool absent;
    const struct name id = archive_batch_name(poster->archive, place->group, meter);
    int used = snprintf(text, sizeof text, "%s/%s/%" PRId64,
                        name_to_text(operator_text, &poster->archive->settings.meter_operator),
                        name_to_text(id_text, &id), timestamp_ms(place->start));
    MUST(used > 0 && (size_t)used < sizeof text);
    int status = session_record(session, "batch", text, &record, &absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    if (status == CLI_DONE && !absent && record.revision > place->revision) {
        snprintf(text + used, sizeof text - (size_t)used, "/%" PRIu32, place->revision);
        status = session_record(session, "fingerprint", text, &record, &absent, &proof);
        if (status == CLI_DONE) {
            proof_release(&proof);
        }
    }
    if (status != CLI_DONE) {
        return status;
    }
    *state = BATCH_SEALED;
    if (!absent && record.revision == place->revision) {
        *state = hash_equal(&record.root, &batch->root) ? BATCH_FINAL : BATCH_REFUSED;
        *posted = record.posted;
    }
    return CLI_DONE;
}

struct settling {
    enum batch_state states[POST_BATCHES_PER_TX];
    struct timestamp posted[POST_BATCHES_PER_TX];
};

static int ask_ledger(struct poster *poster, const struct entry *entry, struct settling *out)
{
    struct session session;
    struct meter_txn *txn = meter_txn_begin(poster->archive->db, false);
    if (txn == NULL) {
        return database_fault(poster, "too many readers");
    }
    int status = session_open(&session, poster->cli);
    for (uint32_t i = 0; i < entry->count && status == CLI_DONE; i++) {
        struct sealed_batch batch;
        MUST(archive_batch(txn, &batch, &entry->places[i]));
        status = look_up(poster, &session, &entry->places[i], meter_of(txn, entry->places[i].group),
                         &batch, &out->states[i], &out->posted[i]);
    }
    session_close(&session);
    meter_txn_abort(txn);
    return status;
}

/* The entry is over: each batch is final, refused, or back in the queue. `error` is why the transaction
 * failed, CONTRACT_OK if it didn't or was never executed. */
static int settle(struct poster *poster, const struct entry *entry, enum contract_error error)
{
    struct settling settling;
    char problem[ARCHIVE_PROBLEM_SIZE];
    int status = ask_ledger(poster, entry, &settling);
    if (status != CLI_DONE) {
        return status;
    }
    struct meter_txn *txn = meter_txn_begin(poster->archive->db, true);
    if (txn == NULL) {
        return database_fault(poster, "no transaction");
    }
    struct post_report report = poster->report;
    for (uint32_t i = 0; i < entry->count; i++) {
        struct sealed_batch batch;
        MUST(archive_batch(txn, &batch, &entry->places[i]));
        batch.state = (uint8_t)settling.states[i];
        if (batch.state == BATCH_FINAL) {
            batch.posted = settling.posted[i];
            report.final++;
        } else if (batch.state == BATCH_REFUSED || (error != CONTRACT_OK && entry->alone)) {
            batch.error = (uint16_t)(batch.state == BATCH_REFUSED ? CONTRACT_BAD_REVISION : error);
            batch.state = BATCH_REFUSED;
            report.refused++;
        } else {
            const struct meter_key key = archive_key_batch(&entry->places[i]);
            const uint8_t alone = error != CONTRACT_OK;
            meter_put(txn, METER_TABLE_QUEUE, archive_key_view(&key), bytes_view_of(&alone, 1));
            report.again++;
        }
        archive_put_batch(txn, &entry->places[i], &batch);
    }
    const struct meter_key key = archive_key_u64(entry->number);
    meter_delete(txn, METER_TABLE_OUTBOX, archive_key_view(&key));
    if (!meter_txn_commit(txn, problem)) {
        return database_fault(poster, problem);
    }
    poster->report = report;
    crash_point(poster, "settled");
    return CLI_DONE;
}

/* --- sending ------------------------------------------------------------------------------- */

/* Runs with a result of its own, whose error, if it is one of the ledger's, goes to *error. */
static int run_quietly(struct poster *poster, enum contract_error *error, const struct entry *entry,
                       bool wait_only)
{
    char id[ID_TEXT_SIZE];
    struct cJSON *kept = poster->cli->result;
    poster->cli->result = cJSON_CreateObject();
    MUST(poster->cli->result != NULL);
    hex_encode(id, entry->id.bytes, HASH_SIZE);
    int status = wait_only ? submit_wait(poster->cli, id)
                           : submit_envelope(poster->cli, bytes_view_of(entry->bytes, entry->size));
    const char *code = json_string(json_object(poster->cli->result, "error"), "code");
    *error = CONTRACT_OK;
    for (int i = 0; code != NULL && i < CONTRACT_ERROR_COUNT; i++) {
        const char *name = contract_error_name((enum contract_error)i);
        if (name != NULL && strcmp(name, code) == 0) {
            *error = (enum contract_error)i;
        }
    }
    cJSON_Delete(poster->cli->result);
    poster->cli->result = kept;
    return status;
}

/* What may become of the transaction; over: a proven state shows that it can't be executed any more. */
enum fate { FATE_KNOWN, FATE_OPEN, FATE_OVER };

static int fate_of(struct poster *poster, const struct entry *entry, enum fate *fate)
{
    const struct submit_signed what = {
        .nonce = entry->nonce, .valid_until = entry->valid_until, .id = entry->id};
    enum submit_fate found = SUBMIT_KNOWN;
    int status =
        submit_fate_of(poster->cli, &found, &what, &poster->archive->settings.meter_operator);
    *fate = found == SUBMIT_KNOWN ? FATE_KNOWN : found == SUBMIT_OPEN ? FATE_OPEN : FATE_OVER;
    return status;
}

static int resolve(struct poster *poster, const struct entry *entry)
{
    enum fate fate;
    enum contract_error error = CONTRACT_OK;
    int status = fate_of(poster, entry, &fate);
    if (status != CLI_DONE) {
        return status;
    }
    if (fate == FATE_OVER) {
        return settle(poster, entry, CONTRACT_OK);
    }
    status = run_quietly(poster, &error, entry, fate == FATE_KNOWN);
    crash_point(poster, "sent");
    if (status == CLI_REFUSED) {
        /* Executed and failed, or not taken into a block: then it may be later, until it expires. */
        const int asked = fate_of(poster, entry, &fate);
        if (asked != CLI_DONE || fate == FATE_OPEN) {
            return asked != CLI_DONE ? asked : status;
        }
        /* Over and unknown: another transaction took its nonce, and the batches are none the worse. */
        return settle(poster, entry, fate == FATE_KNOWN ? error : CONTRACT_OK);
    }
    return status == CLI_DONE ? settle(poster, entry, CONTRACT_OK) : status;
}

/* --- the next transaction ------------------------------------------------------------------ */

static bool take_queued(void *context, struct bytes_view key, struct bytes_view value)
{
    struct entry *entry = context;
    const bool alone = value.size == 1 && value.data[0] != 0;
    /* What has to be alone is first of all, or waits. */
    if (entry->count > 0 && (alone || entry->alone)) {
        return !entry->alone;
    }
    struct byte_reader reader;
    struct batch_place *place = &entry->places[entry->count++];
    byte_reader_init(&reader, key.data, key.size);
    place->group = byte_read_u32(&reader);
    place->start = timestamp_of(byte_read_i64(&reader));
    place->revision = byte_read_u32(&reader);
    MUST(byte_reader_done(&reader));
    entry->alone = alone;
    return entry->count < POST_BATCHES_PER_TX && !alone;
}

static void fill_action(const struct poster *poster, struct meter_txn *txn, struct meter_batch *out,
                        struct sealed_batch *batch, const struct batch_place *place)
{
    MUST(archive_batch(txn, batch, place));
    *out = (struct meter_batch){
        .id = archive_batch_name(poster->archive, place->group, meter_of(txn, place->group)),
        .interval_start = place->start,
        .interval = poster->archive->settings.interval,
        .count = batch->count,
        .root = batch->root,
        .revision = place->revision,
        .reason = bytes_view_of(batch->reason, batch->reason_size),
    };
}

struct drafting {
    struct submit submit;
    struct meter_batch actions[POST_BATCHES_PER_TX];
    struct sealed_batch batches[POST_BATCHES_PER_TX];
};

static bool take_batches(struct poster *poster, struct entry *entry, struct drafting *drafting)
{
    struct meter_txn *txn = meter_txn_begin(poster->archive->db, false);
    entry->count = 0;
    entry->alone = false;
    if (txn == NULL) {
        return false;
    }
    meter_walk(txn, METER_TABLE_QUEUE, bytes_view_of(NULL, 0), take_queued, entry);
    memset(&drafting->submit, 0, sizeof drafting->submit);
    drafting->submit.count = entry->count;
    for (uint32_t i = 0; i < entry->count; i++) {
        fill_action(poster, txn, &drafting->actions[i], &drafting->batches[i], &entry->places[i]);
        drafting->submit.actions[i].type = ACTION_METER_BATCH;
        drafting->submit.actions[i].record = &drafting->actions[i];
    }
    meter_txn_abort(txn);
    return true;
}

/* Takes batches from the queue, signs them, and keeps what was signed. entry->count 0: the queue is
 * empty. */
static int make_entry(struct poster *poster, struct entry *entry, struct drafting *drafting)
{
    struct submit_signed done;
    char problem[ARCHIVE_PROBLEM_SIZE];
    if (!take_batches(poster, entry, drafting)) {
        return database_fault(poster, "too many readers");
    }
    if (entry->count == 0) {
        return CLI_DONE;
    }
    int status = submit_sign(poster->cli, &done, entry->bytes, &drafting->submit, &poster->secret,
                             &poster->key);
    if (status != CLI_DONE) {
        return status;
    }
    struct meter_txn *txn = meter_txn_begin(poster->archive->db, true);
    if (txn == NULL) {
        return database_fault(poster, "no transaction");
    }
    entry->number = archive_next(txn, "outbox");
    entry->nonce = done.nonce;
    entry->valid_until = done.valid_until;
    entry->id = done.id;
    entry->size = done.size;
    put_entry(txn, entry);
    for (uint32_t i = 0; i < entry->count; i++) {
        const struct meter_key key = archive_key_batch(&entry->places[i]);
        meter_delete(txn, METER_TABLE_QUEUE, archive_key_view(&key));
        drafting->batches[i].state = BATCH_SENT;
        archive_put_batch(txn, &entry->places[i], &drafting->batches[i]);
    }
    crash_point(poster, "signed");
    if (!meter_txn_commit(txn, problem)) {
        return database_fault(poster, problem);
    }
    poster->report.transactions++;
    poster->report.bytes += done.size;
    crash_point(poster, "kept");
    return CLI_DONE;
}

int post_all(struct poster *poster)
{
    struct entry entry = {.bytes = malloc(SUBMIT_ENVELOPE_BYTES_MAX)};
    struct drafting *drafting = calloc(1, sizeof *drafting);
    MUST(entry.bytes != NULL && drafting != NULL);
    int status = CLI_DONE;
    bool more = true;
    /* Each round ends an entry or stops; what goes back to the queue goes alone, and then not again but
     * by expiry, which takes minutes. */
    while (status == CLI_DONE && more) {
        struct meter_txn *txn = meter_txn_begin(poster->archive->db, false);
        if (txn == NULL) {
            status = database_fault(poster, "too many readers");
            break;
        }
        const bool waiting = oldest_entry(txn, &entry);
        meter_txn_abort(txn);
        if (!waiting) {
            status = make_entry(poster, &entry, drafting);
            more = status == CLI_DONE && entry.count > 0;
        }
        if (status == CLI_DONE && more) {
            status = resolve(poster, &entry);
        }
    }
    free(drafting);
    free(entry.bytes);
    return status;
}
