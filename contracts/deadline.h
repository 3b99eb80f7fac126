/* What time ends: deals without a proof, disputes, calls of reservations, and the open orders of books whose
 * gate has closed (docs/spec/delivery.md 8; docs/spec/market.md 7; market-rules 3 and 9). NULL is never
 * valid. */
#ifndef FLEX_CONTRACTS_DEADLINE_H
#define FLEX_CONTRACTS_DEADLINE_H

#include "contracts/module.h"

/* What a deadline is about, in the order in which equal times are served; orders come before them. */
enum deadline_what {
    DEADLINE_PROOF = 2,   /* id: deal, matched */
    DEADLINE_DISPUTE = 3, /* id: deal, proven or disputed */
    DEADLINE_CALL = 4     /* id: deal of a reservation that was called */
};

struct deadline {
    struct timestamp time;
    uint8_t what; /* enum deadline_what */
    uint64_t id;
};

/* What one block ends; the rest waits for the next block. Nothing can be done with it in the meantime:
 * orders are refused and books not called after gate closure, proofs are refused after their deadline. */
enum { DEADLINES_PER_BLOCK_MAX = 4096 };

/* One that is there already stays: a reservation is called several times for one gate. */
void deadline_add(const struct contract_call *call, const struct deadline *deadline);
/* It is there. */
void deadline_remove(const struct contract_call *call, const struct deadline *deadline);
/* Ends what is due, the longest due first, as far as the block has room for events and its share of work
 * reaches. */
void deadline_sweep(struct contract_call *call);

#endif
