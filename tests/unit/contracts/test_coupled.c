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
    bool floor = coupled_floor(&draft, &broken, plan, &arena);
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

static void test_sets_against_brute_force(void **state)
{
    (void)state;
    struct test_random random = {7};
    uint32_t sets = 0;
    for (int turn = 0; turn < 4000; turn++) {
        struct small_problem small;
        struct small_kinds kinds = draw_kinds(&random);
        kinds.links = true;
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
                                               set->count, reduced));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_against_model),
        cmocka_unit_test(test_bound_and_floor_against_brute_force),
        cmocka_unit_test(test_divisible_bids_leave_no_gap),
        cmocka_unit_test(test_sets_against_brute_force),
        cmocka_unit_test(test_settlement),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
