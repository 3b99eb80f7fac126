/* Why the ledger refuses. The names (contract_error_name) are part of the API and never change;
 * numbers are part of receipts and never change either: add at the end. docs/spec/errors.md. */
#ifndef FLEX_CONTRACTS_ERRORS_H
#define FLEX_CONTRACTS_ERRORS_H

#include <stdint.h>

enum contract_error {
    CONTRACT_OK = 0,
    /* A transaction as such: refused at the door, never part of a block. Invalid for ever. */
    CONTRACT_TX_MALFORMED,     /* bytes are not a canonical transaction */
    CONTRACT_TX_OVERSIZED,     /* over LIMIT_TX_BYTES or LIMIT_WITNESS_BYTES */
    CONTRACT_TX_WRONG_CHAIN,   /* made for another ledger */
    CONTRACT_TX_BAD_SIGNATURE, /* the signature does not fit key and bytes */
    CONTRACT_TX_BAD_WITNESS,   /* witness bytes do not hash to what the body says */
    CONTRACT_TX_UNKNOWN_KEY,   /* no participant has this key */
    CONTRACT_TX_NONCE_USED,    /* at or below the account's: a replay */
    CONTRACT_TX_EXPIRED,       /* valid_until has passed */
    /* Not yet: may become includable. */
    CONTRACT_TX_NONCE_GAP,        /* above the next one */
    CONTRACT_TX_FEE_UNAFFORDABLE, /* the balance does not cover the fee */
    CONTRACT_TX_FEE_LIMIT,        /* the fee is above what the sender allows */
    CONTRACT_TX_EXPIRY_TOO_FAR,   /* valid_until further ahead than tx_lifetime */
    CONTRACT_MEMPOOL_FULL,        /* this node's pool has no room for the sender; try again */
    /* An action: the transaction is in a block, failed, paid its fee and changed nothing else. */
    CONTRACT_NOT_PERMITTED,       /* the sender's role does not allow this */
    CONTRACT_SUSPENDED,           /* the participant or device is suspended or revoked */
    CONTRACT_AMOUNT_NOT_POSITIVE, /* zero or negative where only more will do */
    CONTRACT_OVERFLOW,            /* the amount leaves the range of exact arithmetic */
    CONTRACT_INSUFFICIENT_FUNDS,  /* the balance does not cover it */
    CONTRACT_UNKNOWN_PARTICIPANT,
    CONTRACT_UNKNOWN_DEVICE,
    CONTRACT_UNKNOWN_MARKET,
    CONTRACT_UNKNOWN_ORDER,
    CONTRACT_UNKNOWN_DEAL,
    CONTRACT_UNKNOWN_BATCH,      /* no fingerprint of readings for that interval */
    CONTRACT_EXISTS_ALREADY,     /* the name, key or record is taken */
    CONTRACT_NOT_OWNER,          /* only the device's owner may do this */
    CONTRACT_NOT_YOURS_TO_OFFER, /* the sender neither owns nor manages the device then */
    CONTRACT_NO_PENDING_REQUEST, /* nothing was offered that could be accepted */
    CONTRACT_NOT_PREQUALIFIED,
    CONTRACT_NOT_ENROLLED,      /* the device is not enrolled in this market */
    CONTRACT_WRONG_ZONE,        /* the device or order is not in the market's zone */
    CONTRACT_OVER_DEVICE_POWER, /* more than the device can give, with what it has sold already */
    CONTRACT_MARKET_NOT_OPEN,   /* suspended, closed, or not yet opened */
    CONTRACT_GATE_CLOSED,       /* after gate closure of that delivery period */
    CONTRACT_BAD_PERIOD, /* not a whole delivery period of this market, or outside of what it may be for */
    CONTRACT_BAD_GRANULARITY, /* not a multiple of the market's quantity or price step */
    CONTRACT_OUT_OF_RANGE,    /* below the least or above the most that the market allows */
    CONTRACT_BOOK_FULL,       /* LIMIT_OPEN_ORDERS_PER_BOOK is reached */
    CONTRACT_ORDER_NOT_OPEN,  /* filled, cancelled or expired */
    CONTRACT_DEAL_NOT_OPEN,   /* settled or refunded */
    CONTRACT_TOO_EARLY,       /* before the end of delivery, or before the event it needs */
    CONTRACT_TOO_LATE,        /* after the deadline */
    CONTRACT_BAD_PROOF,       /* a Merkle path does not lead to the fingerprint */
    CONTRACT_BAD_READING,     /* malformed, wrong device, interval or order */
    CONTRACT_BAD_METER_SIGNATURE,
    CONTRACT_BAD_SCHEDULE,    /* the revealed schedule is not the one declared */
    CONTRACT_BAD_KEY,         /* not a key, or possession not proven */
    CONTRACT_BAD_PARAMETER,   /* a parameter is outside what makes sense */
    CONTRACT_BAD_REVISION,    /* a correction must name the next revision and a reason */
    CONTRACT_TOO_MANY_EVENTS, /* over the limit of events or of work */
    CONTRACT_UNKNOWN_PROPOSAL,
    CONTRACT_UNKNOWN_VALIDATOR, /* the key is not, or was not then, in the set */
    CONTRACT_PROPOSAL_NOT_OPEN, /* decided, withdrawn or expired */
    CONTRACT_BAD_EVIDENCE,      /* the two votes don't exclude each other, or are not that key's */
    /* Terms of a market that contradict themselves or each other: docs/spec/market.md 1. */
    CONTRACT_BAD_TERM_MTU,
    CONTRACT_BAD_TERM_HOURS,
    CONTRACT_BAD_TERM_GATE,
    CONTRACT_BAD_TERM_DEADLINE,
    CONTRACT_BAD_TERM_QUANTITY,
    CONTRACT_BAD_TERM_PRICE,
    CONTRACT_BAD_TERM_ORDER_LIMIT,
    CONTRACT_BAD_TERM_DIRECTIONS,
    CONTRACT_BAD_TERM_MECHANISM,
    CONTRACT_BAD_TERM_TIE,
    CONTRACT_BAD_TERM_TRADE_PRICE,
    CONTRACT_BAD_TERM_SHARING,
    CONTRACT_BAD_TERM_PAYMENT,
    CONTRACT_BAD_TERM_RESERVE,
    CONTRACT_BAD_TERM_METHOD,
    CONTRACT_BAD_TERM_CREDIT,
    CONTRACT_BAD_TERM_PENALTY,
    CONTRACT_BAD_TERM_DEPOSIT,
    CONTRACT_BAD_TERM_BASELINE,
    CONTRACT_BAD_TERM_LINKS,
    CONTRACT_BAD_TERM_SEALING,
    /* Terms that make sense, and that the engine does not carry out yet. */
    CONTRACT_UNSUPPORTED_PRODUCT,
    CONTRACT_UNSUPPORTED_MECHANISM,
    CONTRACT_UNSUPPORTED_PAYMENT,
    CONTRACT_UNSUPPORTED_DISPUTES,
    CONTRACT_UNSUPPORTED_LINKS,
    CONTRACT_UNSUPPORTED_NETWORK,
    CONTRACT_UNSUPPORTED_SEALING,
    /* An order's options that the market's mechanism does not carry out. */
    CONTRACT_UNSUPPORTED_ORDER,
    /* Changes of a market's terms. */
    CONTRACT_TERM_IS_FIXED,
    CONTRACT_NOTHING_TO_CHANGE,
    CONTRACT_CHANGE_PENDING,
    CONTRACT_BAD_DRAFT,
    /* Orders and deals under a market's terms. */
    CONTRACT_GATE_NOT_OPEN,
    CONTRACT_WRONG_DIRECTION,
    CONTRACT_TOO_MANY_ORDERS,
    CONTRACT_OVER_BUDGET,
    CONTRACT_NO_BASELINE,
    CONTRACT_OVER_CONNECTION,
    CONTRACT_UNSUPPORTED_METHOD, /* as the others: the engine does not settle by it yet */
    /* Disputes and reservations. */
    CONTRACT_NO_NEWER_READINGS, /* no fingerprint was posted after those of the deal's last proof */
    CONTRACT_UNKNOWN_CALL,      /* an answer to what was never called, or from another device */
    CONTRACT_OVER_RESERVATION, /* a call of more than is reserved, an answer of more than is called */
    CONTRACT_NOT_METERED,      /* a proof of a reservation */
    /* Networks and capacity. */
    CONTRACT_BAD_TERM_NETWORK, /* a term that a market's network does not go with */
    CONTRACT_UNKNOWN_NETWORK,
    CONTRACT_UNKNOWN_NODE,  /* of the network: no such node, or the device stands at none */
    CONTRACT_NETWORK_FULL,  /* LIMIT_NETWORK_NODES, or deeper than LIMIT_NETWORK_DEPTH */
    CONTRACT_CAPACITY_SOLD, /* less than is sold already would be published */
    /* Orders. */
    CONTRACT_VALIDATOR_TRADES, /* in a sequential book, by whoever operates a validator */
    /* Auctions. */
    CONTRACT_ONE_BUYER,    /* the mechanism takes one buyer, or one request, and there is another */
    CONTRACT_BOTH_SIDES,   /* the participant has orders on the other side of this auction */
    CONTRACT_BAD_RANK,     /* ordered offers must come in order, later ones no cheaper */
    CONTRACT_OVER_RESERVE, /* more than the market's terms let the account lock */
    CONTRACT_RESERVE_IN_USE, /* an auction that may need it has not cleared yet */
    /* Coupled auctions. */
    CONTRACT_BAD_TERM_COUPLING,
    CONTRACT_BAD_LINK,         /* links that contradict themselves, each other or taking nothing */
    CONTRACT_UNKNOWN_CARRIER,  /* neither electricity nor what a line or row of the network names */
    CONTRACT_UNKNOWN_AUCTION,  /* no coupled auction starts there */
    CONTRACT_NOT_SOLVING,      /* the auction takes no solutions: its gate is open, or it is over */
    CONTRACT_OTHER_PROBLEM,    /* a solution of another problem than the auction's */
    CONTRACT_TOO_MANY_STRIKES, /* COUPLED_STRIKES_MAX wrong solutions in this auction */
    CONTRACT_BAD_TERM_ZONES, /* zones that nothing couples, or that are not listed once, by name */
    CONTRACT_ERROR_COUNT
};

/* snake_case name, as in {"error":{"code":...}}; and a sentence that says what to do. */
const char *contract_error_name(enum contract_error error);
const char *contract_error_reason(enum contract_error error);
/* CONTRACT_ERROR_COUNT if no error has that name. */
enum contract_error contract_error_from_name(const char *name);

#endif
