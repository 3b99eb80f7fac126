/* Account statements: every change of a participant's balance as a line, out of what receipts tell
 * (docs/billing.md; market-rules 9; D5.5 3.2.6). One table for nodes, wallets and audits, so that no two
 * of them call the same movement by two names, and none leaves one out.
 *
 * A balance changes by a transaction's fee, which its receipt names, and by what events tell; by nothing
 * else. So a statement's lines from the first block on add up to the balance. NULL is never valid. */
#ifndef FLEX_CONTRACTS_STATEMENT_H
#define FLEX_CONTRACTS_STATEMENT_H

#include "contracts/events.h"

/* Their names are part of the API. */
enum statement_kind {
    STATEMENT_NONE = 0, /* of no movement that the ledger makes */
    STATEMENT_MINTED,
    STATEMENT_BURNED,
    STATEMENT_TRANSFER_SENT,
    STATEMENT_TRANSFER_RECEIVED,
    STATEMENT_TRANSACTION_FEE,
    STATEMENT_FEE_SHARE,    /* a validator's operator's, out of the fee pool */
    STATEMENT_ORDER_LOCKED, /* a request's escrow, an offer's deposit */
    STATEMENT_ORDER_RETURNED,
    STATEMENT_DEAL_LOCKED, /* by the buyer, where an auction made the deal */
    STATEMENT_DEAL_PAID,   /* to the seller, less the deal's fee */
    STATEMENT_DEAL_REFUNDED,
    STATEMENT_DEPOSIT_RETURNED,
    STATEMENT_PENALTY_RECEIVED, /* by the buyer, out of the seller's deposit */
    STATEMENT_BOND_LOCKED,
    STATEMENT_BOND_RECEIVED,  /* one's own that came back, or the other's */
    STATEMENT_RESERVE_LOCKED, /* a market's, for what its payment rule lacks */
    STATEMENT_RESERVE_RETURNED,
    STATEMENT_AUCTION_PAID,     /* at the clearing, beyond one's own deals */
    STATEMENT_AUCTION_RECEIVED, /* at the clearing, by who sells nothing */
    STATEMENT_ADDITION_RETURNED /* what a reserve had added to a deal that earned it not */
};
enum { STATEMENT_KIND_COUNT = STATEMENT_ADDITION_RETURNED + 1 };
extern const char *const statement_kind_names[STATEMENT_KIND_COUNT];

struct statement_line {
    uint8_t kind;
    struct name who;
    struct money amount; /* added to the balance: negative where it paid */
    struct pot_id other; /* where it came from or went to */
};
/* One movement touches two balances at most. */
enum { STATEMENT_LINES_PER_EVENT = 2 };

/* Whether events of that type say that a balance changed. */
bool statement_event_moves(uint8_t type);
/* The lines of one event; their count. *broken: the record is not one of that type. */
uint32_t statement_of_event(struct statement_line out[STATEMENT_LINES_PER_EVENT], bool *broken,
                            uint8_t type, struct bytes_view record);
/* The line of a transaction's fee, of whoever signed it. */
struct statement_line statement_of_fee(const struct name *who, struct money fee);
/* Whether the line's kind depends on who bought or sold in the deal whose id is in `other`; and what it is
 * then. */
bool statement_needs_deal(const struct statement_line *line);
void statement_know_deal(struct statement_line *line, const struct deal_record *deal);

/* "balance/dso", "deal_escrow/7", "fees", "outside"; text holds at least STATEMENT_POT_TEXT_SIZE. */
enum { STATEMENT_POT_TEXT_SIZE = 64 };
void statement_pot_text(char text[STATEMENT_POT_TEXT_SIZE], const struct pot_id *pot);

#endif
