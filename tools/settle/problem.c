/* Reading a flexsettle/1 problem (tools/settle/problem.h).
 *
 * Everything that the contracts would refuse or could not hold is refused here, with the key where
 * it stands: after settle_problem_read only the results of arithmetic can still not fit.
 *
 * Keys of other methods may be absent and are not looked into where they are present, so that one
 * text can be settled by several methods. A key that no method knows is a fault, at any depth that
 * is read.
 *
 * Deliberately absent: any rule of settlement. Those are in contracts/. */
#include "tools/settle/problem.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"

enum {
    PERMILLE = 1000,
    TOLERANCE_PERMILLE_DEFAULT = 950, /* market-rules 9 */
    FLOOR_PERMILLE_DEFAULT = 0
};

static const char *const method_names[] = {
    [DELIVERY_SCHEDULE] = "schedule",         [DELIVERY_BASELINE] = "baseline",
    [DELIVERY_CAPACITY_CAP] = "capacity_cap", [DELIVERY_CAPACITY_FLOOR] = "capacity_floor",
    [DELIVERY_SUBMETER] = "submeter",
};
enum { METHOD_COUNT = sizeof method_names / sizeof method_names[0] };

/* An object at hand, with the path of it: "" or "baseline." or "baseline.candidates[2].". */
struct reader {
    const struct cJSON *object;
    char path[SETTLE_WHERE_SIZE];
    struct settle_fault *fault;
};

static void keep_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

/* A key of the input may be longer than the fault's text, which then cuts it, or empty, which then
 * has to be seen. */
static bool fail_at(const struct reader *reader, const char *key, const char *what)
{
    char where[sizeof reader->fault->where];
    int length = snprintf(where, sizeof where, "%s%s", reader->path, key[0] == '\0' ? "\"\"" : key);
    MUST(length >= 0);
    memcpy(reader->fault->where, where, sizeof where);
    keep_printable(reader->fault->where);
    (void)snprintf(reader->fault->what, sizeof reader->fault->what, "%s", what);
    keep_printable(reader->fault->what);
    return false;
}

static bool fail_in_array(const struct reader *reader, const char *key, uint32_t index,
                          const char *what)
{
    char place[SETTLE_WHERE_SIZE];
    /* Every key is a short word of the format; the precision says so to the compiler too. */
    (void)snprintf(place, sizeof place, "%.*s[%u]", SETTLE_WHERE_SIZE - 16, key, index);
    return fail_at(reader, place, what);
}

static const struct cJSON *item_of(const struct reader *reader, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(reader->object, key);
}

static bool refuse_unknown(const struct reader *reader, const char *const *known)
{
    const char *key = json_unknown_key(reader->object, known);
    return key == NULL || fail_at(reader, key, "unknown key");
}

/* The index of the string in `names`. */
static bool read_choice(uint32_t *out, const struct reader *reader, const char *key,
                        const char *const *names, uint32_t count, const char *wanted)
{
    const char *text = json_string(reader->object, key);
    if (text == NULL) {
        return fail_at(reader, key, item_of(reader, key) == NULL ? "missing" : wanted);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return fail_at(reader, key, wanted);
}

/* A decimal string, not below zero; `fallback` below zero means that the key is required. */
static bool read_amount(int64_t *out, const struct reader *reader, const char *key,
                        int64_t fallback)
{
    if (item_of(reader, key) == NULL) {
        *out = fallback;
        return fallback >= 0 || fail_at(reader, key, "missing");
    }
    if (!json_i64(out, reader->object, key)) {
        return fail_at(reader, key, "must be a 64-bit integer as a decimal string");
    }
    return *out >= 0 || fail_at(reader, key, "must not be negative");
}

/* A JSON number from `least` to `most`; `fallback` if the key is absent. */
static bool read_number(uint32_t *out, const struct reader *reader, const char *key,
                        uint32_t fallback, uint32_t least, uint32_t most)
{
    if (item_of(reader, key) == NULL) {
        *out = fallback;
        return true;
    }
    if (!json_u32(out, reader->object, key) || *out < least || *out > most) {
        char what[SETTLE_WHAT_SIZE];
        (void)snprintf(what, sizeof what, "must be a number from %u to %u", least, most);
        return fail_at(reader, key, what);
    }
    return true;
}

static bool read_energies(struct energy *out, const struct reader *reader, const char *key,
                          const struct cJSON *array)
{
    uint32_t at = 0;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        const char *text = cJSON_GetStringValue(item);
        int64_t wh;
        if (text == NULL || !int64_from_text(&wh, text)) {
            return fail_in_array(reader, key, at, "must be a 64-bit integer as a decimal string");
        }
        out[at] = energy_of(wh);
        at++;
    }
    return true;
}

/* Exactly `count` energies under `key`; `like` says what the count comes from. */
static bool read_series(struct energy *out, const struct reader *reader, const char *key,
                        uint32_t count, const char *like)
{
    const struct cJSON *array = json_array(reader->object, key);
    if (array == NULL) {
        return fail_at(reader, key, item_of(reader, key) == NULL ? "missing" : "must be an array");
    }
    int size = cJSON_GetArraySize(array);
    if (size != (int)count) {
        char what[SETTLE_WHAT_SIZE];
        (void)snprintf(what, sizeof what, "has %d values, must have %u, %s", size, count, like);
        return fail_at(reader, key, what);
    }
    return read_energies(out, reader, key, array);
}

static const char like_contracted[] = "as many as contracted_wh";
static const char like_window[] = "the intervals of the adjustment window";

static bool read_contracted(struct settlement_terms *terms, const struct reader *reader)
{
    static const char key[] = "contracted_wh";
    const struct cJSON *array = json_array(reader->object, key);
    if (array == NULL) {
        return fail_at(reader, key, item_of(reader, key) == NULL ? "missing" : "must be an array");
    }
    int size = cJSON_GetArraySize(array);
    if (size < 1 || size > LIMIT_INTERVALS_PER_PERIOD) {
        char what[SETTLE_WHAT_SIZE];
        (void)snprintf(what, sizeof what, "has %d values, must have 1 to %u", size,
                       (unsigned)LIMIT_INTERVALS_PER_PERIOD);
        return fail_at(reader, key, what);
    }
    terms->count = (uint32_t)size;
    if (!read_energies(terms->contracted, reader, key, array)) {
        return false;
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        if (energy_wh(terms->contracted[i]) <= 0) {
            return fail_in_array(reader, key, i, "must be above zero");
        }
    }
    return true;
}

static bool read_money(struct settlement_terms *terms, const struct reader *reader)
{
    int64_t price, penalty_price, deposit, escrow;
    uint32_t tolerance, floor;
    if (!read_amount(&price, reader, "price", -1) ||
        !read_amount(&penalty_price, reader, "penalty_price", 0) ||
        !read_amount(&deposit, reader, "deposit_ueur", 0) ||
        !read_amount(&escrow, reader, "escrow_ueur", -1) ||
        !read_number(&tolerance, reader, "tolerance_permille", TOLERANCE_PERMILLE_DEFAULT, 0,
                     PERMILLE) ||
        !read_number(&floor, reader, "floor_permille", FLOOR_PERMILLE_DEFAULT, 0, PERMILLE)) {
        return false;
    }
    terms->price = energy_price_of(price);
    terms->penalty_price = energy_price_of(penalty_price);
    terms->deposit = money_of(deposit);
    terms->escrow = money_of(escrow);
    terms->tolerance_permille = (uint16_t)tolerance;
    terms->floor_permille = (uint16_t)floor;
    return true;
}

static bool read_baseline_terms(struct baseline_terms *terms, const struct reader *reader)
{
    uint32_t adjustment;
    if (!read_number(&terms->days, reader, "days", BASELINE_DAYS_DEFAULT, 1, LIMIT_BASELINE_DAYS) ||
        !read_number(&terms->highest, reader, "highest", BASELINE_HIGHEST_DEFAULT, 1,
                     LIMIT_BASELINE_DAYS) ||
        !read_number(&adjustment, reader, "adjustment_permille",
                     BASELINE_ADJUSTMENT_PERMILLE_DEFAULT, 0, PERMILLE)) {
        return false;
    }
    terms->adjustment_permille = (uint16_t)adjustment;
    return terms->highest <= terms->days || fail_at(reader, "highest", "is more than days");
}

/* One element of `candidates`; `day_before` is the one before it, or -1. */
static bool read_candidate(struct settle_problem *out, const struct reader *outer, uint32_t index,
                           const struct cJSON *item, int64_t *day_before)
{
    static const char *const known[] = {"day", "wh", NULL};
    struct reader reader = {.object = item, .fault = outer->fault};
    (void)snprintf(reader.path, sizeof reader.path, "baseline.candidates[%u].", index);
    if (!cJSON_IsObject(item)) {
        return fail_in_array(outer, "candidates", index, "must be an object");
    }
    uint32_t day;
    if (!refuse_unknown(&reader, known)) {
        return false;
    }
    if (item_of(&reader, "day") == NULL) {
        return fail_at(&reader, "day", "missing");
    }
    if (!read_number(&day, &reader, "day", 0, 0, UINT32_MAX)) {
        return false;
    }
    if (day <= *day_before) {
        return fail_at(&reader, "day", "must be later than the day before it: oldest first");
    }
    *day_before = day;
    return read_series(out->candidates[index].delivery, &reader, "wh", out->terms.count,
                       like_contracted);
}

static bool read_candidates(struct settle_problem *out, const struct reader *reader)
{
    const struct cJSON *array = json_array(reader->object, "candidates");
    if (array == NULL) {
        return fail_at(reader, "candidates",
                       item_of(reader, "candidates") == NULL ? "missing" : "must be an array");
    }
    int size = cJSON_GetArraySize(array);
    char what[SETTLE_WHAT_SIZE];
    if (size > LIMIT_BASELINE_DAYS) {
        (void)snprintf(what, sizeof what, "has %d days, at most %u", size,
                       (unsigned)LIMIT_BASELINE_DAYS);
        return fail_at(reader, "candidates", what);
    }
    if (size < (int)out->baseline.highest) {
        (void)snprintf(what, sizeof what, "has %d days, fewer than highest, which is %u", size,
                       out->baseline.highest);
        return fail_at(reader, "candidates", what);
    }
    int64_t day_before = -1;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (!read_candidate(out, reader, out->candidate_count, item, &day_before)) {
            return false;
        }
        out->candidate_count++;
    }
    return true;
}

/* What the day's and the candidates' consumption were before delivery. Without an adjustment they
 * mean nothing, so then both may be left out and stay zero. */
static bool read_windows(struct settle_problem *out, const struct reader *reader)
{
    static const char key[] = "candidate_window_wh";
    if (out->baseline.adjustment_permille == 0 && item_of(reader, key) == NULL &&
        item_of(reader, "actual_window_wh") == NULL) {
        return true;
    }
    const struct cJSON *array = json_array(reader->object, key);
    if (array == NULL) {
        return fail_at(reader, key, item_of(reader, key) == NULL ? "missing" : "must be an array");
    }
    int size = cJSON_GetArraySize(array);
    char text[SETTLE_WHAT_SIZE];
    if (size != (int)out->candidate_count) {
        (void)snprintf(text, sizeof text, "has %d days, must have %u, as many as candidates", size,
                       out->candidate_count);
        return fail_at(reader, key, text);
    }
    uint32_t at = 0;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsArray(item)) {
            return fail_in_array(reader, key, at, "must be an array");
        }
        if (cJSON_GetArraySize(item) != BASELINE_WINDOW_INTERVALS) {
            (void)snprintf(text, sizeof text, "has %d values, must have %u, %s",
                           cJSON_GetArraySize(item), (unsigned)BASELINE_WINDOW_INTERVALS,
                           like_window);
            return fail_in_array(reader, key, at, text);
        }
        (void)snprintf(text, sizeof text, "%s[%u]", key, at);
        if (!read_energies(out->candidates[at].window, reader, text, item)) {
            return false;
        }
        at++;
    }
    return read_series(out->actual_window, reader, "actual_window_wh", BASELINE_WINDOW_INTERVALS,
                       like_window);
}

static bool read_baseline(struct settle_problem *out, const struct reader *outer)
{
    static const char *const known[] = {"days",
                                        "highest",
                                        "adjustment_permille",
                                        "candidates",
                                        "candidate_window_wh",
                                        "actual_window_wh",
                                        NULL};
    struct reader reader = {.object = json_object(outer->object, "baseline"),
                            .path = "baseline.",
                            .fault = outer->fault};
    if (reader.object == NULL) {
        return fail_at(outer, "baseline",
                       item_of(outer, "baseline") == NULL ? "missing" : "must be an object");
    }
    return refuse_unknown(&reader, known) && read_baseline_terms(&out->baseline, &reader) &&
           read_candidates(out, &reader) && read_windows(out, &reader);
}

static bool method_has_direction(enum delivery_method method)
{
    return method != DELIVERY_CAPACITY_CAP && method != DELIVERY_CAPACITY_FLOOR;
}

static bool read_what(struct settle_problem *out, const struct reader *reader)
{
    static const char *const formats[] = {"flexsettle/1"};
    static const char *const directions[] = {"up", "down"};
    uint32_t format = 0, method = 0, direction = 0;
    if (!read_choice(&format, reader, "format", formats, 1, "must be flexsettle/1") ||
        !read_choice(&method, reader, "method", method_names, METHOD_COUNT,
                     "must be schedule, baseline, capacity_cap, capacity_floor or submeter")) {
        return false;
    }
    out->method = (enum delivery_method)method;
    if ((method_has_direction(out->method) || item_of(reader, "direction") != NULL) &&
        !read_choice(&direction, reader, "direction", directions, 2, "must be up or down")) {
        return false;
    }
    out->direction = direction == 0 ? DIRECTION_UP : DIRECTION_DOWN;
    return true;
}

static bool read_method(struct settle_problem *out, const struct reader *reader)
{
    switch (out->method) {
    case DELIVERY_SCHEDULE:
    case DELIVERY_SUBMETER:
        return read_series(out->against, reader, "reference_wh", out->terms.count, like_contracted);
    case DELIVERY_CAPACITY_CAP:
    case DELIVERY_CAPACITY_FLOOR:
        return read_series(out->against, reader, "limit_wh", out->terms.count, like_contracted);
    case DELIVERY_BASELINE:
        return read_baseline(out, reader);
    }
    MUST(false);
    return false;
}

bool settle_problem_read(struct settle_problem *out, struct settle_fault *fault,
                         const struct cJSON *root)
{
    static const char *const known[] = {
        "format",       "method",       "direction",          "price",          "penalty_price",
        "deposit_ueur", "escrow_ueur",  "tolerance_permille", "floor_permille", "contracted_wh",
        "actual_wh",    "reference_wh", "limit_wh",           "baseline",       NULL};
    memset(out, 0, sizeof *out);
    struct reader reader = {.object = root, .path = "", .fault = fault};
    if (!cJSON_IsObject(root)) {
        return fail_at(&reader, "problem", "must be an object");
    }
    return refuse_unknown(&reader, known) && read_what(out, &reader) &&
           read_money(&out->terms, &reader) && read_contracted(&out->terms, &reader) &&
           read_series(out->actual, &reader, "actual_wh", out->terms.count, like_contracted) &&
           read_method(out, &reader);
}
