/* The relaxation by a network method (solver/relax.h).
 *
 * Rows and sums are priced by the multipliers that are given, minima and lumps are forgotten, and
 * a buyer's ordered steps are ironed: along the steps, what each adds is replaced by the slopes of
 * the least concave function over it, so that no step gains by coming before a better one and the
 * order takes care of itself. What is left are divisible bids on lines, which coupled_floor clears
 * to the optimum. Where all of a buyer's steps lie at one place, that optimum is the least bound
 * that prices can prove for them; where they don't, ironing depends on the differences between
 * places, so the caller asks again around what came out.
 *
 * Deliberately absent: links but sums. Their bids count as if they were free. */
#include "solver/relax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

/* Multipliers over at least this, since slopes of ironed steps are fractions. */
enum { RELAX_DEN_LEAST = 1000 };
#define RELAX_PRICE_MAX 0x1p61

/* A stretch of steps that ironing has joined. */
struct pool {
    double worth; /* sum of reduced surplus x quantity */
    double quantity;
    uint32_t first; /* in `along` */
};

struct relax {
    const struct coupled_problem *problem;
    const struct coupled_plan *plan;
    struct coupled_bid *bids; /* the problem's, as the relaxation has them */
    double *worth;            /* per bid: reduced surplus per unit */
    uint32_t *along;          /* bids of one buyer, as they may fill */
    struct pool *pools;
    struct clear_arena arena;
};

struct relax *relax_create(const struct coupled_problem *problem, const struct coupled_plan *plan)
{
    struct relax *relax = calloc(1, sizeof *relax);
    size_t bids = (size_t)problem->bid_count + 1;
    if (relax == NULL) {
        return NULL;
    }
    relax->problem = problem;
    relax->plan = plan;
    relax->bids = calloc(bids, sizeof *relax->bids);
    relax->worth = calloc(bids, sizeof *relax->worth);
    relax->along = calloc(bids, sizeof *relax->along);
    relax->pools = calloc(bids, sizeof *relax->pools);
    /* The plan of the relaxation, beside what reduced surplus takes. */
    relax->arena.size = coupled_arena_bytes(problem) + (plan->cells + bids + 8) * sizeof(int128);
    relax->arena.bytes = malloc(relax->arena.size);
    if (relax->bids == NULL || relax->worth == NULL || relax->along == NULL ||
        relax->pools == NULL || relax->arena.bytes == NULL) {
        relax_free(relax);
        return NULL;
    }
    return relax;
}

void relax_free(struct relax *relax)
{
    if (relax != NULL) {
        free(relax->bids);
        free(relax->worth);
        free(relax->along);
        free(relax->pools);
        free(relax->arena.bytes);
        free(relax);
    }
}

static bool fills_before(const void *context, uint32_t a, uint32_t b)
{
    const struct relax *relax = context;
    const struct coupled_bid *bids = relax->problem->bids;
    if (bids[a].order != bids[b].order) {
        return bids[a].order < bids[b].order;
    }
    if (relax->worth[a] > relax->worth[b] || relax->worth[a] < relax->worth[b]) {
        return relax->worth[a] > relax->worth[b];
    }
    return a < b;
}

static uint32_t list_steps(struct relax *relax, uint32_t sequence)
{
    uint32_t first = relax->plan->sequence_start[sequence];
    uint32_t count = relax->plan->sequence_start[sequence + 1] - first;
    memcpy(relax->along, relax->plan->sequence_bid + first, count * sizeof *relax->along);
    call_sort(relax->along, count, fills_before, relax);
    return count;
}

/* Neighbours whose slopes rise are joined until none does. */
static void iron(struct relax *relax, uint32_t sequence)
{
    uint32_t count = list_steps(relax, sequence), pools = 0;
    for (uint32_t i = 0; i < count; i++) {
        double quantity = (double)relax->problem->bids[relax->along[i]].quantity;
        struct pool pool = {relax->worth[relax->along[i]] * quantity, quantity, i};
        while (pools > 0 && relax->pools[pools - 1].worth * pool.quantity <
                                pool.worth * relax->pools[pools - 1].quantity) {
            pools--;
            pool.worth += relax->pools[pools].worth;
            pool.quantity += relax->pools[pools].quantity;
            pool.first = relax->pools[pools].first;
        }
        relax->pools[pools++] = pool;
    }
    for (uint32_t i = 0; i < pools; i++) {
        uint32_t end = i + 1 < pools ? relax->pools[i + 1].first : count;
        for (uint32_t at = relax->pools[i].first; at < end && relax->pools[i].quantity > 0; at++) {
            relax->worth[relax->along[at]] = relax->pools[i].worth / relax->pools[i].quantity;
        }
    }
}

/* The bids of the relaxation: with the price at which each is worth what it is, over `den`. */
static bool price_bids(struct relax *relax, const struct coupled_draft *draft, int64_t times)
{
    const struct coupled_problem *problem = relax->problem;
    struct coupled_solution around = coupled_draft_view(draft);
    size_t mark = relax->arena.used;
    int128 *price = clear_take(&relax->arena, relax->plan->cells, sizeof *price);
    int128 *reduced = clear_take(&relax->arena, problem->bid_count, sizeof *reduced);
    bool good = coupled_prices(price, relax->plan, &around) &&
                coupled_reduced(reduced, relax->plan, &around, price);
    for (uint32_t i = 0; i < problem->bid_count && good; i++) {
        relax->worth[i] = (double)reduced[i] * (double)times;
    }
    relax->arena.used = mark;
    for (uint32_t i = 0; i < relax->plan->sequence_count && good; i++) {
        iron(relax, i);
    }
    for (uint32_t i = 0; i < problem->bid_count && good; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        double at = (double)draft->node[coupled_cell(problem, bid)] * (double)times;
        double asks = floor((bid->buy ? at + relax->worth[i] : at - relax->worth[i]) + 0.5);
        good = fabs(asks) < RELAX_PRICE_MAX;
        relax->bids[i] = (struct coupled_bid){.quantity = bid->quantity,
                                              .price = good ? (int64_t)asks : 0,
                                              .agent = bid->agent,
                                              .slot = bid->slot,
                                              .place = bid->place,
                                              .buy = bid->buy};
    }
    return good;
}

/* What a buyer got at one place, filled in the order in which its steps may be. */
static void refill(struct relax *relax, int64_t *accepted, uint32_t sequence)
{
    const struct coupled_bid *bids = relax->problem->bids;
    uint32_t count = list_steps(relax, sequence);
    int64_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (bids[relax->along[i]].place != bids[relax->along[0]].place) {
            return;
        }
        left += accepted[relax->along[i]];
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t most = bids[relax->along[i]].quantity;
        accepted[relax->along[i]] = left < most ? left : most;
        left -= accepted[relax->along[i]];
    }
}

static bool scale(int64_t *table, size_t count, int64_t times)
{
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        good = checked_mul_i64(&table[i], table[i], times);
    }
    return good;
}

bool relax_solve(struct relax *relax, struct coupled_draft *out)
{
    struct coupled_problem looser = *relax->problem;
    struct coupled_fault fault;
    struct coupled_break broken;
    int64_t den = out->den;
    int64_t times = den < RELAX_DEN_LEAST ? (RELAX_DEN_LEAST + den - 1) / den : 1;
    relax->arena.used = 0;
    if (!price_bids(relax, out, times) ||
        !scale(out->row, (size_t)looser.slot_count * looser.row_count, times) ||
        !scale(out->sum, looser.link_count, times)) {
        return false;
    }
    looser.bids = relax->bids;
    looser.row_count = looser.coef_count = looser.link_count = looser.member_count = 0;
    const struct coupled_plan *plan = coupled_prepare(&looser, &fault, &relax->arena);
    if (plan == NULL) {
        return false;
    }
    memset(out->accepted, 0, looser.bid_count * sizeof *out->accepted);
    memset(out->flow, 0, (size_t)looser.slot_count * looser.line_count * sizeof *out->flow);
    if (!coupled_floor(out, &broken, plan, 0, &relax->arena)) {
        return false;
    }
    out->den = den * times;
    for (uint32_t i = 0; i < relax->plan->sequence_count; i++) {
        refill(relax, out->accepted, i);
    }
    return true;
}
