/* Order events, trades and fees over HTTP (docs/spec/api.md, "Market data"; node/market_scan.h).
 *
 * The columns have the names that `flex audit orders | trades | fees` give them, so that the two can
 * be compared line by line (docs/spec/surveillance.md 2). A node counts from its own first block and
 * keeps no numbers: place in block and receipt is what identifies a row here.
 *
 * Deliberately absent: proofs. What decides something is verified on an export. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "node/api_internal.h"
#include "node/market_scan.h"

static void bad_query(struct api_reply *reply, const char *reason)
{
    api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_query", reason);
}

/* --- parameters ---------------------------------------------------------------------------- */

static bool query_name(const struct api_request *request, struct api_reply *reply,
                       const char *parameter, struct name *out)
{
    const char *text = api_query(request, parameter);
    *out = (struct name){0};
    if (text == NULL || name_from_text(out, text, strlen(text)))
        return true;
    char reason[64];
    (void)snprintf(reason, sizeof reason, "%s must be a name", parameter);
    bad_query(reply, reason);
    return false;
}

static bool cursor_of(const struct api_request *request, struct market_cursor *at, const char *text)
{
    uint8_t place[API_SEALED_BYTES_MAX + 1];
    size_t size;
    if (request->access.all)
        return market_cursor_from_text(at, text);
    if (!api_unseal(request, place, &size, text))
        return false;
    place[size] = '\0';
    return market_cursor_from_text(at, (const char *)place);
}

/* All but what depends on the chain. False with the reply filled. */
static bool scan_open(const struct api_request *request, struct api_reply *reply,
                      struct market_scan *scan)
{
    uint64_t limit = API_LIST_DEFAULT;
    const char *cursor = api_query(request, "cursor");
    scan->from = (struct market_cursor){.height = 1};
    scan->to = UINT64_MAX;
    if (!query_name(request, reply, "market", &scan->market) ||
        !query_name(request, reply, "participant", &scan->participant) ||
        !api_query_u64(request, reply, "order", &scan->order) ||
        !api_query_u64(request, reply, "from_height", &scan->from.height) ||
        !api_query_u64(request, reply, "to_height", &scan->to) ||
        !api_query_u64(request, reply, "limit", &limit))
        return false;
    scan->limit = (uint32_t)limit;
    if (limit < 1 || limit > API_LIST_MAX) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_limit", "limit must be 1 to 1000");
    } else if (api_query(request, "order") != NULL && scan->order == 0) {
        bad_query(reply, "orders are numbered from 1");
    } else if (scan->from.height < 1 || scan->to < scan->from.height) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_range",
                        "from_height is 1 or more, to_height not below it");
    } else if (cursor != NULL) {
        struct market_cursor at;
        if (cursor_of(request, &at, cursor) && at.height >= scan->from.height &&
            at.height <= scan->to) {
            scan->from = at;
            return true;
        }
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_cursor",
                        "cursor must be the `next` of an earlier answer to the same heights");
    } else {
        return true;
    }
    return false;
}

/* --- rows ---------------------------------------------------------------------------------- */

/* The context of a page. */
struct page {
    const struct api_request *request;
    const struct state_base *base;
    cJSON *items;
};

static bool may_order(void *context, const struct market_row *row)
{
    const struct page *page = context;
    return access_order(&page->request->access, page->base, row->placed);
}

static bool may_trade(void *context, const struct market_row *row)
{
    const struct page *page = context;
    return access_deal(&page->request->access, page->base, row->deal);
}

/* Who paid it or got it; of a deal's fee its parties. */
static bool may_fee(void *context, const struct market_row *row)
{
    const struct page *page = context;
    const struct access *access = &page->request->access;
    if (row->kind == MARKET_FEE_DEAL)
        return access_deal_id(access, page->base, row->deal_id);
    return access_is(access, &row->who) ||
           (row->kind == MARKET_FEE_TRANSACTION && public_key_equal(&row->key, &access->key));
}

/* A purse is its owner's. */
static bool may_movement(void *context, const struct market_row *row)
{
    const struct page *page = context;
    return access_is(&page->request->access, &row->line->who);
}

static void add_name(cJSON *object, const char *key, const struct name *name)
{
    char text[NAME_SIZE + 1];
    cJSON_AddStringToObject(object, key, name_to_text(text, name));
}

/* The first fields of every row, added to the page in `context`. */
static cJSON *row_json(void *context, const struct market_row *row)
{
    static const struct hash none;
    const struct page *page = context;
    cJSON *object = api_add_item(page->items, cJSON_CreateObject());
    json_add_u64(object, "height", row->height);
    json_add_i64(object, "time_ms", timestamp_ms(row->time));
    json_add_u32(object, "position", row->position);
    json_add_u32(object, "event", row->event);
    if (hash_equal(&row->tx_id, &none))
        cJSON_AddStringToObject(object, "transaction", "");
    else
        api_add_hash(object, "transaction", &row->tx_id);
    return object;
}

static void add_book(cJSON *object, const struct name *market, uint8_t direction,
                     struct timestamp start)
{
    add_name(object, "market", market);
    cJSON_AddStringToObject(object, "direction", direction_names[direction]);
    json_add_i64(object, "period_start_ms", timestamp_ms(start));
}

static void tell_order(void *context, const struct market_row *row)
{
    const struct order_record *order = row->placed;
    cJSON *object = row_json(context, row);
    cJSON_AddStringToObject(object, "kind", order_event_names[row->kind]);
    json_add_u64(object, "order", row->order);
    json_add_u64(object, "other", row->other);
    json_add_u64(object, "against", row->against);
    add_book(object, &order->market, order->direction, order->period_start);
    add_name(object, "participant", &order->participant);
    cJSON_AddStringToObject(object, "side", order_side_names[order->side]);
    json_add_i64(object, "quantity_wh", energy_wh(row->quantity));
    json_add_i64(object, "price_ueur_per_kwh", energy_price_ueur_per_kwh(row->price));
    add_name(object, "device", &order->device);
}

static void tell_trade(void *context, const struct market_row *row)
{
    const struct deal_record *deal = row->deal;
    cJSON *object = row_json(context, row);
    json_add_u64(object, "deal", row->deal_id);
    add_book(object, &deal->market, deal->direction, deal->period_start);
    add_name(object, "buyer", &deal->buyer);
    add_name(object, "seller", &deal->seller);
    add_name(object, "device", &deal->device);
    json_add_u64(object, "buy_order", deal->buy_order);
    json_add_u64(object, "sell_order", deal->sell_order);
    json_add_i64(object, "quantity_wh", energy_wh(row->quantity));
    json_add_i64(object, "price_ueur_per_kwh", energy_price_ueur_per_kwh(row->price));
    json_add_i64(object, "escrow_ueur", money_ueur(deal->escrow));
}

static void tell_fee(void *context, const struct market_row *row)
{
    cJSON *object = row_json(context, row);
    cJSON_AddStringToObject(object, "kind", market_fee_names[row->kind]);
    add_name(object, "participant", &row->who);
    if (row->kind == MARKET_FEE_TRANSACTION)
        api_add_hex(object, "key", row->key.bytes, PUBLIC_KEY_SIZE);
    else
        cJSON_AddStringToObject(object, "key", "");
    json_add_u64(object, "deal", row->deal_id);
    json_add_i64(object, "amount_ueur", money_ueur(row->amount));
}

static void tell_movement(void *context, const struct market_row *row)
{
    const struct statement_line *line = row->line;
    char other[STATEMENT_POT_TEXT_SIZE];
    cJSON *object = row_json(context, row);
    statement_pot_text(other, &line->other);
    cJSON_AddStringToObject(object, "kind", statement_kind_names[line->kind]);
    add_name(object, "participant", &line->who);
    json_add_i64(object, "amount_ueur", money_ueur(line->amount));
    cJSON_AddStringToObject(object, "other", other);
}

/* --- answers ------------------------------------------------------------------------------- */

static bool stored_block(void *context, uint64_t height, struct store_block *out)
{
    return store_snapshot_block(context, height, out) == STORE_OK;
}

/* Whether the heights are here; false with the reply filled. */
static bool heights_are_here(struct api_reply *reply, const struct market_scan *scan,
                             struct store_snapshot *snapshot, bool goes_on)
{
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    if (scan->from.height < first) {
        api_reply_pruned(reply, first);
        return false;
    }
    if (goes_on && scan->from.height > store_snapshot_tip(snapshot)->height) {
        /* Another node gave the cursor, and this one is behind it: an empty page without `next`
         * would say that nothing follows. */
        api_reply_retry(reply,
                        "this node has not reached the cursor's block yet; ask again in a moment");
        return false;
    }
    return true;
}

/* To a reader who may not see all, the place of a row would tell how many others came before it. */
static bool add_next(const struct api_request *request, cJSON *root,
                     const struct market_cursor *next)
{
    char text[MARKET_CURSOR_TEXT_SIZE];
    char sealed[API_SEALED_SIZE];
    market_cursor_to_text(text, next);
    if (!request->access.all && !api_seal(request, sealed, bytes_view_of(text, strlen(text))))
        return false;
    cJSON_AddStringToObject(root, "next", request->access.all ? text : sealed);
    return true;
}

static void answer(const struct api_request *request, struct api_reply *reply,
                   struct market_scan *scan)
{
    struct market_cursor next;
    bool more = false;
    if (!scan_open(request, reply, scan))
        return;
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    if (!heights_are_here(reply, scan, snapshot, api_query(request, "cursor") != NULL)) {
        store_snapshot_end(snapshot);
        return;
    }
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    cJSON *root = cJSON_CreateObject();
    json_add_u64(root, "height", tip);
    struct page page = {request, store_snapshot_base(snapshot),
                        cJSON_AddArrayToObject(root, "items")};
    scan->context = &page;
    if (request->access.all)
        scan->may = NULL;
    api_add_filtered(request, root);
    if (scan->to > tip)
        scan->to = tip;
    const struct market_scan_source source = {stored_block, snapshot, page.base};
    bool good = market_scan_run(scan, &source, &next, &more);
    store_snapshot_end(snapshot);
    if (good && more)
        good = add_next(request, root, &next);
    if (good) {
        api_reply_json(reply, MHD_HTTP_OK, root);
    } else {
        cJSON_Delete(root);
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                        "the store cannot be read; see the node's log");
    }
}

void api_read_order_events(const struct api_request *request, struct api_reply *reply)
{
    struct market_scan scan = {.what = MARKET_SCAN_ORDERS, .tell = tell_order, .may = may_order};
    answer(request, reply, &scan);
}

void api_read_trades(const struct api_request *request, struct api_reply *reply)
{
    struct market_scan scan = {.what = MARKET_SCAN_TRADES, .tell = tell_trade, .may = may_trade};
    answer(request, reply, &scan);
}

void api_read_fees(const struct api_request *request, struct api_reply *reply)
{
    struct market_scan scan = {.what = MARKET_SCAN_FEES, .tell = tell_fee, .may = may_fee};
    answer(request, reply, &scan);
}

void api_read_movements(const struct api_request *request, struct api_reply *reply)
{
    struct market_scan scan = {
        .what = MARKET_SCAN_MOVEMENTS, .tell = tell_movement, .may = may_movement};
    answer(request, reply, &scan);
}
