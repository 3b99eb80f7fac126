/* Auctions on the ledger: worked examples of every payment, who may bid, what the gate does and what it
 * does if it is late, reserves, and deals that fail. That every result is what flexclear computes is in
 * test_auction_random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/auction.h"
#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/auction_fixture.h"

static struct fixture fixture;

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
    return 0;
}

static uint8_t mechanism;
static uint8_t payment;
static int64_t reserve;

static void with_terms(struct market_create *terms)
{
    terms->clearing.mechanism = mechanism;
    terms->clearing.payment = payment;
    if (payment == PAYMENT_VCG) {
        terms->clearing.reserve_account = fixture_name("tso");
        terms->clearing.reserve = money_of(1000000);
    }
}

static void open_with(uint8_t a_mechanism, uint8_t a_payment)
{
    mechanism = a_mechanism;
    payment = a_payment;
    auction_open(&fixture, with_terms);
    fixture_fund(&fixture, "tso", 10000000);
    if (payment == PAYMENT_VCG && reserve > 0)
        assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", reserve));
}

static void place(const char *who, bool buys, int64_t quantity, int64_t price)
{
    struct auction_ask ask = {.who = who, .buys = buys, .quantity = quantity, .price = price};
    assert_error(CONTRACT_OK, auction_place(&fixture, &ask));
}

/* The DSO asks for 1000 Wh at 300,000; alice has 600 at 200,000, bob 800 at 250,000: 600 and 400 trade. */
static void place_example(void)
{
    place("alice", false, 600, 200000);
    place("bob", false, 800, 250000);
    place("dso", true, 1000, 300000);
}

/* --- every payment -------------------------------------------------------------------------- */

static const struct {
    uint8_t payment;
    int64_t reserve;
    uint8_t paid_by;
    uint8_t fallback;
    int64_t dso;
    int64_t alice;
    int64_t bob;
    int64_t reserve_used;
} examples[] = {
    {PAYMENT_UNIFORM, 0, PAYMENT_UNIFORM, AUCTION_FALLBACK_NONE, -250000, 150000, 100000, 0},
    {PAYMENT_PAY_AS_BID, 0, PAYMENT_PAY_AS_BID, AUCTION_FALLBACK_NONE, -300000, 120000, 100000, 0},
    {PAYMENT_VCG, 60000, PAYMENT_VCG, AUCTION_FALLBACK_NONE, -220000, 160000, 120000, 60000},
    {PAYMENT_VCG, 59999, PAYMENT_UNIFORM, AUCTION_FALLBACK_RESERVE, -250000, 150000, 100000, 0},
    {PAYMENT_VCG, 0, PAYMENT_UNIFORM, AUCTION_FALLBACK_RESERVE, -250000, 150000, 100000, 0},
    {PAYMENT_SELLER_VCG, 0, PAYMENT_SELLER_VCG, AUCTION_FALLBACK_NONE, -280000, 160000, 120000, 0},
    {PAYMENT_SHAPLEY, 0, PAYMENT_SHAPLEY, AUCTION_FALLBACK_NONE, -256667, 143333, 113333, 0},
};

static void check_example(size_t i)
{
    int64_t before = auction_wealth(&fixture, "dso");
    int64_t pool = auction_fee_pool(&fixture);
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.state, AUCTION_CLEARED);
    assert_int_equal(result.payment, examples[i].paid_by);
    assert_int_equal(result.fallback, examples[i].fallback);
    assert_int_equal(energy_wh(result.quantity), 1000);
    assert_int_equal(money_ueur(result.welfare), 80000);
    assert_int_equal(result.priced, 1);
    assert_int_equal(energy_price_ueur_per_kwh(result.price), 250000);
    assert_int_equal(energy_price_ueur_per_kwh(result.price_lower), 250000);
    assert_int_equal(energy_price_ueur_per_kwh(result.price_upper), 250000);
    assert_int_equal(result.agents, 3);
    assert_int_equal(result.deals, 2);
    assert_int_equal(result.first_deal, 1);
    assert_int_equal(money_ueur(result.bought), -examples[i].dso);
    assert_int_equal(money_ueur(result.sold), examples[i].alice + examples[i].bob);
    assert_int_equal(money_ueur(result.reserve_used), examples[i].reserve_used);
    assert_int_equal(auction_wealth(&fixture, "dso") - before, examples[i].dso);
    assert_int_equal(auction_promised(&fixture, "alice"), examples[i].alice);
    assert_int_equal(auction_promised(&fixture, "bob"), examples[i].bob);
    assert_int_equal(auction_fee_pool(&fixture) - pool, money_ueur(result.pool));
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_EXPIRED);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 400);
    assert_int_equal(market_order(&fixture, 3).status, ORDER_FILLED);
}

static void test_every_payment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        reserve = examples[i].reserve;
        open_with(MECHANISM_MERIT_ORDER, examples[i].payment);
        place_example();
        check_example(i);
        if (i + 1 < sizeof examples / sizeof examples[0])
            tear_down(NULL);
    }
}

/* One-sided: whole offers of 800 and 600 Wh, and one of at least 200: the request of 1000 is served by the
 * 800 and 200 of carol's, though 600 + 400 would be cheaper by no rule that counts before quantity: both
 * serve all of it, and 800 x 100,000 + 200 x 200,000 = 120,000 is under 600 x 150,000 + 400 x 200,000. */
static void test_one_sided_whole_offers(void **state)
{
    (void)state;
    open_with(MECHANISM_ONE_SIDED, PAYMENT_PAY_AS_BID);
    const struct auction_ask asks[] = {
        {.who = "alice", .quantity = 800, .price = 100000, .whole = 1},
        {.who = "bob", .quantity = 600, .price = 150000, .whole = 1},
        {.who = "carol", .quantity = 400, .price = 200000, .least = 200},
        {.who = "dso", .buys = true, .quantity = 1000, .price = 300000},
    };
    for (size_t i = 0; i < 4; i++)
        assert_error(CONTRACT_OK, auction_place(&fixture, &asks[i]));
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.proven, 1);
    assert_int_equal(result.priced, 0);
    assert_int_equal(energy_wh(result.quantity), 1000);
    assert_int_equal(money_ueur(result.bought), 120000);
    assert_int_equal(auction_promised(&fixture, "alice"), 80000);
    assert_int_equal(auction_promised(&fixture, "bob"), 0);
    assert_int_equal(auction_promised(&fixture, "carol"), 40000);
    assert_int_equal(result.fallback, AUCTION_FALLBACK_NONE);
}

/* Quantity goes before welfare, so a dear whole offer may drive out a cheap one, and VCG would pay it less
 * than it asks: 40 Wh at 1 from alice, or 100 whole at 10 from bob. Without bob 90 Wh at 1 bring 810; with
 * him 100 at 10 bring nothing. */
static void test_vcg_that_is_not_rational(void **state)
{
    (void)state;
    reserve = 1000;
    open_with(MECHANISM_ONE_SIDED, PAYMENT_VCG);
    const struct auction_ask asks[] = {
        {.who = "alice", .quantity = 900, .price = 1000},
        {.who = "bob", .quantity = 1000, .price = 10000, .whole = 1},
        {.who = "dso", .buys = true, .quantity = 1000, .price = 10000},
    };
    for (size_t i = 0; i < 3; i++)
        assert_error(CONTRACT_OK, auction_place(&fixture, &asks[i]));
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.fallback, AUCTION_FALLBACK_RATIONAL);
    assert_int_equal(result.payment, PAYMENT_PAY_AS_BID);
    assert_int_equal(money_ueur(result.bought), 10000);
    assert_int_equal(auction_promised(&fixture, "bob"), 10000);
}

/* A step worth 300,000 is under bob's 400,000, but it opens the way to the one worth 2,000,000. */
static void test_ordered_demand(void **state)
{
    (void)state;
    open_with(MECHANISM_ORDERED_DEMAND, PAYMENT_PAY_AS_BID);
    const struct auction_ask asks[] = {
        {.who = "dso", .buys = true, .quantity = 800, .price = 300000, .rank = 1},
        {.who = "dso", .buys = true, .quantity = 200, .price = 1000000, .rank = 2},
        {.who = "alice", .quantity = 600, .price = 100000},
        {.who = "bob", .quantity = 600, .price = 400000},
    };
    for (size_t i = 0; i < 4; i++)
        assert_error(CONTRACT_OK, auction_place(&fixture, &asks[i]));
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(energy_wh(result.quantity), 1000);
    /* 240,000 + 200,000 - 60,000 - 160,000. */
    assert_int_equal(money_ueur(result.welfare), 220000);
    assert_int_equal(money_ueur(result.bought), 440000);
    assert_int_equal(auction_promised(&fixture, "alice"), 60000);
    assert_int_equal(auction_promised(&fixture, "bob"), 160000);
    assert_int_equal(result.deals, 3);
}

/* Each of the two is needed to reach the demand worth 1,000,000, so each is worth nearly all of it: 280,000
 * and 260,000 are over the DSO's 440,000. */
static void test_sellers_over_utility(void **state)
{
    (void)state;
    open_with(MECHANISM_ORDERED_DEMAND, PAYMENT_SELLER_VCG);
    const struct auction_ask asks[] = {
        {.who = "dso", .buys = true, .quantity = 800, .price = 300000, .rank = 1},
        {.who = "dso", .buys = true, .quantity = 200, .price = 1000000, .rank = 2},
        {.who = "alice", .quantity = 600, .price = 100000},
        {.who = "bob", .quantity = 600, .price = 400000},
    };
    for (size_t i = 0; i < 4; i++)
        assert_error(CONTRACT_OK, auction_place(&fixture, &asks[i]));
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.fallback, AUCTION_FALLBACK_UTILITY);
    assert_int_equal(result.payment, PAYMENT_PAY_AS_BID);
    assert_int_equal(money_ueur(result.bought), 440000);
    assert_int_equal(auction_promised(&fixture, "bob"), 160000);
}

/* A vote may change the payment under more bids than the new one takes. */
static void test_payment_changed_under_bids(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    for (int i = 0; i <= AUCTION_BIDS_MAX_SHAPLEY; i++)
        place("alice", false, 2, 1000 + i);
    place("dso", true, 100, 2000);
    struct name id = fixture_name("auc");
    struct state_key key = state_key_name(STATE_MARKET, &id);
    struct market_record market;
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    market.terms.clearing.payment = PAYMENT_SHAPLEY;
    ledger_write(fixture.view, &key, &market_record_codec, &market);
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.fallback, AUCTION_FALLBACK_LIMITS);
    assert_int_equal(result.payment, PAYMENT_UNIFORM);
    assert_int_equal(energy_wh(result.quantity), 100);
}

/* --- who may bid ---------------------------------------------------------------------------- */

static void refused(enum contract_error error, struct auction_ask ask)
{
    assert_error(error, auction_place(&fixture, &ask));
}

static void test_refusals(void **state)
{
    (void)state;
    open_with(MECHANISM_ORDERED_DEMAND, PAYMENT_PAY_AS_BID);
    auction_add_buyer(&fixture, "dso2");
    const struct auction_ask offer = {.who = "agg", .quantity = 100, .price = 100, .rank = 2};
    assert_error(CONTRACT_OK, auction_place(&fixture, &offer));
    refused(CONTRACT_BAD_RANK, (struct auction_ask){"agg", false, 100, 200, 0, 1, 0, 0});
    refused(CONTRACT_BAD_RANK, (struct auction_ask){"agg", false, 100, 99, 0, 3, 0, 0});
    assert_error(CONTRACT_OK,
                 auction_place(&fixture, &(struct auction_ask){"agg", false, 100, 50, 0, 2, 0, 0}));
    assert_error(CONTRACT_OK, auction_place(&fixture, &(struct auction_ask){"agg", false, 100, 100,
                                                                            0, 3, 0, 0}));
    refused(CONTRACT_BAD_RANK, (struct auction_ask){"agg", false, 100, 99, 0, 3, 0, 0});
    place("dso", true, 100, 1000);
    place("dso", true, 100, 1000);
    refused(CONTRACT_ONE_BUYER, (struct auction_ask){"dso2", true, 100, 1000, 0, 0, 0, 0});
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 4));
    refused(CONTRACT_ONE_BUYER, (struct auction_ask){"dso2", true, 100, 1000, 0, 0, 0, 0});
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 5));
    place("dso2", true, 100, 1000);
    refused(CONTRACT_UNSUPPORTED_ORDER, (struct auction_ask){"agg", false, 100, 900, 20, 3, 0, 0});
    refused(CONTRACT_UNSUPPORTED_ORDER, (struct auction_ask){"agg", false, 100, 900, 0, 3, 1, 0});
    tear_down(NULL);

    open_with(MECHANISM_ONE_SIDED, PAYMENT_PAY_AS_BID);
    place("dso", true, 100, 1000);
    refused(CONTRACT_ONE_BUYER, (struct auction_ask){"dso", true, 100, 1000, 0, 0, 0, 0});
    refused(CONTRACT_UNSUPPORTED_ORDER, (struct auction_ask){"agg", false, 100, 900, 0, 1, 0, 0});
    refused(CONTRACT_BAD_GRANULARITY, (struct auction_ask){"agg", false, 100, 900, 3, 0, 0, 0});
    refused(CONTRACT_OUT_OF_RANGE, (struct auction_ask){"agg", false, 100, 900, 102, 0, 0, 0});
    tear_down(NULL);

    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    refused(CONTRACT_UNSUPPORTED_ORDER, (struct auction_ask){"agg", false, 100, 900, 0, 1, 0, 0});
    refused(CONTRACT_UNSUPPORTED_ORDER, (struct auction_ask){"agg", false, 100, 900, 0, 0, 1, 0});
    place("dso", true, 100, 1000);
    fixture_device(&fixture, "dev-dso", "dso", "z1");
    struct device_enrol enrol = {
        .device = fixture_name("dev-dso"), .market = fixture_name("auc"), .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_ENROL, &enrol));
    refused(CONTRACT_BOTH_SIDES, (struct auction_ask){"dso", false, 100, 900, 0, 0, 0, 0});
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 1));
    place("dso", false, 100, 900);
    refused(CONTRACT_BOTH_SIDES, (struct auction_ask){"dso", true, 100, 1000, 0, 0, 0, 0});
}

/* A Shapley auction has room for as many bids as its exact value can be computed for. */
static void test_shapley_is_full(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_SHAPLEY);
    for (int i = 0; i < AUCTION_BIDS_MAX_SHAPLEY; i++)
        place(i % 2 == 0 ? "alice" : "bob", false, 2, 1000 + i);
    refused(CONTRACT_BOOK_FULL, (struct auction_ask){"dso", true, 100, 1000, 0, 0, 0, 0});
    assert_error(CONTRACT_OK, market_cancel(&fixture, "bob", 2));
    place("dso", true, 100, 2000);
    auction_reach_gate(&fixture);
    assert_int_equal(energy_wh(auction_result(&fixture, DIRECTION_UP).quantity), 100);
}

/* --- the gate ------------------------------------------------------------------------------- */

static void test_nothing_before_the_gate(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    place_example();
    int64_t gate = timestamp_ms(market_period(AUCTION_PERIOD)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - 1 - timestamp_ms(fixture.context.time));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "bob", 2));
    place("carol", false, 500, 260000);
    fixture_next_block(&fixture, 1);
    assert_int_equal(market_counters(&fixture).deals, 0);
    assert_int_equal(auction_totals(&fixture).pending, 1);
    refused(CONTRACT_GATE_CLOSED, (struct auction_ask){"bob", false, 100, 1000, 0, 0, 0, 0});
    assert_error(CONTRACT_GATE_CLOSED, market_cancel(&fixture, "carol", 4));
    fixture_next_block(&fixture, 1);
    assert_int_equal(auction_totals(&fixture).pending, 0);
    assert_int_equal(auction_totals(&fixture).cleared, 1);
    /* carol sets the price for both. */
    assert_int_equal(energy_price_ueur_per_kwh(auction_result(&fixture, DIRECTION_UP).price),
                     260000);
    assert_int_equal(auction_promised(&fixture, "alice"), 156000);
    assert_int_equal(auction_promised(&fixture, "carol"), 104000);
}

static void test_no_bids_left(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    place("alice", false, 600, 200000);
    assert_int_equal(auction_totals(&fixture).pending, 1);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 1));
    assert_int_equal(auction_totals(&fixture).pending, 0);
    auction_reach_gate(&fixture);
    assert_int_equal(auction_totals(&fixture).cleared, 0);
}

static void set_state(uint8_t wanted)
{
    struct market_set_state action = {.id = fixture_name("auc"), .state = wanted};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &action));
}

static void test_void(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    place_example();
    set_state(MARKET_SUSPENDED);
    auction_reach_gate(&fixture);
    assert_int_equal(auction_result(&fixture, DIRECTION_UP).state, AUCTION_VOID);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(market_order(&fixture, i).status, ORDER_EXPIRED);
    assert_int_equal(market_counters(&fixture).deals, 0);
    tear_down(NULL);

    /* A chain that stood still until delivery had begun. */
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    place_example();
    fixture_next_block(&fixture, timestamp_ms(market_period(AUCTION_PERIOD)) -
                                     timestamp_ms(fixture.context.time));
    fixture_next_block(&fixture, 1);
    assert_int_equal(auction_result(&fixture, DIRECTION_UP).state, AUCTION_VOID);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(market_order(&fixture, i).status, ORDER_EXPIRED);
    assert_int_equal(market_counters(&fixture).deals, 0);
}

/* Two auctions whose values take more work than a block has for auctions: the second is a block late, its
 * bids stay what they were at the gate, and its result is the one that it would have had. */
static void test_late_auction(void **state)
{
    enum { SELLERS = 19, OFFERS = 4 };
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_SHAPLEY);
    for (int i = 0; i < SELLERS; i++) {
        char id[NAME_SIZE];
        snprintf(id, sizeof id, "s%02d", i);
        auction_add_seller(&fixture, id);
        for (int k = 0; k < OFFERS; k++) {
            struct auction_ask ask = {.who = id, .quantity = 20, .price = 1000 * (i + k)};
            assert_error(CONTRACT_OK, auction_place(&fixture, &ask));
            ask.direction = DIRECTION_DOWN;
            assert_error(CONTRACT_OK, auction_place(&fixture, &ask));
        }
    }
    for (uint8_t direction = 0; direction < 2; direction++)
        refused(CONTRACT_OK, (struct auction_ask){"dso", true, 600, 40000, 0, 0, 0, direction});
    uint64_t last = market_counters(&fixture).orders;
    auction_reach_gate(&fixture);
    assert_int_equal(auction_result(&fixture, DIRECTION_UP).state, AUCTION_CLEARED);
    assert_int_equal(auction_result(&fixture, DIRECTION_DOWN).state, AUCTION_OPEN);
    assert_error(CONTRACT_GATE_CLOSED, market_cancel(&fixture, "dso", last));
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    struct auction_record up = auction_result(&fixture, DIRECTION_UP);
    struct auction_record down = auction_result(&fixture, DIRECTION_DOWN);
    assert_int_equal(down.state, AUCTION_CLEARED);
    assert_int_equal(down.height, up.height + 1);
    assert_int_equal(money_ueur(down.bought), money_ueur(up.bought));
    assert_int_equal(money_ueur(down.sold), money_ueur(up.sold));
    assert_int_equal(up.estimated, 0);
    assert_int_equal(up.agents, SELLERS + 1);
}

/* Over 20 agents Shapley values are a mean over draws, and the record says so and how far they may be off. */
static void test_estimate(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_SHAPLEY);
    for (int i = 0; i < 21; i++) {
        char id[NAME_SIZE];
        snprintf(id, sizeof id, "s%02d", i);
        auction_add_seller(&fixture, id);
        place(id, false, 20, 1000 * i);
    }
    place("dso", true, 400, 40000);
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.agents, 22);
    assert_int_equal(result.estimated, 1);
    assert_int_equal(money_ueur(result.error), (money_ueur(result.welfare) + 15) / 16);
    assert_false(hash_is_zero(&result.seed));
    /* Values add up to v(N) all the same: only roundings are left. */
    int64_t left = money_ueur(result.bought) - money_ueur(result.sold) - money_ueur(result.given);
    assert_in_range(left, 0, 22);
}

/* --- the reserve ---------------------------------------------------------------------------- */

static void test_reserve(void **state)
{
    (void)state;
    reserve = 0;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_VCG);
    assert_error(CONTRACT_NOT_PERMITTED, auction_fund_reserve(&fixture, "dso", 100));
    assert_error(CONTRACT_AMOUNT_NOT_POSITIVE, auction_fund_reserve(&fixture, "tso", 0));
    assert_error(CONTRACT_OVERFLOW, auction_fund_reserve(&fixture, "tso", INT64_MIN));
    assert_error(CONTRACT_OVER_RESERVE, auction_fund_reserve(&fixture, "tso", 1000001));
    assert_error(CONTRACT_NOT_PERMITTED, auction_fund_reserve(&fixture, "tso", -1));
    int64_t before = fixture_balance(&fixture, "tso");
    const int64_t fee = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION;
    assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", 100000));
    assert_int_equal(fixture_balance(&fixture, "tso"), before - 100000 - fee);
    assert_error(CONTRACT_OVER_RESERVE, auction_fund_reserve(&fixture, "tso", 900001));
    assert_error(CONTRACT_NOT_PERMITTED, auction_fund_reserve(&fixture, "dso", -1));
    assert_error(CONTRACT_INSUFFICIENT_FUNDS, auction_fund_reserve(&fixture, "tso", -100001));
    place_example();
    assert_error(CONTRACT_RESERVE_IN_USE, auction_fund_reserve(&fixture, "tso", -1));
    auction_reach_gate(&fixture);
    struct auction_total_record total = auction_totals(&fixture);
    assert_int_equal(money_ueur(total.reserve_used), 60000);
    assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", -40000));
    assert_error(CONTRACT_NOT_PERMITTED, auction_fund_reserve(&fixture, "tso", -1));
    struct market_reserve nowhere = {.market = fixture_name("none"), .amount = money_of(1)};
    assert_error(CONTRACT_UNKNOWN_MARKET,
                 fixture_act(&fixture, "tso", ACTION_MARKET_RESERVE, &nowhere));
}

/* A reserve waits for bids only while a deficit of theirs could be paid from it: not in a market that is
 * closed for good, nor once the terms name somebody else. */
static void test_a_reserve_that_is_not_in_use(void **state)
{
    (void)state;
    reserve = 100000;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_VCG);
    place_example();
    set_state(MARKET_SUSPENDED);
    assert_error(CONTRACT_RESERVE_IN_USE, auction_fund_reserve(&fixture, "tso", -1));
    set_state(MARKET_CLOSED);
    assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", -100000));
    assert_error(CONTRACT_MARKET_NOT_OPEN, auction_fund_reserve(&fixture, "tso", 1));
    auction_reach_gate(&fixture);
    assert_int_equal(auction_result(&fixture, DIRECTION_UP).state, AUCTION_VOID);
    assert_int_equal(auction_totals(&fixture).pending, 0);
}

/* --- what becomes of the deals -------------------------------------------------------------- */

static void deliver(uint64_t deal, int64_t permille)
{
    struct deal_record record = market_deal(&fixture, deal);
    int64_t unit = energy_wh(record.contracted) / MARKET_UNITS * permille / 1000;
    int64_t delivered[MARKET_UNITS] = {unit, unit};
    static struct delivery_witness witness;
    market_measure(&fixture, deal, delivered, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", deal, &witness));
}

static void wait_for_delivery(void)
{
    fixture_next_block(&fixture, timestamp_ms(market_period(AUCTION_PERIOD + 1)) -
                                     timestamp_ms(fixture.context.time));
}

static const struct {
    uint8_t payment;
    int64_t permille; /* delivered of deal 1: alice's 600 Wh */
    int64_t paid;
    int64_t refunded;
    int64_t returned; /* to the reserve's account */
    int64_t pool;
} outcomes[] = {
    /* 250,000 of the DSO's, 150,000 for alice. */
    {PAYMENT_UNIFORM, 1000, 150000, 0, 0, 0},
    {PAYMENT_UNIFORM, 500, 75000, 75000, 0, 0},
    {PAYMENT_UNIFORM, 0, 0, 150000, 0, 0},
    /* The DSO pays 300,000 for 220,000: 163,636 of it are held with alice's 120,000. */
    {PAYMENT_PAY_AS_BID, 1000, 120000, 0, 0, 43636},
    {PAYMENT_PAY_AS_BID, 500, 60000, 81818, 0, 21818},
    {PAYMENT_PAY_AS_BID, 0, 0, 163636, 0, 0},
    /* The DSO's 220,000 cover 125,714 of alice's 160,000; the reserve the rest. */
    {PAYMENT_VCG, 1000, 160000, 0, 0, 0},
    {PAYMENT_VCG, 500, 80000, 62857, 17143, 0},
    {PAYMENT_VCG, 0, 0, 125714, 34286, 0},
};

static void test_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        reserve = 100000;
        open_with(MECHANISM_MERIT_ORDER, outcomes[i].payment);
        place_example();
        auction_reach_gate(&fixture);
        wait_for_delivery();
        int64_t account = fixture_balance(&fixture, "tso");
        deliver(1, outcomes[i].permille);
        struct deal_record deal = market_deal(&fixture, 1);
        assert_int_equal(money_ueur(deal.paid), outcomes[i].paid);
        assert_int_equal(money_ueur(deal.refunded), outcomes[i].refunded);
        assert_int_equal(money_ueur(deal.returned), outcomes[i].returned);
        assert_int_equal(money_ueur(deal.escrow) - money_ueur(deal.paid) -
                             money_ueur(deal.refunded) - money_ueur(deal.returned),
                         outcomes[i].pool);
        assert_int_equal(fixture_balance(&fixture, "tso") - account, outcomes[i].returned);
        if (i + 1 < sizeof outcomes / sizeof outcomes[0])
            tear_down(NULL);
    }
}

/* --- the order inside a block --------------------------------------------------------------- */

static void test_place_in_the_block_has_no_effect(void **state)
{
    static const uint8_t orders[3][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    static const struct auction_ask asks[4] = {
        {.who = "alice", .quantity = 600, .price = 200000},
        {.who = "bob", .quantity = 602, .price = 200000},
        {.who = "carol", .quantity = 604, .price = 200000},
        {.who = "dso", .buys = true, .quantity = 1000, .price = 300000},
    };
    int64_t first[3] = {0};
    (void)state;
    for (int which = 0; which < 3; which++) {
        open_with(MECHANISM_MERIT_ORDER, PAYMENT_SHAPLEY);
        for (int i = 0; i < 4; i++)
            assert_error(CONTRACT_OK, auction_place(&fixture, &asks[orders[which][i]]));
        auction_reach_gate(&fixture);
        for (int i = 0; i < 3; i++) {
            int64_t promised = auction_promised(&fixture, asks[i].who);
            assert_true(which == 0 || promised == first[i]);
            assert_true(promised > 0);
            first[i] = promised;
        }
        if (which < 2)
            tear_down(NULL);
    }
}

/* Who may no longer offer when the gate closes takes no part. */
static void test_right_to_trade(void **state)
{
    (void)state;
    open_with(MECHANISM_MERIT_ORDER, PAYMENT_UNIFORM);
    place_example();
    struct device_status action = {.device = fixture_name("dev-alice"), .status = STATUS_SUSPENDED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &action));
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.agents, 2);
    assert_int_equal(energy_wh(result.quantity), 800);
    assert_int_equal(auction_promised(&fixture, "alice"), 0);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_EXPIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_payment, tear_down),
        cmocka_unit_test_teardown(test_one_sided_whole_offers, tear_down),
        cmocka_unit_test_teardown(test_vcg_that_is_not_rational, tear_down),
        cmocka_unit_test_teardown(test_ordered_demand, tear_down),
        cmocka_unit_test_teardown(test_sellers_over_utility, tear_down),
        cmocka_unit_test_teardown(test_payment_changed_under_bids, tear_down),
        cmocka_unit_test_teardown(test_refusals, tear_down),
        cmocka_unit_test_teardown(test_shapley_is_full, tear_down),
        cmocka_unit_test_teardown(test_nothing_before_the_gate, tear_down),
        cmocka_unit_test_teardown(test_no_bids_left, tear_down),
        cmocka_unit_test_teardown(test_void, tear_down),
        cmocka_unit_test_teardown(test_late_auction, tear_down),
        cmocka_unit_test_teardown(test_estimate, tear_down),
        cmocka_unit_test_teardown(test_reserve, tear_down),
        cmocka_unit_test_teardown(test_a_reserve_that_is_not_in_use, tear_down),
        cmocka_unit_test_teardown(test_outcomes, tear_down),
        cmocka_unit_test_teardown(test_place_in_the_block_has_no_effect, tear_down),
        cmocka_unit_test_teardown(test_right_to_trade, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
