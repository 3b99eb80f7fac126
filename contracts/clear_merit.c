/* Merit order (D2.3 eq. 3-4 to 3-6, 3-15) and ordered demand (eq. 3-7 to 3-10), one interval at a
 * time (market-rules 5; docs/spec/clearing.md).
 *
 * Merit order is contracts/call.c itself. Ordered demand walks the one buyer's bids in their order
 * along the sellers' merit order: welfare is linear between the breakpoints, so the best volume is
 * one of them, and of equally good ones the largest. Who supplies that volume is again call.c's to
 * say, against one synthetic order for all of it.
 *
 * Deliberately absent: more than one buyer's order, and sellers whose later steps are cheaper. Both
 * are covering problems without a scan, and clear_ordered_check refuses them. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_internal.h"

/* Room for one side of a call over `count` bids that stand at `place`. */
static struct call_side side_take(const struct clear_problem *problem, const uint32_t *place,
                                  uint32_t count, struct clear_arena *arena)
{
    struct call_order *orders = clear_take(arena, count, sizeof *orders);
    for (uint32_t i = 0; i < count; i++) {
        const struct clear_bid *bid = &problem->bids[place[i]];
        orders[i] = (struct call_order){bid->price, bid->quantity, place[i], false};
    }
    return (struct call_side){count, orders, clear_take(arena, count, sizeof(int64_t)),
                              clear_take(arena, count, sizeof(uint32_t))};
}

static void side_give(struct clear_result *out, const struct call_side *side, const uint32_t *place)
{
    for (uint32_t i = 0; i < side->count; i++) {
        out->accepted[place[i]] = side->accepted[i];
    }
}

static struct call_result call_run(const struct call_side *buys, const struct call_side *sells,
                                   enum call_tie tie, struct clear_arena *arena)
{
    uint32_t larger = buys->count > sells->count ? buys->count : sells->count;
    struct call_scratch scratch = {clear_take(arena, larger, sizeof(uint32_t)),
                                   clear_take(arena, larger, sizeof(int64_t))};
    struct call_result result;
    bool good = call_clear(&result, buys, sells, tie, &scratch);
    MUST(good); /* clear_check has added the quantities up */
    return result;
}

void clear_merit_slot(const struct clear_index *index, struct clear_result *out, uint32_t slot,
                      struct clear_arena *arena)
{
    size_t mark = arena->used;
    const uint32_t *buy = index->place + index->buy_start[slot];
    const uint32_t *sell = index->place + index->sell_start[slot];
    struct call_side buys = side_take(index->problem, buy, (uint32_t)(sell - buy), arena);
    struct call_side sells = side_take(index->problem, sell,
                                       index->buy_start[slot + 1] - index->sell_start[slot], arena);
    struct call_result call = call_run(&buys, &sells, index->problem->tie, arena);
    side_give(out, &buys, buy);
    side_give(out, &sells, sell);
    if (call.volume > 0) {
        out->prices[slot] = (struct clear_slot_price){true, call.lower, call.upper, call.price};
    }
    arena->used = mark;
}

/* One step of two sorted sides that meet: how much both still have, and on to the next. */
struct merge {
    const struct clear_index *index;
    const uint8_t *member;
    uint32_t buy, buy_end, sell, sell_end;
    int64_t buy_done, sell_done;
};

static struct merge merge_start(const struct clear_index *index, uint32_t slot,
                                const uint8_t *member)
{
    return (struct merge){index,
                          member,
                          index->buy_start[slot],
                          index->sell_start[slot],
                          index->sell_start[slot],
                          index->buy_start[slot + 1],
                          0,
                          0};
}

static const struct clear_bid *merge_bid(const struct merge *merge, uint32_t at)
{
    return &merge->index->problem->bids[merge->index->place[at]];
}

/* False once a side has no more bids of the set. */
static bool merge_next(struct merge *merge)
{
    while (merge->buy < merge->buy_end &&
           (!clear_is_member(merge->member, merge_bid(merge, merge->buy)->agent) ||
            merge->buy_done == merge_bid(merge, merge->buy)->quantity)) {
        merge->buy++;
        merge->buy_done = 0;
    }
    while (merge->sell < merge->sell_end &&
           (!clear_is_member(merge->member, merge_bid(merge, merge->sell)->agent) ||
            merge->sell_done == merge_bid(merge, merge->sell)->quantity)) {
        merge->sell++;
        merge->sell_done = 0;
    }
    return merge->buy < merge->buy_end && merge->sell < merge->sell_end;
}

/* Takes what both bids at hand still have; the surplus per unit goes to *surplus. */
static int64_t merge_take(struct merge *merge, int128 *surplus)
{
    const struct clear_bid *buy = merge_bid(merge, merge->buy);
    const struct clear_bid *sell = merge_bid(merge, merge->sell);
    int64_t buy_rest = buy->quantity - merge->buy_done;
    int64_t sell_rest = sell->quantity - merge->sell_done;
    int64_t step = buy_rest < sell_rest ? buy_rest : sell_rest;
    merge->buy_done += step;
    merge->sell_done += step;
    *surplus = product_i128(buy->price, step) - product_i128(sell->price, step);
    MUST(step > 0);
    return step;
}

int128 clear_merit_value(const struct clear_index *index, uint32_t slot, const uint8_t *member)
{
    struct merge merge = merge_start(index, slot, member);
    int128 value = 0;
    while (merge_next(&merge)) {
        int128 surplus;
        merge_take(&merge, &surplus);
        if (surplus < 0) {
            break;
        }
        value += surplus;
    }
    return value;
}

int128 clear_ordered_value(const struct clear_index *index, uint32_t slot, const uint8_t *member,
                           int64_t *volume)
{
    struct merge merge = merge_start(index, slot, member);
    int128 value = 0;
    int128 best = 0;
    int64_t done = 0;
    int64_t best_done = 0;
    while (merge_next(&merge)) {
        int128 surplus;
        done += merge_take(&merge, &surplus);
        value += surplus;
        if (value >= best) {
            best = value;
            best_done = done;
        }
    }
    if (volume != NULL) {
        *volume = best_done;
    }
    return best;
}

/* Accepts `volume` out of `count` bids at `place`, best price first, by the tie rule. */
static void supply(const struct clear_index *index, struct clear_result *out, const uint32_t *place,
                   uint32_t count, bool buying, int64_t volume, struct clear_arena *arena)
{
    size_t mark = arena->used;
    struct call_side side = side_take(index->problem, place, count, arena);
    struct call_order whole = {buying ? INT64_MIN : INT64_MAX, volume, 0, false};
    int64_t accepted = 0;
    uint32_t priority = 0;
    struct call_side other = {1, &whole, &accepted, &priority};
    struct call_result call = buying ? call_run(&side, &other, index->problem->tie, arena)
                                     : call_run(&other, &side, index->problem->tie, arena);
    MUST(call.volume == volume);
    side_give(out, &side, place);
    arena->used = mark;
}

static bool agent_order_before(const void *context, uint32_t a, uint32_t b)
{
    const struct clear_bid *bids = context;
    const struct clear_bid *x = &bids[a];
    const struct clear_bid *y = &bids[b];
    if (x->agent != y->agent) {
        return x->agent < y->agent;
    }
    return x->order != y->order ? x->order < y->order : a < b;
}

/* At one price a seller's earlier steps go first, whatever the tie rule gave to which of them: each
 * agent keeps its sum, and fills its own bids in their order (eq. 3-8). */
static void order_within_agents(struct clear_result *out, const struct clear_problem *problem,
                                uint32_t *level, uint32_t count)
{
    call_sort(level, count, agent_order_before, problem->bids);
    for (uint32_t from = 0, until; from < count; from = until) {
        int64_t sum = 0;
        for (until = from;
             until < count && problem->bids[level[until]].agent == problem->bids[level[from]].agent;
             until++) {
            sum += out->accepted[level[until]];
        }
        for (uint32_t i = from; i < until; i++) {
            int64_t quantity = problem->bids[level[i]].quantity;
            out->accepted[level[i]] = quantity < sum ? quantity : sum;
            sum -= out->accepted[level[i]];
        }
        MUST(sum == 0);
    }
}

static void ordered_sells(const struct clear_index *index, struct clear_result *out, uint32_t slot,
                          int64_t volume, struct clear_arena *arena)
{
    const struct clear_bid *bids = index->problem->bids;
    const uint32_t *place = index->place + index->sell_start[slot];
    uint32_t count = index->buy_start[slot + 1] - index->sell_start[slot];
    supply(index, out, place, count, false, volume, arena);
    for (uint32_t from = 0, until; from < count; from = until) {
        int64_t price = bids[place[from]].price;
        for (until = from; until < count && bids[place[until]].price == price; until++) {
        }
        size_t mark = arena->used;
        uint32_t *level = clear_take(arena, until - from, sizeof *level);
        memcpy(level, place + from, (until - from) * sizeof *level);
        order_within_agents(out, index->problem, level, until - from);
        arena->used = mark;
    }
}

void clear_ordered_slot(const struct clear_index *index, struct clear_result *out, uint32_t slot,
                        struct clear_arena *arena)
{
    const struct clear_bid *bids = index->problem->bids;
    int64_t volume;
    clear_ordered_value(index, slot, NULL, &volume);
    if (volume == 0) {
        return;
    }
    ordered_sells(index, out, slot, volume, arena);
    const uint32_t *place = index->place + index->buy_start[slot];
    uint32_t count = index->sell_start[slot] - index->buy_start[slot];
    int64_t left = volume;
    for (uint32_t from = 0, until; left > 0; from = until) {
        MUST(from < count);
        int64_t sum = 0;
        for (until = from; until < count && bids[place[until]].order == bids[place[from]].order;
             until++) {
            sum += bids[place[until]].quantity;
        }
        int64_t step = sum < left ? sum : left;
        supply(index, out, place + from, until - from, true, step, arena);
        left -= step;
    }
}

static bool check_before(const void *context, uint32_t a, uint32_t b)
{
    const struct clear_bid *bids = context;
    const struct clear_bid *x = &bids[a];
    const struct clear_bid *y = &bids[b];
    if (x->slot != y->slot) {
        return x->slot < y->slot;
    }
    if (x->buy != y->buy) {
        return x->buy;
    }
    return agent_order_before(context, a, b);
}

/* The first bid of the sorted run [from, until), of one seller and interval, that is cheaper than
 * one of an earlier step; `until` if there is none. */
static uint32_t cheaper_step(const struct clear_bid *bids, const uint32_t *sorted, uint32_t from,
                             uint32_t until)
{
    int64_t before = INT64_MIN; /* the dearest of all earlier steps */
    int64_t here = INT64_MIN;   /* and of the step at hand as well */
    for (uint32_t i = from; i < until; i++) {
        const struct clear_bid *bid = &bids[sorted[i]];
        if (i > from && bid->order != bids[sorted[i - 1]].order) {
            before = here;
        }
        if (bid->price < before) {
            return i;
        }
        here = bid->price > here ? bid->price : here;
    }
    return until;
}

bool clear_ordered_check(const struct clear_problem *problem, struct clear_fault *fault,
                         struct clear_arena *arena)
{
    const struct clear_bid *bids = problem->bids;
    size_t mark = arena->used;
    uint32_t *sorted = clear_take(arena, problem->bid_count, sizeof *sorted);
    uint32_t count = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (bids[i].quantity > 0) {
            sorted[count++] = i;
        }
    }
    call_sort(sorted, count, check_before, bids);
    arena->used = mark;
    for (uint32_t from = 0, until; from < count; from = until) {
        const struct clear_bid *first = &bids[sorted[from]];
        for (until = from + 1; until < count; until++) {
            const struct clear_bid *bid = &bids[sorted[until]];
            if (bid->slot != first->slot || bid->buy != first->buy || bid->agent != first->agent) {
                break;
            }
        }
        bool buyers = first->buy && until < count && bids[sorted[until]].buy &&
                      bids[sorted[until]].slot == first->slot;
        if (buyers) {
            *fault = (struct clear_fault){sorted[until], "agent",
                                          "ordered_demand takes one buyer per interval"};
            return false;
        }
        uint32_t cheaper = first->buy ? until : cheaper_step(bids, sorted, from, until);
        if (cheaper < until) {
            *fault = (struct clear_fault){
                sorted[cheaper], "price",
                "ordered_demand takes no seller whose later step is cheaper than an earlier one"};
            return false;
        }
    }
    return true;
}
