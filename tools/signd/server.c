/* The signer's loop: one thread, a listening socket, a handful of clients, one answer per packet.
 *
 * Invariants:
 *  1. Who asks is known by the kernel (SO_PEERCRED) before its first packet is read: the signer's own
 *     user or the node's; everybody else's connection is closed unread.
 *  2. No client can make the signer wait: sockets don't block, and an answer that finds no room ends its
 *     client's connection.
 *  3. A signature is made after guard_judge and sent after guard_note: what is sent is on disk.
 *
 * Deliberately absent: threads, TCP, and any request that has bytes signed which the signer has not put
 * together itself. */
#include "tools/signd/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/service.h"

/* --- requests -------------------------------------------------------------------------------- */

static bool answer_vote(struct signd *signd, struct signer_answer *answer,
                        const struct signer_request *request, char problem[NODE_PROBLEM_SIZE])
{
    struct vote vote = {.kind = request->vote_kind,
                        .epoch = request->epoch,
                        .view = request->view,
                        .block_id = request->block_id,
                        .signer = request->signer};
    struct hash message;
    bool known = false;
    answer->result = guard_judge(signd->guard, &request->genesis, &vote, &known);
    if (answer->result != SIGNER_DONE) {
        log_line(LOG_UNUSUAL, "asked to %s in epoch %llu, view %llu: %s -> refused",
                 vote.kind < VOTE_KIND_COUNT ? vote_kind_names[vote.kind] : "?",
                 (unsigned long long)vote.epoch, (unsigned long long)vote.view,
                 signer_result_names[answer->result]);
        return true;
    }
    vote_message(&message, &request->genesis, vote.kind, vote.epoch, vote.view, &vote.block_id);
    ed25519_sign(&vote.signature, &signd->seed, &message);
    if (!known && !guard_note(signd->guard, &request->genesis, &vote, problem))
        return false;
    answer->signature = vote.signature;
    return true;
}

static void answer_link(const struct signd *signd, struct signer_answer *answer,
                        const struct signer_request *request)
{
    struct hash hash;
    if (request->link_role != HANDSHAKE_DIALLER && request->link_role != HANDSHAKE_LISTENER) {
        answer->result = SIGNER_MALFORMED;
        return;
    }
    signer_link_hash(&hash, request, &signd->key);
    ed25519_sign(&answer->signature, &signd->seed, &hash);
}

/* Whether this signer's key works for the node that asks; a zero genesis asks for nothing. */
static enum signer_result judge_chain(const struct signd *signd, const struct hash *genesis)
{
    static const struct hash none;
    const struct hash *own = guard_genesis(signd->guard);
    return hash_equal(own, &none) || hash_equal(genesis, &none) || hash_equal(own, genesis)
               ? SIGNER_DONE
               : SIGNER_OTHER_CHAIN;
}

bool signd_answer(struct signd *signd, struct signer_answer *answer, struct bytes_view packet,
                  char problem[NODE_PROBLEM_SIZE])
{
    struct signer_request request;
    bool good = true;
    *answer = (struct signer_answer){.magic = SIGNER_MAGIC, .key = signd->key};
    if (!codec_decode_all(&signer_request_record, &request, packet) ||
        request.magic != SIGNER_MAGIC || request.version != SIGNER_VERSION) {
        answer->result = SIGNER_MALFORMED;
    } else {
        answer->number = request.number;
        answer->result = judge_chain(signd, &request.genesis);
        if (answer->result == SIGNER_DONE && request.kind == SIGNER_ASK_VOTE)
            good = answer_vote(signd, answer, &request, problem);
        else if (answer->result == SIGNER_DONE && request.kind == SIGNER_ASK_LINK)
            answer_link(signd, answer, &request);
    }
    guard_watermark(signd->guard, &answer->epoch, &answer->view);
    return good;
}

/* --- the socket ------------------------------------------------------------------------------ */

/* Takes away the name that a dead signer has left: never a file of another kind, nor a name on which somebody
 * answers. False with the reason. */
static bool clear_name(const struct sockaddr_un *address, char problem[NODE_PROBLEM_SIZE])
{
    struct stat status;
    const char *path = address->sun_path;
    if (lstat(path, &status) != 0)
        return true; /* bind will say what else is wrong */
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.150s: is there, and no socket", path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool dead = fd >= 0 &&
                      connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                      errno == ECONNREFUSED;
    if (fd >= 0)
        (void)close(fd);
    if (!dead) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.150s: another process listens there", path);
        return false;
    }
    (void)unlink(path);
    return true;
}

static int listen_on(const char *path, char problem[NODE_PROBLEM_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(problem, NODE_PROBLEM_SIZE, "--socket: at most %zu characters",
                 sizeof address.sun_path - 1);
        return -1;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (!clear_name(&address, problem))
        return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = umask(0117); /* the user and the group, from the first moment on */
    bool good = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                listen(fd, SIGND_CLIENTS_MAX) == 0;
    const int code = errno;
    (void)umask(before);
    if (good)
        return fd;
    snprintf(problem, NODE_PROBLEM_SIZE, "%.150s: %.60s", path, strerror(code));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool may_ask(const struct signd *signd, int client)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || size != sizeof who)
        return false;
    if (who.uid == geteuid() || who.uid == signd->node_user)
        return true;
    log_line(LOG_UNUSUAL, "connection of user %u, process %d -> closed unread", (unsigned)who.uid,
             (int)who.pid);
    return false;
}

/* False: the process must end. *stays: the client's connection does. */
static bool serve_packet(struct signd *signd, int client, bool *stays,
                         char problem[NODE_PROBLEM_SIZE])
{
    uint8_t in[SIGNER_PACKET_MAX + 1], out[SIGNER_PACKET_MAX];
    struct signer_answer answer;
    struct byte_writer writer;
    ssize_t size = recv(client, in, sizeof in, MSG_DONTWAIT);
    *stays = size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
    if (size <= 0)
        return true;
    if (!signd_answer(signd, &answer, bytes_view_of(in, (size_t)size), problem))
        return false;
    byte_writer_init(&writer, out, sizeof out);
    codec_encode(&signer_answer_record, &answer, &writer);
    MUST(!writer.failed);
    *stays = send(client, out, writer.size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)writer.size;
    return true;
}

struct loop {
    struct signd *signd;
    /* 0: signals, 1: the listening socket, then clients. */
    struct pollfd fds[2 + SIGND_CLIENTS_MAX];
    nfds_t count;
};

static void take_client(struct loop *loop)
{
    int client = accept4(loop->fds[1].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    if (!may_ask(loop->signd, client)) {
        (void)close(client);
        return;
    }
    if (loop->count == 2 + SIGND_CLIENTS_MAX) {
        /* The oldest gives way: a node that has just started must get in. */
        (void)close(loop->fds[2].fd);
        memmove(&loop->fds[2], &loop->fds[3], (SIGND_CLIENTS_MAX - 1) * sizeof loop->fds[0]);
        loop->count--;
    }
    loop->fds[loop->count++] = (struct pollfd){.fd = client, .events = POLLIN};
}

static bool serve_clients(struct loop *loop, char problem[NODE_PROBLEM_SIZE])
{
    nfds_t kept = 2;
    for (nfds_t i = 2; i < loop->count; i++) {
        bool stays = true;
        if (loop->fds[i].revents != 0 &&
            !serve_packet(loop->signd, loop->fds[i].fd, &stays, problem))
            return false; /* every descriptor goes with the process */
        if (stays)
            loop->fds[kept++] = loop->fds[i];
        else
            (void)close(loop->fds[i].fd);
    }
    loop->count = kept;
    return true;
}

static int block_signals(void)
{
    sigset_t signals;
    MUST(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
         sigaddset(&signals, SIGINT) == 0);
    MUST(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool run(struct loop *loop, char problem[NODE_PROBLEM_SIZE])
{
    for (;;) {
        if (poll(loop->fds, loop->count, -1) < 0 && errno != EINTR) {
            snprintf(problem, NODE_PROBLEM_SIZE, "waiting for requests: %s", strerror(errno));
            return false;
        }
        if (loop->fds[0].revents != 0)
            return true;
        if (!serve_clients(loop, problem))
            return false;
        if (loop->fds[1].revents != 0)
            take_client(loop);
    }
}

bool signd_serve(struct signd *signd, char problem[NODE_PROBLEM_SIZE])
{
    struct loop loop = {.signd = signd, .count = 2};
    struct service service;
    loop.fds[0] = (struct pollfd){.fd = block_signals(), .events = POLLIN};
    loop.fds[1] = (struct pollfd){.fd = listen_on(signd->socket, problem), .events = POLLIN};
    bool good = loop.fds[0].fd >= 0 && loop.fds[1].fd >= 0;
    if (loop.fds[0].fd < 0)
        snprintf(problem, NODE_PROBLEM_SIZE, "signals can't be waited for: %s", strerror(errno));
    if (good) {
        uint64_t epoch, view;
        guard_watermark(signd->guard, &epoch, &view);
        log_line(LOG_INFO, "flexsignd on %s, signed up to epoch %llu, view %llu", signd->socket,
                 (unsigned long long)epoch, (unsigned long long)view);
        service_open(&service, getpid());
        service_ready(&service, view);
        good = run(&loop, problem);
        service_stopping(&service);
        (void)unlink(signd->socket);
    }
    for (nfds_t i = 0; i < loop.count; i++) {
        if (loop.fds[i].fd >= 0)
            (void)close(loop.fds[i].fd);
    }
    return good;
}
