/* `flex audit digest`: the one hash that stands for the history up to a day's end, as a signed note
 * (tools/digest.h; docs/spec/digest.md; D5.5 3.2.6).
 *
 * Invariant: a note is written to a file only after it has been verified from the genesis file, so a
 * file that `get` made is good. `verify` needs no node. */
#include "tools/digest.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/nouns.h"
#include "tools/wait.h"

enum { ACTION_GET, ACTION_VERIFY, WITNESSES_BYTES_MAX = 64 * 1024 };

static const char *const action_names[] = {"get", "verify"};

const struct cli_option digest_options[DIGEST_OPTIONS] = {
    {"ACTION", CLI_CHOICE, offsetof(struct digest_command, action), "get or verify", CLI_POSITIONAL,
     NULL, action_names, 2},
    {"WHAT", CLI_TEXT, offsetof(struct digest_command, what),
     "get: a date like 2025-01-15; verify: a file", CLI_POSITIONAL, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct digest_command, out), "get: keep the note in this file",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"witnesses", CLI_FILE, offsetof(struct digest_command, witnesses),
     "verify: a file with the public keys of witnesses, one a line, whose signatures count",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"allow-unknown", CLI_SWITCH, offsetof(struct digest_command, allow_unknown),
     "verify: pass over signatures by other keys", CLI_OPTIONAL, NULL, NULL, 0},
};

int digest_fetch(struct session *session, const char *date, char **text, size_t *size)
{
    char path[CLIENT_PATH_SIZE];
    struct client_answer answer;
    struct wait wait;
    snprintf(path, sizeof path, "/v1/notes/%.10s", date);
    wait_begin(&wait, session->cli->timeout_ms);
    for (;;) {
        client_get(session->client, &answer, path);
        if (answer.status != 503 || !wait_more(&wait)) {
            break;
        }
        client_answer_release(&answer);
    }
    int status = answer.status == 200 ? CLI_DONE : session_refusal(session, &answer);
    if (status == CLI_DONE && answer.body == NULL) {
        status = cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the node's note is empty");
    }
    if (status == CLI_DONE) {
        *text = answer.body;
        *size = answer.size;
        answer.body = NULL;
    }
    client_answer_release(&answer);
    return status;
}

int digest_newest(struct session *session, char date[DIGEST_DATE_SIZE])
{
    struct cJSON *items;
    int status = session_list(session, &items, "digests");
    if (status != CLI_DONE) {
        return status;
    }
    /* Key order is the order of days. */
    const struct cJSON *last = items->child != NULL ? items->child->prev : NULL;
    int64_t day = -1;
    bool any = last != NULL;
    bool good = any && json_i64(&day, last, "id") && day >= 0 && day <= DIGEST_DAY_MAX;
    cJSON_Delete(items);
    if (!any) {
        return cli_fail(session->cli, CLI_REFUSED, "no_digest",
                        "the node has no digest yet: no day is over");
    }
    if (!good) {
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                        "the node's list of digests is not one");
    }
    digest_date_text(date, day);
    return CLI_DONE;
}

int digest_check(struct cli *cli, struct digest *out, const struct proof_trust *trust,
                 const struct digest_rules *rules, const char *text, size_t size, const char *what)
{
    char problem[DIGEST_PROBLEM_SIZE];
    if (digest_verify(out, trust, rules, text, size, problem)) {
        return CLI_DONE;
    }
    if (cJSON_GetObjectItemCaseSensitive(cli->result, "ok") == NULL) {
        cJSON_AddBoolToObject(cli->result, "ok", false);
    }
    return cli_fail(cli, CLI_UNPROVEN, "digest_failed", "%s: %s", what, problem);
}

static void add_hash(struct cJSON *object, const char *key, const struct hash *hash)
{
    char hex[2 * HASH_SIZE + 1];
    hex_encode(hex, hash->bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, key, hex);
}

void digest_add(struct cJSON *object, const struct digest *digest)
{
    cJSON_AddStringToObject(object, "date", digest->date);
    json_add_i64(object, "day", digest->day);
    json_add_u64(object, "height", digest->last.height);
    add_hash(object, "last_block", &digest->last_id);
    json_add_u64(object, "log_size", digest->size);
    add_hash(object, "log_root", &digest->root);
    json_add_u32(object, "validators", digest->validators);
    json_add_u32(object, "cosignatures", digest->cosignatures);
    if (digest->cosignatures > 0) {
        json_add_u64(object, "cosigned_s", digest->time_s);
    }
    if (digest->unknown > 0) {
        json_add_u32(object, "unknown_signatures", digest->unknown);
    }
    cJSON_AddBoolToObject(object, "proof_verified", true);
}

static int get(struct cli *cli, const struct digest_command *wanted)
{
    struct session session;
    struct digest digest;
    struct digest_rules rules = {0};
    char *text = NULL;
    size_t size = 0;
    int64_t day;
    if (!digest_day_of_text(&day, wanted->what)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "'%s' is no day like 2025-01-15",
                        wanted->what);
    }
    int status = session_open(&session, cli);
    status = status == CLI_DONE ? session_trust(&session) : status;
    if (status == CLI_DONE) {
        status = digest_fetch(&session, wanted->what, &text, &size);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        status = digest_check(cli, &digest, &session.trust, &rules, text, size, "the node's note");
    }
    if (status == CLI_DONE && digest.day != day) {
        status = cli_fail(cli, CLI_UNPROVEN, "digest_failed", "asked for %s, got %s", wanted->what,
                          digest.date);
    }
    if (status == CLI_DONE) {
        digest_add(cli->result, &digest);
    }
    if (status == CLI_DONE && wanted->out != NULL) {
        cJSON_AddStringToObject(cli->result, "file", wanted->out);
        if (!files_write(wanted->out, text, size, 0644)) {
            status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->out, strerror(errno));
        }
    }
    free(text);
    return status;
}

/* One key a line; empty lines and lines that begin with # are passed over. */
static int read_witnesses(struct cli *cli, struct note_witness *out, uint32_t *count,
                          const char *path)
{
    size_t size;
    char *text = files_read(path, WITNESSES_BYTES_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    int status = CLI_DONE;
    for (char *line = text; *line != '\0' && status == CLI_DONE;) {
        size_t length = strcspn(line, "\n");
        bool key = length > 0 && line[0] != '#';
        if (key && (*count == DIGEST_WITNESSES_MAX ||
                    !note_witness_from_text(&out[*count], line, length))) {
            status = cli_fail(cli, CLI_USAGE, "bad_witness", "%s: '%.*s' is no witness's key", path,
                              (int)(length < 80 ? length : 80), line);
        }
        *count += key;
        line += length + (line[length] == '\n');
    }
    free(text);
    return status;
}

static int verify(struct cli *cli, const struct digest_command *wanted)
{
    static struct genesis genesis;
    static struct note_witness witnesses[DIGEST_WITNESSES_MAX];
    struct proof_trust trust;
    struct digest digest;
    struct digest_rules rules = {.witnesses = witnesses, .allow_unknown = wanted->allow_unknown};
    int status = session_load_genesis(cli, &genesis);
    if (status == CLI_DONE && wanted->witnesses != NULL) {
        status = read_witnesses(cli, witnesses, &rules.witness_count, wanted->witnesses);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (!proof_trust_from_genesis(&trust, &genesis)) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "the genesis file is not valid");
    }
    size_t size;
    char *text = files_read(wanted->what, NOTE_BYTES_MAX, &size);
    if (text == NULL && errno == EFBIG) {
        return cli_fail(cli, CLI_UNPROVEN, "digest_failed", "%s: the file is too large for a note",
                        wanted->what);
    }
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", wanted->what, strerror(errno));
    }
    status = digest_check(cli, &digest, &trust, &rules, text, size, wanted->what);
    if (status == CLI_DONE) {
        cJSON_AddBoolToObject(cli->result, "ok", true);
        digest_add(cli->result, &digest);
    }
    free(text);
    return status;
}

int digest_run(struct cli *cli, void *arguments)
{
    const struct digest_command *wanted = arguments;
    bool getting = wanted->action == ACTION_GET;
    if (getting && (wanted->witnesses != NULL || wanted->allow_unknown)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage",
                        "--witnesses and --allow-unknown are for verify");
    }
    if (!getting && wanted->out != NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "--out is for get");
    }
    int status = getting ? get(cli, wanted) : verify(cli, wanted);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}
