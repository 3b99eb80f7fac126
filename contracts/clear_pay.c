/* Payments after a clearing (contracts/clear_pay.h).
 *
 * Each payment is first an exact sum in neur per agent, then one division by 1000 towards minus
 * infinity, who gains the remainder being the market's fee pool. So the balance of a payment that
 * balances exactly is between minus the number of agents and 0.
 *
 * In a one-sided market pay-as-bid means the offers' prices: the buyer pays their sum. In a two-sided
 * one each side pays or gets its own price. In a continuous market both get the trade's price.
 *
 * Deliberately absent: accounts, reserves and the fallback on a deficit (market-rules 6), which need
 * state; payments of coupled auctions. */
#include "contracts/clear_pay.h"

#include "base/fatal.h"
#include "contracts/clear_game.h"

enum { NEUR_PER_UEUR = 1000 };

static bool fault_payment(struct clear_fault *fault, const char *what)
{
    *fault = (struct clear_fault){UINT32_MAX, "payments", what};
    return false;
}

static int128 problem_value(const struct clear_problem *problem)
{
    int128 value = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        int128 worth = product_i128(problem->bids[i].price, problem->bids[i].quantity);
        value += worth < 0 ? -worth : worth;
    }
    return value;
}

static bool is_game(enum clear_mechanism mechanism)
{
    switch (mechanism) {
    case CLEAR_MERIT_ORDER:
    case CLEAR_ORDERED_DEMAND:
    case CLEAR_ONE_SIDED:
        return true;
    case CLEAR_CONTINUOUS:
    case CLEAR_CAPACITY:
        return false;
    }
    MUST(false);
    return false;
}

static bool check_shapley(const struct clear_problem *problem, bool seeded,
                          struct clear_fault *fault)
{
    uint64_t sets = (uint64_t)1 << CLEAR_SHAPLEY_AGENTS_EXACT;
    bool exact = problem->agent_count <= CLEAR_SHAPLEY_AGENTS_EXACT;
    if (problem_value(problem) >= CLEAR_SHAPLEY_VALUE_MAX) {
        return fault_payment(fault, "shapley: price x quantity adds up past 2^90 neur");
    }
    if (!exact && !seeded) {
        *fault = (struct clear_fault){UINT32_MAX, "seed", "shapley over 20 agents needs one"};
        return false;
    }
    if (!exact && problem->mechanism == CLEAR_ONE_SIDED) {
        return fault_payment(fault, "shapley: one_sided takes 20 agents at most");
    }
    sets = exact ? (uint64_t)1 << problem->agent_count
                 : (uint64_t)CLEAR_PERMUTATIONS * problem->agent_count;
    if (sets * ((uint64_t)problem->bid_count + problem->slot_count) > clear_scan_steps_max) {
        return fault_payment(fault, "shapley: too many agents, bids or intervals");
    }
    return true;
}

/* VCG asks, in every interval, once for each agent that trades in it. */
static bool check_vcg(const struct clear_problem *problem, struct clear_fault *fault,
                      struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint64_t *bids = clear_take(arena, problem->slot_count, sizeof *bids);
    arena->used = mark;
    uint64_t steps = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        bids[problem->bids[i].slot]++;
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        uint64_t agents = bids[slot] < problem->agent_count ? bids[slot] : problem->agent_count;
        steps += agents * bids[slot];
    }
    return steps <= clear_scan_steps_max ||
           fault_payment(fault, "vcg: too many agents and bids in one interval");
}

static bool check_sides(const struct clear_problem *problem, struct clear_fault *fault,
                        struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint8_t *sides = clear_take(arena, problem->agent_count, sizeof *sides);
    arena->used = mark;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        sides[bid->agent] |= bid->buy ? 1 : 2;
        if (sides[bid->agent] == 3) {
            *fault =
                (struct clear_fault){i, "agent", "vcg_sellers takes nobody who buys and sells"};
            return false;
        }
    }
    return true;
}

bool clear_pay_check(const struct clear_problem *problem, enum clear_payment payment, bool seeded,
                     struct clear_fault *fault, struct clear_arena *arena)
{
    bool game = is_game(problem->mechanism);
    switch (payment) {
    case CLEAR_PAY_AS_BID:
        return true;
    case CLEAR_PAY_UNIFORM:
        return problem->mechanism == CLEAR_MERIT_ORDER || problem->mechanism == CLEAR_CAPACITY ||
               fault_payment(fault, "uniform: this mechanism has no uniform price");
    case CLEAR_PAY_VCG:
        return game ? check_vcg(problem, fault, arena)
                    : fault_payment(fault, "vcg: not in this mechanism");
    case CLEAR_PAY_VCG_SELLERS:
        return game ? check_sides(problem, fault, arena) && check_vcg(problem, fault, arena)
                    : fault_payment(fault, "vcg_sellers: not in this mechanism");
    case CLEAR_PAY_SHAPLEY:
        return game ? check_shapley(problem, seeded, fault)
                    : fault_payment(fault, "shapley: not in this mechanism");
    case CLEAR_PAYMENT_COUNT:
        break;
    }
    MUST(false);
    return false;
}

bool clear_excess_check(const struct clear_problem *problem, struct clear_fault *fault)
{
    if (!is_game(problem->mechanism)) {
        *fault = (struct clear_fault){UINT32_MAX, "excess", "not in this mechanism"};
        return false;
    }
    if (problem->agent_count > CLEAR_EXCESS_AGENTS_MAX) {
        *fault = (struct clear_fault){UINT32_MAX, "excess", "is for 12 agents at most"};
        return false;
    }
    return check_shapley(problem, false, fault);
}

static void pay_as_bid(int128 *neur, const struct clear_problem *problem,
                       const struct clear_result *result, struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint32_t *buyer = clear_take(arena, problem->slot_count, sizeof *buyer);
    arena->used = mark;
    bool one_sided = problem->mechanism == CLEAR_ONE_SIDED;
    bool capacity = problem->mechanism == CLEAR_CAPACITY;
    for (uint32_t i = 0; i < result->trade_count; i++) {
        const struct clear_trade *trade = &result->trades[i];
        int128 value = product_i128(trade->price, trade->quantity);
        neur[problem->bids[trade->bid].agent] -= value;
        neur[problem->bids[trade->ask].agent] += value;
    }
    if (problem->mechanism == CLEAR_CONTINUOUS || (capacity && problem->rule != CLEAR_PREMIUM)) {
        return;
    }
    for (uint32_t i = 0; i < problem->bid_count && one_sided; i++) {
        if (problem->bids[i].buy) {
            buyer[problem->bids[i].slot] = problem->bids[i].agent;
        }
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        int128 value = product_i128(bid->price, result->accepted[i]);
        if (!one_sided) {
            neur[bid->agent] += bid->buy || capacity ? -value : value;
        } else if (!bid->buy && result->accepted[i] > 0) {
            neur[bid->agent] += value;
            neur[buyer[bid->slot]] -= value;
        }
    }
}

int64_t clear_path_price(const struct clear_problem *problem, const struct clear_result *result,
                         const struct clear_bid *bid)
{
    size_t half = 2 * (size_t)bid->slot + (bid->buy ? 0 : 1);
    int64_t price = 0;
    for (int32_t node = bid->node; node != CLEAR_NODE_NONE; node = problem->nodes[node].parent) {
        int64_t here = result->constraint_price[half * problem->node_count + (size_t)node];
        price = here > price ? here : price;
    }
    MUST(price <= bid->price);
    return price;
}

static void pay_uniform(int128 *neur, const struct clear_problem *problem,
                        const struct clear_result *result)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        if (result->accepted[i] == 0) {
            continue;
        }
        if (problem->mechanism == CLEAR_MERIT_ORDER) {
            int128 value = product_i128(result->prices[bid->slot].price, result->accepted[i]);
            neur[bid->agent] += bid->buy ? -value : value;
        } else if (problem->rule == CLEAR_PREMIUM) {
            neur[bid->agent] -=
                product_i128(clear_path_price(problem, result, bid), result->accepted[i]);
        }
    }
}

static bool pay_vcg(int128 *neur, const struct clear_problem *problem,
                    const struct clear_result *result, struct clear_arena *arena)
{
    struct clear_index index;
    clear_index_build(&index, problem, arena);
    index.search =
        problem->mechanism == CLEAR_ONE_SIDED ? clear_search_create(problem, arena) : NULL;
    int128 *worth = clear_take(arena, problem->agent_count, sizeof *worth);
    game_worth(worth, problem, result);
    if (!game_marginals(neur, &index, result, arena)) {
        return false;
    }
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        neur[agent] -= worth[agent];
    }
    return true;
}

/* floor(a x b / c) for c > 0 and |b| <= c, so that the result is no larger than a. Long division
 * of the 256-bit product, bit by bit. */
static int128 multiply_divide_floor(int128 a, int128 b, int128 c)
{
    bool negative = (a < 0) != (b < 0);
    uint128 x = a < 0 ? (uint128)-a : (uint128)a;
    uint128 y = b < 0 ? (uint128)-b : (uint128)b;
    uint128 divisor = (uint128)c;
    uint128 quotient = 0;
    uint128 rest = 0;
    MUST(c > 0 && y <= divisor && divisor <= CLEAR_VALUE_MAX);
    /* Horner over the bits of x: quotient x divisor + rest = (bits so far) x y. */
    for (int bit = 127; bit >= 0; bit--) {
        quotient <<= 1;
        rest <<= 1;
        if ((x >> bit & 1) != 0) {
            rest += y;
        }
        while (rest >= divisor) {
            rest -= divisor;
            quotient++;
        }
    }
    if (!negative) {
        return (int128)quotient;
    }
    return -(int128)quotient - (rest != 0 ? 1 : 0);
}

/* The buyers share what the sellers get, in proportion to utility. False if it is over their
 * utility, or if utilities of both signs (negative prices) leave no proportion in which everybody
 * gains. */
static bool share_among_buyers(int128 *neur, const struct clear_problem *problem,
                               const int128 *worth, const uint8_t *buys)
{
    int128 utility = 0;
    int128 sum = 0;
    bool positive = false;
    bool negative = false;
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        sum += buys[agent] ? 0 : neur[agent];
        utility += buys[agent] ? worth[agent] : 0;
        positive = positive || (buys[agent] && worth[agent] > 0);
        negative = negative || (buys[agent] && worth[agent] < 0);
    }
    if (sum > utility || (positive && negative) || (utility == 0 && sum != 0)) {
        return false;
    }
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        if (buys[agent] && utility != 0) {
            neur[agent] = multiply_divide_floor(-sum, utility < 0 ? -worth[agent] : worth[agent],
                                                utility < 0 ? -utility : utility);
        } else if (buys[agent]) {
            neur[agent] = 0;
        }
    }
    return true;
}

static bool pay_vcg_sellers(struct clear_payment_result *out, int128 *neur,
                            const struct clear_problem *problem, const struct clear_result *result,
                            struct clear_arena *arena)
{
    if (!pay_vcg(neur, problem, result, arena)) {
        return false;
    }
    uint8_t *buys = clear_take(arena, problem->agent_count, sizeof *buys);
    int128 *worth = clear_take(arena, problem->agent_count, sizeof *worth);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        buys[problem->bids[i].agent] = problem->bids[i].buy;
    }
    game_worth(worth, problem, result);
    if (share_among_buyers(neur, problem, worth, buys)) {
        return true;
    }
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        neur[agent] = 0;
    }
    out->fell_back = true;
    out->paid = result->prices != NULL ? CLEAR_PAY_UNIFORM : CLEAR_PAY_AS_BID;
    if (result->prices != NULL) {
        pay_uniform(neur, problem, result);
    } else {
        pay_as_bid(neur, problem, result, arena);
    }
    return true;
}

/* Rounds each numerator over `denominator` neur to ueur, and adds up. */
static void round_all(struct clear_payment_result *out, const int128 *numerator, int128 denominator,
                      uint32_t count)
{
    out->balance_ueur = 0;
    for (uint32_t agent = 0; agent < count; agent++) {
        out->agent_ueur[agent] = div_floor_i128(numerator[agent], denominator * NEUR_PER_UEUR);
        out->balance_ueur += out->agent_ueur[agent];
    }
}

static bool pay_shapley(struct clear_payment_result *out, const struct clear_problem *problem,
                        const struct clear_result *result, const uint8_t *seed, int128 *worth,
                        struct clear_arena *arena)
{
    struct clear_index index;
    struct game_shares shares;
    clear_index_build(&index, problem, arena);
    index.search =
        problem->mechanism == CLEAR_ONE_SIDED ? clear_search_create(problem, arena) : NULL;
    out->estimated = problem->agent_count > CLEAR_SHAPLEY_AGENTS_EXACT;
    if (out->estimated) {
        int128 whole;
        MUST(seed != NULL);
        game_estimate(&shares, &whole, &index, seed, arena);
        out->error_neur = div_ceil_i128(whole, CLEAR_ERROR_DIVISOR);
    } else if (!game_shapley(&shares, &index, arena)) {
        return false;
    }
    game_worth(worth, problem, result);
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        out->value_neur[agent] = div_floor_i128(shares.numerator[agent], shares.denominator);
        shares.numerator[agent] -= worth[agent] * shares.denominator;
    }
    round_all(out, shares.numerator, shares.denominator, problem->agent_count);
    return true;
}

bool clear_pay(struct clear_payment_result *out, const struct clear_problem *problem,
               const struct clear_result *result, enum clear_payment payment, const uint8_t *seed,
               struct clear_arena *arena)
{
    uint32_t agents = problem->agent_count;
    bool good = true;
    *out = (struct clear_payment_result){.paid = payment};
    out->agent_ueur = clear_take(arena, agents, sizeof *out->agent_ueur);
    if (payment == CLEAR_PAY_SHAPLEY) {
        out->value_neur = clear_take(arena, agents, sizeof *out->value_neur);
    }
    size_t mark = arena->used;
    int128 *neur = clear_take(arena, agents, sizeof *neur);
    switch (payment) {
    case CLEAR_PAY_AS_BID:
        pay_as_bid(neur, problem, result, arena);
        break;
    case CLEAR_PAY_UNIFORM:
        pay_uniform(neur, problem, result);
        break;
    case CLEAR_PAY_VCG:
        good = pay_vcg(neur, problem, result, arena);
        break;
    case CLEAR_PAY_VCG_SELLERS:
        good = pay_vcg_sellers(out, neur, problem, result, arena);
        break;
    case CLEAR_PAY_SHAPLEY:
        good = pay_shapley(out, problem, result, seed, neur, arena);
        break;
    case CLEAR_PAYMENT_COUNT:
        MUST(false);
    }
    if (payment != CLEAR_PAY_SHAPLEY) {
        round_all(out, neur, 1, agents);
    }
    arena->used = mark;
    return good;
}

bool clear_excess_run(struct clear_excess *out, const struct clear_problem *problem,
                      struct clear_arena *arena)
{
    struct clear_index index;
    struct game_shares shares;
    out->agent_count = problem->agent_count;
    out->excess_neur =
        clear_take(arena, (size_t)1 << problem->agent_count, sizeof *out->excess_neur);
    size_t mark = arena->used;
    clear_index_build(&index, problem, arena);
    index.search =
        problem->mechanism == CLEAR_ONE_SIDED ? clear_search_create(problem, arena) : NULL;
    bool good = game_shapley(&shares, &index, arena);
    for (uint32_t set = 0; good && set < (uint32_t)1 << problem->agent_count; set++) {
        int128 numerator = shares.value[set] * shares.denominator;
        for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
            numerator -= (set >> agent & 1) != 0 ? shares.numerator[agent] : 0;
        }
        out->excess_neur[set] = div_floor_i128(numerator, shares.denominator);
    }
    arena->used = mark;
    return good;
}
