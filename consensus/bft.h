/* The BFT core's face: Simplex as a pure step function (consensus.md; docs/spec/consensus.md).
 *
 * bft_step(core, input, effects): no sockets, files, clock, threads, allocation or randomness from
 * outside; every input carries the time. The one thing that it asks for in mid-step is a signature,
 * of the seed or of config.sign. What it wants done comes back as a bounded list in a fixed
 * order: PERSIST effects first, then SEND and requests. The shell
 *
 *   1. may step several inputs in one turn, collecting effects;
 *   2. appends every PERSIST of the turn to the vote journal, then ONE fdatasync;
 *   3. only then performs the SENDs, DECIDEs and requests of the turn;
 *   4. feeds BFT_INPUT_PERSISTED if the turn had a PERSIST: only now do own votes count.
 *
 * Block bodies never pass through here. The shell keeps them in a cache by block id and
 *   - checks that a body matches header.tx_root before it reports the block (PROPOSAL, BLOCK,
 *     RANGE); a mismatch is the sender's fault and never reaches the core;
 *   - journals the body when told (PERSIST_BLOCK), attaches it to the messages that carry one;
 *   - keeps every body until the core says DECIDE for its height or a higher one.
 *
 * Epochs. A core lives for one epoch, that of its set. A block whose header names another next_set
 * than the core's own ends the epoch (docs/spec/consensus.md, "Epochs"): the core says DECIDE for it
 * with epoch_ends set and a certificate that proves it final, of the block itself or of a descendant
 * whose headers stand in proof_headers; then nothing more. It still answers peers until the shell,
 * having fed COMMITTED for that height, destroys it and [C-EPOCH.SWITCH]
 *   1. creates the next core: set from the new state, epoch + 1, final_* = the boundary block, a fresh
 *      journal of that epoch (there is nothing to replay after a live change); observer if the own
 *      key is not in the new set;
 *   2. feeds START, then PEER_UP for every peer that is connected, with indices of the new set.
 * All `from` and `to` are indices into the running core's set. Messages of other epochs are dropped
 * by the core without a strike. Between the boundary block and its finality the shell builds only
 * empty blocks in its epoch, and calls others INVALID [C-EPOCH.EMPTY].
 *
 * A core without a key (an audit node) takes part in nothing but follows certificates, fetches and
 * decides; so does a validator whose disk was rolled back or whose execution differs from a
 * notarized block (R5, rolled-back disk), which says so once by the effect ALARM. */
#ifndef FLEX_CONSENSUS_BFT_H
#define FLEX_CONSENSUS_BFT_H

#include "consensus/message.h"

struct bft; /* visible in bft_internal.h, for tests and the simulator's oracles */

/* All times in milliseconds; see consensus.md 6. */
struct bft_timing {
    uint32_t delta_ms;          /* D: assumed bound on one message + fsync + verify */
    uint32_t block_interval_ms; /* how long a leader with transactions waits for more */
    uint32_t max_idle_ms;       /* how long a leader without any waits; heartbeat */
    uint32_t exec_budget_ms;    /* execution of a full block */
    uint32_t timeout_cap_ms;    /* absolute cap of any view timeout */
    uint32_t backoff_permille;  /* a: growth per view without finality, 1300 = 1.3 */
};

/* Where the validator's key is in another process (docs/spec/signer.md), that process signs. */
enum bft_sign_result {
    BFT_SIGNED,
    BFT_SIGN_REFUSED, /* for ever: what was signed before excludes this vote */
    BFT_SIGN_AWAY     /* no answer: no votes until BFT_INPUT_SIGNER says that there is one again */
};
/* Fills vote->signature with one that verifies, and answers the same vote with the same result. */
typedef enum bft_sign_result (*bft_sign_fn)(void *context, struct vote *vote);

struct bft_config {
    struct hash genesis;
    struct validator_set set;
    uint64_t epoch;
    struct secret_key
        seed;         /* Ed25519 seed of this validator; ignored for observers and with sign */
    bft_sign_fn sign; /* NULL: the seed signs; else `key` is this validator's */
    void *sign_context;
    struct public_key key;
    bool observer;
    struct bft_timing timing;
    /* Picks fetch peers, and marks this life's questions for the own highest vote: another value at
     * each start. The simulator fixes it. */
    uint64_t jitter_seed;
    /* Where the chain stands: the last committed block (genesis: height 0, view 0, id = the
     * genesis hash as block id). */
    uint64_t final_height;
    uint64_t final_view;
    struct hash final_id;
    struct timestamp final_time;
};

enum { BFT_PEER_ALL = -1, BFT_PEER_NONE = -2 };

enum bft_input_kind {
    BFT_INPUT_START,    /* after replay (bft_replay_*); arms timers, asks for high votes */
    BFT_INPUT_TICK,     /* time passed */
    BFT_INPUT_PROPOSAL, /* header, vote; the body is in the shell's cache */
    BFT_INPUT_VOTE,
    BFT_INPUT_CERTIFICATE,
    BFT_INPUT_GET_CERT, /* view */
    BFT_INPUT_BLOCK,    /* header; an answer to FETCH_BLOCK, body in the cache */
    BFT_INPUT_RANGE,    /* range: headers of the bodies that came, headers behind, certificate */
    BFT_INPUT_STATUS,   /* status of peer `from` */
    BFT_INPUT_PEER_UP,  /* peer `from` authenticated: exchange status */
    BFT_INPUT_GET_HIGH_VOTE, /* key, question */
    BFT_INPUT_HIGH_VOTE,     /* key, question, epoch, vote or none */
    BFT_INPUT_PENDING,       /* pending: are there valid transactions to propose? */
    BFT_INPUT_BUILT,         /* answer to BUILD: view; header (signed by nobody yet), or failed */
    BFT_INPUT_EXECUTED,      /* answer to EXECUTE: block id, verdict */
    BFT_INPUT_COMMITTED,     /* answer to DECIDE: height is synced in the chain database */
    BFT_INPUT_PERSISTED,     /* the turn's journal records are synced */
    BFT_INPUT_SIGNER         /* available: does config.sign answer? At first it is taken not to */
};

enum bft_verdict {
    BFT_VERDICT_VALID,
    BFT_VERDICT_INVALID, /* for ever: roots, format, semantics, time not above the parent's */
    BFT_VERDICT_NOT_YET  /* this program can't say [C-EXECUTE.LACKS]; asked again in another life */
};

struct bft_input {
    enum bft_input_kind kind;
    uint64_t now_ms;       /* monotonic clock: all timers */
    struct timestamp wall; /* own wall clock: the time rule of R4 */
    int from;              /* index of an authenticated validator peer, or BFT_PEER_NONE for
                              an observer or own input. */
    int reply_to;          /* the shell's handle for answering whoever asked */
    const struct block_header *header;
    const struct vote *vote; /* NULL for "none" in HIGH_VOTE */
    const struct certificate *certificate;
    const struct message_proposal *proposal;
    const struct message_range *range;
    const struct message_status *status;
    struct public_key key;
    struct hash block_id;
    uint64_t question;
    uint64_t epoch;
    uint64_t view;
    uint64_t height;
    bool pending;
    bool available;
    bool failed;
    enum bft_verdict verdict;
};

enum bft_effect_kind {
    /* Journal records, in order. */
    BFT_PERSIST_BLOCK,     /* header; the shell adds the body */
    BFT_PERSIST_VOTE,      /* own vote */
    BFT_PERSIST_PEER_VOTE, /* somebody's highest vote, for the rolled-back-disk rule */
    BFT_PERSIST_CERTIFICATE,
    BFT_PERSIST_CERTIFIED, /* view, block_id */
    /* After the sync. `to` = a validator index, BFT_PEER_ALL (observers too), or, for answers,
     * BFT_PEER_NONE with reply_to. */
    BFT_SEND_PROPOSAL, /* header, vote, proposal's certificates; the shell adds the body */
    BFT_SEND_VOTE,
    BFT_SEND_CERTIFICATE,
    BFT_SEND_GET_CERT,      /* view */
    BFT_SEND_GET_BLOCK,     /* block_id */
    BFT_SEND_GET_RANGE,     /* height, count */
    BFT_SEND_STATUS,        /* status */
    BFT_SEND_GET_HIGH_VOTE, /* key, question */
    BFT_SEND_HIGH_VOTE,     /* key, question, epoch, vote or none */
    BFT_BUILD,              /* view, parent in block_id, height, parent_view; answer BUILT */
    BFT_EXECUTE,            /* block_id: on its parent's state; parents are always executed first;
                               answer EXECUTED */
    BFT_DECIDE,             /* header, certificate (finalization of this very block) or none:
                               execute if needed, commit; heights come in order without gaps.
                               epoch_ends: the last one of this core; certificate is there, and
                               finalizes the last of proof_headers if there are any */
    BFT_EVIDENCE,           /* vote, vote2: a validator broke a rule provably */
    BFT_STRIKE,             /* peer `to` sent what no honest peer sends */
    BFT_ALARM               /* text: an operator must act; voting has stopped */
};

struct bft_effect {
    enum bft_effect_kind kind;
    int to;
    int reply_to;
    struct block_header header;
    struct vote vote;
    struct vote vote2;
    bool has_vote;
    /* Owned by the core, valid until the next bft_step. */
    const struct certificate *certificate;
    const struct message_proposal *proposal; /* its body view is empty: the shell fills it */
    struct message_status status;
    struct public_key key;
    struct hash block_id;
    uint64_t question;
    uint64_t epoch;
    uint64_t view;
    uint64_t parent_view;
    uint64_t height;
    uint32_t count;
    const char *text;
    bool epoch_ends;
    /* DECIDE that ends an epoch: encoded headers of the descendants up to the one that certificate
     * finalizes, none if it finalizes the block itself. Valid until the core is destroyed. */
    struct bytes_view proof_headers;
};

enum { BFT_EFFECTS_MAX = 256 };

struct bft_effects {
    uint32_t count;
    struct bft_effect items[BFT_EFFECTS_MAX];
};

/* Bytes that a core for `validators` members needs; the caller allocates once. */
size_t bft_size(uint32_t validators);
/* `memory` of bft_size() bytes, aligned as malloc does. Returns NULL if the configuration is not
 * legal (set invalid, key not in the set and not an observer, timing zero). */
struct bft *bft_create(void *memory, const struct bft_config *config);
/* Wipes the secret. */
void bft_destroy(struct bft *core);

/* Restart (consensus.md 9): journal records in their order, before BFT_INPUT_START. Own votes at
 * or below the final view are ignored. false: the record contradicts what came before (two own
 * votes that exclude each other): refuse to vote, keep the journal for inspection. */
bool bft_replay_vote(struct bft *core, const struct vote *vote);
bool bft_replay_peer_vote(struct bft *core, const struct vote *vote);
bool bft_replay_certificate(struct bft *core, const struct certificate *certificate);
bool bft_replay_certified(struct bft *core, uint64_t view, const struct hash *block_id);
bool bft_replay_block(struct bft *core, const struct block_header *header);
/* The shell found the journal's own votes missing or damaged: never vote with this key again. */
void bft_refuse_to_vote(struct bft *core, const char *reason);

void bft_step(struct bft *core, const struct bft_input *input, struct bft_effects *effects);
/* Would BFT_INPUT_RANGE with this answer extend the decided chain, by hashes and by signatures? Until
 * that is known its bodies are whatever a peer chose to send: a shell keeps those of no other answer.
 * `range` as message_decode_range left it; changes nothing. */
bool bft_takes_range(struct bft *core, const struct message_range *range);
/* Monotonic time at which the shell should send the next TICK; UINT64_MAX if never. */
uint64_t bft_deadline_ms(const struct bft *core);

/* For status pages, oracles and logs. */
struct bft_view_status {
    uint64_t view;
    uint64_t final_view;   /* of the highest finalization known */
    uint64_t final_height; /* of the highest block decided */
    uint64_t committed_height;
    bool voting;         /* false: observer, or has refused */
    const char *refusal; /* why, or NULL */
    uint64_t epoch;
    bool epoch_ended;    /* the boundary block is decided; see above */
    uint64_t floor_view; /* journal records at or below may be pruned */
};
void bft_status(const struct bft *core, struct bft_view_status *out);

#endif
