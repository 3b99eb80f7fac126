/* The core's state and the seams between its parts, visible to tests and to the simulator's
 * oracles.
 *
 *   bft.c       life cycle, replay, dispatch of inputs
 *   effect.c    the bounded list of effects, alarms
 *   tally.c     view slots, votes, certificates; emits each threshold once
 *   view.c      view machine: entering, proposing, notarizing, nullifying, finalizing, timers
 *   chain.c     chain driver: headers, ancestry, execution order, certification, decisions
 *   fetch.c     what is missing and whom to ask for it (R11), status, answers to others
 *   rollback.c  the rolled-back-disk rule
 *
 * Memory: one struct bft, then LIMIT_VIEW_WINDOW slots of bft_slot_stride() bytes in a ring by
 * view, then as many headers. A slot holds all that is known of one view: n votes of each kind, certificates cut down to
 * a quorum of signatures, and at most two headers. The ring covers [base, base +
 * LIMIT_VIEW_WINDOW); base follows the last decided view, BFT_RETENTION behind, for late evidence.
 */
#ifndef FLEX_CONSENSUS_BFT_INTERNAL_H
#define FLEX_CONSENSUS_BFT_INTERNAL_H

#include "consensus/bft.h"

enum {
    BFT_RETENTION = 64,      /* decided views whose votes are kept, for evidence */
    BFT_BLOCKS_PER_VIEW = 2, /* consensus.md 7 */
    BFT_POOL = 96,           /* certificates that one step may hand out */
    BFT_FETCHES = 64,        /* requests under way */
    BFT_EXECUTIONS = 16,     /* EXECUTE effects not yet answered */
    BFT_IN_FLIGHT = 128,     /* DECIDE effects not yet COMMITTED; more than LIMIT_RANGE_BLOCKS */
    BFT_DECIDES_PER_STEP = 16,
    BFT_ROOM_MIN = 80,          /* effects kept free for what a pass must be able to say */
    BFT_PASSES = 64,            /* passes of one step before it asks to be called again */
    BFT_STANDSTILL_BUDGET = 24, /* certificates of one standstill broadcast (R10b) */
    BFT_WANTS_PER_PASS = 8,     /* missing certificates asked for at a time */
    BFT_RANGE_GAP = 8,          /* heights behind which single blocks are not worth asking for */
    BFT_RETRY_MS = 500,         /* R11 */
    BFT_RETRY_CAP_MS = 30000,
    BFT_CLOCK_SLACK_MS = 500, /* R4, time rule */
    /* Views since the last final one from which on timeouts double, and each how many more. */
    BFT_VIEWS_PLENTY = LIMIT_VIEW_WINDOW / 2,
    BFT_VIEWS_DOUBLING = 128
};

/* No honest set gets there; keeps every sum of a peer's view number from wrapping. */
#define BFT_VIEW_MAX (UINT64_MAX / 2)

_Static_assert(LIMIT_VIEW_WINDOW / BFT_VIEWS_DOUBLING <= 32, "a doubled timeout fits 64 bits");
_Static_assert((int)BFT_IN_FLIGHT > (int)LIMIT_RANGE_BLOCKS, "a whole range can be decided");
_Static_assert((int)BFT_EFFECTS_MAX >
                   (int)BFT_ROOM_MIN + (int)LIMIT_RANGE_BLOCKS + 2 * (int)LIMIT_VALIDATORS,
               "a range answer and what follows from it fit one step");

/* What a test may break on purpose, to show that the oracles would notice. Zero in production. */
enum bft_mutant {
    BFT_MUTANT_NONE = 0,
    BFT_MUTANT_FINALIZE_AFTER_NULLIFY = 1,
    BFT_MUTANT_SKIP_ANCESTRY = 2,
    BFT_MUTANT_NO_REFEED = 4,
    BFT_MUTANT_NO_FETCH_NO_STANDSTILL = 8,
    BFT_MUTANT_PAST_BOUNDARY = 16
};

/* Ed25519 unless a simulator puts a cheaper scheme in, after bft_create and before replay. */
struct bft_signing {
    void (*sign)(struct signature *out, const struct secret_key *seed, const struct hash *message);
    bool (*verify)(const struct signature *signature, const struct public_key *key,
                   const struct hash *message);
};

enum bft_execution {
    BFT_EXECUTION_NONE,
    BFT_EXECUTION_ASKED,
    BFT_EXECUTION_VALID,
    BFT_EXECUTION_INVALID,
    BFT_EXECUTION_LACKING /* the shell's program has no verdict on it */
};

struct bft_block {
    bool known;     /* header here, body in the shell's cache */
    bool journaled; /* PERSIST_BLOCK was said */
    enum bft_execution execution;
    struct hash id;
    struct block_header header;
};

/* One vote in a tally. */
struct bft_ballot {
    struct hash block_id;
    struct signature signature;
};

/* A certificate without its signatures, which stand in the slot's tail. */
struct bft_held {
    bool held;
    struct hash block_id;
    uint32_t signers; /* a quorum of bits */
};

enum bft_own { BFT_OWN_NONE, BFT_OWN_UNSYNCED, BFT_OWN_DURABLE };

struct bft_slot {
    uint64_t view;
    enum bft_own own[VOTE_KIND_COUNT];
    struct bft_ballot own_ballot[VOTE_KIND_COUNT];
    bool has_proposal;
    struct hash proposal_id;
    uint64_t proposal_ms;
    bool equivocal;    /* two blocks of one leader are known (R3) */
    bool invalid;      /* the proposal can never be notarized (R6) */
    bool build_failed; /* own (R6) */
    bool certified;    /* R5 */
    uint8_t barred;    /* kinds that the signer refuses, by bit */
    bool pinned;       /* pinned_id is notarized, finalized, or an ancestor of such a block */
    struct hash pinned_id;
    uint64_t path_next;                 /* the next view on the way up to the final block */
    uint32_t seen[VOTE_KIND_COUNT];     /* signers whose vote is held */
    uint32_t evidence[VOTE_KIND_COUNT]; /* signers already reported; U stands for U and F */
    struct bft_held certificates[VOTE_KIND_COUNT];
    struct bft_block blocks[BFT_BLOCKS_PER_VIEW];
};

enum bft_fetch_kind { BFT_FETCH_CERTIFICATE, BFT_FETCH_BLOCK, BFT_FETCH_RANGE };

struct bft_fetch {
    bool in_use;
    bool wanted; /* since the last sweep */
    enum bft_fetch_kind kind;
    uint64_t view; /* CERTIFICATE; the height for RANGE */
    struct hash id;
    uint64_t next_ms;
    uint64_t wait_ms;
    uint32_t attempts;
    int last_peer;
};

struct bft_asked {
    bool in_use;
    uint64_t view;
    struct hash id;
};

struct bft {
    struct bft_config config;
    struct bft_signing signing;
    uint32_t mutants;
    uint32_t count;  /* n */
    uint32_t quorum; /* n - f */
    int self;        /* -1: observer */
    size_t stride;
    uint8_t *ring;
    bool slot_used[LIMIT_VIEW_WINDOW]; /* apart, so that a new core touches no slot's page */
    uint8_t *proof_headers; /* LIMIT_VIEW_WINDOW headers, written once, when the epoch ends */
    struct hash set_hash;   /* a header that names another next_set is a boundary */
    bool ended;             /* the boundary block is decided */

    /* The step that runs. */
    struct bft_effects *effects; /* NULL during replay */
    struct bft_effect nowhere;   /* where effects go then */
    uint32_t persist_count;
    bool own_vote_emitted;
    bool dirty; /* something changed: another pass */
    bool more;  /* out of room: call again at once */
    uint64_t now_ms;
    struct timestamp wall;
    uint32_t pool_used;
    struct certificate pool[BFT_POOL];
    struct message_proposal proposal_out;

    /* View machine. */
    bool started;
    uint64_t view;
    uint64_t entry_ms;
    uint64_t retry_ms;
    uint64_t standstill_ms;
    uint64_t standstill_view;
    bool building;
    bool parent_ready;
    uint64_t parent_view;
    struct hash parent_id;
    uint64_t parent_height;
    bool pending;
    uint64_t pending_ms;
    bool unsynced; /* own votes between these views wait for PERSISTED */
    uint64_t unsynced_low;
    uint64_t unsynced_high;
    bool signer_away; /* config.sign has not answered, or not yet */
    bool uncounted;   /* own durable votes between these views are not in the tally yet */
    uint64_t uncounted_low;
    uint64_t uncounted_high;
    const char *refusal;

    /* Chain driver: what is final, decided, committed. */
    uint64_t final_view;
    struct hash final_id;
    bool has_top;
    struct certificate top; /* finalization of final_view */
    uint64_t decided_view;
    uint64_t decided_height;
    struct hash decided_id;
    struct timestamp decided_time;
    uint64_t committed_height;
    uint64_t floor_view;
    uint64_t in_flight[BFT_IN_FLIGHT]; /* view of each decided height, by height */
    struct bft_asked asked[BFT_EXECUTIONS];
    struct bft_fetch fetches[BFT_FETCHES];
    uint64_t peer_height[LIMIT_VALIDATORS]; /* claimed by STATUS, believed by nobody */
    uint64_t random;

    /* Rolled-back disk. */
    bool trusted;      /* enough peers have answered */
    uint32_t answered; /* bit per validator */
    uint64_t ask_ms;
    uint64_t own_high_view; /* highest own vote in the journal */
    bool has_high[LIMIT_VALIDATORS];
    struct vote high[LIMIT_VALIDATORS];
    uint32_t high_unsaved;
};

/* --- effect.c ------------------------------------------------------------------------------- */

/* A zeroed effect at its place in the order. Callers in loops check bft_has_room first. */
struct bft_effect *bft_emit(struct bft *core, enum bft_effect_kind kind, int to);
bool bft_has_room(const struct bft *core);
/* Says so once, and never votes again. */
void bft_alarm(struct bft *core, const char *text);
void bft_strike(struct bft *core, const struct bft_input *input, const char *text);
/* A copy that lives until the next step; NULL if this step has handed out too many. */
struct certificate *bft_pool_take(struct bft *core);

/* --- tally.c -------------------------------------------------------------------------------- */

size_t bft_slot_stride(uint32_t validators);
uint64_t bft_window_base(const struct bft *core);
/* NULL if the view is outside the window or nothing is known of it. */
struct bft_slot *bft_slot_find(const struct bft *core, uint64_t view);
/* NULL if the view is outside the window; otherwise the view's slot, emptied if it held another. */
struct bft_slot *bft_slot_claim(struct bft *core, uint64_t view);
struct bft_ballot *bft_slot_ballot(const struct bft *core, struct bft_slot *slot, uint8_t kind,
                                   uint32_t signer);
void bft_slot_certificate(const struct bft *core, struct bft_slot *slot, uint8_t kind,
                          struct certificate *out);
/* SEND_CERTIFICATE of a held certificate. */
void bft_send_held(struct bft *core, struct bft_slot *slot, uint8_t kind, int to, int reply_to);
/* A vote of another validator, not yet verified. False: the sender deserves a strike. */
bool tally_vote(struct bft *core, const struct vote *vote);
/* All own votes said so far are durable. */
void tally_own_persisted(struct bft *core);
/* Counts own durable votes, as many as there is room for. */
void tally_own_count(struct bft *core);
/* The own votes of `view` wait to be counted. */
void tally_own_expect(struct bft *core, uint64_t view);
/* A certificate from anywhere, not yet verified. False: the sender deserves a strike. */
bool tally_certificate(struct bft *core, const struct certificate *certificate);
/* Its structure and every signature; takes nothing in. */
bool tally_check(struct bft *core, const struct certificate *certificate);
/* A verified certificate: R8. */
void tally_take(struct bft *core, const struct certificate *certificate);
/* This very id is the only block of the view that can matter. */
void tally_pin(struct bft *core, struct bft_slot *slot, const struct hash *id);

/* --- view.c --------------------------------------------------------------------------------- */

bool view_may_vote(const struct bft *core);
void view_enter(struct bft *core, uint64_t view);
void view_progress(struct bft *core);
void view_timers(struct bft *core);
uint64_t view_deadline_ms(const struct bft *core);
void view_on_start(struct bft *core);
void view_on_proposal(struct bft *core, const struct bft_input *input);
void view_on_built(struct bft *core, const struct bft_input *input);
/* t_r. */
uint64_t view_retry_interval_ms(const struct bft *core);

/* --- chain.c -------------------------------------------------------------------------------- */

enum chain_state { CHAIN_READY, CHAIN_WAIT, CHAIN_BAD };

bool chain_header_is_ours(const struct bft *core, const struct block_header *header);
struct bft_block *bft_chain_find(const struct bft *core, uint64_t view, const struct hash *id);
/* NULL if there is no room for a block that nobody needs. */
struct bft_block *chain_store(struct bft *core, const struct block_header *header,
                              const struct hash *id);
/* READY once the block and its ancestors have been executed; asks for what that needs. */
enum chain_state bft_chain_execute(struct bft *core, uint64_t view, const struct hash *id);
/* Height of an executed block or of the last decided one. */
bool chain_height(const struct bft *core, uint64_t view, const struct hash *id, uint64_t *height);
void chain_certify(struct bft *core);
void chain_decide(struct bft *core);
void chain_on_block(struct bft *core, const struct bft_input *input);
void chain_on_range(struct bft *core, const struct bft_input *input);
void chain_on_executed(struct bft *core, const struct bft_input *input);
void chain_on_committed(struct bft *core, uint64_t height);

/* --- fetch.c -------------------------------------------------------------------------------- */

void fetch_certificate(struct bft *core, uint64_t view, int first_peer);
/* `holders`: validators that must have it, as bits; 0 if nobody in particular. */
void fetch_block(struct bft *core, const struct hash *id, uint32_t holders);
void fetch_range(struct bft *core);
/* How often the block was asked for in vain. */
uint32_t fetch_attempts(const struct bft *core, const struct hash *id);
void fetch_sweep(struct bft *core);
uint64_t fetch_deadline_ms(const struct bft *core);
int fetch_random_peer(struct bft *core, int other_than);
uint64_t fetch_claimed_height(const struct bft *core);
void fetch_send_status(struct bft *core, int to, int reply_to);
/* The best proof of having entered the current view: F, else U, else N of the view before. */
void fetch_send_entry(struct bft *core, int to, int reply_to);
/* The highest finalization. */
void fetch_send_top(struct bft *core, int to, int reply_to);
void fetch_on_status(struct bft *core, const struct bft_input *input);
void fetch_on_get_certificate(struct bft *core, const struct bft_input *input);

/* --- rollback.c ----------------------------------------------------------------------------- */

void rollback_on_start(struct bft *core);
void rollback_on_peer_up(struct bft *core, const struct bft_input *input);
void rollback_on_get(struct bft *core, const struct bft_input *input);
void rollback_on_answer(struct bft *core, const struct bft_input *input);
void rollback_timers(struct bft *core);
uint64_t rollback_deadline_ms(const struct bft *core);
/* A verified vote of another validator. */
void rollback_note(struct bft *core, const struct vote *vote);
/* Others' highest votes go with an own vote's sync. */
void rollback_flush(struct bft *core);

#endif
