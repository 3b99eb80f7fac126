/* Figures of the chain and its markets for /metrics, kept by the loop, printed by whoever asks: what
 * consensus took, who votes, what the ledger holds (docs/operator.md, "Metrics"). */
#ifndef FLEX_NODE_FIGURES_H
#define FLEX_NODE_FIGURES_H

#include <pthread.h>

#include "consensus/vote.h"
#include "contracts/records.h"
#include "contracts/state.h"

enum {
    /* A validator misses a block if its last vote is more than so many views before the block's when the
     * block becomes final here: votes of the view itself may still be on their way. */
    FIGURES_VOTE_LAG = 2,
    /* Nobody's votes are judged by blocks that are older than this when they become final here. */
    FIGURES_FRESH_MS = 30000,
    /* Orders and deals that a start counts; of a ledger with more, the gauges of both are left out. */
    FIGURES_RECORDS_MAX = 1000000,
    /* A line of each validator's two figures, of each state and pot, and twenty of the rest. */
    FIGURES_TEXT_BYTES = (2 * LIMIT_VALIDATORS + 64) * 320
};

/* Sum and count, from which a rate gives the mean. */
struct figures_sum {
    uint64_t total;
    uint64_t count;
};

struct figures {
    pthread_mutex_t lock;
    struct validator_set set;
    uint64_t last_vote_view[LIMIT_VALIDATORS];
    uint64_t missed[LIMIT_VALIDATORS];
    uint64_t rounds;
    uint64_t size_bytes;
    uint64_t transactions;
    int64_t last_time_ms; /* 0: none yet */
    struct figures_sum interval_ms;
    struct figures_sum quorum_delay_ms;
    struct figures_sum processing_us;
    bool counted; /* orders and deals are whole */
    uint64_t orders_open;
    uint64_t deals[DEAL_STATE_COUNT];
    uint64_t cleared_wh; /* since the start of the process */
    uint64_t paid_ueur;
    int64_t held_ueur[POT_KIND_COUNT];
};

struct figures_block {
    uint64_t view;
    uint64_t parent_view;
    struct timestamp time;
    struct timestamp now; /* when it became final here */
    size_t body_size;
    uint32_t transactions;
};

void figures_open(struct figures *figures);
void figures_close(struct figures *figures);
/* A new epoch's set: figures of validators begin anew. */
void figures_begin_epoch(struct figures *figures, const struct validator_set *set);
/* A vote of that member of the set, which the caller has from itself or over its own link. */
void figures_vote(struct figures *figures, uint32_t signer, uint64_t view);
void figures_block(struct figures *figures, const struct figures_block *block);
/* One execution of a block took so long. */
void figures_processing(struct figures *figures, uint64_t us);
/* Counts orders, deals and pots once, before the first block. */
void figures_count(struct figures *figures, struct state_view *view);
/* After that: what a block changed, before its changes are the state's. */
void figures_state_changed(struct figures *figures, struct state_view *view);
/* Prometheus text; how many of FIGURES_TEXT_BYTES it took. */
size_t figures_print(struct figures *figures, char out[FIGURES_TEXT_BYTES]);

#endif
