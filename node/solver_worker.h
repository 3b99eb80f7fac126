/* The node's part in coupled auctions: a thread that has them solved while they take solutions, and proposes
 * what is better than what the chain has (market-rules 7; docs/spec/coupled.md 15; docs/adr/0051).
 *
 * Nothing depends on it: without it, with it dead or with it wrong the floor or somebody else's solution
 * clears. It reads committed state through snapshots, like the HTTP threads; its transactions take the same
 * way as theirs, through workers and inbox into the mempool. */
#ifndef FLEX_NODE_SOLVER_WORKER_H
#define FLEX_NODE_SOLVER_WORKER_H

#include "node/keys.h"

struct node;
struct solver_worker;

/* Loads the key and starts the thread, if the configuration wants a solver; *out is NULL if it doesn't. False
 * with the reason. The node outlives it. */
bool solver_worker_start(struct solver_worker **out, struct node *node,
                         char problem[NODE_PROBLEM_SIZE]);
/* Ends the thread and kills what it has started. NULL is allowed, here and below. */
void solver_worker_stop(struct solver_worker *worker);
/* Once nobody can answer its last transaction any more: after workers and inbox. */
void solver_worker_free(struct solver_worker *worker);

#endif
