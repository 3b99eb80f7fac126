/* Digests: true ones verify from the genesis alone, over a change of the validator set and through
 * descendants, and nothing else does, down to the byte. The frozen example of docs/spec/digest.md
 * (REWRITE=1 writes it anew; changing it is a change of the format). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/random.h"
#include "tests/lib/verify/digest_world.h"

static const struct digest_rules strict;

static bool verifies_by(const struct digest_rules *rules, const char *text, size_t size)
{
    struct digest digest;
    char problem[DIGEST_PROBLEM_SIZE] = "";
    bool good = digest_verify(&digest, &digest_world()->trust, rules, text, size, problem);
    assert_true(good == (problem[0] == '\0'));
    return good;
}

static bool verifies(const char *text)
{
    return verifies_by(&strict, text, strlen(text));
}

static void test_a_note_says_day_size_and_root(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    struct digest digest;
    char problem[DIGEST_PROBLEM_SIZE];
    assert_true(digest_verify(&digest, &world->trust, &strict, world->plain, strlen(world->plain),
                              problem));
    assert_string_equal(digest.date, "2025-01-15");
    assert_int_equal(digest.size, 3);
    assert_true(hash_equal(&digest.root, &world->headers[3].log_root));
    assert_int_equal(digest.validators, 3);
    assert_true(digest_verify(&digest, &world->trust, &strict, world->walked, strlen(world->walked),
                              problem));
    assert_string_equal(digest.date, "2025-01-16");
    assert_int_equal(digest.size, 6);
    assert_int_equal(digest.last.height, 5);
}

static void test_a_cosignature_counts_for_whom_it_is_known(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    const struct digest_rules knows = {.witnesses = &world->witness, .witness_count = 1};
    const struct digest_rules passes = {.allow_unknown = true};
    struct digest digest;
    char problem[DIGEST_PROBLEM_SIZE];
    size_t size = strlen(world->cosigned);
    assert_true(digest_verify(&digest, &world->trust, &knows, world->cosigned, size, problem));
    assert_int_equal(digest.cosignatures, 1);
    assert_int_equal(digest.time_s, DIGEST_WORLD_TIME_S);
    assert_false(digest_verify(&digest, &world->trust, &strict, world->cosigned, size, problem));
    assert_true(digest_verify(&digest, &world->trust, &passes, world->cosigned, size, problem));
    assert_int_equal(digest.cosignatures, 0);
    assert_int_equal(digest.unknown, 1);
}

static void spoil_everything(const struct digest_rules *rules, const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 2);
    assert_non_null(copy);
    memcpy(copy, text, size + 1);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = i % 8; bit < 8; bit += i % 32 == 0 ? 1 : 8) {
            copy[i] = (char)((uint8_t)text[i] ^ (1u << bit));
            assert_false(verifies_by(rules, copy, size));
        }
        copy[i] = text[i];
    }
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(verifies_by(rules, copy, cut));
    }
    for (unsigned c = 0; c < 256; c++) {
        copy[size] = (char)c;
        assert_false(verifies_by(rules, copy, size + 1));
    }
    free(copy);
}

static void test_every_changed_byte_is_found(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    const struct digest_rules knows = {.witnesses = &world->witness, .witness_count = 1};
    spoil_everything(&strict, world->plain);
    spoil_everything(&strict, world->walked);
    /* The votes alone are a note, so cutting the last line off is no fault; all else is. */
    size_t size = strlen(world->cosigned), votes = strlen(world->walked);
    char copy[DIGEST_WORLD_NOTE_MAX];
    memcpy(copy, world->cosigned, size);
    for (size_t i = votes; i < size; i++) {
        copy[i] = (char)(world->cosigned[i] ^ 1);
        assert_false(verifies_by(&knows, copy, size));
        copy[i] = world->cosigned[i];
        assert_false(i > votes && verifies_by(&knows, copy, i));
    }
    assert_true(verifies_by(&knows, copy, size));
}

static void test_a_long_walk_is_checked_to_the_byte(void **state)
{
    (void)state;
    char *note = digest_world_long_note(60);
    size_t size = strlen(note);
    struct test_random random = {60};
    assert_true(size > 60000);
    assert_true(verifies(note));
    for (int i = 0; i < 150; i++) {
        size_t at = (size_t)test_random_below(&random, size);
        uint8_t flip = (uint8_t)(1 + test_random_below(&random, 255));
        note[at] = (char)((uint8_t)note[at] ^ flip);
        assert_false(verifies(note));
        note[at] = (char)((uint8_t)note[at] ^ flip);
    }
    for (int i = 0; i < 50; i++) {
        assert_false(verifies_by(&strict, note, (size_t)test_random_below(&random, size)));
    }
    assert_true(verifies(note));
    free(note);
    note = digest_world_long_note(TRUST_EPOCHS_MAX + 1);
    assert_false(verifies(note));
    free(note);
}

/* The note with its n-th signature line (from 0) left out, or put at the end. */
static void without_line(char *out, const char *text, int n, bool at_end)
{
    char *line = strcpy(out, text);
    line = strstr(line, "\n\n") + 2;
    for (; n > 0; n--) {
        line = strchr(line, '\n') + 1;
    }
    char *next = strchr(line, '\n') + 1;
    char kept[512];
    snprintf(kept, sizeof kept, "%.*s", (int)(next - line), line);
    memmove(line, next, strlen(next) + 1);
    if (at_end) {
        strcat(out, kept);
    }
}

static void test_a_quorum_in_order_or_nothing(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    char copy[DIGEST_WORLD_NOTE_MAX];
    for (int line = 0; line < 3; line++) {
        without_line(copy, world->plain, line, false);
        assert_false(verifies(copy));
    }
    without_line(copy, world->plain, 0, true);
    assert_false(verifies(copy));
    without_line(copy, world->plain, 2, true);
    assert_true(verifies(copy));
    /* A fourth vote is fine; the same three of another block are not. */
    struct certificate certificate;
    struct byte_writer writer;
    for (uint64_t height = 2; height <= 3; height++) {
        strcpy(copy, world->plain);
        char *votes = strstr(copy, "\n\n") + 1;
        byte_writer_init(&writer, (uint8_t *)votes, 4096);
        digest_world_certify(&certificate, &world->headers[height], 4);
        digest_write_votes(&writer, &certificate, &world->sets[0]);
        votes[writer.size] = '\0';
        assert_int_equal(verifies(copy), height == 3);
    }
}

static void test_epochs_are_walked_one_by_one(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    char copy[DIGEST_WORLD_NOTE_MAX];
    strcpy(copy, world->walked);
    char *epoch = strstr(copy, "epoch ");
    char *next = strchr(epoch, '\n') + 1;
    /* Without its line the later set is unknown; twice, the second is of an epoch that is over. */
    char twice[DIGEST_WORLD_NOTE_MAX];
    snprintf(twice, sizeof twice, "%.*s%.*s%s", (int)(next - copy), copy, (int)(next - epoch),
             epoch, next);
    assert_false(verifies(twice));
    memmove(epoch, next, strlen(next) + 1);
    assert_false(verifies(copy));
}

static void test_another_genesis_refuses(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    struct genesis other = world->genesis;
    struct proof_trust trust;
    struct digest digest;
    char problem[DIGEST_PROBLEM_SIZE];
    other.max_idle_ms++;
    assert_true(proof_trust_from_genesis(&trust, &other));
    assert_false(
        digest_verify(&digest, &trust, &strict, world->plain, strlen(world->plain), problem));
    assert_non_null(strstr(problem, "another chain"));
}

static void test_days_are_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t day;
        const char *text;
    } rows[] = {{0, "1970-01-01"},     {58, "1970-02-28"},    {59, "1970-03-01"},
                {789, "1972-02-29"},   {20103, "2025-01-15"}, {11016, "2000-02-29"},
                {47540, "2100-02-28"}, {47541, "2100-03-01"}, {DIGEST_DAY_MAX, "9999-12-31"}};
    static const char *const bad[] = {"",           "1969-12-31", "2025-02-29",  "2025-13-01",
                                      "2025-00-01", "2025-1-15",  "2025-01-32",  "2025-01-15 ",
                                      " 025-01-15", "+025-01-15", "10000-01-01", "2025/01/15",
                                      "2025-04-31", "20250115"};
    char text[DIGEST_DATE_SIZE];
    int64_t day;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        digest_date_text(text, rows[i].day);
        assert_string_equal(text, rows[i].text);
        assert_true(digest_day_of_text(&day, rows[i].text));
        assert_int_equal(day, rows[i].day);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(digest_day_of_text(&day, bad[i]));
    }
}

/* --- the frozen example ----------------------------------------------------------------------- */

static void check_frozen(const char *path, const char *text)
{
    static char kept[65536];
    FILE *file = fopen(path, getenv("REWRITE") != NULL ? "w+" : "r");
    assert_non_null(file);
    if (getenv("REWRITE") != NULL) {
        assert_int_equal(fputs(text, file) < 0, 0);
        rewind(file);
    }
    size_t size = fread(kept, 1, sizeof kept - 1, file);
    kept[size] = '\0';
    (void)fclose(file);
    assert_string_equal(kept, text);
}

static void test_the_example_of_the_specification_is_frozen(void **state)
{
    (void)state;
    const struct digest_world *world = digest_world();
    char witness[NOTE_VKEY_MAX + 1];
    struct cJSON *object = genesis_to_json(&world->genesis);
    char *genesis = cJSON_Print(object);
    note_witness_to_text(witness, &world->witness);
    strcat(witness, "\n");
    check_frozen("tests/vectors/verify/genesis.json", genesis);
    check_frozen("tests/vectors/verify/2025-01-16.note", world->cosigned);
    check_frozen("tests/vectors/verify/witness.txt", witness);
    check_frozen("tests/vectors/verify/balance.proof", world->balance);
    check_frozen("tests/vectors/verify/absent.proof", world->absent);
    check_frozen("tests/vectors/verify/block.proof", world->block);
    check_frozen("tests/vectors/verify/log.proof", world->log);
    cJSON_free(genesis);
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_note_says_day_size_and_root),
        cmocka_unit_test(test_a_cosignature_counts_for_whom_it_is_known),
        cmocka_unit_test(test_every_changed_byte_is_found),
        cmocka_unit_test(test_a_long_walk_is_checked_to_the_byte),
        cmocka_unit_test(test_a_quorum_in_order_or_nothing),
        cmocka_unit_test(test_epochs_are_walked_one_by_one),
        cmocka_unit_test(test_another_genesis_refuses),
        cmocka_unit_test(test_days_are_dates),
        cmocka_unit_test(test_the_example_of_the_specification_is_frozen),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
