/* A node's order events, trades and fees against the audit's, on one chain of the real contracts: the
 * same rows in the same order, whatever the size of a page; pages that stay while the chain grows;
 * filters, bounds, cursors, and blocks that are not what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/market_scan.h"
#include "tests/lib/tools/audit_market.h"
#include "tools/market_history.h"

static const int64_t DAY_MS = 1736899200000; /* 2025-01-15 00:00 UTC */
enum { BLOCKS_MAX = 1024, ROWS_MAX = 4096 };

static int64_t at(int hour, int minute)
{
    return DAY_MS + hour * INT64_C(3600000) + minute * INT64_C(60000);
}

struct kept {
    uint8_t *bytes; /* header, body, receipts */
    struct store_block block;
};

struct suite {
    char directory[64];
    struct audit_world *world;
    struct market_history *history;
    struct audit *audit;
    struct kept kept[BLOCKS_MAX + 1];
    uint64_t tip;
    uint64_t fetched; /* blocks that scans asked for */
    struct market_scan_source source;
};

/* What a scan told, as far as it is compared; the records behind the pointers are copied. */
struct told {
    struct market_row row;
    struct order_record placed;
    struct deal_record deal;
    struct statement_line line;
};
struct rows {
    struct told all[ROWS_MAX];
    size_t count;
    struct market_cursor next;
    bool more;
};

/* --- the chain ------------------------------------------------------------------------------- */

static struct bytes_view keep(uint8_t **at_byte, struct bytes_view bytes)
{
    uint8_t *copy = *at_byte;
    memcpy(copy, bytes.data, bytes.size);
    *at_byte += bytes.size;
    return bytes_view_of(copy, bytes.size);
}

static void watch(void *context, const struct audit_seen *seen)
{
    struct suite *suite = context;
    const struct store_block *block = seen->block;
    uint64_t height = seen->header->height;
    history_watch(suite->history, seen);
    assert_true(height == suite->tip + 1 && height <= BLOCKS_MAX);
    struct kept *kept = &suite->kept[height];
    uint8_t header[BLOCK_HEADER_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, header, sizeof header);
    codec_encode(&block_header_record, seen->header, &writer);
    assert_false(writer.failed);
    kept->bytes = malloc(sizeof header + block->body.size + block->receipts.size);
    assert_non_null(kept->bytes);
    uint8_t *end = kept->bytes;
    kept->block.height = height;
    kept->block.header = keep(&end, bytes_view_of(header, writer.size));
    kept->block.body = keep(&end, block->body);
    kept->block.receipts = keep(&end, block->receipts);
    suite->tip = height;
}

static bool kept_block(void *context, uint64_t height, struct store_block *out)
{
    struct suite *suite = context;
    suite->fetched++;
    if (height < 1 || height > suite->tip)
        return false;
    *out = suite->kept[height].block;
    return true;
}

static void plant_people(struct audit_world *world)
{
    audit_world_mint(world, "operator", 1000000000);
    audit_world_mint(world, "dso", 10000000000);
    audit_world_turn(world, 1000);
    audit_market_create(world, "west", "zone-w");
    audit_market_create(world, "north", "zone-n");
    audit_world_add(world, "agg-a", ROLE_AGGREGATOR);
    audit_world_add(world, "agg-b", ROLE_AGGREGATOR);
    audit_world_turn(world, 1000);
    audit_world_mint(world, "agg-a", 1000000000);
    audit_world_mint(world, "agg-b", 1000000000);
    audit_world_turn(world, 1000);
    audit_market_device(world, "agg-a", "dev-a", "west", "zone-w", 40000);
    audit_market_device(world, "agg-b", "dev-b", "west", "zone-w", 40000);
    audit_market_device(world, "agg-a", "north-a", "north", "zone-n", 40000);
}

/* Three offers taken back in one transaction that places two: the first two in the order of events are
 * replacements, the third is a cancellation. Then one is replaced by less of itself. */
static void plant_replacements(struct audit_world *world)
{
    for (int i = 0; i < 3; i++)
        audit_market_offer(world, "agg-a", "dev-a", "west", at(8, 0), 400, 200000 + i);
    audit_world_turn(world, 1000);
    uint64_t last = audit_market_orders(world);
    struct order_cancel cancels[3] = {{last}, {last - 2}, {last - 1}};
    struct offer_place offer = {.market = audit_world_name("west"),
                                .direction = DIRECTION_UP,
                                .period_start = timestamp_of(at(8, 0)),
                                .quantity = energy_of(200),
                                .price = energy_price_of(190000),
                                .device = audit_world_name("dev-a")};
    memset(offer.schedule_hash.bytes, 1, HASH_SIZE);
    const struct transaction_draft_action actions[] = {{ACTION_OFFER_PLACE, &offer},
                                                       {ACTION_ORDER_CANCEL, &cancels[0]},
                                                       {ACTION_ORDER_CANCEL, &cancels[1]},
                                                       {ACTION_ORDER_CANCEL, &cancels[2]},
                                                       {ACTION_OFFER_PLACE, &offer}};
    audit_world_send_all(world, "agg-a", actions, 5);
    audit_world_turn(world, 1000);
    struct order_replace less = {.order = audit_market_orders(world),
                                 .quantity = energy_of(100),
                                 .price = offer.price,
                                 .schedule_hash = offer.schedule_hash};
    audit_world_send(world, "agg-a", ACTION_ORDER_REPLACE, &less);
    audit_world_turn(world, 1000);
}

static void plant_orders(struct audit_world *world)
{
    for (int i = 0; i < 4; i++) {
        audit_market_request(world, "dso", "west", at(6, 15 * i), 500, 300000);
        audit_market_offer(world, "agg-a", "dev-a", "west", at(6, 15 * i), 300, 200000 + i);
        audit_market_offer(world, "agg-b", "dev-b", "west", at(6, 15 * i), 300, 200000);
    }
    audit_market_request(world, "dso", "north", at(7, 0), 100, 300000);
    audit_market_offer(world, "agg-a", "north-a", "north", at(7, 0), 200, 200000);
    audit_world_turn(world, 1000);
    audit_market_request(world, "dso", "north", at(9, 0), 100, 100000);
    audit_world_turn(world, 1000);
    audit_market_cancel(world, "dso", audit_market_orders(world));
    audit_world_turn(world, 1000);
    plant_replacements(world);
    /* Room for 1000 Wh: one request is granted whole, the other in part. */
    audit_market_capacity(world, "room", "zone-w", at(9, 30), 4000);
    audit_market_ask(world, "agg-a", "dev-a", "room", at(9, 30), 600, 300);
    audit_market_ask(world, "agg-b", "dev-b", "room", at(9, 30), 600, 200);
}

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    struct audit_outcome outcome;
    assert_true(crypto_init());
    snprintf(suite->directory, sizeof suite->directory, "/tmp/flex-test-scan-XXXXXX");
    assert_non_null(mkdtemp(suite->directory));
    suite->world = audit_world_create(suite->directory);
    plant_people(suite->world);
    plant_orders(suite->world);
    /* More blocks than one page looks at, with nothing in them. */
    for (int i = 0; i < MARKET_SCAN_BLOCKS_MAX + 20; i++)
        audit_world_turn(suite->world, 1000);
    audit_world_turn_at(suite->world, at(9, 0)); /* all gates are closed: orders expire */
    audit_world_turn_at(suite->world, at(36, 0));
    /* Whoever retires leaves fees behind that nobody's key paid. */
    struct participant_status retired = {audit_world_name("agg-b"), STATUS_RETIRED};
    audit_world_send(suite->world, "operator", ACTION_PARTICIPANT_STATUS, &retired);
    audit_world_turn(suite->world, 1000);
    audit_world_turn(suite->world, 1000);
    audit_world_finish(suite->world);
    suite->history = history_create();
    struct audit_options options = {.watch = watch, .watch_context = suite};
    suite->audit =
        audit_run(&outcome, suite->directory, audit_world_genesis(suite->world), &options);
    assert_string_equal(outcome.reason, "");
    suite->source = (struct market_scan_source){kept_block, suite, audit_state(suite->audit)};
    *state = suite;
    return 0;
}

static int tear_down(void **state)
{
    struct suite *suite = *state;
    char command[128];
    audit_close(suite->audit);
    history_destroy(suite->history);
    audit_world_destroy(suite->world);
    for (size_t i = 0; i <= BLOCKS_MAX; i++)
        free(suite->kept[i].bytes);
    snprintf(command, sizeof command, "rm -rf '%s'", suite->directory);
    assert_int_equal(system(command), 0);
    free(suite);
    return 0;
}

/* --- scanning -------------------------------------------------------------------------------- */

static void take_row(void *context, const struct market_row *row)
{
    struct rows *rows = context;
    assert_true(rows->count < ROWS_MAX);
    struct told *told = &rows->all[rows->count++];
    told->row = *row;
    if (row->placed != NULL)
        told->placed = *row->placed;
    if (row->deal != NULL)
        told->deal = *row->deal;
    if (row->line != NULL)
        told->line = *row->line;
    told->row.placed = NULL;
    told->row.line = NULL;
    told->row.deal = NULL;
}

/* One page behind what `rows` holds. */
static bool page(struct suite *suite, const struct market_scan *wanted, struct rows *rows)
{
    struct market_scan scan = *wanted;
    scan.tell = take_row;
    scan.context = rows;
    return market_scan_run(&scan, &suite->source, &rows->next, &rows->more);
}

/* All pages of `limit` rows, each within its bounds. */
static struct rows *pages(struct suite *suite, struct market_scan scan, uint32_t limit)
{
    struct rows *rows = calloc(1, sizeof *rows);
    assert_non_null(rows);
    scan.limit = limit;
    scan.from.height = scan.from.height == 0 ? 1 : scan.from.height;
    scan.to = scan.to == 0 ? suite->tip : scan.to;
    do {
        size_t before = rows->count;
        suite->fetched = 0;
        assert_true(page(suite, &scan, rows));
        assert_true(rows->count - before <= limit);
        assert_true(suite->fetched <= MARKET_SCAN_BLOCKS_MAX);
        assert_true(!rows->more || rows->next.height > scan.from.height ||
                    (rows->next.height == scan.from.height && rows->next.row > scan.from.row));
        scan.from = rows->next;
    } while (rows->more);
    return rows;
}

static void same_rows(const struct rows *one, const struct rows *two)
{
    assert_int_equal(one->count, two->count);
    for (size_t i = 0; i < one->count; i++) {
        const struct market_row *a = &one->all[i].row;
        const struct market_row *b = &two->all[i].row;
        assert_true(a->height == b->height && a->position == b->position && a->event == b->event);
        assert_true(a->kind == b->kind && a->order == b->order && a->other == b->other);
        assert_true(a->against == b->against && a->deal_id == b->deal_id);
        assert_int_equal(energy_wh(a->quantity), energy_wh(b->quantity));
        assert_int_equal(money_ueur(a->amount), money_ueur(b->amount));
        assert_memory_equal(&a->tx_id, &b->tx_id, sizeof a->tx_id);
    }
}

static void same_place(const struct market_row *row, const struct history_place *place)
{
    assert_int_equal(row->height, place->height);
    assert_int_equal(timestamp_ms(row->time), timestamp_ms(place->time));
    assert_int_equal(row->position, place->position);
    assert_int_equal(row->event, place->event);
}

/* --- rows that not everybody may see --------------------------------------------------------- */

static struct name reader;

static bool may_see(void *context, const struct market_row *row)
{
    (void)context;
    return name_compare(&row->placed->participant, &reader) == 0;
}

/* For each who placed an order: the same rows as by asking for them, whatever the pages; and when all are
 * told that may be, nothing says that others are behind them. */
static void test_hidden_rows_leave_no_trace(void **state)
{
    struct suite *suite = *state;
    static const uint32_t limits[] = {1, 2, 7, 1000};
    struct rows *all = pages(suite, (struct market_scan){.what = MARKET_SCAN_ORDERS}, 1000);
    struct name last = {0};
    size_t readers = 0;
    for (size_t i = 0; i < all->count; i++) {
        reader = all->all[i].placed.participant;
        if (name_compare(&last, &reader) == 0)
            continue;
        last = reader;
        readers++;
        struct rows *asked = pages(
            suite, (struct market_scan){.what = MARKET_SCAN_ORDERS, .participant = reader}, 1000);
        for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
            struct rows *seen = pages(
                suite, (struct market_scan){.what = MARKET_SCAN_ORDERS, .may = may_see}, limits[l]);
            same_rows(seen, asked);
            free(seen);
        }
        struct rows *whole = calloc(1, sizeof *whole);
        struct market_scan scan = {
            .what = MARKET_SCAN_ORDERS,
            .may = may_see,
            .from = {.height = 1},
            .to = suite->tip < MARKET_SCAN_BLOCKS_MAX ? suite->tip : MARKET_SCAN_BLOCKS_MAX};
        scan.limit = (uint32_t)asked->count;
        assert_true(page(suite, &scan, whole));
        assert_false(whole->more);
        free(whole);
        free(asked);
    }
    assert_true(readers > 1);
    free(all);
}

/* --- the same as an audit's ------------------------------------------------------------------ */

static void test_order_events_are_the_audits(void **state)
{
    struct suite *suite = *state;
    const struct market_history *history = suite->history;
    struct rows *rows = pages(suite, (struct market_scan){.what = MARKET_SCAN_ORDERS}, 1000);
    size_t kinds[ORDER_EVENT_KINDS] = {0};
    assert_int_equal(rows->count, history->event_count);
    for (size_t i = 0; i < rows->count; i++) {
        const struct history_event *event = &history->events[i];
        const struct history_order *order = &history->orders[event->order - 1];
        const struct told *told = &rows->all[i];
        same_place(&told->row, &event->at);
        assert_int_equal(told->row.kind, event->kind);
        assert_int_equal(told->row.order, event->order);
        assert_int_equal(told->row.other, event->other);
        assert_int_equal(energy_wh(told->row.quantity), energy_wh(event->quantity));
        assert_int_equal(energy_price_ueur_per_kwh(told->row.price),
                         energy_price_ueur_per_kwh(event->price));
        assert_int_equal(name_compare(&told->placed.market, &order->placed.market), 0);
        assert_int_equal(name_compare(&told->placed.participant, &order->placed.participant), 0);
        assert_int_equal(name_compare(&told->placed.device, &order->placed.device), 0);
        assert_int_equal(told->placed.side, order->placed.side);
        if (event->kind == ORDER_EVENT_GRANT) {
            assert_int_equal(energy_wh(event->quantity), kinds[ORDER_EVENT_GRANT] == 0 ? 600 : 400);
            assert_int_equal(order->status,
                             kinds[ORDER_EVENT_GRANT] == 0 ? ORDER_FILLED : ORDER_EXPIRED);
        }
        if (event->kind == ORDER_EVENT_TRADE) {
            const struct deal_record *deal = &history->deals[event->other - 1].deal;
            assert_int_equal(told->row.against,
                             deal->buy_order == event->order ? deal->sell_order : deal->buy_order);
        }
        kinds[event->kind]++;
    }
    for (size_t i = 0; i < ORDER_EVENT_KINDS; i++)
        assert_true(kinds[i] > 0);
    assert_int_equal(kinds[ORDER_EVENT_GRANT], 2);
    assert_int_equal(kinds[ORDER_EVENT_REPLACE], 3);
    assert_int_equal(kinds[ORDER_EVENT_CANCEL], 2);
    free(rows);
}

static void test_trades_are_the_audits(void **state)
{
    struct suite *suite = *state;
    const struct market_history *history = suite->history;
    struct rows *rows = pages(suite, (struct market_scan){.what = MARKET_SCAN_TRADES}, 1000);
    assert_int_equal(rows->count, history->deal_count);
    assert_true(rows->count >= 9);
    for (size_t i = 0; i < rows->count; i++) {
        const struct deal_record *deal = &history->deals[i].deal;
        const struct told *told = &rows->all[i];
        same_place(&told->row, &history->deals[i].matched);
        assert_int_equal(told->row.deal_id, i + 1);
        assert_int_equal(told->deal.buy_order, deal->buy_order);
        assert_int_equal(told->deal.sell_order, deal->sell_order);
        assert_int_equal(energy_wh(told->row.quantity), energy_wh(deal->contracted));
        assert_int_equal(name_compare(&told->deal.seller, &deal->seller), 0);
    }
    free(rows);
}

static void test_fees_are_the_audits(void **state)
{
    struct suite *suite = *state;
    const struct market_history *history = suite->history;
    const struct name agg_b = audit_world_name("agg-b");
    struct rows *rows = pages(suite, (struct market_scan){.what = MARKET_SCAN_FEES}, 1000);
    size_t retired = 0; /* fees of who signs with no key any more */
    assert_int_equal(rows->count, history->fee_count);
    for (size_t i = 0; i < rows->count; i++) {
        const struct history_fee *fee = &history->fees[i];
        const struct market_row *row = &rows->all[i].row;
        same_place(row, &fee->at);
        assert_int_equal(row->kind, fee->kind);
        assert_int_equal(row->deal_id, fee->deal);
        assert_int_equal(money_ueur(row->amount), money_ueur(fee->amount));
        retired += fee->kind == MARKET_FEE_TRANSACTION && name_compare(&fee->who, &agg_b) == 0;
        assert_int_equal(name_is_empty(&row->who), fee->kind == MARKET_FEE_DEAL);
        assert_int_equal(name_compare(&row->who, &fee->who), 0);
    }
    assert_true(retired > 5);
    free(rows);
}

/* One participant's movements add up to what it has, and all movements to all that people have: whoever
 * paid, got, locked, or signs with no key any more. */
static void test_movements_add_up_to_balances(void **state)
{
    static const char *const people[] = {"treasurer", "operator", "dso", "agg-a", "agg-b"};
    struct suite *suite = *state;
    const struct state_base *base = suite->source.state;
    struct rows *all = pages(suite, (struct market_scan){.what = MARKET_SCAN_MOVEMENTS}, 1000);
    size_t kinds[STATEMENT_KIND_COUNT] = {0};
    size_t counted = 0;
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        const struct name who = audit_world_name(people[i]);
        struct rows *rows = pages(
            suite, (struct market_scan){.what = MARKET_SCAN_MOVEMENTS, .participant = who}, 7);
        int64_t sum = 0;
        for (size_t j = 0; j < rows->count; j++) {
            assert_int_equal(name_compare(&rows->all[j].line.who, &who), 0);
            sum += money_ueur(rows->all[j].line.amount);
            kinds[rows->all[j].line.kind]++;
            assert_true(sum >= 0);
        }
        struct state_key key = state_key_pot(POT_BALANCE, &who, 0);
        struct pot_record pot;
        struct bytes_view value;
        bool found;
        assert_true(base->get(base->context, bytes_view_of(key.bytes, key.size), &found, &value) &&
                    found);
        assert_true(codec_decode_all(&pot_record_codec, &pot, value));
        assert_int_equal(sum, money_ueur(pot.amount));
        counted += rows->count;
        free(rows);
    }
    assert_int_equal(counted, all->count);
    assert_int_equal(kinds[STATEMENT_NONE], 0);
    assert_true(kinds[STATEMENT_MINTED] > 0 && kinds[STATEMENT_TRANSACTION_FEE] > 0 &&
                kinds[STATEMENT_ORDER_LOCKED] > 0 && kinds[STATEMENT_ORDER_RETURNED] > 0 &&
                kinds[STATEMENT_DEAL_REFUNDED] > 0 && kinds[STATEMENT_FEE_SHARE] > 0);
    free(all);
}

/* --- pages ----------------------------------------------------------------------------------- */

static void test_pages_of_any_size_hold_the_same_rows(void **state)
{
    struct suite *suite = *state;
    for (int what = MARKET_SCAN_ORDERS; what <= MARKET_SCAN_MOVEMENTS; what++) {
        const struct market_scan scan = {.what = (enum market_scan_what)what};
        struct rows *whole = pages(suite, scan, 1000);
        for (uint32_t limit = 1; limit <= 9; limit++) {
            struct rows *rows = pages(suite, scan, limit);
            same_rows(whole, rows);
            free(rows);
        }
        free(whole);
    }
}

/* A page that was asked for when the chain was `tip` blocks long goes on when it is longer. */
static void test_pages_stay_while_the_chain_grows(void **state)
{
    struct suite *suite = *state;
    struct market_scan scan = {.what = MARKET_SCAN_ORDERS, .limit = 4, .from = {.height = 1}};
    struct rows *whole = pages(suite, scan, 1000);
    struct rows *rows = calloc(1, sizeof *rows);
    uint64_t tip = 1;
    while (scan.from.height <= suite->tip) {
        scan.to = tip;
        if (scan.from.height <= tip) {
            assert_true(page(suite, &scan, rows));
            /* Without a cursor the next height is where it goes on. */
            assert_true(rows->more || rows->next.height == tip + 1);
            scan.from = rows->next;
        }
        tip = tip + 3 < suite->tip ? tip + 3 : suite->tip;
    }
    same_rows(whole, rows);
    free(rows);
    free(whole);
}

static void test_empty_blocks_end_a_page_with_a_cursor(void **state)
{
    struct suite *suite = *state;
    struct rows *rows = calloc(1, sizeof *rows);
    struct market_scan scan = {.what = MARKET_SCAN_ORDERS,
                               .limit = 10,
                               .from = {.height = 1},
                               .to = suite->tip,
                               .market = audit_world_name("nowhere")};
    assert_true(page(suite, &scan, rows));
    assert_int_equal(rows->count, 0);
    assert_true(rows->more);
    assert_int_equal(rows->next.height, 1 + MARKET_SCAN_BLOCKS_MAX);
    assert_int_equal(rows->next.row, 0);
    free(rows);
}

/* The block of the first deals under every height. */
static bool one_block(void *context, uint64_t height, struct store_block *out)
{
    struct suite *suite = context;
    (void)height;
    *out = suite->kept[suite->history->deals[0].matched.height].block;
    return true;
}

static void count_row(void *context, const struct market_row *row)
{
    (void)row;
    (*(size_t *)context)++;
}

static void test_many_reads_end_a_page_in_the_middle_of_a_block(void **state)
{
    struct suite *suite = *state;
    const uint64_t height = suite->history->deals[0].matched.height;
    const struct market_scan_source source = {one_block, suite, suite->source.state};
    size_t told = 0, in_block = 0, pages_told = 0, inside = 0;
    for (size_t i = 0; i < suite->history->event_count; i++)
        in_block += suite->history->events[i].at.height == height;
    struct market_scan scan = {.what = MARKET_SCAN_ORDERS,
                               .limit = 1000000,
                               .from = {.height = 1},
                               .to = MARKET_SCAN_BLOCKS_MAX,
                               .tell = count_row,
                               .context = &told};
    bool more = true;
    while (more) {
        size_t before = told;
        assert_true(market_scan_run(&scan, &source, &scan.from, &more));
        assert_true(told - before <= MARKET_SCAN_READS_MAX + MARKET_SCAN_BLOCKS_MAX * in_block / 2);
        assert_true(told > before || !more);
        inside += more && scan.from.row > 0;
        pages_told++;
    }
    assert_int_equal(told, MARKET_SCAN_BLOCKS_MAX * in_block);
    assert_true(pages_told > 1 && inside > 0);
}

/* A block without transactions whose end tells of what is no part of a market, at 5 MiB of length. */
static bool large_block(void *context, uint64_t height, struct store_block *out)
{
    (void)height;
    *out = *(const struct store_block *)context;
    return true;
}

static void test_large_blocks_end_a_page_early(void **state)
{
    struct suite *suite = *state;
    enum { EVENT_BYTES = 60000, EVENTS = 90, ROOM = EVENTS * (EVENT_BYTES + 3) };
    static const uint8_t nothing[EVENT_BYTES];
    static const uint8_t empty_body[4];
    uint8_t *events = malloc(ROOM), *receipts = malloc(ROOM + 256);
    struct byte_writer writer;
    assert_true(events != NULL && receipts != NULL);
    byte_writer_init(&writer, events, ROOM);
    for (int i = 0; i < EVENTS; i++) {
        byte_write_u8(&writer, EVENT_DIGEST);
        byte_write_u16(&writer, EVENT_BYTES);
        byte_write_raw(&writer, nothing, EVENT_BYTES);
    }
    const struct receipt receipt = {.events = bytes_view_of(events, writer.size)};
    uint8_t *encoded = malloc(ROOM + 128);
    assert_non_null(encoded);
    struct byte_writer one;
    byte_writer_init(&one, encoded, ROOM + 128);
    codec_encode(&receipt_record, &receipt, &one);
    byte_writer_init(&writer, receipts, ROOM + 256);
    byte_write_u32(&writer, 1);
    byte_write_sized(&writer, encoded, one.size);
    assert_false(writer.failed || one.failed);
    struct store_block block = {.header = suite->kept[1].block.header,
                                .body = bytes_view_of(empty_body, sizeof empty_body),
                                .receipts = bytes_view_of(receipts, writer.size)};
    const struct market_scan_source source = {large_block, &block, suite->source.state};
    size_t told = 0;
    struct market_cursor next;
    bool more;
    const struct market_scan scan = {.what = MARKET_SCAN_FEES,
                                     .limit = 1,
                                     .from = {.height = 1},
                                     .to = 100,
                                     .tell = count_row,
                                     .context = &told};
    assert_true(market_scan_run(&scan, &source, &next, &more));
    assert_true(more && told == 0);
    assert_int_equal(next.height, 3); /* twice 5 MiB are more than 8 */
    assert_int_equal(next.row, 0);
    block.receipts.size--;
    assert_false(market_scan_run(&scan, &source, &next, &more));
    free(encoded);
    free(receipts);
    free(events);
}

static void test_filters_choose(void **state)
{
    struct suite *suite = *state;
    const struct name north = audit_world_name("north");
    const struct name agg_a = audit_world_name("agg-a");
    struct rows *all = pages(suite, (struct market_scan){.what = MARKET_SCAN_ORDERS}, 1000);
    struct rows *some = pages(
        suite,
        (struct market_scan){.what = MARKET_SCAN_ORDERS, .market = north, .participant = agg_a}, 2);
    struct rows *one =
        pages(suite, (struct market_scan){.what = MARKET_SCAN_ORDERS, .order = 2}, 1);
    size_t in_north = 0, of_two = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct told *told = &all->all[i];
        in_north += name_compare(&told->placed.market, &north) == 0 &&
                    name_compare(&told->placed.participant, &agg_a) == 0;
        of_two += told->row.order == 2;
    }
    assert_true(in_north > 1 && of_two > 1);
    assert_int_equal(some->count, in_north);
    assert_int_equal(one->count, of_two);
    free(one);
    free(some);
    some = pages(suite, (struct market_scan){.what = MARKET_SCAN_TRADES, .market = north}, 1);
    assert_int_equal(some->count, 1);
    one = pages(
        suite,
        (struct market_scan){.what = MARKET_SCAN_TRADES, .order = some->all[0].deal.sell_order}, 1);
    assert_int_equal(one->count, 1);
    assert_int_equal(one->all[0].row.deal_id, some->all[0].row.deal_id);
    free(one);
    free(some);
    some = pages(suite, (struct market_scan){.what = MARKET_SCAN_FEES, .participant = agg_a}, 7);
    for (size_t i = 0; i < some->count; i++)
        assert_int_equal(name_compare(&some->all[i].row.who, &agg_a), 0);
    assert_true(some->count > 5);
    free(some);
    some = pages(suite,
                 (struct market_scan){.what = MARKET_SCAN_ORDERS, .from = {.height = 5}, .to = 5},
                 1000);
    for (size_t i = 0; i < some->count; i++)
        assert_int_equal(some->all[i].row.height, 5);
    free(some);
    free(all);
}

/* --- what is wrong --------------------------------------------------------------------------- */

static void test_cursors_are_strict(void **state)
{
    static const char *const bad[] = {
        "",     "1",    "-",     "1-",          "-1",
        "0-0",  "01-0", "1-00",  "1-0 ",        " 1-0",
        "+1-0", "1--1", "1-0-0", "1-0x10",      "18446744073709551616-0",
        "1_0",  "1.0",  "1-1.0", "1-4294967296"};
    static const char *const good[] = {"1-0", "10-4294967295", "18446744073709551615-7"};
    struct market_cursor cursor;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (market_cursor_from_text(&cursor, bad[i]))
            fail_msg("\"%s\" is no cursor", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[MARKET_CURSOR_TEXT_SIZE];
        assert_true(market_cursor_from_text(&cursor, good[i]));
        market_cursor_to_text(text, &cursor);
        assert_string_equal(text, good[i]);
    }
}

/* Receipts cut anywhere, and a missing block, fail the page: nothing half is told as if it were all. */
static void test_broken_blocks_fail_the_page(void **state)
{
    struct suite *suite = *state;
    const uint64_t height = suite->history->deals[0].matched.height;
    struct store_block *block = &suite->kept[height].block;
    struct rows *rows = calloc(1, sizeof *rows);
    struct market_scan scan = {
        .what = MARKET_SCAN_ORDERS, .limit = 1000, .from = {.height = height}, .to = height};
    const size_t size = block->receipts.size;
    for (size_t cut = 0; cut < size; cut++) {
        rows->count = 0;
        block->receipts.size = cut;
        bool good = page(suite, &scan, rows);
        block->receipts.size = size;
        assert_false(good);
    }
    rows->count = 0;
    assert_true(page(suite, &scan, rows));
    scan.to = suite->tip + 1;
    scan.from.height = suite->tip;
    assert_false(page(suite, &scan, rows));
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_events_are_the_audits),
        cmocka_unit_test(test_hidden_rows_leave_no_trace),
        cmocka_unit_test(test_trades_are_the_audits),
        cmocka_unit_test(test_fees_are_the_audits),
        cmocka_unit_test(test_movements_add_up_to_balances),
        cmocka_unit_test(test_pages_of_any_size_hold_the_same_rows),
        cmocka_unit_test(test_pages_stay_while_the_chain_grows),
        cmocka_unit_test(test_empty_blocks_end_a_page_with_a_cursor),
        cmocka_unit_test(test_many_reads_end_a_page_in_the_middle_of_a_block),
        cmocka_unit_test(test_large_blocks_end_a_page_early),
        cmocka_unit_test(test_filters_choose),
        cmocka_unit_test(test_cursors_are_strict),
        cmocka_unit_test(test_broken_blocks_fail_the_page),
    };
    return cmocka_run_group_tests_name("market scan", tests, set_up, tear_down);
}
