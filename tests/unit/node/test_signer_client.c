/* The node's side of its signer (node/signer_client.h) against signers that misbehave: one that is silent, answers
 * with somebody else's signature, key or number, or with rubbish, or hangs up. What comes back is a signature
 * that verifies, or AWAY; and after each loss the next honest answer counts again. Run under TSan too: several
 * threads ask while the signer comes and goes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/signer_client.h"
#include "node/signer_protocol.h"
#include "tests/lib/temp_dir.h"

enum fault { HONEST, SILENT, OTHER_KEY, OTHER_SIGNATURE, OTHER_NUMBER, RUBBISH, HANGS_UP, FAULTS };
enum { ASKERS = 3, VOTES_EACH = 200, WAIT_MS = 30000, ATTEMPTS_MAX = 20 };

static const struct hash chain = {{1, 2, 3}};
static struct secret_key seed = {{7, 5, 3}};
static struct public_key key;

/* What the signer does with votes and links; it says its state honestly, so that it is believed again. */
static _Atomic int behaviour;
static _Atomic bool ends;
static _Atomic int news;
static char directory[TEMP_PATH_SIZE], path[SIGNER_PATH_MAX + 1];
static pthread_t server;
static struct node_metrics metrics;

/* --- a signer -------------------------------------------------------------------------------- */

static void sign(struct signer_answer *answer, const struct signer_request *request)
{
    struct hash hash;
    answer->key = key;
    if (request->kind == SIGNER_ASK_STATE)
        return;
    if (request->kind == SIGNER_ASK_VOTE)
        vote_message(&hash, &request->genesis, request->vote_kind, request->epoch, request->view,
                     &request->block_id);
    else
        signer_link_hash(&hash, request, &key);
    ed25519_sign(&answer->signature, &seed, &hash);
}

/* False: the connection is to be closed. */
static bool answer_one(int client)
{
    uint8_t bytes[SIGNER_PACKET_MAX];
    struct signer_request request;
    struct signer_answer answer = {.magic = SIGNER_MAGIC};
    struct byte_writer writer;
    const ssize_t size = recv(client, bytes, sizeof bytes, 0);
    if (size <= 0)
        return false;
    if (!codec_decode_all(&signer_request_record, &request, bytes_view_of(bytes, (size_t)size)))
        return false;
    const enum fault fault =
        request.kind == SIGNER_ASK_STATE ? HONEST : (enum fault)atomic_load(&behaviour);
    if (fault == SILENT)
        return true;
    if (fault == HANGS_UP)
        return false;
    answer.number = request.number + (fault == OTHER_NUMBER ? 1 : 0);
    sign(&answer, &request);
    if (fault == OTHER_KEY)
        answer.key.bytes[0] ^= 1;
    if (fault == OTHER_SIGNATURE)
        answer.signature.bytes[0] ^= 1;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&signer_answer_record, &answer, &writer);
    if (fault == RUBBISH)
        writer.size--;
    return send(client, bytes, writer.size, MSG_NOSIGNAL) == (ssize_t)writer.size;
}

static void *serve(void *context)
{
    const int listener = *(int *)context;
    while (!atomic_load(&ends)) {
        const int client = accept(listener, NULL, NULL);
        if (client < 0)
            continue; /* its timeout: is it the end? */
        while (!atomic_load(&ends) && answer_one(client)) {
        }
        (void)close(client);
    }
    return NULL;
}

static int listener;

static int start(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval turn = {.tv_usec = 50000};
    (void)state;
    if (!crypto_init())
        return -1;
    ed25519_public_key(&key, &seed);
    temp_dir_make(directory);
    snprintf(path, sizeof path, "%.90s/socket", directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    atomic_store(&behaviour, HONEST);
    atomic_store(&ends, false);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return listener >= 0 &&
                   setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof turn) == 0 &&
                   bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(listener, 8) == 0 && pthread_create(&server, NULL, serve, &listener) == 0
               ? 0
               : -1;
}

/* After the client is closed, so that the signer waits for nobody. */
static int finish(void **state)
{
    (void)state;
    atomic_store(&ends, true);
    if (pthread_join(server, NULL) != 0 || close(listener) != 0)
        return -1;
    temp_dir_remove(directory);
    return 0;
}

/* --- its client ------------------------------------------------------------------------------ */

static void note_change(void *context)
{
    (void)context;
    atomic_fetch_add(&news, 1);
}

static struct signer *open_client(void)
{
    const struct signer_config config = {
        .socket = path, .genesis = chain, .key = key, .metrics = &metrics, .changed = note_change};
    struct signer *signer = signer_open(&config);
    assert_non_null(signer);
    return signer;
}

static bool becomes(struct signer *signer, bool up)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < WAIT_MS / 2 && signer_is_up(signer) != up; i++)
        (void)nanosleep(&pause, NULL);
    return signer_is_up(signer) == up;
}

static enum bft_sign_result vote_in(struct signer *signer, uint64_t view)
{
    struct hash message;
    struct vote vote = {.kind = VOTE_NULLIFY, .view = view};
    const enum bft_sign_result result = signer_sign_vote(signer, &vote);
    if (result == BFT_SIGNED) {
        vote_message(&message, &chain, vote.kind, vote.epoch, vote.view, &vote.block_id);
        if (!ed25519_verify(&vote.signature, &key, &message))
            abort(); /* askers' threads can't fail a test in another way */
    }
    return result;
}

/* The loop is told of a loss, or of the return that has overtaken it, by whichever thread comes to it. */
static bool heard_since(int before)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < WAIT_MS / 2 && atomic_load(&news) <= before; i++)
        (void)nanosleep(&pause, NULL);
    return atomic_load(&news) > before;
}

/* On a machine that is busy elsewhere an honest answer may come too late as well. */
static bool signs(struct signer *signer, uint64_t view)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (becomes(signer, true) && vote_in(signer, view) == BFT_SIGNED)
            return true;
    }
    return false;
}

static void every_fault_is_a_loss_and_is_over(void **state)
{
    (void)state;
    struct signer *signer = open_client();
    uint64_t view = 1;
    for (int fault = SILENT; fault < FAULTS; fault++) {
        atomic_store(&behaviour, HONEST);
        assert_true(signs(signer, view++));
        const int before = atomic_load(&news);
        atomic_store(&behaviour, fault);
        assert_int_equal(vote_in(signer, view), BFT_SIGN_AWAY);
        assert_true(heard_since(before));
    }
    atomic_store(&behaviour, HONEST);
    assert_true(signs(signer, view));
    signer_close(signer);
}

static void a_false_proof_of_a_link_is_none(void **state)
{
    (void)state;
    struct handshake_hello ours = {.role = HANDSHAKE_DIALLER, .genesis = chain, .key = key};
    struct handshake_hello theirs = {.role = HANDSHAKE_LISTENER, .genesis = chain};
    struct signature signature;
    struct hash hash;
    struct signer *signer = open_client();
    assert_true(becomes(signer, true));
    assert_true(signer_sign_link(signer, &signature, &ours, &theirs));
    handshake_proof_hash(&hash, &ours, &theirs);
    assert_true(ed25519_verify(&signature, &key, &hash));
    for (int fault = SILENT; fault < FAULTS; fault++) {
        assert_true(becomes(signer, true));
        const int before = atomic_load(&news);
        atomic_store(&behaviour, fault);
        assert_false(signer_sign_link(signer, &signature, &ours, &theirs));
        assert_true(heard_since(before));
        atomic_store(&behaviour, HONEST);
    }
    signer_close(signer);
}

/* --- many at once ---------------------------------------------------------------------------- */

struct asker {
    struct signer *signer;
    uint64_t first_view;
    uint32_t given;
};

static void *ask_on(void *context)
{
    struct asker *asker = context;
    for (uint64_t i = 0; i < VOTES_EACH; i++) {
        const enum bft_sign_result result = vote_in(asker->signer, asker->first_view + i);
        asker->given += result == BFT_SIGNED ? 1 : 0;
        if (result != BFT_SIGNED)
            (void)becomes(asker->signer, true);
    }
    return NULL;
}

static void askers_never_get_anothers_answer(void **state)
{
    (void)state;
    struct signer *signer = open_client();
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];
    const struct timespec pause = {.tv_nsec = 5000000};
    uint32_t given = 0;
    assert_true(becomes(signer, true));
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.signer = signer, .first_view = 1 + 1000 * (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &askers[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        atomic_store(&behaviour, i % 2 == 0 ? HANGS_UP : OTHER_NUMBER);
        (void)nanosleep(&pause, NULL);
        atomic_store(&behaviour, HONEST);
        (void)nanosleep(&pause, NULL);
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        given += askers[i].given;
    }
    assert_true(given > ASKERS * VOTES_EACH / 2);
    signer_close(signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_fault_is_a_loss_and_is_over, start, finish),
        cmocka_unit_test_setup_teardown(a_false_proof_of_a_link_is_none, start, finish),
        cmocka_unit_test_setup_teardown(askers_never_get_anothers_answer, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
