/* From a coupled auction's solution to deals and money (docs/spec/coupled.md 14; market-rules 3 and 7; D2.3
 * 3.3.3 and 4.2.3).
 *
 * What each bid pays or gets is coupled_settle's, rounded so that each participant's parts add up to its
 * total, rounded down once: the n-th bid of a participant gets floor(x1 + .. + xn) - floor(x1 + .. + xn-1).
 * Within each interval and carrier accepted buys and sells are paired first with first, best price first,
 * and a bid's amount is split over its deals by quantity, in running floors. Deals are those of call
 * auctions, worth an amount (auction_deal.c).
 *
 * Invariants:
 * 1. No buy pays more than it has locked for what it gets, and no sell gets less than it asked for.
 * 2. Escrows + what is given at once + what the market's account gets at once = what buys pay.
 * 3. Nobody has a deal with itself.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: what the network earns on a deal that waits for its delivery (deal.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"
#include "contracts/coupled_internal.h"

enum { NEUR_PER_UEUR = 1000 };

/* --- loading -------------------------------------------------------------------------------- */

static bool load_bids(const struct contract_call *call, struct auction_scratch *scratch,
                      const struct coupled_auction_problem *auction)
{
    scratch->count = auction->problem.bid_count;
    scratch->agent_count = auction->problem.agent_count;
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct coupled_bid *bid = &auction->problem.bids[i];
        struct order_record order;
        if (!book_read_order(call, auction->orders[i], &order)) {
            return false;
        }
        scratch->bids[i] = (struct auction_bid){.id = auction->orders[i],
                                                .participant = order.participant,
                                                .agent = bid->agent,
                                                .rank = order.options.rank,
                                                .buys = bid->buy,
                                                .price = bid->price,
                                                .quantity = bid->quantity,
                                                .open = energy_wh(order.open),
                                                .place = (int32_t)bid->place,
                                                .slot = bid->slot};
    }
    return true;
}

/* --- amounts -------------------------------------------------------------------------------- */

/* What each bid gets, in ueur; below 0: pays. In the order of bids, so it is in agent_ueur's room. */
static bool round_bids(struct auction_scratch *scratch, const struct coupled_plan *plan,
                       const struct coupled_settlement *paid, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    size_t mark = arena->used;
    int128 *so_far = clear_take(arena, problem->agent_count, sizeof *so_far);
    int128 unit;
    bool good = checked_mul_i128(&unit, paid->den, NEUR_PER_UEUR);
    for (uint32_t i = 0; i < problem->bid_count && good; i++) {
        int128 *sum = &so_far[problem->bids[i].agent];
        int128 before = div_floor_i128(*sum, unit);
        good = checked_add_i128(sum, *sum, paid->bid[i]);
        scratch->agent_ueur[i] = good ? div_floor_i128(*sum, unit) - before : 0;
    }
    for (uint32_t i = 0; i < problem->agent_count && good; i++) {
        MUST(so_far[i] == paid->agent[i]);
    }
    arena->used = mark;
    return good;
}

/* Invariant 1, of every bid, before anything is carried out. */
static void assert_within_limits(const struct auction_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        int128 worth = product_i128(bid->price, scratch->accepted[i]);
        MUST(bid->buys ? scratch->agent_ueur[i] >= -div_ceil_i128(worth, NEUR_PER_UEUR)
                       : scratch->agent_ueur[i] >= div_floor_i128(worth, NEUR_PER_UEUR));
        MUST(scratch->accepted[i] <= bid->open);
    }
}

/* --- pairs ---------------------------------------------------------------------------------- */

struct pairing {
    const struct auction_bid *bids;
    uint32_t nodes; /* place / nodes: the carrier */
};

/* By interval and carrier, then the best price, then time. */
static bool pair_before(const void *context, uint32_t a, uint32_t b)
{
    const struct pairing *pairing = context;
    const struct auction_bid *x = &pairing->bids[a];
    const struct auction_bid *y = &pairing->bids[b];
    uint32_t carrier_x = (uint32_t)x->place / pairing->nodes;
    uint32_t carrier_y = (uint32_t)y->place / pairing->nodes;
    if (x->slot != y->slot) {
        return x->slot < y->slot;
    }
    if (carrier_x != carrier_y) {
        return carrier_x < carrier_y;
    }
    if (x->price != y->price) {
        return x->buys ? x->price > y->price : x->price < y->price;
    }
    return a < b;
}

static uint32_t accepted_side(const struct auction_scratch *scratch, uint32_t *out, bool buys,
                              uint32_t nodes)
{
    const struct pairing pairing = {scratch->bids, nodes};
    uint32_t count = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        if (scratch->bids[i].buys == buys && scratch->accepted[i] > 0) {
            out[count++] = i;
        }
    }
    call_sort(out, count, pair_before, &pairing);
    return count;
}

/* The n-th part of an amount by quantity: parts add up to it, and have its sign or are 0. */
static int64_t part_of(int128 amount, int64_t done, int64_t more, int64_t whole)
{
    int128 size = amount < 0 ? -amount : amount;
    /* An amount is under 2^63 and a quantity under 2^62. */
    int128 part = size * (done + more) / whole - size * done / whole;
    int64_t out;
    MUST(checked_narrow_i64(&out, amount < 0 ? -part : part));
    return out;
}

/* In every interval and carrier as much is bought as is sold, so both lists end together in each. */
static void pair(struct auction_scratch *scratch)
{
    uint32_t i = 0;
    uint32_t j = 0;
    int64_t buy_done = 0;
    int64_t sell_done = 0;
    scratch->deal_count = 0;
    while (i < scratch->buy_count && j < scratch->sell_count) {
        const uint32_t buy = scratch->buys[i];
        const uint32_t sell = scratch->sells[j];
        int64_t buy_rest = scratch->accepted[buy] - buy_done;
        int64_t sell_rest = scratch->accepted[sell] - sell_done;
        int64_t step = buy_rest < sell_rest ? buy_rest : sell_rest;
        MUST(step > 0 && scratch->deal_count < AUCTION_BIDS_MAX);
        MUST(scratch->bids[buy].slot == scratch->bids[sell].slot);
        struct auction_deal *deal = &scratch->deals[scratch->deal_count++];
        *deal = (struct auction_deal){
            .buy = buy,
            .sell = sell,
            .quantity = step,
            .sold = part_of(scratch->agent_ueur[sell], sell_done, step, scratch->accepted[sell]),
            .bought = scratch->agent_ueur[buy] < 0 ? part_of(-scratch->agent_ueur[buy], buy_done,
                                                             step, scratch->accepted[buy])
                                                   : 0};
        deal->price = auction_average_price(deal);
        buy_done = step == buy_rest ? 0 : buy_done + step;
        sell_done = step == sell_rest ? 0 : sell_done + step;
        i += step == buy_rest;
        j += step == sell_rest;
    }
    MUST(i == scratch->buy_count && j == scratch->sell_count && buy_done == 0 && sell_done == 0);
}

static struct money sum_of(int128 value)
{
    int64_t narrow;
    MUST(checked_narrow_i64(&narrow, value) && narrow >= 0);
    return money_of(narrow);
}

static void plan_money(struct auction_scratch *scratch, struct coupled_record *record)
{
    int128 bought = 0;
    int128 sold = 0;
    int128 given = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        int128 gets = scratch->agent_ueur[i];
        bought += scratch->bids[i].buys && gets < 0 ? -gets : 0;
        given += scratch->bids[i].buys && gets > 0 ? gets : 0;
        sold += scratch->bids[i].buys ? 0 : gets;
    }
    record->bought = sum_of(bought);
    record->sold = sum_of(sold);
    record->given = sum_of(given);
    record->deals = scratch->deal_count;
    /* Parts were rounded down, and prices leave nothing uncovered. */
    record->surplus = auction_keep_surplus(scratch, bought - sold - given);
    MUST(bought >= sold + given);
}

bool coupled_plan_deals(struct contract_call *call, const struct coupled_id *id,
                        struct coupled_record *record, const struct market_record *market)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct auction_scratch *deals = ledger_auction_scratch(call->ledger);
    const struct coupled_auction_problem *auction = &scratch->auction;
    struct coupled_settlement paid;
    struct coupled_draft draft;
    struct coupled_claim claim;
    struct coupled_break broken;
    (void)market;
    const size_t mark = scratch->arena.used;
    deals->deal_count = 0;
    if (!coupled_read_best(call, &draft, id, record) || !load_bids(call, deals, auction)) {
        return false;
    }
    const struct coupled_solution whole = coupled_draft_view(&draft);
    struct coupled_solution solution;
    contract_spend(call, auction->problem.bid_count);
    coupled_binding_part(&solution, scratch->bound, &auction->problem, &whole, &scratch->arena);
    MUST(coupled_check_quantities(&claim, &broken, scratch->plan, &solution, &scratch->arena));
    MUST(claim.welfare >= 0);
    memcpy(deals->accepted, solution.accepted,
           auction->problem.bid_count * sizeof deals->accepted[0]);
    MUST(coupled_settle(&paid, scratch->plan, &solution, &scratch->arena));
    MUST(round_bids(deals, scratch->plan, &paid, &scratch->arena));
    assert_within_limits(deals);
    deals->buy_count = accepted_side(deals, deals->buys, true, auction->node_count);
    deals->sell_count = accepted_side(deals, deals->sells, false, auction->node_count);
    pair(deals);
    plan_money(deals, record);
    scratch->arena.used = mark;
    return true;
}

/* --- carrying it out ------------------------------------------------------------------------ */

/* Where the market's surplus goes; the fee pool if nobody has the account that its terms name. */
static struct pot_id surplus_pot(const struct contract_call *call,
                                 const struct market_create *terms)
{
    struct state_key key = state_key_name(STATE_PARTICIPANT, &terms->clearing.reserve_account);
    return contract_exists(call, &key) ? pot_balance(&terms->clearing.reserve_account) : pot_fees();
}

void coupled_settle_deals(struct contract_call *call, struct coupled_record *record,
                          const struct market_record *market)
{
    struct auction_scratch *scratch = ledger_auction_scratch(call->ledger);
    struct counters_record counters = {0};
    struct state_key key = state_key_single(STATE_COUNTERS);
    if (!book_read(call, &key, &counters_record_codec, &counters)) {
        return;
    }
    record->first_deal = scratch->deal_count > 0 ? counters.deals + 1 : 0;
    for (uint32_t i = 0; i < scratch->buy_count; i++) {
        auction_end_request(call, scratch, scratch->buys[i], &market->terms);
    }
    auction_collect(call, scratch);
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        auction_make_deal(call, scratch, &scratch->deals[i], market);
    }
    auction_tell_expired(call, scratch);
    for (uint32_t i = 0; i < scratch->buy_count; i++) {
        const uint32_t at = scratch->buys[i];
        if (scratch->agent_ueur[at] > 0) {
            book_move(call, purse_of_pot(pot_fees()),
                      purse_of_balance(&scratch->bids[at].participant),
                      sum_of(scratch->agent_ueur[at]));
        }
    }
    struct pot_id surplus = surplus_pot(call, &market->terms);
    if (surplus.kind != POT_FEES) {
        book_move(call, purse_of_pot(pot_fees()), purse_of_pot(surplus), record->surplus);
    }
}

/* --- telling -------------------------------------------------------------------------------- */

/* Prices of a carrier's nodes in one interval, floored, and what is sold there. */
static void fill_slot(struct event_coupled_slot *event,
                      const struct coupled_auction_problem *auction,
                      const struct coupled_solution *solution, const int128 *price, uint32_t slot,
                      uint32_t carrier)
{
    const struct coupled_problem *problem = &auction->problem;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    for (uint32_t node = 0; node < auction->node_count; node++) {
        int64_t at = INT64_MAX;
        size_t cell = (size_t)slot * problem->place_count + carrier * auction->node_count + node;
        int128 floored = div_floor_i128(price[cell], solution->den);
        if (!checked_narrow_i64(&at, floored)) {
            at = floored < 0 ? INT64_MIN : INT64_MAX;
        }
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    int64_t quantity = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        if (!bid->buy && bid->slot == slot && bid->place / auction->node_count == carrier) {
            quantity += solution->accepted[i];
        }
    }
    event->quantity = energy_of(quantity);
    event->price_least = energy_price_of(least);
    event->price_most = energy_price_of(most);
}

void coupled_tell_slots(struct contract_call *call, const struct coupled_id *id,
                        const struct market_create *terms, const struct coupled_solution *solution)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    const struct coupled_auction_problem *auction = &scratch->auction;
    const struct coupled_problem *problem = &auction->problem;
    struct clear_arena *arena = &scratch->arena;
    const size_t mark = arena->used;
    bool bound[COUPLED_AUCTION_SLOTS_MAX];
    int128 *price = clear_take(arena, scratch->plan->cells, sizeof *price);
    coupled_bound_slots(bound, problem, solution->accepted, arena);
    if (coupled_prices(price, scratch->plan, solution) && auction->node_count > 0) {
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            for (uint32_t carrier = 0; carrier < auction->carrier_count; carrier++) {
                struct event_coupled_slot event = {.market = id->market,
                                                   .start = id->start,
                                                   .direction = id->direction,
                                                   .carrier = auction->carriers[carrier],
                                                   .period_start =
                                                       coupled_slot_start(terms, id, slot),
                                                   .forecast = !bound[slot]};
                fill_slot(&event, auction, solution, price, slot, carrier);
                contract_event(call, EVENT_COUPLED_SLOT, &event);
            }
        }
    }
    arena->used = mark;
}
