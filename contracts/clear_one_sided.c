/* One-sided clearing (market-rules 5; MFX II.B): one request, and the offers that serve it at the
 * lowest total cost, one interval at a time.
 *
 * In lexicographic order: more quantity up to the request, then less cost, then the
 * lexicographically greatest vector of accepted quantities in time order. Offers dearer than the
 * request are out.
 *
 * A divisible offer without a minimum may take anything from 0 to its quantity; any other one is
 * off, or on and between its least and its whole. Once every one of these is on or off, filling
 * the cheapest first (then the earliest) is the best in all three respects. So the search is over
 * on and off alone, and the same filling with all open questions relaxed ("anything from 0 to its
 * quantity") bounds what can still come: a branch is left if its relaxed vector is not better than
 * the best one found. Where the relaxed vector keeps every rule it is the branch's best, and at
 * most one open offer breaks one: the marginal one, on which the search branches.
 *
 * If every offer is whole, no total but multiples of their greatest common divisor can be reached,
 * and the request is cut to one at once.
 *
 * Invariants: the best vector keeps every rule at all times; each filling costs its number of
 * offers off the budget; the search ends with the proof or with the budget. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_internal.h"

enum offer_state { OFFER_FREE, OFFER_OPEN, OFFER_ON, OFFER_OFF };

struct offer {
    int64_t price;
    int64_t least; /* when on */
    int64_t most;
    uint32_t bid;
    uint8_t state;
};

struct clear_search {
    struct offer *offers; /* cheapest first, then earliest */
    uint32_t *by_time;    /* their places, earliest first */
    int64_t *quantity;    /* of the filling at hand */
    int64_t *best;
    uint32_t *stack; /* offers branched on, from the root */
    uint32_t count;
    uint32_t depth;
    int64_t request;
    int64_t total, best_total;
    int128 cost, best_cost;
};

struct clear_search *clear_search_create(const struct clear_problem *problem,
                                         struct clear_arena *arena)
{
    struct clear_search *search = clear_take(arena, 1, sizeof *search);
    search->offers = clear_take(arena, problem->bid_count, sizeof *search->offers);
    search->by_time = clear_take(arena, problem->bid_count, sizeof *search->by_time);
    search->quantity = clear_take(arena, problem->bid_count, sizeof *search->quantity);
    search->best = clear_take(arena, problem->bid_count, sizeof *search->best);
    search->stack = clear_take(arena, problem->bid_count, sizeof *search->stack);
    return search;
}

static bool offer_time_before(const void *context, uint32_t a, uint32_t b)
{
    const struct offer *offers = context;
    return offers[a].bid < offers[b].bid;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The request that the set has; NULL if it has none. */
static const struct clear_bid *load_offers(struct clear_search *search,
                                           const struct clear_index *index, uint32_t slot,
                                           const uint8_t *member)
{
    const struct clear_bid *bids = index->problem->bids;
    uint32_t buy = index->buy_start[slot];
    search->count = 0;
    search->depth = 0;
    if (buy == index->sell_start[slot] || !clear_is_member(member, bids[index->place[buy]].agent)) {
        return NULL;
    }
    const struct clear_bid *request = &bids[index->place[buy]];
    int64_t divisor = 0;
    bool all_whole = true;
    for (uint32_t at = index->sell_start[slot]; at < index->buy_start[slot + 1]; at++) {
        const struct clear_bid *bid = &bids[index->place[at]];
        int64_t least = clear_is_whole(bid) ? bid->quantity : bid->min_quantity;
        if (bid->price > request->price) {
            break;
        }
        if (!clear_is_member(member, bid->agent) || least > request->quantity) {
            continue;
        }
        search->by_time[search->count] = search->count;
        search->offers[search->count++] =
            (struct offer){bid->price, least, bid->quantity, index->place[at],
                           least > 1 ? OFFER_OPEN : OFFER_FREE};
        all_whole = all_whole && least == bid->quantity;
        divisor = common_divisor(divisor, bid->quantity);
    }
    search->request = request->quantity;
    if (all_whole && divisor > 0) {
        search->request -= request->quantity % divisor;
    }
    call_sort(search->by_time, search->count, offer_time_before, search->offers);
    return request;
}

/* Fills the request, cheapest first, with open offers relaxed. False if those that are on need more
 * than the request. *marginal is the open offer that breaks its rule, or `count`. */
static bool fill(struct clear_search *search, uint32_t *marginal)
{
    int64_t left = search->request;
    for (uint32_t i = 0; i < search->count; i++) {
        search->quantity[i] = 0;
        if (search->offers[i].state == OFFER_ON) {
            if (search->offers[i].least > left) {
                return false;
            }
            search->quantity[i] = search->offers[i].least;
            left -= search->offers[i].least;
        }
    }
    search->cost = 0;
    *marginal = search->count;
    for (uint32_t i = 0; i < search->count; i++) {
        const struct offer *offer = &search->offers[i];
        int64_t room = offer->state == OFFER_OFF ? 0 : offer->most - search->quantity[i];
        int64_t more = room < left ? room : left;
        search->quantity[i] += more;
        left -= more;
        search->cost += product_i128(offer->price, search->quantity[i]);
        if (offer->state == OFFER_OPEN && search->quantity[i] > 0 &&
            search->quantity[i] < offer->least) {
            MUST(*marginal == search->count);
            *marginal = i;
        }
    }
    search->total = search->request - left;
    return true;
}

/* Is the filling at hand better than the best one, in the order of market-rules 5? */
static bool fill_is_better(const struct clear_search *search)
{
    if (search->total != search->best_total) {
        return search->total > search->best_total;
    }
    if (search->cost != search->best_cost) {
        return search->cost < search->best_cost;
    }
    for (uint32_t i = 0; i < search->count; i++) {
        uint32_t at = search->by_time[i];
        if (search->quantity[at] != search->best[at]) {
            return search->quantity[at] > search->best[at];
        }
    }
    return false;
}

/* Turns the last branch from on to off, dropping those that have been both; false at the root. */
static bool step_back(struct clear_search *search)
{
    while (search->depth > 0) {
        struct offer *offer = &search->offers[search->stack[search->depth - 1]];
        if (offer->state == OFFER_ON) {
            offer->state = OFFER_OFF;
            return true;
        }
        offer->state = OFFER_OPEN;
        search->depth--;
    }
    return false;
}

/* Leaves the best vector in `best`; false if the budget ended first. */
static bool search_run(struct clear_search *search, uint64_t *steps)
{
    memset(search->best, 0, search->count * sizeof *search->best);
    search->best_total = 0;
    search->best_cost = 0;
    if (search->count == 0) {
        return true;
    }
    for (;;) {
        if (*steps < search->count) {
            return false;
        }
        *steps -= search->count;
        uint32_t marginal;
        bool better = fill(search, &marginal) && fill_is_better(search);
        if (better && marginal < search->count) {
            /* On first: a dive to a good vector makes the bounds bite. */
            search->offers[marginal].state = OFFER_ON;
            search->stack[search->depth++] = marginal;
            continue;
        }
        if (better) {
            memcpy(search->best, search->quantity, search->count * sizeof *search->best);
            search->best_total = search->total;
            search->best_cost = search->cost;
        }
        if (!step_back(search)) {
            return true;
        }
    }
}

/* Serves the request by the set's offers; its minimum, or that it is whole, holds for the total,
 * which is as large as it can be. */
static bool solve(struct clear_index *index, uint32_t slot, const uint8_t *member,
                  const struct clear_bid **request)
{
    struct clear_search *search = index->search;
    *request = load_offers(search, index, slot, member);
    bool proven = search_run(search, &index->search_steps);
    index->exhausted = index->exhausted || !proven;
    if (*request != NULL) {
        int64_t least = clear_is_whole(*request) ? (*request)->quantity : (*request)->min_quantity;
        if (search->best_total < least) {
            memset(search->best, 0, search->count * sizeof *search->best);
            search->best_total = 0;
            search->best_cost = 0;
        }
    }
    return proven;
}

void clear_one_sided_slot(struct clear_index *index, struct clear_result *out, uint32_t slot)
{
    struct clear_search *search = index->search;
    const struct clear_bid *request;
    bool proven = solve(index, slot, NULL, &request);
    if (request == NULL) {
        return;
    }
    out->accepted[request - index->problem->bids] = search->best_total;
    for (uint32_t i = 0; i < search->count; i++) {
        out->accepted[search->offers[i].bid] = search->best[i];
    }
    int64_t bound_total = search->best_total;
    int128 bound_cost = search->best_cost;
    if (!proven) {
        /* With every question open again, the filling bounds both: no offer is dearer than the
         * request, so more quantity never means less welfare. */
        uint32_t marginal;
        out->proven = false;
        for (uint32_t i = 0; i < search->count; i++) {
            if (search->offers[i].state != OFFER_FREE) {
                search->offers[i].state = OFFER_OPEN;
            }
        }
        bool filled = fill(search, &marginal);
        MUST(filled);
        bound_total = search->total;
        bound_cost = search->cost;
    }
    out->bound_quantity += bound_total;
    out->bound_welfare += product_i128(request->price, bound_total) - bound_cost;
}

int128 clear_one_sided_value(struct clear_index *index, uint32_t slot, const uint8_t *member)
{
    const struct clear_bid *request;
    (void)solve(index, slot, member, &request);
    if (request == NULL) {
        return 0;
    }
    return product_i128(request->price, index->search->best_total) - index->search->best_cost;
}
