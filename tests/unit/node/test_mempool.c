/* The mempool: nonce order, fairness between senders, limits, what a commit and the time drop, and a
 * long random run beside a slow model of the whole order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/mempool.h"
#include "tests/lib/random.h"

enum { ENVELOPE = 100 };

/* A transaction as far as the mempool looks at it; its envelope names sender and nonce. */
static struct transaction make(uint8_t envelope[ENVELOPE], uint8_t sender, uint64_t nonce,
                               int64_t valid_until)
{
    struct transaction transaction;
    memset(&transaction, 0, sizeof transaction);
    memset(envelope, 0, ENVELOPE);
    envelope[0] = sender;
    memcpy(envelope + 1, &nonce, sizeof nonce);
    memcpy(envelope + 9, &valid_until, sizeof valid_until);
    memset(transaction.sender.bytes, sender, PUBLIC_KEY_SIZE);
    transaction.nonce = nonce;
    transaction.valid_until = timestamp_of(valid_until);
    transaction.envelope = bytes_view_of(envelope, ENVELOPE);
    hash_bytes(&transaction.id, HASH_DOMAIN_TX_ID, envelope, ENVELOPE);
    return transaction;
}

static struct mempool *create(size_t bytes_max, size_t per_sender)
{
    const struct mempool_limits limits = {bytes_max, per_sender};
    struct mempool *mempool = mempool_create(&limits);
    assert_non_null(mempool);
    return mempool;
}

static enum contract_error add(struct mempool *mempool, uint8_t sender, uint64_t nonce)
{
    uint8_t envelope[ENVELOPE];
    const struct transaction transaction = make(envelope, sender, nonce, 1000);
    return mempool_add(mempool, &transaction);
}

/* The next candidate is that sender's that nonce. */
static void expect_next(struct mempool *mempool, uint8_t sender, uint64_t nonce)
{
    struct bytes_view envelope;
    uint64_t found = 0;
    assert_true(mempool_walk_next(mempool, &envelope));
    assert_int_equal(envelope.size, ENVELOPE);
    assert_int_equal(envelope.data[0], sender);
    memcpy(&found, envelope.data + 1, sizeof found);
    assert_int_equal(found, nonce);
}

static void expect_end(struct mempool *mempool)
{
    struct bytes_view envelope;
    assert_false(mempool_walk_next(mempool, &envelope));
    assert_false(mempool_walk_next(mempool, &envelope));
}

static void test_rounds_are_fair_and_in_nonce_order(void **state)
{
    (void)state;
    struct mempool *mempool = create(0, 0);
    /* 2 comes first, floods, and out of order; then 1 and 3. */
    assert_int_equal(add(mempool, 2, 7), CONTRACT_OK);
    assert_int_equal(add(mempool, 2, 5), CONTRACT_OK);
    assert_int_equal(add(mempool, 2, 6), CONTRACT_OK);
    assert_int_equal(add(mempool, 1, 1), CONTRACT_OK);
    assert_int_equal(add(mempool, 3, 9), CONTRACT_OK);
    assert_int_equal(add(mempool, 1, 2), CONTRACT_OK);
    for (int again = 0; again < 2; again++) {
        mempool_walk_begin(mempool);
        expect_next(mempool, 2, 5);
        expect_next(mempool, 1, 1);
        expect_next(mempool, 3, 9);
        expect_next(mempool, 2, 6);
        expect_next(mempool, 1, 2);
        expect_next(mempool, 2, 7);
        expect_end(mempool);
    }
    mempool_destroy(mempool);
}

static void test_a_skipped_sender_is_out_of_the_walk(void **state)
{
    (void)state;
    struct mempool *mempool = create(0, 0);
    for (uint64_t nonce = 1; nonce <= 3; nonce++) {
        for (uint8_t sender = 1; sender <= 3; sender++) {
            assert_int_equal(add(mempool, sender, nonce), CONTRACT_OK);
        }
    }
    mempool_walk_begin(mempool);
    expect_next(mempool, 1, 1);
    expect_next(mempool, 2, 1);
    mempool_walk_skip_sender(mempool);
    expect_next(mempool, 3, 1);
    expect_next(mempool, 1, 2);
    mempool_walk_skip_sender(mempool);
    expect_next(mempool, 3, 2);
    expect_next(mempool, 3, 3);
    mempool_walk_skip_sender(mempool);
    expect_end(mempool);
    mempool_walk_begin(mempool);
    expect_next(mempool, 1, 1);
    mempool_destroy(mempool);
}

static void test_copies_and_rivals_are_refused(void **state)
{
    (void)state;
    struct mempool *mempool = create(0, 0);
    uint8_t envelope[ENVELOPE];
    const struct transaction rival = make(envelope, 1, 1, 2000);
    assert_int_equal(add(mempool, 1, 1), CONTRACT_OK);
    assert_int_equal(add(mempool, 1, 1), CONTRACT_EXISTS_ALREADY);
    assert_int_equal(mempool_add(mempool, &rival), CONTRACT_TX_NONCE_USED);
    assert_false(mempool_has(mempool, &rival.id));
    assert_int_equal(mempool_count(mempool), 1);
    mempool_forget(mempool, &rival.sender, 1);
    assert_int_equal(mempool_add(mempool, &rival), CONTRACT_OK);
    assert_true(mempool_has(mempool, &rival.id));
    mempool_destroy(mempool);
}

static void test_limits_hold(void **state)
{
    (void)state;
    struct mempool *mempool = create(8000, 3000);
    uint64_t nonce = 1;
    while (add(mempool, 1, nonce) == CONTRACT_OK) {
        nonce++;
    }
    assert_true(nonce > 5 && nonce < 30);
    assert_int_equal(add(mempool, 1, nonce), CONTRACT_MEMPOOL_FULL);
    /* The flood leaves room for the others, until all is full. */
    uint8_t sender = 2;
    while (add(mempool, sender, 1) == CONTRACT_OK) {
        sender++;
        assert_true(mempool_bytes(mempool) <= 8000);
    }
    assert_true(sender > 5);
    const size_t full = mempool_count(mempool);
    assert_int_equal(add(mempool, sender, 1), CONTRACT_MEMPOOL_FULL);
    assert_int_equal(mempool_count(mempool), full);
    struct public_key key;
    memset(key.bytes, 1, sizeof key.bytes);
    mempool_forget(mempool, &key, nonce);
    assert_int_equal(add(mempool, sender, 1), CONTRACT_OK);
    mempool_destroy(mempool);
}

/* Eight senders fill the pool with nonces that never come up; the others get in all the same. */
static void test_a_flood_keeps_nobody_out(void **state)
{
    (void)state;
    enum { FLOODERS = 8, HONEST = 4 };
    struct mempool *mempool = create(24000, 3000);
    uint64_t nonces[FLOODERS] = {0};
    uint64_t refused = 0;
    for (uint8_t s = 0; refused < FLOODERS; s = (uint8_t)((s + 1) % FLOODERS)) {
        refused = add(mempool, s, 5 + nonces[s]) == CONTRACT_OK ? 0 : refused + 1;
        nonces[s] += refused == 0 ? 1 : 0;
    }
    const size_t flooded = mempool_count(mempool);
    assert_true(mempool_bytes(mempool) > 24000 - 500);
    for (uint8_t s = 100; s < 100 + HONEST; s++) {
        for (uint64_t nonce = 1; nonce <= 3; nonce++) {
            assert_int_equal(add(mempool, s, nonce), CONTRACT_OK);
            assert_true(mempool_bytes(mempool) <= 24000);
        }
    }
    assert_true(mempool_count(mempool) <= flooded);
    /* Those who hold most don't get it back, and what they lost were their last nonces. */
    for (uint8_t s = 0; s < FLOODERS; s++) {
        assert_int_equal(add(mempool, s, 5 + nonces[s]), CONTRACT_MEMPOOL_FULL);
    }
    size_t kept[256] = {0};
    struct bytes_view envelope;
    mempool_walk_begin(mempool);
    while (mempool_walk_next(mempool, &envelope)) {
        uint64_t nonce = 0;
        const uint8_t s = envelope.data[0];
        memcpy(&nonce, envelope.data + 1, sizeof nonce);
        assert_int_equal(nonce, (s < FLOODERS ? 5 : 1) + kept[s]);
        kept[s]++;
    }
    for (uint8_t s = 100; s < 100 + HONEST; s++) {
        assert_int_equal(kept[s], 3);
    }
    for (uint8_t s = 0; s < FLOODERS; s++) {
        assert_true(kept[s] >= 3 && kept[s] <= nonces[s]);
    }
    mempool_destroy(mempool);
}

static void test_the_depth_of_a_gap_is_bounded(void **state)
{
    (void)state;
    struct mempool *mempool = create(0, 0);
    assert_int_equal(add(mempool, 1, 10), CONTRACT_OK);
    assert_int_equal(add(mempool, 1, 10 + MEMPOOL_NONCE_DEPTH - 1), CONTRACT_OK);
    assert_int_equal(add(mempool, 1, 10 + MEMPOOL_NONCE_DEPTH), CONTRACT_MEMPOOL_FULL);
    assert_int_equal(add(mempool, 1, 9), CONTRACT_MEMPOOL_FULL);
    assert_int_equal(add(mempool, 1, UINT64_MAX), CONTRACT_MEMPOOL_FULL);
    assert_int_equal(add(mempool, 2, UINT64_MAX), CONTRACT_OK);
    mempool_destroy(mempool);
}

static void test_the_time_drops_what_has_expired(void **state)
{
    (void)state;
    struct mempool *mempool = create(0, 0);
    uint8_t envelope[ENVELOPE];
    struct test_random random = {.state = 5};
    for (uint8_t sender = 1; sender <= 100; sender++) {
        const struct transaction one =
            make(envelope, sender, 1, (int64_t)test_random_below(&random, 50));
        assert_int_equal(mempool_add(mempool, &one), CONTRACT_OK);
    }
    for (int64_t time = 0; time <= 50; time++) {
        struct bytes_view found;
        size_t count = 0;
        mempool_expire(mempool, timestamp_of(time));
        mempool_walk_begin(mempool);
        while (mempool_walk_next(mempool, &found)) {
            int64_t valid_until = 0;
            memcpy(&valid_until, found.data + 9, sizeof valid_until);
            /* Still good in a block of the very time that it names. */
            assert_true(valid_until >= time);
            count++;
        }
        assert_int_equal(count, mempool_count(mempool));
    }
    assert_int_equal(mempool_count(mempool), 0);
    assert_int_equal(mempool_bytes(mempool), 0);
    mempool_destroy(mempool);
}

static enum contract_error bid(struct mempool *mempool, uint64_t nonce, int64_t limit,
                               int64_t until)
{
    uint8_t envelope[ENVELOPE];
    struct transaction one = make(envelope, 1, nonce, until);
    one.fee_limit = money_of(limit);
    return mempool_add(mempool, &one);
}

static void test_replacement(void **state)
{
    (void)state;
    static const struct {
        int64_t waiting;
        int64_t limit;
        enum contract_error expected;
    } rows[] = {
        {1000, 1000, CONTRACT_TX_NONCE_USED},
        {1000, 1249, CONTRACT_TX_NONCE_USED},
        {1000, 1250, CONTRACT_OK},
        {1000, 1, CONTRACT_TX_NONCE_USED},
        {0, 0, CONTRACT_TX_NONCE_USED},
        {0, 1, CONTRACT_OK},
        {3, 3, CONTRACT_TX_NONCE_USED},
        {3, 4, CONTRACT_OK},
        {4, 5, CONTRACT_OK},
        {8, 9, CONTRACT_TX_NONCE_USED},
        {INT64_MAX, INT64_MAX, CONTRACT_TX_NONCE_USED},
        {INT64_MAX / 2, INT64_MAX, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mempool *mempool = create(0, 0);
        assert_int_equal(bid(mempool, 1, 5, 1000), CONTRACT_OK);
        assert_int_equal(bid(mempool, 2, rows[i].waiting, 1000), CONTRACT_OK);
        assert_int_equal(bid(mempool, 3, 5, 1000), CONTRACT_OK);
        const size_t bytes = mempool_bytes(mempool);
        assert_int_equal(bid(mempool, 2, rows[i].limit, 999), rows[i].expected);
        assert_int_equal(mempool_count(mempool), 3);
        assert_int_equal(mempool_bytes(mempool), bytes);
        int64_t until = 0;
        struct bytes_view found;
        mempool_walk_begin(mempool);
        expect_next(mempool, 1, 1);
        assert_true(mempool_walk_next(mempool, &found));
        memcpy(&until, found.data + 9, sizeof until);
        assert_int_equal(until, rows[i].expected == CONTRACT_OK ? 999 : 1000);
        expect_next(mempool, 1, 3);
        expect_end(mempool);
        mempool_destroy(mempool);
    }
    /* A nonce is fought over a bounded number of times, whatever the steps. */
    struct mempool *mempool = create(0, 0);
    int64_t limit = 0;
    int taken = 0;
    assert_int_equal(bid(mempool, 1, limit, 1000), CONTRACT_OK);
    while (limit < INT64_MAX - limit / MEMPOOL_OUTBID_SHARE - 1) {
        limit += limit / MEMPOOL_OUTBID_SHARE > 0 ? limit / MEMPOOL_OUTBID_SHARE : 1;
        assert_int_equal(bid(mempool, 1, limit, 1001 + taken), CONTRACT_OK);
        taken++;
    }
    assert_true(taken > 100 && taken < 250);
    assert_int_equal(bid(mempool, 1, INT64_MAX, 5000), CONTRACT_TX_NONCE_USED);
    assert_int_equal(mempool_count(mempool), 1);
    mempool_destroy(mempool);
}

/* Ten senders with a thousand each; blocks take twenty. Whoever comes anew stands in the next block, or in
 * the one after, and so does one who comes again and again. */
static void test_a_newcomer_waits_for_one_of_each(void **state)
{
    (void)state;
    enum { FLOODERS = 10, DEPTH = 1000, BLOCK = 20, BLOCKS = 60 };
    struct mempool *mempool = create(0, 0);
    uint64_t taken[256] = {0};
    for (uint64_t nonce = 1; nonce <= DEPTH; nonce++) {
        for (uint8_t s = 1; s <= FLOODERS; s++) {
            assert_int_equal(add(mempool, s, nonce), CONTRACT_OK);
        }
    }
    uint64_t newcomer = 0;
    for (int block = 0; block < BLOCKS; block++) {
        if (block >= 5 && taken[100] == newcomer) {
            assert_int_equal(add(mempool, 100, ++newcomer), CONTRACT_OK);
        }
        uint64_t up_to[256] = {0};
        struct bytes_view found;
        mempool_walk_begin(mempool);
        for (int i = 0; i < BLOCK; i++) {
            assert_true(mempool_walk_next(mempool, &found));
            memcpy(&up_to[found.data[0]], found.data + 1, sizeof up_to[0]);
        }
        assert_true(block < 5 || up_to[100] == newcomer);
        for (unsigned s = 0; s < 256; s++) {
            struct public_key key;
            memset(key.bytes, (int)s, sizeof key.bytes);
            if (up_to[s] > 0) {
                mempool_forget(mempool, &key, up_to[s]);
                taken[s] = up_to[s];
            }
        }
    }
    assert_int_equal(taken[100], BLOCKS - 5);
    for (uint8_t s = 1; s <= FLOODERS; s++) {
        for (uint8_t other = 1; other <= FLOODERS; other++) {
            assert_true(taken[s] <= taken[other] + 1);
        }
    }
    mempool_destroy(mempool);
}

/* --- a long run beside a model that searches all of it for whoever is next ------------------------- */

enum { SENDERS = 6, NONCES = 40, LEAST_SIZE = 20, MOST_SIZE = 4000 };

struct model {
    uint64_t served;
    uint64_t arrivals;
    bool present[SENDERS];
    uint64_t tag[SENDERS];
    struct waiting {
        bool waits;
        int64_t valid_until;
        int64_t fee_limit;
        uint64_t arrival;
        size_t size;
    } waiting[SENDERS][NONCES];
};

static bool has_some(const struct model *model, int s)
{
    for (int n = 0; n < NONCES; n++) {
        if (model->waiting[s][n].waits) {
            return true;
        }
    }
    return false;
}

static void note_presence(struct model *model)
{
    for (int s = 0; s < SENDERS; s++) {
        const bool now = has_some(model, s);
        if (now && !model->present[s]) {
            model->tag[s] = model->served;
        }
        model->present[s] = now;
    }
}

static int first_from(const struct model *model, int s, int from)
{
    while (from < NONCES && !model->waiting[s][from].waits) {
        from++;
    }
    return from;
}

/* The whole order of a walk, each time the smallest of all. */
static void compare(struct mempool *mempool, struct model *model)
{
    int next[SENDERS];
    uint64_t tag[SENDERS];
    struct bytes_view envelope;
    size_t count = 0;
    for (int s = 0; s < SENDERS; s++) {
        const uint64_t least =
            model->served > MEMPOOL_LAG_BYTES ? model->served - MEMPOOL_LAG_BYTES : 0;
        model->tag[s] = model->tag[s] < least ? least : model->tag[s];
        tag[s] = model->tag[s];
        next[s] = first_from(model, s, 0);
    }
    mempool_walk_begin(mempool);
    for (;;) {
        int best = -1;
        for (int s = 0; s < SENDERS; s++) {
            if (next[s] == NONCES) {
                continue;
            }
            if (best < 0 || tag[s] < tag[best] ||
                (tag[s] == tag[best] &&
                 model->waiting[s][next[s]].arrival < model->waiting[best][next[best]].arrival)) {
                best = s;
            }
        }
        if (best < 0) {
            break;
        }
        uint64_t nonce = 0;
        const struct waiting *expected = &model->waiting[best][next[best]];
        assert_true(mempool_walk_next(mempool, &envelope));
        memcpy(&nonce, envelope.data + 1, sizeof nonce);
        assert_int_equal(envelope.data[0], best);
        assert_int_equal(nonce, next[best]);
        assert_int_equal(envelope.size, expected->size);
        tag[best] += expected->size;
        next[best] = first_from(model, best, next[best] + 1);
        count++;
    }
    assert_false(mempool_walk_next(mempool, &envelope));
    assert_int_equal(mempool_count(mempool), count);
}

static void model_forget(struct model *model, int s, uint64_t up_to)
{
    for (uint64_t i = 0; i <= up_to; i++) {
        if (!model->waiting[s][i].waits) {
            continue;
        }
        model->waiting[s][i].waits = false;
        model->served = model->tag[s] > model->served ? model->tag[s] : model->served;
        model->tag[s] += model->waiting[s][i].size;
    }
}

static void add_one(struct mempool *mempool, struct model *model, struct test_random *random,
                    uint8_t s, uint64_t n, int64_t until)
{
    uint8_t envelope[MOST_SIZE] = {0};
    struct transaction one = make(envelope, s, n, until);
    struct waiting *waiting = &model->waiting[s][n];
    const size_t size = LEAST_SIZE + test_random_below(random, MOST_SIZE - LEAST_SIZE);
    const int64_t limit = (int64_t)test_random_below(random, 50);
    memcpy(envelope + 17, &size, 2);
    envelope[19] = (uint8_t)limit;
    one.envelope = bytes_view_of(envelope, size);
    one.fee_limit = money_of(limit);
    hash_bytes(&one.id, HASH_DOMAIN_TX_ID, envelope, size);
    const bool same = waiting->waits && waiting->valid_until == until && waiting->size == size &&
                      waiting->fee_limit == limit;
    /* A quarter more: 4 times the new one is at least 5 times the old one, less what division drops. */
    const int64_t step = waiting->fee_limit / 4 > 1 ? waiting->fee_limit / 4 : 1;
    const bool outbids = limit >= waiting->fee_limit + step;
    const enum contract_error expected = same                         ? CONTRACT_EXISTS_ALREADY
                                         : waiting->waits && !outbids ? CONTRACT_TX_NONCE_USED
                                                                      : CONTRACT_OK;
    assert_int_equal(mempool_add(mempool, &one), expected);
    assert_true(mempool_has(mempool, &one.id) == (expected != CONTRACT_TX_NONCE_USED));
    if (expected == CONTRACT_OK) {
        *waiting = (struct waiting){.waits = true,
                                    .valid_until = until,
                                    .fee_limit = limit,
                                    .arrival = model->arrivals++,
                                    .size = size};
    }
}

static void random_step(struct mempool *mempool, struct model *model, struct test_random *random,
                        int64_t *time)
{
    const uint8_t s = (uint8_t)test_random_below(random, SENDERS);
    const uint64_t n = test_random_below(random, NONCES);
    const int64_t until = *time + (int64_t)test_random_below(random, 200);
    const uint64_t what = test_random_below(random, 20);
    struct public_key key;
    memset(key.bytes, s, sizeof key.bytes);
    if (what == 0) {
        mempool_forget(mempool, &key, n);
        model_forget(model, s, n);
    } else if (what == 1) {
        *time += (int64_t)test_random_below(random, 30);
        mempool_expire(mempool, timestamp_of(*time));
        for (int i = 0; i < SENDERS; i++) {
            for (int k = 0; k < NONCES; k++) {
                model->waiting[i][k].waits =
                    model->waiting[i][k].waits && model->waiting[i][k].valid_until >= *time;
            }
        }
    } else {
        add_one(mempool, model, random, s, n, until);
    }
    note_presence(model);
}

static void test_a_long_random_run(void **state)
{
    (void)state;
    static struct model model;
    struct mempool *mempool = create(0, 0);
    struct test_random random = {.state = 11};
    int64_t time = 0;
    memset(&model, 0, sizeof model);
    for (int step = 0; step < 12000; step++) {
        random_step(mempool, &model, &random, &time);
        if (step % 20 == 0) {
            compare(mempool, &model);
        }
    }
    assert_true(model.served > MEMPOOL_LAG_BYTES);
    mempool_destroy(mempool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_are_fair_and_in_nonce_order),
        cmocka_unit_test(test_a_skipped_sender_is_out_of_the_walk),
        cmocka_unit_test(test_copies_and_rivals_are_refused),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_a_flood_keeps_nobody_out),
        cmocka_unit_test(test_the_depth_of_a_gap_is_bounded),
        cmocka_unit_test(test_the_time_drops_what_has_expired),
        cmocka_unit_test(test_replacement),
        cmocka_unit_test(test_a_newcomer_waits_for_one_of_each),
        cmocka_unit_test(test_a_long_random_run),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
