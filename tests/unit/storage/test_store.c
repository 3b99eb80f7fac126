/* The chain database: what was committed is there after a restart, after kill -9 at any moment, and
 * only whole; flipped bytes are noticed; a full map or disk changes nothing; one process at a time. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "storage/store_internal.h"
#include "tests/lib/storage/blocks.h"
#include "tests/lib/temp_dir.h"

struct setting {
    char directory[TEMP_PATH_SIZE];
    struct store_config config;
    struct blocks blocks;
};

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    temp_dir_make(setting->directory);
    setting->config.directory = setting->directory;
    setting->config.map_bytes = (size_t)64 << 20;
    setting->config.genesis = blocks_genesis();
    setting->config.disk_reserve = 1 << 20;
    blocks_init(&setting->blocks);
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    blocks_free(&setting->blocks);
    temp_dir_remove(setting->directory);
    free(setting);
    return 0;
}

static struct store *open_good(const struct setting *setting)
{
    struct store *store = NULL;
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    return store;
}

static enum store_result commit_next(struct setting *setting, struct store *store, size_t padding)
{
    return store_commit(
        store, blocks_next(&setting->blocks, store_tip(store), store_state_base(store), padding));
}

/* Equal in what is stored of a tip. */
static void assert_same_tip(const struct store_tip *a, const struct store_tip *b)
{
    uint8_t bytes_a[STORE_TIP_BYTES_MAX];
    uint8_t bytes_b[STORE_TIP_BYTES_MAX];
    const size_t size = store_tip_encode(bytes_a, a);
    assert_int_equal(store_tip_encode(bytes_b, b), size);
    assert_memory_equal(bytes_a, bytes_b, size);
}

/* --- what is committed is there ----------------------------------------------------------------- */

static void test_commits_survive_reopening(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_good(setting);
    assert_false(store_tip(store)->has_genesis);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 5; i++) {
            assert_int_equal(commit_next(setting, store, 50), STORE_OK);
        }
        blocks_check_all(store);
        const struct store_tip before = *store_tip(store);
        store_close(store);
        store = open_good(setting);
        assert_same_tip(store_tip(store), &before);
        blocks_check_all(store);
    }
    assert_int_equal(store_tip(store)->height, 19);
    store_close(store);
}

static void test_snapshots_keep_their_height(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_good(setting);
    struct store_block block;
    struct bytes_view value;
    bool found = false;
    assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    struct store_snapshot *old = store_snapshot_begin(store);
    assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    assert_int_equal(store_snapshot_tip(old)->height, 1);
    assert_int_equal(store_snapshot_block(old, 2, &block), STORE_ABSENT);
    const struct state_base *base = store_snapshot_base(old);
    assert_true(base->get(base->context, bytes_view_of("last", 4), &found, &value));
    assert_true(found && bytes_view_equal(value, bytes_view_of("value/1", 7)));
    base = store_state_base(store);
    assert_true(base->get(base->context, bytes_view_of("last", 4), &found, &value));
    assert_true(found && bytes_view_equal(value, bytes_view_of("value/2", 7)));
    store_snapshot_end(old);
    store_close(store);
}

static void test_walks_over_the_base(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_good(setting);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    }
    const struct state_base *base = store_state_base(store);
    const struct bytes_view prefix = bytes_view_of("key/", 4);
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    bool found = false;
    struct bytes_view value;
    assert_true(
        base->next(base->context, prefix, bytes_view_of(NULL, 0), &found, key, &size, &value));
    assert_true(found);
    assert_memory_equal(key, "key/3", 5);
    assert_true(
        base->next(base->context, prefix, bytes_view_of(key, size), &found, key, &size, &value));
    assert_true(found);
    assert_memory_equal(key, "key/4", 5);
    assert_true(bytes_view_equal(value, bytes_view_of("value/4", 7)));
    assert_true(
        base->next(base->context, prefix, bytes_view_of(key, size), &found, key, &size, &value));
    assert_false(found);
    assert_true(
        base->next(base->context, prefix, bytes_view_of("a", 1), &found, key, &size, &value));
    assert_true(found);
    assert_memory_equal(key, "key/3", 5);
    store_close(store);
}

/* --- one process, one chain ---------------------------------------------------------------------- */

static void child_opens(void *context)
{
    const struct setting *setting = context;
    struct store *store = NULL;
    _exit((int)store_open(&store, &setting->config));
}

static void test_a_second_process_is_locked_out(void **state)
{
    struct setting *setting = *state;
    struct store *second = NULL;
    /* The child first, so that no environment is open across the fork. */
    int ready[2];
    int done[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        struct store *store = NULL;
        const enum store_result result = store_open(&store, &setting->config);
        (void)!write(ready[1], &byte, 1);
        (void)!read(done[0], &byte, 1);
        store_close(store);
        _exit((int)result);
    }
    char byte = 0;
    int status = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(store_open(&second, &setting->config), STORE_LOCKED);
    assert_null(second);
    assert_int_equal(temp_fork(child_opens, setting), STORE_LOCKED);
    assert_int_equal(write(done[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct store *store = open_good(setting);
    assert_int_equal(store_open(&second, &setting->config), STORE_LOCKED);
    store_close(store);
}

static void test_another_chain_is_a_mismatch(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_good(setting);
    store_close(store);
    setting->config.genesis.bytes[31] ^= 1;
    assert_int_equal(store_open(&store, &setting->config), STORE_MISMATCH);
    assert_null(store);
    setting->config.genesis.bytes[31] ^= 1;
    store_close(open_good(setting));
    temp_file_write(setting->directory, "data.mdb", "This is no database at all.", 27);
    assert_int_not_equal(store_open(&store, &setting->config), STORE_OK);
    assert_null(store);
}

static void test_an_unusable_directory_is_a_fault(void **state)
{
    struct setting *setting = *state;
    struct store *store = NULL;
    setting->config.directory = "/dev/null/store";
    assert_int_equal(store_open(&store, &setting->config), STORE_FAULT);
    assert_null(store);
}

/* --- kill -9 -------------------------------------------------------------------------------------- */

/* Commits for ever; tells each height once store_commit has returned. */
static void commit_for_ever(struct setting *setting, int out)
{
    struct store *store = NULL;
    if (store_open(&store, &setting->config) != STORE_OK) {
        _exit(1);
    }
    for (;;) {
        if (commit_next(setting, store, 100) != STORE_OK) {
            _exit(2);
        }
        const uint64_t height = store_tip(store)->height;
        if (write(out, &height, sizeof height) != (ssize_t)sizeof height) {
            _exit(3);
        }
    }
}

static void test_kill_at_any_moment_loses_nothing(void **state)
{
    struct setting *setting = *state;
    uint64_t told = 0;
    bool any = false;
    for (useconds_t round = 0; round < 12; round++) {
        int pipes[2];
        int status = 0;
        uint64_t height = 0;
        assert_int_equal(pipe(pipes), 0);
        const pid_t child = fork();
        if (child == 0) {
            (void)close(pipes[0]);
            commit_for_ever(setting, pipes[1]);
        }
        (void)close(pipes[1]);
        /* The first commit of a round may take its time; what is killed comes at any moment after. */
        assert_int_equal(read(pipes[0], &height, sizeof height), sizeof height);
        (void)usleep(1000 + round * 3137);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        do {
            assert_true(!any || height == told + 1 || height == told + 2);
            told = height;
            any = true;
        } while (read(pipes[0], &height, sizeof height) == (ssize_t)sizeof height);
        (void)close(pipes[0]);
        struct store *store = open_good(setting);
        if (any) {
            const uint64_t found = store_tip(store)->height;
            assert_true(found == told || found == told + 1);
            blocks_check_all(store);
            told = found;
        }
        store_close(store);
    }
    assert_true(any && told >= 11);
}

/* --- flipped bytes --------------------------------------------------------------------------------- */

static size_t find_bytes(const unsigned char *in, size_t in_size, const void *what, size_t size,
                         size_t from)
{
    for (size_t at = from; at + size <= in_size; at++) {
        if (memcmp(in + at, what, size) == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

/* Flips one byte of every copy of `what` in the file, opens, and hands the store to `look`. */
static void flip_and_look(struct setting *setting, const void *what, size_t size,
                          void (*look)(enum store_result opened, struct store *store))
{
    size_t file_size = 0;
    unsigned char *whole = temp_file_read(setting->directory, "data.mdb", &file_size);
    unsigned char *flipped = malloc(file_size);
    size_t hits = 0;
    memcpy(flipped, whole, file_size);
    for (size_t at = find_bytes(whole, file_size, what, size, 0); at != SIZE_MAX;
         at = find_bytes(whole, file_size, what, size, at + 1)) {
        flipped[at + size / 2] ^= 0x10;
        hits++;
    }
    assert_true(hits > 0);
    temp_file_write(setting->directory, "data.mdb", flipped, file_size);
    struct store *store = NULL;
    const enum store_result opened = store_open(&store, &setting->config);
    look(opened, store);
    store_close(store);
    temp_file_write(setting->directory, "data.mdb", whole, file_size);
    free(flipped);
    free(whole);
}

static void look_tip_corrupt(enum store_result opened, struct store *store)
{
    (void)store;
    assert_int_equal(opened, STORE_CORRUPT);
}

/* The state tree is computed from the records at the opening, so a damaged one is met there. */
static void look_state_corrupt(enum store_result opened, struct store *store)
{
    (void)store;
    assert_int_equal(opened, STORE_CORRUPT);
}

static void look_body_corrupt(enum store_result opened, struct store *store)
{
    struct store_block block;
    assert_int_equal(opened, STORE_OK);
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    assert_int_equal(store_snapshot_block(snapshot, 3, &block), STORE_CORRUPT);
    assert_int_equal(store_snapshot_block(snapshot, 2, &block), STORE_OK);
    store_snapshot_end(snapshot);
}

static void look_index_corrupt(enum store_result opened, struct store *store)
{
    const struct hash id = blocks_tx_id(4, 1);
    uint64_t height = 0;
    uint32_t index = 0;
    assert_int_equal(opened, STORE_OK);
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    /* A flipped key is another key: the record is not found, or not believed. */
    assert_int_not_equal(store_snapshot_transaction(snapshot, &id, &height, &index), STORE_OK);
    store_snapshot_end(snapshot);
}

static void test_flipped_bytes_are_noticed(void **state)
{
    struct setting *setting = *state;
    struct store *store = open_good(setting);
    uint8_t body[64];
    for (int i = 0; i < 6; i++) {
        assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    }
    const struct store_tip tip = *store_tip(store);
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    struct store_block block;
    assert_int_equal(store_snapshot_block(snapshot, 3, &block), STORE_OK);
    memcpy(body, block.body.data, sizeof body);
    store_snapshot_end(snapshot);
    store_close(store);
    /* The tip's id; a header (its root is the tip's); a value; a body; an index. */
    flip_and_look(setting, tip.block_id.bytes, HASH_SIZE, look_tip_corrupt);
    flip_and_look(setting, tip.state_root.bytes, HASH_SIZE, look_tip_corrupt);
    flip_and_look(setting, "value/4", 7, look_state_corrupt);
    flip_and_look(setting, body, sizeof body, look_body_corrupt);
    const struct hash tx_id = blocks_tx_id(4, 1);
    flip_and_look(setting, tx_id.bytes, HASH_SIZE, look_index_corrupt);
    store = open_good(setting);
    blocks_check_all(store);
    store_close(store);
}

/* --- full ------------------------------------------------------------------------------------------ */

static void test_a_full_map_changes_nothing(void **state)
{
    struct setting *setting = *state;
    enum store_result result = STORE_OK;
    setting->config.map_bytes = 512 << 10;
    setting->config.map_bytes_max = 512 << 10;
    struct store *store = open_good(setting);
    while (result == STORE_OK) {
        result = commit_next(setting, store, 1000);
        assert_true(store_tip(store)->height < 200);
    }
    assert_int_equal(result, STORE_FULL);
    const struct store_tip before = *store_tip(store);
    assert_int_equal(commit_next(setting, store, 1000), STORE_FULL);
    assert_same_tip(store_tip(store), &before);
    blocks_check_all(store);
    store_close(store);
    /* With more room, it goes on where it was. */
    setting->config.map_bytes_max = 0;
    store = open_good(setting);
    assert_same_tip(store_tip(store), &before);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(commit_next(setting, store, 1000), STORE_OK);
    }
    assert_int_equal(store_tip(store)->height, before.height + 100);
    blocks_check_all(store);
    store_close(store);
}

struct holder {
    struct store *store;
    struct store_snapshot *snapshot;
};

static void *hold_a_while(void *context)
{
    struct holder *holder = context;
    (void)usleep(300000);
    store_snapshot_end(holder->snapshot);
    return NULL;
}

static void test_a_map_grows_by_its_step_and_goes_on_after_a_larger_limit(void **state)
{
    struct setting *setting = *state;
    setting->config.map_bytes = 512 << 10;
    setting->config.map_bytes_step = 256 << 10;
    setting->config.map_bytes_max = 1152 << 10;
    struct store *store = open_good(setting);
    size_t sizes = 0;
    enum store_result result = STORE_OK;
    for (size_t before = store->map_bytes; result == STORE_OK; before = store->map_bytes) {
        result = commit_next(setting, store, 2000);
        assert_true(store->map_bytes == before || store->map_bytes == before + (256 << 10) ||
                    store->map_bytes == setting->config.map_bytes_max);
        sizes += store->map_bytes != before ? 1 : 0;
    }
    assert_int_equal(result, STORE_FULL);
    assert_int_equal(sizes, 3);
    assert_int_equal(store->map_bytes, setting->config.map_bytes_max);
    const struct store_tip before = *store_tip(store);
    blocks_check_all(store);
    store_close(store);
    setting->config.map_bytes_max = (size_t)64 << 20;
    store = open_good(setting);
    assert_same_tip(store_tip(store), &before);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(commit_next(setting, store, 2000), STORE_OK);
    }
    blocks_check_all(store);
    store_close(store);
}

static void test_growing_waits_for_snapshots(void **state)
{
    struct setting *setting = *state;
    pthread_t thread;
    setting->config.map_bytes = 256 << 10;
    struct store *store = open_good(setting);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    }
    struct holder holder = {.store = store, .snapshot = store_snapshot_begin(store)};
    assert_int_equal(pthread_create(&thread, NULL, hold_a_while, &holder), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(commit_next(setting, store, 1000), STORE_OK);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    blocks_check_all(store);
    /* One that never ends makes the commit wait its time, then fail without harm. */
    struct store_snapshot *forgotten = store_snapshot_begin(store);
    enum store_result result = STORE_OK;
    for (int i = 0; i < 200 && result == STORE_OK; i++) {
        result = commit_next(setting, store, 1000);
    }
    assert_int_equal(result, STORE_FULL);
    store_snapshot_end(forgotten);
    assert_int_equal(commit_next(setting, store, 1000), STORE_OK);
    blocks_check_all(store);
    store_close(store);
}

static void test_a_disk_below_its_reserve_changes_nothing(void **state)
{
    struct setting *setting = *state;
    setting->config.disk_reserve = UINT64_MAX;
    struct store *store = open_good(setting);
    assert_int_equal(commit_next(setting, store, 0), STORE_FULL);
    assert_false(store_tip(store)->has_genesis);
    store_close(store);
    setting->config.disk_reserve = 1;
    store = open_good(setting);
    assert_int_equal(commit_next(setting, store, 0), STORE_OK);
    store_close(store);
}

/* A limit on the file's size stands in for a disk that fills up: LMDB's write itself fails. */
static void child_fills_the_disk(void *context)
{
    struct setting *setting = context;
    struct rlimit limit = {.rlim_cur = 600 << 10, .rlim_max = RLIM_INFINITY};
    struct store *store = NULL;
    enum store_result result = STORE_OK;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (store_open(&store, &setting->config) != STORE_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 200 && result == STORE_OK; i++) {
        result = commit_next(setting, store, 1000);
    }
    const uint64_t height = store_tip(store)->height;
    if (result == STORE_FAULT) {
        /* The write was cut off in its middle: a fault, which sticks. */
        _exit(store_commit(store, &setting->blocks.block) == STORE_FAULT ? 10 : 2);
    }
    if (result != STORE_FULL) {
        _exit(3);
    }
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || commit_next(setting, store, 1000) != STORE_OK ||
        store_tip(store)->height != height + 1) {
        _exit(4);
    }
    store_close(store);
    _exit(11);
}

static void test_a_failing_write_is_full_or_fault_and_harmless(void **state)
{
    struct setting *setting = *state;
    const int status = temp_fork(child_fills_the_disk, setting);
    assert_true(status == 10 || status == 11);
    struct store *store = open_good(setting);
    blocks_check_all(store);
    assert_int_equal(commit_next(setting, store, 1000), STORE_OK);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commits_survive_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_keep_their_height, setup, teardown),
        cmocka_unit_test_setup_teardown(test_walks_over_the_base, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_process_is_locked_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_chain_is_a_mismatch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unusable_directory_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_at_any_moment_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bytes_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_map_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_map_grows_by_its_step_and_goes_on_after_a_larger_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growing_waits_for_snapshots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_disk_below_its_reserve_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_failing_write_is_full_or_fault_and_harmless, setup,
                                        teardown),
    };
    log_open(stderr, "test", LOG_BROKEN, false);
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
