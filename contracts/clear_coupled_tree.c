/* All trades of one slot at once on the parts of a network that are trees (docs/spec/coupled.md 6):
 * what the engine of the floor finds trade by trade, in bids x log(bids) steps.
 *
 * From the leaves to a root, each place has a curve of what it can send towards the root at which
 * price: one segment for every movable bid, the cheapest first; what a sell may give and what a buy
 * may give up are the same thing. A line takes from both ends of the curve what it can't carry: the
 * cheapest segments are then surely used, the dearest surely not. Curves that meet are joined by
 * joining heaps. At the root the cheapest segments are used up to where nothing is left over. No
 * trade between bids that may move gains after that: every segment was decided at a line that
 * is full, with all that lies behind it in the order of prices, or at the root.
 *
 * Invariants: 1. what goes in keeps balance and capacities, so at each place nothing at all lies
 * between the ends of its curve, and the ends can be cut. 2. The result depends on low and high
 * alone, not on the quantities before. 3. Each segment leaves each heap once.
 *
 * Deliberately absent: meshes, places in rows, bids in sums: the engine's searches do those. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_floor.h"

/* What is counted for a bid or a place: some visits of two heaps. */
enum { TREE_STEPS_EACH = 8 };

struct coupled_trees {
    uint32_t *order; /* places of trees, each after its neighbour towards the root */
    uint32_t count;
    uint32_t *up;       /* per place: the arc from it towards the root; COUPLED_NONE at roots */
    uint32_t *root;     /* per place: the root of its tree; the number of places if it is in none */
    uint32_t *low_top;  /* per place: heap of segments, cheapest first */
    uint32_t *high_top; /* the same segments, dearest first */
    int64_t *least;     /* per place: the ends of its curve */
    int64_t *most;
    bool *
        open; /* per root: left to searches, as a bid in a sum may move. The last: what is no tree */
    uint32_t *child[2]; /* per bid, of both heaps */
    uint32_t *sibling[2];
    int64_t *used; /* per bid: of its segment, from the cheap end */
    int64_t *left; /* of its segment, not decided */
};

struct coupled_trees *coupled_trees_take(const struct coupled_plan *plan, struct clear_arena *arena)
{
    struct coupled_trees *trees = clear_take(arena, 1, sizeof *trees);
    size_t bids = plan->problem->bid_count, places = plan->problem->place_count;
    trees->order = clear_take(arena, places, sizeof *trees->order);
    trees->up = clear_take(arena, places, sizeof *trees->up);
    trees->root = clear_take(arena, places, sizeof *trees->root);
    trees->low_top = clear_take(arena, places, sizeof *trees->low_top);
    trees->high_top = clear_take(arena, places, sizeof *trees->high_top);
    trees->least = clear_take(arena, places, sizeof *trees->least);
    trees->most = clear_take(arena, places, sizeof *trees->most);
    trees->open = clear_take(arena, places + 1, sizeof *trees->open);
    for (int side = 0; side < 2; side++) {
        trees->child[side] = clear_take(arena, bids, sizeof *trees->child[side]);
        trees->sibling[side] = clear_take(arena, bids, sizeof *trees->sibling[side]);
    }
    trees->used = clear_take(arena, bids, sizeof *trees->used);
    trees->left = clear_take(arena, bids, sizeof *trees->left);
    return trees;
}

static uint32_t other_end(const struct coupled_problem *problem, uint32_t arc)
{
    return arc % 2 == 0 ? problem->lines[arc / 2].to : problem->lines[arc / 2].from;
}

/* Lists the part of the network around `root`. False if it is no tree or rows stand in it. Lines
 * without capacity, such as open switches of a ring, are no lines here. */
static bool list_tree(struct coupled_trees *trees, const struct coupled_plan *plan, uint32_t root)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t first = trees->count;
    bool plain = true;
    trees->order[trees->count++] = root;
    trees->root[root] = root;
    trees->up[root] = COUPLED_NONE;
    for (uint32_t at = first; at < trees->count; at++) {
        uint32_t here = trees->order[at];
        plain = plain && plan->row_coef.start[here] == plan->row_coef.start[here + 1];
        for (uint32_t i = plan->arcs.start[here]; i < plan->arcs.start[here + 1]; i++) {
            uint32_t arc = plan->arcs.list[i];
            uint32_t other = other_end(problem, arc);
            bool upward = trees->up[here] != COUPLED_NONE && arc / 2 == trees->up[here] / 2;
            if (problem->lines[arc / 2].capacity == 0 || upward) {
                continue;
            }
            if (trees->root[other] != COUPLED_NONE) {
                plain = false;
                continue;
            }
            trees->root[other] = root;
            trees->up[other] = arc ^ 1;
            trees->order[trees->count++] = other;
        }
    }
    return plain;
}

void coupled_trees_find(struct coupled_trees *trees, const struct coupled_plan *plan)
{
    uint32_t places = plan->problem->place_count;
    trees->count = 0;
    memset(trees->root, 0xFF, places * sizeof *trees->root);
    for (uint32_t place = 0; place < places; place++) {
        uint32_t first = trees->count;
        if (trees->root[place] == COUPLED_NONE && !list_tree(trees, plan, place)) {
            for (uint32_t at = first; at < trees->count; at++) {
                trees->root[trees->order[at]] = places;
            }
            trees->count = first;
        }
    }
}

bool coupled_trees_done(const struct coupled_trees *trees, uint32_t place)
{
    return !trees->open[trees->root[place]];
}

/* Cheapest first; of equals sells before buys, so that as much as can is traded; sells by time, and
 * buys against it, since what is used of a buy is what it gives up. */
static bool cheaper(const struct coupled_bid *bids, uint32_t a, uint32_t b)
{
    if (bids[a].price != bids[b].price) {
        return bids[a].price < bids[b].price;
    }
    if (bids[a].buy != bids[b].buy) {
        return bids[b].buy;
    }
    return bids[a].buy == (a > b);
}

/* Pairing heaps: the loser becomes the first child of the winner. */
static uint32_t join_heaps(struct coupled_trees *trees, const struct coupled_bid *bids, int side,
                           uint32_t a, uint32_t b)
{
    if (a == COUPLED_NONE || b == COUPLED_NONE) {
        return a == COUPLED_NONE ? b : a;
    }
    if (cheaper(bids, a, b) == (side == 1)) {
        uint32_t other = a;
        a = b;
        b = other;
    }
    trees->sibling[side][b] = trees->child[side][a];
    trees->child[side][a] = b;
    return a;
}

/* Children in pairs from the first on, then the pairs from the last back to the first. */
static uint32_t drop_top(struct coupled_trees *trees, const struct coupled_bid *bids, int side,
                         uint32_t top)
{
    uint32_t *sibling = trees->sibling[side];
    uint32_t pairs = COUPLED_NONE, heap = COUPLED_NONE;
    for (uint32_t at = trees->child[side][top]; at != COUPLED_NONE;) {
        uint32_t second = sibling[at];
        uint32_t next = second == COUPLED_NONE ? COUPLED_NONE : sibling[second];
        uint32_t joined = join_heaps(trees, bids, side, at, second);
        sibling[joined] = pairs;
        pairs = joined;
        at = next;
    }
    while (pairs != COUPLED_NONE) {
        uint32_t next = sibling[pairs];
        heap = join_heaps(trees, bids, side, heap, pairs);
        pairs = next;
    }
    return heap;
}

/* Decides `amount` of a place's curve at its cheap end (side 0: it is used) or its dear end. */
static void cut_curve(struct coupled_trees *trees, const struct coupled_bid *bids, int side,
                      uint32_t place, int64_t amount)
{
    uint32_t *top = side == 0 ? &trees->low_top[place] : &trees->high_top[place];
    while (amount > 0) {
        MUST(*top != COUPLED_NONE);
        int64_t part = trees->left[*top] < amount ? trees->left[*top] : amount;
        trees->used[*top] += side == 0 ? part : 0;
        trees->left[*top] -= part;
        amount -= part;
        if (trees->left[*top] == 0) {
            *top = drop_top(trees, bids, side, *top);
        }
    }
}

static bool in_sum(const struct coupled_plan *plan, uint32_t bid)
{
    for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
        if (plan->problem->links[plan->links.list[at]].type == COUPLED_SUM) {
            return true;
        }
    }
    return false;
}

/* The curve of the bids of one place. */
static void start_curve(struct coupled_engine *engine, uint32_t slot, uint32_t place)
{
    struct coupled_trees *trees = engine->trees;
    const struct coupled_plan *plan = engine->plan;
    const struct coupled_bid *bids = plan->problem->bids;
    size_t cell = (size_t)slot * plan->problem->place_count + place;
    trees->low_top[place] = trees->high_top[place] = COUPLED_NONE;
    trees->least[place] = trees->most[place] = 0;
    for (uint32_t at = plan->cell_start[cell]; at < plan->cell_start[cell + 1]; at++) {
        uint32_t bid = plan->rising[at];
        bool moves = engine->low[bid] < engine->high[bid];
        bool tied = moves && in_sum(plan, bid);
        int64_t low = tied ? engine->accepted[bid] : engine->low[bid];
        int64_t high = tied ? engine->accepted[bid] : engine->high[bid];
        trees->open[trees->root[place]] = trees->open[trees->root[place]] || tied;
        trees->least[place] += bids[bid].buy ? -high : low;
        trees->most[place] += bids[bid].buy ? -low : high;
        trees->used[bid] = 0;
        trees->left[bid] = high - low;
        for (int side = 0; side < 2 && low < high; side++) {
            uint32_t *top = side == 0 ? &trees->low_top[place] : &trees->high_top[place];
            trees->child[side][bid] = trees->sibling[side][bid] = COUPLED_NONE;
            *top = join_heaps(trees, bids, side, *top, bid);
        }
    }
}

/* What the line towards the root can't carry is decided; the rest joins the curve of its other end. */
static void send_up(struct coupled_trees *trees, const struct coupled_problem *problem,
                    uint32_t place)
{
    const struct coupled_line *line = &problem->lines[trees->up[place] / 2];
    uint32_t parent = other_end(problem, trees->up[place]);
    if (trees->least[place] < -line->capacity) {
        cut_curve(trees, problem->bids, 0, place, -line->capacity - trees->least[place]);
        trees->least[place] = -line->capacity;
    }
    if (trees->most[place] > line->capacity) {
        cut_curve(trees, problem->bids, 1, place, trees->most[place] - line->capacity);
        trees->most[place] = line->capacity;
    }
    trees->least[parent] += trees->least[place];
    trees->most[parent] += trees->most[place];
    trees->low_top[parent] =
        join_heaps(trees, problem->bids, 0, trees->low_top[parent], trees->low_top[place]);
    trees->high_top[parent] =
        join_heaps(trees, problem->bids, 1, trees->high_top[parent], trees->high_top[place]);
}

/* Quantities from the segments, flows from the quantities. True if a quantity changed. */
static bool take_over(struct coupled_engine *engine, uint32_t slot)
{
    struct coupled_trees *trees = engine->trees;
    const struct coupled_plan *plan = engine->plan;
    const struct coupled_problem *problem = plan->problem;
    int64_t *net = trees->least; /* of no use as ends any more */
    bool moved = false;
    for (uint32_t i = 0; i < trees->count; i++) {
        uint32_t place = trees->order[i];
        size_t cell = (size_t)slot * problem->place_count + place;
        net[place] = 0;
        for (uint32_t at = plan->cell_start[cell]; at < plan->cell_start[cell + 1]; at++) {
            uint32_t bid = plan->rising[at];
            int64_t now = engine->accepted[bid];
            if (engine->low[bid] < engine->high[bid] && !in_sum(plan, bid)) {
                now = problem->bids[bid].buy ? engine->high[bid] - trees->used[bid]
                                             : engine->low[bid] + trees->used[bid];
            }
            moved = moved || now != engine->accepted[bid];
            engine->accepted[bid] = now;
            net[place] += problem->bids[bid].buy ? -now : now;
        }
        engine->rising_at[cell] = engine->falling_at[cell] = plan->cell_start[cell];
    }
    for (uint32_t i = trees->count; i-- > 0;) {
        uint32_t place = trees->order[i], up = trees->up[place];
        if (up == COUPLED_NONE) {
            MUST(net[place] == 0);
            continue;
        }
        engine->flow[(size_t)slot * problem->line_count + up / 2] =
            up % 2 == 0 ? net[place] : -net[place];
        net[other_end(problem, up)] += net[place];
    }
    return moved;
}

bool coupled_trees_trade(struct coupled_engine *engine, uint32_t slot)
{
    struct coupled_trees *trees = engine->trees;
    const struct coupled_problem *problem = engine->plan->problem;
    size_t cell = (size_t)slot * problem->place_count;
    uint64_t cost = trees->count + (uint64_t)engine->plan->cell_start[cell + problem->place_count] -
                    engine->plan->cell_start[cell];
    bool enough = engine->steps >= TREE_STEPS_EACH * cost;
    memset(trees->open, enough ? 0 : 1, (problem->place_count + 1) * sizeof *trees->open);
    trees->open[problem->place_count] = true;
    if (!enough) { /* what steps are left goes to single trades */
        return false;
    }
    engine->steps -= TREE_STEPS_EACH * cost;
    for (uint32_t i = 0; i < trees->count; i++) {
        start_curve(engine, slot, trees->order[i]);
    }
    for (uint32_t i = trees->count; i-- > 0;) {
        uint32_t place = trees->order[i];
        if (trees->up[place] != COUPLED_NONE) {
            send_up(trees, problem, place);
        } else {
            cut_curve(trees, problem->bids, 0, place, -trees->least[place]);
        }
    }
    return take_over(engine, slot);
}
