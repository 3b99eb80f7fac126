/* Snapshots: made, verified, loaded; all nodes make the same; every byte of every part counts.
 *
 * The model is the store that the snapshot was made of: what is loaded must have its root, its
 * entries, and go on with its blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/boundaries.h"
#include "node/sync.h"
#include "tests/lib/node/snapshot_world.h"
#include "tests/lib/temp_dir.h"

struct setting {
    char store_directory[TEMP_PATH_SIZE];
    char snapshots[TEMP_PATH_SIZE];
    char other[TEMP_PATH_SIZE];
    char made[SNAPSHOT_PATH_SIZE];
    uint64_t height;
    struct snapshot_world world;
};

/* Two epochs, the second boundary right behind the first; some blocks without a certificate. */
static void grow(struct snapshot_world *world, uint32_t entries, uint32_t value_max)
{
    snapshot_world_block(world, entries, value_max, false, false);
    snapshot_world_block(world, 3, 40, true, true);
    snapshot_world_block(world, 2, 40, true, true);
    snapshot_world_block(world, entries, value_max, false, true);
    snapshot_world_block(world, 2, 40, false, false);
    snapshot_world_block(world, 5, 40, false, true);
}

static void make(struct setting *setting)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    if (!snapshot_world_make(&setting->world, setting->snapshots, &setting->height, problem)) {
        fail_msg("%s", problem);
    }
    assert_true(snapshot_height_path(setting->made, setting->snapshots, setting->height));
}

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    temp_dir_make(setting->store_directory);
    temp_dir_make(setting->snapshots);
    temp_dir_make(setting->other);
    snapshot_world_open(&setting->world, setting->store_directory, 1);
    grow(&setting->world, 60, 200);
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    snapshot_world_close(&setting->world);
    temp_dir_remove(setting->store_directory);
    for (uint64_t height = 0; height <= 100; height++) {
        char path[SNAPSHOT_PATH_SIZE];
        assert_true(snapshot_height_path(path, setting->snapshots, height));
        assert_true(snapshot_remove(path));
    }
    temp_dir_remove(setting->snapshots);
    temp_dir_remove(setting->other);
    free(setting);
    return 0;
}

static void assert_loads(struct setting *setting)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    struct store *store = snapshot_world_empty_store(&setting->world, setting->other);
    if (!sync_install(setting->made, &setting->world.genesis, store, problem)) {
        fail_msg("%s", problem);
    }
    const struct store_tip *tip = store_tip(store);
    const struct store_tip *model = store_tip(setting->world.store);
    assert_int_equal(tip->height, model->height);
    assert_int_equal(tip->view, model->view);
    assert_int_equal(tip->transactions, model->transactions);
    assert_int_equal(tip->log.count, model->log.count);
    assert_memory_equal(&tip->block_id, &model->block_id, HASH_SIZE);
    assert_memory_equal(&tip->state_root, &model->state_root, HASH_SIZE);
    struct hash roots[2];
    merkle_frontier_root(&roots[0], &tip->log);
    merkle_frontier_root(&roots[1], &model->log);
    assert_memory_equal(&roots[0], &roots[1], HASH_SIZE);
    /* The next block of the one is the next of the other. */
    struct store *model_store = setting->world.store;
    setting->world.store = store;
    const struct test_random random = setting->world.random;
    snapshot_world_block(&setting->world, 20, 40, false, true);
    const struct hash id = store_tip(store)->block_id;
    setting->world.store = model_store;
    setting->world.random = random;
    snapshot_world_block(&setting->world, 20, 40, false, true);
    assert_memory_equal(&store_tip(model_store)->block_id, &id, HASH_SIZE);
    store_close(store);
}

static void test_what_is_made_verifies_and_loads(void **state)
{
    struct setting *setting = *state;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t height = 0;
    uint64_t entries = 0;
    make(setting);
    assert_int_equal(setting->height, 6);
    if (!snapshot_verify_directory(setting->made, &setting->world.genesis, &height, &entries,
                                   problem)) {
        fail_msg("%s", problem);
    }
    assert_int_equal(height, 6);
    assert_true(entries > 100);
    assert_loads(setting);
}

/* A loaded store, in its turn, makes a snapshot: with the same epochs, which it got that way. */
static void test_a_joined_node_makes_the_next(void **state)
{
    struct setting *setting = *state;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t height = 0;
    uint64_t entries = 0;
    make(setting);
    struct store *store = snapshot_world_empty_store(&setting->world, setting->other);
    assert_true(sync_install(setting->made, &setting->world.genesis, store, problem));
    struct store *model = setting->world.store;
    setting->world.store = store;
    snapshot_world_block(&setting->world, 5, 30, false, true);
    make(setting);
    assert_int_equal(setting->height, 7);
    assert_true(snapshot_verify_directory(setting->made, &setting->world.genesis, &height, &entries,
                                          problem));
    setting->world.store = model;
    store_close(store);
}

static void test_a_large_state_makes_many_chunks(void **state)
{
    struct setting *setting = *state;
    struct snapshot_manifest manifest;
    struct bytes_view bytes;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    for (int i = 0; i < 4; i++) {
        snapshot_world_block(&setting->world, 300, LIMIT_STATE_VALUE_BYTES, false, true);
    }
    make(setting);
    assert_true(snapshot_manifest_load(&manifest, &bytes, setting->made, problem));
    assert_true(manifest.chunk_count >= 32 && manifest.chunk_count <= 128);
    struct snapshot_place *places = calloc(manifest.chunk_count, sizeof *places);
    snapshot_manifest_places(&manifest, places);
    for (uint32_t i = 0; i < manifest.chunk_count; i++) {
        assert_true(places[i].size <= (uint32_t)SNAPSHOT_CHUNK_BYTES_MIN + SNAPSHOT_CHUNK_HEAD +
                                          places[i].prefix.depth * (1u + 2u * HASH_SIZE));
    }
    free(places);
    snapshot_bytes_free(bytes);
    assert_loads(setting);
}

/* Another node's snapshot of the same height, by another way there: what is in the id is the same. */
static void test_all_nodes_make_the_same(void **state)
{
    struct setting *setting = *state;
    struct snapshot_manifest first;
    struct snapshot_manifest second;
    struct bytes_view first_bytes;
    struct bytes_view second_bytes;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    make(setting);
    struct store *store = snapshot_world_empty_store(&setting->world, setting->other);
    assert_true(sync_install(setting->made, &setting->world.genesis, store, problem));
    struct store *model = setting->world.store;
    const struct snapshot_world before = setting->world;
    snapshot_world_block(&setting->world, 30, 900, false, true);
    make(setting);
    assert_true(snapshot_manifest_load(&first, &first_bytes, setting->made, problem));
    assert_true(snapshot_retire(setting->snapshots, setting->height));
    setting->world = before;
    setting->world.store = store;
    snapshot_world_block(&setting->world, 30, 900, false, true);
    make(setting);
    assert_true(snapshot_manifest_load(&second, &second_bytes, setting->made, problem));
    assert_memory_equal(&first.id, &second.id, HASH_SIZE);
    setting->world.store = model;
    snapshot_bytes_free(first_bytes);
    snapshot_bytes_free(second_bytes);
    store_close(store);
}

static void test_the_certificate_of_a_later_block_will_do(void **state)
{
    struct setting *setting = *state;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t height = 0;
    uint64_t entries = 0;
    snapshot_world_block(&setting->world, 1, 10, false, false);
    struct store_snapshot *at = store_snapshot_begin(setting->world.store);
    const struct snapshot_making making = {.directory = setting->snapshots,
                                           .store = setting->world.store,
                                           .genesis = setting->world.genesis_hash,
                                           .log = setting->world.log_before_tip,
                                           .stop = &setting->world.stop};
    snapshot_world_block(&setting->world, 1, 10, false, false);
    snapshot_world_block(&setting->world, 1, 10, true, true);
    assert_true(snapshot_make(&making, at, &setting->height, problem));
    assert_int_equal(setting->height, 7);
    assert_true(snapshot_height_path(setting->made, setting->snapshots, 7));
    struct snapshot_manifest manifest;
    struct bytes_view bytes;
    assert_true(snapshot_manifest_load(&manifest, &bytes, setting->made, problem));
    assert_int_equal(manifest.proof_headers.size, 2 * BLOCK_HEADER_SIZE);
    snapshot_bytes_free(bytes);
    assert_true(snapshot_verify_directory(setting->made, &setting->world.genesis, &height, &entries,
                                          problem));
    struct store *store = snapshot_world_empty_store(&setting->world, setting->other);
    assert_true(sync_install(setting->made, &setting->world.genesis, store, problem));
    store_close(store);
}

static void test_no_snapshot_of_a_boundary(void **state)
{
    struct setting *setting = *state;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t heights[SNAPSHOT_KEPT_MAX];
    snapshot_world_block(&setting->world, 1, 10, true, true);
    assert_false(
        snapshot_world_make(&setting->world, setting->snapshots, &setting->height, problem));
    assert_string_equal(problem, "the block ends its epoch");
    atomic_store(&setting->world.stop, true);
    snapshot_world_block(&setting->world, 1, 10, false, true);
    assert_false(
        snapshot_world_make(&setting->world, setting->snapshots, &setting->height, problem));
    assert_int_equal(snapshot_heights(setting->snapshots, heights), 0);
}

/* --- every byte counts ------------------------------------------------------------------------- */

/* Flips, cuts or appends, and sees the part refused with a reason. */
static void assert_refused(const struct setting *setting, enum snapshot_part_kind kind,
                           uint32_t index, struct bytes_view bytes)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t height = 0;
    uint64_t entries = 0;
    assert_true(snapshot_part_write(setting->made, kind, index, bytes, false, problem));
    problem[0] = '\0';
    const bool good = snapshot_verify_directory(setting->made, &setting->world.genesis, &height,
                                                &entries, problem);
    assert_false(good);
    assert_true(problem[0] != '\0');
}

static void spoil_every_byte(const struct setting *setting, enum snapshot_part_kind kind,
                             uint32_t index)
{
    struct bytes_view good;
    char problem[SNAPSHOT_PROBLEM_SIZE];
    assert_int_equal(snapshot_part_read(setting->made, kind, index, &good), SNAPSHOT_READ_OK);
    uint8_t *bytes = malloc(good.size + 1);
    for (size_t i = 0; i < good.size; i++) {
        memcpy(bytes, good.data, good.size);
        bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_refused(setting, kind, index, bytes_view_of(bytes, good.size));
        if (i % 16 == 0) {
            assert_refused(setting, kind, index, bytes_view_of(good.data, i));
        }
    }
    memcpy(bytes, good.data, good.size);
    bytes[good.size] = 0;
    assert_refused(setting, kind, index, bytes_view_of(bytes, good.size + 1));
    assert_true(snapshot_part_write(setting->made, kind, index, good, false, problem));
    free(bytes);
    snapshot_bytes_free(good);
}

static void test_every_byte_of_a_manifest_counts(void **state)
{
    struct setting *setting = *state;
    make(setting);
    spoil_every_byte(setting, SNAPSHOT_MANIFEST, 0);
}

static void test_every_byte_of_an_epoch_counts(void **state)
{
    struct setting *setting = *state;
    make(setting);
    spoil_every_byte(setting, SNAPSHOT_EPOCH, 0);
    spoil_every_byte(setting, SNAPSHOT_EPOCH, 1);
}

static void test_every_byte_of_a_chunk_counts(void **state)
{
    struct setting *setting = *state;
    struct bytes_view good;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    struct snapshot_chunk chunk;
    const struct state_part_prefix whole = {0, 0};
    const struct hash *root = &store_tip(setting->world.store)->state_root;
    make(setting);
    assert_int_equal(snapshot_part_read(setting->made, SNAPSHOT_CHUNK, 0, &good), SNAPSHOT_READ_OK);
    uint8_t *bytes = malloc(good.size + 1);
    assert_true(snapshot_chunk_open(&chunk, good, &whole, root, problem));
    snapshot_chunk_close(&chunk);
    for (size_t i = 0; i < good.size; i++) {
        memcpy(bytes, good.data, good.size);
        bytes[i] ^= (uint8_t)(1u << i % 8);
        problem[0] = '\0';
        assert_false(
            snapshot_chunk_open(&chunk, bytes_view_of(bytes, good.size), &whole, root, problem));
        assert_true(problem[0] != '\0');
        problem[0] = '\0';
        assert_false(
            snapshot_chunk_open(&chunk, bytes_view_of(good.data, i), &whole, root, problem));
        assert_true(problem[0] != '\0');
    }
    memcpy(bytes, good.data, good.size);
    bytes[good.size] = 0;
    assert_false(
        snapshot_chunk_open(&chunk, bytes_view_of(bytes, good.size + 1), &whole, root, problem));
    free(bytes);
    snapshot_bytes_free(good);
}

/* A flipped bit on the own disk is the own disk's. */
static void test_damage_on_disk_is_told_from_a_lie(void **state)
{
    struct setting *setting = *state;
    struct bytes_view bytes;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    uint64_t height = 0;
    uint64_t entries = 0;
    size_t size = 0;
    make(setting);
    unsigned char *file = temp_file_read(setting->made, "chunk-00000", &size);
    file[size / 2] ^= 4;
    temp_file_write(setting->made, "chunk-00000", file, size);
    free(file);
    assert_int_equal(snapshot_part_read(setting->made, SNAPSHOT_CHUNK, 0, &bytes),
                     SNAPSHOT_READ_DAMAGED);
    assert_false(snapshot_verify_directory(setting->made, &setting->world.genesis, &height,
                                           &entries, problem));
    assert_string_equal(problem, "chunk-00000: does not match its checksum");
    assert_int_equal(snapshot_part_read(setting->made, SNAPSHOT_CHUNK, 77, &bytes),
                     SNAPSHOT_READ_ABSENT);
}

/* --- the frozen bytes -------------------------------------------------------------------------- */

static void digest_line(char *text, size_t room, const struct setting *setting,
                        enum snapshot_part_kind kind, uint32_t index)
{
    struct bytes_view bytes;
    struct hash digest;
    char name[SNAPSHOT_NAME_SIZE];
    char hex[2 * HASH_SIZE + 1];
    assert_int_equal(snapshot_part_read(setting->made, kind, index, &bytes), SNAPSHOT_READ_OK);
    hash_bytes(&digest, HASH_DOMAIN_SNAPSHOT, bytes.data, bytes.size);
    hex_encode(hex, digest.bytes, HASH_SIZE);
    snapshot_part_name(name, kind, index);
    const size_t used = strlen(text);
    (void)snprintf(text + used, room - used, "%s %zu %s\n", name, bytes.size, hex);
    snapshot_bytes_free(bytes);
}

/* REWRITE=1 writes it anew; changing it is a change of the format (docs/spec/snapshot.md). */
static void test_the_bytes_are_frozen(void **state)
{
    struct setting *setting = *state;
    static const char path[] = "tests/vectors/snapshot.txt";
    struct snapshot_manifest manifest;
    struct bytes_view bytes;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    char text[4096];
    char frozen[4096] = "";
    char hex[2 * HASH_SIZE + 1];
    make(setting);
    assert_true(snapshot_manifest_load(&manifest, &bytes, setting->made, problem));
    hex_encode(hex, manifest.id.bytes, HASH_SIZE);
    (void)snprintf(text, sizeof text, "id %s\n", hex);
    digest_line(text, sizeof text, setting, SNAPSHOT_MANIFEST, 0);
    for (uint32_t i = 0; i < manifest.header.epoch; i++) {
        digest_line(text, sizeof text, setting, SNAPSHOT_EPOCH, i);
    }
    for (uint32_t i = 0; i < manifest.chunk_count; i++) {
        digest_line(text, sizeof text, setting, SNAPSHOT_CHUNK, i);
    }
    snapshot_bytes_free(bytes);
    FILE *file = fopen(path, getenv("REWRITE") != NULL ? "w+" : "r");
    assert_non_null(file);
    if (getenv("REWRITE") != NULL) {
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
        rewind(file);
    }
    const size_t size = fread(frozen, 1, sizeof frozen - 1, file);
    (void)fclose(file);
    frozen[size] = '\0';
    assert_string_equal(text, frozen);
}

/* --- names -------------------------------------------------------------------------------------- */

static void test_names_lead_back(void **state)
{
    (void)state;
    static const char *const no_names[] = {
        "",         "manifest0",    "chunk-",       "chunk-1",
        "chunk-0x", "chunk-00000x", "chunk-123456", "epoch--0001",
        "../x",     "new-part"};
    char name[SNAPSHOT_NAME_SIZE];
    enum snapshot_part_kind kind;
    uint32_t index = 0;
    for (int i = 0; i < SNAPSHOT_PART_KINDS; i++) {
        for (uint32_t of = 0; of < (i == SNAPSHOT_MANIFEST ? 1 : 3); of++) {
            snapshot_part_name(name, (enum snapshot_part_kind)i, of * 7001);
            assert_true(snapshot_part_of_name(name, &kind, &index));
            assert_int_equal(kind, i);
            assert_int_equal(index, of * 7001);
        }
    }
    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++) {
        assert_false(snapshot_part_of_name(no_names[i], &kind, &index));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_made_verifies_and_loads),
        TEST(test_a_joined_node_makes_the_next),
        TEST(test_a_large_state_makes_many_chunks),
        TEST(test_all_nodes_make_the_same),
        TEST(test_the_certificate_of_a_later_block_will_do),
        TEST(test_no_snapshot_of_a_boundary),
        TEST(test_every_byte_of_a_manifest_counts),
        TEST(test_every_byte_of_an_epoch_counts),
        TEST(test_every_byte_of_a_chunk_counts),
        TEST(test_damage_on_disk_is_told_from_a_lie),
        TEST(test_the_bytes_are_frozen),
        cmocka_unit_test(test_names_lead_back),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
