/* HTTP/1.1 as far as a load generator needs it: requests that are made beforehand, answers with a
 * Content-Length (tools/bench/bench.h).
 *
 * libcurl serves every other tool; here its 30 us a request would be a third of what is measured.
 * Deliberately absent: chunked answers, redirects, TLS, pipelining: flexd's API sends none of the first
 * two on the paths used, and listens on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"
#include "tools/bench/bench.h"

bool bench_http_open(struct bench_http *http, uint16_t port, size_t room, bool blocking)
{
    const int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    memset(http, 0, sizeof *http);
    http->room = room;
    http->bytes = malloc(room);
    http->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = http->bytes != NULL && http->descriptor >= 0 &&
                connect(http->descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
                setsockopt(http->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
    if (good && !blocking)
        good = fcntl(http->descriptor, F_SETFL, O_NONBLOCK) == 0;
    if (!good)
        bench_http_close(http);
    return good;
}

void bench_http_close(struct bench_http *http)
{
    if (http->descriptor >= 0)
        close(http->descriptor);
    free(http->bytes);
    http->descriptor = -1;
    http->bytes = NULL;
}

/* Finds the body once all headers are there. False: not an answer. */
static bool find_body(struct bench_http *http)
{
    static const char wanted[] = "\r\ncontent-length:";
    const char *end = memmem(http->bytes, http->filled, "\r\n\r\n", 4);
    if (end == NULL)
        return http->filled < http->room;
    const size_t head = (size_t)(end - (const char *)http->bytes) + 4;
    http->bytes[head - 1] = '\0'; /* the last newline of the headers; nobody reads it again */
    const char *length = strcasestr((const char *)http->bytes, wanted);
    if (length == NULL)
        return false;
    http->length = strtoul(length + sizeof wanted - 1, NULL, 10);
    http->body = head;
    if (http->length > BENCH_ANSWER_BYTES_MAX)
        return false;
    if (http->body + http->length > http->room) {
        uint8_t *grown = realloc(http->bytes, http->body + http->length);
        if (grown == NULL)
            return false;
        http->bytes = grown;
        http->room = http->body + http->length;
    }
    return true;
}

int bench_http_read(struct bench_http *http, int *status)
{
    for (;;) {
        ssize_t got =
            recv(http->descriptor, http->bytes + http->filled, http->room - http->filled, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (got <= 0)
            return -1;
        http->filled += (size_t)got;
        if (http->body == 0 && !find_body(http))
            return -1;
        if (http->body != 0 && http->filled >= http->body + http->length) {
            if (http->filled > http->body + http->length || http->filled < 12)
                return -1; /* an answer to nothing */
            *status = (int)strtol((const char *)http->bytes + 9, NULL, 10);
            return 1;
        }
    }
}

void bench_http_next(struct bench_http *http)
{
    http->filled = 0;
    http->body = 0;
    http->length = 0;
}

int bench_http_get(struct bench_http *http, const char *path)
{
    char request[256];
    int status = -1;
    int size =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    bench_http_next(http);
    if (size <= 0 || size >= (int)sizeof request ||
        !files_write_all(http->descriptor, request, (size_t)size))
        return -1;
    int whole = 0;
    while (whole == 0)
        whole = bench_http_read(http, &status);
    return whole == 1 ? status : -1;
}
