/* flex grid: what a DSO needs to know before it asks the market for anything.
 *
 * A feeder is described by one strict JSON file that names its tables (format feeder/1); the tables
 * are found in a data folder, so that one description serves any copy of the data. */
#include "tools/grid.h"

#include "base/json.h"
#include "node/config.h"
#include "tools/feeder.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_PATH_MAX = 512, GRID_PATHS = 7, GRID_PERIOD_MAX = FEEDER_INTERVALS };

struct grid_arguments {
    const char *feeder;
    const char *data;
    const char *stress;
    uint32_t quarters;
    int64_t step_wh;
};

static const struct cli_option grid_options[] = {
    {.name = "feeder",
     .type = CLI_FILE,
     .offset = offsetof(struct grid_arguments, feeder),
     .help = "description of the feeder's tables (JSON, feeder/1)",
     .kind = CLI_REQUIRED},
    {.name = "data",
     .type = CLI_DIR,
     .offset = offsetof(struct grid_arguments, data),
     .help = "folder that the tables' names are relative to",
     .kind = CLI_REQUIRED},
    {.name = "stress",
     .type = CLI_FILE,
     .offset = offsetof(struct grid_arguments, stress),
     .help = "cars and heat pumps at each load node (kind;power_w;from;until)",
     .kind = CLI_REQUIRED},
    {.name = "mtus-per-period",
     .type = CLI_U32,
     .offset = offsetof(struct grid_arguments, quarters),
     .help = "quarter hours of one delivery period",
     .kind = CLI_OPTIONAL,
     .fallback = "4"},
    {.name = "step-wh",
     .type = CLI_I64,
     .offset = offsetof(struct grid_arguments, step_wh),
     .help = "the market's quantity step",
     .kind = CLI_OPTIONAL,
     .fallback = "4"},
};

/* The tables' names out of the description, as paths below `data`. */
struct grid_tables {
    char path[GRID_PATHS][GRID_PATH_MAX];
    struct cJSON *description;
    struct feeder_paths paths;
};

static bool read_description(struct grid_tables *out, const struct grid_arguments *arguments,
                             char problem[CSV_PROBLEM_SIZE])
{
    static const char *const keys[] = {"format",
                                       "loads",
                                       "load_profile",
                                       "res",
                                       "res_profile",
                                       "transformers",
                                       "transformer_types",
                                       "registers",
                                       "load_profile_name",
                                       "res_profile_name",
                                       NULL};
    size_t size = 0;
    char *text = node_file_read(arguments->feeder, FEEDER_DESCRIPTION_BYTES_MAX, &size, problem);
    if (text == NULL) {
        return false;
    }
    char reason[JSON_PROBLEM_SIZE];
    out->description = json_parse_strict(text, size, reason);
    free(text);
    if (out->description == NULL) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.140s: %s", arguments->feeder, reason);
        return false;
    }
    const char *unknown = json_unknown_key(out->description, keys);
    const char *format = json_string(out->description, "format");
    if (unknown != NULL || format == NULL || strcmp(format, "feeder/1") != 0) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: %s %.60s", arguments->feeder,
                 unknown != NULL ? "unknown key" : "format is not", unknown ? unknown : "feeder/1");
        return false;
    }
    for (int at = 0; at < GRID_PATHS; at++) {
        const char *name = json_string(out->description, keys[at + 1]);
        if (name == NULL && strcmp(keys[at + 1], "registers") != 0) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: key %s is missing", arguments->feeder,
                     keys[at + 1]);
            return false;
        }
        int length = snprintf(out->path[at], GRID_PATH_MAX, "%s/%s", arguments->data,
                              name != NULL ? name : "");
        if (length >= GRID_PATH_MAX) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: path too long", arguments->feeder);
            return false;
        }
    }
    out->paths = (struct feeder_paths){
        .loads = out->path[0],
        .load_profile = out->path[1],
        .res = out->path[2],
        .res_profile = out->path[3],
        .transformers = out->path[4],
        .transformer_types = out->path[5],
        .registers = json_string(out->description, "registers") != NULL ? out->path[6] : NULL,
        .load_profile_name = json_string(out->description, "load_profile_name"),
        .res_profile_name = json_string(out->description, "res_profile_name"),
        .stress = arguments->stress};
    if (out->paths.load_profile_name == NULL || out->paths.res_profile_name == NULL) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: load_profile_name or res_profile_name missing",
                 arguments->feeder);
        return false;
    }
    return true;
}

static void quarter_text(char out[8], uint32_t quarter)
{
    snprintf(out, 8, "%02u:%02u", quarter / 4 % 100, quarter % 4 * 15);
}

static void add_overloads(struct cli *cli, const struct feeder_outlook *outlook)
{
    struct cJSON *list = cJSON_AddArrayToObject(cli->result, "overloaded");
    char clock[8];
    for (uint32_t at = 0; at < FEEDER_INTERVALS; at++) {
        if (outlook->excess_w[at] == 0) {
            continue;
        }
        struct cJSON *item = cJSON_CreateObject();
        quarter_text(clock, at);
        cJSON_AddStringToObject(item, "from", clock);
        json_add_i64(item, "active_w", outlook->active_w[at]);
        json_add_i64(item, "loading_permille", outlook->loading_permille[at]);
        json_add_i64(item, "excess_w", outlook->excess_w[at]);
        cJSON_AddItemToArray(list, item);
    }
    cli_say_table(cli, list, "from active_w loading_permille excess_w");
}

static void add_inputs(struct cli *cli, const struct feeder_outlook *outlook)
{
    char text[NAME_SIZE + 1];
    json_add_i64(cli->result, "rating_va", outlook->rating_va);
    json_add_i64(cli->result, "factor", outlook->factor);
    struct cJSON *nodes = cJSON_AddArrayToObject(cli->result, "nodes");
    for (uint32_t at = 0; at < outlook->node_count; at++) {
        cJSON_AddItemToArray(nodes, cJSON_CreateString(name_to_text(text, &outlook->nodes[at])));
    }
    struct cJSON *stress = cJSON_AddArrayToObject(cli->result, "stress");
    for (uint32_t at = 0; at < outlook->stress_count; at++) {
        struct cJSON *item = cJSON_CreateObject();
        char clock[8];
        cJSON_AddStringToObject(item, "kind", name_to_text(text, &outlook->stress[at].kind));
        json_add_i64(item, "power_w", power_w(outlook->stress[at].power));
        quarter_text(clock, outlook->stress[at].from);
        cJSON_AddStringToObject(item, "from", clock);
        quarter_text(clock, outlook->stress[at].until);
        cJSON_AddStringToObject(item, "until", clock);
        cJSON_AddItemToArray(stress, item);
    }
    if (outlook->has_household) {
        struct cJSON *series = cJSON_AddArrayToObject(cli->result, "household_wh");
        for (uint32_t at = 0; at < FEEDER_INTERVALS; at++) {
            char number[INT128_TEXT_SIZE];
            int128_to_text(number, outlook->household_wh[at]);
            cJSON_AddItemToArray(series, cJSON_CreateString(number));
        }
    }
}

/* One request per delivery period and direction: the largest excess of its quarter hours, in each
 * of them, rounded up to the market's step. */
static void add_requests(struct cli *cli, const struct feeder_outlook *outlook,
                         const struct grid_arguments *arguments)
{
    struct cJSON *list = cJSON_AddArrayToObject(cli->result, "requests");
    for (uint32_t from = 0; from < FEEDER_INTERVALS; from += arguments->quarters) {
        for (int direction = 0; direction < 2; direction++) {
            int64_t most_w = 0;
            for (uint32_t at = from; at < from + arguments->quarters; at++) {
                int64_t excess = direction == 0 ? outlook->excess_w[at] : -outlook->excess_w[at];
                most_w = excess > most_w ? excess : most_w;
            }
            if (most_w == 0) {
                continue;
            }
            int128 exact = div_ceil_i128(most_w, 4) * arguments->quarters;
            int128 stepped = div_ceil_i128(exact, arguments->step_wh) * arguments->step_wh;
            struct cJSON *item = cJSON_CreateObject();
            char clock[8];
            char number[INT128_TEXT_SIZE];
            quarter_text(clock, from);
            int128_to_text(number, stepped);
            cJSON_AddStringToObject(item, "from", clock);
            cJSON_AddStringToObject(item, "direction", direction == 0 ? "up" : "down");
            json_add_i64(item, "excess_w", most_w);
            cJSON_AddStringToObject(item, "quantity_wh", number);
            cJSON_AddItemToArray(list, item);
        }
    }
    cli_say_table(cli, list, "from direction excess_w quantity_wh");
}

static int run_need(struct cli *cli, void *arguments_pointer)
{
    const struct grid_arguments *arguments = arguments_pointer;
    char problem[CSV_PROBLEM_SIZE];
    if (arguments->quarters == 0 || FEEDER_INTERVALS % arguments->quarters != 0 ||
        arguments->step_wh < 1 || arguments->step_wh > 1000000000) {
        return cli_fail(cli, CLI_USAGE, "bad_usage",
                        "--mtus-per-period must divide a day of %d quarter hours, and --step-wh "
                        "lies between 1 and 1000000000",
                        FEEDER_INTERVALS);
    }
    struct grid_tables *tables = calloc(1, sizeof(*tables));
    struct feeder_outlook *outlook = calloc(1, sizeof(*outlook));
    int status = CLI_DONE;
    if (tables == NULL || outlook == NULL) {
        status = cli_fail(cli, CLI_USAGE, "out_of_memory", "out of memory");
    } else if (!read_description(tables, arguments, problem) ||
               !feeder_outlook(outlook, &tables->paths, problem)) {
        status = cli_fail(cli, CLI_USAGE, "bad_input", "%s", problem);
    } else {
        cli_say(cli, "Transformer of %lld VA; overloaded with %u times the declared stress.\n",
                (long long)outlook->rating_va, outlook->factor);
        add_inputs(cli, outlook);
        add_overloads(cli, outlook);
        add_requests(cli, outlook, arguments);
    }
    cJSON_Delete(tables != NULL ? tables->description : NULL);
    free(tables);
    free(outlook);
    return status;
}

static const struct cli_command grid_commands[] = {
    {.verb = "need",
     .summary = "find a feeder's overloads and what to ask the market for",
     .teach =
         "Adds up loads, generation and the declared stress per quarter hour, compares the "
         "apparent "
         "power with the transformer's rating, and prints one request per delivery period that is "
         "overloaded. The stress is multiplied by the smallest whole factor that overloads the "
         "transformer; the output names it.\n"
         "  flex grid need --feeder examples/day/bundled.json --data examples/day/data "
         "--stress examples/day/stress.csv",
     .options = grid_options,
     .option_count = sizeof(grid_options) / sizeof(grid_options[0]),
     .arguments_size = sizeof(struct grid_arguments),
     .run = run_need},
    {.verb = "rows",
     .summary = "derive a radial feeder's limits as rows of a coupled market's network",
     .teach =
         "Solves the AC power flow for the expected loads and linearises it there: voltages within "
         "the\nband, flows within the ratings, as integer coefficients of each node's net "
         "injection.\n"
         "  flex grid rows --branches examples/grid/cigre-lv/branches.csv \\\n"
         "      --nodes examples/grid/cigre-lv/nodes.csv --slack r0 --mtu 15m",
     .options = grid_rows_options,
     .option_count = GRID_ROWS_OPTIONS,
     .arguments_size = GRID_ROWS_ARGUMENTS_SIZE,
     .run = grid_rows_run},
};

const struct cli_noun grid_noun = {.noun = "grid",
                                   .summary = "the DSO's view of a feeder",
                                   .commands = grid_commands,
                                   .command_count =
                                       sizeof(grid_commands) / sizeof(grid_commands[0])};
