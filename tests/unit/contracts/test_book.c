/* Books on the ledger: the batch call, its deals and their escrow, self-trade, expiry, books put off,
 * and random days audited after every block. The worked examples are those of docs/spec/market.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/market_fixture.h"

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    market_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (fixture.block_open)
        fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
    return 0;
}

static void request(const char *sender, int period, int64_t quantity, int64_t price)
{
    assert_error(CONTRACT_OK,
                 market_request(&fixture, sender, period, DIRECTION_UP, quantity, price));
}

static void offer(const char *sender, int period, int64_t quantity, int64_t price)
{
    char device[NAME_SIZE];
    snprintf(device, sizeof device, "dev-%s", sender);
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, sender, device, period, DIRECTION_UP, quantity, price));
}

static int64_t open_wh(uint64_t order)
{
    return energy_wh(market_order(&fixture, order).open);
}

static uint64_t deals(void)
{
    return market_counters(&fixture).deals;
}

static void end_block(void)
{
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    market_audit(&fixture, true);
}

/* market.md, "One block, one book": the price, the deals and the money of a first match. */
static void test_worked_example_of_a_match(void **state)
{
    (void)state;
    int64_t dso = fixture_balance(&fixture, "dso");
    request("dso", 4, 1000, 300000);
    offer("alice", 4, 600, 200000);
    offer("bob", 4, 800, 250000);
    assert_int_equal(deals(), 0);
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 300000);
    end_block();

    assert_int_equal(deals(), 2);
    struct deal_record first = market_deal(&fixture, 1);
    struct deal_record second = market_deal(&fixture, 2);
    /* bob's offer is alone on the margin with 400 Wh left: it sets the price. */
    assert_int_equal(energy_price_ueur_per_kwh(first.price), 250000);
    assert_int_equal(energy_wh(first.contracted), 600);
    assert_int_equal(money_ueur(first.escrow), 150000);
    assert_int_equal(first.sell_order, 2);
    assert_int_equal(energy_wh(second.contracted), 400);
    assert_int_equal(money_ueur(second.escrow), 100000);
    assert_int_equal(second.sell_order, 3);
    assert_int_equal(first.state, DEAL_MATCHED);
    assert_int_equal(timestamp_ms(first.proof_deadline),
                     timestamp_ms(market_period(5)) + MARKET_PROOF_MS);
    /* What the price leaves of the escrow is back with the buyer. */
    assert_int_equal(fixture_balance(&fixture, "dso"),
                     dso - 250000 - FIXTURE_FEE_PER_TX - FIXTURE_FEE_PER_ACTION);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(market_order(&fixture, 3).status, ORDER_OPEN);
    assert_int_equal(open_wh(3), 400);
}

/* market.md, "Resting before the batch". */
static void test_resting_orders_come_before_the_batch(void **state)
{
    (void)state;
    offer("alice", 4, 120, 200000);
    end_block();
    offer("bob", 4, 120, 200000);
    offer("carol", 4, 120, 200000);
    request("dso", 4, 200, 200000);
    end_block();
    assert_int_equal(open_wh(1), 0);
    assert_int_equal(open_wh(2), 80);
    assert_int_equal(open_wh(3), 80);
    assert_int_equal(energy_price_ueur_per_kwh(market_deal(&fixture, 1).price), 200000);
}

/* What a participant has after a block must not depend on where in the block it stood. */
struct outcome {
    int64_t balance[7];
    int64_t open[6];
    int64_t price;
    uint64_t deals;
};

static const char *const sellers[6] = {"alice", "bob", "carol", "agg", "agg2", "retail"};

/* Offers of equal sizes leave it to the tie who gets the last steps. */
static struct outcome run_block(const int order[7], bool equal_sizes)
{
    struct outcome out = {.deals = 0};
    uint64_t ids[6] = {0};
    for (int i = 0; i < 7; i++) {
        if (order[i] == 6) {
            request("dso", 4, 460, 123457);
        } else {
            offer(sellers[order[i]], 4, equal_sizes ? 100 : 20 * (order[i] + 3), 123456);
            ids[order[i]] = market_counters(&fixture).orders;
        }
    }
    end_block();
    for (int i = 0; i < 6; i++) {
        out.open[i] = open_wh(ids[i]);
        out.balance[i] = fixture_balance(&fixture, sellers[i]);
    }
    out.balance[6] = fixture_balance(&fixture, "dso");
    out.deals = deals();
    out.price = energy_price_ueur_per_kwh(market_deal(&fixture, 1).price);
    return out;
}

static void test_place_in_the_block_has_no_effect(void **state)
{
    (void)state;
    static const int orders[][7] = {
        {0, 1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1, 0}, {3, 6, 0, 5, 1, 4, 2}, {5, 0, 4, 6, 2, 3, 1}};
    for (int equal_sizes = 0; equal_sizes < 2; equal_sizes++) {
        struct outcome first = {.deals = 0};
        for (size_t run = 0; run < sizeof orders / sizeof orders[0]; run++) {
            fixture_end_block(&fixture);
            fixture_close(&fixture);
            market_open(&fixture);
            struct outcome other = run_block(orders[run], equal_sizes != 0);
            if (run == 0)
                first = other;
            assert_memory_equal(&first, &other, sizeof first);
        }
        int64_t left = 0;
        for (int i = 0; i < 6; i++)
            left += first.open[i];
        assert_int_equal(left, (equal_sizes ? 600 : 660) - 460);
        assert_int_equal(first.deals, 6);
    }
}

/* Whatever its sender varies in an order, the lot that decides between equals stays the same. */
static void test_nobody_can_grind_a_tie(void **state)
{
    (void)state;
    offer("alice", 4, 100, 200000);
    offer("bob", 4, 100, 200000);
    offer("alice", 4, 20, 200000);
    offer("alice", 5, 100, 200001);
    const uint64_t tie = market_order(&fixture, 1).tie;
    assert_true(tie != market_order(&fixture, 2).tie);
    assert_true(tie == market_order(&fixture, 3).tie);
    assert_true(tie == market_order(&fixture, 4).tie);
    fixture_end_block(&fixture);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    offer("alice", 4, 100, 200000);
    assert_true(tie != market_order(&fixture, 5).tie);
}

/* A request in many small deals: its pot is always ceil(price x open), and every deal can be paid,
 * though no single part is a whole number of micro-euro. */
static void test_escrow_of_partial_fills(void **state)
{
    (void)state;
    int64_t before = fixture_balance(&fixture, "dso");
    request("dso", 4, 400, 33);
    /* 400 Wh at 33 ueur/kWh: 13.2 ueur, rounded up. */
    assert_int_equal(market_pot(&fixture, POT_ORDER_ESCROW, 1), 14);
    end_block();
    int64_t escrows = 0;
    for (int i = 0; i < 20; i++) {
        offer(sellers[i % 6], 4, 20, 33);
        end_block();
        struct deal_record deal = market_deal(&fixture, (uint64_t)i + 1);
        /* 20 Wh cost 0.66 ueur: 1 while the rounding of the whole lasts, else 0. */
        assert_in_range(money_ueur(deal.escrow), 0, 1);
        escrows += money_ueur(deal.escrow);
    }
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(escrows, 14);
    assert_int_equal(fixture_balance(&fixture, "dso"),
                     before - 14 - FIXTURE_FEE_PER_TX - FIXTURE_FEE_PER_ACTION);
}

/* market.md, "Nobody trades with itself". */
static void test_self_trade(void **state)
{
    (void)state;
    fixture_register(&fixture, "mixed", ROLE_DSO | ROLE_PROSUMER);
    fixture_fund(&fixture, "mixed", 10000000);
    fixture_device(&fixture, "dev-mixed", "mixed", "z1");
    struct device_enrol enrol = {
        .device = fixture_name("dev-mixed"), .market = fixture_name("flex"), .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "mixed", ACTION_DEVICE_ENROL, &enrol));

    request("mixed", 4, 100, 300000);
    end_block();
    offer("mixed", 4, 100, 200000);
    end_block();
    assert_int_equal(deals(), 0);

    /* Another buyer, worse than its own: the later order skips its own and trades with that. */
    request("dso", 4, 60, 250000);
    end_block();
    assert_int_equal(deals(), 1);
    assert_int_equal(market_deal(&fixture, 1).buy_order, 3);
    assert_int_equal(market_deal(&fixture, 1).sell_order, 2);
    assert_int_equal(energy_price_ueur_per_kwh(market_deal(&fixture, 1).price), 200000);
    assert_int_equal(open_wh(1), 100);
    assert_int_equal(open_wh(2), 40);

    /* Another seller, dearer than its own: the earlier order trades with that. */
    offer("alice", 4, 100, 290000);
    end_block();
    assert_int_equal(deals(), 2);
    assert_int_equal(market_deal(&fixture, 2).buy_order, 1);
    assert_int_equal(market_deal(&fixture, 2).sell_order, 4);
    assert_int_equal(energy_price_ueur_per_kwh(market_deal(&fixture, 2).price), 295000);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_FILLED);
    assert_int_equal(open_wh(2), 40);
}

static void test_cancels_come_before_the_call(void **state)
{
    (void)state;
    request("dso", 4, 100, 300000);
    offer("alice", 4, 100, 200000);
    assert_error(CONTRACT_OK, market_cancel(&fixture, "alice", 2));
    end_block();
    assert_int_equal(deals(), 0);
    /* Up and down, and different periods, are different books. */
    assert_error(CONTRACT_OK,
                 market_offer(&fixture, "alice", "dev-alice", 4, DIRECTION_DOWN, 100, 200000));
    offer("alice", 5, 100, 200000);
    end_block();
    assert_int_equal(deals(), 0);
}

/* A transaction that fails takes its orders with it, though it had touched their book. */
static void test_failed_transaction_leaves_no_order(void **state)
{
    (void)state;
    offer("alice", 4, 100, 200000);
    struct request_place good = {.market = fixture_name("flex"),
                                 .period_start = market_period(4),
                                 .quantity = energy_of(100),
                                 .price = energy_price_of(300000)};
    struct order_cancel bad = {.order = 77};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "dso");
    fixture_draft_add(&draft, ACTION_REQUEST_PLACE, &good);
    fixture_draft_add(&draft, ACTION_ORDER_CANCEL, &bad);
    assert_error(CONTRACT_UNKNOWN_ORDER, fixture_send(&fixture, "dso", &draft));
    end_block();
    assert_int_equal(deals(), 0);
    assert_int_equal(market_counters(&fixture).orders, 1);
}

static struct state_key book_record_key(enum state_kind kind, int period)
{
    struct state_key key;
    struct byte_writer writer;
    struct name market = fixture_name("flex");
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    byte_write_raw(&writer, market.text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(market_period(period)));
    byte_write_u8(&writer, DIRECTION_UP);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}

static void test_a_full_book_takes_no_more(void **state)
{
    (void)state;
    request("dso", 4, 100, 300000);
    const struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    struct state_key key = book_record_key(STATE_BOOK_SIZE, 4);
    struct book_size_record size = {.open = LIMIT_OPEN_ORDERS_PER_BOOK};
    contract_write(&call, &key, &book_size_record_codec, &size);
    assert_error(CONTRACT_BOOK_FULL, market_request(&fixture, "dso", 4, DIRECTION_UP, 100, 300000));
    assert_error(CONTRACT_OK, market_request(&fixture, "dso", 5, DIRECTION_UP, 100, 300000));
    assert_error(CONTRACT_OK, market_cancel(&fixture, "dso", 1));
    request("dso", 4, 100, 300000);
    size.open = 1;
    contract_write(&call, &key, &book_size_record_codec, &size);
}

/* A block without room for a book's events puts the book off; the next block calls it, and the batch
 * is still what it was. */
static void test_a_book_put_off_keeps_its_batch(void **state)
{
    (void)state;
    offer("alice", 4, 120, 200000);
    end_block();
    offer("bob", 4, 120, 200000);
    request("dso", 4, 180, 200000);
    struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    uint64_t since = fixture.context.height;
    byte_writer_init(&fixture.ledger->events, fixture.ledger->block_events,
                     BOOK_EVENTS_RESERVE + 2 * BOOK_TRADE_EVENT_BYTES);
    book_call_touched(&call);
    assert_int_equal(deals(), 0);
    struct state_key key = book_record_key(STATE_BOOK_LATE, 4);
    struct book_late_record late;
    assert_true(ledger_read(fixture.view, &key, &book_late_record_codec, &late));
    assert_int_equal(late.since, since);

    /* The next block, with an offer of its own in the same book. */
    fixture_leave_block(&fixture);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    offer("carol", 4, 120, 200000);
    end_block();
    assert_false(contract_exists(&call, &key));
    /* alice rested; bob and carol share the last 60 Wh: 30 each, in 20 Wh steps 40 and 20. */
    assert_int_equal(open_wh(1), 0);
    assert_int_equal(open_wh(2) + open_wh(4), 240 - 60);
    assert_int_equal(open_wh(2) > open_wh(4) ? open_wh(2) - open_wh(4) : open_wh(4) - open_wh(2),
                     20);
}

/* The same when earlier books have used up the calls' share of work. */
static void test_a_book_is_put_off_for_work(void **state)
{
    (void)state;
    offer("alice", 4, 120, 200000);
    request("dso", 4, 60, 200000);
    struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    struct state_key key = book_record_key(STATE_BOOK_LATE, 4);
    byte_writer_init(&fixture.ledger->events, fixture.ledger->block_events,
                     sizeof fixture.ledger->block_events);
    fixture.ledger->work = LIMIT_WORK_OF_CALLS;
    book_call_touched(&call);
    assert_int_equal(deals(), 0);
    assert_true(contract_exists(&call, &key));
    fixture_leave_block(&fixture);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    end_block();
    assert_false(contract_exists(&call, &key));
    assert_int_equal(deals(), 1);
}

/* Of two books that are late, the one that has waited longer comes first, wherever its key stands. */
static void test_the_longest_late_book_is_first(void **state)
{
    (void)state;
    struct contract_call call = {
        .ledger = fixture.ledger, .view = fixture.view, .context = &fixture.context};
    for (int period = 4; period <= 6; period++) {
        offer("alice", period, 120, 200000);
        request("dso", period, 60, 200000);
        struct state_key key = book_record_key(STATE_BOOK_LATE, period);
        struct book_late_record late = {.since = fixture.context.height - (period == 5)};
        ledger_write(fixture.view, &key, &book_late_record_codec, &late);
    }
    byte_writer_init(&fixture.ledger->events, fixture.ledger->block_events,
                     sizeof fixture.ledger->block_events);
    /* Enough to find the three late books; the first call, which makes a deal, takes more than what is left. */
    fixture.ledger->work = LIMIT_WORK_OF_CALLS - 8;
    book_call_touched(&call);
    assert_int_equal(deals(), 1);
    for (int period = 4; period <= 6; period++) {
        struct state_key key = book_record_key(STATE_BOOK_LATE, period);
        assert_int_equal(contract_exists(&call, &key), period != 5);
    }
    fixture_leave_block(&fixture);
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    end_block();
    assert_int_equal(deals(), 3);
}

/* Nothing trades after gate closure, even if the sweep has not come to the orders yet. */
static void test_no_call_after_gate_closure(void **state)
{
    (void)state;
    request("dso", 4, 100, 300000);
    struct state_key key = book_record_key(STATE_BOOK_LATE, 4);
    struct book_late_record late = {.since = fixture.context.height};
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    offer("alice", 4, 100, 200000);
    fixture_leave_block(&fixture);
    ledger_write(fixture.view, &key, &book_late_record_codec, &late);
    fixture_begin_block(&fixture, 2 * (int64_t)MS_PER_HOUR);
    end_block();
    assert_int_equal(deals(), 0);
    assert_int_equal(market_order(&fixture, 1).status, ORDER_EXPIRED);
    assert_int_equal(market_order(&fixture, 2).status, ORDER_EXPIRED);
}

/* The reserves of event room that book.h and the sweep count on, from the tables themselves. */
static void test_room_for_events(void **state)
{
    (void)state;
    enum { HEAD = 3 };
    size_t deal = codec_size_max(event_codec(EVENT_DEAL_MATCHED)) + HEAD;
    size_t moved = codec_size_max(event_codec(EVENT_TOKEN_MOVED)) + HEAD;
    size_t fees = codec_size_max(event_codec(EVENT_FEES_SPLIT)) + HEAD;
    size_t digest = codec_size_max(event_codec(EVENT_DIGEST)) + HEAD;
    assert_in_range(deal + 2 * moved, 1, BOOK_TRADE_EVENT_BYTES);
    /* A disputed deal that ends so that a reservation ends with it. */
    assert_in_range(2 * deal + 11 * moved + LIMIT_VALIDATORS * fees + digest, 1,
                    BOOK_EVENTS_RESERVE / 2);
}

/* --- random days -------------------------------------------------------------------------- */

enum { RANDOM_BLOCKS = 160, RANDOM_PERIODS = 6 };

static void random_action(struct dice *dice)
{
    int period = (int)dice_between(dice, 1, RANDOM_PERIODS);
    enum direction direction = (enum direction)dice_between(dice, 0, 1);
    int64_t quantity = 20 * dice_between(dice, 1, 40);
    int64_t price = dice_between(dice, 95, 105) * 1001;
    const char *seller = sellers[dice_between(dice, 0, 5)];
    char device[NAME_SIZE];
    uint64_t orders = market_counters(&fixture).orders;
    switch (dice_between(dice, 0, 4)) {
    case 0:
    case 1:
        (void)market_request(&fixture, dice_between(dice, 0, 1) ? "dso" : "mixed", period,
                             direction, quantity, price);
        return;
    case 2:
        if (orders > 0) {
            uint64_t id = (uint64_t)dice_between(dice, 1, (int64_t)orders);
            struct order_record order = market_order(&fixture, id);
            char owner[NAME_SIZE + 1];
            (void)market_cancel(&fixture, name_to_text(owner, &order.participant), id);
        }
        return;
    default:
        if (dice_between(dice, 0, 6) == 0)
            seller = "mixed";
        snprintf(device, sizeof device, "dev-%s", seller);
        (void)market_offer(&fixture, seller, device, period, direction, quantity, price);
        return;
    }
}

static void random_proof(struct dice *dice, struct delivery_witness *witness)
{
    uint64_t count = deals();
    if (count == 0)
        return;
    /* The next open deal after a random one whose delivery is over. */
    uint64_t id = (uint64_t)dice_between(dice, 1, (int64_t)count);
    struct deal_record deal = market_deal(&fixture, id);
    while (deal.state != DEAL_MATCHED && id < count)
        deal = market_deal(&fixture, ++id);
    int64_t end = timestamp_ms(deal.period_start) + MARKET_PERIOD_MS;
    if (deal.state != DEAL_MATCHED || timestamp_ms(fixture.context.time) < end)
        return;
    int64_t per_unit = energy_wh(deal.contracted) / MARKET_UNITS;
    int64_t delivered[MARKET_UNITS];
    int64_t least = dice_between(dice, -1, 2);
    for (int i = 0; i < MARKET_UNITS; i++)
        delivered[i] = least * per_unit + dice_between(dice, 0, per_unit);
    market_measure(&fixture, id, delivered, witness);
    char seller[NAME_SIZE + 1];
    assert_error(CONTRACT_OK,
                 market_prove(&fixture, name_to_text(seller, &deal.seller), id, witness));
}

static void open_random(void)
{
    market_open(&fixture);
    fixture_register(&fixture, "mixed", ROLE_DSO | ROLE_PROSUMER);
    fixture_fund(&fixture, "mixed", 100000000);
    fixture_device(&fixture, "dev-mixed", "mixed", "z1");
    struct device_enrol enrol = {
        .device = fixture_name("dev-mixed"), .market = fixture_name("flex"), .enrolled = 1};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "mixed", ACTION_DEVICE_ENROL, &enrol));
}

/* Every kind of end must have been seen, or the audits were idle. */
static void check_all_ends_were_seen(void)
{
    int orders[4] = {0};
    int ends[4] = {0};
    for (uint64_t id = 1; id <= market_counters(&fixture).orders; id++)
        orders[market_order(&fixture, id).status]++;
    for (uint64_t id = 1; id <= deals(); id++)
        ends[market_deal(&fixture, id).state]++;
    assert_int_equal(orders[ORDER_OPEN], 0);
    assert_int_equal(ends[DEAL_MATCHED], 0);
    for (int i = 1; i < 4; i++) {
        assert_true(orders[i] > 0);
        assert_true(ends[i] > 0);
    }
}

static void test_random_days(void **state)
{
    (void)state;
    static struct delivery_witness witness;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct dice dice = {seed};
        open_random();
        for (int block = 0; block < RANDOM_BLOCKS; block++) {
            for (int64_t n = dice_between(&dice, 0, 5); n > 0; n--)
                random_action(&dice);
            random_proof(&dice, &witness);
            market_audit(&fixture, false);
            fixture_next_block(&fixture, dice_between(&dice, 1, 160000));
            market_audit(&fixture, true);
        }
        fixture_next_block(&fixture, 2 * (int64_t)MS_PER_HOUR);
        for (int proof = 0; proof < 30; proof++)
            random_proof(&dice, &witness);
        fixture_next_block(&fixture, 2 * (int64_t)MARKET_PROOF_MS);
        fixture_end_block(&fixture);
        market_audit(&fixture, true);
        check_all_ends_were_seen();
        fixture_close(&fixture);
    }
}

/* A view that faults at any call must not bring the process down: whoever runs the block sees the
 * fault and throws the block away. */
static void test_faults_of_the_view(void **state)
{
    (void)state;
    bool faulted = true;
    uint64_t fail_at = 1;
    for (; faulted; fail_at += 3) {
        assert_true(fail_at < 3000);
        market_open(&fixture);
        offer("alice", 4, 120, 200000);
        request("dso", 5, 120, 200000);
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
        offer("bob", 4, 120, 200000);
        request("dso", 4, 180, 200000);
        /* The block after that ends the deals and expires what is left. */
        struct receipt receipt;
        memory_state_fail_at(fixture.state, fail_at);
        ledger_block_end(fixture.ledger, &receipt);
        fixture.block_open = false;
        if (!fixture.view->fault) {
            fixture_begin_block(&fixture, 3 * (int64_t)MARKET_PROOF_MS);
            ledger_block_end(fixture.ledger, &receipt);
            fixture.block_open = false;
        }
        faulted = fixture.view->fault;
        fixture_close(&fixture);
    }
    /* It went on until a whole run fitted before the fault. */
    assert_true(fail_at > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_worked_example_of_a_match, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resting_orders_come_before_the_batch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_place_in_the_block_has_no_effect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_can_grind_a_tie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_escrow_of_partial_fills, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_self_trade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancels_come_before_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_transaction_leaves_no_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_book_takes_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_book_put_off_keeps_its_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_book_is_put_off_for_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_longest_late_book_is_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_call_after_gate_closure, set_up, tear_down),
        cmocka_unit_test(test_room_for_events),
        cmocka_unit_test(test_random_days),
        cmocka_unit_test(test_faults_of_the_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
