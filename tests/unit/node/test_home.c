/* What may be read and written in a home (node_home_check): what is missing is no fault, what is in
 * the way is named. Modes that forbid, which a test as root cannot feel, are the nemesis's
 * (wrong_permissions, read_only_home). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/config.h"
#include "tests/lib/temp_dir.h"

static struct node_config config;
static char problem[NODE_PROBLEM_SIZE];

static void under_home(char out[NODE_PATH_MAX], const char *name)
{
    assert_true(node_config_path(out, &config, name));
}

static void make_file(const char *name)
{
    char path[NODE_PATH_MAX];
    under_home(path, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void make_home_directory(const char *name)
{
    char path[NODE_PATH_MAX];
    under_home(path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void drop(const char *name)
{
    char path[NODE_PATH_MAX];
    under_home(path, name);
    assert_int_equal(remove(path), 0);
}

static void test_new_and_used(void **state)
{
    (void)state;
    char home[TEMP_PATH_SIZE];
    temp_dir_make(home);
    node_config_init(&config, home);
    assert_true(node_home_check(&config, problem));
    make_home_directory("data");
    make_home_directory("journal");
    make_file("data/data.mdb");
    make_file("journal/sign-state");
    assert_true(node_home_check(&config, problem));
    drop("data/data.mdb");
    drop("journal/sign-state");
    drop("data");
    drop("journal");
    temp_dir_remove(home);
}

static void refused_beside(const char *blocker)
{
    char home[TEMP_PATH_SIZE];
    char path[NODE_PATH_MAX];
    temp_dir_make(home);
    node_config_init(&config, home);
    make_file(blocker);
    under_home(path, blocker);
    problem[0] = '\0';
    assert_false(node_home_check(&config, problem));
    assert_non_null(strstr(problem, path));
    assert_non_null(strstr(problem, "Permission denied"));
    assert_non_null(strstr(problem, "writable"));
    temp_dir_remove(home);
}

/* A file cannot be searched, whoever asks. */
static void test_file_for_directory(void **state)
{
    (void)state;
    refused_beside("data");
    refused_beside("journal");
}

/* A node runs as long as its lock is held, whatever files say. */
static void test_runs_while_it_is_locked(void **state)
{
    char home[TEMP_PATH_SIZE];
    char path[NODE_PATH_MAX];
    (void)state;
    temp_dir_make(home);
    node_config_init(&config, home);
    assert_false(node_home_runs(&config));
    under_home(path, "data");
    assert_int_equal(mkdir(path, 0700), 0);
    make_file("data/in-use");
    make_file("flexd.pid");
    assert_false(node_home_runs(&config));
    under_home(path, "data/in-use");
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(node_home_runs(&config));
    assert_int_equal(flock(fd, LOCK_SH), 0); /* flexd check, which votes for nothing */
    assert_false(node_home_runs(&config));
    assert_int_equal(close(fd), 0);
    drop("data/in-use");
    drop("data");
    temp_dir_remove(home);
}

/* One process has a home, also when its data/ is moved away under it. */
static void test_one_process_at_a_time(void **state)
{
    char home[TEMP_PATH_SIZE];
    bool runs = false;
    (void)state;
    temp_dir_make(home);
    node_config_init(&config, home);
    const int first = node_home_take(&config, &runs, problem);
    assert_true(first >= 0);
    assert_false(runs);
    assert_true(node_home_runs(&config));
    assert_int_equal(node_home_take(&config, &runs, problem), -1);
    assert_true(runs);
    assert_non_null(strstr(problem, "another process"));
    assert_int_equal(close(first), 0);
    assert_false(node_home_runs(&config));
    /* A node of before took the database alone. */
    char path[NODE_PATH_MAX];
    under_home(path, "data");
    assert_int_equal(mkdir(path, 0700), 0);
    make_file("data/in-use");
    under_home(path, "data/in-use");
    const int database = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(database, LOCK_EX), 0);
    assert_int_equal(node_home_take(&config, &runs, problem), -1);
    assert_true(runs);
    assert_int_equal(close(database), 0);
    drop("data/in-use");
    drop("data");
    temp_dir_remove(home);
    assert_int_equal(node_home_take(&config, &runs, problem), -1);
    assert_false(runs);
}

/* A key beside a signer would vote without it as soon as flexd.json names none. */
static void test_no_key_beside_a_signer(void **state)
{
    char home[TEMP_PATH_SIZE];
    struct public_key key;
    struct secret_key seed;
    (void)state;
    temp_dir_make(home);
    node_config_init(&config, home);
    snprintf(config.signer_socket, sizeof config.signer_socket, "/run/x");
    assert_true(node_config_key(&key, &seed, &config, problem));
    make_file("node.key");
    assert_false(node_config_key(&key, &seed, &config, problem));
    assert_non_null(strstr(problem, "beside a signer"));
    drop("node.key");
    temp_dir_remove(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_and_used),
        cmocka_unit_test(test_file_for_directory),
        cmocka_unit_test(test_runs_while_it_is_locked),
        cmocka_unit_test(test_one_process_at_a_time),
        cmocka_unit_test(test_no_key_beside_a_signer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
