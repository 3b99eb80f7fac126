/* Demand and supply of a market's books as sums: what a grid operator needs of what others trade in its
 * zones (D2.3 4.2.5 "aggregate energy supply and demand in the pool"; docs/spec/api.md, "Depth").
 *
 *   market -> its books by period and direction -> open orders of each side -> sum, if enough are in it
 *
 * Invariants: to a reader who may not see the orders themselves a side is told only if at least
 * API_DEPTH_PARTICIPANTS others have a part in it, and a book only if a side of it is told, so neither
 * a sum nor its absence points at somebody; a page ends between two periods, after bounded work, and goes
 * on at one that could be told, or where the work ended.
 *
 * Deliberately absent: prices. With them a sum would be the orders again. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/json.h"
#include "node/api_internal.h"

enum {
    BOOK_AT = 1 + NAME_SIZE,
    BOOK_SIZE = BOOK_AT + 8 + 1,
    ENTRY_ORDER_AT = BOOK_SIZE + 1 + 8 + 8 + 8
};

struct side {
    int128 open; /* 20,000 orders of any size */
    uint32_t others;
    struct name seen[API_DEPTH_PARTICIPANTS]; /* the first of them */
};

struct depth {
    const struct access *access;
    const struct state_base *base;
    bool whole; /* the reader may see the orders */
    uint32_t looked;
};

static void count_participant(const struct depth *depth, struct side *side, const struct name *who)
{
    if (access_is(depth->access, who) || side->others == API_DEPTH_PARTICIPANTS)
        return;
    for (uint32_t i = 0; i < side->others; i++) {
        if (name_compare(&side->seen[i], who) == 0)
            return;
    }
    side->seen[side->others++] = *who;
}

/* Adds up the open orders of one side; `book` is a key of kind book_size. False on a fault. */
static bool add_up(struct depth *depth, struct side *out, const uint8_t book[BOOK_SIZE],
                   uint8_t side)
{
    uint8_t prefix[BOOK_SIZE + 1];
    uint8_t keys[2][LIMIT_STATE_KEY_BYTES];
    struct bytes_view after = {NULL, 0};
    memcpy(prefix, book, BOOK_SIZE);
    prefix[0] = STATE_BOOK;
    prefix[BOOK_SIZE] = side;
    memset(out, 0, sizeof *out);
    for (unsigned turn = 0;; turn ^= 1) {
        struct bytes_view value;
        struct byte_reader reader;
        struct order_record order;
        size_t size = 0;
        bool found = false;
        if (!depth->base->next(depth->base->context, bytes_view_of(prefix, sizeof prefix), after,
                               &found, keys[turn], &size, &value))
            return false;
        if (!found)
            return true;
        after = bytes_view_of(keys[turn], size);
        byte_reader_init(&reader, keys[turn] + ENTRY_ORDER_AT, 8);
        const uint64_t id = byte_read_u64(&reader);
        const struct state_key key = state_key_u64(STATE_ORDER, id);
        if (size != ENTRY_ORDER_AT + 8 ||
            !access_read(depth->base, &key, &order_record_codec, &order))
            return false;
        out->open += energy_wh(order.open);
        count_participant(depth, out, &order.participant);
        depth->looked++;
    }
}

static bool is_told(const struct depth *depth, const struct side *side)
{
    return depth->whole || side->others == API_DEPTH_PARTICIPANTS;
}

static void add_side(cJSON *item, const char *key, const struct depth *depth,
                     const struct side *side)
{
    int64_t open;
    if (is_told(depth, side) && checked_narrow_i64(&open, side->open))
        json_add_i64(item, key, open);
    else
        cJSON_AddNullToObject(item, key);
}

/* *item: the book, unless it is not to be told; then NULL. False on a fault. */
static bool sum_book(struct depth *depth, cJSON **item, const uint8_t book[BOOK_SIZE])
{
    struct side buy;
    struct side sell;
    struct byte_reader reader;
    *item = NULL;
    if (!add_up(depth, &buy, book, SIDE_BUY) || !add_up(depth, &sell, book, SIDE_SELL))
        return false;
    byte_reader_init(&reader, book + BOOK_AT, 8 + 1);
    const int64_t start = byte_read_i64(&reader);
    const uint8_t direction = byte_read_u8(&reader);
    if (direction > 1)
        return false;
    if (!is_told(depth, &buy) && !is_told(depth, &sell))
        return true;
    *item = cJSON_CreateObject();
    json_add_i64(*item, "period_start_ms", start);
    cJSON_AddStringToObject(*item, "direction", direction_names[direction]);
    add_side(*item, "buy_wh", depth, &buy);
    add_side(*item, "sell_wh", depth, &sell);
    return true;
}

bool api_depth_list(const struct access *access, const struct state_base *base, cJSON *items,
                    const struct name *market, int64_t from, uint64_t limit, bool *more,
                    int64_t *next)
{
    struct depth depth = {.access = access,
                          .base = base,
                          .whole = access->all || (access->roles & ROLE_MARKET_OPERATOR) != 0};
    uint8_t prefix[BOOK_AT] = {STATE_BOOK_SIZE};
    uint8_t keys[2][LIMIT_STATE_KEY_BYTES];
    uint8_t begin[BOOK_AT + 8];
    struct byte_writer writer;
    int64_t seen = from;
    int64_t told = from;
    uint64_t periods = 0; /* told so far */
    cJSON *item;
    memcpy(prefix + 1, market->text, NAME_SIZE);
    byte_writer_init(&writer, begin, sizeof begin);
    byte_write_raw(&writer, prefix, sizeof prefix);
    byte_write_i64(&writer, from);
    /* Every book of the period is behind its bare beginning. */
    struct bytes_view after = bytes_view_of(begin, writer.size);
    for (unsigned turn = 0;; turn ^= 1) {
        struct bytes_view value;
        struct byte_reader reader;
        size_t size = 0;
        bool found = false;
        if (!depth.base->next(depth.base->context, bytes_view_of(prefix, sizeof prefix), after,
                              &found, keys[turn], &size, &value))
            return false;
        *more = found;
        if (!found)
            return true;
        if (size != BOOK_SIZE)
            return false;
        after = bytes_view_of(keys[turn], size);
        byte_reader_init(&reader, keys[turn] + BOOK_AT, 8);
        *next = byte_read_i64(&reader);
        if (*next != seen && depth.looked >= API_FILTER_RECORDS_MAX)
            return true;
        seen = *next;
        if (!sum_book(&depth, &item, keys[turn]))
            return false;
        /* A page is full when one more period could be told: what can't be leaves no trace. */
        if (item != NULL && (periods == 0 || *next != told) && periods == limit) {
            cJSON_Delete(item);
            return true;
        }
        if (item != NULL) {
            periods += periods == 0 || *next != told;
            told = *next;
            (void)api_add_item(items, item);
        }
    }
}

static bool market_exists(const struct state_base *base, const struct name *market)
{
    struct market_record record;
    const struct state_key key = state_key_name(STATE_MARKET, market);
    return access_read(base, &key, &market_record_codec, &record);
}

static void answer(const struct api_request *request, struct api_reply *reply,
                   const struct name *market, int64_t from, uint64_t limit)
{
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    const struct access *access = &request->access;
    bool more = false;
    int64_t next = 0;
    if (snapshot == NULL)
        return;
    const struct state_base *base = store_snapshot_base(snapshot);
    if ((access->roles & ROLE_MARKET_OPERATOR) == 0 && !access_market_zone(access, base, market)) {
        store_snapshot_end(snapshot);
        api_reply_error(reply, MHD_HTTP_FORBIDDEN, "not_permitted",
                        "a market's sums are its operator's and its grid operator's");
        return;
    }
    if (!market_exists(base, market)) {
        store_snapshot_end(snapshot);
        api_reply_error(reply, MHD_HTTP_NOT_FOUND, "not_found", "there is no such market");
        return;
    }
    cJSON *root = cJSON_CreateObject();
    json_add_u64(root, "height", store_snapshot_tip(snapshot)->height);
    cJSON *items = cJSON_AddArrayToObject(root, "items");
    api_add_filtered(request, root);
    bool good = api_depth_list(access, base, items, market, from, limit, &more, &next);
    store_snapshot_end(snapshot);
    if (good && more)
        json_add_i64(root, "next", next);
    if (good) {
        api_reply_json(reply, MHD_HTTP_OK, root);
    } else {
        cJSON_Delete(root);
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                        "the store cannot be read; see the node's log");
    }
}

void api_read_depth(const struct api_request *request, struct api_reply *reply)
{
    struct name market;
    uint64_t from = 0;
    uint64_t limit = API_LIST_DEFAULT;
    const char *text = request->arguments[0];
    if (!api_query_u64(request, reply, "from_ms", &from) ||
        !api_query_u64(request, reply, "limit", &limit))
        return;
    if (!name_from_text(&market, text, strlen(text)))
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id", "that is not a market's name");
    else if (from > INT64_MAX)
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_query", "from_ms is a time in ms");
    else if (limit < 1 || limit > API_LIST_MAX)
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_limit", "limit must be 1 to 1000");
    else
        answer(request, reply, &market, (int64_t)from, limit);
}
