/* The loop's queue (inbox.h).
 *
 * Invariants:
 *  I1 what a peer is charged equals the sum over its events that are alive, wherever they wait;
 *  I2 a peer is stalled only while it is charged for something, so a release always follows and
 *     wakes it: nobody waits for ever;
 *  I3 at most one LINK event per peer is queued, and it is queued before any frame of the new link;
 *  I4 whoever took transactions sleeps for INBOX_PAUSE_NS at most before it looks for more, so a
 *     transaction that comes in the meantime wakes nobody and is not forgotten.
 *
 * Deliberately absent: priorities beyond the two lanes. Votes are small and the loop takes them in
 * batches; a vote behind a full block waits for a check of milliseconds. */
#include "node/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"

static void take_lock(struct inbox *inbox)
{
    MUST(pthread_mutex_lock(&inbox->lock) == 0);
}

static void drop_lock(struct inbox *inbox)
{
    MUST(pthread_mutex_unlock(&inbox->lock) == 0);
}

void inbox_open(struct inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    MUST(pthread_mutex_init(&inbox->lock, NULL) == 0);
    pthread_condattr_t attributes;
    MUST(pthread_condattr_init(&attributes) == 0);
    MUST(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&inbox->filled, &attributes) == 0);
    MUST(pthread_condattr_destroy(&attributes) == 0);
}

static void lane_close(struct inbox_lane *lane)
{
    while (lane->head != NULL) {
        struct node_event *event = lane->head;
        lane->head = event->next;
        if (event->call != NULL) {
            event->call->unavailable = true;
            event->call->done(event->call);
        }
        free(event);
    }
    lane->tail = NULL;
}

void inbox_close(struct inbox *inbox)
{
    lane_close(&inbox->consensus);
    lane_close(&inbox->transactions);
    MUST(pthread_cond_destroy(&inbox->filled) == 0);
    MUST(pthread_mutex_destroy(&inbox->lock) == 0);
}

static void lane_append(struct inbox_lane *lane, struct node_event *event)
{
    event->next = NULL;
    if (lane->tail != NULL)
        lane->tail->next = event;
    else
        lane->head = event;
    lane->tail = event;
}

static struct node_event *event_create(enum node_event_kind kind, int peer, size_t size)
{
    struct node_event *event = malloc(sizeof *event + size);
    if (event == NULL)
        return NULL;
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->peer = peer;
    event->size = size;
    return event;
}

struct node_event *inbox_admit_frame(struct inbox *inbox, enum node_event_kind kind, int peer,
                                     struct bytes_view frame)
{
    MUST(peer >= 0 && peer < P2P_PEERS_MAX && frame.size <= LIMIT_FRAME_BYTES);
    struct inbox_peer *share = &inbox->peers[peer];
    take_lock(inbox);
    bool room =
        share->bytes + frame.size <= INBOX_PEER_BYTES_MAX && share->frames < INBOX_PEER_FRAMES_MAX;
    struct node_event *event = NULL;
    if (room) {
        event = event_create(kind, peer, frame.size);
        if (event != NULL) {
            share->bytes += frame.size;
            share->frames++;
        }
    }
    /* Out of memory with nothing charged: there will be no release to wake the peer (I2), so its
     * frame is lost instead, which consensus tolerates. */
    if (event == NULL && share->frames > 0)
        share->stalled = true;
    drop_lock(inbox);
    if (event != NULL && frame.size > 0)
        memcpy(event->bytes, frame.data, frame.size);
    return event;
}

/* With the lock held. */
static bool transaction_has_room(const struct inbox *inbox, int peer, size_t size)
{
    if (inbox->transaction_count >= INBOX_TRANSACTIONS_MAX ||
        inbox->transaction_bytes + size > INBOX_TRANSACTION_BYTES_MAX)
        return false;
    if (peer == INBOX_NO_PEER)
        return true;
    MUST(peer >= 0 && peer < P2P_PEERS_MAX);
    const struct inbox_peer *share = &inbox->peers[peer];
    return share->transactions < INBOX_PEER_TRANSACTIONS_MAX &&
           share->transaction_bytes + size <= INBOX_PEER_TRANSACTION_BYTES_MAX &&
           inbox->gossip_count < INBOX_GOSSIP_TRANSACTIONS_MAX &&
           inbox->gossip_bytes + size <= INBOX_GOSSIP_TRANSACTION_BYTES_MAX;
}

static void charge_transaction(struct inbox *inbox, int peer, size_t size)
{
    inbox->transaction_count++;
    inbox->transaction_bytes += size;
    if (peer == INBOX_NO_PEER)
        return;
    inbox->gossip_count++;
    inbox->gossip_bytes += size;
    inbox->peers[peer].transactions++;
    inbox->peers[peer].transaction_bytes += size;
}

static void discharge_transaction(struct inbox *inbox, int peer, size_t size)
{
    MUST(inbox->transaction_count > 0 && inbox->transaction_bytes >= size);
    inbox->transaction_count--;
    inbox->transaction_bytes -= size;
    if (peer == INBOX_NO_PEER)
        return;
    struct inbox_peer *share = &inbox->peers[peer];
    MUST(inbox->gossip_count > 0 && inbox->gossip_bytes >= size);
    MUST(share->transactions > 0 && share->transaction_bytes >= size);
    inbox->gossip_count--;
    inbox->gossip_bytes -= size;
    share->transactions--;
    share->transaction_bytes -= size;
}

struct node_event *inbox_admit_transaction(struct inbox *inbox, int peer, struct node_call *call,
                                           struct bytes_view envelope)
{
    size_t size = envelope.size + 1;
    take_lock(inbox);
    struct node_event *event = NULL;
    if (transaction_has_room(inbox, peer, size)) {
        event = event_create(NODE_EVENT_TRANSACTION, peer, size);
        if (event != NULL)
            charge_transaction(inbox, peer, size);
    }
    drop_lock(inbox);
    if (event != NULL) {
        event->call = call;
        event->bytes[0] = 0; /* the loop writes the message type when it passes the frame on */
        if (envelope.size > 0)
            memcpy(event->bytes + 1, envelope.data, envelope.size);
    }
    return event;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* With the lock held. A loop that took transactions just now sleeps until it wants the next ones (I4). */
static void wake_loop(struct inbox *inbox, bool for_transactions)
{
    if (!for_transactions || now_ns() >= inbox->transactions_due_ns)
        MUST(pthread_cond_signal(&inbox->filled) == 0);
}

void inbox_push(struct inbox *inbox, struct node_event *event)
{
    bool is_transaction = event->kind == NODE_EVENT_TRANSACTION || event->kind == NODE_EVENT_LOOKUP;
    take_lock(inbox);
    lane_append(is_transaction ? &inbox->transactions : &inbox->consensus, event);
    wake_loop(inbox, is_transaction);
    drop_lock(inbox);
}

void inbox_push_transactions(struct inbox *inbox, struct inbox_lane *events)
{
    MUST(events->head != NULL && events->head->kind == NODE_EVENT_TRANSACTION);
    take_lock(inbox);
    if (inbox->transactions.tail != NULL)
        inbox->transactions.tail->next = events->head;
    else
        inbox->transactions.head = events->head;
    inbox->transactions.tail = events->tail;
    wake_loop(inbox, true);
    drop_lock(inbox);
}

void inbox_push_lookup(struct inbox *inbox, struct node_call *call)
{
    struct node_event *event = event_create(NODE_EVENT_LOOKUP, INBOX_NO_PEER, 0);
    if (event == NULL) {
        call->unavailable = true;
        call->done(call);
        return;
    }
    event->call = call;
    inbox_push(inbox, event);
}

void inbox_push_link(struct inbox *inbox, uint32_t peer, bool up)
{
    MUST(peer < P2P_PEERS_MAX);
    struct inbox_peer *share = &inbox->peers[peer];
    take_lock(inbox);
    share->up = up;
    share->changes++;
    bool queue = !share->link_queued;
    share->link_queued = true;
    drop_lock(inbox);
    if (!queue)
        return;
    struct node_event *event = event_create(NODE_EVENT_LINK, (int)peer, 0);
    if (event == NULL)
        fatal_environment("out of memory for a link event");
    inbox_push(inbox, event);
}

void inbox_link(struct inbox *inbox, uint32_t peer, bool *up, uint32_t *changes)
{
    MUST(peer < P2P_PEERS_MAX);
    take_lock(inbox);
    *up = inbox->peers[peer].up;
    *changes = inbox->peers[peer].changes;
    inbox->peers[peer].link_queued = false;
    drop_lock(inbox);
}

void inbox_push_news(struct inbox *inbox)
{
    take_lock(inbox);
    bool queue = !inbox->news_queued;
    inbox->news_queued = true;
    drop_lock(inbox);
    if (!queue)
        return;
    struct node_event *event = event_create(NODE_EVENT_NEWS, INBOX_NO_PEER, 0);
    if (event == NULL)
        fatal_environment("out of memory for an event");
    inbox_push(inbox, event);
}

void inbox_news(struct inbox *inbox)
{
    take_lock(inbox);
    inbox->news_queued = false;
    drop_lock(inbox);
}

static struct node_event *lane_pop(struct inbox_lane *lane)
{
    struct node_event *event = lane->head;
    if (event == NULL)
        return NULL;
    lane->head = event->next;
    if (lane->head == NULL)
        lane->tail = NULL;
    event->next = NULL;
    return event;
}

/* With the lock held; may return earlier. */
static void wait_until(struct inbox *inbox, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000U),
                                   .tv_nsec = (long)(until_ns % 1000000000U)};
    const int status = pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until);
    MUST(status == 0 || status == ETIMEDOUT);
}

struct node_event *inbox_take(struct inbox *inbox, uint64_t deadline_ms)
{
    const uint64_t deadline_ns =
        deadline_ms < UINT64_MAX / 1000000 ? deadline_ms * 1000000 : UINT64_MAX;
    take_lock(inbox);
    while (inbox->consensus.head == NULL && !inbox->stopping) {
        const uint64_t now = now_ns();
        const bool due = now >= inbox->transactions_due_ns;
        if ((due && inbox->transactions.head != NULL) || now >= deadline_ns)
            break;
        wait_until(inbox, due || deadline_ns < inbox->transactions_due_ns
                              ? deadline_ns
                              : inbox->transactions_due_ns);
    }
    struct inbox_lane batch = {NULL, NULL};
    /* Transactions get at least a quarter of every batch, so that a flood of votes can't starve
     * them, nor they the votes. */
    bool took = false; /* transactions */
    uint32_t count = 0;
    while (count < INBOX_BATCH_MAX - INBOX_BATCH_MAX / 4) {
        struct node_event *event = lane_pop(&inbox->consensus);
        if (event == NULL)
            break;
        lane_append(&batch, event);
        count++;
    }
    while (count < INBOX_BATCH_MAX) {
        struct node_event *event = lane_pop(&inbox->transactions);
        if (event == NULL)
            break;
        lane_append(&batch, event);
        took = true;
        count++;
    }
    /* A full batch may have left some: then there is no pause. */
    if (took)
        inbox->transactions_due_ns =
            inbox->transactions.head == NULL ? now_ns() + INBOX_PAUSE_NS : 0;
    drop_lock(inbox);
    return batch.head;
}

bool inbox_is_stopping(struct inbox *inbox)
{
    take_lock(inbox);
    bool stopping = inbox->stopping;
    drop_lock(inbox);
    return stopping;
}

void inbox_stop(struct inbox *inbox)
{
    take_lock(inbox);
    inbox->stopping = true;
    MUST(pthread_cond_signal(&inbox->filled) == 0);
    drop_lock(inbox);
}

bool inbox_release(struct inbox *inbox, struct node_event *event)
{
    bool resume = false;
    take_lock(inbox);
    if (event->kind == NODE_EVENT_TRANSACTION) {
        discharge_transaction(inbox, event->peer, event->size);
    } else if (event->kind == NODE_EVENT_FRAME || event->kind == NODE_EVENT_BODIES) {
        struct inbox_peer *share = &inbox->peers[event->peer];
        MUST(share->frames > 0 && share->bytes >= event->size);
        share->frames--;
        share->bytes -= event->size;
        /* Half of the share must be free, so that a link does not stop and go with each frame. */
        resume = share->stalled && share->bytes <= INBOX_PEER_BYTES_MAX / 2 &&
                 share->frames <= INBOX_PEER_FRAMES_MAX / 2;
        if (resume)
            share->stalled = false;
    }
    drop_lock(inbox);
    free(event);
    return resume;
}
