/* A slow, plain model of the call auction, written from market-rules 5 without looking at call.c: it
 * tries prices and allocations instead of sorting and walking. */
#ifndef FLEX_TESTS_CONTRACTS_CALL_MODEL_H
#define FLEX_TESTS_CONTRACTS_CALL_MODEL_H

#include "contracts/call.h"

enum { MODEL_SIDE_MAX = 8 };

struct model_side {
    uint32_t count;
    struct call_order orders[MODEL_SIDE_MAX];
    int64_t accepted[MODEL_SIDE_MAX];
};

/* The largest volume, as the best over all prices in [from, until] of what both sides would do. */
int64_t model_volume(const struct model_side *buys, const struct model_side *sells, int64_t from,
                     int64_t until);
/* The greatest welfare and, among the allocations that reach it, the largest volume, by trying every
 * allocation. Exponential. */
void model_best_allocation(const struct model_side *buys, const struct model_side *sells,
                           int64_t *welfare, int64_t *volume);
/* Does this price support what both sides accepted? Whoever would gain more trades in full, whoever
 * would lose trades nothing. */
bool model_supports(const struct model_side *buys, const struct model_side *sells, int64_t price);
/* Fills accepted for a side that gets `volume`, by the tie rule, one step at a time. */
void model_share(struct model_side *side, bool buying, int64_t volume, enum call_tie tie);

#endif
