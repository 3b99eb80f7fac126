/* The assertions that stay in release builds: they say where and what, and they end the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "tests/lib/aborts.h"

static void must_hold(void *value)
{
    MUST(*(int *)value == 1);
}

static void lose_the_disk(void *context)
{
    (void)context;
    fatal_environment("no disk");
}

static void test_must(void **state)
{
    (void)state;
    int one = 1, two = 2;
    assert_false(test_aborts(must_hold, &one));
    assert_true(test_aborts(must_hold, &two));
    assert_true(test_aborts(lose_the_disk, NULL));
}

/* The condition is evaluated once: an assertion may not change what it looks at. */
static void test_condition_runs_once(void **state)
{
    (void)state;
    int runs = 0;
    MUST(++runs == 1);
    assert_int_equal(runs, 1);
}

static void test_message_names_the_place(void **state)
{
    (void)state;
    int ends[2];
    char text[256] = {0};
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        int two = 2;
        must_hold(&two);
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    waitpid(child, NULL, 0);
    close(ends[0]);
    assert_non_null(strstr(text, "test_fatal.c:"));
    assert_non_null(strstr(text, "must_hold"));
    assert_non_null(strstr(text, "*(int *)value == 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_must),
        cmocka_unit_test(test_condition_runs_once),
        cmocka_unit_test(test_message_names_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
