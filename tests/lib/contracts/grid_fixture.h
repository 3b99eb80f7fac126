/* A network under the market fixture, devices at its nodes, and an auditor that adds up what every deal
 * and allocation takes of every node from the records of deals, orders and devices alone. */
#ifndef FLEX_TESTS_GRID_FIXTURE_H
#define FLEX_TESTS_GRID_FIXTURE_H

#include "contracts/grid.h"
#include "tests/lib/contracts/market_fixture.h"

enum contract_error grid_node(struct fixture *fixture, const char *sender, const char *network,
                              const char *id, const char *parent);
/* Network "net" of dso: trafo, below it f1 and f2, below f1 leaf. Devices at-NAME: of alice and agg2 at
 * leaf, of bob at feeder f1 (at a node that the network does not have), of carol and agg at f2, of retail
 * at trafo. */
void grid_small_network(struct fixture *fixture);
/* Creates the market of that name on net, and enrols the devices. */
void grid_market(struct fixture *fixture, const char *id, struct market_create *terms);

/* One publication for the whole delivery period. */
void grid_publish(struct fixture *fixture, const char *node, int period, int64_t import_w,
                  int64_t export_w);
enum contract_error grid_try_publish(struct fixture *fixture, const char *node, int period,
                                     int64_t import_w, int64_t export_w, bool enforce);

/* Requests by dso; offers of at-OWNER. */
enum contract_error grid_request(struct fixture *fixture, const char *market, int period,
                                 enum direction direction, int64_t quantity, int64_t price);
enum contract_error grid_request_by(struct fixture *fixture, const char *market, const char *sender,
                                    int period, enum direction direction, int64_t quantity,
                                    int64_t price);
enum contract_error grid_offer(struct fixture *fixture, const char *market, const char *owner,
                               int period, enum direction direction, int64_t quantity,
                               int64_t price);

/* A request for capacity, for at-OWNER. */
enum contract_error grid_ask(struct fixture *fixture, const char *market, const char *owner,
                             int period, enum direction direction, int64_t quantity, int64_t price,
                             struct order_options options);
/* Of an order; it must exist. */
struct allocation_record grid_allocation(struct fixture *fixture, uint64_t order);
/* Of the n-th quarter hour of the period; it must exist. */
struct capacity_record grid_record(struct fixture *fixture, const char *node, int period, int slot);
/* Events of that type in the last block's end. */
size_t grid_events(struct fixture *fixture, uint8_t type);

/* Fails the test unless every record holds what deals and allocations say, and, where nobody enforced
 * less, no limit is broken. */
void grid_audit(struct fixture *fixture);
/* Fails unless every device holds what its open requests and its allocations add up to. */
void grid_audit_holdings(struct fixture *fixture);
/* Fails unless every open offer that crosses another's request finds less than a step on its path. */
void grid_check_fair(struct fixture *fixture, const char *market, int period);

#endif
