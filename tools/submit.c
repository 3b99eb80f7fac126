/* Making, sending and following transactions (tools/submit.h).
 *
 *   nonce, fee, time from the node -> sign -> POST -> poll -> proof of the receipt -> report
 *
 * Invariants: one envelope is made and only ever that one is posted again, so that a lost answer
 * can't pay twice; "done" is said of a receipt that has been verified from the genesis file, or the
 * output says that it has not; the node's words about fee and time can at worst make the transaction
 * fail: the fee limit and the expiry are signed, and an expiry far from our own clock is not.
 *
 * Absent on purpose: queues of unsent transactions. A wallet waits for each of its own. */
#include "tools/submit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "contracts/events.h"
#include "tools/session.h"
#include "tools/value.h"
#include "tools/wait.h"
#include "verify/show.h"

enum { HEX_ID_SIZE = 2 * HASH_SIZE + 1 };

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, CLI_USAGE, "no_memory", "memory ran out");
}

/* Moves the members of `from` to the end of `to` and deletes it. */
static void merge(struct cJSON *to, struct cJSON *from)
{
    while (from != NULL && from->child != NULL) {
        struct cJSON *field = cJSON_DetachItemViaPointer(from, from->child);
        cJSON_AddItemToObject(to, field->string, field);
    }
    cJSON_Delete(from);
}

/* {"type":"token_transfer", ...fields} per action. */
static bool add_actions_json(struct cJSON *result, const struct submit *submit)
{
    struct cJSON *list = cJSON_AddArrayToObject(result, "actions");
    for (uint32_t i = 0; i < submit->count; i++) {
        const struct codec_record *codec = action_codec(submit->actions[i].type);
        MUST(codec != NULL);
        struct cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "type", codec->name);
        struct cJSON *fields = codec_to_json(codec, submit->actions[i].record);
        if (fields == NULL) {
            cJSON_Delete(item);
            return false;
        }
        merge(item, fields);
        cJSON_AddItemToArray(list, item);
    }
    if (submit->witness.size > 0) {
        json_add_u64(result, "witness_bytes", submit->witness.size);
    }
    return true;
}

static int dry_run(struct cli *cli, const struct submit *submit)
{
    if (!add_actions_json(cli->result, submit)) {
        return no_memory(cli);
    }
    if (!cli->json) {
        char *text = cJSON_Print(cli->result);
        cli_say(cli, "%s\n", text != NULL ? text : "");
        cJSON_free(text);
    }
    return CLI_DONE;
}

/* --- what a transaction needs to know ------------------------------------------------------ */

static int read_nonce(struct session *session, const struct name *sender, uint64_t *next)
{
    char text[NAME_SIZE + 1];
    struct cJSON *account;
    uint64_t nonce;
    int status = session_get(session, &account, "/v1/accounts/%s", name_to_text(text, sender));
    if (status != CLI_DONE) {
        return status;
    }
    bool ok = json_u64(&nonce, account, "nonce") && nonce < UINT64_MAX;
    cJSON_Delete(account);
    if (!ok) {
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the account has no nonce");
    }
    *next = nonce + 1;
    return CLI_DONE;
}

/* What the ledger asks now for `count` actions. */
static int read_fee(struct session *session, uint32_t count, struct money *fee)
{
    struct cJSON *page;
    int64_t per_tx, per_action, total;
    int status = session_get(session, &page, "/v1/params");
    if (status != CLI_DONE) {
        return status;
    }
    const struct cJSON *items = json_array(page, "items");
    const struct cJSON *params = items != NULL ? items->child : page;
    bool ok = json_i64(&per_tx, params, "fee_per_tx_ueur") &&
              json_i64(&per_action, params, "fee_per_action_ueur") &&
              checked_mul_i64(&total, per_action, count) && checked_add_i64(&total, total, per_tx);
    cJSON_Delete(page);
    if (!ok) {
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the parameters name no fees");
    }
    *fee = money_of(total);
    return CLI_DONE;
}

static int read_expiry(struct session *session, struct timestamp *valid_until)
{
    struct cJSON *answer;
    int64_t now, until;
    int status = session_get(session, &answer, "/v1/status");
    if (status != CLI_DONE) {
        return status;
    }
    bool ok = json_i64(&now, answer, "time_ms") &&
              checked_add_i64(&until, now, session->cli->valid_for_ms);
    cJSON_Delete(answer);
    if (!ok) {
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the node's status has no time");
    }
    status = session_check_node_time(session, now);
    if (status != CLI_DONE) {
        return status;
    }
    *valid_until = timestamp_of(until);
    return CLI_DONE;
}

static int fill_draft(struct session *session, struct transaction_draft *draft,
                      const struct submit *submit, const struct public_key *key)
{
    struct name sender;
    draft->genesis = session->trust.genesis;
    draft->action_count = submit->count;
    memcpy(draft->actions, submit->actions, submit->count * sizeof submit->actions[0]);
    draft->witness = submit->witness;
    int status = session_participant_of(session, key, &sender);
    if (status == CLI_DONE) {
        status = read_nonce(session, &sender, &draft->nonce);
    }
    if (status == CLI_DONE) {
        status = read_expiry(session, &draft->valid_until);
    }
    if (status == CLI_DONE && session->cli->fee_limit >= 0) {
        draft->fee_limit = money_of(session->cli->fee_limit);
    } else if (status == CLI_DONE) {
        status = read_fee(session, submit->count, &draft->fee_limit);
    }
    return status;
}

/* --- following it -------------------------------------------------------------------------- */

static bool is_known(struct session *session, const char *id)
{
    char path[CLIENT_PATH_SIZE];
    struct client_answer answer;
    snprintf(path, sizeof path, "/v1/transactions/%s", id);
    client_get(session->client, &answer, path);
    bool known = answer.status == 200;
    client_answer_release(&answer);
    return known;
}

static int post(struct session *session, struct bytes_view envelope, const char *id)
{
    struct wait wait;
    wait_begin(&wait, session->cli->timeout_ms);
    bool sent_before = false;
    for (;;) {
        struct client_answer answer;
        client_post(session->client, &answer, "/v1/transactions", envelope);
        int http = answer.status;
        if (http == 202 || http == 200) {
            client_answer_release(&answer);
            return CLI_DONE;
        }
        /* An earlier try whose answer was lost may have made it into a block, and this one is then
         * refused as a replay. */
        bool later = http == 0 || http == 429 || http == 503;
        if (!later && sent_before && is_known(session, id)) {
            client_answer_release(&answer);
            return CLI_DONE;
        }
        if (!later || !wait_more(&wait)) {
            int status = session_refusal(session, &answer);
            client_answer_release(&answer);
            return status;
        }
        client_answer_release(&answer);
        sent_before = true;
    }
}

/* Until the node says that it is in a final block. The last answer is the caller's. */
static int poll_receipt(struct session *session, struct cJSON **out, const char *id)
{
    struct cli *cli = session->cli;
    char path[CLIENT_PATH_SIZE];
    char problem[JSON_PROBLEM_SIZE];
    struct wait wait;
    snprintf(path, sizeof path, "/v1/transactions/%s", id);
    wait_begin(&wait, cli->timeout_ms);
    bool answered = false;
    do {
        struct client_answer answer;
        client_get(session->client, &answer, path);
        answered = answered || answer.status != 0;
        struct cJSON *object = answer.status == 200 && answer.body != NULL
                                   ? json_parse_strict(answer.body, answer.size, problem)
                                   : NULL;
        client_answer_release(&answer);
        const char *state = json_string(object, "status");
        if (state != NULL && strcmp(state, "pending") != 0) {
            *out = object;
            return CLI_DONE;
        }
        cJSON_Delete(object);
    } while (wait_more(&wait));
    return cli_fail(cli, CLI_NO_NODE, answered ? "not_final" : "no_node",
                    answered ? "transaction %s is not final yet: flex tx wait %s"
                             : "no node answered about transaction %s: flex tx wait %s",
                    id, id);
}

/* What became of a proposed solution: the transaction succeeds whatever the verdict. */
static void say_verdict(struct cli *cli, const struct cJSON *event)
{
    const char *verdict = json_string(event, "verdict");
    const char *rule = json_string(event, "rule");
    if (verdict == NULL || rule == NULL) {
        return;
    }
    if (strcmp(verdict, "broken") == 0) {
        cli_say(cli, "the solution is wrong: it breaks the rule '%s'; that is a strike\n", rule);
    } else if (strcmp(verdict, "unreadable") == 0) {
        cli_say(cli, "the solution is none of this problem; that is a strike\n");
    } else if (strcmp(verdict, "best") == 0) {
        cli_say(cli, "the solution is the best so far\n");
    } else {
        cli_say(cli, "the solution keeps all rules, and another one is as good or better\n");
    }
}

/* For people: under --json the object has all of it, and standard error stays free for what went wrong. */
static void say_outcome(struct cli *cli, const char *id, uint64_t height, struct money fee,
                        bool verified)
{
    char text[VALUE_TEXT_SIZE];
    if (cli->json) {
        return;
    }
    cli_say(cli, "transaction %s\nfinal in block %llu, fee %s EUR, %s\n", id,
            (unsigned long long)height, value_eur_text(text, money_ueur(fee)),
            verified ? "proven from the genesis file" : "NOT VERIFIED: the node's word only");
    const struct cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(cli->result, "events"))
    {
        const char *event_id = json_string(event, "id");
        const char *type = json_string(event, "type");
        if (type != NULL && event_id != NULL) {
            char words[64];
            snprintf(words, sizeof words, "%s", type);
            for (char *at = words; *at != '\0'; at++) {
                *at = *at == '_' ? ' ' : *at;
            }
            cli_say(cli, "%s: %s\n", words, event_id);
        }
        if (type != NULL && strcmp(type, event_solution_codec.name) == 0) {
            say_verdict(cli, event);
        }
    }
}

static int report_verified(struct session *session, const char *id)
{
    struct cli *cli = session->cli;
    struct proof proof;
    int status = session_proof(session, "transaction", id, &proof, NULL);
    if (status != CLI_DONE) {
        return status;
    }
    const struct receipt *receipt = &proof.receipt;
    enum contract_error error = (enum contract_error)receipt->status;
    cJSON_AddStringToObject(cli->result, "id", id);
    json_add_u64(cli->result, "height", proof.header.height);
    cJSON_AddStringToObject(cli->result, "status", error == CONTRACT_OK ? "ok" : "failed");
    json_add_i64(cli->result, "fee_ueur", money_ueur(receipt->fee));
    if (!show_events(cJSON_AddArrayToObject(cli->result, "events"), receipt->events)) {
        status = cli_fail(cli, CLI_UNPROVEN, "proof_failed",
                          "the receipt holds events that this version does not know");
    } else if (error != CONTRACT_OK) {
        const char *name = contract_error_name(error);
        status = cli_fail(cli, CLI_REFUSED, name != NULL ? name : "unknown", "%s",
                          contract_error_reason(error));
    } else {
        say_outcome(cli, id, proof.header.height, receipt->fee, true);
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", true);
    proof_release(&proof);
    return status;
}

static int report_unverified(struct session *session, const struct cJSON *answer, const char *id)
{
    struct cli *cli = session->cli;
    const char *state = json_string(answer, "status");
    uint64_t height = 0;
    int64_t fee = 0;
    json_u64(&height, answer, "height");
    json_i64(&fee, answer, "fee_ueur");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, answer)
    {
        cJSON_AddItemToObject(cli->result, item->string, cJSON_Duplicate(item, 1));
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", false);
    if (strcmp(state, "ok") != 0) {
        const char *code = json_string(answer, "code");
        const char *reason = json_string(answer, "reason");
        return cli_fail(cli, CLI_REFUSED, code != NULL ? code : "failed", "%s",
                        reason != NULL ? reason : "the ledger refused");
    }
    say_outcome(cli, id, height, money_of(fee), false);
    return CLI_DONE;
}

static int follow(struct session *session, const char *id)
{
    struct cJSON *answer;
    int status = poll_receipt(session, &answer, id);
    if (status != CLI_DONE) {
        return status;
    }
    status = session->cli->no_verify ? report_unverified(session, answer, id)
                                     : report_verified(session, id);
    cJSON_Delete(answer);
    return status;
}

static int post_and_follow(struct session *session, struct bytes_view envelope)
{
    struct transaction transaction;
    char id[HEX_ID_SIZE];
    enum contract_error error = transaction_decode(&transaction, envelope);
    if (error != CONTRACT_OK) {
        return cli_fail(session->cli, CLI_USAGE, contract_error_name(error), "%s",
                        contract_error_reason(error));
    }
    hex_encode(id, transaction.id.bytes, HASH_SIZE);
    int status = post(session, envelope, id);
    return status == CLI_DONE ? follow(session, id) : status;
}

/* --- the faces ----------------------------------------------------------------------------- */

/* `out` says what was signed; the bytes are in `buffer`. */
static int sign_draft(struct session *session, struct submit_signed *out, uint8_t *buffer,
                      const struct submit *submit, const struct secret_key *secret,
                      const struct public_key *key)
{
    static struct transaction_draft draft;
    struct transaction transaction;
    struct byte_writer writer;
    memset(&draft, 0, sizeof draft);
    byte_writer_init(&writer, buffer, SUBMIT_ENVELOPE_BYTES_MAX);
    int status = fill_draft(session, &draft, submit, key);
    if (status != CLI_DONE) {
        return status;
    }
    if (!transaction_sign(&writer, &draft, secret) ||
        transaction_decode(&transaction, bytes_view_of(buffer, writer.size)) != CONTRACT_OK) {
        return cli_fail(session->cli, CLI_USAGE, "not_encodable",
                        "an action is out of range or the transaction is too large");
    }
    *out = (struct submit_signed){.size = writer.size,
                                  .nonce = draft.nonce,
                                  .valid_until = draft.valid_until,
                                  .id = transaction.id};
    return CLI_DONE;
}

static int sign_and_send(struct session *session, const struct submit *submit, uint8_t *buffer)
{
    struct submit_signed done;
    struct secret_key secret;
    struct public_key key;
    int status = session_secret_key(session->cli, &secret, &key);
    if (status != CLI_DONE) {
        return status;
    }
    status = sign_draft(session, &done, buffer, submit, &secret, &key);
    secret_key_wipe(&secret);
    if (status != CLI_DONE) {
        return status;
    }
    const char *path = session->cli->save_envelope;
    if (path != NULL && !files_write(path, buffer, done.size, 0600)) {
        return cli_fail(session->cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    return post_and_follow(session, bytes_view_of(buffer, done.size));
}

int submit_sign(struct cli *cli, struct submit_signed *out, uint8_t *bytes,
                const struct submit *submit, const struct secret_key *secret,
                const struct public_key *key)
{
    struct session session;
    MUST(submit->count > 0 && submit->count <= LIMIT_ACTIONS_PER_TX);
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = sign_draft(&session, out, bytes, submit, secret, key);
    }
    session_close(&session);
    return status;
}

int submit_run(struct cli *cli, const struct submit *submit)
{
    MUST(submit->count > 0 && submit->count <= LIMIT_ACTIONS_PER_TX);
    if (cli->dry_run) {
        return dry_run(cli, submit);
    }
    struct session session;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        uint8_t *buffer = malloc(SUBMIT_ENVELOPE_BYTES_MAX);
        status = buffer != NULL ? sign_and_send(&session, submit, buffer) : no_memory(cli);
        free(buffer);
    }
    session_close(&session);
    return status;
}

int submit_one(struct cli *cli, uint8_t action, const void *record)
{
    static struct submit submit;
    memset(&submit, 0, sizeof submit);
    submit.count = 1;
    submit.actions[0].type = action;
    submit.actions[0].record = record;
    return submit_run(cli, &submit);
}

int submit_fate_of(struct cli *cli, enum submit_fate *out, const struct submit_signed *what,
                   const struct name *sender)
{
    char path[CLIENT_PATH_SIZE], id[HEX_ID_SIZE], name[NAME_SIZE + 1];
    struct session session;
    struct client_answer answer;
    struct participant_record record;
    struct proof proof;
    bool absent;
    int status = session_open(&session, cli);
    if (status != CLI_DONE) {
        return status;
    }
    hex_encode(id, what->id.bytes, HASH_SIZE);
    snprintf(path, sizeof path, "/v1/transactions/%s", id);
    client_get(session.client, &answer, path);
    const int http = answer.status;
    if (http != 200 && http != 404) {
        status = session_refusal(&session, &answer);
    }
    client_answer_release(&answer);
    *out = SUBMIT_KNOWN;
    if (http == 404) {
        status = session_record(&session, "participant", name_to_text(name, sender), &record,
                                &absent, &proof);
    }
    if (http == 404 && status == CLI_DONE) {
        const bool used = !absent && record.nonce >= what->nonce;
        const bool over = timestamp_compare(proof.header.time, what->valid_until) >= 0;
        *out = used ? SUBMIT_SPENT : over ? SUBMIT_EXPIRED : SUBMIT_OPEN;
        proof_release(&proof);
    }
    session_close(&session);
    return status;
}

int submit_envelope(struct cli *cli, struct bytes_view envelope)
{
    struct session session;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = post_and_follow(&session, envelope);
    }
    session_close(&session);
    return status;
}

int submit_show(struct cli *cli, const char *id)
{
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/transactions/%s", id);
    }
    const char *state = json_string(answer, "status");
    if (status == CLI_DONE && state == NULL) {
        status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "the node names no status");
    } else if (status == CLI_DONE && strcmp(state, "pending") == 0) {
        /* Nothing is final, so there is nothing to prove. */
        cJSON_AddStringToObject(cli->result, "id", id);
        cJSON_AddStringToObject(cli->result, "status", "pending");
        cJSON_AddBoolToObject(cli->result, "proof_verified", false);
        cli_say(cli, "transaction %s\npending, by the node's word\n", id);
    } else if (status == CLI_DONE) {
        status = cli->no_verify ? report_unverified(&session, answer, id)
                                : report_verified(&session, id);
    }
    cJSON_Delete(answer);
    session_close(&session);
    return status;
}

int submit_wait(struct cli *cli, const char *id)
{
    struct session session;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = follow(&session, id);
    }
    session_close(&session);
    return status;
}
