/* See call_model.h. Quadratic and worse on purpose: nothing here is clever enough to share a mistake
 * with the code that it judges. */
#include "tests/lib/contracts/call_model.h"

#include <stddef.h>

int64_t model_volume(const struct model_side *buys, const struct model_side *sells, int64_t from,
                     int64_t until)
{
    int64_t best = 0;
    for (int64_t price = from; price <= until; price++) {
        int64_t demand = 0;
        int64_t supply = 0;
        for (uint32_t i = 0; i < buys->count; i++)
            demand += buys->orders[i].price >= price ? buys->orders[i].quantity : 0;
        for (uint32_t i = 0; i < sells->count; i++)
            supply += sells->orders[i].price <= price ? sells->orders[i].quantity : 0;
        int64_t both = demand < supply ? demand : supply;
        best = both > best ? both : best;
    }
    return best;
}

/* For each total, the best value that a side can make of it: an exhaustive search. */
static void search(const struct model_side *side, uint32_t at, int64_t total, int64_t value,
                   int sign, int64_t *best, bool *seen)
{
    if (at == side->count) {
        if (!seen[total] || value > best[total])
            best[total] = value;
        seen[total] = true;
        return;
    }
    for (int64_t q = 0; q <= side->orders[at].quantity; q++)
        search(side, at + 1, total + q, value + sign * q * side->orders[at].price, sign, best,
               seen);
}

enum { MODEL_TOTAL_MAX = 256 };

void model_best_allocation(const struct model_side *buys, const struct model_side *sells,
                           int64_t *welfare, int64_t *volume)
{
    int64_t utility[MODEL_TOTAL_MAX] = {0};
    int64_t cost[MODEL_TOTAL_MAX] = {0};
    bool buyable[MODEL_TOTAL_MAX] = {false};
    bool sellable[MODEL_TOTAL_MAX] = {false};
    search(buys, 0, 0, 0, 1, utility, buyable);
    search(sells, 0, 0, 0, -1, cost, sellable);
    *welfare = 0;
    *volume = 0;
    for (int64_t total = 0; total < MODEL_TOTAL_MAX; total++) {
        if (buyable[total] && sellable[total] && utility[total] + cost[total] >= *welfare) {
            *welfare = utility[total] + cost[total];
            *volume = total;
        }
    }
}

bool model_supports(const struct model_side *buys, const struct model_side *sells, int64_t price)
{
    for (uint32_t i = 0; i < buys->count; i++) {
        const struct call_order *order = &buys->orders[i];
        if ((order->price > price && buys->accepted[i] != order->quantity) ||
            (order->price < price && buys->accepted[i] != 0))
            return false;
    }
    for (uint32_t i = 0; i < sells->count; i++) {
        const struct call_order *order = &sells->orders[i];
        if ((order->price < price && sells->accepted[i] != order->quantity) ||
            (order->price > price && sells->accepted[i] != 0))
            return false;
    }
    return true;
}

static bool is_better(bool buying, int64_t a, int64_t b)
{
    return buying ? a > b : a < b;
}

/* Gives steps one at a time to the earliest order of the level that has room. */
static int64_t share_by_time(struct model_side *side, int64_t price, bool only_resting,
                             int64_t volume)
{
    while (volume > 0) {
        int found = -1;
        for (uint32_t i = 0; i < side->count; i++) {
            const struct call_order *order = &side->orders[i];
            if (order->price == price && (!only_resting || order->resting) &&
                side->accepted[i] < order->quantity &&
                (found < 0 || order->rank < side->orders[found].rank))
                found = (int)i;
        }
        if (found < 0)
            break;
        side->accepted[found]++;
        volume--;
    }
    return volume;
}

static int64_t share_in_proportion(struct model_side *side, int64_t price, int64_t volume)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < side->count; i++)
        if (side->orders[i].price == price && !side->orders[i].resting)
            total += side->orders[i].quantity;
    int64_t got = volume < total ? volume : total;
    if (got == 0)
        return volume;
    int64_t given = 0;
    bool topped[MODEL_SIDE_MAX] = {false};
    for (uint32_t i = 0; i < side->count; i++) {
        if (side->orders[i].price == price && !side->orders[i].resting) {
            side->accepted[i] = side->orders[i].quantity * got / total;
            given += side->accepted[i];
        }
    }
    for (; given < got; given++) {
        int found = -1;
        for (uint32_t i = 0; i < side->count; i++) {
            const struct call_order *order = &side->orders[i];
            if (order->price != price || order->resting || topped[i])
                continue;
            int64_t rest = order->quantity * got % total;
            int64_t rest_found = found < 0 ? -1 : side->orders[found].quantity * got % total;
            if (rest > rest_found || (rest == rest_found && order->rank < side->orders[found].rank))
                found = (int)i;
        }
        side->accepted[found]++;
        topped[found] = true;
    }
    return volume - got;
}

void model_share(struct model_side *side, bool buying, int64_t volume, enum call_tie tie)
{
    bool done[MODEL_SIDE_MAX] = {false};
    for (uint32_t i = 0; i < side->count; i++)
        side->accepted[i] = 0;
    for (;;) {
        const struct call_order *best = NULL;
        for (uint32_t i = 0; i < side->count; i++)
            if (!done[i] && (best == NULL || is_better(buying, side->orders[i].price, best->price)))
                best = &side->orders[i];
        if (best == NULL)
            return;
        for (uint32_t i = 0; i < side->count; i++)
            done[i] = done[i] || side->orders[i].price == best->price;
        if (tie == CALL_TIE_TIME) {
            volume = share_by_time(side, best->price, false, volume);
        } else {
            volume = share_by_time(side, best->price, true, volume);
            volume = share_in_proportion(side, best->price, volume);
        }
    }
}
