/* flex node and flex block: what one node says about itself; a block's header, proven. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

#include "base/fatal.h"
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

/* The header by its place in the log of a later block, in place of what the node says it is. Ids of
 * transactions stay the node's word: only the whole body shows them. */
static int prove_header(struct session *session, struct cJSON *answer, uint64_t height)
{
    char id[24], hex[2 * HASH_SIZE + 1];
    struct proof proof;
    snprintf(id, sizeof id, "%" PRIu64, height);
    int status = session_proof(session, "block", id, &proof, NULL);
    if (status != CLI_DONE) {
        return status;
    }
    const char *told = json_string(answer, "id");
    hex_encode(hex, proof.earlier_id.bytes, HASH_SIZE);
    if (told == NULL || strcmp(told, hex) != 0) {
        status = cli_fail(session->cli, CLI_UNPROVEN, "proof_failed",
                          "the node shows another block %s than the one that is proven", id);
    } else {
        struct cJSON *header = codec_to_json(&block_header_record, &proof.earlier);
        MUST(header != NULL && cJSON_ReplaceItemInObjectCaseSensitive(answer, "header", header));
    }
    proof_release(&proof);
    return status;
}

static int run_show_block(struct cli *cli, void *arguments)
{
    const struct show_block *wanted = arguments;
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/blocks/%" PRIu64, wanted->height);
    }
    if (status == CLI_DONE && !cli->no_verify) {
        status = cJSON_HasObjectItem(answer, "header")
                     ? prove_header(&session, answer, wanted->height)
                     : cli_fail(cli, CLI_NO_NODE, "bad_answer", "the node's block has no header");
    }
    session_close(&session);
    if (status != CLI_DONE) {
        cJSON_Delete(answer);
        return status;
    }
    noun_merge(cli->result, answer);
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    noun_say_result(cli);
    return CLI_DONE;
}

static const struct cli_command node_commands[] = {
    {.verb = "status", .summary = "where it stands", .run = run_status},
};

const struct cli_noun node_noun = {"node", "the node that --node names", node_commands, 1};

static const struct cli_command block_commands[] = {
    {.verb = "show",
     .summary = "one block: its header, proven; transactions and certificate",
     .options = show_block_options,
     .option_count = 1,
     .arguments_size = sizeof(struct show_block),
     .run = run_show_block},
};

const struct cli_noun block_noun = {"block", "blocks of the chain", block_commands, 1};
