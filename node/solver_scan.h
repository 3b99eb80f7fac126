/* What a solver wants to know of the committed state: which coupled auctions take solutions, the problem of
 * one, and how its account stands (docs/spec/coupled.md 10, 11, 15). Reads alone, through any state_base; what
 * does not decode is an error, never believed. NULL is never valid. */
#ifndef FLEX_NODE_SOLVER_SCAN_H
#define FLEX_NODE_SOLVER_SCAN_H

#include "contracts/coupled_problem.h"
#include "contracts/records.h"
#include "storage/overlay.h"

enum { SOLVER_SCAN_AUCTIONS_MAX = 64 };

struct solver_auction {
    struct name market;
    struct timestamp start;
    uint8_t direction;
    struct coupled_record record;
};

/* The auctions that take solutions now, the first to close first; at most SOLVER_SCAN_AUCTIONS_MAX. False: the
 * state can't be read. */
bool solver_scan_auctions(struct solver_auction *out, uint32_t *count,
                          const struct state_base *state);

/* The problem of an auction, which is checked against the digest in its record, and all its tables, in one
 * malloc'ed block at *memory. False: not readable, not what the record says, or no memory. */
bool solver_scan_problem(struct coupled_problem *out, void **memory,
                         const struct solver_auction *auction, const struct state_base *state);

struct solver_account {
    struct name participant; /* empty: nobody has that key */
    uint64_t nonce;          /* last one used */
    struct money fee;        /* of a transaction with one action */
    struct duration lifetime;
};
bool solver_scan_account(struct solver_account *out, const struct public_key *key,
                         const struct state_base *state);

/* Is a solution worth that, with that bound, better than the best that the auction has? */
bool solver_scan_is_better(const struct coupled_record *record, const struct coupled_claim *claim);

#endif
