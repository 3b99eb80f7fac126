/* `flex order place --csv`: a table of orders, checked as a whole and placed a transaction at a time, none
 * twice (docs/wallet.md, "Many orders at once"). */
#ifndef FLEX_TOOLS_ORDER_BATCH_H
#define FLEX_TOOLS_ORDER_BATCH_H

#include "tools/cli.h"

struct order_batch {
    const char *csv;
    uint32_t per_transaction;
    bool sign_again; /* what the node does not know, and whose nonce is used, was not executed */
};
int order_batch_run(struct cli *cli, void *arguments);

#endif
