/* See deal_fixture.h. */
#include "tests/lib/contracts/deal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "crypto/merkle.h"

void deal_trade(struct fixture *fixture, const char *market, int period, int64_t quantity,
                uint64_t reservation)
{
    struct offer_place offer = {.market = fixture_name(market),
                                .period_start = market_period(period),
                                .quantity = energy_of(quantity),
                                .price = energy_price_of(250000),
                                .device = fixture_name("dev-alice"),
                                .reservation = reservation};
    struct request_place request = {.market = offer.market,
                                    .period_start = offer.period_start,
                                    .quantity = offer.quantity,
                                    .price = offer.price};
    struct market_record record;
    struct state_key key = state_key_name(STATE_MARKET, &offer.market);
    MUST(ledger_read(fixture->view, &key, &market_record_codec, &record));
    if (record.terms.product == PRODUCT_ENERGY &&
        record.terms.delivery.method == DELIVERY_SCHEDULE) {
        struct energy units[MARKET_UNITS];
        uint8_t salt[SCHEDULE_SALT_SIZE];
        memset(salt, 0x5a, sizeof salt);
        for (int i = 0; i < MARKET_UNITS; i++)
            units[i] = energy_of(MARKET_DECLARED_WH);
        schedule_hash(&offer.schedule_hash, salt, &offer.device, offer.period_start, units,
                      MARKET_UNITS);
    }
    assert_error(CONTRACT_OK, fixture_act(fixture, "alice", ACTION_OFFER_PLACE, &offer));
    if (reservation == 0)
        assert_error(CONTRACT_OK, fixture_act(fixture, "dso", ACTION_REQUEST_PLACE, &request));
}

void deal_open(struct fixture *fixture, void (*change)(struct market_create *terms))
{
    struct market_create terms;
    market_open(fixture);
    market_terms(&terms);
    terms.id = fixture_name("deals");
    terms.delivery.penalty_price = energy_price_of(40000);
    terms.delivery.deposit_permille = 200;
    change(&terms);
    assert_error(CONTRACT_OK, fixture_act(fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = terms.id, .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    deal_trade(fixture, "deals", 4, DEAL_WH, 0);
    fixture_next_block(fixture, FIXTURE_BLOCK_MS);
    assert_int_equal(market_deal(fixture, 1).state, DEAL_MATCHED);
}

void deal_wait(struct fixture *fixture, int64_t ms)
{
    fixture_next_block(fixture, ms);
}

void deal_deliver(struct fixture *fixture, uint64_t deal)
{
    int64_t end = timestamp_ms(market_deal(fixture, deal).period_start) + MARKET_PERIOD_MS;
    fixture_next_block(fixture, end - timestamp_ms(fixture->context.time));
}

enum contract_error deal_measure(struct fixture *fixture, uint64_t deal, uint32_t revision,
                                 int64_t first, int64_t second, struct delivery_witness *witness)
{
    const int64_t delivered[MARKET_UNITS] = {first, second};
    const struct deal_record record = market_deal(fixture, deal);
    enum contract_error error = CONTRACT_OK;
    char text[NAME_SIZE];
    snprintf(text, sizeof text, "deal-%llu", (unsigned long long)deal);
    memset(witness, 0, sizeof *witness);
    memset(witness->schedule_salt, 0x5a, SCHEDULE_SALT_SIZE);
    witness->unit_count = MARKET_UNITS;
    witness->reading_count = MARKET_UNITS;
    for (int i = 0; i < MARKET_UNITS && error == CONTRACT_OK; i++) {
        struct revealed_reading *out = &witness->readings[i];
        struct hash leaf;
        witness->units[i].net = energy_of(MARKET_DECLARED_WH);
        out->meter_operator = fixture_name("meters");
        out->batch = fixture_name(text);
        memset(out->salt, (int)revision, sizeof out->salt);
        out->reading = (struct meter_reading){.device = record.device,
                                              .interval = duration_of(MARKET_MTU_MS),
                                              .net = energy_of(MARKET_DECLARED_WH - delivered[i])};
        MUST(timestamp_add(&out->reading.interval_start, record.period_start,
                           duration_of(i * (int64_t)MARKET_MTU_MS)));
        market_sign_reading(&out->reading);
        meter_reading_leaf(&leaf, out->salt, &out->reading);
        struct meter_batch batch = {.id = out->batch,
                                    .interval_start = out->reading.interval_start,
                                    .interval = out->reading.interval,
                                    .count = 1,
                                    .revision = revision};
        if (revision > 0)
            batch.reason = bytes_view_of("meter read again", 16);
        merkle_root(&batch.root, &leaf, 1);
        error = fixture_act(fixture, "meters", ACTION_METER_BATCH, &batch);
    }
    return error;
}

enum contract_error deal_dispute(struct fixture *fixture, const char *sender, uint64_t deal)
{
    struct deal_dispute action = {.deal = deal};
    memset(action.evidence.bytes, 0xe1, sizeof action.evidence.bytes);
    return fixture_act(fixture, sender, ACTION_DEAL_DISPUTE, &action);
}

enum contract_error deal_vote(struct fixture *fixture, uint64_t deal, int64_t credited)
{
    struct governance_propose propose = {
        .kind = PROPOSAL_DECIDE_DISPUTE, .deal = deal, .credited = energy_of(credited)};
    enum contract_error error =
        fixture_act(fixture, "operator", ACTION_GOVERNANCE_PROPOSE, &propose);
    struct governance_record governance;
    struct state_key key = state_key_single(STATE_GOVERNANCE);
    if (error != CONTRACT_OK ||
        !ledger_read(fixture->view, &key, &governance_record_codec, &governance))
        return error;
    struct governance_vote vote = {.proposal = governance.proposals, .approve = 1};
    error = fixture_act(fixture, "agg", ACTION_GOVERNANCE_VOTE, &vote);
    return error != CONTRACT_OK ? error
                                : fixture_act(fixture, "agg2", ACTION_GOVERNANCE_VOTE, &vote);
}

struct dispute_record deal_dispute_record(struct fixture *fixture, uint64_t deal)
{
    struct dispute_record record;
    struct state_key key = state_key_u64(STATE_DISPUTE, deal);
    assert_true(ledger_read(fixture->view, &key, &dispute_record_codec, &record));
    return record;
}

struct reliability_record deal_reliability(struct fixture *fixture, const char *provider)
{
    struct reliability_record record;
    struct name name = fixture_name(provider);
    struct state_key key = state_key_name(STATE_RELIABILITY, &name);
    if (!ledger_read(fixture->view, &key, &reliability_record_codec, &record))
        memset(&record, 0, sizeof record);
    return record;
}
