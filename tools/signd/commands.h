/* flexsignd's command table (tools/flexsignd_main.c). */
#ifndef FLEX_TOOLS_SIGND_COMMANDS_H
#define FLEX_TOOLS_SIGND_COMMANDS_H

#include "tools/cli.h"

extern const struct cli_noun signd_noun;
/* The manual page flexsignd(1). */
void signd_man_page(FILE *out);

#endif
