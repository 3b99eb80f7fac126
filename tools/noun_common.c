/* Listing and showing records of the state, for every noun alike (tools/nouns.h).
 *
 * Invariants: what `show` prints has been proven from the genesis file unless --no-verify says
 * otherwise, and `proof_verified` says which; a list is the node's word, since no proof covers its
 * completeness, and is not marked as verified. */
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

int noun_list(struct cli *cli, const char *plural, const char *columns)
{
    struct session session;
    struct cJSON *items = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_list(&session, &items, plural);
    }
    if (status == CLI_DONE) {
        cJSON_AddItemToObject(cli->result, "items", items);
        cJSON_AddBoolToObject(cli->result, "proof_verified", false);
        if (!cli->json) {
            cli_say_table(cli, items, columns);
        }
    }
    session_close(&session);
    return status;
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
        json_add_u64(cli->result, "height", proof.header.height);
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    proof_release(&proof);
    return status;
}
