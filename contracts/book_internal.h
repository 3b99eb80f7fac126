/* What the files of the order books share, and nobody else sees. */
#ifndef FLEX_CONTRACTS_BOOK_INTERNAL_H
#define FLEX_CONTRACTS_BOOK_INTERNAL_H

#include "contracts/book.h"
#include "contracts/call.h"
#include "contracts/grid.h"
#include "contracts/market.h"

struct book_id {
    struct name market;
    uint8_t direction;
    struct timestamp period_start;
};

/* The key of a book's own record of that kind, and the prefix of its orders in the index. */
struct state_key book_key(enum state_kind kind, const struct book_id *book);
struct book_id book_of_key(const struct state_key *key);
/* Of a key of state_key_due. */
struct book_id book_of_due(const struct state_key *key, struct timestamp *gate);
/* The order that an entry of the index is about. */
uint64_t book_index_order(const struct state_key *key);
struct bytes_view book_key_view(const struct state_key *key);

/* token_move_purse of what must be there; nothing if the amount is 0. */
void book_move(const struct contract_call *call, struct purse from, struct purse to,
               struct money amount);
/* Takes the order out of index and size, and stores it with its new status. Its pot, empty by
 * then, and its owner's share are the caller's. */
void book_leave(struct contract_call *call, uint64_t id, struct order_record *order,
                const struct market_create *terms, enum order_status status);
/* Tells the owner's share of the book that `before` of the order was open, and `after` is now. */
void book_share_moves(const struct contract_call *call, const struct order_record *order,
                      struct energy before, struct energy after);

/* An order that is open. False only under a fault of the view. */
bool book_read_order(const struct contract_call *call, uint64_t id, struct order_record *order);
/* The least that an open order's next fill must be: all of one that trades whole, the minimum of one that
 * has had no fill, else 0. Below it, it is passed over (market-rules 4). */
struct energy book_least(const struct order_record *order);
/* The next entry of one side after `at`, best first; the first one with an empty `at`. */
bool book_side_next(const struct contract_call *call, const struct book_id *book, uint8_t side,
                    struct state_key *at);

/* The number of the next deal. */
uint64_t book_next_deal_id(struct contract_call *call);
/* Moves an offer's deposit to its deal, as much of it as the traded part frees. The order's pot is as
 * stored; both records are the caller's to store. */
void book_fund_deposit(struct contract_call *call, uint64_t order_id, struct order_record *order,
                       struct event_deal *deal, struct energy rest);
/* Stores what is left of an order after a trade; one that is filled leaves. */
void book_keep_rest(struct contract_call *call, uint64_t id, struct order_record *order,
                    const struct market_create *terms, struct energy rest);
/* Makes a deal of two open orders of different participants: moves their money, takes what it fills out of
 * the book. */
void book_make_deal(struct contract_call *call, const struct market_record *market, uint64_t buy_id,
                    uint64_t sell_id, struct energy traded, struct energy_price price);

/* --- working memory of a call, or of a walk along a book ----------------------------------- */

/* One loaded order. */
struct book_entry {
    uint64_t id;
    struct name participant;
    int32_t
        place; /* of an offer, in the market's network: where it loads it; else GRID_PLACE_NONE */
    uint64_t height;
    uint64_t tie;
    struct energy_price price;
    struct energy open;
    struct energy least; /* book_least of it */
    uint8_t side;
    bool sits_out;
};

enum { BOOK_ENTRIES_MAX = LIMIT_OPEN_ORDERS_PER_BOOK };

/* The arrays that call.c works on, for one side. */
struct book_side {
    uint32_t count;
    uint32_t entry[BOOK_ENTRIES_MAX]; /* which loaded order stands here */
    struct call_order orders[BOOK_ENTRIES_MAX];
    int64_t accepted[BOOK_ENTRIES_MAX];
    uint32_t priority[BOOK_ENTRIES_MAX];
};

/* A book that earlier blocks have left something of. */
struct late_book {
    struct state_key key;
    struct book_late_record late;
};

struct book_scratch {
    uint64_t work_of_ends; /* in this block, of orders that do not outlive their call */
    struct late_book late[LEDGER_BOOKS_PER_BLOCK_MAX]; /* in the order of their keys */
    uint32_t late_order[LEDGER_BOOKS_PER_BLOCK_MAX];   /* the longest late first */
    uint32_t count;
    struct book_entry entries[BOOK_ENTRIES_MAX];
    struct book_side sides[2];
    uint32_t index[BOOK_ENTRIES_MAX];
    int64_t remainder[BOOK_ENTRIES_MAX];
};

/* --- the grid (book_grid.c) ---------------------------------------------------------------- */

/* Offers that one call, or one order's walk, names as limited by the grid; the others are limited all the
 * same. */
enum { BOOK_GRID_EVENTS_MAX = 256, BOOK_GRID_EVENT_BYTES = 80 };

/* Where an order loads the open grid; GRID_PLACE_NONE if it does not. */
int32_t book_grid_place(const struct contract_call *call, const struct grid *grid,
                        const struct market_create *terms, const struct order_record *order);
/* Cuts the loaded offers to what the open grid carries, in their priority; those that get nothing sit
 * out. True if any was cut. With `tell` the events say which. */
bool book_grid_admit(struct contract_call *call, struct book_scratch *scratch, bool tell);
void book_grid_tell(struct contract_call *call, const struct grid *grid, uint64_t id,
                    int32_t limiter, struct energy open, struct energy admitted);

#endif
