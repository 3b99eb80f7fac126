/* See auction_fixture.h. */
#include "tests/lib/contracts/auction_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"

static void enrol(struct fixture *fixture, const char *owner)
{
    char id[NAME_SIZE];
    snprintf(id, sizeof id, "dev-%s", owner);
    struct device_enrol action = {
        .device = fixture_name(id), .market = fixture_name("auc"), .enrolled = 1};
    MUST(fixture_act(fixture, owner, ACTION_DEVICE_ENROL, &action) == CONTRACT_OK);
}

void auction_open(struct fixture *fixture, void (*change)(struct market_create *terms))
{
    static const char *const owners[] = {"alice", "bob", "carol", "agg", "agg2", "retail"};
    market_open(fixture);
    struct market_create terms;
    market_terms(&terms);
    terms.id = fixture_name("auc");
    terms.limits.quantity_step = energy_of(AUCTION_STEP_WH);
    terms.limits.quantity_min = energy_of(AUCTION_STEP_WH);
    terms.clearing.mechanism = MECHANISM_MERIT_ORDER;
    change(&terms);
    assert_error(CONTRACT_OK, fixture_act(fixture, "operator", ACTION_MARKET_CREATE, &terms));
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        enrol(fixture, owners[i]);
}

void auction_add_buyer(struct fixture *fixture, const char *id)
{
    fixture_register(fixture, id, ROLE_DSO);
    fixture_fund(fixture, id, 1000000000);
}

void auction_add_seller(struct fixture *fixture, const char *id)
{
    char device[NAME_SIZE];
    snprintf(device, sizeof device, "dev-%s", id);
    fixture_register(fixture, id, ROLE_PROSUMER);
    fixture_fund(fixture, id, 10000000);
    fixture_device(fixture, device, id, "z1");
    enrol(fixture, id);
}

static enum contract_error place_offer(struct fixture *fixture, const struct auction_ask *ask,
                                       const struct order_options *options)
{
    char device[NAME_SIZE];
    struct energy units[MARKET_UNITS];
    uint8_t salt[SCHEDULE_SALT_SIZE];
    snprintf(device, sizeof device, "dev-%s", ask->who);
    struct offer_place offer = {.market = fixture_name("auc"),
                                .direction = ask->direction,
                                .period_start = market_period(AUCTION_PERIOD),
                                .quantity = energy_of(ask->quantity),
                                .price = energy_price_of(ask->price),
                                .device = fixture_name(device),
                                .options = *options};
    memset(salt, 0x5a, sizeof salt);
    for (int i = 0; i < MARKET_UNITS; i++)
        units[i] = energy_of(MARKET_DECLARED_WH);
    schedule_hash(&offer.schedule_hash, salt, &offer.device, offer.period_start, units,
                  MARKET_UNITS);
    return fixture_act(fixture, ask->who, ACTION_OFFER_PLACE, &offer);
}

enum contract_error auction_place(struct fixture *fixture, const struct auction_ask *ask)
{
    struct order_options options = {
        .indivisible = ask->whole, .rank = ask->rank, .min_quantity = energy_of(ask->least)};
    if (!ask->buys)
        return place_offer(fixture, ask, &options);
    struct request_place request = {.market = fixture_name("auc"),
                                    .direction = ask->direction,
                                    .period_start = market_period(AUCTION_PERIOD),
                                    .quantity = energy_of(ask->quantity),
                                    .price = energy_price_of(ask->price),
                                    .options = options};
    return fixture_act(fixture, ask->who, ACTION_REQUEST_PLACE, &request);
}

enum contract_error auction_fund_reserve(struct fixture *fixture, const char *who, int64_t ueur)
{
    struct market_reserve action = {.market = fixture_name("auc"), .amount = money_of(ueur)};
    return fixture_act(fixture, who, ACTION_MARKET_RESERVE, &action);
}

void auction_reach_gate(struct fixture *fixture)
{
    int64_t gate = timestamp_ms(market_period(AUCTION_PERIOD)) - MARKET_GATE_MS;
    fixture_next_block(fixture, gate - timestamp_ms(fixture->context.time));
    fixture_next_block(fixture, FIXTURE_BLOCK_MS);
}

struct auction_record auction_result(struct fixture *fixture, enum direction direction)
{
    struct state_key key;
    struct auction_record record;
    char text[64];
    snprintf(text, sizeof text, "auc/%lld/%s",
             (long long)timestamp_ms(market_period(AUCTION_PERIOD)), direction_names[direction]);
    assert_true(state_key_from_text(&key, STATE_AUCTION, text));
    assert_true(ledger_read(fixture->view, &key, &auction_record_codec, &record));
    return record;
}

struct auction_total_record auction_totals(struct fixture *fixture)
{
    struct name market = fixture_name("auc");
    struct state_key key = state_key_name(STATE_AUCTION_TOTAL, &market);
    struct auction_total_record total = {0};
    (void)ledger_read(fixture->view, &key, &auction_total_record_codec, &total);
    return total;
}

int64_t auction_wealth(struct fixture *fixture, const char *id)
{
    struct name who = fixture_name(id);
    int64_t sum = fixture_balance(fixture, id);
    for (uint64_t i = 1; i <= market_counters(fixture).orders; i++) {
        struct order_record order = market_order(fixture, i);
        if (name_compare(&order.participant, &who) == 0)
            sum += market_pot(fixture, POT_ORDER_ESCROW, i);
    }
    return sum;
}

int64_t auction_promised(struct fixture *fixture, const char *seller)
{
    struct name who = fixture_name(seller);
    int64_t sum = 0;
    for (uint64_t i = 1; i <= market_counters(fixture).deals; i++) {
        struct deal_record deal = market_deal(fixture, i);
        if (name_compare(&deal.seller, &who) == 0)
            sum += money_ueur(deal.payment);
    }
    return sum;
}

int64_t auction_fee_pool(struct fixture *fixture)
{
    return market_pot(fixture, POT_FEES, 0);
}
