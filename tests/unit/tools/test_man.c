/* The manual pages against the programs: flex.1 is what the command tables print, and flexd.1 names
 * every command and option of flexd's usage. The programs' sources and the pages are read from the
 * source tree, where unit tests run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "tools/cli.h"
#include "tools/meterd/commands.h"
#include "tools/nouns.h"
#include "tools/signd/commands.h"

enum { PAGE_BYTES_MAX = 1 << 18 };

static char *read_text(const char *path)
{
    size_t size;
    char *bytes = files_read(path, PAGE_BYTES_MAX, &size);
    assert_non_null(bytes);
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    free(bytes);
    return text;
}

static char *page(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    cli_man_page(out, flex_nouns, flex_noun_count);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* As a reader sees a page: without the backslashes before hyphens and without font changes. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '\\' && at[1] == 'f' && at[2] != '\0') {
            at += 2;
        } else if (at[0] != '\\') {
            *to++ = *at;
        }
    }
    *to = '\0';
}

static void test_kept_copy_is_what_flex_prints(void **state)
{
    (void)state;
    char *printed = page();
    char *kept = read_text("docs/man/flex.1");
    assert_string_equal(kept, printed); /* `make man` writes it anew */
    free(kept);
    free(printed);
}

static void test_kept_copy_is_what_flexmeterd_prints(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    meterd_man_page(out);
    assert_int_equal(fclose(out), 0);
    char *kept = read_text("docs/man/flexmeterd.1");
    assert_string_equal(kept, printed); /* `make man` writes it anew */
    free(kept);
    free(printed);
}

static void test_kept_copy_is_what_flexsignd_prints(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    signd_man_page(out);
    assert_int_equal(fclose(out), 0);
    char *kept = read_text("docs/man/flexsignd.1");
    assert_string_equal(kept, printed); /* `make man` writes it anew */
    free(kept);
    free(printed);
}

static void test_every_noun_verb_and_option_stands_in_it(void **state)
{
    (void)state;
    char wanted[128];
    char *text = page();
    unescape(text);
    for (size_t i = 0; i < flex_noun_count; i++) {
        for (size_t j = 0; j < flex_nouns[i]->command_count; j++) {
            const struct cli_command *command = &flex_nouns[i]->commands[j];
            snprintf(wanted, sizeof wanted, "\nflex %s %s", flex_nouns[i]->noun, command->verb);
            const char *entry = strstr(text, wanted);
            assert_non_null(entry);
            const char *end = strstr(entry + 1, "\n.TP\nflex ");
            for (size_t k = 0; k < command->option_count; k++) {
                const struct cli_option *option = &command->options[k];
                bool word = option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
                snprintf(wanted, sizeof wanted, ".TP\n%s%s", word ? "" : "--", option->name);
                const char *at = strstr(entry, wanted);
                assert_non_null(at);
                assert_true(end == NULL || at < end);
            }
        }
    }
    for (size_t i = 0; i < cli_common_count; i++) {
        snprintf(wanted, sizeof wanted, ".TP\n--%s", cli_common_options[i].name);
        assert_non_null(strstr(text, wanted));
    }
    free(text);
}

/* flexd's usage text is the list of what it takes. */
static void test_flexd_page_names_what_usage_names(void **state)
{
    (void)state;
    char wanted[64];
    unsigned options = 0;
    unsigned commands = 0;
    char *source = read_text("node/flexd_main.c");
    char *text = read_text("docs/man/flexd.1");
    unescape(text);
    const char *usage = strstr(source, "usage[] =");
    assert_non_null(usage);
    const char *end = strstr(usage, ";\n");
    assert_non_null(end);
    for (const char *at = strstr(usage, "--"); at != NULL && at < end; at = strstr(at + 2, "--")) {
        size_t length = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        snprintf(wanted, sizeof wanted, "%.*s", (int)length, at);
        assert_non_null(strstr(text, wanted));
        options++;
    }
    for (const char *at = strstr(usage, "\"  flexd "); at != NULL && at < end;
         at = strstr(at + 1, "\"  flexd ")) {
        snprintf(wanted, sizeof wanted, ".B %.*s\n", 6 + (int)strcspn(at + 9, " "), at + 3);
        assert_non_null(strstr(text, wanted));
        commands++;
    }
    assert_true(options >= 13);
    assert_int_equal(commands, 10); /* rotate in two forms */
    free(text);
    free(source);
}

/* What a program's usage text names, its page names. */
static void check_usage_against_page(const char *program, const char *where, const char *page_name)
{
    char wanted[64];
    unsigned options = 0;
    char *source = read_text(program);
    char *text = read_text(page_name);
    unescape(text);
    const char *usage = strstr(source, where);
    assert_non_null(usage);
    const char *end = strstr(usage, ";\n");
    assert_non_null(end);
    for (const char *at = strstr(usage, "--"); at != NULL && at < end; at = strstr(at + 2, "--")) {
        size_t length = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        snprintf(wanted, sizeof wanted, "%.*s", (int)length, at);
        if (strstr(text, wanted) == NULL)
            fail_msg("%s does not name %s", page_name, wanted);
        options++;
    }
    assert_true(options > 0);
    free(text);
    free(source);
}

static void test_pages_of_the_smaller_programs(void **state)
{
    (void)state;
    check_usage_against_page("tools/flexclear_main.c", "usage[] =", "docs/man/flexclear.1");
    check_usage_against_page("tools/flexsettle_main.c", "FILE, or standard",
                             "docs/man/flexsettle.1");
    check_usage_against_page("tools/flexbench_main.c", "usage[] =", "docs/man/flexbench.1");
    check_usage_against_page("tools/flexsim_main.c", "usage[] =", "docs/man/flexsim.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_copy_is_what_flex_prints),
        cmocka_unit_test(test_kept_copy_is_what_flexmeterd_prints),
        cmocka_unit_test(test_kept_copy_is_what_flexsignd_prints),
        cmocka_unit_test(test_every_noun_verb_and_option_stands_in_it),
        cmocka_unit_test(test_flexd_page_names_what_usage_names),
        cmocka_unit_test(test_pages_of_the_smaller_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
