/* Orders of every kind in both modes of a book, and their replacement: tables of small books, escrow and
 * commitments in step, refusals, and that the place inside a block has no effect in a batch. Random games
 * against models are check_book.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/market_fixture.h"

static struct fixture fixture;

enum { TRADERS = 5, PERIOD = 4 };
static const char *const traders[TRADERS] = {"ann", "ben", "cid", "deb", "eve"};

/* A market "kinds" of that mechanism, in which five participants both buy and sell. */
static void open_kinds(uint8_t mechanism, uint8_t trade_price, int64_t deposit_price)
{
    struct market_create terms;
    market_open(&fixture);
    market_terms(&terms);
    terms.id = fixture_name("kinds");
    terms.clearing.mechanism = mechanism;
    terms.clearing.trade_price = trade_price;
    terms.delivery.deposit_price = energy_price_of(deposit_price);
    terms.delivery.penalty_price = energy_price_of(deposit_price);
    MUST(fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms) == CONTRACT_OK);
    for (int i = 0; i < TRADERS; i++) {
        char device[NAME_SIZE];
        snprintf(device, sizeof device, "dev-%s", traders[i]);
        fixture_register(&fixture, traders[i], ROLE_DSO | ROLE_PROSUMER);
        fixture_fund(&fixture, traders[i], 1000000000);
        fixture_device(&fixture, device, traders[i], "z1");
        struct device_enrol enrol = {
            .device = fixture_name(device), .market = terms.id, .enrolled = 1};
        MUST(fixture_act(&fixture, traders[i], ACTION_DEVICE_ENROL, &enrol) == CONTRACT_OK);
    }
}

static void close_kinds(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    market_audit(&fixture, true);
}

/* One order of a table. */
struct row {
    const char *who;
    enum order_side side;
    int64_t quantity;
    int64_t price;
    uint8_t kind;
    uint8_t indivisible;
    int64_t least;
};

static enum contract_error place_for(const struct row *row, int period)
{
    char device[NAME_SIZE];
    snprintf(device, sizeof device, "dev-%s", row->who);
    struct order_options options = {
        .kind = row->kind, .indivisible = row->indivisible, .min_quantity = energy_of(row->least)};
    struct request_place request = {.market = fixture_name("kinds"),
                                    .period_start = market_period(period),
                                    .quantity = energy_of(row->quantity),
                                    .price = energy_price_of(row->price),
                                    .options = options};
    struct offer_place offer = {.market = fixture_name("kinds"),
                                .period_start = market_period(period),
                                .quantity = energy_of(row->quantity),
                                .price = energy_price_of(row->price),
                                .device = fixture_name(device),
                                .options = options};
    return row->side == SIDE_BUY ? fixture_act(&fixture, row->who, ACTION_REQUEST_PLACE, &request)
                                 : fixture_act(&fixture, row->who, ACTION_OFFER_PLACE, &offer);
}

static void place(const struct row *row)
{
    assert_error(CONTRACT_OK, place_for(row, PERIOD));
}

static int64_t open_wh(uint64_t order)
{
    return energy_wh(market_order(&fixture, order).open);
}

static uint64_t deals(void)
{
    return market_counters(&fixture).deals;
}

static int64_t price_of(uint64_t deal)
{
    return energy_price_ueur_per_kwh(market_deal(&fixture, deal).price);
}

/* --- tables ------------------------------------------------------------------------------- */

enum { ROWS_MAX = 6 };
#define LIMIT(who, side, quantity, price)                                                          \
    {                                                                                              \
        who, side, quantity, price, ORDER_LIMIT, 0, 0                                              \
    }
#define WHOLE(who, side, quantity, price)                                                          \
    {                                                                                              \
        who, side, quantity, price, ORDER_LIMIT, 1, 0                                              \
    }
#define LEAST(who, side, quantity, price, least)                                                   \
    {                                                                                              \
        who, side, quantity, price, ORDER_LIMIT, 0, least                                          \
    }
#define ALL_OR_NONE(who, side, quantity, price)                                                    \
    {                                                                                              \
        who, side, quantity, price, ORDER_ALL_OR_NONE, 0, 0                                        \
    }
#define FILL_AND_KILL(who, side, quantity, price)                                                  \
    {                                                                                              \
        who, side, quantity, price, ORDER_FILL_AND_KILL, 0, 0                                      \
    }

/* Orders, the first `resting` of them a block earlier, and what is left open of each in the end; -1:
 * cancelled. `price` is that of the last deal, 0: none. */
struct book_case {
    const char *name;
    uint32_t resting;
    struct row rows[ROWS_MAX];
    int64_t open[ROWS_MAX];
    int64_t price;
};

static const struct book_case batch_cases[] = {
    {"what fits, the rest is cancelled",
     1,
     {LIMIT("ann", SIDE_SELL, 60, 100), FILL_AND_KILL("ben", SIDE_BUY, 100, 120)},
     {0, -1},
     120},
    {"all or none: all",
     1,
     {LIMIT("ann", SIDE_SELL, 100, 100), ALL_OR_NONE("ben", SIDE_BUY, 100, 120)},
     {0, 0},
     110},
    {"all or none: none",
     1,
     {LIMIT("ann", SIDE_SELL, 80, 100), ALL_OR_NONE("ben", SIDE_BUY, 100, 120)},
     {80, -1},
     0},
    {"all or none meets nobody",
     1,
     {LIMIT("ann", SIDE_SELL, 80, 130), ALL_OR_NONE("ben", SIDE_BUY, 80, 120)},
     {80, -1},
     0},
    {"indivisible waits",
     1,
     {LIMIT("ann", SIDE_SELL, 80, 100), WHOLE("ben", SIDE_BUY, 100, 120)},
     {80, 100},
     0},
    {"indivisible is served once it fits",
     2,
     {LIMIT("ann", SIDE_SELL, 80, 100), WHOLE("ben", SIDE_BUY, 100, 120),
      LIMIT("cid", SIDE_SELL, 40, 110)},
     {0, 0, 20},
     110},
    {"the dearer one is passed over, the next takes its place",
     0,
     {LIMIT("ann", SIDE_BUY, 60, 120), WHOLE("ben", SIDE_SELL, 100, 100),
      LIMIT("cid", SIDE_SELL, 60, 110)},
     {0, 100, 0},
     115},
    {"one of two that trade whole",
     1,
     {WHOLE("ann", SIDE_SELL, 100, 100), WHOLE("cid", SIDE_SELL, 100, 100),
      LIMIT("ben", SIDE_BUY, 100, 100)},
     {0, 100, 0},
     100},
    {"a minimum that the share does not reach",
     1,
     {LIMIT("ann", SIDE_BUY, 100, 100), LEAST("ben", SIDE_SELL, 100, 100, 60),
      LIMIT("cid", SIDE_SELL, 100, 100)},
     {0, 100, 0},
     100},
    {"a minimum holds for the first fill only",
     2,
     {LEAST("ben", SIDE_SELL, 100, 100, 60), LIMIT("ann", SIDE_BUY, 80, 100),
      LIMIT("cid", SIDE_BUY, 20, 100)},
     {0, 0, 0},
     100},
    {"what was taken out of the call trades afterwards",
     2,
     {LIMIT("cid", SIDE_SELL, 60, 100), WHOLE("deb", SIDE_SELL, 40, 102),
      WHOLE("ann", SIDE_BUY, 80, 110), WHOLE("ben", SIDE_BUY, 60, 105)},
     {0, 40, 80, 0},
     100},
    {"both sides ask, and meet",
     0,
     {ALL_OR_NONE("ann", SIDE_BUY, 100, 120), ALL_OR_NONE("ben", SIDE_SELL, 100, 100)},
     {0, 0},
     110},
};

static const struct book_case sequential_cases[] = {
    {"the resting order's price",
     0,
     {LIMIT("ann", SIDE_SELL, 100, 100), LIMIT("ben", SIDE_BUY, 60, 120)},
     {40, 0},
     100},
    {"best price first, then time",
     0,
     {LIMIT("ann", SIDE_SELL, 60, 110), LIMIT("cid", SIDE_SELL, 60, 100),
      LIMIT("deb", SIDE_SELL, 60, 100), LIMIT("ben", SIDE_BUY, 80, 120)},
     {60, 0, 40, 0},
     100},
    {"fill and kill",
     0,
     {LIMIT("ann", SIDE_SELL, 60, 100), FILL_AND_KILL("ben", SIDE_BUY, 100, 120)},
     {0, -1},
     100},
    {"all or none: none",
     0,
     {LIMIT("ann", SIDE_SELL, 60, 100), ALL_OR_NONE("ben", SIDE_BUY, 100, 120)},
     {60, -1},
     0},
    {"all or none over several",
     0,
     {LIMIT("ann", SIDE_SELL, 60, 100), LIMIT("cid", SIDE_SELL, 60, 110),
      ALL_OR_NONE("ben", SIDE_BUY, 100, 120)},
     {0, 20, 0},
     110},
    {"indivisible at rest is passed over",
     0,
     {WHOLE("ann", SIDE_SELL, 100, 100), LIMIT("cid", SIDE_SELL, 60, 110),
      LIMIT("ben", SIDE_BUY, 80, 120)},
     {100, 0, 20},
     110},
    {"a minimum at rest is passed over",
     0,
     {LEAST("ann", SIDE_SELL, 100, 100, 60), LIMIT("ben", SIDE_BUY, 40, 120),
      LIMIT("cid", SIDE_BUY, 60, 110)},
     {40, 40, 0},
     100},
    {"a minimum over several",
     0,
     {LIMIT("ann", SIDE_SELL, 40, 100), LIMIT("cid", SIDE_SELL, 40, 100),
      LEAST("ben", SIDE_BUY, 100, 100, 80)},
     {0, 0, 20},
     100},
    {"its own is passed over",
     0,
     {LIMIT("ann", SIDE_SELL, 40, 100), LIMIT("cid", SIDE_SELL, 40, 110),
      LIMIT("ann", SIDE_BUY, 40, 120)},
     {40, 0, 0},
     110},
    {"an indivisible arrival waits",
     0,
     {LIMIT("ann", SIDE_SELL, 40, 100), WHOLE("ben", SIDE_BUY, 60, 120),
      LIMIT("cid", SIDE_SELL, 60, 110)},
     {40, 0, 0},
     120},
};

static void run_case(const struct book_case *one, uint8_t mechanism, int64_t deposit)
{
    uint32_t count = 0;
    open_kinds(mechanism, TRADE_PRICE_RESTING, deposit);
    for (; count < ROWS_MAX && one->rows[count].who != NULL; count++) {
        if (count == one->resting && count > 0)
            end_block();
        place(&one->rows[count]);
    }
    end_block();
    for (uint32_t i = 0; i < count; i++) {
        struct order_record order = market_order(&fixture, i + 1);
        int64_t open = order.status == ORDER_CANCELLED ? -1 : energy_wh(order.open);
        if (open != one->open[i])
            fail_msg("%s: order %u has %lld open, not %lld", one->name, i + 1, (long long)open,
                     (long long)one->open[i]);
        if (order.status != ORDER_OPEN)
            assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, i + 1), 0);
    }
    int64_t price = deals() == 0 ? 0 : price_of(deals());
    if (price != one->price)
        fail_msg("%s: the price is %lld, not %lld", one->name, (long long)price,
                 (long long)one->price);
    close_kinds();
}

static void test_batch_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof batch_cases / sizeof batch_cases[0]; i++)
        run_case(&batch_cases[i], MECHANISM_BOOK_BATCH, i % 2 == 0 ? 0 : 77);
}

static void test_sequential_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sequential_cases / sizeof sequential_cases[0]; i++)
        run_case(&sequential_cases[i], MECHANISM_BOOK_SEQUENTIAL, i % 2 == 0 ? 0 : 77);
}

/* market.md 4.2: 101 against 120 at rest. */
static void test_trade_prices(void **state)
{
    (void)state;
    static const int64_t prices[TRADE_PRICE_COUNT] = {120, 120, 101, 110};
    for (uint8_t rule = 0; rule < TRADE_PRICE_COUNT; rule++) {
        open_kinds(MECHANISM_BOOK_SEQUENTIAL, rule, 0);
        place(&(struct row)LIMIT("ann", SIDE_BUY, 1000, 120));
        assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 120);
        int64_t before = fixture_balance(&fixture, "ann");
        place(&(struct row)LIMIT("ben", SIDE_SELL, 1000, 101));
        assert_int_equal(price_of(1), prices[rule]);
        /* Trimmed to the price at once. */
        assert_int_equal(market_pot(&fixture, POT_DEAL_ESCROW, 1), prices[rule]);
        assert_int_equal(fixture_balance(&fixture, "ann"), before + 120 - prices[rule]);
        close_kinds();
    }
}

/* --- refusals ----------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    struct row row = LEAST("ann", SIDE_BUY, 100, 100, 120);
    assert_error(CONTRACT_OUT_OF_RANGE, place_for(&row, PERIOD));
    row.least = -20;
    assert_error(CONTRACT_OUT_OF_RANGE, place_for(&row, PERIOD));
    row.least = 30;
    assert_error(CONTRACT_BAD_GRANULARITY, place_for(&row, PERIOD));
    row.least = 100;
    assert_error(CONTRACT_OK, place_for(&row, PERIOD));
    struct request_place ranked = {.market = fixture_name("kinds"),
                                   .period_start = market_period(PERIOD),
                                   .quantity = energy_of(100),
                                   .price = energy_price_of(1),
                                   .options = {.rank = 1}};
    assert_error(CONTRACT_UNSUPPORTED_ORDER,
                 fixture_act(&fixture, "ann", ACTION_REQUEST_PLACE, &ranked));
    close_kinds();
}

/* Where the place inside a block is worth something, nobody trades who chooses it (market-rules 4). */
static void test_no_validator_trades_in_sequence(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_SEQUENTIAL, TRADE_PRICE_RESTING, 0);
    struct device_enrol enrol = {
        .device = fixture_name("dev-agg"), .market = fixture_name("kinds"), .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "agg", ACTION_DEVICE_ENROL, &enrol));
    assert_error(CONTRACT_VALIDATOR_TRADES,
                 place_for(&(struct row)LIMIT("agg", SIDE_SELL, 100, 100), PERIOD));
    assert_error(CONTRACT_VALIDATOR_TRADES,
                 place_for(&(struct row)LIMIT("dso", SIDE_BUY, 100, 100), PERIOD));
    place(&(struct row)LIMIT("ann", SIDE_BUY, 100, 100));
    close_kinds();
}

/* An order that would meet more others than one transaction may trade with changes nothing. */
static void test_too_many_to_meet(void **state)
{
    (void)state;
    enum { OTHERS = 800 };
    struct market_create terms;
    open_kinds(MECHANISM_BOOK_SEQUENTIAL, TRADE_PRICE_RESTING, 0);
    struct state_key key = state_key_name(STATE_MARKET, &(struct name){.text = "kinds"});
    struct market_record market;
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    terms = market.terms;
    terms.limits.quantity_max = energy_of(20 * OTHERS);
    struct market_update update = {.terms = terms};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_UPDATE, &update));
    for (int i = 0; i < OTHERS; i++)
        place(&(struct row)LIMIT(traders[i % 4], SIDE_SELL, 20, 100));
    int64_t before = fixture_balance(&fixture, "eve");
    struct row sweep = LIMIT("eve", SIDE_BUY, 20 * OTHERS, 100);
    assert_error(CONTRACT_TOO_MANY_EVENTS, place_for(&sweep, PERIOD));
    assert_int_equal(deals(), 0);
    assert_int_equal(fixture_balance(&fixture, "eve"),
                     before - FIXTURE_FEE_PER_TX - FIXTURE_FEE_PER_ACTION);
    sweep.quantity = 20 * 300;
    place(&sweep);
    assert_int_equal(deals(), 300);
    close_kinds();
}

/* --- replacement -------------------------------------------------------------------------- */

static enum contract_error replace(const char *who, uint64_t order, int64_t quantity, int64_t price)
{
    struct order_replace to = {
        .order = order, .quantity = energy_of(quantity), .price = energy_price_of(price)};
    return fixture_act(&fixture, who, ACTION_ORDER_REPLACE, &to);
}

/* What the device has promised in the first quarter hour of the period, in W. */
static int64_t committed(const char *device)
{
    struct name name = fixture_name(device);
    struct state_key key =
        state_key_unit(STATE_COMMITMENT, &name, market_period(PERIOD), DIRECTION_UP);
    struct commitment_record record;
    return ledger_read(fixture.view, &key, &commitment_record_codec, &record)
               ? power_w(record.power)
               : 0;
}

static void test_replace_keeps_time_or_not(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_SEQUENTIAL, TRADE_PRICE_RESTING, 500);
    place(&(struct row)LIMIT("ann", SIDE_SELL, 400, 100));
    place(&(struct row)LIMIT("ben", SIDE_SELL, 400, 100));
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 200);
    assert_int_equal(committed("dev-ann"), 800); /* 200 Wh in a quarter of an hour */
    assert_error(CONTRACT_OK, replace("ann", 1, 100, 100));
    assert_int_equal(market_counters(&fixture).orders, 2);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 50);
    assert_int_equal(committed("dev-ann"), 200);
    market_audit(&fixture, false);

    /* Still first: ann's 100, then 20 of ben's. */
    place(&(struct row)LIMIT("cid", SIDE_BUY, 120, 100));
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(open_wh(2), 380);
    /* What has traded counts: 380 are left of ben's 400; 200 in all leave 180. */
    assert_error(CONTRACT_OK, replace("ben", 2, 200, 100));
    assert_int_equal(open_wh(2), 180);
    assert_error(CONTRACT_OUT_OF_RANGE, replace("ben", 2, 20, 100));
    assert_error(CONTRACT_NOTHING_TO_CHANGE, replace("ben", 2, 200, 100));
    assert_error(CONTRACT_NOT_PERMITTED, replace("ann", 2, 100, 100));
    assert_error(CONTRACT_ORDER_NOT_OPEN, replace("ann", 1, 20, 100));
    assert_error(CONTRACT_UNKNOWN_ORDER, replace("ann", 99, 20, 100));
    assert_error(CONTRACT_BAD_GRANULARITY, replace("ben", 2, 190, 100));

    /* Another price, or more: a new order for what has not traded, behind all others. */
    place(&(struct row)LIMIT("deb", SIDE_SELL, 100, 110));
    assert_error(CONTRACT_OK, replace("ben", 2, 220, 110));
    assert_int_equal(market_order(&fixture, 2).status, ORDER_CANCELLED);
    struct order_record anew = market_order(&fixture, market_counters(&fixture).orders);
    assert_int_equal(energy_wh(anew.quantity), 200);
    assert_int_equal(energy_wh(anew.open), 200);
    place(&(struct row)LIMIT("cid", SIDE_BUY, 100, 110));
    struct deal_record last = market_deal(&fixture, deals());
    char seller[NAME_SIZE + 1];
    assert_string_equal(name_to_text(seller, &last.seller), "deb");
    close_kinds();
}

/* A replacement obeys all rules of the order that it places; if one fails, the old order stands. */
static void test_replace_is_one_step(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    place(&(struct row)LIMIT("ann", SIDE_SELL, 400, 100));
    place(&(struct row)LIMIT("ben", SIDE_BUY, 400, 90));
    end_block();
    struct order_replace to = {.order = 1,
                               .quantity = energy_of(4000),
                               .price = energy_price_of(100),
                               .options = {.indivisible = 1}};
    struct device_status stop = {.device = fixture_name("dev-ann"), .status = STATUS_SUSPENDED};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &stop));
    assert_error(CONTRACT_SUSPENDED, fixture_act(&fixture, "ann", ACTION_ORDER_REPLACE, &to));
    assert_int_equal(market_order(&fixture, 1).status, ORDER_OPEN);
    /* Taking back a part is open to whoever may take back all. */
    assert_error(CONTRACT_OK, replace("ann", 1, 200, 100));
    stop.status = STATUS_ACTIVE;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &stop));
    to.order = 2;
    to.schedule_hash.bytes[0] = 1;
    assert_error(CONTRACT_BAD_SCHEDULE, fixture_act(&fixture, "ben", ACTION_ORDER_REPLACE, &to));
    /* A dearer request crosses at the end of the block. */
    assert_error(CONTRACT_OK, replace("ben", 2, 400, 100));
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 2), 0);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 3), 40);
    end_block();
    assert_int_equal(deals(), 1);
    assert_int_equal(open_wh(3), 200);
    /* An indivisible order that is made smaller is called again, with no other order in the block. */
    place(&(struct row)WHOLE("cid", SIDE_SELL, 300, 100));
    end_block();
    assert_int_equal(deals(), 1);
    struct order_replace smaller = {.order = 4,
                                    .quantity = energy_of(200),
                                    .price = energy_price_of(100),
                                    .options = {.indivisible = 1}};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "cid", ACTION_ORDER_REPLACE, &smaller));
    end_block();
    assert_int_equal(deals(), 2);
    close_kinds();
}

/* --- a market that does not trade --------------------------------------------------------- */

static void set_market(enum market_state to)
{
    struct market_set_state action = {.id = fixture_name("kinds"), .state = (uint8_t)to};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &action));
}

/* Orders that meet in the block that suspends their market wait until it is open again, those that do not
 * rest among them; so does an order that fits once it is made smaller, which its owner may do meanwhile. */
static void test_a_suspended_market_trades_nothing(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    place(&(struct row)LIMIT("ann", SIDE_BUY, 200, 100));
    place(&(struct row)WHOLE("cid", SIDE_SELL, 300, 100));
    end_block();
    place(&(struct row)FILL_AND_KILL("ben", SIDE_SELL, 100, 90));
    set_market(MARKET_SUSPENDED);
    struct order_replace smaller = {.order = 2,
                                    .quantity = energy_of(100),
                                    .price = energy_price_of(100),
                                    .options = {.indivisible = 1}};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "cid", ACTION_ORDER_REPLACE, &smaller));
    end_block();
    assert_int_equal(deals(), 0);
    assert_int_equal(market_order(&fixture, 3).status, ORDER_OPEN);
    end_block();
    assert_int_equal(deals(), 0);
    set_market(MARKET_OPEN);
    end_block();
    assert_int_equal(deals(), 2);
    assert_int_equal(open_wh(1), 0);
    close_kinds();
}

/* What was placed in the block that closes its market for good trades no more: what rests can be taken
 * back, and the rest ends. */
static void test_a_closed_market_trades_nothing(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    place(&(struct row)LIMIT("ann", SIDE_BUY, 200, 100));
    place(&(struct row)FILL_AND_KILL("ben", SIDE_SELL, 100, 90));
    set_market(MARKET_CLOSED);
    end_block();
    assert_int_equal(deals(), 0);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_OPEN);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_CANCELLED);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "ann", 1));
    close_kinds();
}

/* --- bounds ------------------------------------------------------------------------------- */

/* More orders that trade whole at one margin than one call takes out one by one: nobody gets a part, the
 * one that fits is found afterwards, and all of it is one block's work. */
static void test_many_misfits(void **state)
{
    (void)state;
    enum { MISFITS = 150 };
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    for (int i = 0; i < MISFITS; i++)
        place(&(struct row)WHOLE("ann", SIDE_BUY, 40, 100));
    place(&(struct row)WHOLE("ben", SIDE_BUY, 20, 90));
    place(&(struct row)LIMIT("cid", SIDE_SELL, 20, 80));
    end_block();
    assert_int_equal(deals(), 1);
    assert_int_equal(open_wh(MISFITS + 1), 0);
    assert_int_equal(open_wh(1), 40);
    close_kinds();
}

static uint8_t immediates(void)
{
    uint8_t prefix = STATE_IMMEDIATE;
    return (uint8_t)memory_state_count(fixture.state, bytes_view_of(&prefix, 1));
}

/* Orders that end with their batch wait with it when the block puts their book off. */
static void test_immediate_orders_wait_with_their_book(void **state)
{
    (void)state;
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    end_block();
    place(&(struct row)LIMIT("ann", SIDE_SELL, 60, 100));
    place(&(struct row)FILL_AND_KILL("ben", SIDE_BUY, 100, 100));
    place(&(struct row)ALL_OR_NONE("cid", SIDE_BUY, 100, 90));
    assert_int_equal(immediates(), 2);
    struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    byte_writer_init(&fixture.ledger->events, fixture.ledger->block_events,
                     BOOK_EVENTS_RESERVE + 2 * BOOK_TRADE_EVENT_BYTES + BOOK_END_EVENT_BYTES);
    book_call_touched(&call);
    assert_int_equal(deals(), 0);
    assert_int_equal(immediates(), 2);
    fixture_leave_block(&fixture);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    end_block();
    assert_int_equal(deals(), 1);
    assert_int_equal(immediates(), 0);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_CANCELLED);
    assert_int_equal(market_order(&fixture, 3).status, ORDER_CANCELLED);
    close_kinds();
}

/* Offers of a hundred hours: each books 400 quarter hours, and its end gives them back. */
static void open_long_market(void)
{
    struct market_create terms;
    market_terms(&terms);
    terms.id = fixture_name("long");
    terms.times.mtu = duration_of(MS_PER_HOUR);
    terms.times.mtus_per_period = 100;
    terms.limits.quantity_step = energy_of(100);
    terms.limits.quantity_min = energy_of(100);
    MUST(fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms) == CONTRACT_OK);
    struct device_enrol enrol = {
        .device = fixture_name("dev-ann"), .market = terms.id, .enrolled = 1};
    MUST(fixture_act(&fixture, "ann", ACTION_DEVICE_ENROL, &enrol) == CONTRACT_OK);
}

/* Orders whose end is more than one block's share of work end in the next one, and take no part in its
 * call. */
static void test_ends_stop_at_their_work(void **state)
{
    (void)state;
    enum { OFFERS = LIMIT_WORK_OF_ENDS / 400 + 20 };
    const int64_t period_ms = 100 * (int64_t)MS_PER_HOUR;
    const struct timestamp start = timestamp_of((FIXTURE_TIME_MS / period_ms + 2) * period_ms);
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    open_long_market();
    end_block();
    struct offer_place offer = {.market = fixture_name("long"),
                                .period_start = start,
                                .quantity = energy_of(100),
                                .price = energy_price_of(100),
                                .device = fixture_name("dev-ann"),
                                .options = {.kind = ORDER_FILL_AND_KILL}};
    for (int i = 0; i < OFFERS; i++)
        assert_error(CONTRACT_OK, fixture_act(&fixture, "ann", ACTION_OFFER_PLACE, &offer));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    uint8_t left = immediates();
    assert_in_range(left, 1, 40);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_CANCELLED);
    assert_int_equal(market_order(&fixture, OFFERS).status, ORDER_OPEN);
    struct request_place request = {.market = fixture_name("long"),
                                    .period_start = start,
                                    .quantity = energy_of(100),
                                    .price = energy_price_of(100)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "ben", ACTION_REQUEST_PLACE, &request));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(immediates(), 0);
    assert_int_equal(deals(), 0);
    assert_int_equal(market_order(&fixture, OFFERS).status, ORDER_CANCELLED);
    /* The request was still called with the block that took it. */
    offer.options.kind = ORDER_LIMIT;
    assert_error(CONTRACT_OK, fixture_act(&fixture, "ann", ACTION_OFFER_PLACE, &offer));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(deals(), 1);
    close_kinds();
}

static void test_room_for_the_end_of_an_order(void **state)
{
    (void)state;
    enum { HEAD = 3 };
    assert_in_range(codec_size_max(event_codec(EVENT_ORDER_CANCELLED)) +
                        codec_size_max(event_codec(EVENT_TOKEN_MOVED)) + 2 * HEAD,
                    1, BOOK_END_EVENT_BYTES);
    assert_in_range(codec_size_max(event_codec(EVENT_DEAL_MATCHED)) +
                        4 * codec_size_max(event_codec(EVENT_TOKEN_MOVED)) + 5 * HEAD,
                    1, BOOK_TRADE_EVENT_BYTES);
}

/* --- the place inside a block ------------------------------------------------------------- */

enum { BATCH = 10 };

/* What everybody has after two blocks: what rests, and a batch whose orders stand in any order. */
struct outcome {
    int64_t balance[TRADERS];
    int64_t open[TRADERS];
    uint64_t deals;
};

static struct row random_row(struct dice *dice, int trader, enum order_side side)
{
    struct row row = {.who = traders[trader],
                      .side = side,
                      .quantity = 20 * dice_between(dice, 1, 8),
                      .price = 100 + dice_between(dice, 0, 4),
                      .indivisible = dice_between(dice, 0, 3) == 0};
    if (dice_between(dice, 0, 2) == 0)
        row.kind = (uint8_t)dice_between(dice, 0, 2);
    if (dice_between(dice, 0, 3) == 0)
        row.least = 20 * dice_between(dice, 0, row.quantity / 20);
    return row;
}

static struct outcome run_blocks(uint64_t seed, struct dice *shuffle)
{
    struct dice dice = {seed};
    struct row rows[BATCH];
    struct outcome out = {.deals = 0};
    open_kinds(MECHANISM_BOOK_BATCH, TRADE_PRICE_RESTING, 0);
    for (int i = 0; i < TRADERS; i++) {
        struct row row = random_row(&dice, i, (enum order_side)dice_between(&dice, 0, 1));
        place(&row);
    }
    end_block();
    /* One of each side for everybody; nonces keep a participant's own in their order. */
    for (int i = 0; i < BATCH; i++)
        rows[i] = random_row(&dice, i % TRADERS, i < TRADERS ? SIDE_BUY : SIDE_SELL);
    int next[TRADERS] = {0};
    int order[BATCH];
    for (int i = 0; i < BATCH; i++)
        order[i] = i % TRADERS;
    for (int i = BATCH - 1; i > 0; i--) {
        int j = (int)dice_between(shuffle, 0, i);
        int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < BATCH; i++)
        place(&rows[order[i] + TRADERS * next[order[i]]++]);
    end_block();
    for (uint64_t id = 1; id <= market_counters(&fixture).orders; id++) {
        struct order_record record = market_order(&fixture, id);
        for (int i = 0; i < TRADERS; i++) {
            struct name name = fixture_name(traders[i]);
            if (name_compare(&name, &record.participant) == 0 && record.status == ORDER_OPEN)
                out.open[i] += energy_wh(record.open) * (record.side == SIDE_BUY ? 1 : 100000);
        }
    }
    for (int i = 0; i < TRADERS; i++)
        out.balance[i] = fixture_balance(&fixture, traders[i]);
    out.deals = deals();
    close_kinds();
    return out;
}

static void test_place_in_the_block_has_no_effect(void **state)
{
    (void)state;
    uint64_t traded = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct dice shuffle = {seed + 1000};
        struct outcome first = run_blocks(seed, &shuffle);
        for (int run = 0; run < 3; run++) {
            struct outcome other = run_blocks(seed, &shuffle);
            assert_memory_equal(&first, &other, sizeof first);
        }
        traded += first.deals;
    }
    assert_true(traded > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_table),
        cmocka_unit_test(test_sequential_table),
        cmocka_unit_test(test_trade_prices),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_validator_trades_in_sequence),
        cmocka_unit_test(test_too_many_to_meet),
        cmocka_unit_test(test_replace_keeps_time_or_not),
        cmocka_unit_test(test_replace_is_one_step),
        cmocka_unit_test(test_a_suspended_market_trades_nothing),
        cmocka_unit_test(test_a_closed_market_trades_nothing),
        cmocka_unit_test(test_many_misfits),
        cmocka_unit_test(test_immediate_orders_wait_with_their_book),
        cmocka_unit_test(test_ends_stop_at_their_work),
        cmocka_unit_test(test_room_for_the_end_of_an_order),
        cmocka_unit_test(test_place_in_the_block_has_no_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
