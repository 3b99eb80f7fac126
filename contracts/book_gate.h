/* The gates of books: each book with open orders that end at its gate has one entry in the index of gates
 * (docs/spec/market.md 7; market-rules 4). NULL is never valid. */
#ifndef FLEX_CONTRACTS_BOOK_GATE_H
#define FLEX_CONTRACTS_BOOK_GATE_H

#include "contracts/book_internal.h"

struct book_gate {
    struct timestamp time;
    struct book_id book;
};

/* The book has an open order, and they end at its gate from now on. */
void book_gate_add(const struct contract_call *call, const struct book_id *book,
                   const struct market_create *terms);
/* Its last open order has left. Bids of an auction that waits have no entry, which then is no fault. */
void book_gate_remove(const struct contract_call *call, const struct book_id *book,
                      const struct market_create *terms);
/* The gate that closes first; false if no book has one. */
bool book_gate_first(const struct contract_call *call, struct book_gate *out);
/* Ends one open order of the book, buys first, the best first. False if its orders wait for a clearing that
 * an earlier block had no room for. */
bool book_gate_expire_one(struct contract_call *call, const struct book_gate *gate);

#endif
