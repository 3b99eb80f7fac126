/* The engine of the floor: quantities and flows that are moved by trades along lines, in integers
 * (docs/spec/coupled.md 6). One trade takes energy from one bid at one place, a sell that gives
 * more or a buy that takes less, through lines with room, to another bid. */
#ifndef FLEX_CONTRACTS_CLEAR_COUPLED_FLOOR_H
#define FLEX_CONTRACTS_CLEAR_COUPLED_FLOOR_H

#include "contracts/clear_coupled_internal.h"

/* Rooms and structure of the parts of a network that are trees (clear_coupled_tree.c). */
struct coupled_trees;

struct coupled_engine {
    const struct coupled_plan *plan;
    struct coupled_trees *trees;
    int64_t *accepted;
    int64_t *flow;
    int64_t *low; /* per bid: where it may move without anything going on or off */
    int64_t *high;
    int128 *row_sum;   /* [slot][row] */
    int64_t *link_sum; /* per link */
    bool overflow;     /* a row's sum left 128 bits: nothing moves any more */
    bool reverse;      /* accepted bids may give way again */
    uint64_t steps;
    uint8_t *frozen;      /* per bid: a sum stands in its way */
    uint8_t *no_inject;   /* per cell: a row stands in its way */
    uint8_t *no_withdraw; /* per cell */
    uint8_t *dead;        /* per place, of the slot at hand */
    uint32_t *rising_at;  /* per cell: before it in `rising` nothing can inject */
    uint32_t *falling_at;
    uint32_t *rising_rank; /* per bid */
    uint32_t *falling_rank;
    uint32_t *via; /* per place: the arc of the search that leads to or from it */
    uint32_t *seen;
    uint32_t *queue;
    uint32_t queue_count;
    uint32_t stamp;
    /* What a trial has moved, for taking it back. */
    uint32_t *journal_bid;
    int64_t *journal_delta;
    uint32_t journal_count;
    int64_t *journal_flow;
    uint32_t *freeze_log; /* 3 x item, + 0 bid, + 1 no_inject, + 2 no_withdraw */
    uint32_t freeze_count;
    uint32_t trial; /* the bid that is tried, or COUPLED_NONE */
};

/* Reads sums off the draft's quantities; nothing may move until `low` and `high` are set. */
void coupled_engine_create(struct coupled_engine *out, const struct coupled_plan *plan,
                           struct coupled_draft *draft, struct clear_arena *arena);
/* Lets everything be looked at again, after low, high or `reverse` have changed. */
void coupled_engine_restart(struct coupled_engine *engine, bool reverse);
/* Trades between movable bids of one slot while they gain; true if anything moved. */
bool coupled_engine_trade(struct coupled_engine *engine, uint32_t slot);
/* Puts `bid`, at 0, to at least its least quantity if that gains; else leaves all as it was. */
bool coupled_engine_switch_on(struct coupled_engine *engine, uint32_t bid);
/* Moves what arrives at a place but isn't taken (`excess` above 0; below 0: what is missing) to
 * where it is needed, then into bids. `excess` per place of the slot. False if it can't. */
bool coupled_engine_balance(struct coupled_engine *engine, uint32_t slot, int128 *excess);

/* The best that movable bids can do by trades among each other, on all parts of the network that are
 * trees without rows; bids in sums stay where they are. True if anything moved. */
struct coupled_trees *coupled_trees_take(const struct coupled_plan *plan,
                                         struct clear_arena *arena);
void coupled_trees_find(struct coupled_trees *trees, const struct coupled_plan *plan);
bool coupled_trees_trade(struct coupled_engine *engine, uint32_t slot);
/* Has the last coupled_trees_trade left nothing to trade at this place? */
bool coupled_trees_done(const struct coupled_trees *trees, uint32_t place);

#endif
