/* Fingerprints, proofs of delivery and the life cycle of deals: every refusal, every way in which a
 * deal can end, and where its escrow goes each time. Examples are those of docs/spec/delivery.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/book.h"
#include "contracts/deadline.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/market_fixture.h"

enum { FEES = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION };

static struct fixture fixture;
static struct delivery_witness witness;

/* Deal 1: alice sells 1000 Wh (500 per unit) of up-regulation in period 2 to the DSO for 250,000
 * ueur/kWh. Its delivery is over when the test starts. */
static int set_up(void **state)
{
    (void)state;
    market_open(&fixture);
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 2, DIRECTION_UP, 1000, 250000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 2, DIRECTION_UP, 1000, 250000));
    fixture_next_block(&fixture, 3 * (int64_t)MARKET_PERIOD_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
    return 0;
}

static void measure(int64_t first, int64_t second)
{
    const int64_t delivered[MARKET_UNITS] = {first, second};
    market_measure(&fixture, 1, delivered, &witness);
}

/* --- how a deal ends ---------------------------------------------------------------------- */

struct ending {
    const char *name; /* as in delivery.md */
    int64_t delivered[MARKET_UNITS];
    enum deal_state state;
    int64_t credited, paid, refunded, fee;
};

static const struct ending endings[] = {
    {"credited in full", {580, 475}, DEAL_SETTLED, 1000, 250000, 0, 500},
    {"one watt-hour under the tolerance", {580, 474}, DEAL_PARTIAL, 974, 243500, 6500, 500},
    {"one watt-hour in all", {1, 0}, DEAL_PARTIAL, 1, 250, 249750, 250},
    {"nothing", {0, 0}, DEAL_REFUNDED, 0, 0, 250000, 0},
    {"against the direction", {-80, -90}, DEAL_REFUNDED, 0, 0, 250000, 0},
    {"one unit against the direction", {-80, 500}, DEAL_PARTIAL, 500, 125000, 125000, 500},
};

static void test_every_ending_by_proof(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const struct ending *want = &endings[i];
        print_message("          %s\n", want->name);
        if (i > 0) {
            (void)tear_down(NULL);
            (void)set_up(NULL);
        }
        measure(want->delivered[0], want->delivered[1]);
        int64_t buyer = fixture_balance(&fixture, "dso");
        int64_t seller = fixture_balance(&fixture, "alice");
        int64_t pool = market_pot(&fixture, POT_FEES, 0);
        const char *sender = i % 2 == 0 ? "alice" : "dso";
        assert_error(CONTRACT_OK, market_prove(&fixture, sender, 1, &witness));
        struct deal_record deal = market_deal(&fixture, 1);
        assert_int_equal(deal.state, want->state);
        assert_int_equal(energy_wh(deal.credited), want->credited);
        assert_int_equal(energy_wh(deal.delivered), want->delivered[0] + want->delivered[1]);
        assert_int_equal(money_ueur(deal.paid), want->paid);
        assert_int_equal(money_ueur(deal.refunded), want->refunded);
        assert_int_equal(money_ueur(deal.fee), want->fee);
        assert_int_equal(deal.settled_height, fixture.context.height);
        int64_t buyer_fees = i % 2 == 0 ? 0 : FEES;
        assert_int_equal(fixture_balance(&fixture, "dso"), buyer + want->refunded - buyer_fees);
        assert_int_equal(fixture_balance(&fixture, "alice"),
                         seller + want->paid - want->fee - (FEES - buyer_fees));
        assert_int_equal(market_pot(&fixture, POT_FEES, 0), pool + FEES + want->fee);
        assert_error(CONTRACT_DEAL_NOT_OPEN, market_prove(&fixture, "dso", 1, &witness));
    }
}

/* --- every way through -------------------------------------------------------------------- */

/* What becomes of a request of 200 Wh, and of the deal that it may make. */
enum order_way {
    TAKEN_WHOLE,
    TAKEN_HALF_THEN_CANCELLED,
    TAKEN_HALF_THEN_EXPIRED,
    CANCELLED,
    EXPIRED,
    ORDER_WAYS
};
enum deal_way { PROVEN, PROVEN_IN_PART, PROVEN_NOTHING, NO_PROOF, DEAL_WAYS };

static size_t entries(enum state_kind kind)
{
    uint8_t prefix = (uint8_t)kind;
    return memory_state_count(fixture.state, bytes_view_of(&prefix, 1));
}

static void go_order_way(int way, uint64_t request)
{
    bool half = way == TAKEN_HALF_THEN_CANCELLED || way == TAKEN_HALF_THEN_EXPIRED;
    if (way == TAKEN_WHOLE || half)
        assert_error(CONTRACT_OK, market_offer(&fixture, "carol", "dev-carol", 6, DIRECTION_UP,
                                               half ? 100 : 200, 33333));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    if (way == CANCELLED || way == TAKEN_HALF_THEN_CANCELLED)
        assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", request));
    fixture_next_block(&fixture, 6 * (int64_t)MARKET_PERIOD_MS);
    market_audit(&fixture, false);
}

static void go_deal_way(int way, uint64_t deal)
{
    int64_t unit = energy_wh(market_deal(&fixture, deal).contracted) / MARKET_UNITS;
    int64_t share = way == PROVEN ? unit : way == PROVEN_IN_PART ? unit / 2 : 0;
    const int64_t delivered[MARKET_UNITS] = {share, share};
    if (way != NO_PROOF) {
        market_measure(&fixture, deal, delivered, &witness);
        assert_error(CONTRACT_OK, market_prove(&fixture, "carol", deal, &witness));
    }
    market_audit(&fixture, false);
}

static void check_path(int order_way, int deal_way)
{
    static const enum deal_state ends[DEAL_WAYS] = {DEAL_SETTLED, DEAL_PARTIAL, DEAL_REFUNDED,
                                                    DEAL_REFUNDED};
    static const enum order_status statuses[ORDER_WAYS] = {
        ORDER_FILLED, ORDER_CANCELLED, ORDER_EXPIRED, ORDER_CANCELLED, ORDER_EXPIRED};
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 6, DIRECTION_UP, 200, 33333));
    uint64_t request = market_counters(&fixture).orders;
    go_order_way(order_way, request);
    bool dealt = order_way != CANCELLED && order_way != EXPIRED;
    assert_int_equal(market_counters(&fixture).deals, dealt ? 2 : 1);
    if (dealt)
        go_deal_way(deal_way, 2);
    fixture_next_block(&fixture, 2 * (int64_t)MARKET_PROOF_MS);
    fixture_next_block(&fixture, 1);
    assert_int_equal(market_order(&fixture, request).status, statuses[order_way]);
    if (dealt)
        assert_int_equal(market_deal(&fixture, 2).state, ends[deal_way]);
    assert_int_equal(entries(STATE_DEADLINE), 0);
    assert_int_equal(entries(STATE_BOOK), 0);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, id), 0);
        assert_int_equal(market_pot(&fixture, POT_DEAL_ESCROW, id), 0);
    }
}

/* Whatever way an order and its deal go, in the end there is no escrow, no deadline and no open
 * order, and both have the state that the way leads to. */
static void test_every_path_ends_without_escrow(void **state)
{
    (void)state;
    for (int order_way = 0; order_way < ORDER_WAYS; order_way++) {
        for (int deal_way = 0; deal_way < DEAL_WAYS; deal_way++) {
            (void)tear_down(NULL);
            (void)set_up(NULL);
            check_path(order_way, deal_way);
        }
    }
}

/* The block end moved the whole escrow of deal 1 to the buyer, once. (Its balance alone would not
 * tell: the fee split of the day falls into the same block.) */
static void check_refund_event(void)
{
    struct bytes_view events = fixture.end_receipt.events;
    struct name dso = fixture_name("dso");
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    int moves = 0;
    while (event_next(events, &cursor, &type, &bytes)) {
        struct event_token_moved event;
        if (type != EVENT_TOKEN_MOVED)
            continue;
        assert_true(codec_decode_all(event_codec(type), &event, bytes));
        assert_int_equal(event.from.kind, POT_DEAL_ESCROW);
        assert_int_equal(event.from.id, 1);
        assert_int_equal(event.to.kind, POT_BALANCE);
        assert_int_equal(name_compare(&event.to.participant, &dso), 0);
        assert_int_equal(money_ueur(event.amount), 250000);
        moves++;
    }
    assert_int_equal(moves, 1);
}

/* Time of the block against delivery end and proof deadline. */
static void test_proof_has_its_time(void **state)
{
    (void)state;
    measure(500, 500);
    int64_t deadline = timestamp_ms(market_deal(&fixture, 1).proof_deadline);
    fixture_next_block(&fixture, deadline - 1 - timestamp_ms(fixture.context.time));
    assert_int_equal(market_deal(&fixture, 1).state, DEAL_MATCHED);
    fixture_next_block(&fixture, 1);
    assert_error(CONTRACT_TOO_LATE, market_prove(&fixture, "alice", 1, &witness));
    assert_int_equal(market_deal(&fixture, 1).state, DEAL_MATCHED);
    fixture_end_block(&fixture);
    check_refund_event();
    fixture_begin_block(&fixture, 1);
    struct deal_record deal = market_deal(&fixture, 1);
    assert_int_equal(deal.state, DEAL_REFUNDED);
    assert_int_equal(money_ueur(deal.refunded), 250000);
    assert_int_equal(money_ueur(deal.paid), 0);
    assert_error(CONTRACT_DEAL_NOT_OPEN, market_prove(&fixture, "alice", 1, &witness));
}

static void test_proof_in_the_last_millisecond(void **state)
{
    (void)state;
    measure(500, 500);
    int64_t deadline = timestamp_ms(market_deal(&fixture, 1).proof_deadline);
    fixture_next_block(&fixture, deadline - 1 - timestamp_ms(fixture.context.time));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    fixture_next_block(&fixture, 2);
    assert_int_equal(market_deal(&fixture, 1).state, DEAL_SETTLED);
}

static void test_proof_before_delivery_ends(void **state)
{
    (void)state;
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 6, DIRECTION_DOWN, 1000, 250000));
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "bob", "dev-bob", 6, DIRECTION_DOWN, 1000, 250000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    int64_t end = timestamp_ms(market_period(7));
    memset(&witness, 0, sizeof witness);
    fixture_next_block(&fixture, end - 1 - timestamp_ms(fixture.context.time));
    assert_error(CONTRACT_TOO_EARLY, market_prove(&fixture, "bob", 2, &witness));
    fixture_next_block(&fixture, 1);
    const int64_t delivered[MARKET_UNITS] = {500, 480};
    market_measure(&fixture, 2, delivered, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "bob", 2, &witness));
    assert_int_equal(market_deal(&fixture, 2).state, DEAL_SETTLED);
}

/* --- refused proofs ----------------------------------------------------------------------- */

static void flip_salt(struct delivery_witness *w)
{
    w->readings[1].salt[3] ^= 1;
}
static void flip_path(struct delivery_witness *w)
{
    w->readings[0].path[1].bytes[31] ^= 1;
}
static void shorten_path(struct delivery_witness *w)
{
    w->readings[0].path_count--;
}
static void lengthen_path(struct delivery_witness *w)
{
    w->readings[0].path_count++;
}
static void move_index(struct delivery_witness *w)
{
    w->readings[0].index ^= 1;
}
static void far_index(struct delivery_witness *w)
{
    w->readings[0].index += 4;
}
static void change_net(struct delivery_witness *w)
{
    w->readings[0].reading.net = energy_of(0);
}
static void resign_net(struct delivery_witness *w)
{
    w->readings[0].reading.net = energy_of(0);
    market_sign_reading(&w->readings[0].reading);
}
static void swap_readings(struct delivery_witness *w)
{
    struct revealed_reading first = w->readings[0];
    w->readings[0] = w->readings[1];
    w->readings[1] = first;
}
static void repeat_reading(struct delivery_witness *w)
{
    w->readings[1] = w->readings[0];
}
static void drop_reading(struct delivery_witness *w)
{
    w->reading_count--;
}
static void add_reading(struct delivery_witness *w)
{
    w->readings[2] = w->readings[1];
    w->reading_count++;
}
static void other_device(struct delivery_witness *w)
{
    w->readings[0].reading.device = fixture_name("dev-bob");
}
static void other_length(struct delivery_witness *w)
{
    w->readings[0].reading.interval = duration_of(1800000);
}
static void other_batch(struct delivery_witness *w)
{
    w->readings[0].batch = fixture_name("deal-2");
}
static void other_operator(struct delivery_witness *w)
{
    w->readings[0].meter_operator = fixture_name("dso");
}
static void change_schedule(struct delivery_witness *w)
{
    w->units[0].net = energy_of(MARKET_DECLARED_WH + 1);
}
static void change_schedule_salt(struct delivery_witness *w)
{
    w->schedule_salt[0] ^= 1;
}
static void shorten_schedule(struct delivery_witness *w)
{
    w->unit_count--;
}
static void lengthen_schedule(struct delivery_witness *w)
{
    w->unit_count++;
}

static void test_forged_proofs(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        void (*forge)(struct delivery_witness *w);
        enum contract_error expected;
    } rows[] = {
        {"salt", flip_salt, CONTRACT_BAD_PROOF},
        {"path", flip_path, CONTRACT_BAD_PROOF},
        {"short path", shorten_path, CONTRACT_BAD_PROOF},
        {"long path", lengthen_path, CONTRACT_BAD_PROOF},
        {"index", move_index, CONTRACT_BAD_PROOF},
        {"index outside", far_index, CONTRACT_BAD_PROOF},
        {"reading", change_net, CONTRACT_BAD_PROOF},
        {"reading signed anew", resign_net, CONTRACT_BAD_PROOF},
        {"swapped readings", swap_readings, CONTRACT_BAD_READING},
        {"one reading twice", repeat_reading, CONTRACT_BAD_READING},
        {"a reading too few", drop_reading, CONTRACT_BAD_READING},
        {"a reading too many", add_reading, CONTRACT_BAD_READING},
        {"another device's", other_device, CONTRACT_BAD_READING},
        {"another length", other_length, CONTRACT_BAD_READING},
        {"another batch", other_batch, CONTRACT_UNKNOWN_BATCH},
        {"another operator", other_operator, CONTRACT_UNKNOWN_BATCH},
        {"schedule", change_schedule, CONTRACT_BAD_SCHEDULE},
        {"schedule's salt", change_schedule_salt, CONTRACT_BAD_SCHEDULE},
        {"short schedule", shorten_schedule, CONTRACT_BAD_SCHEDULE},
        {"long schedule", lengthen_schedule, CONTRACT_BAD_SCHEDULE},
    };
    static struct delivery_witness forged;
    measure(500, 500);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("          %s\n", rows[i].what);
        forged = witness;
        rows[i].forge(&forged);
        assert_error(rows[i].expected, market_prove(&fixture, "alice", 1, &forged));
        assert_int_equal(market_deal(&fixture, 1).state, DEAL_MATCHED);
    }
    assert_error(CONTRACT_NOT_PERMITTED, market_prove(&fixture, "bob", 1, &witness));
    assert_error(CONTRACT_UNKNOWN_DEAL, market_prove(&fixture, "alice", 2, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
}

/* The operator vouches for a reading that the meter did not sign. */
static void test_meter_signature(void **state)
{
    (void)state;
    measure(500, 500);
    struct meter_reading *reading = &witness.readings[0].reading;
    reading->signature.bytes[40] ^= 1;
    struct hash leaf;
    meter_reading_leaf(&leaf, witness.readings[0].salt, reading);
    struct meter_batch batch = {.id = fixture_name("forged"),
                                .interval_start = reading->interval_start,
                                .interval = reading->interval,
                                .count = 1,
                                .root = leaf};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "meters", ACTION_METER_BATCH, &batch));
    witness.readings[0].batch = batch.id;
    witness.readings[0].index = 0;
    witness.readings[0].path_count = 0;
    assert_error(CONTRACT_BAD_METER_SIGNATURE, market_prove(&fixture, "alice", 1, &witness));
    /* One meter, one leaf: a tree of one reading needs no path. */
    market_sign_reading(reading);
    meter_reading_leaf(&batch.root, witness.readings[0].salt, reading);
    batch.id = fixture_name("honest");
    assert_error(CONTRACT_OK, fixture_act(&fixture, "meters", ACTION_METER_BATCH, &batch));
    witness.readings[0].batch = batch.id;
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
}

static void test_witness_must_be_canonical_and_alone(void **state)
{
    (void)state;
    struct delivery_prove prove = {.deal = 1};
    assert_error(CONTRACT_BAD_READING,
                 fixture_act(&fixture, "alice", ACTION_DELIVERY_PROVE, &prove));
    uint8_t junk[41] = {1, 2, 3};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &prove);
    draft.witness = bytes_view_of(junk, sizeof junk);
    assert_error(CONTRACT_BAD_READING, fixture_send(&fixture, "alice", &draft));
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &prove);
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &prove);
    assert_error(CONTRACT_BAD_PARAMETER, fixture_send(&fixture, "alice", &draft));
}

/* --- one watt-hour, one deal -------------------------------------------------------------- */

/* delivery.md, "A watt-hour is credited once": two deals of one device and period. */
static void test_energy_is_credited_once(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_error(CONTRACT_OK, market_request(&fixture, "dso", 8, DIRECTION_UP, 1000, 200000));
        assert_error(CONTRACT_OK,
                     market_offer(&fixture, "bob", "dev-bob", 8, DIRECTION_UP, 1000, 200000));
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
    fixture_next_block(&fixture, 8 * (int64_t)MARKET_PERIOD_MS);
    /* 480 and 900 Wh were delivered per unit, against 500 and 500 contracted twice. */
    const int64_t delivered[MARKET_UNITS] = {480, 900};
    market_measure(&fixture, 2, delivered, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "bob", 2, &witness));
    assert_int_equal(energy_wh(market_deal(&fixture, 2).credited), 1000);
    market_measure(&fixture, 3, delivered, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 3, &witness));
    struct deal_record second = market_deal(&fixture, 3);
    assert_int_equal(second.state, DEAL_PARTIAL);
    /* The first took 480 and 500; 0 and 400 are left. */
    assert_int_equal(energy_wh(second.delivered), 400);
    assert_int_equal(energy_wh(second.credited), 400);
    assert_int_equal(money_ueur(second.paid), 80000);
    assert_int_equal(money_ueur(second.refunded), 120000);
}

/* Two schedules for one device and period, so that one reading looks like both directions. */
static void test_one_direction_is_credited(void **state)
{
    (void)state;
    enum { LOW_WH = 3000 };
    struct energy low[MARKET_UNITS] = {energy_of(LOW_WH), energy_of(LOW_WH)};
    uint8_t salt[SCHEDULE_SALT_SIZE];
    memset(salt, 0x5a, sizeof salt);
    struct offer_place down = {.market = fixture_name("flex"),
                               .direction = DIRECTION_DOWN,
                               .period_start = market_period(8),
                               .quantity = energy_of(1000),
                               .price = energy_price_of(200000),
                               .device = fixture_name("dev-bob")};
    schedule_hash(&down.schedule_hash, salt, &down.device, down.period_start, low, MARKET_UNITS);
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "bob", "dev-bob", 8, DIRECTION_UP, 1000, 200000));
    assert_error(CONTRACT_OK, fixture_act(&fixture, "bob", ACTION_OFFER_PLACE, &down));
    uint64_t first = market_counters(&fixture).deals + 1;
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 8, DIRECTION_UP, 1000, 200000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 8, DIRECTION_DOWN, 1000, 200000));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    fixture_next_block(&fixture, 8 * (int64_t)MARKET_PERIOD_MS);

    /* Read: 4500 Wh per unit. Against 5000 that is 500 up, against 3000 it is 1500 down. */
    const int64_t up_wh[MARKET_UNITS] = {500, 500};
    const int64_t down_wh[MARKET_UNITS] = {-500, -500};
    market_measure(&fixture, first, up_wh, &witness);
    assert_error(CONTRACT_OK, market_prove(&fixture, "bob", first, &witness));
    assert_int_equal(market_deal(&fixture, first).state, DEAL_SETTLED);
    market_measure(&fixture, first + 1, down_wh, &witness);
    for (int i = 0; i < MARKET_UNITS; i++) {
        assert_int_equal(energy_wh(witness.readings[i].reading.net), 4500);
        witness.units[i].net = low[i];
    }
    assert_error(CONTRACT_OK, market_prove(&fixture, "bob", first + 1, &witness));
    struct deal_record other = market_deal(&fixture, first + 1);
    assert_int_equal(other.state, DEAL_REFUNDED);
    assert_int_equal(energy_wh(other.delivered), -1000);
    assert_int_equal(money_ueur(other.refunded), money_ueur(other.escrow));
}

/* --- fingerprints ------------------------------------------------------------------------- */

static struct meter_batch good_batch(void)
{
    struct meter_batch batch = {.id = fixture_name("west"),
                                .interval_start = market_period(1),
                                .interval = duration_of(MARKET_MTU_MS),
                                .count = 7};
    memset(&batch.root, 9, sizeof batch.root);
    return batch;
}

static enum contract_error post(const struct meter_batch *batch)
{
    return fixture_act(&fixture, "meters", ACTION_METER_BATCH, batch);
}

static void test_batch_parameters(void **state)
{
    (void)state;
    struct meter_batch batch = good_batch();
    assert_error(CONTRACT_NOT_PERMITTED,
                 fixture_act(&fixture, "alice", ACTION_METER_BATCH, &batch));
    batch.count = 0;
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch.count = (1u << LIMIT_MERKLE_PATH) + 1;
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch = good_batch();
    batch.interval = duration_of(0);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch.interval = duration_of(MS_PER_DAY + 1);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch = good_batch();
    batch.interval_start = timestamp_of(timestamp_ms(batch.interval_start) + 1);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch.interval_start = timestamp_of(-MARKET_MTU_MS);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch.interval_start = timestamp_of(INT64_MAX / MARKET_MTU_MS * MARKET_MTU_MS);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    /* A block stands one second after the start of this unit. */
    int64_t now = timestamp_ms(fixture.context.time);
    batch = good_batch();
    batch.interval_start = timestamp_of(now / MARKET_MTU_MS * MARKET_MTU_MS);
    assert_error(CONTRACT_TOO_EARLY, post(&batch));
}

static void test_batch_revisions(void **state)
{
    (void)state;
    static const char why[] = "meter 12 read late";
    struct bytes_view reason = bytes_view_of(why, sizeof why - 1);
    struct meter_batch batch = good_batch();
    batch.revision = 1;
    batch.reason = reason;
    assert_error(CONTRACT_BAD_REVISION, post(&batch));
    batch.revision = 0;
    assert_error(CONTRACT_BAD_REVISION, post(&batch));
    batch.reason = bytes_view_of(NULL, 0);
    assert_error(CONTRACT_OK, post(&batch));
    assert_error(CONTRACT_BAD_REVISION, post(&batch));
    batch.revision = 1;
    assert_error(CONTRACT_BAD_REVISION, post(&batch));
    batch.reason = reason;
    batch.revision = 2;
    assert_error(CONTRACT_BAD_REVISION, post(&batch));
    batch.revision = 1;
    batch.interval = duration_of(2 * MARKET_MTU_MS);
    assert_error(CONTRACT_BAD_PARAMETER, post(&batch));
    batch.interval = duration_of(MARKET_MTU_MS);
    batch.count = 8;
    assert_error(CONTRACT_OK, post(&batch));
    struct name meters = fixture_name("meters");
    struct state_key key = state_key_batch(&meters, &batch.id, batch.interval_start);
    struct batch_record record;
    assert_true(ledger_read(fixture.view, &key, &batch_record_codec, &record));
    assert_int_equal(record.revision, 1);
    assert_int_equal(record.count, 8);
    assert_int_equal(timestamp_ms(record.posted), timestamp_ms(fixture.context.time));

    int64_t closes = timestamp_ms(batch.interval_start) + MARKET_MTU_MS + limit_meter_batch_ms;
    fixture_next_block(&fixture, closes - 1 - timestamp_ms(fixture.context.time));
    batch.revision = 2;
    assert_error(CONTRACT_OK, post(&batch));
    fixture_next_block(&fixture, 1);
    batch.revision = 3;
    assert_error(CONTRACT_TOO_LATE, post(&batch));
}

/* After a correction, paths to the old fingerprint lead nowhere. */
static void test_correction_supersedes(void **state)
{
    (void)state;
    measure(500, 500);
    static const char why[] = "wrong meter";
    struct meter_batch batch = {.id = witness.readings[1].batch,
                                .interval_start = witness.readings[1].reading.interval_start,
                                .interval = duration_of(MARKET_MTU_MS),
                                .count = 4,
                                .revision = 1,
                                .reason = bytes_view_of(why, sizeof why - 1)};
    assert_error(CONTRACT_OK, post(&batch));
    assert_error(CONTRACT_BAD_PROOF, market_prove(&fixture, "alice", 1, &witness));
}

/* --- faults ------------------------------------------------------------------------------- */

/* Signs a proof of deal 1 as alice; the bytes live until the next call. */
static void sign_proof(struct transaction *out)
{
    static uint8_t witness_bytes[LIMIT_WITNESS_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, witness_bytes, sizeof witness_bytes);
    codec_encode(&delivery_witness_record, &witness, &writer);
    assert_false(writer.failed);
    struct delivery_prove prove = {.deal = 1};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &prove);
    draft.witness = bytes_view_of(witness_bytes, writer.size);
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    assert_true(transaction_sign(&writer, &draft, &fixture_signer(&fixture, "alice")->secret));
    assert_error(CONTRACT_OK,
                 transaction_decode(out, bytes_view_of(fixture.envelope, writer.size)));
}

/* A view that faults at any call of a proof: the process lives, the view says so, and whoever runs
 * the block throws it away. */
static void test_faults_of_the_view_in_a_proof(void **state)
{
    (void)state;
    bool faulted = true;
    uint64_t fail_at = 1;
    for (; faulted; fail_at += 2) {
        assert_true(fail_at < 1000);
        (void)set_up(NULL);
        measure(500, 400);
        struct transaction transaction;
        struct receipt receipt;
        sign_proof(&transaction);
        memory_state_fail_at(fixture.state, fail_at);
        enum contract_error error =
            ledger_transaction_apply(fixture.ledger, &transaction, &receipt);
        faulted = fixture.view->fault;
        if (!faulted) {
            assert_error(CONTRACT_OK, error);
            assert_error(CONTRACT_OK, (enum contract_error)receipt.status);
        }
        fixture_close(&fixture);
    }
    assert_true(fail_at > 20);
}

/* --- sweeps ------------------------------------------------------------------------------- */

/* More deadlines than one block may end: the rest waits for the next, and none is lost. */
static void test_sweep_goes_on_in_the_next_block(void **state)
{
    (void)state;
    enum { REST = 5, TOTAL = DEADLINES_PER_BLOCK_MAX + REST };
    static struct request_place requests[LIMIT_ACTIONS_PER_TX];
    int64_t before = fixture_balance(&fixture, "dso") + market_pot(&fixture, POT_FEES, 0);
    for (int placed = 0; placed < TOTAL;) {
        struct transaction_draft draft;
        fixture_draft(&fixture, &draft, "dso");
        for (int i = 0; i < LIMIT_ACTIONS_PER_TX && placed < TOTAL; i++, placed++) {
            requests[i] = (struct request_place){.market = fixture_name("flex"),
                                                 .period_start = market_period(10),
                                                 .quantity = energy_of(20),
                                                 .price = energy_price_of(7)};
            fixture_draft_add(&draft, ACTION_REQUEST_PLACE, &requests[i]);
        }
        assert_error(CONTRACT_OK, fixture_send(&fixture, "dso", &draft));
    }
    fixture_next_block(&fixture, 12 * (int64_t)MARKET_PERIOD_MS);
    fixture_next_block(&fixture, 1);
    int open = 0;
    for (uint64_t id = 3; id < 3 + TOTAL; id++)
        open += market_order(&fixture, id).status == ORDER_OPEN;
    assert_int_equal(open, REST);
    fixture_next_block(&fixture, 1);
    for (uint64_t id = 3; id < 3 + TOTAL; id++)
        assert_int_equal(market_order(&fixture, id).status, ORDER_EXPIRED);
    assert_int_equal(fixture_balance(&fixture, "dso") + market_pot(&fixture, POT_FEES, 0), before);
}

/* One offer of a hundred hours books 400 quarter hours, and its end releases them. */
static void test_sweep_stops_at_its_work(void **state)
{
    (void)state;
    enum { OFFERS = 200, HOURS = 100 };
    static struct offer_place offers[OFFERS];
    struct market_create terms;
    market_terms(&terms);
    terms.id = fixture_name("long");
    terms.times.mtu = duration_of(MS_PER_HOUR);
    terms.times.mtus_per_period = HOURS;
    terms.times.closes = timestamp_of(FIXTURE_TIME_MS + 1000 * (int64_t)MS_PER_DAY);
    terms.limits.quantity_step = energy_of(HOURS);
    terms.limits.quantity_min = terms.limits.quantity_step;
    terms.limits.quantity_max = energy_of(40 * HOURS);
    assert_error(CONTRACT_OK, fixture_act(&fixture, "operator", ACTION_MARKET_CREATE, &terms));
    struct device_enrol enrol = {
        .device = fixture_name("dev-alice"), .market = fixture_name("long"), .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DEVICE_ENROL, &enrol));
    const int64_t length = HOURS * (int64_t)MS_PER_HOUR;
    const int64_t start = (FIXTURE_TIME_MS / length + 1) * length;
    uint64_t first = market_counters(&fixture).orders + 1;
    for (int placed = 0; placed < OFFERS;) {
        struct transaction_draft draft;
        fixture_draft(&fixture, &draft, "alice");
        for (int i = 0; i < 100; i++, placed++) {
            offers[placed] = (struct offer_place){.market = fixture_name("long"),
                                                  .period_start = timestamp_of(start),
                                                  .quantity = energy_of(HOURS),
                                                  .device = fixture_name("dev-alice")};
            fixture_draft_add(&draft, ACTION_OFFER_PLACE, &offers[placed]);
        }
        assert_error(CONTRACT_OK, fixture_send(&fixture, "alice", &draft));
    }
    fixture_next_block(&fixture, length);
    fixture_next_block(&fixture, 1);
    int open = 0;
    for (uint64_t id = first; id < first + OFFERS; id++)
        open += market_order(&fixture, id).status == ORDER_OPEN;
    /* 405 units each and the walk's step: the 162nd goes over. */
    assert_in_range(open, OFFERS - 163, OFFERS - 160);
    fixture_next_block(&fixture, 1);
    for (uint64_t id = first; id < first + OFFERS; id++)
        assert_int_equal(market_order(&fixture, id).status, ORDER_EXPIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_ending_by_proof, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_path_ends_without_escrow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proof_has_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proof_in_the_last_millisecond, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proof_before_delivery_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forged_proofs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meter_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_witness_must_be_canonical_and_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_energy_is_credited_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_direction_is_credited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batch_parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batch_revisions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_correction_supersedes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_goes_on_in_the_next_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_stops_at_its_work, set_up, tear_down),
        cmocka_unit_test(test_faults_of_the_view_in_a_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
