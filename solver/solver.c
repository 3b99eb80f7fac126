/* The caller's side of a solver (solver/solver.h): starts flexsolve at the other end of a socket
 * pair, feeds it the problem, and takes frames until its time is over.
 *
 * Invariants: 1. nothing here blocks for longer than the caller says. 2. After an event that ends
 * it the worker has been killed and reaped, so no process outlives its handle. 3. A frame that is
 * no answer to this problem ends the worker, as no more of it can be believed.
 *
 * Deliberately absent: threads, GLPK, any judgement of a solution. */
#include "solver/solver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "solver/frame.h"

struct solver {
    struct coupled_problem problem; /* its counts; tables are the caller's and not looked at */
    int socket;
    pid_t process;
    int64_t deadline_ms;
    enum solver_event ended; /* SOLVER_NOTHING while it goes on */
    uint8_t *output;         /* the problem's frame */
    size_t output_size;
    size_t output_at;
    uint8_t head[FRAME_HEAD_BYTES];
    uint8_t *input; /* room for a solution's body */
    size_t input_size;
    size_t input_at; /* of head and body together */
};

static int64_t now_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) {
        fatal_system("clock_gettime", errno);
    }
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The path of flexsolve in the folder of the running program. */
static bool beside(char *path, size_t size)
{
    static const char name[] = "flexsolve";
    ssize_t length = readlink("/proc/self/exe", path, size - sizeof name);
    if (length <= 0) {
        return false;
    }
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    memcpy(slash + 1, name, sizeof name);
    return true;
}

static bool spawn_worker(struct solver *solver, const char *program, uint32_t memory_mb,
                         uint32_t window_ms, int other)
{
    char memory[16], seconds[16];
    posix_spawn_file_actions_t actions;
    (void)snprintf(memory, sizeof memory, "%u", memory_mb);
    (void)snprintf(seconds, sizeof seconds, "%u", window_ms / 1000 + 2);
    char *arguments[] = {(char *)(uintptr_t)program, memory, seconds, NULL};
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return false;
    }
    bool good = posix_spawn_file_actions_adddup2(&actions, other, 0) == 0 &&
                posix_spawn_file_actions_adddup2(&actions, other, 1) == 0 &&
                posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) == 0 &&
                posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0 &&
                posix_spawn(&solver->process, program, &actions, NULL, arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return good;
}

static bool build_frame(struct solver *solver, const struct coupled_problem *problem,
                        uint32_t window_ms)
{
    size_t body = frame_problem_bytes(problem);
    solver->input_size = frame_solution_bytes(problem);
    if (body > FRAME_BODY_BYTES_MAX || solver->input_size > FRAME_BODY_BYTES_MAX) {
        return false;
    }
    solver->output_size = FRAME_HEAD_BYTES + body;
    solver->output = malloc(solver->output_size);
    solver->input = malloc(solver->input_size);
    if (solver->output == NULL || solver->input == NULL) {
        return false;
    }
    struct byte_writer writer;
    frame_write_head(solver->output, FRAME_PROBLEM, (uint32_t)body);
    byte_writer_init(&writer, solver->output + FRAME_HEAD_BYTES, body);
    frame_write_problem(&writer, problem, window_ms);
    MUST(!writer.failed && writer.size == body);
    return true;
}

struct solver *solver_start(const struct coupled_problem *problem,
                            const struct solver_options *options, const char **why)
{
    char path[4096];
    int ends[2];
    uint32_t memory = options->memory_mb == 0 ? SOLVER_MEMORY_MB_DEFAULT : options->memory_mb;
    const char *program = options->program;
    MUST(options->window_ms > 0 && options->window_ms <= SOLVER_WINDOW_MS_MAX);
    MUST(memory >= SOLVER_MEMORY_MB_MIN);
    if (program == NULL) {
        program = beside(path, sizeof path) ? path : "";
    }
    if (access(program, X_OK) != 0) {
        *why = "there is no program flexsolve beside this one";
        return NULL;
    }
    struct solver *solver = calloc(1, sizeof *solver);
    if (solver == NULL || !build_frame(solver, problem, options->window_ms) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        *why = "no memory or descriptor for a solver";
        if (solver != NULL) {
            free(solver->output);
            free(solver->input);
        }
        free(solver);
        return NULL;
    }
    solver->problem = *problem;
    solver->socket = ends[0];
    solver->deadline_ms = now_ms() + options->window_ms + SOLVER_GRACE_MS;
    bool started = fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 &&
                   spawn_worker(solver, program, memory, options->window_ms, ends[1]);
    close(ends[1]);
    if (!started) {
        *why = "the program flexsolve does not start";
        solver->process = 0;
        solver_stop(solver);
        return NULL;
    }
    return solver;
}

static enum solver_event end_solver(struct solver *solver, enum solver_event event)
{
    if (solver->process > 0) {
        (void)kill(solver->process, SIGKILL);
        while (waitpid(solver->process, NULL, 0) < 0 && errno == EINTR) {
        }
        solver->process = 0;
    }
    solver->ended = event;
    return event;
}

/* Sends what the socket takes. False if the worker is gone. */
static bool feed(struct solver *solver)
{
    while (solver->output_at < solver->output_size) {
        ssize_t sent = send(solver->socket, solver->output + solver->output_at,
                            solver->output_size - solver->output_at, MSG_NOSIGNAL);
        if (sent <= 0) {
            return sent < 0 && (errno == EAGAIN || errno == EINTR);
        }
        solver->output_at += (size_t)sent;
    }
    return true;
}

/* Reads up to `size` bytes; 0: none there now; -1: no more will come. */
static ssize_t take(struct solver *solver, uint8_t *bytes, size_t size)
{
    ssize_t got = recv(solver->socket, bytes, size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    return got <= 0 ? -1 : got;
}

/* One whole frame, if it is there: an event, or SOLVER_NOTHING. */
static enum solver_event take_frame(struct solver *solver, struct coupled_draft *out)
{
    uint8_t type;
    uint32_t size;
    for (;;) {
        ssize_t got;
        if (solver->input_at < FRAME_HEAD_BYTES) {
            got =
                take(solver, solver->head + solver->input_at, FRAME_HEAD_BYTES - solver->input_at);
            size = 1;
        } else {
            if (!frame_read_head(solver->head, &type, &size) || type == FRAME_PROBLEM ||
                size != (type == FRAME_END ? 1 : solver->input_size)) {
                return end_solver(solver, SOLVER_BROKEN);
            }
            size_t have = solver->input_at - FRAME_HEAD_BYTES;
            if (have == size) {
                break;
            }
            got = take(solver, solver->input + have, size - have);
        }
        if (got <= 0) {
            return got == 0 ? SOLVER_NOTHING : end_solver(solver, SOLVER_DIED);
        }
        solver->input_at += (size_t)got;
    }
    solver->input_at = 0;
    if (type == FRAME_END) {
        uint8_t reason = solver->input[0];
        return end_solver(solver, reason == FRAME_END_DONE         ? SOLVER_DONE
                                  : reason == FRAME_END_INFEASIBLE ? SOLVER_INFEASIBLE
                                                                   : SOLVER_BROKEN);
    }
    return frame_read_solution(out, &solver->problem, solver->input, size)
               ? SOLVER_SOLUTION
               : end_solver(solver, SOLVER_BROKEN);
}

enum solver_event solver_wait(struct solver *solver, struct coupled_draft *out, uint32_t timeout_ms)
{
    int64_t until = now_ms() + timeout_ms;
    until = until < solver->deadline_ms ? until : solver->deadline_ms;
    if (solver->ended != SOLVER_NOTHING) {
        return solver->ended;
    }
    for (;;) {
        /* First of all: of a worker that floods there is always one more answer. */
        if (now_ms() >= solver->deadline_ms) {
            return end_solver(solver, SOLVER_TIMED_OUT);
        }
        bool sending = solver->output_at < solver->output_size;
        if (sending && !feed(solver)) {
            return end_solver(solver, SOLVER_DIED);
        }
        enum solver_event event = take_frame(solver, out);
        if (event != SOLVER_NOTHING) {
            return event;
        }
        int64_t now = now_ms();
        if (now >= until && until < solver->deadline_ms) {
            return SOLVER_NOTHING;
        }
        sending = solver->output_at < solver->output_size;
        struct pollfd ready = {solver->socket, (short)(POLLIN | (sending ? POLLOUT : 0)), 0};
        if (poll(&ready, 1, now < until ? (int)(until - now) : 0) < 0 && errno != EINTR) {
            fatal_system("poll", errno);
        }
    }
}

int solver_descriptor(const struct solver *solver)
{
    return solver->socket;
}

int solver_process(const struct solver *solver)
{
    return solver->process;
}

void solver_stop(struct solver *solver)
{
    if (solver == NULL) {
        return;
    }
    (void)end_solver(solver, SOLVER_DIED);
    close(solver->socket);
    free(solver->output);
    free(solver->input);
    free(solver);
}
