/* Figures for /metrics: orders, deals and money by what blocks change, beside a recount of everything;
 * who misses blocks and who does not; sums as seconds; text within its bound at the largest set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/figures.h"
#include "tests/lib/random.h"

enum { ORDERS = 40, DEALS = 40, VALUE_MAX = LIMIT_STATE_VALUE_BYTES };

/* A state of orders, deals and the supply record; `before` is that of the block before. */
struct stored {
    bool there;
    uint8_t bytes[VALUE_MAX];
    size_t size;
};
struct fake {
    struct state_view view;
    struct stored now[ORDERS + DEALS + 1];
    struct stored before[ORDERS + DEALS + 1];
};
static struct fake fake;
static struct figures figures;
static char text[FIGURES_TEXT_BYTES];

static void key_of(size_t slot, uint8_t out[2])
{
    out[0] = slot < ORDERS ? STATE_ORDER : slot < ORDERS + DEALS ? STATE_DEAL : STATE_SUPPLY;
    out[1] = (uint8_t)slot;
}

static struct bytes_view value_of(const struct stored *stored)
{
    return stored->there ? bytes_view_of(stored->bytes, stored->size) : bytes_view_of(NULL, 0);
}

static bool fake_get(struct state_view *view, struct bytes_view key, struct bytes_view *value)
{
    (void)view;
    assert_int_equal(key.data[0], STATE_SUPPLY);
    *value = value_of(&fake.now[ORDERS + DEALS]);
    return value->data != NULL;
}

static bool fake_next(struct state_view *view, struct bytes_view prefix, struct bytes_view after,
                      uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    (void)view;
    for (size_t slot = 0; slot < ORDERS + DEALS; slot++) {
        uint8_t key[2];
        key_of(slot, key);
        if (!fake.now[slot].there || key[0] != prefix.data[0] ||
            (after.size > 0 && key[1] <= after.data[1]))
            continue;
        memcpy(key_out, key, sizeof key);
        *key_size = sizeof key;
        *value = value_of(&fake.now[slot]);
        return true;
    }
    return false;
}

static void fake_changes(struct state_view *view, struct bytes_view prefix, void *context,
                         void (*visit)(void *context, struct bytes_view key,
                                       struct bytes_view before, struct bytes_view after))
{
    (void)view;
    for (size_t slot = 0; slot < ORDERS + DEALS + 1; slot++) {
        uint8_t key[2];
        key_of(slot, key);
        const struct bytes_view before = value_of(&fake.before[slot]);
        const struct bytes_view after = value_of(&fake.now[slot]);
        if (key[0] == prefix.data[0] && !bytes_view_equal(before, after))
            visit(context, bytes_view_of(key, sizeof key), before, after);
    }
}

static const struct state_ops ops = {.get = fake_get, .next = fake_next, .changes = fake_changes};

static void store(size_t slot, const struct codec_record *codec, const void *record)
{
    struct byte_writer writer;
    byte_writer_init(&writer, fake.now[slot].bytes, VALUE_MAX);
    codec_encode(codec, record, &writer);
    assert_false(writer.failed);
    fake.now[slot].size = writer.size;
    fake.now[slot].there = true;
}

static struct name name_of(const char *spoken)
{
    struct name name;
    assert_true(name_from_text(&name, spoken, strlen(spoken)));
    return name;
}

static void blank_order(struct order_record *order)
{
    memset(order, 0, sizeof *order);
    order->market = name_of("west");
    order->participant = name_of("agg");
}

static void blank_deal(struct deal_record *deal)
{
    memset(deal, 0, sizeof *deal);
    deal->market = name_of("west");
    deal->buyer = name_of("dso");
    deal->seller = name_of("agg");
    deal->device = name_of("battery");
}

static int set_up(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.view.ops = &ops;
    figures_open(&figures);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    figures_close(&figures);
    return 0;
}

static void print_text(void)
{
    const size_t size = figures_print(&figures, text);
    assert_true(size < sizeof text);
    assert_int_equal(strlen(text), size);
}

__attribute__((format(printf, 1, 2))) static void has_line(const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    strcat(line, "\n");
    if (strstr(text, line) == NULL)
        fail_msg("no line %s", line);
}

static void random_change(struct test_random *random)
{
    const size_t slot = (size_t)test_random_below(random, ORDERS + DEALS);
    if (slot < ORDERS) {
        struct order_record order;
        blank_order(&order);
        order.status = (uint8_t)test_random_below(random, 4);
        store(slot, &order_record_codec, &order);
        fake.now[slot].there = test_random_below(random, 5) != 0;
        return;
    }
    struct deal_record deal;
    blank_deal(&deal);
    deal.state = (uint8_t)test_random_below(random, DEAL_STATE_COUNT);
    deal.contracted = energy_of((int64_t)test_random_below(random, 5000));
    store(slot, &deal_record_codec, &deal);
}

static void test_gauges_are_what_a_walk_gives(void **state)
{
    (void)state;
    struct test_random random = {.state = 8};
    for (int i = 0; i < 30; i++)
        random_change(&random);
    figures_count(&figures, &fake.view);
    for (int block = 0; block < 300; block++) {
        struct supply_record supply;
        memcpy(fake.before, fake.now, sizeof fake.before);
        for (uint64_t i = test_random_below(&random, 12); i > 0; i--)
            random_change(&random);
        memset(&supply, 0, sizeof supply);
        for (int kind = 0; kind < POT_KIND_COUNT; kind++)
            supply.held[kind] = money_of((int64_t)test_random_below(&random, 1000000));
        store(ORDERS + DEALS, &supply_record_codec, &supply);
        figures_state_changed(&figures, &fake.view);
        print_text();
        unsigned open = 0, deals[DEAL_STATE_COUNT] = {0};
        for (size_t slot = 0; slot < ORDERS + DEALS; slot++) {
            struct order_record order;
            struct deal_record deal;
            if (!fake.now[slot].there)
                continue;
            if (slot < ORDERS) {
                assert_true(
                    codec_decode_all(&order_record_codec, &order, value_of(&fake.now[slot])));
                open += order.status == ORDER_OPEN;
            } else {
                assert_true(codec_decode_all(&deal_record_codec, &deal, value_of(&fake.now[slot])));
                deals[deal.state]++;
            }
        }
        has_line("flexd_market_orders_open %u", open);
        for (int i = 0; i < DEAL_STATE_COUNT; i++)
            has_line("flexd_market_deals{state=\"%s\"} %u", deal_state_names[i], deals[i]);
        for (int kind = 0; kind < POT_KIND_COUNT; kind++)
            has_line("flexd_market_held_micro_eur{pot=\"%s\"} %lld", pot_kind_names[kind],
                     (long long)money_ueur(supply.held[kind]));
    }
}

static void test_deals_made_and_paid(void **state)
{
    (void)state;
    struct deal_record deal;
    blank_deal(&deal);
    deal.contracted = energy_of(1500);
    store(ORDERS, &deal_record_codec, &deal);
    figures_count(&figures, &fake.view); /* there before: not of this process */
    memcpy(fake.before, fake.now, sizeof fake.before);
    store(ORDERS + 1, &deal_record_codec, &deal);
    figures_state_changed(&figures, &fake.view);
    memcpy(fake.before, fake.now, sizeof fake.before);
    deal.state = DEAL_SETTLED;
    deal.settled_height = 9;
    deal.paid = money_of(77);
    store(ORDERS, &deal_record_codec, &deal);
    figures_state_changed(&figures, &fake.view);
    print_text();
    has_line("flexd_market_cleared_wh 1500");
    has_line("flexd_market_paid_micro_eur 77");
    has_line("flexd_market_deals{state=\"matched\"} 1");
    has_line("flexd_market_deals{state=\"settled\"} 1");
}

static void begin(uint32_t count)
{
    struct validator_set set;
    memset(&set, 0, sizeof set);
    set.count = count;
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_SIZE + 1];
        snprintf(name, sizeof name, "operator-with-number-%03u", i);
        assert_true(name_from_text(&set.validators[i].operator_name, name, strlen(name)));
        memset(set.validators[i].key.bytes, (int)i + 1, PUBLIC_KEY_SIZE);
    }
    figures_begin_epoch(&figures, &set);
}

static void final(uint64_t view, uint64_t parent_view, int64_t time, int64_t now)
{
    const struct figures_block block = {.view = view,
                                        .parent_view = parent_view,
                                        .time = timestamp_of(time),
                                        .now = timestamp_of(now),
                                        .body_size = 300,
                                        .transactions = 3};
    figures_block(&figures, &block);
}

static void test_who_misses_blocks(void **state)
{
    (void)state;
    begin(4);
    for (uint64_t view = 1; view <= 10; view++) {
        figures_vote(&figures, 0, view);
        figures_vote(&figures, 1, view);
        if (view > FIGURES_VOTE_LAG)
            figures_vote(&figures, 2, view - FIGURES_VOTE_LAG); /* late, and there */
        if (view <= 4)
            figures_vote(&figures, 3, view);
        figures_vote(&figures, 4, 1000); /* nobody */
        final(view, view - 1, 1000000 + (int64_t)view * 1000, 1000000 + (int64_t)view * 1000 + 250);
    }
    print_text();
    has_line("flexd_consensus_validators 4");
    has_line("flexd_consensus_missing_validators 1");
    has_line("flexd_consensus_validator_missed_blocks{validator=\"operator-with-number-002\",key="
             "\"03030303\"} 0");
    has_line("flexd_consensus_validator_missed_blocks{validator=\"operator-with-number-003\",key="
             "\"04040404\"} 4");
    has_line("flexd_consensus_validator_last_vote_view{validator=\"operator-with-number-003\",key="
             "\"04040404\"} 4");
    has_line("flexd_consensus_block_interval_seconds_sum 9.000");
    has_line("flexd_consensus_block_interval_seconds_count 9");
    has_line("flexd_consensus_quorum_delay_seconds_sum 2.500");
    has_line("flexd_consensus_quorum_delay_seconds_count 10");
    has_line("flexd_consensus_rounds 10");
    has_line("flexd_consensus_block_size_bytes 300");
    has_line("flexd_consensus_num_txs 3");
    /* Blocks of long ago, as a node that catches up has them, say nothing about who votes now. */
    final(100, 10, 2000000, 2000000 + FIGURES_FRESH_MS);
    print_text();
    has_line("flexd_consensus_validator_missed_blocks{validator=\"operator-with-number-003\",key="
             "\"04040404\"} 4");
    has_line("flexd_consensus_quorum_delay_seconds_count 10");
    has_line("flexd_consensus_rounds 100");
    figures_processing(&figures, 1500);
    figures_processing(&figures, 1);
    print_text();
    has_line("flexd_state_block_processing_seconds_sum 0.001501");
    begin(5);
    print_text();
    has_line("flexd_consensus_validator_missed_blocks{validator=\"operator-with-number-003\",key="
             "\"04040404\"} 0");
}

static void test_the_largest_text_fits(void **state)
{
    (void)state;
    begin(LIMIT_VALIDATORS);
    figures_count(&figures, &fake.view);
    for (uint32_t i = 0; i < LIMIT_VALIDATORS; i++) {
        figures_vote(&figures, i, UINT64_MAX - 9);
        figures.missed[i] = UINT64_MAX;
    }
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        figures.held_ueur[kind] = INT64_MIN;
    print_text();
    assert_true(strlen(text) * 2 < sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gauges_are_what_a_walk_gives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deals_made_and_paid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_misses_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_largest_text_fits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
