/* Clearing: what all mechanisms share (contracts/clear.h).
 *
 * A run checks, sorts the bids once (by interval, side, priority), and clears each interval alone:
 * "sum over hours" (market-rules 5). The sorted index also answers what any set of agents could
 * reach alone, which is all that the payments of clear_pay.c ask.
 *
 * Invariants: accepted is within 0 and quantity; outside a capacity market an interval's accepted
 * sells equal its accepted buys.
 *
 * Deliberately absent: state, owners, money, text, links between intervals (market-rules 7). */
#include "contracts/clear.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_internal.h"

enum { CLEAR_ALIGN = 16, CLEAR_GAME_AGENTS_EXACT = 20 };

void *clear_take(struct clear_arena *arena, size_t count, size_t size)
{
    size_t need = (count * size + CLEAR_ALIGN - 1) / CLEAR_ALIGN * CLEAR_ALIGN;
    MUST(need <= arena->size - arena->used);
    void *out = arena->bytes + arena->used;
    arena->used += need;
    memset(out, 0, need);
    return out;
}

size_t clear_arena_bytes(const struct clear_problem *problem)
{
    /* Per bid: the index, call orders with their outputs, the search's or the book's tables, a
     * trade; per agent: payments and marks; per slot and node: prices and what is left. Each sum is
     * rounded up generously; memory that isn't touched costs nothing. */
    size_t slots = (size_t)problem->slot_count + 1;
    size_t node_slots = (size_t)problem->node_count * problem->slot_count;
    if (node_slots > CLEAR_NODE_SLOTS_MAX) {
        node_slots = 0; /* clear_check refuses, and needs no more than the rest */
    }
    size_t bytes = 512 * ((size_t)problem->bid_count + 16) +
                   256 * ((size_t)problem->agent_count + 1) + 128 * slots +
                   64 * ((size_t)problem->node_count + 1) + 2 * node_slots * sizeof(int64_t) +
                   65536;
    if (problem->agent_count <= CLEAR_GAME_AGENTS_EXACT) {
        bytes += 2 * ((size_t)1 << problem->agent_count) * sizeof(int128);
    }
    return bytes;
}

static bool fault_set(struct clear_fault *fault, uint32_t bid, const char *field, const char *what)
{
    *fault = (struct clear_fault){bid, field, what};
    return false;
}

static bool check_bid(const struct clear_problem *problem, uint32_t at, struct clear_fault *fault)
{
    const struct clear_bid *bid = &problem->bids[at];
    bool plain =
        problem->mechanism == CLEAR_MERIT_ORDER || problem->mechanism == CLEAR_ORDERED_DEMAND;
    MUST(bid->agent < problem->agent_count && bid->slot < problem->slot_count);
    MUST(bid->node == CLEAR_NODE_NONE || (uint32_t)bid->node < problem->node_count);
    if (bid->quantity < 0) {
        return fault_set(fault, at, "quantity", "must not be negative");
    }
    if (bid->min_quantity < 0) {
        return fault_set(fault, at, "min_quantity", "must not be negative");
    }
    if (bid->min_quantity > bid->quantity) {
        return fault_set(fault, at, "min_quantity", "is over the quantity");
    }
    if (plain && bid->indivisible) {
        return fault_set(fault, at, "indivisible", "this mechanism takes divisible bids only");
    }
    if (plain && bid->min_quantity != 0) {
        return fault_set(fault, at, "min_quantity", "this mechanism takes no minimum");
    }
    if (plain && bid->kind != CLEAR_LIMIT) {
        return fault_set(fault, at, "kind", "this mechanism takes limit bids only");
    }
    if (problem->mechanism == CLEAR_CAPACITY && bid->price < 0) {
        return fault_set(fault, at, "price", "must not be negative in a capacity market");
    }
    return true;
}

/* Sums that later code relies on: quantities in int64, values far under int128. */
static bool check_sums(const struct clear_problem *problem, struct clear_fault *fault)
{
    int64_t quantity = 0;
    int128 value = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        int128 worth = product_i128(bid->price, bid->quantity);
        if (!checked_add_i64(&quantity, quantity, bid->quantity)) {
            return fault_set(fault, i, "quantity", "the quantities up to here add up past 2^63-1");
        }
        if (!checked_add_i128(&value, value, worth < 0 ? -worth : worth) ||
            value >= CLEAR_VALUE_MAX) {
            return fault_set(fault, i, "price",
                             "price x quantity up to here adds up past 2^120 neur");
        }
    }
    return true;
}

static bool check_tree(const struct clear_problem *problem, struct clear_fault *fault)
{
    if ((uint64_t)problem->node_count * problem->slot_count > CLEAR_NODE_SLOTS_MAX) {
        return fault_set(fault, UINT32_MAX, "tree", "nodes times intervals are over 10000000");
    }
    for (uint32_t i = 0; i < problem->node_count; i++) {
        uint32_t depth = 0;
        if (problem->nodes[i].capacity < 0) {
            return fault_set(fault, UINT32_MAX, "tree", "a capacity must not be negative");
        }
        for (int32_t at = (int32_t)i; at != CLEAR_NODE_NONE; at = problem->nodes[at].parent) {
            MUST((uint32_t)at < problem->node_count);
            if (++depth > CLEAR_TREE_DEPTH_MAX) {
                return fault_set(fault, UINT32_MAX, "tree",
                                 "has a cycle or is deeper than 64 nodes");
            }
        }
    }
    return true;
}

/* One request per interval: what "the request" of market-rules 5 is. */
static bool check_one_request(const struct clear_problem *problem, struct clear_fault *fault,
                              struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint8_t *seen = clear_take(arena, problem->slot_count, sizeof *seen);
    arena->used = mark;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        if (bid->buy && seen[bid->slot]++ > 0) {
            return fault_set(fault, i, "side", "one_sided takes one request (buy) per interval");
        }
    }
    return true;
}

bool clear_check(const struct clear_problem *problem, struct clear_fault *fault,
                 struct clear_arena *arena)
{
    if (problem->bid_count > CLEAR_BIDS_MAX) {
        return fault_set(fault, UINT32_MAX, "bids", "more than 1000000 bids");
    }
    if (problem->node_count > CLEAR_NODES_MAX) {
        return fault_set(fault, UINT32_MAX, "tree", "more than 100000 nodes");
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (!check_bid(problem, i, fault)) {
            return false;
        }
    }
    if (!check_sums(problem, fault)) {
        return false;
    }
    switch (problem->mechanism) {
    case CLEAR_MERIT_ORDER:
    case CLEAR_CONTINUOUS:
        return true;
    case CLEAR_ORDERED_DEMAND:
        return clear_ordered_check(problem, fault, arena);
    case CLEAR_ONE_SIDED:
        return check_one_request(problem, fault, arena);
    case CLEAR_CAPACITY:
        return check_tree(problem, fault);
    }
    MUST(false);
    return false;
}

/* What of two bids on the same side goes first, time aside; 0 if only time decides. */
static int compare_priority(const struct clear_problem *problem, const struct clear_bid *x,
                            const struct clear_bid *y)
{
    int by_price = (x->price > y->price) - (x->price < y->price);
    if (problem->mechanism == CLEAR_CAPACITY) {
        switch (problem->rule) {
        case CLEAR_PREMIUM:
            return -by_price; /* both sides ask for capacity and pay for it */
        case CLEAR_FIRST_COME:
            return 0;
        case CLEAR_HIGHEST_DEMAND:
            return (x->quantity < y->quantity) - (x->quantity > y->quantity);
        }
    }
    if (problem->mechanism == CLEAR_ORDERED_DEMAND && x->buy && x->order != y->order) {
        return x->order < y->order ? -1 : 1;
    }
    return x->buy ? -by_price : by_price;
}

static bool index_before(const void *context, uint32_t a, uint32_t b)
{
    const struct clear_problem *problem = context;
    int priority = compare_priority(problem, &problem->bids[a], &problem->bids[b]);
    return priority != 0 ? priority < 0 : a < b;
}

void clear_index_build(struct clear_index *index, const struct clear_problem *problem,
                       struct clear_arena *arena)
{
    uint32_t slots = problem->slot_count;
    *index = (struct clear_index){.problem = problem, .search_steps = clear_search_steps_max};
    if (problem->search_steps != 0) {
        index->search_steps = problem->search_steps;
    }
    index->place = clear_take(arena, problem->bid_count, sizeof *index->place);
    index->buy_start = clear_take(arena, (size_t)slots + 1, sizeof *index->buy_start);
    index->sell_start = clear_take(arena, (size_t)slots + 1, sizeof *index->sell_start);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        if (bid->quantity > 0) {
            (bid->buy ? index->buy_start : index->sell_start)[bid->slot]++;
        }
    }
    uint32_t at = 0;
    for (uint32_t slot = 0; slot <= slots; slot++) {
        uint32_t buys = index->buy_start[slot];
        uint32_t sells = index->sell_start[slot];
        index->buy_start[slot] = at;
        index->sell_start[slot] = at + buys;
        at += buys + sells;
    }
    uint32_t *next_buy = clear_take(arena, (size_t)slots + 1, sizeof *next_buy);
    uint32_t *next_sell = clear_take(arena, (size_t)slots + 1, sizeof *next_sell);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        uint32_t slot = bid->slot;
        if (bid->quantity > 0 && bid->buy) {
            index->place[index->buy_start[slot] + next_buy[slot]++] = i;
        } else if (bid->quantity > 0) {
            index->place[index->sell_start[slot] + next_sell[slot]++] = i;
        }
    }
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint32_t buy = index->buy_start[slot];
        uint32_t sell = index->sell_start[slot];
        call_sort(index->place + buy, sell - buy, index_before, problem);
        call_sort(index->place + sell, index->buy_start[slot + 1] - sell, index_before, problem);
    }
}

int128 clear_slot_value(struct clear_index *index, uint32_t slot, const uint8_t *member)
{
    switch (index->problem->mechanism) {
    case CLEAR_MERIT_ORDER:
        return clear_merit_value(index, slot, member);
    case CLEAR_ORDERED_DEMAND:
        return clear_ordered_value(index, slot, member, NULL);
    case CLEAR_ONE_SIDED:
        return clear_one_sided_value(index, slot, member);
    case CLEAR_CONTINUOUS:
    case CLEAR_CAPACITY:
        break;
    }
    MUST(false);
    return 0;
}

/* Welfare and quantity of what was accepted, and that it is what every clearing promises. */
static void sum_up(struct clear_result *out, const struct clear_problem *problem)
{
    int128 bought = 0;
    int128 sold = 0;
    bool capacity = problem->mechanism == CLEAR_CAPACITY;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        int64_t accepted = out->accepted[i];
        MUST(accepted >= 0 && accepted <= bid->quantity);
        int128 worth = product_i128(bid->price, accepted);
        out->welfare += bid->buy || capacity ? worth : -worth;
        *(bid->buy ? &bought : &sold) += accepted;
    }
    MUST(capacity || bought == sold);
    out->quantity = capacity ? bought + sold : bought;
}

bool clear_run(struct clear_result *out, const struct clear_problem *problem,
               struct clear_arena *arena)
{
    struct clear_index index;
    clear_index_build(&index, problem, arena);
    *out = (struct clear_result){.proven = true};
    out->accepted = clear_take(arena, problem->bid_count, sizeof *out->accepted);
    bool good = true;
    switch (problem->mechanism) {
    case CLEAR_MERIT_ORDER:
        out->prices = clear_take(arena, problem->slot_count, sizeof *out->prices);
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            clear_merit_slot(&index, out, slot, arena);
        }
        break;
    case CLEAR_ORDERED_DEMAND:
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            clear_ordered_slot(&index, out, slot, arena);
        }
        break;
    case CLEAR_ONE_SIDED:
        index.search = clear_search_create(problem, arena);
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            clear_one_sided_slot(&index, out, slot);
        }
        break;
    case CLEAR_CONTINUOUS:
        good = clear_continuous(&index, out, arena);
        break;
    case CLEAR_CAPACITY:
        clear_capacity(&index, out, arena);
        break;
    }
    sum_up(out, problem);
    return good;
}
