/* Networks and their capacity as actions and as records (contracts/actions.h, contracts/records.h;
 * docs/spec/capacity.md).
 *
 * 1. As in records.c, a field's place in its table is its place in the stored value, for good.
 *
 * Deliberately absent: their rules (network.c, grid.c, capacity.c). */
#include "contracts/records.h"

static const struct codec_field network_create_fields[] = {
    {.name = "id", .offset = offsetof(struct network_create, id), .type = CODEC_NAME},
};
const struct codec_record network_create_record = {
    .name = "network_create",
    .struct_size = sizeof(struct network_create),
    .fields = network_create_fields,
    .field_count = sizeof network_create_fields / sizeof network_create_fields[0],
};

static const struct codec_field network_node_fields[] = {
    {.name = "network", .offset = offsetof(struct network_add_node, network), .type = CODEC_NAME},
    {.name = "id", .offset = offsetof(struct network_add_node, id), .type = CODEC_NAME},
    {.name = "parent",
     .offset = offsetof(struct network_add_node, parent),
     .type = CODEC_NAME_EMPTY},
};
const struct codec_record network_node_record = {
    .name = "network_node",
    .struct_size = sizeof(struct network_add_node),
    .fields = network_node_fields,
    .field_count = sizeof network_node_fields / sizeof network_node_fields[0],
};

static const struct codec_field capacity_limit_fields[] = {
    {.name = "import_w", .offset = offsetof(struct capacity_limit, import), .type = CODEC_I64},
    {.name = "export_w", .offset = offsetof(struct capacity_limit, export), .type = CODEC_I64},
};
static const struct codec_record capacity_limit_record = {
    .name = "limit",
    .struct_size = sizeof(struct capacity_limit),
    .fields = capacity_limit_fields,
    .field_count = sizeof capacity_limit_fields / sizeof capacity_limit_fields[0],
};

static const struct codec_field capacity_publish_fields[] = {
    {.name = "network", .offset = offsetof(struct capacity_publish, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct capacity_publish, node), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct capacity_publish, start), .type = CODEC_I64},
    {.name = "interval_ms",
     .offset = offsetof(struct capacity_publish, interval),
     .type = CODEC_I64},
    {.name = "enforce", .offset = offsetof(struct capacity_publish, enforce), .type = CODEC_BOOL},
    {.name = "limits",
     .offset = offsetof(struct capacity_publish, limits),
     .type = CODEC_ARRAY,
     .limit = LIMIT_CAPACITY_INTERVALS,
     .count_offset = offsetof(struct capacity_publish, limit_count),
     .record = &capacity_limit_record},
};
const struct codec_record capacity_publish_record = {
    .name = "capacity_publish",
    .struct_size = sizeof(struct capacity_publish),
    .fields = capacity_publish_fields,
    .field_count = sizeof capacity_publish_fields / sizeof capacity_publish_fields[0],
};

const char *const row_op_names[ROW_OP_COUNT] = {"<=", ">=", "="};

static const struct codec_field network_line_fields[] = {
    {.name = "network", .offset = offsetof(struct network_line, network), .type = CODEC_NAME},
    {.name = "id", .offset = offsetof(struct network_line, id), .type = CODEC_NAME},
    {.name = "from", .offset = offsetof(struct network_line, from), .type = CODEC_NAME},
    {.name = "to", .offset = offsetof(struct network_line, to), .type = CODEC_NAME},
    {.name = "carrier", .offset = offsetof(struct network_line, carrier), .type = CODEC_NAME},
    {.name = "capacity_w", .offset = offsetof(struct network_line, capacity), .type = CODEC_I64},
    {.name = "tie", .offset = offsetof(struct network_line, tie), .type = CODEC_BOOL},
};
const struct codec_record network_line_codec = {
    .name = "network_line",
    .struct_size = sizeof(struct network_line),
    .fields = network_line_fields,
    .field_count = sizeof network_line_fields / sizeof network_line_fields[0],
};

static const struct codec_field row_coef_fields[] = {
    {.name = "node", .offset = offsetof(struct row_coef, node), .type = CODEC_NAME},
    {.name = "value", .offset = offsetof(struct row_coef, value), .type = CODEC_I64},
};
static const struct codec_record row_coef_codec = {
    .name = "row_coef",
    .struct_size = sizeof(struct row_coef),
    .fields = row_coef_fields,
    .field_count = sizeof row_coef_fields / sizeof row_coef_fields[0],
};

/* A row is stored as it was sent. */
static const struct codec_field network_row_fields[] = {
    {.name = "network", .offset = offsetof(struct network_row, network), .type = CODEC_NAME},
    {.name = "id", .offset = offsetof(struct network_row, id), .type = CODEC_NAME},
    {.name = "carrier", .offset = offsetof(struct network_row, carrier), .type = CODEC_NAME},
    {.name = "op",
     .offset = offsetof(struct network_row, op),
     .type = CODEC_ENUM,
     .limit = ROW_OP_COUNT,
     .names = row_op_names},
    {.name = "rhs", .offset = offsetof(struct network_row, rhs), .type = CODEC_I64},
    {.name = "coefs",
     .offset = offsetof(struct network_row, coefs),
     .type = CODEC_ARRAY,
     .limit = LIMIT_ROW_COEFS,
     .count_offset = offsetof(struct network_row, coef_count),
     .record = &row_coef_codec},
};
const struct codec_record network_row_codec = {
    .name = "network_row",
    .struct_size = sizeof(struct network_row),
    .fields = network_row_fields,
    .field_count = sizeof network_row_fields / sizeof network_row_fields[0],
};

static const struct codec_field network_carrier_fields[] = {
    {.name = "name", .offset = offsetof(struct network_carrier, name), .type = CODEC_NAME},
};
static const struct codec_record network_carrier_codec = {
    .name = "network_carrier",
    .struct_size = sizeof(struct network_carrier),
    .fields = network_carrier_fields,
    .field_count = sizeof network_carrier_fields / sizeof network_carrier_fields[0],
};

static const struct codec_field network_record_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct network_record, operator_name),
     .type = CODEC_NAME},
    {.name = "nodes", .offset = offsetof(struct network_record, nodes), .type = CODEC_U32},
    {.name = "lines", .offset = offsetof(struct network_record, lines), .type = CODEC_U32},
    {.name = "rows", .offset = offsetof(struct network_record, rows), .type = CODEC_U32},
    {.name = "carriers",
     .offset = offsetof(struct network_record, carriers),
     .type = CODEC_ARRAY,
     .limit = LIMIT_NETWORK_CARRIERS,
     .count_offset = offsetof(struct network_record, carrier_count),
     .record = &network_carrier_codec},
};
const struct codec_record network_record_codec = {
    .name = "network",
    .struct_size = sizeof(struct network_record),
    .fields = network_record_fields,
    .field_count = sizeof network_record_fields / sizeof network_record_fields[0],
};

static const struct codec_field node_record_fields[] = {
    {.name = "parent", .offset = offsetof(struct node_record, parent), .type = CODEC_NAME_EMPTY},
    {.name = "depth", .offset = offsetof(struct node_record, depth), .type = CODEC_U8},
};
const struct codec_record node_record_codec = {
    .name = "network_node",
    .struct_size = sizeof(struct node_record),
    .fields = node_record_fields,
    .field_count = sizeof node_record_fields / sizeof node_record_fields[0],
};

static const struct codec_field capacity_record_fields[] = {
    {.name = "import_w",
     .offset = offsetof(struct capacity_record, import_limit),
     .type = CODEC_I64},
    {.name = "export_w",
     .offset = offsetof(struct capacity_record, export_limit),
     .type = CODEC_I64},
    {.name = "import_sold_w",
     .offset = offsetof(struct capacity_record, import_sold),
     .type = CODEC_I64},
    {.name = "export_sold_w",
     .offset = offsetof(struct capacity_record, export_sold),
     .type = CODEC_I64},
    {.name = "revision", .offset = offsetof(struct capacity_record, revision), .type = CODEC_U32},
};
const struct codec_record capacity_record_codec = {
    .name = "capacity",
    .struct_size = sizeof(struct capacity_record),
    .fields = capacity_record_fields,
    .field_count = sizeof capacity_record_fields / sizeof capacity_record_fields[0],
};

static const struct codec_field allocation_record_fields[] = {
    {.name = "market", .offset = offsetof(struct allocation_record, market), .type = CODEC_NAME},
    {.name = "participant",
     .offset = offsetof(struct allocation_record, participant),
     .type = CODEC_NAME},
    {.name = "device", .offset = offsetof(struct allocation_record, device), .type = CODEC_NAME},
    {.name = "network", .offset = offsetof(struct allocation_record, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct allocation_record, node), .type = CODEC_NAME},
    {.name = "limited_by",
     .offset = offsetof(struct allocation_record, limited_by),
     .type = CODEC_NAME_EMPTY},
    {.name = "payee", .offset = offsetof(struct allocation_record, payee), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct allocation_record, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "period_start_ms",
     .offset = offsetof(struct allocation_record, period_start),
     .type = CODEC_I64},
    {.name = "asked_wh", .offset = offsetof(struct allocation_record, asked), .type = CODEC_I64},
    {.name = "granted_wh",
     .offset = offsetof(struct allocation_record, granted),
     .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct allocation_record, price),
     .type = CODEC_I64},
    {.name = "paid_ueur", .offset = offsetof(struct allocation_record, paid), .type = CODEC_I64},
    {.name = "version", .offset = offsetof(struct allocation_record, version), .type = CODEC_U32},
    {.name = "height", .offset = offsetof(struct allocation_record, height), .type = CODEC_U64},
};
const struct codec_record allocation_record_codec = {
    .name = "allocation",
    .struct_size = sizeof(struct allocation_record),
    .fields = allocation_record_fields,
    .field_count = sizeof allocation_record_fields / sizeof allocation_record_fields[0],
};

static const struct codec_field holding_record_fields[] = {
    {.name = "power_w", .offset = offsetof(struct holding_record, power), .type = CODEC_I64},
};
const struct codec_record holding_record_codec = {
    .name = "holding",
    .struct_size = sizeof(struct holding_record),
    .fields = holding_record_fields,
    .field_count = sizeof holding_record_fields / sizeof holding_record_fields[0],
};
