/* Threads that do the pure work: decode transactions, verify signatures (architecture.md,
 * "Threads"). What they are given comes back through the inbox.
 *
 * Transactions come singly from the API and in bundles from peers; a worker takes several at a time. The bodies in a PROPOSAL, BLOCK or RANGE
 * frame are checked by several workers at once before the loop sees the frame. */
#ifndef FLEX_NODE_WORKERS_H
#define FLEX_NODE_WORKERS_H

#include "node/inbox.h"
#include "node/metrics.h"
#include "node/verify_cache.h"

struct workers;

/* Starts `count` threads; NULL if memory or threads ran out. Inbox, cache and metrics outlive it.
 */
struct workers *workers_start(uint32_t count, struct inbox *inbox, struct verify_cache *cache,
                              struct node_metrics *metrics);
/* Waits for the running jobs; those that still wait are dropped, their calls `unavailable`. */
void workers_stop(struct workers *workers);
/* Takes over a list of events of kind TRANSACTION, linked by `next`. */
void workers_transactions(struct workers *workers, struct node_event *events);
/* Takes over an event of kind BODIES. */
void workers_bodies(struct workers *workers, struct node_event *event);

#endif
