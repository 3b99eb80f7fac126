/* What flex prints for people: help out of the command tables, and JSON records as lines and
 * tables.
 *
 * Invariants: help is made from the very table that parsing uses, so it can't lie about an option;
 * a key's unit stands at its end (house style 15) and decides how its value is shown, so records
 * that come later print well without a line of code here. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "base/json.h"
#include "tools/cli.h"
#include "tools/text_width.h"
#include "tools/value.h"

enum { TABLE_COLUMNS_MAX = 12, COLUMN_NAME_SIZE = 40, CELL_SIZE = 96, INDENT_STEP = 2 };

void cli_help_overview(FILE *out, const struct cli_noun *const *nouns, size_t count)
{
    fprintf(out, "flex: wallet and operator of a Flexledger\n\n"
                 "usage: flex [--home DIR] [--node URL] [--json] NOUN VERB ...\n\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "  %-12s %s\n", nouns[i]->noun, nouns[i]->summary);
    }
    fprintf(out, "\nflex NOUN --help lists the verbs, flex NOUN VERB --help explains one.\n"
                 "Exit codes: 0 done, 1 refused by the ledger, 2 bad usage or input,\n"
                 "3 no node answered, 4 a proof did not verify. The guide is docs/wallet.md.\n");
}

void cli_help_noun(FILE *out, const struct cli_noun *noun)
{
    char call[CLI_CALL_SIZE];
    fprintf(out, "%s: %s\n\n", cli_call(call, noun), noun->summary);
    for (size_t i = 0; i < noun->command_count; i++) {
        fprintf(out, "  %-20s %s\n", noun->commands[i].verb, noun->commands[i].summary);
    }
    const char *examples = noun_examples(noun->noun);
    if (examples != NULL) {
        fprintf(out, "\nfor example:\n%s\n", examples);
    }
    fprintf(out, "\n%s VERB --help explains one.\n", call);
}

static bool option_is_word(const struct cli_option *option)
{
    return option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
}

const char *cli_type_placeholder(enum cli_type type)
{
    switch (type) {
    case CLI_TEXT:
        return "TEXT";
    case CLI_FILE:
        return "FILE";
    case CLI_DIR:
        return "DIR";
    case CLI_URL:
        return "URL";
    case CLI_NAME:
        return "NAME";
    case CLI_EUR:
        return "EUR";
    case CLI_I64:
    case CLI_U64:
    case CLI_U32:
    case CLI_U16:
        return "N";
    case CLI_TIME:
        return "TIME";
    case CLI_DURATION:
        return "SPAN";
    case CLI_HEX32:
        return "HEX";
    case CLI_CHOICE:
        return "ONE";
    case CLI_FLAGS:
        return "LIST";
    case CLI_SWITCH:
        return "";
    }
    return "";
}

const char *cli_fallback_told(const struct cli_command *command, const struct cli_option *option)
{
    const char *fallback = cli_fallback(command, option);
    /* "All zero" and "-1" stand for "not given", which nobody has to be told. */
    bool told = fallback != NULL && option->type != CLI_HEX32 && fallback[0] != '-';
    return told ? fallback : NULL;
}

/* What is typed, at the left of what it means. Returns its length. */
static int option_left(char out[64], const struct cli_option *option)
{
    return snprintf(out, 64, "%s%s %s", option_is_word(option) ? "" : "--", option->name,
                    option_is_word(option) ? "" : cli_type_placeholder(option->type));
}

/* One column for all options of a command, also under its longest name. */
static int help_width(const struct cli_command *command)
{
    char left[64];
    int width = 26;
    for (size_t i = 0; i < command->option_count; i++) {
        const int length = option_left(left, &command->options[i]);
        width = length > width ? length : width;
    }
    return width;
}

/* Words up to the edge, further lines under the first; the cursor stands at column `at` of the first. */
enum { HELP_COLUMNS = 100, HELP_COLUMNS_MIN = 40, HELP_TEXT_SIZE = 1024 };

static void put_wrapped(FILE *out, int at, int indent, const char *text)
{
    const int known = text_columns(out);
    const int room = known == 0 || known > HELP_COLUMNS ? HELP_COLUMNS : known;
    const int edge = room < indent + HELP_COLUMNS_MIN ? indent + HELP_COLUMNS_MIN : room;
    int column = at;
    while (*text != '\0') {
        const int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > edge) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > at || (column == at && at > indent)) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static void help_option(FILE *out, int width, const struct cli_command *command,
                        const struct cli_option *option)
{
    char left[64], text[HELP_TEXT_SIZE];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", option->help);
    option_left(left, option);
    for (size_t i = 0; i < option->name_count && used < sizeof text; i++) {
        if (option->names[i] != NULL) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? ": " : ", ",
                                     option->names[i]);
        }
    }
    const char *fallback = cli_fallback_told(command, option);
    if (fallback != NULL && used < sizeof text) {
        snprintf(text + used, sizeof text - used, " (%s)", fallback);
    }
    fprintf(out, "  %-*s ", width, left);
    put_wrapped(out, width + 3, width + 3, text);
}

/* More than that, and the usage only says that there are options: they follow by groups. */
enum { USAGE_OPTIONS_MAX = 10, USAGE_SIZE = 2048 };

static void usage_options(char out[USAGE_SIZE], const struct cli_command *command, bool must)
{
    size_t count = 0;
    for (size_t i = 0; i < command->option_count; i++) {
        count += cli_must_give(command, &command->options[i]) == must;
    }
    const size_t used = strlen(out);
    if (!must && count > USAGE_OPTIONS_MAX) {
        snprintf(out + used, USAGE_SIZE - used, " [OPTION...]");
        return;
    }
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *option = &command->options[i];
        const size_t at = strlen(out);
        const bool valued = !option_is_word(option) && option->type != CLI_SWITCH;
        if (cli_must_give(command, option) == must) {
            snprintf(out + at, USAGE_SIZE - at, " %s%s%s%s%s%s", must ? "" : "[",
                     option_is_word(option) ? "" : "--", option->name, valued ? " " : "",
                     valued ? cli_type_placeholder(option->type) : "", must ? "" : "]");
        }
    }
}

static void help_usage(FILE *out, const struct cli_noun *noun, const struct cli_command *command)
{
    char call[CLI_CALL_SIZE], text[USAGE_SIZE] = "";
    const int head = fprintf(out, "usage: %s %s", cli_call(call, noun), command->verb);
    usage_options(text, command, true);
    usage_options(text, command, false);
    if (command->more_words != NULL) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, " %s", command->more_words);
    }
    put_wrapped(out, head, 7, text[0] == ' ' ? text + 1 : text);
}

static bool is_in_words(const char *words, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = words; at != NULL && *at != '\0';) {
        const size_t word = strcspn(at, " ");
        if (word == length && strncmp(at, name, length) == 0) {
            return true;
        }
        at += word + (at[word] == ' ');
    }
    return false;
}

static bool is_grouped(const struct cli_command *command, const struct cli_option *option)
{
    bool found = false;
    for (size_t i = 0; i < command->group_count; i++) {
        found = found || is_in_words(command->groups[i].options, option->name);
    }
    return found;
}

/* What stands in no group first. */
static void help_options(FILE *out, const struct cli_command *command)
{
    const int width = help_width(command);
    for (size_t i = 0; i < command->option_count; i++) {
        if (!is_grouped(command, &command->options[i])) {
            help_option(out, width, command, &command->options[i]);
        }
    }
    for (size_t group = 0; group < command->group_count; group++) {
        bool said = false;
        for (size_t i = 0; i < command->option_count; i++) {
            if (!is_in_words(command->groups[group].options, command->options[i].name)) {
                continue;
            }
            if (!said) {
                fprintf(out, "\n%s:\n", command->groups[group].heading);
                said = true;
            }
            help_option(out, width, command, &command->options[i]);
        }
    }
}

void cli_help_command(FILE *out, const struct cli_noun *noun, const struct cli_command *command)
{
    char call[CLI_CALL_SIZE];
    const int width = help_width(command);
    fprintf(out, "%s %s: %s\n\n", cli_call(call, noun), command->verb, command->summary);
    help_usage(out, noun, command);
    if (command->teach != NULL) {
        fprintf(out, "\n%s\n", command->teach);
    }
    if (command->option_count > 0) {
        fprintf(out, "\n");
    }
    help_options(out, command);
    if (command->sends || command->action != 0) {
        fprintf(out, "\nfor every command that sends a transaction:\n");
        for (size_t i = 0; i < cli_sender_count; i++) {
            help_option(out, width, NULL, &cli_sender_options[i]);
        }
    }
    fprintf(out, "\neverywhere:\n");
    for (size_t i = 0; i < cli_common_count; i++) {
        help_option(out, width, NULL, &cli_common_options[i]);
    }
}

/* --- records for people ------------------------------------------------------------------- */

static bool key_ends(const char *key, const char *suffix)
{
    size_t key_length = strlen(key);
    size_t length = strlen(suffix);
    return key_length >= length && strcmp(key + key_length - length, suffix) == 0;
}

/* A span of time is short, a point in time is at least years after 1970. */
enum { POINT_IN_TIME_MS_MIN = 1000000000 };

/* A point in time that a record leaves open is zero; nothing on a ledger happened in 1970. */
static const char *ms_text(char text[VALUE_TEXT_SIZE], const char *key, int64_t number)
{
    static const char *const points[] = {"_from_ms", "_until_ms", "time_ms", "dispute_deadline_ms",
                                         "bound_by_ms"};
    if (number > POINT_IN_TIME_MS_MIN * (int64_t)100) {
        return value_time_text(text, number);
    }
    for (size_t i = 0; number == 0 && i < sizeof points / sizeof points[0]; i++) {
        if (key_ends(key, points[i])) {
            return "-";
        }
    }
    return value_duration_text(text, number);
}

/* A hash or key that a record leaves open. */
static bool is_zero_hash(const char *text)
{
    size_t length = strlen(text);
    return length >= 64 && strspn(text, "0") == length;
}

static void scalar_words(char *out, size_t size, const char *key, const struct cJSON *value)
{
    char text[VALUE_TEXT_SIZE];
    int64_t number;
    if (cJSON_IsBool(value)) {
        snprintf(out, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    } else if (cJSON_IsNull(value)) {
        snprintf(out, size, "none");
    } else if (cJSON_IsNumber(value)) {
        snprintf(out, size, "%.15g", value->valuedouble);
    } else if (!cJSON_IsString(value)) {
        snprintf(out, size, "...");
    } else if (!int64_from_text(&number, value->valuestring)) {
        const char *shown = value->valuestring;
        snprintf(out, size, "%s", shown[0] == '\0' || is_zero_hash(shown) ? "-" : shown);
    } else if (key_ends(key, "_ueur")) {
        snprintf(out, size, "%s EUR", value_eur_text(text, number));
    } else if (key_ends(key, "_ueur_per_kwh")) {
        snprintf(out, size, "%s EUR/kWh", value_eur_text(text, number));
    } else if (key_ends(key, "_wh")) {
        snprintf(out, size, "%s Wh", value->valuestring);
    } else if (key_ends(key, "_w")) {
        snprintf(out, size, "%s W", value->valuestring);
    } else if (key_ends(key, "_ms")) {
        snprintf(out, size, "%s", ms_text(text, key, number));
    } else if (strcmp(key, "cosigned_s") == 0 && number > 0 && number <= UINT32_MAX) {
        snprintf(out, size, "%s", value_time_text(text, number * 1000));
    } else {
        snprintf(out, size, "%s", value->valuestring);
    }
}

/* What comes from a node must not steer the terminal that it is shown on. */
static void scalar_text(char *out, size_t size, const char *key, const struct cJSON *value)
{
    scalar_words(out, size, key, value);
    text_clean(out);
}

/* The key as people read it: without its unit, which the value shows. */
static void key_text(char *out, size_t size, const char *key)
{
    static const char *const suffixes[] = {"_ueur_per_kwh", "_ueur", "_wh", "_w", "_ms", "_s"};
    size_t length = strlen(key);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (key_ends(key, suffixes[i]) && length > strlen(suffixes[i])) {
            length -= strlen(suffixes[i]);
            break;
        }
    }
    snprintf(out, size, "%.*s", (int)length, key);
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '_') {
            *at = ' ';
        }
    }
}

static void say_node(struct cli *cli, const char *key, const struct cJSON *value, int indent,
                     int width);

/* Values of one record stand in one column, which also the records of a page share as far as their
 * names let them. */
enum { VALUE_COLUMN = 20 };

static int names_width(const struct cJSON *parent, int indent)
{
    const struct cJSON *child;
    int width = indent < VALUE_COLUMN ? VALUE_COLUMN - indent : 0;
    cJSON_ArrayForEach(child, parent)
    {
        char name[COLUMN_NAME_SIZE];
        const bool nested = cJSON_IsObject(child) || cJSON_IsObject(child->child);
        if (child->string == NULL || nested) {
            continue;
        }
        key_text(name, sizeof name, child->string);
        const int length = (int)strlen(name);
        width = length > width ? length : width;
    }
    return width;
}

static void say_children(struct cli *cli, const struct cJSON *parent, int indent)
{
    const struct cJSON *child;
    const int width = names_width(parent, indent);
    cJSON_ArrayForEach(child, parent)
    {
        say_node(cli, child->string != NULL ? child->string : "-", child, indent, width);
    }
}

/* Record under record, each led by a dash. */
static void say_records(struct cli *cli, const struct cJSON *array, int indent)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        cli_say(cli, "%*s-\n", indent, "");
        say_children(cli, item, indent + INDENT_STEP);
    }
}

static void say_strings(struct cli *cli, const struct cJSON *array)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        cli_say(cli, "%s%s", item == array->child ? "" : ", ", item->valuestring);
    }
    cli_say(cli, "%s\n", array->child == NULL ? "none" : "");
}

/* Recursion is bounded by JSON_DEPTH_MAX: whatever is printed came through the strict reader or was
 * made by a command. */
static void say_node(struct cli *cli, const char *key, const struct cJSON *value, int indent,
                     int width)
{
    char name[COLUMN_NAME_SIZE];
    char text[2048];
    key_text(name, sizeof name, key);
    if (cJSON_IsArray(value) && cJSON_IsObject(value->child)) {
        cli_say(cli, "%*s%s\n", indent, "", name);
        say_records(cli, value, indent + INDENT_STEP);
    } else if (cJSON_IsArray(value) && (value->child == NULL || cJSON_IsString(value->child))) {
        cli_say(cli, "%*s%-*s ", indent, "", width, name);
        say_strings(cli, value);
    } else if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
        cli_say(cli, "%*s%s\n", indent, "", name);
        say_children(cli, value, indent + INDENT_STEP);
    } else {
        scalar_text(text, sizeof text, key, value);
        cli_say(cli, "%*s%-*s %s\n", indent, "", width, name, text);
    }
}

void cli_say_object(struct cli *cli, const struct cJSON *object)
{
    say_children(cli, object, 0);
}

struct table {
    size_t count;
    char keys[TABLE_COLUMNS_MAX][COLUMN_NAME_SIZE];
    int widths[TABLE_COLUMNS_MAX];
};

static void table_columns(struct table *table, const char *columns)
{
    table->count = 0;
    for (const char *at = columns; *at != '\0';) {
        /* A column that silently stayed away would be taken for one that is empty. */
        MUST(table->count < TABLE_COLUMNS_MAX);
        size_t length = strcspn(at, " ");
        snprintf(table->keys[table->count], COLUMN_NAME_SIZE, "%.*s", (int)length, at);
        char name[COLUMN_NAME_SIZE];
        key_text(name, sizeof name, table->keys[table->count]);
        table->widths[table->count] = (int)strlen(name);
        table->count++;
        at += length + (at[length] == ' ');
    }
}

static void table_cell(char out[CELL_SIZE], const struct cJSON *item, const char *key)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    if (value == NULL) {
        /* A market's terms are a record inside its record. */
        value = cJSON_GetObjectItemCaseSensitive(json_object(item, "terms"), key);
    }
    out[0] = '\0';
    if (cJSON_IsArray(value)) {
        size_t used = 0;
        const struct cJSON *part;
        cJSON_ArrayForEach(part, value)
        {
            if (cJSON_IsString(part) && used < CELL_SIZE) {
                used += (size_t)snprintf(out + used, CELL_SIZE - used, "%s%s", used > 0 ? "," : "",
                                         part->valuestring);
            }
        }
    } else if (value != NULL) {
        scalar_text(out, CELL_SIZE, key, value);
    }
}

/* Of a hash that stands among other columns, the first digits are what people compare. */
enum { HASH_DIGITS = 64, HASH_DIGITS_SHOWN = 12 };

static void shorten_hash(char cell[CELL_SIZE])
{
    if (strlen(cell) == HASH_DIGITS && strspn(cell, "0123456789abcdef") == HASH_DIGITS) {
        snprintf(cell + HASH_DIGITS_SHOWN, CELL_SIZE - HASH_DIGITS_SHOWN, "...");
    }
}

static int terminal_columns(const struct cli *cli)
{
    const int columns = cli->json ? 0 : text_columns(cli->out);
    return columns > 0 ? columns : INT_MAX;
}

/* One row; no blanks behind its last cell. Its head is bold where there are colours. */
static void say_row(struct cli *cli, const struct table *table, const struct cJSON *item)
{
    char line[TABLE_COLUMNS_MAX * (2 * CELL_SIZE + 2)];
    size_t used = 0;
    const bool bold = item == NULL && !cli->json && text_may_colour(cli->out);
    for (size_t i = 0; i < table->count; i++) {
        char cell[CELL_SIZE];
        if (item == NULL) {
            key_text(cell, COLUMN_NAME_SIZE, table->keys[i]);
        } else {
            table_cell(cell, item, table->keys[i]);
            shorten_hash(cell);
        }
        const int blanks = table->widths[i] - (int)text_width(cell);
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s%*s", i > 0 ? "  " : "",
                                 cell, blanks > 0 ? blanks : 0, "");
    }
    while (used > 0 && line[used - 1] == ' ') {
        line[--used] = '\0';
    }
    cli_say(cli, "%s%s%s\n", bold ? "\033[1m" : "", line, bold ? "\033[0m" : "");
}

/* Where the terminal is too narrow for the table: a line for each cell, a gap behind each row. */
static void say_upright(struct cli *cli, const struct table *table, const struct cJSON *items)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        for (size_t i = 0; i < table->count; i++) {
            char name[COLUMN_NAME_SIZE];
            char cell[CELL_SIZE];
            key_text(name, sizeof name, table->keys[i]);
            table_cell(cell, item, table->keys[i]);
            cli_say(cli, "%-20s %s\n", name, cell);
        }
        cli_say(cli, "%s", item->next != NULL ? "\n" : "");
    }
}

void cli_say_table(struct cli *cli, const struct cJSON *items, const char *columns)
{
    struct table table;
    char cell[CELL_SIZE];
    int width = 0;
    table_columns(&table, columns);
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        for (size_t i = 0; i < table.count; i++) {
            table_cell(cell, item, table.keys[i]);
            shorten_hash(cell);
            int cell_width = (int)text_width(cell);
            table.widths[i] = cell_width > table.widths[i] ? cell_width : table.widths[i];
        }
    }
    for (size_t i = 0; i < table.count; i++) {
        width += table.widths[i] + (i > 0 ? 2 : 0);
    }
    if (width > terminal_columns(cli)) {
        say_upright(cli, &table, items);
        return;
    }
    say_row(cli, &table, NULL);
    cJSON_ArrayForEach(item, items)
    {
        say_row(cli, &table, item);
    }
}
