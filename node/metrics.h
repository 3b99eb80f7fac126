/* Counters that any thread bumps and /metrics prints. They only ever grow. */
#ifndef FLEX_NODE_METRICS_H
#define FLEX_NODE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/stages.h"
#include "p2p/p2p.h"

struct node_metrics {
    struct node_stages stages;
    _Atomic uint64_t frames_received;
    _Atomic uint64_t frames_sent;
    _Atomic uint64_t frame_bytes_sent; /* of those, before TLS */
    _Atomic uint64_t
        frames_dropped; /* the peer's queue was full, its budget spent, or it was down */
    _Atomic uint64_t strikes;
    _Atomic uint64_t sync_ranges[P2P_PEERS_MAX]; /* range answers of each that led on */
    _Atomic uint64_t sync_ranges_ahead;          /* that were here before the core asked */
    _Atomic uint64_t transactions_received;      /* from peers */
    _Atomic uint64_t transactions_posted;        /* by the API */
    _Atomic uint64_t transactions_refused;
    _Atomic uint64_t transactions_overload; /* dropped: too many in flight */
    _Atomic uint64_t signatures_verified;
    _Atomic uint64_t signatures_cached;
    _Atomic uint64_t blocks_committed;
    _Atomic uint64_t transactions_committed; /* by this process */
    _Atomic uint64_t journal_syncs;
    _Atomic uint64_t journal_full;
    _Atomic uint64_t blocks_built;
    _Atomic uint64_t votes_sent;
    _Atomic uint64_t views_entered;
    _Atomic uint64_t views_nullified; /* in which this node voted to nullify */
    _Atomic uint64_t evidence;
    _Atomic uint64_t alarms;
    _Atomic uint64_t store_full;
    _Atomic uint64_t http_requests;
    _Atomic uint64_t http_limited; /* answered 429 for their address or key */
    _Atomic uint64_t http_ended;   /* connections ended for taking too long, or for want of room */
    _Atomic uint64_t snapshots_made;
    _Atomic uint64_t signer_votes;
    _Atomic uint64_t signer_wait_us; /* all votes' waiting for the signer, added up */
    _Atomic uint64_t signer_refusals;
    _Atomic uint64_t solver_starts;    /* processes that look for solutions of coupled auctions */
    _Atomic uint64_t solver_failures;  /* of them: would not start, died, talked nonsense */
    _Atomic uint64_t solver_timeouts;  /* time over, and nothing said */
    _Atomic uint64_t solver_wrong;     /* solutions that the check refused */
    _Atomic uint64_t solver_proposals; /* sent to the chain */
    _Atomic uint64_t signer_losses;    /* times that it stopped answering */
};

static inline void metric_add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* A frame for a peer that was queued, or was not. */
static inline void metric_add_frame(struct node_metrics *metrics, bool sent, size_t bytes)
{
    metric_add(sent ? &metrics->frames_sent : &metrics->frames_dropped, 1);
    if (sent)
        metric_add(&metrics->frame_bytes_sent, bytes);
}

static inline uint64_t metric_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
