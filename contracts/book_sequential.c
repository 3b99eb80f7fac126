/* A book whose orders trade as they arrive (market-rules 4; D5.5 2.2.4; docs/spec/market.md 4.2): what
 * contracts/clear_continuous.c computes for a problem that is known whole, order by order on the ledger.
 *
 * An order that arrives walks along the other side, best first, while prices cross. It passes over its own
 * orders, those that trade whole and are larger than what it still wants, and those whose first fill it
 * would make too small. What it would get on that walk is known before anything trades: if that is less
 * than the least that it takes, nothing does. What is left rests, or ends.
 *
 * Invariants:
 * 1. A participant's buy never meets its own sell; the one that came later passes the other over.
 * 2. Time is the place in the chain: the number of the block, then that of the order.
 * 3. Orders at rest may cross only if they are one participant's, or one of them trades whole or asks, or
 *    asked, for a least first fill; they do not meet again, but each new order meets them all.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: prices of the whole book, which a batch has. */
#include "base/fatal.h"
#include "contracts/book_internal.h"

/* An order on its walk. */
struct arrival {
    uint64_t id;
    struct order_record order;
    struct energy got;    /* what the plan gives */
    struct energy wanted; /* of it, beyond that, as far as the grid carries it */
    int32_t place;        /* of an offer: where it loads the grid */
    uint32_t told;        /* offers named as limited by the grid */
    bool grid_open;
};

static struct energy_price price_of_trade(const struct market_create *terms,
                                          const struct order_record *incoming,
                                          struct energy_price resting)
{
    bool buys = incoming->side == SIDE_BUY;
    struct energy_price bid = buys ? incoming->price : resting;
    struct energy_price ask = buys ? resting : incoming->price;
    switch ((enum market_trade_price)terms->clearing.trade_price) {
    case TRADE_PRICE_RESTING:
        return resting;
    case TRADE_PRICE_BID:
        return bid;
    case TRADE_PRICE_ASK:
        return ask;
    case TRADE_PRICE_MIDPOINT:
        /* Floored, prices being at least 0: the buyer gains the half unit. */
        return energy_price_of((energy_price_ueur_per_kwh(bid) + energy_price_ueur_per_kwh(ask)) /
                               2);
    }
    MUST(false);
    return resting;
}

static bool crosses(const struct order_record *incoming, const struct order_record *resting)
{
    int compared = energy_price_compare(incoming->price, resting->price);
    return incoming->side == SIDE_BUY ? compared >= 0 : compared <= 0;
}

/* What the grid lets an offer have of `wanted`; the incoming one, or the one at rest that it meets. */
static struct energy admit(struct contract_call *call, struct arrival *arrival, uint64_t id,
                           const struct order_record *offer, int32_t place, struct energy wanted)
{
    struct grid *grid = ledger_grid(call->ledger);
    int32_t limiter;
    if (place == GRID_PLACE_NONE) {
        return wanted;
    }
    struct energy got = grid_admit(call, grid, place, wanted, book_least(offer), &limiter);
    if (energy_compare(got, wanted) < 0 && arrival->told < BOOK_GRID_EVENTS_MAX) {
        book_grid_tell(call, grid, id, limiter, wanted, got);
        arrival->told++;
    }
    return got;
}

/* The first time that somebody crosses: most orders meet nobody, and need no grid. An incoming offer is cut
 * to what it finds. */
static void open_grid(struct contract_call *call, struct arrival *arrival,
                      const struct market_create *terms)
{
    const struct order_record *incoming = &arrival->order;
    struct grid *grid = ledger_grid(call->ledger);
    if (arrival->grid_open) {
        return;
    }
    arrival->grid_open = true;
    grid_open(call, grid, terms, incoming->period_start, (enum direction)incoming->direction,
              GRID_UNPUBLISHED_IS_FREE);
    arrival->place = book_grid_place(call, grid, terms, incoming);
    arrival->wanted = admit(call, arrival, arrival->id, incoming, arrival->place, arrival->wanted);
}

/* Fills `plan` with whom the order would meet, and how much each would give. */
static enum contract_error walk(struct contract_call *call, struct arrival *arrival,
                                struct book_scratch *plan, const struct market_create *terms)
{
    const struct order_record *incoming = &arrival->order;
    struct book_id book = {incoming->market, incoming->direction, incoming->period_start};
    uint8_t side = incoming->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    struct state_key at = {.size = 0};
    struct order_record resting;
    plan->count = 0;
    while (energy_wh(arrival->wanted) > 0 && book_side_next(call, &book, side, &at)) {
        if (contract_is_spent(call)) {
            return CONTRACT_TOO_MANY_EVENTS;
        }
        uint64_t id = book_index_order(&at);
        if (!book_read_order(call, id, &resting) || !crosses(incoming, &resting)) {
            break;
        }
        open_grid(call, arrival, terms);
        int32_t place = book_grid_place(call, ledger_grid(call->ledger), terms, &resting);
        struct energy take = energy_min(resting.open, arrival->wanted);
        if (name_compare(&resting.participant, &incoming->participant) == 0 ||
            energy_compare(take, book_least(&resting)) < 0 ||
            !book_may_trade(call, &resting, terms)) {
            continue;
        }
        take = admit(call, arrival, id, &resting, place, take);
        if (energy_wh(take) == 0) {
            continue;
        }
        MUST(plan->count < BOOK_ENTRIES_MAX);
        plan->entries[plan->count++] =
            (struct book_entry){.id = id, .price = resting.price, .open = take, .place = place};
        MUST(energy_sub(&arrival->wanted, arrival->wanted, take));
        MUST(energy_add(&arrival->got, arrival->got, take));
    }
    return CONTRACT_OK;
}

static enum contract_error trade(struct contract_call *call, const struct arrival *arrival,
                                 const struct book_scratch *plan,
                                 const struct market_record *market)
{
    bool buys = arrival->order.side == SIDE_BUY;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct book_entry *with = &plan->entries[i];
        if (contract_is_spent(call)) {
            return CONTRACT_TOO_MANY_EVENTS;
        }
        book_make_deal(call, market, buys ? arrival->id : with->id, buys ? with->id : arrival->id,
                       with->open, price_of_trade(&market->terms, &arrival->order, with->price));
        grid_sell(ledger_grid(call->ledger), buys ? with->place : arrival->place, with->open);
    }
    if (arrival->grid_open) {
        grid_close(call, ledger_grid(call->ledger));
    }
    return CONTRACT_OK;
}

enum contract_error book_order_arrived(struct contract_call *call, uint64_t id,
                                       const struct market_record *market)
{
    struct arrival arrival = {.id = id, .place = GRID_PLACE_NONE};
    if (!book_is_sequential(&market->terms) || !book_read_order(call, id, &arrival.order)) {
        return CONTRACT_OK;
    }
    struct book_scratch *plan = ledger_book_scratch(call->ledger);
    arrival.wanted = arrival.order.open;
    enum contract_error error = walk(call, &arrival, plan, &market->terms);
    struct energy got = arrival.got;
    if (error == CONTRACT_OK && energy_compare(got, book_least(&arrival.order)) >= 0) {
        error = trade(call, &arrival, plan, market);
    } else {
        got = energy_of(0);
    }
    if (error != CONTRACT_OK || arrival.order.options.kind == ORDER_LIMIT ||
        energy_compare(got, arrival.order.open) == 0) {
        return error;
    }
    if (book_read_order(call, id, &arrival.order)) {
        book_end_order(call, id, &arrival.order, &market->terms, ORDER_CANCELLED);
    }
    return CONTRACT_OK;
}
