/* /openapi.json, made from the table of routes that dispatches (api_routes.c; docs/spec/api.md).
 *
 * Deliberately absent: schemas of bodies; docs/spec/state.md has every record, field by field. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "node/api_internal.h"
#include "node/version.h"

static void add_parameter(cJSON *parameters, const char *name, size_t length, const char *where)
{
    char text[32];
    MUST(length < sizeof text);
    memcpy(text, name, length);
    text[length] = '\0';
    cJSON *parameter = api_add_item(parameters, cJSON_CreateObject());
    cJSON_AddStringToObject(parameter, "name", text);
    cJSON_AddStringToObject(parameter, "in", where);
    cJSON_AddBoolToObject(parameter, "required", strcmp(where, "path") == 0);
    cJSON *schema = cJSON_AddObjectToObject(parameter, "schema");
    cJSON_AddStringToObject(schema, "type", "string");
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

static const char *too_many(enum api_action action)
{
    switch (action) {
    case API_SUBMIT:
        return "rate_limited (Retry-After), mempool_full";
    case API_STREAM:
        return "rate_limited, too_many_streams (Retry-After)";
    case API_READ:
    case API_LOOKUP:
        return "rate_limited (Retry-After)";
    }
    MUST(false);
    return NULL;
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
    add_response(responses, "429", too_many(route->action), "application/json");
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
