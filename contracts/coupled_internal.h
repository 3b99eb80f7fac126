/* What the files of coupled auctions on the ledger share, and nobody else sees. */
#ifndef FLEX_CONTRACTS_COUPLED_INTERNAL_H
#define FLEX_CONTRACTS_COUPLED_INTERNAL_H

#include "contracts/auction_internal.h"
#include "contracts/coupled.h"

enum {
    /* Of any solution, the floor's too, which may be longer than what a transaction carries: ten bytes at
     * most for each number. */
    COUPLED_SOLUTION_BYTES_MAX =
        10 * (COUPLED_AUCTION_BIDS_MAX + 1 + COUPLED_AUCTION_CELLS_MAX + COUPLED_AUCTION_LINKS_MAX),
    /* Bids of one auction and what they are loaded from: order, its place, its right. */
    COUPLED_WORK_PER_BID = 8,
    /* Records of solvers that one block lets go, of one auction. */
    COUPLED_RELEASES_MAX = 256,
    /* Portfolios that one clearing may change: of a problem, and of what was placed since. */
    COUPLED_CHANGED_MAX = 4 * COUPLED_AUCTION_BIDS_MAX
};

/* One auction: what its records are keyed by. */
struct coupled_id {
    struct name market;
    struct timestamp start;
    uint8_t direction;
};

struct coupled_scratch {
    /* The problem that was opened last: its digest names it, so it serves for as long as nothing else is
     * opened, whatever state is looked at. Zero: none. */
    struct hash open;
    struct coupled_auction_problem auction;
    const struct coupled_plan *plan;
    struct clear_arena arena;   /* the problem and its plan, then whatever is worked out */
    struct clear_arena loading; /* a problem while it is being loaded */
    uint8_t *problem_bytes;     /* COUPLED_PROBLEM_BYTES_MAX */
    uint8_t *solution_bytes;    /* COUPLED_SOLUTION_BYTES_MAX */
    /* Of the clearing at hand: which intervals bind, and whose bids are over with them. */
    bool bound[COUPLED_AUCTION_SLOTS_MAX];
    uint32_t changed_count;
    uint64_t changed[COUPLED_CHANGED_MAX];
    uint32_t changed_order[COUPLED_CHANGED_MAX];
};

static inline struct state_key coupled_key(enum state_kind kind, const struct coupled_id *id)
{
    return state_key_coupled(kind, &id->market, id->start, id->direction);
}
/* When one of its intervals begins. */
struct timestamp coupled_slot_start(const struct market_create *terms, const struct coupled_id *id,
                                    uint32_t slot);
struct duration coupled_period(const struct market_create *terms);

/* RELEASE: who proposed what is not needed any more; at the height of the end. */
enum coupled_due { COUPLED_DUE_GATE = 0, COUPLED_DUE_WINDOW = 1, COUPLED_DUE_RELEASE = 2 };
struct state_key coupled_due_key(enum coupled_due what, int64_t at, const struct coupled_id *id);

/* --- coupled_load.c ------------------------------------------------------------------------- */

/* Reads an auction's bids, links and network into scratch->loading and the auction scratch's bids: NONE, or
 * LIMITS if that is more than an auction may have. */
enum coupled_reason coupled_load(struct contract_call *call, struct coupled_auction_problem *out,
                                 const struct coupled_id *id, const struct market_create *terms);

/* --- coupled_pages.c ------------------------------------------------------------------------ */

void coupled_pages_write(const struct contract_call *call, const struct coupled_id *id,
                         enum coupled_page_of what, struct bytes_view bytes, size_t size_before);
/* Makes the plan of a problem's bytes, if it is not open already, and leaves the arena free behind it. */
MUST_USE bool coupled_open(struct coupled_scratch *scratch, const struct hash *digest,
                           struct bytes_view bytes);
/* The problem of an auction that has one; false only under a fault of the view. */
MUST_USE bool coupled_open_fixed(const struct contract_call *call, const struct coupled_id *id,
                                 const struct coupled_record *record);
/* The best solution of an auction whose problem is open, decoded into its arena. */
MUST_USE bool coupled_read_best(const struct contract_call *call, struct coupled_draft *out,
                                const struct coupled_id *id, const struct coupled_record *record);
/* The part of a solution that binds, at its own prices. */
void coupled_binding_part(struct coupled_solution *out, bool *bound,
                          const struct coupled_problem *problem,
                          const struct coupled_solution *solution, struct clear_arena *arena);
/* Whether what it comes to can be worked out: coupled_settle leaves no 128 bits. */
bool coupled_settles(struct coupled_scratch *scratch, const struct coupled_solution *solution);
/* Units of work of one check of the problem, as if all its steps were taken. */
uint64_t coupled_work_of_check(const struct coupled_problem *problem);

/* --- coupled_propose.c ---------------------------------------------------------------------- */

enum contract_error solution_propose_apply(struct contract_call *call, const void *record);
/* What a solution that was found to be one is worth, as the record of the auction says it. */
void coupled_best_of(struct coupled_best *out, const struct coupled_claim *claim,
                     const struct hash *solution, struct bytes_view bytes);

/* --- coupled_deal.c ------------------------------------------------------------------------- */

/* Deals and money of the best solution, into the auction scratch: what they come to is in the record.
 * Changes nothing. */
MUST_USE bool coupled_plan_deals(struct contract_call *call, const struct coupled_id *id,
                                 struct coupled_record *record, const struct market_record *market);
/* Carries them out. */
void coupled_settle_deals(struct contract_call *call, struct coupled_record *record,
                          const struct market_record *market);
/* Tells what each interval and carrier comes to; those that are not bound are forecasts. */
void coupled_tell_slots(struct contract_call *call, const struct coupled_id *id,
                        const struct market_create *terms, const struct coupled_solution *solution);

/* --- coupled.c ------------------------------------------------------------------------------ */

struct state_key coupled_gate_key(const struct market_create *terms, const struct coupled_id *id);
/* One bid less of its owner's on its side (BOTH_SIDES). */
void coupled_leave_side(const struct contract_call *call, const struct order_record *order,
                        const struct name *carrier);

/* --- coupled_horizon.c ---------------------------------------------------------------------- */

/* Auctions in one problem, and their intervals. */
uint32_t coupled_auctions_of(const struct market_create *terms);
uint32_t coupled_horizon(const struct market_create *terms);
/* The auction so many after that one, or before; false: past the end of time. */
MUST_USE bool coupled_id_ahead(struct coupled_id *out, const struct coupled_id *id,
                               const struct market_create *terms, int64_t auctions);
/* Whether some auction takes solutions whose problem may have that one's bids. */
bool coupled_is_being_solved(const struct contract_call *call, const struct coupled_id *id,
                             const struct market_create *terms);
/* Whether an earlier one, whose horizon reaches it, is not over yet: it may bind its bids, and portfolios that
 * have bids in both are cleared there, as a whole. */
bool coupled_must_wait(const struct contract_call *call, const struct coupled_id *id,
                       const struct market_create *terms);
/* Whether it has bids, and has neither been fixed nor bound. */
bool coupled_is_open(const struct contract_call *call, const struct coupled_id *id);
/* GATE_CLOSED: one of its auctions was bound already; BOOK_FULL: one has no room for it. */
enum contract_error coupled_count_in(const struct contract_call *call,
                                     const struct portfolio_record *portfolio,
                                     const struct portfolio_bid *bids,
                                     const struct market_create *terms);
/* Whether one of its bids waits, at a gate that has closed, for its auction to be fixed; or the view's fault. */
MUST_USE bool coupled_stands_at_gate(struct contract_call *call, uint64_t first,
                                     const struct market_create *terms);
/* After some of its bids are over: what is left of its links, who ends with them, and who counts where. Its
 * records go with its last bid. `all_end`: with all others, too. */
void coupled_keep_portfolio(struct contract_call *call, uint64_t first,
                            const struct market_create *terms, bool all_end,
                            enum order_status status);

#endif
