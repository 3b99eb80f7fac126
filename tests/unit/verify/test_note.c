/* Signed notes: the published example, canonical base64, strict lines, keys of witnesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "verify/note.h"

/* The example of Go's note package and its key. */
static const char go_text[] = "If you think cryptography is the answer to your problem,\n"
                              "then you don't know what your problem is.\n";
static const char go_signature[] =
    "\n\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n";
static const char go_key[] = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

static void test_the_published_example_is_read_and_its_signature_is_good(void **state)
{
    (void)state;
    static struct note note;
    char all[512];
    uint8_t key_bytes[48], id[NOTE_KEY_ID_SIZE];
    size_t size;
    struct public_key key;
    struct signature signature;
    snprintf(all, sizeof all, "%s%s", go_text, go_signature);
    assert_null(note_parse(&note, all, strlen(all)));
    assert_int_equal(note.count, 1);
    assert_true(bytes_view_equal(note.text, bytes_view_of(go_text, strlen(go_text))));
    assert_true(base64_decode(key_bytes, &size, bytes_view_of(go_key, strlen(go_key))));
    assert_int_equal(size, 33);
    memcpy(key.bytes, key_bytes + 1, PUBLIC_KEY_SIZE);
    note_key_id(id, "PeterNeumann", bytes_view_of(key_bytes, 1), &key);
    assert_memory_equal(id, ((uint8_t[]){0xc7, 0x4f, 0x20, 0xa3}), sizeof id);
    assert_memory_equal(id, note.signatures[0].key_id, sizeof id);
    assert_int_equal(note.signatures[0].size, SIGNATURE_SIZE);
    memcpy(signature.bytes, note.signatures[0].bytes, SIGNATURE_SIZE);
    assert_true(ed25519_verify_raw(&signature, &key, go_text, strlen(go_text)));
}

static void test_base64_has_one_text_for_any_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *encoded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Zg=",      "Zg",       "Zh==", "Zm9=", "Z===",   "====",
                                      "Zm8=Zm8=", "Zg==Zg==", "Zm 8", "Zm-_", "Zm9v\n", "Zg=A"};
    uint8_t bytes[64];
    size_t size;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct byte_writer writer;
        byte_writer_init(&writer, bytes, sizeof bytes);
        base64_write(&writer, rows[i].plain, strlen(rows[i].plain));
        assert_int_equal(writer.size, strlen(rows[i].encoded));
        assert_memory_equal(bytes, rows[i].encoded, writer.size);
        assert_true(
            base64_decode(bytes, &size, bytes_view_of(rows[i].encoded, strlen(rows[i].encoded))));
        assert_int_equal(size, strlen(rows[i].plain));
        assert_memory_equal(bytes, rows[i].plain, size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(base64_decode(bytes, &size, bytes_view_of(bad[i], strlen(bad[i]))));
    }
}

static void test_what_is_no_note_is_refused_by_name(void **state)
{
    (void)state;
    static struct note note;
    static const char *const bad[] = {
        "",
        "\n",
        "text\n",
        "text\n\n",
        "\n\n\u2014 a AAAAAAA=\n",
        "text\n\n\u2014 a AAAAAAA=",
        "text\n\n\u2014 a AAAAAA==\n", /* a key id and no signature */
        "text\n\n\u2014 a  AAAAAAA=\n",
        "text\n\n\u2014  AAAAAAA=\n",
        "text\n\n\u2014 a+b AAAAAAA=\n",
        "text\n\n- a AAAAAAA=\n",
        "text\n\n\u2014 a AAAAAAA= \n",
        "text\n\n\u2014 a AAAAAAA=\n\n",
        "te\txt\n\n\u2014 a AAAAAAA=\n",
        "te\xfft\n\n\u2014 a AAAAAAA=\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *why = note_parse(&note, bad[i], strlen(bad[i]));
        assert_non_null(why);
        assert_true(strlen(why) > 10);
    }
    static const char good[] = "a\n\nb\n\n\u2014 a AAAAAAA=\n";
    assert_null(note_parse(&note, good, strlen(good)));
    assert_int_equal(note.text.size, 5);
    char many[64 * (NOTE_SIGNATURES_MAX + 1)] = "text\n\n";
    for (int i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        strcat(many, "\u2014 a AAAAAAA=\n");
    }
    assert_null(note_parse(&note, many, strlen(many)));
    strcat(many, "\u2014 a AAAAAAA=\n");
    assert_non_null(note_parse(&note, many, strlen(many)));
}

static void test_a_witness_signs_a_text_and_a_time(void **state)
{
    (void)state;
    static struct note note;
    struct note_witness witness = {.name = "w.example/1"}, again;
    struct secret_key seed;
    char line[NOTE_VKEY_MAX];
    uint8_t bytes[512];
    struct byte_writer writer;
    uint64_t time_s = 0;
    memset(seed.bytes, 7, sizeof seed.bytes);
    ed25519_public_key(&witness.key, &seed);
    note_witness_to_text(line, &witness);
    assert_true(note_witness_from_text(&again, line, strlen(line)));
    assert_memory_equal(&again.key, &witness.key, sizeof again.key);
    for (size_t i = 0; i < strlen(line); i++) {
        line[i] ^= 1;
        assert_false(note_witness_from_text(&again, line, strlen(line)));
        line[i] ^= 1;
        assert_false(note_witness_from_text(&again, line, i));
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    text_write(&writer, "o\n1\nAA==\n\n");
    assert_true(note_cosign(&writer, &witness, &seed, 1700000000, bytes_view_of(bytes, 9)));
    assert_false(writer.failed);
    assert_null(note_parse(&note, (char *)bytes, writer.size));
    assert_true(note_cosignature_verify(&note.signatures[0], &time_s, &witness, note.text));
    assert_int_equal(time_s, 1700000000);
    /* Another time, text or name, and it is not its signature. */
    struct note_signature other = note.signatures[0];
    other.bytes[7] ^= 1;
    assert_false(note_cosignature_verify(&other, &time_s, &witness, note.text));
    assert_false(note_cosignature_verify(&note.signatures[0], &time_s, &witness,
                                         bytes_view_of("o\n2\nAA==\n", 9)));
    witness.name[0] = 'v';
    assert_false(note_cosignature_verify(&note.signatures[0], &time_s, &witness, note.text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_published_example_is_read_and_its_signature_is_good),
        cmocka_unit_test(test_base64_has_one_text_for_any_bytes),
        cmocka_unit_test(test_what_is_no_note_is_refused_by_name),
        cmocka_unit_test(test_a_witness_signs_a_text_and_a_time),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
