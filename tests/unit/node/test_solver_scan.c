/* What a solver reads of the state: the auctions that take solutions and no others, their problems only as
 * their records name them, its account, and when a solution is better than the chain's best. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/coupled.h"
#include "node/solver_scan.h"
#include "tests/lib/random.h"

enum { ENTRIES = 64, VALUE_ROOM = 4600, BIDS = 400, HOUR_MS = 3600000 };

/* A state in key order, a list that is walked. */
struct entry {
    struct state_key key;
    size_t size;
    uint8_t value[VALUE_ROOM];
};
static struct entry entries[ENTRIES];
static uint32_t entry_count;
static bool broken; /* nothing can be read */

static bool get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    (void)context;
    *found = false;
    for (uint32_t i = 0; i < entry_count; i++) {
        if (entries[i].key.size == key.size &&
            memcmp(entries[i].key.bytes, key.data, key.size) == 0) {
            *found = true;
            *value = bytes_view_of(entries[i].value, entries[i].size);
        }
    }
    return !broken;
}

static int compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static bool next(void *context, struct bytes_view prefix, struct bytes_view after, bool *found,
                 uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    (void)context;
    const struct entry *best = NULL;
    for (uint32_t i = 0; i < entry_count; i++) {
        const struct entry *entry = &entries[i];
        if (entry->key.size < prefix.size ||
            memcmp(entry->key.bytes, prefix.data, prefix.size) != 0)
            continue;
        if (after.size > 0 &&
            compare(entry->key.bytes, entry->key.size, after.data, after.size) <= 0)
            continue;
        if (best == NULL ||
            compare(entry->key.bytes, entry->key.size, best->key.bytes, best->key.size) < 0)
            best = entry;
    }
    *found = best != NULL;
    if (best != NULL) {
        memcpy(key_out, best->key.bytes, best->key.size);
        *key_size = best->key.size;
        *value = bytes_view_of(best->value, best->size);
    }
    return !broken;
}

static const struct state_base state = {.get = get, .next = next};

static struct name named(const char *text)
{
    struct name out;
    assert_true(name_from_text(&out, text, strlen(text)));
    return out;
}

static struct entry *put(const struct state_key *key, const struct codec_record *codec,
                         const void *record)
{
    struct entry *entry = &entries[entry_count++];
    struct byte_writer writer;
    assert_true(entry_count <= ENTRIES);
    entry->key = *key;
    byte_writer_init(&writer, entry->value, sizeof entry->value);
    if (codec != NULL)
        codec_encode(codec, record, &writer);
    assert_false(writer.failed);
    entry->size = writer.size;
    return entry;
}

static void put_due(uint8_t what, int64_t at, const struct name *market, int64_t start_ms,
                    uint8_t direction)
{
    struct state_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, STATE_COUPLED_DUE);
    byte_write_u8(&writer, what);
    byte_write_i64(&writer, at);
    byte_write_raw(&writer, market->text, NAME_SIZE);
    byte_write_i64(&writer, start_ms);
    byte_write_u8(&writer, direction);
    key.size = writer.size;
    (void)put(&key, NULL, NULL);
}

static uint8_t problem_bytes[1 << 16];
static size_t problem_size;

/* Enough bids that the problem takes several pages. */
static void make_problem(void)
{
    static struct coupled_bid bids[BIDS];
    static uint64_t orders[BIDS];
    struct name node = named("n1"), carrier = named("el");
    struct byte_writer writer;
    for (uint32_t i = 0; i < BIDS; i++) {
        bids[i] = (struct coupled_bid){
            .quantity = 100 + i, .price = 1000 + i, .agent = i % 10, .buy = i % 2 == 0};
        orders[i] = 7 + i;
    }
    struct coupled_auction_problem auction = {.problem = {.bid_count = BIDS,
                                                          .agent_count = 10,
                                                          .slot_count = 1,
                                                          .place_count = 1,
                                                          .bids = bids},
                                              .node_count = 1,
                                              .carrier_count = 1,
                                              .nodes = &node,
                                              .carriers = &carrier,
                                              .orders = orders,
                                              .binding = 1};
    byte_writer_init(&writer, problem_bytes, sizeof problem_bytes);
    coupled_problem_encode(&writer, &auction);
    assert_false(writer.failed);
    problem_size = writer.size;
    assert_true(problem_size > 2 * COUPLED_PAGE_BYTES);
}

static struct coupled_record make_record(uint8_t state_of)
{
    struct coupled_record record = {.state = state_of,
                                    .bids = BIDS,
                                    .fixed_height = 5,
                                    .closes_height = 15,
                                    .problem_bytes = (uint32_t)problem_size};
    coupled_problem_digest(&record.problem, bytes_view_of(problem_bytes, problem_size));
    return record;
}

static void put_auction(const char *market, int64_t start_ms, const struct coupled_record *record)
{
    struct name name = named(market);
    struct state_key key = state_key_coupled(STATE_COUPLED, &name, timestamp_of(start_ms), 0);
    (void)put(&key, &coupled_record_codec, record);
    put_due(record->state == COUPLED_OPEN ? 0 : 1, (int64_t)record->closes_height, &name, start_ms,
            0);
    for (uint32_t page = 0, at = 0; at < problem_size; page++) {
        size_t part =
            problem_size - at < COUPLED_PAGE_BYTES ? problem_size - at : COUPLED_PAGE_BYTES;
        struct coupled_page_record of = {bytes_view_of(problem_bytes + at, part)};
        key = state_key_coupled_page(&name, timestamp_of(start_ms), 0, COUPLED_PAGE_PROBLEM, page);
        (void)put(&key, &coupled_page_record_codec, &of);
        at += (uint32_t)part;
    }
}

static int clear(void **unused)
{
    (void)unused;
    entry_count = 0;
    broken = false;
    make_problem();
    return 0;
}

static void test_auctions_and_problem(void **unused)
{
    (void)unused;
    struct solver_auction found[SOLVER_SCAN_AUCTIONS_MAX];
    uint32_t count = 77;
    assert_true(solver_scan_auctions(found, &count, &state));
    assert_int_equal(count, 0);
    struct coupled_record record = make_record(COUPLED_SOLVING);
    struct coupled_record open = make_record(COUPLED_OPEN);
    record.closes_height = 18;
    put_auction("late", HOUR_MS, &record);
    record.closes_height = 16;
    put_auction("soon", 2 * HOUR_MS, &record);
    put_auction("open", HOUR_MS, &open);
    assert_true(solver_scan_auctions(found, &count, &state));
    assert_int_equal(count, 2);
    struct name soon = named("soon");
    assert_int_equal(name_compare(&found[0].market, &soon), 0);
    assert_int_equal(timestamp_ms(found[0].start), 2 * HOUR_MS);
    assert_int_equal(found[0].record.closes_height, 16);

    struct coupled_problem problem;
    void *memory = NULL;
    assert_true(solver_scan_problem(&problem, &memory, &found[0], &state));
    assert_int_equal(problem.bid_count, BIDS);
    assert_int_equal(problem.bids[BIDS - 1].price, 1000 + BIDS - 1);
    free(memory);
    broken = true;
    assert_false(solver_scan_auctions(found, &count, &state));
}

/* Any flipped bit, a page too few, a size too large: no problem, and nothing allocated. */
static void test_problems_that_are_not_the_record_s(void **unused)
{
    (void)unused;
    struct test_random random = {3};
    struct coupled_record record = make_record(COUPLED_SOLVING);
    struct solver_auction found[SOLVER_SCAN_AUCTIONS_MAX];
    struct coupled_problem problem;
    void *memory = NULL;
    uint32_t count;
    put_auction("m", HOUR_MS, &record);
    assert_true(solver_scan_auctions(found, &count, &state) && count == 1);
    for (uint32_t i = 0; i < entry_count; i++) {
        if (entries[i].key.bytes[0] != STATE_COUPLED_PAGE)
            continue;
        for (int flip = 0; flip < 20; flip++) {
            uint8_t *at = &entries[i].value[test_random_below(&random, entries[i].size)];
            *at ^= 4;
            assert_false(solver_scan_problem(&problem, &memory, &found[0], &state));
            *at ^= 4;
        }
    }
    found[0].record.problem_bytes++;
    assert_false(solver_scan_problem(&problem, &memory, &found[0], &state));
    found[0].record.problem_bytes = COUPLED_PROBLEM_BYTES_MAX + 1;
    assert_false(solver_scan_problem(&problem, &memory, &found[0], &state));
    found[0].record.problem_bytes = (uint32_t)problem_size;
    assert_true(solver_scan_problem(&problem, &memory, &found[0], &state));
    free(memory);
    entry_count--; /* the last page */
    assert_false(solver_scan_problem(&problem, &memory, &found[0], &state));
}

static void test_account(void **unused)
{
    (void)unused;
    struct solver_account account;
    struct public_key key = {{7}};
    assert_false(
        solver_scan_account(&account, &key, &state)); /* a state without parameters is none */
    struct params_record params = {.fee_per_tx = money_of(100),
                                   .fee_per_action = money_of(20),
                                   .tx_lifetime = duration_of(HOUR_MS),
                                   .validator_count = 0};
    struct state_key at = state_key_single(STATE_PARAMS);
    (void)put(&at, &params_record_codec, &params);
    assert_true(solver_scan_account(&account, &key, &state));
    assert_true(name_is_empty(&account.participant));
    assert_int_equal(money_ueur(account.fee), 120);
    struct key_record owner = {.participant = named("solver")};
    struct participant_record participant = {.key = key, .nonce = 41};
    at = state_key_hash(STATE_KEY, key.bytes);
    (void)put(&at, &key_record_codec, &owner);
    at = state_key_name(STATE_PARTICIPANT, &owner.participant);
    (void)put(&at, &participant_record_codec, &participant);
    assert_true(solver_scan_account(&account, &key, &state));
    assert_int_equal(name_compare(&account.participant, &owner.participant), 0);
    assert_int_equal(account.nonce, 41);
}

static void test_better(void **unused)
{
    (void)unused;
    struct coupled_record record = {
        .best = {.welfare = money_of(-2), .welfare_neur = 999, .gap_neur = 10}};
    static const struct {
        int64_t welfare; /* the chain's is -1001 */
        int64_t gap;
        bool better;
    } rows[] = {{-1000, 500, true}, {-1001, 9, true},  {-1001, 10, false},
                {-1001, 11, false}, {-1002, 0, false}, {5, INT64_MAX, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct coupled_claim claim = {.welfare = rows[i].welfare, .gap = rows[i].gap};
        assert_int_equal(solver_scan_is_better(&record, &claim), rows[i].better);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_auctions_and_problem, clear),
        cmocka_unit_test_setup(test_problems_that_are_not_the_record_s, clear),
        cmocka_unit_test_setup(test_account, clear),
        cmocka_unit_test_setup(test_better, clear),
    };
    if (!crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
