/* The problem of a coupled auction on the ledger, with its names, and a solution of it, both as canonical
 * bytes (docs/spec/coupled.md 11; docs/spec/encoding.md). Pure: the ledger fixes and judges by them, a
 * worker solves from them, an auditor rebuilds flexclear's file from them.
 *
 * One problem has one encoding and one encoding one problem, so its digest names it. Decoders are strict:
 * every index in range, every table as long as announced, nothing left over; what they accept is safe to
 * hand to coupled_prepare (contracts/clear_coupled.h), which has the last word. All room comes from the
 * caller's arena. NULL is never a valid argument. */
#ifndef FLEX_CONTRACTS_COUPLED_PROBLEM_H
#define FLEX_CONTRACTS_COUPLED_PROBLEM_H

#include "base/limits.h"
#include "base/name.h"
#include "contracts/clear_coupled.h"

enum {
    /* The largest auction of the design, in one block's share of time: a check of it takes some 20 ms, at
     * worst 80, most of it in linked sets. */
    COUPLED_AUCTION_BIDS_MAX = 10000,
    COUPLED_AUCTION_LINKS_MAX = 10000,
    COUPLED_AUCTION_MEMBERS_MAX = 40000,
    COUPLED_AUCTION_SLOTS_MAX = 96, /* a day of quarter hours */
    COUPLED_AUCTION_PLACES_MAX = LIMIT_NETWORK_NODES * LIMIT_NETWORK_CARRIERS,
    /* The operator's rows, and one for every node that has a published limit. */
    COUPLED_AUCTION_ROWS_MAX = LIMIT_NETWORK_ROWS + LIMIT_NETWORK_NODES,
    /* Of a node's limit: all nodes below it, so each node once per step of its path to the root. */
    COUPLED_AUCTION_COEFS_MAX =
        LIMIT_NETWORK_ROWS * LIMIT_ROW_COEFS + LIMIT_NETWORK_NODES * LIMIT_NETWORK_DEPTH,
    /* Right sides that hold in one interval alone. */
    COUPLED_AUCTION_RIGHTS_MAX = 16384,
    /* Places, lines and rows, times intervals: what a solution has numbers for beside its bids. */
    COUPLED_AUCTION_CELLS_MAX = 65536,
    /* A bid's, a line's, ... own bytes, as coupled_problem.c writes them. */
    COUPLED_PROBLEM_BYTES_MAX = 64 + COUPLED_AUCTION_BIDS_MAX * 41 +
                                LIMIT_NETWORK_NODES * NAME_SIZE +
                                LIMIT_NETWORK_CARRIERS * NAME_SIZE + LIMIT_NETWORK_LINES * 12 +
                                COUPLED_AUCTION_ROWS_MAX * 11 + COUPLED_AUCTION_COEFS_MAX * 10 +
                                COUPLED_AUCTION_RIGHTS_MAX * 11 + COUPLED_AUCTION_LINKS_MAX * 28 +
                                COUPLED_AUCTION_MEMBERS_MAX * 2
};

/* Bytes of arena that hold any problem of these limits decoded. */
enum { COUPLED_AUCTION_ARENA_BYTES = 4 * 1024 * 1024 };

/* A problem and where its parts are. Place = carrier x node_count + node. Agents are numbers, in the order
 * of their first bids: whose an order is, its record says, to those who may read it. */
struct coupled_auction_problem {
    struct coupled_problem problem;
    uint32_t node_count;
    uint32_t carrier_count;
    const struct name *nodes;
    const struct name *carriers;
    const uint64_t *orders; /* per bid: its order */
    uint32_t binding;       /* intervals of one auction; the first so many bind */
};

/* Fills problem.auction from `binding`. */
void coupled_problem_auctions(struct coupled_auction_problem *auction, struct clear_arena *arena);
void coupled_problem_encode(struct byte_writer *writer,
                            const struct coupled_auction_problem *auction);
/* False: not the encoding of a problem within the limits. */
MUST_USE bool coupled_problem_decode(struct coupled_auction_problem *out, struct bytes_view bytes,
                                     struct clear_arena *arena);
/* H(COUPLED_PROBLEM, bytes). */
void coupled_problem_digest(struct hash *out, struct bytes_view bytes);

/* A solution's bytes: numbers of seven bits a byte, lowest first, no longer than they need be. Signed ones
 * are folded (0, -1, 1, -2, ...).
 *   each bid       0: nothing; 1: all of it; else 1 + its accepted quantity
 *   each interval, each line    its flow
 *   den
 *   each interval, each place   its multiplier less that of the place before (less 0 for the first), in
 *                               wrapping 64-bit arithmetic
 *   each interval, each row     its multiplier
 *   each link that is a sum     its multiplier
 * writer->failed if it does not fit. */
void coupled_solution_encode(struct byte_writer *writer, const struct coupled_problem *problem,
                             const struct coupled_solution *solution);
/* False: not a solution's bytes for a problem of these sizes. Whether it is one is coupled_check's. */
MUST_USE bool coupled_solution_decode(struct coupled_draft *out,
                                      const struct coupled_problem *problem,
                                      struct bytes_view bytes, struct clear_arena *arena);

#endif
