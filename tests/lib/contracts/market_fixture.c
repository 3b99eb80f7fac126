/* See market_fixture.h. The auditor reads records and indexes as a stranger would: it goes over the
 * whole state and adds up, and calls nothing of the code that wrote it. */
#include "tests/lib/contracts/market_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "crypto/merkle.h"

void market_terms(struct market_create *terms)
{
    memset(terms, 0, sizeof *terms);
    terms->id = fixture_name("flex");
    terms->zone = fixture_name("z1");
    terms->times.mtu = duration_of(MARKET_MTU_MS);
    terms->times.mtus_per_period = MARKET_UNITS;
    terms->times.opens = timestamp_of(FIXTURE_TIME_MS);
    terms->times.closes = timestamp_of(FIXTURE_TIME_MS + 30 * (int64_t)MS_PER_DAY);
    terms->times.gate_closure = duration_of(MARKET_GATE_MS);
    terms->times.proof_deadline = duration_of(MARKET_PROOF_MS);
    terms->limits.quantity_step = energy_of(MARKET_STEP_WH);
    terms->limits.quantity_min = energy_of(MARKET_STEP_WH);
    terms->limits.quantity_max = energy_of(4000);
    terms->limits.price_step = energy_price_of(1);
    terms->limits.price_min = energy_price_of(0);
    terms->limits.price_max = energy_price_of(1000000);
    terms->limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK;
    terms->delivery.tolerance_permille = 950;
    terms->delivery.floor_permille = 0;
}

static void enrol(struct fixture *fixture, const char *owner)
{
    char id[NAME_SIZE];
    snprintf(id, sizeof id, "dev-%s", owner);
    fixture_device(fixture, id, owner, "z1");
    struct device_enrol action = {
        .device = fixture_name(id), .market = fixture_name("flex"), .enrolled = 1};
    MUST(fixture_act(fixture, owner, ACTION_DEVICE_ENROL, &action) == CONTRACT_OK);
}

void market_open(struct fixture *fixture)
{
    static const char *const owners[] = {"alice", "bob", "carol", "agg", "agg2", "retail"};
    fixture_open(fixture);
    fixture_fund(fixture, "operator", 1000000000);
    fixture_fund(fixture, "dso", 1000000000);
    fixture_fund(fixture, "meters", 1000000000);
    struct market_create terms;
    market_terms(&terms);
    MUST(fixture_act(fixture, "operator", ACTION_MARKET_CREATE, &terms) == CONTRACT_OK);
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        fixture_fund(fixture, owners[i], 1000000000);
        enrol(fixture, owners[i]);
    }
}

struct timestamp market_period(int n)
{
    return timestamp_of(FIXTURE_TIME_MS + n * (int64_t)MARKET_PERIOD_MS);
}

/* --- orders ------------------------------------------------------------------------------- */

static void fill_schedule(struct energy units[MARKET_UNITS], uint8_t salt[SCHEDULE_SALT_SIZE])
{
    memset(salt, 0x5a, SCHEDULE_SALT_SIZE);
    for (int i = 0; i < MARKET_UNITS; i++)
        units[i] = energy_of(MARKET_DECLARED_WH);
}

enum contract_error market_request(struct fixture *fixture, const char *sender, int period,
                                   enum direction direction, int64_t quantity, int64_t price)
{
    struct request_place action = {.market = fixture_name("flex"),
                                   .direction = (uint8_t)direction,
                                   .period_start = market_period(period),
                                   .quantity = energy_of(quantity),
                                   .price = energy_price_of(price)};
    return fixture_act(fixture, sender, ACTION_REQUEST_PLACE, &action);
}

enum contract_error market_offer(struct fixture *fixture, const char *sender, const char *device,
                                 int period, enum direction direction, int64_t quantity,
                                 int64_t price)
{
    struct offer_place action = {.market = fixture_name("flex"),
                                 .direction = (uint8_t)direction,
                                 .period_start = market_period(period),
                                 .quantity = energy_of(quantity),
                                 .price = energy_price_of(price),
                                 .device = fixture_name(device)};
    struct energy units[MARKET_UNITS];
    uint8_t salt[SCHEDULE_SALT_SIZE];
    fill_schedule(units, salt);
    schedule_hash(&action.schedule_hash, salt, &action.device, action.period_start, units,
                  MARKET_UNITS);
    return fixture_act(fixture, sender, ACTION_OFFER_PLACE, &action);
}

enum contract_error market_cancel(struct fixture *fixture, const char *sender, uint64_t order)
{
    struct order_cancel action = {.order = order};
    return fixture_act(fixture, sender, ACTION_ORDER_CANCEL, &action);
}

/* --- records ------------------------------------------------------------------------------ */

struct order_record market_order(struct fixture *fixture, uint64_t id)
{
    struct order_record record;
    struct state_key key = state_key_u64(STATE_ORDER, id);
    assert_true(ledger_read(fixture->view, &key, &order_record_codec, &record));
    return record;
}

struct deal_record market_deal(struct fixture *fixture, uint64_t id)
{
    struct deal_record record;
    struct state_key key = state_key_u64(STATE_DEAL, id);
    assert_true(ledger_read(fixture->view, &key, &deal_record_codec, &record));
    return record;
}

struct counters_record market_counters(struct fixture *fixture)
{
    struct counters_record record;
    struct state_key key = state_key_single(STATE_COUNTERS);
    assert_true(ledger_read(fixture->view, &key, &counters_record_codec, &record));
    return record;
}

int64_t market_pot(struct fixture *fixture, enum pot_kind kind, uint64_t id)
{
    struct pot_record record;
    struct order_record order;
    struct deal_record deal;
    struct name none = {{0}};
    struct state_key key = state_key_u64(kind == POT_ORDER_ESCROW ? STATE_ORDER : STATE_DEAL, id);
    if (kind == POT_ORDER_ESCROW)
        return ledger_read(fixture->view, &key, &order_record_codec, &order)
                   ? money_ueur(order.held)
                   : 0;
    if (kind == POT_DEAL_ESCROW || kind == POT_DEAL_DEPOSIT) {
        if (!ledger_read(fixture->view, &key, &deal_record_codec, &deal))
            return 0;
        return money_ueur(kind == POT_DEAL_ESCROW ? deal.held_escrow : deal.held_deposit);
    }
    key = state_key_pot(kind, &none, id);
    return ledger_read(fixture->view, &key, &pot_record_codec, &record) ? money_ueur(record.amount)
                                                                        : 0;
}

/* --- meters ------------------------------------------------------------------------------- */

void market_sign_reading(struct meter_reading *reading)
{
    char text[NAME_SIZE + 1];
    char key[2 * NAME_SIZE];
    struct secret_key secret;
    struct hash message;
    snprintf(key, sizeof key, "%s%s", name_to_text(text, &reading->device),
             reading->meter == METER_SUB ? "-sub" : "");
    fixture_secret(&secret, key);
    meter_reading_message(&message, reading);
    MUST(schnorr_sign(&reading->signature, &secret, &message));
}

static uint8_t method_of(struct fixture *fixture, const struct deal_record *deal)
{
    struct market_record market;
    struct state_key key = state_key_name(STATE_MARKET, &deal->market);
    assert_true(ledger_read(fixture->view, &key, &market_record_codec, &market));
    return market.terms.delivery.method;
}

static void measure_unit(struct fixture *fixture, uint64_t id, const struct deal_record *deal,
                         int unit, int64_t delivered, struct revealed_reading *out)
{
    enum { LEAVES = 4 };
    char text[NAME_SIZE];
    memset(out, 0, sizeof *out);
    snprintf(text, sizeof text, "deal-%llu", (unsigned long long)id);
    out->meter_operator = fixture_name("meters");
    out->batch = fixture_name(text);
    out->index = (uint32_t)(id + (uint64_t)unit) % LEAVES;
    memset(out->salt, (int)(id + (uint64_t)unit), sizeof out->salt);
    int64_t net = deal->direction == DIRECTION_UP ? MARKET_DECLARED_WH - delivered
                                                  : MARKET_DECLARED_WH + delivered;
    out->reading = (struct meter_reading){
        .device = deal->device, .interval = duration_of(MARKET_MTU_MS), .net = energy_of(net)};
    MUST(timestamp_add(&out->reading.interval_start, deal->period_start,
                       duration_of(unit * (int64_t)MARKET_MTU_MS)));
    uint8_t method = method_of(fixture, deal);
    if (method == DELIVERY_CAPACITY_CAP || method == DELIVERY_CAPACITY_FLOOR)
        out->reading.net = energy_of(delivered);
    out->reading.meter = method == DELIVERY_SUBMETER ? METER_SUB : METER_CERTIFIED;
    market_sign_reading(&out->reading);

    struct hash leaves[LEAVES];
    memset(leaves, 0x33, sizeof leaves);
    meter_reading_leaf(&leaves[out->index], out->salt, &out->reading);
    struct merkle_proof proof;
    merkle_prove(&proof, leaves, LEAVES, out->index);
    out->path_count = proof.count;
    memcpy(out->path, proof.siblings, proof.count * sizeof proof.siblings[0]);
    struct meter_batch batch = {.id = out->batch,
                                .interval_start = out->reading.interval_start,
                                .interval = out->reading.interval,
                                .count = LEAVES};
    merkle_root(&batch.root, leaves, LEAVES);
    assert_error(CONTRACT_OK, fixture_act(fixture, "meters", ACTION_METER_BATCH, &batch));
}

void market_measure(struct fixture *fixture, uint64_t deal, const int64_t delivered[MARKET_UNITS],
                    struct delivery_witness *witness)
{
    struct deal_record record = market_deal(fixture, deal);
    struct energy units[MARKET_UNITS];
    memset(witness, 0, sizeof *witness);
    uint8_t method = method_of(fixture, &record);
    bool scheduled = method == DELIVERY_SCHEDULE || method == DELIVERY_SUBMETER;
    fill_schedule(units, witness->schedule_salt);
    if (!scheduled)
        memset(witness->schedule_salt, 0, SCHEDULE_SALT_SIZE);
    witness->unit_count = scheduled ? MARKET_UNITS : 0;
    witness->reading_count = MARKET_UNITS;
    for (int i = 0; i < MARKET_UNITS; i++) {
        witness->units[i].net = scheduled ? units[i] : energy_of(0);
        measure_unit(fixture, deal, &record, i, delivered[i], &witness->readings[i]);
    }
}

enum contract_error market_prove(struct fixture *fixture, const char *sender, uint64_t deal,
                                 const struct delivery_witness *witness)
{
    static uint8_t bytes[LIMIT_WITNESS_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&delivery_witness_record, witness, &writer);
    MUST(!writer.failed);
    struct delivery_prove action = {.deal = deal};
    struct transaction_draft draft;
    fixture_draft(fixture, &draft, sender);
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &action);
    draft.witness = bytes_view_of(bytes, writer.size);
    return fixture_send(fixture, sender, &draft);
}

/* --- the auditor -------------------------------------------------------------------------- */

struct walk {
    struct state_view *view;
    uint8_t prefix;
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size;
    struct bytes_view value;
};

static struct walk walk_kind(struct fixture *fixture, enum state_kind kind)
{
    struct walk walk = {.view = fixture->view, .prefix = (uint8_t)kind};
    return walk;
}

static bool walk_next(struct walk *walk)
{
    return walk->view->ops->next(walk->view, bytes_view_of(&walk->prefix, 1),
                                 bytes_view_of(walk->key, walk->key_size), walk->key,
                                 &walk->key_size, &walk->value);
}

static uint64_t last_u64(const struct walk *walk)
{
    struct byte_reader reader;
    byte_reader_init(&reader, walk->key + walk->key_size - 8, 8);
    return byte_read_u64(&reader);
}

/* ceil(price x quantity / 1000), for what is never negative. */
static int64_t cost(struct energy_price price, struct energy quantity)
{
    int128 neur = (int128)energy_price_ueur_per_kwh(price) * energy_wh(quantity);
    return (int64_t)((neur + 999) / 1000);
}

enum { AUDIT_ORDERS_MAX = 20000, AUDIT_BOOKS_MAX = 512 };

static void audit_orders(struct fixture *fixture, size_t *open)
{
    struct walk walk = walk_kind(fixture, STATE_ORDER);
    *open = 0;
    while (walk_next(&walk)) {
        struct order_record order;
        MUST(codec_decode_all(&order_record_codec, &order, walk.value));
        uint64_t id = last_u64(&walk);
        bool is_open = order.status == ORDER_OPEN;
        *open += is_open;
        int64_t held = market_pot(fixture, POT_ORDER_ESCROW, id);
        struct energy_price rate = order.side == SIDE_BUY ? order.price : order.deposit_price;
        assert_int_equal(held, is_open ? cost(rate, order.open) : 0);
        assert_true(energy_wh(order.open) >= 0);
        assert_true(energy_wh(order.open) <= energy_wh(order.quantity));
        assert_true(is_open ? energy_wh(order.open) > 0 : true);
        assert_int_equal(order.status == ORDER_FILLED, energy_wh(order.open) == 0);
    }
}

static void audit_deals(struct fixture *fixture, size_t *matched)
{
    struct walk walk = walk_kind(fixture, STATE_DEAL);
    *matched = 0;
    while (walk_next(&walk)) {
        struct deal_record deal;
        MUST(codec_decode_all(&deal_record_codec, &deal, walk.value));
        int64_t held = market_pot(fixture, POT_DEAL_ESCROW, last_u64(&walk));
        int64_t escrow = money_ueur(deal.escrow);
        int64_t ends = money_ueur(deal.paid) + money_ueur(deal.refunded);
        int64_t most = cost(deal.price, deal.contracted);
        int64_t deposit = market_pot(fixture, POT_DEAL_DEPOSIT, last_u64(&walk));
        bool is_open =
            deal.state == DEAL_MATCHED || deal.state == DEAL_PROVEN || deal.state == DEAL_DISPUTED;
        int64_t bond = market_pot(fixture, POT_DISPUTE_BOND, last_u64(&walk));
        assert_int_equal(bond > 0, deal.state == DEAL_DISPUTED && escrow > 0);
        assert_int_equal(deposit, is_open ? money_ueur(deal.deposit) : 0);
        assert_true(money_ueur(deal.penalty) >= 0 &&
                    money_ueur(deal.penalty) <= money_ueur(deal.deposit));
        int64_t payment = money_ueur(deal.payment);
        int64_t over = escrow - payment;
        if (deal.basis == DEAL_BY_AMOUNT) {
            int64_t added = money_ueur(deal.added);
            assert_true(over >= 0 && added >= 0 && added <= payment && (over == 0 || added == 0));
        } else {
            assert_true(escrow == most || escrow == most - 1);
            assert_int_equal(payment, 0);
            assert_int_equal(money_ueur(deal.added) + money_ueur(deal.returned), 0);
        }
        assert_int_not_equal(name_compare(&deal.buyer, &deal.seller), 0);
        if (is_open) {
            (*matched)++;
            assert_int_equal(held, escrow);
            assert_true(deal.state != DEAL_MATCHED || ends == 0);
            assert_int_equal(deal.settled_height, 0);
            continue;
        }
        assert_int_equal(held, 0);
        /* Only a deal credited in full leaves the rounding to the fee pool. */
        int64_t rounding = escrow - ends - money_ueur(deal.returned);
        int64_t most_over = deal.basis == DEAL_BY_AMOUNT ? over : deal.state == DEAL_SETTLED;
        assert_true(rounding >= 0 && rounding <= most_over);
        assert_true(money_ueur(deal.fee) <= money_ueur(deal.paid));
        assert_true(energy_wh(deal.credited) <= energy_wh(deal.contracted));
        assert_int_equal(deal.state == DEAL_REFUNDED, energy_wh(deal.credited) == 0);
    }
}

/* Every bond belongs to a dispute; what orders and deals hold is looked at with them. */
static void audit_pots(struct fixture *fixture)
{
    struct walk walk = walk_kind(fixture, STATE_POT);
    while (walk_next(&walk)) {
        struct byte_reader reader;
        byte_reader_init(&reader, walk.key + 1, walk.key_size - 1);
        uint8_t kind = byte_read_u8(&reader);
        assert_true(pot_kind_has_record((enum pot_kind)kind));
        if (kind == POT_DISPUTE_BOND) {
            uint8_t state = market_deal(fixture, byte_read_u64(&reader)).state;
            assert_int_equal(state, DEAL_DISPUTED);
        }
    }
}

/* Watts of an order or deal of that market in one quarter hour; 0 outside its period. What answers a
 * call of a reservation was booked with that. */
static int64_t watts_in_slot(struct fixture *fixture, const struct name *market, int64_t start,
                             int64_t slot, struct energy quantity)
{
    struct market_record record;
    struct state_key key = state_key_name(STATE_MARKET, market);
    assert_true(ledger_read(fixture->view, &key, &market_record_codec, &record));
    int64_t mtu = duration_ms(record.terms.times.mtu);
    int64_t units = record.terms.times.mtus_per_period;
    if (slot < start || slot >= start + mtu * units)
        return 0;
    return energy_wh(quantity) / units * (MS_PER_HOUR / mtu);
}

/* What a device has open and sold in one quarter hour, in W. */
static int64_t committed_w(struct fixture *fixture, const struct name *device, int64_t slot,
                           uint8_t direction)
{
    int64_t watts = 0;
    struct walk walk = walk_kind(fixture, STATE_ORDER);
    while (walk_next(&walk)) {
        struct order_record order;
        MUST(codec_decode_all(&order_record_codec, &order, walk.value));
        int64_t start = timestamp_ms(order.period_start);
        if (order.side == SIDE_SELL && order.status == ORDER_OPEN && order.direction == direction &&
            name_compare(&order.device, device) == 0 && order.reservation == 0)
            watts += watts_in_slot(fixture, &order.market, start, slot, order.open);
    }
    walk = walk_kind(fixture, STATE_DEAL);
    while (walk_next(&walk)) {
        struct deal_record deal;
        MUST(codec_decode_all(&deal_record_codec, &deal, walk.value));
        int64_t start = timestamp_ms(deal.period_start);
        if (deal.direction == direction && name_compare(&deal.device, device) == 0 &&
            deal.reservation == 0)
            watts += watts_in_slot(fixture, &deal.market, start, slot, deal.contracted);
    }
    return watts;
}

static int128 audit_commitments(struct fixture *fixture)
{
    int128 booked = 0;
    struct walk walk = walk_kind(fixture, STATE_COMMITMENT);
    while (walk_next(&walk)) {
        struct commitment_record commitment;
        MUST(codec_decode_all(&commitment_record_codec, &commitment, walk.value));
        struct byte_reader reader;
        struct name device;
        byte_reader_init(&reader, walk.key + 1, walk.key_size - 1);
        byte_read_raw(&reader, device.text, NAME_SIZE);
        int64_t slot = byte_read_i64(&reader);
        uint8_t direction = byte_read_u8(&reader);
        assert_int_equal(power_w(commitment.power), committed_w(fixture, &device, slot, direction));
        booked += power_w(commitment.power);
    }
    return booked;
}

/* The same sum from the other end, so that a missing record is seen too: a watt over each of the
 * period's quarter hours for each 1/4 Wh per unit. */
static int128 owed_commitments(struct fixture *fixture)
{
    int128 wh = 0;
    struct walk walk = walk_kind(fixture, STATE_ORDER);
    while (walk_next(&walk)) {
        struct order_record order;
        MUST(codec_decode_all(&order_record_codec, &order, walk.value));
        if (order.side == SIDE_SELL && order.status == ORDER_OPEN && order.reservation == 0)
            wh += energy_wh(order.open);
    }
    walk = walk_kind(fixture, STATE_DEAL);
    while (walk_next(&walk)) {
        struct deal_record deal;
        MUST(codec_decode_all(&deal_record_codec, &deal, walk.value));
        if (deal.reservation == 0)
            wh += energy_wh(deal.contracted);
    }
    return wh * 4;
}

/* Whether a trade may be too small for it, or may have been when the two met. */
static bool is_choosy(const struct order_record *order)
{
    return order->options.indivisible != 0 || energy_wh(order->options.min_quantity) > 0;
}

/* Not in an auction, nor while the market does not trade. */
static bool is_called(struct fixture *fixture, const struct name *market)
{
    struct market_record record;
    struct state_key key = state_key_name(STATE_MARKET, market);
    assert_true(ledger_read(fixture->view, &key, &market_record_codec, &record));
    return record.state == MARKET_OPEN && record.terms.clearing.mechanism != MECHANISM_COUPLED &&
           record.terms.clearing.mechanism != MECHANISM_MERIT_ORDER &&
           record.terms.clearing.mechanism != MECHANISM_ORDERED_DEMAND &&
           record.terms.clearing.mechanism != MECHANISM_ONE_SIDED;
}

/* Each index key names an open order that it describes; sizes of books add up; and, right after a
 * block's end, no orders of two participants cross that take any part, while the gate is open. */
static void audit_books(struct fixture *fixture, size_t open, bool called)
{
    enum { BOOK_PARTS = 1 + NAME_SIZE + 8 + 1 };
    static struct order_record buys[AUDIT_ORDERS_MAX];
    uint8_t book[BOOK_PARTS] = {0};
    size_t buy_count = 0;
    size_t count = 0;
    uint64_t sizes = 0;
    struct walk walk = walk_kind(fixture, STATE_BOOK);
    while (walk_next(&walk)) {
        struct order_record order = market_order(fixture, last_u64(&walk));
        count++;
        assert_int_equal(order.status, ORDER_OPEN);
        assert_memory_equal(walk.key + 1, order.market.text, NAME_SIZE);
        assert_int_equal(walk.key[BOOK_PARTS - 1], order.direction);
        assert_int_equal(walk.key[BOOK_PARTS], order.side);
        if (memcmp(book, walk.key, BOOK_PARTS) != 0) {
            memcpy(book, walk.key, BOOK_PARTS);
            buy_count = 0;
        }
        if (order.side == SIDE_BUY) {
            MUST(buy_count < AUDIT_ORDERS_MAX);
            buys[buy_count++] = order;
            continue;
        }
        int64_t gate = timestamp_ms(order.period_start) - MARKET_GATE_MS;
        bool is_live = called && timestamp_ms(fixture->context.time) < gate &&
                       is_called(fixture, &order.market);
        for (size_t i = 0; i < buy_count && is_live; i++)
            assert_true(energy_price_compare(buys[i].price, order.price) < 0 ||
                        name_compare(&buys[i].participant, &order.participant) == 0 ||
                        is_choosy(&buys[i]) || is_choosy(&order));
    }
    assert_int_equal(count, open);
    walk = walk_kind(fixture, STATE_BOOK_SIZE);
    while (walk_next(&walk)) {
        struct book_size_record size;
        MUST(codec_decode_all(&book_size_record_codec, &size, walk.value));
        assert_true(size.open > 0);
        sizes += size.open;
    }
    assert_int_equal(sizes, open);
}

/* An auction that bids wait for has its gate, and the market's total counts it. */
static void audit_auctions(struct fixture *fixture)
{
    size_t pending = 0;
    struct walk walk = walk_kind(fixture, STATE_AUCTION);
    while (walk_next(&walk)) {
        struct auction_record record;
        MUST(codec_decode_all(&auction_record_codec, &record, walk.value));
        if (record.state != AUCTION_OPEN) {
            int64_t in = money_ueur(record.bought) + money_ueur(record.reserve_used);
            assert_true(in >= money_ueur(record.sold) + money_ueur(record.given) +
                                  money_ueur(record.pool));
            continue;
        }
        assert_true(record.requests + record.offers > 0);
        pending++;
    }
    walk = walk_kind(fixture, STATE_AUCTION_DUE);
    size_t due = 0;
    while (walk_next(&walk))
        due++;
    assert_int_equal(due, pending);
    walk = walk_kind(fixture, STATE_AUCTION_TOTAL);
    while (walk_next(&walk)) {
        struct auction_total_record total;
        MUST(codec_decode_all(&auction_total_record_codec, &total, walk.value));
        MUST(pending >= total.pending);
        pending -= total.pending;
    }
    assert_int_equal(pending, 0);
}

/* The same of coupled auctions, whose bids wait for the end of a window too. */
static void audit_coupled(struct fixture *fixture)
{
    size_t pending = 0;
    struct walk walk = walk_kind(fixture, STATE_COUPLED);
    while (walk_next(&walk)) {
        struct coupled_record record;
        MUST(codec_decode_all(&coupled_record_codec, &record, walk.value));
        if (record.state == COUPLED_OPEN || record.state == COUPLED_SOLVING) {
            assert_true(record.bids > 0);
            pending++;
        }
        assert_true(money_ueur(record.bought) >= money_ueur(record.sold) +
                                                     money_ueur(record.given) +
                                                     money_ueur(record.surplus));
        assert_int_equal(hash_is_zero(&record.problem), record.problem_bytes == 0);
    }
    walk = walk_kind(fixture, STATE_COUPLED_DUE);
    while (walk_next(&walk))
        pending--;
    assert_int_equal(pending, 0);
}

/* Each open deal has its deadline in the index, and nothing else has, but calls of reservations. */
static void audit_deadlines(struct fixture *fixture, size_t matched)
{
    enum { PROOF = 2, CALL = 4, GROUP = 64, TIME_AT = 1, WHAT_AT = 1 + 8 };
    size_t count = 0;
    struct walk walk = walk_kind(fixture, STATE_DEADLINE);
    while (walk_next(&walk)) {
        struct byte_reader time;
        struct byte_reader ids;
        byte_reader_init(&time, walk.key + TIME_AT, sizeof(int64_t));
        byte_reader_init(&ids, walk.value.data, walk.value.size);
        uint64_t bits = byte_read_u64(&ids);
        int64_t due = byte_read_i64(&time);
        assert_true(byte_reader_done(&ids) && bits != 0);
        for (uint64_t i = 0; i < GROUP && walk.key[WHAT_AT] != CALL; i++) {
            if ((bits >> i & 1) == 0)
                continue;
            struct deal_record deal = market_deal(fixture, last_u64(&walk) * GROUP + i);
            bool proof = walk.key[WHAT_AT] == PROOF;
            assert_int_equal(proof, deal.state == DEAL_MATCHED);
            assert_int_equal(due,
                             timestamp_ms(proof ? deal.proof_deadline : deal.dispute_deadline));
            count++;
        }
    }
    assert_int_equal(count, matched);
}

static bool has_key(struct fixture *fixture, const uint8_t *bytes, size_t size)
{
    struct bytes_view value;
    return fixture->view->ops->get(fixture->view, bytes_view_of(bytes, size), &value);
}

/* Whether the open orders of a book, whose own key `book` ends with, wait for an auction. */
static bool waits_for_auction(struct fixture *fixture, const uint8_t *book, size_t size,
                              const struct market_create *terms, int64_t start)
{
    struct auction_record auction;
    struct coupled_record coupled;
    struct state_key key = {.size = size};
    memcpy(key.bytes, book, size);
    if (terms->clearing.mechanism == MECHANISM_COUPLED) {
        int64_t length = duration_ms(terms->times.mtu) * terms->times.mtus_per_period *
                         terms->coupling.intervals;
        struct byte_writer writer;
        byte_writer_init(&writer, key.bytes + 1 + NAME_SIZE, sizeof(int64_t));
        byte_write_i64(&writer, start - start % length);
        key.bytes[0] = STATE_COUPLED;
        return ledger_read(fixture->view, &key, &coupled_record_codec, &coupled) &&
               (coupled.state == COUPLED_OPEN || coupled.state == COUPLED_SOLVING);
    }
    key.bytes[0] = STATE_AUCTION;
    return ledger_read(fixture->view, &key, &auction_record_codec, &auction) &&
           auction.state == AUCTION_OPEN;
}

/* Each book with open orders has its gate in the index, but while they wait for an auction. */
static void audit_gates(struct fixture *fixture)
{
    enum { BOOK_BYTES = NAME_SIZE + 8 + 1 };
    size_t expected = 0;
    size_t count = 0;
    struct walk walk = walk_kind(fixture, STATE_BOOK_SIZE);
    while (walk_next(&walk)) {
        struct market_record market;
        struct name id;
        struct byte_reader reader;
        uint8_t gate[1 + 8 + BOOK_BYTES] = {STATE_BOOK_GATE};
        memcpy(id.text, walk.key + 1, NAME_SIZE);
        struct state_key key = state_key_name(STATE_MARKET, &id);
        assert_true(ledger_read(fixture->view, &key, &market_record_codec, &market));
        const struct market_create *terms = &market.terms;
        byte_reader_init(&reader, walk.key + 1 + NAME_SIZE, sizeof(int64_t));
        int64_t start = byte_read_i64(&reader);
        if (waits_for_auction(fixture, walk.key, walk.key_size, terms, start))
            continue;
        int64_t first = start;
        if (terms->clearing.mechanism == MECHANISM_COUPLED)
            first -= start % (duration_ms(terms->times.mtu) * terms->times.mtus_per_period *
                              terms->coupling.intervals);
        struct byte_writer writer;
        byte_writer_init(&writer, gate + 1, sizeof(int64_t));
        byte_write_i64(&writer, first - duration_ms(terms->times.gate_closure));
        memcpy(gate + 1 + 8, walk.key + 1, BOOK_BYTES);
        assert_true(has_key(fixture, gate, sizeof gate));
        expected++;
    }
    walk = walk_kind(fixture, STATE_BOOK_GATE);
    while (walk_next(&walk))
        count++;
    assert_int_equal(count, expected);
}

void market_audit(struct fixture *fixture, bool called)
{
    size_t open;
    size_t matched;
    audit_orders(fixture, &open);
    audit_deals(fixture, &matched);
    audit_pots(fixture);
    assert_true(audit_commitments(fixture) == owed_commitments(fixture));
    audit_books(fixture, open, called);
    audit_auctions(fixture);
    audit_coupled(fixture);
    audit_deadlines(fixture, matched);
    audit_gates(fixture);
}
