/* Data sheets: hashing, reading, writing, leaving out (tools/sheet.h; docs/spec/plans.md 3).
 *
 * Invariants: a sheet that was read hashes as it says, field by field; a field's place among the others is
 * its name's, so one set of fields has one hash; a salt leaves the file only together with its value.
 *
 * Deliberately absent: what the fields mean. Owner and grid operator agree on names. */
#include "tools/sheet.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/csv.h"

enum { OF_FIELD = 0, OF_SHEET = 1 };

static int bad_sheet(struct cli *cli, const char *path, const char *why)
{
    return cli_fail(cli, CLI_USAGE, "bad_sheet", "%s: %s", path, why);
}

/* --- hashes ----------------------------------------------------------------------------------- */

void sheet_field_hash(struct hash *out, const struct sheet_field *field)
{
    uint8_t bytes[1 + SHEET_SALT_SIZE + 1 + SHEET_FIELD_NAME_MAX + 2 + SHEET_VALUE_MAX];
    struct byte_writer writer;
    if (field->hidden) {
        *out = field->hash;
        return;
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u8(&writer, OF_FIELD);
    byte_write_raw(&writer, field->salt, SHEET_SALT_SIZE);
    byte_write_u8(&writer, (uint8_t)strlen(field->name));
    byte_write_raw(&writer, field->name, strlen(field->name));
    byte_write_u16(&writer, (uint16_t)strlen(field->value));
    byte_write_raw(&writer, field->value, strlen(field->value));
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_SHEET, bytes, writer.size);
}

void sheet_hash(struct hash *out, const struct sheet *sheet)
{
    struct hash_state state;
    hash_begin(&state, HASH_DOMAIN_SHEET);
    hash_update(&state, &(uint8_t){OF_SHEET}, 1);
    hash_update(&state, sheet->device.text, NAME_SIZE);
    for (uint32_t i = 0; i < sheet->count; i++) {
        const struct sheet_field *field = &sheet->fields[i];
        struct hash hash;
        uint8_t length = (uint8_t)strlen(field->name);
        sheet_field_hash(&hash, field);
        hash_update(&state, &length, 1);
        hash_update(&state, field->name, length);
        hash_update(&state, hash.bytes, HASH_SIZE);
    }
    hash_end(&state, out);
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool name_is_good(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= SHEET_FIELD_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

/* Adds a field in its place; NULL if the name is none, is there, or there are too many. */
static struct sheet_field *insert(struct sheet *sheet, const char *name)
{
    uint32_t at = 0;
    if (!name_is_good(name) || sheet->count == SHEET_FIELDS_MAX) {
        return NULL;
    }
    while (at < sheet->count && strcmp(sheet->fields[at].name, name) < 0) {
        at++;
    }
    if (at < sheet->count && strcmp(sheet->fields[at].name, name) == 0) {
        return NULL;
    }
    memmove(&sheet->fields[at + 1], &sheet->fields[at],
            (sheet->count - at) * sizeof sheet->fields[0]);
    sheet->count++;
    sheet->fields[at] = (struct sheet_field){0};
    memcpy(sheet->fields[at].name, name, strlen(name) + 1);
    return &sheet->fields[at];
}

int sheet_from_csv(struct cli *cli, struct sheet *out, const struct name *device, const char *path)
{
    struct csv_table table;
    char problem[CSV_PROBLEM_SIZE];
    uint32_t name, personal, value;
    *out = (struct sheet){.device = *device};
    if (!csv_read(&table, path, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_sheet", "%s", problem);
    }
    bool good = csv_column(&name, &table, "name", problem) &&
                csv_column(&personal, &table, "personal", problem) &&
                csv_column(&value, &table, "value", problem);
    for (uint32_t row = 0; good && row < table.rows; row++) {
        const char *is_personal = csv_field(&table, row, personal);
        const char *text = csv_field(&table, row, value);
        struct sheet_field *field = NULL;
        good = strlen(text) <= SHEET_VALUE_MAX &&
               (strcmp(is_personal, "yes") == 0 || strcmp(is_personal, "no") == 0) &&
               (field = insert(out, csv_field(&table, row, name))) != NULL;
        if (!good) {
            snprintf(problem, sizeof problem,
                     "%.100s: line %u: a name of lower-case letters, digits and _, each once; yes "
                     "or no; a value",
                     table.name, row + 2);
            break;
        }
        field->personal = is_personal[0] == 'y';
        memcpy(field->value, text, strlen(text) + 1);
        randombytes_buf(field->salt, sizeof field->salt);
    }
    if (good && out->count == 0) {
        good = false;
        snprintf(problem, sizeof problem, "%.100s: no fields", table.name);
    }
    csv_free(&table);
    return good ? CLI_DONE : cli_fail(cli, CLI_USAGE, "bad_sheet", "%s", problem);
}

int sheet_hide(struct cli *cli, struct sheet *sheet, const char *names)
{
    char missing[SHEET_FIELD_NAME_MAX + 1];
    const char *at = names != NULL ? names : "";
    for (uint32_t i = 0; names == NULL && i < sheet->count; i++) {
        struct sheet_field *field = &sheet->fields[i];
        if (field->personal) {
            sheet_field_hash(&field->hash, field);
            field->hidden = true;
        }
    }
    while (*at != '\0') {
        size_t size = strcspn(at, ",");
        bool found = false;
        for (uint32_t i = 0; i < sheet->count; i++) {
            struct sheet_field *field = &sheet->fields[i];
            if (strlen(field->name) == size && memcmp(field->name, at, size) == 0) {
                sheet_field_hash(&field->hash, field);
                field->hidden = true;
                found = true;
            }
        }
        if (!found) {
            snprintf(missing, sizeof missing, "%.*s", (int)size, at);
            return cli_fail(cli, CLI_USAGE, "bad_sheet", "the sheet has no field '%s'", missing);
        }
        at += size + (at[size] == ',');
    }
    return CLI_DONE;
}

/* --- files ------------------------------------------------------------------------------------ */

static bool take_field(struct sheet *sheet, const struct cJSON *item)
{
    static const char *const open_keys[] = {"name", "personal", "salt", "value", NULL};
    static const char *const hidden_keys[] = {"name", "personal", "hash", NULL};
    const char *name = json_string(item, "name");
    const char *hash = json_string(item, "hash");
    const char *salt = json_string(item, "salt");
    const char *value = json_string(item, "value");
    const struct cJSON *personal = cJSON_GetObjectItemCaseSensitive(item, "personal");
    struct sheet_field *field = name != NULL ? insert(sheet, name) : NULL;
    /* In the order of their names: what was inserted last stands last. */
    if (field == NULL || field != &sheet->fields[sheet->count - 1] || !cJSON_IsBool(personal) ||
        json_unknown_key(item, hash != NULL ? hidden_keys : open_keys) != NULL) {
        return false;
    }
    field->personal = cJSON_IsTrue(personal);
    field->hidden = hash != NULL;
    if (field->hidden) {
        return hex_decode(field->hash.bytes, HASH_SIZE, hash);
    }
    if (salt == NULL || value == NULL || strlen(value) > SHEET_VALUE_MAX ||
        !hex_decode(field->salt, SHEET_SALT_SIZE, salt)) {
        return false;
    }
    memcpy(field->value, value, strlen(value) + 1);
    return true;
}

int sheet_read(struct cli *cli, struct sheet *out, const char *path)
{
    static const char *const keys[] = {"format", "device", "fields", NULL};
    char problem[160];
    *out = (struct sheet){0};
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_sheet", "%s", problem);
    }
    const char *format = json_string(object, "format");
    const char *device = json_string(object, "device");
    const struct cJSON *fields = json_array(object, "fields");
    const struct cJSON *item;
    bool good = format != NULL && strcmp(format, "flexsheet/1") == 0 && device != NULL &&
                name_from_text(&out->device, device, strlen(device)) && fields != NULL &&
                cJSON_GetArraySize(fields) > 0 && json_unknown_key(object, keys) == NULL;
    cJSON_ArrayForEach(item, fields)
    {
        good = good && take_field(out, item);
    }
    cJSON_Delete(object);
    return good ? CLI_DONE : bad_sheet(cli, path, "it is not a data sheet");
}

int sheet_write(struct cli *cli, const struct sheet *sheet, const char *path)
{
    char name[NAME_SIZE + 1];
    char hex[2 * HASH_SIZE + 1];
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", "flexsheet/1");
    cJSON_AddStringToObject(object, "device", name_to_text(name, &sheet->device));
    struct cJSON *fields = cJSON_AddArrayToObject(object, "fields");
    for (uint32_t i = 0; i < sheet->count; i++) {
        const struct sheet_field *field = &sheet->fields[i];
        struct cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", field->name);
        cJSON_AddBoolToObject(item, "personal", field->personal);
        if (field->hidden) {
            hex_encode(hex, field->hash.bytes, HASH_SIZE);
            cJSON_AddStringToObject(item, "hash", hex);
        } else {
            hex_encode(hex, field->salt, SHEET_SALT_SIZE);
            cJSON_AddStringToObject(item, "salt", hex);
            cJSON_AddStringToObject(item, "value", field->value);
        }
        cJSON_AddItemToArray(fields, item);
    }
    char *text = cJSON_PrintUnformatted(object);
    MUST(text != NULL);
    cJSON_Delete(object);
    bool ok = files_create(path, text, strlen(text), 0600);
    int fault = errno;
    cJSON_free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}
