/* Which signed transactions this node has verified already, so that it verifies each signature once
 * (architecture.md, "One transaction's way"). Keyed by the leaf hash, which covers body and
 * signature. Direct-mapped: a later entry may push an older one out, which costs a verification and
 * nothing else. Thread-safe. */
#ifndef FLEX_NODE_VERIFY_CACHE_H
#define FLEX_NODE_VERIFY_CACHE_H

#include <pthread.h>

#include "crypto/hash.h"

/* Some ten seconds of transactions at the rate that two cores can verify. */
enum { VERIFY_CACHE_ENTRIES = 1 << 17 };

struct verify_cache {
    pthread_mutex_t lock;
    struct verify_cache_entry {
        struct hash leaf;
        bool submitted; /* has been handed to the loop for the mempool */
    } * entries;
};

/* False if memory ran out. */
bool verify_cache_open(struct verify_cache *cache);
void verify_cache_close(struct verify_cache *cache);
bool verify_cache_has(struct verify_cache *cache, const struct hash *leaf);
void verify_cache_add(struct verify_cache *cache, const struct hash *leaf);
/* Marks it as handed on; false if it already was (a copy by way of another peer). */
bool verify_cache_submit(struct verify_cache *cache, const struct hash *leaf);
/* The mempool refused it: another copy may try again. */
void verify_cache_unsubmit(struct verify_cache *cache, const struct hash *leaf);

#endif
