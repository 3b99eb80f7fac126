/* Help that teaches: every noun's examples parse as they stand, every option of every command is told exactly
 * once, tables fit the terminal in columns of characters, and nothing that a node says steers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "tools/nouns.h"
#include "tools/text_width.h"

/* Runs a line in help mode: all options are looked up, none of it is done. */
static int type_line(char *line)
{
    char *words[64], *save = NULL, *said = NULL, help[] = "--help";
    size_t size = 0;
    int count = 0;
    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        assert_true(count < 63);
        words[count++] = word;
    }
    words[count++] = help;
    FILE *out = open_memstream(&said, &size);
    assert_non_null(out);
    const int status = cli_main(flex_nouns, flex_noun_count, count, words, out, out);
    fclose(out);
    free(said);
    return status;
}

static void test_examples_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < flex_noun_count; i++) {
        const char *examples = noun_examples(flex_nouns[i]->noun);
        if (examples == NULL) {
            print_error("%s has no examples\n", flex_nouns[i]->noun);
        }
        assert_non_null(examples);
        char *text = strdup(examples), *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "  flex %s ", flex_nouns[i]->noun);
            assert_int_equal(strncmp(line, wanted, strlen(wanted)), 0);
            char *typed = strdup(line);
            const int status = type_line(typed);
            if (status != CLI_DONE) {
                print_error("%s\n", line);
            }
            assert_int_equal(status, CLI_DONE);
            free(typed);
        }
        free(text);
    }
    char wrong[] = "flex order list --colour red";
    assert_int_equal(type_line(wrong), CLI_USAGE);
}

static int count_of(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

/* Behind "  --name", at the start of a line, what is typed or two blanks. */
static void test_every_option_is_told_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < flex_noun_count; i++) {
        for (size_t j = 0; j < flex_nouns[i]->command_count; j++) {
            const struct cli_command *command = &flex_nouns[i]->commands[j];
            char *text = NULL;
            size_t size = 0;
            FILE *out = open_memstream(&text, &size);
            cli_help_command(out, flex_nouns[i], command);
            fclose(out);
            assert_null(strstr(text, ".c)"));
            for (size_t k = 0; k < command->option_count; k++) {
                const struct cli_option *option = &command->options[k];
                const bool word = option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
                char line[96];
                snprintf(line, sizeof line, "\n  %s%s ", word ? "" : "--", option->name);
                /* The options of all commands may have the same name again. */
                assert_in_range(count_of(text, line), 1, 2);
            }
            const char *usage = strstr(text, "usage: ");
            assert_non_null(usage);
            assert_true(strcspn(usage, "\n") <= 120);
            free(text);
        }
    }
}

static void test_width(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width;
    } texts[] = {{"", 0},
                 {"west", 4},
                 {"K\xc3\xb6ln", 4},
                 {"Ko\xcc\x88ln", 4},
                 {"\xe6\x9d\xb1", 2},
                 {"\xf0\x9f\x94\x8b", 2},
                 {"\xe2\x82\xac 3", 3},
                 {"\xff\xfe", 2},
                 {"\xe6\x9d", 2},
                 {"\xc0\xaf", 2}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(text_width(texts[i].text), texts[i].width);
    }
}

static void test_clean(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"K\xc3\xb6ln", "K\xc3\xb6ln"},
                                           {"\x1b[2Jgone", "?[2Jgone"},
                                           {"a\nb\rc\td", "a?b?c?d"},
                                           {"\xe2\x80\xaeoruE", "?oruE"},
                                           {"\xc2\x9b"
                                            "1m",
                                            "?1m"},
                                           {"\xff", "?"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", texts[i][0]);
        text_clean(text);
        assert_string_equal(text, texts[i][1]);
    }
}

static char *table_of(const char *columns_of_terminal)
{
    char *text = NULL;
    size_t size = 0;
    struct cli cli;
    struct cJSON *items =
        cJSON_Parse("[{\"id\":\"K\xc3\xb6ln\",\"zone\":\"west\",\"state\":\"open\"},"
                    "{\"id\":\"\x1b[2J\",\"zone\":\"e\",\"state\":\"shut\"}]");
    if (items == NULL) {
        /* Control characters are escaped in JSON. */
        items = cJSON_Parse("[{\"id\":\"K\xc3\xb6ln\",\"zone\":\"west\",\"state\":\"open\"},"
                            "{\"id\":\"\\u001b[2J\",\"zone\":\"e\",\"state\":\"shut\"}]");
    }
    assert_non_null(items);
    FILE *out = open_memstream(&text, &size);
    setenv("COLUMNS", columns_of_terminal, 1);
    cli_init(&cli, out, out);
    cli_say_table(&cli, items, "id zone state");
    unsetenv("COLUMNS");
    fclose(out);
    cJSON_Delete(items);
    return text;
}

static void test_tables_fit(void **state)
{
    (void)state;
    char *text = table_of("80");
    assert_string_equal(text, "id    zone  state\nK\xc3\xb6ln  west  open\n?[2J  e     shut\n");
    free(text);
    text = table_of("12");
    assert_non_null(strstr(text, "zone                 west\n"));
    assert_null(strstr(text, "id    zone"));
    free(text);
    /* No colours, since this is no terminal. */
    assert_false(text_may_colour(stdout) && getenv("NO_COLOR") != NULL);
}

static int set_up(void **state)
{
    (void)state;
    return crypto_init() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_parse), cmocka_unit_test(test_every_option_is_told_once),
        cmocka_unit_test(test_width),          cmocka_unit_test(test_clean),
        cmocka_unit_test(test_tables_fit),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
