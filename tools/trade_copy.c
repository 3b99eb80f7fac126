/* Trades against deals (trade_copy.h).
 *
 * Invariants: each column that a deal's record holds is compared, as the text that the API gives it; one
 * that it doesn't hold is named as not checked, and one that nobody knows is refused, since a copy may not
 * look better checked than it is. A deal that stands in two lines would be paid twice: it is wrong. */
#include "tools/trade_copy.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/csv.h"
#include "tools/session.h"

/* Of a trade as the market data has it: named otherwise in the record, or not in it. */
static const struct {
    const char *column;
    const char *field;
} renamed[] = {
    {"quantity_wh", "contracted_wh"},
    {"height", "matched_height"},
};
static const char *const unchecked[] = {"time_ms",     "position", "event",
                                        "transaction", "number",   NULL};
/* What changes after a deal was made; all else was agreed. */
static const char *const changing[] = {"state",       "dispute_deadline_ms", "delivered_wh",
                                       "credited_wh", "paid_ueur",           "refunded_ueur",
                                       "fee_ueur",    "penalty_ueur",        "settled_height",
                                       NULL};

static bool is_in(const char *const *list, const char *text)
{
    while (*list != NULL && strcmp(*list, text) != 0) {
        list++;
    }
    return *list != NULL;
}

static void wrong(struct trade_verdict *out, uint64_t line, const char *code, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
static void wrong(struct trade_verdict *out, uint64_t line, const char *code, const char *format,
                  ...)
{
    va_list list;
    out->code = code;
    out->line = line;
    va_start(list, format);
    vsnprintf(out->reason, sizeof out->reason, format, list);
    va_end(list);
}

/* --- the ledger ---------------------------------------------------------------------------- */

static int ask_deal(void *context, struct deal_record *out, bool *absent, uint64_t id)
{
    char text[INT128_TEXT_SIZE];
    struct proof proof;
    int128_to_text(text, (int128)id);
    int status = session_record(context, "deal", text, out, absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    return status;
}

static int ask_terms(void *context, struct market_create *out, const struct deal_record *deal)
{
    char text[NAME_SIZE + 1 + INT128_TEXT_SIZE], name[NAME_SIZE + 1];
    struct session *session = context;
    struct proof proof;
    bool absent;
    snprintf(text, sizeof text, "%s/%u", name_to_text(name, &deal->market), deal->version);
    int status = session_record(session, "terms", text, out, &absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    if (status == CLI_DONE && absent) {
        status =
            cli_fail(session->cli, CLI_UNPROVEN, "proof_failed", "the deal's terms do not exist");
    }
    return status;
}

struct trade_ledger trade_ledger_of_session(struct session *session)
{
    return (struct trade_ledger){session, ask_deal, ask_terms};
}

/* --- one line ------------------------------------------------------------------------------ */

struct trade_line {
    uint64_t number;
    uint32_t count;
    const char *names[TRADE_COLUMNS_MAX];
    const char *values[TRADE_COLUMNS_MAX];
};

struct trade_copy {
    struct cli *cli;
    struct trade_verdict *out;
    const struct trade_ledger *ledger;
    trade_fn visit;
    void *context;
    uint64_t *seen; /* ids of the lines so far */
    uint32_t seen_count;
};

static const char *field_of(const char *column)
{
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        if (strcmp(renamed[i].column, column) == 0) {
            return renamed[i].field;
        }
    }
    return column;
}

static void note_unchecked(struct trade_verdict *out, const char *column)
{
    const size_t used = strlen(out->not_checked);
    const size_t size = strlen(column);
    if (strstr(out->not_checked, column) == NULL && used + size + 2 < sizeof out->not_checked) {
        snprintf(out->not_checked + used, sizeof out->not_checked - used, "%s%s",
                 used > 0 ? " " : "", column);
    }
}

/* As the API prints it: strings as they are, small numbers in decimal. */
static void field_text(char out[160], const struct cJSON *value)
{
    uint32_t number;
    if (cJSON_IsString(value)) {
        snprintf(out, 160, "%s", value->valuestring);
    } else if (json_number_value(&number, value)) {
        snprintf(out, 160, "%" PRIu32, number);
    } else {
        snprintf(out, 160, "?");
    }
}

static void compare_fields(struct trade_copy *copy, const struct trade_line *line,
                           const struct cJSON *fields)
{
    for (uint32_t i = 0; i < line->count && copy->out->code == NULL; i++) {
        const char *column = line->names[i];
        const char *name = field_of(column);
        const struct cJSON *field = cJSON_GetObjectItemCaseSensitive(fields, name);
        char text[160];
        if (strcmp(column, "id") == 0 || strcmp(column, "deal") == 0) {
            continue;
        }
        if (field == NULL && is_in(unchecked, column)) {
            note_unchecked(copy->out, column);
            continue;
        }
        if (field == NULL) {
            wrong(copy->out, line->number, "bad_row", "no deal has a field %.60s", column);
            return;
        }
        field_text(text, field);
        if (strcmp(text, line->values[i]) != 0) {
            wrong(copy->out, line->number, is_in(changing, name) ? "outdated" : "wrong_trade",
                  "%.40s is %.60s on the ledger, not %.60s", column, text, line->values[i]);
        }
    }
}

static bool line_id(const struct trade_line *line, uint64_t *id)
{
    for (uint32_t i = 0; i < line->count; i++) {
        if (strcmp(line->names[i], "id") == 0 || strcmp(line->names[i], "deal") == 0) {
            return uint64_from_text(id, line->values[i]);
        }
    }
    return false;
}

static int check_line(struct trade_copy *copy, const struct trade_line *line)
{
    struct deal_record deal;
    uint64_t id;
    bool absent;
    if (!line_id(line, &id)) {
        wrong(copy->out, line->number, "bad_row", "the line names no deal (id or deal)");
        return CLI_DONE;
    }
    for (uint32_t i = 0; i < copy->seen_count; i++) {
        if (copy->seen[i] == id) {
            wrong(copy->out, line->number, "twice", "deal %" PRIu64 " stands in two lines", id);
            return CLI_DONE;
        }
    }
    int status = copy->ledger->deal(copy->ledger->context, &deal, &absent, id);
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        wrong(copy->out, line->number, "unknown_deal", "the ledger has no deal %" PRIu64, id);
        return CLI_DONE;
    }
    struct cJSON *fields = codec_to_json(&deal_record_codec, &deal);
    MUST(fields != NULL);
    compare_fields(copy, line, fields);
    cJSON_Delete(fields);
    if (copy->out->code != NULL) {
        return CLI_DONE;
    }
    copy->seen[copy->seen_count++] = id;
    copy->out->trades++;
    return copy->visit == NULL || copy->visit(copy->context, id, &deal) ? CLI_DONE : CLI_USAGE;
}

/* --- files --------------------------------------------------------------------------------- */

static int check_csv(struct trade_copy *copy, const char *path)
{
    struct csv_table table;
    char problem[CSV_PROBLEM_SIZE];
    int status = CLI_DONE;
    if (!csv_read(&table, path, problem)) {
        return cli_fail(copy->cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    if (table.rows > TRADE_LINES_MAX) {
        csv_free(&table);
        return cli_fail(copy->cli, CLI_USAGE, "bad_file", "over %d lines", TRADE_LINES_MAX);
    }
    copy->seen = calloc((size_t)table.rows + 1, sizeof *copy->seen);
    MUST(copy->seen != NULL);
    for (uint32_t row = 0; row < table.rows && status == CLI_DONE && copy->out->code == NULL;
         row++) {
        struct trade_line line = {.number = (uint64_t)row + 2, .count = table.columns};
        for (uint32_t column = 0; column < table.columns; column++) {
            line.names[column] = table.header[column];
            line.values[column] = csv_field(&table, row, column);
        }
        status = check_line(copy, &line);
    }
    csv_free(&table);
    return status;
}

static int check_item(struct trade_copy *copy, const struct cJSON *item, uint64_t number)
{
    struct trade_line line = {.number = number};
    char numbers[TRADE_COLUMNS_MAX][16];
    const struct cJSON *field;
    cJSON_ArrayForEach(field, item)
    {
        uint32_t value;
        if (line.count == TRADE_COLUMNS_MAX) {
            wrong(copy->out, number, "bad_row", "the trade has too many fields");
            return CLI_DONE;
        }
        line.names[line.count] = field->string;
        line.values[line.count] = field->valuestring;
        if (json_number_value(&value, field)) {
            snprintf(numbers[line.count], sizeof numbers[0], "%" PRIu32, value);
            line.values[line.count] = numbers[line.count];
        } else if (!cJSON_IsString(field)) {
            wrong(copy->out, number, "bad_row", "%.60s is neither text nor a number",
                  field->string != NULL ? field->string : "an item");
            return CLI_DONE;
        }
        line.count++;
    }
    return check_line(copy, &line);
}

static int check_json(struct trade_copy *copy, const char *path)
{
    char problem[160];
    struct cJSON *root = files_read_json(path, problem);
    if (root == NULL) {
        return cli_fail(copy->cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    const struct cJSON *items = cJSON_IsArray(root) ? root : json_array(root, "items");
    if (items == NULL) {
        cJSON_Delete(root);
        return cli_fail(copy->cli, CLI_USAGE, "bad_file", "%s: neither an array nor items", path);
    }
    copy->seen = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof *copy->seen);
    MUST(copy->seen != NULL);
    int status = CLI_DONE;
    uint64_t number = 0;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        number++;
        if (status == CLI_DONE && copy->out->code == NULL) {
            status = check_item(copy, item, number);
        }
    }
    cJSON_Delete(root);
    return status;
}

int trade_copy_verify(struct cli *cli, struct trade_verdict *out, const struct trade_ledger *ledger,
                      const char *path, trade_fn visit, void *context)
{
    struct trade_copy copy = {
        .cli = cli, .out = out, .ledger = ledger, .visit = visit, .context = context};
    size_t size;
    memset(out, 0, sizeof *out);
    char *text = files_read(path, FILES_TEXT_BYTES_MAX, &size);
    const bool json = text != NULL && (text[0] == '{' || text[0] == '[');
    free(text);
    int status = json ? check_json(&copy, path) : check_csv(&copy, path);
    free(copy.seen);
    return status;
}
