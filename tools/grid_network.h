/* A radial low-voltage network: a tree of branches below one slack node, its AC power flow, and how
 * each node's power moves every voltage and flow (D2.3 3.3.2; DistFlow, Baran and Wu 1989).
 *
 * Read from two tables with a header line, "," or ";" between the fields:
 *   branches: from,to,r_ohm,x_ohm,rating_a   r and x of one phase, in ohm at the nominal voltage of the
 *                                            feeder (a transformer's referred to its lower side);
 *                                            rating_a 0: no rating. Order and direction are free.
 *   nodes:    node,load_w,load_var,flex_w    three-phase net consumption that is expected (negative:
 *                                            generation), and the most by which bids may move the
 *                                            active power there, either way. Nodes not named: 0.
 *
 * Floating point: what comes out is rounded to integers once, published and signed by the DSO; no
 * validator ever repeats this computation (docs/spec/grid-rows.md, "Rows"). */
#ifndef FLEX_TOOLS_GRID_NETWORK_H
#define FLEX_TOOLS_GRID_NETWORK_H

#include "tools/csv.h"

enum {
    GRID_NODES_MAX = 1024,
    GRID_NAME_SIZE = 32,  /* with the NUL */
    GRID_SWEEPS_MAX = 200 /* far more than a feeder that can carry its load needs */
};

struct grid_node {
    char name[GRID_NAME_SIZE];
    /* The branch towards the slack node; the slack node itself has parent -1. Every parent stands
     * before its children. */
    int parent;
    double r_ohm;
    double x_ohm;
    double rating_a; /* 0: none */
    double load_w;
    double load_var;
    double flex_w;
};

struct grid_network {
    int count;
    double slack_v; /* line-to-line at the slack node, in the feeder's nominal voltage level */
    struct grid_node nodes[GRID_NODES_MAX];
};

/* The state of one operating point, by node. `flow`: what enters the branch above the node at its end
 * towards the slack node. */
struct grid_state {
    double voltage_v[GRID_NODES_MAX];
    double flow_w[GRID_NODES_MAX];
    double flow_var[GRID_NODES_MAX];
};

/* False with file, line and reason in `problem`: unreadable tables, a loop, a part that is not
 * connected, a node twice, a load at a node without a branch, too many nodes. */
bool grid_network_read(struct grid_network *out, const char *branches, const char *nodes,
                       const char *slack, char problem[CSV_PROBLEM_SIZE]);
/* Index of a node, -1 if there is none of that name. */
int grid_network_find(const struct grid_network *network, const char *name);
/* The AC power flow by backward and forward sweeps, with `extra_w` more consumption at node `at` (for
 * sensitivities; 0 for the operating point itself). False if it does not converge: the feeder cannot
 * carry that load at any voltage. */
bool grid_flow_solve(const struct grid_network *network, int at, double extra_w,
                     struct grid_state *out);

#endif
