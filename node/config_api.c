/* The "api" object of flexd.json: TLS, web pages, limits (docs/spec/config.md, "api"; docs/adr/0055).
 *
 * Invariants: a certificate never stands without its key; an origin is a scheme and a host and nothing
 * more, so that comparing bytes is comparing origins; a burst is never below one request.
 *
 * Deliberately absent: "*" among origins and hosts. Who wants every web page to read the ledger in the
 * name of whoever looks at it should say so in a proxy. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "node/config_internal.h"

static const char host_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

void node_config_api_init(struct node_config_api *api)
{
    memset(api, 0, sizeof *api);
    api->address_rate = NODE_API_ADDRESS_RATE_DEFAULT;
    api->address_burst = NODE_API_ADDRESS_BURST_DEFAULT;
    api->key_rate = NODE_API_KEY_RATE_DEFAULT;
    api->key_burst = NODE_API_KEY_BURST_DEFAULT;
    api->streams = NODE_API_STREAMS_DEFAULT;
}

static bool has(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key) != NULL;
}

static bool take_number(const cJSON *object, const char *key, uint32_t min, uint32_t max,
                        uint32_t *out, char problem[NODE_PROBLEM_SIZE])
{
    if (!has(object, key) || (json_u32(out, object, key) && *out >= min && *out <= max))
        return true;
    return node_config_refuse(problem, "api.%s must be a number from %u to %u", key, min, max);
}

static bool take_rate(const cJSON *object, const char *key, uint32_t min, uint32_t *out,
                      char problem[NODE_PROBLEM_SIZE])
{
    return take_number(object, key, min, NODE_API_RATE_MAX, out, problem);
}

/* A name in lower case, as browsers send it. */
static bool is_host(const char *text, size_t length)
{
    return length > 0 && strspn(text, host_letters) >= length;
}

/* "http://HOST" or "https://HOST", a port if it isn't the scheme's own, and no slash behind. */
static bool is_origin(const char *text)
{
    const char *host = NULL;
    if (strncmp(text, "http://", 7) == 0)
        host = text + 7;
    else if (strncmp(text, "https://", 8) == 0)
        host = text + 8;
    if (host == NULL)
        return false;
    const size_t length = strcspn(host, ":");
    uint64_t port = 1;
    if (host[length] == ':' && (!uint64_from_text(&port, host + length + 1) || port > UINT16_MAX))
        return false;
    return port != 0 && is_host(host, length);
}

static bool is_plain_host(const char *text)
{
    return is_host(text, strlen(text));
}

static bool take_list(const cJSON *object, const char *key, bool (*fits)(const char *text),
                      const char *what, char out[NODE_API_ORIGINS_MAX][NODE_API_HOST_MAX],
                      uint32_t *count, char problem[NODE_PROBLEM_SIZE])
{
    const cJSON *list = json_array(object, key);
    const cJSON *item = NULL;
    if (list == NULL)
        return !has(object, key) || node_config_refuse(problem, "api.%s must be a list", key);
    cJSON_ArrayForEach(item, list)
    {
        if (*count >= NODE_API_ORIGINS_MAX)
            return node_config_refuse(problem, "api.%s has more than %d entries", key,
                                      NODE_API_ORIGINS_MAX);
        if (!cJSON_IsString(item) || strlen(item->valuestring) >= NODE_API_HOST_MAX ||
            !fits(item->valuestring))
            return node_config_refuse(problem, "api.%s[%u] must be %s", key, *count, what);
        (void)snprintf(out[(*count)++], NODE_API_HOST_MAX, "%s", item->valuestring);
    }
    return true;
}

static bool take_tls(struct node_config_api *api, const cJSON *object,
                     char problem[NODE_PROBLEM_SIZE])
{
    if (!node_config_take_file(object, "api", "certificate", api->certificate, problem) ||
        !node_config_take_file(object, "api", "key", api->key, problem))
        return false;
    if ((api->certificate[0] == '\0') != (api->key[0] == '\0'))
        return node_config_refuse(problem, "api.certificate and api.key go together");
    if (!has(object, "tls_min"))
        return true;
    const char *version = json_string(object, "tls_min");
    if (version == NULL || (strcmp(version, "1.2") != 0 && strcmp(version, "1.3") != 0))
        return node_config_refuse(problem, "api.tls_min must be \"1.2\" or \"1.3\"");
    if (api->certificate[0] == '\0')
        return node_config_refuse(problem, "api.tls_min needs api.certificate and api.key");
    api->tls13_only = strcmp(version, "1.3") == 0;
    return true;
}

bool node_config_api_parse(struct node_config_api *api, const cJSON *root,
                           char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {
        "certificate",   "key",      "tls_min",   "origins",        "hosts",   "address_rate",
        "address_burst", "key_rate", "key_burst", "limit_loopback", "streams", NULL};
    if (!has(root, "api"))
        return true;
    const cJSON *object = json_object(root, "api");
    if (object == NULL)
        return node_config_refuse(problem, "\"api\" must be an object");
    const char *unknown = json_unknown_key(object, known);
    if (unknown != NULL)
        return node_config_refuse(problem, "unknown key \"%.64s\" in \"api\"", unknown);
    if (has(object, "limit_loopback") && !json_bool(&api->limit_loopback, object, "limit_loopback"))
        return node_config_refuse(problem, "api.limit_loopback must be true or false");
    return take_tls(api, object, problem) &&
           take_list(object, "origins", is_origin, "http(s)://HOST[:PORT] in lower case",
                     api->origins, &api->origin_count, problem) &&
           take_list(object, "hosts", is_plain_host, "a host's name in lower case, without port",
                     api->hosts, &api->host_count, problem) &&
           take_rate(object, "address_rate", 0, &api->address_rate, problem) &&
           take_rate(object, "address_burst", 1, &api->address_burst, problem) &&
           take_rate(object, "key_rate", 0, &api->key_rate, problem) &&
           take_rate(object, "key_burst", 1, &api->key_burst, problem) &&
           take_number(object, "streams", 1, NODE_API_STREAMS_MAX, &api->streams, problem);
}

static void add_list(cJSON *object, const char *key,
                     const char list[NODE_API_ORIGINS_MAX][NODE_API_HOST_MAX], uint32_t count)
{
    if (count == 0)
        return;
    cJSON *items = cJSON_AddArrayToObject(object, key);
    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(items, cJSON_CreateString(list[i]));
}

static void add_number(cJSON *object, const char *key, uint32_t value, uint32_t standard)
{
    if (value != standard)
        cJSON_AddNumberToObject(object, key, value);
}

void node_config_api_add(cJSON *root, const struct node_config_api *api)
{
    cJSON *object = cJSON_CreateObject();
    if (api->certificate[0] != '\0') {
        cJSON_AddStringToObject(object, "certificate", api->certificate);
        cJSON_AddStringToObject(object, "key", api->key);
        if (api->tls13_only)
            cJSON_AddStringToObject(object, "tls_min", "1.3");
    }
    add_list(object, "origins", api->origins, api->origin_count);
    add_list(object, "hosts", api->hosts, api->host_count);
    add_number(object, "address_rate", api->address_rate, NODE_API_ADDRESS_RATE_DEFAULT);
    add_number(object, "address_burst", api->address_burst, NODE_API_ADDRESS_BURST_DEFAULT);
    add_number(object, "key_rate", api->key_rate, NODE_API_KEY_RATE_DEFAULT);
    add_number(object, "key_burst", api->key_burst, NODE_API_KEY_BURST_DEFAULT);
    add_number(object, "streams", api->streams, NODE_API_STREAMS_DEFAULT);
    if (api->limit_loopback)
        cJSON_AddBoolToObject(object, "limit_loopback", true);
    if (cJSON_GetArraySize(object) > 0)
        cJSON_AddItemToObject(root, "api", object);
    else
        cJSON_Delete(object);
}
