/* flexd rotate: the next key of a node, made beside the one that it runs with, and later put in its place
 * (docs/operator.md, "Rotate a validator's key").
 *
 *   HOME/node.key.next, HOME/tls/next/    made by `flexd rotate`; the node may run
 *   HOME/node.key.old                     the key before, after `flexd rotate --adopt`; the node must be down
 *
 * Invariants: no key is ever overwritten or deleted; a step that was done half-way by a crash is finished by
 * the same command.
 *
 * Deliberately absent: the vote that replaces the key on the ledger. Operators cast it with their wallets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "node/commands.h"
#include "node/config.h"
#include "node/options.h"
#include "p2p/certificate.h"

enum { CERTIFICATE_DAYS = 3650 };

static int failed(const struct flexd_options *options, const char *problem)
{
    flexd_say_fault("rotate", options->json, "failed", problem);
    return FLEXD_FAILED;
}

static bool cannot(const char *path, char problem[NODE_PROBLEM_SIZE])
{
    snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    return false;
}

static bool path_in(char out[NODE_PATH_MAX], const struct node_config *config, const char *name,
                    char problem[NODE_PROBLEM_SIZE])
{
    if (node_config_path(out, config, name))
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
    return false;
}

static bool exists(const struct node_config *config, const char *name)
{
    char path[NODE_PATH_MAX];
    return node_config_path(path, config, name) && access(path, F_OK) == 0;
}

/* --- the next key ---------------------------------------------------------------------------- */

/* Its certificate, if the CA's key is here; else another operator issues one (flexd certificate). */
static bool issue(const struct node_config *config, const struct flexd_options *options,
                  const struct public_key *key, char problem[NODE_PROBLEM_SIZE])
{
    char directory[NODE_PATH_MAX], certificate[NODE_PATH_MAX], tls_key[NODE_PATH_MAX];
    char fault[160] = "";
    if (options->ca_certificate == NULL)
        return true;
    if (!path_in(directory, config, "tls/next", problem) ||
        !path_in(certificate, config, "tls/next/node.pem", problem) ||
        !path_in(tls_key, config, "tls/next/node.key", problem))
        return false;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return cannot(directory, problem);
    if (p2p_certificate_issue(certificate, tls_key, options->ca_certificate, options->ca_key, key,
                              CERTIFICATE_DAYS, fault))
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE, "%s", fault);
    return false;
}

static int make_next(const struct node_config *config, const struct flexd_options *options)
{
    char path[NODE_PATH_MAX], problem[NODE_PROBLEM_SIZE] = "";
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    struct secret_key seed;
    struct public_key key;
    if (!path_in(path, config, "node.key.next", problem))
        return failed(options, problem);
    bool good = access(path, F_OK) == 0 ? node_key_load(path, &seed, problem)
                                        : node_key_create(path, &seed, problem);
    if (!good)
        return failed(options, problem);
    ed25519_public_key(&key, &seed);
    secret_key_wipe(&seed);
    if (!issue(config, options, &key, problem))
        return failed(options, problem);
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    if (options->json)
        printf("{\"key\":\"%s\",\"file\":\"%s\"}\n", hex, path);
    else
        printf(
            "next key  %s\nfile      %s\n"
            "next      flex governance prove-key OPERATOR --node-key %s; every other node: flexd "
            "join --peer %s@HOST:PORT and a reload\n",
            hex, path, path, hex);
    return FLEXD_DONE;
}

/* --- its turn -------------------------------------------------------------------------------- */

/* Which of both there is; the first, if it is. */
static bool path_of_either(char out[NODE_PATH_MAX], const struct node_config *config,
                           const char *first, const char *second, char problem[NODE_PROBLEM_SIZE])
{
    return path_in(out, config, exists(config, first) ? first : second, problem);
}

/* What will be in place has to be the next key's, whether it still waits in tls/next or has been moved
 * before a crash. */
static bool certificate_fits(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    char seed_path[NODE_PATH_MAX], ca[NODE_PATH_MAX];
    char certificate[NODE_PATH_MAX], tls_key[NODE_PATH_MAX], fault[160] = "";
    struct secret_key seed;
    struct public_key key;
    if (!path_in(seed_path, config, "node.key.next", problem) ||
        !path_in(ca, config, config->tls_ca, problem) ||
        !path_of_either(certificate, config, "tls/next/node.pem", config->tls_certificate,
                        problem) ||
        !path_of_either(tls_key, config, "tls/next/node.key", config->tls_key, problem) ||
        !node_key_load(seed_path, &seed, problem))
        return false;
    ed25519_public_key(&key, &seed);
    secret_key_wipe(&seed);
    if (certificate_check(ca, certificate, tls_key, &key, fault))
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE,
             "there is no certificate for the next key (%.90s): put node.pem and node.key into "
             "HOME/tls/next (flexd certificate)",
             fault);
    return false;
}

/* `from` to `to`, after `to` to `old`, on disk when it returns; what was done before a crash is not done
 * again. */
static bool put_in_place(const struct node_config *config, const char *from, const char *to,
                         const char *old, char problem[NODE_PROBLEM_SIZE])
{
    char next[NODE_PATH_MAX], place[NODE_PATH_MAX], aside[NODE_PATH_MAX];
    if (!path_in(next, config, from, problem) || !path_in(place, config, to, problem) ||
        !path_in(aside, config, old, problem))
        return false;
    if (access(next, F_OK) != 0)
        return files_sync_directory_of(place) || cannot(place, problem);
    if (access(place, F_OK) == 0) {
        if (access(aside, F_OK) == 0) {
            snprintf(problem, NODE_PROBLEM_SIZE,
                     "%.150s is there already: keep it elsewhere, or delete it", aside);
            return false;
        }
        if (rename(place, aside) != 0)
            return cannot(aside, problem);
    }
    return (rename(next, place) == 0 && files_sync_directory_of(next) &&
            files_sync_directory_of(place)) ||
           cannot(place, problem);
}

static int adopt(const struct node_config *config, const struct flexd_options *options)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    if (node_home_runs(config))
        return failed(options, "the node runs: stop it first");
    if (!exists(config, "node.key.next"))
        return failed(options, "there is no node.key.next: flexd rotate makes one");
    if (!certificate_fits(config, problem))
        return failed(options, problem);
    /* The key last: while it is not in its place, the same command goes on. */
    if (!put_in_place(config, "tls/next/node.key", config->tls_key, "tls/node.key.old", problem) ||
        !put_in_place(config, "tls/next/node.pem", config->tls_certificate, "tls/node.pem.old",
                      problem) ||
        !put_in_place(config, "node.key.next", "node.key", "node.key.old", problem))
        return failed(options, problem);
    if (options->json)
        printf("{\"adopted\":true}\n");
    else
        printf(
            "the node has its next key; start it. Destroy node.key.old once the old key is in no "
            "validator set that anybody still follows\n");
    return FLEXD_DONE;
}

int flexd_rotate(int count, char **arguments)
{
    static const char *const allowed[] = {"home",  "ca-certificate", "ca-key",
                                          "adopt", "json",           NULL};
    struct flexd_options options;
    struct node_config config;
    char problem[NODE_PROBLEM_SIZE] = "";
    if (!flexd_options_parse(&options, "rotate", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    if ((options.ca_certificate == NULL) != (options.ca_key == NULL) ||
        (options.adopt && options.ca_key != NULL)) {
        flexd_say_fault("rotate", options.json, "bad_input",
                        "--ca-certificate and --ca-key belong together, and not to --adopt");
        return FLEXD_BAD_USAGE;
    }
    if (!node_config_load(&config, options.home, problem)) {
        flexd_say_fault("rotate", options.json, "bad_input", problem);
        return FLEXD_BAD_USAGE;
    }
    if (config.signer_socket[0] != '\0')
        return failed(&options, "this node's key is with its signer: make another signer "
                                "(flexsignd init), and name it in flexd.json when it is its turn");
    if (!flexd_ca_is_there(&options, problem)) {
        flexd_say_fault("rotate", options.json, "bad_input", problem);
        return FLEXD_BAD_USAGE;
    }
    return options.adopt ? adopt(&config, &options) : make_next(&config, &options);
}
