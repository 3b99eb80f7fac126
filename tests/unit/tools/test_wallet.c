/* Key files: round trips, wrong passphrases, every damaged byte, never over another's, and sealed again by a
 * process that is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void test_sealed_again(void **state)
{
    (void)state;
    static const char *const passphrases[] = {"first", "second", NULL, "first"};
    struct secret_key secret = make("first"), other, back;
    struct public_key key;
    struct stat info;
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(wallet_seal_again(path, &secret, passphrases[i], cheap), WALLET_OK);
        assert_int_equal(wallet_open(&back, &key, path, passphrases[i]), WALLET_OK);
        assert_memory_equal(back.bytes, secret.bytes, SECRET_KEY_SIZE);
        assert_int_equal(wallet_open(&back, &key, path, passphrases[i - 1]),
                         passphrases[i] == NULL       ? WALLET_OK
                         : passphrases[i - 1] == NULL ? WALLET_NEEDS_PASSPHRASE
                                                      : WALLET_WRONG_PASSPHRASE);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    /* Never another secret, never where there is none. */
    secret_key_random(&other);
    assert_int_equal(wallet_seal_again(path, &other, "first", cheap), WALLET_MALFORMED);
    assert_int_equal(wallet_open(&back, &key, path, "first"), WALLET_OK);
    unlink(path);
    assert_int_equal(wallet_seal_again(path, &secret, "first", cheap), WALLET_ABSENT);
    assert_int_equal(wallet_watch(path, &key), WALLET_OK);
    assert_int_equal(wallet_seal_again(path, &secret, "first", cheap), WALLET_WATCHES);
}

/* A process that seals without end, first so, then so; killed after some microseconds. */
static void seal_until_killed(const struct secret_key *secret, useconds_t delay)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (unsigned i = 0;; i++) {
            if (wallet_seal_again(path, secret, i % 2 == 0 ? "second" : "first", cheap) !=
                WALLET_OK) {
                _exit(1);
            }
        }
    }
    int status;
    usleep(delay);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_killed_while_sealing(void **state)
{
    (void)state;
    enum { KILLS = 150, KILLS_MAX = 3000 };
    struct secret_key secret = make("first");
    unsigned seen[2] = {0, 0}, beside = 0, kills = 0;
    /* A busy machine may kill all of the first before they have sealed anything. */
    for (; kills < KILLS || (kills < KILLS_MAX && (seen[0] == 0 || seen[1] == 0)); kills++) {
        struct secret_key back;
        struct public_key key;
        seal_until_killed(&secret, 300 + kills * 37 % 10000);
        const bool first = wallet_open(&back, &key, path, "first") == WALLET_OK;
        if (!first) {
            assert_int_equal(wallet_open(&back, &key, path, "second"), WALLET_OK);
        }
        assert_memory_equal(back.bytes, secret.bytes, SECRET_KEY_SIZE);
        seen[first]++;
        char command[128];
        snprintf(command, sizeof command, "rm %s/*.new 2>/dev/null", directory);
        beside += system(command) == 0;
    }
    print_message("%u kills: %u left the one passphrase, %u the other, %u a part beside\n", kills,
                  seen[1], seen[0], beside);
    assert_true(seen[0] > 0 && seen[1] > 0);
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

/* What can't be read to its end is no passphrase, and a descriptor that isn't one is none either. */
static void test_passphrase_that_cannot_be_read(void **state)
{
    (void)state;
    char out[WALLET_PASSPHRASE_MAX + 1], problem[160] = "", whole[WALLET_PASSPHRASE_MAX + 2];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    memset(whole, 'x', sizeof whole);
    assert_int_equal(write(ends[1], whole, sizeof whole), (ssize_t)sizeof whole);
    assert_false(wallet_read_passphrase(out, ends[0], false, problem));
    assert_non_null(strstr(problem, "no passphrase"));
    assert_int_equal(write(ends[1], "half", 4), 4);
    assert_int_equal(write(ends[1], "\0\n", 2), 2);
    assert_false(wallet_read_passphrase(out, ends[0], false, problem));
    close(ends[0]);
    close(ends[1]);
    assert_false(wallet_read_passphrase(out, ends[0], false, problem));
}

/* A master whose other side goes away gives an error where a pipe gives the end. */
static void test_a_read_that_fails_is_not_the_end(void **state)
{
    (void)state;
    char out[WALLET_PASSPHRASE_MAX + 1], problem[160] = "";
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(write(slave, "half", 4), 4);
    close(slave);
    assert_false(wallet_read_passphrase(out, master, false, problem));
    close(master);
}

static void test_secrets_are_zero_and_guarded(void **state)
{
    (void)state;
    static const uint8_t zero[1000];
    uint8_t *secrets = wallet_secrets_new(sizeof zero);
    struct rlimit core;
    assert_memory_equal(secrets, zero, sizeof zero);
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_max, 0);
    wallet_secrets_free(secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_and_missing_passphrase),
        cmocka_unit_test(test_encrypted_file_does_not_hold_the_secret),
        cmocka_unit_test(test_two_files_of_one_key_differ),
        cmocka_unit_test(test_never_overwritten),
        cmocka_unit_test(test_sealed_again),
        cmocka_unit_test(test_killed_while_sealing),
        cmocka_unit_test(test_every_damaged_byte_is_found),
        cmocka_unit_test(test_passphrase_from_a_descriptor),
        cmocka_unit_test(test_passphrase_that_cannot_be_read),
        cmocka_unit_test(test_a_read_that_fails_is_not_the_end),
        cmocka_unit_test(test_secrets_are_zero_and_guarded),
    };
    return cmocka_run_group_tests_name("wallet", tests, set_up, tear_down);
}
