/* Tables for other programs, as RFC 4180 has them: lines end in CR LF, a field that holds a comma, a quote
 * or a line break is quoted, the first line names the columns. */
#ifndef FLEX_TOOLS_CSV_WRITE_H
#define FLEX_TOOLS_CSV_WRITE_H

#include "tools/cli.h"

struct cJSON;

/* Writes `rows` (an array of objects) with the space-separated `columns` into the file, whole or not at
 * all; a member that an object lacks, or that is null, is an empty field. CLI_DONE, or CLI_USAGE with
 * "unwritable". */
int csv_write(struct cli *cli, const char *path, const char *columns, const struct cJSON *rows);
/* The same into DIRECTORY/NAME.csv; makes the directory. */
int csv_write_in(struct cli *cli, const char *directory, const char *name, const char *columns,
                 const struct cJSON *rows);

#endif
