/* The HTTP API's request parser, rules and router, over a real socket to a real daemon in this process
 * (tests/lib/node/api_world.h): whatever bytes come, they are answered by an error of the table in
 * docs/spec/api.md or by nothing, never by 500; an answer in JSON is JSON; and the next good request is
 * served. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/lib/node/api_world.h"

enum { CHECK_EVERY = 512 };

static struct api_world world;
static char answer[API_WORLD_ANSWER_MAX];

static void leave(void)
{
    api_world_stop(&world);
}

static void enter(void)
{
    static bool entered;
    if (entered)
        return;
    entered = true;
    MUST(crypto_init());
    (void)setenv("TMPDIR", "/dev/shm", 1);
    log_open(stderr, "fuzz", LOG_BROKEN, false);
    api_world_start(&world, NULL);
    MUST(atexit(leave) == 0);
}

/* One answer at `at`: its status, and whether what says that it is JSON is. The end of its body, or NULL if
 * it isn't whole. */
static const char *check_answer(const char *at)
{
    static const char version[] = "HTTP/1.1 ";
    MUST(strncmp(at, version, sizeof version - 1) == 0);
    const int status = atoi(at + sizeof version - 1);
    MUST(status >= 100 && status < 600 && status != MHD_HTTP_INTERNAL_SERVER_ERROR);
    const char *body = strstr(at, "\r\n\r\n");
    if (body == NULL)
        return NULL;
    body += 4;
    if (status == MHD_HTTP_CONTINUE)
        return body;
    /* Behind an error page of libmicrohttpd's own comes nothing more. */
    const char *type = strstr(at, "Content-Type: application/json");
    const char *length = strstr(at, "Content-Length: ");
    if (type == NULL || type > body || length == NULL || length > body)
        return NULL;
    const size_t size = (size_t)atol(length + 16);
    if (strlen(body) < size)
        return NULL;
    cJSON *root = cJSON_ParseWithLength(body, size);
    MUST(root != NULL);
    cJSON_Delete(root);
    return body + size;
}

static void check_health(void)
{
    static const char good[] =
        "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    MUST(api_world_talk(&world, good, sizeof good - 1, answer, sizeof answer, 1) > 0);
    MUST(strncmp(answer, "HTTP/1.1 200", 12) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;
    enter();
    (void)api_world_talk_until(&world, data, size, answer, sizeof answer, "text/event-stream");
    /* Of a HEAD the length stands there without a body, so what follows can't be told apart. */
    if (answer[0] != '\0' && memmem(data, size, "HEAD", 4) == NULL &&
        strstr(answer, "octet-stream") == NULL) {
        for (const char *at = answer; at != NULL && *at != '\0';)
            at = check_answer(at);
    }
    /* Streams whose readers are gone see that here, and not at the next block. */
    if (strstr(answer, "text/event-stream") != NULL)
        api_block_committed(world.node.api, API_WORLD_HEIGHTS);
    if (++count % CHECK_EVERY == 0)
        check_health();
    return 0;
}
