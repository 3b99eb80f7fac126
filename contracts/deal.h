/* How deals end, and what is remembered of it (market-rules 3 and 9; D2.3 4.2.2 to 4.2.6;
 * docs/spec/deal.md).
 *
 * A deal's money moves here and nowhere else: whatever the way, its escrow, its deposit and the bond of
 * a dispute leave their pots in the same step in which it reaches an end state. NULL is never valid. */
#ifndef FLEX_CONTRACTS_DEAL_H
#define FLEX_CONTRACTS_DEAL_H

#include "contracts/deadline.h"
#include "contracts/delivery.h"
#include "contracts/module.h"

/* Whether its money is still held. */
bool deal_is_open(const struct deal_record *deal);
/* The deadline that an open deal has. */
struct deadline deal_deadline(const struct event_deal *deal);
/* Puts an open deal into another open state, with the deadline that it has there. */
void deal_move(struct contract_call *call, struct event_deal *deal, enum deal_state state,
               struct timestamp deadline);

/* All of the settlement's terms but what was delivered, which is zero. */
void deal_begin_settlement(struct settlement_terms *out, const struct deal_record *deal,
                           const struct market_create *market);
/* Writes into the deal how it would end. */
void deal_set_result(struct deal_record *deal, const struct settlement_result *result,
                     struct energy credited);
/* Ends it as the result in it says: pays seller, fee pool and buyer, and the deposit. Its bond is gone by
 * then. */
void deal_pay_out(struct contract_call *call, struct event_deal *ended);

/* Why nothing was credited without a proof. */
enum deal_failure { DEAL_UNPROVEN, DEAL_CALL_MISSED };
/* Ends a matched deal for which nothing was delivered. */
void deal_fail(struct contract_call *call, uint64_t id, enum deal_failure failure);
/* At its proof deadline: fails, or, a reservation that no call has failed, is paid in full. */
void deal_proof_is_due(struct contract_call *call, uint64_t id);

/* The provider lost a dispute: one more in its record. */
void deal_count_lost_dispute(struct contract_call *call, const struct name *provider);

/* --- contracts/dispute.c ------------------------------------------------------------------ */

enum { DISPUTE_BOND_PERMILLE = 100 }; /* of the deal's escrow, rounded up */

/* After a proof in a market with a dispute window: the deal is proven, or, if it was disputed, decided by
 * the newer readings. `dispute` holds what the proof took. */
void dispute_after_proof(struct contract_call *call, struct event_deal *deal,
                         struct dispute_record *dispute, struct duration window);
/* At the deadline of a proven or disputed deal: what was proven last is final. */
void dispute_is_due(struct contract_call *call, uint64_t id);
/* Whether the validators may decide on it: UNKNOWN_DEAL, DEAL_NOT_OPEN, OUT_OF_RANGE. */
enum contract_error dispute_decision_check(const struct contract_call *call, uint64_t id,
                                           struct energy credited);
void dispute_decide(struct contract_call *call, uint64_t id, struct energy credited);

/* --- contracts/reservation.c -------------------------------------------------------------- */

/* An offer that answers a call: what is refused, and the count of what was offered. */
enum contract_error reservation_answer(struct contract_call *call, const struct offer_place *offer);
/* That much of such an offer was taken back: it no longer counts as an answer. */
void reservation_answer_withdrawn(struct contract_call *call, const struct order_record *order,
                                  struct energy quantity);
/* The gate of some call of that reservation has closed. */
void reservation_call_is_due(struct contract_call *call, uint64_t id);
/* The deal that answered a call ended with nothing credited: the reservation of that period is
 * forfeited, if it has not been paid yet. */
void reservation_call_failed(struct contract_call *call, uint64_t id);
/* What an order of that market books of the device. */
enum commitment_for reservation_purpose(const struct market_create *terms, uint64_t reservation);

extern const struct contract_module reservation_module;

#endif
