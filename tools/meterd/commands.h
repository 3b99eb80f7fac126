/* flexmeterd's command table (tools/flexmeterd_main.c). */
#ifndef FLEX_TOOLS_METERD_COMMANDS_H
#define FLEX_TOOLS_METERD_COMMANDS_H

#include "tools/cli.h"

extern const struct cli_noun meterd_noun;
/* The manual page flexmeterd(1). */
void meterd_man_page(FILE *out);

#endif
