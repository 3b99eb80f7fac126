/* The floor: a solution of a coupled auction that every node makes for itself, in integers
 * (contracts/clear_coupled.h; market-rules 7, "greedy"; docs/spec/coupled.md 6), and the same
 * engine as help for a solver: repair and polish.
 *
 * First trade bids that are free to move, then buyers' later steps open as earlier ones are full,
 * then bids that trade in lumps or stand in `xor` and `or` are tried one by one, the dearest buy
 * first and the cheapest sell first; last, accepted bids may give way to better ones. Prices are
 * the midpoints of what supports the result, as in a call auction.
 *
 * Deliberately absent: bids of `and`, `block` and `convert`, which only a solver brings in. */
#include "contracts/clear_coupled_floor.h"

#include <string.h>

#include "base/fatal.h"

enum {
    FLOOR_STEP_ROUNDS_MAX = 64, /* later steps of buyers that are opened one after the other */
    FLOOR_TRIAL_ROUNDS = 2,
    FLOOR_SWAP_ROUNDS_MAX = 8
};

/* What the rules of a bid let the engine do with it. */
enum mobility {
    MOBILITY_FREE, /* 0 to its quantity */
    MOBILITY_STEP, /* the same, once its step is open */
    MOBILITY_LUMP, /* on or off is a decision */
    MOBILITY_TIED  /* its quantity is tied to others */
};

static enum mobility mobility_of(const struct coupled_plan *plan, uint32_t bid)
{
    bool lump = coupled_least(&plan->problem->bids[bid]) > 1;
    bool step = plan->sequence_of[bid] != COUPLED_NONE;
    for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
        switch (plan->problem->links[plan->links.list[at]].type) {
        case COUPLED_AND:
        case COUPLED_BLOCK:
        case COUPLED_CONVERT:
            return MOBILITY_TIED;
        case COUPLED_OR:
        case COUPLED_XOR:
            lump = true;
            break;
        case COUPLED_SUM:
            break;
        }
    }
    if (step) {
        return lump ? MOBILITY_TIED : MOBILITY_STEP;
    }
    return lump ? MOBILITY_LUMP : MOBILITY_FREE;
}

void coupled_draft_take(struct coupled_draft *out, const struct coupled_problem *problem,
                        struct clear_arena *arena)
{
    size_t slots = problem->slot_count;
    out->den = 1;
    out->accepted = clear_take(arena, problem->bid_count, sizeof *out->accepted);
    out->flow = clear_take(arena, slots * problem->line_count, sizeof *out->flow);
    out->node = clear_take(arena, slots * problem->place_count, sizeof *out->node);
    out->row = clear_take(arena, slots * problem->row_count, sizeof *out->row);
    out->sum = clear_take(arena, problem->link_count, sizeof *out->sum);
}

struct coupled_solution coupled_draft_view(const struct coupled_draft *draft)
{
    return (struct coupled_solution){draft->accepted, draft->flow, draft->den,
                                     draft->node,     draft->row,  draft->sum};
}

/* Opens the steps of one buyer that its quantities allow: those before the first that is not full
 * stay full, that one moves, later ones rest. True if a step opened that could not move before. */
static bool open_steps(struct coupled_engine *engine, uint32_t sequence)
{
    const struct coupled_plan *plan = engine->plan;
    const struct coupled_bid *bids = plan->problem->bids;
    uint32_t first = plan->sequence_start[sequence], last = plan->sequence_start[sequence + 1];
    bool opened = false;
    for (uint32_t next; first < last; first = next) {
        bool full = true;
        for (next = first; next < last && bids[plan->sequence_bid[next]].order ==
                                              bids[plan->sequence_bid[first]].order;
             next++) {
            uint32_t bid = plan->sequence_bid[next];
            bool moves = mobility_of(plan, bid) == MOBILITY_STEP;
            full = full && engine->accepted[bid] == bids[bid].quantity;
            opened = opened || (moves && engine->high[bid] == 0 && bids[bid].quantity > 0);
            engine->low[bid] = moves ? 0 : engine->accepted[bid];
            engine->high[bid] = moves ? bids[bid].quantity : engine->accepted[bid];
        }
        if (!full || next == last) {
            break;
        }
        for (uint32_t at = first; at < next; at++) {
            engine->low[plan->sequence_bid[at]] = bids[plan->sequence_bid[at]].quantity;
        }
    }
    return opened;
}

/* low and high around quantities that keep all rules. */
static void set_room(struct coupled_engine *engine)
{
    const struct coupled_plan *plan = engine->plan;
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        const struct coupled_bid *bid = &plan->problem->bids[i];
        int64_t now = engine->accepted[i];
        engine->low[i] = engine->high[i] = now;
        switch (mobility_of(plan, i)) {
        case MOBILITY_FREE:
            engine->low[i] = 0;
            engine->high[i] = bid->quantity;
            break;
        case MOBILITY_LUMP:
            engine->low[i] = now > 0 ? coupled_least(bid) : 0;
            engine->high[i] = now > 0 ? bid->quantity : 0;
            break;
        case MOBILITY_STEP:
        case MOBILITY_TIED:
            break;
        }
    }
    for (uint32_t i = 0; i < plan->sequence_count; i++) {
        (void)open_steps(engine, i);
    }
}

static bool trade_all(struct coupled_engine *engine)
{
    bool moved = false;
    for (uint32_t slot = 0; slot < engine->plan->problem->slot_count; slot++) {
        moved = coupled_engine_trade(engine, slot) || moved;
    }
    return moved;
}

static void trade_steps(struct coupled_engine *engine)
{
    bool opened = true;
    for (int round = 0; round < FLOOR_STEP_ROUNDS_MAX && opened; round++) {
        opened = false;
        (void)trade_all(engine);
        for (uint32_t i = 0; i < engine->plan->sequence_count; i++) {
            opened = open_steps(engine, i) || opened;
        }
        coupled_engine_restart(engine, engine->reverse);
    }
}

static bool trial_before(const void *context, uint32_t a, uint32_t b)
{
    const struct coupled_bid *bids = ((const struct coupled_problem *)context)->bids;
    if (bids[a].buy != bids[b].buy) {
        return bids[a].buy;
    }
    if (bids[a].price != bids[b].price) {
        return bids[a].buy == (bids[a].price > bids[b].price);
    }
    return a < b;
}

/* Do `or` and `xor` let the bid go on, as things are? */
static bool links_allow(const struct coupled_engine *engine, uint32_t bid)
{
    const struct coupled_plan *plan = engine->plan;
    for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
        const struct coupled_link *link = &plan->problem->links[plan->links.list[at]];
        const uint32_t *members = plan->problem->members + link->first;
        bool others = false;
        for (uint32_t i = 0; i < link->count; i++) {
            others = others || (members[i] != bid && engine->accepted[members[i]] > 0);
        }
        if ((link->type == COUPLED_XOR && others) ||
            (link->type == COUPLED_OR && members[0] == bid && !others)) {
            return false;
        }
    }
    return true;
}

static void try_lumps(struct coupled_engine *engine, struct clear_arena *arena)
{
    const struct coupled_problem *problem = engine->plan->problem;
    size_t mark = arena->used;
    uint32_t *lumps = clear_take(arena, problem->bid_count, sizeof *lumps);
    uint32_t count = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (problem->bids[i].quantity > 0 && mobility_of(engine->plan, i) == MOBILITY_LUMP) {
            lumps[count++] = i;
        }
    }
    call_sort(lumps, count, trial_before, problem);
    for (int round = 0; round < FLOOR_TRIAL_ROUNDS; round++) {
        for (uint32_t i = 0; i < count; i++) {
            if (engine->accepted[lumps[i]] == 0 && links_allow(engine, lumps[i])) {
                (void)coupled_engine_switch_on(engine, lumps[i]);
            }
        }
    }
    arena->used = mark;
}

/* Lumps over several auctions may gain together what they lose in the first: then nothing binds. */
static void forgo_binding(struct coupled_draft *out, const struct coupled_problem *problem,
                          struct clear_arena *arena)
{
    const size_t mark = arena->used;
    if (!coupled_binding_is_worth(problem, out->accepted, arena)) {
        bool *bound = clear_take(arena, problem->slot_count, sizeof *bound);
        coupled_bound_slots(bound, problem, out->accepted, arena);
        coupled_draft_clear(out, problem, bound, true);
    }
    arena->used = mark;
}

bool coupled_floor(struct coupled_draft *out, struct coupled_break *broken,
                   const struct coupled_plan *plan, uint64_t steps, struct clear_arena *arena)
{
    struct coupled_engine engine;
    if (!coupled_rest_is_solution(plan, broken)) {
        return false;
    }
    size_t mark = arena->used;
    coupled_engine_create(&engine, plan, out, arena);
    engine.steps = steps == 0 ? coupled_floor_steps_max : steps;
    set_room(&engine);
    trade_steps(&engine);
    coupled_engine_restart(&engine, true);
    try_lumps(&engine, arena);
    bool plain = plan->problem->row_count == 0 && plan->problem->link_count == 0;
    for (uint32_t i = 0; i < plan->problem->bid_count && plain; i++) {
        plain = mobility_of(plan, i) == MOBILITY_FREE; /* then nothing can be bettered */
    }
    bool moved = !plain;
    for (int round = 0; round < FLOOR_SWAP_ROUNDS_MAX && moved; round++) {
        coupled_engine_restart(&engine, true);
        moved = trade_all(&engine);
    }
    coupled_floor_prices(out, plan, engine.low, engine.high, arena);
    arena->used = mark;
    forgo_binding(out, plan->problem, arena);
    return true;
}

void coupled_polish(struct coupled_draft *draft, const struct coupled_plan *plan,
                    struct clear_arena *arena)
{
    struct coupled_engine engine;
    size_t mark = arena->used;
    coupled_engine_create(&engine, plan, draft, arena);
    set_room(&engine);
    coupled_engine_restart(&engine, true);
    bool moved = true;
    for (int round = 0; round < FLOOR_SWAP_ROUNDS_MAX && moved; round++) {
        moved = trade_all(&engine);
        for (uint32_t i = 0; i < plan->sequence_count; i++) {
            moved = open_steps(&engine, i) || moved;
        }
        if (round == 0) {
            coupled_engine_restart(&engine, true);
            try_lumps(&engine, arena);
        }
        coupled_engine_restart(&engine, true);
    }
    arena->used = mark;
}

bool coupled_repair(struct coupled_draft *draft, const struct coupled_plan *plan,
                    struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    struct coupled_engine engine;
    size_t mark = arena->used;
    bool good = true;
    coupled_engine_create(&engine, plan, draft, arena);
    set_room(&engine);
    coupled_engine_restart(&engine, true);
    int128 *excess = clear_take(arena, plan->cells, sizeof *excess);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        excess[coupled_cell(problem, bid)] += bid->buy ? -draft->accepted[i] : draft->accepted[i];
    }
    for (uint32_t slot = 0; slot < problem->slot_count && good; slot++) {
        int128 *here = excess + (size_t)slot * problem->place_count;
        int64_t *flow = draft->flow + (size_t)slot * problem->line_count;
        for (uint32_t i = 0; i < problem->line_count; i++) {
            const struct coupled_line *line = &problem->lines[i];
            flow[i] = flow[i] > line->capacity ? line->capacity : flow[i];
            flow[i] = flow[i] < -line->capacity ? -line->capacity : flow[i];
            here[line->from] -= flow[i];
            here[line->to] += flow[i];
        }
        good = coupled_engine_balance(&engine, slot, here);
    }
    arena->used = mark;
    return good;
}

/* For every place, the least (or, with `falling`, the greatest) mark of the places that power can
 * come from (go to) along lines with room: prices may not fall (rise) on the way. */
struct spread {
    const struct coupled_plan *plan;
    const int64_t *flow; /* of the slot */
    int64_t *mark;
    const bool *marked;
    bool falling;
};

static bool mark_before(const void *context, uint32_t a, uint32_t b)
{
    const struct spread *spread = context;
    if (spread->mark[a] != spread->mark[b]) {
        return spread->falling ? spread->mark[a] > spread->mark[b]
                               : spread->mark[a] < spread->mark[b];
    }
    return a < b;
}

static void spread_marks(const struct spread *spread, bool *known, uint32_t *sorted,
                         uint32_t *queue)
{
    const struct coupled_problem *problem = spread->plan->problem;
    const struct coupled_lists *arcs = &spread->plan->arcs;
    uint32_t count = 0;
    for (uint32_t i = 0; i < problem->place_count; i++) {
        known[i] = false;
        if (spread->marked[i]) {
            sorted[count++] = i;
        }
    }
    call_sort(sorted, count, mark_before, spread);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t length = 0;
        if (!known[sorted[k]]) {
            known[sorted[k]] = true;
            queue[length++] = sorted[k];
        }
        for (uint32_t at = 0; at < length; at++) {
            for (uint32_t i = arcs->start[queue[at]]; i < arcs->start[queue[at] + 1]; i++) {
                const struct coupled_line *line = &problem->lines[arcs->list[i] / 2];
                bool away = arcs->list[i] % 2 == 0;
                uint32_t other = away ? line->to : line->from;
                int64_t flow = spread->flow[arcs->list[i] / 2];
                /* Upper marks go with the power, lower ones against it. */
                bool room =
                    away != spread->falling ? flow < line->capacity : flow > -line->capacity;
                if (room && !known[other]) {
                    known[other] = true;
                    spread->mark[other] = spread->mark[sorted[k]];
                    queue[length++] = other;
                }
            }
        }
    }
}

/* Tables of one slot while its prices are found. */
struct price_room {
    int64_t *upper;
    int64_t *lower;
    bool *has_upper;
    bool *has_lower;
    bool *known;
    uint32_t *sorted;
    uint32_t *queue;
};

static void raise_mark(int64_t *mark, bool *has, int64_t price, bool up)
{
    if (!*has || (up ? price > *mark : price < *mark)) {
        *mark = price;
    }
    *has = true;
}

/* What one bid says of its place's price: not above where it could still sell, or buys already;
 * not below where it could still buy, or sells already. */
static void mark_bids(struct price_room *room, const struct coupled_plan *plan, uint32_t slot,
                      const int64_t *accepted, const int64_t *low, const int64_t *high)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t place = 0; place < problem->place_count; place++) {
        size_t cell = (size_t)slot * problem->place_count + place;
        room->has_upper[place] = room->has_lower[place] = false;
        for (uint32_t at = plan->cell_start[cell]; at < plan->cell_start[cell + 1]; at++) {
            uint32_t i = plan->rising[at];
            const struct coupled_bid *bid = &problem->bids[i];
            int64_t least = low != NULL ? low[i] : 0;
            int64_t most = high != NULL ? high[i] : bid->quantity;
            if (bid->buy ? accepted[i] > least : accepted[i] < most) {
                raise_mark(&room->upper[place], &room->has_upper[place], bid->price, false);
            }
            if (bid->buy ? accepted[i] < most : accepted[i] > least) {
                raise_mark(&room->lower[place], &room->has_lower[place], bid->price, true);
            }
        }
    }
}

static bool hull_of(int64_t *least, int64_t *most, const struct price_room *room, uint32_t places)
{
    bool any = false;
    for (uint32_t i = 0; i < places; i++) {
        for (int side = 0; side < 2; side++) {
            int64_t price = side == 0 ? room->upper[i] : room->lower[i];
            if (side == 0 ? room->has_upper[i] : room->has_lower[i]) {
                *least = any && *least < price ? *least : price;
                *most = any && *most > price ? *most : price;
                any = true;
            }
        }
    }
    return any;
}

void coupled_floor_prices(struct coupled_draft *draft, const struct coupled_plan *plan,
                          const int64_t *low, const int64_t *high, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t places = problem->place_count;
    size_t mark = arena->used;
    struct price_room room = {
        clear_take(arena, places, sizeof(int64_t)),  clear_take(arena, places, sizeof(int64_t)),
        clear_take(arena, places, sizeof(bool)),     clear_take(arena, places, sizeof(bool)),
        clear_take(arena, places, sizeof(bool)),     clear_take(arena, places, sizeof(uint32_t)),
        clear_take(arena, places, sizeof(uint32_t)),
    };
    draft->den = 1;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int64_t least = 0, most = 0;
        const int64_t *flow = draft->flow + (size_t)slot * problem->line_count;
        mark_bids(&room, plan, slot, draft->accepted, low, high);
        if (!hull_of(&least, &most, &room, places)) {
            mark_bids(&room, plan, slot, draft->accepted, NULL, NULL);
            (void)hull_of(&least, &most, &room, places);
        }
        struct spread upper = {plan, flow, room.upper, room.has_upper, false};
        struct spread lower = {plan, flow, room.lower, room.has_lower, true};
        spread_marks(&upper, room.known, room.sorted, room.queue);
        for (uint32_t i = 0; i < places; i++) {
            room.upper[i] = room.known[i] ? room.upper[i] : most;
        }
        spread_marks(&lower, room.known, room.sorted, room.queue);
        for (uint32_t i = 0; i < places; i++) {
            int128 middle = (int128)room.upper[i] + (room.known[i] ? room.lower[i] : least);
            draft->node[(size_t)slot * places + i] = (int64_t)div_floor_i128(middle, 2);
        }
    }
    arena->used = mark;
}
