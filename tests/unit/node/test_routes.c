/* The API's table: what matches, what is refused and with which Allow, that /openapi.json names every
 * route and nothing else; and readiness as a function of the status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "node/api_internal.h"

static const struct api_route *find(const char *method, const char *path, char scratch[256],
                                    const char *arguments[API_ARGUMENTS_MAX], const char **allow)
{
    snprintf(scratch, 256, "%s", path);
    return api_route_find(method, scratch, arguments, allow);
}

static void paths_lead_to_their_routes(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *route; /* NULL: none */
        const char *first;
        const char *second;
        const char *allow;
    } rows[] = {
        {"GET", "/v1/status", "/v1/status", NULL, NULL, NULL},
        {"HEAD", "/v1/status", "/v1/status", NULL, NULL, NULL},
        {"POST", "/v1/status", NULL, NULL, NULL, "GET, HEAD"},
        {"PUT", "/v1/transactions", NULL, NULL, NULL, "POST"},
        {"GET", "/v1/transactions", NULL, NULL, NULL, "POST"},
        {"POST", "/v1/transactions", "/v1/transactions", NULL, NULL, NULL},
        {"GET", "/v1/transactions/ab", "/v1/transactions/{id}", "ab", NULL, NULL},
        {"GET", "/v1/transactions/ab/cd", NULL, NULL, NULL, NULL},
        {"GET", "/v1/batches/meters/west/17", "/v1/batches/{id...}", "meters/west/17", NULL, NULL},
        {"GET", "/v1/batches/", NULL, NULL, NULL, NULL},
        {"GET", "/v1/proofs/pot/balance/dso", "/v1/proofs/{kind}/{id...}", "pot", "balance/dso",
         NULL},
        {"GET", "/v1/proofs/supply", "/v1/proofs/{kind}", "supply", NULL, NULL},
        {"GET", "/v1/accounts/dso", "/v1/accounts/{name}", "dso", NULL, NULL},
        {"GET", "/v1/accounts/dso/", NULL, NULL, NULL, NULL},
        {"GET", "/v1/order-events", "/v1/order-events", NULL, NULL, NULL},
        {"POST", "/v1/trades", NULL, NULL, NULL, "GET, HEAD"},
        {"GET", "/v1", NULL, NULL, NULL, NULL},
        {"GET", "", NULL, NULL, NULL, NULL},
        {"GET", "/", NULL, NULL, NULL, NULL},
        {"GET", "/v1/statusx", NULL, NULL, NULL, NULL},
        {"get", "/v1/status", NULL, NULL, NULL, "GET, HEAD"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char scratch[256];
        const char *arguments[API_ARGUMENTS_MAX] = {NULL, NULL};
        const char *allow = NULL;
        const struct api_route *route =
            find(rows[i].method, rows[i].path, scratch, arguments, &allow);
        if ((route == NULL) != (rows[i].route == NULL))
            fail_msg("%s %s: wrongly %s", rows[i].method, rows[i].path, route ? "found" : "lost");
        if (route != NULL) {
            assert_string_equal(route->path, rows[i].route);
            const char *const wanted[] = {rows[i].first, rows[i].second};
            for (int a = 0; a < API_ARGUMENTS_MAX; a++) {
                assert_true((arguments[a] == NULL) == (wanted[a] == NULL));
                if (wanted[a] != NULL)
                    assert_string_equal(arguments[a], wanted[a]);
            }
        }
        assert_true((allow == NULL) == (rows[i].allow == NULL));
        if (allow != NULL)
            assert_string_equal(allow, rows[i].allow);
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        assert_true(route->path[0] == '/');
        assert_true(strlen(route->path) < API_PATH_BYTES_MAX);
        assert_true((route->action == API_READ) == (route->read != NULL));
        assert_true((strcmp(route->method, "POST") == 0) == (route->action == API_SUBMIT));
        assert_null(route->query[API_QUERIES_MAX]); /* the list ends within its bound */
        for (size_t other = 0; other < i; other++)
            assert_false(strcmp(api_routes[other].path, route->path) == 0 &&
                         strcmp(api_routes[other].method, route->method) == 0);
    }
}

/* The route that /openapi.json calls by that path, where the dots of "{id...}" are gone. */
static const struct api_route *route_of(const char *path, const char *method)
{
    for (size_t i = 0; i < api_route_count; i++) {
        const char *at = path;
        const char *pattern = api_routes[i].path;
        for (; *pattern != '\0'; pattern++) {
            bool dot = *pattern == '.' && strchr(api_routes[i].path, '{') != NULL &&
                       pattern > strchr(api_routes[i].path, '{');
            if (!dot && *pattern != *at++)
                break;
        }
        if (*pattern == '\0' && *at == '\0' &&
            (strcmp(api_routes[i].method, "POST") == 0) == (strcmp(method, "post") == 0))
            return &api_routes[i];
    }
    fail_msg("no route is %s %s", method, path);
    return NULL;
}

static bool knows_query(const struct api_route *route, const char *name)
{
    for (int i = 0; i < API_QUERIES_MAX && route->query[i] != NULL; i++) {
        if (strcmp(route->query[i], name) == 0)
            return true;
    }
    return false;
}

static int parameters_of(const struct api_route *route)
{
    int count = 0;
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{'))
        count++;
    for (int i = 0; i < API_QUERIES_MAX && route->query[i] != NULL; i++)
        count++;
    return count;
}

static void openapi_lists_every_route(void **state)
{
    (void)state;
    struct api_reply reply = {0};
    struct api_request request = {0};
    api_read_openapi(&request, &reply);
    assert_int_equal(reply.status, 200);
    cJSON *root = cJSON_ParseWithLength(reply.body, reply.size);
    assert_non_null(root);
    assert_non_null(cJSON_GetObjectItemCaseSensitive(root, "openapi"));
    const cJSON *paths = cJSON_GetObjectItemCaseSensitive(root, "paths");
    size_t operations = 0;
    const cJSON *path = NULL;
    cJSON_ArrayForEach(path, paths)
    {
        const cJSON *operation = NULL;
        cJSON_ArrayForEach(operation, path)
        {
            operations++;
            assert_non_null(cJSON_GetObjectItemCaseSensitive(operation, "responses"));
            /* Every {name} in the path has its parameter. */
            const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(operation, "parameters");
            int named = 0;
            const struct api_route *route = route_of(path->string, operation->string);
            assert_int_equal(cJSON_GetArraySize(parameters), parameters_of(route));
            const cJSON *parameter = NULL;
            cJSON_ArrayForEach(parameter, parameters)
            {
                char braces[64];
                const cJSON *name = cJSON_GetObjectItemCaseSensitive(parameter, "name");
                snprintf(braces, sizeof braces, "{%s}", name->valuestring);
                bool in_path = strstr(path->string, braces) != NULL;
                named += in_path;
                assert_true(in_path || knows_query(route, name->valuestring));
            }
            int wanted = 0;
            for (const char *at = strchr(path->string, '{'); at != NULL; at = strchr(at + 1, '{'))
                wanted++;
            assert_int_equal(named, wanted);
        }
    }
    assert_int_equal(operations, api_route_count);
    cJSON_Delete(root);
    free(reply.body);
}

static void readiness_follows_the_status(void **state)
{
    (void)state;
    struct node_status good = {
        .started = true, .height = 9, .tip_view = 11, .final_view = 11, .validators_up = 3};
    assert_null(node_status_unready(&good, true, 3));
    struct node_status bad = good;
    bad.validators_up = 2;
    assert_non_null(node_status_unready(&bad, true, 3));
    assert_null(node_status_unready(&bad, false, 3)); /* an audit node needs nobody */
    bad = good;
    bad.final_view = 12;
    assert_non_null(node_status_unready(&bad, false, 3));
    bad = good;
    bad.store_full = true;
    assert_non_null(strstr(node_status_unready(&bad, true, 3), "full"));
    bad = good;
    bad.journal_full = true;
    assert_non_null(strstr(node_status_unready(&bad, true, 3), "full"));
    bad = good;
    bad.damaged_reads = 1;
    assert_non_null(strstr(node_status_unready(&bad, true, 3), "damaged"));
    bad = good;
    bad.started = false;
    assert_non_null(node_status_unready(&bad, true, 3));
    bad = good;
    bad.stopping = true;
    assert_non_null(node_status_unready(&bad, true, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_their_routes),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(openapi_lists_every_route),
        cmocka_unit_test(readiness_follows_the_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
