/* Small puts to an etcd cluster, as many as go in, for bench/compare.sh: what is beside flexbench.
 *
 *   bench_etcd SECONDS CLIENTS PORT...
 *
 * Debian packages etcd without its own benchmark program, so this one speaks HTTP and JSON to the members'
 * gateways (POST /v3/kv/put), each client one blocking connection, spread over the members. The gateway costs
 * the members processor time that gRPC would not; `etcdctl check perf`, which compare.sh runs beside it,
 * speaks gRPC but never more than its fixed rate. Prints one JSON object: puts_per_s, p50_ms, p99_ms. Exit 1 if
 * a put is refused or a connection breaks. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "base/files.h"
#include "tools/bench/bench.h"

enum { CLIENTS_MAX = 256, PORTS_MAX = 16, PUTS_MAX = 1 << 18, ANSWER_ROOM = 4096, KEYS = 100000 };

struct client {
    pthread_t thread;
    uint16_t port;
    uint32_t number;
    uint64_t until_ns;
    uint32_t count;
    bool failed;
    uint64_t *spans_ns; /* PUTS_MAX */
};

/* A value of 16 bytes, as an amount would be; both in base 64 as the gateway wants them. */
static int request_of(char *out, size_t size, uint32_t key)
{
    char body[128];
    /* A letter and seven digits are base 64 of six bytes. */
    int length =
        snprintf(body, sizeof body,
                 "{\"key\":\"k%07" PRIu32 "\",\"value\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}", key);
    return snprintf(
        out, size,
        "POST /v3/kv/put HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s",
        length, body);
}

static bool put(struct bench_http *http, uint32_t key)
{
    char request[512];
    int status = -1;
    int whole = 0;
    int length = request_of(request, sizeof request, key);
    bench_http_next(http);
    if (!files_write_all(http->descriptor, request, (size_t)length))
        return false;
    while (whole == 0)
        whole = bench_http_read(http, &status);
    return whole == 1 && status == 200;
}

static void *run(void *context)
{
    struct client *client = context;
    struct bench_http http;
    client->failed = !bench_http_open(&http, client->port, ANSWER_ROOM, true);
    for (uint32_t i = 0; !client->failed && client->count < PUTS_MAX; i++) {
        const uint64_t began = bench_now_ns();
        if (began >= client->until_ns)
            break;
        client->failed = !put(&http, (client->number * 7919 + i * 104729) % KEYS);
        client->spans_ns[client->count++] = bench_now_ns() - began;
    }
    if (!client->failed)
        bench_http_close(&http);
    return NULL;
}

static int compare_u64(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static bool number(uint64_t *out, const char *text, uint64_t most)
{
    return uint64_from_text(out, text) && *out >= 1 && *out <= most;
}

static int report(const struct client *clients, uint64_t count, double seconds)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        total += clients[i].count;
        if (clients[i].failed) {
            fprintf(stderr, "bench_etcd: client %" PRIu64 ": no answer, or a refusal\n", i);
            return 1;
        }
    }
    uint64_t *spans = calloc(total + 1, sizeof *spans);
    MUST(spans != NULL);
    uint64_t filled = 0;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(spans + filled, clients[i].spans_ns, clients[i].count * sizeof *spans);
        filled += clients[i].count;
    }
    qsort(spans, total, sizeof *spans, compare_u64);
    printf("{\"puts_per_s\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n", (double)total / seconds,
           (double)spans[total / 2] * 1e-6, (double)spans[total - 1 - total / 100] * 1e-6);
    free(spans);
    return total > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct client clients[CLIENTS_MAX];
    uint64_t seconds, count, ports[PORTS_MAX];
    const int members = argc - 3;
    bool good = members >= 1 && members <= PORTS_MAX && number(&seconds, argv[1], 3600) &&
                number(&count, argv[2], CLIENTS_MAX);
    for (int i = 0; good && i < members; i++)
        good = number(&ports[i], argv[3 + i], UINT16_MAX);
    if (!good) {
        fprintf(stderr, "usage: bench_etcd SECONDS CLIENTS PORT...\n");
        return 2;
    }
    const uint64_t began = bench_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        clients[i].port = (uint16_t)ports[i % (uint32_t)members];
        clients[i].number = i;
        clients[i].until_ns = began + seconds * 1000000000U;
        clients[i].spans_ns = calloc(PUTS_MAX, sizeof clients[i].spans_ns[0]);
        MUST(clients[i].spans_ns != NULL &&
             pthread_create(&clients[i].thread, NULL, run, &clients[i]) == 0);
    }
    for (uint32_t i = 0; i < count; i++)
        MUST(pthread_join(clients[i].thread, NULL) == 0);
    return report(clients, count, (double)(bench_now_ns() - began) * 1e-9);
}
