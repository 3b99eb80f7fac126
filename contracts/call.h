/* The merit-order call auction, pure: arrays in, arrays out (market-rules 4 and 5; D2.3 eq. 3-4 to
 * 3-6 and 3-15; D5.5 2.2.4; docs/spec/market.md).
 *
 * Prices and quantities are plain integers here, because one and the same code clears energy (ueur
 * per kWh, Wh or steps of it) and power (ueur per kW, W). The caller says which, and gets a price
 * in the unit that it put in. Nothing here allocates, and nothing depends on where in its array an
 * order stands as long as the ranks of a side are distinct. NULL is never a valid argument. */
#ifndef FLEX_CONTRACTS_CALL_H
#define FLEX_CONTRACTS_CALL_H

#include "base/checked.h"

/* Who comes first among equal prices of a side, where not all of them fit. */
enum call_tie {
    CALL_TIE_TIME,    /* by rank; `resting` is ignored */
    CALL_TIE_PRO_RATA /* resting orders by rank; what is left over goes to the others in proportion
                         to quantity: floor, then largest remainder, then rank */
};

struct call_order {
    int64_t price;
    int64_t quantity; /* above 0, in whole indivisible steps */
    uint64_t rank;    /* time: lower is earlier; equal ranks fall back to the place in the array */
    bool resting;
};

/* One side. `accepted` and `priority` have room for `count` entries and are outputs: the quantity
 * that each order trades, and the orders' places from first to last in priority. */
struct call_side {
    uint32_t count;
    const struct call_order *orders;
    int64_t *accepted;
    uint32_t *priority;
};

/* Scratch of the caller's for as many entries as the larger side has. */
struct call_scratch {
    uint32_t *index;
    int64_t *remainder;
};

struct call_result {
    int64_t volume; /* 0: nothing trades, and there is no price */
    int64_t lower;  /* the prices that support the allocation */
    int64_t upper;
    int64_t price;  /* their midpoint, floored */
    int128 welfare; /* utility - cost, in price x quantity */
};

/* Accepts the largest volume that prices allow, zero-surplus trades too, so that welfare is the
 * maximum as well. O(n log n). False, and nothing is accepted, if the quantities of a side do not
 * add up in int64 or one is not above 0. */
MUST_USE bool call_clear(struct call_result *out, const struct call_side *buys,
                         const struct call_side *sells, enum call_tie tie,
                         const struct call_scratch *scratch);

/* Clears sides that call_clear has cleared once more, after orders were taken out of them by setting their
 * quantity to 0; nothing else of them may have changed. */
void call_clear_again(struct call_result *out, const struct call_side *buys,
                      const struct call_side *sells, enum call_tie tie,
                      const struct call_scratch *scratch);

/* Who trades with whom, after call_clear: first in priority with first in priority. */
struct call_trade {
    uint32_t buy;
    uint32_t sell;
    int64_t quantity;
};
struct call_pairing {
    uint32_t buy_at;
    uint32_t sell_at;
    int64_t buy_done; /* of the order at buy_at */
    int64_t sell_done;
};
/* Starts from a zeroed pairing; false after the last trade. At most count + count - 1 of them. */
bool call_next_trade(struct call_pairing *pairing, struct call_trade *out,
                     const struct call_side *buys, const struct call_side *sells);

/* Sorts places by `before`, which must be a strict total order. In place, O(n log n) at worst. */
typedef bool (*call_before)(const void *context, uint32_t a, uint32_t b);
void call_sort(uint32_t *index, uint32_t count, call_before before, const void *context);

#endif
