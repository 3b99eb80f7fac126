/* Strict readers of one value each, for problems and results of clearing (tools/clear/clear_read.h).
 * Nothing is guessed: an absent key has its default, anything else that doesn't fit is a fault with
 * its place.
 *
 * Deliberately absent: what the values mean. */
#include "tools/clear/clear_read.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

bool clear_text_fail(struct clear_text_fault *fault, const char *what, const char *where_format,
                     ...)
{
    va_list arguments;
    va_start(arguments, where_format);
    vsnprintf(fault->where, sizeof fault->where, where_format, arguments);
    va_end(arguments);
    snprintf(fault->what, sizeof fault->what, "%s", what);
    return false;
}

/* A name that people can read back: not empty, not too long, no control characters. */
static const char *id_problem(const char *id)
{
    size_t size = strlen(id);
    if (size == 0 || size > CLEAR_ID_BYTES_MAX) {
        return size == 0 ? "must not be empty" : "is longer than 128 bytes";
    }
    for (size_t at = 0; at < size;) {
        uint32_t code;
        size_t length = utf8_decode(&code, (const uint8_t *)id + at, size - at);
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            return "holds a control character";
        }
        at += length;
    }
    return NULL;
}

/* A text under `key` that is a name; NULL with the fault. `where` names the object. */
const char *clear_read_id(const cJSON *object, const char *key, const char *where,
                          struct clear_text_fault *fault)
{
    const char *id = json_string(object, key);
    bool there = cJSON_GetObjectItemCaseSensitive(object, key) != NULL;
    const char *problem = id != NULL ? id_problem(id) : (there ? "must be a string" : "is missing");
    if (problem != NULL) {
        clear_text_fail(fault, problem, "%s.%s", where, key);
        return NULL;
    }
    return id;
}

/* The place of the text under `key` in `names`. Absent: `otherwise`, or a fault if that is -1. */
bool clear_read_choice(int *out, const cJSON *object, const char *key, const char *const *names,
                       int count, int otherwise, const char *where, struct clear_text_fault *fault)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    const char *text = cJSON_GetStringValue(item);
    const char *dot = where[0] != '\0' ? "." : "";
    if (item == NULL && otherwise >= 0) {
        *out = otherwise;
        return true;
    }
    if (text == NULL) {
        return clear_text_fail(fault, item == NULL ? "is missing" : "must be a string", "%s%s%s",
                               where, dot, key);
    }
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    char what[CLEAR_WHAT_SIZE];
    size_t used = (size_t)snprintf(what, sizeof what, "must be one of");
    for (int i = 0; i < count; i++) {
        used += (size_t)snprintf(what + used, sizeof what - used, " %s", names[i]);
    }
    return clear_text_fail(fault, what, "%s%s%s", where, dot, key);
}

bool clear_read_amount(int64_t *out, const cJSON *object, const char *key, bool required,
                       const char *where, struct clear_text_fault *fault)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) == NULL) {
        *out = 0;
        return !required || clear_text_fail(fault, "is missing", "%s.%s", where, key);
    }
    return json_i64(out, object, key) ||
           clear_text_fail(fault, "must be a decimal integer of 64 bits in a string", "%s.%s",
                           where, key);
}

bool clear_read_number(uint32_t *out, const cJSON *object, const char *key, const char *where,
                       struct clear_text_fault *fault)
{
    *out = 0;
    return cJSON_GetObjectItemCaseSensitive(object, key) == NULL || json_u32(out, object, key) ||
           clear_text_fail(fault, "must be a whole number from 0 to 4294967295", "%s.%s", where,
                           key);
}

bool clear_read_flag(bool *out, const cJSON *object, const char *key, const char *where,
                     struct clear_text_fault *fault)
{
    *out = false;
    return cJSON_GetObjectItemCaseSensitive(object, key) == NULL || json_bool(out, object, key) ||
           clear_text_fail(fault, "must be true or false", "%s%s%s", where,
                           where[0] != '\0' ? "." : "", key);
}

bool clear_read_known(const cJSON *object, const char *const *known, const char *where,
                      struct clear_text_fault *fault)
{
    if (!cJSON_IsObject(object)) {
        return clear_text_fail(fault, "must be an object", "%s", where);
    }
    const char *key = json_unknown_key(object, known);
    /* An empty key has no name to point with, so its object stands for it. */
    bool top = strcmp(where, "problem") == 0 && key != NULL && key[0] != '\0';
    return key == NULL || clear_text_fail(fault, "unknown key", "%s%s%.64s", top ? "" : where,
                                          top || key[0] == '\0' ? "" : ".", key);
}

int clear_named_compare(const void *left, const void *right)
{
    const struct clear_named *a = left;
    const struct clear_named *b = right;
    int by_name = strcmp(a->name, b->name);
    return by_name != 0 ? by_name : (a->at > b->at) - (a->at < b->at);
}

static int compare_names_only(const void *left, const void *right)
{
    return strcmp(((const struct clear_named *)left)->name,
                  ((const struct clear_named *)right)->name);
}

const struct clear_named *clear_named_find(const char *name, const struct clear_named *sorted,
                                           size_t count)
{
    struct clear_named key = {name, 0};
    return count == 0 ? NULL : bsearch(&key, sorted, count, sizeof *sorted, compare_names_only);
}

const cJSON *clear_read_next(const cJSON *object, const cJSON **at, const char *key)
{
    const cJSON *item = *at;
    if (item == NULL || item->string == NULL || strcmp(item->string, key) != 0) {
        item = cJSON_GetObjectItemCaseSensitive(object, key);
    }
    *at = item == NULL ? NULL : item->next;
    return item;
}
