/* Processes of a devnet (tools/devnet.h).
 *
 * Invariants: a signal is only ever sent to a process whose command line says that it is flexd on
 * that very home, so a stale pid file can't hit a stranger; a node is started in a session of its
 * own with its log as output, so it outlives this program and the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/client.h"
#include "tools/devnet.h"
#include "tools/wait.h"

enum {
    COMMAND_LINE_MAX = 4096,
    LOG_TAIL_BYTES = 2048,
    READY_ANSWER_MS = 1000,
    ARGUMENTS_MAX = 160,
    START_ATTEMPTS = 3
};

/* $FLEXD, or the flexd beside this program. */
static bool flexd_path(char out[FILES_PATH_SIZE])
{
    const char *given = getenv("FLEXD");
    if (given != NULL && given[0] != '\0') {
        return snprintf(out, FILES_PATH_SIZE, "%s", given) < FILES_PATH_SIZE;
    }
    char self[FILES_PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return false;
    }
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return files_join(out, self, "flexd");
}

/* In the child: never returns. */
static _Noreturn void become_flexd(const char *path, const char *const *arguments, int input,
                                   int output, int errors)
{
    char *list[ARGUMENTS_MAX];
    size_t count = 0;
    list[count++] = (char *)(uintptr_t) "flexd";
    while (*arguments != NULL && count < ARGUMENTS_MAX - 1) {
        list[count++] = (char *)(uintptr_t)*arguments++;
    }
    list[count] = NULL;
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || *arguments != NULL) {
        _exit(126);
    }
    close_range(STDERR_FILENO + 1, ~0u, 0);
    execv(path, list);
    _exit(127);
}

static void read_output(int descriptor, char *output, size_t size)
{
    size_t used = 0;
    char rest[512];
    for (;;) {
        bool full = used + 1 >= size;
        ssize_t got = full ? read(descriptor, rest, sizeof rest)
                           : read(descriptor, output + used, size - used - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += full ? 0 : (size_t)got;
    }
    output[used] = '\0';
}

int devnet_flexd(struct cli *cli, char *output, size_t size, const char *const *arguments)
{
    char path[FILES_PATH_SIZE];
    int ends[2];
    output[0] = '\0';
    if (!flexd_path(path) || access(path, X_OK) != 0) {
        return cli_fail(cli, CLI_USAGE, "no_flexd", "%s: %s (FLEXD names another)", path,
                        strerror(errno));
    }
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        return cli_fail(cli, CLI_USAGE, "no_process", "%s", strerror(errno));
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        become_flexd(path, arguments, nothing, ends[1], STDERR_FILENO);
    }
    close(ends[1]);
    close(nothing);
    if (child > 0) {
        read_output(ends[0], output, size);
    }
    close(ends[0]);
    int state = 0;
    while (child > 0 && waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || !WIFEXITED(state) || WEXITSTATUS(state) != 0) {
        return cli_fail(cli, CLI_USAGE, "flexd_failed", "flexd %s did not succeed", arguments[0]);
    }
    return CLI_DONE;
}

static bool write_pid(const char *home, pid_t pid)
{
    char path[FILES_PATH_SIZE];
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)pid);
    return files_join(path, home, "devnet.pid") && files_write(path, text, (size_t)length, 0644);
}

int devnet_spawn(struct cli *cli, const struct devnet *devnet, struct devnet_node *node)
{
    char path[FILES_PATH_SIZE];
    char home[FILES_PATH_SIZE];
    char log[FILES_PATH_SIZE];
    devnet_node_home(home, devnet, node);
    if (!flexd_path(path) || access(path, X_OK) != 0 || !files_join(log, home, "flexd.log")) {
        return cli_fail(cli, CLI_USAGE, "no_flexd", "%s: %s", path, strerror(errno));
    }
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (nothing < 0 || output < 0) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", log, strerror(errno));
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const char *const arguments[] = {"start", "--home", home, NULL};
        setsid();
        become_flexd(path, arguments, nothing, output, output);
    }
    int fault = errno;
    close(nothing);
    close(output);
    if (child < 0 || !write_pid(home, child)) {
        return cli_fail(cli, CLI_USAGE, "no_process", "%s: %s", home, strerror(fault));
    }
    node->child = child;
    return CLI_DONE;
}

/* True if the process is flexd, started on that home. */
static bool is_flexd_of(pid_t pid, const char *home)
{
    char path[64];
    char wanted[FILES_PATH_SIZE + 64];
    size_t size;
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    char *line = files_read(path, COMMAND_LINE_MAX, &size);
    if (line == NULL) {
        return false;
    }
    size_t length = 0;
    const char *const parts[] = {"flexd", "start", "--home", home};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        length += (size_t)snprintf(wanted + length, sizeof wanted - length, "%s", parts[i]) + 1;
    }
    bool same = size == length && memcmp(line, wanted, length) == 0;
    free(line);
    return same;
}

pid_t devnet_pid(const struct devnet *devnet, const struct devnet_node *node)
{
    char home[FILES_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    size_t size;
    devnet_node_home(home, devnet, node);
    char *text = files_join(path, home, "devnet.pid") ? files_read(path, 32, &size) : NULL;
    int64_t pid = 0;
    if (text != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (!int64_from_text(&pid, text) || pid <= 1 || pid > INT32_MAX ||
            !is_flexd_of((pid_t)pid, home)) {
            pid = 0;
        }
        free(text);
    }
    return (pid_t)pid;
}

/* A child of ours that has ended stays as a zombie until somebody asks. */
static void reap(struct devnet_node *node)
{
    if (node->child > 0 && waitpid(node->child, NULL, WNOHANG) == node->child) {
        node->child = 0;
    }
}

/* The id of a child can't be anybody else's until it has been reaped, so it is safe even before the
 * child has become flexd. */
static pid_t pid_to_signal(const struct devnet *devnet, const struct devnet_node *node)
{
    return node->child > 0 ? node->child : devnet_pid(devnet, node);
}

bool devnet_stop(struct devnet *devnet, int64_t timeout_ms)
{
    struct wait wait;
    for (uint32_t i = 0; i < devnet->count; i++) {
        reap(&devnet->nodes[i]);
        pid_t pid = pid_to_signal(devnet, &devnet->nodes[i]);
        if (pid > 0) {
            kill(pid, SIGTERM);
        }
    }
    wait_begin(&wait, timeout_ms);
    for (;;) {
        uint32_t running = 0;
        for (uint32_t i = 0; i < devnet->count; i++) {
            reap(&devnet->nodes[i]);
            running += pid_to_signal(devnet, &devnet->nodes[i]) > 0;
        }
        if (running == 0) {
            return true;
        }
        if (!wait_more(&wait)) {
            return false;
        }
    }
}

void devnet_kill(const struct devnet *devnet, struct devnet_node *node)
{
    struct wait wait;
    pid_t pid = pid_to_signal(devnet, node);
    if (pid == 0) {
        return;
    }
    kill(pid, SIGKILL);
    wait_begin(&wait, 10000);
    while (devnet_pid(devnet, node) == pid && wait_more(&wait)) {
        reap(node);
    }
}

static bool is_ready(const struct devnet_node *node)
{
    char url[DEVNET_ADDRESS_SIZE];
    struct client_answer answer;
    devnet_node_api(url, node);
    struct client *client = client_open(url, READY_ANSWER_MS);
    if (client == NULL) {
        return false;
    }
    client_get(client, &answer, "/ready");
    bool ready = answer.status == 200;
    client_answer_release(&answer);
    client_close(client);
    return ready;
}

bool devnet_wait_ready(struct devnet *devnet, int64_t timeout_ms, struct devnet_node **failed)
{
    struct wait wait;
    wait_begin(&wait, timeout_ms);
    *failed = NULL;
    do {
        uint32_t ready = 0;
        for (uint32_t i = 0; i < devnet->count; i++) {
            struct devnet_node *node = &devnet->nodes[i];
            if (node->child > 0 && waitpid(node->child, NULL, WNOHANG) == node->child) {
                node->child = 0;
                *failed = node;
                return false;
            }
            ready += is_ready(node);
        }
        if (ready == devnet->count) {
            return true;
        }
    } while (wait_more(&wait));
    return false;
}

void devnet_log_tail(const struct devnet *devnet, const struct devnet_node *node, FILE *stream)
{
    char home[FILES_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    char text[LOG_TAIL_BYTES + 1];
    devnet_node_home(home, devnet, node);
    int descriptor = files_join(path, home, "flexd.log") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) {
        return;
    }
    off_t end = lseek(descriptor, 0, SEEK_END);
    lseek(descriptor, end > LOG_TAIL_BYTES ? end - LOG_TAIL_BYTES : 0, SEEK_SET);
    read_output(descriptor, text, sizeof text);
    close(descriptor);
    fprintf(stream, "--- %s\n%s", path, text);
}

/* --- all of them ----------------------------------------------------------------------------- */

/* Starts what isn't running. */
static int spawn_all(struct cli *cli, struct devnet *devnet)
{
    int status = CLI_DONE;
    for (uint32_t i = 0; i < devnet->count && status == CLI_DONE; i++) {
        if (devnet_pid(devnet, &devnet->nodes[i]) == 0) {
            status = devnet_spawn(cli, devnet, &devnet->nodes[i]);
        }
    }
    return status;
}

/* *retry: a node ended at once, nothing runs, nothing has been said. Never set if `last`. */
static int start_once(struct cli *cli, struct devnet *devnet, int64_t ready_ms, bool last,
                      bool *retry)
{
    struct devnet_node *failed = NULL;
    *retry = false;
    int status = spawn_all(cli, devnet);
    if (status == CLI_DONE && devnet_wait_ready(devnet, ready_ms, &failed)) {
        return CLI_DONE;
    }
    devnet_stop(devnet, DEVNET_STOP_MS);
    *retry = status == CLI_DONE && failed != NULL && !last;
    if (status != CLI_DONE || *retry) {
        return status;
    }
    for (uint32_t i = 0; i < devnet->count; i++) {
        if (failed == NULL || failed == &devnet->nodes[i]) {
            devnet_log_tail(devnet, &devnet->nodes[i], cli->err);
        }
    }
    char name[NAME_SIZE + 1] = "";
    return cli_fail(cli, CLI_NO_NODE, "not_ready",
                    failed != NULL ? "node %s ended at once" : "not all nodes got ready%s",
                    failed != NULL ? name_to_text(name, &failed->name) : name);
}

int devnet_start(struct cli *cli, struct devnet *devnet, int64_t ready_ms, bool made)
{
    int status = CLI_DONE;
    bool retry = true;
    for (int attempt = 1; retry && status == CLI_DONE; attempt++) {
        bool last = !made || attempt == START_ATTEMPTS;
        status = start_once(cli, devnet, ready_ms, last, &retry);
        if (retry) {
            /* Most likely somebody took one of the ports in between. */
            status = devnet_assign_ports(cli, devnet);
        }
    }
    return status;
}
