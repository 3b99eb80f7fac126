/* Worker threads (workers.h).
 *
 * Bodies go before transactions: a block that waits for its check holds up a vote, a transaction
 * that waits holds up nobody. A frame of bodies is cut into parts by transaction index, so that
 * neither list nor copy of its transactions is needed: every part walks the frame and checks those
 * that are its own.
 *
 * Bounds: the inbox has admitted whatever is here, so its bounds hold for these queues too.
 *
 * Deliberately absent: batch verification of BIP340, which libsecp256k1 0.2 does not offer. */
#include "node/workers.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "consensus/message.h"
#include "contracts/body.h"

enum {
    WORKERS_MAX = 64,
    /* A part of less is not worth another thread's wake-up: some 40 transactions, 1.5 ms. */
    PART_BYTES_MIN = 8 * 1024,
    /* Half a millisecond, for which a body may have to wait. */
    TRANSACTIONS_AT_A_TIME = 12
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct inbox_lane bodies;
    struct inbox_lane transactions;
    uint32_t waiting; /* transactions */
    bool stopping;
    struct inbox *inbox;
    struct verify_cache *cache;
    struct node_metrics *metrics;
    uint32_t planned; /* threads; set before the first one runs */
    uint32_t count;   /* of them that were started */
    pthread_t threads[WORKERS_MAX];
};

static struct node_event *pop(struct inbox_lane *lane)
{
    struct node_event *event = lane->head;
    if (event != NULL) {
        lane->head = event->next;
        if (lane->head == NULL)
            lane->tail = NULL;
    }
    return event;
}

static void append(struct inbox_lane *lane, struct node_event *event)
{
    event->next = NULL;
    if (lane->tail != NULL)
        lane->tail->next = event;
    else
        lane->head = event;
    lane->tail = event;
}

/* Decodes, and verifies the signature unless that was done before. */
static enum contract_error check_envelope(struct workers *workers, struct transaction *transaction,
                                          struct hash *leaf, struct bytes_view envelope, bool kept)
{
    enum contract_error error = kept ? transaction_decode_kept(transaction, envelope)
                                     : transaction_decode(transaction, envelope);
    if (error != CONTRACT_OK)
        return error;
    transaction_leaf(leaf, transaction);
    if (verify_cache_has(workers->cache, leaf)) {
        metric_add(&workers->metrics->signatures_cached, 1);
        return CONTRACT_OK;
    }
    metric_add(&workers->metrics->signatures_verified, 1);
    if (!transaction_signature_is_valid(transaction))
        return CONTRACT_TX_BAD_SIGNATURE;
    verify_cache_add(workers->cache, leaf);
    return CONTRACT_OK;
}

/* False: a copy, which ends here. */
static bool run_transaction(struct workers *workers, struct node_event *event)
{
    struct bytes_view envelope = bytes_view_of(event->bytes + 1, event->size - 1);
    event->error = check_envelope(workers, &event->transaction, &event->leaf, envelope, false);
    /* A copy by way of a second peer ends here; who posts at our own API wants an answer. */
    if (event->error == CONTRACT_OK && !verify_cache_submit(workers->cache, &event->leaf) &&
        event->call == NULL) {
        (void)inbox_release(workers->inbox, event);
        return false;
    }
    return true;
}

/* A list of transactions, which come back in one go. */
static void run_transactions(struct workers *workers, struct node_event *event)
{
    struct inbox_lane done = {NULL, NULL};
    while (event != NULL) {
        struct node_event *next = event->next;
        if (run_transaction(workers, event))
            append(&done, event);
        event = next;
    }
    if (done.head != NULL)
        inbox_push_transactions(workers->inbox, &done);
}

/* `kept`: of a range, which the loop takes only if it is final, and then with what stands in for deleted
 * witnesses held against its header. */
static bool check_body(struct workers *workers, struct bytes_view body, bool kept, uint32_t part,
                       uint32_t part_count)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (!body_open(&reader, body))
        return false;
    for (uint32_t index = 0; body_next(&reader, &envelope); index++) {
        struct transaction transaction;
        struct hash leaf;
        if (index % part_count == part &&
            check_envelope(workers, &transaction, &leaf, envelope, kept) != CONTRACT_OK)
            return false;
    }
    return body_is_whole(&reader);
}

static bool check_part(struct workers *workers, const struct node_event *event, uint32_t part)
{
    MUST(event->size > 0);
    struct bytes_view payload = bytes_view_of(event->bytes + 1, event->size - 1);
    enum message_type type = (enum message_type)event->bytes[0];
    bool good = false;
    if (type == MESSAGE_PROPOSAL) {
        struct message_proposal proposal;
        good = message_decode_proposal(&proposal, payload) &&
               check_body(workers, proposal.body, false, part, event->part_count);
    } else if (type == MESSAGE_BLOCK) {
        struct message_block block;
        good = message_decode_block(&block, payload) &&
               check_body(workers, block.body, false, part, event->part_count);
    } else if (type == MESSAGE_RANGE) {
        struct message_range range;
        good = message_decode_range(&range, payload);
        for (uint32_t i = 0; good && i < range.block_count; i++)
            good = check_body(workers, range.blocks[i].body, true, part, event->part_count);
    }
    return good;
}

/* With the lock held: the oldest transactions that wait, as a list, or NULL. Not more than this worker's
 * share of them, so that a bundle is verified by all. */
static struct node_event *take_transactions(struct workers *workers)
{
    struct inbox_lane batch = {NULL, NULL};
    uint32_t share = (workers->waiting + workers->planned - 1) / workers->planned;
    if (share > TRANSACTIONS_AT_A_TIME)
        share = TRANSACTIONS_AT_A_TIME;
    for (; share > 0; share--) {
        struct node_event *event = pop(&workers->transactions);
        MUST(event != NULL && workers->waiting > 0);
        append(&batch, event);
        workers->waiting--;
    }
    return batch.head;
}

/* With the lock held: the next job. *part is which part of a frame it is. */
static struct node_event *next_job(struct workers *workers, uint32_t *part)
{
    struct node_event *event = workers->bodies.head;
    if (event == NULL)
        return take_transactions(workers);
    *part = event->parts_taken++;
    if (event->parts_taken == event->part_count)
        (void)pop(&workers->bodies);
    return event;
}

static void *worker_main(void *context)
{
    (void)pthread_setname_np(pthread_self(), "flexd-worker");
    struct workers *workers = context;
    MUST(pthread_mutex_lock(&workers->lock) == 0);
    while (!workers->stopping) {
        uint32_t part = 0;
        struct node_event *event = next_job(workers, &part);
        if (event == NULL) {
            MUST(pthread_cond_wait(&workers->filled, &workers->lock) == 0);
            continue;
        }
        MUST(pthread_mutex_unlock(&workers->lock) == 0);
        const uint64_t from_ns = stage_now_ns();
        if (event->kind == NODE_EVENT_TRANSACTION) {
            run_transactions(workers, event);
            stage_add(&workers->metrics->stages, STAGE_VERIFY, from_ns);
            MUST(pthread_mutex_lock(&workers->lock) == 0);
            continue;
        }
        bool good = check_part(workers, event, part);
        stage_add(&workers->metrics->stages, STAGE_VERIFY, from_ns);
        MUST(pthread_mutex_lock(&workers->lock) == 0);
        event->bad = event->bad || !good;
        MUST(event->parts > 0);
        event->parts--;
        if (event->parts == 0)
            inbox_push(workers->inbox, event);
    }
    MUST(pthread_mutex_unlock(&workers->lock) == 0);
    return NULL;
}

struct workers *workers_start(uint32_t count, struct inbox *inbox, struct verify_cache *cache,
                              struct node_metrics *metrics)
{
    MUST(count > 0 && count <= WORKERS_MAX);
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL)
        return NULL;
    MUST(pthread_mutex_init(&workers->lock, NULL) == 0);
    MUST(pthread_cond_init(&workers->filled, NULL) == 0);
    workers->inbox = inbox;
    workers->cache = cache;
    workers->metrics = metrics;
    workers->planned = count;
    for (; workers->count < count; workers->count++) {
        if (pthread_create(&workers->threads[workers->count], NULL, worker_main, workers) != 0) {
            workers_stop(workers);
            return NULL;
        }
    }
    return workers;
}

static void drop_lane(struct workers *workers, struct inbox_lane *lane)
{
    for (struct node_event *event = pop(lane); event != NULL; event = pop(lane)) {
        if (event->call != NULL) {
            event->call->unavailable = true;
            event->call->done(event->call);
        }
        (void)inbox_release(workers->inbox, event);
    }
}

void workers_stop(struct workers *workers)
{
    MUST(pthread_mutex_lock(&workers->lock) == 0);
    workers->stopping = true;
    MUST(pthread_cond_broadcast(&workers->filled) == 0);
    MUST(pthread_mutex_unlock(&workers->lock) == 0);
    for (uint32_t i = 0; i < workers->count; i++)
        MUST(pthread_join(workers->threads[i], NULL) == 0);
    /* A frame of which only some parts were taken is still in its lane, so nothing leaks: the last
     * part to be taken is what takes it out, and a taken part is always finished. */
    drop_lane(workers, &workers->bodies);
    drop_lane(workers, &workers->transactions);
    MUST(pthread_cond_destroy(&workers->filled) == 0);
    MUST(pthread_mutex_destroy(&workers->lock) == 0);
    free(workers);
}

void workers_transactions(struct workers *workers, struct node_event *events)
{
    MUST(pthread_mutex_lock(&workers->lock) == 0);
    uint32_t count = 0;
    while (events != NULL) {
        struct node_event *next = events->next;
        MUST(events->kind == NODE_EVENT_TRANSACTION && events->size > 0);
        append(&workers->transactions, events);
        count++;
        events = next;
    }
    workers->waiting += count;
    /* A few are not worth a second wake-up. */
    if (count > TRANSACTIONS_AT_A_TIME / 2)
        MUST(pthread_cond_broadcast(&workers->filled) == 0);
    else
        MUST(pthread_cond_signal(&workers->filled) == 0);
    MUST(pthread_mutex_unlock(&workers->lock) == 0);
}

void workers_bodies(struct workers *workers, struct node_event *event)
{
    MUST(event->kind == NODE_EVENT_BODIES && event->size > 0);
    uint32_t parts = 1 + (uint32_t)(event->size / PART_BYTES_MIN);
    if (parts > workers->count)
        parts = workers->count;
    event->part_count = parts;
    event->parts = parts;
    event->parts_taken = 0;
    MUST(pthread_mutex_lock(&workers->lock) == 0);
    append(&workers->bodies, event);
    MUST(pthread_cond_broadcast(&workers->filled) == 0);
    MUST(pthread_mutex_unlock(&workers->lock) == 0);
}
