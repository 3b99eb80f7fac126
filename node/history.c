/* Proofs in the history log (node/history.h).
 *
 * Invariants: a root in memory is of leaves that are final and so never changes; whatever is handed
 * out can be checked against the log root of a finalized header, so an error here is found, not
 * believed; each call does a bounded amount of reading.
 *
 * Deliberately absent: tiles on disk. A year of a block a second is 8 MB of roots, and half a minute
 * of reading after a start, once somebody asks. */
#include "node/history.h"

#include <stdlib.h>

#include "base/fatal.h"

void node_history_open(struct node_history *history)
{
    *history = (struct node_history){.levels = {{NULL, 0, 0}}};
    MUST(pthread_mutex_init(&history->lock, NULL) == 0);
}

void node_history_close(struct node_history *history)
{
    for (int i = 0; i < HISTORY_LEVELS; i++)
        free(history->levels[i].roots);
    MUST(pthread_mutex_destroy(&history->lock) == 0);
}

static bool push(struct history_level *level, const struct hash *root)
{
    if (level->count == level->capacity) {
        uint64_t capacity = level->capacity == 0 ? 64 : 2 * level->capacity;
        struct hash *grown = realloc(level->roots, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        level->roots = grown;
        level->capacity = capacity;
    }
    level->roots[level->count++] = *root;
    return true;
}

static bool read_leaves(const struct history_source *source, struct hash *out, uint64_t from,
                        uint64_t count)
{
    struct hash leaves[HISTORY_TILE];
    MUST(count <= HISTORY_TILE);
    for (uint64_t i = 0; i < count; i++)
        if (!source->leaf(source->context, &leaves[i], from + i))
            return false;
    merkle_root(out, leaves, count);
    return true;
}

static void join(struct hash *out, const struct hash *left, const struct hash *right)
{
    hash_pair(out, HASH_DOMAIN_MERKLE_NODE, hash_view(left), hash_view(right));
}

/* Every pair of subtrees that is complete makes one of the next level. */
static bool join_pairs(struct node_history *history)
{
    for (int k = 0; k + 1 < HISTORY_LEVELS; k++) {
        const struct history_level *level = &history->levels[k];
        struct history_level *above = &history->levels[k + 1];
        while (above->count < level->count / 2) {
            struct hash root;
            join(&root, &level->roots[2 * above->count], &level->roots[2 * above->count + 1]);
            if (!push(above, &root))
                return false;
        }
    }
    return true;
}

/* All complete tiles below `count` leaves. */
static enum history_result extend(struct node_history *history, const struct history_source *source,
                                  uint64_t count)
{
    struct history_level *tiles = &history->levels[0];
    for (int i = 0; tiles->count < count / HISTORY_TILE; i++) {
        struct hash root;
        if (i == HISTORY_TILES_PER_CALL)
            return HISTORY_BUSY;
        if (!read_leaves(source, &root, tiles->count * HISTORY_TILE, HISTORY_TILE))
            return HISTORY_ABSENT;
        if (!push(tiles, &root) || !join_pairs(history))
            return HISTORY_BUSY;
    }
    return join_pairs(history) ? HISTORY_OK : HISTORY_BUSY;
}

struct ranges {
    const struct node_history *history;
    const struct history_source *source;
};

/* A complete subtree that is in memory. */
static const struct hash *known_root(const struct node_history *history, uint64_t from,
                                     uint64_t count)
{
    if (count < HISTORY_TILE || (count & (count - 1)) != 0 || from % count != 0)
        return NULL;
    int k = __builtin_ctzll(count / HISTORY_TILE);
    uint64_t at = from / count;
    return k < HISTORY_LEVELS && at < history->levels[k].count ? &history->levels[k].roots[at]
                                                               : NULL;
}

/* merkle_range_fn. From the right edge inwards: what is left of it is complete and in memory, so the
 * loop runs once per level and reads one tile's leaves at most. */
static bool range_root(void *context, struct hash *out, uint64_t from, uint64_t count)
{
    const struct ranges *ranges = context;
    struct hash lefts[MERKLE_DEPTH_MAX];
    unsigned depth = 0;
    const struct hash *known;
    while ((known = known_root(ranges->history, from, count)) == NULL && count > HISTORY_TILE) {
        uint64_t left = (uint64_t)1 << (63 - __builtin_clzll(count - 1));
        const struct hash *root = known_root(ranges->history, from, left);
        if (root == NULL)
            return false;
        MUST(depth < MERKLE_DEPTH_MAX);
        lefts[depth++] = *root;
        from += left;
        count -= left;
    }
    if (known != NULL)
        *out = *known;
    else if (!read_leaves(ranges->source, out, from, count))
        return false;
    while (depth > 0)
        join(out, &lefts[--depth], out);
    return true;
}

enum history_result node_history_prove_block(struct node_history *history,
                                             const struct history_source *source,
                                             struct merkle_proof *out, uint64_t count,
                                             uint64_t index)
{
    struct ranges ranges = {history, source};
    MUST(pthread_mutex_lock(&history->lock) == 0);
    enum history_result result = extend(history, source, count);
    if (result == HISTORY_OK && !merkle_prove_ranges(out, range_root, &ranges, count, index))
        result = HISTORY_ABSENT;
    MUST(pthread_mutex_unlock(&history->lock) == 0);
    return result;
}

enum history_result node_history_prove_prefix(struct node_history *history,
                                              const struct history_source *source,
                                              struct merkle_proof *out, struct hash *old_root,
                                              uint64_t count, uint64_t old_count)
{
    struct ranges ranges = {history, source};
    MUST(old_count > 0);
    MUST(pthread_mutex_lock(&history->lock) == 0);
    enum history_result result = extend(history, source, count);
    if (result == HISTORY_OK &&
        (!merkle_prove_consistency_ranges(out, range_root, &ranges, count, old_count) ||
         !range_root(&ranges, old_root, 0, old_count)))
        result = HISTORY_ABSENT;
    MUST(pthread_mutex_unlock(&history->lock) == 0);
    return result;
}
