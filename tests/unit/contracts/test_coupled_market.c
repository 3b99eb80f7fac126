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
#include "contracts/market.h"
#include "tests/lib/contracts/coupled_model.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/grid_fixture.h"

enum { INTERVALS = 2, WINDOW = 3, FEE = 700, UNIT_MS = 900000, ARENA = 16 * 1024 * 1024 };

static struct fixture fixture;
static const char *const nodes[] = {"f1", "f2", "leaf", "trafo"};
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
    fixture_fund(&fixture, "tso", 1000000);
    fixture_fund(&fixture, "regulator", 1000000);
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
    struct event_solution event = {0};
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

/* --- refusals ------------------------------------------------------------------------------- */

static void test_terms(void **state)
{
    (void)state;
    struct market_create terms;
#define ROW(expected, change)                                                                      \
    coupled_terms(&terms);                                                                         \
    change;                                                                                        \
    assert_error(expected, market_terms_check(&terms))
    ROW(CONTRACT_OK, (void)0);
    ROW(CONTRACT_OK, terms.coupling.window = 0; terms.coupling.fee = money_of(0));
    ROW(CONTRACT_OK, terms.coupling.forecast = 47; terms.coupling.later = LATER_RETURNED);
    ROW(CONTRACT_OK, terms.coupling.zones = ZONES_SEPARATE);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.intervals = 0);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.intervals = 97);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.window = 1001);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.fee = money_of(-1));
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.forecast = 48);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.coupling.later = LATER_RETURNED);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.directions = DIRECTIONS_BOTH);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.limits.quantity_step = energy_of(2);
        terms.limits.quantity_min = energy_of(2));
    ROW(CONTRACT_BAD_TERM_RESERVE, terms.clearing.reserve_account = (struct name){{0}});
    ROW(CONTRACT_BAD_TERM_RESERVE, terms.clearing.reserve = money_of(1));
    ROW(CONTRACT_BAD_TERM_NETWORK, terms.network = (struct name){{0}});
    ROW(CONTRACT_BAD_TERM_MECHANISM, terms.product = PRODUCT_RESERVATION);
    ROW(CONTRACT_BAD_TERM_GATE, terms.times.gate_closure = duration_of(0));
    ROW(CONTRACT_BAD_TERM_RESERVE, terms.clearing.mechanism = MECHANISM_BOOK_BATCH);
    ROW(CONTRACT_BAD_TERM_COUPLING, terms.clearing.mechanism = MECHANISM_BOOK_BATCH;
        terms.clearing.reserve_account = (struct name){{0}});
#undef ROW
}

static enum contract_error row(const char *who, const char *id, uint8_t op, int64_t rhs,
                               const char *a, const char *b, int64_t value)
{
    struct network_row action = {.network = fixture_name("net"),
                                 .id = fixture_name(id),
                                 .carrier = fixture_name("el"),
                                 .op = op,
                                 .rhs = rhs};
    const char *const named[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (named[i] != NULL) {
            action.coefs[action.coef_count++] = (struct row_coef){fixture_name(named[i]), value};
        }
    }
    return fixture_act(&fixture, who, ACTION_NETWORK_ROW, &action);
}

static void test_lines_and_rows(void **state)
{
    (void)state;
    open_day(NULL);
    assert_error(CONTRACT_OK, line("a", "trafo", "f1", "el", 0, false));
    assert_error(CONTRACT_EXISTS_ALREADY, line("a", "trafo", "f2", "el", 1, false));
    assert_error(CONTRACT_EXISTS_ALREADY, line("a", "trafo", "f1", "heat", 1, false));
    assert_error(CONTRACT_UNKNOWN_NODE, line("x", "trafo", "nowhere", "el", 1, false));
    assert_error(CONTRACT_BAD_PARAMETER, line("x", "trafo", "trafo", "el", 1, false));
    assert_error(CONTRACT_OUT_OF_RANGE, line("x", "trafo", "f2", "el", -1, false));
    assert_error(CONTRACT_OUT_OF_RANGE, line("x", "trafo", "f2", "el", limit_capacity_w + 1, 0));
    assert_error(CONTRACT_NOT_PERMITTED, row("tso", "r", ROW_AT_MOST, 0, "f1", "f2", 1));
    assert_error(CONTRACT_OK, row("dso", "r", ROW_AT_MOST, 0, "f1", "f2", -3));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_AT_MOST, -1, "f1", "f2", 1));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_AT_LEAST, 1, "f1", "f2", 1));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_EQUAL, 1, "f1", "f2", 1));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_EQUAL, 0, "f2", "f1", 1));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_EQUAL, 0, "f1", "f1", 1));
    assert_error(CONTRACT_BAD_PARAMETER, row("dso", "r", ROW_EQUAL, 0, "f1", "f2", 0));
    assert_error(CONTRACT_UNKNOWN_NODE, row("dso", "r", ROW_EQUAL, 0, "f1", "nowhere", 1));
    assert_error(CONTRACT_OUT_OF_RANGE,
                 row("dso", "r", ROW_EQUAL, 0, "f1", "f2", limit_row_coef + 1));
    assert_error(CONTRACT_OK, row("dso", "r", ROW_AT_MOST, 0, NULL, NULL, 1));
    assert_error(CONTRACT_NOTHING_TO_CHANGE, row("dso", "r", ROW_AT_MOST, 0, NULL, NULL, 1));
    /* Eight carriers, electricity among them. */
    for (char id[] = "c1"; id[1] <= '7'; id[1]++) {
        assert_error(CONTRACT_OK, line(id, "trafo", "f1", id, 1, false));
    }
    assert_error(CONTRACT_NETWORK_FULL, line("c8", "trafo", "f1", "c8", 1, false));
    close_day();
}

/* The first bid makes the second, which makes the first. */
static void convert_in_a_circle(struct portfolio_place *action)
{
    action->link_count = 0;
    for (uint8_t i = 0; i < 2; i++) {
        struct portfolio_link *link = add_link(action, LINK_CONVERT, i, 1 - i);
        link->num = 1;
        link->den = 1;
    }
}

static void test_refused_portfolios(void **state)
{
    (void)state;
    struct portfolio_place good;
    struct portfolio_place bad;
    open_day(NULL);
    good = portfolio_of(1);
    add_sell(&good, "alice", 0, 500, 100);
    add_sell(&good, "alice", 1, 500, 100);
    add_link(&good, LINK_BLOCK, 0, 1);
#define REFUSED(expected, who, change)                                                             \
    bad = good;                                                                                    \
    change;                                                                                        \
    assert_error(expected, place(who, &bad))
    REFUSED(CONTRACT_UNKNOWN_MARKET, "alice", bad.market = fixture_name("none"));
    REFUSED(CONTRACT_UNSUPPORTED_ORDER, "alice", bad.market = fixture_name("flex"));
    REFUSED(CONTRACT_BAD_PERIOD, "alice",
            bad.start = timestamp_of(timestamp_ms(good.start) + UNIT_MS));
    REFUSED(CONTRACT_BAD_PERIOD, "alice", bad.bids[1].interval = INTERVALS);
    REFUSED(CONTRACT_BAD_PARAMETER, "alice", bad.bid_count = 0; bad.link_count = 0);
    REFUSED(CONTRACT_WRONG_DIRECTION, "alice", bad.direction = DIRECTION_DOWN);
    REFUSED(CONTRACT_GATE_CLOSED, "alice", bad.start = auction_start(0));
    REFUSED(CONTRACT_AMOUNT_NOT_POSITIVE, "alice", bad.bids[0].quantity = energy_of(0));
    REFUSED(CONTRACT_OUT_OF_RANGE, "alice", bad.bids[0].quantity = energy_of(4001));
    REFUSED(CONTRACT_OUT_OF_RANGE, "alice", bad.bids[0].min_quantity = energy_of(501));
    REFUSED(CONTRACT_BAD_PARAMETER, "alice", bad.bids[0].node = fixture_name("f1"));
    REFUSED(CONTRACT_UNKNOWN_CARRIER, "alice", bad.bids[0].carrier = fixture_name("steam"));
    REFUSED(CONTRACT_UNSUPPORTED_ORDER, "alice", bad.bids[0].rank = 1);
    REFUSED(CONTRACT_NOT_YOURS_TO_OFFER, "bob", (void)0);
    REFUSED(CONTRACT_OVER_DEVICE_POWER, "alice", bad.bids[0].quantity = energy_of(2501));
    REFUSED(CONTRACT_BOTH_SIDES, "alice", bad.bids[1].side = SIDE_BUY; bad.bids[1].interval = 0);
    REFUSED(CONTRACT_NOT_PERMITTED, "alice", bad.bids[1].side = SIDE_BUY;
            bad.bids[1].device = (struct name){{0}});
    REFUSED(CONTRACT_UNKNOWN_NODE, "dso", bad.bids[0] = *add_buy(&bad, "nowhere", 0, 1, 1);
            bad.bids[0].side = SIDE_BUY);
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].members[1].bid = 2);
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].members[1].bid = 0);
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].op = ROW_EQUAL);
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].num = 1);
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].type = LINK_SUM;
            bad.links[0].op = ROW_AT_LEAST; bad.links[0].quantity = energy_of(1));
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].type = LINK_SUM;
            bad.links[0].quantity = energy_of(-1));
    REFUSED(CONTRACT_BAD_LINK, "alice", bad.links[0].type = LINK_CONVERT; bad.links[0].num = 1);
    REFUSED(CONTRACT_BAD_LINK, "alice", convert_in_a_circle(&bad));
#undef REFUSED
    assert_error(CONTRACT_OK, place("alice", &good));
    /* One taken back takes back all; nothing is left of the auction. */
    uint64_t last = market_counters(&fixture).orders;
    struct order_replace replace = {
        .order = last, .quantity = energy_of(400), .price = energy_price_of(100)};
    assert_error(CONTRACT_UNSUPPORTED_ORDER,
                 fixture_act(&fixture, "alice", ACTION_ORDER_REPLACE, &replace));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", last));
    assert_int_equal(market_order(&fixture, last - 1).status, ORDER_CANCELLED);
    struct name market = fixture_name("cpl");
    struct state_key key =
        state_key_coupled(STATE_COUPLED, &market, auction_start(1), DIRECTION_UP);
    struct coupled_record record;
    assert_false(ledger_read(fixture.view, &key, &coupled_record_codec, &record));
    close_day();
}

/* --- solutions ------------------------------------------------------------------------------ */

static void test_strikes(void **state)
{
    (void)state;
    open_day(NULL);
    struct portfolio_place asks = portfolio_of(1);
    struct portfolio_place offers = portfolio_of(1);
    add_buy(&asks, "f2", 0, 600, 300000);
    add_sell(&offers, "alice", 0, 500, 100000);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &offers));
    const uint8_t nonsense[] = {0x80, 0x00};
    struct bytes_view bytes = bytes_view_of(nonsense, sizeof nonsense);
    assert_error(CONTRACT_NOT_SOLVING, propose_bytes("agg", 1, bytes));
    pass_gate(1);
    struct solution_propose other = {
        .market = fixture_name("cpl"), .direction = DIRECTION_UP, .start = auction_start(1)};
    assert_error(CONTRACT_OTHER_PROBLEM,
                 fixture_act(&fixture, "agg", ACTION_SOLUTION_PROPOSE, &other));
    other.start = auction_start(2);
    assert_error(CONTRACT_UNKNOWN_AUCTION,
                 fixture_act(&fixture, "agg", ACTION_SOLUTION_PROPOSE, &other));

    const struct coupled_record before = auction(1);
    int64_t balance = fixture_balance(&fixture, "agg");
    struct coupled_auction_problem problem;
    struct coupled_draft draft;
    read_problem(1, &problem);
    rest(&draft, &problem);
    draft.accepted[0] = 1; /* nothing balances it */
    struct event_solution event = propose("agg", 1, &problem, &draft);
    assert_int_equal(event.verdict, SOLUTION_BROKEN);
    assert_int_equal(event.rule, COUPLED_BROKEN_BALANCE);
    assert_error(CONTRACT_OK, propose_bytes("agg", 1, bytes));
    assert_int_equal(judged().verdict, SOLUTION_UNREADABLE);
    /* Taking nothing is no strike, but not the best either. */
    rest(&draft, &problem);
    event = propose("agg", 1, &problem, &draft);
    assert_int_equal(event.verdict, SOLUTION_NOT_BETTER);
    draft.den = 0;
    event = propose("agg", 1, &problem, &draft);
    assert_int_equal(event.rule, COUPLED_BROKEN_DENOMINATOR);
    assert_error(CONTRACT_TOO_MANY_STRIKES, propose_bytes("agg", 1, bytes));
    assert_int_equal(fixture_balance(&fixture, "agg"),
                     balance - 4 * FEE - 5 * (FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION));
    /* Strikes are their sender's, and the auction is what it was. */
    assert_error(CONTRACT_OK, propose_bytes("agg2", 1, bytes));
    struct coupled_record after = auction(1);
    assert_int_equal(after.solutions, 5);
    assert_int_equal(after.wrong, 4);
    assert_memory_equal(&after.best.solution, &before.best.solution, sizeof after.best.solution);
    /* Strikes are forgotten with the window. */
    const struct name market = fixture_name("cpl");
    const struct name sender = fixture_name("agg");
    struct coupled_solver_record record;
    struct state_key key =
        state_key_coupled(STATE_COUPLED_SOLVER, &market, auction_start(1), DIRECTION_UP);
    memcpy(key.bytes + key.size, sender.text, NAME_SIZE);
    key.size += NAME_SIZE;
    assert_true(ledger_read(fixture.view, &key, &coupled_solver_record_codec, &record));
    assert_int_equal(record.strikes, 3);
    for (int i = 0; i <= WINDOW; i++) {
        end_block();
    }
    assert_int_equal(auction(1).state, COUPLED_CLEARED);
    assert_false(ledger_read(fixture.view, &key, &coupled_solver_record_codec, &record));
    close_day();
}

/* Of equally good solutions the one with the lower bound wins, whoever is first; a copy never does. */
static void test_ties(void **state)
{
    (void)state;
    open_day(NULL);
    struct portfolio_place asks = portfolio_of(1);
    struct portfolio_place offers = portfolio_of(1);
    add_buy(&asks, "leaf", 0, 100, 300000);
    add_sell(&offers, "alice", 0, 100, 100000);
    add_sell(&offers, "alice", 1, 100, 100000);
    add_link(&offers, LINK_OR, 0, 1); /* the floor never gets it */
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &offers));
    struct portfolio_place plain = portfolio_of(1);
    add_sell(&plain, "agg2", 0, 100, 100000);
    assert_error(CONTRACT_OK, place("agg2", &plain));
    pass_gate(1);
    struct coupled_auction_problem problem;
    struct coupled_draft draft;
    read_problem(1, &problem);
    rest(&draft, &problem);
    for (uint32_t i = 0; i < problem.problem.bid_count; i++) {
        bool theirs = problem.orders[i] == market_counters(&fixture).orders;
        draft.accepted[i] = problem.problem.bids[i].buy || theirs ? 100 : 0;
    }
    /* The floor's price is in the middle, where alice's other bid would gain: its bound is not tight. */
    assert_true(auction(1).best.gap_neur > 0);
    const struct {
        int64_t price;
        const char *who;
        uint8_t verdict;
    } rows[] = {
        {400000, "agg", SOLUTION_NOT_BETTER}, /* over what anybody pays */
        {150000, "agg", SOLUTION_BEST},       {150000, "agg2", SOLUTION_NOT_BETTER}, /* a copy */
        {100000, "agg2", SOLUTION_BEST},      {150000, "agg", SOLUTION_NOT_BETTER},
    };
    for (size_t at = 0; at < sizeof rows / sizeof rows[0]; at++) {
        for (uint32_t i = 0; i < problem.problem.place_count; i++) {
            draft.node[i] = rows[at].price;
        }
        assert_int_equal(propose(rows[at].who, 1, &problem, &draft).verdict, rows[at].verdict);
    }
    assert_int_equal(auction(1).best.gap_neur, 0);
    close_day();
}

/* Same welfare, same bound: the lower hash wins, in whichever order they come. */
static void test_hashes(void **state)
{
    (void)state;
    struct hash winner[2];
    for (int turn = 0; turn < 2; turn++) {
        open_day(NULL);
        struct portfolio_place asks = portfolio_of(1);
        struct portfolio_place offers = portfolio_of(1);
        add_buy(&asks, "leaf", 0, 100, 300000);
        add_sell(&offers, "alice", 0, 100, 100000);
        assert_error(CONTRACT_OK, place("dso", &asks));
        assert_error(CONTRACT_OK, place("alice", &offers));
        pass_gate(1);
        struct coupled_auction_problem problem;
        struct coupled_draft draft;
        read_problem(1, &problem);
        struct hash lowest = auction(1).best.solution;
        for (int at = 0; at < 8; at++) {
            rest(&draft, &problem);
            draft.accepted[0] = 100;
            draft.accepted[1] = 100;
            for (uint32_t i = 0; i < problem.problem.place_count * INTERVALS; i++) {
                draft.node[i] = 110000 + 10000 * (turn == 0 ? at : 7 - at);
            }
            struct event_solution event = propose("agg", 1, &problem, &draft);
            bool lower = hash_compare(&event.solution, &lowest) < 0;
            assert_int_equal(event.verdict, lower ? SOLUTION_BEST : SOLUTION_NOT_BETTER);
            lowest = lower ? event.solution : lowest;
        }
        winner[turn] = auction(1).best.solution;
        close_day();
    }
    assert_true(hash_equal(&winner[0], &winner[1]));
}

/* --- what ends otherwise -------------------------------------------------------------------- */

static void no_window(struct market_create *terms)
{
    terms->coupling.window = 0;
    terms->coupling.fee = money_of(0);
}

static size_t slot_events(bool forecast, int64_t *quantity)
{
    struct bytes_view record;
    size_t cursor = 0;
    size_t count = 0;
    uint8_t type;
    *quantity = 0;
    while (event_next(fixture.end_receipt.events, &cursor, &type, &record)) {
        struct event_coupled_slot event;
        if (type == EVENT_COUPLED_SLOT) {
            assert_true(codec_decode_all(event_codec(type), &event, record));
            count += event.forecast == forecast;
            *quantity += event.forecast == forecast ? energy_wh(event.quantity) : 0;
        }
    }
    return count;
}

static void test_void(void **state)
{
    (void)state;
    open_day(NULL);
    struct portfolio_place asks = portfolio_of(1);
    struct portfolio_place later = portfolio_of(2);
    add_buy(&asks, "f2", 0, 600, 300000);
    add_buy(&later, "f2", 0, 600, 300000);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("dso", &later));
    struct market_set_state suspend = {.id = fixture_name("cpl"), .state = MARKET_SUSPENDED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &suspend));
    pass_gate(1);
    assert_int_equal(auction(1).state, COUPLED_VOID);
    assert_int_equal(auction(1).reason, COUPLED_REASON_MARKET);
    suspend.state = MARKET_OPEN;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &suspend));
    /* The chain stands still until delivery has begun. */
    fixture_next_block(&fixture, 3 * INTERVALS * UNIT_MS);
    end_block();
    assert_int_equal(auction(2).state, COUPLED_VOID);
    assert_int_equal(auction(2).reason, COUPLED_REASON_LATE);
    end_block();
    assert_int_equal(market_order(&fixture, 1).status, ORDER_EXPIRED);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_EXPIRED);
    assert_int_equal(fixture_pots_of(&fixture, POT_ORDER_ESCROW) == 0, 1);
    close_day();
}

static void with_forecast(struct market_create *terms)
{
    no_window(terms);
    terms->coupling.forecast = 2;
}

static void with_returns(struct market_create *terms)
{
    with_forecast(terms);
    terms->coupling.later = LATER_RETURNED;
}

static void run_forecast(bool returned)
{
    int64_t sold;
    open_day(returned ? with_returns : with_forecast);
    for (int n = 1; n <= 4; n++) {
        struct portfolio_place asks = portfolio_of(n);
        struct portfolio_place offers = portfolio_of(n);
        add_buy(&asks, "f2", 0, 100 * n, 300000);
        add_sell(&offers, "alice", 0, 100 * n, 100000);
        assert_error(CONTRACT_OK, place("dso", &asks));
        assert_error(CONTRACT_OK, place("alice", &offers));
    }
    pass_gate(1);
    assert_int_equal(auction(1).state, COUPLED_CLEARED);
    assert_int_equal(slot_events(false, &sold), INTERVALS);
    assert_int_equal(sold, 100);
    /* The next two auctions, and not the one after them. */
    assert_int_equal(slot_events(true, &sold), 2 * INTERVALS);
    assert_int_equal(sold, 200 + 300);
    assert_int_equal(market_counters(&fixture).deals, 1);
    for (uint64_t id = 3; id <= 6; id++) {
        assert_int_equal(market_order(&fixture, id).status, returned ? ORDER_EXPIRED : ORDER_OPEN);
    }
    assert_int_equal(market_order(&fixture, 8).status, ORDER_OPEN);
    if (!returned) {
        pass_gate(2);
        assert_int_equal(auction(2).state, COUPLED_CLEARED);
        assert_int_equal(energy_wh(auction(2).best.quantity), 200 + 300 + 400);
        assert_int_equal(energy_wh(market_deal(&fixture, 2).contracted), 200);
        assert_int_equal(market_counters(&fixture).deals, 2);
    }
    close_day();
}

static void test_forecasts(void **state)
{
    (void)state;
    run_forecast(false);
    run_forecast(true);
}

static enum contract_error approve(const char *sender)
{
    const struct governance_vote action = {.proposal = 1, .approve = 1};
    return fixture_act(&fixture, sender, ACTION_GOVERNANCE_VOTE, &action);
}

/* Terms that come into force inside a window are for what is fixed after it: bids can't leave any more. */
static void test_terms_of_the_gate(void **state)
{
    (void)state;
    open_day(NULL);
    fixture_fund(&fixture, "agg", 1000000);
    struct portfolio_place asks = portfolio_of(1);
    struct portfolio_place offers = portfolio_of(1);
    add_buy(&asks, "f2", 0, 100, 300000);
    add_sell(&offers, "alice", 0, 100, 100000);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &offers));
    pass_gate(1);
    const struct coupled_record fixed = auction(1);
    assert_int_equal(fixed.state, COUPLED_SOLVING);

    struct market_update update;
    coupled_terms(&update.terms);
    update.terms.id = fixture_name("cpl");
    update.terms.delivery.floor_permille = 750;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_UPDATE, &update));
    struct governance_propose proposal = {.kind = PROPOSAL_SET_MARKET,
                                          .market = fixture_name("cpl"),
                                          .height = fixture.context.height + 1};
    struct state_key key = state_key_name(STATE_DRAFT, &proposal.market);
    struct draft_record draft;
    assert_true(ledger_read(fixture.view, &key, &draft_record_codec, &draft));
    market_draft_hash(&proposal.draft, &draft);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_GOVERNANCE_PROPOSE, &proposal));
    assert_error(CONTRACT_OK, approve("agg"));
    assert_error(CONTRACT_OK, approve("agg2"));
    for (int i = 0; i < WINDOW; i++) {
        end_block();
    }
    struct market_record market;
    key = state_key_name(STATE_MARKET, &proposal.market);
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    assert_int_equal(market.version, fixed.version + 1);
    assert_int_equal(auction(1).state, COUPLED_CLEARED);
    assert_int_equal(auction(1).version, fixed.version);
    assert_int_equal(market_deal(&fixture, 1).version, fixed.version);
    close_day();
}

/* A line full at 100 Wh parts prices: 300,000 at f2, 100,000 behind it. What lies between is the
 * network's, and waits for the delivery; nobody proves it, so the buyer has it back. */
static void test_surplus(void **state)
{
    (void)state;
    open_day(no_window);
    assert_error(CONTRACT_OK, line("c", "trafo", "f2", "el", 400, true));
    struct portfolio_place asks = portfolio_of(1);
    struct portfolio_place offers = portfolio_of(1);
    add_buy(&asks, "f2", 0, 600, 300000);
    add_sell(&offers, "alice", 0, 500, 100000);
    assert_error(CONTRACT_OK, place("dso", &asks));
    assert_error(CONTRACT_OK, place("alice", &offers));
    pass_gate(1);
    end_block();
    struct coupled_record record = auction(1);
    assert_int_equal(energy_wh(record.best.quantity), 100);
    assert_int_equal(record.best.gap_neur, 0);
    struct deal_record deal = market_deal(&fixture, 1);
    assert_int_equal(money_ueur(record.bought) - money_ueur(record.sold), 20000);
    assert_int_equal(money_ueur(deal.escrow), money_ueur(record.bought));
    assert_int_equal(money_ueur(deal.payment), money_ueur(record.sold));
    fixture_next_block(&fixture, MARKET_PROOF_MS + 4 * INTERVALS * UNIT_MS);
    end_block();
    deal = market_deal(&fixture, 1);
    assert_int_equal(deal.state, DEAL_REFUNDED);
    assert_int_equal(money_ueur(deal.refunded), money_ueur(record.bought));
    close_day();
}

/* A heat pump makes 3 Wh of heat of 1 Wh of electricity, which it buys dearer than its own limit, since heat
 * is dear: it pays the limit, and gets that much less for the heat. */
static void test_conversion(void **state)
{
    (void)state;
    open_day(NULL);
    assert_error(CONTRACT_OK, line("h", "f1", "leaf", "heat", 4000, false));
    struct portfolio_place heat = portfolio_of(1);
    add_buy(&heat, "f1", 0, 300, 200000)->carrier = fixture_name("heat");
    struct portfolio_place pump = portfolio_of(1);
    struct portfolio_bid *in = add_sell(&pump, "bob", 0, 100, 50000);
    in->side = SIDE_BUY;
    add_sell(&pump, "bob", 0, 300, 20000)->carrier = fixture_name("heat");
    struct portfolio_link *link = add_link(&pump, LINK_CONVERT, 0, 1);
    link->num = 3;
    link->den = 1;
    struct portfolio_place power = portfolio_of(1);
    add_sell(&power, "alice", 0, 100, 100000);
    assert_error(CONTRACT_OK, place("dso", &heat));
    assert_error(CONTRACT_OK, place("bob", &pump));
    assert_error(CONTRACT_OK, place("alice", &power));
    pass_gate(1);
    struct coupled_auction_problem problem;
    struct coupled_draft draft;
    read_problem(1, &problem);
    rest(&draft, &problem);
    for (uint32_t i = 0; i < problem.problem.bid_count; i++) {
        draft.accepted[i] = problem.problem.bids[i].quantity;
    }
    draft.flow[1] = -100; /* leaf to f1 */
    for (uint32_t i = 0; i < problem.problem.place_count; i++) {
        draft.node[i] = i < problem.node_count ? 100000 : 200000;
    }
    struct event_solution event = propose("agg", 1, &problem, &draft);
    assert_int_equal(event.verdict, SOLUTION_BEST);
    assert_int_equal(money_ueur(event.welfare), 49000);
    for (int i = 0; i < WINDOW + 1; i++) {
        end_block();
    }
    struct coupled_record record = auction(1);
    assert_int_equal(record.state, COUPLED_CLEARED);
    assert_int_equal(money_ueur(record.bought), 65000);
    assert_int_equal(money_ueur(record.sold), 65000);
    for (uint64_t id = 1; id <= 2; id++) {
        struct deal_record deal = market_deal(&fixture, id);
        bool power_deal = name_compare(&deal.seller, &(struct name){"alice"}) == 0;
        assert_int_equal(money_ueur(deal.payment), power_deal ? 10000 : 55000);
        assert_int_equal(money_ueur(deal.added), power_deal ? 5000 : 0);
    }
    close_day();
}

/* As many bids as an auction takes: it is fixed in one block and cleared in one, and a proposal of that size
 * fits its transaction. One more bid finds no room. */
static void test_full(void **state)
{
    (void)state;
    enum { EACH = LIMIT_PORTFOLIO_BIDS, TURNS = COUPLED_AUCTION_BIDS_MAX / EACH / 2 };
    static const char *const sellers[] = {"alice", "bob", "carol", "agg"};
    static struct portfolio_place action;
    open_day(NULL);
    for (int turn = 0; turn < TURNS; turn++) {
        action = portfolio_of(1);
        for (int i = 0; i < EACH; i++) {
            add_buy(&action, nodes[i % 4], (uint16_t)(i % INTERVALS), 1 + i % 3, 2000 + 7 * i);
        }
        assert_error(CONTRACT_OK, place("dso", &action));
        action = portfolio_of(1);
        for (int i = 0; i < EACH; i++) {
            add_sell(&action, sellers[turn % 4], (uint16_t)(i % INTERVALS), 1 + i % 3,
                     2000 + 5 * i);
        }
        assert_error(CONTRACT_OK, place(sellers[turn % 4], &action));
    }
    action = portfolio_of(1);
    add_buy(&action, "f1", 0, 1, 1);
    assert_error(CONTRACT_BOOK_FULL, place("dso", &action));
    int64_t gate = timestamp_ms(auction_start(1)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    struct coupled_record record = auction(1);
    assert_int_equal(record.state, COUPLED_SOLVING);
    assert_int_equal(record.bids, COUPLED_AUCTION_BIDS_MAX);
    assert_int_equal(record.best.gap_neur, 0);
    assert_true(record.best.bytes <= LIMIT_SOLUTION_BYTES);
    static uint8_t copy[LIMIT_SOLUTION_BYTES];
    struct bytes_view bytes = pages(1, COUPLED_PAGE_SOLUTION, record.best.bytes);
    memcpy(copy, bytes.data, bytes.size);
    assert_error(CONTRACT_OK, propose_bytes("agg2", 1, bytes_view_of(copy, bytes.size)));
    assert_int_equal(judged().verdict, SOLUTION_NOT_BETTER);
    for (int i = 0; i < WINDOW; i++) {
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
    record = auction(1);
    assert_int_equal(record.state, COUPLED_CLEARED);
    assert_true(record.deals > COUPLED_AUCTION_BIDS_MAX / 4);
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

/* --- random auctions against the slow model ------------------------------------------------- */

enum { RANDOM_BIDS = 6 };

struct placed {
    uint64_t order;
    struct portfolio_bid bid;
};

/* A portfolio or two of one or two bids each, at most RANDOM_BIDS in all. */
static uint32_t place_at_random(struct dice *dice, struct placed *placed)
{
    static const char *const sellers[] = {"alice", "bob", "carol", "agg"};
    uint32_t count = 0;
    while (count + 2 <= RANDOM_BIDS) {
        struct portfolio_place action = portfolio_of(1);
        bool buys = count < 2;
        const char *seller = sellers[dice_between(dice, 0, 3)];
        for (int i = 0; i < 2; i++) {
            uint16_t slot = (uint16_t)dice_between(dice, 0, INTERVALS - 1);
            int64_t quantity = dice_between(dice, 1, 3);
            int64_t price = dice_between(dice, 0, 9) * 1000;
            struct portfolio_bid *bid = buys ? add_buy(&action, nodes[dice_between(dice, 0, 3)],
                                                       slot, quantity, price + 3000)
                                             : add_sell(&action, seller, slot, quantity, price);
            bid->indivisible = dice_between(dice, 0, 3) == 0;
            bid->rank = buys ? (uint16_t)dice_between(dice, 0, 1) : 0;
        }
        static const uint8_t types[] = {LINK_AND, LINK_OR, LINK_XOR, LINK_BLOCK, LINK_SUM};
        if (dice_between(dice, 0, 1) == 0) {
            struct portfolio_link *link = add_link(&action, types[dice_between(dice, 0, 4)], 0, 1);
            link->quantity = energy_of(link->type == LINK_SUM ? dice_between(dice, 0, 3) : 0);
        }
        if (place(buys ? "dso" : seller, &action) == CONTRACT_OK) {
            for (uint32_t i = 0; i < 2; i++) {
                placed[count++] =
                    (struct placed){market_counters(&fixture).orders - 1 + i, action.bids[i]};
            }
        }
    }
    return count;
}

/* The problem is what was placed, in that order. */
static void assert_problem(const struct coupled_auction_problem *problem,
                           const struct placed *placed, uint32_t count)
{
    assert_int_equal(problem->problem.bid_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct coupled_bid *bid = &problem->problem.bids[i];
        uint32_t at = 0;
        while (at < count && placed[at].order != problem->orders[i]) {
            at++;
        }
        assert_true(at < count);
        const struct portfolio_bid *asked = &placed[at].bid;
        assert_int_equal(bid->quantity, energy_wh(asked->quantity));
        assert_int_equal(bid->price, energy_price_ueur_per_kwh(asked->price));
        assert_int_equal(bid->buy, asked->side == SIDE_BUY);
        assert_int_equal(bid->slot, asked->interval);
        assert_int_equal(bid->indivisible, asked->indivisible);
        assert_int_equal(bid->order, asked->rank);
        if (bid->buy) {
            assert_int_equal(
                name_compare(&problem->nodes[bid->place % problem->node_count], &asked->node), 0);
        }
    }
}

static bool model_holds(const struct coupled_problem *problem, const struct coupled_draft *draft)
{
    return model_rules_hold(problem, draft->accepted) &&
           model_network_holds(problem, draft->accepted, draft->flow);
}

static int128 best_welfare(const struct coupled_record *record)
{
    return (int128)money_ueur(record->best.welfare) * 1000 + record->best.welfare_neur;
}

/* One proposal near the optimum, judged by the model. */
static void propose_at_random(struct dice *dice, const struct coupled_auction_problem *problem,
                              const int64_t *accepted, const int64_t *flow, bool exact, int turn)
{
    static const char *const senders[] = {"agg", "agg2", "retail", "carol", "tso", "regulator"};
    struct coupled_draft draft;
    rest(&draft, problem);
    memcpy(draft.accepted, accepted, problem->problem.bid_count * sizeof *accepted);
    memcpy(draft.flow, flow,
           (size_t)problem->problem.slot_count * problem->problem.line_count * sizeof *flow);
    for (int i = 0; !exact && i < 2; i++) {
        int64_t *at = &draft.accepted[dice_between(dice, 0, problem->problem.bid_count - 1)];
        *at = dice_between(dice, 0, 1) == 0 ? 0 : *at + 1;
    }
    if (!exact && dice_between(dice, 0, 2) == 0) {
        draft.flow[0] += dice_between(dice, -1, 1);
    }
    for (uint32_t i = 0; i < problem->problem.place_count; i++) {
        draft.node[i] = dice_between(dice, 0, 8) * 1000;
    }
    bool holds = model_holds(&problem->problem, &draft);
    int128 welfare = model_welfare(&problem->problem, draft.accepted);
    const struct coupled_record before = auction(1);
    struct event_solution event = propose(senders[turn], 1, problem, &draft);
    const struct coupled_record after = auction(1);
    assert_int_equal(event.verdict == SOLUTION_BROKEN, !holds);
    assert_int_equal(after.wrong, before.wrong + !holds);
    if (holds && welfare > best_welfare(&before)) {
        assert_int_equal(event.verdict, SOLUTION_BEST);
    }
    if (event.verdict == SOLUTION_BEST) {
        assert_true(best_welfare(&after) == welfare && welfare >= best_welfare(&before));
    } else {
        assert_memory_equal(&before.best, &after.best, sizeof before.best);
    }
}

/* Every order trades what the solution says, no seller gets less than it asked for, and what the dso is
 * out of pocket is what the record says. */
static void assert_deals(const struct coupled_auction_problem *problem,
                         const struct coupled_draft *best, const struct coupled_record *record)
{
    int64_t sold[RANDOM_BIDS] = {0};
    int64_t paid[RANDOM_BIDS] = {0};
    for (uint32_t i = 0; i < record->deals; i++) {
        struct deal_record deal = market_deal(&fixture, record->first_deal + i);
        for (uint32_t at = 0; at < problem->problem.bid_count; at++) {
            bool its =
                problem->orders[at] == deal.buy_order || problem->orders[at] == deal.sell_order;
            sold[at] += its ? energy_wh(deal.contracted) : 0;
            paid[at] += its ? money_ueur(deal.payment) : 0;
        }
    }
    for (uint32_t at = 0; at < problem->problem.bid_count; at++) {
        const struct coupled_bid *bid = &problem->problem.bids[at];
        assert_int_equal(sold[at], best->accepted[at]);
        assert_true(bid->buy || paid[at] >= bid->price * best->accepted[at] / 1000);
    }
}

/* One problem, one encoding: whatever else is accepted is written back byte for byte, and a solution too. */
static void assert_canonical(int n, struct dice *dice)
{
    static uint8_t given[COUPLED_PROBLEM_BYTES_MAX];
    static uint8_t again[COUPLED_PROBLEM_BYTES_MAX];
    const struct coupled_record record = auction(n);
    for (int what = COUPLED_PAGE_PROBLEM; what <= COUPLED_PAGE_SOLUTION; what++) {
        const bool problem = what == COUPLED_PAGE_PROBLEM;
        const size_t size = problem ? record.problem_bytes : record.best.bytes;
        struct coupled_auction_problem right;
        read_problem(n, &right);
        struct bytes_view bytes = pages(n, (enum coupled_page_of)what, size);
        memcpy(given, bytes.data, size);
        for (size_t cut = 0; cut < size; cut++) {
            given[cut] ^= (uint8_t)dice_between(dice, 1, 255);
            for (int shorter = 0; shorter < 2; shorter++) {
                struct clear_arena arena = {arena_bytes[1], ARENA, 0};
                struct coupled_auction_problem other;
                struct coupled_draft draft;
                struct byte_writer writer;
                struct bytes_view view = bytes_view_of(given, shorter == 1 ? cut : size);
                byte_writer_init(&writer, again, sizeof again);
                if (problem ? coupled_problem_decode(&other, view, &arena)
                            : coupled_solution_decode(&draft, &right.problem, view, &arena)) {
                    if (problem) {
                        coupled_problem_encode(&writer, &other);
                    } else {
                        const struct coupled_solution solution = coupled_draft_view(&draft);
                        coupled_solution_encode(&writer, &right.problem, &solution);
                    }
                    assert_int_equal(writer.size, view.size);
                    assert_memory_equal(again, view.data, view.size);
                }
            }
            given[cut] = bytes.data[cut];
        }
    }
}

static void run_random(uint64_t seed)
{
    struct dice dice = {seed};
    struct placed placed[RANDOM_BIDS];
    int64_t accepted[RANDOM_BIDS];
    int64_t flow[INTERVALS * MODEL_LINES];
    struct coupled_auction_problem problem;
    struct coupled_draft draft;
    int128 welfare;
    open_day(NULL);
    for (char id[] = "a"; id[0] <= 'c'; id[0]++) {
        static const char *const ends[3][2] = {{"trafo", "f1"}, {"f1", "leaf"}, {"trafo", "f2"}};
        assert_error(CONTRACT_OK, line(id, ends[id[0] - 'a'][0], ends[id[0] - 'a'][1], "el",
                                       dice_between(&dice, 1, 3) * 4, id[0] == 'c'));
    }
    uint32_t count = place_at_random(&dice, placed);
    int64_t wealth = fixture_balance(&fixture, "dso") + (int64_t)fixture_pots_of(&fixture, 1);
    pass_gate(1);
    read_problem(1, &problem);
    assert_problem(&problem, placed, count);
    if (seed % 16 == 1) {
        assert_canonical(1, &dice);
        read_problem(1, &problem);
    }
    struct coupled_record record = auction(1);
    struct clear_arena arena = {arena_bytes[1], ARENA, 0};
    struct bytes_view bytes = pages(1, COUPLED_PAGE_SOLUTION, record.best.bytes);
    assert_true(coupled_solution_decode(&draft, &problem.problem, bytes, &arena));
    assert_true(model_holds(&problem.problem, &draft));
    assert_true(model_welfare(&problem.problem, draft.accepted) == best_welfare(&record));
    assert_true(model_solve(&problem.problem, &welfare, accepted, flow));
    assert_true(best_welfare(&record) <= welfare);
    for (int turn = 0; turn < 6; turn++) {
        propose_at_random(&dice, &problem, accepted, flow, turn == 5, turn);
    }
    record = auction(1);
    assert_true(best_welfare(&record) == welfare);
    for (int i = 0; i < WINDOW; i++) {
        end_block();
    }
    end_block();
    record = auction(1);
    assert_int_equal(record.state, COUPLED_CLEARED);
    arena.used = 0;
    bytes = pages(1, COUPLED_PAGE_SOLUTION, record.best.bytes);
    assert_true(coupled_solution_decode(&draft, &problem.problem, bytes, &arena));
    assert_deals(&problem, &draft, &record);
    assert_int_equal(fixture_balance(&fixture, "dso"),
                     wealth - money_ueur(record.bought) + money_ueur(record.given));
    close_day();
}

static void test_random(void **state)
{
    (void)state;
    const char *turns = getenv("TURNS");
    const int runs = turns == NULL ? 60 : atoi(turns);
    assert_true(runs > 0);
    for (int run = 1; run <= runs; run++) {
        run_random((uint64_t)run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_lines_and_rows),
        cmocka_unit_test(test_refused_portfolios),
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_strikes),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_void),
        cmocka_unit_test(test_forecasts),
        cmocka_unit_test(test_terms_of_the_gate),
        cmocka_unit_test(test_surplus),
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_random),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests_name("coupled_market", tests, NULL, NULL);
}
