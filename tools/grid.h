/* The noun `grid` (tools/grid.c). */
#ifndef FLEX_TOOLS_GRID_H
#define FLEX_TOOLS_GRID_H

#include "tools/cli.h"

enum { FEEDER_DESCRIPTION_BYTES_MAX = 65536 };

extern const struct cli_noun grid_noun;

#endif
