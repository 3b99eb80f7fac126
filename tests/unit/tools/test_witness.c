/* The regulator's witness by its command line, offline: it signs what continues, keeps two histories as
 * evidence, and uses no state that anybody touched. And the digests of an export, down to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "tests/lib/tools/little_chain.h"
#include "tools/audit_verify.h"
#include "tools/nouns.h"
#include "verify/digest.h"

enum { DAYS = 3 };

struct suite {
    char directory[64];
    struct little_chain *chain, *fork; /* of one genesis, and yet not one history */
    uint64_t last[DAYS];               /* last block of each day, in both */
};
static struct suite suite = {.directory = "/tmp/flex-test-witness-XXXXXX"};

static const char *in_directory(const char *name)
{
    static char paths[8][FILES_PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    assert_true(files_join(path, suite.directory, name));
    return path;
}

static struct little_chain *grow(int64_t minted)
{
    struct little_chain *chain = little_chain_create();
    little_chain_mint(chain, minted);
    for (int day = 0; day <= DAYS; day++) {
        for (int i = 0; i < 3; i++) {
            little_chain_turn(chain, i != 0);
        }
        suite.last[day < DAYS ? day : DAYS - 1] =
            day < DAYS ? little_chain_height(chain) : suite.last[DAYS - 1];
        little_chain_pause(chain, MS_PER_DAY);
    }
    return chain;
}

static void write_text(const char *name, char *text)
{
    assert_non_null(text);
    assert_true(files_write(in_directory(name), text, strlen(text), 0644));
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    if (!crypto_init() || mkdtemp(suite.directory) == NULL) {
        return 1;
    }
    suite.chain = grow(5000000);
    suite.fork = grow(6000000);
    struct cJSON *genesis = genesis_to_json(little_chain_genesis(suite.chain));
    char *text = cJSON_Print(genesis);
    write_text("genesis.json", strdup(text));
    cJSON_free(text);
    cJSON_Delete(genesis);
    for (int day = 0; day < DAYS; day++) {
        char name[32];
        snprintf(name, sizeof name, "%d.note", day);
        write_text(name, little_chain_note(suite.chain, suite.last[day]));
        snprintf(name, sizeof name, "fork%d.note", day);
        write_text(name, little_chain_note(suite.fork, suite.last[day]));
    }
    uint64_t sizes[DAYS] = {suite.last[0] + 1, suite.last[1] + 1, suite.last[2] + 1};
    write_text("01.proof", little_chain_log_proof(suite.chain, sizes[0], sizes[1]));
    write_text("12.proof", little_chain_log_proof(suite.chain, sizes[1], sizes[2]));
    write_text("fork12.proof", little_chain_log_proof(suite.fork, sizes[1], sizes[2]));
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    little_chain_destroy(suite.chain);
    little_chain_destroy(suite.fork);
    return nftw(suite.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs flex; `said` gets standard error. */
static int flex(char said[4096], const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "flex", (char *)(uintptr_t) "--genesis",
                      (char *)(uintptr_t)in_directory("genesis.json"), (char *)(uintptr_t) "--home",
                      (char *)(uintptr_t)in_directory("home")};
    int argc = 5;
    while (*words != NULL) {
        argv[argc++] = (char *)(uintptr_t)*words++;
    }
    FILE *out = tmpfile(), *err = tmpfile();
    assert_true(out != NULL && err != NULL);
    int status = cli_main(flex_nouns, flex_noun_count, argc, argv, out, err);
    rewind(err);
    said[fread(said, 1, 4095, err)] = '\0';
    (void)fclose(out);
    (void)fclose(err);
    return status;
}

static int witness(char said[4096], const char *note, const char *proof)
{
    const char *words[] = {"audit",
                           "witness",
                           "--state",
                           in_directory("state"),
                           in_directory(note),
                           "--name",
                           "w.example/1",
                           proof != NULL ? "--consistency" : NULL,
                           proof != NULL ? in_directory(proof) : NULL,
                           NULL};
    return flex(said, words);
}

static void test_it_signs_what_continues(void **state)
{
    (void)state;
    char said[4096];
    assert_int_equal(witness(said, "0.note", NULL), CLI_DONE);
    assert_int_equal(witness(said, "0.note", NULL), CLI_DONE);
    assert_int_equal(witness(said, "1.note", "01.proof"), CLI_DONE);
    assert_int_equal(witness(said, "0.note", "01.proof"), CLI_REFUSED);
    assert_non_null(strstr(said, "older_digest"));
    /* A proof of other sizes is none. */
    assert_int_equal(witness(said, "2.note", "01.proof"), CLI_UNPROVEN);
    assert_non_null(strstr(said, "proof_failed"));
    const char *verify[] = {"audit", "digest", "verify", in_directory("state/last.note"), NULL};
    assert_int_equal(flex(said, verify), CLI_UNPROVEN);
    const char *passing[] = {"audit",           "digest", "verify", in_directory("state/last.note"),
                             "--allow-unknown", NULL};
    assert_int_equal(flex(said, passing), CLI_DONE);
}

static int conflicts(void)
{
    int found = 0;
    for (int day = 0; day < DAYS; day++) {
        for (int fork = 0; fork < 2; fork++) {
            char name[64], root[9];
            const struct little_block *next =
                little_chain_block(fork ? suite.fork : suite.chain, suite.last[day] + 1);
            hex_encode(root, next->header.log_root.bytes, 4);
            char date[DIGEST_DATE_SIZE];
            digest_date_text(
                date, digest_day_of(little_chain_block(suite.chain, suite.last[day])->header.time));
            snprintf(name, sizeof name, "state/conflict-%s-%s.note", date, root);
            found += files_exists(in_directory(name));
        }
    }
    return found;
}

static void test_two_histories_are_named_and_kept(void **state)
{
    (void)state;
    char said[4096];
    assert_int_equal(conflicts(), 0);
    assert_int_equal(witness(said, "fork1.note", NULL), CLI_UNPROVEN);
    assert_non_null(strstr(said, "two_histories"));
    assert_int_equal(conflicts(), 2);
    assert_int_equal(witness(said, "fork2.note", "fork12.proof"), CLI_UNPROVEN);
    assert_non_null(strstr(said, "two_histories"));
    assert_non_null(strstr(said, "not a prefix"));
    assert_int_equal(conflicts(), 3);
    /* And it goes on with its own. */
    assert_int_equal(witness(said, "2.note", "12.proof"), CLI_DONE);
}

/* Without the syncs that a real file gets: there are thousands of these. */
static void put(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Each byte flipped, the file cut at some places, a byte appended: `what` must end with `status`. */
static void spoil(const char *name, int (*what)(void), int status, size_t step)
{
    size_t size;
    char *text = files_read(in_directory(name), 1 << 20, &size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i += step) {
        text[i] = (char)(text[i] ^ 1 << i % 8);
        put(in_directory(name), text, size);
        assert_int_equal(what(), status);
        text[i] = (char)(text[i] ^ 1 << i % 8);
        if (i % 8 == 0) {
            put(in_directory(name), text, i);
            assert_int_equal(what(), status);
        }
    }
    text[size] = '\n';
    put(in_directory(name), text, size + 1);
    assert_int_equal(what(), status);
    put(in_directory(name), text, size);
    free(text);
}

/* However much was appended, it is the file that is bad and not the question. */
static void test_what_is_too_large_is_unproven(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        off_t size;
    } rows[] = {{{"audit", "digest", "verify"}, NOTE_BYTES_MAX + 1},
                {{"proof", "verify"}, PROOF_FILE_BYTES_MAX + 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char said[4096];
        const char *words[5] = {rows[i].words[0], rows[i].words[1], rows[i].words[2]};
        words[rows[i].words[2] != NULL ? 3 : 2] = in_directory("large");
        put(in_directory("large"), "x", 1);
        assert_int_equal(truncate(in_directory("large"), rows[i].size), 0);
        assert_int_equal(flex(said, words), CLI_UNPROVEN);
        assert_non_null(strstr(said, "too large"));
    }
}

static int sign_again(void)
{
    char said[4096];
    int status = witness(said, "2.note", NULL);
    assert_true(status == CLI_DONE || strstr(said, "bad_state") != NULL);
    return status;
}

static void test_no_touched_state_is_used(void **state)
{
    (void)state;
    assert_int_equal(sign_again(), CLI_DONE);
    spoil("state/last.note", sign_again, CLI_UNPROVEN, 3);
    spoil("state/witness.key", sign_again, CLI_UNPROVEN, 1);
    assert_int_equal(sign_again(), CLI_DONE);
}

/* What has been signed is known from the last note alone: a lost one makes no new beginning. */
static void test_a_lost_note_is_no_new_beginning(void **state)
{
    (void)state;
    char said[4096];
    size_t size;
    const char *path = in_directory("state/last.note");
    char *text = files_read(path, 1 << 20, &size);
    assert_non_null(text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(witness(said, "fork2.note", NULL), CLI_UNPROVEN);
    assert_non_null(strstr(said, "bad_state"));
    assert_false(files_exists(path));
    put(path, text, size);
    free(text);
    assert_int_equal(witness(said, "2.note", NULL), CLI_DONE);
}

/* A first run that finds nothing to sign leaves no key that would be taken for one that has signed. */
static void test_a_first_run_that_fails_is_tried_again(void **state)
{
    (void)state;
    char said[4096];
    const char *words[] = {"audit", "witness", "--state",     in_directory("other"),
                           NULL,    "--name",  "w.example/2", NULL};
    words[4] = in_directory("genesis.json");
    assert_int_equal(flex(said, words), CLI_UNPROVEN);
    words[4] = in_directory("0.note");
    assert_int_equal(flex(said, words), CLI_DONE);
}

static int verify_export(void)
{
    struct audit_outcome outcome;
    struct audit *audit =
        audit_verify(&outcome, in_directory("export"), little_chain_genesis(suite.chain), NULL);
    assert_non_null(audit);
    audit_close(audit);
    assert_true(outcome.ok || strlen(outcome.reason) > 10);
    return outcome.ok ? CLI_DONE : CLI_UNPROVEN;
}

static void test_an_export_has_the_digest_of_each_day(void **state)
{
    (void)state;
    char name[64];
    little_chain_export(suite.chain, in_directory("export"));
    assert_int_equal(verify_export(), CLI_DONE);
    snprintf(name, sizeof name, "export/digests/2025-01-15.note");
    spoil(name, verify_export, CLI_UNPROVEN, 7);
    assert_int_equal(verify_export(), CLI_DONE);
    /* Another history's, none, and one too many. */
    write_text(name, little_chain_note(suite.fork, suite.last[0]));
    assert_int_equal(verify_export(), CLI_UNPROVEN);
    assert_int_equal(unlink(in_directory(name)), 0);
    assert_int_equal(verify_export(), CLI_UNPROVEN);
    write_text(name, little_chain_note(suite.chain, suite.last[0]));
    assert_int_equal(verify_export(), CLI_DONE);
    write_text("export/digests/2025-02-01.note", little_chain_note(suite.chain, suite.last[0]));
    assert_int_equal(verify_export(), CLI_UNPROVEN);
    assert_int_equal(unlink(in_directory("export/digests/2025-02-01.note")), 0);
    write_text("export/digests/README", strdup("x"));
    assert_int_equal(verify_export(), CLI_UNPROVEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_signs_what_continues),
        cmocka_unit_test(test_two_histories_are_named_and_kept),
        cmocka_unit_test(test_no_touched_state_is_used),
        cmocka_unit_test(test_a_lost_note_is_no_new_beginning),
        cmocka_unit_test(test_a_first_run_that_fails_is_tried_again),
        cmocka_unit_test(test_what_is_too_large_is_unproven),
        cmocka_unit_test(test_an_export_has_the_digest_of_each_day),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
