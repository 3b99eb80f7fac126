/* flexd, the node: its commands (docs/spec/config.md).
 *
 * `start` runs in the foreground until SIGTERM or SIGINT. Signals are taken by this thread alone,
 * so no handler ever runs in the middle of anything; every other thread has them blocked.
 *
 * Deliberately absent: a daemon mode. systemd, a container or a shell keeps processes; a node that
 * hides in the background hides its exit code too. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/rules.h"
#include "node/api.h"
#include "node/commands.h"
#include "node/node.h"
#include "node/options.h"
#include "node/service.h"
#include "node/version.h"

static const char usage[] =
    "flexd: a Flexledger node\n"
    "\n"
    "  flexd init --home DIR [--name NAME] [--role validator|audit]\n"
    "             [--listen-p2p HOST:PORT] [--listen-api HOST:PORT]\n"
    "             [--new-ca CA-NAME | --ca-certificate FILE --ca-key FILE]\n"
    "             [--genesis FILE] [--peer KEY@HOST:PORT]... [--clock-offset-file FILE]\n"
    "             [--log-level LEVEL] [--read-access open|role] [--json]\n"
    "      make key, certificate and configuration; prints the node key\n"
    "  flexd join --home DIR [--genesis FILE] [--peer KEY@HOST:PORT]...\n"
    "             [--ca-certificate FILE --ca-key FILE] [--json]\n"
    "      complete a home with what the others have sent\n"
    "  flexd certificate --ca-certificate FILE --ca-key FILE --node-key HEX --out DIR [--json]\n"
    "      issue a TLS certificate for another operator's node\n"
    "  flexd solver-key --home DIR [--json]\n"
    "      make, or show, the key that proposes solutions of coupled auctions\n"
    "  flexd rotate --home DIR [--ca-certificate FILE --ca-key FILE] [--json]\n"
    "      make the node's next key beside the one that it runs with; prints it\n"
    "  flexd rotate --home DIR --adopt [--json]\n"
    "      put the next key in the old one's place, while the node is down\n"
    "  flexd check --home DIR [--quick] [--repair] [--json]\n"
    "      read everything that start reads, verify the whole database and the journals, change "
    "nothing;\n"
    "      --repair makes a damaged database anew from its good blocks\n"
    "  flexd backup --home DIR --out DIR [--keys] [--json]\n"
    "      copy database and configuration while the node runs; keys only if asked, journals "
    "never\n"
    "  flexd restore --from DIR --home DIR [--data] [--json]\n"
    "      make a home from a backup, once its node is off for good; --data: the database alone\n"
    "  flexd start --home DIR\n"
    "      run in the foreground; SIGTERM or SIGINT stops it cleanly, SIGHUP opens the log file "
    "anew,\n"
    "      and takes over new certificates, of links and of the API, new peers and their "
    "addresses\n"
    "\n"
    "Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration, 3 this home runs "
    "already,\n4 its data is damaged, 5 the chain goes on under newer rules than this program "
    "has.\n"
    "docs/spec/config.md describes the files.\n";

/* The loop turns once a second at least; where it waits on purpose, for room on a disk, it is not stuck.
 * A minute is longer than the largest block takes, and than a slow disk's sync. */
enum { LOOP_STUCK_MS = 60000 };

static bool loop_is_alive(struct node *node)
{
    return atomic_load(&node->journal_full) ||
           node_clock_monotonic_ms() < atomic_load(&node->loop_turn_ms) + LOOP_STUCK_MS;
}

static uint64_t board_height(struct node *node)
{
    struct node_status status;
    node_board_read(&node->board, &status);
    return status.height;
}

int flexd_start(int count, char **arguments)
{
    static const char *const allowed[] = {"home", NULL};
    struct flexd_options options;
    if (!flexd_options_parse(&options, "start", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    sigset_t signals;
    MUST(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
         sigaddset(&signals, SIGINT) == 0 && sigaddset(&signals, SIGHUP) == 0);
    MUST(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);

    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        fprintf(stderr, "flexd start: out of memory\n");
        return FLEXD_FAILED;
    }
    struct service service;
    service_open(&service, getpid());
    int code = node_start(node, options.home);
    if (code == FLEXD_DONE)
        service_ready(&service, board_height(node));
    while (code == FLEXD_DONE && !atomic_load(&node->loop_ended)) {
        /* The loop ends by itself only on a fault of the environment; half a second is soon enough
         * to see that. */
        struct timespec wait = {.tv_sec = 0, .tv_nsec = 500000000};
        int number = sigtimedwait(&signals, NULL, &wait);
        service_alive(&service, node_clock_monotonic_ms(), loop_is_alive(node), board_height(node));
        if (number == SIGHUP && node_log_open(node))
            log_line(LOG_INFO, "signal %d -> the log goes on in a new file", number);
        if (number == SIGHUP) {
            api_reload(node->api);
            node_reload(node);
        }
        if (number == SIGTERM || number == SIGINT) {
            log_line(LOG_INFO, "signal %d -> stopping", number);
            break;
        }
    }
    service_stopping(&service);
    if (node->loop_ended && node->rules_missing != 0)
        code = node_refuse_rules(node, node->rules_missing);
    node_stop(node);
    if (code == NODE_STOPPED)
        code = FLEXD_DONE;
    if (code == FLEXD_DONE && node->failed) {
        fprintf(stderr, "flexd start: the node had to stop; see the log\n");
        code = FLEXD_FAILED;
    } else if (code == FLEXD_DONE) {
        log_line(LOG_INFO, "stopped");
    }
    if (node->log != NULL) {
        log_open(stderr, "flexd", LOG_INFO, false);
        (void)fclose(node->log);
    }
    free(node);
    return code;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(int count, char **arguments);
    } commands[] = {{"init", flexd_init},
                    {"join", flexd_join},
                    {"certificate", flexd_certificate},
                    {"solver-key", flexd_solver_key},
                    {"rotate", flexd_rotate},
                    {"check", flexd_check},
                    {"backup", flexd_backup},
                    {"restore", flexd_restore},
                    {"start", flexd_start}};
    if (count < 2) {
        fputs(usage, stderr);
        return FLEXD_BAD_USAGE;
    }
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0) {
        fputs(usage, stdout);
        return FLEXD_DONE;
    }
    if (strcmp(arguments[1], "--version") == 0) {
        printf("flexd %s, rules %u\n", FLEX_VERSION, ledger_rules_count);
        return FLEXD_DONE;
    }
    if (!crypto_init()) {
        fprintf(stderr, "flexd: the cryptographic libraries don't start\n");
        return FLEXD_FAILED;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(arguments[1], commands[i].name) == 0)
            return commands[i].run(count - 2, arguments + 2);
    }
    fprintf(stderr, "flexd: no command \"%s\"; see flexd --help\n", arguments[1]);
    return FLEXD_BAD_USAGE;
}
