/* Token buckets in bounded memory: who may do something how often (docs/adr/0055).
 *
 * Each id (an address, a key) has a bucket of `burst` tokens that fills at `per_second`. The table holds
 * RATE_ENTRIES_MAX buckets; a new id takes the place of the one that will be full soonest, together with
 * what that one still lacks. So to come under ever new ids gains nothing: whatever the ids, within t
 * seconds a table gives out at most RATE_ENTRIES_MAX x (burst + t x per_second) tokens.
 *
 * Any thread. NULL is never valid. */
#ifndef FLEX_NODE_RATE_H
#define FLEX_NODE_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RATE_WAYS = 8, /* buckets among which an id has its place */
    RATE_SETS = 512,
    RATE_ENTRIES_MAX = RATE_WAYS * RATE_SETS,
    RATE_RETRY_SECONDS_MAX = 3600
};

struct rate_table;
/* `per_second` 0: everything is given. Both at most 10^6; `burst` at least 1. NULL if memory ran out. */
struct rate_table *rate_table_create(uint32_t per_second, uint32_t burst);
void rate_table_destroy(struct rate_table *table);
/* Takes one token of the id (`size` bytes); false, and nothing is taken, if there is none: then there is
 * one in *retry_seconds (1 to RATE_RETRY_SECONDS_MAX). `now_us`: a clock that never goes back. */
bool rate_table_take(struct rate_table *table, uint32_t *retry_seconds, const void *id, size_t size,
                     uint64_t now_us);

#endif
