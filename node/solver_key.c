/* flexd solver-key: the key of the account that proposes solutions of coupled auctions
 * (docs/spec/config.md, "solver").
 *
 * Deliberately absent: an option for another key file; who keeps one elsewhere names it in flexd.json first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/commands.h"
#include "node/config.h"
#include "node/options.h"

static int report(const struct flexd_options *options, int code, const char *problem)
{
    flexd_say_fault("solver-key", options->json, code == FLEXD_BAD_USAGE ? "bad_input" : "failed",
                    problem);
    return code;
}

int flexd_solver_key(int count, char **arguments)
{
    static const char *const allowed[] = {"home", "json", NULL};
    struct flexd_options options;
    struct node_config config;
    struct secret_key secret;
    struct public_key key;
    char problem[NODE_PROBLEM_SIZE] = "";
    char path[NODE_PATH_MAX];
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    if (!flexd_options_parse(&options, "solver-key", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    if (!node_config_load(&config, options.home, problem))
        return report(&options, FLEXD_BAD_USAGE, problem);
    if (!node_config_path(path, &config, config.solver.key))
        return report(&options, FLEXD_BAD_USAGE, "the home's name is too long");
    bool is_there = access(path, F_OK) == 0;
    bool good =
        is_there ? node_key_load(path, &secret, problem) : node_key_create(path, &secret, problem);
    if (!good)
        return report(&options, FLEXD_FAILED, problem);
    good = schnorr_public_key(&key, &secret);
    secret_key_wipe(&secret);
    if (!good)
        return report(&options, FLEXD_FAILED, "the key file holds no key of the ledger");
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    if (options.json)
        printf("{\"key\":\"%s\",\"file\":\"%s\",\"new\":%s}\n", hex, path,
               is_there ? "false" : "true");
    else
        printf("%s\n%s %s; an account of this key proposes and pays\n", hex,
               is_there ? "read" : "wrote", path);
    return FLEXD_DONE;
}
