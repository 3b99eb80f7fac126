/* Who pays what after a coupled auction (market-rules 7, "Settlement"; D2.3 3.3.3;
 * docs/spec/coupled.md 5).
 *
 * Bids settle at the price of their place. Who is made whole is a unit: a bid by itself, or all
 * bids that links, sums and a buyer's steps join. Losses are made good from what the network earns,
 * then by the units that gain, in proportion to their gain.
 *
 * Invariants, asserted: 1. agents and what is left add up to 0 exactly. 2. Where welfare is not
 * negative no unit loses, and no bid of one: what a bid gains gives way to what another of its unit
 * loses. 3. Rounding is each agent's own, once, towards minus infinity.
 *
 * Deliberately absent: accounts; the caller moves the money. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

enum { NEUR_PER_UEUR = 1000 };

/* A table of one unit's share each. Units are named by their first bid, so this is their order. */
struct shares {
    const int128 *gain;
    const int128 *rest; /* remainders, in the order of largest first */
};

/* floor(a x b / c) and its remainder for 0 <= a, 0 <= b <= c, c > 0: the product has up to 254 bits,
 * so it is built and divided bit by bit. */
static int128 share_floor(int128 a, int128 b, int128 c, int128 *rest)
{
    uint128 quotient = 0, remainder = 0;
    for (int bit = 126; bit >= 0; bit--) {
        /* quotient x c + remainder is (the bits of a so far) x b. c is under 2^127. */
        quotient <<= 1;
        remainder <<= 1;
        if (remainder >= (uint128)c) {
            remainder -= (uint128)c;
            quotient++;
        }
        if (((uint128)a >> bit & 1) != 0) {
            remainder += (uint128)b;
            if (remainder >= (uint128)c) {
                remainder -= (uint128)c;
                quotient++;
            }
        }
    }
    *rest = (int128)remainder;
    return (int128)quotient;
}

static bool rest_before(const void *context, uint32_t a, uint32_t b)
{
    const struct shares *shares = context;
    if (shares->rest[a] != shares->rest[b]) {
        return shares->rest[a] > shares->rest[b];
    }
    return a < b;
}

/* Shares `amount` out in proportion to gains above 0: floors, then one more each by largest
 * remainder, then order. Adds the negated shares to `out`. amount <= the sum of gains. */
static void charge_gainers(int128 *out, const struct coupled_plan *plan, const int128 *gain,
                           int128 gains, int128 amount, struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint32_t count = 0;
    int128 *rest = clear_take(arena, plan->problem->bid_count, sizeof *rest);
    uint32_t *gainers = clear_take(arena, plan->problem->bid_count, sizeof *gainers);
    int128 left = amount;
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        if (gain[i] > 0) {
            int128 share = share_floor(amount, gain[i], gains, &rest[i]);
            out[i] -= share;
            left -= share;
            gainers[count++] = i;
        }
    }
    MUST(left >= 0 && left <= count);
    struct shares shares = {gain, rest};
    call_sort(gainers, count, rest_before, &shares);
    for (uint32_t i = 0; i < (uint32_t)left; i++) {
        MUST(rest[gainers[i]] > 0); /* so no share passes its gain */
        out[gainers[i]] -= 1;
    }
    arena->used = mark;
}

/* What a bid gets for its accepted quantity at its own price; below 0 for a buy. */
static int128 own_worth(const struct coupled_plan *plan, const struct coupled_solution *solution,
                        uint32_t at)
{
    const struct coupled_bid *bid = &plan->problem->bids[at];
    return product_i128(bid->price, bid->buy ? -solution->accepted[at] : solution->accepted[at]);
}

/* What units gain at the prices, and what agents get before anybody is made whole. */
static bool sum_gains(struct coupled_settlement *out, int128 *gain, const struct coupled_plan *plan,
                      const struct coupled_solution *solution)
{
    const struct coupled_problem *problem = plan->problem;
    struct coupled_sum paid = {0};
    bool good = true;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        int64_t side = bid->buy ? -solution->accepted[i] : solution->accepted[i];
        struct coupled_sum agent = {out->agent[bid->agent], false};
        struct coupled_sum unit = {gain[plan->unit_of[i]], false};
        struct coupled_sum money = {0};
        coupled_add_product(&money, out->price[coupled_cell(problem, bid)], side);
        coupled_add(&agent, money.value);
        coupled_add(&unit, money.value);
        coupled_add_product(&unit, product_i128(bid->price, -side), solution->den);
        coupled_add(&paid, money.value);
        int128 loss; /* what is lost is made good, so it must be a number, too */
        unit.overflow = !checked_sub_i128(&loss, 0, unit.value) || unit.overflow;
        out->bid[i] = money.value;
        out->agent[bid->agent] = agent.value;
        gain[plan->unit_of[i]] = unit.value;
        good = good && !money.overflow && !agent.overflow && !unit.overflow && !paid.overflow;
    }
    return good && checked_sub_i128(&out->surplus, 0, paid.value);
}

/* Losses made good, and who bears what the surplus does not cover. */
static bool make_whole(struct coupled_settlement *out, const struct coupled_plan *plan,
                       const int128 *gain, int128 *paid, struct clear_arena *arena)
{
    struct coupled_sum losses = {0}, gains = {0};
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        coupled_add(gain[i] < 0 ? &losses : &gains, gain[i] < 0 ? -gain[i] : gain[i]);
    }
    struct coupled_sum need = losses;
    int128 negated;
    if (losses.overflow || gains.overflow || !checked_sub_i128(&negated, 0, out->surplus)) {
        return false;
    }
    coupled_add(&need, negated);
    if (need.overflow) {
        return false;
    }
    if (need.value > gains.value) { /* welfare is below 0 */
        out->short_of = losses.value;
        out->left = out->surplus;
        return true;
    }
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        paid[i] = gain[i] < 0 ? -gain[i] : 0;
    }
    if (need.value > 0) {
        charge_gainers(paid, plan, gain, gains.value, need.value, arena);
        out->charged = need.value;
    } else {
        out->left = -need.value;
    }
    out->make_whole = losses.value;
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        MUST(gain[i] + paid[i] >= 0); /* individual rationality, before rounding */
    }
    return true;
}

/* The parts of bids in what their units get (`paid`) and agents in all: a unit's gain G goes to the bids
 * that gain at the prices, together P, in proportion, and those that lose there come out at 0. G is at
 * most P: a unit that is made whole has G = 0, any other is paid nothing. Running floors, in the order of
 * bids. False: a number left 128 bits, an agent's sum on the way included: who rounds adds up in this order
 * (contracts/coupled_deal.c). */
static bool split_units(struct coupled_settlement *out, const struct coupled_plan *plan,
                        const struct coupled_solution *solution, const int128 *gain,
                        const int128 *paid, struct clear_arena *arena)
{
    const uint32_t bids = plan->problem->bid_count;
    size_t mark = arena->used;
    int128 *gainers = clear_take(arena, bids, sizeof *gainers); /* per unit: P, and P so far */
    int128 *so_far = clear_take(arena, bids, sizeof *so_far);
    int128 *own = clear_take(arena, bids, sizeof *own);
    bool good = true;
    for (uint32_t i = 0; i < bids && good; i++) {
        struct coupled_sum sum = {gainers[plan->unit_of[i]], false};
        struct coupled_sum mine = {out->bid[i], false};
        coupled_add_product(&mine, -own_worth(plan, solution, i), solution->den);
        own[i] = mine.value;
        coupled_add(&sum, own[i] > 0 ? own[i] : 0);
        gainers[plan->unit_of[i]] = sum.value;
        good = !sum.overflow && !mine.overflow;
    }
    for (uint32_t i = 0; i < bids && good; i++) {
        const uint32_t unit = plan->unit_of[i];
        const int128 most = gainers[unit];
        int128 final = 0;
        if (own[i] > 0) {
            int128 rest;
            const int128 left = gain[unit] + paid[unit];
            MUST(left >= 0 && left <= most);
            const int128 before = left == most ? 0 : share_floor(left, so_far[unit], most, &rest);
            so_far[unit] += own[i];
            final = left == most ? own[i] : share_floor(left, so_far[unit], most, &rest) - before;
        }
        struct coupled_sum gets = {final, false};
        coupled_add_product(&gets, own_worth(plan, solution, i), solution->den);
        out->bid[i] = gets.value;
        int128 *so_far_of =
            &out->agent_ueur[plan->problem->bids[i].agent]; /* its room is free yet */
        good = !gets.overflow && checked_add_i128(so_far_of, *so_far_of, gets.value);
    }
    arena->used = mark;
    return good;
}

static bool round_agents(struct coupled_settlement *out, const struct coupled_plan *plan)
{
    struct coupled_sum exact = {out->left, false};
    struct coupled_sum rounded = {0};
    int128 unit;
    if (!checked_mul_i128(&unit, out->den, NEUR_PER_UEUR)) {
        return false;
    }
    for (uint32_t i = 0; i < plan->problem->agent_count; i++) {
        out->agent_ueur[i] = div_floor_i128(out->agent[i], unit);
        coupled_add(&exact, out->agent[i]);
        coupled_add(&rounded, out->agent_ueur[i]);
    }
    out->balance_ueur = rounded.value;
    MUST(exact.overflow || exact.value == 0);
    return !exact.overflow && !rounded.overflow;
}

bool coupled_settle(struct coupled_settlement *out, const struct coupled_plan *plan,
                    const struct coupled_solution *solution, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    *out = (struct coupled_settlement){.den = solution->den};
    out->price = clear_take(arena, plan->cells, sizeof *out->price);
    out->bid = clear_take(arena, problem->bid_count, sizeof *out->bid);
    out->agent = clear_take(arena, problem->agent_count, sizeof *out->agent);
    out->agent_ueur = clear_take(arena, problem->agent_count, sizeof *out->agent_ueur);
    size_t mark = arena->used;
    int128 *gain = clear_take(arena, problem->bid_count, sizeof *gain);
    int128 *paid = clear_take(arena, problem->bid_count, sizeof *paid);
    bool good = coupled_prices(out->price, plan, solution) &&
                sum_gains(out, gain, plan, solution) && make_whole(out, plan, gain, paid, arena);
    for (uint32_t i = 0; i < problem->bid_count && good; i++) {
        int128 *agent = &out->agent[problem->bids[i].agent];
        good = checked_add_i128(agent, *agent, paid[i]);
    }
    good = good && (out->short_of != 0 || split_units(out, plan, solution, gain, paid, arena)) &&
           round_agents(out, plan);
    arena->used = mark;
    return good;
}

void coupled_pay_as_bid(int128 *agent_ueur, int128 *balance_ueur, const struct coupled_plan *plan,
                        const struct coupled_solution *solution, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    size_t mark = arena->used;
    int128 *neur = clear_take(arena, problem->agent_count, sizeof *neur);
    *balance_ueur = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        int128 worth = product_i128(bid->price, solution->accepted[i]);
        neur[bid->agent] += bid->buy ? -worth : worth; /* all together under 2^120 */
    }
    for (uint32_t i = 0; i < problem->agent_count; i++) {
        agent_ueur[i] = div_floor_i128(neur[i], NEUR_PER_UEUR);
        *balance_ueur += agent_ueur[i];
    }
    arena->used = mark;
}
