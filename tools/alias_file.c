/* The files of openings, and drawing aliases and their keys (tools/alias.h).
 *
 * Invariants: names and nonces come from the operating system's randomness and from nothing else, so an
 * alias's name says nothing of its device, and the sorted order of aliases none of the devices' order;
 * what is read back is as strict as the wire. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/alias.h"

enum { PROBLEM_SIZE = 160, NAME_RANDOM_BYTES = 10 };

void alias_list_release(struct alias_list *list)
{
    free(list->items);
    *list = (struct alias_list){0};
}

void alias_add(struct alias_list *list, const struct alias_opening *opening)
{
    MUST(list->count < ALIAS_LIST_MAX);
    struct alias_opening *grown = realloc(list->items, ((size_t)list->count + 1) * sizeof *grown);
    MUST(grown != NULL);
    list->items = grown;
    list->items[list->count++] = *opening;
}

const struct alias_opening *alias_find(const struct alias_list *list, const struct name *alias)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (name_compare(&list->items[i].issue.id, alias) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

static int bad_file(struct cli *cli, const char *path, const char *why)
{
    return cli_fail(cli, CLI_USAGE, "bad_file", "%s: %s", path, why);
}

static int add_openings(struct cli *cli, struct alias_list *list, const struct cJSON *openings,
                        const char *path)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, openings)
    {
        char problem[PROBLEM_SIZE];
        uint8_t nothing[1];
        struct byte_writer scratch;
        struct alias_opening opening;
        byte_writer_init(&scratch, nothing, sizeof nothing);
        if (list->count == ALIAS_LIST_MAX) {
            return bad_file(cli, path, "too many aliases at once");
        }
        if (!codec_from_json(&alias_opening_record, &opening, item, &scratch, problem,
                             sizeof problem)) {
            return bad_file(cli, path, problem);
        }
        if (alias_find(list, &opening.issue.id) != NULL) {
            return bad_file(cli, path, "an alias is there twice");
        }
        alias_add(list, &opening);
    }
    return CLI_DONE;
}

int alias_read(struct cli *cli, struct alias_list *list, const char *path)
{
    char problem[PROBLEM_SIZE];
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    const char *format = json_string(object, "format");
    const struct cJSON *openings = json_array(object, "openings");
    int status = format == NULL || strcmp(format, "flexalias/1") != 0 || openings == NULL
                     ? bad_file(cli, path, "not a flexalias/1 file")
                     : add_openings(cli, list, openings, path);
    cJSON_Delete(object);
    return status;
}

int alias_write(struct cli *cli, const char *path, const struct alias_list *list)
{
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", "flexalias/1");
    struct cJSON *openings = cJSON_AddArrayToObject(object, "openings");
    for (uint32_t i = 0; i < list->count; i++) {
        struct cJSON *item = codec_to_json(&alias_opening_record, &list->items[i]);
        MUST(item != NULL);
        cJSON_AddItemToArray(openings, item);
    }
    bool ok = files_write_json(path, object, 0600);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

void alias_draw(struct alias_opening *out, const struct alias_issue *issue,
                const struct name *device)
{
    uint8_t random[NAME_RANDOM_BYTES];
    char hex[2 * NAME_RANDOM_BYTES + 1];
    char text[sizeof hex + 2];
    *out = (struct alias_opening){.issue = *issue, .device = *device};
    random_bytes(random, sizeof random);
    random_bytes(out->nonce, sizeof out->nonce);
    hex_encode(hex, random, sizeof random);
    snprintf(text, sizeof text, "a-%s", hex);
    MUST(name_from_text(&out->issue.id, text, strlen(text)));
    alias_commitment(&out->issue.commitment, out->nonce, device, &out->issue.id);
}

void alias_meter_secret(struct secret_key *out, const uint8_t master[ALIAS_MASTER_SIZE],
                        const struct name *alias, enum meter_kind meter)
{
    static const char purpose[] = "flex alias meter key";
    uint8_t bytes[sizeof purpose + NAME_SIZE + 2];
    struct public_key key;
    struct byte_writer writer;
    /* A secret is no valid one with a probability of 2^-127: the loop ends at its first round. */
    for (uint8_t round = 0; round < UINT8_MAX; round++) {
        byte_writer_init(&writer, bytes, sizeof bytes);
        byte_write_raw(&writer, purpose, sizeof purpose);
        byte_write_raw(&writer, alias->text, NAME_SIZE);
        byte_write_u8(&writer, (uint8_t)meter);
        byte_write_u8(&writer, round);
        MUST(!writer.failed);
        MUST(crypto_generichash(out->bytes, sizeof out->bytes, bytes, writer.size, master,
                                ALIAS_MASTER_SIZE) == 0);
        if (schnorr_public_key(&key, out)) {
            return;
        }
    }
    MUST(!"a secret of 32 bytes is a key");
}
