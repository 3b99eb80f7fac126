/* Copies of readings as CSV (copy_verify.h): whole batches, whose roots are computed, and readings without
 * salts, which are compared with revealed ones.
 *
 * Which line is wrong: a batch's lines are consecutive and count up, so a line that is missing, twice or
 * strange is the one at which that ends. If the root differs, it is the first line whose leaf is not the
 * one that it says (a copy with leaves), else the first that its meter has not signed as it stands. Only
 * if every line is consistent in itself, and the root is another all the same, the batch is named and no
 * line: then somebody has put true readings under other salts, or left out the leaves.
 *
 * Deliberately absent: sorting. A copy in another order is not the copy that was exported. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "crypto/merkle.h"
#include "tools/copy_verify.h"
#include "tools/csv.h"
#include "tools/value.h"

enum { LINE_SIZE = 1024, FIELDS = 11, FIELDS_WITHOUT_LEAF = 10, BATCH_FIRST = 16 };
_Static_assert(COPY_BATCH_READINGS_MAX % BATCH_FIRST == 0, "doubling ends at the limit");

enum field {
    FIELD_OPERATOR,
    FIELD_BATCH,
    FIELD_INDEX,
    FIELD_DEVICE,
    FIELD_METER,
    FIELD_START,
    FIELD_INTERVAL,
    FIELD_NET,
    FIELD_SIGNATURE,
    FIELD_SALT,
    FIELD_LEAF
};

struct copy_line {
    struct name meter_operator;
    struct name batch;
    uint64_t index;
    bool erased; /* only its leaf is left */
    bool has_leaf;
    struct meter_reading reading;
    struct hash leaf;     /* of what the line says */
    struct hash has_said; /* what the line says that it is */
};

/* The batch that is being read. */
struct copy_batch {
    uint32_t count;
    uint64_t first_line;
    struct name meter_operator;
    struct name batch;
    struct timestamp start;
    uint32_t room; /* of each array; grows up to COPY_BATCH_READINGS_MAX */
    struct hash *leaves;
    struct hash *said; /* zero where the line says none */
    struct meter_reading *readings;
};

struct reading_copy {
    struct copy_verdict *out;
    const struct copy_ledger *ledger;
    struct copy_batch batch;
};

static unsigned split(char *line, const char *fields[FIELDS])
{
    unsigned count = 0;
    for (char *at = line; at != NULL;) {
        if (count == FIELDS) {
            return 0;
        }
        fields[count++] = at;
        at = strchr(at, ',');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return count;
}

static bool parse_name(struct name *out, const char *text)
{
    return name_from_text(out, text, strlen(text));
}

static bool parse_meter(uint8_t *out, const char *text)
{
    for (*out = 0; *out < METER_KIND_COUNT; (*out)++) {
        if (strcmp(text, meter_kind_names[*out]) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_reading(struct copy_line *out, const char *const *fields)
{
    struct meter_reading *reading = &out->reading;
    uint8_t salt[READING_SALT_SIZE];
    int64_t net;
    if (!parse_name(&reading->device, fields[FIELD_DEVICE]) ||
        !parse_meter(&reading->meter, fields[FIELD_METER]) ||
        !int64_from_text(&net, fields[FIELD_NET]) ||
        !hex_decode(reading->signature.bytes, SIGNATURE_SIZE, fields[FIELD_SIGNATURE]) ||
        !hex_decode(salt, sizeof salt, fields[FIELD_SALT])) {
        return false;
    }
    reading->net = energy_of(net);
    meter_reading_leaf(&out->leaf, salt, reading);
    return true;
}

static bool parse_line(struct copy_line *out, char *line)
{
    const char *fields[FIELDS];
    const unsigned count = split(line, fields);
    int64_t start, interval;
    memset(out, 0, sizeof *out);
    if ((count != FIELDS && count != FIELDS_WITHOUT_LEAF) ||
        !parse_name(&out->meter_operator, fields[FIELD_OPERATOR]) ||
        !parse_name(&out->batch, fields[FIELD_BATCH]) ||
        !uint64_from_text(&out->index, fields[FIELD_INDEX]) ||
        !int64_from_text(&start, fields[FIELD_START]) ||
        !int64_from_text(&interval, fields[FIELD_INTERVAL])) {
        return false;
    }
    out->reading.interval_start = timestamp_of(start);
    out->reading.interval = duration_of(interval);
    out->has_leaf = count == FIELDS && fields[FIELD_LEAF][0] != '\0';
    if (out->has_leaf && !hex_decode(out->has_said.bytes, HASH_SIZE, fields[FIELD_LEAF])) {
        return false;
    }
    out->erased = fields[FIELD_DEVICE][0] == '\0';
    if (out->erased) {
        out->leaf = out->has_said;
        return out->has_leaf && fields[FIELD_METER][0] == '\0' && fields[FIELD_NET][0] == '\0' &&
               fields[FIELD_SIGNATURE][0] == '\0' && fields[FIELD_SALT][0] == '\0';
    }
    return parse_reading(out, fields);
}

/* --- a batch ------------------------------------------------------------------------------- */

/* True if the line is signed by the meter that the registry names. */
static int is_signed(const struct copy_ledger *ledger, const struct meter_reading *reading,
                     bool *is)
{
    struct device_record device;
    struct hash message;
    bool absent;
    int status = ledger->device(ledger->context, &device, &absent, &reading->device);
    if (status != CLI_DONE) {
        return status;
    }
    meter_reading_message(&message, reading);
    *is = !absent &&
          schnorr_verify(&reading->signature,
                         reading->meter == METER_SUB ? &device.submeter_key : &device.meter_key,
                         &message);
    return CLI_DONE;
}

/* The root differs from every one that the ledger has: the first line that gives itself away. */
static int name_line(struct reading_copy *copy)
{
    const struct copy_batch *batch = &copy->batch;
    char name[NAME_SIZE + 1];
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!hash_is_zero(&batch->said[i]) && !hash_equal(&batch->said[i], &batch->leaves[i])) {
            copy_wrong(copy->out, batch->first_line + i, "wrong_reading",
                       "the line's leaf is not that of its reading and salt");
            return CLI_DONE;
        }
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        bool is = true;
        /* Of an erased reading nothing is left that a meter could have signed. */
        if (!name_is_empty(&batch->readings[i].device)) {
            int status = is_signed(copy->ledger, &batch->readings[i], &is);
            if (status != CLI_DONE) {
                return status;
            }
        }
        if (!is) {
            copy_wrong(copy->out, batch->first_line + i, "wrong_reading",
                       "the reading is not signed by the device's meter");
            return CLI_DONE;
        }
    }
    copy_wrong(copy->out, batch->first_line, "wrong_batch",
               "the %" PRIu32 " lines of %s at %" PRId64
               " are each signed by their meters, but are not under the ledger's fingerprint: a "
               "salt, a leaf or the order is wrong",
               batch->count, name_to_text(name, &batch->batch), timestamp_ms(batch->start));
    return CLI_DONE;
}

static bool is_the_root(const struct copy_batch *batch, const struct batch_record *record)
{
    struct hash root;
    if (record->count != batch->count) {
        return false;
    }
    merkle_root(&root, batch->leaves, batch->count);
    return hash_equal(&root, &record->root);
}

static int judge_other_root(struct reading_copy *copy, const struct batch_record *newest)
{
    const struct copy_batch *batch = &copy->batch;
    for (uint32_t revision = newest->revision; revision > 0; revision--) {
        struct batch_record record;
        const uint32_t before = revision - 1;
        bool absent;
        int status =
            copy->ledger->batch(copy->ledger->context, &record, &absent, &batch->meter_operator,
                                &batch->batch, batch->start, &before);
        if (status != CLI_DONE) {
            return status;
        }
        if (!absent && is_the_root(batch, &record)) {
            copy_wrong(copy->out, batch->first_line, "superseded",
                       "the batch is revision %" PRIu32 ", which revision %" PRIu32 " has replaced",
                       before, newest->revision);
            return CLI_DONE;
        }
    }
    if (newest->count != batch->count) {
        copy_wrong(copy->out, batch->first_line + batch->count, "missing_line",
                   "the batch has %" PRIu32 " readings on the ledger, %" PRIu32 " are here",
                   newest->count, batch->count);
        return CLI_DONE;
    }
    return name_line(copy);
}

/* All lines of the batch are there. */
static int finish_batch(struct reading_copy *copy)
{
    const struct copy_batch *batch = &copy->batch;
    struct batch_record record;
    bool absent;
    if (batch->count == 0 || copy->out->code != NULL) {
        return CLI_DONE;
    }
    int status = copy->ledger->batch(copy->ledger->context, &record, &absent,
                                     &batch->meter_operator, &batch->batch, batch->start, NULL);
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        copy_wrong(copy->out, batch->first_line, "unknown_batch",
                   "the ledger has no such fingerprint");
        return CLI_DONE;
    }
    if (!is_the_root(batch, &record)) {
        return judge_other_root(copy, &record);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!hash_is_zero(&batch->said[i]) && !hash_equal(&batch->said[i], &batch->leaves[i])) {
            copy_wrong(copy->out, batch->first_line + i, "wrong_reading",
                       "the reading is right, its leaf is not");
            return CLI_DONE;
        }
    }
    copy->out->readings += batch->count;
    copy->out->batches++;
    return CLI_DONE;
}

static bool is_of_batch(const struct copy_batch *batch, const struct copy_line *line)
{
    return batch->count > 0 && timestamp_compare(batch->start, line->reading.interval_start) == 0 &&
           name_compare(&batch->batch, &line->batch) == 0 &&
           name_compare(&batch->meter_operator, &line->meter_operator) == 0;
}

static void grow(struct copy_batch *batch)
{
    batch->room = batch->room == 0 ? BATCH_FIRST : 2 * batch->room;
    batch->leaves = realloc(batch->leaves, batch->room * sizeof *batch->leaves);
    batch->said = realloc(batch->said, batch->room * sizeof *batch->said);
    batch->readings = realloc(batch->readings, batch->room * sizeof *batch->readings);
    MUST(batch->leaves != NULL && batch->said != NULL && batch->readings != NULL);
}

static int add_line(struct reading_copy *copy, const struct copy_line *line, uint64_t number)
{
    struct copy_batch *batch = &copy->batch;
    int status = CLI_DONE;
    if (!is_of_batch(batch, line)) {
        status = finish_batch(copy);
        batch->count = 0;
        batch->first_line = number;
        batch->meter_operator = line->meter_operator;
        batch->batch = line->batch;
        batch->start = line->reading.interval_start;
    }
    if (status != CLI_DONE || copy->out->code != NULL) {
        return status;
    }
    if (line->index != batch->count || batch->count == COPY_BATCH_READINGS_MAX) {
        copy_wrong(copy->out, number, "missing_line",
                   "the line has index %" PRIu64 " where %" PRIu32 " was to come", line->index,
                   batch->count);
        return CLI_DONE;
    }
    if (batch->count == batch->room) {
        grow(batch);
    }
    batch->leaves[batch->count] = line->leaf;
    batch->said[batch->count] = line->has_said;
    batch->readings[batch->count] = line->reading;
    batch->count++;
    copy->out->erased += line->erased;
    return CLI_DONE;
}

static int read_lines(struct reading_copy *copy, FILE *in)
{
    char text[LINE_SIZE];
    int status = CLI_DONE;
    uint64_t number = 0;
    while (status == CLI_DONE && copy->out->code == NULL && fgets(text, sizeof text, in) != NULL) {
        struct copy_line line;
        const size_t length = strcspn(text, "\r\n");
        const bool whole = text[length] != '\0' || feof(in) != 0;
        text[length] = '\0';
        number++;
        if (number == 1) {
            if (strncmp(text, "meter_operator,batch,index,device,", 34) != 0) {
                copy_wrong(copy->out, 1, "bad_row",
                           "not the header of a copy with salts; a copy without them needs "
                           "--readings");
            }
        } else if (!whole || !parse_line(&line, text)) {
            /* The batch that it stands in is not whole, so nothing can be said of its other lines. */
            copy_wrong(copy->out, number, "bad_row", "the line is not that of a reading");
        } else {
            status = add_line(copy, &line, number);
        }
    }
    if (status == CLI_DONE && ferror(in)) {
        copy_wrong(copy->out, number, "bad_row", "the file can't be read");
    }
    return status == CLI_DONE ? finish_batch(copy) : status;
}

int copy_verify_batches(struct copy_verdict *out, const struct copy_ledger *ledger, FILE *in)
{
    struct reading_copy copy = {.out = out, .ledger = ledger};
    memset(out, 0, sizeof *out);
    int status = read_lines(&copy, in);
    free(copy.batch.leaves);
    free(copy.batch.said);
    free(copy.batch.readings);
    return status;
}

/* --- without salts ------------------------------------------------------------------------- */

struct plain {
    struct csv_table table;
    bool has_meter, has_kwh, has_signature;
    uint32_t device, meter, start, net, signature;
};

static bool find_columns(struct plain *plain, char problem[CSV_PROBLEM_SIZE])
{
    char ignored[CSV_PROBLEM_SIZE];
    struct csv_table *table = &plain->table;
    plain->has_meter = csv_column(&plain->meter, table, "meter", ignored);
    plain->has_signature = csv_column(&plain->signature, table, "signature", ignored);
    plain->has_kwh = csv_column(&plain->net, table, "net_kwh", ignored);
    return csv_column(&plain->device, table, "device", problem) &&
           (csv_column(&plain->start, table, "interval_start_ms", ignored) ||
            csv_column(&plain->start, table, "start", problem)) &&
           (plain->has_kwh || csv_column(&plain->net, table, "net_wh", problem));
}

static bool parse_plain(const struct plain *plain, uint32_t row, struct meter_reading *out)
{
    const struct csv_table *table = &plain->table;
    int64_t start, net;
    memset(out, 0, sizeof *out);
    if (!parse_name(&out->device, csv_field(table, row, plain->device)) ||
        !value_time(&start, csv_field(table, row, plain->start)) ||
        !decimal_to_scaled(&net, csv_field(table, row, plain->net), plain->has_kwh ? 3 : 0)) {
        return false;
    }
    out->interval_start = timestamp_of(start);
    out->net = energy_of(net);
    return (!plain->has_meter || parse_meter(&out->meter, csv_field(table, row, plain->meter))) &&
           (!plain->has_signature || hex_decode(out->signature.bytes, SIGNATURE_SIZE,
                                                csv_field(table, row, plain->signature)));
}

static void compare_row(struct copy_verdict *out, const struct plain *plain, uint32_t row,
                        const struct revealed_reading *readings, uint32_t count)
{
    struct meter_reading said;
    char name[NAME_SIZE + 1];
    const uint64_t line = (uint64_t)row + 2;
    if (!parse_plain(plain, row, &said)) {
        copy_wrong(out, line, "bad_row", "the line is not that of a reading");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct meter_reading *real = &readings[i].reading;
        if (real->meter != said.meter || name_compare(&real->device, &said.device) != 0 ||
            timestamp_compare(real->interval_start, said.interval_start) != 0) {
            continue;
        }
        if (energy_compare(real->net, said.net) != 0) {
            copy_wrong(out, line, "wrong_reading",
                       "the line says %" PRId64 " Wh, %" PRId64 " Wh are fingerprinted",
                       energy_wh(said.net), energy_wh(real->net));
        } else if (plain->has_signature &&
                   memcmp(real->signature.bytes, said.signature.bytes, SIGNATURE_SIZE) != 0) {
            copy_wrong(out, line, "wrong_reading", "the line has another signature");
        }
        return;
    }
    copy_wrong(out, line, "not_revealed",
               "no reading of %s at %" PRId64 " is in the file that reveals them",
               name_to_text(name, &said.device), timestamp_ms(said.interval_start));
}

int copy_verify_plain(struct cli *cli, struct copy_verdict *out, const char *path,
                      const struct revealed_reading *readings, uint32_t count)
{
    struct plain plain;
    char problem[CSV_PROBLEM_SIZE];
    memset(&plain, 0, sizeof plain);
    memset(out, 0, sizeof *out);
    if (!csv_read(&plain.table, path, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    if (!find_columns(&plain, problem)) {
        csv_free(&plain.table);
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    for (uint32_t row = 0; row < plain.table.rows && out->code == NULL; row++) {
        compare_row(out, &plain, row, readings, count);
        out->readings += out->code == NULL;
    }
    csv_free(&plain.table);
    return CLI_DONE;
}
