/* The configuration file (config.h, docs/spec/config.md).
 *
 * Every key is known or refused, every value has its type and range, and the message names the key:
 * a node that starts with half of what its operator meant is worse than one that doesn't start.
 *
 * Deliberately absent: environment variables, includes, comments, reloading while running. */
#include "node/config_internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "node/signer_client.h"

static const uint64_t map_bytes_default = (uint64_t)64 << 30;
static const uint64_t snapshot_blocks_default = 10000;
static const uint64_t keep_blocks_default = 10000;
_Static_assert(NODE_KEEP_DAYS_MIN > 60, "limit_meter_batch_ms and limit_proof_deadline_ms in days");
static const uint64_t map_bytes_max_default = (uint64_t)1 << 40;
static const char listen_api_default[] = "127.0.0.1:8400";
static const uint64_t map_bytes_min = (uint64_t)256 << 10;

static const char *const log_level_texts[] = {"trace", "debug", "info", "unusual", "broken"};

const char *node_role_name(enum node_role role)
{
    return role == NODE_VALIDATOR ? "validator" : "audit";
}

const char *node_config_name(char out[NAME_SIZE + 1], const struct node_config *config)
{
    return name_to_text(out, &config->name);
}

bool node_config_refuse(char problem[NODE_PROBLEM_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, NODE_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

bool node_config_take_file(const cJSON *object, const char *section, const char *key,
                           char out[NODE_PATH_MAX], char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) == NULL)
        return true;
    const char *text = json_string(object, key);
    if (text == NULL || text[0] == '\0' || strlen(text) >= NODE_PATH_MAX)
        return node_config_refuse(problem, "%s.%s must be a file's name of 1 to %d bytes", section,
                                  key, NODE_PATH_MAX - 1);
    (void)snprintf(out, NODE_PATH_MAX, "%s", text);
    return true;
}

void node_config_init(struct node_config *config, const char *home)
{
    memset(config, 0, sizeof *config);
    snprintf(config->home, sizeof config->home, "%s", home);
    snprintf(config->genesis, sizeof config->genesis, "%s", "genesis.json");
    snprintf(config->tls_ca, sizeof config->tls_ca, "%s", "tls/ca.pem");
    snprintf(config->tls_certificate, sizeof config->tls_certificate, "%s", "tls/node.pem");
    snprintf(config->tls_key, sizeof config->tls_key, "%s", "tls/node.key");
    config->log_level = LOG_INFO;
    config->map_bytes = map_bytes_default;
    config->map_bytes_max = map_bytes_max_default;
    config->snapshot_blocks = snapshot_blocks_default;
    config->keep_blocks = keep_blocks_default;
    config->witness_days = NODE_WITNESS_DAYS_DEFAULT;
    snprintf(config->listen_api, sizeof config->listen_api, "%s", listen_api_default);
    node_config_api_init(&config->api);
    node_config_solver_init(&config->solver);
}

bool node_config_path(char out[NODE_PATH_MAX], const struct node_config *config, const char *name)
{
    int size = name[0] == '/' ? snprintf(out, NODE_PATH_MAX, "%s", name)
                              : snprintf(out, NODE_PATH_MAX, "%s/%s", config->home, name);
    return size > 0 && size < NODE_PATH_MAX;
}

bool node_address_split(const char *address, char host[NODE_ADDRESS_MAX], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || strlen(address) >= NODE_ADDRESS_MAX)
        return false;
    uint64_t number = 0;
    if (!uint64_from_text(&number, colon + 1) || number > UINT16_MAX)
        return false;
    const char *begin = address;
    const char *end = colon;
    if (*begin == '[' && end[-1] == ']') {
        begin++;
        end--;
    }
    if (begin >= end)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *port = (uint16_t)number;
    return true;
}

/* A string under `key` into `out`; absent leaves the default if `required` is false. */
static bool take_text(const cJSON *object, const char *key, bool required, char *out, size_t size,
                      char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) == NULL)
        return !required || node_config_refuse(problem, "\"%s\" is missing", key);
    const char *text = json_string(object, key);
    if (text == NULL)
        return node_config_refuse(problem, "\"%s\" must be a string", key);
    if (strlen(text) >= size)
        return node_config_refuse(problem, "\"%s\" is longer than %zu bytes", key, size - 1);
    snprintf(out, size, "%s", text);
    return true;
}

static bool take_address(const cJSON *object, const char *key, bool required, bool may_be_empty,
                         char out[NODE_ADDRESS_MAX], char problem[NODE_PROBLEM_SIZE])
{
    if (!take_text(object, key, required, out, NODE_ADDRESS_MAX, problem))
        return false;
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    if ((out[0] == '\0' && may_be_empty) || node_address_split(out, host, &port))
        return true;
    return node_config_refuse(problem, "\"%s\" must be HOST:PORT", key);
}

static bool parse_peers(struct node_config *config, const cJSON *root,
                        char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(root, "peers") == NULL)
        return true;
    const cJSON *peers = json_array(root, "peers");
    if (peers == NULL)
        return node_config_refuse(problem, "\"peers\" must be a list");
    const cJSON *item = NULL;
    static const char *const known[] = {"key", "address", NULL};
    cJSON_ArrayForEach(item, peers)
    {
        uint32_t index = config->peer_count;
        if (index >= P2P_PEERS_MAX)
            return node_config_refuse(problem, "\"peers\" has more than %d entries", P2P_PEERS_MAX);
        if (!cJSON_IsObject(item))
            return node_config_refuse(problem, "peers[%u] must be an object", index);
        const char *unknown = json_unknown_key(item, known);
        if (unknown != NULL)
            return node_config_refuse(problem, "unknown key \"%.64s\" in peers[%u]", unknown,
                                      index);
        const char *key = json_string(item, "key");
        struct p2p_peer_config *peer = &config->peers[index];
        if (key == NULL || !hex_decode(peer->key.bytes, PUBLIC_KEY_SIZE, key))
            return node_config_refuse(problem, "peers[%u].key must be 64 lower-case hex digits",
                                      index);
        if (!take_address(item, "address", true, true, peer->address, problem))
            return false;
        for (uint32_t other = 0; other < index; other++) {
            if (public_key_equal(&config->peers[other].key, &peer->key))
                return node_config_refuse(problem, "peers[%u] has the key of peers[%u]", index,
                                          other);
        }
        config->peer_count++;
    }
    return true;
}

static bool parse_tls(struct node_config *config, const cJSON *root,
                      char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(root, "tls") == NULL)
        return true;
    const cJSON *tls = json_object(root, "tls");
    static const char *const known[] = {"ca", "certificate", "key", NULL};
    if (tls == NULL)
        return node_config_refuse(problem, "\"tls\" must be an object");
    const char *unknown = json_unknown_key(tls, known);
    if (unknown != NULL)
        return node_config_refuse(problem, "unknown key \"%.64s\" in \"tls\"", unknown);
    return take_text(tls, "ca", true, config->tls_ca, sizeof config->tls_ca, problem) &&
           take_text(tls, "certificate", true, config->tls_certificate,
                     sizeof config->tls_certificate, problem) &&
           take_text(tls, "key", true, config->tls_key, sizeof config->tls_key, problem);
}

static bool parse_log(struct node_config *config, const cJSON *root,
                      char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(root, "log") == NULL)
        return true;
    const cJSON *log = json_object(root, "log");
    static const char *const known[] = {"level", "json", "file", NULL};
    if (log == NULL)
        return node_config_refuse(problem, "\"log\" must be an object");
    const char *unknown = json_unknown_key(log, known);
    if (unknown != NULL)
        return node_config_refuse(problem, "unknown key \"%.64s\" in \"log\"", unknown);
    char level[16] = "info";
    if (!take_text(log, "level", false, level, sizeof level, problem))
        return false;
    if (!log_level_from_text(&config->log_level, level))
        return node_config_refuse(problem,
                                  "log.level must be trace, debug, info, unusual or broken");
    if (cJSON_GetObjectItemCaseSensitive(log, "json") != NULL &&
        !json_bool(&config->log_json, log, "json"))
        return node_config_refuse(problem, "log.json must be true or false");
    return take_text(log, "file", false, config->log_file, sizeof config->log_file, problem);
}

static bool parse_numbers(struct node_config *config, const cJSON *root,
                          char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(root, "map_bytes") != NULL) {
        if (!json_u64(&config->map_bytes, root, "map_bytes") || config->map_bytes < map_bytes_min)
            return node_config_refuse(problem,
                                      "\"map_bytes\" must be a decimal string, at least 256 KiB");
    }
    if (cJSON_GetObjectItemCaseSensitive(root, "map_bytes_max") != NULL) {
        if (!json_u64(&config->map_bytes_max, root, "map_bytes_max") ||
            config->map_bytes_max < config->map_bytes)
            return node_config_refuse(
                problem, "\"map_bytes_max\" must be a decimal string, at least map_bytes");
    }
    if (cJSON_GetObjectItemCaseSensitive(root, "map_bytes_step") != NULL) {
        if (!json_u64(&config->map_bytes_step, root, "map_bytes_step") ||
            config->map_bytes_step < map_bytes_min)
            return node_config_refuse(
                problem, "\"map_bytes_step\" must be a decimal string, at least 256 KiB");
    }
    if (config->map_bytes_max < config->map_bytes)
        config->map_bytes_max = config->map_bytes;
    if (cJSON_GetObjectItemCaseSensitive(root, "workers") != NULL) {
        if (!json_u32(&config->workers, root, "workers") || config->workers < 1 ||
            config->workers > NODE_WORKERS_MAX)
            return node_config_refuse(problem, "\"workers\" must be a number from 1 to %d",
                                      NODE_WORKERS_MAX);
    }
    return true;
}

static bool has(const cJSON *root, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(root, key) != NULL;
}

/* What the node keeps, and how it begins. An audit node keeps everything, from the first block on: it
 * is where the others' pruned blocks are to be had. */
static bool parse_retention(struct node_config *config, const cJSON *root,
                            char problem[NODE_PROBLEM_SIZE])
{
    char sync[16] = "replay";
    if (!take_text(root, "sync", false, sync, sizeof sync, problem))
        return false;
    config->sync_snapshot = strcmp(sync, "snapshot") == 0;
    if (!config->sync_snapshot && strcmp(sync, "replay") != 0)
        return node_config_refuse(problem, "\"sync\" must be \"replay\" or \"snapshot\"");
    if (has(root, "snapshot_blocks") &&
        !json_u64(&config->snapshot_blocks, root, "snapshot_blocks"))
        return node_config_refuse(problem, "\"snapshot_blocks\" must be a decimal string");
    if (has(root, "keep_days") &&
        (!json_u32(&config->keep_days, root, "keep_days") ||
         config->keep_days < NODE_KEEP_DAYS_MIN || config->keep_days > NODE_KEEP_DAYS_MAX))
        return node_config_refuse(
            problem,
            "\"keep_days\" must be a number from %d (no deadline of a delivery is "
            "longer) to %d",
            NODE_KEEP_DAYS_MIN, NODE_KEEP_DAYS_MAX);
    if (has(root, "witness_days") && (!json_u32(&config->witness_days, root, "witness_days") ||
                                      config->witness_days > NODE_KEEP_DAYS_MAX))
        return node_config_refuse(problem, "\"witness_days\" must be a number from 0 to %d",
                                  NODE_KEEP_DAYS_MAX);
    if (config->role == NODE_AUDIT && has(root, "witness_days"))
        return node_config_refuse(problem,
                                  "an audit node keeps all witnesses: no \"witness_days\"");
    if (has(root, "keep_blocks") && !json_u64(&config->keep_blocks, root, "keep_blocks"))
        return node_config_refuse(problem, "\"keep_blocks\" must be a decimal string");
    if (has(root, "keep_blocks") && config->keep_days == 0)
        return node_config_refuse(
            problem, "\"keep_blocks\" needs \"keep_days\": without it all blocks stay");
    if (config->role == NODE_AUDIT && (config->sync_snapshot || config->keep_days != 0))
        return node_config_refuse(problem,
                                  "an audit node replays and keeps all blocks: no \"sync\": "
                                  "\"snapshot\", no \"keep_days\"");
    if (config->keep_days != 0 && config->snapshot_blocks == 0)
        return node_config_refuse(
            problem, "\"keep_days\" needs snapshots: \"snapshot_blocks\" must not be 0");
    return true;
}

const char *node_read_access_name(enum node_read_access access)
{
    return access == NODE_READ_OPEN ? "open" : "role";
}

bool node_host_is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

bool node_config_reads_by_role(const struct node_config *config)
{
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    if (config->read_access != NODE_READ_UNSAID)
        return config->read_access == NODE_READ_ROLE;
    return !node_address_split(config->listen_api, host, &port) || !node_host_is_loopback(host);
}

static bool take_name(const cJSON *item, const char *key, struct name *out)
{
    const char *text = json_string(item, key);
    return text != NULL && name_from_text(out, text, strlen(text));
}

static bool parse_read_zones(struct node_config *config, const cJSON *root,
                             char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {"participant", "zone", NULL};
    const cJSON *zones = json_array(root, "read_zones");
    const cJSON *item = NULL;
    if (zones == NULL)
        return !has(root, "read_zones") ||
               node_config_refuse(problem, "\"read_zones\" must be a list");
    cJSON_ArrayForEach(item, zones)
    {
        const uint32_t index = config->read_zone_count;
        if (index >= NODE_READ_ZONES_MAX)
            return node_config_refuse(problem, "\"read_zones\" has more than %d entries",
                                      NODE_READ_ZONES_MAX);
        if (!cJSON_IsObject(item) || json_unknown_key(item, known) != NULL ||
            !take_name(item, "participant", &config->read_zones[index].participant) ||
            !take_name(item, "zone", &config->read_zones[index].zone))
            return node_config_refuse(
                problem, "read_zones[%u] must be {\"participant\":NAME,\"zone\":NAME}", index);
        config->read_zone_count++;
    }
    return true;
}

static bool parse_access(struct node_config *config, const cJSON *root,
                         char problem[NODE_PROBLEM_SIZE])
{
    char text[16] = "";
    if (!take_text(root, "read_access", false, text, sizeof text, problem))
        return false;
    if (!has(root, "read_access"))
        config->read_access = NODE_READ_UNSAID;
    else if (strcmp(text, "open") == 0)
        config->read_access = NODE_READ_OPEN;
    else if (strcmp(text, "role") == 0)
        config->read_access = NODE_READ_ROLE;
    else
        return node_config_refuse(problem, "\"read_access\" must be \"open\" or \"role\"");
    return parse_read_zones(config, root, problem);
}

static bool parse_signer(struct node_config *config, const cJSON *root,
                         char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {"socket", "key", NULL};
    if (!has(root, "signer"))
        return true;
    const cJSON *signer = json_object(root, "signer");
    if (signer == NULL)
        return node_config_refuse(problem, "\"signer\" must be an object");
    const char *unknown = json_unknown_key(signer, known);
    if (unknown != NULL)
        return node_config_refuse(problem, "unknown key \"%.64s\" in \"signer\"", unknown);
    const char *key = json_string(signer, "key");
    if (key == NULL || !hex_decode(config->signer_key.bytes, PUBLIC_KEY_SIZE, key))
        return node_config_refuse(problem, "signer.key must be 64 lower-case hex digits");
    return take_text(signer, "socket", true, config->signer_socket, SIGNER_PATH_MAX + 1, problem) &&
           (config->signer_socket[0] == '/' ||
            node_config_refuse(problem, "signer.socket must be an absolute path"));
}

/* Notes aside, which are text under a key that begins with a number sign. */
static bool has_only(const cJSON *root, const char *const *known, char problem[NODE_PROBLEM_SIZE])
{
    const cJSON *item;
    cJSON_ArrayForEach(item, root)
    {
        size_t i = 0;
        if (item->string[0] == '#') {
            if (!cJSON_IsString(item))
                return node_config_refuse(problem, "\"%.64s\" is a note, so it must be text",
                                          item->string);
            continue;
        }
        while (known[i] != NULL && strcmp(known[i], item->string) != 0)
            i++;
        if (known[i] == NULL)
            return node_config_refuse(problem, "unknown key \"%.64s\"", item->string);
    }
    return true;
}

static bool parse_root(struct node_config *config, const cJSON *root,
                       char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {"role",       "name",          "genesis",
                                        "listen_p2p", "listen_api",    "peers",
                                        "tls",        "log",           "clock_offset_file",
                                        "map_bytes",  "map_bytes_max", "map_bytes_step",
                                        "workers",    "sync",          "snapshot_blocks",
                                        "keep_days",  "keep_blocks",   "read_access",
                                        "read_zones", "witness_days",  "api",
                                        "signer",     "solver",        NULL};
    if (!cJSON_IsObject(root))
        return node_config_refuse(problem, "must be one JSON object");
    if (!has_only(root, known, problem))
        return false;
    char role[16] = "";
    char name[NAME_SIZE + 8] = "";
    if (!take_text(root, "role", true, role, sizeof role, problem) ||
        !take_text(root, "name", true, name, sizeof name, problem))
        return false;
    if (strcmp(role, "validator") != 0 && strcmp(role, "audit") != 0)
        return node_config_refuse(problem, "\"role\" must be \"validator\" or \"audit\"");
    config->role = strcmp(role, "audit") == 0 ? NODE_AUDIT : NODE_VALIDATOR;
    if (!name_from_text(&config->name, name, strlen(name)))
        return node_config_refuse(problem, "\"name\" must be 1 to %d of a-z 0-9 - _ .", NAME_SIZE);
    return take_text(root, "genesis", false, config->genesis, sizeof config->genesis, problem) &&
           take_address(root, "listen_p2p", true, true, config->listen_p2p, problem) &&
           take_address(root, "listen_api", false, false, config->listen_api, problem) &&
           take_text(root, "clock_offset_file", false, config->clock_offset_file,
                     sizeof config->clock_offset_file, problem) &&
           parse_peers(config, root, problem) && parse_tls(config, root, problem) &&
           parse_log(config, root, problem) && parse_numbers(config, root, problem) &&
           parse_retention(config, root, problem) && parse_access(config, root, problem) &&
           node_config_api_parse(&config->api, root, problem) &&
           node_config_solver_parse(&config->solver, root, config->role == NODE_VALIDATOR,
                                    problem) &&
           parse_signer(config, root, problem);
}

bool node_config_parse(struct node_config *config, const char *home, const char *text, size_t size,
                       char problem[NODE_PROBLEM_SIZE])
{
    if (strlen(home) >= sizeof config->home)
        return node_config_refuse(problem, "the home's name is longer than %d bytes",
                                  NODE_PATH_MAX - 1);
    node_config_init(config, home);
    char fault[JSON_PROBLEM_SIZE];
    cJSON *root = json_parse_strict(text, size, fault);
    if (root == NULL)
        return node_config_refuse(problem, "%s", fault);
    bool good = parse_root(config, root, problem);
    cJSON_Delete(root);
    return good;
}

bool node_config_load(struct node_config *config, const char *home, char problem[NODE_PROBLEM_SIZE])
{
    char path[2 * NODE_PATH_MAX];
    size_t size = 0;
    snprintf(path, sizeof path, "%.300s/flexd.json", home);
    char *text = node_file_read(path, NODE_CONFIG_BYTES_MAX, &size, problem);
    if (text == NULL)
        return access(path, F_OK) == 0 || errno != ENOENT
                   ? false
                   : node_config_refuse(problem, "%.180s: there is none; flexd init makes a home",
                                        path);
    char fault[NODE_PROBLEM_SIZE];
    bool good = node_config_parse(config, home, text, size, fault);
    free(text);
    return good || node_config_refuse(problem, "%.90s: %.150s", path, fault);
}

bool node_config_key(struct public_key *key, struct secret_key *seed,
                     const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (!node_config_path(path, config, "node.key"))
        return node_config_refuse(problem, "the home's name is too long");
    if (config->signer_socket[0] != '\0') {
        /* One line less in flexd.json, and the file's key would vote beside the signer's memory. */
        if (access(path, F_OK) == 0)
            return node_config_refuse(problem,
                                      "%.120s: a key beside a signer may vote without it: keep it "
                                      "elsewhere or delete it, then start",
                                      path);
        memset(seed, 0, sizeof *seed);
        *key = config->signer_key;
        return true;
    }
    if (!node_key_load(path, seed, problem))
        return false;
    ed25519_public_key(key, seed);
    return true;
}

static void add_read_zones(cJSON *list, const struct node_config *config)
{
    for (uint32_t i = 0; i < config->read_zone_count; i++) {
        char text[NAME_SIZE + 1];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "participant",
                                name_to_text(text, &config->read_zones[i].participant));
        cJSON_AddStringToObject(item, "zone", name_to_text(text, &config->read_zones[i].zone));
        cJSON_AddItemToArray(list, item);
    }
}

static cJSON *config_to_json(const struct node_config *config)
{
    cJSON *root = cJSON_CreateObject();
    char name[NAME_SIZE + 1];
    cJSON_AddStringToObject(root, "role", node_role_name(config->role));
    cJSON_AddStringToObject(root, "name", node_config_name(name, config));
    cJSON_AddStringToObject(root, "genesis", config->genesis);
    cJSON_AddStringToObject(root, "listen_p2p", config->listen_p2p);
    cJSON_AddStringToObject(root, "listen_api", config->listen_api);
    cJSON *peers = cJSON_AddArrayToObject(root, "peers");
    for (uint32_t i = 0; i < config->peer_count; i++) {
        char key[2 * PUBLIC_KEY_SIZE + 1];
        cJSON *peer = cJSON_CreateObject();
        hex_encode(key, config->peers[i].key.bytes, PUBLIC_KEY_SIZE);
        cJSON_AddStringToObject(peer, "key", key);
        cJSON_AddStringToObject(peer, "address", config->peers[i].address);
        cJSON_AddItemToArray(peers, peer);
    }
    cJSON *tls = cJSON_AddObjectToObject(root, "tls");
    cJSON_AddStringToObject(tls, "ca", config->tls_ca);
    cJSON_AddStringToObject(tls, "certificate", config->tls_certificate);
    cJSON_AddStringToObject(tls, "key", config->tls_key);
    cJSON *log = cJSON_AddObjectToObject(root, "log");
    cJSON_AddStringToObject(log, "level", log_level_texts[config->log_level]);
    cJSON_AddBoolToObject(log, "json", config->log_json);
    if (config->log_file[0] != '\0')
        cJSON_AddStringToObject(log, "file", config->log_file);
    if (config->clock_offset_file[0] != '\0')
        cJSON_AddStringToObject(root, "clock_offset_file", config->clock_offset_file);
    if (config->map_bytes != map_bytes_default)
        json_add_u64(root, "map_bytes", config->map_bytes);
    if (config->map_bytes_max != map_bytes_max_default)
        json_add_u64(root, "map_bytes_max", config->map_bytes_max);
    if (config->map_bytes_step != 0)
        json_add_u64(root, "map_bytes_step", config->map_bytes_step);
    if (config->workers != 0)
        cJSON_AddNumberToObject(root, "workers", config->workers);
    if (config->sync_snapshot)
        cJSON_AddStringToObject(root, "sync", "snapshot");
    if (config->snapshot_blocks != snapshot_blocks_default)
        json_add_u64(root, "snapshot_blocks", config->snapshot_blocks);
    if (config->keep_days != 0)
        cJSON_AddNumberToObject(root, "keep_days", config->keep_days);
    if (config->keep_blocks != keep_blocks_default && config->keep_days != 0)
        json_add_u64(root, "keep_blocks", config->keep_blocks);
    if (config->read_access != NODE_READ_UNSAID)
        cJSON_AddStringToObject(root, "read_access", node_read_access_name(config->read_access));
    if (config->read_zone_count > 0)
        add_read_zones(cJSON_AddArrayToObject(root, "read_zones"), config);
    if (config->witness_days != NODE_WITNESS_DAYS_DEFAULT && config->role != NODE_AUDIT)
        cJSON_AddNumberToObject(root, "witness_days", config->witness_days);
    node_config_api_add(root, &config->api);
    node_config_solver_add(root, &config->solver);
    if (config->signer_socket[0] != '\0') {
        char key[2 * PUBLIC_KEY_SIZE + 1];
        cJSON *signer = cJSON_AddObjectToObject(root, "signer");
        hex_encode(key, config->signer_key.bytes, PUBLIC_KEY_SIZE);
        cJSON_AddStringToObject(signer, "socket", config->signer_socket);
        cJSON_AddStringToObject(signer, "key", key);
    }
    return root;
}

bool node_config_save(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    cJSON *root = config_to_json(config);
    node_config_add_notes(root);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL)
        return node_config_refuse(problem, "out of memory");
    size_t size = strlen(text);
    text[size] = '\n'; /* in the place of the NUL: the size is explicit from here on */
    char path[2 * NODE_PATH_MAX];
    snprintf(path, sizeof path, "%s/flexd.json", config->home);
    bool good = node_file_write(path, text, size + 1, 0644, problem);
    free(text);
    return good;
}
