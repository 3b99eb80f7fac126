/* Plays every tests/sim/scenarios/NAME.txt and compares the story with NAME.trace beside it; the
 * demands inside a script hold whatever the trace says. FLEX_REWRITE=1 writes the traces anew
 * (`make scenarios REWRITE=1`). */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/consensus/cluster.h"
#include "tests/lib/consensus/script.h"

enum { FILE_BYTES_MAX = 1 << 20, SCENARIOS_MIN = 40 };

/* NUL-terminated; NULL if it can't be read. */
static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    char *text = malloc(FILE_BYTES_MAX);
    assert_non_null(text);
    size_t size = fread(text, 1, FILE_BYTES_MAX - 1, file);
    assert_int_equal(ferror(file), 0);
    fclose(file);
    text[size] = '\0';
    return text;
}

static bool write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

static void show_difference(const char *path, const char *expected, const char *got)
{
    while (*expected != '\0' && *got != '\0') {
        size_t one = strcspn(expected, "\n"), other = strcspn(got, "\n");
        if (one != other || memcmp(expected, got, one) != 0)
            break;
        expected += one + (expected[one] != '\0');
        got += other + (got[other] != '\0');
    }
    print_error("%s: first difference\n  expected %.*s\n  got      %.*s\n", path,
                (int)strcspn(expected, "\n"), expected, (int)strcspn(got, "\n"), got);
}

static bool play(const char *path)
{
    char beside[512];
    int stem = (int)strlen(path) - (int)strlen(".txt");
    (void)snprintf(beside, sizeof beside, "%.*s.trace", stem, path);
    char *text = read_whole(path), *expected = read_whole(beside);
    assert_non_null(text);
    struct script script = {.text = text};
    bool good = script_run(&script);
    if (!good)
        print_error("%s: %s\n", path, strstr(script.story, "FAILED"));
    if (getenv("FLEX_REWRITE") != NULL) {
        assert_true(write_whole(beside, script.story));
    } else if (expected == NULL) {
        print_error("%s is not there; `make scenarios REWRITE=1` writes it\n", beside);
        good = false;
    } else if (strcmp(expected, script.story) != 0) {
        show_difference(path, expected, script.story);
        good = false;
    }
    free(text);
    free(expected);
    free(script.story);
    return good;
}

static void every_story_goes_as_expected(void **state)
{
    (void)state;
    glob_t found;
    size_t bad = 0;
    assert_int_equal(glob("tests/sim/scenarios/*.txt", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        bad += !play(found.gl_pathv[i]);
    print_message("%zu scenarios, %zu differ\n", found.gl_pathc, bad);
    assert_true(found.gl_pathc >= SCENARIOS_MIN);
    globfree(&found);
    assert_int_equal(bad, 0);
}

/* A rule of the core is switched off: the story that tells of it must come out otherwise. */
static void broken_cores_are_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t mutant;
    } rows[] = {
        {"parent-skips-a-view", BFT_MUTANT_SKIP_ANCESTRY},
        {"power-cut-after-durable-nullify", BFT_MUTANT_NO_REFEED},
        {"body-withheld", BFT_MUTANT_NO_FETCH_NO_STANDSTILL},
        {"two-blocks-for-two-halves", BFT_MUTANT_NO_FETCH_NO_STANDSTILL},
        {"nullified-view-is-never-finalized", BFT_MUTANT_FINALIZE_AFTER_NULLIFY},
        {"notarized-block-beside-the-chain", BFT_MUTANT_FINALIZE_AFTER_NULLIFY},
        {"removed-leader-above-the-boundary", BFT_MUTANT_PAST_BOUNDARY},
        {"straggler-an-epoch-behind", BFT_MUTANT_NO_FETCH_NO_STANDSTILL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "tests/sim/scenarios/%s.txt", rows[i].name);
        char *text = read_whole(path);
        assert_non_null(text);
        struct script script = {.text = text, .mutants = rows[i].mutant};
        bool good = script_run(&script);
        print_message("%s: %s", rows[i].name,
                      good ? "NOT NOTICED\n" : strstr(script.story, "FAILED"));
        assert_false(good);
        free(text);
        free(script.story);
    }
}

static bool holds(const char *text)
{
    struct script script = {.text = text};
    bool good = script_run(&script);
    free(script.story);
    return good;
}

/* A script that can't be read or whose demand is not met fails; it is not passed over. */
static void wrong_scripts_fail(void **state)
{
    (void)state;
    assert_true(holds("at 1000 must height 1 all\nat 1000 end\n"));
    assert_false(holds("at 1000 must height 1 all\n"));
    assert_false(holds("at 1000 must height 1000 all\nat 1000 end\n"));
    assert_false(holds("at 1000 must refuse v0\nat 1000 end\n"));
    assert_false(holds("at 10 dance v0\nat 1000 end\n"));
    assert_false(holds("at 10 kill v9\nat 1000 end\n"));
    assert_false(holds("at 10 lose gossip all to all\nat 1000 end\n"));
    assert_false(holds("at 10 lose\nat 1000 end\n"));
    assert_true(holds("validators 5\nepoch 0 v0 4\nepoch 2 v1 4\nat 900 must epoch 1 all\n"
                      "at 900 end\n"));
    assert_false(holds("validators 3\nat 1000 end\n"));
    assert_false(holds("epoch 0 v1 4\nat 1000 end\n"));
    assert_false(holds("twin v4\nat 1000 end\n"));
    assert_false(holds("at 900 must not-finalize 1 v0\nat 900 end\n"));
    assert_false(holds("at 500 relay v0 nullification 1 - 0 1 2 to v3\nat 900 end\n"));
    assert_false(holds("kill v1\nat 1000 end\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story_goes_as_expected),
        cmocka_unit_test(broken_cores_are_noticed),
        cmocka_unit_test(wrong_scripts_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
