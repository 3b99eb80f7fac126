/* The API's life: daemon, limits, door and streams from start to stop (node/api.h).
 *
 * Order of a stop: quiesce (no new calls, streams end) -> the inbox answers what is out -> the daemon stops
 * -> everything is freed. libmicrohttpd's threads run between start_daemon and MHD_stop_daemon and use
 * nothing that is made later or freed earlier.
 *
 * Deliberately absent: a second listener. Who wants plain HTTP for a proxy on this machine and TLS for the
 * world has the proxy do both. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"

__attribute__((format(printf, 2, 0))) static void log_daemon(void *context, const char *format,
                                                             va_list arguments)
{
    char text[256];
    (void)context;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "http: %s", text);
}

/* --- life --------------------------------------------------------------------------------- */

static struct addrinfo *resolve(const char *address, char problem[NODE_PROBLEM_SIZE])
{
    char host[NODE_ADDRESS_MAX];
    char service[8];
    uint16_t port = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    MUST(node_address_split(address, host, &port)); /* the configuration has been checked */
    snprintf(service, sizeof service, "%u", (unsigned)port);
    int status = getaddrinfo(host, service, &hints, &found);
    if (status != 0)
        snprintf(problem, NODE_PROBLEM_SIZE, "%s: %s", address, gai_strerror(status));
    return status == 0 ? found : NULL;
}

static bool start_daemon(struct api *api, char problem[NODE_PROBLEM_SIZE])
{
    const char *address = api->node->config.listen_api;
    struct addrinfo *where = resolve(address, problem);
    if (where == NULL)
        return false;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[3] = {{MHD_OPTION_END, 0, NULL}};
    if (where->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    if (api->tls != NULL) {
        flags |= MHD_USE_TLS;
        tls[0] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, api_tls_callback(api->tls)};
        tls[1] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                    (void *)(uintptr_t)api_tls_priorities(&api->node->config.api)};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    api->daemon = MHD_start_daemon(
        flags, 0, api_limits_accept, api->limits, api_handle, api, MHD_OPTION_EXTERNAL_LOGGER,
        log_daemon, NULL, MHD_OPTION_SOCK_ADDR, where->ai_addr, MHD_OPTION_URI_LOG_CALLBACK,
        api_note_target, api, MHD_OPTION_NOTIFY_COMPLETED, api_completed, api,
        MHD_OPTION_NOTIFY_CONNECTION, api_connections_notify, api->connections,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)API_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)API_CONNECTION_BYTES, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)API_THREADS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)API_BACKLOG,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    freeaddrinfo(where);
    if (api->daemon == NULL)
        snprintf(problem, NODE_PROBLEM_SIZE, "cannot listen on %s (is the port in use?)", address);
    return api->daemon != NULL;
}

static void free_api(struct api *api)
{
    if (api == NULL)
        return;
    if (api->streams != NULL)
        api_streams_destroy(api->streams);
    if (api->connections != NULL)
        api_connections_destroy(api->connections);
    api_gate_destroy(api->gate);
    api_limits_destroy(api->limits);
    api_tls_destroy(api->tls);
    free(api);
}

/* An API that others reach and that tells them everything is nothing to find out later. */
static void say_access(const struct node_config *config)
{
    struct node_config unsaid = *config;
    unsaid.read_access = NODE_READ_UNSAID;
    const bool by_role = node_config_reads_by_role(config);
    if (!by_role && node_config_reads_by_role(&unsaid))
        log_line(LOG_UNUSUAL, "api: %s tells everything to everybody (\"read_access\": \"open\")",
                 config->listen_api);
    else
        log_line(LOG_INFO, "api: reads are %s", by_role ? "given by role" : "open");
    char host[NODE_ADDRESS_MAX];
    uint16_t port = 0;
    const bool alone =
        node_address_split(config->listen_api, host, &port) && node_host_is_loopback(host);
    if (!alone && config->api.certificate[0] == '\0')
        log_line(LOG_UNUSUAL,
                 "api: %s speaks plain HTTP beyond this machine; give it a certificate "
                 "(\"api\"), or let it listen on 127.0.0.1 behind a proxy that has one",
                 config->listen_api);
    if (!alone && config->role == NODE_VALIDATOR)
        log_line(LOG_UNUSUAL,
                 "api: a validator listens on %s, for others than this machine; an audit "
                 "node is made to face the world",
                 config->listen_api);
}

struct api *api_start(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    struct api *api = calloc(1, sizeof *api);
    if (api != NULL) {
        api->streams = api_streams_create(node, &api->budget);
        api->connections = api_connections_create(&node->metrics);
        api->gate = api_gate_create(node);
        api->limits = api_limits_create(&node->config.api);
    }
    if (api == NULL || api->streams == NULL || api->connections == NULL || api->gate == NULL ||
        api->limits == NULL) {
        snprintf(problem, NODE_PROBLEM_SIZE, "out of memory");
        free_api(api);
        return NULL;
    }
    if (node->config.api.certificate[0] != '\0' &&
        (api->tls = api_tls_create(&node->config, problem)) == NULL) {
        free_api(api);
        return NULL;
    }
    api->node = node;
    api_reply_watch_memory();
    MUST(pthread_mutex_init(&api->lock, NULL) == 0);
    say_access(&node->config);
    if (!start_daemon(api, problem)) {
        MUST(pthread_mutex_destroy(&api->lock) == 0);
        free_api(api);
        return NULL;
    }
    return api;
}

uint16_t api_port(const struct api *api)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

void api_quiesce(struct api *api)
{
    MUST(pthread_mutex_lock(&api->lock) == 0);
    api->stopping = true;
    MUST(pthread_mutex_unlock(&api->lock) == 0);
    api_streams_end(api->streams);
}

void api_stop(struct api *api)
{
    MHD_stop_daemon(api->daemon);
    MUST(pthread_mutex_destroy(&api->lock) == 0);
    free_api(api);
}

void api_block_committed(struct api *api, uint64_t height)
{
    if (api != NULL)
        api_streams_publish(api->streams, height);
}

void api_housekeeping(struct api *api)
{
    if (api == NULL)
        return;
    api_streams_housekeeping(api->streams);
    api_connections_housekeeping(api->connections);
}

void api_reload(struct api *api)
{
    char problem[NODE_PROBLEM_SIZE];
    if (api == NULL || api->tls == NULL)
        return;
    if (!api_tls_reload(api->tls, &api->node->config, problem))
        log_line(LOG_UNUSUAL, "api: %s -> the certificate stays as it was", problem);
}

bool api_key_may(struct api *api, const struct public_key *key, uint32_t *retry_seconds)
{
    return api == NULL || api_limits_take_key(api->limits, key, retry_seconds);
}
