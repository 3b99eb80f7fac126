/* The ordered map from inside: the invariants of the AA tree after every single change. It includes
 * the source, for only that sees a node. Without them the map would still answer right, and slow
 * down until its own check of depth stops the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/ordered_map.c"
#include "tests/lib/random.h"

/* Returns the number of nodes; invariants 1 and 2 of base/ordered_map.c. */
static size_t check_subtree(const struct map_node *node, const struct map_node *above,
                            const struct map_node *below)
{
    if (node == NULL) {
        return 0;
    }
    struct bytes_view key = bytes_view_of(node->key, node->key_size);
    assert_true(above == NULL || compare_key(key, above) > 0);
    assert_true(below == NULL || compare_key(key, below) < 0);
    assert_int_equal(level_of(node->left), node->level - 1);
    assert_true(level_of(node->right) == node->level || level_of(node->right) == node->level - 1);
    if (node->right != NULL) {
        assert_true(level_of(node->right->right) < node->level);
    }
    return 1 + check_subtree(node->left, above, node) + check_subtree(node->right, node, below);
}

static void check_shape(const struct ordered_map *map)
{
    assert_int_equal(check_subtree(map->root, NULL, NULL), map->count);
}

static void test_random_changes(void **state)
{
    (void)state;
    struct test_random random = {1};
    struct ordered_map *map = ordered_map_create((size_t)1 << 24);
    assert_non_null(map);
    for (unsigned turn = 0; turn < 30000; turn++) {
        uint8_t letters[2] = {(uint8_t)test_random_below(&random, 20),
                              (uint8_t)test_random_below(&random, 10)};
        struct bytes_view key = bytes_view_of(letters, sizeof letters);
        if (test_random_below(&random, 100) < (turn / 700 % 2 == 0 ? 25 : 75)) {
            ordered_map_remove(map, key);
        } else {
            assert_true(ordered_map_put(map, key, key));
        }
        check_shape(map);
    }
    ordered_map_destroy(map);
}

/* A window that slides over ascending keys: what an order book does all day. */
static void test_sliding_window(void **state)
{
    (void)state;
    enum { WINDOW = 100, STEPS = 3000 };
    struct ordered_map *map = ordered_map_create((size_t)1 << 24);
    assert_non_null(map);
    for (unsigned step = 0; step < STEPS; step++) {
        uint8_t in[2] = {(uint8_t)(step >> 8), (uint8_t)step};
        assert_true(ordered_map_put(map, bytes_view_of(in, 2), bytes_view_of(in, 2)));
        if (step >= WINDOW) {
            unsigned old = step - WINDOW;
            uint8_t out[2] = {(uint8_t)(old >> 8), (uint8_t)old};
            assert_true(ordered_map_remove(map, bytes_view_of(out, 2)));
        }
        check_shape(map);
    }
    ordered_map_destroy(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_sliding_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
