/* The mempool: nonce order, fairness between senders, limits, what a commit and the time drop, and a
 * long random run against invariants that are counted the slow way. */
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

/* --- a long run --------------------------------------------------------------------------------- */

enum { SENDERS = 6, NONCES = 40 };

struct model {
    bool waits[SENDERS][NONCES];
    int64_t valid_until[SENDERS][NONCES];
};

static void compare(struct mempool *mempool, const struct model *model)
{
    uint64_t last[SENDERS] = {0};
    uint32_t seen[SENDERS] = {0};
    struct bytes_view envelope;
    size_t expected = 0;
    size_t count = 0;
    for (int s = 0; s < SENDERS; s++) {
        for (int n = 0; n < NONCES; n++) {
            expected += model->waits[s][n] ? 1 : 0;
        }
    }
    assert_int_equal(mempool_count(mempool), expected);
    mempool_walk_begin(mempool);
    while (mempool_walk_next(mempool, &envelope)) {
        uint64_t nonce = 0;
        const uint8_t sender = envelope.data[0];
        memcpy(&nonce, envelope.data + 1, sizeof nonce);
        assert_true(sender < SENDERS && nonce < NONCES && model->waits[sender][nonce]);
        assert_true(seen[sender] == 0 || nonce > last[sender]);
        last[sender] = nonce;
        seen[sender]++;
        /* Nobody is two rounds ahead of one who still has some. */
        for (int other = 0; other < SENDERS; other++) {
            size_t left = 0;
            for (uint64_t n = 0; n < NONCES; n++) {
                left += model->waits[other][n] && (seen[other] == 0 || n > last[other]) ? 1 : 0;
            }
            assert_true(left == 0 || seen[sender] <= seen[other] + 1);
        }
        count++;
    }
    assert_int_equal(count, expected);
}

static void random_step(struct mempool *mempool, struct model *model, struct test_random *random,
                        int64_t *time)
{
    uint8_t envelope[ENVELOPE];
    const uint8_t s = (uint8_t)test_random_below(random, SENDERS);
    const uint64_t n = test_random_below(random, NONCES);
    const int64_t until = *time + (int64_t)test_random_below(random, 200);
    const struct transaction one = make(envelope, s, n, until);
    const uint64_t what = test_random_below(random, 20);
    if (what == 0) {
        mempool_forget(mempool, &one.sender, n);
        for (uint64_t i = 0; i <= n; i++) {
            model->waits[s][i] = false;
        }
    } else if (what == 1) {
        *time += (int64_t)test_random_below(random, 30);
        mempool_expire(mempool, timestamp_of(*time));
        for (int i = 0; i < SENDERS; i++) {
            for (int k = 0; k < NONCES; k++) {
                model->waits[i][k] = model->waits[i][k] && model->valid_until[i][k] >= *time;
            }
        }
    } else {
        const enum contract_error error = mempool_add(mempool, &one);
        assert_true(error == (model->waits[s][n] ? model->valid_until[s][n] == until
                                                       ? CONTRACT_EXISTS_ALREADY
                                                       : CONTRACT_TX_NONCE_USED
                                                 : CONTRACT_OK));
        if (error == CONTRACT_OK) {
            model->waits[s][n] = true;
            model->valid_until[s][n] = until;
        }
        assert_true(mempool_has(mempool, &one.id) == (error != CONTRACT_TX_NONCE_USED));
    }
}

static void test_a_long_random_run(void **state)
{
    (void)state;
    static struct model model;
    struct mempool *mempool = create(0, 0);
    struct test_random random = {.state = 11};
    int64_t time = 0;
    memset(&model, 0, sizeof model);
    for (int step = 0; step < 6000; step++) {
        random_step(mempool, &model, &random, &time);
        if (step % 20 == 0) {
            compare(mempool, &model);
        }
    }
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
        cmocka_unit_test(test_a_long_random_run),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
