/* The forest of state trees (storage/forest.h) against crypto/state_tree.h, which keeps one tree in a store
 * by path and was written before it: the same root and the same nodes after every batch, and whatever else
 * is made, dropped or read meanwhile, trees that are held stay as they were and nothing is left behind. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/forest.h"
#include "tests/lib/crypto/node_store.h"
#include "tests/lib/random.h"
#include "tests/lib/temp_dir.h"

enum { BATCH_MAX = 48, HELD = 5 };

/* Keys that share long beginnings, if `tight`. */
static struct hash random_key(struct test_random *random, bool tight)
{
    static const unsigned bits[] = {0, 1, 2, 7, 8, 30, 31, 40};
    struct hash key = {{0}};
    if (!tight) {
        const uint64_t number = test_random_below(random, 600);
        hash_bytes(&key, HASH_DOMAIN_STATE_KEY, &number, sizeof number);
        return key;
    }
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (test_random_below(random, 2) == 1) {
            key.bytes[bits[i] / 8] |= (uint8_t)(0x80 >> bits[i] % 8);
        }
    }
    return key;
}

static size_t random_batch(struct test_random *random, struct state_tree_change *changes,
                           bool tight, unsigned delete_percent)
{
    const size_t wanted = test_random_below(random, BATCH_MAX + 1);
    size_t count = 0;
    for (size_t i = 0; i < wanted; i++) {
        struct state_tree_change change = {.key = random_key(random, tight)};
        bool fresh = true;
        for (size_t j = 0; j < count && fresh; j++) {
            fresh = !hash_equal(&changes[j].key, &change.key);
        }
        if (fresh) {
            change.absent = test_random_below(random, 100) < delete_percent;
            change.value.bytes[0] = (uint8_t)test_random_below(random, 3);
            changes[count++] = change;
        }
    }
    return count;
}

static struct forest *made(int directory_fd)
{
    struct forest *forest = forest_create(directory_fd);
    assert_non_null(forest);
    assert_int_equal(forest_count(forest), 0);
    return forest;
}

/* Every node of the model stands in the tree, and none beside them: their numbers agree. */
static void assert_same_nodes(const struct forest *forest, const struct forest_tree *tree,
                              const struct node_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        const struct node_store_entry *entry = &store->entries[i];
        struct state_tree_node node;
        forest_node(forest, tree, &node, &entry->path);
        assert_int_equal(node.kind, entry->node.kind);
        if (node.kind != STATE_TREE_EMPTY) {
            assert_memory_equal(&node.a, &entry->node.a, HASH_SIZE);
            assert_memory_equal(&node.b, &entry->node.b, HASH_SIZE);
        }
    }
}

/* A fork that comes to nothing: the same changes to begin with, then others on top. */
static void make_and_drop_fork(struct forest *forest, struct test_random *random,
                               const struct forest_tree *on, bool tight)
{
    struct state_tree_change changes[BATCH_MAX];
    struct forest_batch below = {0};
    struct forest_batch above = {0};
    const size_t before = forest_count(forest);
    size_t count = random_batch(random, changes, tight, 50);
    assert_true(forest_update(forest, &below, on, changes, count));
    count = random_batch(random, changes, tight, 50);
    assert_true(forest_update(forest, &above, &below.tree, changes, count));
    /* The parent first: a chain drops its forks in no particular order. */
    forest_discard(forest, &below);
    forest_discard(forest, &above);
    forest_batch_free(&below);
    forest_batch_free(&above);
    assert_int_equal(forest_count(forest), before);
}

static void run_batches(struct forest *forest, uint64_t seed, bool tight, unsigned batches)
{
    struct test_random random = {seed};
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct forest_tree tree = {0};
    struct forest_batch batch = {0};
    for (unsigned i = 0; i < batches; i++) {
        struct state_tree_change changes[BATCH_MAX];
        struct hash root;
        const size_t count = random_batch(&random, changes, tight, i / 20 % 2 == 0 ? 20 : 90);
        make_and_drop_fork(forest, &random, &tree, tight);
        assert_true(forest_update(forest, &batch, &tree, changes, count));
        tree = batch.tree;
        forest_commit(forest, &batch);
        node_store_next_batch(store);
        assert_true(state_tree_update(&face, &root, changes, count));
        assert_memory_equal(&root, &tree.hash, HASH_SIZE);
        assert_int_equal(forest_count(forest), node_store_node_count(store));
        assert_same_nodes(forest, &tree, store);
    }
    forest_batch_free(&batch);
    free(store);
}

static void test_same_trees_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 5; seed++) {
        struct forest *forest = made(-1);
        run_batches(forest, seed, seed % 2 == 0, 200);
        forest_release(forest);
    }
}

static void test_in_a_scratch_file(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE];
    temp_dir_make(directory);
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct forest *forest = made(fd);
    run_batches(forest, 9, false, 60);
    /* It has no name: nothing is left behind, whatever becomes of the process. */
    (void)close(fd);
    assert_int_equal(rmdir(directory), 0);
    forest_release(forest);
}

struct held {
    uint64_t height;
    struct forest_tree tree;
    struct node_store *nodes; /* as they were then */
};

static void release_held(struct forest *forest, struct held *held)
{
    assert_same_nodes(forest, &held->tree, held->nodes);
    forest_unpin(forest, held->height);
    free(held->nodes);
    held->nodes = NULL;
}

/* Trees that are pinned at random stay whole, however many commits go over them. */
static void test_pinned_trees_stay(void **state)
{
    (void)state;
    struct forest *forest = made(-1);
    struct test_random random = {77};
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct held held[HELD];
    struct forest_tree tree = {0};
    struct forest_batch batch = {0};
    memset(held, 0, sizeof held);
    for (uint64_t height = 1; height <= 300; height++) {
        struct state_tree_change changes[BATCH_MAX];
        struct hash root;
        const size_t count = random_batch(&random, changes, false, 40);
        assert_true(forest_update(forest, &batch, &tree, changes, count));
        forest_publish(forest, height, &batch.tree);
        if (test_random_below(&random, 10) == 0) { /* a commit that found no room, and again */
            forest_withdraw(forest, height);
            struct forest_tree none;
            assert_false(forest_pin(forest, height, &none));
            forest_publish(forest, height, &batch.tree);
        }
        tree = batch.tree;
        forest_commit(forest, &batch);
        node_store_next_batch(store);
        assert_true(state_tree_update(&face, &root, changes, count));
        assert_memory_equal(&root, &tree.hash, HASH_SIZE);
        struct held *slot = &held[test_random_below(&random, HELD)];
        if (slot->nodes != NULL) {
            release_held(forest, slot);
        } else {
            slot->height = height;
            slot->nodes = malloc(sizeof *store);
            assert_non_null(slot->nodes);
            memcpy(slot->nodes, store, sizeof *store);
            assert_true(forest_pin(forest, height, &slot->tree));
            assert_memory_equal(&slot->tree.hash, &root, HASH_SIZE);
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        if (held[i].nodes != NULL) {
            release_held(forest, &held[i]);
        }
    }
    /* Heights that can no longer be pinned give their nodes back. */
    for (uint64_t height = 301; height <= 310; height++) {
        assert_true(forest_update(forest, &batch, &tree, NULL, 0));
        forest_publish(forest, height, &batch.tree);
        forest_commit(forest, &batch);
    }
    struct forest_tree none;
    assert_false(forest_pin(forest, 300, &none));
    struct state_tree_change one = {.key = random_key(&random, true)};
    assert_true(forest_update(forest, &batch, &tree, &one, 1));
    forest_discard(forest, &batch);
    assert_int_equal(forest_count(forest), node_store_node_count(store));
    forest_batch_free(&batch);
    free(store);
    forest_release(forest);
}

enum { READERS = 2, READ_KEYS = 64, READ_HEIGHTS = 400 };

struct shared {
    struct forest *forest;
    _Atomic uint64_t height; /* the last one committed; 0: none yet */
    _Atomic bool ended;
    _Atomic uint32_t trees_read;
};

static bool node_of(void *context, struct state_tree_node *out, const struct state_tree_path *path)
{
    const void *const *both = context;
    forest_node(both[0], both[1], out, path);
    return true;
}

/* Proves every key in the latest tree, over and over. */
static void *read_on(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->ended)) {
        struct forest_tree tree;
        const uint64_t height = atomic_load(&shared->height);
        if (height == 0 || !forest_pin(shared->forest, height, &tree)) {
            continue;
        }
        const void *both[] = {shared->forest, &tree};
        const struct state_tree_store face = {.context = both, .get = node_of};
        for (uint32_t i = 0; i < READ_KEYS; i++) {
            static _Thread_local struct state_tree_proof proof;
            struct hash key;
            hash_bytes(&key, HASH_DOMAIN_STATE_KEY, &i, sizeof i);
            assert_true(state_tree_prove(&face, &proof, &key));
            const struct hash *value = proof.end == STATE_TREE_LEAF ? &proof.end_value : NULL;
            assert_true(state_tree_verify(&proof, &tree.hash, &key, value));
        }
        forest_unpin(shared->forest, height);
        atomic_fetch_add(&shared->trees_read, 1);
    }
    return NULL;
}

/* The owner changes every key at each height while others read the trees before. */
static void test_readers_need_no_lock(void **state)
{
    (void)state;
    struct shared shared = {.forest = made(-1)};
    struct forest_batch batch = {0};
    struct forest_tree tree = {0};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &shared), 0);
    }
    /* At least so many heights, and until each could have been met by somebody. */
    for (uint64_t height = 1; height <= READ_HEIGHTS || atomic_load(&shared.trees_read) < READERS;
         height++) {
        struct state_tree_change changes[READ_KEYS];
        memset(changes, 0, sizeof changes);
        for (uint32_t i = 0; i < READ_KEYS; i++) {
            hash_bytes(&changes[i].key, HASH_DOMAIN_STATE_KEY, &i, sizeof i);
            hash_bytes(&changes[i].value, HASH_DOMAIN_STATE_VALUE, &height, sizeof height);
        }
        assert_true(forest_update(shared.forest, &batch, &tree, changes, READ_KEYS));
        forest_publish(shared.forest, height, &batch.tree);
        tree = batch.tree;
        forest_commit(shared.forest, &batch);
        atomic_store(&shared.height, height);
    }
    atomic_store(&shared.ended, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    forest_batch_free(&batch);
    forest_release(shared.forest);
}

static void test_more_than_one_segment(void **state)
{
    (void)state;
    enum { RECORDS = 50000 };
    struct forest *forest = made(-1);
    struct state_tree_change *changes = calloc(RECORDS, sizeof changes[0]);
    struct forest_batch at_once = {0};
    struct forest_batch half[2];
    const struct forest_tree nothing = {0};
    assert_non_null(changes);
    memset(half, 0, sizeof half);
    for (uint32_t i = 0; i < RECORDS; i++) {
        hash_bytes(&changes[i].key, HASH_DOMAIN_STATE_KEY, &i, sizeof i);
        changes[i].value = changes[i].key;
    }
    assert_true(forest_update(forest, &half[0], &nothing, changes, RECORDS / 2));
    assert_true(forest_update(forest, &half[1], &half[0].tree, changes + RECORDS / 2,
                              RECORDS - RECORDS / 2));
    assert_true(forest_update(forest, &at_once, &nothing, changes, RECORDS));
    assert_memory_equal(&half[1].tree.hash, &at_once.tree.hash, HASH_SIZE);
    assert_true(forest_count(forest) > 2 * RECORDS);
    forest_discard(forest, &half[1]);
    forest_discard(forest, &half[0]);
    forest_discard(forest, &at_once);
    assert_int_equal(forest_count(forest), 0);
    forest_batch_free(&half[0]);
    forest_batch_free(&half[1]);
    forest_batch_free(&at_once);
    free(changes);
    forest_release(forest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_trees_as_the_model), cmocka_unit_test(test_in_a_scratch_file),
        cmocka_unit_test(test_pinned_trees_stay),       cmocka_unit_test(test_readers_need_no_lock),
        cmocka_unit_test(test_more_than_one_segment),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
