/* Key files: round trips, wrong passphrases, every damaged byte, and never over an old one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "tools/wallet.h"

/* The cheapest that Argon2id allows: what it costs is not what these tests are about. */
static const struct wallet_cost cheap = {1, 8192};

static char directory[64];
static char path[FILES_PATH_SIZE];

static int set_up(void **state)
{
    (void)state;
    assert_true(crypto_init());
    snprintf(directory, sizeof directory, "/tmp/flex-test-wallet-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_true(files_join(path, directory, "key.json"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(directory);
    return 0;
}

static struct secret_key make(const char *passphrase)
{
    struct secret_key secret;
    unlink(path);
    secret_key_random(&secret);
    assert_int_equal(wallet_create(path, &secret, passphrase, cheap), WALLET_OK);
    return secret;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const passphrases[] = {NULL, "correct horse", "\xc3\xa4 \xe2\x82\xac"};
    for (size_t i = 0; i < 3; i++) {
        struct secret_key secret = make(passphrases[i]), back;
        struct public_key key, wanted;
        struct wallet_file file;
        struct stat info;
        assert_true(schnorr_public_key(&wanted, &secret));
        assert_int_equal(wallet_open(&back, &key, path, passphrases[i]), WALLET_OK);
        assert_memory_equal(back.bytes, secret.bytes, SECRET_KEY_SIZE);
        assert_true(public_key_equal(&key, &wanted));
        assert_int_equal(wallet_peek(&file, path), WALLET_OK);
        assert_true(public_key_equal(&file.public_key, &wanted));
        assert_int_equal(file.encrypted, passphrases[i] != NULL);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
}

static void test_wrong_and_missing_passphrase(void **state)
{
    (void)state;
    struct secret_key secret;
    struct public_key key;
    make("correct horse");
    assert_int_equal(wallet_open(&secret, &key, path, "correct horsf"), WALLET_WRONG_PASSPHRASE);
    assert_int_equal(wallet_open(&secret, &key, path, ""), WALLET_WRONG_PASSPHRASE);
    assert_int_equal(wallet_open(&secret, &key, path, NULL), WALLET_NEEDS_PASSPHRASE);
    assert_int_equal(wallet_open(&secret, &key, "/nonexistent/key.json", NULL), WALLET_ABSENT);
}

static void test_encrypted_file_does_not_hold_the_secret(void **state)
{
    (void)state;
    struct secret_key secret = make("correct horse");
    char hex[2 * SECRET_KEY_SIZE + 1];
    size_t size;
    char *text = files_read(path, 4096, &size);
    assert_non_null(text);
    hex_encode(hex, secret.bytes, SECRET_KEY_SIZE);
    assert_null(strstr(text, hex));
    free(text);
}

static void test_two_files_of_one_key_differ(void **state)
{
    (void)state;
    struct secret_key secret = make("same");
    size_t size_a, size_b;
    char *a = files_read(path, 4096, &size_a);
    unlink(path);
    assert_int_equal(wallet_create(path, &secret, "same", cheap), WALLET_OK);
    char *b = files_read(path, 4096, &size_b);
    assert_string_not_equal(a, b);
    free(a);
    free(b);
}

static void test_never_overwritten(void **state)
{
    (void)state;
    struct secret_key secret = make("first"), other, back;
    struct public_key key;
    secret_key_random(&other);
    assert_int_equal(wallet_create(path, &other, "second", cheap), WALLET_EXISTS);
    assert_int_equal(wallet_open(&back, &key, path, "first"), WALLET_OK);
    assert_memory_equal(back.bytes, secret.bytes, SECRET_KEY_SIZE);
}

/* Whatever byte changes: another secret never comes out, and nothing crashes. */
static void every_byte(const char *passphrase)
{
    struct secret_key secret = make(passphrase);
    size_t size;
    char *text = files_read(path, 4096, &size);
    assert_non_null(text);
    for (size_t i = 0; i + 1 < size; i++) {
        struct secret_key back;
        struct public_key key;
        text[i] ^= 1;
        assert_true(files_write(path, text, size, 0600));
        text[i] ^= 1;
        enum wallet_result result = wallet_open(&back, &key, path, passphrase);
        if (result == WALLET_OK) {
            fail_msg("byte %zu of the file may change unseen", i);
        }
    }
    for (size_t cut = 0; cut + 1 < size; cut += 3) {
        struct secret_key back;
        struct public_key key;
        assert_true(files_write(path, text, cut, 0600));
        assert_int_equal(wallet_open(&back, &key, path, passphrase), WALLET_MALFORMED);
    }
    free(text);
    secret_key_wipe(&secret);
}

static void test_every_damaged_byte_is_found(void **state)
{
    (void)state;
    every_byte("correct horse");
    every_byte(NULL);
}

static void test_passphrase_from_a_descriptor(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        const char *wanted; /* NULL: refused */
    } rows[] = {{"secret\n", "secret"}, {"secret", "secret"},  {"two\nlines\n", "two"}, {"", NULL},
                {"\n", NULL},           {" blank ", " blank "}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[WALLET_PASSPHRASE_MAX + 1];
        char problem[160] = "";
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        size_t length = strlen(rows[i].input);
        assert_int_equal(write(ends[1], rows[i].input, length), (ssize_t)length);
        close(ends[1]);
        bool ok = wallet_read_passphrase(out, ends[0], false, problem);
        close(ends[0]);
        assert_int_equal(ok, rows[i].wanted != NULL);
        if (ok) {
            assert_string_equal(out, rows[i].wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_and_missing_passphrase),
        cmocka_unit_test(test_encrypted_file_does_not_hold_the_secret),
        cmocka_unit_test(test_two_files_of_one_key_differ),
        cmocka_unit_test(test_never_overwritten),
        cmocka_unit_test(test_every_damaged_byte_is_found),
        cmocka_unit_test(test_passphrase_from_a_descriptor),
    };
    return cmocka_run_group_tests_name("wallet", tests, set_up, tear_down);
}
