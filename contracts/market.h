/* Markets on the ledger: the records behind their terms, shared by whoever deals in them.
 *
 * A market's terms have versions, counted from 1. market_record holds the ones in force, STATE_TERMS
 * all that ever were; a deal names the version that it was made under and settles by no other. */
#ifndef FLEX_CONTRACTS_MARKET_H
#define FLEX_CONTRACTS_MARKET_H

#include "contracts/module.h"

/* The methods of contracts/market_terms.c; see struct contract_method_entry. */
enum contract_error market_create_apply(struct contract_call *call, const void *record);
enum contract_error market_update_apply(struct contract_call *call, const void *record);
enum contract_error market_state_apply(struct contract_call *call, const void *record);

/* What orders of all kinds have in common. */
struct market_order {
    struct energy quantity;
    struct energy_price price;
    struct timestamp period_start;
    uint8_t direction;
    const struct order_options *options;
};
/* The market takes orders, and from this sender: UNKNOWN_MARKET, MARKET_NOT_OPEN, VALIDATOR_TRADES. */
enum contract_error market_require_open(const struct contract_call *call, const struct name *id,
                                        struct market_record *market);
/* Period, direction, options, gate and amounts, in that order. */
enum contract_error market_check_order(const struct contract_call *call,
                                       const struct market_create *terms,
                                       const struct market_order *order);
/* The right to offer the device, and its room, which is taken. */
enum contract_error market_commit_offer(const struct contract_call *call,
                                        const struct offer_place *offer,
                                        const struct market_create *terms);
/* Whether such an offer declares a schedule exactly if it should. */
bool market_schedule_fits(const struct market_create *terms, const struct hash *schedule);
/* Into its book, with its event, and in a sequential book through it. */
enum contract_error market_enter_order(struct contract_call *call, uint64_t *id,
                                       struct order_record *order,
                                       const struct market_record *market);

/* A request of the sender's, as by ACTION_REQUEST_PLACE: all of its checks, and the order's id. */
enum contract_error market_place_request(struct contract_call *call, uint64_t *id,
                                         const struct request_place *request);
/* The same of an offer. */
enum contract_error market_place_offer(struct contract_call *call, uint64_t *id,
                                       const struct offer_place *offer);

/* The methods of contracts/order_change.c. */
enum contract_error order_cancel_apply(struct contract_call *call, const void *record);
enum contract_error order_replace_apply(struct contract_call *call, const void *record);

/* At the end of a block: what votes have put in force from the next block on. */
void market_apply_changes(struct contract_call *call);

/* The terms of a version that some order or deal names: false only under a fault of the view. */
bool market_terms_read(const struct contract_call *call, const struct name *market,
                       uint32_t version, struct market_create *out);

/* What the device's connection carries in one unit of the market, rounded down. */
struct energy market_connection_unit(const struct market_create *terms,
                                     const struct device_record *device);

/* Whether a vote could put this draft in force from `height` on, as things stand: UNKNOWN_MARKET,
 * BAD_DRAFT (none, another one, or drawn up against other terms), CHANGE_PENDING, or BAD_PARAMETER if
 * that block is not to come. */
enum contract_error market_draft_check(const struct contract_call *call, const struct name *market,
                                       const struct hash *draft, uint64_t height);
/* Puts it in force from `height` on; market_draft_check has said yes in this very call. */
void market_draft_schedule(const struct contract_call *call, const struct name *market,
                           uint64_t height);
/* H(STATE_VALUE, draft): what the vote is about, and what a proof of the draft shows. */
void market_draft_hash(struct hash *out, const struct draft_record *draft);

#endif
