/* Ranges of final blocks between core, peers and what was asked ahead (range_ahead.h). Loop thread only. */
#ifndef FLEX_NODE_RANGES_H
#define FLEX_NODE_RANGES_H

#include "consensus/bft.h"
#include "node/range_ahead.h"

struct node;

struct node_ranges {
    struct range_ahead ahead;
    /* The core's last question that has not been dealt with. */
    bool wants;
    uint64_t height;
    uint32_t count;
    int peer;
};

/* The core asks for a range. */
void node_ranges_want(struct node *node, const struct bft_effect *effect);
/* The core that asked is gone. */
void node_ranges_forget(struct node *node);
/* Once a turn, after the turn's sync: at most one kept answer goes to the core and is settled, so that votes
 * never wait for more than they did without; questions go out. */
void node_ranges_turn(struct node *node);
/* When that has to be, at the latest. */
uint64_t node_ranges_deadline_ms(const struct node *node);
/* An answer from a peer. False if it can only be the peer's fault. */
bool node_take_range(struct node *node, int peer, struct bytes_view payload);

#endif
