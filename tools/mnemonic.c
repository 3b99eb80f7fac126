/* Words for a key (tools/mnemonic.h): BIP39's list, checksum and seed on libsodium's SHA-2, and the step from
 * the seed to a secret (docs/spec/keys.md).
 *
 * Invariants: every phrase that mnemonic_parse accepts is the one and only phrase of its entropy; all that
 * is secret on the stack is wiped on every way out; a message never repeats a word that is right.
 *
 * Absent on purpose: other languages than English, whose words need Unicode's tables to be typed safely;
 * BIP39's passphrase in the wallet, which silently makes another key of every typing error; BIP32's
 * trees: a home has one key. */
#include "tools/mnemonic.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fatal.h"

enum { WORD_BITS = 11, ROUNDS = 2048, SHORT_LETTERS = 4, INDEX_NONE = MNEMONIC_LIST_WORDS };

/* Made from tools/data/bip39-english.txt, which is sorted: it is searched by halves. */
static const char *const list[] = {
#include <bip39_english.inc>
};
_Static_assert(sizeof list / sizeof list[0] == MNEMONIC_LIST_WORDS, "two to the eleventh");

const char *mnemonic_word(unsigned index)
{
    MUST(index < MNEMONIC_LIST_WORDS);
    return list[index];
}

size_t mnemonic_entropy_size(unsigned words)
{
    const bool known = words >= MNEMONIC_WORDS_MIN && words <= MNEMONIC_WORDS_MAX && words % 3 == 0;
    return known ? (size_t)words / 3 * 4 : 0;
}

/* Bits of `bytes` from the highest of the first byte on. */
static unsigned bit_at(const uint8_t *bytes, unsigned place)
{
    return bytes[place / 8] >> (7 - place % 8) & 1u;
}

/* Behind the entropy, what of its digest fills the last word. */
static void append_checksum(uint8_t *bits, size_t size)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, bits, size);
    bits[size] = digest[0];
    sodium_memzero(digest, sizeof digest);
}

void mnemonic_from_entropy(char out[MNEMONIC_TEXT_SIZE], const uint8_t *entropy, size_t size)
{
    const unsigned words = (unsigned)(size * 3 / 4);
    MUST(size > 0 && mnemonic_entropy_size(words) == size);
    uint8_t bits[MNEMONIC_ENTROPY_MAX + 1];
    size_t used = 0;
    memcpy(bits, entropy, size);
    append_checksum(bits, size);
    for (unsigned word = 0; word < words; word++) {
        unsigned index = 0;
        for (unsigned i = 0; i < WORD_BITS; i++) {
            index = index << 1 | bit_at(bits, word * WORD_BITS + i);
        }
        int written = snprintf(out + used, MNEMONIC_TEXT_SIZE - used, "%s%s", word > 0 ? " " : "",
                               list[index]);
        MUST(written > 0 && used + (size_t)written < MNEMONIC_TEXT_SIZE);
        used += (size_t)written;
    }
    sodium_memzero(bits, sizeof bits);
}

/* The first word that does not stand before `text` in the first `letters` letters. */
static unsigned lower_bound(const char *text, size_t letters)
{
    unsigned from = 0, until = MNEMONIC_LIST_WORDS;
    while (from < until) {
        const unsigned middle = from + (until - from) / 2;
        if (strncmp(list[middle], text, letters) < 0) {
            from = middle + 1;
        } else {
            until = middle;
        }
    }
    return from;
}

/* The word that `text` is, or is the beginning of if it has four letters: those name one word. */
static unsigned find_word(const char *text)
{
    const size_t length = strlen(text);
    const unsigned whole = lower_bound(text, MNEMONIC_WORD_MAX + 1);
    if (whole < MNEMONIC_LIST_WORDS && strcmp(list[whole], text) == 0) {
        return whole;
    }
    const unsigned begun = lower_bound(text, length);
    const bool is_begun = length >= SHORT_LETTERS && begun < MNEMONIC_LIST_WORDS &&
                          strncmp(list[begun], text, length) == 0;
    return is_begun ? begun : INDEX_NONE;
}

/* Where the list has it, or what it has that begins alike. The wrong word is repeated only if it is made of
 * letters. */
static void explain_word(char problem[MNEMONIC_PROBLEM_SIZE], unsigned place, const char *word)
{
    const size_t letters = strspn(word, "abcdefghijklmnopqrstuvwxyz");
    if (word[0] == '\0' || word[letters] != '\0') {
        snprintf(problem, MNEMONIC_PROBLEM_SIZE, "word %u holds something else than letters",
                 place);
        return;
    }
    for (size_t alike = letters > 3 ? 3 : letters; alike > 0; alike--) {
        const unsigned near = lower_bound(word, alike);
        if (near < MNEMONIC_LIST_WORDS && strncmp(list[near], word, alike) == 0) {
            snprintf(problem, MNEMONIC_PROBLEM_SIZE,
                     "word %u is not in the list of BIP39: '%.16s'; '%s' is", place, word,
                     list[near]);
            return;
        }
    }
    snprintf(problem, MNEMONIC_PROBLEM_SIZE, "word %u is not in the list of BIP39: '%.16s'", place,
             word);
}

/* Takes the next word of *at, in small letters; longer ones are cut, and then in no list. False at the end. */
static bool next_word(char out[MNEMONIC_WORD_MAX + 2], const char **at)
{
    static const char blanks[] = " \t\r\n\v\f";
    *at += strspn(*at, blanks);
    const size_t length = strcspn(*at, blanks);
    const size_t taken = length > MNEMONIC_WORD_MAX + 1 ? MNEMONIC_WORD_MAX + 1 : length;
    for (size_t i = 0; i < taken; i++) {
        out[i] = (char)tolower((unsigned char)(*at)[i]);
    }
    out[taken] = '\0';
    *at += length;
    return length > 0;
}

/* The indexes of all words; how many, or 0 with the reason. */
static unsigned read_words(uint16_t indexes[MNEMONIC_WORDS_MAX], const char *text,
                           char problem[MNEMONIC_PROBLEM_SIZE])
{
    char word[MNEMONIC_WORD_MAX + 2];
    unsigned count = 0;
    bool ok = true;
    for (const char *at = text; ok && next_word(word, &at);) {
        if (count == MNEMONIC_WORDS_MAX) {
            snprintf(problem, MNEMONIC_PROBLEM_SIZE, "there are more than %d words",
                     MNEMONIC_WORDS_MAX);
            ok = false;
            break;
        }
        const unsigned index = find_word(word);
        ok = index != INDEX_NONE;
        if (ok) {
            indexes[count++] = (uint16_t)index;
        } else {
            explain_word(problem, count + 1, word);
        }
    }
    sodium_memzero(word, sizeof word);
    if (ok && mnemonic_entropy_size(count) == 0) {
        snprintf(problem, MNEMONIC_PROBLEM_SIZE,
                 "there are %u words; a phrase has 12, 15, 18, 21 or 24", count);
        ok = false;
    }
    return ok ? count : 0;
}

bool mnemonic_parse(char out[MNEMONIC_TEXT_SIZE], const char *text,
                    char problem[MNEMONIC_PROBLEM_SIZE])
{
    uint16_t indexes[MNEMONIC_WORDS_MAX];
    uint8_t bits[MNEMONIC_ENTROPY_MAX + 1] = {0};
    out[0] = '\0';
    const unsigned count = read_words(indexes, text, problem);
    for (unsigned i = 0; i < count * WORD_BITS; i++) {
        const unsigned bit = indexes[i / WORD_BITS] >> (WORD_BITS - 1 - i % WORD_BITS) & 1u;
        bits[i / 8] = (uint8_t)(bits[i / 8] | bit << (7 - i % 8));
    }
    bool ok = count > 0;
    if (ok) {
        const size_t size = mnemonic_entropy_size(count);
        const unsigned checked = count / 3;
        const uint8_t wanted = bits[size];
        append_checksum(bits, size);
        ok = (wanted ^ bits[size]) >> (8 - checked) == 0;
        if (ok) {
            mnemonic_from_entropy(out, bits, size);
        } else {
            snprintf(problem, MNEMONIC_PROBLEM_SIZE,
                     "the checksum does not fit: a word is another one, or stands elsewhere");
        }
    }
    sodium_memzero(indexes, sizeof indexes);
    sodium_memzero(bits, sizeof bits);
    return ok;
}

static void hmac_sha512(uint8_t out[crypto_auth_hmacsha512_BYTES], const void *key, size_t key_size,
                        const void *a, size_t a_size, const void *b, size_t b_size)
{
    crypto_auth_hmacsha512_state state;
    crypto_auth_hmacsha512_init(&state, key, key_size);
    crypto_auth_hmacsha512_update(&state, a, a_size);
    crypto_auth_hmacsha512_update(&state, b, b_size);
    crypto_auth_hmacsha512_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

/* PBKDF2 (RFC 8018 5.2) of one block: the seed is as long as HMAC-SHA512's output. */
void mnemonic_seed(uint8_t out[MNEMONIC_SEED_SIZE], const char *phrase, const char *passphrase)
{
    _Static_assert(MNEMONIC_SEED_SIZE == crypto_auth_hmacsha512_BYTES, "one block");
    static const uint8_t first_block[4] = {0, 0, 0, 1};
    char salt[8 + MNEMONIC_INPUT_MAX + 1];
    uint8_t u[MNEMONIC_SEED_SIZE];
    const size_t size = strlen(phrase);
    MUST(strlen(passphrase) <= MNEMONIC_INPUT_MAX);
    snprintf(salt, sizeof salt, "mnemonic%s", passphrase);
    hmac_sha512(u, phrase, size, salt, strlen(salt), first_block, sizeof first_block);
    memcpy(out, u, sizeof u);
    for (unsigned round = 1; round < ROUNDS; round++) {
        hmac_sha512(u, phrase, size, u, sizeof u, NULL, 0);
        for (size_t i = 0; i < sizeof u; i++) {
            out[i] ^= u[i];
        }
    }
    sodium_memzero(u, sizeof u);
    sodium_memzero(salt, sizeof salt);
}

void mnemonic_secret(struct secret_key *out, const char *phrase)
{
    static const char tag[] = "Flexledger wallet key";
    uint8_t seed[MNEMONIC_SEED_SIZE], derived[MNEMONIC_SEED_SIZE];
    struct public_key key;
    mnemonic_seed(seed, phrase, "");
    /* One in 2^128 is no secret of the curve; the next then is. */
    for (uint8_t attempt = 0;; attempt++) {
        hmac_sha512(derived, tag, sizeof tag - 1, seed, sizeof seed, &attempt, 1);
        memcpy(out->bytes, derived, SECRET_KEY_SIZE);
        if (schnorr_public_key(&key, out)) {
            break;
        }
        MUST(attempt < UINT8_MAX);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(derived, sizeof derived);
}
