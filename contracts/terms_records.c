/* The encoding of a market's terms (contracts/terms.h; docs/spec/state.md): one table per group, nested
 * in that of the action, so that a wallet, the state and a proof read the same names.
 *
 * 1. A field's place in its table is its place in signed and stored bytes, for good.
 * 2. Enum names are part of the API and never change; new values are added at the end.
 *
 * Deliberately absent: what the values may be to one another (contracts/terms.c). */
#include "contracts/terms.h"

const char *const market_product_names[PRODUCT_COUNT] = {
    "energy",         "reservation",         "capacity_cap",
    "capacity_floor", "capacity_allocation", "local_energy"};
const char *const market_directions_names[DIRECTIONS_COUNT] = {"both", "up", "down"};
const char *const market_mechanism_names[MECHANISM_COUNT] = {
    "book_batch", "book_sequential", "merit_order", "ordered_demand",
    "one_sided",  "capacity",        "coupled"};
const char *const market_tie_names[TIE_COUNT] = {"pro_rata", "time"};
const char *const market_trade_price_names[TRADE_PRICE_COUNT] = {"resting", "bid", "ask",
                                                                 "midpoint"};
const char *const market_payment_names[PAYMENT_COUNT] = {"uniform", "pay_as_bid", "vcg",
                                                         "seller_vcg", "shapley"};
const char *const market_sharing_names[SHARING_COUNT] = {"premium", "first_come", "highest_demand"};
const char *const delivery_method_names[DELIVERY_METHOD_COUNT] = {
    "schedule", "baseline", "capacity_cap", "capacity_floor", "submeter"};
const char *const market_bids_names[BIDS_COUNT] = {"open", "sealed"};
const char *const market_later_names[LATER_COUNT] = {"kept", "returned"};
const char *const market_zones_names[ZONES_COUNT] = {"coupled", "separate"};

static const struct codec_field market_times_record_fields[] = {
    {.name = "mtu_ms", .offset = offsetof(struct market_times, mtu), .type = CODEC_I64},
    {.name = "mtus_per_period",
     .offset = offsetof(struct market_times, mtus_per_period),
     .type = CODEC_U16},
    {.name = "opens_ms", .offset = offsetof(struct market_times, opens), .type = CODEC_I64},
    {.name = "closes_ms", .offset = offsetof(struct market_times, closes), .type = CODEC_I64},
    {.name = "gate_opening_ms",
     .offset = offsetof(struct market_times, gate_opening),
     .type = CODEC_I64},
    {.name = "gate_closure_ms",
     .offset = offsetof(struct market_times, gate_closure),
     .type = CODEC_I64},
    {.name = "proof_deadline_ms",
     .offset = offsetof(struct market_times, proof_deadline),
     .type = CODEC_I64},
    {.name = "correction_deadline_ms",
     .offset = offsetof(struct market_times, correction_deadline),
     .type = CODEC_I64},
    {.name = "dispute_window_ms",
     .offset = offsetof(struct market_times, dispute_window),
     .type = CODEC_I64},
};
static const struct codec_record market_times_record = {
    .name = "market_times",
    .struct_size = sizeof(struct market_times),
    .fields = market_times_record_fields,
    .field_count = sizeof market_times_record_fields / sizeof market_times_record_fields[0],
};

static const struct codec_field market_limits_record_fields[] = {
    {.name = "quantity_step_wh",
     .offset = offsetof(struct market_limits, quantity_step),
     .type = CODEC_I64},
    {.name = "quantity_min_wh",
     .offset = offsetof(struct market_limits, quantity_min),
     .type = CODEC_I64},
    {.name = "quantity_max_wh",
     .offset = offsetof(struct market_limits, quantity_max),
     .type = CODEC_I64},
    {.name = "price_step_ueur_per_kwh",
     .offset = offsetof(struct market_limits, price_step),
     .type = CODEC_I64},
    {.name = "price_min_ueur_per_kwh",
     .offset = offsetof(struct market_limits, price_min),
     .type = CODEC_I64},
    {.name = "price_max_ueur_per_kwh",
     .offset = offsetof(struct market_limits, price_max),
     .type = CODEC_I64},
    {.name = "orders_per_participant",
     .offset = offsetof(struct market_limits, orders_per_participant),
     .type = CODEC_U16},
    {.name = "budget_ueur", .offset = offsetof(struct market_limits, budget), .type = CODEC_I64},
};
static const struct codec_record market_limits_record = {
    .name = "market_limits",
    .struct_size = sizeof(struct market_limits),
    .fields = market_limits_record_fields,
    .field_count = sizeof market_limits_record_fields / sizeof market_limits_record_fields[0],
};

static const struct codec_field market_clearing_record_fields[] = {
    {.name = "mechanism",
     .offset = offsetof(struct market_clearing, mechanism),
     .type = CODEC_ENUM,
     .limit = MECHANISM_COUNT,
     .names = market_mechanism_names},
    {.name = "tie",
     .offset = offsetof(struct market_clearing, tie),
     .type = CODEC_ENUM,
     .limit = TIE_COUNT,
     .names = market_tie_names},
    {.name = "trade_price",
     .offset = offsetof(struct market_clearing, trade_price),
     .type = CODEC_ENUM,
     .limit = TRADE_PRICE_COUNT,
     .names = market_trade_price_names},
    {.name = "payment",
     .offset = offsetof(struct market_clearing, payment),
     .type = CODEC_ENUM,
     .limit = PAYMENT_COUNT,
     .names = market_payment_names},
    {.name = "sharing",
     .offset = offsetof(struct market_clearing, sharing),
     .type = CODEC_ENUM,
     .limit = SHARING_COUNT,
     .names = market_sharing_names},
    {.name = "reserve_account",
     .offset = offsetof(struct market_clearing, reserve_account),
     .type = CODEC_NAME_EMPTY},
    {.name = "reserve_ueur",
     .offset = offsetof(struct market_clearing, reserve),
     .type = CODEC_I64},
};
static const struct codec_record market_clearing_record = {
    .name = "market_clearing",
    .struct_size = sizeof(struct market_clearing),
    .fields = market_clearing_record_fields,
    .field_count = sizeof market_clearing_record_fields / sizeof market_clearing_record_fields[0],
};

static const struct codec_field market_delivery_record_fields[] = {
    {.name = "method",
     .offset = offsetof(struct market_delivery, method),
     .type = CODEC_ENUM,
     .limit = DELIVERY_METHOD_COUNT,
     .names = delivery_method_names},
    {.name = "tolerance_permille",
     .offset = offsetof(struct market_delivery, tolerance_permille),
     .type = CODEC_U16},
    {.name = "floor_permille",
     .offset = offsetof(struct market_delivery, floor_permille),
     .type = CODEC_U16},
    {.name = "penalty_price_ueur_per_kwh",
     .offset = offsetof(struct market_delivery, penalty_price),
     .type = CODEC_I64},
    {.name = "deposit_price_ueur_per_kwh",
     .offset = offsetof(struct market_delivery, deposit_price),
     .type = CODEC_I64},
    {.name = "deposit_permille",
     .offset = offsetof(struct market_delivery, deposit_permille),
     .type = CODEC_U16},
    {.name = "baseline_days",
     .offset = offsetof(struct market_delivery, baseline_days),
     .type = CODEC_U16},
    {.name = "baseline_highest",
     .offset = offsetof(struct market_delivery, baseline_highest),
     .type = CODEC_U16},
    {.name = "baseline_adjustment_permille",
     .offset = offsetof(struct market_delivery, baseline_adjustment_permille),
     .type = CODEC_U16},
    {.name = "baseline_window",
     .offset = offsetof(struct market_delivery, baseline_window),
     .type = CODEC_U16},
    {.name = "baseline_gap",
     .offset = offsetof(struct market_delivery, baseline_gap),
     .type = CODEC_U16},
};
static const struct codec_record market_delivery_record = {
    .name = "market_delivery",
    .struct_size = sizeof(struct market_delivery),
    .fields = market_delivery_record_fields,
    .field_count = sizeof market_delivery_record_fields / sizeof market_delivery_record_fields[0],
};

static const struct codec_field market_links_record_fields[] = {
    {.name = "parent", .offset = offsetof(struct market_links, parent), .type = CODEC_NAME_EMPTY},
    {.name = "activation_lead_ms",
     .offset = offsetof(struct market_links, activation_lead),
     .type = CODEC_I64},
    {.name = "must_offer", .offset = offsetof(struct market_links, must_offer), .type = CODEC_BOOL},
};
static const struct codec_record market_links_record = {
    .name = "market_links",
    .struct_size = sizeof(struct market_links),
    .fields = market_links_record_fields,
    .field_count = sizeof market_links_record_fields / sizeof market_links_record_fields[0],
};

static const struct codec_field market_sealing_record_fields[] = {
    {.name = "bids",
     .offset = offsetof(struct market_sealing, bids),
     .type = CODEC_ENUM,
     .limit = BIDS_COUNT,
     .names = market_bids_names},
    {.name = "gate_ms", .offset = offsetof(struct market_sealing, gate), .type = CODEC_I64},
};
static const struct codec_record market_sealing_record = {
    .name = "market_sealing",
    .struct_size = sizeof(struct market_sealing),
    .fields = market_sealing_record_fields,
    .field_count = sizeof market_sealing_record_fields / sizeof market_sealing_record_fields[0],
};

static const struct codec_field market_coupling_record_fields[] = {
    {.name = "intervals", .offset = offsetof(struct market_coupling, intervals), .type = CODEC_U16},
    {.name = "forecast", .offset = offsetof(struct market_coupling, forecast), .type = CODEC_U16},
    {.name = "later",
     .offset = offsetof(struct market_coupling, later),
     .type = CODEC_ENUM,
     .limit = LATER_COUNT,
     .names = market_later_names},
    {.name = "zones",
     .offset = offsetof(struct market_coupling, zones),
     .type = CODEC_ENUM,
     .limit = ZONES_COUNT,
     .names = market_zones_names},
    {.name = "window_blocks",
     .offset = offsetof(struct market_coupling, window),
     .type = CODEC_U16},
    {.name = "fee_ueur", .offset = offsetof(struct market_coupling, fee), .type = CODEC_I64},
};
static const struct codec_record market_coupling_record = {
    .name = "market_coupling",
    .struct_size = sizeof(struct market_coupling),
    .fields = market_coupling_record_fields,
    .field_count = sizeof market_coupling_record_fields / sizeof market_coupling_record_fields[0],
};

static const struct codec_field market_zone_record_fields[] = {
    {.name = "zone", .offset = offsetof(struct market_zone, name), .type = CODEC_NAME},
};
static const struct codec_record market_zone_record = {
    .name = "market_zone",
    .struct_size = sizeof(struct market_zone),
    .fields = market_zone_record_fields,
    .field_count = sizeof market_zone_record_fields / sizeof market_zone_record_fields[0],
};

static const struct codec_field market_create_record_fields[] = {
    {.name = "id", .offset = offsetof(struct market_create, id), .type = CODEC_NAME},
    {.name = "zone", .offset = offsetof(struct market_create, zone), .type = CODEC_NAME},
    {.name = "network",
     .offset = offsetof(struct market_create, network),
     .type = CODEC_NAME_EMPTY},
    {.name = "product",
     .offset = offsetof(struct market_create, product),
     .type = CODEC_ENUM,
     .limit = PRODUCT_COUNT,
     .names = market_product_names},
    {.name = "directions",
     .offset = offsetof(struct market_create, directions),
     .type = CODEC_ENUM,
     .limit = DIRECTIONS_COUNT,
     .names = market_directions_names},
    {.name = "times",
     .offset = offsetof(struct market_create, times),
     .type = CODEC_RECORD,
     .record = &market_times_record},
    {.name = "limits",
     .offset = offsetof(struct market_create, limits),
     .type = CODEC_RECORD,
     .record = &market_limits_record},
    {.name = "clearing",
     .offset = offsetof(struct market_create, clearing),
     .type = CODEC_RECORD,
     .record = &market_clearing_record},
    {.name = "delivery",
     .offset = offsetof(struct market_create, delivery),
     .type = CODEC_RECORD,
     .record = &market_delivery_record},
    {.name = "links",
     .offset = offsetof(struct market_create, links),
     .type = CODEC_RECORD,
     .record = &market_links_record},
    {.name = "sealing",
     .offset = offsetof(struct market_create, sealing),
     .type = CODEC_RECORD,
     .record = &market_sealing_record},
    {.name = "coupling",
     .offset = offsetof(struct market_create, coupling),
     .type = CODEC_RECORD,
     .record = &market_coupling_record},
    {.name = "zones",
     .offset = offsetof(struct market_create, zones),
     .type = CODEC_ARRAY,
     .limit = LIMIT_MARKET_ZONES,
     .count_offset = offsetof(struct market_create, zone_count),
     .record = &market_zone_record},
};
const struct codec_record market_create_record = {
    .name = "market_create",
    .struct_size = sizeof(struct market_create),
    .fields = market_create_record_fields,
    .field_count = sizeof market_create_record_fields / sizeof market_create_record_fields[0],
};
