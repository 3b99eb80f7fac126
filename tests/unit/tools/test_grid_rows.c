/* Rows of a feeder against a full AC power flow that shares nothing with the one that they are made
 * from: nodal admittances, a dense matrix, and a solution that is believed only because the power that
 * it puts into every node is the power that was asked for.
 *
 * On the CIGRE and SimBench networks of examples/grid: the operating point is the same; the margin that
 * a row leaves is the margin that the AC solution has, up to an error that the test prints and bounds;
 * and what the bids can't break, they don't. Then tables that make no sense, each with its message. */
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/grid_rows.h"

enum { NODES_MAX = 32, TRIALS = 400, ROUNDS_MAX = 400 };

/* --- the other power flow ----------------------------------------------------------------------- */

struct ac {
    int count;
    double complex admittance[NODES_MAX][NODES_MAX];
    double complex voltage[NODES_MAX];
};

static double complex branch_admittance(const struct grid_node *node)
{
    return 1 / (node->r_ohm + I * node->x_ohm);
}

static void ac_admittances(struct ac *ac, const struct grid_network *network)
{
    memset(ac, 0, sizeof *ac);
    ac->count = network->count;
    for (int i = 1; i < ac->count; i++) {
        double complex y = branch_admittance(&network->nodes[i]);
        int parent = network->nodes[i].parent;
        ac->admittance[i][i] += y;
        ac->admittance[parent][parent] += y;
        ac->admittance[i][parent] -= y;
        ac->admittance[parent][i] -= y;
    }
}

/* Gauss with pivots: the voltages of all nodes but the slack's, for given currents. */
static void ac_solve_currents(const struct ac *ac, const double complex *current,
                              double complex *voltage)
{
    const int n = ac->count - 1;
    double complex a[NODES_MAX][NODES_MAX + 1];
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            a[i][j] = ac->admittance[i + 1][j + 1];
        a[i][n] = current[i + 1] - ac->admittance[i + 1][0] * voltage[0];
    }
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++)
            best = cabs(a[i][k]) > cabs(a[best][k]) ? i : best;
        for (int j = 0; j <= n; j++) {
            double complex swap = a[k][j];
            a[k][j] = a[best][j];
            a[best][j] = swap;
        }
        for (int i = k + 1; i < n; i++) {
            double complex factor = a[i][k] / a[k][k];
            for (int j = k; j <= n; j++)
                a[i][j] -= factor * a[k][j];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        double complex sum = a[i][n];
        for (int j = i + 1; j < n; j++)
            sum -= a[i][j] * voltage[j + 1];
        voltage[i + 1] = sum / a[i][i];
    }
}

/* Consumption of node i: its load less the injection. */
static double complex demand(const struct grid_network *network, const double *injection, int i)
{
    return network->nodes[i].load_w - injection[i] + I * network->nodes[i].load_var;
}

/* Solves, and then checks the solution itself: the power that flows into each node. */
static void ac_flow(struct ac *ac, const struct grid_network *network, const double *injection)
{
    double complex current[NODES_MAX] = {0};
    ac_admittances(ac, network);
    for (int i = 0; i < ac->count; i++)
        ac->voltage[i] = network->slack_v;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (int i = 1; i < ac->count; i++)
            current[i] = -conj(demand(network, injection, i) / ac->voltage[i]);
        double complex last = ac->voltage[ac->count - 1];
        ac_solve_currents(ac, current, ac->voltage);
        if (cabs(ac->voltage[ac->count - 1] - last) < 1e-12)
            break;
    }
    for (int i = 1; i < ac->count; i++) {
        double complex flows = 0;
        for (int j = 0; j < ac->count; j++)
            flows += ac->admittance[i][j] * ac->voltage[j];
        double complex power = ac->voltage[i] * conj(flows);
        assert_true(cabs(power + demand(network, injection, i)) < 1e-3);
    }
}

/* What enters the branch above node i at its end towards the slack node. */
static double complex ac_branch_flow(const struct ac *ac, const struct grid_network *network, int i)
{
    double complex above = ac->voltage[network->nodes[i].parent];
    return above * conj((above - ac->voltage[i]) * branch_admittance(&network->nodes[i]));
}

/* --- rows against it ---------------------------------------------------------------------------- */

static const struct example {
    const char *name;
    const char *branches;
    const char *nodes;
    const char *slack;
    double slack_v;
    /* The most that a row's margin may be off, for injections of a share of what the nodes allow. */
    double share;
    double error_v;
    double error_permille; /* of the flow that a branch may carry, or of all flexible power */
} examples[] = {
    {"CIGRE LV residential, half of its flexibility", "examples/grid/cigre-lv/branches.csv",
     "examples/grid/cigre-lv/nodes.csv", "r0", 400, 0.5, 0.1, 8},
    {"CIGRE LV residential, all of it", "examples/grid/cigre-lv/branches.csv",
     "examples/grid/cigre-lv/nodes.csv", "r0", 400, 1.0, 0.4, 15},
    {"SimBench LV1.101 at peak load", "examples/grid/simbench-lv1/branches.csv",
     "examples/grid/simbench-lv1/nodes.csv", "mv-4", 400 * 0.965, 1.0, 0.8, 26},
    {"SimBench LV1.101 on a sunny day", "examples/grid/simbench-lv1/branches.csv",
     "examples/grid/simbench-lv1/nodes-sunny.csv", "mv-4", 400 * 1.055, 0.5, 0.15, 8},
};

static void read_example(struct grid_network *network, const struct example *example)
{
    char problem[CSV_PROBLEM_SIZE] = "";
    if (!grid_network_read(network, example->branches, example->nodes, example->slack, problem))
        fail_msg("%s", problem);
    network->slack_v = example->slack_v;
    assert_true(network->count <= NODES_MAX);
}

static void derive(struct grid_rows *rows, const struct grid_network *network, double min_v,
                   double max_v, uint32_t mtu_s)
{
    char problem[CSV_PROBLEM_SIZE] = "";
    const struct grid_limits limits = {min_v, max_v, mtu_s};
    if (!grid_rows_derive(rows, network, &limits, problem))
        fail_msg("%s", problem);
}

static void test_operating_point(void **state)
{
    (void)state;
    static struct grid_network network;
    static struct grid_state found;
    static struct ac ac;
    const double none[NODES_MAX] = {0};
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
        read_example(&network, &examples[e]);
        assert_true(grid_flow_solve(&network, 0, 0, &found));
        ac_flow(&ac, &network, none);
        for (int i = 0; i < network.count; i++)
            assert_true(fabs(found.voltage_v[i] - cabs(ac.voltage[i])) < 1e-6);
        for (int i = 1; i < network.count; i++) {
            double complex flow = ac_branch_flow(&ac, &network, i);
            assert_true(fabs(found.flow_w[i] - creal(flow)) < 1e-2);
            assert_true(fabs(found.flow_var[i] - cimag(flow)) < 1e-2);
        }
    }
}

/* A uniform draw between -1 and 1, the same in every run. */
static double draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (double)(*seed >> 11) / (double)(1ULL << 52) - 1;
}

/* What a row leaves for an injection, in V^2 or W. */
static double row_margin(const struct grid_rows *rows, const struct grid_row *row,
                         const double *injection)
{
    double left = 0;
    for (int k = 0; k < rows->flexible_count; k++)
        left += (double)row->coef[k] * injection[rows->flexible[k]];
    return ((double)row->rhs - left) / 1e6;
}

struct errors {
    double voltage_v;
    double flow_permille;
};

static void compare(struct errors *worst, const struct grid_rows *rows,
                    const struct grid_network *network, const struct ac *ac,
                    const double *injection, double min_v, double max_v)
{
    for (int r = 0; r < rows->count; r++) {
        const struct grid_row *row = &rows->rows[r];
        double left = row_margin(rows, row, injection);
        double v = cabs(ac->voltage[row->node]);
        if (row->kind == GRID_VOLTAGE_MIN || row->kind == GRID_VOLTAGE_MAX) {
            double squared =
                row->kind == GRID_VOLTAGE_MIN ? min_v * min_v + left : max_v * max_v - left;
            worst->voltage_v = fmax(worst->voltage_v, fabs(sqrt(squared) - v));
        } else {
            /* The rating is a current: how much of it is left, as a share. */
            const struct grid_node *node = &network->nodes[row->node];
            double complex flow = ac_branch_flow(ac, network, row->node);
            double used = cabs(flow) / (sqrt(3) * cabs(ac->voltage[node->parent]) * node->rating_a);
            bool down = creal(flow) > 0;
            if (used < 0.5 || used > 1.1 || down != (row->kind == GRID_FLOW_DOWN))
                continue; /* far from where that row decides, or the other direction's */
            double rating = sqrt(3) * rows->base.voltage_v[node->parent] * node->rating_a;
            double q = rows->base.flow_var[row->node];
            double expected = hypot(rows->p_max[row->node] - left, q) / rating;
            worst->flow_permille = fmax(worst->flow_permille, 1000 * fabs(expected - used));
        }
    }
}

static void test_rows_against_ac(void **state)
{
    (void)state;
    static struct grid_network network;
    static struct grid_rows rows;
    static struct ac ac;
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
        const struct example *example = &examples[e];
        uint64_t seed = e + 1;
        struct errors worst = {0, 0};
        read_example(&network, example);
        /* A band so narrow that every node has both of its rows. */
        const double min_v = 399.99;
        const double max_v = 400.01;
        derive(&rows, &network, min_v, max_v, 0);
        for (int trial = 0; trial < TRIALS; trial++) {
            double injection[NODES_MAX] = {0};
            /* All one way in some trials, for that is where lines are loaded most. */
            double lean = trial % 4 == 0 ? 1 : trial % 4 == 1 ? -1 : 0;
            for (int k = 0; k < rows.flexible_count; k++) {
                double shift = lean != 0 ? lean * fabs(draw(&seed)) : draw(&seed);
                injection[rows.flexible[k]] =
                    example->share * network.nodes[rows.flexible[k]].flex_w * shift;
            }
            ac_flow(&ac, &network, injection);
            compare(&worst, &rows, &network, &ac, injection, min_v, max_v);
        }
        print_message(
            "%s: %d rows, %d injections, at most %.3f V (%.2f permille) and %.1f permille "
            "of a rating off\n",
            example->name, rows.count, TRIALS, worst.voltage_v, worst.voltage_v / 0.4,
            worst.flow_permille);
        assert_true(rows.count > 0);
        assert_true(worst.voltage_v < example->error_v);
        assert_true(worst.flow_permille < example->error_permille);
        grid_rows_free(&rows);
    }
}

/* What no bids can break needs no row: at every extreme, the AC solution keeps it. */
static void test_unbound_limits_hold(void **state)
{
    (void)state;
    static struct grid_network network;
    static struct grid_rows rows;
    static struct ac ac;
    const double min_v = 360;
    const double max_v = 440;
    read_example(&network, &examples[1]);
    derive(&rows, &network, min_v, max_v, 0);
    assert_true(rows.unbound > 0);
    bool low[NODES_MAX] = {false};
    bool high[NODES_MAX] = {false};
    for (int r = 0; r < rows.count; r++) {
        if (rows.rows[r].kind == GRID_VOLTAGE_MIN)
            low[rows.rows[r].node] = true;
        if (rows.rows[r].kind == GRID_VOLTAGE_MAX)
            high[rows.rows[r].node] = true;
    }
    for (int corner = 0; corner < 1 << rows.flexible_count; corner++) {
        double injection[NODES_MAX] = {0};
        for (int k = 0; k < rows.flexible_count; k++) {
            int at = rows.flexible[k];
            injection[at] = network.nodes[at].flex_w * ((corner >> k & 1) != 0 ? 1 : -1);
        }
        ac_flow(&ac, &network, injection);
        for (int i = 1; i < network.count; i++) {
            double v = cabs(ac.voltage[i]);
            /* Second-order terms: what the comparison above bounds. */
            assert_true(low[i] || v > min_v - examples[1].error_v);
            assert_true(high[i] || v < max_v + examples[1].error_v);
        }
    }
    grid_rows_free(&rows);
}

/* Wh over 15 minutes: a quarter of the watts, so four times the coefficients. */
static void test_unit_of_quantity(void **state)
{
    (void)state;
    static struct grid_network network;
    static struct grid_rows watts;
    static struct grid_rows quarters;
    static struct grid_rows odd;
    read_example(&network, &examples[1]);
    derive(&watts, &network, 360, 440, 0);
    derive(&quarters, &network, 360, 440, 900);
    derive(&odd, &network, 360, 440, 5400); /* 90 minutes: 2 / 3 */
    assert_int_equal(watts.count, quarters.count);
    assert_int_equal(watts.count, odd.count);
    for (int r = 0; r < watts.count; r++) {
        for (int k = 0; k < watts.flexible_count; k++) {
            assert_true(quarters.rows[r].coef[k] == 4 * watts.rows[r].coef[k]);
            assert_true(odd.rows[r].coef[k] == 2 * watts.rows[r].coef[k]);
        }
        assert_true(quarters.rows[r].rhs == watts.rows[r].rhs);
        assert_true(odd.rows[r].rhs == 3 * watts.rows[r].rhs);
    }
    for (int i = 1; i < network.count; i++)
        assert_true(llabs(4 * quarters.capacity[i] - watts.capacity[i]) <= 4);
    grid_rows_free(&watts);
    grid_rows_free(&quarters);
    grid_rows_free(&odd);
}

/* --- bad input ---------------------------------------------------------------------------------- */

static const char good_branches[] = "from,to,r_ohm,x_ohm,rating_a\na,b,0.01,0.01,100\n";
static const char good_nodes[] = "node,load_w,load_var,flex_w\nb,1000,0,500\n";

static const struct bad {
    const char *branches;
    const char *nodes;
    const char *says;
} bad[] = {
    {"from,to,r_ohm,x_ohm,rating_a\na,b,0.01,0.01,9\nb,c,1,1,9\nc,a,1,1,9\n", good_nodes, "loop"},
    {"from,to,r_ohm,x_ohm,rating_a\na,b,0.01,0.01,9\nc,d,1,1,9\n", good_nodes, "not connected"},
    {"from,to,r_ohm,x_ohm,rating_a\na,b,0.01,0.01,9\nb,a,1,1,9\n", good_nodes, "loop"},
    {"from,to,r_ohm,x_ohm,rating_a\na,a,0.01,0.01,9\n", good_nodes, "loop"},
    {"from,to,r_ohm,x_ohm,rating_a\na,b,-0.01,0.01,9\n", good_nodes, "r_ohm may not be negative"},
    {"from,to,r_ohm,x_ohm,rating_a\na,b,nan,0.01,9\n", good_nodes, ":2: 'nan' in column r_ohm"},
    {"from,to,r_ohm,x_ohm,rating_a\na,b,1e3,0.01,9\n", good_nodes, ":2: '1e3' in column r_ohm"},
    {"from,to,r_ohm,x_ohm\na,b,0.01,0.01\n", good_nodes, "rating_a"},
    {"from,to,r_ohm,x_ohm,rating_a\n", good_nodes, "branches"},
    {"from,to,r_ohm,x_ohm,rating_a\na,a-name-that-is-far-too-long-for-any-node,1,1,9\n", good_nodes,
     "31 characters"},
    {good_branches, "node,load_w,load_var,flex_w\nc,1000,0,500\n", "c has no branch"},
    {good_branches, "node,load_w,load_var,flex_w\nb,1,0,5\nb,1,0,5\n", "stands there twice"},
    {good_branches, "node,load_w,load_var,flex_w\nb,1,0,-5\n", "flex_w may not be negative"},
    {good_branches, "node,load_w,load_var,flex_w\nb,1,0,0\n", "nothing to limit"},
    {good_branches, "node,load_w,load_var,flex_w\nb,900000000,0,5\n", "does not converge"},
    {good_branches, "node,load_w,load_var,flex_w\nb,0,80000,5\n", "reactive power alone"},
};

static const char *write_table(char path[128], const char *directory, const char *name,
                               const char *text)
{
    snprintf(path, 128, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static void test_bad_tables(void **state)
{
    (void)state;
    static struct grid_network network;
    static struct grid_rows rows;
    char directory[] = "/tmp/flex-test-grid-XXXXXX";
    char branches[128];
    char nodes[128];
    const struct grid_limits limits = {360, 440, 0};
    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char problem[CSV_PROBLEM_SIZE] = "";
        write_table(branches, directory, "branches.csv", bad[i].branches);
        write_table(nodes, directory, "nodes.csv", bad[i].nodes);
        bool good = grid_network_read(&network, branches, nodes, "a", problem);
        network.slack_v = 400;
        if (good)
            good = grid_rows_derive(&rows, &network, &limits, problem);
        if (good || strstr(problem, bad[i].says) == NULL)
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, problem, bad[i].says);
    }
    unlink(branches);
    unlink(nodes);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operating_point),     cmocka_unit_test(test_rows_against_ac),
        cmocka_unit_test(test_unbound_limits_hold), cmocka_unit_test(test_unit_of_quantity),
        cmocka_unit_test(test_bad_tables),
    };
    return cmocka_run_group_tests_name("grid rows", tests, NULL, NULL);
}
