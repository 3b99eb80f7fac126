/* flexd init, join, certificate, check (docs/spec/config.md).
 *
 * They make and complete a home while the node is down. What exists is never overwritten: keys are
 * created exclusively, a genesis is only ever set once, and a second `init` refuses. So every
 * command may be repeated after a failure half-way: `init` says what it found, `join` goes on.
 *
 * Deliberately absent: questions, network access, anything that touches data/ or journal/. */
#include "node/commands.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "node/check.h"
#include "node/config.h"
#include "node/options.h"
#include "node/repair.h"
#include "p2p/certificate.h"

enum { CERTIFICATE_DAYS = 3650 };

static int failed(const struct flexd_options *options, const char *command, const char *problem)
{
    flexd_say_fault(command, options->json, "failed", problem);
    return FLEXD_FAILED;
}

static int bad(const struct flexd_options *options, const char *command, const char *problem)
{
    flexd_say_fault(command, options->json, "bad_input", problem);
    return FLEXD_BAD_USAGE;
}

static bool exists(const struct node_config *config, const char *name)
{
    char path[NODE_PATH_MAX];
    return node_config_path(path, config, name) && access(path, F_OK) == 0;
}

static bool make_directory(const char *path, char problem[NODE_PROBLEM_SIZE])
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    return false;
}

static bool make_tls_directory(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (node_config_path(path, config, "tls"))
        return make_directory(path, problem);
    snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
    return false;
}

static bool copy_file(const char *to, const char *from, char problem[NODE_PROBLEM_SIZE])
{
    size_t size = 0;
    char *text = node_file_read(from, GENESIS_JSON_BYTES_MAX, &size, problem);
    if (text == NULL)
        return false;
    bool good = node_file_write(to, text, size, 0644, problem);
    free(text);
    return good;
}

/* The CA's certificate into the home, and a certificate of our own under it. */
static bool install_certificate(const struct node_config *config,
                                const struct flexd_options *options, const struct public_key *key,
                                char problem[NODE_PROBLEM_SIZE])
{
    char ca[NODE_PATH_MAX];
    char ca_key[NODE_PATH_MAX];
    char certificate[NODE_PATH_MAX];
    char tls_key[NODE_PATH_MAX];
    char fault[160] = "";
    if (!make_tls_directory(config, problem))
        return false;
    if (!node_config_path(ca, config, config->tls_ca) ||
        !node_config_path(ca_key, config, "tls/ca.key") ||
        !node_config_path(certificate, config, config->tls_certificate) ||
        !node_config_path(tls_key, config, config->tls_key)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
        return false;
    }
    if (options->new_ca != NULL) {
        if (!p2p_ca_create(ca, ca_key, options->new_ca, fault)) {
            snprintf(problem, NODE_PROBLEM_SIZE, "%s", fault);
            return false;
        }
    } else if (!copy_file(ca, options->ca_certificate, problem)) {
        return false;
    }
    if (!p2p_certificate_issue(certificate, tls_key, ca,
                               options->new_ca != NULL ? ca_key : options->ca_key, key,
                               CERTIFICATE_DAYS, fault)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%s", fault);
        return false;
    }
    return true;
}

/* Whether the genesis that is given, if one is, can be used: looked at before anything is made. */
static bool genesis_is_good(const struct flexd_options *options, char problem[NODE_PROBLEM_SIZE])
{
    struct hash hash;
    if (options->genesis == NULL)
        return true;
    struct genesis *genesis = malloc(sizeof *genesis);
    bool good =
        genesis != NULL && node_genesis_load(genesis, &hash, NULL, NULL, options->genesis, problem);
    free(genesis);
    return good;
}

/* Sets the chain once: the same genesis again is fine, another one is refused. */
static bool install_genesis(const struct node_config *config, const char *file,
                            char problem[NODE_PROBLEM_SIZE])
{
    struct genesis *genesis = malloc(sizeof *genesis);
    struct hash given;
    struct hash present;
    char path[NODE_PATH_MAX];
    bool good = genesis != NULL && node_config_path(path, config, config->genesis) &&
                node_genesis_load(genesis, &given, NULL, NULL, file, problem);
    if (good && access(path, F_OK) == 0) {
        good = node_genesis_load(genesis, &present, NULL, NULL, path, problem);
        if (good && !hash_equal(&given, &present)) {
            snprintf(problem, NODE_PROBLEM_SIZE, "%.100s is already there and of another chain",
                     path);
            good = false;
        }
    } else if (good) {
        good = copy_file(path, file, problem);
    }
    free(genesis);
    return good;
}

static bool merge_peers(struct node_config *config, const struct flexd_options *options,
                        const struct public_key *own, char problem[NODE_PROBLEM_SIZE])
{
    for (uint32_t i = 0; i < options->peer_count; i++) {
        const struct p2p_peer_config *peer = &options->peers[i];
        if (public_key_equal(&peer->key, own))
            continue;
        uint32_t at = 0;
        while (at < config->peer_count && !public_key_equal(&config->peers[at].key, &peer->key))
            at++;
        if (at == P2P_PEERS_MAX) {
            snprintf(problem, NODE_PROBLEM_SIZE, "more than %d peers", P2P_PEERS_MAX);
            return false;
        }
        config->peers[at] = *peer;
        if (at == config->peer_count)
            config->peer_count++;
    }
    return true;
}

/* The chain's name and the hash that operators compare; false while there is no good genesis. */
static bool chain_texts(const struct node_config *config, char chain[NAME_SIZE + 1],
                        char hash_text[2 * HASH_SIZE + 1])
{
    char path[NODE_PATH_MAX];
    char problem[NODE_PROBLEM_SIZE];
    struct hash hash;
    struct genesis *genesis = malloc(sizeof *genesis);
    bool good = genesis != NULL && node_config_path(path, config, config->genesis) &&
                node_genesis_load(genesis, &hash, NULL, NULL, path, problem);
    if (good) {
        name_to_text(chain, &genesis->chain);
        hex_encode(hash_text, hash.bytes, HASH_SIZE);
    }
    free(genesis);
    return good;
}

/* `data`, unless NULL: what a check found, with the members of `data_json` for programs; both are
 * this call's to print, the second to free. */
static void report(const struct node_config *config, const struct public_key *key, bool json,
                   const struct node_check *data, cJSON *data_json)
{
    char chain[NAME_SIZE + 1] = "";
    char hash[2 * HASH_SIZE + 1] = "";
    bool genesis = chain_texts(config, chain, hash);
    bool certificate = exists(config, config->tls_certificate);
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    char name[NAME_SIZE + 1];
    const char *next[3];
    int steps = 0;
    hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
    if (!certificate)
        next[steps++] = "put ca.pem, node.pem and node.key into HOME/tls (flexd certificate), or "
                        "flexd join --ca-certificate FILE --ca-key FILE";
    if (!genesis)
        next[steps++] = "flexd join --genesis FILE, once the genesis names every validator's key";
    if (config->peer_count == 0)
        next[steps++] = "flexd join --peer KEY@HOST:PORT for every other node";
    if (!json) {
        printf("home      %s\nname      %s (%s)\nnode key  %s\np2p       %s\napi       %s\n"
               "peers     %u\n",
               config->home, node_config_name(name, config), node_role_name(config->role), hex,
               config->listen_p2p, config->listen_api, config->peer_count);
        if (genesis)
            printf("chain     %s\ngenesis   %s\n", chain, hash);
        if (data != NULL)
            node_check_print(data);
        for (int i = 0; i < steps; i++)
            printf("next      %s\n", next[i]);
        if (steps == 0)
            printf("next      flexd start --home %s\n", config->home);
        cJSON_Delete(data_json);
        return;
    }
    cJSON *root = data_json != NULL ? data_json : cJSON_CreateObject();
    cJSON_AddStringToObject(root, "home", config->home);
    cJSON_AddStringToObject(root, "name", node_config_name(name, config));
    cJSON_AddStringToObject(root, "role", node_role_name(config->role));
    cJSON_AddStringToObject(root, "key", hex);
    cJSON_AddStringToObject(root, "listen_p2p", config->listen_p2p);
    cJSON_AddStringToObject(root, "listen_api", config->listen_api);
    cJSON_AddNumberToObject(root, "peers", config->peer_count);
    cJSON_AddBoolToObject(root, "genesis", genesis);
    if (genesis) {
        cJSON_AddStringToObject(root, "chain", chain);
        cJSON_AddStringToObject(root, "genesis_hash", hash);
    }
    cJSON_AddBoolToObject(root, "certificate", certificate);
    cJSON_AddItemToObject(root, "next", cJSON_CreateStringArray(next, steps));
    char *text = cJSON_PrintUnformatted(root);
    if (text != NULL)
        printf("%s\n", text);
    free(text);
    cJSON_Delete(root);
}

/* The machine's own name up to its first dot, as far as a name goes; empty if it has none. */
static const char *machine_name(char out[NAME_SIZE + 1])
{
    char host[256] = "";
    size_t size = 0;
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    for (const char *at = host; *at != '\0' && *at != '.' && size < NAME_SIZE; at++)
        out[size++] = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    out[size] = '\0';
    return out;
}

/* Fills the configuration from the options; the message names the option at fault. */
static const char *config_from_options(struct node_config *config,
                                       const struct flexd_options *options)
{
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    if (options->home[0] == '\0' || strlen(options->home) >= NODE_PATH_MAX - 32)
        return "--home: empty or too long";
    node_config_init(config, options->home);
    char machine[NAME_SIZE + 1];
    const char *name = options->name != NULL ? options->name : machine_name(machine);
    if (!name_from_text(&config->name, name, strlen(name)))
        return options->name != NULL ? "--name: must be 1 to 24 of a-z 0-9 - _ ."
                                     : "the machine's name is none for a node: say --name";
    const char *role = options->role != NULL ? options->role : "validator";
    if (strcmp(role, "validator") != 0 && strcmp(role, "audit") != 0)
        return "--role: must be validator or audit";
    config->role = strcmp(role, "audit") == 0 ? NODE_AUDIT : NODE_VALIDATOR;
    const char *p2p = options->listen_p2p != NULL ? options->listen_p2p : "127.0.0.1:7400";
    const char *api = options->listen_api != NULL ? options->listen_api : "127.0.0.1:8400";
    if (p2p[0] != '\0' && !node_address_split(p2p, host, &port))
        return "--listen-p2p: must be HOST:PORT";
    if (!node_address_split(api, host, &port))
        return "--listen-api: must be HOST:PORT";
    snprintf(config->listen_p2p, sizeof config->listen_p2p, "%s", p2p);
    snprintf(config->listen_api, sizeof config->listen_api, "%s", api);
    if (options->log_level != NULL && !log_level_from_text(&config->log_level, options->log_level))
        return "--log-level: must be trace, debug, info, unusual or broken";
    if (options->read_access != NULL) {
        const bool open = strcmp(options->read_access, "open") == 0;
        if (!open && strcmp(options->read_access, "role") != 0)
            return "--read-access: must be open or role";
        config->read_access = open ? NODE_READ_OPEN : NODE_READ_ROLE;
    }
    if (options->clock_offset_file != NULL) {
        if (strlen(options->clock_offset_file) >= NODE_PATH_MAX)
            return "--clock-offset-file: too long";
        snprintf(config->clock_offset_file, sizeof config->clock_offset_file, "%s",
                 options->clock_offset_file);
    }
    if (options->new_ca != NULL && options->ca_certificate != NULL)
        return "--new-ca and --ca-certificate exclude each other";
    if ((options->ca_certificate == NULL) != (options->ca_key == NULL))
        return "--ca-certificate and --ca-key belong together";
    return NULL;
}

int flexd_init(int count, char **arguments)
{
    static const char *const allowed[] = {
        "home",        "name",           "role",   "listen-p2p", "listen-api",        "genesis",
        "new-ca",      "ca-certificate", "ca-key", "peer",       "clock-offset-file", "log-level",
        "read-access", "json",           NULL};
    struct flexd_options options;
    struct node_config config;
    char problem[NODE_PROBLEM_SIZE] = "";
    char path[NODE_PATH_MAX];
    if (!flexd_options_parse(&options, "init", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    const char *fault = config_from_options(&config, &options);
    if (fault != NULL)
        return bad(&options, "init", fault);
    if (exists(&config, "flexd.json") || exists(&config, "node.key"))
        return failed(&options, "init", "this home is in use already; nothing was changed");
    if (!genesis_is_good(&options, problem) || !flexd_ca_is_there(&options, problem))
        return bad(&options, "init", problem);

    struct secret_key seed;
    struct public_key key;
    if (!make_directory(options.home, problem) || !make_tls_directory(&config, problem) ||
        !node_config_path(path, &config, "node.key") || !node_key_create(path, &seed, problem))
        return failed(&options, "init", problem);
    ed25519_public_key(&key, &seed);
    secret_key_wipe(&seed);
    if (((options.new_ca != NULL || options.ca_certificate != NULL) &&
         !install_certificate(&config, &options, &key, problem)) ||
        (options.genesis != NULL && !install_genesis(&config, options.genesis, problem)) ||
        !merge_peers(&config, &options, &key, problem) || !node_config_save(&config, problem)) {
        /* Nobody has seen this key yet; without it the same command may be given again. */
        (void)unlink(path);
        return failed(&options, "init", problem);
    }
    report(&config, &key, options.json, NULL, NULL);
    return FLEXD_DONE;
}

/* Loads configuration and public key of an existing home; an exit code other than 0 on failure. */
static int open_home(const char *command, struct node_config *config, struct public_key *key,
                     const struct flexd_options *options)
{
    char problem[NODE_PROBLEM_SIZE];
    struct secret_key seed;
    if (!node_config_load(config, options->home, problem) ||
        !node_config_key(key, &seed, config, problem))
        return bad(options, command, problem);
    secret_key_wipe(&seed);
    return FLEXD_DONE;
}

int flexd_join(int count, char **arguments)
{
    static const char *const allowed[] = {"home",   "genesis", "peer", "ca-certificate",
                                          "ca-key", "json",    NULL};
    struct flexd_options options;
    struct node_config config;
    struct public_key key;
    char problem[NODE_PROBLEM_SIZE] = "";
    if (!flexd_options_parse(&options, "join", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    if ((options.ca_certificate == NULL) != (options.ca_key == NULL))
        return bad(&options, "join", "--ca-certificate and --ca-key belong together");
    int code = open_home("join", &config, &key, &options);
    if (code != FLEXD_DONE)
        return code;
    /* A node that runs reads new peers when it is told to, and nothing else. */
    const bool running_allows = options.genesis == NULL && options.ca_certificate == NULL;
    if (!running_allows && node_home_runs(&config))
        return failed(&options, "join", "the node runs: stop it first");
    if (!genesis_is_good(&options, problem) || !flexd_ca_is_there(&options, problem))
        return bad(&options, "join", problem);
    if (options.ca_certificate != NULL && !exists(&config, config.tls_certificate) &&
        !install_certificate(&config, &options, &key, problem))
        return failed(&options, "join", problem);
    if ((options.genesis != NULL && !install_genesis(&config, options.genesis, problem)) ||
        !merge_peers(&config, &options, &key, problem) ||
        (options.peer_count > 0 && !node_config_save(&config, problem)))
        return failed(&options, "join", problem);
    report(&config, &key, options.json, NULL, NULL);
    return FLEXD_DONE;
}

int flexd_certificate(int count, char **arguments)
{
    static const char *const allowed[] = {"ca-certificate", "ca-key", "node-key", "out",
                                          "json",           NULL};
    struct flexd_options options;
    struct public_key key;
    char ca[NODE_PATH_MAX];
    char certificate[NODE_PATH_MAX];
    char tls_key[NODE_PATH_MAX];
    char problem[NODE_PROBLEM_SIZE] = "";
    char fault[160] = "";
    if (!flexd_options_parse(&options, "certificate", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    if (options.ca_certificate == NULL || options.ca_key == NULL || options.out == NULL ||
        options.node_key == NULL)
        return bad(&options, "certificate",
                   "--ca-certificate, --ca-key, --node-key, --out are required");
    if (!hex_decode(key.bytes, PUBLIC_KEY_SIZE, options.node_key))
        return bad(&options, "certificate", "--node-key: must be 64 lower-case hex digits");
    if (strlen(options.out) >= NODE_PATH_MAX - 16)
        return bad(&options, "certificate", "--out: too long");
    if (!flexd_ca_is_there(&options, problem))
        return bad(&options, "certificate", problem);
    snprintf(ca, sizeof ca, "%s/ca.pem", options.out);
    snprintf(certificate, sizeof certificate, "%s/node.pem", options.out);
    snprintf(tls_key, sizeof tls_key, "%s/node.key", options.out);
    if (access(tls_key, F_OK) == 0)
        return failed(&options, "certificate", "there is a node.key in --out already");
    if (!make_directory(options.out, problem) || !copy_file(ca, options.ca_certificate, problem))
        return failed(&options, "certificate", problem);
    if (!p2p_certificate_issue(certificate, tls_key, options.ca_certificate, options.ca_key, &key,
                               CERTIFICATE_DAYS, fault))
        return failed(&options, "certificate", fault);
    if (options.json)
        printf("{\"certificate\":\"%s\",\"key\":\"%s\",\"ca\":\"%s\"}\n", certificate, tls_key, ca);
    else
        printf("wrote %s, %s, %s: hand them to the node's operator\n", ca, certificate, tls_key);
    return FLEXD_DONE;
}

/* The same look at the TLS files that the transport takes when it starts. */
static bool tls_is_good(const struct node_config *config, const struct public_key *key,
                        char problem[NODE_PROBLEM_SIZE])
{
    char ca[NODE_PATH_MAX];
    char certificate[NODE_PATH_MAX];
    char tls_key[NODE_PATH_MAX];
    char fault[160] = "the home's name is too long";
    bool good = node_config_path(ca, config, config->tls_ca) &&
                node_config_path(certificate, config, config->tls_certificate) &&
                node_config_path(tls_key, config, config->tls_key) &&
                certificate_check(ca, certificate, tls_key, key, fault);
    if (!good)
        snprintf(problem, NODE_PROBLEM_SIZE, "%s", fault);
    return good;
}

/* A new database in the place of a damaged one. Then the data are checked once more. */
static bool repair_data(const struct flexd_options *options, const struct node_check *check,
                        cJSON *json)
{
    char problem[NODE_PROBLEM_SIZE];
    struct node_repair repair;
    if (!options->json)
        node_check_print(check);
    if (!node_repair(&repair, check->config, check->genesis, &check->genesis_hash, problem)) {
        flexd_say_fault("check --repair", options->json, "failed", problem);
        return false;
    }
    if (json != NULL) {
        cJSON *member = cJSON_AddObjectToObject(json, "repair");
        json_add_u64(member, "height", repair.height);
        cJSON_AddStringToObject(member, "stopped", repair.stopped);
        cJSON_AddStringToObject(member, "kept", repair.kept);
        cJSON_AddItemToObject(json, "before", cJSON_DetachItemFromObject(json, "store"));
        cJSON_DeleteItemFromObject(json, "journals");
    } else {
        printf("repaired  up to block %llu; %s. The others send the rest when the node starts\n"
               "kept      %s\n",
               (unsigned long long)repair.height, repair.stopped, repair.kept);
    }
    return true;
}

/* The data of a home whose configuration is in order. */
static int check_data(const struct flexd_options *options, const struct node_config *config,
                      const struct public_key *key, const struct genesis *genesis,
                      const struct hash *genesis_hash)
{
    struct node_check *check = calloc(1, sizeof *check);
    cJSON *json = options->json ? cJSON_CreateObject() : NULL;
    if (check == NULL)
        return failed(options, "check", "out of memory");
    check->config = config;
    check->genesis = genesis;
    check->genesis_hash = *genesis_hash;
    const bool progress = !options->json && isatty(STDERR_FILENO) == 1;
    int code = node_check_data(check, json, options->quick, progress);
    if (options->repair && code == FLEXD_DAMAGED && check->store.findings > 0) {
        code = repair_data(options, check, json)
                   ? node_check_data(check, json, options->quick, progress)
                   : FLEXD_DAMAGED;
        if (check->store.findings > 0) { /* said already */
            cJSON_Delete(json);
            free(check);
            return code;
        }
    }
    if (code == FLEXD_DONE || code == FLEXD_DAMAGED) {
        report(config, key, options->json, check, json);
        if (code == FLEXD_DAMAGED)
            fprintf(stderr, "flexd check: %s\n", check->problem);
    } else {
        cJSON_Delete(json);
        flexd_say_fault("check", options->json, "failed", check->problem);
    }
    free(check);
    return code;
}

/* Everything but the data; an exit code other than 0 on failure. */
static int check_configuration(const struct flexd_options *options, struct node_config *config,
                               struct public_key *key, struct genesis *genesis, struct hash *hash)
{
    char path[NODE_PATH_MAX];
    char problem[NODE_PROBLEM_SIZE] = "";
    int code = open_home("check", config, key, options);
    if (code != FLEXD_DONE)
        return code;
    if (!exists(config, config->genesis))
        return bad(options, "check",
                   "there is no genesis yet: flexd join --genesis FILE, once it names every key");
    if (!node_config_path(path, config, config->genesis) ||
        !node_genesis_load(genesis, hash, NULL, NULL, path, problem))
        return bad(options, "check", problem);
    /* Whether the role fits is for the start to say: the set may have changed since the genesis. */
    if (config->clock_offset_file[0] != '\0' && genesis->simulated_time != 1)
        return bad(options, "check", "clock_offset_file needs a genesis with simulated_time 1");
    if (!exists(config, config->tls_ca) || !exists(config, config->tls_certificate) ||
        !exists(config, config->tls_key))
        return bad(
            options, "check",
            "a TLS file is missing: put ca.pem, node.pem and node.key into HOME/tls, or flexd "
            "join --ca-certificate FILE --ca-key FILE");
    if (!tls_is_good(config, key, problem))
        return bad(options, "check", problem);
    return FLEXD_DONE;
}

int flexd_check(int count, char **arguments)
{
    static const char *const allowed[] = {"home", "json", "quick", "repair", NULL};
    struct flexd_options options;
    struct node_config config;
    struct public_key key;
    struct hash hash;
    if (!flexd_options_parse(&options, "check", allowed, count, arguments))
        return FLEXD_BAD_USAGE;
    struct genesis *genesis = malloc(sizeof *genesis);
    if (genesis == NULL)
        return failed(&options, "check", "out of memory");
    int code = check_configuration(&options, &config, &key, genesis, &hash);
    if (code == FLEXD_DONE)
        code = check_data(&options, &config, &key, genesis, &hash);
    free(genesis);
    return code;
}
