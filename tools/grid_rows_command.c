/* flex grid rows: the rows of a feeder, as a coupled market's `network` wants them (interfaces: flexclear).
 *
 * For people: what the feeder looks like at the operating point, and which limits it breaks there. For
 * programs: --json has the network and each row's meaning; --out writes the network alone, ready to be
 * put into a problem or published. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "tools/grid.h"
#include "tools/grid_rows.h"

enum { PERMILLE = 1000, NOMINAL_V_MAX = 1000000, MTU_MS_MAX = 86400000, MS = 1000 };

struct rows_arguments {
    const char *branches;
    const char *nodes;
    const char *slack;
    uint32_t nominal_v;
    uint16_t slack_permille;
    uint16_t min_permille;
    uint16_t max_permille;
    int64_t mtu_ms;
    const char *out;
};

_Static_assert(sizeof(struct rows_arguments) <= GRID_ROWS_ARGUMENTS_SIZE, "the table's size holds");

const struct cli_option grid_rows_options[GRID_ROWS_OPTIONS] = {
    {"branches", CLI_FILE, offsetof(struct rows_arguments, branches),
     "CSV: from,to,r_ohm,x_ohm,rating_a; rating_a 0: none", CLI_REQUIRED, NULL, NULL, 0},
    {"nodes", CLI_FILE, offsetof(struct rows_arguments, nodes),
     "CSV: node,load_w,load_var,flex_w; flex_w: the most that bids may move there", CLI_REQUIRED,
     NULL, NULL, 0},
    {"slack", CLI_TEXT, offsetof(struct rows_arguments, slack), "the node that feeds the others",
     CLI_REQUIRED, NULL, NULL, 0},
    {"nominal-v", CLI_U32, offsetof(struct rows_arguments, nominal_v),
     "nominal voltage, line to line", CLI_OPTIONAL, "400", NULL, 0},
    {"slack-permille", CLI_U16, offsetof(struct rows_arguments, slack_permille),
     "voltage at the slack node, of the nominal one", CLI_OPTIONAL, "1000", NULL, 0},
    {"min-permille", CLI_U16, offsetof(struct rows_arguments, min_permille),
     "lowest voltage that a node may have (EN 50160: 900)", CLI_OPTIONAL, "900", NULL, 0},
    {"max-permille", CLI_U16, offsetof(struct rows_arguments, max_permille),
     "highest voltage that a node may have", CLI_OPTIONAL, "1100", NULL, 0},
    {"mtu", CLI_DURATION, offsetof(struct rows_arguments, mtu_ms),
     "quantities are Wh over that long; 0: they are W", CLI_OPTIONAL, "0s", NULL, 0},
    {"out", CLI_FILE, offsetof(struct rows_arguments, out), "write the network to that file",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static bool is_flow(enum grid_row_kind kind)
{
    return kind == GRID_FLOW_DOWN || kind == GRID_FLOW_UP;
}

/* {"slack","lines","rows"} as flexclear reads it. */
static struct cJSON *make_network(const struct grid_network *network, const struct grid_rows *rows)
{
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "slack", network->nodes[0].name);
    struct cJSON *lines = cJSON_AddArrayToObject(object, "lines");
    for (int i = 1; i < network->count; i++) {
        struct cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "from", network->nodes[network->nodes[i].parent].name);
        cJSON_AddStringToObject(line, "to", network->nodes[i].name);
        json_add_i64(line, "capacity", rows->capacity[i]);
        cJSON_AddItemToArray(lines, line);
    }
    struct cJSON *list = cJSON_AddArrayToObject(object, "rows");
    for (int r = 0; r < rows->count; r++) {
        struct cJSON *row = cJSON_CreateObject();
        struct cJSON *coef = cJSON_AddObjectToObject(row, "coef");
        for (int k = 0; k < rows->flexible_count; k++)
            if (rows->rows[r].coef[k] != 0)
                json_add_i64(coef, network->nodes[rows->flexible[k]].name, rows->rows[r].coef[k]);
        cJSON_AddStringToObject(row, "op", "<=");
        json_add_i64(row, "rhs", rows->rows[r].rhs);
        cJSON_AddItemToArray(list, row);
    }
    return object;
}

/* What each row means, in the order of the rows. */
static struct cJSON *describe_rows(const struct grid_network *network, const struct grid_rows *rows,
                                   const struct grid_limits *limits)
{
    struct cJSON *list = cJSON_CreateArray();
    for (int r = 0; r < rows->count; r++) {
        const struct grid_row *row = &rows->rows[r];
        const bool flow = is_flow(row->kind);
        const double base =
            flow ? rows->base.flow_w[row->node] * (row->kind == GRID_FLOW_UP ? -1 : 1)
                 : rows->base.voltage_v[row->node] * MS;
        const double limit =
            flow ? rows->p_max[row->node]
                 : MS * (row->kind == GRID_VOLTAGE_MIN ? limits->min_v : limits->max_v);
        struct cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "limit", grid_row_kind_names[row->kind]);
        cJSON_AddStringToObject(item, "node", network->nodes[row->node].name);
        cJSON_AddStringToObject(item, "unit", flow ? "W" : "mV");
        json_add_i64(item, "expected", llround(base));
        json_add_i64(item, "allowed", llround(limit));
        cJSON_AddStringToObject(item, "kept", row->rhs >= 0 ? "yes" : "no");
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static int report(struct cli *cli, const struct rows_arguments *wanted,
                  const struct grid_network *network, const struct grid_rows *rows,
                  const struct grid_limits *limits)
{
    struct cJSON *object = make_network(network, rows);
    struct cJSON *meaning = describe_rows(network, rows, limits);
    if (wanted->out != NULL && !files_write_json(wanted->out, object, 0644)) {
        cJSON_Delete(object);
        cJSON_Delete(meaning);
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s: %s", wanted->out, strerror(errno));
    }
    cli_say(
        cli,
        "%d nodes, %d of them with power that bids can move: %d rows (%d more limits are out of "
        "the bids' reach).\n",
        network->count, rows->flexible_count, rows->count, rows->unbound);
    cli_say_table(cli, meaning, "limit node expected allowed unit kept");
    if (wanted->out != NULL)
        cli_say(cli, "The network is in %s.\n", wanted->out);
    cJSON_AddItemToObject(cli->result, "network", object);
    cJSON_AddItemToObject(cli->result, "rows", meaning);
    json_add_i64(cli->result, "out_of_reach", rows->unbound);
    return CLI_DONE;
}

static int check_arguments(struct cli *cli, const struct rows_arguments *wanted)
{
    if (wanted->nominal_v == 0 || wanted->nominal_v > NOMINAL_V_MAX ||
        wanted->slack_permille < PERMILLE / 2 || wanted->slack_permille > 2 * PERMILLE ||
        wanted->min_permille >= wanted->max_permille || wanted->max_permille > 2 * PERMILLE)
        return cli_fail(
            cli, CLI_USAGE, "bad_usage",
            "--nominal-v lies between 1 and %d, --slack-permille between %d and %d, and "
            "--min-permille below --max-permille",
            NOMINAL_V_MAX, PERMILLE / 2, 2 * PERMILLE);
    if (wanted->mtu_ms < 0 || wanted->mtu_ms > MTU_MS_MAX || wanted->mtu_ms % MS != 0)
        return cli_fail(cli, CLI_USAGE, "bad_usage", "--mtu is whole seconds, a day at most");
    return CLI_DONE;
}

int grid_rows_run(struct cli *cli, void *arguments)
{
    const struct rows_arguments *wanted = arguments;
    char problem[CSV_PROBLEM_SIZE];
    struct grid_rows rows;
    int status = check_arguments(cli, wanted);
    if (status != CLI_DONE)
        return status;
    struct grid_network *network = calloc(1, sizeof *network);
    if (network == NULL)
        return cli_fail(cli, CLI_USAGE, "out_of_memory", "out of memory");
    const struct grid_limits limits = {
        .min_v = (double)wanted->nominal_v * wanted->min_permille / PERMILLE,
        .max_v = (double)wanted->nominal_v * wanted->max_permille / PERMILLE,
        .mtu_s = (uint32_t)(wanted->mtu_ms / MS)};
    if (!grid_network_read(network, wanted->branches, wanted->nodes, wanted->slack, problem)) {
        status = cli_fail(cli, CLI_USAGE, "bad_input", "%s", problem);
    } else {
        network->slack_v = (double)wanted->nominal_v * wanted->slack_permille / PERMILLE;
        if (!grid_rows_derive(&rows, network, &limits, problem)) {
            status = cli_fail(cli, CLI_USAGE, "bad_input", "%s", problem);
        } else {
            status = report(cli, wanted, network, &rows, &limits);
            grid_rows_free(&rows);
        }
    }
    free(network);
    return status;
}
