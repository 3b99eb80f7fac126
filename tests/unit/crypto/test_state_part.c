/* Parts of the state tree, against trees that state_tree_update has built: random sets, random
 * divisions of the key space; every part leads to the root, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/state_part.h"
#include "tests/lib/crypto/node_store.h"
#include "tests/lib/random.h"

enum { LEAVES_MAX = 200, PARTS_MAX = 256 };

struct world {
    struct state_tree_change leaves[LEAVES_MAX];
    size_t count;
    struct hash root;
    struct state_part_prefix prefixes[PARTS_MAX];
    size_t first[PARTS_MAX + 1];
    size_t parts;
};

static int by_key(const void *a, const void *b)
{
    return hash_compare(&((const struct state_tree_change *)a)->key,
                        &((const struct state_tree_change *)b)->key);
}

/* Half of the worlds have keys that agree in their first bits, so that leaves move up far. */
static void make_leaves(struct world *world, struct test_random *random, size_t count, bool alike)
{
    world->count = count;
    memset(world->leaves, 0, sizeof world->leaves);
    for (size_t i = 0; i < count; i++) {
        test_random_bytes(random, &world->leaves[i].key, HASH_SIZE);
        test_random_bytes(random, &world->leaves[i].value, HASH_SIZE);
        if (alike) {
            world->leaves[i].key.bytes[0] = (uint8_t)(test_random_below(random, 2) * 0x80);
            world->leaves[i].key.bytes[1] &= 3;
        }
    }
    qsort(world->leaves, count, sizeof world->leaves[0], by_key);
    struct node_store *store = node_store_create();
    const struct state_tree_store face = node_store_face(store);
    assert_true(state_tree_update(&face, &world->root, world->leaves, count));
    free(store);
}

static void divide(struct world *world, struct test_random *random, struct state_part_prefix prefix,
                   size_t first, size_t end)
{
    const bool room = prefix.depth < 20 && world->parts + 21 < PARTS_MAX;
    if (!room || test_random_below(random, 3) == 0 ||
        (end - first < 2 && test_random_below(random, 2) == 0)) {
        world->first[world->parts] = first;
        world->prefixes[world->parts++] = prefix;
        world->first[world->parts] = end;
        return;
    }
    struct state_part_prefix left = {(uint8_t)(prefix.depth + 1), prefix.bits};
    struct state_part_prefix right = left;
    right.bits |= (uint64_t)1 << (63 - prefix.depth);
    size_t middle = first;
    while (middle < end && state_part_holds(&left, &world->leaves[middle].key)) {
        middle++;
    }
    divide(world, random, left, first, middle);
    divide(world, random, right, middle, end);
}

static struct state_tree_node node_of(const struct world *world, size_t part)
{
    struct state_tree_node node;
    state_part_node(&node, world->leaves + world->first[part],
                    world->first[part + 1] - world->first[part], world->prefixes[part].depth);
    return node;
}

static struct state_part_tree *tree_of(const struct world *world)
{
    struct state_part_tree *tree = state_part_tree_create(world->parts);
    struct hash root;
    for (size_t i = 0; i < world->parts; i++) {
        const struct state_tree_node node = node_of(world, i);
        assert_false(state_part_tree_root(tree, &root));
        assert_true(state_part_tree_add(tree, &world->prefixes[i], &node));
    }
    assert_true(state_part_tree_root(tree, &root));
    assert_memory_equal(&root, &world->root, HASH_SIZE);
    return tree;
}

static bool leads(const struct world *world, size_t part, const struct state_part_path *path,
                  size_t first, size_t end)
{
    struct state_tree_node node;
    state_part_node(&node, world->leaves + first, end - first, world->prefixes[part].depth);
    return state_part_leads_to(&world->root, &world->prefixes[part], &node, path);
}

static void check_part(struct world *world, const struct state_part_tree *tree, size_t part)
{
    struct state_part_path path;
    struct state_part_path again;
    uint8_t bytes[STATE_PART_DEPTH_MAX * (1 + 2 * HASH_SIZE)];
    struct byte_writer writer;
    struct byte_reader reader;
    const size_t first = world->first[part];
    const size_t end = world->first[part + 1];
    state_part_tree_path(tree, &path, part);
    assert_true(leads(world, part, &path, first, end));
    /* A leaf less, a leaf changed. */
    if (end > first) {
        assert_false(leads(world, part, &path, first + 1, end));
        assert_false(leads(world, part, &path, first, end - 1));
        world->leaves[first].value.bytes[5] ^= 1;
        assert_false(leads(world, part, &path, first, end));
        world->leaves[first].value.bytes[5] ^= 1;
    }
    /* The way to bytes and back; each flipped byte of it is noticed. */
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_part_path_encode(&writer, &path);
    assert_false(writer.failed);
    for (size_t i = 0; i <= writer.size; i++) {
        if (i < writer.size) {
            bytes[i] ^= 1;
        }
        byte_reader_init(&reader, bytes, writer.size);
        state_part_path_decode(&again, world->prefixes[part].depth, &reader);
        const bool good = byte_reader_done(&reader) && leads(world, part, &again, first, end);
        assert_int_equal(good, i == writer.size);
        if (i < writer.size) {
            bytes[i] ^= 1;
        }
    }
}

static void test_parts_lead_to_the_root(void **state)
{
    (void)state;
    struct test_random random = {3};
    struct world *world = calloc(1, sizeof *world);
    for (int round = 0; round < 120; round++) {
        const size_t count = round < 8 ? (size_t)round : 1 + test_random_below(&random, LEAVES_MAX);
        make_leaves(world, &random, count, round % 2 == 1);
        world->parts = 0;
        divide(world, &random, (struct state_part_prefix){0, 0}, 0, count);
        struct state_part_tree *tree = tree_of(world);
        for (size_t part = 0; part < world->parts; part++) {
            if (part % 7 == (size_t)round % 7) {
                check_part(world, tree, part);
            }
        }
        state_part_tree_destroy(tree);
    }
    free(world);
}

/* The lie that the kind of a sibling is there to prevent: what stands at the parent's place, a branch
 * of two leaves or more, is shown as if it were one leaf beside an empty part. */
static void test_a_branch_cannot_pass_for_a_leaf(void **state)
{
    (void)state;
    struct test_random random = {5};
    struct world *world = calloc(1, sizeof *world);
    make_leaves(world, &random, 40, false);
    const struct state_tree_node empty = {.kind = STATE_TREE_EMPTY};
    struct state_tree_node whole;
    struct state_part_path path = {.count = 1};
    const struct state_part_prefix left = {1, 0};
    state_part_node(&whole, world->leaves, world->count, 0);
    state_tree_node_hash(&path.siblings[0].a, &whole);
    path.siblings[0].kind = STATE_TREE_BRANCH;
    assert_false(state_part_leads_to(&world->root, &left, &empty, &path));
    /* And with the branch's own children in the place of a leaf's key and value. */
    path.siblings[0] = whole;
    path.siblings[0].kind = STATE_TREE_LEAF;
    path.siblings[0].a.bytes[0] |= 0x80;
    assert_false(state_part_leads_to(&world->root, &left, &empty, &path));
    free(world);
}

static void test_divisions_are_exact(void **state)
{
    (void)state;
    struct state_part_tree *tree = state_part_tree_create(4);
    const struct state_tree_node node = {.kind = STATE_TREE_EMPTY};
    const struct state_part_prefix quarters[] = {
        {2, 0}, {2, (uint64_t)1 << 62}, {2, (uint64_t)2 << 62}, {2, (uint64_t)3 << 62}};
    const struct state_part_prefix half = {1, (uint64_t)1 << 63};
    const struct state_part_prefix crooked = {2, 1};
    struct hash root;
    assert_false(state_part_prefix_is_valid(&crooked));
    assert_false(state_part_tree_add(tree, &quarters[1], &node)); /* the first begins at zero */
    assert_true(state_part_tree_add(tree, &quarters[0], &node));
    assert_false(state_part_tree_add(tree, &quarters[0], &node)); /* twice */
    assert_false(state_part_tree_add(tree, &half, &node));        /* a gap */
    assert_true(state_part_tree_add(tree, &quarters[1], &node));
    assert_false(state_part_tree_root(tree, &root));
    assert_true(state_part_tree_add(tree, &half, &node));
    assert_true(state_part_tree_root(tree, &root));
    assert_false(state_part_tree_add(tree, &quarters[3], &node)); /* behind the end */
    state_part_tree_destroy(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_lead_to_the_root),
        cmocka_unit_test(test_a_branch_cannot_pass_for_a_leaf),
        cmocka_unit_test(test_divisions_are_exact),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
