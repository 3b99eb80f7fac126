/* Parsing of command lines, dispatch and exit codes (tools/cli.h).
 *
 * flex [OPTION...] NOUN VERB [WORD or OPTION...]: the common options may stand anywhere, those of a
 * command behind its verb. `--name VALUE` and `--name=VALUE` are the same; the value of an option is
 * the next word whatever it starts with, so that negative prices need no trick; `--` ends options.
 *
 * Invariants: an option that is given twice, is unknown or has a bad value is exit 2 and nothing has
 * been done; under --json standard output carries exactly one object, on failure too.
 *
 * Absent on purpose: abbreviated options, and options that depend on their order. */
#include "tools/cli.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fatal.h"
#include "node/version.h"
#include "tools/submit.h"
#include "tools/text_width.h"
#include "tools/value.h"

const struct cli_option cli_common_options[] = {
    {.name = "home",
     .type = CLI_DIR,
     .offset = offsetof(struct cli, home),
     .help = "where keys and salts are kept (FLEX_HOME, else ~/.flex)",
     .kind = CLI_OPTIONAL},
    {.name = "node",
     .type = CLI_URL,
     .offset = offsetof(struct cli, node),
     .help = "a node's address (FLEX_NODE, else http://127.0.0.1:8400)",
     .kind = CLI_OPTIONAL},
    {.name = "ca",
     .type = CLI_FILE,
     .offset = offsetof(struct cli, ca_file),
     .help = "trust https nodes by this file of CA certificates alone (FLEX_CA)",
     .kind = CLI_OPTIONAL},
    {.name = "genesis",
     .type = CLI_FILE,
     .offset = offsetof(struct cli, genesis_file),
     .help = "the genesis file to trust, instead of HOME/genesis.json",
     .kind = CLI_OPTIONAL},
    {.name = "json",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, json),
     .help = "print one JSON object on standard output",
     .kind = CLI_OPTIONAL},
    {.name = "ueur",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, ueur),
     .help = "amounts and prices are whole micro-euro, not EUR",
     .kind = CLI_OPTIONAL},
    {.name = "help",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, help),
     .help = "explain the noun or command",
     .kind = CLI_OPTIONAL},
    {.name = "version",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, version),
     .help = "print the version and do nothing",
     .kind = CLI_OPTIONAL},
    {.name = "no-verify",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, no_verify),
     .help = "believe the node instead of checking its proof",
     .kind = CLI_OPTIONAL},
    {.name = "allow-stale",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, allow_stale),
     .help = "take a state older than what this wallet has verified before",
     .kind = CLI_OPTIONAL},
    {.name = "timeout",
     .type = CLI_DURATION,
     .offset = offsetof(struct cli, timeout_ms),
     .help = "how long to wait for an answer or for finality (30s)",
     .kind = CLI_OPTIONAL},
    {.name = "passphrase-fd",
     .type = CLI_I64,
     .offset = offsetof(struct cli, passphrase_fd),
     .help = "read the key's passphrase from this file descriptor",
     .kind = CLI_OPTIONAL},
};
const size_t cli_common_count = sizeof cli_common_options / sizeof cli_common_options[0];

const struct cli_option cli_sender_options[] = {
    {.name = "valid-for",
     .type = CLI_DURATION,
     .offset = offsetof(struct cli, valid_for_ms),
     .help = "how long the transaction may wait for a block (10m)",
     .kind = CLI_OPTIONAL},
    {.name = "fee-limit",
     .type = CLI_EUR,
     .offset = offsetof(struct cli, fee_limit),
     .help = "the most to pay as a fee (default: what the ledger asks now)",
     .kind = CLI_OPTIONAL},
    {.name = "dry-run",
     .type = CLI_SWITCH,
     .offset = offsetof(struct cli, dry_run),
     .help = "print the actions as JSON and send nothing",
     .kind = CLI_OPTIONAL},
    {.name = "save-envelope",
     .type = CLI_FILE,
     .offset = offsetof(struct cli, save_envelope),
     .help = "keep the signed bytes in this file before they are sent (tx send posts them again)",
     .kind = CLI_OPTIONAL},
};
const size_t cli_sender_count = sizeof cli_sender_options / sizeof cli_sender_options[0];

void cli_say(struct cli *cli, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(cli->json ? cli->err : cli->out, format, list);
    va_end(list);
}

int cli_fail(struct cli *cli, int status, const char *code, const char *format, ...)
{
    char reason[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(reason, sizeof reason, format, list);
    va_end(list);
    const bool own = cli->noun != NULL && cli_noun_is_program(cli->noun);
    const bool red = text_may_colour(cli->err);
    text_clean(reason);
    fprintf(cli->err, "%s: %s%s%s: %s\n", own ? cli->noun->noun : "flex", red ? "\033[31m" : "",
            code, red ? "\033[0m" : "", reason);
    if (cli->result != NULL && cJSON_GetObjectItemCaseSensitive(cli->result, "error") == NULL) {
        struct cJSON *error = cJSON_AddObjectToObject(cli->result, "error");
        cJSON_AddStringToObject(error, "code", code);
        cJSON_AddStringToObject(error, "reason", reason);
    }
    return status;
}

void cli_init(struct cli *cli, FILE *out, FILE *err)
{
    memset(cli, 0, sizeof *cli);
    cli->out = out;
    cli->err = err;
    cli->passphrase_fd = -1;
    cli->timeout_ms = INT64_C(30) * 1000;
    cli->valid_for_ms = INT64_C(10) * 60 * 1000;
    cli->fee_limit = -1;
    cli->home = getenv("FLEX_HOME");
    if (cli->home == NULL || cli->home[0] == '\0') {
        const char *user = getenv("HOME");
        snprintf(cli->home_text, sizeof cli->home_text, "%s/.flex", user != NULL ? user : ".");
        cli->home = cli->home_text;
    }
    cli->ca_file = getenv("FLEX_CA");
    if (cli->ca_file != NULL && cli->ca_file[0] == '\0')
        cli->ca_file = NULL;
    cli->node = getenv("FLEX_NODE");
    if (cli->node == NULL || cli->node[0] == '\0') {
        cli->node = "http://127.0.0.1:8400";
    }
}

/* --- values ------------------------------------------------------------------------------- */

static bool parse_choice(const struct cli_option *option, uint8_t *out, const char *text)
{
    for (size_t i = 0; i < option->name_count; i++) {
        if (option->names[i] != NULL && strcmp(option->names[i], text) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool parse_flags(const struct cli_option *option, uint32_t *out, const char *text)
{
    uint32_t flags = 0;
    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        size_t i = 0;
        while (i < option->name_count &&
               (strlen(option->names[i]) != length || strncmp(option->names[i], at, length) != 0)) {
            i++;
        }
        if (i == option->name_count || (flags & (1u << i)) != 0) {
            return false;
        }
        flags |= 1u << i;
        if (at[length] == '\0') {
            break;
        }
        at += length + 1;
    }
    *out = flags;
    return true;
}

static bool parse_unsigned(uint64_t *out, const char *text, uint64_t most)
{
    uint64_t value;
    if (!uint64_from_text(&value, text) || value > most) {
        return false;
    }
    *out = value;
    return true;
}

/* Every unit struct has one int64 and nothing else, so a value goes in as its bytes. */
static bool store_i64(void *place, int64_t value)
{
    memcpy(place, &value, sizeof value);
    return true;
}

static bool store_unsigned(void *place, const char *text, size_t size)
{
    uint64_t value = 0;
    uint64_t most = size == 8 ? UINT64_MAX : size == 4 ? UINT32_MAX : UINT16_MAX;
    if (!parse_unsigned(&value, text, most)) {
        return false;
    }
    uint32_t value32 = (uint32_t)value;
    uint16_t value16 = (uint16_t)value;
    memcpy(place,
           size == 8   ? (void *)&value
           : size == 4 ? (void *)&value32
                       : (void *)&value16,
           size);
    return true;
}

static bool parse_value(const struct cli *cli, const struct cli_option *option, void *place,
                        const char *text)
{
    int64_t value = 0;
    switch (option->type) {
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_DIR:
    case CLI_URL:
        memcpy(place, &text, sizeof text);
        return text[0] != '\0';
    case CLI_NAME:
        return name_from_text(place, text, strlen(text));
    case CLI_EUR:
        return value_eur(&value, text, cli->ueur) && store_i64(place, value);
    case CLI_I64:
        return int64_from_text(&value, text) && store_i64(place, value);
    case CLI_TIME:
        return value_time(&value, text) && store_i64(place, value);
    case CLI_DURATION:
        return value_duration(&value, text) && store_i64(place, value);
    case CLI_U64:
        return store_unsigned(place, text, sizeof(uint64_t));
    case CLI_U32:
        return store_unsigned(place, text, sizeof(uint32_t));
    case CLI_U16:
        return store_unsigned(place, text, sizeof(uint16_t));
    case CLI_HEX32:
        return hex_decode(place, 32, text);
    case CLI_CHOICE:
        return parse_choice(option, place, text);
    case CLI_FLAGS:
        return parse_flags(option, place, text);
    case CLI_SWITCH:
        *(bool *)place = true;
        return true;
    }
    return false;
}

static const char *type_wants(enum cli_type type)
{
    switch (type) {
    case CLI_TEXT:
        return "some text";
    case CLI_FILE:
        return "a file's name";
    case CLI_DIR:
        return "a directory's name";
    case CLI_URL:
        return "an address like http://127.0.0.1:8400";
    case CLI_NAME:
        return "a name: 1 to 24 of a-z 0-9 - _ . with a letter or digit first";
    case CLI_EUR:
        return "an amount in EUR with at most 6 decimals (with --ueur: whole micro-euro)";
    case CLI_I64:
        return "a whole number";
    case CLI_U64:
    case CLI_U32:
    case CLI_U16:
        return "a whole number, not negative, in range";
    case CLI_TIME:
        return "a UTC time like 2025-01-15T10:00:00Z, or Unix milliseconds";
    case CLI_DURATION:
        return "a span of time like 15m, 36h, 90s, or milliseconds";
    case CLI_HEX32:
        return "64 lower-case hex digits";
    case CLI_CHOICE:
    case CLI_FLAGS:
        return "one of";
    case CLI_SWITCH:
        return "no value";
    }
    return "";
}

static int bad_value(struct cli *cli, const struct cli_option *option, const char *text)
{
    char choices[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < option->name_count && used < sizeof choices; i++) {
        if (option->names[i] != NULL) {
            int written = snprintf(choices + used, sizeof choices - used, " %s", option->names[i]);
            used += written > 0 ? (size_t)written : 0;
        }
    }
    bool word = option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
    return cli_fail(cli, CLI_USAGE, "bad_value", "%s%s: '%s' is not what is wanted: %s%s",
                    word ? "" : "--", option->name, text, type_wants(option->type), choices);
}

/* --- command lines ------------------------------------------------------------------------ */

/* Where the values of one command line stand, before they are converted: --ueur may come last and
 * still changes what an amount means. */
struct raw_values {
    const char *common[CLI_OPTIONS_MAX];
    const char *sender[CLI_OPTIONS_MAX];
    const char *own[CLI_OPTIONS_MAX];
};

static bool is_word(const struct cli_option *option)
{
    return option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
}

/* The option of `table` that `text` (behind the dashes, up to `length`) names; -1 if none. */
static int find_option(const struct cli_option *table, size_t count, const char *text,
                       size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_word(&table[i]) && strlen(table[i].name) == length &&
            strncmp(table[i].name, text, length) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool takes_sender_options(const struct cli_command *command)
{
    return command != NULL && (command->sends || command->action != 0);
}

/* Takes the option at argv[*at] with its value and moves *at behind it. */
static int take_option(struct cli *cli, struct raw_values *raw, int argc, char *const *argv,
                       int *at)
{
    const char *text = argv[*at] + 2;
    size_t length = strcspn(text, "=");
    const struct cli_command *command = cli->command;
    const struct cli_option *table = cli_common_options;
    const char **slots = raw->common;
    int found = -1;
    if (command != NULL) {
        table = command->options;
        slots = raw->own;
        found = find_option(table, command->option_count, text, length);
        if (found < 0 && takes_sender_options(command)) {
            table = cli_sender_options;
            slots = raw->sender;
            found = find_option(table, cli_sender_count, text, length);
        }
    }
    if (found < 0) {
        table = cli_common_options;
        slots = raw->common;
        found = find_option(table, cli_common_count, text, length);
    }
    if (found < 0) {
        return cli_fail(cli, CLI_USAGE, "unknown_option", "--%.*s is not an option here%s",
                        (int)length, text, command != NULL ? "; try --help" : "");
    }
    if (slots[found] != NULL) {
        return cli_fail(cli, CLI_USAGE, "option_twice", "--%s is given twice", table[found].name);
    }
    (*at)++;
    if (table[found].type == CLI_SWITCH) {
        slots[found] = "";
        return text[length] == '=' ? bad_value(cli, &table[found], text + length + 1) : CLI_DONE;
    }
    if (text[length] == '=') {
        slots[found] = text + length + 1;
    } else if (*at < argc) {
        slots[found] = argv[(*at)++];
    } else {
        return cli_fail(cli, CLI_USAGE, "value_missing", "--%s needs %s", table[found].name,
                        type_wants(table[found].type));
    }
    return CLI_DONE;
}

bool cli_must_give(const struct cli_command *command, const struct cli_option *option)
{
    if (option->kind == CLI_POSITIONAL) {
        return true;
    }
    return option->kind == CLI_REQUIRED && option->fallback == NULL &&
           (command == NULL || !command->changes);
}

const char *cli_fallback(const struct cli_command *command, const struct cli_option *option)
{
    return command != NULL && command->changes ? NULL : option->fallback;
}

static int convert(struct cli *cli, const struct cli_command *command,
                   const struct cli_option *table, size_t count, const char *const *slots,
                   void *base)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = slots[i] != NULL ? slots[i] : cli_fallback(command, &table[i]);
        if (text == NULL) {
            if (cli_must_give(command, &table[i])) {
                return cli_fail(cli, CLI_USAGE, "value_missing", "%s%s is missing (%s)",
                                is_word(&table[i]) ? "" : "--", table[i].name, table[i].help);
            }
            continue;
        }
        if (!parse_value(cli, &table[i], (uint8_t *)base + table[i].offset, text)) {
            return bad_value(cli, &table[i], text);
        }
    }
    return CLI_DONE;
}

static int take_word(struct cli *cli, struct raw_values *raw, const char **words, const char *word)
{
    const struct cli_command *command = cli->command;
    for (size_t i = 0; i < command->option_count; i++) {
        if (is_word(&command->options[i]) && raw->own[i] == NULL) {
            raw->own[i] = word;
            return CLI_DONE;
        }
    }
    if (command->more_words == NULL || cli->word_count == CLI_WORDS_MAX) {
        return cli_fail(cli, CLI_USAGE, "word_too_many", "'%s' is one word too many", word);
    }
    words[cli->word_count++] = word;
    return CLI_DONE;
}

static int convert_all(struct cli *cli, const struct raw_values *raw, void *arguments)
{
    const struct cli_command *command = cli->command;
    int status = convert(cli, NULL, cli_common_options, cli_common_count, raw->common, cli);
    if (status == CLI_DONE && takes_sender_options(command)) {
        status = convert(cli, NULL, cli_sender_options, cli_sender_count, raw->sender, cli);
    }
    _Static_assert((int)CLI_OPTIONS_MAX <= 64, "a bit for each");
    MUST(command->option_count <= CLI_OPTIONS_MAX);
    cli->given = 0;
    for (size_t i = 0; i < command->option_count && i < CLI_OPTIONS_MAX; i++) {
        cli->given |= raw->own[i] != NULL ? UINT64_C(1) << i : 0;
    }
    if (status == CLI_DONE && !cli->help) {
        status =
            convert(cli, command, command->options, command->option_count, raw->own, arguments);
    }
    return status;
}

/* Options before the verb have been taken into `raw` already. */
static int parse_behind_verb(struct cli *cli, struct raw_values *raw, void *arguments, int argc,
                             char *const *argv)
{
    static const char *words[CLI_WORDS_MAX];
    MUST(cli->command->option_count <= CLI_OPTIONS_MAX);
    MUST(cli->command->arguments_size <= CLI_ARGUMENTS_SIZE);
    memset(arguments, 0, cli->command->arguments_size);
    cli->words = words;
    cli->word_count = 0;
    bool options_end = false;
    for (int at = 0; at < argc;) {
        int status;
        if (!options_end && strcmp(argv[at], "--") == 0) {
            options_end = true;
            at++;
            continue;
        }
        if (!options_end && strncmp(argv[at], "--", 2) == 0) {
            status = take_option(cli, raw, argc, argv, &at);
        } else {
            status = take_word(cli, raw, words, argv[at++]);
        }
        if (status != CLI_DONE) {
            return status;
        }
    }
    return convert_all(cli, raw, arguments);
}

int cli_parse(struct cli *cli, void *arguments, int argc, char *const *argv)
{
    struct raw_values raw = {0};
    return parse_behind_verb(cli, &raw, arguments, argc, argv);
}

/* --- dispatch ----------------------------------------------------------------------------- */

static const struct cli_noun *find_noun(const struct cli_noun *const *nouns, size_t count,
                                        const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(nouns[i]->noun, text) == 0) {
            return nouns[i];
        }
    }
    return NULL;
}

static const struct cli_command *find_command(const struct cli_noun *noun, const char *verb)
{
    for (size_t i = 0; i < noun->command_count; i++) {
        if (strcmp(noun->commands[i].verb, verb) == 0) {
            return &noun->commands[i];
        }
    }
    return NULL;
}

/* Where help goes: under --json standard output is for the one object. */
static FILE *help_stream(const struct cli *cli)
{
    return cli->json ? cli->err : cli->out;
}

/* flex help [--man | NOUN [VERB]] */
static int run_help(struct cli *cli, const struct cli_noun *const *nouns, size_t count, int argc,
                    char *const *argv)
{
    if (argc == 0) {
        cli_help_overview(help_stream(cli), nouns, count);
        return CLI_DONE;
    }
    if (strcmp(argv[0], "--man") == 0 && argc == 1) {
        cli_man_page(help_stream(cli), nouns, count);
        return CLI_DONE;
    }
    const struct cli_noun *noun = find_noun(nouns, count, argv[0]);
    if (noun == NULL) {
        return cli_fail(cli, CLI_USAGE, "unknown_noun", "'%s' is nothing that flex knows", argv[0]);
    }
    if (argc == 1) {
        cli_help_noun(help_stream(cli), noun);
        return CLI_DONE;
    }
    const struct cli_command *command = find_command(noun, argv[1]);
    if (command == NULL) {
        return cli_fail(cli, CLI_USAGE, "unknown_verb", "%s has no verb '%s'", noun->noun, argv[1]);
    }
    cli_help_command(help_stream(cli), noun, command);
    return CLI_DONE;
}

/* Common options in front of the noun, and between noun and verb. */
static int take_leading(struct cli *cli, struct raw_values *raw, int argc, char *const *argv,
                        int *at)
{
    while (*at < argc && strncmp(argv[*at], "--", 2) == 0) {
        int status = take_option(cli, raw, argc, argv, at);
        if (status != CLI_DONE) {
            return status;
        }
    }
    return CLI_DONE;
}

static int run_command(struct cli *cli, struct raw_values *raw, int argc, char *const *argv)
{
    static _Alignas(16) uint8_t arguments[CLI_ARGUMENTS_SIZE];
    int status = parse_behind_verb(cli, raw, arguments, argc, argv);
    if (status != CLI_DONE) {
        if (cli->help) {
            cli_help_command(help_stream(cli), cli->noun, cli->command);
        }
        return status;
    }
    if (cli->help) {
        cli_help_command(help_stream(cli), cli->noun, cli->command);
        return CLI_DONE;
    }
    if (cli->command->run == NULL) {
        return submit_one(cli, cli->command->action, arguments);
    }
    return cli->command->run(cli, arguments);
}

/* Under --json even a bad command line ends in one object, so it must be known before parsing. */
static bool wants_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int dispatch(struct cli *cli, const struct cli_noun *const *nouns, size_t count, int argc,
                    char *const *argv)
{
    struct raw_values raw = {0};
    int at = 1;
    int status = take_leading(cli, &raw, argc, argv, &at);
    if (status != CLI_DONE) {
        return status;
    }
    if (raw.common[find_option(cli_common_options, cli_common_count, "version", 7)] != NULL) {
        cJSON_AddStringToObject(cli->result, "version", FLEX_VERSION);
        cli_say(cli, "%s %s\n", cli_noun_is_program(nouns[0]) ? nouns[0]->noun : "flex",
                FLEX_VERSION);
        return CLI_DONE;
    }
    if (at == argc || strcmp(argv[at], "help") == 0) {
        bool asked =
            at < argc ||
            raw.common[find_option(cli_common_options, cli_common_count, "help", 4)] != NULL;
        at += at < argc;
        status = run_help(cli, nouns, count, argc - at, argv + at);
        return asked ? status
                     : cli_fail(cli, CLI_USAGE, "noun_missing", "a noun and a verb are missing");
    }
    cli->noun = find_noun(nouns, count, argv[at]);
    if (cli->noun == NULL) {
        return cli_fail(cli, CLI_USAGE, "unknown_noun", "'%s' is nothing that flex knows; try help",
                        argv[at]);
    }
    at++;
    status = take_leading(cli, &raw, argc, argv, &at);
    if (status != CLI_DONE) {
        return status;
    }
    if (at == argc) {
        cli_help_noun(help_stream(cli), cli->noun);
        int help = find_option(cli_common_options, cli_common_count, "help", 4);
        return raw.common[help] != NULL
                   ? CLI_DONE
                   : cli_fail(cli, CLI_USAGE, "verb_missing", "%s needs a verb, one of those above",
                              cli->noun->noun);
    }
    cli->command = find_command(cli->noun, argv[at]);
    if (cli->command == NULL) {
        char call[CLI_CALL_SIZE];
        return cli_fail(cli, CLI_USAGE, "unknown_verb", "%s has no verb '%s'; try %s --help",
                        cli->noun->noun, argv[at], cli_call(call, cli->noun));
    }
    at++;
    return run_command(cli, &raw, argc - at, argv + at);
}

/* A result that nobody got is not done: a full disk or a closed output must not look like success.
 * The exit code is that of a lost answer, since what was sent may well be final. */
static int finish_output(struct cli *cli, int status)
{
    bool lost = fflush(cli->out) != 0 || ferror(cli->out) != 0;
    if (lost && status == CLI_DONE) {
        status = cli_fail(cli, CLI_NO_NODE, "output_lost", "standard output can't be written: %s",
                          strerror(errno));
    }
    fflush(cli->err);
    return status;
}

int cli_main(const struct cli_noun *const *nouns, size_t noun_count, int argc, char *const *argv,
             FILE *out, FILE *err)
{
    struct cli cli;
    if (argc >= 2 && strcmp(argv[1], "complete") == 0) {
        cli_complete(out, nouns, noun_count, argc - 2, argv + 2);
        return fflush(out) == 0 ? CLI_DONE : CLI_NO_NODE;
    }
    cli_init(&cli, out, err);
    cli.json = wants_json(argc, argv);
    cli.result = cJSON_CreateObject();
    MUST(cli.result != NULL);
    int status = dispatch(&cli, nouns, noun_count, argc, argv);
    if (cli.json) {
        char *text = cJSON_PrintUnformatted(cli.result);
        MUST(text != NULL);
        fprintf(out, "%s\n", text);
        cJSON_free(text);
    }
    status = finish_output(&cli, status);
    cJSON_Delete(cli.result);
    return status;
}

bool cli_noun_is_program(const struct cli_noun *noun)
{
    return strncmp(noun->noun, "flex", 4) == 0;
}

const char *cli_call(char out[CLI_CALL_SIZE], const struct cli_noun *noun)
{
    snprintf(out, CLI_CALL_SIZE, "%s%s", cli_noun_is_program(noun) ? "" : "flex ", noun->noun);
    return out;
}

int cli_program_main(const struct cli_noun *noun, int argc, char *const *argv, FILE *out, FILE *err)
{
    MUST(cli_noun_is_program(noun));
    char *with_noun[CLI_PROGRAM_WORDS_MAX];
    char noun_text[CLI_CALL_SIZE];
    if (argc < 1 || argc > CLI_PROGRAM_WORDS_MAX - 1) {
        fprintf(err, "%s: word_too_many: too many words\n", noun->noun);
        return CLI_USAGE;
    }
    /* The version is asked of what stands in front of the noun: it is no command's. */
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        return cli_main(&noun, 1, argc, argv, out, err);
    }
    if (argc == 2 && strcmp(argv[1], "help") == 0) {
        cli_help_noun(out, noun);
        return CLI_DONE;
    }
    snprintf(noun_text, sizeof noun_text, "%s", noun->noun);
    with_noun[0] = argv[0];
    with_noun[1] = noun_text;
    for (int i = 1; i < argc; i++) {
        with_noun[i + 1] = argv[i];
    }
    return cli_main(&noun, 1, argc + 1, with_noun, out, err);
}
