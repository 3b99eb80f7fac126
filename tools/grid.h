/* The noun `grid` (tools/grid.c). */
#ifndef FLEX_TOOLS_GRID_H
#define FLEX_TOOLS_GRID_H

#include "tools/cli.h"

enum { FEEDER_DESCRIPTION_BYTES_MAX = 65536 };

extern const struct cli_noun grid_noun;

/* flex grid rows (tools/grid_rows_command.c). */
enum { GRID_ROWS_OPTIONS = 9, GRID_ROWS_ARGUMENTS_SIZE = 128 };
extern const struct cli_option grid_rows_options[GRID_ROWS_OPTIONS];
int grid_rows_run(struct cli *cli, void *arguments);

#endif
