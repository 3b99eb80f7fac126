/* The table of tree nodes against a plain list, through growth and removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "storage/node_table.h"
#include "tests/lib/random.h"

enum { PATHS = 3000, STEPS = 60000 };

static struct state_tree_path path_of(uint32_t number)
{
    struct state_tree_path path = {.size = 2 + 3 + number % 4};
    path.bytes[1] = (uint8_t)(8 * (path.size - 2));
    memcpy(path.bytes + 2, &number, sizeof number);
    /* Paths of 24 bits drop the number's last byte, which is zero for all of them. */
    return path;
}

static struct state_tree_node node_of(uint32_t number, uint32_t version)
{
    struct state_tree_node node = {.kind = STATE_TREE_BRANCH};
    memcpy(node.a.bytes, &number, sizeof number);
    memcpy(node.b.bytes, &version, sizeof version);
    return node;
}

static void check(const struct node_table *table, uint32_t number, uint32_t version)
{
    struct state_tree_path path = path_of(number);
    struct state_tree_node found;
    assert_true(node_table_get(table, &found, &path));
    if (version == 0) {
        assert_int_equal(found.kind, STATE_TREE_EMPTY);
        return;
    }
    struct state_tree_node wanted = node_of(number, version);
    assert_int_equal(found.kind, STATE_TREE_BRANCH);
    assert_true(hash_equal(&found.a, &wanted.a) && hash_equal(&found.b, &wanted.b));
}

static void test_against_a_list(void **state)
{
    static const struct state_tree_node empty = {.kind = STATE_TREE_EMPTY};
    static uint32_t versions[PATHS]; /* 0: not in the table */
    struct test_random random = {5};
    struct node_table *table = node_table_create();
    size_t count = 0;
    (void)state;
    assert_non_null(table);
    for (uint32_t step = 1; step <= STEPS; step++) {
        uint32_t number = (uint32_t)test_random_below(&random, PATHS);
        struct state_tree_path path = path_of(number);
        /* Two thirds of a phase insert, two thirds of the next remove: it fills and empties. */
        bool removes = test_random_below(&random, 3) < (step / 10000 % 2 == 0 ? 1u : 2u);
        struct state_tree_node node = removes ? empty : node_of(number, step);
        count += (size_t)(!removes && versions[number] == 0);
        count -= (size_t)(removes && versions[number] != 0);
        versions[number] = removes ? 0 : step;
        assert_true(node_table_put(table, &path, &node));
        assert_int_equal(node_table_count(table), count);
        uint32_t other = (uint32_t)test_random_below(&random, PATHS);
        check(table, other, versions[other]);
    }
    for (uint32_t number = 0; number < PATHS; number++) {
        check(table, number, versions[number]);
    }
    node_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_list)};
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests_name("node table", tests, NULL, NULL);
}
