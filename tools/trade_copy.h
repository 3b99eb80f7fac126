/* Copies of trades, line by line against the ledger's proven records of deals (D5.5 3.2.6, verification
 * service; docs/spec/meter.md 7).
 *
 * A copy is CSV with a header or JSON ({"items":[...]} or an array), as `flex deal list` and `flex deal
 * trades` print them, or with fewer columns; `id` or `deal` says which deal a line is about. */
#ifndef FLEX_TOOLS_TRADE_COPY_H
#define FLEX_TOOLS_TRADE_COPY_H

#include "contracts/records.h"
#include "tools/cli.h"
#include "tools/copy_verify.h"

enum { TRADE_COLUMNS_MAX = 64, TRADE_LINES_MAX = 100000 };

/* A deal with the terms that it was made under; an exit code. */
struct trade_ledger {
    void *context;
    int (*deal)(void *context, struct deal_record *out, bool *absent, uint64_t id);
    int (*terms)(void *context, struct market_create *out, const struct deal_record *deal);
};
struct trade_ledger trade_ledger_of_session(struct session *session);

struct trade_verdict {
    uint64_t trades; /* lines that are the ledger's */
    /* NULL: all of them. Else bad_row, unknown_deal, wrong_trade (what was agreed), outdated (what became
     * of it since), twice. */
    const char *code;
    uint64_t line;
    char reason[COPY_REASON_SIZE];
    char not_checked[256]; /* columns that no record of the deal holds, with blanks between */
};

/* Called with each line's deal once it has been found right; false ends with CLI_USAGE, having said why. */
typedef bool (*trade_fn)(void *context, uint64_t id, const struct deal_record *deal);
/* CLI_DONE: *out says what was found. `visit` may be NULL. */
int trade_copy_verify(struct cli *cli, struct trade_verdict *out, const struct trade_ledger *ledger,
                      const char *path, trade_fn visit, void *context);

#endif
