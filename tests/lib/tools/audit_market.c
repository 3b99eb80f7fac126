/* See audit_market.h. */
#include "tests/lib/tools/audit_market.h"

#include "base/fatal.h"

static struct market_create terms_of(const char *market, const char *zone)
{
    struct market_create terms = {.id = audit_world_name(market), .zone = audit_world_name(zone)};
    terms.times.mtu = duration_of(MARKET_UNIT_MS);
    terms.times.mtus_per_period = 1;
    terms.times.opens = timestamp_of(0);
    terms.times.closes = timestamp_of(INT64_C(4102444800000));
    terms.times.gate_closure = duration_of(MS_PER_HOUR);
    terms.times.proof_deadline = duration_of(MS_PER_DAY);
    terms.limits.quantity_step = energy_of(MARKET_STEP_WH);
    terms.limits.quantity_min = energy_of(MARKET_STEP_WH);
    terms.limits.quantity_max = energy_of(1000000);
    terms.limits.price_step = energy_price_of(1);
    terms.limits.price_min = energy_price_of(0);
    terms.limits.price_max = energy_price_of(MARKET_PRICE_CAP);
    terms.limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK;
    terms.delivery.tolerance_permille = 950;
    return terms;
}

void audit_market_create(struct audit_world *world, const char *market, const char *zone)
{
    struct market_create terms = terms_of(market, zone);
    audit_world_send(world, "operator", ACTION_MARKET_CREATE, &terms);
}

void audit_market_capacity(struct audit_world *world, const char *market, const char *zone,
                           int64_t start_ms, int64_t watts)
{
    struct network_create network = {.id = audit_world_name("grid")};
    struct network_add_node node = {.network = network.id, .id = audit_world_name("node")};
    struct capacity_publish publication = {.network = network.id,
                                           .node = node.id,
                                           .start = timestamp_of(start_ms),
                                           .interval = duration_of(MARKET_UNIT_MS),
                                           .limit_count = 1};
    publication.limits[0].export = power_of(watts);
    struct market_create terms = terms_of(market, zone);
    terms.network = network.id;
    terms.product = PRODUCT_CAPACITY_ALLOCATION;
    terms.clearing.mechanism = MECHANISM_CAPACITY;
    const struct transaction_draft_action actions[] = {{ACTION_NETWORK_CREATE, &network},
                                                       {ACTION_NETWORK_NODE, &node},
                                                       {ACTION_CAPACITY_PUBLISH, &publication}};
    audit_world_send_all(world, "dso", actions, 3);
    audit_world_turn(world, 1000);
    audit_world_send(world, "operator", ACTION_MARKET_CREATE, &terms);
    audit_world_turn(world, 1000);
}

void audit_market_ask(struct audit_world *world, const char *who, const char *device,
                      const char *market, int64_t start_ms, int64_t wh, int64_t price)
{
    struct device_enrol enrol = {
        .device = audit_world_name(device), .market = audit_world_name(market), .enrolled = 1};
    audit_world_send(world, who, ACTION_DEVICE_ENROL, &enrol);
    audit_world_turn(world, 1000);
    struct request_place request = {.market = audit_world_name(market),
                                    .direction = DIRECTION_UP,
                                    .period_start = timestamp_of(start_ms),
                                    .quantity = energy_of(wh),
                                    .price = energy_price_of(price),
                                    .device = audit_world_name(device)};
    audit_world_send(world, who, ACTION_REQUEST_PLACE, &request);
    audit_world_turn(world, 1000);
}

void audit_market_device(struct audit_world *world, const char *owner, const char *device,
                         const char *market, const char *zone, int64_t watts)
{
    struct device_register entry = {.id = audit_world_name(device),
                                    .type = DEVICE_STORAGE,
                                    .max_power = power_of(watts),
                                    .connection = power_of(watts),
                                    .node = audit_world_name("node"),
                                    .feeder = audit_world_name("feeder"),
                                    .zone = audit_world_name(zone)};
    struct secret_key secret = {.bytes = {9, 9, 9}};
    MUST(schnorr_public_key(&entry.meter_key, &secret));
    audit_world_send(world, owner, ACTION_DEVICE_REGISTER, &entry);
    audit_world_turn(world, 1000);
    struct device_status active = {.device = entry.id, .status = STATUS_ACTIVE};
    audit_world_send(world, "dso", ACTION_DEVICE_STATUS, &active);
    audit_world_turn(world, 1000);
    struct device_enrol enrol = {
        .device = entry.id, .market = audit_world_name(market), .enrolled = 1};
    audit_world_send(world, owner, ACTION_DEVICE_ENROL, &enrol);
    audit_world_turn(world, 1000);
}

void audit_market_delegate(struct audit_world *world, const char *owner, const char *device,
                           const char *manager)
{
    struct timestamp now = audit_world_tip(world)->time;
    struct device_delegate offer = {
        .device = audit_world_name(device), .manager = audit_world_name(manager), .from = now};
    MUST(timestamp_add(&offer.until, now, duration_of(INT64_C(365) * MS_PER_DAY)));
    audit_world_send(world, owner, ACTION_DEVICE_DELEGATE, &offer);
    audit_world_turn(world, 1000);
    struct device_delegate_accept accept = {.device = offer.device};
    audit_world_send(world, manager, ACTION_DEVICE_DELEGATE_ACCEPT, &accept);
    audit_world_turn(world, 1000);
}

void audit_market_request(struct audit_world *world, const char *who, const char *market,
                          int64_t start_ms, int64_t wh, int64_t price)
{
    struct request_place request = {.market = audit_world_name(market),
                                    .direction = DIRECTION_UP,
                                    .period_start = timestamp_of(start_ms),
                                    .quantity = energy_of(wh),
                                    .price = energy_price_of(price)};
    audit_world_send(world, who, ACTION_REQUEST_PLACE, &request);
}

static struct offer_place offer_of(const char *device, const char *market, int64_t start_ms,
                                   int64_t wh, int64_t price)
{
    return (struct offer_place){.market = audit_world_name(market),
                                .direction = DIRECTION_UP,
                                .period_start = timestamp_of(start_ms),
                                .quantity = energy_of(wh),
                                .price = energy_price_of(price),
                                .device = audit_world_name(device),
                                .schedule_hash = {.bytes = {1}}};
}

void audit_market_offer(struct audit_world *world, const char *who, const char *device,
                        const char *market, int64_t start_ms, int64_t wh, int64_t price)
{
    struct offer_place offer = offer_of(device, market, start_ms, wh, price);
    audit_world_send(world, who, ACTION_OFFER_PLACE, &offer);
}

void audit_market_cancel(struct audit_world *world, const char *who, uint64_t order)
{
    struct order_cancel cancel = {.order = order};
    audit_world_send(world, who, ACTION_ORDER_CANCEL, &cancel);
}

void audit_market_replace(struct audit_world *world, const char *who, uint64_t order,
                          const char *device, const char *market, int64_t start_ms, int64_t wh,
                          int64_t price)
{
    struct order_cancel cancel = {.order = order};
    struct offer_place offer = offer_of(device, market, start_ms, wh, price);
    struct transaction_draft_action actions[] = {{ACTION_ORDER_CANCEL, &cancel},
                                                 {ACTION_OFFER_PLACE, &offer}};
    audit_world_send_all(world, who, actions, 2);
}

uint64_t audit_market_orders(struct audit_world *world)
{
    struct state_key key = state_key_single(STATE_COUNTERS);
    struct counters_record counters = {0};
    (void)ledger_read(audit_world_view(world), &key, &counters_record_codec, &counters);
    return counters.orders;
}
