/* The HTTP client (tools/client.h): one libcurl handle, reused, so that a wallet that polls keeps
 * its connection.
 *
 * Invariants: no redirect is followed, no proxy, no cookie and no file address is ever used; an
 * answer over CLIENT_ANSWER_BYTES_MAX counts as none; nothing is signed for a node that has not asked, and
 * the key is fetched for the first that does. */
#include "tools/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/fatal.h"
#include "node/read_request.h"

enum { CONNECT_TIMEOUT_MS = 3000, URL_SIZE = 1024 };

struct client {
    CURL *curl;
    char url[URL_SIZE - CLIENT_PATH_SIZE];
    int64_t timeout_ms;
    const char *ca_file; /* NULL: the machine's */
    char error[CURL_ERROR_SIZE];
    client_signer_fn signer; /* NULL: none */
    void *signer_context;
    enum { SIGNER_UNASKED, SIGNER_READY, SIGNER_NONE } signs;
    bool simulated;
    bool has_chain;
    struct hash chain;        /* that it signs for */
    struct secret_key secret; /* of this client while it signs, wiped at its end */
    struct public_key key;
    /* What the node asked with, and when that came: from then on requests are signed unasked. */
    struct read_challenge challenge;
    int64_t asked_at_ms;
    char challenge_text[READ_REQUEST_TEXT_SIZE]; /* of the answer that is coming */
};

struct client *client_open(const char *url, int64_t timeout_ms)
{
    static bool started = false;
    if (!started) {
        MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
        started = true;
    }
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/') {
        length--;
    }
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        length >= sizeof((struct client *)0)->url) {
        return NULL;
    }
    struct client *client = calloc(1, sizeof *client);
    MUST(client != NULL);
    memcpy(client->url, url, length);
    client->timeout_ms = timeout_ms > 0 ? timeout_ms : 1;
    client->curl = curl_easy_init();
    MUST(client->curl != NULL);
    return client;
}

void client_close(struct client *client)
{
    curl_easy_cleanup(client->curl);
    secret_key_wipe(&client->secret);
    free(client);
}

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
    struct client_answer *answer = context;
    size_t bytes = size * count;
    if (bytes > CLIENT_ANSWER_BYTES_MAX - answer->size) {
        return 0;
    }
    char *grown = realloc(answer->body, answer->size + bytes + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + answer->size, data, bytes);
    answer->body = grown;
    answer->size += bytes;
    answer->body[answer->size] = '\0';
    return bytes;
}

/* --- signing ------------------------------------------------------------------------------------ */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "WWW-Authenticate: ";
    struct client *client = context;
    const size_t bytes = size * count;
    const size_t head = sizeof name - 1;
    if (bytes > head && strncasecmp(data, name, head) == 0) {
        size_t length = bytes - head;
        while (length > 0 && (data[head + length - 1] == '\r' || data[head + length - 1] == '\n')) {
            length--;
        }
        if (length < sizeof client->challenge_text) {
            memcpy(client->challenge_text, data + head, length);
            client->challenge_text[length] = '\0';
        }
    }
    return bytes;
}

/* Whether a refusal is a challenge that can be met. */
static bool take_challenge(struct client *client)
{
    if (!read_challenge_parse(&client->challenge, client->challenge_text)) {
        return false;
    }
    client->asked_at_ms = clock_ms(CLOCK_MONOTONIC);
    if (client->signs == SIGNER_UNASKED) {
        bool ready = client->signer != NULL &&
                     client->signer(client->signer_context, &client->challenge.genesis,
                                    &client->secret, &client->key, &client->simulated);
        client->signs = ready ? SIGNER_READY : SIGNER_NONE;
    }
    /* The key was given for one chain; no later challenge moves it to another. */
    if (client->signs == SIGNER_READY && !client->has_chain) {
        client->chain = client->challenge.genesis;
        client->has_chain = true;
    }
    return client->signs == SIGNER_READY && hash_equal(&client->chain, &client->challenge.genesis);
}

/* The header that signs a request; false if it can't be signed. */
static bool sign(struct client *client, char header[READ_REQUEST_TEXT_SIZE + 32],
                 const char *method, const char *path, struct bytes_view body)
{
    struct read_request request;
    char text[READ_REQUEST_TEXT_SIZE];
    const struct read_target target = {&client->challenge.genesis, &client->challenge.node, method,
                                       path, body};
    memset(&request, 0, sizeof request);
    request.key = client->key;
    /* This computer's own clock, so that no node has us sign for a time to come. */
    request.time_ms = client->simulated ? client->challenge.time_ms + clock_ms(CLOCK_MONOTONIC) -
                                              client->asked_at_ms
                                        : clock_ms(CLOCK_REALTIME);
    random_bytes(request.nonce, sizeof request.nonce);
    if (!read_request_sign(&request, &client->secret, &target)) {
        return false;
    }
    read_request_print(text, &request);
    snprintf(header, READ_REQUEST_TEXT_SIZE + 32, "Authorization: %s", text);
    return true;
}

void client_set_ca(struct client *client, const char *file)
{
    client->ca_file = file;
}

void client_set_signer(struct client *client, client_signer_fn signer, void *context)
{
    client->signer = signer;
    client->signer_context = context;
}

/* --- requests ----------------------------------------------------------------------------------- */

static void prepare(struct client *client, struct client_answer *out, const char *url)
{
    CURL *curl = client->curl;
    memset(out, 0, sizeof *out);
    /* A reset keeps the live connection and forgets the last request's options. */
    curl_easy_reset(curl);
    client->error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* it is signed as it is */
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    client->challenge_text[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
}

static void perform(struct client *client, struct client_answer *out)
{
    CURLcode code = curl_easy_perform(client->curl);
    if (code != CURLE_OK) {
        free(out->body);
        out->body = NULL;
        out->size = 0;
        snprintf(out->problem, sizeof out->problem, "%.50s: %.100s", client->url,
                 client->error[0] != '\0' ? client->error : curl_easy_strerror(code));
        return;
    }
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
}

/* A stream while it comes in. */
struct following {
    const struct client_stream *stream;
    struct client *client;
    struct client_answer *refusal;
    int64_t heard_ms; /* when the last byte came */
    bool ended;       /* on purpose */
};

static size_t follow_bytes(char *data, size_t size, size_t count, void *context)
{
    struct following *following = context;
    long status = 0;
    following->heard_ms = clock_ms(CLOCK_MONOTONIC);
    curl_easy_getinfo(following->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return take_bytes(data, size, count, following->refusal);
    }
    following->ended = !following->stream->take(following->stream->context, data, size * count);
    return following->ended ? 0 : size * count;
}

static int follow_progress(void *context, curl_off_t down, curl_off_t down_now, curl_off_t up,
                           curl_off_t up_now)
{
    struct following *following = context;
    (void)down;
    (void)down_now;
    (void)up;
    (void)up_now;
    following->ended = following->ended || following->stream->stop(following->stream->context);
    return following->ended ||
           clock_ms(CLOCK_MONOTONIC) - following->heard_ms > following->stream->silent_ms;
}

/* `following` NULL: an answer that ends, into *out. */
static void get_once(struct client *client, struct client_answer *out, const char *path,
                     struct following *following)
{
    char url[URL_SIZE];
    char header[READ_REQUEST_TEXT_SIZE + 32];
    struct curl_slist *headers = NULL;
    snprintf(url, sizeof url, "%s%s", client->url, path);
    prepare(client, out, url);
    if (client->signs == SIGNER_READY && hash_equal(&client->chain, &client->challenge.genesis) &&
        sign(client, header, "GET", path, bytes_view_of(NULL, 0))) {
        headers = curl_slist_append(NULL, header);
        MUST(headers != NULL);
        curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    }
    if (following != NULL) {
        following->heard_ms = clock_ms(CLOCK_MONOTONIC);
        curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, 0L);
        curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, follow_bytes);
        curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, following);
        curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, follow_progress);
        curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, following);
    }
    perform(client, out);
    curl_easy_reset(client->curl);
    curl_slist_free_all(headers);
}

void client_get(struct client *client, struct client_answer *out, const char *path)
{
    MUST(path[0] == '/' && strlen(path) < CLIENT_PATH_SIZE);
    get_once(client, out, path, NULL);
    /* Once more with a signature, or with one of the node's time. A second refusal is the answer. */
    if (out->status == 401 && take_challenge(client)) {
        client_answer_release(out);
        get_once(client, out, path, NULL);
    }
}

void client_follow(struct client *client, struct client_answer *out, const char *path,
                   const struct client_stream *stream)
{
    struct following following = {.stream = stream, .client = client, .refusal = out};
    MUST(path[0] == '/' && strlen(path) < CLIENT_PATH_SIZE);
    get_once(client, out, path, &following);
    if (out->status == 401 && take_challenge(client)) {
        client_answer_release(out);
        get_once(client, out, path, &following);
    }
    if (following.ended) {
        /* That libcurl was told to stop is no failure. */
        out->status = 200;
        out->problem[0] = '\0';
    }
}

void client_post(struct client *client, struct client_answer *out, const char *path,
                 struct bytes_view body)
{
    char url[URL_SIZE];
    MUST(path[0] == '/' && strlen(path) < CLIENT_PATH_SIZE);
    snprintf(url, sizeof url, "%s%s", client->url, path);
    prepare(client, out, url);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
    /* Without this libcurl asks first whether a body over 1 KiB is welcome, and waits. */
    struct curl_slist *all = curl_slist_append(headers, "Expect:");
    MUST(headers != NULL && all != NULL);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, (const char *)body.data);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, all);
    perform(client, out);
    curl_easy_reset(client->curl);
    curl_slist_free_all(all);
}

void client_answer_release(struct client_answer *answer)
{
    free(answer->body);
    memset(answer, 0, sizeof *answer);
}

bool client_path_is_plain(const char *text)
{
    size_t length = strlen(text);
    size_t plain =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./");
    return length > 0 && plain == length && length < CLIENT_PATH_SIZE / 2;
}
