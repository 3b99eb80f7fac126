/* flex token reserves (tools/noun_reserves.c), for the table of flex token. */
#ifndef FLEX_TOOLS_NOUN_RESERVES_H
#define FLEX_TOOLS_NOUN_RESERVES_H

#include "tools/cli.h"

struct noun_reserves {
    bool verify;
    const char *directory; /* NULL: none */
};
enum { NOUN_RESERVES_OPTIONS = 2 };
extern const struct cli_option noun_reserves_options[NOUN_RESERVES_OPTIONS];
int noun_reserves_run(struct cli *cli, void *arguments);

#endif
