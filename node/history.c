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
    *history = (struct node_history){.levels = {{0, NULL, 0, 0}}};
    MUST(pthread_mutex_init(&history->lock, NULL) == 0);
}

void node_history_set_floor(struct node_history *history, const struct merkle_frontier *floor)
{
    history->floor = *floor;
    for (int k = 0; k < HISTORY_LEVELS; k++) {
        MUST(history->levels[k].count == 0);
        history->levels[k].first = floor->count / HISTORY_TILE >> k;
    }
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

/* The floor's peak that is the complete subtree of these leaves, if it has one. */
static const struct hash *peak_of(const struct merkle_frontier *floor, uint64_t from,
                                  uint64_t count)
{
    const uint64_t larger = floor->count & ~(count | (count - 1));
    if ((count & (count - 1)) != 0 || (floor->count & count) == 0 || from != larger)
        return NULL;
    return &floor->peaks[__builtin_popcountll(larger)];
}

/* The log over the leaves from `from` to the floor, if that is the right end of the floor's peaks. */
static bool peaks_from(struct merkle_frontier *out, const struct merkle_frontier *floor,
                       uint64_t from)
{
    const uint64_t count = floor->count - from;
    unsigned before = (unsigned)__builtin_popcountll(from);
    merkle_frontier_init(out);
    /* `from` has the high digits of the floor's count, and what is above it the others. */
    if ((floor->count & from) != from || (from != 0 && count >= (from & -from)))
        return false;
    for (unsigned i = 0; i < (unsigned)__builtin_popcountll(count); i++)
        out->peaks[i] = floor->peaks[before + i];
    out->count = count;
    return true;
}

/* A subtree of up to a tile: the peaks in it, and the leaves behind them. */
static bool read_leaves(const struct node_history *history, const struct history_source *source,
                        struct hash *out, uint64_t from, uint64_t count)
{
    struct merkle_frontier log;
    struct hash leaf;
    MUST(count <= HISTORY_TILE);
    merkle_frontier_init(&log);
    if (from < history->floor.count &&
        (from + count < history->floor.count || !peaks_from(&log, &history->floor, from)))
        return false;
    while (log.count < count) {
        if (!source->leaf(source->context, &leaf, from + log.count))
            return false;
        merkle_frontier_append(&log, &leaf);
    }
    merkle_frontier_root(out, &log);
    return true;
}

static void join(struct hash *out, const struct hash *left, const struct hash *right)
{
    hash_pair(out, HASH_DOMAIN_MERKLE_NODE, hash_view(left), hash_view(right));
}

/* How many subtrees of a level there are, with those to the left of what is in memory. */
static uint64_t end_of(const struct history_level *level)
{
    return level->first + level->count;
}

/* A complete subtree that is in memory, or one of the floor's peaks. */
static const struct hash *known_root(const struct node_history *history, uint64_t from,
                                     uint64_t count)
{
    const struct hash *peak = peak_of(&history->floor, from, count);
    if (peak != NULL || count < HISTORY_TILE || (count & (count - 1)) != 0 || from % count != 0)
        return peak;
    int k = __builtin_ctzll(count / HISTORY_TILE);
    uint64_t at = from / count;
    if (k >= HISTORY_LEVELS || at < history->levels[k].first || at >= end_of(&history->levels[k]))
        return NULL;
    return &history->levels[k].roots[at - history->levels[k].first];
}

/* Every pair of subtrees that is complete makes one of the next level. The first one's left half may end
 * at the floor or below it: then it is a peak. */
static bool join_pairs(struct node_history *history)
{
    for (int k = 0; k + 1 < HISTORY_LEVELS; k++) {
        const uint64_t size = (uint64_t)HISTORY_TILE << k;
        struct history_level *above = &history->levels[k + 1];
        while (end_of(above) < end_of(&history->levels[k]) / 2) {
            const uint64_t from = end_of(above) * 2 * size;
            const struct hash *left = known_root(history, from, size);
            const struct hash *right = known_root(history, from + size, size);
            struct hash root;
            MUST(left != NULL && right != NULL);
            join(&root, left, right);
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
    for (int i = 0; end_of(tiles) < count / HISTORY_TILE; i++) {
        struct hash root;
        if (i == HISTORY_TILES_PER_CALL)
            return HISTORY_BUSY;
        if (!read_leaves(history, source, &root, end_of(tiles) * HISTORY_TILE, HISTORY_TILE))
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
    else if (!read_leaves(ranges->history, ranges->source, out, from, count))
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
    if (index < history->floor.count)
        return HISTORY_BELOW;
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
    if (old_count < history->floor.count)
        return HISTORY_BELOW;
    MUST(pthread_mutex_lock(&history->lock) == 0);
    enum history_result result = extend(history, source, count);
    if (result == HISTORY_OK &&
        (!merkle_prove_consistency_ranges(out, range_root, &ranges, count, old_count) ||
         !range_root(&ranges, old_root, 0, old_count)))
        result = HISTORY_ABSENT;
    MUST(pthread_mutex_unlock(&history->lock) == 0);
    return result;
}
