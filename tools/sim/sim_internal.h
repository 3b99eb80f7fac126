/* One run's state, shared by the simulator's parts.
 *
 *   run.c      set-up, the loop, the verdict      event.c    virtual time
 *   network.c  frames under way, links            weather.c  what goes wrong when
 *   disk.c     a node's journal                   store.c    a node's chain database
 *   node.c     life and death of a node           shell.c    a turn (the contract of bft.h)
 *   intake.c   frames into the core               serve.c    answers about blocks
 *   client.c   wallets                            oracle.c   what must hold
 *   audit.c    re-execution by a node apart       persona*.c Byzantine validators
 *   keys.c     keys, genesis, signatures          guard.c    assertions become verdicts
 *   mutant.c   rules switched off on purpose      trace.c    the digest, the story
 *   twins.c    numbered scenarios of twins        campaign.c one of them in a cluster
 *   market.c   what wallets do on the ledger     meter.c    readings, and proofs of delivery
 *   epoch.c    sets of validators                governance.c  who validates next
 *   upgrade.c  new rules, old programs
 *
 * A validator is known by the number of its key among the run's keys, which are sorted, as sets are. Its
 * place in the set of an epoch is an index of the core's and of votes; epoch.c leads from one to the other.
 *
 * Times: `now_ms` is the simulation's; a node's monotonic and wall clocks are derived from it. */
#ifndef FLEX_TOOLS_SIM_INTERNAL_H
#define FLEX_TOOLS_SIM_INTERNAL_H

#include "consensus/bft_internal.h"
#include "contracts/delivery.h"
#include "node/chain.h"
#include "node/mempool.h"
#include "storage/journal_internal.h"
#include "tools/sim/mutant.h"
#include "tools/sim/sim.h"

enum {
    SIM_NODES_MAX = 2 * LIMIT_VALIDATORS + 1, /* observer, twins */
    SIM_VIEWS_MAX = 4096,
    SIM_HEIGHTS_MAX = 4096,
    SIM_EVENTS_MAX = 2000000, /* of one run; more is a storm that feeds itself */
    SIM_QUEUE_MAX = 400000,   /* events that wait */
    SIM_GOAL = 3,             /* heights that everybody must commit after GST */
    SIM_DELTA_MS = 100,
    SIM_CAP_MS = 10000,
    SIM_OUTBOX_MAX = 4 * BFT_EFFECTS_MAX + 512,
    SIM_REQUESTS_MAX = LIMIT_VIEW_WINDOW + 4 * BFT_EFFECTS_MAX,
    SIM_ASKED_MAX = 256,
    SIM_PROPOSALS_PER_VIEW_MAX = 3,
    SIM_STORE_RETRY_MS = 1000,
    SIM_SEGMENT_BYTES = 1024, /* small, so that a run sees segments come and go */
    SIM_SEGMENTS_MAX = 2048,
    SIM_JOURNAL_QUIET_BYTES = 512 * 1024, /* what a healthy node may keep after healing */
    SIM_CLOG_MAX = 128,                   /* frames that a clogged link holds */
    SIM_WALLETS = 4,
    SIM_REPLACEMENTS_MAX = 6,
    SIM_WALLET_NONCES = 96,
    SIM_ENVELOPE_MAX = 2048,
    SIM_PERIOD_MS = 900000, /* of a delivery; deals are for the periods 1 to SIM_PERIODS */
    SIM_PERIODS = 3,
    SIM_DSO = 1, /* its wallet; the market operator's, who reads the meters too, is 0 */
    SIM_METER_OPERATOR = 0,
    SIM_DEALS_MAX = 24, /* that are ever proven */
    SIM_KEYS = 64,      /* bits of sim_epoch.members */
    SIM_CHANGES_MAX = 60,
    SIM_EPOCHS_MAX = SIM_CHANGES_MAX + 1,
    SIM_GOVERNORS = 4 /* participants who operate validators, where sets change */
};

/* 2026-01-05 00:00 UTC. */
#define SIM_GENESIS_MS INT64_C(1767571200000)

struct sim;
struct sim_node;
struct sim_persona;

struct sim_random {
    uint64_t word[4];
};

/* --- events ---------------------------------------------------------------------------------- */

enum sim_event_kind {
    SIM_EVENT_FRAME,    /* peer -> node */
    SIM_EVENT_TICK,     /* the core's deadline */
    SIM_EVENT_SETTLE,   /* the store may take blocks again */
    SIM_EVENT_START,    /* of a node that is down */
    SIM_EVENT_KILL,     /* of a node that is up */
    SIM_EVENT_PEER_UP,  /* number: the peer */
    SIM_EVENT_ACT,      /* a persona's own idea */
    SIM_EVENT_WALLET,   /* number: the wallet */
    SIM_EVENT_GOVERN,   /* number: the governor */
    SIM_EVENT_WEATHER,  /* the network changes */
    SIM_EVENT_POWER,    /* number: 1 isolate all, 0 cut the power */
    SIM_EVENT_CALAMITY, /* number: index in the list of planned ones */
    SIM_EVENT_LEAP,     /* everybody's wall clock, past deliveries and proofs */
    SIM_EVENT_HEAL
};

struct sim_frame {
    uint32_t references;
    uint32_t size;
    uint8_t bytes[];
};

struct sim_event {
    uint64_t at_ms;
    uint64_t order;
    enum sim_event_kind kind;
    int node;
    int peer;
    uint32_t generation;
    uint64_t number;
    struct sim_frame *frame;
};

/* --- disk and store -------------------------------------------------------------------------- */

struct sim_segment {
    uint64_t number;
    uint8_t *bytes;
    size_t size;
    size_t synced; /* bytes that a power cut can't take */
    size_t capacity;
    uint64_t view_max;
};

/* One node's vote journal, in the layout of storage/journal.c, read back by its scanner. */
struct sim_disk {
    struct sim_segment segments[SIM_SEGMENTS_MAX];
    uint32_t count;
    uint32_t turn_start;
    bool unsynced;
    bool refused;          /* opened with a finding: no own votes, nothing is deleted */
    uint64_t vote_segment; /* where the latest own vote stands */
    bool vote_pending;
    struct journal_peers peers;
    bool carry;                    /* the newest segment was found without some of them */
    struct sign_state sign;        /* as the file has it, once it reached the disk */
    struct sign_state sign_cached; /* as the node sees it */
    bool sign_reached;             /* what the two above would be without any mutant: */
    struct sign_state sign_truth;  /* the durable one */
    uint64_t floor_view;
    uint64_t epoch; /* each has a journal of its own */
};

/* A final block, as everybody must have it. */
struct sim_final {
    struct block_header header;
    struct hash id;
    uint8_t *body;
    size_t body_size;
    uint8_t *kept; /* the body without its witnesses; NULL if it never had any */
    size_t kept_size;
    struct hash receipts; /* hash over the receipts' bytes */
    uint64_t at_ms;
};

struct sim_store {
    struct memory_base *base;
    struct store_tip tip;
    struct certificate *certificates[SIM_HEIGHTS_MAX]; /* or NULL */
    /* Of each epoch's last block: headers up to the one that its certificate names. */
    uint8_t *proof_headers[SIM_EPOCHS_MAX];
    uint32_t proof_count[SIM_EPOCHS_MAX];
    bool full; /* answers STORE_FULL */
    struct sim *sim;
    int node;
};

/* --- a node ---------------------------------------------------------------------------------- */

struct sim_send {
    int to; /* a key's number, BFT_PEER_ALL, or BFT_PEER_NONE: slot `reply_to` */
    int reply_to;
    struct sim_frame *frame;
};

struct sim_request {
    enum bft_effect_kind kind;
    struct block_header header;
    struct hash block_id;
    uint64_t view;
    uint64_t parent_view;
    struct certificate *certificate;
    uint8_t *proof_headers; /* of a decided boundary block, or NULL */
    size_t proof_size;
    bool answered;
};

struct sim_ballot {
    bool has;
    struct hash id;
};

struct sim_shell {
    bool persist;
    uint32_t said_count; /* own votes of this turn */
    struct vote said[BFT_EFFECTS_MAX];
    uint32_t send_count;
    struct sim_send outbox[SIM_OUTBOX_MAX];
    uint32_t request_head;
    uint32_t request_count;
    struct sim_request *requests; /* ring of SIM_REQUESTS_MAX */
    bool store_full;
    uint64_t retry_at_ms;
    bool halted;
    bool out_of_rules; /* nothing more can be executed: the node stops when its turn is over */
    bool epoch_over;   /* the boundary block is committed: the next epoch may begin */
    struct hash asked_blocks[SIM_ASKED_MAX];
    uint32_t asked_next;
    uint64_t asked_range[SIM_NODES_MAX];
    struct {
        uint64_t view;
        uint32_t count;
    } proposals[LIMIT_VALIDATORS];
    bool pending;
    bool pending_changed;
};

struct sim_node {
    int slot;
    int validator;  /* number of its key; -1: observer */
    uint64_t epoch; /* of its core */
    int place;      /* in that epoch's set; -1: it follows */
    uint64_t starts_ms;
    const struct sim_persona *persona; /* NULL: honest */
    bool faulty;                       /* Byzantine, or with a damaged disk: counts against f */
    bool follower;                     /* after its damage it must never vote again */
    bool rolled_back;                  /* with its whole disk, and peers know its latest vote */
    bool has_voted;
    struct vote latest_vote;
    uint64_t rewinds_ms;  /* is set back to before its next proposal after that; 0: not */
    uint32_t rules;       /* newest version that its program has */
    uint64_t installs_ms; /* when its operator installs the new one; UINT64_MAX: no time is set */
    bool lags;            /* stays old until all others have reached the goal */
    bool doomed;          /* is gone for good once the power fails everywhere */
    bool gone;
    bool differs; /* executes differently from some height on */
    uint64_t differs_from;
    bool up;
    bool ever_up;
    uint32_t generation;
    uint64_t tick_ms;
    uint64_t busy_until_ms;
    int64_t believed_ms;  /* a mutant's: the latest time that any block bore */
    int64_t skew_ms;      /* of the wall clock */
    int64_t drift_ppm;    /* of the monotonic one */
    int64_t jump_ms;      /* of the wall clock, until GST */
    uint32_t sync_ms_max; /* a slow disk */
    bool sync_fails;      /* the next sync is answered with EIO */
    struct bft *core;
    struct chain *chain;
    struct mempool *mempool;
    struct sim_shell *shell;
    struct sim_disk *disk;
    struct sim_disk *backup; /* an old copy of the journal */
    struct sim_store store;
    /* Oracles: what its key has said in public or made durable. */
    struct sim_ballot (*ballots[SIM_EPOCHS_MAX])[VOTE_KIND_COUNT]; /* SIM_VIEWS_MAX, or NULL */
    uint32_t side_mask; /* twin: validators that this instance talks with */
    uint8_t sides;      /* in the twins campaign: bit r, the side in round r */
    uint64_t seen_view; /* that it was last seen in, and since when */
    uint64_t seen_view_ms;
    uint64_t ahead_view; /* bad-ancestry: the view that it has proposed for before its time */
};

/* --- the run --------------------------------------------------------------------------------- */

enum sim_calamity_kind {
    SIM_CALAMITY_FLIP_JOURNAL,
    SIM_CALAMITY_DELETE_JOURNAL,
    SIM_CALAMITY_RESTORE_JOURNAL,
    SIM_CALAMITY_RESTORE_ALL,
    SIM_CALAMITY_REWIND,
    SIM_CALAMITY_LOST_WRITE,
    SIM_CALAMITY_DIFFERS,
    SIM_CALAMITY_SYNC_FAILS,
    SIM_CALAMITY_STORE_FULL,
    SIM_CALAMITY_STORE_ROOM,
    SIM_CALAMITY_CLOCK_JUMP,
    SIM_CALAMITY_PAUSE,
    SIM_CALAMITY_HAILSTORM,
    SIM_CALAMITY_BACKUP
};

enum { SIM_CALAMITIES_MAX = 48 };

struct sim_calamity {
    enum sim_calamity_kind kind;
    int node;
    uint64_t value;
};

struct sim_weather {
    uint32_t loss_permille;
    uint32_t duplicate_permille;
    uint32_t crash_permille;                      /* at each boundary of a write */
    uint32_t kind_loss[MESSAGE_TRANSACTIONS + 1]; /* permille, per kind of message */
    uint64_t delay_ms_max;
    uint32_t tail_permille; /* messages that take far longer */
    bool late_duplicates;
    bool splits, one_way, leaders, swizzles, clogs, proofs_split;
    uint64_t bytes_per_ms; /* per link; 0: no limit */
    int slow_node;         /* -1: none */
    int future_node;       /* hears future views only; -1: none */
    bool isolating_leader;
    bool splitting_proofs;
    uint32_t finalize_loss; /* permille of votes to finalize, and of finalizations */
    bool isolated;          /* nobody hears anybody */
    bool healed;
};

/* What a proof is about; deal 0: none. */
struct sim_delivery {
    uint32_t deal;
    uint32_t device;
    uint32_t period;
};

struct sim_wallet {
    uint64_t committed; /* highest nonce in the final chain */
    uint64_t offered;   /* highest nonce ever submitted */
};

/* One change of the set: what the governors want, in this order. */
struct sim_change {
    uint8_t kind; /* enum proposal_kind */
    int leaves;   /* keys' numbers, -1 none */
    int comes;
    uint32_t governor; /* who operates the newcomer */
    uint64_t from_ms;  /* not proposed earlier */
};

struct sim_epoch {
    uint64_t members; /* bits: keys' numbers */
    struct validator_set set;
    uint64_t height;                                    /* of the boundary block before it */
    struct sim_ballot (*certificates)[VOTE_KIND_COUNT]; /* SIM_VIEWS_MAX */
};

struct sim {
    struct sim_config config;
    struct sim_result *result;
    struct sim_random random;
    uint64_t now_ms;
    uint64_t gst_ms;
    int64_t leap_ms; /* of everybody's wall clock */
    uint64_t goal;   /* height; 0 until GST */
    uint32_t keyed; /* nodes that are validators, or will be; observer and twins come behind them */
    uint32_t node_count;
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_event *queue;
    size_t queue_count, queue_capacity;
    uint64_t order;
    /* Network. */
    struct sim_weather weather;
    bool blocked[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    bool clogged[SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_frame *clog[SIM_NODES_MAX][SIM_NODES_MAX][SIM_CLOG_MAX];
    uint32_t clog_count[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t link_free_ms[SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_calamity calamities[SIM_CALAMITIES_MAX];
    uint32_t calamity_count;
    /* Keys and the chain's beginning. */
    struct validator_set set; /* of the newest epoch */
    struct secret_key seeds[SIM_KEYS];
    const struct genesis *genesis;
    struct hash genesis_id;
    struct bft_signing signing;
    /* Wallets. */
    struct sim_wallet wallets[SIM_WALLETS + 1]; /* the last one is the treasurer's */
    struct {                                    /* what the DSO's transactions prove */
        bool chosen;
        struct sim_delivery of;
    } proofs[SIM_WALLET_NONCES];
    uint64_t probe_nonce; /* of the treasurer; 0: not given yet */
    uint64_t probe_ms;
    uint32_t probe_slots; /* honest leaders' final blocks since the probe was given */
    bool probe_done;
    /* Epochs. */
    bool changes_set; /* governors, standbys: not the plain world */
    struct sim_change changes[SIM_CHANGES_MAX];
    uint32_t change_count;
    uint32_t faults_max;                     /* f of the largest set */
    struct sim_epoch epochs[SIM_EPOCHS_MAX]; /* those that have begun anywhere */
    uint32_t epoch_count;
    /* Oracles. */
    struct sim_kin *kin;      /* headers seen, by id (epoch.c) */
    struct sim_final *finals; /* SIM_HEIGHTS_MAX; [0] is genesis */
    uint64_t final_count;     /* highest height */
    struct hash *tx_seen;     /* open addressing; zero is free */
    size_t tx_seen_count;
    struct chain *audit;
    struct sim_store audit_store;
    struct hash_state digest;
    struct bft_effects effects;
    uint8_t scratch[LIMIT_FRAME_BYTES];
};

/* random.c */
void sim_random_seed(struct sim_random *random, uint64_t seed);
uint64_t sim_random_u64(struct sim_random *random);
uint64_t sim_below(struct sim *sim, uint64_t bound);
uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most);
bool sim_chance(struct sim *sim, uint32_t permille);

/* event.c */
void sim_at(struct sim *sim, uint64_t at_ms, const struct sim_event *event);
bool sim_next(struct sim *sim, struct sim_event *out);
/* An event for a node, `delay_ms` from now, void if the node has died by then. */
void sim_node_at(struct sim *sim, const struct sim_node *node, enum sim_event_kind kind,
                 uint64_t delay_ms, uint64_t number);
void sim_queue_free(struct sim *sim);
struct sim_frame *sim_frame_new(struct bytes_view bytes);
void sim_frame_release(struct sim_frame *frame);

/* keys.c */
void sim_keys_prepare(struct sim *sim);
const struct public_key *sim_key(int number);
int sim_key_number(const struct public_key *key); /* -1: none of ours */
/* Participant: wallets, the treasurer, then the governors. */
void sim_person(uint32_t number, struct name *name, struct secret_key *secret);
struct signed_transaction {
    size_t size;
    struct hash id;
    uint8_t bytes[SIM_ENVELOPE_MAX];
};
void sim_sign(struct sim *sim, struct signed_transaction *out, struct transaction_draft *draft,
              uint32_t person, uint64_t nonce);
/* The signed transaction of a wallet (SIM_WALLETS: the treasurer's); valid until the next run with
 * another number of validators. What it proves is chosen when it is first asked for in a run. */
struct bytes_view sim_transaction(struct sim *sim, uint32_t wallet, uint64_t nonce);
/* The same with a fee limit so many steps higher, each just enough to replace the one before in a mempool
 * (docs/spec/mempool.md). */
void sim_replacement(struct sim *sim, struct signed_transaction *out, uint32_t wallet,
                     uint64_t nonce, uint32_t step);
/* Is it that wallet's of that nonce, as it was or replaced by its owner? */
bool sim_is_transaction(struct sim *sim, const struct transaction *seen, uint32_t wallet,
                        uint64_t nonce, bool *replaced);
/* Is this envelope one of those, byte by byte, so that its signature is known to be good? */
bool sim_signature_is_good(const struct transaction *transaction);
int64_t sim_minted(const struct sim *sim, uint64_t nonce);

/* market.c */
struct sim_actions {
    union action_record records[LIMIT_ACTIONS_PER_TX];
};
struct name sim_label(const char *kind, uint32_t number);
/* Is this one of those that prove a delivery, if there is one to prove? */
bool sim_market_may_prove(uint32_t wallet, uint64_t nonce);
/* Adds the actions of a wallet's transaction, and its witness; `kept` must outlive the draft. */
void sim_market_actions(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                        uint64_t nonce, const struct sim_delivery *proof);

/* meter.c: devices are named by the wallet that owns them */
void sim_meter_key(uint32_t device, struct public_key *out);
void sim_meter_schedule(uint32_t device, uint32_t period, struct hash *out);
void sim_meter_batch(struct meter_batch *out, uint32_t period);
/* Valid until the next call. */
struct bytes_view sim_meter_witness(uint32_t device, uint32_t period);
/* A deal whose delivery is over and can be proven by the final ledger; another one each round. */
bool sim_meter_find(struct sim *sim, uint64_t round, struct sim_delivery *out);

/* epoch.c */
void sim_epochs_open(struct sim *sim);
void sim_epochs_free(struct sim *sim);
/* The audit node has executed a boundary block: another set follows. */
void sim_epoch_begins(struct sim *sim, const struct block_header *boundary);
uint64_t sim_members_after(uint64_t members, const struct sim_change *change);
int sim_place(const struct sim *sim, uint64_t epoch, int key);         /* -1: not in it */
int sim_key_at(const struct sim *sim, uint64_t epoch, uint32_t place); /* -1: no such place */
/* The node that was made for this key; NULL if it is none's. */
struct sim_node *sim_node_of_key(struct sim *sim, int key);
const struct validator_set *sim_set_of(const struct sim *sim, const struct sim_node *node);
uint32_t sim_faults_of(uint64_t members);
/* Epoch, place and journal of a node as its chain says. */
void sim_node_enter(struct sim *sim, struct sim_node *node);
/* O1 above a boundary: blocks that only prove it final. */
void sim_kin_add(struct sim *sim, const struct block_header *header, const struct hash *id);
bool sim_kin_descends(const struct sim *sim, const struct hash *id, const struct hash *ancestor);

/* governance.c */
void sim_governance_plan(struct sim *sim); /* sets keyed and the standbys' keys */
void sim_governance_begin(struct sim *sim);
void sim_governance_act(struct sim *sim, uint32_t governor);
bool sim_governance_is_done(const struct sim *sim);
bool sim_governance_knows(const struct transaction *transaction);

/* upgrade.c */
void sim_upgrade_plan(struct sim *sim);
/* Has the version been voted in? Is it in force? True where there is none to vote for. */
bool sim_upgrade_is_voted(const struct sim *sim);
bool sim_upgrade_is_done(const struct sim *sim);
/* The open proposal that can still pass; 0 if there is none. And a height for another. */
uint64_t sim_upgrade_proposal(const struct sim *sim, struct proposal_record *out);
uint64_t sim_upgrade_height(struct sim *sim);
/* A node has opened its chain. False: its program lacks the next block's rules. */
bool sim_upgrade_opens(struct sim *sim, struct sim_node *node);
/* It stops for that while it runs. */
void sim_upgrade_halt(struct sim *sim, struct sim_node *node);
/* Oracles: nobody commits or votes for what its program has no rules for. */
void sim_upgrade_commits(struct sim *sim, const struct sim_node *node, uint64_t height);
void sim_upgrade_votes(struct sim *sim, const struct sim_node *node, const struct vote *vote);
void sim_upgrade_heals(struct sim *sim);
/* The others have reached the goal: were there any that stayed old? They come now. */
bool sim_upgrade_releases(struct sim *sim);
uint64_t sim_upgrade_goal(const struct sim *sim);
uint64_t sim_upgrade_bound_ms(const struct sim *sim);

/* network.c */
void sim_network_send(struct sim *sim, int from, int to, struct sim_frame *frame,
                      uint64_t extra_ms);
void sim_network_unclog(struct sim *sim, int from, int to);
void sim_network_open(struct sim *sim); /* no link is blocked or clogged any more */
void sim_network_free(struct sim *sim);
bool sim_is_calm(const struct sim *sim); /* after GST */

/* weather.c */
void sim_weather_plan(struct sim *sim);
void sim_weather_change(struct sim *sim);
void sim_weather_calamity(struct sim *sim, const struct sim_event *event);
void sim_weather_power(struct sim *sim, uint64_t number);
void sim_weather_heal(struct sim *sim);
/* A node is about to build its block. */
void sim_weather_proposes(struct sim *sim, struct sim_node *node);

/* campaign.c */
bool sim_campaign_is_on(const struct sim *sim);
void sim_campaign_plan(struct sim *sim);
/* Does the sender's side of the frame's round not include that host? */
bool sim_campaign_cuts(struct sim *sim, int from, int to, const struct sim_frame *frame);
/* Heals once all hosts have left the last round. */
void sim_campaign_watch(struct sim *sim);

/* disk.c */
struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *disk);
struct sim_disk *sim_disk_copy(const struct sim_disk *disk);
void sim_disk_append(struct sim *sim, struct sim_node *node, const struct bft_effect *effect,
                     struct bytes_view body);
void sim_disk_sync(struct sim *sim, struct sim_node *node);
/* What was not synced survives in part, or not at all. */
void sim_disk_crash(struct sim *sim, struct sim_node *node);
void sim_disk_prune(struct sim *sim, struct sim_node *node, uint64_t floor_view);
/* Replays into the node's core and chain. */
enum journal_result sim_disk_open(struct sim *sim, struct sim_node *node);
uint64_t sim_disk_bytes(const struct sim_disk *disk);

/* store.c */
void sim_store_open(struct sim *sim, struct sim_store *store, int node);
void sim_store_free(struct sim_store *store);
struct chain_backend sim_store_face(struct sim_store *store);

/* node.c */
void sim_node_start(struct sim *sim, struct sim_node *node);
void sim_node_stop(struct sim *sim, struct sim_node *node, uint64_t down_ms);
void sim_node_free(struct sim_node *node);
uint64_t sim_node_mono(const struct sim *sim, const struct sim_node *node);
struct timestamp sim_node_wall(const struct sim *sim, const struct sim_node *node);
/* Handles an event of this node. */
void sim_node_event(struct sim *sim, const struct sim_event *event);
bool sim_node_is_honest(const struct sim_node *node);
/* True if the node was killed here: a boundary of a write. */
bool sim_node_dies(struct sim *sim, struct sim_node *node, const char *where);
/* [C-EPOCH.SWITCH] A new core above the boundary block that the node has just committed. */
void sim_node_switch(struct sim *sim, struct sim_node *node);

/* shell.c */
struct sim_shell *sim_shell_new(void);
void sim_shell_free(struct sim_shell *shell);
struct bft_input sim_input(enum bft_input_kind kind);
struct bft_input sim_input_from(const struct sim *sim, const struct sim_node *node,
                                enum bft_input_kind kind, int slot);
void sim_feed(struct sim *sim, struct sim_node *node, struct bft_input *input);
void sim_settle(struct sim *sim, struct sim_node *node);
bool sim_wants_block(struct sim_node *node, const struct hash *id);
bool sim_wants_range(struct sim_node *node, int slot);
bool sim_wants_proposal(struct sim *sim, struct sim_node *node, int slot,
                        const struct block_header *header);

/* intake.c */
void sim_intake(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame);
void sim_strike(struct sim *sim, struct sim_node *node, int slot, const char *why);
/* At the door of a node: verify, check, take, pass on if it came from a wallet (from < 0). */
enum contract_error sim_take_transaction(struct sim *sim, struct sim_node *node, int from,
                                         struct bytes_view envelope);
void sim_feed_pending(struct sim *sim, struct sim_node *node);

/* serve.c */
void sim_serve_block(struct sim *sim, struct sim_node *node, int slot, const struct hash *id);
void sim_serve_range(struct sim *sim, struct sim_node *node, int slot, uint64_t height,
                     uint32_t count);
/* Sends past the outbox: to a slot, now. */
void sim_send_now(struct sim *sim, struct sim_node *node, int slot, struct bytes_view bytes);

/* client.c */
void sim_client_plan(struct sim *sim);
void sim_client_act(struct sim *sim, uint32_t wallet);
void sim_client_probe(struct sim *sim);

/* oracle.c */
void sim_fail(struct sim *sim, enum sim_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_failed(const struct sim *sim);
bool sim_oracle_is_known(const struct sim *sim, const struct sim_node *node);
void sim_oracle_rolled_back(struct sim *sim, struct sim_node *node);
void sim_oracle_vote(struct sim *sim, struct sim_node *node, const struct vote *vote);
void sim_oracle_certificate(struct sim *sim, const struct certificate *certificate);
void sim_oracle_commit(struct sim *sim, struct sim_node *node, const struct store_block *block);
void sim_oracle_evidence(struct sim *sim, struct sim_node *node, const struct bft_effect *effect);
void sim_oracle_alarm(struct sim *sim, struct sim_node *node, const char *text);
void sim_oracle_end(struct sim *sim);
bool sim_oracle_reached(const struct sim *sim);
uint64_t sim_oracle_bound_ms(const struct sim *sim);

/* audit.c */
void sim_audit_open(struct sim *sim);
/* Re-executes the next final block; its receipts' hash goes into `final`. */
void sim_audit_block(struct sim *sim, struct sim_final *final, const struct finality *finality);
void sim_audit_end(struct sim *sim);
void sim_audit_free(struct sim *sim);

/* trace.c */
void sim_trace_effect(struct sim *sim, const struct sim_node *node,
                      const struct bft_effect *effect);
void sim_trace_commit(struct sim *sim, const struct sim_node *node,
                      const struct store_block *block);
void sim_story(const struct sim *sim, const struct sim_node *node_or_null, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* mutant.c */
bool sim_mutant(const struct sim *sim, enum sim_mutant_kind mutant);
void sim_mutate_core(const struct sim *sim, struct sim_node *node);

#endif
