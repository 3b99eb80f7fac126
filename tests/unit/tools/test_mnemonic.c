/* Words for a key: the standard's vectors, each of 2048 words in each place, what people mistype, and what
 * watching wallets refuse. The vectors of tests/vectors/mnemonic.csv were computed by other code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/files.h"
#include "tests/lib/random.h"
#include "tools/mnemonic.h"
#include "tools/wallet.h"

static int set_up(void **state)
{
    (void)state;
    return crypto_init() ? 0 : -1;
}

static void test_list_is_the_standards(void **state)
{
    (void)state;
    static const char wanted[] = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
    crypto_hash_sha256_state hash;
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    crypto_hash_sha256_init(&hash);
    for (unsigned i = 0; i < MNEMONIC_LIST_WORDS; i++) {
        const char *word = mnemonic_word(i);
        assert_true(strlen(word) <= MNEMONIC_WORD_MAX);
        /* Four letters name one word, which is what lets people shorten them. */
        assert_true(i == 0 || strncmp(mnemonic_word(i - 1), word, 4) < 0);
        crypto_hash_sha256_update(&hash, (const uint8_t *)word, strlen(word));
        crypto_hash_sha256_update(&hash, (const uint8_t *)"\n", 1);
    }
    crypto_hash_sha256_final(&hash, digest);
    hex_encode(hex, digest, sizeof digest);
    assert_string_equal(hex, wanted);
}

static void check_vector(char *line)
{
    char *save, phrase[MNEMONIC_TEXT_SIZE], parsed[MNEMONIC_TEXT_SIZE],
        problem[MNEMONIC_PROBLEM_SIZE];
    const char *fields[5];
    uint8_t entropy[MNEMONIC_ENTROPY_MAX], seed[MNEMONIC_SEED_SIZE];
    char hex[2 * MNEMONIC_SEED_SIZE + 1];
    struct secret_key secret;
    struct public_key key;
    for (size_t i = 0; i < 5; i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, ",\n", &save);
        assert_non_null(fields[i]);
    }
    const size_t size = strlen(fields[0]) / 2;
    assert_true(hex_decode(entropy, size, fields[0]));
    mnemonic_from_entropy(phrase, entropy, size);
    assert_string_equal(phrase, fields[1]);
    assert_true(mnemonic_parse(parsed, fields[1], problem));
    assert_string_equal(parsed, fields[1]);
    mnemonic_seed(seed, phrase, "TREZOR");
    hex_encode(hex, seed, sizeof seed);
    assert_string_equal(hex, fields[2]);
    mnemonic_secret(&secret, phrase);
    hex_encode(hex, secret.bytes, SECRET_KEY_SIZE);
    assert_string_equal(hex, fields[3]);
    assert_true(schnorr_public_key(&key, &secret));
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    assert_string_equal(hex, fields[4]);
}

static void test_vectors(void **state)
{
    (void)state;
    char line[1024];
    unsigned count = 0;
    FILE *file = fopen("tests/vectors/mnemonic.csv", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] != '#') {
            check_vector(line);
            count++;
        }
    }
    fclose(file);
    assert_int_equal(count, 24);
}

/* What a phrase is, written down a second time: a long number in base 2048 with the checksum behind it. */
static bool model_accepts(const unsigned *indexes, unsigned count)
{
    uint8_t bits[36] = {0}, digest[32];
    unsigned at = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned bit = 0; bit < 11; bit++, at++) {
            bits[at >> 3] |= (uint8_t)(((indexes[i] >> (10 - bit)) & 1u) << (7 - (at & 7u)));
        }
    }
    const unsigned entropy_bits = count * 11 * 32 / 33;
    crypto_hash_sha256(digest, bits, entropy_bits / 8);
    const unsigned mask = 0xffu << (8 - count * 11 / 33) & 0xffu;
    return (bits[entropy_bits / 8] & mask) == (digest[0] & mask);
}

/* Every word in each of the twelve places of a true phrase: accepted exactly where the checksum fits. */
static void test_every_word_in_every_place(void **state)
{
    (void)state;
    struct test_random random = {39};
    unsigned accepted = 0;
    for (unsigned place = 0; place < 12; place++) {
        unsigned indexes[12];
        for (unsigned i = 0; i < 12; i++) {
            indexes[i] = (unsigned)test_random_below(&random, MNEMONIC_LIST_WORDS);
        }
        for (unsigned word = 0; word < MNEMONIC_LIST_WORDS; word++) {
            char text[MNEMONIC_TEXT_SIZE] = "", parsed[MNEMONIC_TEXT_SIZE];
            char problem[MNEMONIC_PROBLEM_SIZE] = "";
            indexes[place] = word;
            for (unsigned i = 0; i < 12; i++) {
                strcat(strcat(text, i > 0 ? " " : ""), mnemonic_word(indexes[i]));
            }
            const bool ok = mnemonic_parse(parsed, text, problem);
            assert_int_equal(ok, model_accepts(indexes, 12));
            if (ok) {
                assert_string_equal(parsed, text);
                accepted++;
            } else {
                assert_string_equal(parsed, "");
                assert_non_null(strstr(problem, "checksum"));
            }
        }
    }
    /* One in sixteen fits by chance: far from none and far from all. */
    assert_in_range(accepted, 12 * 2048 / 32, 12 * 2048 / 8);
}

static void test_sizes(void **state)
{
    (void)state;
    struct test_random random = {1};
    for (unsigned words = 0; words < 30; words++) {
        const size_t size = mnemonic_entropy_size(words);
        const bool known = words == 12 || words == 15 || words == 18 || words == 21 || words == 24;
        assert_int_equal(size, known ? words * 4 / 3 : 0);
        if (known) {
            uint8_t entropy[MNEMONIC_ENTROPY_MAX];
            char phrase[MNEMONIC_TEXT_SIZE], parsed[MNEMONIC_TEXT_SIZE];
            char problem[MNEMONIC_PROBLEM_SIZE];
            test_random_bytes(&random, entropy, size);
            mnemonic_from_entropy(phrase, entropy, size);
            assert_true(mnemonic_parse(parsed, phrase, problem));
            assert_string_equal(parsed, phrase);
        }
    }
}

#define PHRASE "legal winner thank year wave sausage worth useful legal winner thank yellow"

static void test_what_people_type(void **state)
{
    (void)state;
    static const char *const same[] = {
        PHRASE "\n",
        "  LEGAL Winner\tthank year  wave sausage worth useful\r\nlegal winner thank yellow",
        "lega winn than year wave saus wort usef lega winn than yell",
        "legal winne thank year wave sausag worth useful legal winner thank yello",
    };
    static const struct {
        const char *text;
        const char *problem;
    } wrong[] = {
        {"", "there are 0 words; a phrase has 12, 15, 18, 21 or 24"},
        {"legal winner", "there are 2 words; a phrase has 12, 15, 18, 21 or 24"},
        {"legal winnner", "word 2 is not in the list of BIP39: 'winnner'; 'win' is"},
        {"winx", "word 1 is not in the list of BIP39: 'winx'; 'win' is"},
        {"lega leg", NULL},
        {"legal zzz", "word 2 is not in the list of BIP39: 'zzz'; 'zebra' is"},
        {"legal x", "word 2 is not in the list of BIP39: 'x'"},
        {"legal,winner", "word 1 holds something else than letters"},
        {"\xc3\xa4rger", "word 1 holds something else than letters"},
        {"\x1b[2J", "word 1 holds something else than letters"},
        {"legalwinnerthank", "word 1 is not in the list of BIP39: 'legalwinn'; 'leg' is"},
        {"legal winner thank year wave sausage worth useful legal winner thank year",
         "the checksum does not fit: a word is another one, or stands elsewhere"},
        {"winner legal thank year wave sausage worth useful legal winner thank yellow",
         "the checksum does not fit: a word is another one, or stands elsewhere"},
        {PHRASE " " PHRASE " zoo", "there are more than 24 words"},
    };
    char parsed[MNEMONIC_TEXT_SIZE], problem[MNEMONIC_PROBLEM_SIZE];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_true(mnemonic_parse(parsed, same[i], problem));
        assert_string_equal(parsed, PHRASE);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(mnemonic_parse(parsed, wrong[i].text, problem));
        assert_string_equal(parsed, "");
        if (wrong[i].problem != NULL) {
            assert_string_equal(problem, wrong[i].problem);
        }
    }
}

/* --- watching ------------------------------------------------------------------------------- */

static void test_watching(void **state)
{
    (void)state;
    static const struct wallet_cost cheap = {1, 8192};
    char directory[] = "/tmp/flex-test-watch-XXXXXX", path[FILES_PATH_SIZE];
    struct secret_key secret, other;
    struct public_key key, second, back;
    struct wallet_file file;
    assert_non_null(mkdtemp(directory));
    assert_true(files_join(path, directory, "key.json"));
    mnemonic_secret(&secret, PHRASE);
    assert_true(schnorr_public_key(&key, &secret));
    assert_int_equal(wallet_watch(path, &key), WALLET_OK);
    assert_int_equal(wallet_peek(&file, path), WALLET_OK);
    assert_true(file.watches && !file.encrypted && public_key_equal(&file.public_key, &key));
    assert_int_equal(wallet_open(&other, &back, path, NULL), WALLET_WATCHES);
    assert_int_equal(wallet_open(&other, &back, path, "any"), WALLET_WATCHES);
    /* Another one may be watched instead; a key is never made over it, nor it over a key. */
    secret.bytes[0] ^= 1;
    assert_true(schnorr_public_key(&second, &secret));
    assert_int_equal(wallet_watch(path, &second), WALLET_OK);
    assert_int_equal(wallet_peek(&file, path), WALLET_OK);
    assert_true(public_key_equal(&file.public_key, &second));
    assert_int_equal(wallet_create(path, &secret, NULL, cheap), WALLET_EXISTS);
    struct public_key none = {{0}};
    assert_int_equal(wallet_watch(path, &none), WALLET_MALFORMED);
    unlink(path);
    assert_int_equal(wallet_create(path, &secret, NULL, cheap), WALLET_OK);
    assert_int_equal(wallet_watch(path, &key), WALLET_EXISTS);
    assert_int_equal(wallet_open(&other, &back, path, NULL), WALLET_OK);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_the_standards),     cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_word_in_every_place), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_what_people_type),          cmocka_unit_test(test_watching),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
