/* Surveillance on planted patterns, each beside a clean control that differs in one thing: what is
 * planted is found, and nothing else. The markets are the real contracts', re-executed by the audit
 * from an export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tools/audit_market.h"
#include "tools/surveillance.h"

static const int64_t DAY_MS = 1736899200000; /* 2025-01-15 00:00 UTC */

static int64_t at(int hour, int minute)
{
    return DAY_MS + hour * INT64_C(3600000) + minute * INT64_C(60000);
}

struct suite {
    char directory[64];
    struct audit_world *world;
    struct market_history *history;
    struct audit_outcome outcome;
    struct audit *audit;
};

static void person(struct audit_world *world, const char *id, uint32_t roles, const char *device)
{
    audit_world_add(world, id, roles);
    audit_world_turn(world, 1000);
    audit_world_mint(world, id, 1000000000);
    audit_world_turn(world, 1000);
    if (device != NULL) {
        audit_market_device(world, id, device, "west", "zone-w", 40000);
    }
}

static void plant_people(struct audit_world *world)
{
    const uint32_t both = ROLE_DSO | ROLE_AGGREGATOR;
    audit_world_mint(world, "operator", 1000000000);
    audit_world_turn(world, 1000);
    audit_world_mint(world, "dso", 10000000000);
    audit_world_turn(world, 1000);
    audit_market_create(world, "west", "zone-w");
    audit_market_create(world, "north", "zone-n");
    audit_world_turn(world, 1000);
    person(world, "agg-a", ROLE_AGGREGATOR, "dev-a");
    person(world, "agg-b", ROLE_AGGREGATOR, "dev-b");
    person(world, "agg-c", ROLE_AGGREGATOR, "dev-c");
    person(world, "dso-2", ROLE_DSO, NULL);
    person(world, "twin", both, "dev-t");
    person(world, "ring-1", both, "dev-1");
    person(world, "ring-2", both, "dev-2");
    person(world, "ring-3", both, "dev-3");
    person(world, "layer", both, "dev-l");
    audit_market_delegate(world, "twin", "dev-t", "agg-b");
    audit_market_device(world, "agg-a", "north-a", "north", "zone-n", 40000);
    audit_market_device(world, "agg-c", "north-c", "north", "zone-n", 40000);
}

/* Three equal offers for one request. */
static void plant_clean(struct audit_world *world)
{
    int64_t start = at(6, 0);
    audit_market_offer(world, "agg-a", "dev-a", "west", start, 400, 200000);
    audit_market_offer(world, "agg-b", "dev-b", "west", start, 400, 200000);
    audit_market_offer(world, "agg-c", "dev-c", "west", start, 400, 200000);
    audit_world_turn(world, 1000);
    audit_market_request(world, "dso", "west", start, 1000, 300000);
    audit_world_turn(world, 1000);
}

static void plant_deal(struct audit_world *world, const char *buyer, const char *seller,
                       const char *device, int64_t start, int64_t wh)
{
    audit_market_request(world, buyer, "west", start, wh, 300000);
    audit_market_offer(world, seller, device, "west", start, wh, 200000);
    audit_world_turn(world, 1000);
}

static void plant_wash_and_circles(struct audit_world *world)
{
    plant_deal(world, "dso-2", "agg-a", "dev-a", at(6, 15), 100); /* the list makes them one */
    plant_deal(world, "dso-2", "agg-c", "dev-c", at(6, 15), 100);
    plant_deal(world, "twin", "agg-b", "dev-t", at(6, 30), 100); /* its own device */
    plant_deal(world, "twin", "agg-b", "dev-b", at(6, 30), 100);
    plant_deal(world, "ring-1", "ring-2", "dev-2", at(6, 45), 100);
    plant_deal(world, "ring-2", "ring-3", "dev-3", at(6, 45), 100);
    plant_deal(world, "ring-3", "ring-1", "dev-1", at(6, 45), 100);
    /* A chain that does not close. */
    plant_deal(world, "ring-1", "ring-2", "dev-2", at(7, 0), 100);
    plant_deal(world, "ring-2", "ring-3", "dev-3", at(7, 0), 100);
    plant_deal(world, "dso", "ring-1", "dev-1", at(7, 0), 100);
}

/* Big requests of its own below the market, a sale to the DSO, and the requests are gone again
 * `after_ms` later. */
static void plant_layers(struct audit_world *world, int64_t start, int64_t after_ms, bool sells)
{
    for (int i = 0; i < 3; i++) {
        audit_market_request(world, "layer", "west", start, 500, 100000 + i);
    }
    audit_market_offer(world, sells ? "layer" : "agg-a", sells ? "dev-l" : "dev-a", "west", start,
                       100, 200000);
    audit_world_turn(world, 1000);
    uint64_t last = audit_market_orders(world);
    audit_market_request(world, "dso", "west", start, 100, 250000);
    audit_world_turn(world, 1000);
    /* The offer stands first, in the middle or last of the four; the other three are the requests. */
    for (uint64_t id = last - 3; id <= last; id++) {
        struct state_key key = state_key_u64(STATE_ORDER, id);
        struct order_record order;
        assert_true(ledger_read(audit_world_view(world), &key, &order_record_codec, &order));
        if (order.side == SIDE_BUY) {
            audit_market_cancel(world, "layer", id);
        }
    }
    audit_world_turn(world, after_ms);
}

/* One withdrawal, a minute before the gate, behind a fill. */
static void plant_late_layer(struct audit_world *world, int64_t start)
{
    int64_t gate = start - MS_PER_HOUR;
    audit_market_request(world, "layer", "west", start, 500, 100000);
    audit_world_turn_at(world, gate - 120000);
    uint64_t bait = audit_market_orders(world);
    audit_market_offer(world, "layer", "dev-l", "west", start, 100, 200000);
    audit_market_request(world, "dso", "west", start, 100, 250000);
    audit_world_turn(world, 1000);
    audit_market_cancel(world, "layer", bait);
    audit_world_turn_at(world, gate - 60000);
}

/* agg-a offers all it has, agg-c a tenth; the DSO wants more. */
static void plant_withheld(struct audit_world *world)
{
    int64_t start = at(8, 30);
    audit_market_offer(world, "agg-a", "north-a", "north", start, 10000, 200000);
    audit_market_offer(world, "agg-c", "north-c", "north", start, 1000, 200000);
    audit_market_request(world, "dso", "north", start, 15000, 300000);
    audit_world_turn(world, 1000);
    /* Served in full: nobody held back anything that was wanted. */
    audit_market_offer(world, "agg-a", "north-a", "north", at(8, 45), 1000, 200000);
    audit_market_request(world, "dso", "north", at(8, 45), 1000, 300000);
    audit_world_turn(world, 1000);
}

static void plant_replacement(struct audit_world *world)
{
    audit_market_offer(world, "agg-a", "dev-a", "west", at(8, 0), 400, 200000);
    audit_world_turn(world, 1000);
    audit_market_replace(world, "agg-a", audit_market_orders(world), "dev-a", "west", at(8, 0), 200,
                         190000);
    audit_world_turn(world, 1000);
}

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    assert_true(crypto_init());
    snprintf(suite->directory, sizeof suite->directory, "/tmp/flex-test-surveil-XXXXXX");
    assert_non_null(mkdtemp(suite->directory));
    suite->world = audit_world_create(suite->directory);
    plant_people(suite->world);
    plant_clean(suite->world);
    plant_wash_and_circles(suite->world);
    plant_layers(suite->world, at(7, 15), 60000, true);
    plant_layers(suite->world, at(7, 30), 11 * 60000, true); /* long after the fill */
    plant_layers(suite->world, at(7, 45), 60000, false);     /* somebody else's fill */
    plant_withheld(suite->world);
    plant_replacement(suite->world);
    plant_late_layer(suite->world, at(8, 15));
    /* Past every gate and every proof's deadline. */
    audit_world_turn_at(suite->world, at(9, 0));
    audit_world_turn_at(suite->world, at(36, 0));
    audit_world_turn(suite->world, 1000);
    audit_world_finish(suite->world);
    suite->history = history_create();
    struct audit_options options = {.watch = history_watch, .watch_context = suite->history};
    suite->audit =
        audit_run(&suite->outcome, suite->directory, audit_world_genesis(suite->world), &options);
    assert_string_equal(suite->outcome.reason, "");
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
    snprintf(command, sizeof command, "rm -rf '%s'", suite->directory);
    assert_int_equal(system(command), 0);
    free(suite);
    return 0;
}

/* --- the history ----------------------------------------------------------------------------- */

static void test_history_agrees_with_the_state(void **state)
{
    struct suite *suite = *state;
    const struct state_base *base = audit_state(suite->audit);
    const struct market_history *history = suite->history;
    struct state_key counters_key = state_key_single(STATE_COUNTERS);
    struct counters_record counters;
    assert_true(history_read(base, &counters_key, &counters_record_codec, &counters));
    assert_int_equal(history->order_count, counters.orders);
    assert_int_equal(history->deal_count, counters.deals);
    for (size_t i = 0; i < history->order_count; i++) {
        const struct history_order *order = &history->orders[i];
        struct state_key key = state_key_u64(STATE_ORDER, i + 1);
        struct order_record record;
        assert_true(history_read(base, &key, &order_record_codec, &record));
        assert_int_equal(order->status, record.status);
        /* The record of an order that ended keeps what was open then. */
        assert_int_equal(energy_wh(order->open) + energy_wh(order->withdrawn) +
                             energy_wh(order->expired),
                         energy_wh(record.open));
        assert_int_equal(energy_wh(order->traded) + energy_wh(record.open),
                         energy_wh(record.quantity));
    }
    for (size_t i = 0; i < history->deal_count; i++) {
        struct state_key key = state_key_u64(STATE_DEAL, i + 1);
        struct deal_record record;
        assert_true(history_read(base, &key, &deal_record_codec, &record));
        assert_int_equal(history->deals[i].deal.state, record.state);
        assert_int_equal(money_ueur(history->deals[i].deal.refunded), money_ueur(record.refunded));
    }
}

static void test_fees_add_up_to_the_pool(void **state)
{
    struct suite *suite = *state;
    struct audit_totals totals;
    char reason[AUDIT_PROBLEM_SIZE];
    int64_t pool = 0;
    for (size_t i = 0; i < suite->history->fee_count; i++) {
        const struct history_fee *fee = &suite->history->fees[i];
        pool += fee->kind == MARKET_FEE_SPLIT ? -money_ueur(fee->amount) : money_ueur(fee->amount);
        assert_true(fee->kind == MARKET_FEE_DEAL || !name_is_empty(&fee->who));
    }
    assert_true(audit_totals(&totals, audit_state(suite->audit), reason));
    assert_int_equal(pool, money_ueur(totals.fees));
    assert_true(suite->history->fee_count > 50);
}

static void test_events_are_in_order_and_replacements_paired(void **state)
{
    struct suite *suite = *state;
    const struct market_history *history = suite->history;
    size_t replaced = 0;
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];
        const struct history_event *before = i > 0 ? event - 1 : NULL;
        assert_true(
            before == NULL || before->at.height < event->at.height ||
            (before->at.height == event->at.height && before->at.position <= event->at.position));
        if (event->kind == ORDER_EVENT_REPLACE) {
            const struct history_order *new = &history->orders[event->other - 1];
            assert_int_equal(energy_wh(event->quantity), 400);
            assert_int_equal(energy_wh(new->placed.quantity), 200);
            assert_int_equal(history->orders[event->order - 1].replaced_by, event->other);
            replaced++;
        }
    }
    assert_int_equal(replaced, 1);
}

/* --- concentration --------------------------------------------------------------------------- */

static const struct concentration *book_row(const struct surveillance *found, const char *market,
                                            int64_t start)
{
    struct name name = audit_world_name(market);
    for (size_t i = 0; i < found->concentration_count; i++) {
        const struct concentration *row = &found->concentrations[i];
        if (!row->all && name_compare(&row->market, &name) == 0 &&
            timestamp_ms(row->start) == start) {
            return row;
        }
    }
    fail();
    return NULL;
}

static void test_concentration(void **state)
{
    struct suite *suite = *state;
    struct surveillance_terms terms;
    struct surveillance found;
    surveillance_defaults(&terms);
    surveillance_run(&found, suite->history, &terms);
    /* 400 Wh each, all of one block, resting when the request came: 400, 400, 200 by lot. */
    const struct concentration *row = book_row(&found, "west", at(6, 0));
    assert_true(row->closed);
    assert_int_equal(row->suppliers, 3);
    assert_int_equal(row->requested_wh, 1000);
    assert_int_equal(row->offered_wh, 1200);
    assert_int_equal(row->traded_wh, 1000);
    assert_int_equal(row->hhi_offered, 3333);
    assert_int_equal(row->hhi_traded, 3600);
    assert_int_equal(row->rsi_permille, 800);
    assert_int_equal(row->pivotal, 3);
    assert_int_equal(row->rsi3_permille, 0);
    /* Eight devices of 40 kW for a quarter of an hour; the largest share is agg-b's two. */
    assert_int_equal(row->available_wh, 80000);
    assert_int_equal(row->rsi_available_permille, 60000);
    /* agg-a 10000, agg-c 1000 of 15000: nobody could replace either. */
    row = book_row(&found, "north", at(8, 30));
    assert_int_equal(row->hhi_offered, 8347); /* (10000^2 + 1000^2) / 11000^2 */
    assert_int_equal(row->rsi_permille, 66);
    assert_int_equal(row->pivotal, 2);
    assert_int_equal(row->rsi_available_permille, 666);
    surveillance_free(&found);
}

static void test_indices(void **state)
{
    static const int64_t one[] = {7}, four[] = {5, 5, 5, 5}, none[] = {0, 0};
    static const int64_t huge[] = {INT64_C(1) << 61, INT64_C(1) << 61};
    static const int64_t uneven[] = {50, 30, 20};
    (void)state;
    assert_int_equal(surveillance_hhi(one, 1), 10000);
    assert_int_equal(surveillance_hhi(four, 4), 2500);
    assert_int_equal(surveillance_hhi(uneven, 3), 3800);
    assert_int_equal(surveillance_hhi(none, 2), -1);
    assert_int_equal(surveillance_hhi(huge, 2), 5000);
    assert_int_equal(surveillance_rsi(1200, 400, 1000), 800);
    assert_int_equal(surveillance_rsi(1200, 0, 7), 171428);
    assert_int_equal(surveillance_rsi(1200, 0, 0), -1);
    assert_int_equal(surveillance_rsi(INT64_MAX, 0, 1), INT64_MAX);
}

/* --- patterns -------------------------------------------------------------------------------- */

static const struct finding *only(const struct surveillance *found, enum finding_kind kind,
                                  size_t expected)
{
    const struct finding *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < found->finding_count; i++) {
        if (found->findings[i].kind == kind) {
            first = first == NULL ? &found->findings[i] : first;
            count++;
        }
    }
    assert_int_equal(count, expected);
    return first;
}

static void is_in_book(const struct suite *suite, const struct finding *finding, int64_t start)
{
    assert_int_equal(timestamp_ms(suite->history->books[finding->book].start), start);
}

static void is_owner(const struct finding *finding, const char *owner)
{
    struct name name = audit_world_name(owner);
    assert_int_equal(name_compare(&finding->owner, &name), 0);
}

static void check_deals(const struct suite *suite, const struct surveillance *found)
{
    const struct finding *finding = only(found, FINDING_SAME_OWNER, 1);
    is_in_book(suite, finding, at(6, 15));
    is_owner(finding, "holding");
    assert_int_equal(finding->quantity_wh, 100);
    finding = only(found, FINDING_OWN_DEVICE, 1);
    is_in_book(suite, finding, at(6, 30));
    is_owner(finding, "twin");
    finding = only(found, FINDING_CIRCULAR, 1);
    is_in_book(suite, finding, at(6, 45));
    is_owner(finding, "ring-3");
    assert_int_equal(finding->path_count, 3);
    struct name last = audit_world_name("ring-3");
    assert_int_equal(name_compare(&finding->path[2], &last), 0);
}

static void check_conduct(const struct suite *suite, const struct surveillance *found)
{
    const struct finding *finding = only(found, FINDING_LAYERING, 2);
    is_in_book(suite, &finding[0], at(7, 15));
    is_owner(&finding[0], "layer");
    assert_int_equal(finding[0].side, SIDE_BUY);
    assert_int_equal(finding[0].count, 3);
    assert_int_equal(finding[0].late, 0);
    assert_int_equal(finding[0].quantity_wh, 1500);
    assert_int_equal(finding[0].against_wh, 100);
    assert_int_equal(finding[0].permille, 15000);
    is_in_book(suite, &finding[1], at(8, 15));
    assert_int_equal(finding[1].count, 1);
    assert_int_equal(finding[1].late, 1);
    finding = only(found, FINDING_WITHHELD, 1);
    is_in_book(suite, finding, at(8, 30));
    is_owner(finding, "agg-c");
    assert_int_equal(finding->quantity_wh, 9000);
    assert_int_equal(finding->against_wh, 4000);
    assert_int_equal(finding->permille, 900);
    assert_int_equal(finding->count, 1);
}

static void test_every_planted_pattern_and_nothing_else(void **state)
{
    struct suite *suite = *state;
    struct surveillance_owner owners[] = {{audit_world_name("agg-a"), audit_world_name("holding")},
                                          {audit_world_name("dso-2"), audit_world_name("holding")}};
    struct surveillance_terms terms;
    struct surveillance found;
    surveillance_defaults(&terms);
    terms.owners = owners;
    terms.owner_count = 2;
    surveillance_run(&found, suite->history, &terms);
    check_deals(suite, &found);
    check_conduct(suite, &found);
    assert_int_equal(found.finding_count, 6);
    surveillance_free(&found);
    /* Without the list nobody knows that the two are one. */
    terms.owner_count = 0;
    surveillance_run(&found, suite->history, &terms);
    only(&found, FINDING_SAME_OWNER, 0);
    assert_int_equal(found.finding_count, 5);
    surveillance_free(&found);
}

static void test_thresholds_decide(void **state)
{
    struct suite *suite = *state;
    struct surveillance_terms terms;
    struct surveillance found;
    surveillance_defaults(&terms);
    terms.cycle_window = duration_of(500); /* the ring took two seconds */
    terms.spoof_permille = 15000; /* exactly what the first one has; the late one has 5000 */
    terms.withheld_permille = 901;
    surveillance_run(&found, suite->history, &terms);
    only(&found, FINDING_CIRCULAR, 0);
    is_in_book(suite, only(&found, FINDING_LAYERING, 1), at(7, 15));
    only(&found, FINDING_WITHHELD, 0);
    surveillance_free(&found);
    surveillance_defaults(&terms);
    terms.spoof_window = duration_of(660000); /* the control was eleven minutes */
    surveillance_run(&found, suite->history, &terms);
    only(&found, FINDING_LAYERING, 3);
    surveillance_free(&found);
    surveillance_defaults(&terms);
    terms.from = timestamp_of(at(6, 30));
    terms.to = timestamp_of(at(6, 45));
    surveillance_run(&found, suite->history, &terms);
    only(&found, FINDING_OWN_DEVICE, 1);
    assert_int_equal(found.finding_count, 1);
    surveillance_free(&found);
}

static void test_conduct_counts_what_was_withdrawn(void **state)
{
    struct suite *suite = *state;
    struct surveillance_terms terms;
    struct surveillance found;
    struct name layer = audit_world_name("layer");
    bool seen = false;
    surveillance_defaults(&terms);
    surveillance_run(&found, suite->history, &terms);
    for (size_t i = 0; i < found.conduct_count; i++) {
        const struct conduct *conduct = &found.conducts[i];
        assert_int_equal(conduct->placed_wh,
                         conduct->traded_wh + conduct->withdrawn_wh + conduct->expired_wh);
        if (name_compare(&conduct->owner, &layer) == 0 && conduct->side == SIDE_BUY) {
            assert_int_equal(conduct->orders, 10);
            assert_int_equal(conduct->withdrawals, 10);
            assert_int_equal(conduct->late, 1);
            assert_int_equal(conduct->withdrawn_wh, 5000);
            seen = true;
        }
    }
    assert_true(seen);
    surveillance_free(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_agrees_with_the_state),
        cmocka_unit_test(test_fees_add_up_to_the_pool),
        cmocka_unit_test(test_events_are_in_order_and_replacements_paired),
        cmocka_unit_test(test_concentration),
        cmocka_unit_test(test_indices),
        cmocka_unit_test(test_every_planted_pattern_and_nothing_else),
        cmocka_unit_test(test_thresholds_decide),
        cmocka_unit_test(test_conduct_counts_what_was_withdrawn),
    };
    return cmocka_run_group_tests_name("surveillance", tests, set_up, tear_down);
}
