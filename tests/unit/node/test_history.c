/* The log's proofs out of cached tiles are those of the whole tree, at every size where a tile, a pair
 * of tiles or the right edge begins or ends; and reading is done in bounded steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/history.h"

enum { LEAVES = 5 * HISTORY_TILE + 40 };

static struct hash leaves[LEAVES];
static uint64_t available, reads;

static bool leaf_of(void *context, struct hash *out, uint64_t height)
{
    (void)context;
    reads++;
    if (height >= available) {
        return false;
    }
    *out = leaves[height % LEAVES];
    return true;
}

static const struct history_source source = {leaf_of, NULL};

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LEAVES; i++) {
        hash_bytes(&leaves[i], HASH_DOMAIN_LOG_LEAF, &i, sizeof i);
    }
    available = LEAVES;
    return 0;
}

static bool same(const struct merkle_proof *a, const struct merkle_proof *b)
{
    return a->count == b->count &&
           memcmp(a->siblings, b->siblings, a->count * sizeof a->siblings[0]) == 0;
}

static void test_proofs_are_those_of_the_whole_tree(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1,   2,   255,  256,  257,  300,  511,    512,
                                     513, 768, 1023, 1024, 1025, 1281, LEAVES, 700};
    struct node_history history;
    node_history_open(&history);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const uint64_t count = sizes[s];
        for (uint64_t at = 0; at < count; at += 1 + at % 61) {
            struct merkle_proof proof, wanted;
            struct hash root, old_root;
            assert_int_equal(node_history_prove_block(&history, &source, &proof, count, at),
                             HISTORY_OK);
            merkle_prove(&wanted, leaves, count, at);
            assert_true(same(&proof, &wanted));
            assert_int_equal(
                node_history_prove_prefix(&history, &source, &proof, &old_root, count, at + 1),
                HISTORY_OK);
            merkle_prove_consistency(&wanted, leaves, count, at + 1);
            assert_true(same(&proof, &wanted));
            merkle_root(&root, leaves, at + 1);
            assert_true(hash_equal(&root, &old_root));
        }
    }
    node_history_close(&history);
}

static void test_a_proof_reads_few_leaves_once_the_tiles_are_there(void **state)
{
    (void)state;
    struct node_history history;
    struct merkle_proof proof;
    struct hash root;
    node_history_open(&history);
    assert_int_equal(node_history_prove_block(&history, &source, &proof, LEAVES, 3), HISTORY_OK);
    reads = 0;
    assert_int_equal(node_history_prove_prefix(&history, &source, &proof, &root, LEAVES, 700),
                     HISTORY_OK);
    assert_true(reads <= 4 * HISTORY_TILE);
    node_history_close(&history);
}

static void test_reading_is_bounded_and_goes_on(void **state)
{
    (void)state;
    struct node_history history;
    struct merkle_proof proof;
    const uint64_t count = 3 * (uint64_t)HISTORY_TILES_PER_CALL * HISTORY_TILE + 7;
    node_history_open(&history);
    available = UINT64_MAX;
    for (int call = 0; call < 3; call++) {
        reads = 0;
        enum history_result result =
            node_history_prove_block(&history, &source, &proof, count, count - 1);
        assert_int_equal(result, call < 2 ? HISTORY_BUSY : HISTORY_OK);
        assert_true(reads <= (uint64_t)(HISTORY_TILES_PER_CALL + 4) * HISTORY_TILE);
    }
    available = LEAVES;
    node_history_close(&history);
}

static void test_what_is_not_here_is_said(void **state)
{
    (void)state;
    struct node_history history;
    struct merkle_proof proof;
    struct hash root;
    node_history_open(&history);
    available = 300;
    assert_int_equal(node_history_prove_block(&history, &source, &proof, 600, 1), HISTORY_ABSENT);
    assert_int_equal(node_history_prove_block(&history, &source, &proof, 400, 1), HISTORY_ABSENT);
    assert_int_equal(node_history_prove_prefix(&history, &source, &proof, &root, 300, 299),
                     HISTORY_OK);
    available = LEAVES;
    node_history_close(&history);
}

/* Leaves below the floor must not be asked for. */
static uint64_t floor_of_leaves;

static bool leaf_from_floor(void *context, struct hash *out, uint64_t height)
{
    assert_true(height >= floor_of_leaves);
    return leaf_of(context, out, height);
}

static const struct history_source above_floor = {leaf_from_floor, NULL};

static void open_at(struct node_history *history, uint64_t floor)
{
    struct merkle_frontier below;
    merkle_frontier_init(&below);
    for (uint64_t i = 0; i < floor; i++) {
        merkle_frontier_append(&below, &leaves[i]);
    }
    floor_of_leaves = floor;
    node_history_open(history);
    node_history_set_floor(history, &below);
}

/* Of one size: the block at `at`, and the size `at`, as from the whole log; or a refusal. */
static void check_at_floor(struct node_history *history, uint64_t floor, uint64_t count,
                           uint64_t at)
{
    struct merkle_proof proof, wanted;
    struct hash root, old_root;
    if (at < count) {
        assert_int_equal(node_history_prove_block(history, &above_floor, &proof, count, at),
                         at < floor ? HISTORY_BELOW : HISTORY_OK);
        merkle_prove(&wanted, leaves, count, at);
        assert_true(at < floor || same(&proof, &wanted));
    }
    if (at == 0) {
        return;
    }
    assert_int_equal(node_history_prove_prefix(history, &above_floor, &proof, &old_root, count, at),
                     at < floor ? HISTORY_BELOW : HISTORY_OK);
    merkle_prove_consistency(&wanted, leaves, count, at);
    merkle_root(&root, leaves, at);
    assert_true(at < floor || (same(&proof, &wanted) && hash_equal(&root, &old_root)));
}

static void test_all_small_floors_and_sizes(void **state)
{
    (void)state;
    for (uint64_t floor = 0; floor <= 40; floor++) {
        struct node_history history;
        open_at(&history, floor);
        for (uint64_t count = 1; count <= 70; count++) {
            for (uint64_t at = 0; at <= count; at++) {
                check_at_floor(&history, floor, count, at);
            }
        }
        node_history_close(&history);
    }
}

/* Floors in, at and beside the ends of tiles and of pairs of them, the tiles read at once and one by
 * one. */
static void test_floors_among_tiles(void **state)
{
    (void)state;
    static const uint64_t floors[] = {1,   2,   200, 255, 256, 257,  300,  511,  512,
                                      513, 700, 767, 768, 769, 1023, 1024, 1025, 1300};
    for (size_t f = 0; f < sizeof floors / sizeof floors[0]; f++) {
        const uint64_t floor = floors[f];
        for (uint64_t step = 1; step <= LEAVES; step += 256) {
            struct node_history history;
            open_at(&history, floor);
            for (uint64_t count = floor + step; count <= LEAVES; count += step + 50) {
                check_at_floor(&history, floor, count, floor);
                check_at_floor(&history, floor, count, floor - 1);
                check_at_floor(&history, floor, count, count - 1);
                check_at_floor(&history, floor, count, count);
                check_at_floor(&history, floor, count, floor + (count - floor) / 2);
                check_at_floor(&history, floor, count, floor + (count - floor) / 3);
            }
            node_history_close(&history);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proofs_are_those_of_the_whole_tree),
        cmocka_unit_test(test_a_proof_reads_few_leaves_once_the_tiles_are_there),
        cmocka_unit_test(test_reading_is_bounded_and_goes_on),
        cmocka_unit_test(test_what_is_not_here_is_said),
        cmocka_unit_test(test_all_small_floors_and_sizes),
        cmocka_unit_test(test_floors_among_tiles),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, set_up, NULL) : 1;
}
