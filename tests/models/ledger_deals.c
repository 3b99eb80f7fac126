/* ledger_deals COUNT SEED: plays random deals on the ledger's own contracts, one by one, by every method,
 * with deposits and penalties, and prints for each the flexsettle/1 problem that it is and what the
 * ledger made of it, one JSON object per line. check_ledger.py compares that with the oracle.
 *
 * What was contracted, read, declared and promised is this program's; the ledger never sees the problem,
 * and the problem says nothing that was read back from the ledger but the escrow and the deposit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "crypto/merkle.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/market_fixture.h"

enum { UNIT_CONNECTION_WH = 4312, WINDOW = 8, GAP = 4, DAYS_MAX = 4 };
#define DAY_MS INT64_C(86400000)
/* A Thursday at noon two weeks after genesis: Wednesday, Tuesday, Monday and Friday lie before it. */
#define DELIVERY_MS (FIXTURE_TIME_MS + 17 * DAY_MS + DAY_MS / 2)
static const int days_back[DAYS_MAX] = {6, 3, 2, 1};

static const char *const methods[] = {"schedule", "baseline", "capacity_cap", "capacity_floor",
                                      "submeter"};

struct play {
    struct dice dice;
    uint64_t salt; /* of the readings of earlier days */
    struct market_create terms;
    uint8_t direction;
    int64_t per_unit;
    int64_t price;
    int64_t start_ms;
    int64_t actual[MARKET_UNITS];
};

static struct fixture fixture;
static struct delivery_witness witness;

static void draw(struct play *play)
{
    struct market_create *terms = &play->terms;
    struct dice *dice = &play->dice;
    market_terms(terms);
    terms->id = fixture_name("drawn");
    terms->delivery.method = (uint8_t)dice_between(dice, 0, 4);
    play->direction = (uint8_t)dice_between(dice, 0, 1);
    if (terms->delivery.method == DELIVERY_CAPACITY_CAP) {
        terms->product = PRODUCT_CAPACITY_CAP;
        terms->directions = DIRECTIONS_UP;
        play->direction = DIRECTION_UP;
    }
    if (terms->delivery.method == DELIVERY_CAPACITY_FLOOR) {
        terms->product = PRODUCT_CAPACITY_FLOOR;
        terms->directions = DIRECTIONS_DOWN;
        play->direction = DIRECTION_DOWN;
    }
    if (terms->delivery.method == DELIVERY_BASELINE) {
        terms->delivery.baseline_days = (uint16_t)dice_between(dice, 1, DAYS_MAX);
        terms->delivery.baseline_highest =
            (uint16_t)dice_between(dice, 1, terms->delivery.baseline_days);
        terms->delivery.baseline_adjustment_permille = (uint16_t)dice_between(dice, 1, 300);
        terms->delivery.baseline_window = WINDOW;
        terms->delivery.baseline_gap = GAP;
    }
    terms->delivery.tolerance_permille = (uint16_t)dice_between(dice, 700, 1000);
    terms->delivery.floor_permille = (uint16_t)dice_between(dice, 0, 700);
    if (dice_between(dice, 0, 3) > 0) {
        terms->delivery.penalty_price = energy_price_of(dice_between(dice, 1, 400000));
        if (dice_between(dice, 0, 1) == 0)
            terms->delivery.deposit_price = energy_price_of(dice_between(dice, 1, 200000));
        else
            terms->delivery.deposit_permille = (uint16_t)dice_between(dice, 1, 1000);
    }
    play->per_unit = 10 * dice_between(dice, 1, 120);
    play->price = dice_between(dice, 0, 1000000);
    play->start_ms = DELIVERY_MS;
    play->salt = (uint64_t)dice_between(dice, 0, INT64_MAX);
}

/* What the device consumed in a unit of an earlier day, or of the window: some number that only the unit
 * and the draw decide, around that of the delivery. */
static int64_t consumed(const struct play *play, int64_t start_ms)
{
    uint64_t mixed = (play->salt ^ (uint64_t)start_ms) * UINT64_C(0x9e3779b97f4a7c15);
    return 1500 + (int64_t)(mixed >> 54) + (play->direction == DIRECTION_UP ? 300 : -300);
}

static void trade(struct play *play)
{
    struct offer_place offer = {.market = play->terms.id,
                                .direction = play->direction,
                                .period_start = timestamp_of(play->start_ms),
                                .quantity = energy_of(play->per_unit * MARKET_UNITS),
                                .price = energy_price_of(play->price),
                                .device = fixture_name("dev-alice")};
    struct request_place request = {.market = offer.market,
                                    .direction = offer.direction,
                                    .period_start = offer.period_start,
                                    .quantity = offer.quantity,
                                    .price = offer.price};
    struct device_enrol enrol = {.device = offer.device, .market = offer.market, .enrolled = 1};
    uint8_t method = play->terms.delivery.method;
    if (method == DELIVERY_SCHEDULE || method == DELIVERY_SUBMETER) {
        struct energy units[MARKET_UNITS];
        uint8_t salt[SCHEDULE_SALT_SIZE];
        memset(salt, 0x5a, sizeof salt);
        for (int i = 0; i < MARKET_UNITS; i++)
            units[i] = energy_of(MARKET_DECLARED_WH);
        schedule_hash(&offer.schedule_hash, salt, &offer.device, offer.period_start, units,
                      MARKET_UNITS);
    }
    MUST(fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &play->terms) == CONTRACT_OK);
    MUST(fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol) == CONTRACT_OK);
    MUST(fixture_act(&fixture, "alice", ACTION_OFFER_PLACE, &offer) == CONTRACT_OK);
    MUST(fixture_act(&fixture, "dso", ACTION_REQUEST_PLACE, &request) == CONTRACT_OK);
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    fixture_next_block(&fixture,
                       play->start_ms + MARKET_PERIOD_MS - timestamp_ms(fixture.context.time));
}

/* At, or beside, where the credit of a unit changes; or anywhere. */
static int64_t some_delivery(struct play *play)
{
    const struct market_delivery *terms = &play->terms.delivery;
    int64_t edges[] = {(play->per_unit * terms->tolerance_permille + 999) / 1000,
                       (play->per_unit * terms->floor_permille + 999) / 1000, play->per_unit, 0,
                       dice_between(&play->dice, -play->per_unit, 2 * play->per_unit)};
    return edges[dice_between(&play->dice, 0, 4)] + dice_between(&play->dice, -1, 1);
}

/* --- readings of a baseline ----------------------------------------------------------------- */

static void reveal(const struct play *play, int64_t start_ms, int64_t net)
{
    struct revealed_reading *out = &witness.readings[witness.reading_count++];
    struct hash leaf;
    out->meter_operator = fixture_name("meters");
    out->batch = fixture_name("all");
    memset(out->salt, (int)(play->salt & 0xff), sizeof out->salt);
    out->reading = (struct meter_reading){.device = fixture_name("dev-alice"),
                                          .interval_start = timestamp_of(start_ms),
                                          .interval = duration_of(MARKET_MTU_MS),
                                          .net = energy_of(net)};
    market_sign_reading(&out->reading);
    meter_reading_leaf(&leaf, out->salt, &out->reading);
    struct meter_batch batch = {.id = out->batch,
                                .interval_start = timestamp_of(start_ms),
                                .interval = duration_of(MARKET_MTU_MS),
                                .count = 1};
    merkle_root(&batch.root, &leaf, 1);
    MUST(fixture_act(&fixture, "meters", ACTION_METER_BATCH, &batch) == CONTRACT_OK);
}

static int64_t unit_ms(const struct play *play, int unit, int back)
{
    return play->start_ms - back * DAY_MS + unit * (int64_t)MARKET_MTU_MS;
}

static void reveal_window(const struct play *play, int back)
{
    for (int i = 0; i < WINDOW; i++) {
        int64_t start = unit_ms(play, i - WINDOW - GAP, back);
        reveal(play, start, consumed(play, start));
    }
}

static void measure_baseline(struct play *play)
{
    int64_t sign = play->direction == DIRECTION_UP ? -1 : 1;
    memset(&witness, 0, sizeof witness);
    for (int i = 0; i < MARKET_UNITS; i++) {
        int64_t start = unit_ms(play, i, 0);
        play->actual[i] = consumed(play, start) + sign * some_delivery(play);
        reveal(play, start, play->actual[i]);
    }
    reveal_window(play, 0);
    for (int d = DAYS_MAX - play->terms.delivery.baseline_days; d < DAYS_MAX; d++) {
        for (int i = 0; i < MARKET_UNITS; i++)
            reveal(play, unit_ms(play, i, days_back[d]),
                   consumed(play, unit_ms(play, i, days_back[d])));
        reveal_window(play, days_back[d]);
    }
}

static void measure(struct play *play)
{
    int64_t delivered[MARKET_UNITS];
    uint8_t method = play->terms.delivery.method;
    if (method == DELIVERY_BASELINE) {
        measure_baseline(play);
        return;
    }
    for (int i = 0; i < MARKET_UNITS; i++) {
        int64_t wh = some_delivery(play);
        if (method == DELIVERY_CAPACITY_CAP)
            play->actual[i] = delivered[i] = UNIT_CONNECTION_WH - wh;
        else if (method == DELIVERY_CAPACITY_FLOOR)
            play->actual[i] = delivered[i] = wh;
        else {
            delivered[i] = wh;
            play->actual[i] =
                play->direction == DIRECTION_UP ? MARKET_DECLARED_WH - wh : MARKET_DECLARED_WH + wh;
        }
    }
    market_measure(&fixture, 1, delivered, &witness);
}

/* --- output --------------------------------------------------------------------------------- */

static void print_list(const char *key, const int64_t *values, int count)
{
    printf("\"%s\":[", key);
    for (int i = 0; i < count; i++)
        printf("%s\"%lld\"", i == 0 ? "" : ",", (long long)values[i]);
    printf("],");
}

static void window_of(const struct play *play, int back, int64_t out[WINDOW])
{
    for (int i = 0; i < WINDOW; i++)
        out[i] = consumed(play, unit_ms(play, i - WINDOW - GAP, back));
}

static void print_baseline(const struct play *play)
{
    const struct market_delivery *terms = &play->terms.delivery;
    int64_t window[WINDOW];
    printf("\"baseline\":{\"days\":%u,\"highest\":%u,\"adjustment_permille\":%u,",
           terms->baseline_days, terms->baseline_highest, terms->baseline_adjustment_permille);
    window_of(play, 0, window);
    print_list("actual_window_wh", window, WINDOW);
    printf("\"candidates\":[");
    for (int d = DAYS_MAX - terms->baseline_days; d < DAYS_MAX; d++)
        printf("%s{\"day\":%d,\"wh\":[\"%lld\",\"%lld\"]}",
               d == DAYS_MAX - terms->baseline_days ? "" : ",", 100 - days_back[d],
               (long long)consumed(play, unit_ms(play, 0, days_back[d])),
               (long long)consumed(play, unit_ms(play, 1, days_back[d])));
    printf("],\"candidate_window_wh\":[");
    for (int d = DAYS_MAX - terms->baseline_days; d < DAYS_MAX; d++) {
        window_of(play, days_back[d], window);
        printf("%s[", d == DAYS_MAX - terms->baseline_days ? "" : ",");
        for (int i = 0; i < WINDOW; i++)
            printf("%s\"%lld\"", i == 0 ? "" : ",", (long long)window[i]);
        printf("]");
    }
    printf("]},");
}

static void print_deal(const struct play *play, const struct deal_record *deal)
{
    const struct market_delivery *terms = &play->terms.delivery;
    int64_t contracted[MARKET_UNITS], against[MARKET_UNITS];
    for (int i = 0; i < MARKET_UNITS; i++) {
        contracted[i] = play->per_unit;
        against[i] = terms->method == DELIVERY_CAPACITY_CAP ? UNIT_CONNECTION_WH - play->per_unit
                     : terms->method == DELIVERY_CAPACITY_FLOOR ? play->per_unit
                                                                : MARKET_DECLARED_WH;
    }
    printf("{\"problem\":{\"method\":\"%s\",\"direction\":\"%s\",\"price\":\"%lld\","
           "\"penalty_price\":\"%lld\",\"deposit_ueur\":\"%lld\",\"escrow_ueur\":\"%lld\","
           "\"tolerance_permille\":%u,\"floor_permille\":%u,",
           methods[terms->method], direction_names[play->direction], (long long)play->price,
           (long long)energy_price_ueur_per_kwh(terms->penalty_price),
           (long long)money_ueur(deal->deposit), (long long)money_ueur(deal->escrow),
           terms->tolerance_permille, terms->floor_permille);
    if (terms->method == DELIVERY_BASELINE)
        print_baseline(play);
    else
        print_list(terms->method == DELIVERY_CAPACITY_CAP ||
                           terms->method == DELIVERY_CAPACITY_FLOOR
                       ? "limit_wh"
                       : "reference_wh",
                   against, MARKET_UNITS);
    print_list("contracted_wh", contracted, MARKET_UNITS);
    print_list("actual_wh", play->actual, MARKET_UNITS);
    printf("\"rate\":{\"price\":\"%lld\",\"permille\":%u}},",
           (long long)energy_price_ueur_per_kwh(terms->deposit_price), terms->deposit_permille);
    printf("\"ledger\":{\"state\":\"%s\",\"delivered_wh\":%lld,\"credited_wh\":%lld,"
           "\"paid_ueur\":%lld,\"refunded_ueur\":%lld,\"penalty_ueur\":%lld}}\n",
           deal_state_names[deal->state], (long long)energy_wh(deal->delivered),
           (long long)energy_wh(deal->credited), (long long)money_ueur(deal->paid),
           (long long)money_ueur(deal->refunded), (long long)money_ueur(deal->penalty));
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: ledger_deals COUNT SEED\n");
        return 2;
    }
    long count = strtol(argv[1], NULL, 10);
    for (long i = 0; i < count; i++) {
        struct play play = {.dice = {.state = (uint64_t)strtoull(argv[2], NULL, 10) + (uint64_t)i}};
        market_open(&fixture);
        draw(&play);
        trade(&play);
        measure(&play);
        enum contract_error error = market_prove(&fixture, "alice", 1, &witness);
        if (error != CONTRACT_OK) {
            fprintf(stderr, "deal %ld: %s\n", i, contract_error_name(error));
            return 1;
        }
        struct deal_record deal = market_deal(&fixture, 1);
        print_deal(&play, &deal);
        fixture_end_block(&fixture);
        market_audit(&fixture, true);
        fixture_close(&fixture);
    }
    return 0;
}
