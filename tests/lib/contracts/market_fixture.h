/* A market with devices, orders, meters and proofs on top of the small ledger, and an auditor that
 * recomputes from all records what pots, indexes and commitments must hold. */
#ifndef FLEX_TESTS_MARKET_FIXTURE_H
#define FLEX_TESTS_MARKET_FIXTURE_H

#include "contracts/delivery.h"
#include "tests/lib/contracts/fixture.h"

enum {
    MARKET_UNITS = 2, /* of a delivery period */
    MARKET_MTU_MS = 900000,
    MARKET_PERIOD_MS = MARKET_UNITS * MARKET_MTU_MS,
    MARKET_GATE_MS = 900000,
    MARKET_PROOF_MS = 86400000,
    MARKET_STEP_WH = 20,
    MARKET_DECLARED_WH = 5000 /* net consumption that every schedule declares for every unit */
};

#define assert_error(expected, actual)                                                             \
    assert_string_equal(contract_error_name(expected), contract_error_name(actual))

/* Market "flex" in zone "z1": units of 15 minutes, periods of two of them, 20 Wh steps from 20 to
 * 4000 Wh, any price from 0 to 1 euro per kWh, gate 15 minutes ahead, proofs within a day. */
void market_terms(struct market_create *terms);
/* Opens the fixture, funds everyone, creates the market and devices dev-NAME of alice, bob, carol,
 * agg, agg2 and retail, enrolled in it. */
void market_open(struct fixture *fixture);
/* Start of the n-th period after genesis; the gate of number 0 is closed already. */
struct timestamp market_period(int n);

/* By their sender; schedules declare MARKET_DECLARED_WH. */
enum contract_error market_request(struct fixture *fixture, const char *sender, int period,
                                   enum direction direction, int64_t quantity, int64_t price);
enum contract_error market_offer(struct fixture *fixture, const char *sender, const char *device,
                                 int period, enum direction direction, int64_t quantity,
                                 int64_t price);
enum contract_error market_cancel(struct fixture *fixture, const char *sender, uint64_t order);

/* Ids count from 1. The record must exist. */
struct order_record market_order(struct fixture *fixture, uint64_t id);
struct deal_record market_deal(struct fixture *fixture, uint64_t id);
struct counters_record market_counters(struct fixture *fixture);
/* What is in a pot; 0 if it does not exist. */
int64_t market_pot(struct fixture *fixture, enum pot_kind kind, uint64_t id);

/* Posts fingerprints of the deal's readings, one batch of four readings per unit, by "meters", and
 * fills the witness that proves `delivered[i]` Wh for unit i. */
/* Under a limit, `delivered` is the net import itself. */
void market_measure(struct fixture *fixture, uint64_t deal, const int64_t delivered[MARKET_UNITS],
                    struct delivery_witness *witness);
/* Sends the proof. */
enum contract_error market_prove(struct fixture *fixture, const char *sender, uint64_t deal,
                                 const struct delivery_witness *witness);
/* Signs a reading with the device's meter key. */
void market_sign_reading(struct meter_reading *reading);

/* Fails the test unless all records fit together; `called` says that the state is right after a
 * block's end, so that no two participants' orders may cross in an open book. */
void market_audit(struct fixture *fixture, bool called);

#endif
