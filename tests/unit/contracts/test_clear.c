/* Clearing where the slow model of tests/models can't go: the largest numbers, the end of the search
 * budget, many orders; and worked examples that a reader can follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/clear_pay.h"
#include "tests/lib/random.h"

enum { DSO, FSP1, FSP2, FSP3, AGENTS };

struct run {
    struct clear_problem problem;
    struct clear_arena arena;
    struct clear_result result;
};

static struct clear_problem problem_of(enum clear_mechanism mechanism, const struct clear_bid *bids,
                                       uint32_t count)
{
    return (struct clear_problem){.mechanism = mechanism,
                                  .bid_count = count,
                                  .agent_count = AGENTS,
                                  .slot_count = 1,
                                  .bids = bids};
}

static void run_start(struct run *run)
{
    struct clear_fault fault = {0};
    run->arena = (struct clear_arena){.size = clear_arena_bytes(&run->problem)};
    run->arena.bytes = malloc(run->arena.size);
    assert_non_null(run->arena.bytes);
    assert_true(clear_check(&run->problem, &fault, &run->arena));
    assert_true(clear_run(&run->result, &run->problem, &run->arena));
}

static void run_end(struct run *run)
{
    free(run->arena.bytes);
}

static struct clear_bid buy_of(uint32_t agent, int64_t quantity, int64_t price)
{
    return (struct clear_bid){
        .quantity = quantity, .price = price, .agent = agent, .buy = true, .node = CLEAR_NODE_NONE};
}

static struct clear_bid sell_of(uint32_t agent, int64_t quantity, int64_t price)
{
    return (struct clear_bid){
        .quantity = quantity, .price = price, .agent = agent, .node = CLEAR_NODE_NONE};
}

/* The hour 17:00 of D2.3 table 3-4: the DSO's four steps, worth 0.3, 2, 9 and 1 per kW. */
static void load_table_3_4(struct clear_bid bids[7])
{
    static const int64_t quantity[] = {281110, 70280, 24700, 7520};
    static const int64_t price[] = {300000, 2000000, 9000000, 1000000};
    for (uint32_t i = 0; i < 4; i++) {
        bids[i] = buy_of(DSO, quantity[i], price[i]);
        bids[i].order = i;
    }
    bids[4] = sell_of(FSP1, 300000, 0);
    bids[5] = sell_of(FSP2, 60000, 400000);
    bids[6] = sell_of(FSP3, 40000, 3000000);
}

/* Ordered: the first step's 0.3 is under FSP2's 0.4, but it opens the way to 2 and 9. FSP1 gives its
 * 300 and FSP2 its 60 kW; the last 16.09 kW of the step worth 9 come from FSP3 at 3, who is too dear
 * for the step worth 1. */
static void test_ordered_demand_of_the_seed(void **state)
{
    (void)state;
    struct clear_bid bids[7];
    load_table_3_4(bids);
    struct run run = {.problem = problem_of(CLEAR_ORDERED_DEMAND, bids, 7)};
    run_start(&run);
    static const int64_t accepted[] = {281110, 70280, 24700, 0, 300000, 60000, 16090};
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(run.result.accepted[i], accepted[i]);
    }
    struct clear_payment_result vcg;
    assert_true(clear_pay(&vcg, &run.problem, &run.result, CLEAR_PAY_VCG, NULL, &run.arena));
    /* One buyer pays the sellers' cost: 60000 x 0.4 + 16090 x 3 per kW (tables 3-6 and 3-9). */
    assert_true(vcg.agent_ueur[DSO] == -(60000LL * 400 + 16090LL * 3000));
    run_end(&run);
}

static void test_merit_order_of_the_seed(void **state)
{
    (void)state;
    struct clear_bid bids[7];
    load_table_3_4(bids);
    struct run run = {.problem = problem_of(CLEAR_MERIT_ORDER, bids, 7)};
    run_start(&run);
    /* 9, 2 and 1 are served whole, 0.3 by what FSP1 has left; so 0.3 sets the price, since FSP1 is
     * used up and FSP2 asks for more. */
    static const int64_t accepted[] = {197500, 70280, 24700, 7520, 300000, 0, 0};
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(run.result.accepted[i], accepted[i]);
    }
    assert_int_equal(run.result.prices[0].price, 300000);
    run_end(&run);
}

/* Numbers as large as clear_check lets through: every sum still fits, and it stays exact. */
static void test_largest_numbers(void **state)
{
    (void)state;
    int64_t large = INT64_MAX / 4;
    int64_t price = (int64_t)1 << 57;
    struct clear_bid bids[3] = {buy_of(DSO, large, price), sell_of(FSP1, large / 2, -price),
                                sell_of(FSP2, large / 2, price)};
    struct clear_fault fault;
    struct run run = {.problem = problem_of(CLEAR_MERIT_ORDER, bids, 3)};
    run_start(&run);
    int128 welfare = 2 * product_i128(price, large / 2);
    assert_true(run.result.welfare == welfare);
    for (int payment = 0; payment < CLEAR_PAY_SHAPLEY; payment++) {
        struct clear_payment_result paid;
        assert_true(clear_pay(&paid, &run.problem, &run.result, (enum clear_payment)payment, NULL,
                              &run.arena));
        int128 sum = 0;
        for (uint32_t agent = 0; agent < AGENTS; agent++) {
            sum += paid.agent_ueur[agent];
        }
        assert_true(sum == paid.balance_ueur);
    }
    assert_false(clear_pay_check(&run.problem, CLEAR_PAY_SHAPLEY, false, &fault, &run.arena));
    bids[0].price = INT64_MIN;
    assert_false(clear_check(&run.problem, &fault, &run.arena));
    assert_string_equal(fault.field, "price");
    bids[0].price = 0;
    bids[0].quantity = INT64_MAX;
    assert_false(clear_check(&run.problem, &fault, &run.arena));
    assert_string_equal(fault.field, "quantity");
    assert_int_equal(fault.bid, 1);
    run_end(&run);
}

enum { OFFERS = 40 };

/* Even quantities and an odd request, with one divisible-looking pair, so that no bound sees that
 * the last unit can't be had. */
static void load_hard(struct clear_bid bids[OFFERS + 1])
{
    struct test_random random = {3};
    bids[0] = buy_of(DSO, 1000001, 1000000);
    for (uint32_t i = 1; i <= OFFERS; i++) {
        bids[i] = sell_of(FSP1 + i % 3, 2 * (20000 + (int64_t)test_random_below(&random, 20000)),
                          (int64_t)test_random_below(&random, 1000000));
        bids[i].indivisible = true;
    }
    /* A minimum next to the whole keeps the common divisor out of it. */
    bids[1].indivisible = false;
    bids[1].min_quantity = bids[1].quantity - 2;
    bids[1].quantity--;
}

static void test_end_of_search_budget(void **state)
{
    (void)state;
    struct clear_bid bids[OFFERS + 1];
    load_hard(bids);
    int128 welfare = -1;
    int64_t quantity = -1;
    /* More budget never makes it worse, and what is said of the bound holds all the way. */
    for (uint64_t steps = 1; steps <= 1000000; steps *= 10) {
        struct run run = {.problem = problem_of(CLEAR_ONE_SIDED, bids, OFFERS + 1)};
        struct clear_payment_result paid;
        run.problem.search_steps = steps;
        run_start(&run);
        assert_false(run.result.proven && steps < 100);
        assert_true(run.result.quantity <= run.result.bound_quantity);
        assert_true(run.result.welfare <= run.result.bound_welfare);
        assert_true(run.result.bound_quantity <= bids[0].quantity);
        assert_true(run.result.quantity > quantity ||
                    (run.result.quantity == quantity && run.result.welfare >= welfare));
        quantity = (int64_t)run.result.quantity;
        welfare = run.result.welfare;
        if (!run.result.proven) {
            /* What agents reach without others is unknown then, and no payment is made up. */
            assert_false(
                clear_pay(&paid, &run.problem, &run.result, CLEAR_PAY_VCG, NULL, &run.arena));
        }
        run_end(&run);
    }
    assert_true(quantity > 900000);
}

/* Whole orders that all pass each other over: nothing trades until the one that takes them all. */
static void test_many_resting_orders(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    struct clear_bid *bids = calloc(MANY + 1, sizeof *bids);
    assert_non_null(bids);
    int64_t sum = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        bids[i] = sell_of(FSP1, 2 + i % 7, 100 + i % 13);
        bids[i].indivisible = true;
        sum += bids[i].quantity;
    }
    bids[MANY] = buy_of(DSO, sum, 1000);
    bids[MANY].kind = CLEAR_ALL_OR_NONE;
    struct run run = {.problem = problem_of(CLEAR_CONTINUOUS, bids, MANY + 1)};
    run_start(&run);
    assert_int_equal(run.result.trade_count, MANY);
    assert_int_equal(run.result.accepted[MANY], sum);
    /* By price, then time. */
    for (uint32_t i = 1; i < MANY; i++) {
        const struct clear_trade *a = &run.result.trades[i - 1];
        const struct clear_trade *b = &run.result.trades[i];
        assert_true(a->price < b->price || (a->price == b->price && a->ask < b->ask));
    }
    run_end(&run);
    bids[MANY].quantity++;
    run_start(&run);
    assert_int_equal(run.result.trade_count, 0);
    run_end(&run);
    free(bids);
}

/* MFX II.A: two feeders under one transformer of 10; the later, cheaper request is cut there, and
 * its price is what all of them pay for the transformer. */
static void test_capacity_of_two_feeders(void **state)
{
    (void)state;
    struct clear_node nodes[3] = {{10, CLEAR_NODE_NONE}, {8, 0}, {8, 0}};
    struct clear_bid bids[3] = {buy_of(FSP1, 6, 50), buy_of(FSP2, 7, 30), buy_of(FSP3, 3, 40)};
    bids[0].node = 1;
    bids[1].node = 2;
    bids[2].node = 1;
    struct run run = {.problem = problem_of(CLEAR_CAPACITY, bids, 3)};
    run.problem.nodes = nodes;
    run.problem.node_count = 3;
    run_start(&run);
    /* 50 gets 6; 40 gets the 2 that its feeder has left; 30 the 2 that the transformer has. */
    static const int64_t accepted[] = {6, 2, 2};
    static const int64_t price[] = {30, 40, 0};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(run.result.accepted[i], accepted[i]);
        assert_int_equal(run.result.constraint_price[i], price[i]);
    }
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordered_demand_of_the_seed),
        cmocka_unit_test(test_merit_order_of_the_seed),
        cmocka_unit_test(test_largest_numbers),
        cmocka_unit_test(test_end_of_search_budget),
        cmocka_unit_test(test_many_resting_orders),
        cmocka_unit_test(test_capacity_of_two_feeders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
