/* Capacity markets on the ledger: who may ask, the clearing at the gate with its money, what intraday
 * finds, clearings put off and void; and thousands of random requests against a model that shares nothing
 * with contracts/clear_*.c (docs/spec/capacity.md 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/book_internal.h"
#include "contracts/capacity.h"
#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/grid_fixture.h"

static struct fixture fixture;
static const char *const owners[] = {"alice", "bob", "carol", "agg", "agg2", "retail"};
enum { OWNERS = sizeof owners / sizeof owners[0], PERIOD = 4 };

static void capacity_terms(struct market_create *terms)
{
    market_terms(terms);
    terms->product = PRODUCT_CAPACITY_ALLOCATION;
    terms->clearing.mechanism = MECHANISM_CAPACITY;
}

static void open_day(void)
{
    struct market_create terms;
    market_open(&fixture);
    grid_small_network(&fixture);
    capacity_terms(&terms);
    grid_market(&fixture, "room", &terms);
}

static void audit(void)
{
    market_audit(&fixture, false);
    grid_audit(&fixture);
    grid_audit_holdings(&fixture);
}

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    audit();
}

static void close_day(void)
{
    fixture_end_block(&fixture);
    audit();
    fixture_close(&fixture);
}

/* Goes on to the first block at the gate of the period, and ends it. */
static void pass_gate(int period)
{
    int64_t gate = timestamp_ms(market_period(period)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    audit();
    end_block();
}

static enum contract_error ask(const char *market, const char *owner, enum direction direction,
                               int64_t quantity, int64_t price)
{
    return grid_ask(&fixture, market, owner, PERIOD, direction, quantity, price,
                    (struct order_options){0});
}

static void asked(const char *owner, int64_t quantity, int64_t price)
{
    assert_error(CONTRACT_OK, ask("room", owner, DIRECTION_DOWN, quantity, price));
}

/* --- terms and refusals --------------------------------------------------------------------- */

static void test_terms(void **state)
{
    (void)state;
    struct market_create terms;
#define ROW(expected, change)                                                                      \
    capacity_terms(&terms);                                                                        \
    terms.network = fixture_name("net");                                                           \
    change;                                                                                        \
    assert_error(expected, market_terms_check(&terms))
    ROW(CONTRACT_OK, (void)0);
    ROW(CONTRACT_OK, terms.clearing.payment = PAYMENT_PAY_AS_BID);
    ROW(CONTRACT_OK, terms.clearing.sharing = SHARING_FIRST_COME;
        terms.limits.price_max = energy_price_of(0));
    ROW(CONTRACT_OK, terms.clearing.sharing = SHARING_HIGHEST_DEMAND;
        terms.limits.price_max = energy_price_of(0));
    ROW(CONTRACT_BAD_TERM_SHARING, terms.clearing.sharing = SHARING_FIRST_COME);
    ROW(CONTRACT_BAD_TERM_PAYMENT, terms.clearing.sharing = SHARING_FIRST_COME;
        terms.limits.price_max = energy_price_of(0); terms.clearing.payment = PAYMENT_PAY_AS_BID);
    ROW(CONTRACT_BAD_TERM_NETWORK, terms.network = (struct name){{0}});
    ROW(CONTRACT_BAD_TERM_MECHANISM, terms.clearing.mechanism = MECHANISM_BOOK_BATCH);
    ROW(CONTRACT_BAD_TERM_DEPOSIT, terms.delivery.deposit_permille = 1;
        terms.delivery.penalty_price = energy_price_of(1));
    ROW(CONTRACT_BAD_TERM_MECHANISM, terms.clearing.mechanism = MECHANISM_COUPLED);
#undef ROW
}

static void test_refusals(void **state)
{
    (void)state;
    open_day();
    struct request_place good = {.market = fixture_name("room"),
                                 .direction = DIRECTION_DOWN,
                                 .period_start = market_period(PERIOD),
                                 .quantity = energy_of(2000),
                                 .price = energy_price_of(100),
                                 .device = fixture_name("at-alice")};
    struct request_place bad = good;
#define REFUSED(expected, sender)                                                                  \
    assert_error(expected, fixture_act(&fixture, sender, ACTION_REQUEST_PLACE, &bad));             \
    bad = good
    bad.device = (struct name){{0}};
    REFUSED(CONTRACT_UNSUPPORTED_ORDER, "alice");
    bad.options.kind = ORDER_FILL_AND_KILL;
    REFUSED(CONTRACT_UNSUPPORTED_ORDER, "alice");
    bad.options.rank = 1;
    REFUSED(CONTRACT_UNSUPPORTED_ORDER, "alice");
    bad.device = fixture_name("nothing");
    REFUSED(CONTRACT_UNKNOWN_DEVICE, "alice");
    REFUSED(CONTRACT_NOT_YOURS_TO_OFFER, "bob");
    bad.device = fixture_name("dev-alice"); /* not enrolled there */
    REFUSED(CONTRACT_NOT_ENROLLED, "alice");
    bad.quantity = energy_of(2010);
    REFUSED(CONTRACT_BAD_GRANULARITY, "alice");
    bad.options.min_quantity = energy_of(2020);
    REFUSED(CONTRACT_OUT_OF_RANGE, "alice");
    bad.period_start = market_period(0);
    REFUSED(CONTRACT_GATE_CLOSED, "alice");
#undef REFUSED
    struct offer_place offer = {.market = good.market,
                                .direction = DIRECTION_DOWN,
                                .period_start = good.period_start,
                                .quantity = good.quantity,
                                .price = good.price,
                                .device = good.device};
    assert_error(CONTRACT_UNSUPPORTED_ORDER,
                 fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &offer));
    /* A connection of 12 kW is 6000 Wh in half an hour, in each direction of its own. */
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_REQUEST_PLACE, &good));
    asked("alice", 4000, 100);
    assert_error(CONTRACT_OVER_CONNECTION, ask("room", "alice", DIRECTION_DOWN, 20, 100));
    assert_error(CONTRACT_OK, ask("room", "alice", DIRECTION_UP, 4000, 100));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 2));
    asked("alice", 4000, 200);
    /* Less of it keeps its place, and frees the rest. */
    struct order_replace less = {
        .order = 4, .quantity = energy_of(2000), .price = energy_price_of(200)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_ORDER_REPLACE, &less));
    asked("alice", 2000, 300);
    assert_error(CONTRACT_OVER_CONNECTION, ask("room", "alice", DIRECTION_DOWN, 20, 100));
    /* At another price it is another request, which holds the same. */
    struct order_replace dearer = {
        .order = 4, .quantity = energy_of(2000), .price = energy_price_of(400)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_ORDER_REPLACE, &dearer));
    assert_int_equal(market_order(&fixture, 4).status, ORDER_CANCELLED);
    assert_error(CONTRACT_OVER_CONNECTION, ask("room", "alice", DIRECTION_DOWN, 20, 100));
    close_day();
}

/* --- worked examples ------------------------------------------------------------------------ */

/* docs/spec/capacity.md 2, "Three cars behind one feeder". */
static void test_worked_example(void **state)
{
    (void)state;
    open_day();
    grid_publish(&fixture, "trafo", PERIOD, 10000, 0);
    grid_publish(&fixture, "f1", PERIOD, 4000, 0);
    grid_publish(&fixture, "leaf", PERIOD, 3000, 0);
    grid_publish(&fixture, "f2", PERIOD, 8000, 0);
    asked("alice", 1000, 90000);
    asked("bob", 1500, 60000);
    asked("agg2", 800, 50000);
    asked("carol", 2000, 40001);
    end_block();
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 4), 80002);
    int64_t dso = fixture_balance(&fixture, "dso");
    pass_gate(PERIOD);
    /* leaf carries 1500 Wh, f1 2000: alice 1000, bob the 1000 that f1 leaves, agg2 nothing. */
    struct allocation_record alice = grid_allocation(&fixture, 1);
    struct allocation_record bob = grid_allocation(&fixture, 2);
    struct allocation_record agg2 = grid_allocation(&fixture, 3);
    struct allocation_record carol = grid_allocation(&fixture, 4);
    assert_int_equal(energy_wh(alice.granted), 1000);
    assert_int_equal(energy_wh(bob.granted), 1000);
    assert_int_equal(energy_wh(agg2.granted), 0);
    assert_int_equal(energy_wh(carol.granted), 2000);
    struct name f1 = fixture_name("f1");
    assert_true(name_is_empty(&alice.limited_by));
    assert_int_equal(name_compare(&bob.limited_by, &f1), 0);
    assert_int_equal(name_compare(&agg2.limited_by, &f1), 0);
    /* f1 cut bob at 60,000, which is not above the lowest that it accepted. */
    assert_int_equal(energy_price_ueur_per_kwh(alice.price), 60000);
    assert_int_equal(energy_price_ueur_per_kwh(bob.price), 60000);
    assert_int_equal(energy_price_ueur_per_kwh(carol.price), 0);
    assert_int_equal(money_ueur(alice.paid), 60000);
    assert_int_equal(money_ueur(bob.paid), 60000);
    assert_int_equal(fixture_balance(&fixture, "dso"), dso + 120000);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_EXPIRED);
    assert_int_equal(energy_wh(market_order(&fixture, 2).open), 500);
    assert_int_equal(power_w(grid_record(&fixture, "f1", PERIOD, 1).import_sold), 4000);
    close_day();
}

/* Feeders are zones of their own, each a market; one that couples them takes devices of both, and their
 * requests meet at the transformer: of its 2000 Wh alice, in z1, has 1500 by price, and carol's other
 * device, in z2, what is left. A market of z1 alone refuses it, and so does a right looked up later. */
static void test_coupled_zones(void **state)
{
    (void)state;
    struct market_create terms;
    open_day();
    capacity_terms(&terms);
    terms.zones[0].name = fixture_name("z2");
    terms.zones[1].name = fixture_name("z3");
    terms.zone_count = 2;
    grid_market(&fixture, "wide", &terms);
    struct device_register device = {.id = fixture_name("in-z2"),
                                     .type = DEVICE_EV,
                                     .max_power = power_of(10000),
                                     .connection = power_of(12000),
                                     .node = fixture_name("f2"),
                                     .feeder = fixture_name("f2"),
                                     .zone = fixture_name("z2"),
                                     .meter_key = fixture_key("in-z2")};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "carol", ACTION_DEVICE_REGISTER, &device));
    struct device_status active = {.device = device.id, .status = STATUS_ACTIVE};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &active));
    struct device_enrol enrol = {
        .device = device.id, .market = fixture_name("room"), .enrolled = 1};
    assert_error(CONTRACT_WRONG_ZONE, fixture_act(&fixture, "carol", ACTION_DEVICE_ENROL, &enrol));
    enrol.market = fixture_name("wide");
    assert_error(CONTRACT_OK, fixture_act(&fixture, "carol", ACTION_DEVICE_ENROL, &enrol));
    static const char *const nodes[] = {"trafo", "f1", "leaf", "f2"};
    for (size_t i = 0; i < 4; i++)
        grid_publish(&fixture, nodes[i], PERIOD, 4000, 0);
    assert_error(CONTRACT_OK, ask("wide", "alice", DIRECTION_DOWN, 1500, 90000));
    struct request_place request = {.market = fixture_name("wide"),
                                    .direction = DIRECTION_DOWN,
                                    .period_start = market_period(PERIOD),
                                    .quantity = energy_of(1500),
                                    .price = energy_price_of(50000),
                                    .device = device.id};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "carol", ACTION_REQUEST_PLACE, &request));
    request.market = fixture_name("room");
    assert_error(CONTRACT_WRONG_ZONE,
                 fixture_act(&fixture, "carol", ACTION_REQUEST_PLACE, &request));
    pass_gate(PERIOD);
    struct allocation_record carol = grid_allocation(&fixture, 2);
    struct name trafo = fixture_name("trafo");
    assert_int_equal(energy_wh(grid_allocation(&fixture, 1).granted), 1500);
    assert_int_equal(energy_wh(carol.granted), 500);
    assert_int_equal(name_compare(&carol.limited_by, &trafo), 0);
    close_day();
}

/* Intraday: a second market of the same network finds what the first one left, more once more is
 * published, and nothing where less is enforced. */
static void test_intraday(void **state)
{
    (void)state;
    struct market_create terms;
    open_day();
    capacity_terms(&terms);
    terms.times.gate_closure = duration_of(MARKET_GATE_MS / 3);
    terms.clearing.payment = PAYMENT_PAY_AS_BID;
    grid_market(&fixture, "intraday", &terms);
    static const char *const nodes[] = {"trafo", "f1", "leaf", "f2"};
    for (size_t i = 0; i < 4; i++)
        grid_publish(&fixture, nodes[i], PERIOD, 4000, 0);
    asked("alice", 1200, 5000);
    pass_gate(PERIOD);
    assert_int_equal(energy_wh(grid_allocation(&fixture, 1).granted), 1200);
    assert_error(CONTRACT_OK, ask("intraday", "carol", DIRECTION_DOWN, 1000, 7000));
    assert_error(CONTRACT_CAPACITY_SOLD,
                 grid_try_publish(&fixture, "trafo", PERIOD, 2300, 0, false));
    assert_error(CONTRACT_OK, grid_try_publish(&fixture, "trafo", PERIOD, 2500, 0, false));
    int64_t gate = timestamp_ms(market_period(PERIOD)) - MARKET_GATE_MS / 3;
    int64_t carol = fixture_balance(&fixture, "carol");
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    end_block();
    /* 2500 W less 2400 are 50 Wh: two steps; 40 Wh at 7000. */
    assert_int_equal(energy_wh(grid_allocation(&fixture, 2).granted), 40);
    assert_int_equal(money_ueur(grid_allocation(&fixture, 2).paid), 280);
    assert_int_equal(fixture_balance(&fixture, "carol"), carol + 7000 - 280);
    close_day();
}

/* What is not published is not for sale; one node of the path without its figures is enough. */
static void test_unpublished(void **state)
{
    (void)state;
    open_day();
    grid_publish(&fixture, "trafo", PERIOD, 10000, 0);
    grid_publish(&fixture, "f1", PERIOD, 10000, 0);
    asked("alice", 1000, 1000);
    asked("bob", 1000, 1000);
    pass_gate(PERIOD);
    struct name leaf = fixture_name("leaf");
    struct allocation_record alice = grid_allocation(&fixture, 1);
    assert_int_equal(energy_wh(alice.granted), 0);
    assert_int_equal(name_compare(&alice.limited_by, &leaf), 0);
    assert_int_equal(energy_wh(grid_allocation(&fixture, 2).granted), 1000);
    close_day();
}

/* A market that is not open at its gate, and one whose clearing comes after delivery has begun, grant
 * nothing; nor does a request whose right has gone. */
static void test_void(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        open_day();
        static const char *const nodes[] = {"trafo", "f1", "leaf", "f2"};
        for (size_t i = 0; i < 4; i++)
            grid_publish(&fixture, nodes[i], PERIOD, 40000, 0);
        int64_t before = fixture_balance(&fixture, "alice");
        asked("alice", 1000, 1000);
        end_block();
        struct market_set_state suspend = {fixture_name("room"), MARKET_SUSPENDED};
        struct device_status retire = {fixture_name("at-alice"), STATUS_SUSPENDED};
        if (which == 0)
            assert_error(CONTRACT_OK,
                         fixture_act(&fixture, "operator", ACTION_MARKET_STATE, &suspend));
        if (which == 2)
            assert_error(CONTRACT_OK, fixture_act(&fixture, "dso", ACTION_DEVICE_STATUS, &retire));
        if (which == 1)
            fixture_next_block(&fixture, timestamp_ms(market_period(PERIOD)) -
                                             timestamp_ms(fixture.context.time));
        pass_gate(which == 1 ? PERIOD + 1 : PERIOD);
        assert_int_equal(market_order(&fixture, 1).status, ORDER_EXPIRED);
        assert_int_equal(fixture_balance(&fixture, "alice"),
                         before - FIXTURE_FEE_PER_TX - FIXTURE_FEE_PER_ACTION);
        assert_int_equal(power_w(grid_record(&fixture, "trafo", PERIOD, 0).import_sold), 0);
        close_day();
    }
}

/* --- put off -------------------------------------------------------------------------------- */

/* A block that has no room for a second book's events leaves it whole to the next one; its orders do not
 * expire meanwhile. */
static void test_put_off(void **state)
{
    (void)state;
    open_day();
    static const char *const nodes[] = {"trafo", "f1", "leaf", "f2"};
    for (size_t i = 0; i < 4; i++)
        grid_publish(&fixture, nodes[i], PERIOD, 40000, 40000);
    asked("alice", 1000, 1000);
    assert_error(CONTRACT_OK, ask("room", "bob", DIRECTION_UP, 1000, 1000));
    int64_t gate = timestamp_ms(market_period(PERIOD)) - MARKET_GATE_MS;
    fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
    /* As if the block had had that much to do before the second one. */
    struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    byte_writer_init(&fixture.ledger->events, fixture.ledger->block_events,
                     sizeof fixture.ledger->block_events);
    size_t full = fixture.ledger->events.capacity;
    fixture.ledger->events.capacity = BOOK_EVENTS_RESERVE;
    capacity_clear_due(&call); /* auctions have left no room for events */
    assert_int_equal(market_order(&fixture, 2).status, ORDER_OPEN);
    /* Room for the first one's, and not for the second's. */
    fixture.ledger->events.capacity = BOOK_EVENTS_RESERVE + CAPACITY_EVENT_BYTES + 64;
    capacity_clear_due(&call);
    fixture.ledger->events.capacity = full;
    assert_int_equal(market_order(&fixture, 2).status, ORDER_FILLED);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_OPEN);
    struct order_record waiting = market_order(&fixture, 1);
    struct market_record market;
    struct state_key key = state_key_name(STATE_MARKET, &waiting.market);
    assert_true(ledger_read(fixture.view, &key, &market_record_codec, &market));
    struct book_id book = {waiting.market, waiting.direction, waiting.period_start};
    assert_true(capacity_waits(&call, &book, &market.terms));
    delivery_module.block_end(&call);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_OPEN);
    end_block();
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    close_day();
}

/* --- the place in a block -------------------------------------------------------------------- */

static void test_place_in_the_block_has_no_effect(void **state)
{
    (void)state;
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    int64_t first[4];
    for (size_t turn = 0; turn < 4; turn++) {
        int64_t granted[4];
        uint64_t ids[4];
        open_day();
        static const char *const nodes[] = {"trafo", "f1", "leaf", "f2"};
        for (size_t i = 0; i < 4; i++)
            grid_publish(&fixture, nodes[i], PERIOD, 5000, 0);
        end_block();
        for (size_t i = 0; i < 4; i++) {
            asked(owners[orders[turn][i]], 1000, 1000);
            ids[orders[turn][i]] = market_counters(&fixture).orders;
        }
        pass_gate(PERIOD);
        for (size_t i = 0; i < 4; i++)
            granted[i] = energy_wh(grid_allocation(&fixture, ids[i]).granted);
        if (turn == 0)
            memcpy(first, granted, sizeof first);
        assert_memory_equal(first, granted, sizeof first);
        close_day();
    }
}

/* --- random markets against a model ---------------------------------------------------------- */

enum { MODEL_REQUESTS = 24 };
struct model {
    size_t count;
    struct order_record order[MODEL_REQUESTS];
    uint64_t id[MODEL_REQUESTS];
    int64_t granted[MODEL_REQUESTS];
    char refused_by[MODEL_REQUESTS][8];
    int64_t price[MODEL_REQUESTS];
};
static const char *const model_nodes[] = {"trafo", "f1", "f2", "leaf"};
static const int model_parent[] = {-1, 0, 0, 1};
static const char *const model_place[OWNERS] = {"leaf", "f1", "f2", "f2", "leaf", "trafo"};

static int owner_index(const struct name *name)
{
    for (int i = 0; i < OWNERS; i++) {
        struct name owner = fixture_name(owners[i]);
        if (name_compare(name, &owner) == 0)
            return i;
    }
    MUST(false);
    return -1;
}

static int node_of(const struct order_record *order)
{
    const char *place = model_place[owner_index(&order->participant)];
    for (int i = 0; i < 4; i++)
        if (strcmp(model_nodes[i], place) == 0)
            return i;
    MUST(false);
    return -1;
}

/* Whether x is served before y; a selection sort over it is slow, and plain. */
static bool before(const struct model *model, uint8_t sharing, size_t x, size_t y)
{
    const struct order_record *a = &model->order[x];
    const struct order_record *b = &model->order[y];
    int64_t lead = 0;
    if (sharing == SHARING_PREMIUM)
        lead = energy_price_ueur_per_kwh(a->price) - energy_price_ueur_per_kwh(b->price);
    if (sharing == SHARING_HIGHEST_DEMAND)
        lead = energy_wh(a->open) - energy_wh(b->open);
    if (lead != 0)
        return lead > 0;
    if (a->height != b->height)
        return a->height < b->height;
    if (a->tie != b->tie)
        return a->tie < b->tie;
    return model->id[x] < model->id[y];
}

/* What a node leaves of one period, in Wh, from the records as they stand before the clearing. */
static int64_t left_wh(int node, uint8_t direction)
{
    int64_t least = INT64_MAX;
    for (int slot = 0; slot < MARKET_UNITS; slot++) {
        struct name network = fixture_name("net");
        struct name id = fixture_name(model_nodes[node]);
        struct capacity_record record = {0};
        struct state_key key = state_key_capacity(
            &network, &id,
            timestamp_of(timestamp_ms(market_period(PERIOD)) + slot * (int64_t)MARKET_MTU_MS));
        int64_t left = 0;
        if (ledger_read(fixture.view, &key, &capacity_record_codec, &record) && record.revision > 0)
            left = direction == DIRECTION_DOWN
                       ? power_w(record.import_limit) - power_w(record.import_sold)
                       : power_w(record.export_limit) - power_w(record.export_sold);
        least = left < least ? left : least;
    }
    return least <= 0 ? 0 : least / 4 * MARKET_UNITS;
}

/* Walks the requests of one direction in their order, and prices each node by what it turned away. */
static void model_share(struct model *model, const struct market_create *terms, uint8_t direction)
{
    int64_t left[4];
    int64_t lowest[4];
    int64_t node_price[4] = {0};
    bool done[MODEL_REQUESTS] = {false};
    int limiter[MODEL_REQUESTS];
    for (int i = 0; i < 4; i++) {
        left[i] = left_wh(i, direction);
        lowest[i] = -1;
    }
    for (size_t turn = 0; turn < model->count; turn++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < model->count; i++)
            if (!done[i] && model->order[i].direction == direction &&
                (best == SIZE_MAX || before(model, terms->clearing.sharing, i, best)))
                best = i;
        if (best == SIZE_MAX)
            break;
        done[best] = true;
        limiter[best] = -1;
        const struct order_record *order = &model->order[best];
        int64_t asked_wh = energy_wh(order->open);
        int64_t need =
            order->options.indivisible ? asked_wh : energy_wh(order->options.min_quantity);
        need = need > MARKET_STEP_WH ? need : MARKET_STEP_WH;
        int64_t got = asked_wh;
        for (int at = node_of(order); at >= 0; at = model_parent[at]) {
            int64_t fits = left[at] / MARKET_STEP_WH * MARKET_STEP_WH;
            got = fits < got ? fits : got;
        }
        int64_t blocked_under = got < need ? need : MARKET_STEP_WH;
        if (got < need)
            got = 0;
        for (int at = node_of(order); at >= 0 && got > 0; at = model_parent[at]) {
            left[at] -= got;
            int64_t price = energy_price_ueur_per_kwh(order->price);
            lowest[at] = lowest[at] < 0 || price < lowest[at] ? price : lowest[at];
        }
        for (int at = node_of(order); at >= 0 && got < asked_wh && limiter[best] < 0;
             at = model_parent[at])
            if (left[at] < blocked_under)
                limiter[best] = at;
        model->granted[best] = got;
        snprintf(model->refused_by[best], sizeof model->refused_by[best], "%s",
                 limiter[best] < 0 ? "" : model_nodes[limiter[best]]);
    }
    for (size_t i = 0; i < model->count; i++) {
        int64_t price = energy_price_ueur_per_kwh(model->order[i].price);
        if (done[i] && limiter[i] >= 0 && price <= lowest[limiter[i]] &&
            price > node_price[limiter[i]])
            node_price[limiter[i]] = price;
    }
    for (size_t i = 0; i < model->count; i++) {
        int64_t highest = 0;
        for (int at = done[i] ? node_of(&model->order[i]) : -1; at >= 0; at = model_parent[at])
            highest = node_price[at] > highest ? node_price[at] : highest;
        if (!done[i] || model->granted[i] == 0)
            continue;
        model->price[i] = terms->clearing.sharing != SHARING_PREMIUM ? 0
                          : terms->clearing.payment == PAYMENT_UNIFORM
                              ? highest
                              : energy_price_ueur_per_kwh(model->order[i].price);
    }
}

/* Requests that stand, as the records have them. */
static void model_load(struct model *model)
{
    memset(model, 0, sizeof *model);
    uint64_t count = market_counters(&fixture).orders;
    for (uint64_t id = 1; id <= count; id++) {
        struct order_record order = market_order(&fixture, id);
        if (order.status == ORDER_OPEN) {
            MUST(model->count < MODEL_REQUESTS);
            model->id[model->count] = id;
            model->order[model->count++] = order;
        }
    }
}

/* Holds the ledger to the model: grants, prices, reasons, and to the micro-euro who paid what. */
static void check_outcome(const struct model *model, const int64_t balance[OWNERS], int64_t dso)
{
    int128 owed[OWNERS][2] = {{0}}; /* import and export are a clearing each */
    int64_t back[OWNERS] = {0};
    int128 total[2] = {0};
    for (size_t i = 0; i < model->count; i++) {
        struct allocation_record record = grid_allocation(&fixture, model->id[i]);
        struct order_record order = market_order(&fixture, model->id[i]);
        char text[NAME_SIZE + 1] = "";
        int who = owner_index(&record.participant);
        assert_int_equal(energy_wh(record.granted), model->granted[i]);
        assert_int_equal(energy_price_ueur_per_kwh(record.price), model->price[i]);
        if (!name_is_empty(&record.limited_by))
            name_to_text(text, &record.limited_by);
        assert_string_equal(text, model->refused_by[i]);
        assert_true(model->price[i] <= energy_price_ueur_per_kwh(order.price));
        assert_int_equal(energy_wh(order.open), energy_wh(record.asked) - model->granted[i]);
        owed[who][order.direction] += (int128)model->price[i] * model->granted[i];
        total[order.direction] += (int128)model->price[i] * model->granted[i];
        back[who] +=
            (energy_price_ueur_per_kwh(order.price) * energy_wh(record.asked) + 999) / 1000;
    }
    for (int i = 0; i < OWNERS; i++)
        assert_int_equal(fixture_balance(&fixture, owners[i]),
                         balance[i] + back[i] - (int64_t)((owed[i][0] + 999) / 1000) -
                             (int64_t)((owed[i][1] + 999) / 1000));
    assert_int_equal(fixture_balance(&fixture, "dso"),
                     dso + (int64_t)(total[0] / 1000) + (int64_t)(total[1] / 1000));
}

static void place_at_random(struct dice *dice, const struct market_create *terms)
{
    for (int i = 0; i < MODEL_REQUESTS; i++) {
        bool premium = terms->clearing.sharing == SHARING_PREMIUM;
        struct order_options options = {0};
        int64_t quantity = MARKET_STEP_WH * dice_between(dice, 1, 60);
        if (dice_between(dice, 0, 3) == 0)
            options.indivisible = 1;
        else if (dice_between(dice, 0, 2) == 0)
            options.min_quantity =
                energy_of(MARKET_STEP_WH * dice_between(dice, 1, quantity / MARKET_STEP_WH));
        enum contract_error error =
            grid_ask(&fixture, "room", owners[dice_between(dice, 0, OWNERS - 1)], PERIOD,
                     (enum direction)dice_between(dice, 0, 1), quantity,
                     premium ? 7 * dice_between(dice, 0, 9) : 0, options);
        assert_true(error == CONTRACT_OK || error == CONTRACT_OVER_CONNECTION);
        if (dice_between(dice, 0, 4) == 0)
            end_block();
    }
}

/* TURNS=n in the environment runs more of them. */
static void test_random_markets(void **state)
{
    (void)state;
    static const struct {
        uint8_t sharing, payment;
    } rules[] = {{SHARING_PREMIUM, PAYMENT_UNIFORM},
                 {SHARING_PREMIUM, PAYMENT_PAY_AS_BID},
                 {SHARING_FIRST_COME, PAYMENT_UNIFORM},
                 {SHARING_HIGHEST_DEMAND, PAYMENT_UNIFORM}};
    const char *turns = getenv("TURNS");
    long rounds = turns == NULL ? 48 : strtol(turns, NULL, 10);
    struct dice dice = {7};
    size_t cut = 0;
    for (long round = 0; round < rounds; round++) {
        struct market_create terms;
        static struct model model;
        int64_t balance[OWNERS];
        market_open(&fixture);
        grid_small_network(&fixture);
        capacity_terms(&terms);
        terms.clearing.sharing = rules[round % 4].sharing;
        terms.clearing.payment = rules[round % 4].payment;
        if (terms.clearing.sharing != SHARING_PREMIUM)
            terms.limits.price_max = energy_price_of(0);
        grid_market(&fixture, "room", &terms);
        for (size_t i = 0; i < 4; i++)
            if (dice_between(&dice, 0, 9) != 0)
                grid_publish(&fixture, model_nodes[i], PERIOD, dice_between(&dice, 0, 9000),
                             dice_between(&dice, 0, 9000));
        place_at_random(&dice, &terms);
        int64_t gate = timestamp_ms(market_period(PERIOD)) - MARKET_GATE_MS;
        fixture_next_block(&fixture, gate - timestamp_ms(fixture.context.time));
        audit();
        model_load(&model);
        model_share(&model, &terms, DIRECTION_DOWN);
        model_share(&model, &terms, DIRECTION_UP);
        for (int i = 0; i < OWNERS; i++)
            balance[i] = fixture_balance(&fixture, owners[i]);
        int64_t dso = fixture_balance(&fixture, "dso");
        end_block();
        check_outcome(&model, balance, dso);
        for (size_t i = 0; i < model.count; i++)
            cut += model.granted[i] > 0 && model.granted[i] < energy_wh(model.order[i].open);
        close_day();
    }
    assert_true(cut > 0 || rounds < 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_coupled_zones),
        cmocka_unit_test(test_intraday),
        cmocka_unit_test(test_unpublished),
        cmocka_unit_test(test_void),
        cmocka_unit_test(test_put_off),
        cmocka_unit_test(test_place_in_the_block_has_no_effect),
        cmocka_unit_test(test_random_markets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
