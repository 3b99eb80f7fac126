/* The words of a new key on a terminal: shown once, then some of them asked back (docs/spec/keys.md 2). */
#ifndef FLEX_TOOLS_KEY_WORDS_H
#define FLEX_TOOLS_KEY_WORDS_H

#include "tools/cli.h"

/* Shows the phrase in numbered columns; under --json it becomes "mnemonic" of the result. */
void key_words_say(struct cli *cli, const char *phrase);
/* Clears the screen once they are written down, and asks for three of the words, one of each third of the
 * phrase. CLI_DONE also where nobody reads the words on a terminal; CLI_USAGE with words_not_repeated. */
int key_words_ask(struct cli *cli, const char *phrase);

#endif
