/* The capacity market (market-rules 8; MFX II.A): requests for network capacity over a tree of
 * constraints, import (buy) and export (sell) each with all of it.
 *
 * Requests are walked in the order of the rule: premium by price, social equity by time or by
 * quantity asked. Each gets what every constraint on its path to the root still has; an indivisible
 * one that doesn't fit is skipped, a divisible one gets the rest if that is at least its minimum.
 *
 * Price of a constraint (premium): the highest price among the requests that it refused or cut that
 * is not above the lowest price that it accepted; 0 if there is none. A request is refused or cut
 * by the first constraint, from leaf to root, without room: without what the request needs at
 * least, or, after a cut, without anything left.
 *
 * Invariants: along every path, and in each direction, what is granted below a constraint is within
 * its capacity; no payer's price is over its bid, since each constraint's price is at most the
 * lowest one that it accepted.
 *
 * Deliberately absent: money (clear_pay.c), coupled zones (market-rules 7). */
#include "base/fatal.h"
#include "contracts/clear_internal.h"

struct direction {
    const struct clear_problem *problem;
    struct clear_result *out;
    const uint32_t *place; /* requests in the order of the rule */
    uint32_t count;
    int64_t *left;    /* per node */
    int64_t *lowest;  /* per node: lowest accepted price; -1: nothing accepted */
    int32_t *limiter; /* per request: who refused or cut it */
};

static int32_t first_below(const struct direction *direction, int32_t node, int64_t need)
{
    const struct clear_node *nodes = direction->problem->nodes;
    while (node != CLEAR_NODE_NONE && direction->left[node] >= need) {
        node = nodes[node].parent;
    }
    return node;
}

static int64_t path_rest(const struct direction *direction, int32_t node, int64_t most)
{
    for (; node != CLEAR_NODE_NONE; node = direction->problem->nodes[node].parent) {
        most = direction->left[node] < most ? direction->left[node] : most;
    }
    return most;
}

static void grant(struct direction *direction, uint32_t at)
{
    const struct clear_bid *bid = &direction->problem->bids[direction->place[at]];
    int64_t least = clear_is_whole(bid) ? bid->quantity : bid->min_quantity;
    int64_t need = least > 0 ? least : 1;
    int64_t got = path_rest(direction, bid->node, bid->quantity);
    direction->limiter[at] = CLEAR_NODE_NONE;
    if (got < need) {
        direction->limiter[at] = first_below(direction, bid->node, need);
        return;
    }
    for (int32_t node = bid->node; node != CLEAR_NODE_NONE;
         node = direction->problem->nodes[node].parent) {
        direction->left[node] -= got;
        MUST(direction->left[node] >= 0);
        if (direction->lowest[node] < 0 || bid->price < direction->lowest[node]) {
            direction->lowest[node] = bid->price;
        }
    }
    if (got < bid->quantity) {
        direction->limiter[at] = first_below(direction, bid->node, 1);
    }
    direction->out->accepted[direction->place[at]] = got;
}

static void set_prices(const struct direction *direction, int64_t *price)
{
    for (uint32_t at = 0; at < direction->count; at++) {
        int32_t node = direction->limiter[at];
        int64_t offered = direction->problem->bids[direction->place[at]].price;
        if (node != CLEAR_NODE_NONE && offered <= direction->lowest[node] &&
            offered > price[node]) {
            price[node] = offered;
        }
    }
}

void clear_capacity(const struct clear_index *index, struct clear_result *out,
                    struct clear_arena *arena)
{
    const struct clear_problem *problem = index->problem;
    size_t nodes = problem->node_count;
    bool premium = problem->rule == CLEAR_PREMIUM;
    if (premium) {
        out->constraint_price =
            clear_take(arena, 2 * nodes * problem->slot_count, sizeof *out->constraint_price);
    }
    struct direction direction = {.problem = problem, .out = out};
    direction.left = clear_take(arena, nodes, sizeof *direction.left);
    direction.lowest = clear_take(arena, nodes, sizeof *direction.lowest);
    direction.limiter = clear_take(arena, problem->bid_count, sizeof *direction.limiter);
    out->limiter = clear_take(arena, problem->bid_count, sizeof *out->limiter);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        out->limiter[i] = CLEAR_NODE_NONE;
    }
    for (uint32_t half = 0; half < 2 * problem->slot_count; half++) {
        uint32_t slot = half / 2;
        uint32_t from = half % 2 == 0 ? index->buy_start[slot] : index->sell_start[slot];
        uint32_t until = half % 2 == 0 ? index->sell_start[slot] : index->buy_start[slot + 1];
        direction.place = index->place + from;
        direction.count = until - from;
        for (size_t node = 0; node < nodes && until > from; node++) {
            direction.left[node] = problem->nodes[node].capacity;
            direction.lowest[node] = -1;
        }
        for (uint32_t at = 0; at < direction.count; at++) {
            grant(&direction, at);
            out->limiter[direction.place[at]] = direction.limiter[at];
        }
        if (premium) {
            set_prices(&direction, out->constraint_price + half * nodes);
        }
    }
}
