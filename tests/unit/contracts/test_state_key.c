/* State keys as bytes and as text: one key, one text, for every kind; and what is no id of a kind. */
#include <stdio.h>
#include <string.h>

#include "contracts/records.h"
#include "tests/lib/contracts/expect.h"

static struct name named(const char *text)
{
    struct name name;
    assert_true(name_from_text(&name, text, strlen(text)));
    return name;
}

#define HEX32 "0001020304050607000102030405060700010203040506070001020304050607"

static const struct {
    enum state_kind kind;
    const char *text;
} good[] = {
    {STATE_PARAMS, "params"},
    {STATE_SUPPLY, "supply"},
    {STATE_COUNTERS, "counters"},
    {STATE_CLOCK, "clock"},
    {STATE_PARTICIPANT, "dso"},
    {STATE_PARTICIPANT, "a23456789012345678901234"},
    {STATE_KEY, HEX32},
    {STATE_RECEIPT, HEX32},
    {STATE_POT, "balance/dso"},
    {STATE_POT, "fees"},
    {STATE_DEVICE, "battery.1"},
    {STATE_ENROLMENT, "battery.1/local"},
    {STATE_COMMITMENT, "battery.1/1735689600000/up"},
    {STATE_USED, "battery.1/-1/down"},
    {STATE_MARKET, "local"},
    {STATE_ORDER, "0"},
    {STATE_ORDER, "18446744073709551615"},
    {STATE_DEAL, "7"},
    {STATE_BOOK, "local/1735689600000/down/sell/5/6/7/8"},
    {STATE_DEADLINE, "1735689600000/255/9"},
    {STATE_BATCH, "meters/west/1735689600000"},
    {STATE_DIGEST, "20458"},
    {STATE_GOVERNANCE, "governance"},
    {STATE_PROPOSAL, "3"},
    {STATE_VALIDATOR, HEX32},
    {STATE_EVIDENCE, HEX32 "/2/17"},
    {STATE_POT, "market_reserve/local"},
    {STATE_TERMS, "local/4294967295"},
    {STATE_DRAFT, "local"},
    {STATE_CHANGE, "18446744073709551615/local"},
    {STATE_BOOK_SHARE, "local/1735689600000/up/dso"},
    {STATE_POT, "dispute_bond/7"},
    {STATE_POT, "dispute_bond/18446744073709551615"},
    {STATE_RESERVATION, "7"},
    {STATE_DISPUTE, "7"},
    {STATE_RELIABILITY, "agg"},
    {STATE_FINGERPRINT, "meters/west/1735689600000/0"},
    {STATE_AUCTION, "local/1735689600000/up"},
    {STATE_BOOK_GATE, "1735688700000/local/1735689600000/up"},
    {STATE_AUCTION_DUE, "1735688700000/local/1735689600000/up"},
    {STATE_AUCTION_BIDDER, "local/1735689600000/down/agg"},
    {STATE_AUCTION_TOTAL, "local"},
    {STATE_COUPLED, "local/1735689600000/up"},
    {STATE_COUPLED_DUE, "gate/1735688700000/local/1735689600000/up"},
    {STATE_COUPLED_DUE, "window/17/local/1735689600000/up"},
    {STATE_COUPLED_PAGE, "local/1735689600000/up/solution/3"},
    {STATE_COUPLED_SOLVER, "local/1735689600000/up/agg"},
    {STATE_COUPLED_BID, "7"},
    {STATE_PORTFOLIO, "7"},
    {STATE_COUPLED_SIDE, "local/1735689600000/up/heat/agg"},
    {STATE_NETWORK_LINE, "west/line-1"},
    {STATE_NETWORK_ROW, "west/v-min-1"},
    {STATE_ALIAS, "a-0f3c"},
    {STATE_IMMEDIATE, "local/1735689600000/up/7"},
    {STATE_FORECAST, "agg/pv-west/1735689600000/3"},
    {STATE_DISPATCH, "battery.1/1735689600000/0"},
    {STATE_CAPACITY, "west/trafo-1/1735689600000"},
    {STATE_NETWORK, "west"},
    {STATE_NETWORK_NODE, "west/trafo-1"},
    {STATE_ALLOCATION, "7"},
    {STATE_HOLDING, "ev-3/1735689600000/down"},
    {STATE_CLEARING, "1735689600000/local/1735693200000/up"},
};

static void test_text_there_and_back(void **state)
{
    (void)state;
    bool covered[STATE_KIND_LIMIT] = {false};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct state_key key;
        char text[256];
        assert_true(state_key_from_text(&key, good[i].kind, good[i].text));
        assert_int_equal(good[i].kind, key.bytes[0]);
        struct bytes_view view = bytes_view_of(key.bytes, key.size);
        assert_true(state_key_to_text(text, sizeof text, good[i].kind, view));
        assert_string_equal(good[i].text, text);
        /* Room for exactly the text and its end, and not for one byte less. */
        size_t needed = strlen(good[i].text) + 1;
        assert_true(state_key_to_text(text, needed, good[i].kind, view));
        assert_false(state_key_to_text(text, needed - 1, good[i].kind, view));
        /* Cut, padded, or of another kind, it is no such key. */
        for (size_t size = 0; size < key.size; size++)
            assert_false(
                state_key_to_text(text, sizeof text, good[i].kind, bytes_view_of(key.bytes, size)));
        assert_false(state_key_to_text(text, sizeof text, good[i].kind,
                                       bytes_view_of(key.bytes, key.size + 1)));
        key.bytes[0] ^= 0x40;
        assert_false(state_key_to_text(text, sizeof text, good[i].kind, view));
        covered[good[i].kind] = true;
    }
    for (unsigned kind = 0; kind < STATE_KIND_LIMIT; kind++)
        if (state_kind_info((enum state_kind)kind) != NULL && kind != STATE_BOOK_SIZE &&
            kind != STATE_BOOK_LATE)
            assert_true(covered[kind]);
}

/* The pots of orders and deals stand in their records: no key of theirs has a text. */
static void test_pots_without_records_have_no_text(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < POT_KIND_COUNT; kind++) {
        const uint8_t key[2 + POT_ID_SIZE] = {STATE_POT, kind};
        char text[128];
        bool by_number = kind != POT_BALANCE && kind != POT_MARKET_RESERVE;
        assert_int_equal(
            state_key_to_text(text, sizeof text, STATE_POT, bytes_view_of(key, sizeof key)),
            by_number && pot_kind_has_record((enum pot_kind)kind));
    }
}

static void test_no_such_id(void **state)
{
    (void)state;
    static const struct {
        enum state_kind kind;
        const char *text;
    } bad[] = {
        {STATE_PARTICIPANT, ""},
        {STATE_PARTICIPANT, "DSO"},
        {STATE_PARTICIPANT, "-dso"},
        {STATE_PARTICIPANT, "dso/"},
        {STATE_PARTICIPANT, "/dso"},
        {STATE_PARTICIPANT, "dso/x"},
        {STATE_PARTICIPANT, "a234567890123456789012345"},
        {STATE_PARAMS, "supply"},
        {STATE_PARAMS, "params/"},
        {STATE_KEY, "00"},
        {STATE_KEY, HEX32 "00"},
        {STATE_KEY, "000102030405060700010203040506070001020304050607000102030405060G"},
        {STATE_KEY, "000102030405060700010203040506070001020304050607000102030405060A"},
        {STATE_POT, "balance"},
        {STATE_POT, "balance/"},
        {STATE_POT, "balance/DSO"},
        {STATE_POT, "fees/0"},
        {STATE_POT, "dispute_bond/x"},
        {STATE_POT, "dispute_bond/-1"},
        {STATE_POT, "escrow/1"},
        {STATE_POT, "dispute_bond/1/2"},
        /* They stand in the order and the deal. */
        {STATE_POT, "order_escrow/1"},
        {STATE_POT, "deal_escrow/1"},
        {STATE_POT, "deal_deposit/1"},
        {STATE_ORDER, "-1"},
        {STATE_ORDER, "01"},
        {STATE_ORDER, "+1"},
        {STATE_ORDER, " 1"},
        {STATE_ORDER, "18446744073709551616"},
        {STATE_ORDER, "1/2"},
        {STATE_COMMITMENT, "battery/1/sideways"},
        {STATE_COMMITMENT, "battery/9223372036854775808/up"},
        {STATE_COMMITMENT, "battery/1"},
        {STATE_DEADLINE, "1/256/9"},
        {STATE_BATCH, "meters//1"},
        {STATE_BOOK, "a/1/up/buy/1/1/1/1/1"},
        {(enum state_kind)0, "x"},
        {(enum state_kind)STATE_KIND_LIMIT, "x"},
        {STATE_POT, "market_reserve/1/2"},
        {STATE_POT, "market_reserve"},
        {STATE_TERMS, "west/4294967296"},
        {STATE_TERMS, "west"},
        {STATE_CHANGE, "west/1"},
        {STATE_BOOK_SHARE, "west/1/up"},
        {(enum state_kind)63, "x"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct state_key key;
        if (state_key_from_text(&key, bad[i].kind, bad[i].text))
            fail_msg("\"%s\" was taken for an id of kind %d", bad[i].text, (int)bad[i].kind);
    }
}

/* The makers that contracts use and the text must name the same key. */
static void test_makers_agree_with_text(void **state)
{
    (void)state;
    struct name dso = named("dso");
    struct name battery = named("battery.1");
    struct name local = named("local");
    struct name meters = named("meters");
    struct name west = named("west");
    struct timestamp time = timestamp_of(1735689600000);
    uint8_t bytes[32];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 8);
    const struct {
        enum state_kind kind;
        const char *text;
        struct state_key key;
    } rows[] = {
        {STATE_PARAMS, "", state_key_single(STATE_PARAMS)},
        {STATE_PARTICIPANT, "dso", state_key_name(STATE_PARTICIPANT, &dso)},
        {STATE_KEY, HEX32, state_key_hash(STATE_KEY, bytes)},
        {STATE_ORDER, "7", state_key_u64(STATE_ORDER, 7)},
        {STATE_POT, "balance/dso", state_key_pot(POT_BALANCE, &dso, 0)},
        {STATE_POT, "dispute_bond/7", state_key_pot(POT_DISPUTE_BOND, NULL, 7)},
        {STATE_POT, "fees", state_key_pot(POT_FEES, NULL, 0)},
        {STATE_POT, "market_reserve/west", state_key_pot(POT_MARKET_RESERVE, &west, 0)},
        {STATE_TERMS, "west/3", state_key_terms(&west, 3)},
        {STATE_DRAFT, "west", state_key_name(STATE_DRAFT, &west)},
        {STATE_CHANGE, "77/west", state_key_change(77, &west)},
        {STATE_ENROLMENT, "battery.1/local", state_key_pair(STATE_ENROLMENT, &battery, &local)},
        {STATE_COMMITMENT, "battery.1/1735689600000/down",
         state_key_unit(STATE_COMMITMENT, &battery, time, DIRECTION_DOWN)},
        {STATE_BATCH, "meters/west/1735689600000", state_key_batch(&meters, &west, time)},
        {STATE_DIGEST, "20089", state_key_day(20089)},
        {STATE_DEADLINE, "1735689600000/2/7", state_key_deadline(time, 2, 7)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct state_key key;
        assert_true(state_key_from_text(&key, rows[i].kind, rows[i].text));
        assert_int_equal(rows[i].key.size, key.size);
        assert_memory_equal(rows[i].key.bytes, key.bytes, key.size);
    }
}

static void test_order_of_keys_is_order_of_numbers(void **state)
{
    (void)state;
    static const uint64_t ids[] = {0, 1, 255, 256, 65536, UINT64_MAX};
    for (size_t i = 1; i < sizeof ids / sizeof ids[0]; i++) {
        struct state_key a = state_key_u64(STATE_ORDER, ids[i - 1]);
        struct state_key b = state_key_u64(STATE_ORDER, ids[i]);
        assert_true(memcmp(a.bytes, b.bytes, a.size) < 0);
    }
    struct state_key sooner = state_key_deadline(timestamp_of(1000), 255, UINT64_MAX);
    struct state_key later = state_key_deadline(timestamp_of(1001), 0, 0);
    assert_true(memcmp(sooner.bytes, later.bytes, sooner.size) < 0);
}

static void test_kinds_by_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STATE_KIND_LIMIT; i++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)i);
        if (info == NULL)
            continue;
        assert_int_equal(i, info->kind);
        assert_ptr_equal(info, state_kind_by_name(info->name));
        assert_ptr_equal(info, state_kind_by_name(info->plural));
    }
    assert_null(state_kind_by_name("widgets"));
    assert_null(state_kind_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_there_and_back),
        cmocka_unit_test(test_pots_without_records_have_no_text),
        cmocka_unit_test(test_no_such_id),
        cmocka_unit_test(test_makers_agree_with_text),
        cmocka_unit_test(test_order_of_keys_is_order_of_numbers),
        cmocka_unit_test(test_kinds_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
