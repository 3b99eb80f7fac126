/* Showing the words of a key and asking some of them back (tools/key_words.h).
 *
 * Invariants: an answer that is wrong is not told the right word; which words are asked for is drawn anew
 * each time; what was typed is wiped.
 *
 * Deliberately absent: showing the words again. Whoever has not written them down makes another key while
 * nothing belongs to this one. */
#include "tools/key_words.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/mnemonic.h"
#include "tools/text_width.h"
#include "tools/wallet.h"

enum { ASKED = 3, TRIES = 3, SHORT_LETTERS = 4 };

/* Numbered, in columns of six, as people copy them to paper. */
void key_words_say(struct cli *cli, const char *phrase)
{
    if (cli->json) {
        cJSON_AddStringToObject(cli->result, "mnemonic", phrase);
        return;
    }
    cli_say(
        cli,
        "\nThe words of this key. Whoever has them has the key; write them down, on paper, now:\n");
    unsigned place = 0;
    for (const char *at = phrase; *at != '\0';) {
        const size_t length = strcspn(at, " ");
        cli_say(cli, "%s%4u %-*.*s", place % 6 == 0 ? "\n" : "", place + 1, MNEMONIC_WORD_MAX,
                (int)length, at);
        place++;
        at += length + (at[length] == ' ');
    }
    cli_say(cli, "\n\nThey are never shown again. flex key restore makes the key from them.\n");
}

static unsigned count_words(const char *phrase)
{
    unsigned count = 1;
    for (const char *at = phrase; *at != '\0'; at++) {
        count += *at == ' ';
    }
    return count;
}

/* Whole or shortened, as key restore takes it, with blanks around it. */
static bool is_word(const char *typed, const char *phrase, unsigned place)
{
    for (; place > 0; place--) {
        phrase = strchr(phrase, ' ');
        MUST(phrase != NULL);
        phrase++;
    }
    const size_t letters = strcspn(phrase, " ");
    typed += strspn(typed, " \t");
    const size_t length = strcspn(typed, " \t");
    if (typed[length + strspn(typed + length, " \t")] != '\0' || length > letters ||
        (length < letters && length < SHORT_LETTERS)) {
        return false;
    }
    bool same = true;
    for (size_t i = 0; i < length; i++) {
        same = same && tolower((unsigned char)typed[i]) == phrase[i];
    }
    return same;
}

/* CLI_DONE: it was typed rightly, in one of a few tries. */
static int ask_word(struct cli *cli, const char *phrase, unsigned place, char *typed)
{
    char prompt[64], problem[160];
    snprintf(prompt, sizeof prompt, "Word %u (it is not shown): ", place + 1);
    for (int tries = 0; tries < TRIES; tries++) {
        if (wallet_ask(typed, prompt, "--no-repeat", problem) < 0) {
            return cli_fail(cli, CLI_USAGE, "words_not_repeated", "%s", problem);
        }
        if (is_word(typed, phrase, place)) {
            return CLI_DONE;
        }
        cli_say(cli, "That is not word %u.\n", place + 1);
        fflush(cli->out);
    }
    return cli_fail(cli, CLI_USAGE, "words_not_repeated",
                    "the key is made, and what you have written down would not bring it back: take "
                    "its file away and make another, before anything belongs to it");
}

int key_words_ask(struct cli *cli, const char *phrase)
{
    char problem[160];
    const unsigned third = count_words(phrase) / ASKED;
    if (cli->json || fileno(cli->out) < 0 || isatty(fileno(cli->out)) == 0) {
        return CLI_DONE;
    }
    fflush(cli->out);
    char *typed = wallet_secrets_new(WALLET_PASSPHRASE_MAX + 1);
    int status = CLI_DONE;
    if (wallet_ask(typed, "Enter, when they are on paper: ", "--no-repeat", problem) < 0) {
        status = cli_fail(cli, CLI_USAGE, "words_not_repeated", "%s", problem);
    } else if (text_may_steer(cli->out)) {
        /* The screen, what has scrolled off it, and to the upper left. */
        cli_say(cli, "\033[2J\033[3J\033[H");
        fflush(cli->out);
    }
    for (unsigned i = 0; i < ASKED && status == CLI_DONE; i++) {
        const unsigned place = i * third + randombytes_uniform(third);
        status = ask_word(cli, phrase, place, typed);
    }
    wallet_secrets_free(typed);
    if (status == CLI_DONE) {
        cli_say(cli, "They are as they should be.\n");
    }
    return status;
}
