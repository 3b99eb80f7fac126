/* The service manager's ear (service.h).
 *
 * The protocol is a few lines of text in a datagram and is documented as stable; libsystemd would bring
 * four more libraries into the process that holds a validator's key (docs/adr/0044).
 *
 * Deliberately absent: socket activation, storing descriptors, anything that is asked of the manager. */
#include "node/service.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/checked.h"

enum { MESSAGE_SIZE = 128, US_PER_MS = 1000 };

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t value = 0;
    return text != NULL && uint64_from_text(&value, text) ? value : 0;
}

void service_open(struct service *service, int64_t pid)
{
    memset(service, 0, sizeof *service);
    const char *socket = getenv("NOTIFY_SOCKET");
    /* A path, or a name of the abstract kind, whose '@' stands for a NUL. */
    if (socket != NULL && (socket[0] == '/' || socket[0] == '@') && socket[1] != '\0')
        service->socket = socket;
    const char *whose = getenv("WATCHDOG_PID");
    if (whose == NULL || number_of("WATCHDOG_PID") == (uint64_t)pid)
        service->watchdog_ms = number_of("WATCHDOG_USEC") / US_PER_MS;
}

/* Nobody's answer is waited for: a manager that is gone must not stop a validator. */
static void say(const struct service *service, const char *message)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (service->socket == NULL || strlen(service->socket) >= sizeof address.sun_path)
        return;
    const size_t length = strlen(service->socket);
    memcpy(address.sun_path, service->socket, length);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    (void)sendto(descriptor, message, strlen(message), MSG_NOSIGNAL,
                 (const struct sockaddr *)&address, size);
    (void)close(descriptor);
}

void service_ready(const struct service *service, uint64_t height)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "READY=1\nSTATUS=block %llu", (unsigned long long)height);
    say(service, message);
}

void service_stopping(const struct service *service)
{
    say(service, "STOPPING=1");
}

void service_alive(struct service *service, uint64_t now_ms, bool alive, uint64_t height)
{
    char message[MESSAGE_SIZE];
    if (service->watchdog_ms == 0 || !alive || now_ms < service->next_sign_ms)
        return;
    service->next_sign_ms = now_ms + service->watchdog_ms / 2;
    snprintf(message, sizeof message, "WATCHDOG=1\nSTATUS=block %llu", (unsigned long long)height);
    say(service, message);
}
