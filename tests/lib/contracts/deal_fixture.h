/* One deal in a market of a test's own, and what can be done to it: readings and their corrections,
 * proofs, disputes, votes, time. On top of market_fixture. */
#ifndef FLEX_TESTS_DEAL_FIXTURE_H
#define FLEX_TESTS_DEAL_FIXTURE_H

#include "tests/lib/contracts/market_fixture.h"

/* The deal: 500 Wh up in each of two units, 250,000 ueur/kWh, of dev-alice to dso in period 4. */
enum { DEAL_WH = 1000, DEAL_ESCROW = 250000, DEAL_BOND = 25000, DEAL_DEPOSIT = 50000 };

/* Opens the fixture and makes deal 1 in market "deals", whose terms `change` may have its way with:
 * those of market_terms with a deposit of 200 permille and a penalty of 40,000 ueur/kWh. */
void deal_open(struct fixture *fixture, void (*change)(struct market_create *terms));
/* Places an offer of alice's and a request of dso's that meet in that market. */
void deal_trade(struct fixture *fixture, const char *market, int period, int64_t quantity,
                uint64_t reservation);
/* A block that much later, or at the end of the deal's delivery. */
void deal_wait(struct fixture *fixture, int64_t ms);
void deal_deliver(struct fixture *fixture, uint64_t deal);

/* Posts what each unit delivered, as the given revision of the deal's batch; fills the witness. */
enum contract_error deal_measure(struct fixture *fixture, uint64_t deal, uint32_t revision,
                                 int64_t first, int64_t second, struct delivery_witness *witness);
enum contract_error deal_dispute(struct fixture *fixture, const char *sender, uint64_t deal);
/* Proposes to credit so much, and votes for it with three of four validators. */
enum contract_error deal_vote(struct fixture *fixture, uint64_t deal, int64_t credited);

struct dispute_record deal_dispute_record(struct fixture *fixture, uint64_t deal);
/* All zero if there is none. */
struct reliability_record deal_reliability(struct fixture *fixture, const char *provider);

#endif
