/* Command lines: what parses, what is refused, which exit code follows, and that --json always ends
 * in exactly one object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "crypto/hash.h"
#include "tools/cli.h"
#include "tools/grid.h"
#include "tools/nouns.h"

/* --- a noun of our own, to see what arrives ------------------------------------------------ */

struct probe {
    const char *first;
    const char *second;
    struct name name;
    struct money amount;
    int64_t whole;
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;
    struct timestamp time;
    struct duration span;
    uint8_t bytes[32];
    uint8_t choice;
    uint32_t flags;
    bool on;
};

static const char *const colours[] = {"red", NULL, "green"};
static const char *const letters[] = {"a", "b", "c"};

static const struct cli_option options[] = {
    {"FIRST", CLI_TEXT, offsetof(struct probe, first), "h", CLI_POSITIONAL, NULL, NULL, 0},
    {"SECOND", CLI_TEXT, offsetof(struct probe, second), "h", CLI_WORD, NULL, NULL, 0},
    {"name", CLI_NAME, offsetof(struct probe, name), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"amount", CLI_EUR, offsetof(struct probe, amount), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"whole", CLI_I64, offsetof(struct probe, whole), "h", CLI_OPTIONAL, "42", NULL, 0},
    {"u64", CLI_U64, offsetof(struct probe, u64), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"u32", CLI_U32, offsetof(struct probe, u32), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"u16", CLI_U16, offsetof(struct probe, u16), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"time", CLI_TIME, offsetof(struct probe, time), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"span", CLI_DURATION, offsetof(struct probe, span), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"bytes", CLI_HEX32, offsetof(struct probe, bytes), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"choice", CLI_CHOICE, offsetof(struct probe, choice), "h", CLI_OPTIONAL, NULL, colours, 3},
    {"flags", CLI_FLAGS, offsetof(struct probe, flags), "h", CLI_OPTIONAL, NULL, letters, 3},
    {"on", CLI_SWITCH, offsetof(struct probe, on), "h", CLI_OPTIONAL, NULL, NULL, 0},
    {"must", CLI_TEXT, offsetof(struct probe, second), "h", CLI_REQUIRED, "x", NULL, 0},
};

static struct probe seen;
static size_t seen_words;
static const char *seen_node;

static int run_probe(struct cli *cli, void *arguments)
{
    seen = *(struct probe *)arguments;
    seen_words = cli->word_count;
    seen_node = cli->node;
    return CLI_DONE;
}

static int run_refused(struct cli *cli, void *arguments)
{
    (void)arguments;
    cJSON_AddStringToObject(cli->result, "kept", "yes");
    cli_say(cli, "people's text\n");
    return cli_fail(cli, CLI_REFUSED, "some_code", "a %s", "reason");
}

static const struct cli_command commands[] = {
    {.verb = "see",
     .summary = "s",
     .options = options,
     .option_count = sizeof options / sizeof options[0],
     .arguments_size = sizeof(struct probe),
     .run = run_probe},
    {.verb = "many",
     .summary = "s",
     .options = options,
     .option_count = 1,
     .arguments_size = sizeof(struct probe),
     .more_words = "WORD...",
     .run = run_probe},
    {.verb = "refused", .summary = "s", .run = run_refused},
};
static const struct cli_noun probe_noun = {"probe", "s", commands, 3};
static const struct cli_noun *const nouns[] = {&probe_noun};

/* Runs a line cut at blanks ('_' stands for an empty word); the streams are the caller's to free. */
static int run_line(const struct cli_noun *const *table, size_t count, const char *line,
                    char **out_text, char **err_text)
{
    char *argv[32] = {(char *)(uintptr_t) "flex"};
    int argc = 1;
    static char copy[1024]; /* Texts that arrive point into it. */
    size_t size;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *at = copy; *at != '\0' && argc < 32;) {
        argv[argc] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
        if (strcmp(argv[argc], "_") == 0) {
            argv[argc][0] = '\0';
        }
        argc++;
    }
    FILE *out = open_memstream(out_text, &size);
    FILE *err = open_memstream(err_text, &size);
    memset(&seen, 0, sizeof seen);
    int status = cli_main(table, count, argc, argv, out, err);
    fclose(out);
    fclose(err);
    return status;
}

static int quiet(const char *line)
{
    char *out, *err;
    int status = run_line(nouns, 1, line, &out, &err);
    free(out);
    free(err);
    return status;
}

static void test_values_arrive(void **state)
{
    (void)state;
    assert_int_equal(
        quiet("probe see one --name dso --amount 1.25 --whole -3 --u64 18446744073709551615 "
              "--u32 4294967295 --u16 65535 --time 2025-01-15 --span 15m --choice green "
              "--flags c,a --on --bytes "
              "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
        CLI_DONE);
    assert_string_equal(seen.first, "one");
    assert_memory_equal(seen.name.text, "dso\0\0", 5);
    assert_int_equal(money_ueur(seen.amount), 1250000);
    assert_int_equal(seen.whole, -3);
    assert_true(seen.u64 == UINT64_MAX);
    assert_int_equal(seen.u32, UINT32_MAX);
    assert_int_equal(seen.u16, UINT16_MAX);
    assert_int_equal(timestamp_ms(seen.time), 1736899200000);
    assert_int_equal(duration_ms(seen.span), 900000);
    assert_int_equal(seen.choice, 2);
    assert_int_equal(seen.flags, 5);
    assert_true(seen.on);
    assert_int_equal(seen.bytes[31], 0xff);
}

static void test_fallbacks_order_and_forms(void **state)
{
    (void)state;
    assert_int_equal(quiet("probe see one"), CLI_DONE);
    assert_int_equal(seen.whole, 42);
    assert_false(seen.on);
    assert_int_equal(quiet("probe see --whole=-7 one"), CLI_DONE);
    assert_int_equal(seen.whole, -7);
    assert_int_equal(quiet("--node http://n:1 probe --timeout 5s see one --amount 5 --ueur"),
                     CLI_DONE);
    assert_string_equal(seen_node, "http://n:1");
    assert_int_equal(money_ueur(seen.amount), 5);
    assert_int_equal(quiet("probe see -- --on"), CLI_DONE);
    assert_string_equal(seen.first, "--on");
    assert_int_equal(quiet("probe see --amount -0.05 one"), CLI_DONE);
    assert_int_equal(money_ueur(seen.amount), -50000);
    assert_int_equal(quiet("probe many a b c"), CLI_DONE);
    assert_int_equal(seen_words, 2);
}

static void test_refused_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "nothing",
        "probe",
        "probe nothing",
        "probe see",
        "probe see one two three",
        "probe see one --unknown 1",
        "probe see one --whole",
        "probe see one --whole x",
        "probe see one --whole 1 --whole 1",
        "probe see one --on=1",
        "probe see one --on --on",
        "probe see one --name UPPER",
        "probe see one --name _",
        "probe see one --amount 1,5",
        "probe see one --amount 1.5 --ueur",
        "probe see one --u16 65536",
        "probe see one --u32 4294967296",
        "probe see one --u64 -1",
        "probe see one --u64 18446744073709551616",
        "probe see one --time yesterday",
        "probe see one --span 1w",
        "probe see one --bytes 00",
        "probe see one --choice blue",
        "probe see one --flags a,,b",
        "probe see one --flags a,a",
        "probe see one --flags _",
        "probe see one --whol 1",
        "probe see one --dry-run",
        "--unknown probe see one",
        "--node",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char *out, *err;
        char with_json[256];
        int status = run_line(nouns, 1, lines[i], &out, &err);
        if (status != CLI_USAGE) {
            fail_msg("'%s' gives %d", lines[i], status);
        }
        free(out);
        free(err);
        if (strcmp(lines[i], "--node") == 0) {
            continue; /* Its value would be what comes next. */
        }
        snprintf(with_json, sizeof with_json, "--json%s%s", lines[i][0] != '\0' ? " " : "",
                 lines[i]);
        assert_int_equal(run_line(nouns, 1, with_json, &out, &err), CLI_USAGE);
        char problem[JSON_PROBLEM_SIZE];
        struct cJSON *object = json_parse_strict(out, strlen(out), problem);
        assert_non_null(json_string(json_object(object, "error"), "code"));
        cJSON_Delete(object);
        free(out);
        free(err);
    }
}

static void test_failure_speaks_in_both_forms(void **state)
{
    (void)state;
    char *out, *err;
    assert_int_equal(run_line(nouns, 1, "probe refused", &out, &err), CLI_REFUSED);
    assert_string_equal(out, "people's text\n");
    assert_string_equal(err, "flex: some_code: a reason\n");
    free(out);
    free(err);
    assert_int_equal(run_line(nouns, 1, "probe refused --json", &out, &err), CLI_REFUSED);
    assert_string_equal(out, "{\"kept\":\"yes\",\"error\":{\"code\":\"some_code\","
                             "\"reason\":\"a reason\"}}\n");
    assert_non_null(strstr(err, "people's text"));
    free(out);
    free(err);
}

/* --- the real table ------------------------------------------------------------------------ */

static void test_every_command_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < flex_noun_count; i++) {
        for (size_t j = 0; j < flex_nouns[i]->command_count; j++) {
            const struct cli_command *command = &flex_nouns[i]->commands[j];
            char line[128];
            char *out, *err;
            snprintf(line, sizeof line, "%s %s --help", flex_nouns[i]->noun, command->verb);
            assert_int_equal(run_line(flex_nouns, flex_noun_count, line, &out, &err), CLI_DONE);
            assert_non_null(strstr(out, command->summary));
            for (size_t k = 0; k < command->option_count; k++) {
                assert_non_null(strstr(out, command->options[k].name));
                assert_true(command->options[k].offset < command->arguments_size);
            }
            assert_true((command->run == NULL) == (command->action != 0));
            free(out);
            free(err);
        }
    }
}

/* The option tables of actions against the actions' own records: what is typed is what is signed. */
static void test_dry_runs(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *wanted;
    } rows[] = {
        {"token transfer --to agg-a --amount 1.25",
         "{\"actions\":[{\"type\":\"token_transfer\",\"to\":\"agg-a\",\"amount_ueur\":\"1250000\"}"
         "]}\n"},
        {"order cancel 7", "{\"actions\":[{\"type\":\"order_cancel\",\"order\":\"7\"}]}\n"},
        {"order request --market west --direction up --start 2025-01-15T10:00Z --quantity-wh 40 "
         "--price 1 --kind fill_and_kill --min-quantity-wh 20 --indivisible",
         "{\"actions\":[{\"type\":\"request_place\",\"market\":\"west\",\"direction\":\"up\","
         "\"period_start_ms\":\"1736935200000\",\"quantity_wh\":\"40\","
         "\"price_ueur_per_kwh\":\"1000000\",\"device\":\"\",\"options\":{\"kind\":"
         "\"fill_and_kill\",\"indivisible\":true,\"rank\":0,\"min_quantity_wh\":\"20\"}}]}\n"},
        {"market suspend west",
         "{\"actions\":[{\"type\":\"market_state\",\"id\":\"west\",\"state\":\"suspended\"}]}\n"},
        {"asset prequalify bat",
         "{\"actions\":[{\"type\":\"device_status\",\"device\":\"bat\",\"status\":\"active\"}]}\n"},
        {"asset enrol bat --market west --leave",
         "{\"actions\":[{\"type\":\"device_enrol\",\"device\":\"bat\",\"market\":\"west\","
         "\"enrolled\":false}]}\n"},
        {"asset accept-delegation bat",
         "{\"actions\":[{\"type\":\"device_delegate_accept\",\"device\":\"bat\"}]}\n"},
        {"network node lv1 feeder-2 --parent trafo",
         "{\"actions\":[{\"type\":\"network_node\",\"network\":\"lv1\",\"id\":\"feeder-2\","
         "\"parent\":\"trafo\"}]}\n"},
        {"network publish lv1 --grid-node f2 --start 2025-01-15T10:00Z --import-w 40 --export-w 25",
         "{\"actions\":[{\"type\":\"capacity_publish\",\"network\":\"lv1\",\"node\":\"f2\","
         "\"start_ms\":\"1736935200000\",\"interval_ms\":\"900000\",\"enforce\":false,"
         "\"limits\":[{\"import_w\":\"40\",\"export_w\":\"25\"}]}]}\n"},
        {"order capacity --market west --flow import --start 2025-01-15T10:00Z "
         "--quantity-wh 4000 --device car --indivisible",
         "{\"actions\":[{\"type\":\"request_place\",\"market\":\"west\",\"direction\":\"down\","
         "\"period_start_ms\":\"1736935200000\",\"quantity_wh\":\"4000\","
         "\"price_ueur_per_kwh\":\"0\",\"device\":\"car\",\"options\":{\"kind\":\"limit\","
         "\"indivisible\":true,\"rank\":0,\"min_quantity_wh\":\"0\"}}]}\n"},
        {"order request --market west --direction down --start 2025-01-15T10:00Z "
         "--quantity-wh 4000 --price -0.01",
         "{\"actions\":[{\"type\":\"request_place\",\"market\":\"west\",\"direction\":\"down\","
         "\"period_start_ms\":\"1736935200000\",\"quantity_wh\":\"4000\","
         "\"price_ueur_per_kwh\":\"-10000\",\"device\":\"\",\"options\":{\"kind\":\"limit\","
         "\"indivisible\":false,\"rank\":0,\"min_quantity_wh\":\"0\"}}]}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[512];
        char *out, *err;
        snprintf(line, sizeof line, "--json %s --dry-run", rows[i].line);
        assert_int_equal(run_line(flex_nouns, flex_noun_count, line, &out, &err), CLI_DONE);
        assert_string_equal(out, rows[i].wanted);
        free(out);
        free(err);
    }
}

/* A publication is a table or one stretch, never both, and fits one transaction. */
static void test_network_publish(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "network publish lv1",
        "network publish lv1 --grid-node f2 --start 2025-01-15T10:00Z --import-w 40",
        "network publish lv1 --csv /nonexistent/table.csv",
        "network publish lv1 --csv a.csv --grid-node f2",
        ("network publish lv1 --grid-node f2 --start 2025-01-15T10:00Z --import-w 1 --export-w 1 "
         "--intervals 3073"),
    };
    char *out, *err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[512];
        snprintf(line, sizeof line, "%s --dry-run", bad[i]);
        assert_int_equal(run_line(flex_nouns, flex_noun_count, line, &out, &err), CLI_USAGE);
        free(out);
        free(err);
    }
    assert_int_equal(run_line(flex_nouns, flex_noun_count,
                              "network publish lv1 --grid-node f2 --start 2025-01-15T10:00Z "
                              "--import-w 1 --export-w 1 --intervals 3072 --dry-run",
                              &out, &err),
                     CLI_DONE);
    free(out);
    free(err);
}

static void test_no_node_is_three(void **state)
{
    (void)state;
    static const char *const lines[] = {"node status", "participant list", "block show 1",
                                        "deal list"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[256];
        char *out, *err;
        /* Port 1 on loopback refuses at once. */
        snprintf(line, sizeof line, "--json --node http://127.0.0.1:1 %s", lines[i]);
        assert_int_equal(run_line(flex_nouns, flex_noun_count, line, &out, &err), CLI_NO_NODE);
        assert_non_null(strstr(out, "\"no_node\""));
        free(out);
        free(err);
    }
    char *out, *err;
    assert_int_equal(
        run_line(flex_nouns, flex_noun_count, "--node ftp://x node status", &out, &err), CLI_USAGE);
    free(out);
    free(err);
}

static int set_up(void **state)
{
    (void)state;
    return crypto_init() ? 0 : -1;
}

/* Help and version under --json: people's text on standard error, one object on standard output. */
static void test_help_and_version_keep_to_their_streams(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "help",         "help --man", "help order", "help order offer",
        "order --help", "--help",     "--version",  "order offer --help"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[128];
        char *out, *err, *text, *none;
        snprintf(line, sizeof line, "--json %s", lines[i]);
        assert_int_equal(run_line(flex_nouns, flex_noun_count, line, &out, &err), CLI_DONE);
        struct cJSON *object = cJSON_ParseWithOpts(out, NULL, false);
        assert_true(cJSON_IsObject(object));
        assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
        cJSON_Delete(object);
        assert_int_equal(run_line(flex_nouns, flex_noun_count, lines[i], &text, &none), CLI_DONE);
        assert_string_equal(text, err);
        assert_string_equal(none, "");
        free(out);
        free(err);
        free(text);
        free(none);
    }
}

static void test_output_that_is_lost_is_not_done(void **state)
{
    (void)state;
    char *const people[] = {(char[]){"flex"}, (char[]){"help"}, NULL};
    char *const machine[] = {(char[]){"flex"}, (char[]){"--json"}, (char[]){"--version"}, NULL};
    char *text = NULL;
    size_t size = 0;
    FILE *err = open_memstream(&text, &size);
    for (int i = 0; i < 2; i++) {
        FILE *full = fopen("/dev/full", "w");
        assert_non_null(full);
        assert_int_equal(
            cli_main(flex_nouns, flex_noun_count, 2 + i, i == 0 ? people : machine, full, err),
            CLI_NO_NODE);
        fclose(full);
    }
    assert_int_equal(fclose(err), 0);
    assert_non_null(strstr(text, "output_lost"));
    free(text);
}

/* A narrow stream never shows a whole hash among columns, nor blanks at a line's end. */
static void test_tables(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct cli cli;
    FILE *out = open_memstream(&text, &size);
    cli_init(&cli, out, stderr);
    struct cJSON *items = cJSON_Parse(
        "[{\"id\":\"a\",\"root\":"
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"fee_ueur\":\"1\"},"
        "{\"id\":\"longer\",\"root\":\"-\",\"fee_ueur\":\"2500000\"}]");
    cli_say_table(&cli, items, "id root fee_ueur");
    cJSON_Delete(items);
    struct cJSON *object =
        cJSON_Parse("{\"seconds\":0.25,\"pending_from_ms\":\"0\",\"gate_ms\":"
                    "\"0\",\"dispute_deadline_ms\":\"0\",\"deals\":[{\"id\":\"1\"},"
                    "{\"id\":\"2\",\"correction_deadline_ms\":\"0\","
                    "\"key\":\"00000000000000000000000000000000"
                    "00000000000000000000000000000000\"}]}");
    cli_say_object(&cli, object);
    cJSON_Delete(object);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "id      root             fee\n"
                              "a       0123456789ab...  0.000001 EUR\n"
                              "longer  -                2.50 EUR\n"
                              "seconds              0.25\n"
                              "pending from         -\n"
                              "gate                 0s\n"
                              "dispute deadline     -\n"
                              "deals\n"
                              "  -\n"
                              "    id               1\n"
                              "  -\n"
                              "    id                  2\n"
                              "    correction deadline 0s\n"
                              "    key                 -\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_network_publish),
        cmocka_unit_test(test_fallbacks_order_and_forms),
        cmocka_unit_test(test_refused_lines),
        cmocka_unit_test(test_failure_speaks_in_both_forms),
        cmocka_unit_test(test_every_command_explains_itself),
        cmocka_unit_test(test_help_and_version_keep_to_their_streams),
        cmocka_unit_test(test_output_that_is_lost_is_not_done),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_dry_runs),
        cmocka_unit_test(test_no_node_is_three),
    };
    return cmocka_run_group_tests_name("cli", tests, set_up, NULL);
}
