/* Allocations that fail, one after another, in the API's threads: for each route the first, the second, the
 * third and so on, until a request passes that allocates no more than that (fault scenario 74).
 *
 * This program's own malloc, calloc and realloc stand in front of the C library's, or a sanitizer's; they
 * fail in libmicrohttpd's threads alone, by their name. Whatever fails, the process lives; the answer is
 * the true one, an error of its kind, or none; the next request is answered right; and under a sanitizer
 * nothing leaks. Beyond the first hundred allocations of a request every fifth is tried, or as
 * STRIDE=n says: `make api-memory` tries every one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"
#include "tests/lib/node/api_world.h"

/* --- the allocator ------------------------------------------------------------------------------ */

void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *memory, size_t size) __attribute__((weak));
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static _Atomic long countdown;   /* of the allocations of the API's threads; 0: none fails */
static _Atomic long allocations; /* of the API's threads while armed */
static _Atomic long failures;
static _Atomic bool armed;

/* They run before a sanitizer has its shadow memory. */
#define UNWATCHED __attribute__((no_sanitize("address", "undefined", "thread")))

UNWATCHED static bool is_api_thread(void)
{
    static _Thread_local bool known;
    char name[16] = "";
    if (!known && prctl(PR_GET_NAME, name) == 0)
        known = strncmp(name, "MHD-", 4) == 0;
    return known;
}

UNWATCHED static bool fails(void)
{
    if (!atomic_load(&armed) || !is_api_thread())
        return false;
    atomic_fetch_add(&allocations, 1);
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    atomic_fetch_add(&failures, 1);
    return true;
}

UNWATCHED void *malloc(size_t size)
{
    if (fails())
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

UNWATCHED void *calloc(size_t count, size_t size)
{
    if (fails())
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size)
                                        : __libc_calloc(count, size);
}

UNWATCHED void *realloc(void *memory, size_t size)
{
    if (fails())
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(memory, size)
                                         : __libc_realloc(memory, size);
}

static void arm(long at)
{
    atomic_store(&countdown, at);
    atomic_store(&allocations, 0);
    atomic_store(&failures, 0);
    atomic_store(&armed, true);
}

/* --- requests ----------------------------------------------------------------------------------- */

enum { STRIDE_DEFAULT = 5, TARGETS_MAX = 256, TARGET_SIZE = 256, SENT_MAX = 4096 };

static struct {
    struct api_world world;
    char targets[TARGETS_MAX][TARGET_SIZE];
    uint32_t count;
    char answer[API_WORLD_ANSWER_MAX];
    char truth[API_WORLD_ANSWER_MAX];
    const char *truth_body;
    const char *person; /* who signs; NULL: nobody */
    long tried;
    long refused;
    long since_start;
} it;

/* A node remembers so many signed requests of one key within a minute, each of which is sent twice here. */
enum { REQUESTS_PER_NODE = READ_GUARD_ENTRIES_PER_KEY / 4 };

static void add_target(const char *text)
{
    MUST(it.count < TARGETS_MAX);
    MUST(snprintf(it.targets[it.count++], TARGET_SIZE, "%s", text) < TARGET_SIZE);
}

/* Every route has a target, whose id leads to something where this world has something. */
static void collect_targets(void)
{
    static const struct {
        const char *route;
        const char *target; /* %s: the transaction's id */
    } known[] = {
        {"/v1/transactions/{id}", "/v1/transactions/%s"},
        {"/v1/transactions/{id}",
         "/v1/transactions/00000000000000000000000000000000000000000000000000000000000000aa"},
        {"/v1/accounts/{name}", "/v1/accounts/alice"},
        {"/v1/participants/{id...}", "/v1/participants/alice"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/participant/alice"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/participant/nobody"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/transaction/%s"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/block_end/3"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/block/2"},
        {"/v1/proofs/{kind}/{id...}", "/v1/proofs/log/2/5"},
        {"/v1/proofs/{kind}", "/v1/proofs/supply"},
        {"/v1/notes/{date}", "/v1/notes/2026-01-05"},
        {"/v1/blocks/{height}", "/v1/blocks/3"},
        {"/v1/blocks/{height}/receipts", "/v1/blocks/3/receipts"},
        {"/v1/export", "/v1/export?from=1&count=4"},
        {"/v1/movements", "/v1/movements?participant=alice&limit=3"},
        {"/v1/fees", "/v1/fees?limit=3"},
    };
    char id[2 * HASH_SIZE + 1];
    hex_encode(id, it.world.tx_id.bytes, HASH_SIZE);
    it.count = 0;
    for (size_t r = 0; r < api_route_count; r++) {
        const struct api_route *route = &api_routes[r];
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            if (strcmp(known[k].route, route->path) != 0)
                continue;
            found = true;
            char target[TARGET_SIZE];
            const char *at = strstr(known[k].target, "%s");
            if (at != NULL)
                (void)snprintf(target, sizeof target, "%.*s%s", (int)(at - known[k].target),
                               known[k].target, id);
            add_target(at != NULL ? target : known[k].target);
        }
        if (found || strcmp(route->method, "GET") != 0 || route->action == API_STREAM)
            continue;
        char target[TARGET_SIZE];
        const size_t fixed = strcspn(route->path, "{");
        (void)snprintf(target, sizeof target, "%.*s%s", (int)fixed, route->path,
                       route->path[fixed] != '\0' ? "1" : "");
        add_target(target);
    }
    add_target("/v1/nowhere");
    add_target("/v1/orders?nonsense=1");
    add_target("/v1/status%4");
}

static size_t make_get(char *sent, const char *target)
{
    char header[READ_REQUEST_TEXT_SIZE] = "";
    if (it.person != NULL)
        api_world_sign(&it.world, it.person, target, header);
    int size = snprintf(sent, SENT_MAX,
                        "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s%sConnection: close\r\n\r\n",
                        target, it.person != NULL ? "Authorization: " : "", header,
                        it.person != NULL ? "\r\n" : "");
    MUST(size > 0 && size < SENT_MAX);
    return (size_t)size;
}

static size_t make_post(char *sent, bool good)
{
    const struct world_tx *tx = &it.world.next;
    const size_t bytes = tx->transaction.envelope.size;
    int size = snprintf(sent, SENT_MAX,
                        "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        bytes);
    MUST(size > 0 && (size_t)size + bytes < SENT_MAX);
    memcpy(sent + size, tx->bytes, bytes);
    if (!good)
        sent[(size_t)size + bytes - 20] ^= 1; /* in the signature */
    return (size_t)size + bytes;
}

/* The body, with each run of digits as one #: clocks and counters move, all else stands still. */
static const char *normalise(char *answer)
{
    char *body = strstr(answer, "\r\n\r\n");
    if (body == NULL)
        return "";
    char *to = body;
    for (const char *at = body; *at != '\0'; at++) {
        if (at[0] == 'S' && at[1] == '-') /* a sealed place is another each time */
            at += strcspn(at, "\"");
        if (*at < '0' || *at > '9')
            *to++ = *at;
        else if (to == body || to[-1] != '#')
            *to++ = '#';
    }
    *to = '\0';
    return body;
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

/* Whole lines of data of two streams are the same, one after another, as far as both go. */
static bool same_events(const char *a, const char *b)
{
    for (;;) {
        a = strstr(a, "data: ");
        b = strstr(b, "data: ");
        if (a == NULL || b == NULL || strchr(a, '\n') == NULL || strchr(b, '\n') == NULL)
            return true;
        const size_t length = strcspn(a, "\n");
        if (length != strcspn(b, "\n") || memcmp(a, b, length) != 0)
            return false;
        a += length;
        b += length;
    }
}

/* With `fail` > 0 the fail-th allocation fails. True if that many were made. */
static bool ask(const char *what, char *sent, size_t size, size_t want, long fail)
{
    if (fail > 0)
        arm(fail);
    const size_t got = api_world_talk(&it.world, sent, size, it.answer, sizeof it.answer, want);
    atomic_store(&armed, false);
    api_block_committed(it.world.node.api,
                        API_WORLD_HEIGHTS); /* streams see that their reader left */
    const int status = status_of(it.answer);
    const char *body = normalise(it.answer);
    if (fail == 0)
        return false;
    it.tried++;
    if (status == status_of(it.truth)) {
        if (want == 0 ? strcmp(body, it.truth_body) != 0 : !same_events(body, it.truth_body))
            fail_msg("%s, allocation %ld: a wrong answer: %s instead of %s", what, fail, body,
                     it.truth_body);
    } else if (got != 0 && status != 500 && status != 503 && status != 429) {
        fail_msg("%s, allocation %ld: %s", what, fail, it.answer);
    }
    it.refused += status != status_of(it.truth);
    return atomic_load(&failures) > 0;
}

typedef size_t (*make_fn)(char *sent, const void *context);

static size_t make_of_target(char *sent, const void *context)
{
    return make_get(sent, context);
}

static size_t make_of_post(char *sent, const void *context)
{
    return make_post(sent, *(const bool *)context);
}

static size_t make_of_stream(char *sent, const void *context)
{
    (void)context;
    return make_get(sent, "/v1/events?from=1");
}

/* The next one is right. A stream's place may still be that of one whose reader has just gone. */
static void ask_again(make_fn make, char *sent, const void *context, size_t want)
{
    enum { TRIES_MAX = 200, TRY_US = 10000 };
    for (int tries = 0; tries < (want > 0 ? TRIES_MAX : 1); tries++) {
        (void)api_world_talk(&it.world, sent, make(sent, context), it.answer, sizeof it.answer,
                             want);
        const int status = status_of(it.answer); /* too many in all, or too many of this reader's */
        if (status != MHD_HTTP_SERVICE_UNAVAILABLE && status != MHD_HTTP_TOO_MANY_REQUESTS)
            return;
        (void)usleep(TRY_US);
    }
}

static void all_allocations(const char *what, make_fn make, const void *context, size_t want)
{
    static char sent[SENT_MAX];
    const char *text = getenv("STRIDE");
    const long stride = text != NULL ? atol(text) : STRIDE_DEFAULT;
    long highest = 0;
    (void)ask(what, sent, make(sent, context), want, 0);
    memcpy(it.truth, it.answer, sizeof it.truth);
    it.truth_body = normalise(it.truth);
    if (status_of(it.truth) == 0)
        fail_msg("%s is not answered at all", what);
    for (long fail = 1;; fail += fail > 100 ? stride : 1) {
        const bool reached = ask(what, sent, make(sent, context), want, fail);
        if (!reached)
            break;
        highest = fail;
        ask_again(make, sent, context, want);
        if (status_of(it.answer) != status_of(it.truth))
            fail_msg("%s after allocation %ld: %s", what, fail, it.answer);
    }
    if (highest < 3)
        fail_msg("%s: only %ld allocations; the allocator is not in its way", what, highest);
    if (__lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0)
        fail_msg("%s: leaks", what);
}

static void all_targets(void (*config)(struct node_config *config))
{
    const bool good = true;
    const bool bad = false;
    api_world_start(&it.world, config);
    it.tried = it.refused = it.since_start = 0;
    collect_targets();
    for (uint32_t i = 0; i < it.count; i++) {
        if (it.tried - it.since_start > REQUESTS_PER_NODE) {
            it.since_start = it.tried;
            api_world_stop(&it.world);
            api_world_start(&it.world, config);
        }
        all_allocations(it.targets[i], make_of_target, it.targets[i], 0);
    }
    all_allocations("a transaction", make_of_post, &good, 0);
    all_allocations("a bad transaction", make_of_post, &bad, 0);
    all_allocations("a stream", make_of_stream, NULL, 1200);
    print_message(
        "%ld requests with a failing allocation, of which %ld got no answer or an error\n",
        it.tried, it.refused);
    api_world_stop(&it.world);
}

static void every_allocation_of_every_route_may_fail(void **state)
{
    (void)state;
    it.person = NULL;
    all_targets(NULL);
}

static void by_role(struct node_config *config)
{
    config->read_access = NODE_READ_ROLE;
    config->api.key_rate = 0;
    config->api.origin_count = 1;
    (void)snprintf(config->api.origins[0], NODE_API_HOST_MAX, "https://desk.example");
}

static void the_same_of_signed_requests(void **state)
{
    (void)state;
    it.person = "alice";
    all_targets(by_role);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_every_route_may_fail),
        cmocka_unit_test(the_same_of_signed_requests),
    };
    if (!crypto_init())
        return 1;
    log_open(stderr, "memory", LOG_BROKEN, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
