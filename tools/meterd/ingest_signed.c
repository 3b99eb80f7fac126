/* Signed readings that are at hand (flexreadings/1), into the archive like those of a CSV (ingest.h).
 * Line numbers are the readings' own, from 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/meterd/ingest.h"

/* What a CSV's columns would have been checked for. */
static enum ingest_outcome check(const struct meter_archive *archive, struct meter_txn *txn,
                                 struct ingest_row *row)
{
    struct meter_device certified;
    if (duration_ms(row->reading.interval) != duration_ms(archive->settings.interval)) {
        return INGEST_BAD_INTERVAL;
    }
    if (archive_device(txn, &row->device, &row->reading.device, row->reading.meter)) {
        return INGEST_STORED;
    }
    return row->reading.meter != METER_CERTIFIED &&
                   archive_device(txn, &certified, &row->reading.device, METER_CERTIFIED)
               ? INGEST_NO_SUCH_METER
               : INGEST_UNKNOWN_DEVICE;
}

bool ingest_signed(struct meter_archive *archive, struct ingest_report *report,
                   const struct meter_reading *readings, uint32_t count,
                   const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct ingest_row *rows = calloc(INGEST_CHUNK, sizeof *rows);
    bool ok = true;
    MUST(rows != NULL);
    memset(report, 0, sizeof *report);
    for (uint32_t first = 0; first < count && ok; first += INGEST_CHUNK) {
        const uint32_t size = count - first < INGEST_CHUNK ? count - first : INGEST_CHUNK;
        struct meter_txn *txn = meter_txn_begin(archive->db, false);
        if (txn == NULL) {
            snprintf(problem, ARCHIVE_PROBLEM_SIZE, "too many readers");
            report->archive_fault = true;
            ok = false;
            break;
        }
        for (uint32_t i = 0; i < size; i++) {
            rows[i] = (struct ingest_row){.line = (uint64_t)first + i + 1,
                                          .reading = readings[first + i],
                                          .has_signature = true};
            rows[i].outcome = check(archive, txn, &rows[i]);
        }
        meter_txn_abort(txn);
        ok = ingest_store(archive, rows, size, options, problem);
        report->archive_fault = !ok;
        for (uint32_t i = 0; i < size && ok; i++) {
            report->rows++;
            ingest_count(report, rows[i].line, rows[i].outcome);
        }
    }
    free(rows);
    return ok;
}
