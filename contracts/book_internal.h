/* What the files of the order books share, and nobody else sees. */
#ifndef FLEX_CONTRACTS_BOOK_INTERNAL_H
#define FLEX_CONTRACTS_BOOK_INTERNAL_H

#include "contracts/book.h"

struct book_id {
    struct name market;
    uint8_t direction;
    struct timestamp period_start;
};

/* The key of a book's own record of that kind, and the prefix of its orders in the index. */
struct state_key book_key(enum state_kind kind, const struct book_id *book);
struct book_id book_of_key(const struct state_key *key);
/* The order that an entry of the index is about. */
uint64_t book_index_order(const struct state_key *key);
struct bytes_view book_key_view(const struct state_key *key);

/* token_move of what must be there; nothing if the amount is 0. */
void book_move(const struct contract_call *call, struct pot_id from, struct pot_id to,
               struct money amount);
/* Takes the order out of index, deadlines and size, and stores it with its new status. Its pot and its
 * owner's share are the caller's. */
void book_leave(struct contract_call *call, uint64_t id, struct order_record *order,
                const struct market_create *terms, enum order_status status);
/* Tells the owner's share of the book that `before` of the order was open, and `after` is now. */
void book_share_moves(const struct contract_call *call, const struct order_record *order,
                      struct energy before, struct energy after);

#endif
