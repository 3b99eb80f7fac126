/* Talking to a node on behalf of a command (tools/session.h).
 *
 * Invariants: a node that can't be reached or talks nonsense is exit 3, one that says no is exit 1
 * with its own code and reason, a proof that fails is exit 4, and none of them is taken for
 * another; whatever is about to be put into a path has been checked to be plain; a proof that is true
 * but of a state long past, and a node whose clock is far from ours, do not go unnoticed, unless the
 * chain's time is simulated. */
#include "tools/session.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/seen.h"
#include "tools/wait.h"
#include "tools/wallet.h"

enum {
    PAGE_SIZE = 1000,
    GENESIS_TEXT_MAX = 1024 * 1024,
    /* An idle chain makes a block every few seconds; older than this, a proof is of the past. */
    FRESH_MS = 60 * 1000,
    /* Transactions are valid for minutes: a node's clock that is off by more has us sign what could be
     * held back and played much later. */
    CLOCK_SLACK_MS = 5 * 60 * 1000
};

/* The secret of an encrypted key file, kept while sessions are open so that a command asks for the passphrase
 * once; a command without one keeps it itself.
 * A process runs one command (or several of one wallet), on one thread. */
static struct {
    bool known;
    uint32_t sessions; /* that are open: the last to close forgets the secret */
    char path[FILES_PATH_SIZE];
    struct secret_key secret;
    struct public_key key;
} opened;

static void forget_secret(void)
{
    secret_key_wipe(&opened.secret);
    opened.known = false;
}

/* For a node that gives reads by role: the wallet's key, if it has one and the node's chain is the
 * wallet's. Says nothing if not: the node's refusal is said, and what to do (say_hint). */
static bool sign_reads(void *context, const struct hash *genesis, struct secret_key *secret,
                       struct public_key *key, bool *simulated)
{
    struct session *session = context;
    struct cli *cli = session->cli;
    struct wallet_file file;
    char path[FILES_PATH_SIZE];
    if (!session_key_path(cli, path, sizeof path) || wallet_peek(&file, path) != WALLET_OK ||
        file.watches || session_trust(session) != CLI_DONE) {
        return false;
    }
    if (!hash_equal(genesis, &session->trust.genesis)) {
        cli_fail(cli, CLI_NO_NODE, "other_chain",
                 "the node asks for a signature for another chain than the genesis file's");
        return false;
    }
    *simulated = session->genesis.simulated_time == 1;
    return session_secret_key(cli, secret, key) == CLI_DONE;
}

int session_open(struct session *session, struct cli *cli)
{
    memset(session, 0, sizeof *session);
    session->cli = cli;
    opened.sessions++;
    if (cli->ca_file != NULL && access(cli->ca_file, R_OK) != 0) {
        return cli_fail(cli, CLI_USAGE, "bad_ca", "--ca %s: %s", cli->ca_file, strerror(errno));
    }
    session->client = client_open(cli->node, cli->timeout_ms);
    if (session->client == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_address", "'%s' is not an http or https address",
                        cli->node);
    }
    client_set_ca(session->client, cli->ca_file);
    client_set_signer(session->client, sign_reads, session);
    return CLI_DONE;
}

void session_close(struct session *session)
{
    opened.sessions -= opened.sessions > 0;
    if (opened.sessions == 0) {
        forget_secret();
    }
    if (session->client != NULL) {
        client_close(session->client);
        session->client = NULL;
    }
}

int session_load_genesis(struct cli *cli, struct genesis *out)
{
    char path[FILES_PATH_SIZE];
    char problem[160];
    if (cli->genesis_file != NULL) {
        snprintf(path, sizeof path, "%s", cli->genesis_file);
    } else if (!files_join(path, cli->home, "genesis.json")) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the home directory is too long");
    }
    size_t size;
    char *text = files_read(path, GENESIS_TEXT_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_genesis",
                        "%s: %s; every proof ends in the genesis file: flex account trust FILE, "
                        "or --genesis FILE",
                        path, strerror(errno));
    }
    bool ok = genesis_from_json(out, text, size, problem);
    free(text);
    if (!ok) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "%s: %s", path, problem);
    }
    return CLI_DONE;
}

int session_trust(struct session *session)
{
    if (session->has_trust) {
        return CLI_DONE;
    }
    int status = session_load_genesis(session->cli, &session->genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!proof_trust_from_genesis(&session->trust, &session->genesis)) {
        const char *problem = genesis_problem(&session->genesis);
        return cli_fail(session->cli, CLI_USAGE, "bad_genesis", "the genesis file: %s",
                        problem != NULL ? problem : "its validator set is not valid");
    }
    session->has_trust = true;
    return CLI_DONE;
}

/* What to do next, where the ledger's reason does not say it. For people only. */
static void say_hint(struct cli *cli, const char *code)
{
    static const struct {
        const char *code;
        const char *hint;
    } hints[] = {
        {"tx_fee_unaffordable", "flex account show tells the balance; a treasurer mints, anybody "
                                "can transfer"},
        {"tx_nonce_used", "an earlier transaction of this key is still waiting: let flex tx wait "
                          "end, then send this one again"},
        {"signature_required",
         "this node answers a participant's key only: flex --home DIR with its "
         "key.json and genesis.json signs by itself"},
        {"signature_wrong", "this wallet's key is no participant's of this chain, or not any more"},
        {"signature_clock", "this computer's clock and the node's are apart: set it right"},
        {"not_permitted", "ask somebody with that role, or a node of your own"},
        {"pruned", "an audit node keeps every block: flex --node http://AUDIT-NODE ..."},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(code, hints[i].code) == 0) {
            fprintf(cli->err, "flex: hint: %s\n", hints[i].hint);
        }
    }
}

static int64_t own_time_ms(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t session_age_ms(const struct genesis *genesis, struct timestamp time, int64_t now_ms)
{
    int64_t age;
    return genesis->simulated_time == 0 && checked_sub_i64(&age, now_ms, timestamp_ms(time)) ? age
                                                                                             : 0;
}

bool session_time_is_plausible(const struct genesis *genesis, int64_t node_ms, int64_t now_ms)
{
    int64_t apart;
    return genesis->simulated_time == 1 ||
           (checked_sub_i64(&apart, node_ms, now_ms) && apart <= CLOCK_SLACK_MS &&
            apart >= -(int64_t)CLOCK_SLACK_MS);
}

int session_check_node_time(struct session *session, int64_t node_ms)
{
    MUST(session->has_trust);
    if (session_time_is_plausible(&session->genesis, node_ms, own_time_ms())) {
        return CLI_DONE;
    }
    return cli_fail(session->cli, CLI_NO_NODE, "node_clock",
                    "the node's clock and this computer's are more than %d minutes apart",
                    CLOCK_SLACK_MS / 60000);
}

/* For people: a state proof is of the tip that the node chose to show. */
static void warn_if_stale(const struct session *session, const struct proof *proof)
{
    int64_t age_ms = session_age_ms(&session->genesis, proof->header.time, own_time_ms());
    if (proof->type == PROOF_STATE && age_ms > FRESH_MS) {
        fprintf(session->cli->err,
                "flex: warning: proven as of block %" PRIu64 ", %" PRId64
                " s ago; the chain stands still, or the node is behind or hides what is newer\n",
                proof->header.height, age_ms / 1000);
    }
}

int session_refusal(struct session *session, const struct client_answer *answer)
{
    struct cli *cli = session->cli;
    if (answer->status == 0) {
        return cli_fail(cli, CLI_NO_NODE, "no_node", "%s", answer->problem);
    }
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object =
        answer->body != NULL ? json_parse_strict(answer->body, answer->size, problem) : NULL;
    const struct cJSON *error = json_object(object, "error");
    const char *code = json_string(error, "code");
    const char *reason = json_string(error, "reason");
    int status = answer->status == 503                         ? CLI_NO_NODE
                 : code != NULL && strcmp(code, "bad_id") == 0 ? CLI_USAGE
                                                               : CLI_REFUSED;
    if (code == NULL || reason == NULL) {
        cJSON_Delete(object);
        return cli_fail(cli, CLI_NO_NODE, "bad_answer", "%s answered %d and no error that is known",
                        cli->node, answer->status);
    }
    cli_fail(cli, status, code, "%s", reason);
    say_hint(cli, code);
    cJSON_Delete(object);
    return status;
}

int session_get(struct session *session, struct cJSON **out, const char *format, ...)
{
    char path[CLIENT_PATH_SIZE];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(path, sizeof path, format, list);
    va_end(list);
    MUST(length > 0 && (size_t)length < sizeof path);
    *out = NULL;
    struct client_answer answer;
    client_get(session->client, &answer, path);
    if (answer.status != 200) {
        int status = session_refusal(session, &answer);
        client_answer_release(&answer);
        return status;
    }
    char problem[JSON_PROBLEM_SIZE] = "nothing";
    struct cJSON *object =
        json_parse_strict(answer.body != NULL ? answer.body : "", answer.size, problem);
    client_answer_release(&answer);
    if (object == NULL || !cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "%s%s: %s", session->cli->node,
                        path, problem);
    }
    *out = object;
    return CLI_DONE;
}

/* Moves all items of a page into `all`; the id to go on after in `after`, empty at the end. */
static bool take_page(struct cJSON *all, struct cJSON *page, char *after, size_t after_size)
{
    struct cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items");
    if (!cJSON_IsArray(items)) {
        return false;
    }
    bool any = items->child != NULL;
    while (items->child != NULL) {
        cJSON_AddItemToArray(all, cJSON_DetachItemViaPointer(items, items->child));
    }
    const char *next = json_string(page, "next");
    after[0] = '\0';
    if (next == NULL) {
        return true;
    }
    /* A page that is empty and yet promises more would have us ask for ever; of a list that holds only
     * what this wallet may see there may be some, and pages are counted. */
    bool filtered = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "filtered"));
    if ((!any && !filtered) || strlen(next) >= after_size || !client_path_is_plain(next)) {
        return false;
    }
    memcpy(after, next, strlen(next) + 1);
    return true;
}

/* Nodes list records in the order of their keys, each once: one that came twice would count twice. */
static bool list_is_in_order(const struct cJSON *items, const char *plural)
{
    const bool accounts = strcmp(plural, "accounts") == 0;
    const struct state_kind_info *info = state_kind_by_name(accounts ? "participant" : plural);
    struct state_key last = {.size = 0}, key;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        const char *id = json_string(item, "id");
        if (info == NULL || id == NULL || !state_key_from_text(&key, info->kind, id)) {
            return false;
        }
        const size_t shared = key.size < last.size ? key.size : last.size;
        const int order = memcmp(last.bytes, key.bytes, shared);
        if (order > 0 || (order == 0 && last.size >= key.size)) {
            return false;
        }
        last = key;
    }
    return true;
}

int session_list(struct session *session, struct cJSON **out, const char *plural)
{
    char after[CLIENT_PATH_SIZE / 2] = "";
    struct cJSON *all = cJSON_CreateArray();
    MUST(all != NULL);
    size_t pages = 0;
    do {
        struct cJSON *page;
        int status = session_get(session, &page, "/v1/%s?limit=%d%s%s", plural, PAGE_SIZE,
                                 after[0] != '\0' ? "&after=" : "", after);
        session->filtered = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "filtered"));
        if (status == CLI_DONE && (!take_page(all, page, after, sizeof after) ||
                                   ++pages > SESSION_LIST_MAX / PAGE_SIZE)) {
            status = cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                              "the node's list of %s is not one", plural);
        }
        cJSON_Delete(page);
        if (status != CLI_DONE) {
            cJSON_Delete(all);
            *out = NULL;
            return status;
        }
    } while (after[0] != '\0');
    if (!list_is_in_order(all, plural)) {
        cJSON_Delete(all);
        *out = NULL;
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                        "the node's list of %s names a record twice, or out of order", plural);
    }
    *out = all;
    return CLI_DONE;
}

/* One try. CLI_DONE with *retry set: not yet, ask again. */
static int try_proof(struct session *session, const char *path, struct proof *out, char **sealed,
                     bool *retry, const char *kind, const char *id)
{
    struct cli *cli = session->cli;
    struct client_answer answer;
    client_get(session->client, &answer, path);
    *retry = answer.status == 503;
    int status = CLI_DONE;
    if (answer.status != 200) {
        status = *retry ? CLI_DONE : session_refusal(session, &answer);
        client_answer_release(&answer);
        return status;
    }
    char problem[PROOF_PROBLEM_SIZE] = "the node's answer is not a JSON object";
    char *text = answer.body != NULL ? proof_seal(answer.body, answer.size) : NULL;
    client_answer_release(&answer);
    if (text == NULL || !proof_verify(out, &session->trust, text, strlen(text), problem)) {
        free(text);
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "%s %s: %s", kind, id, problem);
    }
    const char *proven = proof_kind_name(out);
    if (strcmp(out->id, id) != 0 || strcmp(proven, kind) != 0) {
        status = cli_fail(cli, CLI_UNPROVEN, "proof_failed", "asked for %s %s, got %s %s", kind, id,
                          proven, out->id);
        proof_release(out);
        free(text);
        return status;
    }
    *sealed = text;
    return CLI_DONE;
}

/* What the wallet's memory says of a proof that is true. CLI_DONE with *retry set: the node is behind,
 * ask again. */
static int check_seen(struct session *session, const struct proof *proof, bool *retry)
{
    struct cli *cli = session->cli;
    struct seen seen;
    char path[FILES_PATH_SIZE] = "", old[2 * HASH_SIZE + 1], new[2 * HASH_SIZE + 1];
    (void)seen_path(path, sizeof path, cli, &session->trust.genesis);
    *retry = false;
    switch (seen_check(cli, &session->trust, proof, &seen)) {
    case SEEN_FINE:
        return CLI_DONE;
    case SEEN_OLDER:
        *retry = !cli->allow_stale;
        if (cli->allow_stale) {
            fprintf(cli->err,
                    "flex: warning: block %" PRIu64 " is shown, block %" PRIu64
                    " was verified before\n",
                    proof->header.height, seen.height);
        }
        return CLI_DONE;
    case SEEN_OTHER:
        hex_encode(old, seen.block_id.bytes, HASH_SIZE);
        hex_encode(new, proof->block_id.bytes, HASH_SIZE);
        return cli_fail(cli, CLI_UNPROVEN, "two_histories",
                        "block %" PRIu64 " was verified as %s before, and now as %s: more than a "
                        "third of the validators have signed both; keep both proofs",
                        seen.height, old, new);
    case SEEN_DAMAGED:
        return cli_fail(cli, CLI_UNPROVEN, "bad_state",
                        "%s is damaged; without it this wallet does not know how far it has "
                        "verified: remove it if you know why",
                        path);
    }
    MUST(false);
}

int session_proof(struct session *session, const char *kind, const char *id, struct proof *out,
                  char **sealed)
{
    struct cli *cli = session->cli;
    char path[CLIENT_PATH_SIZE];
    int status = session_trust(session);
    if (status != CLI_DONE) {
        return status;
    }
    if ((id[0] != '\0' && !client_path_is_plain(id)) || !client_path_is_plain(kind)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "'%s' is not an id", id);
    }
    snprintf(path, sizeof path, "/v1/proofs/%s/%s", kind, id);
    struct wait wait;
    wait_begin(&wait, cli->timeout_ms);
    for (;;) {
        bool retry, behind = false;
        uint64_t height = 0;
        char *text = NULL;
        status = try_proof(session, path, out, &text, &retry, kind, id);
        if (status == CLI_DONE && !retry) {
            height = out->header.height;
            status = check_seen(session, out, &behind);
            if (status != CLI_DONE || behind) {
                proof_release(out);
            }
        }
        if (!retry && !behind) {
            if (status == CLI_DONE) {
                warn_if_stale(session, out);
            }
            if (status == CLI_DONE && sealed != NULL) {
                *sealed = text;
            } else {
                free(text);
            }
            return status;
        }
        free(text);
        if (!wait_more(&wait)) {
            return behind ? cli_fail(cli, CLI_NO_NODE, "stale_node",
                                     "the node shows the state of block %" PRIu64
                                     ", and this wallet has verified a later one: the node is "
                                     "behind or hides what is newer; ask another, or --allow-stale",
                                     height)
                          : cli_fail(cli, CLI_NO_NODE, "no_certificate",
                                     "the node has no proof of %s %s yet; try again", kind, id);
        }
    }
}

static int record_from_json(struct session *session, const struct state_kind_info *info,
                            const char *id, void *record, bool *absent)
{
    char path[CLIENT_PATH_SIZE];
    if (!client_path_is_plain(id)) {
        return cli_fail(session->cli, CLI_USAGE, "bad_value", "'%s' is not an id", id);
    }
    snprintf(path, sizeof path, "/v1/%s/%s", info->plural, id);
    struct client_answer answer;
    client_get(session->client, &answer, path);
    *absent = answer.status == 404;
    if (answer.status != 200) {
        int status = *absent ? CLI_DONE : session_refusal(session, &answer);
        client_answer_release(&answer);
        return status;
    }
    char problem[JSON_PROBLEM_SIZE] = "";
    struct cJSON *object = json_parse_strict(answer.body, answer.size, problem);
    client_answer_release(&answer);
    /* What the node adds to the record; a "height" beside a "state_height" is the record's own. */
    const bool own = cJSON_GetObjectItemCaseSensitive(object, "state_height") != NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(object, own ? "state_height" : "height");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "id");
    static uint8_t scratch_bytes[LIMIT_STATE_VALUE_BYTES];
    struct byte_writer scratch;
    byte_writer_init(&scratch, scratch_bytes, sizeof scratch_bytes);
    bool ok = object != NULL &&
              codec_from_json(info->codec, record, object, &scratch, problem, sizeof problem);
    cJSON_Delete(object);
    return ok ? CLI_DONE
              : cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "%s: %s", path, problem);
}

int session_record(struct session *session, const char *kind, const char *id, void *record,
                   bool *absent, struct proof *proof)
{
    const struct state_kind_info *info = state_kind_by_name(kind);
    MUST(info != NULL && info->codec != NULL);
    memset(proof, 0, sizeof *proof);
    if (session->cli->no_verify) {
        return record_from_json(session, info, id, record, absent);
    }
    int status = session_proof(session, kind, id, proof, NULL);
    if (status != CLI_DONE) {
        return status;
    }
    *absent = !proof->present;
    if (proof->present && !codec_decode_all(info->codec, record, proof->value)) {
        proof_release(proof);
        return cli_fail(session->cli, CLI_UNPROVEN, "proof_failed",
                        "%s %s is proven, but it is not a record that this version knows", kind,
                        id);
    }
    return CLI_DONE;
}

/* --- keys --------------------------------------------------------------------------------- */

bool session_key_path(const struct cli *cli, char *out, size_t size)
{
    int length = snprintf(out, size, "%s/key.json", cli->home);
    return length > 0 && (size_t)length < size;
}

static int key_failure(struct cli *cli, enum wallet_result result, const char *path)
{
    static const char *const codes[] = {
        [WALLET_OK] = "ok",
        [WALLET_ABSENT] = "no_key",
        [WALLET_EXISTS] = "key_exists",
        [WALLET_NEEDS_PASSPHRASE] = "passphrase_missing",
        [WALLET_WRONG_PASSPHRASE] = "passphrase_wrong",
        [WALLET_WATCHES] = "watch_only",
        [WALLET_MALFORMED] = "key_malformed",
        [WALLET_FAULT] = "key_unreadable",
    };
    return cli_fail(cli, CLI_USAGE, codes[result], "%s: %s", path, wallet_result_text(result));
}

int session_public_key(struct cli *cli, struct public_key *out)
{
    char path[FILES_PATH_SIZE];
    struct wallet_file file;
    if (!session_key_path(cli, path, sizeof path)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the home directory is too long");
    }
    enum wallet_result result = wallet_peek(&file, path);
    if (result != WALLET_OK) {
        return key_failure(cli, result, path);
    }
    *out = file.public_key;
    return CLI_DONE;
}

int session_secret_key(struct cli *cli, struct secret_key *secret, struct public_key *key)
{
    char path[FILES_PATH_SIZE];
    char problem[160];
    struct wallet_file file;
    if (!session_key_path(cli, path, sizeof path)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the home directory is too long");
    }
    if (opened.known && strcmp(opened.path, path) == 0) {
        *secret = opened.secret;
        *key = opened.key;
        return CLI_DONE;
    }
    enum wallet_result result = wallet_peek(&file, path);
    if (result == WALLET_OK && file.watches) {
        result = WALLET_WATCHES;
    }
    if (result != WALLET_OK) {
        return key_failure(cli, result, path);
    }
    char *passphrase = wallet_secrets_new(WALLET_PASSPHRASE_MAX + 1);
    if (file.encrypted &&
        !wallet_read_passphrase(passphrase, (int)cli->passphrase_fd, false, problem)) {
        wallet_secrets_free(passphrase);
        return cli_fail(cli, CLI_USAGE, "passphrase_missing", "%s", problem);
    }
    result = wallet_open(secret, key, path, file.encrypted ? passphrase : NULL);
    wallet_secrets_free(passphrase);
    if (result == WALLET_OK && file.encrypted && opened.sessions > 0) {
        opened.known = true;
        memcpy(opened.path, path, sizeof path);
        opened.secret = *secret;
        opened.key = *key;
    }
    return result == WALLET_OK ? CLI_DONE : key_failure(cli, result, path);
}

int session_participant_of(struct session *session, const struct public_key *key, struct name *out)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    struct cJSON *object;
    hex_encode(hex, key->bytes, sizeof key->bytes);
    int status = session_get(session, &object, "/v1/keys/%s", hex);
    if (status == CLI_REFUSED) {
        fprintf(session->cli->err,
                "flex: hint: a market operator registers it: flex participant register NAME "
                "--roles LIST --key %s\n",
                hex);
    }
    if (status != CLI_DONE) {
        return status;
    }
    const char *text = json_string(object, "participant");
    bool ok = text != NULL && name_from_text(out, text, strlen(text));
    cJSON_Delete(object);
    return ok ? CLI_DONE
              : cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the node names no participant");
}

/* Whose balance is shown as the owner's own is not for the node to say. */
static int prove_participant(struct session *session, const struct public_key *key,
                             const struct name *claimed)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    struct key_record record;
    struct proof proof;
    bool absent;
    hex_encode(hex, key->bytes, sizeof key->bytes);
    int status = session_record(session, "key", hex, &record, &absent, &proof);
    if (status != CLI_DONE) {
        return status;
    }
    proof_release(&proof);
    return !absent && name_compare(&record.participant, claimed) == 0
               ? CLI_DONE
               : cli_fail(session->cli, CLI_UNPROVEN, "proof_failed",
                          "the node named a participant that does not have this wallet's key");
}

int session_participant(struct session *session, struct name *out, const struct name *given)
{
    if (given != NULL && !name_is_empty(given)) {
        *out = *given;
        return CLI_DONE;
    }
    struct public_key key;
    int status = session_public_key(session->cli, &key);
    if (status == CLI_DONE) {
        status = session_participant_of(session, &key, out);
    }
    return status == CLI_DONE && !session->cli->no_verify ? prove_participant(session, &key, out)
                                                          : status;
}
