/* Whether a market would take an order, as far as its own terms say (docs/spec/market.md): what a wallet can
 * know before it sends. The ledger asks the same and more, such as whose device it is and what else it has
 * promised. */
#ifndef FLEX_TOOLS_ORDER_CHECK_H
#define FLEX_TOOLS_ORDER_CHECK_H

#include "contracts/errors.h"
#include "contracts/records.h"
#include "tools/order_sheet.h"

/* The refusal that the ledger's own checks of market and amounts would give at chain time `now`, the first in
 * its order; CONTRACT_OK if there is none. */
enum contract_error order_check(const struct order_row *row, const struct market_record *market,
                                struct timestamp now);
/* What it locks: a request price x quantity, an offer its deposit; false if that overflows. */
bool order_locks(struct money *out, const struct order_row *row,
                 const struct market_record *market);
/* Whether an offer in this market declares a schedule. */
bool order_needs_schedule(const struct market_create *terms);

#endif
