/* The command line of flex: one table of commands drives dispatch, usage and help.
 *
 * A command declares its options once, each with a type and the place in the command's own argument
 * struct that the parsed value goes to. What a command's run function gets has been read, checked
 * and converted. Most commands that send a transaction need no function at all: their argument
 * struct is the action's record (see cli_command.action).
 *
 * Output: cli_say is people's text, on standard output, or on standard error under --json. The one
 * JSON object goes to standard output when the command has ended. NULL is valid only where a
 * comment says so. */
#ifndef FLEX_TOOLS_CLI_H
#define FLEX_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/name.h"

struct cJSON;

/* Fixed for scripts: docs/wallet.md. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1, /* by the ledger, or by a node's answer */
    CLI_USAGE = 2,   /* bad usage or bad input */
    CLI_NO_NODE = 3, /* no node answered in time */
    CLI_UNPROVEN = 4 /* a proof did not verify */
};

enum cli_type {
    CLI_TEXT,     /* const char * */
    CLI_FILE,     /* const char *: a file's name */
    CLI_DIR,      /* const char *: a directory's name */
    CLI_URL,      /* const char *: a node's address */
    CLI_NAME,     /* struct name */
    CLI_EUR,      /* int64_t or a money struct: EUR decimals, or ueur under --ueur */
    CLI_I64,      /* int64_t or an energy or power struct: a whole number */
    CLI_U64,      /* uint64_t */
    CLI_U32,      /* uint32_t */
    CLI_U16,      /* uint16_t */
    CLI_TIME,     /* int64_t or struct timestamp, in ms */
    CLI_DURATION, /* int64_t or struct duration, in ms */
    CLI_HEX32,    /* 32 bytes: a hash or a public key */
    CLI_CHOICE,   /* uint8_t: index into `names` */
    CLI_FLAGS,    /* uint32_t: comma-separated `names` */
    CLI_SWITCH    /* bool: an option without a value */
};

enum cli_option_kind {
    CLI_REQUIRED,   /* --name VALUE must be given, unless there is a fallback */
    CLI_OPTIONAL,   /* left zero (NULL for text) if absent */
    CLI_POSITIONAL, /* the next word; as if required */
    CLI_WORD        /* the next word, if there is one */
};

struct cli_option {
    const char *name; /* without the dashes; in capitals where it is a positional word */
    enum cli_type type;
    size_t offset;
    const char *help;
    enum cli_option_kind kind;
    const char *fallback; /* parsed if the option is absent; NULL if there is none */
    const char *const *names;
    size_t name_count;
};

enum {
    CLI_OPTIONS_MAX = 64,
    CLI_WORDS_MAX = 4096,
    CLI_PROGRAM_WORDS_MAX = CLI_WORDS_MAX + 256,
    CLI_ARGUMENTS_SIZE = 8192
};

struct cli;

/* Some of a command's options under a heading, where there are too many for one list. */
struct cli_group {
    const char *heading;
    const char
        *options; /* their names, with blanks between; those that the command lacks are left out */
};

struct cli_command {
    const char *verb;
    const char *summary; /* one line, without a full stop */
    const char *teach;   /* sentences and an example for --help; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t arguments_size;          /* of the struct that the offsets refer to */
    uint8_t action;                 /* enum action_type if the command sends just that, else 0 */
    bool sends;                     /* takes the options of a sender (implied by action) */
    bool changes;                   /* a record that exists: no option has a fallback, none but the
                               positional ones is required; what is not given stays as it is */
    const struct cli_group *groups; /* of its options; others stand before them */
    size_t group_count;
    const char *more_words; /* name of further words, as in FILE...; NULL: none allowed */
    int (*run)(struct cli *cli, void *arguments); /* NULL if action is set */
};

struct cli_noun {
    const char *noun;
    const char *summary;
    const struct cli_command *commands;
    size_t command_count;
};
/* A noun whose name begins with "flex" is a program of its own and no noun of flex's. */
bool cli_noun_is_program(const struct cli_noun *noun);

/* What one call of flex runs with. */
struct cli {
    /* Given or found. */
    const char *home;         /* --home, FLEX_HOME, or ~/.flex */
    const char *node;         /* --node, FLEX_NODE, or http://127.0.0.1:8400 */
    const char *ca_file;      /* --ca, FLEX_CA, or NULL: the machine's own */
    const char *genesis_file; /* --genesis, or NULL: HOME/genesis.json */
    bool json;
    bool ueur;
    bool help;
    bool version;
    /* Of senders. */
    int64_t passphrase_fd; /* -1: ask the terminal */
    int64_t timeout_ms;
    int64_t valid_for_ms;
    int64_t fee_limit; /* ueur; negative: what the ledger asks now */
    bool no_verify;
    bool allow_stale;
    bool dry_run;
    const char *save_envelope; /* file for the signed bytes, or NULL */

    const struct cli_noun *noun;
    const struct cli_command *command;
    uint64_t given;           /* bit i: the command's i-th option was given */
    const char *const *words; /* beyond the positional ones */
    size_t word_count;

    struct cJSON *result; /* the object for --json; commands add to it */
    FILE *out;
    FILE *err;
    char home_text[512];
};

/* Runs one command line; the exit code. `out` and `err` are standard output and error in the
 * program, other streams in tests. crypto_init must have been called. */
int cli_main(const struct cli_noun *const *nouns, size_t noun_count, int argc, char *const *argv,
             FILE *out, FILE *err);

/* People's text. */
void cli_say(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends a command: prints `code` (snake_case) and the reason on standard error, puts both into the
 * result. Returns `status`, so that a caller can return it. */
int cli_fail(struct cli *cli, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* For tests and for cli_main: parses the options and words of `command` into `arguments`; 0 or
 * CLI_USAGE with a message said. `argv` starts behind noun and verb and holds no option that stands
 * before them. */
int cli_parse(struct cli *cli, void *arguments, int argc, char *const *argv);
/* Puts the defaults and the environment into *cli. */
void cli_init(struct cli *cli, FILE *out, FILE *err);

/* Candidates for the last of these words, for the shells (tools/cli_complete.c); `flex complete`. */
void cli_complete(FILE *out, const struct cli_noun *const *nouns, size_t noun_count, int argc,
                  char *const *argv);

/* Help (tools/cli_help.c). */
void cli_help_overview(FILE *out, const struct cli_noun *const *nouns, size_t count);
void cli_help_noun(FILE *out, const struct cli_noun *noun);
/* What people type most of that noun, a line each (tools/noun_examples.c); NULL: none. */
const char *noun_examples(const char *noun);
void cli_help_command(FILE *out, const struct cli_noun *noun, const struct cli_command *command);
/* The manual page flex(1), in man(7) macros, out of the same tables (tools/cli_man.c). */
void cli_man_page(FILE *out, const struct cli_noun *const *nouns, size_t count);
/* Whether an option must be given, and what stands in if it is not (NULL: nothing), in that command;
 * `command` is NULL for the options that every command has. */
bool cli_must_give(const struct cli_command *command, const struct cli_option *option);
const char *cli_fallback(const struct cli_command *command, const struct cli_option *option);
/* The fallback as help tells it; NULL if it does not. */
const char *cli_fallback_told(const struct cli_command *command, const struct cli_option *option);
/* What an option's value is called in help: FILE, EUR, NAME; "" for a switch. */
const char *cli_type_placeholder(enum cli_type type);
/* The manual page of a program that is one noun; `head` and `tail` stand around its options and
 * commands. */
void cli_man_program(FILE *out, const struct cli_noun *noun, const char *head, const char *tail);
/* How people call it: "flex meter", "flexmeterd". Returns out. */
enum { CLI_CALL_SIZE = 64 };
const char *cli_call(char out[CLI_CALL_SIZE], const struct cli_noun *noun);
/* Runs one command line of a program that is one noun. */
int cli_program_main(const struct cli_noun *noun, int argc, char *const *argv, FILE *out,
                     FILE *err);
/* The option tables that every command and that every sender has, with offsets into struct cli. */
extern const struct cli_option cli_common_options[];
extern const size_t cli_common_count;
extern const struct cli_option cli_sender_options[];
extern const size_t cli_sender_count;

/* Printing JSON for people: `object` line by line, amounts in EUR, times as dates, as the unit at
 * the end of each key says. */
void cli_say_object(struct cli *cli, const struct cJSON *object);
/* A table of `items` (an array of objects), one column per name in the space-separated `columns`. */
void cli_say_table(struct cli *cli, const struct cJSON *items, const char *columns);

#endif
