/* Rows of a feeder: what its voltages and ratings demand of the net injections that a market matches,
 * as linear inequalities with integer coefficients (D2.3 3.3.2; market-rules 7; MFX II.B.1).
 *
 * The AC power flow is linearised at the expected operating point: there every voltage and flow is
 * exact, and so is its slope with each node's active power; what is neglected is of second order and
 * grows with the distance from that point (docs/spec/grid-rows.md has the measured errors). Injections
 * are bids' net power g of a node (sells less buys); they move active power only.
 *   voltage of node i, squared:   w_i + sum of dw_i/dg_j x g_j   between v_min^2 and v_max^2
 *   flow into the branch above i: p_i + sum of dp_i/dg_j x g_j   between -p_max and p_max,
 *       p_max^2 = 3 x (v x rating)^2 - q_i^2, v and q_i those of the operating point. */
#ifndef FLEX_TOOLS_GRID_ROWS_H
#define FLEX_TOOLS_GRID_ROWS_H

#include "tools/grid_network.h"

enum grid_row_kind {
    GRID_VOLTAGE_MIN,
    GRID_VOLTAGE_MAX,
    GRID_FLOW_DOWN, /* away from the slack node: consumption below */
    GRID_FLOW_UP,   /* towards it: generation below */
    GRID_ROW_KIND_COUNT
};
extern const char *const grid_row_kind_names[GRID_ROW_KIND_COUNT];

struct grid_limits {
    double min_v; /* line-to-line */
    double max_v;
    uint32_t mtu_s; /* quantities are Wh over that long; 0: they are W */
};

/* The sum of coef[k] x injection of node flexible[k] is at most rhs. */
struct grid_row {
    enum grid_row_kind kind;
    int node; /* whose voltage, or whose branch towards the slack node */
    int64_t *coef;
    int64_t rhs; /* negative: broken at the operating point; the market must buy it back */
};

struct grid_rows {
    int flexible_count;
    int flexible[GRID_NODES_MAX];
    struct grid_row *rows;
    int count;
    int unbound; /* rows left out because no bids that the nodes allow could break them */
    struct grid_state base;
    double p_max[GRID_NODES_MAX]; /* of the branch above; infinite without a rating */
    /* What a transport line along that branch may carry, in the unit of quantity: never less than the
     * rows allow. */
    int64_t capacity[GRID_NODES_MAX];
    int64_t *memory; /* all coefficients */
};

/* False with the reason in `problem`; then nothing has to be freed. */
bool grid_rows_derive(struct grid_rows *out, const struct grid_network *network,
                      const struct grid_limits *limits, char problem[CSV_PROBLEM_SIZE]);
void grid_rows_free(struct grid_rows *rows);

#endif
