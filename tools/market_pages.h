/* `flex order events | deal trades | token fees`: a node's order events, trades and fees, page by page
 * (docs/spec/api.md, "Market data"). */
#ifndef FLEX_TOOLS_MARKET_PAGES_H
#define FLEX_TOOLS_MARKET_PAGES_H

#include "tools/cli.h"

struct market_pages {
    struct name market;
    struct name participant;
    uint64_t from_height; /* 0: the first block */
    uint64_t to_height;   /* 0: the newest */
    const char *after;    /* an earlier answer's `next`, or NULL */
    uint64_t limit;       /* 0: MARKET_PAGES_ROWS_MAX */
    bool csv;
    uint64_t order; /* 0: all */
};
/* Rows that one command prints, and requests that it makes for them, at most; it says where to go on. */
enum { MARKET_PAGES_ROWS_MAX = 1000000, MARKET_PAGES_REQUESTS_MAX = 1000000 };

/* The last option, --order, is not one of fees; nor the first, --market, of movements. */
enum { MARKET_PAGES_OPTIONS = 8, MARKET_PAGES_FEE_OPTIONS = 7 };
extern const struct cli_option market_pages_options[MARKET_PAGES_OPTIONS];
int market_pages_order_events(struct cli *cli, void *arguments);
int market_pages_trades(struct cli *cli, void *arguments);
int market_pages_fees(struct cli *cli, void *arguments);
int market_pages_movements(struct cli *cli, void *arguments);

#endif
