/* The signer: its judgement against a model that remembers everything, across restarts; what it does without
 * its state; packets of all kinds. */
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/journal.h"
#include "tests/lib/random.h"
#include "tests/lib/temp_dir.h"
#include "tools/signd/server.h"

enum { EPOCHS = 3, VIEWS = 40, TURNS = 3000, VOTES = TURNS };

static char home[TEMP_PATH_SIZE];
static struct secret_key seed = {{7, 5, 3}};
static struct public_key key;
static const struct hash chain = {{1, 2, 3}};
static char problem[NODE_PROBLEM_SIZE];

static int start(void **state)
{
    (void)state;
    if (!crypto_init())
        return -1;
    temp_dir_make(home);
    ed25519_public_key(&key, &seed);
    problem[0] = '\0';
    return guard_create(home, &key, problem) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int remove_tree(const char *path)
{
    return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int finish(void **state)
{
    (void)state;
    return remove_tree(home);
}

static struct guard *open_again(struct guard *guard)
{
    if (guard != NULL)
        guard_close(guard);
    guard = guard_open(home, &key, problem);
    if (guard == NULL)
        fail_msg("%s", problem);
    return guard;
}

/* The model: every vote ever signed, in a list, and the rules as docs/spec/signer.md says them. */
static struct vote past[VOTES];
static uint32_t past_count;

static enum signer_result model_judge(const struct vote *vote, bool *known)
{
    uint64_t newest = 0;
    *known = false;
    for (uint32_t i = 0; i < past_count; i++)
        newest = past[i].epoch > newest ? past[i].epoch : newest;
    if (past_count > 0 && vote->epoch < newest)
        return SIGNER_TOO_OLD;
    for (uint32_t i = 0; i < past_count; i++) {
        if (past[i].epoch == vote->epoch && past[i].view >= vote->view + LIMIT_VIEW_WINDOW)
            return SIGNER_TOO_OLD;
    }
    enum signer_result result = SIGNER_DONE;
    for (uint32_t i = 0; i < past_count; i++) {
        const struct vote *old = &past[i];
        if (old->epoch != vote->epoch || old->view != vote->view)
            continue;
        if (old->kind == vote->kind && hash_equal(&old->block_id, &vote->block_id)) {
            *known = true;
            return SIGNER_DONE;
        }
        const bool nullified = old->kind == VOTE_NULLIFY || vote->kind == VOTE_NULLIFY;
        const bool notarize_first = old->kind == VOTE_NOTARIZE && vote->kind == VOTE_NULLIFY;
        if (old->kind == vote->kind || (nullified && !notarize_first))
            result = SIGNER_CONTRADICTS;
    }
    return result;
}

/* Of some 40 views at a time, which move on; now and then of an epoch that is over, or a window away. */
static struct vote any_vote(struct test_random *random, uint32_t turn)
{
    struct vote vote = {.kind = (uint8_t)test_random_below(random, VOTE_KIND_COUNT),
                        .epoch = turn / (TURNS / EPOCHS),
                        .view = 1 + turn / 10 + test_random_below(random, VIEWS)};
    if (test_random_below(random, 10) == 0)
        vote.epoch = test_random_below(random, vote.epoch + 1);
    if (turn % (TURNS / EPOCHS) > TURNS / EPOCHS / 2) /* the second half of each epoch */
        vote.view += test_random_below(random, 3) == 0 ? 0 : LIMIT_VIEW_WINDOW - VIEWS / 2;
    if (vote.kind != VOTE_NULLIFY)
        vote.block_id.bytes[0] = (uint8_t)(1 + test_random_below(random, 2));
    return vote;
}

static void judges_as_who_forgets_nothing(void **state)
{
    (void)state;
    struct test_random random = {2024};
    struct guard *guard = open_again(NULL);
    uint32_t counts[SIGNER_RESULT_COUNT] = {0}, repeated = 0;
    past_count = 0;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        struct vote vote = any_vote(&random, turn);
        bool known = false, expected_known = false;
        const enum signer_result expected = model_judge(&vote, &expected_known);
        const enum signer_result result = guard_judge(guard, &chain, &vote, &known);
        assert_int_equal(result, expected);
        assert_int_equal(known, expected_known);
        counts[result]++;
        repeated += known ? 1 : 0;
        if (result == SIGNER_DONE && !known) {
            if (!guard_note(guard, &chain, &vote, problem))
                fail_msg("%s", problem);
            past[past_count++] = vote;
        }
        if (test_random_below(&random, 50) == 0)
            guard = open_again(guard);
    }
    guard_close(guard);
    assert_true(past_count > 60 && repeated > 50);
    assert_true(counts[SIGNER_CONTRADICTS] > 100 && counts[SIGNER_TOO_OLD] > 100);
}

/* A day of votes: the journal is pruned, and what stays is enough. */
static void old_segments_go(void **state)
{
    (void)state;
    struct guard *guard = open_again(NULL);
    bool known = false;
    for (uint64_t view = 1; view <= 3 * LIMIT_VIEW_WINDOW; view += 5) {
        struct vote vote = {.kind = VOTE_NULLIFY, .view = view};
        assert_int_equal(guard_judge(guard, &chain, &vote, &known), SIGNER_DONE);
        assert_true(guard_note(guard, &chain, &vote, problem));
    }
    guard = open_again(guard);
    const uint64_t top = 1 + (3 * LIMIT_VIEW_WINDOW - 1) / 5 * 5;
    struct vote f = {.kind = VOTE_FINALIZE, .view = top, .block_id = {{9}}};
    assert_int_equal(guard_judge(guard, &chain, &f, &known), SIGNER_CONTRADICTS);
    f.view = top - 1; /* never signed in */
    assert_int_equal(guard_judge(guard, &chain, &f, &known), SIGNER_DONE);
    f.view = 1;
    assert_int_equal(guard_judge(guard, &chain, &f, &known), SIGNER_TOO_OLD);
    guard_close(guard);
}

static void sign_one(uint64_t epoch)
{
    struct guard *guard = open_again(NULL);
    struct vote vote = {.kind = VOTE_NULLIFY, .epoch = epoch, .view = 3};
    assert_true(guard_note(guard, &chain, &vote, problem));
    guard_close(guard);
}

static void refuses_to_open(const char *says)
{
    assert_null(guard_open(home, &key, problem));
    if (strstr(problem, says) == NULL || strstr(problem, "replace it") == NULL)
        fail_msg("it says: %s", problem);
}

static void without_its_state_it_does_not_start(void **state)
{
    (void)state;
    char path[2 * TEMP_PATH_SIZE], kept[TEMP_PATH_SIZE];
    sign_one(4);
    snprintf(path, sizeof path, "%s/votes/epoch-4", home);
    temp_dir_make(kept);
    temp_dir_copy(path, kept);
    temp_dir_empty(path); /* the directory stays */
    refuses_to_open("missing");
    temp_dir_remove(path);
    refuses_to_open("missing");
    temp_dir_remove(kept);
    struct public_key other = {{1}};
    assert_null(guard_open(home, &other, problem));
    assert_non_null(strstr(problem, "another key"));
    snprintf(path, sizeof path, "%s/votes/state", home);
    assert_int_equal(unlink(path), 0);
    refuses_to_open("missing");
    assert_false(guard_create(home, &key, problem)); /* and is not made again by mistake */
}

static bool has_epoch(uint64_t epoch)
{
    char path[2 * TEMP_PATH_SIZE];
    snprintf(path, sizeof path, "%s/votes/epoch-%llu", home, (unsigned long long)epoch);
    return access(path, F_OK) == 0;
}

/* Signer.md 4: a journal below the state's epoch goes, at the next epoch's first vote or at a start. */
static void old_epochs_go(void **state)
{
    (void)state;
    char old[2 * TEMP_PATH_SIZE], kept[TEMP_PATH_SIZE];
    sign_one(4);
    snprintf(old, sizeof old, "%s/votes/epoch-4", home);
    temp_dir_make(kept);
    temp_dir_copy(old, kept);
    assert_true(has_epoch(4));
    sign_one(5);
    assert_false(has_epoch(4));
    /* As if the process had died before it went. */
    assert_int_equal(mkdir(old, 0700), 0);
    temp_dir_copy(kept, old);
    assert_true(has_epoch(4));
    guard_close(open_again(NULL));
    assert_false(has_epoch(4));
    assert_true(has_epoch(5));
    struct guard *guard = open_again(NULL);
    const struct vote vote = {.kind = VOTE_NULLIFY, .epoch = 4, .view = 900};
    bool known = false;
    assert_int_equal(guard_judge(guard, &chain, &vote, &known), SIGNER_TOO_OLD);
    guard_close(guard);
    temp_dir_remove(kept);
}

/* An init that fails takes back what it made; one of a key that has voted is never taken back by create. */
static void what_was_begun_is_discarded(void **state)
{
    (void)state;
    sign_one(4);
    assert_false(guard_create(home, &key, problem));
    assert_non_null(strstr(problem, "no key.json"));
    assert_true(has_epoch(4));
    guard_discard(home);
    assert_true(guard_create(home, &key, problem));
    assert_false(has_epoch(4));
}

static void a_flipped_byte_is_noticed(void **state)
{
    (void)state;
    char path[2 * TEMP_PATH_SIZE];
    for (uint64_t view = 1; view <= 3; view++) {
        struct guard *guard = open_again(NULL);
        struct vote vote = {.kind = VOTE_NULLIFY, .view = view};
        assert_true(guard_note(guard, &chain, &vote, problem));
        guard_close(guard);
    }
    size_t size = 0;
    snprintf(path, sizeof path, "%s/votes/epoch-0", home);
    unsigned char *bytes = temp_file_read(path, "journal-00000000000000000001", &size);
    bytes[size / 2] ^= 1;
    temp_file_write(path, "journal-00000000000000000001", bytes, size);
    free(bytes);
    refuses_to_open("");
}

static void one_signer_at_a_time(void **state)
{
    (void)state;
    struct guard *guard = open_again(NULL); /* has no journal as yet, whose lock would do */
    assert_null(guard_open(home, &key, problem));
    assert_non_null(strstr(problem, "another signer"));
    guard_close(guard);
    guard_close(open_again(NULL));
}

/* --- a node's votes -------------------------------------------------------------------------- */

static void node_has_voted(const char *node_home, const char *name, const struct vote *vote)
{
    char path[2 * TEMP_PATH_SIZE], fault[160] = "";
    struct journal *journal = NULL;
    snprintf(path, sizeof path, "%s/%s", node_home, name);
    const struct journal_config config = {
        .directory = path, .genesis = chain, .epoch = vote->epoch};
    assert_int_equal(journal_open(&journal, &config, NULL, NULL, fault), JOURNAL_OK);
    journal_append_vote(journal, vote);
    assert_true(journal_sync(journal));
    journal_close(journal);
}

/* Of a node whose epochs are `old` and `newest`, with `mark` (if any) in its home. */
static bool import_from(const char *mark, const char *text, uint64_t old, uint64_t newest)
{
    char node_home[TEMP_PATH_SIZE], name[40];
    uint64_t votes = 0;
    bool known = false;
    struct vote vote = {.kind = VOTE_NOTARIZE, .view = 7, .block_id = {{1}}};
    temp_dir_make(node_home);
    vote.epoch = old;
    snprintf(name, sizeof name, old == 0 ? "journal" : "journal-%llu", (unsigned long long)old);
    node_has_voted(node_home, name, &vote);
    vote.epoch = newest;
    snprintf(name, sizeof name, "journal-%llu", (unsigned long long)newest);
    node_has_voted(node_home, name, &vote);
    if (mark != NULL)
        temp_file_write(node_home, mark, text, strlen(text));
    struct guard *guard = open_again(NULL);
    const bool good = guard_import(guard, &votes, node_home, &chain, problem);
    if (good) {
        assert_int_equal(votes, 1);
        assert_int_equal(guard_judge(guard, &chain, &vote, &known), SIGNER_DONE);
        assert_true(known);
        vote.block_id.bytes[0] = 2;
        assert_int_equal(guard_judge(guard, &chain, &vote, &known), SIGNER_CONTRADICTS);
        vote.epoch = old;
        assert_int_equal(guard_judge(guard, &chain, &vote, &known), SIGNER_TOO_OLD);
    }
    guard_close(guard);
    assert_int_equal(remove_tree(node_home), 0);
    return good;
}

static void takes_over_the_newest_journal(void **state)
{
    (void)state;
    assert_true(import_from(NULL, NULL, 0, 9));
}

static void takes_over_any_epoch(void **state)
{
    (void)state;
    assert_true(import_from(NULL, NULL, 4095, 70000));
}

static void takes_over_after_an_old_loss(void **state)
{
    (void)state;
    assert_true(import_from("votes-lost", "epoch 8\n", 8, 9));
}

/* The node would not vote with this home, and must not by way of a signer. */
static void takes_over_no_forgotten_votes(void **state)
{
    (void)state;
    static const char *const texts[] = {"epoch 9\n", "epoch 10\n", "", "nonsense"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(import_from("votes-lost", texts[i], 8, 9));
        assert_non_null(strstr(problem, "forgotten"));
    }
    assert_false(import_from("restored", "{\"votes_after_ms\":\"0\"}", 8, 9));
    assert_non_null(strstr(problem, "forgotten"));
}

/* --- packets --------------------------------------------------------------------------------- */

static struct signer_answer answer_to(struct signd *signd, const struct signer_request *request)
{
    uint8_t bytes[SIGNER_PACKET_MAX];
    struct byte_writer writer;
    struct signer_answer answer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&signer_request_record, request, &writer);
    assert_false(writer.failed);
    assert_true(signd_answer(signd, &answer, bytes_view_of(bytes, writer.size), problem));
    assert_true(public_key_equal(&answer.key, &key));
    return answer;
}

static struct signer_request request_for(enum signer_request_kind kind)
{
    return (struct signer_request){.magic = SIGNER_MAGIC,
                                   .version = SIGNER_VERSION,
                                   .kind = (uint8_t)kind,
                                   .number = 77,
                                   .genesis = chain};
}

static void signs_votes_and_links_and_nothing_else(void **state)
{
    (void)state;
    struct signd signd = {.seed = seed, .key = key, .guard = open_again(NULL)};
    struct signer_request vote = request_for(SIGNER_ASK_VOTE);
    struct hash message;
    vote.vote_kind = VOTE_NOTARIZE;
    vote.view = 9;
    vote.block_id.bytes[0] = 1;
    struct signer_answer first = answer_to(&signd, &vote);
    assert_int_equal(first.result, SIGNER_DONE);
    assert_int_equal(first.number, 77);
    assert_int_equal(first.view, 9);
    vote_message(&message, &chain, VOTE_NOTARIZE, 0, 9, &vote.block_id);
    assert_true(ed25519_verify(&first.signature, &key, &message));
    struct signer_answer again = answer_to(&signd, &vote);
    assert_memory_equal(&again.signature, &first.signature, SIGNATURE_SIZE);
    vote.block_id.bytes[0] = 2;
    assert_int_equal(answer_to(&signd, &vote).result, SIGNER_CONTRADICTS);
    vote.view = 10;
    vote.genesis.bytes[0] ^= 1;
    assert_int_equal(answer_to(&signd, &vote).result, SIGNER_OTHER_CHAIN);
    vote = request_for(SIGNER_ASK_VOTE); /* N for no block, view 0 */
    assert_int_equal(answer_to(&signd, &vote).result, SIGNER_MALFORMED);

    struct signer_request link = request_for(SIGNER_ASK_LINK);
    assert_int_equal(answer_to(&signd, &link).result, SIGNER_MALFORMED);
    link.link_role = HANDSHAKE_LISTENER;
    link.nonce[0] = 1;
    struct signer_answer linked = answer_to(&signd, &link);
    assert_int_equal(linked.result, SIGNER_DONE);
    signer_link_hash(&message, &link, &key);
    assert_true(ed25519_verify(&linked.signature, &key, &message));
    guard_close(signd.guard);
}

static void packets_of_all_kinds(void **state)
{
    (void)state;
    struct signd signd = {.seed = seed, .key = key, .guard = open_again(NULL)};
    struct test_random random = {11};
    struct signer_request good = request_for(SIGNER_ASK_STATE);
    uint8_t bytes[SIGNER_PACKET_MAX + 1];
    struct byte_writer writer;
    struct signer_answer answer;
    static const struct signature none;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&signer_request_record, &good, &writer);
    const size_t whole = writer.size;
    for (size_t size = 0; size <= sizeof bytes; size++) { /* cut short, and with more behind */
        assert_true(signd_answer(&signd, &answer, bytes_view_of(bytes, size), problem));
        assert_int_equal(answer.result, size == whole ? SIGNER_DONE : SIGNER_MALFORMED);
    }
    for (int turn = 0; turn < 20000; turn++) {
        test_random_bytes(&random, bytes, whole);
        if (turn % 2 == 0) { /* far enough for the fields behind */
            memcpy(bytes, (const uint8_t[]){0x46, 0x4c, 0x58, 0x53, 0, 1}, 6);
            bytes[6] = (uint8_t)test_random_below(&random, 5);
        }
        assert_true(signd_answer(&signd, &answer, bytes_view_of(bytes, whole), problem));
        if (answer.result != SIGNER_DONE)
            assert_memory_equal(&answer.signature, &none, sizeof none);
    }
    guard_close(signd.guard);
}

/* --- the socket ------------------------------------------------------------------------------ */

/* SIGTERM waits for whoever serves, so that it ends as soon as it listens. */
static bool serve_at(const char *path)
{
    sigset_t set;
    struct signd signd = {.socket = path, .seed = seed, .key = key, .guard = open_again(NULL)};
    assert_int_equal(sigemptyset(&set) | sigaddset(&set, SIGTERM), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(raise(SIGTERM), 0);
    const bool good = signd_serve(&signd, problem);
    const struct timespec now = {0, 0};
    (void)sigtimedwait(&set, NULL, &now);
    guard_close(signd.guard);
    return good;
}

static int bind_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void takes_a_dead_name_only(void **state)
{
    (void)state;
    char path[100], file[2 * TEMP_PATH_SIZE];
    snprintf(path, sizeof path, "%.80s/socket", home);
    int fd = bind_to(path);
    assert_int_equal(listen(fd, 1), 0);
    assert_false(serve_at(path)); /* somebody lives there */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(close(fd), 0); /* killed: the name stays */
    if (!serve_at(path))
        fail_msg("%s", problem);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(file, sizeof file, "%s/votes/state", home); /* a slip of the operator's */
    assert_false(serve_at(file));
    assert_int_equal(access(file, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(judges_as_who_forgets_nothing, start, finish),
        cmocka_unit_test_setup_teardown(old_segments_go, start, finish),
        cmocka_unit_test_setup_teardown(without_its_state_it_does_not_start, start, finish),
        cmocka_unit_test_setup_teardown(old_epochs_go, start, finish),
        cmocka_unit_test_setup_teardown(what_was_begun_is_discarded, start, finish),
        cmocka_unit_test_setup_teardown(a_flipped_byte_is_noticed, start, finish),
        cmocka_unit_test_setup_teardown(one_signer_at_a_time, start, finish),
        cmocka_unit_test_setup_teardown(takes_over_the_newest_journal, start, finish),
        cmocka_unit_test_setup_teardown(takes_over_any_epoch, start, finish),
        cmocka_unit_test_setup_teardown(takes_over_after_an_old_loss, start, finish),
        cmocka_unit_test_setup_teardown(takes_over_no_forgotten_votes, start, finish),
        cmocka_unit_test_setup_teardown(signs_votes_and_links_and_nothing_else, start, finish),
        cmocka_unit_test_setup_teardown(packets_of_all_kinds, start, finish),
        cmocka_unit_test_setup_teardown(takes_a_dead_name_only, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
