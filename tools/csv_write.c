/* Writing tables for other programs (tools/csv_write.h; RFC 4180).
 *
 * Invariants: every line has as many fields as the first; a file is replaced whole, so a billing system
 * that polls a directory never reads half a bill; text that a spreadsheet would take for a formula has an
 * apostrophe before it, numbers never.
 *
 * Deliberately absent: a choice of separators and of decimal points. Amounts are whole micro-euros. */
#include "tools/csv_write.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "base/files.h"

enum { COLUMN_NAME_SIZE = 64 };

/* What a spreadsheet would compute. Names and ids never begin like that, but what a node says unproven may. */
static bool is_formula(const char *text)
{
    int64_t number;
    return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL &&
           !int64_from_text(&number, text);
}

static void write_field(FILE *out, const char *text)
{
    const bool formula = is_formula(text);
    if (!formula && strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    if (formula) {
        fputc('\'', out);
    }
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_cell(FILE *out, const struct cJSON *cell)
{
    if (cJSON_IsString(cell)) {
        write_field(out, cell->valuestring);
    } else if (cJSON_IsBool(cell)) {
        fputs(cJSON_IsTrue(cell) ? "true" : "false", out);
    } else if (cJSON_IsNumber(cell)) {
        fprintf(out, "%.0f", cell->valuedouble);
    }
}

/* The header where `row` is NULL. */
static void write_row(FILE *out, const char *columns, const struct cJSON *row)
{
    const char *at = columns;
    while (*at != '\0') {
        char name[COLUMN_NAME_SIZE];
        size_t size = strcspn(at, " ");
        MUST(size > 0 && size < sizeof name);
        memcpy(name, at, size);
        name[size] = '\0';
        if (at != columns) {
            fputc(',', out);
        }
        if (row == NULL) {
            fputs(name, out);
        } else {
            write_cell(out, cJSON_GetObjectItemCaseSensitive(row, name));
        }
        at += size + (at[size] == ' ');
    }
    fputs("\r\n", out);
}

int csv_write(struct cli *cli, const char *path, const char *columns, const struct cJSON *rows)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    write_row(out, columns, NULL);
    const struct cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        write_row(out, columns, row);
    }
    MUST(fclose(out) == 0 && text != NULL);
    bool ok = files_write(path, text, size, 0644);
    int fault = errno;
    free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

int csv_write_in(struct cli *cli, const char *directory, const char *name, const char *columns,
                 const struct cJSON *rows)
{
    char path[FILES_PATH_SIZE];
    char file[COLUMN_NAME_SIZE];
    int size = snprintf(file, sizeof file, "%s.csv", name);
    MUST(size > 0 && (size_t)size < sizeof file);
    if (!files_make_directory(directory) || !files_join(path, directory, file)) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", directory, strerror(errno));
    }
    return csv_write(cli, path, columns, rows);
}
