/* Settlement against a second computation with other formulas (thresholds instead of products,
 * whole and broken parts of a price apart), and the worked examples of docs/spec/delivery.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contracts/delivery.h"
#include "tests/lib/contracts/dice.h"

enum { RANDOM_RUNS = 20000 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b > 0 ? 1 : 0);
}

/* The least delivery that reaches `permille` of what was contracted. */
static int64_t threshold(int64_t contracted, int64_t permille)
{
    return contracted / 1000 * permille + ceil_div(contracted % 1000 * permille, 1000);
}

static int64_t model_credited(int64_t contracted, int64_t delivered, int64_t tolerance,
                              int64_t floor)
{
    if (delivered >= threshold(contracted, tolerance) || delivered > contracted)
        return contracted;
    if (delivered < threshold(contracted, floor) || delivered < 0)
        return 0;
    return delivered;
}

/* sum of price x energy in whole ueur, and what is left of it in neur. */
struct model_sum {
    int64_t ueur;
    int64_t neur;
};
static void model_add(struct model_sum *sum, int64_t price, int64_t energy)
{
    sum->ueur += price / 1000 * energy;
    sum->neur += price % 1000 * energy;
    sum->ueur += sum->neur / 1000;
    sum->neur %= 1000;
}

static void draw(struct dice *dice, struct settlement_terms *terms)
{
    *terms = (struct settlement_terms){
        .price = energy_price_of(dice_between(dice, 0, 400000)),
        .penalty_price =
            energy_price_of(dice_between(dice, 0, 3) == 0 ? dice_between(dice, 0, 100000) : 0),
        .deposit = money_of(dice_between(dice, 0, 2000)),
        .tolerance_permille = (uint16_t)dice_between(dice, 1, 1000),
        .count = (uint32_t)dice_between(dice, 1, 6),
    };
    terms->floor_permille = (uint16_t)dice_between(dice, 0, terms->tolerance_permille);
    struct model_sum cost = {0, 0};
    for (uint32_t i = 0; i < terms->count; i++) {
        int64_t contracted = dice_between(dice, 1, dice_between(dice, 0, 1) ? 20 : 3000);
        /* Half of the deliveries stand right at a threshold or next to it. */
        int64_t delivered = dice_between(dice, -100, contracted + 100);
        if (dice_between(dice, 0, 1))
            delivered = threshold(contracted, dice_between(dice, 0, 1) ? terms->tolerance_permille
                                                                       : terms->floor_permille) +
                        dice_between(dice, -1, 1);
        terms->contracted[i] = energy_of(contracted);
        terms->delivered[i] = energy_of(delivered);
        model_add(&cost, energy_price_ueur_per_kwh(terms->price), contracted);
    }
    terms->escrow = money_of(cost.ueur + (cost.neur > 0 ? 1 : 0));
}

static void test_random_deals_match_the_model(void **state)
{
    (void)state;
    struct dice dice = {99};
    int full = 0;
    for (int run = 0; run < RANDOM_RUNS; run++) {
        struct settlement_terms terms;
        struct settlement_result result;
        draw(&dice, &terms);
        assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
        struct model_sum earned = {0, 0};
        struct model_sum lost = {0, 0};
        bool whole = true;
        for (uint32_t i = 0; i < terms.count; i++) {
            int64_t contracted = energy_wh(terms.contracted[i]);
            int64_t credited = model_credited(contracted, energy_wh(terms.delivered[i]),
                                              terms.tolerance_permille, terms.floor_permille);
            assert_int_equal(energy_wh(result.credited[i]), credited);
            model_add(&earned, energy_price_ueur_per_kwh(terms.price), credited);
            model_add(&lost, energy_price_ueur_per_kwh(terms.penalty_price), contracted - credited);
            whole = whole && credited == contracted;
        }
        int64_t escrow = money_ueur(terms.escrow);
        int64_t penalty = lost.ueur + (lost.neur > 0 ? 1 : 0);
        int64_t deposit = money_ueur(terms.deposit);
        assert_int_equal(result.full, whole);
        assert_int_equal(money_ueur(result.paid), earned.ueur);
        assert_int_equal(money_ueur(result.refunded), whole ? 0 : escrow - earned.ueur);
        assert_int_equal(money_ueur(result.remainder), whole ? escrow - earned.ueur : 0);
        assert_in_range(money_ueur(result.remainder), 0, 1);
        assert_int_equal(money_ueur(result.penalty), penalty < deposit ? penalty : deposit);
        full += whole;
    }
    /* The draw reaches both outcomes, or half of the checks above would be idle. */
    assert_in_range(full, RANDOM_RUNS / 20, RANDOM_RUNS * 19 / 20);
}

struct example {
    const char *name; /* as docs/spec/delivery.md names it */
    int64_t price, penalty_price, deposit, escrow;
    uint16_t tolerance, floor;
    uint32_t count;
    int64_t contracted[3], delivered[3], credited[3];
    bool full;
    int64_t paid, refunded, remainder, penalty;
};

static const struct example examples[] = {
    {"credited in full",
     250000,
     0,
     0,
     250000,
     950,
     0,
     2,
     {500, 500},
     {580, 475},
     {500, 500},
     true,
     250000,
     0,
     0,
     0},
    {"one watt-hour under the tolerance",
     250000,
     0,
     0,
     250000,
     950,
     0,
     2,
     {500, 500},
     {580, 474},
     {500, 474},
     false,
     243500,
     6500,
     0,
     0},
    {"under the floor",
     250000,
     0,
     0,
     250000,
     950,
     750,
     2,
     {500, 500},
     {375, 374},
     {375, 0},
     false,
     93750,
     156250,
     0,
     0},
    {"against the direction",
     250000,
     0,
     0,
     125000,
     950,
     0,
     1,
     {500},
     {-80},
     {0},
     false,
     0,
     125000,
     0,
     0},
    {"rounding to the fee pool",
     123457,
     0,
     0,
     1235,
     950,
     0,
     1,
     {10},
     {10},
     {10},
     true,
     1234,
     0,
     1,
     0},
    {"escrow rounded down", 123457, 0, 0, 1234, 950, 0, 1, {10}, {10}, {10}, true, 1234, 0, 0, 0},
    {"penalty up, at most the deposit",
     200000,
     33333,
     1000,
     20000,
     950,
     0,
     1,
     {100},
     {90},
     {90},
     false,
     18000,
     2000,
     0,
     334},
    {"deposit used up",
     200000,
     33333,
     300,
     20000,
     950,
     0,
     1,
     {100},
     {90},
     {90},
     false,
     18000,
     2000,
     0,
     300},
    {"more in escrow than it costs",
     250000,
     0,
     0,
     1000000,
     950,
     0,
     2,
     {500, 500},
     {580, 570},
     {500, 500},
     true,
     250000,
     0,
     750000,
     0},
    {"more in escrow, promise broken",
     250000,
     0,
     0,
     1000000,
     950,
     0,
     2,
     {500, 500},
     {580, 474},
     {500, 474},
     false,
     243500,
     756500,
     0,
     0},
    {"free of charge", 0, 0, 0, 0, 950, 0, 1, {500}, {500}, {500}, true, 0, 0, 0, 0},
};

static struct settlement_terms terms_of(const struct example *example)
{
    struct settlement_terms terms = {.price = energy_price_of(example->price),
                                     .penalty_price = energy_price_of(example->penalty_price),
                                     .deposit = money_of(example->deposit),
                                     .escrow = money_of(example->escrow),
                                     .tolerance_permille = example->tolerance,
                                     .floor_permille = example->floor,
                                     .count = example->count};
    for (uint32_t i = 0; i < example->count; i++) {
        terms.contracted[i] = energy_of(example->contracted[i]);
        terms.delivered[i] = energy_of(example->delivered[i]);
    }
    return terms;
}

static void test_worked_examples(void **state)
{
    (void)state;
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
        const struct example *want = &examples[e];
        struct settlement_terms terms = terms_of(want);
        struct settlement_result result;
        print_message("          %s\n", want->name);
        assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
        for (uint32_t i = 0; i < want->count; i++)
            assert_int_equal(energy_wh(result.credited[i]), want->credited[i]);
        assert_int_equal(result.full, want->full);
        assert_int_equal(money_ueur(result.paid), want->paid);
        assert_int_equal(money_ueur(result.refunded), want->refunded);
        assert_int_equal(money_ueur(result.remainder), want->remainder);
        assert_int_equal(money_ueur(result.penalty), want->penalty);
        assert_int_equal(money_ueur(result.paid) + money_ueur(result.refunded) +
                             money_ueur(result.remainder),
                         want->escrow);
    }
}

static void test_refuses_terms_that_make_no_sense(void **state)
{
    (void)state;
    const struct example *base = &examples[0];
    struct settlement_result result;
    struct settlement_terms terms = terms_of(base);
    terms.count = 0;
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms.count = LIMIT_INTERVALS_PER_PERIOD + 1;
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms = terms_of(base);
    terms.contracted[1] = energy_of(0);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms = terms_of(base);
    terms.price = energy_price_of(-1);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms = terms_of(base);
    terms.penalty_price = energy_price_of(-1);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms = terms_of(base);
    terms.deposit = money_of(-1);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms = terms_of(base);
    terms.escrow = money_of(-1);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
    terms.escrow = money_of(249999);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_ESCROW_SHORT);
    /* Enough for what was earned, though not for all that was promised. */
    terms.delivered[1] = energy_of(474);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
    assert_int_equal(money_ueur(result.refunded), 249999 - 243500);
}

/* Numbers that no market admits must still not wrap: refused, or exact. */
static void test_extreme_numbers(void **state)
{
    (void)state;
    struct settlement_result result;
    struct settlement_terms terms = {.price = energy_price_of(INT64_MAX),
                                     .penalty_price = energy_price_of(INT64_MAX),
                                     .deposit = money_of(7),
                                     .escrow = money_of(INT64_MAX),
                                     .tolerance_permille = 1000,
                                     .count = LIMIT_INTERVALS_PER_PERIOD};
    for (uint32_t i = 0; i < terms.count; i++) {
        terms.contracted[i] = energy_of(INT64_MAX);
        terms.delivered[i] = energy_of(INT64_MAX);
    }
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_ESCROW_SHORT);
    for (uint32_t i = 0; i < terms.count; i++)
        terms.delivered[i] = energy_of(INT64_MIN);
    /* A penalty beyond 128 bits, then one beyond 64, is the whole deposit all the same. */
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
    assert_int_equal(money_ueur(result.penalty), 7);
    terms.penalty_price = energy_price_of(1001);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
    assert_int_equal(money_ueur(result.paid), 0);
    assert_int_equal(money_ueur(result.refunded), INT64_MAX);
    assert_int_equal(money_ueur(result.penalty), 7);

    terms.price = energy_price_of(1000);
    terms.count = 1;
    terms.delivered[0] = energy_of(INT64_MAX);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
    assert_int_equal(money_ueur(result.paid), INT64_MAX);
    assert_int_equal(energy_wh(result.credited[0]), INT64_MAX);
}

static void test_delivered_against_a_reference(void **state)
{
    (void)state;
    const struct {
        enum direction direction;
        int64_t reference, actual;
        bool exists;
        int64_t delivered;
    } rows[] = {
        {DIRECTION_UP, 700, 120, true, 580},     {DIRECTION_DOWN, 700, 120, true, -580},
        {DIRECTION_DOWN, 120, 700, true, 580},   {DIRECTION_UP, -300, -900, true, 600},
        {DIRECTION_UP, INT64_MIN, 1, false, 0},  {DIRECTION_DOWN, 1, INT64_MIN, false, 0},
        {DIRECTION_UP, INT64_MAX, -1, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct energy delivered = energy_of(4711);
        assert_int_equal(delivery_against_reference(&delivered, rows[i].direction,
                                                    energy_of(rows[i].reference),
                                                    energy_of(rows[i].actual)),
                         rows[i].exists);
        assert_int_equal(energy_wh(delivered), rows[i].exists ? rows[i].delivered : 4711);
    }
}

static void test_delivered_against_a_limit(void **state)
{
    (void)state;
    const struct {
        int64_t contracted, limit, actual;
        bool cap_exists, floor_exists;
        int64_t cap, floor;
    } rows[] = {
        {500, 400, 399, true, true, 500, 499},
        {500, 400, 400, true, true, 500, 500},
        {500, 400, 401, true, true, 499, 500},
        {500, 400, 900, true, true, 0, 500},
        {500, 400, 1000, true, true, -100, 500},
        {500, 400, -600, true, true, 500, -500},
        /* A limit of export: at most 300 Wh out of the house. */
        {500, -300, -350, true, true, 500, 450},
        {500, -300, -250, true, true, 450, 500},
        {1, INT64_MIN, INT64_MAX, false, true, 0, 1},
        {1, INT64_MAX, INT64_MIN, true, false, 1, 0},
        {1, -1, INT64_MAX, true, true, 1 - INT64_MAX - 1, 1},
        {1, -3, INT64_MAX, false, true, 0, 1},
        {1, INT64_MAX, 0, true, true, 1, 1 - INT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct energy contracted = energy_of(rows[i].contracted);
        struct energy limit = energy_of(rows[i].limit);
        struct energy actual = energy_of(rows[i].actual);
        for (int direction = DIRECTION_UP; direction <= DIRECTION_DOWN; direction++) {
            struct energy d = energy_of(4711);
            assert_int_equal(delivery_measured(&d, DELIVERY_CAPACITY_CAP, (enum direction)direction,
                                               contracted, limit, actual),
                             rows[i].cap_exists);
            assert_int_equal(energy_wh(d), rows[i].cap_exists ? rows[i].cap : 4711);
            d = energy_of(4711);
            assert_int_equal(delivery_measured(&d, DELIVERY_CAPACITY_FLOOR,
                                               (enum direction)direction, contracted, limit,
                                               actual),
                             rows[i].floor_exists);
            assert_int_equal(energy_wh(d), rows[i].floor_exists ? rows[i].floor : 4711);
        }
    }
}

/* Schedule, baseline and sub-meter differ in where the reference comes from, not in what it means. */
static void test_methods_with_a_reference_measure_alike(void **state)
{
    (void)state;
    static const enum delivery_method methods[] = {DELIVERY_SCHEDULE, DELIVERY_BASELINE,
                                                   DELIVERY_SUBMETER};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct energy d;
        assert_true(delivery_measured(&d, methods[i], DIRECTION_UP, energy_of(1), energy_of(700),
                                      energy_of(120)));
        assert_int_equal(energy_wh(d), 580);
        assert_true(delivery_measured(&d, methods[i], DIRECTION_DOWN, energy_of(1), energy_of(700),
                                      energy_of(120)));
        assert_int_equal(energy_wh(d), -580);
    }
}

/* Deals worth an amount: docs/spec/auctions.md 8, alice's 600 Wh, 300 in each of two units. */
static const struct {
    int64_t escrow;
    int64_t payment;
    int64_t added;
    int64_t delivered; /* in each unit */
    int64_t paid;
    int64_t refunded;
    int64_t returned;
    int64_t remainder;
} amounts[] = {
    {150000, 150000, 0, 300, 150000, 0, 0, 0},
    {150000, 150000, 0, 150, 75000, 75000, 0, 0},
    {163636, 120000, 0, 300, 120000, 0, 0, 43636},
    {163636, 120000, 0, 150, 60000, 81818, 0, 21818},
    {163636, 120000, 0, 0, 0, 163636, 0, 0},
    {160000, 160000, 34286, 300, 160000, 0, 0, 0},
    {160000, 160000, 34286, 150, 80000, 62857, 17143, 0},
    {160000, 160000, 34286, 0, 0, 125714, 34286, 0},
    {1, 1, 1, 299, 1, 0, 0, 0}, /* within the tolerance */
    {1, 1, 1, 150, 0, 1, 0, 0}, /* half of one is nothing, and the buyer has what is left */
    {0, 0, 0, 0, 0, 0, 0, 0},
};

static void test_amounts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        struct settlement_terms terms = {.basis = DEAL_BY_AMOUNT,
                                         .price = energy_price_of(123456789),
                                         .escrow = money_of(amounts[i].escrow),
                                         .payment = money_of(amounts[i].payment),
                                         .added = money_of(amounts[i].added),
                                         .tolerance_permille = 950,
                                         .count = 2};
        for (int unit = 0; unit < 2; unit++) {
            terms.contracted[unit] = energy_of(300);
            terms.delivered[unit] = energy_of(amounts[i].delivered);
        }
        struct settlement_result result;
        assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
        assert_int_equal(money_ueur(result.paid), amounts[i].paid);
        assert_int_equal(money_ueur(result.refunded), amounts[i].refunded);
        assert_int_equal(money_ueur(result.returned), amounts[i].returned);
        assert_int_equal(money_ueur(result.remainder), amounts[i].remainder);
    }
    struct settlement_terms terms = {.basis = DEAL_BY_AMOUNT,
                                     .escrow = money_of(9),
                                     .payment = money_of(10),
                                     .tolerance_permille = 950,
                                     .count = 1,
                                     .contracted = {energy_of(1)}};
    struct settlement_result result;
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_ESCROW_SHORT);
    terms.added = money_of(11);
    assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_BAD_TERMS);
}

/* However an amount is split up, nothing is lost, and nobody's part is off by a micro-euro. */
static void test_random_amounts(void **state)
{
    struct dice dice = {7};
    (void)state;
    for (int run = 0; run < RANDOM_RUNS; run++) {
        int64_t contracted = dice_between(&dice, 1, 1000000);
        int64_t delivered = dice_between(&dice, 0, contracted);
        int64_t payment = dice_between(&dice, 0, 1000000000);
        bool over = dice_between(&dice, 0, 1) == 0;
        int64_t held = over ? dice_between(&dice, 0, 1000000) : 0;
        int64_t added = over ? 0 : dice_between(&dice, 0, payment);
        struct settlement_terms terms = {.basis = DEAL_BY_AMOUNT,
                                         .escrow = money_of(payment + held),
                                         .payment = money_of(payment),
                                         .added = money_of(added),
                                         .tolerance_permille = 1000,
                                         .count = 1};
        terms.contracted[0] = energy_of(contracted);
        terms.delivered[0] = energy_of(delivered);
        struct settlement_result result;
        assert_int_equal(settlement_compute(&result, &terms), SETTLEMENT_OK);
        int64_t paid = money_ueur(result.paid);
        int64_t returned = money_ueur(result.returned);
        int64_t remainder = money_ueur(result.remainder);
        int64_t refunded = money_ueur(result.refunded);
        assert_int_equal(paid + returned + remainder + refunded, payment + held);
        assert_true(refunded >= 0 && returned <= added && remainder <= held);
        assert_true((paid + 1) * contracted > payment * delivered);
        assert_true(paid * contracted <= payment * delivered);
        assert_true((returned + 1) * contracted > added * (contracted - delivered));
        assert_true((remainder + 1) * contracted > held * delivered);
        assert_true(delivered < contracted || refunded == 0);
    }
}

static void test_edges_of_credit(void **state)
{
    (void)state;
    const struct {
        int64_t contracted, delivered;
        uint16_t tolerance, floor;
        int64_t credited;
    } rows[] = {
        {1000, 950, 950, 0, 1000},  {1000, 949, 950, 0, 949},
        {1000, 0, 950, 0, 0},       {1000, -1, 950, 0, 0},
        {1000, 750, 950, 750, 750}, {1000, 749, 950, 750, 0},
        {1000, 999, 1000, 1000, 0}, {1000, 1000, 1000, 1000, 1000},
        {1000, 2000, 950, 0, 1000}, {1, 1, 950, 0, 1},
        {1, 0, 950, 0, 0},          {3, 2, 667, 0, 2},
        {3, 2, 666, 0, 3},          {1000, 1, 1, 0, 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct energy credited =
            delivery_credited(energy_of(rows[i].contracted), energy_of(rows[i].delivered),
                              rows[i].tolerance, rows[i].floor);
        assert_int_equal(energy_wh(credited), rows[i].credited);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_deals_match_the_model),
        cmocka_unit_test(test_worked_examples),
        cmocka_unit_test(test_refuses_terms_that_make_no_sense),
        cmocka_unit_test(test_extreme_numbers),
        cmocka_unit_test(test_delivered_against_a_reference),
        cmocka_unit_test(test_delivered_against_a_limit),
        cmocka_unit_test(test_methods_with_a_reference_measure_alike),
        cmocka_unit_test(test_edges_of_credit),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_random_amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
