/* Loading a state into an empty store, and pruning: what counts when, and what is still there.
 *
 * The model is a second store that committed the same entries block by block: a loaded store must
 * have its root and its entries, and go on from there as it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/store_internal.h"
#include "tests/lib/random.h"
#include "tests/lib/storage/blocks.h"
#include "tests/lib/temp_dir.h"

enum { ENTRIES_MAX = 1024, BLOCKS = 40 };

struct copy {
    uint8_t keys[ENTRIES_MAX][LIMIT_STATE_KEY_BYTES];
    uint8_t values[ENTRIES_MAX][LIMIT_STATE_VALUE_BYTES];
    struct store_entry entries[ENTRIES_MAX];
    size_t count;
};

struct setting {
    char model_directory[TEMP_PATH_SIZE];
    char directory[TEMP_PATH_SIZE];
    struct store *model;
    struct blocks blocks;
    struct copy copy;
};

static struct store *open_store(const char *directory)
{
    const struct store_config config = {.directory = directory,
                                        .map_bytes = (size_t)256 << 10,
                                        .genesis = blocks_genesis(),
                                        .disk_reserve = 1 << 20};
    struct store *store = NULL;
    assert_int_equal(store_open(&store, &config), STORE_OK);
    return store;
}

static void commit_next(struct setting *setting, struct store *store)
{
    assert_int_equal(store_commit(store, blocks_next(&setting->blocks, store_tip(store),
                                                     store_state_base(store), 100)),
                     STORE_OK);
}

/* All entries of the model, in random order: a load must not depend on it. */
static void take_copy(struct setting *setting, struct test_random *random)
{
    const struct state_base *base = store_state_base(setting->model);
    struct copy *copy = &setting->copy;
    struct bytes_view after = {NULL, 0};
    copy->count = 0;
    for (;;) {
        struct store_entry *entry = &copy->entries[copy->count];
        struct bytes_view value;
        size_t size = 0;
        bool found = false;
        assert_true(copy->count < ENTRIES_MAX);
        assert_true(base->next(base->context, bytes_view_of(NULL, 0), after, &found,
                               copy->keys[copy->count], &size, &value));
        if (!found) {
            break;
        }
        memcpy(copy->values[copy->count], value.data, value.size);
        entry->key = bytes_view_of(copy->keys[copy->count], size);
        entry->value = bytes_view_of(copy->values[copy->count], value.size);
        after = entry->key;
        copy->count++;
    }
    for (size_t i = copy->count; i > 1; i--) {
        const size_t other = test_random_below(random, i);
        const struct store_entry swap = copy->entries[i - 1];
        copy->entries[i - 1] = copy->entries[other];
        copy->entries[other] = swap;
    }
}

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    struct test_random random = {1};
    temp_dir_make(setting->model_directory);
    temp_dir_make(setting->directory);
    blocks_init(&setting->blocks);
    setting->model = open_store(setting->model_directory);
    for (int i = 0; i <= BLOCKS; i++) {
        commit_next(setting, setting->model);
    }
    take_copy(setting, &random);
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    store_close(setting->model);
    blocks_free(&setting->blocks);
    temp_dir_remove(setting->model_directory);
    temp_dir_remove(setting->directory);
    free(setting);
    return 0;
}

/* In parts of random size, up to `limit` entries. */
static void load_entries(struct setting *setting, struct store *store, size_t limit)
{
    struct test_random random = {7};
    for (size_t at = 0; at < limit;) {
        size_t count = 1 + test_random_below(&random, 9);
        count = count > limit - at ? limit - at : count;
        assert_int_equal(store_load_entries(store, setting->copy.entries + at, count), STORE_OK);
        at += count;
    }
}

static void log_below(struct merkle_frontier *out, struct store_snapshot *snapshot)
{
    struct hash id = blocks_genesis();
    struct hash leaf;
    merkle_frontier_init(out);
    for (uint64_t height = 0; height < BLOCKS; height++) {
        struct store_block block;
        struct block_header header;
        if (height > 0) {
            assert_int_equal(store_snapshot_header(snapshot, height, &block), STORE_OK);
            assert_true(block_header_decode(&header, block.header));
            block_header_id(&id, &header);
        }
        hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
        merkle_frontier_append(out, &leaf);
    }
}

static enum store_result finish_with(const struct setting *setting, struct store *store, bool spoil)
{
    struct store_snapshot *snapshot = store_snapshot_begin(setting->model);
    struct store_block block;
    struct merkle_frontier below;
    log_below(&below, snapshot);
    below.peaks[0].bytes[5] ^= spoil;
    assert_int_equal(store_snapshot_header(snapshot, BLOCKS, &block), STORE_OK);
    const enum store_result result = store_load_finish(store, store_tip(setting->model), &below,
                                                       block.header, block.certificate);
    store_snapshot_end(snapshot);
    return result;
}

static enum store_result finish(const struct setting *setting, struct store *store)
{
    return finish_with(setting, store, false);
}

static void load_headers(const struct setting *setting, struct store *store)
{
    struct store_snapshot *snapshot = store_snapshot_begin(setting->model);
    for (uint64_t height = 11; height <= 12; height++) {
        struct store_block block;
        assert_int_equal(store_snapshot_header(snapshot, height, &block), STORE_OK);
        assert_int_equal(store_load_header(store, block.header, block.certificate), STORE_OK);
    }
    store_snapshot_end(snapshot);
}

static void assert_same_state(struct setting *setting, struct store *store)
{
    const struct state_base *base = store_state_base(store);
    assert_true(hash_equal(&store_tip(store)->state_root, &store_tip(setting->model)->state_root));
    for (size_t i = 0; i < setting->copy.count; i++) {
        struct bytes_view value;
        bool found = false;
        assert_true(base->get(base->context, setting->copy.entries[i].key, &found, &value));
        assert_true(found && bytes_view_equal(value, setting->copy.entries[i].value));
    }
}

static void assert_frontier(struct store *store, struct store_snapshot *original)
{
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    struct merkle_frontier found, wanted;
    assert_int_equal(store_snapshot_frontier(original, &found), STORE_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(store_snapshot_frontier(snapshot, &found), STORE_OK);
    log_below(&wanted, original);
    assert_int_equal(found.count, BLOCKS);
    for (int i = 0; i < __builtin_popcount(BLOCKS); i++) {
        assert_true(hash_equal(&found.peaks[i], &wanted.peaks[i]));
    }
    store_snapshot_end(snapshot);
}

/* What stays of the log below does not change as it grows, nor by being stored. */
static void test_the_log_below_stays(void **state)
{
    struct setting *setting = *state;
    struct store_snapshot *original = store_snapshot_begin(setting->model);
    struct store *store = open_store(setting->directory);
    bool more;
    load_entries(setting, store, setting->copy.count);
    assert_int_equal(finish_with(setting, store, true), STORE_CORRUPT);
    assert_false(store_tip(store)->has_genesis);
    assert_int_equal(finish(setting, store), STORE_OK);
    assert_frontier(store, original);
    for (int i = 0; i < 9; i++) {
        commit_next(setting, store);
    }
    assert_int_equal(store_prune(store, BLOCKS + 6, &more), STORE_OK);
    store_close(store);
    store = open_store(setting->directory);
    assert_frontier(store, original);
    store_close(store);
    store_snapshot_end(original);
}

static void assert_answers(struct store *store)
{
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    const struct store_floor floor = store_snapshot_floor(snapshot);
    struct store_block block;
    assert_int_equal(floor.headers, BLOCKS);
    assert_int_equal(floor.bodies, BLOCKS + 1);
    assert_int_equal(store_snapshot_block(snapshot, 0, &block), STORE_OK);
    assert_int_equal(store_snapshot_block(snapshot, 5, &block), STORE_PRUNED);
    assert_int_equal(block.header.size, 0);
    assert_int_equal(store_snapshot_block(snapshot, 12, &block), STORE_PRUNED);
    assert_int_equal(block.header.size, BLOCK_HEADER_SIZE);
    assert_int_equal(store_snapshot_header(snapshot, 11, &block), STORE_OK);
    assert_int_equal(store_snapshot_header(snapshot, BLOCKS, &block), STORE_OK);
    store_snapshot_end(snapshot);
}

static void test_a_load_goes_on_like_the_original(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_store(setting->directory);
    load_entries(setting, store, setting->copy.count);
    load_headers(setting, store);
    assert_int_equal(finish(setting, store), STORE_OK);
    assert_same_state(setting, store);
    assert_answers(store);
    store_close(store);
    store = open_store(setting->directory);
    assert_int_equal(store_tip(store)->height, BLOCKS);
    assert_same_state(setting, store);
    assert_answers(store);
    /* The same block on both: the tree that was loaded is the tree that was executed. */
    for (int i = 0; i < 5; i++) {
        commit_next(setting, setting->model);
        commit_next(setting, store);
        assert_true(hash_equal(&store_tip(store)->block_id, &store_tip(setting->model)->block_id));
        assert_true(
            hash_equal(&store_tip(store)->state_root, &store_tip(setting->model)->state_root));
    }
    store_close(store);
}

static void test_a_load_counts_only_when_finished(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_store(setting->directory);
    load_entries(setting, store, setting->copy.count - 1);
    load_headers(setting, store);
    /* One entry short: not the tip's root. */
    assert_int_equal(finish(setting, store), STORE_CORRUPT);
    assert_false(store_tip(store)->has_genesis);
    store_close(store);
    /* Opening throws it away, and the same load may begin again, or a genesis be written. */
    store = open_store(setting->directory);
    assert_false(store_tip(store)->has_genesis);
    load_entries(setting, store, setting->copy.count);
    assert_int_equal(store_load_discard(store), STORE_OK);
    commit_next(setting, store);
    assert_int_equal(store_tip(store)->height, 0);
    store_close(store);
}

struct dying {
    struct setting *setting;
    size_t entries;
};

static void load_and_die(void *context)
{
    const struct dying *dying = context;
    struct store *store = open_store(dying->setting->directory);
    load_entries(dying->setting, store, dying->entries);
    abort();
}

static void test_a_death_while_loading_leaves_an_empty_store(void **state)
{
    struct setting *setting = *state;
    for (size_t entries = 1; entries <= setting->copy.count; entries += 9) {
        struct dying dying = {setting, entries};
        assert_true(temp_fork(load_and_die, &dying) < 0);
        struct store *store = open_store(setting->directory);
        assert_false(store_tip(store)->has_genesis);
        store_close(store);
    }
    struct store *store = open_store(setting->directory);
    load_entries(setting, store, setting->copy.count);
    assert_int_equal(finish(setting, store), STORE_OK);
    assert_same_state(setting, store);
    store_close(store);
}

/* --- pruning --------------------------------------------------------------------------------- */

static void assert_pruned_to(struct store *store, uint64_t floor)
{
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    assert_int_equal(store_floor(store).bodies, floor);
    assert_int_equal(store_snapshot_floor(snapshot).bodies, floor);
    for (uint64_t height = 1; height <= store_tip(store)->height; height++) {
        struct store_block block;
        assert_int_equal(store_snapshot_block(snapshot, height, &block),
                         height < floor ? STORE_PRUNED : STORE_OK);
        assert_int_equal(block.header.size, BLOCK_HEADER_SIZE);
        assert_int_equal(store_snapshot_header(snapshot, height, &block), STORE_OK);
    }
    store_snapshot_end(snapshot);
}

static void test_pruning_keeps_what_is_above_the_floor(void **state)
{
    struct setting *setting = *state;
    bool more = true;
    struct store_block block;
    struct store_snapshot *before = store_snapshot_begin(setting->model);
    assert_pruned_to(setting->model, 1);
    assert_int_equal(store_prune(setting->model, 1, &more), STORE_OK);
    assert_pruned_to(setting->model, 1);
    assert_int_equal(store_prune(setting->model, 15, &more), STORE_OK);
    assert_false(more);
    assert_pruned_to(setting->model, 15);
    /* It never goes back, and the same again changes nothing. */
    assert_int_equal(store_prune(setting->model, 15, &more), STORE_OK);
    assert_int_equal(store_prune(setting->model, 3, &more), STORE_OK);
    assert_pruned_to(setting->model, 15);
    /* Who began to read before still sees it all. */
    assert_int_equal(store_snapshot_block(before, 1, &block), STORE_OK);
    assert_int_equal(store_snapshot_floor(before).bodies, 1);
    store_snapshot_end(before);
    store_close(setting->model);
    setting->model = open_store(setting->model_directory);
    assert_pruned_to(setting->model, 15);
    commit_next(setting, setting->model);
    /* The tip's own body stays, whatever is asked for. */
    assert_int_equal(store_prune(setting->model, UINT64_MAX, &more), STORE_OK);
    assert_pruned_to(setting->model, BLOCKS + 1);
}

static void test_pruning_takes_a_bounded_bite(void **state)
{
    struct setting *setting = *state;
    bool more = false;
    for (int i = 0; i < STORE_PRUNE_BLOCKS_MAX + 20; i++) {
        commit_next(setting, setting->model);
    }
    assert_int_equal(store_prune(setting->model, UINT64_MAX, &more), STORE_OK);
    assert_true(more);
    assert_pruned_to(setting->model, STORE_PRUNE_BLOCKS_MAX + 1);
    assert_int_equal(store_prune(setting->model, UINT64_MAX, &more), STORE_OK);
    assert_false(more);
    assert_pruned_to(setting->model, BLOCKS + STORE_PRUNE_BLOCKS_MAX + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_load_goes_on_like_the_original, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_load_counts_only_when_finished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_below_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_death_while_loading_leaves_an_empty_store, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_pruning_keeps_what_is_above_the_floor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_pruning_takes_a_bounded_bite, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
