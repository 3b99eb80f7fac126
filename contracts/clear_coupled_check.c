/* The exact check of a solution of a coupled auction (contracts/clear_coupled.h; market-rules 7,
 * "Certified"; docs/spec/coupled.md 3 and 4).
 *
 * Invariants: 1. a bound is claimed only if all of its sums fitted 128 bits. 2. bound >= welfare
 * for quantities that keep the rules, whatever the multipliers; the proof is in the spec, and the
 * assertion here would be a hole in it. 3. Nothing that the solution says of itself is believed:
 * it has no field for welfare, bound or gap.
 *
 * Deliberately absent: any search for better quantities or multipliers. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

static bool broken_at(struct coupled_break *out, enum coupled_rule rule, uint32_t item,
                      uint32_t slot)
{
    *out = (struct coupled_break){rule, item, slot};
    return false;
}

static bool check_bids(struct coupled_break *broken, const struct coupled_plan *plan,
                       const int64_t *accepted)
{
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        const struct coupled_bid *bid = &plan->problem->bids[i];
        if (accepted[i] < 0 || accepted[i] > bid->quantity) {
            return broken_at(broken, COUPLED_BROKEN_BOUNDS, i, 0);
        }
        if (accepted[i] > 0 && accepted[i] < bid->min_quantity) {
            return broken_at(broken, COUPLED_BROKEN_MINIMUM, i, 0);
        }
        if (bid->indivisible && accepted[i] != 0 && accepted[i] != bid->quantity) {
            return broken_at(broken, COUPLED_BROKEN_INDIVISIBLE, i, 0);
        }
    }
    return true;
}

/* A step trades only if all earlier ones are full (D2.3 eq. 3-8). */
static bool check_steps(struct coupled_break *broken, const struct coupled_plan *plan,
                        const int64_t *accepted)
{
    const struct coupled_bid *bids = plan->problem->bids;
    for (uint32_t i = 0; i < plan->sequence_count; i++) {
        bool open = true;
        uint32_t last = 0; /* the first step that is not full */
        for (uint32_t at = plan->sequence_start[i]; at < plan->sequence_start[i + 1]; at++) {
            uint32_t bid = plan->sequence_bid[at];
            if (accepted[bid] > 0 && !open && bids[bid].order > last) {
                return broken_at(broken, COUPLED_BROKEN_ORDER, bid, 0);
            }
            if (open && accepted[bid] < bids[bid].quantity) {
                open = false;
                last = bids[bid].order;
            }
        }
    }
    return true;
}

static bool sum_holds(enum coupled_op op, int128 sum, int64_t right)
{
    switch (op) {
    case COUPLED_AT_MOST:
        return sum <= right;
    case COUPLED_AT_LEAST:
        return sum >= right;
    case COUPLED_EQUAL:
        return sum == right;
    }
    MUST(false);
    return false;
}

static bool link_holds(const struct coupled_problem *problem, const struct coupled_link *link,
                       const int64_t *accepted)
{
    const uint32_t *members = problem->members + link->first;
    int64_t first = accepted[members[0]];
    int64_t sum = 0;
    uint32_t on = 0;
    bool equal = true;
    for (uint32_t i = 0; i < link->count; i++) {
        int64_t quantity = accepted[members[i]];
        sum += quantity; /* within bounds by now, and all of them fit */
        on += quantity > 0;
        equal = equal && quantity == first;
    }
    switch (link->type) {
    case COUPLED_AND:
        return on == 0 || on == link->count;
    case COUPLED_OR:
        return first == 0 || on > 1;
    case COUPLED_XOR:
        return on <= 1;
    case COUPLED_SUM:
        return sum_holds(link->op, sum, link->quantity);
    case COUPLED_BLOCK:
        return equal;
    case COUPLED_CONVERT:
        return accepted[members[1]] == product_i128(first, link->num) / link->den;
    }
    MUST(false);
    return false;
}

static bool check_links(struct coupled_break *broken, const struct coupled_plan *plan,
                        const int64_t *accepted)
{
    const struct coupled_problem *problem = plan->problem;
    for (int sums = 0; sums < 2; sums++) {
        for (uint32_t i = 0; i < problem->link_count; i++) {
            const struct coupled_link *link = &problem->links[i];
            bool due = (link->type == COUPLED_SUM) == (sums == 1);
            if (due && !link_holds(problem, link, accepted)) {
                return broken_at(broken, sums == 1 ? COUPLED_BROKEN_SUM : COUPLED_BROKEN_LINK, i,
                                 0);
            }
        }
    }
    return true;
}

/* Injections of all cells: accepted sells less accepted buys. */
static void sum_injections(int64_t *injection, const struct coupled_plan *plan,
                           const int64_t *accepted)
{
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        const struct coupled_bid *bid = &plan->problem->bids[i];
        injection[coupled_cell(plan->problem, bid)] += bid->buy ? -accepted[i] : accepted[i];
    }
}

static bool check_lines(struct coupled_break *broken, const struct coupled_plan *plan,
                        const int64_t *flow)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *here = flow + (size_t)slot * problem->line_count;
        for (uint32_t i = 0; i < problem->line_count; i++) {
            int64_t most = problem->lines[i].capacity;
            if (here[i] > most || here[i] < -most) {
                return broken_at(broken, COUPLED_BROKEN_CAPACITY, i, slot);
            }
        }
    }
    return true;
}

static bool check_balance(struct coupled_break *broken, const struct coupled_plan *plan,
                          const int64_t *injection, const int64_t *flow, int128 *net)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *here = flow + (size_t)slot * problem->line_count;
        for (uint32_t i = 0; i < problem->place_count; i++) {
            net[i] = injection[(size_t)slot * problem->place_count + i];
        }
        for (uint32_t i = 0; i < problem->line_count; i++) {
            net[problem->lines[i].from] -= here[i];
            net[problem->lines[i].to] += here[i];
        }
        for (uint32_t i = 0; i < problem->place_count; i++) {
            if (net[i] != 0) {
                return broken_at(broken, COUPLED_BROKEN_BALANCE, i, slot);
            }
        }
    }
    return true;
}

static bool check_rows(struct coupled_break *broken, const struct coupled_plan *plan,
                       const int64_t *injection)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *here = injection + (size_t)slot * problem->place_count;
        for (uint32_t i = 0; i < problem->row_count; i++) {
            const struct coupled_row *row = &problem->rows[i];
            struct coupled_sum sum = {0};
            for (uint32_t at = row->first; at < row->first + row->count; at++) {
                coupled_add_product(&sum, problem->coefs[at].value, here[problem->coefs[at].place]);
            }
            if (sum.overflow) {
                return broken_at(broken, COUPLED_OVERFLOW, i, slot);
            }
            if (!sum_holds(row->op, sum.value, coupled_right(problem, slot, i))) {
                return broken_at(broken, COUPLED_BROKEN_ROW, i, slot);
            }
        }
    }
    return true;
}

/* Every product is under 2^120 together with all others (coupled_prepare). */
static void sum_welfare(struct coupled_claim *out, const struct coupled_plan *plan,
                        const int64_t *accepted)
{
    int128 bought = 0, sold = 0;
    out->welfare = 0;
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        const struct coupled_bid *bid = &plan->problem->bids[i];
        int128 worth = product_i128(bid->price, accepted[i]);
        out->welfare += bid->buy ? worth : -worth;
        *(bid->buy ? &bought : &sold) += accepted[i];
    }
    MUST(bought == sold);
    out->quantity = bought;
}

bool coupled_check_quantities(struct coupled_claim *out, struct coupled_break *broken,
                              const struct coupled_plan *plan,
                              const struct coupled_solution *solution, struct clear_arena *arena)
{
    size_t mark = arena->used;
    int64_t *injection = clear_take(arena, plan->cells, sizeof *injection);
    int128 *net = clear_take(arena, plan->problem->place_count, sizeof *net);
    bool good = check_bids(broken, plan, solution->accepted) &&
                check_steps(broken, plan, solution->accepted) &&
                check_links(broken, plan, solution->accepted) &&
                check_lines(broken, plan, solution->flow);
    if (good) {
        sum_injections(injection, plan, solution->accepted);
        good = check_balance(broken, plan, injection, solution->flow, net) &&
               check_rows(broken, plan, injection);
    }
    arena->used = mark;
    if (good) {
        sum_welfare(out, plan, solution->accepted);
        good = coupled_binding_is_worth(plan->problem, solution->accepted, arena) ||
               broken_at(broken, COUPLED_BROKEN_BINDING, 0, 0);
    }
    return good;
}

/* A multiplier may only make its rule's violation dear, never its slack. */
static bool sign_fits(enum coupled_op op, int64_t multiplier)
{
    switch (op) {
    case COUPLED_AT_MOST:
        return multiplier >= 0;
    case COUPLED_AT_LEAST:
        return multiplier <= 0;
    case COUPLED_EQUAL:
        return true;
    }
    MUST(false);
    return false;
}

static bool check_multipliers(struct coupled_break *broken, const struct coupled_plan *plan,
                              const struct coupled_solution *solution)
{
    const struct coupled_problem *problem = plan->problem;
    if (solution->den < 1) {
        return broken_at(broken, COUPLED_BROKEN_DENOMINATOR, 0, 0);
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            int64_t multiplier = solution->row[(size_t)slot * problem->row_count + i];
            if (!sign_fits(problem->rows[i].op, multiplier)) {
                return broken_at(broken, COUPLED_BROKEN_SIGN, i, slot);
            }
        }
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        bool sum = problem->links[i].type == COUPLED_SUM;
        if (sum ? !sign_fits(problem->links[i].op, solution->sum[i]) : solution->sum[i] != 0) {
            return broken_at(broken, COUPLED_BROKEN_SIGN, i, 0);
        }
    }
    return true;
}

bool coupled_prices(int128 *price, const struct coupled_plan *plan,
                    const struct coupled_solution *solution)
{
    const struct coupled_problem *problem = plan->problem;
    struct coupled_sum sum = {0};
    for (size_t cell = 0; cell < plan->cells; cell++) {
        price[cell] = solution->node[cell];
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int128 *here = price + (size_t)slot * problem->place_count;
        for (uint32_t i = 0; i < problem->row_count; i++) {
            const struct coupled_row *row = &problem->rows[i];
            int64_t multiplier = solution->row[(size_t)slot * problem->row_count + i];
            for (uint32_t at = row->first; multiplier != 0 && at < row->first + row->count; at++) {
                sum.value = here[problem->coefs[at].place];
                coupled_add(&sum, -product_i128(multiplier, problem->coefs[at].value));
                here[problem->coefs[at].place] = sum.value;
            }
        }
    }
    return !sum.overflow;
}

bool coupled_reduced(int128 *reduced, const struct coupled_plan *plan,
                     const struct coupled_solution *solution, const int128 *price)
{
    const struct coupled_problem *problem = plan->problem;
    bool good = true;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        struct coupled_sum sum = {price[coupled_cell(problem, bid)], false};
        coupled_add(&sum, -product_i128(bid->price, solution->den));
        if (bid->buy) { /* the sum is above INT128_MIN by far unless it overflowed on the way */
            struct coupled_sum turned = {0, sum.overflow};
            turned.overflow = !checked_sub_i128(&turned.value, 0, sum.value) || turned.overflow;
            sum = turned;
        }
        for (uint32_t at = plan->links.start[i]; at < plan->links.start[i + 1]; at++) {
            coupled_add(&sum, -(int128)solution->sum[plan->links.list[at]]);
        }
        reduced[i] = sum.value;
        good = good && !sum.overflow;
    }
    return good;
}

/* What lines, rows and sums can be worth at most. */
static void add_limits(struct coupled_sum *total, const struct coupled_plan *plan,
                       const struct coupled_solution *solution)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *node = solution->node + (size_t)slot * problem->place_count;
        const int64_t *row = solution->row + (size_t)slot * problem->row_count;
        for (uint32_t i = 0; i < problem->line_count; i++) {
            int128 rise = (int128)node[problem->lines[i].to] - node[problem->lines[i].from];
            coupled_add_product(total, problem->lines[i].capacity, rise < 0 ? -rise : rise);
        }
        for (uint32_t i = 0; i < problem->row_count; i++) {
            coupled_add_product(total, row[i], coupled_right(problem, slot, i));
        }
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        coupled_add_product(total, solution->sum[i], problem->links[i].quantity);
    }
}

static bool add_surplus(struct coupled_sum *total, uint32_t *relaxed_sets,
                        const struct coupled_plan *plan, const int128 *reduced,
                        struct clear_arena *arena)
{
    struct coupled_search *search = coupled_search_create(plan, arena);
    uint64_t steps = coupled_check_steps_max;
    for (uint32_t i = 0; i < plan->problem->bid_count; i++) {
        if (plan->set_of[i] == COUPLED_NONE && reduced[i] > 0) {
            coupled_add_product(total, reduced[i], plan->problem->bids[i].quantity);
        }
    }
    for (uint32_t i = 0; i < plan->set_count; i++) {
        int128 best;
        bool relaxed = false;
        if (!coupled_set_best(&best, &relaxed, search, &plan->sets[i], reduced, &steps)) {
            return false;
        }
        coupled_add(total, best);
        *relaxed_sets += relaxed;
    }
    return true;
}

bool coupled_check_bound(struct coupled_claim *out, struct coupled_break *broken,
                         const struct coupled_plan *plan, const struct coupled_solution *solution,
                         struct clear_arena *arena)
{
    if (!check_multipliers(broken, plan, solution)) {
        return false;
    }
    size_t mark = arena->used;
    struct coupled_sum total = {0};
    int128 *price = clear_take(arena, plan->cells, sizeof *price);
    int128 *reduced = clear_take(arena, plan->problem->bid_count, sizeof *reduced);
    out->relaxed_sets = 0;
    add_limits(&total, plan, solution);
    bool good = coupled_prices(price, plan, solution) &&
                coupled_reduced(reduced, plan, solution, price) &&
                add_surplus(&total, &out->relaxed_sets, plan, reduced, arena) && !total.overflow;
    arena->used = mark;
    if (!good) {
        return broken_at(broken, COUPLED_OVERFLOW, 0, 0);
    }
    out->bound = div_ceil_i128(total.value, solution->den);
    return true;
}

bool coupled_check(struct coupled_claim *out, struct coupled_break *broken,
                   const struct coupled_plan *plan, const struct coupled_solution *solution,
                   struct clear_arena *arena)
{
    *out = (struct coupled_claim){0};
    if (!coupled_check_quantities(out, broken, plan, solution, arena) ||
        !coupled_check_bound(out, broken, plan, solution, arena)) {
        return false;
    }
    MUST(out->bound >= out->welfare);
    if (!checked_sub_i128(&out->gap, out->bound, out->welfare)) {
        return broken_at(broken, COUPLED_OVERFLOW, 0, 0);
    }
    *broken = (struct coupled_break){COUPLED_KEPT, 0, 0};
    return true;
}

bool coupled_rest_is_solution(const struct coupled_plan *plan, struct coupled_break *out)
{
    const struct coupled_problem *problem = plan->problem;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        if (link->type == COUPLED_SUM && !sum_holds(link->op, 0, link->quantity)) {
            return broken_at(out, COUPLED_BROKEN_SUM, i, 0);
        }
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            if (!sum_holds(problem->rows[i].op, 0, coupled_right(problem, slot, i))) {
                return broken_at(out, COUPLED_BROKEN_ROW, i, slot);
            }
        }
    }
    *out = (struct coupled_break){COUPLED_KEPT, 0, 0};
    return true;
}

static void hash_number(struct hash_state *state, int64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
    }
    hash_update(state, bytes, sizeof bytes);
}

static void hash_table(struct hash_state *state, const int64_t *table, size_t count)
{
    hash_number(state, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        hash_number(state, table[i]);
    }
}

void coupled_solution_hash(struct hash *out, const struct coupled_plan *plan,
                           const struct coupled_solution *solution, const struct hash *salt)
{
    const struct coupled_problem *problem = plan->problem;
    struct hash_state state;
    hash_begin(&state, HASH_DOMAIN_COUPLED);
    hash_update(&state, salt->bytes, sizeof salt->bytes);
    hash_table(&state, solution->accepted, problem->bid_count);
    hash_table(&state, solution->flow, (size_t)problem->slot_count * problem->line_count);
    hash_number(&state, solution->den);
    hash_table(&state, solution->node, plan->cells);
    hash_table(&state, solution->row, (size_t)problem->slot_count * problem->row_count);
    hash_table(&state, solution->sum, problem->link_count);
    hash_end(&state, out);
}

const char *coupled_rule_words(enum coupled_rule rule)
{
    static const char *const words[COUPLED_RULE_COUNT] = {
        [COUPLED_KEPT] = "all rules are kept",
        [COUPLED_BROKEN_BOUNDS] = "a quantity is from 0 to its bid's",
        [COUPLED_BROKEN_MINIMUM] = "an accepted quantity is at least its bid's minimum",
        [COUPLED_BROKEN_INDIVISIBLE] = "an indivisible bid trades whole or not at all",
        [COUPLED_BROKEN_ORDER] = "a later step trades only if all earlier ones are full",
        [COUPLED_BROKEN_LINK] = "the link holds",
        [COUPLED_BROKEN_SUM] = "the sum holds",
        [COUPLED_BROKEN_CAPACITY] = "a flow is within its line's capacity",
        [COUPLED_BROKEN_BALANCE] = "sells - buys + inflow - outflow is 0 at every node",
        [COUPLED_BROKEN_ROW] = "the row holds",
        [COUPLED_BROKEN_DENOMINATOR] = "the denominator is 1 or more",
        [COUPLED_BROKEN_SIGN] = "a multiplier has the sign of its rule",
        [COUPLED_OVERFLOW] = "all sums fit 128 bits",
        [COUPLED_BROKEN_BINDING] = "what binds is worth no less than nothing",
    };
    MUST((unsigned)rule < COUPLED_RULE_COUNT);
    return words[rule];
}
