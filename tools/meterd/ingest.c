/* Meter files, read line by line (ingest.h).
 *
 *   line -> fields -> device, time, energy -> [registers: sorted, subtracted] -> chunk -> ingest_store
 *
 * Invariants: no number passes through floating point; a file of any length needs the memory of one
 * chunk, but for registers, whose number is bounded; a row is looked at even if the one before it was
 * refused. */
#include "tools/meterd/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/csv.h"
#include "tools/meterd/ingest_internal.h"

const char *const ingest_outcome_names[INGEST_OUTCOME_COUNT] = {
    [INGEST_STORED] = "stored",
    [INGEST_LATE] = "late",
    [INGEST_CORRECTED] = "corrected",
    [INGEST_DUPLICATE] = "duplicate",
    [INGEST_FIRST_REGISTER] = "first_register",
    [INGEST_GAP] = "gap",
    [INGEST_BAD_ROW] = "bad_row",
    [INGEST_BAD_DEVICE] = "bad_device",
    [INGEST_BAD_METER] = "bad_meter",
    [INGEST_BAD_TIME] = "bad_time",
    [INGEST_SKIPPED_TIME] = "skipped_time",
    [INGEST_AMBIGUOUS_TIME] = "ambiguous_time",
    [INGEST_BAD_NUMBER] = "bad_number",
    [INGEST_NEGATIVE_ENERGY] = "negative_energy",
    [INGEST_NEGATIVE_REGISTER] = "negative_register",
    [INGEST_REGISTER_TOO_LARGE] = "register_too_large",
    [INGEST_REGISTER_BACKWARDS] = "register_backwards",
    [INGEST_REGISTER_CONFLICT] = "register_conflict",
    [INGEST_UNKNOWN_DEVICE] = "unknown_device",
    [INGEST_NO_SUCH_METER] = "no_such_meter",
    [INGEST_NOT_ALIGNED] = "not_aligned",
    [INGEST_BAD_INTERVAL] = "bad_interval",
    [INGEST_NOT_OVER] = "not_over",
    [INGEST_TOO_LATE] = "too_late",
    [INGEST_SIGNATURE_MISSING] = "signature_missing",
    [INGEST_BAD_METER_SIGNATURE] = "bad_meter_signature",
    [INGEST_READING_CONFLICT] = "reading_conflict",
    [INGEST_ERASED] = "erased",
};

bool ingest_is_refusal(enum ingest_outcome outcome)
{
    return outcome > INGEST_GAP;
}

void ingest_count(struct ingest_report *report, uint64_t line, enum ingest_outcome outcome)
{
    report->counts[outcome]++;
    uint32_t at = report->problem_count;
    if (!ingest_is_refusal(outcome) ||
        (at == INGEST_PROBLEMS_MAX && report->problems[at - 1].line <= line)) {
        return;
    }
    if (at < INGEST_PROBLEMS_MAX) {
        report->problem_count++;
    } else {
        at--;
    }
    /* Rows are parsed, stored and signed in turns, but a file is mended from its top. */
    for (; at > 0 && report->problems[at - 1].line > line; at--) {
        report->problems[at] = report->problems[at - 1];
    }
    report->problems[at] = (struct ingest_problem){line, outcome};
}

/* --- columns ------------------------------------------------------------------------------- */

static const char *const column_names[COLUMN_COUNT] = {
    [COLUMN_DEVICE] = "device",
    [COLUMN_METER] = "meter",
    [COLUMN_START] = "start",
    [COLUMN_TIME] = "time",
    [COLUMN_INTERVAL] = "interval_ms",
    [COLUMN_NET_WH] = "net_wh",
    [COLUMN_NET_KWH] = "net_kwh",
    [COLUMN_IMPORT_WH] = "import_wh",
    [COLUMN_IMPORT_KWH] = "import_kwh",
    [COLUMN_EXPORT_WH] = "export_wh",
    [COLUMN_EXPORT_KWH] = "export_kwh",
    [COLUMN_REGISTER_WH] = "register_wh",
    [COLUMN_REGISTER_KWH] = "register_kwh",
    [COLUMN_IMPORT_REGISTER_WH] = "import_register_wh",
    [COLUMN_IMPORT_REGISTER_KWH] = "import_register_kwh",
    [COLUMN_EXPORT_REGISTER_WH] = "export_register_wh",
    [COLUMN_EXPORT_REGISTER_KWH] = "export_register_kwh",
    [COLUMN_SIGNATURE] = "signature",
};

static unsigned split(char *line, char separator, const char *fields[INGEST_COLUMNS_MAX])
{
    unsigned count = 0;
    for (char *at = line; at != NULL;) {
        if (count == INGEST_COLUMNS_MAX) {
            return 0;
        }
        fields[count++] = at;
        at = strchr(at, separator);
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return count;
}

static bool one_of(const struct ingest_file *file, enum ingest_column a, enum ingest_column b)
{
    return (file->columns[a] >= 0) != (file->columns[b] >= 0);
}

static bool none_of(const struct ingest_file *file, enum ingest_column from,
                    enum ingest_column until)
{
    for (int i = (int)from; i <= (int)until; i++) {
        if (file->columns[i] >= 0) {
            return false;
        }
    }
    return true;
}

/* Whether the columns make one of the two kinds of file, and which. */
static bool classify(struct ingest_file *file)
{
    const bool net = one_of(file, COLUMN_NET_WH, COLUMN_NET_KWH) &&
                     none_of(file, COLUMN_IMPORT_WH, COLUMN_EXPORT_KWH);
    const bool both = none_of(file, COLUMN_NET_WH, COLUMN_NET_KWH) &&
                      one_of(file, COLUMN_IMPORT_WH, COLUMN_IMPORT_KWH) &&
                      one_of(file, COLUMN_EXPORT_WH, COLUMN_EXPORT_KWH);
    const bool one_register = one_of(file, COLUMN_REGISTER_WH, COLUMN_REGISTER_KWH) &&
                              none_of(file, COLUMN_IMPORT_REGISTER_WH, COLUMN_EXPORT_REGISTER_KWH);
    const bool two_registers =
        none_of(file, COLUMN_REGISTER_WH, COLUMN_REGISTER_KWH) &&
        one_of(file, COLUMN_IMPORT_REGISTER_WH, COLUMN_IMPORT_REGISTER_KWH) &&
        one_of(file, COLUMN_EXPORT_REGISTER_WH, COLUMN_EXPORT_REGISTER_KWH);
    const bool intervals = (net || both) && file->columns[COLUMN_START] >= 0 &&
                           none_of(file, COLUMN_REGISTER_WH, COLUMN_EXPORT_REGISTER_KWH) &&
                           file->columns[COLUMN_TIME] < 0;
    file->registers = (one_register || two_registers) && file->columns[COLUMN_TIME] >= 0 &&
                      none_of(file, COLUMN_NET_WH, COLUMN_EXPORT_KWH) &&
                      file->columns[COLUMN_START] < 0 && file->columns[COLUMN_INTERVAL] < 0;
    return file->columns[COLUMN_DEVICE] >= 0 && intervals != file->registers;
}

static bool read_header(struct ingest_file *file, char *line)
{
    const char *fields[INGEST_COLUMNS_MAX];
    file->separator = strchr(line, ';') != NULL ? ';' : ',';
    file->width = split(line, file->separator, fields);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        file->columns[i] = -1;
    }
    for (unsigned i = 0; i < file->width; i++) {
        int column = 0;
        while (column < COLUMN_COUNT && strcmp(column_names[column], fields[i]) != 0) {
            column++;
        }
        /* An unknown column may be a unit that nobody told us of. */
        if (column == COLUMN_COUNT || file->columns[column] >= 0) {
            snprintf(file->problem, ARCHIVE_PROBLEM_SIZE,
                     "%.60s: column '%.40s' is unknown or twice", file->path, fields[i]);
            return false;
        }
        file->columns[column] = (int)i;
    }
    if (!classify(file)) {
        snprintf(file->problem, ARCHIVE_PROBLEM_SIZE,
                 "%.60s: the columns are neither those of intervals nor of registers", file->path);
        return false;
    }
    return true;
}

static const char *field_of(const struct ingest_file *file, const char *const *fields,
                            enum ingest_column column)
{
    return file->columns[column] < 0 ? NULL : fields[file->columns[column]];
}

/* --- rows ---------------------------------------------------------------------------------- */

/* Of two columns, in Wh or kWh, the one that is there. False: not a whole number of Wh. */
static bool energy_of_field(const struct ingest_file *file, const char *const *fields,
                            enum ingest_column wh, enum ingest_column kwh, int64_t *out)
{
    const char *text = field_of(file, fields, wh);
    return text != NULL ? int64_from_text(out, text)
                        : decimal_to_scaled(out, field_of(file, fields, kwh), 3);
}

static enum ingest_outcome parse_energy(const struct ingest_file *file, const char *const *fields,
                                        struct ingest_line *out)
{
    int64_t net;
    bool ok;
    out->export_wh = 0;
    if (file->registers && !none_of(file, COLUMN_REGISTER_WH, COLUMN_REGISTER_KWH)) {
        ok =
            energy_of_field(file, fields, COLUMN_REGISTER_WH, COLUMN_REGISTER_KWH, &out->import_wh);
    } else if (file->registers) {
        ok = energy_of_field(file, fields, COLUMN_IMPORT_REGISTER_WH, COLUMN_IMPORT_REGISTER_KWH,
                             &out->import_wh) &&
             energy_of_field(file, fields, COLUMN_EXPORT_REGISTER_WH, COLUMN_EXPORT_REGISTER_KWH,
                             &out->export_wh);
    } else if (!none_of(file, COLUMN_NET_WH, COLUMN_NET_KWH)) {
        ok = energy_of_field(file, fields, COLUMN_NET_WH, COLUMN_NET_KWH, &net);
        out->row.reading.net = energy_of(ok ? net : 0);
        return ok ? INGEST_STORED : INGEST_BAD_NUMBER;
    } else {
        ok = energy_of_field(file, fields, COLUMN_IMPORT_WH, COLUMN_IMPORT_KWH, &out->import_wh) &&
             energy_of_field(file, fields, COLUMN_EXPORT_WH, COLUMN_EXPORT_KWH, &out->export_wh);
    }
    if (!ok) {
        return INGEST_BAD_NUMBER;
    }
    if (out->import_wh < 0 || out->export_wh < 0) {
        return file->registers ? INGEST_NEGATIVE_REGISTER : INGEST_NEGATIVE_ENERGY;
    }
    /* Neither is below zero, so the difference cannot overflow. */
    out->row.reading.net = energy_of(out->import_wh - out->export_wh);
    return INGEST_STORED;
}

static enum ingest_outcome parse_device(struct ingest_file *file, const char *const *fields,
                                        struct ingest_line *out)
{
    const char *name = field_of(file, fields, COLUMN_DEVICE);
    const char *meter = field_of(file, fields, COLUMN_METER);
    struct meter_reading *reading = &out->row.reading;
    if (!name_from_text(&reading->device, name, strlen(name))) {
        return INGEST_BAD_DEVICE;
    }
    while (reading->meter < METER_KIND_COUNT && meter != NULL &&
           strcmp(meter, meter_kind_names[reading->meter]) != 0) {
        reading->meter++;
    }
    if (reading->meter == METER_KIND_COUNT) {
        return INGEST_BAD_METER;
    }
    if (archive_device(file->txn, &out->row.device, &reading->device, reading->meter)) {
        return INGEST_STORED;
    }
    struct meter_device certified;
    return reading->meter != METER_CERTIFIED &&
                   archive_device(file->txn, &certified, &reading->device, METER_CERTIFIED)
               ? INGEST_NO_SUCH_METER
               : INGEST_UNKNOWN_DEVICE;
}

static enum ingest_outcome parse_time(struct ingest_file *file, const char *const *fields,
                                      struct ingest_line *out)
{
    int64_t instants[2];
    bool skipped;
    const char *text = field_of(file, fields, file->registers ? COLUMN_TIME : COLUMN_START);
    const unsigned count = zone_parse(instants, &skipped, file->archive->settings.zone, text);
    if (count == 0) {
        return skipped ? INGEST_SKIPPED_TIME : INGEST_BAD_TIME;
    }
    struct ingest_last *last =
        ingest_last_of(file, &out->row.reading.device, out->row.reading.meter);
    int64_t chosen = instants[0];
    if (count == 2 && last->known && chosen <= last->ms) {
        chosen = instants[1];
        if (chosen <= last->ms) {
            return INGEST_AMBIGUOUS_TIME;
        }
    }
    last->known = true;
    last->ms = chosen;
    out->row.reading.interval_start = timestamp_of(chosen);
    return INGEST_STORED;
}

static enum ingest_outcome parse_rest(const struct ingest_file *file, const char *const *fields,
                                      struct ingest_line *out)
{
    struct meter_reading *reading = &out->row.reading;
    const char *interval = field_of(file, fields, COLUMN_INTERVAL);
    const char *signature = field_of(file, fields, COLUMN_SIGNATURE);
    int64_t interval_ms;
    reading->interval = file->archive->settings.interval;
    if (interval != NULL && (!int64_from_text(&interval_ms, interval) ||
                             interval_ms != duration_ms(reading->interval))) {
        return INGEST_BAD_INTERVAL;
    }
    /* An empty signature is a missing one: a register that only begins has none. */
    out->row.has_signature = signature != NULL && signature[0] != '\0';
    if (out->row.has_signature &&
        !hex_decode(reading->signature.bytes, SIGNATURE_SIZE, signature)) {
        return INGEST_BAD_METER_SIGNATURE;
    }
    return INGEST_STORED;
}

static enum ingest_outcome parse_line(struct ingest_file *file, char *line, struct ingest_line *out)
{
    const char *fields[INGEST_COLUMNS_MAX];
    if (split(line, file->separator, fields) != file->width) {
        return INGEST_BAD_ROW;
    }
    enum ingest_outcome outcome = parse_device(file, fields, out);
    outcome = outcome == INGEST_STORED ? parse_time(file, fields, out) : outcome;
    outcome = outcome == INGEST_STORED ? parse_energy(file, fields, out) : outcome;
    return outcome == INGEST_STORED ? parse_rest(file, fields, out) : outcome;
}

/* --- files --------------------------------------------------------------------------------- */

bool ingest_flush(struct ingest_file *file)
{
    if (file->txn != NULL) {
        meter_txn_abort(file->txn);
        file->txn = NULL;
    }
    const bool ok = file->row_count == 0 || ingest_store(file->archive, file->rows, file->row_count,
                                                         file->options, file->problem);
    file->report->archive_fault = !ok;
    for (uint32_t i = 0; ok && i < file->row_count; i++) {
        ingest_count(file->report, file->rows[i].line, file->rows[i].outcome);
    }
    file->row_count = 0;
    if (ok) {
        file->txn = meter_txn_begin(file->archive->db, false);
        MUST(file->txn != NULL);
    }
    return ok;
}

bool ingest_add(struct ingest_file *file, const struct ingest_row *row)
{
    file->rows[file->row_count++] = *row;
    return file->row_count < INGEST_CHUNK || ingest_flush(file);
}

/* Into `line` without its end. 0: no more; -1: too long, and skipped. */
static int next_line(FILE *stream, char line[INGEST_LINE_MAX])
{
    if (fgets(line, INGEST_LINE_MAX, stream) == NULL) {
        return 0;
    }
    size_t length = strlen(line);
    const bool whole = length > 0 && line[length - 1] == '\n';
    if (!whole && length == INGEST_LINE_MAX - 1) {
        int byte;
        while ((byte = fgetc(stream)) != EOF && byte != '\n') {
        }
        return -1;
    }
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
        line[--length] = '\0';
    }
    return 1;
}

static bool read_rows(struct ingest_file *file, FILE *stream)
{
    char line[INGEST_LINE_MAX];
    int got;
    for (uint64_t number = 2; (got = next_line(stream, line)) != 0; number++) {
        struct ingest_line parsed = {.row = {.line = number, .outcome = INGEST_STORED}};
        file->report->rows++;
        const enum ingest_outcome outcome =
            got < 0 ? INGEST_BAD_ROW : parse_line(file, line, &parsed);
        if (outcome != INGEST_STORED) {
            ingest_count(file->report, number, outcome);
        } else if (file->registers ? !ingest_register_add(file, &parsed)
                                   : !ingest_add(file, &parsed.row)) {
            return false;
        }
    }
    if (ferror(stream)) {
        snprintf(file->problem, ARCHIVE_PROBLEM_SIZE, "%.60s: %s", file->path, strerror(errno));
        return false;
    }
    return (!file->registers || ingest_registers_done(file)) && ingest_flush(file);
}

bool ingest_file(struct meter_archive *archive, struct ingest_report *report, const char *path,
                 const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE])
{
    char line[INGEST_LINE_MAX];
    struct ingest_file *file = calloc(1, sizeof *file);
    MUST(file != NULL);
    *file = (struct ingest_file){
        .archive = archive, .report = report, .options = options, .path = path, .problem = problem};
    memset(report, 0, sizeof *report);
    file->rows = calloc(INGEST_CHUNK, sizeof *file->rows);
    MUST(file->rows != NULL);
    FILE *stream = fopen(path, "rb");
    bool ok = false;
    if (stream == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "%.60s: %s", path, strerror(errno));
    } else if (next_line(stream, line) != 1) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "%.60s: no header", path);
    } else if (read_header(file, line)) {
        ok = ingest_flush(file) && read_rows(file, stream);
    }
    if (stream != NULL) {
        (void)fclose(stream);
    }
    if (file->txn != NULL) {
        meter_txn_abort(file->txn);
    }
    free(file->rows);
    free(file->registers_read);
    free(file->lasts);
    free(file);
    return ok;
}
