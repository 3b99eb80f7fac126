/* The ordered map against a sorted array, over random work with few keys (many replacements and
 * removals), many keys, and the orders that make naive trees degenerate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ordered_map.h"
#include "tests/lib/random.h"

enum { MODEL_MAX = 4096, BYTES_MAX = 24 };

struct model_entry {
    uint8_t key[BYTES_MAX];
    size_t key_size;
    uint8_t value[BYTES_MAX];
    size_t value_size;
};

static struct model_entry model[MODEL_MAX];
static size_t model_count;

static struct bytes_view key_of(const struct model_entry *entry)
{
    return bytes_view_of(entry->key, entry->key_size);
}

static struct bytes_view value_of(const struct model_entry *entry)
{
    return bytes_view_of(entry->value, entry->value_size);
}

static int compare(struct bytes_view a, struct bytes_view b)
{
    for (size_t i = 0; i < a.size && i < b.size; i++) {
        if (a.data[i] != b.data[i]) {
            return a.data[i] < b.data[i] ? -1 : 1;
        }
    }
    return (a.size > b.size) - (a.size < b.size);
}

static size_t model_place(struct bytes_view key)
{
    size_t low = 0, high = model_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(key_of(&model[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool model_has(size_t place, struct bytes_view key)
{
    return place < model_count && compare(key_of(&model[place]), key) == 0;
}

static void model_put(struct bytes_view key, struct bytes_view value)
{
    size_t place = model_place(key);
    if (!model_has(place, key)) {
        assert_true(model_count < MODEL_MAX);
        memmove(&model[place + 1], &model[place], (model_count++ - place) * sizeof model[0]);
        memcpy(model[place].key, key.data, key.size);
        model[place].key_size = key.size;
    }
    memcpy(model[place].value, value.data, value.size);
    model[place].value_size = value.size;
}

static void model_remove(size_t place)
{
    memmove(&model[place], &model[place + 1], (--model_count - place) * sizeof model[0]);
}

static void check_seek(const struct ordered_map *map, struct bytes_view from)
{
    for (int inclusive = 0; inclusive < 2; inclusive++) {
        struct bytes_view key, value;
        size_t place = model_place(from);
        if (!inclusive && model_has(place, from)) {
            place++;
        }
        bool found = ordered_map_seek(map, from, inclusive, &key, &value);
        assert_int_equal(found, place < model_count);
        if (found) {
            assert_true(bytes_view_equal(key, key_of(&model[place])));
            assert_true(bytes_view_equal(value, value_of(&model[place])));
        }
    }
}

static bool visit_next(void *context, struct bytes_view key, struct bytes_view value)
{
    size_t *place = context;
    assert_true(*place < model_count);
    assert_true(bytes_view_equal(key, key_of(&model[*place])));
    assert_true(bytes_view_equal(value, value_of(&model[*place])));
    (*place)++;
    return true;
}

/* True for the first `*left` entries. */
static bool visit_some(void *context, struct bytes_view key, struct bytes_view value)
{
    size_t *left = context;
    (void)key;
    (void)value;
    assert_true(*left > 0);
    return --*left > 0;
}

static void check_each(const struct ordered_map *map)
{
    size_t visited = 0;
    assert_true(ordered_map_each(map, &visited, visit_next));
    assert_int_equal(visited, model_count);
    if (model_count > 0) {
        size_t left = model_count / 2 + 1;
        assert_false(ordered_map_each(map, &left, visit_some));
        assert_int_equal(left, 0);
    }
}

static void check_whole_map(const struct ordered_map *map)
{
    check_each(map);
    struct bytes_view key = {0}, value, from = {0};
    assert_int_equal(ordered_map_count(map), model_count);
    for (size_t i = 0; i < model_count; i++) {
        assert_true(ordered_map_seek(map, from, i == 0, &key, &value));
        assert_true(bytes_view_equal(key, key_of(&model[i])));
        assert_true(bytes_view_equal(value, value_of(&model[i])));
        from = key;
    }
    if (model_count > 0) {
        assert_false(ordered_map_seek(map, from, false, &key, &value));
    }
}

/* Keys over a small alphabet, of lengths from 0: prefixes of each other are common. */
static struct bytes_view random_bytes_of(struct test_random *random, uint8_t *buffer, size_t most,
                                         unsigned letters)
{
    size_t size = test_random_below(random, most + 1);
    for (size_t i = 0; i < size; i++) {
        buffer[i] = (uint8_t)(test_random_below(random, letters) * 127);
    }
    return bytes_view_of(buffer, size);
}

static void run_against_model(uint64_t seed, size_t key_most, unsigned letters, unsigned turns)
{
    struct test_random random = {seed};
    struct ordered_map *map = ordered_map_create((size_t)1 << 24);
    assert_non_null(map);
    model_count = 0;
    for (unsigned turn = 0; turn < turns; turn++) {
        uint8_t key_buffer[BYTES_MAX], value_buffer[BYTES_MAX];
        struct bytes_view key = random_bytes_of(&random, key_buffer, key_most, letters), value;
        size_t place = model_place(key);
        bool present = model_has(place, key);
        /* Phases of growth and of decay. */
        bool remove = test_random_below(&random, 100) < (turn / 500 % 2 == 0 ? 25 : 75);
        if (remove) {
            assert_int_equal(ordered_map_remove(map, key), present);
            if (present) {
                model_remove(place);
            }
        } else {
            value = random_bytes_of(&random, value_buffer, BYTES_MAX, 3);
            assert_true(ordered_map_put(map, key, value));
            model_put(key, value);
        }
        key = random_bytes_of(&random, key_buffer, key_most, letters);
        place = model_place(key);
        present = model_has(place, key);
        assert_int_equal(ordered_map_get(map, key, &value), present);
        if (present) {
            assert_true(bytes_view_equal(value, value_of(&model[place])));
        }
        check_seek(map, key);
        if (turn % 101 == 0) {
            check_whole_map(map);
        }
        if (turn == turns / 2) {
            ordered_map_clear(map);
            model_count = 0;
            assert_int_equal(ordered_map_bytes(map), 0);
            check_whole_map(map);
        }
    }
    ordered_map_destroy(map);
}

static void test_few_keys(void **state)
{
    (void)state;
    run_against_model(1, 3, 3, 20000);
}

static void test_many_keys(void **state)
{
    (void)state;
    run_against_model(2, 12, 3, 20000);
}

/* Order of insertion: 0 ascending, 1 descending, 2 from both ends inwards. */
static uint32_t nth_key(uint32_t i, uint32_t count, int order)
{
    if (order == 0) {
        return i;
    }
    return order == 1 ? count - 1 - i : i % 2 == 0 ? i / 2 : count - 1 - i / 2;
}

static struct bytes_view number_key(uint8_t buffer[4], uint32_t number)
{
    struct byte_writer writer;
    byte_writer_init(&writer, buffer, 4);
    byte_write_u32(&writer, number);
    return bytes_view_of(buffer, 4);
}

/* A degenerate tree would take 10^10 steps and fail the map's own check of its depth. */
static void test_hostile_orders(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    uint8_t buffer[4];
    struct bytes_view value, key;
    struct ordered_map *map = ordered_map_create((size_t)1 << 26);
    assert_non_null(map);
    for (int order = 0; order < 3; order++) {
        ordered_map_clear(map);
        for (uint32_t i = 0; i < COUNT; i++) {
            key = number_key(buffer, nth_key(i, COUNT, order));
            assert_true(ordered_map_put(map, key, key));
        }
        assert_int_equal(ordered_map_count(map), COUNT);
        for (uint32_t i = 0; i < COUNT; i += 2) {
            assert_true(ordered_map_remove(map, number_key(buffer, nth_key(i, COUNT, order))));
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            key = number_key(buffer, nth_key(i, COUNT, order));
            assert_int_equal(ordered_map_get(map, key, &value), i % 2);
            assert_true(i % 2 == 0 || bytes_view_equal(key, value));
        }
        for (uint32_t i = 1; i < COUNT; i += 2) {
            assert_true(ordered_map_remove(map, number_key(buffer, nth_key(i, COUNT, order))));
        }
        assert_int_equal(ordered_map_count(map), 0);
    }
    ordered_map_destroy(map);
}

/* Rollback logs point at old values: their bytes must outlive replacement and removal. */
static void test_old_bytes_stay(void **state)
{
    (void)state;
    struct ordered_map *map = ordered_map_create(1 << 16);
    struct bytes_view key = bytes_view_of("key", 3), first, second, now;
    assert_non_null(map);
    assert_true(ordered_map_put(map, key, bytes_view_of("first", 5)));
    assert_true(ordered_map_get(map, key, &first));
    assert_true(ordered_map_put(map, key, bytes_view_of("other", 5)));
    assert_true(ordered_map_get(map, key, &second));
    assert_true(ordered_map_remove(map, key));
    assert_true(ordered_map_put(map, key, bytes_view_of("third", 5)));
    assert_true(bytes_view_equal(first, bytes_view_of("first", 5)));
    assert_true(bytes_view_equal(second, bytes_view_of("other", 5)));
    /* And a rollback may put one back by the very view. */
    assert_true(ordered_map_put(map, key, first));
    assert_true(ordered_map_get(map, key, &now));
    assert_true(bytes_view_equal(now, bytes_view_of("first", 5)));
    ordered_map_destroy(map);
}

static void test_empty_key_and_value(void **state)
{
    (void)state;
    struct ordered_map *map = ordered_map_create(1 << 16);
    struct bytes_view nothing = {0}, key, value;
    assert_non_null(map);
    assert_false(ordered_map_get(map, nothing, &value));
    assert_false(ordered_map_remove(map, nothing));
    assert_true(ordered_map_put(map, nothing, nothing));
    assert_true(ordered_map_put(map, bytes_view_of("", 1), nothing));
    assert_int_equal(ordered_map_count(map), 2);
    assert_true(ordered_map_seek(map, nothing, true, &key, &value));
    assert_int_equal(key.size, 0);
    assert_true(ordered_map_seek(map, nothing, false, &key, &value));
    assert_int_equal(key.size, 1);
    assert_int_equal(value.size, 0);
    ordered_map_destroy(map);
}

static void test_full_arena_changes_nothing(void **state)
{
    (void)state;
    struct ordered_map *map = ordered_map_create(4096);
    uint8_t buffer[4];
    uint32_t held = 0;
    struct bytes_view value;
    assert_non_null(map);
    while (ordered_map_put(map, number_key(buffer, held), bytes_view_of("12345678", 8))) {
        held++;
        assert_true(held < 4096);
    }
    assert_true(held > 10);
    size_t bytes = ordered_map_bytes(map);
    assert_true(bytes <= 4096);
    static uint8_t large[5000];
    assert_false(ordered_map_put(map, number_key(buffer, 0), bytes_view_of(large, 4000)));
    value = (struct bytes_view){0};
    assert_false(ordered_map_put(map, bytes_view_of(large, sizeof large), value));
    assert_int_equal(ordered_map_count(map), held);
    assert_int_equal(ordered_map_bytes(map), bytes);
    for (uint32_t i = 0; i < held; i++) {
        assert_true(ordered_map_get(map, number_key(buffer, i), &value));
        assert_memory_equal(value.data, "12345678", 8);
    }
    ordered_map_clear(map);
    assert_true(ordered_map_put(map, number_key(buffer, 1), bytes_view_of(large, 100)));
    ordered_map_destroy(map);
}

static void test_no_room_at_all(void **state)
{
    (void)state;
    assert_null(ordered_map_create(0));
    assert_null(ordered_map_create(SIZE_MAX / 2));
    ordered_map_destroy(NULL);
    /* A gigabyte that nobody touches costs address space only. */
    struct ordered_map *map = ordered_map_create((size_t)1 << 30);
    assert_non_null(map);
    ordered_map_destroy(map);
}

/* Fills with `bytes`; how many pages of the arena the kernel holds then. */
static size_t fill_and_count(struct ordered_map *map, size_t bytes, size_t arena)
{
    static uint8_t large[4096], held[1 << 14];
    uint8_t buffer[4];
    struct bytes_view value = {0};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    ordered_map_clear(map);
    for (uint32_t i = 0; ordered_map_bytes(map) < bytes; i++) {
        assert_true(
            ordered_map_put(map, number_key(buffer, i), bytes_view_of(large, sizeof large)));
    }
    /* The first value lies in the arena's first pages. */
    assert_true(ordered_map_get(map, number_key(buffer, 0), &value));
    uint8_t *start = (uint8_t *)((uintptr_t)value.data / page * page);
    size_t count = 0;
    assert_true(arena / page <= sizeof held);
    assert_int_equal(mincore(start, arena - 8 * page, held), 0);
    for (size_t i = 0; i < arena / page - 8; i++) {
        count += held[i] & 1;
    }
    return count;
}

/* One large fill is forgotten, and fills that are alike keep what they have. */
static void test_memory_goes_back(void **state)
{
    enum { ARENA = 32 * 1024 * 1024, LARGE = 24 * 1024 * 1024, SMALL = 256 * 1024 };
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    (void)state;
    struct ordered_map *map = ordered_map_create(ARENA);
    assert_non_null(map);
    for (int i = 0; i < 20; i++) {
        assert_true(fill_and_count(map, LARGE, ARENA) >= LARGE / page - 8);
    }
    /* Kept for the next large one, for a while. */
    assert_true(fill_and_count(map, SMALL, ARENA) >= LARGE / page - 8);
    assert_true(fill_and_count(map, SMALL, ARENA) >= LARGE / page - 8);
    size_t count = 0;
    for (int i = 0; i < 60; i++) {
        count = fill_and_count(map, SMALL, ARENA);
    }
    assert_true(count <= (2 * 1024 * 1024 + SMALL) / page);
    assert_true(fill_and_count(map, LARGE, ARENA) >= LARGE / page - 8);
    ordered_map_destroy(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_keys),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_hostile_orders),
        cmocka_unit_test(test_old_bytes_stay),
        cmocka_unit_test(test_empty_key_and_value),
        cmocka_unit_test(test_full_arena_changes_nothing),
        cmocka_unit_test(test_no_room_at_all),
        cmocka_unit_test(test_memory_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
