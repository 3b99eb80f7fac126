/* Coupled auctions against brute force: what the check says of any quantities and flows, that the
 * bound is one whatever the multipliers, that the search of linked sets finds the best, that the
 * floor keeps all rules and is optimal where it must be, and that settlement leaves nobody short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/clear_coupled_internal.h"
#include "tests/lib/contracts/coupled_model.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

static uint8_t *memory;
static struct clear_arena arena;

static int make_arena(void **state)
{
    (void)state;
    memory = malloc(ARENA_BYTES);
    return memory == NULL ? 1 : 0;
}

static int free_arena(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

/* An arena of exactly the promised size: asking for more aborts. */
static const struct coupled_plan *prepare(const struct coupled_problem *problem)
{
    struct coupled_fault fault;
    arena = (struct clear_arena){memory, coupled_arena_bytes(problem), 0};
    assert_true(arena.size <= ARENA_BYTES);
    return coupled_prepare(problem, &fault, &arena);
}

static int64_t draw(struct test_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)test_random_below(random, (uint64_t)(high - low + 1));
}

static void draw_multipliers(struct coupled_draft *out, const struct coupled_problem *problem,
                             struct test_random *random)
{
    int64_t most = draw(random, 0, 1) == 0 ? 4 : 40;
    out->den = draw(random, 1, 4);
    for (uint32_t i = 0; i < problem->slot_count * problem->place_count; i++) {
        out->node[i] = draw(random, -most / 2, 2 * most);
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            int64_t value = draw(random, 0, 1) * draw(random, 0, most / 2);
            enum coupled_op op = problem->rows[i].op;
            out->row[slot * problem->row_count + i] = op == COUPLED_AT_LEAST ? -value : value;
        }
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        int64_t value = draw(random, 0, most);
        out->sum[i] = problem->links[i].type != COUPLED_SUM      ? 0
                      : problem->links[i].op == COUPLED_AT_LEAST ? -value
                                                                 : value;
    }
}

static const struct small_kinds everything = {.lines = true,
                                              .meshed = true,
                                              .rows = true,
                                              .links = true,
                                              .sums = true,
                                              .converts = true,
                                              .lumps = true,
                                              .steps = true};

static struct small_kinds draw_kinds(struct test_random *random)
{
    struct small_kinds kinds = everything;
    uint64_t bits = test_random_u64(random);
    kinds.lines = (bits & 1) != 0;
    kinds.meshed = kinds.lines && (bits & 2) != 0;
    kinds.rows = (bits & 12) == 0;
    kinds.links = (bits & 16) != 0;
    kinds.sums = (bits & 32) != 0;
    kinds.converts = (bits & 64) != 0;
    kinds.lumps = (bits & 128) != 0;
    kinds.steps = (bits & 256) != 0;
    return kinds;
}

/* Every quantity and flow a little off: what the check says is what the model says. */
static void test_check_against_model(void **state)
{
    (void)state;
    struct test_random random = {11};
    uint32_t kept = 0, broken_count[COUPLED_RULE_COUNT] = {0};
    for (int turn = 0; turn < 6000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        if (plan == NULL) {
            continue;
        }
        struct coupled_draft draft;
        coupled_draft_take(&draft, &small.problem, &arena);
        for (int round = 0; round < 12; round++) {
            for (uint32_t i = 0; i < small.problem.bid_count; i++) {
                int64_t most = small.bids[i].quantity;
                draft.accepted[i] = draw(&random, 0, 2) == 0   ? draw(&random, -1, most + 1)
                                    : draw(&random, 0, 1) == 0 ? 0
                                                               : most;
            }
            if (draw(&random, 0, 3) != 0) {
                (void)model_can_flow(&small.problem, draft.accepted, draft.flow);
            }
            for (uint32_t i = 0; i < small.problem.slot_count * small.problem.line_count; i++) {
                draft.flow[i] += draw(&random, 0, 30) == 0 ? draw(&random, -3, 3) : 0;
            }
            struct coupled_solution solution = coupled_draft_view(&draft);
            struct coupled_claim claim;
            struct coupled_break broken = {COUPLED_KEPT, 0, 0};
            bool good = coupled_check_quantities(&claim, &broken, plan, &solution, &arena);
            bool right = model_rules_hold(&small.problem, draft.accepted) &&
                         model_network_holds(&small.problem, draft.accepted, draft.flow);
            assert_int_equal(good, right);
            broken_count[broken.rule]++;
            if (good) {
                assert_true(claim.welfare == model_welfare(&small.problem, draft.accepted));
                kept++;
            }
        }
    }
    assert_true(kept > 300);
    for (int rule = COUPLED_BROKEN_BOUNDS; rule <= COUPLED_BROKEN_ROW; rule++) {
        assert_true(broken_count[rule] > 0);
    }
}

/* One random problem: the floor, the best by brute force, and bounds from random multipliers. */
static uint32_t traded; /* problems with something to gain, over all turns */

static void compare_problem(struct small_problem *small, struct test_random *random,
                            bool must_close)
{
    const struct coupled_plan *plan = prepare(&small->problem);
    if (plan == NULL) {
        return;
    }
    int128 best = 0;
    int64_t accepted[MODEL_BIDS], flow[MODEL_SLOTS * MODEL_LINES];
    bool any = model_solve(&small->problem, &best, accepted, flow);
    traded += any && best > 0;
    struct coupled_draft draft;
    struct coupled_break broken;
    struct coupled_claim claim;
    coupled_draft_take(&draft, &small->problem, &arena);
    bool floor = coupled_floor(&draft, &broken, plan, 0, &arena);
    struct coupled_solution solution = coupled_draft_view(&draft);
    if (floor) {
        assert_true(any);
        assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
        assert_true(claim.welfare >= 0 && claim.welfare <= best);
        assert_true(claim.bound >= best);
        assert_int_equal(claim.relaxed_sets, 0);
        if (must_close) {
            assert_true(claim.welfare == best && claim.gap == 0);
        }
    }
    for (int round = 0; any && round < 4; round++) {
        draw_multipliers(&draft, &small->problem, random);
        solution = coupled_draft_view(&draft);
        solution.accepted = accepted;
        solution.flow = flow;
        assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
        assert_true(claim.welfare == best && claim.bound >= best);
    }
}

static void test_bound_and_floor_against_brute_force(void **state)
{
    (void)state;
    struct test_random random = {5};
    traded = 0;
    for (int turn = 0; turn < 6000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        small_problem_draw(&small, &random, &kinds);
        compare_problem(&small, &random, false);
    }
    assert_true(traded > 1500);
}

/* Divisible, unlinked bids on lines with integer capacities: optimal, and proven so. */
static void test_divisible_bids_leave_no_gap(void **state)
{
    (void)state;
    struct test_random random = {6};
    traded = 0;
    for (int turn = 0; turn < 4000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = {.lines = turn % 4 != 0, .meshed = turn % 4 > 1};
        small_problem_draw(&small, &random, &kinds);
        compare_problem(&small, &random, true);
    }
    assert_true(traded > 1000);
}

/* Quantities that have the best surplus of a set, and keep all rules but the network's when all other
 * bids rest (a sum that must be more than 0 is served by nobody, and not asked for). */
static void check_choice(const struct small_problem *small, const struct coupled_plan *plan,
                         struct coupled_search *search, const struct coupled_set *set,
                         const int128 *reduced, int128 best)
{
    int64_t choice[MODEL_BIDS] = {0};
    int128 again, value = 0;
    bool relaxed;
    uint64_t steps = coupled_check_steps_max;
    assert_true(coupled_set_choose(&again, &relaxed, choice, search, set, reduced, &steps));
    for (uint32_t i = 0; i < small->problem.bid_count; i++) {
        value += reduced[i] * choice[i];
    }
    assert_true(again == best && value == best);
    struct coupled_link links[MODEL_LINKS];
    struct coupled_problem without = small->problem;
    without.links = links;
    without.link_count = 0;
    for (uint32_t i = 0; i < small->problem.link_count; i++) {
        bool inside = plan->set_of[small->members[small->links[i].first]] ==
                      plan->set_of[plan->set_bid[set->first]];
        if (small->links[i].type != COUPLED_SUM || (inside && plan->sum_searched[i])) {
            links[without.link_count++] = small->links[i];
        }
    }
    assert_true(best == 0 || model_rules_hold(&without, choice));
}

static void test_sets_against_brute_force(void **state)
{
    (void)state;
    struct test_random random = {7};
    uint32_t sets = 0;
    for (int turn = 0; turn < 4000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        kinds.links = true;
        kinds.sums = false;
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        if (plan == NULL) {
            continue;
        }
        int128 reduced[MODEL_BIDS];
        for (uint32_t i = 0; i < small.problem.bid_count; i++) {
            reduced[i] = draw(&random, -9, 9);
        }
        struct coupled_search *search = coupled_search_create(plan, &arena);
        for (uint32_t i = 0; i < plan->set_count; i++) {
            const struct coupled_set *set = &plan->sets[i];
            uint64_t steps = coupled_check_steps_max;
            bool relaxed;
            int128 best;
            assert_true(coupled_set_best(&best, &relaxed, search, set, reduced, &steps));
            assert_false(relaxed);
            assert_true(best == model_set_best(&small.problem, plan->set_bid + set->first,
                                               set->count, reduced, false));
            check_choice(&small, plan, search, set, reduced, best);
            /* With next to no steps it is still a bound, and says so if it is weaker. */
            int128 weak;
            steps = (uint64_t)draw(&random, 0, 12);
            assert_true(coupled_set_best(&weak, &relaxed, search, set, reduced, &steps));
            assert_true(weak == best || (relaxed && weak > best));
            sets++;
        }
    }
    assert_true(sets > 2000);
}

/* A sum over lumps that stand in nothing else makes a set, and its best is what all quantities that
 * keep the sum can be worth; coupled_set_choose shows some that are. */
static void test_sums_of_lumps_are_searched(void **state)
{
    (void)state;
    struct test_random random = {8};
    uint32_t sets = 0, tighter = 0;
    for (int turn = 0; turn < 12000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        kinds.sums = kinds.lumps = true;
        kinds.links = turn % 3 == 0;
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        int128 reduced[MODEL_BIDS];
        for (uint32_t i = 0; i < small.problem.bid_count; i++) {
            reduced[i] = draw(&random, -9, 9);
        }
        struct coupled_search *search = plan == NULL ? NULL : coupled_search_create(plan, &arena);
        for (uint32_t i = 0; plan != NULL && i < plan->set_count; i++) {
            const struct coupled_set *set = &plan->sets[i];
            const uint32_t *bids = plan->set_bid + set->first;
            uint64_t steps = coupled_check_steps_max;
            bool relaxed, searched = false;
            int128 best;
            assert_true(coupled_set_best(&best, &relaxed, search, set, reduced, &steps));
            for (uint32_t k = 0; k < set->count; k++) {
                for (uint32_t at = plan->links.start[bids[k]]; at < plan->links.start[bids[k] + 1];
                     at++) {
                    searched = searched || plan->sum_searched[plan->links.list[at]];
                }
            }
            if (!searched) {
                continue;
            }
            int128 with = model_set_best(&small.problem, bids, set->count, reduced, true);
            int128 without = model_set_best(&small.problem, bids, set->count, reduced, false);
            assert_true(best == with && with <= without && !relaxed);
            check_choice(&small, plan, search, set, reduced, best);
            sets++;
            tighter += best < without;
        }
    }
    assert_true(sets > 1000 && tighter > 100);
}

/* Nobody loses, and every neur is somewhere, at any prices, whatever the quantities. */
static void check_settlement(const struct coupled_plan *plan,
                             const struct coupled_solution *solution,
                             const struct coupled_claim *claim)
{
    const struct coupled_problem *problem = plan->problem;
    struct coupled_settlement paid;
    size_t mark = arena.used;
    assert_true(coupled_settle(&paid, plan, solution, &arena));
    int128 sum = paid.left, rounded = 0;
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        int128 own = 0;
        for (uint32_t i = 0; i < problem->bid_count; i++) {
            const struct coupled_bid *bid = &problem->bids[i];
            own += bid->agent == agent ? (bid->buy ? 1 : -1) * (int128)bid->price *
                                             solution->accepted[i] * solution->den
                                       : 0;
        }
        sum += paid.agent[agent];
        rounded += paid.agent_ueur[agent];
        if (claim->welfare >= 0) {
            assert_true(own + paid.agent[agent] >= 0);
        }
        int128 exact = paid.agent_ueur[agent] * 1000 * solution->den;
        assert_true(exact <= paid.agent[agent]);
        assert_true(exact + 1000 * (int128)solution->den > paid.agent[agent]);
    }
    assert_true(sum == 0 && rounded == paid.balance_ueur);
    if (claim->welfare < 0) {
        assert_true(paid.left == paid.surplus && paid.make_whole == 0 && paid.charged == 0);
        assert_true(paid.short_of > 0 || paid.left < 0);
    } else {
        assert_true(paid.short_of == 0);
    }
    if (claim->welfare >= 0) {
        assert_true(paid.left >= 0 && paid.charged >= 0 && paid.make_whole >= 0);
        assert_true(paid.surplus + paid.charged == paid.make_whole + paid.left);
        assert_true(paid.charged == 0 || paid.left == 0);
    }
    arena.used = mark;
}

static void test_settlement(void **state)
{
    (void)state;
    struct test_random random = {8};
    uint32_t charged = 0;
    for (int turn = 0; turn < 1200; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        int128 best;
        int64_t accepted[MODEL_BIDS], flow[MODEL_SLOTS * MODEL_LINES];
        if (plan == NULL || !model_solve(&small.problem, &best, accepted, flow)) {
            continue;
        }
        struct coupled_draft draft;
        coupled_draft_take(&draft, &small.problem, &arena);
        for (int round = 0; round < 4; round++) {
            draw_multipliers(&draft, &small.problem, &random);
            struct coupled_solution solution = coupled_draft_view(&draft);
            solution.accepted = accepted;
            solution.flow = flow;
            struct coupled_claim claim;
            struct coupled_break broken;
            assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
            check_settlement(plan, &solution, &claim);
            charged += claim.welfare > 0;
        }
    }
    assert_true(charged > 100);
}

/* One buy and one sell at each end of a line: numbers that the tables below spoil. */
static const struct coupled_bid two_bids[] = {
    {.quantity = 10, .price = 9, .buy = true, .place = 1},
    {.quantity = 10, .price = 2, .place = 0},
};
static const struct coupled_line one_line[] = {{0, 1, INT64_MAX}};
static const struct coupled_coef two_coefs[] = {{0, 3}, {1, -1}};
static const struct coupled_row two_rows[] = {{0, 2, COUPLED_AT_MOST, 100},
                                              {0, 2, COUPLED_AT_LEAST, -100}};
static const uint32_t both[] = {0, 1};
static const struct coupled_link one_sum[] = {
    {.type = COUPLED_SUM, .count = 2, .op = COUPLED_AT_MOST, .quantity = 40, .den = 1}};
static const struct coupled_problem spoiled = {
    .bid_count = 2,
    .agent_count = 1,
    .slot_count = 1,
    .place_count = 2,
    .line_count = 1,
    .row_count = 2,
    .coef_count = 2,
    .link_count = 1,
    .member_count = 2,
    .bids = two_bids,
    .lines = one_line,
    .rows = two_rows,
    .coefs = two_coefs,
    .links = one_sum,
    .members = both,
};

static void test_multipliers_that_are_none(void **state)
{
    (void)state;
    const struct {
        int64_t den, node, row, other_row, sum, other_node;
        enum coupled_rule rule;
    } rows[] = {
        {1, 5, 0, 0, 0, 0, COUPLED_KEPT},
        {7, -5, 1, -1, 1, 0, COUPLED_KEPT},
        {0, 5, 0, 0, 0, 0, COUPLED_BROKEN_DENOMINATOR},
        {-1, 5, 0, 0, 0, 0, COUPLED_BROKEN_DENOMINATOR},
        {1, 5, -1, 0, 0, 0, COUPLED_BROKEN_SIGN},
        {1, 5, 0, 1, 0, 0, COUPLED_BROKEN_SIGN},
        {1, 5, 0, 0, -1, 0, COUPLED_BROKEN_SIGN},
        {1, INT64_MIN, 0, 0, 0, 0, COUPLED_KEPT},
        {INT64_MAX, INT64_MIN, 0, 0, 0, 0, COUPLED_KEPT},
        {1, INT64_MIN, INT64_MAX, 0, 0, INT64_MAX, COUPLED_OVERFLOW},
        {1, INT64_MAX, 0, INT64_MIN, INT64_MAX, INT64_MIN, COUPLED_OVERFLOW},
    };
    const struct coupled_plan *plan = prepare(&spoiled);
    struct coupled_draft draft;
    assert_non_null(plan);
    coupled_draft_take(&draft, &spoiled, &arena);
    draft.accepted[0] = draft.accepted[1] = draft.flow[0] = 6;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct coupled_claim claim;
        struct coupled_break broken;
        draft.den = rows[i].den;
        draft.node[0] = rows[i].node;
        draft.node[1] = rows[i].other_node;
        draft.row[0] = rows[i].row;
        draft.row[1] = rows[i].other_row;
        draft.sum[0] = rows[i].sum;
        struct coupled_solution solution = coupled_draft_view(&draft);
        bool good = coupled_check(&claim, &broken, plan, &solution, &arena);
        assert_int_equal(broken.rule, rows[i].rule);
        assert_int_equal(good, rows[i].rule == COUPLED_KEPT);
        assert_true(!good || (claim.welfare == 42 && claim.bound >= 42));
    }
}

/* Limits close to what numbers hold: refused by name, or right. Never an abort. */
static void test_numbers_near_their_ends(void **state)
{
    (void)state;
    struct test_random random = {31};
    static const int64_t ends[] = {
        INT64_MIN,     INT64_MIN + 1, -1,        0, 1, INT64_MAX - 1, INT64_MAX,
        INT64_MAX / 2, INT64_MAX / 4, 1000000007};
    enum { ENDS = sizeof ends / sizeof ends[0] };
    uint32_t prepared = 0, checked = 0;
    for (int turn = 0; turn < 4000; turn++) {
        struct small_problem small;
        small_problem_draw(&small, &random, &everything);
        for (uint32_t i = 0; i < small.problem.bid_count; i++) {
            if (draw(&random, 0, 2) == 0) {
                small.bids[i].price = ends[draw(&random, 0, ENDS - 1)];
            }
            if (draw(&random, 0, 5) == 0) {
                small.bids[i].quantity = ends[draw(&random, 0, ENDS - 1)];
            }
        }
        for (uint32_t i = 0; i < small.problem.line_count; i++) {
            if (draw(&random, 0, 2) == 0) {
                small.lines[i].capacity = ends[draw(&random, 0, ENDS - 1)];
            }
        }
        for (uint32_t i = 0; i < small.problem.coef_count; i++) {
            small.coefs[i].value = ends[draw(&random, 0, ENDS - 1)];
        }
        for (uint32_t i = 0; i < small.problem.link_count; i++) {
            if (draw(&random, 0, 1) == 0) {
                small.links[i].num = ends[draw(&random, 0, ENDS - 1)];
                small.links[i].den = ends[draw(&random, 0, ENDS - 1)];
                small.links[i].quantity = ends[draw(&random, 0, ENDS - 1)];
            }
        }
        const struct coupled_plan *plan = prepare(&small.problem);
        if (plan == NULL) {
            continue;
        }
        struct coupled_draft draft;
        struct coupled_break broken;
        struct coupled_claim claim;
        coupled_draft_take(&draft, &small.problem, &arena);
        prepared++;
        if (!coupled_floor(&draft, &broken, plan, 0, &arena)) {
            continue;
        }
        for (int round = 0; round < 3; round++) {
            struct coupled_solution solution = coupled_draft_view(&draft);
            bool good = coupled_check(&claim, &broken, plan, &solution, &arena);
            assert_true(good || broken.rule == COUPLED_OVERFLOW);
            struct coupled_settlement paid;
            size_t mark = arena.used;
            if (good) {
                (void)!coupled_settle(&paid, plan, &solution, &arena);
            }
            arena.used = mark;
            checked += good;
            draft.den = ends[draw(&random, 4, ENDS - 1)];
            for (size_t i = 0; i < plan->cells; i++) {
                draft.node[i] = ends[draw(&random, 0, ENDS - 1)];
            }
        }
    }
    assert_true(prepared > 300 && checked > 300);
}

/* Where there is one place and nothing else, a coupled auction is a call auction. */
static void test_one_place_is_a_call(void **state)
{
    (void)state;
    struct test_random random = {17};
    uint32_t priced = 0;
    for (int turn = 0; turn < 2000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = {0};
        small_problem_draw(&small, &random, &kinds);
        small.problem.place_count = 1;
        struct clear_bid bids[MODEL_BIDS] = {{0}};
        for (uint32_t i = 0; i < small.problem.bid_count; i++) {
            small.bids[i].place = 0;
            bids[i] = (struct clear_bid){.quantity = small.bids[i].quantity,
                                         .price = small.bids[i].price,
                                         .agent = small.bids[i].agent,
                                         .slot = small.bids[i].slot,
                                         .node = CLEAR_NODE_NONE,
                                         .buy = small.bids[i].buy};
        }
        struct clear_problem call = {.mechanism = CLEAR_MERIT_ORDER,
                                     .bid_count = small.problem.bid_count,
                                     .agent_count = small.problem.agent_count,
                                     .slot_count = small.problem.slot_count,
                                     .bids = bids};
        static uint8_t other[1 << 20];
        struct clear_arena own = {other, sizeof other, 0};
        struct clear_result result;
        assert_true(clear_arena_bytes(&call) <= sizeof other);
        assert_true(clear_run(&result, &call, &own));
        const struct coupled_plan *plan = prepare(&small.problem);
        struct coupled_draft draft;
        struct coupled_break broken;
        struct coupled_claim claim;
        assert_non_null(plan);
        coupled_draft_take(&draft, &small.problem, &arena);
        assert_true(coupled_floor(&draft, &broken, plan, 0, &arena));
        struct coupled_solution solution = coupled_draft_view(&draft);
        assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
        assert_true(claim.welfare == result.welfare && claim.quantity == result.quantity);
        assert_memory_equal(draft.accepted, result.accepted,
                            small.problem.bid_count * sizeof *draft.accepted);
        for (uint32_t slot = 0; slot < small.problem.slot_count; slot++) {
            if (result.prices[slot].traded) {
                assert_int_equal(draft.node[slot], result.prices[slot].price);
                priced++;
            }
        }
    }
    assert_true(priced > 500);
}

/* A chain of conversions with quantities that no brute force over all bids could walk: here the
 * root alone is walked. Small denominators are searched through exactly; large ones bounded. */
static void test_long_conversions(void **state)
{
    (void)state;
    struct test_random random = {41};
    uint32_t exact = 0, weak = 0;
    for (int turn = 0; turn < 300; turn++) {
        struct coupled_bid bids[3] = {{0}};
        struct coupled_link links[2] = {{0}};
        static const uint32_t members[] = {0, 1, 1, 2};
        int64_t largest = turn % 3 == 0 ? 9000 : 12;
        for (int i = 0; i < 3; i++) {
            bids[i].quantity = draw(&random, 0, 30000);
            bids[i].min_quantity = draw(&random, 0, 1) * draw(&random, 0, bids[i].quantity / 4);
        }
        for (int i = 0; i < 2; i++) {
            links[i] = (struct coupled_link){.type = COUPLED_CONVERT,
                                             .first = 2 * (uint32_t)i,
                                             .count = 2,
                                             .num = draw(&random, 1, largest),
                                             .den = draw(&random, 1, largest)};
        }
        struct coupled_problem problem = {.bid_count = 3,
                                          .agent_count = 1,
                                          .slot_count = 1,
                                          .place_count = 1,
                                          .link_count = 2,
                                          .member_count = 4,
                                          .bids = bids,
                                          .links = links,
                                          .members = members};
        const struct coupled_plan *plan = prepare(&problem);
        assert_non_null(plan);
        int128 reduced[3], best = 0, found;
        for (int i = 0; i < 3; i++) {
            reduced[i] = draw(&random, -1000, 1000);
        }
        for (int64_t root = 0; root <= bids[0].quantity; root++) {
            int64_t q[3] = {root, root * links[0].num / links[0].den, 0};
            q[2] = q[1] * links[1].num / links[1].den;
            int128 worth = 0;
            bool good = true;
            for (int i = 0; i < 3; i++) {
                good =
                    good && q[i] <= bids[i].quantity && (q[i] == 0 || q[i] >= bids[i].min_quantity);
                worth += reduced[i] * q[i];
            }
            best = good && worth > best ? worth : best;
        }
        struct coupled_search *search = coupled_search_create(plan, &arena);
        uint64_t steps = coupled_check_steps_max;
        bool relaxed;
        assert_int_equal(plan->set_count, 1);
        assert_true(coupled_set_best(&found, &relaxed, search, &plan->sets[0], reduced, &steps));
        assert_true(found == best || (relaxed && found > best));
        exact += !relaxed;
        weak += relaxed;
    }
    assert_true(exact > 100 && weak > 10);
}

/* However early its steps end, the floor is a solution, and its bound one. */
static void test_floor_with_few_steps(void **state)
{
    (void)state;
    struct test_random random = {51};
    uint32_t cut = 0;
    for (int turn = 0; turn < 1500; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        struct coupled_break broken;
        if (plan == NULL || !coupled_rest_is_solution(plan, &broken)) {
            continue;
        }
        int128 whole = 0;
        for (int round = 0; round < 2; round++) {
            struct coupled_draft draft;
            struct coupled_claim claim;
            uint64_t steps = round == 0 ? 0 : (uint64_t)draw(&random, 1, 60);
            size_t mark = arena.used;
            coupled_draft_take(&draft, &small.problem, &arena);
            assert_true(coupled_floor(&draft, &broken, plan, steps, &arena));
            struct coupled_solution solution = coupled_draft_view(&draft);
            assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
            assert_true(claim.welfare >= 0);
            cut += round == 1 && claim.welfare < whole;
            whole = claim.welfare;
            arena.used = mark;
        }
    }
    assert_true(cut > 50);
}

static void test_hash_of_a_solution(void **state)
{
    (void)state;
    const struct coupled_plan *plan = prepare(&spoiled);
    struct coupled_draft draft;
    struct hash salt = {{0}}, first, other;
    coupled_draft_take(&draft, &spoiled, &arena);
    struct coupled_solution solution = coupled_draft_view(&draft);
    coupled_solution_hash(&first, plan, &solution, &salt);
    int64_t *const numbers[] = {&draft.accepted[0], &draft.accepted[1], &draft.flow[0], &draft.den,
                                &draft.node[1],     &draft.row[1],      &draft.sum[0]};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ++*numbers[i];
        solution = coupled_draft_view(&draft);
        coupled_solution_hash(&other, plan, &solution, &salt);
        assert_false(hash_equal(&first, &other));
        --*numbers[i];
    }
    solution = coupled_draft_view(&draft);
    coupled_solution_hash(&other, plan, &solution, &salt);
    assert_true(hash_equal(&first, &other));
    /* Python: blake2b(salt + tables as the spec says, person=b"flex/coupled/1"). */
    char text[2 * HASH_SIZE + 1];
    hex_encode(text, first.bytes, HASH_SIZE);
    assert_string_equal(text, "dc283eb2d41aeaa52646f7536d909c7a6c4bf2b4cae0095d37769ca7236e45e0");
    salt.bytes[31] = 1;
    coupled_solution_hash(&other, plan, &solution, &salt);
    assert_false(hash_equal(&first, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_against_model),
        cmocka_unit_test(test_bound_and_floor_against_brute_force),
        cmocka_unit_test(test_divisible_bids_leave_no_gap),
        cmocka_unit_test(test_sets_against_brute_force),
        cmocka_unit_test(test_sums_of_lumps_are_searched),
        cmocka_unit_test(test_settlement),
        cmocka_unit_test(test_multipliers_that_are_none),
        cmocka_unit_test(test_numbers_near_their_ends),
        cmocka_unit_test(test_one_place_is_a_call),
        cmocka_unit_test(test_long_conversions),
        cmocka_unit_test(test_floor_with_few_steps),
        cmocka_unit_test(test_hash_of_a_solution),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
