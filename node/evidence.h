/* Evidence of double votes that this node has seen itself (consensus.md 10). A node has no wallet, so
 * it keeps the evidence for an operator to put on the chain: GET /v1/evidence, flex governance report. */
#ifndef FLEX_NODE_EVIDENCE_H
#define FLEX_NODE_EVIDENCE_H

#include <pthread.h>

#include "consensus/header.h"
#include "consensus/vote.h"
#include "contracts/actions.h"

enum { NODE_EVIDENCE_PER_VALIDATOR = 2, NODE_EVIDENCE_MAX = 64 };

_Static_assert((int)NODE_EVIDENCE_MAX >= (int)NODE_EVIDENCE_PER_VALIDATOR * (int)LIMIT_VALIDATORS,
               "a set of liars finds room");

struct node_evidence {
    pthread_mutex_t lock;
    uint32_t count;
    struct governance_evidence items[NODE_EVIDENCE_MAX];
};

void node_evidence_open(struct node_evidence *evidence);
void node_evidence_close(struct node_evidence *evidence);
/* Two votes of one signer and view of `set`, in any order, kept as the action that reports them. Of each
 * validator the first stays and the latest: one piece is ground enough, unless it has become too old to
 * be reported, and a liar must be able neither to drive out nor to keep out others. A full list (of keys
 * of many epochs) takes in nobody new. */
void node_evidence_add(struct node_evidence *evidence, const struct validator_set *set,
                       const struct vote *a, const struct vote *b);
/* Copies what is held into `out`; returns how many. */
uint32_t node_evidence_read(struct node_evidence *evidence,
                            struct governance_evidence out[NODE_EVIDENCE_MAX]);

#endif
