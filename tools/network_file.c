/* See network_file.h. Flexclear's rows are turned into the ledger's form as JSON, so that one reader, the
 * action's own codec, judges every field.
 *
 * Invariant: coefficients leave in the order of names, each node once, as the ledger wants them.
 *
 * Deliberately absent: right sides of single intervals (`limits`). A network's rows hold at all times. */
#include "tools/network_file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/files.h"
#include "base/json.h"

enum { FILE_PROBLEM_SIZE = 160, ID_SIZE = 16 };

/* All that reading one file needs at hand. */
struct reading {
    struct network_file *out;
    const struct name *network;
    char *problem;
};

static bool fail(const struct reading *reading, const char *list, uint32_t at, const char *what)
{
    (void)snprintf(reading->problem, NETWORK_FILE_PROBLEM_SIZE, "%s[%u]: %s", list, (unsigned)at,
                   what);
    return false;
}

static void add_default(cJSON *item, const char *key, const char *text)
{
    if (cJSON_GetObjectItemCaseSensitive(item, key) == NULL) {
        cJSON_AddStringToObject(item, key, text);
    }
}

/* Flexclear's {node: value} as [{node, value}]. */
static void turn_coefficients(cJSON *item)
{
    cJSON *table = cJSON_DetachItemFromObjectCaseSensitive(item, "coef");
    cJSON *list = cJSON_AddArrayToObject(item, "coefs");
    while (table->child != NULL) {
        cJSON *value = cJSON_DetachItemViaPointer(table, table->child);
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "node", value->string);
        cJSON_AddItemToObject(one, "value", value);
        cJSON_AddItemToArray(list, one);
    }
    cJSON_Delete(table);
}

static int compare_coefficients(const void *left, const void *right)
{
    const struct row_coef *a = left;
    const struct row_coef *b = right;
    return name_compare(&a->node, &b->node);
}

static bool check_row(const struct reading *reading, struct network_row *row, uint32_t at)
{
    qsort(row->coefs, row->coef_count, sizeof row->coefs[0], compare_coefficients);
    for (uint32_t i = 1; i < row->coef_count; i++) {
        if (name_compare(&row->coefs[i - 1].node, &row->coefs[i].node) == 0) {
            return fail(reading, "rows", at, "names a node twice");
        }
    }
    bool kept = true;
    switch ((enum row_op)row->op) {
    case ROW_AT_MOST:
        kept = row->rhs >= 0;
        break;
    case ROW_AT_LEAST:
        kept = row->rhs <= 0;
        break;
    case ROW_EQUAL:
        kept = row->rhs == 0;
        break;
    }
    return kept || row->coef_count == 0 ||
           fail(reading, "rows", at,
                "rhs: taking nothing breaks it already, and the ledger takes no such limit; of a "
                "derived row: the expected load alone is too much for the feeder");
}

static bool read_row(const struct reading *reading, cJSON *item, uint32_t at)
{
    char problem[FILE_PROBLEM_SIZE], name[NAME_SIZE + 1], id[ID_SIZE];
    struct network_row *row = &reading->out->rows[at];
    struct byte_writer scratch;
    if (!cJSON_IsObject(item)) {
        return fail(reading, "rows", at, "must be an object");
    }
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(item, "coef"))) {
        (void)snprintf(id, sizeof id, "row-%u", (unsigned)at + 1);
        turn_coefficients(item);
        add_default(item, "id", id);
        add_default(item, "carrier", "el");
    }
    cJSON_DeleteItemFromObjectCaseSensitive(item, "network");
    cJSON_AddStringToObject(item, "network", name_to_text(name, reading->network));
    byte_writer_init(&scratch, NULL, 0);
    if (!codec_from_json(&network_row_codec, row, item, &scratch, problem, sizeof problem)) {
        return fail(reading, "rows", at, problem);
    }
    return check_row(reading, row, at);
}

static bool read_rows(const struct reading *reading, cJSON *file, bool needed)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(file, "rows");
    if (list == NULL && !needed) {
        return true;
    }
    if (!cJSON_IsArray(list) || (needed && list->child == NULL)) {
        (void)snprintf(reading->problem, NETWORK_FILE_PROBLEM_SIZE,
                       "wanted {\"rows\":[...]} with a row at least");
        return false;
    }
    for (cJSON *item = list->child; item != NULL; item = item->next) {
        uint32_t at = reading->out->row_count;
        if (at == LIMIT_ACTIONS_PER_TX) {
            return fail(reading, "rows", at, "one transaction holds 128 at most");
        }
        if (!read_row(reading, item, at)) {
            return false;
        }
        reading->out->row_count++;
    }
    return true;
}

/* Makes the node known, below its parent if it was not; the name is checked either way. */
static bool know_node(const struct reading *reading, struct name *out, const char *text,
                      const struct name *parent)
{
    struct network_file *file = reading->out;
    if (text == NULL || !name_from_text(out, text, strlen(text))) {
        (void)snprintf(reading->problem, NETWORK_FILE_PROBLEM_SIZE,
                       "'%.40s' is no name of the ledger's: 1 to 24 of a-z 0-9 - _ .",
                       text == NULL ? "" : text);
        return false;
    }
    for (uint32_t i = 0; i < file->node_count; i++) {
        if (name_compare(&file->nodes[i].id, out) == 0) {
            return true;
        }
    }
    if (file->node_count == LIMIT_ACTIONS_PER_TX) {
        return fail(reading, "nodes", file->node_count, "one transaction holds 128 at most");
    }
    struct network_add_node *node = &file->nodes[file->node_count++];
    *node = (struct network_add_node){.network = *reading->network, .id = *out};
    if (parent != NULL) {
        node->parent = *parent;
    }
    return true;
}

static bool read_line(const struct reading *reading, const cJSON *item, uint32_t at)
{
    struct network_line *line = &reading->out->lines[at];
    char id[ID_SIZE];
    int64_t capacity;
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(item, "carrier");
    const char *carrier = named == NULL ? "el" : json_string(item, "carrier");
    (void)snprintf(id, sizeof id, "line-%u", (unsigned)at + 1);
    *line = (struct network_line){.network = *reading->network};
    if (!know_node(reading, &line->from, json_string(item, "from"), NULL) ||
        !know_node(reading, &line->to, json_string(item, "to"), &line->from)) {
        return false;
    }
    if (!json_i64(&capacity, item, "capacity") || capacity < 0) {
        return fail(reading, "lines", at, "capacity: must be W of 0 and more in a string");
    }
    line->capacity = power_of(capacity);
    return (carrier != NULL && name_from_text(&line->carrier, carrier, strlen(carrier)) &&
            name_from_text(&line->id, id, strlen(id))) ||
           fail(reading, "lines", at, "carrier: must be a name");
}

static bool read_lines(const struct reading *reading, const cJSON *file)
{
    struct name slack;
    const cJSON *list = json_array(file, "lines");
    if (list == NULL) {
        (void)snprintf(reading->problem, NETWORK_FILE_PROBLEM_SIZE,
                       "wanted {\"slack\",\"lines\",\"rows\"}, as flex grid rows --out writes it");
        return false;
    }
    if (!know_node(reading, &slack, json_string(file, "slack"), NULL)) {
        return false;
    }
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        uint32_t at = reading->out->line_count;
        if (at == LIMIT_ACTIONS_PER_TX) {
            return fail(reading, "lines", at, "one transaction holds 128 at most");
        }
        if (!read_line(reading, item, at)) {
            return false;
        }
        reading->out->line_count++;
    }
    return true;
}

static bool read_file(struct network_file *out, const struct name *network, const char *path,
                      char problem[NETWORK_FILE_PROBLEM_SIZE], bool all)
{
    char unreadable[FILE_PROBLEM_SIZE];
    const struct reading reading = {out, network, problem};
    out->node_count = 0;
    out->line_count = 0;
    out->row_count = 0;
    cJSON *file = files_read_json(path, unreadable);
    if (file == NULL) {
        (void)snprintf(problem, NETWORK_FILE_PROBLEM_SIZE, "%s", unreadable);
        return false;
    }
    char what[NETWORK_FILE_PROBLEM_SIZE];
    bool good = (!all || read_lines(&reading, file)) && read_rows(&reading, file, !all);
    if (!good) {
        (void)snprintf(what, sizeof what, "%s", problem);
        (void)snprintf(problem, NETWORK_FILE_PROBLEM_SIZE, "%.80s: %.230s", path, what);
    }
    cJSON_Delete(file);
    return good;
}

bool network_file_rows(struct network_file *out, const struct name *network, const char *path,
                       char problem[NETWORK_FILE_PROBLEM_SIZE])
{
    return read_file(out, network, path, problem, false);
}

bool network_file_all(struct network_file *out, const struct name *network, const char *path,
                      char problem[NETWORK_FILE_PROBLEM_SIZE])
{
    return read_file(out, network, path, problem, true);
}
