/* Replies of the HTTP API: JSON, errors, bytes, and what they may hold of memory.
 *
 * Invariants: a JSON answer of which a part found no memory is not sent: cJSON leaves out what it cannot
 * allocate, and an account without its balance would be a wrong answer. Answers that wait for their readers
 * are bounded all together. What is added to a list or object is never lost: it is theirs or freed.
 *
 * Deliberately absent: answers in parts. What is large comes in pages. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/api_internal.h"

/* Of this thread, since api_reply_begin: an allocation of a part of its answer has failed. */
static _Thread_local bool memory_failed;

void api_reply_begin(void)
{
    memory_failed = false;
}

bool api_reply_is_whole(void)
{
    return !memory_failed;
}

void *api_allocate(size_t size)
{
    void *memory = calloc(1, size);
    memory_failed = memory_failed || memory == NULL;
    return memory;
}

static void *json_allocate(size_t size)
{
    void *memory = malloc(size);
    memory_failed = memory_failed || memory == NULL;
    return memory;
}

void api_reply_watch_memory(void)
{
    cJSON_Hooks hooks = {.malloc_fn = json_allocate, .free_fn = free};
    cJSON_InitHooks(&hooks);
}

cJSON *api_add_item(cJSON *array, cJSON *item)
{
    if (cJSON_AddItemToArray(array, item))
        return item;
    cJSON_Delete(item);
    memory_failed = true;
    return NULL;
}

void api_put_item(cJSON *object, const char *key, cJSON *item)
{
    if (!cJSON_AddItemToObject(object, key, item)) {
        cJSON_Delete(item);
        memory_failed = true;
    }
}

void api_reply_bytes(struct api_reply *reply, const char *content_type, char *body, size_t size)
{
    reply->status = MHD_HTTP_OK;
    reply->content_type = content_type;
    reply->body = body;
    reply->size = size;
}

void api_reply_json(struct api_reply *reply, unsigned status, cJSON *object)
{
    char *text = object != NULL && !memory_failed ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (text != NULL && memory_failed) {
        free(text);
        text = NULL;
    }
    reply->status = text != NULL ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
    reply->content_type = "application/json";
    reply->body = text;
    reply->size = text != NULL ? strlen(text) : 0;
}

void api_reply_error(struct api_reply *reply, unsigned status, const char *code, const char *reason)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddStringToObject(error, "reason", reason);
    api_reply_json(reply, status, root);
}

void api_reply_retry(struct api_reply *reply, const char *reason)
{
    reply->retry_seconds = 1;
    api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "retry", reason);
}

void api_reply_not_found(struct api_reply *reply, const char *what)
{
    api_reply_error(reply, MHD_HTTP_NOT_FOUND, "not_found", what);
}

uint64_t api_first_body(struct node *node)
{
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (snapshot == NULL)
        return 1;
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    store_snapshot_end(snapshot);
    return first;
}

void api_reply_pruned(struct api_reply *reply, uint64_t first)
{
    char reason[160];
    (void)snprintf(reason, sizeof reason,
                   "this node has blocks from %llu on only; ask an audit node, which keeps all, or "
                   "begin at %llu",
                   (unsigned long long)first, (unsigned long long)first);
    api_reply_error(reply, MHD_HTTP_GONE, "pruned", reason);
}

void api_add_hex(cJSON *object, const char *key, const void *bytes, size_t size)
{
    char *text = api_allocate(2 * size + 1);
    if (text == NULL)
        return;
    hex_encode(text, bytes, size);
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

void api_add_hash(cJSON *object, const char *key, const struct hash *hash)
{
    api_add_hex(object, key, hash->bytes, HASH_SIZE);
}

bool api_budget_take(struct api_budget *budget, size_t size, size_t *charged)
{
    *charged = 0;
    if (size <= API_ANSWER_BYTES_SMALL)
        return true;
    if (size > API_ANSWERS_BYTES_MAX)
        return false;
    *charged = size;
    if (atomic_fetch_add(&budget->bytes, size) <= API_ANSWERS_BYTES_MAX - size)
        return true;
    api_budget_give(budget, *charged);
    *charged = 0;
    return false;
}

void api_budget_give(struct api_budget *budget, size_t charged)
{
    size_t before = atomic_fetch_sub(&budget->bytes, charged);
    MUST(before >= charged);
}
