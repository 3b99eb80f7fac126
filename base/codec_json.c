/* The table-driven codec, JSON half (base/codec.h).
 *
 * JSON is for people and HTTP; it is never signed and never hashed, so its form may be read more
 * loosely in one way: members may come in any order. In all else it is as strict as the bytes:
 * every field present, no other key, one spelling of each value.
 *
 * Reading keeps the path of the field it stands at, so that a problem names its place:
 * "actions[3].price_ueur_per_kwh: a decimal string of a 64-bit integer must stand here". */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/codec_internal.h"
#include "base/fatal.h"
#include "base/json.h"

enum { PATH_TEXT_SIZE = 256 };

/* --- Writing --- */

/* A JSON string of `size` bytes that need not end in NUL. */
static struct cJSON *string_item(const void *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    struct cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

static struct cJSON *hex_item(const uint8_t *data, size_t size)
{
    char *text = malloc(2 * size + 1);
    if (text == NULL) {
        return NULL;
    }
    hex_encode(text, data, size);
    struct cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

static struct cJSON *decimal_item(int128 value)
{
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, value);
    return cJSON_CreateString(text);
}

static struct cJSON *enum_item(const struct codec_field *field, uint64_t value)
{
    /* Only a struct that does not encode either can hold another value: our own bug. */
    MUST(value < field->limit && field->names[value] != NULL);
    return cJSON_CreateString(field->names[value]);
}

/* Adds to the array; on failure deletes both and returns NULL. */
static struct cJSON *array_with(struct cJSON *array, struct cJSON *item)
{
    if (item == NULL || !cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        cJSON_Delete(array);
        return NULL;
    }
    return array;
}

static struct cJSON *flags_item(const struct codec_field *field, uint64_t value)
{
    struct cJSON *array = cJSON_CreateArray();
    for (size_t bit = 0; bit < field->limit && array != NULL; bit++) {
        if ((value >> bit & 1) != 0) {
            MUST(field->names[bit] != NULL);
            array = array_with(array, cJSON_CreateString(field->names[bit]));
        }
    }
    return array;
}

static struct cJSON *array_item(const struct codec_field *field, const void *value)
{
    struct cJSON *array = cJSON_CreateArray();
    uint32_t count = *codec_array_count(field, value);
    MUST(count <= field->limit);
    const uint8_t *element = (const uint8_t *)value + field->offset;
    for (uint32_t i = 0; i < count && array != NULL; i++) {
        array = array_with(array,
                           codec_to_json(field->record, element + i * field->record->struct_size));
    }
    return array;
}

static struct cJSON *field_item(const struct codec_field *field, const void *value)
{
    const uint8_t *member = (const uint8_t *)value + field->offset;
    struct bytes_view view;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
        return json_number_create((uint32_t)codec_scalar_get(field->type, member));
    case CODEC_U64:
        return decimal_item((int128)codec_scalar_get(field->type, member));
    case CODEC_I64:
        return decimal_item((int64_t)codec_scalar_get(field->type, member));
    case CODEC_BOOL:
        return cJSON_CreateBool(*member != 0);
    case CODEC_ENUM:
        return enum_item(field, *member);
    case CODEC_FLAGS:
        return flags_item(field, codec_scalar_get(field->type, member));
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
        return string_item(member, strnlen((const char *)member, NAME_SIZE));
    case CODEC_FIXED:
        return hex_item(member, field->limit);
    case CODEC_BYTES:
    case CODEC_TEXT:
        memcpy(&view, member, sizeof view);
        return field->type == CODEC_TEXT ? string_item(view.data, view.size)
                                         : hex_item(view.data, view.size);
    case CODEC_RECORD:
        return codec_to_json(field->record, member);
    case CODEC_ARRAY:
        return array_item(field, value);
    }
    return NULL;
}

struct cJSON *codec_to_json(const struct codec_record *record, const void *value)
{
    struct cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < record->field_count && object != NULL; i++) {
        struct cJSON *item = field_item(&record->fields[i], value);
        if (item == NULL || !cJSON_AddItemToObject(object, record->fields[i].name, item)) {
            cJSON_Delete(item);
            cJSON_Delete(object);
            return NULL;
        }
    }
    return object;
}

/* --- Reading --- */

struct json_input {
    struct byte_writer *scratch;
    char *problem;
    size_t problem_size;
    char path[PATH_TEXT_SIZE];
    size_t path_length;
};

__attribute__((format(printf, 2, 3))) static bool input_fail(struct json_input *input,
                                                             const char *format, ...)
{
    char reason[PATH_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(input->problem, input->problem_size, "%s%s%s", input->path,
             input->path_length > 0 ? ": " : "", reason);
    return false;
}

/* Appends to the path, cutting it where it is full; returns the length to go back to. */
__attribute__((format(printf, 2, 3))) static size_t path_push(struct json_input *input,
                                                              const char *format, ...)
{
    size_t before = input->path_length, room = PATH_TEXT_SIZE - before;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(input->path + before, room, format, arguments);
    va_end(arguments);
    size_t added = wanted < 0 ? 0 : (size_t)wanted;
    input->path_length = before + (added < room ? added : room - 1);
    return before;
}

static void path_pop(struct json_input *input, size_t length)
{
    input->path_length = length;
    input->path[length] = '\0';
}

static bool read_number(struct json_input *input, const struct codec_field *field, void *member,
                        const struct cJSON *item)
{
    uint32_t most = field->type == CODEC_U8    ? UINT8_MAX
                    : field->type == CODEC_U16 ? UINT16_MAX
                                               : UINT32_MAX;
    uint32_t value;
    if (!json_number_value(&value, item) || value > most) {
        return input_fail(input, "a number from 0 to %u must stand here", most);
    }
    codec_scalar_set(field->type, member, value);
    return true;
}

static bool read_decimal(struct json_input *input, const struct codec_field *field, void *member,
                         const struct cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    int64_t i64 = 0;
    uint64_t u64 = 0;
    bool is_signed = field->type == CODEC_I64;
    bool good =
        text != NULL && (is_signed ? int64_from_text(&i64, text) : uint64_from_text(&u64, text));
    if (!good) {
        return input_fail(input, "a decimal string of %s 64-bit integer must stand here",
                          is_signed ? "a" : "an unsigned");
    }
    codec_scalar_set(field->type, member, is_signed ? (uint64_t)i64 : u64);
    return true;
}

/* The index of the item's text among the field's names; field->limit if it is none. */
static size_t name_index(const struct codec_field *field, const struct cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    for (size_t i = 0; i < field->limit && text != NULL; i++) {
        if (field->names[i] != NULL && strcmp(field->names[i], text) == 0) {
            return i;
        }
    }
    return field->limit;
}

static bool read_enum(struct json_input *input, const struct codec_field *field, void *member,
                      const struct cJSON *item)
{
    size_t index = name_index(field, item);
    if (index == field->limit) {
        return input_fail(input, "not one of the names that are known here");
    }
    codec_scalar_set(field->type, member, index);
    return true;
}

static bool read_flags(struct json_input *input, const struct codec_field *field, void *member,
                       const struct cJSON *array)
{
    uint32_t flags = 0;
    const struct cJSON *item;
    if (!cJSON_IsArray(array)) {
        return input_fail(input, "an array of names must stand here");
    }
    cJSON_ArrayForEach(item, array)
    {
        size_t index = name_index(field, item);
        if (index == field->limit || (flags >> index & 1) != 0) {
            return input_fail(input, "a name is not known here or comes twice");
        }
        flags |= (uint32_t)1 << index;
    }
    codec_scalar_set(field->type, member, flags);
    return true;
}

static bool read_name(struct json_input *input, const struct codec_field *field, void *member,
                      const struct cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    bool empty = text != NULL && text[0] == '\0' && field->type == CODEC_NAME_EMPTY;
    if (empty) {
        memset(member, 0, NAME_SIZE);
        return true;
    }
    if (text == NULL || !name_from_text(member, text, strlen(text))) {
        return input_fail(input, "a name of 1 to %d characters a-z 0-9 - _ . must stand here",
                          NAME_SIZE);
    }
    return true;
}

static bool read_fixed(struct json_input *input, const struct codec_field *field, void *member,
                       const struct cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    if (text == NULL || !hex_decode(member, field->limit, text)) {
        return input_fail(input, "%zu lower-case hex digits must stand here", 2 * field->limit);
    }
    return true;
}

/* BYTES and TEXT: the bytes go into the scratch buffer, the member becomes a view of them. */
static bool read_view(struct json_input *input, const struct codec_field *field, void *member,
                      const struct cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    if (text == NULL) {
        return input_fail(input, "a string must stand here");
    }
    struct byte_writer *scratch = input->scratch;
    size_t length = strlen(text), start = scratch->size;
    bool is_text = field->type == CODEC_TEXT;
    size_t size = is_text ? length : length / 2;
    if (size > field->limit) {
        return input_fail(input, "longer than %zu bytes", field->limit);
    }
    if (scratch->failed || size > scratch->capacity - scratch->size) {
        scratch->failed = true;
        return input_fail(input, "no room for it");
    }
    struct bytes_view view = {0};
    if (size > 0) {
        view = bytes_view_of(scratch->data + start, size);
    }
    if (is_text) {
        byte_write_raw(scratch, text, size);
        if (!codec_text_is_legal(view)) {
            return input_fail(input, "control characters or bad UTF-8");
        }
    } else if (length % 2 != 0 || !hex_decode(scratch->data + start, size, text)) {
        return input_fail(input, "lower-case hex digits must stand here");
    } else {
        scratch->size += size;
    }
    memcpy(member, &view, sizeof view);
    return true;
}

static bool read_record(struct json_input *input, const struct codec_record *record, void *value,
                        const struct cJSON *object);

static bool read_array(struct json_input *input, const struct codec_field *field, void *value,
                       const struct cJSON *array)
{
    uint32_t count = 0;
    const struct cJSON *item;
    if (!cJSON_IsArray(array)) {
        return input_fail(input, "an array must stand here");
    }
    uint8_t *element = (uint8_t *)value + field->offset;
    cJSON_ArrayForEach(item, array)
    {
        if (count == field->limit) {
            return input_fail(input, "more than %zu elements", field->limit);
        }
        size_t before = path_push(input, "[%u]", count);
        if (!read_record(input, field->record, element + count * field->record->struct_size,
                         item)) {
            return false;
        }
        path_pop(input, before);
        count++;
    }
    *codec_array_count(field, value) = count;
    return true;
}

static bool read_field(struct json_input *input, const struct codec_field *field, void *value,
                       const struct cJSON *item)
{
    uint8_t *member = (uint8_t *)value + field->offset;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
        return read_number(input, field, member, item);
    case CODEC_U64:
    case CODEC_I64:
        return read_decimal(input, field, member, item);
    case CODEC_BOOL:
        *member = cJSON_IsTrue(item) ? 1 : 0;
        return cJSON_IsBool(item) || input_fail(input, "true or false must stand here");
    case CODEC_ENUM:
        return read_enum(input, field, member, item);
    case CODEC_FLAGS:
        return read_flags(input, field, member, item);
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
        return read_name(input, field, member, item);
    case CODEC_FIXED:
        return read_fixed(input, field, member, item);
    case CODEC_BYTES:
    case CODEC_TEXT:
        return read_view(input, field, member, item);
    case CODEC_RECORD:
        return read_record(input, field->record, member, item);
    case CODEC_ARRAY:
        return read_array(input, field, value, item);
    }
    return false;
}

/* The first key that no field has, NULL if there is none. Equal keys are the strict reader's. */
static const char *record_unknown_key(const struct codec_record *record, const struct cJSON *object)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        size_t i = 0;
        while (i < record->field_count && strcmp(record->fields[i].name, item->string) != 0) {
            i++;
        }
        if (i == record->field_count) {
            return item->string;
        }
    }
    return NULL;
}

static bool read_record(struct json_input *input, const struct codec_record *record, void *value,
                        const struct cJSON *object)
{
    if (!cJSON_IsObject(object)) {
        return input_fail(input, "an object must stand here");
    }
    for (size_t i = 0; i < record->field_count; i++) {
        const struct codec_field *field = &record->fields[i];
        const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field->name);
        size_t before = path_push(input, "%s%s", input->path_length > 0 ? "." : "", field->name);
        if (item == NULL) {
            return input_fail(input, "is missing");
        }
        if (!read_field(input, field, value, item)) {
            return false;
        }
        path_pop(input, before);
    }
    const char *unknown = record_unknown_key(record, object);
    return unknown == NULL || input_fail(input, "unknown key \"%.64s\"", unknown);
}

bool codec_from_json(const struct codec_record *record, void *value, const struct cJSON *object,
                     struct byte_writer *scratch, char *problem, size_t problem_size)
{
    struct json_input input = {
        .scratch = scratch, .problem = problem, .problem_size = problem_size};
    memset(value, 0, record->struct_size);
    return read_record(&input, record, value, object);
}
