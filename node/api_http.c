/* The API on libmicrohttpd: requests, bodies, dispatch (docs/spec/api.md; docs/adr/0004).
 *
 *   first call    limits and rules kept (api_rules.c), route found, method and query checked; a refusal is
 *                 answered at once
 *   body calls    collected, up to the largest envelope; the rest is read and thrown away, up to
 *                 API_BODY_READ_MAX
 *   last call     READ and STREAM are answered; SUBMIT and LOOKUP hand a call to workers or loop
 *                 and suspend the connection
 *   resumed       the call's answer is sent
 *
 * Invariants: a connection is suspended only with exactly one call out, and that call's `done`
 * resumes it; after api_quiesce no new call goes out, so when the inbox has answered those that are
 * left, no connection is suspended and the daemon can stop.
 *
 * Deliberately absent: bodies larger than a transaction. Life and TLS are api_listen.c's, who may read what
 * is api_access.c's. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"

enum exchange_phase { EXCHANGE_NEW, EXCHANGE_BODY, EXCHANGE_SUSPENDED };

struct exchange {
    struct api *api;
    struct api_request request;
    enum exchange_phase phase;
    char path[API_PATH_BYTES_MAX];
    char target[READ_REQUEST_TARGET_MAX + 2]; /* one longer than any that can be signed */
    char method[READ_REQUEST_METHOD_MAX + 2];
    struct node_call call;
    bool oversized;
    size_t charged;   /* to the budget, for the answer */
    size_t body_seen; /* of which body_size are kept */
    size_t body_size;
    uint8_t *body; /* API_BODY_BYTES_MAX, only for POST */
};

const char *api_query(const struct api_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool api_query_u64(const struct api_request *request, struct api_reply *reply, const char *name,
                   uint64_t *value)
{
    const char *text = api_query(request, name);
    if (text == NULL || uint64_from_text(value, text))
        return true;
    char reason[96];
    snprintf(reason, sizeof reason, "%s must be a decimal number", name);
    api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_query", reason);
    return false;
}

struct store_snapshot *api_snapshot(const struct api_request *request, struct api_reply *reply)
{
    struct store_snapshot *snapshot = store_snapshot_begin(request->node->store);
    if (snapshot == NULL)
        api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                        "too many readers at once; try again");
    return snapshot;
}

void api_add_cors(const struct api_request *request, struct MHD_Response *response)
{
    if (request->node->config.api.origin_count > 0)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ORIGIN);
    if (request->origin == NULL)
        return;
    (void)MHD_add_response_header(response, "Access-Control-Allow-Origin", request->origin);
    (void)MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                  "WWW-Authenticate, Retry-After");
}

/* Those that few answers have. */
static void add_headers(const struct api_request *request, const struct api_reply *reply,
                        struct MHD_Response *response)
{
    char seconds[16];
    api_add_cors(request, response);
    if (reply->allow != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->retry_seconds > 0) {
        (void)snprintf(seconds, sizeof seconds, "%u", reply->retry_seconds);
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (reply->ends)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (reply->methods != NULL) {
        (void)MHD_add_response_header(response, "Access-Control-Allow-Methods", reply->methods);
        (void)MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                      "Authorization, Content-Type, Last-Event-ID");
        (void)MHD_add_response_header(response, "Access-Control-Max-Age", "600");
    }
}

static enum MHD_Result queue(struct exchange *exchange, struct api_reply *reply)
{
    struct MHD_Connection *connection = exchange->request.connection;
    MUST(exchange->charged == 0);
    if (!api_budget_take(&exchange->api->budget, reply->size, &exchange->charged)) {
        free(reply->body);
        api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                        "too many large answers wait for their readers; try again");
    }
    static const char nothing[] =
        "{\"error\":{\"code\":\"out_of_memory\",\"reason\":\"try again\"}}";
    struct MHD_Response *response;
    if (reply->body != NULL)
        response = MHD_create_response_from_buffer(reply->size, reply->body, MHD_RESPMEM_MUST_FREE);
    else
        response = MHD_create_response_from_buffer(sizeof nothing - 1, (void *)(uintptr_t)nothing,
                                                   MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        free(reply->body);
        return MHD_NO;
    }
    if (reply->body == NULL)
        reply->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  reply->content_type != NULL ? reply->content_type
                                                              : "application/json");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->challenge[0] != '\0')
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge);
    add_headers(&exchange->request, reply, response);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    api_connections_answered(exchange->api->connections, connection);
    return result;
}

/* --- routing ------------------------------------------------------------------------------ */

struct query_check {
    const struct api_route *route;
    bool unknown;
};

static enum MHD_Result check_query_name(void *context, enum MHD_ValueKind kind, const char *key,
                                        const char *value)
{
    struct query_check *check = context;
    bool known = false;
    (void)kind;
    (void)value;
    for (int i = 0; i < API_QUERIES_MAX && check->route->query[i] != NULL; i++)
        known = known || strcmp(check->route->query[i], key) == 0;
    check->unknown = check->unknown || !known;
    return MHD_YES;
}

/* Fills the request; false with the reply filled if it can't be served. */
static bool route_request(struct exchange *exchange, struct api_reply *reply, const char *url,
                          const char *method)
{
    struct node *node = exchange->api->node;
    bool reading = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!node_is_validator(node) && !reading) {
        reply->allow = "GET, HEAD";
        api_reply_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "read_only",
                        node->config.role == NODE_AUDIT
                            ? "an audit node answers GET and HEAD only: send to a validator"
                            : "this node's key is in no validator set now: send to a validator");
        return false;
    }
    const char *allow = NULL;
    if (strlen(url) < sizeof exchange->path) {
        snprintf(exchange->path, sizeof exchange->path, "%s", url);
        exchange->request.route =
            api_route_find(method, exchange->path, exchange->request.arguments, &allow);
    }
    if (exchange->request.route == NULL) {
        reply->allow = allow;
        if (allow != NULL)
            api_reply_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                            "this path does not take that method; see Allow");
        else
            api_reply_not_found(reply, "no such path; /openapi.json lists them");
        return false;
    }
    struct query_check check = {exchange->request.route, false};
    (void)MHD_get_connection_values(exchange->request.connection, MHD_GET_ARGUMENT_KIND,
                                    check_query_name, &check);
    if (check.unknown)
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_query",
                        "a query parameter is not one of this path's");
    return !check.unknown;
}

/* --- calls to workers and loop ------------------------------------------------------------ */

static void call_done(struct node_call *call)
{
    MHD_resume_connection(call->context);
}

/* Suspends the connection and hands the call out; false (nothing done) if the node is stopping. */
static bool hand_out(struct exchange *exchange)
{
    struct api *api = exchange->api;
    struct node *node = api->node;
    struct node_call *call = &exchange->call;
    bool submit = exchange->request.route->action == API_SUBMIT;
    MUST(pthread_mutex_lock(&api->lock) == 0);
    if (api->stopping) {
        MUST(pthread_mutex_unlock(&api->lock) == 0);
        return false;
    }
    call->done = call_done;
    call->context = exchange->request.connection;
    exchange->phase = EXCHANGE_SUSPENDED;
    MHD_suspend_connection(exchange->request.connection);
    if (atomic_load(&node->journal_full)) {
        /* The loop waits: nothing is taken, and what is in blocks is found without it. */
        call->unavailable = submit;
        call->done(call);
    } else if (submit) {
        struct node_event *event = inbox_admit_transaction(
            &node->inbox, INBOX_NO_PEER, call, bytes_view_of(exchange->body, exchange->body_size));
        metric_add(&node->metrics.transactions_posted, 1);
        if (event != NULL) {
            workers_transactions(node->workers, event);
        } else {
            metric_add(&node->metrics.transactions_overload, 1);
            call->overloaded = true;
            call->done(call);
        }
    } else {
        inbox_push_lookup(&node->inbox, call);
    }
    MUST(pthread_mutex_unlock(&api->lock) == 0);
    return true;
}

static unsigned status_of(enum contract_error error)
{
    bool malformed = error == CONTRACT_TX_MALFORMED || error == CONTRACT_TX_OVERSIZED ||
                     error == CONTRACT_TX_BAD_WITNESS;
    if (malformed)
        return MHD_HTTP_BAD_REQUEST;
    return error == CONTRACT_MEMPOOL_FULL ? MHD_HTTP_TOO_MANY_REQUESTS
                                          : MHD_HTTP_UNPROCESSABLE_CONTENT;
}

static void answer_submit(const struct exchange *exchange, struct api_reply *reply)
{
    const struct node_call *call = &exchange->call;
    if (call->limited) {
        api_reply_limited(reply, call->retry_seconds);
    } else if (call->unavailable) {
        api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "not_accepting",
                        "the node takes no transactions now; /ready says why");
    } else if (call->overloaded) {
        api_reply_error(reply, MHD_HTTP_TOO_MANY_REQUESTS, "mempool_full",
                        "too many transactions at once; try again");
    } else if (call->error != CONTRACT_OK) {
        api_reply_error(reply, status_of(call->error), contract_error_name(call->error),
                        contract_error_reason(call->error));
    } else {
        cJSON *root = cJSON_CreateObject();
        api_add_hash(root, "id", &call->tx_id);
        api_reply_json(reply, MHD_HTTP_ACCEPTED, root);
    }
}

static void answer_lookup(const struct exchange *exchange, struct api_reply *reply)
{
    const struct node_call *call = &exchange->call;
    if (call->pending) {
        cJSON *root = cJSON_CreateObject();
        api_add_hash(root, "id", &call->tx_id);
        cJSON_AddStringToObject(root, "status", "pending");
        api_reply_json(reply, MHD_HTTP_OK, root);
    } else if (!api_read_committed(&exchange->request, reply, &call->tx_id)) {
        api_reply_not_found(reply, "neither a block nor this node's mempool has it");
    }
}

static void answer_stopping(struct api_reply *reply)
{
    api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "not_accepting", "the node is stopping");
}

/* --- exchanges ---------------------------------------------------------------------------- */

static enum MHD_Result start_stream(struct exchange *exchange)
{
    struct MHD_Connection *connection = exchange->request.connection;
    struct api_reply reply = {0};
    uint64_t from = 0;
    if (!api_query_u64(&exchange->request, &reply, "from", &from))
        return queue(exchange, &reply);
    const char *last = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    uint64_t seen = 0;
    if (last != NULL && uint64_from_text(&seen, last) && seen < UINT64_MAX)
        from = seen + 1;
    else if (api_query(&exchange->request, "from") != NULL && from == 0)
        from = 1;
    const uint64_t first = api_first_body(exchange->request.node);
    if (from != 0 && from < first) {
        api_reply_pruned(&reply, first);
        return queue(exchange, &reply);
    }
    struct MHD_Response *response = NULL;
    switch (api_streams_open(exchange->api->streams, &response, &exchange->request, from)) {
    case API_STREAM_OPEN:
        break;
    case API_STREAM_READER_FULL:
        metric_add(&exchange->api->node->metrics.http_limited, 1);
        /* One whose connection broke keeps its place until the next word to it fails. */
        reply.retry_seconds = API_KEEPALIVE_SECONDS;
        api_reply_error(&reply, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_streams",
                        "your address or key has as many event streams as this node gives to one "
                        "(api.streams in its flexd.json); end one of them first");
        return queue(exchange, &reply);
    case API_STREAM_NO_ROOM:
        api_reply_error(&reply, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                        "too many event streams at once; try again");
        return queue(exchange, &reply);
    }
    api_add_cors(&exchange->request, response);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* The request is complete. */
static enum MHD_Result serve(struct exchange *exchange)
{
    struct api_reply reply = {0};
    struct api_request *request = &exchange->request;
    api_reply_begin();
    /* A body that nobody keeps is signed by nobody. */
    if (exchange->oversized && request->route->action != API_SUBMIT) {
        api_reply_error(&reply, MHD_HTTP_BAD_REQUEST, "bad_request", "this path takes no body");
        return queue(exchange, &reply);
    }
    if (!api_admit(request, &reply, exchange->method,
                   bytes_view_of(exchange->body, exchange->body_size)))
        return queue(exchange, &reply);
    switch (request->route->action) {
    case API_READ:
        request->route->read(request, &reply);
        break;
    case API_STREAM:
        return start_stream(exchange);
    case API_SUBMIT:
        if (exchange->oversized)
            api_reply_error(&reply, MHD_HTTP_BAD_REQUEST,
                            contract_error_name(CONTRACT_TX_OVERSIZED),
                            contract_error_reason(CONTRACT_TX_OVERSIZED));
        else if (hand_out(exchange))
            return MHD_YES;
        else
            answer_stopping(&reply);
        break;
    case API_LOOKUP:
        if (!hex_decode(exchange->call.tx_id.bytes, HASH_SIZE, request->arguments[0]))
            api_reply_not_found(&reply, "a transaction's id is 64 lower-case hex digits");
        else if (!api_read_committed(request, &reply, &exchange->call.tx_id)) {
            if (hand_out(exchange))
                return MHD_YES;
            answer_stopping(&reply);
        }
        break;
    }
    return queue(exchange, &reply);
}

/* Called with the request line as it came, before libmicrohttpd takes it to pieces: what is signed. What
 * it returns is *state of the first call. */
void *api_note_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->api = context;
    exchange->request.api = exchange->api;
    exchange->request.node = exchange->api->node;
    exchange->request.gate = exchange->api->gate;
    exchange->request.connection = connection;
    exchange->request.target = exchange->target;
    exchange->request.method = exchange->method;
    (void)snprintf(exchange->target, sizeof exchange->target, "%s", target);
    return exchange;
}

/* What a browser wants to know before it sends a page's request. */
static void answer_preflight(const struct api_request *request, struct api_reply *reply)
{
    reply->methods = node_is_validator(request->node) ? "GET, HEAD, POST" : "GET, HEAD";
    api_reply_bytes(reply, "text/plain", api_allocate(1), 0);
    reply->status = MHD_HTTP_NO_CONTENT;
}

static enum MHD_Result begin(struct exchange *exchange, const char *url, const char *method,
                             const char *version)
{
    struct api_reply reply = {0};
    struct api_request *request = &exchange->request;
    exchange->phase = EXCHANGE_BODY;
    api_reply_begin();
    (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
    metric_add(&exchange->api->node->metrics.http_requests, 1);
    if (!api_limits_take_address(exchange->api->limits, request, &reply)) {
        metric_add(&exchange->api->node->metrics.http_limited, 1);
        return queue(exchange, &reply);
    }
    if (!api_rules_check(request, &reply, version))
        return queue(exchange, &reply);
    if (api_rules_is_preflight(request)) {
        answer_preflight(request, &reply);
        return queue(exchange, &reply);
    }
    if (!route_request(exchange, &reply, url, method))
        return queue(exchange, &reply);
    if (request->route->action == API_SUBMIT) {
        exchange->body = malloc(API_BODY_BYTES_MAX);
        if (exchange->body == NULL)
            return MHD_NO;
    }
    return MHD_YES;
}

enum MHD_Result api_handle(void *context, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data, size_t *size,
                           void **state)
{
    (void)context;
    struct exchange *exchange = *state;
    if (exchange == NULL)
        return MHD_NO; /* no memory for it */
    if (exchange->phase == EXCHANGE_NEW)
        return begin(exchange, url, method, version);
    if (*size > 0) {
        /* What is too long is read on for a while, so that the sender gets its answer. */
        exchange->body_seen += *size;
        if (exchange->body_seen > API_BODY_READ_MAX)
            return MHD_NO;
        if (exchange->body != NULL && *size <= API_BODY_BYTES_MAX - exchange->body_size) {
            memcpy(exchange->body + exchange->body_size, data, *size);
            exchange->body_size += *size;
        } else {
            exchange->oversized = true;
        }
        *size = 0;
        return MHD_YES;
    }
    if (exchange->phase == EXCHANGE_BODY) {
        api_connections_mark(exchange->api->connections, connection, true);
        return serve(exchange);
    }
    struct api_reply reply = {0};
    api_reply_begin();
    if (exchange->request.route->action == API_SUBMIT)
        answer_submit(exchange, &reply);
    else
        answer_lookup(exchange, &reply);
    return queue(exchange, &reply);
}

void api_completed(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct api *api = context;
    (void)code;
    struct exchange *exchange = *state;
    if (exchange == NULL)
        return;
    api_connections_mark(api->connections, connection, false);
    api_budget_give(&api->budget, exchange->charged);
    free(exchange->body);
    free(exchange);
    *state = NULL;
}
