/* Networks of DSOs, and what their nodes can carry (MFX II.A; market-rules 8; docs/spec/capacity.md 1).
 *
 * A network is a forest of transformers, feeders and nodes. Its operator publishes, day-ahead and again
 * whenever it knows better, how much each node can carry beyond what is expected there anyway: for
 * import and for export, in every quarter hour.
 *
 * Invariants:
 * 1. A network only grows: a node never moves or goes, so a path once found stays what it was.
 * 2. A node's parent was there before it, and no path is longer than LIMIT_NETWORK_DEPTH.
 * 3. What is published replaces what was, in whole quarter hours that have not begun; what is sold stays
 *    sold. Less than is sold is published only by force, and then the record shows it.
 *
 * Deliberately absent: who gets capacity (capacity.c), and what matched quantities take of it
 * (grid.c). */
#include "contracts/grid.h"

#include "base/fatal.h"

bool network_read(const struct contract_call *call, const struct name *id,
                  struct network_record *out)
{
    struct state_key key = state_key_name(STATE_NETWORK, id);
    return contract_read(call, &key, &network_record_codec, out);
}

static bool read_node(const struct contract_call *call, const struct name *network,
                      const struct name *id, struct node_record *out)
{
    struct state_key key = state_key_pair(STATE_NETWORK_NODE, network, id);
    return contract_read(call, &key, &node_record_codec, out);
}

static enum contract_error create_apply(struct contract_call *call, const void *record)
{
    const struct network_create *action = record;
    struct network_record network;
    if (!contract_has_role(call, ROLE_DSO)) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (network_read(call, &action->id, &network)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    network = (struct network_record){
        .operator_name = call->sender, .carrier_count = 1, .carriers = {{{"el"}}}};
    struct state_key key = state_key_name(STATE_NETWORK, &action->id);
    contract_write(call, &key, &network_record_codec, &network);
    return CONTRACT_OK;
}

/* The sender operates the network, and still is a DSO. */
enum contract_error network_require_own(const struct contract_call *call, const struct name *id,
                                        struct network_record *out)
{
    if (!contract_has_role(call, ROLE_DSO)) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (!network_read(call, id, out)) {
        return CONTRACT_UNKNOWN_NETWORK;
    }
    return name_compare(&out->operator_name, &call->sender) == 0 ? CONTRACT_OK
                                                                 : CONTRACT_NOT_PERMITTED;
}

static enum contract_error node_apply(struct contract_call *call, const void *record)
{
    const struct network_add_node *action = record;
    struct network_record network;
    struct node_record parent;
    struct node_record node = {.parent = action->parent, .depth = 1};
    enum contract_error error = network_require_own(call, &action->network, &network);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct state_key key = state_key_pair(STATE_NETWORK_NODE, &action->network, &action->id);
    if (contract_exists(call, &key)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    if (!name_is_empty(&action->parent)) {
        if (!read_node(call, &action->network, &action->parent, &parent)) {
            return CONTRACT_UNKNOWN_NODE;
        }
        node.depth = (uint8_t)(parent.depth + 1);
    }
    if (node.depth > LIMIT_NETWORK_DEPTH || network.nodes >= LIMIT_NETWORK_NODES) {
        return CONTRACT_NETWORK_FULL;
    }
    network.nodes++;
    struct state_key network_key = state_key_name(STATE_NETWORK, &action->network);
    contract_write(call, &network_key, &network_record_codec, &network);
    contract_write(call, &key, &node_record_codec, &node);
    return CONTRACT_OK;
}

/* --- publication ---------------------------------------------------------------------------- */

static enum contract_error check_publication(const struct contract_call *call,
                                             const struct capacity_publish *action)
{
    struct duration ahead;
    int64_t start_ms = timestamp_ms(action->start);
    if (action->limit_count == 0 || !assets_mtu_is_supported(action->interval)) {
        return CONTRACT_BAD_PARAMETER;
    }
    if (start_ms < 0 || start_ms % duration_ms(action->interval) != 0) {
        return CONTRACT_BAD_PERIOD;
    }
    if (timestamp_compare(action->start, call->context->time) <= 0) {
        return CONTRACT_TOO_LATE;
    }
    if (!timestamp_until(&ahead, call->context->time, action->start) ||
        duration_ms(ahead) > limit_gate_closure_ms) {
        return CONTRACT_BAD_PERIOD;
    }
    for (uint32_t i = 0; i < action->limit_count; i++) {
        int64_t import = power_w(action->limits[i].import);
        int64_t export = power_w(action->limits[i].export);
        if (import < 0 || export < 0 || import > limit_capacity_w || export > limit_capacity_w) {
            return CONTRACT_OUT_OF_RANGE;
        }
    }
    return CONTRACT_OK;
}

static bool is_oversold(const struct capacity_record *capacity)
{
    return power_w(capacity->import_sold) > power_w(capacity->import_limit) ||
           power_w(capacity->export_sold) > power_w(capacity->export_limit);
}

static enum contract_error publish_apply(struct contract_call *call, const void *record)
{
    const struct capacity_publish *action = record;
    struct network_record network;
    struct node_record node;
    enum contract_error error = network_require_own(call, &action->network, &network);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!read_node(call, &action->network, &action->node, &node)) {
        return CONTRACT_UNKNOWN_NODE;
    }
    error = check_publication(call, action);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct event_capacity event = {.network = action->network,
                                   .node = action->node,
                                   .start = action->start,
                                   .interval = action->interval,
                                   .intervals = action->limit_count};
    const uint32_t per_interval = (uint32_t)(duration_ms(action->interval) / COMMITMENT_SLOT_MS);
    for (uint32_t i = 0; i < action->limit_count * per_interval; i++) {
        const struct capacity_limit *limit = &action->limits[i / per_interval];
        struct timestamp slot;
        MUST(timestamp_add(&slot, action->start, duration_of((int64_t)i * COMMITMENT_SLOT_MS)));
        struct state_key key = state_key_capacity(&action->network, &action->node, slot);
        struct capacity_record capacity = {0};
        (void)contract_read(call, &key, &capacity_record_codec, &capacity);
        MUST(capacity.revision < UINT32_MAX);
        capacity.import_limit = limit->import;
        capacity.export_limit = limit->export;
        capacity.revision++;
        if (is_oversold(&capacity) && action->enforce == 0) {
            return CONTRACT_CAPACITY_SOLD;
        }
        event.oversold += is_oversold(&capacity);
        contract_write(call, &key, &capacity_record_codec, &capacity);
    }
    contract_event(call, EVENT_CAPACITY_PUBLISHED, &event);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_NETWORK_CREATE, create_apply},    {ACTION_NETWORK_NODE, node_apply},
    {ACTION_CAPACITY_PUBLISH, publish_apply}, {ACTION_NETWORK_LINE, network_line_apply},
    {ACTION_NETWORK_ROW, network_row_apply},
};

const struct contract_module network_module = {
    .name = "network",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
