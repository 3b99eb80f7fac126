/* What could come next on a command line of flex, for the shells (tools/cli.h; tools/completion/).
 *
 *   flex complete [WORD...] PARTIAL
 *
 * prints a candidate per line, a tab and what it means behind it; or ":file" or ":dir", which asks the
 * shell for names of its own. The shells' scripts know nothing about flex: what they offer comes from the
 * tables that the parser reads, so it can't be out of date.
 *
 * Deliberately absent: names from the ledger. A key press must not wait for a node. */
#include <string.h>

#include "base/fatal.h"
#include "tools/cli.h"

/* Where the words so far have led to. */
struct place {
    const struct cli_noun *noun;
    const struct cli_command *command;
    size_t positional;              /* of the command, that have been given */
    const struct cli_option *wants; /* an option whose value comes next; or NULL */
    bool only_words;                /* behind "--" */
};

struct request {
    const struct cli_noun *const *nouns;
    size_t noun_count;
    int argc;
    char *const *argv; /* the words, the partial one last */
    FILE *out;
};

static bool is_word(const struct cli_option *option)
{
    return option->kind == CLI_POSITIONAL || option->kind == CLI_WORD;
}

static bool sends(const struct cli_command *command)
{
    return command != NULL && (command->sends || command->action != 0);
}

/* --- options -------------------------------------------------------------------------------- */

enum { TABLES = 3 };

/* The tables whose options can stand here. */
static size_t tables(const struct place *place, const struct cli_option *table[TABLES],
                     size_t count[TABLES])
{
    size_t found = 0;
    if (place->command != NULL) {
        table[found] = place->command->options;
        count[found++] = place->command->option_count;
    }
    if (sends(place->command)) {
        table[found] = cli_sender_options;
        count[found++] = cli_sender_count;
    }
    table[found] = cli_common_options;
    count[found++] = cli_common_count;
    return found;
}

/* "--name" or "--name=value" in `word`: the option and where the value starts (NULL: none). */
static const struct cli_option *find(const struct place *place, const char *word,
                                     const char **value)
{
    const struct cli_option *table[TABLES];
    size_t count[TABLES];
    const size_t length = strcspn(word + 2, "=");
    *value = word[2 + length] == '=' ? word + 3 + length : NULL;
    for (size_t t = 0; t < tables(place, table, count); t++) {
        for (size_t i = 0; i < count[t]; i++) {
            const char *name = table[t][i].name;
            if (!is_word(&table[t][i]) && strlen(name) == length &&
                strncmp(name, word + 2, length) == 0) {
                return &table[t][i];
            }
        }
    }
    return NULL;
}

static bool is_given(const struct request *request, const char *name)
{
    const size_t length = strlen(name);
    for (int i = 0; i < request->argc - 1; i++) {
        const char *word = request->argv[i];
        if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, length) == 0 &&
            (word[2 + length] == '\0' || word[2 + length] == '=')) {
            return true;
        }
    }
    return false;
}

static void offer(const struct request *request, const char *lead, const char *text,
                  const char *partial, const char *meaning)
{
    const size_t front = strlen(lead);
    const size_t length = strlen(partial);
    /* The partial word begins with `lead`, as far as it goes. */
    if (strncmp(partial, lead, length < front ? length : front) != 0 ||
        (length > front && strncmp(text, partial + front, length - front) != 0)) {
        return;
    }
    fprintf(request->out, "%s%s\t%s\n", lead, text, meaning);
}

static void offer_options(const struct request *request, const struct place *place,
                          const char *partial)
{
    const struct cli_option *table[TABLES];
    size_t count[TABLES];
    for (size_t t = 0; t < tables(place, table, count); t++) {
        for (size_t i = 0; i < count[t]; i++) {
            if (!is_word(&table[t][i]) && !is_given(request, table[t][i].name)) {
                offer(request, "--", table[t][i].name, partial, table[t][i].help);
            }
        }
    }
}

/* Values of an option; `lead` stands in front of them ("--kind="). */
static void offer_values(const struct request *request, const struct cli_option *option,
                         const char *lead, const char *partial)
{
    if (option->type == CLI_FILE) {
        fputs(":file\n", request->out);
    } else if (option->type == CLI_DIR) {
        fputs(":dir\n", request->out);
    }
    for (size_t i = 0; i < option->name_count; i++) {
        if (option->names[i] != NULL) {
            offer(request, lead, option->names[i], partial, option->help);
        }
    }
}

/* --- words ---------------------------------------------------------------------------------- */

static const struct cli_option *positional(const struct cli_command *command, size_t number)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (is_word(&command->options[i]) && number-- == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

/* A word that is whole: noun, verb, or one of the command's. */
static void step_word(const struct request *request, struct place *place, const char *word)
{
    if (place->noun == NULL) {
        for (size_t i = 0; i < request->noun_count; i++) {
            if (strcmp(request->nouns[i]->noun, word) == 0) {
                place->noun = request->nouns[i];
            }
        }
    } else if (place->command == NULL) {
        for (size_t i = 0; i < place->noun->command_count; i++) {
            if (strcmp(place->noun->commands[i].verb, word) == 0) {
                place->command = &place->noun->commands[i];
            }
        }
    } else {
        place->positional++;
    }
}

static void step(const struct request *request, struct place *place, const char *word)
{
    const char *value = NULL;
    if (place->wants != NULL) {
        place->wants = NULL;
    } else if (!place->only_words && strcmp(word, "--") == 0) {
        place->only_words = true;
    } else if (!place->only_words && strncmp(word, "--", 2) == 0) {
        const struct cli_option *option = find(place, word, &value);
        if (option != NULL && option->type != CLI_SWITCH && value == NULL) {
            place->wants = option;
        }
    } else {
        step_word(request, place, word);
    }
}

static void offer_words(const struct request *request, const struct place *place,
                        const char *partial)
{
    if (place->noun == NULL) {
        for (size_t i = 0; i < request->noun_count; i++) {
            offer(request, "", request->nouns[i]->noun, partial, request->nouns[i]->summary);
        }
        return;
    }
    if (place->command == NULL) {
        for (size_t i = 0; i < place->noun->command_count; i++) {
            offer(request, "", place->noun->commands[i].verb, partial,
                  place->noun->commands[i].summary);
        }
        return;
    }
    const struct cli_option *option = positional(place->command, place->positional);
    if (option != NULL) {
        offer_values(request, option, "", partial);
    } else if (place->command->more_words == NULL && partial[0] == '\0' && !place->only_words) {
        offer_options(request, place, partial);
    }
}

void cli_complete(FILE *out, const struct cli_noun *const *nouns, size_t noun_count, int argc,
                  char *const *argv)
{
    const struct request request = {nouns, noun_count, argc, argv, out};
    struct place place = {0};
    if (argc == 0) {
        return;
    }
    if (noun_count == 1 && cli_noun_is_program(nouns[0])) {
        place.noun = nouns[0];
    }
    for (int i = 0; i < argc - 1; i++) {
        step(&request, &place, argv[i]);
    }
    const char *partial = argv[argc - 1];
    const char *value = NULL;
    if (place.wants != NULL) {
        offer_values(&request, place.wants, "", partial);
    } else if (!place.only_words && strncmp(partial, "--", 2) == 0 &&
               strchr(partial, '=') != NULL) {
        char lead[64];
        const struct cli_option *option = find(&place, partial, &value);
        if (option != NULL && (size_t)(value - partial) < sizeof lead) {
            snprintf(lead, sizeof lead, "%.*s", (int)(value - partial), partial);
            offer_values(&request, option, lead, partial);
        }
    } else if (!place.only_words && partial[0] == '-') {
        offer_options(&request, &place, partial);
    } else {
        offer_words(&request, &place, partial);
    }
}
