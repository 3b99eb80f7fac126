/* flex order: requests of DSOs, offers for devices, replacements, cancellations (D5.5 2.2.4; market-rules
 * 4).
 *
 * Invariant: the salt of a declared schedule is on disk before the offer that commits to it leaves
 * this machine. Only the hash is sent. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/market_pages.h"
#include "tools/nouns.h"
#include "tools/order_batch.h"
#include "tools/order_check.h"
#include "tools/schedule.h"
#include "tools/watch.h"

static const char kind_help[] = "limit rests in the book; all_or_none trades whole as it arrives "
                                "or not at all; fill_and_kill takes "
                                "what it gets as it arrives (limit)";
static const char min_quantity_help[] = "the least that its first fill may be (a step)";
static const char rank_help[] = "in a market of ordered demand: its place among your own; the next "
                                "opens when all before are full";
static const char indivisible_help[] = "trades whole or is passed over";

static const struct cli_option request_options[] = {
    {"market", CLI_NAME, offsetof(struct request_place, market), "where", CLI_REQUIRED, NULL, NULL,
     0},
    {"direction", CLI_CHOICE, offsetof(struct request_place, direction),
     "up = more generation or less consumption", CLI_REQUIRED, NULL, direction_names, 2},
    {"start", CLI_TIME, offsetof(struct request_place, period_start), "start of delivery",
     CLI_REQUIRED, NULL, NULL, 0},
    {"quantity-wh", CLI_I64, offsetof(struct request_place, quantity),
     "energy over the whole delivery period", CLI_REQUIRED, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct request_place, price), "the most to pay, per kWh",
     CLI_REQUIRED, NULL, NULL, 0},
    {"kind", CLI_CHOICE, offsetof(struct request_place, options.kind), kind_help, CLI_OPTIONAL,
     NULL, order_kind_names, ORDER_KIND_COUNT},
    {"min-quantity-wh", CLI_I64, offsetof(struct request_place, options.min_quantity),
     min_quantity_help, CLI_OPTIONAL, NULL, NULL, 0},
    {"indivisible", CLI_SWITCH, offsetof(struct request_place, options.indivisible),
     indivisible_help, CLI_OPTIONAL, NULL, NULL, 0},
    {"rank", CLI_U16, offsetof(struct request_place, options.rank), rank_help, CLI_OPTIONAL, "0",
     NULL, 0},
};

/* A direction as the grid sees it: regulation down is import. */
static const char *const flow_names[] = {"export", "import"};

static const struct cli_option capacity_options[] = {
    {"market", CLI_NAME, offsetof(struct request_place, market), "where", CLI_REQUIRED, NULL, NULL,
     0},
    {"flow", CLI_CHOICE, offsetof(struct request_place, direction), "which way", CLI_REQUIRED, NULL,
     flow_names, 2},
    {"start", CLI_TIME, offsetof(struct request_place, period_start), "start of the period",
     CLI_REQUIRED, NULL, NULL, 0},
    {"quantity-wh", CLI_I64, offsetof(struct request_place, quantity),
     "energy over the whole period: 1000 Wh an hour are 1 kW", CLI_REQUIRED, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct request_place, price),
     "the most to pay, per kWh; 0 where nothing is paid", CLI_OPTIONAL, "0", NULL, 0},
    {"device", CLI_NAME, offsetof(struct request_place, device), "the device that needs it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"min-quantity-wh", CLI_I64, offsetof(struct request_place, options.min_quantity),
     "less than that is of no use (a step)", CLI_OPTIONAL, NULL, NULL, 0},
    {"indivisible", CLI_SWITCH, offsetof(struct request_place, options.indivisible),
     "all of it or nothing", CLI_OPTIONAL, NULL, NULL, 0},
};

struct offer {
    struct offer_place place;
    const char *schedule;
};

static const struct cli_option offer_options[] = {
    {"market", CLI_NAME, offsetof(struct offer, place.market), "where", CLI_REQUIRED, NULL, NULL,
     0},
    {"direction", CLI_CHOICE, offsetof(struct offer, place.direction),
     "up = more generation or less consumption", CLI_REQUIRED, NULL, direction_names, 2},
    {"start", CLI_TIME, offsetof(struct offer, place.period_start), "start of delivery",
     CLI_REQUIRED, NULL, NULL, 0},
    {"quantity-wh", CLI_I64, offsetof(struct offer, place.quantity),
     "energy over the whole delivery period", CLI_REQUIRED, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct offer, place.price), "the least to take, per kWh",
     CLI_REQUIRED, NULL, NULL, 0},
    {"device", CLI_NAME, offsetof(struct offer, place.device), "the device that will deliver",
     CLI_REQUIRED, NULL, NULL, 0},
    {"schedule", CLI_FILE, offsetof(struct offer, schedule),
     "file with the device's planned net Wh of each time unit, had nobody asked; where the "
     "market measures against one",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"reservation", CLI_U64, offsetof(struct offer, place.reservation),
     "the reservation whose call this answers", CLI_OPTIONAL, NULL, NULL, 0},
    {"kind", CLI_CHOICE, offsetof(struct offer, place.options.kind), kind_help, CLI_OPTIONAL, NULL,
     order_kind_names, ORDER_KIND_COUNT},
    {"min-quantity-wh", CLI_I64, offsetof(struct offer, place.options.min_quantity),
     min_quantity_help, CLI_OPTIONAL, NULL, NULL, 0},
    {"indivisible", CLI_SWITCH, offsetof(struct offer, place.options.indivisible), indivisible_help,
     CLI_OPTIONAL, NULL, NULL, 0},
    {"rank", CLI_U16, offsetof(struct offer, place.options.rank), rank_help, CLI_OPTIONAL, "0",
     NULL, 0},
};

/* The schedule (NULL: none) must have as many units as the market's period, and be there exactly where
 * the market measures against one: without it nothing could ever be proven. */
static int check_schedule(struct cli *cli, const struct offer *offer,
                          const struct schedule *schedule)
{
    struct session session;
    struct market_record market;
    struct proof proof = {0};
    bool absent = false;
    char name[NAME_SIZE + 1];
    name_to_text(name, &offer->place.market);
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_record(&session, "market", name, &market, &absent, &proof);
    }
    session_close(&session);
    if (status == CLI_DONE && absent) {
        status = cli_fail(cli, CLI_REFUSED, "unknown_market", "there is no market %s", name);
    } else if (status == CLI_DONE && order_needs_schedule(&market.terms) != (schedule != NULL)) {
        status = cli_fail(cli, CLI_USAGE, "bad_schedule",
                          schedule == NULL ? "%s measures against a schedule: name one (--schedule)"
                                           : "%s measures against no schedule: leave it out",
                          name);
    } else if (status == CLI_DONE && schedule != NULL &&
               schedule->count != market.terms.times.mtus_per_period) {
        status = cli_fail(cli, CLI_USAGE, "bad_schedule",
                          "the schedule has %u numbers, a delivery period of %s has %u time units",
                          schedule->count, name, market.terms.times.mtus_per_period);
    }
    proof_release(&proof);
    return status;
}

static int run_offer(struct cli *cli, void *arguments)
{
    struct offer *offer = arguments;
    static struct schedule schedule;
    const struct schedule *declared = offer->schedule == NULL ? NULL : &schedule;
    int status = CLI_DONE;
    schedule.device = offer->place.device;
    schedule.period_start = offer->place.period_start;
    if (declared != NULL) {
        status = schedule_read_units(cli, &schedule, offer->schedule);
    }
    if (status == CLI_DONE && !cli->dry_run) {
        status = check_schedule(cli, offer, declared);
    }
    if (status == CLI_DONE && declared != NULL) {
        random_bytes(schedule.salt, sizeof schedule.salt);
        schedule_compute_hash(&offer->place.schedule_hash, &schedule);
        status = cli->dry_run ? CLI_DONE : schedule_keep(cli, &schedule);
    }
    return status == CLI_DONE ? submit_one(cli, ACTION_OFFER_PLACE, &offer->place) : status;
}

/* --- replace -------------------------------------------------------------------------------- */

struct replacement {
    const char *id;
    struct order_replace to; /* what is given of it */
    bool divisible;
};

/* Their places in the table are those of their bits in cli.given. */
enum { AT_QUANTITY = 1, AT_PRICE, AT_KIND, AT_LEAST, AT_INDIVISIBLE, AT_DIVISIBLE };

static const struct cli_option replace_options[] = {
    {"ID", CLI_TEXT, offsetof(struct replacement, id), "the order", CLI_POSITIONAL, NULL, NULL, 0},
    {"quantity-wh", CLI_I64, offsetof(struct replacement, to.quantity),
     "the whole order's, with what it has traded already", CLI_OPTIONAL, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct replacement, to.price), "the new limit, per kWh",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"kind", CLI_CHOICE, offsetof(struct replacement, to.options.kind), kind_help, CLI_OPTIONAL,
     NULL, order_kind_names, ORDER_KIND_COUNT},
    {"min-quantity-wh", CLI_I64, offsetof(struct replacement, to.options.min_quantity),
     min_quantity_help, CLI_OPTIONAL, NULL, NULL, 0},
    {"indivisible", CLI_SWITCH, offsetof(struct replacement, to.options.indivisible),
     indivisible_help, CLI_OPTIONAL, NULL, NULL, 0},
    {"divisible", CLI_SWITCH, offsetof(struct replacement, divisible), "trades in parts again",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static bool is_given(const struct cli *cli, int option)
{
    return (cli->given >> option & 1) != 0;
}

/* What is not given stays as the order has it; the schedule that it declared always does. */
static int run_replace(struct cli *cli, void *arguments)
{
    const struct replacement *wanted = arguments;
    struct order_record order;
    int status = noun_fetch(cli, "order", wanted->id, &order, "unknown_order", "no such order");
    if (status != CLI_DONE) {
        return status;
    }
    if (is_given(cli, AT_INDIVISIBLE) && is_given(cli, AT_DIVISIBLE)) {
        return cli_fail(cli, CLI_USAGE, "bad_option", "an order is either divisible or not");
    }
    struct order_replace to = {.quantity = order.quantity,
                               .price = order.price,
                               .schedule_hash = order.schedule_hash,
                               .options = order.options};
    struct state_key key;
    MUST(state_key_from_text(&key, STATE_ORDER, wanted->id));
    struct byte_reader reader;
    byte_reader_init(&reader, key.bytes + 1, key.size - 1);
    to.order = byte_read_u64(&reader);
    to.quantity = is_given(cli, AT_QUANTITY) ? wanted->to.quantity : to.quantity;
    to.price = is_given(cli, AT_PRICE) ? wanted->to.price : to.price;
    if (is_given(cli, AT_KIND)) {
        to.options.kind = wanted->to.options.kind;
    }
    if (is_given(cli, AT_LEAST)) {
        to.options.min_quantity = wanted->to.options.min_quantity;
    }
    if (is_given(cli, AT_INDIVISIBLE) || is_given(cli, AT_DIVISIBLE)) {
        to.options.indivisible = is_given(cli, AT_INDIVISIBLE);
    }
    return submit_one(cli, ACTION_ORDER_REPLACE, &to);
}

static const struct cli_option batch_options[] = {
    {"csv", CLI_FILE, offsetof(struct order_batch, csv), "the table, a row for each order",
     CLI_REQUIRED, NULL, NULL, 0},
    {"per-transaction", CLI_U32, offsetof(struct order_batch, per_transaction),
     "orders in one transaction, of which all are placed or none (at most 128)", CLI_OPTIONAL, "50",
     NULL, 0},
    {"sign-again", CLI_SWITCH, offsetof(struct order_batch, sign_again),
     "after fate_unknown, if you have seen that the rows were not placed", CLI_OPTIONAL, NULL, NULL,
     0},
};

static const struct cli_option cancel_options[] = {
    {"ID", CLI_U64, offsetof(struct order_cancel, order), "the order", CLI_POSITIONAL, NULL, NULL,
     0},
};

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "order", wanted->id, "unknown_order");
}

static int run_allocation(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "allocation", wanted->id, "not_cleared");
}

/* What a list is cut down to. Their places in the table are those of their bits in `given`. */
enum { FILTER_STATE, FILTER_MARKET, FILTER_SIDE, FILTER_SINCE };
struct filter {
    uint8_t state;
    struct name market;
    uint8_t side;
    struct timestamp since;
    uint64_t given;
    struct name self;
};

static const struct cli_option list_options[] = {
    {"state", CLI_CHOICE, offsetof(struct filter, state), "only those", CLI_OPTIONAL, NULL,
     order_status_names, 4},
    {"market", CLI_NAME, offsetof(struct filter, market), "in this market only", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"side", CLI_CHOICE, offsetof(struct filter, side), "of requests or of offers", CLI_OPTIONAL,
     NULL, order_side_names, 2},
    {"since", CLI_TIME, offsetof(struct filter, since), "for deliveries that start then or later",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static bool filter_has(const struct filter *filter, int option)
{
    return (filter->given >> option & 1) != 0;
}

static const char *text_of(const struct cJSON *record, const char *key)
{
    const char *text = json_string(record, key);
    return text != NULL ? text : "";
}

static bool keep(const struct cJSON *record, const void *context)
{
    const struct filter *filter = context;
    char market[NAME_SIZE + 1];
    int64_t start = INT64_MIN;
    if (filter_has(filter, FILTER_SIDE) &&
        strcmp(text_of(record, "side"), order_side_names[filter->side]) != 0) {
        return false;
    }
    (void)json_i64(&start, record, "period_start_ms");
    return (!filter_has(filter, FILTER_STATE) ||
            strcmp(text_of(record, "status"), order_status_names[filter->state]) == 0) &&
           (!filter_has(filter, FILTER_MARKET) ||
            strcmp(text_of(record, "market"), name_to_text(market, &filter->market)) == 0) &&
           (!filter_has(filter, FILTER_SINCE) || start >= timestamp_ms(filter->since));
}

static int run_list(struct cli *cli, void *arguments)
{
    struct filter *filter = arguments;
    filter->given = cli->given;
    const int status =
        filter_has(filter, FILTER_MARKET) ? noun_check_market(cli, &filter->market) : CLI_DONE;
    if (status != CLI_DONE) {
        return status;
    }
    return noun_list_some(cli, "orders",
                          "id market side direction period_start_ms quantity_wh open_wh "
                          "price_ueur_per_kwh participant status",
                          keep, filter, NULL);
}

static const struct cli_command commands[] = {
    {.verb = "request",
     .summary = "ask for regulation in a zone (a DSO)",
     .teach = "Locks price times quantity until the order trades, expires or is cancelled.\n"
              "  flex order request --market west-1h --direction up --start 2025-01-15T17:00Z \\\n"
              "       --quantity-wh 20000 --price 0.30",
     .options = request_options,
     .option_count = sizeof request_options / sizeof request_options[0],
     .arguments_size = sizeof(struct request_place),
     .action = ACTION_REQUEST_PLACE},
    {.verb = "offer",
     .summary = "offer a device's regulation",
     .teach = "Only the salted hash of the schedule goes to the ledger. Salt and schedule stay in\n"
              "HOME/schedules, where deal prove finds them: keep that directory.",
     .options = offer_options,
     .option_count = sizeof offer_options / sizeof offer_options[0],
     .arguments_size = sizeof(struct offer),
     .sends = true,
     .run = run_offer},
    {.verb = "place",
     .summary = "place the orders of a table (CSV), none twice",
     .teach =
         "The table's first line names its columns: side (request or offer), market, direction,\n"
         "start, quantity_wh, price; and, as needed, device, schedule (a file), reservation,\n"
         "kind, min_quantity_wh, indivisible (yes or no), rank. All rows are checked first, with\n"
         "the escrow they need against the balance. What was placed is kept in FILE.placed: after\n"
         "a break the same command goes on, and places nothing twice.\n"
         "  flex order place --csv day.csv --dry-run\n"
         "  flex order place --csv day.csv --per-transaction 100",
     .options = batch_options,
     .option_count = sizeof batch_options / sizeof batch_options[0],
     .arguments_size = sizeof(struct order_batch),
     .sends = true,
     .run = order_batch_run},
    {.verb = "replace",
     .summary = "change an open order",
     .teach =
         "What is not given stays. An order that only asks for less keeps its time; any other "
         "change\n"
         "takes it back and places a new one, with a number of its own, for what has not traded.\n"
         "  flex order replace 7 --quantity-wh 2000",
     .options = replace_options,
     .option_count = sizeof replace_options / sizeof replace_options[0],
     .arguments_size = sizeof(struct replacement),
     .sends = true,
     .changes = true,
     .run = run_replace},
    {.verb = "capacity",
     .summary = "ask for room in the grid for a device, in a capacity market",
     .teach = "Cleared at the gate; flex order allocation says what came of it.\n"
              "  flex order capacity --market lv1-day --flow import --start 2025-01-15T17:00Z \\\n"
              "       --quantity-wh 11000 --price 0.02 --device car-7 --min-quantity-wh 4000",
     .options = capacity_options,
     .option_count = sizeof capacity_options / sizeof capacity_options[0],
     .arguments_size = sizeof(struct request_place),
     .action = ACTION_REQUEST_PLACE},
    {.verb = "allocation",
     .summary = "what a request for room in the grid was given, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_allocation},
    {.verb = "cancel",
     .summary = "take an open order back",
     .options = cancel_options,
     .option_count = 1,
     .arguments_size = sizeof(struct order_cancel),
     .action = ACTION_ORDER_CANCEL},
    {.verb = "show",
     .summary = "one order, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list",
     .summary = "orders, each proven; all, or some",
     .teach = "  flex order list --state open --market west-1h --side buy --since 2025-01-15",
     .options = list_options,
     .option_count = sizeof list_options / sizeof list_options[0],
     .arguments_size = sizeof(struct filter),
     .run = run_list},
    {.verb = "watch",
     .summary = "orders as they change, live and proven",
     .teach =
         "Prints what is open, then every order that changes, with its proof, until Ctrl-C or\n"
         "(--until-closed) until all of them are filled, cancelled or expired. Without ids: the\n"
         "wallet's own, and those that it places meanwhile. Under --json one object per line.\n"
         "  flex order watch\n"
         "  flex order watch 17 18 --until-closed --json",
     .options = watch_options,
     .option_count = WATCH_OPTIONS,
     .arguments_size = sizeof(struct watch),
     .more_words = "ID...",
     .run = watch_orders},
    {.verb = "events",
     .summary =
         "what happened to orders: new, trade, cancel, replace, expire, grant, by a node's word",
     .teach = "Out of the receipts of the node's blocks; flex audit orders verifies the same on an "
              "export.\n"
              "  flex order events --participant agg-a --from-height 1200 --csv",
     .options = market_pages_options,
     .option_count = MARKET_PAGES_OPTIONS,
     .arguments_size = sizeof(struct market_pages),
     .run = market_pages_order_events},
};

const struct cli_noun order_noun = {"order", "requests, offers, replacements, cancellations",
                                    commands, sizeof commands / sizeof commands[0]};
