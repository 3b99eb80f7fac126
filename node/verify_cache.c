/* The cache of verified signatures (verify_cache.h).
 *
 * One lock: a look-up is a comparison of 32 bytes, a thousandth of the verification that it saves.
 * The slot is taken from the hash itself; who grinds for collisions makes his own transactions push
 * each other out.
 *
 * Deliberately absent: negative entries. A bad signature is the sender's fault, is struck, and is
 * not worth remembering. */
#include "node/verify_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

bool verify_cache_open(struct verify_cache *cache)
{
    cache->entries = calloc(VERIFY_CACHE_ENTRIES, sizeof cache->entries[0]);
    if (cache->entries == NULL)
        return false;
    MUST(pthread_mutex_init(&cache->lock, NULL) == 0);
    return true;
}

void verify_cache_close(struct verify_cache *cache)
{
    MUST(pthread_mutex_destroy(&cache->lock) == 0);
    free(cache->entries);
    cache->entries = NULL;
}

static struct verify_cache_entry *slot_of(struct verify_cache *cache, const struct hash *leaf)
{
    uint32_t index = 0;
    memcpy(&index, leaf->bytes, sizeof index);
    return &cache->entries[index % VERIFY_CACHE_ENTRIES];
}

bool verify_cache_has(struct verify_cache *cache, const struct hash *leaf)
{
    MUST(!hash_is_zero(leaf));
    MUST(pthread_mutex_lock(&cache->lock) == 0);
    bool has = hash_equal(&slot_of(cache, leaf)->leaf, leaf);
    MUST(pthread_mutex_unlock(&cache->lock) == 0);
    return has;
}

void verify_cache_add(struct verify_cache *cache, const struct hash *leaf)
{
    MUST(!hash_is_zero(leaf));
    MUST(pthread_mutex_lock(&cache->lock) == 0);
    struct verify_cache_entry *entry = slot_of(cache, leaf);
    if (!hash_equal(&entry->leaf, leaf)) {
        entry->leaf = *leaf;
        entry->submitted = false;
    }
    MUST(pthread_mutex_unlock(&cache->lock) == 0);
}

bool verify_cache_submit(struct verify_cache *cache, const struct hash *leaf)
{
    MUST(pthread_mutex_lock(&cache->lock) == 0);
    struct verify_cache_entry *entry = slot_of(cache, leaf);
    bool first = !hash_equal(&entry->leaf, leaf) || !entry->submitted;
    if (hash_equal(&entry->leaf, leaf))
        entry->submitted = true;
    MUST(pthread_mutex_unlock(&cache->lock) == 0);
    return first;
}

void verify_cache_unsubmit(struct verify_cache *cache, const struct hash *leaf)
{
    MUST(pthread_mutex_lock(&cache->lock) == 0);
    struct verify_cache_entry *entry = slot_of(cache, leaf);
    if (hash_equal(&entry->leaf, leaf))
        entry->submitted = false;
    MUST(pthread_mutex_unlock(&cache->lock) == 0);
}
