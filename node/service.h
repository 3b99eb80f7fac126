/* What a service manager is told (systemd's sd_notify protocol: one datagram to $NOTIFY_SOCKET). All of it
 * does nothing where nobody asked, so a node in a shell or a container is the same node. */
#ifndef FLEX_NODE_SERVICE_H
#define FLEX_NODE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct service {
    const char *socket;    /* NULL: nobody listens */
    uint64_t watchdog_ms;  /* 0: nobody waits for signs of life */
    uint64_t next_sign_ms; /* monotonic */
};

/* From the environment; `pid` is this process, whose watchdog it must be. */
void service_open(struct service *service, int64_t pid);
/* The node runs: its API answers. `height` is shown beside the service's state. */
void service_ready(const struct service *service, uint64_t height);
void service_stopping(const struct service *service);
/* A sign of life, if one is due and the loop has been seen `alive`; twice in each watchdog time. */
void service_alive(struct service *service, uint64_t now_ms, bool alive, uint64_t height);

#endif
