/* Re-execution of an export from genesis, offline (architecture.md; docs/auditor.md).
 *
 * Runs the daemon's own chain code (node/chain.h) over a state in memory, with nothing trusted but
 * the genesis file: every signature, every certificate, every root of every header. */
#ifndef FLEX_TOOLS_AUDIT_VERIFY_H
#define FLEX_TOOLS_AUDIT_VERIFY_H

#include <stdio.h>

#include "contracts/genesis.h"
#include "storage/store.h"
#include "tools/audit_tiles.h"

struct audit;

struct audit_outcome {
    bool ok;
    bool bad_checkpoint; /* the checkpoint is not what it says: `reason` tells why */
    uint64_t height;     /* of the last block; if not ok, the first that doesn't hold */
    uint64_t from;       /* the checkpoint's height; 0: genesis */
    struct hash state_root;
    struct hash log_root; /* of the history log up to and with the last block */
    uint64_t
        expected_found;    /* last height under the expected root; 0: it is none of this history */
    uint64_t transactions; /* since genesis */
    uint64_t milliseconds;
    uint64_t not_reexecuted;         /* proofs whose readings the export lacks (audit_gone) */
    char reason[AUDIT_PROBLEM_SIZE]; /* if not ok */
};

/* A block that has been found good, in the moment before its state replaces the one before. */
struct audit_seen {
    const struct block_header *header;
    const struct store_block *block; /* body, receipts, transactions' ids */
    const struct state_base *before; /* the state that the block ran on */
    struct state_view *after;        /* and the one that it leads to; read-only */
};
typedef void (*audit_watch_fn)(void *context, const struct audit_seen *seen);

/* All zero is a plain verification from genesis. */
struct audit_options {
    FILE *progress;       /* gets a line that is rewritten with height and rate; may be NULL */
    audit_watch_fn watch; /* is shown every block; may be NULL */
    void *watch_context;
    /* File of a verified checkpoint: where it is there, the verification starts from it; when the
     * export has been found good, it is written anew. NULL: from genesis. */
    const char *checkpoint;
    const struct hash *expected_root; /* of the history log at some height; NULL: none */
};

/* Verifies the export in `directory`. The audit holds the state afterwards; close it. NULL only if
 * genesis or checkpoint have a problem: then outcome->reason says so. */
struct audit *audit_run(struct audit_outcome *outcome, const char *directory,
                        const struct genesis *genesis, const struct audit_options *options);
/* The same from genesis; `progress` may be NULL. */
struct audit *audit_verify(struct audit_outcome *outcome, const char *directory,
                           const struct genesis *genesis, FILE *progress);
/* A proof of delivery whose readings are deleted: its outcome was taken from the receipt that the block binds,
 * and all roots hold with it. What its meters said is not in the export. */
struct audit_gone {
    uint64_t height;
    uint64_t deal;
};
/* The first of them; *count is the outcome's not_reexecuted. NULL if there is none. */
const struct audit_gone *audit_gone(const struct audit *audit, uint64_t *count);
/* The state that the re-execution ended in. */
const struct state_base *audit_state(struct audit *audit);
void audit_close(struct audit *audit);

/* Totals over a verified state (tools/audit_report.c). False if the sum of all pots is not what was
 * minted less what was burned, or a record is malformed: `reason` says so. */
struct audit_totals {
    struct money minted;
    struct money burned;
    struct money balances;
    struct money escrow;
    struct money fees;
};
bool audit_totals(struct audit_totals *out, const struct state_base *state,
                  char reason[AUDIT_PROBLEM_SIZE]);
/* Calls `visit` for each record of a kind in key order, with its id as text; false from it stops. */
typedef bool (*audit_visit_fn)(void *context, const char *id, struct bytes_view key,
                               struct bytes_view value);
bool audit_each(const struct state_base *state, enum state_kind kind, audit_visit_fn visit,
                void *context);

#endif
