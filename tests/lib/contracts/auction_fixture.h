/* An auction market "auc" on the small ledger: who bids, what the gate brings, what each agent ended up
 * with. On top of market_fixture. */
#ifndef FLEX_TESTS_AUCTION_FIXTURE_H
#define FLEX_TESTS_AUCTION_FIXTURE_H

#include "tests/lib/contracts/market_fixture.h"

enum { AUCTION_PERIOD = 4, AUCTION_STEP_WH = 2 };

/* Opens the fixture with market "auc" in steps of 2 Wh from 2 to 4000 Wh, whose terms `change` may have its
 * way with; the devices of market_open are enrolled in it. */
void auction_open(struct fixture *fixture, void (*change)(struct market_create *terms));
/* Another DSO with money; another prosumer with a device "dev-NAME". */
void auction_add_buyer(struct fixture *fixture, const char *id);
void auction_add_seller(struct fixture *fixture, const char *id);

/* What a test asks for; a zeroed rest is a plain bid up. */
struct auction_ask {
    const char *who;
    bool buys;
    int64_t quantity;
    int64_t price;
    int64_t least;
    uint16_t rank;
    uint8_t whole;
    uint8_t direction;
};
enum contract_error auction_place(struct fixture *fixture, const struct auction_ask *ask);
enum contract_error auction_fund_reserve(struct fixture *fixture, const char *who, int64_t ueur);

/* Goes on to the block at the gate of the period and ends it, so that what is due has been cleared. A new
 * block is open afterwards. */
void auction_reach_gate(struct fixture *fixture);
struct auction_record auction_result(struct fixture *fixture, enum direction direction);
struct auction_total_record auction_totals(struct fixture *fixture);

/* Balance and order pots together. */
int64_t auction_wealth(struct fixture *fixture, const char *id);
/* What the deals made so far promise that seller, or hold of that buyer's money. */
int64_t auction_promised(struct fixture *fixture, const char *seller);
int64_t auction_fee_pool(struct fixture *fixture);

#endif
