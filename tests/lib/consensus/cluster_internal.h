/* State of a run, shared by the cluster's parts: cluster.c (time, network, schedule), shell.c (one
 * node's shell: journal, bodies, executor), oracle.c (what must hold), persona.c (faulty nodes). */
#ifndef FLEX_TESTS_CLUSTER_INTERNAL_H
#define FLEX_TESTS_CLUSTER_INTERNAL_H

#include "tests/lib/consensus/cluster.h"
#include "tests/lib/consensus/script.h"

/* A message on its way; shared by its deliveries. */
struct wire {
    int references;
    enum message_type type;
    int from;
    bool oversized;
    int block; /* index of the block whose body travels along, -1 none */
    struct block_header header;
    struct vote vote;
    bool has_vote;
    struct certificate certificate;
    struct message_proposal *proposal;
    struct message_range *range;
    uint8_t *range_headers;
    struct message_status status;
    struct public_key key;
    struct hash id;
    uint64_t question;
    uint64_t epoch;
    uint64_t view;
    uint64_t height;
    uint32_t count;
};

enum event_kind {
    EVENT_DELIVER,
    EVENT_TICK,
    EVENT_EXECUTED,
    EVENT_BUILT,
    EVENT_COMMITTED,
    EVENT_PERSISTED,
    EVENT_RESTART,
    EVENT_PEER_UP,
    EVENT_PENDING,
    EVENT_SPLIT,
    EVENT_HEAL,
    EVENT_POWER_CUT,
    EVENT_SCRIPT
};

struct event {
    uint64_t at_ms;
    uint64_t order;
    enum event_kind kind;
    int node;
    uint32_t generation; /* of the node, for what dies with it */
    struct wire *wire;
    int block;
    uint64_t number; /* height, view or peer */
};

enum record_kind {
    RECORD_VOTE,
    RECORD_PEER_VOTE,
    RECORD_CERTIFICATE,
    RECORD_CERTIFIED,
    RECORD_BLOCK
};

struct record {
    enum record_kind kind;
    uint64_t view;
    struct vote vote;
    struct certificate *certificate;
    struct hash id;
    int block;
};

struct node {
    enum cluster_persona persona;
    bool up;
    bool observer;
    int key; /* number of its key: its own, or another node's (a twin) */
    uint32_t generation;
    uint64_t tick_ms;
    int64_t skew_ms;
    struct bft *core;
    /* Durable. */
    struct record *journal;
    size_t journal_count, journal_capacity;
    uint8_t durable_body[CLUSTER_BLOCKS];
    int chain[CLUSTER_VIEWS]; /* block of each height */
    struct certificate *chain_certificate[CLUSTER_VIEWS];
    uint8_t *proof_headers[CLUSTER_EPOCHS]; /* behind the block that ends the epoch */
    uint32_t proof_count[CLUSTER_EPOCHS];
    uint32_t journal_epoch;
    uint64_t height;
    /* A copy of journal and height, to be put back later. */
    struct record *copy;
    size_t copy_count;
    uint32_t copy_epoch;
    uint64_t copy_height;
    /* Volatile. */
    uint8_t body[CLUSTER_BLOCKS];
    uint8_t executed[CLUSTER_BLOCKS];
};

struct cluster_block {
    struct hash id;
    struct block_header header;
};

struct cluster {
    struct cluster_config config;
    struct cluster_result *result;
    uint64_t random;
    uint64_t now_ms, gst_ms, order;
    uint32_t nodes;
    struct node node[CLUSTER_NODES];
    struct validator_set set;
    struct secret_key seeds[LIMIT_VALIDATORS];
    struct hash genesis;
    struct bft_signing signing;
    struct event *heap;
    size_t heap_count, heap_capacity;
    uint32_t loss_percent, crash_permille;
    bool split;
    int side[CLUSTER_NODES];
    struct cluster_block blocks[CLUSTER_BLOCKS];
    int block_count;
    struct hash_state trace;
    /* Oracles. */
    struct cluster_seen {
        bool has_vote[CLUSTER_NODES][VOTE_KIND_COUNT][CLUSTER_VIEWS];
        struct hash voted[CLUSTER_NODES][VOTE_KIND_COUNT][CLUSTER_VIEWS];
        bool has_certificate[VOTE_KIND_COUNT][CLUSTER_VIEWS];
        struct hash certified[VOTE_KIND_COUNT][CLUSTER_VIEWS];
    } seen[CLUSTER_EPOCHS];
    bool has_decided[CLUSTER_VIEWS];
    struct hash decided[CLUSTER_VIEWS];
    uint64_t decided_view[CLUSTER_VIEWS];
};

/* The epoch of the block above `height`, of the node's running core, and its set. */
uint32_t cluster_epoch_after(const struct cluster *cluster, uint64_t height);
uint32_t cluster_epoch_of(const struct cluster *cluster, int node);
void cluster_set_of(const struct cluster *cluster, uint32_t epoch, struct validator_set *out);
/* Index in the epoch's set; BFT_PEER_NONE if it is not in it. */
int cluster_index_of(const struct cluster *cluster, uint32_t epoch, int node);
/* More than f of the nodes are faulty: nothing but the halt of the others can be asked for. */
bool cluster_is_beyond(const struct cluster *cluster);
uint64_t cluster_random(struct cluster *cluster, uint64_t below);
bool cluster_chance(struct cluster *cluster, uint32_t permille);
void cluster_at(struct cluster *cluster, const struct event *event, uint64_t delay_ms);
/* One copy to `to`, through the network as it is now. */
void cluster_send(struct cluster *cluster, struct wire *wire, int to);
struct wire *wire_new(int from, enum message_type type);
void wire_release(struct wire *wire);
void cluster_fail(struct cluster *cluster, bool safety, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Index of a block, registered if new. */
int cluster_block_of(struct cluster *cluster, const struct block_header *header);
int cluster_block_find(const struct cluster *cluster, const struct hash *id);
void cluster_state_root(struct hash *out, const struct hash *parent_state,
                        const struct hash *tx_root);
/* State root of the parent of `header`; false if nobody ever built it. */
bool cluster_parent_state(const struct cluster *cluster, const struct block_header *header,
                          struct hash *out);

void shell_start(struct cluster *cluster, int node);
void shell_stop(struct cluster *cluster, int node);
/* The whole disk, copied and put back; the node is down when it is put back. */
void shell_copy(struct cluster *cluster, int node);
void shell_restore(struct cluster *cluster, int node);
void shell_free(struct node *node);
void shell_event(struct cluster *cluster, const struct event *event);
struct timestamp shell_wall(const struct cluster *cluster, int node);

void oracle_vote(struct cluster *cluster, int node, const struct vote *vote);
void oracle_certificate(struct cluster *cluster, const struct certificate *certificate);
void oracle_decide(struct cluster *cluster, int node, const struct block_header *header,
                   const struct hash *id);
void oracle_end(struct cluster *cluster);

/* Fills in epoch, signer and the node's own signature. */
void persona_sign(struct cluster *cluster, int node, struct vote *vote);
/* A faulty node's message takes its place; true: it has been dealt with. */
bool persona_send(struct cluster *cluster, int node, struct wire *wire, int to);

#endif
