/* A port that the kernel picks (port 0) comes out of the range that it also takes outgoing
 * connections from, so it can be anybody's by the time that a stopped node listens on it again. Ports
 * here come from below that range, and each is reserved: the process holds an abstract Unix socket
 * named for it, which nobody else can bind and which ends with the process, however it ends. The
 * scripts of tests/e2e (cluster.py) reserve theirs by the same name out of a range of their own. */
#include "tests/lib/p2p/ports.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT_FIRST = 10000, PORT_COUNT = 5000 };

static bool reserve(uint16_t port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "flexledger-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, length) == 0) {
        return true; /* held until the process ends */
    }
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

uint16_t test_port(void)
{
    /* Programs that run at once begin at different places. */
    static uint32_t next;
    if (next == 0) {
        next = (uint32_t)getpid() * 61;
    }
    for (uint32_t i = 0; i < PORT_COUNT; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + next % PORT_COUNT);
        next++;
        if (is_free(port) && reserve(port)) {
            return port;
        }
    }
    fprintf(stderr, "no free port from %d to %d\n", PORT_FIRST, PORT_FIRST + PORT_COUNT - 1);
    abort();
}
