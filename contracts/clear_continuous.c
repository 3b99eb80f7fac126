/* The continuous book in sequential mode (market-rules 4; D5.5 2.2.4): each order, in time order,
 * trades against the best opposite orders of its interval while prices cross; what is left rests.
 *
 * Since all orders are known, every order's place in its side's priority is known too (the sorted
 * index), and the book is a set of places: a bitmap with summaries, in which the next resting order
 * from a place on is found in a few word operations, however many rest.
 *
 * What an order may take from a resting one: never from its own agent's; all of it or nothing if it
 * is indivisible; at least its minimum if it has had no fill. What doesn't fit is passed over, and
 * the walk goes on. An incoming order that needs all (all_or_none, indivisible) or a minimum first
 * walks without trading, to see how much the very same walk would give.
 *
 * Invariants: a place is in the set exactly while its order rests with something left; every trade
 * uses up one of its two orders or all of the incoming one, so there are at most as many trades as
 * orders. The walk is bounded by a budget of steps, since orders that all pass each other over
 * would make it quadratic.
 *
 * Deliberately absent: looking again at resting orders among themselves; cancelling. */
#include "base/fatal.h"
#include "contracts/clear_internal.h"

enum { SET_BITS = 64, SET_LEVELS = 4 };
_Static_assert((1ull << (6 * SET_LEVELS)) >= CLEAR_BIDS_MAX, "the set holds every bid");

struct place_set {
    uint64_t
        *word[SET_LEVELS]; /* level 0 holds the places, each further one which words have any */
    uint32_t words[SET_LEVELS];
};

struct book {
    const struct clear_index *index;
    struct clear_result *out;
    struct place_set resting;
    uint32_t *rank; /* per bid: its place in the index */
    int64_t *left;  /* per bid */
    uint64_t steps; /* what is left of the budget */
};

static void set_create(struct place_set *set, uint32_t count, struct clear_arena *arena)
{
    for (int level = 0; level < SET_LEVELS; level++) {
        count = count / SET_BITS + 1;
        set->words[level] = count;
        set->word[level] = clear_take(arena, count, sizeof(uint64_t));
    }
}

static void set_add(struct place_set *set, uint32_t place)
{
    for (int level = 0; level < SET_LEVELS; level++) {
        set->word[level][place / SET_BITS] |= 1ull << place % SET_BITS;
        place /= SET_BITS;
    }
}

static void set_remove(struct place_set *set, uint32_t place)
{
    for (int level = 0; level < SET_LEVELS; level++) {
        set->word[level][place / SET_BITS] &= ~(1ull << place % SET_BITS);
        if (set->word[level][place / SET_BITS] != 0) {
            return;
        }
        place /= SET_BITS;
    }
}

/* The first place in the set at or after `place`; UINT32_MAX if there is none. */
static uint32_t set_next(const struct place_set *set, uint32_t place)
{
    int level = 0;
    for (; level < SET_LEVELS; level++) {
        if (place / SET_BITS >= set->words[level]) {
            return UINT32_MAX;
        }
        uint64_t rest = set->word[level][place / SET_BITS] >> place % SET_BITS;
        if (rest != 0) {
            place += (uint32_t)__builtin_ctzll(rest);
            break;
        }
        place = place / SET_BITS + 1;
    }
    if (level == SET_LEVELS) {
        return UINT32_MAX;
    }
    while (level > 0) {
        level--;
        place = place * SET_BITS + (uint32_t)__builtin_ctzll(set->word[level][place]);
    }
    return place;
}

static int64_t trade_price(const struct book *book, const struct clear_bid *incoming,
                           const struct clear_bid *resting)
{
    const struct clear_bid *bid = incoming->buy ? incoming : resting;
    const struct clear_bid *ask = incoming->buy ? resting : incoming;
    switch (book->index->problem->trade_price) {
    case CLEAR_PRICE_RESTING:
        return resting->price;
    case CLEAR_PRICE_BID:
        return bid->price;
    case CLEAR_PRICE_ASK:
        return ask->price;
    case CLEAR_PRICE_MIDPOINT:
        return (int64_t)div_floor_i128((int128)bid->price + ask->price, 2);
    }
    MUST(false);
    return 0;
}

/* How much of `wanted` the resting order at hand can give; 0: it is passed over. */
static int64_t takes(const struct book *book, uint32_t resting, const struct clear_bid *incoming,
                     int64_t wanted)
{
    const struct clear_bid *order = &book->index->problem->bids[resting];
    int64_t left = book->left[resting];
    int64_t take = left < wanted ? left : wanted;
    if (order->agent == incoming->agent || (order->indivisible && take < left) ||
        (left == order->quantity && take < order->min_quantity)) {
        return 0;
    }
    return take;
}

static void trade(struct book *book, uint32_t incoming, uint32_t resting, int64_t take)
{
    const struct clear_bid *bids = book->index->problem->bids;
    struct clear_result *out = book->out;
    bool buys = bids[incoming].buy;
    MUST(out->trade_count < book->index->problem->bid_count && take > 0);
    out->trades[out->trade_count++] =
        (struct clear_trade){buys ? incoming : resting, buys ? resting : incoming, take,
                             trade_price(book, &bids[incoming], &bids[resting])};
    out->accepted[incoming] += take;
    out->accepted[resting] += take;
    book->left[resting] -= take;
    if (book->left[resting] == 0) {
        set_remove(&book->resting, book->rank[resting]);
    }
}

/* One walk along the opposite side; returns how much it gives, and trades it unless `dry`. */
static int64_t walk(struct book *book, uint32_t incoming, bool dry)
{
    const struct clear_index *index = book->index;
    const struct clear_bid *bids = index->problem->bids;
    const struct clear_bid *order = &bids[incoming];
    uint32_t at = order->buy ? index->sell_start[order->slot] : index->buy_start[order->slot];
    uint32_t end = order->buy ? index->buy_start[order->slot + 1] : index->sell_start[order->slot];
    int64_t wanted = order->quantity;
    while (wanted > 0 && book->steps > 0) {
        book->steps--;
        at = set_next(&book->resting, at);
        if (at >= end) {
            break;
        }
        uint32_t resting = index->place[at];
        if (order->buy ? bids[resting].price > order->price : bids[resting].price < order->price) {
            break;
        }
        int64_t take = takes(book, resting, order, wanted);
        if (take > 0 && !dry) {
            trade(book, incoming, resting, take);
        }
        wanted -= take;
        at++;
    }
    return order->quantity - wanted;
}

static void arrive(struct book *book, uint32_t incoming)
{
    const struct clear_bid *order = &book->index->problem->bids[incoming];
    int64_t least = clear_is_whole(order) ? order->quantity : order->min_quantity;
    int64_t done = 0;
    if (least == 0 || walk(book, incoming, true) >= least) {
        done = walk(book, incoming, false);
    }
    book->left[incoming] = order->quantity - done;
    if (order->kind == CLEAR_LIMIT && book->left[incoming] > 0) {
        set_add(&book->resting, book->rank[incoming]);
    } else {
        book->left[incoming] = 0;
    }
}

bool clear_continuous(const struct clear_index *index, struct clear_result *out,
                      struct clear_arena *arena)
{
    uint32_t count = index->problem->bid_count;
    uint32_t placed = index->buy_start[index->problem->slot_count];
    struct book book = {.index = index, .out = out, .steps = clear_scan_steps_max};
    set_create(&book.resting, placed, arena);
    book.rank = clear_take(arena, count, sizeof *book.rank);
    book.left = clear_take(arena, count, sizeof *book.left);
    out->trades = clear_take(arena, count, sizeof *out->trades);
    out->resting = book.left;
    for (uint32_t at = 0; at < placed; at++) {
        book.rank[index->place[at]] = at;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (index->problem->bids[i].quantity > 0) {
            arrive(&book, i);
        }
    }
    return book.steps > 0;
}
