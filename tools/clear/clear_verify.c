/* Verifies a result: all mechanisms here are exact integer algorithms, so the result is computed
 * again from the problem and compared, value by value, in the order in which the rules build on
 * each other. The first difference is reported with the rule that it breaks.
 *
 * Deliberately absent: any trust in what the result says of itself, its certificate included. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/clear/clear_read.h"

struct rule {
    const char *key;
    const char *words;
};

/* In the order in which they are looked at. */
static const struct rule rules[] = {
    {"format", "the format of a result"},
    {"accepted", "accepted quantities are those of the mechanism (market-rules 4, 5, 8)"},
    {"quantity", "the quantity is the sum of what was accepted"},
    {"welfare_neur", "welfare is utility less cost of what was accepted (D2.3 eq. 3-4)"},
    {"price", "the price is the floored midpoint of its interval (market-rules 5)"},
    {"price_interval", "the interval holds all prices that support the allocation"},
    {"trades", "orders trade by price and time (market-rules 4)"},
    {"book", "what is left of a limit order rests"},
    {"flow", "flows are those of the result's own quantities (market-rules 7)"},
    {"node_price", "prices are what the multipliers say (market-rules 7)"},
    {"carrier_price", "prices are what the multipliers say (market-rules 7)"},
    {"constraint_price", "the price of a constraint (market-rules 8)"},
    {"constraint_price_export", "the price of a constraint (market-rules 8)"},
    {"certificate", "bound and gap are what the problem and the multipliers give"},
    {"payments", "payments (market-rules 6)"},
    {"excess", "excess of coalitions (D2.3 eq. 3-14)"},
};
enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static bool differ(struct clear_text_fault *fault, const char *path, const char *words,
                   const cJSON *given, const cJSON *right)
{
    char *is = given == NULL ? NULL : cJSON_PrintUnformatted(given);
    char *must = right == NULL ? NULL : cJSON_PrintUnformatted(right);
    char what[CLEAR_WHAT_SIZE];
    snprintf(what, sizeof what, "is %.40s, must be %.40s: %s",
             given == NULL ? "missing" : (is == NULL ? "?" : is),
             right == NULL ? "absent" : (must == NULL ? "?" : must), words);
    free(is);
    free(must);
    return clear_text_fail(fault, what, "%s", path);
}

static bool same(const cJSON *given, const cJSON *right, const char *path, const char *words,
                 struct clear_text_fault *fault);

static bool same_object(const cJSON *given, const cJSON *right, const char *path, const char *words,
                        struct clear_text_fault *fault)
{
    const cJSON *item;
    const cJSON *at = given->child;
    char below[CLEAR_WHERE_SIZE];
    cJSON_ArrayForEach(item, right)
    {
        snprintf(below, sizeof below, "%.120s.%.64s", path, item->string);
        if (!same(clear_read_next(given, &at, item->string), item, below, words, fault)) {
            return false;
        }
    }
    at = right->child;
    cJSON_ArrayForEach(item, given)
    {
        if (clear_read_next(right, &at, item->string) == NULL) {
            snprintf(below, sizeof below, "%.120s.%.64s", path, item->string);
            return differ(fault, below, words, item, NULL);
        }
    }
    return true;
}

static bool same_array(const cJSON *given, const cJSON *right, const char *path, const char *words,
                       struct clear_text_fault *fault)
{
    const cJSON *a = given->child;
    const cJSON *b = right->child;
    for (unsigned at = 0; a != NULL || b != NULL; at++) {
        char below[CLEAR_WHERE_SIZE];
        snprintf(below, sizeof below, "%.160s[%u]", path, at);
        if (a == NULL || b == NULL) {
            return differ(fault, below, words, a, b);
        }
        if (!same(a, b, below, words, fault)) {
            return false;
        }
        a = a->next;
        b = b->next;
    }
    return true;
}

/* Our own results hold objects, arrays, strings and booleans only. */
static bool same(const cJSON *given, const cJSON *right, const char *path, const char *words,
                 struct clear_text_fault *fault)
{
    bool kind = given != NULL && (given->type & 0xff) == (right->type & 0xff);
    if (!kind) {
        return differ(fault, path, words, given, right);
    }
    if (cJSON_IsObject(right)) {
        return same_object(given, right, path, words, fault);
    }
    if (cJSON_IsArray(right)) {
        return same_array(given, right, path, words, fault);
    }
    if (cJSON_IsString(right) && strcmp(given->valuestring, right->valuestring) != 0) {
        return differ(fault, path, words, given, right);
    }
    return true;
}

static bool compare_all(const cJSON *given, const cJSON *right, const char *left_out,
                        struct clear_text_fault *fault)
{
    static const char *known[RULE_COUNT + 1];
    if (!cJSON_IsObject(given)) {
        return clear_text_fail(fault, "must be an object", "result");
    }
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(given, rules[i].key);
        const cJSON *b = cJSON_GetObjectItemCaseSensitive(right, rules[i].key);
        known[i] = rules[i].key;
        if (left_out != NULL && strcmp(left_out, rules[i].key) == 0 && a == NULL) {
            continue;
        }
        if (b == NULL && a != NULL) {
            return differ(fault, rules[i].key, rules[i].words, a, b);
        }
        if (b != NULL && !same(a, b, rules[i].key, rules[i].words, fault)) {
            return false;
        }
    }
    const char *unknown = json_unknown_key(given, known);
    return unknown == NULL || clear_text_fail(fault, "unknown key", "%.64s", unknown);
}

bool clear_text_compare(const cJSON *given, const char *right_text, size_t right_size,
                        const char *left_out, struct clear_text_fault *fault)
{
    struct cJSON *right = cJSON_ParseWithLength(right_text, right_size);
    bool good = right != NULL ? compare_all(given, right, left_out, fault)
                              : clear_text_fail(fault, "out of memory", "result");
    cJSON_Delete(right);
    return good;
}

bool clear_text_verify(const char *right_text, size_t right_size, const char *result, size_t size,
                       struct clear_text_fault *fault)
{
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *given = json_parse_strict_up_to(clear_text_size_max, result, size, problem);
    if (given == NULL) {
        return clear_text_fail(fault, problem, "result");
    }
    bool good = clear_text_compare(given, right_text, right_size, NULL, fault);
    cJSON_Delete(given);
    return good;
}
