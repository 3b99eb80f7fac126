/* The commands of flexsignd: init, start, status, prove-key, passphrase.
 *
 * HOME/key.json   the Ed25519 seed, encrypted (tools/wallet.h)
 * HOME/votes/     what it has signed (guard.h)
 * HOME/unfinished an init that has not ended (unfinished.h)
 *
 * The passphrase comes from a file descriptor, from systemd's credential "passphrase", or from the
 * terminal, in this order; never from the command line or the environment, which other processes read.
 *
 * Deliberately absent: a command that prints the seed, and one that forgets votes. */
#include "tools/signd/commands.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "contracts/module.h"
#include "node/signer_client.h"
#include "tools/nouns.h"
#include "tools/signd/server.h"
#include "tools/signd/unfinished.h"
#include "tools/wallet.h"

/* --- the key --------------------------------------------------------------------------------- */

static bool key_path(const struct cli *cli, char out[FILES_PATH_SIZE])
{
    int size = snprintf(out, FILES_PATH_SIZE, "%s/key.json", cli->home);
    return size > 0 && size < FILES_PATH_SIZE;
}

/* systemd's LoadCredential= puts a file there that only this service may read. */
static int credential_open(void)
{
    char path[FILES_PATH_SIZE];
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (directory == NULL ||
        snprintf(path, sizeof path, "%s/passphrase", directory) >= (int)sizeof path)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool read_passphrase(char *out, int64_t descriptor, bool confirm, char problem[160])
{
    int credential = descriptor >= 0 ? -1 : credential_open();
    bool good = wallet_read_passphrase(out, credential >= 0 ? credential : (int)descriptor, confirm,
                                       problem);
    if (credential >= 0)
        (void)close(credential);
    return good;
}

static int key_fault(struct cli *cli, const char *path, enum wallet_result result)
{
    return cli_fail(cli, CLI_USAGE, "bad_key", "%s: %s", path,
                    result == WALLET_ABSENT ? "there is no key here yet: flexsignd init"
                                            : wallet_result_text(result));
}

static int open_key(struct cli *cli, struct secret_key *seed, struct public_key *key)
{
    char path[FILES_PATH_SIZE], problem[160] = "";
    char passphrase[WALLET_PASSPHRASE_MAX + 1] = "";
    if (!key_path(cli, path))
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the home is too long");
    enum wallet_result result = wallet_peek_node_key(key, path);
    if (result != WALLET_OK)
        return key_fault(cli, path, result);
    if (!read_passphrase(passphrase, cli->passphrase_fd, false, problem))
        return cli_fail(cli, CLI_USAGE, "passphrase_missing", "%s", problem);
    result = wallet_open_node_key(seed, key, path, passphrase);
    wallet_wipe(passphrase, sizeof passphrase);
    return result == WALLET_OK ? CLI_DONE : key_fault(cli, path, result);
}

static void say_key(struct cli *cli, const struct public_key *key)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(cli->result, "key", hex);
}

/* --- init ------------------------------------------------------------------------------------ */

struct init {
    const char *node_home;
};

static const struct cli_option init_options[] = {
    {"node-home", CLI_DIR, offsetof(struct init, node_home),
     "take over the key of this node, and what it has voted; the node must be down", CLI_OPTIONAL,
     NULL, NULL, 0},
};

static int load_node_key(struct cli *cli, struct secret_key *seed, const char *node_home)
{
    char path[FILES_PATH_SIZE], problem[NODE_PROBLEM_SIZE] = "";
    if (node_home[0] == '\0') {
        secret_key_random(seed);
        return CLI_DONE;
    }
    int size = snprintf(path, sizeof path, "%s/node.key", node_home);
    if (size < 0 || size >= (int)sizeof path || !node_key_load(path, seed, problem))
        return cli_fail(cli, CLI_USAGE, "bad_key", "%s", problem);
    return CLI_DONE;
}

/* The votes first: a home with a key but without its votes refuses to start. */
static int import_votes(struct cli *cli, const struct public_key *key, const char *node_home)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    struct node_config config;
    struct hash chain;
    char path[NODE_PATH_MAX];
    uint64_t votes = 0;
    struct genesis *genesis = malloc(sizeof *genesis);
    struct guard *guard = NULL;
    bool good = genesis != NULL && node_config_load(&config, node_home, problem) &&
                node_config_path(path, &config, config.genesis) &&
                node_genesis_load(genesis, &chain, NULL, NULL, path, problem);
    free(genesis);
    guard = good ? guard_open(cli->home, key, problem) : NULL;
    good = guard != NULL && guard_import(guard, &votes, node_home, &chain, problem);
    if (guard != NULL)
        guard_close(guard);
    if (!good)
        return cli_fail(cli, CLI_USAGE, "not_imported", "%s", problem);
    json_add_u64(cli->result, "votes", votes);
    return CLI_DONE;
}

/* From here on the node can't vote by the key in its home, whatever its flexd.json says: it would not know
 * what the signer has signed. Before key.json is there, so that never both can sign. */
static int fence_node(struct cli *cli, const char *node_home)
{
    char from[FILES_PATH_SIZE], to[FILES_PATH_SIZE];
    if (!unfinished_names(from, to, node_home))
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the node's home is too long");
    if (rename(from, to) != 0 || !files_sync_directory_of(to))
        return cli_fail(cli, CLI_USAGE, "not_moved", "%s: %s", from, strerror(errno));
    return CLI_DONE;
}

static void say_next(struct cli *cli, const struct public_key *key, const char *node_home)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
    cli_say(cli,
            "next: add to %s/flexd.json\n  \"signer\":{\"socket\":\"SOCKET\",\"key\":\"%s\"}\n"
            "its node.key is now %s/node.key.moved: delete it once key.json and passphrase are "
            "backed up\n",
            node_home, hex, node_home);
}

/* Under a mark, so that what is made can be taken back, now or after a kill: no signature can have been made
 * with it. `node_home`: absolute, or "". */
static int make_home(struct cli *cli, const char *path, const struct secret_key *seed,
                     const char *passphrase, const char *node_home)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    struct public_key key;
    const bool moves = node_home[0] != '\0';
    ed25519_public_key(&key, seed);
    if (!guard_may_create(cli->home, problem) || !unfinished_begin(cli->home, node_home, problem))
        return cli_fail(cli, CLI_USAGE, "bad_home", "%s", problem);
    int status = guard_create(cli->home, &key, problem)
                     ? CLI_DONE
                     : cli_fail(cli, CLI_USAGE, "bad_home", "%s", problem);
    if (status == CLI_DONE && moves)
        status = import_votes(cli, &key, node_home);
    if (status == CLI_DONE && moves)
        status = fence_node(cli, node_home);
    if (status == CLI_DONE) {
        const enum wallet_result result =
            wallet_create_node_key(path, seed, passphrase, wallet_cost_default());
        if (result != WALLET_OK)
            status = key_fault(cli, path, result);
    }
    if (status == CLI_DONE)
        (void)unfinished_end(cli->home); /* start does it, too */
    else if (!unfinished_take_back(cli->home, node_home, problem))
        cli_say(cli, "%s; the same command, given again, goes on with it\n", problem);
    return status;
}

/* What an init that was stopped has left: it is taken back, and this one begins anew. */
static int settle_unfinished(struct cli *cli, const char *path, const char *node_home)
{
    char stopped[FILES_PATH_SIZE], problem[NODE_PROBLEM_SIZE] = "";
    struct public_key key;
    switch (unfinished_read(cli->home, stopped, problem)) {
    case UNFINISHED_NONE:
        return CLI_DONE;
    case UNFINISHED_FAULT:
        return cli_fail(cli, CLI_USAGE, "bad_home", "%s", problem);
    case UNFINISHED_FOUND:
        break;
    }
    if (wallet_peek_node_key(&key, path) == WALLET_OK) {
        if (unfinished_end(cli->home)) /* it was stopped after its last step */
            return CLI_DONE;
        return cli_fail(cli, CLI_USAGE, "bad_home", "%s/unfinished: %s", cli->home,
                        strerror(errno));
    }
    if (stopped[0] != '\0' && strcmp(stopped, node_home) != 0)
        return cli_fail(
            cli, CLI_USAGE, "unfinished",
            "%s: an init was stopped that moves the key of %s here. Nothing was signed "
            "with it; that node does not start until it is done. Give that command again: "
            "flexsignd init --home %s --node-home %s",
            cli->home, stopped, cli->home, stopped);
    if (!unfinished_take_back(cli->home, stopped, problem))
        return cli_fail(cli, CLI_USAGE, "unfinished",
                        "%s; an init was stopped here, and what it made can't be taken back",
                        problem);
    cli_say(cli, "%s: an init that was stopped is begun again\n", cli->home);
    return CLI_DONE;
}

/* The key that is here already, and what is left to do with it. */
static int key_is_there(struct cli *cli, const char *path)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    struct public_key key;
    if (wallet_peek_node_key(&key, path) != WALLET_OK)
        return key_fault(cli, path, WALLET_EXISTS);
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    return cli_fail(
        cli, CLI_USAGE, "bad_key",
        "%s: there is a key already, and init has nothing left to do: flexd.json of its "
        "node has \"signer\":{\"socket\":\"SOCKET\",\"key\":\"%s\"}",
        path, hex);
}

/* Held until the process ends, the node's lest it starts meanwhile: it would go on voting by the key that it has
 * in memory. `node_home` becomes absolute. */
static int hold_node(struct cli *cli, char node_home[PATH_MAX], int *lock, const char *wanted)
{
    struct node_config config;
    char problem[NODE_PROBLEM_SIZE], from[FILES_PATH_SIZE], to[FILES_PATH_SIZE];
    bool runs = false;
    if (wanted == NULL)
        return CLI_DONE;
    if (!node_config_load(&config, wanted, problem))
        return cli_fail(cli, CLI_USAGE, "bad_home", "%s", problem);
    *lock = node_home_take(&config, &runs, problem);
    if (*lock < 0)
        return runs ? cli_fail(cli, CLI_USAGE, "node_runs", "%s: the node runs: stop it first",
                               wanted)
                    : cli_fail(cli, CLI_USAGE, "bad_home", "%s", problem);
    if (realpath(wanted, node_home) == NULL || !unfinished_names(from, to, node_home))
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: the path is too long, or gone", wanted);
    return CLI_DONE;
}

/* A key that was moved is somewhere; one that is in both places is not to be overwritten. */
static int check_not_moved(struct cli *cli, const char *node_home)
{
    char from[FILES_PATH_SIZE], to[FILES_PATH_SIZE];
    if (node_home[0] == '\0')
        return CLI_DONE;
    MUST(unfinished_names(from, to, node_home)); /* hold_node has made them */
    if (!files_exists(to))
        return CLI_DONE;
    if (files_exists(from))
        return cli_fail(cli, CLI_USAGE, "not_moved",
                        "%s is there already: keep it elsewhere, or delete it", to);
    return cli_fail(
        cli, CLI_USAGE, "moved_already",
        "an init has moved %s to %s, for a signer in another --home. If key.json is there, "
        "use that signer; if only `unfinished` is, give that command again",
        from, to);
}

static int begin_init(struct cli *cli, struct secret_key *seed, const char *path,
                      const char *node_home)
{
    int status = settle_unfinished(cli, path, node_home);
    if (status == CLI_DONE && files_exists(path))
        status = key_is_there(cli, path);
    if (status == CLI_DONE)
        status = check_not_moved(cli, node_home);
    if (status == CLI_DONE)
        status = load_node_key(cli, seed, node_home);
    return status;
}

static int init_in(struct cli *cli, const char *path, const char *node_home)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    char passphrase[WALLET_PASSPHRASE_MAX + 1] = "";
    struct secret_key seed;
    struct public_key key;
    int status = begin_init(cli, &seed, path, node_home);
    if (status != CLI_DONE)
        return status;
    ed25519_public_key(&key, &seed);
    if (!read_passphrase(passphrase, cli->passphrase_fd, true, problem))
        status = cli_fail(cli, CLI_USAGE, "passphrase_missing", "%s", problem);
    else
        status = make_home(cli, path, &seed, passphrase, node_home);
    wallet_wipe(passphrase, sizeof passphrase);
    secret_key_wipe(&seed);
    if (status == CLI_DONE) {
        say_key(cli, &key);
        noun_say_result(cli);
        if (node_home[0] != '\0')
            say_next(cli, &key, node_home);
    }
    return status;
}

static int run_init(struct cli *cli, void *arguments)
{
    const struct init *wanted = arguments;
    char path[FILES_PATH_SIZE], node_home[PATH_MAX] = "";
    int node_lock = -1;
    int status = hold_node(cli, node_home, &node_lock, wanted->node_home);
    if (status == CLI_DONE) {
        const bool made = !files_exists(cli->home);
        int lock = -1;
        if (!key_path(cli, path) || !files_make_directory(cli->home) ||
            (lock = files_hold_directory(cli->home)) < 0)
            status = cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home,
                              errno == EWOULDBLOCK ? "another init is at work" : strerror(errno));
        else
            status = init_in(cli, path, node_home);
        if (lock >= 0)
            (void)close(lock);
        if (status != CLI_DONE && made)
            (void)rmdir(cli->home); /* if it is empty */
    }
    if (node_lock >= 0)
        (void)close(node_lock);
    return status;
}

/* --- passphrase ------------------------------------------------------------------------------- */

struct change {
    int64_t new_fd;
};

static const struct cli_option change_options[] = {
    {"new-passphrase-fd", CLI_I64, offsetof(struct change, new_fd),
     "read the new passphrase from this file descriptor; else it is asked for on the terminal",
     CLI_OPTIONAL, "-1", NULL, 0},
};

/* A signer that runs keeps its key in memory, and needs the new one at its next start. */
static int run_passphrase(struct cli *cli, void *arguments)
{
    const struct change *wanted = arguments;
    char path[FILES_PATH_SIZE], problem[160] = "";
    char passphrase[WALLET_PASSPHRASE_MAX + 1] = "";
    struct secret_key seed;
    struct public_key key;
    int status = open_key(cli, &seed, &key);
    if (status != CLI_DONE)
        return status;
    MUST(key_path(cli, path)); /* open_key has made it, too */
    if (!wallet_read_passphrase(passphrase, (int)wanted->new_fd, true, problem)) {
        status = cli_fail(cli, CLI_USAGE, "passphrase_missing",
                          "the new one: %s (--new-passphrase-fd)", problem);
    } else {
        const enum wallet_result result =
            wallet_seal_node_key_again(path, &seed, passphrase, wallet_cost_default());
        status = result == WALLET_OK ? CLI_DONE : key_fault(cli, path, result);
    }
    wallet_wipe(passphrase, sizeof passphrase);
    secret_key_wipe(&seed);
    if (status == CLI_DONE) {
        say_key(cli, &key);
        noun_say_result(cli);
    }
    return status;
}

/* --- start ----------------------------------------------------------------------------------- */

struct start {
    const char *socket;
    const char *node_user;
    bool log_json;
};

static const struct cli_option start_options[] = {
    {"socket", CLI_FILE, offsetof(struct start, socket), "the Unix socket to make and listen on",
     CLI_REQUIRED, NULL, NULL, 0},
    {"node-user", CLI_TEXT, offsetof(struct start, node_user),
     "the user that flexd runs as, name or number, if not the signer's own", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"log-json", CLI_SWITCH, offsetof(struct start, log_json), "log lines as JSON", CLI_OPTIONAL,
     NULL, NULL, 0},
};

static bool user_of(uid_t *out, const char *text)
{
    uint64_t number = 0;
    *out = geteuid();
    if (text == NULL)
        return true;
    if (uint64_from_text(&number, text) && number < UINT32_MAX) {
        *out = (uid_t)number;
        return true;
    }
    const struct passwd *entry = getpwnam(text);
    if (entry != NULL)
        *out = entry->pw_uid;
    return entry != NULL;
}

/* No core file, no debugger: the seed stays in this process. */
static void keep_to_oneself(void)
{
    const struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &none) == 0);
    MUST(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static int run_start(struct cli *cli, void *arguments)
{
    const struct start *wanted = arguments;
    char problem[NODE_PROBLEM_SIZE] = "";
    struct signd signd = {.socket = wanted->socket};
    keep_to_oneself();
    log_open(stderr, "flexsignd", LOG_INFO, wanted->log_json);
    if (!user_of(&signd.node_user, wanted->node_user))
        return cli_fail(cli, CLI_USAGE, "bad_value", "--node-user %s: no such user",
                        wanted->node_user);
    int status = open_key(cli, &signd.seed, &signd.key);
    if (status != CLI_DONE)
        return status;
    signd.guard = guard_open(cli->home, &signd.key, problem);
    if (signd.guard == NULL) {
        status = cli_fail(cli, CLI_USAGE, "no_sign_state", "%s", problem);
    } else if (!unfinished_end(cli->home)) { /* else an init might take back what was signed with */
        status =
            cli_fail(cli, CLI_REFUSED, "stopped", "%s/unfinished: %s", cli->home, strerror(errno));
        guard_close(signd.guard);
    } else {
        if (!signd_serve(&signd, problem))
            status = cli_fail(cli, CLI_REFUSED, "stopped", "%s", problem);
        guard_close(signd.guard);
    }
    secret_key_wipe(&signd.seed);
    return status;
}

/* --- status, prove-key ----------------------------------------------------------------------- */

struct state_query {
    const char *socket;
};

static const struct cli_option status_options[] = {
    {"socket", CLI_FILE, offsetof(struct state_query, socket), "the running signer's socket",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_status(struct cli *cli, void *arguments)
{
    const struct state_query *wanted = arguments;
    struct public_key key;
    uint64_t epoch = 0, view = 0;
    char problem[160] = "";
    if (!signer_ask_state(&key, &epoch, &view, wanted->socket, problem))
        return cli_fail(cli, CLI_NO_NODE, "no_signer", "%s", problem);
    say_key(cli, &key);
    json_add_u64(cli->result, "epoch", epoch);
    json_add_u64(cli->result, "view", view);
    noun_say_result(cli);
    return CLI_DONE;
}

struct prove {
    struct name operator_name;
};

static const struct cli_option prove_options[] = {
    {"OPERATOR", CLI_NAME, offsetof(struct prove, operator_name),
     "the participant that is going to operate the validator", CLI_POSITIONAL, NULL, NULL, 0},
};

static int run_prove(struct cli *cli, void *arguments)
{
    const struct prove *wanted = arguments;
    static struct genesis genesis;
    struct hash chain, message;
    struct secret_key seed;
    struct public_key key;
    struct signature proof;
    char hex[2 * SIGNATURE_SIZE + 1];
    int status = session_load_genesis(cli, &genesis);
    if (status == CLI_DONE && !genesis_hash(&chain, &genesis))
        status = cli_fail(cli, CLI_USAGE, "bad_genesis", "the genesis file can't be encoded");
    if (status == CLI_DONE)
        status = open_key(cli, &seed, &key);
    if (status != CLI_DONE)
        return status;
    membership_key_proof_message(&message, &chain, &wanted->operator_name, &key);
    ed25519_sign(&proof, &seed, &message);
    secret_key_wipe(&seed);
    say_key(cli, &key);
    hex_encode(hex, proof.bytes, SIGNATURE_SIZE);
    cJSON_AddStringToObject(cli->result, "proof", hex);
    noun_say_result(cli);
    return CLI_DONE;
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct cli_command commands[] = {
    {.verb = "init",
     .summary = "make a key, encrypted, and the record of what it signs",
     .teach =
         "  flexsignd init --home /var/lib/flexsignd --passphrase-fd 3 3<passphrase\n"
         "prints the public key: validators' keys stand in the genesis, and in the node's\n"
         "flexd.json under \"signer\". With --node-home the key of a node that is down moves here.",
     .options = init_options,
     .option_count = sizeof init_options / sizeof init_options[0],
     .arguments_size = sizeof(struct init),
     .run = run_init},
    {.verb = "start",
     .summary = "sign for one node, in the foreground, until SIGTERM",
     .teach = "  flexsignd start --socket /run/flexsignd/socket --node-user flexledger\n"
              "The passphrase is read from --passphrase-fd, from systemd's credential\n"
              "\"passphrase\", or from the terminal.",
     .options = start_options,
     .option_count = sizeof start_options / sizeof start_options[0],
     .arguments_size = sizeof(struct start),
     .run = run_start},
    {.verb = "status",
     .summary = "ask a running signer for its key and how far it has signed",
     .options = status_options,
     .option_count = sizeof status_options / sizeof status_options[0],
     .arguments_size = sizeof(struct state_query),
     .run = run_status},
    {.verb = "prove-key",
     .summary = "print the proof that governance wants of a new validator's key",
     .teach = "  flexsignd prove-key dso --genesis genesis.json",
     .options = prove_options,
     .option_count = sizeof prove_options / sizeof prove_options[0],
     .arguments_size = sizeof(struct prove),
     .run = run_prove},
    {.verb = "passphrase",
     .summary = "change the passphrase of the key",
     .teach = "  flexsignd passphrase --passphrase-fd 3 --new-passphrase-fd 4 3<old 4<new\n"
              "The old one is read like that of start. A signer that runs goes on, and needs the\n"
              "new one at its next start: change its credential too.",
     .options = change_options,
     .option_count = sizeof change_options / sizeof change_options[0],
     .arguments_size = sizeof(struct change),
     .run = run_passphrase},
};

const struct cli_noun signd_noun = {"flexsignd", "the process that holds a validator's key",
                                    commands, sizeof commands / sizeof commands[0]};

static const char man_head[] =
    ".SH NAME\nflexsignd \\- the process that holds a validator's key\n"
    ".SH SYNOPSIS\n.B flexsignd\n\\fIVERB\\fR [\\fIWORD\\fR or \\fIOPTION\\fR]...\n"
    ".SH DESCRIPTION\n"
    "Keeps the key of a Flexledger validator out of the node: signs its votes over a Unix socket,\n"
    "remembers each durably before its signature leaves, and never signs one that contradicts\n"
    "another, whatever the node asks for.\n"
    ".SH OPTIONS\n";
static const char man_tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n.TP\n1\nstopped by a fault of the machine; a restart may mend it\n"
    ".TP\n2\nbad usage, no key, a wrong passphrase, or no record of what was signed\n"
    ".TP\n3\nstatus: no signer answers\n"
    ".SH FILES\n"
    ".TP\nHOME/key.json\nthe key: Argon2id and XChaCha20\\-Poly1305\n"
    ".TP\nHOME/votes/\nwhat it has signed; without it the key is worth nothing\n"
    ".SH SEE ALSO\n.BR flexd (1),\nthe guide operator.md and the specification signer.md\n";

void signd_man_page(FILE *out)
{
    cli_man_program(out, &signd_noun, man_head, man_tail);
}
