/* The rolling horizon of coupled auctions (docs/spec/coupled.md 17): what binds, what ties bind with it, what is
 * left of links, what can't be taken back. Random rounds write down what happened, HORIZON_TRACE names the
 * file; tests/models/check_horizon.py works out from what was placed what had to happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/coupled.h"
#include "contracts/ledger.h"
#include "contracts/market.h"
#include "tests/lib/contracts/coupled_model.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/grid_fixture.h"

enum { AHEAD = 2, UNITS = 1 + AHEAD, UNIT_MS = 900000, ARENA = 16 * 1024 * 1024, LAST = 5 };
enum { ORDERS_MAX = 40 };

static struct fixture fixture;
static uint8_t arena_bytes[2][ARENA];
static uint8_t page_bytes[COUPLED_PROBLEM_BYTES_MAX];
static uint8_t solution_bytes[LIMIT_SOLUTION_BYTES];

static void horizon_terms(struct market_create *terms, uint16_t window)
{
    market_terms(terms);
    terms->network = fixture_name("net");
    terms->directions = DIRECTIONS_UP;
    terms->times.mtus_per_period = 1;
    terms->limits.quantity_step = energy_of(1);
    terms->limits.quantity_min = energy_of(1);
    terms->clearing.mechanism = MECHANISM_COUPLED;
    terms->clearing.reserve_account = fixture_name("tso");
    terms->coupling = (struct market_coupling){.intervals = 1, .forecast = AHEAD, .window = window};
}

static void line(const char *id, const char *from, const char *to, int64_t capacity_w)
{
    const struct network_line action = {.network = fixture_name("net"),
                                        .id = fixture_name(id),
                                        .from = fixture_name(from),
                                        .to = fixture_name(to),
                                        .carrier = fixture_name("el"),
                                        .capacity = power_of(capacity_w)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_NETWORK_LINE, &action));
}

/* trafo - f1 - leaf and trafo - f2. */
static void open_day(uint16_t window, const int64_t capacity_wh[3])
{
    struct market_create terms;
    market_open(&fixture);
    fixture_fund(&fixture, "tso", 1000000);
    grid_small_network(&fixture);
    line("a", "trafo", "f1", 4 * capacity_wh[0]);
    line("b", "f1", "leaf", 4 * capacity_wh[1]);
    line("c", "trafo", "f2", 4 * capacity_wh[2]);
    horizon_terms(&terms, window);
    grid_market(&fixture, "cpl", &terms);
}

static void open_wide_day(uint16_t window)
{
    static const int64_t wide[3] = {1000, 1000, 1000};
    open_day(window, wide);
}

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    market_audit(&fixture, false);
}

static void close_day(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, false);
    fixture_close(&fixture);
}

/* The gate of number 0 is still open. */
static struct timestamp auction_start(int n)
{
    return timestamp_of(FIXTURE_TIME_MS + (int64_t)(n + 2) * UNIT_MS);
}

static void pass_gate(int n)
{
    int64_t gate = timestamp_ms(auction_start(n)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    market_audit(&fixture, false);
    end_block();
}

static bool read_auction(int n, struct coupled_record *out)
{
    struct name market = fixture_name("cpl");
    struct state_key key =
        state_key_coupled(STATE_COUPLED, &market, auction_start(n), DIRECTION_UP);
    return ledger_read(fixture.view, &key, &coupled_record_codec, out);
}

static uint8_t state_of(int n)
{
    struct coupled_record record;
    return read_auction(n, &record) ? record.state : UINT8_MAX;
}

/* --- portfolios ----------------------------------------------------------------------------- */

static struct portfolio_place portfolio_of(int n)
{
    return (struct portfolio_place){
        .market = fixture_name("cpl"), .direction = DIRECTION_UP, .start = auction_start(n)};
}

/* By the dso at that node, or of that owner's device. */
static struct portfolio_bid *add(struct portfolio_place *action, bool buys, const char *where,
                                 uint16_t interval, int64_t quantity, int64_t price)
{
    char device[NAME_SIZE + 4];
    snprintf(device, sizeof device, "at-%s", where);
    struct portfolio_bid *bid = &action->bids[action->bid_count++];
    *bid = (struct portfolio_bid){.side = buys ? SIDE_BUY : SIDE_SELL,
                                  .interval = interval,
                                  .quantity = energy_of(quantity),
                                  .price = energy_price_of(price),
                                  .carrier = fixture_name("el")};
    *(buys ? &bid->node : &bid->device) = fixture_name(buys ? where : device);
    return bid;
}

static struct portfolio_link *add_link(struct portfolio_place *action, uint8_t type, uint8_t count)
{
    struct portfolio_link *link = &action->links[action->link_count++];
    *link = (struct portfolio_link){.type = type, .member_count = count};
    for (uint8_t i = 0; i < count; i++) {
        link->members[i].bid = i;
    }
    return link;
}

static enum contract_error place(const char *who, const struct portfolio_place *action)
{
    return fixture_act(&fixture, who, ACTION_PORTFOLIO_PLACE, action);
}

static enum contract_error cancel(const char *who, uint64_t order)
{
    const struct order_cancel action = {order};
    return fixture_act(&fixture, who, ACTION_ORDER_CANCEL, &action);
}

static struct order_record order(uint64_t id)
{
    return market_order(&fixture, id);
}

static bool has_portfolio(uint64_t first)
{
    struct portfolio_record record;
    struct state_key key = state_key_u64(STATE_PORTFOLIO, first);
    return ledger_read(fixture.view, &key, &portfolio_record_codec, &record);
}

/* --- problems and solutions ----------------------------------------------------------------- */

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    (void)context;
    return ledger_read(fixture.view, key, &coupled_page_record_codec, page);
}

static struct bytes_view pages(int n, enum coupled_page_of what)
{
    struct name market = fixture_name("cpl");
    struct coupled_record record;
    assert_true(read_auction(n, &record));
    size_t size = what == COUPLED_PAGE_PROBLEM ? record.problem_bytes : record.best.bytes;
    assert_true(coupled_pages_read(page_bytes, size, &market, auction_start(n), DIRECTION_UP, what,
                                   read_page, NULL));
    return bytes_view_of(page_bytes, size);
}

static void read_problem(int n, struct coupled_auction_problem *out)
{
    struct clear_arena arena = {arena_bytes[0], ARENA, 0};
    assert_true(coupled_problem_decode(out, pages(n, COUPLED_PAGE_PROBLEM), &arena));
}

static void read_best(int n, const struct coupled_auction_problem *auction,
                      struct coupled_draft *out)
{
    struct clear_arena arena = {arena_bytes[1], ARENA, 0};
    assert_true(
        coupled_solution_decode(out, &auction->problem, pages(n, COUPLED_PAGE_SOLUTION), &arena));
}

static void propose(const char *who, int n, const struct coupled_auction_problem *auction,
                    const int64_t *accepted, const int64_t *flow)
{
    struct clear_arena arena = {arena_bytes[1], ARENA, 0};
    struct coupled_record record;
    struct coupled_draft draft;
    struct byte_writer writer;
    const struct coupled_problem *problem = &auction->problem;
    coupled_draft_take(&draft, problem, &arena);
    memcpy(draft.accepted, accepted, problem->bid_count * sizeof *accepted);
    memcpy(draft.flow, flow, (size_t)problem->slot_count * problem->line_count * sizeof *flow);
    const struct coupled_solution solution = coupled_draft_view(&draft);
    byte_writer_init(&writer, solution_bytes, sizeof solution_bytes);
    coupled_solution_encode(&writer, problem, &solution);
    assert_true(!writer.failed && read_auction(n, &record));
    const struct solution_propose action = {.market = fixture_name("cpl"),
                                            .direction = DIRECTION_UP,
                                            .start = auction_start(n),
                                            .problem = record.problem,
                                            .solution = bytes_view_of(writer.data, writer.size)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, who, ACTION_SOLUTION_PROPOSE, &action));
    assert_true(read_auction(n, &record) && record.wrong == 0);
}

/* --- examples ------------------------------------------------------------------------------- */

static void run_battery(int64_t price_now, int64_t trades_now)
{
    struct coupled_auction_problem auction;
    int64_t accepted[MODEL_BIDS];
    static const int64_t flow[MODEL_SLOTS * MODEL_LINES];
    open_wide_day(1);
    struct portfolio_place asks = portfolio_of(1);
    add(&asks, true, "leaf", 0, 400, price_now);
    add(&asks, true, "leaf", 2, 500, 300000);
    struct portfolio_place battery = portfolio_of(1);
    add(&battery, false, "alice", 0, 500, 100000);
    add(&battery, false, "alice", 2, 500, 100000);
    struct portfolio_link *sum = add_link(&battery, LINK_SUM, 2);
    sum->quantity = energy_of(500);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &battery));
    pass_gate(1);
    read_problem(1, &auction);
    for (uint32_t i = 0; i < auction.problem.bid_count; i++) {
        accepted[i] = auction.problem.bids[i].slot == 0 ? trades_now : 500 - trades_now;
    }
    propose("agg", 1, &auction, accepted, flow);
    end_block();
    assert_int_equal(state_of(1), COUPLED_CLEARED);
    assert_int_equal(state_of(3), COUPLED_OPEN);
    assert_int_equal(energy_wh(order(1).quantity) - energy_wh(order(1).open), trades_now);
    end_block();
    assert_int_equal(order(4).status, ORDER_OPEN);
    assert_true(has_portfolio(3));
    pass_gate(3);
    end_block();
    assert_int_equal(state_of(3), COUPLED_CLEARED);
    assert_int_equal(energy_wh(order(2).quantity) - energy_wh(order(2).open), 500 - trades_now);
    assert_false(has_portfolio(3));
    close_day();
}

static void test_battery(void **state)
{
    (void)state;
    run_battery(150000, 0);
    run_battery(400000, 400);
}

/* Both or none: with both accepted, auction 3 binds with auction 1, and 2 stays open. */
static void test_tied(void **state)
{
    (void)state;
    struct coupled_auction_problem auction;
    struct coupled_record record;
    int64_t accepted[MODEL_BIDS];
    int64_t flow[MODEL_SLOTS * MODEL_LINES] = {0};
    open_wide_day(2);
    struct portfolio_place asks = portfolio_of(1);
    for (uint16_t i = 0; i < UNITS; i++) {
        add(&asks, true, "leaf", i, 500, 300000);
    }
    struct portfolio_place both = portfolio_of(1);
    add(&both, false, "alice", 0, 500, 100000);
    add(&both, false, "alice", 2, 500, 100000);
    add_link(&both, LINK_AND, 2);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &both));
    pass_gate(1);
    assert_error(CONTRACT_GATE_CLOSED, cancel("dso", 2)); /* of auction 2: it may be bound */
    read_problem(1, &auction);
    assert_int_equal(auction.problem.bid_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        accepted[i] = auction.problem.bids[i].slot == 1 ? 0 : 500;
    }
    propose("agg", 1, &auction, accepted, flow);
    struct portfolio_place late = portfolio_of(2);
    add(&late, false, "bob", 0, 10, 100000);
    add(&late, false, "bob", 1, 10, 100000);
    add_link(&late, LINK_AND, 2);
    assert_error(CONTRACT_OK, place("bob", &late)); /* of 2 and 3, and not in the problem */
    end_block();
    end_block();
    assert_int_equal(state_of(1), COUPLED_CLEARED);
    assert_int_equal(state_of(2), COUPLED_OPEN);
    assert_true(read_auction(3, &record) && record.state == COUPLED_BOUND);
    assert_int_equal(timestamp_ms(record.bound_by), timestamp_ms(auction_start(1)));
    assert_int_equal(market_counters(&fixture).deals, 2);
    assert_int_equal(order(2).status, ORDER_OPEN);
    assert_int_equal(order(6).status, ORDER_EXPIRED); /* its other half found its auction bound */
    struct portfolio_place more = portfolio_of(3);
    add(&more, true, "leaf", 0, 1, 300000);
    assert_error(CONTRACT_GATE_CLOSED, place("dso", &more));
    assert_error(CONTRACT_OK, cancel("dso", 2));
    assert_int_equal(state_of(2), UINT8_MAX);
    close_day();
}

/* Auction 1 takes solutions for so long that the gates of 2 and 4 pass. It does not reach 4, but 2 does, which
 * waits for 1: were 4 fixed before 2, it would find half of a portfolio that is linked to what stands in 2, and
 * nobody could clear it. What stands in 2 can't leave through its half in 4 either. */
static void test_gates_wait_in_turn(void **state)
{
    (void)state;
    enum { WINDOW = 6 };
    open_wide_day(WINDOW);
    struct portfolio_place asks = portfolio_of(1);
    add(&asks, true, "leaf", 0, 100, 300000);
    struct portfolio_place later = portfolio_of(4);
    add(&later, true, "leaf", 0, 100, 300000);
    struct portfolio_place both = portfolio_of(2);
    add(&both, false, "alice", 0, 100, 100000);
    add(&both, false, "alice", 2, 100, 100000);
    add_link(&both, LINK_AND, 2);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("dso", &later));
    assert_error(CONTRACT_OK, place("alice", &both));
    pass_gate(1);
    assert_int_equal(state_of(1), COUPLED_SOLVING);
    pass_gate(2);
    assert_int_equal(state_of(2), COUPLED_OPEN); /* its gate has closed, and it waits */
    assert_error(CONTRACT_GATE_CLOSED, cancel("alice", 3));
    assert_error(CONTRACT_GATE_CLOSED, cancel("alice", 4));
    pass_gate(4);
    assert_int_equal(state_of(1), COUPLED_SOLVING);
    assert_int_equal(state_of(2), COUPLED_OPEN);
    assert_int_equal(state_of(4), COUPLED_OPEN);
    for (int i = 0; i < 3 * WINDOW; i++) {
        end_block();
    }
    /* Delivery of 1 and 2 had begun meanwhile, or they have cleared; none is left behind. */
    assert_true(state_of(1) == COUPLED_VOID || state_of(1) == COUPLED_CLEARED);
    assert_true(state_of(2) == COUPLED_VOID || state_of(2) == COUPLED_CLEARED);
    assert_true(state_of(4) == COUPLED_VOID || state_of(4) == COUPLED_CLEARED);
    assert_false(has_portfolio(3));
    close_day();
}

/* An auction has its share of what a problem may hold, and a horizon's end is the end. */
static void test_shares(void **state)
{
    (void)state;
    enum { EACH = 99 };
    open_wide_day(0);
    struct portfolio_place action = portfolio_of(1);
    add(&action, true, "leaf", UNITS, 1, 1000);
    assert_error(CONTRACT_BAD_PERIOD, place("dso", &action));
    action = portfolio_of(1);
    for (int i = 0; i < EACH; i++) {
        add(&action, true, "leaf", 1, 1, 1000);
    }
    for (int i = 0; i < COUPLED_AUCTION_BIDS_MAX / UNITS / EACH; i++) {
        assert_error(CONTRACT_OK, place("dso", &action));
    }
    assert_error(CONTRACT_BOOK_FULL, place("dso", &action));
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* --- random rounds -------------------------------------------------------------------------- */

static FILE *trace;

static void say_portfolio(int n, const struct portfolio_place *action, uint64_t first)
{
    if (trace == NULL) {
        return;
    }
    fprintf(trace, "portfolio %d %llu %u\n", n, (unsigned long long)first, action->bid_count);
    for (uint32_t i = 0; i < action->bid_count; i++) {
        const struct portfolio_bid *bid = &action->bids[i];
        fprintf(trace, "bid %d %u %lld %lld %lld %d %s\n", bid->side == SIDE_BUY, bid->interval,
                (long long)energy_wh(bid->quantity),
                (long long)energy_price_ueur_per_kwh(bid->price),
                (long long)energy_wh(bid->min_quantity), bid->indivisible,
                bid->side == SIDE_BUY ? bid->node.text : bid->device.text);
    }
    for (uint32_t i = 0; i < action->link_count; i++) {
        const struct portfolio_link *link = &action->links[i];
        fprintf(trace, "link %u %lld %lld %lld", link->type, (long long)energy_wh(link->quantity),
                (long long)link->num, (long long)link->den);
        for (uint32_t at = 0; at < link->member_count; at++) {
            fprintf(trace, " %u", link->members[at].bid);
        }
        fprintf(trace, "\n");
    }
}

static void place_at_random(struct dice *dice, int n)
{
    static const char *const sellers[] = {"alice", "bob", "carol"};
    static const char *const nodes[] = {"f1", "f2", "leaf"};
    static const uint8_t types[] = {LINK_AND, LINK_AND,   LINK_OR,     LINK_XOR,
                                    LINK_SUM, LINK_BLOCK, LINK_CONVERT};
    struct portfolio_place action = portfolio_of(n);
    const bool buys = dice_between(dice, 0, 1) == 0;
    const char *owner = sellers[dice_between(dice, 0, 2)];
    const int bids = (int)dice_between(dice, 1, 3);
    for (int i = 0; i < bids; i++) {
        int64_t quantity = dice_between(dice, 1, 2);
        struct portfolio_bid *bid =
            add(&action, buys, buys ? nodes[dice_between(dice, 0, 2)] : owner,
                (uint16_t)dice_between(dice, 0, AHEAD), quantity,
                1000 * dice_between(dice, buys ? 6 : 0, buys ? 15 : 9));
        bid->indivisible = dice_between(dice, 0, 4) == 0;
    }
    if (bids > 1 && dice_between(dice, 0, 3) > 0) {
        uint8_t type = types[dice_between(dice, 0, 6)];
        struct portfolio_link *link =
            add_link(&action, type, (uint8_t)(type == LINK_CONVERT ? 2 : bids));
        link->quantity = energy_of(type == LINK_SUM ? dice_between(dice, 1, 3) : 0);
        link->num = type == LINK_CONVERT ? 1 : 0;
        link->den = type == LINK_CONVERT ? dice_between(dice, 1, 2) : 0;
    }
    if (place(buys ? "dso" : owner, &action) == CONTRACT_OK) {
        say_portfolio(n, &action, market_counters(&fixture).orders + 1 - action.bid_count);
    }
}

/* Until the next problem is as large as the model can try. */
static void place_some(struct dice *dice, int n)
{
    uint32_t open = 0;
    for (uint64_t id = 1; id <= market_counters(&fixture).orders; id++) {
        open += order(id).status == ORDER_OPEN;
    }
    while (open + 3 <= MODEL_BIDS && dice_between(dice, 0, 5) > 0) {
        const uint64_t before = market_counters(&fixture).orders;
        place_at_random(dice, n + (int)dice_between(dice, 0, 1));
        open += (uint32_t)(market_counters(&fixture).orders - before);
    }
}

static void say_round(int n, const struct coupled_auction_problem *auction, bool exact)
{
    struct coupled_draft best;
    read_best(n, auction, &best);
    if (trace == NULL) {
        return;
    }
    fprintf(trace, "round %d %d %u\n", n, exact, auction->problem.bid_count);
    for (uint32_t i = 0; i < auction->problem.bid_count; i++) {
        fprintf(trace, "took %llu %lld\n", (unsigned long long)auction->orders[i],
                (long long)best.accepted[i]);
    }
}

static void say_orders(int n)
{
    int64_t traded[ORDERS_MAX] = {0};
    const struct counters_record counters = market_counters(&fixture);
    assert_true(counters.orders < ORDERS_MAX);
    for (uint64_t id = 1; id <= counters.deals; id++) {
        struct deal_record deal = market_deal(&fixture, id);
        traded[deal.buy_order] += energy_wh(deal.contracted);
        traded[deal.sell_order] += energy_wh(deal.contracted);
    }
    for (uint64_t id = 1; id <= counters.orders && trace != NULL; id++) {
        fprintf(trace, "order %llu %d %lld %d\n", (unsigned long long)id,
                order(id).status == ORDER_OPEN, (long long)traded[id], has_portfolio(id));
    }
    for (int ahead = 1; ahead <= AHEAD && trace != NULL; ahead++) {
        fprintf(trace, "auction %d %u\n", n + ahead, state_of(n + ahead));
    }
}

static void run_rounds(uint64_t seed)
{
    struct dice dice = {seed};
    int64_t capacity[3];
    struct coupled_auction_problem auction;
    int64_t accepted[MODEL_BIDS];
    int64_t flow[MODEL_SLOTS * MODEL_LINES];
    int128 welfare;
    for (int i = 0; i < 3; i++) {
        capacity[i] = dice_between(&dice, 1, 2);
    }
    open_day(1, capacity);
    if (trace != NULL) {
        fprintf(trace, "case %llu %lld %lld %lld\n", (unsigned long long)seed,
                (long long)capacity[0], (long long)capacity[1], (long long)capacity[2]);
    }
    for (int n = 1; n <= LAST; n++) {
        if (n < LAST - AHEAD) {
            place_some(&dice, n);
        }
        const bool there = state_of(n) == COUPLED_OPEN;
        const bool exact = dice_between(&dice, 0, 4) > 0;
        pass_gate(n);
        if (there) {
            assert_int_equal(state_of(n), COUPLED_SOLVING);
            read_problem(n, &auction);
            assert_true(auction.problem.bid_count <= MODEL_BIDS);
            if (exact) {
                assert_true(model_solve(&auction.problem, &welfare, accepted, flow));
                propose("agg", n, &auction, accepted, flow);
            }
        }
        end_block();
        if (there) {
            assert_int_equal(state_of(n), COUPLED_CLEARED);
            say_round(n, &auction, exact);
        }
        end_block();
        say_orders(n);
    }
    assert_int_equal(fixture_pots_of(&fixture, POT_ORDER_ESCROW), 0);
    close_day();
}

static void test_random(void **state)
{
    (void)state;
    const char *turns = getenv("TURNS");
    const char *path = getenv("HORIZON_TRACE");
    const int runs = turns == NULL ? 40 : atoi(turns);
    assert_true(runs > 0);
    trace = path == NULL ? NULL : fopen(path, "w");
    assert_true(path == NULL || trace != NULL);
    for (int run = 1; run <= runs; run++) {
        run_rounds((uint64_t)run);
    }
    assert_true(trace == NULL || fclose(trace) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_battery),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_gates_wait_in_turn),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_random),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests_name("coupled_horizon", tests, NULL, NULL);
}
