/* State records over HTTP: one generic list and one generic look-up for every kind, from the table
 * in contracts/records.h, and accounts, which join a participant with its balance.
 *
 * Everything is read from one snapshot, so an answer is of one height, which it names. Pages go by
 * key: `after` is the last id of the page before, so that a page is found in one seek and stays
 * where it is while the ledger grows.
 *
 * On a node that gives reads by role a page holds what its reader may see (node/access.h), and a record
 * that it may not see is as one that is not there. Where a page of such a list ended among others' records
 * is sealed, so that it names none of them.
 *
 * Deliberately absent: other filters and sorting, which would read without a limit. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "node/api_internal.h"

enum { ID_TEXT_MAX = 256 };
_Static_assert((int)API_SEALED_SIZE >= (int)ID_TEXT_MAX, "either place fits");

static void fault(struct api_reply *reply)
{
    api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                    "the store cannot be read; see the node's log");
}

/* Decodes a value and turns it into JSON; NULL on a value that isn't the kind's. */
static cJSON *record_json(const struct state_kind_info *info, struct bytes_view value)
{
    if (info->codec == NULL)
        return cJSON_CreateObject();
    void *record = api_allocate(info->codec->struct_size);
    cJSON *object = NULL;
    if (record != NULL && codec_decode_all(info->codec, record, value))
        object = codec_to_json(info->codec, record);
    free(record);
    return object;
}

/* Moves every member of `from` behind those of `to`, and frees `from`. A member that `to` has already
 * stays what it is. */
static void move_members(cJSON *to, cJSON *from)
{
    while (from->child != NULL) {
        cJSON *part = cJSON_DetachItemViaPointer(from, from->child);
        if (cJSON_HasObjectItem(to, part->string))
            cJSON_Delete(part);
        else
            api_put_item(to, part->string, part);
    }
    cJSON_Delete(from);
}

/* {"id", …record}: the id goes first. */
static cJSON *item_json(const struct state_kind_info *info, struct bytes_view key,
                        struct bytes_view value)
{
    char id[ID_TEXT_MAX];
    if (!state_key_to_text(id, sizeof id, info->kind, key))
        return NULL;
    cJSON *record = record_json(info, value);
    cJSON *object = record != NULL ? cJSON_CreateObject() : NULL;
    if (object == NULL) {
        cJSON_Delete(record);
        return NULL;
    }
    cJSON_AddStringToObject(object, "id", id);
    move_members(object, record);
    return object;
}

struct page {
    struct bytes_view prefix;
    struct state_key after; /* size 0: from the start */
    uint32_t limit;
    uint8_t prefix_byte;
};

/* Reads `after` and `limit`; false with the reply filled. */
static bool page_open(const struct api_request *request, struct api_reply *reply, struct page *page)
{
    uint64_t limit = API_LIST_DEFAULT;
    const char *after = api_query(request, "after");
    if (!api_query_u64(request, reply, "limit", &limit))
        return false;
    if (limit < 1 || limit > API_LIST_MAX) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_limit", "limit must be 1 to 1000");
        return false;
    }
    page->limit = (uint32_t)limit;
    page->after.size = 0;
    const bool sealed = after != NULL && api_is_sealed(after);
    if (sealed && !api_unseal(request, page->after.bytes, &page->after.size, after)) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_cursor",
                        "after is not the `next` of an earlier answer to this reader; begin again");
        return false;
    }
    if (after != NULL && !sealed &&
        !state_key_from_text(&page->after, request->route->kind, after)) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id", "after is not an id of this kind");
        return false;
    }
    page->prefix_byte = (uint8_t)request->route->kind;
    page->prefix = bytes_view_of(&page->prefix_byte, 1);
    return true;
}

typedef cJSON *(*item_fn)(const struct api_request *request, const struct state_base *base,
                          struct bytes_view key, struct bytes_view value);

/* The route's own rule: an account is its owner's, whatever else is known of a participant. */
static bool may_see(const struct api_request *request, const struct state_base *base,
                    struct bytes_view key, struct bytes_view value)
{
    const api_read_fn read = request->route->read;
    if (read != api_read_accounts && read != api_read_account)
        return access_record(&request->access, base, request->route->kind, key, value);
    char text[ID_TEXT_MAX];
    struct name name;
    return state_key_to_text(text, sizeof text, STATE_PARTICIPANT, key) &&
           name_from_text(&name, text, strlen(text)) &&
           access_pot(&request->access, base, POT_BALANCE, &name, 0);
}

static cJSON *list_item(const struct api_request *request, const struct state_base *base,
                        struct bytes_view key, struct bytes_view value)
{
    (void)base;
    return item_json(state_kind_info(request->route->kind), key, value);
}

/* Fills `items` with one page of what the reader may see; *more tells whether another follows. A filtered
 * page may end for the records that it has looked at: then page->after is one that it did not tell, and
 * *hidden is set. It says that more follows only if the reader may see that, or it can't know yet. False
 * on a fault. */
static bool page_fill(const struct api_request *request, const struct state_base *base,
                      struct page *page, item_fn item, cJSON *items, bool *more, bool *hidden)
{
    struct state_key key = page->after;
    uint32_t told = 0;
    *more = false;
    *hidden = false;
    for (uint32_t looked = 0;; looked++) {
        struct bytes_view value;
        struct state_key next;
        bool found = false;
        if (!base->next(base->context, page->prefix, bytes_view_of(key.bytes, key.size), &found,
                        next.bytes, &next.size, &value))
            return false;
        if (!found)
            return true;
        *more = true;
        const struct bytes_view view = bytes_view_of(next.bytes, next.size);
        if (looked >= API_FILTER_RECORDS_MAX) {
            *hidden =
                key.size != page->after.size || memcmp(key.bytes, page->after.bytes, key.size) != 0;
            page->after = key;
            return true;
        }
        *more = false;
        key = next;
        if (!may_see(request, base, view, value))
            continue;
        if (told == page->limit) {
            *more = true;
            return true;
        }
        cJSON *object = item(request, base, view, value);
        if (object == NULL)
            return false;
        (void)api_add_item(items, object);
        page->after = key;
        told++;
    }
}

/* Where the next page begins, as text; false if it can't be said. */
static bool page_next(const struct api_request *request, const struct page *page, bool hidden,
                      cJSON *root)
{
    char next[API_SEALED_SIZE];
    const struct bytes_view place = bytes_view_of(page->after.bytes, page->after.size);
    if (hidden ? !api_seal(request, next, place)
               : !state_key_to_text(next, sizeof next, request->route->kind, place))
        return false;
    cJSON_AddStringToObject(root, "next", next);
    return true;
}

static void list(const struct api_request *request, struct api_reply *reply, item_fn item)
{
    struct page page;
    if (!page_open(request, reply, &page))
        return;
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    cJSON *root = cJSON_CreateObject();
    json_add_u64(root, "height", store_snapshot_tip(snapshot)->height);
    cJSON *items = cJSON_AddArrayToObject(root, "items");
    if (request->route->access == ACCESS_SCOPED)
        api_add_filtered(request, root);
    bool more = false;
    bool hidden = false;
    bool good =
        page_fill(request, store_snapshot_base(snapshot), &page, item, items, &more, &hidden);
    if (good && more)
        good = page_next(request, &page, hidden, root);
    store_snapshot_end(snapshot);
    if (good) {
        api_reply_json(reply, MHD_HTTP_OK, root);
    } else {
        cJSON_Delete(root);
        fault(reply);
    }
}

void api_read_list(const struct api_request *request, struct api_reply *reply)
{
    list(request, reply, list_item);
}

/* One key's value from a fresh snapshot, made into an answer by `item`. */
static void single(const struct api_request *request, struct api_reply *reply,
                   const struct state_key *key, item_fn item, const char *what)
{
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    const struct state_base *base = store_snapshot_base(snapshot);
    struct bytes_view view = bytes_view_of(key->bytes, key->size);
    struct bytes_view value;
    bool found = false;
    uint64_t height = store_snapshot_tip(snapshot)->height;
    bool good = base->get(base->context, view, &found, &value);
    /* What a reader may not see is not there for it. */
    found = found && may_see(request, base, view, value);
    cJSON *record = good && found ? item(request, base, view, value) : NULL;
    store_snapshot_end(snapshot);
    if (record != NULL) {
        cJSON *object = cJSON_CreateObject();
        /* Orders, auctions, allocations and proposals say at which height they came to be: that stays theirs. */
        json_add_u64(object, cJSON_HasObjectItem(record, "height") ? "state_height" : "height",
                     height);
        move_members(object, record);
        api_reply_json(reply, MHD_HTTP_OK, object);
    } else if (good && !found) {
        api_reply_not_found(reply, what);
    } else {
        fault(reply);
    }
}

void api_read_record(const struct api_request *request, struct api_reply *reply)
{
    struct state_key key;
    if (!state_key_from_text(&key, request->route->kind, request->arguments[0])) {
        api_reply_error(reply, MHD_HTTP_NOT_FOUND, "not_found", "that is not an id of this kind");
        return;
    }
    single(request, reply, &key, list_item, "no record has that id");
}

/* --- accounts ----------------------------------------------------------------------------- */

/* A participant joined with its balance; `key` and `value` are the participant's. */
static cJSON *account_item(const struct api_request *request, const struct state_base *base,
                           struct bytes_view key, struct bytes_view value)
{
    (void)request;
    const struct state_kind_info *info = state_kind_info(STATE_PARTICIPANT);
    const struct state_kind_info *pots = state_kind_info(STATE_POT);
    struct pot_record pot = {.amount = money_of(0)};
    struct name name;
    char text[ID_TEXT_MAX];
    if (!state_key_to_text(text, sizeof text, STATE_PARTICIPANT, key) ||
        !name_from_text(&name, text, strlen(text)))
        return NULL;
    struct state_key pot_key = state_key_pot(POT_BALANCE, &name, 0);
    struct bytes_view pot_value;
    bool found = false;
    cJSON *participant = record_json(info, value);
    if (participant == NULL)
        return NULL;
    bool good =
        base->get(base->context, bytes_view_of(pot_key.bytes, pot_key.size), &found, &pot_value) &&
        (!found || codec_decode_all(pots->codec, &pot, pot_value));
    cJSON *object = good ? cJSON_CreateObject() : NULL;
    static const char *const taken[] = {"nonce", "roles", "status"};
    if (object != NULL) {
        cJSON_AddStringToObject(object, "id", text);
        json_add_i64(object, "balance_ueur", money_ueur(pot.amount));
    }
    for (size_t i = 0; object != NULL && i < sizeof taken / sizeof taken[0]; i++) {
        cJSON *part = cJSON_DetachItemFromObjectCaseSensitive(participant, taken[i]);
        if (part != NULL)
            api_put_item(object, taken[i], part);
    }
    cJSON_Delete(participant);
    return object;
}

void api_read_accounts(const struct api_request *request, struct api_reply *reply)
{
    list(request, reply, account_item);
}

void api_read_account(const struct api_request *request, struct api_reply *reply)
{
    struct state_key key;
    if (!state_key_from_text(&key, STATE_PARTICIPANT, request->arguments[0])) {
        api_reply_error(reply, MHD_HTTP_NOT_FOUND, "not_found", "that is not a participant's name");
        return;
    }
    single(request, reply, &key, account_item, "no participant has that name");
}

static cJSON *key_item(const struct api_request *request, const struct state_base *base,
                       struct bytes_view key, struct bytes_view value)
{
    (void)request;
    (void)base;
    (void)key;
    struct key_record record;
    char text[NAME_SIZE + 1];
    if (!codec_decode_all(state_kind_info(STATE_KEY)->codec, &record, value))
        return NULL;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "participant", name_to_text(text, &record.participant));
    return object;
}

void api_read_key(const struct api_request *request, struct api_reply *reply)
{
    struct public_key public;
    if (!hex_decode(public.bytes, PUBLIC_KEY_SIZE, request->arguments[0])) {
        api_reply_error(reply, MHD_HTTP_NOT_FOUND, "not_found",
                        "a key is 64 lower-case hex digits");
        return;
    }
    struct state_key key = state_key_hash(STATE_KEY, public.bytes);
    single(request, reply, &key, key_item, "no participant has that key");
}
