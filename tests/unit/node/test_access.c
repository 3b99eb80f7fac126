/* The rules of read access, reader by reader and kind by kind: a table that is written here and nowhere
 * else, over all kinds of records and events that the ledger has, so that one that comes without a row
 * fails; and what tells nothing: absent records, suspended readers, readers whose key has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the above. */
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/dispatch.h"
#include "node/api_internal.h"
#include "tests/lib/node/access_world.h"

static struct access_world world;

/* A column per reader, in the order of access_readers:
 *   anna bob retailer agg dso dso2 operator meters treasurer regulator suspended */
#define ALL "11111111111"
#define OPERATOR "00000010010"
#define DEVICE "10101010010"
#define ORDER "10110010010"
#define DEAL "10111010010"
#define BOOK "00001010010"
#define SHARE "00010010010"

static const struct {
    enum state_kind kind;
    const char *sees;
} kinds[] = {
    {STATE_PARAMS, ALL},
    {STATE_PARTICIPANT, "10000010010"},
    {STATE_KEY, "10000010010"},
    {STATE_POT, "10000000010"},
    {STATE_SUPPLY, ALL},
    {STATE_RECEIPT, "00000000110"},
    {STATE_DEVICE, "10101011010"},
    {STATE_ENROLMENT, DEVICE},
    {STATE_COMMITMENT, DEVICE},
    {STATE_MARKET, ALL},
    {STATE_ORDER, ORDER},
    {STATE_BOOK, ORDER},
    {STATE_DEAL, DEAL},
    {STATE_DEADLINE, OPERATOR},
    {STATE_BATCH, ALL},
    {STATE_DIGEST, ALL},
    {STATE_COUNTERS, OPERATOR},
    {STATE_CLOCK, ALL},
    {STATE_USED, DEVICE},
    {STATE_BOOK_SIZE, BOOK},
    {STATE_BOOK_LATE, BOOK},
    {STATE_GOVERNANCE, ALL},
    {STATE_PROPOSAL, ALL},
    {STATE_VALIDATOR, ALL},
    {STATE_EVIDENCE, ALL},
    {STATE_TERMS, ALL},
    {STATE_DRAFT, ALL},
    {STATE_CHANGE, ALL},
    {STATE_BOOK_SHARE, SHARE},
    {STATE_CAPACITY, ALL},
    {STATE_RESERVATION, DEAL},
    {STATE_DISPUTE, DEAL},
    {STATE_RELIABILITY, "00011110010"},
    {STATE_FINGERPRINT, ALL},
    {STATE_ALIAS, "00011010010"},
    {STATE_IMMEDIATE, ORDER},
    {STATE_FORECAST, "10001110010"},
    {STATE_DISPATCH, "10101110010"},
    {STATE_NETWORK, ALL},
    {STATE_NETWORK_NODE, ALL},
    {STATE_ALLOCATION, "10110110010"},
    {STATE_HOLDING, DEVICE},
    {STATE_BOOK_GATE, OPERATOR},
    {STATE_CLEARING, OPERATOR},
    {STATE_AUCTION, BOOK},
    {STATE_AUCTION_DUE, OPERATOR},
    {STATE_AUCTION_BIDDER, SHARE},
    {STATE_AUCTION_TOTAL, BOOK},
    {STATE_COUPLED, BOOK},
    {STATE_COUPLED_DUE, OPERATOR},
    {STATE_COUPLED_PAGE, ALL},
    {STATE_COUPLED_SOLVER, SHARE},
    {STATE_COUPLED_BID, ORDER},
    {STATE_PORTFOLIO, ORDER},
    {STATE_COUPLED_SIDE, SHARE},
    {STATE_NETWORK_LINE, ALL},
    {STATE_NETWORK_ROW, ALL},
};

static const char *expected_of(enum state_kind kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind)
            return kinds[i].sees;
    }
    return NULL;
}

static void test_every_kind_and_every_reader(void **state)
{
    (void)state;
    for (int kind = 0; kind < STATE_KIND_LIMIT; kind++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)kind);
        struct bytes_view value = {NULL, 0};
        if (info == NULL)
            continue;
        const char *sees = expected_of(info->kind);
        const struct state_key *key = access_world_find(&world, info->kind, &value);
        if (!access_has_rule(info->kind) || sees == NULL || key == NULL) {
            print_error("%s: no rule, no row here, or no record in the world\n", info->name);
            fail();
            return;
        }
        assert_int_equal(strlen(sees), WORLD_READERS);
        for (int reader = 0; reader < WORLD_READERS; reader++) {
            const struct access access = access_world_reader(&world, reader);
            bool may = access_record(&access, &world.base, info->kind,
                                     bytes_view_of(key->bytes, key->size), value);
            if (may != (sees[reader] == '1')) {
                print_error("%s: %s %s it\n", info->name, access_readers[reader],
                            may ? "sees" : "does not see");
                fail();
            }
        }
        const struct access open = access_open();
        assert_true(access_record(&open, &world.base, info->kind,
                                  bytes_view_of(key->bytes, key->size), value));
    }
}

/* What is not there may be told to whom the key alone gives the right, and to nobody else. */
static void test_absent_records(void **state)
{
    static const struct {
        enum state_kind kind;
        const char *id;
        const char *sees;
    } rows[] = {
        {STATE_PARAMS, "params", ALL},
        {STATE_PARTICIPANT, "anna", "10000010010"},
        {STATE_PARTICIPANT, "nobody", OPERATOR},
        {STATE_POT, "balance/anna", "10000000010"},
        {STATE_POT, "balance/nobody", "00000000010"},
        {STATE_POT, "dispute_bond/1", "00011000010"},
        {STATE_POT, "dispute_bond/99", "00000000010"},
        {STATE_POT, "fees", ALL},
        {STATE_POT, "market_reserve/west", ALL},
        {STATE_DEVICE, "battery", "00000011010"},
        {STATE_DEVICE, "nothing", "00000011010"},
        {STATE_ORDER, "99", OPERATOR},
        {STATE_DEAL, "99", OPERATOR},
        {STATE_DISPUTE, "99", OPERATOR},
        {STATE_ALIAS, "battery", OPERATOR},
        {STATE_COMMITMENT, "battery/900000/down", DEVICE},
        {STATE_COMMITMENT, "nothing/900000/down", OPERATOR},
        {STATE_BOOK_SIZE, "west/900000/down", BOOK},
        /* By the network that the market trades, in a zone that is not on the list. */
        {STATE_BOOK_SIZE, "north/900000/up", "00000110010"},
        {STATE_BOOK_SIZE, "nothing/900000/up", OPERATOR},
        {STATE_FORECAST, "dso/load/900000/1", ALL},
        {STATE_FORECAST, "nobody/load/900000/1", "00001110010"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct state_key key;
        assert_true(state_key_from_text(&key, rows[i].kind, rows[i].id));
        for (int reader = 0; reader < WORLD_READERS; reader++) {
            const struct access access = access_world_reader(&world, reader);
            bool may = access_record(&access, &world.base, rows[i].kind,
                                     bytes_view_of(key.bytes, key.size), bytes_view_of(NULL, 0));
            if (may != (rows[i].sees[reader] == '1')) {
                print_error("absent %s %s: %s\n", state_kind_info(rows[i].kind)->name, rows[i].id,
                            access_readers[reader]);
                fail();
            }
        }
    }
}

/* A delegation ends, and with it what the retailer sees; what the owner sees stays. */
static void test_management_ends(void **state)
{
    (void)state;
    struct access access = access_world_reader(&world, WORLD_RETAILER);
    assert_true(access_deal_id(&access, &world.base, 1));
    access.now = timestamp_of(2000);
    assert_false(access_deal_id(&access, &world.base, 1));
    access.now = timestamp_of(999);
    assert_false(access_order_id(&access, &world.base, 1));
    access = access_world_reader(&world, WORLD_ANNA);
    access.now = timestamp_of(2000);
    assert_true(access_deal_id(&access, &world.base, 1));
    /* Managing alone doesn't make a customer: an aggregator in the retailer's place sees the device. */
    access = access_world_reader(&world, WORLD_RETAILER);
    access.roles = ROLE_AGGREGATOR;
    assert_false(access_deal_id(&access, &world.base, 1));
}

/* A retailer that takes a customer over is not told what the one before it traded, nor what the next will. */
static void test_management_begins(void **state)
{
    static const struct {
        int64_t period_start_ms;
        bool sees;
    } rows[] = {{999, false}, {1000, true}, {1999, true}, {2000, false}};
    (void)state;
    struct bytes_view value;
    struct deal_record deal;
    struct order_record order;
    const struct access retailer = access_world_reader(&world, WORLD_RETAILER);
    const struct access owner = access_world_reader(&world, WORLD_ANNA);
    (void)access_world_find(&world, STATE_DEAL, &value);
    assert_true(codec_decode_all(&deal_record_codec, &deal, value));
    (void)access_world_find(&world, STATE_ORDER, &value);
    assert_true(codec_decode_all(&order_record_codec, &order, value));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        deal.period_start = timestamp_of(rows[i].period_start_ms);
        order.period_start = timestamp_of(rows[i].period_start_ms);
        assert_int_equal(access_deal(&retailer, &world.base, &deal), rows[i].sees);
        assert_int_equal(access_order(&retailer, &world.base, &order), rows[i].sees);
        assert_true(access_deal(&owner, &world.base, &deal));
    }
}

/* --- events --------------------------------------------------------------------------------- */

static _Alignas(16) uint8_t event_record[4096];

/* An event of that type about the world's order, deal and people. */
static void fill_event(uint8_t type)
{
    struct bytes_view value;
    memset(event_record, 0, sizeof event_record);
    const uint64_t one = 1;
    struct event_order_placed placed;
    struct event_deal deal;
    switch (type) {
    case EVENT_ORDER_PLACED:
        memset(&placed, 0, sizeof placed);
        placed.id = 1;
        (void)access_world_find(&world, STATE_ORDER, &value);
        assert_true(codec_decode_all(&order_record_codec, &placed.order, value));
        memcpy(event_record, &placed, sizeof placed);
        break;
    case EVENT_DEAL_MATCHED:
    case EVENT_DEAL_ENDED:
    case EVENT_DEAL_PROVEN:
        memset(&deal, 0, sizeof deal);
        deal.id = 1;
        (void)access_world_find(&world, STATE_DEAL, &value);
        assert_true(codec_decode_all(&deal_record_codec, &deal.deal, value));
        memcpy(event_record, &deal, sizeof deal);
        break;
    case EVENT_TOKEN_MOVED:
        ((struct event_token_moved *)(void *)event_record)->from =
            (struct pot_id){.kind = POT_BALANCE, .participant = access_name("anna")};
        ((struct event_token_moved *)(void *)event_record)->to =
            (struct pot_id){.kind = POT_BALANCE, .participant = access_name("bob")};
        break;
    case EVENT_FEES_SPLIT:
        ((struct event_fees_split *)(void *)event_record)->operator_name = access_name("agg");
        break;
    case EVENT_FORECAST:
        ((struct event_forecast *)(void *)event_record)->publisher = access_name("anna");
        ((struct event_forecast *)(void *)event_record)->series = access_name("load");
        ((struct event_forecast *)(void *)event_record)->start = timestamp_of(900000);
        ((struct event_forecast *)(void *)event_record)->version = 1;
        break;
    case EVENT_DISPATCH:
        ((struct event_dispatch *)(void *)event_record)->device = access_name("battery");
        ((struct event_dispatch *)(void *)event_record)->start = timestamp_of(900000);
        ((struct event_dispatch *)(void *)event_record)->by = access_name("dso2");
        break;
    case EVENT_AUCTION:
        ((struct event_auction *)(void *)event_record)->market = access_name("west");
        break;
    default:
        /* Of all others the id comes first, or nothing is asked. */
        if (event_codec(type)->fields[0].type == CODEC_U64)
            memcpy(event_record, &one, sizeof one);
        break;
    }
}

static const struct {
    uint8_t type;
    const char *sees;
} events[] = {
    {EVENT_ORDER_PLACED, ORDER},
    {EVENT_ORDER_CANCELLED, ORDER},
    {EVENT_ORDER_EXPIRED, ORDER},
    {EVENT_ORDER_REDUCED, ORDER},
    {EVENT_GRID_LIMITED, ORDER},
    {EVENT_DEAL_MATCHED, DEAL},
    {EVENT_DEAL_ENDED, DEAL},
    {EVENT_DEAL_PROVEN, DEAL},
    {EVENT_DEAL_DISPUTED, DEAL},
    {EVENT_CALLED, DEAL},
    {EVENT_MEASURED, DEAL},
    {EVENT_TOKEN_MOVED, "11000000010"},
    {EVENT_FEES_SPLIT, "00010000010"},
    {EVENT_DIGEST, ALL},
    {EVENT_PROPOSAL, ALL},
    {EVENT_EPOCH, ALL},
    {EVENT_MARKET, ALL},
    {EVENT_CAPACITY_PUBLISHED, ALL},
    {EVENT_ALLOCATED, "10110110010"},
    {EVENT_FORECAST, "10001110010"},
    {EVENT_DISPATCH, "10101110010"},
    {EVENT_AUCTION, BOOK},
    {EVENT_COUPLED, ALL},
    {EVENT_SOLUTION, ALL},
    {EVENT_COUPLED_SLOT, ALL},
};

static void check_event(uint8_t type, const char *sees)
{
    uint8_t bytes[4096];
    struct byte_writer writer;
    fill_event(type);
    access_world_fill(event_codec(type), event_record);
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(event_codec(type), event_record, &writer);
    assert_false(writer.failed);
    for (int reader = 0; reader < WORLD_READERS; reader++) {
        const struct access access = access_world_reader(&world, reader);
        bool may = access_event(&access, &world.base, type, bytes_view_of(bytes, writer.size));
        if (may != (sees[reader] == '1')) {
            print_error("%s: %s %s it\n", event_codec(type)->name, access_readers[reader],
                        may ? "sees" : "does not see");
            fail();
        }
        /* A record that is cut off is nobody's but a regulator's. */
        assert_int_equal(
            access_event(&access, &world.base, type, bytes_view_of(bytes, writer.size - 1)),
            access.all);
    }
}

static void test_every_event_and_every_reader(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < EVENT_TYPE_LIMIT; type++) {
        const char *sees = NULL;
        if (event_codec(type) == NULL)
            continue;
        for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
            if (events[i].type == type)
                sees = events[i].sees;
        }
        if (!access_has_event_rule(type) || sees == NULL) {
            print_error("event %u: no rule, or no row here\n", type);
            fail();
            return;
        }
        check_event(type, sees);
    }
}

/* --- depth ---------------------------------------------------------------------------------- */

/* An open order in the book of "deep" that begins at `start`. */
static void put_open(const char *who, int64_t start, uint64_t id, bool sells, int64_t wh)
{
    struct order_record order;
    struct book_size_record size = {.open = 1};
    char text[96];
    memset(&order, 0, sizeof order);
    order.market = access_name("deep");
    order.participant = access_name(who);
    order.side = sells ? SIDE_SELL : SIDE_BUY;
    order.open = energy_of(wh);
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    access_world_put(&world, STATE_ORDER, text, &order);
    snprintf(text, sizeof text, "deep/%lld/up/%s/1/1/1/%llu", (long long)start,
             sells ? "sell" : "buy", (unsigned long long)id);
    access_world_put(&world, STATE_BOOK, text, NULL);
    snprintf(text, sizeof text, "deep/%lld/up", (long long)start);
    struct state_key key;
    struct bytes_view value;
    bool found;
    assert_true(state_key_from_text(&key, STATE_BOOK_SIZE, text));
    assert_true(world.base.get(&world, bytes_view_of(key.bytes, key.size), &found, &value));
    if (!found)
        access_world_put_key(&world, STATE_BOOK_SIZE, &key, &size);
}

/* The list as text, and where it goes on. */
static char *depth_text(int reader, int64_t from, uint64_t limit, int64_t *next)
{
    const struct access access = access_world_reader(&world, reader);
    const struct name market = access_name("deep");
    cJSON *items = cJSON_CreateArray();
    bool more = false;
    *next = -1;
    assert_true(api_depth_list(&access, &world.base, items, &market, from, limit, &more, next));
    char *text = cJSON_PrintUnformatted(items);
    if (!more)
        *next = -1;
    cJSON_Delete(items);
    return text;
}

static void assert_depth(int reader, int64_t from, uint64_t limit, const char *expected,
                         int64_t goes_on)
{
    int64_t next;
    char *text = depth_text(reader, from, limit, &next);
    assert_string_equal(text, expected);
    assert_int_equal(next, goes_on);
    free(text);
}

#define BOOK_AT(start, buy, sell)                                                                  \
    "{\"period_start_ms\":\"" #start "\",\"direction\":\"up\",\"buy_wh\":" buy                     \
    ",\"sell_wh\":" sell "}"

static void test_sums_point_at_nobody(void **state)
{
    (void)state;
    /* Two others sell, then three; the reader's own orders are no others. */
    put_open("agg", 900000, 11, true, 100);
    put_open("anna", 900000, 12, true, 20);
    put_open("dso", 900000, 13, true, 1);
    put_open("dso", 900000, 14, false, 50);
    put_open("agg", 1800000, 21, true, 100);
    put_open("agg", 1800000, 22, true, 100);
    put_open("anna", 1800000, 23, true, 20);
    put_open("bob", 1800000, 24, true, 3);
    put_open("dso2", 1800000, 25, false, 9);
    put_open("agg", 2700000, 31, true, 7);
    assert_depth(WORLD_OPERATOR, 0, 100,
                 "[" BOOK_AT(900000, "\"50\"", "\"121\"") "," BOOK_AT(
                     1800000, "\"9\"", "\"223\"") "," BOOK_AT(2700000, "\"0\"", "\"7\"") "]",
                 -1);
    assert_depth(WORLD_DSO, 0, 100, "[" BOOK_AT(1800000, "null", "\"223\"") "]", -1);
    /* Nothing says that there are books which can't be told. */
    assert_depth(WORLD_DSO, 0, 1, "[" BOOK_AT(1800000, "null", "\"223\"") "]", -1);
    assert_depth(WORLD_DSO, 1800001, 1, "[]", -1);
    /* A page ends between periods, and the next begins with the one that it names. */
    assert_depth(WORLD_OPERATOR, 0, 1, "[" BOOK_AT(900000, "\"50\"", "\"121\"") "]", 1800000);
    assert_depth(WORLD_OPERATOR, 1800000, 1, "[" BOOK_AT(1800000, "\"9\"", "\"223\"") "]", 2700000);
    assert_depth(WORLD_OPERATOR, 2700000, 1, "[" BOOK_AT(2700000, "\"0\"", "\"7\"") "]", -1);
    assert_depth(WORLD_OPERATOR, 2700001, 1, "[]", -1);
}

/* --- readers -------------------------------------------------------------------------------- */

static void test_who_is_a_reader(void **state)
{
    static struct access_world other;
    struct access access;
    struct key_record ended;
    struct participant_record retired;
    (void)state;
    struct public_key key = access_key("stranger");
    assert_false(access_resolve(&access, &world.config, &world.base, timestamp_of(1500), &key));
    /* Its key was rotated away. */
    other = world;
    other.base.context = &other;
    memset(&ended, 0, sizeof ended);
    ended.former = access_name("anna");
    key = access_key("old");
    const struct state_key of_old = state_key_hash(STATE_KEY, key.bytes);
    access_world_put_key(&other, STATE_KEY, &of_old, &ended);
    assert_false(access_resolve(&access, &other.config, &other.base, timestamp_of(1500), &key));
    /* It is retired: the last record put is the one that counts. */
    memset(&retired, 0, sizeof retired);
    retired.key = access_key("anna");
    retired.roles = ROLE_PROSUMER;
    retired.status = STATUS_RETIRED;
    access_world_put(&other, STATE_PARTICIPANT, "anna", &retired);
    key = access_key("anna");
    assert_false(access_resolve(&access, &other.config, &other.base, timestamp_of(1500), &key));
    /* A suspended one has no roles, and its own. */
    access = access_world_reader(&world, WORLD_SUSPENDED);
    assert_false(access.all);
    assert_int_equal(access.roles, 0);
    const struct name self = access_name("suspended");
    assert_true(access_pot(&access, &world.base, POT_BALANCE, &self, 0));
}

static void test_routes_by_reader(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const enum access_route route = api_routes[i].access;
        const bool is_public = strcmp(api_routes[i].path, "/health") == 0 ||
                               strcmp(api_routes[i].path, "/ready") == 0 ||
                               strcmp(api_routes[i].path, "/metrics") == 0 ||
                               strcmp(api_routes[i].path, "/openapi.json") == 0 ||
                               strcmp(api_routes[i].path, "/v1/status") == 0;
        assert_int_not_equal(route, ACCESS_UNSAID);
        assert_int_equal(route == ACCESS_PUBLIC, is_public);
        assert_int_equal(route == ACCESS_ENVELOPE, strcmp(api_routes[i].method, "POST") == 0);
        /* Lists whose records are not for all are filtered; no such route may say "members". */
        if (api_routes[i].read == api_read_list || api_routes[i].read == api_read_record) {
            const bool all = strcmp(expected_of(api_routes[i].kind), ALL) == 0;
            assert_int_equal(route, all ? ACCESS_MEMBERS : ACCESS_SCOPED);
        }
        for (int reader = 0; reader < WORLD_READERS; reader++) {
            const struct access access = access_world_reader(&world, reader);
            assert_int_equal(access_may_use(&access, route),
                             route != ACCESS_REGULATOR || reader == WORLD_REGULATOR);
        }
    }
}

/* Every kind stands in the section of docs/spec/api.md that says who sees it. */
static void test_who_sees_what_is_documented(void **state)
{
    static char text[256 * 1024];
    (void)state;
    FILE *file = fopen("docs/spec/api.md", "r");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
    char *section = strstr(text, "## Who sees what");
    assert_non_null(section);
    char *end = strstr(section + 3, "\n## ");
    assert_non_null(end);
    *end = '\0';
    for (int kind = 0; kind < STATE_KIND_LIMIT; kind++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)kind);
        if (info != NULL && strstr(section, info->name) == NULL) {
            print_error("docs/spec/api.md does not say who sees %s\n", info->name);
            fail();
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    access_world_make(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_and_every_reader),
        cmocka_unit_test(test_absent_records),
        cmocka_unit_test(test_management_ends),
        cmocka_unit_test(test_management_begins),
        cmocka_unit_test(test_every_event_and_every_reader),
        cmocka_unit_test(test_who_is_a_reader),
        cmocka_unit_test(test_sums_point_at_nobody),
        cmocka_unit_test(test_routes_by_reader),
        cmocka_unit_test(test_who_sees_what_is_documented),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
