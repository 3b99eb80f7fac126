/* flex market update: see noun_market_update.c. */
#ifndef FLEX_TOOLS_NOUN_MARKET_UPDATE_H
#define FLEX_TOOLS_NOUN_MARKET_UPDATE_H

#include "tools/cli.h"

/* Its argument struct is a struct market_create, of which only what is given counts. */
enum { MARKET_UPDATE_OPTIONS = 32 };
extern const struct cli_option market_update_options[MARKET_UPDATE_OPTIONS];
int market_update_run(struct cli *cli, void *arguments);

#endif
