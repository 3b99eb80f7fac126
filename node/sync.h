/* State sync: a new node fetches a snapshot from its peers (docs/spec/snapshot.md, "Joining").
 *
 * The machine alone, without threads, sockets or clocks of its own: links, frames and the time go in,
 * frames and strikes come out. Parts that have been verified stand in a directory, so that a start
 * after a crash goes on where the last one was. One thread.
 *
 * Who sends what does not verify is struck and asked for nothing more until this process ends; who
 * does not deliver in time is struck too, and left out for a while. Everybody else goes on. */
#ifndef FLEX_NODE_SYNC_H
#define FLEX_NODE_SYNC_H

#include "node/snapshot_message.h"
#include "p2p/p2p.h"

enum {
    /* Offers are asked for again that often. */
    SYNC_OFFERS_MS = 3000,
    /* Peers get that long to make offers before the first choice. */
    SYNC_CHOICE_MS = 2000,
    /* So long all peers must have said "none" until it is believed. */
    SYNC_NONE_MS = 6000,
    /* A part may take that, and a second per SYNC_BYTES_PER_SECOND: a link of 2 Mbit/s will do. */
    SYNC_PART_MS = 5000,
    SYNC_BYTES_PER_SECOND = 256 * 1024,
    SYNC_BUSY_MS = 250,
    SYNC_GONE_MS = 5000,
    SYNC_SLOW_MS = 20000,
    /* A peer that has been "busy" or "gone" for that long in sum, and delivered nothing, is as slow as
     * one that misses a deadline: budgets refill within a second (node/serve_budget.h). */
    SYNC_PUT_OFF_MS = 60000,
    /* Nobody who can be asked has the chosen snapshot any more: another one is chosen. */
    SYNC_LOST_MS = 15000,
    /* Slow that often: out. */
    SYNC_SLOW_MAX = 3,
    /* Parts that nobody asked for, as they come late after a timeout; more are no accident. */
    SYNC_UNASKED_MAX = 8
};

struct sync;

struct sync_net {
    void *context;
    void (*send)(void *context, uint32_t peer, struct bytes_view frame);
    /* The peer is struck: its link goes down. */
    void (*strike)(void *context, uint32_t peer, const char *why);
};

struct sync_config {
    const struct genesis *genesis;
    const char *directory; /* where the parts go; made if missing */
    uint32_t peer_count;
    const struct p2p_peer_config *peers; /* for their names in the log */
    struct sync_net net;
};

enum sync_state {
    SYNC_FETCHES,
    SYNC_COMPLETE, /* every part is here and verified: sync_install */
    SYNC_NONE,     /* every peer that is up says that it has no snapshot */
    SYNC_FAULT     /* the disk; see the log */
};

struct sync_progress {
    uint64_t height; /* 0: none chosen yet */
    uint32_t parts;
    uint32_t parts_here;
    uint32_t peers_out; /* struck for good */
};

/* Takes up what an earlier process left in the directory, after verifying it anew. NULL with the
 * reason. What `config` points to must outlive it. */
struct sync *sync_create(const struct sync_config *config, char problem[SNAPSHOT_PROBLEM_SIZE]);
void sync_destroy(struct sync *sync);
void sync_link(struct sync *sync, uint32_t peer, bool up, uint64_t now_ms);
/* A whole frame; those that are not about snapshots are passed over. */
void sync_frame(struct sync *sync, uint32_t peer, struct bytes_view frame, uint64_t now_ms);
/* Asks, and gives up waiting; to be called at least every 100 ms. */
enum sync_state sync_step(struct sync *sync, uint64_t now_ms);
void sync_progress(const struct sync *sync, struct sync_progress *out);

/* Loads the complete snapshot of `directory` into an empty store; verifies all of it once more, from
 * the files. On false the store is still empty (store_load_discard has to be called before another
 * try). */
bool sync_install(const char *directory, const struct genesis *genesis, struct store *store,
                  char problem[SNAPSHOT_PROBLEM_SIZE]);

/* The directory's manifest, decoded; *bytes, which it points into, is malloc'ed (snapshot_bytes_free).
 */
bool snapshot_manifest_load(struct snapshot_manifest *out, struct bytes_view *bytes,
                            const char *directory, char problem[SNAPSHOT_PROBLEM_SIZE]);
/* The epochs of the directory, one after the other, and the manifest on top of them; `problem` names
 * the part. */
bool snapshot_trust_load(struct snapshot_trust *trust, const struct snapshot_manifest *manifest,
                         const char *directory, const struct genesis *genesis,
                         char problem[SNAPSHOT_PROBLEM_SIZE]);
/* Every part of the directory, from the genesis on. */
bool snapshot_verify_directory(const char *directory, const struct genesis *genesis,
                               uint64_t *height, uint64_t *entries,
                               char problem[SNAPSHOT_PROBLEM_SIZE]);

#endif
