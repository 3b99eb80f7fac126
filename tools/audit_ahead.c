/* Checking blocks ahead of their execution (tools/audit_ahead.h).
 *
 * Invariants:
 *  1. `claimed` <= `pushed`, `taken` <= `pushed` <= taken + AUDIT_AHEAD_BLOCKS: three counters over
 *     one ring. A part is claimed under the lock and by one thread only; blocks are claimed in order,
 *     so the block that the owner waits for is always the first to be finished.
 *  2. A slot's leaves, header and finality are written by one part each and read after the last part
 *     has ended under the lock.
 *  3. What a block is blamed for depends on its bytes alone and not on which thread came first: of
 *     all faults found the one of the lowest rank counts, and a part goes on to no later fault.
 *  4. A certificate of another epoch than the one known is left to the owner, who knows the set once
 *     the blocks before have been executed.
 *
 * Deliberately absent: any look at the state, and any order between blocks. */
#include "tools/audit_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "contracts/witness.h"
#include "crypto/merkle.h"

enum {
    THREADS_MAX = 64,
    /* Less is not worth another thread's look at the ring: some 40 transactions, 2 ms. */
    PART_BYTES_MIN = 8 * 1024,
    PARTS_MAX = 32,
    RANK_NONE = INT32_MAX,
    RANK_ROOT = RANK_NONE - 1 /* after every transaction's own faults */
};

struct slot {
    struct audit_block block;
    struct hash *leaves; /* of the transactions; the room is kept for the next block here */
    uint32_t room;       /* of leaves, at most LIMIT_TX_PER_BLOCK */
    uint32_t count;      /* of transactions */
    uint32_t parts;
    uint32_t parts_claimed;
    uint32_t parts_done;
    bool certificate_left; /* to the owner */
    int32_t rank;          /* of the fault in `why` */
    const char *why;
};

struct audit_ahead {
    pthread_mutex_t lock;
    pthread_cond_t filled; /* there is a part to claim */
    pthread_cond_t done;   /* a block's last part has ended */
    bool stopping;
    struct proof_trust trust;
    uint64_t epoch;
    uint64_t pushed;
    uint64_t claimed; /* blocks all of whose parts are claimed */
    uint64_t taken;
    struct slot slots[AUDIT_AHEAD_BLOCKS];
    uint32_t count;
    pthread_t threads[THREADS_MAX];
};

static struct slot *slot_of(struct audit_ahead *ahead, uint64_t number)
{
    return &ahead->slots[number % AUDIT_AHEAD_BLOCKS];
}

/* --- one part -------------------------------------------------------------------------------- */

struct fault {
    int32_t rank;
    const char *why;
};

static void blame(struct fault *fault, int32_t rank, const char *why)
{
    if (rank < fault->rank) {
        *fault = (struct fault){rank, why};
    }
}

static const char *certificate_problem(const struct proof_trust *trust,
                                       const struct audit_block *block)
{
    struct block_header header;
    struct finality finality;
    if (!block_header_decode(&header, block->header)) {
        return "the header is malformed";
    }
    if (!finality_decode(&finality, block->certificate) ||
        !finality_follow(&header, finality.headers)) {
        return "the certificate is malformed";
    }
    return proof_certificate_problem(trust, &header, &finality.certificate);
}

/* Header and certificate. *left: the certificate is of an epoch whose set is not known yet. */
static void check_head(struct audit_ahead *ahead, const struct audit_block *block,
                       struct fault *fault, bool *left)
{
    struct block_header header;
    struct proof_trust trust;
    if (!block_header_decode(&header, block->header)) {
        blame(fault, 0, "the header is malformed");
        return;
    }
    if (block->certificate.size == 0) {
        return;
    }
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    trust = ahead->trust;
    *left = header.epoch != ahead->epoch;
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
    const char *why = *left ? NULL : certificate_problem(&trust, block);
    if (why != NULL) {
        blame(fault, 0, why);
    }
}

/* The transactions number `part`, `part` + parts, ...; their leaves go into the slot. */
static void check_transactions(struct slot *slot, uint32_t part, struct fault *fault)
{
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    if (!body_open(&reader, slot->block.body)) {
        blame(fault, RANK_ROOT, "the body is malformed");
        return;
    }
    struct block_header header;
    struct timestamp final;
    const bool headed = block_header_decode(&header, slot->block.header);
    for (uint32_t i = 0; body_next(&reader, &envelope); i++) {
        if (i % slot->parts != part) {
            continue;
        }
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK) {
            blame(fault, (int32_t)i + 1,
                  "a transaction is malformed, or its witness is not the one it names");
            return;
        }
        transaction_leaf(&slot->leaves[i], &transaction);
        if (headed && transaction.stand_in.size > 0 &&
            !stand_in_holds(&transaction, i, slot->count, &header.receipt_root, &final)) {
            blame(fault, (int32_t)i + 1, "what stands in for a deleted witness is not its receipt");
            return;
        }
        if (!transaction_signature_is_valid(&transaction)) {
            blame(fault, (int32_t)i + 1, "a transaction's signature is not valid");
            return;
        }
    }
    if (!body_is_whole(&reader)) {
        blame(fault, RANK_ROOT, "the body is malformed");
    }
}

static void check_root(const struct slot *slot, struct fault *fault)
{
    struct block_header header;
    struct hash root;
    MUST(block_header_decode(&header, slot->block.header));
    merkle_root(&root, slot->leaves, slot->count);
    if (!hash_equal(&root, &header.tx_root)) {
        blame(fault, RANK_ROOT, "the body is not the one that the header names");
    }
}

/* With the lock held: the next part, or false. */
static bool claim(struct audit_ahead *ahead, struct slot **slot, uint32_t *part)
{
    if (ahead->claimed == ahead->pushed) {
        return false;
    }
    *slot = slot_of(ahead, ahead->claimed);
    *part = (*slot)->parts_claimed++;
    if ((*slot)->parts_claimed == (*slot)->parts) {
        ahead->claimed++;
    }
    return true;
}

/* With the lock held, which it gives up meanwhile. */
static void run_part(struct audit_ahead *ahead, struct slot *slot, uint32_t part)
{
    struct fault fault = {RANK_NONE, NULL};
    bool left = false;
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
    if (part == 0) {
        check_head(ahead, &slot->block, &fault, &left);
    }
    check_transactions(slot, part, &fault);
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    slot->certificate_left = slot->certificate_left || left;
    bool last = slot->parts_done + 1 == slot->parts;
    if (last && slot->rank == RANK_NONE && fault.rank == RANK_NONE) {
        /* All leaves are there, and nobody else has anything left to do with this slot. */
        MUST(pthread_mutex_unlock(&ahead->lock) == 0);
        check_root(slot, &fault);
        MUST(pthread_mutex_lock(&ahead->lock) == 0);
    }
    if (fault.rank < slot->rank) {
        slot->rank = fault.rank;
        slot->why = fault.why;
    }
    slot->parts_done++;
    if (slot->parts_done == slot->parts) {
        MUST(pthread_cond_signal(&ahead->done) == 0);
    }
}

static void *thread_main(void *context)
{
    struct audit_ahead *ahead = context;
    struct slot *slot;
    uint32_t part;
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    while (!ahead->stopping) {
        if (claim(ahead, &slot, &part)) {
            run_part(ahead, slot, part);
        } else {
            MUST(pthread_cond_wait(&ahead->filled, &ahead->lock) == 0);
        }
    }
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
    return NULL;
}

/* --- the owner's side ------------------------------------------------------------------------ */

uint32_t audit_ahead_count(const struct audit_ahead *ahead)
{
    return (uint32_t)(ahead->pushed - ahead->taken);
}

uint32_t audit_ahead_threads(const struct audit_ahead *ahead)
{
    return ahead->count + 1;
}

void audit_ahead_push(struct audit_ahead *ahead, const struct audit_block *block)
{
    struct body_reader reader;
    MUST(audit_ahead_count(ahead) < AUDIT_AHEAD_BLOCKS);
    struct slot *slot = slot_of(ahead, ahead->pushed);
    uint32_t count = body_open(&reader, block->body) ? reader.count : 0;
    struct hash *leaves = slot->leaves;
    uint32_t room = slot->room;
    if (room < count) {
        free(leaves);
        leaves = malloc(count * sizeof *leaves);
        room = count;
        if (leaves == NULL) {
            fatal_environment("out of memory for a block's leaves");
        }
    }
    *slot = (struct slot){
        .block = *block, .leaves = leaves, .room = room, .count = count, .rank = RANK_NONE};
    uint32_t parts = 1 + (uint32_t)(block->body.size / PART_BYTES_MIN);
    slot->parts = parts > PARTS_MAX ? PARTS_MAX : parts;
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    ahead->pushed++;
    MUST(pthread_cond_broadcast(&ahead->filled) == 0);
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
}

const char *audit_ahead_take(struct audit_ahead *ahead, struct audit_block *out)
{
    MUST(audit_ahead_count(ahead) > 0);
    struct slot *front = slot_of(ahead, ahead->taken);
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    while (front->parts_done < front->parts) {
        struct slot *slot;
        uint32_t part;
        if (claim(ahead, &slot, &part)) {
            run_part(ahead, slot, part);
        } else {
            MUST(pthread_cond_wait(&ahead->done, &ahead->lock) == 0);
        }
    }
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
    *out = front->block;
    const char *why = front->why;
    if (front->certificate_left && front->rank > 0) {
        const char *problem = certificate_problem(&ahead->trust, &front->block);
        why = problem != NULL ? problem : why;
    }
    ahead->taken++;
    return why;
}

void audit_ahead_trust(struct audit_ahead *ahead, const struct proof_trust *trust, uint64_t epoch)
{
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    ahead->trust = *trust;
    ahead->epoch = epoch;
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
}

/* --- life ------------------------------------------------------------------------------------ */

struct audit_ahead *audit_ahead_start(const struct proof_trust *trust, uint64_t epoch)
{
    struct audit_ahead *ahead = calloc(1, sizeof *ahead);
    if (ahead == NULL) {
        return NULL;
    }
    ahead->trust = *trust;
    ahead->epoch = epoch;
    MUST(pthread_mutex_init(&ahead->lock, NULL) == 0);
    MUST(pthread_cond_init(&ahead->filled, NULL) == 0);
    MUST(pthread_cond_init(&ahead->done, NULL) == 0);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t wanted = online < 1 ? 0 : online > THREADS_MAX ? THREADS_MAX : (uint32_t)online - 1;
    /* The owner checks what no thread could be had for. */
    while (ahead->count < wanted &&
           pthread_create(&ahead->threads[ahead->count], NULL, thread_main, ahead) == 0) {
        ahead->count++;
    }
    return ahead;
}

void audit_ahead_stop(struct audit_ahead *ahead)
{
    MUST(pthread_mutex_lock(&ahead->lock) == 0);
    ahead->stopping = true;
    MUST(pthread_cond_broadcast(&ahead->filled) == 0);
    MUST(pthread_mutex_unlock(&ahead->lock) == 0);
    for (uint32_t i = 0; i < ahead->count; i++) {
        MUST(pthread_join(ahead->threads[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < AUDIT_AHEAD_BLOCKS; i++) {
        free(ahead->slots[i].leaves);
    }
    MUST(pthread_cond_destroy(&ahead->filled) == 0);
    MUST(pthread_cond_destroy(&ahead->done) == 0);
    MUST(pthread_mutex_destroy(&ahead->lock) == 0);
    free(ahead);
}
