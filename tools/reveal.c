/* Reading and writing the meter data files (tools/reveal.h).
 *
 * Invariants: a batch file is believed only if its entries are in order and hash to its root, so a
 * damaged one is found before somebody is given a path that leads nowhere; salts appear in batch and
 * reveal files only, and those are made with mode 0600. */
#include "tools/reveal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "crypto/merkle.h"

enum { REVEAL_READINGS_MAX = LIMIT_INTERVALS_PER_PERIOD * 32, READINGS_MAX = 4 * 1024 * 1024 };
enum { PROBLEM_SIZE = 160 };

const struct codec_record *reveal_reading_codec(void)
{
    for (size_t i = 0; i < delivery_witness_record.field_count; i++) {
        if (strcmp(delivery_witness_record.fields[i].name, "readings") == 0) {
            return delivery_witness_record.fields[i].record;
        }
    }
    MUST(!"the witness has readings");
    return NULL;
}

static int bad_file(struct cli *cli, const char *path, const char *why)
{
    return cli_fail(cli, CLI_USAGE, "bad_file", "%s: %s", path, why);
}

static int written(struct cli *cli, const char *path, struct cJSON *object, unsigned mode)
{
    bool ok = files_write_json(path, object, mode);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

static struct cJSON *new_file(const char *format)
{
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", format);
    return object;
}

/* The file as JSON if it has that format; NULL with a message said. */
static struct cJSON *open_file(struct cli *cli, const char *path, const char *format)
{
    char problem[PROBLEM_SIZE];
    struct cJSON *object = files_read_json(path, problem);
    if (object == NULL) {
        cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
        return NULL;
    }
    const char *found = json_string(object, "format");
    if (found == NULL || strcmp(found, format) != 0 || json_array(object, "readings") == NULL) {
        bad_file(cli, path, format);
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static bool record_from_json(const struct codec_record *codec, void *record,
                             const struct cJSON *item, char problem[PROBLEM_SIZE])
{
    /* None of these records holds a view, so nothing is ever put there. */
    uint8_t nothing[1];
    struct byte_writer scratch;
    byte_writer_init(&scratch, nothing, sizeof nothing);
    return codec_from_json(codec, record, item, &scratch, problem, PROBLEM_SIZE);
}

/* --- readings ----------------------------------------------------------------------------- */

int reveal_read_readings(struct cli *cli, struct meter_reading **readings, uint32_t *count,
                         const char *path)
{
    struct cJSON *object = open_file(cli, path, "flexreadings/1");
    if (object == NULL) {
        return CLI_USAGE;
    }
    int status = CLI_DONE;
    const struct cJSON *list = json_array(object, "readings");
    uint32_t more = (uint32_t)cJSON_GetArraySize(list);
    struct meter_reading *grown = NULL;
    if (more > READINGS_MAX - *count) {
        status = bad_file(cli, path, "too many readings at once");
    } else {
        grown = realloc(*readings, ((size_t)*count + more + 1) * sizeof *grown);
        MUST(grown != NULL);
        *readings = grown;
    }
    const struct cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char problem[PROBLEM_SIZE];
        if (status != CLI_DONE) {
            break;
        }
        if (record_from_json(&meter_reading_record, &grown[*count], item, problem)) {
            (*count)++;
        } else {
            status = bad_file(cli, path, problem);
        }
    }
    cJSON_Delete(object);
    return status;
}

int reveal_append_readings(struct cli *cli, const char *path, const struct meter_reading *readings,
                           uint32_t count)
{
    struct cJSON *object;
    if (files_exists(path)) {
        object = open_file(cli, path, "flexreadings/1");
        if (object == NULL) {
            return CLI_USAGE;
        }
    } else {
        object = new_file("flexreadings/1");
        cJSON_AddArrayToObject(object, "readings");
    }
    struct cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "readings");
    for (uint32_t i = 0; i < count; i++) {
        struct cJSON *item = codec_to_json(&meter_reading_record, &readings[i]);
        MUST(item != NULL);
        cJSON_AddItemToArray(list, item);
    }
    return written(cli, path, object, 0600);
}

/* --- batches ------------------------------------------------------------------------------ */

static struct hash *batch_leaves(const struct meter_batch_file *batch)
{
    struct hash *leaves = calloc(batch->count, sizeof *leaves);
    for (uint32_t i = 0; leaves != NULL && i < batch->count; i++) {
        meter_reading_leaf(&leaves[i], batch->entries[i].salt, &batch->entries[i].reading);
    }
    return leaves;
}

bool reveal_batch_root(struct hash *out, const struct meter_batch_file *batch)
{
    struct hash *leaves = batch_leaves(batch);
    if (leaves == NULL) {
        return false;
    }
    merkle_root(out, leaves, batch->count);
    free(leaves);
    return true;
}

bool reveal_entry(struct revealed_reading *out, const struct meter_batch_file *batch,
                  uint32_t index)
{
    MUST(index < batch->count);
    struct hash *leaves = batch_leaves(batch);
    if (leaves == NULL) {
        return false;
    }
    struct merkle_proof proof;
    merkle_prove(&proof, leaves, batch->count, index);
    free(leaves);
    memset(out, 0, sizeof *out);
    out->reading = batch->entries[index].reading;
    memcpy(out->salt, batch->entries[index].salt, READING_SALT_SIZE);
    out->meter_operator = batch->meter_operator;
    out->batch = batch->id;
    out->index = index;
    out->path_count = proof.count;
    if (proof.count > LIMIT_MERKLE_PATH) {
        return false;
    }
    memcpy(out->path, proof.siblings, proof.count * sizeof proof.siblings[0]);
    return true;
}

int reveal_write_batch(struct cli *cli, const char *path, const struct meter_batch_file *batch)
{
    char name[NAME_SIZE + 1];
    char hex[2 * HASH_SIZE + 1];
    struct cJSON *object = new_file("flexbatch/1");
    cJSON_AddStringToObject(object, "meter_operator", name_to_text(name, &batch->meter_operator));
    cJSON_AddStringToObject(object, "batch", name_to_text(name, &batch->id));
    json_add_i64(object, "interval_start_ms", timestamp_ms(batch->interval_start));
    json_add_i64(object, "interval_ms", duration_ms(batch->interval));
    cJSON_AddNumberToObject(object, "revision", batch->revision);
    hex_encode(hex, batch->root.bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, "root", hex);
    struct cJSON *list = cJSON_AddArrayToObject(object, "readings");
    for (uint32_t i = 0; i < batch->count; i++) {
        struct cJSON *item = cJSON_CreateObject();
        hex_encode(hex, batch->entries[i].salt, READING_SALT_SIZE);
        cJSON_AddStringToObject(item, "salt", hex);
        struct cJSON *reading = codec_to_json(&meter_reading_record, &batch->entries[i].reading);
        MUST(reading != NULL);
        cJSON_AddItemToObject(item, "reading", reading);
        cJSON_AddItemToArray(list, item);
    }
    return written(cli, path, object, 0600);
}

static bool read_name(struct name *out, const struct cJSON *object, const char *key)
{
    const char *text = json_string(object, key);
    return text != NULL && name_from_text(out, text, strlen(text));
}

static bool parse_batch_head(struct meter_batch_file *out, const struct cJSON *object)
{
    int64_t start, interval;
    const char *root = json_string(object, "root");
    if (!read_name(&out->meter_operator, object, "meter_operator") ||
        !read_name(&out->id, object, "batch") || !json_i64(&start, object, "interval_start_ms") ||
        !json_i64(&interval, object, "interval_ms") ||
        !json_u32(&out->revision, object, "revision") || root == NULL ||
        !hex_decode(out->root.bytes, HASH_SIZE, root)) {
        return false;
    }
    out->interval_start = timestamp_of(start);
    out->interval = duration_of(interval);
    return true;
}

static bool parse_entries(struct meter_batch_file *out, const struct cJSON *list)
{
    int count = cJSON_GetArraySize(list);
    if (count < 1 || count > REVEAL_BATCH_READINGS_MAX) {
        return false;
    }
    out->entries = calloc((size_t)count, sizeof *out->entries);
    MUST(out->entries != NULL);
    const struct cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char problem[PROBLEM_SIZE];
        struct meter_batch_entry *entry = &out->entries[out->count];
        const char *salt = json_string(item, "salt");
        const struct cJSON *reading = json_object(item, "reading");
        if (salt == NULL || reading == NULL || !hex_decode(entry->salt, READING_SALT_SIZE, salt) ||
            !record_from_json(&meter_reading_record, &entry->reading, reading, problem)) {
            return false;
        }
        if (out->count > 0 &&
            name_compare(&entry[-1].reading.device, &entry->reading.device) >= 0) {
            return false;
        }
        out->count++;
    }
    return true;
}

int reveal_read_batch(struct cli *cli, struct meter_batch_file *out, const char *path)
{
    memset(out, 0, sizeof *out);
    struct cJSON *object = open_file(cli, path, "flexbatch/1");
    if (object == NULL) {
        return CLI_USAGE;
    }
    struct hash root;
    bool ok = parse_batch_head(out, object) && parse_entries(out, json_array(object, "readings")) &&
              reveal_batch_root(&root, out) && hash_equal(&root, &out->root);
    cJSON_Delete(object);
    if (!ok) {
        reveal_batch_release(out);
        return bad_file(cli, path, "the batch is damaged: its root is not that of its readings");
    }
    return CLI_DONE;
}

void reveal_batch_release(struct meter_batch_file *batch)
{
    free(batch->entries);
    batch->entries = NULL;
    batch->count = 0;
}

/* --- what a party gets -------------------------------------------------------------------- */

int reveal_write(struct cli *cli, const char *path, const struct name *device,
                 const struct revealed_reading *readings, uint32_t count)
{
    char name[NAME_SIZE + 1];
    struct cJSON *object = new_file("flexreveal/1");
    cJSON_AddStringToObject(object, "device", name_to_text(name, device));
    struct cJSON *list = cJSON_AddArrayToObject(object, "readings");
    for (uint32_t i = 0; i < count; i++) {
        struct cJSON *item = codec_to_json(reveal_reading_codec(), &readings[i]);
        MUST(item != NULL);
        cJSON_AddItemToArray(list, item);
    }
    return written(cli, path, object, 0600);
}

bool reveal_is_reveal(const char *path)
{
    char problem[PROBLEM_SIZE];
    struct cJSON *object = files_read_json(path, problem);
    const char *format = object != NULL ? json_string(object, "format") : NULL;
    bool is = format != NULL && strcmp(format, "flexreveal/1") == 0;
    cJSON_Delete(object);
    return is;
}

int reveal_read(struct cli *cli, struct revealed_reading **out, uint32_t *count, const char *path)
{
    *out = NULL;
    *count = 0;
    struct cJSON *object = open_file(cli, path, "flexreveal/1");
    if (object == NULL) {
        return CLI_USAGE;
    }
    int status = CLI_DONE;
    const struct cJSON *list = json_array(object, "readings");
    int size = cJSON_GetArraySize(list);
    if (size > REVEAL_READINGS_MAX) {
        cJSON_Delete(object);
        return bad_file(cli, path, "too many readings");
    }
    struct revealed_reading *readings = calloc((size_t)size + 1, sizeof *readings);
    MUST(readings != NULL);
    const struct cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char problem[PROBLEM_SIZE];
        if (!record_from_json(reveal_reading_codec(), &readings[*count], item, problem)) {
            status = bad_file(cli, path, problem);
            break;
        }
        (*count)++;
    }
    cJSON_Delete(object);
    if (status != CLI_DONE) {
        free(readings);
        readings = NULL;
        *count = 0;
    }
    *out = readings;
    return status;
}
