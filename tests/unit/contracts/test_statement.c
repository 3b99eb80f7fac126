/* Account statements: a whole day with every way in which money moves, and after every receipt everybody's
 * lines add up to what the ledger says that they have. The lines come from receipts alone, the balances
 * from the state alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/statement.h"
#include "tests/lib/contracts/auction_fixture.h"
#include "tests/lib/contracts/deal_fixture.h"

enum { PEOPLE_MAX = 16, HELD_WINDOW_MS = 3600000 };

static struct fixture fixture;
static struct delivery_witness witness;

static struct {
    const char *id;
    int64_t sum;
} people[PEOPLE_MAX] = {{"operator", 0}, {"treasurer", 0}, {"dso", 0},    {"tso", 0},
                        {"agg", 0},      {"agg2", 0},      {"retail", 0}, {"alice", 0},
                        {"bob", 0},      {"carol", 0},     {"meters", 0}, {"regulator", 0}};
static size_t kinds[STATEMENT_KIND_COUNT];
static int64_t kind_sums[STATEMENT_KIND_COUNT];
static size_t receipts;

/* --- adding up ------------------------------------------------------------------------------ */

static void add_line(struct fixture *seen, struct statement_line *line)
{
    if (statement_needs_deal(line)) {
        struct deal_record deal = market_deal(seen, line->other.id);
        statement_know_deal(line, &deal);
    }
    kinds[line->kind]++;
    kind_sums[line->kind] += money_ueur(line->amount);
    for (size_t i = 0; i < PEOPLE_MAX && people[i].id != NULL; i++) {
        struct name id = fixture_name(people[i].id);
        if (name_compare(&id, &line->who) == 0) {
            people[i].sum += money_ueur(line->amount);
            return;
        }
    }
    fail_msg("a line of somebody who is not there");
}

static void watch(struct fixture *seen, const struct name *sender, const struct receipt *receipt)
{
    struct statement_line lines[STATEMENT_LINES_PER_EVENT];
    struct bytes_view record;
    size_t cursor = 0;
    uint8_t type;
    if (sender != NULL && money_ueur(receipt->fee) > 0) {
        lines[0] = statement_of_fee(sender, receipt->fee);
        add_line(seen, &lines[0]);
    }
    while (event_next(receipt->events, &cursor, &type, &record)) {
        bool broken;
        uint32_t count = statement_of_event(lines, &broken, type, record);
        assert_false(broken);
        for (uint32_t i = 0; i < count; i++)
            add_line(seen, &lines[i]);
    }
    assert_int_equal(cursor, receipt->events.size);
    for (size_t i = 0; i < PEOPLE_MAX && people[i].id != NULL; i++)
        assert_int_equal(people[i].sum, fixture_balance(seen, people[i].id));
    receipts++;
}

/* --- the day -------------------------------------------------------------------------------- */

static void create(const char *id, uint8_t product, int64_t window_ms)
{
    struct market_create terms;
    market_terms(&terms);
    terms.id = fixture_name(id);
    terms.product = product;
    terms.delivery.penalty_price = energy_price_of(40000);
    terms.delivery.deposit_permille = 200;
    terms.times.dispute_window = duration_of(window_ms);
    if (product == PRODUCT_RESERVATION) {
        terms.times.mtus_per_period = 2 * MARKET_UNITS;
        terms.times.proof_deadline = duration_of(2 * (int64_t)MARKET_PROOF_MS);
        terms.links.activation_lead = duration_of(3600000);
        terms.links.must_offer = 1;
    }
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
}

/* A new ledger, in which nobody has anything yet; what kinds there were stays counted. */
static void begin(void)
{
    memset(kind_sums, 0, sizeof kind_sums);
    for (size_t i = 0; i < PEOPLE_MAX; i++)
        people[i].sum = 0;
    fixture_watch = watch;
}

static void open_day(void)
{
    begin();
    market_open(&fixture);
    create("deals", PRODUCT_ENERGY, 0);
    create("held", PRODUCT_ENERGY, HELD_WINDOW_MS);
    create("long", PRODUCT_RESERVATION, 0);
    struct market_create below;
    market_terms(&below);
    below.id = fixture_name("short");
    below.links.parent = fixture_name("long");
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &below));
}

/* Transfers, a burn, a transaction that fails and pays, one with many actions. */
static void move_tokens(void)
{
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(12345)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    transfer.amount = money_of(INT64_MAX / 2);
    assert_error(CONTRACT_INSUFFICIENT_FUNDS,
                 fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    fixture_fund(&fixture, "treasurer", 777777);
    struct token_burn burn = {.amount = money_of(77777)};
    memset(burn.receipt.bytes, 3, sizeof burn.receipt.bytes);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "treasurer", ACTION_TOKEN_BURN, &burn));
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "bob");
    struct token_transfer there = {.to = fixture_name("carol"), .amount = money_of(11)};
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &there);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &there);
    assert_error(CONTRACT_OK, fixture_send(&fixture, "bob", &draft));
}

/* Orders that are cancelled, that expire at the gate, and that are filled in part and at a better price. */
static void place_orders(void)
{
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 5, DIRECTION_UP, 1000, 333333));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", market_counters(&fixture).orders));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 5, DIRECTION_UP, 980, 333331));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 6, DIRECTION_UP, 1000, 400001));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "bob", "dev-bob", 6, DIRECTION_UP, 620, 123457));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

static void deliver(uint64_t deal, int64_t first, int64_t second)
{
    assert_error(CONTRACT_OK, deal_measure(&fixture, deal, 0, first, second, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", deal, &witness));
}

/* In full, in part with a penalty, not at all; one disputed by the buyer who wins, one who loses, one that
 * nobody disputes. */
static void trade(void)
{
    static const char *const markets[] = {"deals", "deals", "deals", "held", "held", "held"};
    uint64_t first = market_counters(&fixture).deals + 1;
    for (int i = 0; i < 6; i++)
        deal_trade(&fixture, markets[i], 8 + i, 1000, 0);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_counters(&fixture).deals, first + 5);
    deal_deliver(&fixture, first + 5);
    deliver(first, 500, 500);
    deliver(first + 1, 500, 333);
    deliver(first + 3, 500, 333);
    deliver(first + 4, 500, 333);
    deliver(first + 5, 500, 300);
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", first + 3));
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", first + 4));
    assert_error(CONTRACT_OK, deal_vote(&fixture, first + 3, 100));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_error(CONTRACT_OK, deal_vote(&fixture, first + 4, 999));
    fixture_next_block(&fixture, HELD_WINDOW_MS);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_deal(&fixture, first + 5).state, DEAL_PARTIAL);
    assert_int_equal(market_deal(&fixture, first + 2).state, DEAL_MATCHED);
}

/* One reserved hour that is paid, one whose call nobody answers. */
static void reserve(void)
{
    uint64_t first = market_counters(&fixture).deals + 1;
    deal_trade(&fixture, "long", 24, 4000, 0);
    deal_trade(&fixture, "long", 26, 4000, 0);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    struct reservation_call_place call = {.deal = first + 1,
                                          .market = fixture_name("short"),
                                          .period_start = market_period(26),
                                          .quantity = energy_of(1000),
                                          .price = energy_price_of(300007)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_RESERVATION_CALL, &call));
    deal_deliver(&fixture, first + 1);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_deal(&fixture, first + 1).state, DEAL_REFUNDED);
    assert_int_equal(market_deal(&fixture, first).state, DEAL_MATCHED);
}

/* Whatever is still open ends by its deadline, and the fee pool is split. All bills together: what is not in
 * balances is in the other pots, and what is in neither was burned. */
static void end_days(int days)
{
    for (int day = 0; day < days; day++)
        fixture_next_block(&fixture, MS_PER_DAY);
    fixture_end_block(&fixture);
    int64_t sum = 0;
    for (size_t i = 0; i < PEOPLE_MAX; i++)
        sum += people[i].sum;
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    assert_true(ledger_read(fixture.view, &key, &supply_record_codec, &supply));
    assert_int_equal(kind_sums[STATEMENT_MINTED], money_ueur(supply.minted));
    assert_int_equal(-kind_sums[STATEMENT_BURNED], money_ueur(supply.burned));
    assert_int_equal(sum, money_ueur(supply.held[POT_BALANCE]));
    /* Bonds only change hands. */
    assert_int_equal(kind_sums[STATEMENT_BOND_LOCKED] + kind_sums[STATEMENT_BOND_RECEIVED], 0);
    fixture_watch = NULL;
    fixture_close(&fixture);
}

static void with_reserve(struct market_create *terms)
{
    terms->clearing.payment = PAYMENT_VCG;
    terms->clearing.reserve_account = fixture_name("tso");
    terms->clearing.reserve = money_of(1000000);
}

static void with_shares(struct market_create *terms)
{
    terms->clearing.payment = PAYMENT_SHAPLEY;
}

/* Three offers, of which the market takes two. */
static void bid(void)
{
    static const struct auction_ask asks[] = {
        {.who = "alice", .quantity = 600, .price = 200000},
        {.who = "bob", .quantity = 800, .price = 250000},
        {.who = "carol", .quantity = 400, .price = 280000},
        {.who = "dso", .buys = true, .quantity = 1000, .price = 300000}};
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++)
        assert_error(CONTRACT_OK, auction_place(&fixture, &asks[i]));
}

/* A deficit that a reserve fills; of two deals one is proven and one is not, and the rest of the reserve is
 * taken back. */
static void auction_with_a_reserve(void)
{
    const int64_t delivered[MARKET_UNITS] = {300, 300};
    begin();
    auction_open(&fixture, with_reserve);
    fixture_fund(&fixture, "tso", 10000000);
    assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", 100001));
    bid();
    auction_reach_gate(&fixture);
    struct auction_record result = auction_result(&fixture, DIRECTION_UP);
    assert_int_equal(result.payment, PAYMENT_VCG);
    assert_true(money_ueur(result.reserve_used) > 0 && money_ueur(result.reserve_used) < 100001);
    assert_error(CONTRACT_OK, auction_fund_reserve(&fixture, "tso", -10001));
    deal_deliver(&fixture, 1);
    market_measure(&fixture, 1, delivered, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    end_days(3);
}

static void auction_with_shares(void)
{
    begin();
    auction_open(&fixture, with_shares);
    bid();
    auction_reach_gate(&fixture);
    assert_int_equal(auction_result(&fixture, DIRECTION_UP).payment, PAYMENT_SHAPLEY);
    end_days(3);
}

static void test_every_kind_of_movement_is_on_a_statement(void **state)
{
    (void)state;
    memset(kinds, 0, sizeof kinds);
    receipts = 0;
    open_day();
    move_tokens();
    place_orders();
    trade();
    reserve();
    end_days(4);
    auction_with_a_reserve();
    auction_with_shares();
    for (int kind = 0; kind < STATEMENT_KIND_COUNT; kind++) {
        print_message("          %-20s %4zu\n", statement_kind_names[kind], kinds[kind]);
        assert_int_equal(kinds[kind] > 0, kind != STATEMENT_NONE);
    }
    assert_true(receipts > 100);
}

/* --- the tables ----------------------------------------------------------------------------- */

static struct bytes_view encode(const struct event_token_moved *moved)
{
    static uint8_t bytes[CONTRACT_EVENT_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(event_codec(EVENT_TOKEN_MOVED), moved, &writer);
    assert_false(writer.failed);
    return bytes_view_of(bytes, writer.size);
}

static struct pot_id some_pot(uint8_t kind)
{
    struct pot_id pot = {.kind = kind};
    if (kind == POT_BALANCE)
        pot.participant = fixture_name("bob");
    return pot;
}

/* A new pot without lines, or a new event about an amount that nobody counts, fails here. */
static void test_every_pot_and_event_has_its_lines(void **state)
{
    (void)state;
    struct statement_line lines[STATEMENT_LINES_PER_EVENT];
    bool broken;
    for (uint8_t kind = 0; kind <= POT_OUTSIDE; kind++) {
        struct event_token_moved moved = {
            .from = some_pot(kind), .to = some_pot(POT_BALANCE), .amount = money_of(7)};
        moved.to.participant = fixture_name("alice");
        uint32_t count = statement_of_event(lines, &broken, EVENT_TOKEN_MOVED, encode(&moved));
        assert_int_equal(count, kind == POT_BALANCE ? 2 : 1);
        assert_int_equal(money_ueur(lines[count - 1].amount), 7);
        assert_int_not_equal(lines[count - 1].kind, STATEMENT_NONE);
        struct pot_id swap = moved.from;
        moved.from = moved.to;
        moved.to = swap;
        count = statement_of_event(lines, &broken, EVENT_TOKEN_MOVED, encode(&moved));
        assert_int_equal(money_ueur(lines[0].amount), -7);
        bool never = kind == POT_DEAL_DEPOSIT;
        assert_int_equal(lines[0].kind == STATEMENT_NONE, never);
        /* Between two other pots nobody's balance changes. */
        moved.from = some_pot(kind == POT_BALANCE ? POT_FEES : kind);
        moved.to = some_pot(POT_FEES);
        assert_int_equal(statement_of_event(lines, &broken, EVENT_TOKEN_MOVED, encode(&moved)), 0);
        assert_false(broken);
    }
    for (unsigned type = 0; type < EVENT_TYPE_LIMIT; type++) {
        const struct codec_record *codec = event_codec((uint8_t)type);
        bool moves = false;
        for (size_t i = 0; codec != NULL && i < codec->field_count; i++)
            moves = moves || strcmp(codec->fields[i].name, "amount_ueur") == 0;
        assert_int_equal(statement_event_moves((uint8_t)type), moves);
    }
    for (int kind = 0; kind < STATEMENT_KIND_COUNT; kind++)
        for (int other = 0; other < kind; other++)
            assert_string_not_equal(statement_kind_names[kind], statement_kind_names[other]);
}

static void test_broken_events(void **state)
{
    (void)state;
    struct statement_line lines[STATEMENT_LINES_PER_EVENT];
    struct event_token_moved moved = {
        .from = some_pot(POT_FEES), .to = some_pot(POT_BALANCE), .amount = money_of(-1)};
    bool broken;
    assert_int_equal(statement_of_event(lines, &broken, EVENT_TOKEN_MOVED, encode(&moved)), 0);
    assert_true(broken);
    moved.amount = money_of(1);
    struct bytes_view whole = encode(&moved);
    for (size_t size = 0; size < whole.size; size++) {
        assert_int_equal(
            statement_of_event(lines, &broken, EVENT_TOKEN_MOVED, bytes_view_of(whole.data, size)),
            0);
        assert_true(broken);
    }
    assert_int_equal(statement_of_event(lines, &broken, EVENT_FEES_SPLIT, whole), 0);
    assert_true(broken);
}

static void test_pot_text(void **state)
{
    (void)state;
    char text[STATEMENT_POT_TEXT_SIZE];
    struct name longest = fixture_name("a23456789012345678901234");
    struct pot_id pot = pot_balance(&longest);
    statement_pot_text(text, &pot);
    assert_string_equal(text, "balance/a23456789012345678901234");
    pot = pot_dispute_bond(UINT64_MAX);
    statement_pot_text(text, &pot);
    assert_string_equal(text, "dispute_bond/18446744073709551615");
    pot = pot_fees();
    statement_pot_text(text, &pot);
    assert_string_equal(text, "fees");
    pot = some_pot(POT_OUTSIDE);
    statement_pot_text(text, &pot);
    assert_string_equal(text, "outside");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_movement_is_on_a_statement),
        cmocka_unit_test(test_every_pot_and_event_has_its_lines),
        cmocka_unit_test(test_broken_events),
        cmocka_unit_test(test_pot_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
