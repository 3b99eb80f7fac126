/* flex network: a DSO's tree of transformers, feeders and nodes, and what they can carry (MFX II.A;
 * docs/spec/capacity.md).
 *
 * A publication is one transaction: all of its intervals stand or none does. A table of more intervals than
 * one transaction holds is refused before anything is sent.
 *
 * Deliberately absent: deriving the figures from a grid's data; flex grid rows does that, and `load` takes
 * what it writes. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/csv.h"
#include "tools/network_file.h"
#include "tools/nouns.h"
#include "tools/value.h"

static const struct cli_option name_option[] = {
    {"NAME", CLI_NAME, 0, "the network's name", CLI_POSITIONAL, NULL, NULL, 0},
};

static const struct cli_option node_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct network_add_node, network), "the network", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"NAME", CLI_NAME, offsetof(struct network_add_node, id),
     "what devices call their node or feeder", CLI_POSITIONAL, NULL, NULL, 0},
    {"parent", CLI_NAME, offsetof(struct network_add_node, parent), "the node above it (none)",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static const struct cli_option line_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct network_line, network), "the network", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"NAME", CLI_NAME, offsetof(struct network_line, id), "the line's name", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"from", CLI_NAME, offsetof(struct network_line, from), "a node", CLI_REQUIRED, NULL, NULL, 0},
    {"to", CLI_NAME, offsetof(struct network_line, to), "another", CLI_REQUIRED, NULL, NULL, 0},
    {"capacity-w", CLI_I64, offsetof(struct network_line, capacity),
     "what it carries, in both directions", CLI_REQUIRED, NULL, NULL, 0},
    {"carrier", CLI_NAME, offsetof(struct network_line, carrier), "what it carries: el, heat, ...",
     CLI_OPTIONAL, "el", NULL, 0},
    {"tie", CLI_SWITCH, offsetof(struct network_line, tie),
     "it runs between zones, and carries nothing in markets whose zones are separate", CLI_OPTIONAL,
     NULL, NULL, 0},
};

/* --- rows ----------------------------------------------------------------------------------- */

struct rows_file {
    struct name network;
    const char *file;
    bool update;
};

static const struct cli_option load_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct rows_file, network), "the network", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"FILE", CLI_FILE, offsetof(struct rows_file, file),
     "{\"slack\",\"lines\",\"rows\"} as flex grid rows --out writes it", CLI_POSITIONAL, NULL, NULL,
     0},
    {"update", CLI_SWITCH, offsetof(struct rows_file, update),
     "its nodes are there already: lines get these capacities, rows these figures", CLI_OPTIONAL,
     NULL, NULL, 0},
};
static const struct cli_option rows_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct rows_file, network), "the network", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"FILE", CLI_FILE, offsetof(struct rows_file, file),
     "{\"rows\":[{\"id\",\"carrier\",\"op\",\"rhs\",\"coefs\":[{\"node\",\"value\"}]}]}",
     CLI_POSITIONAL, NULL, NULL, 0},
};

static struct network_file network_file;

/* One transaction: all rows stand or none does. */
static int run_rows(struct cli *cli, void *arguments)
{
    static struct submit submit;
    const struct rows_file *wanted = arguments;
    char problem[NETWORK_FILE_PROBLEM_SIZE];
    if (!network_file_rows(&network_file, &wanted->network, wanted->file, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    submit.count = network_file.row_count;
    for (uint32_t i = 0; i < network_file.row_count; i++) {
        submit.actions[i] =
            (struct transaction_draft_action){ACTION_NETWORK_ROW, &network_file.rows[i]};
    }
    return submit_run(cli, &submit);
}

/* Nodes before the lines between them, lines and rows after. */
static int run_load(struct cli *cli, void *arguments)
{
    static struct submit submit;
    const struct rows_file *wanted = arguments;
    const struct network_file *file = &network_file;
    char problem[NETWORK_FILE_PROBLEM_SIZE];
    if (!network_file_all(&network_file, &wanted->network, wanted->file, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    const uint32_t nodes = wanted->update ? 0 : file->node_count;
    if (nodes + file->line_count + file->row_count > LIMIT_ACTIONS_PER_TX) {
        return cli_fail(cli, CLI_USAGE, "too_large",
                        "%s: %u nodes, %u lines and %u rows are more than the %d that one "
                        "transaction holds: flex network node, line and rows take them in parts",
                        wanted->file, (unsigned)nodes, (unsigned)file->line_count,
                        (unsigned)file->row_count, LIMIT_ACTIONS_PER_TX);
    }
    submit.count = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        submit.actions[submit.count++] =
            (struct transaction_draft_action){ACTION_NETWORK_NODE, &file->nodes[i]};
    }
    for (uint32_t i = 0; i < file->line_count; i++) {
        submit.actions[submit.count++] =
            (struct transaction_draft_action){ACTION_NETWORK_LINE, &file->lines[i]};
    }
    for (uint32_t i = 0; i < file->row_count; i++) {
        submit.actions[submit.count++] =
            (struct transaction_draft_action){ACTION_NETWORK_ROW, &file->rows[i]};
    }
    if (submit.count == 0) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s: there is nothing in it", wanted->file);
    }
    return submit_run(cli, &submit);
}

/* --- publish -------------------------------------------------------------------------------- */

struct publish {
    struct capacity_publish action;
    uint32_t intervals;
    int64_t import_w;
    int64_t export_w;
    const char *csv;
};

static const struct cli_option publish_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct publish, action.network), "the network", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"csv", CLI_FILE, offsetof(struct publish, csv),
     "a table with the columns node, start, import_w, export_w, in place of the next four options",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"grid-node", CLI_NAME, offsetof(struct publish, action.node), "the node", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"start", CLI_TIME, offsetof(struct publish, action.start), "start of the first interval",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"import-w", CLI_I64, offsetof(struct publish, import_w), "what can be imported more there",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"export-w", CLI_I64, offsetof(struct publish, export_w), "what can be exported more there",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"intervals", CLI_U32, offsetof(struct publish, intervals), "how many, with the same figures",
     CLI_OPTIONAL, "1", NULL, 0},
    {"interval", CLI_DURATION, offsetof(struct publish, action.interval), "length of each",
     CLI_OPTIONAL, "15m", NULL, 0},
    {"enforce", CLI_SWITCH, offsetof(struct publish, action.enforce),
     "publish less than is sold already: what is sold stays, nothing more is sold", CLI_OPTIONAL,
     NULL, NULL, 0},
};

/* The actions of one transaction. */
struct series {
    struct submit submit;
    uint32_t count;
    struct capacity_publish actions[LIMIT_ACTIONS_PER_TX];
};

/* Adds one interval: to the last action if it goes on there. False if the transaction is full. */
static bool add_interval(struct series *series, const struct capacity_publish *like,
                         const struct capacity_limit *limit)
{
    struct capacity_publish *last = series->count == 0 ? NULL : &series->actions[series->count - 1];
    bool goes_on =
        last != NULL && name_compare(&last->node, &like->node) == 0 &&
        last->limit_count < LIMIT_CAPACITY_INTERVALS &&
        timestamp_ms(like->start) ==
            timestamp_ms(last->start) + (int64_t)last->limit_count * duration_ms(last->interval);
    if (!goes_on) {
        if (series->count == LIMIT_ACTIONS_PER_TX) {
            return false;
        }
        last = &series->actions[series->count++];
        *last = *like;
        last->limit_count = 0;
    }
    last->limits[last->limit_count++] = *limit;
    return true;
}

static int series_is_full(struct cli *cli)
{
    return cli_fail(cli, CLI_USAGE, "too_many_intervals",
                    "more than one transaction holds: %d stretches of %d intervals",
                    LIMIT_ACTIONS_PER_TX, LIMIT_CAPACITY_INTERVALS);
}

static int add_constant(struct cli *cli, struct series *series, const struct publish *wanted)
{
    struct capacity_publish like = wanted->action;
    struct capacity_limit limit = {power_of(wanted->import_w), power_of(wanted->export_w)};
    for (uint32_t i = 0; i < wanted->intervals; i++) {
        if (!add_interval(series, &like, &limit)) {
            return series_is_full(cli);
        }
        if (!timestamp_add(&like.start, like.start, like.interval)) {
            return cli_fail(cli, CLI_USAGE, "bad_period", "there are no such times");
        }
    }
    return CLI_DONE;
}

static bool read_row(struct capacity_publish *like, struct capacity_limit *limit,
                     const struct csv_table *table, uint32_t row, const uint32_t columns[4],
                     char problem[CSV_PROBLEM_SIZE])
{
    const char *node = csv_field(table, row, columns[0]);
    const char *start = csv_field(table, row, columns[1]);
    int64_t start_ms, import_w, export_w;
    if (!name_from_text(&like->node, node, strlen(node)) || !value_time(&start_ms, start)) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s, line %" PRIu32 ": no node or no time: %s, %s",
                 table->name, row + 2, node, start);
        return false;
    }
    if (!csv_scaled(&import_w, table, row, columns[2], 0, problem) ||
        !csv_scaled(&export_w, table, row, columns[3], 0, problem)) {
        return false;
    }
    like->start = timestamp_of(start_ms);
    *limit = (struct capacity_limit){power_of(import_w), power_of(export_w)};
    return true;
}

static int add_table(struct cli *cli, struct series *series, const struct publish *wanted)
{
    static const char *const names[] = {"node", "start", "import_w", "export_w"};
    struct csv_table table;
    uint32_t columns[4];
    char problem[CSV_PROBLEM_SIZE];
    struct capacity_publish like = wanted->action;
    struct capacity_limit limit;
    if (!csv_read(&table, wanted->csv, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    int status = CLI_DONE;
    for (size_t i = 0; i < 4 && status == CLI_DONE; i++) {
        if (!csv_column(&columns[i], &table, names[i], problem)) {
            status = cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
        }
    }
    for (uint32_t row = 0; row < table.rows && status == CLI_DONE; row++) {
        if (!read_row(&like, &limit, &table, row, columns, problem)) {
            status = cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
        } else if (!add_interval(series, &like, &limit)) {
            status = series_is_full(cli);
        }
    }
    csv_free(&table);
    return status;
}

static int run_publish(struct cli *cli, void *arguments)
{
    static struct series series;
    const struct publish *wanted = arguments;
    enum { CSV = 1u << 1, NODE = 1u << 2, START = 1u << 3, BOTH = 3u << 4, COUNT = 1u << 6 };
    const uint64_t constant = NODE | START | BOTH;
    series.count = 0;
    series.submit = (struct submit){.count = 0};
    bool table = (cli->given & CSV) != 0;
    if (table ? (cli->given & (constant | COUNT)) != 0 : (cli->given & constant) != constant) {
        return cli_fail(cli, CLI_USAGE, "bad_usage",
                        "either --csv, or --grid-node, --start, --import-w and --export-w");
    }
    int status = table ? add_table(cli, &series, wanted) : add_constant(cli, &series, wanted);
    if (status == CLI_DONE && series.count == 0) {
        status = cli_fail(cli, CLI_USAGE, "bad_file", "there is no interval to publish");
    }
    if (status != CLI_DONE) {
        return status;
    }
    series.submit.count = series.count;
    for (uint32_t i = 0; i < series.count; i++) {
        series.submit.actions[i] =
            (struct transaction_draft_action){ACTION_CAPACITY_PUBLISH, &series.actions[i]};
    }
    return submit_run(cli, &series.submit);
}

/* --- what stands ---------------------------------------------------------------------------- */

struct where {
    struct name network;
    struct name node;
    struct timestamp start;
};

static const struct cli_option capacity_options[] = {
    {"NETWORK", CLI_NAME, offsetof(struct where, network), "the network", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"NODE", CLI_NAME, offsetof(struct where, node), "the node", CLI_POSITIONAL, NULL, NULL, 0},
    {"START", CLI_TIME, offsetof(struct where, start), "start of the quarter hour", CLI_POSITIONAL,
     NULL, NULL, 0},
};

static int run_capacity(struct cli *cli, void *arguments)
{
    const struct where *where = arguments;
    struct state_key key = state_key_capacity(&where->network, &where->node, where->start);
    char id[3 * NAME_SIZE + 8];
    if (!state_key_to_text(id, sizeof id, STATE_CAPACITY, bytes_view_of(key.bytes, key.size))) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "no such node or time");
    }
    return noun_show(cli, "capacity", id, "not_published");
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "network", wanted->id, "unknown_network");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "networks", "id operator nodes");
}

static int run_nodes(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "network_nodes", "id parent depth");
}

static const struct cli_command commands[] = {
    {.verb = "create",
     .summary = "begin a network, which you operate (a DSO)",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct network_create),
     .action = ACTION_NETWORK_CREATE},
    {.verb = "node",
     .summary = "add a transformer, feeder or node, for good",
     .teach =
         "A device stands at the node that it names, or else at its feeder. What is sold to it\n"
         "is held against every node from there to the root.\n"
         "  flex network node lv1 feeder-2 --parent trafo-1",
     .options = node_options,
     .option_count = sizeof node_options / sizeof node_options[0],
     .arguments_size = sizeof(struct network_add_node),
     .action = ACTION_NETWORK_NODE},
    {.verb = "line",
     .summary = "add a line for coupled auctions, or give it another capacity",
     .teach = "Coupled markets of the network use it from their next gate on.\n"
              "  flex network line lv1 l1 --from trafo-1 --to feeder-2 --capacity-w 40000",
     .options = line_options,
     .option_count = sizeof line_options / sizeof line_options[0],
     .arguments_size = sizeof(struct network_line),
     .action = ACTION_NETWORK_LINE},
    {.verb = "load",
     .summary = "nodes, lines and rows of a network from a file, in one transaction",
     .teach =
         "All of it stands, or nothing. Figures are W: derive them without --mtu. Lines are named\n"
         "line-1, line-2, ..., rows row-1, row-2, ..., by their place. --update leaves rows of\n"
         "before that have no successor as they are; flex network rows takes them away.\n"
         "  flex grid rows --branches branches.csv --nodes nodes.csv --slack r0 --out lv1.json\n"
         "  flex network create lv1\n"
         "  flex network load lv1 lv1.json",
     .options = load_options,
     .option_count = sizeof load_options / sizeof load_options[0],
     .arguments_size = sizeof(struct rows_file),
     .sends = true,
     .run = run_load},
    {.verb = "rows",
     .summary = "limits on sums of injections for coupled auctions, from a file",
     .teach =
         "Right sides are in coefficient x W, and on the side of 0. A row that is there is\n"
         "replaced, one without coefficients goes. The rows of flexclear and of flex grid rows\n"
         "--out are taken as well, and named row-1, row-2, ... by their place.\n"
         "  flex network rows lv1 limits.json",
     .options = rows_options,
     .option_count = sizeof rows_options / sizeof rows_options[0],
     .arguments_size = sizeof(struct rows_file),
     .sends = true,
     .run = run_rows},
    {.verb = "publish",
     .summary = "say what a node can carry, day-ahead or intraday",
     .teach = "Beyond what is expected there anyway. A later publication replaces an earlier one;\n"
              "less than is sold already is refused, unless you enforce it.\n"
              "  flex network publish lv1 --grid-node feeder-2 --start 2025-01-15T17:00Z "
              "--intervals 4 \\\n"
              "       --import-w 40000 --export-w 25000\n"
              "  flex network publish lv1 --csv tomorrow.csv",
     .options = publish_options,
     .option_count = sizeof publish_options / sizeof publish_options[0],
     .arguments_size = sizeof(struct publish),
     .sends = true,
     .run = run_publish},
    {.verb = "capacity",
     .summary = "what a node was published to carry in a quarter hour, and what is sold of it",
     .options = capacity_options,
     .option_count = sizeof capacity_options / sizeof capacity_options[0],
     .arguments_size = sizeof(struct where),
     .run = run_capacity},
    {.verb = "show",
     .summary = "one network, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "nodes", .summary = "the nodes of all networks", .run = run_nodes},
    {.verb = "list", .summary = "all networks", .run = run_list},
};

const struct cli_noun network_noun = {"network", "grids, and what their nodes can carry", commands,
                                      sizeof commands / sizeof commands[0]};
