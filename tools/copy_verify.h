/* Whether a copy of readings is what the ledger fingerprinted, and if not, which line is the first wrong
 * one (D5.5 3.2.6, verification service; docs/spec/meter.md 6).
 *
 *   CSV with salts      whole batches, as flexmeterd export writes them: each batch's root is computed
 *   CSV without salts   single readings, against a file that reveals them
 *   flexreveal/1        single readings, each with its own path
 *   flexbatch/1         one batch, as flex meter batch keeps it
 *
 * Lines count from 1, the header being the first; readings in JSON count from 1 too. */
#ifndef FLEX_TOOLS_COPY_VERIFY_H
#define FLEX_TOOLS_COPY_VERIFY_H

#include <stdio.h>

#include "contracts/records.h"
#include "tools/cli.h"
#include "tools/reveal.h"

enum { COPY_REASON_SIZE = 240, COPY_BATCH_READINGS_MAX = 65536 };

/* What is asked of the ledger; each an exit code, CLI_DONE with *absent if there is none. */
struct copy_ledger {
    void *context;
    /* The newest fingerprint; or a superseded one if `revision` is not NULL. */
    int (*batch)(void *context, struct batch_record *out, bool *absent,
                 const struct name *meter_operator, const struct name *batch,
                 struct timestamp start, const uint32_t *revision);
    int (*device)(void *context, struct device_record *out, bool *absent,
                  const struct name *device);
};
struct session;
struct copy_ledger copy_ledger_of_session(struct session *session);

struct copy_verdict {
    uint64_t readings; /* that were found to be the ledger's */
    uint64_t batches;
    uint64_t erased; /* lines that only their leaf is left of */
    /* NULL: all is as fingerprinted. Else bad_row, unknown_batch, missing_line, wrong_reading,
     * wrong_batch, superseded, not_revealed. */
    const char *code;
    uint64_t line; /* the first wrong one */
    char reason[COPY_REASON_SIZE];
};

/* CLI_DONE: *out says what was found; else the file can't be read, or the ledger not be asked, which has
 * been said. `revealed` (NULL unless the copy has no salts) is a flexreveal/1 file. */
int copy_verify(struct cli *cli, struct copy_verdict *out, const struct copy_ledger *ledger,
                const char *path, const char *revealed);
/* Of readings at hand: those of a flexreveal/1 file, or of an answer of a meter operator. */
int copy_verify_revealed(struct copy_verdict *out, const struct copy_ledger *ledger,
                         const struct revealed_reading *readings, uint32_t count);
/* The two kinds of CSV (copy_verify_csv.c): whole batches from an open file, for bench and tests too. */
int copy_verify_batches(struct copy_verdict *out, const struct copy_ledger *ledger, FILE *in);
int copy_verify_plain(struct cli *cli, struct copy_verdict *out, const char *path,
                      const struct revealed_reading *readings, uint32_t count);
void copy_wrong(struct copy_verdict *out, uint64_t line, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
