/* The strict JSON reader (base/json.h): a validating scanner of our own, then cJSON.
 *
 * cJSON builds the tree; it never sees a text that the scanner has not accepted whole, so its
 * leniencies (docs/adr/0006) are out of reach. The scanner is one recursive descent, bounded by
 * JSON_DEPTH_MAX, over bytes [0, size).
 *
 * Keys are noted while scanning and compared after it, sorted by (object, decoded text), so that an
 * object of many keys costs n log n and an escape can't hide an equal key.
 *
 * Absent on purpose: floating point. A number is a canonical integer; its digits are read back from
 * cJSON as text, never as the double in which cJSON keeps it. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "base/utf8.h"

/* Every integer of fifteen digits: below 2^53, so that all readers of the world agree on it, and as many as
 * cJSON prints digit by digit; a larger one it may round to a power of ten. */
static const uint64_t json_integer_max = 999999999999999;

enum { NUMBER_TEXT_SIZE = 32 };

/* Where a key stands between its quotes, and in the how-manieth object. */
struct json_key {
    size_t object;
    size_t at;
};

struct json_scanner {
    const uint8_t *text;
    size_t size;
    size_t at;
    size_t objects;
    struct json_key *keys;
    size_t key_count;
    size_t key_capacity;
    const char *fault; /* NULL while all is well; the first one stays */
    size_t fault_at;
};

static bool scan_fail(struct json_scanner *scanner, size_t at, const char *fault)
{
    if (scanner->fault == NULL) {
        scanner->fault = fault;
        scanner->fault_at = at;
    }
    return false;
}

/* The next byte, or 0 at the end: no legal text holds a 0, so nobody takes one for the other. */
static uint8_t scan_peek(const struct json_scanner *scanner)
{
    return scanner->at < scanner->size ? scanner->text[scanner->at] : 0;
}

static bool scan_byte(struct json_scanner *scanner, uint8_t expected, const char *fault)
{
    if (scan_peek(scanner) != expected) {
        return scan_fail(scanner, scanner->at, fault);
    }
    scanner->at++;
    return true;
}

static void scan_blanks(struct json_scanner *scanner)
{
    for (;;) {
        uint8_t next = scan_peek(scanner);
        if (next != ' ' && next != '\t' && next != '\n' && next != '\r') {
            return;
        }
        scanner->at++;
    }
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool scan_hex4(struct json_scanner *scanner, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t digit = scan_peek(scanner);
        uint8_t lower = (uint8_t)(digit | 0x20);
        if (is_digit(digit)) {
            *unit = *unit << 4 | (uint32_t)(digit - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *unit = *unit << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            return scan_fail(scanner, scanner->at, "\\u needs four hex digits");
        }
        scanner->at++;
    }
    return true;
}

/* After "\u". Pairs of surrogates count as one code point, alone they are an error. */
static bool scan_unicode_escape(struct json_scanner *scanner, uint32_t *code)
{
    size_t start = scanner->at;
    uint32_t low;
    if (!scan_hex4(scanner, code)) {
        return false;
    }
    if (*code == 0) {
        return scan_fail(scanner, start, "the escape of NUL is not allowed");
    }
    if (*code < UTF8_HIGH_SURROGATE || *code >= UTF8_SURROGATE_END) {
        return true;
    }
    if (*code >= UTF8_LOW_SURROGATE || scan_peek(scanner) != '\\') {
        return scan_fail(scanner, start, "half of a surrogate pair");
    }
    scanner->at++;
    if (!scan_byte(scanner, 'u', "half of a surrogate pair") || !scan_hex4(scanner, &low)) {
        return false;
    }
    if (low < UTF8_LOW_SURROGATE || low >= UTF8_SURROGATE_END) {
        return scan_fail(scanner, start, "half of a surrogate pair");
    }
    *code = 0x10000 + ((*code - UTF8_HIGH_SURROGATE) << 10) + (low - UTF8_LOW_SURROGATE);
    return true;
}

static bool scan_escape(struct json_scanner *scanner, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    scanner->at++;
    uint8_t next = scan_peek(scanner);
    const char *found = next == 0 ? NULL : strchr(names, next);
    if (next != 'u' && found == NULL) {
        return scan_fail(scanner, scanner->at, "unknown escape");
    }
    scanner->at++;
    if (found == NULL) {
        return scan_unicode_escape(scanner, code);
    }
    *code = (uint8_t)values[found - names];
    return true;
}

/* One character of a string, decoded. */
static bool scan_character(struct json_scanner *scanner, uint32_t *code)
{
    uint8_t next = scan_peek(scanner);
    if (scanner->at >= scanner->size) {
        return scan_fail(scanner, scanner->at, "the string does not end");
    }
    if (next < 0x20) {
        return scan_fail(scanner, scanner->at, "raw control character");
    }
    if (next == '\\') {
        return scan_escape(scanner, code);
    }
    size_t length = utf8_decode(code, scanner->text + scanner->at, scanner->size - scanner->at);
    scanner->at += length;
    return length > 0 || scan_fail(scanner, scanner->at, "bad UTF-8");
}

static bool scan_string(struct json_scanner *scanner)
{
    uint32_t code;
    if (!scan_byte(scanner, '"', "a string must stand here")) {
        return false;
    }
    while (scan_peek(scanner) != '"') {
        if (!scan_character(scanner, &code)) {
            return false;
        }
    }
    scanner->at++;
    return true;
}

static bool scan_number(struct json_scanner *scanner)
{
    size_t start = scanner->at;
    bool negative = scan_peek(scanner) == '-';
    scanner->at += negative ? 1 : 0;
    uint64_t value = 0;
    size_t first = scanner->at;
    for (; is_digit(scan_peek(scanner)); scanner->at++) {
        value = value * 10 + (uint64_t)(scan_peek(scanner) - '0');
        if (value > json_integer_max) {
            return scan_fail(scanner, start, "number over 999999999999999; amounts are strings");
        }
    }
    if (scanner->at == first) {
        return scan_fail(scanner, start,
                         negative ? "a digit must stand here" : "a value must stand here");
    }
    if (scanner->text[first] == '0' && (scanner->at > first + 1 || negative)) {
        return scan_fail(scanner, start, "number with a leading zero or minus zero");
    }
    uint8_t next = scan_peek(scanner);
    if (next == '.' || next == 'e' || next == 'E') {
        return scan_fail(scanner, start, "only integers are allowed");
    }
    return true;
}

static bool scan_word(struct json_scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    if (scanner->size - scanner->at < length ||
        memcmp(scanner->text + scanner->at, word, length) != 0) {
        return scan_fail(scanner, scanner->at, "unknown word");
    }
    scanner->at += length;
    return true;
}

static bool scan_note_key(struct json_scanner *scanner, size_t object)
{
    if (scanner->key_count == scanner->key_capacity) {
        size_t capacity = scanner->key_capacity == 0 ? 64 : 2 * scanner->key_capacity;
        struct json_key *keys = realloc(scanner->keys, capacity * sizeof *keys);
        if (keys == NULL) {
            return scan_fail(scanner, scanner->at, "out of memory");
        }
        scanner->keys = keys;
        scanner->key_capacity = capacity;
    }
    scanner->keys[scanner->key_count++] = (struct json_key){object, scanner->at + 1};
    return true;
}

static bool scan_value(struct json_scanner *scanner, unsigned depth);

static bool scan_member(struct json_scanner *scanner, size_t object, unsigned depth)
{
    scan_blanks(scanner);
    if (!scan_note_key(scanner, object) || !scan_string(scanner)) {
        return false;
    }
    scan_blanks(scanner);
    return scan_byte(scanner, ':', "':' must stand here") && scan_value(scanner, depth);
}

/* An object or array, by its closing bracket. */
static bool scan_container(struct json_scanner *scanner, uint8_t close, unsigned depth)
{
    size_t object = scanner->objects++;
    if (depth == JSON_DEPTH_MAX) {
        return scan_fail(scanner, scanner->at, "nested too deep");
    }
    scanner->at++;
    scan_blanks(scanner);
    if (scan_peek(scanner) == close) {
        scanner->at++;
        return true;
    }
    for (;;) {
        bool good =
            close == '}' ? scan_member(scanner, object, depth + 1) : scan_value(scanner, depth + 1);
        if (!good) {
            return false;
        }
        scan_blanks(scanner);
        if (scan_peek(scanner) == close) {
            scanner->at++;
            return true;
        }
        if (!scan_byte(scanner, ',', "',' or a closing bracket must stand here")) {
            return false;
        }
    }
}

static bool scan_value(struct json_scanner *scanner, unsigned depth)
{
    scan_blanks(scanner);
    switch (scan_peek(scanner)) {
    case '{':
        return scan_container(scanner, '}', depth);
    case '[':
        return scan_container(scanner, ']', depth);
    case '"':
        return scan_string(scanner);
    case 't':
        return scan_word(scanner, "true");
    case 'f':
        return scan_word(scanner, "false");
    case 'n':
        return scan_word(scanner, "null");
    default:
        return scan_number(scanner);
    }
}

/* Order of two keys by object, then by decoded text. Both have been scanned once, so decoding them
 * again can't fail. */
static int compare_keys(const void *left, const void *right, void *context)
{
    const struct json_key *a = left, *b = right;
    const struct json_scanner *scanner = context;
    if (a->object != b->object) {
        return a->object < b->object ? -1 : 1;
    }
    struct json_scanner x = *scanner, y = *scanner;
    x.at = a->at;
    y.at = b->at;
    for (;;) {
        bool x_ends = scan_peek(&x) == '"', y_ends = scan_peek(&y) == '"';
        if (x_ends || y_ends) {
            return (int)y_ends - (int)x_ends;
        }
        uint32_t p = 0, q = 0;
        bool good = scan_character(&x, &p) && scan_character(&y, &q);
        MUST(good);
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
}

static bool scan_check_keys(struct json_scanner *scanner)
{
    if (scanner->key_count < 2) {
        return true;
    }
    qsort_r(scanner->keys, scanner->key_count, sizeof *scanner->keys, compare_keys, scanner);
    for (size_t i = 1; i < scanner->key_count; i++) {
        const struct json_key *a = &scanner->keys[i - 1], *b = &scanner->keys[i];
        if (compare_keys(a, b, scanner) == 0) {
            return scan_fail(scanner, a->at > b->at ? a->at : b->at,
                             "the object has this key twice");
        }
    }
    return true;
}

static bool scan_all(struct json_scanner *scanner, size_t size_max)
{
    if (scanner->size > size_max) {
        return scan_fail(scanner, 0, "text too long");
    }
    if (!scan_value(scanner, 0)) {
        return false;
    }
    scan_blanks(scanner);
    if (scanner->at != scanner->size) {
        return scan_fail(scanner, scanner->at, "something follows the value");
    }
    return scan_check_keys(scanner);
}

static void describe_fault(const struct json_scanner *scanner, char problem[JSON_PROBLEM_SIZE])
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < scanner->fault_at && i < scanner->size; i++) {
        bool ends = scanner->text[i] == '\n';
        line += ends ? 1 : 0;
        column = ends ? 1 : column + 1;
    }
    snprintf(problem, JSON_PROBLEM_SIZE, "line %zu column %zu: %s", line, column, scanner->fault);
}

struct cJSON *json_parse_strict(const char *text, size_t size, char problem[JSON_PROBLEM_SIZE])
{
    return json_parse_strict_up_to(JSON_SIZE_MAX, text, size, problem);
}

struct cJSON *json_parse_strict_up_to(size_t size_max, const char *text, size_t size,
                                      char problem[JSON_PROBLEM_SIZE])
{
    struct json_scanner scanner = {.text = (const uint8_t *)text, .size = size};
    struct cJSON *result = NULL;
    if (scan_all(&scanner, size_max)) {
        const char *end = NULL;
        result = cJSON_ParseWithLengthOpts(text, size, &end, 0);
        if (result == NULL) {
            /* The scanner is the stricter of the two, so only memory can be the cause. */
            scan_fail(&scanner, size, "out of memory");
        }
    }
    free(scanner.keys);
    if (result == NULL) {
        describe_fault(&scanner, problem);
    }
    return result;
}

const char *json_string(const struct cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

const struct cJSON *json_array(const struct cJSON *object, const char *key)
{
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsArray(item) ? item : NULL;
}

const struct cJSON *json_object(const struct cJSON *object, const char *key)
{
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsObject(item) ? item : NULL;
}

bool json_bool(bool *out, const struct cJSON *object, const char *key)
{
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsBool(item)) {
        return false;
    }
    *out = cJSON_IsTrue(item) != 0;
    return true;
}

bool json_i64(int64_t *out, const struct cJSON *object, const char *key)
{
    const char *text = json_string(object, key);
    return text != NULL && int64_from_text(out, text);
}

bool json_u64(uint64_t *out, const struct cJSON *object, const char *key)
{
    const char *text = json_string(object, key);
    return text != NULL && uint64_from_text(out, text);
}

bool json_number_value(uint32_t *out, const struct cJSON *item)
{
    char text[NUMBER_TEXT_SIZE];
    uint64_t value;
    if (!cJSON_IsNumber(item) ||
        !cJSON_PrintPreallocated((struct cJSON *)item, text, sizeof text, 0) ||
        !uint64_from_text(&value, text) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool json_u32(uint32_t *out, const struct cJSON *object, const char *key)
{
    return json_number_value(out, cJSON_GetObjectItemCaseSensitive(object, key));
}

const char *json_unknown_key(const struct cJSON *object, const char *const *known)
{
    const struct cJSON *item;
    if (!cJSON_IsObject(object)) {
        return NULL; /* an array's elements have no keys to look at */
    }
    cJSON_ArrayForEach(item, object)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], item->string) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            return item->string;
        }
    }
    return NULL;
}

void json_add_i64(struct cJSON *object, const char *key, int64_t value)
{
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, value);
    cJSON_AddStringToObject(object, key, text);
}

void json_add_u64(struct cJSON *object, const char *key, uint64_t value)
{
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, (int128)value);
    cJSON_AddStringToObject(object, key, text);
}

struct cJSON *json_number_create(uint32_t value)
{
    /* cJSON_CreateNumber takes a double, which this folder may not even pass on. */
    char text[INT128_TEXT_SIZE];
    int128_to_text(text, value);
    return cJSON_Parse(text);
}

void json_add_u32(struct cJSON *object, const char *key, uint32_t value)
{
    struct cJSON *item = json_number_create(value);
    if (!cJSON_AddItemToObject(object, key, item)) {
        cJSON_Delete(item);
    }
}
