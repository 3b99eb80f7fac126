/* A wallet remembers how far it has verified: the height only rises, an older state and another block
 * of the same height are noticed, and so is every changed byte of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "tools/seen.h"

static char home[] = "/tmp/flex-test-seen-XXXXXX";
static struct cli cli = {.home = home};
static struct proof_trust trust = {.genesis = {{0xab, 0xcd}}};

static enum seen_result check(enum proof_type type, uint64_t height, uint8_t block)
{
    struct seen seen;
    struct proof proof = {.type = type, .header = {.height = height}, .block_id = {{block}}};
    return seen_check(&cli, &trust, &proof, &seen);
}

static int set_up(void **state)
{
    (void)state;
    cli.err = stderr;
    return mkdtemp(home) == NULL;
}

static int tear_down(void **state)
{
    char path[FILES_PATH_SIZE];
    (void)state;
    (void)(seen_path(path, sizeof path, &cli, &trust.genesis) && unlink(path) == 0);
    return rmdir(home);
}

static void test_the_height_only_rises(void **state)
{
    (void)state;
    assert_int_equal(check(PROOF_STATE, 10, 1), SEEN_FINE);
    assert_int_equal(check(PROOF_STATE, 10, 1), SEEN_FINE);
    assert_int_equal(check(PROOF_STATE, 9, 2), SEEN_OLDER);
    assert_int_equal(check(PROOF_RECEIPT, 9, 2), SEEN_FINE);
    assert_int_equal(check(PROOF_STATE, 9, 2), SEEN_OLDER);
    assert_int_equal(check(PROOF_RECEIPT, 12, 3), SEEN_FINE);
    assert_int_equal(check(PROOF_STATE, 11, 4), SEEN_OLDER);
    assert_int_equal(check(PROOF_STATE, 12, 3), SEEN_FINE);
}

static void test_another_block_of_the_height_is_another_history(void **state)
{
    (void)state;
    assert_int_equal(check(PROOF_STATE, 12, 5), SEEN_OTHER);
    assert_int_equal(check(PROOF_LOG, 12, 5), SEEN_OTHER);
}

static void test_chains_have_memories_of_their_own(void **state)
{
    (void)state;
    char path[FILES_PATH_SIZE];
    const struct proof_trust before = trust;
    trust.genesis.bytes[0] ^= 1;
    assert_int_equal(check(PROOF_STATE, 3, 9), SEEN_FINE);
    assert_true(seen_path(path, sizeof path, &cli, &trust.genesis));
    assert_int_equal(unlink(path), 0);
    trust = before;
    assert_int_equal(check(PROOF_STATE, 3, 9), SEEN_OLDER);
}

static void put(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_every_changed_byte_is_noticed(void **state)
{
    (void)state;
    char path[FILES_PATH_SIZE];
    size_t size;
    assert_true(seen_path(path, sizeof path, &cli, &trust.genesis));
    char *text = files_read(path, 4096, &size);
    assert_non_null(text);
    for (size_t i = 0; i <= size; i++) {
        char copy[4096];
        memcpy(copy, text, size);
        copy[i] = i < size ? (char)(text[i] ^ 1) : ' ';
        put(path, copy, i < size ? size : size + 1);
        assert_int_equal(check(PROOF_STATE, 50, 1), SEEN_DAMAGED);
        put(path, text, i);
        assert_int_equal(check(PROOF_STATE, 50, 1), i < size ? SEEN_DAMAGED : SEEN_FINE);
    }
    free(text);
}

static void test_without_a_home_nothing_is_kept(void **state)
{
    (void)state;
    cli.home = "/tmp/flex-test-seen-nowhere";
    assert_int_equal(check(PROOF_STATE, 99, 1), SEEN_FINE);
    assert_false(files_exists(cli.home));
    cli.home = home;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_height_only_rises),
        cmocka_unit_test(test_another_block_of_the_height_is_another_history),
        cmocka_unit_test(test_chains_have_memories_of_their_own),
        cmocka_unit_test(test_every_changed_byte_is_noticed),
        cmocka_unit_test(test_without_a_home_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
