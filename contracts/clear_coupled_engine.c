/* Trades along lines (contracts/clear_coupled_floor.h; docs/spec/coupled.md 6).
 *
 * Serving the dearest buyer first, each from the cheapest seller that reaches it, is successive
 * shortest paths: all lines cost nothing, so the length of a path is the price at its start. Where
 * all bids are divisible and unlinked and there are no rows, what comes out is optimal.
 *
 * Invariants: 1. flows stay within capacities and every place in balance, but for what
 * coupled_engine_balance is given. 2. A bid stays within low and high. 3. No row or sum that held
 * is broken. 4. Every visit of a place or line takes a step, and without steps nothing moves.
 *
 * Parts of a network that are trees without rows are traded whole instead (clear_coupled_tree.c);
 * searches are for meshes, rows, sums, and for one bid at a time.
 *
 * Deliberately absent: lines that cost something, losses. */
#include "contracts/clear_coupled_floor.h"

#include <string.h>

#include "base/fatal.h"

/* Partners that a trial may find blocked before it gives up. */
enum { ENGINE_FREEZES_MAX = 64 };

static void engine_take(struct coupled_engine *engine, struct clear_arena *arena)
{
    const struct coupled_plan *plan = engine->plan;
    const struct coupled_problem *problem = plan->problem;
    size_t bids = problem->bid_count, places = problem->place_count;
    engine->low = clear_take(arena, bids, sizeof *engine->low);
    engine->high = clear_take(arena, bids, sizeof *engine->high);
    engine->row_sum = clear_take(arena, (size_t)problem->slot_count * problem->row_count,
                                 sizeof *engine->row_sum);
    engine->link_sum = clear_take(arena, problem->link_count, sizeof *engine->link_sum);
    engine->frozen = clear_take(arena, bids, sizeof *engine->frozen);
    engine->no_inject = clear_take(arena, plan->cells, sizeof *engine->no_inject);
    engine->no_withdraw = clear_take(arena, plan->cells, sizeof *engine->no_withdraw);
    engine->dead = clear_take(arena, places, sizeof *engine->dead);
    engine->rising_at = clear_take(arena, plan->cells, sizeof *engine->rising_at);
    engine->falling_at = clear_take(arena, plan->cells, sizeof *engine->falling_at);
    engine->rising_rank = clear_take(arena, bids, sizeof *engine->rising_rank);
    engine->falling_rank = clear_take(arena, bids, sizeof *engine->falling_rank);
    engine->via = clear_take(arena, places, sizeof *engine->via);
    engine->seen = clear_take(arena, places, sizeof *engine->seen);
    engine->queue = clear_take(arena, places, sizeof *engine->queue);
    engine->journal_bid = clear_take(arena, bids, sizeof *engine->journal_bid);
    engine->journal_delta = clear_take(arena, bids, sizeof *engine->journal_delta);
    engine->freeze_log = clear_take(arena, ENGINE_FREEZES_MAX, sizeof *engine->freeze_log);
    engine->journal_flow = clear_take(arena, problem->line_count, sizeof *engine->journal_flow);
    engine->trees = coupled_trees_take(plan, arena);
    coupled_trees_find(engine->trees, plan);
}

/* A change of an injection, in all rows of its place. */
static void count_rows(struct coupled_engine *engine, uint32_t slot, uint32_t place, int64_t change)
{
    const struct coupled_lists *lists = &engine->plan->row_coef;
    for (uint32_t at = lists->start[place]; at < lists->start[place + 1]; at++) {
        uint32_t coef = lists->list[at];
        int128 *row = &engine->row_sum[(size_t)slot * engine->plan->problem->row_count +
                                       engine->plan->coef_row[coef]];
        struct coupled_sum sum = {*row, false};
        coupled_add(&sum, product_i128(engine->plan->problem->coefs[coef].value, change));
        *row = sum.value;
        engine->overflow = engine->overflow || sum.overflow;
    }
}

static void count_links(struct coupled_engine *engine, uint32_t bid, int64_t change)
{
    const struct coupled_lists *lists = &engine->plan->links;
    for (uint32_t at = lists->start[bid]; at < lists->start[bid + 1]; at++) {
        engine->link_sum[lists->list[at]] += change;
    }
}

void coupled_engine_create(struct coupled_engine *out, const struct coupled_plan *plan,
                           struct coupled_draft *draft, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    *out = (struct coupled_engine){.plan = plan,
                                   .accepted = draft->accepted,
                                   .flow = draft->flow,
                                   .steps = coupled_floor_steps_max,
                                   .trial = COUPLED_NONE};
    engine_take(out, arena);
    for (size_t cell = 0; cell < plan->cells; cell++) {
        out->rising_at[cell] = out->falling_at[cell] = plan->cell_start[cell];
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        out->rising_rank[plan->rising[i]] = i;
        out->falling_rank[plan->falling[i]] = i;
        if (draft->accepted[i] != 0) {
            count_rows(out, bid->slot, bid->place,
                       bid->buy ? -draft->accepted[i] : draft->accepted[i]);
            count_links(out, i, draft->accepted[i]);
        }
    }
}

void coupled_engine_restart(struct coupled_engine *engine, bool reverse)
{
    const struct coupled_plan *plan = engine->plan;
    engine->reverse = reverse;
    for (size_t cell = 0; cell < plan->cells; cell++) {
        engine->rising_at[cell] = engine->falling_at[cell] = plan->cell_start[cell];
    }
    memset(engine->frozen, 0, plan->problem->bid_count * sizeof *engine->frozen);
    memset(engine->no_inject, 0, plan->cells * sizeof *engine->no_inject);
    memset(engine->no_withdraw, 0, plan->cells * sizeof *engine->no_withdraw);
}

/* What is frozen stays so until a restart, or, in a trial, until its end. */
enum freeze { FREEZE_BID, FREEZE_INJECT, FREEZE_WITHDRAW };

static uint8_t *freeze_mark(struct coupled_engine *engine, uint32_t code)
{
    switch ((enum freeze)(code % 3)) {
    case FREEZE_BID:
        return &engine->frozen[code / 3];
    case FREEZE_INJECT:
        return &engine->no_inject[code / 3];
    case FREEZE_WITHDRAW:
        return &engine->no_withdraw[code / 3];
    }
    MUST(false);
    return NULL;
}

static void freeze_item(struct coupled_engine *engine, enum freeze kind, uint32_t item)
{
    uint8_t *mark = freeze_mark(engine, 3 * item + (uint32_t)kind);
    if (*mark == 0 && engine->trial != COUPLED_NONE && engine->freeze_count < ENGINE_FREEZES_MAX) {
        engine->freeze_log[engine->freeze_count++] = 3 * item + (uint32_t)kind;
    }
    *mark = 1;
}

static void thaw_all(struct coupled_engine *engine)
{
    while (engine->freeze_count > 0) {
        *freeze_mark(engine, engine->freeze_log[--engine->freeze_count]) = 0;
    }
}

static bool can_inject(const struct coupled_engine *engine, uint32_t bid)
{
    if (engine->frozen[bid] != 0 || bid == engine->trial) {
        return false;
    }
    return engine->plan->problem->bids[bid].buy
               ? engine->reverse && engine->accepted[bid] > engine->low[bid]
               : engine->accepted[bid] < engine->high[bid];
}

static bool can_withdraw(const struct coupled_engine *engine, uint32_t bid)
{
    if (engine->frozen[bid] != 0 || bid == engine->trial) {
        return false;
    }
    return engine->plan->problem->bids[bid].buy
               ? engine->accepted[bid] < engine->high[bid]
               : engine->reverse && engine->accepted[bid] > engine->low[bid];
}

/* The cheapest bid of the cell that can give, the dearest that can take; COUPLED_NONE if none. */
static uint32_t best_inject(struct coupled_engine *engine, size_t cell)
{
    uint32_t *at = &engine->rising_at[cell];
    for (; *at < engine->plan->cell_start[cell + 1]; ++*at) {
        if (can_inject(engine, engine->plan->rising[*at])) {
            return engine->no_inject[cell] != 0 ? COUPLED_NONE : engine->plan->rising[*at];
        }
    }
    return COUPLED_NONE;
}

static uint32_t best_withdraw(struct coupled_engine *engine, size_t cell)
{
    uint32_t *at = &engine->falling_at[cell];
    for (; *at < engine->plan->cell_start[cell + 1]; ++*at) {
        if (can_withdraw(engine, engine->plan->falling[*at])) {
            return engine->no_withdraw[cell] != 0 ? COUPLED_NONE : engine->plan->falling[*at];
        }
    }
    return COUPLED_NONE;
}

/* What it can do may have changed, so the walks of its cell look at it again. */
static void look_again(struct coupled_engine *engine, uint32_t bid)
{
    size_t cell = coupled_cell(engine->plan->problem, &engine->plan->problem->bids[bid]);
    if (engine->rising_rank[bid] < engine->rising_at[cell]) {
        engine->rising_at[cell] = engine->rising_rank[bid];
    }
    if (engine->falling_rank[bid] < engine->falling_at[cell]) {
        engine->falling_at[cell] = engine->falling_rank[bid];
    }
}

/* An arc is 2 x line, from `from` to `to`, or that + 1, the other way round. */
static int128 arc_room(const struct coupled_engine *engine, uint32_t slot, uint32_t arc)
{
    const struct coupled_line *line = &engine->plan->problem->lines[arc / 2];
    int128 flow = engine->flow[(size_t)slot * engine->plan->problem->line_count + arc / 2];
    return line->capacity - (arc % 2 == 0 ? flow : -flow);
}

static uint32_t arc_end(const struct coupled_engine *engine, uint32_t arc, bool head)
{
    const struct coupled_line *line = &engine->plan->problem->lines[arc / 2];
    return (arc % 2 == 0) == head ? line->to : line->from;
}

/* All places that `place` reaches through room on lines (forward), or that reach it. */
static void search_places(struct coupled_engine *engine, uint32_t slot, uint32_t place,
                          bool forward)
{
    const struct coupled_lists *arcs = &engine->plan->arcs;
    engine->stamp++;
    engine->seen[place] = engine->stamp;
    engine->via[place] = COUPLED_NONE;
    engine->queue[0] = place;
    engine->queue_count = 1;
    for (uint32_t at = 0; at < engine->queue_count; at++) {
        uint32_t here = engine->queue[at];
        uint32_t first = arcs->start[here], last = arcs->start[here + 1];
        uint64_t cost = 1 + (uint64_t)(last - first);
        if (engine->steps < cost) {
            engine->steps = 0;
            return;
        }
        engine->steps -= cost;
        for (uint32_t i = first; i < last; i++) {
            /* The list has the arc that leaves here; searching backward wants its twin. */
            uint32_t arc = forward ? arcs->list[i] : arcs->list[i] ^ 1;
            uint32_t other = arc_end(engine, arc, forward);
            if (engine->seen[other] != engine->stamp && arc_room(engine, slot, arc) > 0) {
                engine->seen[other] = engine->stamp;
                engine->via[other] = arc;
                engine->queue[engine->queue_count++] = other;
            }
        }
    }
}

/* Walks the path that the last search found between its start and `place`: the least room on it,
 * or, with `push` above 0, puts that much on it. */
static int64_t walk_path(struct coupled_engine *engine, uint32_t slot, uint32_t place, bool forward,
                         int64_t push)
{
    int128 room = INT64_MAX;
    while (engine->via[place] != COUPLED_NONE) {
        uint32_t arc = engine->via[place];
        int128 here = arc_room(engine, slot, arc);
        room = here < room ? here : room;
        if (push > 0) {
            MUST(here >= push);
            engine->flow[(size_t)slot * engine->plan->problem->line_count + arc / 2] +=
                arc % 2 == 0 ? push : -push;
        }
        place = arc_end(engine, arc, !forward);
    }
    return (int64_t)room;
}

/* One trade to be made: from bid `give` at `from` to bid `take` at `to`. Either bid may be
 * COUPLED_NONE: then the place itself has too much or too little. */
struct trade {
    uint32_t slot;
    uint32_t from;
    uint32_t to;
    uint32_t give;
    uint32_t take;
};

static int64_t coef_of(const struct coupled_problem *problem, uint32_t row, uint32_t place)
{
    uint32_t low = problem->rows[row].first, high = low + problem->rows[row].count;
    while (low < high) { /* at most 20 halvings */
        uint32_t middle = low + (high - low) / 2;
        if (problem->coefs[middle].place == place) {
            return problem->coefs[middle].value;
        }
        if (problem->coefs[middle].place < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 0;
}

/* How often `change` fits between `now` and a limit. */
static int128 times_fit(enum coupled_op op, int128 now, int128 change, int64_t right)
{
    int128 room;
    if (change == 0) {
        return INT64_MAX;
    }
    switch (op) {
    case COUPLED_AT_MOST:
        return change < 0 ? INT64_MAX
                          : (!checked_sub_i128(&room, right, now) || room < 0 ? 0 : room / change);
    case COUPLED_AT_LEAST:
        return change > 0 ? INT64_MAX
                          : (!checked_sub_i128(&room, now, right) || room < 0 ? 0 : room / -change);
    case COUPLED_EQUAL:
        return 0;
    }
    MUST(false);
    return 0;
}

/* The side of a trade that a row stands against; freezes it if nothing fits. */
static int64_t limit_by_rows(struct coupled_engine *engine, const struct trade *trade,
                             int64_t amount)
{
    const struct coupled_problem *problem = engine->plan->problem;
    const struct coupled_lists *lists = &engine->plan->row_coef;
    if (trade->from == trade->to && trade->give != COUPLED_NONE && trade->take != COUPLED_NONE) {
        return amount;
    }
    for (int side = 0; side < 2; side++) {
        uint32_t place = side == 0 ? trade->from : trade->to;
        if ((side == 0 ? trade->give : trade->take) == COUPLED_NONE) {
            continue;
        }
        for (uint32_t at = lists->start[place]; at < lists->start[place + 1]; at++) {
            uint32_t row = engine->plan->coef_row[lists->list[at]];
            int64_t give = trade->give == COUPLED_NONE ? 0 : coef_of(problem, row, trade->from);
            int64_t take = trade->take == COUPLED_NONE ? 0 : coef_of(problem, row, trade->to);
            int128 now = engine->row_sum[(size_t)trade->slot * problem->row_count + row];
            int128 fit = times_fit(problem->rows[row].op, now, (int128)give - take,
                                   coupled_right(problem, trade->slot, row));
            if (fit < 1) {
                bool rising = problem->rows[row].op == COUPLED_AT_LEAST ? give < 0 : give > 0;
                bool blame = problem->rows[row].op == COUPLED_EQUAL ? give != 0 : rising;
                size_t base = (size_t)trade->slot * problem->place_count;
                freeze_item(engine, blame ? FREEZE_INJECT : FREEZE_WITHDRAW,
                            (uint32_t)base + (blame ? trade->from : trade->to));
                return 0;
            }
            amount = fit < amount ? (int64_t)fit : amount;
        }
    }
    return amount;
}

static bool is_member(const struct coupled_plan *plan, uint32_t bid, uint32_t link)
{
    for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
        if (plan->links.list[at] == link) {
            return true;
        }
    }
    return false;
}

/* What a trade does to a bid's quantity: up for a sell that gives or a buy that takes. */
static int direction(const struct coupled_engine *engine, uint32_t bid, bool gives)
{
    return engine->plan->problem->bids[bid].buy != gives ? 1 : -1;
}

static int64_t limit_by_sums(struct coupled_engine *engine, const struct trade *trade,
                             int64_t amount)
{
    const struct coupled_plan *plan = engine->plan;
    for (int side = 0; side < 2; side++) {
        uint32_t bid = side == 0 ? trade->give : trade->take;
        uint32_t other = side == 0 ? trade->take : trade->give;
        if (bid == COUPLED_NONE) {
            continue;
        }
        for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
            uint32_t id = plan->links.list[at];
            const struct coupled_link *link = &plan->problem->links[id];
            int change = direction(engine, bid, side == 0);
            if (link->type != COUPLED_SUM) {
                continue;
            }
            if (other != COUPLED_NONE && is_member(plan, other, id)) {
                change += direction(engine, other, side != 0);
            }
            int128 fit = times_fit(link->op, engine->link_sum[id], change, link->quantity);
            if (fit < 1) {
                freeze_item(engine, FREEZE_BID, bid);
                return 0;
            }
            amount = fit < amount ? (int64_t)fit : amount;
        }
    }
    return amount;
}

static int64_t bid_room(const struct coupled_engine *engine, uint32_t bid, bool gives)
{
    return direction(engine, bid, gives) > 0 ? engine->high[bid] - engine->accepted[bid]
                                             : engine->accepted[bid] - engine->low[bid];
}

static void move_bid(struct coupled_engine *engine, uint32_t bid, bool gives, int64_t amount)
{
    const struct coupled_bid *item = &engine->plan->problem->bids[bid];
    int64_t change = direction(engine, bid, gives) > 0 ? amount : -amount;
    engine->accepted[bid] += change;
    count_rows(engine, item->slot, item->place, gives ? amount : -amount);
    count_links(engine, bid, change);
    look_again(engine, bid);
    if (engine->trial != COUPLED_NONE) {
        MUST(engine->journal_count < engine->plan->problem->bid_count);
        engine->journal_bid[engine->journal_count] = bid;
        engine->journal_delta[engine->journal_count++] = gives ? amount : -amount;
    }
}

/* Makes as much of the trade as fits, at most `amount`, along the path of the last search. */
static int64_t make_trade(struct coupled_engine *engine, const struct trade *trade, bool forward,
                          int64_t amount)
{
    uint32_t far = forward ? trade->to : trade->from;
    int64_t room = walk_path(engine, trade->slot, far, forward, 0);
    amount = room < amount ? room : amount;
    if (trade->give != COUPLED_NONE) {
        room = bid_room(engine, trade->give, true);
        amount = room < amount ? room : amount;
    }
    if (trade->take != COUPLED_NONE) {
        room = bid_room(engine, trade->take, false);
        amount = room < amount ? room : amount;
    }
    amount = limit_by_sums(engine, trade, amount);
    amount = amount > 0 ? limit_by_rows(engine, trade, amount) : 0;
    if (amount <= 0 || engine->overflow) {
        return 0;
    }
    (void)walk_path(engine, trade->slot, far, forward, amount);
    if (trade->give != COUPLED_NONE) {
        move_bid(engine, trade->give, true, amount);
    }
    if (trade->take != COUPLED_NONE) {
        move_bid(engine, trade->take, false, amount);
    }
    return amount;
}

/* The best partner among the places of the last search: the cheapest that gives, or the dearest
 * that takes; of equals the nearest. */
static uint32_t best_partner(struct coupled_engine *engine, uint32_t slot, bool gives,
                             uint32_t *place)
{
    uint32_t best = COUPLED_NONE;
    const struct coupled_bid *bids = engine->plan->problem->bids;
    for (uint32_t i = 0; i < engine->queue_count; i++) {
        size_t cell = (size_t)slot * engine->plan->problem->place_count + engine->queue[i];
        uint32_t bid = gives ? best_inject(engine, cell) : best_withdraw(engine, cell);
        if (bid != COUPLED_NONE &&
            (best == COUPLED_NONE ||
             (gives ? bids[bid].price < bids[best].price : bids[bid].price > bids[best].price))) {
            best = bid;
            *place = engine->queue[i];
        }
    }
    return best;
}

static uint32_t dearest_place(struct coupled_engine *engine, uint32_t slot, uint32_t *bid)
{
    uint32_t best = COUPLED_NONE;
    const struct coupled_problem *problem = engine->plan->problem;
    for (uint32_t place = 0; place < problem->place_count; place++) {
        size_t cell = (size_t)slot * problem->place_count + place;
        uint32_t here = engine->dead[place] != 0 ? COUPLED_NONE : best_withdraw(engine, cell);
        if (here != COUPLED_NONE &&
            (best == COUPLED_NONE || problem->bids[here].price > problem->bids[*bid].price)) {
            best = place;
            *bid = here;
        }
    }
    return best;
}

bool coupled_engine_trade(struct coupled_engine *engine, uint32_t slot)
{
    const struct coupled_problem *problem = engine->plan->problem;
    bool moved = coupled_trees_trade(engine, slot);
    bool searched = false;
    for (uint32_t place = 0; place < problem->place_count; place++) {
        engine->dead[place] = coupled_trees_done(engine->trees, place);
        searched = searched || engine->dead[place] == 0;
    }
    while (searched && engine->steps > problem->place_count && !engine->overflow) {
        struct trade trade = {.slot = slot};
        engine->steps -= problem->place_count;
        trade.to = dearest_place(engine, slot, &trade.take);
        if (trade.to == COUPLED_NONE) {
            break;
        }
        search_places(engine, slot, trade.to, false);
        trade.give = best_partner(engine, slot, true, &trade.from);
        bool good = trade.give != COUPLED_NONE && trade.give != trade.take;
        if (good) {
            const struct coupled_bid *give = &problem->bids[trade.give];
            const struct coupled_bid *take = &problem->bids[trade.take];
            bool plain = !give->buy && take->buy; /* more is traded, which ends; a swap may not */
            good = take->price > give->price || (plain && take->price == give->price);
        }
        if (!good) {
            engine->dead[trade.to] = 1;
        } else {
            moved = make_trade(engine, &trade, false, INT64_MAX) > 0 || moved;
        }
    }
    return moved;
}

/* Takes everything back that the journal has. */
static void roll_back(struct coupled_engine *engine, uint32_t slot)
{
    const struct coupled_problem *problem = engine->plan->problem;
    engine->trial = COUPLED_NONE;
    for (uint32_t i = engine->journal_count; i-- > 0;) {
        int64_t given = engine->journal_delta[i];
        move_bid(engine, engine->journal_bid[i], given < 0, given < 0 ? -given : given);
    }
    memcpy(engine->flow + (size_t)slot * problem->line_count, engine->journal_flow,
           problem->line_count * sizeof *engine->flow);
}

/* Trades of the bid on trial with the best partners until it has its least quantity; what that
 * gains. */
static bool fill_bid(struct coupled_engine *engine, uint32_t bid, int128 *gain)
{
    const struct coupled_problem *problem = engine->plan->problem;
    const struct coupled_bid *item = &problem->bids[bid];
    int64_t left = coupled_least(item);
    size_t cell = coupled_cell(problem, item);
    *gain = 0;
    while (left > 0 && engine->steps > problem->place_count &&
           engine->journal_count + 2 <= problem->bid_count &&
           engine->freeze_count < ENGINE_FREEZES_MAX) {
        struct trade trade = {item->slot, item->place, item->place, bid, bid};
        engine->steps -= problem->place_count;
        search_places(engine, item->slot, item->place, !item->buy);
        uint32_t partner =
            best_partner(engine, item->slot, item->buy, item->buy ? &trade.from : &trade.to);
        if (partner == COUPLED_NONE) {
            return false;
        }
        *(item->buy ? &trade.give : &trade.take) = partner;
        int64_t amount = make_trade(engine, &trade, !item->buy, left);
        int128 rise = (int128)item->price - problem->bids[partner].price;
        rise = item->buy ? rise : -rise;
        *gain += amount * rise;
        left -= amount;
        if (*gain + left * rise <= 0 && rise < 0) { /* partners only get worse */
            return false;
        }
        bool blocked = engine->frozen[bid] != 0 ||
                       (item->buy ? engine->no_withdraw[cell] : engine->no_inject[cell]) != 0;
        if (amount == 0 && blocked) {
            return false;
        }
    }
    return left == 0;
}

bool coupled_engine_switch_on(struct coupled_engine *engine, uint32_t bid)
{
    const struct coupled_problem *problem = engine->plan->problem;
    const struct coupled_bid *item = &problem->bids[bid];
    int128 gain;
    MUST(engine->accepted[bid] == 0 && item->quantity > 0);
    memcpy(engine->journal_flow, engine->flow + (size_t)item->slot * problem->line_count,
           problem->line_count * sizeof *engine->flow);
    engine->journal_count = 0;
    engine->freeze_count = 0;
    engine->trial = bid;
    engine->low[bid] = 0;
    engine->high[bid] = item->quantity;
    bool good = fill_bid(engine, bid, &gain) && gain > 0;
    engine->trial = COUPLED_NONE;
    if (good) {
        engine->low[bid] = coupled_least(item);
    } else {
        roll_back(engine, item->slot);
        engine->low[bid] = engine->high[bid] = 0;
    }
    thaw_all(engine);
    look_again(engine, bid);
    return good;
}

/* Sends the excess of one place where it is missing, as far as lines let it. */
static void spread_excess(struct coupled_engine *engine, uint32_t slot, uint32_t place,
                          int128 *excess)
{
    while (excess[place] > 0 && engine->steps > 0) {
        uint32_t found = COUPLED_NONE;
        search_places(engine, slot, place, true);
        for (uint32_t i = 1; i < engine->queue_count && found == COUPLED_NONE; i++) {
            found = excess[engine->queue[i]] < 0 ? engine->queue[i] : COUPLED_NONE;
        }
        if (found == COUPLED_NONE) {
            return;
        }
        int128 amount = walk_path(engine, slot, found, true, 0);
        amount = excess[place] < amount ? excess[place] : amount;
        amount = -excess[found] < amount ? -excess[found] : amount;
        (void)walk_path(engine, slot, found, true, (int64_t)amount);
        excess[place] -= amount;
        excess[found] += amount;
    }
}

/* Lets bids take what is too much at a place, or give what is missing, best price first. */
static bool absorb_excess(struct coupled_engine *engine, uint32_t slot, uint32_t place,
                          int128 *excess)
{
    while (*excess != 0 && engine->steps > engine->plan->problem->place_count) {
        bool over = *excess > 0;
        struct trade trade = {slot, place, place, COUPLED_NONE, COUPLED_NONE};
        engine->steps -= engine->plan->problem->place_count;
        search_places(engine, slot, place, over);
        uint32_t bid = best_partner(engine, slot, !over, over ? &trade.to : &trade.from);
        if (bid == COUPLED_NONE) {
            return false;
        }
        *(over ? &trade.take : &trade.give) = bid;
        int128 most = over ? *excess : -*excess;
        int64_t amount =
            make_trade(engine, &trade, over, most > INT64_MAX ? INT64_MAX : (int64_t)most);
        if (amount == 0) { /* a sum or row is in its way; another bid may do */
            freeze_item(engine, FREEZE_BID, bid);
        }
        *excess -= over ? amount : -(int128)amount;
    }
    return *excess == 0;
}

bool coupled_engine_balance(struct coupled_engine *engine, uint32_t slot, int128 *excess)
{
    uint32_t places = engine->plan->problem->place_count;
    for (uint32_t place = 0; place < places; place++) {
        spread_excess(engine, slot, place, excess);
    }
    for (uint32_t place = 0; place < places; place++) {
        if (!absorb_excess(engine, slot, place, &excess[place])) {
            return false;
        }
    }
    return true;
}
