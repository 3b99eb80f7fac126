/* Shared parts of the regulator's commands (tools/audit_command.h).
 *
 * Invariants: no table is printed out of an export that did not verify; a CSV file is complete or the
 * command fails; a CSV field that holds a comma, a quote or a line break is quoted (RFC 4180). */
#include "tools/audit_command.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/nouns.h"

static void add_outcome(struct cli *cli, const struct audit_outcome *outcome)
{
    char hex[2 * HASH_SIZE + 1];
    cJSON_AddBoolToObject(cli->result, "ok", outcome->ok);
    json_add_u64(cli->result, "height", outcome->height);
    if (!outcome->ok) {
        cJSON_AddStringToObject(cli->result, "reason", outcome->reason);
        return;
    }
    if (outcome->from > 0) {
        json_add_u64(cli->result, "from_checkpoint", outcome->from);
    }
    hex_encode(hex, outcome->state_root.bytes, HASH_SIZE);
    cJSON_AddStringToObject(cli->result, "state_root", hex);
    hex_encode(hex, outcome->log_root.bytes, HASH_SIZE);
    cJSON_AddStringToObject(cli->result, "log_root", hex);
    json_add_u64(cli->result, "transactions", outcome->transactions);
    cJSON_AddNumberToObject(cli->result, "seconds", (double)outcome->milliseconds / 1000.0);
}

int audit_command_verify(struct cli *cli, struct audit **out, const char *directory,
                         struct audit_options *options)
{
    struct audit_outcome outcome;
    return audit_command_outcome(cli, out, &outcome, directory, options);
}

int audit_command_outcome(struct cli *cli, struct audit **out, struct audit_outcome *outcome,
                          const char *directory, struct audit_options *options)
{
    static struct genesis genesis;
    *out = NULL;
    int status = session_load_genesis(cli, &genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!files_exists(directory)) {
        return cli_fail(cli, CLI_USAGE, "no_export", "there is no directory %s", directory);
    }
    options->progress = isatty(STDERR_FILENO) ? cli->err : NULL;
    *out = audit_run(outcome, directory, &genesis, options);
    if (*out == NULL) {
        return outcome->bad_checkpoint
                   ? cli_fail(cli, CLI_UNPROVEN, "bad_checkpoint", "%s", outcome->reason)
                   : cli_fail(cli, CLI_USAGE, "bad_genesis", "%s", outcome->reason);
    }
    add_outcome(cli, outcome);
    return outcome->ok ? CLI_DONE
                       : cli_fail(cli, CLI_UNPROVEN, "audit_failed", "block %llu: %s",
                                  (unsigned long long)outcome->height, outcome->reason);
}

void audit_add_name(struct cJSON *object, const char *key, const struct name *name)
{
    char text[NAME_SIZE + 1];
    cJSON_AddStringToObject(object, key, name_to_text(text, name));
}

/* --- tables -------------------------------------------------------------------------------- */

static void write_field(FILE *csv, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, csv);
        return;
    }
    fputc('"', csv);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, csv);
    }
    fputc('"', csv);
}

/* The header, or one row: calls for each column. */
static void write_line(const struct audit_table *table, const struct cJSON *row_or_null)
{
    char key[64];
    const char *at = table->columns;
    while (*at != '\0') {
        size_t length = strcspn(at, " ");
        MUST(length < sizeof key);
        memcpy(key, at, length);
        key[length] = '\0';
        if (at != table->columns) {
            fputc(',', table->csv);
        }
        at += length + strspn(at + length, " ");
        const struct cJSON *cell =
            row_or_null != NULL ? cJSON_GetObjectItemCaseSensitive(row_or_null, key) : NULL;
        if (row_or_null == NULL) {
            write_field(table->csv, key);
        } else if (cJSON_IsString(cell)) {
            write_field(table->csv, cell->valuestring);
        } else if (cJSON_IsBool(cell)) {
            write_field(table->csv, cJSON_IsTrue(cell) ? "true" : "false");
        } else if (cJSON_IsNumber(cell)) {
            fprintf(table->csv, "%.0f", cell->valuedouble);
        }
    }
    fputc('\n', table->csv);
}

int audit_table_begin(struct audit_table *table, bool csv, const char *directory_or_null)
{
    struct cli *cli = table->cli;
    char path[FILES_PATH_SIZE];
    char file[64];
    table->csv = NULL;
    table->owns_csv = false;
    table->items = NULL;
    if (csv && cli->json) {
        return cli_fail(cli, CLI_USAGE, "two_formats", "--csv and --json exclude each other");
    }
    if (csv) {
        table->csv = cli->out;
    } else if (directory_or_null != NULL) {
        snprintf(file, sizeof file, "%s.csv", table->name);
        if (!files_make_directory(directory_or_null) ||
            !files_join(path, directory_or_null, file) || (table->csv = fopen(path, "w")) == NULL) {
            return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", directory_or_null,
                            strerror(errno));
        }
        table->owns_csv = true;
    } else {
        table->items = cJSON_AddArrayToObject(cli->result, table->name);
        MUST(table->items != NULL);
        return CLI_DONE;
    }
    write_line(table, NULL);
    return CLI_DONE;
}

void audit_table_row(struct audit_table *table, struct cJSON *row)
{
    MUST(row != NULL);
    if (table->csv == NULL) {
        cJSON_AddItemToArray(table->items, row);
        return;
    }
    write_line(table, row);
    cJSON_Delete(row);
}

int audit_table_end(struct audit_table *table)
{
    struct cli *cli = table->cli;
    if (table->owns_csv) {
        bool lost = ferror(table->csv) != 0;
        lost = fclose(table->csv) != 0 || lost;
        table->csv = NULL;
        if (lost) {
            return cli_fail(cli, CLI_USAGE, "unwritable", "%s.csv: %s", table->name,
                            strerror(errno));
        }
    } else if (table->items != NULL && !cli->json) {
        cli_say_table(cli, table->items, table->shown);
    }
    return CLI_DONE;
}
