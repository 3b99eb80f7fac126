/* The call auction: which orders trade, how much each, and the one price (market-rules 5; D2.3
 * eq. 3-4 to 3-6, 3-15).
 *
 * 1. Sort each side from best to worst price. The largest volume V is where the sorted sides stop
 *    crossing. Any allocation of V that keeps to merit order has the greatest welfare.
 * 2. Each side accepts its best V. Only the orders of one price, the side's marginal one, may have
 *    to share; the tie rule says how.
 * 3. The prices that support the result are an interval that is never empty: the marginal ask is at
 *    most the marginal bid, and a bid and an ask that are both left over do not cross, or V would
 *    not have been the largest.
 *
 * Invariants: accepted is within 0 and quantity; both sides accept V; a better price is never cut
 * while a worse one trades; lower <= price <= upper.
 *
 * Deliberately absent: what an order takes only whole or not under a minimum (the caller takes it out and
 * clears again), money, owners, state. The sort is a
 * heapsort, because qsort may allocate and its order of equals is its own affair. */
#include "contracts/call.h"

#include <string.h>

#include "base/fatal.h"

static void sift_down(uint32_t *heap, uint32_t root, uint32_t count, call_before before,
                      const void *context)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && before(context, heap[child], heap[child + 1])) {
            child++;
        }
        if (!before(context, heap[root], heap[child])) {
            return;
        }
        uint32_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

void call_sort(uint32_t *index, uint32_t count, call_before before, const void *context)
{
    MUST(count <= UINT32_MAX / 4);
    for (uint32_t i = count / 2; i > 0; i--) {
        sift_down(index, i - 1, count, before, context);
    }
    for (uint32_t end = count; end > 1; end--) {
        uint32_t last = index[end - 1];
        index[end - 1] = index[0];
        index[0] = last;
        sift_down(index, 0, end - 1, before, context);
    }
}

struct priority_context {
    const struct call_order *orders;
    bool buying;
    bool resting_first;
};

static bool priority_before(const void *context, uint32_t a, uint32_t b)
{
    const struct priority_context *sort = context;
    const struct call_order *x = &sort->orders[a];
    const struct call_order *y = &sort->orders[b];
    if (x->price != y->price) {
        return sort->buying ? x->price > y->price : x->price < y->price;
    }
    if (sort->resting_first && x->resting != y->resting) {
        return x->resting;
    }
    return x->rank != y->rank ? x->rank < y->rank : a < b;
}

struct remainder_context {
    const struct call_order *orders;
    const int64_t *remainder;
};

static bool remainder_before(const void *context, uint32_t a, uint32_t b)
{
    const struct remainder_context *sort = context;
    if (sort->remainder[a] != sort->remainder[b]) {
        return sort->remainder[a] > sort->remainder[b];
    }
    uint64_t rank_a = sort->orders[a].rank;
    uint64_t rank_b = sort->orders[b].rank;
    return rank_a != rank_b ? rank_a < rank_b : a < b;
}

/* Fills `priority`, clears `accepted`; false if the quantities are not what call.h asks for. */
static bool side_prepare(const struct call_side *side, bool buying, enum call_tie tie)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < side->count; i++) {
        side->accepted[i] = 0;
        side->priority[i] = i;
        if (side->orders[i].quantity <= 0 ||
            !checked_add_i64(&total, total, side->orders[i].quantity)) {
            return false;
        }
    }
    struct priority_context context = {side->orders, buying, tie == CALL_TIE_PRO_RATA};
    call_sort(side->priority, side->count, priority_before, &context);
    return true;
}

static const struct call_order *side_at(const struct call_side *side, uint32_t place)
{
    return &side->orders[side->priority[place]];
}

static int64_t crossing_volume(const struct call_side *buys, const struct call_side *sells)
{
    int64_t volume = 0;
    int64_t buy_done = 0;
    int64_t sell_done = 0;
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < buys->count && j < sells->count) {
        const struct call_order *buy = side_at(buys, i);
        const struct call_order *sell = side_at(sells, j);
        if (buy->quantity == 0 || sell->quantity == 0) {
            i += buy->quantity == 0;
            j += sell->quantity == 0;
            continue;
        }
        if (buy->price < sell->price) {
            break;
        }
        int64_t buy_rest = buy->quantity - buy_done;
        int64_t sell_rest = sell->quantity - sell_done;
        int64_t step = buy_rest < sell_rest ? buy_rest : sell_rest;
        MUST(step > 0);
        volume += step;
        buy_done += step;
        sell_done += step;
        if (buy_done == buy->quantity) {
            i++;
            buy_done = 0;
        }
        if (sell_done == sell->quantity) {
            j++;
            sell_done = 0;
        }
    }
    return volume;
}

/* Gives `got` to the orders at places [from, until) in proportion to their quantities, which add up
 * to more. The largest remainders gain what the floors leave over, under one step each. */
static void share_pro_rata(const struct call_side *side, uint32_t from, uint32_t until, int64_t got,
                           int64_t total, const struct call_scratch *scratch)
{
    MUST(got > 0 && got < total);
    int64_t left = got;
    for (uint32_t place = from; place < until; place++) {
        uint32_t at = side->priority[place];
        int128 product = product_i128(side->orders[at].quantity, got);
        int64_t share = (int64_t)div_floor_i128(product, total);
        side->accepted[at] = share;
        scratch->remainder[at] = (int64_t)(product - product_i128(share, total));
        scratch->index[place - from] = at;
        left -= share;
    }
    MUST(left >= 0 && left < (int64_t)(until - from));
    struct remainder_context context = {side->orders, scratch->remainder};
    call_sort(scratch->index, until - from, remainder_before, &context);
    for (int64_t i = 0; i < left; i++) {
        uint32_t at = scratch->index[i];
        side->accepted[at]++;
        MUST(side->accepted[at] <= side->orders[at].quantity);
    }
}

/* Fills places [from, until) one after the other; returns what is left of `got`. */
static int64_t fill_in_order(const struct call_side *side, uint32_t from, uint32_t until,
                             int64_t got)
{
    for (uint32_t place = from; place < until && got > 0; place++) {
        uint32_t at = side->priority[place];
        int64_t quantity = side->orders[at].quantity;
        side->accepted[at] = quantity < got ? quantity : got;
        got -= side->accepted[at];
    }
    return got;
}

/* The first place at or after `from` that is of another price, or, with `same_class`, of the other
 * class of orders; adds up the quantities on the way. */
static uint32_t level_end(const struct call_side *side, uint32_t from, bool same_class,
                          int64_t *total)
{
    const struct call_order *first = side_at(side, from);
    uint32_t until = from;
    *total = 0;
    while (until < side->count && side_at(side, until)->price == first->price &&
           (!same_class || side_at(side, until)->resting == first->resting)) {
        *total += side_at(side, until)->quantity;
        until++;
    }
    return until;
}

/* Accepts `volume` from the best order on. */
static void side_accept(const struct call_side *side, int64_t volume, enum call_tie tie,
                        const struct call_scratch *scratch)
{
    int64_t left = volume;
    uint32_t from = 0;
    while (left > 0) {
        MUST(from < side->count);
        int64_t total;
        uint32_t until = level_end(side, from, tie == CALL_TIE_PRO_RATA, &total);
        if (tie == CALL_TIE_PRO_RATA && !side_at(side, from)->resting && total > left) {
            share_pro_rata(side, from, until, left, total, scratch);
            left = 0;
        } else {
            left = fill_in_order(side, from, until, left);
        }
        from = until;
    }
}

/* Sets *worst to the price of the last accepted order and *best_left to that of the first order not
 * accepted in full; false if all are. */
static bool side_prices(const struct call_side *side, int64_t *worst, int64_t *best_left)
{
    bool left = false;
    for (uint32_t place = 0; place < side->count; place++) {
        uint32_t at = side->priority[place];
        if (side->accepted[at] > 0) {
            *worst = side->orders[at].price;
        }
        if (!left && side->accepted[at] < side->orders[at].quantity) {
            left = true;
            *best_left = side->orders[at].price;
        }
    }
    return left;
}

static int128 side_value(const struct call_side *side)
{
    int128 value = 0;
    for (uint32_t i = 0; i < side->count; i++) {
        value += product_i128(side->orders[i].price, side->accepted[i]);
    }
    return value;
}

/* On sides in priority of which nothing is accepted. */
static void clear_sides(struct call_result *out, const struct call_side *buys,
                        const struct call_side *sells, enum call_tie tie,
                        const struct call_scratch *scratch)
{
    memset(out, 0, sizeof *out);
    out->volume = crossing_volume(buys, sells);
    if (out->volume == 0) {
        return;
    }
    side_accept(buys, out->volume, tie, scratch);
    side_accept(sells, out->volume, tie, scratch);

    int64_t bid_worst = 0;
    int64_t ask_worst = 0;
    int64_t bid_left = 0;
    int64_t ask_left = 0;
    bool bids_left = side_prices(buys, &bid_worst, &bid_left);
    bool asks_left = side_prices(sells, &ask_worst, &ask_left);
    out->lower = bids_left && bid_left > ask_worst ? bid_left : ask_worst;
    out->upper = asks_left && ask_left < bid_worst ? ask_left : bid_worst;
    MUST(out->lower <= out->upper);
    /* Floored: the buyers gain the half unit. */
    out->price = (int64_t)div_floor_i128((int128)out->lower + out->upper, 2);
    /* Each sum is at most 2^63 x 2^63, so their difference fits. */
    out->welfare = side_value(buys) - side_value(sells);
    MUST(out->welfare >= 0);
}

bool call_clear(struct call_result *out, const struct call_side *buys,
                const struct call_side *sells, enum call_tie tie,
                const struct call_scratch *scratch)
{
    memset(out, 0, sizeof *out);
    if (!side_prepare(buys, true, tie) || !side_prepare(sells, false, tie)) {
        return false;
    }
    clear_sides(out, buys, sells, tie, scratch);
    return true;
}

static void side_forget(const struct call_side *side)
{
    for (uint32_t i = 0; i < side->count; i++) {
        MUST(side->orders[i].quantity >= 0);
        side->accepted[i] = 0;
    }
}

void call_clear_again(struct call_result *out, const struct call_side *buys,
                      const struct call_side *sells, enum call_tie tie,
                      const struct call_scratch *scratch)
{
    side_forget(buys);
    side_forget(sells);
    clear_sides(out, buys, sells, tie, scratch);
}

/* Moves to the next accepted order of a side with something left; false if there is none. */
static bool pairing_advance(const struct call_side *side, uint32_t *at, int64_t *done)
{
    while (*at < side->count && side->accepted[side->priority[*at]] == *done) {
        (*at)++;
        *done = 0;
    }
    return *at < side->count;
}

bool call_next_trade(struct call_pairing *pairing, struct call_trade *out,
                     const struct call_side *buys, const struct call_side *sells)
{
    bool buy_left = pairing_advance(buys, &pairing->buy_at, &pairing->buy_done);
    bool sell_left = pairing_advance(sells, &pairing->sell_at, &pairing->sell_done);
    MUST(buy_left == sell_left);
    if (!buy_left) {
        return false;
    }
    out->buy = buys->priority[pairing->buy_at];
    out->sell = sells->priority[pairing->sell_at];
    int64_t buy_rest = buys->accepted[out->buy] - pairing->buy_done;
    int64_t sell_rest = sells->accepted[out->sell] - pairing->sell_done;
    out->quantity = buy_rest < sell_rest ? buy_rest : sell_rest;
    pairing->buy_done += out->quantity;
    pairing->sell_done += out->quantity;
    MUST(out->quantity > 0);
    return true;
}
