/* ledger_book MECHANISM COUNT SEED: plays random games on one order book of the ledger's own contracts,
 * block by block, with orders of every kind, cancellations and replacements, and prints each as one JSON
 * object per line: the terms, every move with the ledger's answer, every deal, and every order as it ended.
 * MECHANISM is batch, sequential, or arrivals: sequential without cancellations and replacements, which is
 * a flexclear problem. check_book.py compares that with models written apart from the contracts.
 *
 * Everybody both buys and sells. The records are audited after each block (market_fixture.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/market_fixture.h"

enum { TRADERS = 4, BLOCKS_MAX = 6, MOVES_MAX = 7, STEPS_MAX = 8, PERIOD = 4 };
static const char *const traders[TRADERS] = {"ann", "ben", "cid", "deb"};

static struct fixture fixture;

struct game {
    struct dice dice;
    struct market_create terms;
    bool changes; /* cancellations and replacements */
    bool first;   /* nothing was printed yet */
};

static void open_game(struct game *game, const char *mechanism)
{
    struct market_create *terms = &game->terms;
    struct dice *dice = &game->dice;
    bool batch = strcmp(mechanism, "batch") == 0;
    market_open(&fixture);
    market_terms(terms);
    terms->id = fixture_name("drawn");
    terms->clearing.mechanism = batch ? MECHANISM_BOOK_BATCH : MECHANISM_BOOK_SEQUENTIAL;
    terms->clearing.tie = (uint8_t)(batch ? dice_between(dice, 0, 1) : 0);
    terms->clearing.trade_price = (uint8_t)(batch ? 0 : dice_between(dice, 0, 3));
    if (dice_between(dice, 0, 1) != 0) {
        terms->delivery.deposit_price = energy_price_of(dice_between(dice, 1, 999));
        terms->delivery.penalty_price = energy_price_of(1000);
    }
    MUST(fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, terms) == CONTRACT_OK);
    for (int i = 0; i < TRADERS; i++) {
        char device[NAME_SIZE];
        snprintf(device, sizeof device, "dev-%s", traders[i]);
        fixture_register(&fixture, traders[i], ROLE_DSO | ROLE_PROSUMER);
        fixture_fund(&fixture, traders[i], 1000000000);
        fixture_device(&fixture, device, traders[i], "z1");
        struct device_enrol enrol = {
            .device = fixture_name(device), .market = terms->id, .enrolled = 1};
        MUST(fixture_act(&fixture, traders[i], ACTION_DEVICE_ENROL, &enrol) == CONTRACT_OK);
    }
    game->changes = strcmp(mechanism, "arrivals") != 0;
    game->first = true;
    printf("{\"mechanism\":\"%s\",\"tie\":\"%s\",\"trade_price\":\"%s\",\"step\":%d,\"moves\":[",
           mechanism, market_tie_names[terms->clearing.tie],
           market_trade_price_names[terms->clearing.trade_price], MARKET_STEP_WH);
}

static struct order_options some_options(struct dice *dice, int64_t quantity)
{
    struct order_options options = {.kind = ORDER_LIMIT};
    if (dice_between(dice, 0, 2) == 0)
        options.kind = (uint8_t)dice_between(dice, 0, 2);
    options.indivisible = dice_between(dice, 0, 4) == 0;
    if (dice_between(dice, 0, 3) == 0)
        options.min_quantity =
            energy_of(MARKET_STEP_WH * dice_between(dice, 0, quantity / MARKET_STEP_WH));
    return options;
}

static int64_t some_price(struct dice *dice)
{
    return 100 + dice_between(dice, 0, 6);
}

static int64_t some_quantity(struct dice *dice)
{
    return MARKET_STEP_WH * dice_between(dice, 1, STEPS_MAX);
}

static void begin_move(struct game *game)
{
    printf("%s", game->first ? "" : ",");
    game->first = false;
}

static void print_options(const struct order_options *options)
{
    printf("\"kind\":\"%s\",\"indivisible\":%s,\"min\":%lld", order_kind_names[options->kind],
           options->indivisible ? "true" : "false", (long long)energy_wh(options->min_quantity));
}

/* What the model may not compute itself: the number, the block and the lot of the newest order. */
static void print_newest(void)
{
    uint64_t id = market_counters(&fixture).orders;
    struct order_record order = market_order(&fixture, id);
    printf(",\"id\":%llu,\"height\":%llu,\"lot\":\"%llu\"", (unsigned long long)id,
           (unsigned long long)order.height, (unsigned long long)order.tie);
}

static void place(struct game *game)
{
    struct dice *dice = &game->dice;
    const char *who = traders[dice_between(dice, 0, TRADERS - 1)];
    bool buys = dice_between(dice, 0, 1) == 0;
    int64_t quantity = some_quantity(dice);
    int64_t price = some_price(dice);
    char device[NAME_SIZE];
    snprintf(device, sizeof device, "dev-%s", who);
    struct order_options options = some_options(dice, quantity);
    struct request_place request = {.market = game->terms.id,
                                    .period_start = market_period(PERIOD),
                                    .quantity = energy_of(quantity),
                                    .price = energy_price_of(price),
                                    .options = options};
    struct offer_place offer = {.market = game->terms.id,
                                .period_start = market_period(PERIOD),
                                .quantity = energy_of(quantity),
                                .price = energy_price_of(price),
                                .device = fixture_name(device),
                                .options = options};
    MUST((buys ? fixture_act(&fixture, who, ACTION_REQUEST_PLACE, &request)
               : fixture_act(&fixture, who, ACTION_OFFER_PLACE, &offer)) == CONTRACT_OK);
    begin_move(game);
    printf("{\"op\":\"place\",\"who\":\"%s\",\"side\":\"%s\",\"quantity\":%lld,\"price\":%lld,",
           who, buys ? "buy" : "sell", (long long)quantity, (long long)price);
    print_options(&options);
    print_newest();
    printf("}");
}

/* One of the latest orders, so that many are still open. */
static uint64_t some_order(struct game *game)
{
    uint64_t count = market_counters(&fixture).orders;
    uint64_t from = count > 6 ? count - 5 : 1;
    return (uint64_t)dice_between(&game->dice, (int64_t)from, (int64_t)count);
}

static void cancel(struct game *game)
{
    char who[NAME_SIZE + 1];
    uint64_t id = some_order(game);
    struct order_record order = market_order(&fixture, id);
    enum contract_error error = market_cancel(&fixture, name_to_text(who, &order.participant), id);
    begin_move(game);
    printf("{\"op\":\"cancel\",\"id\":%llu,\"answer\":\"%s\"}", (unsigned long long)id,
           contract_error_name(error));
}

static void replace(struct game *game)
{
    char who[NAME_SIZE + 1];
    struct dice *dice = &game->dice;
    uint64_t id = some_order(game);
    struct order_record order = market_order(&fixture, id);
    struct order_replace to = {
        .order = id, .quantity = order.quantity, .price = order.price, .options = order.options};
    if (dice_between(dice, 0, 4) != 0)
        to.quantity = energy_of(some_quantity(dice));
    if (dice_between(dice, 0, 1) != 0)
        to.price = energy_price_of(some_price(dice));
    if (dice_between(dice, 0, 3) == 0)
        to.options = some_options(dice, energy_wh(to.quantity));
    name_to_text(who, &order.participant);
    uint64_t before = market_counters(&fixture).orders;
    enum contract_error error = fixture_act(&fixture, who, ACTION_ORDER_REPLACE, &to);
    begin_move(game);
    printf("{\"op\":\"replace\",\"of\":%llu,\"answer\":\"%s\",\"quantity\":%lld,\"price\":%lld,",
           (unsigned long long)id, contract_error_name(error), (long long)energy_wh(to.quantity),
           (long long)energy_price_ueur_per_kwh(to.price));
    print_options(&to.options);
    if (market_counters(&fixture).orders > before)
        print_newest();
    printf("}");
}

static void play(struct game *game)
{
    int64_t blocks = dice_between(&game->dice, 1, BLOCKS_MAX);
    for (int64_t block = 0; block < blocks; block++) {
        for (int64_t i = dice_between(&game->dice, 1, MOVES_MAX); i > 0; i--) {
            int64_t what = dice_between(&game->dice, 0, 9);
            if (market_counters(&fixture).orders == 0 || !game->changes || what < 7)
                place(game);
            else if (what == 7)
                cancel(game);
            else
                replace(game);
        }
        uint64_t height = fixture.context.height;
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
        market_audit(&fixture, true);
        begin_move(game);
        printf("{\"op\":\"end\",\"height\":%llu}", (unsigned long long)height);
    }
}

static void print_outcome(void)
{
    struct counters_record counters = market_counters(&fixture);
    printf("],\"deals\":[");
    for (uint64_t id = 1; id <= counters.deals; id++) {
        struct deal_record deal = market_deal(&fixture, id);
        printf("%s[%llu,%llu,%lld,%lld]", id == 1 ? "" : ",", (unsigned long long)deal.buy_order,
               (unsigned long long)deal.sell_order, (long long)energy_wh(deal.contracted),
               (long long)energy_price_ueur_per_kwh(deal.price));
    }
    printf("],\"orders\":{");
    for (uint64_t id = 1; id <= counters.orders; id++) {
        struct order_record order = market_order(&fixture, id);
        printf("%s\"%llu\":[%lld,%lld,\"%s\"]", id == 1 ? "" : ",", (unsigned long long)id,
               (long long)energy_wh(order.quantity), (long long)energy_wh(order.open),
               order_status_names[order.status]);
    }
    printf("}}\n");
}

int main(int argc, char **argv)
{
    bool known =
        argc == 4 && (strcmp(argv[1], "batch") == 0 || strcmp(argv[1], "sequential") == 0 ||
                      strcmp(argv[1], "arrivals") == 0);
    if (!known) {
        fprintf(stderr, "usage: ledger_book batch|sequential|arrivals COUNT SEED\n");
        return 2;
    }
    long count = strtol(argv[2], NULL, 10);
    for (long i = 0; i < count; i++) {
        struct game game = {.dice = {.state = strtoull(argv[3], NULL, 10) + (uint64_t)i}};
        open_game(&game, argv[1]);
        play(&game);
        print_outcome();
        fixture_end_block(&fixture);
        fixture_close(&fixture);
    }
    return 0;
}
