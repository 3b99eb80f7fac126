/* Backup of a wallet's key as words (BIP39, English; docs/spec/keys.md).
 *
 * 16 to 32 random bytes become 12 to 24 words, of which the last carries a checksum; words become a seed, and
 * the seed a BIP340 secret. Everything here is secret: callers wipe what they hold (wallet_wipe). NULL is
 * valid only where a comment says so. */
#ifndef FLEX_TOOLS_MNEMONIC_H
#define FLEX_TOOLS_MNEMONIC_H

#include "crypto/sign.h"

enum {
    MNEMONIC_LIST_WORDS = 2048,
    MNEMONIC_WORD_MAX = 8, /* letters of the longest word */
    MNEMONIC_WORDS_MIN = 12,
    MNEMONIC_WORDS_MAX = 24,
    MNEMONIC_ENTROPY_MAX = 32,
    MNEMONIC_TEXT_SIZE = MNEMONIC_WORDS_MAX * (MNEMONIC_WORD_MAX + 1),
    MNEMONIC_INPUT_MAX = 1024, /* of what people type, with more blanks than needed */
    MNEMONIC_PROBLEM_SIZE = 160,
    MNEMONIC_SEED_SIZE = 64
};

/* The list's word at `index` below MNEMONIC_LIST_WORDS. */
const char *mnemonic_word(unsigned index);
/* How many bytes of entropy a phrase of so many words holds; 0 if there are no such phrases. */
size_t mnemonic_entropy_size(unsigned words);
/* The phrase of `size` bytes: 16, 20, 24, 28 or 32. */
void mnemonic_from_entropy(char out[MNEMONIC_TEXT_SIZE], const uint8_t *entropy, size_t size);
/* Reads what a person wrote: words of the list in any case with blanks, tabs or line ends between them, each
 * word whole or shortened to its first four letters or more, which name one word. The phrase as the standard
 * has it goes to `out`. False with which word is wrong, and how, in `problem`, which quotes no word that is
 * right; `out` is then empty. */
bool mnemonic_parse(char out[MNEMONIC_TEXT_SIZE], const char *text,
                    char problem[MNEMONIC_PROBLEM_SIZE]);
/* The standard's seed of a parsed phrase: PBKDF2-HMAC-SHA512, 2048 rounds. `passphrase` is the standard's,
 * in NFKD; wallets of flex use none (""). */
void mnemonic_seed(uint8_t out[MNEMONIC_SEED_SIZE], const char *phrase, const char *passphrase);
/* The wallet's secret of a parsed phrase. */
void mnemonic_secret(struct secret_key *out, const char *phrase);

#endif
