/* flex order: requests of DSOs, offers for devices, cancellations (D5.5 2.2.4; market-rules 4).
 *
 * Invariant: the salt of a declared schedule is on disk before the offer that commits to it leaves
 * this machine. Only the hash is sent. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/json.h"
#include "tools/market_pages.h"
#include "tools/nouns.h"
#include "tools/schedule.h"

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
};

static bool needs_schedule(const struct market_create *terms)
{
    return terms->product != PRODUCT_RESERVATION && (terms->delivery.method == DELIVERY_SCHEDULE ||
                                                     terms->delivery.method == DELIVERY_SUBMETER);
}

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
    } else if (status == CLI_DONE && needs_schedule(&market.terms) != (schedule != NULL)) {
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

static const struct cli_option cancel_options[] = {
    {"ID", CLI_U64, offsetof(struct order_cancel, order), "the order", CLI_POSITIONAL, NULL, NULL,
     0},
};

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "order", wanted->id, "unknown_order");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "orders",
                     "id market side direction period_start_ms quantity_wh open_wh "
                     "price_ueur_per_kwh participant status");
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
    {.verb = "list", .summary = "all orders", .run = run_list},
    {.verb = "events",
     .summary = "what happened to orders: new, trade, cancel, replace, expire, by a node's word",
     .teach = "Out of the receipts of the node's blocks; flex audit orders verifies the same on an "
              "export.\n"
              "  flex order events --participant agg-a --from-height 1200 --csv",
     .options = market_pages_options,
     .option_count = MARKET_PAGES_OPTIONS,
     .arguments_size = sizeof(struct market_pages),
     .run = market_pages_order_events},
};

const struct cli_noun order_noun = {"order", "requests, offers, cancellations", commands,
                                    sizeof commands / sizeof commands[0]};
