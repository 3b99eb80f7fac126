/* Batches to the ledger, as the meter operator's transactions (docs/spec/meter.md 4).
 *
 *   queue --(signed and kept)--> outbox --(sent, final, proven)--> batch is final
 *     ^                            |
 *     +--(expired, or failed)------+
 *
 * The signed bytes are kept before they are sent, so after a crash the same bytes go out again: their
 * nonce lets the ledger execute them once at most. Bytes are given up only when a proven state of the
 * ledger shows that they can't be executed any more. */
#ifndef FLEX_TOOLS_METERD_POST_H
#define FLEX_TOOLS_METERD_POST_H

#include "tools/meterd/archive.h"
#include "tools/session.h"

/* As many as a transaction of the smallest fee holds; the ledger takes LIMIT_ACTIONS_PER_TX. */
enum { POST_BATCHES_PER_TX = 96 };

struct post_report {
    uint64_t transactions;
    uint64_t final;   /* batches that are now proven to be on the ledger */
    uint64_t again;   /* that go back to the queue */
    uint64_t refused; /* that the ledger will never take; batch_state_names, error */
    uint64_t bytes;   /* of signed transactions */
};

struct poster {
    struct cli *cli; /* where the node and the genesis file are; its result is not touched */
    struct meter_archive *archive;
    struct secret_key secret;
    struct public_key key;
    struct post_report report;
    /* Called at each point where a crash could come, with its name: tests crash there, flexbench looks at
     * the clock. NULL in the service. */
    void (*crash_point)(const char *where);
};

/* Everything that is in the outbox or the queue. CLI_DONE once both are empty; else an exit code with the
 * reason said, and the next call goes on. */
int post_all(struct poster *poster);

#endif
