/* What of a coupled solution binds (contracts/clear_coupled.h; docs/spec/coupled.md 17; D2.3 3.3: "only the
 * first trading period is binding, the remaining ones can be viewed as a forecast").
 *
 * Slots belong to auctions; that of number 0 binds. Links `xor` and `sum` are limits: whoever has used part of
 * one keeps the rest of it. Links `and`, `or`, `block` and `convert` are ties: of what is accepted under one,
 * nothing may be missing afterwards; so the auctions that they join bind together.
 *
 * Invariants:
 * 1. What binds keeps every rule by itself, and so does what is left.
 * 2. What binds has a welfare that is not negative, so that its own gains make its own losers whole.
 *
 * Deliberately absent: what then becomes of bids and links that are left (coupled_horizon.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

static uint32_t auction_of(const struct coupled_problem *problem, uint32_t bid)
{
    return problem->auction[problem->bids[bid].slot];
}

static uint32_t root_of(uint32_t *parent, uint32_t auction)
{
    while (parent[auction] != auction) {
        parent[auction] = parent[parent[auction]];
        auction = parent[auction];
    }
    return auction;
}

/* The lower number leads, so auction 0 leads whatever is tied to it. */
static void tie(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    parent[a < b ? b : a] = a < b ? a : b;
}

static bool ties(const struct coupled_link *link, const uint32_t *members, const int64_t *accepted)
{
    switch (link->type) {
    case COUPLED_AND:
    case COUPLED_BLOCK:
    case COUPLED_OR:
    case COUPLED_CONVERT:
        return accepted[members[0]] > 0;
    case COUPLED_XOR:
    case COUPLED_SUM:
        return false;
    }
    MUST(false);
    return false;
}

/* A conversion's two bids stay together also where it makes nothing: less than a unit. */
static void tie_link(uint32_t *parent, const struct coupled_problem *problem,
                     const struct coupled_link *link, const int64_t *accepted)
{
    const uint32_t *members = problem->members + link->first;
    if (!ties(link, members, accepted)) {
        return;
    }
    for (uint32_t i = 1; i < link->count; i++) {
        if (accepted[members[i]] > 0 || link->type == COUPLED_CONVERT) {
            tie(parent, auction_of(problem, members[0]), auction_of(problem, members[i]));
        }
    }
}

void coupled_bound_slots(bool *bound, const struct coupled_problem *problem,
                         const int64_t *accepted, struct clear_arena *arena)
{
    const size_t mark = arena->used;
    uint32_t auctions = 1;
    if (problem->auction == NULL) {
        memset(bound, true, problem->slot_count * sizeof *bound);
        return;
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        auctions = problem->auction[slot] >= auctions ? problem->auction[slot] + 1 : auctions;
    }
    MUST(auctions <= COUPLED_SLOTS_MAX);
    uint32_t *parent = clear_take(arena, auctions, sizeof *parent);
    for (uint32_t i = 0; i < auctions; i++) {
        parent[i] = i;
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        tie_link(parent, problem, &problem->links[i], accepted);
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        bound[slot] = root_of(parent, problem->auction[slot]) == 0;
    }
    arena->used = mark;
}

bool coupled_binding_is_worth(const struct coupled_problem *problem, const int64_t *accepted,
                              struct clear_arena *arena)
{
    if (problem->auction == NULL) {
        return true;
    }
    const size_t mark = arena->used;
    int128 welfare = 0;
    bool all = true; /* then the welfare says it, and sums that must be served may cost some */
    bool *bound = clear_take(arena, problem->slot_count, sizeof *bound);
    coupled_bound_slots(bound, problem, accepted, arena);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        all = all && bound[slot];
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        int128 worth = bound[bid->slot] ? product_i128(bid->price, accepted[i]) : 0;
        welfare += bid->buy ? worth : -worth;
    }
    arena->used = mark;
    return all || welfare >= 0;
}

void coupled_draft_clear(struct coupled_draft *draft, const struct coupled_problem *problem,
                         const bool *bound, bool where)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (bound[problem->bids[i].slot] == where) {
            draft->accepted[i] = 0;
        }
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        if (bound[slot] == where) {
            memset(draft->flow + (size_t)slot * problem->line_count, 0,
                   problem->line_count * sizeof draft->flow[0]);
        }
    }
}
