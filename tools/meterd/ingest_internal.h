/* What the files of ingesting share, and nobody else sees (ingest.h). */
#ifndef FLEX_TOOLS_METERD_INGEST_INTERNAL_H
#define FLEX_TOOLS_METERD_INGEST_INTERNAL_H

#include "tools/meterd/ingest.h"

enum ingest_column {
    COLUMN_DEVICE,
    COLUMN_METER,
    COLUMN_START,
    COLUMN_TIME,
    COLUMN_INTERVAL,
    COLUMN_NET_WH,
    COLUMN_NET_KWH,
    COLUMN_IMPORT_WH,
    COLUMN_IMPORT_KWH,
    COLUMN_EXPORT_WH,
    COLUMN_EXPORT_KWH,
    COLUMN_REGISTER_WH,
    COLUMN_REGISTER_KWH,
    COLUMN_IMPORT_REGISTER_WH,
    COLUMN_IMPORT_REGISTER_KWH,
    COLUMN_EXPORT_REGISTER_WH,
    COLUMN_EXPORT_REGISTER_KWH,
    COLUMN_SIGNATURE,
    COLUMN_COUNT
};

/* A line as read. Of a register, row.reading.interval_start is the time at which it was read. */
struct ingest_line {
    struct ingest_row row;
    int64_t import_wh;
    int64_t export_wh;
};

/* The last time that a meter had in this file: which of autumn's two hours is meant follows from it. */
struct ingest_last {
    struct name device;
    uint8_t meter;
    bool known;
    bool used;
    int64_t ms;
};

struct ingest_file {
    struct meter_archive *archive;
    struct ingest_report *report;
    const struct ingest_options *options;
    const char *path;
    char *problem;
    struct meter_txn *txn; /* reads devices; renewed with every chunk */
    char separator;
    unsigned width;
    bool registers;
    int columns[COLUMN_COUNT]; /* where each is; -1: nowhere */
    uint32_t row_count;
    struct ingest_row *rows; /* INGEST_CHUNK */
    struct ingest_line *registers_read;
    uint32_t register_count;
    uint32_t register_room;
    struct ingest_last *lasts; /* open addressing, at most three quarters full */
    size_t last_count;
    size_t last_room;
};

bool ingest_flush(struct ingest_file *file);
bool ingest_add(struct ingest_file *file, const struct ingest_row *row);
bool ingest_register_add(struct ingest_file *file, const struct ingest_line *line);
bool ingest_registers_done(struct ingest_file *file);
struct ingest_last *ingest_last_of(struct ingest_file *file, const struct name *device,
                                   uint8_t meter);

#endif
