/* The meter-data service over HTTP (docs/spec/meter.md 5): the only file of tools/ that knows
 * libmicrohttpd is server.c.
 *
 *   POST /v1/readings  a signed request (access.h) -> flexreveal/1
 *   POST /v1/erase     a signed request -> {"erased_readings"}
 *   GET  /health       200 while the process answers
 *
 * Bounded in connections, bodies and time. TLS is a reverse proxy's, as for a node's API. */
#ifndef FLEX_TOOLS_METERD_SERVER_H
#define FLEX_TOOLS_METERD_SERVER_H

#include "tools/meterd/access.h"

enum {
    SERVER_CONNECTIONS_MAX = 256,
    SERVER_CONNECTIONS_PER_ADDRESS_MAX = 64,
    SERVER_THREADS = 4,
    SERVER_TIMEOUT_S = 30
};

struct meter_server;

struct meter_service {
    struct meter_archive *archive;
    struct meter_registry registry; /* asked by one request at a time */
    struct hash genesis;
    struct timestamp (*now)(void); /* this machine's clock; a test's own */
};

/* Listens on `address` (numeric, IPv4 or IPv6) and `port`; 0: one that is free. NULL with the reason. The
 * service must outlive it. */
struct meter_server *meter_server_start(struct meter_service *service, const char *address,
                                        uint16_t port, char problem[ARCHIVE_PROBLEM_SIZE]);
uint16_t meter_server_port(const struct meter_server *server);
/* Waits for the requests that are being answered. */
void meter_server_stop(struct meter_server *server);

/* What the body of a POST is answered with; the caller frees *body. For the server and its tests. */
unsigned meter_service_answer(struct meter_service *service, enum access_purpose purpose,
                              struct bytes_view request, char **body);

#endif
