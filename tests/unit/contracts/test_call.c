/* The call auction against a model that tries every allocation and every price, and against the
 * worked examples of docs/spec/market.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "contracts/call.h"
#include "tests/lib/contracts/call_model.h"
#include "tests/lib/contracts/dice.h"

enum { SMALL_RUNS = 6000, PRICE_LEAST = -3, PRICE_MOST = 6 };

struct cleared {
    struct call_result result;
    uint32_t buy_priority[MODEL_SIDE_MAX];
    uint32_t sell_priority[MODEL_SIDE_MAX];
};

static struct call_side side_of(struct model_side *side, uint32_t *priority)
{
    struct call_side out = {side->count, side->orders, side->accepted, priority};
    return out;
}

static struct cleared clear(struct model_side *buys, struct model_side *sells, enum call_tie tie)
{
    struct cleared out;
    uint32_t index[MODEL_SIDE_MAX];
    int64_t remainder[MODEL_SIDE_MAX];
    struct call_side b = side_of(buys, out.buy_priority);
    struct call_side s = side_of(sells, out.sell_priority);
    struct call_scratch scratch = {index, remainder};
    assert_true(call_clear(&out.result, &b, &s, tie, &scratch));
    return out;
}

static void draw_side(struct dice *dice, struct model_side *side, uint32_t most)
{
    side->count = (uint32_t)dice_between(dice, 0, most);
    for (uint32_t i = 0; i < side->count; i++) {
        side->orders[i].price = dice_between(dice, PRICE_LEAST, PRICE_MOST);
        side->orders[i].quantity = dice_between(dice, 1, 5);
        side->orders[i].rank = i;
        side->orders[i].resting = dice_between(dice, 0, 2) == 0;
    }
}

static int64_t sum(const int64_t *values, uint32_t count)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += values[i];
    return total;
}

static void check_pairing(struct model_side *buys, struct model_side *sells, struct cleared *done)
{
    struct call_side b = side_of(buys, done->buy_priority);
    struct call_side s = side_of(sells, done->sell_priority);
    int64_t bought[MODEL_SIDE_MAX] = {0};
    int64_t sold[MODEL_SIDE_MAX] = {0};
    struct call_pairing pairing = {0};
    struct call_trade trade;
    uint32_t trades = 0;
    while (call_next_trade(&pairing, &trade, &b, &s)) {
        assert_true(trade.quantity > 0);
        bought[trade.buy] += trade.quantity;
        sold[trade.sell] += trade.quantity;
        assert_true(buys->orders[trade.buy].price >= done->result.price);
        assert_true(sells->orders[trade.sell].price <= done->result.price);
        trades++;
    }
    assert_memory_equal(bought, buys->accepted, buys->count * sizeof bought[0]);
    assert_memory_equal(sold, sells->accepted, sells->count * sizeof sold[0]);
    assert_true(trades == 0 ? done->result.volume == 0 : trades <= buys->count + sells->count - 1);
}

/* Every property of one result, against the model. */
static void check_against_model(struct model_side *buys, struct model_side *sells,
                                enum call_tie tie)
{
    struct cleared done = clear(buys, sells, tie);
    int64_t welfare;
    int64_t volume;
    model_best_allocation(buys, sells, &welfare, &volume);
    assert_int_equal(done.result.volume, volume);
    assert_int_equal(done.result.volume,
                     model_volume(buys, sells, PRICE_LEAST - 1, PRICE_MOST + 1));
    assert_true(done.result.welfare == welfare);
    assert_int_equal(sum(buys->accepted, buys->count), volume);
    assert_int_equal(sum(sells->accepted, sells->count), volume);

    struct model_side want_buys = *buys;
    struct model_side want_sells = *sells;
    model_share(&want_buys, true, volume, tie);
    model_share(&want_sells, false, volume, tie);
    for (uint32_t i = 0; i < buys->count; i++)
        assert_int_equal(buys->accepted[i], want_buys.accepted[i]);
    for (uint32_t i = 0; i < sells->count; i++)
        assert_int_equal(sells->accepted[i], want_sells.accepted[i]);
    if (volume > 0) {
        for (int64_t price = PRICE_LEAST - 2; price <= PRICE_MOST + 2; price++) {
            bool inside = price >= done.result.lower && price <= done.result.upper;
            assert_int_equal(model_supports(buys, sells, price), inside);
        }
        assert_true(2 * done.result.price <= done.result.lower + done.result.upper);
        assert_true(2 * done.result.price + 2 > done.result.lower + done.result.upper);
    }
    check_pairing(buys, sells, &done);
}

static void test_small_problems_match_exhaustive_search(void **state)
{
    (void)state;
    struct dice dice = {20240101};
    for (int run = 0; run < SMALL_RUNS; run++) {
        struct model_side buys;
        struct model_side sells;
        draw_side(&dice, &buys, 4);
        draw_side(&dice, &sells, 4);
        check_against_model(&buys, &sells, run % 2 == 0 ? CALL_TIE_TIME : CALL_TIE_PRO_RATA);
    }
}

static void shuffle(struct dice *dice, struct model_side *side)
{
    for (uint32_t i = side->count; i > 1; i--) {
        uint32_t j = (uint32_t)dice_between(dice, 0, i - 1);
        struct call_order order = side->orders[i - 1];
        side->orders[i - 1] = side->orders[j];
        side->orders[j] = order;
    }
}

static int64_t accepted_by_rank(const struct model_side *side, uint64_t rank)
{
    for (uint32_t i = 0; i < side->count; i++)
        if (side->orders[i].rank == rank)
            return side->accepted[i];
    fail();
    return -1;
}

static void test_place_in_the_array_has_no_effect(void **state)
{
    (void)state;
    struct dice dice = {77};
    for (int run = 0; run < SMALL_RUNS; run++) {
        enum call_tie tie = run % 2 == 0 ? CALL_TIE_TIME : CALL_TIE_PRO_RATA;
        struct model_side buys;
        struct model_side sells;
        draw_side(&dice, &buys, MODEL_SIDE_MAX);
        draw_side(&dice, &sells, MODEL_SIDE_MAX);
        struct cleared before = clear(&buys, &sells, tie);
        struct model_side mixed_buys = buys;
        struct model_side mixed_sells = sells;
        shuffle(&dice, &mixed_buys);
        shuffle(&dice, &mixed_sells);
        struct cleared after = clear(&mixed_buys, &mixed_sells, tie);
        assert_int_equal(before.result.volume, after.result.volume);
        assert_int_equal(before.result.price, after.result.price);
        for (uint32_t i = 0; i < buys.count; i++)
            assert_int_equal(buys.accepted[i], accepted_by_rank(&mixed_buys, i));
        for (uint32_t i = 0; i < sells.count; i++)
            assert_int_equal(sells.accepted[i], accepted_by_rank(&mixed_sells, i));
    }
}

struct example_order {
    int64_t price;
    int64_t quantity;
    bool resting;
    int64_t accepted;
};
struct example {
    const char *name; /* as docs/spec/market.md names it */
    enum call_tie tie;
    struct example_order buys[4];
    struct example_order sells[4];
    int64_t volume, lower, upper, price;
    int64_t welfare;
};

static const struct example examples[] = {
    {"merit order",
     CALL_TIE_TIME,
     {{300000, 1000, false, 1000}, {250000, 500, false, 200}},
     {{150000, 700, false, 700}, {250000, 500, false, 500}, {280000, 400, false, 0}},
     1200,
     250000,
     250000,
     250000,
     INT64_C(120000000)},
    {"midpoint, floored",
     CALL_TIE_TIME,
     {{300001, 100, false, 100}},
     {{200000, 100, false, 100}},
     100,
     200000,
     300001,
     250000,
     INT64_C(10000100)},
    {"floor of a negative midpoint",
     CALL_TIE_TIME,
     {{-1, 10, false, 10}},
     {{-4, 10, false, 10}},
     10,
     -4,
     -1,
     -3,
     30},
    {"alone on the margin sets the price",
     CALL_TIE_TIME,
     {{300000, 1000, false, 600}},
     {{100000, 600, false, 600}},
     600,
     300000,
     300000,
     300000,
     INT64_C(120000000)},
    {"a left bid lifts the lower end",
     CALL_TIE_TIME,
     {{300000, 100, false, 100}, {260000, 100, false, 0}},
     {{200000, 100, false, 100}},
     100,
     260000,
     300000,
     280000,
     INT64_C(10000000)},
    {"zero surplus trades",
     CALL_TIE_TIME,
     {{200000, 300, false, 300}},
     {{200000, 300, false, 300}},
     300,
     200000,
     200000,
     200000,
     0},
    {"pro rata, largest remainder",
     CALL_TIE_PRO_RATA,
     {{300000, 10, false, 10}},
     {{200000, 7, false, 4}, {200000, 6, false, 3}, {200000, 5, false, 3}},
     10,
     200000,
     200000,
     200000,
     1000000},
    {"resting before the batch",
     CALL_TIE_PRO_RATA,
     {{300000, 10, false, 10}},
     {{200000, 6, false, 2}, {200000, 6, true, 6}, {200000, 6, false, 2}},
     10,
     200000,
     200000,
     200000,
     1000000},
    {"nothing crosses", CALL_TIE_TIME, {{100, 5, false, 0}}, {{101, 5, false, 0}}, 0, 0, 0, 0, 0},
};

static void take_example(struct model_side *side, const struct example_order orders[4])
{
    side->count = 0;
    for (uint32_t i = 0; i < 4 && orders[i].quantity > 0; i++) {
        side->orders[i] = (struct call_order){.price = orders[i].price,
                                              .quantity = orders[i].quantity,
                                              .rank = i,
                                              .resting = orders[i].resting};
        side->count++;
    }
}

static void test_worked_examples(void **state)
{
    (void)state;
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
        const struct example *want = &examples[e];
        struct model_side buys;
        struct model_side sells;
        take_example(&buys, want->buys);
        take_example(&sells, want->sells);
        struct cleared done = clear(&buys, &sells, want->tie);
        print_message("          %s\n", want->name);
        assert_int_equal(done.result.volume, want->volume);
        assert_int_equal(done.result.lower, want->lower);
        assert_int_equal(done.result.upper, want->upper);
        assert_int_equal(done.result.price, want->price);
        assert_true(done.result.welfare == want->welfare);
        for (uint32_t i = 0; i < buys.count; i++)
            assert_int_equal(buys.accepted[i], want->buys[i].accepted);
        for (uint32_t i = 0; i < sells.count; i++)
            assert_int_equal(sells.accepted[i], want->sells[i].accepted);
    }
}

static void test_refuses_what_does_not_add_up(void **state)
{
    (void)state;
    const int64_t bad[][2] = {{INT64_MAX, 1}, {0, 1}, {-5, 10}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct model_side buys = {.count = 2};
        struct model_side sells = {.count = 0};
        buys.orders[0].quantity = bad[i][0];
        buys.orders[1].quantity = bad[i][1];
        uint32_t priority[2][MODEL_SIDE_MAX];
        uint32_t index[MODEL_SIDE_MAX];
        int64_t remainder[MODEL_SIDE_MAX];
        struct call_side b = side_of(&buys, priority[0]);
        struct call_side s = side_of(&sells, priority[1]);
        struct call_scratch scratch = {index, remainder};
        struct call_result result;
        assert_false(call_clear(&result, &b, &s, CALL_TIE_TIME, &scratch));
        assert_int_equal(result.volume, 0);
        assert_false(call_clear(&result, &s, &b, CALL_TIE_PRO_RATA, &scratch));
    }
}

/* The widest numbers: quantities that fill int64 together, prices at both ends. */
static void test_extreme_numbers(void **state)
{
    (void)state;
    struct model_side buys = {.count = 2};
    struct model_side sells = {.count = 2};
    buys.orders[0] = (struct call_order){INT64_MAX, INT64_MAX - 1, 0, false};
    buys.orders[1] = (struct call_order){INT64_MAX, 1, 1, false};
    sells.orders[0] = (struct call_order){INT64_MIN, INT64_MAX - 1, 0, false};
    sells.orders[1] = (struct call_order){INT64_MIN, 1, 1, false};
    struct cleared done = clear(&buys, &sells, CALL_TIE_PRO_RATA);
    assert_int_equal(done.result.volume, INT64_MAX);
    assert_int_equal(done.result.price, -1);
    int128 each = product_i128(INT64_MAX, INT64_MAX) - product_i128(INT64_MIN, INT64_MAX);
    assert_true(done.result.welfare == each);

    sells.count = 1;
    sells.orders[0].quantity = INT64_MAX / 2;
    done = clear(&buys, &sells, CALL_TIE_PRO_RATA);
    assert_int_equal(done.result.volume, INT64_MAX / 2);
    assert_int_equal(buys.accepted[0] + buys.accepted[1], INT64_MAX / 2);
}

/* Fault scenario 70: 10^5 bids a side, most of them on few prices, so that one level shares among
 * thousands. Volume is checked against the grid of prices, shares against their sums. */
static void test_a_hundred_thousand_orders(void **state)
{
    (void)state;
    enum { MANY = 100000, LEVELS = 40 };
    struct dice dice = {5};
    struct call_order *orders[2];
    int64_t *accepted[2];
    uint32_t *priority[2];
    int64_t at_level[2][LEVELS] = {{0}};
    for (int side = 0; side < 2; side++) {
        orders[side] = calloc(MANY, sizeof *orders[side]);
        accepted[side] = calloc(MANY, sizeof *accepted[side]);
        priority[side] = calloc(MANY, sizeof *priority[side]);
        assert_non_null(orders[side]);
        assert_non_null(accepted[side]);
        assert_non_null(priority[side]);
        for (uint32_t i = 0; i < MANY; i++) {
            int64_t level = dice_between(&dice, 0, LEVELS - 1);
            int64_t quantity = dice_between(&dice, 1, 1000000);
            orders[side][i] = (struct call_order){level, quantity, i, i % 3 == 0};
            at_level[side][level] += quantity;
        }
    }
    uint32_t *index = calloc(MANY, sizeof *index);
    int64_t *remainder = calloc(MANY, sizeof *remainder);
    assert_non_null(index);
    assert_non_null(remainder);
    struct call_side buys = {MANY, orders[0], accepted[0], priority[0]};
    struct call_side sells = {MANY, orders[1], accepted[1], priority[1]};
    struct call_scratch scratch = {index, remainder};
    struct call_result result;
    assert_true(call_clear(&result, &buys, &sells, CALL_TIE_PRO_RATA, &scratch));

    int64_t best = 0;
    for (int price = 0; price < LEVELS; price++) {
        int64_t demand = sum(at_level[0] + price, (uint32_t)(LEVELS - price));
        int64_t supply = sum(at_level[1], (uint32_t)price + 1);
        int64_t both = demand < supply ? demand : supply;
        best = both > best ? both : best;
    }
    assert_int_equal(result.volume, best);
    assert_int_equal(sum(accepted[0], MANY), best);
    assert_int_equal(sum(accepted[1], MANY), best);
    struct call_pairing pairing = {0};
    struct call_trade trade;
    int64_t traded = 0;
    while (call_next_trade(&pairing, &trade, &buys, &sells))
        traded += trade.quantity;
    assert_int_equal(traded, best);
    for (int side = 0; side < 2; side++) {
        free(orders[side]);
        free(accepted[side]);
        free(priority[side]);
    }
    free(index);
    free(remainder);
}

static bool descending(const void *context, uint32_t a, uint32_t b)
{
    const uint32_t *values = context;
    return values[a] != values[b] ? values[a] > values[b] : a < b;
}

static void test_sort(void **state)
{
    (void)state;
    struct dice dice = {3};
    enum { MOST = 65 };
    for (uint32_t count = 0; count < MOST; count++) {
        uint32_t values[MOST];
        uint32_t index[MOST];
        for (uint32_t i = 0; i < count; i++) {
            values[i] = (uint32_t)dice_between(&dice, 0, 9);
            index[i] = i;
        }
        call_sort(index, count, descending, values);
        for (uint32_t i = 1; i < count; i++)
            assert_true(descending(values, index[i - 1], index[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_problems_match_exhaustive_search),
        cmocka_unit_test(test_place_in_the_array_has_no_effect),
        cmocka_unit_test(test_worked_examples),
        cmocka_unit_test(test_refuses_what_does_not_add_up),
        cmocka_unit_test(test_extreme_numbers),
        cmocka_unit_test(test_a_hundred_thousand_orders),
        cmocka_unit_test(test_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
