/* flex audit orders, trades, deliveries, fees, capacity: the regulator's queries over an export, out
 * of its re-execution (docs/spec/surveillance.md 2 and 3). No node has a say in them.
 *
 * Invariants: every row stands in the order of the chain, for capacity in that of gate closures;
 * --after and --limit page through the very numbers that the rows carry, so pages neither overlap
 * nor leave a gap, also when the export has grown in between. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/audit_command.h"

const struct cli_option market_query_options[MARKET_QUERY_OPTIONS] = {
    {"dir", CLI_DIR, offsetof(struct market_query, dir), "the export's directory", CLI_REQUIRED,
     NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct market_query, from_ms), "nothing earlier", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"to", CLI_TIME, offsetof(struct market_query, to_ms), "nothing at or after it", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"market", CLI_NAME, offsetof(struct market_query, market), "of this market only", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"participant", CLI_NAME, offsetof(struct market_query, participant),
     "of this participant only", CLI_OPTIONAL, NULL, NULL, 0},
    {"after", CLI_U64, offsetof(struct market_query, after),
     "the next page: rows behind that number", CLI_OPTIONAL, NULL, NULL, 0},
    {"limit", CLI_U64, offsetof(struct market_query, limit), "at most so many rows", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"csv", CLI_SWITCH, offsetof(struct market_query, csv), "print CSV", CLI_OPTIONAL, NULL, NULL,
     0},
};

/* One query while its rows go out. */
struct query {
    const struct market_query *wanted;
    struct market_history *history;
    struct audit_table table;
    uint64_t rows;
    uint64_t last; /* number of the last row */
    bool more;     /* the limit cut it off */
};

static bool fits_time(const struct query *query, struct timestamp time)
{
    int64_t ms = timestamp_ms(time);
    return ms >= query->wanted->from_ms && (query->wanted->to_ms == 0 || ms < query->wanted->to_ms);
}

static bool fits_name(const struct name *wanted, const struct name *name)
{
    return name_is_empty(wanted) || name_compare(wanted, name) == 0;
}

/* May the row of that number go out? False also at the limit. */
static bool wants(struct query *query, uint64_t number, bool fits)
{
    if (!fits || number <= query->wanted->after || query->more) {
        return false;
    }
    if (query->wanted->limit != 0 && query->rows == query->wanted->limit) {
        query->more = true;
        return false;
    }
    query->rows++;
    query->last = number;
    return true;
}

static struct cJSON *row_at(uint64_t number, const struct history_place *at)
{
    struct cJSON *row = cJSON_CreateObject();
    json_add_u64(row, "number", number);
    json_add_u64(row, "height", at->height);
    json_add_i64(row, "time_ms", timestamp_ms(at->time));
    json_add_u32(row, "position", at->position);
    return row;
}

static void add_book(struct cJSON *row, const struct history_book *book)
{
    audit_add_name(row, "market", &book->market);
    cJSON_AddStringToObject(row, "direction", direction_names[book->direction]);
    json_add_i64(row, "period_start_ms", timestamp_ms(book->start));
}

/* --- orders -------------------------------------------------------------------------------- */

static void order_rows(struct query *query)
{
    const struct market_history *history = query->history;
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];
        const struct history_order *order = &history->orders[event->order - 1];
        bool fits = fits_time(query, event->at.time) &&
                    fits_name(&query->wanted->market, &order->placed.market) &&
                    fits_name(&query->wanted->participant, &order->placed.participant);
        if (!wants(query, i + 1, fits)) {
            continue;
        }
        struct cJSON *row = row_at(i + 1, &event->at);
        json_add_u32(row, "event", event->at.event);
        cJSON_AddStringToObject(row, "kind", order_event_names[event->kind]);
        json_add_u64(row, "order", event->order);
        json_add_u64(row, "other", event->other);
        add_book(row, &history->books[order->book]);
        audit_add_name(row, "participant", &order->placed.participant);
        cJSON_AddStringToObject(row, "side", order_side_names[order->placed.side]);
        json_add_i64(row, "quantity_wh", energy_wh(event->quantity));
        json_add_i64(row, "open_wh", energy_wh(event->open));
        json_add_i64(row, "price_ueur_per_kwh", energy_price_ueur_per_kwh(event->price));
        audit_add_name(row, "device", &order->placed.device);
        audit_table_row(&query->table, row);
    }
}

/* --- deals --------------------------------------------------------------------------------- */

static bool fits_deal(const struct query *query, const struct deal_record *deal)
{
    return fits_name(&query->wanted->market, &deal->market) &&
           (fits_name(&query->wanted->participant, &deal->buyer) ||
            fits_name(&query->wanted->participant, &deal->seller));
}

static void add_parties(struct cJSON *row, const struct market_history *history,
                        const struct history_deal *deal)
{
    add_book(row, &history->books[deal->book]);
    audit_add_name(row, "buyer", &deal->deal.buyer);
    audit_add_name(row, "seller", &deal->deal.seller);
    audit_add_name(row, "device", &deal->deal.device);
}

static void trade_rows(struct query *query)
{
    for (size_t i = 0; i < query->history->deal_count; i++) {
        const struct history_deal *deal = &query->history->deals[i];
        bool fits = fits_time(query, deal->matched.time) && fits_deal(query, &deal->deal);
        if (!wants(query, i + 1, fits)) {
            continue;
        }
        struct cJSON *row = row_at(i + 1, &deal->matched);
        add_parties(row, query->history, deal);
        audit_add_name(row, "device_owner", &deal->device_owner);
        json_add_u64(row, "buy_order", deal->deal.buy_order);
        json_add_u64(row, "sell_order", deal->deal.sell_order);
        json_add_i64(row, "quantity_wh", energy_wh(deal->deal.contracted));
        json_add_i64(row, "price_ueur_per_kwh", energy_price_ueur_per_kwh(deal->deal.price));
        json_add_i64(row, "escrow_ueur", money_ueur(deal->deal.escrow));
        audit_table_row(&query->table, row);
    }
}

static void delivery_rows(struct query *query)
{
    for (size_t i = 0; i < query->history->deal_count; i++) {
        const struct history_deal *deal = &query->history->deals[i];
        bool fits = fits_time(query, deal->deal.period_start) && fits_deal(query, &deal->deal);
        if (!wants(query, i + 1, fits)) {
            continue;
        }
        struct cJSON *row = cJSON_CreateObject();
        json_add_u64(row, "number", i + 1);
        cJSON_AddStringToObject(row, "state", deal_state_names[deal->deal.state]);
        add_parties(row, query->history, deal);
        json_add_i64(row, "contracted_wh", energy_wh(deal->deal.contracted));
        json_add_i64(row, "delivered_wh", energy_wh(deal->deal.delivered));
        json_add_i64(row, "credited_wh", energy_wh(deal->deal.credited));
        json_add_i64(row, "paid_ueur", money_ueur(deal->deal.paid));
        json_add_i64(row, "refunded_ueur", money_ueur(deal->deal.refunded));
        json_add_i64(row, "fee_ueur", money_ueur(deal->deal.fee));
        json_add_i64(row, "deadline_ms", timestamp_ms(deal->deal.proof_deadline));
        json_add_i64(row, "ended_ms", timestamp_ms(deal->ended));
        audit_table_row(&query->table, row);
    }
}

/* --- fees ---------------------------------------------------------------------------------- */

static void fee_rows(struct query *query)
{
    static const struct name nowhere;
    for (size_t i = 0; i < query->history->fee_count; i++) {
        const struct history_fee *fee = &query->history->fees[i];
        const struct name *market =
            fee->deal == 0 ? &nowhere : &query->history->deals[fee->deal - 1].deal.market;
        bool fits = fits_time(query, fee->at.time) && fits_name(&query->wanted->market, market) &&
                    fits_name(&query->wanted->participant, &fee->who);
        if (!wants(query, i + 1, fits)) {
            continue;
        }
        struct cJSON *row = row_at(i + 1, &fee->at);
        cJSON_AddStringToObject(row, "kind", market_fee_names[fee->kind]);
        audit_add_name(row, "participant", &fee->who);
        json_add_u64(row, "deal", fee->deal);
        json_add_i64(row, "amount_ueur", money_ueur(fee->amount));
        audit_table_row(&query->table, row);
    }
}

/* --- capacity ------------------------------------------------------------------------------ */

/* What one participant offered and sold in one book, and delivered of it. */
struct use {
    int64_t offered_wh;
    int64_t traded_wh;
    int64_t delivered_wh;
};

/* By (book, participant), out of orders and deals; small enough beside the history itself. */
static struct use *uses_of(const struct market_history *history)
{
    struct use *uses = calloc(history->share_count + 1, sizeof *uses);
    MUST(uses != NULL);
    for (size_t i = 0; i < history->order_count + history->deal_count; i++) {
        bool is_order = i < history->order_count;
        const struct history_order *order = &history->orders[is_order ? i : 0];
        const struct history_deal *deal =
            is_order ? NULL : &history->deals[i - history->order_count];
        const struct name *who = is_order ? &order->placed.participant : &deal->deal.seller;
        const struct history_book *book = &history->books[is_order ? order->book : deal->book];
        if (is_order && order->placed.side == SIDE_BUY) {
            continue;
        }
        for (uint32_t s = 0; s < book->share_count; s++) {
            struct use *use = &uses[book->first_share + s];
            if (name_compare(&history->shares[book->first_share + s].who, who) != 0) {
                continue;
            }
            if (is_order) {
                use->offered_wh += energy_wh(order->placed.quantity) - energy_wh(order->withdrawn);
                use->traded_wh += energy_wh(order->traded);
            } else {
                use->delivered_wh += energy_wh(deal->deal.credited);
            }
        }
    }
    return uses;
}

static void capacity_rows(struct query *query)
{
    const struct market_history *history = query->history;
    struct use *uses = uses_of(history);
    for (size_t i = 0; i < history->share_count; i++) {
        const struct history_share *share = &history->shares[i];
        const struct history_book *book = &history->books[share->book];
        bool fits = fits_time(query, book->start) &&
                    fits_name(&query->wanted->market, &book->market) &&
                    fits_name(&query->wanted->participant, &share->who);
        if (!wants(query, i + 1, fits)) {
            continue;
        }
        struct cJSON *row = cJSON_CreateObject();
        json_add_u64(row, "number", i + 1);
        add_book(row, book);
        audit_add_name(row, "participant", &share->who);
        json_add_u32(row, "devices", share->devices);
        json_add_i64(row, "potential_wh", energy_wh(share->potential));
        json_add_i64(row, "free_wh", energy_wh(share->free));
        json_add_i64(row, "offered_wh", uses[i].offered_wh);
        json_add_i64(row, "traded_wh", uses[i].traded_wh);
        json_add_i64(row, "credited_wh", uses[i].delivered_wh);
        audit_table_row(&query->table, row);
    }
    free(uses);
}

/* --- all of them --------------------------------------------------------------------------- */

struct view {
    void (*rows)(struct query *query);
    const char *columns;
    const char *shown;
};

/* The outcome of the verification stays out of a CSV. */
static int run(struct cli *cli, const struct market_query *wanted, const struct view *view)
{
    struct query query = {
        .wanted = wanted,
        .history = history_create(),
        .table = {.cli = cli, .name = "items", .columns = view->columns, .shown = view->shown}};
    struct audit_options options = {.watch = history_watch, .watch_context = query.history};
    struct audit *audit;
    int status = audit_command_verify(cli, &audit, wanted->dir, &options);
    if (status == CLI_DONE) {
        status = audit_table_begin(&query.table, wanted->csv, NULL);
    }
    if (status == CLI_DONE) {
        view->rows(&query);
        status = audit_table_end(&query.table);
    }
    if (status == CLI_DONE && query.more) {
        json_add_u64(cli->result, "next", query.last);
        fprintf(cli->err, "there is more: --after %" PRIu64 "\n", query.last);
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    history_destroy(query.history);
    return status;
}

int market_query_orders(struct cli *cli, void *arguments)
{
    static const struct view view = {
        order_rows,
        "number height time_ms position event kind order other market direction period_start_ms "
        "participant side quantity_wh open_wh price_ueur_per_kwh device",
        "number height time_ms kind order participant side direction period_start_ms quantity_wh "
        "open_wh price_ueur_per_kwh"};
    return run(cli, arguments, &view);
}

int market_query_trades(struct cli *cli, void *arguments)
{
    static const struct view view = {
        trade_rows,
        "number height time_ms position market direction period_start_ms buyer seller device "
        "device_owner buy_order sell_order quantity_wh price_ueur_per_kwh escrow_ueur",
        "number height time_ms market direction period_start_ms buyer seller device quantity_wh "
        "price_ueur_per_kwh"};
    return run(cli, arguments, &view);
}

int market_query_deliveries(struct cli *cli, void *arguments)
{
    static const struct view view = {
        delivery_rows,
        "number state market direction period_start_ms buyer seller device contracted_wh "
        "delivered_wh credited_wh paid_ueur refunded_ueur fee_ueur deadline_ms ended_ms",
        "number state market direction period_start_ms seller device contracted_wh delivered_wh "
        "credited_wh paid_ueur refunded_ueur"};
    return run(cli, arguments, &view);
}

int market_query_fees(struct cli *cli, void *arguments)
{
    static const struct view view = {
        fee_rows, "number height time_ms position kind participant deal amount_ueur",
        "number height time_ms position kind participant deal amount_ueur"};
    return run(cli, arguments, &view);
}

int market_query_capacity(struct cli *cli, void *arguments)
{
    static const struct view view = {
        capacity_rows,
        "number market direction period_start_ms participant devices potential_wh free_wh "
        "offered_wh traded_wh credited_wh",
        "number market direction period_start_ms participant devices potential_wh free_wh "
        "offered_wh traded_wh credited_wh"};
    return run(cli, arguments, &view);
}
