/* Evidence of double votes that this node has seen itself (consensus.md 10). A node has no wallet, so
 * it keeps the evidence for an operator to put on the chain: GET /v1/evidence, flex governance report. */
#ifndef FLEX_NODE_EVIDENCE_H
#define FLEX_NODE_EVIDENCE_H

#include <pthread.h>

#include "consensus/header.h"
#include "consensus/vote.h"
#include "contracts/actions.h"

enum { NODE_EVIDENCE_MAX = 64 };

struct node_evidence {
    pthread_mutex_t lock;
    uint32_t count;
    struct governance_evidence items[NODE_EVIDENCE_MAX];
};

void node_evidence_open(struct node_evidence *evidence);
void node_evidence_close(struct node_evidence *evidence);
/* Two votes of one signer and view of `set`, in any order, kept as the action that reports them. The
 * first of each validator and view stays, and nothing more once there is no room: one piece is ground
 * enough, and a liar must not be able to drive out others. */
void node_evidence_add(struct node_evidence *evidence, const struct validator_set *set,
                       const struct vote *a, const struct vote *b);
/* Copies what is held into `out`; returns how many. */
uint32_t node_evidence_read(struct node_evidence *evidence,
                            struct governance_evidence out[NODE_EVIDENCE_MAX]);

#endif
