/* Files of meter data into the archive (docs/spec/meter.md 2, docs/meter-operator.md).
 *
 * CSV with a header; the columns say what it is:
 *   device, [meter], start, [interval_ms], net_wh | net_kwh | import_* and export_*, [signature]
 *   device, [meter], time, register_wh | register_kwh | import_register_* and export_register_*,
 *   [signature]   cumulative registers, one at each end of each interval
 *
 * Each row has one outcome out of the list below and no row has an influence on another's but where its
 * outcome says so: what is stored is stored, what is refused is named with its line. */
#ifndef FLEX_TOOLS_METERD_INGEST_H
#define FLEX_TOOLS_METERD_INGEST_H

#include "tools/meterd/archive.h"

enum ingest_outcome {
    INGEST_STORED,         /* new, in time for its batch */
    INGEST_LATE,           /* new; its batch was committed without it and will be corrected */
    INGEST_CORRECTED,      /* replaces another value, by --correction */
    INGEST_DUPLICATE,      /* is there already, the very same: nothing to do */
    INGEST_FIRST_REGISTER, /* a meter's first register in the file: begins, but is no interval's end */
    INGEST_GAP, /* a register behind a hole: what was consumed in it belongs to no interval */
    /* Refused. */
    INGEST_BAD_ROW,             /* not as many fields as the header, or a line too long */
    INGEST_BAD_DEVICE,          /* not a name */
    INGEST_BAD_METER,           /* no kind of meter */
    INGEST_BAD_TIME,            /* not a time */
    INGEST_SKIPPED_TIME,        /* an hour that the clocks skipped in spring */
    INGEST_AMBIGUOUS_TIME,      /* in autumn's double hour, and not in order: it needs an offset */
    INGEST_BAD_NUMBER,          /* not a whole number of Wh, or too large */
    INGEST_NEGATIVE_ENERGY,     /* import or export below zero */
    INGEST_NEGATIVE_REGISTER,   /* a register below zero */
    INGEST_REGISTER_TOO_LARGE,  /* at or over the modulus */
    INGEST_REGISTER_BACKWARDS,  /* smaller than before, and no roll-over explains it */
    INGEST_REGISTER_CONFLICT,   /* two registers of one meter at one time that differ */
    INGEST_UNKNOWN_DEVICE,      /* the registry doesn't have it */
    INGEST_NO_SUCH_METER,       /* the device has no sub-meter, or is no alias */
    INGEST_NOT_ALIGNED,         /* doesn't start at a multiple of the interval */
    INGEST_BAD_INTERVAL,        /* another length than the service's */
    INGEST_NOT_OVER,            /* the interval ends in the future */
    INGEST_TOO_LATE,            /* the ledger takes no fingerprint of it any more */
    INGEST_SIGNATURE_MISSING,   /* neither in the file nor a key to sign with */
    INGEST_BAD_METER_SIGNATURE, /* not by the meter that the registry names */
    INGEST_READING_CONFLICT,    /* another value is there; --correction replaces it */
    INGEST_ERASED,              /* this day of the device was erased for ever */
    INGEST_OUTCOME_COUNT
};
extern const char *const ingest_outcome_names[INGEST_OUTCOME_COUNT];
bool ingest_is_refusal(enum ingest_outcome outcome);

enum {
    INGEST_LINE_MAX = 1024,
    INGEST_COLUMNS_MAX = 32,
    INGEST_CHUNK = 8192,            /* rows verified and committed together */
    INGEST_REGISTERS_MAX = 4000000, /* rows of a file of registers, which are sorted in memory */
    INGEST_PROBLEMS_MAX = 100,      /* refused rows that are told one by one */
    INGEST_THREADS_MAX = 64
};

struct ingest_options {
    const char *correction; /* the reason, or NULL */
    const char *keys;       /* directory of DEVICE.meter and DEVICE.sub.meter, or NULL */
    struct timestamp now;
    uint32_t threads; /* for signatures; at least 1 */
    bool new_group;   /* devices that are seen for the first time begin a group of their own */
};

struct ingest_report {
    bool archive_fault; /* it ended because the archive or its disk failed; the file may be good */
    uint64_t rows;
    uint64_t rolled_over; /* registers that began again at zero */
    uint64_t counts[INGEST_OUTCOME_COUNT];
    uint32_t problem_count;
    struct ingest_problem {
        uint64_t line;
        enum ingest_outcome outcome;
    } problems[INGEST_PROBLEMS_MAX]; /* of the smallest lines, in their order */
};

/* False with the reason if the file can't be read at all, has no such header, or the disk fails; then
 * all rows up to some chunk's end are in, and ingesting it again adds the rest. */
bool ingest_file(struct meter_archive *archive, struct ingest_report *report, const char *path,
                 const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE]);

/* Readings of a flexreadings/1 file (tools/reveal.h). */
bool ingest_signed(struct meter_archive *archive, struct ingest_report *report,
                   const struct meter_reading *readings, uint32_t count,
                   const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE]);

/* One reading on its way in (ingest_store.c). */
struct ingest_row {
    uint64_t line;
    enum ingest_outcome outcome; /* INGEST_STORED until something is against it */
    struct meter_device device;
    struct meter_reading reading;
    bool has_signature;
};
/* Verifies the signatures of `rows` and stores what is good, in one transaction; sets the outcomes. */
bool ingest_store(struct meter_archive *archive, struct ingest_row *rows, uint32_t count,
                  const struct ingest_options *options, char problem[ARCHIVE_PROBLEM_SIZE]);
void ingest_count(struct ingest_report *report, uint64_t line, enum ingest_outcome outcome);
/* What holds for every reading whatever file it comes from: aligned, over, not too old. */
enum ingest_outcome ingest_check_time(const struct meter_archive *archive, struct timestamp start,
                                      struct timestamp now);
/* The next register's energy after the last one's (import or export); *rolled if it began again.
 * INGEST_STORED or a refusal. */
enum ingest_outcome ingest_register_step(int64_t *out_wh, bool *rolled, int64_t last_wh,
                                         int64_t next_wh, int64_t modulus_wh, int64_t most_wh);

#endif
