/* The daily digests of an export: DIR/digests/YYYY-MM-DD.note, one per day that is over in it
 * (docs/auditor.md; docs/spec/digest.md). */
#ifndef FLEX_TOOLS_AUDIT_DIGESTS_H
#define FLEX_TOOLS_AUDIT_DIGESTS_H

#include "tools/audit_tiles.h"
#include "tools/session.h"
#include "verify/digest.h"

/* Fetches the notes that are missing of days whose end is at or below `height`. Exit code. */
int audit_digests_fetch(struct session *session, const char *directory, uint64_t height);
bool audit_digests_path(char out[FILES_PATH_SIZE], const char *directory, const char *date);

/* Checking them while blocks are executed, in order. */
struct audit_digests {
    const char *directory;
    struct proof_trust trust; /* of the genesis */
    int64_t from;             /* the day of the first block that is checked */
    uint64_t count;
};
/* The genesis has no problem, or this is our bug. */
void audit_digests_begin(struct audit_digests *digests, const char *directory,
                         const struct genesis *genesis, struct timestamp from);
/* Block `next` is good and follows on one of time `before`. If midnight lies between them, the note of
 * that day must be there, verify, and be of these blocks. False with the reason. */
bool audit_digests_take(struct audit_digests *digests, struct timestamp before,
                        const struct block_header *next, char problem[AUDIT_PROBLEM_SIZE]);
/* Nothing else is there. */
bool audit_digests_finish(const struct audit_digests *digests, char problem[AUDIT_PROBLEM_SIZE]);

#endif
