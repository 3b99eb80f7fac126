/* The state tree: thousands of random batches against a slow model that computes the tree afresh
 * from the sorted set of entries, node by node.
 *
 * Half of the runs draw keys that agree in most of their bits, so that deep chains, leaves that move
 * down and leaves that move up are the rule and not the exception. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/state_tree.h"
#include "tests/lib/aborts.h"
#include "tests/lib/crypto/node_store.h"
#include "tests/lib/crypto/vectors.h"
#include "tests/lib/random.h"

enum { ENTRIES_MAX = 1024, BATCH_MAX = 64 };

/* --- The model: a sorted set, and the header's definition over it --- */

struct model_entry {
    struct hash key;
    struct hash value;
};

struct model {
    struct model_entry entries[ENTRIES_MAX];
    size_t count;
};

static size_t model_place(const struct model *model, const struct hash *key)
{
    size_t at = 0;
    while (at < model->count && hash_compare(&model->entries[at].key, key) < 0) {
        at++;
    }
    return at;
}

static const struct hash *model_get(const struct model *model, const struct hash *key)
{
    size_t at = model_place(model, key);
    bool found = at < model->count && hash_equal(&model->entries[at].key, key);
    return found ? &model->entries[at].value : NULL;
}

static void model_apply(struct model *model, const struct state_tree_change *change)
{
    size_t at = model_place(model, &change->key);
    bool found = at < model->count && hash_equal(&model->entries[at].key, &change->key);
    struct model_entry *entry = &model->entries[at];
    if (change->absent) {
        if (found) {
            memmove(entry, entry + 1, (--model->count - at) * sizeof *entry);
        }
        return;
    }
    if (!found) {
        assert_true(model->count < ENTRIES_MAX);
        memmove(entry + 1, entry, (model->count++ - at) * sizeof *entry);
        entry->key = change->key;
    }
    entry->value = change->value;
}

/* Hash of entries [first, first + count) as the subtree at `depth`; checks each node on the way
 * against the store, and counts them. */
static struct hash model_root(const struct model_entry *first, size_t count, unsigned depth,
                              struct node_store *store, size_t *nodes)
{
    struct hash out = {{0}};
    if (count == 0) {
        return out;
    }
    struct state_tree_node node = {STATE_TREE_LEAF, first->key, first->value};
    if (count > 1) {
        size_t left = 0;
        while (left < count && (first[left].key.bytes[depth / 8] & 0x80 >> depth % 8) == 0) {
            left++;
        }
        node.kind = STATE_TREE_BRANCH;
        node.a = model_root(first, left, depth + 1, store, nodes);
        node.b = model_root(first + left, count - left, depth + 1, store, nodes);
    }
    hash_pair(&out, count > 1 ? HASH_DOMAIN_STATE_NODE : HASH_DOMAIN_STATE_LEAF, hash_view(&node.a),
              hash_view(&node.b));
    if (store != NULL) {
        struct state_tree_path path = {{(uint8_t)(depth >> 8), (uint8_t)depth},
                                       2 + (depth + 7) / 8};
        memcpy(path.bytes + 2, first->key.bytes, (depth + 7) / 8);
        if (depth % 8 != 0) {
            path.bytes[path.size - 1] &= (uint8_t)(0xff << (8 - depth % 8));
        }
        const struct state_tree_node *stored = node_store_find(store, &path);
        assert_non_null(stored);
        assert_int_equal(stored->kind, node.kind);
        assert_true(hash_equal(&stored->a, &node.a) && hash_equal(&stored->b, &node.b));
        ++*nodes;
    }
    return out;
}

/* --- Random work --- */

/* `tight` keys differ in a few bits only, spread over the whole length. */
static struct hash random_key(struct test_random *random, bool tight)
{
    struct hash key = {{0}};
    if (!tight) {
        key.bytes[0] = (uint8_t)test_random_u64(random);
        key.bytes[1] = (uint8_t)test_random_below(random, 4); /* 1024 keys: they meet again */
        hash_bytes(&key, HASH_DOMAIN_STATE_KEY, key.bytes, HASH_SIZE);
        return key;
    }
    static const uint8_t bits[] = {0, 1, 8, 64, 128, 254, 255};
    for (size_t i = 0; i < sizeof bits; i++) {
        if (test_random_below(random, 2) == 1) {
            key.bytes[bits[i] / 8] |= (uint8_t)(0x80 >> bits[i] % 8);
        }
    }
    return key;
}

static size_t random_batch(struct test_random *random, struct state_tree_change *changes,
                           bool tight, unsigned delete_percent)
{
    size_t wanted = 1 + test_random_below(random, BATCH_MAX), count = 0;
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

static void apply_batch(struct node_store *store, struct model *model, struct hash *root,
                        struct state_tree_change *changes, size_t count)
{
    struct state_tree_store face = node_store_face(store);
    for (size_t i = 0; i < count; i++) {
        model_apply(model, &changes[i]);
    }
    node_store_next_batch(store);
    assert_true(state_tree_update(&face, root, changes, count));
}

static void run_batches(uint64_t seed, bool tight, unsigned batches)
{
    struct test_random random = {seed};
    struct node_store *store = node_store_create();
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    for (unsigned batch = 0; batch < batches; batch++) {
        struct state_tree_change changes[BATCH_MAX];
        /* Phases of growth and of decay, down to nothing at times. */
        unsigned delete_percent = batch / 20 % 2 == 0 ? 20 : 90;
        size_t count = random_batch(&random, changes, tight, delete_percent);
        struct hash root;
        apply_batch(store, model, &root, changes, count);
        size_t nodes = 0;
        struct hash expected = model_root(model->entries, model->count, 0, store, &nodes);
        assert_true(hash_equal(&root, &expected));
        /* The store holds the tree and no litter. */
        assert_int_equal(node_store_node_count(store), nodes);
    }
    assert_int_equal(store->reads_max, 1);
    assert_int_equal(store->writes_max, 1);
    free(model);
    free(store);
}

static void test_random_batches_wide(void **state)
{
    (void)state;
    run_batches(1, false, 800);
}

static void test_random_batches_tight(void **state)
{
    (void)state;
    for (uint64_t seed = 2; seed < 8; seed++) {
        run_batches(seed, true, 250);
    }
}

/* One by one, in one batch, backwards, with detours: the same set gives the same root. */
static void test_order_does_not_matter(void **state)
{
    (void)state;
    struct test_random random = {20};
    for (int turn = 0; turn < 30; turn++) {
        struct state_tree_change changes[BATCH_MAX], copy[BATCH_MAX];
        size_t count = random_batch(&random, changes, turn % 2 == 0, 0);
        struct node_store *at_once = node_store_create(), *one_by_one = node_store_create();
        struct state_tree_store a = node_store_face(at_once), b = node_store_face(one_by_one);
        struct hash root_a, root_b;
        memcpy(copy, changes, sizeof copy);
        assert_true(state_tree_update(&a, &root_a, copy, count));
        for (size_t i = 0; i < count; i++) {
            struct state_tree_change detour = changes[i];
            detour.key.bytes[31] ^= 0x10; /* a key that is not among them */
            assert_true(state_tree_update(&b, &root_b, &detour, 1));
            struct state_tree_change pair[2] = {changes[count - 1 - i], detour};
            pair[1].absent = true;
            assert_true(state_tree_update(&b, &root_b, pair, 2));
        }
        assert_true(hash_equal(&root_a, &root_b));
        assert_int_equal(node_store_node_count(at_once), node_store_node_count(one_by_one));
        free(at_once);
        free(one_by_one);
    }
}

static void test_empty_and_single(void **state)
{
    (void)state;
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct hash root, leaf;
    struct state_tree_change change = {.key = {{1}}, .value = {{2}}};
    assert_true(state_tree_update(&face, &root, NULL, 0));
    assert_true(hash_is_zero(&root));
    assert_true(state_tree_update(&face, &root, &change, 1));
    hash_pair(&leaf, HASH_DOMAIN_STATE_LEAF, hash_view(&change.key), hash_view(&change.value));
    assert_true(hash_equal(&root, &leaf));
    assert_true(state_tree_update(&face, &root, NULL, 0));
    assert_true(hash_equal(&root, &leaf));
    change.absent = true;
    assert_true(state_tree_update(&face, &root, &change, 1));
    assert_true(hash_is_zero(&root));
    assert_int_equal(node_store_node_count(store), 0);
    free(store);
}

/* Two keys that differ in the last bit stand 256 levels down; each goes up alone again. */
static void test_deepest_tree(void **state)
{
    (void)state;
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    struct state_tree_change changes[2] = {{.value = {{1}}}, {.key = {{0}}, .value = {{2}}}};
    changes[1].key.bytes[31] = 1;
    struct hash root, expected;
    size_t nodes = 0;
    apply_batch(store, model, &root, changes, 2);
    expected = model_root(model->entries, model->count, 0, store, &nodes);
    assert_true(hash_equal(&root, &expected));
    assert_int_equal(nodes, 258);
    assert_int_equal(node_store_node_count(store), 258);

    struct state_tree_proof proof;
    assert_true(state_tree_prove(&face, &proof, &changes[1].key));
    assert_int_equal(proof.count, STATE_TREE_DEPTH_MAX);
    assert_true(state_tree_verify(&proof, &root, &changes[1].key, &changes[1].value));

    changes[0].absent = true;
    apply_batch(store, model, &root, changes, 1);
    expected = model_root(model->entries, model->count, 0, NULL, NULL);
    assert_true(hash_equal(&root, &expected));
    assert_int_equal(node_store_node_count(store), 1);
    free(model);
    free(store);
}

/* --- Proofs --- */

static void check_encoding(const struct state_tree_proof *proof)
{
    static uint8_t bytes[2 + STATE_TREE_DEPTH_MAX * HASH_SIZE + 1 + 2 * HASH_SIZE];
    struct byte_writer writer;
    struct byte_reader reader;
    struct state_tree_proof decoded;
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_tree_proof_encode(proof, &writer);
    assert_false(writer.failed);
    byte_reader_init(&reader, bytes, writer.size);
    state_tree_proof_decode(&decoded, &reader);
    assert_true(byte_reader_done(&reader));
    assert_int_equal(decoded.count, proof->count);
    assert_int_equal(decoded.end, proof->end);
    assert_true(hash_equal(&decoded.end_key, &proof->end_key));
    assert_true(hash_equal(&decoded.end_value, &proof->end_value));
    if (proof->count > 0) {
        assert_memory_equal(decoded.siblings, proof->siblings, proof->count * sizeof(struct hash));
    }
    for (size_t size = 0; size < writer.size; size++) {
        byte_reader_init(&reader, bytes, size);
        state_tree_proof_decode(&decoded, &reader);
        assert_true(reader.failed);
    }
}

static void check_proof(const struct state_tree_store *face, const struct model *model,
                        const struct hash *root, const struct hash *key, struct test_random *random)
{
    struct state_tree_proof proof;
    const struct hash *value = model_get(model, key);
    struct hash other = value != NULL ? *value : (struct hash){{1}};
    other.bytes[9] ^= 4;
    assert_true(state_tree_prove(face, &proof, key));
    assert_true(state_tree_verify(&proof, root, key, value));
    /* The proof says one thing only. */
    assert_false(state_tree_verify(&proof, root, key, &other));
    if (value != NULL) {
        assert_false(state_tree_verify(&proof, root, key, NULL));
    }
    check_encoding(&proof);

    struct hash bad_root = *root;
    bad_root.bytes[test_random_below(random, HASH_SIZE)] ^= 0x20;
    assert_false(state_tree_verify(&proof, &bad_root, key, value));
    if (proof.count > 0) {
        struct state_tree_proof bad = proof;
        bad.siblings[test_random_below(random, bad.count)].bytes[5] ^= 1;
        assert_false(state_tree_verify(&bad, root, key, value));
        bad = proof;
        bad.count--;
        assert_false(state_tree_verify(&bad, root, key, value));
    }
    if (proof.end == STATE_TREE_LEAF) {
        struct state_tree_proof bad = proof;
        bad.end_value.bytes[0] ^= 1;
        assert_false(state_tree_verify(&bad, root, key, value));
        bad = proof;
        bad.end = STATE_TREE_EMPTY;
        assert_false(state_tree_verify(&bad, root, key, NULL));
    }
    proof.end = STATE_TREE_BRANCH;
    assert_false(state_tree_verify(&proof, root, key, value));
}

static void test_proofs(void **state)
{
    (void)state;
    struct test_random random = {30};
    for (unsigned turn = 0; turn < 24; turn++) {
        bool tight = turn % 2 == 0;
        struct node_store *store = node_store_create();
        struct model *model = calloc(1, sizeof *model);
        assert_non_null(model);
        struct state_tree_store face = node_store_face(store);
        struct hash root = {{0}};
        for (unsigned batch = 0; batch < turn / 2; batch++) {
            struct state_tree_change changes[BATCH_MAX];
            size_t count = random_batch(&random, changes, tight, 30);
            apply_batch(store, model, &root, changes, count);
        }
        for (int i = 0; i < 60; i++) {
            struct hash key = random_key(&random, tight);
            bool present = model->count > 0 && i % 2 == 0;
            if (present) {
                key = model->entries[test_random_below(&random, model->count)].key;
            }
            check_proof(&face, model, &root, &key, &random);
        }
        free(model);
        free(store);
    }
}

/* A leaf from elsewhere in the tree must not pass as what stands in an absent key's place. */
static void test_absence_needs_the_right_place(void **state)
{
    (void)state;
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct state_tree_change changes[2] = {{.key = {{0x00}}, .value = {{1}}},
                                           {.key = {{0x80}}, .value = {{2}}}};
    struct hash root, right = changes[1].key, absent = {{0x01}};
    struct state_tree_proof proof;
    assert_true(state_tree_update(&face, &root, changes, 2));
    /* The proof for the right-hand key shows a leaf at the right. It must not show that a key on
     * the left is absent, nor that the key it holds itself is. */
    assert_true(state_tree_prove(&face, &proof, &right));
    assert_false(state_tree_verify(&proof, &root, &absent, NULL));
    assert_false(state_tree_verify(&proof, &root, &right, NULL));
    assert_true(state_tree_prove(&face, &proof, &absent));
    assert_true(state_tree_verify(&proof, &root, &absent, NULL));
    free(store);
    /* The same nine levels down, where whole bytes of the prefix have to agree. */
    struct state_tree_change deep[2] = {{.key = {{0x55, 0x00}}, .value = {{1}}},
                                        {.key = {{0x55, 0x80}}, .value = {{2}}}};
    struct hash elsewhere = {{0x54, 0x00}};
    store = node_store_create();
    face = node_store_face(store);
    assert_true(state_tree_update(&face, &root, deep, 2));
    assert_true(state_tree_prove(&face, &proof, &deep[0].key));
    assert_int_equal(proof.count, 9);
    assert_false(state_tree_verify(&proof, &root, &elsewhere, NULL));
    free(store);
}

/* A root that is no tree's, made to hold a leaf where its key does not lead: a light client that
 * took it for absence would trust whoever made it up. */
static void test_leaf_out_of_place_shows_nothing(void **state)
{
    (void)state;
    struct state_tree_proof proof = {.count = 1, .end = STATE_TREE_LEAF, .end_key = {{0x80}}};
    struct hash left = {{0x00}}, leaf, root;
    hash_pair(&leaf, HASH_DOMAIN_STATE_LEAF, hash_view(&proof.end_key),
              hash_view(&proof.end_value));
    hash_pair(&root, HASH_DOMAIN_STATE_NODE, hash_view(&leaf), hash_view(&proof.siblings[0]));
    assert_false(state_tree_verify(&proof, &root, &left, NULL));
}

/* Values put again as they are, and keys removed that are not there: nothing is written. */
static void test_no_change_writes_nothing(void **state)
{
    (void)state;
    struct test_random random = {60};
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct state_tree_change changes[BATCH_MAX];
    struct hash before, after;
    size_t count = random_batch(&random, changes, false, 0);
    assert_true(state_tree_update(&face, &before, changes, count));
    assert_int_equal(store->writes_max, 1);
    store->writes_max = 0;
    for (size_t i = 0; i < count; i += 2) {
        changes[i].key.bytes[31] ^= 1;
        changes[i].absent = true;
    }
    node_store_next_batch(store);
    assert_true(state_tree_update(&face, &after, changes, count));
    assert_true(hash_equal(&before, &after));
    assert_int_equal(store->writes_max, 0);
    free(store);
}

static void test_bad_proof_bytes(void **state)
{
    (void)state;
    struct state_tree_proof proof;
    struct byte_reader reader;
    const uint8_t too_deep[] = {1, 1}, branch_end[] = {0, 0, 2}, unknown_end[] = {0, 0, 9};
    byte_reader_init(&reader, too_deep, sizeof too_deep);
    state_tree_proof_decode(&proof, &reader);
    assert_true(reader.failed);
    byte_reader_init(&reader, branch_end, sizeof branch_end);
    state_tree_proof_decode(&proof, &reader);
    assert_true(reader.failed);
    byte_reader_init(&reader, unknown_end, sizeof unknown_end);
    state_tree_proof_decode(&proof, &reader);
    assert_true(reader.failed);
    proof.count = STATE_TREE_DEPTH_MAX + 1;
    assert_false(state_tree_verify(&proof, &proof.end_key, &proof.end_key, NULL));
}

/* --- Faults of the store --- */

static void test_every_store_fault_is_reported(void **state)
{
    (void)state;
    struct test_random random = {40};
    struct node_store *store = node_store_create(), *before = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct state_tree_change changes[BATCH_MAX], copy[BATCH_MAX];
    struct hash root;
    size_t count = random_batch(&random, changes, false, 0);
    assert_true(state_tree_update(&face, &root, changes, count));
    count = random_batch(&random, changes, false, 50);
    memcpy(before, store, sizeof *before);
    memcpy(copy, changes, sizeof copy);
    store->calls = 0;
    assert_true(state_tree_update(&face, &root, copy, count));
    uint64_t calls = store->calls;
    assert_true(calls > 50);
    for (uint64_t i = 1; i <= calls; i++) {
        memcpy(store, before, sizeof *before);
        memcpy(copy, changes, sizeof copy);
        store->calls = 0;
        store->fail_at = i;
        assert_false(state_tree_update(&face, &root, copy, count));
    }
    free(store);
    free(before);
}

/* Every node below the root that is read is checked against its parent's hash. */
static void test_rotten_nodes_are_noticed(void **state)
{
    (void)state;
    struct test_random random = {50};
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct state_tree_change changes[BATCH_MAX];
    struct hash root;
    size_t count = random_batch(&random, changes, false, 0);
    assert_true(state_tree_update(&face, &root, changes, count));
    size_t rotten = 0;
    for (size_t i = 0; i < store->count; i++) {
        struct state_tree_node *node = &store->entries[i].node;
        if (node->kind != STATE_TREE_LEAF) {
            continue;
        }
        struct state_tree_proof proof;
        struct hash key = node->a;
        node->b.bytes[7] ^= 1;
        assert_false(state_tree_prove(&face, &proof, &key));
        struct state_tree_change change = {.key = key, .absent = true};
        assert_false(state_tree_update(&face, &root, &change, 1));
        node->b.bytes[7] ^= 1;
        rotten++;
    }
    assert_int_equal(rotten, count);
    free(store);
}

/* A store that claims a branch under every branch, all hashes right: refused at the last bit. */
static void test_endless_tree_is_a_fault(void **state)
{
    (void)state;
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct hash below = {{1}}, key = {{0}}, root;
    for (unsigned depth = STATE_TREE_DEPTH_MAX + 1; depth-- > 0;) {
        struct state_tree_node node = {.kind = STATE_TREE_BRANCH, .a = below};
        struct state_tree_path path = {{(uint8_t)(depth >> 8), (uint8_t)depth},
                                       2 + (depth + 7) / 8};
        assert_true(face.put(store, &path, &node));
        hash_pair(&below, HASH_DOMAIN_STATE_NODE, hash_view(&node.a), hash_view(&node.b));
    }
    struct state_tree_proof proof;
    struct state_tree_change change = {.key = key};
    assert_false(state_tree_prove(&face, &proof, &key));
    assert_false(state_tree_update(&face, &root, &change, 1));
    free(store);
}

static void update_with_equal_keys(void *context)
{
    struct state_tree_change changes[2] = {{.value = {{1}}}, {.value = {{2}}}};
    struct hash root;
    bool good = state_tree_update(context, &root, changes, 2);
    (void)good;
}

static void test_equal_keys_are_our_bug(void **state)
{
    (void)state;
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    assert_true(test_aborts(update_with_equal_keys, &face));
    free(store);
}

/* --- Frozen --- */

static void check_frozen_row(char *const fields[VECTOR_FIELDS_MAX], size_t field_count)
{
    enum { COUNT_MAX = 1000 };
    static struct state_tree_change changes[COUNT_MAX];
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct hash root, expected;
    assert_int_equal(field_count, 3);
    size_t count = strtoul(fields[0], NULL, 10), without = strtoul(fields[1], NULL, 10);
    assert_true(count <= COUNT_MAX);
    assert_int_equal(vector_hex(expected.bytes, HASH_SIZE, fields[2]), HASH_SIZE);
    for (int round = 0; round < 2; round++) {
        size_t used = 0;
        for (size_t i = 0; i < count; i++) {
            uint8_t number[8];
            struct byte_writer writer;
            byte_writer_init(&writer, number, sizeof number);
            byte_write_u64(&writer, i);
            struct state_tree_change change = {.absent = round == 1};
            hash_bytes(&change.key, HASH_DOMAIN_STATE_KEY, number, sizeof number);
            hash_bytes(&change.value, HASH_DOMAIN_STATE_VALUE, number, sizeof number);
            if (round == 0 || (without > 0 && i % without == 0)) {
                changes[used++] = change;
            }
        }
        assert_true(state_tree_update(&face, &root, changes, used));
    }
    assert_true(hash_equal(&root, &expected));
    free(store);
}

static void test_frozen_roots(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/state_tree.csv", check_frozen_row), 10);
}

static struct state_tree_change numbered(uint64_t i)
{
    uint8_t number[8];
    struct byte_writer writer;
    struct state_tree_change change = {.absent = false};
    byte_writer_init(&writer, number, sizeof number);
    byte_write_u64(&writer, i);
    hash_bytes(&change.key, HASH_DOMAIN_STATE_KEY, number, sizeof number);
    hash_bytes(&change.value, HASH_DOMAIN_STATE_VALUE, number, sizeof number);
    return change;
}

/* The bytes of a proof, of presence or absence, as a stranger makes them; and they verify. */
static void check_frozen_proof(char *const fields[VECTOR_FIELDS_MAX], size_t field_count)
{
    static struct state_tree_change changes[1000];
    static uint8_t expected[VECTOR_LINE_SIZE], bytes[VECTOR_LINE_SIZE];
    struct node_store *store = node_store_create();
    struct state_tree_store face = node_store_face(store);
    struct state_tree_proof proof;
    struct byte_writer writer;
    struct hash root;
    assert_int_equal(field_count, 3);
    size_t count = strtoul(fields[0], NULL, 10), key = strtoul(fields[1], NULL, 10);
    size_t size = vector_hex(expected, sizeof expected, fields[2]);
    assert_true(count <= 1000);
    for (size_t i = 0; i < count; i++) {
        changes[i] = numbered(i);
    }
    assert_true(state_tree_update(&face, &root, changes, count));
    struct state_tree_change wanted = numbered(key);
    assert_true(state_tree_prove(&face, &proof, &wanted.key));
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_tree_proof_encode(&proof, &writer);
    assert_int_equal(writer.size, size);
    assert_memory_equal(bytes, expected, size);
    bool there = key < count;
    assert_true(state_tree_verify(&proof, &root, &wanted.key, there ? &wanted.value : NULL));
    assert_false(state_tree_verify(&proof, &root, &wanted.key, there ? NULL : &wanted.value));
    free(store);
}

static void test_frozen_proofs(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("tests/vectors/state_proof.csv", check_frozen_proof), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_batches_wide),
        cmocka_unit_test(test_random_batches_tight),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_empty_and_single),
        cmocka_unit_test(test_deepest_tree),
        cmocka_unit_test(test_proofs),
        cmocka_unit_test(test_absence_needs_the_right_place),
        cmocka_unit_test(test_leaf_out_of_place_shows_nothing),
        cmocka_unit_test(test_no_change_writes_nothing),
        cmocka_unit_test(test_bad_proof_bytes),
        cmocka_unit_test(test_every_store_fault_is_reported),
        cmocka_unit_test(test_rotten_nodes_are_noticed),
        cmocka_unit_test(test_endless_tree_is_a_fault),
        cmocka_unit_test(test_equal_keys_are_our_bug),
        cmocka_unit_test(test_frozen_roots),
        cmocka_unit_test(test_frozen_proofs),
    };
    if (!crypto_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
