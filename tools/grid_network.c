/* Reading a radial network and solving its power flow (tools/grid_network.h).
 *
 * The sweeps: from the leaves up, each branch carries the loads below it and its own losses at the last
 * known voltages; from the slack node down, each voltage follows from the branch's power and impedance.
 * On a tree this is the exact AC solution once it stands still; of a branch's two solutions it is the
 * one of high voltage, the only one that networks are run at.
 *
 * Deliberately absent: meshes, phases that differ, shunts, tap changers (README of the data says what
 * the examples leave out). */
#include "tools/grid_network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Below that relative change of every squared voltage a sweep stands still. */
static const double stands_still = 1e-13;

/* --- reading ------------------------------------------------------------------------------------ */

struct branch {
    const char *from;
    const char *to;
    double r_ohm;
    double x_ohm;
    double rating_a;
    bool used;
};

int grid_network_find(const struct grid_network *network, const char *name)
{
    for (int i = 0; i < network->count; i++)
        if (strcmp(network->nodes[i].name, name) == 0)
            return i;
    return -1;
}

static bool add_node(struct grid_network *network, const char *name, int parent,
                     const struct branch *branch, char problem[CSV_PROBLEM_SIZE])
{
    if (network->count == GRID_NODES_MAX || strlen(name) >= GRID_NAME_SIZE || name[0] == '\0') {
        snprintf(problem, CSV_PROBLEM_SIZE,
                 network->count == GRID_NODES_MAX ? "%.32s: more than %d nodes"
                                                  : "'%.32s': a node's name has 1 to %d characters",
                 name, network->count == GRID_NODES_MAX ? GRID_NODES_MAX : GRID_NAME_SIZE - 1);
        return false;
    }
    struct grid_node *node = &network->nodes[network->count++];
    memset(node, 0, sizeof *node);
    snprintf(node->name, sizeof node->name, "%s", name);
    node->parent = parent;
    if (branch != NULL) {
        node->r_ohm = branch->r_ohm;
        node->x_ohm = branch->x_ohm;
        node->rating_a = branch->rating_a;
    }
    return true;
}

/* Walks from the slack node outwards: a node is added behind the one that it hangs on. */
static bool grow_tree(struct grid_network *network, struct branch *branches, uint32_t count,
                      char problem[CSV_PROBLEM_SIZE])
{
    for (int at = 0; at < network->count; at++) {
        for (uint32_t i = 0; i < count; i++) {
            struct branch *branch = &branches[i];
            bool down = strcmp(branch->from, network->nodes[at].name) == 0;
            if (branch->used || (!down && strcmp(branch->to, network->nodes[at].name) != 0))
                continue;
            const char *far = down ? branch->to : branch->from;
            branch->used = true;
            if (grid_network_find(network, far) >= 0) {
                snprintf(problem, CSV_PROBLEM_SIZE,
                         "the branch %.32s to %.32s closes a loop: only radial networks have rows",
                         branch->from, branch->to);
                return false;
            }
            if (!add_node(network, far, at, branch, problem))
                return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!branches[i].used) {
            snprintf(problem, CSV_PROBLEM_SIZE,
                     "the branch %.32s to %.32s is not connected to the slack node %.32s",
                     branches[i].from, branches[i].to, network->nodes[0].name);
            return false;
        }
    }
    return true;
}

/* A decimal of a table as a double; exact up to nine digits behind the point, which is far finer than
 * any cable's data sheet. */
static bool field_double(double *out, const struct csv_table *table, uint32_t row, uint32_t column,
                         bool may_be_negative, char problem[CSV_PROBLEM_SIZE])
{
    int64_t scaled;
    if (!csv_scaled(&scaled, table, row, column, 9, problem))
        return false;
    if (scaled < 0 && !may_be_negative) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.160s:%u: %s may not be negative", table->name,
                 row + 2, table->header[column]);
        return false;
    }
    *out = (double)scaled / 1e9;
    return true;
}

static bool find_columns(uint32_t *out, const struct csv_table *table, const char *const *names,
                         int count, char problem[CSV_PROBLEM_SIZE])
{
    for (int i = 0; i < count; i++)
        if (!csv_column(&out[i], table, names[i], problem))
            return false;
    return true;
}

static bool read_branches(struct grid_network *out, const struct csv_table *table,
                          const char *slack, char problem[CSV_PROBLEM_SIZE])
{
    static const char *const names[] = {"from", "to", "r_ohm", "x_ohm", "rating_a"};
    static struct branch branches[GRID_NODES_MAX];
    uint32_t column[5];
    if (!find_columns(column, table, names, 5, problem))
        return false;
    if (table->rows == 0 || table->rows > GRID_NODES_MAX) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: 1 to %d branches, not %u", table->name,
                 GRID_NODES_MAX, table->rows);
        return false;
    }
    for (uint32_t row = 0; row < table->rows; row++) {
        struct branch *branch = &branches[row];
        branch->from = csv_field(table, row, column[0]);
        branch->to = csv_field(table, row, column[1]);
        branch->used = false;
        if (!field_double(&branch->r_ohm, table, row, column[2], false, problem) ||
            !field_double(&branch->x_ohm, table, row, column[3], false, problem) ||
            !field_double(&branch->rating_a, table, row, column[4], false, problem))
            return false;
    }
    return add_node(out, slack, -1, NULL, problem) &&
           grow_tree(out, branches, table->rows, problem);
}

static bool read_nodes(struct grid_network *out, const struct csv_table *table,
                       char problem[CSV_PROBLEM_SIZE])
{
    static const char *const names[] = {"node", "load_w", "load_var", "flex_w"};
    static bool seen[GRID_NODES_MAX];
    uint32_t column[4];
    memset(seen, 0, sizeof seen);
    if (!find_columns(column, table, names, 4, problem))
        return false;
    for (uint32_t row = 0; row < table->rows; row++) {
        const char *name = csv_field(table, row, column[0]);
        int at = grid_network_find(out, name);
        if (at < 0 || seen[at]) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.120s:%u: %.32s %s", table->name, row + 2, name,
                     at < 0 ? "has no branch" : "stands there twice");
            return false;
        }
        seen[at] = true;
        struct grid_node *node = &out->nodes[at];
        if (!field_double(&node->load_w, table, row, column[1], true, problem) ||
            !field_double(&node->load_var, table, row, column[2], true, problem) ||
            !field_double(&node->flex_w, table, row, column[3], false, problem))
            return false;
    }
    return true;
}

bool grid_network_read(struct grid_network *out, const char *branches, const char *nodes,
                       const char *slack, char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    memset(out, 0, sizeof *out);
    if (!csv_read(&table, branches, problem))
        return false;
    bool good = read_branches(out, &table, slack, problem);
    csv_free(&table);
    if (!good || !csv_read(&table, nodes, problem))
        return false;
    good = read_nodes(out, &table, problem);
    csv_free(&table);
    return good;
}

/* --- power flow --------------------------------------------------------------------------------- */

/* A solution in the making, by node: squared voltages, and what leaves the branch above at its lower
 * end. */
struct sweep {
    double squared[GRID_NODES_MAX];
    double below_w[GRID_NODES_MAX];
    double below_var[GRID_NODES_MAX];
};

/* Flows from the leaves up, with the currents that the last voltages make. */
static void sweep_back(const struct grid_network *network, struct sweep *sweep,
                       struct grid_state *out)
{
    for (int i = network->count - 1; i > 0; i--) {
        const struct grid_node *node = &network->nodes[i];
        double p = sweep->below_w[i];
        double q = sweep->below_var[i];
        double current = (p * p + q * q) / sweep->squared[i];
        out->flow_w[i] = p + node->r_ohm * current;
        out->flow_var[i] = q + node->x_ohm * current;
        sweep->below_w[node->parent] += out->flow_w[i];
        sweep->below_var[node->parent] += out->flow_var[i];
    }
    out->flow_w[0] = sweep->below_w[0];
    out->flow_var[0] = sweep->below_var[0];
}

/* Voltages from the slack node down: the upper root of
 * w^2 - (w_above - 2 (r p + x q)) w + (r^2 + x^2)(p^2 + q^2) = 0, p and q at the lower end. False if
 * there is none: no voltage carries that power. *moved: the largest change. */
static bool sweep_forward(const struct grid_network *network, struct sweep *sweep, double *moved)
{
    *moved = 0;
    for (int i = 1; i < network->count; i++) {
        const struct grid_node *node = &network->nodes[i];
        double p = sweep->below_w[i];
        double q = sweep->below_var[i];
        double half = sweep->squared[node->parent] / 2 - (node->r_ohm * p + node->x_ohm * q);
        double impedance = node->r_ohm * node->r_ohm + node->x_ohm * node->x_ohm;
        double inside = half * half - impedance * (p * p + q * q);
        if (!(half > 0) || !(inside > 0)) /* a NaN as well */
            return false;
        double next = half + sqrt(inside);
        *moved = fmax(*moved, fabs(next - sweep->squared[i]) / sweep->squared[0]);
        sweep->squared[i] = next;
    }
    return true;
}

bool grid_flow_solve(const struct grid_network *network, int at, double extra_w,
                     struct grid_state *out)
{
    struct sweep sweep;
    for (int i = 0; i < network->count; i++)
        sweep.squared[i] = network->slack_v * network->slack_v;
    for (int round = 0; round < GRID_SWEEPS_MAX; round++) {
        double moved;
        for (int i = 0; i < network->count; i++) {
            sweep.below_w[i] = network->nodes[i].load_w + (i == at ? extra_w : 0);
            sweep.below_var[i] = network->nodes[i].load_var;
        }
        sweep_back(network, &sweep, out);
        if (!sweep_forward(network, &sweep, &moved))
            return false;
        if (moved < stands_still) {
            for (int i = 0; i < network->count; i++)
                out->voltage_v[i] = sqrt(sweep.squared[i]);
            return true;
        }
    }
    return false;
}
