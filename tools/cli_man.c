/* The manual page flex(1), out of the command tables (tools/cli.h).
 *
 * `flex help --man` prints it in man(7) macros; `make install` installs what it prints, and
 * docs/man/flex.1 is the copy that a test compares. So the page can't name an option that the program
 * does not take, nor miss one.
 *
 * Deliberately absent: text that only the manual has. What an option means is said once, in the
 * option's own line of the table; the guide is docs/wallet.md. */
#include <string.h>

#include "base/fatal.h"
#include "node/version.h"
#include "tools/cli.h"

/* roff gives a meaning to backslashes, to hyphens, and to a point or quote at a line's start. */
static void put(FILE *out, const char *text)
{
    bool line_start = true;
    for (const char *at = text; *at != '\0'; at++) {
        if (line_start && (*at == '.' || *at == '\'')) {
            fputs("\\&", out);
        }
        if (*at == '\\') {
            fputs("\\e", out);
        } else if (*at == '-') {
            fputs("\\-", out);
        } else {
            fputc(*at, out);
        }
        line_start = *at == '\n';
    }
}

static bool is_word(const struct cli_option *option)
{
    return option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
}

static void put_names(FILE *out, const struct cli_option *option)
{
    const char *between = ": ";
    for (size_t i = 0; i < option->name_count; i++) {
        if (option->names[i] != NULL) {
            fputs(between, out);
            put(out, option->names[i]);
            between = ", ";
        }
    }
}

static void put_option(FILE *out, const struct cli_command *command,
                       const struct cli_option *option)
{
    const char *value = is_word(option) ? "" : cli_type_placeholder(option->type);
    fprintf(out, ".TP\n%s", is_word(option) ? "\\fI" : "\\fB\\-\\-");
    put(out, option->name);
    fprintf(out, "\\fR%s%s%s%s\n", value[0] != '\0' ? " " : "", value[0] != '\0' ? "\\fI" : "",
            value, value[0] != '\0' ? "\\fR" : "");
    put(out, option->help);
    put_names(out, option);
    const char *fallback = cli_fallback_told(command, option);
    if (fallback != NULL) {
        fputs(" (", out);
        put(out, fallback);
        fputs(")", out);
    }
    fputs("\n", out);
}

static void put_options(FILE *out, const struct cli_command *command,
                        const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_option(out, command, &options[i]);
    }
}

static void put_command(FILE *out, const struct cli_noun *noun, const struct cli_command *command)
{
    char call[CLI_CALL_SIZE];
    fputs(".TP\n\\fB", out);
    put(out, cli_call(call, noun));
    fputc(' ', out);
    put(out, command->verb);
    fputs("\\fR", out);
    for (size_t i = 0; i < command->option_count; i++) {
        if (is_word(&command->options[i])) {
            fputs(command->options[i].kind == CLI_WORD ? " [\\fI" : " \\fI", out);
            put(out, command->options[i].name);
            fputs(command->options[i].kind == CLI_WORD ? "\\fR]" : "\\fR", out);
        }
    }
    if (command->more_words != NULL) {
        fprintf(out, " \\fI%s\\fR", command->more_words);
    }
    fputs("\n", out);
    put(out, command->summary);
    fputs(command->sends || command->action != 0 ? "; takes a sender's options.\n" : ".\n", out);
    if (command->teach != NULL) {
        fputs(".sp\n.nf\n", out);
        put(out, command->teach);
        fputs("\n.fi\n", out);
    }
    if (command->option_count > 0) {
        fputs(".RS\n", out);
        put_options(out, command, command->options, command->option_count);
        fputs(".RE\n", out);
    }
}

static const char page_head[] =
    ".SH NAME\nflex \\- wallet and operator of a Flexledger\n"
    ".SH SYNOPSIS\n.B flex\n[\\fIOPTION\\fR]... \\fINOUN VERB\\fR [\\fIWORD\\fR or "
    "\\fIOPTION\\fR]...\n"
    ".SH DESCRIPTION\n"
    "Keeps a key, signs actions, waits until they are final, and checks the ledger's proof before\n"
    "it says so. It trusts no node: what it calls proven ends in the genesis file.\n"
    ".PP\n"
    "Amounts are EUR with at most six decimals. Times are UTC\n(2025\\-01\\-15T17:00Z) or Unix\n"
    "milliseconds, spans 15m, 36h, 2d. An option's value may start with a minus.\n"
    ".SH OPTIONS\n";

static const char page_tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone; for what was sent: final, and proven\n"
    ".TP\n1\nrefused by the ledger\n"
    ".TP\n2\nbad usage or bad input; nothing was sent\n"
    ".TP\n3\nno node answered in time, or the answer could not be written out\n"
    ".TP\n4\na proof did not verify\n"
    ".SH ENVIRONMENT\n"
    ".TP\nFLEX_HOME\nstands in for \\fB\\-\\-home\\fR\n"
    ".TP\nFLEX_CA\nstands in for \\fB\\-\\-ca\\fR\n"
    ".TP\nFLEX_NODE\nstands in for \\fB\\-\\-node\\fR\n"
    ".TP\nCOLUMNS\nhow wide tables and help may be, if not as the terminal is\n"
    ".TP\nNO_COLOR\nif it is not empty, no colours on terminals either\n"
    ".SH FILES\n"
    ".TP\n~/.flex/key.json\nthe wallet's key\n"
    ".TP\n~/.flex/genesis.json\nwhat every proof ends in\n"
    ".TP\n~/.flex/schedules/\ndeclared schedules and their salts\n"
    ".SH SEE ALSO\n.BR flexd (1),\nthe guides wallet.md and auditor.md\n";

void cli_man_page(FILE *out, const struct cli_noun *const *nouns, size_t count)
{
    fprintf(out,
            ".\\\" Printed by flex help \\-\\-man; edit tools/noun_*.c instead.\n"
            ".TH FLEX 1 \"\" \"Flexledger %s\" \"User commands\"\n.nh\n%s",
            FLEX_VERSION, page_head);
    put_options(out, NULL, cli_common_options, cli_common_count);
    fputs(".SS Of every command that sends a transaction\n", out);
    put_options(out, NULL, cli_sender_options, cli_sender_count);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < count; i++) {
        fputs(".SS flex ", out);
        put(out, nouns[i]->noun);
        fputs("\n", out);
        put(out, nouns[i]->summary);
        fputs(".\n", out);
        const char *examples = noun_examples(nouns[i]->noun);
        if (examples != NULL) {
            fputs(".sp\n.nf\n", out);
            put(out, examples);
            fputs("\n.fi\n", out);
        }
        for (size_t j = 0; j < nouns[i]->command_count; j++) {
            put_command(out, nouns[i], &nouns[i]->commands[j]);
        }
    }
    fputs(page_tail, out);
}

void cli_man_program(FILE *out, const struct cli_noun *noun, const char *head, const char *tail)
{
    MUST(cli_noun_is_program(noun));
    fprintf(out,
            ".\\\" Printed by %s help \\-\\-man; edit its command table instead.\n"
            ".TH %s 1 \"\" \"Flexledger %s\" \"User commands\"\n.nh\n%s",
            noun->noun, noun->noun, FLEX_VERSION, head);
    put_options(out, NULL, cli_common_options, cli_common_count);
    fputs(".SS Of every command that sends a transaction\n", out);
    put_options(out, NULL, cli_sender_options, cli_sender_count);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < noun->command_count; i++) {
        put_command(out, noun, &noun->commands[i]);
    }
    fputs(tail, out);
}
