/* One running node, as its own parts see it. Nothing outside node/ includes this.
 *
 * Who may touch what:
 *   the loop thread alone   core, chain, mempool, gossip, journal, shell, ranges, serve, holds,
 *                           told_pruned, set, epoch, validator_peer
 *   any thread              inbox, sync_inbox, snapshots, workers, cache, clock, board, history,
 *                           metrics, p2p_send, snapshots of
 *                           store, the atomics, and all that is set before the threads start and
 *                           never again (config, genesis, key) */
#ifndef FLEX_NODE_NODE_H
#define FLEX_NODE_NODE_H

#include "consensus/bft.h"
#include "node/board.h"
#include "node/chain.h"
#include "node/clock.h"
#include "node/config.h"
#include "node/evidence.h"
#include "node/figures.h"
#include "node/history.h"
#include "node/inbox.h"
#include "node/mempool.h"
#include "node/metrics.h"
#include "node/ranges.h"
#include "node/retention.h"
#include "node/serve_budget.h"
#include "node/signer_client.h"
#include "node/sync_run.h"
#include "node/verify_cache.h"
#include "node/workers.h"
#include "p2p/p2p.h"
#include "storage/journal.h"
#include "storage/store.h"

struct api;
struct snapshots;
struct shell;
struct solver_worker;

enum {
    /* A transaction whose nonce is that far above the account's next one waits in the mempool. */
    NODE_NONCE_AHEAD_MAX = 64,
    NODE_STORE_RETRY_MS = 1000,
    NODE_HOUSEKEEPING_MS = 1000,
    NODE_NO_VALIDATOR = -1,
    /* The type byte, and the largest transaction or some hundred of the usual ones. */
    NODE_GOSSIP_BYTES = 1 + 4 + LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES
};

/* Transactions on their way to all peers, in one frame; the loop's. */
struct node_gossip {
    uint32_t count;
    size_t size;
    uint8_t *bytes; /* NODE_GOSSIP_BYTES; NULL on an audit node */
};

struct node {
    struct node_config config;
    int home_lock; /* node_home_take; -1: not taken */
    struct genesis *genesis;
    struct hash genesis_hash;
    char *genesis_text; /* genesis.json as it stands in the home */
    size_t genesis_text_size;
    struct validator_set set;
    struct secret_key seed; /* zero where a signer has it */
    struct public_key key;
    struct signer *signer; /* NULL: the seed is here */
    uint64_t epoch;
    /* In the set; NODE_NO_VALIDATOR: this node follows. These three change with the epoch; other
     * threads use them for a hint alone (gossip, readiness). */
    _Atomic int own_index;
    _Atomic int peer_validator[P2P_PEERS_MAX];
    _Atomic uint32_t quorum;
    int validator_peer[LIMIT_VALIDATORS];

    struct node_clock clock;
    FILE *log;              /* NULL: standard error */
    uint64_t strip_scanned; /* below it no witness is left (node_strip) */
    struct node_board board;
    struct node_evidence evidence;
    struct node_history history;
    struct node_metrics metrics;
    struct figures figures;
    struct verify_cache cache;
    struct inbox inbox;
    struct workers *workers;
    struct store *store;
    struct p2p *p2p;
    struct api *api;

    void *core_memory;
    struct bft *core;
    struct chain *chain;
    struct mempool *mempool; /* NULL on an audit node */
    struct node_gossip gossip;
    struct journal *journal;
    bool restored; /* out of a backup, and the chain is not past that (restored.h) */
    struct shell *shell;
    struct node_ranges ranges;
    struct snapshots *snapshots;
    struct solver_worker *solver; /* NULL: this node solves nothing */
    struct sync_inbox sync_inbox;
    /* What a reload has read; the loop takes the new peers over (reload.c). */
    struct node_reload {
        pthread_mutex_t lock;
        uint32_t peer_count;
        struct p2p_peer_config peers[P2P_PEERS_MAX];
    } reload;
    struct serve_budget serve[P2P_PEERS_MAX];
    struct retention_hold holds[P2P_PEERS_MAX];
    uint64_t told_pruned[P2P_PEERS_MAX]; /* what each peer last said of its first body */
    pthread_t loop;
    bool loop_runs;
    _Atomic bool loop_ended;
    _Atomic uint64_t loop_turn_ms; /* monotonic: when the loop last began to wait */
    /* The loop waits for room for the journal; its board stands still meanwhile. */
    _Atomic bool journal_full;
    /* Set by the loop when a fault of the environment ends it; read after it has been joined. */
    bool failed;
    /* Of the next block, which this program can't execute; 0: it can. Read as `failed` is. */
    uint32_t rules_missing;
};

static inline bool node_is_validator(const struct node *node)
{
    return node->own_index != NODE_NO_VALIDATOR;
}

/* start.c: everything from configuration to running threads, and back. Exit codes of commands.h, or
 * NODE_STOPPED: a signal came before the node ran. */
enum { NODE_STOPPED = -1 };
int node_start(struct node *node, const char *home);
void node_stop(struct node *node);
/* Opens the log, anew after it has been moved away. False, and the one that was open stays, if that
 * fails; the reason is logged. */
bool node_log_open(struct node *node);
/* Says on standard error and in the log that the next block needs rules that this program lacks. */
int node_refuse_rules(const struct node *node, uint32_t version);

/* What p2p needs, out of `config`, which may be newer than the node's own. False if a name is too long.
 * The seed in it is the caller's to wipe. */
bool node_links_config(struct p2p_config *links, const struct node *node,
                       const struct node_config *config);

/* reload.c: SIGHUP. The main thread reads HOME/flexd.json anew and takes over certificates, addresses of
 * peers and new peers, all or nothing; what came of it is logged. Everything else takes a restart. */
void node_reload_open(struct node *node);
void node_reload(struct node *node);
/* Loop thread: peers that a reload has added. */
void node_take_peers(struct node *node);

/* Which configured peer is which validator of the set; logs validators that are no peers. Loop thread. */
void node_fill_peer_tables(struct node *node);

/* epoch.c: set, core, journal and peer tables of the epoch that the committed state is in; replays the
 * journal into the core. False with the reason. node_epoch_close undoes it, also half of it. */
bool node_epoch_open(struct node *node, char problem[NODE_PROBLEM_SIZE]);
void node_epoch_close(struct node *node);

/* loop.c: the thread's body; `context` is the node. */
void *node_loop_main(void *context);

/* intake.c: what p2p calls, and what the loop does with each event. */
bool node_on_p2p(void *context, const struct p2p_event *event);
void node_intake(struct node *node, struct node_event *event);
/* Takes a body that a peer sent, of a final block if a time is given. False with *at_fault set if it can
 * only be the peer's fault; a cache that is full of unfinal blocks is our own trouble, and the block comes
 * again when it is asked for. */
bool node_take_body(struct node *node, const struct block_header *header, struct bytes_view body,
                    const struct timestamp *final_or_null, bool *at_fault);
void node_strike(struct node *node, int peer, const char *why);

/* gossip.c: a transaction that the workers have verified. Loop thread. */
void node_take_transaction(struct node *node, struct node_event *event);
/* Sends what the API's takes of this turn have left. Loop thread. */
void node_gossip_flush(struct node *node);
/* Does the mempool hold something that could stand in the next block? Loop thread. */
bool node_has_pending(struct node *node);

/* serve.c: answers to GET_BLOCK and GET_RANGE, from cache or store, within the peer's budget. Loop
 * thread. */
void node_serve_block(struct node *node, uint32_t peer, const struct hash *block_id);
void node_serve_range(struct node *node, uint32_t peer, const struct message_get_range *question);

#endif
