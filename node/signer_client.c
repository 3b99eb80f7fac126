/* The node's side of its signer (signer_client.h).
 *
 * Invariants:
 *  1. One question is under way at a time; `lock` is held from the question to its answer, so an answer
 *     always belongs to the question before it, and its number says so.
 *  2. A connection on which anything went wrong is closed, never used again: a late answer is not mistaken
 *     for the next one's.
 *  3. A signature is believed only if it verifies under the key of the configuration.
 *  4. The lock is never held longer than SIGNER_TIMEOUT_MS, and `changed` is called without it.
 *
 * Deliberately absent: more than one signer, and asking twice. The core asks again when it has a reason. */
#include "node/signer_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/clock.h"
#include "node/signer_protocol.h"

struct signer {
    char socket[SIGNER_PATH_MAX + 1];
    struct signer_config config;
    pthread_t keeper;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* under lock: closing, or the connection is gone */
    bool closing;
    int fd; /* under lock; -1: none */
    uint64_t number;
    uint32_t failures; /* in a row; a vote that was signed ends the row */
    _Atomic bool up;
};

static bool send_request(int fd, const struct signer_request *request)
{
    uint8_t bytes[SIGNER_PACKET_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&signer_request_record, request, &writer);
    MUST(!writer.failed);
    return send(fd, bytes, writer.size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)writer.size;
}

/* The answer to that very request; false if none has come in time, or another. */
static bool take_answer(int fd, struct signer_answer *answer, uint64_t number)
{
    uint8_t bytes[SIGNER_PACKET_MAX];
    const uint64_t deadline = node_clock_monotonic_ms() + SIGNER_TIMEOUT_MS;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready = 0;
    do {
        const uint64_t now = node_clock_monotonic_ms();
        ready = now < deadline ? poll(&wait, 1, (int)(deadline - now)) : 0;
    } while (ready < 0 && errno == EINTR);
    ssize_t size = ready == 1 ? recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) : -1;
    return size > 0 &&
           codec_decode_all(&signer_answer_record, answer, bytes_view_of(bytes, (size_t)size)) &&
           answer->magic == SIGNER_MAGIC && answer->number == number;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        const int code = errno;
        (void)close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static struct signer_request request_of(struct signer *signer, enum signer_request_kind kind)
{
    return (struct signer_request){.magic = SIGNER_MAGIC,
                                   .version = SIGNER_VERSION,
                                   .kind = (uint8_t)kind,
                                   .number = ++signer->number,
                                   .genesis = signer->config.genesis};
}

/* Under the lock. */
static void disconnect(struct signer *signer, const char *why)
{
    if (signer->fd >= 0)
        (void)close(signer->fd);
    signer->fd = -1;
    signer->failures++;
    if (atomic_exchange(&signer->up, false)) {
        metric_add(&signer->config.metrics->signer_losses, 1);
        log_line(LOG_UNUSUAL, "signer %s: %s -> this node casts no votes until it answers",
                 signer->socket, why);
    }
    MUST(pthread_cond_signal(&signer->wake) == 0);
}

/* Under the lock: one question and its answer. False: disconnected. */
static bool ask(struct signer *signer, struct signer_answer *answer,
                const struct signer_request *request)
{
    if (signer->fd < 0)
        return false;
    if (!send_request(signer->fd, request) || !take_answer(signer->fd, answer, request->number)) {
        disconnect(signer, "no answer in time, or the connection broke");
        return false;
    }
    if (!public_key_equal(&answer->key, &signer->config.key)) {
        disconnect(signer, "it holds another key than flexd.json says");
        return false;
    }
    return true;
}

bool signer_is_up(struct signer *signer)
{
    return atomic_load(&signer->up);
}

static void lock(struct signer *signer)
{
    MUST(pthread_mutex_lock(&signer->lock) == 0);
}

/* Tells of a loss that happened meanwhile. */
static void unlock(struct signer *signer, bool was_up)
{
    MUST(pthread_mutex_unlock(&signer->lock) == 0);
    if (was_up != signer_is_up(signer))
        signer->config.changed(signer->config.context);
}

/* What one vote cost, from the question to its answer, and what came of it. */
static enum bft_sign_result judge(struct signer *signer, struct vote *vote,
                                  const struct signer_answer *answer)
{
    struct hash message;
    if (answer->result != SIGNER_DONE) {
        metric_add(&signer->config.metrics->signer_refusals, 1);
        log_line(LOG_UNUSUAL,
                 "signer refuses to %s in view %llu: %s (it has signed up to epoch "
                 "%llu, view %llu) -> not voted",
                 vote_kind_names[vote->kind], (unsigned long long)vote->view,
                 signer_result_names[answer->result], (unsigned long long)answer->epoch,
                 (unsigned long long)answer->view);
        return BFT_SIGN_REFUSED;
    }
    vote_message(&message, &signer->config.genesis, vote->kind, vote->epoch, vote->view,
                 &vote->block_id);
    if (!ed25519_verify(&answer->signature, &signer->config.key, &message)) {
        disconnect(signer, "its signature is not one of its key");
        return BFT_SIGN_AWAY;
    }
    vote->signature = answer->signature;
    signer->failures = 0;
    metric_add(&signer->config.metrics->signer_votes, 1);
    return BFT_SIGNED;
}

enum bft_sign_result signer_sign_vote(void *context, struct vote *vote)
{
    struct signer *signer = context;
    struct signer_answer answer;
    MUST(vote->kind < VOTE_KIND_COUNT);
    if (!signer_is_up(signer))
        return BFT_SIGN_AWAY;
    const uint64_t started_us = node_clock_monotonic_us();
    lock(signer);
    struct signer_request request = request_of(signer, SIGNER_ASK_VOTE);
    request.vote_kind = vote->kind;
    request.signer = vote->signer;
    request.epoch = vote->epoch;
    request.view = vote->view;
    request.block_id = vote->block_id;
    enum bft_sign_result result = BFT_SIGN_AWAY;
    if (ask(signer, &answer, &request))
        result = judge(signer, vote, &answer);
    metric_add(&signer->config.metrics->signer_wait_us, node_clock_monotonic_us() - started_us);
    unlock(signer, true);
    return result;
}

bool signer_sign_link(void *context, struct signature *out, const struct handshake_hello *ours,
                      const struct handshake_hello *theirs)
{
    struct signer *signer = context;
    struct signer_answer answer;
    struct hash hash;
    if (!signer_is_up(signer))
        return false;
    lock(signer);
    struct signer_request request = request_of(signer, SIGNER_ASK_LINK);
    request.link_role = ours->role;
    request.peer_key = theirs->key;
    memcpy(request.nonce, ours->nonce, sizeof request.nonce);
    memcpy(request.peer_nonce, theirs->nonce, sizeof request.peer_nonce);
    bool done = ask(signer, &answer, &request) && answer.result == SIGNER_DONE;
    if (done) {
        handshake_proof_hash(&hash, ours, theirs);
        done = ed25519_verify(&answer.signature, &signer->config.key, &hash);
        *out = answer.signature;
        if (!done)
            disconnect(signer, "its proof of a link is not one of its key");
    }
    unlock(signer, true);
    return done;
}

/* --- the thread that keeps the connection ---------------------------------------------------- */

/* Under the lock. */
static void reconnect(struct signer *signer)
{
    struct signer_answer answer;
    signer->fd = connect_to(signer->socket);
    if (signer->fd < 0) {
        const int code = errno;
        signer->failures++;
        /* The first, second, fourth, eighth ... in a row, so that a signer that is away fills no log. */
        if ((signer->failures & (signer->failures - 1)) == 0)
            log_line(LOG_UNUSUAL, "signer %s: %s -> failure %u, trying again", signer->socket,
                     strerror(code), signer->failures);
        return;
    }
    struct signer_request request = request_of(signer, SIGNER_ASK_STATE);
    const uint32_t failures = signer->failures;
    if (!ask(signer, &answer, &request)) {
        if ((signer->failures & (signer->failures - 1)) == 0)
            log_line(LOG_UNUSUAL,
                     "signer %s: connected, but no answer, or another key's -> failure %u",
                     signer->socket, signer->failures);
        return;
    }
    if (answer.result != SIGNER_DONE) {
        disconnect(signer, "it signs for another chain, or speaks another version");
        if ((failures & (failures + 1)) == 0)
            log_line(LOG_UNUSUAL, "signer %s: %s -> not used", signer->socket,
                     signer_result_names[answer.result]);
        return;
    }
    atomic_store(&signer->up, true);
    log_line(LOG_INFO, "signer %s: has signed up to epoch %llu, view %llu -> votes are its to sign",
             signer->socket, (unsigned long long)answer.epoch, (unsigned long long)answer.view);
}

static uint64_t pause_ms(const struct signer *signer)
{
    uint64_t pause = SIGNER_BACKOFF_MS_MIN;
    if (signer->fd >= 0)
        return SIGNER_ASK_STATE_MS;
    for (uint32_t i = 0; i < signer->failures && pause < SIGNER_BACKOFF_MS_MAX; i++)
        pause *= 2;
    return pause < SIGNER_BACKOFF_MS_MAX ? pause : SIGNER_BACKOFF_MS_MAX;
}

/* Under the lock: sleeps until it is time to look again. A loss wakes it, and then the backoff begins. */
static void rest(struct signer *signer)
{
    const bool connected = signer->fd >= 0;
    const uint64_t until = node_clock_monotonic_ms() + pause_ms(signer);
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000),
                                .tv_nsec = (long)(until % 1000) * 1000000L};
    int code = 0;
    while (!signer->closing && code != ETIMEDOUT && connected == (signer->fd >= 0))
        code = pthread_cond_timedwait(&signer->wake, &signer->lock, &deadline);
}

static void *keep(void *context)
{
    (void)pthread_setname_np(pthread_self(), "flexd-signer");
    struct signer *signer = context;
    lock(signer);
    while (!signer->closing) {
        const bool was_up = signer_is_up(signer);
        if (signer->fd < 0) {
            reconnect(signer);
        } else {
            struct signer_answer answer;
            struct signer_request request = request_of(signer, SIGNER_ASK_STATE);
            (void)ask(signer, &answer, &request);
        }
        unlock(signer, was_up);
        lock(signer);
        rest(signer);
    }
    MUST(pthread_mutex_unlock(&signer->lock) == 0);
    return NULL;
}

static bool init_locks(struct signer *signer)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&signer->wake, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return good && pthread_mutex_init(&signer->lock, NULL) == 0;
}

struct signer *signer_open(const struct signer_config *config)
{
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return NULL;
    signer->config = *config;
    snprintf(signer->socket, sizeof signer->socket, "%s", config->socket);
    signer->config.socket = signer->socket;
    signer->fd = -1;
    if (!init_locks(signer) || pthread_create(&signer->keeper, NULL, keep, signer) != 0) {
        free(signer);
        return NULL;
    }
    return signer;
}

void signer_close(struct signer *signer)
{
    lock(signer);
    signer->closing = true;
    MUST(pthread_cond_signal(&signer->wake) == 0);
    MUST(pthread_mutex_unlock(&signer->lock) == 0);
    MUST(pthread_join(signer->keeper, NULL) == 0);
    if (signer->fd >= 0)
        (void)close(signer->fd);
    (void)pthread_cond_destroy(&signer->wake);
    (void)pthread_mutex_destroy(&signer->lock);
    free(signer);
}

bool signer_ask_state(struct public_key *key, uint64_t *epoch, uint64_t *view, const char *socket,
                      char problem[160])
{
    struct signer_answer answer;
    struct signer_request request = {
        .magic = SIGNER_MAGIC, .version = SIGNER_VERSION, .kind = SIGNER_ASK_STATE, .number = 1};
    int fd = connect_to(socket);
    if (fd < 0) {
        snprintf(problem, 160, "%.100s: %.50s", socket, strerror(errno));
        return false;
    }
    bool good = send_request(fd, &request) && take_answer(fd, &answer, request.number);
    (void)close(fd);
    if (!good) {
        snprintf(problem, 160, "%.100s: no answer", socket);
        return false;
    }
    *key = answer.key;
    *epoch = answer.epoch;
    *view = answer.view;
    return true;
}
