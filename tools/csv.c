/* Tables with a header line, read whole into memory and cut in place (csv.h).
 *
 * Invariants: a table either is complete (every row has all its fields) or does not exist; no
 * number ever passes through floating point, so 0.1 kWh is 100 Wh and nothing else. Deliberately
 * absent: quoting, escapes, guessing of separators inside a file. */
#include "tools/csv.h"

#include "base/checked.h"
#include "node/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CSV_PROBLEM_SIZE >= (int)NODE_PROBLEM_SIZE, "messages of node_file_read fit");

/* Cuts one line, which ends in NUL, at the separators. Returns the number of fields, or 0 if there
 * are more than `most`. */
static uint32_t cut_line(char *line, char separator, const char **fields, uint32_t most)
{
    uint32_t count = 0;
    for (char *at = line; at != NULL;) {
        if (count == most) {
            return 0;
        }
        fields[count++] = at;
        at = strchr(at, separator);
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return count;
}

/* Ends the line at `at` with NUL and returns where the next one starts, NULL behind the last. */
static char *end_line(char *at)
{
    char *end = strchr(at, '\n');
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    if (end > at && end[-1] == '\r') {
        end[-1] = '\0';
    }
    return end[1] == '\0' ? NULL : end + 1;
}

static bool cut_rows(struct csv_table *table, char *next, char separator,
                     char problem[CSV_PROBLEM_SIZE])
{
    size_t lines = 0;
    for (const char *at = next; at != NULL && *at != '\0'; at++) {
        lines += *at == '\n' || at[1] == '\0';
    }
    table->fields = calloc(lines * table->columns + 1, sizeof(*table->fields));
    if (table->fields == NULL) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%s: out of memory", table->name);
        return false;
    }
    while (next != NULL) {
        char *line = next;
        next = end_line(line);
        const char **row = table->fields + (size_t)table->rows * table->columns;
        if (cut_line(line, separator, row, table->columns) != table->columns) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%s:%u: not %u fields as in the header",
                     table->name, table->rows + 2, table->columns);
            return false;
        }
        table->rows++;
    }
    return true;
}

bool csv_read(struct csv_table *out, const char *path, char problem[CSV_PROBLEM_SIZE])
{
    memset(out, 0, sizeof(*out));
    size_t size = 0;
    out->text = node_file_read(path, CSV_BYTES_MAX, &size, problem);
    if (out->text == NULL) {
        return false;
    }
    snprintf(out->name, sizeof(out->name), "%.200s", path);
    if (size == 0 || strlen(out->text) != size) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%s: empty, or holds a zero byte", out->name);
        csv_free(out);
        return false;
    }
    char *next = end_line(out->text);
    char separator = strchr(out->text, ';') != NULL ? ';' : ',';
    out->columns = cut_line(out->text, separator, out->header, CSV_COLUMNS_MAX);
    if (out->columns == 0) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%s:1: over %d columns", out->name, CSV_COLUMNS_MAX);
    }
    if (out->columns == 0 || !cut_rows(out, next, separator, problem)) {
        csv_free(out);
        return false;
    }
    return true;
}

void csv_free(struct csv_table *table)
{
    free(table->text);
    free(table->fields);
    memset(table, 0, sizeof(*table));
}

bool csv_column(uint32_t *out, const struct csv_table *table, const char *name,
                char problem[CSV_PROBLEM_SIZE])
{
    for (uint32_t column = 0; column < table->columns; column++) {
        if (strcmp(table->header[column], name) == 0) {
            *out = column;
            return true;
        }
    }
    snprintf(problem, CSV_PROBLEM_SIZE, "%.180s: no column '%.60s'", table->name, name);
    return false;
}

const char *csv_field(const struct csv_table *table, uint32_t row, uint32_t column)
{
    return table->fields[(size_t)row * table->columns + column];
}

bool decimal_to_scaled(int64_t *out, const char *text, unsigned decimals)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    int64_t value = 0;
    unsigned behind = 0;
    bool point = false;
    bool digits = false;
    for (; *at != '\0'; at++) {
        if (*at == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (*at < '0' || *at > '9') {
            return false;
        }
        digits = true;
        if (point && behind == decimals) {
            if (*at != '0') {
                return false;
            }
            continue;
        }
        behind += point;
        if (!checked_mul_i64(&value, value, 10) ||
            !checked_add_i64(&value, value, (int64_t)(*at - '0'))) {
            return false;
        }
    }
    for (; behind < decimals; behind++) {
        if (!checked_mul_i64(&value, value, 10)) {
            return false;
        }
    }
    if (!digits || at[-1] == '.') {
        return false;
    }
    *out = negative ? -value : value;
    return true;
}

bool csv_scaled(int64_t *out, const struct csv_table *table, uint32_t row, uint32_t column,
                unsigned decimals, char problem[CSV_PROBLEM_SIZE])
{
    const char *text = csv_field(table, row, column);
    if (decimal_to_scaled(out, text, decimals)) {
        return true;
    }
    snprintf(problem, CSV_PROBLEM_SIZE,
             "%.160s:%u: '%.40s' in column %.40s is not a decimal with at most %u digits behind "
             "the point",
             table->name, row + 2, text, table->header[column], decimals);
    return false;
}
