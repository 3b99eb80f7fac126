/* Auctions on the ledger against the code of flexclear, on random bids (docs/spec/auctions.md 4 to 8): the
 * same quantities, to the watt-hour, the same payments, to the micro-euro; what the ledger adds, that is
 * fallbacks, reserves and the split over deals, is computed here a second time. Every deal is then ended,
 * delivered in part or not at all, and the auditor of market_fixture looks at every step. And auctions in a
 * market with a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/auction.h"
#include "tests/lib/contracts/auction_fixture.h"
#include "tests/lib/contracts/grid_fixture.h"
#include "tests/lib/random.h"

enum { BIDS_MAX = 64, AGENTS_MAX = 16, ROUNDS = 90 };

static struct fixture fixture;
static struct test_random dice;

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)(test_random_below(&dice, bound));
}

static uint8_t mechanism;
static uint8_t payment;
static uint8_t tie;
static const int64_t reserve = 2000;

static void with_terms(struct market_create *terms)
{
    terms->clearing.mechanism = mechanism;
    terms->clearing.payment = payment;
    terms->clearing.tie = tie;
    if (payment == PAYMENT_VCG) {
        terms->clearing.reserve_account = fixture_name("tso");
        terms->clearing.reserve = money_of(reserve);
    }
}

static const char *const people[AGENTS_MAX] = {"dso",   "dso2", "dso3", "alice", "bob",
                                               "carol", "agg",  "agg2", "retail"};
enum { BUYERS = 3, PEOPLE = 9 };

/* --- the same problem, for flexclear's code ------------------------------------------------- */

struct problem {
    uint32_t count;
    struct order_record orders[BIDS_MAX];
    uint64_t ids[BIDS_MAX];
    struct clear_bid bids[BIDS_MAX];
    uint32_t agent_count;
    struct name agents[AGENTS_MAX];
    int64_t accepted[BIDS_MAX];
    int128 receives[AGENTS_MAX];
    uint8_t paid;
    uint8_t fallback;
    struct clear_slot_price price;
    int128 welfare;
};

static int by_time(const void *a, const void *b)
{
    const struct order_record *x = a;
    const struct order_record *y = b;
    if (x->height != y->height)
        return x->height < y->height ? -1 : 1;
    if (x->tie != y->tie)
        return x->tie < y->tie ? -1 : 1;
    return 0;
}

static uint32_t agent_of(struct problem *problem, const struct name *who)
{
    for (uint32_t i = 0; i < problem->agent_count; i++)
        if (name_compare(&problem->agents[i], who) == 0)
            return i;
    problem->agents[problem->agent_count] = *who;
    return problem->agent_count++;
}

/* Insertion, since equal times must stay in the order of ids. */
static void collect(struct problem *problem)
{
    uint64_t last = market_counters(&fixture).orders;
    memset(problem, 0, sizeof *problem);
    for (uint64_t id = 1; id <= last; id++) {
        struct order_record order = market_order(&fixture, id);
        if (order.status != ORDER_OPEN)
            continue;
        uint32_t at = problem->count++;
        while (at > 0 && by_time(&problem->orders[at - 1], &order) > 0) {
            problem->orders[at] = problem->orders[at - 1];
            problem->ids[at] = problem->ids[at - 1];
            at--;
        }
        problem->orders[at] = order;
        problem->ids[at] = id;
    }
}

static void to_bids(struct problem *problem, int64_t unit)
{
    for (uint32_t i = 0; i < problem->count; i++) {
        const struct order_record *order = &problem->orders[i];
        problem->bids[i] = (struct clear_bid){
            .quantity = energy_wh(order->quantity) / unit,
            .price = energy_price_ueur_per_kwh(order->price),
            .min_quantity = energy_wh(order->options.min_quantity) / unit,
            .agent = agent_of(problem, &order->participant),
            .order = order->options.rank,
            .node = CLEAR_NODE_NONE,
            .buy = order->side == SIDE_BUY,
            .indivisible = order->options.indivisible != 0,
        };
    }
}

static struct clear_problem clearing(struct problem *problem)
{
    static const enum clear_mechanism mechanisms[] = {[MECHANISM_MERIT_ORDER] = CLEAR_MERIT_ORDER,
                                                      [MECHANISM_ORDERED_DEMAND] =
                                                          CLEAR_ORDERED_DEMAND,
                                                      [MECHANISM_ONE_SIDED] = CLEAR_ONE_SIDED};
    return (struct clear_problem){.mechanism = mechanisms[mechanism],
                                  .tie = tie == TIE_TIME ? CALL_TIE_TIME : CALL_TIE_PRO_RATA,
                                  .bid_count = problem->count,
                                  .agent_count = problem->agent_count,
                                  .slot_count = 1,
                                  .bids = problem->bids};
}

/* Whether everybody gains by this payment; worths in exact neur. */
static bool everybody_gains(const struct problem *problem, const int128 *ueur)
{
    for (uint32_t agent = 0; agent < problem->agent_count; agent++) {
        int128 most = 0;
        for (uint32_t i = 0; i < problem->count; i++)
            if (problem->bids[i].agent == agent)
                most += (problem->bids[i].buy ? 1 : -1) *
                        ((int128)problem->bids[i].price * problem->accepted[i]);
        /* -ueur <= most / 1000, rounded up: a payer may bear a fraction. */
        if (-ueur[agent] * 1000 >= most + 1000)
            return false;
    }
    return true;
}

static void pay(struct problem *problem, struct clear_arena *arena, enum clear_payment rule)
{
    struct clear_payment_result result;
    struct clear_problem asked = clearing(problem);
    struct clear_result cleared = {.accepted = problem->accepted,
                                   .prices =
                                       mechanism == MECHANISM_MERIT_ORDER ? &problem->price : NULL};
    arena->used = 0;
    assert_true(clear_pay(&result, &asked, &cleared, rule, NULL, arena));
    bool gain = everybody_gains(problem, result.agent_ueur);
    problem->fallback = AUCTION_FALLBACK_NONE;
    if (result.fell_back)
        problem->fallback = AUCTION_FALLBACK_UTILITY;
    else if (!gain)
        problem->fallback = AUCTION_FALLBACK_RATIONAL;
    else if (result.balance_ueur > (rule == CLEAR_PAY_VCG ? reserve : 0))
        problem->fallback = AUCTION_FALLBACK_RESERVE;
    memcpy(problem->receives, result.agent_ueur, problem->agent_count * sizeof(int128));
}

static void solve(struct problem *problem)
{
    static const enum clear_payment rules[] = {[PAYMENT_UNIFORM] = CLEAR_PAY_UNIFORM,
                                               [PAYMENT_PAY_AS_BID] = CLEAR_PAY_AS_BID,
                                               [PAYMENT_VCG] = CLEAR_PAY_VCG,
                                               [PAYMENT_SELLER_VCG] = CLEAR_PAY_VCG_SELLERS,
                                               [PAYMENT_SHAPLEY] = CLEAR_PAY_SHAPLEY};
    struct clear_fault fault;
    struct clear_result result;
    collect(problem);
    to_bids(problem, AUCTION_STEP_WH);
    struct clear_problem asked = clearing(problem);
    struct clear_arena arena = {.size = clear_arena_bytes(&asked)};
    arena.bytes = malloc(arena.size);
    assert_non_null(arena.bytes);
    assert_true(clear_check(&asked, &fault, &arena));
    assert_true(clear_run(&result, &asked, &arena));
    for (uint32_t i = 0; i < problem->count; i++)
        problem->accepted[i] = result.accepted[i] * AUCTION_STEP_WH;
    problem->welfare = result.welfare * AUCTION_STEP_WH;
    problem->price = result.prices != NULL ? result.prices[0] : (struct clear_slot_price){0};
    to_bids(problem, 1);
    problem->paid = payment;
    pay(problem, &arena, rules[payment]);
    uint8_t fallback = problem->fallback;
    if (fallback != AUCTION_FALLBACK_NONE) {
        problem->paid = mechanism == MECHANISM_MERIT_ORDER ? PAYMENT_UNIFORM : PAYMENT_PAY_AS_BID;
        pay(problem, &arena, rules[problem->paid]);
        assert_int_equal(problem->fallback, AUCTION_FALLBACK_NONE);
        problem->fallback = fallback;
    }
    free(arena.bytes);
}

/* --- one round ------------------------------------------------------------------------------ */

static void place_bids(uint32_t count)
{
    int64_t price_step = draw(2) == 0 ? 1 : 50000; /* many ties, or few */
    for (uint32_t i = 0; i < count; i++) {
        bool buys = draw(3) == 0;
        uint32_t who = buys ? draw(mechanism == MECHANISM_MERIT_ORDER ? BUYERS : 1)
                            : BUYERS + draw(PEOPLE - BUYERS);
        struct auction_ask ask = {
            .who = people[who],
            .buys = buys,
            .quantity = AUCTION_STEP_WH * (1 + (int64_t)draw(buys ? 120 : 60)),
            .price = (buys ? 100000 : 0) + price_step * (int64_t)draw(price_step == 1 ? 200000 : 4),
        };
        if (mechanism == MECHANISM_ONE_SIDED && !buys) {
            ask.whole = draw(3) == 0;
            ask.least = draw(3) == 0 ? AUCTION_STEP_WH * (int64_t)draw(20) : 0;
            ask.least = ask.least > ask.quantity ? ask.quantity : ask.least;
        }
        if (mechanism == MECHANISM_ORDERED_DEMAND)
            ask.rank = (uint16_t)draw(4);
        enum contract_error error = auction_place(&fixture, &ask);
        assert_true(error == CONTRACT_OK || error == CONTRACT_ONE_BUYER ||
                    error == CONTRACT_BAD_RANK);
        if (draw(3) == 0)
            fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
}

static int64_t receives_of(const struct problem *problem, const char *id)
{
    struct name who = fixture_name(id);
    for (uint32_t i = 0; i < problem->agent_count; i++)
        if (name_compare(&problem->agents[i], &who) == 0)
            return (int64_t)problem->receives[i];
    return 0;
}

/* Each deal's share within one micro-euro of its part, by quantity or by price, and all of them the sum. */
static void check_shares(const struct problem *problem, const char *id)
{
    struct name who = fixture_name(id);
    int128 sum = 0;
    int128 quantity = 0;
    for (uint64_t i = 1; i <= market_counters(&fixture).deals; i++) {
        struct deal_record deal = market_deal(&fixture, i);
        sum += name_compare(&deal.seller, &who) == 0 ? money_ueur(deal.payment) : 0;
        quantity += name_compare(&deal.seller, &who) == 0 ? energy_wh(deal.contracted) : 0;
    }
    if (quantity == 0)
        return;
    assert_true(sum == receives_of(problem, id));
    for (uint64_t i = 1; i <= market_counters(&fixture).deals; i++) {
        struct deal_record deal = market_deal(&fixture, i);
        if (name_compare(&deal.seller, &who) != 0)
            continue;
        int128 part = (int128)energy_price_ueur_per_kwh(deal.price) * energy_wh(deal.contracted);
        int128 got = (int128)money_ueur(deal.payment) * 1000;
        bool priced = problem->paid == PAYMENT_UNIFORM || problem->paid == PAYMENT_PAY_AS_BID;
        if (!priced) {
            part = sum * energy_wh(deal.contracted);
            got = (int128)money_ueur(deal.payment) * quantity;
        }
        int128 off = got > part ? got - part : part - got;
        assert_true(off < (priced ? (int128)1000 : quantity));
    }
}

static void check_round(struct problem *problem, const int64_t *before)
{
    auction_reach_gate(&fixture);
    struct auction_record record = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(record.state, AUCTION_CLEARED);
    assert_int_equal(record.payment, problem->paid);
    assert_int_equal(record.fallback, problem->fallback);
    assert_int_equal(record.agents, problem->agent_count);
    assert_true((int128)money_ueur(record.welfare) * 1000 + record.welfare_neur ==
                problem->welfare);
    assert_int_equal(record.priced, problem->price.traded);
    assert_int_equal(energy_price_ueur_per_kwh(record.price), problem->price.price);
    for (uint32_t i = 0; i < problem->count; i++) {
        struct order_record order = market_order(&fixture, problem->ids[i]);
        assert_int_equal(energy_wh(order.quantity) - energy_wh(order.open), problem->accepted[i]);
        assert_int_not_equal(order.status, ORDER_OPEN);
    }
    for (uint32_t i = 0; i < PEOPLE; i++) {
        int64_t receives = receives_of(problem, people[i]);
        int64_t promised = auction_promised(&fixture, people[i]);
        int64_t at_once = auction_wealth(&fixture, people[i]) - before[i];
        /* A seller's amount waits in its deals; everybody else has theirs. */
        assert_int_equal(promised > 0 ? promised + at_once : at_once, receives);
        check_shares(problem, people[i]);
    }
}

/* Delivered in full, in half or not at all; what nobody proves runs out. */
static void end_deals(void)
{
    fixture_next_block(&fixture, timestamp_ms(market_period(AUCTION_PERIOD + 1)) -
                                     timestamp_ms(fixture.context.time));
    static struct delivery_witness witness;
    for (uint64_t i = 1; i <= market_counters(&fixture).deals; i++) {
        struct deal_record deal = market_deal(&fixture, i);
        int64_t unit = energy_wh(deal.contracted) / MARKET_UNITS;
        int64_t delivered[MARKET_UNITS] = {draw(2) == 0 ? unit : unit / 2, unit};
        if (draw(4) == 0)
            continue;
        market_measure(&fixture, i, delivered, &witness);
        char buyer[NAME_SIZE + 1];
        assert_error(CONTRACT_OK,
                     market_prove(&fixture, name_to_text(buyer, &deal.buyer), i, &witness));
    }
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_begin_block(&fixture, MARKET_PROOF_MS);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    for (uint64_t i = 1; i <= market_counters(&fixture).deals; i++) {
        struct deal_record deal = market_deal(&fixture, i);
        int64_t rest = money_ueur(deal.escrow) - money_ueur(deal.paid) - money_ueur(deal.refunded) -
                       money_ueur(deal.returned);
        assert_int_not_equal(deal.state, DEAL_MATCHED);
        assert_in_range(rest, 0, money_ueur(deal.escrow) - money_ueur(deal.payment));
        assert_int_equal(market_pot(&fixture, POT_DEAL_ESCROW, i), 0);
    }
}

static void play(uint64_t seed, struct problem *problem)
{
    int64_t before[PEOPLE];
    dice.state = seed;
    mechanism = (uint8_t)(MECHANISM_MERIT_ORDER + draw(3));
    payment = (uint8_t)draw(PAYMENT_COUNT);
    tie = mechanism == MECHANISM_ONE_SIDED ? (uint8_t)TIE_PRO_RATA : (uint8_t)draw(2);
    if (payment == PAYMENT_UNIFORM && mechanism != MECHANISM_MERIT_ORDER)
        payment = PAYMENT_PAY_AS_BID;
    auction_open(&fixture, with_terms);
    auction_add_buyer(&fixture, "dso2");
    auction_add_buyer(&fixture, "dso3");
    fixture_fund(&fixture, "tso", 1000000);
    if (payment == PAYMENT_VCG)
        assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", reserve));
    place_bids(2 + draw(24));
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    solve(problem);
    if (problem->count > 0) {
        for (uint32_t i = 0; i < PEOPLE; i++)
            before[i] = auction_wealth(&fixture, people[i]);
        check_round(problem, before);
        fixture_end_block(&fixture);
        market_audit(&fixture, true);
        fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
        end_deals();
    }
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

static void test_the_code_of_flexclear(void **state)
{
    static struct problem problem;
    uint32_t traded = 0;
    uint32_t fell_back = 0;
    const char *rounds = getenv("AUCTION_ROUNDS");
    uint64_t last = rounds == NULL ? ROUNDS : strtoull(rounds, NULL, 10);
    (void)state;
    for (uint64_t seed = 1; seed <= last; seed++) {
        play(seed, &problem);
        traded += problem.welfare > 0;
        fell_back += problem.count > 0 && problem.fallback != AUCTION_FALLBACK_NONE;
    }
    assert_true(traded > last / 2);
    assert_true(fell_back > 0);
}

/* --- as many bids as an auction takes ------------------------------------------------------- */

enum { FULL_SELLERS = 12, FULL_SIDE = AUCTION_BIDS_MAX / 2 };

static void uniform(struct market_create *terms)
{
    terms->clearing.payment = PAYMENT_UNIFORM;
    terms->clearing.tie = TIE_TIME;
}

/* 128 requests or offers in one transaction. */
static void place_many(const char *who, bool buys, uint32_t from)
{
    static struct request_place requests[LIMIT_ACTIONS_PER_TX];
    static struct offer_place offers[LIMIT_ACTIONS_PER_TX];
    struct transaction_draft draft;
    char device[NAME_SIZE];
    snprintf(device, sizeof device, "dev-%s", who);
    fixture_draft(&fixture, &draft, who);
    for (uint32_t i = 0; i < LIMIT_ACTIONS_PER_TX; i++) {
        int64_t rank = (from + i) * 7919 % FULL_SIDE; /* prices in no order */
        requests[i] = (struct request_place){.market = fixture_name("auc"),
                                             .period_start = market_period(AUCTION_PERIOD),
                                             .quantity = energy_of(6),
                                             .price = energy_price_of(500000 + rank)};
        offers[i] = (struct offer_place){.market = fixture_name("auc"),
                                         .period_start = market_period(AUCTION_PERIOD),
                                         .quantity = energy_of(rank % 2 == 0 ? 4 : 8),
                                         .price = energy_price_of(rank),
                                         .device = fixture_name(device)};
        fixture_draft_add(&draft, buys ? ACTION_REQUEST_PLACE : ACTION_OFFER_PLACE,
                          buys ? (const void *)&requests[i] : &offers[i]);
    }
    assert_error(CONTRACT_OK, fixture_send(&fixture, who, &draft));
}

/* Every bid trades, in one block, with room for all the events; and not one bid more is taken. */
static void test_full_auction(void **state)
{
    char id[NAME_SIZE];
    (void)state;
    auction_open(&fixture, uniform);
    for (uint32_t i = 0; i < FULL_SELLERS; i++) {
        snprintf(id, sizeof id, "s%02u", i);
        auction_add_seller(&fixture, id);
    }
    for (uint32_t i = 0; i < FULL_SIDE; i += LIMIT_ACTIONS_PER_TX) {
        snprintf(id, sizeof id, "s%02u", i / LIMIT_ACTIONS_PER_TX % FULL_SELLERS);
        place_many(id, false, i);
        place_many("dso", true, i);
    }
    struct auction_ask more = {.who = "dso", .buys = true, .quantity = 2, .price = 1};
    assert_error(CONTRACT_BOOK_FULL, auction_place(&fixture, &more));
    auction_reach_gate(&fixture);
    struct auction_record record = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(record.state, AUCTION_CLEARED);
    assert_int_equal(record.requests + record.offers, AUCTION_BIDS_MAX);
    assert_int_equal(energy_wh(record.quantity), 6 * FULL_SIDE);
    assert_true(record.deals > FULL_SIDE && record.deals < AUCTION_BIDS_MAX);
    assert_int_equal(market_counters(&fixture).deals, record.deals);
    for (uint64_t i = 1; i <= AUCTION_BIDS_MAX; i++)
        assert_int_equal(market_order(&fixture, i).status, ORDER_FILLED);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* --- a network ------------------------------------------------------------------------------ */

/* The transformer takes 2000 W upwards: 1000 Wh in the period. The cheaper offer has its 800, the other one
 * 200 of 600; the request gets no more, and the price is the one at the margin. */
static void test_network(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    terms.clearing.mechanism = MECHANISM_MERIT_ORDER;
    grid_market(&fixture, "auc", &terms);
    grid_publish(&fixture, "trafo", AUCTION_PERIOD, 100000, 2000);
    assert_error(CONTRACT_OK,
                 grid_offer(&fixture, "auc", "alice", AUCTION_PERIOD, DIRECTION_UP, 800, 100000));
    assert_error(CONTRACT_OK,
                 grid_offer(&fixture, "auc", "bob", AUCTION_PERIOD, DIRECTION_UP, 600, 200000));
    assert_error(CONTRACT_OK,
                 grid_request(&fixture, "auc", AUCTION_PERIOD, DIRECTION_UP, 2000, 300000));
    int64_t gate = timestamp_ms(market_period(AUCTION_PERIOD)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    fixture_end_block(&fixture);
    grid_audit(&fixture);
    market_audit(&fixture, true);
    assert_int_equal(grid_events(&fixture, EVENT_GRID_LIMITED), 1);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    struct auction_record record = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(energy_wh(record.quantity), 1000);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 400);
    assert_int_equal(energy_price_ueur_per_kwh(record.price), 300000);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* Whoever offers more than is asked for, whole, and so can never trade, takes no room from others. */
static void test_an_offer_too_large_to_trade_takes_no_room(void **state)
{
    (void)state;
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    market_terms(&terms);
    terms.clearing.mechanism = MECHANISM_ONE_SIDED;
    terms.clearing.tie = TIE_PRO_RATA;
    terms.clearing.payment = PAYMENT_PAY_AS_BID;
    grid_market(&fixture, "auc", &terms);
    grid_publish(&fixture, "trafo", AUCTION_PERIOD, 100000, 600);
    struct offer_place whole = {.market = fixture_name("auc"),
                                .direction = DIRECTION_UP,
                                .period_start = market_period(AUCTION_PERIOD),
                                .quantity = energy_of(300),
                                .price = energy_price_of(0),
                                .device = fixture_name("at-alice"),
                                .options = {.indivisible = 1}};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &whole));
    assert_error(CONTRACT_OK,
                 grid_offer(&fixture, "auc", "bob", AUCTION_PERIOD, DIRECTION_UP, 400, 200000));
    assert_error(CONTRACT_OK,
                 grid_request(&fixture, "auc", AUCTION_PERIOD, DIRECTION_UP, 200, 300000));
    int64_t gate = timestamp_ms(market_period(AUCTION_PERIOD)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    grid_audit(&fixture);
    market_audit(&fixture, true);
    assert_int_equal(energy_wh(auction_result(&fixture, DIRECTION_UP).quantity), 200);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 200);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_code_of_flexclear),
        cmocka_unit_test(test_full_auction),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_an_offer_too_large_to_trade_takes_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
