/* The mempool: one list per sender in nonce order, an index by transaction id, a heap by expiry.
 *
 * Invariants:
 *  1. Every entry is in exactly one sender's list, in the id index and in the heap; a sender without
 *     entries doesn't exist.
 *  2. A sender's list rises strictly by nonce, and spans at most MEMPOOL_NONCE_DEPTH.
 *  3. The bytes that are counted are those that are allocated for entries and senders, so both limits
 *     bound the number of entries as well.
 *  4. Nobody keeps another out: in a full pool a newcomer displaces the last ones of whoever takes
 *     most, down to an equal share. So a few senders whose nonces never come up can't fill it.
 *  5. The order of a walk depends on what was added and committed in which order, on nothing else: no
 *     addresses, no hash order. Nobody's place depends on the fee: there is one fee (market-rules 3).
 *  6. Senders share blocks by bytes (start-time fair queueing). Each has a tag, in bytes; the smallest is
 *     next, and a transaction moves its sender's tag on by its size. What was committed moves it for good;
 *     who comes anew begins where those who are served stand (`served`), neither ahead of them nor behind.
 *
 * Deliberately absent: persistence, and any look at the state. */
#include "node/mempool.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { ID_BUCKETS = 65536, SENDER_BUCKETS = 16384 };

static const size_t bytes_max_default = (size_t)64 << 20;
static const size_t bytes_per_sender_default = (size_t)8 << 20;

struct entry {
    struct entry *id_next; /* same bucket */
    struct entry *before;  /* same sender, lower nonce */
    struct entry *after;
    struct sender *sender;
    size_t heap_index;
    uint64_t arrival;
    uint64_t nonce;
    struct timestamp valid_until;
    struct money fee_limit;
    struct hash id;
    size_t size;
    uint8_t envelope[];
};

struct sender {
    struct sender *bucket_next;
    struct sender *all_before; /* list of all senders, for the walk */
    struct sender *all_after;
    struct public_key key;
    struct entry *first;
    struct entry *last;
    size_t bytes;
    uint64_t tag; /* bytes of blocks that it is at: the smallest is next */
    /* Of the walk. */
    uint64_t walk_tag;
    struct entry *cursor; /* its next candidate */
};

struct mempool {
    struct mempool_limits limits;
    size_t count;
    size_t bytes;
    uint64_t arrivals;
    uint64_t served; /* tag of whoever was committed last, never less */
    size_t sender_count;
    struct sender *senders;
    struct entry *ids[ID_BUCKETS];
    struct sender *sender_buckets[SENDER_BUCKETS];
    struct entry **heap; /* least valid_until first */
    size_t heap_capacity;
    /* The walk: a heap of the senders that still have candidates, smallest tag first. */
    struct sender **round;
    size_t round_capacity;
    size_t round_count;
    bool offered; /* the first of the heap has given its candidate, and was not skipped */
};

/* Ids are hashes and keys are curve points that cost work to choose; both limits bound the harm of
 * a long chain in one bucket. */
static uint32_t bucket_of(const uint8_t *bytes, uint32_t buckets)
{
    const uint32_t value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
    return value % buckets;
}

struct mempool *mempool_create(const struct mempool_limits *limits)
{
    struct mempool *mempool = calloc(1, sizeof *mempool);
    if (mempool == NULL) {
        return NULL;
    }
    mempool->limits.bytes_max = limits->bytes_max != 0 ? limits->bytes_max : bytes_max_default;
    mempool->limits.bytes_per_sender_max =
        limits->bytes_per_sender_max != 0 ? limits->bytes_per_sender_max : bytes_per_sender_default;
    return mempool;
}

/* --- the heap of expiries --------------------------------------------------------------------- */

static bool expires_before(const struct entry *a, const struct entry *b)
{
    return timestamp_compare(a->valid_until, b->valid_until) < 0;
}

static void heap_set(struct mempool *mempool, size_t index, struct entry *entry)
{
    mempool->heap[index] = entry;
    entry->heap_index = index;
}

static void heap_sift(struct mempool *mempool, size_t index)
{
    struct entry *entry = mempool->heap[index];
    while (index > 0 && expires_before(entry, mempool->heap[(index - 1) / 2])) {
        heap_set(mempool, index, mempool->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= mempool->count) {
            break;
        }
        if (child + 1 < mempool->count &&
            expires_before(mempool->heap[child + 1], mempool->heap[child])) {
            child++;
        }
        if (!expires_before(mempool->heap[child], entry)) {
            break;
        }
        heap_set(mempool, index, mempool->heap[child]);
        index = child;
    }
    heap_set(mempool, index, entry);
}

/* Room for one more entry; false if memory ran out. */
static bool heap_reserve(struct mempool *mempool)
{
    if (mempool->count < mempool->heap_capacity) {
        return true;
    }
    const size_t capacity = mempool->heap_capacity == 0 ? 1024 : mempool->heap_capacity * 2;
    struct entry **heap = realloc(mempool->heap, capacity * sizeof(struct entry *));
    if (heap == NULL) {
        return false;
    }
    mempool->heap = heap;
    mempool->heap_capacity = capacity;
    return true;
}

/* --- senders ---------------------------------------------------------------------------------- */

static struct sender *sender_find(const struct mempool *mempool, const struct public_key *key)
{
    struct sender *sender = mempool->sender_buckets[bucket_of(key->bytes, SENDER_BUCKETS)];
    while (sender != NULL && !public_key_equal(&sender->key, key)) {
        sender = sender->bucket_next;
    }
    return sender;
}

static struct sender *sender_make(struct mempool *mempool, const struct public_key *key)
{
    struct sender **bucket = &mempool->sender_buckets[bucket_of(key->bytes, SENDER_BUCKETS)];
    struct sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) {
        return NULL;
    }
    sender->key = *key;
    sender->tag = mempool->served;
    sender->bucket_next = *bucket;
    *bucket = sender;
    sender->all_after = mempool->senders;
    if (mempool->senders != NULL) {
        mempool->senders->all_before = sender;
    }
    mempool->senders = sender;
    mempool->sender_count++;
    mempool->bytes += sizeof *sender;
    return sender;
}

static void sender_drop(struct mempool *mempool, struct sender *sender)
{
    struct sender **link = &mempool->sender_buckets[bucket_of(sender->key.bytes, SENDER_BUCKETS)];
    MUST(sender->first == NULL && sender->bytes == 0);
    while (*link != sender) {
        MUST(*link != NULL);
        link = &(*link)->bucket_next;
    }
    *link = sender->bucket_next;
    if (sender->all_before != NULL) {
        sender->all_before->all_after = sender->all_after;
    } else {
        mempool->senders = sender->all_after;
    }
    if (sender->all_after != NULL) {
        sender->all_after->all_before = sender->all_before;
    }
    mempool->sender_count--;
    mempool->bytes -= sizeof *sender;
    free(sender);
}

/* --- entries ---------------------------------------------------------------------------------- */

static struct entry *entry_find(const struct mempool *mempool, const struct hash *id)
{
    struct entry *entry = mempool->ids[bucket_of(id->bytes, ID_BUCKETS)];
    while (entry != NULL && !hash_equal(&entry->id, id)) {
        entry = entry->id_next;
    }
    return entry;
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->size;
}

static void entry_drop(struct mempool *mempool, struct entry *entry)
{
    struct sender *sender = entry->sender;
    struct entry **link = &mempool->ids[bucket_of(entry->id.bytes, ID_BUCKETS)];
    while (*link != entry) {
        MUST(*link != NULL);
        link = &(*link)->id_next;
    }
    *link = entry->id_next;
    if (entry->before != NULL) {
        entry->before->after = entry->after;
    } else {
        sender->first = entry->after;
    }
    if (entry->after != NULL) {
        entry->after->before = entry->before;
    } else {
        sender->last = entry->before;
    }
    const size_t hole = entry->heap_index;
    MUST(mempool->count > 0 && mempool->heap[hole] == entry);
    mempool->count--;
    if (hole != mempool->count) {
        heap_set(mempool, hole, mempool->heap[mempool->count]);
        heap_sift(mempool, hole);
    }
    mempool->bytes -= entry_bytes(entry);
    sender->bytes -= entry_bytes(entry);
    free(entry);
    if (sender->first == NULL) {
        sender_drop(mempool, sender);
    }
}

void mempool_destroy(struct mempool *mempool)
{
    if (mempool == NULL) {
        return;
    }
    while (mempool->senders != NULL) {
        entry_drop(mempool, mempool->senders->first);
    }
    MUST(mempool->count == 0 && mempool->bytes == 0);
    free(mempool->heap);
    free(mempool->round);
    free(mempool);
}

/* The entry behind which `nonce` goes (NULL: to the front). Newcomers mostly go to the end. */
static struct entry *place_of(const struct sender *sender, uint64_t nonce)
{
    struct entry *before = sender->last;
    while (before != NULL && before->nonce > nonce) {
        before = before->before;
    }
    return before;
}

/* Bytes that the pool would take with another envelope of `size` from that sender (NULL: a new one). */
static size_t bytes_with(const struct mempool *mempool, const struct sender *sender, size_t size)
{
    return mempool->bytes + sizeof(struct entry) + size +
           (sender == NULL ? sizeof(struct sender) : 0);
}

static struct sender *sender_of_most(const struct mempool *mempool)
{
    struct sender *most = mempool->senders;
    for (struct sender *sender = most; sender != NULL; sender = sender->all_after) {
        if (sender->bytes > most->bytes) {
            most = sender;
        }
    }
    return most;
}

/* In a full pool whoever takes most of it gives way, last nonces first, as long as it keeps at least
 * what the newcomer's sender would hold. All or nothing: nobody loses what helps nobody. */
static bool make_room(struct mempool *mempool, const struct sender *sender, size_t size)
{
    const size_t wanted = bytes_with(mempool, sender, size);
    if (wanted <= mempool->limits.bytes_max) {
        return true;
    }
    const size_t short_of = wanted - mempool->limits.bytes_max;
    const size_t share = (sender == NULL ? 0 : sender->bytes) + sizeof(struct entry) + size;
    struct sender *most = sender_of_most(mempool);
    size_t freed = 0;
    if (most == NULL || most->bytes < share) {
        return false;
    }
    for (const struct entry *entry = most->last; entry != NULL && freed < short_of;
         entry = entry->before) {
        freed += entry_bytes(entry);
    }
    if (freed < short_of || most->bytes - freed < share) {
        return false;
    }
    MUST(most != sender);
    for (size_t dropped = 0; dropped < freed;) {
        dropped += entry_bytes(most->last);
        entry_drop(mempool, most->last);
    }
    MUST(bytes_with(mempool, sender, size) <= mempool->limits.bytes_max);
    return true;
}

static bool is_within_depth(const struct sender *sender, uint64_t nonce)
{
    const uint64_t low = sender->first->nonce < nonce ? sender->first->nonce : nonce;
    const uint64_t high = sender->last->nonce > nonce ? sender->last->nonce : nonce;
    return high - low < MEMPOOL_NONCE_DEPTH;
}

static void entry_link(struct mempool *mempool, struct entry *entry, struct entry *before)
{
    struct sender *sender = entry->sender;
    struct entry **bucket = &mempool->ids[bucket_of(entry->id.bytes, ID_BUCKETS)];
    entry->id_next = *bucket;
    *bucket = entry;
    entry->before = before;
    entry->after = before != NULL ? before->after : sender->first;
    if (before != NULL) {
        before->after = entry;
    } else {
        sender->first = entry;
    }
    if (entry->after != NULL) {
        entry->after->before = entry;
    } else {
        sender->last = entry;
    }
    mempool->bytes += entry_bytes(entry);
    sender->bytes += entry_bytes(entry);
    heap_set(mempool, mempool->count, entry);
    mempool->count++;
    heap_sift(mempool, entry->heap_index);
}

/* Copies what the mempool keeps of a transaction; NULL if memory ran out. */
static struct entry *entry_make(struct mempool *mempool, const struct transaction *transaction)
{
    const size_t size = transaction->envelope.size;
    struct entry *entry = malloc(sizeof *entry + size);
    if (entry == NULL) {
        return NULL;
    }
    memset(entry, 0, sizeof *entry);
    entry->arrival = mempool->arrivals++;
    entry->nonce = transaction->nonce;
    entry->valid_until = transaction->valid_until;
    entry->fee_limit = transaction->fee_limit;
    entry->id = transaction->id;
    entry->size = size;
    memcpy(entry->envelope, transaction->envelope.data, size);
    return entry;
}

/* Nobody pays for a replacement, so each must offer to pay a quarter more: a nonce is replaced some 170
 * times at most, and the others need not pass on more copies than that. */
static bool outbids(struct money fee_limit, struct money waiting)
{
    const int64_t old = money_ueur(waiting);
    const int64_t step = old / MEMPOOL_OUTBID_SHARE > 0 ? old / MEMPOOL_OUTBID_SHARE : 1;
    int64_t least;
    return checked_add_i64(&least, old, step) && money_ueur(fee_limit) >= least;
}

static enum contract_error replace(struct mempool *mempool, struct entry *old,
                                   const struct transaction *transaction)
{
    struct sender *sender = old->sender;
    const size_t size = transaction->envelope.size;
    if (!outbids(transaction->fee_limit, old->fee_limit)) {
        return CONTRACT_TX_NONCE_USED;
    }
    if (sender->bytes - old->size + size > mempool->limits.bytes_per_sender_max ||
        mempool->bytes - old->size + size > mempool->limits.bytes_max) {
        return CONTRACT_MEMPOOL_FULL;
    }
    struct entry *entry = entry_make(mempool, transaction);
    if (entry == NULL || !heap_reserve(mempool)) {
        free(entry);
        return CONTRACT_MEMPOOL_FULL;
    }
    entry->sender = sender;
    entry_link(mempool, entry, old);
    entry_drop(mempool, old); /* the sender stays: it has the new one */
    return CONTRACT_OK;
}

enum contract_error mempool_add(struct mempool *mempool, const struct transaction *transaction)
{
    if (entry_find(mempool, &transaction->id) != NULL) {
        return CONTRACT_EXISTS_ALREADY;
    }
    const size_t size = transaction->envelope.size;
    struct sender *sender = sender_find(mempool, &transaction->sender);
    struct entry *before = sender == NULL ? NULL : place_of(sender, transaction->nonce);
    if (before != NULL && before->nonce == transaction->nonce) {
        return replace(mempool, before, transaction);
    }
    const size_t held = sender == NULL ? 0 : sender->bytes;
    if (held + sizeof(struct entry) + size > mempool->limits.bytes_per_sender_max ||
        (sender != NULL && !is_within_depth(sender, transaction->nonce)) ||
        !heap_reserve(mempool) || !make_room(mempool, sender, size)) {
        return CONTRACT_MEMPOOL_FULL;
    }
    struct entry *entry = entry_make(mempool, transaction);
    if (entry == NULL) {
        return CONTRACT_MEMPOOL_FULL;
    }
    if (sender == NULL) {
        sender = sender_make(mempool, &transaction->sender);
        if (sender == NULL) {
            free(entry);
            return CONTRACT_MEMPOOL_FULL;
        }
    }
    entry->sender = sender;
    entry_link(mempool, entry, before);
    return CONTRACT_OK;
}

bool mempool_has(const struct mempool *mempool, const struct hash *tx_id)
{
    return entry_find(mempool, tx_id) != NULL;
}

size_t mempool_count(const struct mempool *mempool)
{
    return mempool->count;
}

size_t mempool_bytes(const struct mempool *mempool)
{
    return mempool->bytes;
}

void mempool_forget(struct mempool *mempool, const struct public_key *sender_key,
                    uint64_t up_to_nonce)
{
    struct sender *sender = sender_find(mempool, sender_key);
    struct entry *entry = sender == NULL ? NULL : sender->first;
    while (entry != NULL && entry->nonce <= up_to_nonce) {
        struct entry *after = entry->after; /* dropping the last one drops its sender too */
        if (mempool->served < sender->tag) {
            mempool->served = sender->tag;
        }
        sender->tag += entry->size;
        entry_drop(mempool, entry);
        entry = after;
    }
}

void mempool_expire(struct mempool *mempool, struct timestamp block_time)
{
    /* A transaction may still stand in a block of the very time that it is valid until. */
    while (mempool->count > 0 && timestamp_compare(mempool->heap[0]->valid_until, block_time) < 0) {
        entry_drop(mempool, mempool->heap[0]);
    }
}

/* --- the walk --------------------------------------------------------------------------------- */

/* Of equal tags, whose candidate came first. No two arrivals are equal. */
static bool walks_before(const struct sender *a, const struct sender *b)
{
    return a->walk_tag != b->walk_tag ? a->walk_tag < b->walk_tag
                                      : a->cursor->arrival < b->cursor->arrival;
}

static void round_sift_down(struct mempool *mempool, size_t index)
{
    struct sender **round = mempool->round;
    struct sender *sender = round[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= mempool->round_count) {
            break;
        }
        if (child + 1 < mempool->round_count && walks_before(round[child + 1], round[child])) {
            child++;
        }
        if (!walks_before(round[child], sender)) {
            break;
        }
        round[index] = round[child];
        index = child;
    }
    round[index] = sender;
}

static void round_drop_first(struct mempool *mempool)
{
    MUST(mempool->round_count > 0);
    mempool->round[0] = mempool->round[--mempool->round_count];
    if (mempool->round_count > 0) {
        round_sift_down(mempool, 0);
    }
}

void mempool_walk_begin(struct mempool *mempool)
{
    mempool->round_count = 0;
    mempool->offered = false;
    if (mempool->round_capacity < mempool->sender_count) {
        struct sender **round =
            realloc(mempool->round, mempool->sender_count * sizeof(struct sender *));
        if (round == NULL) {
            return; /* an empty walk: the block has no transactions this time */
        }
        mempool->round = round;
        mempool->round_capacity = mempool->sender_count;
    }
    for (struct sender *sender = mempool->senders; sender != NULL; sender = sender->all_after) {
        /* Whoever could not use its turns, for a nonce that was missing, has not saved them up. */
        if (mempool->served > MEMPOOL_LAG_BYTES &&
            sender->tag < mempool->served - MEMPOOL_LAG_BYTES) {
            sender->tag = mempool->served - MEMPOOL_LAG_BYTES;
        }
        sender->cursor = sender->first;
        sender->walk_tag = sender->tag;
        mempool->round[mempool->round_count++] = sender;
    }
    MUST(mempool->round_count == mempool->sender_count);
    for (size_t i = mempool->round_count / 2; i > 0; i--) {
        round_sift_down(mempool, i - 1);
    }
}

bool mempool_walk_next(struct mempool *mempool, struct bytes_view *envelope)
{
    if (mempool->offered) {
        struct sender *sender = mempool->round[0];
        sender->walk_tag += sender->cursor->size;
        sender->cursor = sender->cursor->after;
        if (sender->cursor == NULL) {
            round_drop_first(mempool);
        } else {
            round_sift_down(mempool, 0);
        }
    }
    mempool->offered = mempool->round_count > 0;
    if (!mempool->offered) {
        return false;
    }
    const struct entry *entry = mempool->round[0]->cursor;
    *envelope = bytes_view_of(entry->envelope, entry->size);
    return true;
}

void mempool_walk_skip_sender(struct mempool *mempool)
{
    if (mempool->offered) {
        round_drop_first(mempool);
    }
    mempool->offered = false;
}
