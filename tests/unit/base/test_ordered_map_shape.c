/* The ordered map from inside: the invariants of its nodes after every single change, and long random work
 * over keys such as the ledger has. It includes the source, for only that sees a node. Without the
 * invariants the map would still answer right, and slow down until its own check of depth stops the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/ordered_map.c"
#include "tests/lib/random.h"

static struct bytes_view slot_key(const struct map_slot *slot)
{
    return bytes_view_of(slot->key, slot->key_size);
}

/* By their bytes alone. */
static int compare(struct bytes_view a, struct bytes_view b)
{
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Returns the number of entries; invariants 1 to 3 of base/ordered_map.c. Keys lie at or above `from` and
 * below `to`, where those are given. */
static size_t check_subtree(const struct map_node *node, uint32_t height,
                            const struct map_slot *from, const struct map_slot *to)
{
    size_t entries = 0;
    assert_true(node->count > 0 && node->count <= NODE_SLOTS);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct map_slot *slot = &node->slots[i];
        assert_true(slot->key_size >= node->prefix_size);
        assert_memory_equal(slot->key, node->prefix, node->prefix_size);
        assert_true(node->heads[i] == key_head(slot->key, slot->key_size, node->prefix_size));
        assert_true(i == 0 || compare(slot_key(&node->slots[i - 1]), slot_key(slot)) < 0);
        if (height > 1) {
            entries += check_subtree(slot->to.child, height - 1, i == 0 ? from : slot,
                                     i + 1 == node->count ? to : slot + 1);
            continue;
        }
        assert_true(from == NULL || compare(slot_key(from), slot_key(slot)) <= 0);
        assert_true(to == NULL || compare(slot_key(slot), slot_key(to)) < 0);
        entries++;
    }
    return entries;
}

static void check_shape(const struct ordered_map *map)
{
    assert_true((map->root == NULL) == (map->count == 0) &&
                (map->height == 0) == (map->count == 0));
    if (map->root != NULL) {
        assert_int_equal(check_subtree(map->root, map->height, NULL, NULL), map->count);
    }
}

static void test_random_changes(void **state)
{
    (void)state;
    struct test_random random = {1};
    struct ordered_map *map = ordered_map_create((size_t)1 << 24);
    assert_non_null(map);
    for (unsigned turn = 0; turn < 30000; turn++) {
        uint8_t letters[2] = {(uint8_t)test_random_below(&random, 40),
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

/* --- keys such as the ledger has -------------------------------------------------------------- */

enum { UNIVERSE = 20000, KEY_BYTES = 70, TURNS = 1000000 };

struct universe_key {
    uint8_t bytes[KEY_BYTES];
    size_t size;
    bool present;
    uint32_t version; /* of its value */
};

static struct universe_key universe[UNIVERSE];
static uint8_t values[1 << 16][4];

static struct bytes_view universe_view(const struct universe_key *key)
{
    return bytes_view_of(key->bytes, key->size);
}

static int by_bytes(const void *a, const void *b)
{
    return compare(universe_view(a), universe_view(b));
}

/* A kind; then a number, or a market, a period and, in some kinds, side, price and number: long common
 * parts, keys that differ only far behind, and keys that are the beginning of others. */
static void draw_key(struct test_random *random, struct universe_key *key)
{
    struct byte_writer writer;
    byte_writer_init(&writer, key->bytes, sizeof key->bytes);
    const uint64_t kind = test_random_below(random, 4);
    byte_write_u8(&writer, (uint8_t)(kind * 85));
    if (kind < 2) {
        byte_write_u64(&writer, test_random_below(random, kind == 0 ? 100000 : UINT64_MAX));
    } else {
        char market[24] = "market";
        market[6] = (char)('0' + test_random_below(random, 2));
        byte_write_raw(&writer, market, sizeof market);
        byte_write_u64(&writer, 1767571200000u + test_random_below(random, 16) * 900000);
        if (kind == 3) {
            byte_write_u8(&writer, (uint8_t)test_random_below(random, 2));
            byte_write_u64(&writer, (UINT64_C(1) << 63) - test_random_below(random, 50));
            byte_write_u64(&writer, test_random_below(random, 300));
            byte_write_raw(&writer, market, test_random_below(random, 4));
        }
    }
    assert_false(writer.failed);
    key->size = writer.size;
}

/* Sorted and without doubles; returns how many. */
static size_t make_universe(struct test_random *random)
{
    memset(universe, 0, sizeof universe);
    for (size_t i = 0; i < UNIVERSE; i++) {
        draw_key(random, &universe[i]);
    }
    qsort(universe, UNIVERSE, sizeof universe[0], by_bytes);
    size_t kept = 1;
    for (size_t i = 1; i < UNIVERSE; i++) {
        if (by_bytes(&universe[kept - 1], &universe[i]) != 0) {
            universe[kept++] = universe[i];
        }
    }
    return kept;
}

static void check_seek(const struct ordered_map *map, size_t at, size_t count)
{
    struct bytes_view key;
    struct bytes_view value;
    for (int inclusive = 0; inclusive < 2; inclusive++) {
        size_t next = at + (inclusive == 0);
        while (next < count && !universe[next].present) {
            next++;
        }
        const bool found =
            ordered_map_seek(map, universe_view(&universe[at]), inclusive == 1, &key, &value);
        assert_int_equal(found, next < count);
        if (found) {
            assert_true(bytes_view_equal(key, universe_view(&universe[next])));
            assert_memory_equal(value.data, values[universe[next].version], 4);
        }
    }
}

static void change(struct test_random *random, struct ordered_map *map, struct universe_key *one,
                   bool remove)
{
    const struct bytes_view key = universe_view(one);
    struct bytes_view kept;
    struct bytes_view before;
    if (remove) {
        assert_int_equal(ordered_map_remove(map, key), one->present);
        one->present = false;
        return;
    }
    const uint32_t version = (uint32_t)test_random_below(random, 1 << 16);
    assert_true(ordered_map_exchange(map, key, bytes_view_of(values[version], 4), &kept, &before));
    assert_true(bytes_view_equal(kept, key));
    assert_int_equal(before.data != NULL, one->present);
    assert_true(!one->present || bytes_view_equal(before, bytes_view_of(values[one->version], 4)));
    one->present = true;
    one->version = version;
}

/* Against the sorted array of all keys that there can be. */
static void test_ledger_keys(void **state)
{
    (void)state;
    struct test_random random = {7};
    const size_t count = make_universe(&random);
    struct ordered_map *map = ordered_map_create((size_t)1 << 27);
    assert_non_null(map);
    assert_true(count > UNIVERSE / 2);
    test_random_bytes(&random, values, sizeof values);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        const bool grows = turn / 50000 % 2 == 0;
        struct universe_key *one = &universe[test_random_below(&random, count)];
        struct bytes_view value;
        /* In every other phase of decay the lowest keys go first, and whole nodes with them. */
        if (!grows && turn / 100000 % 2 == 0 && turn % 2 == 0) {
            one = &universe[turn % 50000 * count / 50000];
        }
        change(&random, map, one, test_random_below(&random, 100) < (grows ? 20 : 85));
        one = &universe[test_random_below(&random, count)];
        assert_int_equal(ordered_map_get(map, universe_view(one), &value), one->present);
        assert_true(!one->present ||
                    bytes_view_equal(value, bytes_view_of(values[one->version], 4)));
        check_seek(map, (size_t)(one - universe), count);
        if (turn % 5000 == 0) {
            check_shape(map);
        }
    }
    for (size_t i = 0; i < count; i++) {
        change(&random, map, &universe[i], true);
    }
    check_shape(map);
    assert_int_equal(ordered_map_count(map), 0);
    ordered_map_destroy(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_sliding_window),
        cmocka_unit_test(test_ledger_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
