/* ledger_coupled COUNT SEED: plays random coupled auctions on the ledger's own contracts and prints what
 * went in and what came out: orders, the problem's bytes, every proposal with the bytes that it was made of,
 * the verdict, what it cost, the best after it, deals and money. check_coupled_ledger.py recomputes all of
 * that from the bytes alone, by a model that shares no line with the contracts.
 *
 * Proposals are the best so far, or what trying all quantities finds, bent in some places, and their bytes
 * then cut, lengthened, flipped or written in a second way. One line each: a key, then its fields. What
 * begins with # is for the reader. The records are audited after each block (market_fixture.h). */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"
#include "tests/lib/contracts/coupled_model.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/grid_fixture.h"

enum {
    INTERVALS = 2,
    WINDOW = 4,
    FEE = 700,
    UNIT_MS = 900000,
    ARENA = 16 * 1024 * 1024,
    SENDERS = 30,
    BIDS_MAX = 6,
    TRIES_MAX = 40,
    CELLS_MAX = 256
};

static const char *const people[] = {"dso", "dso",    "alice", "bob", "carol",
                                     "agg", "retail", "alice", "bob"};
static const char *const nodes[] = {"f1", "f2", "leaf", "trafo"};
static const char *const carriers[] = {"el", "el", "el", "el", "el", "heat", "heat", "gas"};

static struct fixture fixture;
static struct dice dice;
static uint8_t arena_bytes[2][ARENA];
static uint8_t page_bytes[COUPLED_PROBLEM_BYTES_MAX];
static uint8_t best_bytes[COUPLED_PROBLEM_BYTES_MAX];
static uint8_t proposal[200000];

static int64_t draw(int64_t least, int64_t most)
{
    return dice_between(&dice, least, most);
}

static bool one_in(int64_t count)
{
    return draw(0, count - 1) == 0;
}

/* --- printing ------------------------------------------------------------------------------- */

static void tell_bytes(const char *key, const uint8_t *data, size_t size)
{
    printf("%s ", key);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", data[i]);
    }
    printf("\n");
}

static void tell_best(const struct coupled_best *best)
{
    printf("best %" PRId64 " %u %" PRId64 " %" PRId64 "\n", money_ueur(best->welfare),
           best->welfare_neur, money_ueur(best->bound), best->gap_neur);
}

/* --- the state ------------------------------------------------------------------------------ */

static struct timestamp start_of(void)
{
    return timestamp_of(FIXTURE_TIME_MS + (int64_t)INTERVALS * UNIT_MS);
}

static struct coupled_record read_auction(void)
{
    struct coupled_record record;
    const struct coupled_id id = {fixture_name("cpl"), start_of(), DIRECTION_UP};
    struct state_key key = coupled_key(STATE_COUPLED, &id);
    assert_true(ledger_read(fixture.view, &key, &coupled_record_codec, &record));
    return record;
}

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    (void)context;
    return ledger_read(fixture.view, key, &coupled_page_record_codec, page);
}

static void read_pages(uint8_t *out, enum coupled_page_of what, size_t size)
{
    struct name market = fixture_name("cpl");
    assert_true(
        coupled_pages_read(out, size, &market, start_of(), DIRECTION_UP, what, read_page, NULL));
}

static void end_block(int64_t ms)
{
    fixture_next_block(&fixture, ms);
    market_audit(&fixture, false);
}

/* --- the day -------------------------------------------------------------------------------- */

static void draw_line(const char *id, const char *from, const char *to, const char *carrier,
                      int64_t wh)
{
    const struct network_line action = {.network = fixture_name("net"),
                                        .id = fixture_name(id),
                                        .from = fixture_name(from),
                                        .to = fixture_name(to),
                                        .carrier = fixture_name(carrier),
                                        .capacity = power_of(wh * 4)};
    assert_int_equal(fixture_act(&fixture, "dso", ACTION_NETWORK_LINE, &action), CONTRACT_OK);
}

static void draw_row(const char *id, const char *carrier)
{
    struct network_row row = {.network = fixture_name("net"),
                              .id = fixture_name(id),
                              .carrier = fixture_name(carrier),
                              .op = (uint8_t)draw(0, 2),
                              .coef_count = 2};
    row.rhs = row.op == ROW_AT_LEAST ? -draw(0, 30) : row.op == ROW_AT_MOST ? draw(0, 30) : 0;
    row.coefs[0].node = fixture_name("f1");
    row.coefs[0].value = draw(0, 1) ? draw(1, 3) : -draw(1, 3);
    row.coefs[1].node = fixture_name("leaf");
    row.coefs[1].value = draw(1, 3);
    enum contract_error error = fixture_act(&fixture, "dso", ACTION_NETWORK_ROW, &row);
    printf("# row %s %s\n", carrier, contract_error_name(error));
}

static void open_network(void)
{
    grid_small_network(&fixture);
    draw_line("a", "trafo", "f1", "el", draw(0, 3) * 4 + draw(0, 3));
    draw_line("b", "f1", "leaf", "el", draw(1, 3) * 4);
    draw_line("c", "trafo", "f2", "el", draw(1, 3) * 4);
    if (one_in(4)) {
        draw_line("d", "f2", "leaf", "el", draw(1, 8)); /* a mesh */
    }
    bool heat = draw(0, 1) != 0;
    bool gas = heat && draw(0, 1) != 0;
    if (heat) {
        draw_line("h", "f1", "leaf", "heat", draw(1, 8));
    }
    if (gas) {
        draw_line("g", "f1", "f2", "gas", draw(1, 8));
    }
    if (draw(0, 1)) {
        draw_row("r1", "el");
    }
    if (one_in(3)) {
        draw_row("r2", "el");
    }
    if (heat && one_in(3)) {
        draw_row("r3", "heat");
    }
}

static void open_day(void)
{
    struct market_create terms;
    market_open(&fixture);
    open_network();
    market_terms(&terms);
    terms.network = fixture_name("net");
    terms.directions = DIRECTIONS_UP;
    terms.times.mtus_per_period = 1;
    terms.limits.quantity_step = energy_of(1);
    terms.limits.quantity_min = energy_of(1);
    terms.limits.price_step = energy_price_of(1);
    terms.clearing.mechanism = MECHANISM_COUPLED;
    terms.clearing.reserve_account = fixture_name("tso");
    terms.coupling =
        (struct market_coupling){.intervals = INTERVALS, .window = WINDOW, .fee = money_of(FEE)};
    grid_market(&fixture, "cpl", &terms);
    for (int i = 0; i < SENDERS; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "s%d", i);
        fixture_register(&fixture, id, ROLE_PROSUMER);
        fixture_fund(&fixture, id, 50000000);
    }
}

static void suspend_some(int count)
{
    for (int i = 0; i < count; i++) {
        struct participant_status status = {.id = fixture_name(people[draw(2, 6)]),
                                            .status = STATUS_SUSPENDED};
        if (one_in(3)) {
            enum contract_error error =
                fixture_act(&fixture, "operator", ACTION_PARTICIPANT_STATUS, &status);
            printf("# suspend %s %s\n", status.id.text, contract_error_name(error));
        }
    }
}

/* --- portfolios ----------------------------------------------------------------------------- */

static void draw_bid(struct portfolio_bid *bid, const char *who, bool buys, const char *carrier,
                     bool ranked)
{
    char device[40];
    (void)snprintf(device, sizeof device, "at-%s", who);
    *bid = (struct portfolio_bid){
        .side = buys ? SIDE_BUY : SIDE_SELL,
        .interval = (uint16_t)draw(0, 1),
        .quantity = energy_of(draw(1, 3)),
        .price = energy_price_of(draw(0, 9) * 1000 + draw(0, 1) * draw(0, 999) + (buys ? 3000 : 0)),
        .carrier = fixture_name(carrier),
        .rank = buys && ranked ? (uint16_t)draw(0, 2) : 0,
        .indivisible = one_in(5)};
    if (!bid->indivisible && one_in(5)) {
        bid->min_quantity = energy_of(draw(0, energy_wh(bid->quantity)));
    }
    if (strcmp(who, "dso") == 0) {
        bid->node = fixture_name(nodes[draw(0, 3)]);
    } else {
        bid->device = fixture_name(device);
    }
}

static void draw_link(struct portfolio_place *action)
{
    static const uint8_t types[] = {LINK_AND, LINK_OR, LINK_XOR, LINK_BLOCK, LINK_SUM, LINK_SUM};
    struct portfolio_link *link = &action->links[action->link_count++];
    *link = (struct portfolio_link){.type = types[draw(0, 5)], .member_count = action->bid_count};
    for (uint32_t i = 0; i < action->bid_count; i++) {
        link->members[i].bid = (uint8_t)i;
    }
    if (link->type == LINK_SUM) {
        link->op = (uint8_t)draw(0, 2);
        link->quantity = energy_of(link->op == 0 ? draw(0, 4) : 0);
    }
}

/* Up to `room` bids; how many of them stand then. */
static uint32_t place_one(uint32_t room)
{
    struct portfolio_place action = {
        .market = fixture_name("cpl"), .direction = DIRECTION_UP, .start = start_of()};
    const char *who = people[draw(0, 8)];
    bool dso = strcmp(who, "dso") == 0;
    bool converts = !dso && one_in(6);
    bool buys = dso || one_in(5);
    bool ranked = one_in(3);
    action.bid_count = (uint32_t)(converts ? 2 : draw(1, 3));
    if (action.bid_count > room) {
        return 0;
    }
    for (uint32_t i = 0; i < action.bid_count; i++) {
        bool buy = converts ? i == 0 : buys;
        const char *carrier = converts ? (i == 0 ? "el" : "heat") : carriers[draw(0, 7)];
        draw_bid(&action.bids[i], who, buy, carrier, ranked && !converts);
    }
    if (converts) {
        action.links[0] = (struct portfolio_link){
            .type = LINK_CONVERT, .num = draw(1, 3), .den = draw(1, 3), .member_count = 2};
        action.links[0].members[1].bid = 1;
        action.link_count = 1;
    } else if (action.bid_count > 1 && draw(0, 1)) {
        draw_link(&action);
    }
    enum contract_error error = fixture_act(&fixture, who, ACTION_PORTFOLIO_PLACE, &action);
    printf("# place %s %s\n", who, contract_error_name(error));
    return error == CONTRACT_OK ? action.bid_count : 0;
}

/* How many orders stand. */
static uint64_t place_all(void)
{
    uint32_t count = 0;
    for (int tries = 0; tries < TRIES_MAX && count < BIDS_MAX; tries++) {
        count += place_one(BIDS_MAX - count);
    }
    const struct counters_record counters = market_counters(&fixture);
    for (uint64_t id = 1; id <= counters.orders; id++) {
        struct order_record order = market_order(&fixture, id);
        printf("order %" PRIu64 " %s %d %" PRId64 " %" PRId64 "\n", id, order.participant.text,
               order.side, energy_price_ueur_per_kwh(order.price), energy_wh(order.quantity));
    }
    return counters.orders;
}

/* --- proposals ------------------------------------------------------------------------------ */

static void tell_verdict(void)
{
    struct event_solution event;
    struct bytes_view record;
    size_t cursor = 0;
    uint8_t type;
    while (event_next(fixture.receipt.events, &cursor, &type, &record)) {
        if (type == EVENT_SOLUTION) {
            assert_true(codec_decode_all(event_codec(type), &event, record));
            printf("%d %d %u %u %" PRId64 " %" PRId64 " ", event.verdict, event.rule, event.item,
                   event.slot, money_ueur(event.welfare), money_ueur(event.bound));
            for (int i = 0; i < HASH_SIZE; i++) {
                printf("%02x", event.solution.bytes[i]);
            }
        }
    }
}

static void propose(int sender, size_t size)
{
    char id[8];
    (void)snprintf(id, sizeof id, "s%d", sender);
    const struct solution_propose action = {.market = fixture_name("cpl"),
                                            .direction = DIRECTION_UP,
                                            .start = start_of(),
                                            .problem = read_auction().problem,
                                            .solution = bytes_view_of(proposal, size)};
    int64_t before = fixture_balance(&fixture, id);
    enum contract_error error = fixture_act(&fixture, id, ACTION_SOLUTION_PROPOSE, &action);
    printf("propose %s %s %" PRId64 " ", id, contract_error_name(error),
           before - fixture_balance(&fixture, id));
    if (error == CONTRACT_OK) {
        tell_verdict();
    }
    tell_bytes("", proposal, size);
}

static int64_t tweak(int64_t value)
{
    switch (draw(0, 7)) {
    case 0:
        return INT64_MAX - draw(0, 1);
    case 1:
        return INT64_MIN + draw(0, 1);
    case 2:
        return 0;
    case 3:
        return value == INT64_MIN || value == INT64_MAX ? 0 : -value;
    default:
        return (int64_t)((uint64_t)value + (uint64_t)(draw(0, 1) ? draw(1, 3) : -draw(1, 3)));
    }
}

static void bend_quantity(struct coupled_draft *draft, const struct coupled_problem *problem)
{
    int64_t *accepted = &draft->accepted[draw(0, problem->bid_count - 1)];
    int64_t value = tweak(*accepted);
    *accepted = value >= 0 && value < INT64_MAX ? value : *accepted;
}

static void bend_sums(struct coupled_draft *draft, const struct coupled_problem *problem)
{
    for (uint32_t i = 0; i < problem->link_count; i++) {
        if (problem->links[i].type == COUPLED_SUM) {
            draft->sum[i] = draw(0, 2) ? draw(-2000, 2000) : tweak(draft->sum[i]);
        }
    }
}

/* One thing of a solution becomes another. */
static void bend(struct coupled_draft *draft, const struct coupled_problem *problem)
{
    const int64_t lines = (int64_t)problem->slot_count * problem->line_count;
    const int64_t cells = (int64_t)problem->slot_count * problem->place_count;
    const int64_t rows = (int64_t)problem->slot_count * problem->row_count;
    int64_t what = draw(0, 6);
    int64_t at;
    if (what == 0) {
        bend_quantity(draft, problem);
    } else if (what == 1 && lines > 0) {
        at = draw(0, lines - 1);
        draft->flow[at] = tweak(draft->flow[at]);
    } else if (what == 2) {
        int64_t den = draw(0, 3) ? draw(1, 7) : tweak(draft->den);
        draft->den = den >= 0 ? den : draft->den;
    } else if (what == 3) {
        at = draw(0, cells - 1);
        draft->node[at] = draw(0, 3) ? draw(-9, 12) * 1000 : tweak(draft->node[at]);
    } else if (what == 4 && rows > 0) {
        at = draw(0, rows - 1);
        draft->row[at] = draw(0, 2) ? draw(-2000, 2000) : tweak(draft->row[at]);
    } else if (what == 5) {
        bend_sums(draft, problem);
    } else if (draft->den < 100) {
        int64_t price = draw(0, 9) * 1000;
        for (at = 0; at < cells; at++) {
            draft->node[at] = price * (one_in(6) ? 1 : draft->den);
        }
    }
}

/* Bytes that are cut, too many, flipped, or a number written longer than it need be. */
static size_t garble(size_t size)
{
    size_t at = (size_t)draw(0, (int64_t)size - 1);
    switch (draw(0, 11)) {
    case 0:
        return size - (size_t)draw(1, size > 1 ? 2 : 1);
    case 1:
        proposal[size] = (uint8_t)draw(0, 255);
        return size + 1;
    case 2:
        proposal[at] = (uint8_t)draw(0, 255);
        return size;
    case 3:
        memmove(proposal + at + 1, proposal + at, size - at);
        proposal[at] |= 0x80;
        proposal[at + 1] = draw(0, 1) ? (uint8_t)draw(0, 2) : 0;
        return size + 1;
    default:
        return size;
    }
}

/* --- a game --------------------------------------------------------------------------------- */

struct optimum {
    bool found;
    int64_t accepted[BIDS_MAX];
    int64_t flow[CELLS_MAX];
};

static void take_turn(const struct coupled_problem *problem, const struct optimum *optimum)
{
    struct coupled_draft draft;
    struct byte_writer writer;
    struct clear_arena own = {arena_bytes[1], ARENA, 0};
    const struct coupled_record record = read_auction();
    read_pages(best_bytes, COUPLED_PAGE_SOLUTION, record.best.bytes);
    assert_true(coupled_solution_decode(&draft, problem,
                                        bytes_view_of(best_bytes, record.best.bytes), &own));
    if (optimum->found && one_in(4)) {
        memcpy(draft.accepted, optimum->accepted, problem->bid_count * sizeof(int64_t));
        memcpy(draft.flow, optimum->flow,
               (size_t)problem->slot_count * problem->line_count * sizeof(int64_t));
    }
    for (int64_t times = draw(0, 3); times > 0; times--) {
        bend(&draft, problem);
    }
    const struct coupled_solution solution = coupled_draft_view(&draft);
    byte_writer_init(&writer, proposal, sizeof proposal);
    coupled_solution_encode(&writer, problem, &solution);
    assert_false(writer.failed);
    size_t size = garble(writer.size);
    if (size > 0) {
        propose((int)draw(0, SENDERS - 1), size);
    }
}

static void tell_outcome(void)
{
    const struct coupled_record record = read_auction();
    assert_int_equal(record.state, COUPLED_CLEARED);
    read_pages(best_bytes, COUPLED_PAGE_SOLUTION, record.best.bytes);
    tell_bytes("final", best_bytes, record.best.bytes);
    tell_best(&record.best);
    printf("money %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %u %u %u\n",
           money_ueur(record.bought), money_ueur(record.sold), money_ueur(record.given),
           money_ueur(record.surplus), record.deals, record.solutions, record.wrong);
    for (uint32_t i = 0; i < record.deals; i++) {
        struct deal_record deal = market_deal(&fixture, record.first_deal + i);
        printf("deal %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
               deal.buy_order, deal.sell_order, energy_wh(deal.contracted), money_ueur(deal.escrow),
               money_ueur(deal.payment), money_ueur(deal.added));
    }
}

static void play_window(void)
{
    static struct optimum optimum;
    struct coupled_auction_problem auction;
    struct clear_arena arena = {arena_bytes[0], ARENA, 0};
    int128 welfare = 0;
    struct coupled_record record = read_auction();
    assert_int_equal(record.state, COUPLED_SOLVING);
    read_pages(page_bytes, COUPLED_PAGE_PROBLEM, record.problem_bytes);
    tell_bytes("problem", page_bytes, record.problem_bytes);
    tell_bytes("digest", record.problem.bytes, HASH_SIZE);
    tell_bytes("seed", record.seed.bytes, HASH_SIZE);
    assert_true(
        coupled_problem_decode(&auction, bytes_view_of(page_bytes, record.problem_bytes), &arena));
    read_pages(best_bytes, COUPLED_PAGE_SOLUTION, record.best.bytes);
    tell_bytes("floor", best_bytes, record.best.bytes);
    tell_best(&record.best);
    const struct coupled_problem *problem = &auction.problem;
    assert_true((size_t)problem->slot_count * problem->line_count <= CELLS_MAX);
    optimum.found = problem->place_count <= MODEL_PLACES && problem->line_count <= MODEL_LINES &&
                    model_solve(problem, &welfare, optimum.accepted, optimum.flow);
    suspend_some(1);
    for (int64_t turns = draw(20, 40); turns > 0 && read_auction().state == COUPLED_SOLVING;
         turns--) {
        take_turn(problem, &optimum);
        if (one_in(13)) {
            end_block(FIXTURE_BLOCK_MS);
        }
    }
    for (int i = 0; i <= WINDOW && read_auction().state == COUPLED_SOLVING; i++) {
        end_block(FIXTURE_BLOCK_MS);
    }
    tell_outcome();
}

static void play(uint64_t seed)
{
    dice.state = seed;
    printf("run %" PRIu64 "\n", seed);
    open_day();
    if (place_all() > 0) {
        suspend_some(2);
        end_block(timestamp_ms(start_of()) - MARKET_GATE_MS - timestamp_ms(fixture.context.time));
        end_block(FIXTURE_BLOCK_MS);
        play_window();
    }
    printf("end\n");
    fixture_end_block(&fixture);
    market_audit(&fixture, false);
    fixture_close(&fixture);
}

int main(int argc, char **argv)
{
    if (argc != 3 || !crypto_init()) {
        (void)fprintf(stderr, "usage: ledger_coupled COUNT SEED\n");
        return 2;
    }
    const uint64_t count = strtoull(argv[1], NULL, 10);
    const uint64_t seed = strtoull(argv[2], NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        play(seed + i);
    }
    return 0;
}
