/* Markets, devices and orders for the tests of surveillance, on top of audit_world.h. What queues
 * leaves the block to the caller; what takes blocks says so. */
#ifndef FLEX_TESTS_AUDIT_MARKET_H
#define FLEX_TESTS_AUDIT_MARKET_H

#include "tests/lib/tools/audit_world.h"

enum { MARKET_UNIT_MS = 900000, MARKET_PRICE_CAP = 1000000, MARKET_STEP_WH = 20 };

/* Creates a market of quarter hours in `zone` whose gate closes an hour before delivery. */
void audit_market_create(struct audit_world *world, const char *market, const char *zone);
/* A capacity market of a network of one node, at which all devices here stand: so much export in the
 * quarter hour that begins at `start_ms`; takes two blocks. */
void audit_market_capacity(struct audit_world *world, const char *market, const char *zone,
                           int64_t start_ms, int64_t watts);
/* Enrols the device there and asks for room for it; takes two blocks. */
void audit_market_ask(struct audit_world *world, const char *who, const char *device,
                      const char *market, int64_t start_ms, int64_t wh, int64_t price);
/* Registers a device of `watts`, prequalifies it by `dso`, enrols it; takes three blocks. */
void audit_market_device(struct audit_world *world, const char *owner, const char *device,
                         const char *market, const char *zone, int64_t watts);
/* `manager` takes over the device for all of the first year; takes two blocks. */
void audit_market_delegate(struct audit_world *world, const char *owner, const char *device,
                           const char *manager);
/* For the quarter hour that begins at `start_ms`, upwards. */
void audit_market_request(struct audit_world *world, const char *who, const char *market,
                          int64_t start_ms, int64_t wh, int64_t price);
void audit_market_offer(struct audit_world *world, const char *who, const char *device,
                        const char *market, int64_t start_ms, int64_t wh, int64_t price);
void audit_market_cancel(struct audit_world *world, const char *who, uint64_t order);
/* Cancels `order` and places an offer in its stead, in one transaction. */
void audit_market_replace(struct audit_world *world, const char *who, uint64_t order,
                          const char *device, const char *market, int64_t start_ms, int64_t wh,
                          int64_t price);
/* Orders placed so far: the number of the last one. */
uint64_t audit_market_orders(struct audit_world *world);

#endif
