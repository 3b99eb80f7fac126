/* The cooperative game behind VCG and Shapley (D2.3 3.4.3): v(S) is the welfare that the mechanism
 * reaches with the bids of S alone, summed over intervals.
 *
 * Exact Shapley over n agents adds up marginal contributions by size s of the coalition; the weight
 * of that size is 1 / (n C(n-1, s-1)), and lcm(1..n) is a multiple of all these denominators, so
 * the values are exact over that one. Over 20 agents they are the mean over drawn orders of
 * arrival; the order comes from the seed alone (xoshiro256**, seeded through SplitMix64, uniform by
 * rejection), so that everybody draws the same ones.
 *
 * Invariant: the shares add up to v(N), exactly, estimated or not. */
#include "contracts/clear_game.h"

#include <string.h>

#include "base/fatal.h"

void game_worth(int128 *worth, const struct clear_problem *problem,
                const struct clear_result *result)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct clear_bid *bid = &problem->bids[i];
        int128 value = product_i128(bid->price, result->accepted[i]);
        worth[bid->agent] += bid->buy ? value : -value;
    }
}

bool game_marginals(int128 *marginal, struct clear_index *index, const struct clear_result *result,
                    struct clear_arena *arena)
{
    const struct clear_problem *problem = index->problem;
    size_t mark = arena->used;
    uint8_t *member = clear_take(arena, problem->agent_count, sizeof *member);
    uint32_t *seen = clear_take(arena, problem->agent_count, sizeof *seen);
    memset(member, 1, problem->agent_count);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int128 whole = clear_slot_value(index, slot, NULL);
        for (uint32_t at = index->buy_start[slot]; at < index->buy_start[slot + 1]; at++) {
            uint32_t place = index->place[at];
            uint32_t agent = problem->bids[place].agent;
            /* Who trades nothing in an interval leaves its result as it is by leaving. */
            if (result->accepted[place] == 0 || seen[agent] == slot + 1) {
                continue;
            }
            seen[agent] = slot + 1;
            member[agent] = 0;
            marginal[agent] += whole - clear_slot_value(index, slot, member);
            member[agent] = 1;
        }
    }
    arena->used = mark;
    return !index->exhausted;
}

static int128 value_of(struct clear_index *index, const uint8_t *member)
{
    int128 value = 0;
    for (uint32_t slot = 0; slot < index->problem->slot_count; slot++) {
        value += clear_slot_value(index, slot, member);
    }
    return value;
}

/* --- the value of every set of agents ------------------------------------------------------- */

/* One bid, packed: 2^20 sets read each of them. */
struct set_bid {
    int64_t price;
    int64_t quantity;
    uint32_t agent; /* its bit */
};
struct set_slot {
    uint32_t buy_count;
    uint32_t sell_count;
    const struct set_bid *buys; /* in the order of the index: best first */
    const struct set_bid *sells;
};

static const struct set_bid *pack_side(const struct clear_index *index, uint32_t from,
                                       uint32_t until, struct clear_arena *arena)
{
    struct set_bid *out = clear_take(arena, until - from, sizeof *out);
    for (uint32_t i = from; i < until; i++) {
        const struct clear_bid *bid = &index->problem->bids[index->place[i]];
        out[i - from] = (struct set_bid){bid->price, bid->quantity, (uint32_t)1 << bid->agent};
    }
    return out;
}

static const struct set_slot *pack_slots(const struct clear_index *index, struct clear_arena *arena)
{
    uint32_t count = index->problem->slot_count;
    struct set_slot *slots = clear_take(arena, count, sizeof *slots);
    for (uint32_t slot = 0; slot < count; slot++) {
        uint32_t buy = index->buy_start[slot];
        uint32_t sell = index->sell_start[slot];
        uint32_t end = index->buy_start[slot + 1];
        slots[slot] = (struct set_slot){sell - buy, end - sell, pack_side(index, buy, sell, arena),
                                        pack_side(index, sell, end, arena)};
    }
    return slots;
}

/* What clear_merit_value and clear_ordered_value say of the slot with the bids of that set alone: the
 * merge of its two sides, as far as it gains, or, where the buyer's order may hide gains behind a loss, at
 * its best point. */
static int128 set_slot_value(const struct set_slot *slot, uint32_t set, bool ordered)
{
    const struct set_bid *buy = slot->buys;
    const struct set_bid *sell = slot->sells;
    const struct set_bid *buy_end = buy + slot->buy_count;
    const struct set_bid *sell_end = sell + slot->sell_count;
    int64_t buy_rest = 0; /* of the bid before `buy` */
    int64_t sell_rest = 0;
    int128 value = 0;
    int128 best = 0;
    for (;;) {
        while (buy_rest == 0) {
            if (buy == buy_end) {
                return best;
            }
            buy_rest = (buy->agent & set) != 0 ? buy->quantity : 0;
            buy++;
        }
        while (sell_rest == 0) {
            if (sell == sell_end) {
                return best;
            }
            sell_rest = (sell->agent & set) != 0 ? sell->quantity : 0;
            sell++;
        }
        int64_t step = buy_rest < sell_rest ? buy_rest : sell_rest;
        buy_rest -= step;
        sell_rest -= step;
        int128 surplus = ((int128)buy[-1].price - sell[-1].price) * step;
        if (surplus < 0 && !ordered) {
            return best;
        }
        value += surplus;
        best = value > best ? value : best;
    }
}

/* v(S) of every set of agents; where a search decides, one by one. */
static void value_sets(int128 *value, struct clear_index *index, struct clear_arena *arena)
{
    const struct clear_problem *problem = index->problem;
    uint32_t n = problem->agent_count;
    size_t mark = arena->used;
    uint8_t *member = clear_take(arena, n, sizeof *member);
    bool searched = problem->mechanism == CLEAR_ONE_SIDED;
    const struct set_slot *slots = searched ? NULL : pack_slots(index, arena);
    for (uint32_t set = 0; set < (uint32_t)1 << n; set++) {
        for (uint32_t agent = 0; agent < n && searched; agent++) {
            member[agent] = (set >> agent & 1) != 0;
        }
        value[set] = searched ? value_of(index, member) : 0;
        for (uint32_t slot = 0; slot < problem->slot_count && !searched; slot++) {
            value[set] +=
                set_slot_value(&slots[slot], set, problem->mechanism == CLEAR_ORDERED_DEMAND);
        }
    }
    arena->used = mark;
}

/* --- Shapley -------------------------------------------------------------------------------- */

static int64_t lcm_up_to(uint32_t n)
{
    int64_t multiple = 1;
    for (uint32_t i = 2; i <= n; i++) {
        int64_t a = multiple;
        int64_t b = (int64_t)i;
        while (b != 0) {
            int64_t rest = a % b;
            a = b;
            b = rest;
        }
        multiple *= (int64_t)i / a;
    }
    return multiple;
}

/* Numerator of one agent's value over lcm(1..n), from the values of all sets. */
static int128 shapley_numerator(const int128 *value, uint32_t n, uint32_t agent, int64_t multiple)
{
    int128 by_size[CLEAR_SHAPLEY_AGENTS_EXACT + 1] = {0};
    uint32_t bit = (uint32_t)1 << agent;
    for (uint32_t set = 0; set < (uint32_t)1 << n; set++) {
        if ((set & bit) != 0) {
            by_size[__builtin_popcount(set)] += value[set] - value[set ^ bit];
        }
    }
    int128 numerator = 0;
    int64_t choose = 1; /* C(n-1, size-1) */
    for (uint32_t size = 1; size <= n; size++) {
        int64_t divisor = (int64_t)n * choose;
        MUST(multiple % divisor == 0);
        numerator += by_size[size] * (multiple / divisor);
        choose = choose * (int64_t)(n - size) / (int64_t)size;
    }
    return numerator;
}

bool game_shapley(struct game_shares *out, struct clear_index *index, struct clear_arena *arena)
{
    uint32_t n = index->problem->agent_count;
    MUST(n <= CLEAR_SHAPLEY_AGENTS_EXACT);
    out->numerator = clear_take(arena, n, sizeof *out->numerator);
    out->value = clear_take(arena, (size_t)1 << n, sizeof *out->value);
    value_sets(out->value, index, arena);
    int64_t multiple = lcm_up_to(n);
    out->denominator = multiple;
    int128 sum = 0;
    for (uint32_t agent = 0; agent < n; agent++) {
        out->numerator[agent] = shapley_numerator(out->value, n, agent, multiple);
        sum += out->numerator[agent];
    }
    MUST(sum == out->value[((size_t)1 << n) - 1] * multiple);
    return !index->exhausted;
}

struct draws {
    uint64_t state[4];
};

static void draws_seed(struct draws *draws, const uint8_t seed[CLEAR_SEED_BYTES])
{
    for (int i = 0; i < 4; i++) {
        uint64_t word = 0;
        for (int j = 0; j < 8; j++) {
            word = word << 8 | seed[8 * i + j];
        }
        word += 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
        word = (word ^ word >> 27) * 0x94d049bb133111ebu;
        draws->state[i] = word ^ word >> 31;
    }
    if ((draws->state[0] | draws->state[1] | draws->state[2] | draws->state[3]) == 0) {
        draws->state[0] = 1; /* the one state that never moves */
    }
}

static uint64_t rotate_left(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static uint64_t draws_next(struct draws *draws)
{
    uint64_t *s = draws->state;
    uint64_t out = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return out;
}

/* Uniform in [0, bound): draws over the last whole multiple of it are drawn again. */
static uint32_t draws_below(struct draws *draws, uint32_t bound)
{
    uint64_t last = UINT64_MAX - UINT64_MAX % bound;
    uint64_t word = draws_next(draws);
    while (word >= last) {
        word = draws_next(draws);
    }
    return (uint32_t)(word % bound);
}

void game_estimate(struct game_shares *out, int128 *whole, struct clear_index *index,
                   const uint8_t seed[CLEAR_SEED_BYTES], struct clear_arena *arena)
{
    uint32_t n = index->problem->agent_count;
    struct draws draws;
    draws_seed(&draws, seed);
    out->numerator = clear_take(arena, n, sizeof *out->numerator);
    out->denominator = CLEAR_PERMUTATIONS;
    out->value = NULL;
    *whole = value_of(index, NULL);
    uint32_t *order = clear_take(arena, n, sizeof *order);
    uint8_t *member = clear_take(arena, n, sizeof *member);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int draw = 0; draw < CLEAR_PERMUTATIONS; draw++) {
        memset(member, 0, n);
        for (uint32_t i = n; i > 1; i--) {
            uint32_t j = draws_below(&draws, i);
            uint32_t swap = order[i - 1];
            order[i - 1] = order[j];
            order[j] = swap;
        }
        int128 before = 0;
        for (uint32_t i = 0; i < n; i++) {
            member[order[i]] = 1;
            int128 after = value_of(index, member);
            out->numerator[order[i]] += after - before;
            before = after;
        }
        MUST(before == *whole);
    }
}
