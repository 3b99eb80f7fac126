/* What a coupled auction may cost and leave behind (docs/spec/coupled.md 13; contracts/coupled_internal.h): a
 * block's end that is executed again asks for no more memory, and a forecast leaves auctions alone whose own
 * gate has closed; sums pay for what they search, and the largest network clears with the largest horizon.
 * Working memory is looked at in bytes; no time is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/coupled_internal.h"
#include "tests/lib/contracts/grid_fixture.h"

enum { UNIT_MS = 900000, WINDOW = 2, BUY_PRICE = 300000, SELL_PRICE = 100000 };

static struct fixture fixture;

static void coupled_terms(struct market_create *terms)
{
    market_terms(terms);
    terms->network = fixture_name("net");
    terms->directions = DIRECTIONS_UP;
    terms->times.mtus_per_period = 1;
    terms->limits.quantity_step = energy_of(1);
    terms->limits.quantity_min = energy_of(1);
    terms->clearing.mechanism = MECHANISM_COUPLED;
    terms->clearing.reserve_account = fixture_name("tso");
    terms->coupling = (struct market_coupling){.intervals = 1, .window = WINDOW};
}

static enum contract_error line(const char *id, const char *from, const char *to)
{
    const struct network_line action = {.network = fixture_name("net"),
                                        .id = fixture_name(id),
                                        .from = fixture_name(from),
                                        .to = fixture_name(to),
                                        .carrier = fixture_name("el"),
                                        .capacity = power_of(4000)};
    return fixture_act(&fixture, "dso", ACTION_NETWORK_LINE, &action);
}

static void open_day(void (*change)(struct market_create *terms))
{
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    assert_error(CONTRACT_OK, line("a", "trafo", "f1"));
    assert_error(CONTRACT_OK, line("b", "f1", "leaf"));
    assert_error(CONTRACT_OK, line("c", "trafo", "f2"));
    coupled_terms(&terms);
    if (change != NULL) {
        change(&terms);
    }
    grid_market(&fixture, "cpl", &terms);
}

/* The n-th auction from now on. */
static struct timestamp auction_start(int n)
{
    return timestamp_of(FIXTURE_TIME_MS + (int64_t)n * UNIT_MS);
}

static struct coupled_record auction(int n)
{
    struct coupled_record record;
    const struct coupled_id id = {fixture_name("cpl"), auction_start(n), DIRECTION_UP};
    struct state_key key = coupled_key(STATE_COUPLED, &id);
    assert_true(ledger_read(fixture.view, &key, &coupled_record_codec, &record));
    return record;
}

/* One bid: dso's at f2, or alice's at leaf. */
static void bid(int n, enum order_side side, int64_t quantity)
{
    struct portfolio_place action = {.market = fixture_name("cpl"),
                                     .direction = DIRECTION_UP,
                                     .start = auction_start(n),
                                     .bid_count = 1};
    action.bids[0] =
        (struct portfolio_bid){.side = side,
                               .quantity = energy_of(quantity),
                               .price = energy_price_of(side == SIDE_BUY ? BUY_PRICE : SELL_PRICE),
                               .carrier = fixture_name("el")};
    if (side == SIDE_BUY) {
        action.bids[0].node = fixture_name("f2");
    } else {
        action.bids[0].device = fixture_name("at-alice");
    }
    assert_error(CONTRACT_OK, fixture_act(&fixture, side == SIDE_BUY ? "dso" : "alice",
                                          ACTION_PORTFOLIO_PLACE, &action));
}

static void go_to(int64_t time)
{
    fixture_next_block(&fixture, time - timestamp_ms(fixture.context.time));
}

static int64_t gate_of(int n, int64_t closure)
{
    return timestamp_ms(auction_start(n)) - closure;
}

/* A node executes the block that clears once for each round that proposes it, with the same problem open:
 * what one execution takes of the working memory it must give back, or enough rounds end the node. */
static void test_clearing_gives_memory_back(void **state)
{
    (void)state;
    open_day(NULL);
    bid(2, SIDE_BUY, 600);
    bid(2, SIDE_SELL, 500);
    go_to(gate_of(2, MARKET_GATE_MS));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(auction(2).state, COUPLED_SOLVING);
    const struct coupled_scratch *scratch = ledger_coupled_scratch(fixture.ledger);
    size_t used = scratch->arena.used;
    for (int i = 0; i < WINDOW; i++) {
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
    struct coupled_record record = auction(2);
    assert_int_equal(record.state, COUPLED_CLEARED);
    assert_int_equal(energy_wh(record.best.quantity), 500);
    assert_true(hash_equal(&scratch->open, &record.problem));
    assert_int_equal(scratch->arena.used, used);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* Two hours ahead, so that a chain that stood still may find several gates closed, and nobody late. */
enum { EARLY_MS = 8 * UNIT_MS };

static void with_returns(struct market_create *terms)
{
    terms->times.gate_closure = duration_of(EARLY_MS);
    terms->coupling.window = 0;
    terms->coupling.forecast = 2;
    terms->coupling.later = LATER_RETURNED;
}

/* What stood at its gate is one auction, however late the block is; only auctions whose gate is still open
 * are forecast, and have their bids returned. */
static void test_forecast_leaves_closed_gates(void **state)
{
    (void)state;
    open_day(with_returns);
    for (int n = 10; n <= 12; n++) {
        bid(n, SIDE_BUY, 600);
        bid(n, SIDE_SELL, 500);
    }
    go_to(gate_of(11, EARLY_MS));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(auction(10).state, COUPLED_CLEARED);
    assert_int_equal(auction(11).state, COUPLED_OPEN); /* waited for 10 to be over */
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(auction(11).state, COUPLED_CLEARED);
    assert_int_equal(energy_wh(auction(11).best.quantity), 500);
    assert_int_equal(market_order(&fixture, 5).status, ORDER_EXPIRED); /* auction 12's, returned */
    market_audit(&fixture, false);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* The example of coupled.md 4: a searched sum needs no multiplier. */
static void test_searched_sum(void **state)
{
    (void)state;
    static uint8_t memory[1024 * 1024];
    struct clear_arena arena = {memory, sizeof memory, 0};
    const struct coupled_bid bids[] = {
        {.quantity = 2, .min_quantity = 2}, {.quantity = 3}, {.quantity = 2}};
    const uint32_t members[] = {0, 1, 2};
    const struct coupled_link link = {
        .type = COUPLED_SUM, .count = 3, .op = COUPLED_AT_MOST, .quantity = 4};
    const struct coupled_problem problem = {.bids = bids,
                                            .bid_count = 3,
                                            .agent_count = 1,
                                            .slot_count = 1,
                                            .place_count = 1,
                                            .links = &link,
                                            .link_count = 1,
                                            .members = members,
                                            .member_count = 3};
    struct coupled_fault fault;
    struct coupled_break broken;
    struct coupled_claim claim;
    struct coupled_draft draft;
    assert_true(coupled_arena_bytes(&problem) < sizeof memory / 2);
    const struct coupled_plan *plan = coupled_prepare(&problem, &fault, &arena);
    assert_non_null(plan);
    coupled_draft_take(&draft, &problem, &arena);
    draft.den = 1;
    draft.node[0] = 1000;
    struct coupled_solution solution = coupled_draft_view(&draft);
    assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
    assert_true(claim.bound == 4000 && claim.relaxed_sets == 0);
    draft.sum[0] = 1000;
    solution = coupled_draft_view(&draft);
    assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
    assert_true(claim.bound == 4000 && claim.relaxed_sets == 0);
}

/* The best that sells in lumps of 60 to 149, in one sum, can be worth at `price`: all patterns. */
static int64_t best_of_patterns(const struct coupled_bid *bids, uint32_t count, int64_t price,
                                int64_t most)
{
    int64_t best = 0;
    for (uint32_t pattern = 0; pattern < 1U << count; pattern++) {
        int64_t left = most, value = 0;
        for (uint32_t i = 0; i < count; i++) {
            left -= (pattern >> i & 1) != 0 ? bids[i].min_quantity : 0;
        }
        for (uint32_t i = 0; i < count && left >= 0; i++) { /* the cheapest first */
            int64_t room = bids[i].quantity - bids[i].min_quantity;
            int64_t more = room < left ? room : left;
            if ((pattern >> i & 1) != 0) {
                value += (price - bids[i].price) * (bids[i].min_quantity + more);
                left -= more;
            }
        }
        best = left >= 0 && value > best ? value : best;
    }
    return best;
}

/* Each pattern of a searched sum costs its pass over the bids, so what a check may cost holds for sums as for
 * all sets: all patterns of 8 bids are looked at, those of 16 are too many, and the bound is still one. */
static void test_patterns_of_sums_are_paid(void **state)
{
    (void)state;
    enum { BIDS = 16, PRICE = 1200, MOST = 1000 };
    static uint8_t memory[1024 * 1024];
    struct coupled_bid bids[BIDS];
    uint32_t members[BIDS];
    for (uint32_t i = 0; i < BIDS; i++) {
        bids[i] = (struct coupled_bid){
            .quantity = 100 + i * 19 % 50, .price = 1000 + 6 * i, .min_quantity = 60};
        members[i] = i;
    }
    for (uint32_t count = BIDS / 2; count <= BIDS; count += BIDS / 2) {
        struct clear_arena arena = {memory, sizeof memory, 0};
        const struct coupled_link link = {.type = COUPLED_SUM,
                                          .count = count,
                                          .op = COUPLED_AT_MOST,
                                          .quantity = MOST * count / BIDS};
        const struct coupled_problem problem = {.bids = bids,
                                                .bid_count = count,
                                                .agent_count = 1,
                                                .slot_count = 1,
                                                .place_count = 1,
                                                .links = &link,
                                                .link_count = 1,
                                                .members = members,
                                                .member_count = count};
        struct coupled_fault fault;
        struct coupled_break broken;
        struct coupled_claim claim;
        struct coupled_draft draft;
        const struct coupled_plan *plan = coupled_prepare(&problem, &fault, &arena);
        assert_non_null(plan);
        coupled_draft_take(&draft, &problem, &arena);
        draft.den = 1;
        draft.node[0] = PRICE;
        const struct coupled_solution solution = coupled_draft_view(&draft);
        assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
        const int64_t best = best_of_patterns(bids, count, PRICE, link.quantity);
        assert_int_equal(claim.relaxed_sets, count == BIDS);
        assert_true(count == BIDS ? claim.bound >= best : claim.bound == best);
    }
}

/* --- the largest network with the largest horizon --------------------------------------------- */

enum { AHEAD = COUPLED_AUCTION_SLOTS_MAX - 1, WIDE_NODES = 396, WIDE_LINES = 180, WIDE_ROWS = 90 };

static void long_horizon(struct market_create *terms)
{
    terms->coupling.forecast = AHEAD;
    terms->times.gate_opening = duration_of((int64_t)2 * COUPLED_AUCTION_SLOTS_MAX * UNIT_MS);
}

static struct name node_name(int n)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "n%03d", n);
    return fixture_name(name);
}

/* 400 nodes, 183 lines and 90 rows of 100 coefficients: times 96 intervals all but the 65,536 of the limit. */
static void widen_network(void)
{
    static struct network_row row;
    for (int i = 0; i < WIDE_NODES; i++) {
        const struct name node = node_name(i);
        assert_error(CONTRACT_OK, grid_node(&fixture, "dso", "net", node.text, "f2"));
        if (i < WIDE_LINES) {
            assert_error(CONTRACT_OK, line(node.text, "f2", node.text));
        }
    }
    for (int i = 0; i < WIDE_ROWS; i++) {
        row = (struct network_row){.network = fixture_name("net"),
                                   .id = node_name(i),
                                   .carrier = fixture_name("el"),
                                   .op = ROW_AT_MOST,
                                   .rhs = (int64_t)4 * (20 + i),
                                   .coef_count = LIMIT_ROW_COEFS};
        for (int at = 0; at < LIMIT_ROW_COEFS; at++) {
            row.coefs[at].node = node_name(at + i % (WIDE_NODES - LIMIT_ROW_COEFS));
            row.coefs[at].value = at % 3 == 0 ? -1 : 1;
        }
        assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_NETWORK_ROW, &row));
    }
}

/* One bid in every interval of the horizon, linked by fours. */
static struct portfolio_place wide_portfolio(int n, enum order_side side, const char *device)
{
    static const uint8_t types[] = {LINK_SUM, LINK_AND, LINK_XOR, LINK_OR, LINK_BLOCK};
    struct portfolio_place action = {.market = fixture_name("cpl"),
                                     .direction = DIRECTION_UP,
                                     .start = auction_start(2),
                                     .bid_count = COUPLED_AUCTION_SLOTS_MAX};
    for (int i = 0; i < COUPLED_AUCTION_SLOTS_MAX; i++) {
        struct portfolio_bid *bid = &action.bids[i];
        *bid = (struct portfolio_bid){.side = (uint8_t)side,
                                      .interval = (uint16_t)i,
                                      .quantity = energy_of(1 + (n + i) % 4),
                                      .price = energy_price_of(100000 + 1000 * ((n * 7 + i) % 90)),
                                      .carrier = fixture_name("el")};
        if (side == SIDE_BUY) {
            bid->node = node_name((n * 31 + i) % WIDE_LINES);
        } else {
            bid->device = fixture_name(device);
        }
    }
    for (int i = 0; i < COUPLED_AUCTION_SLOTS_MAX / 4; i++) {
        struct portfolio_link *link = &action.links[action.link_count++];
        *link = (struct portfolio_link){.type = types[(n + i) % 5], .member_count = 4};
        link->quantity = energy_of(link->type == LINK_SUM ? 5 : 0);
        for (int at = 0; at < 4; at++) {
            link->members[at].bid = (uint8_t)(4 * i + at);
        }
    }
    return action;
}

/* All limits at once: a problem, a floor, a clearing within the work of a block, and nothing left behind. */
static void test_largest_network_and_horizon(void **state)
{
    (void)state;
    static const char *const sellers[] = {"alice", "bob", "carol", "agg"};
    enum { EACH = COUPLED_AUCTION_BIDS_MAX / COUPLED_AUCTION_SLOTS_MAX / 2 };
    static struct portfolio_place action;
    open_day(long_horizon);
    widen_network();
    for (int i = 0; i < EACH; i++) {
        char device[NAME_SIZE];
        snprintf(device, sizeof device, "at-%s", sellers[i % 4]);
        action = wide_portfolio(i, SIDE_SELL, device);
        assert_error(CONTRACT_OK,
                     fixture_act(&fixture, sellers[i % 4], ACTION_PORTFOLIO_PLACE, &action));
        action = wide_portfolio(i, SIDE_BUY, NULL);
        assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_PORTFOLIO_PLACE, &action));
    }
    assert_error(CONTRACT_BOOK_FULL, fixture_act(&fixture, "dso", ACTION_PORTFOLIO_PLACE, &action));
    go_to(gate_of(2, MARKET_GATE_MS));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    struct coupled_record record = auction(2);
    assert_int_equal(record.state, COUPLED_SOLVING);
    assert_int_equal(record.rows, WIDE_ROWS);
    assert_true((record.places + record.lines + record.rows) * COUPLED_AUCTION_SLOTS_MAX >
                COUPLED_AUCTION_CELLS_MAX * 98 / 100);
    assert_true(money_ueur(record.best.welfare) > 0);
    for (int i = 0; i < WINDOW; i++) {
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
    record = auction(2);
    assert_int_equal(record.state, COUPLED_CLEARED);
    market_audit(&fixture, false);
    assert_true(auction(3).state == COUPLED_OPEN || auction(3).state == COUPLED_BOUND);
    fixture_end_block(&fixture);
    market_audit(&fixture, false);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clearing_gives_memory_back),
        cmocka_unit_test(test_forecast_leaves_closed_gates),
        cmocka_unit_test(test_searched_sum),
        cmocka_unit_test(test_patterns_of_sums_are_paid),
        cmocka_unit_test(test_largest_network_and_horizon),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests_name("coupled_limits", tests, NULL, NULL);
}
