/* Exports: a whole one verifies, a changed one never does, and the height that is blamed is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contracts/records.h"
#include "storage/checksum.h"
#include "storage/overlay.h"
#include "tests/lib/tools/little_chain.h"
#include "tools/audit_checkpoint.h"
#include "tools/audit_export.h"
#include "tools/audit_verify.h"

struct suite {
    struct little_chain *chain;
    char directory[64];
};

/* 260 blocks: one full tile and a piece of the next; every third block has no certificate. */
enum { BLOCKS = 260 };

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    assert_true(crypto_init());
    suite->chain = little_chain_create();
    snprintf(suite->directory, sizeof suite->directory, "/tmp/flex-test-audit-XXXXXX");
    assert_non_null(mkdtemp(suite->directory));
    little_chain_mint(suite->chain, 100000000);
    little_chain_turn(suite->chain, true);
    for (int i = 2; i <= BLOCKS; i++) {
        if (i % 5 == 0) {
            little_chain_transfer(suite->chain, "agg", i);
        }
        little_chain_turn(suite->chain, i % 3 != 0 || i == BLOCKS);
    }
    little_chain_export(suite->chain, suite->directory);
    *state = suite;
    return 0;
}

static void path_in(char out[FILES_PATH_SIZE], const struct suite *suite, const char *name)
{
    assert_true(files_join(out, suite->directory, name));
}

static int tear_down(void **state)
{
    static const char *const names[] = {"blocks/000/000.blk",
                                        "blocks/000/001.blk",
                                        "blocks/000/002.blk",
                                        "export.json",
                                        "genesis.json",
                                        "blocks/000",
                                        "blocks",
                                        ""};
    struct suite *suite = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[FILES_PATH_SIZE];
        path_in(path, suite, names[i]);
        remove(path);
    }
    little_chain_destroy(suite->chain);
    free(suite);
    return 0;
}

static struct audit_outcome verify(const struct suite *suite)
{
    struct audit_outcome outcome;
    struct audit *audit =
        audit_verify(&outcome, suite->directory, little_chain_genesis(suite->chain), NULL);
    assert_non_null(audit);
    audit_close(audit);
    return outcome;
}

static void test_whole_export_verifies(void **state)
{
    struct suite *suite = *state;
    struct audit_outcome outcome;
    struct audit_totals totals;
    char reason[AUDIT_PROBLEM_SIZE];
    struct audit *audit =
        audit_verify(&outcome, suite->directory, little_chain_genesis(suite->chain), NULL);
    assert_non_null(audit);
    assert_string_equal(outcome.reason, "");
    assert_true(outcome.ok);
    assert_int_equal(outcome.height, BLOCKS);
    assert_int_equal(outcome.transactions, 1 + BLOCKS / 5);
    const struct little_block *last = little_chain_block(suite->chain, BLOCKS);
    assert_true(hash_equal(&outcome.state_root, &last->header.state_root));
    assert_true(audit_totals(&totals, audit_state(audit), reason));
    assert_int_equal(money_ueur(totals.minted), 100000000);
    assert_int_equal(money_ueur(totals.burned), 0);
    assert_int_equal(money_ueur(totals.balances) + money_ueur(totals.escrow) +
                         money_ueur(totals.fees),
                     100000000);
    assert_int_equal(money_ueur(totals.fees), BLOCKS / 5 * 2000);
    audit_close(audit);
}

/* Exchanges one byte of a file and gives back the old one. */
static uint8_t poke(const struct suite *suite, const char *name, off_t at, uint8_t mask)
{
    char path[FILES_PATH_SIZE];
    uint8_t byte;
    path_in(path, suite, name);
    int descriptor = open(path, O_RDWR);
    assert_true(descriptor >= 0);
    assert_int_equal(pread(descriptor, &byte, 1, at), 1);
    uint8_t changed = byte ^ mask;
    assert_int_equal(pwrite(descriptor, &changed, 1, at), 1);
    close(descriptor);
    return byte;
}

static off_t size_of(const struct suite *suite, const char *name)
{
    char path[FILES_PATH_SIZE];
    struct stat info;
    path_in(path, suite, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

/* Height of the block whose record covers that place of the first tile. */
static uint64_t height_at(const struct suite *suite, off_t at)
{
    struct audit_tile tile;
    struct audit_block block;
    struct byte_reader reader;
    uint64_t height = 0;
    assert_true(audit_tile_open(&tile, suite->directory, 0));
    byte_reader_init(&reader, tile.data, tile.size);
    while (reader.at <= (size_t)at && audit_block_read(&block, &reader)) {
        height++;
    }
    audit_tile_close(&tile);
    return height;
}

static void test_every_place_of_the_tiles_is_covered(void **state)
{
    struct suite *suite = *state;
    const char *tile = "blocks/000/000.blk";
    off_t size = size_of(suite, tile);
    /* Every byte of the first block and of a stretch in the middle, and a sample of the rest. */
    off_t middle = size / 2;
    for (off_t at = 0; at < size;
         at += at < 500 || (at >= middle && at < middle + 100) ? 1 : 3777) {
        uint64_t height = height_at(suite, at);
        poke(suite, tile, at, (uint8_t)(1u << (at % 8)));
        struct audit_outcome outcome = verify(suite);
        poke(suite, tile, at, (uint8_t)(1u << (at % 8)));
        assert_false(outcome.ok);
        assert_true(outcome.reason[0] != '\0');
        /* A broken length shows in the record it stands in; a broken link in the next block. */
        assert_true(outcome.height == height || outcome.height == height + 1);
    }
    assert_true(verify(suite).ok);
}

static void test_manifest_and_genesis_copy_are_covered(void **state)
{
    struct suite *suite = *state;
    static const char *const names[] = {"export.json", "genesis.json"};
    for (size_t i = 0; i < 2; i++) {
        off_t size = size_of(suite, names[i]);
        for (off_t at = 0; at < size; at += i == 0 ? 1 : 5) {
            /* The whole export is executed only if the manifest passes, so this stays quick. */
            poke(suite, names[i], at, 1);
            assert_false(verify(suite).ok);
            poke(suite, names[i], at, 1);
        }
    }
    assert_true(verify(suite).ok);
}

static void test_missing_cut_and_surplus_tiles(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE], aside[FILES_PATH_SIZE], surplus[FILES_PATH_SIZE];
    path_in(path, suite, "blocks/000/001.blk");
    path_in(aside, suite, "blocks/000/aside");
    path_in(surplus, suite, "blocks/000/002.blk");
    assert_int_equal(rename(path, aside), 0);
    struct audit_outcome outcome = verify(suite);
    assert_false(outcome.ok);
    assert_int_equal(outcome.height, 257);
    assert_int_equal(rename(aside, path), 0);
    assert_true(files_write(surplus, "", 0, 0600));
    assert_false(verify(suite).ok);
    assert_int_equal(remove(surplus), 0);
    assert_true(verify(suite).ok);
}

static void test_export_continues_and_needs_a_certificate_at_its_end(void **state)
{
    struct suite *suite = *state;
    little_chain_transfer(suite->chain, "agg", 7);
    little_chain_turn(suite->chain, false);
    little_chain_export(suite->chain, suite->directory);
    struct audit_outcome outcome = verify(suite);
    assert_false(outcome.ok);
    assert_int_equal(outcome.height, BLOCKS + 1);
    /* The next block's certificate covers it through the parent id. */
    little_chain_turn(suite->chain, true);
    little_chain_export(suite->chain, suite->directory);
    outcome = verify(suite);
    assert_true(outcome.ok);
    assert_int_equal(outcome.height, BLOCKS + 2);
}

static void test_an_interrupted_run_is_cut_off(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE];
    path_in(path, suite, "blocks/000/001.blk");
    int descriptor = open(path, O_WRONLY | O_APPEND);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "torn", 4), 4);
    close(descriptor);
    assert_false(verify(suite).ok);
    little_chain_turn(suite->chain, true);
    little_chain_export(suite->chain, suite->directory);
    assert_true(verify(suite).ok);
}

static struct audit_outcome verify_from(const struct suite *suite, const char *checkpoint,
                                        const struct hash *expected)
{
    struct audit_options options = {.checkpoint = checkpoint, .expected_root = expected};
    struct audit_outcome outcome;
    struct audit *audit =
        audit_run(&outcome, suite->directory, little_chain_genesis(suite->chain), &options);
    if (audit != NULL) {
        audit_close(audit);
    }
    return outcome;
}

static void test_verification_goes_on_from_a_checkpoint(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE];
    path_in(path, suite, "checkpoint");
    struct audit_outcome first = verify_from(suite, path, NULL);
    assert_true(first.ok && first.from == 0);
    for (int i = 0; i < 3; i++) {
        little_chain_transfer(suite->chain, "agg", 5 + i);
        little_chain_turn(suite->chain, i == 2);
    }
    little_chain_export(suite->chain, suite->directory);
    struct audit_outcome second = verify_from(suite, path, NULL);
    struct audit_outcome whole = verify(suite);
    assert_string_equal(second.reason, "");
    assert_true(second.ok && whole.ok);
    assert_int_equal(second.from, first.height);
    assert_int_equal(second.height, first.height + 3);
    assert_int_equal(second.transactions, whole.transactions);
    assert_true(hash_equal(&second.state_root, &whole.state_root));
    assert_true(hash_equal(&second.log_root, &whole.log_root));
    /* A third run starts from what the second wrote, and has nothing to do. */
    assert_int_equal(verify_from(suite, path, NULL).from, second.height);
    assert_int_equal(remove(path), 0);
}

static void test_every_byte_of_a_checkpoint_is_covered(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE];
    path_in(path, suite, "checkpoint");
    assert_true(verify_from(suite, path, NULL).ok);
    off_t size = size_of(suite, "checkpoint");
    for (off_t at = 0; at < size; at += at < 400 ? 23 : 211) {
        poke(suite, "checkpoint", at, (uint8_t)(1u << (at % 8)));
        struct audit_outcome outcome = verify_from(suite, path, NULL);
        assert_false(outcome.ok);
        assert_non_null(strstr(outcome.reason, "checkpoint"));
        assert_true(outcome.bad_checkpoint);
        poke(suite, "checkpoint", at, (uint8_t)(1u << (at % 8)));
    }
    assert_int_equal(truncate(path, size - 1), 0);
    assert_false(verify_from(suite, path, NULL).ok);
    assert_int_equal(remove(path), 0);
}

/* Its checksum is right, its records are not: the root says so. And a block of another history at its
 * height is not the one that was verified. */
static void test_a_forged_checkpoint_is_not_taken(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE];
    size_t size;
    uint8_t checksum[CHECKSUM_SIZE];
    path_in(path, suite, "checkpoint");
    assert_true(verify_from(suite, path, NULL).ok);
    char *bytes = files_read(path, 1 << 24, &size);
    assert_non_null(bytes);
    bytes[size - CHECKSUM_SIZE - 1] ^= 1; /* in the last record's value */
    checksum_write(checksum,
                   checksum_end(checksum_update(checksum_begin(), bytes, size - CHECKSUM_SIZE)));
    memcpy(bytes + size - CHECKSUM_SIZE, checksum, sizeof checksum);
    assert_true(files_write(path, bytes, size, 0600));
    free(bytes);
    struct audit_outcome outcome = verify_from(suite, path, NULL);
    assert_false(outcome.ok);
    assert_non_null(strstr(outcome.reason, "state root"));
    assert_int_equal(remove(path), 0);
}

/* Checksum, log root and state root are right, and yet no execution has made this record. */
static void test_a_checkpoint_with_malformed_counters_is_not_taken(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE], problem[AUDIT_PROBLEM_SIZE] = "";
    const struct hash genesis = {{7}};
    struct block_header header = {.version = BLOCK_HEADER_VERSION, .genesis = genesis};
    struct merkle_frontier before = {0}, found_before;
    struct block_header found_header;
    struct store_tip tip;
    struct memory_base *memory = memory_base_create(), *loaded = memory_base_create();
    struct overlay *overlay = overlay_create(1 << 16);
    assert_true(memory != NULL && loaded != NULL && overlay != NULL);
    const struct state_key key = state_key_single(STATE_COUNTERS);
    overlay_reset(overlay, NULL, memory_base_face(memory));
    struct state_view *view = overlay_view(overlay);
    view->ops->put(view, bytes_view_of(key.bytes, key.size), bytes_view_of("?", 1));
    assert_true(overlay_seal(overlay, &header.state_root) && memory_base_commit(memory, overlay));
    merkle_frontier_root(&header.log_root, &before);
    path_in(path, suite, "checkpoint");
    assert_true(audit_checkpoint_write(path, &genesis, &header, &before, memory_base_face(memory),
                                       problem));
    assert_false(
        audit_checkpoint_read(path, &genesis, loaded, &tip, &found_header, &found_before, problem));
    assert_non_null(strstr(problem, "counters"));
    overlay_destroy(overlay);
    memory_base_destroy(memory);
    memory_base_destroy(loaded);
    assert_int_equal(remove(path), 0);
}

static void test_a_cut_at_a_certified_block_shows_in_height_and_root(void **state)
{
    struct suite *suite = *state;
    struct audit_outcome outcome = verify(suite);
    struct hash end = outcome.log_root;
    uint64_t height = outcome.height;
    /* The header of block h + 1 names the root of the log up to block h. */
    struct hash earlier = little_chain_block(suite->chain, 101)->header.log_root;
    outcome = verify_from(suite, NULL, &end);
    assert_int_equal(outcome.expected_found, height);
    outcome = verify_from(suite, NULL, &earlier);
    assert_int_equal(outcome.expected_found, 100);
    little_chain_transfer(suite->chain, "agg", 11);
    little_chain_turn(suite->chain, true);
    little_chain_export(suite->chain, suite->directory);
    outcome = verify_from(suite, NULL, &end);
    assert_true(outcome.ok && outcome.height == height + 1);
    struct hash longer = outcome.log_root;
    /* Somebody hands over the export without its last block, with all else in order. */
    char path[FILES_PATH_SIZE], problem[AUDIT_PROBLEM_SIZE];
    struct audit_tile tile;
    struct audit_block block;
    struct byte_reader reader;
    size_t cut = 0;
    assert_true(audit_tile_open(&tile, suite->directory, audit_tile_of(height)));
    byte_reader_init(&reader, tile.data, tile.size);
    for (uint64_t i = 0; i < (height - 1) % AUDIT_TILE_BLOCKS + 1; i++) {
        assert_true(audit_block_read(&block, &reader));
        cut = reader.at;
    }
    audit_tile_close(&tile);
    assert_true(audit_tile_path(path, suite->directory, audit_tile_of(height)));
    assert_int_equal(truncate(path, (off_t)cut), 0);
    assert_true(audit_manifest_write(suite->directory, little_chain_genesis(suite->chain), height,
                                     problem));
    outcome = verify_from(suite, NULL, &longer);
    assert_true(outcome.ok);
    assert_int_equal(outcome.height, height);
    assert_int_equal(outcome.expected_found, 0);
    little_chain_export(suite->chain, suite->directory);
    assert_int_equal(verify_from(suite, NULL, &longer).expected_found, height + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_export_verifies),
        cmocka_unit_test(test_every_place_of_the_tiles_is_covered),
        cmocka_unit_test(test_manifest_and_genesis_copy_are_covered),
        cmocka_unit_test(test_missing_cut_and_surplus_tiles),
        cmocka_unit_test(test_export_continues_and_needs_a_certificate_at_its_end),
        cmocka_unit_test(test_an_interrupted_run_is_cut_off),
        cmocka_unit_test(test_verification_goes_on_from_a_checkpoint),
        cmocka_unit_test(test_every_byte_of_a_checkpoint_is_covered),
        cmocka_unit_test(test_a_forged_checkpoint_is_not_taken),
        cmocka_unit_test(test_a_checkpoint_with_malformed_counters_is_not_taken),
        cmocka_unit_test(test_a_cut_at_a_certified_block_shows_in_height_and_root),
    };
    return cmocka_run_group_tests_name("audit", tests, set_up, tear_down);
}
