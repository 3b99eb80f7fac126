/* flex market update: see noun_market_update.c. */
#ifndef FLEX_TOOLS_NOUN_MARKET_UPDATE_H
#define FLEX_TOOLS_NOUN_MARKET_UPDATE_H

#include "tools/cli.h"

/* The terms of a market as options of a struct market_create: NAME, those that can change, the others.
 * `flex market create` takes all of them, `update` those that can change: of them only what is given
 * counts. */
enum { MARKET_TERMS_THAT_CHANGE = 36 };
extern const struct cli_option market_terms_options[];

int market_update_run(struct cli *cli, void *arguments);

#endif
