/* Merkle trees: against frozen roots and proofs, and against RFC 6962's recursive definitions over
 * all sizes up to 130, where every shape of tree, path and prefix occurs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/merkle.h"
#include "tests/lib/aborts.h"
#include "tests/lib/crypto/vectors.h"
#include "tests/lib/random.h"

enum { LEAVES = 1000, SIZE_MAX_TESTED = 130 };

static struct hash leaves[LEAVES];
static struct hash roots[SIZE_MAX_TESTED + 1]; /* by the model */

static int make_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEAVES; i++) {
        uint8_t number[8];
        struct byte_writer writer;
        byte_writer_init(&writer, number, sizeof number);
        byte_write_u64(&writer, i);
        hash_bytes(&leaves[i], HASH_DOMAIN_LOG_LEAF, number, sizeof number);
    }
    return 0;
}

/* --- The model: RFC 6962 2.1 as it is written --- */

static size_t model_split(size_t n)
{
    size_t k = 1;
    while (2 * k < n) {
        k *= 2;
    }
    return k;
}

static struct hash model_root(const struct hash *d, size_t n)
{
    struct hash left, right, out = {{0}};
    if (n == 0) {
        return out;
    }
    if (n == 1) {
        return d[0];
    }
    size_t k = model_split(n);
    left = model_root(d, k);
    right = model_root(d + k, n - k);
    hash_pair(&out, HASH_DOMAIN_MERKLE_NODE, hash_view(&left), hash_view(&right));
    return out;
}

static size_t model_path(struct hash *out, size_t m, const struct hash *d, size_t n)
{
    if (n == 1) {
        return 0;
    }
    size_t k = model_split(n);
    size_t count = m < k ? model_path(out, m, d, k) : model_path(out, m - k, d + k, n - k);
    out[count] = m < k ? model_root(d + k, n - k) : model_root(d, k);
    return count + 1;
}

static size_t model_subproof(struct hash *out, size_t m, const struct hash *d, size_t n, bool whole)
{
    if (m == n) {
        out[0] = model_root(d, n);
        return whole ? 0 : 1;
    }
    size_t k = model_split(n);
    size_t count = m <= k ? model_subproof(out, m, d, k, whole)
                          : model_subproof(out, m - k, d + k, n - k, false);
    out[count] = m <= k ? model_root(d + k, n - k) : model_root(d, k);
    return count + 1;
}

/* --- Roots and frontier --- */

static void test_roots_match_model(void **state)
{
    (void)state;
    struct merkle_frontier frontier;
    merkle_frontier_init(&frontier);
    for (size_t n = 0; n <= SIZE_MAX_TESTED; n++) {
        struct hash root, edge;
        roots[n] = model_root(leaves, n);
        merkle_root(&root, leaves, n);
        assert_true(hash_equal(&root, &roots[n]));
        merkle_frontier_root(&edge, &frontier);
        assert_true(hash_equal(&edge, &roots[n]));
        assert_int_equal(frontier.count, n);
        merkle_frontier_append(&frontier, &leaves[n]);
    }
    assert_true(hash_is_zero(&roots[0]));
    assert_true(hash_equal(&roots[1], &leaves[0]));
}

/* Peaks are complete subtrees, the largest first, and nothing else. */
static void test_frontier_holds_peaks(void **state)
{
    (void)state;
    struct merkle_frontier frontier;
    merkle_frontier_init(&frontier);
    for (size_t i = 0; i < 11; i++) {
        merkle_frontier_append(&frontier, &leaves[i]);
    }
    const size_t sizes[] = {8, 2, 1};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        struct hash expected = model_root(leaves + at, sizes[i]);
        assert_true(hash_equal(&frontier.peaks[i], &expected));
        at += sizes[i];
    }
}

/* --- Inclusion --- */

static void check_inclusion(size_t index, size_t count)
{
    struct merkle_proof proof;
    struct hash expected[MERKLE_DEPTH_MAX];
    merkle_prove(&proof, leaves, count, index);
    assert_int_equal(proof.count, model_path(expected, index, leaves, count));
    for (uint32_t i = 0; i < proof.count; i++) {
        assert_true(hash_equal(&proof.siblings[i], &expected[i]));
    }
    assert_true(merkle_verify(&proof, &leaves[index], index, count, &roots[count]));
    assert_false(merkle_verify(&proof, &leaves[index + 1], index, count, &roots[count]));
    assert_false(merkle_verify(&proof, &leaves[index], index, count, &roots[count - 1]));
    assert_false(merkle_verify(&proof, &leaves[index], count, count, &roots[count]));
    /* Too short and too long. */
    if (proof.count > 0) {
        proof.count--;
        assert_false(merkle_verify(&proof, &leaves[index], index, count, &roots[count]));
        proof.count++;
    }
    proof.siblings[proof.count++] = leaves[0];
    assert_false(merkle_verify(&proof, &leaves[index], index, count, &roots[count]));
}

static void test_inclusion_for_all_sizes(void **state)
{
    (void)state;
    for (size_t count = 1; count <= SIZE_MAX_TESTED; count++) {
        for (size_t index = 0; index < count; index++) {
            check_inclusion(index, count);
        }
    }
}

/* A path is good for one index only, so nobody can prove one leaf to stand in two places. */
static void test_path_fixes_the_index(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 40; count++) {
        for (size_t index = 0; index < count; index++) {
            struct merkle_proof proof;
            merkle_prove(&proof, leaves, count, index);
            for (size_t other = 0; other < count; other++) {
                assert_int_equal(merkle_verify(&proof, &leaves[index], other, count, &roots[count]),
                                 other == index);
            }
        }
    }
}

static void test_mutated_paths_fail(void **state)
{
    (void)state;
    struct test_random random = {1};
    for (int turn = 0; turn < 3000; turn++) {
        size_t count = 2 + test_random_below(&random, SIZE_MAX_TESTED - 1);
        size_t index = test_random_below(&random, count);
        struct merkle_proof proof;
        merkle_prove(&proof, leaves, count, index);
        size_t bit = test_random_below(&random, proof.count * 256);
        proof.siblings[bit / 256].bytes[bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(merkle_verify(&proof, &leaves[index], index, count, &roots[count]));
    }
}

/* --- Consistency --- */

static void check_consistency(size_t old, size_t count)
{
    struct merkle_proof proof;
    struct hash expected[MERKLE_DEPTH_MAX];
    merkle_prove_consistency(&proof, leaves, count, old);
    if (old > 0) {
        assert_int_equal(proof.count, model_subproof(expected, old, leaves, count, true));
        for (uint32_t i = 0; i < proof.count; i++) {
            assert_true(hash_equal(&proof.siblings[i], &expected[i]));
        }
    }
    assert_true(merkle_verify_consistency(&proof, old, &roots[old], count, &roots[count]));
    /* Another past, another present, a longer proof, a shorter one. */
    struct hash other = roots[old];
    other.bytes[3] ^= 1;
    assert_false(merkle_verify_consistency(&proof, old, &other, count, &roots[count]));
    other = roots[count];
    other.bytes[3] ^= 1;
    if (old > 0) {
        assert_false(merkle_verify_consistency(&proof, old, &roots[old], count, &other));
    }
    if (proof.count > 0) {
        proof.count--;
        assert_false(merkle_verify_consistency(&proof, old, &roots[old], count, &roots[count]));
        proof.count++;
    }
    proof.siblings[proof.count++] = leaves[0];
    assert_false(merkle_verify_consistency(&proof, old, &roots[old], count, &roots[count]));
}

static void test_consistency_for_all_sizes(void **state)
{
    (void)state;
    for (size_t count = 0; count <= SIZE_MAX_TESTED; count++) {
        for (size_t old = 0; old <= count; old++) {
            check_consistency(old, count);
        }
    }
}

static void test_consistency_refuses_wrong_sizes(void **state)
{
    (void)state;
    struct merkle_proof proof;
    for (size_t old = 1; old < 40; old++) {
        merkle_prove_consistency(&proof, leaves, 40, old);
        for (size_t claimed = 0; claimed <= 41; claimed++) {
            assert_int_equal(
                merkle_verify_consistency(&proof, claimed, &roots[old], 40, &roots[40]),
                claimed == old);
        }
    }
    /* Nothing at all, and a shrinking log. */
    proof.count = 0;
    assert_false(merkle_verify_consistency(&proof, 3, &roots[3], 7, &roots[7]));
    assert_false(merkle_verify_consistency(&proof, 4, &roots[4], 7, &roots[7]));
    assert_false(merkle_verify_consistency(&proof, 5, &roots[5], 4, &roots[4]));
    proof.count = MERKLE_DEPTH_MAX + 1;
    assert_false(merkle_verify_consistency(&proof, 3, &roots[3], 7, &roots[7]));
    assert_false(merkle_verify(&proof, &leaves[0], 0, 7, &roots[7]));
}

static void test_mutated_consistency_fails(void **state)
{
    (void)state;
    struct test_random random = {2};
    for (int turn = 0; turn < 3000; turn++) {
        size_t count = 2 + test_random_below(&random, SIZE_MAX_TESTED - 1);
        size_t old = 1 + test_random_below(&random, count - 1);
        struct merkle_proof proof;
        merkle_prove_consistency(&proof, leaves, count, old);
        size_t bit = test_random_below(&random, proof.count * 256);
        proof.siblings[bit / 256].bytes[bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(merkle_verify_consistency(&proof, old, &roots[old], count, &roots[count]));
    }
}

/* --- Frozen --- */

static void check_frozen_row(char *const fields[VECTOR_FIELDS_MAX], size_t field_count)
{
    static uint8_t expected[MERKLE_DEPTH_MAX * HASH_SIZE];
    struct merkle_proof proof;
    assert_int_equal(field_count, 4);
    size_t count = strtoul(fields[1], NULL, 10), number = strtoul(fields[2], NULL, 10);
    size_t size = vector_hex(expected, sizeof expected, fields[3]);
    if (strcmp(fields[0], "root") == 0) {
        struct hash root;
        merkle_root(&root, leaves, count);
        assert_int_equal(size, HASH_SIZE);
        assert_memory_equal(root.bytes, expected, size);
        return;
    }
    if (strcmp(fields[0], "path") == 0) {
        merkle_prove(&proof, leaves, count, number);
    } else {
        assert_string_equal(fields[0], "prefix");
        merkle_prove_consistency(&proof, leaves, count, number);
    }
    assert_int_equal(size, proof.count * sizeof(struct hash));
    if (size > 0) {
        assert_memory_equal(proof.siblings, expected, size);
    }
}

static void test_frozen_vectors(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/merkle.csv", check_frozen_row), 36);
}

static void prove_beyond_the_end(void *context)
{
    struct merkle_proof proof;
    merkle_prove(&proof, context, 4, 4);
}

static void test_bad_index_is_our_bug(void **state)
{
    (void)state;
    assert_true(test_aborts(prove_beyond_the_end, leaves));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots_match_model),
        cmocka_unit_test(test_frontier_holds_peaks),
        cmocka_unit_test(test_inclusion_for_all_sizes),
        cmocka_unit_test(test_path_fixes_the_index),
        cmocka_unit_test(test_mutated_paths_fail),
        cmocka_unit_test(test_consistency_for_all_sizes),
        cmocka_unit_test(test_consistency_refuses_wrong_sizes),
        cmocka_unit_test(test_mutated_consistency_fails),
        cmocka_unit_test(test_frozen_vectors),
        cmocka_unit_test(test_bad_index_is_our_bug),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, make_leaves, NULL);
}
