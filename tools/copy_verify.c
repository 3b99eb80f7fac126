/* Copies of readings against the ledger (copy_verify.h): which kind of copy it is, and the kinds that are
 * JSON; CSV is copy_verify_csv.c.
 *
 * Invariant: a verdict without a code is given only if every reading leads to a root that the ledger
 * holds now, proven by the session unless the user said otherwise. */
#include "tools/copy_verify.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "tools/session.h"

enum { BATCH_TEXT_SIZE = 2 * NAME_SIZE + 2 * INT128_TEXT_SIZE + 8 };

void copy_wrong(struct copy_verdict *out, uint64_t line, const char *code, const char *format, ...)
{
    va_list list;
    if (out->code != NULL) {
        return;
    }
    out->code = code;
    out->line = line;
    va_start(list, format);
    vsnprintf(out->reason, sizeof out->reason, format, list);
    va_end(list);
}

/* --- the ledger ---------------------------------------------------------------------------- */

static int ask(struct session *session, const char *kind, const char *id, void *out, bool *absent)
{
    struct proof proof;
    int status = session_record(session, kind, id, out, absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    return status;
}

static int ask_batch(void *context, struct batch_record *out, bool *absent,
                     const struct name *meter_operator, const struct name *batch,
                     struct timestamp start, const uint32_t *revision)
{
    char text[BATCH_TEXT_SIZE], operator_text[NAME_SIZE + 1], batch_text[NAME_SIZE + 1];
    int used =
        snprintf(text, sizeof text, "%s/%s/%" PRId64, name_to_text(operator_text, meter_operator),
                 name_to_text(batch_text, batch), timestamp_ms(start));
    if (revision != NULL && used > 0 && (size_t)used < sizeof text) {
        snprintf(text + used, sizeof text - (size_t)used, "/%" PRIu32, *revision);
    }
    return ask(context, revision != NULL ? "fingerprint" : "batch", text, out, absent);
}

static int ask_device(void *context, struct device_record *out, bool *absent,
                      const struct name *device)
{
    char text[NAME_SIZE + 1];
    return ask(context, "asset", name_to_text(text, device), out, absent);
}

struct copy_ledger copy_ledger_of_session(struct session *session)
{
    return (struct copy_ledger){session, ask_batch, ask_device};
}

/* --- revealed readings --------------------------------------------------------------------- */

static bool leads_to(const struct revealed_reading *revealed, const struct batch_record *record)
{
    struct merkle_proof proof = {.count = revealed->path_count};
    struct hash leaf;
    memcpy(proof.siblings, revealed->path, revealed->path_count * sizeof proof.siblings[0]);
    meter_reading_leaf(&leaf, revealed->salt, &revealed->reading);
    return duration_ms(revealed->reading.interval) == duration_ms(record->interval) &&
           merkle_verify(&proof, &leaf, revealed->index, record->count, &record->root);
}

/* One reading that does not lead to the newest root: to an earlier one, or nowhere. */
static int judge_wrong(struct copy_verdict *out, const struct copy_ledger *ledger, uint64_t line,
                       const struct revealed_reading *revealed, const struct batch_record *newest)
{
    char name[NAME_SIZE + 1];
    name_to_text(name, &revealed->reading.device);
    for (uint32_t revision = newest->revision; revision > 0; revision--) {
        struct batch_record record;
        const uint32_t before = revision - 1;
        bool absent;
        int status = ledger->batch(ledger->context, &record, &absent, &revealed->meter_operator,
                                   &revealed->batch, revealed->reading.interval_start, &before);
        if (status != CLI_DONE) {
            return status;
        }
        if (!absent && leads_to(revealed, &record)) {
            copy_wrong(out, line, "superseded",
                       "the reading of %s at %" PRId64 " was fingerprinted as revision %" PRIu32
                       ", and revision %" PRIu32 " has replaced it",
                       name, timestamp_ms(revealed->reading.interval_start), before,
                       newest->revision);
            return CLI_DONE;
        }
    }
    copy_wrong(out, line, "wrong_reading",
               "the reading of %s at %" PRId64 " does not lead to the ledger's fingerprint", name,
               timestamp_ms(revealed->reading.interval_start));
    return CLI_DONE;
}

int copy_verify_revealed(struct copy_verdict *out, const struct copy_ledger *ledger,
                         const struct revealed_reading *readings, uint32_t count)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < count && out->code == NULL; i++) {
        const struct revealed_reading *revealed = &readings[i];
        struct batch_record record;
        bool absent;
        int status = ledger->batch(ledger->context, &record, &absent, &revealed->meter_operator,
                                   &revealed->batch, revealed->reading.interval_start, NULL);
        if (status == CLI_DONE && absent) {
            copy_wrong(out, i + 1, "unknown_batch", "the ledger has no such fingerprint");
        } else if (status == CLI_DONE && !leads_to(revealed, &record)) {
            status = judge_wrong(out, ledger, i + 1, revealed, &record);
        }
        if (status != CLI_DONE) {
            return status;
        }
        out->readings += out->code == NULL;
        out->batches += out->code == NULL;
    }
    return CLI_DONE;
}

static int verify_reveal_file(struct cli *cli, struct copy_verdict *out,
                              const struct copy_ledger *ledger, const char *path)
{
    struct revealed_reading *readings;
    uint32_t count;
    int status = reveal_read(cli, &readings, &count, path);
    if (status == CLI_DONE) {
        status = copy_verify_revealed(out, ledger, readings, count);
        free(readings);
    }
    return status;
}

static int verify_batch_file(struct cli *cli, struct copy_verdict *out,
                             const struct copy_ledger *ledger, const char *path)
{
    struct meter_batch_file batch;
    struct batch_record record;
    bool absent;
    int status = reveal_read_batch(cli, &batch, path);
    if (status != CLI_DONE) {
        return status;
    }
    status = ledger->batch(ledger->context, &record, &absent, &batch.meter_operator, &batch.id,
                           batch.interval_start, NULL);
    if (status == CLI_DONE && absent) {
        copy_wrong(out, 1, "unknown_batch", "the ledger has no such fingerprint");
    } else if (status == CLI_DONE && record.revision != batch.revision) {
        copy_wrong(out, 1, "superseded",
                   "the file has revision %" PRIu32 ", the ledger revision %" PRIu32,
                   batch.revision, record.revision);
    } else if (status == CLI_DONE &&
               (record.count != batch.count || !hash_equal(&record.root, &batch.root))) {
        copy_wrong(out, 1, "wrong_batch", "the readings' root is not the ledger's fingerprint");
    } else if (status == CLI_DONE) {
        out->readings = batch.count;
        out->batches = 1;
    }
    reveal_batch_release(&batch);
    return status;
}

/* --- files --------------------------------------------------------------------------------- */

/* Readings without salts: first those that are revealed are verified, then the copy is held against
 * them. */
static int verify_plain_file(struct cli *cli, struct copy_verdict *out,
                             const struct copy_ledger *ledger, const char *path,
                             const char *revealed)
{
    struct revealed_reading *readings;
    uint32_t count;
    int status = reveal_read(cli, &readings, &count, revealed);
    if (status != CLI_DONE) {
        return status;
    }
    status = copy_verify_revealed(out, ledger, readings, count);
    if (status == CLI_DONE && out->code != NULL) {
        status = cli_fail(cli, CLI_UNPROVEN, out->code, "%s, reading %" PRIu64 ": %s", revealed,
                          out->line, out->reason);
    }
    if (status == CLI_DONE) {
        status = copy_verify_plain(cli, out, path, readings, count);
    }
    free(readings);
    return status;
}

int copy_verify(struct cli *cli, struct copy_verdict *out, const struct copy_ledger *ledger,
                const char *path, const char *revealed)
{
    char problem[160];
    memset(out, 0, sizeof *out);
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s: %s", path, strerror(errno));
    }
    const int first = fgetc(in);
    rewind(in);
    if (revealed != NULL) {
        (void)fclose(in);
        return verify_plain_file(cli, out, ledger, path, revealed);
    }
    if (first != '{') {
        int status = copy_verify_batches(out, ledger, in);
        (void)fclose(in);
        return status;
    }
    (void)fclose(in);
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    const char *format = json_string(object, "format");
    const bool batch = format != NULL && strcmp(format, "flexbatch/1") == 0;
    cJSON_Delete(object);
    return batch ? verify_batch_file(cli, out, ledger, path)
                 : verify_reveal_file(cli, out, ledger, path);
}
