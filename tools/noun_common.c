/* Listing and showing records of the state, for every noun alike (tools/nouns.h).
 *
 * Invariants: what `show` and `list` print has been proven from the genesis file unless --no-verify
 * says otherwise, and `proof_verified` says which. Of a list each record is proven, and that it names
 * all of them is the node's word: no proof covers that. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/nouns.h"

const struct cli_option noun_id_option[1] = {
    {"ID", CLI_TEXT, offsetof(struct noun_id, id), "which one", CLI_POSITIONAL, NULL, NULL, 0},
};

void noun_merge(struct cJSON *to, struct cJSON *from)
{
    while (from != NULL && from->child != NULL) {
        struct cJSON *field = cJSON_DetachItemViaPointer(from, from->child);
        cJSON_AddItemToObject(to, field->string, field);
    }
    cJSON_Delete(from);
}

void noun_add_record(struct cli *cli, const struct codec_record *codec, const void *record)
{
    struct cJSON *fields = codec_to_json(codec, record);
    MUST(fields != NULL);
    noun_merge(cli->result, fields);
}

void noun_say_result(struct cli *cli)
{
    if (!cli->json) {
        cli_say_object(cli, cli->result);
    }
}

/* One record of a list, proven, in place of what the node told: it may be newer than the list. */
static int prove_item(struct session *session, const struct state_kind_info *info, const char *id,
                      struct cJSON *out, bool *absent)
{
    static _Alignas(16) uint8_t record[16384];
    struct proof proof = {0};
    MUST(info->codec != NULL && info->codec->struct_size <= sizeof record);
    int status = session_record(session, info->name, id, record, absent, &proof);
    if (status == CLI_DONE && !*absent) {
        struct cJSON *fields = codec_to_json(info->codec, record);
        MUST(fields != NULL);
        cJSON_AddStringToObject(out, "id", id);
        noun_merge(out, fields);
    }
    proof_release(&proof);
    return status;
}

/* An account is a participant and its balance, each with a proof of its own. */
static int prove_account(struct session *session, const char *id, struct cJSON *out, bool *absent)
{
    struct pot_record pot = {.amount = money_of(0)};
    struct proof proof = {0};
    char pot_id[NAME_SIZE + 16];
    bool no_pot = false;
    int status = prove_item(session, state_kind_by_name("participant"), id, out, absent);
    if (status == CLI_DONE && !*absent) {
        snprintf(pot_id, sizeof pot_id, "balance/%.24s", id);
        status = session_record(session, "pot", pot_id, &pot, &no_pot, &proof);
        json_add_i64(out, "balance_ueur", no_pot ? 0 : money_ueur(pot.amount));
    }
    proof_release(&proof);
    return status;
}

/* Proves what stands in a list, item by item; what is gone meanwhile leaves it. */
static int prove_items(struct session *session, const char *plural, struct cJSON **items)
{
    bool accounts = strcmp(plural, "accounts") == 0;
    const struct state_kind_info *info = accounts ? NULL : state_kind_by_name(plural);
    struct cJSON *proven = cJSON_CreateArray();
    const struct cJSON *item;
    int status = CLI_DONE;
    MUST(proven != NULL && (accounts || info != NULL));
    cJSON_ArrayForEach(item, *items)
    {
        const char *id = json_string(item, "id");
        bool absent = false;
        struct cJSON *object = cJSON_CreateObject();
        if (id == NULL) {
            status = cli_fail(session->cli, CLI_NO_NODE, "bad_answer",
                              "the node's list of %s is not one", plural);
        } else {
            status = accounts ? prove_account(session, id, object, &absent)
                              : prove_item(session, info, id, object, &absent);
        }
        if (status != CLI_DONE || absent) {
            cJSON_Delete(object);
        } else {
            cJSON_AddItemToArray(proven, object);
        }
        if (status != CLI_DONE) {
            break;
        }
    }
    cJSON_Delete(*items);
    *items = proven;
    return status;
}

/* Takes out what is not wanted. */
static void keep_some(struct cJSON *items, noun_keep_fn keep, const void *context)
{
    struct cJSON *next;
    for (struct cJSON *item = items->child; item != NULL; item = next) {
        next = item->next;
        if (keep != NULL && !keep(item, context)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(items, item));
        }
    }
}

static void say_list(struct cli *cli, const struct session *session, struct cJSON *items,
                     const char *columns, bool proven)
{
    cJSON_AddItemToObject(cli->result, "items", items);
    cJSON_AddBoolToObject(cli->result, "proof_verified", proven);
    if (session->filtered) {
        cJSON_AddBoolToObject(cli->result, "filtered", true);
        fprintf(cli->err, "only what this wallet may see\n");
    }
    if (!cli->json) {
        cli_say_table(cli, items, columns);
    }
}

int noun_list_some(struct cli *cli, const char *plural, const char *columns, noun_keep_fn keep,
                   const void *context, struct name *self)
{
    struct session session;
    struct cJSON *items = NULL;
    bool prove = false;
    int status = session_open(&session, cli);
    if (status == CLI_DONE && self != NULL) {
        status = session_participant(&session, self, NULL);
    }
    if (status == CLI_DONE) {
        status = session_list(&session, &items, plural);
    }
    if (status == CLI_DONE) {
        keep_some(items, keep, context);
        prove = !cli->no_verify && cJSON_GetArraySize(items) <= NOUN_LIST_PROVEN_MAX;
        if (!prove && !cli->no_verify) {
            fprintf(cli->err, "flex: warning: more than %d records, NOT VERIFIED one by one\n",
                    NOUN_LIST_PROVEN_MAX);
        }
        status = prove ? prove_items(&session, plural, &items) : CLI_DONE;
    }
    if (status == CLI_DONE) {
        /* A record may have changed between the list and its proof. */
        keep_some(items, keep, context);
        say_list(cli, &session, items, columns, prove);
    } else {
        cJSON_Delete(items);
    }
    session_close(&session);
    return status;
}

int noun_list(struct cli *cli, const char *plural, const char *columns)
{
    return noun_list_some(cli, plural, columns, NULL, NULL, NULL);
}

int noun_show(struct cli *cli, const char *kind, const char *id, const char *absent_code)
{
    static _Alignas(16) uint8_t record[16384];
    const struct state_kind_info *info = state_kind_by_name(kind);
    MUST(info != NULL && info->codec != NULL && info->codec->struct_size <= sizeof record);
    struct session session;
    struct proof proof = {0};
    bool absent = false;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_record(&session, kind, id, record, &absent, &proof);
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        status = cli_fail(cli, CLI_REFUSED, absent_code, "there is no %s %s%s", kind, id,
                          cli->no_verify ? "" : ", and that is proven");
    } else {
        cJSON_AddStringToObject(cli->result, "id", id);
        noun_add_record(cli, info->codec, record);
    }
    if (!cli->no_verify) {
        /* An order, a proposal, an auction has a height of its own, and no object has one key twice. */
        const bool taken = cJSON_GetObjectItemCaseSensitive(cli->result, "height") != NULL;
        json_add_u64(cli->result, taken ? "proven_height" : "height", proof.header.height);
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    proof_release(&proof);
    return status;
}

int noun_fetch(struct cli *cli, const char *kind, const char *id, void *record,
               const char *absent_code, const char *absent_reason)
{
    struct session session;
    struct proof proof = {0};
    bool absent = false;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_record(&session, kind, id, record, &absent, &proof);
    }
    session_close(&session);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        status = cli_fail(cli, CLI_REFUSED, absent_code, "%s: %s", id, absent_reason);
    }
    return status;
}

int noun_check_market(struct cli *cli, const struct name *market)
{
    static struct market_record record;
    char text[NAME_SIZE + 1];
    return noun_fetch(cli, "market", name_to_text(text, market), &record, "unknown_market",
                      "there is no such market");
}
