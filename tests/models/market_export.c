/* Random markets with the real contracts, as an export for check_surveillance.py:
 * market_export DIRECTORY SEED. Offers and requests in several books, cancellations, replacements,
 * gates that close. What it makes depends on the seed alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/lib/random.h"
#include "tests/lib/tools/audit_market.h"

enum { AGGREGATORS = 8, BOOKS = 6, ROUNDS = 60, BATCH_MAX = 8 };
static const char *const markets[] = {"west", "north"};
static const char *const zones[] = {"zone-w", "zone-n"};

static const char *text(char out[24], const char *what, uint32_t number)
{
    snprintf(out, 24, "%s-%u", what, number);
    return out;
}

static void open_markets(struct audit_world *world)
{
    char who[24], device[24];
    audit_world_mint(world, "operator", 1000000000);
    audit_world_turn(world, 1000);
    audit_world_mint(world, "dso", 100000000000);
    audit_world_turn(world, 1000);
    for (uint32_t m = 0; m < 2; m++) {
        audit_market_create(world, markets[m], zones[m]);
    }
    for (uint32_t i = 0; i < AGGREGATORS; i++) {
        audit_world_add(world, text(who, "agg", i), ROLE_AGGREGATOR);
    }
    audit_world_turn(world, 1000);
    for (uint32_t i = 0; i < AGGREGATORS; i++) {
        audit_world_mint(world, text(who, "agg", i), 1000000000);
    }
    audit_world_turn(world, 1000);
    for (uint32_t i = 0; i < AGGREGATORS; i++) {
        for (uint32_t m = 0; m < 2; m++) {
            audit_market_device(world, text(who, "agg", i), text(device, markets[m], i), markets[m],
                                zones[m], 4000000);
        }
    }
}

/* Cancels or replaces an open offer of `who`'s, if the order with that number is one. */
static void touch(struct audit_world *world, struct test_random *random, uint64_t id)
{
    char who[NAME_SIZE + 1], device[NAME_SIZE + 1], market[NAME_SIZE + 1];
    struct state_key key = state_key_u64(STATE_ORDER, id);
    struct order_record order;
    if (!ledger_read(audit_world_view(world), &key, &order_record_codec, &order) ||
        order.status != ORDER_OPEN) {
        return;
    }
    name_to_text(who, &order.participant);
    if (order.side == SIDE_BUY || test_random_below(random, 2) == 0) {
        audit_market_cancel(world, who, id);
        return;
    }
    audit_market_replace(world, who, id, name_to_text(device, &order.device),
                         name_to_text(market, &order.market), timestamp_ms(order.period_start),
                         MARKET_STEP_WH * (1 + (int64_t)test_random_below(random, 50)),
                         150000 + (int64_t)test_random_below(random, 100000));
}

static void place(struct audit_world *world, struct test_random *random, int64_t first)
{
    char who[24], device[24];
    uint32_t m = (uint32_t)test_random_below(random, 2);
    int64_t start = first + (int64_t)test_random_below(random, BOOKS) * MARKET_UNIT_MS;
    int64_t wh = MARKET_STEP_WH * (1 + (int64_t)test_random_below(random, 100));
    int64_t price = 100000 + (int64_t)test_random_below(random, 200000);
    if (test_random_below(random, 3) == 0) {
        audit_market_request(world, "dso", markets[m], start, wh, price);
        return;
    }
    /* The first ones trade more, so that concentration differs. */
    uint32_t one = (uint32_t)test_random_below(random, AGGREGATORS);
    uint32_t other = (uint32_t)test_random_below(random, AGGREGATORS);
    uint32_t agg = one < other ? one : other;
    audit_market_offer(world, text(who, "agg", agg), text(device, markets[m], agg), markets[m],
                       start, wh, price);
}

int main(int argc, char **argv)
{
    if (argc != 3 || !crypto_init()) {
        fprintf(stderr, "usage: market_export DIRECTORY SEED\n");
        return 2;
    }
    struct test_random random = {strtoull(argv[2], NULL, 10)};
    struct audit_world *world = audit_world_create(argv[1]);
    open_markets(world);
    int64_t hour = MS_PER_HOUR;
    int64_t first = (timestamp_ms(audit_world_tip(world)->time) / hour + 3) * hour;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t orders = audit_market_orders(world);
        uint64_t batch = 1 + test_random_below(&random, BATCH_MAX);
        for (uint64_t i = 0; i < batch; i++) {
            place(world, &random, first);
        }
        if (orders > 0 && round % 2 == 0) {
            touch(world, &random, 1 + test_random_below(&random, orders));
        }
        audit_world_turn(world, 1000);
    }
    audit_world_turn_at(world, first + hour);
    audit_world_turn_at(world, first + 3 * hour);
    audit_world_finish(world);
    audit_world_destroy(world);
    return 0;
}
