/* Coupled auctions on the ledger (market-rules 7; D2.3 3.3; MFX II.B; docs/spec/coupled.md 10 to 14;
 * docs/adr/0050-coupled-auctions-on-the-ledger.md).
 *
 * A coupled market clears all bids of several delivery periods, at all nodes of a network and of all its
 * carriers, at once. Bids come in portfolios, which say how they are linked. At the gate the problem is
 * fixed, and every node makes a solution of its own, the floor; for some blocks anybody may propose a
 * better one, which every node checks in exact integers; then the best is carried out.
 *
 * The pure part is contracts/clear_coupled.h, bytes of problems and solutions are
 * contracts/coupled_problem.h. NULL is never a valid argument. */
#ifndef FLEX_CONTRACTS_COUPLED_H
#define FLEX_CONTRACTS_COUPLED_H

#include "contracts/book.h"
#include "contracts/coupled_problem.h"

enum {
    /* Wrong solutions of one participant in one auction; after them none is looked at. */
    COUPLED_STRIKES_MAX = 3,
    COUPLED_WINDOW_MAX = 1000,  /* blocks */
    COUPLED_FORECASTS_MAX = 96, /* auctions ahead */
    COUPLED_AUCTIONS_PER_BLOCK_MAX = 4096
};

#endif
