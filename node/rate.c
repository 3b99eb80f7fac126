/* Token buckets (node/rate.h). A bucket is one number: the time at which it will be full again. Taking a
 * token moves it on by an interval; a bucket whose time has passed is full, and the same as none.
 *
 * Invariants: no bucket's time is more than burst x interval ahead; an id is looked for in RATE_WAYS
 * places only, which a secret decides, so nobody can aim at another's; forgetting a bucket that is not
 * full hands its debt to who takes the place, so the sum of tokens that were given is bounded for any
 * sequence of ids.
 *
 * Deliberately absent: fractions of a token, buckets that survive a restart. */
#include "node/rate.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/fatal.h"

enum { MICROSECONDS = 1000000 };
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "an id's tag is a short hash");

struct rate_bucket {
    uint64_t tag; /* 0: nobody's as yet */
    uint64_t full_at_us;
};

struct rate_table {
    pthread_mutex_t lock;
    uint64_t interval_us; /* of one token; 0: unlimited */
    uint64_t burst_us;
    unsigned char secret[crypto_shorthash_KEYBYTES];
    struct rate_bucket buckets[RATE_SETS][RATE_WAYS];
};

struct rate_table *rate_table_create(uint32_t per_second, uint32_t burst)
{
    MUST(per_second <= MICROSECONDS && burst >= 1 && burst <= MICROSECONDS);
    struct rate_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    MUST(pthread_mutex_init(&table->lock, NULL) == 0);
    table->interval_us = per_second > 0 ? MICROSECONDS / per_second : 0;
    table->burst_us = table->interval_us * burst;
    randombytes_buf(table->secret, sizeof table->secret);
    return table;
}

void rate_table_destroy(struct rate_table *table)
{
    if (table == NULL)
        return;
    MUST(pthread_mutex_destroy(&table->lock) == 0);
    sodium_memzero(table->secret, sizeof table->secret);
    free(table);
}

/* The id's own bucket, or the one that it may have: the one that will be full soonest. */
static struct rate_bucket *find(struct rate_bucket set[RATE_WAYS], uint64_t tag)
{
    struct rate_bucket *place = &set[0];
    for (int i = 0; i < RATE_WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].full_at_us < place->full_at_us)
            place = &set[i];
    }
    return place;
}

bool rate_table_take(struct rate_table *table, uint32_t *retry_seconds, const void *id, size_t size,
                     uint64_t now_us)
{
    uint64_t tag = 0;
    *retry_seconds = 0;
    if (table->interval_us == 0)
        return true;
    MUST(crypto_shorthash((unsigned char *)&tag, id, size, table->secret) == 0);
    MUST(pthread_mutex_lock(&table->lock) == 0);
    struct rate_bucket *bucket = find(table->buckets[tag % RATE_SETS], tag);
    uint64_t full_at_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;
    full_at_us += table->interval_us;
    const bool given = full_at_us - now_us <= table->burst_us;
    if (given)
        *bucket = (struct rate_bucket){tag, full_at_us};
    MUST(pthread_mutex_unlock(&table->lock) == 0);
    if (!given) {
        const uint64_t wait_us = full_at_us - now_us - table->burst_us;
        const uint64_t seconds = (wait_us + MICROSECONDS - 1) / MICROSECONDS;
        *retry_seconds =
            seconds < RATE_RETRY_SECONDS_MAX ? (uint32_t)seconds : RATE_RETRY_SECONDS_MAX;
    }
    return given;
}
