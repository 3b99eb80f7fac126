/* The API's table of routes: what dispatches is what /openapi.json documents, so that they can't
 * differ (docs/spec/api.md).
 *
 * Paths are matched segment by segment. "{name}" takes one segment, "{name...}" the rest, slashes
 * included, because some records' ids have parts.
 *
 * Deliberately absent: regular expressions, optional segments, content negotiation. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/api_internal.h"
#include "node/version.h"

const struct api_route api_routes[] = {
    {"GET",
     "/v1/status",
     "What this node is and where it stands",
     API_READ,
     ACCESS_PUBLIC,
     api_read_status,
     0,
     {NULL},
     NULL},
    {"POST",
     "/v1/transactions",
     "Submit a signed transaction envelope",
     API_SUBMIT,
     ACCESS_ENVELOPE,
     NULL,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/transactions/{id}",
     "One transaction, pending or with its receipt",
     API_LOOKUP,
     ACCESS_SCOPED,
     NULL,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/accounts",
     "List balances, by participant",
     API_READ,
     ACCESS_SCOPED,
     api_read_accounts,
     STATE_PARTICIPANT,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/accounts/{name}",
     "One participant's balance, nonce, roles and status",
     API_READ,
     ACCESS_SCOPED,
     api_read_account,
     STATE_PARTICIPANT,
     {NULL},
     NULL},
    {"GET",
     "/v1/participants",
     "List participants, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_PARTICIPANT,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/participants/{id...}",
     "One of the participants",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_PARTICIPANT,
     {NULL},
     NULL},
    {"GET",
     "/v1/proposals",
     "List proposals, in key order",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_PROPOSAL,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/proposals/{id...}",
     "One proposal",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_PROPOSAL,
     {NULL},
     NULL},
    {"GET",
     "/v1/validators",
     "List validators that joined, left or are accused, by key",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_VALIDATOR,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/validators/{id...}",
     "One of those validators",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_VALIDATOR,
     {NULL},
     NULL},
    {"GET",
     "/v1/evidence_records",
     "List evidence on the chain, in key order",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_EVIDENCE,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/evidence_records/{id...}",
     "One piece of evidence",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_EVIDENCE,
     {NULL},
     NULL},
    {"GET",
     "/v1/assets",
     "List devices, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_DEVICE,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/assets/{id...}",
     "One of the devices",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_DEVICE,
     {NULL},
     NULL},
    {"GET",
     "/v1/aliases",
     "List aliases of devices, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_ALIAS,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/aliases/{id...}",
     "One of the aliases of devices",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_ALIAS,
     {NULL},
     NULL},
    {"GET",
     "/v1/commitments",
     "List what devices have open or sold, per quarter hour, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_COMMITMENT,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/commitments/{id...}",
     "One of these: what devices have open or sold, per quarter hour",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_COMMITMENT,
     {NULL},
     NULL},
    {"GET",
     "/v1/enrolments",
     "List enrolments of devices in markets, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_ENROLMENT,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/enrolments/{id...}",
     "One of the enrolments of devices in markets",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_ENROLMENT,
     {NULL},
     NULL},
    {"GET",
     "/v1/markets",
     "List markets, in key order",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_MARKET,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/markets/{id...}",
     "One of the markets",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_MARKET,
     {NULL},
     NULL},
    {"GET",
     "/v1/orders",
     "List orders, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_ORDER,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/orders/{id...}",
     "One of the orders",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_ORDER,
     {NULL},
     NULL},
    {"GET",
     "/v1/deals",
     "List deals, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_DEAL,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/deals/{id...}",
     "One of the deals",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_DEAL,
     {NULL},
     NULL},
    {"GET",
     "/v1/auctions",
     "List auctions, open and cleared, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_AUCTION,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/auctions/{id...}",
     "What one auction came to",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_AUCTION,
     {NULL},
     NULL},
    {"GET",
     "/v1/forecasts",
     "List versions of forecasts, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_FORECAST,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/forecasts/{id...}",
     "One version of a forecast",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_FORECAST,
     {NULL},
     NULL},
    {"GET",
     "/v1/dispatches",
     "List instructions to devices, in key order",
     API_READ,
     ACCESS_SCOPED,
     api_read_list,
     STATE_DISPATCH,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/dispatches/{id...}",
     "One instruction to a device",
     API_READ,
     ACCESS_SCOPED,
     api_read_record,
     STATE_DISPATCH,
     {NULL},
     NULL},
    {"GET",
     "/v1/batches",
     "List fingerprints of meter readings, in key order",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_BATCH,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/batches/{id...}",
     "One of the fingerprints of meter readings",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_BATCH,
     {NULL},
     NULL},
    {"GET",
     "/v1/notes/{date}",
     "The digest of a day, as a signed note",
     API_READ,
     ACCESS_MEMBERS,
     api_read_note,
     0,
     {NULL},
     "text/plain; charset=utf-8"},
    {"GET",
     "/v1/digests",
     "List daily digests, in key order",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_DIGEST,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/digests/{id...}",
     "One of the daily digests",
     API_READ,
     ACCESS_MEMBERS,
     api_read_record,
     STATE_DIGEST,
     {NULL},
     NULL},
    {"GET",
     "/v1/params",
     "The ledger's parameters",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_PARAMS,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/supply",
     "Amounts minted and burned",
     API_READ,
     ACCESS_MEMBERS,
     api_read_list,
     STATE_SUPPLY,
     {"after", "limit", NULL},
     NULL},
    {"GET",
     "/v1/keys/{key}",
     "Which participant has that public key",
     API_READ,
     ACCESS_SCOPED,
     api_read_key,
     STATE_KEY,
     {NULL},
     NULL},
    {"GET",
     "/v1/proofs/{kind}/{id...}",
     "A proof file of a record, its absence, or a receipt",
     API_READ,
     ACCESS_SCOPED,
     api_read_proof,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/proofs/{kind}",
     "A proof file of a record that has no id",
     API_READ,
     ACCESS_SCOPED,
     api_read_proof,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/blocks/{height}",
     "One block: header, transaction ids, certificate",
     API_READ,
     ACCESS_SCOPED,
     api_read_block,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/blocks/{height}/receipts",
     "A block's header, certificate and receipts in binary: what became of each transaction, "
     "provable",
     API_READ,
     ACCESS_REGULATOR,
     api_read_receipts,
     0,
     {NULL},
     "application/octet-stream"},
    {"GET",
     "/v1/export",
     "Blocks as stored, for flex audit export",
     API_READ,
     ACCESS_REGULATOR,
     api_read_export,
     0,
     {"from", "count", NULL},
     "application/octet-stream"},
    {"GET",
     "/v1/order-events",
     "What happened to orders, in the order of the chain, page by page",
     API_READ,
     ACCESS_SCOPED,
     api_read_order_events,
     0,
     {"market", "participant", "order", "from_height", "to_height", "cursor", "limit", NULL},
     NULL},
    {"GET",
     "/v1/trades",
     "Deals as they were matched, in the order of the chain, page by page",
     API_READ,
     ACCESS_SCOPED,
     api_read_trades,
     0,
     {"market", "participant", "order", "from_height", "to_height", "cursor", "limit", NULL},
     NULL},
    {"GET",
     "/v1/depth/{market}",
     "What is open on both sides of a market's books, as sums",
     API_READ,
     ACCESS_SCOPED,
     api_read_depth,
     0,
     {"from_ms", "limit", NULL},
     NULL},
    {"GET",
     "/v1/fees",
     "Fees paid, taken from deals and split, in the order of the chain, page by page",
     API_READ,
     ACCESS_SCOPED,
     api_read_fees,
     0,
     {"market", "participant", "from_height", "to_height", "cursor", "limit", NULL},
     NULL},
    {"GET",
     "/v1/movements",
     "Every change of a balance, in the order of the chain, page by page",
     API_READ,
     ACCESS_SCOPED,
     api_read_movements,
     0,
     {"participant", "from_height", "to_height", "cursor", "limit", NULL},
     NULL},
    {"GET",
     "/v1/snapshots",
     "Snapshots of the state that this node has",
     API_READ,
     ACCESS_MEMBERS,
     api_read_snapshots,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/snapshots/{height}/{part}",
     "One part of a snapshot: manifest, epoch-N or chunk-N",
     API_READ,
     ACCESS_REGULATOR,
     api_read_snapshot_part,
     0,
     {NULL},
     "application/octet-stream"},
    {"GET",
     "/v1/evidence",
     "Double votes of validators that this node has seen, as the actions that report them",
     API_READ,
     ACCESS_MEMBERS,
     api_read_evidence,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/genesis",
     "genesis.json as this node has it",
     API_READ,
     ACCESS_MEMBERS,
     api_read_genesis,
     0,
     {NULL},
     NULL},
    {"GET",
     "/v1/events",
     "Server-sent events, one per block; resumes by Last-Event-ID",
     API_STREAM,
     ACCESS_SCOPED,
     NULL,
     0,
     {"from", NULL},
     "text/event-stream"},
    {"GET",
     "/health",
     "200 while the process answers",
     API_READ,
     ACCESS_PUBLIC,
     api_read_health,
     0,
     {NULL},
     NULL},
    {"GET",
     "/ready",
     "200 when the node can do its work, else 503 and why",
     API_READ,
     ACCESS_PUBLIC,
     api_read_ready,
     0,
     {NULL},
     NULL},
    {"GET",
     "/metrics",
     "Prometheus text",
     API_READ,
     ACCESS_PUBLIC,
     api_read_metrics,
     0,
     {NULL},
     "text/plain; version=0.0.4"},
    {"GET",
     "/openapi.json",
     "This table, for machines",
     API_READ,
     ACCESS_PUBLIC,
     api_read_openapi,
     0,
     {NULL},
     NULL},
};
const size_t api_route_count = sizeof api_routes / sizeof api_routes[0];

/* True if `path` has the pattern's shape; remembers where the arguments begin and end. */
static bool match(const char *pattern, const char *path, size_t begins[API_ARGUMENTS_MAX],
                  size_t ends[API_ARGUMENTS_MAX], int *count)
{
    const char *at = path;
    *count = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *at++)
                return false;
            continue;
        }
        const char *close = strchr(pattern, '}');
        MUST(close != NULL && *count < API_ARGUMENTS_MAX);
        bool rest = close - pattern > 3 && memcmp(close - 3, "...", 3) == 0;
        size_t length = rest ? strlen(at) : strcspn(at, "/");
        if (length == 0)
            return false;
        begins[*count] = (size_t)(at - path);
        ends[*count] = (size_t)(at - path) + length;
        (*count)++;
        at += length;
        pattern = close + 1;
    }
    return *at == '\0';
}

const struct api_route *api_route_find(const char *method, char *path,
                                       const char *arguments[API_ARGUMENTS_MAX], const char **allow)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    *allow = NULL;
    for (size_t i = 0; i < api_route_count; i++) {
        size_t begins[API_ARGUMENTS_MAX];
        size_t ends[API_ARGUMENTS_MAX];
        int count = 0;
        if (!match(api_routes[i].path, path, begins, ends, &count))
            continue;
        if (strcmp(api_routes[i].method, wanted) != 0) {
            *allow = strcmp(api_routes[i].method, "GET") == 0 ? "GET, HEAD" : api_routes[i].method;
            continue;
        }
        for (int a = 0; a < API_ARGUMENTS_MAX; a++)
            arguments[a] = NULL;
        for (int a = 0; a < count; a++) {
            path[ends[a]] = '\0';
            arguments[a] = path + begins[a];
        }
        *allow = NULL;
        return &api_routes[i];
    }
    return NULL;
}

/* --- /openapi.json ------------------------------------------------------------------------ */

static void add_parameter(cJSON *parameters, const char *name, size_t length, const char *where)
{
    char text[32];
    MUST(length < sizeof text);
    memcpy(text, name, length);
    text[length] = '\0';
    cJSON *parameter = cJSON_CreateObject();
    cJSON_AddStringToObject(parameter, "name", text);
    cJSON_AddStringToObject(parameter, "in", where);
    cJSON_AddBoolToObject(parameter, "required", strcmp(where, "path") == 0);
    cJSON *schema = cJSON_AddObjectToObject(parameter, "schema");
    cJSON_AddStringToObject(schema, "type", "string");
    cJSON_AddItemToArray(parameters, parameter);
}

static void add_parameters(cJSON *operation, const struct api_route *route)
{
    cJSON *parameters = cJSON_AddArrayToObject(operation, "parameters");
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        size_t length = strcspn(at + 1, ".}");
        add_parameter(parameters, at + 1, length, "path");
    }
    for (int i = 0; i < API_QUERIES_MAX && route->query[i] != NULL; i++)
        add_parameter(parameters, route->query[i], strlen(route->query[i]), "query");
}

static void add_response(cJSON *responses, const char *status, const char *description,
                         const char *content_type)
{
    cJSON *response = cJSON_AddObjectToObject(responses, status);
    cJSON_AddStringToObject(response, "description", description);
    cJSON *content = cJSON_AddObjectToObject(response, "content");
    cJSON_AddObjectToObject(content, content_type);
}

static void add_operation(cJSON *paths, const struct api_route *route)
{
    /* OpenAPI has no name for "the rest of the path": the dots go, the meaning is in the text. */
    char path[API_PATH_BYTES_MAX];
    size_t size = 0;
    for (const char *at = route->path; *at != '\0' && size + 1 < sizeof path; at++) {
        if (*at != '.' || strchr(route->path, '{') == NULL || at < strchr(route->path, '{'))
            path[size++] = *at;
    }
    path[size] = '\0';
    cJSON *item = cJSON_GetObjectItemCaseSensitive(paths, path);
    if (item == NULL)
        item = cJSON_AddObjectToObject(paths, path);
    bool post = strcmp(route->method, "POST") == 0;
    cJSON *operation = cJSON_AddObjectToObject(item, post ? "post" : "get");
    cJSON_AddStringToObject(operation, "summary", route->summary);
    cJSON_AddStringToObject(operation, "x-read-access", access_route_names[route->access]);
    add_parameters(operation, route);
    if (post) {
        cJSON *body = cJSON_AddObjectToObject(operation, "requestBody");
        cJSON_AddBoolToObject(body, "required", true);
        cJSON *content = cJSON_AddObjectToObject(body, "content");
        cJSON_AddObjectToObject(content, "application/octet-stream");
    }
    cJSON *responses = cJSON_AddObjectToObject(operation, "responses");
    add_response(responses, post ? "202" : "200", post ? "taken" : "as described",
                 route->content_type != NULL ? route->content_type : "application/json");
    add_response(responses, "default", "{\"error\":{\"code\",\"reason\"}}", "application/json");
}

void api_read_openapi(const struct api_request *request, struct api_reply *reply)
{
    (void)request;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "openapi", "3.0.3");
    cJSON *info = cJSON_AddObjectToObject(root, "info");
    cJSON_AddStringToObject(info, "title", "Flexledger node");
    cJSON_AddStringToObject(info, "version", FLEX_VERSION);
    cJSON *paths = cJSON_AddObjectToObject(root, "paths");
    for (size_t i = 0; i < api_route_count; i++)
        add_operation(paths, &api_routes[i]);
    api_reply_json(reply, MHD_HTTP_OK, root);
}
