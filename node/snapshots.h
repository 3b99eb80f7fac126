/* A node's snapshots: making them as the chain grows, keeping the last two, serving them to peers
 * (docs/spec/snapshot.md).
 *
 * Two threads of their own, so that neither making one nor reading parts from disk ever holds up the
 * loop: the maker (at a low priority) and the server, which answers one part per peer at a time within
 * a budget of bytes. */
#ifndef FLEX_NODE_SNAPSHOTS_H
#define FLEX_NODE_SNAPSHOTS_H

#include "node/node.h"
#include "node/snapshot_message.h"

struct snapshots;

enum {
    SNAPSHOTS_KEPT = 2,
    /* An older one stays while somebody fetches it. */
    SNAPSHOTS_USED_MS = 120000,
    SNAPSHOTS_LOOK_MS = 1000
};

/* HOME/snapshots, and in it the file by which an operator asks for one now (flex snapshot create). */
extern const char snapshots_directory[];
extern const char snapshots_wanted[];
extern const char snapshots_incoming[];

/* Takes up what is on disk, and starts the threads. What `node` has is used: config, store, p2p, genesis
 * hash, metrics. NULL with the reason. */
struct snapshots *snapshots_start(struct node *node, char problem[NODE_PROBLEM_SIZE]);
/* Ends the threads, also in the middle of making one, which is given up. What else is here may still be
 * called. */
void snapshots_stop(struct snapshots *snapshots);
/* After that, and after everybody who may ask. */
void snapshots_close(struct snapshots *snapshots);
/* After each commit, on the loop thread: the block's state may be due for a snapshot. */
void snapshots_committed(struct snapshots *snapshots);
/* Any thread. */
void snapshots_offers(struct snapshots *snapshots, struct snapshot_offers *out);
/* Height of the oldest that is here; 0: none. */
uint64_t snapshots_oldest(struct snapshots *snapshots);
/* A peer's request; it is answered by the server thread, BUSY if an earlier one still waits. */
void snapshots_ask(struct snapshots *snapshots, uint32_t peer,
                   const struct snapshot_wanted *wanted);
/* Directory of a finished snapshot of that height; false if there is none. */
bool snapshots_path(struct snapshots *snapshots, uint64_t height, char out[SNAPSHOT_PATH_SIZE]);

#endif
