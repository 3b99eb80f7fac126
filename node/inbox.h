/* The one queue into the loop: frames from peers, results of workers, links that come and go.
 *
 * Two lanes: consensus first, transactions behind. Every peer has a share of frames and bytes, from
 * the moment a frame is admitted until the loop has dealt with it, wherever it waits meanwhile; a
 * peer over its share is told to wait (its link stops reading) and nobody else is. Transactions in
 * flight have one bound over all; of that a peer may take its share, and all peers together leave a
 * quarter to the node's own API, so that no validator can shut others' traders out by flooding. */
#ifndef FLEX_NODE_INBOX_H
#define FLEX_NODE_INBOX_H

#include <pthread.h>

#include "contracts/transaction.h"
#include "p2p/p2p.h"

enum {
    /* A full block and a full range answer, with votes around them. */
    INBOX_PEER_BYTES_MAX = 4 * LIMIT_FRAME_BYTES,
    INBOX_PEER_FRAMES_MAX = 4096,
    /* Two full blocks' worth. */
    INBOX_TRANSACTIONS_MAX = 2 * LIMIT_TX_PER_BLOCK,
    INBOX_TRANSACTION_BYTES_MAX = 64 * 1024 * 1024,
    /* Some 60 ms of one core's work. */
    INBOX_PEER_TRANSACTIONS_MAX = INBOX_TRANSACTIONS_MAX / 8,
    INBOX_PEER_TRANSACTION_BYTES_MAX = INBOX_TRANSACTION_BYTES_MAX / 8,
    INBOX_GOSSIP_TRANSACTIONS_MAX = INBOX_TRANSACTIONS_MAX / 4 * 3,
    INBOX_GOSSIP_TRANSACTION_BYTES_MAX = INBOX_TRANSACTION_BYTES_MAX / 4 * 3,
    INBOX_BATCH_MAX = 256,
    /* Under load the loop takes what has come in that time in one go, and what it passes on shares a
     * frame: a wake-up costs as much as a third of a signature. The first after a pause waits for nothing. */
    INBOX_PAUSE_NS = 2 * 1000 * 1000,
    INBOX_NO_PEER = -1
};

/* What an API thread wants of the loop. The asker owns it and waits for `done`, which is called
 * exactly once, from any thread. */
struct node_call {
    void (*done)(struct node_call *call);
    void *context;
    struct hash tx_id;
    enum contract_error error; /* of a submitted transaction */
    bool unavailable;          /* the node can't take it now */
    bool overloaded;           /* too many at once */
    bool limited;              /* too many of this key: again in retry_seconds */
    uint32_t retry_seconds;
    bool pending; /* the mempool has tx_id */
};

enum node_event_kind {
    NODE_EVENT_FRAME,       /* as it came */
    NODE_EVENT_BODIES,      /* a frame whose bodies the workers have checked */
    NODE_EVENT_LINK,        /* the peer came or went: see inbox_link */
    NODE_EVENT_TRANSACTION, /* decoded and verified, or refused */
    NODE_EVENT_LOOKUP,      /* is call->tx_id pending? */
    NODE_EVENT_NEWS         /* the signer came or went, or peers were added: look */
};

struct node_event {
    struct node_event *next;
    enum node_event_kind kind;
    int peer;                       /* index among the configured peers, or INBOX_NO_PEER */
    struct node_call *call;         /* or NULL */
    enum contract_error error;      /* TRANSACTION */
    struct transaction transaction; /* TRANSACTION; its views point into `bytes` */
    struct hash leaf;               /* TRANSACTION: what the verify cache knows it by */
    uint32_t parts;                 /* workers' own: parts still running */
    uint32_t part_count;
    uint32_t parts_taken;
    bool bad; /* BODIES: a transaction is malformed or badly signed */
    size_t size;
    uint8_t bytes[]; /* the whole frame, its type byte first */
};

struct inbox_lane {
    struct node_event *head;
    struct node_event *tail;
};

struct inbox_peer {
    size_t bytes;
    uint32_t frames;
    size_t transaction_bytes; /* its own, of what is in flight */
    uint32_t transactions;
    bool stalled; /* told to wait; owes a resume */
    bool up;
    uint32_t changes; /* of the link, so that a quick down and up is not missed */
    bool link_queued;
};

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct inbox_lane consensus;
    struct inbox_lane transactions;
    uint32_t transaction_count;
    size_t transaction_bytes;
    uint32_t gossip_count; /* of these, by way of peers */
    size_t gossip_bytes;
    bool stopping;
    bool news_queued;
    uint64_t
        transactions_due_ns; /* monotonic: not wanted before, unless the loop is awake anyhow */
    struct inbox_peer peers[P2P_PEERS_MAX];
};

void inbox_open(struct inbox *inbox);
/* Frees what is left; the calls of left-over events get `unavailable`. */
void inbox_close(struct inbox *inbox);

/* A new event with a copy of `frame`, of which `peer` is charged. NULL if the peer is over its
 * share (it is then owed a resume) or memory ran out. */
struct node_event *inbox_admit_frame(struct inbox *inbox, enum node_event_kind kind, int peer,
                                     struct bytes_view frame);
/* A new event for one transaction, charged to the transactions' bound and, if it came from a peer, to
 * that peer's share: NULL if either is spent, or memory ran out. */
struct node_event *inbox_admit_transaction(struct inbox *inbox, int peer, struct node_call *call,
                                           struct bytes_view envelope);
void inbox_push(struct inbox *inbox, struct node_event *event);
/* Takes over a list of transactions that the workers have done with. */
void inbox_push_transactions(struct inbox *inbox, struct inbox_lane *events);
void inbox_push_lookup(struct inbox *inbox, struct node_call *call);
/* The link of `peer` changed. Never fails, never blocks, queues at most one event per peer. */
void inbox_push_link(struct inbox *inbox, uint32_t peer, bool up);
/* How the link stands now; resets the "queued" mark. */
void inbox_link(struct inbox *inbox, uint32_t peer, bool *up, uint32_t *changes);

/* The signer came or went, or there are new peers. Never fails, never blocks, queues at most one event;
 * inbox_news resets the mark, before anybody looks. */
void inbox_push_news(struct inbox *inbox);
void inbox_news(struct inbox *inbox);

/* Waits until there is something, or `deadline_ms` (monotonic) has come, or the inbox is stopped.
 * Returns a list of at most INBOX_BATCH_MAX events, consensus first; NULL if there is none. */
struct node_event *inbox_take(struct inbox *inbox, uint64_t deadline_ms);
bool inbox_is_stopping(struct inbox *inbox);
void inbox_stop(struct inbox *inbox);
/* Gives back what the event was charged and frees it. True: its peer was told to wait and has room
 * again, so the caller must resume it. */
bool inbox_release(struct inbox *inbox, struct node_event *event);

#endif
