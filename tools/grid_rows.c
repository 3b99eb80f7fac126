/* From a power flow to integer rows (tools/grid_rows.h).
 *
 * Slopes are central differences of the exact flow, one pair of solutions per flexible node. A
 * coefficient is rounded to a millionth of its unit, a right side down, so that what rounding gives
 * away stays far below what linearising does.
 *
 * Deliberately absent: choosing limits. The voltage band is the DSO's word, the ratings the table's. */
#include "tools/grid_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const grid_row_kind_names[GRID_ROW_KIND_COUNT] = {[GRID_VOLTAGE_MIN] = "voltage_min",
                                                              [GRID_VOLTAGE_MAX] = "voltage_max",
                                                              [GRID_FLOW_DOWN] = "flow_down",
                                                              [GRID_FLOW_UP] = "flow_up"};

static const double probe_w = 100; /* of the central differences */
static const double scale = 1e6;   /* coefficients: millionths */
static const double value_max = 4e18;
enum { SECONDS_OF_HOUR = 3600, ROWS_OF_NODE = 4 };

/* Slopes with the injection of each flexible node, by [flexible][node]. */
struct slopes {
    double (*squared)[GRID_NODES_MAX]; /* V^2 per W */
    double (*flow)[GRID_NODES_MAX];    /* W per W */
};

struct derivation {
    const struct grid_network *network;
    struct grid_rows *out;
    struct slopes slopes;
    double coef_factor; /* from W to the unit of quantity, on the coefficients ... */
    double rhs_factor;  /* ... and on the right side: whole numbers both */
    char *problem;
};

static bool fail(struct derivation *d, const char *what, int node)
{
    snprintf(d->problem, CSV_PROBLEM_SIZE, "node %s: %s", d->network->nodes[node].name, what);
    return false;
}

static bool find_slopes(struct derivation *d)
{
    const struct grid_network *network = d->network;
    static struct grid_state more;
    static struct grid_state less;
    for (int k = 0; k < d->out->flexible_count; k++) {
        int at = d->out->flexible[k];
        if (!grid_flow_solve(network, at, -probe_w, &more) ||
            !grid_flow_solve(network, at, probe_w, &less))
            return fail(d, "the power flow beside the operating point does not converge", at);
        for (int i = 0; i < network->count; i++) {
            d->slopes.squared[k][i] =
                (more.voltage_v[i] * more.voltage_v[i] - less.voltage_v[i] * less.voltage_v[i]) /
                (2 * probe_w);
            d->slopes.flow[k][i] = (more.flow_w[i] - less.flow_w[i]) / (2 * probe_w);
        }
    }
    return true;
}

/* One row: sum of sign x slope x injection <= rhs, both in the unit that the slope has. Left out if the
 * most that bids can do does not reach the right side. */
static bool add_row(struct derivation *d, enum grid_row_kind kind, int node,
                    double (*slope)[GRID_NODES_MAX], int sign, double rhs)
{
    struct grid_rows *out = d->out;
    double most = 0;
    for (int k = 0; k < out->flexible_count; k++)
        most += fabs(slope[k][node]) * d->network->nodes[out->flexible[k]].flex_w;
    if (most <= rhs) {
        out->unbound++;
        return true;
    }
    struct grid_row *row = &out->rows[out->count];
    row->kind = kind;
    row->node = node;
    row->coef = out->memory + (size_t)out->count * (size_t)out->flexible_count;
    out->count++;
    for (int k = 0; k < out->flexible_count; k++) {
        double coef = d->coef_factor * round(scale * sign * slope[k][node]);
        if (fabs(coef) > value_max)
            return fail(d, "a coefficient does not fit into 64 bits", node);
        row->coef[k] = (int64_t)coef;
    }
    double bound = d->rhs_factor * floor(scale * rhs);
    if (fabs(bound) > value_max)
        return fail(d, "a right side does not fit into 64 bits", node);
    row->rhs = (int64_t)bound;
    return true;
}

static bool add_voltage_rows(struct derivation *d, const struct grid_limits *limits)
{
    for (int i = 1; i < d->network->count; i++) {
        double squared = d->out->base.voltage_v[i] * d->out->base.voltage_v[i];
        if (!add_row(d, GRID_VOLTAGE_MIN, i, d->slopes.squared, -1,
                     squared - limits->min_v * limits->min_v) ||
            !add_row(d, GRID_VOLTAGE_MAX, i, d->slopes.squared, 1,
                     limits->max_v * limits->max_v - squared))
            return false;
    }
    return true;
}

static bool add_flow_rows(struct derivation *d)
{
    struct grid_rows *out = d->out;
    double all_w = 0;
    for (int k = 0; k < out->flexible_count; k++)
        all_w += d->network->nodes[out->flexible[k]].flex_w;
    const double per_unit = d->rhs_factor / d->coef_factor; /* quantity of one W */
    for (int i = 1; i < d->network->count; i++) {
        const struct grid_node *node = &d->network->nodes[i];
        double carried = out->base.flow_w[i];
        double widest = all_w;
        out->p_max[i] = INFINITY;
        if (node->rating_a > 0) {
            double apparent = sqrt(3) * out->base.voltage_v[node->parent] * node->rating_a;
            double q = out->base.flow_var[i];
            if (fabs(q) >= apparent)
                return fail(d, "its reactive power alone overloads the branch above it", i);
            out->p_max[i] = sqrt(apparent * apparent - q * q);
            /* Injections below lower the flow: its slope is negative. */
            if (!add_row(d, GRID_FLOW_DOWN, i, d->slopes.flow, 1, out->p_max[i] - carried) ||
                !add_row(d, GRID_FLOW_UP, i, d->slopes.flow, -1, out->p_max[i] + carried))
                return false;
            widest = fmin(all_w, out->p_max[i] + fabs(carried));
        }
        out->capacity[i] = (int64_t)ceil(widest * per_unit);
    }
    return true;
}

static bool make_room(struct derivation *d)
{
    struct grid_rows *out = d->out;
    const size_t flexible = (size_t)out->flexible_count;
    const size_t rows = ROWS_OF_NODE * (size_t)d->network->count;
    out->rows = calloc(rows, sizeof out->rows[0]);
    out->memory = calloc(rows * flexible, sizeof out->memory[0]);
    d->slopes.squared = calloc(flexible, sizeof d->slopes.squared[0]);
    d->slopes.flow = calloc(flexible, sizeof d->slopes.flow[0]);
    if (out->rows != NULL && out->memory != NULL && d->slopes.squared != NULL &&
        d->slopes.flow != NULL)
        return true;
    snprintf(d->problem, CSV_PROBLEM_SIZE, "out of memory");
    return false;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    return b == 0 ? a : common_divisor(b, a % b);
}

bool grid_rows_derive(struct grid_rows *out, const struct grid_network *network,
                      const struct grid_limits *limits, char problem[CSV_PROBLEM_SIZE])
{
    struct derivation d = {
        .network = network, .out = out, .coef_factor = 1, .rhs_factor = 1, .problem = problem};
    memset(out, 0, sizeof *out);
    for (int i = 0; i < network->count; i++)
        if (network->nodes[i].flex_w > 0)
            out->flexible[out->flexible_count++] = i;
    if (out->flexible_count == 0) {
        snprintf(problem, CSV_PROBLEM_SIZE,
                 "no node has flex_w above 0: there is nothing to limit");
        return false;
    }
    if (limits->mtu_s != 0) {
        uint32_t divisor = common_divisor(SECONDS_OF_HOUR, limits->mtu_s);
        d.coef_factor = SECONDS_OF_HOUR / divisor;
        d.rhs_factor = limits->mtu_s / divisor;
    }
    if (!grid_flow_solve(network, 0, 0, &out->base)) {
        snprintf(problem, CSV_PROBLEM_SIZE,
                 "the power flow does not converge: the feeder cannot carry the expected load");
        return false;
    }
    bool good =
        make_room(&d) && find_slopes(&d) && add_voltage_rows(&d, limits) && add_flow_rows(&d);
    free(d.slopes.squared);
    free(d.slopes.flow);
    if (!good)
        grid_rows_free(out);
    return good;
}

void grid_rows_free(struct grid_rows *rows)
{
    free(rows->rows);
    free(rows->memory);
    rows->rows = NULL;
    rows->memory = NULL;
    rows->count = 0;
}
