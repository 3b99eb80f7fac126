/* flex devnet: a ledger of real processes on this machine (tools/devnet.h; docs/operator.md).
 *
 * Invariant: `start` either leaves every node ready, or none running. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/client.h"
#include "tools/devnet.h"
#include "tools/nouns.h"
#include "tools/value.h"

enum { STATUS_ANSWER_MS = 2000 };

struct devnet_start {
    const char *dir;
    uint32_t validators;
    uint32_t audits;
    const char *spec;
    int64_t simulated_ms;
    int64_t ready_ms;
};

static const struct cli_option start_options[] = {
    {"dir", CLI_DIR, offsetof(struct devnet_start, dir), "where everything is kept", CLI_REQUIRED,
     NULL, NULL, 0},
    {"validators", CLI_U32, offsetof(struct devnet_start, validators), "how many", CLI_OPTIONAL,
     "4", NULL, 0},
    {"audit", CLI_U32, offsetof(struct devnet_start, audits), "how many audit nodes", CLI_OPTIONAL,
     "1", NULL, 0},
    {"genesis-spec", CLI_FILE, offsetof(struct devnet_start, spec),
     "JSON of what the genesis is to have instead: any of its parts, by their names in "
     "genesis.json",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"simulated-time", CLI_TIME, offsetof(struct devnet_start, simulated_ms),
     "run on a simulated clock that starts then", CLI_OPTIONAL, NULL, NULL, 0},
    {"ready-timeout", CLI_DURATION, offsetof(struct devnet_start, ready_ms),
     "how long to wait for the nodes", CLI_OPTIONAL, "60s", NULL, 0},
};

static int load_or_make(struct cli *cli, struct devnet *devnet, const struct devnet_start *wanted,
                        bool *made)
{
    char path[FILES_PATH_SIZE];
    if (!files_make_directory(wanted->dir) || !files_join(path, wanted->dir, "devnet.json")) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->dir, strerror(errno));
    }
    *made = !files_exists(path);
    if (!*made) {
        return devnet_load(cli, devnet, wanted->dir);
    }
    struct devnet_plan plan = {wanted->validators, wanted->audits, wanted->spec,
                               wanted->simulated_ms};
    int status = devnet_set_directory(cli, devnet, wanted->dir);
    return status == CLI_DONE ? devnet_make(cli, devnet, &plan) : status;
}

static void add_nodes(struct cli *cli, const struct devnet *devnet);

static int run_start(struct cli *cli, void *arguments)
{
    const struct devnet_start *wanted = arguments;
    static struct devnet devnet;
    bool made;
    int status = load_or_make(cli, &devnet, wanted, &made);
    if (status == CLI_DONE) {
        status = devnet_start(cli, &devnet, wanted->ready_ms, made);
    }
    if (status == CLI_DONE) {
        add_nodes(cli, &devnet);
    }
    return status;
}

struct devnet_dir {
    const char *dir;
    struct name node;
};

static const struct cli_option dir_options[] = {
    {"dir", CLI_DIR, offsetof(struct devnet_dir, dir), "the devnet's directory", CLI_REQUIRED, NULL,
     NULL, 0},
    {"node", CLI_NAME, offsetof(struct devnet_dir, node), "which one", CLI_REQUIRED, NULL, NULL, 0},
};

static int run_stop(struct cli *cli, void *arguments)
{
    const struct devnet_dir *wanted = arguments;
    static struct devnet devnet;
    int status = devnet_load(cli, &devnet, wanted->dir);
    if (status == CLI_DONE && !devnet_stop(&devnet, DEVNET_STOP_MS)) {
        status = cli_fail(cli, CLI_NO_NODE, "still_running",
                          "a node has not stopped within %d s; flex devnet kill ends one",
                          DEVNET_STOP_MS / 1000);
    }
    if (status == CLI_DONE) {
        cJSON_AddBoolToObject(cli->result, "stopped", true);
        cli_say(cli, "stopped\n");
    }
    return status;
}

/* One node as interfaces promise it; what a node that is down can't say is null. */
static void add_node(struct cJSON *list, const struct devnet *devnet,
                     const struct devnet_node *node)
{
    char name[NAME_SIZE + 1];
    char api[DEVNET_ADDRESS_SIZE];
    char problem[JSON_PROBLEM_SIZE];
    struct client_answer answer = {0};
    struct cJSON *item = cJSON_CreateObject();
    pid_t pid = devnet_pid(devnet, node);
    devnet_node_api(api, node);
    cJSON_AddStringToObject(item, "name", name_to_text(name, &node->name));
    cJSON_AddStringToObject(item, "role", node->audit ? "audit" : "validator");
    cJSON_AddItemToObject(item, "pid", pid > 0 ? cJSON_CreateNumber(pid) : cJSON_CreateNull());
    cJSON_AddStringToObject(item, "api", api);
    struct client *client = pid > 0 ? client_open(api, STATUS_ANSWER_MS) : NULL;
    if (client != NULL) {
        client_get(client, &answer, "/v1/status");
        client_close(client);
    }
    struct cJSON *status = answer.status == 200 && answer.body != NULL
                               ? json_parse_strict(answer.body, answer.size, problem)
                               : NULL;
    const char *height = json_string(status, "height");
    const char *root = json_string(status, "state_root");
    cJSON_AddItemToObject(item, "height",
                          height != NULL ? cJSON_CreateString(height) : cJSON_CreateNull());
    cJSON_AddItemToObject(item, "state_root",
                          root != NULL ? cJSON_CreateString(root) : cJSON_CreateNull());
    cJSON_Delete(status);
    client_answer_release(&answer);
    cJSON_AddItemToArray(list, item);
}

static void add_nodes(struct cli *cli, const struct devnet *devnet)
{
    struct cJSON *list = cJSON_AddArrayToObject(cli->result, "nodes");
    for (uint32_t i = 0; i < devnet->count; i++) {
        add_node(list, devnet, &devnet->nodes[i]);
    }
    if (!cli->json) {
        cli_say_table(cli, list, "name role pid api height state_root");
    }
}

static int run_status(struct cli *cli, void *arguments)
{
    const struct devnet_dir *wanted = arguments;
    static struct devnet devnet;
    int status = devnet_load(cli, &devnet, wanted->dir);
    if (status == CLI_DONE) {
        add_nodes(cli, &devnet);
    }
    return status;
}

static int run_kill(struct cli *cli, void *arguments)
{
    const struct devnet_dir *wanted = arguments;
    static struct devnet devnet;
    int status = devnet_load(cli, &devnet, wanted->dir);
    struct devnet_node *node = status == CLI_DONE ? devnet_find(&devnet, &wanted->node) : NULL;
    if (status == CLI_DONE && (node == NULL || devnet_pid(&devnet, node) == 0)) {
        status = cli_fail(cli, CLI_USAGE, "no_such_node", "no node of that name is running");
    }
    if (status == CLI_DONE) {
        devnet_kill(&devnet, node);
        cJSON_AddBoolToObject(cli->result, "killed", true);
        cli_say(cli, "killed\n");
    }
    return status;
}

static int run_start_node(struct cli *cli, void *arguments)
{
    const struct devnet_dir *wanted = arguments;
    static struct devnet devnet, alone;
    struct devnet_node *failed;
    int status = devnet_load(cli, &devnet, wanted->dir);
    struct devnet_node *node = status == CLI_DONE ? devnet_find(&devnet, &wanted->node) : NULL;
    if (status == CLI_DONE && node == NULL) {
        status = cli_fail(cli, CLI_USAGE, "no_such_node", "no node has that name");
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (devnet_pid(&devnet, node) == 0) {
        status = devnet_spawn(cli, &devnet, node);
    }
    /* Only this one has to get ready; others may be down on purpose. */
    alone = devnet;
    alone.count = 1;
    alone.nodes[0] = *node;
    if (status == CLI_DONE && !devnet_wait_ready(&alone, 2 * cli->timeout_ms, &failed)) {
        devnet_log_tail(&devnet, node, cli->err);
        status = cli_fail(cli, CLI_NO_NODE, "not_ready", "the node did not get ready");
    }
    if (status == CLI_DONE) {
        add_nodes(cli, &alone);
    }
    return status;
}

struct devnet_time {
    const char *dir;
    const char *set;
    const char *advance;
};

static const struct cli_option time_options[] = {
    {"dir", CLI_DIR, offsetof(struct devnet_time, dir), "the devnet's directory", CLI_REQUIRED,
     NULL, NULL, 0},
    {"set", CLI_TEXT, offsetof(struct devnet_time, set), "make it that time now", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"advance", CLI_TEXT, offsetof(struct devnet_time, advance),
     "move on by that many seconds, or a span like 15m", CLI_OPTIONAL, NULL, NULL, 0},
};

/* The new offset; CLI_USAGE if an option is not what it should be. Time never goes back: blocks
 * could not follow it. */
static int new_offset(struct cli *cli, const struct devnet_time *wanted, int64_t *offset)
{
    int64_t value;
    int64_t old = *offset;
    if (wanted->set != NULL) {
        if (!value_time(&value, wanted->set)) {
            return cli_fail(cli, CLI_USAGE, "bad_value", "--set wants a UTC time");
        }
        *offset = value - devnet_real_ms();
    } else if (wanted->advance != NULL) {
        bool seconds = int64_from_text(&value, wanted->advance) && value >= 0 &&
                       checked_mul_i64(&value, value, 1000);
        if (!seconds && !value_duration(&value, wanted->advance)) {
            return cli_fail(cli, CLI_USAGE, "bad_value", "--advance wants seconds or a span");
        }
        if (!checked_add_i64(offset, old, value)) {
            return cli_fail(cli, CLI_USAGE, "bad_value", "that is too far");
        }
    }
    return *offset >= old ? CLI_DONE
                          : cli_fail(cli, CLI_USAGE, "bad_value", "time does not go back");
}

static int run_time(struct cli *cli, void *arguments)
{
    const struct devnet_time *wanted = arguments;
    static struct devnet devnet;
    int64_t offset;
    char text[VALUE_TEXT_SIZE];
    int status = devnet_load(cli, &devnet, wanted->dir);
    if (status != CLI_DONE) {
        return status;
    }
    if (!devnet.simulated || !devnet_offset_read(&offset, devnet.directory)) {
        return cli_fail(cli, CLI_USAGE, "real_clock", "this devnet follows the real clock");
    }
    if (wanted->set != NULL && wanted->advance != NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "give --set or --advance, not both");
    }
    status = new_offset(cli, wanted, &offset);
    if (status == CLI_DONE && (wanted->set != NULL || wanted->advance != NULL) &&
        !devnet_offset_write(devnet.directory, offset)) {
        status =
            cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", devnet.directory, strerror(errno));
    }
    if (status == CLI_DONE) {
        int64_t now = devnet_real_ms() + offset;
        json_add_i64(cli->result, "time_ms", now);
        cJSON_AddStringToObject(cli->result, "time", value_time_text(text, now));
        cli_say(cli, "%s\n", text);
    }
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "start",
     .summary = "make a devnet if there is none, and start every node",
     .teach =
         "Returns once every node is ready. Wallets without passphrase are in DIR/wallets:\n"
         "  flex devnet start --dir /tmp/dev\n"
         "  flex --home /tmp/dev/wallets/dso --node http://127.0.0.1:PORT account show\n"
         "--genesis-spec names a file with any of: chain, time_ms, fee_per_tx_ueur,\n"
         "fee_per_action_ueur, fee_per_deal_ueur, fee_period_ms, tx_lifetime_ms (as strings);\n"
         "delta_ms, block_interval_ms, max_idle_ms, exec_budget_ms, timeout_cap_ms,\n"
         "backoff_permille (as numbers); participants, further ones:\n"
         "  "
         "{\"block_interval_ms\":200,\"participants\":[{\"id\":\"anna\",\"roles\":[\"prosumer\"]}]"
         "}",
     .options = start_options,
     .option_count = sizeof start_options / sizeof start_options[0],
     .arguments_size = sizeof(struct devnet_start),
     .run = run_start},
    {.verb = "stop",
     .summary = "stop every node",
     .options = dir_options,
     .option_count = 1,
     .arguments_size = sizeof(struct devnet_dir),
     .run = run_stop},
    {.verb = "status",
     .summary = "every node's process, address, height and state root",
     .options = dir_options,
     .option_count = 1,
     .arguments_size = sizeof(struct devnet_dir),
     .run = run_status},
    {.verb = "time",
     .summary = "show or move the simulated clock",
     .options = time_options,
     .option_count = sizeof time_options / sizeof time_options[0],
     .arguments_size = sizeof(struct devnet_time),
     .run = run_time},
    {.verb = "kill",
     .summary = "end one node at once, as a power cut would",
     .options = dir_options,
     .option_count = 2,
     .arguments_size = sizeof(struct devnet_dir),
     .run = run_kill},
    {.verb = "start-node",
     .summary = "start one node again",
     .options = dir_options,
     .option_count = 2,
     .arguments_size = sizeof(struct devnet_dir),
     .run = run_start_node},
};

const struct cli_noun devnet_noun = {"devnet", "a whole ledger on this machine, to try things out",
                                     commands, sizeof commands / sizeof commands[0]};
