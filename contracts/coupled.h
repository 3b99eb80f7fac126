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
    COUPLED_WINDOW_MAX = 1000, /* blocks */
    COUPLED_AUCTIONS_PER_BLOCK_MAX = 4096
};
/* Steps of one auction's floor: a quarter of a second, forty times what
 * 10,000 divisible bids on 100 nodes need. */
static const uint64_t coupled_floor_steps_of_auction = 8000000;

/* Whether the market's orders come in portfolios and clear together. */
bool market_is_coupled(const struct market_create *terms);
/* Where the auction starts that an order for this period belongs to; in any other market the period itself. */
struct timestamp coupled_start_of(const struct market_create *terms, struct timestamp period_start);

/* Takes back what still stands of an open order's portfolio. GATE_CLOSED: the order's own gate has closed, or
 * a solution is looked for whose horizon has it, or it was bound already. */
enum contract_error coupled_take_back(struct contract_call *call, uint64_t order,
                                      const struct market_create *terms);

/* Fixes the problems of auctions whose gate has closed, and clears those whose window is over, the longest
 * due first, as far as the block's share of work and room reach. */
void coupled_block_end(struct contract_call *call);

/* Working memory; the ledger owns it. NULL if memory ran out. */
struct coupled_scratch;
struct coupled_scratch *coupled_scratch_create(void);
void coupled_scratch_destroy(struct coupled_scratch *scratch);
struct coupled_scratch *ledger_coupled_scratch(struct ledger *ledger);

/* Puts an auction's pages together: its problem's or best solution's bytes, of which its record says how
 * many there are. NULL: a page is not there. Each page is `read` by its key. */
bool coupled_pages_read(uint8_t *out, size_t size, const struct name *market,
                        struct timestamp start, uint8_t direction, enum coupled_page_of what,
                        bool (*read)(void *context, const struct state_key *key,
                                     struct coupled_page_record *page),
                        void *context);

#endif
