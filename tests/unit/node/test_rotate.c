/* flexd rotate --adopt, broken off after each of its renames: the same command ends it, with the next key, its
 * certificate in place and nothing lost. A certificate of another key is refused, and nothing has moved. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "node/commands.h"
#include "node/config.h"
#include "p2p/certificate.h"
#include "tests/lib/temp_dir.h"

static char home[TEMP_PATH_SIZE];
static struct node_config config;
static char problem[NODE_PROBLEM_SIZE];

/* In the order in which adopt does them. */
static const struct {
    const char *from;
    const char *to;
} renames[] = {
    {"tls/node.key", "tls/node.key.old"}, {"tls/next/node.key", "tls/node.key"},
    {"tls/node.pem", "tls/node.pem.old"}, {"tls/next/node.pem", "tls/node.pem"},
    {"node.key", "node.key.old"},
};
enum { RENAMES = sizeof renames / sizeof renames[0] };

static const char *under(const char *name)
{
    static char paths[4][NODE_PATH_MAX];
    static unsigned turn;
    char *out = paths[turn++ % 4];
    assert_true(node_config_path(out, &config, name));
    return out;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void make_directory(const char *name)
{
    assert_true(files_make_directory(under(name)));
}

static void issue(const char *certificate, const char *key_file, const struct public_key *key)
{
    char fault[160] = "";
    if (!p2p_certificate_issue(under(certificate), under(key_file), under("tls/ca.pem"),
                               under("tls/ca.key"), key, 30, fault))
        fail_msg("%s", fault);
}

static struct public_key key_in(const char *name)
{
    struct secret_key seed;
    struct public_key key;
    if (!node_key_load(under(name), &seed, problem))
        fail_msg("%s", problem);
    ed25519_public_key(&key, &seed);
    return key;
}

static int rotate(bool adopts)
{
    char words[3][TEMP_PATH_SIZE] = {"--home", "", "--adopt"};
    char *arguments[] = {words[0], words[1], words[2], NULL};
    snprintf(words[1], sizeof words[1], "%s", home);
    return flexd_rotate(adopts ? 3 : 2, arguments);
}

static int start(void **state)
{
    static const char text[] =
        "{\"role\":\"validator\",\"name\":\"dso\",\"listen_p2p\":\"127.0.0.1:0\"}";
    struct secret_key seed;
    char fault[160] = "";
    (void)state;
    if (!crypto_init())
        return -1;
    temp_dir_make(home);
    node_config_init(&config, home);
    make_directory("tls/next");
    temp_file_write(home, "flexd.json", text, strlen(text));
    if (!p2p_ca_create(under("tls/ca.pem"), under("tls/ca.key"), "test", fault) ||
        !node_key_create(under("node.key"), &seed, problem))
        return -1;
    const struct public_key key = key_in("node.key");
    issue("tls/node.pem", "tls/node.key", &key);
    return rotate(false);
}

static int finish(void **state)
{
    (void)state;
    return nftw(home, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect_adopted(const struct public_key *old, const struct public_key *next)
{
    char fault[160] = "";
    struct public_key now = key_in("node.key"), kept = key_in("node.key.old");
    assert_true(public_key_equal(&now, next));
    assert_true(public_key_equal(&kept, old));
    if (!certificate_check(under("tls/ca.pem"), under("tls/node.pem"), under("tls/node.key"), next,
                           fault))
        fail_msg("%s", fault);
    if (!certificate_check(under("tls/ca.pem"), under("tls/node.pem.old"),
                           under("tls/node.key.old"), old, fault))
        fail_msg("%s", fault);
    assert_false(files_exists(under("node.key.next")));
}

static void adopt_after(int renamed)
{
    const struct public_key old = key_in("node.key"), next = key_in("node.key.next");
    issue("tls/next/node.pem", "tls/next/node.key", &next);
    for (int i = 0; i < renamed; i++)
        assert_int_equal(rename(under(renames[i].from), under(renames[i].to)), 0);
    assert_int_equal(rotate(true), FLEXD_DONE);
    expect_adopted(&old, &next);
    assert_int_equal(rotate(true), FLEXD_FAILED); /* there is no next one */
    expect_adopted(&old, &next);
}

static void broken_off_anywhere(void **state)
{
    for (int renamed = 0; renamed <= RENAMES; renamed++) {
        if (renamed > 0)
            assert_int_equal(start(state), 0);
        adopt_after(renamed);
        if (renamed < RENAMES)
            assert_int_equal(finish(state), 0);
    }
}

static void not_without_its_certificate(void **state)
{
    (void)state;
    const struct public_key old = key_in("node.key");
    assert_int_equal(rotate(true), FLEXD_FAILED);          /* none in tls/next */
    issue("tls/next/node.pem", "tls/next/node.key", &old); /* one, of the wrong key */
    assert_int_equal(rotate(true), FLEXD_FAILED);
    const struct public_key now = key_in("node.key");
    assert_true(public_key_equal(&now, &old));
    assert_true(files_exists(under("node.key.next")) && files_exists(under("tls/next/node.key")));
    assert_false(files_exists(under("node.key.old")) || files_exists(under("tls/node.key.old")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(broken_off_anywhere, start, finish),
        cmocka_unit_test_setup_teardown(not_without_its_certificate, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
