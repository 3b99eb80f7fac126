/* The chain database: finalized blocks, certificates, receipts and state in LMDB.
 *
 * Durability invariants:
 *  D1 store_commit is one LMDB transaction with LMDB's default (full) durability: after it returns
 *     true, block, certificate, receipts, indexes, state and tree nodes of that height are on disk
 *     together; before, none of them is.
 *  D2 heights are committed in order without gaps; the tip never moves back.
 *  D3 a record that a decision rests on is checked against its hash or checksum when read.
 *     The same for an answer that a record is not there: it is believed only between two whole
 *     neighbours, and a snapshot believes the absence of a state record of the state tree alone.
 *  D4 a fault is reported once and sticks: the node must stop (STORE_FAULT), except map full and
 *     disk full, which leave the store as it was (STORE_FULL).
 *
 *  D8 bodies and receipts go away from the oldest on (store_prune), and a store that began with a
 *     loaded state never had those below it: store_floor says where they begin. Asking for what is
 *     below is PRUNED, never CORRUPT, and what is above is never missing.
 *
 *  D10 witnesses go away from the oldest block on (store_strip), each with its stand-in in one transaction;
 *      what is left of a body has the same root.
 *
 * The owner thread commits; any thread may read through a snapshot of its own. */
#ifndef FLEX_STORAGE_STORE_H
#define FLEX_STORAGE_STORE_H

#include "consensus/vote.h"
#include "crypto/merkle.h"
#include "storage/overlay.h"

struct store;
struct store_snapshot;

enum store_result {
    STORE_OK,
    STORE_ABSENT,   /* no such record */
    STORE_PRUNED,   /* was there once, or is below where this store begins: see store_floor */
    STORE_FULL,     /* disk or map full; nothing changed; make room and try again */
    STORE_CORRUPT,  /* a record does not match its hash */
    STORE_MISMATCH, /* another chain's store, or a version that this binary doesn't know */
    STORE_LOCKED,   /* another process has it open */
    STORE_FAULT     /* the environment failed; see the log; stop */
};
const char *store_result_text(enum store_result result);

struct store_config {
    const char *directory; /* made if missing, mode 0700 */
    size_t map_bytes;      /* LMDB's map: address space, not memory; 0 = 64 GiB */
    size_t map_bytes_max;  /* a full map grows up to this; 0 = 1 TiB */
    size_t map_bytes_step; /* by so much at a time; 0: it is doubled */
    struct hash genesis;   /* the chain; a store of another one is MISMATCH */
    uint64_t disk_reserve; /* a commit that would leave less free on the disk is FULL, so that no
                              write is ever cut off in its middle; 0 = 64 MiB */
};

/* One process at a time, and once per process; never fork with it open. Any result but OK and FAULT
 * leaves what is on disk as it was. */
enum store_result store_open(struct store **out, const struct store_config *config);
void store_close(struct store *store);

struct store_tip {
    uint64_t height; /* 0 with block_id = genesis hash: only genesis is in it */
    uint64_t view;
    struct hash block_id;
    struct hash state_root;
    struct timestamp time;
    uint64_t transactions;      /* since genesis */
    struct merkle_frontier log; /* over the ids of blocks 0 (genesis) to height */
    bool has_genesis;
};
/* The owner thread's view of the last commit. */
const struct store_tip *store_tip(const struct store *store);

struct store_block {
    uint64_t height;
    struct bytes_view header; /* BLOCK_HEADER_SIZE bytes; empty for genesis */
    struct bytes_view body;
    struct bytes_view receipts;    /* u32 count x sized canonical receipt, the block end's last */
    struct bytes_view certificate; /* finalization of this very block, or empty */
    const struct hash *tx_ids;     /* in the order of the body */
    uint32_t tx_count;
    struct overlay *state; /* sealed; its changes go down with the block, and its tree counts */
    struct store_tip tip;  /* what the tip is afterwards */
};
enum store_result store_commit(struct store *store, const struct store_block *block);

/* The lowest heights, from 1 on, of which this store still has headers, and bodies with receipts: all
 * from there on to the tip. */
struct store_floor {
    uint64_t headers;
    uint64_t bodies;
    uint64_t witnesses; /* bodies below may have stand-ins for them (contracts/witness.h) */
};
/* The owner thread's view. */
struct store_floor store_floor(const struct store *store);
enum { STORE_PRUNE_BLOCKS_MAX = 256 };
/* Removes bodies and receipts below height `bodies_from`, the oldest first, at most
 * STORE_PRUNE_BLOCKS_MAX of them, in one transaction; headers, certificates, ids and the index of
 * transactions stay. The tip's own body never goes. *more: there are more to remove. */
enum store_result store_prune(struct store *store, uint64_t bodies_from, bool *more);

/* Replaces the witnesses in all bodies below that height, at most STORE_STRIP_BLOCKS_MAX above those that
 * have lost theirs and never the tip's, by what the blocks' own receipts say of them, in one transaction. A
 * body that would outgrow its limit by that keeps its witnesses. */
enum { STORE_STRIP_BLOCKS_MAX = 64 };
enum store_result store_strip(struct store *store, uint64_t witnesses_from);

/* --- loading a state instead of executing up to it (docs/spec/snapshot.md) ------------------- */

struct store_entry {
    struct bytes_view key;
    struct bytes_view value;
};
/* Into a store that holds nothing, not even genesis, in any number of calls and in this order.
 * Nothing counts before store_load_finish: a store that is opened with a load half done is empty. */
/* Ascending keys or not; the same key twice is our bug. */
enum store_result store_load_entries(struct store *store, const struct store_entry *entries,
                                     size_t count);
/* A header below the tip, with what made it final (may be empty). */
enum store_result store_load_header(struct store *store, struct bytes_view header,
                                    struct bytes_view certificate);
/* The tip's header and its own certificate (may be empty); bodies begin above it. `below` is the history
 * log over the blocks before the tip: it stays, so that what comes after can be proven in the log.
 * CORRUPT, and nothing changed: the root over all that was loaded is not tip->state_root, or that of
 * `below` not the header's log root. */
enum store_result store_load_finish(struct store *store, const struct store_tip *tip,
                                    const struct merkle_frontier *below, struct bytes_view header,
                                    struct bytes_view certificate);
/* Throws away what was loaded and not finished. */
enum store_result store_load_discard(struct store *store);

/* Records that reading has found damaged since the opening, by whichever thread. A node whose state is
 * touched stops by the fault of its base; this says which record it was, and tells of old blocks too. */
enum { STORE_DAMAGE_TEXT_SIZE = 256 };
struct store_damage {
    uint64_t count;
    char first[STORE_DAMAGE_TEXT_SIZE]; /* a sentence; empty if count is 0 */
};
void store_damage(struct store *store, struct store_damage *out);

/* The owner thread's base for overlays: always the last commit. Its answers live until the next
 * commit. */
const struct state_base *store_state_base(struct store *store);

/* Snapshots: a consistent view of one height, for any thread; keep it short. NULL if no reader slot
 * is free. Views that it returns live until its end. */
struct store_snapshot *store_snapshot_begin(struct store *store);
void store_snapshot_end(struct store_snapshot *snapshot);
const struct store_tip *store_snapshot_tip(const struct store_snapshot *snapshot);
const struct state_base *store_snapshot_base(struct store_snapshot *snapshot);
/* Fills header, body, receipts, certificate, height of *out, and zeroes the rest. Checked against
 * checksums and the block id. PRUNED: the body is gone; header and certificate are filled if they are
 * here. */
enum store_result store_snapshot_block(struct store_snapshot *snapshot, uint64_t height,
                                       struct store_block *out);
/* Header, certificate and height alone; all heights from floor.headers on have them, and below it the
 * last block of each epoch and the one before that. */
enum store_result store_snapshot_header(struct store_snapshot *snapshot, uint64_t height,
                                        struct store_block *out);
/* The store waits for snapshots to end before it can grow: whoever holds one for long must let go. */
bool store_snapshot_is_in_the_way(struct store_snapshot *snapshot);
struct store_floor store_snapshot_floor(struct store_snapshot *snapshot);
/* The history log over the blocks below floor.headers, of a store that was loaded; count 0 if it has all
 * headers. CORRUPT if it is not there or not of that many. */
enum store_result store_snapshot_frontier(struct store_snapshot *snapshot,
                                          struct merkle_frontier *out);
enum store_result store_snapshot_height_of(struct store_snapshot *snapshot,
                                           const struct hash *block_id, uint64_t *height);
enum store_result store_snapshot_transaction(struct store_snapshot *snapshot,
                                             const struct hash *tx_id, uint64_t *height,
                                             uint32_t *index);

#endif
