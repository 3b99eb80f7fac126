/* The words of a key's backup (tools/mnemonic.h): what is accepted is one phrase of the standard, which is
 * accepted again as itself and in its shortest form; what is not leaves nothing behind but a reason. Also any
 * bytes as entropy: the phrase made of them is accepted. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/mnemonic.h"

/* Each word cut to its first four letters. */
static void shorten(char out[MNEMONIC_TEXT_SIZE], const char *phrase)
{
    size_t used = 0, letters = 0;
    for (; *phrase != '\0'; phrase++) {
        letters = *phrase == ' ' ? 0 : letters + 1;
        if (letters <= 4)
            out[used++] = *phrase;
    }
    out[used] = '\0';
}

static void check_phrase(const char *phrase)
{
    char again[MNEMONIC_TEXT_SIZE], shorter[MNEMONIC_TEXT_SIZE], problem[MNEMONIC_PROBLEM_SIZE];
    MUST(mnemonic_parse(again, phrase, problem) && strcmp(again, phrase) == 0);
    shorten(shorter, phrase);
    MUST(mnemonic_parse(again, shorter, problem) && strcmp(again, phrase) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[MNEMONIC_INPUT_MAX + 1], phrase[MNEMONIC_TEXT_SIZE];
    char problem[MNEMONIC_PROBLEM_SIZE] = "";
    const size_t length = size <= MNEMONIC_INPUT_MAX ? size : MNEMONIC_INPUT_MAX;
    memcpy(text, data, length);
    text[length] = '\0';
    if (mnemonic_parse(phrase, text, problem)) {
        check_phrase(phrase);
    } else {
        MUST(phrase[0] == '\0' && problem[0] != '\0');
        /* It is printed on a terminal. */
        for (const char *at = problem; *at != '\0'; at++)
            MUST(*at >= ' ' && *at <= '~');
    }
    const size_t bytes = size < MNEMONIC_ENTROPY_MAX ? size : MNEMONIC_ENTROPY_MAX;
    if (bytes >= 16) {
        mnemonic_from_entropy(phrase, data, bytes / 4 * 4);
        check_phrase(phrase);
    }
    return 0;
}
