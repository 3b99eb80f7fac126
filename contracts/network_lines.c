/* What coupled auctions know of a network: lines between its nodes, and rows over their injections
 * (market-rules 7; D2.3 3.3.2; docs/spec/coupled.md 10).
 *
 * Invariants:
 * 1. Lines and rows name nodes that are there, and nodes never go.
 * 2. Taking nothing keeps every row: its right side is on the side of 0. So every auction can clear.
 * 3. A line keeps its ends and its carrier for good; capacity and rows follow what the operator knows. An
 *    auction whose gate has closed keeps the figures of its gate.
 *
 * Deliberately absent: published capacities of nodes, which are for capacity markets and the grid check
 * (network.c): what a coupled auction may use of the grid, its lines and rows say. */
#include "base/fatal.h"
#include "contracts/grid.h"

static bool node_exists(const struct contract_call *call, const struct name *network,
                        const struct name *node)
{
    struct state_key key = state_key_pair(STATE_NETWORK_NODE, network, node);
    return contract_exists(call, &key);
}

/* False if there is no room for another carrier. */
static bool know_carrier(struct network_record *network, const struct name *carrier)
{
    for (uint32_t i = 0; i < network->carrier_count; i++) {
        if (name_compare(&network->carriers[i].name, carrier) == 0) {
            return true;
        }
    }
    if (network->carrier_count == LIMIT_NETWORK_CARRIERS) {
        return false;
    }
    network->carriers[network->carrier_count++].name = *carrier;
    return true;
}

static void write_network(const struct contract_call *call, const struct name *id,
                          const struct network_record *network)
{
    struct state_key key = state_key_name(STATE_NETWORK, id);
    contract_write(call, &key, &network_record_codec, network);
}

static bool same_line(const struct network_line *a, const struct network_line *b)
{
    return name_compare(&a->from, &b->from) == 0 && name_compare(&a->to, &b->to) == 0 &&
           name_compare(&a->carrier, &b->carrier) == 0 && a->tie == b->tie;
}

enum contract_error network_line_apply(struct contract_call *call, const void *record)
{
    const struct network_line *line = record;
    struct network_record network;
    struct network_line before;
    enum contract_error error = network_require_own(call, &line->network, &network);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!node_exists(call, &line->network, &line->from) ||
        !node_exists(call, &line->network, &line->to)) {
        return CONTRACT_UNKNOWN_NODE;
    }
    if (name_compare(&line->from, &line->to) == 0) {
        return CONTRACT_BAD_PARAMETER;
    }
    if (power_w(line->capacity) < 0 || power_w(line->capacity) > limit_capacity_w) {
        return CONTRACT_OUT_OF_RANGE;
    }
    struct state_key key = state_key_pair(STATE_NETWORK_LINE, &line->network, &line->id);
    if (!contract_read(call, &key, &network_line_codec, &before)) {
        if (network.lines >= LIMIT_NETWORK_LINES || !know_carrier(&network, &line->carrier)) {
            return CONTRACT_NETWORK_FULL;
        }
        network.lines++;
        write_network(call, &line->network, &network);
    } else if (!same_line(&before, line)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    contract_write(call, &key, &network_line_codec, line);
    return CONTRACT_OK;
}

/* Whether taking nothing keeps it. */
static bool rest_keeps(const struct network_row *row)
{
    switch ((enum row_op)row->op) {
    case ROW_AT_MOST:
        return row->rhs >= 0;
    case ROW_AT_LEAST:
        return row->rhs <= 0;
    case ROW_EQUAL:
        return row->rhs == 0;
    }
    return false;
}

/* Each node once, in the order of names, so that a row has one spelling. */
static enum contract_error check_row(const struct contract_call *call,
                                     const struct network_row *row)
{
    if (row->rhs < -limit_row_rhs || row->rhs > limit_row_rhs) {
        return CONTRACT_OUT_OF_RANGE;
    }
    if (!rest_keeps(row)) {
        return CONTRACT_BAD_PARAMETER;
    }
    for (uint32_t i = 0; i < row->coef_count; i++) {
        const struct row_coef *coef = &row->coefs[i];
        if (!node_exists(call, &row->network, &coef->node)) {
            return CONTRACT_UNKNOWN_NODE;
        }
        if (coef->value == 0 ||
            (i > 0 && name_compare(&row->coefs[i - 1].node, &coef->node) >= 0)) {
            return CONTRACT_BAD_PARAMETER;
        }
        if (coef->value < -limit_row_coef || coef->value > limit_row_coef) {
            return CONTRACT_OUT_OF_RANGE;
        }
    }
    return CONTRACT_OK;
}

enum contract_error network_row_apply(struct contract_call *call, const void *record)
{
    const struct network_row *row = record;
    struct network_record network;
    enum contract_error error = network_require_own(call, &row->network, &network);
    if (error == CONTRACT_OK) {
        error = check_row(call, row);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct state_key key = state_key_pair(STATE_NETWORK_ROW, &row->network, &row->id);
    bool known = contract_exists(call, &key);
    if (row->coef_count == 0) {
        if (!known) {
            return CONTRACT_NOTHING_TO_CHANGE;
        }
        MUST(network.rows > 0);
        network.rows--;
        contract_remove(call, &key);
    } else {
        if ((!known && network.rows >= LIMIT_NETWORK_ROWS) ||
            !know_carrier(&network, &row->carrier)) {
            return CONTRACT_NETWORK_FULL;
        }
        network.rows += !known;
        contract_write(call, &key, &network_row_codec, row);
    }
    write_network(call, &row->network, &network);
    return CONTRACT_OK;
}
