/* Where the processor time of a node goes, by the stages of a transaction's way (docs/performance.md,
 * "Load"). Any thread adds; what no stage has claimed of the process's time is printed as "other", so the
 * stages sum to the whole. */
#ifndef FLEX_NODE_STAGES_H
#define FLEX_NODE_STAGES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum stage {
    STAGE_VERIFY,  /* decoding and signatures, by the workers */
    STAGE_ADMIT,   /* the check at the door, the mempool, passing on */
    STAGE_PROPOSE, /* own blocks: running the transactions, books, tree, roots */
    STAGE_EXECUTE, /* the same for blocks of others */
    STAGE_COMMIT,  /* final blocks into the database, and out of the mempool */
    STAGE_JOURNAL, /* writing and syncing the vote journal */
    STAGE_COUNT
};

struct node_stages {
    _Atomic uint64_t ns[STAGE_COUNT];
};

/* Processor time of the calling thread so far. */
uint64_t stage_now_ns(void);
/* What the calling thread has used since `from_ns` (stage_now_ns) goes to that stage. */
void stage_add(struct node_stages *stages, enum stage stage, uint64_t from_ns);

/* Lines for /metrics, all stages and "other"; their size, at most STAGES_TEXT_BYTES. */
enum { STAGES_TEXT_BYTES = 1024 };
size_t stages_print(const struct node_stages *stages, char out[STAGES_TEXT_BYTES]);

#endif
