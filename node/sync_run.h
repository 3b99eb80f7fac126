/* The start of a node whose home is empty and whose configuration says "sync": "snapshot"
 * (docs/spec/snapshot.md, "Joining"): links are up, nothing else is. */
#ifndef FLEX_NODE_SYNC_RUN_H
#define FLEX_NODE_SYNC_RUN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/keys.h"
#include "p2p/p2p.h"

struct node;
struct sync_frame;

enum {
    /* Of one peer, before it has to wait: its one part, and offers and questions around it. */
    SYNC_PEER_FRAMES_MAX = 4
};

/* What p2p's thread leaves for the main thread while a snapshot is fetched. */
struct sync_inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bool open; /* frames go here and not to the loop */
    struct sync_frame *head;
    struct sync_frame *tail;
    uint32_t frames[P2P_PEERS_MAX];
    bool stalled[P2P_PEERS_MAX];
    bool changed[P2P_PEERS_MAX]; /* the link came or went since it was last looked at */
    bool up[P2P_PEERS_MAX];
};

void sync_inbox_open(struct sync_inbox *inbox);
void sync_inbox_close(struct sync_inbox *inbox);
/* True: the event was taken here. *room false: the peer has to wait. p2p's thread. */
bool sync_inbox_take(struct sync_inbox *inbox, const struct p2p_event *event, bool *room);

enum sync_outcome {
    SYNC_DONE, /* the store has the snapshot's state; or there was no snapshot, and the node replays */
    SYNC_STOPPED, /* by SIGTERM or SIGINT */
    SYNC_FAILED
};
/* Is the store empty, and does the configuration, or what an earlier start has begun, say so? */
bool node_sync_is_due(const struct node *node);
/* Fetches and loads. Store and links are open. Blocks until it is over; a signal that the caller has
 * blocked ends it. */
enum sync_outcome node_sync(struct node *node, char problem[NODE_PROBLEM_SIZE]);

#endif
