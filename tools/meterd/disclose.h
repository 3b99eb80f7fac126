/* What leaves the archive: one device's readings with salts and paths for a party that may have them,
 * and whole copies for an auditor (docs/spec/meter.md 5). Who may have what is access.h. */
#ifndef FLEX_TOOLS_METERD_DISCLOSE_H
#define FLEX_TOOLS_METERD_DISCLOSE_H

#include <stdio.h>

#include "tools/meterd/archive.h"

enum { DISCLOSE_READINGS_MAX = 3200 };

struct disclosure {
    struct name device;
    uint8_t meter;
    struct timestamp from;
    struct timestamp until;  /* not included */
    struct timestamp before; /* only fingerprints posted before that; 0: any */
};

struct disclosed {
    uint32_t count;
    struct revealed_reading *readings; /* DISCLOSE_READINGS_MAX; the caller's */
    uint32_t erased;                   /* readings that were committed and are erased */
    uint32_t pending;                  /* that are here and not final on the ledger */
};

/* The newest final revision of each interval. False with the reason if the archive is damaged or there
 * are more than DISCLOSE_READINGS_MAX. */
bool disclose_readings(const struct meter_archive *archive, struct disclosed *out,
                       const struct disclosure *wanted, char problem[ARCHIVE_PROBLEM_SIZE]);

/* All readings of all final batches of [from, until) as CSV with salts, for `flex meter verify`. `leaf`
 * adds the leaf of each line. Counts lines. */
bool disclose_copy(const struct meter_archive *archive, FILE *out, struct timestamp from,
                   struct timestamp until, bool leaf, uint64_t *lines,
                   char problem[ARCHIVE_PROBLEM_SIZE]);

#endif
