/* How orders end at gate closure (contracts/book_gate.h).
 *
 * All open orders of a book end at the same moment. One entry for the book says when, where each order had
 * one; the book's own index says which.
 *
 * Invariants:
 * 1. A book has an entry if and only if it has open orders, but that those which wait for an auction get
 *    theirs when it has cleared without them.
 * 2. A market's terms never change when a gate closes (market_terms.c), so that the entry which is removed
 *    is the one that was written.
 *
 * Deliberately absent: deals and their deadlines (deadline.c). */
#include "contracts/book_gate.h"

#include "base/fatal.h"
#include "contracts/auction.h"
#include "contracts/capacity.h"

static struct state_key gate_key(const struct book_id *book, const struct market_create *terms)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, book->period_start));
    return state_key_due(STATE_BOOK_GATE, times.gate, &book->market, book->period_start,
                         book->direction);
}

void book_gate_add(const struct contract_call *call, const struct book_id *book,
                   const struct market_create *terms)
{
    struct state_key key = gate_key(book, terms);
    contract_write_index(call, &key);
}

void book_gate_remove(const struct contract_call *call, const struct book_id *book,
                      const struct market_create *terms)
{
    struct state_key key = gate_key(book, terms);
    if (!market_is_gated(terms) || contract_exists(call, &key)) {
        contract_remove(call, &key);
    }
}

bool book_gate_first(const struct contract_call *call, struct book_gate *out)
{
    struct state_key prefix = state_key_single(STATE_BOOK_GATE);
    struct state_key key;
    struct bytes_view value;
    if (!contract_next(call, book_key_view(&prefix), bytes_view_of(NULL, 0), &key, &value)) {
        return false;
    }
    out->book = book_of_due(&key, &out->time);
    return true;
}

bool book_gate_expire_one(struct contract_call *call, const struct book_gate *gate)
{
    struct market_record market;
    struct order_record order;
    struct state_key at = {.size = 0};
    struct state_key key = state_key_name(STATE_MARKET, &gate->book.market);
    if (!book_read(call, &key, &market_record_codec, &market) ||
        capacity_waits(call, &gate->book, &market.terms)) {
        return false;
    }
    bool any = book_side_next(call, &gate->book, SIDE_BUY, &at) ||
               book_side_next(call, &gate->book, SIDE_SELL, &at);
    MUST(any || call->view->fault);
    if (!any || !book_read_order(call, book_index_order(&at), &order)) {
        return false;
    }
    book_end_order(call, book_index_order(&at), &order, &market.terms, ORDER_EXPIRED);
    return true;
}
