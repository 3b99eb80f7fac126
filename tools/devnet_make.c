/* Making a devnet: wallets, node homes, genesis, addresses (tools/devnet.h).
 *
 *   wallets -> flexd init per node (the first makes the CA) -> genesis.json -> flexd join per node
 *
 * Invariant: devnet.json is written last, so a directory that has one is complete. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/devnet.h"
#include "tools/wallet.h"

enum { OUTPUT_SIZE = 16384, PEER_TEXT_SIZE = 128 };

int64_t devnet_real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void devnet_node_home(char out[FILES_PATH_SIZE], const struct devnet *devnet,
                      const struct devnet_node *node)
{
    char name[NAME_SIZE + 1];
    snprintf(out, FILES_PATH_SIZE, "%s/nodes/%s", devnet->directory,
             name_to_text(name, &node->name));
}

void devnet_node_api(char out[DEVNET_ADDRESS_SIZE], const struct devnet_node *node)
{
    snprintf(out, DEVNET_ADDRESS_SIZE, "http://127.0.0.1:%u", node->api_port);
}

struct devnet_node *devnet_find(struct devnet *devnet, const struct name *name)
{
    for (uint32_t i = 0; i < devnet->count; i++) {
        if (name_compare(&devnet->nodes[i].name, name) == 0) {
            return &devnet->nodes[i];
        }
    }
    return NULL;
}

bool devnet_offset_write(const char *directory, int64_t offset_ms)
{
    char path[FILES_PATH_SIZE];
    char text[INT128_TEXT_SIZE + 1];
    int128_to_text(text, offset_ms);
    size_t length = strlen(text);
    text[length] = '\n';
    return files_join(path, directory, "clock_offset") && files_write(path, text, length + 1, 0644);
}

bool devnet_offset_read(int64_t *offset_ms, const char *directory)
{
    char path[FILES_PATH_SIZE];
    size_t size;
    char *text = files_join(path, directory, "clock_offset") ? files_read(path, 64, &size) : NULL;
    if (text == NULL) {
        return false;
    }
    text[strcspn(text, "\n")] = '\0';
    bool ok = int64_from_text(offset_ms, text);
    free(text);
    return ok;
}

/* --- ports -------------------------------------------------------------------------------- */

/* Below the range that the kernel takes outgoing connections from: a port in there may be a dialling
 * node's when the node that listens on it starts again. The tests' own ports are above and below. */
enum { PORT_FIRST = 15000, PORT_COUNT = 6000, PORT_TRIES = 1000 };

/* A socket bound to a random free port; -1 if there is none. */
static int bind_free_port(uint16_t *port)
{
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; bound >= 0 && i < PORT_TRIES; i++) {
        uint16_t chance;
        random_bytes(&chance, sizeof chance);
        *port = (uint16_t)(PORT_FIRST + chance % PORT_COUNT);
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        if (bind(bound, (struct sockaddr *)&address, sizeof address) == 0) {
            return bound;
        }
    }
    if (bound >= 0) {
        close(bound);
    }
    return -1;
}

/* Ports that are free now. All are held until all are found, so that no two are the same; somebody
 * else may take one before flexd does, which devnet start answers with new ones. */
static bool free_ports(uint16_t *ports, uint32_t count)
{
    int sockets[2 * DEVNET_NODES_MAX];
    bool ok = true;
    MUST(count <= 2 * DEVNET_NODES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        sockets[i] = bind_free_port(&ports[i]);
        ok = ok && sockets[i] >= 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (sockets[i] >= 0) {
            close(sockets[i]);
        }
    }
    return ok;
}

static int pick_ports(struct cli *cli, struct devnet *devnet)
{
    uint16_t ports[2 * DEVNET_NODES_MAX];
    if (!free_ports(ports, 2 * devnet->count)) {
        return cli_fail(cli, CLI_USAGE, "no_ports", "no free ports: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < devnet->count; i++) {
        devnet->nodes[i].p2p_port = ports[2 * (size_t)i];
        devnet->nodes[i].api_port = ports[2 * (size_t)i + 1];
    }
    return CLI_DONE;
}

static void address_text(char out[DEVNET_ADDRESS_SIZE], uint16_t port)
{
    snprintf(out, DEVNET_ADDRESS_SIZE, "127.0.0.1:%u", port);
}

/* flexd join: genesis, and everybody's key and address. */
static int join(struct cli *cli, const struct devnet *devnet, const struct devnet_node *node)
{
    static char peers[DEVNET_NODES_MAX][PEER_TEXT_SIZE];
    const char *arguments[12 + 2 * DEVNET_NODES_MAX];
    char home[FILES_PATH_SIZE];
    char genesis[FILES_PATH_SIZE];
    static char output[OUTPUT_SIZE];
    size_t count = 0;
    devnet_node_home(home, devnet, node);
    if (!files_join(genesis, devnet->directory, "genesis.json")) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the directory's path is too long");
    }
    arguments[count++] = "join";
    arguments[count++] = "--home";
    arguments[count++] = home;
    arguments[count++] = "--genesis";
    arguments[count++] = genesis;
    for (uint32_t i = 0; i < devnet->count; i++) {
        char hex[2 * PUBLIC_KEY_SIZE + 1];
        char address[DEVNET_ADDRESS_SIZE];
        hex_encode(hex, devnet->nodes[i].key.bytes, PUBLIC_KEY_SIZE);
        address_text(address, devnet->nodes[i].p2p_port);
        snprintf(peers[i], sizeof peers[i], "%s@%s", hex, address);
        arguments[count++] = "--peer";
        arguments[count++] = peers[i];
    }
    arguments[count++] = "--json";
    arguments[count] = NULL;
    return devnet_flexd(cli, output, sizeof output, arguments);
}

/* The node's own addresses in its flexd.json, which people may edit while it is down. */
static int set_listen(struct cli *cli, const struct devnet *devnet, const struct devnet_node *node)
{
    char home[FILES_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    char problem[160];
    char address[DEVNET_ADDRESS_SIZE];
    devnet_node_home(home, devnet, node);
    struct cJSON *object =
        files_join(path, home, "flexd.json") ? files_read_json(path, problem) : NULL;
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    address_text(address, node->p2p_port);
    cJSON_ReplaceItemInObjectCaseSensitive(object, "listen_p2p", cJSON_CreateString(address));
    address_text(address, node->api_port);
    cJSON_ReplaceItemInObjectCaseSensitive(object, "listen_api", cJSON_CreateString(address));
    bool ok = files_write_json(path, object, 0600);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

int devnet_assign_ports(struct cli *cli, struct devnet *devnet)
{
    int status = pick_ports(cli, devnet);
    for (uint32_t i = 0; i < devnet->count && status == CLI_DONE; i++) {
        status = set_listen(cli, devnet, &devnet->nodes[i]);
    }
    for (uint32_t i = 0; i < devnet->count && status == CLI_DONE; i++) {
        status = join(cli, devnet, &devnet->nodes[i]);
    }
    return status == CLI_DONE ? devnet_save(cli, devnet) : status;
}

/* --- devnet.json -------------------------------------------------------------------------- */

int devnet_save(struct cli *cli, const struct devnet *devnet)
{
    char path[FILES_PATH_SIZE];
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", "flexdevnet/1");
    cJSON_AddBoolToObject(object, "simulated_time", devnet->simulated);
    struct cJSON *list = cJSON_AddArrayToObject(object, "nodes");
    for (uint32_t i = 0; i < devnet->count; i++) {
        const struct devnet_node *node = &devnet->nodes[i];
        char name[NAME_SIZE + 1];
        char hex[2 * PUBLIC_KEY_SIZE + 1];
        struct cJSON *item = cJSON_CreateObject();
        hex_encode(hex, node->key.bytes, PUBLIC_KEY_SIZE);
        cJSON_AddStringToObject(item, "name", name_to_text(name, &node->name));
        cJSON_AddStringToObject(item, "role", node->audit ? "audit" : "validator");
        cJSON_AddStringToObject(item, "key", hex);
        cJSON_AddNumberToObject(item, "p2p_port", node->p2p_port);
        cJSON_AddNumberToObject(item, "api_port", node->api_port);
        cJSON_AddItemToArray(list, item);
    }
    bool ok =
        files_join(path, devnet->directory, "devnet.json") && files_write_json(path, object, 0644);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE
              : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", devnet->directory,
                         strerror(fault));
}

static bool parse_node(struct devnet_node *out, const struct cJSON *item)
{
    const char *name = json_string(item, "name");
    const char *role = json_string(item, "role");
    const char *key = json_string(item, "key");
    uint32_t p2p, api;
    if (name == NULL || role == NULL || key == NULL ||
        !name_from_text(&out->name, name, strlen(name)) ||
        !hex_decode(out->key.bytes, PUBLIC_KEY_SIZE, key) || !json_u32(&p2p, item, "p2p_port") ||
        !json_u32(&api, item, "api_port") || p2p > UINT16_MAX || api > UINT16_MAX) {
        return false;
    }
    out->audit = strcmp(role, "audit") == 0;
    out->p2p_port = (uint16_t)p2p;
    out->api_port = (uint16_t)api;
    return true;
}

int devnet_set_directory(struct cli *cli, struct devnet *out, const char *directory)
{
    char *absolute = realpath(directory, NULL);
    if (absolute == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_devnet", "%s: %s", directory, strerror(errno));
    }
    int length = snprintf(out->directory, sizeof out->directory, "%s", absolute);
    free(absolute);
    return length >= 0 && (size_t)length < sizeof out->directory
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "bad_path", "%s: the path is too long", directory);
}

int devnet_load(struct cli *cli, struct devnet *out, const char *directory)
{
    char path[FILES_PATH_SIZE];
    char problem[160] = "";
    memset(out, 0, sizeof *out);
    int status = devnet_set_directory(cli, out, directory);
    if (status != CLI_DONE) {
        return status;
    }
    struct cJSON *object =
        files_join(path, out->directory, "devnet.json") ? files_read_json(path, problem) : NULL;
    if (object == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_devnet", "%s", problem);
    }
    bool ok = json_bool(&out->simulated, object, "simulated_time");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, json_array(object, "nodes"))
    {
        ok = ok && out->count < DEVNET_NODES_MAX && parse_node(&out->nodes[out->count], item);
        out->count += ok;
    }
    cJSON_Delete(object);
    return ok && out->count > 0
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "no_devnet", "%s is not a devnet's", path);
}

/* --- making ------------------------------------------------------------------------------- */

static int make_wallet(struct cli *cli, const struct devnet *devnet,
                       struct genesis_participant *participant)
{
    char home[FILES_PATH_SIZE];
    char path[FILES_PATH_SIZE];
    char name[NAME_SIZE + 1];
    struct secret_key secret;
    struct wallet_cost cost = {0};
    snprintf(home, sizeof home, "%s/wallets/%s", devnet->directory,
             name_to_text(name, &participant->id));
    if (!files_make_directory(home) || !files_join(path, home, "key.json")) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", home, strerror(errno));
    }
    do {
        secret_key_random(&secret);
    } while (!schnorr_public_key(&participant->key, &secret));
    enum wallet_result result = wallet_create(path, &secret, NULL, cost);
    secret_key_wipe(&secret);
    return result == WALLET_OK
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, wallet_result_text(result));
}

static int init_node(struct cli *cli, const struct devnet *devnet, struct devnet_node *node)
{
    static char output[OUTPUT_SIZE];
    char home[FILES_PATH_SIZE], first[FILES_PATH_SIZE], ca[FILES_PATH_SIZE + 16];
    char ca_key[FILES_PATH_SIZE + 16], offset[FILES_PATH_SIZE];
    char name[NAME_SIZE + 1], p2p[DEVNET_ADDRESS_SIZE], api[DEVNET_ADDRESS_SIZE];
    const char *arguments[24];
    size_t count = 0;
    devnet_node_home(home, devnet, node);
    devnet_node_home(first, devnet, &devnet->nodes[0]);
    snprintf(ca, sizeof ca, "%s/tls/ca.pem", first);
    snprintf(ca_key, sizeof ca_key, "%s/tls/ca.key", first);
    snprintf(offset, sizeof offset, "%s/clock_offset", devnet->directory);
    address_text(p2p, node->p2p_port);
    address_text(api, node->api_port);
    bool new_ca = node == &devnet->nodes[0];
    const char *const fixed[] = {"init",
                                 "--home",
                                 home,
                                 "--name",
                                 name_to_text(name, &node->name),
                                 "--role",
                                 node->audit ? "audit" : "validator",
                                 "--listen-p2p",
                                 p2p,
                                 "--listen-api",
                                 api,
                                 "--json"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        arguments[count++] = fixed[i];
    }
    arguments[count++] = new_ca ? "--new-ca" : "--ca-certificate";
    arguments[count++] = new_ca ? "devnet" : ca;
    if (!new_ca) {
        arguments[count++] = "--ca-key";
        arguments[count++] = ca_key;
    }
    if (devnet->simulated) {
        arguments[count++] = "--clock-offset-file";
        arguments[count++] = offset;
    }
    arguments[count] = NULL;
    int status = devnet_flexd(cli, output, sizeof output, arguments);
    if (status != CLI_DONE) {
        return status;
    }
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(output, strlen(output), problem);
    const char *key = json_string(object, "key");
    bool ok = key != NULL && hex_decode(node->key.bytes, PUBLIC_KEY_SIZE, key);
    cJSON_Delete(object);
    return ok ? CLI_DONE
              : cli_fail(cli, CLI_USAGE, "flexd_failed", "flexd init printed no key: %.200s",
                         output);
}

/* Validators stand in the genesis in the order of their keys. */
static void add_validators(struct genesis *genesis, const struct devnet *devnet)
{
    struct params_record *params = &genesis->params;
    for (uint32_t i = 0; i < devnet->count; i++) {
        const struct devnet_node *node = &devnet->nodes[i];
        if (node->audit) {
            continue;
        }
        uint32_t at = params->validator_count++;
        while (at > 0 && public_key_compare(&params->validators[at - 1].key, &node->key) > 0) {
            params->validators[at] = params->validators[at - 1];
            at--;
        }
        params->validators[at].key = node->key;
        params->validators[at].operator_name = node->name;
    }
}

/* DIR/genesis.json, and a copy in every wallet. */
static int write_genesis(struct cli *cli, const struct devnet *devnet,
                         const struct genesis *genesis)
{
    char path[FILES_PATH_SIZE];
    const char *problem = genesis_problem(genesis);
    if (problem != NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "%s", problem);
    }
    struct cJSON *object = genesis_to_json(genesis);
    char *text = object != NULL ? cJSON_Print(object) : NULL;
    MUST(text != NULL);
    cJSON_Delete(object);
    bool ok = files_join(path, devnet->directory, "genesis.json") &&
              files_write(path, text, strlen(text), 0644);
    for (uint32_t i = 0; i < genesis->participant_count && ok; i++) {
        char name[NAME_SIZE + 1];
        snprintf(path, sizeof path, "%s/wallets/%s/genesis.json", devnet->directory,
                 name_to_text(name, &genesis->participants[i].id));
        ok = files_write(path, text, strlen(text), 0644);
    }
    int fault = errno;
    cJSON_free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

static int name_nodes(struct cli *cli, struct devnet *devnet, const struct devnet_plan *plan)
{
    char path[FILES_PATH_SIZE];
    /* What is there may be an unfinished devnet or somebody's own files: neither is overwritten. */
    static const char *const ours[] = {"wallets", "nodes", "genesis.json"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (files_join(path, devnet->directory, ours[i]) && files_exists(path)) {
            return cli_fail(cli, CLI_USAGE, "unfinished",
                            "%s is there already, but no finished devnet is; remove it, or choose "
                            "another directory",
                            path);
        }
    }
    if (plan->validators < LIMIT_VALIDATORS_MIN || plan->validators > LIMIT_VALIDATORS ||
        plan->validators + plan->audits > DEVNET_NODES_MAX) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "4 to %d validators and at most 8 audit nodes",
                        LIMIT_VALIDATORS);
    }
    devnet->count = plan->validators + plan->audits;
    for (uint32_t i = 0; i < devnet->count; i++) {
        struct devnet_node *node = &devnet->nodes[i];
        if (i < plan->validators) {
            devnet_operator_name(&node->name, i);
            continue;
        }
        char text[NAME_SIZE + 1];
        uint32_t number = i - plan->validators + 1;
        snprintf(text, sizeof text, number == 1 ? "audit" : "audit-%u", number);
        MUST(name_from_text(&node->name, text, strlen(text)));
        node->audit = true;
    }
    return CLI_DONE;
}

/* flexd init makes its own home, but not what stands above it. */
static int make_nodes_directory(struct cli *cli, const struct devnet *devnet)
{
    char path[FILES_PATH_SIZE];
    return files_join(path, devnet->directory, "nodes") && files_make_directory(path)
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", devnet->directory,
                          strerror(errno));
}

int devnet_make(struct cli *cli, struct devnet *devnet, const struct devnet_plan *plan)
{
    static struct genesis genesis;
    int status = name_nodes(cli, devnet, plan);
    devnet->simulated = plan->simulated_ms != 0;
    if (status == CLI_DONE) {
        status = devnet_genesis_draft(cli, &genesis, plan->validators, plan->spec);
    }
    if (status == CLI_DONE && devnet->simulated) {
        genesis.simulated_time = 1;
        genesis.time = timestamp_of(plan->simulated_ms);
        if (!devnet_offset_write(devnet->directory, plan->simulated_ms - devnet_real_ms())) {
            status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", devnet->directory,
                              strerror(errno));
        }
    }
    for (uint32_t i = 0; i < genesis.participant_count && status == CLI_DONE; i++) {
        status = make_wallet(cli, devnet, &genesis.participants[i]);
    }
    status = status == CLI_DONE ? make_nodes_directory(cli, devnet) : status;
    status = status == CLI_DONE ? pick_ports(cli, devnet) : status;
    for (uint32_t i = 0; i < devnet->count && status == CLI_DONE; i++) {
        status = init_node(cli, devnet, &devnet->nodes[i]);
    }
    if (status == CLI_DONE) {
        add_validators(&genesis, devnet);
        status = write_genesis(cli, devnet, &genesis);
    }
    for (uint32_t i = 0; i < devnet->count && status == CLI_DONE; i++) {
        status = join(cli, devnet, &devnet->nodes[i]);
    }
    return status == CLI_DONE ? devnet_save(cli, devnet) : status;
}
