/* flex node and flex block: what one node says about itself and the chain. */
#include <cjson/cJSON.h>

#include "base/json.h"
#include "tools/nouns.h"

static int run_status(struct cli *cli, void *arguments)
{
    (void)arguments;
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/status");
    }
    session_close(&session);
    if (status == CLI_DONE) {
        noun_merge(cli->result, answer);
        noun_say_result(cli);
    }
    return status;
}

struct show_block {
    uint64_t height;
};

static const struct cli_option show_block_options[] = {
    {"HEIGHT", CLI_U64, offsetof(struct show_block, height), "which one", CLI_POSITIONAL, NULL,
     NULL, 0},
};

static int run_show_block(struct cli *cli, void *arguments)
{
    const struct show_block *wanted = arguments;
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status =
            session_get(&session, &answer, "/v1/blocks/%llu", (unsigned long long)wanted->height);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        noun_merge(cli->result, answer);
        noun_say_result(cli);
    }
    return status;
}

static const struct cli_command node_commands[] = {
    {.verb = "status", .summary = "where it stands", .run = run_status},
};

const struct cli_noun node_noun = {"node", "the node that --node names", node_commands, 1};

static const struct cli_command block_commands[] = {
    {.verb = "show",
     .summary = "one block's header, transactions and certificate",
     .options = show_block_options,
     .option_count = 1,
     .arguments_size = sizeof(struct show_block),
     .run = run_show_block},
};

const struct cli_noun block_noun = {"block", "blocks of the chain", block_commands, 1};
