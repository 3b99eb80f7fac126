/* The HTTP client (tools/client.h): one libcurl handle, reused, so that a wallet that polls keeps
 * its connection.
 *
 * Invariants: no redirect is followed, no proxy, no cookie and no file address is ever used; an
 * answer over CLIENT_ANSWER_BYTES_MAX counts as none. */
#include "tools/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { CONNECT_TIMEOUT_MS = 3000, URL_SIZE = 1024 };

struct client {
    CURL *curl;
    char url[URL_SIZE - CLIENT_PATH_SIZE];
    int64_t timeout_ms;
    char error[CURL_ERROR_SIZE];
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

static void prepare(struct client *client, struct client_answer *out, const char *url)
{
    CURL *curl = client->curl;
    memset(out, 0, sizeof *out);
    /* A reset keeps the live connection and forgets the last request's options. */
    curl_easy_reset(curl);
    client->error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
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

void client_get(struct client *client, struct client_answer *out, const char *path)
{
    char url[URL_SIZE];
    MUST(path[0] == '/' && strlen(path) < CLIENT_PATH_SIZE);
    snprintf(url, sizeof url, "%s%s", client->url, path);
    prepare(client, out, url);
    perform(client, out);
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
