/* What the loop tells everybody else about the node, copied under one lock: status page, readiness,
 * metrics. The loop writes it once per turn; readers take a copy. */
#ifndef FLEX_NODE_BOARD_H
#define FLEX_NODE_BOARD_H

#include <pthread.h>

#include "base/units.h"
#include "crypto/hash.h"

enum { BOARD_TEXT_SIZE = 192 };

struct node_status {
    uint64_t height; /* of the last committed block */
    uint64_t tip_view;
    struct hash tip_id;
    struct hash state_root;
    struct timestamp block_time;
    uint64_t transactions; /* since genesis */
    uint64_t view;         /* that consensus is in */
    uint64_t epoch;
    uint32_t validators;
    uint64_t final_view; /* of the highest finalization known */
    uint64_t decided_height;
    uint32_t rules;      /* version of the next block's (contracts/rules.h) */
    uint32_t next_rules; /* voted in for rules_height; 0: none waits */
    uint64_t rules_height;
    bool voting;
    char refusal[BOARD_TEXT_SIZE]; /* why it doesn't vote; empty if it does or is an audit node */
    uint32_t peers_up;             /* all links */
    uint32_t validators_up;        /* links to validators, and itself if it is one */
    uint32_t pending_transactions;
    uint64_t pending_bytes;
    uint64_t journal_bytes;
    bool store_full;
    bool journal_full;
    uint64_t damaged_reads;   /* records that did not match their checksums, or were lost */
    uint64_t first_block;     /* whose body is here */
    uint64_t snapshot_height; /* of the newest; 0: none */
    bool started;             /* the loop has written this at least once */
    bool stopping;
};

struct node_board {
    pthread_mutex_t lock;
    struct node_status status;
};

void node_board_open(struct node_board *board);
void node_board_close(struct node_board *board);
void node_board_write(struct node_board *board, const struct node_status *status);
void node_board_read(struct node_board *board, struct node_status *status);

/* NULL if the node is ready, else the reason (interfaces.md, "flexd"): the store is open and takes
 * blocks, every finalized block known is executed, and a validator is linked to a quorum, itself
 * included. */
const char *node_status_unready(const struct node_status *status, bool validator, uint32_t quorum);

#endif
