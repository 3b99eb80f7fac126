/* flex tx: transactions as such: look one up, post a finished one, wait, send many actions as one. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/nouns.h"

enum { ENVELOPE_BYTES_MAX = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES };

struct tx_file {
    const char *file;
};

static const struct cli_option file_option[] = {
    {"FILE", CLI_FILE, offsetof(struct tx_file, file), "the file", CLI_POSITIONAL, NULL, NULL, 0},
};

static bool is_id(const char *text)
{
    struct hash id;
    return hex_decode(id.bytes, HASH_SIZE, text);
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    if (!is_id(wanted->id)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "an id has 64 lower-case hex digits");
    }
    return submit_show(cli, wanted->id);
}

static int run_wait(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    if (!is_id(wanted->id)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "an id has 64 lower-case hex digits");
    }
    return submit_wait(cli, wanted->id);
}

static int run_send(struct cli *cli, void *arguments)
{
    const struct tx_file *wanted = arguments;
    size_t size;
    char *bytes = files_read(wanted->file, ENVELOPE_BYTES_MAX, &size);
    if (bytes == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", wanted->file, strerror(errno));
    }
    int status = submit_envelope(cli, bytes_view_of(bytes, size));
    free(bytes);
    return status;
}

/* What a file of actions is turned into. Texts in them point into `scratch`. */
struct action_list {
    struct submit submit;
    union action_record records[LIMIT_ACTIONS_PER_TX];
    uint8_t scratch[LIMIT_TX_BYTES];
};

static int read_action(struct cli *cli, struct action_list *list, struct byte_writer *scratch,
                       struct cJSON *item)
{
    char problem[160] = "it has no type";
    uint32_t at = list->submit.count;
    const char *name = json_string(item, "type");
    uint8_t type = name != NULL ? action_from_name(name) : 0;
    if (name != NULL && type == 0) {
        snprintf(problem, sizeof problem, "no action is called '%.40s'", name);
    }
    bool ok = type != 0 && at < LIMIT_ACTIONS_PER_TX;
    if (type != 0 && !ok) {
        snprintf(problem, sizeof problem, "one transaction takes at most %d", LIMIT_ACTIONS_PER_TX);
    }
    if (ok) {
        cJSON_DeleteItemFromObjectCaseSensitive(item, "type");
        ok = codec_from_json(action_codec(type), &list->records[at], item, scratch, problem,
                             sizeof problem);
    }
    if (!ok) {
        return cli_fail(cli, CLI_USAGE, "bad_action", "action %u: %s", at + 1, problem);
    }
    list->submit.actions[at].type = type;
    list->submit.actions[at].record = &list->records[at];
    list->submit.count++;
    return CLI_DONE;
}

static int run_batch(struct cli *cli, void *arguments)
{
    const struct tx_file *wanted = arguments;
    char problem[160];
    struct cJSON *object = files_read_json(wanted->file, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    struct cJSON *actions = cJSON_GetObjectItemCaseSensitive(object, "actions");
    struct action_list *list = calloc(1, sizeof *list);
    MUST(list != NULL);
    struct byte_writer scratch;
    byte_writer_init(&scratch, list->scratch, sizeof list->scratch);
    int status =
        cJSON_IsArray(actions) && actions->child != NULL
            ? CLI_DONE
            : cli_fail(cli, CLI_USAGE, "bad_file", "%s: wanted {\"actions\":[...]}", wanted->file);
    struct cJSON *item;
    cJSON_ArrayForEach(item, actions)
    {
        status = status == CLI_DONE ? read_action(cli, list, &scratch, item) : status;
    }
    if (status == CLI_DONE) {
        status = submit_run(cli, &list->submit);
    }
    free(list);
    cJSON_Delete(object);
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "show",
     .summary = "one transaction: its receipt, proven, or that it is pending",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "wait",
     .summary = "wait until one is final, and verify its receipt",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_wait},
    {.verb = "send",
     .summary = "post a signed envelope from a file",
     .options = file_option,
     .option_count = 1,
     .arguments_size = sizeof(struct tx_file),
     .run = run_send},
    {.verb = "batch",
     .summary = "sign and send many actions as one transaction",
     .teach = "All of them happen or none. The file holds {\"actions\":[{\"type\":...}, ...]}, as\n"
              "--dry-run of any sending command prints it.",
     .options = file_option,
     .option_count = 1,
     .arguments_size = sizeof(struct tx_file),
     .sends = true,
     .run = run_batch},
};

const struct cli_noun tx_noun = {"tx", "transactions as such", commands,
                                 sizeof commands / sizeof commands[0]};
