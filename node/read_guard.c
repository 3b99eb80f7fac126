/* The memory of signed requests (node/read_guard.h).
 *
 *   key and nonce -> tag (16 bytes, keyed by a secret of this process) -> hash chain
 *                                                                      -> list of its time's second
 *
 * Invariants: an entry stands in exactly one chain and in the list of its request's second, or in the
 * free list; the seconds from `oldest` on that may still be asked for have a slot of their own; below
 * `oldest` nothing is taken, so what was forgotten is never served again.
 *
 * Deliberately absent: anything on disk. A restart forgets the nonces of the last minute, so
 * nothing is taken that is older than the start. */
#include "node/read_guard.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"

enum { TAG_SIZE = 16, CHAINS = READ_GUARD_ENTRIES_MAX, KEY_SLOTS = 4096 };
static const uint32_t none = UINT32_MAX; /* no entry */
_Static_assert((CHAINS & (CHAINS - 1)) == 0 && (KEY_SLOTS & (KEY_SLOTS - 1)) == 0, "masks");

struct entry {
    uint8_t tag[TAG_SIZE];
    uint32_t next_in_chain;
    uint32_t next_in_second; /* or in the free list */
    uint32_t chain;
    uint32_t key_slot;
};

struct read_guard {
    pthread_mutex_t lock;
    uint8_t secret[crypto_generichash_KEYBYTES];
    int64_t oldest; /* the first second that is remembered */
    uint32_t free;
    uint32_t chains[CHAINS];
    uint32_t seconds[READ_GUARD_SECONDS];
    /* Entries by key, keys that share a slot taken together: the bound is only tighter for them. */
    uint32_t by_key[KEY_SLOTS];
    struct entry entries[READ_GUARD_ENTRIES_MAX];
};

struct read_guard *read_guard_create(int64_t now_ms)
{
    struct read_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL)
        return NULL;
    guard->oldest = now_ms / 1000;
    random_bytes(guard->secret, sizeof guard->secret);
    memset(guard->chains, 0xff, sizeof guard->chains);
    memset(guard->seconds, 0xff, sizeof guard->seconds);
    for (uint32_t i = 0; i < READ_GUARD_ENTRIES_MAX; i++)
        guard->entries[i].next_in_second = i + 1 < READ_GUARD_ENTRIES_MAX ? i + 1 : none;
    MUST(pthread_mutex_init(&guard->lock, NULL) == 0);
    return guard;
}

void read_guard_destroy(struct read_guard *guard)
{
    MUST(pthread_mutex_destroy(&guard->lock) == 0);
    free(guard);
}

bool read_guard_is_near(int64_t time_ms, int64_t now_ms)
{
    int64_t apart;
    return time_ms >= 0 && checked_sub_i64(&apart, now_ms, time_ms) &&
           apart <= READ_REQUEST_SKEW_MS && apart >= -(int64_t)READ_REQUEST_SKEW_MS;
}

static void forget(struct read_guard *guard, uint32_t index)
{
    struct entry *entry = &guard->entries[index];
    uint32_t *at = &guard->chains[entry->chain];
    while (*at != index) {
        MUST(*at != none);
        at = &guard->entries[*at].next_in_chain;
    }
    *at = entry->next_in_chain;
    MUST(guard->by_key[entry->key_slot] > 0);
    guard->by_key[entry->key_slot]--;
    entry->next_in_second = guard->free;
    guard->free = index;
}

/* Forgets all seconds that lie before what may be asked for now. */
static void advance(struct read_guard *guard, int64_t now_ms)
{
    const int64_t first = now_ms / 1000 - READ_REQUEST_SKEW_MS / 1000;
    for (int i = 0; i < READ_GUARD_SECONDS && guard->oldest < first; i++, guard->oldest++) {
        uint32_t *list = &guard->seconds[guard->oldest & (READ_GUARD_SECONDS - 1)];
        while (*list != none) {
            const uint32_t index = *list;
            *list = guard->entries[index].next_in_second;
            forget(guard, index);
        }
    }
    /* All slots are empty if the loop ended by its count: the clock has jumped ahead. */
    if (guard->oldest < first)
        guard->oldest = first;
}

/* Tag and key slot of a request: without the secret nobody can choose where they fall. */
static void locate(const struct read_guard *guard, const struct read_request *request,
                   struct entry *out)
{
    crypto_generichash_state state;
    uint8_t slot[crypto_generichash_BYTES_MIN];
    MUST(crypto_generichash_init(&state, guard->secret, sizeof guard->secret, TAG_SIZE) == 0);
    MUST(crypto_generichash_update(&state, request->key.bytes, PUBLIC_KEY_SIZE) == 0);
    MUST(crypto_generichash_update(&state, request->nonce, READ_REQUEST_NONCE_SIZE) == 0);
    MUST(crypto_generichash_final(&state, out->tag, TAG_SIZE) == 0);
    MUST(crypto_generichash(slot, sizeof slot, request->key.bytes, PUBLIC_KEY_SIZE, guard->secret,
                            sizeof guard->secret) == 0);
    out->chain =
        ((uint32_t)out->tag[0] << 16 | (uint32_t)out->tag[1] << 8 | out->tag[2]) & (CHAINS - 1);
    out->key_slot = ((uint32_t)slot[0] << 8 | slot[1]) & (KEY_SLOTS - 1);
}

static bool is_known(const struct read_guard *guard, const struct entry *wanted)
{
    bool known = false;
    for (uint32_t at = guard->chains[wanted->chain]; at != none;
         at = guard->entries[at].next_in_chain)
        known = sodium_memcmp(guard->entries[at].tag, wanted->tag, TAG_SIZE) == 0 || known;
    return known;
}

static enum read_guard_result take(struct read_guard *guard, const struct read_request *request,
                                   int64_t now_ms)
{
    struct entry wanted;
    advance(guard, now_ms);
    const int64_t second = request->time_ms / 1000;
    if (second < guard->oldest || second >= guard->oldest + READ_GUARD_SECONDS)
        return READ_GUARD_CLOCK;
    locate(guard, request, &wanted);
    if (is_known(guard, &wanted))
        return READ_GUARD_REPLAYED;
    if (guard->free == none || guard->by_key[wanted.key_slot] >= READ_GUARD_ENTRIES_PER_KEY)
        return READ_GUARD_FULL;
    const uint32_t index = guard->free;
    struct entry *entry = &guard->entries[index];
    uint32_t *list = &guard->seconds[second & (READ_GUARD_SECONDS - 1)];
    guard->free = entry->next_in_second;
    *entry = wanted;
    entry->next_in_chain = guard->chains[wanted.chain];
    guard->chains[wanted.chain] = index;
    entry->next_in_second = *list;
    *list = index;
    guard->by_key[wanted.key_slot]++;
    return READ_GUARD_NEW;
}

enum read_guard_result read_guard_take(struct read_guard *guard, const struct read_request *request,
                                       int64_t now_ms)
{
    if (!read_guard_is_near(request->time_ms, now_ms))
        return READ_GUARD_CLOCK;
    MUST(pthread_mutex_lock(&guard->lock) == 0);
    enum read_guard_result result = take(guard, request, now_ms);
    MUST(pthread_mutex_unlock(&guard->lock) == 0);
    return result;
}
