/* What a request must keep before its route is looked for (docs/spec/api.md, "Limits"; docs/adr/0055).
 *
 *   connection   its address has one left in the bucket of connections
 *   request      its address has one left -> request line -> headers, each once -> length -> Host -> Origin
 *
 * Invariants: a message whose end two programs could see in different places is refused and ends its
 * connection: a proxy in front of us must not take part of one request for the next. No rule looks at the
 * ledger. A refusal by a rule costs less than the request would have.
 *
 * Deliberately absent: buckets of forwarded addresses. `X-Forwarded-For` is whatever its sender says; a
 * proxy that hides its clients limits them itself (operator guide). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fatal.h"
#include "node/api_internal.h"
#include "node/rate.h"

enum { CONNECTIONS_PER_REQUEST = 2 };

struct api_limits {
    bool limit_loopback;
    struct rate_table *connections;
    struct rate_table *addresses;
    struct rate_table *readers; /* signed requests, by key */
    struct rate_table *senders; /* transactions, by key */
};

struct api_limits *api_limits_create(const struct node_config_api *config)
{
    struct api_limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL)
        return NULL;
    uint32_t rate = config->address_rate * CONNECTIONS_PER_REQUEST;
    uint32_t burst = config->address_burst * CONNECTIONS_PER_REQUEST;
    limits->limit_loopback = config->limit_loopback;
    limits->connections = rate_table_create(rate < NODE_API_RATE_MAX ? rate : NODE_API_RATE_MAX,
                                            burst < NODE_API_RATE_MAX ? burst : NODE_API_RATE_MAX);
    limits->addresses = rate_table_create(config->address_rate, config->address_burst);
    limits->readers = rate_table_create(config->key_rate, config->key_burst);
    limits->senders = rate_table_create(config->key_rate, config->key_burst);
    if (limits->connections != NULL && limits->addresses != NULL && limits->readers != NULL &&
        limits->senders != NULL)
        return limits;
    api_limits_destroy(limits);
    return NULL;
}

void api_limits_destroy(struct api_limits *limits)
{
    if (limits == NULL)
        return;
    rate_table_destroy(limits->connections);
    rate_table_destroy(limits->addresses);
    rate_table_destroy(limits->readers);
    rate_table_destroy(limits->senders);
    free(limits);
}

/* --- who is counted as one ------------------------------------------------------------------------ */

/* The four bytes of IPv4, also where it comes as IPv6, or the network half of IPv6: whoever has one
 * address of a /64 has them all. 0: not an address of these. */
static size_t address_id(uint8_t id[API_ADDRESS_ID_MAX], bool *loopback,
                         const struct sockaddr *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *four = NULL;
    *loopback = false;
    if (address->sa_family == AF_INET) {
        four = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (memcmp(six->s6_addr, mapped, sizeof mapped) == 0) {
            four = six->s6_addr + sizeof mapped;
        } else {
            *loopback = IN6_IS_ADDR_LOOPBACK(six);
            memcpy(id, six->s6_addr, API_ADDRESS_ID_MAX);
            return API_ADDRESS_ID_MAX;
        }
    }
    if (four == NULL)
        return 0;
    *loopback = four[0] == 127;
    memcpy(id, four, 4);
    return 4;
}

/* The same, and 0 of what the configuration leaves uncounted. */
static size_t counted_id(const struct api_limits *limits, uint8_t id[API_ADDRESS_ID_MAX],
                         const struct sockaddr *address)
{
    bool loopback = false;
    const size_t size = address_id(id, &loopback, address);
    return loopback && !limits->limit_loopback ? 0 : size;
}

static bool take_address(const struct api_limits *limits, struct rate_table *table,
                         const struct sockaddr *address, uint32_t *retry_seconds)
{
    uint8_t id[API_ADDRESS_ID_MAX];
    const size_t size = counted_id(limits, id, address);
    *retry_seconds = 0;
    if (size == 0)
        return true;
    return rate_table_take(table, retry_seconds, id, size, node_clock_monotonic_ms() * 1000);
}

/* Where an allocation fails in the midst of a TLS handshake, GMP and libtasn1 take the process along
 * (docs/adr/0053). So no connection is begun that memory is not there for; what was there a moment ago mostly
 * still is. */
static bool has_memory(void)
{
    void *probe = malloc(API_PROBE_BYTES);
    /* Else a compiler may see that nobody looks at it. */
    __asm__ volatile("" : : "r"(probe) : "memory");
    free(probe);
    return probe != NULL;
}

enum MHD_Result api_limits_accept(void *context, const struct sockaddr *address,
                                  socklen_t address_size)
{
    const struct api_limits *limits = context;
    uint32_t retry_seconds = 0;
    (void)address_size;
    return has_memory() && take_address(limits, limits->connections, address, &retry_seconds)
               ? MHD_YES
               : MHD_NO;
}

void api_reply_limited(struct api_reply *reply, uint32_t retry_seconds)
{
    reply->retry_seconds = retry_seconds;
    api_reply_error(
        reply, MHD_HTTP_TOO_MANY_REQUESTS, "rate_limited",
        "too many requests; Retry-After says in how many seconds there is room for one");
}

static const struct sockaddr *address_of(const struct api_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL ? info->client_addr : NULL;
}

size_t api_limits_address(const struct api_limits *limits, const struct api_request *request,
                          uint8_t id[API_ADDRESS_ID_MAX])
{
    const struct sockaddr *address = address_of(request);
    return address != NULL ? counted_id(limits, id, address) : 0;
}

bool api_limits_take_address(struct api_limits *limits, const struct api_request *request,
                             struct api_reply *reply)
{
    const struct sockaddr *address = address_of(request);
    uint32_t retry_seconds = 0;
    if (address == NULL || take_address(limits, limits->addresses, address, &retry_seconds))
        return true;
    api_reply_limited(reply, retry_seconds);
    return false;
}

static bool take_key(struct rate_table *table, const struct public_key *key,
                     uint32_t *retry_seconds)
{
    return rate_table_take(table, retry_seconds, key->bytes, sizeof key->bytes,
                           node_clock_monotonic_ms() * 1000);
}

bool api_limits_take_reader(struct api_limits *limits, const struct public_key *key,
                            struct api_reply *reply)
{
    uint32_t retry_seconds = 0;
    if (take_key(limits->readers, key, &retry_seconds))
        return true;
    api_reply_limited(reply, retry_seconds);
    return false;
}

bool api_limits_take_key(struct api_limits *limits, const struct public_key *key,
                         uint32_t *retry_seconds)
{
    return take_key(limits->senders, key, retry_seconds);
}

/* --- request line and headers ------------------------------------------------------------------- */

static bool is_hex(char digit)
{
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') ||
           (digit >= 'A' && digit <= 'F');
}

bool api_target_is_clean(const char *target)
{
    if (target[0] != '/')
        return false;
    for (const char *at = target; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f || *at == '#')
            return false;
        if (*at != '%')
            continue;
        /* An escaped NUL would end the path for us, and for no proxy in front of us. */
        if (!is_hex(at[1]) || !is_hex(at[2]) || (at[1] == '0' && at[2] == '0'))
            return false;
        at += 2;
    }
    return true;
}

enum header { HOST, LENGTH, CODING, AUTHORIZATION, TYPE, ORIGIN, LAST_EVENT, EXPECT, HEADERS };
static const char *const header_names[HEADERS] = {
    "Host",         "Content-Length", "Transfer-Encoding", "Authorization",
    "Content-Type", "Origin",         "Last-Event-ID",     "Expect"};

struct headers {
    uint32_t count;
    bool twice;
    bool malformed;
    const char *value[HEADERS];
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct headers *headers = context;
    (void)kind;
    headers->count++;
    /* "Content-Length : 5" is a length to one program and nothing to another. */
    headers->malformed = headers->malformed || name[0] == '\0' || strpbrk(name, " \t") != NULL;
    for (int i = 0; i < HEADERS; i++) {
        if (strcasecmp(name, header_names[i]) == 0) {
            headers->twice = headers->twice || headers->value[i] != NULL;
            headers->value[i] = value != NULL ? value : "";
        }
    }
    return MHD_YES;
}

static bool refuse(struct api_reply *reply, unsigned status, const char *code, const char *reason)
{
    reply->ends = true;
    api_reply_error(reply, status, code, reason);
    return false;
}

/* Where the body ends, in one way only. */
static bool check_length(const struct headers *headers, struct api_reply *reply,
                         const char *version)
{
    const char *coding = headers->value[CODING];
    const char *length = headers->value[LENGTH];
    uint64_t size = 0;
    if (coding != NULL && (length != NULL || strcmp(version, MHD_HTTP_VERSION_1_1) != 0))
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "bad_framing",
                      "a body has a Content-Length or is chunked, not both, and is chunked in "
                      "HTTP/1.1 only");
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return refuse(reply, MHD_HTTP_NOT_IMPLEMENTED, "bad_framing",
                      "no Transfer-Encoding but chunked is known");
    if (length == NULL)
        return true;
    /* Leading zeros are another program's octal. */
    if (!uint64_from_text(&size, length))
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "bad_framing",
                      "Content-Length must be a decimal number");
    if (size > API_BODY_READ_MAX)
        return refuse(reply, MHD_HTTP_CONTENT_TOO_LARGE, "body_too_large",
                      "no request has a body of that size");
    return true;
}

/* The name or address in a Host, without its port; false if it isn't one. */
static bool split_host(const char *text, char host[NODE_API_HOST_MAX], bool *bracketed)
{
    *bracketed = text[0] == '[';
    const char *begin = *bracketed ? text + 1 : text;
    const size_t length = strcspn(begin, *bracketed ? "]" : ":");
    const char *end = begin + length;
    if (length == 0 || length >= NODE_API_HOST_MAX || (*bracketed && *end != ']'))
        return false;
    const char *port = *bracketed ? end + 1 : end;
    if (*port != '\0' && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1) ||
                          strlen(port + 1) > 5))
        return false;
    for (size_t i = 0; i < length; i++) {
        const char letter = begin[i] >= 'A' && begin[i] <= 'Z' ? (char)(begin[i] + 32) : begin[i];
        const bool good = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                          letter == '-' || letter == '.' || letter == '_' ||
                          (*bracketed && letter == ':');
        if (!good)
            return false;
        host[i] = letter;
    }
    host[length] = '\0';
    return true;
}

enum api_host api_host_of(const char *text, const struct node_config_api *config, bool any)
{
    char host[NODE_API_HOST_MAX];
    struct in_addr four;
    struct in6_addr six;
    bool bracketed = false;
    if (!split_host(text, host, &bracketed))
        return API_HOST_MALFORMED;
    if (bracketed)
        return inet_pton(AF_INET6, host, &six) == 1 ? API_HOST_GOOD : API_HOST_MALFORMED;
    bool good = any || inet_pton(AF_INET, host, &four) == 1 || strcmp(host, "localhost") == 0;
    for (uint32_t i = 0; i < config->host_count; i++)
        good = good || strcmp(config->hosts[i], host) == 0;
    return good ? API_HOST_GOOD : API_HOST_ANOTHERS;
}

/* A web page that has its own name lead to 127.0.0.1 is of the same origin as what answers there; all that
 * tells it from a wallet is the name that its browser asks for. */
static bool check_host(const struct headers *headers, const struct node_config *config,
                       struct api_reply *reply, const char *version)
{
    char listens[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    const char *host = headers->value[HOST];
    if (host == NULL && strcmp(version, MHD_HTTP_VERSION_1_0) == 0)
        return true;
    const bool any =
        config->api.host_count == 0 && (!node_address_split(config->listen_api, listens, &port) ||
                                        !node_host_is_loopback(listens));
    switch (host != NULL ? api_host_of(host, &config->api, any) : API_HOST_MALFORMED) {
    case API_HOST_GOOD:
        return true;
    case API_HOST_MALFORMED:
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "bad_host", "Host must be NAME or NAME:PORT");
    case API_HOST_ANOTHERS:
        return refuse(reply, MHD_HTTP_MISDIRECTED_REQUEST, "wrong_host",
                      "this node does not answer to that name; api.hosts in flexd.json lists those "
                      "that it does");
    }
    MUST(false);
    return false;
}

static void find_origin(struct api_request *request, const struct headers *headers)
{
    const struct node_config_api *config = &request->node->config.api;
    for (uint32_t i = 0; headers->value[ORIGIN] != NULL && i < config->origin_count; i++) {
        if (strcmp(config->origins[i], headers->value[ORIGIN]) == 0)
            request->origin = config->origins[i];
    }
}

bool api_rules_check(struct api_request *request, struct api_reply *reply, const char *version)
{
    struct headers headers = {0};
    if (strlen(request->target) > READ_REQUEST_TARGET_MAX)
        return refuse(reply, MHD_HTTP_URI_TOO_LONG, "uri_too_long",
                      "a path with its query has at most 2048 bytes");
    if (!api_target_is_clean(request->target))
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "bad_target",
                      "a target is a path and a query of printable ASCII, every % with two hex "
                      "digits behind it, and none of them %00");
    if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)
        return refuse(reply, MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED, "bad_version",
                      "HTTP/1.1 or HTTP/1.0");
    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, take_header, &headers);
    if (headers.count > API_HEADERS_MAX)
        return refuse(reply, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers",
                      "a request has at most 64 headers");
    if (headers.malformed)
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "bad_header",
                      "a header's name stands right before its colon");
    if (headers.twice)
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "duplicate_header",
                      "a header that may stand once stands there twice");
    if (!check_length(&headers, reply, version) ||
        !check_host(&headers, &request->node->config, reply, version))
        return false;
    find_origin(request, &headers);
    return true;
}

bool api_rules_is_preflight(const struct api_request *request)
{
    return request->origin != NULL && strcmp(request->method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
           MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                       "Access-Control-Request-Method") != NULL;
}
