/* What receipts tell about orders and fees, under the names that the regulator's queries use, offline
 * (tools/market_history.h) and at a node (node/market_scan.h); docs/spec/surveillance.md 2. */
#ifndef FLEX_CONTRACTS_MARKET_EVENTS_H
#define FLEX_CONTRACTS_MARKET_EVENTS_H

#include "contracts/events.h"

enum order_event_kind {
    ORDER_EVENT_NEW,
    ORDER_EVENT_TRADE,
    ORDER_EVENT_CANCEL,
    ORDER_EVENT_REPLACE, /* cancelled by a transaction that placed another one in its stead, or reduced */
    ORDER_EVENT_EXPIRE,
    ORDER_EVENT_GRANT /* of a request for grid capacity */
};
enum { ORDER_EVENT_KINDS = 6 };
extern const char *const order_event_names[ORDER_EVENT_KINDS];

enum market_fee_kind {
    MARKET_FEE_TRANSACTION, /* paid by who signed it */
    MARKET_FEE_DEAL,        /* out of a deal's escrow or deposit: its fee, or a remainder */
    MARKET_FEE_SPLIT,       /* out of the pool to a validator's operator */
    MARKET_FEE_CLEARING     /* what an auction's or a capacity clearing's payments left over */
};
enum { MARKET_FEE_KINDS = 4 };
extern const char *const market_fee_names[MARKET_FEE_KINDS];

/* Any event that says something of orders, deals or money. */
union market_event {
    struct event_order_placed placed;
    struct event_order_ended ended;
    struct event_order_reduced reduced;
    struct event_deal deal;
    struct event_allocated allocated;
    struct event_token_moved moved;
    struct event_fees_split split;
};
/* False if the type is another one (*out is untouched), or the record is not one of it (*broken). */
bool market_event_decode(union market_event *out, bool *broken, uint8_t type,
                         struct bytes_view record);
/* Does that movement add to the fee pool? *kind: of a deal, or of a clearing; *deal: out of which deal, 0 if
 * of none. */
bool market_event_is_fee(const struct event_token_moved *moved, enum market_fee_kind *kind,
                         uint64_t *deal);

/* One order that a transaction placed or cancelled. An action does each of them once at most, but for
 * orders that end as soon as they are placed: those are no change of anything that stood. */
enum { MARKET_CHANGES_MAX = 2 * LIMIT_ACTIONS_PER_TX };
/* Whether it may rest in a book, so that taking it back may be a replacement. */
bool order_may_rest(const struct order_record *order);
struct order_change {
    uint8_t kind; /* enum order_event_kind: NEW or CANCEL; REPLACE once paired */
    uint64_t order;
    uint64_t other; /* the order in its stead, or the one that it replaces; 0: none */
    const struct order_record *placed;
};
/* Pairs what one transaction cancelled with what it placed (surveillance.md 2, "Rule"). `changes` are
 * all of it, in the order of events, with other = 0. */
void order_changes_pair(struct order_change *changes, size_t count);

#endif
