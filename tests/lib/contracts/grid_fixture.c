/* See grid_fixture.h. The auditor walks the whole state and calls nothing of contracts/grid.c. */
#include "tests/lib/contracts/grid_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"

static bool enforced; /* somebody has published less than was sold */

static const struct {
    const char *owner;
    const char *node;
    const char *feeder;
} devices[] = {{"alice", "leaf", "f1"}, {"bob", "home-b", "f1"}, {"carol", "f2", "f2"},
               {"agg", "f2", "f2"},     {"agg2", "leaf", "f1"},  {"retail", "trafo", "none"}};
enum { DEVICES = sizeof devices / sizeof devices[0] };

enum contract_error grid_node(struct fixture *fixture, const char *sender, const char *network,
                              const char *id, const char *parent)
{
    struct network_add_node action = {.network = fixture_name(network), .id = fixture_name(id)};
    if (parent[0] != '\0') {
        action.parent = fixture_name(parent);
    }
    return fixture_act(fixture, sender, ACTION_NETWORK_NODE, &action);
}

static struct name device_of(const char *owner)
{
    char id[NAME_SIZE];
    snprintf(id, sizeof id, "at-%s", owner);
    return fixture_name(id);
}

static void register_device(struct fixture *fixture, size_t which)
{
    struct device_register device = {.id = device_of(devices[which].owner),
                                     .type = DEVICE_STORAGE,
                                     .max_power = power_of(10000),
                                     .connection = power_of(12000),
                                     .node = fixture_name(devices[which].node),
                                     .feeder = fixture_name(devices[which].feeder),
                                     .zone = fixture_name("z1"),
                                     .meter_key = fixture_key(devices[which].owner)};
    char id[NAME_SIZE];
    snprintf(id, sizeof id, "at-%s", devices[which].owner);
    device.meter_key = fixture_key(id);
    assert_error(CONTRACT_OK,
                 fixture_act(fixture, devices[which].owner, ACTION_DEVICE_REGISTER, &device));
    struct device_status status = {.device = device.id, .status = STATUS_ACTIVE};
    assert_error(CONTRACT_OK, fixture_act(fixture, "dso", ACTION_DEVICE_STATUS, &status));
}

void grid_small_network(struct fixture *fixture)
{
    struct network_create network = {.id = fixture_name("net")};
    enforced = false;
    assert_error(CONTRACT_OK, fixture_act(fixture, "dso", ACTION_NETWORK_CREATE, &network));
    assert_error(CONTRACT_OK, grid_node(fixture, "dso", "net", "trafo", ""));
    assert_error(CONTRACT_OK, grid_node(fixture, "dso", "net", "f2", "trafo"));
    assert_error(CONTRACT_OK, grid_node(fixture, "dso", "net", "f1", "trafo"));
    assert_error(CONTRACT_OK, grid_node(fixture, "dso", "net", "leaf", "f1"));
    for (size_t i = 0; i < DEVICES; i++) {
        register_device(fixture, i);
    }
}

void grid_market(struct fixture *fixture, const char *id, struct market_create *terms)
{
    terms->id = fixture_name(id);
    terms->network = fixture_name("net");
    assert_error(CONTRACT_OK, fixture_act(fixture, "operator", ACTION_MARKET_CREATE, terms));
    for (size_t i = 0; i < DEVICES; i++) {
        struct device_enrol enrol = {
            .device = device_of(devices[i].owner), .market = terms->id, .enrolled = 1};
        assert_error(CONTRACT_OK,
                     fixture_act(fixture, devices[i].owner, ACTION_DEVICE_ENROL, &enrol));
    }
}

enum contract_error grid_try_publish(struct fixture *fixture, const char *node, int period,
                                     int64_t import_w, int64_t export_w, bool enforce)
{
    struct capacity_publish action = {.network = fixture_name("net"),
                                      .node = fixture_name(node),
                                      .start = market_period(period),
                                      .interval = duration_of(2 * (int64_t)COMMITMENT_SLOT_MS),
                                      .enforce = enforce,
                                      .limit_count = 1};
    action.limits[0] = (struct capacity_limit){power_of(import_w), power_of(export_w)};
    enum contract_error error = fixture_act(fixture, "dso", ACTION_CAPACITY_PUBLISH, &action);
    enforced = enforced || (enforce && error == CONTRACT_OK);
    return error;
}

void grid_publish(struct fixture *fixture, const char *node, int period, int64_t import_w,
                  int64_t export_w)
{
    assert_error(CONTRACT_OK, grid_try_publish(fixture, node, period, import_w, export_w, false));
}

enum contract_error grid_request_by(struct fixture *fixture, const char *market, const char *sender,
                                    int period, enum direction direction, int64_t quantity,
                                    int64_t price)
{
    struct request_place action = {.market = fixture_name(market),
                                   .direction = (uint8_t)direction,
                                   .period_start = market_period(period),
                                   .quantity = energy_of(quantity),
                                   .price = energy_price_of(price)};
    return fixture_act(fixture, sender, ACTION_REQUEST_PLACE, &action);
}

enum contract_error grid_request(struct fixture *fixture, const char *market, int period,
                                 enum direction direction, int64_t quantity, int64_t price)
{
    return grid_request_by(fixture, market, "dso", period, direction, quantity, price);
}

enum contract_error grid_offer(struct fixture *fixture, const char *market, const char *owner,
                               int period, enum direction direction, int64_t quantity,
                               int64_t price)
{
    struct offer_place action = {.market = fixture_name(market),
                                 .direction = (uint8_t)direction,
                                 .period_start = market_period(period),
                                 .quantity = energy_of(quantity),
                                 .price = energy_price_of(price),
                                 .device = device_of(owner)};
    return fixture_act(fixture, owner, ACTION_OFFER_PLACE, &action);
}

enum contract_error grid_ask(struct fixture *fixture, const char *market, const char *owner,
                             int period, enum direction direction, int64_t quantity, int64_t price,
                             struct order_options options)
{
    struct request_place action = {.market = fixture_name(market),
                                   .direction = (uint8_t)direction,
                                   .period_start = market_period(period),
                                   .quantity = energy_of(quantity),
                                   .price = energy_price_of(price),
                                   .device = device_of(owner),
                                   .options = options};
    return fixture_act(fixture, owner, ACTION_REQUEST_PLACE, &action);
}

struct allocation_record grid_allocation(struct fixture *fixture, uint64_t order)
{
    struct allocation_record record;
    struct state_key key = state_key_u64(STATE_ALLOCATION, order);
    assert_true(ledger_read(fixture->view, &key, &allocation_record_codec, &record));
    return record;
}

struct capacity_record grid_record(struct fixture *fixture, const char *node, int period, int slot)
{
    struct name network = fixture_name("net");
    struct name id = fixture_name(node);
    struct capacity_record record;
    struct state_key key = state_key_capacity(
        &network, &id,
        timestamp_of(timestamp_ms(market_period(period)) + slot * (int64_t)COMMITMENT_SLOT_MS));
    assert_true(ledger_read(fixture->view, &key, &capacity_record_codec, &record));
    return record;
}

size_t grid_events(struct fixture *fixture, uint8_t type)
{
    size_t cursor = 0;
    size_t count = 0;
    uint8_t found;
    struct bytes_view record;
    while (event_next(fixture->end_receipt.events, &cursor, &found, &record)) {
        count += found == type;
    }
    assert_int_equal(cursor, fixture->end_receipt.events.size);
    return count;
}

/* --- the auditor -------------------------------------------------------------------------- */

struct grid_walk {
    struct state_view *view;
    uint8_t prefix;
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size;
    struct bytes_view value;
};

static bool walk_next(struct grid_walk *walk)
{
    return walk->view->ops->next(walk->view, bytes_view_of(&walk->prefix, 1),
                                 bytes_view_of(walk->key, walk->key_size), walk->key,
                                 &walk->key_size, &walk->value);
}

/* Whether the path of a device runs through a node; the tree is walked by its records. */
static bool path_has(struct fixture *fixture, const struct name *network, const struct name *device,
                     const struct name *node)
{
    struct device_record record;
    struct node_record step;
    struct state_key key = state_key_name(STATE_DEVICE, device);
    assert_true(ledger_read(fixture->view, &key, &device_record_codec, &record));
    struct name at = record.node;
    key = state_key_pair(STATE_NETWORK_NODE, network, &at);
    if (!ledger_read(fixture->view, &key, &node_record_codec, &step)) {
        at = record.feeder;
    }
    while (!name_is_empty(&at)) {
        if (name_compare(&at, node) == 0) {
            return true;
        }
        key = state_key_pair(STATE_NETWORK_NODE, network, &at);
        assert_true(ledger_read(fixture->view, &key, &node_record_codec, &step));
        at = step.parent;
    }
    return false;
}

static struct market_create terms_of(struct fixture *fixture, const struct name *market)
{
    struct market_record record;
    struct state_key key = state_key_name(STATE_MARKET, market);
    assert_true(ledger_read(fixture->view, &key, &market_record_codec, &record));
    return record.terms;
}

/* What was sold to one device in one market and period, if it loads that node in that quarter hour. */
static int64_t taken_w(struct fixture *fixture, const struct name *network, const struct name *node,
                       int64_t slot, const struct name *market, const struct name *device,
                       struct timestamp start, struct energy quantity)
{
    struct market_create terms = terms_of(fixture, market);
    int64_t begin = timestamp_ms(start);
    int64_t end = begin + duration_ms(terms.times.mtu) * terms.times.mtus_per_period;
    bool loads = name_compare(&terms.network, network) == 0 &&
                 terms.product != PRODUCT_CAPACITY_CAP && slot >= begin && slot < end &&
                 path_has(fixture, network, device, node);
    return loads ? energy_wh(quantity) / terms.times.mtus_per_period *
                       (MS_PER_HOUR / duration_ms(terms.times.mtu))
                 : 0;
}

static int64_t sold_w(struct fixture *fixture, const struct name *network, const struct name *node,
                      int64_t slot, uint8_t direction)
{
    int64_t watts = 0;
    struct grid_walk walk = {.view = fixture->view, .prefix = STATE_DEAL};
    while (walk_next(&walk)) {
        struct deal_record deal;
        MUST(codec_decode_all(&deal_record_codec, &deal, walk.value));
        if (deal.direction == direction && deal.reservation == 0) {
            watts += taken_w(fixture, network, node, slot, &deal.market, &deal.device,
                             deal.period_start, deal.contracted);
        }
    }
    walk = (struct grid_walk){.view = fixture->view, .prefix = STATE_ALLOCATION};
    while (walk_next(&walk)) {
        struct allocation_record allocation;
        MUST(codec_decode_all(&allocation_record_codec, &allocation, walk.value));
        if (allocation.direction == direction) {
            watts += taken_w(fixture, network, node, slot, &allocation.market, &allocation.device,
                             allocation.period_start, allocation.granted);
        }
    }
    return watts;
}

/* The names and the time of a capacity record's key. */
static int64_t key_parts(const struct grid_walk *walk, struct name *network, struct name *node)
{
    struct byte_reader reader;
    byte_reader_init(&reader, walk->key + 1, walk->key_size - 1);
    byte_read_raw(&reader, network->text, NAME_SIZE);
    byte_read_raw(&reader, node->text, NAME_SIZE);
    int64_t slot = byte_read_i64(&reader);
    MUST(byte_reader_done(&reader));
    return slot;
}

void grid_audit(struct fixture *fixture)
{
    struct grid_walk walk = {.view = fixture->view, .prefix = STATE_CAPACITY};
    while (walk_next(&walk)) {
        struct capacity_record record;
        struct name network, node;
        MUST(codec_decode_all(&capacity_record_codec, &record, walk.value));
        int64_t slot = key_parts(&walk, &network, &node);
        assert_int_equal(power_w(record.import_sold),
                         sold_w(fixture, &network, &node, slot, DIRECTION_DOWN));
        assert_int_equal(power_w(record.export_sold),
                         sold_w(fixture, &network, &node, slot, DIRECTION_UP));
        if (record.revision > 0 && !enforced) {
            assert_true(power_w(record.import_sold) <= power_w(record.import_limit));
            assert_true(power_w(record.export_sold) <= power_w(record.export_limit));
        }
    }
    /* The same from the other end: nothing was sold at a node and quarter hour that has no record. */
    walk = (struct grid_walk){.view = fixture->view, .prefix = STATE_DEAL};
    while (walk_next(&walk)) {
        struct deal_record deal;
        MUST(codec_decode_all(&deal_record_codec, &deal, walk.value));
        struct market_create terms = terms_of(fixture, &deal.market);
        if (name_is_empty(&terms.network) || terms.product == PRODUCT_CAPACITY_CAP) {
            continue;
        }
        struct name root = fixture_name("trafo");
        struct state_key key = state_key_capacity(&terms.network, &root, deal.period_start);
        struct bytes_view value;
        assert_true(
            fixture->view->ops->get(fixture->view, bytes_view_of(key.bytes, key.size), &value));
    }
}

/* Whole steps that the path of the offer leaves over the period. */
static int64_t room_wh(struct fixture *fixture, const struct order_record *offer,
                       const struct market_create *terms)
{
    int64_t least = INT64_MAX;
    struct grid_walk walk = {.view = fixture->view, .prefix = STATE_CAPACITY};
    while (walk_next(&walk)) {
        struct capacity_record record;
        struct name network, node;
        MUST(codec_decode_all(&capacity_record_codec, &record, walk.value));
        int64_t slot = key_parts(&walk, &network, &node);
        bool up = offer->direction == DIRECTION_UP;
        int64_t begin = timestamp_ms(offer->period_start);
        if (record.revision == 0 || slot < begin || slot >= begin + MARKET_PERIOD_MS ||
            !path_has(fixture, &network, &offer->device, &node)) {
            continue;
        }
        int64_t left = up ? power_w(record.export_limit) - power_w(record.export_sold)
                          : power_w(record.import_limit) - power_w(record.import_sold);
        least = left < least ? left : least;
    }
    int64_t wh = least < 0 ? 0 : least / 4 * MARKET_UNITS;
    return least == INT64_MAX ? INT64_MAX : wh - wh % energy_wh(terms->limits.quantity_step);
}

void grid_check_fair(struct fixture *fixture, const char *market, int period)
{
    struct name id = fixture_name(market);
    struct market_create terms = terms_of(fixture, &id);
    struct grid_walk sells = {.view = fixture->view, .prefix = STATE_ORDER};
    while (walk_next(&sells)) {
        struct order_record sell;
        MUST(codec_decode_all(&order_record_codec, &sell, sells.value));
        struct grid_walk buys = {.view = fixture->view, .prefix = STATE_ORDER};
        while (sell.side == SIDE_SELL && sell.status == ORDER_OPEN && walk_next(&buys)) {
            struct order_record buy;
            MUST(codec_decode_all(&order_record_codec, &buy, buys.value));
            bool crosses = buy.side == SIDE_BUY && buy.status == ORDER_OPEN &&
                           buy.direction == sell.direction && name_compare(&buy.market, &id) == 0 &&
                           name_compare(&sell.market, &id) == 0 &&
                           timestamp_compare(buy.period_start, market_period(period)) == 0 &&
                           timestamp_compare(sell.period_start, market_period(period)) == 0 &&
                           energy_price_compare(buy.price, sell.price) >= 0;
            if (crosses) {
                assert_int_equal(room_wh(fixture, &sell, &terms), 0);
            }
        }
    }
}

/* Watts that the device was granted or asks for in one quarter hour. */
static int64_t held_w(struct fixture *fixture, const struct name *device, int64_t slot,
                      uint8_t direction)
{
    int64_t watts = 0;
    struct grid_walk walk = {.view = fixture->view, .prefix = STATE_ORDER};
    while (walk_next(&walk)) {
        struct order_record order;
        struct allocation_record allocation;
        MUST(codec_decode_all(&order_record_codec, &order, walk.value));
        struct market_create terms = terms_of(fixture, &order.market);
        int64_t begin = timestamp_ms(order.period_start);
        int64_t end = begin + duration_ms(terms.times.mtu) * terms.times.mtus_per_period;
        struct byte_reader reader;
        byte_reader_init(&reader, walk.key + 1, walk.key_size - 1);
        struct state_key key = state_key_u64(STATE_ALLOCATION, byte_read_u64(&reader));
        if (terms.product != PRODUCT_CAPACITY_ALLOCATION || order.direction != direction ||
            name_compare(&order.device, device) != 0 || slot < begin || slot >= end) {
            continue;
        }
        int64_t wh = order.status == ORDER_OPEN ? energy_wh(order.open) : 0;
        if (ledger_read(fixture->view, &key, &allocation_record_codec, &allocation)) {
            wh += energy_wh(allocation.granted);
        }
        watts += wh / terms.times.mtus_per_period * (MS_PER_HOUR / duration_ms(terms.times.mtu));
    }
    return watts;
}

void grid_audit_holdings(struct fixture *fixture)
{
    struct grid_walk walk = {.view = fixture->view, .prefix = STATE_HOLDING};
    while (walk_next(&walk)) {
        struct holding_record holding;
        struct name device;
        struct byte_reader reader;
        MUST(codec_decode_all(&holding_record_codec, &holding, walk.value));
        byte_reader_init(&reader, walk.key + 1, walk.key_size - 1);
        byte_read_raw(&reader, device.text, NAME_SIZE);
        int64_t slot = byte_read_i64(&reader);
        uint8_t direction = byte_read_u8(&reader);
        assert_true(power_w(holding.power) > 0);
        assert_int_equal(power_w(holding.power), held_w(fixture, &device, slot, direction));
    }
    /* Nobody asks without holding. */
    walk = (struct grid_walk){.view = fixture->view, .prefix = STATE_ALLOCATION};
    while (walk_next(&walk)) {
        struct allocation_record allocation;
        struct bytes_view value;
        MUST(codec_decode_all(&allocation_record_codec, &allocation, walk.value));
        struct state_key key = state_key_unit(STATE_HOLDING, &allocation.device,
                                              allocation.period_start, allocation.direction);
        if (energy_wh(allocation.granted) > 0) {
            assert_true(
                fixture->view->ops->get(fixture->view, bytes_view_of(key.bytes, key.size), &value));
        }
    }
}
