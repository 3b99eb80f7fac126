/* libmicrohttpd in front of meter_service_answer (server.h).
 *
 * Invariants: a body is collected up to the size of the largest request and no further; one request is
 * answered at a time, because rights are proven over one connection to a node; whoever is slow costs a
 * connection and nothing else.
 *
 * Deliberately absent: TLS, ranges, keeping answers. */
#include "tools/meterd/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fatal.h"

struct meter_server {
    struct meter_service *service;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
};

struct exchange {
    size_t size;
    bool oversized;
    uint8_t body[ACCESS_REQUEST_BYTES_MAX];
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, char *body,
                             enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, mode);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *code,
                              const char *reason)
{
    char body[256];
    snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"reason\":\"%s\"}}", code, reason);
    return reply(connection, status, body, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer(struct meter_server *server, struct MHD_Connection *connection,
                              enum access_purpose purpose, const struct exchange *exchange)
{
    char *body = NULL;
    if (exchange->oversized) {
        return refuse(connection, 413, "oversized", "no request is that long");
    }
    MUST(pthread_mutex_lock(&server->lock) == 0);
    const unsigned status = meter_service_answer(
        server->service, purpose, bytes_view_of(exchange->body, exchange->size), &body);
    MUST(pthread_mutex_unlock(&server->lock) == 0);
    return reply(connection, status, body, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **state)
{
    struct meter_server *server = context;
    struct exchange *exchange = *state;
    (void)version;
    const bool read = strcmp(url, "/v1/readings") == 0;
    const bool erase = strcmp(url, "/v1/erase") == 0;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
        *state = exchange;
        return exchange != NULL ? MHD_YES : MHD_NO;
    }
    if (*data_size > 0) {
        const size_t room = sizeof exchange->body - exchange->size;
        const size_t taken = *data_size < room ? *data_size : room;
        memcpy(exchange->body + exchange->size, data, taken);
        exchange->size += taken;
        exchange->oversized = exchange->oversized || taken < *data_size;
        *data_size = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/health") == 0 && strcmp(method, "GET") == 0) {
        char alive[] = "{\"ok\":true}";
        return reply(connection, 200, alive, MHD_RESPMEM_MUST_COPY);
    }
    if (!read && !erase) {
        return refuse(connection, 404, "not_found", "no such path");
    }
    if (strcmp(method, "POST") != 0) {
        return refuse(connection, 405, "method_not_allowed", "this path takes POST");
    }
    return answer(server, connection, erase ? ACCESS_ERASE : ACCESS_READ, exchange);
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    free(*state);
    *state = NULL;
}

static bool parse_address(struct sockaddr_storage *out, const char *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return true;
    }
    return false;
}

struct meter_server *meter_server_start(struct meter_service *service, const char *address,
                                        uint16_t port, char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct sockaddr_storage place;
    if (!parse_address(&place, address, port)) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "'%.60s' is not a numeric address", address);
        return NULL;
    }
    struct meter_server *server = calloc(1, sizeof *server);
    MUST(server != NULL && pthread_mutex_init(&server->lock, NULL) == 0);
    server->service = service;
    const unsigned v6 = place.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    server->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | v6, port, NULL, NULL, handle, server,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&place, MHD_OPTION_NOTIFY_COMPLETED, completed,
        server, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS_PER_ADDRESS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_TIMEOUT_S, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)SERVER_THREADS, MHD_OPTION_END);
    if (server->daemon == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "listening on %.60s port %u: %s", address, port,
                 strerror(errno));
        MUST(pthread_mutex_destroy(&server->lock) == 0);
        free(server);
        return NULL;
    }
    return server;
}

uint16_t meter_server_port(const struct meter_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

void meter_server_stop(struct meter_server *server)
{
    MHD_stop_daemon(server->daemon);
    MUST(pthread_mutex_destroy(&server->lock) == 0);
    free(server);
}
