/* Coupled auctions on the ledger: terms, networks, portfolios, the gate, solutions with their strikes and
 * ties, the clearing's deals and money, forecasts (docs/spec/coupled.md 10 to 14). What the problem, the
 * verdicts and the quantities must be comes from what the test placed, by the slow model of
 * tests/lib/contracts/coupled_model.h, which tries all quantities and flows. */
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
#include "tests/lib/contracts/coupled_model.h"
#include "tests/lib/contracts/grid_fixture.h"

enum { INTERVALS = 2, WINDOW = 3, FEE = 700, UNIT_MS = 900000, ARENA = 16 * 1024 * 1024 };

static struct fixture fixture;
static uint8_t arena_bytes[2][ARENA];
static uint8_t page_bytes[COUPLED_PROBLEM_BYTES_MAX];
static uint8_t solution_bytes[LIMIT_SOLUTION_BYTES];

/* --- the market ----------------------------------------------------------------------------- */

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
    terms->coupling =
        (struct market_coupling){.intervals = INTERVALS, .window = WINDOW, .fee = money_of(FEE)};
}

static enum contract_error line(const char *id, const char *from, const char *to,
                                const char *carrier, int64_t capacity_w, bool tie)
{
    const struct network_line action = {.network = fixture_name("net"),
                                        .id = fixture_name(id),
                                        .from = fixture_name(from),
                                        .to = fixture_name(to),
                                        .carrier = fixture_name(carrier),
                                        .capacity = power_of(capacity_w),
                                        .tie = tie};
    return fixture_act(&fixture, "dso", ACTION_NETWORK_LINE, &action);
}

/* trafo - f1 - leaf and trafo - f2, 4 kW each: 1000 Wh in a quarter hour; and heat from f1 to leaf. */
static void open_day(void (*change)(struct market_create *terms))
{
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    assert_error(CONTRACT_OK, line("a", "trafo", "f1", "el", 4000, false));
    assert_error(CONTRACT_OK, line("b", "f1", "leaf", "el", 4000, false));
    assert_error(CONTRACT_OK, line("c", "trafo", "f2", "el", 4000, true));
    coupled_terms(&terms);
    if (change != NULL) {
        change(&terms);
    }
    grid_market(&fixture, "cpl", &terms);
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

/* The n-th auction after genesis; the gate of number 0 is closed already. */
static struct timestamp auction_start(int n)
{
    return timestamp_of(FIXTURE_TIME_MS + (int64_t)n * INTERVALS * UNIT_MS);
}

/* To the first block at the gate, and through its end. */
static void pass_gate(int n)
{
    int64_t gate = timestamp_ms(auction_start(n)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    market_audit(&fixture, false);
    end_block();
}

static struct coupled_record auction(int n)
{
    struct coupled_record record;
    struct name market = fixture_name("cpl");
    struct state_key key =
        state_key_coupled(STATE_COUPLED, &market, auction_start(n), DIRECTION_UP);
    assert_true(ledger_read(fixture.view, &key, &coupled_record_codec, &record));
    return record;
}

/* --- portfolios ----------------------------------------------------------------------------- */

static struct portfolio_place portfolio_of(int n)
{
    return (struct portfolio_place){
        .market = fixture_name("cpl"), .direction = DIRECTION_UP, .start = auction_start(n)};
}

static struct portfolio_bid *add_sell(struct portfolio_place *action, const char *owner,
                                      uint16_t interval, int64_t quantity, int64_t price)
{
    char device[NAME_SIZE + 4];
    snprintf(device, sizeof device, "at-%s", owner);
    struct portfolio_bid *bid = &action->bids[action->bid_count++];
    *bid = (struct portfolio_bid){.side = SIDE_SELL,
                                  .interval = interval,
                                  .quantity = energy_of(quantity),
                                  .price = energy_price_of(price),
                                  .carrier = fixture_name("el"),
                                  .device = fixture_name(device)};
    return bid;
}

static struct portfolio_bid *add_buy(struct portfolio_place *action, const char *node,
                                     uint16_t interval, int64_t quantity, int64_t price)
{
    struct portfolio_bid *bid = &action->bids[action->bid_count++];
    *bid = (struct portfolio_bid){.side = SIDE_BUY,
                                  .interval = interval,
                                  .quantity = energy_of(quantity),
                                  .price = energy_price_of(price),
                                  .carrier = fixture_name("el"),
                                  .node = fixture_name(node)};
    return bid;
}

static struct portfolio_link *add_link(struct portfolio_place *action, uint8_t type, uint8_t a,
                                       uint8_t b)
{
    struct portfolio_link *link = &action->links[action->link_count++];
    *link = (struct portfolio_link){.type = type, .member_count = 2};
    link->members[0].bid = a;
    link->members[1].bid = b;
    return link;
}

static enum contract_error place(const char *who, const struct portfolio_place *action)
{
    return fixture_act(&fixture, who, ACTION_PORTFOLIO_PLACE, action);
}

/* --- problems and solutions ----------------------------------------------------------------- */

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    (void)context;
    return ledger_read(fixture.view, key, &coupled_page_record_codec, page);
}

static struct bytes_view pages(int n, enum coupled_page_of what, size_t size)
{
    struct name market = fixture_name("cpl");
    assert_true(size <= sizeof page_bytes);
    assert_true(coupled_pages_read(page_bytes, size, &market, auction_start(n), DIRECTION_UP, what,
                                   read_page, NULL));
    return bytes_view_of(page_bytes, size);
}

static void read_problem(int n, struct coupled_auction_problem *out)
{
    struct coupled_record record = auction(n);
    struct hash digest;
    struct clear_arena arena = {arena_bytes[0], ARENA, 0};
    struct bytes_view bytes = pages(n, COUPLED_PAGE_PROBLEM, record.problem_bytes);
    coupled_problem_digest(&digest, bytes);
    assert_true(hash_equal(&digest, &record.problem));
    assert_true(coupled_problem_decode(out, bytes, &arena));
}

static enum contract_error propose_bytes(const char *who, int n, struct bytes_view bytes)
{
    const struct solution_propose action = {.market = fixture_name("cpl"),
                                            .direction = DIRECTION_UP,
                                            .start = auction_start(n),
                                            .problem = auction(n).problem,
                                            .solution = bytes};
    return fixture_act(&fixture, who, ACTION_SOLUTION_PROPOSE, &action);
}

static struct event_solution judged(void)
{
    struct event_solution event;
    struct bytes_view record;
    size_t cursor = 0;
    uint8_t type;
    while (event_next(fixture.receipt.events, &cursor, &type, &record)) {
        if (type == EVENT_SOLUTION) {
            assert_true(codec_decode_all(event_codec(type), &event, record));
            return event;
        }
    }
    fail_msg("nothing was judged");
    return event;
}

static struct event_solution propose(const char *who, int n,
                                     const struct coupled_auction_problem *problem,
                                     const struct coupled_draft *draft)
{
    struct byte_writer writer;
    const struct coupled_solution solution = coupled_draft_view(draft);
    byte_writer_init(&writer, solution_bytes, sizeof solution_bytes);
    coupled_solution_encode(&writer, &problem->problem, &solution);
    assert_false(writer.failed);
    assert_error(CONTRACT_OK, propose_bytes(who, n, bytes_view_of(writer.data, writer.size)));
    return judged();
}

static void rest(struct coupled_draft *out, const struct coupled_auction_problem *problem)
{
    struct clear_arena arena = {arena_bytes[1], ARENA, 0};
    coupled_draft_take(out, &problem->problem, &arena);
}

/* --- a whole auction ------------------------------------------------------------------------ */

/* alice's and agg2's bids at leaf, the dso's request at f2. The floor takes the cheaper first, and leaves
 * out what and links; the optimum has it. */
static void test_worked_example(void **state)
{
    (void)state;
    open_day(NULL);
    struct portfolio_place asks = portfolio_of(1);
    add_buy(&asks, "f2", 0, 600, 300000);
    add_buy(&asks, "f2", 1, 600, 300000);
    struct portfolio_place both = portfolio_of(1);
    add_sell(&both, "alice", 0, 500, 100000);
    add_sell(&both, "alice", 1, 500, 100000);
    add_link(&both, LINK_AND, 0, 1);
    struct portfolio_place dear = portfolio_of(1);
    add_sell(&dear, "bob", 0, 400, 200000);
    add_sell(&dear, "bob", 1, 400, 200000);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &both));
    assert_error(CONTRACT_OK, place("bob", &dear));
    assert_int_equal(auction(1).bids, 6);
    assert_int_equal(auction(1).links, 1);
    end_block();
    pass_gate(1);

    struct coupled_record record = auction(1);
    assert_int_equal(record.state, COUPLED_SOLVING);
    assert_int_equal(record.closes_height, record.fixed_height + WINDOW);
    assert_true(name_is_empty(&record.best.proposer));
    /* 400 Wh of bob's in each interval, worth 100,000 ueur/kWh more than they cost. */
    assert_int_equal(money_ueur(record.best.welfare), 2 * 400 * 100000 / 1000);
    assert_int_equal(money_ueur(record.floor_welfare), 80000);

    struct coupled_auction_problem problem;
    struct coupled_draft draft;
    read_problem(1, &problem);
    assert_int_equal(problem.problem.bid_count, 6);
    rest(&draft, &problem);
    for (uint32_t i = 0; i < 6; i++) {
        const struct coupled_bid *bid = &problem.problem.bids[i];
        draft.accepted[i] = bid->buy ? 600 : bid->price == 100000 ? 500 : 100;
    }
    for (uint32_t i = 0; i < 6; i++) {
        /* leaf to f1, f1 to trafo, trafo to f2; lines stand in the order of their names. */
        const int64_t flows[3] = {-600, -500, 600};
        draft.flow[i] = flows[i % 3];
    }
    for (uint32_t i = 0; i < 2 * problem.problem.place_count; i++) {
        draft.node[i] = 200000;
    }
    struct event_solution event = propose("agg", 1, &problem, &draft);
    assert_int_equal(event.verdict, SOLUTION_BEST);
    assert_int_equal(money_ueur(event.welfare), 2 * (500 * 200 + 100 * 100));
    assert_int_equal(money_ueur(event.bound), money_ueur(event.welfare));
    end_block();
    end_block();
    assert_int_equal(auction(1).state, COUPLED_SOLVING);
    end_block();
    record = auction(1);
    assert_int_equal(record.state, COUPLED_CLEARED);
    assert_int_equal(name_compare(&record.best.proposer, &(struct name){"agg"}), 0);
    assert_int_equal(record.best.gap_neur, 0);
    assert_int_equal(record.deals, 4);
    assert_int_equal(money_ueur(record.bought), 2 * 600 * 200);
    assert_int_equal(money_ueur(record.sold), 2 * 600 * 200);
    assert_int_equal(money_ueur(record.surplus), 0);
    close_day();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests_name("coupled_market", tests, NULL, NULL);
}
