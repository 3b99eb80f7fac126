/* From readings to fingerprints, in the archive (docs/spec/meter.md 4).
 *
 * An interval of a group becomes a batch once all its meters have reported, or once its grace is over;
 * what comes later, or is corrected, becomes the batch's next revision. Leaves are in the order of their
 * hashes, which the salts make random, so that a leaf's place says nothing about whose it is. */
#ifndef FLEX_TOOLS_METERD_COMMIT_H
#define FLEX_TOOLS_METERD_COMMIT_H

#include "tools/meterd/archive.h"

enum { COMMIT_BATCHES_PER_TXN = 64 };

struct commit_report {
    uint64_t batches;
    uint64_t corrections; /* of those, revisions above 0 */
    uint64_t readings;
    uint64_t waiting;   /* intervals whose grace is not over */
    uint64_t unsettled; /* whose newest revision the ledger does not have yet */
    uint64_t exhausted; /* that have as many revisions as the ledger takes */
    uint64_t emptied;   /* all of whose readings have been erased */
};

/* Commits what is due at `now`; `all` does not wait for the grace. False with the reason if the disk
 * fails: what was committed stays. */
bool commit_due(struct meter_archive *archive, struct commit_report *report, struct timestamp now,
                bool all, char problem[ARCHIVE_PROBLEM_SIZE]);

#endif
